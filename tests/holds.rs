//! `hold add`, `hold list`, `hold release`: exceptions with a reason, recorded, and what vanishes.

use std::fs;

use crate::common::sandbox::{has, has_namespaces};
use crate::common::{Sandbox, StoreBuilder, days, hours, id, skip};

fn events(sandbox: &Sandbox) -> Vec<String> {
    sandbox.ledger_lines().iter().map(|line| line["event"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_hold_keeps_what_it_covers_until_it_is_released() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("7d");
    let held = sandbox.store().session(1).cwd("/work/acme/app").aged(days(20)).write();
    let other = sandbox.store().session(2).cwd("/work/other").aged(days(20)).write();
    let added = sandbox.run([
        "hold",
        "add",
        "--project",
        "/work/acme/**",
        "--reason",
        "litigation",
        "--name",
        "case-14",
        "--json",
    ]);
    added.exits(0).quietly();
    let json = added.json();
    assert_eq!(json["schema"], "ccretain.hold-add/1");
    assert_eq!(json["hold"]["name"], "case-14");
    assert_eq!(json["hold"]["covers"]["sessions"], 1);
    // Twenty days old, and the client sweeps after thirty.
    assert_eq!(json["hold"]["clientRemoves"]["sessions"], 1);
    assert_eq!(json["hold"]["clientRemoves"]["days"], 30);
    sandbox.enforce().exits(0);
    assert!(held.is_there() && !other.is_there());
    let lines = sandbox.ledger_lines();
    let added = lines.iter().find(|line| line["event"] == "hold-added").expect("it is recorded");
    assert_eq!((&added["hold"], &added["reason"]), (&"case-14".into(), &"litigation".into()));

    let released = sandbox.run(["hold", "release", "case-14", "--reason", "settled"]);
    released.exits(0).quietly().says("case-14");
    let lines = sandbox.ledger_lines();
    let released = lines.iter().find(|line| line["event"] == "hold-released").expect("it is recorded");
    assert_eq!((&released["hold"], &released["reason"]), (&"case-14".into(), &"settled".into()));
    sandbox.enforce().exits(0);
    assert!(!held.is_there());
    sandbox.run(["hold", "release", "case-14", "--reason", "again"]).exits(2).says("no hold named");
}

/// A person may be asked for long, and another terminal is open.
#[test]
fn a_hold_that_is_placed_while_a_person_is_asked_counts() {
    if !has("python3") {
        return skip("needs python3 for a terminal");
    }
    for (command, answer) in [("enforce", "yes\n"), ("purge", "purge\n")] {
        let sandbox = Sandbox::new();
        sandbox.delete_after("30d");
        let session = sandbox.store().session(1).aged(days(40)).write();
        sandbox.store().session(2).aged(days(1)).write();
        let program = env!("CARGO_BIN_EXE_ccretain");
        let hold = format!("{program} hold add --session {} --reason 'a case' --name case", session.id());
        let run = sandbox.command([command]).env("TERM", "xterm").env("MEANWHILE", &hold);
        let output = run.on_terminal(answer).run();
        output.exits(4).shows("changed after this was decided").shows("run the same command again");
        assert!(session.is_there(), "{command}: {output}");
        let events = events(&sandbox);
        assert_eq!(
            events,
            ["segment", "intent", "hold-added", "summary"],
            "{command}: the hold's own records alone"
        );
        sandbox.run(["hold", "list"]).exits(0).says("case");
    }
}

#[test]
fn a_hold_until_the_last_day_can_be_read_again() {
    for zone in ["UTC", "America/Los_Angeles", "Pacific/Kiritimati"] {
        let sandbox = Sandbox::new();
        let session = sandbox.store().session(1).aged(days(40)).write();
        sandbox.store().session(2).aged(days(1)).write();
        sandbox.delete_after("30d");
        for until in ["9999-12-31", "9999-12-31T23:59:59-10:00"] {
            let add = ["hold", "add", "--session", session.id(), "--reason", "a case", "--until", until];
            sandbox.command(add).env("TZ", zone).run().exits(0);
        }
        sandbox.run(["hold", "list"]).exits(0).says("9999-12-31");
        sandbox.enforce().exits(0);
        assert!(session.is_there(), "{zone}");
    }
}

#[test]
fn a_session_is_held_by_a_beginning_of_its_id_and_names_are_made() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("7d");
    let session = sandbox.store().session(1).aged(days(20)).write();
    let json =
        sandbox.run(["hold", "add", "--session", &session.id()[..23], "--reason", "x", "--json"]).json();
    assert_eq!(json["hold"]["sessions"][0], session.id());
    let name = json["hold"]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("hold-20"), "{name}");
    // A whole id need not be here.
    let json = sandbox.run(["hold", "add", "--session", &id(77), "--reason", "x", "--json"]).json();
    assert_eq!(json["hold"]["name"], format!("{name}-2"));
    assert_eq!(json["hold"]["covers"]["sessions"], 0);
    sandbox.enforce().exits(0);
    assert!(session.is_there());
}

#[test]
fn what_is_wrong_with_a_hold_is_told_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(hours(3)).write();
    sandbox
        .policy(r#"{"version": 1, "holds": [{"name": "mine", "projects": ["/work/acme"], "reason": "x"}]}"#);
    for (arguments, exit) in [
        (&["--reason", "x"][..], 2),
        (&["--project", "/a"], 2),
        (&["--project", "relative/**", "--reason", "x"], 2),
        (&["--project", "/work/[a", "--reason", "x"], 2),
        (&["--project", "/a", "--reason", " "], 2),
        (&["--project", "/a", "--reason", "x", "--until", "soon"], 2),
        (&["--project", "/a", "--reason", "x", "--until", "2001-01-01"], 2),
        (&["--project", "/a", "--reason", "x", "--name", "mine"], 2),
        (&["--project", "/a", "--reason", "x", "--name", ""], 2),
        (&["--session", "0000", "--reason", "x"], 2),
        (&["--session", "ffffffff-0000", "--reason", "x"], 2),
    ] {
        let output = sandbox.command(["hold", "add"].iter().chain(arguments)).run();
        output.exits(exit);
        assert!(!sandbox.config().join("holds.json").exists(), "{output}");
    }
    assert!(!events(&sandbox).iter().any(|event| event == "hold-added"));
    // One in the user's own policy is the user's to take out there.
    sandbox.run(["hold", "release", "mine", "--reason", "x"]).exits(4).says("policy.json");
}

#[test]
fn a_list_says_who_holds_what_and_until_when() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).cwd("/work/acme").aged(days(20)).write();
    sandbox.policy(
        r#"{"version": 1, "holds": [
            {"name": "old", "projects": ["/work/**"], "reason": "x", "until": "2020-01-01T00:00:00Z"},
            {"name": "now", "projects": ["/work/**"], "reason": "y"}]}"#,
    );
    sandbox
        .run(["hold", "add", "--project", "/nowhere/**", "--reason", "z", "--until", "2999-01-01"])
        .exits(0);
    let json = sandbox.run(["hold", "list", "--json", "-v"]).json();
    assert_eq!(json["schema"], "ccretain.hold-list/1");
    let holds = json["holds"].as_array().unwrap();
    let states: Vec<_> = holds.iter().map(|hold| hold["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["expired", "active", "active"]);
    assert_eq!(holds[1]["covers"]["sessions"], 1);
    assert_eq!(holds[1]["items"][0]["session"], id(1));
    assert!(holds[0]["clientRemoves"].is_null(), "it ended before Claude Code comes");
    assert_eq!(holds[2]["covers"]["sessions"], 0);
    let text = sandbox.run(["hold", "list"]);
    text.exits(0)
        .quietly()
        .says("expired at the end of 2019-12-31 (UTC)")
        .says("Claude Code will remove this in ");
    text.says("covers nothing that is here now");
}

#[test]
fn the_client_that_keeps_longer_is_not_warned_of() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).cwd("/work/acme").aged(days(20)).write();
    sandbox.write(".claude/settings.json", r#"{"cleanupPeriodDays": 400}"#);
    let until = (chrono::Utc::now() + days(100)).format("%Y-%m-%d").to_string();
    let add = ["hold", "add", "--project", "/work/**", "--reason", "z", "--json", "--until", &until];
    assert!(sandbox.run(add).json()["hold"]["clientRemoves"].is_null());
    sandbox.write(".claude/settings.json", r#"{"cleanupPeriodDays": 50}"#);
    let json = sandbox.run(["hold", "list", "--json"]).json();
    assert_eq!(json["holds"][0]["clientRemoves"]["days"], 50);
}

#[test]
fn what_was_held_and_has_vanished_is_told_once_and_recorded() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("7d");
    let held = sandbox.store().session(1).cwd("/work/acme").aged(days(20)).write();
    sandbox.store().session(2).cwd("/work/acme").aged(days(20)).write();
    sandbox.run(["hold", "add", "--project", "/work/acme", "--reason", "x", "--name", "case"]).exits(0);
    sandbox.enforce().exits(0);
    fs::remove_file(&held.transcript).unwrap();
    sandbox.dry_run().exits(1).says(&id(1));
    let output = sandbox.enforce();
    output.exits(1).says("has vanished since the last run");
    assert!(!output.stdout.contains(&id(2)), "{output}");
    let lines = sandbox.ledger_lines();
    let gone: Vec<_> = lines.iter().filter(|line| line["event"] == "held-vanished").collect();
    assert_eq!(gone.len(), 1);
    assert_eq!((&gone[0]["hold"], &gone[0]["session"]), (&"case".into(), &id(1).into()));
    sandbox.enforce().exits(0);
}

#[test]
fn what_is_released_or_removed_by_rule_has_not_vanished() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("7d");
    let held = sandbox.store().session(1).cwd("/work/acme").aged(days(20)).write();
    sandbox.run(["hold", "add", "--project", "/work/acme", "--reason", "x", "--name", "case"]).exits(0);
    sandbox.enforce().exits(0);
    sandbox.run(["hold", "release", "case", "--reason", "done"]).exits(0);
    sandbox.enforce().exits(0);
    assert!(!held.is_there());
    sandbox.enforce().exits(0);
    assert!(!events(&sandbox).iter().any(|event| event == "held-vanished"));
}

#[test]
fn under_a_managed_layer_a_users_hold_is_advisory_and_a_managed_one_is_not_released() {
    if !has_namespaces() {
        skip("needs root and mount namespaces");
        return;
    }
    let sandbox = Sandbox::new();
    let folder = sandbox.root().join("system");
    fs::create_dir(&folder).unwrap();
    let managed = r#"{"version": 1, "rules": [{"name": "corp", "deleteAfter": "14d"}],
        "holds": [{"name": "court", "projects": ["/work/court"], "reason": "x"}]}"#;
    fs::write(folder.join("managed-policy.json"), managed).unwrap();
    let mine = sandbox.store().session(1).cwd("/work/acme").aged(days(20)).write();
    let courts = sandbox.store().session(2).cwd("/work/court").aged(days(20)).write();
    let run = |arguments: &[&str]| sandbox.command(arguments).with_system_folder(&folder).run();
    run(&["hold", "add", "--project", "/work/acme", "--reason", "mine", "--name", "mine"])
        .exits(0)
        .says("advisory");
    run(&["hold", "release", "court", "--reason", "no"]).exits(4).says("managed");
    run(&["hold", "add", "--project", "/x", "--reason", "no", "--name", "court"]).exits(2);
    let json = run(&["hold", "list", "--json"]).json();
    let advisory: Vec<_> =
        json["holds"].as_array().unwrap().iter().map(|hold| hold["advisory"].as_bool().unwrap()).collect();
    assert_eq!(advisory, [false, true], "{json}");
    // What the organisation removes has not vanished.
    run(&["enforce", "--yes"]).exits(0);
    assert!(!mine.is_there() && courts.is_there());
    run(&["enforce", "--yes"]).exits(0);
}

#[test]
fn without_a_ledger_no_hold_is_changed() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(hours(3)).write();
    fs::create_dir(sandbox.ledger()).unwrap();
    sandbox.run(["hold", "add", "--project", "/a", "--reason", "x"]).exits(4);
    assert!(!sandbox.config().join("holds.json").exists());
}

#[test]
fn policy_check_says_when_the_client_removes_what_is_held() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).cwd("/work/acme").aged(days(20)).write();
    let file = sandbox
        .policy(r#"{"version": 1, "holds": [{"name": "case", "projects": ["/work/acme"], "reason": "x"}]}"#);
    let output = sandbox.run(["policy", "check", file.to_str().unwrap()]);
    output.exits(0).says("which will remove 1 session of it, the first in 9 days");
}

/// A sandbox with a recipient in its policy, and the session that a hold is for.
fn with_recipient() -> (Sandbox, crate::common::store::Session) {
    let sandbox = Sandbox::new();
    sandbox.sealing(r#""rules": [{"name": "w", "deleteAfter": "7d"}]"#);
    let session = sandbox.store().session(1).cwd("/work/acme").aged(days(20)).write();
    session.satellites();
    (sandbox, session)
}

#[test]
fn a_preservation_copy_outlives_the_client_and_goes_with_the_hold() {
    let (sandbox, session) = with_recipient();
    let other = sandbox.store().session(2).cwd("/work/other").aged(hours(3)).write();
    let plain = fs::read(&session.transcript).unwrap();
    let add = [
        "hold",
        "add",
        "--project",
        "/work/acme",
        "--reason",
        "x",
        "--name",
        "case-14",
        "--preserve",
        "--json",
    ];
    let added = sandbox.run(add);
    added.exits(0).quietly();
    assert_eq!(added.json()["hold"]["preserved"], 1);
    assert_eq!(fs::read(&session.transcript).unwrap(), plain, "the source stays");
    let copy = sandbox.store().path("ccretain/held/case-14").join(session.id());
    let sealed = copy.join(format!("projects/-work-acme/{}.jsonl.zst.age", session.id()));
    assert!(sealed.exists() && copy.join("session.json").exists());
    assert!(copy.join(format!("file-history/{}/0123abcd@v1.zst.age", session.id())).exists());
    assert!(copy.join("temp/tasks/b1.output.zst.age").exists());
    assert!(!sandbox.store().path(format!("ccretain/held/case-14/{}", other.id())).exists());
    let copied = sandbox.ledger_lines().into_iter().find(|line| line["outcome"] == "preserved").expect("it");
    assert_eq!((&copied["hold"], &copied["decision"]), (&"case-14".into(), &"preserve".into()));
    assert!(copied["sealed"].as_array().unwrap().len() > 5);

    // The client comes, and then a run of our own: the copy stays.
    fs::remove_file(&session.transcript).unwrap();
    sandbox.enforce().says("has vanished");
    assert!(sealed.exists());
    if crate::common::sandbox::has("age") && crate::common::sandbox::has("zstd") {
        let script = r#"age -d -i "$1" "$2" | zstd -d -q"#;
        let opened = std::process::Command::new("sh")
            .args(["-c", script, "sh"])
            .args([sandbox.config().join("identity.age"), sealed.clone()])
            .output()
            .unwrap();
        assert_eq!(opened.stdout, plain, "{}", String::from_utf8_lossy(&opened.stderr));
    } else {
        skip("opening it by hand needs age and zstd");
    }
    sandbox.run(["hold", "list"]).says("1 session preserved");

    // A link in the folder of copies is removed itself.
    let outside = sandbox.write("outside/file", "x");
    std::os::unix::fs::symlink(outside.parent().unwrap(), copy.join("link")).unwrap();
    sandbox.run(["hold", "release", "case-14", "--reason", "settled"]).exits(0).quietly();
    assert!(!sandbox.store().has("ccretain/held") && outside.exists());
    let lines = sandbox.ledger_lines();
    assert!(lines.iter().any(|line| line["decision"] == "remove-copies" && line["outcome"] == "deleted"));
}

#[test]
fn rekey_reaches_preservation_copies() {
    let (sandbox, session) = with_recipient();
    let plain = fs::read(&session.transcript).unwrap();
    for name in ["case-1", "case-2"] {
        let add = ["hold", "add", "--project", "/work/acme", "--reason", "x", "--name", name, "--preserve"];
        sandbox.run(add).exits(0).quietly();
    }
    let held = sandbox.store().path("ccretain/held");
    let sealed = |hold: &str| {
        held.join(hold).join(session.id()).join(format!("projects/-work-acme/{}.jsonl.zst.age", session.id()))
    };
    // What has not the name of a copy is no business of this program.
    fs::create_dir_all(held.join("case-1/notes")).unwrap();
    std::os::unix::fs::symlink(sandbox.home(), held.join("elsewhere")).unwrap();
    let before = fs::read(sealed("case-2")).unwrap();
    let date = |path: &std::path::Path| fs::metadata(path).unwrap().modified().unwrap();
    let dated = date(&sealed("case-2"));

    let old = sandbox.root().join("old.age");
    fs::rename(sandbox.config().join("identity.age"), &old).unwrap();
    let recipient = crate::seal::identity(&sandbox);
    crate::seal::seals(&sandbox, &recipient, "");
    sandbox.run(["rekey"]).exits(1).says("preserved for hold 'case-1'").says("none of the identities");
    assert!(fs::read(sealed("case-2")).unwrap() == before, "a copy that did not open was changed");
    let output = sandbox.command(["rekey", "--json", "--identity"]).arg(&old).run();
    output.exits(0).quietly();
    let json = output.json();
    let items = json["sessions"].as_array().unwrap();
    let holds: Vec<_> = items.iter().map(|item| item["hold"].as_str().unwrap()).collect();
    assert_eq!(holds, ["case-1", "case-2"]);
    assert!(items.iter().all(|item| item["outcome"] == "rekeyed" && item["session"] == session.id()));
    assert_eq!(date(&sealed("case-2")), dated);
    let lines = sandbox.ledger_lines();
    let told = lines.iter().rfind(|line| line["decision"] == "rekey" && line["event"] == "outcome").unwrap();
    assert_eq!(told["hold"], "case-2");
    assert!(told["sealed"].as_array().unwrap().len() > 5);
    sandbox.run(["rekey"]).exits(0).says("0 sessions re-encrypted").says("2 recorded as sealed to the same");
    sandbox.run(["rekey", "--all"]).exits(0).says("0 sessions and 2 preservation copies re-encrypted");
    assert_eq!(fs::read(&session.transcript).unwrap(), plain);

    let opens = |key: &std::path::Path, file: &std::path::Path| {
        let script = r#"age -d -i "$1" "$2" | zstd -d -q"#;
        let opened = std::process::Command::new("sh").args(["-c", script, "sh"]).args([key, file]).output();
        opened.unwrap().stdout == plain
    };
    if crate::common::sandbox::has("age") && crate::common::sandbox::has("zstd") {
        for hold in ["case-1", "case-2"] {
            assert!(opens(&sandbox.config().join("identity.age"), &sealed(hold)), "{hold}");
            assert!(!opens(&old, &sealed(hold)), "{hold} still opens with the old identity");
        }
    } else {
        skip("opening them by hand needs age and zstd");
    }
    // Nothing of it is in the way of the release.
    fs::remove_file(held.join("elsewhere")).unwrap();
    for name in ["case-1", "case-2"] {
        sandbox.run(["hold", "release", name, "--reason", "settled"]).exits(0).quietly();
    }
    assert!(!held.exists());
}

#[test]
fn a_copy_needs_a_recipient_a_plain_name_and_the_lock() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).cwd("/work/acme").aged(days(20)).write();
    let add = ["hold", "add", "--project", "/work/acme", "--reason", "x", "--preserve"];
    sandbox.run(add).exits(2).says("no recipient");
    let (sandbox, _) = with_recipient();
    for name in ["../up", "a/b", ".hidden", "a b"] {
        sandbox.run(add.iter().chain(&["--name", name])).exits(2).says("folder");
    }
    assert!(!sandbox.config().join("holds.json").exists());
    fs::create_dir_all(sandbox.store().path("ccretain")).unwrap();
    let lock = fs::File::create(sandbox.store().path("ccretain/lock")).unwrap();
    lock.lock().unwrap();
    sandbox.run(add).exits(75);
    assert!(!sandbox.config().join("holds.json").exists());
}

#[test]
fn a_hold_on_a_folder_written_with_a_slash_at_its_end_holds() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("7d");
    let held = sandbox.store().session(1).cwd("/work/acme").aged(days(20)).write();
    sandbox
        .run(["hold", "add", "--project", "/work/acme/", "--reason", "litigation"])
        .exits(0)
        .says("1 session");
    sandbox.enforce().exits(0);
    assert!(held.is_there());
}

#[test]
fn a_day_ends_where_the_user_is() {
    for (zone, end, offset) in [
        ("America/Los_Angeles", "2999-03-02T08:00:00Z", "-08:00"),
        ("Asia/Tokyo", "2999-03-01T15:00:00Z", "+09:00"),
        ("UTC", "2999-03-02T00:00:00Z", "+00:00"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.store().session(1).cwd("/work/acme").aged(days(20)).write();
        let added = sandbox
            .command(["hold", "add", "--project", "/work/acme", "--reason", "r", "--name", "h", "--json"])
            .arg("--until")
            .arg("2999-03-01")
            .env("TZ", zone)
            .run();
        added.exits(0);
        assert_eq!(
            (&added.json()["hold"]["until"], &added.json()["hold"]["zone"]),
            (&end.into(), &offset.into())
        );
        let stored = fs::read_to_string(sandbox.config().join("holds.json")).unwrap();
        assert!(stored.contains("\"2999-03-02T00:00:00"), "{stored}");
        // Wherever it is read, it is the moment and the zone of who typed it.
        let zone = if offset == "+00:00" { "UTC".to_owned() } else { format!("UTC{offset}") };
        for words in [&["hold", "list"][..], &["policy", "show"], &["explain", &id(1)]] {
            sandbox.run(words).exits(0).says(&format!("the end of 2999-03-01 ({zone})"));
        }
    }
}

#[test]
fn a_day_in_a_policy_ends_when_it_has_ended_everywhere() {
    if !crate::common::sandbox::has("faketime") {
        return skip("needs faketime");
    }
    let sandbox = Sandbox::new();
    let today = chrono::Utc::now().date_naive();
    let hold = format!(
        r#""holds": [{{"name": "h", "projects": ["/work/acme"], "reason": "r", "until": "{today}"}}]"#
    );
    sandbox.policy(&format!(r#"{{"version": 1, "rules": [{{"deleteAfter": "7d"}}], {hold}}}"#));
    sandbox.store().session(1).cwd("/work/acme").aged(days(20)).write();
    sandbox.store().session(2).aged(hours(1)).write();
    let end = (today + chrono::Days::new(1)).and_hms_opt(12, 0, 0).unwrap().and_utc();
    let state = |at| {
        let json = sandbox.command(["hold", "list", "--json"]).at(at).run().json();
        json["holds"][0]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(end - hours(1)), "active");
    assert_eq!(state(end + hours(1)), "expired");
}

#[test]
fn kinds_in_a_hold_are_ignored_with_a_warning() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).cwd("/work/acme").aged(days(20)).write();
    let file = sandbox.policy(
        r#"{"version": 1, "rules": [{"deleteAfter": "7d"}],
            "holds": [{"name": "h", "projects": ["/work/acme"], "kinds": ["debug-log"], "reason": "r"}]}"#,
    );
    sandbox
        .run(["policy", "check", file.to_str().unwrap()])
        .exits(0)
        .says("names kinds, which has no effect");
    sandbox.run(["policy", "show", "--json"]).exits(0).says("names kinds, which has no effect");
    sandbox.enforce().exits(0);
    assert!(session.is_there(), "the whole session is held");
}

#[test]
fn what_a_shell_had_set_is_held_by_nobody() {
    let sandbox = Sandbox::new();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "d", "deleteAfter": "10d"}],
            "holds": [{"name": "h", "projects": ["/work/court/**"], "reason": "x"}]}"#,
    );
    let store = sandbox.store();
    let snapshot = store.put("shell-snapshots/snapshot-bash-1757000000000-abcdef.sh", "x", days(40));
    let prompts = store.put("paste-cache/0123456789abcdef.txt", "x", days(40));
    sandbox.enforce().exits(0);
    assert!(!snapshot.exists() && prompts.exists());
}

#[test]
fn a_hold_covers_the_folder_of_which_the_path_was_copied() {
    for path in ["/work/app/[slug]", r"/work/a\b", "/work/{x}"] {
        let sandbox = Sandbox::new();
        sandbox.delete_after("7d");
        let held = sandbox.store().session(1).cwd(path).aged(days(20)).write();
        sandbox
            .run(["hold", "add", "--project", &format!("{path}/**"), "--reason", "x"])
            .exits(0)
            .says("covers 1 session");
        sandbox.enforce().exits(0);
        assert!(held.is_there(), "{path}");
        sandbox.run(["list", "--project", path]).exits(0).says(&id(1));
    }
}

/// A hold by an id covers every session of that id, and says where they are.
#[test]
fn a_hold_by_an_id_in_two_stores_names_them() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(5)).write();
    let other = sandbox.home().join("other");
    StoreBuilder::new(other.clone(), sandbox.client_tmp()).session(1).aged(days(5)).write();
    let run = |words: &[&str]| sandbox.command(words).env("CLAUDE_CONFIG_DIR", &other).run();
    let add = ["hold", "add", "--session", session.id(), "--reason", "r", "--name"];
    let output = run(&[&add[..], &["one"]].concat());
    output.exits(0).says("is held in each of its stores: '[HOME]/.claude', '[HOME]/other'");
    let json = run(&[&add[..], &["two", "--json"]].concat()).exits(0).json();
    assert_eq!(json["hold"]["stores"].as_array().unwrap().len(), 2, "{json}");
    let alone = run(&["hold", "add", "--project", "/work/acme", "--reason", "r", "--name", "three"]);
    alone.exits(0).never_says("each of its stores");
}
