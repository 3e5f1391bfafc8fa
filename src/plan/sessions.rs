//! Sessions and what is part of them.

use chrono::{DateTime, Utc};

use super::judge::Judge;
use super::{Action, Decision, Due, Keep, Verdict};
use crate::catalogue::Kind;
use crate::inventory::{Artifact, Evidence, Session};
use crate::policy::{AgeBy, RuleRef};

impl Judge<'_> {
    /// The last activity of a session, by the clock of the mandate.
    pub(super) fn date(&self, session: &Session) -> Result<DateTime<Utc>, Keep> {
        if session.is_foreign {
            return Err(Keep::Foreign);
        }
        if session.is_unreadable {
            return Err(Keep::Undated);
        }
        let past = |date: Option<DateTime<Utc>>| date.filter(|date| *date <= self.now);
        // The record of what is sealed is the user's to write.
        let own = if self.mandate.is_managed { session.vouched() } else { session.clocks() };
        let (record, damaged) = (past(own.record), past(session.damaged));
        // A time ahead is no date, and it hides the true one: a clock that was wrong, or a hand.
        let by_file = match own.modified {
            Some(modified) if modified > self.now => Err(Keep::FutureDated),
            modified => Ok(modified),
        };
        let date = match (session.evidence, self.mandate.age_by.value) {
            (Evidence::Unknown, _) => return Err(Keep::OwnerUnknown),
            // Its transcript may lie in the store that looks empty.
            (Evidence::Orphaned, _) if session.before.is_none() && self.lacks_transcripts => {
                return Err(Keep::OwnerUnknown);
            }
            (Evidence::Orphaned, clock) => match &session.before {
                None => by_file?,
                // A transcript that is out of sight, on a volume that is not mounted say, still dates it.
                Some(before) => {
                    let modified = match before.modified {
                        Some(modified) if modified > self.now => Err(Keep::FutureDated),
                        modified => Ok(modified),
                    };
                    let date = match clock {
                        AgeBy::Record if before.record.is_some() => before.record,
                        AgeBy::Record => modified?,
                        AgeBy::Mtime => modified?.or(before.record),
                        AgeBy::Newest => modified?.max(before.record),
                    };
                    Some(date.ok_or(Keep::Undated)?.max(by_file?.unwrap_or(DateTime::<Utc>::MIN_UTC)))
                }
            },
            // A modification time that is no date leaves it to the records.
            (_, AgeBy::Mtime) => by_file?.or(record.max(damaged)),
            (_, AgeBy::Record) if record.is_some() => record.max(damaged),
            (_, AgeBy::Record) => by_file?.max(damaged),
            (_, AgeBy::Newest) => by_file?.max(record).max(damaged),
        };
        date.or(past(session.first_seen)).ok_or(Keep::Undated)
    }

    /// When a kind of file of a session is due for deletion by its own rules.
    pub(super) fn deletion(
        &self,
        session: &Session,
        kind: Kind,
        date: DateTime<Utc>,
    ) -> Option<(DateTime<Utc>, RuleRef)> {
        self.latest(session, kind, date, Action::Delete).1
    }

    pub(super) fn session(&self, session: &Session) -> Verdict {
        self.verdict(self.view(session))
    }

    /// A session with or without what is remembered of it, as this mandate has to see it.
    pub(super) fn view<'s>(&self, session: &'s Session) -> &'s Session {
        let Some(found) = session.found.as_deref() else { return session };
        let decision = self.verdict(session).decision;
        // What the user's own state remembers may protect, and for a day at most.
        let bound = self.within_a_day(decision, || self.verdict(found).decision);
        if bound == decision { session } else { found }
    }

    fn verdict(&self, session: &Session) -> Verdict {
        let date = self.date(session);
        let deletion = date.ok().and_then(|date| self.deletion(session, Kind::Transcript, date));
        let decision = self.of_session(session, Kind::Transcript, date, deletion);
        let next = self.next(session, decision, date.ok(), deletion);
        Verdict { decision, date: date.ok(), deletion, next }
    }

    /// What becomes of a kind of file of a session, once its own due date is known.
    pub(super) fn of_session(
        &self,
        session: &Session,
        kind: Kind,
        date: Result<DateTime<Utc>, Keep>,
        deletion: Option<(DateTime<Utc>, RuleRef)>,
    ) -> Decision {
        if self.is_elsewhere(session) {
            return Decision::Keep(Keep::OutOfScope);
        }
        if let Some(held) = self.holds_of(session, kind).next() {
            return Decision::Keep(Keep::Held(held));
        }
        if self.is_live(session) {
            return Decision::Keep(Keep::Live);
        }
        if self.is_session_quiet(session) {
            return Decision::Keep(Keep::Quiet);
        }
        let date = match date {
            Ok(date) => date,
            Err(keep) => return Decision::Keep(keep),
        };
        // Deleting before sealing: what goes today is not encrypted first.
        let delete = self.timely(date, deletion);
        match delete {
            Decision::Keep(keep) if kind.row().sealable && session.plain > 0 && self.can_seal(session) => {
                match self.seal_due(session, kind, date).filter(|(due, _)| *due <= self.now) {
                    // Claude Code's own cleanup removes what stays plain beside a sealed transcript.
                    Some((since, rule)) if session.unsealable > 0 => {
                        Decision::Keep(Keep::Unsealable(Due { rule, since }))
                    }
                    Some((since, rule)) => Decision::Seal(Due { rule, since }),
                    None => Decision::Keep(keep),
                }
            }
            other => other,
        }
    }

    /// When a kind of file of a session is due for sealing by its own rules.
    pub(super) fn seal_due(
        &self,
        session: &Session,
        kind: Kind,
        date: DateTime<Utc>,
    ) -> Option<(DateTime<Utc>, RuleRef)> {
        self.latest(session, kind, self.rested(session, kind, date), Action::Seal).1
    }

    /// The date from which the periods of sealing count: what was unsealed counts as touched then, for sealing alone.
    pub(super) fn rested(&self, session: &Session, kind: Kind, date: DateTime<Utc>) -> DateTime<Utc> {
        let due = || self.latest(session, kind, date, Action::Seal).1.map(|(due, _)| due);
        self.unsealed(session, due).map_or(date, |unsealed| unsealed.max(date))
    }

    /// A file of a session: it goes with the session, or earlier if a rule for its kind says so.
    pub(super) fn part(
        &self,
        artifact: &Artifact,
        kind: Kind,
        session: &Session,
        verdict: Verdict,
    ) -> Decision {
        // It is still a session of a store that this mandate has no say in, whatever lies elsewhere of it.
        if self.is_of_excluded(session) {
            return Decision::Keep(Keep::OwnerUnknown);
        }
        let session = self.view(session);
        let (mut decision, mut deletion) = (verdict.decision, verdict.deletion);
        // A record without its sealed files says nothing, and they would never go without it.
        if self.by_kind && !matches!(kind, Kind::Transcript | Kind::SealedRecord) {
            let own = verdict.date.and_then(|date| self.deletion(session, kind, date));
            deletion = match (own, verdict.deletion) {
                (Some(own), Some(whole)) => Some(if own.0 < whole.0 { own } else { whole }),
                (own, whole) => own.or(whole),
            };
            let date = match (verdict.date, verdict.decision) {
                (Some(date), _) => Ok(date),
                (None, Decision::Keep(keep)) => Err(keep),
                (None, _) => Err(Keep::Undated),
            };
            // A session is sealed as a whole or not at all, so sealing is not asked again here.
            match self.of_session(session, kind, date, deletion) {
                own @ (Decision::Delete(_) | Decision::Keep(Keep::Held(_))) => decision = own,
                // Its own reason, since it may go sooner than the whole.
                own @ Decision::Keep(_) if matches!(decision, Decision::Keep(_)) => decision = own,
                _ => {}
            }
        }
        match decision {
            // What is not sealed waits for its deletion, whatever delays that.
            Decision::Seal(_)
                if !artifact.can_be_sealed() || self.sealing_store(artifact, session).is_none() =>
            {
                verdict.date.map_or(Decision::Keep(Keep::NoRule), |date| self.timely(date, deletion))
            }
            // Nor does it stay for what keeps the others from being sealed.
            Decision::Keep(Keep::Unsealable(_)) if !kind.row().sealable => {
                verdict.date.map_or(Decision::Keep(Keep::NoRule), |date| self.timely(date, deletion))
            }
            other => other,
        }
    }
}
