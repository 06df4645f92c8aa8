//! The model, SQLite and MongoDB, asked the same: every answer is the same.
//!
//! Method: generated operations of two nodes over a few bots, correspondents, media and tokens, so that
//! they meet one another all the time; some are asked twice. Each is put to all three stores under one
//! clock, and what they say is compared. MongoDB is asked through two clients, one a node.
#![cfg(unix)]

#[path = "store_differential/operations.rs"]
mod operations;
#[path = "store_differential/world.rs"]
mod world;

use anteroom_tests::mongod::Mongod;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};

use self::world::{Stage, World};

/// Where failing cases are kept.
const REGRESSIONS: &str = "../proptest-regressions/store_differential.txt";

/// How many cases are run unless PROPTEST_CASES says otherwise.
const CASES: u32 = 24;

/// How many smaller cases are tried before a failing one is told.
const SHRINKS_MAX: u32 = 1_000;

fn config() -> Config {
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => Config::default().cases,
        None => CASES,
    };
    let kept = FileFailurePersistence::Direct(REGRESSIONS);
    let failure_persistence = Some(Box::new(kept) as _);
    Config { cases, failure_persistence, max_shrink_iters: SHRINKS_MAX, ..Config::default() }
}

/// Goal: no sequence of operations makes the stores differ in an answer.
#[test]
fn mongodb_sqlite_and_the_model_answer_alike() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the system gives threads");
    let server = runtime.block_on(Mongod::shared());
    let stage = runtime.block_on(Stage::new(&server));
    let mut runner = TestRunner::new(config());
    let ran = runner.run(&operations::sequence(), |operations| {
        runtime.block_on(async {
            let mut world = World::new(&stage).await;
            for operation in &operations {
                world.put(operation).await?;
            }
            world.end().await
        })
    });
    runtime.block_on(stage.end());
    if let Err(failure) = ran {
        panic!("{failure}");
    }
}
