//! What the client's own sweep would do with the sessions of a store.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::Sight;
use crate::catalogue::Kind;
use crate::client::{ClientSettings, Sweep, Written};
use crate::escape::text;
use crate::inventory::Evidence;
use crate::plan::{Decision, Keep};
use crate::report::json::time;

/// What the client's own sweep does in a store.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    pub(super) store: usize,
    pub(super) root: String,
    pub(super) sweep: Sweep,
    /// Sessions it may remove before this policy does.
    pub(super) before_us: Expected,
    /// Sessions it may remove though a hold covers them.
    pub(super) held: Expected,
    /// Sessions it never removes.
    pub(super) never: u64,
    /// Those of them that the desktop application wrote.
    pub(super) desktop: u64,
    /// When it last ended, by the mark that newer versions leave.
    pub(super) last_cleanup: Option<String>,
    pub(super) remarks: Vec<String>,
}

/// Some sessions, and when the first of them goes.
#[derive(Debug, Default, Serialize)]
pub struct Expected {
    pub(super) sessions: u64,
    pub(super) first: Option<String>,
    #[serde(skip)]
    pub(super) at: Option<DateTime<Utc>>,
}

impl Expected {
    fn count(&mut self, at: DateTime<Utc>) {
        self.sessions += 1;
        if self.at.is_none_or(|first| at < first) {
            self.at = Some(at);
            self.first = Some(time(at));
        }
    }
}

impl Sight<'_> {
    pub(super) fn client(&self, store: usize, client: &ClientSettings) -> Client {
        let mut told = Client {
            store,
            root: self.run.inventory.stores.get(store).map(|view| text(&view.store.root)).unwrap_or_default(),
            sweep: client.sweep(None),
            before_us: Expected::default(),
            held: Expected::default(),
            never: 0,
            desktop: 0,
            last_cleanup: None,
            remarks: client.remarks(),
        };
        let last = self.last_cleanup(store);
        told.last_cleanup = last.map(time);
        told.remarks.extend(last.and_then(|last| self.overdue(store, last)));
        // One sweep covers the whole store, by the shortest period of all projects that were looked
        // at; so it is worked out once, and not for every session, but for the few that were released.
        let period = |written| {
            let removal = client.removal(DateTime::UNIX_EPOCH, written)?;
            i64::try_from(removal.days).ok()
        };
        let exempt = Written { by_desktop: true, ..Written::default() };
        let (usual, desktop) = (period(Written::default()), period(exempt));
        for (session, verdict) in self.run.inventory.sessions.iter().zip(&self.run.plan.sessions) {
            // The sweep knows transcripts; what is sealed or orphaned it does not see as a session.
            if session.store.at() != store || session.evidence != Evidence::Transcript {
                continue;
            }
            let Some(modified) = session.modified else { continue };
            let written = self.run.inventory.written(session);
            let after = |days: Option<i64>| modified.checked_add_signed(TimeDelta::try_days(days?)?);
            let at = match written {
                Written { released: None, by_desktop, is_empty: false } => {
                    after(if by_desktop { desktop } else { usual })
                }
                _ => client.removal(modified, written).map(|removal| removal.at),
            };
            let Some(at) = at else {
                told.never += 1;
                told.desktop += u64::from(session.is_desktop);
                continue;
            };
            let ours = match verdict.decision {
                Decision::Keep(Keep::Held(_)) => {
                    told.held.count(at);
                    continue;
                }
                Decision::Keep(Keep::KeepAtLeast(end)) => Some(end),
                _ => verdict.deletion.map(|(due, _)| due),
            };
            // Seconds apart, as a file is written after its last record, both come at the same next start.
            if ours.is_none_or(|due| due.signed_duration_since(at) > TimeDelta::minutes(1)) {
                told.before_us.count(at);
            }
        }
        told
    }

    /// When the client's own sweep last ended in a store: it goes by the time of an empty file itself.
    fn last_cleanup(&self, store: usize) -> Option<DateTime<Utc>> {
        let inventory = &self.run.inventory;
        let mut states = inventory.artifacts.iter().filter(|artifact| {
            artifact.kind == Some(Kind::ClientState) && inventory.store_of(artifact).at() == store
        });
        let mark = states.find(|artifact| inventory.path(artifact) == Path::new(".last-cleanup"))?;
        mark.modified()
    }

    /// Says that the client was used and did not clean up, which it does once a day: most of what pauses it is in
    /// its memory alone.
    fn overdue(&self, store: usize, last: DateTime<Utc>) -> Option<String> {
        let sessions = self.run.inventory.sessions.iter();
        let of_store = sessions
            .filter(|session| session.store.at() == store && session.evidence == Evidence::Transcript);
        let used = of_store.filter_map(|session| session.modified).max()?;
        (used - last > TimeDelta::days(2)).then(|| {
            format!(
                "its own cleanup last ran on {}, though it was used until {}: it may be paused for a reason that no \
                 file shows (server-managed settings that it could not fetch, settings sources turned off at its start)",
                last.date_naive(),
                used.date_naive()
            )
        })
    }
}
