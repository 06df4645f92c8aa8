//! How a bot starts and stops where the store refuses.
//!
//! Effects are compared as a trace shows them: all of them, in their order.

use anteroom_core::job::Status;
use anteroom_core::store::{JobPage, StoreError, StoreReply};

use crate::script::node::no_jobs;
use crate::script::trace::shown;
use crate::script::*;

/// Goal: a bot whose second page of jobs is refused stops, and keeps nothing of the first in memory.
/// Method: the first page brings a placeholder; a stopped bot that held it would break an invariant,
/// and would meet it again when it is started anew.
#[test]
fn a_bot_that_cannot_be_restored_keeps_nothing() {
    let mut node = Node::new(node_settings());
    node.start();
    node.open(SESSION);
    node.step(hello(SESSION, BOT, PROVIDER));
    node.own(1);
    let page = || JobPage { jobs: vec![job("alice", 1, 0xa1, Status::Pending)], more: true };
    node.answer("restore_bot", Ok(StoreReply::RestoreBot(page())));
    let refusal = StoreError::Invalid { detail: "no".to_owned() };
    let effects = shown(&node.answer("restore_bot", Err(refusal)));
    let refused = "notice: detail no store_refused operation restore_bot";
    let stopped = "notice: bot_id wa-7 bot_stopped";
    assert_eq!(effects[..2], [refused, stopped]);
    assert!(effects[2].ends_with("release_bot epoch 1"), "{effects:?}");
    assert_eq!(effects.len(), 3);

    node.answer("release_bot", Ok(StoreReply::ReleaseBot));
    node.step(bot(anteroom_core::bot::event::BotEvent::Start));
    node.own(2);
    node.answer("restore_bot", Ok(StoreReply::RestoreBot(page())));
    let effects = shown(&node.answer("restore_bot", Ok(no_jobs())));
    assert_eq!(effects[0], "notice: bot_id wa-7 epoch 2 bot_started restored 1");
}
