//! Walking the trees: every name is seen once, through a handle, and recognised on the way.
//!
//! Folders are independent jobs of a small thread pool; a job is a folder's handle, never a
//! recursion, so depth costs no stack. A large folder is several jobs. Content is read only of the
//! few kinds whose dates, owner or lines are in the file, and only its head and tail.
//!
//! `entry` judges one entry of a folder, `large` reads large documents, `links` enters what lies behind links and
//! mount points.

mod entry;
mod large;
mod links;
mod missed;
mod nested;

use std::cell::Cell;
use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rayon::Scope;

use super::batch::{Batch, Found, Met};
use super::content::Reading;
use super::intern::Interner;
use super::liveness::{PidRecord, Processes};
use super::names::{Name, Names};
use super::parts::Parts;
use super::session::Folders;
use super::{Artifact, Dates, Earlier, Folder, FolderIndex, Inventory, Problem, StoreIndex, session};
use crate::catalogue::{Cursor, Root, SessionId};
use crate::dir::{Dir, FileType};
use crate::locate::Store;
use large::Large;
use links::Crossed;
use nested::{Beside, Nested};

/// What is said to have been tried with something out of reach.
pub const OUT_OF_REACH: &str = "reach";
/// So many files of one folder are one job.
const FILES_AT_ONCE: usize = 512;
/// So many folders in one folder are one job; of more than these, half are another's.
const FOLDERS_AT_ONCE: usize = 16;

/// The files of one folder, by name.
#[derive(Debug, Default)]
struct Listing {
    names: Names,
    files: Vec<Name>,
}

thread_local! {
    // With a new listing for each folder, here and in `dir`, a walk of a hundred thousand files takes
    // 6.7 % more instructions.
    /// One listing a thread: a walk lists tens of thousands of folders.
    static LISTING: Cell<Listing> = Cell::default();
}

/// Takes the inventory of stores.
///
/// `all_reached` says whether every known config folder is among them. Problems with single folders
/// and files are in the inventory; there is no failure as a whole.
pub fn take(
    stores: Vec<Store>,
    all_reached: bool,
    now: DateTime<Utc>,
    processes: &dyn Processes,
    earlier: Earlier<'_>,
) -> Inventory {
    let Earlier { dates, saw_transcript } = earlier;
    let threads = crate::threads::count();
    let walk = Walk {
        now,
        interner: Interner::default(),
        dates: &*dates,
        stores: &stores,
        nested: nested::nested(&stores),
        folders: Mutex::new(Folders::with_room()),
        batches: (0..threads).map(|_| Mutex::default()).collect(),
        parts: Parts::new(now),
        found: Mutex::new(Found::with_room()),
        problems: Mutex::default(),
        is_complete: AtomicBool::new(all_reached),
        large: Mutex::default(),
        unread: Mutex::default(),
    };
    let roots: Vec<Place> =
        stores.iter().enumerate().filter_map(|(at, store)| walk.root(StoreIndex::of(at), store)).collect();
    rayon::scope(|scope| walk.start(scope, roots));
    walk.read_large();
    let Walk { interner, folders, batches, parts, found, problems, is_complete, unread, .. } = walk;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    for batch in batches {
        found.append(batch.into_inner().unwrap_or_else(PoisonError::into_inner).into_found());
    }
    // While the stamps are those at which the content was read.
    dates.keep(&mut found.facts());
    session::group(session::Raw {
        stores,
        folders: folders.into_inner().unwrap_or_else(PoisonError::into_inner),
        found,
        parts,
        unread: unread.into_inner().unwrap_or_else(PoisonError::into_inner),
        problems: problems.into_inner().unwrap_or_else(PoisonError::into_inner),
        is_complete: is_complete.into_inner(),
        now,
        interner,
        processes,
        saw_transcript,
    })
}

struct Walk<'a> {
    now: DateTime<Utc>,
    interner: Interner,
    dates: &'a dyn Dates,
    stores: &'a [Store],
    nested: Nested,
    folders: Mutex<Folders>,
    /// One for each thread, so that none waits for another.
    batches: Vec<Mutex<Batch>>,
    found: Mutex<Found>,
    parts: Parts,
    problems: Mutex<Vec<Problem>>,
    is_complete: AtomicBool,
    large: Mutex<Vec<Large>>,
    /// Of clients that may run, what could not be looked at.
    unread: Mutex<Vec<(StoreIndex, PidRecord)>>,
}

/// A folder to look into.
struct Place {
    dir: Dir,
    index: FolderIndex,
    store: StoreIndex,
    cursor: Cursor,
    /// The other store that sees this folder, too.
    beside: Option<Beside>,
    /// The session whose own folder this lies in, kept also where the catalogue knows no more.
    session: Option<SessionId>,
    /// Whether names in it are content.
    hides_names: bool,
    top: bool,
    /// Whether this is the folder of the projects' folders.
    holds_projects: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Walk<'a> {
    /// Adds a folder, which has no name yet.
    fn add_folder(&self, mut folder: Folder, name: &OsStr) -> FolderIndex {
        let mut folders = locked(&self.folders);
        folder.name = folders.names.add(name);
        folders.list.push(folder);
        FolderIndex::of(folders.list.len() - 1)
    }

    /// What this thread has at hand.
    fn batch(&self) -> MutexGuard<'_, Batch> {
        locked(&self.batches[rayon::current_thread_index().unwrap_or(0) % self.batches.len()])
    }

    fn add(&self, batch: &mut Batch, artifact: Artifact, met: Met<'_>) {
        if let Some(full) = batch.add(artifact, met, &self.parts) {
            locked(&self.found).append(full);
        }
    }

    fn root(&self, index: StoreIndex, store: &Store) -> Option<Place> {
        let anchor = Some(Arc::clone(&store.dir));
        let folder = Folder {
            store: index,
            parent: None,
            name: Name::default(),
            anchor,
            session: None,
            hides_names: false,
        };
        let folder = self.add_folder(folder, OsStr::new(""));
        match store.dir.again() {
            Ok(dir) => Some(Place {
                dir,
                index: folder,
                store: index,
                cursor: Cursor::at(store.kind),
                beside: self.beside_root(store),
                session: None,
                hides_names: false,
                top: true,
                holds_projects: false,
            }),
            Err(error) => {
                self.problem(index, folder, None, "open", error);
                None
            }
        }
    }

    fn start<'s>(&'s self, scope: &Scope<'s>, roots: Vec<Place>) {
        for place in roots {
            scope.spawn(move |scope| self.look(scope, place, || ()));
        }
    }

    fn reading(&self) -> Reading<'_> {
        Reading { now: self.now, interner: &self.interner, dates: self.dates }
    }

    fn store(&self, index: StoreIndex) -> &'a Store {
        &self.stores[index.at()]
    }

    /// The path of a folder, or of a file in it, as it may be shown.
    fn path(&self, store: StoreIndex, folder: FolderIndex, name: Option<&OsStr>) -> PathBuf {
        let folders = locked(&self.folders);
        self.store(store).root.join(super::paths::shown_path(&folders.list, &folders.names, folder, name))
    }

    /// Reports what could not be read; a projects folder that could not makes every "no
    /// transcript was found" uncertain.
    fn problem(
        &self,
        store: StoreIndex,
        folder: FolderIndex,
        name: Option<&OsStr>,
        doing: &'static str,
        error: io::Error,
    ) {
        let root = &self.store(store).root;
        let path = self.path(store, folder, name);
        // Transcripts and sealed copies lie there, and their names could not be seen.
        let top = path.strip_prefix(root).ok().and_then(|below| below.iter().next());
        let matters = top.is_none_or(|top| top == "projects" || top == "ccretain");
        // A file that cannot be read is known of; a folder, and one that cannot even be looked at, is not.
        // Not to have seen a transcript must never look like its not being there.
        if matters && doing != "read" && self.store(store).kind == Root::Config {
            self.is_complete.store(false, Ordering::Relaxed);
        }
        locked(&self.problems).push(Problem { store: Some(store), path, doing, error });
    }

    /// Looks into one folder: makes a job of its folders, right `before` which the caller makes one
    /// of what else it has to do, and notes its files.
    fn look<'s>(&'s self, scope: &Scope<'s>, place: Place, before: impl FnOnce()) {
        let mut folders: Vec<Box<OsStr>> = Vec::new();
        let mut listing = LISTING.take();
        listing.names.clear();
        listing.files.clear();
        let listed = place.dir.each(|name, file_type| match file_type {
            Some(FileType::Folder) => folders.push(Box::from(name)),
            // In a folder shared with others, files of theirs are none of our business.
            Some(_) if place.is_others(name, place.recognise(name)) => {}
            // The file system may leave the type to a stat; only folders are spared one.
            _ => listing.files.push(listing.names.add(name)),
        });
        if let Err(error) = listed {
            // What could not be listed may be a part of its session, which then is not sealed without it.
            self.misses(&place, None);
            return self.problem(place.store, place.index, None, "list", error);
        }
        let place = Arc::new(place);
        if !folders.is_empty() {
            // The last job made is the next one done: so the tree is walked depth first, and few
            // handles are open at a time. While a file is read here, others can do these.
            before();
            self.spawn_folders(scope, &place, folders);
        }
        let count = listing.files.len();
        if count <= FILES_AT_ONCE {
            self.note_all(scope, &place, &listing, 0..count);
            LISTING.set(listing);
            return;
        }
        let listing = Arc::new(listing);
        for start in (0..count).step_by(FILES_AT_ONCE) {
            let (place, listing) = (Arc::clone(&place), Arc::clone(&listing));
            let some = start..count.min(start + FILES_AT_ONCE);
            scope.spawn(move |scope| self.note_all(scope, &place, &listing, some));
        }
    }

    fn spawn_folders<'s>(&'s self, scope: &Scope<'s>, place: &Arc<Place>, names: Vec<Box<OsStr>>) {
        let place = Arc::clone(place);
        scope.spawn(move |scope| self.enter(scope, &place, names));
    }

    /// Enters folders of a folder, until one of them has folders itself.
    fn enter<'s>(&'s self, scope: &Scope<'s>, place: &Arc<Place>, mut names: Vec<Box<OsStr>>) {
        while names.len() > FOLDERS_AT_ONCE {
            let half = names.split_off(names.len() / 2);
            self.spawn_folders(scope, place, half);
        }
        while let Some(name) = names.pop() {
            let Some(inside) = self.step_into(scope, place, name) else { continue };
            self.look(scope, inside, || {
                let rest = std::mem::take(&mut names);
                if !rest.is_empty() {
                    self.spawn_folders(scope, place, rest);
                }
            });
        }
    }

    fn step_into<'s>(&'s self, scope: &Scope<'s>, place: &Place, name: Box<OsStr>) -> Option<Place> {
        let cursor = place.cursor.enter(name.as_encoded_bytes());
        let is_others = cursor.is_dead() && !place.cursor.claims(name.as_encoded_bytes());
        if is_others || self.is_anothers(place, &name) {
            return None;
        }
        if let Some(why) = self.why_emptied(place, &name) {
            self.out_of_reach(&mut self.batch(), place, &name, &links::unseen_folder(), why);
            return None;
        }
        match place.dir.child(&name) {
            Ok(dir) if self.is_another_store(place, &dir) => None,
            Ok(dir) => {
                let store = place.store;
                let session = cursor.session().or(place.session);
                let holds_projects = place.top && *name == *"projects";
                let parent = Some(place.index);
                let hides_names = place.hides_names || cursor.names_are_content();
                let folder =
                    Folder { store, parent, name: Name::default(), anchor: None, session, hides_names };
                let index = self.add_folder(folder, &name);
                let beside = self.beside_folder(place, &dir, &name);
                Some(Place {
                    dir,
                    index,
                    store,
                    cursor,
                    beside,
                    session,
                    hides_names,
                    top: false,
                    holds_projects,
                })
            }
            Err(error) => {
                self.not_entered(scope, place, &name, error);
                None
            }
        }
    }

    /// Notes files of a folder, and enters what turns out to be a folder.
    fn note_all<'s>(&'s self, scope: &Scope<'s>, place: &Arc<Place>, listing: &Listing, some: Range<usize>) {
        let mut folders = Vec::new();
        let mut batch = self.batch();
        for name in listing.files.get(some).unwrap_or_default() {
            let name = listing.names.get(*name);
            let recognised = place.recognise(name);
            let is_others = place.is_others(name, recognised);
            if is_others && place.cursor.enter(name.as_encoded_bytes()).is_dead() {
                continue;
            }
            let stat = match place.dir.stat(name) {
                Ok(stat) => stat,
                // Gone between the listing and now: it was not there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.misses(place, Some(name));
                    self.problem(place.store, place.index, Some(name), "stat", error);
                    continue;
                }
            };
            if stat.file_type == FileType::Folder {
                folders.push(Box::from(name));
                continue;
            }
            if place.is_of_another(name, recognised.is_some()) {
                continue;
            }
            let store = self.store(place.store);
            if is_others || store.kind.is_everybodys() && stat.owner != store.owner {
                continue;
            }
            // What the background service is spoken to by holds nothing, and is left where it was killed.
            let is_channel = stat.file_type == FileType::Special && recognised.is_none();
            if is_channel && store.kind.is_everybodys() {
                continue;
            }
            if stat.file_type == FileType::Link {
                match self.cross(scope, place, name) {
                    Crossed::Followed { here: true } => continue,
                    Crossed::Missed(why) => {
                        self.misses(place, Some(name));
                        self.out_of_reach(&mut batch, place, name, &stat, &why);
                        continue;
                    }
                    Crossed::No if place.holds_sealed(name) => {
                        let why = "it is a link, and only 'ccretain' itself may be one";
                        self.misses(place, Some(name));
                        self.out_of_reach(&mut batch, place, name, &stat, why);
                        continue;
                    }
                    Crossed::Followed { here: false } | Crossed::No => {}
                }
            }
            match recognised {
                Some(found) if large::is_large(found, &stat) => {
                    self.put_off(&mut batch, place, name, stat, found);
                }
                _ => self.note(&mut batch, place, name, &stat, recognised, None),
            }
        }
        drop(batch);
        if !folders.is_empty() {
            self.spawn_folders(scope, place, folders);
        }
    }
}
