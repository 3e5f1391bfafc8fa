//! Logs: by their own date, and no longer than the sessions that their records name.

use chrono::{DateTime, Utc};

use super::artifacts::may_be_anyones;
use super::judge::Judge;
use super::rules::Subject;
use super::{Action, Decision, Keep};
use crate::catalogue::Kind;
use crate::inventory::{Artifact, LiveClient, Log, Session};
use crate::policy::{HoldRef, RuleRef};

impl<'i> Judge<'i> {
    /// A log: held if a session that it names is, kept while one uses it, and gone with the last of them at the latest.
    pub(super) fn log(&self, artifact: &Artifact, kind: Kind) -> Decision {
        let Some(log) = self.inventory.logs.get(&artifact.key()) else { return self.loose(artifact, kind) };
        if let Some(held) = self.holds_of_log(artifact, log, kind).next() {
            return Decision::Keep(Keep::Held(held));
        }
        if let Some(keep) = self.log_stays(artifact, log) {
            return Decision::Keep(keep);
        }
        let date = match self.date_of_log(artifact, log) {
            Err(keep) => return Decision::Keep(keep),
            _ if self.is_quiet(artifact.modified()) => return Decision::Keep(Keep::Quiet),
            Ok(date) => date,
        };
        match self.term_of_log(artifact, log, kind, date) {
            Some(Term { newest, due }) => self.timely(newest, Some(due)),
            None => Decision::Keep(Keep::NoRule),
        }
    }

    /// The sooner of its own term and that of the last session it names, floors counted.
    pub(super) fn term_of_log(
        &self,
        artifact: &Artifact,
        log: &Log,
        kind: Kind,
        date: DateTime<Utc>,
    ) -> Option<Term> {
        let subject = self.subject_of_log(artifact, kind);
        let own = self.earliest(&subject, date, Action::Delete);
        let own = own.map(|due| Term { newest: date, due });
        // A floor under it counts from the newest of what it goes with.
        let last = self.last_owner(artifact, log);
        let last = last.map(|last| Term { newest: last.newest.max(date), ..last });
        own.into_iter()
            .chain(last)
            .min_by_key(|term| (self.floor_end(term.newest).max(Some(term.due.0)), term.due.0))
    }

    /// The date of a log: that of its last record, else when it was modified.
    pub(super) fn date_of_log(&self, artifact: &Artifact, log: &Log) -> Result<DateTime<Utc>, Keep> {
        match log.newest.or_else(|| self.inventory.dated(artifact)) {
            None => Err(Keep::Undated),
            Some(date) if date > self.now => Err(Keep::FutureDated),
            Some(date) => Ok(date),
        }
    }

    pub(super) fn subject_of_log<'s>(&'s self, artifact: &Artifact, kind: Kind) -> Subject<'s> {
        Subject {
            kind,
            project: self.inventory.project_named(artifact),
            session: None,
            is_desktop_deleted: false,
        }
    }

    /// The sessions that a log names, as far as they are known.
    pub(super) fn named(&self, artifact: &Artifact) -> impl Iterator<Item = &'i Session> {
        let store = self.inventory.store_of(artifact);
        let lines = self.references.named.get(&artifact.key()).into_iter().flatten();
        lines.filter_map(move |line| self.known_to(line, store).map(|known| known.session))
    }

    /// The holds in force that cover a log.
    pub(super) fn holds_of_log(
        &self,
        artifact: &Artifact,
        log: &Log,
        kind: Kind,
    ) -> impl Iterator<Item = HoldRef> {
        // One of which not all was read may be any session's.
        let projects = log.projects.iter().map(|project| &**project);
        let unknown = log.projects.is_empty() && may_be_anyones(artifact, kind);
        let own = self.holds(kind, projects.clone(), unknown, None);
        let by_id = log
            .sessions
            .iter()
            .flat_map(move |id| self.holds(kind, projects.clone(), self.may_be_out_of_sight(*id), Some(*id)));
        let of_sessions = self.named(artifact).flat_map(|session| self.holds_of(session, Kind::Transcript));
        let any = (!log.is_whole).then(|| self.holds_in_force());
        own.chain(by_id).chain(of_sessions).chain(any.into_iter().flatten())
    }

    /// Why a log stays whatever its age: a session that it names has it open, or is not known here.
    fn log_stays(&self, artifact: &Artifact, log: &Log) -> Option<Keep> {
        let written = artifact.modified().max(log.newest);
        // A log that was last written before a client began is none of what it writes.
        let is_since = |started: Option<DateTime<Utc>>| {
            started.zip(written).is_none_or(|(started, written)| written >= started)
        };
        let clients = || {
            let all = self.inventory.stores.iter().flat_map(|view| &view.live);
            all.filter(|client| client.is_checked || !self.mandate.is_managed)
        };
        // Of what was not read, any client may have been meant.
        let is_named =
            |client: &LiveClient| !log.is_whole || log.sessions.iter().any(|id| client.may_have(*id));
        if clients().any(|client| is_named(client) && is_since(client.started)) {
            return Some(Keep::Live);
        }
        self.named(artifact).find_map(|session| {
            let own = || clients().filter(|client| client.may_have(session.id));
            if self.is_of_excluded(session) {
                return Some(Keep::OwnerUnknown);
            }
            if self.is_live(session) && is_since(own().filter_map(|client| client.started).min()) {
                return Some(Keep::Live);
            }
            self.is_session_quiet(session).then_some(Keep::Quiet)
        })
    }

    /// The last of the sessions that a log names; `None` where one of them never goes, or nobody knows when.
    pub(super) fn last_owner(&self, artifact: &Artifact, log: &Log) -> Option<Term> {
        let mut last: Option<Term> = None;
        let mut known = 0;
        for session in self.named(artifact) {
            known += 1;
            let date = self.date(session).ok()?;
            let due = self.deletion(session, Kind::Transcript, date)?;
            last = Some(match last {
                Some(Term { newest, due: latest }) => {
                    Term { newest: newest.max(date), due: if due.0 > latest.0 { due } else { latest } }
                }
                None => Term { newest: date, due },
            });
        }
        // A session that is not known here may be of another store, and live on.
        last.filter(|_| log.is_whole && known == log.sessions.len())
    }
}

/// By what a log goes: its own date, or the sessions that it names together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    /// The newest of the dates, from which floors count.
    pub(super) newest: DateTime<Utc>,
    /// When it is due, the last of several, and by which rule.
    pub(super) due: (DateTime<Utc>, RuleRef),
}
