//! Scans: PDF files without text, read page by page by another engine.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anteroom_core::message::{Extracted, Outcome};
use anteroom_runtime::media::document::{DocumentProcessor, Scans};
use anteroom_runtime::media::processor::{BoxFuture, Failure, Processor, Work, run_isolated};
use anteroom_runtime::media::scratch::Scratch;
use image::{ImageFormat, Rgb, RgbImage, Rgba, imageops};

use crate::files::{PDF, pdf, scanned_pdf};
use crate::picture::{encoded, picture};
use crate::{ANTEROOM, stage, text, work};

/// Counts pages, and says how large each is.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Processor for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn process(&self, work: Work) -> BoxFuture<'static, Result<Outcome, Failure>> {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Box::pin(async move {
            let page =
                image::open(&work.path).map_err(|error| Failure::engine(error.to_string()))?;
            assert_eq!(work.mime_type, "image/png");
            assert_eq!(page.width().max(page.height()), 2_200, "pages are drawn in bounds");
            let text = format!("page {number}");
            Ok(Outcome::Text(Extracted { text, ..Extracted::default() }))
        })
    }
}

fn program(name: &str) -> std::path::PathBuf {
    let found = Command::new("which").arg(name).output().expect("started");
    String::from_utf8(found.stdout).expect("UTF-8").trim().into()
}

fn reader(
    engine: Arc<dyn Processor>,
    scratch: &std::path::Path,
    pages_max: u32,
) -> DocumentProcessor {
    let scratch = Scratch::open(scratch, 0).expect("opened");
    let scans = Scans::new(program("pdftoppm"), ANTEROOM.into(), scratch, engine);
    DocumentProcessor::new(ANTEROOM.into()).with_scans(scans.with_pages_max(pages_max))
}

/// A page of paper at 150 dots an inch with these words on it.
fn page(words: &str) -> Vec<u8> {
    let mut page = RgbImage::from_pixel(1_240, 1_754, Rgb([255; 3]));
    imageops::overlay(&mut page, &picture(words, Rgba([255; 4])).to_rgb8(), 100, 200);
    encoded(&page.into(), ImageFormat::Jpeg)
}

/// Goal: the pages of a scan are read in order, not more than allowed, and a cut is told; nothing is
/// left of them; a PDF with text of its own is not drawn. Needs `pdftoppm`, which comes with
/// `pdftotext`.
#[tokio::test]
async fn scans_are_read_page_by_page_with_pdftotext() {
    let home = tempfile::tempdir().expect("a directory");
    let scan = scanned_pdf(&[page("CALL"), page("ALL"), page("DOCTOR")]);
    for (pages_max, expected, truncated) in [
        (10, "page 1\n\npage 2\n\npage 3", false),
        (3, "page 1\n\npage 2\n\npage 3", false),
        (2, "page 1\n\npage 2", true),
    ] {
        let processor = reader(Arc::new(Counting::default()), home.path(), pages_max);
        let staged = stage(&scan);
        let ended = run_isolated(Arc::new(processor), work(&staged.path, PDF)).await;
        let text = Extracted { text: expected.to_owned(), truncated, ..Extracted::default() };
        assert_eq!(ended, Ok(Outcome::Text(text)));
        assert_eq!(std::fs::read_dir(home.path()).expect("listed").count(), 0);
    }
    let engine = Arc::new(Counting::default());
    let processor = reader(engine.clone(), home.path(), 10);
    let staged = stage(&pdf(&["own words"]));
    assert_eq!(text(run_isolated(Arc::new(processor), work(&staged.path, PDF)).await), "own words");
    assert_eq!(engine.0.load(Ordering::Relaxed), 0);
}

/// Goal: the words of a scan are found by the real engine, declared rightly or as something else.
#[tokio::test]
async fn words_in_scans_are_read_by_tesseract() {
    let home = tempfile::tempdir().expect("a directory");
    let scan = scanned_pdf(&[page("CALL THE DOCTOR"), page("CALL ALL")]);
    let engine: Arc<dyn Processor> = Arc::new(DocumentProcessor::for_pictures(ANTEROOM.into()));
    for declared in [PDF, "text/plain"] {
        let processor = reader(engine.clone(), home.path(), 10);
        let staged = stage(&scan);
        let ended = run_isolated(Arc::new(processor), work(&staged.path, declared)).await;
        assert_eq!(text(ended), "CALL THE DOCTOR\n\nCALL ALL", "declared as {declared}");
    }
}
