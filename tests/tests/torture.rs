//! A short torture: see `anteroom_tests::torture`. `cargo xtask torture` runs longer ones.

use std::time::Duration;

use anteroom_tests::torture::{Options, world};

/// How long processes are killed.
const DURATION: Duration = Duration::from_secs(15);

/// Goal: whatever is killed and restarted, every acknowledged message is archived once and called back;
/// callbacks come again only for a reason, with a higher attempt, and never after a confirmed
/// acknowledgement; no job and no file is left; no id is given twice.
/// Method: one seed of the torture on the embedded store. What is judged are the rules; here only
/// that enough happened for them to mean something.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_every_promise_is_kept() {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let options = Options {
        seed: 20_260_101,
        duration: DURATION,
        home: home.path().to_owned(),
        progress_every: Duration::from_secs(5),
    };
    let counts = match world::run(&options).await {
        Ok(summary) => summary.counts,
        Err(failure) => panic!("{failure}\n{options:?}; kept in {}", home.keep().display()),
    };
    println!("{counts}");
    assert!(counts.kills >= 5, "hardly anything died: {counts}");
    assert!(counts.media_called_back >= 50, "hardly any media were under way: {counts}");
    assert!(counts.received > counts.called_back, "nothing fell between two steps: {counts}");
    assert!(counts.written > counts.messages, "nothing was sent again: {counts}");
}
