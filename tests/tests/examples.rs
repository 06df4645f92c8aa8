//! The programs of `docs/examples` against the real binary: killed as they are, and as the server is, nothing is
//! lost and nothing is answered twice.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anteroom_tests::programs::Program;
use anteroom_tests::{Server, eventually};
use serde_json::{Value, json};

/// A provider and a bot of one language, and the network between the provider and the people.
struct Stage {
    server: Server,
    provider: Program,
    bot: Program,
    written: u32,
}

impl Stage {
    async fn set(provider: &'static str, bot: &'static str) -> Self {
        let server = Server::start().await;
        let home = server.home().to_owned();
        fs::write(home.join("inbox.jsonl"), "").expect("it can be written");
        let arguments = ["--server", server.url(), "--bot", "demo"];
        let files = ["--inbox", "inbox.jsonl", "--outbox", "outbox.jsonl"];
        let provider = Program::start(provider, &[arguments, files].concat(), &home);
        let bot = Program::start(bot, &arguments, &home);
        Self { server, provider, bot, written: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.server.home().join(name)
    }

    /// People write so many messages more, three of them by turns.
    fn write(&mut self, count: u32) {
        let inbox = OpenOptions::new().append(true).open(self.path("inbox.jsonl"));
        let mut inbox = inbox.expect("the inbox can be opened");
        for _ in 0..count {
            self.written += 1;
            let number = self.written;
            let from = ["ada", "bert", "cleo"][number as usize % 3];
            let line =
                json!({"id": format!("m{number}"), "from": from, "text": format!("text {number}")});
            inbox.write_all(format!("{line}\n").as_bytes()).expect("it can be written");
        }
    }

    /// Waits until people have got so many answers.
    async fn answered(&self, count: usize) {
        let what = format!("{count} answers; {}; {}", self.provider.log(), self.bot.log());
        eventually(&what, || lines(&self.path("outbox.jsonl")).len() >= count).await;
    }

    /// Kills each of the three, while messages are on their way, and at last looks at what people got.
    async fn survives_being_killed(mut self) {
        const ROUND: u32 = 12;
        for round in 0..4 {
            let before = lines(&self.path("outbox.jsonl")).len();
            self.write(ROUND);
            self.answered(before + 2).await;
            self.server.kill().await;
            self.server.restart().await;
            self.answered(before + 4).await;
            self.bot.kill().await;
            self.bot.restart();
            self.answered(before + 6).await;
            self.provider.kill().await;
            if round % 2 == 0 {
                self.server.kill().await;
                self.server.restart().await;
            }
            self.provider.restart();
            self.answered(before + ROUND as usize).await;
        }
        // What is answered behind everything shows that nothing more comes.
        self.write(3);
        self.answered(self.written as usize).await;
        self.bot.kill().await;
        self.provider.kill().await;
        assert_eq!(answers(&self.path("outbox.jsonl")), expected(self.written));
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(str::to_owned).collect()
}

/// What each person got, in order.
fn answers(outbox: &Path) -> BTreeMap<String, Vec<String>> {
    let mut answers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines(outbox) {
        let line: Value = serde_json::from_str(&line).expect("lines are JSON");
        let field = |name: &str| line[name].as_str().expect("a text").to_owned();
        answers.entry(field("to")).or_default().push(field("text"));
    }
    answers
}

/// One answer for each message, in the order in which each person wrote.
fn expected(written: u32) -> BTreeMap<String, Vec<String>> {
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 1..=written {
        let from = ["ada", "bert", "cleo"][number as usize % 3];
        let answer = format!("You said: text {number}");
        expected.entry(from.to_owned()).or_default().push(answer);
    }
    expected
}

/// Goal: the Python provider and bot survive `kill -9` of themselves and of the server without a lost or
/// doubled answer. Method: each is killed several times while messages are on their way; people got one answer
/// for each message, in order.
#[tokio::test]
async fn the_python_examples_survive_being_killed() {
    Stage::set("provider.py", "bot.py").await.survives_being_killed().await;
}

/// Goal and method: as above, for Node.
#[tokio::test]
async fn the_node_examples_survive_being_killed() {
    Stage::set("provider.mjs", "bot.mjs").await.survives_being_killed().await;
}

/// Goal: each example is short enough to be read: fewer than 100 lines.
#[test]
fn the_examples_are_short() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    for name in ["provider.py", "bot.py", "provider.mjs", "bot.mjs"] {
        let text = fs::read_to_string(examples.join(name)).expect("it is there");
        assert!(text.lines().count() < 100, "{name} has {} lines", text.lines().count());
    }
}
