//! Half characters: escapes such as `\ud83d` without their other half.
//!
//! JavaScript cuts texts between the two halves of a character and `JSON.stringify` writes what is
//! left as a lone escape. It is valid JSON (RFC 8259, section 8.2) that names no character, and a
//! message must not be lost for it: it becomes U+FFFD, the replacement character.

/// The text with every lone half replaced; none when it has none.
///
/// Takes time linear in the text. A text that is not JSON stays so.
pub(super) fn repaired(text: &str) -> Option<String> {
    let mut repaired = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        let escape = at + found;
        at = match half(text, escape) {
            Some(Half::First) if half(text, escape + ESCAPE_BYTES) == Some(Half::Second) => {
                escape + 2 * ESCAPE_BYTES
            }
            Some(Half::First | Half::Second) => {
                repaired.push_str(&text[copied..escape]);
                repaired.push_str("\\ufffd");
                copied = escape + ESCAPE_BYTES;
                copied
            }
            None => after_escaped(text, escape),
        };
    }
    if copied == 0 {
        return None;
    }
    repaired.push_str(&text[copied..]);
    Some(repaired)
}

/// Bytes of an escape `\uXXXX`.
const ESCAPE_BYTES: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    First,
    Second,
}

/// The half character that is escaped at `at`, if one is.
fn half(text: &str, at: usize) -> Option<Half> {
    let escape = text.as_bytes().get(at..at + ESCAPE_BYTES)?;
    let [b'\\', b'u', digits @ ..] = escape else { return None };
    match digits {
        [b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', x, y]
            if x.is_ascii_hexdigit() && y.is_ascii_hexdigit() =>
        {
            Some(Half::First)
        }
        [b'd' | b'D', b'c'..=b'f' | b'C'..=b'F', x, y]
            if x.is_ascii_hexdigit() && y.is_ascii_hexdigit() =>
        {
            Some(Half::Second)
        }
        _ => None,
    }
}

/// Where to go on behind a backslash and the one character it escapes.
fn after_escaped(text: &str, escape: usize) -> usize {
    let escaped = text[escape + 1..].chars().next().map_or(0, char::len_utf8);
    escape + 1 + escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: halves without their other half are replaced, and nothing else is touched.
    #[test]
    fn only_lone_halves_are_replaced() {
        for (text, expected) in [
            (r#""\ud83d""#, Some(r#""\ufffd""#)),
            (r#""\uDE00 x""#, Some(r#""\ufffd x""#)),
            (r#""\ud83d\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (r#""\ud83d\n\ude00""#, Some(r#""\ufffd\n\ufffd""#)),
            (r#""é\ud83d…""#, Some(r#""é\ufffd…""#)),
            (r#""\ud83d\ude00""#, None),
            (r#""\\ud83d""#, None),
            (r#""\u00e9 \n""#, None),
            (r#""\ud8""#, None),
            ("\"\\🦀\\", None),
            ("", None),
        ] {
            assert_eq!(repaired(text).as_deref(), expected, "{text}");
        }
    }
}
