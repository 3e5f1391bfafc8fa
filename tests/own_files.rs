//! A user's own policy, holds and identity are private whatever the umask, and not believed where others can write them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::common::sandbox::{NOBODY, Run, files_below, has_namespaces, is_root};
use crate::common::{Sandbox, days, id, skip};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Everything below a folder.
fn below(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(below(&entry.path()));
        }
        found.insert(entry.path());
    }
    found
}

/// A run in which nothing is taken from what files are made with.
fn open_to_all<'a>(sandbox: &'a Sandbox, words: &[&str]) -> Run<'a> {
    sandbox.command(words).with_usual_places().through(["sh", "-c", "umask 0; exec \"$@\"", "sh"])
}

#[test]
fn what_is_made_is_private_whatever_the_umask() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).cwd("/work/acme").aged(days(20)).write();
    session.satellites();
    sandbox.store().session(2).aged(days(40)).write();
    let known = below(sandbox.root());
    let key = open_to_all(&sandbox, &["key", "new"]).run();
    key.exits(0);
    let policy = sandbox.write(
        ".config/ccretain/policy.json",
        format!(
            r#"{{"version": 1, "rules": [{{"deleteAfter": "30d"}}], "recipients": ["{}"]}}"#,
            key.stdout.trim()
        ),
    );
    set(&policy, 0o600);
    for words in [
        &["hold", "add", "--project", "/work/acme", "--reason", "r", "--name", "h", "--preserve"][..],
        &["enforce", "--yes"],
        &["hold", "release", "h", "--reason", "r"],
        &["seal", "--idle", "1d"],
        &["schedule", "install", "--backend", "systemd"],
    ] {
        let output = open_to_all(&sandbox, words).run();
        assert!(words[0] == "schedule" || output.code == Some(0), "{output}");
    }
    let made: Vec<PathBuf> = below(sandbox.root()).difference(&known).cloned().collect();
    for path in &made {
        let found = fs::symlink_metadata(path).unwrap();
        if found.is_symlink() {
            continue;
        }
        let is_unit = path.to_string_lossy().contains("systemd/user/");
        let wanted = match (found.is_dir(), is_unit) {
            (true, _) => 0o700,
            (false, true) => 0o644,
            (false, false) => 0o600,
        };
        assert_eq!(found.mode() & 0o7777, wanted, "{}", path.display());
    }
    assert!(made.len() > 8, "{made:?}");
}

#[test]
fn files_that_the_caller_names_follow_the_umask_and_are_for_nobody_else_to_write() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(20)).write();
    sandbox.delete_after("7d");
    let out = sandbox.root().join("out");
    for (umask, file, folder) in [("0", 0o644, 0o755), ("077", 0o600, 0o700)] {
        fs::create_dir(&out).unwrap();
        let at = |name: &str| out.join(name).to_str().unwrap().to_owned();
        for words in [
            &["enforce", "--yes", "--metrics", &at("m.prom")][..],
            &["report", "--html", &at("r.html")],
            &["check", "--format", "json", "--output", &at("c.json")],
            &["purge", "--yes", "--certificate", &at("p.json")],
            &["mdm", &at("kit")],
            &["man", &at("man")],
        ] {
            let script = format!("umask {umask}; exec \"$@\"");
            sandbox.command(words).through(["sh", "-c", &script, "sh"]).run();
        }
        for name in ["m.prom", "r.html", "c.json", "p.json", "kit/managed-policy.json", "man/ccretain.1"] {
            assert_eq!(mode(&out.join(name)), file, "{umask} {name}");
        }
        assert_eq!((mode(&out.join("kit")), mode(&out.join("man"))), (folder, folder), "{umask}");
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn files_that_the_caller_names_replace_nothing_of_claude_code_and_no_special_file() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(days(1)).write();
    let side = session.side_file("tool-results/a", "content");
    let settings = sandbox.write(".claude/settings.json", "{}");
    let real = sandbox.write("real", "content");
    // Also of a folder without projects, beside the folder, and what commands of ours live by.
    let without_projects = sandbox.write("work/.claude/settings.local.json", "{}");
    let global = sandbox.write(".claude.json", "{}");
    sandbox.run(["key", "new"]).exits(0);
    sandbox.run(["hold", "add", "--project", "/x/**", "--reason", "a case"]).exits(0);
    let (config, state) = (sandbox.config(), sandbox.state());
    let [identity, holds] = ["identity.age", "holds.json"].map(|name| config.join(name));
    let [remembered, dates, ledger, head] =
        ["state.json", "dates.json", "ledger.jsonl", "head.json"].map(|name| state.join(name));
    let segment = state.join("ledger-000000000001.jsonl");
    fs::write(&segment, "").unwrap();
    let (link, pipe) = (sandbox.root().join("link"), sandbox.root().join("pipe"));
    std::os::unix::fs::symlink(&real, &link).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // By another way, too.
    let way = sandbox.root().join("way");
    std::os::unix::fs::symlink(sandbox.home().join(".claude"), &way).unwrap();
    let by_link = way.join("settings.json");
    sandbox.delete_after("7d");
    let outputs = [&["enforce", "--yes", "--metrics"][..], &["report", "--html"], &["check", "--output"]];
    for path in [
        &session.transcript,
        &side,
        &settings,
        &link,
        &pipe,
        &by_link,
        &without_projects,
        &global,
        &identity,
        &holds,
    ] {
        let before = fs::symlink_metadata(path).unwrap();
        for words in outputs {
            sandbox
                .command(words)
                .arg(path)
                .run()
                .exits(1)
                .says("cannot write")
                .says(path.file_name().unwrap().to_str().unwrap());
            let after = fs::symlink_metadata(path).unwrap();
            assert_eq!((after.ino(), after.mtime()), (before.ino(), before.mtime()), "{words:?}");
        }
    }
    // A run writes those itself.
    for path in [&remembered, &dates, &ledger, &head, &segment] {
        for words in outputs {
            sandbox.command(words).arg(path).run().exits(1).says("keeps its own data there");
        }
    }
    sandbox.run(["ledger", "verify"]).exits(1).says("ledger-000000000001.jsonl");
    fs::remove_file(&segment).unwrap();
    sandbox.run(["ledger", "verify"]).exits(0);
    let purge = ["purge", "--yes", "--session", session.id(), "--certificate"];
    for name in ["work/.claude/settings.json", ".claude.json"] {
        let path = sandbox.home().join(name);
        let _ = fs::remove_file(&path);
        sandbox.command(purge).arg(&path).run().exits(2).says("it is a file of Claude Code");
        assert!(!path.exists());
    }
    let path = config.join("holds.json");
    fs::remove_file(&path).unwrap();
    sandbox.command(purge).arg(&path).run().exits(2).says("keeps its own data there");
    assert!(session.is_there() && !path.exists());
    for words in outputs {
        sandbox.command(words).arg(&real).run();
        assert_ne!(fs::read_to_string(&real).unwrap(), "content", "{words:?}");
        fs::write(&real, "content").unwrap();
    }
}

/// Ways in which somebody else can write what is the user's.
const LOOSE: &[(&str, u32)] = &[
    ("", 0o777),
    ("", 0o1777),
    ("", 0o775),
    ("policy.json", 0o666),
    ("policy.json", 0o662),
    ("policy.json", 0o664),
    ("holds.json", 0o666),
];

fn with_holds() -> (Sandbox, crate::common::store::Session) {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).cwd("/work/acme").aged(days(60)).write();
    sandbox.store().session(2).aged(days(1)).write();
    sandbox.policy(r#"{"version": 1, "rules": [{"deleteAfter": "30d"}]}"#);
    let holds = sandbox.config().join("holds.json");
    fs::write(&holds, r#"[{"name": "case", "projects": ["/work/acme"], "reason": "r"}]"#).unwrap();
    set(&holds, 0o600);
    (sandbox, session)
}

#[test]
fn what_others_can_write_is_not_believed() {
    for (name, loose) in LOOSE {
        let (sandbox, session) = with_holds();
        let path = sandbox.config().join(name);
        if *loose & 0o002 == 0 {
            if !is_root() {
                continue;
            }
            // A group in which somebody else may be.
            chown(&path, None, Some(NOBODY)).unwrap();
        }
        let private = mode(&path);
        set(&path, *loose);
        let why = format!("{name:?} {loose:o}");
        for words in [&["enforce", "--yes"][..], &["hold", "list"], &["policy", "show"], &["purge", "--yes"]]
        {
            let output = sandbox.run(words);
            assert_eq!(output.code, Some(2), "{why}: {output}");
            output.says("others can write to").says("chmod go-w");
        }
        for words in [&["status"][..], &["explain", session.id()]] {
            sandbox.run(words).exits(1).says("others can write to");
        }
        for words in [&["check"][..], &["check", "--fix"]] {
            sandbox.run(words).exits(3).says("policy-writable").says("chmod go-w");
        }
        assert_eq!(mode(&path), *loose, "nothing is changed without being asked: {why}");
        set(&path, private & 0o7755);
        sandbox.run(["enforce", "--yes"]).exits(0);
        assert!(session.is_there());
    }
}

#[test]
fn holds_that_others_can_write_go_on_holding_beside_rules_of_the_system() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    for (file, is_held) in [("policy.json", true), ("managed-policy.json", false)] {
        let (sandbox, session) = with_holds();
        set(&sandbox.config(), 0o777);
        let folder = sandbox.root().join("system");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(file), r#"{"version": 1, "rules": [{"deleteAfter": "30d"}]}"#).unwrap();
        let output = sandbox.command(["enforce", "--yes"]).with_system_folder(&folder).run();
        output.exits(1).says("the user's policy is left out").says("chmod go-w");
        assert_eq!(session.is_there(), is_held, "{file}: {output}");
    }
}

#[test]
fn an_identity_that_others_can_write_opens_nothing() {
    let (sandbox, session) = with_holds();
    fs::remove_file(sandbox.config().join("holds.json")).unwrap();
    sandbox.run(["key", "new"]).exits(0);
    sandbox.run(["seal", session.id()]).exits(0);
    let identity = sandbox.config().join("identity.age");
    set(&identity, 0o622);
    for words in
        [&["key", "show"][..], &["cat", session.id()], &["unseal", session.id(), "--touch"], &["rekey"]]
    {
        sandbox.run(words).exits(2).says("others can write to").says("chmod go-w");
    }
    sandbox.run(["check"]).exits(3).says("policy-writable");
    set(&identity, 0o600);
    sandbox.run(["cat", session.id()]).exits(0);
}

/// A umask that takes from the owner, too, takes nothing from what is ours, and is handed on to Claude Code.
#[test]
fn what_is_made_can_be_opened_by_its_own_user_whatever_the_umask() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(9)).write();
    sandbox.store().session(2).aged(days(9)).write();
    sandbox.give_away();
    let path = crate::seal::client(&sandbox, r#"umask > "$OUT"; chmod 600 "$OUT""#);
    let run = |words: &[&str]| {
        let run = sandbox.command(words).unprivileged().env("PATH", &path);
        let run = run.env("OUT", sandbox.home().join("umask"));
        run.inner(["sh", "-c", "umask 777; exec \"$@\"", "sh"]).run()
    };
    run(&["key", "new"]).exits(0);
    let (one, two) = (id(1), id(2));
    run(&["seal", &one, &two]).exits(0);
    run(&["enforce", "--yes"]).exits(0);
    run(&["hold", "add", "--session", &one, "--reason", "r", "--name", "h"]).exits(0);
    run(&["hold", "release", "h", "--reason", "over"]).exits(0);
    for file in files_below(&[sandbox.state(), sandbox.config(), sandbox.home().join(".claude/ccretain")]) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        assert_eq!(mode(file.parent().unwrap()), 0o700, "{}", file.display());
    }
    run(&["unseal", &one, "--touch"]).exits(0);
    run(&["ledger", "verify"]).exits(0);
    run(&["resume", &two]).exits(0);
    assert_eq!(fs::read_to_string(sandbox.home().join("umask")).unwrap().trim(), "0777");
}

/// A bound on the size of files is an error as any other: exit 4 where nothing was done, and never an end by a signal.
#[test]
fn a_bound_on_the_size_of_files_ends_no_run_by_a_signal() {
    let mut refused = 0;
    for blocks in [0, 1, 2, 4, 8] {
        for words in [&["purge", "--yes", "--session"][..], &["seal"], &["enforce", "--yes"]] {
            let sandbox = Sandbox::new();
            let session = sandbox.store().session(1).aged(days(40)).write();
            sandbox.store().session(2).aged(days(1)).write();
            sandbox.run(["key", "new"]).exits(0);
            let script = format!("ulimit -f {blocks}; exec \"$@\" >/dev/null 2>&1");
            let with_id =
                if words[0] == "enforce" { words.to_vec() } else { [words, &[session.id()]].concat() };
            let output = sandbox.command(with_id).inner(["sh", "-c", &script, "sh"]).run();
            let code = output.code.unwrap_or_else(|| panic!("{blocks} {words:?}: a signal ended it"));
            assert!(session.is_there() || code != 4, "{blocks} {words:?}: {code}");
            if words[0] == "purge" {
                assert_eq!(code == 4, session.is_there(), "{blocks}: {code}");
                refused += u32::from(code == 4);
            }
            sandbox.run(["ledger", "verify"]).never_says("does not fit");
        }
    }
    assert!(refused > 0);
}
