//! Lines and pastes: what becomes of each line of a line file, and of what lines refer to.

use chrono::{DateTime, Utc};

use super::judge::{Judge, Subject};
use super::{Decision, Keep, Verdict};
use crate::catalogue::Kind;
use crate::inventory::lines::{Format, Line, LineFile};
use crate::inventory::{Artifact, StoreIndex};
use crate::policy::RuleRef;

impl Judge<'_> {
    /// A paste: held if any line that refers to it is, due at the latest of their dates.
    pub(super) fn paste(&self, artifact: &Artifact, kind: Kind, verdicts: &[Verdict]) -> Decision {
        let store = self.inventory.store_of(artifact);
        if self.references.unknown.contains(&store) {
            return Decision::Keep(Keep::OwnerUnknown);
        }
        let Some(owners) = self.referring(artifact) else {
            return self.loose(artifact, kind);
        };
        let mut latest: Option<(DateTime<Utc>, DateTime<Utc>, RuleRef)> = None;
        for line in owners {
            if let Some(keep) = self.line_stays(line, kind, store) {
                return Decision::Keep(keep);
            }
            let of_session = self.session_of(line, store).and_then(|at| verdicts.get(at)?.date);
            let Some(date) = of_session.or(line.date) else { return Decision::Keep(Keep::Undated) };
            if date > self.now {
                return Decision::Keep(Keep::FutureDated);
            }
            let subject = Subject { kind, project: line.project.as_deref(), session: line.session };
            match self.earliest(&subject, date, |rule| rule.delete_after.as_ref()) {
                None => return Decision::Keep(Keep::NoRule),
                Some((due, rule)) if latest.is_none_or(|(known, ..)| due > known) => {
                    latest = Some((due, latest.map_or(date, |(_, known, _)| known.max(date)), rule));
                }
                Some((due, rule)) => {
                    latest = latest
                        .map(|(known, newest, by)| (known, newest.max(date), by))
                        .or(Some((due, date, rule)));
                }
            }
        }
        if self.is_quiet(artifact.stamp.modified.date()) {
            return Decision::Keep(Keep::Quiet);
        }
        latest.map_or(Decision::Keep(Keep::NoRule), |(due, date, rule)| self.timely(date, Some((due, rule))))
    }

    /// Why a line stays whatever its age: a hold on it, or its session's hold or life.
    fn line_stays(&self, line: &Line, kind: Kind, store: StoreIndex) -> Option<Keep> {
        let projects = line.project.iter().map(|project| &**project);
        if let Some(held) = self.held(kind, projects, line.project.is_none(), line.session) {
            return Some(held);
        }
        let session = &self.inventory.sessions[self.session_of(line, store)?];
        if let Some(held) = self.session_held(session, Kind::Transcript) {
            return Some(held);
        }
        if session.liveness.is_live() {
            return Some(Keep::Live);
        }
        (self.is_quiet(session.touched) || self.is_quiet(session.unsealed)).then_some(Keep::Quiet)
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
        let is_index = file.content.format == Format::Entries;
        let kind = if is_index { Kind::SessionsIndex } else { Kind::History };
        if let Some(keep) = self.line_stays(line, kind, store) {
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
            None if is_index && !self.inventory.is_complete => return Decision::Keep(Keep::OwnerUnknown),
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
