//! The verdict as a SQLite file, which osquery shows as a table (its "automatic table construction").
//!
//! Written by hand, as it is one small table: the format is that of sqlite.org/fileformat2.html. Pages
//! have the largest size there is: one for the schema, one for the rows, or where they need more, one
//! that leads to the others. Long texts are cut, so that every row fits into a page.

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
/// The header of a page that leads to others.
const INTERIOR: usize = 12;

impl Document {
    /// The table `ccretain_check` as a SQLite file; the columns are [`COLUMNS`].
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
        let mut leaves: Vec<Leaf> = Vec::new();
        let mut next = 0;
        while next < rows.len() || leaves.is_empty() {
            let leaf = leaf(0, &rows, next);
            next = leaf.next;
            leaves.push(leaf);
        }
        let mut pages = vec![leaf(HEADER, &[schema], 0).page];
        if leaves.len() > 1 {
            pages.push(interior(&leaves));
        }
        pages.extend(leaves.into_iter().map(|leaf| leaf.page));
        let count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
        pages[0][..HEADER].copy_from_slice(&header(count));
        pages.concat()
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The header of a database of so many pages.
fn header(pages: u32) -> [u8; HEADER] {
    let mut header = [0_u8; HEADER];
    header[..16].copy_from_slice(b"SQLite format 3\0");
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(16, &1_u16.to_be_bytes());
    // Written and read as a legacy file; no reserved space; the fixed fractions of the format.
    put(18, &[1, 1, 0, 64, 32, 32]);
    put(24, &1_u32.to_be_bytes());
    put(28, &pages.to_be_bytes());
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

/// A leaf page of a table, with the number of the row that comes after it.
struct Leaf {
    page: Vec<u8>,
    next: usize,
}

/// As many rows as fit, from the row `first` on; `start` is where the header of the page lies.
fn leaf(start: usize, rows: &[Vec<u8>], first: usize) -> Leaf {
    let mut page = Page::new(0x0d, start, LEAF);
    let mut next = first;
    for (at, row) in rows.iter().enumerate().skip(first) {
        let mut cell = Vec::new();
        varint(&mut cell, row.len() as u64);
        varint(&mut cell, at as u64 + 1);
        cell.extend_from_slice(row);
        if !page.put(&cell) {
            break;
        }
        next = at + 1;
    }
    // A row that fits into no page would be asked for without end; none is that long.
    Leaf { page: page.done(), next: next.max(first + 1) }
}

/// The page that leads to the leaves, which follow it; itself the second page of the file.
fn interior(leaves: &[Leaf]) -> Vec<u8> {
    let mut page = Page::new(0x05, 0, INTERIOR);
    let number = |at: usize| u32::try_from(at + 3).unwrap_or(u32::MAX).to_be_bytes();
    for (at, leaf) in leaves.iter().enumerate().take(leaves.len() - 1) {
        let mut cell = number(at).to_vec();
        // The greatest row of the leaf.
        varint(&mut cell, leaf.next as u64);
        page.put(&cell);
    }
    let mut page = page.done();
    page[8..12].copy_from_slice(&number(leaves.len() - 1));
    page
}

/// A page that is being filled: pointers from its beginning, cells from its end.
struct Page {
    bytes: Vec<u8>,
    start: usize,
    header: usize,
    end: usize,
    pointers: Vec<u16>,
}

impl Page {
    fn new(kind: u8, start: usize, header: usize) -> Self {
        let mut bytes = vec![0_u8; PAGE];
        bytes[start] = kind;
        Self { bytes, start, header, end: PAGE, pointers: Vec::new() }
    }

    /// Adds a cell; says whether there was room.
    fn put(&mut self, cell: &[u8]) -> bool {
        let taken = self.start + self.header + (self.pointers.len() + 1) * 2;
        let Some(begin) = self.end.checked_sub(cell.len()).filter(|begin| *begin > taken) else {
            return false;
        };
        self.bytes[begin..self.end].copy_from_slice(cell);
        self.end = begin;
        self.pointers.push(u16::try_from(begin).unwrap_or_default());
        true
    }

    fn done(mut self) -> Vec<u8> {
        let count = u16::try_from(self.pointers.len()).unwrap_or_default();
        // The full size does not fit and is written as 0.
        let end = u16::try_from(self.end).unwrap_or(0);
        let start = self.start;
        self.bytes[start + 3..start + 5].copy_from_slice(&count.to_be_bytes());
        self.bytes[start + 5..start + 7].copy_from_slice(&end.to_be_bytes());
        for (at, pointer) in self.pointers.iter().enumerate() {
            let place = start + self.header + at * 2;
            self.bytes[place..place + 2].copy_from_slice(&pointer.to_be_bytes());
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn sqlite_itself_reads_as_many_rows_as_there_are() {
        let finding = |number: usize| {
            serde_json::json!({"id": format!("f{number}"), "severity": "high", "title": "é".repeat(number % 900),
                "evidence": ["x".repeat(number % 2_000)]})
        };
        for many in [0, 1, 60, 3_000] {
            let document: Document = serde_json::from_value(serde_json::json!({
                "schema": "ccretain.check/1", "now": "n", "compliant": false, "user": "u",
                "findings": (0..many).map(finding).collect::<Vec<_>>(),
            }))
            .unwrap();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::io::Write::write_all(&mut file.as_file(), &document.sqlite()).unwrap();
            let script = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); \
                assert d.execute('pragma integrity_check').fetchall() == [('ok',)]; \
                print(d.execute('select count(*), count(distinct id), max(length(evidence)) from ccretain_check').fetchone())";
            let Ok(output) = Command::new("python3").args(["-c", script]).arg(file.path()).output() else {
                return;
            };
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let rows = many.max(1);
            let longest = if many > LONGEST { LONGEST } else { many.saturating_sub(1) };
            assert_eq!(
                said.trim(),
                format!("({rows}, {rows}, {longest})"),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}
