//! What the client itself keeps, sends and writes, and which source decides that.
//!
//! One row a subject, as the vendor's data-usage page names them (code.claude.com/docs/en/data-usage).
//! [`periods`] has what it keeps, [`sends`] what it sends.

mod findings;
pub mod periods;
pub mod sends;
pub mod services;

use serde::Serialize;

use crate::client::switches::{Setter, Switch};
use crate::escape::text;

pub(super) use findings::evaluate;
pub use periods::{PeriodFacts, PolicyPeriods};
pub use sends::Seen;

/// What one config folder's clients do.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientFacts {
    /// The config folder, as it is shown; empty where there is none.
    pub store: String,
    /// One row a subject.
    pub rows: Vec<Row>,
    /// One row a service and provider, those of the provider in use first.
    pub services: Vec<services::ServiceRow>,
    /// How its period compares with the policy.
    #[serde(skip)]
    pub period: PeriodFacts,
    /// What repositories turn on that other settings turn off.
    #[serde(skip)]
    pub overridden: Vec<String>,
    /// Switches with a value that may not mean what was meant.
    #[serde(skip)]
    pub odd: Vec<String>,
}

/// A subject: what the client does about it, and who decides that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub subject: &'static str,
    /// The keys that decide it.
    pub setting: &'static str,
    /// What holds: `on`, `off`, a number of days, a provider.
    pub state: String,
    /// `managed`, `local`, `project`, `user`, `environment`, `provider` or `default`.
    pub decided_by: &'static str,
    /// The settings file that decides, if one does.
    pub path: Option<String>,
    /// Whether users cannot change it.
    pub pinned: bool,
}

impl Row {
    /// A subject that a setting decides; the client's default where none does.
    fn new(
        subject: &'static str,
        setting: &'static str,
        state: impl Into<String>,
        by: Option<&Setter>,
    ) -> Self {
        Self {
            subject,
            setting,
            state: state.into(),
            decided_by: by.map_or("default", Setter::word),
            path: by.and_then(Setter::path).map(text),
            pinned: by.is_some_and(Setter::is_managed),
        }
    }
}

/// Looks at the clients of one config folder.
pub fn look(store: &str, seen: &Seen<'_>, policy: &PolicyPeriods) -> ClientFacts {
    let mut rows = vec![periods::cache_row(seen.client), periods::desktop_row(seen.client)];
    rows.extend(seen.subjects());
    rows.push(seen.switch_row("nonessential-traffic", Switch::EssentialOnly, ["on", "off"]));
    rows.push(seen.provider_row());
    rows.push(seen.switch_row("transcripts", Switch::NoTranscripts, ["written", "not written"]));
    rows.push(Row::new("server-side-retention", "", "unknown", None));
    ClientFacts {
        store: store.to_owned(),
        rows,
        services: seen.services(),
        period: PeriodFacts::of(seen.client, policy),
        overridden: seen.overridden(),
        odd: seen.odd(),
    }
}
