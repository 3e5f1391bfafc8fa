//! Appending durably, and the space kept in reserve.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::PathError;
use crate::files;

/// What a batch is written to: a file, or a full disk in a test.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn flush_to_disk(&mut self) -> io::Result<()>;
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Sink for File {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
    fn flush_to_disk(&mut self) -> io::Result<()> {
        // The content and the length it needs; the times of the file prove nothing here.
        self.sync_data()
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// Why a batch is not on disk.
pub(super) enum Lost {
    /// Nothing of it remains; the next batch may be tried.
    Clean(io::Error),
    /// A part of it may remain, so nothing may follow it.
    Dirty(io::Error),
}

/// Appends a batch behind `length` bytes and flushes it; on a full disk `release` frees the
/// reserve and the batch is tried once more. A part of a batch is taken back.
pub(super) fn put_durably(
    sink: &mut impl Sink,
    length: u64,
    bytes: &[u8],
    release: impl FnOnce() -> bool,
) -> Result<(), Lost> {
    let mut attempt = || match sink.put(bytes).and_then(|()| sink.flush_to_disk()) {
        Ok(()) => Ok(()),
        // A part of a batch would be a torn line, behind which nothing else fits.
        Err(error) => match sink.cut(length) {
            Ok(()) => Err(Lost::Clean(error)),
            Err(_) => Err(Lost::Dirty(error)),
        },
    };
    match attempt() {
        Err(Lost::Clean(error)) if is_full(&error) && release() => attempt(),
        result => result,
    }
}

/// Whether an error says that there is no space left, or no share of it.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Space kept back so that a run on a full disk can still write what it deletes.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// Name of the file in the ledger's folder.
    pub(super) const FILE: &str = "ledger.reserve";
    /// Its size in bytes.
    pub(super) const SIZE: u64 = 1024 * 1024;

    pub(super) fn new(dir: &Path) -> Self {
        Self { path: dir.join(Self::FILE) }
    }

    /// Makes the reserve where it is missing or not ours alone; a failure leaves none.
    pub(super) fn make(&self) -> Result<(), PathError> {
        // It is made beside and renamed: what has that name is never written to, for it may be the second name
        // of something else.
        let is_whole = |file: &File| file.metadata().is_ok_and(|meta| meta.len() == Self::SIZE);
        if files::open_own(&self.path).is_ok_and(|file| file.as_ref().is_some_and(is_whole)) {
            return Ok(());
        }
        // Written in full: a sparse file would keep no space back.
        files::replace(&self.path, &noise(), 0o600)
    }

    /// Gives the space back; says whether there was any.
    pub(super) fn release(&self) -> bool {
        // Cut before it is unlinked, for whoever has it open would keep its space; not where it has a second name.
        let had = files::open_private(files::private_options().write(true), &self.path)
            .is_ok_and(|file| file.metadata().is_ok_and(|meta| meta.len() > 0) && file.set_len(0).is_ok());
        files::remove_own(&self.path).is_ok() && had
    }
}

/// Bytes that no file system can compress away or leave as a hole (xorshift64).
fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..Reserve::SIZE / 8)
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .collect()
}
