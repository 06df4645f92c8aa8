//! Every command of the job table in every state, compared with `job.rs`.
//!
//! Method: a job is led into a state by requests, and by the core's own transitions beside them; then
//! each command is given to both. The store's answer must tell what the core's does, and the job that
//! the store has afterwards must be the core's.

use std::sync::Arc;

use anteroom_core::job::{Command, Job, Place, Rejection, ReleaseReason};
use anteroom_core::message::Outcome;
use anteroom_core::store::{
    ArchiveAnswer, CallbackPlan, Fence, OperatorAnswer, Release, ReviseAnswer, StoreReply,
    StoreRequest, TokenAnswer,
};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;

use super::fixtures::{
    acknowledged, ended, failure, item, item_of_lease, item_of_result, job, key, lease, media,
    token, words,
};
use super::rig::MANY;
use super::{Rig, TestClock};

const ACTIVE_TTL: Millis = Millis::from_secs(100);
const HOLDING_TTL: Millis = Millis::from_secs(200);

/// A job in the store and, beside it, as the core has it.
struct Pair<'r> {
    rig: &'r Rig<'r>,
    fence: Fence,
    core: Option<Job>,
    number: u64,
}

/// The tokens of a pair: the one that holds the job, and one that never did.
#[derive(Clone, Copy)]
struct Tokens {
    current: u64,
    other: u64,
}

impl<'r> Pair<'r> {
    /// A new pending job, alone in its bot and its pool.
    async fn new(rig: &'r Rig<'r>, number: u64) -> Self {
        let fence = rig.bot(&format!("bot{number}")).await;
        let job = Job {
            pool: format!("pool{number}").into(),
            ..job(&fence, "c", 1, number, rig.clock.now())
        };
        rig.inserted(&fence, &job).await;
        Self { rig, fence, core: Some(job), number }
    }

    /// The retry of a failed job, pending.
    async fn retried(rig: &'r Rig<'r>, number: u64) -> Self {
        let mut pair = Self::new(rig, number).await;
        pair.give(&Command::Claim(lease(number))).await;
        let core = pair.core.clone().expect("it is claimed");
        let complete = Command::Complete { token: token(number), outcome: failure() };
        let applied = core.apply(&complete, rig.clock.now()).expect("it is held");
        let copy = applied.failed_copy.expect("a failure is kept");
        pair.give(&Command::FinishLeased { token: token(number), outcome: failure() }).await;
        rig.mark(&pair.fence, acknowledged(key("c", 1, 0))).await;
        rig.retry(media(number)).await;
        let retried = copy.retry(true, true, None, rig.clock.now()).expect("it is called back");
        pair.core = Some(retried);
        pair
    }

    fn tokens(&self) -> Tokens {
        Tokens { current: 10_000 + self.number, other: 20_000 + self.number }
    }

    /// Gives a command to both, and compares what they say.
    async fn give(&mut self, command: &Command) {
        let Some(core) = self.core.clone() else { panic!("the job is gone") };
        let expected = core.apply(command, self.rig.clock.now()).map(|applied| applied.job);
        let allowed = self.ask(command, &core, &expected).await;
        if allowed {
            self.core = expected.expect("the store did what the core refuses");
        }
    }

    /// Asks the store for what a command stands for, and says whether the job was to change.
    async fn ask(
        &self,
        command: &Command,
        core: &Job,
        expected: &Result<Option<Job>, Rejection>,
    ) -> bool {
        let media_id = core.media_id;
        let allowed = expected.is_ok();
        let token_answer = if allowed { TokenAnswer::Ok } else { TokenAnswer::Stale };
        match command {
            Command::Claim(request) => {
                let claimed = self.rig.claim(core.pool.as_str(), None, *request, 1).await;
                let jobs: Vec<Job> = expected.iter().flatten().cloned().collect();
                assert_eq!(claimed.jobs, jobs);
            }
            Command::Renew { token, ttl } => {
                assert_eq!(self.rig.renew(media_id, *token, *ttl).await, token_answer);
            }
            Command::Complete { token, outcome } => {
                let answer = self.rig.complete(media_id, *token, outcome.clone()).await;
                assert_eq!(answer, token_answer);
            }
            Command::Release { token, delay, reason } => {
                let (token, delay, reason) = (*token, *delay, *reason);
                let release = Release { media_id, token, delay, reason };
                assert_eq!(self.rig.release(release).await, token_answer);
            }
            Command::Reclaim => {
                let swept = self.rig.reclaim().await;
                assert_eq!(swept.iter().any(|swept| swept.media_id == media_id), allowed);
            }
            Command::Hold => assert_eq!(self.rig.hold(&self.fence).await, 1),
            Command::Activate => {
                let jobs: Vec<Job> = expected.iter().flatten().cloned().collect();
                assert_eq!(self.rig.restore(&self.fence).await, jobs);
            }
            Command::Expire { active_ttl, holding_ttl } => {
                let expired = self.expire(*active_ttl, *holding_ttl).await;
                assert_eq!(expired.contains(&media_id), allowed);
            }
            Command::Finish => {
                let message = ended(1, self.number, words("x"));
                return self.archive(item_of_result("c", message), core, allowed).await;
            }
            Command::FinishLeased { token, outcome } => {
                let message = ended(1, self.number, outcome.clone());
                let mut item = item_of_lease("c", message, 0);
                if let Some(job) = &mut item.job {
                    job.token = Some(*token);
                }
                return self.archive(item, core, allowed).await;
            }
            Command::Discard => {
                let answer = match expected {
                    Ok(_) => OperatorAnswer::Done {
                        bot_id: core.bot_id.clone(),
                        pool: core.pool.clone(),
                    },
                    Err(rejection) => OperatorAnswer::Rejected(*rejection),
                };
                assert_eq!(self.rig.discard(media_id).await, answer);
            }
            Command::Revise { .. } => self.revise(core, expected).await,
        }
        allowed
    }

    async fn expire(
        &self,
        active_ttl: Millis,
        holding_ttl: Millis,
    ) -> Vec<anteroom_core::id::MediaId> {
        let running = vec![(self.fence.bot_id.clone(), self.fence.epoch)];
        let request = StoreRequest::ExpireJobs { running, active_ttl, holding_ttl, limit: MANY };
        match self.rig.ask(request).await {
            StoreReply::ExpireJobs(swept) => swept.iter().map(|swept| swept.media_id).collect(),
            other => panic!("expected expired jobs, got {other:?}"),
        }
    }

    /// Archives the job's message. A retry is not ended by that: its message is archived already.
    async fn archive(
        &self,
        item: anteroom_core::store::ArchiveItem,
        core: &Job,
        allowed: bool,
    ) -> bool {
        let answers = self.rig.archive(&self.fence, vec![item]).await;
        let [answer] = &answers[..] else { panic!("one message, {answers:?}") };
        match answer {
            ArchiveAnswer::Stored { .. } => assert!(allowed && core.revision == 0),
            ArchiveAnswer::StaleLease => assert!(!allowed && core.revision == 0),
            ArchiveAnswer::AlreadyStored { .. } => assert!(core.revision > 0),
            ArchiveAnswer::DuplicateProviderMessage { .. } => panic!("{answer:?}"),
        }
        allowed && core.revision == 0
    }

    async fn revise(&self, core: &Job, expected: &Result<Option<Job>, Rejection>) {
        let request = StoreRequest::Revise {
            fence: self.fence.clone(),
            media_id: core.media_id,
            revision: core.revision,
            message: Arc::new(ended(1, self.number, words("again"))),
            correspondent_id: "c".into(),
            callback: CallbackPlan::Owed,
        };
        let StoreReply::Revise(answer) = self.rig.twice(request).await else {
            panic!("expected an answer to a revision");
        };
        match (expected, answer) {
            (Ok(_), ReviseAnswer::Revised { .. }) => {}
            (Err(rejection), ReviseAnswer::Rejected(told)) => assert_eq!(*rejection, told),
            // The message of a job that is no retry has no row yet.
            (Err(_), ReviseAnswer::NotFound) => assert_eq!(core.revision, 0),
            (expected, answer) => panic!("{answer:?} where {expected:?} is expected"),
        }
    }

    /// Compares the jobs themselves.
    async fn compare(self) {
        let now = self.rig.clock.now();
        let expected: Vec<Job> = self
            .core
            .iter()
            .filter_map(|core| core.apply(&Command::Activate, now).ok()?.job)
            .collect();
        assert_eq!(self.rig.restore(&self.fence).await, expected);
    }
}

/// The states of the table, and the commands that lead there from pending.
fn states(tokens: Tokens) -> Vec<(&'static str, Vec<Command>)> {
    let token = token(tokens.current);
    let claim = Command::Claim(lease(tokens.current));
    let complete = |outcome| Command::Complete { token, outcome };
    let release =
        Command::Release { token, delay: Millis::from_hours(9), reason: ReleaseReason::Transient };
    let brief = Command::Claim(anteroom_core::job::LeaseRequest {
        ttl: Millis::ZERO,
        ..lease(tokens.current)
    });
    vec![
        ("pending", vec![]),
        ("backing off", vec![claim.clone(), release]),
        ("processing", vec![claim.clone()]),
        ("processing, lease ended", vec![brief]),
        ("completed", vec![claim.clone(), complete(words("x"))]),
        ("completed by failure", vec![claim, complete(failure())]),
        ("discarded", vec![Command::Discard]),
    ]
}

/// Every command, with the right token, a wrong one, and times to live that are over or not.
fn commands(tokens: Tokens) -> Vec<Command> {
    let mut commands = vec![Command::Reclaim, Command::Hold, Command::Activate];
    commands.extend([Command::Finish, Command::Discard, Command::Revise { row_revision: 0 }]);
    let over = Command::Expire { active_ttl: Millis::ZERO, holding_ttl: Millis::ZERO };
    commands.extend([over, Command::Expire { active_ttl: ACTIVE_TTL, holding_ttl: HOLDING_TTL }]);
    for n in [tokens.current, tokens.other] {
        let token = token(n);
        commands.push(Command::Claim(lease(n)));
        commands.push(Command::Renew { token, ttl: Millis::from_secs(90) });
        for outcome in [words("y"), Outcome::TimedOut] {
            commands.push(Command::Complete { token, outcome: outcome.clone() });
            commands.push(Command::FinishLeased { token, outcome });
        }
        for reason in [ReleaseReason::Shutdown, ReleaseReason::Transient] {
            commands.push(Command::Release { token, delay: Millis::from_secs(5), reason });
        }
    }
    commands
}

/// Leads a fresh job into every state in `place`, and gives it every command.
async fn every_command_in_every_state(rig: &Rig<'_>, held: bool, retried: bool) {
    let numbers = Tokens { current: 0, other: 0 };
    let (states_count, commands_count) = (states(numbers).len(), commands(numbers).len());
    let mut number = 1;
    for state in 0..states_count {
        for command in 0..commands_count {
            let mut pair = match retried {
                true => Pair::retried(rig, number).await,
                false => Pair::new(rig, number).await,
            };
            let tokens = pair.tokens();
            let (name, path) = states(tokens).swap_remove(state);
            for step in path {
                pair.give(&step).await;
            }
            if held {
                pair.give(&Command::Hold).await;
            }
            let core = pair.core.clone().expect("no state is that of being gone");
            assert_eq!(matches!(core.place, Place::Holding { .. }), held, "{name}");
            rig.clock.advance(Millis::from_secs(1));
            pair.give(&commands(tokens).swap_remove(command)).await;
            pair.compare().await;
            number += 1;
        }
    }
}

/// Goal: active jobs change exactly as the table says.
pub async fn every_command_on_active_jobs(store: &dyn Store, clock: &TestClock) {
    every_command_in_every_state(&Rig::new(store, clock), false, false).await;
}

/// Goal: holding jobs change exactly as the table says.
pub async fn every_command_on_holding_jobs(store: &dyn Store, clock: &TestClock) {
    every_command_in_every_state(&Rig::new(store, clock), true, false).await;
}

/// Goal: retries, which are revisions of an archived message, change exactly as the table says.
pub async fn every_command_on_active_retries(store: &dyn Store, clock: &TestClock) {
    every_command_in_every_state(&Rig::new(store, clock), false, true).await;
}

/// Goal: the same for retries of a stopped bot.
pub async fn every_command_on_holding_retries(store: &dyn Store, clock: &TestClock) {
    every_command_in_every_state(&Rig::new(store, clock), true, true).await;
}

/// Goal: what a job's transitions leave in the archive is one message. Method: complete, archive, and
/// every way of doing it again.
pub async fn a_message_is_archived_by_one_way_only(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let mut pair = Pair::new(&rig, 1).await;
    let tokens = pair.tokens();
    pair.give(&Command::Claim(lease(tokens.current))).await;
    let outcome = words("y");
    pair.give(&Command::FinishLeased { token: token(tokens.current), outcome }).await;
    let message = ended(1, 1, words("y"));
    let again = [
        item_of_result("c", message.clone()),
        item_of_lease("c", message.clone(), tokens.current),
        item_of_lease("c", message.clone(), tokens.other),
        item("c", message),
    ];
    for item in again {
        let answers = rig.archive(&pair.fence, vec![item]).await;
        assert!(matches!(answers[..], [ArchiveAnswer::AlreadyStored { .. }]));
    }
    assert_eq!(rig.owed(&pair.fence).await.len(), 1);
}
