//! Pictures and stickers: the text that `tesseract` reads in them, and a small copy for engines
//! elsewhere.
//!
//! The first frame is decoded here, laid on white, turned upright, and handed over in a plain format:
//! engines fail on animated WebP and see nothing in transparent stickers. Pictures are bounded in their
//! dimensions before a pixel is decoded, and in what they unpack to.

use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::Path;
use std::process::Command;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, imageops};

use super::capture::capture;
use super::report::Unread;
use super::text::{CHARACTERS_MAX, Text};
use crate::media::programs;

/// How wide or high a picture may be.
const SIDE_PIXELS_MAX: u32 = 20_000;

/// How much a picture may unpack to.
const PIXELS_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How long the longer side is that the engine gets; more costs time and finds nothing more.
const ENGINE_SIDE_PIXELS_MAX: u32 = 4_000;

/// How good the small copy is, in percent.
const STILL_QUALITY: u8 = 85;

/// Reads a picture in these languages, as `tesseract` calls them; in its own default without any.
pub(super) fn read(path: &Path, languages: &str, text: &mut Text) -> Result<(), Unread> {
    let Some(program) = programs::find("tesseract") else {
        return Err(Unread::Unsupported("no processor configured for image".to_owned()));
    };
    let picture = first_frame(path, ENGINE_SIDE_PIXELS_MAX)?.into_luma8();
    let mut png = Vec::new();
    picture
        .write_to(&mut Cursor::new(&mut png), ImageFormat::Png)
        .map_err(|error| Unread::Broke(format!("the picture could not be passed on: {error}")))?;
    drop(picture);
    let mut command = Command::new(program);
    command.args(["stdin", "stdout"]);
    if !languages.is_empty() {
        command.args(["-l", languages]);
    }
    let said = capture(command, png, 4 * CHARACTERS_MAX as u64)
        .map_err(|error| Unread::Broke(format!("tesseract could not be run: {error}")))?;
    if !said.was_cut && !said.status.success() {
        return Err(Unread::Broke(format!("tesseract: {}: {}", said.status, said.stderr)));
    }
    let words = String::from_utf8_lossy(&said.stdout);
    // Marks alone are what the engine sees in a photograph.
    if words.chars().any(char::is_alphanumeric) {
        text.push(&words);
    }
    Ok(())
}

/// A JPEG of the first frame, its longer side at most `side_pixels_max`.
pub(super) fn still(path: &Path, side_pixels_max: u32) -> Result<Vec<u8>, Unread> {
    let picture = first_frame(path, side_pixels_max)?.into_rgb8();
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, STILL_QUALITY);
    picture
        .write_with_encoder(encoder)
        .map_err(|error| Unread::Broke(format!("the picture could not be passed on: {error}")))?;
    Ok(jpeg)
}

/// Decodes the first frame, as a person would see it, its longer side at most `side_pixels_max`.
fn first_frame(path: &Path, side_pixels_max: u32) -> Result<DynamicImage, Unread> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_PIXELS_MAX);
    limits.max_image_height = Some(SIDE_PIXELS_MAX);
    limits.max_alloc = Some(PIXELS_BYTES_MAX);
    let mut reader = ImageReader::new(BufReader::new(File::open(path)?)).with_guessed_format()?;
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(not_readable)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    if decoder.total_bytes() > PIXELS_BYTES_MAX {
        return Err(not_readable("it is too large"));
    }
    let picture = DynamicImage::from_decoder(decoder).map_err(not_readable)?;
    let mut picture = on_white(picture);
    picture.apply_orientation(orientation);
    let longer = picture.width().max(picture.height());
    Ok(match longer > side_pixels_max {
        true => picture.resize(side_pixels_max, side_pixels_max, imageops::FilterType::Triangle),
        false => picture,
    })
}

/// Puts white behind what is transparent.
fn on_white(picture: DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return picture;
    }
    let mut picture = picture.into_rgba8();
    for pixel in picture.pixels_mut() {
        let [red, green, blue, alpha] = pixel.0.map(u32::from);
        let over = |light: u32| ((light * alpha + 255 * (255 - alpha)) / 255) as u8;
        pixel.0 = [over(red), over(green), over(blue), 255];
    }
    DynamicImage::ImageRgba8(picture)
}

fn not_readable(error: impl std::fmt::Display) -> Unread {
    Unread::damaged(format!("not a readable picture: {error}"))
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, RgbaImage};

    use super::*;

    fn grey(picture: RgbaImage) -> Result<GrayImage, Unread> {
        let file = tempfile::Builder::new().suffix(".png").tempfile().expect("a file");
        picture.save(file.path()).expect("encoded");
        first_frame(file.path(), ENGINE_SIDE_PIXELS_MAX).map(DynamicImage::into_luma8)
    }

    /// Goal: what is transparent is white, whatever colour it hides; what is half so is between.
    #[test]
    fn transparency_is_laid_on_white() {
        let picture = RgbaImage::from_fn(3, 1, |x, _| {
            image::Rgba([[0, 0, 0, 0], [0, 0, 0, 255], [0, 0, 0, 128]][x as usize])
        });
        assert_eq!(grey(picture).expect("read").into_raw(), [255, 0, 127]);
    }

    /// Goal: the engine never gets more than it can use, and shapes stay as they are.
    #[test]
    fn large_pictures_are_made_smaller() {
        let picture = grey(RgbaImage::new(8_000, 1_000)).expect("read");
        assert_eq!(picture.dimensions(), (4_000, 500));
    }

    /// Goal: a picture with too many pixels is refused by its header. Method: one that would be decoded
    /// in an instant, but is wider than allowed.
    #[test]
    fn too_large_pictures_are_refused() {
        let refused = grey(RgbaImage::new(SIDE_PIXELS_MAX + 1, 1));
        assert!(matches!(refused, Err(Unread::Damaged(_))), "{refused:?}");
    }
}
