//! Files of our own: private, no links, nobody else's, and with one name alone.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::{At as _, PathError};

/// Options that create with mode 0600 and never follow a link in the last component.
#[cfg(unix)]
pub fn private_options() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    // NONBLOCK so that a pipe in the place of a file is refused and not waited for.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    options.mode(0o600).custom_flags(flags.bits().cast_signed());
    options
}

/// Options as the system has them: there are no modes here.
#[cfg(not(unix))]
pub fn private_options() -> OpenOptions {
    OpenOptions::new()
}

/// Opens a file of ours for reading; `None` where there is none.
///
/// # Errors
/// As `open(2)`, and for what [`open_private`] refuses.
pub fn open_own(path: &Path) -> Result<Option<File>, PathError> {
    match private_options().read(true).open(path) {
        Ok(file) => {
            check(&file, path)?;
            has_one_name(&file, path)?;
            Ok(Some(file))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refusal(path, error)),
    }
}

/// Opens a file of ours, or somebody else's, for reading and no more; `None` where there is none.
///
/// # Errors
/// As `open(2)`; what is no regular file, or a link.
pub fn open_for_reading(path: &Path) -> Result<Option<File>, PathError> {
    match private_options().read(true).open(path) {
        Ok(file) => regular(&file, path).map(|_| Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refusal(path, error)),
    }
}

/// Opens a file of ours with these options, made from [`private_options`], and checks what was opened.
///
/// # Errors
/// As `open(2)`; a link, no regular file, another owner's, or a file that has a second name: what is written
/// to it would be written there too.
pub fn open_private(options: &OpenOptions, path: &Path) -> Result<File, PathError> {
    let file = open_named_twice(options, path)?;
    has_one_name(&file, path)?;
    Ok(file)
}

/// As [`open_private`], for a file to which a step of our own may have given a second name: [`has_one_name`]
/// is asked before anything is written.
///
/// # Errors
/// As [`open_private`], but for a second name.
pub fn open_named_twice(options: &OpenOptions, path: &Path) -> Result<File, PathError> {
    let file = options.open(path).map_err(|error| refusal(path, error))?;
    check(&file, path)?;
    Ok(file)
}

/// Refuses an open file that has a second name.
///
/// # Errors
/// As said, and as `fstat(2)`.
#[cfg(unix)]
pub fn has_one_name(file: &File, path: &Path) -> Result<(), PathError> {
    use std::os::unix::fs::MetadataExt as _;
    // Whoever can write to the folder may have linked a file of ours there, or theirs here.
    if file.metadata().at("look at", path)?.nlink() > 1 {
        return Err(unsafe_to_use(path, "it has a second name (a hard link)"));
    }
    Ok(())
}

/// Refuses an open file that has a second name, which cannot be told here.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn has_one_name(_: &File, _: &Path) -> Result<(), PathError> {
    Ok(())
}

/// Removes a file of ours; one that is gone already is fine.
///
/// # Errors
/// As `unlink(2)`.
#[expect(clippy::disallowed_methods, reason = "only files of our own")]
pub fn remove_own(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Renames a file of ours.
///
/// # Errors
/// As `rename(2)`.
#[expect(clippy::disallowed_methods, reason = "only files of our own")]
pub fn rename_own(from: &Path, to: &Path) -> Result<(), PathError> {
    std::fs::rename(from, to).at("rename", from)
}

/// A link is named as such: the system only says "too many levels of symbolic links".
fn refusal(path: &Path, error: io::Error) -> PathError {
    // Only for the message: by now it may be something else, and nothing is done by it.
    if path.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
        return unsafe_to_use(path, "it is a link");
    }
    PathError { path: path.to_path_buf(), doing: "open", source: error }
}

fn unsafe_to_use(path: &Path, why: &'static str) -> PathError {
    PathError {
        path: path.to_path_buf(),
        doing: "use",
        source: io::Error::new(io::ErrorKind::PermissionDenied, why),
    }
}

/// A file that is a regular one of ours alone; a mode that lets others read is tightened.
fn check(file: &File, path: &Path) -> Result<(), PathError> {
    let meta = regular(file, path)?;
    make_private(file, &meta, path)
}

#[cfg(unix)]
fn make_private(file: &File, meta: &Metadata, path: &Path) -> Result<(), PathError> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    // By the account whose rights are in use, which a child of a run over all users has changed.
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(unsafe_to_use(path, "it belongs to somebody else"));
    }
    // Of the open file. A restore or a careless `chmod` may have opened it, which is no reason to stop.
    if meta.mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).at("change the mode of", path)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(_: &File, _: &Metadata, _: &Path) -> Result<(), PathError> {
    Ok(())
}

fn regular(file: &File, path: &Path) -> Result<Metadata, PathError> {
    let meta = file.metadata().at("look at", path)?;
    if meta.is_file() { Ok(meta) } else { Err(unsafe_to_use(path, "it is not a regular file")) }
}

/// A new key for a file of our own.
pub fn random_key() -> [u8; 32] {
    // Three random UUIDs hold 366 random bits of the system's generator.
    let mut seed = Sha256::new();
    for _ in 0..3 {
        seed.update(uuid::Uuid::new_v4().as_bytes());
    }
    seed.finalize().into()
}
