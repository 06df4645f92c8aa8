//! Documents made to hurt: each ends in an outcome or a typed failure, in bounded time and memory.

use std::io::{Cursor, Write};

use anteroom_core::message::{FailureKind, Outcome};
use anteroom_runtime::media::processor::Failure;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::files::*;
use crate::read;

/// A package whose part `name` unpacks to `length` blanks within `around`.
fn bomb(name: &str, around: [&str; 2], length: usize) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(name, SimpleFileOptions::default()).expect("a part");
    writer.write_all(around[0].as_bytes()).expect("written");
    let blanks = vec![b' '; 1024 * 1024];
    for _ in 0..length / blanks.len() {
        writer.write_all(&blanks).expect("written");
    }
    writer.write_all(around[1].as_bytes()).expect("written");
    writer.finish().expect("a package").into_inner()
}

/// Goal: a package that unpacks to 600 MiB of markup is refused long before that.
#[tokio::test]
async fn zip_bombs_are_refused() {
    let word = bomb("word/document.xml", ["<w:document><w:p ", "/></w:document>"], 600 << 20);
    assert!(word.len() < 2 << 20);
    let sheet = bomb("xl/worksheets/sheet1.xml", ["<worksheet ", "/>"], 600 << 20);
    for (file, mime_type) in [(word, DOCX), (sheet, XLSX)] {
        let outcome = read(&file, mime_type).await;
        let Err(Failure::Permanent { error: FailureKind::Unreadable, detail }) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(detail.contains("too many bytes"), "{detail}");
    }
}

/// Goal: a file that needs more memory than a reader may have costs its own job and nothing else.
/// Method: a PDF-less picture header that announces 20,000 by 20,000 pixels.
#[tokio::test]
async fn huge_pictures_are_refused() {
    let mut header = Vec::new();
    header.extend(b"BM");
    header.extend(0_u32.to_le_bytes());
    header.extend(0_u32.to_le_bytes());
    header.extend(54_u32.to_le_bytes());
    header.extend(40_u32.to_le_bytes());
    header.extend(19_999_u32.to_le_bytes());
    header.extend(19_999_u32.to_le_bytes());
    header.extend(1_u16.to_le_bytes());
    header.extend(24_u16.to_le_bytes());
    header.extend([0; 24]);
    let outcome = read(&header, "image/bmp").await;
    assert!(
        matches!(
            outcome,
            Err(Failure::Permanent { error: FailureKind::Unreadable, .. })
                | Ok(Outcome::Unsupported { .. })
        ),
        "{outcome:?}"
    );
}

/// Goal: nothing that is nested a hundred thousand deep breaks a reader.
#[tokio::test]
async fn deep_nesting_is_survived() {
    let deep = "<w:p>".repeat(100_000);
    let document = package(&[("word/document.xml", &deep), ("[Content_Types].xml", "<T/>")]);
    assert!(read(&document, DOCX).await.is_err());
    let arrays = format!("%PDF-1.4\n1 0 obj\n{}\nendobj\n", "[".repeat(200_000));
    assert!(read(arrays.as_bytes(), PDF).await.is_err());
    let page = format!("<html>{}deep", "<table><tr><td>".repeat(20_000));
    assert!(read(page.as_bytes(), "text/html").await.is_ok());
}
