//! The words of `hold`: what is held, by whom, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, FixedOffset, Utc};
use serde::Serialize;
use serde_json::Value;

use super::human::{counted, in_zone};
use super::json::time;
use super::when;
use crate::catalogue::SessionId;
use crate::document::{Column, Document, Fact, Hue, Line, Paint, Table};
use crate::escape::text;
use crate::hold::{Coverage, Sweeping};
use crate::inventory::Inventory;
use crate::policy::{Hold, Source, show};

/// A hold as `hold` reports it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldReport {
    pub name: String,
    #[serde(flatten)]
    selector: Value,
    reason: String,
    until: Option<String>,
    /// The offset of the zone in which that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[serde(flatten)]
    source: Source,
    /// `active` or `expired`.
    state: &'static str,
    /// Whether it does not bind the organisation's rules.
    advisory: bool,
    covers: Covers,
    /// The stores of the sessions that it covers.
    stores: BTreeSet<String>,
    /// Sessions that it covers in several stores because it names their id.
    #[serde(skip)]
    twins: BTreeMap<SessionId, BTreeSet<String>>,
    client_removes: Option<ClientRemoves>,
    /// How many sessions of it have a preservation copy.
    pub preserved: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<Item>>,
    #[serde(skip)]
    ends: Option<DateTime<FixedOffset>>,
    /// Whether it names projects, so that files of which the project is not known stay in doubt.
    #[serde(skip)]
    is_of_projects: bool,
}

#[derive(Debug, Serialize)]
struct Covers {
    sessions: usize,
    files: u64,
}

/// What the client's own sweep would take of what is held.
#[derive(Debug, Serialize)]
struct ClientRemoves {
    /// The earliest moment; it happens when the client is started then or later.
    first: String,
    sessions: usize,
    days: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// How far away that is, where it is to come: the same in every time zone.
    #[serde(skip)]
    away: Option<String>,
}

/// A session that a hold covers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    session: String,
    store: String,
    project: Option<String>,
    client_removes: Option<String>,
}

impl HoldReport {
    /// A hold with what it covers; each session is listed where that is asked for.
    pub fn new(
        hold: &Hold,
        binds_all: bool,
        inventory: &Inventory,
        coverage: &Coverage,
        sweeping: &Sweeping,
        with_items: bool,
    ) -> Self {
        let now = inventory.taken;
        let mut stores: BTreeMap<SessionId, BTreeSet<String>> = BTreeMap::new();
        for index in &coverage.sessions {
            let session = inventory.session(*index);
            stores.entry(session.id).or_default().insert(text(&inventory.store(session.store).store.root));
        }
        let items = || {
            coverage.sessions.iter().map(|index| {
                let session = inventory.session(*index);
                let removal = sweeping.sessions.iter().find(|(at, _)| at == index);
                Item {
                    session: session.id.to_string(),
                    store: text(&inventory.store(session.store).store.root),
                    project: session.project.as_deref().map(text),
                    client_removes: removal.map(|(_, removal)| time(removal.at)),
                }
            })
        };
        Self {
            name: text(&hold.name),
            selector: show::selector(&hold.selector),
            reason: text(&hold.reason),
            until: hold.until.map(|until| time(until.to_utc())),
            zone: hold.until.map(|until| until.format("%:z").to_string()),
            source: hold.source.clone(),
            state: if hold.is_active(now) { "active" } else { "expired" },
            advisory: !binds_all,
            covers: Covers { sessions: coverage.sessions.len(), files: coverage.files },
            stores: stores.values().flatten().cloned().collect(),
            twins: match hold.selector.sessions {
                Some(_) => stores.into_iter().filter(|(_, roots)| roots.len() > 1).collect(),
                None => BTreeMap::new(),
            },
            client_removes: sweeping.sessions.first().map(|(_, removal)| ClientRemoves {
                first: time(removal.at),
                sessions: sweeping.sessions.len(),
                days: removal.days,
                path: removal.path.as_ref().map(text),
                away: (removal.at > now).then(|| when::away(removal.at, now)),
            }),
            preserved: 0,
            items: with_items.then(|| items().collect()),
            ends: hold.until,
            is_of_projects: hold.selector.projects.is_some(),
        }
    }

    /// What it covers and what the client does about that, in sentences of one line each.
    pub fn coverage(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.ends.map(|until| format!("ends at {}", in_zone(until))));
        lines.push(if self.covers.sessions == 0 && self.covers.files == 0 {
            let too = if self.is_of_projects { "; what names no project stays, too" } else { "" };
            format!("covers nothing that is here now{too}")
        } else {
            format!(
                "covers {}, {}",
                counted(self.covers.sessions as u64, "session"),
                counted(self.covers.files, "file")
            )
        });
        for (id, roots) in &self.twins {
            let roots: Vec<String> = roots.iter().map(|root| format!("'{root}'")).collect();
            lines.push(format!("session {id} is held in each of its stores: {}", roots.join(", ")));
        }
        if self.advisory {
            lines.push(
                "advisory: a managed layer without `userHolds` deletes what its rules demand all the same"
                    .to_owned(),
            );
        }
        if self.preserved > 0 {
            lines.push(format!(
                "{} preserved in sealed copies, which Claude Code does not reach",
                counted(self.preserved as u64, "session")
            ));
        }
        if let Some(client) = &self.client_removes {
            let when = match &client.away {
                None => "at its next start".to_owned(),
                Some(away) if client.sessions == 1 => away.clone(),
                Some(away) => format!("{away} and later"),
            };
            let what = if client.sessions == self.covers.sessions { "this" } else { "a part of this" };
            lines.push(format!(
                "Claude Code will remove {what} {when} ({}): a hold does not bind it, so raise its `cleanupPeriodDays` ({} now)",
                counted(client.sessions as u64, "session"),
                client.days,
            ));
        }
        lines
    }

    fn put(&self, document: &mut Document) {
        let ends = match (self.state, self.ends) {
            ("expired", Some(until)) => Line::of(format!("expired at {}", in_zone(until)), Hue::Warn),
            (_, Some(until)) => format!("until {}", in_zone(until)).into(),
            (_, None) => "active".into(),
        };
        let by = match &self.source.path {
            Some(path) => format!("{}, '{}'", self.source.layer, text(path)),
            None => self.source.layer.to_string(),
        };
        document.heading(self.name.clone());
        let mut facts =
            vec![Fact::new("reason", self.reason.clone()), Fact::new("state", ends), Fact::new("by", by)];
        for (key, list) in self.selector.as_object().into_iter().flatten() {
            let list: Vec<String> =
                list.as_array().into_iter().flatten().filter_map(Value::as_str).map(text).collect();
            facts.push(Fact::new(key, list.join(" ")));
        }
        document.facts(facts);
        // That it ends has been said.
        let skipped = usize::from(self.ends.is_some());
        document.list(self.coverage().into_iter().skip(skipped).map(Line::from).collect());
        let mut rows = Table::new(vec![Column::new("session"), Column::path("project").rank(1)]);
        for item in self.items.iter().flatten() {
            rows.row([item.session.as_str(), item.project.as_deref().unwrap_or("-")]);
        }
        document.table(rows);
    }
}

/// `hold list` (`ccretain.hold-list/1`).
#[derive(Debug, Serialize)]
pub struct HoldList {
    schema: &'static str,
    now: String,
    holds: Vec<HoldReport>,
    /// What could not be read, and what is wrong with the policy.
    pub errors: Vec<String>,
}

impl HoldList {
    /// The list at a moment.
    pub fn new(now: DateTime<Utc>, holds: Vec<HoldReport>, errors: Vec<String>) -> Self {
        Self { schema: "ccretain.hold-list/1", now: time(now), holds, errors }
    }

    /// The list for people.
    pub fn text(&self, paint: Paint<'_>) -> String {
        let mut document = Document::default();
        if self.holds.is_empty() {
            document.text("there are no holds");
        }
        self.holds.iter().for_each(|hold| hold.put(&mut document));
        document.print(paint)
    }
}

/// What `hold add` and `hold release` did (`ccretain.hold-add/1`, `ccretain.hold-release/1`).
#[derive(Debug, Serialize)]
pub struct HoldDone {
    /// Which of the two.
    pub schema: &'static str,
    pub hold: HoldReport,
    /// Why it was released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What went wrong beside it.
    pub errors: Vec<String>,
}
