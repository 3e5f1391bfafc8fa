//! Sessions as far as a walk has seen them: what a file says about its session is noted while the
//! file is at hand, so that only what needs the whole picture is left when everything was seen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;

use super::content::Said;
use super::part::Part;
use super::{Artifact, Evidence, Oddity, PartIndex, ProjectIndex, StoreIndex};
use crate::catalogue::SessionId;

/// Sessions as far as they were seen, by store and id; all threads of a walk add to them.
#[derive(Debug)]
pub(super) struct Parts {
    /// When the walk began.
    now: DateTime<Utc>,
    // One lock for all threads: sixteen, by the first digit of an id, make a look at a hundred
    // thousand files 3 % shorter at most, and were a hundred lines.
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    list: Vec<Part>,
    by_id: ById,
}

/// The place of each part in the list of all.
pub(super) type ById = FxHashMap<(StoreIndex, SessionId), PartIndex>;

impl Parts {
    /// None yet, of a walk that begins now.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { now, seen: Mutex::default() }
    }

    /// Finds the part of the session that an artifact is of, and lets it know of the artifact.
    pub fn place(
        &self,
        artifact: &mut Artifact,
        projects: &mut Vec<Arc<str>>,
        store: StoreIndex,
        owner: Option<SessionId>,
        said: &Said,
    ) -> Option<PartIndex> {
        let part = match (artifact.kind, owner) {
            (Some(kind), Some(id)) if kind.is_of_session() => {
                Some(self.at(store, id, |part| part.take(artifact, kind, said, self.now)))
            }
            // An unknown name in a session's own folder is not the session's, but is counted, and
            // shows that the session is in use.
            (None, Some(id)) => {
                self.at(store, id, |part| {
                    part.session.unrecognised += 1;
                    part.session.unsealable += u32::from(artifact.oddity == Oddity::OutOfReach);
                    part.session.touch(artifact.modified(), self.now);
                });
                None
            }
            _ => None,
        };
        let project = match said {
            Said::Log(log) => log.project(),
            Said::Facts(facts) if part.is_none() => facts.project(),
            _ => None,
        };
        artifact.project = project.map(|project| {
            projects.push(Arc::clone(project));
            ProjectIndex::of(projects.len() - 1)
        });
        part
    }

    /// Whether a transcript of a session, plain or sealed, was found in a store.
    pub fn has_transcript(&self, store: StoreIndex, id: SessionId) -> bool {
        let seen = self.seen();
        seen.by_id.get(&(store, id)).is_some_and(|at| seen.list[at.at()].session.has_transcript)
    }

    /// Takes note that a folder of a session's own could not be seen whole.
    pub fn misses_files(&self, store: StoreIndex, id: SessionId) {
        self.at(store, id, |part| part.session.unsealable += 1);
    }

    /// Takes note of a sealed copy.
    pub fn show_sealed(&self, store: StoreIndex, id: SessionId) {
        self.at(store, id, |part| {
            if !part.session.is_shown() {
                part.session.evidence = Evidence::Sealed;
            }
        });
    }

    /// Lets the part of a session of a store, which is made if it is new, know of something.
    fn at(&self, store: StoreIndex, id: SessionId, learn: impl FnOnce(&mut Part)) -> PartIndex {
        let mut seen = self.seen();
        // Found and made under one lock: two threads may meet the first files of a session at once.
        let Seen { list, by_id } = &mut *seen;
        let at = *by_id.entry((store, id)).or_insert_with(|| {
            list.push(Part::new(store, id));
            PartIndex::of(list.len() - 1)
        });
        learn(&mut list[at.at()]);
        at
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ids of all sessions that were seen.
    pub fn ids(&self) -> Vec<SessionId> {
        self.seen().list.iter().map(|part| part.session.id).collect()
    }

    pub fn id_of(&self, number: PartIndex) -> Option<SessionId> {
        self.seen().list.get(number.at()).map(|part| part.session.id)
    }

    /// All in one list, and where in it they are.
    pub fn into_list(self) -> (Vec<Part>, ById) {
        let Seen { list, by_id } = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        (list, by_id)
    }
}
