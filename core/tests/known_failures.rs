//! Failures that systems of this kind have shown, played step by step: none may happen here.
//!
//! The numbers are those of `docs/known-failures.md`, which names for each failure the type or the
//! tests that rule it out; here are those that no other test shows. Effects are compared as a trace
//! shows them, all of them, in their order, without the numbers of store operations.

use anteroom_core::bot::event::BotEvent;
use anteroom_core::effect::Effect;
use anteroom_core::event::Event;
use anteroom_core::id::{LeaseToken, MessageId, RequestId};
use anteroom_core::janitor::JanitorEvent;
use anteroom_core::job::Status;
use anteroom_core::pool::event::PoolEvent;
use anteroom_core::settings::{NodeSettings, Run};
use anteroom_core::store::{
    ArchiveAnswer, BotRecord, Claimed, InsertAnswer, JobPage, MarkAnswer, StoreError, StoreReply,
    StoreRequest, StoreResult, TokenAnswer,
};
use anteroom_core::time::Millis;

use crate::script::node::{no_jobs, nothing_owed, start};
use crate::script::*;

/// The defaults, with two pools, and leases that outlast every test.
fn settings() -> NodeSettings {
    let mut settings = node_settings();
    settings.pools.retain(|pool| ["audio", "unsupported"].contains(&pool.name.as_str()));
    settings.ownership.ttl = Millis::from_hours(48);
    settings.ownership.renew_every = Millis::from_hours(24);
    settings.lease.ttl = Millis::from_hours(48);
    settings.lease.renew_every = Millis::from_hours(24);
    settings
}

/// A running bot with a consumer, whose pools have looked for work and found none.
fn running(settings: NodeSettings) -> Node {
    let mut node = Node::running(settings);
    node.step(attach(1));
    find_no_work(&mut node);
    node
}

/// A running bot without connections, on a node without workers.
fn posted_to(settings: NodeSettings) -> Node {
    let mut node = Node::new(settings);
    node.step(start([BotRecord { run: Run::Always, ..record(BOT) }], true, false));
    node.own(1);
    restored(&mut node, no_jobs());
    node.step(attach(1));
    node
}

fn find_no_work(node: &mut Node) {
    while node.asks("claim") {
        node.answer("claim", Ok(claimed(Vec::new())));
    }
}

/// Answers what a bot asks at its start; returns what the jobs made it do.
fn restored(node: &mut Node, jobs: StoreReply) -> Vec<Effect> {
    let effects = node.answer("restore_bot", Ok(jobs));
    node.answer("owed_callbacks", Ok(nothing_owed()));
    node.answer("owed_sends", Ok(StoreReply::OwedSends(Vec::new())));
    effects
}

fn claimed(jobs: Vec<anteroom_core::job::Job>) -> StoreReply {
    StoreReply::Claim(Claimed { jobs, more: false, next_in: None })
}

fn next_id(number: u64) -> StoreResult {
    Ok(node::next_id(number))
}

fn stored(seqs: impl IntoIterator<Item = u64>) -> StoreResult {
    Ok(node::stored(seqs))
}

fn duplicate_of(message_id: MessageId) -> StoreResult {
    Ok(StoreReply::Archive(vec![ArchiveAnswer::DuplicateProviderMessage { message_id }]))
}

fn invalid() -> StoreResult {
    Err(StoreError::Invalid { detail: "no".to_owned() })
}

fn lease_of_insert(node: &Node) -> LeaseToken {
    let StoreRequest::InsertJobs { jobs, .. } = node.asked("insert_jobs") else {
        panic!("insert_jobs asks for jobs to be inserted")
    };
    jobs[0].lease.expect("a slot is free").token
}

/// A voice note whose processor runs; returns its lease.
fn processing(node: &mut Node, seq: u64, correspondent: &str) -> LeaseToken {
    node.step(say(SESSION, seq, voice(correspondent, &format!("p{seq}"), 0xa1)));
    node.answer("next_id", next_id(1));
    let token = lease_of_insert(node);
    let inserted = vec![InsertAnswer::Inserted { leased: true }];
    node.answer("insert_jobs", Ok(StoreReply::InsertJobs(inserted)));
    token
}

fn processed(token: LeaseToken) -> Event {
    let result = Ok(words("news"));
    Event::Pools(PoolEvent::Ended { media_id: media(0xa1), token, result })
}

/// Effects as a trace shows them, but operations without their numbers and leases without theirs.
fn told(effects: &[Effect]) -> Vec<String> {
    let plain = |line: String| line.split(' ').map(without_lease).collect::<Vec<_>>().join(" ");
    trace::told(effects).into_iter().map(plain).collect()
}

fn without_lease(word: &str) -> &str {
    if word.contains("lease-") { "under-a-lease" } else { word }
}

/// Goal (K4): a resend that memory has forgotten is found by the store: a duplicate, no second
/// message, no second callback. Method: a window of one, and another message in between.
#[test]
fn a_resend_that_memory_has_forgotten_is_a_duplicate() {
    let mut settings = settings();
    settings.bot_defaults.limits.dedupe_window = 1;
    let mut node = running(settings);
    node.step(say(SESSION, 1, text("alice", "p1", "hello")));
    node.answer("next_id", next_id(1));
    node.answer("archive", stored([1]));
    node.step(say(SESSION, 2, text("alice", "p2", "and more")));
    node.answer("archive", stored([2]));
    let effects = node.step(say(SESSION, 3, text("alice", "p1", "hello")));
    assert_eq!(told(&effects), ["wa-7: archive [alice/3 \"hello\" owed_in_window]"]);
    let effects = node.answer("archive", duplicate_of(message_id(1)));
    assert_eq!(
        told(&effects),
        [
            "notice: bot_id wa-7 correspondent_id alice message_id 1 duplicate_message",
            "session 1: receipt seq 3 message_id 1 duplicate",
        ]
    );
}

/// Goal (K5): a bot whose memory is emptied while a write is in flight begins no id anew: it asks the
/// store, and the write that happened after all is what makes the resend a duplicate.
#[test]
fn ids_are_read_anew_after_memory_was_emptied() {
    let mut node = running(settings());
    node.step(say(SESSION, 1, text("alice", "p1", "hello")));
    node.answer("next_id", next_id(1));
    let write = node.take("archive");
    node.sleep(Millis::from_hours(72));
    node.step(Event::Tick);
    node.answer("release_bot", Ok(StoreReply::ReleaseBot));
    let late = node.step(write.asker.event(write.op, stored([1])));
    assert_eq!(told(&late), ["notice: unexpected_event what bot wa-7: reply to operation 8"]);

    node.open(2);
    node.step(hello(2, BOT, PROVIDER));
    node.own(2);
    restored(&mut node, no_jobs());
    let effects = node.step(say(2, 1, text("alice", "p1", "hello")));
    assert_eq!(told(&effects), ["wa-7: next_id alice"]);
    let effects = node.answer("next_id", next_id(2));
    assert_eq!(told(&effects), ["wa-7: archive [alice/2 \"hello\" owed_in_window]"]);
    let effects = node.answer("archive", duplicate_of(message_id(1)));
    assert_eq!(
        told(&effects),
        [
            "notice: bot_id wa-7 correspondent_id alice message_id 1 duplicate_message",
            "session 2: receipt seq 1 message_id 1 duplicate",
        ]
    );
}

/// Goal (K9, K12): a stop closes the intake before it drains, so that nothing is accepted behind the
/// drain, and a chat that goes on talking cannot hold the stop up. Method: five texts in batches of
/// two, and one that comes while the first batch is written.
#[test]
fn a_stop_takes_nothing_in_and_drains_what_there_is() {
    let mut settings = settings();
    settings.bot_defaults.limits.archive_batch_messages = 2;
    let mut node = running(settings);
    for seq in 1..6 {
        node.step(say(SESSION, seq, text("busy", &format!("p{seq}"), "more")));
    }
    node.answer("next_id", next_id(1));
    assert_eq!(told(&node.step(bot(BotEvent::Stop))), [""; 0]);
    let effects = node.step(say(SESSION, 6, text("busy", "p6", "one more")));
    let refused = "session 1: receipt seq 6 rejected reason bot_not_running retry_after 5000";
    assert_eq!(told(&effects), [refused]);
    node.answer("archive", stored([1, 2]));
    node.answer("archive", stored([3, 4]));
    let effects = node.answer("archive", stored([5]));
    let accepted = "session 1: receipt seq 5 message_id 5 accepted";
    assert_eq!(told(&effects), ["wa-7: hold_bot epoch 1", accepted]);
}

/// Goal (K10): a placeholder whose job the store refuses is gone at once and its provider is told; a
/// resend is a new message.
#[test]
fn a_refused_job_leaves_nothing_behind() {
    let mut node = running(settings());
    node.step(say(SESSION, 1, voice("alice", "p1", 0xa1)));
    node.answer("next_id", next_id(1));
    let effects = node.answer("insert_jobs", invalid());
    assert_eq!(
        told(&effects),
        [
            "notice: detail no store_refused operation insert_jobs",
            "session 1: receipt seq 1 rejected reason invalid retry_after 0",
        ]
    );
    let effects = node.step(say(SESSION, 2, voice("alice", "p1", 0xa1)));
    let insert = "wa-7: insert_jobs [media-a1 of alice/2 pending lease under-a-lease";
    assert_eq!(told(&effects), [insert]);
}

/// Goal (K13): the queue of a correspondent who has been silent is let go. Method: the next message
/// asks the store for its first id again, which only a correspondent that is not in memory does.
#[test]
fn a_silent_correspondent_is_let_go() {
    let silent_after = settings().bot_defaults.limits.silent_after;
    for (silence, asks_again) in
        [(silent_after, true), (Millis::from_ms(silent_after.as_ms() - 1), false)]
    {
        let mut node = posted_to(settings());
        let post = |request, id: &str| {
            let draft = Box::new(text("alice", id, "hello"));
            bot(BotEvent::Post { request_id: RequestId(request), draft })
        };
        node.step(post(1, "p1"));
        node.answer("next_id", next_id(1));
        node.answer("archive", stored([1]));
        node.step(acknowledge(2, [key("alice", 1)]));
        let ended = StoreReply::MarkCalledBack(vec![MarkAnswer::Ended]);
        node.answer("mark_called_back", Ok(ended));
        node.wait(silence);
        let effects = told(&node.step(post(3, "p2")));
        let expected = match asks_again {
            true => "wa-7: next_id alice",
            false => "wa-7: archive [alice/2 \"hello\" owed_in_window]",
        };
        assert_eq!(effects, [expected]);
    }
}

/// Goal (K18): a result that is made while the bot's jobs are being restored goes into its job, and
/// is found there as soon as the bot runs.
#[test]
fn a_result_during_the_restore_is_applied_after_it() {
    let mut node = Node::restoring(settings());
    let (held, token) = node.leased("alice", 4, 0xa1);
    node.answer("claim", Ok(claimed(vec![held.clone()])));
    find_no_work(&mut node);
    let effects = told(&node.step(processed(token)));
    assert_eq!(effects[0], "pools: complete [media-a1 under-a-lease text text news]");
    find_no_work(&mut node);

    let page = StoreReply::RestoreBot(JobPage { jobs: vec![held.clone()], more: false });
    restored(&mut node, page);
    let effects = node.answer("complete", Ok(StoreReply::Complete(vec![TokenAnswer::Ok])));
    assert_eq!(told(&effects), ["wa-7: completed_jobs after None"]);
    let status = Status::Completed { outcome: words("news"), token: Some(token), worked: None };
    let done = anteroom_core::job::Job { status, ..held };
    let page = StoreReply::CompletedJobs(JobPage { jobs: vec![done], more: false });
    assert_eq!(
        told(&node.answer("completed_jobs", Ok(page))),
        [
            "notice: bot_id wa-7 media_id a1 media_ended text text news",
            "wa-7: archive [alice/4 \"[Audio transcript: news]\" owed_in_window job media-a1 None]",
        ]
    );
}

/// Goal (K23): a result that could not be stored is stored again, and meanwhile neither its file is
/// deleted nor its job given away.
#[test]
fn a_result_that_could_not_be_stored_is_stored_again() {
    let mut node = running(settings());
    let token = processing(&mut node, 1, "alice");
    node.step(bot(BotEvent::Stop));
    node.answer("hold_bot", Ok(StoreReply::HoldBot(1)));
    node.answer("release_bot", Ok(StoreReply::ReleaseBot));
    let complete = "pools: complete [media-a1 under-a-lease text text news]";
    assert_eq!(told(&node.step(processed(token))), [complete]);
    let effects = node.fail("complete");
    assert_eq!(told(&effects), ["notice: detail down store_retried operation complete"]);
    assert_eq!(told(&node.wait(Millis::from_ms(100))), [complete]);
}

/// Goal (K23): a result whose message the archive refuses goes into its job, which is not left under
/// its lease for ever, and stays there for an operator; it is not tried without an end.
#[test]
fn a_result_that_the_archive_refuses_stays_in_its_job() {
    let mut node = running(settings());
    let token = processing(&mut node, 1, "alice");
    node.step(processed(token));
    let refused = "notice: detail no store_refused operation archive";
    let complete = "pools: complete [media-a1 under-a-lease text text news]";
    assert_eq!(told(&node.answer("archive", invalid())), [refused, complete]);

    let effects = node.answer("complete", Ok(StoreReply::Complete(vec![TokenAnswer::Ok])));
    assert_eq!(told(&effects), ["wa-7: completed_jobs after None"]);
    let status = Status::Completed { outcome: words("news"), token: Some(token), worked: None };
    let jobs = vec![job("alice", 1, 0xa1, status)];
    let page = StoreReply::CompletedJobs(JobPage { jobs, more: false });
    let effects = told(&node.answer("completed_jobs", Ok(page)));
    assert!(effects[1].starts_with("wa-7: archive [alice/1 \"[Audio transcript: news]\""));
    assert_eq!(told(&node.answer("archive", invalid())), [refused]);
}

/// Goal (K28): what a processor says after its result changes nothing.
#[test]
fn an_error_after_the_result_changes_nothing() {
    let mut node = running(settings());
    let token = processing(&mut node, 1, "alice");
    let effects = told(&node.step(processed(token)));
    assert!(effects[1].starts_with("wa-7: archive [alice/1 \"[Audio transcript: news]\""));
    let failed = Event::Pools(PoolEvent::Ended {
        media_id: media(0xa1),
        token,
        result: Err(anteroom_core::pool::event::ProcessorFailure::TimedOut),
    });
    let unknown =
        format!("notice: unexpected_event what pools: unknown processor of {} ended", media(0xa1));
    assert_eq!(told(&node.step(failed)), [unknown]);
    assert_eq!(
        told(&node.answer("archive", stored([1]))),
        [
            "wa-7: delete file media-a1",
            "wa-7: callback alice/1/r0 attempt 1 stream 1 \"[Audio transcript: news]\"",
        ]
    );
}

/// Goal (K27): only jobs of bots that run here can expire as active ones, and the sweep's time begins
/// with the node: after an outage nothing is thrown away before its bot is back.
#[test]
fn only_jobs_of_running_bots_expire() {
    let expire_every = settings().janitor.expire_every;
    let mut node = Node::new(settings());
    node.start();
    node.wait(expire_every);
    let StoreRequest::ExpireJobs { running, .. } = node.asked("expire_jobs") else {
        panic!("expire_jobs ends jobs")
    };
    assert_eq!(*running, []);

    let mut node = posted_to(settings());
    node.wait(expire_every);
    let StoreRequest::ExpireJobs { running, .. } = node.asked("expire_jobs") else {
        panic!("expire_jobs ends jobs")
    };
    assert_eq!(*running, [(BOT.into(), epoch(1))]);
}

/// Goal (K32): a staged file that no job knows is only suspected; it is deleted when it is as unknown
/// hours later, and a job that came in between saves it.
#[test]
fn an_unknown_file_is_suspected_before_it_is_deleted() {
    for (saved, expected) in [
        (true, Vec::new()),
        (false, vec!["janitor: delete file media-a1", "notice: media_id a1 orphan_file_deleted"]),
    ] {
        let settings = settings();
        let hours = settings.janitor.orphan_after.as_ms() / settings.janitor.files_every.as_ms();
        let mut node = posted_to(settings.clone());
        assert_eq!(sweep_files(&mut node, Vec::new()), [""; 0]);
        for _ in 1..hours {
            assert_eq!(sweep_files(&mut node, Vec::new()), [""; 0]);
        }
        let known = if saved { vec![media(0xa1)] } else { Vec::new() };
        assert_eq!(sweep_files(&mut node, known), expected);
    }
}

/// Goal (K32): the file of a message that its provider still sends, and that is refused for hours, is no
/// orphan; it is one when nobody has spoken of it for as long. Method: a bot that is never acquired.
#[test]
fn a_file_that_its_provider_speaks_of_is_kept() {
    let settings = settings();
    let hours = settings.janitor.orphan_after.as_ms() / settings.janitor.files_every.as_ms();
    let mut node = Node::new(settings);
    node.start();
    for hour in 0..2 * hours {
        node.step(closed(SESSION));
        node.open(SESSION);
        node.step(hello(SESSION, BOT, PROVIDER));
        let refused = trace::shown(&node.step(say(SESSION, 1, voice("alice", "p1", 0xa1))));
        assert!(refused[0].contains("retry_later"), "{refused:?}");
        assert_eq!(sweep_files(&mut node, Vec::new()), [""; 0], "in hour {hour}");
    }
    // It was spoken of an hour before the last sweep.
    for _ in 2..hours {
        assert_eq!(sweep_files(&mut node, Vec::new()), [""; 0]);
    }
    let deleted = ["janitor: delete file media-a1", "notice: media_id a1 orphan_file_deleted"];
    assert_eq!(sweep_files(&mut node, Vec::new()), deleted);
}

/// A whole sweep of files, an hour after the last, which finds one; what its end does.
fn sweep_files(node: &mut Node, known: Vec<anteroom_core::id::MediaId>) -> Vec<String> {
    node.wait(settings().janitor.files_every);
    node.answer("acquire_singleton", Ok(StoreReply::AcquireSingleton(true)));
    node.answer("forget_failed", Ok(StoreReply::ForgetFailed(Vec::new())));
    let effects = node.answer("forget_archived", Ok(StoreReply::ForgetArchived(0)));
    assert_eq!(told(&effects), ["janitor: list staged files"]);
    node.step(Event::Janitor(JanitorEvent::Staged { files: vec![media(0xa1)] }));
    told(&node.answer("known_media", Ok(StoreReply::KnownMedia(known))))
}

/// Goal (K33): a connection that comes while its bot stops is served by the bot's next start, which
/// begins when the stop has ended, and not before.
#[test]
fn a_connection_during_a_stop_starts_the_bot_again() {
    let mut node = running(settings());
    node.step(closed(SESSION));
    node.wait(Millis::from_secs(60));
    assert!(node.names().contains(&"hold_bot".to_owned()));
    node.open(2);
    assert_eq!(told(&node.step(hello(2, BOT, PROVIDER))), [""; 0]);
    let effects = node.answer("hold_bot", Ok(StoreReply::HoldBot(0)));
    assert_eq!(
        told(&effects),
        ["notice: bot_id wa-7 bot_stopped", "ownership: release_bot epoch 1"]
    );
    let effects = node.answer("release_bot", Ok(StoreReply::ReleaseBot));
    assert_eq!(told(&effects), ["ownership: acquire_bot wa-7"]);
    assert_eq!(told(&node.own(2)), ["wa-7: restore_bot epoch 2 after None"]);
    assert_eq!(
        told(&node.answer("restore_bot", Ok(no_jobs()))),
        [
            "notice: bot_id wa-7 epoch 2 bot_started restored 0",
            "wa-7: owed_sends",
            "wa-7: owed_callbacks of the bot after seq 0",
            "session 2: welcome wa-7 window 256 resume after None",
        ]
    );
}

/// Goal (K35): a result that comes after the drain has begun goes into its job, and not to the bot,
/// which would call back and never archive. Method: a text keeps the drain open.
#[test]
fn a_result_during_the_drain_goes_into_its_job() {
    let mut node = running(settings());
    let token = processing(&mut node, 1, "alice");
    node.step(say(SESSION, 2, text("alice", "p2", "hello")));
    assert_eq!(told(&node.step(bot(BotEvent::Stop))), [""; 0]);
    let effects = node.step(processed(token));
    let complete = "pools: complete [media-a1 under-a-lease text text news]";
    assert_eq!(told(&effects), [complete]);
    let effects = node.answer("complete", Ok(StoreReply::Complete(vec![TokenAnswer::Ok])));
    assert_eq!(told(&effects), [""; 0]);
    assert_eq!(
        told(&node.answer("archive", stored([1]))),
        ["wa-7: hold_bot epoch 1", "session 1: receipt seq 2 message_id 2 accepted"]
    );
}
