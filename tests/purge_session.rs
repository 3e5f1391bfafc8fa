//! One session goes, and what it shares with others stays.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::common::store::{CONTENT, encode, put};
use crate::common::{Output, Sandbox, StoreBuilder, days, id};
use crate::purge::verdict;

fn reasons(output: &Output) -> Vec<String> {
    let json = output.json();
    json["exceptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["reason"].as_str().unwrap().to_owned())
        .collect()
}

fn paste(session: &str, hash: &str) -> String {
    json!({
        "display": CONTENT, "pastedContents": {"1": {"contentHash": hash}}, "timestamp": 1_780_000_000_000_u64,
        "project": "/work/acme", "sessionId": session,
    })
    .to_string()
}

#[test]
fn one_session_goes_with_all_that_is_its_own() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let gone = store.session(1).cwd("/work/acme").aged(days(5)).write();
    let own = gone.satellites();
    let kept = store.session(2).cwd("/work/acme").aged(days(5)).write();
    let others = kept.satellites();
    store.history_line(&paste(gone.id(), "0123456789abcdef"));
    store.history_line(&paste(kept.id(), "fedcba9876543210"));
    store.history(None, "/work/acme", days(400));
    store.put("paste-cache/0123456789abcdef.txt", CONTENT, days(5));
    store.put("paste-cache/fedcba9876543210.txt", CONTENT, days(5));
    store.put("plans/plan.md", CONTENT, days(5));
    store.index("/work/acme", &[gone.id(), kept.id()]);
    let global = json!({"projects": {
        "/work/acme": {"lastSessionId": gone.id(), "lastCost": 1.5, "allowedTools": []},
        "/work/beta": {"lastSessionId": kept.id(), "lastCost": 2.5},
    }});
    sandbox.write(".claude.json", global.to_string());
    let output =
        sandbox.run(["purge", "--yes", "--json", "--session", &gone.id()[..8], "--certificate", "c.json"]);
    output.exits(0).quietly();
    verdict(&output, "partial");
    assert!(!gone.is_there() && kept.is_there());
    assert!(own.iter().all(|path| !path.exists()) && others.iter().all(|path| path.exists()));
    assert!(!store.has("paste-cache/0123456789abcdef.txt") && store.has("paste-cache/fedcba9876543210.txt"));
    assert!(store.has("plans/plan.md"));
    let history = fs::read_to_string(store.path("history.jsonl")).unwrap();
    assert!(
        !history.contains(gone.id()) && history.contains(kept.id()) && history.lines().count() == 2,
        "{history}"
    );
    let index =
        fs::read_to_string(store.path(format!("projects/{}/sessions-index.json", encode("/work/acme"))))
            .unwrap();
    assert!(!index.contains(gone.id()) && index.contains(kept.id()), "{index}");
    let global: Value =
        serde_json::from_slice(&fs::read(sandbox.home().join(".claude.json")).unwrap()).unwrap();
    assert_eq!(
        global["projects"],
        json!({"/work/acme": {"allowedTools": []}, "/work/beta": {"lastSessionId": kept.id(), "lastCost": 2.5}})
    );
    let certificate: Value =
        serde_json::from_slice(&fs::read(sandbox.home().join("c.json")).unwrap()).unwrap();
    assert_eq!(certificate["method"]["scope"]["session"], gone.id());
    assert_eq!(certificate["counts"]["sessions"], 1);
}

#[test]
fn what_it_shares_stays_and_is_named() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let gone = store.session(1).aged(days(5)).write();
    let kept = store.session(2).aged(days(5)).write();
    store.history_line(&paste(gone.id(), "0123456789abcdef"));
    store.history_line(&paste(kept.id(), "0123456789abcdef"));
    store.put("paste-cache/0123456789abcdef.txt", CONTENT, days(5));
    let output = sandbox.run(["purge", "--yes", "--json", "--session", gone.id()]);
    output.exits(1);
    verdict(&output, "incomplete");
    assert_eq!(reasons(&output), ["shared"]);
    assert!(!gone.is_there() && kept.is_there() && store.has("paste-cache/0123456789abcdef.txt"));
}

#[test]
fn unknown_names_are_judged_in_its_places_alone() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let gone = store.session(1).cwd("/work/acme").aged(days(5)).write();
    store.session(2).cwd("/work/acme").aged(days(5)).write();
    let folder = format!("projects/{}", encode("/work/acme"));
    store.put("prompts.db", CONTENT, days(5));
    store.put(format!("{folder}/notes.txt"), "mine", days(5));
    sandbox.run(["purge", "--yes", "--json", "--session", gone.id()]).exits(0);
    let gone = store.session(3).cwd("/work/acme").aged(days(5)).write();
    let copy = format!("{folder}/{}.jsonl.bak", gone.id());
    store.put(&copy, CONTENT, days(5));
    let output = sandbox.run(["purge", "--yes", "--json", "--session", gone.id()]);
    output.exits(1);
    assert_eq!(reasons(&output), ["unrecognised"]);
    assert!(!gone.is_there() && store.has(&copy));
    // In a project's folder all of it is judged where the project is asked for.
    let output = sandbox.run(["purge", "--yes", "--json", "--project", "/work/acme"]);
    output.exits(1);
    assert_eq!(reasons(&output), ["unrecognised", "unrecognised"]);
    assert!(store.has("prompts.db"));
}

#[test]
fn a_line_that_names_no_session_may_be_of_one_of_its_time() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let gone = store.session(1).cwd("/work/acme").aged(days(5)).write();
    store.session(2).cwd("/work/beta").aged(days(5)).write();
    store.history(None, "/work/acme", days(6));
    store.history(None, "/work/acme", days(1));
    store.history(None, "/work/beta", days(6));
    let output = sandbox.run(["purge", "--yes", "--json", "--session", gone.id()]);
    output.exits(1).says("one line of it: it names no session");
    assert_eq!(reasons(&output), ["unattributed"]);
    // A session whose client names it in its lines is of no such time.
    let gone = store.session(3).cwd("/work/acme").aged(days(5)).write();
    store.history(Some(gone.id()), "/work/acme", days(5));
    let output = sandbox.run(["purge", "--yes", "--json", "--session", gone.id()]);
    output.exits(0);
    verdict(&output, "partial");
}

#[test]
fn which_session_is_meant_is_told_before_anything_is_touched() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let one = store.session(1).aged(days(5)).write();
    let other = StoreBuilder::new(sandbox.root().join("other"), sandbox.client_tmp());
    let twin = other.session(1).aged(days(5)).write();
    let purge = |arguments: &[&str]| {
        let all = [&["purge", "--yes", "--json"], arguments].concat();
        sandbox.command(all).env("CLAUDE_CONFIG_DIR", &other.root).run()
    };
    purge(&["--session", "00000001"]).exits(2).says("in several stores");
    purge(&["--session", "0000"]).exits(2).says("too short");
    purge(&["--session", &id(9)]).exits(2).says("no session");
    purge(&["--session", &id(1), "--project", "/work/acme"]).exits(2);
    purge(&["--session", &id(1), "--before", "2026-01-01"]).exits(2);
    assert!(one.is_there() && twin.is_there());
    purge(&["--session", &id(1), "--store", other.root.to_str().unwrap()]).exits(0);
    assert!(one.is_there() && !twin.is_there());
    // One that only its lines still name.
    store.history(Some(&id(5)), "/work/acme", days(5));
    purge(&["--session", &id(5)]).exits(0);
    assert!(!fs::read_to_string(store.path("history.jsonl")).unwrap().contains(&id(5)));
    // A hold that covers it stops it.
    sandbox.run(["hold", "add", "--session", &id(1), "--reason", "r"]).exits(0);
    purge(&["--session", &id(1)]).exits(4);
    assert!(one.is_there());
}

/// What a session's transcript and lines said of it goes first: afterwards nothing tells whose it was.
#[test]
fn what_could_not_be_removed_is_told_although_nothing_says_whose_it_is() {
    let whole = id(1);
    let scopes = [["--session", &whole], ["--project", "/work/acme"], ["--before", "2999-01-01"]];
    for (what, scope) in ["log", "paste", "plan"].iter().flat_map(|what| scopes.map(|scope| (*what, scope))) {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        let slug = json!({"type": "x", "slug": "calm-fox", "cwd": "/work/acme"}).to_string();
        let gone = store.session(1).cwd("/work/acme").head(&slug).aged(days(5)).write();
        store.history_line(&paste(gone.id(), "0123456789abcdef"));
        let path = match what {
            "log" => {
                let log = sandbox
                    .home()
                    .join(".cache/claude-cli-nodejs/-work-acme/mcp-logs-s/2026-11-20T10-00-00-000Z.jsonl");
                let record = json!({"error": CONTENT, "sessionId": gone.id(), "cwd": "/work/acme"});
                put(&log, format!("{record}\n"), days(5));
                log
            }
            "paste" => store.put("paste-cache/0123456789abcdef.txt", CONTENT, days(5)),
            _ => store.put("plans/calm-fox.md", CONTENT, days(5)),
        };
        let folder = path.parent().unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o500)).unwrap();
        sandbox.give_away();
        let words = ["purge", "--yes", "--json"].iter().chain(&scope).copied();
        let output = sandbox.command(words).unprivileged().run();
        assert!(path.exists() && !gone.is_there(), "{what}: {output}");
        output.exits(1);
        verdict(&output, "incomplete");
        assert_eq!(reasons(&output), ["failed"], "{what} {scope:?}: {output}");
        assert_eq!(output.json()["verification"]["left"]["files"], 1, "{what} {scope:?}: {output}");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
}
