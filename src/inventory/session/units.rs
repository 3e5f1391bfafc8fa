//! Parts in several stores that are one session.

use std::cmp::Reverse;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rayon::prelude::*;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::{Folders, reaching};
use crate::catalogue::SessionId;
use crate::inventory::lines::{Line, LineFile};
use crate::inventory::part::{FEW, Part};
use crate::inventory::parts::{ById, Parts};
use crate::inventory::{Artifact, ArtifactIndex, Belongs, PartIndex, Session, SessionIndex, StoreIndex};
use crate::locate::Store;

/// So many lines are worth a thread.
const LINES_AT_ONCE: usize = 2048;

/// What a line tells of a session: when it was written, and the project it names.
type Heard = (SessionIndex, Option<DateTime<Utc>>, Arc<str>);

/// The sessions, each of one or more parts: the satellites of a store without the transcript belong
/// to the session of their id in another.
pub(super) struct Units {
    pub sessions: Vec<Session>,
    /// The session of each part; `None` where an id is named only by what the catalogue does not know.
    of_parts: Vec<Option<SessionIndex>>,
    places: ById,
    /// The newest part of an id.
    newest: FxHashMap<SessionId, u32>,
}

impl Units {
    pub(super) fn of(parts: Parts, is_complete: bool, is_config: impl Fn(StoreIndex) -> bool) -> Self {
        let (mut parts, places) = parts.into_list();
        let mut newest: FxHashMap<SessionId, u32> =
            FxHashMap::with_capacity_and_hasher(parts.len(), FxBuildHasher);
        // The newest that a transcript shows. Satellites of one id in several stores, and no
        // transcript, are one unit, of a config store if any of them lies in one: what is sealed has
        // its place there.
        let rank = |part: &Part| {
            let date = part.session.activity().map(|(date, _)| date).filter(|_| part.is_shown());
            let store = part.session.store;
            (part.is_shown(), date, is_config(store), Reverse(store))
        };
        for (at, part) in (0..).zip(&parts).filter(|(_, part)| part.is_shown() || part.files > 0) {
            let entry = newest.entry(part.session.id).or_insert(at);
            // By content and place, never by the order in which threads have met them.
            if rank(part) > rank(&parts[*entry as usize]) {
                *entry = at;
            }
        }
        let whole = |(at, part): (u32, &Part)| {
            if part.is_shown() { Some(at) } else { newest.get(&part.session.id).copied() }
        };
        let wholes: Vec<Option<u32>> = (0..).zip(&parts).map(whole).collect();
        let mut of_parts: Vec<Option<SessionIndex>> = vec![None; parts.len()];
        let mut units = 0;
        for (at, whole) in (0..).zip(&wholes) {
            if *whole == Some(at) {
                of_parts[at as usize] = Some(SessionIndex::of(units));
                units += 1;
            }
        }
        let mut each = of_parts.iter();
        let others: Vec<Part> = parts.extract_if(.., |_| each.next().is_some_and(Option::is_none)).collect();
        let of_others = (0..).zip(wholes).filter(|(at, whole)| *whole != Some(*at));
        for (mut part, (at, whole)) in others.into_iter().zip(of_others) {
            let unit = whole.and_then(|whole| of_parts[whole as usize]);
            of_parts[at as usize] = unit;
            if let Some(unit) = unit {
                let whole = &mut parts[unit.at()];
                // What lies in another config store is not sealed with a transcript.
                if whole.session.has_transcript && is_config(part.session.store) {
                    part.session.unsealable = 0;
                }
                whole.join(part);
            }
        }
        let sessions = parts.into_iter().map(|part| part.into_session(is_complete)).collect();
        Self { sessions, of_parts, places, newest }
    }

    /// Joins what belongs to the sessions with them; gives the artifacts of all, a session after the other.
    pub(super) fn join(
        &mut self,
        line_files: &[LineFile],
        artifacts: &mut [Artifact],
        parts: &[Option<PartIndex>],
        folders: &Folders,
        stores: &[Store],
    ) -> Vec<ArtifactIndex> {
        let lines: Vec<(Vec<StoreIndex>, &[Line])> = line_files
            .iter()
            .map(|file| {
                let folder = &folders.list[artifacts[file.artifact.at()].folder.at()];
                (reaching(stores.iter(), folder.store), &*file.content.lines)
            })
            .collect();
        let (learnt, counts) = rayon::join(|| self.heard_of(&lines), || self.tell_owners(artifacts, parts));
        self.learn(learnt);
        self.give_out(artifacts, counts)
    }

    fn of_part(&self, place: usize) -> Option<SessionIndex> {
        *self.of_parts.get(place)?
    }

    /// The session of an id that what lies in a store means: its own, or that of one which shares a
    /// folder with it, else the newest.
    fn meant_in(&self, stores: &[StoreIndex], id: SessionId) -> Option<SessionIndex> {
        let own = stores.iter().find_map(|store| self.of_part(self.places.get(&(*store, id))?.at()));
        own.or_else(|| self.of_part(*self.newest.get(&id)? as usize))
    }

    /// The projects that history lines and index entries of stores name beyond those that are known,
    /// with the dates of the lines.
    fn heard_of(&self, stores: &[(Vec<StoreIndex>, &[Line])]) -> Vec<Heard> {
        let mut new = Vec::new();
        // Of sessions with many projects, of which each line asks for one.
        let many = |(_, session): &(usize, &Session)| session.projects.len() > FEW;
        let sets: FxHashMap<usize, FxHashSet<&Arc<str>>> = (0..)
            .zip(&self.sessions)
            .filter(many)
            .map(|(at, session)| (at, session.projects.iter().collect()))
            .collect();
        for (meant, lines) in stores {
            let news = |line: &Line| {
                let (id, project) = line.session.zip(line.project.as_ref())?;
                let index = self.meant_in(meant, id)?;
                let is_known = match sets.get(&index.at()) {
                    Some(set) => set.contains(project),
                    None => self.sessions[index.at()].projects.contains(project),
                };
                (!is_known).then(|| (index, line.date, Arc::clone(project)))
            };
            new.par_extend(lines.par_iter().with_min_len(LINES_AT_ONCE).filter_map(news));
        }
        new
    }

    /// Adds projects to sessions.
    fn learn(&mut self, mut new: Vec<Heard>) {
        // It is all that is known of the project of an orphaned one, which has that of its newest line.
        new.sort_unstable();
        for heard in new.chunk_by(|(one, ..), (other, ..)| one == other) {
            let Some((index, newest, _)) = heard.last() else { continue };
            let session = &mut self.sessions[index.at()];
            if session.project.is_none() && !session.project_in_doubt {
                let lines = heard.iter().filter(|(_, date, _)| date == newest);
                session.may_be_of(lines.map(|(.., project)| project));
            }
            let mut projects: Vec<Arc<str>> = heard.iter().map(|(.., project)| Arc::clone(project)).collect();
            projects.sort_unstable();
            projects.dedup();
            session.learn_all(&projects.into());
            session.sort_projects();
        }
    }

    /// Tells artifacts, each with its part, their session; says how many each session has.
    pub(super) fn tell_owners(&self, artifacts: &mut [Artifact], parts: &[Option<PartIndex>]) -> Vec<u32> {
        let mut counts = vec![0_u32; self.sessions.len()];
        for (artifact, part) in artifacts.iter_mut().zip(parts) {
            if let Some(session) = part.and_then(|part| self.of_part(part.at())) {
                artifact.belongs = Belongs::Session(session);
                counts[session.at()] += 1;
            }
        }
        counts
    }

    /// Gives each session its artifacts, of which each has so many.
    pub(super) fn give_out(&mut self, artifacts: &[Artifact], counts: Vec<u32>) -> Vec<ArtifactIndex> {
        let mut start = 0;
        for (session, count) in self.sessions.iter_mut().zip(counts) {
            session.files = start..start;
            start += count;
        }
        let mut grouped = vec![ArtifactIndex::of(0); start as usize];
        for (at, artifact) in artifacts.iter().enumerate() {
            if let Belongs::Session(session) = artifact.belongs {
                let files = &mut self.sessions[session.at()].files;
                grouped[files.end as usize] = ArtifactIndex::of(at);
                files.end += 1;
            }
        }
        grouped
    }
}
