//! A policy that is out of reach today is not the absence of one: nothing is deleted by the built-in rule in its place.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::all_users::{give, machine};
use crate::common::sandbox::{Run, has_namespaces};
use crate::common::store::Session;
use crate::common::{Sandbox, days, skip};

const ANN: u32 = 58_071;
const BOB: u32 = 58_072;

/// A home with a policy that deletes nothing, a hold, and a session of 60 days.
fn home() -> (Sandbox, Session) {
    let sandbox = Sandbox::new();
    sandbox.write(".config/ccretain/policy.json", r#"{"version": 1, "rules": [{"deleteAfter": "never"}]}"#);
    sandbox.write(
        ".config/ccretain/holds.json",
        r#"{"version": 1, "holds": [{"name": "case", "projects": ["/work/acme"], "reason": "r"}]}"#,
    );
    let session = sandbox.store().session(1).cwd("/work/acme").aged(days(60)).write();
    sandbox.store().session(2).aged(days(1)).write();
    (sandbox, session)
}

/// A run that finds the user's policy where the system keeps it.
fn command<'a>(sandbox: &'a Sandbox, words: &[&str]) -> Run<'a> {
    sandbox.command(words).env("CCRETAIN_CONFIG_DIR", "").env("XDG_CONFIG_HOME", "")
}

type Prepare = fn(&Path);
type Variables = &'static [(&'static str, &'static str)];

/// Ways in which the user's own files are out of reach.
const OUT_OF_REACH: &[(&str, Prepare, Variables)] = &[
    ("the folder is a dead link", |home| dead(&home.join(".config/ccretain")), &[]),
    ("a folder above is a dead link", |home| dead(&home.join(".config")), &[]),
    ("the folder is a file", |home| file(&home.join(".config/ccretain")), &[]),
    ("a folder above is a file", |home| file(&home.join(".config")), &[]),
    (
        "a folder above is a loop",
        |home| {
            away(&home.join(".config"));
            symlink(home.join(".config"), home.join(".config")).unwrap();
        },
        &[],
    ),
    ("the policy is a dead link", |home| dead(&home.join(".config/ccretain/policy.json")), &[]),
    ("the holds are a dead link", |home| dead(&home.join(".config/ccretain/holds.json")), &[]),
    (
        "the policy is a folder",
        |home| {
            away(&home.join(".config/ccretain/policy.json"));
            fs::create_dir(home.join(".config/ccretain/policy.json")).unwrap();
        },
        &[],
    ),
    ("XDG_CONFIG_HOME is not there", |_| {}, &[("XDG_CONFIG_HOME", "/nowhere/config")]),
    (
        "XDG_CONFIG_HOME is a dead link",
        |home| dead(&home.join(".config")),
        &[("XDG_CONFIG_HOME", "HOME/.config")],
    ),
    ("CCRETAIN_CONFIG_DIR is not there", |_| {}, &[("CCRETAIN_CONFIG_DIR", "/nowhere/ccretain")]),
    (
        "CCRETAIN_CONFIG_DIR is a dead link",
        |home| dead(&home.join(".config")),
        &[("CCRETAIN_CONFIG_DIR", "HOME/.config")],
    ),
    ("CCRETAIN_CONFIG_DIR is relative and not there", |_| {}, &[("CCRETAIN_CONFIG_DIR", "nowhere")]),
];

fn away(path: &Path) {
    fs::rename(path, path.with_extension("away")).unwrap();
}

fn dead(path: &Path) {
    away(path);
    symlink(path.with_extension("not-mounted"), path).unwrap();
}

fn file(path: &Path) {
    away(path);
    fs::write(path, "x").unwrap();
}

fn prepared<'a>(sandbox: &'a Sandbox, words: &[&str], variables: Variables) -> Run<'a> {
    let mut run = command(sandbox, words);
    for (name, value) in variables {
        run = run.env(name, value.replace("HOME", sandbox.home().to_str().unwrap()));
    }
    run
}

#[test]
fn what_is_out_of_reach_is_not_absent() {
    for (what, prepare, variables) in OUT_OF_REACH {
        let (sandbox, session) = home();
        command(&sandbox, &["enforce", "--yes"]).run().exits(0);
        prepare(&sandbox.home());
        for words in
            [&["enforce", "--yes"][..], &["enforce", "--dry-run"], &["purge", "--yes"], &["hold", "list"]]
        {
            let output = prepared(&sandbox, words, variables).run();
            assert_eq!(output.code, Some(2), "{what}: {words:?}: {output}");
            assert!(session.is_there(), "{what}: {output}");
        }
        // Whoever only looks is told, and goes on.
        for words in [&["status"][..], &["explain", session.id()]] {
            prepared(&sandbox, words, variables).run().exits(1).says("the user's policy is left out");
        }
        prepared(&sandbox, &["check"], variables).run().exits(3).says("policy-invalid");
    }
}

#[test]
fn a_home_without_a_policy_has_none() {
    let (sandbox, session) = home();
    fs::remove_dir_all(sandbox.home().join(".config")).unwrap();
    command(&sandbox, &["enforce", "--dry-run"]).run().exits(0).says("1 session");
    command(&sandbox, &["enforce", "--yes"]).run().exits(0);
    assert!(!session.is_there());
}

#[test]
fn a_policy_that_permissions_hide_is_not_absent() {
    let (sandbox, session) = home();
    sandbox.give_away();
    let config = sandbox.home().join(".config");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o000)).unwrap();
    command(&sandbox, &["enforce", "--yes"]).unprivileged().run().exits(2).says("ermission denied");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(session.is_there());
}

#[test]
fn the_organisations_rules_go_on_without_the_users_files() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    for (name, deletes_held) in [("managed-policy.json", true), ("policy.json", true)] {
        let (sandbox, session) = home();
        let folder = sandbox.root().join("system");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(name), r#"{"version": 1, "rules": [{"name": "corp", "deleteAfter": "30d"}]}"#)
            .unwrap();
        dead(&sandbox.home().join(".config"));
        let output = command(&sandbox, &["enforce", "--yes"]).with_system_folder(&folder).run();
        output.exits(1).says("the user's policy is left out").says("leads nowhere");
        assert_eq!(!session.is_there(), deletes_held, "{name}: {output}");
    }
}

/// A name that is nearly one of a policy is told of: whoever wrote the file believes that it binds.
#[test]
fn files_beside_the_policies_of_the_machine_are_told_of() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    let (sandbox, _session) = home();
    let folder = sandbox.root().join("system");
    fs::create_dir_all(folder.join("policy.d")).unwrap();
    let policy =
        |days: u32| format!(r#"{{"version": 1, "rules": [{{"name": "corp", "deleteAfter": "{days}d"}}]}}"#);
    fs::write(folder.join("policy.json"), policy(90)).unwrap();
    fs::write(folder.join("policy.d/ten.json"), policy(60)).unwrap();
    for ignored in ["strict.JSON", ".hidden.json", "notes.txt"] {
        fs::write(folder.join("policy.d").join(ignored), policy(1)).unwrap();
    }
    let run = |words: &[&str]| command(&sandbox, words).with_system_folder(&folder).run();
    let shown = run(&["policy", "show", "--json"]);
    shown.exits(0).never_says("1d");
    for ignored in ["strict.JSON", ".hidden.json", "notes.txt"] {
        shown.says(&format!("'/etc/ccretain/policy.d/{ignored}' is ignored"));
    }
    shown.never_says("ten.json' is ignored");
    let checked = run(&["check", "--json"]).json();
    let findings = checked["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["id"] == "policy-ignored").expect("a finding");
    assert_eq!(
        (&found["severity"], found["evidence"].as_array().map(Vec::len)),
        (&"low".into(), Some(3)),
        "{found}"
    );
}

#[test]
fn settings_of_the_client_that_are_out_of_reach_suspend_the_built_in_rule() {
    type Way = (&'static str, fn(&Sandbox, &Path), Option<&'static str>);
    let ways: &[Way] = &[
        ("/etc/claude-code", |_, etc| symlink("/nowhere", etc.join("claude-code")).unwrap(), None),
        (
            "managed-settings.d",
            |_, etc| {
                fs::create_dir(etc.join("claude-code")).unwrap();
                symlink("/nowhere", etc.join("claude-code/managed-settings.d")).unwrap();
            },
            None,
        ),
        (
            "managed-settings.d is a file",
            |_, etc| {
                fs::create_dir(etc.join("claude-code")).unwrap();
                fs::write(etc.join("claude-code/managed-settings.d"), "").unwrap();
            },
            None,
        ),
        (
            "managed-settings.json",
            |_, etc| {
                fs::create_dir(etc.join("claude-code")).unwrap();
                symlink("/nowhere", etc.join("claude-code/managed-settings.json")).unwrap();
            },
            None,
        ),
        (
            "settings.json",
            |sandbox, _| {
                symlink("/nowhere", sandbox.home().join(".claude/settings.json")).unwrap();
            },
            None,
        ),
        ("CLAUDE_CONFIG_DIR", |_, _| {}, Some("/nowhere/claude")),
    ];
    for (what, prepare, config_dir) in ways {
        let needs_root = what.starts_with("/etc") || what.starts_with("managed");
        if needs_root && !has_namespaces() {
            skip("needs root and mount namespaces");
            continue;
        }
        let sandbox = Sandbox::new();
        let session = sandbox.store().session(1).aged(days(60)).write();
        sandbox.store().session(2).aged(days(1)).write();
        let etc = sandbox.root().join("etc");
        fs::create_dir(&etc).unwrap();
        prepare(&sandbox, &etc);
        let mut run = command(&sandbox, &["enforce", "--yes"]);
        if let Some(dir) = config_dir {
            run = run.env("CLAUDE_CONFIG_DIR", dir);
        }
        let run = if needs_root { run.with_over(&etc, "/etc") } else { run };
        let output = run.run();
        assert_eq!(output.code, Some(1), "{what}: {output}");
        output.says("give none");
        assert!(session.is_there(), "{what}: {output}");
    }
}

#[test]
fn folders_of_the_system_that_are_out_of_reach_stop_everything() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    type Way = (&'static str, fn(&Path));
    let ways: &[Way] = &[
        ("/etc/ccretain", |etc| symlink("/nowhere", etc.join("ccretain")).unwrap()),
        ("policy.d", |etc| {
            fs::create_dir(etc.join("ccretain")).unwrap();
            symlink("/nowhere", etc.join("ccretain/policy.d")).unwrap();
        }),
        ("policy.d is a file", |etc| {
            fs::create_dir(etc.join("ccretain")).unwrap();
            fs::write(etc.join("ccretain/policy.d"), "").unwrap();
        }),
        ("managed-policy.json", |etc| {
            fs::create_dir(etc.join("ccretain")).unwrap();
            symlink("/nowhere", etc.join("ccretain/managed-policy.json")).unwrap();
        }),
    ];
    for (what, prepare) in ways {
        let (sandbox, session) = home();
        sandbox.write(".config/ccretain/policy.json", "{}");
        sandbox.write(".config/ccretain/holds.json", "[]");
        let etc = sandbox.root().join("etc");
        fs::create_dir(&etc).unwrap();
        prepare(&etc);
        let output = command(&sandbox, &["enforce", "--yes"]).with_over(&etc, "/etc").run();
        assert_eq!(output.code, Some(2), "{what}: {output}");
        assert!(session.is_there(), "{what}");
    }
}

/// In a run over all users an account whose files are out of reach is told, and loses nothing but by the organisation's
/// rules; the others are done.
#[test]
fn an_account_whose_policy_is_out_of_reach_stops_no_other() {
    for has_managed in [false, true] {
        for (what, prepare, _) in OUT_OF_REACH.iter().filter(|(.., variables)| variables.is_empty()) {
            let Some(mut machine) = machine() else { return };
            let (ann, bob) = (machine.person("ann", ANN), machine.person("bob", BOB));
            let sessions =
                [&ann, &bob].map(|store| store.session(1).cwd("/work/acme").aged(days(60)).write());
            let young = ann.session(2).cwd("/work/acme").aged(days(40)).write();
            let policy = r#"{"version": 1, "rules": [{"deleteAfter": "never"}]}"#;
            machine.write("ann", ANN, ".config/ccretain/policy.json", policy);
            machine.write("ann", ANN, ".config/ccretain/holds.json", r#"{"version": 1, "holds": []}"#);
            if has_managed {
                let rules = r#"{"version": 1, "rules": [{"name": "corp", "deleteAfter": "50d"}]}"#;
                machine.system("managed-policy.json", rules);
            }
            prepare(&machine.home("ann"));
            give(&machine.home("ann"), ANN);
            give(&machine.home("bob"), BOB);
            let output = machine.enforce();
            output.exits(1).says("ann");
            // Built-in 30 days, if it were taken for an account without a policy.
            assert!(young.is_there(), "{what}: {output}");
            assert_eq!(sessions[0].is_there(), !has_managed, "{what}: {output}");
            assert!(!sessions[1].is_there(), "{what}: {output}");
        }
    }
}
