//! What providers, consumers and operators say, as events.

use anteroom_core::bot::event::{BotEvent, ConsumerAnswer};
use anteroom_core::draft::{Direction, Draft};
use anteroom_core::event::Event;
use anteroom_core::id::{Attempt, BotId, CallbackKey, RequestId, SendId, StreamId};
use anteroom_core::protocol::error::FrameError;
use anteroom_core::protocol::provider::Ping;
use anteroom_core::protocol::{Hello, MessageFrame, ProviderFrame, Sent};
use anteroom_core::session::event::SessionEvent;
use anteroom_core::store::Send;
use anteroom_core::time::Millis;

use super::action::Talk;
use super::world::{BOTS, World};
use crate::script::{message_id, session, text, voice};

const CORRESPONDENTS: [&str; 3] = ["x", "y", "z"];

impl World {
    pub(crate) fn session_talk(&mut self, slot: u8, what: &Talk) {
        let number = match what {
            // A connection that is opened twice is nonsense, and happens here now and then.
            Talk::Open => {
                let fresh = u128::from(self.number());
                self.sessions.insert(slot, fresh);
                fresh
            }
            _ => self.sessions.get(&slot).copied().unwrap_or(u128::from(slot) + 1_000),
        };
        let event = match what {
            Talk::Open => SessionEvent::Opened,
            Talk::Heard => SessionEvent::Heard,
            Talk::Close => SessionEvent::Closed,
            Talk::Malformed { seq } => SessionEvent::Malformed { error: nonsense(*seq) },
            Talk::SameFrame => match self.frames.get(&number) {
                Some(frame) => SessionEvent::Frame { frame: frame.clone(), authorized: true },
                None => SessionEvent::Opened,
            },
            _ => {
                let Some(frame) = self.frame(what) else { return };
                if let ProviderFrame::Message(_) = &frame {
                    self.frames.insert(number, frame.clone());
                }
                let authorized = matches!(what, Talk::Hello { authorized: true, .. });
                SessionEvent::Frame { frame, authorized }
            }
        };
        self.step(Event::Session(session(number), event));
    }

    fn frame(&mut self, what: &Talk) -> Option<ProviderFrame> {
        let frame = match what {
            Talk::Hello { bot, instance, right_provider, .. } => {
                let instances = [None, Some("one".into()), Some("two".into())];
                ProviderFrame::Hello(Hello {
                    bot_id: BOTS[usize::from(*bot)].into(),
                    provider_name: if *right_provider { "p" } else { "q" }.into(),
                    provider_instance: instances[usize::from(*instance)].clone(),
                    token: None,
                })
            }
            Talk::Text { bot, .. } | Talk::Voice { bot, .. } => {
                let draft = Box::new(draft(what)?);
                let bot_id = (*bot > 0).then(|| BOTS[usize::from(*bot - 1)].into());
                let seq = self.number();
                ProviderFrame::Message(MessageFrame { seq, bot_id, draft })
            }
            Talk::Sent { send, message } => ProviderFrame::Sent(Sent {
                bot_id: None,
                send_id: send_id(*send),
                provider_message_id: format!("p{message}").as_str().into(),
            }),
            Talk::Ping => ProviderFrame::Ping(Ping::default()),
            _ => return None,
        };
        Some(frame)
    }

    pub(crate) fn bot_talk(&mut self, bot_id: BotId, what: &Talk) {
        let request_id = RequestId(self.number());
        let event = match what {
            Talk::BotStart => BotEvent::Start,
            Talk::BotStop => BotEvent::Stop,
            Talk::Text { .. } | Talk::Voice { .. } => {
                let Some(draft) = draft(what) else { return };
                BotEvent::Post { request_id, draft: Box::new(draft) }
            }
            Talk::Attach { stream } => {
                BotEvent::ConsumerAttached { stream_id: StreamId(u64::from(*stream)) }
            }
            Talk::Detach { stream } => {
                BotEvent::ConsumerDetached { stream_id: StreamId(u64::from(*stream)) }
            }
            Talk::Acknowledge { which } => {
                let Some((bot_id, key, _)) = self.pick(*which) else { return };
                let event = BotEvent::Acknowledge { request_id, keys: vec![key.clone(), key] };
                return self.step(Event::Bot(bot_id, event));
            }
            Talk::AcknowledgeAny { correspondent, message } => {
                let key = CallbackKey {
                    correspondent_id: CORRESPONDENTS[usize::from(*correspondent)].into(),
                    message_id: message_id(u64::from(*message)),
                    revision: 0,
                };
                BotEvent::Acknowledge { request_id, keys: vec![key] }
            }
            Talk::Answered { which, how, early } => {
                let Some((bot_id, key, attempt)) = self.pick(*which) else { return };
                let attempt = if *early { Attempt(attempt.0 + 1) } else { attempt };
                let answer = consumer_answer(*how);
                return self.step(Event::Bot(bot_id, BotEvent::Answered { key, attempt, answer }));
            }
            Talk::AnsweredTogether { which, how } => {
                let Some((bot_id, key, _)) = self.pick(*which) else { return };
                let latest = self.callbacks.iter().rev().take(4).rev();
                let callbacks = latest
                    .filter(|(bot, other, _)| {
                        *bot == bot_id && other.correspondent_id == key.correspondent_id
                    })
                    .map(|(_, key, attempt)| (key.clone(), *attempt))
                    .collect();
                let answer = consumer_answer(*how);
                let event = BotEvent::AnsweredTogether { callbacks, answer };
                return self.step(Event::Bot(bot_id, event));
            }
            Talk::Enqueue { send, correspondent } => BotEvent::Enqueue {
                request_id,
                send: Send {
                    send_id: send_id(*send),
                    correspondent_id: CORRESPONDENTS[usize::from(*correspondent)].into(),
                    message: "hi".to_owned(),
                },
            },
            Talk::ResultsWaiting => BotEvent::ResultsWaiting,
            _ => return,
        };
        self.step(Event::Bot(bot_id, event));
    }

    /// A callback that was made, the latest ones sooner.
    fn pick(&self, which: usize) -> Option<(BotId, CallbackKey, Attempt)> {
        let recent = self.callbacks.len().min(4);
        let back = which.checked_rem(recent)?;
        self.callbacks.iter().rev().nth(back).cloned()
    }
}

fn draft(what: &Talk) -> Option<Draft> {
    let (draft, outgoing) = match what {
        Talk::Text { correspondent, message, long, outgoing, .. } => {
            let content = if *long { "é".repeat(40) } else { "hello".to_owned() };
            let correspondent = CORRESPONDENTS[usize::from(*correspondent)];
            (text(correspondent, &format!("p{message}"), &content), outgoing)
        }
        Talk::Voice { correspondent, message, media, outgoing, .. } => {
            let correspondent = CORRESPONDENTS[usize::from(*correspondent)];
            let mut draft = voice(correspondent, &format!("p{message}"), u128::from(*media));
            if *media == 0
                && let Some(media) = &mut draft.media
            {
                media.mime_type = "application/x-odd".to_owned();
            }
            (draft, outgoing)
        }
        _ => return None,
    };
    let direction = if *outgoing { Direction::Outgoing } else { Direction::Incoming };
    Some(Draft { direction, ..draft })
}

fn consumer_answer(how: u8) -> ConsumerAnswer {
    match how {
        0 => ConsumerAnswer::Acknowledged { reply: Some("thanks".to_owned()) },
        1 => ConsumerAnswer::Refused,
        2 => ConsumerAnswer::Unavailable { retry_after: Some(Millis::from_secs(3)) },
        3 => ConsumerAnswer::Gone,
        _ => ConsumerAnswer::Acknowledged { reply: None },
    }
}

fn nonsense(seq: Option<u64>) -> FrameError {
    FrameError { seq: seq.map(|seq| seq + 1_000_000), ..FrameError::too_large(9) }
}

fn send_id(number: u8) -> SendId {
    format!("s{number}").as_str().into()
}
