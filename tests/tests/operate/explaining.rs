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
/// what it waits for; whose work it was is known as long as the message is, not only to who did it.
/// Method: a document without a consumer, then with one; then the node is killed.
async fn a_story_says_what_happened_and_what_is_waited_for(on: On) {
    let mut world = World::start(on, &[]).await;
    let mut provider = world.provider().await;
    let media = Media::document("text/plain", "unspeakable.txt", SECRET.as_bytes());
    staging::share(&staging::directory(provider.welcome()), media.media_id, SECRET.as_bytes());
    provider.receipt(&frames::media("ada", "m-1", SECRET, &media)).await;

    let path = format!("/v1/media/{}/explain", media.media_id);
    let waits = |code: &'static str| move |story: &Value| story["now"]["code"] == code;
    let story = world.until(&path, waits("no_consumer")).await;
    let happened = steps(&story);
    for what in ["written", "received", "claimed", "work_began", "ended", "work_ended", "archived"]
    {
        assert!(happened.contains(&what), "{what} in {happened:?}");
    }
    let place = |what| happened.iter().position(|it| *it == what);
    assert!(place("received") < place("claimed"), "{happened:?}");
    assert!(place("claimed") < place("work_began"), "{happened:?}");
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

    let worker = format!("by worker {}", story["told_by"].as_str().expect("a node"));
    world.server.kill().await;
    world.server.restart().await;
    let story = world.seen(&by_message).await;
    assert!(!steps(&story).contains(&"work_began"), "the node remembers: {story}");
    let claimed = listed(&story, "steps").iter().find(|step| step["what"] == "claimed");
    assert_eq!(claimed.map(|step| &step["detail"]), Some(&json!(worker)), "{story}");
    assert!(steps(&story).contains(&"work_ended"), "{story}");
}

/// Goal: of a message that was revised, the work is told that its text comes from. Method: a file that is missing
/// at first; then the node is killed, so that it remembers nothing.
async fn the_work_behind_a_revision_is_told(on: On) {
    let mut world = World::start(on, &[]).await;
    let mut provider = world.provider().await;
    let consumer = world.consumer();
    let media = world.fail(&mut provider, "ada", 1).await.remove(0);
    consumer.confirmed(1).await;
    let path = format!("/v1/media/{}/explain", media.media_id);
    let at = |story: &Value, what: &str| {
        let steps = listed(story, "steps").iter().filter(|step| step["what"] == what);
        steps.filter_map(|step| step["at"].as_u64()).collect::<Vec<_>>()
    };
    let failed = world.seen(&path).await;
    assert_eq!(at(&failed, "claimed").len(), 1, "{failed}");

    staging::share(&staging::directory(provider.welcome()), media.media_id, SECRET.as_bytes());
    world.run(&["jobs", "retry", &media.media_id.to_string()]).await.succeeded();
    consumer.confirmed(2).await;
    world.until(&path, |story| story["now"]["code"] == "acknowledged").await;
    world.server.kill().await;
    world.server.restart().await;
    let revised = world.seen(&path).await;
    assert_eq!(revised["revision"], json!(1), "{revised}");
    assert_eq!(at(&revised, "claimed").len(), 1, "{revised}");
    assert!(at(&revised, "claimed") > at(&failed, "work_ended"), "{failed} {revised}");
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
    the_work_behind_a_revision_is_told
}
