//! Operators: discard, retry, and the revision that a retry makes.

use anteroom_core::id::{ArchiveSeq, Attempt};
use anteroom_core::job::{Rejection, Status};
use anteroom_core::message::{Message, Outcome};
use anteroom_core::store::{
    ArchiveItem, CallbackEnd, CallbackPlan, Fence, Mark, MarkAnswer, OperatorAnswer,
    RedeliverAnswer, ReviseAnswer, StoreError, StoreRequest, TokenAnswer,
};
use anteroom_runtime::store::Store;

use super::fixtures::{
    POOL, acknowledged, ended, failure, id, item_of_lease, item_of_result, job, key, lease, media,
    placeholder, token, words,
};
use super::rig::MANY;
use super::{Rig, TestClock};

fn done() -> OperatorAnswer {
    OperatorAnswer::Done { bot_id: "b".into(), pool: POOL.into() }
}

/// A bot with one job that failed, was archived and called back.
async fn failed_job(rig: &Rig<'_>) -> Fence {
    let fence = rig.bot("b").await;
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, rig.clock.now()), lease(1)).await;
    rig.archived(&fence, item_of_lease("c", ended(1, 1, failure()), 1)).await;
    assert_eq!(rig.mark(&fence, acknowledged(key("c", 1, 0))).await, MarkAnswer::Ended);
    fence
}

/// The same, its retry completed under token 2.
async fn retried_job(rig: &Rig<'_>, outcome: Outcome) -> Fence {
    let fence = failed_job(rig).await;
    assert_eq!(rig.retry(media(1)).await, done());
    assert_eq!(rig.claim(POOL, None, lease(2), 1).await.jobs.len(), 1);
    assert_eq!(rig.complete(media(1), token(2), outcome).await, TokenAnswer::Ok);
    fence
}

/// The consumer has refused the first message too often.
fn given_up() -> Mark {
    Mark { end: CallbackEnd::Undeliverable, ..acknowledged(key("c", 1, 0)) }
}

/// Goal: a discarded job ends as a result, whoever holds it, and its holder's work is void.
pub async fn a_discarded_job_ends_as_a_result(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, clock.now()), lease(1)).await;
    assert_eq!(rig.discard(media(1)).await, done());
    assert_eq!(rig.complete(media(1), token(1), words("x")).await, TokenAnswer::Stale);
    let page = rig.completed(&fence, None, MANY).await;
    assert_eq!(page.jobs[0].outcome(), Some(&Outcome::Discarded));
    rig.archived(&fence, item_of_result("c", ended(1, 1, Outcome::Discarded))).await;
    assert_eq!(rig.known(vec![media(1)]).await, [], "nothing is kept of it");
    assert_eq!(rig.discard(media(1)).await, OperatorAnswer::NotFound);
}

/// Goal: a result that stands is not discarded.
pub async fn a_result_is_not_discarded(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, clock.now()), lease(1)).await;
    rig.complete(media(1), token(1), words("x")).await;
    let rejected = OperatorAnswer::Rejected(Rejection::WrongState);
    assert_eq!(rig.discard(media(1)).await, rejected);
}

/// Goal: a retry waits until the message is archived and its callback has ended.
pub async fn a_retry_waits_for_the_callback(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    assert_eq!(rig.retry(media(1)).await, OperatorAnswer::NotFound);
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, clock.now()), lease(1)).await;
    assert_eq!(rig.retry(media(1)).await, OperatorAnswer::NotFound, "it has not failed");
    rig.complete(media(1), token(1), failure()).await;
    let not_yet = OperatorAnswer::Rejected(Rejection::NotCalledBack);
    assert_eq!(rig.retry(media(1)).await, not_yet, "not archived");
    rig.archived(&fence, item_of_result("c", ended(1, 1, failure()))).await;
    assert_eq!(rig.retry(media(1)).await, not_yet, "not called back");
    rig.mark(&fence, acknowledged(key("c", 1, 0))).await;
    assert_eq!(rig.retry(media(1)).await, done());
}

/// Goal: a retry finds its workers though pools have changed since the job was made.
pub async fn a_retry_goes_to_the_pool_of_now(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    failed_job(&rig).await;
    let done = OperatorAnswer::Done { bot_id: "b".into(), pool: "voice".into() };
    assert_eq!(rig.retry_into(media(1), "voice").await, done);
    assert!(rig.claim(POOL, None, lease(2), MANY).await.jobs.is_empty());
    assert_eq!(rig.claim("voice", None, lease(2), MANY).await.jobs.len(), 1);
}

/// Goal: what owes no callback may be retried at once.
pub async fn a_retry_waits_for_no_callback_that_is_not_owed(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, clock.now()), lease(1)).await;
    let item = item_of_lease("c", ended(1, 1, failure()), 1);
    rig.archived(&fence, ArchiveItem { callback: CallbackPlan::None, ..item }).await;
    assert_eq!(rig.retry(media(1)).await, done());
}

/// Goal: a retry begins anew as the next revision, however often it is asked for.
pub async fn a_retry_begins_the_next_revision(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = failed_job(&rig).await;
    clock.advance(super::fixtures::TTL);
    assert_eq!(rig.retry(media(1)).await, done());
    let [retried] = &rig.restore(&fence).await[..] else { panic!("one job is stored") };
    assert_eq!((retried.revision, retried.claims), (1, 0));
    assert_eq!((&retried.status, retried.created_at), (&Status::Pending, clock.now()));
    assert_eq!(retried.placeholder_message, placeholder(1, 1));
}

/// Goal: a revision gives the row its new content and owes it anew, behind everything archived before,
/// under a callback id of its own whose attempts count from the start.
pub async fn a_revision_is_owed_behind_the_rest(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = retried_job(&rig, words("again")).await;
    let last = rig.archived(&fence, super::fixtures::item("d", super::fixtures::text(9))).await;
    let revised = ended(1, 1, words("again"));
    let answer = rig.revise(&fence, "c", revised.clone(), 1, CallbackPlan::OwedInWindow).await;
    let ReviseAnswer::Revised { seq } = answer else { panic!("{answer:?}") };
    assert!(seq > last);
    assert!(rig.restore(&fence).await.is_empty());
    let owed = rig.owed(&fence).await;
    let [_, owed] = &owed[..] else { panic!("two callbacks are owed") };
    assert_eq!((owed.seq, owed.revision, owed.attempt), (seq, 1, Attempt(1)));
    assert_eq!(*owed.message, revised);
    assert_eq!(rig.mark(&fence, acknowledged(key("c", 1, 0))).await, MarkAnswer::Ended);
    assert_eq!(rig.owed(&fence).await.len(), 2, "the first revision's mark ends nothing");
    assert_eq!(rig.mark(&fence, acknowledged(key("c", 1, 1))).await, MarkAnswer::Ended);
    assert_eq!(rig.owed(&fence).await.len(), 1);
    assert_eq!(rig.known(vec![media(1)]).await, [], "a good revision needs no copy");
    assert_eq!(rig.next_id(&fence, "c").await, id(2));
}

/// Goal: a revision that fails keeps its copy, owes nothing, and can be retried once more.
pub async fn a_failed_revision_can_be_retried(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = retried_job(&rig, failure()).await;
    let not_yet = OperatorAnswer::Rejected(Rejection::NotCalledBack);
    assert_eq!(rig.retry(media(1)).await, not_yet, "not applied yet");
    let answer = rig.revise(&fence, "c", ended(1, 1, failure()), 1, CallbackPlan::None).await;
    assert!(matches!(answer, ReviseAnswer::Revised { .. }));
    assert!(rig.owed(&fence).await.is_empty());
    assert_eq!(rig.retry(media(1)).await, done());
    assert_eq!(rig.restore(&fence).await[0].revision, 2);
}

/// Goal: a revision that owes nothing leaves a callback that was given up to be owed anew, with what the message
/// says by then.
pub async fn a_failed_revision_keeps_what_was_given_up(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, clock.now()), lease(1)).await;
    rig.archived(&fence, item_of_lease("c", ended(1, 1, failure()), 1)).await;
    assert_eq!(rig.mark(&fence, given_up()).await, MarkAnswer::Ended);
    assert_eq!(rig.retry(media(1)).await, done());
    rig.claim(POOL, None, lease(2), 1).await;
    rig.complete(media(1), token(2), Outcome::Expired).await;
    let revised = ended(1, 1, Outcome::Expired);
    let answer = rig.revise(&fence, "c", revised.clone(), 1, CallbackPlan::None).await;
    assert!(matches!(answer, ReviseAnswer::Revised { .. }));
    assert!(rig.owed(&fence).await.is_empty());
    assert_eq!(rig.redeliver(&fence, key("c", 1, 0), 1).await, RedeliverAnswer::Settled);
    let answer = rig.redeliver(&fence, key("c", 1, 1), 1).await;
    assert!(matches!(answer, RedeliverAnswer::Owed { .. }), "{answer:?}");
    let [owed] = &rig.owed(&fence).await[..] else { panic!("it is owed") };
    assert_eq!((owed.revision, owed.attempt, &*owed.message), (1, Attempt(2), &revised));
}

/// Goal: revisions follow one another, and are made only of results.
pub async fn revisions_follow_one_another(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = failed_job(&rig).await;
    let plan = CallbackPlan::Owed;
    let message = || ended(1, 1, words("x"));
    let revise = async |n| rig.revise(&fence, "c", message(), n, plan).await;
    assert_eq!(revise(1).await, ReviseAnswer::NotFound, "there is no job");
    rig.retry(media(1)).await;
    let wrong_state = ReviseAnswer::Rejected(Rejection::WrongState);
    assert_eq!(revise(1).await, wrong_state, "there is no result");
    assert_eq!(revise(2).await, ReviseAnswer::NotFound, "nor a second retry");
    let unknown = rig.revise(&fence, "d", message(), 1, plan).await;
    assert_eq!(unknown, ReviseAnswer::NotFound, "nor such a message");
    rig.claim(POOL, None, lease(2), 1).await;
    rig.complete(media(1), token(2), words("x")).await;
    assert!(matches!(revise(1).await, ReviseAnswer::Revised { .. }));
    assert_eq!(rig.owed(&fence).await.len(), 1);
}

/// Goal: a row is never revised to a placeholder, nor to another provider's message.
pub async fn a_revision_is_the_same_message(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = retried_job(&rig, words("x")).await;
    let another = Message { provider_message_id: "other".into(), ..ended(1, 1, words("x")) };
    for message in [placeholder(1, 1), another] {
        let request = StoreRequest::Revise {
            fence: fence.clone(),
            media_id: media(1),
            revision: 1,
            message: std::sync::Arc::new(message),
            correspondent_id: "c".into(),
            callback: CallbackPlan::Owed,
        };
        assert!(matches!(rig.refused(request).await, StoreError::Invalid { .. }));
    }
    assert_eq!(rig.completed(&fence, None, MANY).await.jobs.len(), 1);
}

/// A message whose consumer refused it too often, and one behind it.
async fn undeliverable(rig: &Rig<'_>) -> (Fence, ArchiveSeq) {
    let fence = rig.bot("b").await;
    rig.archived(&fence, super::fixtures::item("c", super::fixtures::text(1))).await;
    let last = rig.archived(&fence, super::fixtures::item("d", super::fixtures::text(2))).await;
    assert_eq!(rig.mark(&fence, given_up()).await, MarkAnswer::Ended);
    assert_eq!(rig.owed(&fence).await.len(), 1, "only the other one is owed");
    (fence, last)
}

/// Goal: a callback that was given up is owed anew behind the rest, its refusals forgotten, its attempts
/// counted on, and ends like any other.
pub async fn an_undeliverable_callback_is_owed_anew(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (fence, last) = undeliverable(&rig).await;
    let RedeliverAnswer::Owed { seq } = rig.redeliver(&fence, key("c", 1, 0), 1).await else {
        panic!("it is owed")
    };
    assert!(seq > last);
    let [_, owed] = &rig.owed(&fence).await[..] else { panic!("two callbacks are owed") };
    assert_eq!((owed.seq, owed.attempt, owed.failures), (seq, Attempt(2), 0));
    assert_eq!(*owed.message, super::fixtures::text(1));
    assert_eq!(rig.mark(&fence, acknowledged(key("c", 1, 0))).await, MarkAnswer::Ended);
    assert_eq!(rig.owed(&fence).await.len(), 1);
    assert_eq!(rig.redeliver(&fence, key("c", 1, 0), 2).await, RedeliverAnswer::Settled);
}

/// Goal: a request that takes effect late, when its callback was made again and given up again, owes nothing
/// a second time: nobody would know of it.
pub async fn a_late_redelivery_owes_nothing(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (fence, _) = undeliverable(&rig).await;
    let owed = rig.redeliver(&fence, key("c", 1, 0), 1).await;
    assert!(matches!(owed, RedeliverAnswer::Owed { .. }), "{owed:?}");
    assert_eq!(rig.owed(&fence).await.len(), 2);
    assert_eq!(rig.mark(&fence, given_up()).await, MarkAnswer::Ended);
    assert_eq!(rig.redeliver(&fence, key("c", 1, 0), 1).await, RedeliverAnswer::Settled);
    assert_eq!(rig.owed(&fence).await.len(), 1, "only the other one is owed");
    let anew = rig.redeliver(&fence, key("c", 1, 0), 2).await;
    assert!(matches!(anew, RedeliverAnswer::Owed { .. }), "whoever has looked may: {anew:?}");
}

/// Goal: a consumer that acknowledges what it refused too often has taken it: it is not made again. What it
/// has acknowledged is not given up any more.
pub async fn what_was_given_up_may_be_acknowledged(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (fence, _) = undeliverable(&rig).await;
    assert_eq!(rig.mark(&fence, acknowledged(key("c", 1, 0))).await, MarkAnswer::Ended);
    assert_eq!(rig.mark(&fence, given_up()).await, MarkAnswer::Ended);
    assert_eq!(rig.redeliver(&fence, key("c", 1, 0), 1).await, RedeliverAnswer::Settled);
    assert_eq!(rig.owed(&fence).await.len(), 1, "only the other one is owed");
}

/// Goal: what the consumer took, or what owes nothing, is not made again; what is unknown is not found.
pub async fn what_is_settled_is_not_owed_anew(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (fence, last) = undeliverable(&rig).await;
    let silent = super::fixtures::item("e", super::fixtures::text(3));
    let silent = ArchiveItem { callback: CallbackPlan::None, ..silent };
    rig.archived(&fence, silent).await;
    let still_owed = rig.redeliver(&fence, key("d", 2, 0), 1).await;
    assert_eq!(still_owed, RedeliverAnswer::Owed { seq: last }, "it keeps its place");
    assert_eq!(rig.redeliver(&fence, key("e", 3, 0), 0).await, RedeliverAnswer::Settled);
    assert_eq!(rig.redeliver(&fence, key("c", 1, 1), 1).await, RedeliverAnswer::NotFound);
    assert_eq!(rig.redeliver(&fence, key("x", 1, 0), 1).await, RedeliverAnswer::NotFound);
    let next = rig.archived(&fence, super::fixtures::item("f", super::fixtures::text(4))).await;
    assert_eq!(next.0, last.0 + 2, "no place was taken in vain");
}
