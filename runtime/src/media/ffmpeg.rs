//! `ffmpeg`: the sound of a recording or video, and the frames in which something changes.
//!
//! It reads what strangers sent, so it runs confined, reads local files of known containers only (a
//! playlist could name other files, or addresses), and what it writes is bounded in length.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::child::{self, End};
use super::confine::Confinement;
use super::processor::{Failure, Work};

/// How much address space ffmpeg may have; frames of large videos take their room.
const MEMORY_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Of how much of a recording the sound is taken, in seconds.
const SOUND_SECONDS_MAX: u32 = 4 * 3600;

/// Bytes a second of the sound that is made: 16,000 samples of two bytes.
const SOUND_BYTES_PER_SECOND: u64 = 32_000;

/// The header of a WAV file; one that is not longer holds no sound.
const WAV_HEADER_BYTES: u64 = 44;

/// How wide a frame is at the most.
const FRAME_WIDTH_PIXELS_MAX: u32 = 1_600;

/// What is read past of standard output; nothing is expected there.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// The containers that are read. Playlists and everything that names other files are not among them.
const CONTAINERS: &str = "aac,ac3,aiff,amr,amrnb,amrwb,apng,asf,avi,caf,flac,flv,gif,h264,hevc,image2,\
                          ivf,m4v,matroska,webm,mjpeg,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,\
                          mpegvideo,ogg,rm,wav,webp_pipe,wv";

/// The program, and our own that confines it.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    program: PathBuf,
    own_program: PathBuf,
}

/// Sound that was taken from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sound {
    /// How long it lasts; nothing for a file without sound.
    pub duration_ms: u64,
    /// There was more.
    pub is_cut: bool,
}

impl Ffmpeg {
    /// `program` is ffmpeg, `own_program` this project's binary.
    pub fn new(program: PathBuf, own_program: PathBuf) -> Self {
        Self { program, own_program }
    }

    /// Writes the sound of a file to `to`: WAV, one channel, 16,000 samples a second, which every
    /// engine reads.
    ///
    /// # Errors
    /// Permanent: the file is unreadable, or ffmpeg broke. `Cancelled`.
    pub(super) async fn sound(&self, work: &Work, to: &Path) -> Result<Sound, Failure> {
        let mut command = self.command(work);
        command.args(["-map", "0:a:0?", "-vn", "-ac", "1", "-ar", "16000", "-t"]);
        command.arg(SOUND_SECONDS_MAX.to_string());
        command.args(["-c:a", "pcm_s16le", "-f", "wav"]).arg(file(to));
        let ended = self.run(command, work).await;
        let bytes = tokio::fs::metadata(to).await.map_or(0, |metadata| metadata.len());
        let bytes = bytes.saturating_sub(WAV_HEADER_BYTES);
        match ended {
            Err(Failure::Permanent { detail, .. }) if holds_no_stream(&detail) => {
                Ok(Sound { duration_ms: 0, is_cut: false })
            }
            // The end of a damaged file; what was heard before it is worth something.
            Err(Failure::Permanent { .. }) if bytes > 0 => Ok(sound(bytes, true)),
            Err(failure) => Err(failure),
            Ok(()) => Ok(sound(bytes, bytes >= sound_bytes_max())),
        }
    }

    /// Writes the frames in which something changes into `directory`, in order, at most `frames_max`.
    ///
    /// # Errors
    /// As [`Self::sound`].
    pub(super) async fn frames(
        &self,
        work: &Work,
        directory: &Path,
        frames_max: u32,
    ) -> Result<Vec<PathBuf>, Failure> {
        let mut command = self.command(work);
        let filter =
            format!("select='eq(n,0)+gt(scene,0.02)',scale='min({FRAME_WIDTH_PIXELS_MAX},iw)':-2");
        command.args(["-map", "0:v:0?", "-an", "-vf", &filter, "-vsync", "vfr", "-frames:v"]);
        command.arg(frames_max.to_string());
        command.args(["-f", "image2", "-c:v", "png"]).arg(file(&directory.join("frame-%04d.png")));
        let ended = self.run(command, work).await;
        let frames = pictures(directory).await;
        match ended {
            Err(Failure::Permanent { detail, .. }) if holds_no_stream(&detail) => Ok(Vec::new()),
            Err(Failure::Permanent { .. }) if !frames.is_empty() => Ok(frames),
            Err(failure) => Err(failure),
            Ok(()) => Ok(frames),
        }
    }

    /// A confined ffmpeg that reads the file of `work` and says nothing but errors.
    fn command(&self, work: &Work) -> Command {
        let confinement = Confinement {
            processor_seconds: work.timeout.as_secs().saturating_add(5),
            memory_bytes_max: MEMORY_BYTES_MAX,
        };
        let mut command = confinement.command(&self.own_program, &self.program);
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-threads", "1"]);
        command.args(["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS]);
        command.arg("-i").arg(file(&work.path));
        command.args([
            "-threads",
            "1",
            "-filter_threads",
            "1",
            "-dn",
            "-sn",
            "-map_metadata",
            "-1",
        ]);
        command
    }

    async fn run(&self, command: Command, work: &Work) -> Result<(), Failure> {
        let name = self.program.display().to_string();
        let finished = child::run(command, OUTPUT_BYTES_MAX, &work.cancel)
            .await
            .map_err(|error| child::start_failure(&name, &error))?;
        match finished.end {
            End::Cancelled => Err(Failure::Cancelled),
            End::Exited(status) if status.success() => Ok(()),
            End::Exited(status) => {
                let words = child::last_words(status, &finished.stderr);
                Err(Failure::unreadable(format!("ffmpeg: {words}")))
            }
            End::SaidTooMuch => Err(Failure::engine("ffmpeg said too much")),
        }
    }
}

/// The path as ffmpeg takes it for a file, whatever it looks like.
fn file(path: &Path) -> std::ffi::OsString {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut named = std::ffi::OsString::from("file:");
    named.push(absolute);
    named
}

/// Whether ffmpeg says that the file was read, and holds nothing of the kind that was asked for.
fn holds_no_stream(detail: &str) -> bool {
    detail.contains("does not contain any stream")
}

fn sound(bytes: u64, is_cut: bool) -> Sound {
    Sound { duration_ms: bytes * 1_000 / SOUND_BYTES_PER_SECOND, is_cut }
}

fn sound_bytes_max() -> u64 {
    u64::from(SOUND_SECONDS_MAX) * SOUND_BYTES_PER_SECOND
}

/// The pictures in a directory of ours, in the order of their numbers.
pub(super) async fn pictures(directory: &Path) -> Vec<PathBuf> {
    let Ok(mut entries) = tokio::fs::read_dir(directory).await else { return Vec::new() };
    let mut pictures = Vec::new();
    while let Ok(Some(entry)) = entries.next_entry().await {
        let path = entry.path();
        if path.extension() == Some(OsStr::new("png")) {
            pictures.push(path);
        }
    }
    pictures.sort();
    pictures
}
