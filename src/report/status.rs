//! The state of affairs: stores, sessions by age, what falls due and when, what stays and why.

mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::json::{Error, Policy as PolicyJson, Store, time};
use super::tally::Tally;
use super::{Run, root_word};
use crate::escape::text;
use crate::inventory::{Evidence, Session, SessionIndex};
use crate::locate::search::Search;
use crate::plan::{Decision, Keep, has_delete_rule};
use crate::policy::Mode;
use crate::policy::claude::{ClientSettings, Sweep};

/// How far ahead what falls due is named.
const AHEAD: TimeDelta = TimeDelta::days(7);
/// What is due for longer than this is overdue: a daily run would have done it.
const OVERDUE: TimeDelta = TimeDelta::days(1);

/// Everything `status` is made from.
#[derive(Debug)]
pub struct Sight<'a> {
    /// Stores, plan and policy; never carried out.
    pub run: Run<'a>,
    /// What the sweep of a client started in the default place goes by.
    pub sweep: Sweep,
    /// The client's settings, by the position of the config store they are for.
    pub clients: Vec<(usize, ClientSettings)>,
    /// The last run, if any.
    pub last_run: Option<LastRun>,
    /// What calls `enforce`; `None` where that could not be found out.
    pub schedules: Option<Vec<Schedule>>,
    /// Why the policy deletes nothing, and what is wrong with it.
    pub complaints: Vec<String>,
    /// What else could not be read.
    pub errors: Vec<(String, String)>,
    /// What was found below a folder, where that was asked.
    pub search: Option<(PathBuf, Search)>,
}

/// The last run that came to its end.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastRun {
    /// Its id.
    pub run: String,
    /// When it ended.
    pub time: String,
    /// What it exited with.
    pub exit: Option<u64>,
    /// What a guard refused, in words, with the command that lifts it.
    pub refusals: Vec<String>,
}

/// Something that calls `enforce` again and again.
#[derive(Debug, Clone, Serialize)]
pub struct Schedule {
    /// Which scheduler.
    pub backend: String,
    /// The unit or table it is in.
    #[serde(rename = "where")]
    pub place: String,
    /// When it does so next, where that can be told.
    pub next: Option<String>,
    /// Whether the program it calls is there and is this one, in a word.
    pub program: String,
    /// Starts that should have led to a run since the last one, where that can be told.
    pub missed: Option<u32>,
    /// What keeps it from working, a sentence each.
    pub complaints: Vec<String>,
}

/// The report (`ccretain.status/1`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    schema: &'static str,
    now: String,
    mode: Mode,
    policy: PolicyJson,
    stores: Vec<Store>,
    refused: Vec<Error>,
    ages: Vec<Age>,
    due: Due,
    kept: Kept,
    /// What the sweep of a client started in the default place goes by.
    sweep: Sweep,
    client: Vec<Client>,
    last_run: Option<LastRun>,
    schedules: Option<Vec<Schedule>>,
    /// What a guard would refuse now.
    refusals: Vec<String>,
    complaints: Vec<String>,
    errors: Vec<Error>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<SearchJson>,
}

/// The sessions of an age.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Age {
    label: &'static str,
    from_days: i64,
    to_days: Option<i64>,
    sessions: u64,
    bytes: u64,
}

/// What is due, and when.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Due {
    now: Tally,
    overdue: u64,
    /// Each session that is due.
    sessions: Vec<Item>,
    /// Each session that falls due within seven days.
    next7_days: Vec<Item>,
    /// The day of the first that falls due after those.
    next: Option<String>,
}

/// A session that is due, or falls due.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    due: String,
    #[serde(skip)]
    at: DateTime<Utc>,
    session: String,
    store: usize,
    project: Option<String>,
    files: u64,
    bytes: u64,
    decision: &'static str,
    rule: String,
    layer: Option<String>,
    reason: Option<&'static str>,
    overdue: bool,
}

/// What stays, and why.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    sessions: u64,
    sealed: u64,
    /// Files of sealed sessions that could be sealed and are not.
    sealed_plain: u64,
    held: u64,
    live: u64,
    quiet: u64,
    keep_at_least: u64,
    /// Sessions that no rule ever deletes.
    no_delete_rule: u64,
    undated: u64,
    future_dated: u64,
    owner_unknown: u64,
    desktop: u64,
    dates_differ: u64,
    undated_lines: u64,
    unrecognised: u64,
    unrecognised_bytes: u64,
}

/// What the client's own sweep does in a store.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    store: usize,
    root: String,
    sweep: Sweep,
    /// Sessions it may remove before this policy does.
    before_us: Expected,
    /// Sessions it may remove though a hold covers them.
    held: Expected,
    /// Sessions it never removes.
    never: u64,
    /// Those of them that the desktop application wrote.
    desktop: u64,
    remarks: Vec<String>,
}

/// Some sessions, and when the first of them goes.
#[derive(Debug, Default, Serialize)]
pub struct Expected {
    sessions: u64,
    first: Option<String>,
    #[serde(skip)]
    at: Option<DateTime<Utc>>,
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

/// What was found below a folder.
#[derive(Debug, Serialize)]
pub struct SearchJson {
    dir: String,
    folders: u64,
    found: Vec<FoundJson>,
    unreadable: Vec<Error>,
}

/// A tree of the client.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundJson {
    root: String,
    kind: &'static str,
    owner: String,
    sessions: u64,
    artifacts: u64,
    bytes: u64,
    marks: Vec<&'static str>,
    /// Whether every run visits it already.
    known: bool,
}

impl Sight<'_> {
    /// What could not be read, each with its path: what makes the exit code 1.
    #[must_use]
    pub fn unread(&self) -> Vec<(String, String)> {
        let mut errors = self.run.errors();
        errors.extend(self.errors.iter().cloned());
        if let Some((_, search)) = &self.search {
            errors.extend(
                search
                    .unreadable
                    .iter()
                    .map(|error| (text(&error.path), format!("cannot {} it: {}", error.doing, error.source))),
            );
        }
        errors
    }

    /// The report, numbers first.
    #[must_use]
    pub fn status(&self) -> Status {
        let run = &self.run;
        let error = |(path, error): (String, String)| Error::new(path, error);
        let tally = run.tally();
        Status {
            schema: "ccretain.status/1",
            now: time(run.plan.now),
            mode: run.policy.mode(),
            policy: PolicyJson::of(run.policy),
            stores: run.json_stores(),
            refused: run
                .refused
                .iter()
                .map(|refused| Error::new(text(&refused.path), refused.why.to_string()))
                .collect(),
            ages: self.ages(),
            due: self.due(tally),
            kept: self.kept(&tally),
            sweep: self.sweep.clone(),
            client: self.clients.iter().map(|(store, client)| self.client(*store, client)).collect(),
            last_run: self.last_run.clone(),
            schedules: self.schedules.clone(),
            refusals: run.refusals.to_vec(),
            complaints: self.complaints.clone(),
            errors: self.unread().into_iter().map(error).collect(),
            search: self.search.as_ref().map(|(dir, search)| SearchJson {
                dir: text(dir),
                folders: search.folders,
                found: search.found.iter().map(|found| self.found(found)).collect(),
                unreadable: search
                    .unreadable
                    .iter()
                    .map(|error| Error::new(text(&error.path), error.source.to_string()))
                    .collect(),
            }),
        }
    }

    fn found(&self, found: &crate::locate::search::Found) -> FoundJson {
        let stores = &self.run.inventory.stores;
        let owner = stores
            .iter()
            .find(|view| view.store.owner == found.owner)
            .map_or_else(|| found.owner.to_string(), |view| view.store.owner_name.clone());
        FoundJson {
            root: text(&found.root),
            kind: root_word(found.kind),
            owner,
            sessions: found.sessions,
            artifacts: found.files,
            bytes: found.bytes,
            marks: found.marks.clone(),
            known: stores.iter().any(|view| view.store.root == found.root && view.store.kind == found.kind),
        }
    }

    fn bytes(&self, session: &Session) -> u64 {
        session.artifacts.iter().map(|index| self.run.inventory.artifact(*index).stamp.size).sum()
    }

    fn ages(&self) -> Vec<Age> {
        const BOUNDS: [(&str, i64, Option<i64>); 5] = [
            ("under a day ago", 0, Some(1)),
            ("1 to 7 days ago", 1, Some(7)),
            ("7 to 30 days ago", 7, Some(30)),
            ("30 to 90 days ago", 30, Some(90)),
            ("over 90 days ago", 90, None),
        ];
        let mut ages: Vec<Age> = BOUNDS
            .into_iter()
            .map(|(label, from_days, to_days)| Age { label, from_days, to_days, sessions: 0, bytes: 0 })
            .collect();
        let mut undated = Age { label: "undated", from_days: 0, to_days: None, sessions: 0, bytes: 0 };
        for (session, verdict) in self.run.inventory.sessions.iter().zip(&self.run.plan.sessions) {
            let days = verdict.date.map(|date| self.run.plan.now.signed_duration_since(date).num_days());
            let age = match days {
                Some(days) => ages.iter_mut().find(|age| age.to_days.is_none_or(|to| days < to)),
                None => None,
            };
            let age = age.unwrap_or(&mut undated);
            age.sessions += 1;
            age.bytes += self.bytes(session);
        }
        ages.extend((undated.sessions > 0).then_some(undated));
        ages
    }

    fn due(&self, tally: Tally) -> Due {
        let now = self.run.plan.now;
        let mut due =
            Due { now: tally, overdue: 0, sessions: Vec::new(), next7_days: Vec::new(), next: None };
        let mut next: Option<DateTime<Utc>> = None;
        for (at, verdict) in self.run.plan.sessions.iter().enumerate() {
            let later = match verdict.decision {
                Decision::Keep(Keep::NotDue(due, rule)) => Some((due, rule)),
                Decision::Keep(Keep::KeepAtLeast(end)) => verdict.deletion.map(|(_, rule)| (end, rule)),
                _ => None,
            };
            if let Some(done) = verdict.decision.due() {
                let item = self.item(at, verdict.decision, done.since(), done.rule());
                due.overdue += u64::from(item.overdue);
                due.sessions.push(item);
            } else if let Some((when, rule)) = later {
                if when.signed_duration_since(now) <= AHEAD {
                    due.next7_days.push(self.item(at, verdict.decision, when, rule));
                } else {
                    next = Some(next.map_or(when, |known| known.min(when)));
                }
            }
        }
        due.sessions.sort_by(|a, b| (a.at, &a.session).cmp(&(b.at, &b.session)));
        due.next7_days.sort_by(|a, b| (a.at, &a.session).cmp(&(b.at, &b.session)));
        due.next = next.map(time);
        due
    }

    fn item(&self, at: usize, decision: Decision, due: DateTime<Utc>, rule: crate::policy::RuleRef) -> Item {
        let session = self.run.inventory.session(SessionIndex::of(at));
        let layer = self.run.policy.rule(rule).map(|(layer, _)| layer.source.layer.to_string());
        Item {
            due: time(due),
            at: due,
            session: session.id.to_string(),
            store: session.store.at(),
            project: session.project.as_deref().map(text),
            files: session.artifacts.len() as u64,
            bytes: self.bytes(session),
            decision: decision.word(),
            rule: text(&self.run.policy.rule_name(rule)),
            layer,
            reason: match decision {
                Decision::Keep(keep) => Some(keep.reason()),
                _ => None,
            },
            overdue: self.run.plan.now.signed_duration_since(due) > OVERDUE,
        }
    }

    fn kept(&self, tally: &Tally) -> Kept {
        let mut kept = Kept {
            desktop: tally.desktop,
            dates_differ: tally.dates_differ,
            undated_lines: tally.undated_lines,
            unrecognised: tally.unrecognised,
            unrecognised_bytes: tally.unrecognised_bytes,
            ..Kept::default()
        };
        for (session, verdict) in self.run.inventory.sessions.iter().zip(&self.run.plan.sessions) {
            kept.sealed += u64::from(session.sealed > 0);
            kept.sealed_plain += if session.sealed > 0 { u64::from(session.plain) } else { 0 };
            kept.no_delete_rule += u64::from(!has_delete_rule(self.run.policy, session));
            let Decision::Keep(keep) = verdict.decision else { continue };
            kept.sessions += 1;
            match keep {
                Keep::Held(_) => kept.held += 1,
                Keep::Live => kept.live += 1,
                Keep::Quiet => kept.quiet += 1,
                Keep::KeepAtLeast(_) => kept.keep_at_least += 1,
                Keep::Undated => kept.undated += 1,
                Keep::FutureDated => kept.future_dated += 1,
                Keep::OwnerUnknown => kept.owner_unknown += 1,
                _ => {}
            }
        }
        kept
    }

    fn client(&self, store: usize, client: &ClientSettings) -> Client {
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
        // at; so it is worked out once, and not for every session.
        let period = |is_desktop| {
            let removal = client.removal(DateTime::UNIX_EPOCH, None, is_desktop)?;
            i64::try_from(removal.days).ok()
        };
        let (usual, desktop) = (period(false), period(true));
        for (session, verdict) in self.run.inventory.sessions.iter().zip(&self.run.plan.sessions) {
            // The sweep knows transcripts; what is sealed or orphaned it does not see as a session.
            if session.store.at() != store || session.evidence != Evidence::Transcript {
                continue;
            }
            let Some(modified) = session.modified else { continue };
            let days = if session.is_desktop { desktop } else { usual };
            let Some(at) = days.and_then(|days| modified.checked_add_signed(TimeDelta::try_days(days)?))
            else {
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

/// Items by day and project, for people.
fn by_project(items: &[Item]) -> BTreeMap<(&str, Option<&str>, &str), Vec<&Item>> {
    let mut groups: BTreeMap<(&str, Option<&str>, &str), Vec<&Item>> = BTreeMap::new();
    for item in items {
        groups.entry((item.decision, item.project.as_deref(), &item.rule)).or_default().push(item);
    }
    groups
}
