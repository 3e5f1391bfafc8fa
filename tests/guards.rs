//! Guards of an unattended run: consent, mass deletion and the clock.

use std::path::Path;

use chrono::{DateTime, Utc};

use crate::common::sandbox::has;
use crate::common::{Sandbox, days, hours, now, skip};

/// Sessions that are due and sessions that are not.
fn mass(due: u32, kept: u32) -> Sandbox {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    for number in 1..=due {
        store.session(number).aged(days(40)).write();
    }
    for number in due + 1..=due + kept {
        store.session(number).aged(days(1)).write();
    }
    sandbox
}

fn left(sandbox: &Sandbox) -> usize {
    sandbox
        .tree()
        .0
        .keys()
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .count()
}

#[test]
fn a_mass_deletion_is_refused() {
    let sandbox = mass(21, 20);
    let output = sandbox.run(["enforce", "--yes"]);
    output.exits(4);
    assert_eq!(left(&sandbox), 41);
    // The refusal is known afterwards, with the way to lift it.
    assert!(
        sandbox.ledger_lines().iter().any(|line| line.to_string().contains("mass")),
        "{:?}",
        sandbox.ledger_lines()
    );
    sandbox.run(["status"]).says("ccretain");
    output.says("ccretain");
}

#[test]
fn few_sessions_or_a_small_share_are_no_mass() {
    for (due, kept) in [(19, 0), (20, 20), (30, 40)] {
        let sandbox = mass(due, kept);
        // A store whose newest date lies weeks back would be the clock's matter.
        sandbox.store().put("plans/today.md", "x", hours(2));
        sandbox.run(["enforce", "--yes"]).exits(0).quietly();
        assert_eq!(left(&sandbox), kept as usize, "{due} of {}", due + kept);
    }
}

#[test]
fn a_person_at_a_terminal_can_confirm_a_mass_deletion() {
    let sandbox = mass(30, 5);
    sandbox.command(["enforce"]).on_terminal("y\ny\n").run().exits(0);
    assert_eq!(left(&sandbox), 5);
}

#[test]
fn the_bounds_of_the_mass_guard_are_the_users() {
    let sandbox = mass(30, 5);
    sandbox.policy(
        r#"{"version": 1, "guard": {"maxShare": 0.9, "minSessions": 20}, "rules": [{"name": "all", "deleteAfter": "30d"}]}"#,
    );
    sandbox.run(["enforce", "--yes"]).exits(0).quietly();
    assert_eq!(left(&sandbox), 5);
}

#[test]
fn a_dry_run_past_the_mass_guard_still_shows_the_plan() {
    let sandbox = mass(30, 5);
    let output = sandbox.run(["enforce", "--dry-run", "--json"]);
    assert_eq!(output.summary("sessionsDeleted"), 30, "{output}");
    assert_eq!(left(&sandbox), 35);
}

/// Runs `enforce` with the clock at another time.
fn enforce_at(sandbox: &Sandbox, time: DateTime<Utc>) -> crate::common::Output {
    sandbox.command(["enforce", "--yes", "--json"]).at(time).run()
}

#[test]
fn a_clock_that_leapt_ahead_deletes_nothing_until_a_day_later() {
    if !has("faketime") {
        return skip("a_clock_that_leapt_ahead_deletes_nothing_until_a_day_later", "needs faketime");
    }
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(hours(5)).write();
    sandbox.enforce().exits(0).quietly();
    let leap = now() + days(60);
    enforce_at(&sandbox, leap).exits(4).says("clock");
    assert!(session.is_there());
    enforce_at(&sandbox, leap + hours(23)).exits(4);
    assert!(session.is_there(), "less than a day later is no second opinion");
    enforce_at(&sandbox, leap + hours(25)).exits(0);
    assert!(!session.is_there());
}

#[test]
fn a_leap_below_the_bound_is_none() {
    if !has("faketime") {
        return skip("a_leap_below_the_bound_is_none", "needs faketime");
    }
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(hours(5)).write();
    sandbox.enforce().exits(0);
    enforce_at(&sandbox, now() + days(44)).exits(0);
    assert!(!session.is_there());
}

#[test]
fn a_clock_before_the_build_deletes_nothing() {
    if !has("faketime") {
        return skip("a_clock_before_the_build_deletes_nothing", "needs faketime");
    }
    let sandbox = Sandbox::new();
    let past = now() - days(2_000);
    let session = sandbox.store().session(1).aged(days(2_100)).write();
    enforce_at(&sandbox, past).exits(4).says("clock");
    assert!(session.is_there());
}

#[test]
fn a_store_that_nobody_used_for_long_needs_a_second_look() {
    if !has("faketime") {
        return skip("a_store_that_nobody_used_for_long_needs_a_second_look", "needs faketime");
    }
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(days(100)).write();
    // All that is known of the time is 100 days old; whether the clock or the store is right cannot be told yet.
    enforce_at(&sandbox, now()).exits(4);
    assert!(session.is_there());
    enforce_at(&sandbox, now() + hours(25)).exits(0);
    assert!(!session.is_there());
}

#[test]
fn a_refusal_of_the_clock_can_be_confirmed_at_a_terminal() {
    if !has("faketime") {
        return skip("a_refusal_of_the_clock_can_be_confirmed_at_a_terminal", "needs faketime");
    }
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(hours(5)).write();
    sandbox.enforce().exits(0);
    sandbox.command(["enforce"]).at(now() + days(60)).on_terminal("y\ny\n").run().exits(0);
    assert!(!session.is_there());
}

#[test]
fn a_refusal_leaves_nothing_in_a_store_but_the_lock() {
    let sandbox = mass(30, 5);
    let before = sandbox.tree();
    sandbox.run(["enforce", "--yes"]).exits(4);
    let mut after = sandbox.tree();
    after.0.remove(Path::new(".claude/ccretain"));
    after.0.remove(Path::new(".claude/ccretain/lock"));
    before.is_unchanged(&after);
}
