//! Which engines are found, configured and refused, and what is said of them.

use std::time::Duration;

use anteroom_core::message::{MediaKind, Outcome};
use anteroom_core::settings::default_pools;
use anteroom_runtime::media::engines::{self, EngineError, Engines, PoolChoice, Workshop};
use anteroom_runtime::media::processor::{Work, run_isolated};
use anteroom_runtime::media::scratch::Scratch;
use anteroom_runtime::media::settings::{EngineSettings, EngineTable, ProcessorKind};
use tempfile::TempDir;

use crate::server::{Answer, Misbehaving};
use crate::{ANTEROOM, stage, text, work};

async fn assemble(pools: &[PoolChoice], table: &EngineTable) -> Result<Engines, EngineError> {
    let home = scratch();
    let scratch = Scratch::open(home.path(), 0).expect("opened");
    engines::assemble(pools, table, Workshop { own_program: ANTEROOM.into(), scratch }).await
}

fn scratch() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn usual_pools() -> Vec<PoolChoice> {
    default_pools().into_iter().map(|pool| (pool.name, None)).collect()
}

fn pool(name: &str, engine: &str) -> PoolChoice {
    (name.into(), Some(engine.to_owned()))
}

fn stub(text: &str) -> EngineSettings {
    EngineSettings {
        processor: Some(ProcessorKind::Stub),
        text: Some(text.to_owned()),
        delay: Duration::from_millis(1),
        ..EngineSettings::default()
    }
}

/// Goal: every default pool has a processor and a report, and the document pool works without any
/// configuration; a pool without an engine ends its jobs with the reason, in the report's words.
#[tokio::test]
async fn every_default_pool_has_a_processor_and_a_report() {
    let engines = assemble(&usual_pools(), &EngineTable::new()).await.expect("assembled");
    let reported: Vec<_> = engines.reports.iter().map(|report| report.pool.clone()).collect();
    let pools: Vec<_> = default_pools().into_iter().map(|pool| pool.name).collect();
    assert_eq!(reported, pools);
    assert_eq!(engines.processors.len(), pools.len());
    let staged = stage(b"hello");
    let documents = engines.processors[&"document".into()].clone();
    assert_eq!(text(run_isolated(documents, work(&staged.path, "text/plain")).await), "hello");
    for report in &engines.reports {
        let reason = format!("no processor configured for {}", report.pool);
        assert_eq!(report.has_engine, !report.line.contains(&reason), "{report}");
        if !report.has_engine {
            let processor = engines.processors[&report.pool].clone();
            let outcome = run_isolated(processor, work(&staged.path, "audio/ogg")).await;
            assert_eq!(outcome, Ok(Outcome::Unsupported { detail: Some(reason) }));
        }
    }
}

/// Goal: a pool uses the engine that it names, whatever its own name is.
#[tokio::test]
async fn a_pool_uses_the_engine_that_it_names() {
    let table = EngineTable::from([("hello".to_owned(), stub("hello"))]);
    let pools = [pool("letters", "hello"), pool("rest", "unsupported")];
    let engines = assemble(&pools, &table).await.expect("assembled");
    let staged = stage(b"x");
    let letters = engines.processors[&"letters".into()].clone();
    assert_eq!(text(run_isolated(letters, work(&staged.path, "text/plain")).await), "hello");
    let rest = engines.processors[&"rest".into()].clone();
    let outcome = run_isolated(rest, work(&staged.path, "text/plain")).await;
    assert_eq!(outcome, Ok(Outcome::Unsupported { detail: None }));
}

/// Goal: what cannot work is refused when a node starts, and the error says which engine, and why.
#[tokio::test]
async fn engines_that_cannot_work_are_refused() {
    let settings = |change: &dyn Fn(&mut EngineSettings)| {
        let mut settings = EngineSettings::default();
        change(&mut settings);
        EngineTable::from([("mine".to_owned(), settings)])
    };
    let openai = |change: &dyn Fn(&mut EngineSettings)| {
        settings(&|it| {
            it.processor = Some(ProcessorKind::Openai);
            change(it);
        })
    };
    for (table, said) in [
        (EngineTable::new(), "neither in the configuration"),
        (settings(&|_| ()), "no processor"),
        (openai(&|_| ()), "transcription_model"),
        (
            openai(&|it| {
                it.transcription_model = Some("m".to_owned());
                it.base_url = Some("elsewhere".to_owned());
            }),
            "base URL",
        ),
        (
            settings(&|it| {
                it.processor = Some(ProcessorKind::Command);
                it.command = vec!["no-such-program-anywhere".to_owned(), "{path}".to_owned()];
            }),
            "not there",
        ),
        (
            settings(&|it| {
                it.processor = Some(ProcessorKind::Command);
                it.command = vec!["cat".to_owned()];
            }),
            "{path}",
        ),
        (
            settings(&|it| {
                it.processor = Some(ProcessorKind::Video);
                it.sound = Some("mine".to_owned());
            }),
            "uses itself",
        ),
        (
            settings(&|it| {
                it.processor = Some(ProcessorKind::Document);
                it.scans = Some("nobody".to_owned());
            }),
            "nobody",
        ),
    ] {
        let Err(error) = assemble(&[pool("audio", "mine")], &table).await else {
            panic!("assembled: {table:?}")
        };
        let error = error.to_string();
        assert!(error.contains(said) && error.contains('"'), "{error}");
    }
    let unnamed = assemble(&[("letters".into(), None)], &EngineTable::new()).await;
    assert!(matches!(unnamed, Err(EngineError::NotNamed { .. })));
}

/// Goal: a configured server is preferred to what is installed, for what it has models for; one engine
/// serves recordings and pictures each in its way.
#[tokio::test]
async fn a_configured_server_is_preferred() {
    let transcript = r#"{"text": "by the server"}"#.to_owned();
    let server = Misbehaving::start(vec![Answer::Whole(200, "", transcript)]).await;
    let openai = EngineSettings {
        base_url: Some(server.url().to_owned()),
        transcription_model: Some("whisper-1".to_owned()),
        ..EngineSettings::default()
    };
    let table = EngineTable::from([("openai".to_owned(), openai)]);
    let engines = assemble(&usual_pools(), &table).await.expect("assembled");
    let staged = stage(b"OggS");
    let audio = engines.processors[&"audio".into()].clone();
    let work = Work { kind: MediaKind::Audio, ..work(&staged.path, "audio/ogg") };
    assert_eq!(text(run_isolated(audio, work.clone()).await), "by the server");
    let report = engines.reports.iter().find(|report| report.pool.as_str() == "audio");
    let line = &report.expect("a report").line;
    assert!(line.starts_with("whisper-1 at http://127.0.0.1:"), "{line}");
    let image = engines.reports.iter().find(|report| report.pool.as_str() == "image");
    assert!(!image.expect("a report").line.contains("http"), "it has no model for pictures");
    let named = assemble(&[pool("any", "openai")], &table).await.expect("assembled");
    let picture = Work { mime_type: "image/png".to_owned(), kind: MediaKind::Image, ..work };
    let outcome = run_isolated(named.processors[&"any".into()].clone(), picture).await;
    assert!(matches!(outcome, Ok(Outcome::Unsupported { detail: Some(_) })), "{outcome:?}");
}
