//! `harden --emit`: settings that the client understands, and that answer what `check` finds.

use std::fs;

use serde_json::{Value, json};

use crate::common::sandbox::has_namespaces;
use crate::common::{Sandbox, days, hours, skip};

fn emit(sandbox: &Sandbox, more: &[&str]) -> Value {
    let arguments = ["harden", "--emit"].iter().chain(more);
    sandbox.run(arguments).exits(0).quietly().json()
}

#[test]
fn every_switch_is_in_it_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    let settings = emit(&sandbox, &[]);
    assert_eq!(
        settings,
        json!({
            "cleanupPeriodDays": 30,
            "desktopSessionCleanupPeriodDays": 30,
            "env": {
                "DISABLE_TELEMETRY": "1",
                "DISABLE_ERROR_REPORTING": "1",
                "DISABLE_FEEDBACK_COMMAND": "1",
                "DISABLE_BUG_COMMAND": "1",
                "CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY": "1",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            },
        })
    );
    let env = emit(&sandbox, &["--keep-updates", "--no-transcripts"])["env"].clone();
    assert_eq!(env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"], Value::Null);
    assert_eq!(
        (&env["DISABLE_TELEMETRY"], &env["CLAUDE_CODE_SKIP_PROMPT_HISTORY"]),
        (&"1".into(), &"1".into())
    );
    // Without the option it is the same: there is nothing else to do.
    assert_eq!(sandbox.run(["harden"]).exits(0).stdout, sandbox.run(["harden", "--emit"]).stdout);
    assert!(!sandbox.home().join(".claude").exists());
}

#[test]
fn the_period_never_undercuts_the_policy() {
    let sandbox = Sandbox::new();
    let days_of = |policy: &str| {
        sandbox.policy(policy);
        let settings = emit(&sandbox, &[]);
        assert_eq!(settings["cleanupPeriodDays"], settings["desktopSessionCleanupPeriodDays"]);
        settings["cleanupPeriodDays"].as_u64().unwrap()
    };
    let rules = |more: &str, rules: &str| format!(r#"{{"version": 1, {more} "rules": [{rules}]}}"#);
    let month = r#"{"name": "a", "deleteAfter": "30d"}"#;
    assert_eq!(days_of(&rules("", month)), 30);
    assert_eq!(
        days_of(&rules("", &format!(r#"{{"name": "b", "projects": ["/b"], "deleteAfter": "7d"}}, {month}"#))),
        30
    );
    assert_eq!(days_of(&rules("", r#"{"name": "a", "deleteAfter": "25h"}"#)), 2, "whole days, never less");
    assert_eq!(days_of(&rules("\"keepAtLeast\": \"90d\",", month)), 90);
    assert_eq!(days_of(&rules("", r#"{"name": "a", "deleteAfter": "never"}"#)), 99_999);
    // A hold of the user's own stays here; that is for preservation copies.
    let held = r#""holds": [{"name": "h", "projects": ["/h"], "reason": "case"}],"#;
    assert_eq!(days_of(&rules(held, month)), 30);
    // An invalid policy emits nothing.
    sandbox.policy("{");
    let output = sandbox.run(["harden", "--emit"]);
    assert_eq!(output.exits(2).stdout, "");
}

#[test]
fn a_property_list_says_the_same() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("14d");
    let output = sandbox.run(["harden", "--emit", "--format", "plist"]);
    output.exits(0).quietly();
    let value: plist::Value = plist::from_bytes(output.stdout.as_bytes()).unwrap();
    let settings = value.as_dictionary().unwrap();
    assert_eq!(settings["cleanupPeriodDays"].as_unsigned_integer(), Some(14));
    assert_eq!(settings["env"].as_dictionary().unwrap()["DISABLE_TELEMETRY"].as_string(), Some("1"));
}

#[test]
fn deployed_it_answers_every_row_and_no_repository_overrides_it() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let project = sandbox.home().join("repo");
    store.session(1).cwd(project.to_str().unwrap()).aged(days(1)).write();
    store.session(2).entrypoint("claude-desktop").aged(hours(5)).write();
    let undo =
        json!({"cleanupPeriodDays": 1, "env": {"DISABLE_TELEMETRY": "", "DISABLE_FEEDBACK_COMMAND": "0"}});
    sandbox.write("repo/.claude/settings.json", undo.to_string());
    let folder = sandbox.root().join("system");
    fs::create_dir_all(folder.join("etc/claude-code")).unwrap();
    let policy = r#"{"version": 1, "rules": [{"name": "a", "deleteAfter": "30d"}],
        "holds": [{"name": "case", "projects": ["/case"], "reason": "litigation"}]}"#;
    let check = || {
        let json = sandbox.command(["check", "--json"]).with_system_folder(&folder).run().json();
        let ids: Vec<String> = json["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| finding["id"].as_str().unwrap().to_owned())
            .filter(|id| id.starts_with("client-"))
            .collect();
        (json, ids)
    };
    fs::write(
        folder.join("policy.json"),
        r#"{"version": 1, "rules": [{"name": "a", "deleteAfter": "30d"}]}"#,
    )
    .unwrap();
    let (_, before) = check();
    for id in ["client-metrics", "client-feedback", "client-period-overridden", "client-desktop-kept"] {
        assert!(before.iter().any(|found| found == id), "{before:?}");
    }
    let emitted = sandbox.command(["harden", "--emit"]).with_system_folder(&folder).run();
    emitted.exits(0).quietly();
    fs::write(folder.join("etc/claude-code/managed-settings.json"), &emitted.stdout).unwrap();
    let (json, after) = check();
    assert_eq!(after, Vec::<String>::new(), "{json:#}");
    for row in json["client"][0]["rows"].as_array().unwrap() {
        let subject = row["subject"].as_str().unwrap();
        let is_answered = !["provider", "transcripts", "server-side-retention"].contains(&subject);
        assert_eq!(row["pinned"], is_answered, "{row}");
    }
    // With a hold that comes with the policy the client is given no end, for it does not know of holds.
    fs::write(folder.join("policy.json"), policy).unwrap();
    let emitted = sandbox.command(["harden", "--emit"]).with_system_folder(&folder).run();
    assert_eq!(emitted.exits(0).json()["cleanupPeriodDays"], 99_999);
}
