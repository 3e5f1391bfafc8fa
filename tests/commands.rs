//! The other verbs, the global flags and the exit codes.

use std::fs;

use serde_json::{Value, json};

use crate::common::sandbox::recent;
use crate::common::store::{CONTENT, StoreBuilder};
use crate::common::{Output, Sandbox, days, id};

#[track_caller]
fn document(output: &Output, command: &str) -> Value {
    output.exits(0).quietly();
    let json = output.json();
    assert_eq!(json["schema"], format!("ccretain.{command}/1"), "{output}");
    json
}

#[test]
fn the_version_is_one_line() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(["--version"]);
    output.exits(0).quietly();
    assert_eq!(output.stdout.lines().count(), 1, "{output}");
    assert!(output.stdout.contains(env!("CARGO_PKG_VERSION")), "{output}");
}

#[test]
fn wrong_usage_is_exit_2_and_says_nothing_on_stdout() {
    let sandbox = Sandbox::new();
    for arguments in [
        vec!["no-such-verb"],
        vec![],
        vec!["enforce", "--no-such-flag"],
        vec!["explain"],
        vec!["--color", "sometimes", "status"],
        vec!["enforce", "--log-format", "xml"],
        vec!["ledger"],
    ] {
        let output = sandbox.run(&arguments);
        assert_eq!(output.code, Some(2), "{arguments:?}: {output}");
        assert_eq!(output.stdout, "", "{arguments:?}: {output}");
    }
}

#[test]
fn help_is_an_answer() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(["--help"]);
    output.exits(0).quietly();
    for verb in ["status", "enforce", "explain", "policy", "ledger", "schedule"] {
        assert!(output.stdout.contains(verb), "{verb} is missing: {output}");
    }
}

#[test]
fn colour_is_only_where_it_is_wanted() {
    let (sandbox, store) = recent();
    store.session(1).aged(days(40)).write();
    sandbox.run(["status"]).exits(0).never_says("\u{1b}[");
    sandbox.run(["--color", "never", "enforce", "-n"]).exits(0).never_says("\u{1b}[");
    sandbox.command(["--color", "auto", "status"]).env("NO_COLOR", "1").run().exits(0).never_says("\u{1b}[");
    assert!(sandbox.run(["--color", "always", "status"]).stdout.contains("\u{1b}["));
}

#[test]
fn status_tells_what_is_due_and_by_name_within_a_week() {
    let (sandbox, store) = recent();
    store.session(1).aged(days(40)).write();
    store.session(2).aged(days(27)).write();
    store.session(3).aged(days(2)).write();
    let before = sandbox.tree();
    let json = document(&sandbox.run(["status", "--json"]), "status");
    let text = json.to_string();
    assert!(text.contains(&id(2)), "what falls due in three days is not named: {text}");
    assert!(!text.contains(&id(3)), "what falls due in four weeks is named: {text}");
    let output = sandbox.run(["status"]);
    output.exits(0).quietly();
    assert!(output.stdout.contains(".claude"), "{output}");
    before.is_unchanged(&sandbox.tree());
}

#[test]
fn status_of_nothing() {
    let sandbox = Sandbox::new();
    document(&sandbox.run(["status", "--json"]), "status");
    sandbox.run(["status"]).exits(0).quietly();
}

#[test]
fn status_finds_stores_in_a_folder() {
    let (sandbox, _store) = recent();
    let hidden = StoreBuilder::new(sandbox.home().join("a/b/c"), sandbox.client_tmp());
    hidden.session(7).aged(days(2)).write();
    let output = sandbox.command(["status", "--json", "--search"]).arg(sandbox.home().join("a")).run();
    assert!(document(&output, "status").to_string().contains("a/b/c"), "{output}");
}

#[test]
fn explain_names_the_rule_the_layer_and_the_moment() {
    let (sandbox, store) = recent();
    sandbox.delete_after("14d");
    let session = store.session(1).aged(days(4)).write();
    let json = document(&sandbox.run(["explain", session.id(), "--json"]), "explain");
    let text = json.to_string();
    for word in ["all", "user", "policy.json", "not-due", "due"] {
        assert!(text.contains(word), "{word:?} is missing in {text}");
    }
    let output = sandbox.run(["explain", session.id()]);
    output.exits(0).quietly();
    for word in ["all", "policy.json", "hold", "live", "Claude Code itself"] {
        assert!(output.stdout.contains(word), "{word:?} is missing: {output}");
    }
    output.never_says(CONTENT);
}

#[test]
fn explain_takes_a_path_and_a_prefix() {
    let (sandbox, store) = recent();
    let session = store.session(0xABCD_EF01).aged(days(4)).write();
    sandbox.run(["explain", "abcdef01"]).exits(0);
    sandbox.run(["explain", &session.id().to_uppercase()]).exits(0);
    sandbox.command(["explain"]).arg(&session.transcript).run().exits(0);
    let unknown = store.put("nobody-knows.bin", "x", days(4));
    sandbox.command(["explain"]).arg(&unknown).run().exits(0).says("unrecognised");
    sandbox.run(["explain", "abcdef0"]).exits(2);
    sandbox.run(["explain", "00000000-0000-4000-8000-000000000000"]).exits(2);
}

#[test]
fn a_prefix_must_be_unambiguous_and_a_store_named_where_two_have_it() {
    let (sandbox, store) = recent();
    store.session(0x0102_0304).aged(days(4)).write();
    let twin = store.twin(0x0102_0304);
    let output = sandbox.run(["explain", "01020304"]);
    output.exits(2).says(&twin).says(&id(0x0102_0304));

    let other = StoreBuilder::new(sandbox.home().join("other"), sandbox.client_tmp());
    other.session(5).aged(days(2)).write();
    store.session(5).aged(days(3)).write();
    let run = |arguments: &[&str]| sandbox.command(arguments).env("CLAUDE_CONFIG_DIR", &other.root).run();
    run(&["explain", &id(5)]).exits(2).says(".claude").says("other");
    let named = other.root.to_str().unwrap().to_owned();
    run(&["--store", &named, "explain", &id(5)]).exits(0);
}

#[test]
fn explain_tells_a_hold_a_live_session_and_a_floor() {
    let (sandbox, store) = recent();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "30d"}],
            "holds": [{"name": "case-14", "projects": ["/held"], "reason": "litigation"}]}"#,
    );
    store.session(1).cwd("/held").aged(days(40)).write();
    let live = store.session(2).aged(days(40)).write();
    store.pid_file(std::process::id(), live.id(), json!({}));
    sandbox.run(["explain", &id(1)]).exits(0).says("case-14").says("litigation");
    sandbox.run(["explain", &id(2)]).exits(0).says("live");
}

#[test]
fn policy_show_gives_each_value_its_source() {
    let (sandbox, _store) = recent();
    sandbox.policy(r#"{"version": 1, "quiet": "2h", "rules": [{"name": "mine", "deleteAfter": "9d"}]}"#);
    let output = sandbox.run(["policy", "show", "--json"]);
    output.exits(0).quietly();
    let text = output.json().to_string();
    for word in ["mine", "9d", "2h", "policy.json", "built-in", "user"] {
        assert!(text.contains(word), "{word:?} is missing in {text}");
    }
    sandbox.run(["policy", "show"]).exits(0).quietly().says("mine");
}

#[test]
fn policy_check_says_what_is_wrong_and_what_is_covered() {
    let (sandbox, store) = recent();
    store.session(1).cwd("/nowhere").aged(days(40)).write();
    let good = sandbox.write(
        "good.json",
        r#"{"version": 1, "rules": [{"name": "x", "projects": ["/a/**"], "deleteAfter": "9d"}]}"#,
    );
    let bad = sandbox.write("bad.json", "{\n \"version\": 1,\n \"rulez\": []}");
    sandbox.command(["policy", "check"]).arg(&good).run().exits(0);
    let output = sandbox.command(["policy", "check"]).arg(&bad).run();
    output.exits(2).says("rules").says("3");
    sandbox.run(["policy", "check", "no-such.json"]).exits(2);
}

#[test]
fn the_preview_of_a_policy_leaves_out_what_a_hold_keeps() {
    let (sandbox, store) = recent();
    for number in 11..=13 {
        store.session(number).cwd("/nowhere").aged(days(40)).write();
    }
    let rule = r#""rules": [{"name": "x", "projects": ["/nowhere"], "deleteAfter": "9d"}]"#;
    let file = sandbox.write("one.json", format!(r#"{{"version": 1, {rule}}}"#));
    let check = || sandbox.command(["policy", "check"]).arg(&file).run();
    check().exits(0).says("due for deletion by it: 3 now, 3 in 7 days, 3 in 30 days\n");
    sandbox.run(["hold", "add", "--session", &id(11), "--reason", "a lawsuit"]).exits(0);
    check().exits(0).says("due for deletion by it: 2 now, 2 in 7 days, 2 in 30 days; 1 held\n");
    let hold = format!(r#""holds": [{{"name": "h", "reason": "r", "sessions": ["{}"]}}]"#, id(12));
    sandbox.write("one.json", format!(r#"{{"version": 1, {rule}, {hold}}}"#));
    check().exits(0).says("due for deletion by it: 1 now, 1 in 7 days, 1 in 30 days; 2 held\n");
}

#[test]
fn policy_init_is_a_policy_and_the_schema_is_json() {
    let (sandbox, _store) = recent();
    let output = sandbox.run(["policy", "schema"]);
    output.exits(0).quietly();
    let schema = output.json().to_string();
    for key in [
        "deleteAfter",
        "sealAfter",
        "keepAtLeast",
        "recipients",
        "holds",
        "quiet",
        "ageBy",
        "guard",
        "ledger",
        "userHolds",
        "stores",
        "compression",
        "mode",
    ] {
        assert!(schema.contains(key), "{key} is not in the schema");
    }
    let output = sandbox.run(["policy", "init"]);
    output.exits(0).quietly();
    if !output.stdout.trim().is_empty() && output.stdout.trim_start().starts_with('{') {
        let file = sandbox.write("start.json", &output.stdout);
        sandbox.command(["policy", "check"]).arg(&file).run().exits(0);
    }
}

#[test]
fn the_ledger_tells_the_intent_before_the_deed() {
    let (sandbox, store) = recent();
    store.session(1).aged(days(40)).write().satellites();
    store.session(2).aged(days(1)).write();
    sandbox.enforce().exits(0);
    let lines = sandbox.ledger_lines();
    for (number, line) in lines.iter().enumerate() {
        for key in ["seq", "time", "run", "event", "prev"] {
            assert!(line.get(key).is_some(), "{key} is missing in {line}");
        }
        if number > 0 {
            assert_eq!(line["seq"].as_u64().unwrap(), lines[number - 1]["seq"].as_u64().unwrap() + 1);
        }
    }
    let of_session: Vec<&Value> = lines.iter().filter(|line| line["session"] == id(1)).collect();
    assert_eq!(of_session.len(), 2, "an intent and an outcome: {of_session:?}");
    assert_eq!(of_session[0]["event"], "intent");
    assert_eq!(of_session[1]["event"], "outcome");
    assert_eq!(of_session[1]["outcome"], "deleted");
    assert!(of_session[1]["files"].as_u64().unwrap() > 5, "{of_session:?}");
    assert!(lines.iter().all(|line| line["session"] != id(2)), "what was kept is no event");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(sandbox.ledger()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_ledger_is_verified_and_a_change_is_found() {
    let (sandbox, store) = recent();
    store.session(1).aged(days(40)).write();
    sandbox.enforce().exits(0);
    sandbox.run(["ledger", "show"]).exits(0).quietly();
    let good = sandbox.run(["ledger", "verify", "--json"]);
    good.exits(0).quietly();
    sandbox.run(["ledger", "verify"]).exits(0).says("newest");
    let text = fs::read_to_string(sandbox.ledger()).unwrap();
    let changed = text.replacen(&id(1), &id(3), 1);
    assert_ne!(text, changed);
    fs::write(sandbox.ledger(), changed).unwrap();
    let bad = sandbox.run(["ledger", "verify"]);
    assert!(matches!(bad.code, Some(1 | 3)), "{bad}");
}

#[test]
fn a_torn_last_line_of_the_ledger_is_closed_by_the_next_run() {
    let (sandbox, store) = recent();
    store.session(1).aged(days(40)).write();
    sandbox.enforce().exits(0);
    let mut text = fs::read(sandbox.ledger()).unwrap();
    text.extend(br#"{"seq":99,"time":"20"#);
    fs::write(sandbox.ledger(), text).unwrap();
    store.session(2).aged(days(40)).write();
    let output = sandbox.enforce();
    assert!(matches!(output.code, Some(0 | 1)), "{output}");
    sandbox.run(["ledger", "verify"]).exits(0);
}

#[test]
fn a_cut_ledger_is_found_with_the_head_in_hand() {
    let (sandbox, store) = recent();
    store.session(1).aged(days(40)).write();
    sandbox.enforce().exits(0);
    let text = fs::read_to_string(sandbox.ledger()).unwrap();
    let last = text.lines().last().unwrap();
    use sha2::Digest as _;
    let head = hex::encode(sha2::Sha256::digest(last));
    sandbox.run(["ledger", "verify", "--head", &head]).exits(0);
    let lines: Vec<&str> = text.lines().collect();
    fs::write(sandbox.ledger(), lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    sandbox.run(["ledger", "verify"]).exits(0);
    let cut = sandbox.run(["ledger", "verify", "--head", &head]);
    assert!(matches!(cut.code, Some(1 | 3)), "{cut}");
}

#[test]
fn logs_can_be_json() {
    let (sandbox, store) = recent();
    store.session(1).aged(days(40)).write();
    let output = sandbox.run(["-v", "enforce", "--yes", "--log-format", "json"]);
    output.exits(0);
    for line in output.stderr.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{line:?} is no JSON: {error}"));
    }
}

#[test]
fn schedules_are_printed_with_file_names_and_call_enforce() {
    let (sandbox, _store) = recent();
    for backend in ["systemd", "launchd", "cron", "claude-hook"] {
        let output = sandbox.run(["schedule", "print", "--backend", backend]);
        output.exits(0).quietly();
        assert!(output.stdout.contains("enforce"), "{output}");
        if backend != "claude-hook" {
            assert!(output.stdout.contains("--yes"), "{output}");
        }
    }
    let output = sandbox.run(["schedule", "print", "--backend", "systemd"]);
    assert!(output.stdout.lines().any(|line| line.starts_with("# ") && line.ends_with(".timer")), "{output}");
    assert!(output.stdout.contains("Persistent=true") && !output.stdout.contains("PrivateTmp"), "{output}");
}

#[test]
fn a_failure_is_one_json_document_too() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(40)).write();
    for (arguments, code) in [
        (vec!["enforce"], 4),
        (vec!["purge"], 4),
        (vec!["enforce", "--no-such-flag"], 2),
        (vec!["no-such-verb"], 2),
        (vec!["explain", "00000000-0000-4000-8000-0000000000ff"], 2),
        (vec!["--policy", "/nowhere/policy.json", "enforce", "--yes"], 2),
        (vec!["cat", "00000000-0000-4000-8000-0000000000ff"], 2),
        (vec!["key", "show"], 1),
    ] {
        let output = sandbox.command(arguments.clone()).arg("--json").run();
        output.exits(code);
        let document = output.json();
        assert_eq!(document["schema"], "ccretain.error/1", "{arguments:?}: {output}");
        assert_eq!(document["exit"], code, "{arguments:?}: {output}");
        assert!(document["error"].as_str().is_some_and(|error| !error.is_empty()), "{output}");
        assert_ne!(output.stderr, "", "people are told as ever");
    }
    // After `--` nothing is an option of ours.
    let output = sandbox.run(["resume", "--no-such-flag", "--", "--json"]);
    assert_eq!(output.exits(2).stdout, "");
}
