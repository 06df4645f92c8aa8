//! One message's story, told from what is known: what happened, in order, and what it waits for.
//!
//! Pure: what is known comes in, one JSON object goes out. Every fact has its source: the store's are there
//! as long as the message is kept, whose work its text is among them; retries, and each time that it was called
//! back, are remembered by the node that did it, for as long as its journal reaches back.

use std::collections::BTreeSet;

use anteroom_core::id::{
    BotId, CallbackId, CallbackKey, CorrespondentId, MediaId, MessageId, NodeId,
};
use anteroom_core::job::{Job, Place, Status, Worked};
use anteroom_core::message::Message;
use anteroom_core::time::Timestamp;
use anteroom_core::view::{
    BotView, CallbackStateView, CallbackView, CircuitView, ConsumerView, CorrespondentView,
    PhaseView,
};
use serde_json::{Value, json};

use super::show;
use crate::driver::{Happened, Remembered, outcome_kind};
use crate::store::views::{Archived, CallbackProgress, Kept, Owner, reason};

/// Whose story.
pub(super) struct Whose {
    pub(super) bot_id: BotId,
    pub(super) correspondent_id: CorrespondentId,
    pub(super) message_id: MessageId,
}

/// What is known.
pub(super) struct Story<'a> {
    pub(super) whose: &'a Whose,
    pub(super) kept: Kept,
    pub(super) remembered: Vec<Remembered>,
    pub(super) view: Option<BotView>,
    pub(super) memory: Option<CorrespondentView>,
    pub(super) owner: Option<Owner>,
    pub(super) now: Timestamp,
    pub(super) node_id: NodeId,
}

impl Kept {
    /// The medium of the message.
    pub(super) fn media_id(&self) -> Option<MediaId> {
        let of_job = self.open.as_ref().or(self.failed.as_ref().map(|copy| &copy.job));
        let of_row = self.archived.as_ref().and_then(|row| row.message.media_id());
        of_job.map(|job| job.media_id).or(of_row)
    }

    /// The work that results are kept of: the message's, and that of a retry whose result waits.
    fn worked(&self) -> BTreeSet<Worked> {
        // Once the message is archived, its row tells of the work that its failed copy is of.
        let of_message = match &self.archived {
            Some(row) => row.worked,
            None => self.failed.as_ref().and_then(|copy| copy.job.worked()),
        };
        let of_job = self.open.as_ref().and_then(Job::worked);
        of_message.into_iter().chain(of_job).collect()
    }

    fn message(&self) -> Option<&Message> {
        let of_row = self.archived.as_ref().map(|row| &row.message);
        let of_job = self.open.as_ref().or(self.failed.as_ref().map(|copy| &copy.job));
        of_row.or(of_job.map(|job| &job.placeholder_message))
    }
}

/// One thing that happened.
struct Step {
    at: Timestamp,
    what: &'static str,
    detail: Option<String>,
}

/// What a message waits for.
struct Waits {
    /// `done`, `waiting` or `failed`.
    state: &'static str,
    /// One word for programs.
    code: &'static str,
    /// A sentence for people.
    text: String,
    until: Option<Timestamp>,
}

impl Waits {
    fn waiting(code: &'static str, text: impl Into<String>) -> Self {
        Self { state: "waiting", code, text: text.into(), until: None }
    }

    fn done(code: &'static str, text: impl Into<String>) -> Self {
        Self { state: "done", code, text: text.into(), until: None }
    }

    fn until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }
}

impl Story<'_> {
    /// The public id of the message.
    pub(super) fn id(&self) -> CallbackId {
        let Whose { bot_id, correspondent_id, message_id } = self.whose;
        let key = CallbackKey {
            correspondent_id: correspondent_id.clone(),
            message_id: *message_id,
            revision: 0,
        };
        CallbackId { bot_id: bot_id.clone(), key }
    }

    /// The story; none when nothing is known of the message.
    pub(super) fn told(&self) -> Option<Value> {
        let queued = self.queued();
        if self.kept.message().is_none() && queued.is_none() {
            return None;
        }
        let mut steps = self.steps();
        steps.sort_by_key(|step| step.at);
        let waits = self.waits();
        let mut before: Option<Timestamp> = None;
        let steps = steps.iter().map(|step| {
            let after = before.map(|before| step.at.since(before));
            before = Some(step.at);
            json!({ "at": step.at, "what": step.what, "detail": step.detail, "after_ms": after })
        });
        let message = self.kept.message();
        Some(json!({
            "id": self.id().to_string(),
            "bot_id": self.whose.bot_id,
            "correspondent_id": self.whose.correspondent_id,
            "message_id": self.whose.message_id,
            "provider_message_id": message.map(|message| &message.provider_message_id),
            "media_id": self.kept.media_id().or(queued.and_then(|queued| queued.media_id)),
            "revision": self.kept.archived.as_ref().map(|row| row.revision),
            "steps": steps.collect::<Vec<_>>(),
            "now": {
                "state": waits.state,
                "code": waits.code,
                "text": waits.text,
                "until": waits.until,
            },
            "told_by": self.node_id,
        }))
    }

    /// The message in its queue in memory.
    fn queued(&self) -> Option<&anteroom_core::view::QueuedView> {
        let queue = &self.memory.as_ref()?.queue;
        queue.iter().find(|queued| queued.message_id == self.whose.message_id)
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut add = |at, what, detail| steps.push(Step { at, what, detail });
        match (self.kept.message(), self.queued()) {
            (Some(message), _) => {
                add(message.originating_time, "written", None);
                add(message.accepted_time, "received", None);
            }
            (None, Some(queued)) => add(queued.accepted_time, "received", None),
            (None, None) => {}
        }
        for worked in self.kept.worked() {
            add(worked.claimed_at, "claimed", Some(format!("by worker {}", worked.worker_id)));
            add(worked.ended_at, "work_ended", None);
        }
        if let Some(copy) = &self.kept.failed {
            let why = reason(&copy.job);
            if self.kept.open.is_none() {
                add(copy.job.created_at, queued_as(&copy.job), Some(in_pool(&copy.job)));
            }
            add(copy.failed_at, "failed", Some(format!("{why}, after {} claims", copy.job.claims)));
        }
        if let Some(job) = &self.kept.open {
            add(job.created_at, queued_as(job), Some(in_pool(job)));
            if let Place::Holding { held_at } = job.place {
                add(held_at, "held", Some("its bot stopped".to_owned()));
            }
            if let Some(lease) = job.lease() {
                add(lease.claimed_at, "claimed", Some(format!("by worker {}", lease.worker_id)));
            }
        }
        if let Some(row) = &self.kept.archived {
            add(row.archived_at, "archived", None);
        }
        // Of one moment, the end comes last.
        for Remembered { at, what } in &self.remembered {
            let (what, detail) = self.remembered_as(what);
            add(*at, what, detail);
        }
        if let Some(row) = &self.kept.archived
            && let Some(ended_at) = row.ended_at
            && row.callback != CallbackProgress::None
        {
            let attempts = Some(format!("attempts: {}", row.attempts));
            add(ended_at, show::progress(row.callback), attempts);
        }
        steps
    }

    fn remembered_as(&self, what: &Happened) -> (&'static str, Option<String>) {
        match what {
            Happened::WorkBegan { pool } => {
                ("work_began", Some(format!("by worker {} of pool {pool}", self.node_id)))
            }
            Happened::Ended { outcome } => ("ended", Some(format!("outcome: {outcome}"))),
            Happened::Reclaimed => ("lease_reclaimed", None),
            Happened::TransientFailure => ("transient_failure", None),
            Happened::TimedOut => ("timed_out", None),
            Happened::CalledBack { revision, attempt } => {
                let of =
                    if *revision > 0 { format!(" of revision {revision}") } else { String::new() };
                ("called_back", Some(format!("attempt {}{of}", attempt.0)))
            }
            Happened::Undeliverable => ("given_up", None),
            Happened::GateReleased => ("gate_released", None),
        }
    }

    fn waits(&self) -> Waits {
        match (&self.kept.archived, &self.kept.open) {
            // A retry under way is the news, whatever became of the message before.
            (_, Some(job)) => self.job_waits(job),
            (Some(row), None) => self.row_waits(row),
            (None, None) if self.kept.failed.is_some() => {
                Waits { state: "failed", ..Waits::done("failed", "it failed, and can be retried") }
            }
            (None, None) => {
                Waits::waiting("archive", "it is in memory and waits for the store to take it")
            }
        }
    }

    fn job_waits(&self, job: &Job) -> Waits {
        match (&job.status, job.place) {
            (Status::Processing { lease }, _) if lease.expires_at <= self.now => {
                let text =
                    "its worker did not renew its lease in time: the next sweep takes the job back";
                Waits::waiting("lease_over", text).until(lease.expires_at)
            }
            (Status::Processing { lease }, _) => {
                let text = format!("worker {} of pool {} works on it", lease.worker_id, job.pool);
                Waits::waiting("worker", text).until(lease.expires_at)
            }
            (Status::Pending, Place::Holding { .. }) => {
                let text =
                    "its bot is stopped, so nobody may work on it; it goes on when the bot starts";
                Waits::waiting("bot_stopped", text)
            }
            (Status::Pending, Place::Active) => match job.not_before.filter(|at| *at > self.now) {
                Some(until) => {
                    let text = "the engine failed for the moment; it is tried again then";
                    Waits::waiting("backing_off", text).until(until)
                }
                None => {
                    let text = format!("it waits for a free worker of pool {}", job.pool);
                    Waits::waiting("pool", text)
                }
            },
            (Status::Completed { outcome, .. }, _) => {
                let kind = outcome_kind(outcome);
                let text = format!("its outcome ({kind}) waits for its bot to take it");
                self.bot_waits().unwrap_or_else(|| Waits::waiting("result", text))
            }
        }
    }

    fn row_waits(&self, row: &Archived) -> Waits {
        match row.callback {
            CallbackProgress::None => {
                Waits::done("archived", "it is archived, and owes no callback")
            }
            CallbackProgress::Acknowledged => {
                Waits::done("acknowledged", "its consumer has acknowledged it")
            }
            CallbackProgress::Undeliverable => Waits {
                state: "failed",
                ..Waits::done(
                    "undeliverable",
                    format!(
                        "its consumer refused it too often; `anteroom callbacks redeliver {}` owes it anew",
                        show::callback_id(row)
                    ),
                )
            },
            CallbackProgress::Owed => self.callback_waits(row),
        }
    }

    /// Why the bot can do nothing, if so.
    fn bot_waits(&self) -> Option<Waits> {
        let Some(owner) = &self.owner else {
            let barred = self.view.as_ref().is_some_and(|view| view.barred);
            return Some(if barred {
                Waits::waiting("bot_stopped", "an operator stopped its bot")
            } else {
                let text = "no node runs its bot: its provider is not connected";
                Waits::waiting("bot_stopped", text)
            });
        };
        if owner.node_id != self.node_id {
            let text = format!("node {} runs its bot: ask that one", owner.node_id);
            return Some(Waits::waiting("bot_elsewhere", text));
        }
        match self.view.as_ref().map(|view| view.phase) {
            Some(PhaseView::Running) => None,
            Some(
                phase @ (PhaseView::Registering
                | PhaseView::Acquiring
                | PhaseView::Restoring
                | PhaseView::Draining
                | PhaseView::Holding
                | PhaseView::Stopped),
            ) => {
                let text = format!("its bot does not run just now ({phase:?})").to_lowercase();
                Some(Waits::waiting("bot_not_running", text))
            }
            None => Some(Waits::waiting("bot_not_running", "its bot is not in memory here")),
        }
    }

    fn callback_waits(&self, row: &Archived) -> Waits {
        if let Some(waits) = self.bot_waits() {
            return waits;
        }
        let Some(view) = &self.view else {
            return Waits::waiting("bot_not_running", "its bot is not in memory here");
        };
        match (view.consumer, view.circuit) {
            (ConsumerView::Absent, _) => {
                let text = "no consumer is connected that takes the bot's callbacks";
                return Waits::waiting("no_consumer", text);
            }
            (ConsumerView::Gone, _) => {
                let text = "its consumer said that it is gone for good; another has to come, or be resumed";
                return Waits::waiting("consumer_gone", text);
            }
            (ConsumerView::Present, CircuitView::Open { probe_at }) => {
                let text = "its consumer is unavailable; one callback asks then whether it is back";
                return Waits::waiting("circuit_open", text).until(probe_at);
            }
            (ConsumerView::Present, CircuitView::Probing) => {
                let text =
                    "its consumer was unavailable; a callback is out to ask whether it is back";
                return Waits::waiting("probing", text);
            }
            (ConsumerView::Present, CircuitView::Closed) => {}
        }
        let key = show::callback_id(row).key;
        let callbacks = self.memory.as_ref().map_or(&[][..], |memory| &memory.callbacks);
        match callbacks.iter().position(|callback| callback.key == key) {
            None => Waits::waiting("in_store", "it waits in the store for its turn"),
            Some(place) => self.turn(callbacks, place),
        }
    }

    /// What a callback in memory waits for; of a correspondent, one is made after the other.
    fn turn(&self, callbacks: &[CallbackView], place: usize) -> Waits {
        let it = &callbacks[place];
        match it.state {
            CallbackStateView::Open => {
                let text = format!("its consumer has not answered attempt {} yet", it.attempt.0);
                Waits::waiting("consumer_answer", text)
            }
            CallbackStateView::Raising | CallbackStateView::Ending => {
                Waits::waiting("store", "the store is making its next step durable")
            }
            CallbackStateView::Refused { until } => {
                let text =
                    format!("its consumer refused it {} times; it is made again then", it.failures);
                Waits::waiting("refused", text).until(until)
            }
            CallbackStateView::Waiting => match (it.gate, callbacks[..place].first()) {
                (Some(gate), _) => {
                    let text = format!(
                        "it is held behind the placeholder of message {}, whose media has not become text",
                        gate.behind
                    );
                    Waits::waiting("gated", text).until(gate.until)
                }
                (None, Some(first)) => {
                    let id = first.key.message_id;
                    let text = format!(
                        "the callback of message {id} of the same correspondent comes first"
                    );
                    Waits::waiting("behind", text)
                }
                (None, None) => Waits::waiting("turn", "it goes out as soon as its bot has a turn"),
            },
        }
    }
}

fn queued_as(job: &Job) -> &'static str {
    if job.revision > 0 { "retried" } else { "queued" }
}

fn in_pool(job: &Job) -> String {
    format!("in pool {}", job.pool)
}

#[cfg(test)]
mod tests {
    use anteroom_core::id::{ArchiveSeq, Attempt, Epoch, PoolName};
    use anteroom_core::job::Lease;
    use anteroom_core::message::{Media, MediaKind, Participant, Source};
    use anteroom_core::time::Millis;
    use anteroom_core::view::GateView;
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(100_000);
    const LATER: Timestamp = Timestamp::from_ms(160_000);
    const BEFORE: Timestamp = Timestamp::from_ms(90_000);

    fn node(number: u128) -> NodeId {
        Uuid::from_u128(number).into()
    }

    fn message() -> Message {
        Message {
            id: MessageId::FIRST,
            content: "hello".to_owned(),
            sender: Participant::default(),
            source: Source::User,
            accepted_time: Timestamp::from_ms(2_000),
            message_size: 5,
            originating_time: Timestamp::from_ms(1_000),
            group: None,
            provider_message_id: "p".into(),
            replayed: false,
            truncated: false,
            media: Some(Box::new(Media {
                media_id: Uuid::from_u128(7).into(),
                kind: MediaKind::Audio,
                mime_type: "audio/ogg".to_owned(),
                original_filename: None,
                caption: None,
                outcome: None,
            })),
        }
    }

    fn job(status: Status) -> Job {
        Job {
            media_id: Uuid::from_u128(7).into(),
            bot_id: "b".into(),
            correspondent_id: "ada".into(),
            provider_name: "p".into(),
            placeholder_message: message(),
            mime_type: "audio/ogg".to_owned(),
            kind: MediaKind::Audio,
            pool: PoolName::from("audio"),
            original_filename: None,
            quota_exceeded: false,
            detail: None,
            place: Place::Active,
            status,
            created_at: Timestamp::from_ms(3_000),
            active_since: Timestamp::from_ms(3_000),
            claims: 0,
            lost: 0,
            transient: 0,
            not_before: None,
            revision: 0,
        }
    }

    fn row(callback: CallbackProgress) -> Archived {
        Archived {
            bot_id: "b".into(),
            correspondent_id: "ada".into(),
            message: message(),
            seq: ArchiveSeq(1),
            revision: 0,
            callback,
            attempts: 1,
            failures: 0,
            archived_at: Timestamp::from_ms(9_000),
            ended_at: (callback != CallbackProgress::Owed).then(|| Timestamp::from_ms(9_500)),
            worked: Some(Worked {
                worker_id: node(3),
                claimed_at: Timestamp::from_ms(3_000),
                ended_at: Timestamp::from_ms(8_000),
            }),
        }
    }

    fn view() -> BotView {
        BotView {
            bot_id: "b".into(),
            record: None,
            phase: PhaseView::Running,
            barred: false,
            epoch: Some(Epoch(1)),
            connections: 1,
            correspondents: 1,
            placeholders: 0,
            consumer: ConsumerView::Present,
            circuit: CircuitView::Closed,
            open_callbacks: 0,
            owed_in_memory: 1,
        }
    }

    fn callback(number: u64, state: CallbackStateView) -> CallbackView {
        CallbackView {
            key: CallbackKey {
                correspondent_id: "ada".into(),
                message_id: MessageId::new(number).expect("ids count from 1"),
                revision: 0,
            },
            attempt: Attempt(1),
            failures: 0,
            state,
            gate: None,
        }
    }

    fn memory(callbacks: Vec<CallbackView>) -> CorrespondentView {
        CorrespondentView {
            queue: Vec::new(),
            archiving: 0,
            total_chars: 0,
            callbacks,
            more_in_store: false,
        }
    }

    /// What is said of a message of the bot `b`, which runs here with a consumer but for `change`.
    fn told(kept: Kept, change: impl FnOnce(&mut Story<'_>)) -> (String, Option<u64>) {
        let whose = Whose {
            bot_id: "b".into(),
            correspondent_id: "ada".into(),
            message_id: MessageId::FIRST,
        };
        let owner = Owner {
            bot_id: "b".into(),
            node_id: node(1),
            epoch: Epoch(1),
            remaining: Millis::from_secs(10),
        };
        let mut story = Story {
            whose: &whose,
            kept,
            remembered: Vec::new(),
            view: Some(view()),
            memory: Some(memory(vec![callback(1, CallbackStateView::Waiting)])),
            owner: Some(owner),
            now: NOW,
            node_id: node(1),
        };
        change(&mut story);
        let told = story.told().expect("it is known");
        let code = told["now"]["code"].as_str().unwrap_or_default().to_owned();
        (code, told["now"]["until"].as_u64())
    }

    fn with_row(callback: CallbackProgress) -> Kept {
        Kept { archived: Some(row(callback)), ..Kept::default() }
    }

    fn with_job(job: Job) -> Kept {
        Kept { open: Some(job), ..Kept::default() }
    }

    fn is(code: &str, until: Option<Timestamp>) -> (String, Option<u64>) {
        (code.to_owned(), until.map(Timestamp::as_ms))
    }

    /// Goal: whatever an owed callback waits for is named, and until when.
    #[test]
    fn what_a_callback_waits_for_is_named() {
        let owed = || with_row(CallbackProgress::Owed);
        let with = |view_change: fn(&mut BotView)| {
            told(owed(), |story| view_change(story.view.as_mut().expect("there is one")))
        };
        assert_eq!(told(owed(), |_| {}), is("turn", None));
        assert_eq!(with(|view| view.consumer = ConsumerView::Absent), is("no_consumer", None));
        assert_eq!(with(|view| view.consumer = ConsumerView::Gone), is("consumer_gone", None));
        let open = with(|view| view.circuit = CircuitView::Open { probe_at: LATER });
        assert_eq!(open, is("circuit_open", Some(LATER)));
        assert_eq!(with(|view| view.circuit = CircuitView::Probing), is("probing", None));
        assert_eq!(with(|view| view.phase = PhaseView::Draining), is("bot_not_running", None));
        assert_eq!(told(owed(), |story| story.owner = None), is("bot_stopped", None));
        let elsewhere = told(owed(), |story| story.node_id = node(2));
        assert_eq!(elsewhere, is("bot_elsewhere", None));
        assert_eq!(told(owed(), |story| story.memory = None), is("in_store", None));
        for (state, expected) in [
            (CallbackStateView::Open, is("consumer_answer", None)),
            (CallbackStateView::Raising, is("store", None)),
            (CallbackStateView::Ending, is("store", None)),
            (CallbackStateView::Refused { until: LATER }, is("refused", Some(LATER))),
        ] {
            let memory = memory(vec![callback(1, state)]);
            assert_eq!(told(owed(), |story| story.memory = Some(memory)), expected);
        }
        let (first, waiting) = (callback(4, CallbackStateView::Open), CallbackStateView::Waiting);
        let behind = memory(vec![first, callback(1, waiting)]);
        assert_eq!(told(owed(), |story| story.memory = Some(behind)), is("behind", None));
        let gate = GateView { behind: MessageId::FIRST, until: LATER };
        let gated = memory(vec![CallbackView { gate: Some(gate), ..callback(1, waiting) }]);
        assert_eq!(told(owed(), |story| story.memory = Some(gated)), is("gated", Some(LATER)));
    }

    /// Goal: whatever a job waits for is named, and until when; a retry under way is the news.
    #[test]
    fn what_a_job_waits_for_is_named() {
        let leased = |expires_at| {
            let (worker_id, token) = (node(1), Uuid::from_u128(9).into());
            let lease = Lease { worker_id, token, claimed_at: BEFORE, expires_at };
            with_job(job(Status::Processing { lease }))
        };
        let pending = || job(Status::Pending);
        let holding = Job { place: Place::Holding { held_at: BEFORE }, ..pending() };
        let backing_off = Job { not_before: Some(LATER), ..pending() };
        let retried = Kept { open: Some(pending()), ..with_row(CallbackProgress::Acknowledged) };
        for (kept, expected) in [
            (leased(LATER), is("worker", Some(LATER))),
            (leased(BEFORE), is("lease_over", Some(BEFORE))),
            (with_job(pending()), is("pool", None)),
            (with_job(holding), is("bot_stopped", None)),
            (with_job(backing_off), is("backing_off", Some(LATER))),
            (retried, is("pool", None)),
            (with_row(CallbackProgress::Acknowledged), is("acknowledged", None)),
            (with_row(CallbackProgress::None), is("archived", None)),
            (with_row(CallbackProgress::Undeliverable), is("undeliverable", None)),
        ] {
            assert_eq!(told(kept, |_| {}), expected);
        }
    }

    /// Goal: steps come in the order of time with the time between, and nothing that was written is told.
    #[test]
    fn steps_come_in_order() {
        let whose = Whose {
            bot_id: "b".into(),
            correspondent_id: "ada".into(),
            message_id: MessageId::FIRST,
        };
        let called_back = Happened::CalledBack { revision: 0, attempt: Attempt(1) };
        let story = Story {
            whose: &whose,
            kept: with_row(CallbackProgress::Acknowledged),
            remembered: vec![Remembered { at: Timestamp::from_ms(9_500), what: called_back }],
            view: None,
            memory: None,
            owner: None,
            now: NOW,
            node_id: node(1),
        };
        let told = story.told().expect("it is known");
        let steps = told["steps"].as_array().expect("there are steps").iter();
        let steps: Vec<_> =
            steps.map(|step| (step["what"].as_str(), step["after_ms"].as_u64())).collect();
        assert_eq!(
            steps,
            [
                (Some("written"), None),
                (Some("received"), Some(1_000)),
                (Some("claimed"), Some(1_000)),
                (Some("work_ended"), Some(5_000)),
                (Some("archived"), Some(1_000)),
                (Some("called_back"), Some(500)),
                (Some("acknowledged"), Some(0)),
            ]
        );
        assert!(!told.to_string().contains("hello"));
        assert_eq!(Story { kept: Kept::default(), ..story }.told(), None);
    }
}
