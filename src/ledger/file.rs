//! Files of our own: private, no links, nobody else's, synced; and the space kept in reserve.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::LedgerError;
use crate::error::{At as _, PathError};

/// Options that create with mode 0600 and never follow a link in the last component.
#[cfg(unix)]
pub(crate) fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    // NONBLOCK so that a pipe in the place of a file is refused and not waited for.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    options.mode(0o600).custom_flags(flags.bits().cast_signed());
    options
}

/// Options as the system has them: there are no modes here.
#[cfg(not(unix))]
pub(crate) fn private() -> OpenOptions {
    OpenOptions::new()
}

/// Opens a file of ours for reading; `None` where there is none.
pub(crate) fn open_existing(path: &Path) -> Result<Option<File>, LedgerError> {
    match private().read(true).open(path) {
        Ok(file) => check(&file, path).map(|()| Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refusal(path, error, "open")),
    }
}

/// Opens a segment for reading; `None` where there is none.
///
/// It may be somebody else's: an auditor reads the ledgers of others, and changes nothing.
pub(super) fn open_for_reading(path: &Path) -> Result<Option<File>, LedgerError> {
    match private().read(true).open(path) {
        Ok(file) => regular(&file, path).map(|_| Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refusal(path, error, "open")),
    }
}

/// Opens with the given options and checks what was opened.
pub(crate) fn open_checked(options: &OpenOptions, path: &Path) -> Result<File, LedgerError> {
    let file = options.open(path).map_err(|error| refusal(path, error, "open"))?;
    check(&file, path)?;
    Ok(file)
}

/// A link is named as such: the system only says "too many levels of symbolic links".
fn refusal(path: &Path, error: io::Error, doing: &'static str) -> LedgerError {
    if path.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
        return LedgerError::Unsafe { path: path.to_path_buf(), why: "it is a link" };
    }
    PathError { path: path.to_path_buf(), doing, source: error }.into()
}

/// Whether an open file is a regular file of ours; a mode that lets others read is tightened.
fn check(file: &File, path: &Path) -> Result<(), LedgerError> {
    let meta = regular(file, path)?;
    make_private(file, &meta, path)
}

#[cfg(unix)]
fn make_private(file: &File, meta: &std::fs::Metadata, path: &Path) -> Result<(), LedgerError> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    if meta.uid() != rustix::process::geteuid().as_raw() {
        let why = "it belongs to somebody else";
        return Err(LedgerError::Unsafe { path: path.to_path_buf(), why });
    }
    if meta.mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).at("change the mode of", path)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(_: &File, _: &std::fs::Metadata, _: &Path) -> Result<(), LedgerError> {
    Ok(())
}

fn regular(file: &File, path: &Path) -> Result<std::fs::Metadata, LedgerError> {
    let meta = file.metadata().at("look at", path)?;
    if meta.is_file() {
        return Ok(meta);
    }
    Err(LedgerError::Unsafe { path: path.to_path_buf(), why: "it is not a regular file" })
}

/// Makes a folder (and those above it) with mode 0700; one that anybody may write in is refused.
pub(crate) fn create_private_dir(dir: &Path) -> Result<(), LedgerError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).at("create", dir)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let mode = dir.metadata().at("look at", dir)?.mode();
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            let why = "everybody may write in it";
            return Err(LedgerError::Unsafe { path: dir.to_path_buf(), why });
        }
    }
    Ok(())
}

/// Flushes the entries of a folder to disk; a system without that has no such call.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), PathError> {
    if cfg!(unix) { File::open(dir).and_then(|handle| handle.sync_all()).at("flush", dir) } else { Ok(()) }
}

/// Removes a file of the ledger's own folder; one that is gone already is fine.
#[expect(clippy::disallowed_methods, reason = "only files of the ledger's own folder")]
pub(crate) fn remove_own(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Renames within the ledger's own folder.
#[expect(clippy::disallowed_methods, reason = "only files of the ledger's own folder")]
pub(super) fn rename_own(from: &Path, to: &Path) -> Result<(), PathError> {
    std::fs::rename(from, to).at("rename", from)
}

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

    /// Makes the reserve where it is missing or short; a failure leaves none.
    pub(super) fn make(&self) -> Result<(), LedgerError> {
        if self.path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() == Self::SIZE) {
            return Ok(());
        }
        let mut file = open_checked(private().write(true).create(true).truncate(true), &self.path)?;
        let filled = file.write_all(&noise()).and_then(|()| file.sync_all());
        if filled.is_err() {
            // Half a reserve on a full disk is worse than none.
            let _ = self.release();
        }
        Ok(filled.at("write", &self.path)?)
    }

    /// Gives the space back; says whether there was any.
    pub(super) fn release(&self) -> bool {
        let had = private().write(true).open(&self.path).is_ok_and(|file| {
            let held = file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() > 0);
            held && file.set_len(0).is_ok()
        });
        remove_own(&self.path).is_ok() && had
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
