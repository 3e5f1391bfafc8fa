//! Guards of an unattended run: consent, mass deletion and the clock.

use std::path::Path;

use chrono::{DateTime, Utc};

use crate::common::sandbox::has;
use crate::common::store::put;
use crate::common::{Sandbox, StoreBuilder, Tree, days, hours, id, now, skip};
use crate::seal::{identity, seals};

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
    let refused = |line: &serde_json::Value| line["event"] == "refused" && line.to_string().contains("guard");
    assert!(sandbox.ledger_lines().iter().any(refused), "{:?}", sandbox.ledger_lines());
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
    sandbox.command(["enforce"]).on_terminal("yes\nyes\n").run().exits(0);
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
        return skip("needs faketime");
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
        return skip("needs faketime");
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
        return skip("needs faketime");
    }
    let sandbox = Sandbox::new();
    let past = now() - days(100);
    let session = sandbox.store().session(1).aged(days(200)).write();
    enforce_at(&sandbox, past).exits(4).says("clock");
    assert!(session.is_there());
}

#[test]
fn a_store_that_nobody_used_for_long_needs_a_second_look() {
    if !has("faketime") {
        return skip("needs faketime");
    }
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(days(100)).write();
    // All that is known of the time is 100 days old; whether the clock or the store is right cannot be told yet.
    enforce_at(&sandbox, now()).exits(4);
    assert!(session.is_there());
    enforce_at(&sandbox, now() + hours(25)).exits(0);
    assert!(!session.is_there());
}

/// The lock of a run gets its time from the kernel and not from a faked clock, so this needs the real one.
#[test]
fn nothing_that_a_run_writes_vouches_for_its_clock() {
    for attempt in 0..16 {
        let sandbox = Sandbox::new();
        let session = sandbox.store().session(1).aged(days(100)).write();
        for run in ["first", "second", "third"] {
            let output = sandbox.enforce();
            assert_eq!(output.code, Some(4), "attempt {attempt}, {run} run: {output}");
            assert!(session.is_there(), "attempt {attempt}, {run} run");
        }
    }
}

#[test]
fn what_ccretain_and_others_keep_in_a_store_is_no_evidence_of_time() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(100)).write();
    let log = store.put("logs-of-mine/retention.log", "", days(0));
    store.put("settings.json", "{}", days(0));
    store.put("ccretain/held/x/session.json", "{}", days(0));
    let refuses = || {
        sandbox
            .command(["enforce", "--yes"])
            .env("CCRETAIN_STATE_DIR", store.path("retention"))
            .run()
            .exits(4)
            .says("clock");
    };
    refuses();
    refuses();
    assert!(session.is_there() && log.exists());
    // A rewritten history is new, its lines are not.
    store.history(None, "/work/acme", days(100));
    refuses();
    // What Claude Code left a minute ago is evidence.
    store.history(None, "/work/acme", days(0));
    sandbox.enforce().exits(0);
    assert!(!session.is_there());
}

#[test]
fn an_unsealing_that_dates_files_anew_is_no_evidence_of_time() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(days(100)).write();
    let due = sandbox.store().session(2).aged(days(100)).write();
    sandbox.sealing(r#""rules": [{"name": "all", "deleteAfter": "90d"}]"#);
    sandbox.run(["seal", session.id()]).exits(0);
    sandbox.run(["unseal", session.id(), "--touch"]).exits(0);
    sandbox.enforce().exits(4).says("clock");
    assert!(session.is_there() && due.is_there());
}

#[test]
fn a_refusal_of_the_clock_can_be_confirmed_at_a_terminal() {
    if !has("faketime") {
        return skip("needs faketime");
    }
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(hours(5)).write();
    sandbox.enforce().exits(0);
    sandbox.command(["enforce"]).at(now() + days(60)).on_terminal("yes\nyes\n").run().exits(0);
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

#[test]
fn what_a_temp_tree_has_left_is_no_mass() {
    let sandbox = mass(1, 1);
    for number in 101..=125 {
        let file = format!("-work-acme/{}/tasks/b.output", id(number));
        put(&sandbox.client_tmp().join(file), "x", days(40));
    }
    sandbox.run(["enforce", "--yes"]).exits(0).quietly();
    assert_eq!(left(&sandbox), 1);
    let is_temp = |path: &&std::path::PathBuf| path.ends_with("b.output");
    assert_eq!(Tree::of(&sandbox.client_tmp()).0.keys().filter(is_temp).count(), 0);
}

#[test]
fn orphans_with_content_are_a_mass() {
    let sandbox = mass(0, 10);
    for number in 101..=125 {
        sandbox.store().put(format!("file-history/{}/0123456789abcdef@v1", id(number)), "x", days(40));
    }
    sandbox.run(["enforce", "--yes"]).exits(4).says("25 of 35 sessions");
}

/// A second config folder, which `CLAUDE_CONFIG_DIR` names.
fn second(sandbox: &Sandbox) -> StoreBuilder {
    StoreBuilder::new(sandbox.home().join("second"), sandbox.client_tmp())
}

#[test]
fn a_mass_is_counted_over_all_stores_of_a_user() {
    let sandbox = mass(12, 5);
    let other = second(&sandbox);
    for number in 101..=112 {
        other.session(number).aged(days(40)).write();
    }
    let run = || sandbox.command(["enforce", "--yes"]).env("CLAUDE_CONFIG_DIR", &other.root).run();
    run().exits(4).says("24 of 29 sessions");
    // Another store full of sessions that stay is as good as one's own.
    for number in 201..=240 {
        other.session(number).aged(days(1)).write();
    }
    run().exits(0);
}

#[test]
fn sessions_of_excluded_stores_do_not_count() {
    let sandbox = mass(24, 5);
    let other = second(&sandbox);
    for number in 201..=240 {
        other.session(number).aged(days(1)).write();
    }
    sandbox.policy(&format!(
        r#"{{"version": 1, "rules": [{{"name": "all", "deleteAfter": "30d"}}], "stores": {{"exclude": ["{}"]}}}}"#,
        other.root.display()
    ));
    let output = sandbox.command(["enforce", "--yes"]).env("CLAUDE_CONFIG_DIR", &other.root).run();
    output.exits(4).says("24 of 29 sessions");
}

#[test]
fn sealing_goes_on_beside_a_refusal_which_is_a_failure_then() {
    let sandbox = mass(25, 1);
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, "");
    let sealed = sandbox.store().session(900).aged(days(3)).write();
    let output = sandbox.run(["enforce", "--yes", "--json"]);
    output.exits(1);
    assert!(!sealed.is_there());
    assert_eq!((output.summary("sealed"), output.summary("deleted")), (2, 0));
    let json = output.json();
    assert!(json["errors"].to_string().contains("25 of 27 sessions"), "{}", json["errors"]);
    // The next run has nothing left to seal, and leaves the stores as they are.
    sandbox.run(["enforce", "--yes"]).exits(4);
}

#[test]
fn what_a_guard_refused_is_kept_for_that_reason() {
    let sandbox = mass(25, 1);
    sandbox.store().history(Some(&id(1)), "/work/acme", days(40));
    let output = sandbox.run(["enforce", "--yes", "--json", "-v"]);
    output.exits(4);
    for path in [format!("{}.jsonl", id(1)), "history.jsonl".to_owned()] {
        let item = output.item(&path);
        assert_eq!((&item["decision"], &item["reason"]), (&"keep".into(), &"refused".into()), "{item}");
        assert_eq!(item["rule"], "built-in");
    }
}

#[test]
fn an_unattended_machine_is_not_stopped_for_ever() {
    if !has("faketime") {
        return skip("needs faketime");
    }
    let sandbox = mass(25, 1);
    for day in 0..7 {
        enforce_at(&sandbox, now() + days(day)).exits(4);
    }
    assert_eq!(left(&sandbox), 26);
    enforce_at(&sandbox, now() + days(7) + hours(1)).exits(0);
    assert_eq!(left(&sandbox), 1);
}
