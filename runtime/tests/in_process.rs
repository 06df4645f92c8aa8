//! The example of a consumer in the same process, run as it is written.

#[path = "../examples/in_process.rs"]
mod example;

/// Goal: a bot in the same process is called, and answers. Method: the example itself.
#[tokio::test]
async fn a_bot_in_the_same_process_answers() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let reply = example::run(directory.path()).await.expect("the example works");
    assert_eq!(reply, "You said: hello");
}
