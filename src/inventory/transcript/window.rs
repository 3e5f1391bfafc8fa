//! Windows on a file of any size: no line is read whole to find where it begins or ends.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::TAIL;
use crate::files;
use crate::inventory::lenient::MARK;

/// The lines that begin at a place of a file. A byte order mark is the file's, at its beginning alone: in front of a
/// later line it hides that line from Claude Code too.
pub(super) fn unmarked(at: u64, bytes: &[u8]) -> &[u8] {
    if at == 0 { bytes.strip_prefix(MARK).unwrap_or(bytes) } else { bytes }
}

/// Reads so many bytes, or up to the end of the file: one call where the file gives them at once,
/// where `read_to_end` would ask again and again whether there is more.
pub(super) fn fill(mut file: &File, length: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(())
}

/// Where the line that ends at `end` begins: after the newline before it, or at 0.
pub(super) fn line_start(mut file: &File, end: u64, buffer: &mut Vec<u8>) -> io::Result<u64> {
    let mut to = end;
    while to > 0 {
        if to < end {
            // No line begins in a hole.
            to = files::data_before(file, to)?;
        }
        let from = to.saturating_sub(TAIL);
        file.seek(SeekFrom::Start(from))?;
        fill(file, to - from, buffer)?;
        if let Some(at) = memchr::memrchr(b'\n', buffer) {
            return Ok(from + at as u64 + 1);
        }
        to = from;
    }
    Ok(0)
}

/// Where the line that holds `start` ends: at its newline, or at the end of the file.
pub(super) fn line_end(mut file: &File, start: u64, buffer: &mut Vec<u8>) -> io::Result<u64> {
    file.seek(SeekFrom::Start(start))?;
    let mut at = start;
    loop {
        fill(file, TAIL, buffer)?;
        if buffer.is_empty() {
            return Ok(at);
        }
        if let Some(end) = memchr::memchr(b'\n', buffer) {
            return Ok(at + end as u64);
        }
        at += buffer.len() as u64;
    }
}
