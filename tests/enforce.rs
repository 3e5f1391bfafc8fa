//! The main job: what goes, what is said about it, and what a dry run promises.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::store::CONTENT;
use crate::common::{Sandbox, Tree, days, hours, id};

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn without_a_policy_thirty_days_are_the_limit() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let old = store.session(1).aged(days(31)).write();
    let young = store.session(2).aged(days(29)).write();
    let output = sandbox.enforce();
    output.exits(0).quietly();
    assert!(!old.is_there());
    assert!(young.is_there());
    assert_eq!(output.summary("sessionsDeleted"), 1);
    assert_eq!(output.summary("sessionsKept"), 1);
}

#[test]
fn nothing_at_all_is_nothing_to_do() {
    let sandbox = Sandbox::new();
    let output = sandbox.enforce();
    output.exits(0).quietly();
    assert_eq!(output.summary("deleted"), 0);
    assert!(!sandbox.home().join(".claude").exists(), "a store was made");
}

#[test]
fn without_a_terminal_consent_must_be_said() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(40)).write();
    sandbox.store().session(2).aged(days(1)).write();
    let before = sandbox.tree();
    let output = sandbox.run(["enforce"]);
    output.exits(4).says("--yes");
    before.without(".claude/ccretain").is_unchanged(&sandbox.tree().without(".claude/ccretain"));
}

#[test]
fn on_a_terminal_it_asks_before_the_first_change() {
    for (answer, code, there) in [("n\n", 4, true), ("\n", 4, true), ("yes\n", 0, false)] {
        let sandbox = Sandbox::new();
        let old = sandbox.store().session(1).aged(days(40)).write();
        sandbox.store().session(2).aged(days(1)).write();
        let output = sandbox.command(["enforce"]).on_terminal(answer).run();
        output.exits(code);
        assert_eq!(old.is_there(), there, "after {answer:?}: {output}");
    }
}

#[test]
fn a_dry_run_leaves_nothing_but_the_lock() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(40)).write().satellites();
    store.session(2).aged(days(1)).write();
    store.history(Some(&id(1)), "/work/acme", days(40));
    let before = Tree::with_times(&sandbox.home());
    for flag in ["--dry-run", "-n"] {
        let output = sandbox.run(["enforce", flag, "--json"]);
        output.exits(0).quietly();
        let json = output.json();
        assert_eq!(json["dryRun"], true);
        assert_eq!(json["summary"]["sessionsDeleted"], 1);
        for item in json["items"].as_array().unwrap() {
            assert!(item.get("outcome").is_none(), "a dry run has no outcomes: {item}");
        }
    }
    let mut after = Tree::with_times(&sandbox.home());
    after.0.remove(Path::new(".claude/ccretain"));
    after.0.remove(Path::new(".claude/ccretain/lock"));
    before.is_unchanged(&after);
}

#[test]
fn a_dry_run_says_what_a_run_then_does() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    // What the program itself keeps in a store is counted as kept; the first run makes it.
    store.session(99).aged(days(1)).write();
    sandbox.enforce().exits(0);
    for number in 1..=5 {
        store.session(number).aged(days(i64::from(number) * 9)).write().satellites();
        store.history(Some(&id(number)), "/work/acme", days(i64::from(number) * 9));
    }
    store.put("plans/old.md", "plan", days(40));
    store.put("nobody-knows.bin", "x", days(40));
    let promised = sandbox.run(["enforce", "--dry-run", "--json"]);
    let done = sandbox.enforce();
    promised.exits(0).quietly();
    done.exits(0).quietly();
    assert_eq!(promised.json()["summary"], done.json()["summary"]);
    let paths = |value: &Value| -> BTreeSet<String> {
        value["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["path"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(paths(&promised.json()), paths(&done.json()));
    assert!(paths(&done.json()).len() > 10);
}

#[test]
fn a_second_run_finds_nothing_left_to_do() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(40)).write().satellites();
    store.session(2).aged(days(2)).write().satellites();
    store.history(Some(&id(1)), "/work/acme", days(40));
    sandbox.enforce().exits(0);
    let before = sandbox.tree();
    let again = sandbox.enforce();
    again.exits(0).quietly();
    for count in ["deleted", "pruned", "sealed", "failed", "skipped", "prunedLines", "sessionsDeleted"] {
        assert_eq!(again.summary(count), 0, "{count} in {again}");
    }
    before.is_unchanged(&sandbox.tree());
}

#[test]
fn all_of_a_session_goes_and_nothing_of_another() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let old = store.session(1).aged(days(40)).write();
    let young = store.session(2).aged(days(1)).write();
    let gone = old.satellites();
    let stays = young.satellites();
    for session in [&old, &young] {
        store.history(Some(session.id()), "/work/acme", days(1));
    }
    store.index("/work/acme", &[old.id(), young.id()]);
    let output = sandbox.enforce();
    output.exits(0).quietly();
    for path in gone.iter().chain([&old.transcript]) {
        assert!(!path.exists(), "{} is still there", path.display());
    }
    for path in stays.iter().chain([&young.transcript]) {
        assert!(path.exists(), "{} is gone", path.display());
    }
    // Folders that became empty by it go too.
    assert!(!old.side().exists());
    assert!(!old.temp().exists());
    for kind in ["file-history", "tasks", "session-env", "image-cache", "uploads"] {
        assert!(!store.has(format!("{kind}/{}", old.id())), "{kind} is left");
    }
    let left = store.history_lines();
    assert_eq!(left.len(), 1);
    assert!(left[0].contains(young.id()));
    let index = fs::read_to_string(store.path("projects/-work-acme/sessions-index.json")).unwrap();
    assert!(!index.contains(old.id()) && index.contains(young.id()), "{index}");
    serde_json::from_str::<Value>(&index).expect("the index still parses");
    assert_eq!(output.summary("partlyDeleted"), 0);
}

#[test]
fn the_folder_of_a_project_goes_with_its_last_session() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(40)).cwd("/work/gone").write();
    store.session(2).aged(days(1)).write();
    sandbox.enforce().exits(0).quietly();
    assert!(!store.has("projects/-work-gone"));
    assert!(store.has("projects"));
}

#[test]
fn a_file_of_an_unknown_name_goes_with_its_session() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(40)).write();
    store.session(2).aged(days(1)).write();
    let unknown = session.side_file("from-the-future.bin", "x");
    session.settle();
    let output = sandbox.enforce();
    output.exits(0);
    assert!(!unknown.exists() && !session.is_there(), "{output}");
    assert_eq!(output.summary("partlyDeleted"), 0);
    assert_eq!(output.summary("unrecognised"), 0);
}

#[test]
fn the_document_has_the_keys_of_the_contract() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(40)).write();
    store.session(2).aged(days(2)).write();
    let json = sandbox.enforce_verbosely().json();
    assert_eq!(json["schema"], "ccretain.enforce/1");
    assert_eq!(json["dryRun"], false);
    assert_eq!(json["mode"], "enforce");
    for key in ["schema", "run", "now", "dryRun", "mode", "policy", "stores", "summary", "items", "errors"] {
        assert!(keys(&json).contains(key), "{key} is missing in {json}");
    }
    assert_eq!(json["policy"]["sha256"].as_str().unwrap().len(), 64);
    assert!(json["policy"]["layers"].is_array());
    let root = json["stores"]
        .as_array()
        .unwrap()
        .iter()
        .find(|store| store["root"].as_str().unwrap().ends_with(".claude"));
    for key in ["root", "owner", "kind", "sessions", "artifacts", "bytes"] {
        assert!(keys(root.expect("the store")).contains(key), "{key} is missing in {json}");
    }
    assert_eq!(root.unwrap()["kind"], "config");
    assert_eq!(root.unwrap()["sessions"], 2);
    for key in [
        "kept",
        "deleted",
        "sealed",
        "pruned",
        "skipped",
        "failed",
        "prunedLines",
        "bytesFreed",
        "sessionsKept",
        "sessionsDeleted",
        "sessionsSealed",
        "partlyDeleted",
        "desktop",
        "held",
        "live",
        "unrecognised",
    ] {
        assert!(json["summary"][key].is_u64(), "summary.{key} is no count in {json}");
    }
    let all = json["items"].as_array().unwrap();
    let items: Vec<&Value> = all.iter().filter(|item| item["kind"] != "ccretain").collect();
    assert_eq!(items.len(), 2, "{json}");
    for item in &items {
        for key in [
            "store",
            "path",
            "kind",
            "session",
            "project",
            "lastActivity",
            "bytes",
            "decision",
            "rule",
            "layer",
            "due",
            "reason",
            "outcome",
            "error",
        ] {
            assert!(keys(item).contains(key), "{key} is missing in {item}");
        }
    }
    let deleted = items.iter().find(|item| item["session"] == id(1)).unwrap();
    assert_eq!(deleted["path"], format!("projects/-work-acme/{}.jsonl", id(1)));
    assert_eq!(deleted["kind"], "transcript");
    assert_eq!(deleted["project"], "/work/acme");
    assert_eq!(deleted["decision"], "delete");
    assert_eq!(deleted["outcome"], "deleted");
    assert_eq!(deleted["layer"], "built-in");
    assert_eq!(deleted["reason"], Value::Null);
    assert_eq!(deleted["error"], Value::Null);
    for time in [&deleted["lastActivity"], &deleted["due"], &json["now"]] {
        let time = time.as_str().unwrap();
        assert!(
            time.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(time).is_ok(),
            "{time} is not RFC 3339 in UTC"
        );
    }
    let kept = items.iter().find(|item| item["session"] == id(2)).unwrap();
    assert_eq!(kept["decision"], "keep");
    assert_eq!(kept["reason"], "not-due");
    assert_eq!(kept["outcome"], "kept");
}

#[test]
fn kept_items_are_listed_only_when_asked_for() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(40)).write();
    store.session(2).aged(days(2)).write();
    let output = sandbox.run(["enforce", "-n", "--json"]);
    let json = output.json();
    let decisions: Vec<&str> =
        json["items"].as_array().unwrap().iter().map(|item| item["decision"].as_str().unwrap()).collect();
    assert_eq!(decisions, ["delete"]);
    assert!(sandbox.dry_run().json()["items"].as_array().unwrap().len() > 1);
}

#[test]
fn the_due_date_is_the_last_activity_and_the_period() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("7d");
    sandbox.store().session(1).aged(days(2)).write();
    let item = sandbox.dry_run().item(&format!("{}.jsonl", id(1)));
    let time = |key: &str| chrono::DateTime::parse_from_rfc3339(item[key].as_str().unwrap()).unwrap();
    assert_eq!(time("due") - time("lastActivity"), days(7));
    assert_eq!(item["rule"], "all");
    assert_eq!(item["layer"], "user");
}

#[test]
fn a_due_date_counts_to_the_second() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("2h");
    let store = sandbox.store();
    let due = store.session(1).aged(hours(2)).write();
    let not_yet = store.session(2).aged(hours(2) - chrono::Duration::minutes(1)).write();
    sandbox.enforce().exits(0);
    assert!(!due.is_there());
    assert!(not_yet.is_there());
}

#[test]
fn audit_reports_and_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.policy(r#"{"version": 1, "mode": "audit", "rules": [{"name": "all", "deleteAfter": "30d"}]}"#);
    sandbox.store().session(1).aged(days(40)).write();
    sandbox.store().session(2).aged(days(1)).write();
    let before = sandbox.tree();
    let output = sandbox.enforce();
    output.exits(0).quietly();
    assert_eq!(output.json()["mode"], "audit");
    // What is due is told, and counted apart from what would be done.
    let item = output.item(&format!("{}.jsonl", id(1)));
    assert_eq!((&item["decision"], &item["audit"]), (&"delete".into(), &true.into()));
    assert_eq!((&item["outcome"], &output.json()["dryRun"]), (&"kept".into(), &false.into()));
    let dry = sandbox.dry_run();
    let item = dry.item(&format!("{}.jsonl", id(1)));
    assert_eq!((item.get("outcome"), &dry.json()["dryRun"]), (None, &true.into()));
    assert_eq!((output.summary("audit"), output.summary("deleted"), output.summary("kept")), (1, 0, 1));
    before.without(".claude/ccretain").is_unchanged(&sandbox.tree().without(".claude/ccretain"));
    assert!(!sandbox.ledger_lines().is_empty(), "the summary of an audit is in the ledger");
}

#[test]
fn audit_says_what_a_guard_would_refuse_and_is_no_failure() {
    let sandbox = Sandbox::new();
    sandbox.policy(r#"{"version": 1, "mode": "audit", "rules": [{"name": "all", "deleteAfter": "30d"}]}"#);
    for number in 1..=25 {
        sandbox.store().session(number).aged(days(40)).write();
    }
    let output = sandbox.enforce();
    output.exits(0).quietly();
    assert_eq!(output.json()["refusals"].as_array().map(Vec::len), Some(1), "{output}");
    assert_eq!((output.summary("auditSessions"), output.summary("sessionsDeleted")), (25, 0));
}

#[test]
fn only_the_stores_named_are_changed() {
    let sandbox = Sandbox::new();
    let named = crate::common::StoreBuilder::new(sandbox.home().join("elsewhere"), sandbox.client_tmp());
    let home = sandbox.store().session(1).aged(days(40)).write();
    let there = named.session(2).aged(days(40)).write();
    named.session(3).aged(days(1)).write();
    let output = sandbox.command(["enforce", "--yes", "--json", "--store"]).arg(&named.root).run();
    output.exits(0);
    assert!(home.is_there(), "a store that was not named was changed");
    assert!(!there.is_there());
}

#[test]
fn a_moved_store_is_found_and_remembered() {
    let sandbox = Sandbox::new();
    let moved = crate::common::StoreBuilder::new(sandbox.home().join("moved"), sandbox.client_tmp());
    moved.session(1).aged(days(10)).write();
    sandbox.command(["enforce", "--yes", "--json"]).env("CLAUDE_CONFIG_DIR", &moved.root).run().exits(0);
    let old = moved.session(2).aged(days(40)).write();
    // A timer does not see the variable.
    sandbox.enforce().exits(0);
    assert!(!old.is_there(), "the moved store was forgotten");
    fs::remove_dir_all(&moved.root).unwrap();
    sandbox.enforce().exits(1).says("moved");
}

#[test]
fn no_content_reaches_an_output_or_the_ledger() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(40)).write().satellites();
    store.session(2).aged(days(1)).write().satellites();
    store.session(3).aged(days(40)).head(&format!("{{\"broken\": \"{CONTENT}")).write();
    store.history(Some(&id(1)), "/work/acme", days(40));
    store.history_line(&format!("not json {CONTENT}"));
    for output in [
        sandbox.run(["-v", "enforce", "--dry-run"]),
        sandbox.dry_run(),
        sandbox.run(["status"]),
        sandbox.enforce_verbosely(),
        sandbox.run(["-v", "enforce", "--yes", "--log-format", "json"]),
    ] {
        output.never_says(CONTENT);
    }
    let ledger = fs::read_to_string(sandbox.ledger()).unwrap();
    assert!(!ledger.contains(CONTENT));
}

#[test]
fn another_run_holds_the_lock() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let old = store.session(1).aged(days(40)).write();
    store.session(2).aged(days(1)).write();
    store.put("ccretain/lock", "", days(0));
    let held = fs::OpenOptions::new().write(true).open(store.path("ccretain/lock")).unwrap();
    held.lock().unwrap();
    let output = sandbox.enforce();
    output.exits(75);
    assert!(old.is_there());
    drop(held);
    sandbox.enforce().exits(0);
    assert!(!old.is_there());
}

#[test]
fn metrics_are_written_for_a_collector() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(40)).write();
    sandbox.store().session(2).aged(days(1)).write();
    let file = sandbox.home().join("metrics.prom");
    sandbox.command(["enforce", "--yes", "--metrics"]).arg(&file).run().exits(0).quietly();
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.lines().any(|line| line.starts_with("# TYPE ccretain_")), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("ccretain_") && value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn a_bounded_run_ends_and_does_the_rest_later() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(40)).write();
    sandbox.store().session(2).aged(days(1)).write();
    sandbox.run(["enforce", "--yes", "--max-runtime", "1min"]).exits(0).quietly();
    assert_eq!(sandbox.enforce().summary("deleted"), 0);
    sandbox.run(["enforce", "--yes", "--max-runtime", "soon"]).exits(2);
}

#[test]
fn kinds_of_a_session_can_go_earlier_on_its_date() {
    let sandbox = Sandbox::new();
    sandbox.policy(
        r#"{"version": 1, "rules": [
            {"name": "noise", "kinds": ["debug-log", "tool-result"], "deleteAfter": "3d"},
            {"name": "rest", "deleteAfter": "30d"}]}"#,
    );
    let store = sandbox.store();
    let session = store.session(1).aged(days(5)).write();
    session.satellites();
    sandbox.enforce().exits(0).quietly();
    assert!(session.is_there());
    assert!(!store.has(format!("debug/{}.txt", session.id())));
    assert!(!session.side().join("tool-results/byvcankqz.txt").exists());
    assert!(store.has(format!("file-history/{}/0123abcd@v1", session.id())));
}

#[test]
fn the_first_rule_that_matches_decides() {
    let sandbox = Sandbox::new();
    sandbox.policy(
        r#"{"version": 1, "rules": [
            {"name": "long", "projects": ["/work/acme/**"], "deleteAfter": "90d"},
            {"name": "short", "deleteAfter": "7d"}]}"#,
    );
    let store = sandbox.store();
    let acme = store.session(1).aged(days(10)).write();
    let below = store.session(2).aged(days(10)).cwd("/work/acme/deep/er").write();
    let beside = store.session(3).aged(days(10)).cwd("/work/acmetwo").write();
    store.session(4).aged(days(1)).write();
    sandbox.enforce().exits(0).quietly();
    assert!(acme.is_there() && below.is_there(), "`X/**` matches X and what is below it");
    assert!(!beside.is_there());
}

#[test]
fn the_whole_path_is_matched_as_the_records_give_it() {
    let sandbox = Sandbox::new();
    sandbox
        .policy(r#"{"version": 1, "rules": [{"name": "one", "projects": ["/a/b-c"], "deleteAfter": "7d"}]}"#);
    let store = sandbox.store();
    // Both have the project folder `-a-b-c`.
    let hit = store.session(1).aged(days(10)).cwd("/a/b-c").write();
    let miss = store.session(2).aged(days(10)).cwd("/a/b/c").write();
    let output = sandbox.enforce_verbosely();
    output.exits(0).quietly();
    assert!(!hit.is_there());
    assert!(miss.is_there());
    assert_eq!(output.item(&format!("{}.jsonl", miss.id()))["reason"], "no-rule");
}

#[test]
fn a_policy_without_rules_deletes_by_the_built_in_rule() {
    let sandbox = Sandbox::new();
    sandbox.policy(r#"{"version": 1}"#);
    let old = sandbox.store().session(1).aged(days(40)).write();
    sandbox.store().session(2).aged(days(1)).write();
    sandbox.enforce().exits(0).quietly();
    assert!(!old.is_there());
}

#[test]
fn the_clients_own_period_is_the_default() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.put("settings.json", r#"{"cleanupPeriodDays": 10}"#, days(1));
    let old = store.session(1).aged(days(12)).write();
    let young = store.session(2).aged(days(8)).write();
    sandbox.enforce().exits(0).quietly();
    assert!(!old.is_there());
    assert!(young.is_there());
}

#[test]
fn an_invalid_period_of_the_client_deletes_nothing_and_says_so() {
    for settings in [
        r#"{"cleanupPeriodDays": 0}"#,
        r#"{"cleanupPeriodDays": "thirty"}"#,
        r#"{"cleanupPeriodDays": 1.5}"#,
        "{",
    ] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        store.put("settings.json", settings, days(1));
        let old = store.session(1).aged(days(400)).write();
        store.session(2).aged(days(1)).write();
        let output = sandbox.enforce();
        output.exits(1);
        assert!(old.is_there(), "deleted under {settings}");
        // A policy that says how long does not need the client's.
        sandbox.delete_after("30d");
        sandbox.enforce();
        assert!(!old.is_there(), "kept by a policy of its own under {settings}");
    }
}

#[test]
fn a_store_that_is_a_link_is_one_store() {
    let sandbox = Sandbox::new();
    let real = crate::common::StoreBuilder::new(sandbox.home().join("dotfiles/claude"), sandbox.client_tmp());
    let session = real.session(1).aged(days(40)).write();
    real.session(2).aged(days(1)).write();
    std::os::unix::fs::symlink(&real.root, sandbox.home().join(".claude")).unwrap();
    let output = sandbox.command(["enforce", "--yes", "--json"]).env("CLAUDE_CONFIG_DIR", &real.root).run();
    output.exits(0);
    assert!(!session.is_there());
    assert_eq!(output.summary("sessionsDeleted"), 1);
    let json = output.json();
    let configs = json["stores"].as_array().unwrap().iter().filter(|store| store["kind"] == "config").count();
    assert_eq!(configs, 1, "{output}");
}

#[test]
fn extra_stores_need_no_mark_and_excluded_ones_are_left() {
    let sandbox = Sandbox::new();
    let extra = sandbox.home().join("extra");
    crate::common::store::put(&extra.join("plans/old.md"), "x", days(40));
    let left = crate::common::StoreBuilder::new(sandbox.home().join("left"), sandbox.client_tmp());
    let session = left.session(1).aged(days(40)).write();
    sandbox.store().session(2).aged(days(1)).write();
    sandbox.policy(
        r#"{"version": 1, "stores": {"extra": ["~/extra"], "exclude": ["~/left"]}, "rules": [{"name": "all", "deleteAfter": "30d"}]}"#,
    );
    sandbox.command(["enforce", "--yes", "--json"]).env("CLAUDE_CONFIG_DIR", &left.root).run().exits(0);
    assert!(!extra.join("plans/old.md").exists());
    assert!(session.is_there());
}

#[test]
fn two_runs_at_once_do_the_work_once() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    for number in 1..=15 {
        store.session(number).aged(days(40)).write().satellites();
    }
    store.session(99).aged(days(1)).write();
    let outputs: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| sandbox.enforce())).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let done = outputs.iter().filter(|output| output.code == Some(0)).count();
    assert!(done >= 1);
    for output in &outputs {
        assert!(matches!(output.code, Some(0 | 75)), "{output}");
    }
    let deleted: u64 = outputs
        .iter()
        .filter(|output| output.code == Some(0))
        .map(|output| output.summary("sessionsDeleted"))
        .sum();
    assert_eq!(deleted, 15);
    let lines = sandbox.ledger_lines();
    let seqs: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
}

#[test]
fn a_run_that_was_killed_is_finished_by_the_next() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    for number in 1..=19 {
        store.session(number).aged(days(40)).write().satellites();
    }
    store.session(99).aged(days(1)).write();
    for wait in [5, 15, 30, 60] {
        let mut child = sandbox
            .command(["enforce", "--yes"])
            .command()
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        let _ = child.kill();
        child.wait().unwrap();
    }
    let output = sandbox.enforce();
    assert!(matches!(output.code, Some(0 | 1)), "{output}");
    let left = sandbox.tree().0.keys().filter(|path| path.extension().is_some_and(|e| e == "jsonl")).count();
    assert_eq!(left, 1);
    let again = sandbox.enforce();
    again.exits(0).quietly();
}

#[test]
fn an_excluded_store_that_is_named_is_not_passed_over_in_silence() {
    let sandbox = Sandbox::new();
    sandbox.policy(
        r#"{"version": 1, "stores": {"exclude": ["~/.claude"]}, "rules": [{"name": "all", "deleteAfter": "7d"}]}"#,
    );
    let session = sandbox.store().session(1).aged(days(40)).write();
    sandbox.enforce().exits(0);
    let root = sandbox.store().path("");
    for (verb, code) in [("enforce", 1), ("purge", 4)] {
        let output = sandbox.command([verb, "--yes", "--store"]).arg(&root).run();
        output.exits(code).says("stores.exclude");
        assert!(session.is_there(), "{output}");
    }
}

#[test]
fn a_link_that_was_followed_is_named_in_the_report() {
    let sandbox = Sandbox::new();
    let real = crate::common::StoreBuilder::new(sandbox.home().join("dotfiles"), sandbox.client_tmp());
    let session = real.session(1).aged(days(40)).write();
    let store = sandbox.store();
    fs::remove_dir(store.path("projects")).unwrap();
    store.link("projects", real.path("projects"));
    for arguments in [["enforce", "--dry-run"], ["enforce", "--yes"]] {
        sandbox.run(arguments).exits(0).quietly().says("link followed in [HOME]/.claude: projects");
    }
    assert!(!session.is_there());
}

#[test]
fn of_copies_in_several_folders_the_newest_tells_the_project() {
    let rules = r#"{"version": 1, "rules": [{"name": "short", "projects": ["/work/beta"], "deleteAfter": "7d"},
        {"name": "long", "deleteAfter": "60d"}]}"#;
    // How long ago the copies of acme and of beta were written to, and whether the session stays.
    for (acme, beta, stays) in [(20, 20, true), (20, 30, true), (30, 20, false)] {
        let sandbox = Sandbox::new();
        sandbox.policy(rules);
        let store = sandbox.store();
        store.session(9).aged(days(1)).write();
        let copies = [("/work/acme", acme), ("/work/beta", beta)].map(|(cwd, old)| {
            let copy = store.session(1).cwd(cwd).aged(days(old)).write();
            copy.subagent("a1b2c3", days(40));
            copy
        });
        if acme == beta {
            // Written one after the other they would differ by a millisecond.
            let [from, to] = [&copies[0].transcript, &copies[1].transcript];
            let text = fs::read_to_string(from).unwrap().replace("/work/acme", "/work/beta");
            fs::write(to, text).unwrap();
            let modified = fs::metadata(from).unwrap().modified().unwrap();
            fs::File::options().write(true).open(to).unwrap().set_modified(modified).unwrap();
        }
        let plans: BTreeSet<String> = (0..if acme == beta { 30 } else { 3 })
            .map(|_| {
                let mut plan = sandbox.dry_run().json();
                plan["run"] = Value::Null;
                plan["now"] = Value::Null;
                plan.to_string()
            })
            .collect();
        assert_eq!(plans.len(), 1, "equal runs have equal plans: {plans:#?}");
        sandbox.enforce().exits(0);
        for copy in &copies {
            assert_eq!(copy.is_there(), stays, "acme {acme} d, beta {beta} d");
        }
    }
}
