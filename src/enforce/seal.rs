//! Sealing sessions: whole or not at all, in batches that share their flushes.
//!
//! The order, so that at every instant either the source or a complete sealed file exists:
//! unfinished files are written · the disk is flushed · the sources are compared once more · the
//! record and then the files get their names · the disk is flushed · the sources are unlinked.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{File, FileTimes};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rayon::prelude::*;

use super::watch::Watch;
use super::{Effect, Outcome, Owner, Skip, Unit, dir, sealed};
use crate::catalogue::Kind;
use crate::dir::{Dir, FileTime, FileType};
use crate::escape::text;
use crate::inventory::{ArtifactIndex, FolderIndex, Inventory, Session, StoreIndex};
use crate::ledger::Ciphertext;
use crate::policy::Compression;
use crate::seal::manifest::{Manifest, SealedFile};
use crate::seal::naming::{self, Tree};
use crate::seal::{Recipients, SealError, Sealer};

/// The most names that are tried for one sealed file.
const MOST_COPIES: u32 = 1_000;

/// What sealing needs.
pub(super) struct Sealing<'a> {
    pub inventory: &'a Inventory,
    pub watch: &'a Watch<'a>,
    pub recipients: &'a Recipients,
    pub compression: Compression,
    pub now: chrono::DateTime<chrono::Utc>,
    /// Sealers at rest; each has tables and buffers worth keeping.
    pub sealers: &'a Mutex<Vec<Sealer>>,
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
    record: Vec<u8>,
}

/// One unfinished file.
struct Part {
    artifact: ArtifactIndex,
    entry: SealedFile,
}

/// A failure of one file of a session.
struct Failed(ArtifactIndex, Outcome);

impl Sealing<'_> {
    /// Seals a batch; gives what became of each unit, in order.
    pub(super) fn batch(&self, units: &[Unit]) -> Vec<Done> {
        // One by one, since sessions differ a thousandfold in size.
        let mut prepared: Vec<Result<Prepared, Done>> =
            units.par_iter().with_max_len(1).map(|unit| self.prepare(unit)).collect();
        let stores: BTreeSet<StoreIndex> = prepared.iter().flatten().map(|prepared| prepared.store).collect();
        let flushed = self.flush(&stores);
        prepared.par_iter_mut().for_each(|slot| {
            if let Ok(session) = slot {
                let named = flushed.as_ref().map_err(clone_error).and_then(|()| self.name(session));
                if let Err(outcome) = named {
                    let undone = self.undo(session, outcome);
                    *slot = Err(undone);
                }
            }
        });
        let flushed = self.flush(&stores);
        prepared
            .into_par_iter()
            .map(|slot| match slot {
                Err(done) => done,
                // The plaintext stays until the next run when it is not certain that the sealed
                // file will outlive a crash.
                Ok(session) => match &flushed {
                    Ok(()) => self.unlink_sources(&session),
                    Err(error) => Done {
                        outcomes: session
                            .parts
                            .iter()
                            .map(|part| (part.artifact, Outcome::failed("flush the disk", error)))
                            .collect(),
                        ..Done::default()
                    },
                },
            })
            .collect()
    }

    /// Flushes the stores of these units; a failure leaves what the next run would do again.
    pub(super) fn flush_all(&self, units: &[Unit]) {
        let stores = units.iter().filter_map(|unit| match unit.owner {
            Owner::Session(index) => Some(self.inventory.session(index).store),
            Owner::Loose(..) => None,
        });
        if let Err(error) = self.flush(&stores.collect()) {
            tracing::warn!(%error, "the disk could not be flushed after sealing");
        }
    }

    fn flush(&self, stores: &BTreeSet<StoreIndex>) -> io::Result<()> {
        stores.iter().try_for_each(|store| dir::sync_file_system(&self.inventory.store(*store).store.dir))
    }

    /// Writes every file of a session as an unfinished one.
    fn prepare(&self, unit: &Unit) -> Result<Prepared, Done> {
        let Owner::Session(index) = unit.owner else { return Err(Done::default()) };
        let session = self.inventory.session(index);
        let skip = |skip: Skip| Done {
            outcomes: unit.artifacts.iter().map(|index| (*index, Outcome::Skipped(skip))).collect(),
            ..Done::default()
        };
        if self.watch.is_live(session) {
            return Err(skip(Skip::BecameLive));
        }
        let mut prepared =
            Prepared { session: index.at(), store: session.store, parts: Vec::new(), record: Vec::new() };
        let written = self.write_all(unit, session, &mut prepared);
        match written {
            Ok(()) => Ok(prepared),
            Err(Failed(_, Outcome::Skipped(why))) => {
                self.remove_parts(&prepared);
                Err(skip(why))
            }
            Err(Failed(at, outcome)) => {
                self.remove_parts(&prepared);
                Err(Done { outcomes: vec![(at, outcome)], ..Done::default() })
            }
        }
    }

    /// Whether every file of a session can have a sealed name: it is sealed whole or not at all, so
    /// this is found out before the first is written.
    fn can_be_named(&self, unit: &Unit, session: &Session) -> Result<(), Failed> {
        for index in &unit.artifacts {
            let Some((tree, path, _)) = sealed::place(self.inventory, *index, session) else { continue };
            naming::sealed_name(tree, &path, self.compression, 0).map_err(|error| {
                let why = crate::error::chain(&error);
                let told = format!("cannot seal its session: {why}; rename or remove this file");
                Failed(*index, Outcome::Failed(told))
            })?;
        }
        Ok(())
    }

    fn write_all(&self, unit: &Unit, session: &Session, prepared: &mut Prepared) -> Result<(), Failed> {
        self.can_be_named(unit, session)?;
        let mut sealer = self.sealer().map_err(|error| {
            let first = unit.artifacts.first().copied().unwrap_or(ArtifactIndex::of(0));
            Failed(
                first,
                Outcome::Failed(format!("cannot prepare the encryption: {}", crate::error::chain(&error))),
            )
        })?;
        let mut taken: BTreeSet<PathBuf> = BTreeSet::new();
        let old = self.old_record(session);
        taken.extend(old.iter().flat_map(|record| &record.files).map(|file| file.sealed.clone()));
        let mut result = Ok(());
        for index in &unit.artifacts {
            match self.write(*index, session, &mut sealer, &mut taken, old.as_ref()) {
                Ok(Some(part)) => prepared.parts.push(part),
                Ok(None) => {}
                Err(outcome) => {
                    result = Err(Failed(*index, outcome));
                    break;
                }
            }
        }
        self.sealers.lock().unwrap_or_else(PoisonError::into_inner).push(sealer);
        result?;
        let first = unit.artifacts.first().copied().unwrap_or(ArtifactIndex::of(0));
        self.write_record(session, prepared, old)
            .map_err(|error| Failed(first, Outcome::failed("write the record of the sealed session", &error)))
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

    /// Seals one file into an unfinished one; `None` for what stays plain.
    fn write(
        &self,
        index: ArtifactIndex,
        session: &Session,
        sealer: &mut Sealer,
        taken: &mut BTreeSet<PathBuf>,
        old: Option<&Manifest>,
    ) -> Result<Option<Part>, Outcome> {
        let artifact = self.inventory.artifact(index);
        let failed = |doing: &str| {
            let doing = doing.to_owned();
            move |error: io::Error| super::delete::gone_or_failed(&doing, &error)
        };
        let Some((tree, path, temp)) = sealed::place(self.inventory, index, session) else { return Ok(None) };
        let source_folder = self.inventory.open(artifact.folder).map_err(failed("open its folder"))?;
        // Links in a session's own folders go when it is deleted; there is nothing in them to seal.
        if source_folder.stat(self.inventory.name(artifact)).map_err(failed("look at it again"))?.file_type
            != FileType::File
        {
            return Ok(None);
        }
        let mut source = source_folder.read(self.inventory.name(artifact)).map_err(failed("open it"))?;
        let stat = Dir::stat_open(&source).map_err(failed("look at it again"))?;
        // A second name that it has got meanwhile would keep the plaintext.
        if !dir::is_same(&artifact.stamp, &stat) || stat.links > 1 {
            return Err(Outcome::Skipped(Skip::ChangedSincePlan));
        }
        if stat.file_type != FileType::File {
            return Ok(None);
        }
        // A run that was interrupted after naming left a complete sealed file and the source.
        if let Some(entry) = old.and_then(|old| same_source(old, tree, &path, temp.as_deref(), &stat.stamp))
            && self.is_intact(session, entry)
        {
            return Ok(Some(Part { artifact: index, entry: entry.clone() }));
        }
        sealer.set_compression(self.compression);
        let folder = self
            .sealed_folder(session, sealed_parent(tree, &path).as_deref())
            .map_err(failed("make the folder for its sealed file"))?;
        let name = free_name(tree, &path, self.compression, taken, &folder)
            .ok_or_else(|| Outcome::Failed("cannot find a name for the sealed file".to_owned()))?;
        sealer.set_compression(name.compression);
        let part_name = part_of(&name.path);
        // What an interrupted run left under this name is ours to replace.
        let _ = dir::unlink(&folder, &part_name);
        let part = dir::create_new(&folder, &part_name, 0o600).map_err(failed("create its sealed file"))?;
        let mut target = &part;
        let sealed = sealer.seal(&mut source, artifact.stamp.size, &mut target);
        let finished = sealed.map_err(|error| match error {
            SealError::Changed => Outcome::Skipped(Skip::ChangedSincePlan),
            error => Outcome::Failed(format!("cannot seal it: {}", crate::error::chain(&error))),
        });
        let finished = finished.and_then(|sealed| {
            let times = FileTimes::new().set_modified(system_time(artifact.stamp.modified));
            part.set_times(times).map_err(failed("date its sealed file"))?;
            dir::sync_unless_whole(&part).map_err(failed("flush its sealed file"))?;
            Ok(sealed)
        });
        let sealed = match finished {
            Ok(sealed) => sealed,
            Err(outcome) => {
                let _ = dir::unlink(&folder, &part_name);
                return Err(outcome);
            }
        };
        let mtime = artifact
            .stamp
            .modified
            .date()
            .ok_or_else(|| Outcome::Failed("its date cannot be written".to_owned()))?;
        Ok(Some(Part {
            artifact: index,
            entry: SealedFile {
                kind: artifact.kind.unwrap_or(Kind::SealedFile),
                path,
                temp,
                sealed: name.path,
                compression: name.compression,
                size: artifact.stamp.size,
                sealed_size: sealed.ciphertext_len,
                mode: u32::from(artifact.mode),
                mtime,
                sha256: sealed.sha256,
                becoming: None,
            },
        }))
    }

    /// Whether a sealed file of a record is there and hashes to what the record says.
    fn is_intact(&self, session: &Session, entry: &SealedFile) -> bool {
        let read = || -> io::Result<bool> {
            let folder = self.sealed_folder(session, entry.sealed.parent())?;
            let file = folder.read(entry.sealed.file_name().unwrap_or_default())?;
            Ok(entry.is(&digest(file)?))
        };
        read().unwrap_or(false)
    }

    /// The record that is there already, of files sealed earlier.
    fn old_record(&self, session: &Session) -> Option<Manifest> {
        if !session.has_record {
            return None;
        }
        let folder = self.sealed_folder(session, None).ok()?;
        let mut json = Vec::new();
        folder.read(OsStr::new(naming::RECORD)).ok()?.read_to_end(&mut json).ok()?;
        let mut record = Manifest::parse(&json, session.id).ok()?;
        // An interrupted run wrote the record before the files had their names.
        record.files.retain(|file| {
            let name = file.sealed.file_name().unwrap_or_default();
            self.sealed_folder(session, file.sealed.parent()).is_ok_and(|folder| folder.stat(name).is_ok())
        });
        Some(record)
    }

    fn write_record(
        &self,
        session: &Session,
        prepared: &mut Prepared,
        old: Option<Manifest>,
    ) -> io::Result<()> {
        // What was sealed earlier may be to others.
        let to = self.recipients.digest();
        let is_same = |old: &Manifest| old.files.is_empty() || old.recipients.as_ref() == Some(&to);
        let recipients = old.as_ref().is_none_or(is_same).then_some(to);
        let mut files: Vec<SealedFile> = old.map(|old| old.files).unwrap_or_default();
        for part in &prepared.parts {
            files.retain(|file| file.sealed != part.entry.sealed);
            files.push(part.entry.clone());
        }
        let manifest = sealed::describe(session, files, recipients, self.now);
        prepared.record = manifest.to_json()?;
        let folder = self.sealed_folder(session, None)?;
        let name = part_of(Path::new(naming::RECORD));
        let _ = dir::unlink(&folder, &name);
        let mut file = dir::create_new(&folder, &name, 0o600)?;
        file.write_all(&prepared.record)?;
        dir::sync_unless_whole(&file)
    }

    /// Opens a folder in the session's sealed folder, which is made if it is not there.
    fn sealed_folder(&self, session: &Session, below: Option<&Path>) -> io::Result<Dir> {
        let store = &self.inventory.store(session.store).store;
        let mut path = naming::session_folder(session.id);
        path.extend(below);
        dir::folders(&store.dir, &path)
    }

    /// Gives the files of a session their names, once its sources are known to be unchanged.
    fn name(&self, prepared: &Prepared) -> Result<(), Outcome> {
        let session = &self.inventory.sessions[prepared.session];
        let failed = |error: io::Error| super::delete::gone_or_failed("name its sealed file", &error);
        if self.watch.is_live(session) {
            return Err(Outcome::Skipped(Skip::BecameLive));
        }
        for part in &prepared.parts {
            let artifact = self.inventory.artifact(part.artifact);
            let stat = self
                .inventory
                .open(artifact.folder)
                .and_then(|dir| dir.stat(self.inventory.name(artifact)))
                .map_err(failed)?;
            if !dir::is_same(&artifact.stamp, &stat) {
                return Err(Outcome::Skipped(Skip::ChangedSincePlan));
            }
        }
        // The record first: it names files that will be there, and a file without a record is one
        // that nobody knows the date of.
        let folder = self.sealed_folder(session, None).map_err(failed)?;
        let record = OsStr::new(naming::RECORD);
        dir::rename(&folder, &part_of(Path::new(record)), record).map_err(failed)?;
        for part in &prepared.parts {
            let folder = self.sealed_folder(session, part.entry.sealed.parent()).map_err(failed)?;
            let name = part.entry.sealed.file_name().unwrap_or_default();
            match dir::rename_new(&folder, &part_of(&part.entry.sealed), name) {
                // Sealed by an interrupted run and found intact: there is no unfinished file.
                Err(error) if error.kind() == io::ErrorKind::NotFound && folder.stat(name).is_ok() => {}
                other => other.map_err(failed)?,
            }
        }
        if !dir::FLUSHES_WHOLE {
            // Every folder above, since any of them may be new.
            let below = prepared.parts.iter().flat_map(|part| part.entry.sealed.ancestors().skip(1));
            let folders: BTreeSet<&Path> = below.collect();
            for below in folders {
                self.sealed_folder(session, Some(below)).and_then(|dir| dir::sync(&dir)).map_err(failed)?;
            }
            let store = &self.inventory.store(session.store).store.dir;
            for above in [naming::FOLDER, "ccretain", ""] {
                store.below(Path::new(above)).and_then(|dir| dir::sync(&dir)).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Takes back a session that could not be finished: unfinished files go, named ones stay for
    /// the next run, which finds them intact.
    fn undo(&self, prepared: &Prepared, outcome: Outcome) -> Done {
        self.remove_parts(prepared);
        Done {
            outcomes: prepared.parts.iter().map(|part| (part.artifact, outcome.clone())).collect(),
            ..Done::default()
        }
    }

    fn remove_parts(&self, prepared: &Prepared) {
        let session = &self.inventory.sessions[prepared.session];
        let record = Path::new(naming::RECORD);
        let names = prepared.parts.iter().map(|part| part.entry.sealed.as_path()).chain([record]);
        let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
        for sealed in names {
            let parent = sealed.parent().map(Path::to_path_buf).unwrap_or_default();
            if let Ok(folder) = self.sealed_folder(session, Some(&parent)) {
                let _ = dir::unlink(&folder, &part_of(sealed));
            }
            folders.extend(parent.ancestors().map(Path::to_path_buf));
        }
        // Folders made for it go again, the deepest first; those in use stay.
        let store = &self.inventory.store(session.store).store.dir;
        let own = naming::session_folder(session.id);
        for below in folders.iter().rev() {
            let path = own.join(below);
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
                let _ = store.below(parent).and_then(|dir| dir::remove_if_empty(&dir, name));
            }
        }
    }

    /// Unlinks what is sealed now, file by file as long as each is what was sealed.
    fn unlink_sources(&self, prepared: &Prepared) -> Done {
        let session = &self.inventory.sessions[prepared.session];
        let mut done = Done::default();
        for part in &prepared.parts {
            let artifact = self.inventory.artifact(part.artifact);
            let unlinked = self.inventory.open(artifact.folder).and_then(|folder| {
                if !dir::is_same(&artifact.stamp, &folder.stat(self.inventory.name(artifact))?) {
                    return Ok(false);
                }
                dir::unlink(&folder, self.inventory.name(artifact)).map(|()| true)
            });
            let outcome = match unlinked {
                Ok(true) => Outcome::Done(Effect::Sealed),
                Ok(false) => Outcome::Skipped(Skip::ChangedSincePlan),
                Err(error) => super::delete::gone_or_failed("remove the plaintext", &error),
            };
            if outcome == Outcome::Done(Effect::Sealed) {
                done.emptied.push(artifact.folder);
            }
            done.outcomes.push((part.artifact, outcome));
            let path = naming::session_folder(session.id).join(&part.entry.sealed);
            done.sealed.push(Ciphertext { path: text(&path).into(), sha256: hex::encode(part.entry.sha256) });
        }
        done
    }
}

/// The entry of a file that was sealed from a source of the same path, size and date.
fn same_source<'m>(
    record: &'m Manifest,
    tree: Tree,
    path: &Path,
    temp: Option<&Path>,
    stamp: &crate::dir::FileStamp,
) -> Option<&'m SealedFile> {
    record.files.iter().find(|file| {
        file.tree() == tree
            && file.path == path
            && file.temp.as_deref() == temp
            && file.size == stamp.size
            && Some(file.mtime) == stamp.modified.date()
    })
}

/// The folder of a sealed name, relative to the session's sealed folder.
fn sealed_parent(tree: Tree, path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    Some(match tree {
        Tree::Store => parent.to_path_buf(),
        Tree::Temp => Path::new(naming::TEMP).join(parent),
    })
}

/// The first sealed name that no other file of the session has, on disk or in its record.
fn free_name(
    tree: Tree,
    path: &Path,
    compression: Compression,
    taken: &mut BTreeSet<PathBuf>,
    folder: &Dir,
) -> Option<naming::SealedName> {
    (0..MOST_COPIES).find_map(|copy| {
        let name = naming::sealed_name(tree, path, compression, copy).ok()?;
        let is_free = folder.stat(name.path.file_name()?).is_err() && taken.insert(name.path.clone());
        is_free.then_some(name)
    })
}

/// The name of the unfinished form of a sealed file.
fn part_of(sealed: &Path) -> OsString {
    naming::part_name(sealed.file_name().unwrap_or_default())
}

/// SHA-256 of a file.
pub(super) fn digest(mut file: File) -> io::Result<[u8; 32]> {
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
