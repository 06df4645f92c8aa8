//! Jobs that are claimed before there is a slot for them: when, and what becomes of their leases.

use std::num::NonZeroU32;

use anteroom_core::effect::Effect;
use anteroom_core::event::{Event, NodeEvent};
use anteroom_core::id::{LeaseToken, MediaId};
use anteroom_core::job::Status;
use anteroom_core::pool::event::{PoolEffect, PoolEvent};
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{Claimed, StoreReply, StoreRequest};
use anteroom_core::time::Millis;

use crate::script::*;

/// How long a processor may take.
const TIMEOUT: Millis = Millis::from_secs(20);

/// One pool that matters, of one slot; two jobs may wait for it.
fn settings() -> NodeSettings {
    let mut settings = node_settings();
    settings.pools.retain(|pool| ["audio", "unsupported"].contains(&pool.name.as_str()));
    for pool in &mut settings.pools {
        pool.slots = NonZeroU32::MIN;
        pool.buffer = 2;
        pool.timeout = TIMEOUT;
    }
    settings
}

/// How many jobs the claim under way may bring, and under which token.
fn claim(node: &Node) -> (u32, LeaseToken) {
    let StoreRequest::Claim { limit, lease, .. } = node.asked("claim") else {
        panic!("claim asks for jobs")
    };
    (*limit, lease.token)
}

/// The claim under way brings these jobs, and there are more; returns which processors start.
fn claimed(node: &mut Node, numbers: &[u128]) -> Vec<MediaId> {
    let job = |number: &u128| job("alice", *number as u64, *number, Status::Pending);
    let jobs = numbers.iter().map(job).collect();
    let reply = StoreReply::Claim(Claimed { jobs, more: true, next_in: None });
    started(&node.answer("claim", Ok(reply)))
}

fn started(effects: &[Effect]) -> Vec<MediaId> {
    let start = |effect: &Effect| match effect {
        Effect::Pools(PoolEffect::Start(work)) => Some(work.media_id),
        _ => None,
    };
    effects.iter().filter_map(start).collect()
}

/// A processor ends after so long; returns which start.
fn ended(node: &mut Node, number: u128, token: LeaseToken, after: Millis) -> Vec<MediaId> {
    node.sleep(after);
    let result = Ok(words("x"));
    let ended = PoolEvent::Ended { media_id: media(number), token, result };
    started(&node.step(Event::Pools(ended)))
}

/// A node whose pool works on job 1.
fn working() -> (Node, LeaseToken) {
    working_with(settings())
}

fn working_with(settings: NodeSettings) -> (Node, LeaseToken) {
    let mut node = Node::new(settings);
    node.start();
    // The other pool finds nothing.
    let audio = node.take("claim");
    let nothing = Claimed { jobs: Vec::new(), more: false, next_in: None };
    node.answer("claim", Ok(StoreReply::Claim(nothing)));
    node.asked.insert(0, audio);
    let (limit, token) = claim(&node);
    assert_eq!(limit, 1, "nothing is known of its jobs yet");
    assert_eq!(claimed(&mut node, &[1]), [media(1)]);
    (node, token)
}

/// Goal: once a job was short, as many are claimed as may wait, and a slot that becomes free has its next job in
/// the same step; a slot's worth is claimed again meanwhile.
#[test]
fn short_jobs_are_claimed_ahead_of_their_slot() {
    let (mut node, first) = working();
    assert_eq!(ended(&mut node, 1, first, Millis::from_ms(50)), []);
    let (limit, token) = claim(&node);
    assert_eq!(limit, 3);
    assert_eq!(claimed(&mut node, &[2, 3, 4]), [media(2)]);
    assert_eq!(ended(&mut node, 2, token, Millis::from_ms(50)), [media(3)]);
    assert_eq!(claim(&node).0, 1);
}

/// Goal: a long job is followed by a claim for its slot only, also where short ones went before.
#[test]
fn long_jobs_are_not_claimed_ahead() {
    let (mut node, first) = working();
    ended(&mut node, 1, first, Millis::from_secs(3));
    assert_eq!(claim(&node).0, 1);

    let (mut node, first) = working();
    ended(&mut node, 1, first, Millis::from_ms(50));
    let (_, token) = claim(&node);
    claimed(&mut node, &[2]);
    ended(&mut node, 2, token, Millis::from_secs(10));
    // The one claim that was asked for before that brings what it brings.
    claimed(&mut node, &[]);
    assert_eq!(claim(&node).0, 1);
}

/// Goal: the lease of a job that waits is renewed with that of the one that runs, and when the node stops the
/// waiting one is given back at once.
#[test]
fn a_waiting_job_is_held_like_any_other() {
    let (mut node, first) = working();
    ended(&mut node, 1, first, Millis::from_ms(50));
    let (_, token) = claim(&node);
    claimed(&mut node, &[2, 3]);
    let renew_every = node_settings().lease.renew_every;
    node.wait(renew_every);
    let StoreRequest::Renew { leases, .. } = node.asked("renew") else { panic!("it renews") };
    for number in [2, 3] {
        assert!(leases.contains(&(media(number), token)), "{leases:?}");
    }
    node.step(Event::Node(NodeEvent::Shutdown));
    let StoreRequest::Release { releases } = node.asked("release") else { panic!("it releases") };
    let given_back: Vec<_> = releases.iter().map(|it| (it.media_id, it.token)).collect();
    assert_eq!(given_back, [(media(3), token)]);
}

/// Goal: what waits behind a processor that has used up its time is given back at once, for it may never end; with
/// its slot still taken nothing is claimed.
#[test]
fn nothing_waits_behind_a_processor_that_does_not_end() {
    let (mut node, first) = working();
    ended(&mut node, 1, first, Millis::from_ms(50));
    let (_, token) = claim(&node);
    assert_eq!(claimed(&mut node, &[2, 3, 4]), [media(2)]);
    let over = node.wait(TIMEOUT);
    assert!(!over.iter().any(is_claim), "{over:?}");
    let StoreRequest::Release { releases } = node.asked("release") else { panic!("it releases") };
    let given_back: Vec<_> = releases.iter().map(|it| (it.media_id, it.token)).collect();
    assert_eq!(given_back, [(media(3), token), (media(4), token)]);
    let waiting = Event::Pools(PoolEvent::WorkWaiting { pool: "audio".into() });
    let asked = node.step(waiting);
    assert!(!asked.iter().any(is_claim), "{asked:?}");
}

fn is_claim(effect: &Effect) -> bool {
    let Effect::Pools(PoolEffect::Store { request, .. }) = effect else { return false };
    matches!(request, StoreRequest::Claim { pool, .. } if pool.as_str() == "audio")
}

/// Goal: a pool with many free slots takes its jobs in several claims, one after the other, so that none
/// holds the store up for long.
#[test]
fn many_jobs_are_claimed_in_several_claims() {
    let mut settings = settings();
    for pool in &mut settings.pools {
        pool.slots = NonZeroU32::MIN.saturating_add(299);
    }
    let mut node = Node::running(settings);
    let (limit, _) = claim(&node);
    assert_eq!(limit, 256);
    let numbers: Vec<u128> = (1..=256).collect();
    assert_eq!(claimed(&mut node, &numbers).len(), 256);
    let none = Claimed { jobs: Vec::new(), more: false, next_in: None };
    node.answer("claim", Ok(StoreReply::Claim(none)));
    assert_eq!(claim(&node).0, 44);
}

/// Goal: a job whose lease has ended while it waited is given up, and holds neither its place nor its lease for
/// ever. Method: the processor in front of it ends after that, before anything else is noticed, and then a renewal is
/// answered that says the lease is held.
#[test]
fn a_waiting_job_whose_lease_has_ended_is_given_up() {
    let mut settings = settings();
    for pool in &mut settings.pools {
        pool.timeout = Millis::from_hours(1);
    }
    let (mut node, first) = working_with(settings);
    ended(&mut node, 1, first, Millis::from_ms(50));
    let (_, token) = claim(&node);
    claimed(&mut node, &[2, 3]);
    node.wait(node_settings().lease.renew_every);
    let renewal = node.take("renew");
    // The first lease has ended by then, the renewed one has not.
    assert_eq!(ended(&mut node, 2, token, Millis::from_secs(45)), []);
    let reply = Ok(StoreReply::Renew(Vec::new()));
    node.step(renewal.asker.event(renewal.op, reply));
    node.step(Event::Tick);
    node.wait(node_settings().lease.renew_every);
    while node.asks("renew") {
        let StoreRequest::Renew { leases, .. } = node.take("renew").request else { continue };
        assert!(!leases.contains(&(media(3), token)), "it is held for ever");
    }
}

/// Goal: a lease lasts from when it was asked for. Jobs whose claim was answered late are renewed at once, also where
/// the leases that were held before are being renewed meanwhile.
#[test]
fn a_lease_that_came_late_is_renewed_at_once() {
    let mut settings = settings();
    for pool in &mut settings.pools {
        pool.slots = NonZeroU32::MIN.saturating_add(1);
        pool.timeout = Millis::from_hours(1);
    }
    let renewed = |node: &Node| match node.asked("renew") {
        StoreRequest::Renew { leases, .. } => leases.clone(),
        other => panic!("it renews, and does not {other:?}"),
    };
    let nothing_lost = || Ok(StoreReply::Renew(Vec::new()));
    let mut node = Node::running(settings);
    let first = claim(&node).1;
    let audio = node.take("claim");
    // The other pool's is never answered.
    node.take("claim");
    node.asked.push(audio);
    node.sleep(Millis::from_secs(55));
    assert_eq!(claimed(&mut node, &[1]), [media(1)]);
    node.step(Event::Tick);
    assert_eq!(renewed(&node), [(media(1), first)]);
    node.answer("renew", nothing_lost());

    let second = claim(&node).1;
    node.sleep(node_settings().lease.renew_every);
    node.step(Event::Tick);
    let renewal = node.take("renew");
    assert_eq!(claimed(&mut node, &[2]), [media(2)]);
    node.step(renewal.asker.event(renewal.op, nothing_lost()));
    node.step(Event::Tick);
    assert_eq!(renewed(&node), [(media(1), first), (media(2), second)]);
}
