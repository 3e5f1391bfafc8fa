//! Links at the top of a store: which are followed, and what those that are not may hide.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rayon::Scope;

use super::{Place, Walk, locked};
use crate::catalogue::Root;
use crate::dir::{Dir, Stat};
use crate::inventory::{Folder, Name};

impl Walk<'_> {
    /// Follows a top-level folder that is a link of the store's owner; says whether it did.
    pub(super) fn follow<'s>(&'s self, scope: &Scope<'s>, place: &Place, name: &OsStr, link: &Stat) -> bool {
        let store = self.store(place.store);
        let cursor = place.cursor.enter(name.as_encoded_bytes());
        if store.kind != Root::Config || cursor.is_dead() || link.owner != store.owner {
            return false;
        }
        let Ok(target) = place.dir.follow(name) else { return false };
        let Ok(stat) = target.stat_self() else { return false };
        if stat.owner != store.owner || !locked(&self.anchors).insert((stat.stamp.device, stat.stamp.inode)) {
            return false;
        }
        let Ok(anchor) = target.again() else { return false };
        let folder = Folder {
            store: place.store,
            parent: Some(place.index),
            name: Name::default(),
            anchor: Some(Arc::new(anchor)),
            session: None,
        };
        let inside = Place {
            dir: target,
            index: self.add_folder(folder, name),
            store: place.store,
            cursor,
            session: None,
            top: false,
            holds_projects: name == "projects",
        };
        scope.spawn(move |scope| self.look(scope, inside, || ()));
        true
    }

    /// A link that is not followed. Where it stands for the projects folder, for the folder of a
    /// project or for our own, what lies behind it may be the transcript of any session.
    pub(super) fn pass_by(&self, place: &Place, name: &OsStr) {
        let matters = if place.top { name == "projects" || name == "ccretain" } else { place.holds_projects };
        if !matters || self.store(place.store).kind != Root::Config {
            return;
        }
        let identity = |dir: &Dir| dir.stat_self().map(|stat| (stat.stamp.device, stat.stamp.inode)).ok();
        let is_walked = match place.dir.follow(name) {
            // A link to a file, which is seen as a link.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => true,
            Err(_) => false,
            // Another root, a folder followed before, or another name of a folder beside it.
            Ok(target) => {
                identity(&target).is_some_and(|id| locked(&self.anchors).contains(&id))
                    || target
                        .follow(OsStr::new(".."))
                        .is_ok_and(|above| identity(&above) == identity(&place.dir))
            }
        };
        if !is_walked {
            self.is_complete.store(false, Ordering::Relaxed);
        }
    }
}
