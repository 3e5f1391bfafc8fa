//! The words of decisions, which reports promise, and how the decisions of two mandates come together.

use super::world::{NOW, before};
use super::*;
use crate::policy::{HoldRef, Mode};

fn rule(mandate: u8) -> RuleRef {
    RuleRef { mandate, layer: 0, rule: 0 }
}

fn due(hours: i64, mandate: u8) -> Due {
    Due { rule: rule(mandate), since: before(hours) }
}

fn keeps() -> [(Keep, &'static str); 17] {
    [
        (Keep::Held(HoldRef { mandate: 0, hold: 0 }), "held"),
        (Keep::Live, "live"),
        (Keep::Quiet, "quiet"),
        (Keep::KeepAtLeast(before(-1)), "keep-at-least"),
        (Keep::NotDue(before(-1), rule(0)), "not-due"),
        (Keep::Refused(due(1, 0)), "refused"),
        (Keep::Unsealable(due(1, 0)), "unsealable"),
        (Keep::NoRule, "no-rule"),
        (Keep::Protected, "protected"),
        (Keep::Unrecognised, "unrecognised"),
        (Keep::Undated, "undated"),
        (Keep::FutureDated, "future-dated"),
        (Keep::OwnerUnknown, "owner-unknown"),
        (Keep::Link, "link"),
        (Keep::Foreign, "foreign"),
        (Keep::OutOfReach, "out-of-reach"),
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
    Plan { now: NOW(), decisions, lines, sessions, absent: Vec::new(), demanded: Vec::new(), purge: None }
}

#[test]
fn a_plan_that_keeps_all_changes_nothing() {
    let keep = Decision::Keep(Keep::NoRule);
    assert!(plan_of(vec![keep, keep]).changes_nothing());
    for change in [Decision::Seal(due(1, 0)), Decision::Prune(due(1, 0)), Decision::Delete(due(1, 0))] {
        assert!(!plan_of(vec![keep, change]).changes_nothing());
    }
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
        if matches!(keep, Decision::Keep(Keep::Refused(_) | Keep::Unsealable(_))) {
            // What a guard refuses, or what cannot be done today, is more than what waits.
            assert_eq!(keep.stronger(not_due(5, 1)), keep);
            assert_eq!(not_due(5, 1).stronger(keep), keep);
        } else if !matches!(keep, Decision::Keep(Keep::NotDue(..))) {
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
        let both = [verdict(mine), verdict(theirs)].into_iter();
        assert_eq!(united(&[Mode::Enforce; 2], &[], |united| united.verdict(both)).deletion, expected);
    }
}

/// Unites by a policy whose mandates have these modes, of which some are refused.
fn united<T>(modes: &[Mode], refused: &[usize], ask: impl FnOnce(&United<'_>) -> T) -> T {
    let policy = policies::of(modes.iter().map(|mode| policies::silent(*mode)).collect());
    ask(&United::new(&policy, refused))
}

/// What acts comes first, then what is refused, then what is only reported, then what waits.
#[test]
fn modes_and_refusals_are_heard_before_the_stronger_is_sought() {
    let (enforce, audit) = (Mode::Enforce, Mode::Audit);
    let delete = |mandate| Decision::Delete(due(1, mandate));
    let seal = |mandate| Decision::Seal(due(1, mandate));
    let (no_rule, live) = (Decision::Keep(Keep::NoRule), Decision::Keep(Keep::Live));
    let refused = |mandate| Decision::Keep(Keep::Refused(due(1, mandate)));
    for (modes, refusals, says, expected) in [
        ([enforce, enforce], &[][..], [delete(0), seal(1)], delete(0)),
        ([audit, enforce], &[], [delete(0), seal(1)], seal(1)),
        ([audit, enforce], &[], [delete(0), live], delete(0)),
        ([audit, enforce], &[], [delete(0), no_rule], delete(0)),
        ([audit, enforce], &[], [live, no_rule], live),
        ([enforce, enforce], &[0], [delete(0), no_rule], refused(0)),
        ([enforce, enforce], &[0], [delete(0), delete(1)], delete(1)),
        ([enforce, enforce], &[0, 1], [delete(0), seal(1)], seal(1)),
        ([enforce, audit], &[0], [delete(0), delete(1)], refused(0)),
        ([audit, audit], &[0, 1], [delete(0), no_rule], delete(0)),
    ] {
        let decision = united(&modes, refusals, |united| united.decision(says.into_iter()));
        assert_eq!(decision, expected, "{modes:?} {refusals:?} {says:?}");
    }
}
