//! Excel workbooks: rows as lines, cells separated by tabs, a heading a sheet when there are several.

use std::fs::File;
use std::io::BufReader;

use calamine::{Data, DataRef, ExcelDateTime, Reader, Xls, Xlsx};

use super::package::Package;
use super::report::Unread;
use super::text::Text;

/// Reads a workbook of Excel 2007 and later, cell by cell: a sheet with a cell in its last corner costs
/// no more than one with a cell in its first.
pub(super) fn read_xlsx(file: File, text: &mut Text) -> Result<(), Unread> {
    Package::open(file.try_clone()?)?.require_bounded()?;
    let mut workbook = Xlsx::new(BufReader::new(file)).map_err(Unread::damaged)?;
    let sheets = workbook.sheet_names();
    for sheet in &sheets {
        head(sheet, sheets.len(), text);
        // A chart sheet has no cells.
        let Ok(mut cells) = workbook.worksheet_cells_reader(sheet) else { continue };
        let mut row = None;
        while let Some(cell) = cells.next_cell().map_err(Unread::damaged)? {
            if *cell.get_value() == DataRef::Empty {
                continue;
            }
            separate(&mut row, cell.get_position().0, text);
            push_value(&Data::from(cell.get_value().clone()), text);
            if text.is_full() {
                return Ok(());
            }
        }
        text.end_line();
    }
    Ok(())
}

/// Reads a workbook of Excel 97 to 2003, whose sheets have at most 65,536 rows of 256 cells.
pub(super) fn read_xls(file: File, text: &mut Text) -> Result<(), Unread> {
    let mut workbook = Xls::new(BufReader::new(file)).map_err(Unread::damaged)?;
    let sheets = workbook.sheet_names();
    for sheet in &sheets {
        head(sheet, sheets.len(), text);
        let Ok(range) = workbook.worksheet_range(sheet) else { continue };
        let mut current = None;
        for (row, _, value) in range.used_cells() {
            separate(&mut current, row, text);
            push_value(value, text);
            if text.is_full() {
                return Ok(());
            }
        }
        text.end_line();
    }
    Ok(())
}

/// Names a sheet, unless it is the only one.
fn head(sheet: &str, sheets: usize, text: &mut Text) {
    if sheets > 1 {
        text.end_line();
        text.push(&format!("{sheet}:\n"));
    }
}

/// Puts a tab between the cells of a row, and a line's end between rows.
fn separate<R: PartialEq>(current: &mut Option<R>, row: R, text: &mut Text) {
    match current.replace(row) {
        None => {}
        same if same == *current => text.push("\t"),
        Some(_) => text.end_line(),
    }
}

/// Writes a cell as a person would read it.
fn push_value(value: &Data, text: &mut Text) {
    match value {
        Data::Empty => {}
        Data::DateTime(moment) => text.push(&moment_as_text(moment)),
        // A line's end within a cell would look like the end of its row.
        Data::String(words) => text.push(&words.replace(['\n', '\r'], " ")),
        Data::Int(_)
        | Data::Float(_)
        | Data::Bool(_)
        | Data::DateTimeIso(_)
        | Data::DurationIso(_)
        | Data::Error(_) => text.push(&value.to_string()),
    }
}

/// A date, a time or both; a duration in hours, minutes and seconds.
fn moment_as_text(moment: &ExcelDateTime) -> String {
    let days = moment.as_f64();
    if moment.is_duration() || (0.0..1.0).contains(&days) {
        let seconds = (days * 86_400.0).round() as i64;
        return format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    match (hour, minute, second) {
        (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
    }
}
