//! Folders that several stores reach, and those that none does.

use std::path::Path;

use super::Inventory;
use super::artifact::Artifact;
use super::conversation::Session;
use super::index::StoreIndex;
use crate::catalogue::{Cursor, Kind};
use crate::locate::Crossing;

impl Inventory {
    /// The folders that are links or mount points and were followed once, each with its store.
    pub fn crossings(&self) -> impl Iterator<Item = (StoreIndex, &Crossing)> {
        self.stores.iter().enumerate().flat_map(|(at, view)| {
            let own = view.store.crossings.followed.iter().filter(|crossing| crossing.is_own);
            own.map(move |crossing| (StoreIndex::of(at), crossing))
        })
    }

    /// Whether a folder that may hold files of a session could not be reached, such as that of all edited files.
    pub fn misses_parts_of(&self, session: &Session) -> bool {
        let store = &self.store(session.store).store;
        store.crossings.out_of_reach.iter().any(|missed| {
            let inside = missed
                .path
                .iter()
                .fold(Cursor::at(store.kind), |cursor, name| cursor.enter(name.as_encoded_bytes()));
            missed.path.iter().count() == 1 && inside.kinds().any(Kind::is_of_session)
        })
    }

    /// The stores that reach a folder of a store, or of which it reaches one.
    pub fn sharing(&self, index: StoreIndex) -> impl Iterator<Item = StoreIndex> {
        let store = &self.store(index).store;
        let others = self.stores.iter().enumerate();
        others.filter(|(_, view)| view.store.shares_with(store)).map(|(at, _)| StoreIndex::of(at))
    }

    /// Whether a file lies in a folder that one of some other stores reaches too.
    pub fn is_reached_from(&self, artifact: &Artifact, is_one: impl Fn(StoreIndex) -> bool) -> bool {
        let store = &self.store(self.store_of(artifact)).store;
        let is_one = |root: &Path| {
            let at = self.stores.iter().position(|view| view.store.root == root);
            at.is_some_and(|at| is_one(StoreIndex::of(at)))
        };
        let mut reached = store.crossings.reached_from.iter().filter(|(_, root)| is_one(root));
        reached.any(|(folder, _)| self.original_path(artifact).starts_with(folder))
    }

    /// Whether a transcript of a session lies in such a folder.
    pub fn is_session_reached_from(&self, session: &Session, is_one: impl Fn(StoreIndex) -> bool) -> bool {
        // Hardly any store shares a folder with another, and a session has many files.
        let files = self.files(session).iter().map(|index| self.artifact(*index));
        let mut transcripts = files.filter(|artifact| artifact.kind == Some(Kind::Transcript));
        !self.store(session.store).store.crossings.reached_from.is_empty()
            && transcripts.any(|artifact| self.is_reached_from(artifact, &is_one))
    }
}
