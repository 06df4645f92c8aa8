//! How an outcome reads: the one place that turns what became of media into a message's content.
//!
//! Processors return bare text; the wrapper, the caption and the limits are put on here and nowhere
//! else, so that every bot reads the same words whichever engine, node or sweep ended the job.

use crate::message::{Extracted, Media, MediaKind, Message, Outcome, size_of, truncate};

/// How many characters of a file name are shown.
const FILENAME_CHARACTERS_MAX: u64 = 80;

/// How many characters of a MIME type, or of a reason, are shown.
const DETAIL_CHARACTERS_MAX: u64 = 100;

/// What is said of a medium, whatever became of it.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// What a person would call it.
    pub kind: MediaKind,
    /// The declared MIME type.
    pub mime_type: &'a str,
    /// The file name its sender gave it.
    pub filename: Option<&'a str>,
    /// What its sender wrote beside it.
    pub caption: Option<&'a str>,
}

impl<'a> From<&'a Media> for About<'a> {
    fn from(media: &'a Media) -> Self {
        Self {
            kind: media.kind,
            mime_type: &media.mime_type,
            filename: media.original_filename.as_deref(),
            caption: media.caption.as_deref(),
        }
    }
}

/// What a bot reads of a medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The words.
    pub text: String,
    /// Whether the engine's text was cut, in the outcome too.
    pub is_cut: bool,
}

/// Puts `outcome` into words, at most `limit` scalar values of them. Only the engine's text is cut; the wrapper
/// and the caption stay whole.
pub fn of(about: About<'_>, outcome: &mut Outcome, limit: u64) -> Content {
    let caption = about.caption.filter(|caption| !caption.is_empty());
    let caption_size = caption.map_or(0, |caption| size_of(caption) + 1);
    let mut is_cut = false;
    let mut text = match outcome {
        Outcome::Text(extracted) => {
            let (before, after) = wrapper(about);
            let wrapper_size = size_of(&before) + size_of(after);
            let room = limit.saturating_sub(wrapper_size + caption_size);
            is_cut = cut_to(extracted, room);
            format!("{before}{}{after}", extracted.text)
        }
        Outcome::Nothing => {
            let (before, after) = wrapper(about);
            format!("{before}{}{after}", nothing_found(about.kind))
        }
        Outcome::Corrupt { quota_exceeded, .. } => {
            let reason = if *quota_exceeded { ": storage quota exceeded" } else { "" };
            format!("[Corrupted {} media could not be downloaded{reason}]", lower(about.kind))
        }
        Outcome::Unsupported { detail } => match detail {
            None => format!("[Unsupported {} media]", shown(about.mime_type)),
            Some(detail) => {
                format!("[Unsupported {} media: {}]", shown(about.mime_type), shown(detail))
            }
        },
        Outcome::NotProcessed => format!("[{} not processed]", title(about.kind)),
        Outcome::TimedOut => format!("[{} processing timed out]", title(about.kind)),
        Outcome::Failed { .. } => format!("[{} processing failed]", title(about.kind)),
        Outcome::Expired => format!("[{} processing expired]", title(about.kind)),
        Outcome::Discarded => format!("[{} discarded by an operator]", title(about.kind)),
    };
    if let Some(caption) = caption {
        text.push('\n');
        text.push_str(caption);
    }
    Content { text, is_cut }
}

/// Ends the placeholder `message` with `outcome`, put into at most `limit` scalar values.
///
/// Returns whether the engine's text was cut. A message without media is left as it is.
pub fn complete(message: &mut Message, mut outcome: Outcome, limit: u64) -> bool {
    let Some(media) = &mut message.media else { return false };
    let Content { text, is_cut } = of(About::from(&**media), &mut outcome, limit);
    media.outcome = Some(Box::new(outcome));
    message.message_size = size_of(&text);
    message.content = text;
    is_cut
}

/// Cuts the engine's text to `room` and marks it.
fn cut_to(extracted: &mut Extracted, room: u64) -> bool {
    let cut = truncate(&mut extracted.text, room);
    extracted.truncated |= cut;
    cut
}

/// What stands before and after the engine's text.
fn wrapper(about: About<'_>) -> (String, &'static str) {
    let before = match about.kind {
        MediaKind::Audio => "[Audio transcript: ".to_owned(),
        MediaKind::Video => "[Video description: ".to_owned(),
        MediaKind::Image => "[Image description: ".to_owned(),
        MediaKind::Sticker => "[Sticker description: ".to_owned(),
        MediaKind::Document => match about.filename {
            None => "[Document text: ".to_owned(),
            Some(name) => {
                let mut name = one_line(name);
                truncate(&mut name, FILENAME_CHARACTERS_MAX);
                format!("[Document text ({name}): ")
            }
        },
    };
    (before, "]")
}

/// What is said of media that was read and holds nothing.
fn nothing_found(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "no speech",
        MediaKind::Video => "no speech or text found",
        MediaKind::Image | MediaKind::Sticker | MediaKind::Document => "no text found",
    }
}

fn title(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "Audio",
        MediaKind::Video => "Video",
        MediaKind::Image => "Image",
        MediaKind::Sticker => "Sticker",
        MediaKind::Document => "Document",
    }
}

fn lower(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
        MediaKind::Image => "image",
        MediaKind::Sticker => "sticker",
        MediaKind::Document => "document",
    }
}

/// A stranger's short text, safe to stand inside brackets on one line.
fn shown(text: &str) -> String {
    let mut line = one_line(text);
    truncate(&mut line, DETAIL_CHARACTERS_MAX);
    line
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{MediaId, MessageId};
    use crate::message::{FailureKind, Participant, Source};
    use crate::time::Timestamp;

    fn placeholder(kind: MediaKind, caption: Option<&str>, filename: Option<&str>) -> Message {
        Message {
            id: MessageId::FIRST,
            content: caption.unwrap_or_default().to_owned(),
            sender: Participant::default(),
            source: Source::User,
            accepted_time: Timestamp::ZERO,
            message_size: 0,
            originating_time: Timestamp::ZERO,
            group: None,
            provider_message_id: "p".into(),
            replayed: false,
            truncated: false,
            media: Some(Box::new(Media {
                media_id: MediaId::from(uuid::Uuid::nil()),
                kind,
                mime_type: "text/calendar".to_owned(),
                original_filename: filename.map(str::to_owned),
                caption: caption.map(str::to_owned),
                outcome: None,
            })),
        }
    }

    fn text(text: &str) -> Outcome {
        Outcome::Text(Extracted { text: text.to_owned(), ..Extracted::default() })
    }

    /// Goal: each kind of outcome reads as the design's table says.
    #[test]
    fn outcomes_read_as_designed() {
        use MediaKind::{Audio, Document, Image, Sticker, Video};
        let failed = Outcome::Failed { error: FailureKind::Engine, detail: None };
        let cases = [
            (Audio, None, text("see you at eight"), "[Audio transcript: see you at eight]"),
            (Video, None, text("a cat"), "[Video description: a cat]"),
            (Image, Some("look"), text("STOP"), "[Image description: STOP]\nlook"),
            (Sticker, None, text("ok"), "[Sticker description: ok]"),
            (Document, Some("the invoice"), text("42 EUR"), "[Document text: 42 EUR]\nthe invoice"),
            (Audio, None, Outcome::Nothing, "[Audio transcript: no speech]"),
            (Image, None, Outcome::Nothing, "[Image description: no text found]"),
            (
                Image,
                None,
                Outcome::Corrupt { quota_exceeded: false, detail: None },
                "[Corrupted image media could not be downloaded]",
            ),
            (
                Audio,
                None,
                Outcome::Corrupt { quota_exceeded: true, detail: None },
                "[Corrupted audio media could not be downloaded: storage quota exceeded]",
            ),
            (
                Document,
                None,
                Outcome::Unsupported { detail: None },
                "[Unsupported text/calendar media]",
            ),
            (Audio, None, Outcome::TimedOut, "[Audio processing timed out]"),
            (Audio, None, failed, "[Audio processing failed]"),
            (Audio, None, Outcome::Expired, "[Audio processing expired]"),
        ];
        for (kind, caption, outcome, expected) in cases {
            let mut message = placeholder(kind, caption, None);
            assert!(!complete(&mut message, outcome.clone(), 4_000));
            assert_eq!(message.content, expected);
            assert_eq!(message.message_size, size_of(expected));
            assert_eq!(message.media.and_then(|media| media.outcome), Some(Box::new(outcome)));
        }
    }

    /// Goal: only the engine's text is cut, to the last scalar value that fits.
    #[test]
    fn the_engines_text_is_cut_and_nothing_else() {
        let mut message = placeholder(MediaKind::Document, Some("çaption"), Some("näme.pdf"));
        assert!(complete(&mut message, text(&"é".repeat(500)), 60));
        assert_eq!(message.message_size, 60);
        assert!(message.content.starts_with("[Document text (näme.pdf): éé"));
        assert!(message.content.ends_with("é]\nçaption"));
    }

    /// Goal: a file name cannot break the brackets' line nor grow without bound.
    #[test]
    fn a_file_name_is_shown_on_one_line_and_short() {
        let name = format!("a\nb{}", "x".repeat(300));
        let mut message = placeholder(MediaKind::Document, None, Some(&name));
        complete(&mut message, text("t"), 4_000);
        assert_eq!(message.content, format!("[Document text (a b{}): t]", "x".repeat(77)));
    }
}
