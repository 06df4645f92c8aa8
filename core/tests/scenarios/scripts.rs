//! The scripts themselves: what happens, step by step.

use anteroom_core::bot::event::{BotEvent, ConsumerAnswer};
use anteroom_core::event::{Event, NodeEvent};
use anteroom_core::id::{ArchiveSeq, Attempt, LeaseToken};
use anteroom_core::job::{Lease, Status};
use anteroom_core::pool::event::PoolEvent;
use anteroom_core::settings::{NodeSettings, Overflow};
use anteroom_core::store::{
    ArchiveAnswer, Claimed, InsertAnswer, JobPage, MarkAnswer, StoreError, StoreReply,
    StoreRequest, Swept, TokenAnswer,
};
use anteroom_core::time::Millis;

use crate::script::node::owed;
use crate::script::*;

/// The defaults, with two pools: a reader has enough of their polls.
fn settings() -> NodeSettings {
    let mut settings = node_settings();
    settings.pools.retain(|pool| ["audio", "unsupported"].contains(&pool.name.as_str()));
    settings
}

/// A running bot with a consumer; the trace begins here.
fn begin(settings: NodeSettings) -> Node {
    let mut node = Node::running(settings);
    node.step(attach(1));
    // The pools have looked for work and found none, so that jobs can be inserted already leased.
    while node.asks("claim") {
        node.answer("claim", Ok(claimed(Vec::new())));
    }
    node.trace.restart(node.now);
    node
}

fn claimed(jobs: Vec<anteroom_core::job::Job>) -> StoreReply {
    StoreReply::Claim(Claimed { jobs, more: false, next_in: None })
}

fn stored(seqs: impl IntoIterator<Item = u64>) -> StoreReply {
    let answers = seqs.into_iter().map(|seq| ArchiveAnswer::Stored { seq: ArchiveSeq(seq) });
    StoreReply::Archive(answers.collect())
}

fn inserted(leased: bool) -> StoreReply {
    StoreReply::InsertJobs(vec![InsertAnswer::Inserted { leased }])
}

fn ended() -> StoreReply {
    StoreReply::MarkCalledBack(vec![MarkAnswer::Ended])
}

fn first_id() -> StoreReply {
    StoreReply::NextId(message_id(1))
}

/// The token under which the one job of the pending insert is asked to be leased.
fn lease_of_insert(node: &Node) -> LeaseToken {
    let StoreRequest::InsertJobs { jobs, .. } = node.asked("insert_jobs") else {
        panic!("insert_jobs asks for jobs to be inserted")
    };
    jobs[0].lease.expect("a slot is free").token
}

fn processed(number: u128, token: LeaseToken, text: &str) -> Event {
    Event::Pools(PoolEvent::Ended { media_id: media(number), token, result: Ok(words(text)) })
}

/// A voice note is taken in and its processor runs; returns the lease.
fn process_voice(node: &mut Node, seq: u64, correspondent: &str, number: u128) -> LeaseToken {
    node.step(say(SESSION, seq, voice(correspondent, &format!("p{seq}"), number)));
    if node.asks("next_id") {
        node.answer("next_id", Ok(first_id()));
    }
    let token = lease_of_insert(node);
    node.answer("insert_jobs", Ok(inserted(true)));
    token
}

pub fn text_message() -> Node {
    let mut node = begin(settings());
    node.step(say(SESSION, 1, text("alice", "p1", "hello")));
    node.answer("next_id", Ok(first_id()));
    node.answer("archive", Ok(stored([1])));
    node.step(acknowledge(1, [key("alice", 1)]));
    node.answer("mark_called_back", Ok(ended()));
    node
}

pub fn media_message() -> Node {
    let mut node = begin(settings());
    let token = process_voice(&mut node, 1, "alice", 0xa1);
    node.sleep(Millis::from_secs(4));
    node.step(processed(0xa1, token, "good morning"));
    node.answer("archive", Ok(stored([1])));
    node.step(acknowledge(1, [key("alice", 1)]));
    node.answer("mark_called_back", Ok(ended()));
    node
}

pub fn stop_while_processing() -> Node {
    let mut node = begin(settings());
    let token = process_voice(&mut node, 1, "alice", 0xa1);
    node.step(bot(BotEvent::Stop));
    node.step(say(SESSION, 2, text("alice", "p2", "too late")));
    node.answer("hold_bot", Ok(StoreReply::HoldBot(1)));
    node.answer("release_bot", Ok(StoreReply::ReleaseBot));
    node.step(processed(0xa1, token, "good morning"));
    node.answer("complete", Ok(StoreReply::Complete(vec![TokenAnswer::Ok])));
    node
}

pub fn recovery() -> Node {
    let mut node = Node::new(settings());
    node.start();
    node.step(attach(1));
    node.open(SESSION);
    node.step(hello(SESSION, BOT, PROVIDER));
    node.own(3);
    node.step(say(SESSION, 1, text("alice", "p1", "too early")));
    let lease = Lease {
        worker_id: node_id(9),
        token: token(0x99),
        claimed_at: node.now,
        expires_at: node.now + Millis::from_secs(60),
    };
    let done =
        Status::Completed { outcome: words("finished elsewhere"), token: None, worked: None };
    let first = vec![
        job("alice", 4, 0xa1, Status::Pending),
        job("alice", 5, 0xa2, Status::Processing { lease }),
    ];
    node.answer("restore_bot", Ok(StoreReply::RestoreBot(JobPage { jobs: first, more: true })));
    let second = vec![job("carla", 1, 0xa3, done)];
    node.answer("restore_bot", Ok(StoreReply::RestoreBot(JobPage { jobs: second, more: false })));
    let owed = StoreReply::OwedCallbacks { callbacks: vec![owed("bert", 3, 7)], more: false };
    node.answer("owed_callbacks", Ok(owed));
    node.answer("archive", Ok(stored([8])));
    node.step(say(SESSION, 2, text("alice", "p1", "again")));
    node.answer("next_id", Ok(StoreReply::NextId(message_id(6))));
    node
}

pub fn lease_expiry() -> Node {
    let mut node = begin(settings());
    let old = process_voice(&mut node, 1, "alice", 0xa1);
    node.sleep(Millis::from_secs(60));
    node.step(Event::Tick);
    node.step(processed(0xa1, old, "too late"));
    let swept = Swept {
        bot_id: BOT.into(),
        media_id: media(0xa1),
        pool: "audio".into(),
        worker_id: Some(node_id(1)),
        completed: false,
    };
    node.answer("reclaim_leases", Ok(StoreReply::ReclaimLeases(vec![swept])));
    let (again, token) = node.leased("alice", 1, 0xa1);
    node.answer("claim", Ok(claimed(vec![again])));
    node.step(processed(0xa1, token, "good morning"));
    node.answer("complete", Ok(StoreReply::Complete(vec![TokenAnswer::Ok])));
    node
}

pub fn overflow_of_placeholders() -> Node {
    let mut settings = settings();
    settings.bot_defaults.limits.max_messages = 1;
    settings.bot_defaults.limits.overflow = Overflow::Bounded { messages: 1, characters: 100 };
    let mut node = begin(settings);
    process_voice(&mut node, 1, "alice", 0xa1);
    node.step(say(SESSION, 2, voice("alice", "p2", 0xa2)));
    node.step(say(SESSION, 3, voice("alice", "p3", 0xa3)));
    node.step(say(SESSION, 4, text("alice", "p4", "")));
    node
}

pub fn gating() -> Node {
    let mut settings = settings();
    settings.bot_defaults.gating.enabled = true;
    settings.bot_defaults.gating.max_wait = Millis::from_secs(8);
    let mut node = begin(settings);
    node.trace.chapter("the media comes in time");
    let token = process_voice(&mut node, 1, "alice", 0xa1);
    node.step(say(SESSION, 2, text("alice", "p2", "did you hear?")));
    node.answer("archive", Ok(stored([1])));
    node.sleep(Millis::from_secs(2));
    node.step(processed(0xa1, token, "news"));
    node.answer("archive", Ok(stored([2])));
    node.step(acknowledge(1, [key("alice", 1)]));
    node.answer("mark_called_back", Ok(ended()));
    node.step(acknowledge(2, [key("alice", 2)]));
    node.answer("mark_called_back", Ok(ended()));
    node.trace.chapter("the media comes late");
    let token = process_voice(&mut node, 3, "alice", 0xa2);
    node.step(say(SESSION, 4, text("alice", "p4", "and this?")));
    node.answer("archive", Ok(stored([3])));
    node.sleep(Millis::from_secs(3));
    keep_owned(&mut node);
    node.sleep(Millis::from_secs(5));
    keep_owned(&mut node);
    node.step(acknowledge(3, [key("alice", 4)]));
    node.answer("mark_called_back", Ok(ended()));
    node.step(processed(0xa2, token, "late news"));
    node.answer("archive", Ok(stored([4])));
    node
}

/// Serves what is due, and renews the bot's ownership.
fn keep_owned(node: &mut Node) {
    node.step(Event::Tick);
    node.answer("renew_bots", Ok(StoreReply::RenewBots(Vec::new())));
}

pub fn zombie_owner() -> Node {
    let mut node = begin(settings());
    node.step(say(SESSION, 1, text("alice", "p1", "hello")));
    node.answer("next_id", Ok(first_id()));
    node.trace.chapter("the process slept; another node has the bot");
    node.sleep(Millis::from_secs(3));
    node.answer("archive", Err(StoreError::Fenced));
    node.answer("release_bot", Err(StoreError::Fenced));
    node.step(acknowledge(1, [key("alice", 1)]));
    node.open(2);
    node.step(hello(2, BOT, PROVIDER));
    node.step(say(2, 1, text("alice", "p1", "hello")));
    node
}

pub fn resends() -> Node {
    let mut node = begin(settings());
    node.step(say(SESSION, 1, text("alice", "p1", "hello")));
    node.answer("next_id", Ok(first_id()));
    node.step(say(SESSION, 2, text("alice", "p1", "hello")));
    node.answer("archive", Ok(stored([1])));
    node.step(say(SESSION, 3, voice("alice", "p1", 0xa1)));
    node.answer("known_media", Ok(StoreReply::KnownMedia(Vec::new())));
    node
}

pub fn ambiguous_archive() -> Node {
    let mut node = begin(settings());
    node.step(say(SESSION, 1, text("alice", "p1", "hello")));
    node.answer("next_id", Ok(first_id()));
    node.fail("archive");
    node.step(say(SESSION, 2, text("alice", "p2", "still there?")));
    node.wait(Millis::from_ms(100));
    let answer = ArchiveAnswer::AlreadyStored { seq: ArchiveSeq(1) };
    node.answer("archive", Ok(StoreReply::Archive(vec![answer])));
    node
}

pub fn circuit() -> Node {
    let mut node = begin(settings());
    for (seq, correspondent) in [(1, "alice"), (2, "bert")] {
        node.step(say(SESSION, seq, text(correspondent, "p1", "hello")));
        node.answer("next_id", Ok(first_id()));
        node.answer("archive", Ok(stored([seq])));
    }
    let down = || ConsumerAnswer::Unavailable { retry_after: None };
    node.step(answered(key("alice", 1), 1, down()));
    node.step(answered(key("bert", 1), 1, down()));
    node.wait(Millis::from_secs(1));
    let raised = || Ok(StoreReply::RaiseAttempts(vec![Some(Attempt(2))]));
    node.answer("raise_attempts", raised());
    node.step(answered(key("alice", 1), 2, ConsumerAnswer::Acknowledged { reply: None }));
    node.answer("mark_called_back", Ok(ended()));
    node.answer("raise_attempts", raised());
    node
}

pub fn shutdown() -> Node {
    let mut node = begin(settings());
    let token = process_voice(&mut node, 1, "alice", 0xa1);
    node.step(say(SESSION, 2, text("bert", "p1", "hello")));
    node.answer("next_id", Ok(first_id()));
    node.step(Event::Node(NodeEvent::Shutdown));
    node.answer("archive", Ok(stored([1])));
    node.answer("hold_bot", Ok(StoreReply::HoldBot(1)));
    node.step(processed(0xa1, token, "good morning"));
    node.answer("complete", Ok(StoreReply::Complete(vec![TokenAnswer::Ok])));
    node.answer("release_bot", Ok(StoreReply::ReleaseBot));
    node
}
