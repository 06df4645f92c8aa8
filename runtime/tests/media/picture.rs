//! Pictures and stickers, read by the real engine.

use std::io::Cursor;
use std::sync::Arc;

use anteroom_core::message::Outcome;
use anteroom_runtime::media::document::DocumentProcessor;
use anteroom_runtime::media::processor::run_isolated;
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

use crate::{ANTEROOM, stage, text, work};

/// Letters of seven rows of five dots, a bit a dot, the leftmost the highest.
const LETTERS: [(char, [u8; 7]); 12] = [
    ('A', [0x0e, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11]),
    ('C', [0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e]),
    ('D', [0x1e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1e]),
    ('E', [0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f]),
    ('H', [0x11, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11]),
    ('I', [0x0e, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e]),
    ('L', [0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1f]),
    ('N', [0x11, 0x19, 0x15, 0x13, 0x11, 0x11, 0x11]),
    ('O', [0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e]),
    ('R', [0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11]),
    ('T', [0x1f, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04]),
    (' ', [0; 7]),
];

/// Pixels a dot.
const DOT: u32 = 6;

/// Black words on `background`.
pub fn picture(words: &str, background: Rgba<u8>) -> DynamicImage {
    let width = (words.len() as u32 * 6 + 10) * DOT;
    let mut picture = RgbaImage::from_pixel(width, 17 * DOT, background);
    for (index, letter) in words.chars().enumerate() {
        let (_, rows) = LETTERS.iter().find(|(known, _)| *known == letter).expect("a letter");
        for (row, dots) in rows.iter().enumerate() {
            for column in (0..5).filter(|column| dots & (0x10 >> column) != 0) {
                let (x, y) = ((index as u32 * 6 + 5 + column) * DOT, (row as u32 + 5) * DOT);
                for (dx, dy) in (0..DOT).flat_map(|dx| (0..DOT).map(move |dy| (dx, dy))) {
                    picture.put_pixel(x + dx, y + dy, Rgba([0, 0, 0, 255]));
                }
            }
        }
    }
    DynamicImage::ImageRgba8(picture)
}

pub fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("encoded");
    bytes.into_inner()
}

/// An animated WebP of two frames, the second of which is empty: a still picture's only chunk, put
/// twice into the container's animation chunks.
pub fn animated_webp(picture: &DynamicImage) -> Vec<u8> {
    let frame = |picture: &DynamicImage| {
        let still = encoded(picture, ImageFormat::WebP);
        let mut frame = vec![0; 6];
        frame.extend(&(picture.width() - 1).to_le_bytes()[..3]);
        frame.extend(&(picture.height() - 1).to_le_bytes()[..3]);
        frame.extend([100, 0, 0, 2]);
        frame.extend(&still[12..]);
        frame
    };
    let empty = DynamicImage::new_rgba8(picture.width(), picture.height());
    let mut header = vec![0x12, 0, 0, 0];
    header.extend(&(picture.width() - 1).to_le_bytes()[..3]);
    header.extend(&(picture.height() - 1).to_le_bytes()[..3]);
    let mut body = b"WEBP".to_vec();
    let animation = [0_u8; 6].to_vec();
    for (name, content) in [
        (b"VP8X", header),
        (b"ANIM", animation),
        (b"ANMF", frame(picture)),
        (b"ANMF", frame(&empty)),
    ] {
        body.extend(name);
        body.extend((content.len() as u32).to_le_bytes());
        body.extend(&content);
        body.extend(vec![0; content.len() % 2]);
    }
    [b"RIFF".as_slice(), &(body.len() as u32).to_le_bytes(), &body].concat()
}

async fn words(content: &[u8], mime_type: &str) -> String {
    let staged = stage(content);
    let processor = Arc::new(DocumentProcessor::for_pictures(ANTEROOM.into()));
    text(run_isolated(processor, work(&staged.path, mime_type)).await)
}

/// Goal: words are read in pictures of every usual format.
#[tokio::test]
async fn pictures_are_read_by_tesseract() {
    let picture = picture("CALL THE DOCTOR", Rgba([255; 4]));
    let opaque = DynamicImage::ImageRgb8(picture.to_rgb8());
    for (format, mime_type) in [
        (ImageFormat::Png, "image/png"),
        (ImageFormat::Jpeg, "image/jpeg"),
        (ImageFormat::Gif, "image/gif"),
        (ImageFormat::WebP, "image/webp"),
        (ImageFormat::Bmp, "image/bmp"),
    ] {
        let source = if format == ImageFormat::Jpeg { &opaque } else { &picture };
        assert_eq!(
            words(&encoded(source, format), mime_type).await,
            "CALL THE DOCTOR",
            "{mime_type}"
        );
    }
}

/// Goal: stickers, which are transparent and move, are read by their first frame. Method: black words
/// on nothing; without white behind them they are black on black.
#[tokio::test]
async fn animated_transparent_stickers_are_read_by_tesseract() {
    let sticker = picture("CALL ALL DOCTOR", Rgba([0, 0, 0, 0]));
    assert_eq!(words(&animated_webp(&sticker), "image/webp").await, "CALL ALL DOCTOR");
}

/// Goal: a picture without words holds nothing.
#[tokio::test]
async fn pictures_without_words_hold_nothing_for_tesseract() {
    for side in [1, 400] {
        let blank =
            DynamicImage::ImageRgba8(RgbaImage::from_pixel(side, side, Rgba([200, 220, 240, 255])));
        let staged = stage(&encoded(&blank, ImageFormat::Png));
        let processor = Arc::new(DocumentProcessor::for_pictures(ANTEROOM.into()));
        let outcome = run_isolated(processor, work(&staged.path, "image/png")).await;
        assert_eq!(outcome, Ok(Outcome::Nothing), "{side} pixels");
    }
}
