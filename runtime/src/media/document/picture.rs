//! Pictures and stickers: the text that `tesseract` reads in them.
//!
//! The first frame is decoded here, laid on white, turned upright, made grey and handed over as a plain
//! PNG: the engine itself fails on animated WebP and sees nothing in transparent stickers. Pictures are
//! bounded in their dimensions before a pixel is decoded, and in what they unpack to.

use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::Path;
use std::process::Command;

use image::metadata::Orientation;
use image::{
    DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, Luma, imageops,
};

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

/// Reads a picture.
pub(super) fn read(path: &Path, text: &mut Text) -> Result<(), Unread> {
    let Some(program) = programs::find("tesseract") else {
        return Err(Unread::Unsupported("no processor configured for image".to_owned()));
    };
    let picture = first_frame(path)?;
    let mut png = Vec::new();
    picture
        .write_to(&mut Cursor::new(&mut png), ImageFormat::Png)
        .map_err(|error| Unread::Broke(format!("the picture could not be passed on: {error}")))?;
    drop(picture);
    let mut command = Command::new(program);
    command.args(["stdin", "stdout"]);
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

/// Decodes the first frame, as a person would see it, in grey.
fn first_frame(path: &Path) -> Result<GrayImage, Unread> {
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
    let picture = match longer > ENGINE_SIDE_PIXELS_MAX {
        true => picture.resize(
            ENGINE_SIDE_PIXELS_MAX,
            ENGINE_SIDE_PIXELS_MAX,
            imageops::FilterType::Triangle,
        ),
        false => picture,
    };
    Ok(picture.into_luma8())
}

/// Makes a picture grey and puts white behind what is transparent.
fn on_white(picture: DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return DynamicImage::ImageLuma8(picture.into_luma8());
    }
    let picture = picture.into_luma_alpha8();
    let grey = GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [light, alpha] = picture.get_pixel(x, y).0.map(u32::from);
        Luma([((light * alpha + 255 * (255 - alpha)) / 255) as u8])
    });
    DynamicImage::ImageLuma8(grey)
}

fn not_readable(error: impl std::fmt::Display) -> Unread {
    Unread::damaged(format!("not a readable picture: {error}"))
}

#[cfg(test)]
mod tests {
    use image::RgbaImage;

    use super::*;

    fn grey(picture: RgbaImage) -> Result<GrayImage, Unread> {
        let file = tempfile::Builder::new().suffix(".png").tempfile().expect("a file");
        picture.save(file.path()).expect("encoded");
        first_frame(file.path())
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
