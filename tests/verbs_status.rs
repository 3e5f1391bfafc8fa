//! `status` and `status --search` from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::common::output::settled;
use crate::common::sandbox::deleting;
use crate::common::store::age;
use crate::common::{Output, Sandbox, StoreBuilder, Tree, days, hours, id};

/// What people are told; what is scheduled is the machine's own and not the sandbox's.
fn shown(output: &Output) -> String {
    let lines = settled(&output.stdout);
    let next = |line: &str| if line.starts_with("  next: ") { "  next: [NEXT]" } else { line }.to_owned();
    lines.lines().map(|line| next(line) + "\n").collect()
}

fn status(sandbox: &Sandbox) -> Value {
    let json = sandbox.run(["status", "--json"]).exits(0).quietly().json();
    assert_eq!(json["schema"], "ccretain.status/1");
    json
}

#[test]
fn what_an_interrupted_run_left_is_told_from_what_is_unknown() {
    let (sandbox, store) = deleting();
    store.session(1).aged(days(1)).write();
    let folder = format!("ccretain/sealed/{}/projects/-work-acme", id(1));
    for name in ["a", "b"] {
        store.put(format!("{folder}/.{name}.zst.age.part"), "x", days(1));
    }
    let json = status(&sandbox);
    assert_eq!(
        (&json["kept"]["unfinished"], &json["kept"]["unrecognised"]),
        (&2.into(), &0.into()),
        "{json}"
    );
    sandbox
        .run(["status"])
        .exits(0)
        .shows("2 files left by an interrupted run; the next one that enforces removes them");
    sandbox.enforce().exits(0);
    assert_eq!(status(&sandbox)["kept"]["unfinished"], 0);
}

#[test]
fn copies_of_holds_that_do_not_exist_are_named() {
    let (sandbox, store) = deleting();
    assert!(status(&sandbox).get("copiesLeft").is_none());
    for number in [1, 2] {
        store.put(format!("ccretain/held/case-14/{}/session.json", id(number)), "{}", days(2));
    }
    let left = status(&sandbox)["copiesLeft"].clone();
    assert_eq!(
        left,
        json!(["hold 'case-14', 2 sessions: `ccretain hold release case-14 --reason TEXT` removes them"])
    );
    sandbox.run(["status"]).exits(0).says("copies of a hold that does not exist: hold 'case-14', 2 sessions");
}

#[test]
fn an_empty_machine_is_told_what_to_do() {
    let sandbox = Sandbox::new();
    let output = sandbox.command(["status"]).env("USER", "ada").run();
    output.exits(0).quietly();
    insta::assert_snapshot!("status_empty", shown(&output));
}

#[test]
fn a_small_store() {
    let (sandbox, store) = deleting();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "30d"}],
            "holds": [{"name": "case-14", "projects": ["/held"], "reason": "litigation"}]}"#,
    );
    store.session(1).aged(days(40)).write();
    store.session(2).aged(days(27) - hours(1)).write();
    store.session(3).cwd("/held").aged(days(60)).write();
    let live = store.session(4).aged(days(100)).write();
    store.pid_file(std::process::id(), live.id(), json!({}));
    store.put("nobody-knows.bin", "123", days(4));
    let before = Tree::with_times(sandbox.root());
    let output = sandbox.command(["status"]).env("USER", "ada").run();
    output.exits(0).quietly();
    before.is_unchanged(&Tree::with_times(sandbox.root()));
    insta::assert_snapshot!("status_small", shown(&output));
    let json = status(&sandbox);
    assert_eq!(json["due"]["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(json["due"]["sessions"][0]["session"], id(1));
    assert_eq!(json["due"]["overdue"], 1);
    assert_eq!(json["due"]["next7Days"].as_array().unwrap().len(), 1);
    assert_eq!(json["due"]["next7Days"][0]["rule"], "all");
    assert_eq!((&json["kept"]["held"], &json["kept"]["live"]), (&1.into(), &1.into()));
    assert_eq!((&json["kept"]["unrecognised"], &json["kept"]["unrecognisedBytes"]), (&1.into(), &3.into()));
    let sessions: u64 =
        json["ages"].as_array().unwrap().iter().map(|age| age["sessions"].as_u64().unwrap()).sum();
    assert_eq!(sessions, 5, "every session has an age");
}

#[test]
fn what_is_due_is_what_a_run_does() {
    let (sandbox, store) = deleting();
    for number in 1..8 {
        store.session(number).aged(days(i64::from(number) * 9)).write().satellites();
    }
    let told = status(&sandbox);
    let done = sandbox.enforce();
    done.exits(0);
    for key in ["deleted", "sessionsDeleted", "bytesFreed"] {
        assert_eq!(told["due"]["now"][key].as_u64().unwrap(), done.summary(key), "{key}");
    }
    let after = status(&sandbox);
    assert_eq!(after["due"]["sessions"], json!([]));
    assert_eq!(after["lastRun"]["exit"], 0);
}

#[test]
fn what_no_rule_deletes_is_counted_and_a_rule_for_ever_is_a_rule() {
    let (sandbox, store) = deleting();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "mine", "projects": ["/mine"], "deleteAfter": "30d"},
            {"name": "ever", "projects": ["/ever"], "deleteAfter": "never"}]}"#,
    );
    store.session(1).cwd("/mine").aged(days(2)).write();
    store.session(2).cwd("/ever").aged(days(2)).write();
    store.session(3).cwd("/nobodys").aged(days(2)).write();
    assert_eq!(status(&sandbox)["kept"]["noDeleteRule"], 2, "the anchor and /nobodys");
}

#[test]
fn the_client_may_be_quicker_or_slower_or_not_come_at_all() {
    let (sandbox, store) = deleting();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "60d"}],
            "holds": [{"name": "case-14", "projects": ["/held"], "reason": "litigation"}]}"#,
    );
    store.session(1).aged(days(9)).write();
    store.session(2).cwd("/held").aged(days(9)).write();
    store.session(3).entrypoint("claude-desktop").aged(days(9)).write();
    store.put("settings.json", r#"{"cleanupPeriodDays": 10}"#, days(1));
    let client = &status(&sandbox)["client"][0];
    assert_eq!((&client["sweep"]["state"], &client["sweep"]["days"]), (&"runs".into(), &10.into()));
    assert_eq!(client["beforeUs"]["sessions"], 2, "the anchor and the first: {client}");
    assert_eq!(client["held"]["sessions"], 1, "{client}");
    assert_eq!((&client["never"], &client["desktop"]), (&1.into(), &1.into()), "{client}");
    sandbox.run(["status"]).exits(0).says("though held").says("settings.json");
    store.put("settings.json", r#"{"cleanupPeriodDays": 0}"#, days(1));
    let client = &status(&sandbox)["client"][0];
    assert_eq!(client["sweep"]["state"], "paused");
    assert_eq!(client["never"], 4, "{client}");
    sandbox.run(["status"]).exits(0).says("paused");
}

#[test]
fn a_cleanup_of_claude_codes_own_that_stays_away_is_told() {
    let (sandbox, store) = deleting();
    store.session(1).aged(days(9)).write();
    assert!(status(&sandbox)["client"][0]["lastCleanup"].is_null(), "older versions leave no mark");
    // It cleans up at most once a day, and not in a session of seconds.
    let mark = store.put(".last-cleanup", "", days(1));
    assert!(status(&sandbox)["client"][0]["lastCleanup"].is_string());
    sandbox.run(["status"]).exits(0).never_says("its own cleanup last ran");
    age(&mark, days(20));
    sandbox.run(["status"]).exits(0).says("its own cleanup last ran").says("no file shows");
    store.put("policy-limits.json", r#"{"restrictions": {}, "compliance_taints": ["hipaa"]}"#, days(1));
    sandbox.run(["status"]).exits(0).says("HIPAA rules");
}

#[test]
fn a_refusal_is_told_with_what_lifts_it() {
    let (sandbox, store) = deleting();
    for number in 1..30 {
        store.session(number).aged(days(40)).write();
    }
    sandbox.run(["status"]).exits(0).says("would be refused").says("ccretain enforce");
    sandbox.enforce().exits(4);
    let output = sandbox.run(["status"]);
    output.exits(0).says("exit 4").says("ccretain enforce").never_says("would be refused");
    assert_eq!(status(&sandbox)["lastRun"]["exit"], 4);
}

#[test]
fn what_cannot_be_read_is_exit_1_and_so_is_an_invalid_policy() {
    let (sandbox, store) = deleting();
    let session = store.session(1).aged(days(40)).write();
    let folder = session.transcript.parent().unwrap().to_owned();
    sandbox.give_away();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    let output = sandbox.command(["status", "--json"]).unprivileged().run();
    output.exits(1);
    assert!(output.stderr.contains("-work-acme"), "{output}");
    assert_eq!(output.json()["stores"][0]["sessions"], 1, "the rest is told");
    sandbox.policy("{");
    let output = sandbox.command(["status", "--json"]).unprivileged().run();
    output.exits(1);
    assert!(output.stderr.contains("policy.json' is not valid"), "{output}");
    assert_eq!(output.json()["stores"][0]["sessions"], 1, "the stores are told all the same");
}

#[test]
fn names_cannot_act_on_the_terminal() {
    let (sandbox, store) = deleting();
    let name = "/w\u{1b}[2Jx\n\u{202e}y";
    store.session(1).cwd(name).aged(days(40)).write();
    store.session(2).cwd(name).aged(days(27)).write();
    for arguments in [vec!["status"], vec!["explain", "00000001"], vec!["explain", "00000002"]] {
        let output = sandbox.run(&arguments);
        output.exits(0).quietly().never_says("\u{1b}").never_says("\u{202e}").says(r"/w\u{1b}[2Jx\n");
    }
}

#[test]
fn colours_do_not_move_columns() {
    let (sandbox, store) = deleting();
    store.session(1).aged(days(40)).write();
    let plain = sandbox.run(["status"]).stdout;
    let mut coloured = sandbox.run(["--color", "always", "status"]).stdout;
    assert!(coloured.contains("\u{1b}["));
    while let Some(at) = coloured.find("\u{1b}[") {
        let end = at + coloured[at..].find('m').unwrap();
        coloured.replace_range(at..=end, "");
    }
    assert_eq!(plain, coloured);
}

#[test]
fn a_search_finds_what_the_client_left_anywhere() {
    let (sandbox, _store) = deleting();
    let moved = StoreBuilder::new(sandbox.home().join("backup/old/claude"), sandbox.client_tmp());
    moved.session(7).aged(days(200)).write().satellites();
    moved.session(8).aged(days(200)).write();
    sandbox.write("work/app/.claude/settings.json", "{}");
    sandbox.write(&format!("Desktop/{}.heapsnapshot", id(7)), "{}");
    let output = sandbox.command(["status", "--json", "--search"]).arg(sandbox.root()).run();
    output.exits(0).quietly();
    let json = output.json();
    let found: Vec<(String, String, bool, u64)> = json["search"]["found"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            let word = |key: &str| found[key].as_str().unwrap().to_owned();
            (
                word("root"),
                word("kind"),
                found["known"].as_bool().unwrap(),
                found["sessions"].as_u64().unwrap(),
            )
        })
        .collect();
    let uid = rustix::process::getuid().as_raw();
    let expected = [
        ("[HOME]/.claude".to_owned(), "config".to_owned(), true, 1),
        ("[HOME]/Desktop".to_owned(), "heap-dumps".to_owned(), true, 1),
        ("[HOME]/backup/old/claude".to_owned(), "config".to_owned(), false, 2),
        (format!("[TMP]/claude-{uid}"), "temp".to_owned(), true, 1),
    ];
    assert_eq!(found, expected);
    let text = sandbox.command(["status", "--search"]).arg(sandbox.root()).run();
    text.exits(0).quietly().says("backup/old/claude").says("stores.extra");
    sandbox.run(["status", "--search", "no-such-folder"]).exits(2);
}

#[test]
fn a_search_reports_what_it_cannot_enter() {
    let (sandbox, _store) = deleting();
    fs::create_dir_all(sandbox.home().join("area/closed")).unwrap();
    sandbox.give_away();
    fs::set_permissions(sandbox.home().join("area/closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let output =
        sandbox.command(["status", "--search"]).arg(sandbox.home().join("area")).unprivileged().run();
    output.exits(1).says("area/closed");
}
