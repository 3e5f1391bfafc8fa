//! Walking the trees: every name is seen once, through a handle, and recognised on the way.
//!
//! Folders are independent jobs of a small thread pool; a job is a folder's handle, never a
//! recursion, so depth costs no stack. Content is read only of the few kinds whose dates, owner
//! or lines are in the file, and only its head and tail.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use rayon::Scope;

use super::intern::Interner;
use super::lenient::Lenient;
use super::lines::{self, Lines};
use super::liveness::{PidRecord, Processes};
use super::transcript::{self, Facts};
use super::{Folder, FolderIndex, Inventory, Oddity, Problem, StoreIndex, session};
use crate::catalogue::{Cursor, Kind, Match, Root, SessionId};
use crate::dir::{Dir, Entry, FileType, Stat};
use crate::locate::Store;
use crate::seal::manifest::Manifest;
use crate::seal::naming;

/// What an interrupted unsealing left: the unfinished form of a file that could be sealed.
fn leftover(cursor: &Cursor, name: &OsStr) -> Option<Match> {
    let whole = naming::of_part(name)?;
    let found = cursor.classify(whole.as_encoded_bytes()).filter(|found| found.kind.row().sealable)?;
    Some(Match { kind: Kind::OwnLeftover, session: None, in_session_folder: false, ..found })
}

/// A record of a sealed session above this size is none.
const LARGEST_RECORD: u64 = 64 << 20;
/// The most threads a walk uses; more do not help a disk.
const MOST_THREADS: usize = 8;

/// A file as the walk found it, before it is grouped.
#[derive(Debug)]
pub(super) struct Found {
    pub folder: FolderIndex,
    pub name: Box<OsStr>,
    pub stat: Stat,
    pub kind: Option<Kind>,
    pub session: Option<SessionId>,
    pub oddity: Oddity,
    pub said: Said,
}

/// What a file's content said.
#[derive(Debug, Default)]
pub(super) enum Said {
    #[default]
    Nothing,
    Facts(Box<Facts>),
    Pid(Box<PidRecord>),
    Project(Arc<str>),
    Lines(Box<Lines>),
    /// The record of a sealed session.
    Manifest(Box<Manifest>),
    /// A background session that is over.
    Over,
    Unreadable,
}

/// Takes the inventory of stores.
///
/// `all_reached` says whether every known config folder is among them. Problems with single folders and files are in the inventory; there is no failure as a whole.
#[must_use]
pub fn take(
    stores: Vec<Store>,
    all_reached: bool,
    now: DateTime<Utc>,
    processes: &dyn Processes,
) -> Inventory {
    let walk = Walk {
        now,
        interner: Interner::default(),
        stores: &stores,
        folders: Mutex::default(),
        found: Mutex::default(),
        problems: Mutex::default(),
        anchors: Mutex::new(stores.iter().map(|store| store.identity).collect()),
        is_complete: AtomicBool::new(all_reached),
    };
    let jobs: Vec<(Job, Dir)> =
        stores.iter().enumerate().filter_map(|(at, store)| walk.root(StoreIndex::of(at), store)).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.scope(|scope| walk.start(scope, jobs)),
        // Without a pool of our own, the global one serves as well.
        Err(_) => rayon::scope(|scope| walk.start(scope, jobs)),
    }
    let Walk { interner, folders, found, problems, is_complete, .. } = walk;
    let folders = folders.into_inner().unwrap_or_else(PoisonError::into_inner);
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let problems = problems.into_inner().unwrap_or_else(PoisonError::into_inner);
    session::group(session::Raw {
        stores,
        folders,
        found,
        problems,
        is_complete: is_complete.into_inner(),
        now,
        interner,
        processes,
    })
}

struct Walk<'a> {
    now: DateTime<Utc>,
    interner: Interner,
    stores: &'a [Store],
    folders: Mutex<Vec<Folder>>,
    /// By folder, so that a list of all never has to grow and its parts can be let go one by one.
    found: Mutex<Vec<Vec<Found>>>,
    problems: Mutex<Vec<Problem>>,
    /// Roots and followed links by identity, so that no tree is walked twice.
    anchors: Mutex<std::collections::HashSet<(u64, u64)>>,
    is_complete: AtomicBool,
}

/// A folder to look into.
struct Job {
    index: FolderIndex,
    store: StoreIndex,
    cursor: Cursor,
    /// The session whose own folder this lies in, kept also where the catalogue knows no more.
    session: Option<SessionId>,
    top: bool,
    /// Whether this is the folder of the projects' folders.
    holds_projects: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Walk<'a> {
    fn add_folder(&self, folder: Folder) -> FolderIndex {
        let mut folders = locked(&self.folders);
        folders.push(folder);
        FolderIndex::of(folders.len() - 1)
    }

    fn root(&self, index: StoreIndex, store: &Store) -> Option<(Job, Dir)> {
        let folder = self.add_folder(Folder {
            store: index,
            parent: None,
            name: Box::from(OsStr::new("")),
            anchor: Some(Arc::clone(&store.dir)),
            session: None,
        });
        let job = Job {
            index: folder,
            store: index,
            cursor: Cursor::at(store.kind),
            session: None,
            top: true,
            holds_projects: false,
        };
        match store.dir.again() {
            Ok(dir) => Some((job, dir)),
            Err(error) => {
                self.problem(index, folder, None, "open", error);
                None
            }
        }
    }

    fn start<'s>(&'s self, scope: &Scope<'s>, jobs: Vec<(Job, Dir)>) {
        for (job, dir) in jobs {
            self.spawn(scope, job, dir);
        }
    }

    fn store_of(&self, index: FolderIndex) -> StoreIndex {
        locked(&self.folders).get(index.at()).map_or(StoreIndex(0), |folder| folder.store)
    }

    fn store(&self, index: StoreIndex) -> &'a Store {
        &self.stores[index.at()]
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
        let mut path = root.clone();
        {
            let folders = locked(&self.folders);
            let mut names = Vec::new();
            let mut at = folders.get(folder.at());
            while let Some(folder) = at {
                names.push(folder.name.clone());
                at = folder.parent.and_then(|parent| folders.get(parent.at()));
            }
            path.extend(names.iter().rev().filter(|name| !name.is_empty()).map(PathBuf::from));
        }
        path.extend(name);
        // Transcripts and sealed copies lie there, and their names could not be seen.
        let top = path.strip_prefix(root).ok().and_then(|below| below.iter().next());
        let matters = top.is_none_or(|top| top == "projects" || top == "ccretain");
        // A file that cannot be read is known of; one that cannot even be looked at is not.
        if matters && (name.is_none() || doing == "stat") && self.store(store).kind == Root::Config {
            self.is_complete.store(false, Ordering::Relaxed);
        }
        locked(&self.problems).push(Problem { store: Some(store), path, doing, error });
    }

    fn spawn<'s>(&'s self, scope: &Scope<'s>, job: Job, dir: Dir) {
        scope.spawn(move |scope| self.look(scope, &job, dir));
    }

    /// Looks into one folder: notes its files, and makes jobs of its folders.
    fn look<'s>(&'s self, scope: &Scope<'s>, job: &Job, dir: Dir) {
        let entries = match dir.entries() {
            Ok(entries) => entries,
            Err(error) => return self.problem(job.store, job.index, None, "list", error),
        };
        let shared = self.store(job.store).kind.is_shared();
        let mut found = Vec::new();
        let mut inside = Vec::new();
        let dir = Arc::new(dir);
        for entry in entries {
            let Entry { name, file_type } = entry;
            // The file system may leave the type to a stat; only folders are spared one.
            if file_type == Some(FileType::Folder) {
                inside.push(name.into_boxed_os_str());
                continue;
            }
            let recognised =
                job.cursor.classify(name.as_encoded_bytes()).or_else(|| leftover(&job.cursor, &name));
            if shared && recognised.is_none() {
                // A folder behind an untyped entry is found by its stat below only where it matters.
                if file_type.is_none() && !job.cursor.enter(name.as_encoded_bytes()).is_dead() {
                    inside.push(name.into_boxed_os_str());
                }
                continue;
            }
            let stat = match dir.stat(&name) {
                Ok(stat) => stat,
                // Gone between the listing and now: it was not there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.problem(job.store, job.index, Some(&name), "stat", error);
                    continue;
                }
            };
            if stat.file_type == FileType::Folder {
                inside.push(name.into_boxed_os_str());
                continue;
            }
            if stat.file_type == FileType::Link {
                if job.top && self.follow(scope, job, &dir, &name, &stat) {
                    continue;
                }
                self.pass_by(job, &dir, &name);
            }
            found.push(self.note(job, &dir, name.into_boxed_os_str(), stat, recognised));
        }
        if !found.is_empty() {
            found.shrink_to_fit();
            locked(&self.found).push(found);
        }
        self.enter(scope, job, &dir, inside, shared);
    }

    fn enter<'s>(
        &'s self,
        scope: &Scope<'s>,
        job: &Job,
        dir: &Arc<Dir>,
        names: Vec<Box<OsStr>>,
        shared: bool,
    ) {
        let jobs: Vec<(Box<OsStr>, Cursor, Option<SessionId>)> = names
            .into_iter()
            .map(|name| (job.cursor.enter(name.as_encoded_bytes()), name))
            .filter(|(cursor, _)| !(shared && cursor.is_dead()))
            .map(|(cursor, name)| {
                let session = cursor.session().or(job.session);
                (name, cursor, session)
            })
            .collect();
        if jobs.is_empty() {
            return;
        }
        let first = {
            let mut folders = locked(&self.folders);
            let first = folders.len();
            folders.extend(jobs.iter().map(|(name, _, session)| Folder {
                store: job.store,
                parent: Some(job.index),
                name: name.clone(),
                anchor: None,
                session: *session,
            }));
            first
        };
        for (offset, (name, cursor, session)) in jobs.into_iter().enumerate() {
            let dir = Arc::clone(dir);
            let inside = Job {
                index: FolderIndex::of(first + offset),
                store: job.store,
                cursor,
                session,
                top: false,
                holds_projects: job.top && *name == *"projects",
            };
            let parent = job.index;
            scope.spawn(move |scope| {
                let opened = dir.child(&name);
                drop(dir);
                match opened {
                    Ok(dir) => self.look(scope, &inside, dir),
                    Err(error) => self.not_entered(&inside, parent, &name, error),
                }
            });
        }
    }

    /// A folder that cannot be entered: another file system's is foreign, anything else a problem.
    fn not_entered(&self, job: &Job, parent: FolderIndex, name: &OsStr, error: io::Error) {
        match error.kind() {
            io::ErrorKind::NotFound => {}
            io::ErrorKind::CrossesDevices => {
                if self.store(job.store).kind == Root::Config && !job.cursor.is_dead() {
                    self.is_complete.store(false, Ordering::Relaxed);
                }
                let found = Found {
                    folder: parent,
                    name: Box::from(name),
                    stat: Stat {
                        stamp: Default::default(),
                        file_type: FileType::Folder,
                        links: 1,
                        owner: 0,
                        mode: 0,
                    },
                    kind: None,
                    session: job.session,
                    oddity: Oddity::Foreign,
                    said: Said::Nothing,
                };
                locked(&self.found).push(vec![found]);
            }
            _ => self.problem(job.store, job.index, None, "open", error),
        }
    }

    /// Follows a top-level folder that is a link of the store's owner; says whether it did.
    fn follow<'s>(&'s self, scope: &Scope<'s>, job: &Job, dir: &Dir, name: &OsStr, link: &Stat) -> bool {
        let store = self.store(job.store);
        let cursor = job.cursor.enter(name.as_encoded_bytes());
        if store.kind != Root::Config || cursor.is_dead() || link.owner != store.owner {
            return false;
        }
        let Ok(target) = dir.follow(name) else { return false };
        let Ok(stat) = target.stat_self() else { return false };
        if stat.owner != store.owner || !locked(&self.anchors).insert((stat.stamp.device, stat.stamp.inode)) {
            return false;
        }
        let Ok(anchor) = target.again() else { return false };
        let folder = Folder {
            store: job.store,
            parent: Some(job.index),
            name: Box::from(name),
            anchor: Some(Arc::new(anchor)),
            session: None,
        };
        let inside = Job {
            index: self.add_folder(folder),
            store: job.store,
            cursor,
            session: None,
            top: false,
            holds_projects: name == "projects",
        };
        self.spawn(scope, inside, target);
        true
    }

    /// A link that is not followed. Where it stands for the projects folder, for the folder of a
    /// project or for our own, what lies behind it may be the transcript of any session.
    fn pass_by(&self, job: &Job, dir: &Dir, name: &OsStr) {
        let matters = if job.top { name == "projects" || name == "ccretain" } else { job.holds_projects };
        if !matters || self.store(job.store).kind != Root::Config {
            return;
        }
        let identity = |dir: &Dir| dir.stat_self().map(|stat| (stat.stamp.device, stat.stamp.inode)).ok();
        let is_walked = match dir.follow(name) {
            // A link to a file, which is seen as a link.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => true,
            Err(_) => false,
            // Another root, a folder followed before, or another name of a folder beside it.
            Ok(target) => {
                identity(&target).is_some_and(|id| locked(&self.anchors).contains(&id))
                    || target.follow(OsStr::new("..")).is_ok_and(|above| identity(&above) == identity(dir))
            }
        };
        if !is_walked {
            self.is_complete.store(false, Ordering::Relaxed);
        }
    }

    fn note(&self, job: &Job, dir: &Dir, name: Box<OsStr>, stat: Stat, recognised: Option<Match>) -> Found {
        let store = self.store(job.store);
        let mut found = Found {
            folder: job.index,
            name,
            stat,
            kind: recognised.map(|found| found.kind),
            session: recognised.and_then(|found| found.session).or(job.session),
            oddity: Oddity::None,
            said: Said::Nothing,
        };
        found.oddity = match stat.file_type {
            _ if stat.owner != store.owner => Oddity::Foreign,
            FileType::File => Oddity::None,
            // In a session's own folders links, FIFOs and sockets are content like the rest.
            FileType::Link | FileType::Special if recognised.is_some_and(|found| found.in_session_folder) => {
                Oddity::None
            }
            FileType::Link => Oddity::Link,
            _ => Oddity::Special,
        };
        if let Some(recognised) = recognised {
            if stat.file_type == FileType::File && found.oddity == Oddity::None {
                self.read(dir, &mut found, recognised);
            }
            if !(recognised.distinctive || store.is_certain || found.kind_is_certain()) {
                found.kind = None;
            }
        }
        found
    }

    /// Reads what a file says about itself, for the kinds where that matters.
    fn read(&self, dir: &Dir, found: &mut Found, recognised: Match) {
        let size = found.stat.stamp.size;
        let said = match recognised.kind {
            Kind::Transcript | Kind::Subagent | Kind::StrayTranscript => dir
                .read(&found.name)
                .and_then(|file| transcript::read(&file, size, self.now, &self.interner))
                .map(|facts| Said::Facts(Box::new(facts))),
            Kind::PidFile | Kind::IdeLock => dir.read(&found.name).map(|file| {
                PidRecord::read(file).map_or(Said::Nothing, |record| Said::Pid(Box::new(record)))
            }),
            Kind::McpLog | Kind::ErrorLog => dir
                .read(&found.name)
                .and_then(|file| transcript::project_of_log(&file, &self.interner))
                .map(|project| project.map_or(Said::Nothing, Said::Project)),
            Kind::DesktopIndex => dir.read(&found.name).map(|file| {
                found.session = session_of_index(&file);
                Said::Nothing
            }),
            Kind::Job if *found.name == *"state.json" => dir.read(&found.name).map(|file| {
                let (session, is_over) = job_state(&file);
                found.session = session;
                if is_over { Said::Over } else { Said::Nothing }
            }),
            Kind::History => dir.read(&found.name).and_then(|file| {
                lines::read_history(&file, &self.interner).map(|lines| Said::Lines(Box::new(lines)))
            }),
            Kind::GlobalConfig | Kind::ConfigBackup => dir.read(&found.name).and_then(|file| {
                lines::read_project_lists(&file, &self.interner).map(|lines| Said::Lines(Box::new(lines)))
            }),
            Kind::SealedRecord => dir.read(&found.name).and_then(|file| {
                let id = found.session.ok_or(io::ErrorKind::InvalidData)?;
                let mut text = Vec::new();
                io::Read::read_to_end(&mut io::Read::take(file, LARGEST_RECORD), &mut text)?;
                Manifest::parse(&text, id)
                    .map(|record| Said::Manifest(Box::new(record)))
                    .map_err(io::Error::other)
            }),
            Kind::SessionsIndex => dir.read(&found.name).and_then(|file| {
                lines::read_entries(&file, &self.interner).map(|lines| Said::Lines(Box::new(lines)))
            }),
            _ => return,
        };
        found.said = said.unwrap_or_else(|error| {
            let store = self.store_of(found.folder);
            self.problem(store, found.folder, Some(&found.name), "read", error);
            Said::Unreadable
        });
        match (&found.said, recognised.kind) {
            // Known by its records or not at all.
            (Said::Facts(facts), Kind::StrayTranscript) if !facts.is_of_client => found.kind = None,
            (Said::Facts(facts), Kind::StrayTranscript | Kind::Subagent) if found.session.is_none() => {
                found.session = facts.session;
            }
            (Said::Pid(record), Kind::PidFile) => found.session = record.session,
            // A file of digits in `sessions/` that is no pid file is the user's own.
            (Said::Nothing, Kind::PidFile) => found.kind = None,
            _ => {}
        }
    }
}

impl Found {
    /// Whether the content itself shows that the client wrote it, or the kind is kept anyway.
    fn kind_is_certain(&self) -> bool {
        self.kind.is_some_and(Kind::is_protected)
            || match &self.said {
                Said::Facts(facts) => facts.is_of_client,
                Said::Pid(_) => true,
                Said::Lines(lines) => lines.is_well_formed,
                _ => false,
            }
    }
}

/// The session a conversation of the desktop application refers to.
fn session_of_index(file: &std::fs::File) -> Option<SessionId> {
    #[derive(serde::Deserialize)]
    struct Index {
        #[serde(rename = "cliSessionId")]
        session: SessionId,
    }
    serde_json::from_reader::<_, Index>(io::BufReader::new(file)).ok().map(|index| index.session)
}

/// The session of a background job, and whether the job is known to be over: its `state` is
/// final and its `tempo` not active (read in client 2.1.330).
fn job_state(file: &std::fs::File) -> (Option<SessionId>, bool) {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct State {
        #[serde(default, deserialize_with = "super::lenient::owned")]
        state: Lenient<'static>,
        #[serde(default, deserialize_with = "super::lenient::owned")]
        tempo: Lenient<'static>,
        #[serde(default, deserialize_with = "super::lenient::owned")]
        session_id: Lenient<'static>,
    }
    let Ok(state) = serde_json::from_reader::<_, State>(io::BufReader::new(file)) else {
        return (None, false);
    };
    let is_final =
        state.state.text().is_some_and(|state| ["done", "failed", "stopped"].contains(&state.as_ref()));
    let is_active = state.tempo.text().is_some_and(|tempo| tempo == "active");
    let session = state.session_id.text().and_then(|id| SessionId::from_bytes(id.as_bytes()));
    (session, is_final && !is_active)
}
