//! What one thread of a walk has found and not handed over yet, so that threads seldom wait for
//! each other.

use std::ffi::OsStr;
use std::sync::Arc;

use super::content::Said;
use super::names::Names;
use super::parts::Parts;
use super::transcript::Facts;
use super::{Artifact, ArtifactIndex, PartIndex, ProjectIndex, StoreIndex};
use crate::catalogue::{Kind, SessionId};
use crate::dir::FileStamp;

/// So many artifacts are handed over at once.
const AT_ONCE: usize = 1024;

/// What one thread has at hand.
#[derive(Debug, Default)]
pub(super) struct Batch {
    found: Found,
}

#[derive(Debug, Default)]
pub(super) struct Found {
    pub names: Names,
    /// All loose, until sessions are told apart.
    pub artifacts: Vec<Artifact>,
    /// The part of each artifact that is of a session.
    pub parts: Vec<Option<PartIndex>>,
    /// The projects that loose artifacts name.
    pub projects: Vec<Arc<str>>,
    /// What transcripts said that stand for themselves.
    pub facts: Vec<(ArtifactIndex, Facts)>,
    /// What is placed when everything was seen.
    pub later: Vec<Later>,
}

/// An artifact of which more must be known than its own folder tells.
#[derive(Debug)]
pub(super) struct Later {
    pub artifact: ArtifactIndex,
    pub owner: Option<SessionId>,
    pub said: Said,
}

/// A file as it was met.
pub(super) struct Met<'a> {
    pub name: &'a OsStr,
    pub store: StoreIndex,
    /// The session that its path or its content names.
    pub owner: Option<SessionId>,
    pub said: Said,
    /// Whether it may be dated by what it says now.
    pub is_datable: bool,
}

impl Batch {
    /// Adds a file, whose artifact has no name yet; hands everything over where that is enough.
    ///
    /// What it says about its session is noted in `parts`.
    pub fn add(&mut self, mut artifact: Artifact, met: Met<'_>, parts: &Parts) -> Option<Found> {
        let found = &mut self.found;
        let Met { name, store, owner, said, is_datable } = met;
        artifact.name = found.names.add(name);
        let index = ArtifactIndex::of(found.artifacts.len());
        // Of some, what lies beside them tells more, or every session must be known first.
        let waits = artifact.kind.is_some_and(Kind::is_by_place)
            || matches!(
                artifact.kind,
                Some(
                    Kind::SealedFile
                        | Kind::SealedRecord
                        | Kind::Job
                        | Kind::CoworkFile
                        | Kind::DesktopIndex
                        | Kind::DaemonFile
                        | Kind::PidFile
                )
            )
            || artifact.kind == Some(Kind::TempFile) && owner.is_none()
            || matches!(said, Said::Pid(_) | Said::Torn | Said::Lines(_) | Said::Log(_));
        let part = if waits {
            found.later.push(Later { artifact: index, owner, said });
            None
        } else {
            let part = parts.place(&mut artifact, &mut found.projects, store, owner, &said);
            if let (Said::Facts(facts), true) = (said, is_datable) {
                found.facts.push((index, facts));
            }
            part
        };
        found.artifacts.push(artifact);
        found.parts.push(part);
        (found.artifacts.len() >= AT_ONCE).then(|| std::mem::take(found))
    }

    /// What is still at hand.
    pub fn into_found(self) -> Found {
        self.found
    }
}

impl Found {
    /// Room for what a large store holds.
    pub fn with_room() -> Self {
        // So that nothing is moved as it grows, which at a hundred thousand files takes 2.8 % more
        // instructions and, with the old and the new piece at once, 7 MB more. Memory that is not
        // written to costs nothing.
        Self {
            artifacts: Vec::with_capacity(64 << 10),
            parts: Vec::with_capacity(64 << 10),
            names: Names::with_room(),
            ..Self::default()
        }
    }

    /// Takes in what a thread has found.
    pub fn append(&mut self, other: Self) {
        let Self { names, mut artifacts, mut parts, projects, facts, later } = other;
        let before = self.artifacts.len();
        let names_before = self.names.append(names);
        let projects_before = self.projects.len();
        for artifact in &mut artifacts {
            artifact.name = artifact.name.moved(names_before);
            artifact.project = artifact.project.map(|index| ProjectIndex::of(index.at() + projects_before));
        }
        let moved = |index: ArtifactIndex| ArtifactIndex::of(index.at() + before);
        self.artifacts.append(&mut artifacts);
        self.parts.append(&mut parts);
        self.projects.extend(projects);
        self.facts.extend(facts.into_iter().map(|(index, facts)| (moved(index), facts)));
        self.later.extend(later.into_iter().map(|later| Later { artifact: moved(later.artifact), ..later }));
    }

    /// What transcripts said that stand for themselves, with the state they were in.
    pub fn facts(&self) -> impl Iterator<Item = (&FileStamp, &Facts)> {
        self.facts.iter().map(|(index, facts)| (&self.artifacts[index.at()].stamp, facts))
    }
}
