//! How a bot starts and stops, where the store refuses, and where results come meanwhile.
//!
//! Effects are compared as a trace shows them: all of them, in their order.

use anteroom_core::bot::event::BotEvent;
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::ArchiveSeq;
use anteroom_core::job::{Job, Status};
use anteroom_core::pool::event::PoolEvent;
use anteroom_core::store::{
    Claimed, JobCursor, JobPage, ReviseAnswer, StoreError, StoreReply, StoreRequest,
};
use anteroom_core::time::Millis;

use crate::script::node::{Asked, next_id, no_jobs, nothing_owed, stored, unavailable};
use crate::script::trace::shown;
use crate::script::*;

/// Goal: a bot whose second page of jobs is refused stops, and keeps nothing of the first in memory.
/// Method: the first page brings a placeholder; a stopped bot that held it would break an invariant,
/// and would meet it again when it is started anew.
#[test]
fn a_bot_that_cannot_be_restored_keeps_nothing() {
    let mut node = Node::restoring(node_settings());
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
    node.step(bot(BotEvent::Start));
    node.own(2);
    node.answer("restore_bot", Ok(StoreReply::RestoreBot(page())));
    let effects = shown(&node.answer("restore_bot", Ok(no_jobs())));
    assert_eq!(effects[0], "notice: bot_id wa-7 epoch 2 bot_started restored 1");
}

/// Goal: a page of which no job could be read has more behind it all the same: it is asked for where that one
/// began, and a bot runs when there is none behind. Method: the first page is such a one, and then one behind
/// a page that has a job.
#[test]
fn behind_a_page_that_could_not_be_read_is_another() {
    let mut node = Node::restoring(node_settings());
    let page = |jobs: Vec<Job>| Ok(StoreReply::RestoreBot(JobPage { jobs, more: true }));
    let job = job("alice", 1, 0xa1, Status::Pending);
    let behind = JobCursor::of(&job);
    for (jobs, expected) in [(vec![], None), (vec![job], Some(behind)), (vec![], Some(behind))] {
        let effects = shown(&node.answer("restore_bot", page(jobs)));
        assert!(!effects.iter().any(|effect| effect.contains("bot_started")), "{effects:?}");
        let StoreRequest::RestoreBot { after, .. } = node.asked("restore_bot") else {
            panic!("it is its name");
        };
        assert_eq!(*after, expected);
    }
    let effects = shown(&node.answer("restore_bot", Ok(no_jobs())));
    assert_eq!(effects[0], "notice: bot_id wa-7 epoch 1 bot_started restored 1");
}

/// Goal: the same of a page of results: those behind it are looked for at once, not when the bot looks next. Method:
/// as above.
#[test]
fn behind_results_that_could_not_be_read_are_others() {
    let mut node = Node::running(node_settings());
    node.step(bot(BotEvent::ResultsWaiting));
    let status = Status::Completed { outcome: words("news"), token: None, worked: None };
    let job = job("alice", 1, 0xa1, status);
    let behind = JobCursor::of(&job);
    for (jobs, expected) in [(vec![], None), (vec![job], Some(behind)), (vec![], Some(behind))] {
        let page = StoreReply::CompletedJobs(JobPage { jobs, more: true });
        node.answer("completed_jobs", Ok(page));
        let StoreRequest::CompletedJobs { after, .. } = node.asked("completed_jobs") else {
            panic!("it is its name");
        };
        assert_eq!(*after, expected);
    }
}

/// A node whose bot has one of its jobs restored and is waiting for more; a worker here had claimed it,
/// and its result has come. With what the machine does about it.
fn a_result_between_two_pages() -> (Node, Vec<Effect>) {
    let mut node = Node::restoring(node_settings());
    let (held, token) = node.leased("alice", 4, 0xa1);
    let page = JobPage { jobs: vec![held.clone()], more: true };
    node.answer("restore_bot", Ok(StoreReply::RestoreBot(page)));
    let claimed = Claimed { jobs: vec![held], more: false, next_in: None };
    node.answer("claim", Ok(StoreReply::Claim(claimed)));
    let ended = PoolEvent::Ended { media_id: media(0xa1), token, result: Ok(words("news")) };
    let effects = node.step(Event::Pools(ended));
    (node, effects)
}

/// Goal: a result that comes while its bot is being restored waits in the queue, and is archived under its
/// lease once the bot runs: nothing is written for it before.
#[test]
fn a_result_is_kept_while_its_bot_is_being_restored() {
    let (mut node, effects) = a_result_between_two_pages();
    assert_eq!(shown(&effects)[0], "notice: bot_id wa-7 media_id a1 media_ended text text news");
    assert!(!node.asks("complete") && !node.asks("archive"), "{:?}", node.names());

    node.answer("restore_bot", Ok(no_jobs()));
    assert!(!node.asks("archive"), "what is owed from before is read first: {:?}", node.names());
    let effects = shown(&node.answer("owed_callbacks", Ok(nothing_owed())));
    let archive = "archive [alice/4 \"[Audio transcript: news]\" owed_in_window job media-a1 Some(";
    assert!(effects.iter().any(|effect| effect.contains(archive)), "{effects:#?}");
    assert!(!node.asks("complete"), "{:?}", node.names());
}

/// Goal: a result that was kept while its bot was being restored goes into its job when the bot does not come
/// to run: when it is stopped, when the store refuses its jobs, and when another node has become its owner.
#[test]
fn a_result_that_was_kept_is_not_lost_when_its_bot_does_not_run() {
    let ends: [fn(&mut Node) -> Vec<Effect>; 3] = [
        |node| node.step(bot(BotEvent::Stop)),
        |node| {
            let detail = "no".to_owned();
            node.answer("restore_bot", Err(StoreError::Invalid { detail }))
        },
        |node| node.answer("restore_bot", Err(StoreError::Fenced)),
    ];
    for end in ends {
        let (mut node, _) = a_result_between_two_pages();
        let effects = shown(&end(&mut node));
        let is_stored = |effect: &&String| effect.contains("complete [media-a1 ");
        let stored = effects.iter().filter(is_stored).count();
        assert_eq!(stored, 1, "{effects:#?}");
    }
}

/// Goal: the result of a retried job is for its archived message, also while its provider sends that message
/// again and nobody knows it yet: it is stored in the job, and completes no placeholder. (Seed 14771 of the
/// simulation: the placeholder's archive was told that the message is known, and the file that the retried job
/// still needed was deleted.)
#[test]
fn a_retried_jobs_result_completes_no_other_placeholder_of_its_media() {
    let mut node = Node::running(node_settings());
    let (leased, token) = node.leased("alice", 1, 0xa1);
    let jobs = vec![Job { revision: 1, ..leased }];
    node.answer("claim", Ok(StoreReply::Claim(Claimed { jobs, more: false, next_in: None })));

    // The message that the job is a retry of comes again.
    node.open(1);
    node.step(say(1, 1, voice("alice", "a1", 0xa1)));
    node.answer("next_id", Ok(next_id(2)));
    assert!(node.asks("insert_jobs"), "{:?}", node.names());
    let done = PoolEvent::Ended { media_id: media(0xa1), token, result: Ok(words("again")) };
    let effects = shown(&node.step(Event::Pools(done)));
    assert!(effects[0].ends_with("text text again]"), "{effects:?}");
    assert!(node.asks("complete") && !node.asks("archive"), "{effects:?}");
    assert_eq!(effects.len(), 1, "{effects:?}");
}

/// Goal: what was given up while it was being made durable, and was carried out all the same, leaves no file
/// behind: the file is looked up once the store has answered, and deleted if no job knows it. Without an answer
/// that it was carried out nothing is looked up: its job, or the sweep, has the file. Method: the result of a
/// message, and that of a retried one, are on their way when the ownership is lost.
#[test]
fn what_is_carried_out_after_its_bot_was_lost_leaves_no_file() {
    let revised = || StoreReply::Revise(ReviseAnswer::Revised { seq: ArchiveSeq(1) });
    for (revision, name, reply) in [(0, "archive", stored([1])), (1, "revise", revised())] {
        for (known, said) in
            [(vec![], vec!["janitor: delete file media-a1"]), (vec![media(0xa1)], vec![])]
        {
            let (mut node, given_up) = lost_while(name, revision);
            let late = given_up.asker.event(given_up.op, Ok(reply.clone()));
            let effects = shown(&node.step(late));
            assert!(
                effects.iter().any(|effect| effect.contains("known_media [media-a1]")),
                "{effects:#?}"
            );
            let effects = node.answer("known_media", Ok(StoreReply::KnownMedia(known)));
            assert_eq!(shown(&effects), said);
        }
        let (mut node, given_up) = lost_while(name, revision);
        node.step(given_up.asker.event(given_up.op, Err(unavailable())));
        assert!(!node.asks("known_media"), "{:?}", node.names());
    }
}

/// Goal: the same when the bot's end takes two steps: it has waited for the store as long as it may, its jobs are
/// being held, and it is lost meanwhile. Method: as before, with a stop; ownership is renewed until then.
#[test]
fn what_a_bot_gave_up_before_it_was_lost_leaves_no_file() {
    let (mut node, given_up) = on_its_way("archive", 0);
    node.step(bot(BotEvent::Stop));
    while !node.asks("hold_bot") {
        node.wait(Millis::from_secs(1));
        if node.asks("renew_bots") {
            node.answer("renew_bots", Ok(StoreReply::RenewBots(Vec::new())));
        }
    }
    node.answer("hold_bot", Err(StoreError::Fenced));
    node.step(given_up.asker.event(given_up.op, Ok(stored([1]))));
    assert!(node.asks("known_media"), "{:?}", node.names());
}

/// A node that has lost its bot while the result of a job was on its way to the store under that name.
fn lost_while(name: &str, revision: u32) -> (Node, Asked) {
    let (mut node, given_up) = on_its_way(name, revision);
    node.wait(Millis::from_secs(5));
    node.answer("renew_bots", Ok(StoreReply::RenewBots(vec![BOT.into()])));
    (node, given_up)
}

/// A node with the result of a job on its way to the store under that name.
fn on_its_way(name: &str, revision: u32) -> (Node, Asked) {
    let mut node = Node::restoring(node_settings());
    let status = Status::Completed { outcome: words("news"), token: None, worked: None };
    let done = Job { revision, ..job("alice", 1, 0xa1, status) };
    node.answer(
        "restore_bot",
        Ok(StoreReply::RestoreBot(JobPage { jobs: vec![done], more: false })),
    );
    if node.asks("owed_callbacks") {
        node.answer("owed_callbacks", Ok(nothing_owed()));
    }
    let asked = node.take(name);
    (node, asked)
}
