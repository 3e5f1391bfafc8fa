//! What has no date at all is dated by the day on which a run first saw it.

use std::path::Path;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;
use sha2::{Digest as _, Sha256};

use super::lines::Line;
use super::{Artifact, ArtifactIndex, Belongs, FileKey, Inventory, Oddity, SessionIndex, StoreIndex};
use crate::catalogue::{Disposal, Kind};

/// When files without a date were first seen.
// Few have none, so it is beside them and not in each.
pub type FirstSeen = FxHashMap<FileKey, DateTime<Utc>>;

/// Something without a date, and the word by which later runs know it.
#[derive(Debug, PartialEq, Eq)]
pub struct Undated {
    /// The store it lies in.
    pub store: StoreIndex,
    /// The id of a session; of a file a digest of its path, since names of files may be content.
    pub key: String,
    of: Of,
}

#[derive(Debug, PartialEq, Eq)]
enum Of {
    Session(SessionIndex),
    File(ArtifactIndex),
}

impl Inventory {
    /// The date of a file of nobody: when it was modified, else when a run first saw it.
    pub fn dated(&self, artifact: &Artifact) -> Option<DateTime<Utc>> {
        artifact.modified().or_else(|| self.first_seen.get(&artifact.key()).copied())
    }

    /// Everything that could be due some day and has no date.
    pub fn undated(&self) -> impl Iterator<Item = Undated> {
        let sessions = (0..).zip(&self.sessions);
        let sessions = sessions.filter(|(_, session)| session.is_undated() && !session.is_unreadable);
        let sessions = sessions.map(|(at, session)| Undated {
            store: session.store,
            key: session.id.to_string(),
            of: Of::Session(SessionIndex::of(at)),
        });
        let files = (0_usize..).zip(&self.artifacts).filter(|(_, artifact)| {
            let is_whole = |kind: Kind| kind.row().disposal == Disposal::File || kind == Kind::ConfigBackup;
            let may_go = |kind: Kind| !kind.is_protected() && is_whole(kind);
            artifact.modified().is_none()
                && artifact.belongs == Belongs::Loose
                && artifact.oddity == Oddity::None
                && artifact.kind.is_some_and(may_go)
        });
        // Of lines without a date it counts when there were first any in their file.
        let lines = self.line_files.iter().filter(|file| {
            let has_none = |line: &Line| line.date.is_none();
            self.artifact(file.artifact).kind == Some(Kind::History)
                && file.content.lines.iter().any(has_none)
        });
        let lines = lines.map(|file| (file.artifact.at(), self.artifact(file.artifact)));
        let files = files.chain(lines);
        let files = files.map(|(at, artifact)| {
            let path = self.secret_path(artifact);
            let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
            let key = format!("#{}", hex::encode(digest.get(..8).unwrap_or_default()));
            Undated { store: self.store_of(artifact), key, of: Of::File(ArtifactIndex::of(at)) }
        });
        sessions.chain(files)
    }

    /// Takes note of when earlier runs first saw what has no date, by the root of its store.
    pub fn remember_first_seen(&mut self, when: impl Fn(&Path, &str) -> Option<DateTime<Utc>>) {
        let known: Vec<(Of, DateTime<Utc>)> = self
            .undated()
            .filter_map(|undated| {
                let root = &self.store(undated.store).store.root;
                let seen = when(root, &undated.key).filter(|seen| *seen <= self.taken)?;
                Some((undated.of, seen))
            })
            .collect();
        for (of, seen) in known {
            match of {
                Of::Session(index) => self.sessions[index.at()].first_seen = Some(seen),
                Of::File(index) => {
                    let artifact = &self.artifacts[index.at()];
                    self.first_seen.insert(artifact.key(), seen);
                }
            }
        }
    }
}
