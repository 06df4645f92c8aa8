//! Fencing at the moments that matter: around the commit of a transaction.

use std::time::Duration;

use anteroom_core::id::NodeId;
use anteroom_core::message::Message;
use anteroom_core::store::{
    Acquired, ArchiveAnswer, Fence, InsertAnswer, MarkAnswer, StoreError, StoreReply, StoreRequest,
};
use anteroom_core::time::Millis;
use anteroom_runtime::store::Store;
use anteroom_runtime::store::mongodb::{MongoSettings, MongoStore, StoreTime};
use anteroom_tests::proxy::Proxy;
use anteroom_tests::store_contract::fixtures::{
    TTL, acknowledged, id, item, job, key, node, text, unleased,
};
use anteroom_tests::store_contract::{Rig, TestClock};
use mongodb::bson::{Document, doc};

use super::{Place, open};

/// A bot's former owner behind a line that can be cut, and a node that wants the bot.
struct Owners {
    place: Place,
    proxy: Proxy,
    former: MongoStore,
    next: MongoStore,
    fence: Fence,
}

impl Owners {
    async fn new() -> Option<Self> {
        let place = Place::new().await;
        let proxy = Proxy::to(place.server.port()?).await;
        let next = place.open().await;
        let former = open(&proxy.uri(&place.name), place.clock.as_clock()).await;
        let fence = Rig::new(&former, &place.clock).bot("b").await;
        place.clock.advance(TTL);
        Some(Self { place, proxy, former, next, fence })
    }

    fn archive(&self, number: u64) -> StoreRequest {
        let items = vec![item("c", text(number))];
        StoreRequest::Archive { fence: self.fence.clone(), items }
    }

    /// The former owner archives a message and is given its callback.
    async fn give(&self) {
        give(&Rig::new(&self.former, &self.place.clock), &self.fence, 1).await;
    }

    /// The end of that callback.
    fn mark(&self) -> StoreRequest {
        mark(&self.fence, 1)
    }

    fn acquire(&self) -> StoreRequest {
        let node_id: NodeId = node(2);
        StoreRequest::AcquireBot { bot_id: "b".into(), node_id, ttl: TTL }
    }
}

/// An owner archives a message and is given its callback.
async fn give(owner: &Rig<'_>, fence: &Fence, number: u64) {
    owner.archived(fence, item("c", text(number))).await;
    assert_eq!(owner.owed(fence).await.len(), 1, "it is given out");
}

/// The end of that callback.
fn mark(fence: &Fence, number: u64) -> StoreRequest {
    let marks = vec![acknowledged(key("c", number, 0))];
    StoreRequest::MarkCalledBack { fence: fence.clone(), marks }
}

/// Goal: a former owner whose transaction begins before the bot is taken over and writes after it
/// changes nothing. Method: its first write is held back until the takeover is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_writes_after_the_takeover_is_fenced() {
    let Some(owners) = Owners::new().await else { return };
    owners.proxy.hold("findAndModify");
    let archiving = owners.former.execute(owners.archive(1));
    let taking_over = async {
        owners.proxy.holds().await;
        let acquired = owners.next.execute(owners.acquire()).await;
        assert!(matches!(acquired, Ok(StoreReply::AcquireBot(Acquired::Acquired { .. }))));
        owners.proxy.release();
    };
    let (archived, ()) = tokio::join!(archiving, taking_over);
    assert_eq!(archived, Err(StoreError::Fenced));
    let rig = Rig::new(&owners.next, &owners.place.clock);
    let fence = rig.acquired("b", 2).await;
    assert!(rig.owed(&fence).await.is_empty(), "nothing was archived");
}

/// Goal: a transaction of the former owner that is open while the bot is taken over either comes
/// before the takeover, and the next owner sees it, or does not happen. Method: its commit is held back
/// while another node acquires, and let go in the middle of that.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_open_at_the_takeover_comes_before_it_or_not_at_all() {
    let Some(owners) = Owners::new().await else { return };
    owners.proxy.hold("commitTransaction");
    let archiving = owners.former.execute(owners.archive(1));
    let taking_over = async {
        owners.proxy.holds().await;
        let acquiring = owners.next.execute(owners.acquire());
        let letting_go = async {
            // Long enough for the other to meet the open transaction.
            tokio::time::sleep(Duration::from_millis(200)).await;
            owners.proxy.release();
        };
        tokio::join!(acquiring, letting_go).0
    };
    let (archived, acquired) = tokio::join!(archiving, taking_over);
    assert!(matches!(acquired, Ok(StoreReply::AcquireBot(Acquired::Acquired { .. }))));
    let rig = Rig::new(&owners.next, &owners.place.clock);
    let fence = rig.acquired("b", 2).await;
    let owed = rig.owed(&fence).await.len();
    match archived {
        Ok(StoreReply::Archive(answers)) => {
            assert!(matches!(answers[..], [ArchiveAnswer::Stored { .. }]));
            assert_eq!(owed, 1, "the next owner sees it");
        }
        Err(StoreError::Fenced) => assert_eq!(owed, 0),
        other => panic!("{other:?}"),
    }
    assert_eq!(owners.former.execute(owners.archive(2)).await, Err(StoreError::Fenced));
}

/// Goal: a former owner's mark that is under way while the bot is taken over ends a callback that the next
/// owner has not been given, and none that it has. Method: the write is held back behind the takeover.
#[tokio::test(flavor = "multi_thread")]
async fn a_mark_under_way_at_the_takeover_ends_nothing_that_was_given_out_again() {
    for is_given in [false, true] {
        let Some(owners) = Owners::new().await else { return };
        owners.give().await;
        owners.proxy.hold("callback.epoch");
        let marking = owners.former.execute(owners.mark());
        let taking_over = async {
            owners.proxy.holds().await;
            let next = Rig::new(&owners.next, &owners.place.clock);
            let fence = next.acquired("b", 2).await;
            if is_given {
                assert_eq!(next.owed(&fence).await.len(), 1);
            }
            owners.proxy.release();
            fence
        };
        let (marked, fence) = tokio::join!(marking, taking_over);
        let left = Rig::new(&owners.next, &owners.place.clock).owed(&fence).await.len();
        if is_given {
            assert_eq!(marked, Err(StoreError::Fenced));
            assert_eq!(left, 1, "it is the next owner's");
        } else {
            assert_eq!(marked, Ok(StoreReply::MarkCalledBack(vec![MarkAnswer::Ended])));
            assert_eq!(left, 0, "its consumer has acknowledged it");
        }
    }
}

/// Goal: a former owner ends no callback, whether the next one was given it or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_mark_after_the_takeover_is_fenced() {
    for is_given in [false, true] {
        let Some(owners) = Owners::new().await else { return };
        owners.give().await;
        let next = Rig::new(&owners.next, &owners.place.clock);
        let fence = next.acquired("b", 2).await;
        if is_given {
            next.owed(&fence).await;
        }
        assert_eq!(owners.former.execute(owners.mark()).await, Err(StoreError::Fenced));
        assert_eq!(next.owed(&fence).await.len(), 1);
    }
}

/// Goal: a bot that is taken over long before its owner expects it, for the server's clock was set forward,
/// is still fenced: the former owner ends a callback that the next one was not given, and none that it was.
/// Method: each has a clock of its own, and for the former owner no time has passed.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_forward_ends_no_callback_of_the_next_owner() {
    for is_given in [false, true] {
        let place = Place::new().await;
        let late = TestClock::default();
        let former = open(&place.uri(), late.as_clock()).await;
        let rig = Rig::new(&former, &late);
        let old = rig.bot("b").await;
        give(&rig, &old, 1).await;
        place.clock.advance(TTL);
        let store = place.open().await;
        let next = Rig::new(&store, &place.clock);
        let fence = next.acquired("b", 2).await;
        if is_given {
            assert_eq!(next.owed(&fence).await.len(), 1);
        }
        let marked = former.execute(mark(&old, 1)).await;
        let left = next.owed(&fence).await.len();
        if is_given {
            assert_eq!((marked, left), (Err(StoreError::Fenced), 1), "it is the next owner's");
        } else {
            let ended = Ok(StoreReply::MarkCalledBack(vec![MarkAnswer::Ended]));
            assert_eq!((marked, left), (ended, 0), "its consumer has acknowledged it");
        }
    }
}

/// Goal: while its ownership has long to go, an owner's mark is a single command. Method: the server's
/// record of its commands.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_does_not_ask_whether_it_is_the_owner() {
    let place = Place::new().await;
    let store = place.open().await;
    let rig = Rig::new(&store, &place.clock);
    let fence = rig.bot("b").await;
    place.record_commands(true).await;
    for (number, asked) in [(1, 0), (2, 1)] {
        give(&rig, &fence, number).await;
        let ended = Ok(StoreReply::MarkCalledBack(vec![MarkAnswer::Ended]));
        assert_eq!(store.execute(mark(&fence, number)).await, ended);
        assert_eq!(place.count_commands(doc! { "command.find": "fences" }).await, asked);
        // Half of its time is not relied on.
        place.clock.advance(Millis::from_ms(TTL.as_ms() / 2));
    }
}

/// Goal: what the owner itself has given up waiting for, and is carried out all the same, is seen by what
/// it asks next. Method: a commit is held back, its caller gives up, and it is let go while the next request
/// is on its way, whose questions are there long before its fence.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_carried_out_after_its_caller_gave_up_is_seen() {
    let place = Place::new().await;
    let Some(port) = place.server.port() else { return };
    let proxy = Proxy::to(port).await;
    let store = open(&proxy.uri(&place.name), place.clock.as_clock()).await;
    let fence = Rig::new(&store, &place.clock).bot("b").await;
    let archive = |correspondent: &str| StoreRequest::Archive {
        fence: fence.clone(),
        items: vec![item(correspondent, Message { id: id(2), ..text(1) })],
    };
    let insert = |correspondent: &str| StoreRequest::InsertJobs {
        fence: fence.clone(),
        jobs: vec![unleased(job(&fence, correspondent, 1, 7, place.clock.now()))],
    };
    for (given_up, next) in [(archive("c"), insert("c")), (insert("d"), archive("d"))] {
        proxy.hold("commitTransaction");
        tokio::select! {
            ended = store.execute(given_up) => panic!("{ended:?}"),
            () = proxy.holds() => {}
        }
        proxy.delay("findAndModify", Duration::from_millis(500));
        let letting_go = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            proxy.release();
        };
        let (answer, ()) = tokio::join!(store.execute(next.clone()), letting_go);
        let repeated = store.execute(next).await;
        assert_eq!(answer, repeated, "the request is answered as when all is done");
        match answer {
            Ok(StoreReply::InsertJobs(answers)) => {
                let known = InsertAnswer::DuplicateProviderMessage { message_id: id(2) };
                assert_eq!(answers, [known]);
            }
            Ok(StoreReply::Archive(answers)) => {
                let known = ArchiveAnswer::DuplicateProviderMessage { message_id: id(1) };
                assert_eq!(answers, [known]);
            }
            other => panic!("{other:?}"),
        }
        proxy.delay("findAndModify", Duration::ZERO);
    }
}

/// Goal: a transaction that a killed process left open does not keep its bot from the next owner for
/// as long as the server would. Method: a client that calls itself a node writes the fence and is
/// never heard of again.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_left_behind_is_ended() {
    let place = Place::new().await;
    let settings =
        MongoSettings { call_timeout: Duration::from_secs(2), ..MongoSettings::new(place.uri()) };
    let time = StoreTime::Given(place.clock.as_clock());
    let store = MongoStore::open(settings, time).await.expect("the database can be opened");
    let rig = Rig::new(&store, &place.clock);
    rig.bot("b").await;
    place.clock.advance(TTL);

    let uri = format!("{}&appName=anteroom", place.uri());
    let client = mongodb::Client::with_uri_str(uri).await.expect("the address is valid");
    let fences = client.database(&place.name).collection::<Document>("fences");
    let mut session = client.start_session().await.expect("a session");
    session.start_transaction().await.expect("a transaction");
    let write = fences.update_one(doc! { "_id": "b" }, doc! { "$inc": { "writes": 1 } });
    write.session(&mut session).await.expect("the fence is free");

    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let acquire = || StoreRequest::AcquireBot { bot_id: "b".into(), node_id: node(2), ttl: TTL };
    while store.execute(acquire()).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the bot is still locked");
    }
    assert!(session.commit_transaction().await.is_err(), "it was ended");
}
