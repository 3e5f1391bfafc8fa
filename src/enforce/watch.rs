//! Looking again for running clients, right before each session is touched.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::catalogue::{Cursor, Kind, Root, SessionId};
use crate::dir::FileType;
use crate::error::PathError;
use crate::inventory::liveness::{self, Liveness, PidRecord, Place, Processes, Unread};
use crate::inventory::{Inventory, Session, StoreIndex};
use crate::locate::Store;
use crate::plan::{Decision, Plan};
use crate::policy::Policy;

/// The `sessions` folders of the config stores, opened anew at each look: a client that starts
/// makes the folder where there was none.
pub(super) struct Watch<'a> {
    roots: HashMap<StoreIndex, &'a Store>,
    /// The last change of anything of a session, by which a client of another pid domain is
    /// judged.
    touched: HashMap<SessionId, DateTime<Utc>>,
    /// The sessions of which a managed rule demands something: for those only what can be checked counts.
    managed: HashSet<SessionId>,
    processes: &'a dyn Processes,
    now: DateTime<Utc>,
    /// What could not be looked at, so that any session may be open.
    unread: Mutex<BTreeMap<PathBuf, io::Error>>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        inventory: &'a Inventory,
        plan: &Plan,
        policy: &Policy,
        processes: &'a dyn Processes,
        now: DateTime<Utc>,
    ) -> Self {
        let roots = inventory
            .stores
            .iter()
            .enumerate()
            .filter(|(_, view)| view.store.kind == Root::Config)
            .map(|(at, view)| (StoreIndex::of(at), &view.store))
            .collect();
        let mut touched = HashMap::with_capacity(inventory.sessions.len());
        for session in &inventory.sessions {
            let Some(date) = session.touched else { continue };
            let known = touched.entry(session.id).or_insert(date);
            *known = date.max(*known);
        }
        let is_managed =
            |decision: &Decision| decision.due().is_some_and(|due| policy.is_managed_rule(due.rule()));
        let of_artifacts = inventory.artifacts.iter().zip(&plan.decisions);
        let of_artifacts = of_artifacts.filter(|(_, decision)| is_managed(decision));
        let of_artifacts = of_artifacts.filter_map(|(artifact, _)| Some(inventory.session_of(artifact)?.id));
        let lines = inventory.line_files.iter().zip(&plan.lines);
        let lines = lines.flat_map(|(file, decisions)| file.content.lines.iter().zip(decisions));
        let of_lines =
            lines.filter(|(_, decision)| is_managed(decision)).filter_map(|(line, _)| line.session);
        let managed = of_artifacts.chain(of_lines).collect();
        Self { roots, touched, managed, processes, now, unread: Mutex::default() }
    }

    /// Whether a client has the session open now, in any store, or may have.
    pub(super) fn is_live(&self, session: &Session) -> bool {
        let checked = self.managed.contains(&session.id);
        self.any(|seen| seen.record.may_be_of(session.id) && self.runs(seen, Some(session.id), checked))
    }

    /// What kept the run from telling which sessions are open.
    pub(super) fn problems(&self) -> impl Iterator<Item = PathError> {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let unread = std::mem::take(&mut *unread).into_iter();
        unread.map(|(path, source)| PathError { path, doing: "read which sessions are open from", source })
    }

    /// Tells whether a client has a session open now, or may have: one answer for many lines.
    pub(super) fn open_sessions(&self) -> impl Fn(SessionId) -> bool {
        let (open, unread) = (RefCell::new(HashSet::new()), RefCell::new(Unread::default()));
        self.any(|seen| {
            let id = seen.record.session;
            if seen.record.is_unread {
                unread.borrow_mut().add(seen.record, &seen.place, self.processes, self.now);
            } else if self.runs(seen, id, id.is_some_and(|id| self.managed.contains(&id))) {
                open.borrow_mut().extend(id);
            }
            false
        });
        let (open, unread) = (open.into_inner(), unread.into_inner());
        move |id| {
            let may_be_open = if self.managed.contains(&id) {
                unread.checked()
            } else {
                unread.judge(self.touched.get(&id).copied(), self.processes, self.now)
            };
            open.contains(&id) || may_be_open.is_live()
        }
    }

    /// Whether any client runs in a store now; for managed rules, one that can be checked.
    pub(super) fn has_clients(&self, store: StoreIndex, checked: bool) -> bool {
        self.processes.look_again();
        self.roots
            .get(&store)
            .is_some_and(|root| self.any_record(root, |seen| self.runs(seen, seen.record.session, checked)))
    }

    /// How the workers of the service for background sessions of a store are now.
    pub(super) fn workers(&self, store: StoreIndex, checked: bool) -> Vec<Liveness> {
        let Some(root) = self.roots.get(&store) else { return Vec::new() };
        self.processes.look_again();
        let roster = root.below(Path::new("daemon")).and_then(|dir| dir.read(OsStr::new("roster.json")));
        // Without a roster there is no service; one that cannot be understood counts as a worker that is not
        // known.
        let Ok(file) = roster else { return Vec::new() };
        let modified = file.metadata().and_then(|metadata| metadata.modified()).ok().map(DateTime::from);
        let records =
            liveness::workers(&file).unwrap_or_else(|| vec![PidRecord::unknown(modified)]).into_iter();
        let judged = records.map(|record| PidRecord { modified, ..record }).map(|record| match checked {
            true => liveness::judge_worker_checked(&record, root.owner, self.processes, self.now),
            false => liveness::judge(&record, self.processes, modified, self.now),
        });
        judged.collect()
    }

    /// Whether the process of a pid file runs, and has a session open where one is asked about.
    fn runs(&self, seen: &Seen<'_>, id: Option<SessionId>, checked: bool) -> bool {
        if checked {
            return liveness::judge_checked(seen.record, &seen.place, self.processes, self.now).is_live();
        }
        let touched = match id {
            Some(id) => self.touched.get(&id).copied(),
            None if seen.record.is_unread => self.touched.values().max().copied(),
            None => None,
        };
        liveness::judge(seen.record, self.processes, touched, self.now).is_live()
    }

    fn any(&self, is_it: impl Fn(&Seen<'_>) -> bool) -> bool {
        self.processes.look_again();
        self.roots.values().any(|root| self.any_record(root, &is_it))
    }

    /// Whether a pid file of a store is of interest; a folder that cannot be listed may hold one.
    fn any_record(&self, store: &Store, is_it: impl Fn(&Seen<'_>) -> bool) -> bool {
        use io::ErrorKind::{NotADirectory, NotFound};
        let folder = Path::new(liveness::PID_FILES);
        let cursor = Cursor::at(Root::Config).enter(folder.as_os_str().as_encoded_bytes());
        // Listed anew each time: a client that starts now writes its file now.
        let (dir, names) = match store.below(folder).and_then(|dir| dir.entries().map(|names| (dir, names))) {
            Ok(listed) => listed,
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return false,
            Err(error) => {
                let stat = store.dir.stat(folder.as_os_str()).ok();
                self.note(store.root.join(folder), error);
                let record = PidRecord::unread(None, stat.and_then(|stat| stat.stamp.modified.date()));
                let place = Place { name: folder.as_os_str(), owner: store.owner };
                return is_it(&Seen { record: &record, place });
            }
        };
        names.iter().any(|entry| {
            let kind = cursor.classify(entry.name.as_encoded_bytes()).map(|found| found.kind);
            // What was not finished tells of no process.
            if kind != Some(Kind::PidFile) || !entry.name.as_encoded_bytes().ends_with(b".json") {
                return false;
            }
            let record = match dir.read(&entry.name).and_then(|file| PidRecord::read(&file)) {
                Ok(Some(record)) => record,
                Ok(None) => {
                    let modified = dir.stat(&entry.name).ok().and_then(|stat| stat.stamp.modified.date());
                    PidRecord::unread(Some(&entry.name), modified)
                }
                Err(error) if error.kind() == NotFound => return false,
                Err(error) => {
                    let stat = dir.stat(&entry.name).ok();
                    // Claude Code makes no links or pipes there.
                    if stat.as_ref().is_some_and(|stat| stat.file_type != FileType::File) {
                        return false;
                    }
                    let modified = stat.and_then(|stat| stat.stamp.modified.date());
                    self.note(store.root.join(folder).join(&entry.name), error);
                    PidRecord::unread(Some(&entry.name), modified)
                }
            };
            let place = Place { name: &entry.name, owner: store.owner };
            is_it(&Seen { record: &record, place })
        })
    }

    fn note(&self, path: PathBuf, error: io::Error) {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).entry(path).or_insert(error);
    }
}

/// A pid file as it is there now.
struct Seen<'a> {
    record: &'a PidRecord,
    place: Place<'a>,
}
