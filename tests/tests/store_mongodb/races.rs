//! Two clients that race for each guard: one wins, and what both are told fits together.
//!
//! Method: two stores on one database are asked at the same moment, again and again. Whoever is first is
//! left to chance; what may come out is not.

use std::collections::BTreeSet;
use std::sync::Arc;

use anteroom_core::id::MediaId;
use anteroom_core::job::offer::LeaseOffer;
use anteroom_core::job::{Job, LeaseRequest};
use anteroom_core::store::{
    Acquired, ArchiveAnswer, Claimed, Completion, EnqueueAnswer, Fence, InsertAnswer, JobPage,
    OperatorAnswer, Send, StoreReply, StoreRequest, Swept, TokenAnswer,
};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;
use anteroom_runtime::store::mongodb::MongoStore;
use anteroom_tests::store_contract::Rig;
use anteroom_tests::store_contract::fixtures::{
    POOL, TTL, acknowledged, ended, failure, item, item_of_lease, job, key, lease, media, node,
    text, token, unleased, words,
};

use super::Place;

/// How often each race is run.
const ROUNDS: u64 = 12;

/// Two clients of one database.
struct Pair {
    place: Place,
    one: Arc<MongoStore>,
    other: Arc<MongoStore>,
}

impl Pair {
    async fn new() -> Self {
        let place = Place::new().await;
        let (one, other) = tokio::join!(place.open(), place.open());
        Self { place, one: Arc::new(one), other: Arc::new(other) }
    }

    fn rig(&self) -> Rig<'_> {
        Rig::new(self.one.as_ref(), &self.place.clock)
    }

    /// Asks both at the same moment, each on a thread of its own.
    async fn race(&self, left: StoreRequest, right: StoreRequest) -> (StoreReply, StoreReply) {
        let ask = |store: &Arc<MongoStore>, request: StoreRequest| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let answer = store.execute(request.clone()).await;
                answer.unwrap_or_else(|error| panic!("{error} in answer to {request:?}"))
            })
        };
        let (left, right) = (ask(&self.one, left), ask(&self.other, right));
        let (left, right) = tokio::join!(left, right);
        (left.expect("no panic"), right.expect("no panic"))
    }

    /// A bot with one job, leased under the token of its number.
    async fn leased(&self, n: u64) -> (Fence, Job) {
        let rig = self.rig();
        let fence = rig.bot(&format!("bot{n}")).await;
        let new = job(&fence, "c", 1, n, self.place.clock.now());
        rig.inserted_leased(&fence, &new, lease(n)).await;
        (fence, new)
    }
}

fn complete(n: u64) -> StoreRequest {
    let completion = Completion { media_id: media(n), token: token(n), outcome: words("x") };
    StoreRequest::Complete { completions: vec![completion] }
}

macro_rules! taken_apart {
    ($reply:expr, $variant:ident) => {
        match $reply {
            StoreReply::$variant(answer) => answer,
            other => panic!("expected {}, got {other:?}", stringify!($variant)),
        }
    };
}

/// Goal: of two nodes that want a free bot, one gets it.
#[tokio::test(flavor = "multi_thread")]
async fn one_node_gets_a_bot() {
    let pair = Pair::new().await;
    for n in 0..ROUNDS {
        let bot_id: anteroom_core::id::BotId = format!("bot{n}").into();
        let acquire =
            |node_id| StoreRequest::AcquireBot { bot_id: bot_id.clone(), node_id, ttl: TTL };
        let (left, right) = pair.race(acquire(node(1)), acquire(node(2))).await;
        let answers = [taken_apart!(left, AcquireBot), taken_apart!(right, AcquireBot)];
        let got = answers.iter().filter(|answer| matches!(answer, Acquired::Acquired { .. }));
        assert_eq!(got.count(), 1, "{answers:?}");
    }
}

/// Goal: no job is claimed twice.
#[tokio::test(flavor = "multi_thread")]
async fn one_claimer_gets_a_job() {
    let pair = Pair::new().await;
    let rig = pair.rig();
    let fence = rig.bot("b").await;
    let mut number = 0;
    for n in 0..ROUNDS {
        let now = pair.place.clock.now();
        let jobs: Vec<_> =
            (1..=5).map(|k| unleased(job(&fence, "c", number + k, number + k, now))).collect();
        number += 5;
        rig.insert(&fence, jobs).await;
        let claim = |token| StoreRequest::Claim {
            pool: POOL.into(),
            after_bot: None,
            lease: lease(token),
            limit: 4,
        };
        let (left, right) = pair.race(claim(1_000 + 2 * n), claim(1_001 + 2 * n)).await;
        let (left, right): (Claimed, Claimed) =
            (taken_apart!(left, Claim), taken_apart!(right, Claim));
        let mut all: Vec<_> = left.jobs.iter().chain(&right.jobs).map(|job| job.media_id).collect();
        all.sort();
        all.dedup();
        assert_eq!((all.len(), left.jobs.len() + right.jobs.len()), (5, 5));
    }
}

/// Goal: a job that is waiting when its bot is restored is leased by a claim or with the page, never by both, and
/// each is told what is so.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_claimed_or_leased_as_it_is_restored() {
    let pair = Pair::new().await;
    let rig = pair.rig();
    for n in 0..ROUNDS {
        let fence = rig.bot(&format!("bot{n}")).await;
        let now = pair.place.clock.now();
        let new = |k| unleased(job(&fence, "c", k, 10 * n + k, now));
        rig.insert(&fence, (1..=5).map(new).collect()).await;
        let (claiming, restoring) = (lease(1_000 + n), lease(2_000 + n));
        let (pool, after_bot) = (POOL.into(), None);
        let claim = StoreRequest::Claim { pool, after_bot, lease: claiming, limit: 4 };
        let offers = vec![LeaseOffer { pool: POOL.into(), lease: restoring, places: 4 }];
        let (fence, after) = (fence.clone(), None);
        let restore = StoreRequest::RestoreBot {
            fence: fence.clone(),
            after,
            limit: 9,
            offers,
            routing: None,
        };
        let (page, claimed) = pair.race(restore, claim).await;
        let (page, claimed): (JobPage, Claimed) =
            (taken_apart!(page, RestoreBot), taken_apart!(claimed, Claim));
        let stored = rig.restore(&fence).await;
        let held_under = |jobs: &[Job], lease: LeaseRequest| -> BTreeSet<MediaId> {
            let held = |job: &&Job| job.lease().is_some_and(|held| held.token == lease.token);
            jobs.iter().filter(held).map(|job| job.media_id).collect()
        };
        let of_page = held_under(&page.jobs, restoring);
        assert_eq!(of_page, held_under(&stored, restoring));
        let of_claim = held_under(&stored, claiming);
        assert!(held_under(&claimed.jobs, claiming).is_superset(&of_claim), "{claimed:?}");
        assert!(of_page.len() + of_claim.len() >= 4, "{page:?} {claimed:?}");
    }
}

/// Goal: a result and the sweep that takes its lease away do not both happen.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_and_a_reclaim_exclude_each_other() {
    let pair = Pair::new().await;
    for n in 1..=ROUNDS {
        let (fence, _) = pair.leased(n).await;
        pair.place.clock.advance(TTL);
        let reclaim = StoreRequest::ReclaimLeases { limit: 10 };
        let (completed, swept) = pair.race(complete(n), reclaim).await;
        let completed = taken_apart!(completed, Complete);
        let swept: Vec<Swept> = taken_apart!(swept, ReclaimLeases);
        let [stored] = &pair.rig().restore(&fence).await[..] else { panic!("one job is there") };
        match completed[..] {
            [TokenAnswer::Ok] => {
                assert!(swept.is_empty() && stored.outcome() == Some(&words("x")), "{stored:?}");
            }
            [TokenAnswer::Stale] => {
                assert!(swept.len() == 1 && stored.lost == 1 && stored.outcome().is_none());
            }
            ref other => panic!("{other:?}"),
        }
    }
}

/// Goal: a result that is stored while its bot stops is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_stored_during_a_move_is_kept() {
    let pair = Pair::new().await;
    for n in 1..=ROUNDS {
        let (fence, _) = pair.leased(n).await;
        let (completed, _) = pair.race(complete(n), StoreRequest::HoldBot(fence.clone())).await;
        assert_eq!(taken_apart!(completed, Complete), [TokenAnswer::Ok]);
        let restore = StoreRequest::RestoreBot {
            fence: fence.clone(),
            after: None,
            limit: 9,
            offers: Vec::new(),
            routing: None,
        };
        let completing_again = complete(n);
        let (page, again) = pair.race(restore, completing_again).await;
        let page: JobPage = taken_apart!(page, RestoreBot);
        assert_eq!(page.jobs[0].outcome(), Some(&words("x")));
        assert_eq!(taken_apart!(again, Complete), [TokenAnswer::Ok], "however often it is told");
    }
}

/// Goal: a lease renewed while its bot stops or starts is not said to be lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_renewed_during_a_move_is_not_lost() {
    let pair = Pair::new().await;
    let (fence, _) = pair.leased(1).await;
    let renew = || StoreRequest::Renew { leases: vec![(media(1), token(1))], ttl: TTL };
    for _ in 0..ROUNDS {
        let (lost, _) = pair.race(renew(), StoreRequest::HoldBot(fence.clone())).await;
        assert_eq!(taken_apart!(lost, Renew), []);
        let restore = StoreRequest::RestoreBot {
            fence: fence.clone(),
            after: None,
            limit: 9,
            offers: Vec::new(),
            routing: None,
        };
        let (lost, _) = pair.race(renew(), restore).await;
        assert_eq!(taken_apart!(lost, Renew), []);
    }
}

/// Goal: a medium is known at every moment while its job moves, and while its failure ends it: nobody
/// takes its file for one that nobody needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_medium_is_known_while_its_job_moves() {
    let pair = Pair::new().await;
    for n in 1..=ROUNDS {
        let (fence, _) = pair.leased(n).await;
        let items = vec![item_of_lease("c", ended(1, n, failure()), n)];
        for request in [
            StoreRequest::HoldBot(fence.clone()),
            StoreRequest::RestoreBot {
                fence: fence.clone(),
                after: None,
                limit: 9,
                offers: Vec::new(),
                routing: None,
            },
            StoreRequest::Archive { fence: fence.clone(), items },
        ] {
            let known = StoreRequest::KnownMedia { media_ids: vec![media(n)] };
            let (_, known) = pair.race(request, known).await;
            assert_eq!(taken_apart!(known, KnownMedia), [media(n)]);
        }
    }
}

/// Goal: a result and an operator's discard do not both happen.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_and_a_discard_exclude_each_other() {
    let pair = Pair::new().await;
    for n in 1..=ROUNDS {
        pair.leased(n).await;
        let discard = StoreRequest::DiscardJob { media_id: media(n) };
        let (completed, discarded) = pair.race(complete(n), discard).await;
        let completed = taken_apart!(completed, Complete) == [TokenAnswer::Ok];
        let discarded = matches!(taken_apart!(discarded, DiscardJob), OperatorAnswer::Done { .. });
        assert!(completed != discarded, "completed {completed}, discarded {discarded}");
    }
}

/// Goal: a message archived with its lease and the sweep that takes the lease away do not both happen.
#[tokio::test(flavor = "multi_thread")]
async fn an_archived_result_and_a_reclaim_exclude_each_other() {
    let pair = Pair::new().await;
    for n in 1..=ROUNDS {
        let (fence, _) = pair.leased(n).await;
        pair.place.clock.advance(TTL);
        let items = vec![item_of_lease("c", ended(1, n, failure()), n)];
        let archive = StoreRequest::Archive { fence: fence.clone(), items };
        let (archived, swept) = pair.race(archive, StoreRequest::ReclaimLeases { limit: 10 }).await;
        let archived = taken_apart!(archived, Archive);
        let swept: Vec<Swept> = taken_apart!(swept, ReclaimLeases);
        let jobs = pair.rig().restore(&fence).await.len();
        let owed = pair.rig().owed(&fence).await.len();
        match archived[..] {
            [ArchiveAnswer::Stored { .. }] => assert_eq!((swept.len(), jobs, owed), (0, 0, 1)),
            [ArchiveAnswer::StaleLease] => assert_eq!((swept.len(), jobs, owed), (1, 1, 0)),
            ref other => panic!("{other:?}"),
        }
        assert_eq!(
            pair.rig().known(vec![media(n)]).await.len(),
            1,
            "by its job or by its failed copy"
        );
    }
}

/// Goal: a media id that two bots bring belongs to one of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_media_id_goes_to_one_bot() {
    let pair = Pair::new().await;
    let (a, b) = (pair.rig().bot("a").await, pair.rig().bot("b").await);
    for n in 1..=ROUNDS {
        let now = pair.place.clock.now();
        let insert = |fence: &Fence| StoreRequest::InsertJobs {
            fence: fence.clone(),
            jobs: vec![unleased(job(fence, "c", n, n, now))],
        };
        let (left, right) = pair.race(insert(&a), insert(&b)).await;
        let answers = [taken_apart!(left, InsertJobs), taken_apart!(right, InsertJobs)].concat();
        assert!(answers.contains(&InsertAnswer::Inserted { leased: false }), "{answers:?}");
        assert!(answers.contains(&InsertAnswer::MediaIdInUse), "{answers:?}");
    }
}

/// Goal: a key of an outgoing message is new once.
#[tokio::test(flavor = "multi_thread")]
async fn a_send_is_new_once() {
    let pair = Pair::new().await;
    for n in 0..ROUNDS {
        let enqueue = |message: &str| StoreRequest::EnqueueSend {
            bot_id: "b".into(),
            send: Send {
                send_id: format!("s{n}").into(),
                correspondent_id: "c".into(),
                message: message.to_owned(),
            },
        };
        let (left, right) = pair.race(enqueue("same"), enqueue("same")).await;
        let answers = [taken_apart!(left, EnqueueSend), taken_apart!(right, EnqueueSend)];
        assert!(answers.contains(&EnqueueAnswer::Enqueued), "{answers:?}");
        assert!(answers.contains(&EnqueueAnswer::AlreadyPresent), "{answers:?}");
    }
}

/// Goal: a name that two nodes want is one node's.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_goes_to_one_node() {
    let pair = Pair::new().await;
    for n in 0..ROUNDS {
        let acquire = |node_id| StoreRequest::AcquireSingleton {
            name: format!("name{n}"),
            node_id,
            ttl: Millis::from_secs(60),
        };
        let (left, right) = pair.race(acquire(node(1)), acquire(node(2))).await;
        let answers = [taken_apart!(left, AcquireSingleton), taken_apart!(right, AcquireSingleton)];
        assert!(answers[0] != answers[1], "{answers:?}");
    }
}

/// Goal: a failed job that two operators retry begins anew once; and its copy is not dropped under it.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_begins_once_and_keeps_its_file() {
    let pair = Pair::new().await;
    for n in 1..=ROUNDS {
        let (fence, _) = pair.leased(n).await;
        let rig = pair.rig();
        rig.archived(&fence, item_of_lease("c", ended(1, n, failure()), n)).await;
        rig.mark(&fence, acknowledged(key("c", 1, 0))).await;
        let retry = || StoreRequest::RetryJob { media_id: media(n), routing: None };
        if n % 2 == 0 {
            let (left, right) = pair.race(retry(), retry()).await;
            let answers = [taken_apart!(left, RetryJob), taken_apart!(right, RetryJob)];
            assert!(answers.iter().all(|answer| matches!(answer, OperatorAnswer::Done { .. })));
        } else {
            pair.place.clock.advance(Millis::from_hours(1));
            let forget = StoreRequest::ForgetFailed { retention: Millis::ZERO, limit: 10 };
            let (retried, forgotten) = pair.race(retry(), forget).await;
            let retried = matches!(taken_apart!(retried, RetryJob), OperatorAnswer::Done { .. });
            let forgotten = taken_apart!(forgotten, ForgetFailed).contains(&media(n));
            assert!(retried != forgotten, "retried {retried}, forgotten {forgotten}");
        }
        assert!(rig.restore(&fence).await.len() <= 1);
    }
}

/// Goal: a correspondent's highest row that is surpassed while the sweep passes it over is dropped by a later
/// sweep. Method: each message is archived beside a sweep that finds the one before.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_surpassed_as_it_is_passed_over_is_dropped() {
    let pair = Pair::new().await;
    let rig = pair.rig();
    let fence = rig.bot("b").await;
    let forget = || StoreRequest::ForgetArchived { retention: Millis::ZERO, limit: 100 };
    for n in 1..=ROUNDS {
        let items = vec![item("c", text(n))];
        let archive = StoreRequest::Archive { fence: fence.clone(), items };
        let (archived, forgotten) = pair.race(archive, forget()).await;
        let archived = taken_apart!(archived, Archive);
        assert!(matches!(archived[..], [ArchiveAnswer::Stored { .. }]), "{archived:?}");
        rig.mark(&fence, acknowledged(key("c", n, 0))).await;
        pair.place.clock.advance(Millis::from_ms(1));
        let then = taken_apart!(rig.ask(forget()).await, ForgetArchived);
        let all = taken_apart!(forgotten, ForgetArchived) + then;
        assert_eq!(all, u32::from(n > 1), "only the highest is left");
    }
}

/// Goal: the sweep of the archive comes through beside a bot that never rests, and holds it up no longer than
/// another message does. Method: a node archives one message after the other while another one sweeps.
#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_comes_through_beside_a_busy_bot() {
    const CORRESPONDENTS: usize = 600;
    let pair = Pair::new().await;
    let rig = pair.rig();
    let fence = rig.bot("b").await;
    let name = |n: usize| format!("c{n}");
    for message in 1..=2 {
        let items = (0..CORRESPONDENTS).map(|n| item(&name(n), text(message))).collect();
        rig.ask(StoreRequest::Archive { fence: fence.clone(), items }).await;
        let marks = (0..CORRESPONDENTS).map(|n| acknowledged(key(&name(n), message, 0))).collect();
        rig.ask(StoreRequest::MarkCalledBack { fence: fence.clone(), marks }).await;
    }
    pair.place.clock.advance(Millis::from_ms(1));

    let (one, archiving) = (Arc::clone(&pair.one), fence.clone());
    let busy = tokio::spawn(async move {
        for n in 1.. {
            let items = vec![item("busy", text(n))];
            let archive = StoreRequest::Archive { fence: archiving.clone(), items };
            one.execute(archive).await.expect("a message is archived");
        }
    });
    let forget = StoreRequest::ForgetArchived { retention: Millis::ZERO, limit: 10_000 };
    let forgotten = pair.other.execute(forget.clone()).await.expect("the sweep comes through");
    assert_eq!(taken_apart!(forgotten, ForgetArchived) as usize, CORRESPONDENTS);
    busy.abort();
    let again = pair.other.execute(forget).await.expect("the sweep comes through");
    assert_eq!(taken_apart!(again, ForgetArchived), 0, "the highest are out of its way");
}
