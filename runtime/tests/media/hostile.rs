//! Documents made to hurt: each ends in an outcome or a typed failure, in bounded time and memory.

use std::io::{Cursor, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use anteroom_core::message::{FailureKind, Outcome};
use anteroom_runtime::media::processor::{Failure, run_isolated};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::files::*;
use crate::{ANTEROOM, documents, read, stage, work};

/// How many mutated copies of a file are read.
const MUTANTS: u64 = 300;

/// How long any one of them may take.
const MUTANT_TIMEOUT: Duration = Duration::from_secs(20);

/// A small generator of reproducible noise (the SplitMix64 sequence).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// A damaged copy: bytes changed, a piece doubled, removed or cut off.
fn mutant(file: &[u8], seed: u64) -> Vec<u8> {
    let mut noise = Noise(seed);
    let mut mutant = file.to_vec();
    for _ in 0..=noise.below(12) {
        let at = noise.below(mutant.len());
        let to = (at + noise.below(64)).min(mutant.len());
        match noise.below(6) {
            0..=2 if !mutant.is_empty() => mutant[at] = noise.next() as u8,
            3 => {
                let piece = mutant[at..to].to_vec();
                mutant.splice(at..at, piece);
            }
            4 => {
                mutant.drain(at..to);
            }
            5 if noise.below(4) == 0 => mutant.truncate(at),
            _ => {}
        }
    }
    mutant
}

/// Reads every mutant of `file`; counts those that were read. None may hang, and none may end as
/// anything but an outcome or a permanent failure.
async fn read_mutants(file: &[u8], mime_type: &str) -> u64 {
    let mut read = 0;
    for seed in 0..MUTANTS {
        let staged = stage(&mutant(file, seed));
        let mut work = work(&staged.path, mime_type);
        work.timeout = MUTANT_TIMEOUT;
        match run_isolated(documents(), work).await {
            Ok(_) => read += 1,
            Err(Failure::Permanent { error, detail }) => {
                assert!(!detail.is_empty(), "seed {seed}");
                assert!(detail.len() < 4_096, "seed {seed}: {detail}");
                assert_ne!(error, FailureKind::FileMissing, "seed {seed}");
            }
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    read
}

/// Goal: 300 damaged PDFs, each in an outcome or a failure. The whole file must be among what is
/// read, or the test would prove nothing.
#[tokio::test]
async fn damaged_pdfs_end_in_bounds() {
    let file = pdf(&["The invoice is due", "on Friday.", "Yours, Ann"]);
    assert!(read(&file, PDF).await.is_ok());
    assert!(read_mutants(&file, PDF).await > 0);
}

/// Goal: the same without `pdftotext`: the library's panics end in reports, and whatever else it does
/// ends the child.
#[test]
fn damaged_pdfs_end_in_bounds_without_engines() {
    let file = pdf(&["The invoice is due", "on Friday.", "Yours, Ann"]);
    let (mut read, mut reports) = (0, 0);
    for seed in 0..MUTANTS {
        let staged = stage(&mutant(&file, seed));
        let output = Command::new(ANTEROOM)
            .args(["extract", "--mime", PDF, "--cpu-seconds", "20"])
            .arg(&staged.path)
            .env("PATH", "/nonexistent")
            .output()
            .expect("started");
        if output.status.success() {
            let report: serde_json::Value =
                serde_json::from_slice(&output.stdout).expect("a report");
            reports += 1;
            read += u64::from(report["reading"]["kind"] == "text");
            assert_eq!(output.stderr, b"", "seed {seed}: a panic is told in the report only");
        } else {
            assert!(output.status.signal().is_some(), "seed {seed}: {output:?}");
        }
    }
    assert!(read > 0 && reports > MUTANTS * 9 / 10, "{read} read, {reports} reports");
}

/// Goal: the same for Word documents.
#[tokio::test]
async fn damaged_word_documents_end_in_bounds() {
    let file = docx(&[paragraph("The invoice"), paragraph("is due on Friday.")].concat());
    assert!(read(&file, DOCX).await.is_ok());
    read_mutants(&file, DOCX).await;
}

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
    let started = Instant::now();
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
    assert!(started.elapsed() < Duration::from_secs(50));
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
