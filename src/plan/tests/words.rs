//! The words of decisions, which reports promise, and how the decisions of two mandates come together.

use super::world::{NOW, before};
use super::*;
use crate::policy::HoldRef;

fn rule(mandate: u8) -> RuleRef {
    RuleRef { mandate, layer: 0, rule: 0 }
}

fn due(hours: i64, mandate: u8) -> Due {
    Due { rule: rule(mandate), since: before(hours) }
}

fn keeps() -> [(Keep, &'static str); 14] {
    [
        (Keep::Held(HoldRef { mandate: 0, hold: 0 }), "held"),
        (Keep::Live, "live"),
        (Keep::Quiet, "quiet"),
        (Keep::KeepAtLeast(before(-1)), "keep-at-least"),
        (Keep::NotDue(before(-1), rule(0)), "not-due"),
        (Keep::NoRule, "no-rule"),
        (Keep::Protected, "protected"),
        (Keep::Unrecognised, "unrecognised"),
        (Keep::Undated, "undated"),
        (Keep::FutureDated, "future-dated"),
        (Keep::OwnerUnknown, "owner-unknown"),
        (Keep::Link, "link"),
        (Keep::Foreign, "foreign"),
        (Keep::OutOfScope, "out-of-scope"),
    ]
}

#[test]
fn words_are_promised() {
    for (keep, word) in keeps() {
        assert_eq!(keep.reason(), word);
        assert_eq!(Decision::Keep(keep).word(), "keep");
    }
    assert_eq!(Decision::Seal(due(1, 0)).word(), "seal");
    assert_eq!(Decision::Prune(due(1, 0)).word(), "prune");
    assert_eq!(Decision::Delete(due(1, 0)).word(), "delete");
}

fn plan_of(decisions: Vec<Decision>) -> Plan {
    let lines = vec![decisions.clone()];
    let sessions =
        decisions.iter().map(|decision| Verdict { decision: *decision, ..Verdict::NONE }).collect();
    Plan { now: NOW(), decisions, lines, sessions, purge: None }
}

#[test]
fn a_plan_that_keeps_all_changes_nothing() {
    let keep = Decision::Keep(Keep::NoRule);
    assert!(plan_of(vec![keep, keep]).changes_nothing());
    for change in [Decision::Seal(due(1, 0)), Decision::Prune(due(1, 0)), Decision::Delete(due(1, 0))] {
        assert!(!plan_of(vec![keep, change]).changes_nothing());
    }
}

/// A doubted clock leaves sealing alone, and what would go waits and says for what.
#[test]
fn without_removals_only_sealing_is_left() {
    let (seal, prune, delete) =
        (Decision::Seal(due(3, 0)), Decision::Prune(due(2, 0)), Decision::Delete(due(1, 1)));
    let left = plan_of(vec![seal, prune, delete]).without_removals();
    let expected = vec![
        seal,
        Decision::Keep(Keep::NotDue(before(2), rule(0))),
        Decision::Keep(Keep::NotDue(before(1), rule(1))),
    ];
    assert_eq!(left.decisions, expected);
    assert_eq!(left.lines, std::slice::from_ref(&expected));
    assert_eq!(left.sessions.iter().map(|verdict| verdict.decision).collect::<Vec<_>>(), expected);
}

/// Of two that keep, the one that will act first names the reason, else the first that has one.
#[test]
fn of_two_that_keep_one_names_the_reason() {
    let not_due = |hours: i64, mandate| Decision::Keep(Keep::NotDue(before(-hours), rule(mandate)));
    let no_rule = Decision::Keep(Keep::NoRule);
    for (keep, _) in keeps() {
        let keep = Decision::Keep(keep);
        // One that never acts has nothing to say.
        assert_eq!(keep.stronger(no_rule), keep);
        assert_eq!(no_rule.stronger(keep), keep);
        if !matches!(keep, Decision::Keep(Keep::NotDue(..))) {
            assert_eq!(keep.stronger(not_due(5, 1)), not_due(5, 1));
            // What keeps it beside a rule that waits is not told by the order of mandates alone.
            assert_eq!(not_due(5, 1).stronger(no_rule), not_due(5, 1));
        }
    }
    assert_eq!(not_due(5, 0).stronger(not_due(3, 1)), not_due(3, 1));
    assert_eq!(not_due(3, 0).stronger(not_due(5, 1)), not_due(3, 0));
    // Of two that act at one moment the higher mandate is named.
    assert_eq!(not_due(3, 0).stronger(not_due(3, 1)), not_due(3, 0));
    let (held, live) = (Decision::Keep(keeps()[0].0), Decision::Keep(Keep::Live));
    assert_eq!(held.stronger(live), held);
    assert_eq!(live.stronger(held), live);
}

/// Of two that act, the stronger acts; of equals the one that was due first, then the higher mandate.
#[test]
fn of_two_that_act_the_stronger_does() {
    let of: [fn(Due) -> Decision; 3] = [Decision::Seal, Decision::Prune, Decision::Delete];
    for (at, weak) in of.iter().enumerate() {
        for strong in &of[at + 1..] {
            assert_eq!(weak(due(9, 0)).stronger(strong(due(1, 1))), strong(due(1, 1)));
            assert_eq!(strong(due(1, 0)).stronger(weak(due(9, 1))), strong(due(1, 0)));
        }
        assert_eq!(weak(due(1, 0)).stronger(weak(due(2, 1))), weak(due(2, 1)));
        assert_eq!(weak(due(2, 0)).stronger(weak(due(1, 1))), weak(due(2, 0)));
        assert_eq!(weak(due(2, 0)).stronger(weak(due(2, 1))), weak(due(2, 0)));
        for (keep, _) in keeps() {
            assert_eq!(Decision::Keep(keep).stronger(weak(due(1, 1))), weak(due(1, 1)));
            assert_eq!(weak(due(1, 0)).stronger(Decision::Keep(keep)), weak(due(1, 0)));
        }
    }
}

/// Of two verdicts the sooner deletion counts, and of equals the higher mandate's.
#[test]
fn of_two_verdicts_the_sooner_deletion_counts() {
    let verdict = |deletion| Verdict { deletion, ..Verdict::NONE };
    let at = |hours: i64, mandate| Some((before(-hours), rule(mandate)));
    for (mine, theirs, expected) in [
        (at(1, 0), at(2, 1), at(1, 0)),
        (at(2, 0), at(1, 1), at(1, 1)),
        (at(1, 0), at(1, 1), at(1, 0)),
        (at(1, 0), None, at(1, 0)),
        (None, at(1, 1), at(1, 1)),
    ] {
        assert_eq!(verdict(mine).stronger(verdict(theirs)).deletion, expected);
    }
}
