//! Which event and which effect is told by whom to whom.

use anteroom_core::bot::event::{BotEffect, BotEvent};
use anteroom_core::durable::Durable;
use anteroom_core::effect::Effect;
use anteroom_core::event::{Event, NodeEvent};
use anteroom_core::id::{BotId, OpId, SessionId};
use anteroom_core::janitor::{JanitorEffect, JanitorEvent};
use anteroom_core::ownership::{OwnershipEffect, OwnershipEvent};
use anteroom_core::pool::event::{PoolEffect, PoolEvent};
use anteroom_core::protocol::{Hello, MessageFrame, ProviderFrame};
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::store::{StoreReply, StoreRequest, StoreResult};
use anteroom_core::time::Timestamp;

use super::{Kind, Party, Story, Subject};
use crate::words;

impl Story {
    pub(super) fn tell_event(&mut self, node: u32, at: Timestamp, event: &Event) {
        match event {
            Event::Tick => self.happened(at, Kind::Happened, node, "time passes".to_owned()),
            Event::Node(NodeEvent::Start { .. }) => {
                self.happened(at, Kind::Happened, node, "starts".to_owned());
            }
            Event::Node(NodeEvent::Shutdown) => {
                self.happened(at, Kind::Happened, node, "is told to stop".to_owned());
            }
            Event::Session(session_id, event) => {
                self.tell_session_event(node, at, *session_id, event);
            }
            Event::Bot(bot_id, event) => self.tell_bot_event(node, at, bot_id, event),
            Event::Pools(PoolEvent::Store { op, result })
            | Event::Ownership(OwnershipEvent::Store { op, result })
            | Event::Janitor(JanitorEvent::Store { op, result }) => {
                self.tell_answer(node, at, None, *op, result);
            }
            Event::Pools(event @ PoolEvent::Ended { media_id, .. }) => {
                let label = words::of_pool_event(event);
                let way = (Party::Workers(node), Party::Node(node));
                self.told(at, Kind::Answered, node, way, label, vec![Subject::Job(*media_id)]);
            }
            Event::Pools(event @ PoolEvent::WorkWaiting { .. }) => {
                let way = (Party::Store, Party::Node(node));
                self.told(at, Kind::Told, node, way, words::of_pool_event(event), Vec::new());
            }
            Event::Janitor(JanitorEvent::Staged { files }) => {
                let label = format!("{} staged files", files.len());
                self.happened(at, Kind::Happened, node, label);
            }
        }
    }

    fn tell_session_event(
        &mut self,
        node: u32,
        at: Timestamp,
        session_id: SessionId,
        event: &SessionEvent,
    ) {
        let mut subjects = Vec::new();
        if let SessionEvent::Frame { frame, .. } = event {
            match frame {
                ProviderFrame::Hello(hello) => self.greeted(session_id, hello),
                ProviderFrame::Message(frame) => {
                    subjects.extend(self.numbered(session_id, frame));
                    let media = frame.draft.media.as_ref();
                    subjects.extend(media.map(|media| Subject::Job(media.media_id)));
                }
                ProviderFrame::Status(_) | ProviderFrame::Sent(_) | ProviderFrame::Ping(_) => {}
            }
        }
        let way = (Party::Session(session_id), Party::Node(node));
        self.told(at, Kind::Told, node, way, words::of_session_event(event), subjects);
    }

    fn greeted(&mut self, session_id: SessionId, hello: &Hello) {
        let Hello { bot_id, provider_name, provider_instance, .. } = hello;
        let name = match provider_instance {
            Some(instance) => format!("{provider_name} {instance}"),
            None => format!("{provider_name} of {bot_id}"),
        };
        let (_, bots) = self.sessions.entry(session_id).or_insert((name, Vec::new()));
        bots.push(bot_id.clone());
    }

    /// Notes which message has which number of its connection.
    fn numbered(&mut self, session_id: SessionId, frame: &MessageFrame) -> Option<Subject> {
        let only = || self.sessions.get(&session_id).and_then(|(_, bots)| bots.first());
        let bot_id = frame.bot_id.as_ref().or_else(only)?.clone();
        let draft = &frame.draft;
        let key = (bot_id, draft.correspondent_id.clone(), draft.provider_message_id.clone());
        self.numbered.insert((session_id, frame.seq), key.clone());
        Some(Subject::ProviderMessage(key.0, key.1, key.2))
    }

    fn tell_bot_event(&mut self, node: u32, at: Timestamp, bot_id: &BotId, event: &BotEvent) {
        let consumer = || (Party::Consumer(bot_id.clone()), Party::Node(node));
        let requests = || (Party::Requests(bot_id.clone()), Party::Node(node));
        let label = words::of_bot_event(event);
        match event {
            BotEvent::Start | BotEvent::Stop => {
                self.happened(at, Kind::Happened, node, format!("{bot_id}: {label}"));
            }
            BotEvent::Post { draft, .. } => {
                let (correspondent_id, id) = (&draft.correspondent_id, &draft.provider_message_id);
                let (bot_id, id) = (bot_id.clone(), id.clone());
                let mut subjects =
                    vec![Subject::ProviderMessage(bot_id, correspondent_id.clone(), id)];
                let media = draft.media.as_ref();
                subjects.extend(media.map(|media| Subject::Job(media.media_id)));
                self.told(at, Kind::Told, node, requests(), label, subjects);
            }
            BotEvent::Store { op, result } => self.tell_answer(node, at, Some(bot_id), *op, result),
            BotEvent::ConsumerAttached { .. } | BotEvent::ConsumerDetached { .. } => {
                self.told(at, Kind::Told, node, consumer(), label, Vec::new());
            }
            BotEvent::Acknowledge { keys, .. } => {
                let subjects = keys.iter().map(|key| of_key(bot_id, key)).collect();
                self.told(at, Kind::Answered, node, consumer(), label, subjects);
            }
            BotEvent::Answered { key, .. } => {
                let subjects = vec![of_key(bot_id, key)];
                self.told(at, Kind::Answered, node, consumer(), label, subjects);
            }
            BotEvent::AnsweredTogether { callbacks, .. } => {
                let subjects = callbacks.iter().map(|(key, _)| of_key(bot_id, key)).collect();
                self.told(at, Kind::Answered, node, consumer(), label, subjects);
            }
            BotEvent::Enqueue { .. } => {
                self.told(at, Kind::Told, node, consumer(), label, Vec::new());
            }
            BotEvent::Register { .. } => {
                self.told(at, Kind::Told, node, requests(), label, Vec::new());
            }
            BotEvent::Redeliver { key, .. } => {
                let subjects = vec![of_key(bot_id, key)];
                self.told(at, Kind::Told, node, requests(), label, subjects);
            }
            BotEvent::ResultsWaiting => {
                let way = (Party::Store, Party::Node(node));
                self.told(at, Kind::Told, node, way, format!("{bot_id}: {label}"), Vec::new());
            }
        }
    }

    /// An answer of the store.
    fn tell_answer(
        &mut self,
        node: u32,
        at: Timestamp,
        bot_id: Option<&BotId>,
        op: OpId,
        result: &StoreResult,
    ) {
        let (name, mut subjects) = self.asked.remove(&(node, op)).unwrap_or_default();
        if let Ok(reply) = result {
            self.learn_from_reply(bot_id, reply);
            subjects.extend(Self::about_reply(bot_id, reply));
        }
        let answer = words::of_result(result);
        let label = match result {
            Ok(StoreReply::OwedCallbacks { .. } | StoreReply::Claim(_)) => answer,
            Ok(_) => match answer.trim_end_matches(&name).trim_end() {
                "" => format!("{name}: done"),
                answer => format!("{name}: {answer}"),
            },
            Err(_) => format!("{name}: {answer}"),
        };
        let way = (Party::Store, Party::Node(node));
        self.told(at, Kind::Answered, node, way, label, subjects);
    }

    pub(super) fn tell_effect(&mut self, node: u32, at: Timestamp, effect: &Effect) {
        match effect {
            Effect::Session(session_id, effect) => {
                self.tell_session_effect(node, at, *session_id, effect);
            }
            Effect::Bot(bot_id, effect) => self.tell_bot_effect(node, at, bot_id, effect),
            Effect::Pools(PoolEffect::Store { op, request })
            | Effect::Ownership(OwnershipEffect::Store { op, request })
            | Effect::Janitor(JanitorEffect::Store { op, request }) => {
                self.tell_request(node, at, *op, request);
            }
            Effect::Pools(PoolEffect::Start(work)) => {
                let label = format!("run {} {}", work.pool, words::media(work.media_id));
                let way = (Party::Node(node), Party::Workers(node));
                self.told(at, Kind::Told, node, way, label, vec![Subject::Job(work.media_id)]);
            }
            Effect::Pools(PoolEffect::Cancel { media_id, .. }) => {
                let label = format!("cancel {}", words::media(*media_id));
                let way = (Party::Node(node), Party::Workers(node));
                self.told(at, Kind::Told, node, way, label, vec![Subject::Job(*media_id)]);
            }
            Effect::Janitor(JanitorEffect::ListStaged) => {
                self.happened(at, Kind::Happened, node, "lists the staged files".to_owned());
            }
            Effect::Janitor(JanitorEffect::DeleteMedia { media_id }) => {
                self.tell_deletion(node, at, *media_id.get());
            }
            Effect::Notice(notice) => {
                let (_, label) = words::of_effect(effect);
                let way = (Party::Node(node), Party::Node(node));
                let subjects = Self::about_notice(notice);
                self.told(at, Kind::Notice, node, way, label, subjects);
            }
            Effect::Stopped => {
                self.happened(at, Kind::Happened, node, "has stopped".to_owned());
            }
        }
    }

    fn tell_deletion(&mut self, node: u32, at: Timestamp, media_id: anteroom_core::id::MediaId) {
        let label = format!("deletes the file of {}", words::media(media_id));
        let way = (Party::Node(node), Party::Node(node));
        self.told(at, Kind::Happened, node, way, label, vec![Subject::Job(media_id)]);
    }

    fn tell_session_effect(
        &mut self,
        node: u32,
        at: Timestamp,
        session_id: SessionId,
        effect: &SessionEffect,
    ) {
        let (kind, subjects) = match effect {
            SessionEffect::Receipt { seq, .. } => {
                let key = self.numbered.remove(&(session_id, *seq));
                let subject = key.map(|(bot, whom, id)| Subject::ProviderMessage(bot, whom, id));
                (Kind::Answered, subject.into_iter().collect())
            }
            SessionEffect::Welcome { .. }
            | SessionEffect::Send { .. }
            | SessionEffect::Error { .. }
            | SessionEffect::Pong
            | SessionEffect::Ping
            | SessionEffect::Close => (Kind::Told, Vec::new()),
        };
        let way = (Party::Node(node), Party::Session(session_id));
        self.told(at, kind, node, way, words::of_session_effect(effect), subjects);
    }

    fn tell_bot_effect(&mut self, node: u32, at: Timestamp, bot_id: &BotId, effect: &BotEffect) {
        let consumer = || (Party::Node(node), Party::Consumer(bot_id.clone()));
        let requests = || (Party::Node(node), Party::Requests(bot_id.clone()));
        let label = words::of_bot_effect(effect);
        match effect {
            BotEffect::Store { op, request } => self.tell_request(node, at, *op, request),
            BotEffect::PostReceipt { .. } => {
                self.told(at, Kind::Answered, node, requests(), label, Vec::new());
            }
            BotEffect::Callback { callback, .. } => {
                let callback = callback.get();
                self.learn_message(bot_id, &callback.correspondent_id, &callback.message);
                let subjects = vec![of_key(bot_id, &callback.key())];
                self.told(at, Kind::Told, node, consumer(), label, subjects);
            }
            BotEffect::Callbacks { callbacks, .. } => {
                let callbacks = callbacks.iter().map(Durable::get);
                let subjects = callbacks
                    .map(|callback| {
                        self.learn_message(bot_id, &callback.correspondent_id, &callback.message);
                        of_key(bot_id, &callback.key())
                    })
                    .collect();
                self.told(at, Kind::Told, node, consumer(), label, subjects);
            }
            BotEffect::AbortCallback { key, .. } => {
                let subjects = vec![of_key(bot_id, key)];
                self.told(at, Kind::Told, node, consumer(), label, subjects);
            }
            BotEffect::StreamReplaced { .. } => {
                self.told(at, Kind::Told, node, consumer(), label, Vec::new());
            }
            BotEffect::AckAnswer { .. }
            | BotEffect::EnqueueAnswer { .. }
            | BotEffect::RedeliverAnswer { .. } => {
                self.told(at, Kind::Answered, node, consumer(), label, Vec::new());
            }
            BotEffect::DeleteMedia { media_id } => self.tell_deletion(node, at, *media_id.get()),
        }
    }

    /// A request to the store.
    fn tell_request(&mut self, node: u32, at: Timestamp, op: OpId, request: &StoreRequest) {
        self.learn_from_request(request);
        let subjects = Self::about_request(request);
        self.asked.insert((node, op), (words::request_name(request), subjects.clone()));
        let way = (Party::Node(node), Party::Store);
        self.told(at, Kind::Told, node, way, words::of_request(request), subjects);
    }
}

fn of_key(bot_id: &BotId, key: &anteroom_core::id::CallbackKey) -> Subject {
    Subject::Message(bot_id.clone(), key.correspondent_id.clone(), key.message_id)
}
