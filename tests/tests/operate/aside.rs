//! What operators ask for gives way to everything else that the node does.

use std::fs;

use anteroom_tests::{Server, http_client};

/// A thread of a process, as the kernel knows it.
struct Thread {
    name: String,
    niceness: i64,
    /// How often it has been given a processor.
    runs: u64,
}

fn threads(server: &Server) -> Vec<Thread> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).expect("the server runs");
    let read = |path: std::path::PathBuf| {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let runs = fs::read_to_string(path.join("schedstat")).ok()?;
        // The name is in parentheses and may hold spaces; niceness is the 19th field, the 17th behind it.
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        let niceness = fields.split_whitespace().nth(16)?.parse().ok()?;
        let runs = runs.split_whitespace().nth(2)?.parse().ok()?;
        Some(Thread { name: name.to_owned(), niceness, runs })
    };
    tasks.filter_map(|task| read(task.expect("it can be read").path())).collect()
}

/// The thread of a name; a worker of the runtime's where there are many.
fn named(server: &Server, name: &str) -> Thread {
    let found = threads(server).into_iter().find(|thread| thread.name == name);
    found.unwrap_or_else(|| panic!("no thread is called {name}"))
}

/// Goal: operators' requests, and what they ask of the store, are worked on by threads of a lower priority than
/// those that bring receipts. Method: the kernel's own word on which thread worked, before and after a request.
#[tokio::test(flavor = "multi_thread")]
async fn what_operators_ask_for_gives_way() {
    let server = Server::start_with(&["--store", "sqlite:own"]).await;
    let ask = async || {
        let asked = http_client().get(format!("{}/v1/jobs", server.url())).send().await;
        assert!(asked.expect("the server answers").status().is_success());
    };
    ask().await;
    let receipts = named(&server, "store-writer");
    for name in ["operators", "store-looker"] {
        let before = named(&server, name);
        assert_eq!(before.niceness, (receipts.niceness + 5).min(19), "{name}");
        ask().await;
        assert!(named(&server, name).runs > before.runs, "{name} has not worked");
    }
    let workers: Vec<_> =
        threads(&server).into_iter().filter(|it| it.name.starts_with("tokio")).collect();
    assert!(!workers.is_empty() && workers.iter().all(|it| it.niceness == receipts.niceness));
}
