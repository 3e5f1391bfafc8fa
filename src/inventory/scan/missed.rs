//! What is not entered because it is another store's, and what cannot be looked at.

use std::ffi::OsStr;
use std::io;

use rayon::Scope;

use super::links::{self, Crossed};
use super::{Place, Walk, locked};
use crate::catalogue::{Cursor, Kind};
use crate::dir::Dir;
use crate::inventory::liveness::PidRecord;
use crate::locate::SHARED_TREE;

impl Walk<'_> {
    /// Whether a folder is another account's where all may make folders: it is none of our business, and what its owner
    /// does with it must not slow or fail our run.
    pub(super) fn is_anothers(&self, place: &Place, name: &OsStr) -> bool {
        // Only the tree that accounts share is entered whoever made it.
        let store = self.store(place.store);
        if !store.kind.is_everybodys() {
            return false;
        }
        let is_own = || place.dir.stat(name).is_ok_and(|stat| stat.owner == store.owner);
        let is_shared = || place.top && name == SHARED_TREE && place.dir.child(name).is_ok();
        !is_own() && !is_shared()
    }

    /// Whether a folder in one that is shared with others is a store that is looked into by itself.
    pub(super) fn is_another_store(&self, place: &Place, dir: &Dir) -> bool {
        self.store(place.store).kind.is_shared()
            && dir.stat_self().is_ok_and(|stat| {
                let identity = (stat.stamp.device, stat.stamp.inode);
                self.stores.iter().any(|store| store.identity == identity)
            })
    }

    /// A folder that cannot be entered: what is mounted there is followed or out of reach, anything
    /// else is a problem.
    pub(super) fn not_entered<'s>(
        &'s self,
        scope: &Scope<'s>,
        place: &Place,
        name: &OsStr,
        error: io::Error,
    ) {
        match error.kind() {
            io::ErrorKind::NotFound => {}
            io::ErrorKind::CrossesDevices => {
                let why = match self.cross(scope, place, name) {
                    Crossed::Followed { .. } => return,
                    Crossed::Missed(why) => why,
                    Crossed::No => "another file system is mounted there".to_owned(),
                };
                self.misses(place, Some(name));
                self.out_of_reach(&mut self.batch(), place, name, &links::unseen_folder(), &why);
            }
            _ => {
                self.misses(place, Some(name));
                self.problem(place.store, place.index, Some(name), "open", error);
            }
        }
    }

    /// Takes note that a folder, or what has a name in it, could not be looked at: it may be a session's own, or tell
    /// which sessions are open.
    pub(super) fn misses(&self, place: &Place, name: Option<&OsStr>) {
        let inside =
            name.map_or_else(|| place.cursor.clone(), |name| place.cursor.enter(name.as_encoded_bytes()));
        if let Some(id) = inside.session().or(place.session) {
            self.parts.misses_files(place.store, id);
        }
        let is_pid_file = |cursor: &Cursor, name: &OsStr| {
            cursor.classify(name.as_encoded_bytes()).is_some_and(|found| found.kind == Kind::PidFile)
        };
        let named = name.filter(|name| is_pid_file(&place.cursor, name));
        if named.is_some() || is_pid_file(&inside, OsStr::new("1.json")) {
            let stat = name.map_or_else(|| place.dir.stat_self(), |name| place.dir.stat(name));
            let modified = stat.ok().and_then(|stat| stat.stamp.modified.date());
            locked(&self.unread).push((place.store, PidRecord::unread(named, modified)));
        }
    }
}
