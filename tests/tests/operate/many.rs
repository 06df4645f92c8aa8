//! Many at once: counted, then done, once each.

use std::collections::BTreeSet;

use anteroom_tests::{Connection, staging};
use serde_json::json;

use crate::{BOT, On, World, on_both_stores};

/// How many jobs fail.
const FAILED: usize = 300;

/// Goal: failed jobs are counted by a filter and retried by it: each message is revised once, with its text,
/// however often it is asked for. Method: media whose files come only after their jobs have failed; the
/// command without `--yes`, with it, and with it again at once.
async fn a_filter_retries_all_it_finds_once(on: On) {
    let world = World::start(on, &[]).await;
    let mut provider = world.provider().await;
    let consumer = world.consumer();
    let mut media = Vec::new();
    for whom in 0..10 {
        media.extend(world.fail(&mut provider, &format!("c{whom}"), FAILED / 10).await);
    }
    consumer.confirmed(FAILED).await;
    let none_owed = |it: &serde_json::Value| it["callbacks"] == json!([]);
    world.until("/v1/callbacks/owed", none_owed).await;

    let retry = ["jobs", "retry", "--bot", BOT, "--reason", "file_missing"];
    let counted = world.run(&retry).await.succeeded();
    assert!(counted.stdout.starts_with("300 jobs would be retried"), "{counted:?}");
    assert_eq!(world.seen("/v1/jobs/count?state=failed").await["matched"], json!(FAILED));
    let refused = world.run(&[&retry[..], &["--yes"]].concat()).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stdout.contains("300 refused: file_gone"), "{refused:?}");

    let directory = staging::directory(provider.welcome());
    for media in &media {
        staging::share(&directory, media.media_id, b"found after all");
    }
    let yes = [&retry[..], &["--yes", "--json"]].concat();
    let told = world.run_json(&yes).await;
    assert_eq!((&told["matched"], &told["done"]), (&json!(FAILED), &json!(FAILED)), "{told}");
    let again = world.run(&yes).await;
    assert!(again.code.is_some(), "{again:?}");
    revised_once(&world, &consumer).await;
    drop::<Connection>(provider);
}

/// Waits for all revisions, and sees that each came once.
async fn revised_once(world: &World, consumer: &anteroom_tests::Consumer) {
    let no_jobs = |it: &serde_json::Value| it["matched"] == json!(0);
    for confirmed in (FAILED..=2 * FAILED).step_by(20) {
        consumer.confirmed(confirmed).await;
    }
    world.until("/v1/jobs/count?state=failed", no_jobs).await;
    world.until("/v1/jobs/count?state=active", no_jobs).await;
    let none_owed = |it: &serde_json::Value| it["callbacks"] == json!([]);
    world.until("/v1/callbacks/owed", none_owed).await;
    let revised: Vec<_> = consumer.seen().read(|seen| {
        let revised = seen.callbacks().filter(|it| it.body["type"] == "message.revised");
        revised.map(|it| (it.callback_id.clone(), it.content().to_owned())).collect()
    });
    assert_eq!(revised.len(), FAILED, "no revision comes twice");
    let ids: BTreeSet<_> = revised.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(ids.len(), FAILED);
    for (id, content) in revised {
        assert!(id.ends_with("/r1"), "{id}");
        assert!(content.contains("found after all"), "{id}: {content}");
    }
}

on_both_stores! {
    a_filter_retries_all_it_finds_once
}
