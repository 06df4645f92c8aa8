//! The three stores under one clock, and what the nodes believe.

use std::collections::BTreeMap;
use std::sync::Arc;

use anteroom_core::id::{ArchiveSeq, Attempt, BotId, CorrespondentId, Epoch, LeaseToken};
use anteroom_core::job::offer::LeaseOffer;
use anteroom_core::job::{Job, LeaseRequest, ReleaseReason};
use anteroom_core::message::{Message, Outcome};
use anteroom_core::settings::Run;
use anteroom_core::store::{
    Acquired, ArchiveItem, BotRecord, CallbackEnd, CallbackPlan, Completion, Fence, FinishedJob,
    JobCursor, Mark, NewJob, OwedOf, OwedScope, Release, Send, StoreError, StoreReply,
    StoreRequest, StoreResult,
};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;
use anteroom_runtime::store::mongodb::{MongoSettings, MongoStore, StoreTime};
use anteroom_runtime::store::sqlite::{SqliteSettings, SqliteStore};
use anteroom_tests::model_store::ModelStore;
use anteroom_tests::mongod::SharedMongod;
use anteroom_tests::store_contract::TestClock;
use anteroom_tests::store_contract::fixtures::{
    TTL, ended, failure, id, job, key, media, node, text, token, words,
};
use mongodb::Database;
use mongodb::bson::{Document, doc};
use proptest::prelude::TestCaseError;
use tempfile::TempDir;

use super::operations::{Behind, Item, Key, New, Operation, Scope};

/// More than there is.
const MANY: u32 = 1_000;

/// What all cases share: the clock, and the clients of one database, which is emptied for each case.
pub struct Stage {
    clock: TestClock,
    /// One client a node.
    mongodb: [MongoStore; 2],
    database: Database,
}

impl Stage {
    pub async fn new(server: &SharedMongod) -> Self {
        let clock = TestClock::default();
        let name = SharedMongod::fresh_database();
        let uri = server.uri(&name);
        let open = async || {
            let time = StoreTime::Given(clock.as_clock());
            let opened = MongoStore::open(MongoSettings::new(&uri), time).await;
            opened.expect("a new database")
        };
        let mongodb = [open().await, open().await];
        Self { clock, mongodb, database: server.database(&name).await }
    }

    async fn clear(&self) {
        let names = self.database.list_collection_names().await.expect("the server answers");
        let data = names.iter().filter(|name| *name != "schema_migrations");
        let collections = data.map(|name| self.database.collection::<Document>(name));
        let deleting = collections.map(|collection| async move {
            collection.delete_many(doc! {}).await.expect("the server answers");
        });
        futures_util::future::join_all(deleting).await;
    }

    /// Closes the clients.
    pub async fn end(&self) {
        for store in &self.mongodb {
            store.shutdown().await;
        }
    }
}

/// A case: the stores, empty at first, and what the nodes believe.
pub struct World<'s> {
    stage: &'s Stage,
    model: ModelStore,
    sqlite: SqliteStore,
    /// The epoch that each node last heard of, by bot.
    believed: BTreeMap<(u8, u8), Epoch>,
    last: Option<(u8, StoreRequest)>,
    _directory: TempDir,
}

impl<'s> World<'s> {
    pub async fn new(stage: &'s Stage) -> Self {
        stage.clear().await;
        let directory = tempfile::tempdir().expect("a directory can be made");
        let settings = SqliteSettings::new(directory.path());
        let clock = stage.clock.as_clock();
        let sqlite = SqliteStore::open(settings, clock).expect("an empty directory");
        let model = ModelStore::new(stage.clock.as_clock());
        let (believed, last) = (BTreeMap::new(), None);
        Self { stage, model, sqlite, believed, last, _directory: directory }
    }

    /// Puts an operation to all stores, and compares what they say.
    pub async fn put(&mut self, operation: &Operation) -> Result<(), TestCaseError> {
        let (node, request) = match operation {
            Operation::Advance(ms) => {
                self.stage.clock.advance(Millis::from_ms(*ms));
                return Ok(());
            }
            Operation::Again => match &self.last {
                Some(last) => last.clone(),
                None => return Ok(()),
            },
            other => self.request(other),
        };
        if self.is_judged_differently(&request) {
            return Ok(());
        }
        self.last = Some((node, request.clone()));
        let expected = comparable(self.model.ask(&request));
        let sqlite = comparable(self.sqlite.execute(request.clone()).await);
        let client = &self.stage.mongodb[usize::from(node)];
        let mongodb = comparable(client.execute(request.clone()).await);
        self.learn(&request, &expected);
        let agree = expected == sqlite && expected == mongodb;
        let why = || {
            format!("{request:#?}\nmodel {expected:#?}\nSQLite {sqlite:#?}\nMongoDB {mongodb:#?}")
        };
        if agree { Ok(()) } else { Err(TestCaseError::fail(why())) }
    }

    /// Compares what is left.
    pub async fn end(mut self) -> Result<(), TestCaseError> {
        for (bot, media) in [(0, false), (1, true)] {
            self.put(&Operation::NextId(bot, 0)).await?;
            self.put(&Operation::NextId(bot, 1)).await?;
            self.put(&Operation::Advance(120_000)).await?;
            self.put(&Operation::Acquire(bot, 1)).await?;
            self.put(&Operation::OwedSends { bot, node: 1, limit: MANY }).await?;
            let scope = Scope::Bot { after: 0, except: Vec::new() };
            self.put(&Operation::Owed { bot, node: 1, scope, limit: MANY }).await?;
            self.put(&Operation::Restore { bot, node: 1, after: None, limit: MANY, offer: None })
                .await?;
            if media {
                self.put(&Operation::KnownMedia).await?;
            }
        }
        self.sqlite.shutdown().await;
        Ok(())
    }

    fn learn(&mut self, request: &StoreRequest, answer: &StoreResult) {
        if let StoreRequest::AcquireBot { bot_id, node_id, .. } = request
            && let Ok(StoreReply::AcquireBot(Acquired::Acquired { epoch })) = answer
        {
            let bot = u8::from(*bot_id == bot(1));
            let node = u8::from(*node_id == node_of(1));
            self.believed.insert((bot, node), *epoch);
        }
    }

    fn fence(&self, bot_number: u8, node: u8) -> Fence {
        let epoch = self.believed.get(&(bot_number, node)).copied().unwrap_or(Epoch(77));
        Fence { bot_id: bot(bot_number), epoch }
    }

    /// Whether it is a request that the core never makes, and that the model judges otherwise: a job
    /// whose medium an archived message of another carries, which the stores do not look for, or a batch
    /// that gives one id to two messages, which the model refuses before it looks at any of them.
    fn is_judged_differently(&self, request: &StoreRequest) -> bool {
        match request {
            StoreRequest::InsertJobs { jobs, .. } => {
                jobs.iter().any(|new| self.model.is_medium_of_another_archived(&new.job))
            }
            StoreRequest::Archive { fence, items } if items.len() > 1 => items.iter().any(|item| {
                items.iter().any(|other| share_an_id(item, other))
                    || self.model.is_id_of_another_archived(&fence.bot_id, item)
            }),
            _ => false,
        }
    }

    /// The node that asks, and what.
    fn request(&self, operation: &Operation) -> (u8, StoreRequest) {
        use Operation as O;
        use StoreRequest as R;
        match operation {
            // Both are handled before.
            O::Advance(_) | O::Again => (0, R::KnownMedia { media_ids: Vec::new() }),
            O::Register(n) => (0, R::RegisterBot(record(*n))),
            O::Acquire(n, by) => {
                (*by, R::AcquireBot { bot_id: bot(*n), node_id: node_of(*by), ttl: TTL })
            }
            O::RenewBots(by) => {
                let bots = self.bots_of(*by);
                (*by, R::RenewBots { node_id: node_of(*by), bots, ttl: TTL })
            }
            O::ReleaseBot(n, by) => (*by, R::ReleaseBot(self.fence(*n, *by))),
            O::Restore { bot, node, after, limit, offer } => {
                let (fence, limit) = (self.fence(*bot, *node), *limit);
                let after = after.map(|behind| self.cursor(behind));
                let offer = offer.map(|(p, token, places)| LeaseOffer {
                    pool: pool(p),
                    lease: lease(token, *node),
                    places,
                });
                let offers = offer.into_iter().collect();
                (*node, R::RestoreBot { fence, after, limit, offers, routing: None })
            }
            O::Completed { bot, node, after, limit } => {
                let after = after.map(|behind| self.cursor(behind));
                (*node, R::CompletedJobs { fence: self.fence(*bot, *node), after, limit: *limit })
            }
            O::NextId(n, c) => {
                (0, R::NextId { bot_id: bot(*n), correspondent_id: correspondent(*c) })
            }
            O::Insert { bot, node, jobs } => {
                let fence = self.fence(*bot, *node);
                let jobs = jobs.iter().map(|new| self.new_job(&fence, new, *node)).collect();
                (*node, R::InsertJobs { fence, jobs })
            }
            O::Archive { bot, node, items } => {
                let fence = self.fence(*bot, *node);
                let items = items.iter().map(|item| self.archive_item(&fence, item)).collect();
                (*node, R::Archive { fence, items })
            }
            O::Revise { .. }
            | O::Owed { .. }
            | O::Raise { .. }
            | O::Mark { .. }
            | O::Redeliver { .. }
            | O::EnqueueSend { .. }
            | O::OwedSends { .. }
            | O::MarkSent { .. } => self.of_messages(operation),
            O::Hold(n, by) => (*by, R::HoldBot(self.fence(*n, *by))),
            O::Claim { .. }
            | O::Renew(_)
            | O::Release { .. }
            | O::Complete(_)
            | O::Singleton(_)
            | O::Reclaim
            | O::Expire { .. }
            | O::KnownMedia
            | O::ForgetFailed(_)
            | O::ForgetArchived(_)
            | O::Discard(_)
            | O::Retry(_) => self.of_workers(operation),
        }
    }

    fn of_messages(&self, operation: &Operation) -> (u8, StoreRequest) {
        use Operation as O;
        use StoreRequest as R;
        match operation {
            O::Revise { bot, node, correspondent: c, number, media: m, revision, plan: p } => {
                let request = R::Revise {
                    fence: self.fence(*bot, *node),
                    media_id: media((*m).into()),
                    revision: *revision,
                    message: Arc::new(ended((*number).into(), (*m).into(), words("again"))),
                    correspondent_id: correspondent(*c),
                    callback: plan(*p),
                };
                (*node, request)
            }
            O::Owed { bot, node, scope, limit } => {
                let (fence, scope) = (self.fence(*bot, *node), owed_scope(scope));
                (*node, R::OwedCallbacks { fence, scope, limit: *limit })
            }
            O::Raise { bot, node, keys } => {
                let callbacks = keys.iter().map(|(k, n)| (callback_key(*k), *n)).collect();
                (*node, R::RaiseAttempts { fence: self.fence(*bot, *node), callbacks })
            }
            O::Mark { bot, node, marks } => {
                let marks = marks.iter().map(|(k, acknowledged, replies, sent)| Mark {
                    key: callback_key(*k),
                    end: match acknowledged {
                        true => CallbackEnd::Acknowledged,
                        false => CallbackEnd::Undeliverable,
                    },
                    reply: replies.then(|| format!("reply to {k:?}")),
                    sent: *sent,
                });
                let marks = marks.collect();
                (*node, R::MarkCalledBack { fence: self.fence(*bot, *node), marks })
            }
            O::Redeliver { bot: n, node, key: k, attempts } => {
                let key = callback_key(*k);
                let attempts = attempts.map(Attempt);
                let attempts = attempts.or_else(|| self.model.attempts(&bot(*n), &key));
                let attempts = attempts.unwrap_or_default();
                (*node, R::Redeliver { fence: self.fence(*n, *node), key, attempts })
            }
            O::EnqueueSend { bot: n, send: s, text } => {
                let send = Send {
                    send_id: send_id(*s),
                    correspondent_id: correspondent(0),
                    message: format!("text {text}"),
                };
                (0, R::EnqueueSend { bot_id: bot(*n), send })
            }
            O::OwedSends { bot, node, limit } => {
                (*node, R::OwedSends { fence: self.fence(*bot, *node), limit: *limit })
            }
            O::MarkSent { bot, node, sends } => {
                let sent =
                    sends.iter().map(|s| (send_id(*s), format!("sent {s}").into())).collect();
                (*node, R::MarkSent { fence: self.fence(*bot, *node), sent })
            }
            other => unreachable!("{other:?} concerns no messages"),
        }
    }

    fn of_workers(&self, operation: &Operation) -> (u8, StoreRequest) {
        use Operation as O;
        use StoreRequest as R;
        match operation {
            O::Claim { pool: p, after, node, token, limit } => {
                let request = R::Claim {
                    pool: pool(*p),
                    after_bot: after.map(bot),
                    lease: lease(*token, *node),
                    limit: *limit,
                };
                (*node, request)
            }
            O::Renew(leases) => {
                let leases = leases.iter();
                let leases = leases.map(|(m, t)| (media((*m).into()), self.token(*m, *t)));
                (0, R::Renew { leases: leases.collect(), ttl: TTL })
            }
            O::Release { media: m, token: t, delay, transient } => {
                let release = Release {
                    media_id: media((*m).into()),
                    token: self.token(*m, *t),
                    delay: if *delay { Millis::from_secs(40) } else { Millis::ZERO },
                    reason: match transient {
                        true => ReleaseReason::Transient,
                        false => ReleaseReason::Shutdown,
                    },
                };
                (1, R::Release { releases: vec![release] })
            }
            O::Complete(completions) => {
                let completions = completions.iter().map(|(m, t, o)| Completion {
                    media_id: media((*m).into()),
                    token: self.token(*m, *t),
                    outcome: outcome(*o),
                });
                (1, R::Complete { completions: completions.collect() })
            }
            O::Singleton(by) => {
                let name = "janitor".to_owned();
                (*by, R::AcquireSingleton { name, node_id: node_of(*by), ttl: TTL })
            }
            O::Reclaim => (1, R::ReclaimLeases { limit: MANY }),
            O::Expire { node, active_ms, holding_ms } => {
                let request = R::ExpireJobs {
                    running: self.bots_of(*node),
                    active_ttl: Millis::from_ms(*active_ms),
                    holding_ttl: Millis::from_ms(*holding_ms),
                    limit: MANY,
                };
                (*node, request)
            }
            O::KnownMedia => (0, R::KnownMedia { media_ids: (1..9).map(media).collect() }),
            O::ForgetFailed(ms) => {
                (0, R::ForgetFailed { retention: Millis::from_ms(*ms), limit: MANY })
            }
            O::ForgetArchived(ms) => {
                (0, R::ForgetArchived { retention: Millis::from_ms(*ms), limit: MANY })
            }
            O::Discard(m) => (0, R::DiscardJob { media_id: media((*m).into()) }),
            O::Retry(m) => (1, R::RetryJob { media_id: media((*m).into()), routing: None }),
            other => unreachable!("{other:?} concerns no workers"),
        }
    }

    /// A token for a medium: of the even numbers the one that holds its job, if any does.
    fn token(&self, medium: u8, number: u8) -> LeaseToken {
        let job = self.model.job(media(medium.into()));
        let held = job.and_then(|job| job.lease().map(|lease| lease.token));
        held.filter(|_| number.is_multiple_of(2)).unwrap_or_else(|| token(number.into()))
    }

    /// A message. One that ends a job is the message that waits for it, or says that it is another of
    /// its provider's.
    fn archive_item(&self, fence: &Fence, item: &Item) -> ArchiveItem {
        let correspondent_id = correspondent(item.correspondent);
        let plain = |mut message: Message| {
            message.provider_message_id = provider_message(item.provider_number);
            message
        };
        let (message, job) = match &item.media {
            None => (plain(text(item.number.into())), None),
            Some((m, None, o)) => {
                (plain(ended(item.number.into(), (*m).into(), outcome(*o))), None)
            }
            Some((m, Some(end), o)) => {
                let token = end.map(|number| self.token(*m, number));
                let finished = FinishedJob { media_id: media((*m).into()), token, worked: None };
                if let Some(job) = self.model.job(finished.media_id)
                    && job.bot_id == fence.bot_id
                {
                    let mut message = job.placeholder_message.clone();
                    anteroom_core::content::complete(&mut message, outcome(*o), 4_000);
                    if item.provider_number != item.number {
                        message.provider_message_id = provider_message(item.provider_number);
                    }
                    return ArchiveItem {
                        correspondent_id: job.correspondent_id,
                        message: Arc::new(message),
                        callback: plan(item.plan),
                        job: Some(finished),
                    };
                }
                (plain(ended(item.number.into(), (*m).into(), outcome(*o))), Some(finished))
            }
        };
        ArchiveItem { correspondent_id, message: Arc::new(message), callback: plan(item.plan), job }
    }

    fn bots_of(&self, node: u8) -> Vec<(BotId, Epoch)> {
        let believed = self.believed.iter().filter(|((_, by), _)| *by == node);
        believed.map(|((n, _), epoch)| (bot(*n), *epoch)).collect()
    }

    fn cursor(&self, Behind { ago, media: n }: Behind) -> JobCursor {
        let created_at = self.stage.clock.now().minus(Millis::from_ms(ago));
        JobCursor { created_at, media_id: media(n.into()) }
    }

    fn new_job(&self, fence: &Fence, new: &New, node: u8) -> NewJob {
        let mut made = job(
            fence,
            correspondent(new.correspondent).as_str(),
            new.number.into(),
            new.media.into(),
            self.stage.clock.now(),
        );
        made.placeholder_message.provider_message_id = provider_message(new.provider_number);
        let job = Job { pool: pool(new.pool), ..made };
        NewJob { job, lease: new.lease.map(|token| lease(token, node)) }
    }
}

fn share_an_id(one: &ArchiveItem, other: &ArchiveItem) -> bool {
    one.correspondent_id == other.correspondent_id
        && one.message.id == other.message.id
        && one.message.provider_message_id != other.message.provider_message_id
}

/// What is compared: errors by their kind, and lists whose order says nothing in a fixed one.
fn comparable(result: StoreResult) -> StoreResult {
    let detail = String::new();
    match result {
        Err(StoreError::Unavailable { detail }) => panic!("a store is unavailable: {detail}"),
        Err(StoreError::Invalid { .. }) => Err(StoreError::Invalid { detail }),
        Ok(StoreReply::ReclaimLeases(mut swept)) => {
            swept.sort_by_key(|swept| swept.media_id);
            Ok(StoreReply::ReclaimLeases(swept))
        }
        Ok(StoreReply::ExpireJobs(mut swept)) => {
            swept.sort_by_key(|swept| swept.media_id);
            Ok(StoreReply::ExpireJobs(swept))
        }
        Ok(StoreReply::ForgetFailed(mut media_ids)) => {
            media_ids.sort();
            Ok(StoreReply::ForgetFailed(media_ids))
        }
        other => other,
    }
}

fn bot(n: u8) -> BotId {
    format!("bot{n}").into()
}

fn node_of(n: u8) -> anteroom_core::id::NodeId {
    node(u64::from(n) + 1)
}

fn correspondent(n: u8) -> CorrespondentId {
    format!("c{n}").into()
}

fn pool(n: u8) -> anteroom_core::id::PoolName {
    format!("pool{n}").into()
}

fn send_id(n: u8) -> anteroom_core::id::SendId {
    format!("s{n}").into()
}

fn provider_message(n: u8) -> anteroom_core::id::ProviderMessageId {
    format!("p{n}").into()
}

fn record(n: u8) -> BotRecord {
    BotRecord { bot_id: bot(n), provider_name: "provider".into(), run: Run::Always }
}

fn lease(n: u8, by: u8) -> LeaseRequest {
    LeaseRequest { worker_id: node_of(by), token: token(n.into()), ttl: TTL }
}

fn outcome(n: u8) -> Outcome {
    match n {
        0 => failure(),
        1 => Outcome::TimedOut,
        2 => Outcome::Nothing,
        _ => words("words"),
    }
}

fn plan(n: u8) -> CallbackPlan {
    match n {
        0 => CallbackPlan::None,
        1 => CallbackPlan::Owed,
        _ => CallbackPlan::OwedInWindow,
    }
}

fn callback_key((c, number, revision): Key) -> anteroom_core::id::CallbackKey {
    key(correspondent(c).as_str(), number.into(), revision)
}

fn owed_scope(scope: &Scope) -> OwedScope {
    match scope {
        Scope::Bot { after, except } => OwedScope::Bot {
            after: ArchiveSeq((*after).into()),
            except: except.iter().map(|c| correspondent(*c)).collect(),
        },
        Scope::Correspondents(after, limits) => {
            let of = (0..).zip(limits).map(|(c, limit)| OwedOf {
                correspondent_id: correspondent(c),
                after: ArchiveSeq((*after).into()),
                limit: (*limit).into(),
            });
            OwedScope::Correspondents(of.collect())
        }
        Scope::ById(c, after) => OwedScope::CorrespondentById {
            correspondent_id: correspondent(*c),
            after: after.map(|n| id(n.into())),
        },
    }
}
