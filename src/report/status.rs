//! The state of affairs: stores, sessions by age, what falls due and when, what stays and why.

mod client;
mod search;
mod sessions;
mod text;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use client::Client;
use search::SearchJson;
use sessions::{Age, Due, Kept};

use super::Run;
use super::json::{Error, Policy as PolicyJson, Store, time};
use crate::check::facts::CameBack;
use crate::check::untried::Untried;
use crate::client::{ClientSettings, Sweep};
use crate::escape::text;
use crate::exposure::Evidence;
use crate::locate::search::Search;
use crate::policy::Mode;

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
    /// Clients that the catalogue was not tried with.
    pub untried: Untried,
    /// What settings of Claude Code put where nothing is looked for: the path, and what it is.
    pub moved: Vec<Evidence>,
    /// Folders that the policy leaves out and that are none.
    pub left_out_in_vain: BTreeSet<PathBuf>,
    /// What lies there again although it was deleted.
    pub came_back: Vec<CameBack>,
    /// Preservation copies of holds that there are none of: a sentence a hold, and how many.
    pub left_copies: (Vec<String>, u64),
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

/// A session that was deleted and is there again, or a copy of it under another name.
#[derive(Debug, Clone, Serialize)]
pub struct Returned {
    store: String,
    session: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    copy: Option<String>,
    deleted: String,
}

impl Returned {
    fn of(back: &CameBack) -> Self {
        Self {
            store: back.store.clone(),
            session: back.session.to_string(),
            copy: back.copy.clone(),
            deleted: time(back.deletion.time),
        }
    }
}

/// A place where content lies that nothing is done about.
#[derive(Debug, Clone, Serialize)]
pub struct NotCovered {
    path: String,
    what: String,
}

impl NotCovered {
    fn of(moved: &Evidence) -> Self {
        Self { path: moved.path.as_deref().map(text).unwrap_or_default(), what: text(&moved.note) }
    }
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
    /// What is said of a session that was touched within the quiet period.
    #[serde(skip)]
    quiet: String,
    /// What the sweep of a client started in the default place goes by.
    sweep: Sweep,
    client: Vec<Client>,
    /// Versions of Claude Code that wrote here and that the catalogue was not tried with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    untried: Vec<String>,
    /// What settings of Claude Code put where nothing is looked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_covered: Vec<NotCovered>,
    /// Folders of `stores.exclude` in which nothing of Claude Code's is or was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excludes_nothing: Vec<String>,
    last_run: Option<LastRun>,
    schedules: Option<Vec<Schedule>>,
    /// What a guard would refuse now.
    refusals: Vec<String>,
    /// Sessions that were deleted and are there again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    came_back: Vec<Returned>,
    /// Preservation copies of holds that do not exist, which no run removes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    copies_left: Vec<String>,
    complaints: Vec<String>,
    errors: Vec<Error>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<SearchJson>,
}

impl Sight<'_> {
    /// What could not be read, each with its path: what makes the exit code 1.
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
            quiet: run.policy.active_within(),
            sweep: self.sweep.clone(),
            client: self.clients.iter().map(|(store, client)| self.client(*store, client)).collect(),
            untried: self.untried.versions.iter().map(|(version, _)| version.to_string()).collect(),
            not_covered: self.moved.iter().map(NotCovered::of).collect(),
            excludes_nothing: self.left_out_in_vain.iter().map(text).collect(),
            last_run: self.last_run.clone(),
            schedules: self.schedules.clone(),
            refusals: run.refusals.to_vec(),
            came_back: self.came_back.iter().map(Returned::of).collect(),
            copies_left: self.left_copies.0.clone(),
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
}
