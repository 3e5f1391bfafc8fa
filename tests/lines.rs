//! Line files and index files: what is taken out of them, and that everything else stays byte for byte.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::{Value, json};

use crate::common::sandbox::recent;
use crate::common::{days, id};

#[test]
fn lines_of_deleted_sessions_go_and_the_rest_stays_byte_for_byte() {
    let (sandbox, store) = recent();
    store.session(1).aged(days(40)).write();
    store.session(2).aged(days(2)).write();
    // Odd spacing, unknown keys, an empty line, no line feed at the end.
    let kept = [
        format!(
            r#"{{ "display" : "a","timestamp":{}, "project":"/work/acme","sessionId":"{}", "new": [1] }}"#,
            millis(2),
            id(2)
        ),
        String::new(),
        format!(
            r#"{{"display":"ü \u00fc","pastedContents":{{}},"timestamp":{},"project":"/work/acme"}}"#,
            millis(3)
        ),
    ];
    let gone = format!(
        r#"{{"display":"x","timestamp":{},"project":"/work/acme","sessionId":"{}"}}"#,
        millis(2),
        id(1)
    );
    let path = store.path("history.jsonl");
    fs::write(&path, format!("{}\n{gone}\n{}\n{}", kept[0], kept[1], kept[2])).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let output = sandbox.enforce();
    output.exits(0).quietly();
    assert_eq!(fs::read_to_string(&path).unwrap(), kept.join("\n"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(output.summary("prunedLines"), 1);
    assert_eq!(output.summary("pruned"), 1);
    assert!(!store.has("history.jsonl.lock"), "Claude Code's lock was left");
}

fn millis(old: i64) -> i64 {
    (crate::common::now() - days(old)).timestamp_millis()
}

#[test]
fn a_line_has_a_date_and_a_project_of_its_own() {
    let (sandbox, store) = recent();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "acme", "projects": ["/work/acme"], "deleteAfter": "7d"},
            {"name": "rest", "deleteAfter": "30d"}]}"#,
    );
    store.history(None, "/work/acme", days(10));
    store.history(None, "/work/acme", days(5));
    store.history(None, "/work/other", days(10));
    store.history(None, "/work/other", days(40));
    sandbox.enforce().exits(0);
    let left: Vec<Value> =
        store.history_lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(left[0]["project"], "/work/acme");
    assert_eq!(left[1]["project"], "/work/other");
}

#[test]
fn an_old_line_goes_though_its_session_is_young() {
    let (sandbox, store) = recent();
    store.session(1).aged(days(1)).begun(days(60)).write();
    store.history(Some(&id(1)), "/work/acme", days(50));
    store.history(Some(&id(1)), "/work/acme", days(2));
    sandbox.enforce().exits(0);
    assert_eq!(store.history_lines().len(), 1);
}

#[test]
fn lines_without_a_date_and_lines_that_do_not_parse_stay() {
    let (sandbox, store) = recent();
    let lines = [
        "not json",
        r#"{"display":"x","project":"/work/acme"}"#,
        r#"{"timestamp":"soon"}"#,
        "[1]",
        r#"{"timestamp":1e400}"#,
    ];
    for line in lines {
        store.history_line(line);
    }
    store.history(None, "/work/acme", days(400));
    let output = sandbox.enforce();
    assert_eq!(store.history_lines(), lines);
    assert_eq!(output.summary("undatedLines"), lines.len() as u64, "{output}");
}

#[test]
fn a_lock_of_somebody_else_is_never_broken() {
    let (sandbox, store) = recent();
    store.history(None, "/work/acme", days(400));
    let before = fs::read(store.path("history.jsonl")).unwrap();
    fs::create_dir(store.path("history.jsonl.lock")).unwrap();
    sandbox.enforce().exits(1);
    assert_eq!(fs::read(store.path("history.jsonl")).unwrap(), before);
    assert!(store.has("history.jsonl.lock"));
    fs::remove_dir(store.path("history.jsonl.lock")).unwrap();
    sandbox.enforce().exits(0);
    assert_eq!(store.history_lines().len(), 0);
}

#[test]
fn an_untouched_file_is_not_rewritten() {
    let (sandbox, store) = recent();
    store.history(None, "/work/acme", days(2));
    let before = fs::metadata(store.path("history.jsonl")).unwrap();
    sandbox.enforce().exits(0);
    let after = fs::metadata(store.path("history.jsonl")).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
}

#[test]
fn many_lines() {
    let (sandbox, store) = recent();
    let mut text = String::new();
    for number in 0..20_000 {
        let old = if number % 2 == 0 { 40 } else { 4 };
        text +=
            &json!({"display": "x", "pastedContents": {}, "timestamp": millis(old), "project": "/work/acme"})
                .to_string();
        text.push('\n');
    }
    fs::write(store.path("history.jsonl"), text).unwrap();
    let output = sandbox.enforce();
    output.exits(0);
    assert_eq!(output.summary("prunedLines"), 10_000);
    assert_eq!(store.history_lines().len(), 10_000);
}

#[test]
fn prompts_in_the_global_file_of_old_clients_are_undated_and_stay() {
    let (sandbox, _store) = recent();
    let text = json!({"numStartups": 3, "projects": {"/work/acme": {"history": ["old prompt", {"display": "x", "pastedContents": {}}]}}})
        .to_string();
    let path = sandbox.write(".claude.json", &text);
    sandbox.enforce().exits(0);
    assert_eq!(fs::read_to_string(path).unwrap(), text);
}

#[test]
fn an_entry_of_an_index_goes_with_its_session() {
    let (sandbox, store) = recent();
    store.session(1).aged(days(40)).write();
    store.session(2).aged(days(2)).write();
    let index = store.index("/work/acme", &[&id(1), &id(2)]);
    sandbox.enforce().exits(0);
    let value: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    assert_eq!(value["version"], 1);
    let entries = value["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["sessionId"], id(2));
}

#[test]
fn an_index_that_is_none_is_left() {
    for content in ["{", "[]", r#"{"version":1,"entries":"x"}"#] {
        let (sandbox, store) = recent();
        store.session(1).aged(days(40)).write();
        store.session(2).aged(days(2)).write();
        let index = store.put("projects/-work-acme/sessions-index.json", content, days(2));
        let output = sandbox.enforce();
        assert!(matches!(output.code, Some(0 | 1)), "{output}");
        assert_eq!(fs::read_to_string(&index).unwrap(), content);
    }
}

#[test]
fn the_entry_of_a_desktop_session_goes_with_it() {
    let (sandbox, store) = recent();
    store.session(1).entrypoint("claude-desktop").aged(days(40)).write();
    store.session(2).entrypoint("claude-desktop").aged(days(2)).write();
    let folder = sandbox.home().join(".config/Claude/claude-code-sessions/acc/org");
    for number in [1, 2] {
        let text = json!({"title": "x", "cliSessionId": id(number)}).to_string();
        crate::common::store::put(&folder.join(format!("local_{number}.json")), text, days(40));
    }
    sandbox.enforce().exits(0);
    assert!(!folder.join("local_1.json").exists());
    assert!(folder.join("local_2.json").exists());
}
