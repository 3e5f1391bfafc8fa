//! The files of a ledger in their order, and reading a file from its end.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::LedgerError;
use crate::error::At as _;
use crate::files;

/// The segment that is written to.
pub const ACTIVE: &str = "ledger.jsonl";
/// A new active segment on its way to its name.
pub(super) const FRESH: &str = "ledger.jsonl.new";

/// The name of a segment that is no longer written to, by the last sequence number in it.
pub(super) fn closed_name(last_seq: u64) -> String {
    format!("ledger-{last_seq:012}.jsonl")
}

/// The last sequence number that the name of a closed segment states.
fn closed_seq(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("ledger-")?.strip_suffix(".jsonl")?;
    (digits.len() >= 12 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// A segment, open for reading.
#[derive(Debug)]
pub(super) struct Segment {
    pub path: PathBuf,
    pub file: File,
    /// Whether it is the one written to.
    pub active: bool,
}

/// The closed segments of a folder, oldest first.
pub(super) fn closed(dir: &Path) -> Result<Vec<PathBuf>, LedgerError> {
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.at("list", dir)?,
    };
    for entry in entries {
        let entry = entry.at("list", dir)?;
        if let Some(seq) = entry.file_name().to_str().and_then(closed_seq) {
            found.push((seq, entry.path()));
        }
    }
    // By number and not by name: a number may have more than twelve digits.
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// All segments of a folder, oldest first, opened at one moment.
pub(super) fn open_all(dir: &Path) -> Result<Vec<Segment>, LedgerError> {
    // No lock is taken, so a run may rotate meanwhile. The active one is opened before the others are listed:
    // met again under its closed name, it ends the list, for what follows is newer. Where there are no hard
    // links a rotation has a moment without an active one; then it is looked for again.
    let mut segments = Vec::new();
    // To miss it again a rotation would have to be at that very moment again.
    for _ in 0..3 {
        segments = open_once(dir)?;
        if segments.last().is_none_or(|last| last.active) {
            break;
        }
    }
    Ok(segments)
}

fn open_once(dir: &Path) -> Result<Vec<Segment>, LedgerError> {
    let active = dir.join(ACTIVE);
    let active = files::open_for_reading(&active)?.map(|file| Segment { path: active, file, active: true });
    let mut segments = Vec::new();
    for path in closed(dir)? {
        let Some(file) = files::open_for_reading(&path)? else { continue };
        let again = active.as_ref().map_or(Ok(false), |active| same_file(&file, &active.file));
        if again.at("look at", &path)? {
            break;
        }
        segments.push(Segment { path, file, active: false });
    }
    segments.extend(active);
    Ok(segments)
}

#[cfg(unix)]
pub(super) fn same_file(one: &File, other: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

#[cfg(not(unix))]
pub(super) fn same_file(_: &File, _: &File) -> io::Result<bool> {
    // An open file cannot be renamed there, so it is never met twice.
    Ok(false)
}

/// A line read from the end of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TailLine {
    /// The bytes without the newline.
    pub bytes: Vec<u8>,
    /// Where it begins.
    pub offset: u64,
    /// Whether a newline ends it; only the last line of a file can lack one.
    pub ended: bool,
}

/// The lines of a file from its last to its first.
#[derive(Debug)]
pub(super) struct Backwards<'a> {
    file: &'a File,
    /// Where `held` begins in the file.
    start: u64,
    /// What was read and not yet given out.
    held: Vec<u8>,
    first: bool,
}

impl<'a> Backwards<'a> {
    const CHUNK: u64 = files::bound(64 * 1024, 64);

    pub(super) fn new(file: &'a File) -> io::Result<Self> {
        Ok(Self { file, start: file.metadata()?.len(), held: Vec::new(), first: true })
    }

    fn read_line(&mut self) -> io::Result<Option<TailLine>> {
        if self.held.is_empty() && self.start == 0 {
            return Ok(None);
        }
        let mut searched = 0;
        let mut ended = true;
        loop {
            if !self.held.is_empty() {
                // The last byte is the newline that ends the line sought, if one does.
                if self.first && self.held.last() != Some(&b'\n') {
                    ended = false;
                }
                let content = if ended { self.held.len() - 1 } else { self.held.len() };
                let unread = content.saturating_sub(searched);
                if let Some(at) = self.held.get(..unread).and_then(|part| memchr::memrchr(b'\n', part)) {
                    let mut bytes = self.held.split_off(at + 1);
                    if ended {
                        bytes.pop();
                    }
                    self.first = false;
                    return Ok(Some(TailLine { bytes, offset: self.start + at as u64 + 1, ended }));
                }
                if self.start == 0 {
                    self.held.truncate(content);
                    self.first = false;
                    return Ok(Some(TailLine { bytes: std::mem::take(&mut self.held), offset: 0, ended }));
                }
                // What was searched holds no newline: a long line is not searched again with each chunk.
                searched = content;
            }
            // Doubled, as each time what is held is moved: a line of gigabytes takes some thirty reads.
            let size = Self::CHUNK.max(self.held.len() as u64).min(self.start);
            let mut chunk = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
            self.start -= size;
            self.file.seek(SeekFrom::Start(self.start))?;
            self.file.read_exact(&mut chunk)?;
            chunk.append(&mut self.held);
            self.held = chunk;
        }
    }
}

impl Iterator for Backwards<'_> {
    type Item = io::Result<TailLine>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read_line().transpose()
    }
}
