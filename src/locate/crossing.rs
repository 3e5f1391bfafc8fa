//! Folders of a store that are links or mount points, and are followed once: those at its top, and those of projects.
//!
//! They are resolved before anything is locked or looked into, so that the locks, the inventory and whatever is
//! written reach the same folders, and so that it does not depend on threads which of two stores that reach one
//! folder it is of.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{FileSystem, FoundBy, Store};
use crate::catalogue::{Cursor, Root};
use crate::dir::{Dir, FileType, Link, LinkPlace, Unreached};
use crate::escape::shown;

/// The folder of the projects' folders.
const PROJECTS: &str = "projects";
/// The folder of our own files.
const OWN: &str = "ccretain";
/// How far up a store is sought that a link leads into.
const MOST_LEVELS: usize = 64;

/// Why a folder is out of reach that was a way to another one.
const EMPTIED: &str = "it led to another folder with something in it when last seen, and is an empty folder: \
                       mount its volume, or remove the folder if the volume is gone for good";

/// Device and inode.
type Identity = (u64, u64);

/// What leads to a folder that does not simply lie where it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Way {
    Link,
    /// Something mounted there.
    Mount,
}

impl Way {
    /// The word reports use.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// A folder that was followed.
#[derive(Debug, Clone)]
pub struct Crossing {
    /// Its path in the store.
    pub path: PathBuf,
    /// How it is reached.
    pub way: Way,
    /// Its handle.
    pub dir: Arc<Dir>,
    /// Whether what lies there is of this store; else it is looked at as a part of another one, or of another folder.
    pub is_own: bool,
}

/// Something that is named in a store, and was not followed.
#[derive(Debug, Clone)]
pub struct OutOfReach {
    /// Its path in the store.
    pub path: PathBuf,
    pub why: String,
}

/// A folder of a store that lay behind a link or a mount point when it was last seen, with something in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The root of the store.
    pub root: PathBuf,
    /// Its path in the store.
    pub path: PathBuf,
    /// Its device and inode.
    pub identity: (u64, u64),
}

/// What lies beyond the file system of a store, or behind links.
#[derive(Debug, Clone, Default)]
pub struct Crossings {
    pub followed: Vec<Crossing>,
    /// What was not.
    pub out_of_reach: Vec<OutOfReach>,
    /// The roots of stores that reach a folder of this one, or a folder of which this one reaches, by identity.
    pub shared_with: Vec<(u64, u64)>,
    /// The folders of this store that others reach too, each with the root of the other.
    pub reached_from: Vec<(PathBuf, PathBuf)>,
}

impl Crossings {
    /// What was followed at a path.
    pub fn at(&self, path: &Path) -> Option<&Crossing> {
        self.followed.iter().find(|crossing| crossing.path == path)
    }

    /// Why nothing was followed at a path.
    pub fn why_not(&self, path: &Path) -> Option<&str> {
        self.out_of_reach.iter().find(|missed| missed.path == path).map(|missed| &*missed.why)
    }
}

impl Store {
    /// The nearest handle above a path in the store, and the rest of the path from there.
    pub fn nearest<'p>(&self, path: &'p Path) -> (&Dir, &'p Path) {
        let above = self
            .crossings
            .followed
            .iter()
            .filter_map(|crossing| Some((&*crossing.dir, path.strip_prefix(&crossing.path).ok()?)));
        above.min_by_key(|(_, rest)| rest.as_os_str().len()).unwrap_or((&self.dir, path))
    }

    /// Opens a folder of the store.
    ///
    /// # Errors
    /// As [`Dir::below`].
    pub fn below(&self, path: &Path) -> io::Result<Dir> {
        let (dir, rest) = self.nearest(path);
        dir.below(rest)
    }

    /// Calls folders out of reach of which the volume is not mounted today: where something was, an empty folder is.
    pub(super) fn miss_emptied(&mut self, followed: &[Followed]) {
        for Followed { path, identity: was, .. } in followed.iter().filter(|one| one.root == self.root) {
            // Another folder, and empty: the mount point of a volume, which looks as if all sessions had been
            // deleted.
            let is_another = |dir: &Dir| identity(dir).is_ok_and(|is| is != *was) && super::is_empty(dir);
            if self.below(path).is_ok_and(|dir| is_another(&dir)) {
                self.crossings.followed.retain(|crossing| !crossing.path.starts_with(path));
                let (path, why) = (path.clone(), EMPTIED.to_owned());
                self.crossings.out_of_reach.push(OutOfReach { path, why });
            }
        }
    }

    /// The folders that lay elsewhere and had something in them, for later runs: where their volume is not mounted
    /// they must not look as if everything in them were gone.
    pub fn followed(&self) -> Vec<Followed> {
        let there = self.crossings.followed.iter().filter(|crossing| crossing.is_own);
        let there = there.filter(|crossing| !super::is_empty(&crossing.dir));
        let followed = there.filter_map(|crossing| {
            let identity = identity(&crossing.dir).ok()?;
            Some(Followed { root: self.root.clone(), path: crossing.path.clone(), identity })
        });
        followed.collect()
    }

    /// Why its lock and its sealed files cannot be used, where they cannot.
    pub fn without_own_folder(&self) -> Option<&str> {
        let own = Path::new(OWN);
        match self.crossings.at(own) {
            Some(Crossing { is_own: false, .. }) => Some("another store reaches it too"),
            _ => self.crossings.why_not(own),
        }
    }

    /// Whether another store reaches a folder of this one, or this one a folder of it.
    pub fn shares_with(&self, other: &Self) -> bool {
        self.crossings.shared_with.contains(&other.identity)
    }
}

/// Whether a link in a store of this owner is followed: it is his, and those that it leads through are his or root's.
pub(super) fn is_followed(owner: u32, link: &Link) -> bool {
    link.owner == owner || (link.place == LinkPlace::Beyond && link.owner == 0)
}

/// A folder that was followed, and is not yet known to be of a store.
struct Found {
    store: usize,
    path: PathBuf,
    way: Way,
    dir: Dir,
    identity: Identity,
}

/// A level of folders of which each may be a link or a mount point.
struct Level {
    found: Vec<Found>,
    /// The stores of folders that simply lie there.
    plain: HashMap<Identity, (usize, PathBuf)>,
}

/// Follows what may be followed in config stores.
pub(super) fn resolve(stores: &mut [&mut Store]) {
    // Of a home and the like only a few names are looked at, so that nothing is of one by lying in it.
    let whole = stores.iter().enumerate().filter(|(_, store)| !store.kind.is_shared());
    let roots: HashMap<Identity, (usize, PathBuf)> =
        whole.map(|(at, store)| (store.identity, (at, PathBuf::new()))).collect();
    let mut known = roots.clone();
    // From the top down: what lies in a folder that was followed is reached through its handle.
    for level in [Path::new(""), Path::new(PROJECTS)] {
        let mut all = Level { found: Vec::new(), plain: HashMap::new() };
        for at in 0..stores.len() {
            look(stores, at, level, &mut all);
        }
        let Level { mut found, plain } = all;
        known.extend(plain);
        // What an excluded store reaches is of no other.
        found.sort_by_cached_key(|found| {
            let store = &stores[found.store];
            (!store.is_excluded, store.root.join(&found.path))
        });
        for found in found {
            let inside = || (found.way == Way::Link).then(|| store_above(&found.dir, &roots)).flatten();
            let other = known.get(&found.identity).or_else(inside).cloned();
            if let Some((other, path)) = other.clone().filter(|(other, _)| *other != found.store) {
                let (mine, theirs) = (stores[found.store].identity, stores[other].identity);
                let root = stores[found.store].root.clone();
                stores[found.store].crossings.shared_with.push(theirs);
                stores[other].crossings.shared_with.push(mine);
                stores[other].crossings.reached_from.push((path, root));
            }
            known.entry(found.identity).or_insert_with(|| (found.store, found.path.clone()));
            let Found { path, way, dir, .. } = found;
            let crossing = Crossing { path, way, dir: Arc::new(dir), is_own: other.is_none() };
            stores[found.store].crossings.followed.push(crossing);
        }
    }
}

/// Looks at the folders of one folder of a store.
fn look(stores: &mut [&mut Store], at: usize, level: &Path, all: &mut Level) {
    let store: &Store = stores[at];
    let is_others = store.crossings.at(level).is_some_and(|crossing| !crossing.is_own);
    if store.kind != Root::Config || is_others {
        return;
    }
    let Ok(folder) = store.below(level) else { return };
    let Ok(entries) = folder.entries() else { return };
    let cursor =
        level.iter().fold(Cursor::at(store.kind), |cursor, name| cursor.enter(name.as_encoded_bytes()));
    let mut missed = Vec::new();
    for entry in entries {
        let inside = cursor.enter(entry.name.as_encoded_bytes());
        if inside.is_dead() {
            continue;
        }
        let name = &entry.name;
        let file_type = entry.file_type.or_else(|| folder.stat(name).ok().map(|stat| stat.file_type));
        let way = match file_type {
            Some(FileType::Link) => Way::Link,
            Some(FileType::Folder) => match folder.child(name) {
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Way::Mount,
                Ok(dir) => {
                    all.plain.extend(identity(&dir).ok().map(|identity| (identity, (at, level.join(name)))));
                    continue;
                }
                // The inventory meets it too, and tells.
                Err(_) => continue,
            },
            _ => continue,
        };
        let path = level.join(name);
        match follow(store, &folder, name) {
            Ok(Some((dir, identity))) => all.found.push(Found { store: at, path, way, dir, identity }),
            Ok(None) => {}
            // Of what is never touched nothing can be missed.
            Err(_) if inside.kinds().all(crate::catalogue::Kind::is_protected) => {}
            Err(why) => missed.push(OutOfReach { path, why }),
        }
    }
    stores[at].crossings.out_of_reach.extend(missed);
}

/// Follows a link or a mount; `None` where it leads to no folder.
fn follow(store: &Store, folder: &Dir, name: &OsStr) -> Result<Option<(Dir, Identity)>, String> {
    let dir = match folder.follow(name, &|link| is_followed(store.owner, link)) {
        Ok(dir) => dir,
        Err(Unreached::NoFolder) => return Ok(None),
        Err(Unreached::Link(link)) => {
            return Err(format!(
                "'{}' is a link of user {}, which is not followed",
                shown(&link.path),
                link.owner
            ));
        }
        Err(Unreached::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Err("it is a link that leads nowhere".to_owned());
        }
        Err(Unreached::Io(error)) => return Err(error.to_string()),
    };
    let stat = dir.stat_self().map_err(|error| error.to_string())?;
    // A link of the user's may lead to anything that exists; only what is his own is his to have deleted.
    if stat.owner != store.owner {
        return Err(format!("what it leads to belongs to user {}", stat.owner));
    }
    match FileSystem::of(&dir).refused_name() {
        Some(name) if store.found_by != FoundBy::Policy => {
            Err(format!("what it leads to lies on a {name} file system"))
        }
        _ => Ok(Some((dir, (stat.stamp.device, stat.stamp.inode)))),
    }
}

fn identity(dir: &Dir) -> io::Result<Identity> {
    dir.stat_self().map(|stat| (stat.stamp.device, stat.stamp.inode))
}

/// The store in which a folder lies, at any depth.
fn store_above<'r>(
    dir: &Dir,
    roots: &'r HashMap<Identity, (usize, PathBuf)>,
) -> Option<&'r (usize, PathBuf)> {
    let mut at = dir.again().ok()?;
    let mut here = identity(&at).ok()?;
    for _ in 0..MOST_LEVELS {
        let above = at.above().ok()?;
        let there = identity(&above).ok()?;
        // The root of the file system is above itself.
        if there == here {
            return None;
        }
        if let Some(store) = roots.get(&there) {
            return Some(store);
        }
        (at, here) = (above, there);
    }
    None
}
