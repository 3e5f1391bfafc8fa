//! What was deleted and lies there again: noticed, named with its likely source, and deleted again at its date.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::all_users::{give, machine, user};
use crate::common::sandbox::has;
use crate::common::store::Session;
use crate::common::{Sandbox, StoreBuilder, days, hours, id, skip};

fn sandbox(policy: &str) -> (Sandbox, StoreBuilder) {
    let sandbox = Sandbox::new();
    sandbox.policy(policy);
    let store = sandbox.store();
    store.session(999).cwd("/work/anchor").aged(hours(3)).write();
    (sandbox, store)
}

const PLAIN: &str = r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "30d"}]}"#;

fn found(sandbox: &Sandbox) -> Option<Value> {
    let json = sandbox.run(["check", "--json"]).json();
    let findings = json["findings"].as_array().unwrap().clone();
    findings.into_iter().find(|finding| finding["id"] == "came-back")
}

/// Writes a session, lets a run delete it, and puts it back as a restore would.
fn restored(sandbox: &Sandbox, store: &StoreBuilder, number: u32) -> Session {
    let session = store.session(number).aged(days(40)).write();
    let text = fs::read(&session.transcript).unwrap();
    sandbox.enforce().exits(0);
    assert!(!session.is_there());
    assert!(found(sandbox).is_none(), "it is gone");
    fs::create_dir_all(session.transcript.parent().unwrap()).unwrap();
    fs::write(&session.transcript, text).unwrap();
    session
}

#[test]
fn a_restored_session_is_noticed_and_deleted_again() {
    let (sandbox, store) = sandbox(PLAIN);
    let session = restored(&sandbox, &store, 1);
    let back = found(&sandbox).expect("a finding");
    assert_eq!((&back["severity"], &back["count"]), (&"medium".into(), &1.into()));
    assert!(back["evidence"][0].as_str().unwrap().contains(session.id()), "{back}");
    assert!(back["evidence"][0].as_str().unwrap().contains("a restore or a copy by hand"), "{back}");
    let status = sandbox.run(["status", "--json"]).json();
    assert_eq!(status["cameBack"][0]["session"], session.id());
    sandbox.run(["status"]).says("came back: 1 session that a run had deleted");
    sandbox.run(["explain", session.id()]).exits(0).says("it came back: session").says("was deleted on");
    let path = session.transcript.to_str().unwrap();
    sandbox.run(["explain", path]).exits(0).says("it came back: session");
    // Touched now, it would be quiet: its records decide, and its date has passed.
    crate::common::store::age(&session.transcript, days(2));
    sandbox.enforce().exits(0);
    assert!(!session.is_there(), "it is deleted again");
    assert!(found(&sandbox).is_none());
    assert!(sandbox.run(["status", "--json"]).json()["cameBack"].is_null());
}

#[test]
fn keyed_names_hide_nothing_from_it() {
    let policy =
        r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "30d"}], "ledger": {"names": "keyed"}}"#;
    let (sandbox, store) = sandbox(policy);
    let session = restored(&sandbox, &store, 1);
    assert!(!fs::read_to_string(sandbox.ledger()).unwrap().contains(session.id()));
    assert!(found(&sandbox).is_some());
    // The policy may say something else by now.
    sandbox.policy(PLAIN);
    assert!(found(&sandbox).is_some());
}

#[test]
fn what_was_deleted_in_part_or_sealed_and_unsealed_has_not_come_back() {
    let (sandbox, store) = sandbox(
        r#"{"version": 1, "rules": [{"name": "noise", "kinds": ["debug-log"], "deleteAfter": "3d"},
            {"name": "all", "deleteAfter": "30d"}]}"#,
    );
    let session = store.session(1).aged(days(10)).write();
    let log = store.put(format!("debug/{}.txt", session.id()), "x", days(10));
    sandbox.enforce().exits(0);
    assert!(session.is_there() && !log.exists());
    assert!(found(&sandbox).is_none(), "only its debug log went");
    sandbox.run(["key", "new"]).exits(0);
    sandbox.run(["seal", session.id()]);
    sandbox.run(["unseal", session.id()]);
    assert!(found(&sandbox).is_none());
}

#[test]
fn a_purged_session_that_is_restored_came_back() {
    let (sandbox, store) = sandbox(PLAIN);
    let session = store.session(1).aged(days(10)).write();
    let text = fs::read(&session.transcript).unwrap();
    sandbox.run(["purge", "--yes"]).exits(0);
    fs::create_dir_all(session.transcript.parent().unwrap()).unwrap();
    fs::write(&session.transcript, text).unwrap();
    assert!(found(&sandbox).is_some());
}

#[test]
fn a_copy_under_the_name_of_a_conflict_is_one_and_names_who_made_it() {
    let (sandbox, store) = sandbox(PLAIN);
    let session = restored(&sandbox, &store, 1);
    let folder = session.transcript.parent().unwrap();
    let copy = folder.join(format!("{}.sync-conflict-20261126-101010-ABCDEFG.jsonl", session.id()));
    fs::rename(&session.transcript, &copy).unwrap();
    // One of a session that nobody has deleted is none.
    let other = store.session(2).aged(days(3)).write();
    fs::copy(&other.transcript, folder.join(format!("{} (conflicted copy 2026-11-26).jsonl", other.id())))
        .unwrap();
    let back = found(&sandbox).expect("a finding");
    assert_eq!(back["count"], 1);
    assert!(back["evidence"][0].as_str().unwrap().contains("a copy that Syncthing made"), "{back}");
    sandbox
        .run(["explain", copy.to_str().unwrap()])
        .exits(0)
        .says("is a copy of session")
        .says("was deleted on");
    sandbox.run(["status"]).says("came back: 1 session");
    // Such a transcript is of no session: it goes by its own date.
    crate::common::store::age(&copy, days(60));
    sandbox.enforce().exits(0);
    assert!(!copy.exists());
}

#[test]
fn a_checkout_of_a_work_tree_is_named_as_the_source() {
    if !has("git") {
        return skip("no git on this machine");
    }
    let (sandbox, store) = sandbox(PLAIN);
    let session = store.session(1).aged(days(40)).write();
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
            .args(arguments)
            .current_dir(store.path(""))
            .env("HOME", sandbox.home())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["init", "-q"]);
    git(&["add", "projects"]);
    git(&["commit", "-q", "-m", "x"]);
    sandbox.enforce();
    assert!(!session.is_there());
    git(&["checkout", "-q", "--", "projects"]);
    assert!(session.is_there());
    let back = found(&sandbox).expect("a finding");
    assert!(back["evidence"][0].as_str().unwrap().contains("a checkout restores files"), "{back}");
    sandbox.run(["explain", &id(1)]).says("it came back");
}

#[test]
fn the_ledger_of_all_accounts_knows_it_too() {
    const ANN: u32 = 58_031;
    let Some(mut machine) = machine() else { return };
    let store = machine.person("ann", ANN);
    machine.person("bob", 58_032);
    let session = store.session(1).aged(days(40)).write();
    let text = fs::read(&session.transcript).unwrap();
    give(&machine.home("ann"), ANN);
    machine.enforce().exits(0);
    assert!(!session.is_there());
    fs::create_dir_all(session.transcript.parent().unwrap()).unwrap();
    fs::write(&session.transcript, text).unwrap();
    give(&machine.home("ann"), ANN);
    let json = machine.run(&["check", "--json"]).json();
    let findings = json["findings"].as_array().unwrap();
    let back: Vec<_> = findings.iter().filter(|finding| finding["id"] == "came-back").collect();
    assert_eq!(back.len(), 1, "{json:#}");
    assert_eq!(back[0]["user"], "ann");
    let status = machine.run(&["status", "--json"]).json();
    assert_eq!(user(&status, "ann")["report"]["cameBack"][0]["session"], session.id());
    assert!(user(&status, "bob")["report"]["cameBack"].is_null());
}
