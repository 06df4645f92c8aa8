//! S13: a driver does what its machine says, once and in order, and tells it what came of it.
//!
//! Only tier 2 has drivers. Here the machine's own word is what is looked at: whether each effect reaches
//! its port, whether each answer comes back as it was given, whether what is said to a connection or a
//! stream is handed over as it was said, and whether nothing is buffered without a bound. Nothing of
//! that takes time but what the port takes: what was not done a while later was forgotten.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anteroom_core::bot::event::{BotEffect, BotEvent, Callback};
use anteroom_core::durable::Durable;
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{
    Attempt, CallbackKey, LeaseToken, MediaId, NodeId, OpId, SessionId, StreamId,
};
use anteroom_core::janitor::{JanitorEffect, JanitorEvent};
use anteroom_core::ownership::{OwnershipEffect, OwnershipEvent};
use anteroom_core::pool::event::{PoolEffect, PoolEvent, ProcessorFailure};
use anteroom_core::session::event::{SessionEffect, SessionEvent};
use anteroom_core::store::{StoreRequest, StoreResult};
use anteroom_core::time::{Millis, Timestamp};

use super::Judge;
use super::seen::{Scene, Seen};

/// How long a driver may take for what takes no time.
const AT_ONCE: Millis = Millis::from_secs(2);

/// How long the end of a process may take that nothing disturbs.
const END_MAX: Millis = Millis::from_secs(60);

/// How long a driver waits for its last tasks before it leaves them behind.
const LAST_TASKS: Millis = Millis::from_secs(5);

/// How much may wait for one connection to be read: what the driver buffers, and as much again.
const WAITING_MAX: usize = 128;

#[derive(Default)]
pub(super) struct Drivers(BTreeMap<usize, Process>);

/// What is open in one process.
#[derive(Default)]
struct Process {
    /// Decided, and not asked yet.
    decided: BTreeMap<OpId, (Timestamp, StoreRequest)>,
    /// Asked, and not answered yet, by the number of the request.
    asked: BTreeMap<u64, (OpId, StoreRequest)>,
    /// Answered, and not told yet.
    answered: BTreeMap<OpId, Answered>,
    /// Work that was begun and whose end was not told.
    at_work: BTreeSet<(MediaId, LeaseToken)>,
    /// Of it, what was told to end.
    taken_away: BTreeSet<(MediaId, LeaseToken)>,
    /// Processors that run.
    running: BTreeSet<(MediaId, LeaseToken)>,
    /// Said to each connection, and not handed over.
    sessions: BTreeMap<SessionId, VecDeque<SessionEffect>>,
    /// Said to each stream, and not handed over.
    streams: BTreeMap<StreamId, VecDeque<(CallbackKey, Attempt)>>,
    /// Files to be deleted.
    to_delete: BTreeMap<MediaId, (Timestamp, u32)>,
    /// When the staged files were last to be listed.
    to_list: Option<Timestamp>,
}

/// An answer that the machine has not been told yet.
struct Answered {
    at: Timestamp,
    request: StoreRequest,
    result: StoreResult,
}

impl Process {
    fn said(&mut self, effect: &Effect, node_now: Timestamp, now: Timestamp) -> Result<(), String> {
        match effect {
            Effect::Bot(_, BotEffect::Store { op, request })
            | Effect::Pools(PoolEffect::Store { op, request })
            | Effect::Ownership(OwnershipEffect::Store { op, request })
            | Effect::Janitor(JanitorEffect::Store { op, request }) => {
                self.decided.insert(*op, (now, request.clone()));
            }
            Effect::Pools(PoolEffect::Start(work)) => {
                self.at_work.insert((work.media_id, work.token));
            }
            Effect::Session(session_id, effect) => {
                let Some(waiting) = self.sessions.get_mut(session_id) else { return Ok(()) };
                if !matches!(effect, SessionEffect::Close) {
                    waiting.push_back(effect.clone());
                }
                if waiting.len() > WAITING_MAX {
                    let count = waiting.len();
                    return Err(format!("{count} effects wait for the connection {session_id}"));
                }
            }
            Effect::Bot(_, BotEffect::Callback { stream_id, callback, valid_until }) => {
                if let Some(waiting) = self.streams.get_mut(stream_id)
                    && node_now < *valid_until
                {
                    waiting.push_back((callback.get().key(), callback.get().attempt));
                }
            }
            Effect::Bot(_, BotEffect::Callbacks { stream_id, callbacks, valid_until }) => {
                if let Some(waiting) = self.streams.get_mut(stream_id)
                    && node_now < *valid_until
                {
                    let callbacks = callbacks.iter().map(Durable::get);
                    waiting.extend(callbacks.map(|it| (it.key(), it.attempt)));
                }
            }
            Effect::Bot(_, BotEffect::DeleteMedia { media_id })
            | Effect::Janitor(JanitorEffect::DeleteMedia { media_id }) => {
                let wanted = self.to_delete.entry(*media_id.get()).or_insert((now, 0));
                *wanted = (now, wanted.1 + 1);
            }
            Effect::Janitor(JanitorEffect::ListStaged) => self.to_list = Some(now),
            Effect::Pools(PoolEffect::Cancel { media_id, token }) => {
                self.taken_away.insert((*media_id, *token));
            }
            Effect::Bot(..) | Effect::Notice(_) | Effect::Stopped => {}
        }
        Ok(())
    }

    fn told(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Bot(_, BotEvent::Store { op, result })
            | Event::Pools(PoolEvent::Store { op, result })
            | Event::Ownership(OwnershipEvent::Store { op, result })
            | Event::Janitor(JanitorEvent::Store { op, result }) => {
                self.is_told(*op, result)?;
            }
            Event::Pools(PoolEvent::Ended { media_id, token, result }) => {
                let work = (*media_id, *token);
                let taken_away = self.taken_away.remove(&work);
                if *result == Err(ProcessorFailure::Cancelled) && !taken_away {
                    return Err(format!("{media_id} was cancelled, and nobody took it away"));
                }
                if !self.at_work.remove(&work) {
                    return Err(format!("the end of {media_id} is told, and it is not at work"));
                }
                if self.running.contains(&work) {
                    return Err(format!("the end of {media_id} is told while it is worked on"));
                }
            }
            Event::Session(session_id, SessionEvent::Opened) => {
                self.sessions.insert(*session_id, VecDeque::new());
            }
            Event::Session(session_id, SessionEvent::Closed) => {
                self.sessions.remove(session_id);
            }
            Event::Bot(_, BotEvent::ConsumerAttached { stream_id }) => {
                self.streams.insert(*stream_id, VecDeque::new());
            }
            Event::Bot(_, BotEvent::ConsumerDetached { stream_id }) => {
                self.streams.remove(stream_id);
            }
            Event::Janitor(JanitorEvent::Staged { .. }) => self.to_list = None,
            _ => {}
        }
        Ok(())
    }

    /// Takes the answer to an operation. Which of two requests that say the same is which operation's cannot
    /// be seen: their answers may be exchanged.
    fn is_told(&mut self, op: OpId, result: &StoreResult) -> Result<(), String> {
        let given = self.answered.get(&op);
        let asked = self.asked.values().find(|(asked, _)| *asked == op).map(|(_, request)| request);
        let request = given.map(|given| &given.request).or(asked);
        let is_meant =
            |other: &Answered| Some(&other.request) == request && other.result == *result;
        let meant = match given {
            Some(given) if given.result == *result => Some(op),
            _ => self.answered.iter().find(|(_, it)| is_meant(it)).map(|(other, _)| *other),
        };
        let Some(other) = meant else {
            let given = given.map(|given| &given.result);
            return Err(format!("operation {op} is told {result:?}, given was {given:?}"));
        };
        self.answered.remove(&other);
        // What was this operation's is the other's now.
        if let Some(given) = self.answered.remove(&op) {
            self.answered.insert(other, given);
        }
        for (asked, _) in self.asked.values_mut().filter(|(asked, _)| *asked == op) {
            *asked = other;
        }
        Ok(())
    }

    fn asks(&mut self, number: u64, request: &StoreRequest) -> Result<(), String> {
        let decided = self.decided.iter().find(|(_, (_, decided))| decided == request);
        let Some(op) = decided.map(|(op, _)| *op) else {
            return Err(format!("the store is asked for what nobody wants: {request:?}"));
        };
        if let Some((_, request)) = self.decided.remove(&op) {
            self.asked.insert(number, (op, request));
        }
        Ok(())
    }

    fn hands_over(&mut self, session_id: SessionId, effect: &SessionEffect) -> Result<(), String> {
        // What was said before the connection closed may still be read.
        let Some(waiting) = self.sessions.get_mut(&session_id) else { return Ok(()) };
        match waiting.pop_front() {
            Some(said) if said == *effect => Ok(()),
            said => Err(format!("{session_id} is handed {effect:?}, said was {said:?}")),
        }
    }

    fn streams_over(&mut self, stream_id: StreamId, callback: &Callback) -> Result<(), String> {
        let Some(waiting) = self.streams.get_mut(&stream_id) else { return Ok(()) };
        match waiting.pop_front() {
            Some(said) if said == (callback.key(), callback.attempt) => Ok(()),
            said => Err(format!(
                "stream {stream_id} is handed {:?} {:?}, said was {said:?}",
                callback.key(),
                callback.attempt
            )),
        }
    }

    fn deletes(&mut self, media_id: MediaId) -> Result<(), String> {
        match self.to_delete.get_mut(&media_id) {
            Some((_, wanted)) if *wanted > 1 => *wanted -= 1,
            Some(_) => drop(self.to_delete.remove(&media_id)),
            None => return Err(format!("{media_id} is deleted, and nobody wants that")),
        }
        Ok(())
    }

    /// Whether something was forgotten.
    fn forgot(&self, now: Timestamp) -> Result<(), String> {
        let late = |since: Timestamp| now.since(since) > AT_ONCE;
        if let Some((op, (_, request))) = self.decided.iter().find(|(_, (at, _))| late(*at)) {
            return Err(format!("the store was never asked for operation {op}: {request:?}"));
        }
        if let Some((op, given)) = self.answered.iter().find(|(_, given)| late(given.at)) {
            let result = &given.result;
            return Err(format!("operation {op} was answered, and that never told: {result:?}"));
        }
        if let Some((media_id, _)) = self.to_delete.iter().find(|(_, (at, _))| late(*at)) {
            return Err(format!("{media_id} was never deleted"));
        }
        if self.to_list.is_some_and(late) {
            return Err("the staged files were never listed".to_owned());
        }
        Ok(())
    }

    /// The process stood still: whatever is open begins anew.
    fn stood_still(&mut self, now: Timestamp) {
        self.decided.values_mut().for_each(|(at, _)| *at = now);
        self.answered.values_mut().for_each(|given| given.at = now);
        self.to_delete.values_mut().for_each(|(at, _)| *at = now);
        if let Some(at) = &mut self.to_list {
            *at = now;
        }
    }
}

/// Whether a process has left nothing behind that its end was to end.
fn left_nothing(
    node_id: NodeId,
    tasks: usize,
    took: Millis,
    in_peace: bool,
    scene: &Scene<'_>,
) -> Result<(), String> {
    if tasks > 0 && took < LAST_TASKS {
        return Err(format!("it has stopped after {took}, and has not waited for {tasks} tasks"));
    }
    // What the store or a processor holds up is left behind after a while.
    if !in_peace {
        return Ok(());
    }
    if tasks > 0 {
        return Err(format!("it has stopped, and {tasks} of its tasks have not ended"));
    }
    if took > END_MAX {
        return Err(format!("its end took {took}, and nothing disturbed it"));
    }
    let mut owned = scene.store.ownerships();
    let owned = owned.find(|(_, it)| it.owner.is_some_and(|owner| owner.node_id == node_id));
    match owned {
        Some((bot_id, _)) => Err(format!("it has stopped, and still owns {bot_id}")),
        None => Ok(()),
    }
}

impl Judge for Drivers {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), String> {
        let now = scene.now;
        let node = match seen {
            Seen::Stopped { node, node_id, tasks, took, in_peace } => {
                let left = left_nothing(*node_id, *tasks, *took, *in_peace, scene);
                return left.map_err(|what| format!("node {node}: {what}"));
            }
            Seen::Booted { node, .. } => {
                self.0.insert(*node, Process::default());
                return Ok(());
            }
            Seen::Died { node } => {
                self.0.remove(node);
                return Ok(());
            }
            Seen::Disturbed { node }
            | Seen::MachineSaid { node, .. }
            | Seen::MachineTold { node, .. }
            | Seen::StoreAsked { node, .. }
            | Seen::StoreAnswered { node, .. }
            | Seen::HandedOver { node, .. }
            | Seen::StreamedOver { node, .. }
            | Seen::DeletionAsked { node, .. }
            | Seen::ProcessorStarted { node, .. }
            | Seen::ProcessorEnded { node, .. } => *node,
            _ => return Ok(()),
        };
        let Some(process) = self.0.get_mut(&node) else { return Ok(()) };
        let judged = match seen {
            Seen::Disturbed { .. } => {
                process.stood_still(now);
                Ok(())
            }
            Seen::MachineSaid { node_now, effect, .. } => process.said(effect, *node_now, now),
            Seen::MachineTold { event, .. } => {
                process.told(event).and_then(|()| process.forgot(now))
            }
            Seen::StoreAsked { number, request, .. } => process.asks(*number, request),
            Seen::StoreAnswered { number, result, .. } => {
                if let Some((op, request)) = process.asked.remove(number) {
                    let result = StoreResult::clone(result);
                    process.answered.insert(op, Answered { at: now, request, result });
                }
                Ok(())
            }
            Seen::HandedOver { session_id, effect, .. } => process.hands_over(*session_id, effect),
            Seen::StreamedOver { stream_id, callback, .. } => {
                process.streams_over(*stream_id, callback)
            }
            Seen::DeletionAsked { media_id, .. } => process.deletes(*media_id),
            Seen::ProcessorStarted { work, .. } => {
                process.running.insert((work.media_id, work.token));
                Ok(())
            }
            Seen::ProcessorEnded { media_id, token, .. } => {
                process.running.remove(&(*media_id, *token));
                Ok(())
            }
            _ => Ok(()),
        };
        judged.map_err(|what| format!("node {node}: {what}"))
    }
}

#[cfg(test)]
mod tests {
    use anteroom_core::store::{StoreError, StoreReply};

    use super::super::stage::{Stage, media_id};
    use super::*;

    /// A process that has decided to ask the store for a release.
    fn decided(stage: &Stage) -> (Drivers, StoreRequest) {
        let mut rule = Drivers::default();
        rule.see(&stage.booted(), &stage.scene()).expect("a boot breaks nothing");
        let request = StoreRequest::KnownMedia { media_ids: vec![media_id(1)] };
        let effect =
            Effect::Janitor(JanitorEffect::Store { op: OpId(7), request: request.clone() });
        let said = Seen::MachineSaid { node: 0, node_now: stage.now, effect: &effect };
        rule.see(&said, &stage.scene()).expect("a decision breaks nothing");
        (rule, request)
    }

    fn told(result: StoreResult) -> Event {
        Event::Janitor(JanitorEvent::Store { op: OpId(7), result })
    }

    /// Goal: an effect is carried out once. Method: the same request is made twice.
    #[test]
    fn the_store_is_asked_once() {
        let stage = Stage::new();
        let (mut rule, request) = decided(&stage);
        let asked = Seen::StoreAsked { node: 0, number: 1, request: &request };
        assert_eq!(rule.see(&asked, &stage.scene()), Ok(()));
        let again = Seen::StoreAsked { node: 0, number: 2, request: &request };
        assert!(rule.see(&again, &stage.scene()).is_err());
    }

    /// Goal: an answer is told as it was given, once.
    #[test]
    fn an_answer_is_told_as_it_was_given() {
        let stage = Stage::new();
        let (mut rule, request) = decided(&stage);
        let given = Ok(StoreReply::KnownMedia(vec![media_id(1)]));
        let other = told(Err(StoreError::Fenced));
        let event = told(given.clone());
        for seen in [
            Seen::StoreAsked { node: 0, number: 1, request: &request },
            Seen::StoreAnswered { node: 0, number: 1, result: &given },
            Seen::MachineTold { node: 0, event: &event },
        ] {
            assert_eq!(rule.see(&seen, &stage.scene()), Ok(()));
        }
        let twice = Seen::MachineTold { node: 0, event: &event };
        assert!(rule.see(&twice, &stage.scene()).is_err());
        let (mut rule, request) = decided(&stage);
        let asked = Seen::StoreAsked { node: 0, number: 1, request: &request };
        rule.see(&asked, &stage.scene()).expect("it was decided");
        let answered = Seen::StoreAnswered { node: 0, number: 1, result: &given };
        rule.see(&answered, &stage.scene()).expect("it was asked");
        let changed = Seen::MachineTold { node: 0, event: &other };
        assert!(rule.see(&changed, &stage.scene()).is_err());
    }

    /// Goal: what was not done a while later was forgotten, unless the process stood still.
    #[test]
    fn nothing_is_forgotten() {
        let mut stage = Stage::new();
        let (mut rule, _) = decided(&stage);
        stage.now = stage.now + Millis::from_secs(10);
        let tick = Seen::MachineTold { node: 0, event: &Event::Tick };
        assert!(rule.see(&tick, &stage.scene()).is_err());
        let (mut rule, _) = decided(&Stage::new());
        rule.see(&Seen::Disturbed { node: 0 }, &stage.scene()).expect("it is only disturbed");
        assert_eq!(rule.see(&tick, &stage.scene()), Ok(()));
    }

    /// Goal: what is said to a connection is handed over in order, and waits only up to a bound.
    #[test]
    fn a_connection_hears_in_order_and_is_not_buffered_for_ever() {
        let stage = Stage::new();
        let session_id = SessionId::from(uuid::Uuid::from_u128(1));
        let mut rule = Drivers::default();
        rule.see(&stage.booted(), &stage.scene()).expect("a boot breaks nothing");
        let opened = Event::Session(session_id, SessionEvent::Opened);
        rule.see(&Seen::MachineTold { node: 0, event: &opened }, &stage.scene()).expect("opened");
        let mut say = |effect: SessionEffect| {
            let effect = Effect::Session(session_id, effect);
            let said = Seen::MachineSaid { node: 0, node_now: stage.now, effect: &effect };
            rule.see(&said, &stage.scene())
        };
        assert_eq!(say(SessionEffect::Ping), Ok(()));
        assert_eq!(say(SessionEffect::Pong), Ok(()));
        for _ in 2..WAITING_MAX {
            assert_eq!(say(SessionEffect::Ping), Ok(()));
        }
        assert!(say(SessionEffect::Ping).is_err());
        let mut hand = |effect: &SessionEffect| {
            rule.see(&Seen::HandedOver { node: 0, session_id, effect }, &stage.scene())
        };
        assert_eq!(hand(&SessionEffect::Ping), Ok(()));
        assert!(hand(&SessionEffect::Ping).is_err(), "a pong was said");
    }

    /// Goal: two requests that say the same may be answered in either order, and each once.
    #[test]
    fn answers_to_the_same_request_may_be_exchanged() {
        let request = StoreRequest::KnownMedia { media_ids: vec![media_id(1)] };
        let known = Ok(StoreReply::KnownMedia(vec![media_id(1)]));
        let unknown = Ok(StoreReply::KnownMedia(Vec::new()));
        let at = Timestamp::from_ms(0);
        for both_answered in [false, true] {
            let mut process = Process::default();
            let given = |result: &StoreResult| Answered {
                at,
                request: request.clone(),
                result: result.clone(),
            };
            process.answered.insert(OpId(1), given(&known));
            if both_answered {
                process.answered.insert(OpId(2), given(&unknown));
            } else {
                process.asked.insert(9, (OpId(2), request.clone()));
            }
            assert_eq!(process.is_told(OpId(2), &known), Ok(()));
            assert!(process.is_told(OpId(2), &known).is_err(), "told twice");
            if !both_answered {
                let (op, _) = process.asked.remove(&9).expect("it is open still");
                process.answered.insert(op, given(&unknown));
            }
            assert_eq!(process.is_told(OpId(1), &unknown), Ok(()));
            assert!(process.is_told(OpId(1), &known).is_err(), "it was the other's");
        }
    }

    /// Goal: a process that has stopped in order, undisturbed, leaves no task and no bot behind. Method:
    /// the stage's bot is owned by its process.
    #[test]
    fn an_end_leaves_nothing_behind() {
        let stage = Stage::new();
        let ended_after = |took: Millis, node: u128, tasks: usize, in_peace: bool| {
            let node_id = super::super::stage::node_id(node);
            let seen = Seen::Stopped { node: 0, node_id, tasks, took, in_peace };
            Drivers::default().see(&seen, &stage.scene())
        };
        let ended = |node, tasks, in_peace| ended_after(LAST_TASKS, node, tasks, in_peace);
        assert_eq!(ended(2, 0, true), Ok(()));
        assert!(ended(2, 1, true).is_err());
        assert_eq!(ended(2, 1, false), Ok(()));
        assert!(ended_after(Millis::from_secs(1), 2, 1, false).is_err(), "nobody waited for it");
        assert!(ended(1, 0, true).is_err());
        assert_eq!(ended(1, 0, false), Ok(()));
    }

    /// Goal: a processor's end is told when it has ended, not before.
    #[test]
    fn an_end_is_told_after_it_came() {
        let stage = Stage::new();
        let (media_id, token) = (media_id(1), super::super::stage::token(1));
        let result = Err(ProcessorFailure::TimedOut);
        let event = Event::Pools(PoolEvent::Ended { media_id, token, result: result.clone() });
        let mut process = Process::default();
        process.at_work.insert((media_id, token));
        process.running.insert((media_id, token));
        assert!(process.told(&event).is_err());
        let mut process = Process::default();
        process.at_work.insert((media_id, token));
        assert_eq!(process.told(&event), Ok(()));
        assert!(process.told(&event).is_err(), "told twice");
        let result = Err(ProcessorFailure::Cancelled);
        let cancelled = Event::Pools(PoolEvent::Ended { media_id, token, result });
        process.at_work.insert((media_id, token));
        assert!(process.told(&cancelled).is_err(), "nobody took it away");
        process.at_work.insert((media_id, token));
        process.taken_away.insert((media_id, token));
        assert_eq!(process.told(&cancelled), Ok(()));
        assert_eq!(process.forgot(stage.now), Ok(()));
    }
}
