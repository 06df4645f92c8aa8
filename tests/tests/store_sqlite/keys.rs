//! What stands in the keys: numbers of correspondents, blocks of the archive, and what is worked on.

use std::sync::Arc;

use anteroom_core::store::{ArchiveAnswer, StoreError, StoreReply};
use anteroom_runtime::store::views::{Question, View, Views};
use anteroom_tests::store_contract::fixtures::{ended, id, item, media, text, words};
use anteroom_tests::store_contract::{Rig, lists};

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

/// Goal: operators' lists and counts have jobs that are worked on, which are not in the index of lists.
#[tokio::test]
async fn leased_jobs_are_listed_in_their_places() {
    let place = Place::new();
    lists::leased_jobs_are_listed_in_their_places(&place.open(), &place.clock).await;
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
