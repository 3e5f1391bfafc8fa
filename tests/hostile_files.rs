//! A FIFO, a link to `/dev/zero` or an endless program in the place of every file that is read: no command waits for
//! it, and each ends with an exit code of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::sandbox::{NOBODY, is_root};
use crate::common::{Sandbox, days, id, skip};
use crate::seal::{identity, seals};

/// How long a command may take; those that hang are stopped a little later.
const PATIENCE: Duration = Duration::from_secs(30);

/// Files that others may have put where they are, below the sandbox; `SESSION` and `SEALED` stand for the ids.
const PLACES: &[&str] = &[
    "home/.claude.json",
    "home/.claude/.claude.json",
    "home/.claude/settings.json",
    "home/.claude/settings.local.json",
    "home/.claude/remote-settings.json",
    "home/.claude/history.jsonl",
    "home/.claude/projects/-work-acme/sessions-index.json",
    "home/.claude/projects/-work-acme/SESSION.jsonl",
    "home/.claude/projects/-work-acme/SESSION/subagents/agent-aaaaaaaa.jsonl",
    "home/.claude/sessions/1.json",
    "home/.claude/ide/1.lock",
    "home/.claude/jobs/abcd1234/state.json",
    "home/.claude/paste-cache/0123456789abcdef.txt",
    "home/.claude/ccretain/lock",
    "home/.claude/ccretain/sealed/SEALED/session.json",
    "home/.claude/ccretain/sealed/SEALED/projects/-work-acme/SEALED.jsonl.zst.age",
    "home/.config/Claude/claude-code-sessions/a/b/local_x.json",
    "home/.config/systemd/user/ccretain.timer",
    "home/.config/systemd/user/ccretain.service",
    "home/.cache/claude-cli-nodejs/-work-acme/mcp-logs-x/2026-01-01T00-00-00-000Z.jsonl",
    "home/.local/share/Trash/info/x.trashinfo",
    "home/.git/index",
    "home/.dropbox/info.json",
    "config/policy.json",
    "config/holds.json",
    "config/identity.age",
    "state/state.json",
    "state/dates.json",
    "state/head.json",
    "state/ledger.jsonl",
    "state/ledger-000000000001.jsonl",
    "state/ledger.lock",
    "state/ledger.reserve",
    "state/ledger.key",
    "state/schedule.json",
    "checks/one.json",
];

/// Commands that look at everything.
const LOOKING: &[&[&str]] = &[
    &["status"],
    &["check"],
    &["enforce", "-n"],
    &["schedule", "status"],
    &["report", "--html", "ROOT/page.html"],
    &["report", "--html", "ROOT/fleet.html", "ROOT/checks"],
    &["cat", "SEALED"],
    &["key", "show"],
];

/// The others.
const OTHERS: &[&[&str]] = &[
    &["status", "--search", "ROOT/home"],
    &["explain", "SESSION"],
    &["explain", "ROOT/home/.claude/history.jsonl"],
    &["policy", "show"],
    &["policy", "check"],
    &["policy", "client"],
    &["hold", "list"],
    &["hold", "add", "--session", "SESSION", "--reason", "x"],
    &["ledger", "show"],
    &["ledger", "verify"],
    &["schedule", "print"],
    &["schedule", "install", "--backend", "claude-hook"],
    &["harden", "--emit"],
    &["check", "--fix"],
    &["rekey"],
    &["seal", "SESSION"],
    &["unseal", "SEALED", "--keep-date"],
    &["purge", "-n"],
    &["enforce", "--yes"],
    &["purge", "--yes"],
];

/// A home with a session, a sealed one, a unit and a check of another machine.
fn home() -> Sandbox {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    let sealed = sandbox.store().session(2).aged(days(5)).write();
    seals(&sandbox, &recipient, "");
    sandbox.run(["seal", sealed.id()]).exits(0);
    sandbox.store().session(1).aged(days(1)).write();
    sandbox.store().history(Some(&id(1)), "/work/acme", days(1));
    sandbox.write(
        ".config/systemd/user/ccretain.service",
        "[Service]\nExecStart=/usr/bin/ccretain enforce --yes\n",
    );
    sandbox.write(".config/systemd/user/ccretain.timer", "[Timer]\nOnCalendar=daily\n");
    fs::create_dir(sandbox.root().join("checks")).unwrap();
    sandbox
}

fn filled(sandbox: &Sandbox, text: &str) -> String {
    let root = sandbox.root().to_str().unwrap();
    text.replace("SESSION", &id(1)).replace("SEALED", &id(2)).replace("ROOT", root)
}

/// Runs commands where something was put in the place of a file; which of them did not end, or badly.
fn failing(put: &dyn Fn(&Path), place: &str, commands: &[&[&str]]) -> Vec<String> {
    let sandbox = home();
    let path = sandbox.root().join(filled(&sandbox, place));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut failing = Vec::new();
    for command in commands {
        // What a command before replaced is put there again.
        let _ = fs::remove_file(&path);
        put(&path);
        let words: Vec<String> = command.iter().map(|word| filled(&sandbox, word)).collect();
        let limit = PATIENCE.as_secs().to_string();
        let start = Instant::now();
        let output = sandbox.command(&words).through(["timeout", "-s", "KILL", &limit]).run();
        if !matches!(output.code, Some(0..=4 | 75)) || start.elapsed() >= PATIENCE {
            failing.push(format!(
                "{place}: {} ended with {:?} after {:?}",
                words.join(" "),
                output.code,
                start.elapsed()
            ));
        }
    }
    failing
}

/// Every place with these commands, shared by a few threads.
fn none_fails(put: &(dyn Fn(&Path) + Sync), commands: &[&[&str]]) {
    let failing: Vec<String> = thread::scope(|scope| {
        let share =
            |at: usize| PLACES.iter().skip(at).step_by(4).flat_map(|place| failing(put, place, commands));
        let threads: Vec<_> = (0..4).map(|at| scope.spawn(move || share(at).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(failing.is_empty(), "{failing:#?}");
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn endless(path: &Path) {
    symlink("/dev/zero", path).unwrap();
}

#[test]
fn a_fifo_in_the_place_of_any_file_stops_no_command_that_looks() {
    none_fails(&fifo, LOOKING);
}

#[test]
fn a_fifo_or_an_endless_device_in_the_place_of_any_file_stops_no_command() {
    if std::env::var_os("CCRETAIN_SLOW_TESTS").is_none() {
        return skip("every command with every file takes minutes; set CCRETAIN_SLOW_TESTS to run them");
    }
    none_fails(&fifo, OTHERS);
    none_fails(&endless, LOOKING);
    none_fails(&endless, OTHERS);
}

/// A unit, or a hook, that names a program which never ends, never stops talking, or is somebody else's.
#[test]
fn a_program_without_end_stops_no_command() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(1)).write();
    let program = sandbox.write("bin/ccretain", "#!/bin/sh\nwhile :; do echo on and on; done\n");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let command = format!("{} enforce --yes", program.display());
    sandbox.write(".config/systemd/user/ccretain.service", format!("[Service]\nExecStart={command}\n"));
    sandbox.write(".config/systemd/user/ccretain.timer", "[Timer]\nOnCalendar=daily\n");
    let hook =
        serde_json::json!({"hooks": {"SessionEnd": [{"hooks": [{"type": "command", "command": command}]}]}});
    sandbox.store().put("settings.json", hook.to_string(), days(1));
    for words in [&["schedule", "status"][..], &["check"], &["status"]] {
        let start = Instant::now();
        let output = sandbox.command(words).through(["timeout", "-s", "KILL", "30"]).run();
        assert!(output.code.is_some() && start.elapsed() < PATIENCE, "{:?}: {output}", start.elapsed());
    }
    if is_root() {
        fs::write(&program, "#!/bin/sh\ntouch \"$0.ran\"; echo ccretain\n").unwrap();
        std::os::unix::fs::chown(&program, Some(NOBODY), None).unwrap();
        sandbox.run(["schedule", "status"]).says("belongs to another user");
        assert!(!program.with_extension("ran").exists(), "another user's program was started");
    }
}
