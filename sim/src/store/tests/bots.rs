//! Records, ownership, fences and singletons.

use anteroom_core::id::Epoch;
use anteroom_core::settings::Run;
use anteroom_core::store::{
    Acquired, BotRecord, CallbackPlan, OwedScope, StoreError, StoreReply, StoreRequest,
};
use anteroom_core::time::Millis;

use super::support::{Bench, TTL, acquire, ask, fence, media, node, record, seq, text_message};

/// Goal: a bot's first record stands, whatever is registered later.
#[test]
fn the_first_record_of_a_bot_stands() {
    let mut bench = Bench::new();
    let later = BotRecord { run: Run::WhileConnected, ..record("a") };
    let request = StoreRequest::RegisterBot(later);
    assert_eq!(bench.apply_twice(&request), Ok(StoreReply::RegisterBot(record("a"))));
    let known: Vec<_> = bench.model.bots().cloned().collect();
    assert_eq!(known, [record("a"), record("b")]);
}

/// Goal: the owner gets the same epoch again and is prolonged; another node waits for its end, and
/// then has the next epoch.
#[test]
fn ownership_is_held_prolonged_and_taken_after_its_end() {
    let mut bench = Bench::new();
    bench.pass(Millis::from_secs(30));
    let again = Ok(StoreReply::AcquireBot(Acquired::Acquired { epoch: Epoch(1) }));
    assert_eq!(bench.apply_twice(&acquire("a", 1)), again);
    bench.pass(Millis::from_secs(45));
    let held = Acquired::HeldBy { node_id: node(1), remaining: Millis::from_secs(15) };
    assert_eq!(bench.apply_twice(&acquire("a", 2)), Ok(StoreReply::AcquireBot(held)));
    bench.pass(Millis::from_secs(15));
    let taken = Ok(StoreReply::AcquireBot(Acquired::Acquired { epoch: Epoch(2) }));
    assert_eq!(bench.apply_twice(&acquire("a", 2)), taken);
}

/// Goal: a shorter ownership never shortens the one that stands.
#[test]
fn acquiring_again_never_shortens() {
    let mut bench = Bench::new();
    let brief =
        StoreRequest::AcquireBot { bot_id: "a".into(), node_id: node(1), ttl: Millis::ZERO };
    ask!(bench, AcquireBot, brief);
    let held = Acquired::HeldBy { node_id: node(1), remaining: TTL };
    assert_eq!(ask!(bench, AcquireBot, acquire("a", 2)), held);
}

/// Goal: an ownership past its end is still its node's until somebody takes it, and renewing tells
/// exactly the lost ones.
#[test]
fn renewing_tells_which_bots_are_lost() {
    let mut bench = Bench::new();
    bench.pass(TTL);
    ask!(bench, AcquireBot, acquire("b", 2));
    let renew = StoreRequest::RenewBots {
        node_id: node(1),
        bots: vec![
            ("a".into(), Epoch(1)),
            ("b".into(), Epoch(1)),
            ("a".into(), Epoch(7)),
            ("never".into(), Epoch(1)),
        ],
        ttl: TTL,
    };
    let lost = vec!["b".into(), "a".into(), "never".into()];
    assert_eq!(bench.apply_twice(&renew), Ok(StoreReply::RenewBots(lost)));
    let held = Acquired::HeldBy { node_id: node(1), remaining: TTL };
    assert_eq!(ask!(bench, AcquireBot, acquire("a", 2)), held);
}

/// Goal: releasing frees a bot at once and keeps its epoch: neither the next owner's nor the same
/// node's next epoch is an old one.
#[test]
fn releasing_keeps_the_epoch() {
    let mut bench = Bench::new();
    let release = StoreRequest::ReleaseBot(fence("a", 1));
    assert_eq!(bench.apply_twice(&release), Ok(StoreReply::ReleaseBot));
    let lost =
        StoreRequest::RenewBots { node_id: node(1), bots: vec![("a".into(), Epoch(1))], ttl: TTL };
    assert_eq!(ask!(bench, RenewBots, lost), ["a".into()]);
    let taken = ask!(bench, AcquireBot, acquire("a", 1));
    assert_eq!(taken, Acquired::Acquired { epoch: Epoch(2) });
    assert_eq!(bench.apply(&release), Err(StoreError::Fenced));
    let (_, ownership) = bench.model.ownerships().next().expect("a bot was owned");
    assert_eq!((ownership.epoch, ownership.owner.is_some()), (Epoch(2), true));
}

/// Goal: every request with a fence is refused under an older epoch, a newer one, and for a bot that
/// was never owned, and changes nothing.
#[test]
fn every_fenced_request_is_refused_under_another_epoch() {
    let mut bench = Bench::new();
    assert_eq!(bench.apply(&StoreRequest::ReleaseBot(fence("a", 1))), Ok(StoreReply::ReleaseBot));
    ask!(bench, AcquireBot, acquire("a", 2));
    for fence in [fence("a", 1), fence("a", 3), fence("a", 0), fence("never", 0)] {
        let requests = [
            StoreRequest::ReleaseBot(fence.clone()),
            StoreRequest::HoldBot(fence.clone()),
            StoreRequest::RestoreBot {
                fence: fence.clone(),
                after: None,
                limit: 1,
                offers: Vec::new(),
                routing: None,
            },
            StoreRequest::InsertJobs { fence: fence.clone(), jobs: vec![] },
            StoreRequest::Archive { fence: fence.clone(), items: vec![] },
            StoreRequest::Revise {
                fence: fence.clone(),
                media_id: media(1),
                revision: 1,
                message: text_message(1).into(),
                correspondent_id: "c".into(),
                callback: CallbackPlan::Owed,
            },
            StoreRequest::CompletedJobs { fence: fence.clone(), after: None, limit: 1 },
            StoreRequest::OwedCallbacks {
                fence: fence.clone(),
                scope: OwedScope::Bot { after: seq(0), except: vec![] },
                limit: 1,
            },
            StoreRequest::RaiseAttempts { fence: fence.clone(), callbacks: vec![] },
            StoreRequest::MarkCalledBack { fence: fence.clone(), marks: vec![] },
            StoreRequest::OwedSends { fence: fence.clone(), limit: 1 },
            StoreRequest::MarkSent { fence: fence.clone(), sent: vec![] },
        ];
        for request in requests {
            assert_eq!(bench.apply_twice(&request), Err(StoreError::Fenced), "{request:?}");
        }
    }
}

/// Goal: a name is one node's at a time, the node's own again, and free after its end.
#[test]
fn a_singleton_is_one_nodes_until_its_end() {
    let mut bench = Bench::new();
    let take = |number| StoreRequest::AcquireSingleton {
        name: "janitor".to_owned(),
        node_id: node(number),
        ttl: TTL,
    };
    assert_eq!(bench.apply_twice(&take(1)), Ok(StoreReply::AcquireSingleton(true)));
    assert_eq!(bench.apply_twice(&take(2)), Ok(StoreReply::AcquireSingleton(false)));
    bench.pass(TTL);
    assert_eq!(bench.apply_twice(&take(2)), Ok(StoreReply::AcquireSingleton(true)));
    assert_eq!(bench.apply_twice(&take(1)), Ok(StoreReply::AcquireSingleton(false)));
}
