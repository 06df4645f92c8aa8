//! The command processor with programs that behave, and with programs that do not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anteroom_core::message::{Extracted, FailureKind, Outcome};
use anteroom_runtime::media::command::{CommandProcessor, Template};
use anteroom_runtime::media::processor::{Failure, Work, run_isolated};
use tempfile::TempDir;

use crate::{stage, work};

/// A program made of a shell script, and a place for what it leaves.
struct Program {
    directory: TempDir,
    path: PathBuf,
}

impl Program {
    fn new(script: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("program");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("made executable");
        Self { directory, path }
    }

    /// A processor that runs the script by its interpreter, with the path as `$1`, a place for notes
    /// as `$2`, and the file's name as `$3`.
    fn processor(&self) -> CommandProcessor {
        let notes = self.notes();
        let argv = ["/bin/sh", path(&self.path), "{path}", path(&notes), "{filename}"];
        CommandProcessor::new("program", Template::parse(&argv).expect("a template"))
    }

    fn notes(&self) -> PathBuf {
        self.directory.path().join("notes")
    }

    async fn run(&self) -> Result<Outcome, Failure> {
        let staged = stage(b"content of the file");
        run_isolated(Arc::new(self.processor()), work(&staged.path, "audio/ogg")).await
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn said(text: &str) -> Result<Outcome, Failure> {
    Ok(Outcome::Text(Extracted { text: text.to_owned(), ..Extracted::default() }))
}

/// Waits until a process is gone. The test's own time limit ends a wait in vain.
async fn gone(process: &str) {
    let status = PathBuf::from(format!("/proc/{process}/stat"));
    let is_over = || match fs::read_to_string(&status) {
        // Nobody but the system's first process waits for an orphan, and it may not do so here.
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim().starts_with('Z')),
        Err(_) => true,
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !is_over() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "process {process} is still there");
}

/// What a program noted, once it has noted it.
async fn noted(program: &Program) -> Vec<String> {
    loop {
        let notes = fs::read_to_string(program.notes()).unwrap_or_default();
        if notes.ends_with("ready\n") {
            return notes.split_whitespace().map(str::to_owned).collect();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Goal: what a program prints is the text, and nothing printed is nothing found.
#[tokio::test]
async fn what_is_printed_is_the_text() {
    assert_eq!(Program::new("cat \"$1\"; echo; echo").run().await, said("content of the file"));
    assert_eq!(Program::new("echo noise >&2; printf ' \\n'").run().await, Ok(Outcome::Nothing));
}

/// Goal: a program gets no input to wait for, and one thread.
#[tokio::test]
async fn a_program_gets_no_input_and_one_thread() {
    assert_eq!(Program::new("cat; echo \"$OMP_THREAD_LIMIT\"").run().await, said("1"));
}

/// Goal: a file's name stays one argument and never becomes an option or a command.
#[tokio::test]
async fn a_filename_is_one_argument() {
    let program = Program::new("printf '%s|%s' \"$#\" \"$3\"");
    for (name, expected) in
        [("--help", "3|./--help"), ("a b; id $(id) `id`\".pdf", "3|a b; id $(id) `id`\".pdf")]
    {
        let staged = stage(b"x");
        let mut work: Work = work(&staged.path, "audio/ogg");
        work.filename = Some(name.to_owned());
        assert_eq!(run_isolated(Arc::new(program.processor()), work).await, said(expected));
    }
}

/// Goal: a failure says how the program ended and what it said last, in bounds.
#[tokio::test]
async fn a_failure_tells_the_last_words() {
    let script = "i=0; while [ $i -lt 2000 ]; do echo \"line $i\" >&2; i=$((i+1)); done; exit 3";
    for (script, expected) in [(script, "line 1999"), ("kill -SEGV $$", "signal"), ("exit 1", "1")]
    {
        let outcome = Program::new(script).run().await;
        let Err(Failure::Permanent { error: FailureKind::Engine, detail }) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(detail.contains(expected), "{detail}");
        assert!(detail.len() < 3_000, "{} bytes", detail.len());
    }
}

/// Goal: a program or a file that is not there is told as such.
#[tokio::test]
async fn what_is_missing_is_named() {
    let staged = stage(b"x");
    let template = Template::parse(&["no-such-program-anywhere", "{path}"]).expect("a template");
    let processor = Arc::new(CommandProcessor::new("missing", template));
    let outcome = run_isolated(processor.clone(), work(&staged.path, "audio/ogg")).await;
    assert_eq!(outcome, Err(Failure::engine("program not found: no-such-program-anywhere")));
    let outcome = run_isolated(processor, work(Path::new("/nonexistent"), "audio/ogg")).await;
    assert_eq!(outcome, Err(Failure::file_missing()));
}

/// Goal: a program that never stops printing is killed, and what it said first is kept.
#[tokio::test]
async fn endless_output_is_cut() {
    let program = Program::new("yes é");
    let processor = program.processor().with_output_bytes_max(10_000);
    let staged = stage(b"x");
    let outcome = run_isolated(Arc::new(processor), work(&staged.path, "audio/ogg")).await;
    let Ok(Outcome::Text(extracted)) = outcome else { panic!("{outcome:?}") };
    assert!(extracted.truncated);
    assert!(extracted.text.starts_with("é\né\n"));
    assert!(extracted.text.len() > 9_990 && extracted.text.len() <= 10_000);
    // The same on standard error is only read past.
    assert_eq!(Program::new("yes | head -c 50000000 >&2; echo done").run().await, said("done"));
}

/// Goal: a time-out ends the program and all it started, however they resist, before it is told.
/// Method: a program that ignores polite signals, with a child in the background.
#[tokio::test]
async fn a_timeout_ends_the_whole_group() {
    let program = Program::new(
        "trap '' TERM INT HUP; sleep 1000 & echo $$ $! > \"$2\"; echo ready >> \"$2\"; while :; do sleep 1000; done",
    );
    let staged = stage(b"x");
    let mut work = work(&staged.path, "audio/ogg");
    work.timeout = Duration::from_millis(500);
    let outcome = run_isolated(Arc::new(program.processor()), work).await;
    assert_eq!(outcome, Err(Failure::TimedOut));
    let notes = noted(&program).await;
    assert!(!Path::new(&format!("/proc/{}", notes[0])).exists(), "the program was waited for");
    gone(&notes[1]).await;
}

/// Goal: cancellation does the same.
#[tokio::test]
async fn cancellation_ends_the_whole_group() {
    let program =
        Program::new("trap '' TERM; sleep 1000 & echo $$ $! > \"$2\"; echo ready >> \"$2\"; wait");
    let staged = stage(b"x");
    let work = work(&staged.path, "audio/ogg");
    let cancel = work.cancel.clone();
    let running = tokio::spawn(run_isolated(Arc::new(program.processor()), work));
    let notes = noted(&program).await;
    cancel.cancel();
    assert_eq!(running.await.expect("no panic"), Err(Failure::Cancelled));
    assert!(!Path::new(&format!("/proc/{}", notes[0])).exists(), "the program was waited for");
    gone(&notes[1]).await;
}

/// Goal: nothing goes on when nobody waits for it any more. Method: abort the caller.
#[tokio::test]
async fn dropping_the_call_ends_the_whole_group() {
    let program =
        Program::new("trap '' TERM; sleep 1000 & echo $$ $! > \"$2\"; echo ready >> \"$2\"; wait");
    let staged = stage(b"x");
    let work = work(&staged.path, "audio/ogg");
    let running = tokio::spawn(run_isolated(Arc::new(program.processor()), work));
    let notes = noted(&program).await;
    running.abort();
    for process in &notes[..2] {
        gone(process).await;
    }
}

/// Goal: a program that ends while something it started holds its output open is over when it ends.
/// Method: one such thing in the program's group, one that left it.
#[tokio::test]
async fn a_grandchild_that_holds_the_pipe_does_not_hang_us() {
    for script in ["echo text; sleep 1000 &", "echo text; setsid sleep 30 &"] {
        let started = Instant::now();
        assert_eq!(Program::new(script).run().await, said("text"), "{script}");
        assert!(started.elapsed() < Duration::from_secs(20), "{script}");
    }
}
