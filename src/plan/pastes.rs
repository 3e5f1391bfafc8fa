//! Pastes and plans: what the lines or sessions that refer to one say of it together.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::judge::Judge;
use super::references::Known;
use super::rules::Subject;
use super::{Action, Decision, Keep};
use crate::catalogue::Kind;
use crate::inventory::lines::Line;
use crate::inventory::{Artifact, Session, StoreIndex};
use crate::policy::RuleRef;

/// What decides over a paste: one of the lines that refer to it.
#[derive(Clone, Copy)]
pub(super) struct Term<'l> {
    /// The first line that keeps it; where none does, that of the latest due date.
    pub(super) line: &'l Line,
    /// The date of that line: its session's, if that has one.
    pub(super) date: Result<DateTime<Utc>, Keep>,
    /// When and by which rule it is due, or why it stays.
    pub(super) due: Result<(DateTime<Utc>, RuleRef), Keep>,
    /// The latest date of the lines, which counts for `keepAtLeast`.
    pub(super) newest: Option<DateTime<Utc>>,
}

impl<'i> Judge<'i> {
    /// The lines that refer to a paste, or the sessions of a plan; none where nothing refers to it, and it is nobody's.
    pub(super) fn owners(&self, artifact: &Artifact) -> Result<Cow<'i, [&'i Line]>, Keep> {
        // An owner that is not known may be held, or not due.
        if self.references.are_incomplete(self.inventory, artifact) {
            return Err(Keep::OwnerUnknown);
        }
        Ok(self.referring(artifact).unwrap_or_default())
    }

    /// A paste or a plan: held if any line or session that refers to it is, due at the latest of their due dates.
    pub(super) fn paste(&self, artifact: &Artifact, kind: Kind) -> Decision {
        let owners = match self.owners(artifact) {
            Ok(owners) => owners,
            Err(keep) => return Decision::Keep(keep),
        };
        let stays = |line: &Line, known: Option<Known<'_>>| self.line_stays(line, kind, known);
        let Some(term) = self.term(&owners, kind, self.inventory.store_of(artifact), stays) else {
            return self.loose(artifact, kind);
        };
        match (term.due, term.newest) {
            (Err(keep), _) => Decision::Keep(keep),
            (Ok(_), _) if self.is_quiet(artifact.modified()) => Decision::Keep(Keep::Quiet),
            (Ok(due), Some(newest)) => self.timely(newest, Some(due)),
            (Ok(_), None) => Decision::Keep(Keep::Undated),
        }
    }

    /// What the owner of a paste is judged by, and when it is due: a session, or a line alone.
    pub(super) fn of_owner<'l>(
        &self,
        line: &'l Line,
        session: Option<&'l Session>,
        date: DateTime<Utc>,
    ) -> (Subject<'l>, Option<(DateTime<Utc>, RuleRef)>) {
        // With the last of them a paste goes at the latest.
        match session {
            Some(session) => self.latest(session, Kind::Transcript, date, Action::Delete),
            None => self.of_line(line, Kind::History, None, date),
        }
    }

    /// Which of the lines that refer to a paste decides; `None` where there are none. A line that
    /// `stays` keeps it whatever its age.
    pub(super) fn term<'l>(
        &self,
        owners: &[&'l Line],
        kind: Kind,
        store: StoreIndex,
        stays: impl Fn(&Line, Option<Known<'_>>) -> Option<Keep>,
    ) -> Option<Term<'l>> {
        let mut latest: Option<Term<'l>> = None;
        for line in owners {
            let known = self.known_to(line, store);
            let session = known.map(|known| known.session);
            let date = match (session, line.date) {
                (Some(session), _) => self.date(session),
                _ if line.session.is_some_and(|id| self.may_be_out_of_sight(id)) => Err(Keep::OwnerUnknown),
                (None, None) => Err(Keep::Undated),
                (None, Some(date)) if date > self.now => Err(Keep::FutureDated),
                (None, Some(date)) => Ok(date),
            };
            let due = match stays(line, known) {
                Some(keep) => Err(keep),
                None => date.and_then(|date| {
                    let own = self.of_line(line, kind, session, date).1;
                    let with_owner = self.of_owner(line, session, date).1;
                    own.into_iter().chain(with_owner).min_by_key(|(due, _)| *due).ok_or(Keep::NoRule)
                }),
            };
            let newest = latest.and_then(|known| known.newest).max(date.ok());
            let term = Term { line, date, due, newest };
            let Ok((at, _)) = due else { return Some(term) };
            latest = match latest {
                Some(known) if known.due.is_ok_and(|(latest, _)| at <= latest) => {
                    Some(Term { newest, ..known })
                }
                _ => Some(term),
            };
        }
        latest
    }
}
