//! Files with known words in them, made in code so that nobody has to trust a binary blob.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use embedded_graphics::mono_font::{MonoTextStyle, iso_8859_1::FONT_10X20};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::*;
use embedded_graphics::text::{Baseline, Text};
use zip::write::{SimpleFileOptions, ZipWriter};

/// What a PDF is called on the wire.
pub const PDF: &str = "application/pdf";
/// What a .docx is called on the wire.
pub const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

/// A PDF with one line of text a page. Lines are ASCII without brackets and backslashes.
///
/// The pages' contents stand first in the file, so a file that is cut short has no pages left.
pub fn pdf(pages: &[&str]) -> Vec<u8> {
    // Objects: contents 1..=n, pages n+1..=2n, then the tree, the font and the catalogue.
    let count = pages.len();
    let (tree, font, catalogue) = (2 * count + 1, 2 * count + 2, 2 * count + 3);
    let mut objects = Vec::with_capacity(catalogue);
    for text in pages {
        let content = format!("BT /F1 14 Tf 72 720 Td ({text}) Tj ET");
        let length = content.len();
        objects.push(format!("<< /Length {length} >>\nstream\n{content}\nendstream"));
    }
    for number in 1..=count {
        objects.push(format!(
            "<< /Type /Page /Parent {tree} 0 R /MediaBox [0 0 612 792] /Contents {number} 0 R \
             /Resources << /Font << /F1 {font} 0 R >> >> >>"
        ));
    }
    let kids: String = (count + 1..=2 * count).map(|page| format!("{page} 0 R ")).collect();
    objects.push(format!("<< /Type /Pages /Kids [{kids}] /Count {count} >>"));
    objects.push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned());
    objects.push(format!("<< /Type /Catalog /Pages {tree} 0 R >>"));

    let mut file = String::from("%PDF-1.4\n");
    let mut table = String::from("0000000000 65535 f \n");
    for (index, object) in objects.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{:010} 00000 n ", file.len());
        let _ = writeln!(file, "{} 0 obj\n{object}\nendobj", index + 1);
    }
    let (start, size) = (file.len(), objects.len() + 1);
    let _ = write!(
        file,
        "xref\n0 {size}\n{table}trailer\n<< /Size {size} /Root {catalogue} 0 R >>\n\
         startxref\n{start}\n%%EOF\n"
    );
    file.into_bytes()
}

/// The first tenth of a file: what an interrupted download leaves.
pub fn cut_short(mut file: Vec<u8>) -> Vec<u8> {
    file.truncate(file.len() / 10);
    file
}

/// A Word document with one paragraph a line. Lines are free of XML's special characters.
///
/// # Panics
/// Never: writing to memory does not fail.
pub fn docx(paragraphs: &[&str]) -> Vec<u8> {
    const TYPES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"#;
    const RELATIONSHIPS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>"#;
    let body: String = paragraphs
        .iter()
        .map(|paragraph| format!("<w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p>"))
        .collect();
    let document = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>"#
    );
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, text) in [
        ("[Content_Types].xml", TYPES),
        ("_rels/.rels", RELATIONSHIPS),
        ("word/document.xml", document.as_str()),
    ] {
        archive.start_file(name, stored).expect("names are short");
        archive.write_all(text.as_bytes()).expect("memory takes everything");
    }
    archive.finish().expect("memory takes everything").into_inner()
}

/// A calendar entry: a type that no processor takes.
pub fn ics() -> Vec<u8> {
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//anteroom//tests//EN\r\nBEGIN:VEVENT\r\n\
      UID:1@tests\r\nDTSTART:20260101T200000Z\r\nSUMMARY:Dinner\r\nEND:VEVENT\r\n\
      END:VCALENDAR\r\n"
        .to_vec()
}

/// A picture of `words`, black on white, large enough for an engine to read.
///
/// # Panics
/// Never: encoding to memory does not fail.
pub fn png(words: &str) -> Vec<u8> {
    let canvas = Canvas::with(words);
    let (width, height) = canvas.enlarged();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().expect("the header is well formed");
    writer.write_image_data(&canvas.pixels()).expect("the canvas has the header's size");
    writer.finish().expect("memory takes everything");
    file
}

/// A small black-and-white picture.
struct Canvas {
    width: u32,
    height: u32,
    ink: Vec<bool>,
}

impl Canvas {
    /// White space around the words, before they are enlarged.
    const MARGIN: u32 = 20;
    /// How much the words are enlarged: the font's letters are 10 × 20, engines like 30 × 60.
    const ENLARGEMENT: u32 = 3;

    fn with(words: &str) -> Self {
        let letters = u32::try_from(words.chars().count()).expect("a few words");
        let (width, height) = (letters * 10 + 2 * Self::MARGIN, 20 + 2 * Self::MARGIN);
        let ink = vec![false; (width * height) as usize];
        let mut canvas = Self { width, height, ink };
        let style = MonoTextStyle::new(&FONT_10X20, BinaryColor::On);
        let corner = Point::new_equal(Self::MARGIN.cast_signed());
        let text = Text::with_baseline(words, corner, style, Baseline::Top);
        let Ok(_) = text.draw(&mut canvas);
        canvas
    }

    fn enlarged(&self) -> (u32, u32) {
        (self.width * Self::ENLARGEMENT, self.height * Self::ENLARGEMENT)
    }

    /// The enlarged picture, a byte a pixel.
    fn pixels(&self) -> Vec<u8> {
        let (width, height) = self.enlarged();
        let shade = |x, y| if self.ink[self.index(x, y)] { 0 } else { 255 };
        (0..height)
            .flat_map(|y| (0..width).map(move |x| (x / Self::ENLARGEMENT, y / Self::ENLARGEMENT)))
            .map(|(x, y)| shade(x, y))
            .collect()
    }

    fn index(&self, x: u32, y: u32) -> usize {
        (y * self.width + x) as usize
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }
}

impl DrawTarget for Canvas {
    type Color = BinaryColor;
    type Error = std::convert::Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = Pixel<Self::Color>>,
    {
        for Pixel(point, color) in pixels {
            if let (Ok(x), Ok(y)) = (u32::try_from(point.x), u32::try_from(point.y))
                && x < self.width
                && y < self.height
            {
                let index = self.index(x, y);
                self.ink[index] = color.is_on();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Goal: a PDF that is cut short has no pages left, so no reader can find words in it.
    #[test]
    fn a_pdf_cut_short_has_no_pages() {
        let whole = pdf(&["one page", "another page"]);
        assert!(String::from_utf8_lossy(&whole).contains("/Type /Pages"));
        assert!(!String::from_utf8_lossy(&cut_short(whole)).contains("/Type /Page"));
    }

    /// Goal: the picture's words are there for an engine to read, so a test that misses them blames
    /// the server and not the picture.
    #[test]
    fn tesseract_reads_the_picture() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let picture = directory.path().join("words.png");
        std::fs::write(&picture, png("Meet me at the harbour")).expect("it can be written");
        let output = Command::new("tesseract").arg(&picture).arg("stdout").output();
        let output = output.expect("tesseract is installed; `cargo xtask test` sees to it");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Meet me at the harbour"));
    }
}
