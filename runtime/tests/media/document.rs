//! Documents of every kind that is read, declared rightly and wrongly, and damaged.

use std::process::{Command, Stdio};

use anteroom_core::message::{FailureKind, Outcome};
use anteroom_runtime::media::document::DocumentProcessor;
use anteroom_runtime::media::processor::{Failure, run_isolated};

use crate::files::*;
use crate::{ANTEROOM, documents, read, stage, text, work};

fn is_unreadable(outcome: &Result<Outcome, Failure>) -> bool {
    matches!(outcome, Err(Failure::Permanent { error: FailureKind::Unreadable, .. }))
}

/// Goal: the text of a Word document, without what a reader of it does not see.
#[tokio::test]
async fn word_documents_are_read() {
    let body = [
        &paragraph("Dear &lt;Ann&gt; &amp; Bob,"),
        "<w:p><w:r><w:t>one</w:t><w:tab/><w:t>two</w:t><w:br/><w:t>thr</w:t></w:r><w:r><w:t>ee</w:t></w:r></w:p>",
        "<w:p><w:r><w:instrText>PAGE</w:instrText><w:delText>deleted</w:delText></w:r></w:p>",
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr>",
        "<w:tr><w:tc><w:p><w:r><w:t>c</w:t></w:r></w:p></w:tc></w:tr></w:tbl>",
        "<mc:AlternateContent><mc:Choice><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Choice>\
         <mc:Fallback><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent>",
    ]
    .concat();
    assert_eq!(
        text(read(&docx(&body), DOCX).await),
        "Dear <Ann> & Bob,\none\ttwo\nthree\n\na \tb\nc\nbox\n\nA note."
    );
}

/// Goal: slides come in the order of their numbers, not of the package.
#[tokio::test]
async fn presentations_are_read_in_order() {
    let slides: Vec<String> = (1..=11).map(|number| format!("slide {number}")).collect();
    let slides: Vec<&str> = slides.iter().map(String::as_str).collect();
    assert_eq!(text(read(&pptx(&slides), PPTX).await), slides.join("\n\n"));
}

/// Goal: cells as a person reads them, and a cell in the last corner costs nothing.
#[tokio::test]
async fn workbooks_are_read() {
    let rows = "<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>name</t></is></c><c r=\"C1\"><v>42</v></c></row>\
                <row r=\"3\"><c r=\"A3\" s=\"1\"><v>45943</v></c><c r=\"B3\" t=\"b\"><v>1</v></c></row>\
                <row r=\"1048576\"><c r=\"XFD1048576\"><v>0.5</v></c></row>";
    assert_eq!(text(read(&xlsx(rows), XLSX).await), "name\t42\n2025-10-13\ttrue\n0.5");
}

/// Goal: OpenDocument text and tables.
#[tokio::test]
async fn open_documents_are_read() {
    let body = "<office:text><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>\
                <text:h>Title</text:h><text:p>a<text:s text:c=\"3\"/>b<text:tab/>c<text:span>d</text:span></text:p>\
                between</office:text>";
    assert_eq!(text(read(&open_document(ODT, body), ODT).await), "Title\na   b\tcd");
    let table = "<table:table><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell>\
                 <table:table-cell table:number-columns-repeated=\"16384\"><text:p>y</text:p></table:table-cell>\
                 </table:table-row><table:table-row><table:table-cell><text:p>z</text:p></table:table-cell>\
                 </table:table-row></table:table>";
    assert_eq!(text(read(&open_document(ODS, table), ODS).await), "x \ty\nz");
}

/// Goal: an e-book's chapters come in reading order.
#[tokio::test]
async fn e_books_are_read_in_order() {
    assert_eq!(text(read(&epub(), EPUB).await), "It was a dárk night.\n\nTwo\n\nThe end.");
}

/// Goal: text, markup and rich text, each in its encoding.
#[tokio::test]
async fn text_files_are_read() {
    for (content, mime_type, expected) in [
        (b"gr\xfc\xdfe;1\r\nx;2".as_slice(), "text/csv", "grüße;1\nx;2"),
        (b"{\"a\": [1, 2]}", "application/json", "{\"a\": [1, 2]}"),
        (b"<a>b &amp; c</a>", "application/xml", "<a>b &amp; c</a>"),
        (b"# Title\n\n* one\n", "text/markdown", "# Title\n\n* one"),
        (b"<!doctype html><p>one<p>t&uuml;<script>x</script>", "text/html", "one\n\ntü"),
        (b"{\\rtf1\\ansi caf\\'e9\\par x}", "application/rtf", "café\nx"),
    ] {
        assert_eq!(text(read(content, mime_type).await), expected, "{mime_type}");
    }
}

/// Goal: a PDF is read by `pdftotext`.
#[tokio::test]
async fn pdf_is_read_by_pdftotext() {
    let file = pdf(&["The invoice is due", "on Friday."]);
    assert_eq!(text(read(&file, PDF).await), "The invoice is due\non Friday.");
}

/// Runs the child by hand, on a machine without any engine.
fn extract_alone(content: &[u8], mime_type: &str) -> serde_json::Value {
    let staged = stage(content);
    let output = Command::new(ANTEROOM)
        .args(["extract", "--mime", mime_type, "--cpu-seconds", "30"])
        .arg(&staged.path)
        .env("PATH", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .expect("started");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
    serde_json::from_slice(&output.stdout).expect("a report")
}

/// Goal: without `pdftotext` the built-in library reads PDF, and without `tesseract` a picture's
/// report says what is missing.
#[test]
fn without_engines_pdf_is_read_and_pictures_are_not() {
    let report = extract_alone(&pdf(&["The invoice is due"]), PDF);
    assert_eq!(report["reading"]["text"], "The invoice is due");
    let report = extract_alone(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png");
    assert_eq!(report["reading"]["kind"], "unsupported");
    assert_eq!(report["reading"]["detail"], "no processor configured for image");
}

/// Goal: an encrypted PDF is read when it opens without a password, and only then, by either reader.
#[tokio::test]
async fn encrypted_pdfs_are_read_if_they_open_without_a_password() {
    let plain = pdf(&["The invoice"]);
    let (open, closed) = (encrypted_pdf(&plain, ""), encrypted_pdf(&plain, "secret"));
    assert!(!open.windows(7).any(|bytes| bytes == b"invoice"));
    assert_eq!(text(read(&open, PDF).await), "The invoice");
    assert_eq!(extract_alone(&open, PDF)["reading"]["text"], "The invoice");
    let outcome = read(&closed, PDF).await;
    assert!(is_unreadable(&outcome), "{outcome:?}");
    assert_eq!(extract_alone(&closed, PDF)["reading"]["error"], "unreadable");
}

/// Goal: what was read and holds no words is nothing found, not a failure.
#[tokio::test]
async fn files_without_words_hold_nothing() {
    for (content, mime_type) in [
        (pdf(&[]), PDF),
        (package(&[("word/document.xml", "<w:document><w:p/></w:document>")]), DOCX),
        (Vec::new(), "text/plain"),
        (b" \n\t\r\n".to_vec(), "text/plain"),
        (b"<html><script>x</script></html>".to_vec(), "text/html"),
    ] {
        assert_eq!(read(&content, mime_type).await, Ok(Outcome::Nothing), "{mime_type}");
    }
    assert_eq!(extract_alone(&pdf(&[]), PDF)["reading"]["kind"], "nothing");
}

/// Goal: the real type decides, and a wrong declaration is told beside the outcome.
#[tokio::test]
async fn the_real_type_wins_and_is_told() {
    let processor = DocumentProcessor::new(ANTEROOM.into());
    for (content, declared, actual) in [
        (docx(&paragraph("words")), PDF, Some(DOCX)),
        (docx(&paragraph("words")), DOCX, None),
        (pdf(&["words"]), DOCX, Some(PDF)),
        (open_document(ODT, "<text:p>words</text:p>"), "text/plain", Some(ODT)),
        (b"words".to_vec(), PDF, Some("text/plain")),
    ] {
        let staged = stage(&content);
        let document = processor.read(&work(&staged.path, declared)).await.expect("read");
        assert!(text(Ok(document.outcome)).starts_with("words"));
        assert_eq!(document.actual_type.as_deref(), actual, "declared as {declared}");
    }
}

/// Goal: a type that nothing reads says so, by its real name.
#[tokio::test]
async fn other_types_are_unsupported_by_name() {
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\0";
    assert_eq!(
        read(gzip, PDF).await,
        Ok(Outcome::Unsupported { detail: Some("the file is application/gzip".to_owned()) })
    );
}

/// Goal: damaged files are unreadable, with a reason, whichever way they are damaged.
#[tokio::test]
async fn damaged_files_are_unreadable() {
    let whole = docx(&paragraph("words"));
    let broken_xml = package(&[("word/document.xml", "<w:document><w:p></w:document>")]);
    let no_body = package(&[("[Content_Types].xml", "<Types/>"), ("word/other.xml", "<x/>")]);
    for (content, mime_type) in [
        (Vec::new(), PDF),
        (Vec::new(), DOCX),
        (b"%PDF-1.7\n".to_vec(), PDF),
        (pdf(&["words"])[..200].to_vec(), PDF),
        (whole[..whole.len() / 2].to_vec(), DOCX),
        (broken_xml, DOCX),
        (no_body, DOCX),
        (b"\0\x01\x02\x03binary\0".to_vec(), "text/plain"),
        (b"{\\rtf1 cut".to_vec(), "text/rtf"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), "image/png"),
    ] {
        let outcome = read(&content, mime_type).await;
        let is_picture = mime_type.starts_with("image/");
        let no_engine = matches!(outcome, Ok(Outcome::Unsupported { .. }));
        assert!(is_unreadable(&outcome) || is_picture && no_engine, "{mime_type}: {outcome:?}");
    }
}

/// Goal: a long text is cut, and says so.
#[tokio::test]
async fn long_texts_are_cut() {
    let content = "é".repeat(300_000);
    let Ok(Outcome::Text(extracted)) = read(content.as_bytes(), "text/plain").await else {
        panic!("no text")
    };
    assert_eq!(extracted.text.chars().count(), 200_000);
    assert!(extracted.truncated);
    let document = docx(&paragraph(&content));
    let Ok(Outcome::Text(extracted)) = read(&document, DOCX).await else { panic!("no text") };
    assert_eq!(extracted.text.chars().count(), 200_000);
    assert!(extracted.truncated);
}

/// Goal: a file that is not there, and a name that is no file, end as such and are not waited for.
#[tokio::test]
async fn what_is_no_file_is_not_read() {
    let staged = stage(b"words");
    let missing = staged.path.with_extension("gone");
    let outcome = run_isolated(documents(), work(&missing, "text/plain")).await;
    assert!(
        matches!(outcome, Err(Failure::Permanent { error: FailureKind::FileMissing, .. })),
        "{outcome:?}"
    );
    let link = staged.path.with_extension("link");
    std::os::unix::fs::symlink(&staged.path, &link).expect("linked");
    let outcome = run_isolated(documents(), work(&link, "text/plain")).await;
    assert!(is_unreadable(&outcome), "{outcome:?}");
}

/// Goal: a binary that is not there, or is another, is a failure that says so.
#[tokio::test]
async fn a_wrong_binary_is_told() {
    let staged = stage(b"words");
    for (program, said) in [("/nonexistent/anteroom", "not found"), ("/bin/true", "report")] {
        let processor = DocumentProcessor::new(program.into());
        let outcome = processor.read(&work(&staged.path, "text/plain")).await;
        let Err(Failure::Permanent { error: FailureKind::Engine, detail }) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(detail.contains(said), "{detail}");
    }
}
