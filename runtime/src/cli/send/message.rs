//! What is sent: the message frame, and the file that goes with it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anteroom_core::draft::{Direction, Draft, DraftMedia};
use anteroom_core::id::{CorrespondentId, MediaId, ProviderMessageId};
use anteroom_core::message::{MediaKind, Participant};
use anteroom_core::protocol::limits::FRAME_BYTES_MAX;
use anteroom_core::protocol::{MessageFrame, ProviderFrame};
use anteroom_core::time::Timestamp;
use clap::ValueEnum;
use uuid::Uuid;

use super::SendArgs;

/// What a person would call the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Kind {
    Audio,
    Video,
    Image,
    Sticker,
    Document,
}

impl From<Kind> for MediaKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Audio => Self::Audio,
            Kind::Video => Self::Video,
            Kind::Image => Self::Image,
            Kind::Sticker => Self::Sticker,
            Kind::Document => Self::Document,
        }
    }
}

/// Why there is nothing to send.
#[derive(Debug, thiserror::Error)]
pub(super) enum NothingToSend {
    #[error("the file {path} cannot be read: {error}")]
    File { path: String, error: std::io::Error },
    #[error("{path} is not a file")]
    NotAFile { path: String },
    #[error("stdin cannot be read as text: {0}")]
    Stdin(std::io::Error),
    #[error("stdin holds more than the {FRAME_BYTES_MAX} bytes a message may have")]
    LongStdin,
    #[error("--mime without --file says that there is no file: media_corrupt_<kind>")]
    MimeAlone,
}

/// A message on its way, and its file.
#[derive(Debug)]
pub(super) struct Outgoing {
    bot: String,
    frame: MessageFrame,
    file: Option<OutgoingFile>,
}

/// A file that is to be brought to the server before its message.
#[derive(Debug, Clone)]
pub(super) struct OutgoingFile {
    pub(super) path: PathBuf,
    pub(super) media_id: MediaId,
    pub(super) mime_type: String,
    pub(super) size_bytes: u64,
    /// It goes through an upload even where it could be written to staging.
    pub(super) upload: bool,
    /// The server has it.
    pub(super) staged: bool,
}

impl Outgoing {
    /// Reads what the arguments name. The file must be there now, before anybody is asked anything.
    pub(super) async fn prepare(args: SendArgs) -> Result<Self, NothingToSend> {
        let content = match (&args.text, args.caption) {
            (Some(text), _) if text == "-" => stdin()?,
            (Some(text), _) => text.clone(),
            (None, caption) => caption.unwrap_or_default(),
        };
        let kind = args.kind.map(MediaKind::from);
        let (media, file) = match (args.file, args.mime) {
            (None, None) => (None, None),
            (None, Some(mime_type)) if !is_corrupt(&mime_type) => {
                return Err(NothingToSend::MimeAlone);
            }
            (None, Some(mime_type)) => (Some(media(mime_type, kind)), None),
            (Some(path), mime_type) => {
                let (media, file) = media_file(path, mime_type, kind, args.upload).await?;
                (Some(media), file)
            }
        };
        let sender = Participant {
            identifier: args.from.clone(),
            display_name: args.display_name,
            alternate_identifiers: Vec::new(),
        };
        let group =
            args.group.map(|identifier| Participant { identifier, ..Participant::default() });
        let correspondent = group.as_ref().map_or(args.from, |group| group.identifier.clone());
        let draft = Draft {
            correspondent_id: CorrespondentId::from(correspondent),
            provider_message_id: ProviderMessageId::from(
                args.id.unwrap_or_else(|| Uuid::new_v4().to_string()),
            ),
            content,
            sender,
            direction: Direction::Incoming,
            send_id: None,
            originating_time: now(),
            group,
            replayed: false,
            media,
        };
        let frame = MessageFrame { seq: 0, bot_id: None, draft: Box::new(draft) };
        Ok(Self { bot: args.bot, frame, file })
    }

    pub(super) fn bot(&self) -> &str {
        &self.bot
    }

    pub(super) fn draft(&self) -> &Draft {
        &self.frame.draft
    }

    /// The file that goes along.
    pub(super) fn file(&mut self) -> Option<&mut OutgoingFile> {
        self.file.as_mut()
    }

    /// The frame as it is sent for the `seq`-th time on a connection.
    pub(super) fn frame(&self, seq: u64) -> ProviderFrame {
        ProviderFrame::Message(MessageFrame { seq, ..self.frame.clone() })
    }
}

fn stdin() -> Result<String, NothingToSend> {
    let mut text = String::new();
    let most = FRAME_BYTES_MAX as u64;
    std::io::stdin().take(most + 1).read_to_string(&mut text).map_err(NothingToSend::Stdin)?;
    if text.len() as u64 > most {
        return Err(NothingToSend::LongStdin);
    }
    // A shell's `echo` ends with a line end that nobody meant to say.
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

async fn media_file(
    path: PathBuf,
    mime_type: Option<String>,
    kind: Option<MediaKind>,
    upload: bool,
) -> Result<(DraftMedia, Option<OutgoingFile>), NothingToSend> {
    let shown = path.display().to_string();
    let unreadable = |error| NothingToSend::File { path: shown.clone(), error };
    let metadata = tokio::fs::metadata(&path).await.map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(NothingToSend::NotAFile { path: shown });
    }
    tokio::fs::File::open(&path).await.map_err(unreadable)?;
    let mime_type = mime_type.unwrap_or_else(|| mime_of(&path));
    let mut media = media(mime_type.clone(), kind);
    media.original_filename = path.file_name().map(|name| name.to_string_lossy().into_owned());
    if is_corrupt(&mime_type) {
        return Ok((media, None));
    }
    let size_bytes = metadata.len();
    media.size_bytes = Some(size_bytes);
    let media_id = media.media_id;
    let file = OutgoingFile { path, media_id, mime_type, size_bytes, upload, staged: false };
    Ok((media, Some(file)))
}

fn media(mime_type: String, kind: Option<MediaKind>) -> DraftMedia {
    DraftMedia {
        media_id: MediaId::from(Uuid::new_v4()),
        kind: kind.unwrap_or_else(|| kind_of(&mime_type)),
        mime_type,
        original_filename: None,
        size_bytes: None,
        sha256: None,
        quota_exceeded: false,
        detail: None,
    }
}

/// What a provider says of media that it could not download.
const CORRUPT: &str = "media_corrupt_";

fn is_corrupt(mime_type: &str) -> bool {
    mime_type.starts_with(CORRUPT)
}

/// The MIME type that a file's name stands for.
pub(in crate::cli) fn mime_of(path: &Path) -> String {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    match extension.as_deref().and_then(|extension| extension.to_str()) {
        // Voice notes: every messenger that uses Ogg puts Opus into it.
        Some("ogg" | "oga" | "opus") => "audio/ogg; codecs=opus".to_owned(),
        _ => mime_guess::from_path(path).first_or_octet_stream().to_string(),
    }
}

/// What a person would call a file of this MIME type.
pub(in crate::cli) fn kind_of(mime_type: &str) -> MediaKind {
    let of = mime_type.strip_prefix(CORRUPT).unwrap_or(mime_type);
    match of.split('/').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        "image" => MediaKind::Image,
        "sticker" => MediaKind::Sticker,
        _ => MediaKind::Document,
    }
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_ms(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a file's name leads to the MIME type and the kind that people expect.
    #[test]
    fn a_files_name_tells_what_it_is() {
        for (name, mime_type, kind) in [
            ("voice.ogg", "audio/ogg; codecs=opus", MediaKind::Audio),
            ("VOICE.OPUS", "audio/ogg; codecs=opus", MediaKind::Audio),
            ("note.pdf", "application/pdf", MediaKind::Document),
            ("notes.txt", "text/plain", MediaKind::Document),
            ("meeting.ics", "text/calendar", MediaKind::Document),
            ("cat.jpg", "image/jpeg", MediaKind::Image),
            ("cat.mp4", "video/mp4", MediaKind::Video),
            ("unknown", "application/octet-stream", MediaKind::Document),
        ] {
            let guessed = mime_of(Path::new(name));
            assert_eq!((guessed.as_str(), kind_of(&guessed)), (mime_type, kind), "{name}");
        }
        assert_eq!(kind_of("media_corrupt_sticker"), MediaKind::Sticker);
        assert_eq!(kind_of("media_corrupt_audio"), MediaKind::Audio);
    }
}
