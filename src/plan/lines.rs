//! Lines: what becomes of each line of a line file.

use chrono::{DateTime, Utc};

use super::judge::Judge;
use super::references::Known;
use super::rules::Subject;
use super::{Action, Decision, Keep, Verdict};
use crate::catalogue::Kind;
use crate::inventory::lines::{Format, Line, LineFile};
use crate::inventory::{Session, StoreIndex};
use crate::policy::{HoldRef, RuleRef};

impl Judge<'_> {
    /// The holds in force that cover a line, or the session it names. A line that names no project is
    /// of its session's.
    pub(super) fn holds_of_line(
        &self,
        line: &Line,
        kind: Kind,
        session: Option<&Session>,
    ) -> impl Iterator<Item = HoldRef> {
        let own = self.own_holds_of_line(line, kind, session);
        own.chain(session.into_iter().flat_map(|session| self.holds_of(session, Kind::Transcript)))
    }

    /// The same without those that cover its session alone.
    fn own_holds_of_line(
        &self,
        line: &Line,
        kind: Kind,
        session: Option<&Session>,
    ) -> impl Iterator<Item = HoldRef> {
        let projects = line.project.iter().map(|project| &**project);
        // Of a line without a project any project may be meant, but for one whose session names some.
        let unknown = line.project.is_none()
            && session.is_none_or(|session| session.projects.is_empty() || session.lacks_projects)
            || line.session.is_some_and(|id| self.may_be_out_of_sight(id));
        self.holds(kind, projects, unknown, line.session)
    }

    /// Why a line stays whatever its age: a hold on it, or its session's hold or life.
    pub(super) fn line_stays(&self, line: &Line, kind: Kind, known: Option<Known<'_>>) -> Option<Keep> {
        let session = known.map(|known| known.session);
        let own = self.own_holds_of_line(line, kind, session).next();
        if let Some(held) = own.or_else(|| self.first_hold(known?)) {
            return Some(Keep::Held(held));
        }
        let session = session?;
        if self.is_of_excluded(session) {
            return Some(Keep::OwnerUnknown);
        }
        if self.is_live(session) {
            return Some(Keep::Live);
        }
        self.is_session_quiet(session).then_some(Keep::Quiet)
    }

    /// What something of a kind is judged by for a line that names it, and when it is due. A line that
    /// names no project is of its session's.
    pub(super) fn of_line<'l>(
        &self,
        line: &'l Line,
        kind: Kind,
        session: Option<&'l Session>,
        date: DateTime<Utc>,
    ) -> (Subject<'l>, Option<(DateTime<Utc>, RuleRef)>) {
        match (&line.project, session) {
            (None, Some(session)) => self.latest(session, kind, date, Action::Delete),
            (project, _) => {
                let is_desktop_deleted = session.is_some_and(|session| session.is_desktop_deleted);
                let project = project.as_deref();
                let subject = Subject { kind, project, session: line.session, is_desktop_deleted };
                let due = self.earliest(&subject, date, Action::Delete);
                (subject, due)
            }
        }
    }

    pub(super) fn line(
        &self,
        file: &LineFile,
        store: StoreIndex,
        line: &Line,
        verdicts: &[Verdict],
    ) -> Decision {
        if self.is_out_of_scope(store) {
            return Decision::Keep(Keep::OutOfScope);
        }
        if self.may_be_of_a_store_out_of_reach(store) {
            return Decision::Keep(Keep::OutOfReach);
        }
        let known = self.known_to(line, store);
        let session = known.map(|known| known.session);
        let is_index = file.content.format == Format::Entries;
        let kind = if is_index { Kind::SessionsIndex } else { Kind::History };
        if let Some(keep) = self.line_stays(line, kind, known) {
            return Decision::Keep(keep);
        }
        let whole = known.and_then(|known| verdicts.get(known.at));
        let with_session = whole.and_then(|verdict| self.with_session(verdict));
        match whole.map(|verdict| verdict.decision) {
            // An entry of an index stays as long as its session does.
            Some(decision) if is_index => {
                return match decision {
                    Decision::Keep(_) | Decision::Delete(_) => decision,
                    _ => with_session.unwrap_or(Decision::Keep(Keep::NoRule)),
                };
            }
            // An entry whose session was not found may be of a transcript on a volume that is not mounted.
            None if is_index && (line.session.is_none() || !self.inventory.is_complete) => {
                return Decision::Keep(Keep::OwnerUnknown);
            }
            _ => {}
        }
        // Prompts of a session that lives on go by their own time, so that a session of years keeps no old
        // ones.
        let own = match line.date {
            None => Decision::Keep(Keep::Undated),
            Some(date) if date > self.now => Decision::Keep(Keep::FutureDated),
            Some(date) => self.timely(date, self.of_line(line, kind, session, date).1),
        };
        match (own, with_session) {
            // By its own time or with its session, whichever is first.
            (Decision::Keep(Keep::Undated | Keep::FutureDated), Some(with_session)) => with_session,
            (Decision::Keep(Keep::KeepAtLeast(_)), Some(Decision::Keep(_))) | (_, None) => own,
            (own, Some(with_session)) => own.stronger(with_session),
        }
    }

    /// What becomes of a line by what becomes of its session; `None` where that says nothing.
    fn with_session(&self, verdict: &Verdict) -> Option<Decision> {
        let (due, rule) = match verdict.decision {
            Decision::Delete(_) => return Some(verdict.decision),
            Decision::Keep(Keep::NotDue(..) | Keep::Unsealable(_)) | Decision::Seal(_) => verdict.deletion?,
            Decision::Keep(Keep::KeepAtLeast(end)) => (end, verdict.deletion?.1),
            _ => return None,
        };
        (due > self.now).then_some(Decision::Keep(Keep::NotDue(due, rule)))
    }
}
