//! The later phases of sealing a session: its files get their names, or are taken back; the sources
//! are unlinked.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::super::handles::Handles;
use super::super::{Effect, Outcome, Skip, delete, dir};
use super::{Done, Prepared, Sealing, part_of};
use crate::escape::text;
use crate::ledger::Ciphertext;
use crate::seal::naming;

impl Sealing<'_> {
    /// Gives the files of a session their names, once its sources are known to be unchanged.
    pub(super) fn name(&self, prepared: &Prepared) -> Result<(), Outcome> {
        let target = prepared.target(self.inventory);
        let failed = |error: io::Error| delete::gone_or_failed("name its sealed file", &error);
        // Looked at again: to encrypt a large session takes minutes, in which somebody may have opened it.
        if self.watch.is_live(target.session) {
            return Err(Outcome::Skipped(Skip::BecameLive));
        }
        let mut sources = Handles::new(self.inventory);
        for index in prepared.artifacts() {
            let artifact = self.inventory.artifact(index);
            let stat = sources
                .get(artifact.folder)
                .and_then(|dir| dir.stat(self.inventory.name(artifact)))
                .map_err(failed)?;
            // Before the first name is given: what was encrypted is no longer what is there, and nothing has
            // been lost yet.
            if !dir::may_go(artifact, &stat) {
                return Err(Outcome::Skipped(Skip::ChangedSincePlan));
            }
        }
        // The record first: it names files that will be there, and a file without a record is one
        // that nobody knows the date of.
        let folder = self.sealed_folder(target, None).map_err(failed)?;
        let record = OsStr::new(naming::RECORD);
        dir::rename(&folder, &part_of(Path::new(record)), record).map_err(failed)?;
        for part in &prepared.parts {
            let folder = self.sealed_folder(target, part.entry.sealed.parent()).map_err(failed)?;
            let name = part.entry.sealed.file_name().unwrap_or_default();
            // Never in the place of a sealed file, which may be all there is of another.
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
                let folder = self.sealed_folder(target, Some(below));
                folder.and_then(|dir| dir::sync(&dir)).map_err(failed)?;
            }
            let store = &self.inventory.store(target.store).store;
            for above in [naming::FOLDER, "ccretain", ""] {
                store.below(Path::new(above)).and_then(|dir| dir::sync(&dir)).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Takes back a session that could not be finished: unfinished files go, named ones stay for
    /// the next run, which finds them intact.
    pub(super) fn undo(&self, prepared: &Prepared, outcome: Outcome) -> Done {
        self.remove_parts(prepared);
        Done {
            outcomes: prepared.artifacts().map(|index| (index, outcome.clone())).collect(),
            ..Done::default()
        }
    }

    pub(super) fn remove_parts(&self, prepared: &Prepared) {
        let session = &self.inventory.sessions[prepared.session];
        let record = Path::new(naming::RECORD);
        let names = prepared.parts.iter().map(|part| part.entry.sealed.as_path()).chain([record]);
        let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
        for sealed in names {
            let parent = sealed.parent().map(Path::to_path_buf).unwrap_or_default();
            if let Ok(folder) = self.sealed_folder(prepared.target(self.inventory), Some(&parent)) {
                // A failure costs nothing but room: the next run removes what bears such a name.
                let _ = dir::unlink(&folder, &part_of(sealed));
            }
            folders.extend(parent.ancestors().map(Path::to_path_buf));
        }
        // Folders made for it go again, the deepest first; those in use stay.
        let store = &self.inventory.store(prepared.store).store;
        let own = naming::session_folder(session.id);
        for below in folders.iter().rev() {
            let path = own.join(below);
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
                let _ = store.below(parent).and_then(|dir| dir::remove_if_empty(&dir, name));
            }
        }
    }

    /// Unlinks what is sealed now, file by file as long as each is what was sealed.
    pub(super) fn unlink_sources(&self, prepared: &Prepared) -> Done {
        let session = &self.inventory.sessions[prepared.session];
        let mut done = Done::default();
        let mut sources = Handles::new(self.inventory);
        for index in prepared.artifacts() {
            let artifact = self.inventory.artifact(index);
            let name = self.inventory.name(artifact);
            let unlinked = sources.get(artifact.folder).and_then(|folder| {
                // The last look, file by file: what was written to since the names were given stays beside its
                // sealed copy, and the next run seals the difference.
                if !dir::may_go(artifact, &folder.stat(name)?) {
                    return Ok(false);
                }
                dir::unlink(folder, name).map(|()| true)
            });
            let outcome = match unlinked {
                Ok(true) => Outcome::Done(Effect::Sealed),
                Ok(false) => Outcome::Skipped(Skip::ChangedSincePlan),
                Err(error) => delete::gone_or_failed("remove the plaintext", &error),
            };
            if outcome == Outcome::Done(Effect::Sealed) {
                done.emptied.push(artifact.folder);
            }
            done.outcomes.push((index, outcome));
        }
        for part in &prepared.parts {
            let path = naming::session_folder(session.id).join(&part.entry.sealed);
            // Also of what could not be unlinked: the ledger vouches for each sealed file that this program has
            // made.
            done.sealed.push(Ciphertext { path: text(&path).into(), sha256: hex::encode(part.entry.sha256) });
        }
        done
    }
}
