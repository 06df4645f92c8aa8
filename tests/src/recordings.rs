//! Recordings with known words in them, made on the spot: human speech from Debian's
//! `pocketsphinx-testdata`, a machine's voice by `flite`, and whatever ffmpeg makes of both.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Where human speech is, and the text that was read.
const CLIPS: &str = "/usr/share/pocketsphinx/test/data/librivox";

/// A recording and what is said in it.
#[derive(Debug, Clone)]
pub struct Clip {
    /// A WAV file.
    pub path: PathBuf,
    /// The words, in small letters.
    pub words: String,
}

/// The clips of human speech.
///
/// # Panics
/// When they are not installed.
pub fn human_speech() -> Vec<Clip> {
    let listed = std::fs::read_to_string(Path::new(CLIPS).join("transcription"));
    let listed = listed.expect("pocketsphinx-testdata is installed; `cargo xtask test` sees to it");
    let clip = |line: &str| {
        let (words, name) = line.rsplit_once('(')?;
        let name = format!("{}.wav", name.trim().trim_end_matches(')'));
        let words = words.replace("<s>", "").replace("</s>", "").trim().to_owned();
        Some(Clip { path: Path::new(CLIPS).join(name), words })
    };
    listed.lines().filter_map(clip).collect()
}

/// A machine saying `words`, as a WAV file in `directory`.
///
/// # Panics
/// When `flite` is not installed.
pub fn spoken(directory: &TempDir, words: &str) -> Clip {
    let path = directory.path().join("spoken.wav");
    let status =
        Command::new("flite").args(["-voice", "slt", "-t", words, "-o"]).arg(&path).status();
    assert!(status.expect("flite is installed").success());
    Clip { path, words: words.to_owned() }
}

/// Makes a file called `name` in `directory`: `ffmpeg` with these arguments.
///
/// # Panics
/// When ffmpeg is not installed, or refuses.
pub fn ffmpeg(directory: &TempDir, arguments: &[&str], name: &str) -> PathBuf {
    let path = directory.path().join(name);
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .arg(&path)
        .stdin(Stdio::null())
        .status();
    assert!(status.expect("ffmpeg is installed").success(), "{arguments:?}");
    path
}

/// The clip as a voice note: Opus in Ogg, 48 kHz, one channel, as WhatsApp sends it.
///
/// # Panics
/// As [`ffmpeg`].
pub fn voice_note(directory: &TempDir, clip: &Clip) -> PathBuf {
    let opus =
        ["-c:a", "libopus", "-b:a", "24k", "-ar", "48000", "-ac", "1", "-application", "voip"];
    let from = clip.path.to_str().expect("UTF-8");
    ffmpeg(directory, &[&["-i", from][..], &opus].concat(), "voice.ogg")
}
