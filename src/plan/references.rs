//! Who refers to what across an inventory: lines to pastes, and lines to sessions.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashSet;

use rustc_hash::{FxBuildHasher, FxHashMap};
use smallvec::SmallVec;

use super::Judge;
use crate::catalogue::{Kind, SessionId};
use crate::inventory::lines::Line;
use crate::inventory::{Artifact, FileKey, FolderIndex, Inventory, Session, StoreIndex};

/// Who refers to what across the inventory.
pub(super) struct References<'a> {
    pub(super) pastes: FxHashMap<(StoreIndex, &'a str), Vec<&'a Line>>,
    /// The sessions that plans belong to, and that logs name: each as a line that says no more.
    pub(super) named: FxHashMap<FileKey, Vec<Line>>,
    /// Stores with a file of references that could not be read, or that may refer to any paste.
    unknown: HashSet<StoreIndex>,
    /// The messages of each team, by the team's folder.
    messages: FxHashMap<FolderIndex, Vec<&'a Artifact>>,
    /// Mostly one, but an id may be known in several stores; the newest first.
    pub(super) sessions: FxHashMap<SessionId, SmallVec<[usize; 1]>>,
    /// The newest session of an id that is remembered and was not found, by its place among those.
    absent: FxHashMap<SessionId, usize>,
}

/// A session that a line names, found or remembered.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) session: &'a Session,
    /// Its place among the verdicts: those that were found, then those that are remembered.
    pub(super) at: usize,
}

impl<'a> References<'a> {
    pub(super) fn new(inventory: &'a Inventory) -> Self {
        let mut pastes: FxHashMap<_, Vec<&Line>> = FxHashMap::default();
        let mut sessions: FxHashMap<_, SmallVec<[usize; 1]>> =
            FxHashMap::with_capacity_and_hasher(inventory.sessions.len(), FxBuildHasher);
        let mut read = HashSet::new();
        for file in &inventory.line_files {
            let store = inventory.store_of(inventory.artifact(file.artifact));
            if !file.content.refers_to_any {
                // A file that was not understood whole may refer to any paste, so nothing is known of those it
                // could be about.
                read.insert(file.artifact.at());
            }
            // A folder of pastes may be that of several stores.
            let reached: Vec<StoreIndex> = inventory.sharing(store).chain([store]).collect();
            for (hash, line) in &file.content.references {
                let line = file.content.lines.get(*line as usize);
                for store in &reached {
                    pastes.entry((*store, &**hash)).or_default().extend(line);
                }
            }
        }
        for (hash, line) in inventory.absent.lines.iter().map(|(store, hash, line)| ((*store, &**hash), line))
        {
            pastes.entry(hash).or_default().push(line);
        }
        for (at, session) in inventory.sessions.iter().enumerate() {
            sessions.entry(session.id).or_default().push(at);
        }
        let newest_first = |at: &usize| Reverse(age(&inventory.sessions[*at]));
        sessions.values_mut().filter(|of| of.len() > 1).for_each(|of| of.sort_by_key(newest_first));
        let mut absent: FxHashMap<SessionId, usize> = FxHashMap::default();
        for (at, (session, _)) in inventory.absent.sessions.iter().enumerate() {
            let known = absent.entry(session.id).or_insert(at);
            if age(session) > age(&inventory.absent.sessions[*known].0) {
                *known = at;
            }
        }
        let unread = inventory
            .artifacts
            .iter()
            .enumerate()
            .filter(|(at, artifact)| artifact.kind == Some(Kind::History) && !read.contains(at));
        let unknown = unread.map(|(_, artifact)| inventory.store_of(artifact));
        let unknown = unknown.flat_map(|store| inventory.sharing(store).chain([store])).collect();
        let mut messages: FxHashMap<_, Vec<&Artifact>> = FxHashMap::default();
        for artifact in inventory.artifacts.iter().filter(|artifact| artifact.kind == Some(Kind::TeamInbox)) {
            if let Some(team) = inventory.folder(artifact.folder).parent {
                messages.entry(team).or_default().push(artifact);
            }
        }
        Self { pastes, named: named(inventory), unknown, messages, sessions, absent }
    }
}

/// The sessions of each plan, and those that each log names.
fn named(inventory: &Inventory) -> FxHashMap<FileKey, Vec<Line>> {
    let line = |id| Line { session: Some(id), ..Line::default() };
    let absent = inventory.absent.sessions.iter().map(|(session, _)| session);
    let with_slugs: Vec<&Session> =
        inventory.sessions.iter().chain(absent).filter(|session| !session.slugs.is_empty()).collect();
    let of_plans = inventory.plans.iter().map(|(plan, slugs)| {
        let is_its = |session: &&&Session| {
            session.slugs.iter().any(|slug| slugs.iter().any(|plan| slug.may_be(*plan)))
        };
        let mut ids: Vec<SessionId> = with_slugs.iter().filter(is_its).map(|session| session.id).collect();
        ids.sort_unstable();
        ids.dedup();
        (*plan, ids.into_iter().map(line).collect::<Vec<Line>>())
    });
    let logs = inventory.logs.iter();
    let of_logs = logs.map(|(key, log)| (*key, log.sessions.iter().copied().map(line).collect()));
    of_plans.chain(of_logs).filter(|(_, lines)| !lines.is_empty()).collect()
}

/// How new a session is; one that a transcript shows goes before any that none does.
fn age(session: &Session) -> impl Ord + use<> {
    let Session { newest_record, modified, store, .. } = session;
    // Of one that is only remembered, what its transcript said.
    let before = session.before.as_ref().and_then(|before| before.record.or(before.modified));
    (session.is_shown(), newest_record.or(before).or(*modified), Reverse(*store))
}

impl References<'_> {
    /// Whether a paste or a plan may have owners that nobody knows, because not everything that could name it was read.
    pub(super) fn are_incomplete(&self, inventory: &Inventory, artifact: &Artifact) -> bool {
        match artifact.kind {
            Some(Kind::Paste) => self.unknown.contains(&inventory.store_of(artifact)),
            Some(Kind::Plan) => inventory.is_plan_in_doubt(artifact),
            _ => false,
        }
    }
}

impl<'a> Judge<'a> {
    /// Whether a session that is named and not known may lie where nothing could be read.
    pub(super) fn may_be_out_of_sight(&self, id: SessionId) -> bool {
        let References { sessions, absent, .. } = self.references;
        !self.inventory.is_complete && !sessions.contains_key(&id) && !absent.contains_key(&id)
    }

    /// The messages of the team whose folder holds a file.
    pub(super) fn messages_beside(&self, artifact: &Artifact) -> &[&'a Artifact] {
        self.references.messages.get(&artifact.folder).map(Vec::as_slice).unwrap_or_default()
    }

    /// The history lines that refer to a paste; the sessions of a plan or a log.
    pub(super) fn referring(&self, artifact: &Artifact) -> Option<Cow<'a, [&'a Line]>> {
        if artifact.kind != Some(Kind::Paste) {
            return self.references.named.get(&artifact.key()).map(|lines| lines.iter().collect());
        }
        let name = self.inventory.name(artifact).to_str().unwrap_or_default();
        let hash = name.split_once('.').map_or(name, |(hash, _)| hash);
        let key = (self.inventory.store_of(artifact), hash);
        self.references.pastes.get(&key).map(|lines| Cow::Borrowed(lines.as_slice()))
    }

    /// The session a line names, also where it is only remembered.
    pub(super) fn known_to(&self, line: &Line, store: StoreIndex) -> Option<Known<'a>> {
        let sessions = &self.inventory.sessions;
        if let Some(at) = self.session_of(line, store) {
            return Some(Known { session: &sessions[at], at });
        }
        let at = *self.references.absent.get(&line.session?)?;
        let (session, _) = self.inventory.absent.sessions.get(at)?;
        Some(Known { session, at: sessions.len() + at })
    }

    /// The session a line names: the one in its own store, else the newest of that id.
    pub(super) fn session_of(&self, line: &Line, store: StoreIndex) -> Option<usize> {
        let known = self.references.sessions.get(&line.session?)?;
        let own = known.iter().find(|at| self.inventory.sessions[**at].store == store);
        own.or_else(|| known.first()).copied()
    }
}
