//! `check` from outside: what it finds, what it leaves, and how it says so.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::common::sandbox::has;
use crate::common::store::{CONTENT, age};
use crate::common::{Output, Sandbox, StoreBuilder, Tree, days, hours, id, now, skip};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// A sandbox with which nothing is wrong: a policy, a schedule, and a run that ended well.
fn sound() -> (Sandbox, StoreBuilder) {
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    let store = sandbox.store();
    store.session(999).cwd("/work/anchor").aged(hours(3)).write();
    sandbox.run(["schedule", "install", "--backend", "claude-hook", "--write"]).exits(0);
    mode(&store.path("settings.json"), 0o600);
    sandbox.enforce().exits(0);
    (sandbox, store)
}

fn check(sandbox: &Sandbox) -> Value {
    let json = sandbox.run(["check", "--json"]).quietly().json();
    assert_eq!(json["schema"], "ccretain.check/1");
    json
}

fn ids(json: &Value) -> Vec<String> {
    let findings = json["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
}

fn finding(json: &Value, id: &str) -> Value {
    let findings = json["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {:?}", ids(json))).clone()
}

fn lacks(json: &Value, id: &str) {
    assert!(!ids(json).iter().any(|found| found == id), "{id} in {json:#}");
}

fn says(finding: &Value, text: &str) {
    assert!(finding["evidence"].to_string().contains(text), "no {text} in {finding:#}");
}

#[test]
fn a_sound_machine_is_compliant_and_silent() {
    let (sandbox, _) = sound();
    let before = Tree::with_times(sandbox.root());
    let output = sandbox.run(["check"]);
    output.exits(0).quietly();
    assert!(output.stdout.starts_with("compliant\n"), "{output}");
    let json = check(&sandbox);
    assert_eq!((&json["compliant"], &json["verdict"]), (&true.into(), &"compliant".into()));
    assert_eq!(json["summary"]["medium"], 0);
    assert_eq!(json["lastRun"]["exit"], 0);
    assert!(json["policy"]["sha256"].is_string() && json["host"].is_string());
    let config = json["stores"].as_array().unwrap().iter().find(|store| store["kind"] == "config").unwrap();
    assert_eq!((&config["sessions"], &config["oldestAgeDays"]), (&1.into(), &0.into()));
    before.is_unchanged(&Tree::with_times(sandbox.root()));
    // What is low counts for whoever says so.
    assert!(json["summary"]["low"].as_u64().unwrap() > 0, "{json:#}");
    sandbox.run(["check", "--fail-on", "low"]).exits(3).quietly();
    sandbox.run(["check", "--fail-on", "high"]).exits(0);
}

#[test]
fn a_machine_without_anything_is_not_compliant() {
    let sandbox = Sandbox::new();
    let before = Tree::with_times(sandbox.root());
    let output = sandbox.run(["check", "--json"]);
    output.exits(3).quietly();
    assert_eq!(ids(&output.json())[..2], ["run-missing", "schedule-missing"]);
    before.is_unchanged(&Tree::with_times(sandbox.root()));
}

#[test]
fn what_is_overdue_is_counted_by_store() {
    let (sandbox, store) = sound();
    store.session(1).aged(days(33)).write().satellites();
    store.history(Some(&id(1)), "/work/acme", days(33));
    store.session(2).aged(days(30) + hours(2)).write();
    let json = check(&sandbox);
    let found = finding(&json, "overdue");
    assert_eq!(found["severity"], "high");
    says(&found, "1 session,");
    says(&found, "1 line");
    says(&found, "due for up to 3 days");
    let overdue = json["stores"][0]["overdue"].as_u64().unwrap();
    assert!(overdue > 3 && json["stores"][0]["overdueBytes"].as_u64().unwrap() > 0, "{json:#}");
    // The second is due for two hours: that is what the grace is for.
    let strict = sandbox.run(["check", "--json", "--grace", "1h"]).json();
    says(&finding(&strict, "overdue"), "2 sessions");
    lacks(&sandbox.run(["check", "--json", "--grace", "4d"]).json(), "overdue");
    sandbox.enforce().exits(0);
    lacks(&check(&sandbox), "overdue");
}

#[test]
fn sessions_of_a_store_that_is_not_asked_for_are_not_overdue() {
    let (sandbox, store) = sound();
    store.session(1).aged(days(33)).write();
    let elsewhere = sandbox.root().join("elsewhere");
    let output = sandbox.command(["check", "--json", "--store"]).arg(&elsewhere).run();
    lacks(&output.json(), "overdue");
}

#[test]
fn a_ledger_that_was_changed_or_cut_is_found() {
    let (sandbox, _) = sound();
    let whole = fs::read_to_string(sandbox.ledger()).unwrap();
    lacks(&check(&sandbox), "ledger-broken");
    fs::write(sandbox.ledger(), whole.replacen("\"event\":\"started\"", "\"event\":\"intent\"", 1)).unwrap();
    let json = check(&sandbox);
    assert_eq!(json["compliant"], false);
    says(&finding(&json, "ledger-broken"), "line");
    // Without its last record the chain holds together, and only the head that is remembered tells.
    let cut: Vec<&str> = whole.lines().collect();
    fs::write(sandbox.ledger(), cut[..cut.len() - 1].join("\n") + "\n").unwrap();
    finding(&check(&sandbox), "ledger-cut");
    fs::write(sandbox.ledger(), &whole).unwrap();
    assert_eq!(check(&sandbox)["compliant"], true);
    // A line that is being written is no damage.
    fs::write(sandbox.ledger(), whole + "{\"seq\":").unwrap();
    lacks(&check(&sandbox), "ledger-broken");
    fs::remove_file(sandbox.ledger()).unwrap();
    fs::create_dir(sandbox.ledger()).unwrap();
    finding(&check(&sandbox), "ledger-unreadable");
}

#[test]
fn a_ledger_that_cannot_be_written_is_found() {
    let (sandbox, _) = sound();
    mode(&sandbox.ledger(), 0o400);
    sandbox.give_away();
    let json = sandbox.command(["check", "--json"]).unprivileged().run().json();
    finding(&json, "ledger-unwritable");
    mode(&sandbox.ledger(), 0o600);
    let json = sandbox.command(["check", "--json"]).unprivileged().run().json();
    lacks(&json, "ledger-unwritable");
}

#[test]
fn a_policy_that_cannot_be_used_is_a_finding_and_not_the_end() {
    let (sandbox, store) = sound();
    store.session(1).aged(days(300)).write();
    sandbox.policy("{ \"version\": 1, \"rulez\": [] }");
    let output = sandbox.run(["check", "--json"]);
    output.exits(3).quietly();
    let json = output.json();
    says(&finding(&json, "policy-invalid"), "rulez");
    assert_eq!((&json["policy"], &json["mode"]), (&Value::Null, &Value::Null));
    lacks(&json, "overdue");
    assert!(json["stores"][0]["sessions"].as_u64().unwrap() > 1, "the rest was looked at");
    // Who names a file wants that one.
    let missing = sandbox.root().join("missing.json");
    sandbox.command(["check", "--policy"]).arg(&missing).run().exits(2).says("missing.json");
}

#[test]
fn a_policy_that_deletes_nothing_or_only_reports_is_told() {
    let (sandbox, store) = sound();
    sandbox.policy(r#"{"version": 1, "mode": "audit", "rules": [{"name": "a", "deleteAfter": "30d"}]}"#);
    let json = check(&sandbox);
    assert_eq!(finding(&json, "audit-mode")["severity"], "low");
    assert_eq!(json["mode"], "audit");
    fs::remove_file(sandbox.config().join("policy.json")).unwrap();
    lacks(&check(&sandbox), "policy-suspended");
    store.put("settings.json", "{ broken", hours(1));
    let json = check(&sandbox);
    assert_eq!(finding(&json, "policy-suspended")["severity"], "high");
    finding(&json, "client-sweep-paused");
}

#[test]
fn state_that_cannot_be_read_is_a_finding() {
    let (sandbox, _) = sound();
    fs::write(sandbox.state().join("state.json"), "{ broken").unwrap();
    let output = sandbox.run(["check", "--json"]);
    output.exits(3).quietly();
    finding(&output.json(), "state-unreadable");
    assert_eq!(fs::read_to_string(sandbox.state().join("state.json")).unwrap(), "{ broken");
}

#[test]
fn a_lock_that_is_held_for_days_is_a_finding_and_no_success() {
    let (sandbox, store) = sound();
    let due = store.session(77).aged(days(40)).write();
    let lock = fs::File::open(store.path("ccretain/lock")).unwrap();
    lock.lock().unwrap();
    // Another run that works now.
    sandbox.enforce().exits(75);
    lacks(&check(&sandbox), "lock-held");
    age(&store.path("ccretain/lock"), days(2));
    finding(&check(&sandbox), "lock-held");
    sandbox.enforce().exits(75).says("has been held since").says("for 2 days").says("fuser -v");
    sandbox.run(["purge", "--yes"]).exits(75).says("for 2 days");
    assert!(due.is_there());
    drop(lock);
    lacks(&check(&sandbox), "lock-held");
    sandbox.enforce().exits(0);
}

#[test]
fn what_a_guard_refuses_is_told_before_the_run_finds_out() {
    let (sandbox, store) = sound();
    for number in 1..=24 {
        store.session(number).aged(days(40)).write();
    }
    let json = check(&sandbox);
    finding(&json, "guard-refusal");
    assert_eq!(finding(&json, "guard-refusal")["evidence"].as_array().unwrap().len(), 1);
    sandbox.run(["enforce", "--yes"]).exits(4);
    let json = check(&sandbox);
    assert_eq!(finding(&json, "guard-refusal")["evidence"].as_array().unwrap().len(), 1, "{json:#}");
    says(&finding(&json, "run-failed"), "exit 4");
}

#[test]
fn sessions_that_no_rule_reaches_are_counted() {
    let (sandbox, store) = sound();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "a", "projects": ["/work/**"], "deleteAfter": "30d"}]}"#,
    );
    store.session(1).cwd("/other").aged(days(2)).write();
    store.session(2).undated().aged(-days(3)).write();
    let json = check(&sandbox);
    assert_eq!(finding(&json, "no-delete-rule")["count"], 1);
    assert_eq!(finding(&json, "future-dated")["count"], 1);
    lacks(&json, "undated");
}

#[test]
fn unknown_files_are_told_and_that_they_become_more_too() {
    let (sandbox, store) = sound();
    store.put("nobody-knows-0.bin", "x", days(2));
    sandbox.enforce().exits(0);
    let json = check(&sandbox);
    assert_eq!(finding(&json, "unrecognised")["count"], 1);
    lacks(&json, "unrecognised-growing");
    for number in 1..=12 {
        store.put(format!("nobody-knows-{number}.bin"), "x", days(2));
    }
    says(&finding(&check(&sandbox), "unrecognised-growing"), "13 files");
}

#[test]
fn roots_that_are_gone_or_refused_are_found() {
    let (sandbox, store) = sound();
    let other = sandbox.root().join("other");
    let far = StoreBuilder::new(other.clone(), sandbox.client_tmp());
    far.session(5).aged(days(1)).write();
    sandbox.command(["enforce", "--yes"]).env("CLAUDE_CONFIG_DIR", &other).run().exits(0);
    lacks(&check(&sandbox), "root-missing");
    fs::rename(&other, sandbox.root().join("moved")).unwrap();
    says(&finding(&check(&sandbox), "root-missing"), "other");
    mode(&store.root, 0o777);
    let json = check(&sandbox);
    says(&finding(&json, "root-refused"), "writable by everyone");
    assert_eq!(json["compliant"], false);
}

#[test]
fn what_was_held_and_has_vanished_is_found() {
    let (sandbox, store) = sound();
    let session = store.session(1).cwd("/held").aged(days(3)).write();
    sandbox.run(["hold", "add", "--project", "/held", "--reason", "case", "--name", "case"]).exits(0);
    sandbox.enforce().exits(0);
    lacks(&check(&sandbox), "held-vanished");
    fs::remove_file(&session.transcript).unwrap();
    says(&finding(&check(&sandbox), "held-vanished"), session.id());
}

#[test]
fn the_schedule_is_looked_at() {
    let (sandbox, store) = sound();
    lacks(&check(&sandbox), "schedule-missing");
    let settings = fs::read_to_string(store.path("settings.json")).unwrap();
    let program = crate::common::sandbox::program();
    let program = program.to_str().unwrap();
    assert!(settings.contains(program));
    fs::write(store.path("settings.json"), settings.replace(program, "/nowhere/ccretain")).unwrap();
    says(&finding(&check(&sandbox), "schedule-broken"), "does not start");
    let other = sandbox.write("bin/ccretain", "#!/bin/sh\necho ccretain 0.0.1\n");
    mode(&other, 0o755);
    fs::write(store.path("settings.json"), settings.replace(program, other.to_str().unwrap())).unwrap();
    let json = check(&sandbox);
    says(&finding(&json, "schedule-version"), "0.0.1");
    lacks(&json, "schedule-broken");
    fs::remove_file(store.path("settings.json")).unwrap();
    finding(&check(&sandbox), "schedule-missing");
}

#[test]
fn a_run_that_is_too_long_ago_and_files_of_an_interrupted_one_are_found() {
    if !has("faketime") {
        return skip("needs faketime");
    }
    let (sandbox, store) = sound();
    store.put(format!("ccretain/sealed/{}/.x.zst.age.part", id(7)), "half", hours(1));
    let json = check(&sandbox);
    lacks(&json, "leftovers");
    lacks(&json, "run-late");
    let later = sandbox.command(["check", "--json"]).at(now() + days(4) + hours(1)).run().json();
    says(&finding(&later, "run-late"), "4 days ago");
    assert_eq!(finding(&later, "leftovers")["count"], 1);
}

/// A recipient and its file.
fn key(sandbox: &Sandbox) -> String {
    sandbox.run(["key", "new"]).exits(0).stdout.lines().find(|line| line.contains("age1")).map_or_else(
        || panic!("no recipient"),
        |line| line[line.find("age1").unwrap()..].split_whitespace().next().unwrap().to_owned(),
    )
}

fn sealing(recipient: &str, more: &str) -> String {
    format!(
        r#"{{"version": 1, "recipients": ["{recipient}"{more}],
            "rules": [{{"name": "a", "sealAfter": "2d", "deleteAfter": "30d"}}]}}"#
    )
}

#[test]
fn what_is_not_sealed_in_time_and_not_to_todays_recipients_is_found() {
    let (sandbox, store) = sound();
    let recipient = key(&sandbox);
    sandbox.policy(&sealing(&recipient, ""));
    store.session(1).aged(days(9)).write();
    store.session(2).aged(days(2) + hours(3)).write();
    let found = finding(&check(&sandbox), "unsealed");
    says(&found, "1 session");
    sandbox.enforce().exits(0);
    let json = check(&sandbox);
    lacks(&json, "unsealed");
    lacks(&json, "sealed-to-others");
    let other = ", \"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\"";
    sandbox.policy(&sealing(&recipient, other));
    assert_eq!(finding(&check(&sandbox), "sealed-to-others")["count"], 2);
    sandbox.run(["rekey"]).exits(0);
    lacks(&check(&sandbox), "sealed-to-others");
    let record = store.path(format!("ccretain/sealed/{}/session.json", id(1)));
    let text = fs::read_to_string(&record).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value.as_object_mut().unwrap().remove("recipients");
    fs::write(&record, value.to_string()).unwrap();
    let json = check(&sandbox);
    assert_eq!(finding(&json, "sealed-to-unknown")["severity"], "info");
    fs::write(&record, "{").unwrap();
    finding(&check(&sandbox), "sealed-unreadable");
    // The key that opens them all.
    lacks(&json, "identity-loose");
    mode(&sandbox.config().join("identity.age"), 0o644);
    finding(&check(&sandbox), "identity-loose");
    mode(&sandbox.state(), 0o755);
    finding(&check(&sandbox), "own-files-loose");
}

#[test]
fn permissions_count_by_who_gets_there_and_are_repaired() {
    let (sandbox, store) = sound();
    let session = store.session(1).aged(days(2)).write();
    let result = session.side_file("tool-results/toolu_01.txt", CONTENT);
    mode(&result, 0o644);
    mode(result.parent().unwrap(), 0o755);
    let secret = store.put(".credentials.json", "{}", days(1));
    mode(&secret, 0o644);
    let json = check(&sandbox);
    assert_eq!(finding(&json, "credentials-loose")["severity"], "low", "the folder above is closed");
    assert_eq!(finding(&json, "files-readable")["severity"], "info");
    lacks(&json, "store-readable");
    assert_eq!(json["compliant"], true);
    // Now everybody gets there.
    for folder in [sandbox.root().to_owned(), sandbox.home(), store.root.clone(), store.path("projects")] {
        mode(&folder, 0o755);
    }
    mode(session.transcript.parent().unwrap(), 0o755);
    mode(result.parent().unwrap().parent().unwrap(), 0o755);
    mode(&store.root, 0o775);
    let json = check(&sandbox);
    assert_eq!(finding(&json, "store-readable")["severity"], "high");
    assert_eq!(finding(&json, "store-group-writable")["severity"], "medium");
    assert_eq!(finding(&json, "credentials-loose")["severity"], "high");
    assert_eq!(finding(&json, "files-readable")["severity"], "medium");
    assert_eq!(json["compliant"], false);
    // What is not ours to change, or is elsewhere too.
    let unknown = store.put("nobody-knows.bin", "x", days(1));
    let linked = session.side_file("tool-results/toolu_02.txt", CONTENT);
    let skill = store.put("skills/mine/run.sh", "x", days(1));
    let outside = sandbox.write("outside.txt", "mine");
    let target = sandbox.write("target.txt", "mine");
    for path in [&unknown, &linked, &outside, &skill, &target] {
        mode(path, 0o755);
    }
    fs::hard_link(&linked, sandbox.root().join("second-name")).unwrap();
    session.settle();
    std::os::unix::fs::symlink(&target, result.parent().unwrap().join("toolu_03.txt")).unwrap();
    let executable = session.side_file("tool-results/toolu_04.sh", CONTENT);
    mode(&executable, 0o755);
    let output = sandbox.run(["check", "--fix", "--json"]);
    let json = output.json();
    output.exits(0).quietly();
    assert_eq!((mode_of(&store.root), mode_of(&store.path("projects"))), (0o700, 0o700));
    assert_eq!((mode_of(&result), mode_of(&secret), mode_of(&executable)), (0o600, 0o600, 0o700));
    for path in [&unknown, &linked, &outside, &skill, &target] {
        assert_eq!(mode_of(path), 0o755, "{}", path.display());
    }
    assert_eq!(mode_of(&sandbox.home()), 0o755, "the home is the user's own");
    let left = json["fixed"]["left"].to_string();
    assert!(left.contains("nobody-knows.bin") && left.contains("toolu_02.txt"), "{json:#}");
    assert!(json["fixed"]["files"].as_u64().unwrap() >= 3, "{json:#}");
    lacks(&json, "store-readable");
    lacks(&json, "credentials-loose");
    let lines = sandbox.ledger_lines();
    let of = |event: &str| {
        lines.iter().filter(|line| line["event"] == event && line["decision"] == "close").count()
    };
    assert_eq!((of("intent"), of("outcome")), (1, 1), "{lines:?}");
    let framing: Vec<_> = lines.iter().filter(|line| line["decision"] == "check-fix").collect();
    assert_eq!(framing.iter().map(|line| &line["event"]).collect::<Vec<_>>(), ["started", "summary"]);
    for line in framing {
        assert_eq!(line["policy"].as_str(), json["policy"]["sha256"].as_str(), "{line:#}");
        assert!(line["policy"].is_string(), "{line:#}");
    }
    sandbox.run(["ledger", "verify"]).exits(0);
    // Once more is nothing more; and the store is as usable as before.
    let again = sandbox.run(["check", "--fix", "--json"]).json();
    assert_eq!((&again["fixed"]["files"], &again["fixed"]["folders"]), (&0.into(), &0.into()), "{again:#}");
    assert_eq!(sandbox.ledger_lines().len(), lines.len(), "{again:#}");
    sandbox.enforce().exits(0);
}

#[test]
fn a_repair_waits_for_nobody_and_touches_nothing_without_a_record() {
    let (sandbox, store) = sound();
    mode(&store.root, 0o755);
    let lock = fs::File::open(store.path("ccretain/lock")).unwrap();
    lock.lock().unwrap();
    sandbox.run(["check", "--fix"]).exits(75);
    drop(lock);
    assert_eq!(mode_of(&store.root), 0o755);
    fs::remove_file(sandbox.ledger()).unwrap();
    fs::create_dir(sandbox.ledger()).unwrap();
    sandbox.run(["check", "--fix"]).exits(4);
    assert_eq!(mode_of(&store.root), 0o755);
}

#[test]
fn memory_snapshots_are_found() {
    let (sandbox, _) = sound();
    lacks(&check(&sandbox), "heap-snapshot");
    let dump = sandbox.home().join("Desktop").join(format!("{}.heapsnapshot", id(999)));
    crate::common::store::put(&dump, CONTENT, hours(5));
    assert_eq!(finding(&check(&sandbox), "heap-snapshot")["count"], 1);
}

fn row(json: &Value, subject: &str) -> Value {
    let rows = json["client"][0]["rows"].as_array().unwrap_or_else(|| panic!("no rows in {json:#}"));
    rows.iter().find(|row| row["subject"] == subject).unwrap().clone()
}

/// The settings of the client, with the hook left in them.
fn settings(store: &StoreBuilder, more: &Value) {
    let text = fs::read_to_string(store.path("settings.json")).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    for key in ["env", "cleanupPeriodDays", "feedbackSurveyRate"] {
        value.as_object_mut().unwrap().remove(key);
    }
    for (key, more) in more.as_object().unwrap() {
        value[key] = more.clone();
    }
    fs::write(store.path("settings.json"), value.to_string()).unwrap();
}

#[test]
fn what_the_client_sends_is_told_with_the_source_that_decides() {
    let (sandbox, store) = sound();
    let all = ["metrics", "error-reports", "feedback", "survey"];
    let json = check(&sandbox);
    for subject in all {
        finding(&json, &format!("client-{subject}"));
        let row = row(&json, subject);
        assert_eq!((&row["state"], &row["decidedBy"]), (&"on".into(), &"default".into()), "{subject}");
    }
    finding(&json, "server-side-retention");
    let cases = [
        (json!({"DISABLE_TELEMETRY": "1"}), "metrics", vec!["metrics", "survey"]),
        (json!({"DISABLE_ERROR_REPORTING": "1"}), "error-reports", vec!["error-reports"]),
        (json!({"DISABLE_FEEDBACK_COMMAND": "1"}), "feedback", vec!["feedback"]),
        (json!({"DISABLE_BUG_COMMAND": "true"}), "feedback", vec!["feedback"]),
        (json!({"CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY": "1"}), "survey", vec!["survey"]),
        (json!({"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}), "nonessential-traffic", all.to_vec()),
    ];
    for (env, subject, off) in cases {
        settings(&store, &json!({ "env": env }));
        let json = check(&sandbox);
        for other in all {
            let expected = if off.contains(&other) { "off" } else { "on" };
            assert_eq!(row(&json, other)["state"], expected, "{other} with {env}");
            let is_found = ids(&json).contains(&format!("client-{other}"));
            assert_eq!(is_found, expected == "on", "{other} with {env}");
        }
        assert_eq!(row(&json, subject)["decidedBy"], "user", "{subject}");
        assert!(row(&json, subject)["path"].as_str().unwrap().ends_with("settings.json"));
    }
    // A provider turns three of the four off; a host platform turns one of them on again.
    for (name, word) in [
        ("CLAUDE_CODE_USE_BEDROCK", "Amazon Bedrock"),
        ("CLAUDE_CODE_USE_VERTEX", "Google Vertex AI"),
        ("CLAUDE_CODE_USE_FOUNDRY", "Microsoft Foundry"),
    ] {
        settings(&store, &json!({"env": {name: "1"}}));
        let json = check(&sandbox);
        says(&finding(&json, "client-provider"), word);
        assert_eq!(row(&json, "metrics")["decidedBy"], "provider");
        lacks(&json, "client-metrics");
        lacks(&json, "client-error-reports");
        lacks(&json, "client-feedback");
        finding(&json, "client-survey");
    }
    settings(
        &store,
        &json!({"env": {
        "CLAUDE_CODE_USE_BEDROCK": "1", "CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST": "1"}}),
    );
    finding(&check(&sandbox), "client-metrics");
    settings(&store, &json!({"feedbackSurveyRate": 0}));
    lacks(&check(&sandbox), "client-survey");
    settings(&store, &json!({"env": {"CLAUDE_CODE_SKIP_PROMPT_HISTORY": "1"}}));
    finding(&check(&sandbox), "client-writes-nothing");
}

#[test]
fn the_environment_counts_and_settings_override_it_and_no_value_is_printed() {
    let (sandbox, store) = sound();
    let with = |value: &str| {
        let run = sandbox.command(["check", "--json", "-v"]).env("DISABLE_TELEMETRY", value);
        run.env("ANTHROPIC_API_KEY", "sk-secret-1").run()
    };
    let output = with("1");
    assert_eq!(row(&output.json(), "metrics")["decidedBy"], "environment");
    settings(&store, &json!({"env": {"DISABLE_TELEMETRY": "", "ANTHROPIC_API_KEY": "sk-secret-2"}}));
    let output = with("1");
    finding(&output.json(), "client-metrics");
    // The client takes any value for set; who wrote 0 may have meant otherwise.
    settings(&store, &json!({"env": {"DISABLE_TELEMETRY": "0", "DISABLE_FEEDBACK_COMMAND": "sk-secret-3"}}));
    let output = with("1");
    lacks(&output.json(), "client-metrics");
    says(&finding(&output.json(), "client-switch-odd"), "DISABLE_TELEMETRY");
    finding(&output.json(), "client-feedback");
    for secret in ["sk-secret-1", "sk-secret-2", "sk-secret-3"] {
        output.never_says(secret);
    }
}

#[test]
fn a_repository_that_overrides_is_named() {
    let (sandbox, store) = sound();
    let project = sandbox.home().join("repo");
    store.session(1).cwd(project.to_str().unwrap()).aged(days(1)).write();
    settings(&store, &json!({"cleanupPeriodDays": 30, "env": {"DISABLE_TELEMETRY": "1"}}));
    lacks(&check(&sandbox), "client-switch-overridden");
    lacks(&check(&sandbox), "client-period-overridden");
    sandbox.write(
        "repo/.claude/settings.json",
        json!({"cleanupPeriodDays": 1, "env": {"DISABLE_TELEMETRY": ""}}).to_string(),
    );
    let json = check(&sandbox);
    says(&finding(&json, "client-switch-overridden"), "metrics in ");
    says(&finding(&json, "client-period-overridden"), "1 days");
}

#[test]
fn the_clients_period_is_compared_with_the_policy() {
    let (sandbox, store) = sound();
    let policy = |keep: &str| {
        sandbox
            .policy(&format!(r#"{{"version": 1, {keep} "rules": [{{"name": "a", "deleteAfter": "30d"}}]}}"#));
    };
    policy("");
    settings(&store, &json!({"cleanupPeriodDays": 30}));
    let json = check(&sandbox);
    lacks(&json, "client-period-longer");
    assert_eq!(
        (&row(&json, "cache-period")["state"], &row(&json, "cache-period")["decidedBy"]),
        (&"30 days".into(), &"user".into())
    );
    settings(&store, &json!({"cleanupPeriodDays": 99_999}));
    says(&finding(&check(&sandbox), "client-period-longer"), "means never");
    settings(&store, &json!({"cleanupPeriodDays": 7}));
    lacks(&check(&sandbox), "client-period-shorter");
    policy("\"keepAtLeast\": \"14d\",");
    let json = check(&sandbox);
    says(&finding(&json, "client-period-shorter"), "after 7 days");
    assert_eq!(json["compliant"], false, "records are lost that the policy keeps");
    settings(&store, &json!({"cleanupPeriodDays": 0}));
    let json = check(&sandbox);
    finding(&json, "client-zero-period");
    finding(&json, "client-sweep-paused");
    // A hold does not bind the client.
    settings(&store, &json!({}));
    policy("");
    lacks(&check(&sandbox), "client-removes-held");
    store.session(1).cwd("/held").aged(days(3)).write();
    sandbox.run(["hold", "add", "--project", "/held", "--reason", "case"]).exits(0);
    says(&finding(&check(&sandbox), "client-removes-held"), "1 held");
    // Nor does it remove what the desktop application wrote.
    lacks(&check(&sandbox), "client-desktop-kept");
    store.session(2).entrypoint("claude-desktop").aged(days(3)).write();
    says(&finding(&check(&sandbox), "client-desktop-kept"), "1 sessions");
}

#[test]
fn device_managers_get_their_own_codes_and_nothing_else() {
    let (sandbox, store) = sound();
    let style = |style: &str| sandbox.run(["check", "--exit-style", style]);
    style("plain").exits(0).quietly();
    style("intune").exits(0).quietly();
    style("munki").exits(1).quietly();
    for number in 1..=60 {
        let cwd = format!("/work/{}-{number}", "long".repeat(30));
        store.session(number).cwd(&cwd).aged(days(50)).write();
    }
    style("plain").exits(3).quietly();
    style("munki").exits(0).quietly();
    let output = style("intune");
    output.exits(1).quietly();
    assert!(output.stdout.starts_with("not compliant: "), "{output}");
    assert!(output.stdout.contains("overdue") && output.stdout.chars().count() <= 2_048, "{output}");
    // What could not be checked asks for action too, and Intune takes any word on stderr amiss.
    let broken = ["check", "--policy", "/nowhere/policy.json", "--exit-style"];
    sandbox.command(broken).arg("intune").run().exits(1).quietly().says("cannot check");
    sandbox.command(broken).arg("munki").run().exits(0);
    sandbox.command(broken).arg("plain").run().exits(2);
}

/// Runs a program of Python's over what the program printed.
fn python(script: &str, input: &[u8]) -> String {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn jamf_gets_a_result_that_is_xml() {
    let (sandbox, store) = sound();
    let jamf = |sandbox: &Sandbox| sandbox.run(["check", "--format", "jamf"]);
    assert_eq!(jamf(&sandbox).exits(0).stdout, "<result>compliant</result>\n");
    store.session(1).aged(days(60)).write();
    let output = jamf(&sandbox);
    output.exits(3).quietly();
    let script =
        "import sys, xml.etree.ElementTree as e; r = e.fromstring(sys.stdin.read()); print(r.tag, r.text)";
    assert_eq!(python(script, output.stdout.as_bytes()), "result not-compliant: overdue");
}

/// A name, its labels and its value.
type Sample = (String, Vec<(String, String)>, f64);

/// The samples of the text format; panics where a line is none.
fn samples(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n'));
    let (mut samples, mut typed) = (Vec::new(), Vec::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (kind, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            assert!(kind == "HELP" || (kind == "TYPE" && rest == "gauge"), "{line}");
            if kind == "TYPE" {
                assert!(!typed.contains(&name.to_owned()), "{name} is typed twice");
                typed.push(name.to_owned());
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, mut rest) = series.split_at(series.find('{').unwrap_or(series.len()));
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
        assert_eq!(typed.last().unwrap(), name, "samples follow their type");
        let mut labels = Vec::new();
        while let Some(after) = rest.strip_prefix(['{', ',']) {
            let (label, after) = after.split_once("=\"").unwrap();
            let mut value = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().unwrap() {
                    (_, '\\') => value.push(chars.next().unwrap().1),
                    (at, '"') => break at,
                    (_, other) => value.push(other),
                }
            };
            labels.push((label.to_owned(), value));
            rest = &after[end + 1..];
        }
        assert!(rest.is_empty() || rest == "}", "{line}");
        samples.push((name.to_owned(), labels, value.parse().unwrap()));
    }
    let series: Vec<_> = samples.iter().map(|(name, labels, _)| (name, labels)).collect();
    for (at, one) in series.iter().enumerate() {
        assert!(!series[..at].contains(one), "{one:?} is there twice");
    }
    samples
}

#[test]
fn prometheus_gets_its_text_format() {
    let (sandbox, store) = sound();
    let odd = sandbox.root().join("od\"d\\store");
    StoreBuilder::new(odd.clone(), sandbox.client_tmp()).session(3).aged(days(3)).write();
    sandbox.command(["enforce", "--yes"]).env("CLAUDE_CONFIG_DIR", &odd).run().exits(0);
    let run = |sandbox: &Sandbox| sandbox.run(["check", "--format", "prometheus"]);
    let value = |found: &[Sample], name: &str| {
        found.iter().find(|(other, ..)| other == name).unwrap_or_else(|| panic!("no {name}")).2
    };
    let found = samples(&run(&sandbox).exits(0).stdout);
    assert_eq!(value(&found, "ccretain_check_compliant"), 1.0);
    assert!(value(&found, "ccretain_check_last_good_run_timestamp_seconds") > 1.7e9);
    store.session(1).aged(days(60)).write();
    let file = sandbox.root().join("textfile/ccretain_check.prom");
    fs::create_dir(file.parent().unwrap()).unwrap();
    let output = sandbox.command(["check", "--format", "prometheus", "--output"]).arg(&file).run();
    output.exits(3).quietly();
    assert_eq!(output.stdout, "");
    let found = samples(&fs::read_to_string(&file).unwrap());
    assert_eq!(value(&found, "ccretain_check_compliant"), 0.0);
    assert_eq!(mode_of(&file), 0o644, "the collector is another user");
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "and finds no half of a file");
    let overdue = found.iter().find(|(name, labels, _)| {
        name == "ccretain_check_finding" && labels.contains(&("id".into(), "overdue".into()))
    });
    assert!(overdue.unwrap().1.contains(&("severity".into(), "high".into())));
}

#[test]
fn osquery_gets_rows_and_a_table() {
    let (sandbox, store) = sound();
    for number in 1..=30 {
        store.put(format!("odd-{number}-{}.bin", "x".repeat(200)), "x", days(1));
    }
    let output = sandbox.run(["check", "--format", "osquery"]);
    output.exits(0).quietly();
    let rows = output.json();
    let rows = rows.as_array().unwrap();
    assert!(rows.len() > 3);
    for row in rows {
        assert!(row.as_object().unwrap().values().all(Value::is_string), "{row}");
        assert_eq!(row["verdict"], "compliant");
    }
    let file = sandbox.root().join("check.sqlite");
    sandbox.command(["check", "--format", "osquery", "--output"]).arg(&file).run().exits(0).quietly();
    let script = "import sqlite3, json, sys; d = sqlite3.connect(sys.stdin.read()); d.row_factory = sqlite3.Row; \
        assert d.execute('pragma integrity_check').fetchone()[0] == 'ok'; \
        print(json.dumps([dict(r) for r in d.execute('select * from ccretain_check')]))";
    let read: Value = serde_json::from_str(&python(script, file.to_str().unwrap().as_bytes())).unwrap();
    let read = read.as_array().unwrap();
    assert_eq!(read.len(), rows.len());
    for (one, other) in read.iter().zip(rows) {
        // Its paths are as they are, those on stdout as the sandbox shows them.
        for column in ["id", "title", "severity", "count", "verdict", "checked"] {
            if column != "checked" {
                assert_eq!(one[column], other[column]);
            }
            assert_eq!(one[column].as_str().is_some(), other[column].as_str().is_some());
        }
    }
}

#[test]
fn two_formats_at_once_are_a_mistake() {
    let (sandbox, _) = sound();
    sandbox.run(["check", "--json", "--format", "jamf"]).exits(2);
    sandbox.run(["check", "--json", "--format", "json"]).exits(0);
    let file = sandbox.root().join("no/such/folder/check.json");
    sandbox.command(["check", "--json", "--output"]).arg(&file).run().exits(1);
}

#[test]
fn no_word_of_a_conversation_is_in_any_of_it() {
    let (sandbox, store) = sound();
    let session = store.session(1).aged(days(60)).write();
    session.satellites();
    store.history(Some(session.id()), "/work/acme", days(60));
    for format in ["text", "json", "jamf", "prometheus", "osquery"] {
        let output: Output = sandbox.run(["check", "-v", "--format", format]);
        output.exits(3).quietly().never_says(CONTENT);
    }
}

#[test]
fn what_the_machine_does_with_copies_is_found() {
    let (sandbox, _) = sound();
    let json = check(&sandbox);
    for id in ["version-control", "cloud-sync", "network-file-system", "other-tools", "trash"] {
        lacks(&json, id);
    }
    fs::create_dir_all(sandbox.home().join(".git/objects")).unwrap();
    fs::create_dir_all(sandbox.home().join(".git/refs")).unwrap();
    fs::write(sandbox.home().join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    let json = check(&sandbox);
    let found = finding(&json, "version-control");
    assert_eq!((&found["severity"], &found["area"]), (&"medium".into(), &"exposure".into()));
    assert!(found["remedy"].as_str().unwrap().contains("ignore rule"));
    assert_eq!(json["compliant"], false);
    fs::remove_dir_all(sandbox.home().join(".git")).unwrap();
    // A store in a synchronised folder, which this run is told of by the environment.
    let synced = sandbox.home().join("shared/claude");
    fs::create_dir_all(sandbox.home().join("shared/.stfolder")).unwrap();
    StoreBuilder::new(synced.clone(), sandbox.client_tmp()).session(5).aged(days(1)).write();
    let output = sandbox.command(["check", "--json"]).env("CLAUDE_CONFIG_DIR", &synced).run();
    says(&finding(&output.json(), "cloud-sync"), "Syncthing");
    // And an archive of another tool.
    sandbox.write(".claude-vault/vault.db", "x");
    finding(&check(&sandbox), "other-tools");
}

#[test]
fn in_audit_mode_nobody_is_told_to_run_what_changes_nothing() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(90)).write();
    store.session(2).aged(days(1)).write();
    for (mode, told) in [("audit", "\"mode\" to \"enforce\""), ("enforce", "then run `ccretain enforce`")] {
        sandbox.policy(&format!(
            r#"{{"version": 1, "mode": "{mode}", "rules": [{{"name": "all", "deleteAfter": "30d"}}]}}"#
        ));
        let json = sandbox.run(["check", "--json"]).exits(3).json();
        let found =
            json["findings"].as_array().unwrap().iter().find(|found| found["id"] == "overdue").unwrap();
        let remedy = found["remedy"].as_str().unwrap();
        assert!(remedy.contains(told), "{mode}: {remedy}");
        assert_eq!(remedy.contains("run `ccretain enforce`"), mode == "enforce", "{remedy}");
    }
}
