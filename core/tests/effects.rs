//! Small steps and exactly what they make the machine do.
//!
//! Effects are compared as a trace shows them: all of them, in their order.

use anteroom_core::bot::event::BotEvent;
use anteroom_core::event::Event;
use anteroom_core::id::{LeaseToken, RequestId};
use anteroom_core::job::Status;
use anteroom_core::message::{FailureKind, Outcome};
use anteroom_core::pool::event::{PoolEvent, ProcessorFailure};
use anteroom_core::settings::{NodeSettings, Run};
use anteroom_core::store::{
    ArchiveAnswer, BotRecord, Claimed, InsertAnswer, JobPage, MarkAnswer, StoreReply, StoreRequest,
};
use anteroom_core::time::Millis;
use std::num::NonZeroU32;

use crate::script::node::{archived, marked, next_id, no_jobs, nothing_owed, owed, start, stored};
use crate::script::trace::shown;
use crate::script::*;

/// The defaults, with two pools of one slot each.
fn settings() -> NodeSettings {
    let mut settings = node_settings();
    settings.pools.retain(|pool| ["audio", "unsupported"].contains(&pool.name.as_str()));
    for pool in &mut settings.pools {
        pool.slots = NonZeroU32::MIN;
    }
    settings
}

/// A running bot, whose pools have looked for work and found none.
fn running(settings: NodeSettings) -> Node {
    let mut node = Node::running(settings);
    while node.asks("claim") {
        node.answer("claim", Ok(nothing_claimed()));
    }
    node
}

fn nothing_claimed() -> StoreReply {
    StoreReply::Claim(Claimed { jobs: Vec::new(), more: false, next_in: None })
}

/// A voice note whose processor runs; returns its lease.
fn processing(node: &mut Node) -> LeaseToken {
    node.step(say(SESSION, 1, voice("alice", "p1", 0xa1)));
    node.answer("next_id", Ok(next_id(1)));
    let StoreRequest::InsertJobs { jobs, .. } = node.asked("insert_jobs") else {
        panic!("insert_jobs asks for jobs to be inserted")
    };
    let token = jobs[0].lease.expect("a slot is free").token;
    let inserted = vec![InsertAnswer::Inserted { leased: true }];
    node.answer("insert_jobs", Ok(StoreReply::InsertJobs(inserted)));
    token
}

fn ended(token: LeaseToken, result: Result<Outcome, ProcessorFailure>) -> Event {
    Event::Pools(PoolEvent::Ended { media_id: media(0xa1), token, result })
}

/// Goal: `welcome` waits until the bot runs, with all its jobs restored.
#[test]
fn welcome_waits_for_the_bot() {
    let mut node = Node::new(settings());
    node.start();
    node.open(SESSION);
    let effects = node.step(hello(SESSION, BOT, PROVIDER));
    assert_eq!(shown(&effects), ["ownership: #3 acquire_bot wa-7"]);
    let effects = node.own(1);
    assert_eq!(shown(&effects), ["wa-7: #4 restore_bot epoch 1 after None"]);
    let page = JobPage { jobs: vec![job("alice", 1, 0xa1, Status::Pending)], more: true };
    let effects = node.answer("restore_bot", Ok(StoreReply::RestoreBot(page)));
    assert_eq!(shown(&effects), ["wa-7: #5 restore_bot epoch 1 after Some(\"media-a1\")"]);
    let effects = node.answer("restore_bot", Ok(no_jobs()));
    assert_eq!(
        shown(&effects),
        [
            "notice: bot_id wa-7 epoch 1 bot_started restored 1",
            "wa-7: #6 owed_sends",
            "wa-7: #7 owed_callbacks of the bot after seq 0",
            "session 1: welcome wa-7 window 256 resume after None",
        ]
    );
}

/// Goal: nothing is said of a message before the store has answered for it.
#[test]
fn a_receipt_waits_for_the_store() {
    let mut node = running(settings());
    let effects = node.step(say(SESSION, 1, text("alice", "p1", "hello")));
    assert_eq!(shown(&effects), ["wa-7: #7 next_id alice"]);
    let effects = node.answer("next_id", Ok(next_id(5)));
    assert_eq!(shown(&effects), ["wa-7: #8 archive [alice/5 \"hello\" owed_in_window]"]);
    let effects = node.answer("archive", Ok(stored([1])));
    assert_eq!(shown(&effects), ["session 1: receipt seq 1 message_id 5 accepted"]);
}

/// A bot one of whose messages is being archived, with what its job came to: that was claimed, for there are two
/// slots, and done while its insert had no answer yet.
fn done_before_its_insert(mut settings: NodeSettings) -> Node {
    for pool in &mut settings.pools {
        pool.slots = NonZeroU32::MIN.saturating_add(1);
    }
    let mut node = running(settings);
    node.step(say(SESSION, 1, voice("alice", "p1", 0xa1)));
    node.answer("next_id", Ok(next_id(1)));
    node.step(Event::Pools(PoolEvent::WorkWaiting { pool: "audio".into() }));
    let StoreRequest::Claim { lease, .. } = node.asked("claim").clone() else {
        panic!("claim asks for jobs")
    };
    let jobs = vec![job("alice", 1, 0xa1, Status::Pending)];
    let claimed = Claimed { jobs, more: false, next_in: None };
    node.answer("claim", Ok(StoreReply::Claim(claimed)));
    node.step(ended(lease.token, Ok(words("news"))));
    node
}

/// Goal: a message whose lease proves stale has its receipt all the same, for its job is durable; once, also
/// where the insert is answered after that.
/// Method: the job is claimed and done while the insert has no answer, and somebody else has its lease by then.
#[test]
fn a_stale_lease_takes_no_receipt_along() {
    let mut node = done_before_its_insert(settings());
    let told = node.answer("archive", Ok(StoreReply::Archive(vec![ArchiveAnswer::StaleLease])));
    let receipt = "session 1: receipt seq 1 message_id 1 accepted";
    assert!(shown(&told).contains(&receipt.to_owned()), "{:?}", shown(&told));
    let inserted = vec![InsertAnswer::Inserted { leased: false }];
    let told = node.answer("insert_jobs", Ok(StoreReply::InsertJobs(inserted)));
    assert!(!shown(&told).contains(&receipt.to_owned()), "{:?}", shown(&told));
}

/// Goal: what is answered late for a job that has been done and archived meanwhile says nothing of its message that
/// was sent again since: that one has an insert of its own, which finds it to be a duplicate. (It was acknowledged
/// under an id that nothing durable had, and waited for a result for ever.)
#[test]
fn a_late_insert_is_not_taken_for_that_of_a_resend() {
    let mut settings = settings();
    settings.bot_defaults.limits.dedupe_window = 1;
    let late_answers = [
        InsertAnswer::Inserted { leased: false },
        InsertAnswer::DuplicateProviderMessage { message_id: message_id(9) },
        InsertAnswer::MediaIdInUse,
    ];
    for late in late_answers {
        let mut node = done_before_its_insert(settings.clone());
        node.answer("archive", Ok(stored([1])));
        // The window of one is another message's from here on.
        node.step(say(SESSION, 2, text("alice", "p2", "hello")));
        node.answer("archive", Ok(stored([2])));
        node.step(say(SESSION, 3, voice("alice", "p1", 0xa1)));
        let told = node.answer("insert_jobs", Ok(StoreReply::InsertJobs(vec![late])));
        assert!(!shown(&told).iter().any(|it| it.contains("receipt")), "{:?}", shown(&told));
        let original = InsertAnswer::DuplicateProviderMessage { message_id: message_id(1) };
        let told = node.answer("insert_jobs", Ok(StoreReply::InsertJobs(vec![original])));
        let receipt = "session 1: receipt seq 3 message_id 1 duplicate";
        assert!(shown(&told).contains(&receipt.to_owned()), "{:?}", shown(&told));
    }
}

/// Goal: the file of a finished job is deleted when its message is stored, and not before.
#[test]
fn a_file_goes_when_its_text_is_stored() {
    let mut node = running(settings());
    let token = processing(&mut node);
    let lease = "Some(\"lease-4796\")";
    let effects = node.step(ended(token, Ok(words("news"))));
    let archive = format!(
        "wa-7: #9 archive [alice/1 \"[Audio transcript: news]\" owed_in_window job media-a1 {lease}]"
    );
    let ended = "notice: bot_id wa-7 media_id a1 media_ended text text news";
    assert_eq!(shown(&effects), [ended, &archive]);
    assert_eq!(shown(&node.answer("archive", Ok(stored([1])))), ["wa-7: delete file media-a1"]);
}

/// Goal: a failure is a message like any other, but its file stays for an operator's retry.
#[test]
fn a_failure_keeps_its_file() {
    let mut node = running(settings());
    let token = processing(&mut node);
    let failure = ProcessorFailure::Permanent { error: FailureKind::Engine, detail: None };
    node.step(ended(token, Err(failure)));
    assert_eq!(shown(&node.answer("archive", Ok(stored([1])))), [""; 0]);
}

/// Goal: a resend that brought a medium of its own is a duplicate, and its file is deleted only when
/// the store knows no job of it.
#[test]
fn a_resends_file_goes_only_if_nobody_knows_it() {
    for (known, deleted) in [(Vec::new(), true), (vec![media(0xa2)], false)] {
        let mut node = running(settings());
        archived(&mut node, 1, "alice");
        let effects = node.step(say(SESSION, 2, voice("alice", "p1", 0xa2)));
        assert_eq!(
            shown(&effects),
            [
                "notice: bot_id wa-7 correspondent_id alice message_id 1 duplicate_message",
                "session 1: receipt seq 2 message_id 1 duplicate",
                "janitor: #9 known_media [media-a2]",
            ]
        );
        let effects = node.answer("known_media", Ok(StoreReply::KnownMedia(known)));
        let expected = ["janitor: delete file media-a2"];
        assert_eq!(shown(&effects), expected[..usize::from(deleted)]);
    }
}

/// Goal: the file that a resend brought while its message's fate was open goes when the message is durable, now or
/// from before, and stays when it is refused: its provider will send it again. A resend with the message's own
/// medium brings no other. (Seed 77030 of three nodes' torture left such a file.)
#[test]
fn a_waiting_resends_file_goes_with_its_messages_fate() {
    let inserted = InsertAnswer::Inserted { leased: false };
    let duplicate = InsertAnswer::DuplicateProviderMessage { message_id: message_id(7) };
    for (answer, receipts, unneeded) in [
        (inserted, "message_id 1 accepted", vec![media(0xa2)]),
        (duplicate, "message_id 7 duplicate", vec![media(0xa2), media(0xa1)]),
        (InsertAnswer::MediaIdInUse, "rejected reason invalid", vec![]),
    ] {
        let mut node = running(settings());
        node.step(say(SESSION, 1, voice("alice", "p1", 0xa1)));
        node.answer("next_id", Ok(next_id(1)));
        for (seq, number) in [(2, 0xa2), (3, 0xa1)] {
            let effects = node.step(say(SESSION, seq, voice("alice", "p1", number)));
            assert_eq!(shown(&effects), [""; 0]);
        }
        let effects = node.answer("insert_jobs", Ok(StoreReply::InsertJobs(vec![answer])));
        let effects = shown(&effects);
        let answered = |effect: &&String| effect.contains("receipt") && effect.contains(receipts);
        assert_eq!(effects.iter().filter(answered).count(), 3, "{effects:#?}");
        let mut looked_up = Vec::new();
        while node.asks("known_media") {
            let StoreRequest::KnownMedia { media_ids } = node.asked("known_media") else {
                panic!("known_media asks for media")
            };
            looked_up.extend(media_ids.clone());
            node.answer("known_media", Ok(StoreReply::KnownMedia(Vec::new())));
        }
        assert_eq!(looked_up, unneeded);
    }
}

/// Goal: a `hello` with another provider's name, or without the right token, ends the connection.
#[test]
fn a_wrong_hello_is_refused() {
    let mut node = Node::new(settings());
    node.start();
    node.open(2);
    assert_eq!(
        shown(&node.step(hello(2, BOT, "telegram"))),
        [
            "session 2: error provider_mismatch in provider_name: the bot is connected through \
             whatsapp_baileys, not through telegram (expected whatsapp_baileys)",
            "session 2: close",
        ]
    );
    node.open(3);
    assert_eq!(
        shown(&node.step(hello(3, "nobody", PROVIDER))),
        [
            "session 3: error unauthorized in bot_id: the bot is not known here, or its token is \
             wrong",
            "session 3: close",
        ]
    );
}

/// Goal: beyond its window a provider is told to retry, and the message changes nothing.
#[test]
fn beyond_the_window_a_message_has_to_come_again() {
    let mut settings = settings();
    settings.session.window = NonZeroU32::MIN;
    let mut node = running(settings);
    node.step(say(SESSION, 1, text("alice", "p1", "hello")));
    let effects = node.step(say(SESSION, 2, text("alice", "p2", "hello")));
    let refused = "session 1: receipt seq 2 rejected reason retry_later retry_after 1000";
    assert_eq!(shown(&effects), [refused]);
}

/// Goal: a new connection of the same provider instance takes the bot over, and the late close of
/// the old one changes nothing (K43).
#[test]
fn a_late_close_does_not_end_the_new_connection() {
    let mut node = running(settings());
    node.open(2);
    assert_eq!(
        shown(&node.step(hello(2, BOT, PROVIDER))),
        [
            "session 1: error replaced: a newer connection of this provider instance took the bot \
             over",
            "session 1: close",
            "session 2: welcome wa-7 window 256 resume after None",
        ]
    );
    assert_eq!(shown(&node.step(closed(SESSION))), [""; 0]);
    let effects = node.step(say(2, 1, text("alice", "p1", "still here")));
    assert_eq!(shown(&effects), ["wa-7: #7 next_id alice"]);
}

/// Goal: a first id that cannot be read is asked for again and never taken for 1; the messages of
/// others go on meanwhile (K7).
#[test]
fn an_unreadable_id_is_never_1() {
    let mut node = running(settings());
    node.step(say(SESSION, 1, text("bert", "p1", "hello")));
    node.answer("next_id", Ok(next_id(1)));
    node.answer("archive", Ok(stored([1])));
    node.step(say(SESSION, 2, text("alice", "p2", "hello")));
    let effects = node.fail("next_id");
    assert_eq!(shown(&effects), ["notice: detail down store_retried operation next_id"]);
    let effects = node.step(say(SESSION, 3, text("bert", "p3", "me too")));
    assert_eq!(shown(&effects), ["wa-7: #10 archive [bert/2 \"me too\" owed_in_window]"]);
    node.answer("archive", Ok(stored([2])));
    assert_eq!(shown(&node.wait(Millis::from_ms(100))), ["wa-7: #11 next_id alice"]);
    let effects = node.answer("next_id", Ok(next_id(8)));
    assert_eq!(shown(&effects), ["wa-7: #12 archive [alice/8 \"hello\" owed_in_window]"]);
}

/// Goal: one busy chat does not starve another's archiving: they take turns in the batch (K12).
#[test]
fn correspondents_take_turns_in_the_archive() {
    let mut settings = settings();
    settings.bot_defaults.limits.archive_batch_messages = 2;
    let mut node = running(settings);
    archived(&mut node, 1, "bert");
    node.step(say(SESSION, 2, text("busy", "p2", "1")));
    node.answer("next_id", Ok(next_id(1)));
    for seq in 3..7 {
        node.step(say(SESSION, seq, text("busy", &format!("p{seq}"), "more")));
    }
    node.step(say(SESSION, 7, text("bert", "p7", "me too")));
    let effects = node.answer("archive", Ok(stored([2])));
    assert_eq!(
        shown(&effects)[0],
        "wa-7: #11 archive [busy/2 \"more\" owed_in_window; bert/2 \"me too\" owed_in_window]"
    );
}

/// Goal: a pool's next claim goes on behind the bot that was served last.
#[test]
fn claims_rotate_over_bots() {
    let mut node = Node::new(settings());
    node.start();
    let StoreRequest::Claim { lease, .. } = node.asked("claim").clone() else {
        panic!("claim asks for jobs")
    };
    let jobs = vec![job("alice", 1, 0xa1, Status::Pending)];
    let claimed = Claimed { jobs, more: true, next_in: None };
    node.answer("claim", Ok(StoreReply::Claim(claimed)));
    let effects = node.step(ended(lease.token, Err(ProcessorFailure::Cancelled)));
    let asked = shown(&effects);
    assert!(
        asked[0].starts_with("pools: #3 claim audio up to 1 behind Some(\"wa-7\")"),
        "{asked:?}"
    );
    assert!(asked[1].starts_with("pools: #4 release [media-a1"), "{asked:?}");
    assert_eq!(asked.len(), 2);
}

/// Goal: work that is spoken of while a claim is under way is claimed next, and not when the pool happens to
/// look again: the claim may have been read before the work was there. Method: a claim that comes back
/// empty after the word, and one without a word.
#[test]
fn work_that_comes_during_a_claim_is_claimed_next() {
    let mut node = Node::new(settings());
    node.start();
    let waiting = Event::Pools(PoolEvent::WorkWaiting { pool: "audio".into() });
    assert_eq!(shown(&node.step(waiting)), [""; 0]);
    let effects = shown(&node.answer("claim", Ok(nothing_claimed())));
    assert!(effects[0].contains("claim audio up to 1"), "{effects:?}");
    assert_eq!(effects.len(), 1);
    while node.asks("claim") {
        assert_eq!(shown(&node.answer("claim", Ok(nothing_claimed()))), [""; 0]);
    }
}

/// Goal: a processor that used up its time has its result at once, and its slot only when it has
/// really ended (K36).
#[test]
fn a_timed_out_processor_keeps_its_slot() {
    let mut settings = settings();
    for pool in &mut settings.pools {
        pool.timeout = Millis::from_secs(2);
    }
    let mut node = running(settings);
    let token = processing(&mut node);
    let effects = node.wait(Millis::from_secs(2));
    assert_eq!(
        shown(&effects)[..3],
        [
            "notice: media_id a1 processor_timed_out",
            "pools: cancel media-a1 lease-4796",
            "notice: bot_id wa-7 media_id a1 media_ended timed_out",
        ]
    );
    let waiting = Event::Pools(PoolEvent::WorkWaiting { pool: "audio".into() });
    assert_eq!(shown(&node.step(waiting)), [""; 0]);
    let effects = shown(&node.step(ended(token, Err(ProcessorFailure::Cancelled))));
    assert!(effects[0].starts_with("pools: #10 claim audio up to 1"), "{effects:?}");
    assert_eq!(effects.len(), 1);
}

/// Goal: a node that cannot renew fences itself before the store would give its bot away.
#[test]
fn a_node_that_cannot_renew_fences_itself() {
    let mut node = running(settings());
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    node.wait(Millis::from_ms(9_999));
    assert!(node.names().contains(&"renew_bots".to_owned()));
    let effects = shown(&node.wait(Millis::from_ms(1)));
    let fenced: Vec<_> = effects
        .iter()
        .filter(|line| !line.starts_with("pools") && !line.starts_with("janitor"))
        .collect();
    assert_eq!(
        fenced,
        [
            "ownership: #12 release_bot epoch 1",
            "wa-7: abort callback alice/1/r0 attempt 1",
            "notice: bot_id wa-7 bot_fenced",
            "session 1: error bot_lost: this node does not own the bot: connect for it anew",
            "session 1: close",
        ]
    );
}

/// Goal: an ownership whose release was never confirmed is released for certain before the bot is asked
/// for again; or else the store, which still holds it to be ours, would give the same epoch again.
#[test]
fn a_release_that_was_not_confirmed_is_made_again() {
    let mut node = running(settings());
    node.wait(Millis::from_secs(10));
    node.fail("release_bot");
    node.open(2);
    node.step(hello(2, BOT, PROVIDER));
    let names = node.names();
    assert!(names.contains(&"release_bot".to_owned()), "{names:?}");
    assert!(!names.contains(&"acquire_bot".to_owned()), "{names:?}");
    node.answer("release_bot", Ok(StoreReply::ReleaseBot));
    assert!(node.names().contains(&"acquire_bot".to_owned()));
}

/// Goal: a node that wakes up late fences its bots before these do anything else.
#[test]
fn a_late_tick_fences_before_anything_else() {
    let mut node = running(settings());
    processing(&mut node);
    node.sleep(Millis::from_secs(30));
    let effects = shown(&node.step(Event::Tick));
    let of_bot: Vec<_> = effects.iter().filter(|line| line.starts_with("wa-7")).collect();
    assert_eq!(of_bot, [""; 0]);
    assert!(effects.contains(&"notice: bot_id wa-7 bot_fenced".to_owned()), "{effects:?}");
}

/// Goal: an acknowledgement is answered when it is durable, a second one as well, and neither makes
/// a callback.
#[test]
fn a_second_acknowledgement_is_answered_like_the_first() {
    let mut node = running(settings());
    node.step(attach(1));
    archived(&mut node, 1, "alice");
    for (request, op) in [(1, 9), (2, 10)] {
        let effects = node.step(acknowledge(request, [key("alice", 1)]));
        let mark = format!("wa-7: #{op} mark_called_back [alice/1/r0 acknowledged]");
        assert_eq!(shown(&effects), [mark]);
        let answer = StoreReply::MarkCalledBack(vec![MarkAnswer::Ended]);
        let effects = node.answer("mark_called_back", Ok(answer));
        let answer = format!("wa-7: ack answer request {request} acknowledged 1 unknown []");
        assert_eq!(shown(&effects), [answer]);
    }
}

/// Goal: an acknowledgement counts although a page that holds its callback is still under way.
#[test]
fn an_acknowledgement_ahead_of_its_callback_counts() {
    let mut node = Node::new(settings());
    node.start();
    node.step(attach(1));
    node.open(SESSION);
    node.step(hello(SESSION, BOT, PROVIDER));
    node.own(2);
    node.answer("restore_bot", Ok(no_jobs()));
    let effects = node.step(acknowledge(1, [key("alice", 1)]));
    assert_eq!(shown(&effects), ["wa-7: #7 mark_called_back [alice/1/r0 acknowledged]"]);
    let page = StoreReply::OwedCallbacks { callbacks: vec![owed("alice", 1, 1)], more: false };
    assert_eq!(shown(&node.answer("owed_callbacks", Ok(page))), [""; 0]);
    let answer = StoreReply::MarkCalledBack(vec![MarkAnswer::Ended]);
    let effects = node.answer("mark_called_back", Ok(answer));
    assert_eq!(shown(&effects), ["wa-7: ack answer request 1 acknowledged 1 unknown []"]);
}

/// Goal: correspondents whose callbacks run short at the same time are read in one page; one of whom the
/// page has fewer than were asked for has nothing left in the store.
#[test]
fn lanes_that_run_short_together_share_a_page() {
    let mut settings = settings();
    settings.bot_defaults.callbacks.correspondent_window = 2;
    let mut node = running(settings);
    for (seq, correspondent) in (1..).zip(["alice", "bert", "alice", "bert", "alice", "bert"]) {
        archived(&mut node, seq, correspondent);
    }
    node.step(attach(1));
    node.step(acknowledge(1, [key("alice", 1), key("bert", 1)]));
    let effects = node.answer("mark_called_back", Ok(marked(2)));
    let page = "[of alice up to 1 after seq 3; of bert up to 1 after seq 4]";
    assert_eq!(
        shown(&effects),
        [
            "wa-7: ack answer request 1 acknowledged 2 unknown []",
            "wa-7: callback alice/2/r0 attempt 1 stream 1 \"hello\"",
            "wa-7: callback bert/2/r0 attempt 1 stream 1 \"hello\"",
            &format!("wa-7: #16 owed_callbacks {page}"),
        ]
    );
    let page = StoreReply::OwedCallbacks { callbacks: vec![owed("alice", 3, 5)], more: true };
    assert_eq!(shown(&node.answer("owed_callbacks", Ok(page))), [""; 0]);
    node.step(acknowledge(2, [key("alice", 2), key("bert", 2)]));
    let effects = node.answer("mark_called_back", Ok(marked(2)));
    assert_eq!(
        shown(&effects),
        [
            "wa-7: ack answer request 2 acknowledged 2 unknown []",
            "wa-7: callback alice/3/r0 attempt 2 stream 1 \"\"",
            "wa-7: #18 owed_callbacks [of alice up to 1 after seq 5]",
        ]
    );
}

/// Goal: a stopping node makes no bot known; its messages are refused.
#[test]
fn a_stopping_node_registers_no_bot() {
    let mut settings = settings();
    settings.session.auto_create_bots = true;
    let mut node = running(settings);
    node.open(2);
    node.step(Event::Node(anteroom_core::event::NodeEvent::Shutdown));
    assert_eq!(shown(&node.step(hello(2, "new", PROVIDER))), [""; 0]);
    let effects = node.step(say(2, 1, text("alice", "p1", "hello")));
    let refused = "session 2: receipt seq 1 rejected reason bot_not_running retry_after 5000";
    assert_eq!(shown(&effects), [refused]);
}

/// Goal: a message by request to a bot that runs always is answered by its request.
#[test]
fn a_posted_message_is_answered_by_its_request() {
    let mut node = Node::new(settings());
    node.step(start([BotRecord { run: Run::Always, ..record(BOT) }], true, false));
    node.own(1);
    node.answer("restore_bot", Ok(no_jobs()));
    node.answer("owed_callbacks", Ok(nothing_owed()));
    let draft = Box::new(text("alice", "p1", "hello"));
    node.step(bot(BotEvent::Post { request_id: RequestId(7), draft }));
    node.answer("next_id", Ok(next_id(1)));
    let effects = node.answer("archive", Ok(stored([1])));
    assert_eq!(shown(&effects), ["wa-7: receipt request 7 message_id 1 accepted"]);
}
