//! Bots with many jobs.

use std::time::Duration;

use anteroom_core::store::StoreRequest;
use anteroom_runtime::store::Store;
use anteroom_runtime::store::mongodb::{MongoSettings, MongoStore, StoreTime};
use anteroom_tests::proxy::Proxy;
use anteroom_tests::store_contract::Rig;
use anteroom_tests::store_contract::fixtures::{job, unleased};

use super::Place;

const JOBS: u64 = 2_500;

const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// Goal: a bot whose jobs take longer to move than one call may take is held all the same. Method: a line
/// on which each commit takes so long that they do not fit into one call.
#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_held_however_many_jobs_it_has() {
    let place = Place::new().await;
    let Some(port) = place.server.port() else { return };
    let near = place.open().await;
    let rig = Rig::new(&near, &place.clock);
    let fence = rig.bot("b").await;
    let now = place.clock.now();
    let of = |n: u64| job(&fence, &format!("c{}", n % 100), n, n, now);
    let jobs = (1..=JOBS).map(|n| unleased(of(n))).collect();
    rig.insert(&fence, jobs).await;

    let proxy = Proxy::to(port).await;
    let settings =
        MongoSettings { call_timeout: CALL_TIMEOUT, ..MongoSettings::new(proxy.uri(&place.name)) };
    let far = MongoStore::open(settings, StoreTime::Given(place.clock.as_clock())).await;
    let far = far.expect("the database can be opened");
    proxy.delay("commitTransaction", CALL_TIMEOUT / 4);
    let held = far.execute(StoreRequest::HoldBot(fence.clone())).await;
    assert!(held.is_ok(), "{held:?}");
    assert_eq!(u64::from(rig.hold(&fence).await), JOBS);
}
