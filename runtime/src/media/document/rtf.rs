//! Rich Text Format: the words of the document, in the document's code page.
//!
//! The format is small: groups, control words, escaped bytes. Destinations that are no body text
//! (fonts, styles, pictures, anything marked as ignorable) are skipped. The reader keeps one small
//! record a group and looks at each byte once.

use std::fs::File;
use std::io::Read;

use encoding_rs::{Encoding, MACINTOSH, WINDOWS_1252};

use super::report::Unread;
use super::text::Text;

/// How much of a file is read; pictures may be most of it.
const BYTES_MAX: u64 = 32 * 1024 * 1024;

/// How deep groups may be nested.
const DEPTH_MAX: usize = 1_000;

/// Reads an RTF file.
pub(super) fn read(file: File, text: &mut Text) -> Result<(), Unread> {
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    push(&bytes, text)
}

/// Writes the words of the RTF in `bytes`.
fn push(bytes: &[u8], text: &mut Text) -> Result<(), Unread> {
    Reader {
        input: bytes,
        text,
        encoding: WINDOWS_1252,
        group: Group { is_hidden: false, stand_ins: 1 },
        outer: Vec::new(),
        pending: Vec::new(),
        high_surrogate: None,
        stand_ins_left: 0,
    }
    .read()
}

/// What a group inherits and may change for itself.
#[derive(Debug, Clone, Copy)]
struct Group {
    is_hidden: bool,
    /// How many characters stand in for a Unicode one, for readers that know none.
    stand_ins: usize,
}

struct Reader<'a, 'text> {
    input: &'a [u8],
    text: &'text mut Text,
    encoding: &'static Encoding,
    group: Group,
    outer: Vec<Group>,
    /// Bytes in the document's code page that wait to be decoded together.
    pending: Vec<u8>,
    high_surrogate: Option<u16>,
    stand_ins_left: usize,
}

impl<'a> Reader<'a, '_> {
    fn read(&mut self) -> Result<(), Unread> {
        while let Some(byte) = self.next() {
            match byte {
                b'{' => self.open_group()?,
                b'}' => self.close_group(),
                b'\\' => self.control(),
                b'\r' | b'\n' | 0 => {}
                byte => self.byte(byte),
            }
            if self.text.is_full() {
                return Ok(());
            }
        }
        self.decode_pending();
        match self.outer.is_empty() {
            true => Ok(()),
            false => Err(Unread::damaged("the RTF file ends in the middle of a group")),
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.input.split_first()?;
        self.input = rest;
        Some(byte)
    }

    fn open_group(&mut self) -> Result<(), Unread> {
        self.decode_pending();
        self.stand_ins_left = 0;
        if self.outer.len() == DEPTH_MAX {
            return Err(Unread::damaged("the RTF file's groups are nested too deep"));
        }
        self.outer.push(self.group);
        Ok(())
    }

    fn close_group(&mut self) {
        self.decode_pending();
        self.stand_ins_left = 0;
        if let Some(outer) = self.outer.pop() {
            self.group = outer;
        }
    }

    /// Reads what follows a backslash.
    fn control(&mut self) {
        if self.input.first().is_some_and(u8::is_ascii_alphabetic) {
            let word = self.take_while(u8::is_ascii_alphabetic);
            let number = self.number();
            return self.control_word(word, number);
        }
        match self.next() {
            Some(b'\'') => self.hexadecimal(),
            Some(b'*') => self.group.is_hidden = true,
            Some(b'~') => self.byte(b' '),
            Some(b'_') => self.byte(b'-'),
            Some(b'\r' | b'\n') => self.lay_out("\n"),
            Some(escaped @ (b'{' | b'}' | b'\\')) => self.byte(escaped),
            Some(_) | None => {}
        }
    }

    fn take_while(&mut self, is_part: impl Fn(&u8) -> bool) -> &'a [u8] {
        let length = self.input.iter().take_while(|byte| is_part(byte)).count();
        let (taken, rest) = self.input.split_at(length);
        self.input = rest;
        taken
    }

    /// The number of a control word, and the one blank that ends it.
    fn number(&mut self) -> Option<i32> {
        let digits = self.take_while(|byte| byte.is_ascii_digit() || *byte == b'-');
        if self.input.first() == Some(&b' ') {
            self.next();
        }
        str::from_utf8(digits).ok()?.parse().ok()
    }

    /// A byte written as two digits.
    fn hexadecimal(&mut self) {
        let digits = self.input.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            self.input = &self.input[2..];
            self.byte(byte);
        }
    }

    fn control_word(&mut self, word: &[u8], number: Option<i32>) {
        match word {
            b"par" | b"line" | b"row" | b"sect" | b"page" => self.lay_out("\n"),
            b"tab" | b"cell" => self.lay_out("\t"),
            b"emdash" => self.lay_out("—"),
            b"endash" => self.lay_out("–"),
            b"bullet" => self.lay_out("•"),
            b"lquote" => self.lay_out("‘"),
            b"rquote" => self.lay_out("’"),
            b"ldblquote" => self.lay_out("“"),
            b"rdblquote" => self.lay_out("”"),
            b"u" => self.unicode(number.unwrap_or_default()),
            b"uc" => self.group.stand_ins = usize::try_from(number.unwrap_or(1)).unwrap_or(0),
            b"bin" => {
                let length = usize::try_from(number.unwrap_or_default()).unwrap_or(0);
                self.input = self.input.get(length..).unwrap_or_default();
            }
            b"mac" => self.encoding = MACINTOSH,
            b"ansicpg" => self.encoding = code_page(number.unwrap_or_default()),
            word if is_hidden(word) => self.group.is_hidden = true,
            _ => {}
        }
    }

    /// A character by its UTF-16 number; two of them may make one character.
    fn unicode(&mut self, number: i32) {
        self.decode_pending();
        // Numbers above 32767 are written as negative ones; nothing else is meant.
        let unit = number as u16;
        let units = [self.high_surrogate.take().unwrap_or(unit), unit];
        let units = if units[0] == units[1] { &units[1..] } else { &units[..] };
        match (unit, char::decode_utf16(units.iter().copied()).last()) {
            (0xd800..0xdc00, _) => self.high_surrogate = Some(unit),
            (_, Some(Ok(character))) => self.show(character.encode_utf8(&mut [0; 4])),
            (_, Some(Err(_)) | None) => {}
        }
        self.stand_ins_left = self.group.stand_ins;
    }

    fn byte(&mut self, byte: u8) {
        if self.stand_ins_left > 0 {
            self.stand_ins_left -= 1;
        } else if !self.group.is_hidden {
            self.pending.push(byte);
        }
    }

    fn lay_out(&mut self, shown: &str) {
        self.decode_pending();
        self.show(shown);
    }

    fn decode_pending(&mut self) {
        let (decoded, _) = self.encoding.decode_without_bom_handling(&self.pending);
        self.text.push(&decoded);
        self.pending.clear();
    }

    fn show(&mut self, shown: &str) {
        if !self.group.is_hidden {
            self.text.push(shown);
        }
    }
}

/// The encoding with a Windows code page number.
fn code_page(number: i32) -> &'static Encoding {
    let label = match number {
        65001 => "utf-8".to_owned(),
        10000 => "macintosh".to_owned(),
        932 => "shift_jis".to_owned(),
        936 => "gbk".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        number => format!("windows-{number}"),
    };
    Encoding::for_label(label.as_bytes()).unwrap_or(WINDOWS_1252)
}

/// Destinations that hold no body text.
fn is_hidden(word: &[u8]) -> bool {
    matches!(
        word,
        b"fonttbl"
            | b"colortbl"
            | b"stylesheet"
            | b"info"
            | b"pict"
            | b"object"
            | b"fldinst"
            | b"header"
            | b"headerl"
            | b"headerr"
            | b"headerf"
            | b"footer"
            | b"footerl"
            | b"footerr"
            | b"footerf"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(rtf: &[u8]) -> Result<String, Unread> {
        let mut text = Text::new(1_000);
        push(rtf, &mut text)?;
        Ok(text.finish().0)
    }

    /// Goal: body text is read in its code page, and nothing else is.
    #[test]
    fn body_text_is_read() {
        for (rtf, expected) in [
            (
                r"{\rtf1\ansi{\fonttbl\f0 Arial;}{\*\generator X;}\f0 One {\b two}\par three\tab 4}",
                "One two\nthree\t4",
            ),
            (r"{\rtf1 caf\'e9 \'93x\'94}", "café “x”"),
            (r"{\rtf1\ansicpg1251 \'e1\'d2}", "бТ"),
            (r"{\rtf1\uc1 \u8364? \u-10179?\u-8704?}", "€ 😀"),
            (r"{\rtf1{\uc2\u233\'65\'66}x}", "éx"),
            (r"{\rtf1 a\{b\}\\c\~d}", r"a{b}\c d"),
            (r"{\rtf1 x{\pict\bin3 {{{ffd8}y}", "xy"),
            ("{\\rtf1 one\\\ntwo}\0\n", "one\ntwo"),
        ] {
            assert_eq!(words(rtf.as_bytes()), Ok(expected.to_owned()), "{rtf}");
        }
    }

    /// Goal: damaged files are told as such, and no nesting is followed for ever.
    #[test]
    fn damaged_files_are_refused() {
        assert!(words(b"{\\rtf1 cut off").is_err());
        assert!(words("{".repeat(100_000).as_bytes()).is_err());
        assert_eq!(words(b"\\"), Ok(String::new()));
        assert_eq!(words(b"{\\rtf1\\'}\\bin99999999"), Ok(String::new()));
    }
}
