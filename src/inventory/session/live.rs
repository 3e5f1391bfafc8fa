//! Which sessions, services and locks are in use.

use std::ffi::OsStr;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;

use super::placed::Running;
use super::{Folders, reaching};
use crate::catalogue::SessionId;
use crate::inventory::liveness::{self, Liveness, PidRecord, Processes};
use crate::inventory::names::Names;
use crate::inventory::{Artifact, LiveClient, Oddity, Session, StoreIndex, StoreView};

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
        let pids = running.pids.into_iter().map(|(index, record)| {
            let artifact = &artifacts[index.at()];
            let store = folders.list[artifact.folder.at()].store;
            let owner = self.views[store.at()].store.owner;
            let place = liveness::Place { name: names.get(artifact.name), owner };
            let checked = liveness::judge_checked(&record, &place, self.processes, self.now);
            (store, record, checked)
        });
        let unread = unread.into_iter().map(|(store, record)| {
            let place = liveness::Place { name: OsStr::new(""), owner: self.views[store.at()].store.owner };
            let checked = liveness::judge_checked(&record, &place, self.processes, self.now);
            (store, record, checked)
        });
        let pids = pids.chain(unread);
        let (unread, pids): (Vec<_>, Vec<_>) = pids.partition(|(_, record, _)| record.is_unread);
        self.look_for_clients(pids);
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
    fn look_for_clients(&mut self, pids: Vec<(StoreIndex, PidRecord, Liveness)>) {
        let Self { views, sessions, processes, now } = self;
        // There may be as many pid files as sessions.
        let mut of_ids: FxHashMap<SessionId, Vec<usize>> = FxHashMap::default();
        for id in pids.iter().filter_map(|(_, record, _)| record.session) {
            of_ids.entry(id).or_default();
        }
        for (at, session) in sessions.iter().enumerate() {
            if let Some(named) = of_ids.get_mut(&session.id) {
                named.push(at);
            }
        }
        for (store, record, checked) in pids {
            let named: &[usize] = record.session.and_then(|id| of_ids.get(&id)).map_or(&[], Vec::as_slice);
            let touched = named.iter().filter_map(|at| sessions[*at].touched).max();
            let liveness = liveness::judge(&record, *processes, touched, *now);
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
            show_client(views, store, &record, liveness, checked);
        }
    }

    /// Takes every session for open that may be, by pid files that cannot be read.
    fn look_for_unread(&mut self, pids: &[(StoreIndex, PidRecord, Liveness)]) {
        let Self { views, sessions, processes, now } = self;
        // Such files differ only in whether one may have a session open that nothing touched for long.
        let lives_untouched = |record: &PidRecord| liveness::judge(record, *processes, None, *now).is_live();
        let Some((_, longest, _)) = pids.iter().max_by_key(|(_, record, _)| lives_untouched(record)) else {
            return;
        };
        let checked = pids.iter().map(|(_, _, checked)| *checked).find(|checked| checked.is_live());
        let mut latest = None;
        for session in sessions.iter_mut() {
            latest = latest.max(session.touched);
            if !session.liveness.is_live() {
                session.liveness = liveness::judge(longest, *processes, session.touched, *now);
            }
            if !session.checked.is_live() {
                session.checked = checked.unwrap_or_default();
            }
        }
        for (store, record, checked) in pids {
            let liveness = liveness::judge(record, *processes, latest, *now);
            if liveness.is_live() {
                show_client(views, *store, record, liveness, *checked);
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
