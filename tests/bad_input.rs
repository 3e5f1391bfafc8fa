//! What is broken, hostile or full: nothing unexpected is touched, and what can be done is done.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::common::sandbox::{has_namespaces, is_root};
use crate::common::store::{CONTENT, age, age_link, put};
use crate::common::{Sandbox, StoreBuilder, days, id, skip};

/// Runs `enforce` under a policy that must be refused, and returns what was said.
#[track_caller]
fn refused(policy: &str) -> String {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(400)).write();
    store.session(2).aged(days(1)).write();
    sandbox.policy(policy);
    let before = sandbox.tree();
    let output = sandbox.run(["enforce", "--yes"]);
    assert_eq!(output.code, Some(2), "{policy} was not refused: {output}");
    assert_eq!(output.stdout, "", "a refusal is no data: {output}");
    before.is_unchanged(&sandbox.tree());
    assert!(sandbox.ledger_lines().iter().all(|line| line["event"] != "intent"));
    output.stderr
}

#[test]
fn a_broken_policy() {
    let said = refused("{\n  \"version\": 1,\n  \"rules\": [ { \"name\": \"x\" \n");
    assert!(said.contains("policy.json"), "{said}");
    refused("");
    refused("[]");
    refused("{\"version\": 1}{}");
    refused("\u{feff}nothing");
}

#[test]
fn a_typo_is_named_with_its_place_and_the_nearest_key() {
    let said =
        refused("{\n  \"version\": 1,\n  \"rules\": [\n    { \"name\": \"x\", \"deletAfter\": \"30d\" } ] }");
    assert!(said.contains("deleteAfter"), "the nearest key is missing: {said}");
    assert!(said.contains('4'), "the line is missing: {said}");
    let said = refused(r#"{"version": 1, "keepAtLest": "1d"}"#);
    assert!(said.contains("keepAtLeast"), "{said}");
}

#[test]
fn another_version_of_the_format() {
    refused(r#"{"version": 2, "rules": [{"name": "x", "deleteAfter": "30d"}]}"#);
    refused(r#"{"version": "1", "rules": [{"name": "x", "deleteAfter": "30d"}]}"#);
}

#[test]
fn periods_that_are_none() {
    for period in [
        "30",
        "0",
        "30m",
        "1mo",
        "1y",
        "-1d",
        "1.5d",
        "30 d",
        "",
        "1d12h",
        "d",
        "soon",
        "999999999999999999999d",
    ] {
        let said =
            refused(&format!(r#"{{"version": 1, "rules": [{{"name": "x", "deleteAfter": "{period}"}}]}}"#));
        assert!(
            said.contains("duration") || said.contains("unit") || said.contains("period"),
            "{period}: {said}"
        );
    }
    refused(r#"{"version": 1, "rules": [{"name": "x", "deleteAfter": 30}]}"#);
    refused(r#"{"version": 1, "rules": [{"name": "x", "deleteAfter": 0}]}"#);
}

#[test]
fn a_period_too_short_to_be_meant() {
    refused(r#"{"version": 1, "rules": [{"name": "x", "deleteAfter": "30min"}]}"#);
    refused(r#"{"version": 1, "rules": [{"name": "x", "deleteAfter": "0d"}]}"#);
}

#[test]
fn a_period_beyond_what_dates_can_hold() {
    refused(r#"{"version": 1, "rules": [{"name": "x", "deleteAfter": "9999999999w"}]}"#);
}

#[test]
fn contradictions() {
    for (policy, word) in [
        (r#"{"version": 1, "rules": [{"name": "x", "sealAfter": "1d", "deleteAfter": "30d"}]}"#, "recipient"),
        (
            r#"{"version": 1, "recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
               "rules": [{"name": "x", "sealAfter": "30d", "deleteAfter": "30d"}]}"#,
            "seal",
        ),
        (
            r#"{"version": 1, "rules": [{"name": "x", "deleteAfter": "7d"}, {"name": "x", "deleteAfter": "8d"}]}"#,
            "x",
        ),
        (r#"{"version": 1, "rules": [{"name": "idle"}]}"#, "idle"),
        (
            r#"{"version": 1, "rules": [{"name": "x", "kinds": ["transcrpt"], "deleteAfter": "7d"}]}"#,
            "transcript",
        ),
        (r#"{"version": 1, "rules": [{"name": "x", "projects": ["/a/[b"], "deleteAfter": "7d"}]}"#, "["),
        (r#"{"version": 1, "rules": [{"name": "x", "sessions": ["short"], "deleteAfter": "7d"}]}"#, "short"),
        (
            r#"{"version": 1, "rules": [{"name": "late", "kinds": ["debug-log"], "deleteAfter": "60d"},
               {"name": "rest", "deleteAfter": "30d"}]}"#,
            "late",
        ),
        (
            r#"{"version": 1, "recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
               "rules": [{"name": "k", "kinds": ["debug-log"], "sealAfter": "1d"}]}"#,
            "k",
        ),
        (r#"{"version": 1, "recipients": ["age1nonsense"]}"#, "recipient"),
        (r#"{"version": 1, "holds": [{"name": "h", "projects": ["/a/**"], "until": "tomorrow"}]}"#, "column"),
        (r#"{"version": 1, "guard": {"maxShare": 2.0, "minSessions": 20}}"#, "maxShare"),
    ] {
        let said = refused(policy);
        assert!(said.contains(word), "{word:?} is missing for {policy}: {said}");
    }
}

#[test]
fn a_policy_that_was_named_and_is_not_there() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(40)).write();
    let before = sandbox.tree();
    let output = sandbox.run(["--policy", "no-such.json", "enforce", "--yes"]);
    output.exits(2).says("no-such.json");
    before.is_unchanged(&sandbox.tree());
}

#[test]
fn a_policy_that_cannot_be_read_is_no_missing_policy() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(400)).write();
    // A folder in its place cannot be read by anybody.
    fs::create_dir(sandbox.config().join("policy.json")).unwrap();
    let before = sandbox.tree();
    sandbox.run(["enforce", "--yes"]).exits(2).says("policy.json");
    before.is_unchanged(&sandbox.tree());
}

#[test]
fn a_policy_without_permission() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(400)).write();
    let policy = sandbox.delete_after("30d");
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o000)).unwrap();
    sandbox.give_away();
    let before = sandbox.tree();
    sandbox.command(["enforce", "--yes"]).unprivileged().run().exits(2).says("policy.json");
    before.is_unchanged(&sandbox.tree());
}

#[test]
fn a_ledger_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(40)).write();
    sandbox.store().session(2).aged(days(1)).write();
    fs::create_dir(sandbox.ledger()).unwrap();
    let before = sandbox.tree().without(".claude/ccretain");
    let output = sandbox.run(["enforce", "--yes"]);
    output.exits(4).says("ledger");
    before.is_unchanged(&sandbox.tree().without(".claude/ccretain"));
}

#[test]
fn a_folder_of_state_without_permission() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(40)).write();
    sandbox.store().session(2).aged(days(1)).write();
    sandbox.give_away();
    fs::set_permissions(sandbox.state(), fs::Permissions::from_mode(0o500)).unwrap();
    let before = sandbox.tree().without(".claude/ccretain");
    sandbox.command(["enforce", "--yes"]).unprivileged().run().exits(4);
    before.is_unchanged(&sandbox.tree().without(".claude/ccretain"));
}

#[test]
fn a_project_that_cannot_be_read_leaves_the_others_to_be_done() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let closed = store.session(1).aged(days(40)).cwd("/work/closed").write();
    let open = store.session(2).aged(days(40)).cwd("/work/open").write();
    store.session(3).aged(days(1)).write();
    sandbox.give_away();
    let folder = store.path("projects/-work-closed");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    let output = sandbox.command(["enforce", "--yes", "--json"]).unprivileged().run();
    output.exits(1);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(closed.is_there());
    assert!(!open.is_there());
    assert!(!output.json()["errors"].as_array().unwrap().is_empty(), "{output}");
}

#[test]
fn a_folder_that_cannot_be_changed_fails_alone() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let fixed = store.session(1).aged(days(40)).cwd("/work/fixed").write();
    let open = store.session(2).aged(days(40)).cwd("/work/open").write();
    store.session(3).aged(days(1)).write();
    sandbox.give_away();
    let folder = store.path("projects/-work-fixed");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    let output = sandbox.command(["enforce", "--yes", "--json"]).unprivileged().run();
    output.exits(1);
    assert!(fixed.is_there());
    assert!(!open.is_there());
    let item = output.item(&format!("{}.jsonl", fixed.id()));
    assert_eq!(item["outcome"], "failed", "{item}");
    assert!(item["error"].is_string(), "{item}");
    assert_eq!(output.summary("failed"), 1);
}

#[test]
fn a_transcript_that_cannot_be_read_is_kept() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let secret = store.session(1).aged(days(40)).write();
    store.session(2).aged(days(1)).write();
    sandbox.give_away();
    fs::set_permissions(&secret.transcript, fs::Permissions::from_mode(0o000)).unwrap();
    let output = sandbox.command(["enforce", "--yes", "--json"]).unprivileged().run();
    output.exits(1);
    assert!(secret.is_there(), "its date is not known, so it stays");
}

fn ten_due_of_thirty(sandbox: &Sandbox) {
    let store = sandbox.store();
    for number in 1..=10 {
        store.session(number).aged(days(40)).write().satellites();
    }
    for number in 11..=30 {
        store.session(number).aged(days(1)).write();
    }
}

#[test]
fn a_full_disk_still_deletes() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    let sandbox = Sandbox::new();
    sandbox.store().session(100).aged(days(1)).write();
    // The first run makes the reserve.
    sandbox.enforce().exits(0);
    ten_due_of_thirty(&sandbox);
    let (output, left) = sandbox.command(["enforce", "--yes", "--json"]).on_a_full_disk("12m");
    assert!(matches!(output.code, Some(0 | 1)), "{output}");
    assert_eq!(left, 21, "{output}");
}

#[test]
fn a_disk_that_was_full_from_the_start_leaves_no_deed_without_its_evidence() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    let sandbox = Sandbox::new();
    ten_due_of_thirty(&sandbox);
    let (output, left) = sandbox.command(["enforce", "--yes", "--json"]).on_a_full_disk("12m");
    // There is no reserve yet: the ledger cannot be written, so nothing may be done.
    output.exits(4);
    // Thirty transcripts and those of ten subagents.
    assert_eq!(left, 40, "{output}");
}

#[test]
fn loops_of_links() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(40)).write();
    store.session(2).aged(days(1)).write();
    store.link("projects/-work-acme/a", "b");
    store.link("projects/-work-acme/b", "a");
    store.link("projects/loop", "../projects");
    store.link("plans/self.md", "self.md");
    let before = sandbox.tree();
    let output = sandbox.enforce();
    output.exits(0);
    let difference = before.difference(&sandbox.tree());
    let gone: Vec<_> = difference.iter().filter(|line| line.starts_with('-')).collect();
    assert_eq!(gone, [&format!("- .claude/projects/-work-acme/{}.jsonl", id(1))]);
}

#[test]
fn a_transcript_that_is_a_link_is_left_and_so_is_its_target() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(2).aged(days(1)).write();
    let outside = sandbox.write("precious.jsonl", "{}\n");
    age(&outside, days(400));
    let link = store.link(format!("projects/-work-acme/{}.jsonl", id(1)), &outside);
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert!(outside.exists());
    assert!(fs::symlink_metadata(&link).is_ok());
    assert_eq!(output.item(&format!("{}.jsonl", id(1)))["reason"], "link");
}

#[test]
fn a_link_in_a_sessions_own_folder_is_unlinked_and_not_followed() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(40)).write();
    store.session(2).aged(days(1)).write();
    let precious = sandbox.write("precious/file", CONTENT);
    fs::create_dir_all(session.temp().join("tasks")).unwrap();
    symlink(&precious, session.temp().join("tasks/a620f2408346b1f5b.output")).unwrap();
    symlink(precious.parent().unwrap(), session.temp().join("scratchpad")).unwrap();
    // A file changed within the last hour would make the session quiet.
    age_link(&session.temp().join("tasks/a620f2408346b1f5b.output"), days(40));
    age_link(&session.temp().join("scratchpad"), days(40));
    sandbox.enforce().exits(0);
    assert!(precious.exists(), "a link was followed");
    assert!(!session.temp().exists());
}

#[test]
fn a_side_folder_that_is_a_link_is_not_entered() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(40)).write();
    store.session(2).aged(days(1)).write();
    let elsewhere = sandbox.home().join("elsewhere");
    put(&elsewhere.join("subagents/agent-1.jsonl"), "{}", days(40));
    put(&elsewhere.join("tool-results/x.txt"), "x", days(40));
    symlink(&elsewhere, session.side()).unwrap();
    sandbox.enforce();
    assert!(elsewhere.join("subagents/agent-1.jsonl").exists());
    assert!(elsewhere.join("tool-results/x.txt").exists());
}

#[test]
fn a_top_level_folder_may_be_a_link_of_the_same_owner() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    fs::remove_dir(store.path("projects")).unwrap();
    let elsewhere = sandbox.home().join("dotfiles/projects");
    fs::create_dir_all(&elsewhere).unwrap();
    symlink(&elsewhere, store.path("projects")).unwrap();
    let session = store.session(1).aged(days(40)).write();
    store.session(2).aged(days(1)).write();
    sandbox.enforce().exits(0);
    assert!(!session.is_there());
    assert!(elsewhere.exists());
    assert!(fs::symlink_metadata(store.path("projects")).unwrap().is_symlink());
}

#[test]
fn pipes_and_sockets_do_not_stop_a_run() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let old = store.session(1).aged(days(40)).write();
    store.session(2).aged(days(1)).write();
    let fifos = [
        store.fifo(format!("projects/-work-acme/{}.jsonl", id(3))),
        store.fifo("history.jsonl"),
        store.fifo("plans/pipe.md"),
        store.fifo("settings.json"),
    ];
    let _listener = store.socket("debug/socket.txt");
    let output = sandbox.enforce();
    assert!(matches!(output.code, Some(0 | 1)), "{output}");
    for fifo in fifos {
        assert!(fs::symlink_metadata(&fifo).is_ok(), "{} is gone", fifo.display());
    }
    assert!(store.has("debug/socket.txt"));
    // The settings could not be read, so the built-in rule deletes nothing; a policy of one's own does.
    assert!(old.is_there());
    sandbox.delete_after("30d");
    sandbox.enforce();
    assert!(!old.is_there());
}

#[test]
fn three_thousand_levels() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(40)).write();
    store.session(2).aged(days(1)).write();
    store.deep(format!("uploads/{}", session.id()), 3_000);
    store.deep("nobody-knows-this", 3_000);
    let output = sandbox.enforce();
    assert!(matches!(output.code, Some(0 | 1)), "{output}");
    assert!(!session.is_there());
    assert!(store.has("nobody-knows-this/d/d/d"));
    if output.code == Some(0) {
        assert!(!store.has(format!("uploads/{}", session.id())), "{output}");
    }
    std::process::Command::new("rm")
        .arg("-rf")
        .arg(store.path("uploads"))
        .arg(store.path("nobody-knows-this"))
        .status()
        .unwrap();
}

#[test]
fn names_that_are_no_utf_8() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(40)).write();
    store.session(2).aged(days(1)).write();
    let name = OsStr::from_bytes(b"caf\xe9\xff.bin");
    let content = store.path(format!("uploads/{}", session.id())).join(name);
    put(&content, CONTENT, days(40));
    let unknown = store.path(name);
    put(&unknown, CONTENT, days(400));
    let folder = store.path("projects").join(OsStr::from_bytes(b"-work-\xff"));
    put(
        &folder.join(format!("{}.jsonl", id(3))),
        fs::read(store.session(3).aged(days(40)).write().transcript).unwrap(),
        days(40),
    );
    let output = sandbox.enforce();
    output.exits(0);
    output.json();
    assert!(!content.exists(), "{output}");
    assert!(unknown.exists());
    assert!(!folder.join(format!("{}.jsonl", id(3))).exists());
}

#[test]
fn names_that_would_command_a_terminal_are_escaped() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(40)).cwd("/work/\u{1b}]0;owned\u{7}\u{202e}x").write();
    store.session(2).aged(days(1)).write();
    put(&store.path(format!("uploads/{}/\u{1b}[2J.txt", session.id())), "x", days(40));
    for output in [
        sandbox.run(["-v", "enforce", "-n"]),
        sandbox.run(["status"]),
        sandbox.run(["explain", session.id()]),
    ] {
        assert!(output.code == Some(0), "{output}");
        output.never_says("\u{1b}]0").never_says("\u{1b}[2J").never_says("\u{202e}");
    }
}

#[test]
fn transcripts_that_are_none() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(9).aged(days(1)).write();
    let mut paths = Vec::new();
    let garbage: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (number, content) in [
        (1, Vec::new()),
        (2, b"\n\n\n".to_vec()),
        (3, garbage),
        (4, b"null\n[]\n\"x\"\n".to_vec()),
        (5, vec![b'a'; 3_000_000]),
        (6, format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes()),
        (7, b"{\"timestamp\": 12, \"cwd\": [], \"sessionId\": {}}\n".to_vec()),
        (8, b"{\"timestamp\": \"not a time\"}\n{\"timestamp\": \"9999-99-99T00:00:00Z\"}".to_vec()),
    ] {
        paths.push(store.put(format!("projects/-work-acme/{}.jsonl", id(number)), content, days(40)));
    }
    let output = sandbox.enforce();
    output.exits(0);
    for path in paths {
        // Where no record is dated, the modification time of the transcript counts.
        assert!(!path.exists(), "{} is still there: {output}", path.display());
    }
}

#[test]
fn a_hard_link_elsewhere_is_reported_as_data_that_remains() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(40)).write();
    store.session(2).aged(days(1)).write();
    let copy = sandbox.home().join("copy.jsonl");
    fs::hard_link(&session.transcript, &copy).unwrap();
    let output = sandbox.enforce();
    output.exits(0).says("dataRemains");
    assert!(!session.is_there());
    assert!(copy.exists());
}

#[test]
fn a_file_that_comes_to_life_is_not_taken() {
    // A session written to within the last hour counts as live, however old its records are.
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(40)).files_aged(chrono::Duration::minutes(10)).write();
    store.session(2).aged(days(1)).write();
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert!(session.is_there());
    assert_eq!(output.item(&format!("{}.jsonl", session.id()))["reason"], "quiet");
}

#[test]
fn places_that_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.store().session(2).aged(days(1)).write();
    // Anybody may write here, so anybody may have put a session there.
    let open = crate::common::StoreBuilder::new(sandbox.home().join("open"), sandbox.client_tmp());
    let session = open.session(1).aged(days(40)).write();
    fs::set_permissions(&open.root, fs::Permissions::from_mode(0o777)).unwrap();
    let output = sandbox.command(["enforce", "--yes", "--json", "--store"]).arg(&open.root).run();
    output.exits(1);
    assert!(session.is_there());
    for place in ["/", sandbox.home().to_str().unwrap()] {
        let before = sandbox.tree();
        sandbox.run(["--store", place, "enforce", "--yes", "--json"]).exits(1);
        before.without(".claude/ccretain").is_unchanged(&sandbox.tree().without(".claude/ccretain"));
    }
}

#[test]
fn a_folder_of_another_owner_is_refused() {
    if !is_root() {
        return skip("needs root");
    }
    let sandbox = Sandbox::new();
    sandbox.store().session(2).aged(days(1)).write();
    let foreign = crate::common::StoreBuilder::new(sandbox.home().join("foreign"), sandbox.client_tmp());
    let session = foreign.session(1).aged(days(40)).write();
    std::os::unix::fs::chown(&foreign.root, Some(12_345), None).unwrap();
    let output = sandbox.command(["enforce", "--yes", "--json", "--store"]).arg(&foreign.root).run();
    output.exits(1);
    assert!(session.is_there());
}

#[test]
fn a_folder_without_a_mark_of_the_client_is_no_store() {
    let sandbox = Sandbox::new();
    sandbox.store().session(2).aged(days(1)).write();
    let notes = sandbox.home().join("notes");
    put(&notes.join("plans/mine.md"), "mine", days(400));
    put(&notes.join("logs/mine.log"), "mine", days(400));
    let before = sandbox.tree();
    sandbox.command(["enforce", "--yes"]).env("CLAUDE_CONFIG_DIR", &notes).run();
    sandbox.command(["enforce", "--yes", "--store"]).arg(&notes).run();
    before.without(".claude/ccretain").is_unchanged(&sandbox.tree().without(".claude/ccretain"));
}

#[test]
fn a_store_that_cannot_be_written_to_is_refused_and_the_others_are_done() {
    let sandbox = Sandbox::new();
    let locked = sandbox.store();
    let kept = locked.session(1).aged(days(40)).write();
    let other = StoreBuilder::new(sandbox.home().join("second"), sandbox.client_tmp());
    let due = other.session(2).aged(days(40)).write();
    fs::set_permissions(locked.path(""), fs::Permissions::from_mode(0o500)).unwrap();
    sandbox.give_away();
    let run = |arguments: &[&str]| {
        let command = sandbox.command(arguments).env("CLAUDE_CONFIG_DIR", sandbox.home().join("second"));
        command.unprivileged().run()
    };
    let output = run(&["enforce", "--yes", "--json"]);
    output.exits(1).says(".claude");
    assert!(kept.is_there(), "{output}");
    assert!(!due.is_there(), "the other store was not done: {output}");
    assert_eq!(output.json()["errors"].as_array().map(Vec::len), Some(1), "{output}");
    fs::set_permissions(locked.path(""), fs::Permissions::from_mode(0o700)).unwrap();
    run(&["enforce", "--yes"]).exits(0);
    assert!(!kept.is_there());
}

#[test]
fn a_purge_of_a_store_that_cannot_be_written_to_is_refused_by_whatever_name() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(40)).write();
    fs::set_permissions(store.path(""), fs::Permissions::from_mode(0o500)).unwrap();
    let link = sandbox.home().join("link");
    symlink(store.path(""), &link).unwrap();
    sandbox.give_away();
    for name in [store.path(""), link] {
        let output = sandbox.command(["purge", "--yes", "--store"]).arg(&name).unprivileged().run();
        output.exits(4).says("nothing was changed");
        assert!(session.is_there(), "{output}");
    }
    fs::set_permissions(store.path(""), fs::Permissions::from_mode(0o700)).unwrap();
}
