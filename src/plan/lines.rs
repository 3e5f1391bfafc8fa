//! Lines: what becomes of each line of a line file.

use super::judge::{Judge, Subject};
use super::{Decision, Keep, Verdict};
use crate::catalogue::Kind;
use crate::inventory::lines::{Format, Line, LineFile};
use crate::inventory::{Session, StoreIndex};
use crate::policy::HoldRef;

impl Judge<'_> {
    /// The holds in force that cover a line, or the session it names.
    pub(super) fn holds_of_line(
        &self,
        line: &Line,
        kind: Kind,
        session: Option<&Session>,
    ) -> impl Iterator<Item = HoldRef> {
        let projects = line.project.iter().map(|project| &**project);
        let own = self.holds(kind, projects, line.project.is_none(), line.session);
        own.chain(session.into_iter().flat_map(|session| self.holds_of(session, Kind::Transcript)))
    }

    /// Why a line stays whatever its age: a hold on it, or its session's hold or life.
    pub(super) fn line_stays(&self, line: &Line, kind: Kind, session: Option<&Session>) -> Option<Keep> {
        if let Some(held) = self.holds_of_line(line, kind, session).next() {
            return Some(Keep::Held(held));
        }
        let session = session?;
        if session.liveness.is_live() {
            return Some(Keep::Live);
        }
        self.is_session_quiet(session).then_some(Keep::Quiet)
    }

    pub(super) fn line(
        &self,
        file: &LineFile,
        store: StoreIndex,
        line: &Line,
        verdicts: &[Verdict],
    ) -> Decision {
        let session = self.session_of(line, store);
        if self.is_out_of_scope(store) {
            return Decision::Keep(Keep::OutOfScope);
        }
        if self.may_be_of_a_store_out_of_reach(store) {
            return Decision::Keep(Keep::OutOfReach);
        }
        let is_index = file.content.format == Format::Entries;
        let kind = if is_index { Kind::SessionsIndex } else { Kind::History };
        if let Some(keep) = self.line_stays(line, kind, session.map(|at| &self.inventory.sessions[at])) {
            return Decision::Keep(keep);
        }
        let whole = session.and_then(|at| verdicts.get(at));
        match whole.map(|verdict| verdict.decision) {
            Some(Decision::Delete(due)) => return Decision::Delete(due),
            // An entry of an index stays as long as its session does.
            Some(decision) if is_index => {
                return Decision::Keep(match decision {
                    Decision::Keep(keep) => keep,
                    _ => Keep::NoRule,
                });
            }
            None if is_index && (line.session.is_none() || !self.inventory.is_complete) => {
                return Decision::Keep(Keep::OwnerUnknown);
            }
            _ => {}
        }
        match line.date {
            None => Decision::Keep(Keep::Undated),
            Some(date) if date > self.now => Decision::Keep(Keep::FutureDated),
            Some(date) => {
                let subject = Subject { kind, project: line.project.as_deref(), session: line.session };
                let own = self.timely(date, self.earliest(&subject, date, |rule| rule.delete_after.as_ref()));
                let of_session = whole.and_then(|verdict| match verdict.decision {
                    Decision::Keep(Keep::NotDue(..)) | Decision::Seal(_) => verdict.deletion,
                    Decision::Keep(Keep::KeepAtLeast(end)) => verdict.deletion.map(|(_, rule)| (end, rule)),
                    _ => None,
                });
                match (own, of_session) {
                    // It goes with its session, if that goes sooner.
                    (Decision::Keep(Keep::NotDue(..) | Keep::NoRule), Some((due, rule)))
                        if due > self.now =>
                    {
                        own.stronger(Decision::Keep(Keep::NotDue(due, rule)))
                    }
                    _ => own,
                }
            }
        }
    }
}
