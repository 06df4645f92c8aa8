//! HTML and XHTML: the words, without markup, scripts and styles.
//!
//! Only the tokenizer of the HTML parser is used: it decodes entities and knows where scripts end, in
//! one pass, without a tree, so no nesting is too deep and no file needs more memory than its size.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;

use encoding_rs::Encoding;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use super::plain;
use super::report::Unread;
use super::text::Text;

/// How much of a file is read.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How far into a file it may name its encoding, as the HTML standard has it.
const CHARSET_BYTES: usize = 1024;

/// Reads an HTML file.
pub(super) fn read(file: File, mime_type: &str, text: &mut Text) -> Result<(), Unread> {
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let declared = plain::charset(mime_type).or_else(|| charset_within(&bytes));
    push(&plain::decode(&bytes, declared), text);
    Ok(())
}

/// Writes the words of `html`.
pub(super) fn push(html: &str, text: &mut Text) {
    let words = Words {
        state: RefCell::new(State { text, skipping: None, in_pre: false, after_bullet: false }),
    };
    let tokenizer = Tokenizer::new(words, TokenizerOpts::default());
    let queue = BufferQueue::default();
    for piece in pieces(html) {
        if tokenizer.sink.state.borrow().text.is_full() {
            return;
        }
        queue.push_back(StrTendril::from_slice(piece));
        // A sink that runs no scripts is never interrupted, but for an encoding it already knows.
        while !queue.is_empty() {
            let _ = tokenizer.feed(&queue);
        }
    }
    tokenizer.end();
}

/// Splits into pieces small enough to stop between them.
fn pieces(html: &str) -> impl Iterator<Item = &str> {
    const PIECE_BYTES: usize = 64 * 1024;
    let mut rest = html;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        rest = after;
        Some(piece)
    })
}

/// The encoding that a `<meta>` element or an XML declaration names.
fn charset_within(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(CHARSET_BYTES)]);
    let head = head.to_ascii_lowercase();
    let after = |mark: &str| head.find(mark).map(|at| &head[at + mark.len()..]);
    let value = after("charset=").or_else(|| after("encoding="))?;
    let label = value.trim_start_matches(['"', '\'']);
    let end = label.find(['"', '\'', ' ', ';', '/', '>', '?']).unwrap_or(label.len());
    Encoding::for_label(&label.as_bytes()[..end])
}

/// Receives tokens and writes words.
struct Words<'a> {
    state: RefCell<State<'a>>,
}

struct State<'a> {
    text: &'a mut Text,
    /// The element whose content is not shown, and how deep it is nested in itself.
    skipping: Option<(String, usize)>,
    in_pre: bool,
    /// A list item was opened, and nothing was written in it yet.
    after_bullet: bool,
}

impl TokenSink for Words<'_> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut state = self.state.borrow_mut();
        match token {
            Token::TagToken(tag) => return state.tag(&tag),
            Token::CharacterTokens(characters) => state.characters(&characters),
            Token::DoctypeToken(_)
            | Token::CommentToken(_)
            | Token::NullCharacterToken
            | Token::EOFToken
            | Token::ParseError(_) => {}
        }
        TokenSinkResult::Continue
    }
}

impl State<'_> {
    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name: &str = &tag.name;
        let opens = tag.kind == TagKind::StartTag;
        if is_hidden(name) && !(opens && tag.self_closing) {
            self.hide(name, opens);
        } else if self.skipping.is_none() {
            self.lay_out(name, opens);
        }
        match (opens, name) {
            (true, "script") => TokenSinkResult::RawData(RawKind::ScriptData),
            (true, "style" | "noframes" | "iframe" | "noembed") => {
                TokenSinkResult::RawData(RawKind::Rawtext)
            }
            (true, "title" | "textarea") => TokenSinkResult::RawData(RawKind::Rcdata),
            _ => TokenSinkResult::Continue,
        }
    }

    /// Enters or leaves an element that is not shown.
    fn hide(&mut self, name: &str, opens: bool) {
        match (&mut self.skipping, opens) {
            (None, true) => self.skipping = Some((name.to_owned(), 1)),
            (Some((hidden, depth)), true) if hidden == name => *depth += 1,
            (Some((hidden, depth)), false) if hidden == name => {
                *depth -= 1;
                if *depth == 0 {
                    self.skipping = None;
                }
            }
            (Some(_), _) | (None, false) => {}
        }
    }

    /// Puts lines and columns where the markup has them.
    fn lay_out(&mut self, name: &str, opens: bool) {
        if self.after_bullet && opens && name != "li" {
            return;
        }
        match (name, opens) {
            ("br", _) => self.text.end_line(),
            ("pre", _) => {
                self.in_pre = opens;
                self.text.end_started_line();
            }
            ("li", true) => {
                self.text.end_started_line();
                self.text.push("- ");
                self.after_bullet = true;
            }
            ("td" | "th", false) => self.text.push("\t"),
            ("p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "table" | "blockquote", _) => {
                self.text.end_line();
                self.text.end_line();
            }
            (name, _) if is_block(name) => self.text.end_started_line(),
            _ => {}
        }
    }

    fn characters(&mut self, characters: &str) {
        if self.skipping.is_some() {
            return;
        }
        self.after_bullet &= characters.trim_ascii().is_empty();
        if self.in_pre {
            return self.text.push(characters);
        }
        let mut words = characters.split(|c: char| c.is_ascii_whitespace()).peekable();
        while let Some(word) = words.next() {
            self.text.push(word);
            if words.peek().is_some() {
                self.text.push_space();
            }
        }
    }
}

/// Elements whose content is for machines.
fn is_hidden(name: &str) -> bool {
    matches!(
        name,
        "script"
            | "style"
            | "title"
            | "template"
            | "svg"
            | "math"
            | "noframes"
            | "iframe"
            | "noembed"
            | "object"
    )
}

/// Elements that stand on lines of their own.
fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "body"
            | "caption"
            | "dd"
            | "details"
            | "dialog"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "header"
            | "hr"
            | "li"
            | "main"
            | "nav"
            | "ol"
            | "option"
            | "section"
            | "select"
            | "summary"
            | "tr"
            | "ul"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(html: &str) -> String {
        let mut text = Text::new(10_000);
        push(html, &mut text);
        text.finish().0
    }

    /// Goal: words, lines and columns are kept; markup, scripts and styles are not.
    #[test]
    fn only_words_are_kept() {
        for (html, expected) in [
            ("<p>one &amp; two&nbsp;&eacute;&#8364;</p><p>three</p>", "one & two é€\n\nthree"),
            ("a<script>if (1 < 2) { x('</p>') }</script>b<STYLE>p{}</STYLE>c", "abc"),
            ("<head><title>T</title></head><body>x  \n y</body>", "x y"),
            ("<ul><li>one</li> <li> <p><b>t</b>wo</p></li></ul>", "- one\n- two"),
            ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a\tb\nc"),
            ("<pre>a\n  b</pre>c", "a\n  b\nc"),
            ("x<!-- <p>no</p> -->y<br/>z", "xy\nz"),
            ("a<svg><text>no</text><svg/></svg>b", "ab"),
            ("unclosed <p <b>x", "unclosed\n\nx"),
            ("<p>one <b>two</b> three</p>", "one two three"),
        ] {
            assert_eq!(words(html), expected, "{html}");
        }
    }

    /// Goal: hostile nesting costs neither stack nor time. Method: 300,000 unclosed elements.
    #[test]
    fn deep_nesting_is_flat() {
        assert_eq!(words(&format!("{}deep", "<div>".repeat(300_000))), "deep");
    }

    /// Goal: a page in an old encoding is read in it.
    #[test]
    fn the_page_names_its_encoding() {
        for head in [
            "<meta charset=\"windows-1251\">",
            "<meta content='text/html; charset=windows-1251'>",
            "<?xml version='1.0' encoding='windows-1251'?>",
        ] {
            let encoding = charset_within(head.as_bytes()).expect("an encoding");
            assert_eq!(encoding.name(), "windows-1251", "{head}");
        }
    }
}
