//! Which sessions, services and locks are in use.

use std::ffi::OsStr;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;

use super::placed::Running;
use super::{Folders, reaching};
use crate::catalogue::SessionId;
use crate::inventory::liveness::{self, Liveness, PidRecord, Processes, Unread};
use crate::inventory::names::Names;
use crate::inventory::{Artifact, LiveClient, Oddity, Session, StoreIndex, StoreView};

/// A pid file, and where it lies.
struct Placed<'a> {
    store: StoreIndex,
    record: PidRecord,
    place: liveness::Place<'a>,
}

/// Where what runs is noted.
pub(super) struct Seen<'a> {
    pub views: &'a mut [StoreView],
    pub sessions: &'a mut [Session],
    pub processes: &'a dyn Processes,
    pub now: DateTime<Utc>,
}

impl Seen<'_> {
    /// Asks the system about every process that files name.
    pub(super) fn look_for_all(
        &mut self,
        running: Running,
        unread: Vec<(StoreIndex, PidRecord)>,
        artifacts: &mut [Artifact],
        names: &Names,
        folders: &Folders,
    ) {
        let owners: Vec<u32> = self.views.iter().map(|view| view.store.owner).collect();
        let named = running.pids.into_iter().map(|(index, record)| {
            let artifact = &artifacts[index.at()];
            (folders.list[artifact.folder.at()].store, record, names.get(artifact.name))
        });
        let unread = unread.into_iter().map(|(store, record)| (store, record, OsStr::new("")));
        let placed = named.chain(unread).map(|(store, record, name)| Placed {
            store,
            record,
            place: liveness::Place { name, owner: owners[store.at()] },
        });
        let (unread, pids): (Vec<_>, Vec<_>) = placed.partition(|placed| placed.record.is_unread);
        self.look_for_clients(&pids);
        self.look_for_unread(&unread);
        self.look_for_workers(running.workers);
        for (index, record) in running.locks {
            let artifact = &mut artifacts[index.at()];
            if liveness::judge(&record, self.processes, artifact.modified(), self.now).is_live() {
                artifact.oddity = Oddity::InUse;
            }
        }
    }

    /// Tells from the pid files which sessions are open.
    fn look_for_clients(&mut self, pids: &[Placed<'_>]) {
        let Self { views, sessions, processes, now } = self;
        // There may be as many pid files as sessions.
        let mut of_ids: FxHashMap<SessionId, Vec<usize>> = FxHashMap::default();
        for id in pids.iter().filter_map(|placed| placed.record.session) {
            of_ids.entry(id).or_default();
        }
        for (at, session) in sessions.iter().enumerate() {
            if let Some(named) = of_ids.get_mut(&session.id) {
                named.push(at);
            }
        }
        for Placed { store, record, place } in pids {
            let checked = liveness::judge_checked(record, place, *processes, *now);
            let named: &[usize] = record.session.and_then(|id| of_ids.get(&id)).map_or(&[], Vec::as_slice);
            let touched = named.iter().filter_map(|at| sessions[*at].touched).max();
            let liveness = liveness::judge(record, *processes, touched, *now);
            if !liveness.is_live() {
                continue;
            }
            for at in named {
                let session = &mut sessions[*at];
                session.liveness = liveness;
                // Another pid file of the same session may have passed the check before.
                if checked.is_live() {
                    session.checked = checked;
                }
            }
            show_client(views, *store, record, liveness, checked);
        }
    }

    /// Takes every session for open that may be, by pid files that cannot be read.
    fn look_for_unread(&mut self, pids: &[Placed<'_>]) {
        let Self { views, sessions, processes, now } = self;
        let mut unread = Unread::default();
        for Placed { record, place, .. } in pids {
            unread.add(record, place, *processes, *now);
        }
        let mut latest = None;
        for session in sessions.iter_mut() {
            latest = latest.max(session.touched);
            if !session.liveness.is_live() {
                session.liveness = unread.judge(session.touched, *processes, *now);
            }
            if !session.checked.is_live() {
                session.checked = unread.checked();
            }
        }
        for Placed { store, record, place } in pids {
            let liveness = liveness::judge(record, *processes, latest, *now);
            if liveness.is_live() {
                let checked = liveness::judge_checked(record, place, *processes, *now);
                show_client(views, *store, record, liveness, checked);
            }
        }
    }

    /// Tells which workers of the service for background sessions run.
    fn look_for_workers(&mut self, workers: Vec<(StoreIndex, PidRecord)>) {
        let Self { views, processes, now, .. } = self;
        for (store, record) in workers {
            let liveness = liveness::judge(&record, *processes, record.modified, *now);
            let owner = views[store.at()].store.owner;
            let is_checked = liveness::judge_worker_checked(&record, owner, *processes, *now).is_live();
            if liveness.is_live() {
                let (pid, session) = (record.pid, record.session);
                views[store.at()].workers.push(LiveClient {
                    pid,
                    session,
                    liveness,
                    is_checked,
                    started: record.started_at,
                });
            }
        }
    }
}

/// Notes a client in every store that reaches the folder of its pid file, too: it works in them all.
fn show_client(
    views: &mut [StoreView],
    store: StoreIndex,
    record: &PidRecord,
    liveness: Liveness,
    checked: Liveness,
) {
    for at in reaching(views.iter().map(|view| &view.store), store) {
        let (pid, session, is_checked) = (record.pid, record.session, checked.is_live());
        let started = record.started_at;
        views[at.at()].live.push(LiveClient { pid, session, liveness, is_checked, started });
    }
}
