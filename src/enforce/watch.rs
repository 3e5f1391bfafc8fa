//! Looking again for running clients, right before each session is touched.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::catalogue::{Cursor, Kind, Root, SessionId};
use crate::inventory::liveness::{self, PidRecord, Processes};
use crate::inventory::{Inventory, Session, StoreIndex};
use crate::locate::Store;

/// The `sessions` folders of the config stores, opened anew at each look: a client that starts
/// makes the folder where there was none.
pub(super) struct Watch<'a> {
    roots: HashMap<StoreIndex, &'a Store>,
    /// The last change of anything of a session, by which a client of another pid domain is
    /// judged.
    touched: HashMap<SessionId, DateTime<Utc>>,
    processes: &'a dyn Processes,
    now: DateTime<Utc>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(inventory: &'a Inventory, processes: &'a dyn Processes, now: DateTime<Utc>) -> Self {
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
        Self { roots, touched, processes, now }
    }

    /// Whether a client has the session open now, in any store.
    pub(super) fn is_live(&self, session: &Session) -> bool {
        self.any(|record| record.session == Some(session.id) && self.runs(record))
    }

    /// The sessions that clients have open now.
    pub(super) fn open_sessions(&self) -> Vec<SessionId> {
        let open = RefCell::new(Vec::new());
        self.any(|record| {
            if self.runs(record) {
                open.borrow_mut().extend(record.session);
            }
            false
        });
        open.into_inner()
    }

    /// Whether any client runs in a store now.
    pub(super) fn has_clients(&self, store: StoreIndex) -> bool {
        self.roots.get(&store).is_some_and(|root| any_record(root, |record| self.runs(record)))
    }

    fn runs(&self, record: &PidRecord) -> bool {
        let touched = record.session.and_then(|id| self.touched.get(&id).copied());
        liveness::judge(record, self.processes, touched, self.now).is_live()
    }

    fn any(&self, is_it: impl Fn(&PidRecord) -> bool) -> bool {
        self.roots.values().any(|root| any_record(root, &is_it))
    }
}

/// Whether a pid file of a store is of interest; a folder that cannot be listed may hold one.
fn any_record(store: &Store, is_it: impl Fn(&PidRecord) -> bool) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let name = OsStr::new("sessions");
    let cursor = Cursor::at(Root::Config).enter(name.as_encoded_bytes());
    let (dir, names) =
        match store.below(Path::new(name)).and_then(|dir| dir.entries().map(|names| (dir, names))) {
            Ok(listed) => listed,
            Err(error) => return !matches!(error.kind(), NotFound | NotADirectory),
        };
    names.iter().any(|entry| {
        let kind = cursor.classify(entry.name.as_encoded_bytes()).map(|found| found.kind);
        kind == Some(Kind::PidFile)
            && dir
                .read(&entry.name)
                .ok()
                .and_then(|file| PidRecord::read(&file))
                .is_some_and(|record| is_it(&record))
    })
}
