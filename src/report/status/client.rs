//! What the client's own sweep would do with the sessions of a store.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::Sight;
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
            remarks: client.remarks(),
        };
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
                Written { released: None, by_desktop, is_empty } if by_desktop || is_empty => after(desktop),
                Written { released: None, .. } => after(usual),
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
            if ours.is_none_or(|due| at < due) {
                told.before_us.count(at);
            }
        }
        told
    }
}
