//! A bot's provider: keeps each message until it has a final receipt, and sends what it keeps again
//! after a reconnect, in order.

use std::collections::{BTreeMap, BTreeSet};

use anteroom_core::draft::{Direction, Draft, DraftMedia};
use anteroom_core::event::Event;
use anteroom_core::id::{ProviderMessageId, SessionId};
use anteroom_core::message::{MediaKind, Participant};
use anteroom_core::protocol::{Hello, MessageFrame, ProviderFrame};
use anteroom_core::receipt::Receipt;
use anteroom_core::session::event::{SessionEffect, SessionEvent};

use super::rules::Said;
use super::world::{BEGIN, World, bot_id};

/// A bot's provider.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    bot: usize,
    /// Messages without a final receipt, in order.
    pub kept: Vec<Draft>,
    pub line: Option<Line>,
    /// Lines that were replaced, and whose end the node has not heard of.
    replaced: Vec<(usize, SessionId)>,
    next_seq: u64,
    lines: u64,
}

/// A connection.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub node: usize,
    session_id: SessionId,
    welcomed: bool,
    window: usize,
    /// Sent and without a receipt.
    open: BTreeMap<u64, Draft>,
    /// Told to come later.
    put_off: BTreeSet<ProviderMessageId>,
}

impl Provider {
    pub fn new(bot: usize) -> Self {
        let (kept, replaced) = (Vec::new(), Vec::new());
        Self { bot, kept, line: None, replaced, next_seq: 1, lines: 0 }
    }

    /// The messages that were sent and have no receipt.
    pub fn unanswered(&self) -> impl Iterator<Item = &Draft> {
        self.line.iter().flat_map(|line| line.open.values())
    }

    /// Whether a message that was sent has no receipt.
    pub fn waits(&self) -> bool {
        self.unanswered().next().is_some()
    }

    /// A node's process has ended, and its connections with it.
    pub fn node_is_gone(&mut self, node: usize) {
        self.line.take_if(|line| line.node == node);
        self.replaced.retain(|(at, _)| *at != node);
    }

    /// What was put off may be sent again.
    pub fn try_again(&mut self) {
        if let Some(line) = &mut self.line {
            line.put_off.clear();
        }
    }
}

impl World {
    /// The provider of a bot connects to a node. A connection that it has is replaced, and its end is
    /// heard of later.
    pub fn connect(&mut self, bot: usize, node: usize) {
        if self.nodes[node].machine.is_none() {
            return;
        }
        let provider = &mut self.providers[bot];
        let old = provider.line.take();
        self.rules.forget_who_waits();
        provider.replaced.extend(old.map(|line| (line.node, line.session_id)));
        provider.lines += 1;
        let number = (bot as u128 + 1) << 64 | u128::from(provider.lines);
        let session_id = SessionId::from(uuid::Uuid::from_u128(number));
        let (open, put_off) = (BTreeMap::new(), BTreeSet::new());
        let line = Line { node, session_id, welcomed: false, window: 1, open, put_off };
        provider.line = Some(line);
        let hello = Hello {
            bot_id: bot_id(bot),
            provider_name: "sim".into(),
            provider_instance: Some("only".into()),
            token: None,
        };
        let frame = ProviderFrame::Hello(hello);
        self.tell(node, Event::Session(session_id, SessionEvent::Opened));
        let event = SessionEvent::Frame { frame, authorized: true };
        self.tell(node, Event::Session(session_id, event));
    }

    /// The connection of a bot's provider ends, and its node hears of it.
    pub fn disconnect(&mut self, bot: usize) {
        if let Some(line) = self.providers[bot].line.take() {
            self.rules.forget_who_waits();
            self.tell(line.node, Event::Session(line.session_id, SessionEvent::Closed));
        }
    }

    /// The node hears of the end of the oldest connection that was replaced.
    pub fn hear_of_late_close(&mut self, bot: usize) {
        if !self.providers[bot].replaced.is_empty() {
            let (node, session_id) = self.providers[bot].replaced.remove(0);
            self.tell(node, Event::Session(session_id, SessionEvent::Closed));
        }
    }

    /// Providers send what they keep, in order, as far as their windows go.
    pub fn providers_talk(&mut self) {
        for bot in 0..self.providers.len() {
            let Provider { kept, line: Some(line), next_seq, .. } = &mut self.providers[bot] else {
                continue;
            };
            if !line.welcomed {
                continue;
            }
            let next = kept.iter().find(|draft| {
                let id = &draft.provider_message_id;
                let open = line.open.values().any(|open| open.provider_message_id == *id);
                !open && !line.put_off.contains(id)
            });
            let Some(draft) = next.filter(|_| line.open.len() < line.window).cloned() else {
                continue;
            };
            let seq = *next_seq;
            *next_seq += 1;
            line.open.insert(seq, draft.clone());
            let (node, session_id) = (line.node, line.session_id);
            self.stage(&draft);
            if draft.media.is_none() {
                self.rules.said(self.now, said(bot, &draft));
            }
            let frame = MessageFrame { seq, bot_id: None, draft: Box::new(draft) };
            let frame = ProviderFrame::Message(frame);
            // This comes back here, for the next message.
            let event = SessionEvent::Frame { frame, authorized: false };
            self.tell(node, Event::Session(session_id, event));
        }
    }

    /// The file of a message is there when the message is told of, unless it has been archived: its
    /// provider would not bring the file again.
    fn stage(&mut self, draft: &Draft) {
        if let Some(media) = &draft.media
            && !self.store.archive_rows().any(|row| row.message.media_id() == Some(media.media_id))
        {
            self.staged.insert(media.media_id);
        }
    }

    pub fn provider_hears(&mut self, node: usize, session_id: SessionId, effect: SessionEffect) {
        let now = self.now;
        let lines = self.providers.iter_mut().filter_map(|provider| {
            let line = provider.line.as_mut()?;
            (line.node == node && line.session_id == session_id).then_some(())?;
            Some((provider.bot, line, &mut provider.kept))
        });
        let Some((bot, line, kept)) = lines.into_iter().next() else { return };
        match effect {
            SessionEffect::Welcome { window, .. } => {
                line.welcomed = true;
                line.window = window as usize;
            }
            SessionEffect::Receipt { seq, receipt, valid_until, .. } => {
                if valid_until <= now {
                    return;
                }
                let Some(draft) = line.open.remove(&seq) else {
                    return self.rules.break_rule("S8", format!("second receipt of {seq}"));
                };
                match receipt.is_final_for_provider() {
                    true => kept.retain(|it| it.provider_message_id != draft.provider_message_id),
                    false => {
                        line.put_off.insert(draft.provider_message_id.clone());
                    }
                }
                self.rules.unsaid(&said(bot, &draft));
                self.receipt(bot, &draft, &receipt);
            }
            SessionEffect::Close => {
                self.providers[bot].line = None;
                self.rules.forget_who_waits();
            }
            SessionEffect::Error { error, .. } => {
                if !error.fatal {
                    self.rules.break_rule("S8", format!("unexpected error frame: {error}"));
                }
            }
            SessionEffect::Send { .. } | SessionEffect::Pong | SessionEffect::Ping => {}
        }
    }

    fn receipt(&mut self, bot: usize, draft: &Draft, receipt: &Receipt) {
        self.rules.receipt(self.now, &bot_id(bot), draft, receipt, &self.store);
    }
}

/// What a provider calls a message.
fn said(bot: usize, draft: &Draft) -> Said {
    (bot_id(bot), draft.correspondent_id.clone(), draft.provider_message_id.clone())
}

/// A message without media: the `number`-th of its correspondent.
pub(crate) fn text(correspondent: &str, number: u64) -> Draft {
    Draft {
        correspondent_id: correspondent.into(),
        provider_message_id: format!("{correspondent}-{number}").into(),
        content: format!("ä{number} is longer than the limit of a message"),
        sender: Participant { identifier: correspondent.to_owned(), ..Participant::default() },
        direction: Direction::Incoming,
        send_id: None,
        originating_time: BEGIN,
        group: None,
        replayed: false,
        media: None,
    }
}

/// A voice note: the `number`-th message of its correspondent, and the medium of that number.
pub(crate) fn voice(correspondent: &str, number: u64) -> Draft {
    let media = DraftMedia {
        media_id: uuid::Uuid::from_u128(u128::from(number)).into(),
        kind: MediaKind::Audio,
        mime_type: "audio/ogg; codecs=opus".to_owned(),
        original_filename: None,
        size_bytes: None,
        sha256: None,
        quota_exceeded: false,
        detail: None,
    };
    Draft { media: Some(media), ..text(correspondent, number) }
}
