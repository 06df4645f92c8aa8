//! Jobs that are leased as they are restored: which places are offered for them, and what becomes of the
//! leases and the places when the page comes late, otherwise than asked for, or for nobody.

use std::num::NonZeroU32;

use anteroom_core::bot::event::BotEvent;
use anteroom_core::effect::Effect;
use anteroom_core::event::{Event, NodeEvent};
use anteroom_core::id::LeaseToken;
use anteroom_core::job::offer::LeaseOffer;
use anteroom_core::job::{Job, Lease, LeaseRequest, Status};
use anteroom_core::pool::event::{PoolEffect, PoolEvent};
use anteroom_core::settings::NodeSettings;
use anteroom_core::store::{Claimed, JobPage, StoreError, StoreReply, StoreRequest};
use anteroom_core::time::Millis;

use crate::script::node::start;
use crate::script::*;

/// One pool that matters, of eight slots.
fn settings() -> NodeSettings {
    let mut settings = node_settings();
    settings.pools.retain(|pool| ["audio", "unsupported"].contains(&pool.name.as_str()));
    for pool in &mut settings.pools {
        pool.slots = NonZeroU32::MIN.saturating_add(7);
        pool.buffer = 0;
    }
    settings
}

/// A node whose pools have found nothing to do, and whose bot asks for its jobs.
fn restoring(settings: NodeSettings) -> Node {
    let mut node = Node::new(settings);
    node.start();
    nothing_to_claim(&mut node);
    node.open(SESSION);
    node.step(hello(SESSION, BOT, PROVIDER));
    node.own(1);
    node
}

fn nothing_to_claim(node: &mut Node) {
    while node.asks("claim") {
        let nothing = Claimed { jobs: Vec::new(), more: false, next_in: None };
        node.answer("claim", Ok(StoreReply::Claim(nothing)));
    }
}

/// What the oldest page under way offers in the pool.
fn offer(node: &Node) -> Option<LeaseOffer> {
    let StoreRequest::RestoreBot { offers, .. } = node.asked("restore_bot") else {
        panic!("restore_bot asks for jobs")
    };
    offers.iter().find(|offer| offer.pool.as_str() == "audio").cloned()
}

/// How many places the next page of a bot is offered: half of what is free, rounded up.
fn places(node: &Node) -> u32 {
    offer(node).map_or(0, |offer| offer.places)
}

/// A job that is restored under an offered lease.
fn leased(node: &Node, number: u64, offer: &LeaseOffer) -> Job {
    let (token, claimed_at) = (offer.lease.token, node.now);
    let expires_at = claimed_at + offer.lease.ttl;
    let lease = Lease { worker_id: node_id(1), token, claimed_at, expires_at };
    job("alice", number, number.into(), Status::Processing { lease })
}

fn pending(number: u64) -> Job {
    job("alice", number, number.into(), Status::Pending)
}

fn page(jobs: Vec<Job>, more: bool) -> StoreReply {
    StoreReply::RestoreBot(JobPage { jobs, more })
}

fn started(effects: &[Effect]) -> usize {
    effects.iter().filter(|it| matches!(it, Effect::Pools(PoolEffect::Start(_)))).count()
}

/// The medium and the lease of what is given back, in its order.
fn given_back(node: &mut Node) -> Vec<(u128, LeaseToken)> {
    let mut given_back = Vec::new();
    while node.asks("release") {
        let StoreRequest::Release { releases } = node.asked("release") else {
            panic!("it releases")
        };
        given_back.extend(releases.iter().map(|it| (it.media_id.as_uuid().as_u128(), it.token)));
        node.answer("release", Ok(StoreReply::Release(Vec::new())));
    }
    given_back
}

/// Goal: a bot is restored with half of the places that are free, and the jobs that get one are worked on at once,
/// without a claim; the places that none got are free for the next page. Method: of eight places four are offered,
/// two are taken; of the six that are left three are offered.
#[test]
fn restored_jobs_are_worked_on_without_a_claim() {
    let mut node = restoring(settings());
    let first = offer(&node).expect("places are free");
    assert_eq!(first.places, 4);
    let jobs = vec![leased(&node, 1, &first), leased(&node, 2, &first)];
    let effects = node.answer("restore_bot", Ok(page(jobs, true)));
    assert_eq!(started(&effects), 2);
    assert!(!node.asks("claim"), "{:?}", node.names());

    let second = offer(&node).expect("places are free");
    assert_eq!(second.places, 3);
    assert_ne!(first.lease.token, second.lease.token, "a token is given once");
    let jobs = vec![leased(&node, 3, &second), pending(4)];
    let effects = node.answer("restore_bot", Ok(page(jobs, false)));
    assert_eq!(started(&effects), 1);
    let StoreRequest::Claim { limit, .. } = node.asked("claim") else { panic!("it claims") };
    assert_eq!(*limit, 5, "what got no place is claimed, for all places that are free");
}

/// Goal: bots that are restored side by side share the places, whichever is first; without a free place nothing is
/// offered, nor on a node without workers or one that stops.
#[test]
fn bots_share_the_places() {
    let mut node = Node::new(settings());
    node.step(start(["a", "b", "c", "d", "e"].map(record), true, true));
    nothing_to_claim(&mut node);
    node.open(SESSION);
    let mut offered = Vec::new();
    for (number, bot) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        node.open(9 + number as u128);
        node.step(hello(9 + number as u128, bot, PROVIDER));
        node.own(1);
        offered.push(places(&node));
        node.take("restore_bot");
    }
    assert_eq!(offered, [4, 2, 1, 1, 0]);

    let mut node = Node::new(settings());
    node.step(start([record(BOT)], true, false));
    node.open(SESSION);
    node.step(hello(SESSION, BOT, PROVIDER));
    node.own(1);
    assert_eq!(offer(&node), None, "there are no workers");
}

/// Goal: what waits in the store is not overtaken: places that a claim asks for are not offered.
#[test]
fn places_that_are_claimed_are_not_offered() {
    let mut node = Node::new(settings());
    node.start();
    node.open(SESSION);
    node.step(hello(SESSION, BOT, PROVIDER));
    node.own(1);
    assert_eq!(offer(&node), None);
}

/// Goal: places do not stay kept for a page that never comes: when the store refuses it, answers something else or
/// names another owner, and when the bot is stopped. Method: after a new start as many are offered as at first.
#[test]
fn places_come_back_when_a_page_does_not_come() {
    let refusal = || StoreError::Invalid { detail: "no".to_owned() };
    let ends: [fn(&mut Node); 4] = [
        |node| drop(node.answer("restore_bot", Err(StoreError::Invalid { detail: String::new() }))),
        |node| drop(node.answer("restore_bot", Ok(StoreReply::ReleaseBot))),
        |node| drop(node.answer("restore_bot", Err(StoreError::Fenced))),
        |node| {
            node.take("restore_bot");
            node.step(bot(BotEvent::Stop));
            node.answer("hold_bot", Ok(StoreReply::HoldBot(0)));
        },
    ];
    for end in ends {
        let mut node = restoring(settings());
        end(&mut node);
        node.answer("release_bot", Ok(StoreReply::ReleaseBot));
        node.step(bot(BotEvent::Start));
        node.open(2);
        node.step(hello(2, BOT, PROVIDER));
        node.own(2);
        assert_eq!(places(&node), 4);
    }
    let mut node = restoring(settings());
    node.answer("restore_bot", Err(refusal()));
    assert!(!node.asks("release"), "no job is known to be leased: {:?}", node.names());
}

/// Goal: leases that come when nobody waits for them any more are given back, so that nobody counts a lost worker;
/// others' leases are left alone. Method: the bot is stopped, or the whole node, while the page is under way.
#[test]
fn leases_that_come_too_late_are_given_back() {
    for end in [bot(BotEvent::Stop), Event::Node(NodeEvent::Shutdown)] {
        let mut node = restoring(settings());
        let offer = offer(&node).expect("places are free");
        let late = node.take("restore_bot");
        node.step(end);
        let lease = LeaseRequest { token: token(77), ..offer.lease };
        let elsewhere = LeaseOffer { lease, ..offer.clone() };
        let jobs = vec![leased(&node, 1, &offer), leased(&node, 2, &elsewhere), pending(3)];
        node.step(late.asker.event(late.op, Ok(page(jobs, false))));
        assert_eq!(given_back(&mut node), [(1, offer.lease.token)]);
    }
}

/// Goal: while a page waits to be asked for again no place is kept for it. It is asked for under the same leases,
/// which may have been given; and under new ones when they would begin half spent.
#[test]
fn a_page_is_asked_for_again_with_the_same_leases() {
    let mut settings = settings();
    settings.lease.ttl = Millis::from_secs(4);
    settings.lease.poll_every = Millis::from_minutes(1);
    let mut node = restoring(settings);
    let first = offer(&node).expect("places are free");
    node.fail("restore_bot");
    node.step(Event::Pools(PoolEvent::WorkWaiting { pool: "audio".into() }));
    let StoreRequest::Claim { limit, .. } = node.asked("claim") else { panic!("it claims") };
    assert_eq!(*limit, 8, "all places are free meanwhile");
    let jobs = (11..15).map(pending).collect();
    let claimed = Claimed { jobs, more: false, next_in: None };
    assert_eq!(started(&node.answer("claim", Ok(StoreReply::Claim(claimed)))), 4);

    node.wait(Millis::from_secs(1));
    let again = offer(&node).expect("places are free");
    assert_eq!((again.places, again.lease), (2, first.lease));
    // The first answer was lost, and four jobs were leased.
    let jobs = (1..=4).map(|number| leased(&node, number, &again)).collect();
    let effects = node.answer("restore_bot", Ok(page(jobs, true)));
    assert_eq!(started(&effects), 2);
    assert_eq!(given_back(&mut node), [3, 4].map(|number| (number, first.lease.token)));

    let second = offer(&node).expect("places are free");
    for _ in 0..2 {
        node.fail("restore_bot");
        node.wait(Millis::from_secs(2));
    }
    let last = offer(&node).expect("places are free");
    assert_ne!(last.lease.token, second.lease.token);
    let jobs = vec![leased(&node, 5, &last), leased(&node, 6, &second)];
    assert_eq!(started(&node.answer("restore_bot", Ok(page(jobs, false)))), 1);
}

/// Goal: of a store that leases more jobs than there are places, or jobs of another pool, no more are taken than
/// have places, the others are given back, and so is each place, once. (`Node::step` checks the invariants, the
/// board gives no place back twice.)
#[test]
fn jobs_without_a_place_are_given_back() {
    let mut node = restoring(settings());
    let offer = offer(&node).expect("places are free");
    let mut jobs: Vec<Job> = (1..=6).map(|number| leased(&node, number, &offer)).collect();
    jobs[0].pool = "unsupported".into();
    let effects = node.answer("restore_bot", Ok(page(jobs, false)));
    assert_eq!(started(&effects), 4);
    assert_eq!(given_back(&mut node), [1, 6].map(|number| (number, offer.lease.token)));
}

/// Goal: a job that is done waits for its archive alone, and its lease, which would be in the way of that, is renewed
/// only when it would not last for two more rounds; that of a job that is worked on is renewed in every round.
#[test]
fn the_lease_of_a_job_that_is_done_is_renewed_late() {
    let mut settings = settings();
    settings.lease.ttl = Millis::from_secs(3);
    settings.lease.renew_every = Millis::from_secs(1);
    let mut node = restoring(settings);
    let offer = offer(&node).expect("places are free");
    let token = offer.lease.token;
    let jobs = vec![leased(&node, 1, &offer), leased(&node, 2, &offer)];
    assert_eq!(started(&node.answer("restore_bot", Ok(page(jobs, true)))), 2);
    let result = Ok(words("x"));
    node.step(Event::Pools(PoolEvent::Ended { media_id: media(1), token, result }));
    for renewed in [&[2][..], &[1, 2], &[2], &[1, 2]] {
        node.wait(Millis::from_secs(1));
        let StoreRequest::Renew { leases, .. } = node.asked("renew") else { panic!("it renews") };
        let expected: Vec<_> = renewed.iter().map(|number| (media(*number), token)).collect();
        assert_eq!(*leases, expected);
        node.answer("renew", Ok(StoreReply::Renew(Vec::new())));
    }
}
