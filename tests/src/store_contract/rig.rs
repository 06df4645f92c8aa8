//! Asking a store, in the words of the cases.
//!
//! Owns the translation between typed calls and requests as data. A reply of another variant than its
//! request fails the case.

use std::sync::Arc;

use anteroom_core::id::{ArchiveSeq, Attempt, BotId, CallbackKey, LeaseToken, MediaId, MessageId};
use anteroom_core::job::offer::LeaseOffer;
use anteroom_core::job::{Job, LeaseRequest};
use anteroom_core::message::{Message, Outcome};
use anteroom_core::settings::Run;
use anteroom_core::store::{
    Acquired, ArchiveAnswer, ArchiveItem, BotRecord, CallbackPlan, Claimed, Completion, Fence,
    InsertAnswer, JobCursor, JobPage, Mark, MarkAnswer, NewJob, OperatorAnswer, OwedCallback,
    OwedScope, RedeliverAnswer, ReviseAnswer, Send, StoreError, StoreReply, StoreRequest, Swept,
    TokenAnswer,
};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;

use super::TestClock;
use super::fixtures::{TTL, node, routing};

/// More than any case has.
pub const MANY: u32 = 1_000;

/// A store under test.
pub struct Rig<'s> {
    /// The store.
    pub store: &'s dyn Store,
    /// Its time.
    pub clock: &'s TestClock,
}

/// Asks, and takes the reply apart.
macro_rules! asked {
    ($asked:expr, $variant:ident) => {
        match $asked.await {
            StoreReply::$variant(answer) => answer,
            other => panic!("expected a reply to {}, got {other:?}", stringify!($variant)),
        }
    };
}

impl<'s> Rig<'s> {
    /// The rig of a case.
    pub fn new(store: &'s dyn Store, clock: &'s TestClock) -> Self {
        Self { store, clock }
    }

    /// Asks once; the request succeeds.
    pub async fn ask(&self, request: StoreRequest) -> StoreReply {
        match self.store.execute(request.clone()).await {
            Ok(reply) => reply,
            Err(error) => panic!("{error} in answer to {request:?}"),
        }
    }

    /// Asks twice; both answers are the same.
    pub async fn twice(&self, request: StoreRequest) -> StoreReply {
        let once = self.ask(request.clone()).await;
        let again = self.ask(request.clone()).await;
        assert_eq!(once, again, "repeating {request:?} changed its answer");
        once
    }

    /// Asks; the request is refused.
    pub async fn refused(&self, request: StoreRequest) -> StoreError {
        match self.store.execute(request.clone()).await {
            Ok(reply) => panic!("{reply:?} in answer to {request:?}, which is to be refused"),
            Err(error) => error,
        }
    }

    /// A registered bot, owned by the first node.
    pub async fn bot(&self, bot_id: &str) -> Fence {
        let record = BotRecord {
            bot_id: bot_id.into(),
            provider_name: "provider".into(),
            run: Run::WhileConnected,
        };
        self.ask(StoreRequest::RegisterBot(record)).await;
        self.acquired(bot_id, 1).await
    }

    /// Takes a bot for the n-th node, which succeeds.
    pub async fn acquired(&self, bot_id: &str, n: u64) -> Fence {
        match self.acquire(bot_id, n).await {
            Acquired::Acquired { epoch } => Fence { bot_id: bot_id.into(), epoch },
            other => panic!("{bot_id} could not be acquired: {other:?}"),
        }
    }

    /// Tries to take a bot for the n-th node.
    pub async fn acquire(&self, bot_id: &str, n: u64) -> Acquired {
        let bot_id: BotId = bot_id.into();
        let request = StoreRequest::AcquireBot { bot_id, node_id: node(n), ttl: TTL };
        asked!(self.twice(request), AcquireBot)
    }

    /// Inserts jobs.
    pub async fn insert(&self, fence: &Fence, jobs: Vec<NewJob>) -> Vec<InsertAnswer> {
        let request = StoreRequest::InsertJobs { fence: fence.clone(), jobs };
        asked!(self.twice(request), InsertJobs)
    }

    /// Inserts one job that is new, without a lease.
    pub async fn inserted(&self, fence: &Fence, job: &Job) {
        let jobs = vec![NewJob { job: job.clone(), lease: None }];
        let answers = self.insert(fence, jobs).await;
        assert_eq!(answers, [InsertAnswer::Inserted { leased: false }]);
    }

    /// Inserts one job that is new, leased.
    pub async fn inserted_leased(&self, fence: &Fence, job: &Job, lease: LeaseRequest) {
        let jobs = vec![NewJob { job: job.clone(), lease: Some(lease) }];
        let answers = self.insert(fence, jobs).await;
        assert_eq!(answers, [InsertAnswer::Inserted { leased: true }]);
    }

    /// Claims once, from the first bot on.
    pub async fn claim_once(&self, pool: &str, lease: LeaseRequest, limit: u32) -> Claimed {
        let request = StoreRequest::Claim { pool: pool.into(), after_bot: None, lease, limit };
        asked!(self.ask(request), Claim)
    }

    /// Claims.
    pub async fn claim(
        &self,
        pool: &str,
        after_bot: Option<&str>,
        lease: LeaseRequest,
        limit: u32,
    ) -> Claimed {
        let after_bot = after_bot.map(BotId::from);
        let request = StoreRequest::Claim { pool: pool.into(), after_bot, lease, limit };
        asked!(self.twice(request), Claim)
    }

    /// Prolongs one lease, and says whether it was lost.
    pub async fn renew(&self, media_id: MediaId, token: LeaseToken, ttl: Millis) -> TokenAnswer {
        let request = StoreRequest::Renew { leases: vec![(media_id, token)], ttl };
        token_answer(media_id, &asked!(self.twice(request), Renew))
    }

    /// Gives one job back, and says whether it was held.
    pub async fn release(&self, release: anteroom_core::store::Release) -> TokenAnswer {
        let media_id = release.media_id;
        let request = StoreRequest::Release { releases: vec![release] };
        token_answer(media_id, &asked!(self.ask(request), Release))
    }

    /// Stores one result.
    pub async fn complete(
        &self,
        media_id: MediaId,
        token: LeaseToken,
        outcome: Outcome,
    ) -> TokenAnswer {
        let completions = vec![Completion { media_id, token, outcome }];
        let answers = asked!(self.twice(StoreRequest::Complete { completions }), Complete);
        let [answer] = answers[..] else { panic!("one completion, {answers:?}") };
        answer
    }

    /// All jobs of a bot, activated.
    pub async fn restore(&self, fence: &Fence) -> Vec<Job> {
        let page = self.restore_page(fence, None, MANY).await;
        assert!(!page.more);
        page.jobs
    }

    /// A page of a bot's jobs, activated.
    pub async fn restore_page(
        &self,
        fence: &Fence,
        after: Option<JobCursor>,
        limit: u32,
    ) -> JobPage {
        let offers = Vec::new();
        let request =
            StoreRequest::RestoreBot { fence: fence.clone(), after, limit, offers, routing: None };
        asked!(self.twice(request), RestoreBot)
    }

    /// The first page of a bot's jobs, activated, and leased as far as there are places.
    pub async fn restore_leased(
        &self,
        fence: &Fence,
        limit: u32,
        offers: &[LeaseOffer],
    ) -> JobPage {
        let (fence, offers) = (fence.clone(), offers.to_vec());
        let request = StoreRequest::RestoreBot { fence, after: None, limit, offers, routing: None };
        asked!(self.twice(request), RestoreBot)
    }

    /// All of a bot's jobs, activated by an owner whose one pool takes everything.
    pub async fn restore_into(
        &self,
        fence: &Fence,
        pool: &str,
        offers: Vec<LeaseOffer>,
    ) -> Vec<Job> {
        let (fence, routing) = (fence.clone(), Some(routing(pool)));
        let request = StoreRequest::RestoreBot { fence, after: None, limit: MANY, offers, routing };
        asked!(self.twice(request), RestoreBot).jobs
    }

    /// Moves a bot's jobs to holding.
    pub async fn hold(&self, fence: &Fence) -> u32 {
        asked!(self.twice(StoreRequest::HoldBot(fence.clone())), HoldBot)
    }

    /// A page of a bot's results.
    pub async fn completed(&self, fence: &Fence, after: Option<JobCursor>, limit: u32) -> JobPage {
        let request = StoreRequest::CompletedJobs { fence: fence.clone(), after, limit };
        asked!(self.twice(request), CompletedJobs)
    }

    /// A correspondent's first free id.
    pub async fn next_id(&self, fence: &Fence, correspondent: &str) -> MessageId {
        let bot_id = fence.bot_id.clone();
        let request = StoreRequest::NextId { bot_id, correspondent_id: correspondent.into() };
        asked!(self.twice(request), NextId)
    }

    /// Archives, once.
    pub async fn archive(&self, fence: &Fence, items: Vec<ArchiveItem>) -> Vec<ArchiveAnswer> {
        asked!(self.ask(StoreRequest::Archive { fence: fence.clone(), items }), Archive)
    }

    /// Archives one message that is new, then again.
    pub async fn archived(&self, fence: &Fence, item: ArchiveItem) -> ArchiveSeq {
        let answers = self.archive(fence, vec![item.clone()]).await;
        let [ArchiveAnswer::Stored { seq }] = answers[..] else {
            panic!("{answers:?} in answer to {item:?}");
        };
        let again = self.archive(fence, vec![item]).await;
        assert_eq!(again, [ArchiveAnswer::AlreadyStored { seq }]);
        seq
    }

    /// Revises.
    pub async fn revise(
        &self,
        fence: &Fence,
        correspondent: &str,
        message: Message,
        revision: u32,
        callback: CallbackPlan,
    ) -> ReviseAnswer {
        let request = StoreRequest::Revise {
            fence: fence.clone(),
            media_id: message.media_id().expect("only messages with media are revised"),
            revision,
            message: Arc::new(message),
            correspondent_id: correspondent.into(),
            callback,
        };
        asked!(self.twice(request), Revise)
    }

    /// A page of owed callbacks, and whether there are more.
    pub async fn owed_page(
        &self,
        fence: &Fence,
        scope: OwedScope,
        limit: u32,
    ) -> (Vec<OwedCallback>, bool) {
        let request = StoreRequest::OwedCallbacks { fence: fence.clone(), scope, limit };
        match self.ask(request).await {
            StoreReply::OwedCallbacks { callbacks, more } => (callbacks, more),
            other => panic!("expected owed callbacks, got {other:?}"),
        }
    }

    /// All owed callbacks of a bot.
    pub async fn owed(&self, fence: &Fence) -> Vec<OwedCallback> {
        let scope = OwedScope::Bot { after: ArchiveSeq(0), except: Vec::new() };
        let (callbacks, more) = self.owed_page(fence, scope, MANY).await;
        assert!(!more);
        callbacks
    }

    /// Raises attempts, once.
    pub async fn raise(
        &self,
        fence: &Fence,
        callbacks: Vec<(CallbackKey, u32)>,
    ) -> Vec<Option<Attempt>> {
        let request = StoreRequest::RaiseAttempts { fence: fence.clone(), callbacks };
        asked!(self.ask(request), RaiseAttempts)
    }

    /// Ends one callback.
    pub async fn mark(&self, fence: &Fence, mark: Mark) -> MarkAnswer {
        let request = StoreRequest::MarkCalledBack { fence: fence.clone(), marks: vec![mark] };
        let answers = asked!(self.twice(request), MarkCalledBack);
        let [answer] = answers[..] else { panic!("one mark, {answers:?}") };
        answer
    }

    /// The sends to be made.
    pub async fn owed_sends(&self, fence: &Fence) -> Vec<Send> {
        let request = StoreRequest::OwedSends { fence: fence.clone(), limit: MANY };
        asked!(self.twice(request), OwedSends)
    }

    /// Takes ended leases away, once.
    pub async fn reclaim(&self) -> Vec<Swept> {
        asked!(self.ask(StoreRequest::ReclaimLeases { limit: MANY }), ReclaimLeases)
    }

    /// Those of the media that are known.
    pub async fn known(&self, media_ids: Vec<MediaId>) -> Vec<MediaId> {
        asked!(self.twice(StoreRequest::KnownMedia { media_ids }), KnownMedia)
    }

    /// Gives a job up.
    pub async fn discard(&self, media_id: MediaId) -> OperatorAnswer {
        asked!(self.twice(StoreRequest::DiscardJob { media_id }), DiscardJob)
    }

    /// Begins a failed job anew.
    pub async fn retry(&self, media_id: MediaId) -> OperatorAnswer {
        asked!(self.twice(StoreRequest::RetryJob { media_id, routing: None }), RetryJob)
    }

    /// The same, asked by a node whose one pool takes everything.
    pub async fn retry_into(&self, media_id: MediaId, pool: &str) -> OperatorAnswer {
        let routing = Some(routing(pool));
        asked!(self.twice(StoreRequest::RetryJob { media_id, routing }), RetryJob)
    }

    /// Owes a callback anew.
    pub async fn redeliver(
        &self,
        fence: &Fence,
        key: CallbackKey,
        attempts: u32,
    ) -> RedeliverAnswer {
        let attempts = Attempt(attempts);
        let request = StoreRequest::Redeliver { fence: fence.clone(), key, attempts };
        asked!(self.twice(request), Redeliver)
    }
}

/// Whether a media is among the lost ones.
fn token_answer(media_id: MediaId, lost: &[MediaId]) -> TokenAnswer {
    match lost {
        [] => TokenAnswer::Ok,
        [lost] if *lost == media_id => TokenAnswer::Stale,
        other => panic!("{media_id} was asked for, lost are {other:?}"),
    }
}
