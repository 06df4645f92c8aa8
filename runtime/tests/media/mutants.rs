//! A thousand damaged files of each format, each through a real child: every one ends in an outcome or
//! a failure that says why, none hangs, and none is told as a panic of the service.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anteroom_core::message::{FailureKind, Outcome};
use anteroom_runtime::media::processor::{Failure, run_isolated};
use image::{DynamicImage, ImageFormat, Rgba};

use crate::files::*;
use crate::picture::{animated_webp, encoded, picture};
use crate::video::{CLIP, M4A, MP3, VOICE, sample};
use crate::{ANTEROOM, documents, read, stage, text, work};

/// How many mutated copies of a file are read.
const MUTANTS: u64 = 1_000;

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
pub fn mutant(file: &[u8], seed: u64) -> Vec<u8> {
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

/// Reads every mutant of `file` as a worker would. The whole file must be readable, and some mutants
/// must be, or this would prove nothing.
async fn check_documents(file: &[u8], mime_type: &str) {
    let whole = read(file, mime_type).await;
    assert!(matches!(whole, Ok(Outcome::Text(_))), "{whole:?}");
    let mut texts = 0;
    for seed in 0..MUTANTS {
        let staged = stage(&mutant(file, seed));
        let mut work = work(&staged.path, mime_type);
        work.timeout = MUTANT_TIMEOUT;
        match run_isolated(documents(), work).await {
            Ok(outcome) => texts += u64::from(matches!(outcome, Outcome::Text(_))),
            Err(Failure::Permanent { error, detail }) => {
                assert!(!detail.is_empty(), "seed {seed}");
                assert!(detail.len() < 4_096, "seed {seed}: {detail}");
                assert_ne!(error, FailureKind::FileMissing, "seed {seed}");
            }
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    assert!(texts > 0, "no mutant was read");
}

/// Runs the child by hand, on a machine without any engine.
fn child<A: AsRef<OsStr>>(content: &[u8], arguments: &[A]) -> Output {
    let staged = stage(content);
    Command::new(ANTEROOM)
        .args(["extract", "--cpu-seconds", "20"])
        .args(arguments)
        .arg(&staged.path)
        .env("PATH", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .expect("started")
}

/// Has the child work on every mutant; it ends by a report, or by one of its limits.
fn check_children<A: AsRef<OsStr>>(file: &[u8], arguments: &[A], well: &str) {
    let (mut reports, mut read) = (0, 0);
    for seed in 0..MUTANTS {
        let output = child(&mutant(file, seed), arguments);
        if output.status.success() {
            let line = output.stdout.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let report: serde_json::Value = serde_json::from_slice(line).expect("a report");
            reports += 1;
            read += u64::from(report["reading"]["kind"] == well);
            assert_eq!(output.stderr, b"", "seed {seed}: a panic is told in the report only");
        } else {
            assert!(output.status.signal().is_some(), "seed {seed}: {output:?}");
        }
    }
    assert!(read > 0 && reports > MUTANTS * 9 / 10, "{read} read, {reports} reports");
}

/// Goal: see the file's head, for PDF through `pdftotext`.
#[tokio::test]
async fn damaged_pdfs_end_in_bounds_with_pdftotext() {
    check_documents(&pdf(&["The invoice is due", "on Friday.", "Yours, Ann"]), PDF).await;
}

/// Goal: see the file's head, for PDF through the library, whose panics end in reports.
#[test]
fn damaged_pdfs_end_in_bounds_without_engines() {
    let file = pdf(&["The invoice is due", "on Friday.", "Yours, Ann"]);
    check_children(&file, &["--mime", PDF], "text");
}

/// Goal: see the file's head.
#[tokio::test]
async fn damaged_word_documents_end_in_bounds() {
    let file = docx(&[paragraph("The invoice"), paragraph("is due on Friday.")].concat());
    check_documents(&file, DOCX).await;
}

/// Goal: see the file's head.
#[tokio::test]
async fn damaged_workbooks_end_in_bounds() {
    let rows = "<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>name</t></is></c><c r=\"C1\"><v>42</v></c></row>";
    check_documents(&xlsx(rows), XLSX).await;
}

/// Goal: see the file's head, for workbooks of Excel 97.
#[tokio::test]
async fn damaged_old_workbooks_end_in_bounds() {
    let file = xls(&[("rent", 650.0), ("light", 42.5)]);
    assert_eq!(text(read(&file, XLS).await), "rent\t650\nlight\t42.5");
    check_documents(&file, XLS).await;
}

/// Goal: see the file's head.
#[tokio::test]
async fn damaged_presentations_end_in_bounds() {
    check_documents(&pptx(&["one", "two", "three"]), PPTX).await;
}

/// Goal: see the file's head.
#[tokio::test]
async fn damaged_open_documents_end_in_bounds() {
    let body = "<office:text><text:h>Title</text:h><text:p>a<text:s text:c=\"3\"/>b</text:p></office:text>";
    check_documents(&open_document(ODT, body), ODT).await;
}

/// Goal: see the file's head.
#[tokio::test]
async fn damaged_open_tables_end_in_bounds() {
    let table = "<table:table><table:table-row><table:table-cell table:number-columns-repeated=\"3\">\
                 <text:p>x</text:p></table:table-cell></table:table-row></table:table>";
    check_documents(&open_document(ODS, table), ODS).await;
}

/// Goal: see the file's head.
#[tokio::test]
async fn damaged_e_books_end_in_bounds() {
    check_documents(&epub(), EPUB).await;
}

/// Goal: see the file's head.
#[tokio::test]
async fn damaged_web_pages_end_in_bounds() {
    let page = "<!doctype html><html><head><title>x</title><style>p{}</style></head><body>\
                <table><tr><td>one<td>t&uuml;&#x20;</table><script>x</script><pre> a </pre></body>";
    check_documents(page.as_bytes(), "text/html").await;
}

/// Goal: see the file's head.
#[tokio::test]
async fn damaged_rich_texts_end_in_bounds() {
    let text = "{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0 Arial;}}{\\*\\x hidden}caf\\'e9\\par \\u8364? {\\b x}}";
    check_documents(text.as_bytes(), "application/rtf").await;
}

/// Goal: see the file's head, for text, in tables and in JSON.
#[tokio::test]
async fn damaged_texts_end_in_bounds() {
    check_documents("name;price\nAnn;42 \u{20ac}\nBob;\"a;b\"\n".as_bytes(), "text/csv").await;
}

/// Goal: see the file's head.
#[tokio::test]
async fn damaged_json_ends_in_bounds() {
    check_documents(br#"{"name": "Ann", "owes": [42, 1.5e3, null, "\u20ac"]}"#, "application/json")
        .await;
}

/// Decodes every mutant of a picture.
fn check_pictures(file: &[u8], mime_type: &str) {
    check_children(file, &["--mime", mime_type, "--still", "400"], "still");
}

fn sign() -> DynamicImage {
    picture("CALL", Rgba([200, 220, 240, 255]))
}

/// Goal: see the file's head.
#[test]
fn damaged_png_end_in_bounds() {
    check_pictures(&encoded(&sign(), ImageFormat::Png), "image/png");
}

/// Goal: see the file's head.
#[test]
fn damaged_jpeg_end_in_bounds() {
    let opaque = DynamicImage::ImageRgb8(sign().to_rgb8());
    check_pictures(&encoded(&opaque, ImageFormat::Jpeg), "image/jpeg");
}

/// Goal: see the file's head.
#[test]
fn damaged_gif_end_in_bounds() {
    check_pictures(&encoded(&sign(), ImageFormat::Gif), "image/gif");
}

/// Goal: see the file's head.
#[test]
fn damaged_bmp_end_in_bounds() {
    check_pictures(&encoded(&sign(), ImageFormat::Bmp), "image/bmp");
}

/// Goal: see the file's head, for stickers that move.
#[test]
fn damaged_animated_webp_end_in_bounds() {
    check_pictures(&animated_webp(&sign()), "image/webp");
}

/// Has every mutant of a recording or video told from a document that it is declared as; none of them is one, but
/// what is left of a mutant may read as text.
async fn check_sniffing(file: &[u8], media_type: &str) {
    let ended = read(file, PDF).await;
    let is_told = |ended: &Result<Outcome, Failure>| match ended {
        Ok(Outcome::Unsupported { detail }) => {
            detail.as_ref().is_some_and(|detail| detail.contains(media_type))
        }
        Ok(_) | Err(_) => false,
    };
    assert!(is_told(&ended), "{ended:?}");
    let mut told = 0;
    for seed in 0..MUTANTS {
        let ended = read(&mutant(file, seed), PDF).await;
        told += u64::from(is_told(&ended));
        match ended {
            Ok(_) => {}
            Err(Failure::Permanent { error, detail }) => {
                assert!(!detail.is_empty() && detail.len() < 4_096, "seed {seed}: {detail}");
                assert_ne!(error, FailureKind::FileMissing, "seed {seed}");
            }
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    assert!(told > MUTANTS / 2, "{told} were told as {media_type}");
}

/// Goal: a damaged recording or video that is declared as a document is told from one, within bounds.
/// Method: a thousand damaged copies of each format that phones send, through the document child's sniffing.
#[tokio::test]
async fn damaged_voice_notes_are_told_from_documents_with_ffmpeg() {
    check_sniffing(&sample(VOICE), "audio/").await;
}

/// Goal and method: as above.
#[tokio::test]
async fn damaged_mp3_are_told_from_documents_with_ffmpeg() {
    check_sniffing(&sample(MP3), "application/x-id3v2").await;
}

/// Goal and method: as above.
#[tokio::test]
async fn damaged_m4a_are_told_from_documents_with_ffmpeg() {
    check_sniffing(&sample(M4A), "audio/").await;
}

/// Goal and method: as above.
#[tokio::test]
async fn damaged_mp4_are_told_from_documents_with_ffmpeg() {
    check_sniffing(&sample(CLIP), "application/mp4").await;
}

/// Goal: a file that is cut, or is nothing but noise, is told apart from every format without a panic.
/// Method: the heads of all formats with noise behind them, declared as something else.
#[tokio::test]
async fn noise_is_told_apart_from_every_format() {
    let heads: [&[u8]; 12] = [
        b"%PDF-1.7\n",
        b"PK\x03\x04",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"{\\rtf1",
        b"<html>",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"RIFF\x10\0\0\0WEBP",
        b"BM",
        b"\xff\xfe",
        b"",
    ];
    let types = [PDF, DOCX, XLSX, ODT, EPUB, "text/plain", "text/html", "image/png", "x/y"];
    for (index, head) in heads.iter().enumerate() {
        for (other, mime_type) in types.iter().enumerate() {
            let mut noise = Noise((index * 100 + other) as u64);
            let mut file = head.to_vec();
            file.extend((0..4_000).map(|_| noise.next() as u8));
            let ended = read(&file, mime_type).await;
            let is_told = match &ended {
                Ok(_) => true,
                Err(Failure::Permanent { detail, .. }) => !detail.contains("panicked at runtime/"),
                Err(_) => false,
            };
            assert!(is_told, "{head:?} as {mime_type}: {ended:?}");
        }
    }
}
