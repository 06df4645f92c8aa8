//! `docs/operating.md`: what it says to type is typed.

use anteroom_tests::frames;
use serde_json::json;

use crate::{On, World, on_both_stores};

/// The page.
const PAGE: &str = include_str!("../../../docs/operating.md");

/// The commands of the page, each as it is typed, without what is said behind it.
fn commands() -> Vec<Vec<String>> {
    let mut fenced = false;
    let mut commands = Vec::new();
    for line in PAGE.lines() {
        if line.starts_with("```") {
            fenced = line == "```sh";
            continue;
        }
        let command = line.split('#').next().unwrap_or_default().trim();
        if let Some(arguments) = command.strip_prefix("anteroom ").filter(|_| fenced) {
            commands.push(arguments.split_whitespace().map(str::to_owned).collect());
        }
    }
    commands
}

/// Goal: each command of the page is understood and does what it should in the situation that the page is
/// about: a failed medium, an owed text. Method: the page's names stand for a real bot, message and medium.
async fn what_the_page_says_to_type_works(on: On) {
    let world = World::start(on, &[]).await;
    let mut provider = anteroom_tests::Connection::hello(&world.server, "wa-7").await;
    provider.receipt(&frames::text("ada", "t-1", "hello")).await;
    let media = frames::Media::document("text/plain", "a.txt", b"a");
    provider.receipt(&frames::media("ada", "m-1", "look", &media)).await;
    world.until("/v1/jobs/count?state=failed", |it| it["matched"] == json!(1)).await;
    let commands = commands();
    assert!(commands.len() >= 15, "{commands:?}");
    for mut arguments in commands {
        for argument in &mut arguments {
            *argument = argument
                .replace("8c7a2f0e-41e4-4d4f-9d40-2f6f5f0f9a11", &media.media_id.to_string());
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ended = world.run(&arguments).await;
        // Nothing is wrongly typed, and the server is there. That a file is gone, or that nothing was given
        // up, is an answer too.
        assert!(matches!(ended.code, Some(0 | 1)), "anteroom {}: {ended:?}", arguments.join(" "));
        let may_be_refused = ["retry", "redeliver"].iter().any(|word| arguments.contains(word));
        assert!(ended.code == Some(0) || may_be_refused, "{arguments:?}: {ended:?}");
    }
}

on_both_stores! {
    what_the_page_says_to_type_works
}
