//! What becomes of the lines of line files, and of the members of the client's global file.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Cut, Doubt, Fate, Taking};
use crate::catalogue::{Class, Kind, SessionId};
use crate::inventory::lines::{Format, Line, LineFile};
use crate::inventory::members::{Member, Object, Place, merged};
use crate::inventory::{Inventory, StoreIndex};

/// What becomes of a file and its lines.
pub(super) struct Whole {
    /// By line.
    pub fates: Vec<Fate>,
    /// What is left out of it.
    pub cut: Cut,
    /// Whether it is not what it should be.
    pub is_damaged: bool,
}

/// Keys of the global file that are the account's.
const ACCOUNT: [&str; 3] = ["oauthAccount", "primaryApiKey", "customApiKeyResponses"];
/// Keys of the global file that the user has set, with secrets of servers, or that name projects.
const SET: [&str; 2] = ["mcpServers", "githubRepoPaths"];

/// Whether a key of a project in the global file tells of sessions: prompts of old clients, and
/// what the last session was and cost (keys of clients 1.0.128 to 2.1.330).
fn is_trace(key: &str) -> bool {
    key.starts_with("last") || is_of_work(key)
}

/// Prompts, the worktree of a session, and names of files the user was shown as examples.
fn is_of_work(key: &str) -> bool {
    matches!(key, "history" | "activeWorktreeSession") || key.starts_with("exampleFiles")
}

impl Taking<'_> {
    pub(super) fn file_of_lines(&self, file: &LineFile) -> Whole {
        let artifact = self.inventory.artifact(file.artifact);
        let store = self.inventory.store_of(artifact);
        let content = &file.content;
        let is_out = !self.inventory.store(store).store.in_scope;
        let kind = artifact.kind.unwrap_or(Kind::History);
        let fates: Vec<Fate> = content
            .lines
            .iter()
            .map(|line| if is_out { Fate::OUTSIDE } else { self.line(line, store, kind) })
            .collect();
        let goes = |at: usize| fates.get(at) == Some(&Fate::Goes);
        let mut ranges = content.cuts(goes);
        let mut count = fates.iter().filter(|fate| **fate == Fate::Goes).count() as u64;
        if !is_out {
            for object in &content.objects {
                let (of_object, members) = self.members(object);
                ranges.extend(of_object);
                count += members;
            }
        }
        let is_damaged = match content.format {
            Format::JsonLines => false,
            Format::Entries => !content.is_well_formed,
            Format::ProjectLists => content.objects.is_empty(),
        };
        Whole { fates, cut: Cut { ranges: merged(ranges), count }, is_damaged }
    }

    /// What goes of an object of the global file, and how many members beside the lists of prompts,
    /// of which the entries count.
    fn members(&self, object: &Object) -> (Vec<std::ops::Range<u64>>, u64) {
        let goes = |member: &Member| self.member_goes(object, member);
        let members = object.members.iter().filter(|member| goes(member) && &*member.key != "history");
        (object.cuts(goes), members.count() as u64)
    }

    pub(super) fn member_goes(&self, object: &Object, member: &Member) -> bool {
        let with = |class: Class| self.wanted.with.contains(&class);
        match &object.place {
            Place::Top if self.wanted.is_partial() => false,
            Place::Top => {
                with(Class::Credentials) && ACCOUNT.contains(&&*member.key)
                    || with(Class::Settings) && SET.contains(&&*member.key)
            }
            // Neither a project nor what is set for it has a date.
            Place::Projects => {
                let is_dated = self.wanted.before.is_some() || self.wanted.session.is_some();
                with(Class::Settings) && !is_dated && self.wanted.has_project(&member.key)
            }
            Place::Project(project) => {
                if !self.wanted.has_project(project) || !is_trace(&member.key) {
                    return false;
                }
                let goes = |id: SessionId| {
                    let known = self.references.sessions.get(&id);
                    known.is_some_and(|known| known.iter().any(|at| self.sessions[*at] == Fate::Goes))
                };
                if let Some(id) = self.wanted.session {
                    let is_last = || object.members.iter().any(|member| member.session == Some(id));
                    return member.session == Some(id) || !is_of_work(&member.key) && is_last();
                }
                self.wanted.before.is_none()
                    || !is_of_work(&member.key)
                        && object.members.iter().filter_map(|member| member.session).any(goes)
            }
        }
    }

    /// A line goes with its session, or by its own project and date.
    pub(super) fn line(&self, line: &Line, store: StoreIndex, kind: Kind) -> Fate {
        if !self.wanted.is_partial() {
            return Fate::Goes;
        }
        let session = self
            .judge
            .and_then(|judge| judge.session_of(line, store))
            .and_then(|at| self.sessions.get(at).copied());
        if session == Some(Fate::Goes) {
            return Fate::Goes;
        }
        if let Some(id) = self.wanted.session {
            return match line.session {
                Some(named) if named == id => Fate::Goes,
                Some(_) => Fate::OUTSIDE,
                None if self.nameless.as_ref().is_some_and(|nameless| nameless.may_be_its(line)) => {
                    Fate::Doubtful(Doubt::NoSession)
                }
                None => Fate::OUTSIDE,
            };
        }
        if kind == Kind::SessionsIndex && session.is_some() {
            return session.unwrap_or(Fate::OUTSIDE);
        }
        let project = match (line.project.as_deref(), self.wanted.projects.is_empty()) {
            (_, true) => Some(true),
            (Some(project), _) => Some(self.wanted.has_project(project)),
            // Then it is of the session's.
            (None, _) => match session {
                Some(Fate::Stays(_)) => Some(false),
                _ => None,
            },
        };
        if project == Some(false) {
            return Fate::OUTSIDE;
        }
        if let Some(before) = self.wanted.before {
            match line.date {
                None => return Fate::Doubtful(Doubt::Undated),
                Some(date) if date > self.now => return Fate::Doubtful(Doubt::FutureDated),
                Some(date) if date >= before => return Fate::OUTSIDE,
                Some(_) => {}
            }
        }
        if project == Some(true) { Fate::Goes } else { Fate::Doubtful(Doubt::NoProject) }
    }
}

/// A line is written before what it starts, and by another clock than a file's time.
const SLACK: TimeDelta = TimeDelta::days(1);

/// What tells whether a line that names no session may be of the one that is wanted: clients of its time wrote no id,
/// or the line is damaged.
pub(super) struct Nameless<'a> {
    /// Whether any line names it: then its client wrote ids.
    is_named: bool,
    projects: Vec<&'a str>,
    last: Option<DateTime<Utc>>,
}

impl<'a> Nameless<'a> {
    pub(super) fn of(inventory: &'a Inventory, wanted: Option<SessionId>) -> Option<Self> {
        let id = wanted?;
        let of_files = inventory.line_files.iter().filter(|file| file.content.format == Format::JsonLines);
        let is_named = of_files.flat_map(|file| &file.content.lines).any(|line| line.session == Some(id));
        let sessions = || inventory.sessions.iter().filter(|session| session.id == id);
        let projects = sessions().flat_map(|session| session.projects.iter().map(|project| &**project));
        let last = sessions().filter_map(|session| session.newest_record.max(session.touched)).max();
        Some(Self { is_named, projects: projects.collect(), last })
    }

    fn may_be_its(&self, line: &Line) -> bool {
        let Some(project) = line.project.as_deref() else {
            // A line that does not even name a project is damaged, and so may be anybody's.
            return line.date.is_none();
        };
        let is_later = line.date.zip(self.last).is_some_and(|(date, last)| date > last + SLACK);
        !self.is_named && !is_later && self.projects.contains(&project)
    }
}
