//! The sessions, a line each: what they are, and what happens to them next.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Run;
use super::enforce::word;
use super::human::{counted, size};
use super::json::{Error, time};
use super::when;
use crate::document::{Column, Document, Hue, Paint, Table};
use crate::escape::text;
use crate::inventory::Session;
use crate::plan::{Decision, Keep, Step, Verdict};

/// The fewest characters of an id that name a session.
const FEWEST: usize = 8;

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum State {
    /// A hold covers it.
    Held,
    /// It is open, or was touched within the quiet period.
    Active,
    /// Nothing of it that can be encrypted is in plaintext.
    Encrypted,
    /// It is readable.
    Plain,
}

impl State {
    fn word(self) -> &'static str {
        self.into()
    }
}

/// A session that is listed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    session: String,
    store: usize,
    project: Option<String>,
    last_activity: Option<String>,
    files: u64,
    bytes: u64,
    state: State,
    /// Whether a rule demands something of it now.
    due: bool,
    /// Why it stays; `None` where it goes.
    reason: Option<&'static str>,
    next: Option<Next>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip)]
    date: Option<DateTime<Utc>>,
    #[serde(skip)]
    step: Option<Step>,
}

/// The next step of a session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Next {
    /// `delete` or `seal`.
    action: &'static str,
    /// When it is due.
    at: String,
    /// The rule that demands it.
    rule: String,
    /// The layer of that rule.
    layer: Option<String>,
    /// Whether that rule only reports, so that the step is never taken.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    audit: bool,
}

impl Next {
    /// The name of the rule that demands it.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// A step with the names of its rule and layer.
    pub fn of(step: Step, run: &Run<'_>) -> Self {
        let layer = run.policy.rule(step.rule).map(|(layer, _)| layer.source.layer.to_string());
        let rule = text(&run.policy.rule_name(step.rule));
        let audit = run.policy.audits(step.rule);
        Self { action: step.action.word(), at: time(step.at), rule, layer, audit }
    }
}

/// Which sessions are listed.
pub struct Wanted<'a> {
    /// Of these projects; of all where there is none.
    pub is_of_project: &'a dyn Fn(Option<&str>) -> bool,
    /// Only those of which a rule demands something now.
    pub due: bool,
    /// Only those that are encrypted.
    pub encrypted: bool,
    /// Only those that a hold covers.
    pub held: bool,
    /// Only those without activity since then.
    pub before: Option<DateTime<Utc>>,
    /// Whether titles are read: they are content.
    pub titles: bool,
}

/// The list (`ccretain.list/1`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct List {
    schema: &'static str,
    now: String,
    stores: Vec<super::json::Store>,
    sessions: Vec<Row>,
    /// What could not be read, and what is wrong with the policy.
    errors: Vec<Error>,
    /// How many sessions there are.
    #[serde(skip)]
    all: usize,
    #[serde(skip)]
    at: DateTime<Utc>,
    #[serde(skip)]
    has_several_stores: bool,
    /// How many characters tell every listed session from all others.
    #[serde(skip)]
    id_length: usize,
}

impl Run<'_> {
    /// The sessions that are wanted, the last active first.
    pub fn list(&self, wanted: &Wanted<'_>) -> List {
        let mut sessions: Vec<Row> = Vec::new();
        for (session, verdict) in self.sessions() {
            let row = self.list_row(session, verdict);
            let is_wanted = (wanted.is_of_project)(session.project.as_deref())
                && (!wanted.due || row.due)
                && (!wanted.encrypted || session.sealed > 0)
                && (!wanted.held || row.state == State::Held)
                && wanted.before.is_none_or(|before| row.date.is_some_and(|date| date < before));
            if is_wanted {
                let title = if wanted.titles { self.inventory.title(session) } else { None };
                sessions.push(Row { title: title.map(|title| text(&title)), ..row });
            }
        }
        // By id and store at last, so that sessions of one moment stand in the same order each time.
        sessions.sort_by(|a, b| (b.date, &a.session, a.store).cmp(&(a.date, &b.session, b.store)));
        List {
            schema: "ccretain.list/1",
            now: time(self.plan.now),
            stores: self.json_stores(),
            sessions,
            errors: self.json_errors(),
            all: self.inventory.sessions.len(),
            at: self.plan.now,
            has_several_stores: self.has_several_stores(),
            id_length: self.id_length(),
        }
    }

    fn list_row(&self, session: &Session, verdict: &Verdict) -> Row {
        let (files, bytes) = super::weight(self.inventory, session);
        // Holds and open sessions first: they decide what happens to it, however it is stored.
        let state = match verdict.decision {
            Decision::Keep(Keep::Held(_)) => State::Held,
            Decision::Keep(Keep::Live | Keep::Quiet) => State::Active,
            _ if session.sealed > 0 && session.plain == 0 => State::Encrypted,
            _ => State::Plain,
        };
        Row {
            session: session.id.to_string(),
            store: session.store.at(),
            project: session.project.as_deref().map(text),
            last_activity: verdict.date.map(time),
            files,
            bytes,
            state,
            due: verdict.decision.due().is_some(),
            reason: match verdict.decision {
                Decision::Keep(keep) => Some(keep.reason()),
                _ => None,
            },
            next: verdict.next.map(|step| Next::of(step, self)),
            title: None,
            date: verdict.date,
            step: verdict.next,
        }
    }

    /// So many characters of an id name one session alone.
    fn id_length(&self) -> usize {
        // Of all sessions and not of those listed: what is copied from here must be enough for the next command.
        let mut ids: Vec<String> =
            self.inventory.sessions.iter().map(|session| session.id.to_string()).collect();
        ids.sort_unstable();
        ids.dedup();
        let common = |pair: &[String]| match pair {
            [a, b] => a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count() + 1,
            _ => 0,
        };
        ids.windows(2).map(common).max().unwrap_or(0).max(FEWEST)
    }
}

impl List {
    /// The list for people at a terminal.
    pub fn text(&self, paint: Paint<'_>) -> String {
        let has_titles = self.sessions.iter().any(|row| row.title.is_some());
        let mut columns = vec![
            Column::new("session"),
            Column::new("last active").rank(1),
            Column::path("project"),
            Column::number("size").rank(5),
            Column::new("state").rank(2),
            Column::new("next"),
        ];
        columns.extend(self.has_several_stores.then(|| Column::path("store").rank(4)));
        columns.extend(has_titles.then(|| Column::text("title").rank(3)));
        let mut table = Table::new(columns);
        for row in &self.sessions {
            let mut cells = vec![
                row.session.chars().take(self.id_length).collect(),
                row.date.map_or_else(|| "-".to_owned(), |date| when::moment(date, self.at, paint)),
                row.project.clone().unwrap_or_else(|| "-".to_owned()),
                size(row.bytes),
                row.state.word().to_owned(),
                row.next_words(self.at, paint),
            ];
            if self.has_several_stores {
                cells.push(self.stores.get(row.store).map(|store| store.root.clone()).unwrap_or_default());
            }
            cells.extend(has_titles.then(|| paint.displayable(row.title.as_deref().unwrap_or_default())));
            table.coloured(if row.due { Hue::Warn } else { Hue::Plain }, cells);
        }
        let mut document = Document::default();
        document.table(table);
        document.text(match self.sessions.len() {
            0 if self.all > 0 => {
                format!("none of {} matches: `ccretain list` shows all", counted(self.all as u64, "session"))
            }
            0 => "no sessions; `ccretain status` lists the folders that were looked into".to_owned(),
            count => {
                let bytes = self.sessions.iter().map(|row| row.bytes).sum();
                format!("{}, {}", counted(count as u64, "session"), size(bytes))
            }
        });
        document.print(paint)
    }

    /// The list for programs: a line a session, its values between tabs, the whole id first.
    pub fn lines(&self) -> String {
        let mut out = String::new();
        for row in &self.sessions {
            let next = row.next.as_ref();
            // As in JSON and never shortened: scripts split these lines.
            let cells = [
                row.session.as_str(),
                row.last_activity.as_deref().unwrap_or_default(),
                row.project.as_deref().unwrap_or_default(),
                &row.bytes.to_string(),
                row.state.word(),
                next.map_or("", |next| next.action),
                next.map_or("", |next| &next.at),
            ];
            out.push_str(&cells.join("\t"));
            if let Some(title) = &row.title {
                out.push('\t');
                out.push_str(title);
            }
            out.push('\n');
        }
        out
    }

    /// The ids with what tells them apart, for completion in a shell.
    pub fn completions(&self) -> String {
        // An id in two stores is one completion; the command then asks for the store.
        let unique: BTreeMap<&str, &Row> =
            self.sessions.iter().map(|row| (row.session.as_str(), row)).collect();
        unique
            .into_values()
            .map(|row| {
                let day = row.date.map_or_else(String::new, |date| date.format("%Y-%m-%d").to_string());
                format!("{}\t{day} {}\n", row.session, row.project.as_deref().unwrap_or_default())
            })
            .collect()
    }
}

impl Row {
    fn next_words(&self, now: DateTime<Utc>, paint: Paint<'_>) -> String {
        if self.next.as_ref().is_some_and(|next| next.audit) {
            return "audit only".to_owned();
        }
        match (self.step, self.state) {
            (_, State::Held) => "-".to_owned(),
            (Some(step), State::Active) if step.at <= now => format!("{} when closed", word(step.action)),
            (Some(step), _) if step.at <= now => format!("{} now", word(step.action)),
            (Some(step), _) => format!("{} {}", word(step.action), when::day(step.at, now, paint)),
            (None, _) => "-".to_owned(),
        }
    }
}
