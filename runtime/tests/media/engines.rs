//! Which engines are found, and what is said of those that are not.

use anteroom_core::message::Outcome;
use anteroom_core::settings::default_pools;
use anteroom_runtime::media::engines;
use anteroom_runtime::media::processor::run_isolated;

use crate::{ANTEROOM, stage, text, work};

/// Goal: every default pool has a processor and a line, and the document pool works without any
/// configuration; a pool without an engine ends its jobs with the reason.
#[tokio::test]
async fn every_default_pool_has_a_processor_and_a_line() {
    let engines = engines::detect(ANTEROOM.into()).await;
    let pools: Vec<_> = default_pools().into_iter().map(|pool| pool.name).collect();
    for pool in &pools {
        assert!(engines.processors.contains_key(pool), "{pool}");
        let start = format!("{pool}: ");
        assert_eq!(
            engines.lines.iter().filter(|line| line.starts_with(&start)).count(),
            1,
            "{pool}"
        );
    }
    assert_eq!(engines.processors.len(), pools.len());

    let staged = stage(b"hello");
    let documents = engines.processors[&"document".into()].clone();
    assert_eq!(text(run_isolated(documents, work(&staged.path, "text/plain")).await), "hello");

    let video = engines.processors[&"video".into()].clone();
    let outcome = run_isolated(video, work(&staged.path, "video/mp4")).await;
    let detail = Some("no processor configured for video".to_owned());
    assert_eq!(outcome, Ok(Outcome::Unsupported { detail }));
    assert!(engines.lines.contains(&"video: none (no processor configured for video)".to_owned()));
}
