//! The one writer of sealed files: for sealing, for preservation copies and for re-encrypting.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};

use super::dir;
use super::seal::system_time;
use crate::catalogue::Kind;
use crate::dir::{Dir, FileStamp, FileTime};
use crate::files::access;
use crate::policy::Compression;
use crate::seal::manifest::SealedFile;
use crate::seal::naming::{self, NameError, SealedName, Tree};
use crate::seal::{SealError, Sealer};

/// The most names that are tried for one sealed file.
const MOST_NAMES: u32 = 1_000;

/// A plain file to be sealed, open and looked at.
pub(super) struct Plain {
    pub file: File,
    pub stamp: FileStamp,
    pub kind: Kind,
    pub mode: u32,
    pub tree: Tree,
    /// Its path in that tree.
    pub path: PathBuf,
    /// The folder of the temp tree it lies in, where that is not its store's.
    pub temp: Option<PathBuf>,
}

/// Why no sealed file was written; an unfinished one is gone.
pub(super) enum NotSealed {
    /// Somebody writes to the source.
    Changed,
    NoDate,
    /// The file can have no sealed name.
    Name(NameError),
    /// Every name that was tried is taken.
    NoName,
    /// What could not be done, as an infinitive.
    Io(&'static str, io::Error),
    Seal(SealError),
}

impl From<NameError> for NotSealed {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

impl Plain {
    /// The folder of its sealed form, relative to the session's sealed folder.
    pub fn sealed_parent(&self) -> Option<PathBuf> {
        let parent = self.path.parent()?;
        Some(match self.tree {
            Tree::Store => parent.to_path_buf(),
            Tree::Temp => Path::new(naming::TEMP).join(parent),
        })
    }

    /// Seals it into an unfinished file of that folder, under the first name that no other file of the
    /// session has, on disk or in `taken`.
    pub fn seal(
        mut self,
        folder: &Dir,
        compression: Compression,
        taken: &mut BTreeSet<PathBuf>,
        sealer: &mut Sealer,
    ) -> Result<(File, SealedFile), NotSealed> {
        // Before anything is written: without its date the file could not come back as it was.
        let mtime = self.stamp.modified.date().ok_or(NotSealed::NoDate)?;
        let acl = access::acl(&self.file).map_err(|error| NotSealed::Io("read its ACL", error))?;
        let name = self.free_name(folder, compression, taken)?;
        sealer.set_compression(name.compression);
        let (size, source) = (self.stamp.size, &mut self.file);
        let file_name = name.path.file_name().unwrap_or_default();
        let (part, sealed) =
            write_part(folder, file_name, self.stamp.modified, NotSealed::Io, |mut part| {
                sealer.seal(source, size, &mut part).map_err(|error| match error {
                    SealError::Changed => NotSealed::Changed,
                    error => NotSealed::Seal(error),
                })
            })?;
        let entry = SealedFile {
            kind: self.kind,
            path: self.path,
            temp: self.temp,
            sealed: name.path,
            compression: name.compression,
            size,
            sealed_size: sealed.ciphertext_len,
            mode: self.mode,
            acl,
            mtime,
            changed: self.stamp.changed.date(),
            sha256: sealed.sha256,
            becoming: None,
        };
        Ok((part, entry))
    }

    fn free_name(
        &self,
        folder: &Dir,
        compression: Compression,
        taken: &mut BTreeSet<PathBuf>,
    ) -> Result<SealedName, NotSealed> {
        for copy in 0..MOST_NAMES {
            let name = naming::sealed_name(self.tree, &self.path, compression, copy)?;
            let file_name = name.path.file_name().unwrap_or_default();
            if folder.stat(file_name).is_err() && taken.insert(name.path.clone()) {
                return Ok(name);
            }
        }
        Err(NotSealed::NoName)
    }
}

/// Writes the unfinished form of a sealed file, dated and on its way to the disk; one that fails is removed.
pub(super) fn write_part<T, E>(
    folder: &Dir,
    name: &OsStr,
    modified: FileTime,
    failed: impl Fn(&'static str, io::Error) -> E,
    write: impl FnOnce(&File) -> Result<T, E>,
) -> Result<(File, T), E> {
    let part_name = naming::part_name(name);
    let part =
        dir::create_part(folder, &part_name).map_err(|error| failed("create its sealed file", error))?;
    let written = write(&part).and_then(|written| {
        let times = FileTimes::new().set_modified(system_time(modified));
        part.set_times(times).map_err(|error| failed("date its sealed file", error))?;
        dir::sync_unless_whole(&part).map_err(|error| failed("flush its sealed file", error))?;
        Ok(written)
    });
    match written {
        Ok(written) => Ok((part, written)),
        Err(error) => {
            let _ = dir::unlink(folder, &part_name);
            Err(error)
        }
    }
}
