//! Recordings and videos, taken apart by the real ffmpeg.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anteroom_core::message::{Extracted, FailureKind, MediaKind, Outcome};
use anteroom_runtime::media::ffmpeg::Ffmpeg;
use anteroom_runtime::media::processor::{BoxFuture, Failure, Processor, Work, run_isolated};
use anteroom_runtime::media::scratch::Scratch;
use anteroom_runtime::media::sound::Converted;
use anteroom_runtime::media::video::Video;

use crate::{ANTEROOM, stage, work};

/// Says what it was given, and remembers it.
#[derive(Default)]
struct Witness(Mutex<Vec<(String, u64)>>);

impl Processor for Witness {
    fn name(&self) -> &str {
        "witness"
    }

    fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        let bytes = std::fs::metadata(&work.path).expect("it is there").len();
        let mut seen = self.0.lock().expect("no panic");
        seen.push((work.mime_type.clone(), bytes));
        let text = format!("{} {}", work.mime_type, seen.len());
        Box::pin(async move { Ok(Outcome::Text(Extracted { text, ..Extracted::default() })) })
    }
}

/// Makes a file with ffmpeg.
fn made(arguments: &[&str], name: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name);
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .arg(&path)
        .stdin(Stdio::null())
        .status();
    assert!(status.expect("ffmpeg is installed").success(), "{arguments:?}");
    (directory, path)
}

const TONE: &[&str] = &["-f", "lavfi", "-i", "sine=frequency=440:duration=2"];

/// Three pictures, a second each, without anything between.
const SLIDES: &[&str] = &[
    "-f",
    "lavfi",
    "-i",
    "color=white:size=320x240:duration=1:rate=10",
    "-f",
    "lavfi",
    "-i",
    "color=gray:size=320x240:duration=1:rate=10",
    "-f",
    "lavfi",
    "-i",
    "color=black:size=320x240:duration=1:rate=10",
];

fn ffmpeg() -> Ffmpeg {
    Ffmpeg::new("ffmpeg".into(), ANTEROOM.into())
}

fn scratch(home: &Path) -> Scratch {
    Scratch::open(home, 0).expect("opened")
}

/// Goal: a recording of any usual format reaches its engine as WAV of the right length, and nothing is
/// left of it.
#[tokio::test]
async fn recordings_are_converted_by_ffmpeg() {
    let home = tempfile::tempdir().expect("a directory");
    for (name, codec) in [
        ("voice.ogg", "libopus"),
        ("song.mp3", "libmp3lame"),
        ("memo.m4a", "aac"),
        ("memo.flac", "flac"),
        ("clip.mp4", "aac"),
        ("note.amr.wav", "pcm_s16le"),
    ] {
        let (_directory, path) = made(&[TONE, &["-c:a", codec]].concat(), name);
        let witness = Arc::new(Witness::default());
        let engine = Converted::new(witness.clone(), ffmpeg(), scratch(home.path()));
        let work = Work { kind: MediaKind::Audio, ..work(&path, "audio/ogg") };
        let ended = run_isolated(Arc::new(engine), work).await;
        let Ok(Outcome::Text(Extracted { text, duration_ms: Some(length), .. })) = ended else {
            panic!("{name}: {ended:?}")
        };
        assert_eq!(text, "audio/wav 1", "{name}");
        assert!((1_900..=2_150).contains(&length), "{name}: {length} ms");
        assert_eq!(std::fs::read_dir(home.path()).expect("listed").count(), 0, "{name}");
    }
}

/// Goal: what is no recording is unreadable, and what has no sound holds nothing; the engine is not
/// asked.
#[tokio::test]
async fn what_has_no_sound_is_told_by_ffmpeg() {
    let home = tempfile::tempdir().expect("a directory");
    let (_directory, silent) = made(&SLIDES[..4], "silent.mp4");
    let noise = stage(&[7; 5_000]);
    let empty = stage(b"");
    let playlist = stage(
        b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    );
    let concat = stage(b"ffconcat version 1.0\nfile /etc/passwd\n");
    for (path, is_silent) in [
        (&silent, true),
        (&noise.path, false),
        (&empty.path, false),
        (&playlist.path, false),
        (&concat.path, false),
    ] {
        let witness = Arc::new(Witness::default());
        let engine = Converted::new(witness.clone(), ffmpeg(), scratch(home.path()));
        let ended = run_isolated(Arc::new(engine), work(path, "audio/ogg")).await;
        match is_silent {
            true => assert_eq!(ended, Ok(Outcome::Nothing)),
            false => assert!(
                matches!(ended, Err(Failure::Permanent { error: FailureKind::Unreadable, .. })),
                "{ended:?}"
            ),
        }
        assert!(witness.0.lock().expect("no panic").is_empty());
    }
}

/// Goal: a video's sound goes to the one engine and a frame of each scene to the other, in order and
/// not more than allowed.
#[tokio::test]
async fn videos_are_taken_apart_by_ffmpeg() {
    let home = tempfile::tempdir().expect("a directory");
    let joined = ["-filter_complex", "[0][1][2]concat=n=3:v=1[v]", "-map", "[v]", "-map", "3:a"];
    let (_directory, path) = made(&[SLIDES, TONE, &joined, &["-c:a", "aac"]].concat(), "talk.mp4");
    for (frames_max, frames) in [(8, 3), (2, 2)] {
        let (sound, seen) = (Arc::new(Witness::default()), Arc::new(Witness::default()));
        let video =
            Video::new(ffmpeg(), scratch(home.path()), Some(sound.clone()), Some(seen.clone()));
        let work = Work { kind: MediaKind::Video, ..work(&path, "video/mp4") };
        let ended = run_isolated(Arc::new(video.with_frames_max(frames_max)), work).await;
        let Ok(Outcome::Text(extracted)) = ended else { panic!("{ended:?}") };
        let lines: Vec<String> =
            (1..=frames).map(|frame| format!("Seen: image/png {frame}")).collect();
        assert_eq!(extracted.text, format!("Said: audio/wav 1\n{}", lines.join("\n")));
        assert!(extracted.duration_ms.is_some_and(|length| (1_900..=2_150).contains(&length)));
        assert_eq!(sound.0.lock().expect("no panic").len(), 1);
        assert_eq!(seen.0.lock().expect("no panic").len(), frames);
    }
    assert_eq!(std::fs::read_dir(home.path()).expect("listed").count(), 0);
}

/// Goal: half a video engine reads half a video, and a file that is none is unreadable.
#[tokio::test]
async fn half_a_video_is_read_with_ffmpeg() {
    let home = tempfile::tempdir().expect("a directory");
    let (_directory, silent) = made(&SLIDES[..4], "silent.mp4");
    let seen = Arc::new(Witness::default());
    let video = Video::new(ffmpeg(), scratch(home.path()), Some(seen.clone()), Some(seen));
    let video = Arc::new(video);
    let ended = run_isolated(video.clone(), work(&silent, "video/mp4")).await;
    let text = Extracted { text: "Seen: image/png 1".to_owned(), ..Extracted::default() };
    assert_eq!(ended, Ok(Outcome::Text(text)));
    let noise = stage(&[7; 5_000]);
    let ended = run_isolated(video, work(&noise.path, "video/mp4")).await;
    assert!(
        matches!(ended, Err(Failure::Permanent { error: FailureKind::Unreadable, .. })),
        "{ended:?}"
    );
}

/// How many damaged copies of each format go through ffmpeg, which takes a tenth of a second to start. All thousand
/// of them go through where this is set to 1000.
const MUTANTS: &str = "ANTEROOM_TEST_FFMPEG_MUTANTS";

/// How many do so where nobody asks for more.
const MUTANTS_USUAL: u64 = 100;

/// A recording or video as small as it can be: how ffmpeg is told to make it, and its name.
pub type Sample = (&'static [&'static str], &'static str);

const TICK: &str = "sine=frequency=440:duration=0.3";

/// A voice note as WhatsApp sends it.
pub const VOICE: Sample = (&["-f", "lavfi", "-i", TICK, "-c:a", "libopus"], "voice.ogg");
pub const MP3: Sample = (&["-f", "lavfi", "-i", TICK, "-c:a", "libmp3lame"], "song.mp3");
pub const M4A: Sample = (&["-f", "lavfi", "-i", TICK, "-c:a", "aac"], "memo.m4a");
pub const CLIP: Sample = (
    &[
        "-f",
        "lavfi",
        "-i",
        "testsrc=size=96x64:duration=0.3:rate=10",
        "-f",
        "lavfi",
        "-i",
        TICK,
        "-c:a",
        "aac",
        "-pix_fmt",
        "yuv420p",
    ],
    "clip.mp4",
);

/// The bytes of a sample.
pub fn sample((arguments, name): Sample) -> Vec<u8> {
    let (_directory, path) = made(arguments, name);
    std::fs::read(path).expect("it was made")
}

/// Has damaged copies of a sample taken apart. Each ends in an outcome or a failure that says why, within its time,
/// and leaves nothing; some are read, or this would prove nothing.
async fn check_damaged(
    sample_of: Sample,
    mime_type: &str,
    engine: fn(&Path) -> Arc<dyn Processor>,
) {
    let mutants = std::env::var(MUTANTS).map_or(MUTANTS_USUAL, |text| text.parse().expect(MUTANTS));
    let home = tempfile::tempdir().expect("a directory");
    let (whole, engine) = (sample(sample_of), engine(home.path()));
    let mut read = 0;
    for seed in 0..mutants {
        let staged = stage(&crate::mutants::mutant(&whole, seed));
        let work = Work { timeout: Duration::from_secs(20), ..work(&staged.path, mime_type) };
        match run_isolated(Arc::clone(&engine), work).await {
            Ok(outcome) => read += u64::from(matches!(outcome, Outcome::Text(_))),
            Err(Failure::Permanent { detail, .. }) => {
                assert!(!detail.is_empty() && detail.len() < 4_096, "seed {seed}: {detail}");
            }
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    println!("{read} of {mutants} damaged {mime_type} were read");
    assert!(read > 0, "no mutant of {mime_type} was read");
    assert_eq!(std::fs::read_dir(home.path()).expect("listed").count(), 0);
}

fn sound_engine(home: &Path) -> Arc<dyn Processor> {
    Arc::new(Converted::new(Arc::new(Witness::default()), ffmpeg(), scratch(home)))
}

fn video_engine(home: &Path) -> Arc<dyn Processor> {
    let witness = Arc::new(Witness::default());
    Arc::new(Video::new(ffmpeg(), scratch(home), Some(witness.clone()), Some(witness)))
}

/// Goal: see [`check_damaged`], for voice notes.
#[tokio::test]
async fn damaged_voice_notes_end_in_bounds_with_ffmpeg() {
    check_damaged(VOICE, "audio/ogg; codecs=opus", sound_engine).await;
}

/// Goal: see [`check_damaged`].
#[tokio::test]
async fn damaged_mp3_end_in_bounds_with_ffmpeg() {
    check_damaged(MP3, "audio/mpeg", sound_engine).await;
}

/// Goal: see [`check_damaged`].
#[tokio::test]
async fn damaged_m4a_end_in_bounds_with_ffmpeg() {
    check_damaged(M4A, "audio/mp4", sound_engine).await;
}

/// Goal: see [`check_damaged`], for videos, whose sound and frames are taken one after the other.
#[tokio::test]
async fn damaged_videos_end_in_bounds_with_ffmpeg() {
    check_damaged(CLIP, "video/mp4", video_engine).await;
}
