//! What Claude Code sends from this machine and what servers keep of it, service by service.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::human::table;
use super::json::time;
use crate::check::client::services::{Here, ServiceRow};
use crate::document::{Document, Line, Paint};
use crate::services::{DATA_USAGE, KEPT, Provider};

/// The clients of one config folder.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// The folder, as it is shown; empty where there is none.
    pub store: String,
    /// The provider in use.
    #[serde(serialize_with = "id")]
    pub provider: &'static Provider,
    /// Who chose it; absent where nobody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Here>,
    /// A row a service and provider.
    pub services: Vec<ServiceRow>,
}

fn id<S: serde::Serializer>(provider: &&'static Provider, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(provider.id)
}

/// The report (`ccretain.services/1`).
#[derive(Debug, Serialize)]
pub struct Services {
    schema: &'static str,
    now: String,
    page: &'static str,
    date: &'static str,
    clients: Vec<Client>,
    servers: Vec<Kept>,
}

/// A class of data that lies on servers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    id: &'static str,
    what: &'static str,
    period: &'static str,
    deleted_by: &'static str,
    page: &'static str,
    date: &'static str,
}

impl Services {
    /// The report of these clients.
    pub fn new(clients: Vec<Client>, now: DateTime<Utc>) -> Self {
        let kept = |row: &crate::services::Kept| Kept {
            id: row.id,
            what: row.what,
            period: row.period,
            deleted_by: row.deleted_by,
            page: row.page.url,
            date: row.page.date,
        };
        Self {
            schema: "ccretain.services/1",
            now: time(now),
            page: DATA_USAGE.url,
            date: DATA_USAGE.date,
            clients,
            servers: KEPT.iter().map(kept).collect(),
        }
    }

    /// The report for people; `everything` also names the providers that are not in use.
    pub fn text(&self, paint: Paint<'_>, everything: bool) -> String {
        let mut document = Document::default();
        for client in &self.clients {
            client.put(everything, &mut document);
        }
        document.heading("what servers keep");
        document.list(KEPT.iter().map(|kept| Line::from(kept.sentence())).collect());
        document.text(format!("defaults as of {} ({})", self.page, self.date));
        document.print(paint)
    }
}

impl Client {
    fn put(&self, everything: bool, document: &mut Document) {
        let place = if self.store.is_empty() { "the environment" } else { &self.store };
        document.heading(format!("what Claude Code sends with {}", self.provider.name));
        document.text(format!("as set for '{place}'"));
        let mut rows = table(&["service", "provider", "default", "here", "by"], &[]);
        let mut notes: Vec<String> = Vec::new();
        let mut cite = |here: &Here| {
            let variable = here.variable?;
            let place = here.path.as_ref().map_or_else(String::new, |path| format!(" '{path}'"));
            let note = format!("{variable}: {}{place}", here.decided_by);
            let at = notes.iter().position(|known| *known == note).unwrap_or_else(|| {
                notes.push(note);
                notes.len() - 1
            });
            Some(format!("[{}]", at + 1))
        };
        for row in self.services.iter().filter(|row| everything || row.here.is_some()) {
            let (here, by) = match &row.here {
                Some(here) => (here.state, cite(here).unwrap_or_else(|| here.decided_by.to_owned())),
                None => ("-", String::new()),
            };
            rows.row([row.name, row.provider_name, row.default, here, &by]);
        }
        document.table(rows);
        if let Some(chosen) = self.chosen.as_ref().and_then(&mut cite) {
            document.text(format!("the provider is set by {chosen}"));
        }
        let notes = notes.iter().enumerate().map(|(at, note)| format!("[{}] {note}", at + 1));
        let changed = self.services.iter().filter_map(|row| {
            let (changed, here) = (row.changed?, row.here.as_ref()?);
            Some(format!("{}: {changed}; here it is {}", row.name, here.state))
        });
        document.list(notes.chain(changed).map(Line::from).collect());
        if !everything {
            document.text("-v shows the other providers");
        }
    }
}
