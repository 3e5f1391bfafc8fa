//! The first phase of sealing a session: every file of it is written as an unfinished one, and its
//! record is.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use chrono::{DateTime, Utc};

use super::super::handles::Handles;
use super::super::sealed_file::{NotSealed, Plain};
use super::super::{Outcome, Owner, Skip, Unit, delete, dir, sealed};
use super::{Done, Part, Prepared, Sealing, Target, digest, part_of};
use crate::catalogue::Kind;
use crate::dir::{Dir, FileStamp, FileType};
use crate::files;
use crate::inventory::{Artifact, ArtifactIndex, Session};
use crate::seal::manifest::{Manifest, SealedFile, SealedLink};
use crate::seal::{Sealer, naming};

/// A failure of one file of a session.
struct Failed(ArtifactIndex, Outcome);

impl Sealing<'_> {
    /// Writes every file of a session as an unfinished one.
    pub(super) fn write_session(&self, unit: &Unit) -> Result<Prepared, Done> {
        let Owner::Session(index) = unit.owner else { return Err(Done::default()) };
        let session = self.inventory.session(index);
        let skip = |skip: Skip| Done {
            outcomes: unit.artifacts.iter().map(|index| (*index, Outcome::Skipped(skip))).collect(),
            ..Done::default()
        };
        // Before anything is read: encrypting what is being written to is work for nothing.
        if self.watch.is_live(session) {
            return Err(skip(Skip::BecameLive));
        }
        let store =
            unit.artifacts.first().and_then(|index| (self.store_for)(*index)).unwrap_or(session.store);
        let mut prepared =
            Prepared { session: index.at(), store, parts: Vec::new(), links: Vec::new(), record: Vec::new() };
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
    fn can_be_named(&self, unit: &Unit) -> Result<(), Failed> {
        for index in &unit.artifacts {
            let (tree, path, _) = sealed::place(self.inventory, *index);
            naming::sealed_name(tree, &path, self.compression, 0).map_err(|error| {
                let why = crate::error::chain(&error);
                let told = format!("cannot seal its session: {why}; rename or remove this file");
                Failed(*index, Outcome::Failed(told))
            })?;
        }
        Ok(())
    }

    fn write_all(&self, unit: &Unit, session: &Session, prepared: &mut Prepared) -> Result<(), Failed> {
        self.can_be_named(unit)?;
        let mut sealer = self.sealer().map_err(|error| {
            let first = unit.artifacts.first().copied().unwrap_or(ArtifactIndex::of(0));
            Failed(
                first,
                Outcome::Failed(format!("cannot prepare the encryption: {}", crate::error::chain(&error))),
            )
        })?;
        let mut taken: BTreeSet<PathBuf> = BTreeSet::new();
        let target = prepared.target(self.inventory);
        // Without what is recorded already, what was sealed earlier would be in no record any more.
        let old = self.old_record(target).map_err(|error| {
            let first = unit.artifacts.first().copied().unwrap_or(ArtifactIndex::of(0));
            Failed(first, Outcome::failed("read the record of what is sealed of its session", &error))
        })?;
        taken.extend(old.iter().flat_map(|record| &record.files).map(|file| file.sealed.clone()));
        let mut result = Ok(());
        let mut sources = Handles::new(self.inventory);
        let known = old.as_ref().map(by_source).unwrap_or_default();
        for index in &unit.artifacts {
            match self.write(*index, target, &mut sources, &mut sealer, &mut taken, &known) {
                Ok(Content::File(part)) => prepared.parts.push(*part),
                Ok(Content::Link(link)) => prepared.links.push((*index, link)),
                Ok(Content::None) => {}
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

    /// Seals one file into an unfinished one.
    fn write(
        &self,
        index: ArtifactIndex,
        target: Target<'_>,
        sources: &mut Handles<'_>,
        sealer: &mut Sealer,
        taken: &mut BTreeSet<PathBuf>,
        old: &BySource<'_>,
    ) -> Result<Content, Outcome> {
        let artifact = self.inventory.artifact(index);
        let failed = |doing: &str| {
            let doing = doing.to_owned();
            move |error: io::Error| delete::gone_or_failed(&doing, &error)
        };
        let (tree, path, temp) = sealed::place(self.inventory, index);
        let from = sources.get(artifact.folder).map_err(failed("open its folder"))?;
        let source_name = self.inventory.name(artifact);
        let stat = from.stat(source_name).map_err(failed("look at it again"))?;
        match stat.file_type {
            FileType::File => {}
            FileType::Link if dir::is_same(&artifact.stamp, &stat) => {
                let target = from.read_link(source_name).map_err(failed("read the link"))?;
                return Ok(Content::Link(SealedLink { path, temp, target, mtime: date_of(artifact)? }));
            }
            FileType::Link => return Err(Outcome::Skipped(Skip::ChangedSincePlan)),
            FileType::Folder | FileType::Special => return Ok(Content::None),
        }
        let source = from.read(source_name).map_err(failed("open it"))?;
        let stat = Dir::stat_open(&source).map_err(failed("look at it again"))?;
        if !dir::may_go(artifact, &stat) {
            return Err(Outcome::Skipped(Skip::ChangedSincePlan));
        }
        // A run that was interrupted after naming left a complete sealed file and the source.
        if let Some(entry) = same_source(old, &path, temp.as_deref(), &stat.stamp)
            && self.is_intact(target, entry)
        {
            return Ok(Content::File(Box::new(Part { artifact: index, entry: entry.clone() })));
        }
        let plain = Plain {
            file: source,
            stamp: artifact.stamp,
            kind: artifact.kind.unwrap_or(Kind::SealedFile),
            mode: u32::from(artifact.mode),
            tree,
            path,
            temp,
        };
        let folder = self
            .sealed_folder(target, plain.sealed_parent().as_deref())
            .map_err(failed("make the folder for its sealed file"))?;
        let (_, entry) =
            plain.seal(&folder, self.compression, taken, sealer).map_err(|error| match error {
                NotSealed::Changed => Outcome::Skipped(Skip::ChangedSincePlan),
                NotSealed::NoDate => Outcome::Failed("its date cannot be written".to_owned()),
                NotSealed::Name(error) => Outcome::Failed(format!("cannot seal it: {error}")),
                NotSealed::NoName => Outcome::Failed("cannot find a name for the sealed file".to_owned()),
                NotSealed::Io(doing, error) => delete::gone_or_failed(doing, &error),
                NotSealed::Seal(error) => {
                    Outcome::Failed(format!("cannot seal it: {}", crate::error::chain(&error)))
                }
            })?;
        Ok(Content::File(Box::new(Part { artifact: index, entry })))
    }

    /// Whether a sealed file of a record is there and hashes to what the record says.
    fn is_intact(&self, target: Target<'_>, entry: &SealedFile) -> bool {
        let read = || -> io::Result<bool> {
            let folder = self.sealed_folder(target, entry.sealed.parent())?;
            let file = folder.read(entry.sealed.file_name().unwrap_or_default())?;
            Ok(entry.is(&digest(file)?))
        };
        read().unwrap_or(false)
    }

    /// The record that is there already, of files sealed earlier.
    ///
    /// # Errors
    /// It, or whether one of its files is there, cannot be read.
    fn old_record(&self, target: Target<'_>) -> io::Result<Option<Manifest>> {
        if !target.session.has_record {
            return Ok(None);
        }
        let folder = self.sealed_folder(target, None)?;
        let Some(file) = there(folder.read(OsStr::new(naming::RECORD)))? else { return Ok(None) };
        let json = files::contents(&file, files::DOCUMENT)?;
        let mut record = Manifest::parse(&json, target.session.id)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut files = Vec::with_capacity(record.files.len());
        for file in record.files {
            let folder = self.sealed_folder(target, file.sealed.parent())?;
            // An interrupted run wrote the record before the files had their names.
            if there(folder.stat(file.sealed.file_name().unwrap_or_default()))?.is_some() {
                files.push(file);
            }
        }
        record.files = files;
        Ok(Some(record))
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
        let (mut files, mut links) = old.map(|old| (old.files, old.links)).unwrap_or_default();
        let anew: HashSet<&Path> = prepared.parts.iter().map(|part| &*part.entry.sealed).collect();
        files.retain(|file| !anew.contains(&*file.sealed));
        files.extend(prepared.parts.iter().map(|part| part.entry.clone()));
        let anew: HashSet<_> = prepared.links.iter().map(|(_, link)| (&link.temp, &link.path)).collect();
        links.retain(|link| !anew.contains(&(&link.temp, &link.path)));
        links.extend(prepared.links.iter().map(|(_, link)| link.clone()));
        let manifest = Manifest { links, ..sealed::describe(session, files, recipients, self.now) };
        prepared.record = manifest.to_json()?;
        // What cannot be read again would keep the session for ever.
        if prepared.record.len() as u64 > files::DOCUMENT {
            let why = "the session has too many files for one record";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        let folder = self.sealed_folder(prepared.target(self.inventory), None)?;
        let name = part_of(Path::new(naming::RECORD));
        let mut file = dir::create_part(&folder, &name)?;
        file.write_all(&prepared.record)?;
        dir::sync_unless_whole(&file)
    }
}

/// What was asked for, or nothing where nothing has that name.
fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// What sealing makes of one artifact.
enum Content {
    /// A file, encrypted into an unfinished one.
    File(Box<Part>),
    /// A link, which is noted in the record.
    Link(SealedLink),
    /// Nothing: it stays as it is.
    None,
}

/// The entries of a record by temp folder and path of their sources.
type BySource<'m> = HashMap<(Option<&'m Path>, &'m Path), Vec<&'m SealedFile>>;

fn by_source(record: &Manifest) -> BySource<'_> {
    let mut sources = BySource::new();
    for file in &record.files {
        sources.entry((file.temp.as_deref(), &file.path)).or_default().push(file);
    }
    sources
}

/// The entry of a file that was sealed from this very source, which was not touched since. Size and date alone may be those
/// of what somebody wrote there meanwhile, and nobody has the key to compare the content.
fn same_source<'m>(
    known: &BySource<'m>,
    path: &Path,
    temp: Option<&Path>,
    stamp: &FileStamp,
) -> Option<&'m SealedFile> {
    let mut entries = known.get(&(temp, path))?.iter().copied();
    let changed = stamp.changed.date()?;
    entries.find(|file| {
        file.size == stamp.size && Some(file.mtime) == stamp.modified.date() && file.changed == Some(changed)
    })
}

fn date_of(artifact: &Artifact) -> Result<DateTime<Utc>, Outcome> {
    let date = artifact.stamp.modified.date();
    date.ok_or_else(|| Outcome::Failed("its date cannot be written".to_owned()))
}
