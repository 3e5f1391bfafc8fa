//! Purges under bad conditions: killed, without rights, on a full disk, with a wrong clock, among hostile names; and
//! what the organisation holds.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::common::sandbox::{has, has_namespaces};
use crate::common::store::{CONTENT, age};
use crate::common::{Output, Sandbox, days, hours, id, now, skip};
use crate::purge::{NOTES, full, verdict, with_content};

fn no_content(sandbox: &Sandbox) {
    for root in [sandbox.home(), sandbox.tmp(), sandbox.state()] {
        assert_eq!(with_content(&root), Vec::<std::path::PathBuf>::new());
    }
}

/// The reasons of the exceptions, each once.
fn reasons(output: &Output) -> Vec<String> {
    let json = output.json();
    let mut reasons: Vec<String> = json["exceptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["reason"].as_str().unwrap().to_owned())
        .collect();
    reasons.sort();
    reasons.dedup();
    reasons
}

#[test]
fn a_run_that_is_killed_is_gone_on_with() {
    for round in 0..8_u64 {
        let sandbox = Sandbox::new();
        let store = full(&sandbox);
        for number in 100..160 {
            store.session(number).aged(days(9)).write().satellites();
        }
        // A store that is known by its transcripts alone.
        let moved = crate::common::StoreBuilder::new(sandbox.home().join("moved"), sandbox.client_tmp());
        moved.session(1).aged(days(9)).write().satellites();
        let run = sandbox.command(["purge", "--yes"]);
        let mut command = run.command();
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(40 + 45 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let output = sandbox.run(["purge", "--yes", "--json", "--except", NOTES]);
        output.exits(0).quietly();
        verdict(&output, "complete-except-as-listed");
        no_content(&sandbox);
        let left = crate::common::Tree::of(&moved.root).0;
        let files = left.iter().filter(|(path, what)| !what.starts_with("folder") && !path.ends_with("lock"));
        assert_eq!(files.count(), 0, "round {round}");
        assert!(store.has("settings.json") && store.has("notes of my own.txt"));
        sandbox.run(["ledger", "verify"]).exits(0);
    }
}

#[test]
fn a_signal_ends_it_between_items_and_says_so() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    for number in 1..1500 {
        store.session(number).aged(days(9)).write();
    }
    let run = sandbox.command(["purge", "--yes", "--json"]);
    let mut command = run.command();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Once the first deed is recorded.
    let mut waited = 0;
    while !fs::read_to_string(sandbox.ledger()).is_ok_and(|text| text.contains("\"intent\""))
        && waited < 2_000
    {
        sleep(Duration::from_millis(2));
        waited += 1;
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    if json["verdict"] != "complete" {
        assert_eq!(output.status.code(), Some(1));
        let all = json["exceptions"].as_array().unwrap();
        assert!(all.iter().all(|one| one["reason"] == "stopped"), "{}", all[0]);
    }
    let again = sandbox.run(["purge", "--yes", "--json"]);
    again.exits(0).quietly();
    no_content(&sandbox);
}

#[test]
fn what_may_not_be_changed_is_named_and_the_rest_goes() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let locked = store.session(1).cwd("/work/locked").aged(days(9)).write();
    let other = store.session(2).cwd("/work/other").aged(days(9)).write();
    other.satellites();
    let folder = locked.transcript.parent().unwrap().to_owned();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    sandbox.give_away();
    let output = sandbox.command(["purge", "--yes", "--json"]).unprivileged().run();
    output.exits(1).says(&format!("{}.jsonl", id(1)));
    verdict(&output, "incomplete");
    assert_eq!(reasons(&output), ["failed"]);
    assert!(locked.is_there() && !other.is_there());
    assert_eq!(output.json()["verification"]["left"]["sessions"], 1);

    // A folder that cannot even be looked into.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    let output = sandbox.command(["purge", "--yes", "--json"]).unprivileged().run();
    output.exits(1);
    verdict(&output, "incomplete");
    assert_eq!(reasons(&output), ["unreadable"]);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    sandbox.command(["purge", "--yes"]).unprivileged().run().exits(0).quietly();
    assert!(!locked.is_there());
}

#[test]
fn links_and_hostile_names() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let precious = sandbox.write("precious/data.txt", "precious");
    let session = store.session(1).aged(days(9)).write();
    session.satellites();
    // Folders and files of the session that lead elsewhere.
    symlink(sandbox.home().join("precious"), session.side().join("tool-results/out")).unwrap();
    symlink(&precious, session.temp().join("scratchpad/link")).unwrap();
    symlink(sandbox.home().join("precious"), store.path("projects/linked")).unwrap();
    symlink("..", store.path("uploads").join(id(1)).join("up")).unwrap();
    // Names that would be taken for something else when they are shown, or are no text at all.
    for name in [&b"new\nline.txt"[..], b"esc\x1b[31m.txt", b"\xff\xfe\x80", b"-rf", b"a b'c\"d"] {
        fs::write(session.side().join("tool-results").join(OsStr::from_bytes(name)), CONTENT).unwrap();
    }
    store.fifo(format!("file-history/{}/fifo", id(1)));
    let _listener = store.socket(format!("tasks/{}/sock", id(1)));
    let output = sandbox.run(["purge", "--yes", "--json"]);
    output.exits(1);
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert!(!session.is_there() && !session.side().exists() && !session.temp().exists());
    // A link among the projects is followed, and what is not known behind it is told, and left.
    assert_eq!(reasons(&output), ["unrecognised"], "{output}");
    assert!(store.has("projects/linked"));
    assert!(!output.stdout.contains('\u{1b}') && !output.stderr.contains('\u{1b}'));
    fs::remove_file(store.path("projects/linked")).unwrap();
    let output = sandbox.run(["purge", "--yes", "--json"]);
    output.exits(0).quietly();
    verdict(&output, "complete");
    no_content(&sandbox);
}

#[test]
fn the_projects_folder_may_be_a_link_of_ones_own() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let elsewhere = sandbox.home().join("dotfiles/claude-projects");
    fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
    fs::rename(store.path("projects"), &elsewhere).unwrap();
    symlink(&elsewhere, store.path("projects")).unwrap();
    let session = store.session(1).aged(days(9)).write();
    session.satellites();
    sandbox.run(["purge", "--yes"]).exits(0).quietly();
    assert!(!session.is_there() && store.has("projects"));
    no_content(&sandbox);
}

#[test]
fn damaged_files_are_told_where_nothing_can_be_taken_out() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    sandbox.write(".claude.json", format!("{{\"projects\": {{\"/w\": {{\"history\": [\"{CONTENT}\""));
    sandbox.write(".claude.json.backup", format!("{{\"projects\": {{\"/w\": {{\"history\": [\"{CONTENT}\""));
    store.put("projects/-w/sessions-index.json", "{ broken", days(1));
    let output = sandbox.run(["purge", "--yes", "--json"]);
    output.exits(1).says(".claude.json");
    assert_eq!(reasons(&output), ["unreadable"]);
    // A copy that cannot be taken apart goes whole, and so does an index; what holds the settings stays.
    assert!(!sandbox.home().join(".claude.json.backup").exists() && !store.has("projects/-w"));
    assert!(sandbox.home().join(".claude.json").exists());
    sandbox.run(["purge", "--yes", "--with", "settings,credentials"]).exits(0).quietly();
    assert!(!sandbox.home().join(".claude.json").exists());
}

#[test]
fn the_clients_lock_is_waited_for_and_never_broken() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.history(None, "/work/acme", days(3));
    fs::create_dir(store.path("history.jsonl.lock")).unwrap();
    let output = sandbox.run(["purge", "--yes", "--json"]);
    output.exits(1).says("lock");
    verdict(&output, "incomplete");
    assert_eq!(store.history_lines().len(), 1);
    fs::remove_dir(store.path("history.jsonl.lock")).unwrap();
    sandbox.run(["purge", "--yes"]).exits(0).quietly();
    assert!(store.history_lines().is_empty());
}

#[test]
fn another_run_is_not_disturbed() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(days(9)).write();
    fs::create_dir_all(sandbox.store().path("ccretain")).unwrap();
    let lock = fs::File::create(sandbox.store().path("ccretain/lock")).unwrap();
    lock.lock().unwrap();
    sandbox.run(["purge", "--yes"]).exits(75);
    drop(lock);
    // Nor is a ledger that cannot be written replaced by none.
    fs::create_dir(sandbox.ledger()).unwrap();
    sandbox.run(["purge", "--yes"]).exits(4).says("ledger");
    assert!(session.is_there());
    fs::remove_dir(sandbox.ledger()).unwrap();
    sandbox.run(["purge", "--yes"]).exits(0).quietly();
}

#[test]
fn an_empty_home_is_complete_at_once() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(["purge", "--yes", "--json", "--certificate", "c.txt"]);
    output.exits(0).quietly();
    verdict(&output, "complete");
    assert!(fs::read_to_string(sandbox.home().join("c.txt")).unwrap().to_lowercase().contains("complete"));
    sandbox.run(["purge", "--dry-run"]).exits(0).quietly().says("there is nothing to remove");
}

#[test]
fn a_full_disk_still_lets_go() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    let sandbox = Sandbox::new();
    sandbox.store().session(100).aged(days(1)).write();
    // The first run makes the reserve.
    sandbox.enforce().exits(0);
    let store = sandbox.store();
    for number in 1..=30 {
        let session = store.session(number).aged(days(40)).write();
        session.satellites();
        store.history(Some(session.id()), "/work/acme", days(40));
    }
    let (output, left) = sandbox.command(["purge", "--yes", "--json"]).on_a_full_disk("16m");
    assert!(matches!(output.code, Some(0 | 1)), "{output}");
    assert_eq!(left, 0, "{output}");
}

/// Runs a purge with the clock at another time.
fn at(sandbox: &Sandbox, time: DateTime<Utc>, arguments: &[&str]) -> Output {
    sandbox.command(["purge", "--yes", "--json"].iter().chain(arguments)).at(time).run()
}

#[test]
fn dates_matter_only_where_they_were_asked_about() {
    if !has("faketime") {
        return skip("needs faketime");
    }
    for time in ["1975-01-01T00:00:00Z", "2099-01-01T00:00:00Z"] {
        let time: DateTime<Utc> = time.parse().unwrap();
        let sandbox = Sandbox::new();
        let store = full(&sandbox);
        sandbox
            .run(["hold", "add", "--session", &id(200), "--reason", "r", "--until", "2050-01-01"])
            .exits(0);
        let young = store.session(50).aged(hours(2)).write();
        at(&sandbox, time, &["--before", "2020-01-01"]).exits(4).says("clock");
        // A hold that ends goes by the clock, too.
        at(&sandbox, time, &[]).exits(4).says("clock");
        assert!(young.is_there());
        sandbox.run(["hold", "list", "--json"]).exits(0);
        fs::remove_file(sandbox.config().join("holds.json")).unwrap();
        let output = at(&sandbox, time, &["--except", NOTES]);
        output.exits(0).quietly();
        verdict(&output, "complete-except-as-listed");
        no_content(&sandbox);
    }
}

#[test]
fn only_what_is_older_than_the_day_goes() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let old = store.session(1).aged(days(50)).write();
    old.satellites();
    let young = store.session(2).aged(days(10)).write();
    young.satellites();
    // Restored a moment ago: its records tell.
    let restored = store.session(3).aged(days(90)).files_aged(hours(2)).write();
    let undated = store.session(4).undated().files_aged(days(-2)).write();
    store.history(Some(old.id()), "/work/acme", days(50));
    store.history(Some(young.id()), "/work/acme", days(50));
    store.history(Some(young.id()), "/work/acme", days(10));
    store.put("plans/old.md", "x", days(50));
    store.put("plans/young.md", "x", days(10));
    let day = (now() - days(30)).format("%Y-%m-%d").to_string();
    let output = sandbox.run(["purge", "--yes", "--json", "--before", &day]);
    output.exits(1).says(&id(4));
    assert_eq!(reasons(&output), ["unattributed"]);
    assert!(!old.is_there() && !restored.is_there() && young.is_there() && undated.is_there());
    assert!(!store.has("plans/old.md") && store.has("plans/young.md"));
    assert_eq!(store.history_lines().len(), 1);
}

#[test]
fn a_session_that_moved_between_projects_is_told_once() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let line = format!("{{\"type\":\"user\",\"cwd\":\"/work/beta\",\"sessionId\":\"{}\"}}", id(1));
    let session = store.session(1).cwd("/work/acme").aged(days(9)).head(&line).write();
    session.satellites();
    let output = sandbox.run(["purge", "--yes", "--json", "--project", "/work/acme"]);
    output.exits(1).says("other projects too");
    assert_eq!(output.json()["exceptions"].as_array().unwrap().len(), 1, "{output}");
    assert!(session.is_there());
    let worktree = store.session(2).cwd("/work/acme/.claude/worktrees/w1").aged(days(9)).write();
    sandbox.run(["purge", "--yes", "--project", "/work/acme"]).exits(1);
    assert!(!worktree.is_there() && session.is_there());
    sandbox.run(["purge", "--yes", "--project", "/work/beta"]).exits(0);
    assert!(!session.is_there());
}

#[test]
fn a_file_of_lines_with_another_name_is_told() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.history(None, "/work/acme", days(3));
    fs::hard_link(store.path("history.jsonl"), sandbox.root().join("other name")).unwrap();
    sandbox.run(["purge", "-n"]).exits(0).says("hard link");
    let output = sandbox.run(["purge", "--yes", "--json"]);
    output.exits(1);
    assert_eq!(reasons(&output), ["hard-linked"]);
}

#[test]
fn neither_audit_nor_the_share_nor_a_floor_of_ones_own_stops_a_person() {
    let sandbox = Sandbox::new();
    sandbox.policy(
        r#"{"version": 1, "mode": "audit", "keepAtLeast": "90d", "guard": {"maxShare": 0.1, "minSessions": 1},
            "rules": [{"name": "all", "deleteAfter": "never"}]}"#,
    );
    let session = sandbox.store().session(1).aged(days(9)).write();
    sandbox.run(["purge", "--yes"]).exits(0).quietly();
    assert!(!session.is_there());
}

#[test]
fn preservation_copies_go_with_the_hold_that_is_broken() {
    let sandbox = Sandbox::new();
    sandbox.sealing("");
    let store = sandbox.store();
    let acme = store.session(1).cwd("/work/acme").aged(days(9)).write();
    let beta = store.session(2).cwd("/work/beta").aged(days(9)).write();
    for (name, project) in [("a", "/work/acme"), ("b", "/work/beta")] {
        sandbox
            .run(["hold", "add", "--project", project, "--reason", "r", "--name", name, "--preserve"])
            .exits(0);
    }
    assert!(store.has(format!("ccretain/held/a/{}/session.json", id(1))));
    // The client's sweep has taken the session; its copy is still what the hold is for.
    fs::remove_file(&acme.transcript).unwrap();
    sandbox.run(["purge", "--yes", "--project", "/work/acme"]).exits(4).says("'a'").never_says("'b'");
    let output =
        sandbox.run(["purge", "--yes", "--json", "--project", "/work/acme", "--break-holds", "over"]);
    output.exits(0).quietly();
    assert!(!store.has("ccretain/held/a") && store.has("ccretain/held/b") && beta.is_there());
    sandbox.run(["purge", "--yes", "--break-holds", "over"]).exits(0).quietly();
    assert!(!store.has("ccretain/held"));
    no_content(&sandbox);
}

#[test]
fn the_identity_stays_while_it_opens_anything() {
    let sandbox = Sandbox::new();
    sandbox.sealing(r#""rules": [{"name": "all", "sealAfter": "1d"}]"#);
    let store = sandbox.store();
    store.session(1).cwd("/work/acme").aged(days(9)).write();
    store.session(2).cwd("/work/beta").aged(days(9)).write();
    sandbox.enforce().exits(0);
    let output = sandbox.run(["purge", "--yes", "--json", "--project", "/work/acme", "--with", "identity"]);
    output.exits(1).says("identity.age").says("sealed files are left");
    assert!(sandbox.config().join("identity.age").exists());
    sandbox.run(["purge", "--yes", "--with", "identity"]).exits(0).quietly();
    assert!(!sandbox.config().join("identity.age").exists());
    assert!(
        sandbox.ledger_lines().iter().any(|line| line["kind"] == "identity" && line["event"] == "intent")
    );
}

#[test]
fn what_the_organisation_holds_only_root_breaks() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    for policy in [
        r#"{"version": 1, "holds": [{"name": "court", "projects": ["/work/acme/**"], "reason": "case 14"}]}"#,
        r#"{"version": 1, "keepAtLeast": "30d"}"#,
    ] {
        let sandbox = Sandbox::new();
        let system = sandbox.root().join("system");
        fs::create_dir(&system).unwrap();
        fs::write(system.join("managed-policy.json"), policy).unwrap();
        let session = sandbox.store().session(1).cwd("/work/acme").aged(days(9)).write();
        let beta = sandbox.store().session(2).cwd("/work/beta").aged(days(99)).write();
        sandbox.give_away();
        // The policy stays root's.
        for path in [system.clone(), system.join("managed-policy.json")] {
            std::os::unix::fs::chown(&path, Some(0), Some(0)).unwrap();
        }
        let user =
            |arguments: &[&str]| sandbox.command(arguments).unprivileged().with_system_folder(&system).run();
        user(&["purge", "--yes"]).exits(4).says("managed").says("root");
        user(&["purge", "--yes", "--break-holds", "I want to"]).exits(4).says("managed");
        assert!(session.is_there() && beta.is_there());
        user(&["purge", "--yes", "--project", "/work/beta"]).exits(0).quietly();
        assert!(session.is_there() && !beta.is_there());
    }
    // And root does, with its reason in the ledger.
    let sandbox = Sandbox::new();
    let system = sandbox.root().join("system");
    fs::create_dir(&system).unwrap();
    fs::write(
        system.join("managed-policy.json"),
        r#"{"version": 1, "keepAtLeast": "30d", "holds": [{"name": "court", "projects": ["/work/acme/**"], "reason": "case 14"}]}"#,
    )
    .unwrap();
    let session = sandbox.store().session(1).cwd("/work/acme").aged(days(9)).write();
    let run = |arguments: &[&str]| sandbox.command(arguments).with_system_folder(&system).run();
    run(&["purge", "--yes"]).exits(4).says("court").says("keepAtLeast 30d");
    run(&["purge", "--yes", "--break-holds", "by order"]).exits(0);
    assert!(!session.is_there());
    let lines = sandbox.ledger_lines();
    let broken: Vec<&Value> = lines.iter().filter(|line| line["event"] == "hold-released").collect();
    assert_eq!(broken.len(), 2);
    assert!(broken.iter().all(|line| line["reason"] == "by order"));
    age(&sandbox.home(), days(0));
}
