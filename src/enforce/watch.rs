//! Looking again for running clients, right before each session is touched.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;

use chrono::{DateTime, Utc};

use crate::catalogue::{Cursor, Kind, Root, SessionId};
use crate::dir::Dir;
use crate::inventory::liveness::{self, PidRecord, Processes};
use crate::inventory::{Inventory, Session, StoreIndex};

/// The `sessions` folders of the config stores.
pub(super) struct Watch<'a> {
    folders: HashMap<StoreIndex, Dir>,
    processes: &'a dyn Processes,
    now: DateTime<Utc>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(inventory: &Inventory, processes: &'a dyn Processes, now: DateTime<Utc>) -> Self {
        let folders = inventory
            .stores
            .iter()
            .enumerate()
            .filter(|(_, view)| view.store.kind == Root::Config)
            .filter_map(|(at, view)| Some((StoreIndex::of(at), sessions_of(&view.store.dir)?)))
            .collect();
        Self { folders, processes, now }
    }

    /// Whether a client has the session open now, in any store.
    pub(super) fn is_live(&self, session: &Session) -> bool {
        self.any(|record| {
            record.session == Some(session.id)
                && liveness::judge(record, self.processes, session.touched, self.now).is_live()
        })
    }

    /// The sessions that clients have open now.
    pub(super) fn open_sessions(&self) -> Vec<SessionId> {
        let open = RefCell::new(Vec::new());
        self.any(|record| {
            if liveness::judge(record, self.processes, None, self.now).is_live() {
                open.borrow_mut().extend(record.session);
            }
            false
        });
        open.into_inner()
    }

    /// Whether any client runs in a store now.
    pub(super) fn has_clients(&self, store: StoreIndex) -> bool {
        self.folders.get(&store).is_some_and(|dir| {
            any_record(dir, |record| liveness::judge(record, self.processes, None, self.now).is_live())
        })
    }

    fn any(&self, is_it: impl Fn(&PidRecord) -> bool) -> bool {
        self.folders.values().any(|dir| any_record(dir, &is_it))
    }
}

/// The folder of pid files, through a link too: it is a top-level folder.
fn sessions_of(root: &Dir) -> Option<Dir> {
    let name = OsStr::new("sessions");
    root.child(name).or_else(|_| root.follow(name)).ok()
}

/// Whether a pid file in a folder is of interest; a folder that cannot be listed may hold one.
fn any_record(dir: &Dir, is_it: impl Fn(&PidRecord) -> bool) -> bool {
    let cursor = Cursor::at(Root::Config).enter(b"sessions");
    // A handle of its own, because several threads look at once and a listing has a position.
    let names = match dir.again().and_then(|dir| dir.entries()) {
        Ok(names) => names,
        Err(error) => return error.kind() != std::io::ErrorKind::NotFound,
    };
    names.iter().any(|entry| {
        let kind = cursor.classify(entry.name.as_encoded_bytes()).map(|found| found.kind);
        kind == Some(Kind::PidFile)
            && dir.read(&entry.name).ok().and_then(PidRecord::read).is_some_and(|record| is_it(&record))
    })
}
