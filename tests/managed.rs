//! Layers that a user cannot loosen. They lie in `/etc`, so each run sees a folder of its own laid over it.

use std::fs;

use crate::common::sandbox::{has, has_namespaces};
use crate::common::{Output, Sandbox, StoreBuilder, days, hours, id, now, skip};

/// A sandbox and a system folder with files; `None` where no namespace can be made.
fn with(files: &[(&str, &str)]) -> Option<Sandbox> {
    if !has_namespaces() {
        skip("needs root and mount namespaces");
        return None;
    }
    let sandbox = Sandbox::new();
    let folder = sandbox.root().join("system");
    fs::create_dir_all(folder.join("policy.d")).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    sandbox.store().session(999).cwd("/work/anchor").aged(hours(3)).write();
    Some(sandbox)
}

fn enforce(sandbox: &Sandbox) -> Output {
    let folder = sandbox.root().join("system");
    sandbox.command(["-v", "enforce", "--yes", "--json"]).with_system_folder(&folder).run()
}

const MANAGED: (&str, &str) =
    ("managed-policy.json", r#"{"version": 1, "rules": [{"name": "corp", "deleteAfter": "14d"}]}"#);

#[test]
fn a_user_can_tighten_and_not_loosen() {
    let Some(sandbox) = with(&[MANAGED]) else { return };
    let store = sandbox.store();
    sandbox.delete_after("90d");
    let session = store.session(1).aged(days(20)).write();
    let output = enforce(&sandbox);
    output.exits(0);
    assert!(!session.is_there());
    assert_eq!(output.item(&format!("{}.jsonl", id(1)))["layer"], "managed");
    sandbox.delete_after("3d");
    let session = store.session(2).aged(days(5)).write();
    enforce(&sandbox).exits(0);
    assert!(!session.is_there());
}

#[test]
fn nothing_of_the_users_delays_a_managed_date() {
    for policy in [
        r#"{"version": 1, "keepAtLeast": "400d"}"#,
        r#"{"version": 1, "mode": "audit"}"#,
        r#"{"version": 1, "quiet": "400d"}"#,
        r#"{"version": 1, "ageBy": "mtime"}"#,
        r#"{"version": 1, "guard": {"maxShare": 0.0, "minSessions": 1}}"#,
        r#"{"version": 1, "stores": {"extra": [], "exclude": ["~/.claude"]}}"#,
        r#"{"version": 1, "holds": [{"name": "mine", "projects": ["/work/**"], "reason": "x"}]}"#,
        r#"{"version": 1, "rules": [{"name": "mine", "deleteAfter": "never"}]}"#,
    ] {
        let Some(sandbox) = with(&[MANAGED]) else { return };
        sandbox.policy(policy);
        let session = sandbox.store().session(1).aged(days(20)).files_aged(days(10)).write();
        let output = enforce(&sandbox);
        assert!(!session.is_there(), "kept by {policy}: {output}");
    }
}

#[test]
fn an_invalid_user_layer_is_dropped_whole_and_told() {
    for policy in ["{ broken", r#"{"version": 1, "typo": 1}"#] {
        let Some(sandbox) = with(&[MANAGED]) else { return };
        sandbox.policy(policy);
        let session = sandbox.store().session(1).aged(days(20)).write();
        let output = enforce(&sandbox);
        output.exits(1).says("policy.json");
        assert!(!session.is_there());
    }
}

/// Whatever is asked, a user's policy that does not count is told, with what to do; scripts read it in the document.
#[test]
fn every_command_tells_of_an_invalid_user_layer() {
    let Some(sandbox) = with(&[MANAGED]) else { return };
    let key = sandbox.run(["key", "new"]);
    let recipients = format!(r#"{{"version": 1, "recipients": ["{}"]}}"#, key.exits(0).stdout.trim());
    fs::write(sandbox.root().join("system/policy.json"), recipients).unwrap();
    let store = sandbox.store();
    let session = store.session(1).aged(days(5)).write();
    let other = store.session(2).aged(days(5)).write();
    fs::create_dir(sandbox.home().join("project")).unwrap();
    sandbox.policy("{\n  \"version\": 1,\n  \"rulez\": []\n}\n");
    let run = |words: &[&str]| {
        let run = sandbox.command(words).with_system_folder(&sandbox.root().join("system"));
        run.env("PATH", crate::seal::client(&sandbox, "exit 0")).run()
    };
    let (id, other) = (session.id(), other.id());
    for words in [
        &["seal", id][..],
        &["hold", "add", "--project", "/elsewhere/**", "--reason", "r", "--name", "h"],
        &["hold", "list"],
        &["hold", "release", "h", "--reason", "over"],
        &["list"],
        &["explain", id],
        &["status"],
        &["cat", id],
        &["rekey", "--all"],
        &["unseal", id, "--touch"],
        &["seal", other],
        &["resume", other],
        &["enforce", "--dry-run"],
        &["enforce", "--yes"],
        &["purge", "--dry-run"],
        &["purge", "--yes", "--session", id],
    ] {
        let told = |output: &Output| {
            output.exits(1).says("[CONFIG]/policy.json").says("line 3");
            output.says("`ccretain policy check '[CONFIG]/policy.json'`");
        };
        // Those that have no document.
        let json = [words, &["--json"]].concat();
        let output = if matches!(words[0], "cat" | "resume") { run(words) } else { run(&json) };
        told(&output);
        if words[0] == "cat" || words[0] == "resume" {
            continue;
        }
        let errors = output.json()["errors"].to_string();
        assert!(errors.contains("policy.json") && errors.contains("line 3"), "{words:?}: {output}");
        assert!(errors.contains("ccretain policy check"), "{words:?}: {output}");
    }
    assert!(store.path("ccretain").exists() && !session.is_there());
}

#[test]
fn user_holds_bind_where_the_managed_layer_lets_them() {
    let managed = r#"{"version": 1, "userHolds": true, "rules": [{"name": "corp", "deleteAfter": "14d"}]}"#;
    let Some(sandbox) = with(&[("managed-policy.json", managed)]) else { return };
    sandbox
        .policy(r#"{"version": 1, "holds": [{"name": "mine", "projects": ["/work/acme"], "reason": "x"}]}"#);
    let session = sandbox.store().session(1).aged(days(20)).write();
    enforce(&sandbox).exits(0);
    assert!(session.is_there());
}

#[test]
fn a_managed_hold_stops_the_users_rules() {
    let managed = r#"{"version": 1, "holds": [{"name": "case", "projects": ["/work/acme"], "reason": "x"}]}"#;
    let Some(sandbox) = with(&[("managed-policy.json", managed)]) else { return };
    sandbox.delete_after("7d");
    let session = sandbox.store().session(1).aged(days(20)).write();
    enforce(&sandbox).exits(0);
    assert!(session.is_there());
}

#[test]
fn a_system_file_that_others_may_write_does_not_count() {
    let Some(sandbox) = with(&[MANAGED]) else { return };
    use std::os::unix::fs::PermissionsExt;
    let file = sandbox.root().join("system/managed-policy.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let session = sandbox.store().session(1).aged(days(400)).write();
    // `cp` in the wrapper keeps no mode, so it is set where the run sees it.
    fs::create_dir_all(sandbox.root().join("system/etc/ccretain")).unwrap();
    let copy = sandbox.root().join("system/etc/ccretain/managed-policy.json");
    fs::copy(&file, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o666)).unwrap();
    enforce(&sandbox).exits(2).says("managed-policy.json");
    assert!(session.is_there());
}

#[test]
fn drop_ins_of_the_system_count_in_any_order() {
    let files = [
        ("policy.json", r#"{"version": 1, "rules": [{"name": "base", "deleteAfter": "60d"}]}"#),
        ("policy.d/20.json", r#"{"version": 1, "rules": [{"name": "late", "deleteAfter": "50d"}]}"#),
        ("policy.d/10.json", r#"{"version": 1, "rules": [{"name": "early", "deleteAfter": "10d"}]}"#),
    ];
    let Some(sandbox) = with(&files) else { return };
    let session = sandbox.store().session(1).aged(days(20)).write();
    enforce(&sandbox).exits(0);
    assert!(!session.is_there());
}

#[test]
fn a_managed_guard_that_is_off_lets_a_mass_deletion_pass() {
    let managed = r#"{"version": 1, "guard": "off", "rules": [{"name": "corp", "deleteAfter": "14d"}]}"#;
    let Some(sandbox) = with(&[("managed-policy.json", managed)]) else { return };
    for number in 1..=30 {
        sandbox.store().session(number).aged(days(20)).write();
    }
    let output = enforce(&sandbox);
    output.exits(0);
    assert_eq!(output.summary("sessionsDeleted"), 30);
}

#[test]
fn what_a_user_could_have_written_of_dates_is_not_asked() {
    let Some(sandbox) = with(&[MANAGED]) else { return };
    if !has("faketime") {
        return skip("needs faketime");
    }
    let folder = sandbox.root().join("system");
    let later =
        || sandbox.command(["enforce", "--dry-run"]).with_system_folder(&folder).at(now() + hours(1)).run();
    later().exits(0);
    assert!(!sandbox.state().join("dates.json").exists());
}

#[test]
fn a_store_left_out_by_a_link_is_left_out_of_the_users_rules() {
    let managed = r#"{"version": 1, "rules": [{"name": "corp", "deleteAfter": "400d"}]}"#;
    let Some(sandbox) = with(&[("managed-policy.json", managed)]) else { return };
    let session = sandbox.store().session(1).aged(days(20)).write();
    std::os::unix::fs::symlink(sandbox.store().path(""), sandbox.home().join("link")).unwrap();
    sandbox.policy(
        r#"{"version": 1, "stores": {"exclude": ["~/link"]}, "rules": [{"name": "mine", "deleteAfter": "7d"}]}"#,
    );
    enforce(&sandbox).exits(0);
    assert!(session.is_there());
}

#[test]
fn what_the_managed_guard_refuses_no_other_rule_takes() {
    let files = [
        (
            "managed-policy.json",
            r#"{"version": 1, "rules": [{"name": "m", "deleteAfter": "20d"}], "guard": {"maxShare": 0.3, "minSessions": 1}}"#,
        ),
        ("policy.json", r#"{"version": 1, "rules": [{"name": "s", "deleteAfter": "10d"}]}"#),
    ];
    let Some(sandbox) = with(&files) else { return };
    let store = sandbox.store();
    let session = store.session(1).aged(days(50)).write();
    let plan = store.put("plans/a.md", "x", days(50));
    store.history(Some(session.id()), "/work/acme", days(50));
    let output = enforce(&sandbox);
    output.exits(4);
    assert!(session.is_there() && plan.exists());
    assert_eq!(store.history_lines().len(), 1);
    assert_eq!(output.item(&format!("{}.jsonl", session.id()))["reason"], "refused");
}

#[test]
fn a_users_guard_refuses_his_own_rules_alone() {
    let Some(sandbox) = with(&[MANAGED]) else { return };
    sandbox.policy(
        r#"{"version": 1, "guard": {"maxShare": 0.1, "minSessions": 1}, "rules": [{"name": "mine", "deleteAfter": "3d"}]}"#,
    );
    let store = sandbox.store();
    let (managed, own) = (store.session(1).aged(days(20)).write(), store.session(2).aged(days(5)).write());
    let output = enforce(&sandbox);
    // Something was done, so the refusal is one of the failures.
    output.exits(1);
    assert!(!managed.is_there() && own.is_there());
    assert!(output.json()["errors"].to_string().contains("1 of 3 sessions"), "{output}");
    assert_eq!(output.item(&format!("{}.jsonl", own.id()))["reason"], "refused");
}

#[test]
fn each_layers_rules_run_in_its_mode_and_a_dry_run_agrees() {
    let rule = |name: &str, mode: &str, days: u32, project: &str| {
        format!(
            r#"{{"version": 1, {mode} "rules": [{{"name": "{name}", "projects": ["/work/{project}"], "deleteAfter": "{days}d"}}]}}"#
        )
    };
    let (audit, enforcing) = (r#""mode": "audit","#, r#""mode": "enforce","#);
    // managed, system, user; and whether the rules of each act.
    for (modes, acts) in [
        ([audit, audit, enforcing], [false, true, true]),
        ([audit, audit, ""], [false, false, true]),
        ([audit, audit, audit], [false, false, false]),
        (["", audit, audit], [true, false, false]),
        (["", "", audit], [true, true, false]),
        ([audit, "", audit], [false, true, false]),
        ([enforcing, audit, enforcing], [true, true, true]),
    ] {
        let [managed, system, user] = modes;
        let files =
            [("managed-policy.json", rule("m", managed, 7, "m")), ("policy.json", rule("s", system, 7, "s"))];
        let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
        let Some(sandbox) = with(&files) else { return };
        sandbox.policy(&rule("u", user, 7, "u"));
        let store = sandbox.store();
        let sessions = [(1, "/work/m"), (2, "/work/s"), (3, "/work/u")]
            .map(|(number, cwd)| store.session(number).cwd(cwd).aged(days(20)).write());
        let folder = sandbox.root().join("system");
        let arguments = ["enforce", "--dry-run", "--json"];
        let dry = sandbox.command(arguments).with_system_folder(&folder).run();
        dry.exits(0);
        let run = enforce(&sandbox);
        run.exits(0);
        for (session, acts) in sessions.iter().zip(acts) {
            let name = format!("{}.jsonl", session.id());
            assert_eq!(session.is_there(), !acts, "{modes:?} {name}");
            for output in [&dry, &run] {
                let item = output.item(&name);
                assert_eq!(item["decision"], "delete", "{modes:?} {item}");
                assert_eq!(item["audit"].as_bool().unwrap_or(false), !acts, "{modes:?} {item}");
            }
        }
        let count = acts.iter().filter(|acts| **acts).count() as u64;
        for output in [&dry, &run] {
            assert_eq!((output.summary("deleted"), output.summary("audit")), (count, 3 - count), "{modes:?}");
        }
    }
}

#[test]
fn managed_rules_act_beside_a_system_layer_that_audits() {
    let files = [("policy.json", r#"{"version": 1, "mode": "audit"}"#), MANAGED];
    let Some(sandbox) = with(&files) else { return };
    sandbox.policy(r#"{"version": 1, "mode": "enforce"}"#);
    let session = sandbox.store().session(1).aged(days(20)).write();
    let output = enforce(&sandbox);
    output.exits(0);
    assert_eq!((&output.json()["mode"], output.summary("deleted")), (&"enforce".into(), 1));
    assert!(!session.is_there());
}

/// A mode is about the rules of its own layer, whatever the layer above it says without any.
#[test]
fn a_managed_mode_without_rules_is_not_that_of_system_rules() {
    for (managed, system, goes) in [("enforce", "audit", false), ("audit", "enforce", true)] {
        let managed = format!(r#"{{"version": 1, "mode": "{managed}"}}"#);
        let system = format!(
            r#"{{"version": 1, "mode": "{system}", "rules": [{{"name": "s", "deleteAfter": "7d"}}]}}"#
        );
        let files = [("managed-policy.json", managed.as_str()), ("policy.json", system.as_str())];
        let Some(sandbox) = with(&files) else { return };
        let session = sandbox.store().session(1).aged(days(20)).write();
        enforce(&sandbox).exits(0);
        assert_eq!(session.is_there(), !goes, "{managed} {system}");
    }
}

/// What a rule for single kinds deletes of a session is not the session that an audit would take.
#[test]
fn a_dry_run_beside_an_audit_counts_what_a_run_does() {
    let system = r#"{"version": 1, "mode": "audit", "rules": [{"name": "all", "deleteAfter": "1d"}]}"#;
    let Some(sandbox) = with(&[("policy.json", system)]) else { return };
    let own = r#"{"version": 1, "rules": [{"name": "logs", "kinds": ["debug-log"], "deleteAfter": "1d"}]}"#;
    sandbox.policy(own);
    let session = sandbox.store().session(1).aged(days(20)).write();
    let log = sandbox.store().put(format!("debug/{}.txt", session.id()), "x", days(20));
    let folder = sandbox.root().join("system");
    let run = |arguments: &[&str]| sandbox.command(arguments).with_system_folder(&folder).run();
    let promised = run(&["enforce", "--dry-run", "--json"]);
    let listed = run(&["list", "--json"]).json();
    let rows = listed["sessions"].as_array().unwrap();
    let row = rows.iter().find(|row| row["session"] == session.id()).unwrap();
    assert_eq!(row["next"]["audit"], true, "{row}");
    let done = enforce(&sandbox);
    for what in ["sessionsDeleted", "partlyDeleted", "sessionsKept", "deleted", "auditSessions", "audit"] {
        assert_eq!(promised.summary(what), done.summary(what), "{what}");
    }
    assert!(session.is_there() && !log.exists());
}

#[test]
fn the_built_in_rule_only_reports_where_the_organisation_wants_reports() {
    let files = [("policy.json", r#"{"version": 1, "mode": "audit"}"#)];
    let Some(sandbox) = with(&files) else { return };
    let session = sandbox.store().session(1).aged(days(40)).write();
    enforce(&sandbox).exits(0);
    assert!(session.is_there());
    sandbox.policy(r#"{"version": 1, "mode": "enforce"}"#);
    enforce(&sandbox).exits(0);
    assert!(!session.is_there());
}

#[test]
fn lines_that_only_audits_want_gone_stay_beside_others_that_go() {
    let files = [
        (
            "managed-policy.json",
            r#"{"version": 1, "rules": [{"name": "m", "projects": ["/work/m"], "deleteAfter": "7d"}]}"#,
        ),
        ("policy.json", r#"{"version": 1, "mode": "audit", "rules": [{"name": "s", "deleteAfter": "7d"}]}"#),
    ];
    let Some(sandbox) = with(&files) else { return };
    let store = sandbox.store();
    store.history(None, "/work/m", days(20));
    let stays = store.history(None, "/work/s", days(20));
    let output = enforce(&sandbox);
    output.exits(0);
    assert_eq!(store.history_lines(), [stays]);
    assert_eq!((output.summary("prunedLines"), output.summary("pruned")), (1, 1), "{output}");
}

/// What a user may put in the place of the state, so that no run could read it.
const UNUSABLE: [&str; 4] =
    ["echo '{ broken' > $S", "echo '{\"version\": 99}' > $S", "mkdir $S", "mkfifo $S"];

fn spoil_state(sandbox: &Sandbox, how: &str) {
    let state = sandbox.state().join("state.json");
    let script = format!("rm -rf $S; {how}");
    let done = std::process::Command::new("sh").args(["-c", &script]).env("S", &state).status().unwrap();
    assert!(done.success());
}

#[test]
fn a_state_that_cannot_be_used_does_not_stop_managed_rules() {
    for how in UNUSABLE {
        let Some(sandbox) = with(&[MANAGED]) else { return };
        let store = sandbox.store();
        let moved = StoreBuilder::new(sandbox.home().join("moved"), sandbox.client_tmp());
        moved.session(10).aged(days(1)).write();
        let folder = sandbox.root().join("system");
        let first = sandbox.command(["enforce", "--yes"]).with_system_folder(&folder);
        first.env("CLAUDE_CONFIG_DIR", &moved.root).run().exits(0);
        spoil_state(&sandbox, how);
        let sessions = [store.session(1).aged(days(20)).write(), moved.session(11).aged(days(20)).write()];
        let orphan = store.put(format!("file-history/{}/0123456789abcdef@v1", id(50)), "x", days(40));
        let look = sandbox.command(["check", "--json"]).with_system_folder(&folder).run();
        assert!(look.json()["findings"].to_string().contains("state-unreadable"), "{how}: {look}");
        let output = enforce(&sandbox);
        output.exits(1).says("started afresh");
        // What a timer does not see is found by the ledger.
        assert!(sessions.iter().all(|session| !session.is_there()), "{how}: {output}");
        assert!(orphan.exists(), "{how}: its transcript may lie where nobody remembers");
        enforce(&sandbox).exits(0);
        assert!(orphan.exists(), "{how}: a week is not over");
        if has("faketime") {
            let later = sandbox.command(["enforce", "--yes"]).with_system_folder(&folder);
            later.at(now() + days(8)).run().exits(0);
            assert!(!orphan.exists(), "{how}");
        }
    }
}

#[test]
fn a_state_that_cannot_be_used_stops_a_run_without_managed_rules() {
    for how in UNUSABLE {
        let sandbox = Sandbox::new();
        let session = sandbox.store().session(1).aged(days(40)).write();
        sandbox.store().session(2).aged(hours(3)).write();
        fs::create_dir_all(sandbox.state()).unwrap();
        spoil_state(&sandbox, how);
        sandbox.enforce().exits(4);
        assert!(session.is_there());
    }
}
