//! Why lines and pastes stay, on random inventories and random policies.

use proptest::prelude::*;

use super::policies::policy;
use super::world::{NOW, world};
use super::*;

/// What a line that nothing holds or uses stays for, if not for its rule.
fn expected(demand: &Demand<'_>, file: &LineFile, line: &Line, verdicts: &[Verdict]) -> Option<Keep> {
    let store = demand.inventory.store_of(demand.inventory.artifact(file.artifact));
    let session = demand.session_named(line, store);
    let is_index = file.content.format == Format::Entries;
    let of_session = session.map(|session| {
        let at = demand.inventory.sessions.iter().position(|other| std::ptr::eq(other, session));
        verdicts[at.unwrap()]
    });
    // It goes with its session, if that goes sooner.
    let whole = of_session.and_then(|verdict| match (verdict.decision, verdict.deletion) {
        (Decision::Keep(Keep::KeepAtLeast(end)), Some((_, rule))) => Some((end, rule)),
        (Decision::Keep(Keep::NotDue(..) | Keep::Unsealable(_)) | Decision::Seal(_), deletion) => {
            deletion.filter(|(due, _)| *due > NOW())
        }
        _ => None,
    });
    let with_session = whole.map(|(due, rule)| Keep::NotDue(due, rule));
    match (is_index, of_session.map(|verdict| verdict.decision)) {
        // An entry of an index stays for what its session stays for.
        (true, Some(Decision::Keep(keep))) => return Some(keep),
        (true, Some(_)) => return with_session.or(Some(Keep::NoRule)),
        (true, None) if line.session.is_none() || !demand.inventory.is_complete => {
            return Some(Keep::OwnerUnknown);
        }
        _ => {}
    }
    let Some(date) = line.date else { return with_session.or(Some(Keep::Undated)) };
    if date > NOW() {
        return with_session.or(Some(Keep::FutureDated));
    }
    let kind = if is_index { Kind::SessionsIndex } else { Kind::History };
    let own = demand.line_due(kind, line, session, date);
    if own.is_some_and(|due| due <= NOW()) {
        let floor = demand.of.keep_at_least.as_ref().unwrap();
        return Some(Keep::KeepAtLeast(floor.value.after(date).unwrap_or(DateTime::<Utc>::MAX_UTC)));
    }
    match (own, whole) {
        (None, None) => Some(Keep::NoRule),
        (None, Some((due, rule))) => Some(Keep::NotDue(due, rule)),
        (Some(own), Some((due, rule))) if due < own => Some(Keep::NotDue(due, rule)),
        // By which of the rules is told elsewhere.
        _ => None,
    }
}

proptest! {
    #![proptest_config(worlds(400))]

    /// A line that stays says why: for what stands above the rules, its date, its rule or its session's.
    #[test]
    fn a_line_that_stays_says_why(world in world(true), mut policy in policy()) {
        policy.mandates.truncate(1);
        let inventory = world.inventory();
        let plan = plan(&inventory, &policy, NOW());
        let demand = Demand { of: &policy.mandates[0], inventory: &inventory, now: NOW() };
        for (file, decisions) in inventory.line_files.iter().zip(&plan.lines) {
            let store = inventory.store_of(inventory.artifact(file.artifact));
            let kind = if file.content.format == Format::Entries { Kind::SessionsIndex } else { Kind::History };
            for (line, decision) in file.content.lines.iter().zip(decisions) {
                let Decision::Keep(keep) = *decision else { continue };
                let session = demand.session_named(line, store);
                if !demand.may_touch(store) {
                    prop_assert_eq!(keep, Keep::OutOfScope);
                } else if demand.is_out_of_reach(store) {
                    prop_assert_eq!(keep, Keep::OutOfReach);
                } else if demand.holds_line(kind, line, session)
                    || session.is_some_and(|of| demand.holds_session(of, Kind::Transcript))
                {
                    prop_assert!(matches!(keep, Keep::Held(_)));
                } else if session.is_some_and(|of| demand.is_unknown(of)) {
                    prop_assert_eq!(keep, Keep::OwnerUnknown);
                } else if session.is_some_and(|of| demand.is_live(of)) {
                    prop_assert_eq!(keep, Keep::Live);
                } else if session.is_some_and(|of| demand.is_in_use(of)) {
                    prop_assert_eq!(keep, Keep::Quiet);
                } else if let Some(expected) = expected(&demand, file, line, &plan.sessions) {
                    prop_assert_eq!(keep, expected, "{:?}", line);
                }
            }
        }
    }

    /// The first line that keeps a paste says why.
    #[test]
    fn a_paste_stays_for_its_first_line_that_keeps_it(world in world(true), mut policy in policy()) {
        policy.mandates.truncate(1);
        let inventory = world.inventory();
        let plan = plan(&inventory, &policy, NOW());
        let demand = Demand { of: &policy.mandates[0], inventory: &inventory, now: NOW() };
        for (artifact, decision) in inventory.artifacts.iter().zip(&plan.decisions) {
            let store = inventory.store_of(artifact);
            if !is_paste(artifact) || artifact.oddity != Oddity::None || !demand.may_touch_file(artifact) {
                continue;
            }
            if demand.is_out_of_reach(store) {
                prop_assert_eq!(*decision, Decision::Keep(Keep::OutOfReach));
                continue;
            }
            if lacks_references(&inventory, store) {
                prop_assert_eq!(*decision, Decision::Keep(Keep::OwnerUnknown));
                continue;
            }
            let owners = referring(&inventory, artifact);
            let Some(line) = owners.first() else { continue };
            let session = demand.session_named(line, store);
            let is_held = demand.holds_line(Kind::Paste, line, session)
                || session.is_some_and(|of| demand.holds_session(of, Kind::Transcript));
            let date = session.map_or(line.date, |of| demand.date(of));
            let Decision::Keep(keep) = *decision else { continue };
            if is_held {
                prop_assert!(matches!(keep, Keep::Held(_)));
            } else if session.is_some_and(|of| demand.is_unknown(of)) {
                prop_assert_eq!(keep, Keep::OwnerUnknown);
            } else if session.is_some_and(|of| demand.is_live(of)) {
                prop_assert_eq!(keep, Keep::Live);
            } else if session.is_some_and(|of| demand.is_in_use(of)) {
                prop_assert_eq!(keep, Keep::Quiet);
            } else if date.is_none() {
                prop_assert!(matches!(keep, Keep::Undated | Keep::FutureDated | Keep::OwnerUnknown), "{keep:?}");
            } else if date > Some(NOW()) {
                prop_assert_eq!(keep, Keep::FutureDated);
            }
        }
    }
}
