//! First free ids that are asked for together.

use anteroom_core::id::MessageId;
use anteroom_core::store::{StoreReply, StoreRequest, StoreResult};
use anteroom_runtime::store::Store;
use anteroom_tests::store_contract::Rig;
use anteroom_tests::store_contract::fixtures::{id, item, job, text, unleased};
use futures_util::future::{BoxFuture, join_all};
use futures_util::poll;
use mongodb::bson::doc;

use super::Place;

fn ask<'s>(store: &'s dyn Store, correspondent: &str) -> BoxFuture<'s, StoreResult> {
    store.execute(StoreRequest::NextId {
        bot_id: "b".into(),
        correspondent_id: correspondent.into(),
    })
}

fn answer(next_id: MessageId) -> StoreResult {
    Ok(StoreReply::NextId(next_id))
}

/// Goal: correspondents that are asked for while a question is under way share the next one, and each
/// gets its own answer, also one that is asked for twice. Method: the server's record of its commands.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_together_is_one_question() {
    let place = Place::new().await;
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    for n in 1..=20 {
        let correspondent = format!("c{n}");
        rig.archived(&fence, item(&correspondent, text(n))).await;
        if n % 2 == 0 {
            let waiting = job(&fence, &correspondent, n + 100, n + 100, place.clock.now());
            rig.insert(&fence, vec![unleased(waiting)]).await;
        }
    }
    place.record_commands(true).await;
    let asked = (0..=21).chain([4]).map(|n| ask(&store, &format!("c{n}")));
    let answers = join_all(asked).await;
    let expected = |n: u64| match n {
        0 | 21 => MessageId::FIRST,
        n if n % 2 == 0 => id(n + 101),
        n => id(n + 1),
    };
    let expected: Vec<_> = (0..=21).chain([4]).map(|n| answer(expected(n))).collect();
    assert_eq!(answers, expected);
    let count = place.count_commands(doc! { "command.aggregate": "queues" }).await;
    assert_eq!(count, 2, "one for whoever came first, and one for all others");
}

/// Goal: who gives up takes nobody's answer along. Method: the first question is given up under way, and
/// then the one into which others were taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_given_up_is_asked_by_another() {
    let place = Place::new().await;
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    for n in 1..=4 {
        rig.archived(&fence, item(&format!("c{n}"), text(n))).await;
    }
    let [mut first, mut second, mut third, mut fourth] =
        [1, 2, 3, 4].map(|n| ask(&store, &format!("c{n}")));
    for asked in [&mut first, &mut second, &mut third, &mut fourth] {
        assert!(poll!(asked).is_pending());
    }
    drop(first);
    // The second takes the others into its question.
    assert!(poll!(&mut second).is_pending());
    drop(second);
    assert_eq!(third.await, answer(id(4)));
    assert_eq!(fourth.await, answer(id(5)));
    assert_eq!(ask(&store, "c1").await, answer(id(2)));
}
