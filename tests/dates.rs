//! Which moment dates a session, row by row.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::common::sandbox::{has, recent};
use crate::common::store::{CONTENT, StoreBuilder, put, shown_plan, stamp};
use crate::common::{Output, Sandbox, days, hours, id, now, skip};

fn policy(sandbox: &Sandbox, age_by: &str) {
    sandbox.policy(&format!(
        r#"{{"version": 1, "ageBy": "{age_by}", "rules": [{{"name": "all", "deleteAfter": "30d"}}]}}"#
    ));
}

#[test]
fn records_decide_where_the_file_looks_younger() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(40)).files_aged(days(2)).write();
    sandbox.enforce().exits(0);
    assert!(!session.is_there(), "a restored file is as old as its last record");
}

#[test]
fn records_decide_where_the_file_looks_older() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(2)).files_aged(days(400)).write();
    sandbox.enforce().exits(0);
    assert!(session.is_there(), "an old modification time alone settles nothing");
}

#[test]
fn age_by_mtime_and_by_the_newest() {
    for (age_by, record, file, there) in [
        ("record", 40, 2, false),
        ("record", 2, 40, true),
        ("mtime", 40, 2, true),
        ("mtime", 2, 40, false),
        ("newest", 40, 2, true),
        ("newest", 2, 40, true),
        ("newest", 40, 40, false),
    ] {
        let (sandbox, store) = recent();
        policy(&sandbox, age_by);
        let session = store.session(1).aged(days(record)).files_aged(days(file)).write();
        sandbox.enforce().exits(0);
        assert_eq!(session.is_there(), there, "{age_by}: record {record} d, file {file} d");
    }
}

#[test]
fn a_subagent_that_worked_later_dates_the_session() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(40)).write();
    session.subagent("a1b2c3", days(10));
    sandbox.enforce().exits(0);
    assert!(session.is_there());
}

#[test]
fn future_records_are_ignored_in_favour_of_the_newest_that_is_not() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(-300)).begun(days(40)).files_aged(days(40)).write();
    let young = store.session(2).aged(days(-300)).begun(days(5)).files_aged(days(40)).write();
    sandbox.enforce().exits(0);
    assert!(!session.is_there());
    assert!(young.is_there());
}

#[test]
fn without_a_dated_record_the_file_counts() {
    let (sandbox, store) = recent();
    let old = store.session(1).undated().files_aged(days(40)).write();
    let young = store.session(2).undated().files_aged(days(5)).write();
    sandbox.enforce().exits(0);
    assert!(!old.is_there());
    assert!(young.is_there());
}

#[test]
fn a_date_in_the_future_all_over_is_kept_as_such() {
    let (sandbox, store) = recent();
    let session = store.session(1).undated().files_aged(days(-100)).write();
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert!(session.is_there());
    assert_eq!(output.item(&format!("{}.jsonl", id(1)))["reason"], "future-dated");
}

#[test]
fn the_last_record_is_not_always_the_newest() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(40)).write();
    let mut text = fs::read_to_string(&session.transcript).unwrap();
    for old in [5, 38] {
        text +=
            &json!({"type": "user", "sessionId": id(1), "timestamp": stamp(now() - days(old))}).to_string();
        text.push('\n');
    }
    put(&session.transcript, text, days(40));
    sandbox.enforce().exits(0);
    assert!(session.is_there(), "the newest record is 5 days old");
}

#[test]
fn a_long_tail_without_dates_is_read_further_back() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(3)).begun(days(60)).files_aged(days(60)).write();
    let mut text = fs::read_to_string(&session.transcript).unwrap();
    let blob = json!({"type": "api-request-blob", "blob": CONTENT.repeat(40)}).to_string() + "\n";
    while text.len() < 400_000 {
        text += &blob;
    }
    put(&session.transcript, text, days(60));
    sandbox.enforce().exits(0);
    assert!(session.is_there(), "the newest record is 3 days old and lies 400 KB before the end");
}

#[test]
fn a_timestamp_inside_the_content_dates_nothing() {
    let (sandbox, store) = recent();
    let line = json!({"type": "user", "sessionId": id(1), "cwd": "/work/acme",
        "message": {"content": format!("{{\"timestamp\":\"{}\"}}", stamp(now()))},
        "timestamp": stamp(now() - days(40))});
    store.put(format!("projects/-work-acme/{}.jsonl", id(1)), format!("{line}\n"), days(40));
    sandbox.enforce().exits(0);
    assert!(!store.has(format!("projects/-work-acme/{}.jsonl", id(1))));
}

#[test]
fn all_transcripts_of_one_id_are_one_session() {
    let (sandbox, store) = recent();
    let main = store.session(1).aged(days(40)).write();
    let set_aside =
        store.session(1).aged(days(60)).named(&format!("{}.jsonl.superseded-1700000000000", id(1))).write();
    let orphaned =
        store.session(1).aged(days(60)).named(&format!("{}.orphaned-1700000000000-ab.jsonl", id(1))).write();
    let worktree = store.session(1).aged(days(3)).cwd("/work/acme/.claude/worktrees/w1").write();
    sandbox.enforce().exits(0);
    for session in [&main, &set_aside, &orphaned, &worktree] {
        assert!(
            session.is_there(),
            "{} is gone though its session is 3 days old",
            session.transcript.display()
        );
    }
    // What dated it is remembered: the copy may be on a volume that is not mounted today.
    fs::remove_file(&worktree.transcript).unwrap();
    sandbox.enforce().exits(0);
    for session in [&main, &set_aside, &orphaned] {
        assert!(session.is_there(), "{} is gone", session.transcript.display());
    }
    sandbox.delete_after("2d");
    sandbox.enforce().exits(0);
    for session in [&main, &set_aside, &orphaned] {
        assert!(!session.is_there(), "{} is left", session.transcript.display());
    }
}

#[test]
fn the_same_id_in_another_store_is_another_session() {
    let (sandbox, store) = recent();
    let here = store.session(1).aged(days(40)).write();
    let other = StoreBuilder::new(sandbox.home().join("other"), sandbox.client_tmp());
    let there = other.session(1).aged(days(3)).write();
    sandbox.command(["enforce", "--yes", "--json"]).env("CLAUDE_CONFIG_DIR", &other.root).run().exits(0);
    assert!(!here.is_there());
    assert!(there.is_there());
}

#[test]
fn the_temp_tree_belongs_to_the_newest_of_one_id() {
    let (sandbox, store) = recent();
    let here = store.session(1).aged(days(40)).write();
    let other = StoreBuilder::new(sandbox.home().join("other"), sandbox.client_tmp());
    other.session(1).aged(days(3)).write();
    let temp = here.temp().join("tasks/b.output");
    put(&temp, CONTENT, days(40));
    sandbox.command(["enforce", "--yes", "--json"]).env("CLAUDE_CONFIG_DIR", &other.root).run().exits(0);
    assert!(!here.is_there());
    assert!(temp.exists(), "the younger session of that id still owns it");
}

#[test]
fn satellites_without_their_session_are_one_unit_with_a_date_of_their_own() {
    let (sandbox, store) = recent();
    for (number, file_history, debug) in [(1, 40, 50), (2, 40, 5)] {
        store.put(format!("file-history/{}/a@v1", id(number)), CONTENT, days(file_history));
        store.put(format!("debug/{}.txt", id(number)), CONTENT, days(debug));
    }
    sandbox.enforce().exits(0);
    assert!(!store.has(format!("file-history/{}", id(1))));
    assert!(!store.has(format!("debug/{}.txt", id(1))));
    assert!(store.has(format!("file-history/{}/a@v1", id(2))), "its newest file is 5 days old");
    assert!(store.has(format!("debug/{}.txt", id(2))));
}

#[test]
fn no_session_is_orphaned_while_a_folder_could_not_be_read() {
    let (sandbox, store) = recent();
    store.session(2).cwd("/work/closed").aged(days(1)).write();
    let satellite = store.put(format!("file-history/{}/a@v1", id(1)), CONTENT, days(40));
    sandbox.give_away();
    let folder = store.path("projects/-work-closed");
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    let output = sandbox.command(["-v", "enforce", "--yes", "--json"]).unprivileged().run();
    output.exits(1);
    assert!(satellite.exists());
    assert_eq!(output.item("a@v1")["reason"], "owner-unknown");
}

#[test]
fn loose_artifacts_go_by_their_own_age() {
    let (sandbox, store) = recent();
    for name in [
        "plans/p.md",
        "shell-snapshots/snapshot-bash-1700000000000-abc123.sh",
        "feedback-bundles/b.zip",
        "telemetry/t.json",
    ] {
        for (prefix, old) in [("", 40), ("young-", 5)] {
            let (folder, file) = name.split_once('/').unwrap();
            let file = if file.starts_with("snapshot") && !prefix.is_empty() {
                "snapshot-zsh-1700000000000-abc123.sh".to_owned()
            } else {
                format!("{prefix}{file}")
            };
            store.put(format!("{folder}/{file}"), "x", days(old));
        }
    }
    let cache = sandbox.home().join(".cache/claude-cli-nodejs/-work-acme/mcp-logs-srv");
    put(&cache.join("2026-01-01T00-00-00-000Z.jsonl"), "{}", days(40));
    put(&cache.join("2026-01-02T00-00-00-000Z.jsonl"), "{}", days(4));
    sandbox.enforce().exits(0);
    for gone in [
        "plans/p.md",
        "feedback-bundles/b.zip",
        "telemetry/t.json",
        "shell-snapshots/snapshot-bash-1700000000000-abc123.sh",
    ] {
        assert!(!store.has(gone), "{gone} is left");
    }
    for there in [
        "plans/young-p.md",
        "feedback-bundles/young-b.zip",
        "telemetry/young-t.json",
        "shell-snapshots/snapshot-zsh-1700000000000-abc123.sh",
    ] {
        assert!(store.has(there), "{there} is gone");
    }
    assert!(!cache.join("2026-01-01T00-00-00-000Z.jsonl").exists());
    assert!(cache.join("2026-01-02T00-00-00-000Z.jsonl").exists());
}

#[test]
fn a_heap_snapshot_goes_with_its_session() {
    let (sandbox, store) = recent();
    let old = store.session(1).aged(days(40)).write();
    let young = store.session(2).aged(days(2)).write();
    let desktop = sandbox.home().join("Desktop");
    for session in [&old, &young] {
        put(&desktop.join(format!("{}.heapsnapshot", session.id())), CONTENT, days(40));
        put(&desktop.join(format!("{}-diagnostics.json", session.id())), CONTENT, days(40));
    }
    put(&desktop.join("mine.heapsnapshot"), "x", days(400));
    sandbox.enforce().exits(0);
    assert!(!desktop.join(format!("{}.heapsnapshot", old.id())).exists());
    assert!(!desktop.join(format!("{}-diagnostics.json", old.id())).exists());
    assert!(desktop.join(format!("{}.heapsnapshot", young.id())).exists());
    assert!(desktop.join("mine.heapsnapshot").exists());
}

#[test]
fn the_rule_is_chosen_by_the_first_folder_of_the_records() {
    let (sandbox, store) = recent();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "acme", "projects": ["/work/acme"], "deleteAfter": "7d"},
            {"name": "rest", "deleteAfter": "300d"}]}"#,
    );
    let session = store.session(1).aged(days(10)).write();
    let moved = json!({"type": "user", "sessionId": id(1), "cwd": "/work/other", "timestamp": stamp(now() - days(9))});
    let text = fs::read_to_string(&session.transcript).unwrap() + &format!("{moved}\n");
    put(&session.transcript, text, days(9));
    let began_elsewhere = store.session(2).cwd("/work/other").aged(days(10)).write();
    sandbox.enforce().exits(0);
    assert!(!session.is_there());
    assert!(began_elsewhere.is_there());
}

#[test]
fn desktop_sessions_are_counted_and_treated_as_any_other() {
    let (sandbox, store) = recent();
    let old = store.session(1).entrypoint("claude-desktop").aged(days(40)).write();
    let young = store.session(2).entrypoint("local-agent").aged(days(4)).write();
    let output = sandbox.enforce();
    output.exits(0);
    assert!(!old.is_there());
    assert!(young.is_there());
    assert_eq!(output.summary("desktop"), 2, "{output}");
}

#[test]
fn a_date_before_2024_is_none() {
    let years = |years: i64| days(365 * years);
    let (sandbox, store) = recent();
    policy(&sandbox, "record");
    for (number, old) in [(1, years(60)), (2, years(46)), (3, years(26)), (4, years(3))] {
        // No date at all.
        let undated = store.session(number).undated().files_aged(old).write();
        // Its records are of a clock without a battery, and its file is young, or old.
        let young = store.session(10 + number).aged(old).files_aged(days(5)).write();
        let due = store.session(20 + number).aged(old).files_aged(days(40)).write();
        // Its file is, and its records are young, or old.
        let record = store.session(30 + number).aged(days(5)).files_aged(old).write();
        let old_record = store.session(40 + number).aged(days(40)).files_aged(old).write();
        let loose = store.put(format!("debug/note-{number}.txt"), "", old);
        let plan = store.put(format!("plans/{number}.md"), "", old);
        let output = sandbox.enforce_verbosely();
        output.exits(0);
        assert_eq!(output.item(&format!("{}.jsonl", id(number)))["reason"], "undated");
        assert!(
            undated.is_there() && young.is_there() && record.is_there() && loose.exists() && plan.exists()
        );
        assert!(!due.is_there() && !old_record.is_there());
        assert_eq!(output.item(&shown_plan(&format!("{number}.md")))["reason"], "undated");
    }
}

#[test]
fn what_has_no_date_is_dated_by_the_run_that_first_saw_it() {
    if !has("faketime") {
        return skip("needs faketime");
    }
    let (sandbox, store) = recent();
    policy(&sandbox, "record");
    let ancient = days(365 * 46);
    let session = store.session(1).undated().files_aged(ancient).write();
    let plan = store.put("plans/words-of-a-prompt.md", "", ancient);
    let orphan = store.put(format!("file-history/{}/0123456789abcdef@v1", id(7)), "", ancient);
    let line = json!({"display": CONTENT, "pastedContents": {}, "timestamp": 0, "project": "/w"}).to_string();
    store.history_line(&line);
    let run = |after: i64| {
        sandbox.command(["enforce", "--yes"]).at(now() + days(after)).run().exits(0).quietly();
        (session.is_there(), plan.exists(), orphan.exists())
    };
    sandbox.command(["enforce", "--dry-run"]).at(now() - days(20)).run().exits(0);
    assert_eq!(run(0), (true, true, true));
    let state = fs::read_to_string(sandbox.state().join("state.json")).unwrap();
    assert!(state.contains(&id(1)) && !state.contains("words-of-a-prompt"));
    let explained = sandbox.run(["explain", &id(1), "--json"]).json();
    assert_eq!(explained["dates"]["counts"], "first-seen");
    sandbox.run(["explain", &id(1)]).exits(0).says("the first run that saw it").says("keep (not-due)");
    sandbox.run(["explain".as_ref(), plan.as_os_str()]).exits(0).says("the first run that saw it");
    assert_eq!(run(29), (true, true, true));
    assert_eq!(run(31), (false, false, false));
    assert_eq!(store.history_lines(), [line], "an undated line without a session stays");
    let state = fs::read_to_string(sandbox.state().join("state.json")).unwrap();
    assert!(run(32) == (false, false, false) && state.contains("firstSeen"));
    // The file of the undated line is remembered, because it stays.
    let state = fs::read_to_string(sandbox.state().join("state.json")).unwrap();
    assert_eq!(state.matches("\"what\"").count(), 1, "{state}");
}

#[test]
fn a_modification_time_that_is_no_date_leaves_it_to_the_records() {
    for age_by in ["mtime", "newest"] {
        let (sandbox, store) = recent();
        policy(&sandbox, age_by);
        let young = store.session(1).aged(days(5)).files_aged(days(365 * 46)).write();
        let old = store.session(2).aged(days(40)).files_aged(days(365 * 56)).write();
        sandbox.enforce().exits(0);
        assert!(young.is_there() && !old.is_there(), "{age_by}");
    }
}

#[test]
fn a_number_of_seconds_is_a_date_and_a_small_number_none() {
    let (sandbox, store) = recent();
    policy(&sandbox, "record");
    let line = |time: i64| {
        json!({"display": CONTENT, "pastedContents": {}, "timestamp": time, "project": "/w"}).to_string()
    };
    let seconds = |old: i64| (now() - days(old)).timestamp();
    let kept = [line(0), line(-1), line(seconds(5)), line(seconds(5) * 1000), line(946_684_800_000)];
    let gone = [line(seconds(40)), line(seconds(40) * 1000)];
    for line in kept.iter().chain(&gone) {
        store.history_line(line);
    }
    let session = |number: u32, old: i64| {
        let session = store.session(number).undated().files_aged(days(40)).write();
        let record = json!({"type": "user", "sessionId": session.id(), "timestamp": seconds(old)});
        put(&session.transcript, format!("{record}\n"), days(40));
        session
    };
    let (young, old) = (session(1, 5), session(2, 40));
    sandbox.enforce().exits(0);
    assert_eq!(store.history_lines(), kept);
    assert!(young.is_there() && !old.is_there());
}

#[test]
fn a_difference_of_more_than_a_day_is_counted() {
    let (sandbox, store) = recent();
    store.session(1).aged(days(5)).files_aged(days(2)).write();
    store.session(2).aged(days(5)).files_aged(days(5) - hours(2)).write();
    let output = sandbox.enforce();
    output.exits(0);
    assert_eq!(output.summary("datesDiffer"), 1, "{output}");
}

/// A run in an hour: the files of a test are too fresh to be remembered at once.
fn an_hour_later(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.command(arguments).at(now() + hours(1)).run()
}

#[test]
fn what_a_transcript_said_is_remembered_until_it_changes() {
    if !has("faketime") {
        return skip("needs faketime");
    }
    let (sandbox, store) = recent();
    let dates = sandbox.state().join("dates.json");
    let session = store.session(1).aged(days(40)).files_aged(days(40)).write();
    sandbox.dry_run().exits(0);
    assert!(!fs::read_to_string(&dates).unwrap_or_default().contains("/work/"), "it is too fresh");
    an_hour_later(&sandbox, &["enforce", "--dry-run"]).exits(0).quietly();
    let remembered = fs::read_to_string(&dates).unwrap();
    assert!(remembered.contains("/work/anchor") && !remembered.contains(CONTENT));
    assert_eq!(dates.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // Somebody goes on with it, and a tool sets its modification time back.
    let transcript = &session.transcript;
    let old = transcript.metadata().unwrap().modified().unwrap();
    let record = json!({"type": "user", "sessionId": session.id(), "timestamp": stamp(now() - hours(2))});
    let mut file = fs::OpenOptions::new().append(true).open(transcript).unwrap();
    writeln!(file, "{record}").unwrap();
    file.set_modified(old).unwrap();
    drop(file);
    an_hour_later(&sandbox, &["enforce", "--yes"]).exits(0).quietly();
    assert!(session.is_there(), "what was remembered is not what it says now");
    // What is remembered decides as the file itself would.
    let other = store.session(2).aged(days(40)).files_aged(days(2)).write();
    an_hour_later(&sandbox, &["enforce", "--dry-run"]).exits(0);
    an_hour_later(&sandbox, &["enforce", "--yes"]).exits(0).quietly();
    assert!(!other.is_there() && session.is_there());
}
