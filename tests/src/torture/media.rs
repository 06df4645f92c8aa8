//! The media of the torture: files that need no program to be read, of all fates.
//!
//! Owns what each file holds and what is to become of it. Sizes differ by five orders of magnitude, so
//! that jobs last differently long and uploads can be cut.

use crate::frames;
use crate::torture::dice::Dice;
use crate::torture::ledger::Expected;

/// A medium before it has an id.
#[derive(Debug, Clone)]
pub struct Medium {
    /// What a person would call it.
    pub kind: &'static str,
    /// The declared type.
    pub mime_type: &'static str,
    /// The file's name, as its sender named it.
    pub filename: Option<&'static str>,
    /// What it holds; none when no file comes.
    pub file: Option<Vec<u8>>,
    /// There was no space for it.
    pub quota_exceeded: bool,
    /// What is to become of it.
    pub outcome: &'static str,
    /// How the content begins, without the caption.
    pub begins: String,
    /// The content goes on after `begins`.
    pub goes_on: bool,
}

impl Medium {
    /// The next medium; `words` stand in it and in nothing else.
    pub fn draw(dice: &mut Dice, words: &str) -> Self {
        match dice.below(100) {
            0..30 => Self::plain(words),
            30..50 => Self::table(words, dice.between(1..400)),
            50..65 => Self::page(words, 1 << dice.between(4..11)),
            65..75 => Self::large(words, dice.between(100..2_000)),
            75..84 => Self::unsupported(words),
            84..94 => Self::corrupt(dice),
            _ => Self::missing(),
        }
    }

    /// A message's frame with this medium under an id.
    pub fn frame(
        &self,
        correspondent_id: &str,
        provider_message_id: &str,
        caption: &str,
        media_id: uuid::Uuid,
    ) -> serde_json::Value {
        let media = frames::Media {
            media_id,
            kind: self.kind,
            mime_type: self.mime_type,
            original_filename: self.filename,
            size_bytes: self.file.as_ref().map_or(0, Vec::len),
        };
        let mut frame = frames::media(correspondent_id, provider_message_id, caption, &media);
        if self.quota_exceeded {
            frame["media"]["quota_exceeded"] = true.into();
        }
        frame
    }

    /// What a message with this medium and `caption` is to read.
    pub fn expected(&self, caption: &str) -> Expected {
        let bracket = if self.goes_on { "]" } else { "" };
        let ends = match (caption, self.goes_on) {
            ("", false) => self.begins.clone(),
            ("", true) => bracket.to_owned(),
            (caption, _) => format!("{bracket}\n{caption}"),
        };
        Expected::Media { outcome: self.outcome, begins: self.begins.clone(), ends }
    }

    fn document(
        mime_type: &'static str,
        filename: &'static str,
        file: Vec<u8>,
        words: &str,
    ) -> Self {
        Self {
            kind: "document",
            mime_type,
            filename: Some(filename),
            file: Some(file),
            quota_exceeded: false,
            outcome: "text",
            begins: format!("[Document text ({filename}): {words}"),
            goes_on: true,
        }
    }

    fn plain(words: &str) -> Self {
        Self::document("text/plain; charset=utf-8", "note.txt", words.into(), words)
    }

    fn table(words: &str, rows: u64) -> Self {
        let rows: String = (0..rows).map(|row| format!("{row},{}\n", row * row)).collect();
        let file = format!("{words}\n{rows}");
        Self::document("text/csv", "table.csv", file.into_bytes(), words)
    }

    /// A page with much mark-up around few words, which takes a while to read.
    fn page(words: &str, elements: usize) -> Self {
        let markup = "<div><p><b></b></p></div>".repeat(elements);
        let file =
            format!("<!DOCTYPE html><html><body><p>{words}</p>{markup}<p>end</p></body></html>");
        Self::document("text/html", "page.html", file.into_bytes(), words)
    }

    /// A text that is larger than what is read of it, which takes a while to arrive.
    fn large(words: &str, kilobytes: u64) -> Self {
        let line = format!("{}\n", "and so on ".repeat(102));
        let lines = usize::try_from(kilobytes).expect("it is small");
        let file = format!("{words}\n{}", line.repeat(lines));
        Self::document("text/markdown", "book.md", file.into_bytes(), words)
    }

    fn unsupported(words: &str) -> Self {
        Self {
            mime_type: "text/calendar",
            outcome: "unsupported",
            begins: "[Unsupported text/calendar media]".to_owned(),
            goes_on: false,
            ..Self::document("", "dinner.ics", format!("BEGIN:VCALENDAR {words}").into_bytes(), "")
        }
    }

    fn corrupt(dice: &mut Dice) -> Self {
        let (kind, mime_type) = *dice.pick(&[
            ("audio", "media_corrupt_audio"),
            ("image", "media_corrupt_image"),
            ("video", "media_corrupt_video"),
            ("document", "media_corrupt_document"),
            ("sticker", "media_corrupt_sticker"),
        ]);
        let quota_exceeded = dice.chance(30);
        let reason = if quota_exceeded { ": storage quota exceeded" } else { "" };
        Self {
            kind,
            mime_type,
            filename: None,
            file: None,
            quota_exceeded,
            outcome: "corrupt",
            begins: format!("[Corrupted {kind} media could not be downloaded{reason}]"),
            goes_on: false,
        }
    }

    /// A document whose file never comes.
    fn missing() -> Self {
        Self {
            file: None,
            outcome: "failed",
            begins: "[Document processing failed]".to_owned(),
            goes_on: false,
            ..Self::document("text/plain", "lost.txt", Vec::new(), "")
        }
    }
}

impl Expected {
    /// Whether `content` and the kind of outcome are what was expected.
    pub fn is_met_by(&self, content: &str, outcome: Option<&str>) -> bool {
        match self {
            Self::Text(text) => content == text && outcome.is_none(),
            Self::Media { outcome: expected, begins, ends } => {
                outcome == Some(*expected) && content.starts_with(begins) && content.ends_with(ends)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what is expected of a medium accepts the content that the design gives it, and refuses
    /// another file's words, a lost caption and another outcome.
    #[test]
    fn an_expectation_tells_contents_apart() {
        let expected = Medium::table("words of m7", 3).expected("look");
        let good = "[Document text (table.csv): words of m7\n0,0\n1,1\n2,4]\nlook";
        assert!(expected.is_met_by(good, Some("text")));
        assert!(!expected.is_met_by(&good.replace("m7", "m8"), Some("text")));
        assert!(!expected.is_met_by(good.trim_end_matches("look"), Some("text")));
        assert!(!expected.is_met_by("[Document processing failed]\nlook", Some("failed")));
        assert!(!expected.is_met_by(good, Some("failed")));

        let expected = Medium::missing().expected("");
        assert!(expected.is_met_by("[Document processing failed]", Some("failed")));
        assert!(!expected.is_met_by("[Document processing failed]\ncaption", Some("failed")));

        let expected = Expected::Text("hello".to_owned());
        assert!(expected.is_met_by("hello", None));
        assert!(!expected.is_met_by("hello!", None));
    }
}
