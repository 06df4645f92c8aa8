//! Text files: plain, Markdown, CSV, JSON, XML, in whatever encoding.

use std::fs::File;
use std::io::Read;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::report::Unread;
use super::text::{CHARACTERS_MAX, Text};

/// How much of a file is read: the kept characters in the widest encoding, and one more.
const BYTES_MAX: u64 = 4 * CHARACTERS_MAX as u64 + 4;

/// Reads a text file.
pub(super) fn read(file: File, mime_type: &str, text: &mut Text) -> Result<(), Unread> {
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let decoded = decode(&bytes, charset(mime_type));
    if decoded.contains('\0') {
        return Err(Unread::damaged("the file holds binary data, not text"));
    }
    text.push(&decoded);
    Ok(())
}

/// Decodes `bytes`: by their byte order mark, else as UTF-8 if they are that, else as `declared`, else
/// as Windows-1252, which reads anything.
pub(super) fn decode(bytes: &[u8], declared: Option<&'static Encoding>) -> String {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return encoding.decode(bytes).0.into_owned();
    }
    let encoding = match is_utf8(bytes) {
        true => UTF_8,
        false => declared.unwrap_or(WINDOWS_1252),
    };
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

/// The encoding that a `charset` parameter names.
pub(super) fn charset(mime_type: &str) -> Option<&'static Encoding> {
    let (_, parameters) = mime_type.split_once(';')?;
    let named = |parameter: &str| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"').to_owned())
    };
    Encoding::for_label(parameters.split(';').find_map(named)?.as_bytes())
}

/// Whether the bytes are UTF-8, but for a character that their end may have split.
fn is_utf8(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the usual encodings are read as what they are.
    #[test]
    fn encodings_are_told_apart() {
        for (bytes, mime_type, expected) in [
            ("grüße".as_bytes(), "text/plain", "grüße"),
            (b"\xef\xbb\xbfgr\xc3\xbc\xc3\x9fe", "text/plain", "grüße"),
            (b"gr\xfc\xdfe \x80", "text/plain", "grüße €"),
            (b"\xff\xfeg\0r\0\xfc\0", "text/plain", "grü"),
            (b"\xfe\xff\0g\0r\0\xfc", "text/plain", "grü"),
            (b"\xe1\xd2\xa1", "text/plain; charset=\"windows-1251\"", "бТЎ"),
            (b"gr\xc3\xbc", "text/plain; charset=iso-8859-1", "grü"),
        ] {
            assert_eq!(decode(bytes, charset(mime_type)), expected);
        }
    }
}
