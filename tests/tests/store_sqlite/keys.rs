//! What stands in the keys: numbers of correspondents, blocks of the archive, and who is worked on.

use std::sync::Arc;

use anteroom_core::store::{ArchiveAnswer, Fence, StoreError, StoreReply};
use anteroom_core::time::Millis;
use anteroom_runtime::store::views::{
    JobFilter, JobQuery, JobState, Question, StatusName, View, Views,
};
use anteroom_tests::store_contract::Rig;
use anteroom_tests::store_contract::fixtures::{ended, id, item, job, lease, media, text, words};

use crate::Place;
use crate::writing::{archive, ask, half_invalid};

/// How many archived messages lie under the number that bears their correspondent's name.
const RIGHTLY_NUMBERED: &str = "SELECT count(*) FROM archive
     JOIN correspondents USING (correspondent, bot_id, correspondent_id)";

/// Goal: a number that was given in a refused request is given to whoever comes next, and its former
/// bearer is not taken for that one. Method: both have messages of the same ids.
#[tokio::test]
async fn a_refused_request_leaves_no_number_behind() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    let error = rig.refused(half_invalid(&fence, "x", 1)).await;
    assert!(matches!(error, StoreError::Invalid { .. }), "{error:?}");
    for correspondent in ["y", "x"] {
        rig.archived(&fence, item(correspondent, text(1))).await;
        assert_eq!(rig.next_id(&fence, correspondent).await, id(2));
    }
    assert_eq!(place.count(RIGHTLY_NUMBERED), 2);
}

/// Goal: the same where the request shares its transaction with others, which begins again without it.
/// Method: another connection holds the database while they gather.
#[tokio::test]
async fn a_transaction_that_begins_again_gives_its_numbers_anew() {
    let place = Place::new();
    let store = Arc::new(place.open());
    let rig = Rig::new(&*store, &place.clock);
    let fence = rig.bot("b").await;
    let elsewhere = place.database();
    elsewhere.execute_batch("BEGIN IMMEDIATE").unwrap();
    let requests = [archive(&fence, "x", 1), half_invalid(&fence, "y", 1), archive(&fence, "z", 1)];
    let waiting = requests.map(|request| ask(&store, request));
    tokio::task::yield_now().await;
    elsewhere.execute_batch("COMMIT").unwrap();
    for (n, answer) in waiting.into_iter().enumerate() {
        match (n, answer.await.unwrap()) {
            (1, Err(StoreError::Invalid { .. })) => {}
            (0 | 2, Ok(StoreReply::Archive(answers))) => {
                assert!(matches!(answers[..], [ArchiveAnswer::Stored { .. }]), "{answers:?}");
            }
            (_, other) => panic!("request {n} was answered by {other:?}"),
        }
    }
    rig.archived(&fence, item("y", text(1))).await;
    assert_eq!(place.count(RIGHTLY_NUMBERED), 3);
}

/// Five jobs of a bot, of which the second and the fourth are worked on.
async fn five_jobs(rig: &Rig<'_>, place: &Place) -> Fence {
    let fence = rig.bot("b").await;
    for n in 1..=5 {
        let new = job(&fence, "c", n, n, place.clock.now());
        match n {
            2 | 4 => rig.inserted_leased(&fence, &new, lease(n)).await,
            _ => rig.inserted(&fence, &new).await,
        }
        place.clock.advance(Millis::from_secs(1));
    }
    fence
}

/// Goal: pages of a bot have the jobs that are worked on in their places among the others. Method: pages of
/// two.
#[tokio::test]
async fn a_page_of_a_bot_has_leased_jobs_in_their_places() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = five_jobs(&rig, &place).await;
    let (mut found, mut after, mut pages) = (Vec::new(), None, Vec::new());
    loop {
        let page = rig.restore_page(&fence, after, 2).await;
        pages.push((page.jobs.len(), page.more));
        found.extend(page.jobs.iter().map(|job| job.media_id));
        after = found.last().copied();
        if !page.more {
            break;
        }
    }
    assert_eq!(found, [1, 2, 3, 4, 5].map(media));
    assert_eq!(pages, [(2, true), (2, true), (1, false)]);
    assert_eq!(rig.hold(&fence).await, 5);
}

/// Goal: operators' lists and counts have them, too, in either order.
#[tokio::test]
async fn an_operators_list_has_leased_jobs_in_their_places() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    five_jobs(&rig, &place).await;
    let listed = async |status, newest_first| {
        let filter = JobFilter { status, ..of_active_jobs() };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let filter = filter.clone();
            let query = JobQuery { filter, newest_first, after, limit: 2 };
            let View::Jobs(jobs, more) = store.look(Question::Jobs(query)).await.unwrap() else {
                panic!("asked for jobs, told of something else")
            };
            found.extend(jobs.iter().map(|listed| listed.job.media_id));
            after = jobs.last().map(|last| (last.job.created_at, last.job.media_id));
            if !more {
                break;
            }
        }
        let View::Count(count) = store.look(Question::Count(filter)).await.unwrap() else {
            panic!("asked for a count, told of something else")
        };
        assert_eq!(count, found.len() as u64);
        found
    };
    assert_eq!(listed(None, false).await, [1, 2, 3, 4, 5].map(media));
    assert_eq!(listed(None, true).await, [5, 4, 3, 2, 1].map(media));
    assert_eq!(listed(Some(StatusName::Processing), false).await, [2, 4].map(media));
    assert_eq!(listed(Some(StatusName::Pending), true).await, [5, 3, 1].map(media));
}

fn of_active_jobs() -> JobFilter {
    JobFilter {
        state: JobState::Active,
        bot_id: None,
        pool: None,
        status: None,
        reason: None,
        before: None,
    }
}

/// Goal: the message of a medium is found wherever in the archive it lies, and an unknown medium is not.
/// Method: rows are moved apart, to the ends of blocks, with blocks between them that are empty.
#[tokio::test]
async fn a_medium_is_found_in_every_block() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    for n in 1..=3 {
        rig.archived(&fence, item("c", ended(n, n, words("hello")))).await;
    }
    place.tamper("UPDATE archive SET position = position * 4096 - position % 2");
    for n in 1..=4 {
        let View::Medium(kept) = store.look(Question::Medium(media(n))).await.unwrap() else {
            panic!("asked for a medium, told of something else")
        };
        let found = kept.archived.map(|archived| archived.message.id);
        assert_eq!(found, (n <= 3).then(|| id(n)));
    }
}
