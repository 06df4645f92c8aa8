//! Archiving: each message with its callback and the end of its job, or not at all.

use anteroom_core::id::ArchiveSeq;
use anteroom_core::message::Message;
use anteroom_core::store::{
    ArchiveAnswer, ArchiveItem, CallbackPlan, Fence, StoreError, StoreRequest, TokenAnswer,
};
use anteroom_runtime::store::Store;

use super::fixtures::{
    POOL, TTL, ended, failure, id, item, item_of_lease, item_of_result, job, lease, media, text,
    token, words,
};
use super::{Rig, TestClock};

fn duplicate(number: u64) -> ArchiveAnswer {
    ArchiveAnswer::DuplicateProviderMessage { message_id: id(number) }
}

/// Goal: places grow in the order of the batch and from batch to batch, for each bot apart; a repeated
/// batch gives the same places.
pub async fn places_grow_in_the_order_given(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let (fence, other) = (rig.bot("b").await, rig.bot("b2").await);
    let batch = vec![item("c", text(2)), item("d", text(1)), item("c", text(1))];
    let answers = rig.archive(&fence, batch.clone()).await;
    let places: Vec<ArchiveSeq> = answers
        .iter()
        .map(|answer| match answer {
            ArchiveAnswer::Stored { seq } => *seq,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(places.is_sorted_by(|a, b| a < b));
    let again = rig.archive(&fence, batch).await;
    let same = places.iter().map(|&seq| ArchiveAnswer::AlreadyStored { seq });
    assert_eq!(again, same.collect::<Vec<_>>());
    let next = rig.archived(&fence, item("c", text(3))).await;
    assert!(next > places[2]);
    let ids = rig.owed(&fence).await;
    let ids: Vec<u64> = ids.iter().map(|callback| callback.message.id.get()).collect();
    assert_eq!(ids, [2, 1, 1, 3]);
    rig.archived(&other, item("c", text(1))).await;
    assert_eq!(rig.owed(&other).await.len(), 1);
}

/// Goal: a message comes back from the archive as it was given.
pub async fn a_message_is_kept_whole(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let mut message = text(1);
    message.content = "héllo \u{0} 🦀 \"'%_".to_owned();
    message.sender.display_name = Some("x".repeat(300));
    message.replayed = true;
    let seq = rig.archived(&fence, item("c", message.clone())).await;
    let [owed] = &rig.owed(&fence).await[..] else { panic!("one callback is owed") };
    assert_eq!(*owed.message, message);
    assert_eq!((owed.seq, owed.revision, owed.failures), (seq, 0, 0));
    assert_eq!(owed.correspondent_id, "c".into());
}

/// Goal: the plan decides whether a callback is owed; either way its first attempt is durable with it.
pub async fn the_plan_decides_the_callback(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let plans = [CallbackPlan::None, CallbackPlan::Owed, CallbackPlan::OwedInWindow];
    for (n, callback) in (1..).zip(plans) {
        rig.archived(&fence, ArchiveItem { callback, ..item("c", text(n)) }).await;
    }
    let owed = rig.owed(&fence).await;
    let owed: Vec<_> = owed.iter().map(|owed| (owed.message.id, owed.attempt.0)).collect();
    assert_eq!(owed, [(id(2), 1), (id(3), 1)]);
}

/// Goal: a message of a provider is archived once, whatever id it comes under; what is told is the id
/// that stands.
pub async fn a_providers_message_is_archived_once(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.archived(&fence, item("c", text(1))).await;
    let mut resent = text(2);
    resent.provider_message_id = "p1".into();
    let batch = vec![item("c", resent.clone()), item("c", text(3)), item("d", resent)];
    let answers = rig.archive(&fence, batch).await;
    assert_eq!(answers[0], duplicate(1));
    assert!(matches!(answers[1..], [ArchiveAnswer::Stored { .. }, ArchiveAnswer::Stored { .. }]));
    assert_eq!(rig.owed(&fence).await.len(), 3);
}

/// Goal: a message whose provider id waits in a job, active or holding, is a duplicate as well.
pub async fn a_providers_message_waiting_in_a_job_is_known(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.inserted(&fence, &job(&fence, "c", 1, 1, clock.now())).await;
    let mut resent = text(2);
    resent.provider_message_id = "p1".into();
    let batch = vec![item("c", resent)];
    assert_eq!(rig.archive(&fence, batch.clone()).await, [duplicate(1)]);
    rig.hold(&fence).await;
    assert_eq!(rig.archive(&fence, batch).await, [duplicate(1)]);
    assert!(rig.owed(&fence).await.is_empty());
}

/// A message that is archived under another id, and has a job of its own that is held under the lease 2.
async fn duplicate_with_a_job(rig: &Rig<'_>, fence: &Fence, clock: &TestClock) -> Message {
    rig.inserted_leased(fence, &job(fence, "c", 2, 2, clock.now()), lease(2)).await;
    let mut known = text(1);
    known.provider_message_id = "elsewhere".into();
    rig.archived(fence, item("c", known)).await;
    let mut message = ended(2, 2, words("x"));
    message.provider_message_id = "elsewhere".into();
    message
}

/// Goal: a duplicate's own job ends with it, so that nobody works for what is known.
pub async fn a_duplicates_own_job_is_finished(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let message = duplicate_with_a_job(&rig, &fence, clock).await;
    let answers = rig.archive(&fence, vec![item_of_lease("c", message, 2)]).await;
    assert_eq!(answers, [duplicate(1)]);
    assert!(rig.restore(&fence).await.is_empty());
}

/// Goal: a duplicate's job that is another's, or has no result, stays where it is, and ends once it has
/// one.
pub async fn a_duplicate_leaves_a_job_that_it_may_not_end(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let message = duplicate_with_a_job(&rig, &fence, clock).await;
    let of_result = item_of_result("c", message.clone());
    for item in [item_of_lease("c", message, 7), of_result.clone()] {
        assert_eq!(rig.archive(&fence, vec![item]).await, [duplicate(1)]);
    }
    assert_eq!(rig.renew(media(2), token(2), TTL).await, TokenAnswer::Ok, "its holder has it");
    rig.complete(media(2), token(2), words("x")).await;
    assert_eq!(rig.archive(&fence, vec![of_result]).await, [duplicate(1)]);
    assert!(rig.restore(&fence).await.is_empty());
}

/// Goal: a stored result ends with its message, and only a stored result does.
pub async fn a_stored_result_ends_with_its_message(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.inserted(&fence, &job(&fence, "c", 1, 1, clock.now())).await;
    let done = item_of_result("c", ended(1, 1, words("x")));
    let stale = [ArchiveAnswer::StaleLease];
    assert_eq!(rig.archive(&fence, vec![done.clone()]).await, stale, "pending");
    rig.claim(POOL, None, lease(1), 1).await;
    assert_eq!(rig.archive(&fence, vec![done.clone()]).await, stale, "processing");
    assert!(rig.owed(&fence).await.is_empty(), "nothing was stored");
    rig.complete(media(1), token(1), words("x")).await;
    rig.archived(&fence, done).await;
    assert!(rig.restore(&fence).await.is_empty());
    assert_eq!(rig.owed(&fence).await.len(), 1);
}

/// Goal: with its token a result that was made here is durable with its message, without having been
/// stored before, and a failure leaves its copy.
pub async fn a_result_made_here_is_durable_with_its_message(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    for (n, outcome) in [(1, words("x")), (2, failure())] {
        rig.inserted_leased(&fence, &job(&fence, "c", n, n, clock.now()), lease(n)).await;
        rig.archived(&fence, item_of_lease("c", ended(n, n, outcome), n)).await;
    }
    assert!(rig.restore(&fence).await.is_empty());
    assert_eq!(rig.known(vec![media(1), media(2)]).await, [media(2)]);
}

/// Goal: a token that is not the current one stores nothing, and leaves the job to its holder; nor
/// does a job that is not there, or belongs to another message.
pub async fn a_stale_token_stores_nothing(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, clock.now()), lease(1)).await;
    rig.inserted_leased(&fence, &job(&fence, "c", 4, 4, clock.now()), lease(4)).await;
    clock.advance(TTL);
    rig.renew(media(4), token(4), TTL).await;
    rig.reclaim().await;
    let stale = item_of_lease("c", ended(1, 1, failure()), 1);
    let missing = item_of_lease("c", ended(2, 2, words("x")), 2);
    let foreign = ArchiveItem {
        job: item_of_lease("c", ended(4, 4, words("x")), 4).job,
        ..item("c", ended(5, 5, words("x")))
    };
    let batch = vec![stale, item("c", text(3)), missing, foreign];
    let answers = rig.archive(&fence, batch).await;
    assert_eq!(answers[0], ArchiveAnswer::StaleLease);
    assert!(matches!(answers[1], ArchiveAnswer::Stored { .. }), "the rest is stored");
    assert_eq!(answers[2..], [ArchiveAnswer::StaleLease, ArchiveAnswer::StaleLease]);
    let owed = rig.owed(&fence).await;
    assert_eq!((owed.len(), owed[0].message.id), (1, id(3)));
    assert_eq!(rig.restore(&fence).await.len(), 2, "both jobs stand");
    assert_eq!(rig.known(vec![media(2)]).await, [], "no copy of what was not stored");
}

/// Goal: nothing but a whole message goes in: a placeholder is refused, and so is an id that another
/// message has.
pub async fn what_makes_no_sense_is_refused(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.archived(&fence, item("c", text(1))).await;
    let mut other = text(1);
    other.provider_message_id = "other".into();
    let placeholder = super::fixtures::placeholder(2, 2);
    for message in [other, placeholder] {
        let items = vec![item("c", message)];
        let request = StoreRequest::Archive { fence: fence.clone(), items };
        assert!(matches!(rig.refused(request).await, StoreError::Invalid { .. }));
    }
    assert_eq!(rig.owed(&fence).await.len(), 1);
}

/// Goal: archiving again after an operator's retry leaves the retry alone.
pub async fn archiving_again_leaves_a_retry_alone(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, clock.now()), lease(1)).await;
    let failed = item_of_lease("c", ended(1, 1, failure()), 1);
    rig.archived(&fence, failed.clone()).await;
    rig.mark(&fence, super::fixtures::acknowledged(super::fixtures::key("c", 1, 0))).await;
    rig.retry(media(1)).await;
    rig.claim(POOL, None, lease(2), 1).await;
    rig.complete(media(1), token(2), words("x")).await;
    for again in [failed, item_of_result("c", ended(1, 1, failure()))] {
        let answers = rig.archive(&fence, vec![again]).await;
        assert!(matches!(answers[..], [ArchiveAnswer::AlreadyStored { .. }]));
    }
    assert_eq!(rig.completed(&fence, None, 9).await.jobs.len(), 1);
}
