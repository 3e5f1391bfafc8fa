//! Content that settings of Claude Code put elsewhere, and clients newer than the catalogue: followed, or said.

use serde_json::{Value, json};

use crate::common::store::{CONTENT, put};
use crate::common::{Sandbox, days, id};

fn settings(sandbox: &Sandbox, text: &Value) {
    sandbox.write(".claude/settings.json", text.to_string());
}

#[test]
fn a_folder_of_debug_logs_is_followed_under_names_with_an_id_alone() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let (old, young) = (store.session(1).aged(days(40)).write(), store.session(2).aged(days(2)).write());
    let logs = sandbox.home().join("logs");
    settings(&sandbox, &json!({"env": {"CLAUDE_CODE_DEBUG_LOGS_DIR": logs}}));
    let goes = [
        format!("{}.txt", old.id()),
        format!("{}.1.txt", old.id()),
        // Of a session that left nothing else.
        format!("{}.txt", id(9)),
    ];
    let stays = [
        format!("{}.txt", young.id()),
        "notes.txt".to_owned(),
        "latest".to_owned(),
        format!("{}.log", old.id()),
        format!("deeper/{}.txt", old.id()),
    ];
    for name in goes.iter().chain(&stays) {
        put(&logs.join(name), CONTENT, days(40));
    }
    sandbox.delete_after("30d");
    let output = sandbox.enforce();
    output.exits(0);
    assert!(goes.iter().all(|name| !logs.join(name).exists()), "{output}");
    assert!(stays.iter().all(|name| logs.join(name).exists()), "{output}");
    // It is covered, and nothing is said of it.
    let status = sandbox.run(["status", "--json"]).json();
    assert_eq!(status.get("notCovered"), None);
}

#[test]
fn a_folder_of_debug_logs_in_a_store_is_known_by_the_store() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let old = store.session(1).aged(days(40)).write();
    let log = store.put(format!("debug/{}.txt", old.id()), CONTENT, days(40));
    settings(&sandbox, &json!({"env": {"CLAUDE_CODE_DEBUG_LOGS_DIR": store.path("debug")}}));
    sandbox.delete_after("30d");
    let output = sandbox.enforce();
    output.exits(0);
    assert!(!log.exists());
    assert_eq!(output.items("txt").len(), 1, "{output}");
}

#[test]
fn what_is_not_followed_is_named_and_never_touched() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(40)).write();
    let elsewhere = sandbox.home().join("elsewhere");
    let files =
        ["plan.md", "MEMORY.md", "diag.jsonl", "record.cast", "index.jsonl", "debug.log", "scratch/x"];
    for name in files {
        put(&elsewhere.join(name), CONTENT, days(400));
    }
    let at = |name: &str| elsewhere.join(name).display().to_string();
    settings(
        &sandbox,
        &json!({
            "plansDirectory": "docs/plans", "autoMemoryDirectory": "~/elsewhere",
            "env": {
                "CLAUDE_CODE_DEBUG_LOGS_DIR": at("debug.log"), "CLAUDE_CODE_SCRATCHPAD_DIR": at("scratch"),
                "CLAUDE_CODE_DIAGNOSTICS_FILE": at("diag.jsonl"), "CLAUDE_PTY_RECORD": at("record.cast"),
                "OTEL_LOG_RAW_API_BODIES": format!("file:{}", elsewhere.display()), "AUTOMODE_DECISION_LOG": "1",
                "A_TOKEN": "a-secret-of-mine",
            },
        }),
    );
    sandbox.delete_after("30d");
    sandbox.enforce().exits(0);
    assert!(files.iter().all(|name| elsewhere.join(name).exists()));
    let names = [
        "plansDirectory",
        "autoMemoryDirectory",
        "CLAUDE_CODE_DEBUG_LOGS_DIR",
        "CLAUDE_CODE_SCRATCHPAD_DIR",
        "CLAUDE_CODE_DIAGNOSTICS_FILE",
        "CLAUDE_PTY_RECORD",
        "OTEL_LOG_RAW_API_BODIES",
    ];
    let status = sandbox.run(["status", "--json"]).json();
    let told = status["notCovered"].to_string();
    assert_eq!(status["notCovered"].as_array().unwrap().len(), names.len(), "{told}");
    let text = sandbox.run(["status"]);
    let check = sandbox.run(["check", "--format", "json"]);
    let finding =
        check.json()["findings"].as_array().unwrap().iter().find(|one| one["id"] == "moved-data").cloned();
    let finding = finding.unwrap_or_else(|| panic!("no finding in {check}"));
    assert_eq!(finding["severity"], "low");
    sandbox.run(
        ["purge", "--yes", "--certificate", "[ROOT]/c.json"]
            .map(|word| word.replace("[ROOT]", sandbox.root().to_str().unwrap())),
    );
    assert!(files.iter().all(|name| elsewhere.join(name).exists()));
    let certificate = std::fs::read_to_string(sandbox.root().join("c.json")).unwrap();
    let certificate: Value = serde_json::from_str(&certificate).unwrap();
    let risks = certificate["residualRisks"].as_array().unwrap();
    let risk = risks.iter().find(|risk| risk["id"] == "moved-data").unwrap();
    assert_eq!(risk["seen"], "yes");
    for name in names {
        assert!(told.contains(name), "{name} is missing in {told}");
        text.says(name);
        assert!(finding["evidence"].to_string().contains(name), "{name} is missing in {finding}");
        assert!(risk["evidence"].to_string().contains(name), "{name} is missing in {risk}");
    }
    text.never_says("a-secret-of-mine");
}

#[test]
fn without_movers_nothing_is_said() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(2)).write();
    settings(
        &sandbox,
        &json!({"plansDirectory": store.path("plans"), "env": {"OTEL_LOG_RAW_API_BODIES": "1"}}),
    );
    let status = sandbox.run(["status", "--json"]).json();
    assert_eq!(status.get("notCovered"), None);
    let check = sandbox.run(["check", "--format", "json"]);
    check.never_says("moved-data");
}

/// A record of a version, which may tell of another one.
fn record(version: &str) -> String {
    json!({
        "type": "user", "sessionId": id(1), "version": version, "cwd": "/work/acme", "uuid": id(2),
        "message": {"role": "user", "content": [{"type": "tool_use", "input": {"version": "99.0.0"}}]},
    })
    .to_string()
}

#[test]
fn a_client_newer_than_the_catalogue_is_said() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(2)).head(&record("2.1.340")).write();
    store.session(2).aged(days(2)).head(&record("2.1.332")).write();
    store.put(format!("new-things/{}/part-17.bin", id(1)), CONTENT, days(2));
    store.put(format!("new-things/{}/part-18.bin", id(2)), CONTENT, days(2));
    store.put("projects/-home-ann-merger/new-0123456789abcdef", CONTENT, days(2));
    // Twice: the second look takes what the first has remembered.
    sandbox.delete_after("30d");
    sandbox.enforce().exits(0);
    for _ in 0..2 {
        let status = sandbox.run(["status", "--json"]).json();
        assert_eq!(status["untried"], json!(["2.1.340"]));
    }
    sandbox.run(["status"]).says("Claude Code 2.1.340 wrote here");
    let check = sandbox.run(["check", "--format", "json"]);
    let findings = check.json()["findings"].as_array().unwrap().clone();
    let finding =
        findings.iter().find(|one| one["id"] == "client-newer").unwrap_or_else(|| panic!("{check}"));
    assert_eq!(finding["severity"], "low");
    let evidence = finding["evidence"].to_string();
    for part in [
        "2.1.340",
        "2.1.332",
        "2 files named like 'new-things/<uuid>/part-<n>.bin'",
        "projects/<project>/new-<hex>",
    ] {
        assert!(evidence.contains(part), "{part} is missing in {evidence}");
    }
    assert!(!evidence.contains("merger") && !evidence.contains("99.0.0"), "{evidence}");
}

#[test]
fn clients_that_are_known_are_no_finding() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(2)).head(&record("2.1.332")).write();
    store.put("new-things/x", CONTENT, days(2));
    let status = sandbox.run(["status", "--json"]).json();
    assert_eq!(status.get("untried"), None);
    sandbox.run(["check", "--format", "json"]).never_says("client-newer");
}
