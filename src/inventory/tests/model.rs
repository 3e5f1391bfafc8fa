//! Inventories of files that were made up, put together as those of a disk are.

use std::ffi::OsStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::batch::{Batch, Found, Met};
use super::content::Said;
use super::intern::Interner;
use super::lines::{Format, Line, Lines};
use super::liveness::{PidRecord, Processes};
use super::names::Names;
use super::parts::Parts;
use super::session::{Folders, Raw, group};
use super::transcript::Facts;
use super::{Artifact, Belongs, Folder, FolderIndex, Inventory, Oddity, Session, StoreIndex, StoreView};
use crate::catalogue::{Kind, Root, SessionId};
use crate::dir::{FileStamp, FileTime, FileType};
use crate::locate::Store;
use crate::seal::Compression;
use crate::seal::manifest::{Manifest, SealedFile};

/// What a file says.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Nothing that matters.
    Nothing,
    /// Its newest record, and the folder of its first one.
    Records(Option<DateTime<Utc>>, Option<&'static str>),
    /// Lines, each with the hashes of its pastes.
    Lines(Format, Vec<(Line, Vec<String>)>),
    /// When a client started, and whether it runs in another pid domain.
    Client(DateTime<Utc>, bool),
    /// The record of a sealed session.
    Record(Box<Manifest>),
}

/// A file of one of the stores.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub store: usize,
    pub kind: Kind,
    pub session: Option<SessionId>,
    pub name: String,
    pub modified: DateTime<Utc>,
    pub sealed: bool,
    pub content: Content,
}

/// No process runs.
struct Nobody;

impl Processes for Nobody {
    fn start(&self, _: u32) -> Option<Option<String>> {
        None
    }

    fn domains(&self) -> Vec<String> {
        vec!["linux:here:pid:[1]".to_owned()]
    }

    fn booted(&self) -> Option<DateTime<Utc>> {
        None
    }

    fn owner(&self, _: u32) -> Option<u32> {
        None
    }
}

/// The inventory of such files, all of them directly in the root of their store.
pub(crate) fn inventory(
    stores: Vec<Store>,
    files: &[File],
    is_complete: bool,
    now: DateTime<Utc>,
) -> Inventory {
    let mut folders = Folders { list: Vec::new(), names: Names::default() };
    for at in 0..stores.len() {
        let name = folders.names.add(OsStr::new(""));
        let store = StoreIndex::of(at);
        folders.list.push(Folder {
            store,
            parent: None,
            name,
            anchor: None,
            session: None,
            hides_names: false,
        });
    }
    let (parts, mut batch, mut found) = (Parts::new(now), Batch::default(), Found::default());
    for file in files {
        let artifact = Artifact {
            folder: FolderIndex::of(file.store),
            name: Default::default(),
            stamp: FileStamp { modified: FileTime::of(file.modified), ..FileStamp::default() },
            mode: 0o600,
            file_type: FileType::File,
            hard_linked: false,
            links: 1,
            allocated: 0,
            oddity: Oddity::None,
            kind: Some(file.kind),
            belongs: Belongs::Loose,
            sealed: file.sealed,
            project: None,
        };
        let (store, owner) = (StoreIndex::of(file.store), file.session);
        let met =
            Met { name: OsStr::new(&file.name), store, owner, said: said(file, now), is_datable: false };
        if let Some(full) = batch.add(artifact, met, &parts) {
            found.append(full);
        }
    }
    found.append(batch.into_found());
    group(Raw {
        stores,
        folders,
        found,
        parts,
        unread: Vec::new(),
        problems: Vec::new(),
        is_complete,
        now,
        interner: Interner::default(),
        processes: &Nobody,
        saw_transcript: &|_, _| false,
    })
}

fn said(file: &File, now: DateTime<Utc>) -> Said {
    match &file.content {
        Content::Nothing => Said::Nothing,
        Content::Records(newest, project) => Said::Facts(Facts {
            newest: newest.filter(|date| *date <= now),
            projects: project.iter().map(|project| Arc::from(*project)).collect(),
            is_of_client: true,
            ..Facts::default()
        }),
        Content::Lines(format, lines) => {
            let mut content = Lines { format: *format, is_well_formed: true, ..Lines::default() };
            for (line, hashes) in lines {
                let at = u32::try_from(content.lines.len()).unwrap();
                content.references.extend(hashes.iter().map(|hash| (hash.as_str().into(), at)));
                content.lines.push(line.clone());
            }
            Said::Lines(Box::new(content))
        }
        Content::Client(started, is_elsewhere) => Said::Pid(Box::new(PidRecord {
            pid: 7,
            session: file.session,
            start: None,
            started_at: Some(*started),
            domain: Some(if *is_elsewhere { "linux:there:pid:[2]" } else { "linux:here:pid:[1]" }.to_owned()),
            modified: Some(file.modified),
            is_unread: false,
        })),
        Content::Record(manifest) => Said::Manifest(manifest.clone()),
    }
}

/// The record of a session whose files are sealed now, with those that are recorded already.
pub(crate) fn record(
    session: &Session,
    old: Option<&Manifest>,
    files: &[&File],
    stores: &[StoreView],
) -> Manifest {
    let temp = |file: &&File| {
        let store = &stores[file.store].store;
        (store.kind == Root::Temp).then(|| store.root.join("P").join(session.id.to_string()))
    };
    let entry = |file: &&File| SealedFile {
        kind: file.kind,
        path: file.name.clone().into(),
        temp: temp(file),
        sealed: file.name.clone().into(),
        compression: Compression::None,
        size: 0,
        sealed_size: 0,
        mode: 0o600,
        mtime: file.modified,
        changed: None,
        sha256: [0; 32],
        acl: None,
        becoming: None,
    };
    let mut all = old.map(|old| old.files.clone()).unwrap_or_default();
    all.extend(files.iter().map(entry));
    session.record(all)
}
