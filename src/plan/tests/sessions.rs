//! What becomes of sessions and of each of their files, and why, on random inventories and policies.

use proptest::prelude::*;

use super::policies::{floored, policy};
use super::world::{NOW, world};
use super::*;

/// A decision without the rule that made it: its word, and the date it names.
type Told = (&'static str, Option<DateTime<Utc>>);

fn told(decision: Decision) -> Told {
    match decision {
        Decision::Keep(keep @ (Keep::NotDue(at, _) | Keep::KeepAtLeast(at))) => (keep.reason(), Some(at)),
        Decision::Keep(keep) => (keep.reason(), None),
        other => (other.word(), other.due().map(|due| due.since())),
    }
}

impl Demand<'_> {
    /// When the session is to be sealed; what was unsealed rests anew.
    fn sealing(&self, session: &Session, date: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let unsealed = self.unsealed(session, self.seal_due(session, date));
        let rested = unsealed.into_iter().chain([date]).max()?;
        let by_project = |project: Option<&str>| {
            let first = |layer: &crate::policy::RuleLayer| {
                let acting = layer.rules.iter().filter(|rule| rule.seal_after.is_some());
                let mut selecting =
                    acting.filter(|rule| rule.selector.selects(Kind::Transcript, project, Some(session.id)));
                selecting.next()?.seal_after.as_ref()?.after(rested)
            };
            self.of.layers.iter().filter_map(first).min()
        };
        let rivals = session.rivals.iter().map(|project| by_project(Some(project)));
        let dues: Option<Vec<_>> = rivals.chain([by_project(session.project.as_deref())]).collect();
        dues?.into_iter().max()
    }

    /// Why nobody can say how old a session is.
    fn why_undated(&self, session: &Session) -> &'static str {
        match (session.evidence, session.modified) {
            _ if session.is_unreadable => "undated",
            (Evidence::Unknown, _) => "owner-unknown",
            (Evidence::Orphaned, _) if session.before.is_none() && self.may_lack_transcripts() => {
                "owner-unknown"
            }
            (_, Some(modified)) if modified > self.now => "future-dated",
            _ => "undated",
        }
    }

    /// What of a file of a session happens when its time has come, and what until then.
    fn by_age(&self, date: DateTime<Utc>, due: Option<DateTime<Utc>>) -> Told {
        match due {
            None => ("no-rule", None),
            Some(due) if due > self.now => ("not-due", Some(due)),
            Some(due) if self.is_old_enough(date) => ("delete", Some(due)),
            Some(_) => {
                let end = self.of.keep_at_least.as_ref().unwrap().value.after(date);
                ("keep-at-least", Some(end.unwrap_or(DateTime::<Utc>::MAX_UTC)))
            }
        }
    }

    /// What keeps a kind of file of a session whatever its age.
    fn bound(&self, session: &Session, kind: Kind) -> Option<Told> {
        let why = if !self.may_touch_session(session) {
            "out-of-scope"
        } else if self.holds_session(session, kind) {
            "held"
        } else if self.is_live(session) {
            "live"
        } else if self.is_in_use(session) {
            "quiet"
        } else if self.date(session).is_none() {
            self.why_undated(session)
        } else {
            return None;
        };
        Some((why, None))
    }

    fn of_kind(&self, session: &Session, kind: Kind, is_sealable: bool) -> Told {
        if let Some(bound) = self.bound(session, kind) {
            // Where nobody knows how old the session is, a file of it stays for what the whole stays for.
            let is_undated = bound.0 == self.why_undated(session);
            return self.bound(session, Kind::Transcript).filter(|_| is_undated).unwrap_or(bound);
        }
        let date = self.date(session).unwrap();
        let due = |kind| self.session_due(kind, session, date);
        let by_age = self.by_age(date, [due(Kind::Transcript), due(kind)].into_iter().flatten().min());
        let goes = |told: Told| told.0 == "delete";
        let whole_goes = goes(self.by_age(date, due(Kind::Transcript)));
        let files = self.inventory.files(session).iter().map(|index| self.inventory.artifact(*index));
        let place = files
            .into_iter()
            .any(|file| file.can_be_sealed() && self.may_touch_file(file) && self.has_place(file, session));
        let sealing =
            self.sealing(session, date).filter(|due| *due <= self.now && session.plain > 0 && place);
        match (sealing, self.bound(session, Kind::Transcript)) {
            _ if whole_goes || goes(by_age) => by_age,
            // A hold on transcripts alone keeps the session from being sealed, since that is done whole.
            (Some(_), Some(bound)) if kind.row().sealable => bound,
            (Some(_), None) if kind.row().sealable && session.unsealable > 0 => ("unsealable", None),
            (Some(since), None) if is_sealable => ("seal", Some(since)),
            _ => by_age,
        }
    }
}

proptest! {
    #![proptest_config(worlds(1500))]

    /// A session is sealed whole or not at all, and each part says its own reason and its own date.
    #[test]
    fn a_session_and_each_part_of_it_says_why(world in world(true), mut policy in prop_oneof![policy(), floored()]) {
        // Of two mandates, the weaker's reason is not the decision's.
        policy.mandates.truncate(1);
        let inventory = world.inventory();
        let plan = plan(&inventory, &policy, NOW());
        let demand = Demand { of: &policy.mandates[0], inventory: &inventory, now: NOW() };
        for (session, verdict) in inventory.sessions.iter().zip(&plan.sessions) {
            prop_assert_eq!(told(verdict.decision), demand.of_kind(session, Kind::Transcript, true), "{:?}", session);
        }
        for (artifact, decision) in inventory.artifacts.iter().zip(&plan.decisions) {
            let (Some(kind), Some(session)) = (artifact.kind, inventory.session_of(artifact)) else { continue };
            let is_ours = artifact.oddity == Oddity::None && !kind.is_protected();
            if !is_ours || !demand.may_touch_file(artifact) {
                continue;
            }
            let is_sealable = artifact.can_be_sealed();
            if demand.is_unknown(session) {
                prop_assert_eq!(told(*decision), ("owner-unknown", None));
                continue;
            }
            let is_sealable = is_sealable && demand.has_place(artifact, session);
            // The record of sealed files stays for what they stay for, which may be older or younger.
            let is_record = kind == Kind::SealedRecord && inventory.files(session).len() > 1;
            if is_record && (told(*decision).0 == "delete") == oracle::goes(std::slice::from_ref(&demand), artifact) {
                continue;
            }
            let expected = demand.of_kind(session, oracle::of_whole(kind), is_sealable);
            prop_assert_eq!(told(*decision), expected, "{:?} of {:?}", artifact, session);
        }
    }
}
