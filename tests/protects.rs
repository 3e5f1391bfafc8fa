//! What protects a session or an artifact, row by row.

use std::fs;

use serde_json::json;

use crate::common::sandbox::recent;
use crate::common::store::{CONTENT, dead_pid, put};
use crate::common::{Output, Sandbox, days, hours, id, now};

fn reason(output: &Output, path: &str) -> String {
    output.item(path)["reason"]
        .as_str()
        .unwrap_or_else(|| panic!("{path} has no reason in {output}"))
        .to_owned()
}

fn transcript(number: u32) -> String {
    format!("{}.jsonl", id(number))
}

#[test]
fn a_running_client_keeps_its_session_whole() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(40)).write();
    let satellites = session.satellites();
    let pid_file = store.pid_file(std::process::id(), session.id(), json!({}));
    store.history(Some(session.id()), "/work/acme", days(40));
    let output = sandbox.enforce_verbosely();
    output.exits(0).quietly();
    for path in satellites.iter().chain([&session.transcript, &pid_file]) {
        assert!(path.exists(), "{} is gone", path.display());
    }
    assert_eq!(store.history_lines().len(), 1);
    assert_eq!(reason(&output, &transcript(1)), "live");
    assert_eq!(output.summary("live"), 1);
}

#[test]
fn a_dead_client_keeps_nothing_and_its_pid_file_goes_too() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(40)).write();
    let pid_file = store.pid_file(dead_pid(), session.id(), json!({"procStart": "123"}));
    sandbox.enforce().exits(0).quietly();
    assert!(!session.is_there());
    assert!(!pid_file.exists());
}

#[test]
fn a_pid_that_another_process_has_now_is_dead() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(40)).write();
    store.pid_file(std::process::id(), session.id(), json!({"procStart": "1"}));
    sandbox.enforce().exits(0);
    assert!(!session.is_there());
}

#[test]
fn a_pid_without_a_start_time_counts_while_it_exists() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(40)).write();
    store.pid_file(std::process::id(), session.id(), json!({"procStart": null}));
    let gone = store.session(2).aged(days(40)).write();
    store.pid_file(dead_pid(), gone.id(), json!({"procStart": null}));
    sandbox.enforce().exits(0);
    assert!(session.is_there());
    assert!(!gone.is_there());
}

#[test]
fn a_client_of_another_domain_counts_until_a_week_without_change() {
    let (sandbox, store) = recent();
    sandbox.delete_after("2d");
    let domain = json!({"pidDomain": "linux:0123456789abcdef0123456789abcdef:pid:[1]", "procStart": "77"});
    let recent = store.session(1).aged(days(5)).write();
    let stale = store.session(2).aged(days(10)).write();
    crate::common::store::age(&store.pid_file(400_001, recent.id(), domain.clone()), days(5));
    crate::common::store::age(&store.pid_file(400_002, stale.id(), domain), days(10));
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert!(recent.is_there());
    assert_eq!(reason(&output, &transcript(1)), "live");
    assert!(!stale.is_there());
}

#[test]
fn a_client_that_has_just_started_elsewhere_protects_an_old_session() {
    let elsewhere = json!({"pidDomain": "linux:0123456789abcdef0123456789abcdef:pid:[1]", "procStart": "77"});
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap().to_str().unwrap().to_owned();
    let container = json!({"pidDomain": format!("linux:{}:pid:[1]", boot.trim()), "procStart": "77",
        "startedAt": now().timestamp_millis()});
    let ours = json!({"pidDomain": format!("linux:{}:{namespace}", boot.trim()), "procStart": "77"});
    let started = |old: i64| {
        json!({"startedAt": (now() - days(old)).timestamp_millis(),
        "pidDomain": "linux:0123456789abcdef0123456789abcdef:pid:[1]"})
    };
    for (number, domain, old, reason_is) in [
        // By the time of the file, and by what it says.
        (1, elsewhere.clone(), 6, Some("live")),
        (2, elsewhere.clone(), 8, None),
        (3, started(6), 40, Some("live")),
        (4, started(8), 40, None),
        (5, container, 40, Some("live")),
        // What lies ahead says nothing.
        (6, elsewhere, -3, None),
        (7, started(-3), 40, None),
        // A dead client of ours, by the other form of our domain.
        (8, ours.clone(), 1, None),
        // One of ours that was there within the hour.
        (9, ours, 0, Some("quiet")),
    ] {
        let (sandbox, store) = recent();
        let session = store.session(number).aged(days(50)).write();
        crate::common::store::age(&store.pid_file(dead_pid(), session.id(), domain), days(old));
        let output = sandbox.enforce_verbosely();
        output.exits(0);
        assert_eq!(session.is_there(), reason_is.is_some(), "{number}: {output}");
        if let Some(expected) = reason_is {
            assert_eq!(reason(&output, &transcript(number)), expected, "{number}");
        }
    }
}

#[test]
fn a_time_that_lies_ahead_hides_no_other() {
    let minutes = chrono::Duration::minutes;
    for (touched, ahead, there) in [
        (minutes(5), days(5), true),
        (hours(2), days(5), false),
        (hours(2), minutes(30), true),
        (hours(2), minutes(90), false),
        (minutes(59), minutes(61), true),
    ] {
        let (sandbox, store) = recent();
        let session = store.session(1).aged(days(50)).write();
        put(&session.temp().join("tasks/a.output"), CONTENT, touched);
        store.put(format!("file-history/{}/0123456789abcdef@v1", session.id()), CONTENT, -ahead);
        store.put(format!("file-history/{}/0123456789abcdef@v2", session.id()), CONTENT, days(-300));
        sandbox.enforce().exits(0);
        assert_eq!(session.is_there(), there, "touched {touched} ago, another file {ahead} ahead");
    }
}

#[test]
fn quiet_holds_for_loose_files_and_unknown_files_of_a_session() {
    let (sandbox, store) = recent();
    sandbox.policy(r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "immediately"}]}"#);
    let fresh = store.put("plans/fresh.md", CONTENT, chrono::Duration::minutes(30));
    let old = store.put("plans/old.md", CONTENT, hours(2));
    let session = store.session(1).aged(days(50)).write();
    put(&session.side().join("made-up.bin"), CONTENT, chrono::Duration::minutes(30));
    let other = store.session(2).aged(days(50)).write();
    put(&other.side().join("made-up.bin"), CONTENT, hours(2));
    sandbox.enforce();
    assert!(fresh.exists() && !old.exists());
    assert!(session.is_there() && !other.is_there());
}

#[test]
fn a_pid_file_that_is_none_protects_what_it_may_mean() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(40)).write();
    store.put("sessions/4242.json", "{ broken", days(40));
    let output = sandbox.enforce();
    assert!(matches!(output.code, Some(0 | 1)), "{output}");
    assert!(store.has("sessions/4242.json") || !session.is_there(), "{output}");
}

#[test]
fn quiet_is_the_users_to_choose() {
    for (quiet, there) in [("1h", false), ("3h", true)] {
        let (sandbox, store) = recent();
        sandbox.policy(&format!(
            r#"{{"version": 1, "quiet": "{quiet}", "rules": [{{"name": "all", "deleteAfter": "30d"}}]}}"#
        ));
        let session = store.session(1).aged(days(40)).files_aged(hours(2)).write();
        sandbox.enforce().exits(0);
        assert_eq!(session.is_there(), there, "quiet {quiet}");
    }
}

#[test]
fn one_file_changed_of_late_makes_the_whole_session_quiet() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(40)).write();
    session.satellites();
    put(&session.temp().join("tasks/fresh.output"), CONTENT, chrono::Duration::minutes(5));
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert!(session.is_there());
    assert_eq!(reason(&output, &transcript(1)), "quiet");
}

#[test]
fn while_a_client_lives_snapshots_and_keys_stay() {
    let (sandbox, store) = recent();
    let live = store.session(1).aged(days(1)).write();
    store.pid_file(std::process::id(), live.id(), json!({}));
    let snapshot = store.put("shell-snapshots/snapshot-bash-1700000000000-abc123.sh", "x", days(40));
    let key = store.put(format!("sessions/77.{}.key", "ab".repeat(32)), "k", days(40));
    let ide = store.put("ide/12345.lock", "{}", days(40));
    sandbox.enforce().exits(0);
    for path in [&snapshot, &key, &ide] {
        assert!(path.exists(), "{} is gone", path.display());
    }
    fs::remove_file(store.path(format!("sessions/{}.json", std::process::id()))).unwrap();
    sandbox.enforce().exits(0);
    assert!(!snapshot.exists());
}

#[test]
fn holds_of_the_policy_cover_a_session_and_its_lines() {
    let (sandbox, store) = recent();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "30d"}],
            "holds": [{"name": "case-14", "projects": ["/work/acme/**"], "reason": "litigation"}]}"#,
    );
    let held = store.session(1).aged(days(40)).write();
    let satellites = held.satellites();
    let other = store.session(2).cwd("/work/other").aged(days(40)).write();
    store.history(Some(held.id()), "/work/acme", days(40));
    store.history(Some(other.id()), "/work/other", days(40));
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    for path in satellites.iter().chain([&held.transcript]) {
        assert!(path.exists(), "{} is gone", path.display());
    }
    assert!(!other.is_there());
    assert_eq!(store.history_lines().len(), 1);
    assert_eq!(reason(&output, &transcript(1)), "held");
    assert_eq!(output.summary("held"), 1);
}

#[test]
fn a_hold_covers_what_lies_in_the_folder_of_a_project_and_names_none() {
    let (sandbox, store) = recent();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "30d"}],
            "holds": [{"name": "case-14", "projects": ["/work/acme/**"], "reason": "litigation"}]}"#,
    );
    let held = store.session(1).aged(days(40)).write();
    let names = ["bridge-pointer.json", "connector-downloads/x.pdf", "bash-outputs/x/1.txt"];
    let files = names.map(|name| store.put(format!("projects/{}/{name}", held.folder), "x", days(40)));
    sandbox.enforce().exits(0);
    for path in &files {
        assert!(path.exists(), "{} is gone", path.display());
    }
}

#[test]
fn a_hold_covers_any_folder_that_is_found_in_a_session() {
    let (sandbox, store) = recent();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "30d"}],
            "holds": [{"name": "case", "projects": ["/held/**"], "reason": "litigation"}]}"#,
    );
    // In a subagent.
    let by_subagent = store.session(1).aged(days(40)).write();
    put(
        &by_subagent.side().join("subagents/agent-a1.jsonl"),
        json!({"type": "user", "cwd": "/held/a", "sessionId": id(1), "timestamp": "2026-01-01T00:00:00.000Z"})
            .to_string() + "\n",
        days(40),
    );
    // In its last record.
    let by_tail = store.session(2).aged(days(40)).write();
    let text = fs::read_to_string(&by_tail.transcript).unwrap()
        + &json!({"type": "user", "cwd": "/held", "sessionId": id(2), "timestamp": "2026-01-01T00:00:00.000Z"}).to_string();
    put(&by_tail.transcript, text + "\n", days(40));
    // In a line of history.
    let by_line = store.session(3).aged(days(40)).write();
    store.history(Some(by_line.id()), "/held/c", days(40));
    // In the repository above a worktree.
    let by_worktree = store.session(4).cwd("/held/repo/.claude/worktrees/wt").aged(days(40)).write();
    let free = store.session(5).aged(days(40)).write();
    sandbox.enforce().exits(0);
    for (what, session) in
        [("subagent", by_subagent), ("tail", by_tail), ("line", by_line), ("worktree", by_worktree)]
    {
        assert!(session.is_there(), "the hold missed what is found in the {what}");
    }
    assert!(!free.is_there());
}

#[test]
fn a_hold_on_a_repository_covers_its_worktrees() {
    let (sandbox, store) = recent();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "30d"}],
            "holds": [{"name": "case", "projects": ["/work/repo"], "reason": "litigation"}]}"#,
    );
    let session = store.session(1).cwd("/work/repo/.claude/worktrees/wt1").aged(days(40)).write();
    sandbox.enforce().exits(0);
    assert!(session.is_there());
}

#[test]
fn a_hold_ends_when_it_says_so() {
    for (until, there) in [("2020-01-01T00:00:00Z", false), ("2099-01-01T00:00:00Z", true)] {
        let (sandbox, store) = recent();
        sandbox.policy(&format!(
            r#"{{"version": 1, "rules": [{{"name": "all", "deleteAfter": "30d"}}],
                "holds": [{{"name": "case", "projects": ["/work/acme/**"], "reason": "x", "until": "{until}"}}]}}"#
        ));
        let session = store.session(1).aged(days(40)).write();
        sandbox.enforce().exits(0);
        assert_eq!(session.is_there(), there, "until {until}");
    }
}

#[test]
fn a_floor_keeps_whatever_rules_say() {
    let (sandbox, store) = recent();
    sandbox
        .policy(r#"{"version": 1, "keepAtLeast": "20d", "rules": [{"name": "all", "deleteAfter": "7d"}]}"#);
    let session = store.session(1).aged(days(10)).write();
    let old = store.session(2).aged(days(25)).write();
    store.history(Some(session.id()), "/work/acme", days(10));
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert!(session.is_there());
    assert!(!old.is_there());
    assert_eq!(store.history_lines().len(), 1, "the floor binds lines too");
    assert_eq!(reason(&output, &transcript(1)), "keep-at-least");
}

#[test]
fn what_no_rule_covers_is_kept_as_such() {
    let (sandbox, store) = recent();
    sandbox
        .policy(r#"{"version": 1, "rules": [{"name": "x", "projects": ["/else/**"], "deleteAfter": "7d"}]}"#);
    let session = store.session(1).aged(days(400)).write();
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert!(session.is_there());
    assert_eq!(reason(&output, &transcript(1)), "no-rule");
}

#[test]
fn what_is_never_touched_by_age() {
    let (sandbox, store) = recent();
    sandbox.delete_after("7d");
    let never = [
        ".credentials.json",
        "settings.json",
        "settings.local.json",
        "CLAUDE.md",
        "skills/s/SKILL.md",
        "agents/a.md",
        "commands/c.md",
        "plugins/installed_plugins.json",
        "plugins/cache/x/y",
        "workflows/w.js",
        "themes/t.json",
        "rules/r.md",
        "keybindings.json",
        "loop.md",
        "projects/-work-acme/memory/MEMORY.md",
        "agent-memory/a/MEMORY.md",
        "memory/personal/x.md",
        "jobs/0123abcd/state.json",
        "teams/t/config.json",
        "output-styles/o.md",
        "nobody-knows.bin",
        "projects/-work-acme/notes.txt",
        "plans/keep.txt",
        "unknown/x/y",
    ];
    for path in never {
        store.put(path, "{}", days(400));
    }
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    for path in never {
        assert!(store.has(path), "{path} is gone");
    }
    assert_eq!(reason(&output, ".credentials.json"), "protected");
}

#[test]
fn the_unknown_is_named_with_its_size() {
    let (sandbox, store) = recent();
    store.put("from-the-future/x.bin", vec![0; 1234], days(400));
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    let item = output.item("from-the-future/x.bin");
    assert_eq!(item["reason"], "unrecognised");
    assert_eq!(item["bytes"], 1234);
    assert_eq!(output.summary("unrecognised"), 1);
}

#[test]
fn the_newest_usable_backup_of_the_global_file_stays() {
    let (sandbox, store) = recent();
    for (number, content, old) in [(1, "{}", 90), (2, "{\"a\": 1}", 80), (3, "{ broken", 70)] {
        store.put(format!("backups/.claude.json.backup.170000000000{number}"), content, days(old));
    }
    store.put("backups/.claude.json.corrupted.1700000000004", "{}", days(60));
    sandbox.enforce().exits(0);
    assert!(!store.has("backups/.claude.json.corrupted.1700000000004"), "set aside as damaged");
    assert!(!store.has("backups/.claude.json.backup.1700000000001"));
    assert!(store.has("backups/.claude.json.backup.1700000000002"), "the newest that parses");
    assert!(!store.has("backups/.claude.json.backup.1700000000003"));
}

#[test]
fn a_paste_lives_as_long_as_the_latest_line_that_refers_to_it() {
    let (sandbox, store) = recent();
    store.session(1).aged(days(40)).write();
    store.session(2).aged(days(5)).write();
    let shared = store.paste("0123456789abcdef", &id(1), days(40));
    store.paste("0123456789abcdef", &id(2), days(5));
    crate::common::store::age(&shared, days(40));
    let alone = store.paste("fedcba9876543210", &id(1), days(40));
    sandbox.enforce().exits(0);
    assert!(shared.exists(), "a line of 5 days ago refers to it");
    assert!(!alone.exists());
}

#[test]
fn a_paste_is_held_if_any_of_its_owners_is() {
    let (sandbox, store) = recent();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "30d"}],
            "holds": [{"name": "case", "projects": ["/held"], "reason": "x"}]}"#,
    );
    store.session(1).aged(days(40)).write();
    store.session(2).cwd("/held").aged(days(40)).write();
    let paste = store.paste("0123456789abcdef", &id(1), days(40));
    store.paste("0123456789abcdef", &id(2), days(40));
    crate::common::store::age(&paste, days(40));
    sandbox.enforce().exits(0);
    assert!(paste.exists());
}

#[test]
fn an_unparsable_line_refers_to_every_hash_in_it() {
    let (sandbox, store) = recent();
    let paste = store.put("paste-cache/0123456789abcdef.txt", CONTENT, days(40));
    store.history_line(r#"{"broken: 0123456789abcdef"#);
    sandbox.enforce();
    assert!(paste.exists());
}

/// A power loss or a full disk leaves a part of a pid file, whose name still says which process wrote it.
#[test]
fn a_torn_pid_file_of_a_process_that_runs_may_be_of_any_session() {
    let name = format!("sessions/{}.json", std::process::id());
    for (name, content, is_kept) in [
        (name.as_str(), "", true),
        (&name, "{\"pid\": 12", true),
        ("sessions/4194303.json", "", false),
        (&name.replace(".json", ".json.tmp.abcdef01"), "", false),
        ("sessions/notes.json", "", false),
    ] {
        let sandbox = Sandbox::new();
        sandbox.delete_after("7d");
        let store = sandbox.store();
        let session = store.session(1).aged(days(20)).write();
        store.put(name, content, days(20));
        let promised = sandbox.run(["enforce", "-n", "--json"]).exits(0).summary("sessionsDeleted");
        assert_eq!(promised == 0, is_kept, "{name} {content}");
        sandbox.enforce().exits(0);
        assert_eq!(session.is_there(), is_kept, "{name} {content}");
        if is_kept {
            sandbox.run(["purge", "--yes"]).exits(4).says("cannot be understood");
            assert!(session.is_there());
        }
    }
}
