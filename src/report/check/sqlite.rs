//! The verdict as a SQLite file, which osquery shows as a table (its "automatic table construction").
//!
//! Written by hand, as it is one small table: the format is that of sqlite.org/fileformat2.html. One
//! page for the schema, and one leaf page of the largest size there is for the rows; what does not fit
//! is cut, texts first.

use super::Document;
use super::osquery::COLUMNS;

/// The size of a page: the largest, written as 1 in the header.
const PAGE: usize = 65_536;
/// No text of a row is longer than this many bytes.
const LONGEST: usize = 1_000;
/// The header of the file, which the first page begins with.
const HEADER: usize = 100;
/// The header of a leaf page.
const LEAF: usize = 8;

impl Document {
    /// The table `ccretain_check` as a SQLite file; the columns are [`COLUMNS`].
    #[must_use]
    pub fn sqlite(&self) -> Vec<u8> {
        let columns: Vec<String> = COLUMNS.iter().map(|name| format!("{name} TEXT")).collect();
        let schema = format!("CREATE TABLE ccretain_check ({})", columns.join(", "));
        let schema = record(&[
            Field::Text("table"),
            Field::Text("ccretain_check"),
            Field::Text("ccretain_check"),
            Field::Integer(2),
            Field::Text(&schema),
        ]);
        let rows: Vec<Vec<u8>> = self
            .rows()
            .iter()
            .map(|row| record(&row.iter().map(|text| Field::Text(cut(text))).collect::<Vec<_>>()))
            .collect();
        let mut file = page(HEADER, &[schema]);
        file[..HEADER].copy_from_slice(&header());
        file.extend(page(0, &rows));
        file
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The header of a database of two pages.
fn header() -> [u8; HEADER] {
    let mut header = [0_u8; HEADER];
    header[..16].copy_from_slice(b"SQLite format 3\0");
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(16, &1_u16.to_be_bytes());
    // Written and read as a legacy file; no reserved space; the fixed fractions of the format.
    put(18, &[1, 1, 0, 64, 32, 32]);
    put(24, &1_u32.to_be_bytes());
    put(28, &2_u32.to_be_bytes());
    put(40, &1_u32.to_be_bytes());
    put(44, &4_u32.to_be_bytes());
    // UTF-8.
    put(56, &1_u32.to_be_bytes());
    put(92, &1_u32.to_be_bytes());
    put(96, &3_045_000_u32.to_be_bytes());
    header
}

enum Field<'a> {
    Text(&'a str),
    Integer(u8),
}

/// A record: a header of the types, then the values.
fn record(fields: &[Field<'_>]) -> Vec<u8> {
    let (mut types, mut values) = (Vec::new(), Vec::new());
    for field in fields {
        match field {
            Field::Text(text) => {
                varint(&mut types, text.len() as u64 * 2 + 13);
                values.extend_from_slice(text.as_bytes());
            }
            Field::Integer(value) => {
                types.push(1);
                values.push(*value);
            }
        }
    }
    // The length of the header counts itself; it has one byte, or two.
    let length = if types.len() + 1 < 128 { types.len() + 1 } else { types.len() + 2 };
    let mut record = Vec::new();
    varint(&mut record, length as u64);
    record.extend(types);
    record.extend(values);
    record
}

/// A number of variable length: seven bits a byte, the high ones first.
fn varint(out: &mut Vec<u8>, value: u64) {
    let mut bytes = vec![(value & 0x7f) as u8];
    let mut rest = value >> 7;
    while rest > 0 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.reverse();
    out.extend(bytes);
}

/// A leaf page of a table; `start` is where its header lies.
fn page(start: usize, rows: &[Vec<u8>]) -> Vec<u8> {
    let mut page = vec![0_u8; PAGE];
    let mut end = PAGE;
    let mut pointers: Vec<u16> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let mut cell = Vec::new();
        varint(&mut cell, row.len() as u64);
        varint(&mut cell, at as u64 + 1);
        cell.extend_from_slice(row);
        let taken = start + LEAF + (pointers.len() + 1) * 2;
        let Some(begin) = end.checked_sub(cell.len()).filter(|begin| *begin > taken) else { break };
        page[begin..end].copy_from_slice(&cell);
        end = begin;
        pointers.push(u16::try_from(begin).unwrap_or_default());
    }
    page[start] = 0x0d;
    let count = u16::try_from(pointers.len()).unwrap_or_default();
    page[start + 3..start + 5].copy_from_slice(&count.to_be_bytes());
    // The full size does not fit and is written as 0.
    page[start + 5..start + 7].copy_from_slice(&u16::try_from(end).unwrap_or(0).to_be_bytes());
    for (at, pointer) in pointers.iter().enumerate() {
        let place = start + LEAF + at * 2;
        page[place..place + 2].copy_from_slice(&pointer.to_be_bytes());
    }
    page
}
