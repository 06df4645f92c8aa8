//! What stands in the keys: numbers of correspondents, and blocks of the archive.

use std::sync::Arc;

use anteroom_core::store::{ArchiveAnswer, Fence, StoreError, StoreReply, StoreRequest};
use anteroom_runtime::store::Store;
use anteroom_runtime::store::views::{Question, View, Views};
use anteroom_tests::store_contract::Rig;
use anteroom_tests::store_contract::fixtures::{ended, id, item, media, placeholder, text, words};

use crate::Place;

/// How many archived messages lie under the number that bears their correspondent's name.
const RIGHTLY_NUMBERED: &str = "SELECT count(*) FROM archive
     JOIN correspondents USING (correspondent, bot_id, correspondent_id)";

/// A batch of a correspondent's first message and one that is refused.
fn refused(fence: &Fence, correspondent: &str) -> StoreRequest {
    let items = vec![item(correspondent, text(1)), item(correspondent, placeholder(2, 2))];
    StoreRequest::Archive { fence: fence.clone(), items }
}

/// Goal: a number that was given in a refused request is given to whoever comes next, and its former
/// bearer is not taken for that one. Method: both have messages of the same ids.
#[tokio::test]
async fn a_refused_request_leaves_no_number_behind() {
    let place = Place::new();
    let store = place.open();
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    let error = rig.refused(refused(&fence, "x")).await;
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
    let archive = |correspondent| {
        let items = vec![item(correspondent, text(1))];
        StoreRequest::Archive { fence: fence.clone(), items }
    };
    let requests = [archive("x"), refused(&fence, "y"), archive("z")];
    let waiting = requests.map(|request| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.execute(request).await })
    });
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
