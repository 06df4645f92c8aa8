//! Files for the tests, made on the spot.

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
pub const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
pub const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
pub const XLS: &str = "application/vnd.ms-excel";
pub const ODT: &str = "application/vnd.oasis.opendocument.text";
pub const ODS: &str = "application/vnd.oasis.opendocument.spreadsheet";
pub const EPUB: &str = "application/epub+zip";
pub const PDF: &str = "application/pdf";

/// A zip package of these parts; a part called `mimetype` is stored as it is.
pub fn package(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        let method = match *name {
            "mimetype" => zip::CompressionMethod::Stored,
            _ => zip::CompressionMethod::Deflated,
        };
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).expect("a part");
        writer.write_all(content.as_bytes()).expect("written");
    }
    writer.finish().expect("a package").into_inner()
}

/// A Word document with this body.
pub fn docx(body: &str) -> Vec<u8> {
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\
         <w:document xmlns:w=\"w\" xmlns:mc=\"mc\"><w:body>{body}</w:body></w:document>"
    );
    package(&[
        ("[Content_Types].xml", "<Types xmlns=\"t\"/>"),
        ("_rels/.rels", "<Relationships xmlns=\"r\"/>"),
        ("word/document.xml", &document),
        (
            "word/footnotes.xml",
            "<w:footnotes xmlns:w=\"w\"><w:p><w:r><w:t>A note.</w:t></w:r></w:p></w:footnotes>",
        ),
    ])
}

/// A paragraph of a Word document.
pub fn paragraph(text: &str) -> String {
    format!("<w:p><w:r><w:t xml:space=\"preserve\">{text}</w:t></w:r></w:p>")
}

/// A presentation of these slides, stored in reverse order.
pub fn pptx(slides: &[&str]) -> Vec<u8> {
    let slides: Vec<(String, String)> = slides
        .iter()
        .enumerate()
        .rev()
        .map(|(index, text)| {
            let slide = format!(
                "<p:sld xmlns:p=\"p\" xmlns:a=\"a\"><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sld>"
            );
            (format!("ppt/slides/slide{}.xml", index + 1), slide)
        })
        .collect();
    let mut parts =
        vec![("[Content_Types].xml", "<Types xmlns=\"t\"/>"), ("ppt/presentation.xml", "<p/>")];
    parts.extend(slides.iter().map(|(name, slide)| (name.as_str(), slide.as_str())));
    package(&parts)
}

/// A workbook with one sheet of these rows, as XML.
pub fn xlsx(rows: &str) -> Vec<u8> {
    let sheet = format!(
        "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>{rows}</sheetData></worksheet>"
    );
    package(&[
        (
            "[Content_Types].xml",
            "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/></Types>",
        ),
        (
            "_rels/.rels",
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>",
        ),
        (
            "xl/workbook.xml",
            "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets><sheet name=\"One\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>",
        ),
        (
            "xl/_rels/workbook.xml.rels",
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"rId2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles\" Target=\"styles.xml\"/></Relationships>",
        ),
        (
            "xl/styles.xml",
            "<styleSheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>",
        ),
        ("xl/worksheets/sheet1.xml", &sheet),
    ])
}

/// A workbook of Excel 97 with one sheet of these rows of words, which are ASCII, each before a number.
pub fn xls(rows: &[(&str, f64)]) -> Vec<u8> {
    let record = |kind: u16, data: &[&[u8]]| {
        let data = data.concat();
        let length = u16::try_from(data.len()).expect("a short record");
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), &data].concat()
    };
    let begin = |of: u16| {
        let version = [0x0600_u16, of, 0x0dbb, 0x07cc].map(u16::to_le_bytes).concat();
        record(0x0809, &[&version, &[0; 8]])
    };
    let end = || record(0x000a, &[]);
    let words = |text: &str| {
        [&[u8::try_from(text.len()).expect("short words"), 0][..], text.as_bytes()].concat()
    };
    let sheet_of = |at: u32| record(0x0085, &[&at.to_le_bytes(), &[0, 0], &words("Bills")]);
    let head = begin(0x0005).len() + sheet_of(0).len() + end().len();
    let mut book =
        [begin(0x0005), sheet_of(u32::try_from(head).expect("short")), end(), begin(0x0010)]
            .concat();
    for (row, (text, number)) in (0_u16..).zip(rows) {
        let cell = |column: u16| [row, column, 0].map(u16::to_le_bytes).concat();
        let label =
            [&[u8::try_from(text.len()).expect("short words"), 0, 0][..], text.as_bytes()].concat();
        book.extend(record(0x0204, &[&cell(0), &label]));
        book.extend(record(0x0203, &[&cell(1), &number.to_le_bytes()]));
    }
    book.extend(end());
    compound_file("Workbook", &book)
}

/// A compound file of Excel's with one stream.
fn compound_file(name: &str, stream: &[u8]) -> Vec<u8> {
    const SECTOR: usize = 512;
    const NONE: u32 = u32::MAX;
    const CHAIN_END: u32 = NONE - 1;
    const TABLE: u32 = NONE - 2;
    // Shorter streams live elsewhere, in sectors of their own.
    let mut stream = stream.to_vec();
    stream.resize(stream.len().max(4_096).next_multiple_of(SECTOR), 0);
    let sectors = u32::try_from(stream.len() / SECTOR).expect("a short stream");
    let numbers = |numbers: &[u32]| -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    };
    let mut file = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    file.extend([0; 16]);
    file.extend([0x3e_u16, 3, 0xfffe, 9, 6, 0, 0, 0].map(u16::to_le_bytes).concat());
    file.extend(numbers(&[0, 1, 1, 0, 4_096, CHAIN_END, 0, CHAIN_END, 0, 0]));
    file.resize(SECTOR, 0xff);
    let chain = (3..2 + sectors).chain([CHAIN_END]);
    file.extend(numbers(&[TABLE, CHAIN_END].into_iter().chain(chain).collect::<Vec<_>>()));
    file.resize(2 * SECTOR, 0xff);
    let excel = *b"\x20\x08\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46";
    for (name, kind, child, class, start, size) in [
        ("Root Entry", 5, 1, excel, CHAIN_END, 0),
        (name, 2, NONE, [0; 16], 2, u32::try_from(stream.len()).expect("a short stream")),
    ] {
        let mut entry: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = u16::try_from(entry.len() + 2).expect("a short name");
        entry.resize(64, 0);
        entry.extend(length.to_le_bytes());
        entry.extend([kind, 1]);
        entry.extend(numbers(&[NONE, NONE, child]));
        entry.extend(class);
        entry.resize(116, 0);
        entry.extend(numbers(&[start, size, 0]));
        file.extend(entry);
    }
    file.resize(3 * SECTOR, 0);
    file.extend(stream);
    file
}

/// An OpenDocument file of this type with this body.
pub fn open_document(mime_type: &str, body: &str) -> Vec<u8> {
    let content = format!(
        "<office:document-content xmlns:office=\"o\" xmlns:text=\"t\" xmlns:table=\"tb\">\
         <office:body>{body}</office:body></office:document-content>"
    );
    package(&[("mimetype", mime_type), ("content.xml", &content)])
}

/// An e-book of two chapters, the second of which comes first in the package.
pub fn epub() -> Vec<u8> {
    package(&[
        ("mimetype", EPUB),
        (
            "META-INF/container.xml",
            "<container><rootfiles><rootfile full-path=\"OEBPS/book.opf\"/></rootfiles></container>",
        ),
        ("OEBPS/two.xhtml", "<html><body><h1>Two</h1><p>The end.</p></body></html>"),
        (
            "OEBPS/text/one.xhtml",
            "<html><head><title>x</title></head><body><p>It was a d&aacute;rk night.</p></body></html>",
        ),
        (
            "OEBPS/book.opf",
            "<package><manifest><item id=\"b\" href=\"two.xhtml\"/><item id=\"a\" href=\"text/one.xhtml\"/></manifest><spine><itemref idref=\"a\"/><itemref idref=\"b\"/></spine></package>",
        ),
    ])
}

/// A PDF of one page with these lines, or without any text.
pub fn pdf(lines: &[&str]) -> Vec<u8> {
    let shown: String = lines.iter().map(|line| format!("({line}) Tj 0 -20 Td ")).collect();
    let content = format!("BT /F1 14 Tf 72 720 Td {shown}ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
            .to_owned(),
    ];
    let mut file = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file.extend(format!("{} 0 obj\n{object}\nendobj\n", index + 1).bytes());
    }
    let table = file.len();
    file.extend(b"xref\n0 6\n0000000000 65535 f \n");
    for offset in offsets {
        file.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    file.extend(format!("trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n").bytes());
    file
}

/// The PDF `file`, encrypted with this password.
pub fn encrypted_pdf(file: &[u8], user_password: &str) -> Vec<u8> {
    use pdf_extract::{Document, EncryptionState, EncryptionVersion, Object, Permissions};
    let mut document = Document::load_mem(file).expect("a PDF");
    let id = Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", Object::Array(vec![id.clone(), id]));
    let version = EncryptionVersion::V2 {
        document: &document,
        owner_password: "owner",
        user_password,
        key_length: 128,
        permissions: Permissions::all(),
    };
    let state = EncryptionState::try_from(version).expect("a state");
    document.encrypt(&state).expect("encrypted");
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).expect("saved");
    bytes
}

/// A PDF of pages that are pictures: a JPEG each, and no text.
pub fn scanned_pdf(pages: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut offsets = Vec::new();
    let mut add = |file: &mut Vec<u8>, content: &[u8]| {
        offsets.push(file.len());
        file.extend(format!("{} 0 obj\n", offsets.len()).bytes());
        file.extend(content);
        file.extend(b"\nendobj\n");
    };
    let kids: String = (0..pages.len()).map(|page| format!("{} 0 R ", 3 + 3 * page)).collect();
    add(&mut file, b"<< /Type /Catalog /Pages 2 0 R >>");
    let count = pages.len();
    add(&mut file, format!("<< /Type /Pages /Kids [{kids}] /Count {count} >>").as_bytes());
    for (index, jpeg) in pages.iter().enumerate() {
        let decoded = image::load_from_memory(jpeg).expect("a picture");
        let (width, height) = (decoded.width(), decoded.height());
        let (content, picture) = (4 + 3 * index, 5 + 3 * index);
        let page = format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents {content} 0 R \
             /Resources << /XObject << /I {picture} 0 R >> >> >>"
        );
        add(&mut file, page.as_bytes());
        let drawing = format!("q {width} 0 0 {height} 0 0 cm /I Do Q");
        let stream = format!("<< /Length {} >>\nstream\n{drawing}\nendstream", drawing.len());
        add(&mut file, stream.as_bytes());
        let mut object = format!(
            "<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceRGB \
             /BitsPerComponent 8 /Filter /DCTDecode /Length {} >>\nstream\n",
            jpeg.len()
        )
        .into_bytes();
        object.extend(jpeg);
        object.extend(b"\nendstream");
        add(&mut file, &object);
    }
    let (table, size) = (file.len(), offsets.len() + 1);
    file.extend(format!("xref\n0 {size}\n0000000000 65535 f \n").bytes());
    for offset in offsets {
        file.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    let trailer = format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n");
    file.extend(trailer.bytes());
    file
}
