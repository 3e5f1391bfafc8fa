//! How long the client keeps sessions, and how that compares with the policy.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::{ClientFacts, Row};
use crate::client::switches::Setter;
use crate::client::{ClientSettings, Number, Sweep, Written};
use crate::escape::shown;
use crate::inventory::{Evidence, Inventory};
use crate::period::{Length, Period};
use crate::plan::{Decision, Keep, Plan};
use crate::policy::Policy;

/// How the client's period compares with the policy.
#[derive(Debug, Clone, Default)]
pub struct PeriodFacts {
    /// The client's period where it is shorter than the policy's floor, with the floor.
    pub shorter: Option<(u64, String)>,
    /// The client's period where it is longer than the policy's, with the policy's.
    pub longer: Option<(u64, String)>,
    /// Why its sweep is paused.
    pub paused: Option<String>,
    /// Repositories that set a period of their own, a sentence each.
    pub overridden: Vec<String>,
    /// Files with a period of 0.
    pub zero: Vec<String>,
    /// Held sessions that it will remove, and when the first goes.
    pub held: (u64, Option<DateTime<Utc>>),
    /// Sessions of the desktop application that it never removes.
    pub desktop: u64,
}

/// What the policy says of periods.
#[derive(Debug, Clone, Default)]
pub struct PolicyPeriods {
    /// The longest period of any rule for sessions; `None` where one is without end, or none is there.
    pub longest: Option<Period>,
    /// What nothing younger than is deleted.
    pub floor: Option<Period>,
}

impl PolicyPeriods {
    pub fn of(policy: &Policy) -> Self {
        let periods = session_periods(policy);
        let endless = periods.iter().any(|period| period.length() == Length::Never);
        let longest = periods.into_iter().max_by_key(Period::length).filter(|_| !endless);
        let floors = policy.mandates.iter().filter_map(|mandate| Some(mandate.keep_at_least.clone()?.value));
        Self { longest, floor: floors.max_by_key(Period::length) }
    }
}

/// Every `deleteAfter` that concerns whole sessions.
pub fn session_periods(policy: &Policy) -> Vec<Period> {
    let of_sessions = |rule: &&crate::policy::Rule| {
        rule.selector.kinds.as_ref().is_none_or(|kinds| kinds.contains(&crate::catalogue::Kind::Transcript))
    };
    let layers = policy.mandates.iter().flat_map(|mandate| &mandate.layers);
    let rules = layers.flat_map(|layer| layer.rules.iter().filter(of_sessions));
    rules.filter_map(|rule| rule.delete_after.clone()).collect()
}

impl PeriodFacts {
    /// Compares the client's period with the policy's.
    pub(super) fn of(client: &ClientSettings, policy: &PolicyPeriods) -> Self {
        let mut facts = Self::default();
        match client.sweep(None) {
            Sweep::Paused { reason } => facts.paused = Some(reason),
            Sweep::Runs { days: usual, .. } => {
                if let Some(longest) = &policy.longest
                    && longest.whole_days().is_some_and(|ours| usual > ours.max(1))
                {
                    facts.longer = Some((usual, longest.to_string()));
                }
            }
        }
        // One sweep covers the whole store, by the shortest period of all projects.
        if let (Some(removal), Some(floor)) =
            (client.removal(DateTime::UNIX_EPOCH, Written::default()), &policy.floor)
            && floor.whole_days().is_none_or(|floor| removal.days < floor)
        {
            facts.shorter = Some((removal.days, floor.to_string()));
        }
        // A managed period is the one thing that no repository overrides.
        let is_pinned = client.managed.iter().any(|file| file.cleanup().days().is_some());
        for file in client.projects.values().flatten().filter(|_| !is_pinned) {
            match file.cleanup() {
                Number::Unset => {}
                Number::Days(days) => facts.overridden.push(format!("'{}': {days} days", shown(&file.path))),
                Number::Zero | Number::Invalid => {
                    facts.overridden.push(format!("'{}': no valid period", shown(&file.path)));
                }
            }
        }
        let zero = client.files().filter(|file| file.cleanup() == Number::Zero);
        facts.zero = zero.map(|file| format!("'{}'", shown(&file.path))).collect();
        facts
    }
}

impl ClientFacts {
    /// Takes note of the sessions of the folder: which held ones the client will remove, and how many
    /// of the desktop application it never does.
    pub fn count(
        &mut self,
        client: &ClientSettings,
        store: usize,
        inventory: &Inventory,
        plan: &Plan,
        policy: &Policy,
    ) {
        for (session, verdict) in inventory.sessions.iter().zip(&plan.sessions) {
            if session.store.at() != store || session.evidence != Evidence::Transcript {
                continue;
            }
            let Some(modified) = session.modified else { continue };
            let removal = client.removal(modified, inventory.written(session));
            match (removal, verdict.decision) {
                (None, _) => self.period.desktop += u64::from(session.is_desktop),
                (Some(removal), Decision::Keep(Keep::Held(hold)))
                    if policy.hold(hold).is_some_and(|hold| hold.is_active(removal.at)) =>
                {
                    let (count, first) = &mut self.period.held;
                    *count += 1;
                    *first = Some(first.map_or(removal.at, |first| first.min(removal.at)));
                }
                _ => {}
            }
        }
    }
}

pub(super) fn cache_row(client: &ClientSettings) -> Row {
    let (state, path) = match client.sweep(None) {
        Sweep::Runs { days, path } => (format!("{days} days"), path),
        Sweep::Paused { .. } => ("paused".to_owned(), None),
    };
    Row::new("cache-period", "cleanupPeriodDays", state, setter(client, path.as_deref()).as_ref())
}

pub(super) fn desktop_row(client: &ClientSettings) -> Row {
    let exempt = Written { by_desktop: true, ..Written::default() };
    let removal = client.removal(DateTime::UNIX_EPOCH, exempt);
    let by = setter(client, removal.as_ref().and_then(|removal| removal.path.as_deref()));
    let state = removal.map_or_else(|| "never".to_owned(), |removal| format!("{} days", removal.days));
    let settings = "desktopSessionCleanupPeriodDays, cleanupPeriodDays";
    Row::new("desktop-cache-period", settings, state, by.as_ref())
}

/// The settings file at a path, as who sets something; `None` for the default.
fn setter(client: &ClientSettings, path: Option<&Path>) -> Option<Setter> {
    let file = client.files().find(|file| Some(file.path.as_path()) == path)?;
    Some(Setter::File(file.kind, file.path.clone()))
}
