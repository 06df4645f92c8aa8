//! The text that is being found: bounded, and tidy.
//!
//! Every reader writes into a [`Text`]. It keeps at most a number of characters, drops control
//! characters, ends lines in one way, allows one blank line at a time and no blanks before a line's
//! end. A reader asks [`Text::is_full`] now and then and stops early.

/// How many characters (Unicode scalar values) of a file are kept.
pub(super) const CHARACTERS_MAX: usize = 200_000;

/// How many blanks in a row are kept.
const BLANKS_MAX: usize = 200;

/// Text under construction.
#[derive(Debug)]
pub(super) struct Text {
    kept: String,
    room: usize,
    line_ends: usize,
    blanks: String,
    after_return: bool,
    is_full: bool,
}

impl Text {
    /// An empty text that keeps `characters_max`.
    pub fn new(characters_max: usize) -> Self {
        Self {
            kept: String::new(),
            room: characters_max,
            line_ends: 0,
            blanks: String::new(),
            after_return: false,
            is_full: false,
        }
    }

    /// Appends text.
    pub fn push(&mut self, text: &str) {
        for character in text.chars() {
            if self.is_full {
                return;
            }
            self.push_character(character);
        }
    }

    /// Ends the current line.
    pub fn end_line(&mut self) {
        self.push_character('\n');
    }

    /// Ends the current line, unless nothing was written on it yet.
    pub fn end_started_line(&mut self) {
        if self.line_ends == 0 {
            self.push_character('\n');
        }
    }

    /// Appends one blank, unless one is there already or the line is still empty.
    pub fn push_space(&mut self) {
        if self.blanks.is_empty() && self.line_ends == 0 && !self.kept.is_empty() {
            self.push_character(' ');
        }
    }

    /// Whether something was left out, and more will be.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether nothing visible was written.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The text, and whether there was more.
    pub fn finish(self) -> (String, bool) {
        (self.kept, self.is_full)
    }

    fn push_character(&mut self, character: char) {
        let after_return = std::mem::replace(&mut self.after_return, character == '\r');
        match character {
            '\n' if after_return => {}
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                self.blanks.clear();
                self.line_ends = if self.kept.is_empty() { 0 } else { (self.line_ends + 1).min(2) };
            }
            ' ' | '\t' | '\u{a0}' => {
                if self.blanks.len() < BLANKS_MAX {
                    self.blanks.push(if character == '\t' { '\t' } else { ' ' });
                }
            }
            '\u{feff}' | '\u{ad}' => {}
            control if control.is_control() => {}
            visible => self.push_visible(visible),
        }
    }

    fn push_visible(&mut self, character: char) {
        let needed = self.line_ends + self.blanks.len() + 1;
        if needed > self.room {
            self.is_full = true;
            return;
        }
        self.room -= needed;
        self.kept.extend(std::iter::repeat_n('\n', std::mem::take(&mut self.line_ends)));
        self.kept.push_str(&self.blanks);
        self.blanks.clear();
        self.kept.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: whatever is written, the text is tidy. Method: input and expectation side by side.
    #[test]
    fn text_is_tidy() {
        for (input, expected) in [
            ("a\r\nb\rc\nd", "a\nb\nc\nd"),
            ("\n\n  a  \n\n\n\n  b\t\n", "  a\n\n  b"),
            ("a\0b\u{7}c\u{feff}d\u{9b}", "abcd"),
            ("page one\u{c}page two", "page one\npage two"),
            ("a\u{a0}b", "a b"),
            ("   \n\t\n", ""),
        ] {
            let mut text = Text::new(100);
            text.push(input);
            assert_eq!(text.finish(), (expected.to_owned(), false), "{input:?}");
        }
    }

    /// Goal: never more characters than allowed, and a cut is always told.
    #[test]
    fn text_is_bounded_in_characters() {
        for (input, limit, expected, cut) in [
            ("🦀🦀🦀", 3, "🦀🦀🦀", false),
            ("🦀🦀🦀", 2, "🦀🦀", true),
            ("ab\n\n\n", 2, "ab", false),
            ("ab\nc", 3, "ab", true),
            ("a", 0, "", true),
        ] {
            let mut text = Text::new(limit);
            text.push(input);
            assert_eq!(text.finish(), (expected.to_owned(), cut), "{input:?}");
        }
    }
}
