//! Sealing sessions: whole or not at all, in batches that share their flushes.
//!
//! The order, so that at every instant either the source or a complete sealed file exists:
//! unfinished files are written · the disk is flushed · the sources are compared once more · the
//! record and then the files get their names · the disk is flushed · the sources are unlinked.

mod finish;
mod run;
mod write;

pub(super) use run::Run;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rayon::prelude::*;

use super::watch::Watch;
use super::{Outcome, Stop, Unit, dir};
use crate::dir::{Dir, FileTime};
use crate::inventory::{ArtifactIndex, FolderIndex, Inventory, Session, StoreIndex};
use crate::ledger::Ciphertext;
use crate::policy::Compression;
use crate::seal::manifest::{SealedFile, SealedLink};
use crate::seal::naming;
use crate::seal::{Recipients, SealError, Sealer};

/// What sealing needs.
pub(super) struct Sealing<'a> {
    pub inventory: &'a Inventory,
    pub watch: &'a Watch<'a>,
    pub recipients: &'a Recipients,
    pub compression: Compression,
    pub now: chrono::DateTime<chrono::Utc>,
    /// The store that the sealed form of each artifact goes to.
    pub store_for: &'a (dyn Fn(ArtifactIndex) -> Option<StoreIndex> + Sync),
    /// Sealers at rest; each has tables and buffers worth keeping.
    pub sealers: &'a Mutex<Vec<Sealer>>,
    /// Called with the number of files of each session, for one half when they are written and for the other when their
    /// sources are gone: each takes about as long.
    pub progress: &'a (dyn Fn(usize) + Sync),
    /// Whether to stop before the next session.
    pub stop: &'a (dyn Fn() -> Option<Stop> + Sync),
}

/// What became of a unit.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub outcomes: Vec<(ArtifactIndex, Outcome)>,
    pub emptied: Vec<FolderIndex>,
    pub sealed: Vec<Ciphertext<'static>>,
}

/// A session of which every file is written, and none has its name yet.
struct Prepared {
    session: usize,
    store: StoreIndex,
    parts: Vec<Part>,
    links: Vec<(ArtifactIndex, SealedLink)>,
    record: Vec<u8>,
}

/// A session, and the store that its files are sealed into.
#[derive(Clone, Copy)]
struct Target<'a> {
    store: StoreIndex,
    session: &'a Session,
}

impl Prepared {
    fn artifacts(&self) -> impl Iterator<Item = ArtifactIndex> {
        let parts = self.parts.iter().map(|part| part.artifact);
        parts.chain(self.links.iter().map(|(index, _)| *index))
    }

    fn target<'a>(&self, inventory: &'a Inventory) -> Target<'a> {
        Target { store: self.store, session: &inventory.sessions[self.session] }
    }
}

/// One unfinished file.
struct Part {
    artifact: ArtifactIndex,
    entry: SealedFile,
}

/// A batch of which every session that could be sealed is, under unfinished names beside its plaintext.
struct Written<'u> {
    units: &'u [Unit],
    sessions: Vec<Result<Prepared, Done>>,
}

/// What became of a batch, unit by unit.
struct Removed<'u> {
    units: &'u [Unit],
    done: Vec<Done>,
}

impl Sealing<'_> {
    /// Writes the unfinished files of a batch, and at the same time finishes the batch before it: the
    /// one is work for the cores, the other mostly waits for the disk.
    fn write_batch<'u>(
        &self,
        units: &'u [Unit],
        before: Option<Written<'u>>,
        finishers: Option<&rayon::ThreadPool>,
    ) -> (Written<'u>, Option<Removed<'u>>) {
        let write = || {
            // One by one, since sessions differ a thousandfold in size.
            let write = |unit: &Unit| {
                // Whoever asks it to stop does not wait for a whole batch.
                if (self.stop)().is_some() {
                    return Err(Done::default());
                }
                let written = self.write_session(unit);
                (self.progress)(unit.artifacts.len() / 2);
                written
            };
            let sessions = units.par_iter().with_max_len(1).map(write).collect();
            Written { units, sessions }
        };
        match (before, finishers) {
            (None, _) => (write(), None),
            (Some(before), None) => {
                let removed = self.finish_batch(before);
                (write(), Some(removed))
            }
            (Some(before), Some(finishers)) => {
                let mut removed = None;
                let written = finishers.in_place_scope(|scope| {
                    scope.spawn(|_| removed = Some(self.finish_batch(before)));
                    write()
                });
                (written, removed)
            }
        }
    }

    /// Gives the files of a batch their names, with the flushes before and after, and unlinks their
    /// sources; says what became of each unit, in order.
    fn finish_batch<'u>(&self, written: Written<'u>) -> Removed<'u> {
        let Written { units, mut sessions } = written;
        let stores: BTreeSet<StoreIndex> = sessions.iter().flatten().map(|prepared| prepared.store).collect();
        let flushed = self.flush(&stores);
        sessions.par_iter_mut().for_each(|slot| {
            // A name is given only to what is known to be on disk: after a crash an empty file of that name
            // would look sealed.
            if let Ok(session) = slot {
                let named = flushed.as_ref().map_err(clone_error).and_then(|()| self.name(session));
                if let Err(outcome) = named {
                    let undone = self.undo(session, outcome);
                    *slot = Err(undone);
                }
            }
        });
        let flushed = self.flush(&stores);
        let unlink = |(slot, unit): (Result<Prepared, Done>, &Unit)| {
            let done = self.unlink_written(slot, &flushed);
            (self.progress)(unit.artifacts.len().div_ceil(2));
            done
        };
        Removed { units, done: sessions.into_par_iter().zip(units).map(unlink).collect() }
    }

    /// Unlinks the sources of a session whose sealed files are on the disk.
    fn unlink_written(&self, slot: Result<Prepared, Done>, flushed: &io::Result<()>) -> Done {
        match (slot, flushed) {
            (Err(done), _) => done,
            // The names are on disk as well, so that the sealed file outlives whatever comes now.
            (Ok(session), Ok(())) => self.unlink_sources(&session),
            // The plaintext stays until the next run when it is not certain that the sealed file
            // will outlive a crash.
            (Ok(session), Err(error)) => Done {
                outcomes: session
                    .artifacts()
                    .map(|index| (index, Outcome::failed("flush the disk", error)))
                    .collect(),
                ..Done::default()
            },
        }
    }

    /// Removes the unfinished files of a batch that is not gone on with.
    fn take_back(&self, written: &Written<'_>) {
        written.sessions.iter().flatten().for_each(|prepared| self.remove_parts(prepared));
    }

    /// Flushes what no longer holds the plaintext of these; a failure leaves what the next run would
    /// do again.
    pub(super) fn flush_removed(&self, removed: impl Iterator<Item = ArtifactIndex>) {
        // A temp tree may be on another file system than the store.
        let mut folders = BTreeMap::new();
        for index in removed {
            let artifact = self.inventory.artifact(index);
            let key = if dir::FLUSHES_WHOLE { artifact.stamp.device } else { artifact.folder.at() as u64 };
            folders.entry(key).or_insert(artifact);
        }
        for artifact in folders.into_values() {
            let root = || self.inventory.store(self.inventory.store_of(artifact)).store.dir.again();
            let flushed = self.inventory.open(artifact.folder).or_else(|_| root()).and_then(|folder| {
                dir::sync_file_system(&folder)?;
                if dir::FLUSHES_WHOLE { Ok(()) } else { dir::sync(&folder) }
            });
            if let Err(error) = flushed {
                tracing::warn!(%error, "the disk could not be flushed after sealing");
            }
        }
    }

    fn flush(&self, stores: &BTreeSet<StoreIndex>) -> io::Result<()> {
        // Our own folder may lie on another disk than the store.
        let own = |store: &StoreIndex| self.inventory.store(*store).store.below(Path::new("ccretain"));
        stores.iter().try_for_each(|store| dir::sync_file_system(&own(store)?))
    }

    fn sealer(&self) -> Result<Sealer, SealError> {
        let rested = self.sealers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        rested.map_or_else(
            || {
                let sealer = Sealer::new(self.recipients, self.compression)?;
                Ok(sealer.among(rayon::current_num_threads()))
            },
            Ok,
        )
    }

    /// Opens a folder in the session's sealed folder, which is made if it is not there.
    fn sealed_folder(&self, target: Target<'_>, below: Option<&Path>) -> io::Result<Dir> {
        let store = &self.inventory.store(target.store).store;
        let mut path = naming::session_folder(target.session.id);
        path.extend(below);
        dir::folders(store, &path)
    }
}

/// The name of the unfinished form of a sealed file.
fn part_of(sealed: &Path) -> OsString {
    naming::part_name(sealed.file_name().unwrap_or_default())
}

/// SHA-256 of a file.
pub(super) fn digest(mut file: impl io::Read) -> io::Result<[u8; 32]> {
    use sha2::{Digest as _, Sha256};
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut hasher)?;
    Ok(hasher.finalize().into())
}

/// A file time as the standard library takes it.
pub(super) fn system_time(at: FileTime) -> SystemTime {
    let whole = Duration::from_secs(at.seconds().unsigned_abs());
    let base = if at.seconds() < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    let fraction = Duration::from_nanos(u64::from(at.nanoseconds()));
    base.and_then(|base| base.checked_add(fraction)).unwrap_or(UNIX_EPOCH)
}

fn clone_error(error: &io::Error) -> Outcome {
    Outcome::failed("flush the disk", error)
}
