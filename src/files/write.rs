//! Writing: private folders, and files that are whole or as they were.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::error::{At as _, PathError};

/// Makes a folder, and those above it that are missing, for the owner alone whatever the umask; one that is
/// there stays as it is, but is refused where anybody may exchange what lies in it.
///
/// # Errors
/// As `mkdir(2)`; a folder that everybody may write to.
pub fn private_dir(dir: &Path) -> Result<(), PathError> {
    make_missing(dir, make).at("create", dir)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let mode = dir.metadata().at("look at", dir)?.mode();
        // With the sticky bit nobody can exchange what is another's, as in `/tmp`.
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            let why = io::Error::new(io::ErrorKind::PermissionDenied, "everybody may write in it");
            return Err(why).at("use", dir);
        }
    }
    Ok(())
}

fn make_missing(dir: &Path, make: fn(&Path) -> io::Result<()>) -> io::Result<()> {
    if dir.as_os_str().is_empty() || is_there(dir)? {
        return Ok(());
    }
    if let Some(above) = dir.parent() {
        make_missing(above, make)?;
    }
    match make(dir) {
        // Another run may have made it in between.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_there(dir)? => Ok(()),
        other => other,
    }
}

/// Whether a folder is there; an error where that cannot be seen, since "File exists" would be no reason.
fn is_there(dir: &Path) -> io::Result<bool> {
    match dir.metadata() {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn make(dir: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Mode, OFlags, chmodat, fchmod, mkdirat, open};
    mkdirat(CWD, dir, Mode::RWXU)?;
    // A umask takes bits away from what is asked for; a folder without them could not even be opened.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match open(dir, flags, Mode::empty()) {
        Ok(made) => fchmod(made, Mode::RWXU)?,
        Err(_) => chmodat(CWD, dir, Mode::RWXU, AtFlags::empty())?,
    }
    Ok(())
}

#[cfg(not(unix))]
fn make(dir: &Path) -> io::Result<()> {
    std::fs::create_dir(dir)
}

/// How the names of drafts begin.
const PREFIX: &str = ".ccretain-";
/// How many letters and digits follow, by which a draft is told from what somebody called `.ccretain-backup`.
const RANDOM: usize = 12;
/// No process takes as long as this to fill a draft of its own files.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// Removes the drafts of processes that were killed, which nobody else would: they may hold a key. How old they are is
/// told by one that was just made.
fn remove_forgotten(dir: &Path, made: &File) -> io::Result<()> {
    let now = made.metadata()?.modified()?;
    for entry in dir.read_dir()?.flatten() {
        if !is_name_of_draft(&entry.file_name()) {
            continue;
        }
        let found = entry.metadata()?;
        let is_old = now.duration_since(found.modified()?).is_ok_and(|age| age >= FORGOTTEN);
        if found.is_file() && is_old && is_ours(&found) {
            super::remove_own(&entry.path())?;
        }
    }
    Ok(())
}

fn is_name_of_draft(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    random.is_some_and(|random| {
        random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Whether a file is as a draft is made: the name alone may be a user's own choice.
#[cfg(unix)]
fn is_ours(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let is_private = found.mode() & 0o7777 == 0o600 && found.nlink() == 1;
    is_private && found.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_ours(_: &Metadata) -> bool {
    true
}

/// An unfinished file beside the one that it will be: what has the name is whole, or is not there.
#[derive(Debug)]
pub struct Draft(NamedTempFile);

impl Draft {
    /// One for the owner alone, in this folder.
    ///
    /// # Errors
    /// As `open(2)`.
    pub fn private(dir: &Path) -> io::Result<Self> {
        // In the folder of the file, since a rename reaches no other file system; with a name that nobody can
        // guess, so that no link waits there.
        let mut made = Self::made(&mut tempfile::Builder::new(), dir, "")?;
        // What cannot be removed now is left to the next one.
        let _ = remove_forgotten(dir, made.file());
        Ok(made)
    }

    /// One for a file that the caller named: its permissions follow the umask, and nobody but the owner can
    /// write it.
    ///
    /// # Errors
    /// As `open(2)`.
    pub fn named(dir: &Path, suffix: &str) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // The umask takes from these; what is beyond them nobody asked for.
            builder.permissions(std::fs::Permissions::from_mode(0o644));
        }
        Self::made(&mut builder, dir, suffix)
    }

    fn made<'a>(builder: &mut tempfile::Builder<'a, 'a>, dir: &Path, suffix: &'a str) -> io::Result<Self> {
        let builder = builder.prefix(PREFIX).rand_bytes(RANDOM).suffix(suffix);
        builder.tempfile_in(dir).map(Self).map_err(|error| bare(&error))
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        self.0.as_file_mut()
    }

    /// Writes the content and flushes it to disk.
    ///
    /// # Errors
    /// As `write(2)` and `fsync(2)`.
    pub fn fill(&mut self, content: &[u8]) -> io::Result<()> {
        self.0.write_all(content).map_err(|error| bare(&error))?;
        // A name that reaches the disk before the content would be an empty file after a power loss.
        self.0.as_file().sync_all()
    }

    /// Gives it the name, whatever had it.
    ///
    /// # Errors
    /// As `rename(2)`.
    pub fn replace(self, path: &Path) -> io::Result<()> {
        self.0.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Gives it the name, which nothing may have.
    ///
    /// # Errors
    /// `AlreadyExists`, or as `link(2)`; the draft is given back.
    pub fn create(self, path: &Path) -> Result<(), (io::Error, Self)> {
        self.0.persist_noclobber(path).map(drop).map_err(|error| (error.error, Self(error.file)))
    }
}

/// The system's own error, without the name of the unfinished file: nobody has seen that one.
fn bare(error: &io::Error) -> io::Error {
    let said = error.to_string();
    let (plain, _) = said.split_once(" at path \"").unwrap_or((&said, ""));
    io::Error::new(error.kind(), plain.to_owned())
}

/// Puts a file with these permissions in place in one step: written beside, flushed to disk, renamed.
///
/// # Errors
/// When it cannot be written; what was there is whole then.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), PathError> {
    let mut draft = Draft::private(above(path)).at("write", path)?;
    // Before it has content, and by the open file.
    permit(draft.file(), mode).at("write", path)?;
    put(draft, path, content)
}

/// Puts a file that the caller named in place in one step: its permissions follow the umask, and nobody but the
/// owner can write it.
///
/// # Errors
/// As [`replace`]; a link, a device or a pipe has the name.
pub fn replace_named(path: &Path, content: &[u8]) -> Result<(), PathError> {
    // A rename replaces whatever has the name: a device, or the link that others reach a file by.
    let why = match path.symlink_metadata() {
        Ok(found) if found.is_symlink() => Some("it is a link; name the file itself"),
        Ok(found) if !found.is_file() && !found.is_dir() => Some("it is not a regular file"),
        _ => None,
    };
    if let Some(why) = why {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why)).at("write", path);
    }
    put(Draft::named(above(path), "").at("write", path)?, path, content)
}

fn put(mut draft: Draft, path: &Path, content: &[u8]) -> Result<(), PathError> {
    draft.fill(content).and_then(|()| draft.replace(path)).at("write", path)?;
    // The name is on the disk only when its folder is.
    sync_dir(above(path))
}

/// The folder that a file lies in.
pub fn above(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder that the caller named, and those above it that are missing, by the umask and for nobody else
/// to write.
///
/// # Errors
/// As `mkdir(2)`.
pub fn named_dir(dir: &Path) -> Result<(), PathError> {
    let make = |dir: &Path| {
        #[cfg_attr(not(unix), allow(unused_mut, reason = "nothing is set there"))]
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
        builder.create(dir)
    };
    make_missing(dir, make).at("create", dir)
}

/// Flushes the names in a folder to disk; a system without that has no such call.
///
/// # Errors
/// As `open(2)` and `fsync(2)`.
pub fn sync_dir(dir: &Path) -> Result<(), PathError> {
    if cfg!(unix) { File::open(dir).and_then(|handle| handle.sync_all()).at("flush", dir) } else { Ok(()) }
}

#[cfg(unix)]
fn permit(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn permit(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}
