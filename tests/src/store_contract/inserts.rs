//! Inserting jobs, and the first free message id.

use anteroom_core::id::MessageId;
use anteroom_core::job::{Command, Job};
use anteroom_core::store::{InsertAnswer, NewJob};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;

use super::fixtures::{
    POOL, TTL, ended, failure, id, item, item_of_lease, job, lease, media, text, token, unleased,
    words,
};
use super::{Rig, TestClock};

const NEW: InsertAnswer = InsertAnswer::Inserted { leased: false };
const NEW_LEASED: InsertAnswer = InsertAnswer::Inserted { leased: true };

fn duplicate(number: u64) -> InsertAnswer {
    InsertAnswer::DuplicateProviderMessage { message_id: id(number) }
}

/// Goal: an inserted job is stored as it was given.
pub async fn an_inserted_job_is_kept_whole(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let mut whole = job(&fence, "c", 1, 1, clock.now());
    whole.original_filename = Some("näme.ogg".to_owned());
    whole.quota_exceeded = true;
    whole.detail = Some("why".to_owned());
    rig.inserted(&fence, &whole).await;
    assert_eq!(rig.restore(&fence).await, [whole]);
}

/// Goal: with a lease, a job is inserted and claimed in one step; the call repeated says that the
/// lease stands, for as long as it does.
pub async fn an_insert_with_a_lease_claims_at_once(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let new = job(&fence, "c", 1, 1, clock.now());
    rig.inserted_leased(&fence, &new, lease(7)).await;
    assert!(rig.claim(POOL, None, lease(8), 1).await.jobs.is_empty());
    let claimed = applied(&new, Command::Claim(lease(7)), clock);
    assert_eq!(rig.restore(&fence).await, [claimed]);
    clock.advance(TTL);
    assert_eq!(rig.reclaim().await.len(), 1);
    let again = vec![NewJob { job: new.clone(), lease: Some(lease(7)) }];
    assert_eq!(rig.insert(&fence, again).await, [NEW], "the job stands, the lease does not");
    assert_eq!(rig.claim(POOL, None, lease(8), 1).await.jobs.len(), 1);
}

/// Goal: a batch answers each job on its own, also where one of its jobs repeats another.
pub async fn a_batch_answers_each_job(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let now = clock.now();
    let first = job(&fence, "c", 1, 1, now);
    let mut same_message = job(&fence, "c", 2, 2, now);
    same_message.placeholder_message.provider_message_id = "p1".into();
    let same_media = job(&fence, "c", 3, 1, now);
    let leased = NewJob { job: job(&fence, "c", 4, 4, now), lease: Some(lease(4)) };
    let jobs = vec![unleased(first), unleased(same_message), unleased(same_media), leased];
    let answers = [NEW, duplicate(1), InsertAnswer::MediaIdInUse, NEW_LEASED];
    assert_eq!(rig.insert(&fence, jobs).await, answers);
    assert_eq!(rig.restore(&fence).await.len(), 2);
}

/// Goal: a provider's message is known wherever it is: active, holding, completed, archived; and only
/// to its own correspondent and bot.
pub async fn a_providers_message_is_known_wherever_it_is(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let now = clock.now();
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, now), lease(1)).await;
    let resent = |media_number| {
        let mut resent = job(&fence, "c", 9, media_number, now);
        resent.placeholder_message.provider_message_id = "p1".into();
        vec![unleased(resent)]
    };
    assert_eq!(rig.insert(&fence, resent(2)).await, [duplicate(1)], "active");
    assert_eq!(rig.insert(&fence, resent(1)).await, [duplicate(1)], "under the same media id");
    rig.hold(&fence).await;
    assert_eq!(rig.insert(&fence, resent(2)).await, [duplicate(1)], "holding");
    rig.complete(media(1), token(1), words("x")).await;
    assert_eq!(rig.insert(&fence, resent(2)).await, [duplicate(1)], "completed");
    let done = item_of_lease("c", ended(1, 1, words("x")), 1);
    rig.archived(&fence, done).await;
    assert_eq!(rig.insert(&fence, resent(2)).await, [duplicate(1)], "archived");
    rig.archived(&fence, item("c", text(5))).await;
    assert_eq!(
        rig.insert(&fence, vec![unleased(job(&fence, "c", 5, 5, now))]).await,
        [duplicate(5)],
        "archived as a text"
    );
    rig.inserted(&fence, &job(&fence, "d", 1, 3, now)).await;
    let other = rig.bot("b2").await;
    rig.inserted(&other, &job(&other, "c", 1, 4, now)).await;
}

/// Goal: a media id belongs to one message, also while only its failed copy is left.
pub async fn a_media_id_belongs_to_one_message(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let now = clock.now();
    rig.inserted_leased(&fence, &job(&fence, "c", 1, 1, now), lease(1)).await;
    let other = || vec![unleased(job(&fence, "d", 2, 1, now))];
    assert_eq!(rig.insert(&fence, other()).await, [InsertAnswer::MediaIdInUse]);
    rig.archived(&fence, item_of_lease("c", ended(1, 1, failure()), 1)).await;
    assert_eq!(rig.insert(&fence, other()).await, [InsertAnswer::MediaIdInUse]);
}

/// Goal: an insert whose answer was lost may be repeated even after all of the job's life.
pub async fn an_insert_repeated_after_the_end_makes_no_second_job(
    store: &dyn Store,
    clock: &TestClock,
) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let new = job(&fence, "c", 1, 1, clock.now());
    rig.inserted_leased(&fence, &new, lease(1)).await;
    rig.archived(&fence, item_of_lease("c", ended(1, 1, words("x")), 1)).await;
    let again = vec![NewJob { job: new, lease: Some(lease(1)) }];
    assert_eq!(rig.insert(&fence, again).await, [NEW]);
    assert!(rig.restore(&fence).await.is_empty());
}

/// Goal: ids go on behind the highest that is archived or lives in a job of any state, gaps or not,
/// for each correspondent apart.
pub async fn the_next_id_is_behind_archive_and_jobs(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    assert_eq!(rig.next_id(&fence, "c").await, MessageId::FIRST);
    rig.archived(&fence, item("c", text(3))).await;
    assert_eq!(rig.next_id(&fence, "c").await, id(4));
    rig.inserted_leased(&fence, &job(&fence, "c", 9, 9, clock.now()), lease(1)).await;
    assert_eq!(rig.next_id(&fence, "c").await, id(10));
    rig.hold(&fence).await;
    assert_eq!(rig.next_id(&fence, "c").await, id(10), "a held job's id counts");
    rig.complete(media(9), token(1), words("x")).await;
    assert_eq!(rig.next_id(&fence, "c").await, id(10));
    rig.archived(&fence, item_of_lease("c", ended(9, 9, words("x")), 1)).await;
    rig.archived(&fence, item("c", text(4))).await;
    assert_eq!(rig.next_id(&fence, "c").await, id(10), "the highest, not the latest");
    assert_eq!(rig.next_id(&fence, "d").await, MessageId::FIRST);
    let other = rig.bot("b2").await;
    assert_eq!(rig.next_id(&other, "c").await, MessageId::FIRST);
}

/// Goal: a job inserted in back-off takes no lease.
pub async fn a_job_in_back_off_takes_no_lease(store: &dyn Store, clock: &TestClock) {
    let rig = Rig::new(store, clock);
    let fence = rig.bot("b").await;
    let mut later = job(&fence, "c", 1, 1, clock.now());
    later.not_before = Some(clock.now() + Millis::from_secs(1));
    let jobs = vec![NewJob { job: later, lease: Some(lease(1)) }];
    assert_eq!(rig.insert(&fence, jobs).await, [NEW]);
}

fn applied(job: &Job, command: Command, clock: &TestClock) -> Job {
    let applied = job.apply(&command, clock.now()).expect("the command is allowed");
    applied.job.expect("the job stays")
}
