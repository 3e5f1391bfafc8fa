//! One run at a time: a lock in each store, and the client's own lock around its line files.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::dir;
use crate::dir::Dir;
use crate::error::{At, PathError};
use crate::escape::shown;
use crate::locate::Store;

/// How often, and at what interval, somebody else's lock on a line file is tried.
const TRIES: u32 = 20;
const INTERVAL: Duration = Duration::from_millis(100);

/// The locks of a run; given back when dropped.
#[derive(Debug, Default)]
pub struct Locks(Vec<File>);

/// Why the stores could not be locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another run works on a store.
    #[error("another run of ccretain is working on '{}'", shown(store))]
    Held {
        /// The root of the store.
        store: std::path::PathBuf,
        /// Since when, as far as that can be told.
        since: Option<DateTime<Utc>>,
    },
    /// The lock file cannot be made.
    #[error(transparent)]
    File(#[from] PathError),
}

impl Locks {
    /// Takes the lock of a config store too.
    ///
    /// # Errors
    /// [`LockError::Held`] at once if another run holds it; nothing is waited for.
    pub fn take(&mut self, store: &Store) -> Result<(), LockError> {
        // The lock is `ccretain/lock` in the store, held through the open file; it is never removed, because
        // whoever waits for it waits on that very file.
        let path = store.root.join("ccretain").join("lock");
        let own = dir::folders(store, Path::new("ccretain")).at("make", store.root.join("ccretain"))?;
        let file = dir::open_or_create(&own, OsStr::new("lock"), 0o600).at("open the lock", &path)?;
        // Before it is locked or dated: a second name could be that of a file of another store or of another
        // program.
        has_one_name(&file).at("use", &path)?;
        // Held by the open file and not by its being there: the kernel gives it back when a run is killed, so
        // no lock is ever stale. Nobody waits, since a second run would only do again what the first has done.
        match file.try_lock() {
            Ok(()) => {
                // Tells others since when it is held.
                dir::touch(&file).at("touch the lock", &path)?;
                self.0.push(file);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { store: store.root.clone(), since: modified(&file) });
            }
            Err(TryLockError::Error(error)) => return Err(error).at("lock", &path).map_err(LockError::File),
        }
        Ok(())
    }
}

/// A run that has worked on a store for this long does not work.
const STUCK: TimeDelta = TimeDelta::days(1);

/// Whether a lock that is held since then is held for too long.
pub fn is_stuck(since: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now.signed_duration_since(since) > STUCK
}

/// Since when somebody has held the lock of a store; `None` where nobody does.
pub fn held_since(store: &Store) -> Option<DateTime<Utc>> {
    let file = store.dir.below(std::path::Path::new("ccretain")).ok()?.read(OsStr::new("lock")).ok()?;
    // A shared lock is not refused by those who only look.
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => modified(&file),
        _ => None,
    }
}

fn modified(file: &File) -> Option<DateTime<Utc>> {
    file.metadata().ok()?.modified().ok().map(DateTime::from)
}

/// Refuses a lock file that has a second name: the lock of another store may be taken with it.
fn has_one_name(file: &File) -> io::Result<()> {
    if Dir::stat_open(file)?.links == 1 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "it has a second name (a hard link)"))
}

/// The client's own lock around a line file: a folder `<file>.lock`, made by mkdir (observed on
/// client 2.1.330). Removed when dropped.
#[derive(Debug)]
pub struct ClientLock<'a> {
    dir: &'a Dir,
    name: OsString,
}

impl<'a> ClientLock<'a> {
    /// Takes the lock, waiting about two seconds for somebody else's, which is never broken.
    ///
    /// # Errors
    /// `WouldBlock` if it is still held; else as `mkdirat(2)` and `renameat(2)`.
    pub fn take(dir: &'a Dir, file: &OsStr) -> io::Result<Self> {
        // One that bears our own mark was left by a run that was killed, since the caller holds the lock of the
        // store: it is taken over.
        let [name, unfinished] = names(file);
        dir::remove_if_empty(dir, &unfinished)?;
        dir::make_new_folder(dir, &unfinished)?;
        // Marked before it has its name, so that no kill can leave one of ours without the mark.
        dir::mark(dir, &unfinished)?;
        for _ in 0..TRIES {
            remove_marked(dir, &name)?;
            // The rename is what takes the lock, as `mkdir` is for Claude Code: it fails where the name is
            // there.
            match dir::rename_folder_new(dir, &unfinished, &name) {
                Ok(()) => return Ok(Self { dir, name }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => thread::sleep(INTERVAL),
                Err(error) => {
                    // The failure to report is the first one.
                    let _ = dir::remove_if_empty(dir, &unfinished);
                    return Err(error);
                }
            }
        }
        dir::remove_if_empty(dir, &unfinished)?;
        Err(io::Error::new(io::ErrorKind::WouldBlock, "Claude Code, or something else, holds its lock"))
    }

    /// Gives back what a run that was killed has left of its lock around a file; the caller holds the
    /// lock of the store.
    ///
    /// # Errors
    /// As `unlinkat(2)`.
    pub fn give_back(dir: &Dir, file: &OsStr) -> io::Result<()> {
        let [name, unfinished] = names(file);
        remove_marked(dir, &name)?;
        dir::remove_if_empty(dir, &unfinished)?;
        Ok(())
    }
}

/// The name of the lock around a file, and that of one of ours that is not yet marked.
fn names(file: &OsStr) -> [OsString; 2] {
    let mut name = file.to_os_string();
    name.push(".lock");
    let mut unfinished = OsString::from(".");
    unfinished.push(&name);
    unfinished.push(".part");
    [name, unfinished]
}

fn remove_marked(dir: &Dir, name: &OsStr) -> io::Result<()> {
    if dir::is_marked(dir, name) {
        dir::remove_if_empty(dir, name)?;
    }
    Ok(())
}

impl Drop for ClientLock<'_> {
    fn drop(&mut self) {
        // A failure stops nothing: the next run knows it by its mark and gives it back.
        if let Err(error) = dir::remove_if_empty(self.dir, &self.name) {
            tracing::warn!(%error, "Claude Code's lock could not be given back");
        }
    }
}
