//! One message's whole story, and what it waits for at each point of its life.

use anteroom_tests::frames::{self, Media};
use anteroom_tests::staging;
use serde_json::{Value, json};

use crate::{BOT, On, SECRET, World, listed, on_both_stores};

/// The words for what happened, in order.
fn steps(story: &Value) -> Vec<&str> {
    listed(story, "steps").iter().map(|step| step["what"].as_str().unwrap_or_default()).collect()
}

/// Goal: a medium's story holds every step from the provider to the consumer in order, and says at each stop
/// what it waits for. Method: a document without a consumer, then with one.
async fn a_story_says_what_happened_and_what_is_waited_for(on: On) {
    let world = World::start(on, &[]).await;
    let mut provider = world.provider().await;
    let media = Media::document("text/plain", "unspeakable.txt", SECRET.as_bytes());
    staging::share(&staging::directory(provider.welcome()), media.media_id, SECRET.as_bytes());
    provider.receipt(&frames::media("ada", "m-1", SECRET, &media)).await;

    let path = format!("/v1/media/{}/explain", media.media_id);
    let waits = |code: &'static str| move |story: &Value| story["now"]["code"] == code;
    let story = world.until(&path, waits("no_consumer")).await;
    let happened = steps(&story);
    for what in ["written", "received", "work_began", "ended", "archived"] {
        assert!(happened.contains(&what), "{what} in {happened:?}");
    }
    let place = |what| happened.iter().position(|it| *it == what);
    assert!(place("received") < place("work_began"), "{happened:?}");
    assert!(place("work_began") <= place("ended"), "{happened:?}");
    assert_eq!(story["id"], json!(format!("{BOT}/ada/1")));
    assert_eq!(story["now"]["state"], json!("waiting"));

    let consumer = world.consumer();
    consumer.confirmed(1).await;
    let by_message = format!("/v1/messages/{BOT}%2Fada%2F1/explain");
    let story = world.until(&by_message, waits("acknowledged")).await;
    let happened = steps(&story);
    for what in ["called_back", "acknowledged"] {
        assert!(happened.contains(&what), "{what} in {happened:?}");
    }
    assert_eq!(story["now"]["state"], json!("done"));
    assert_eq!(story["media_id"], json!(media.media_id));
    let times: Vec<_> = listed(&story, "steps").iter().map(|step| step["at"].as_u64()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(!story.to_string().contains(SECRET), "{story}");

    let told = world.run(&["explain", &format!("{BOT}/ada/1")]).await.succeeded().stdout;
    assert!(told.contains("done: its consumer has acknowledged it"), "{told}");
    let told = world.run(&["explain", &media.media_id.to_string()]).await.succeeded().stdout;
    assert!(told.contains("archived"), "{told}");
    world.run(&["explain", "demo/nobody/1"]).await.failed_saying(&["nothing is known"]);
}

/// Goal: what a stopped bot keeps waiting is said to wait for it, and goes on when it starts.
async fn a_stopped_bot_is_named(on: On) {
    let world = World::start(on, &[]).await;
    let mut provider = world.provider().await;
    provider.receipt(&frames::text("ada", "t-1", SECRET)).await;
    let path = format!("/v1/callbacks/{BOT}%2Fada%2F1/explain");
    world.until(&path, |story| story["now"]["code"] == "no_consumer").await;

    let stopped = world.run(&["bots", "stop", BOT]).await.succeeded().stdout;
    assert!(stopped.contains("stopped (by hand)"), "{stopped}");
    let story = world.until(&path, |story| story["now"]["code"] == "bot_stopped").await;
    assert_eq!(story["now"]["text"], json!("an operator stopped its bot"));
    let refused = provider.receipt(&frames::text("ada", "t-2", SECRET)).await;
    assert_eq!(refused["reason"], "bot_not_running", "{refused}");

    world.run(&["bots", "start", BOT]).await.succeeded();
    let consumer = world.consumer();
    consumer.confirmed(1).await;
    world.until(&path, |story| story["now"]["code"] == "acknowledged").await;
}

on_both_stores! {
    a_story_says_what_happened_and_what_is_waited_for
    a_stopped_bot_is_named
}
