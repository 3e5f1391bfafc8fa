//! What lies behind links and mount points: what was followed is entered, what is out of reach is told.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::Scope;

use super::entry::artifact;
use super::{OUT_OF_REACH, Place, Walk};
use crate::dir::{FileStamp, FileType, Stat};
use crate::inventory::batch::{Batch, Met};
use crate::inventory::content::Said;
use crate::inventory::{Folder, Name, Oddity};

/// The path in its store of what may be a link or a mount point that is followed.
fn path_of_way(place: &Place, name: &OsStr) -> Option<PathBuf> {
    match (place.top, place.holds_projects) {
        (true, _) => Some(PathBuf::from(name)),
        (false, true) => Some(Path::new("projects").join(name)),
        (false, false) => None,
    }
}

/// A folder of which nothing is known but that it is there.
pub(super) fn unseen_folder() -> Stat {
    Stat {
        stamp: FileStamp::default(),
        file_type: FileType::Folder,
        links: 1,
        allocated: 0,
        owner: 0,
        mode: 0,
    }
}

/// What became of a name behind which something else lies.
pub(super) enum Crossed {
    /// It is walked, here or as a part of another folder.
    Followed {
        /// Whether it is walked here.
        here: bool,
    },
    /// It could not be followed, and why.
    Missed(String),
    /// It is none that would be followed.
    No,
}

impl Walk<'_> {
    /// Enters a folder that is a link or a mount point, where it was followed when its store was located.
    pub(super) fn cross<'s>(&'s self, scope: &Scope<'s>, place: &Place, name: &OsStr) -> Crossed {
        let Some(path) = path_of_way(place, name) else { return Crossed::No };
        let crossings = &self.store(place.store).crossings;
        // Judged when the store was located, by the open folders: here a name would be looked at twice, and may
        // have changed between.
        if let Some(why) = crossings.why_not(&path) {
            return Crossed::Missed(why.to_owned());
        }
        let Some(crossing) = crossings.at(&path) else { return Crossed::No };
        // Two names may lead to one folder, which is walked once: its files must not be counted, or deleted,
        // twice.
        if !crossing.is_own {
            return Crossed::Followed { here: false };
        }
        let dir = match crossing.dir.again() {
            Ok(dir) => dir,
            Err(error) => return Crossed::Missed(error.to_string()),
        };
        let cursor = place.cursor.enter(name.as_encoded_bytes());
        let hides_names = place.hides_names || cursor.names_are_content();
        let folder = Folder {
            store: place.store,
            parent: Some(place.index),
            name: Name::default(),
            anchor: Some(Arc::clone(&crossing.dir)),
            session: None,
            hides_names,
        };
        let inside = Place {
            beside: self.beside_folder(place, &dir, name),
            dir,
            index: self.add_folder(folder, name),
            store: place.store,
            cursor,
            session: None,
            hides_names,
            top: false,
            holds_projects: place.top && name == "projects",
        };
        scope.spawn(move |scope| self.look(scope, inside, || ()));
        Crossed::Followed { here: true }
    }

    /// Why a folder that simply lies there is not what it was.
    pub(super) fn why_emptied(&self, place: &Place, name: &OsStr) -> Option<&str> {
        let crossings = &self.store(place.store).crossings;
        // Most stores have none, and a path costs more than to see that.
        if crossings.out_of_reach.is_empty() {
            return None;
        }
        crossings.why_not(&path_of_way(place, name)?)
    }

    /// Notes what cannot be reached, and tells it.
    pub(super) fn out_of_reach(
        &self,
        batch: &mut Batch,
        place: &Place,
        name: &OsStr,
        stat: &Stat,
        why: &str,
    ) {
        self.problem(place.store, place.index, Some(name), OUT_OF_REACH, io::Error::other(why.to_owned()));
        let owner = place.cursor.enter(name.as_encoded_bytes()).session().or(place.session);
        let artifact = artifact(place.index, stat, None, Oddity::OutOfReach);
        let store = place.store;
        self.add(batch, artifact, Met { name, store, owner, said: Said::Nothing, is_datable: false });
    }
}
