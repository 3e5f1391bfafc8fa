//! `explain` from outside.

use serde_json::{Value, json};

use crate::common::output::settled;
use crate::common::sandbox::{deleting, has_namespaces};
use crate::common::store::CONTENT;
use crate::common::{Sandbox, Tree, days, id, skip};

fn explain(sandbox: &Sandbox, what: impl AsRef<std::ffi::OsStr>) -> Value {
    let output = sandbox.command(["explain", "--json"]).arg(what).run();
    let json = output.exits(0).quietly().json();
    assert_eq!(json["schema"], "ccretain.explain/1");
    output.never_says(CONTENT);
    json
}

#[test]
fn a_session_and_all_that_decides_about_it() {
    let (sandbox, store) = deleting();
    sandbox.policy(
        r#"{"version": 1, "keepAtLeast": "2d", "rules": [
            {"name": "elsewhere", "projects": ["/else/**"], "deleteAfter": "1d"},
            {"name": "acme", "projects": ["/work/acme/**"], "deleteAfter": "14d"},
            {"name": "rest", "deleteAfter": "30d"}]}"#,
    );
    store.session(1).aged(days(4)).files_aged(days(1)).write();
    let before = Tree::with_times(sandbox.root());
    let output = sandbox.run(["explain", "00000001"]);
    output.exits(0).quietly().never_says(CONTENT);
    before.is_unchanged(&Tree::with_times(sandbox.root()));
    insta::assert_snapshot!("explain_session", settled(&output.stdout));
    let json = explain(&sandbox, id(1));
    let standing: Vec<&str> =
        json["rules"].as_array().unwrap().iter().map(|rule| rule["standing"].as_str().unwrap()).collect();
    assert_eq!(standing, ["does not match", "decides", "shadowed by 'acme'"]);
    assert_eq!((&json["decision"]["rule"], &json["decision"]["layer"]), (&"acme".into(), &"user".into()));
    assert_eq!((&json["dates"]["counts"], &json["dates"]["differs"]), (&"record".into(), &true.into()));
}

/// A rule that only reports decides nothing, whatever it demands first.
#[test]
fn of_rules_that_act_and_rules_that_only_report_the_first_decide() {
    if !has_namespaces() {
        return skip("needs mount namespaces");
    }
    let (sandbox, store) = deleting();
    let system = sandbox.root().join("system");
    std::fs::create_dir(&system).unwrap();
    std::fs::write(
        system.join("policy.json"),
        r#"{"version": 1, "mode": "enforce", "rules": [{"name": "acts", "deleteAfter": "30d"}]}"#,
    )
    .unwrap();
    sandbox.policy(
        r#"{"version": 1, "mode": "audit", "rules": [{"name": "reports", "deleteAfter": "20d"}],
            "holds": [{"name": "case", "projects": ["/work/**"], "reason": "x"}]}"#,
    );
    store.session(1).aged(days(4)).write();
    let output = sandbox.command(["explain", "--json", "00000001"]).with_system_folder(&system).run();
    let json = output.exits(0).json();
    assert_eq!(json["decision"]["reason"], "held");
    let standing = |name: &str| {
        let rules = json["rules"].as_array().unwrap();
        rules.iter().find(|rule| rule["name"] == name).unwrap_or(&Value::Null)["standing"].clone()
    };
    assert_eq!((standing("acts"), standing("reports")), ("decides".into(), "later".into()), "{json}");
}

#[test]
fn the_decision_is_the_one_of_a_dry_run() {
    let (sandbox, store) = deleting();
    sandbox.policy(
        r#"{"version": 1, "keepAtLeast": "45d", "rules": [{"name": "logs", "kinds": ["debug-log"], "deleteAfter": "3d"},
            {"name": "all", "deleteAfter": "30d"}],
            "holds": [{"name": "case-14", "projects": ["/held"], "reason": "litigation"}]}"#,
    );
    for (number, cwd, age) in [(1, "/a", 4), (2, "/a", 40), (3, "/a", 50), (4, "/held", 50)] {
        store.session(number).cwd(cwd).aged(days(age)).write().satellites();
    }
    store.session(5).undated().files_aged(days(-100)).write();
    store.paste("0123456789abcdef", &id(2), days(40));
    store.put("nobody-knows.bin", "x", days(400));
    store.put("settings.json", "{}", days(400));
    let dry = sandbox.dry_run().exits(0).json();
    let mut words = std::collections::BTreeSet::new();
    for item in dry["items"].as_array().unwrap() {
        let root = dry["stores"][item["store"].as_u64().unwrap() as usize]["root"].as_str().unwrap();
        let root = root
            .replace("[HOME]", sandbox.home().to_str().unwrap())
            .replace("[TMP]", sandbox.tmp().to_str().unwrap());
        let path = std::path::Path::new(&root).join(item["path"].as_str().unwrap());
        let told = explain(&sandbox, &path);
        for key in ["decision", "reason"] {
            assert_eq!(told["decision"][key], item[key], "{key} of {}", path.display());
        }
        if item["decision"] == "delete" {
            assert_eq!(told["decision"]["due"], item["due"], "{}", path.display());
            assert_eq!(told["decision"]["rule"], item["rule"], "{}", path.display());
        }
        words.insert(item["reason"].as_str().unwrap_or("acted on").to_owned());
    }
    for word in ["held", "keep-at-least", "not-due", "acted on", "unrecognised", "future-dated", "protected"]
    {
        assert!(words.contains(word), "{word} is not among {words:?}");
    }
}

#[test]
fn a_kind_of_a_session_has_its_own_rule() {
    let (sandbox, store) = deleting();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "logs", "kinds": ["debug-log"], "deleteAfter": "3d"},
            {"name": "all", "deleteAfter": "30d"}]}"#,
    );
    let session = store.session(1).aged(days(10)).write();
    session.satellites();
    let log = explain(&sandbox, store.path(format!("debug/{}.txt", id(1))));
    assert_eq!((&log["decision"]["decision"], &log["decision"]["rule"]), (&"delete".into(), &"logs".into()));
    assert_eq!(log["what"]["session"], id(1));
    let transcript = explain(&sandbox, &session.transcript);
    assert_eq!(transcript["decision"]["decision"], "keep");
    assert_eq!(transcript["decision"]["rule"], "all");
}

#[test]
fn paths_are_read_from_the_working_folder_and_folders_stand_for_sessions() {
    let (sandbox, store) = deleting();
    let session = store.session(1).aged(days(10)).write();
    session.satellites();
    assert_eq!(explain(&sandbox, session.side())["what"]["is"], "session");
    assert_eq!(explain(&sandbox, session.side().join("subagents"))["what"]["session"], id(1));
    assert_eq!(explain(&sandbox, store.path("projects"))["what"]["is"], "folder");
    assert_eq!(explain(&sandbox, sandbox.config().join("policy.json"))["what"]["is"], "outside");
    let unknown = explain(&sandbox, store.put("nobody-knows.bin", "x", days(4)));
    assert_eq!(unknown["decision"]["reason"], "unrecognised");
    assert_eq!(unknown["rules"], json!([]));
    sandbox.run(["explain", "no/such/file"]).exits(2).says("no session and no file");
    let relative = format!("projects/{}/{}.jsonl", session.folder, id(1));
    let mut command = sandbox.command(["explain", &relative]).command();
    command.current_dir(&store.root);
    assert!(command.output().unwrap().status.success());
}

#[test]
fn a_file_of_lines_tells_what_becomes_of_them() {
    let (sandbox, store) = deleting();
    store.session(1).aged(days(10)).write();
    store.history(Some(&id(1)), "/work/acme", days(10));
    store.history(None, "/work/acme", days(40));
    let json = explain(&sandbox, store.path("history.jsonl"));
    assert_eq!(json["lines"], json!({"not-due": 1, "prune": 1}));
    assert_eq!(json["dates"], Value::Null, "no one date decides about it");
}

#[test]
fn a_hold_a_client_and_a_living_process_are_told_apart() {
    let (sandbox, store) = deleting();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "30d"}],
            "holds": [{"name": "case-14", "projects": ["/held"], "reason": "litigation", "until": "2999-01-01T00:00:00Z"},
                      {"name": "past", "projects": ["/held"], "reason": "over", "until": "2020-01-01T00:00:00Z"}]}"#,
    );
    store.session(1).cwd("/held").aged(days(20)).write();
    let live = store.session(2).aged(days(40)).write();
    store.pid_file(std::process::id(), live.id(), json!({}));
    store.session(3).entrypoint("claude-desktop").aged(days(40)).write();
    let held = explain(&sandbox, id(1));
    assert_eq!(held["holds"].as_array().unwrap().len(), 1, "one has ended: {held}");
    assert_eq!(held["holds"][0]["reason"], "litigation");
    assert_eq!(held["decision"]["reason"], "held");
    assert_eq!(held["client"]["beforeUs"], true, "Claude Code removes what is held: {held}");
    assert!(held["client"]["removes"].is_string());
    let alive = explain(&sandbox, id(2));
    assert_eq!(alive["decision"]["reason"], "live");
    assert_eq!(alive["liveness"]["pid"], std::process::id());
    let desktop = explain(&sandbox, id(3));
    assert_eq!(desktop["client"]["removes"], Value::Null);
    assert_eq!(desktop["decision"]["decision"], "delete");
}
