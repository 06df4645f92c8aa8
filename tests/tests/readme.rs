//! The README's first screen runs as it is written and prints what it says.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anteroom_tests::{PATIENCE, binary};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// The address the README names.
const ADDRESS: &str = "127.0.0.1:8787";

/// What the README runs from the source tree; here the binary is built already.
const CARGO_RUN: &str = "cargo run --release -- ";

fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests are a folder of the repository").to_owned()
}

/// The lines of the fenced block that stands behind the marker `first screen: <name>`.
fn block(readme: &str, name: &str) -> Vec<String> {
    block_of(readme, "first screen", name)
}

/// The lines of the fenced block that stands behind the marker `<part>: <name>`.
fn block_of(readme: &str, part: &str, name: &str) -> Vec<String> {
    let marker = format!("<!-- {part}: {name} -->");
    let behind = readme.lines().skip_while(|line| *line != marker).skip(1);
    let mut fenced = behind.skip_while(|line| !line.starts_with("```"));
    fenced.next().unwrap_or_else(|| panic!("the README has no block {marker}"));
    fenced.take_while(|line| *line != "```").map(str::to_owned).collect()
}

/// Goal: somebody who types the README's first screen sees what it shows.
/// Method: the fenced lines are run by a shell in an empty directory with the README's `note.pdf`
/// and the built binary on the path; each printed line that the README shows has to appear.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_screen_runs_as_written() {
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("it is there");
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::copy(repository().join("note.pdf"), home.path().join("note.pdf"))
        .expect("the README's document is there");
    assert!(
        TcpListener::bind(ADDRESS).await.is_ok(),
        "{ADDRESS} is in use; the README's server needs it"
    );

    let [serve] = &block(&readme, "server")[..] else { panic!("the server is one command") };
    let serve = serve.strip_prefix(CARGO_RUN).expect("the README runs it from the source");
    let mut server = run(home.path(), &format!("anteroom {serve}"));
    let mut printed = lines(server.stdout.take());
    for expected in block(&readme, "server prints") {
        assert_printed(&mut printed, &expected).await;
    }

    let commands = block(&readme, "client");
    let (tail, sends) = commands.split_last().expect("the client's commands are there");
    for send in sends {
        let status = tokio::time::timeout(PATIENCE, run(home.path(), send).wait()).await;
        let status = status.unwrap_or_else(|_| panic!("{send} did not end"));
        assert!(status.expect("our own child can be waited for").success(), "{send} failed");
    }
    let mut tail = run(home.path(), tail);
    let mut printed = lines(tail.stdout.take());
    for expected in block(&readme, "client prints") {
        assert_printed(&mut printed, &expected).await;
    }
    for child in [&mut tail, &mut server] {
        child.kill().await.expect("it went on until it was killed");
    }
}

/// Goal: the README's voice note and photo become the words that it shows, on this machine alone.
/// Method: its lines are run one after the other; what they print is compared but for versions and times.
#[tokio::test(flavor = "multi_thread")]
async fn voice_note_and_photo_become_text_by_flite_ffmpeg_pocketsphinx_tesseract_and_pdftotext() {
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("it is there");
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::copy(repository().join("note.pdf"), home.path().join("note.pdf"))
        .expect("the README's document is there");
    let mut printed = Vec::new();
    for line in block_of(&readme, "offline engines", "commands") {
        let ending = run(home.path(), &line).wait_with_output();
        let output = tokio::time::timeout(PATIENCE, ending).await;
        let output = output.unwrap_or_else(|_| panic!("{line} did not end"));
        let output = output.expect("our own child can be waited for");
        assert!(output.status.success(), "{line} failed");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        printed.extend(said.lines().map(str::to_owned));
    }
    let same_everywhere = |line: &String| !line.starts_with("engine") && !line.starts_with("took");
    let mut expected = block_of(&readme, "offline engines", "prints");
    expected.retain(same_everywhere);
    let engines: Vec<_> = printed.iter().filter(|line| line.starts_with("engine")).collect();
    assert!(engines[0].contains("pocketsphinx") && engines[1].contains("tesseract"), "{engines:?}");
    printed.retain(same_everywhere);
    assert_eq!(printed, expected);
}

/// Starts a line of the README as a shell does, with the built binary on the path.
fn run(home: &Path, line: &str) -> Child {
    let binary = binary::anteroom();
    let mut path = binary.parent().expect("a binary lies in a directory").as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    // `exec` makes the child the command itself, so killing it leaves nothing behind.
    let mut command = Command::new("sh");
    binary::isolate(&mut command)
        .args(["-c", &format!("exec {line}")])
        .env("PATH", path)
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command.spawn().expect("there is a shell")
}

fn lines<R: AsyncRead + Unpin>(stdout: Option<R>) -> Lines<BufReader<R>> {
    BufReader::new(stdout.expect("standard output is piped")).lines()
}

/// Waits for a line that is `expected`.
async fn assert_printed<R: AsyncRead + Unpin>(lines: &mut Lines<BufReader<R>>, expected: &str) {
    let look = async {
        while let Some(line) = lines.next_line().await.expect("standard output can be read") {
            if line.trim() == expected.trim() {
                return true;
            }
        }
        false
    };
    let found = tokio::time::timeout(PATIENCE, look).await;
    assert_eq!(found, Ok(true), "the README shows {expected:?}, which was not printed");
}
