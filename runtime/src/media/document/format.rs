//! What a file really is.
//!
//! The content decides; the declared type only chooses between readings that the content leaves open.
//! Text is recognised before binary signatures, since many of those are ordinary letters (a note that
//! begins with "BM" is no bitmap).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use file_format::FileFormat;

/// How much of a file is looked at to tell text from anything else.
const HEAD_BYTES: u64 = 8 * 1024;

/// Which reader a file needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// No bytes at all; that is a valid text, and nothing else.
    Empty { is_text: bool },
    /// Text as it stands: plain, Markdown, CSV, JSON, XML.
    Plain,
    /// HTML or XHTML.
    Html,
    /// Rich Text Format.
    Rtf,
    /// PDF.
    Pdf,
    /// Office Open XML, a document.
    Word,
    /// Office Open XML, a presentation.
    Slides,
    /// Office Open XML, a workbook.
    Workbook,
    /// Excel 97–2003.
    OldWorkbook,
    /// OpenDocument: text, spreadsheet, presentation or drawing.
    OpenDocument,
    /// An e-book.
    Epub,
    /// A picture that may hold text.
    Picture,
    /// Nothing that is recognised.
    Unknown,
    /// A recognised type that is not read here.
    Other(FileFormat),
}

/// A file's format, and its real type when that is not the declared one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recognised {
    pub format: Format,
    pub actual_type: Option<String>,
}

/// Recognises `file`, which was declared to be of `mime_type`.
///
/// # Errors
/// The file could not be read.
pub(super) fn recognise(file: &mut File, mime_type: &str) -> io::Result<Recognised> {
    let declared = declared(mime_type);
    let mut head = Vec::new();
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    if head.is_empty() {
        let is_text = matches!(declared, Some(Format::Plain | Format::Html));
        return Ok(Recognised { format: Format::Empty { is_text }, actual_type: None });
    }
    file.seek(SeekFrom::Start(0))?;
    let signature = FileFormat::from_reader(&mut *file)?;
    let format = decide(&head, signature, declared);
    let actual_type = match format {
        Format::Plain | Format::Other(FileFormat::PlainText) if declared != Some(Format::Plain) => {
            Some("text/plain".to_owned())
        }
        Format::Unknown => None,
        format if declared == Some(format) => None,
        _ => Some(signature.media_type().to_owned()),
    };
    Ok(Recognised { format, actual_type })
}

/// Chooses the reader from the content, and from the declared type where the content is not enough.
fn decide(head: &[u8], signature: FileFormat, declared: Option<Format>) -> Format {
    let by_signature = by_signature(signature);
    let declared_as_text = matches!(declared, Some(Format::Plain | Format::Html));
    match by_signature {
        Some(marked @ (Format::Pdf | Format::Rtf | Format::Html)) => marked,
        _ if is_text(head, declared_as_text) => match declared {
            Some(Format::Html) => Format::Html,
            // The source of a drawing is not what a person sees in it.
            Some(Format::Picture) => Format::Other(FileFormat::PlainText),
            _ => Format::Plain,
        },
        Some(format) => format,
        None => declared.unwrap_or(Format::Unknown),
    }
}

/// The reader for a signature; none when it says too little: unknown bytes, or a bare container.
fn by_signature(signature: FileFormat) -> Option<Format> {
    Some(match signature {
        FileFormat::PortableDocumentFormat | FileFormat::AdobeIllustratorArtwork => Format::Pdf,
        FileFormat::RichTextFormat => Format::Rtf,
        FileFormat::HypertextMarkupLanguage => Format::Html,
        FileFormat::OfficeOpenXmlDocument => Format::Word,
        FileFormat::OfficeOpenXmlPresentation => Format::Slides,
        FileFormat::OfficeOpenXmlSpreadsheet => Format::Workbook,
        FileFormat::MicrosoftExcelSpreadsheet => Format::OldWorkbook,
        FileFormat::OpendocumentText
        | FileFormat::OpendocumentTextTemplate
        | FileFormat::OpendocumentSpreadsheet
        | FileFormat::OpendocumentSpreadsheetTemplate
        | FileFormat::OpendocumentPresentation
        | FileFormat::OpendocumentPresentationTemplate
        | FileFormat::OpendocumentGraphics => Format::OpenDocument,
        FileFormat::ElectronicPublication => Format::Epub,
        FileFormat::JointPhotographicExpertsGroup
        | FileFormat::PortableNetworkGraphics
        | FileFormat::AnimatedPortableNetworkGraphics
        | FileFormat::GraphicsInterchangeFormat
        | FileFormat::Webp
        | FileFormat::WindowsBitmap => Format::Picture,
        FileFormat::Zip
        | FileFormat::CompoundFileBinary
        | FileFormat::ArbitraryBinaryData
        | FileFormat::Empty => return None,
        other => Format::Other(other),
    })
}

/// The reader for a declared type, parameters and case ignored.
fn declared(mime_type: &str) -> Option<Format> {
    let essence = mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(match essence.as_str() {
        "application/pdf" => Format::Pdf,
        "application/rtf" | "text/rtf" => Format::Rtf,
        "text/html" | "application/xhtml+xml" => Format::Html,
        "application/json" | "application/xml" => Format::Plain,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => Format::Word,
        "application/vnd.openxmlformats-officedocument.presentationml.presentation" => {
            Format::Slides
        }
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => Format::Workbook,
        "application/vnd.ms-excel" => Format::OldWorkbook,
        "application/epub+zip" => Format::Epub,
        office if office.starts_with("application/vnd.oasis.opendocument.") => Format::OpenDocument,
        text if text.starts_with("text/") => Format::Plain,
        picture if picture.starts_with("image/") => Format::Picture,
        _ => return None,
    })
}

/// Whether these bytes, the beginning of a file, read as text: Unicode with a mark, UTF-8, or, if text
/// was declared, any single-byte encoding. Control characters are not text.
fn is_text(head: &[u8], any_encoding: bool) -> bool {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return head.len().is_multiple_of(2);
    }
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The end of the head may have split a character.
        Err(error) => error.error_len().is_none() && head.len() as u64 == HEAD_BYTES,
    };
    let is_control = |byte: &u8| byte.is_ascii_control() && !b"\t\n\r\x0b\x0c\x1b".contains(byte);
    (is_utf8 || any_encoding) && !head.iter().any(is_control)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn recognised(content: &[u8], mime_type: &str) -> (Format, Option<String>) {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("written");
        file.rewind().expect("rewound");
        let Recognised { format, actual_type } = recognise(&mut file, mime_type).expect("readable");
        (format, actual_type)
    }

    /// Goal: the content decides, the declared type only where the content leaves it open, and a
    /// difference is told. Method: contents and declared types side by side.
    #[test]
    fn content_decides_before_the_declared_type() {
        let latin = b"caf\xe9 au lait".as_slice();
        for (content, mime_type, format, actual_type) in [
            (b"hello".as_slice(), "text/plain", Format::Plain, None),
            (b"hello", "TEXT/Markdown; charset=utf-8", Format::Plain, None),
            (b"hello", "application/pdf", Format::Plain, Some("text/plain")),
            (b"BMW and friends", "text/plain", Format::Plain, None),
            (b"MZ is a magic pair", "text/plain", Format::Plain, None),
            (b"<p>no doctype", "text/html", Format::Html, None),
            (b"<!DOCTYPE html><p>x", "text/plain", Format::Html, Some("text/html")),
            (b"%PDF-1.4\n", "text/plain", Format::Pdf, Some("application/pdf")),
            (b"{\\rtf1 x}", "application/rtf", Format::Rtf, None),
            (latin, "text/csv", Format::Plain, None),
            (latin, "application/pdf", Format::Pdf, None),
            (b"\xff\xfeh\0i\0", "text/plain", Format::Plain, None),
            (
                b"<svg></svg>",
                "image/svg+xml",
                Format::Other(FileFormat::PlainText),
                Some("text/plain"),
            ),
            (b"\0\x01\x02\x03", "text/plain", Format::Plain, None),
            (b"\0\x01\x02\x03", "application/x-unheard-of", Format::Unknown, None),
            (b"", "text/plain", Format::Empty { is_text: true }, None),
            (b"", "application/pdf", Format::Empty { is_text: false }, None),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "application/pdf", Format::Picture, Some("image/jpeg")),
            (
                b"\x1f\x8b\x08\0\0\0\0\0",
                "application/pdf",
                Format::Other(FileFormat::Gzip),
                Some("application/gzip"),
            ),
        ] {
            let (is, actually) = recognised(content, mime_type);
            assert_eq!(
                (is, actually.as_deref()),
                (format, actual_type),
                "{content:?} as {mime_type}"
            );
        }
    }
}
