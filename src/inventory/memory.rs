//! What earlier runs saw of sessions, which the disk may no longer show: a run that removes part of a
//! session also removes what dated it or told its project, and a volume may not be mounted today.
//!
//! Decisions must not change by their own doing, so the next run is given what this one knew.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::lines::Line;
use super::liveness::Liveness;
use super::sealing::KnownSealing;
use super::transcript::Projects;
use super::{Evidence, Inventory, Session, StoreIndex};
use crate::catalogue::{SessionId, Slug, SlugKey};
use crate::escape::text;

/// What is remembered of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Sessions, by id and root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<RememberedSession>,
    /// The key of the slugs of sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug_key: Option<SlugKey>,
    /// History lines that are gone and referred to a paste that is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<RememberedLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RememberedSession {
    pub session: Option<SessionId>,
    /// The root of its store, as [`text`] writes it.
    pub root: String,
    /// Whether a transcript or a sealed copy of it was seen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shown: bool,
    /// Whether a transcript of it, plain or sealed, was seen in this root.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub transcript: bool,
    /// The newest record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<DateTime<Utc>>,
    /// The newest modification time of a file of which the newest record may be lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damaged: Option<DateTime<Utc>>,
    /// The newest modification time of its transcripts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<DateTime<Utc>>,
    /// The newest modification time of its files, where no transcript was found and a run removed some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<DateTime<Utc>>,
    /// The newest modification time of any of its files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub touched: Option<DateTime<Utc>>,
    /// The first such time that was still to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub touched_ahead: Option<DateTime<Utc>>,
    /// The projects that rules may go by; several where copies are equally new.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Whether rules may go by a project that nobody read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub project_in_doubt: bool,
    /// Whether holds may mean one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lacks_projects: bool,
    /// The slugs that its records name, as keyed hashes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slugs: Vec<Slug>,
    /// Which states of its transcripts those are from, a digest each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slugs_of: Vec<u64>,
    /// Every project found, where that is more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// The projects that rules went by before, where these have changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<String>,
    /// What was known when it was sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealing: Option<KnownSealing>,
}

/// A history line that is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RememberedLine {
    /// The root of its store, as [`text`] writes it.
    pub root: String,
    /// The hash of the paste it referred to.
    pub paste: String,
    /// When it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<DateTime<Utc>>,
    /// The project it named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The session it named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

/// What dated the transcript of a session that is not found now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// The root it lay in.
    pub root: String,
    /// Its newest record.
    pub record: Option<DateTime<Utc>>,
    /// Its modification time.
    pub modified: Option<DateTime<Utc>>,
}

/// What is remembered and was not found at all.
#[derive(Debug, Default)]
pub struct Absent {
    /// Sessions, of which lines may still be there, each with the root it was of.
    pub sessions: Vec<(Session, String)>,
    /// Sessions that this look could not learn anything of.
    pub unplaced: Vec<RememberedSession>,
    /// Lines, with the store and the hash of the paste.
    pub lines: Vec<(StoreIndex, Box<str>, Line)>,
    /// Lines of stores that were not located.
    pub elsewhere: Vec<RememberedLine>,
    /// Whether what is remembered is the word of a user, which delays no managed rule for long.
    pub is_users_word: bool,
}

impl Inventory {
    /// Adds what earlier runs saw to what was found.
    pub fn recall(&mut self, memory: &Memory, is_users_word: bool) {
        // Dates later than this inventory say nothing: they were written by a clock that was wrong.
        self.absent.is_users_word = is_users_word;
        self.slug_key = memory.slug_key.clone();
        let mut rows: HashMap<SessionId, Vec<(&RememberedSession, bool)>> = HashMap::new();
        for row in &memory.sessions {
            if let Some(id) = row.session {
                rows.entry(id).or_default().push((row, false));
            }
        }
        for session in &mut self.sessions {
            let is_conversation = session.is_conversation();
            let Some(rows) = rows.get_mut(&session.id) else { continue };
            let root = text(&self.stores[session.store.at()].store.root);
            let mut known = session.clone();
            // Two stores may hold transcripts of one id, which are two sessions.
            let own = |row: &RememberedSession| !session.is_shown() || row.root == root;
            for (row, is_used) in rows.iter_mut().filter(|(row, _)| own(row)) {
                known.recall(row, is_conversation, self.taken);
                *is_used = true;
            }
            // Kept beside, so that a managed rule can go by what was found.
            if is_users_word && known.differs(session) {
                known.found = Some(Box::new(session.clone()));
            }
            *session = known;
        }
        let mut left: Vec<&RememberedSession> =
            rows.into_values().flatten().filter(|(_, is_used)| !is_used).map(|(row, _)| row).collect();
        left.sort_unstable();
        let evidence = if self.is_complete { Evidence::Orphaned } else { Evidence::Unknown };
        for row in left {
            let Some(id) = row.session else { continue };
            // One of which neither a transcript nor a date is known decides nothing; where something could not be
            // looked into, its files may come back and want their project.
            if !row.shown && row.files.is_none() {
                self.absent.unplaced.extend((!self.is_complete).then(|| row.clone()));
                continue;
            }
            let any_store = || (0..self.stores.len()).map(StoreIndex::of).next();
            let Some(store) = self.store_at(&row.root).or_else(any_store) else {
                // Where there is no store there is no line that it could date.
                self.absent.unplaced.push(row.clone());
                continue;
            };
            let mut session = Session { evidence, ..Session::new(store, id) };
            session.recall(row, false, self.taken);
            self.absent.sessions.push((session, row.root.clone()));
        }
        for line in &memory.lines {
            let Some(store) = self.store_at(&line.root) else {
                self.absent.elsewhere.push(line.clone());
                continue;
            };
            let recalled = Line {
                date: line.date,
                project: line.project.as_deref().map(Arc::from),
                session: line.session,
                ..Line::default()
            };
            self.absent.lines.push((store, line.paste.as_str().into(), recalled));
        }
    }

    /// The store of a root, as [`text`] writes it.
    pub fn store_at(&self, root: &str) -> Option<StoreIndex> {
        self.stores.iter().position(|view| text(&view.store.root) == root).map(StoreIndex::of)
    }

    /// What a later run must know of a session.
    pub fn remembered(&self, session: &Session) -> RememberedSession {
        let root = session.before.as_ref().map(|before| before.root.clone());
        session.remembered(root.unwrap_or_else(|| text(&self.store(session.store).store.root)))
    }
}

impl Session {
    /// A session of which nothing is known.
    pub(super) fn new(store: StoreIndex, id: SessionId) -> Self {
        Self {
            id,
            store,
            evidence: Evidence::Unknown,
            project: None,
            rivals: Projects::default(),
            project_in_doubt: false,
            is_told: false,
            projects: Projects::default(),
            lacks_projects: false,
            slugs: Box::default(),
            slugs_of: Box::default(),
            newest_record: None,
            stranger: None,
            later: Default::default(),
            modified: None,
            damaged: None,
            first_seen: None,
            touched: None,
            touched_ahead: None,
            before: None,
            files_before: None,
            found: None,
            liveness: Liveness::Dead,
            checked: Liveness::Dead,
            is_desktop: false,
            is_desktop_deleted: false,
            released: None,
            is_unreadable: false,
            is_foreign: false,
            has_record: false,
            has_transcript: false,
            sealing: None,
            earlier: Projects::default(),
            talks: false,
            plain: 0,
            unsealable: 0,
            sealed: 0,
            unsealed: None,
            files: 0..0,
            unrecognised: 0,
            untried: None,
        }
    }

    fn differs(&self, other: &Self) -> bool {
        let dates = |of: &Self| (of.newest_record, of.damaged, of.modified, of.touched, of.touched_ahead);
        dates(self) != dates(other)
            || self.before != other.before
            || self.project != other.project
            || self.rivals != other.rivals
            || (self.project_in_doubt, self.lacks_projects) != (other.project_in_doubt, other.lacks_projects)
            || self.projects != other.projects
    }

    fn recall(&mut self, row: &RememberedSession, is_conversation: bool, now: DateTime<Utc>) {
        let past = |date: Option<DateTime<Utc>>| date.filter(|date| *date <= now);
        self.learn_slugs(&row.slugs);
        self.slugs_of = self.slugs_of.iter().chain(&row.slugs_of).copied().collect();
        self.has_transcript |= row.transcript;
        self.touched = self.touched.max(past(row.touched)).max(past(row.touched_ahead));
        let ahead = row.touched_ahead.filter(|ahead| *ahead > now);
        self.touched_ahead = self.touched_ahead.into_iter().chain(ahead).min();
        if self.is_shown() {
            // No run removes a transcript and leaves the session, so only what subagents said can be
            // missing. A modification time may have been set back for a reason.
            self.newest_record = self.newest_record.max(past(row.record));
            self.damaged = self.damaged.max(past(row.damaged));
            // The transcript may have gone when the rest was sealed.
            self.modified = self.modified.max(row.modified.filter(|_| !is_conversation));
        } else {
            self.files_before = self.files_before.max(past(row.files));
            self.modified = self.modified.max(self.files_before);
            if row.shown {
                let known = self.before.take();
                let (record, modified) = known.map_or((None, None), |known| (known.record, known.modified));
                self.before = Some(Box::new(Before {
                    root: row.root.clone(),
                    // A damaged end may have been the newest record.
                    record: record.max(past(row.record)).max(past(row.record.and(row.damaged))),
                    // One that is still to come keeps it undated, as it did the transcript.
                    modified: modified.max(row.modified).max(past(row.damaged)),
                }));
            }
        }
        let rules: Vec<Arc<str>> = row.rules.iter().map(|project| Arc::from(project.as_str())).collect();
        if !self.is_told && !rules.is_empty() {
            self.project = None;
            self.rivals = Projects::default();
            self.may_be_of(rules.iter());
        }
        if !self.is_told {
            self.project_in_doubt |= row.project_in_doubt;
            self.lacks_projects |= row.lacks_projects;
        }
        let is_other = |project: &&Arc<str>| !self.rule_projects().any(|own| own == *project);
        let before = row.earlier.iter().map(|project| Arc::from(project.as_str()));
        let before: Vec<Arc<str>> = rules.iter().cloned().chain(before).collect();
        let mut earlier: Vec<Arc<str>> =
            self.earlier.iter().chain(&before).filter(is_other).cloned().collect();
        earlier.sort_unstable();
        earlier.dedup();
        self.earlier = earlier.into();
        if let Some(sealing) = &mut self.sealing {
            sealing.known = row.sealing.clone().map(|known| known.at(now));
        }
        let others = row.others.iter().map(|project| Arc::from(project.as_str()));
        self.learn_all(&rules.iter().cloned().chain(others).collect());
        self.sort_projects();
    }

    /// What a later run must know of this session of a root.
    pub fn remembered(&self, root: String) -> RememberedSession {
        let rules: Vec<String> = self.rule_projects().map(|project| project.to_string()).collect();
        let others = self.projects.iter().filter(|project| !rules.iter().any(|rule| **rule == ***project));
        let (record, modified, files) = match &self.before {
            _ if self.is_shown() => (self.newest_record, self.modified, None),
            Some(before) => (before.record, before.modified, self.files_before),
            None => (None, None, self.files_before),
        };
        RememberedSession {
            session: Some(self.id),
            root,
            shown: self.is_shown() || self.before.is_some(),
            transcript: self.has_transcript,
            record,
            damaged: self.damaged.filter(|_| self.is_shown()),
            modified,
            files,
            touched: self.touched,
            touched_ahead: self.touched_ahead,
            project_in_doubt: self.project_in_doubt,
            lacks_projects: self.lacks_projects,
            slugs: self.slugs.to_vec(),
            slugs_of: self.slugs_of.to_vec(),
            others: others.map(|project| project.to_string()).collect(),
            earlier: self.earlier.iter().map(|project| project.to_string()).collect(),
            sealing: self.known_sealing(),
            rules,
        }
    }
}
