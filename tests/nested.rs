//! Stores that lie in other stores.

use std::path::PathBuf;

use serde_json::json;

use crate::common::{Sandbox, StoreBuilder, days, hours};

/// A sandbox with one more store in its own, and a hold on session 4, which is idle for long and lies there.
fn with_inner(below: &str, exclude: bool, held: bool) -> (Sandbox, StoreBuilder, PathBuf) {
    let sandbox = Sandbox::new();
    let outer = sandbox.store();
    outer.session(1).aged(hours(2)).write();
    let root = outer.path(below);
    let inner = StoreBuilder::new(root.clone(), outer.tmp.clone());
    let session = inner.session(4).cwd("/work/inner").aged(days(60)).write();
    let key = if exclude { "exclude" } else { "extra" };
    sandbox.policy(
        &json!({"version": 1, "rules": [{"name": "old", "deleteAfter": "30d"}], "stores": {(key): [root]}})
            .to_string(),
    );
    if held {
        sandbox.run(["hold", "add", "--session", session.id(), "--reason", "a case"]).exits(0);
    }
    (sandbox, inner, session.transcript)
}

#[test]
fn what_a_hold_covers_stays_in_a_store_that_lies_in_another() {
    for commands in [
        &["purge", "--yes", "--with", "unrecognised", "--session", "00000003"][..],
        &["purge", "--yes", "--with", "unrecognised", "--before", "2999-01-01"],
        &["enforce", "--yes"],
    ] {
        for below in ["backup", "projects/-work-acme/00000003-0000-4000-8000-00000000cafe/cfg"] {
            let (sandbox, _, held) = with_inner(below, false, true);
            let outer = sandbox.store().session(3).aged(days(50)).write();
            outer.side_file("tool-results/a", "content");
            let output = sandbox.run(commands);
            assert!(held.exists(), "{commands:?}, {below}: {output}");
            if commands[0] == "enforce" {
                output.exits(0);
                assert!(
                    !outer.is_there() && !outer.side().join("tool-results").exists(),
                    "{below}: {output}"
                );
                // Our own lock in there is no activity of the session around it.
                sandbox.run(["enforce", "--json"]).exits(0);
            }
        }
    }
}

#[test]
fn what_is_left_out_stays_in_a_store_around_it() {
    let (sandbox, _, left_out) = with_inner("backup", true, false);
    sandbox.run(["purge", "--yes", "--with", "unrecognised"]);
    assert!(left_out.exists());
}

/// A copy of a store that nobody has named is unrecognised, and its files say which sessions they are of.
#[test]
fn a_copy_of_what_is_held_stops_a_purge_of_what_nobody_knows() {
    for hold in [["--session", "00000004-0000-4000-8000-00000000cafe"], ["--project", "/work/acme/**"]] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        store.session(1).cwd("/work/other").aged(hours(2)).write();
        store.session(4).cwd("/work/acme/four").aged(days(60)).write();
        let copy = store.put("backup/p/00000004-0000-4000-8000-00000000cafe.jsonl", "{}\n", days(1000));
        let other = store.put("backup/p/00000005-0000-4000-8000-00000000cafe.jsonl", "{}\n", days(50));
        // Of what is that old the copy alone is left.
        sandbox.run(["hold", "add", hold[0], hold[1], "--reason", "a case", "--name", "case"]).exits(0);
        let output = sandbox.run(["purge", "--yes", "--with", "unrecognised", "--before", "2025-01-01"]);
        output.exits(4).says("hold 'case'");
        assert!(copy.exists() && other.exists(), "{output}");
    }
}

/// A folder of a store that somebody calls a store is none: what Claude Code keeps there stays what it is.
#[test]
fn no_file_is_taken_out_of_a_store_by_calling_a_folder_a_store() {
    for below in ["projects", "projects/-work-acme"] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        let old = store.session(2).aged(days(40)).write();
        let held = store.session(4).aged(days(40)).write();
        store.session(1).aged(hours(2)).write();
        let memory = store.put("projects/-work-acme/memory/MEMORY.md", "a fact", days(90));
        sandbox.policy(
            &json!({"version": 1, "rules": [{"name": "old", "deleteAfter": "30d"}],
                "stores": {"extra": [store.path(below)]}})
            .to_string(),
        );
        sandbox.run(["hold", "add", "--session", held.id(), "--reason", "a case"]).exits(0);
        let run = sandbox.run(["enforce", "--yes", "--json"]).exits(0).json();
        assert_eq!(
            (&run["summary"]["deleted"], &run["summary"]["unrecognised"]),
            (&1.into(), &0.into()),
            "{run}"
        );
        assert!(!old.is_there() && held.is_there());
        sandbox.run(["purge", "--yes", "--before", "2999-01-01", "--with", "unrecognised"]);
        assert!(held.is_there() && memory.exists(), "{below}");
        let only = store.path(below);
        sandbox.run(["purge", "--yes", "--with", "unrecognised", "--store", only.to_str().unwrap()]);
        assert!(held.is_there() && memory.exists(), "{below}");
    }
}
