//! Roots of stores: whose links are followed on the way to one, what a race for one gains, and what is remembered.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};

use crate::all_users::{give, machine};
use crate::common::sandbox::{NOBODY, has, has_namespaces, is_root};
use crate::common::store::{CONTENT, put};
use crate::common::{Sandbox, StoreBuilder, days, hours, id, skip};

/// The account that attacks.
const MALLORY: u32 = 58_091;
const ZOE: u32 = 58_092;

/// How many runs a race lasts.
fn rounds(short: usize) -> usize {
    if std::env::var_os("CCRETAIN_SLOW_TESTS").is_some() { 1_000 } else { short }
}

/// Somebody who exchanges two names as fast as it goes.
struct Exchange {
    done: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Exchange {
    fn of(pairs: Vec<(PathBuf, PathBuf)>) -> Self {
        let (done, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stop, counted) = (Arc::clone(&done), Arc::clone(&count));
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for (one, other) in &pairs {
                    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).expect("an exchange");
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { done, count, thread: Some(thread) }
    }

    /// Ends it; says how often it exchanged.
    fn end(&mut self) -> u64 {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

/// Says what was tried, and that it was a race.
fn told(test: &str, rounds: usize, exchanges: u64) {
    eprintln!("{test}: {rounds} runs, {exchanges} exchanges");
    assert!(exchanges > 1_000);
}

/// A folder of a user's, no store, in which any temp tree would find content; gives the file.
fn precious(folder: &Path) -> PathBuf {
    let file = folder.join("instances").join(id(77)).join("data");
    put(&file, "precious", days(60));
    file
}

/// A folder of Mallory's and a link of hers to somebody's folder, at two names in a shared folder.
fn trap(shared: &Path, name: &str, target: &Path) -> (PathBuf, PathBuf) {
    let (folder, link) = (shared.join(name), shared.join(format!("not-{name}")));
    fs::create_dir(&folder).unwrap();
    symlink(target, &link).unwrap();
    for path in [&folder, &link] {
        lchown(path, Some(MALLORY), Some(MALLORY)).unwrap();
    }
    (folder, link)
}

fn remembered(state: &Path) -> Vec<Value> {
    let text = fs::read_to_string(state.join("state.json")).unwrap_or_else(|_| "{}".to_owned());
    let state: Value = serde_json::from_str(&text).unwrap();
    state["roots"].as_array().cloned().unwrap_or_default()
}

#[test]
fn whoever_exchanges_a_temp_tree_for_a_link_gains_nothing() {
    let test = "whoever_exchanges_a_temp_tree_for_a_link_gains_nothing";
    if !is_root() {
        return skip("needs root, to be two accounts");
    }
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(hours(3)).write();
    let file = precious(&sandbox.home().join("precious"));
    sandbox.give_away();
    fs::set_permissions(sandbox.tmp(), fs::Permissions::from_mode(0o1777)).unwrap();
    lchown(sandbox.tmp(), Some(0), Some(0)).unwrap();
    let pair = trap(&sandbox.tmp(), &format!("claude-{NOBODY}"), &sandbox.home().join("precious"));
    let mut exchange = Exchange::of(vec![pair]);
    for round in 0..rounds(50) {
        let output = sandbox.command(["enforce", "--yes", "--json"]).unprivileged().run();
        output.exits(1).says("has taken the place");
        assert!(file.exists(), "gone in round {round}: {output}");
    }
    told(test, rounds(50), exchange.end());
    let kinds: Vec<Value> = remembered(&sandbox.state()).iter().map(|root| root["kind"].clone()).collect();
    assert_eq!(kinds, ["config"]);
}

#[test]
fn a_run_over_all_users_is_not_raced_into_a_home_either() {
    let test = "a_run_over_all_users_is_not_raced_into_a_home_either";
    let Some(mut machine) = machine() else { return };
    // Root is an account like any other, with a temp tree of its own.
    let root = StoreBuilder::new(machine.home("root").join(".claude"), machine.home("root").join("tmp"));
    root.session(1).aged(hours(3)).write();
    machine.person("zoe", ZOE);
    let shared = machine.sandbox.root().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    let (mut files, mut pairs) = (Vec::new(), Vec::new());
    for (name, uid) in [("root", 0), ("zoe", ZOE)] {
        let folder = machine.home(name).join("precious");
        files.push(precious(&folder));
        give(&machine.home(name), uid);
        pairs.push(trap(&shared, &format!("claude-{uid}"), &folder));
    }
    // The real `/tmp` is not to be raced for, and the sandbox lies in it.
    let before = r#"mount -t tmpfs tmpfs /mnt; mkdir /mnt/keep; mount --bind "$root" /mnt/keep
        mount --bind "$root/shared" /tmp; mkdir -p "$root"; mount --bind /mnt/keep "$root""#;
    fs::write(machine.sandbox.root().join("before"), before).unwrap();
    let mut exchange = Exchange::of(pairs);
    for round in 0..rounds(20) {
        let output = machine.alone(&["--all-users", "enforce", "--yes", "--json"]).run();
        output.exits(1).says("has taken the place");
        assert!(files.iter().all(|file| file.exists()), "gone in round {round}: {output}");
    }
    told(test, rounds(20), exchange.end());
}

#[test]
fn a_link_in_place_of_a_temp_tree_is_told_whoever_made_it() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(hours(3)).write();
    let file = precious(&sandbox.home().join("precious"));
    symlink(sandbox.home().join("precious"), sandbox.client_tmp()).unwrap();
    sandbox.enforce().exits(1).says("it is a link");
    assert!(file.exists());
    assert_eq!(remembered(&sandbox.state()).len(), 1);
    // Who means it may say so, and is told the same.
    let mut named = sandbox.command(["enforce", "--yes", "--store"]);
    named = named.arg(sandbox.client_tmp());
    named.run().exits(1).says("it is a link");
    assert!(file.exists());
    let exclude =
        format!(r#"{{"version": 1, "stores": {{"exclude": ["{}"]}}}}"#, sandbox.client_tmp().display());
    sandbox.policy(&exclude);
    sandbox.enforce().exits(0);
    fs::remove_file(sandbox.config().join("policy.json")).unwrap();
    if !is_root() {
        return skip("needs root");
    }
    lchown(sandbox.client_tmp(), Some(MALLORY), None).unwrap();
    sandbox.enforce().exits(1).says("has taken the place");
    assert!(file.exists());
}

#[test]
fn a_link_that_names_a_store_puts_no_other_into_scope() {
    if !is_root() {
        return skip("needs root");
    }
    let sandbox = Sandbox::new();
    let old = sandbox.store().session(1).aged(days(40)).write();
    symlink(sandbox.home().join(".claude"), sandbox.client_tmp()).unwrap();
    lchown(sandbox.client_tmp(), Some(MALLORY), None).unwrap();
    let output = sandbox.command(["enforce", "--yes", "--store"]).arg(sandbox.client_tmp()).run();
    output.exits(1);
    assert!(old.is_there(), "{output}");
}

#[test]
fn a_link_above_a_temp_tree_is_followed_where_root_made_it() {
    if !is_root() {
        return skip("needs root, to make it");
    }
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(hours(3)).write();
    let real = sandbox.home().join("scratch");
    let file = precious(&real.join(format!("claude-{NOBODY}")));
    let above = sandbox.root().join("linked");
    symlink(&real, &above).unwrap();
    sandbox.give_away();
    let run = || {
        let mut command = sandbox.command(["enforce", "--yes", "--json"]).unprivileged();
        for name in ["TMPDIR", "CLAUDE_CODE_TMPDIR"] {
            command = command.env(name, &above);
        }
        command.run()
    };
    lchown(&above, Some(MALLORY), None).unwrap();
    run().exits(1).says("is a link that root did not make").says("[ROOT]/linked");
    assert!(file.exists());
    lchown(&above, Some(0), None).unwrap();
    run().exits(0);
    assert!(!file.exists());
    let roots = remembered(&sandbox.state());
    let real = fs::canonicalize(&real).unwrap().join(format!("claude-{NOBODY}"));
    assert!(roots.iter().any(|root| root["path"] == real.to_str().unwrap()), "{roots:?}");
}

#[test]
fn heap_snapshots_are_not_sought_through_a_link() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(hours(3)).write();
    let real = sandbox.home().join("cloud/Desktop");
    let dump = real.join(format!("{}.heapsnapshot", id(7)));
    put(&dump, CONTENT, days(60));
    symlink(&real, sandbox.home().join("Desktop")).unwrap();
    sandbox.enforce().exits(1).says("[HOME]/Desktop").says("it is a link");
    assert!(dump.exists());
}

#[test]
fn a_root_that_was_never_a_temp_tree_is_forgotten() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(hours(3)).write();
    let folder = sandbox.home().join("precious");
    let file = precious(&folder);
    let time = "2026-01-01T00:00:00Z";
    let root = |path: &Path| json!({"path": path, "kind": "temp", "firstSeen": time, "lastSeen": time});
    let elsewhere = sandbox.home().join("elsewhere").join(sandbox.client_tmp().file_name().unwrap());
    fs::create_dir_all(&elsewhere).unwrap();
    let state = json!({"version": 1, "roots": [root(&folder), root(&elsewhere)]});
    fs::write(sandbox.state().join("state.json"), state.to_string()).unwrap();
    fs::set_permissions(sandbox.state().join("state.json"), fs::Permissions::from_mode(0o600)).unwrap();
    sandbox.dry_run().says("[HOME]/precious").says("no longer visited");
    sandbox.enforce().exits(0).says("no longer visited");
    assert!(file.exists());
    let paths: Vec<Value> = remembered(&sandbox.state()).iter().map(|root| root["path"].clone()).collect();
    assert!(!paths.contains(&json!(folder)) && paths.contains(&json!(elsewhere)), "{paths:?}");
    sandbox.enforce().exits(0).quietly();
}

#[test]
fn a_store_is_reached_through_a_link_of_its_owner_and_of_nobody_else() {
    if !is_root() {
        return skip("needs root, to give links away");
    }
    let sandbox = Sandbox::new();
    let real = StoreBuilder::new(sandbox.home().join("dotfiles/claude"), sandbox.client_tmp());
    let old = real.session(1).aged(days(40)).write();
    symlink("dotfiles/claude", sandbox.home().join("through")).unwrap();
    symlink("through", sandbox.home().join(".claude")).unwrap();
    lchown(sandbox.home().join("through"), Some(MALLORY), None).unwrap();
    sandbox.enforce().exits(1).says("belongs to user 58091");
    assert!(old.is_there());
    lchown(sandbox.home().join("through"), Some(0), None).unwrap();
    sandbox.enforce().exits(0);
    assert!(!old.is_there());
}

#[test]
fn a_store_whose_last_session_went_is_visited_as_long_as_anything_is_left() {
    let sandbox = Sandbox::new();
    sandbox.store().session(9).aged(hours(3)).write();
    let alt = StoreBuilder::new(sandbox.home().join("alt"), sandbox.client_tmp());
    let last = alt.session(1).aged(days(40)).write();
    // Of a session that has no transcript anywhere, and not due yet.
    let edited = alt.put(format!("file-history/{}/0123456789abcdef@v1", id(2)), CONTENT, days(20));
    let pasted = alt.put("paste-cache/0123456789abcdef.txt", CONTENT, days(20));
    let moved = |arguments: &[&str]| sandbox.command(arguments).env("CLAUDE_CONFIG_DIR", &alt.root);
    moved(&["enforce", "--yes"]).run().exits(0);
    assert!(!last.is_there() && edited.exists() && pasted.exists());
    sandbox.delete_after("10d");
    // A timer does not see the variable.
    sandbox.run(["enforce", "--yes"]).exits(0);
    assert!(!edited.exists() && !pasted.exists());
    let late = alt.put(format!("debug/{}.txt", id(3)), CONTENT, days(2));
    let output = moved(&["enforce", "--dry-run", "--json", "--store"]).arg(&alt.root).run();
    output.exits(0);
    moved(&["purge", "--yes"]).run().exits(0).says("complete");
    assert!(!late.exists());
}

#[test]
fn a_bind_mount_is_not_entered_where_the_kernel_has_no_call_for_that() {
    if !has_namespaces() || !has("strace") {
        return skip("needs root, mount namespaces and strace");
    }
    for calls in ["openat2:error=ENOSYS", "openat2:error=EPERM", "openat2,statx:error=ENOSYS"] {
        let sandbox = Sandbox::new();
        let session = sandbox.store().session(1).aged(days(40)).write();
        session.satellites();
        let outside = sandbox.home().join("outside");
        let file = outside.join("byvcankqz.txt");
        put(&file, CONTENT, days(40));
        let mounted = session.side().join("tool-results");
        let inject = format!("inject={calls}");
        let output = sandbox
            .command(["enforce", "--yes", "--json"])
            .through(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=openat2,statx", "-e", &inject])
            .among_mounts(r#"mount --bind "$1" "$2" && shift 2 && exec "$@""#, [&*outside, &*mounted])
            .run();
        assert!(file.exists(), "{calls}: {output}");
        assert!(!session.is_there(), "{calls}: {output}");
    }
}

/// The policy says that it is a store, whoever names it once more.
#[test]
fn a_folder_of_the_policy_is_a_store_where_the_command_line_names_it_too() {
    let sandbox = Sandbox::new();
    let folder = sandbox.home().join("elsewhere");
    put(&folder.join("notes.txt"), "x", days(40));
    let named = ["enforce", "--yes", "--store", folder.to_str().unwrap()];
    sandbox.run(named).exits(1).says("name it in `stores.extra`");
    sandbox.policy(&format!(
        r#"{{"version": 1, "stores": {{"extra": ["{}"]}}, "rules": [{{"name": "all", "deleteAfter": "30d"}}]}}"#,
        folder.display()
    ));
    sandbox.store().session(1).aged(days(1)).write();
    sandbox.run(named).exits(0).never_says("stores.extra");
    sandbox.run(["status", "--json"]).exits(0).says("elsewhere");
}

#[test]
fn what_lies_in_or_around_an_excluded_folder_stays() {
    let excludes =
        ["~", "~/.claude", "~/.claude/projects", "~/.claude/projects/-work-acme", "~/.claude/history.jsonl"];
    for exclude in excludes {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        let session = store.session(1).cwd("/work/acme").aged(days(40)).write();
        store.history(Some(session.id()), "/work/acme", days(40));
        let exclude = exclude.replace('~', sandbox.home().to_str().unwrap());
        let policy = |exclude: &str| {
            sandbox.policy(&format!(
                r#"{{"version": 1, "rules": [{{"name": "d", "deleteAfter": "5d"}}], "stores": {{"exclude": ["{exclude}"]}}}}"#
            ));
        };
        policy(&exclude);
        sandbox.run(["enforce", "--yes"]).exits(0);
        assert!(session.is_there(), "{exclude}");
        assert_eq!(store.history_lines().len(), 1, "{exclude}");
        // What is not there is no part of anything.
        policy(&format!("{}/.claude/nothing", sandbox.home().display()));
        sandbox.run(["enforce", "--yes"]).exits(0);
        assert!(!session.is_there(), "{exclude}");
        policy("~/.claude/**");
        sandbox.run(["enforce", "--yes"]).exits(2).says("is a pattern");
    }
}

/// It may be meant for other machines, so that it is no error; a name with a typo must not be silence either.
#[test]
fn a_folder_that_is_left_out_and_is_none_is_named() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(1)).write();
    let other = sandbox.home().join("other");
    StoreBuilder::new(other.clone(), sandbox.client_tmp()).session(2).aged(days(1)).write();
    let policy = |excluded: &Path| {
        let policy = json!({"version": 1, "rules": [{"name": "all", "deleteAfter": "30d"}],
            "stores": {"extra": [other], "exclude": [excluded]}});
        sandbox.policy(&policy.to_string());
    };
    for (excluded, is_none) in [
        (sandbox.home().join(".claud"), true),
        (sandbox.home().join(".claude/projects/-work-acme"), false),
        (sandbox.home().join(".claude/projects/-work-gone"), true),
        (other.clone(), false),
        (sandbox.home().join("./.claude/"), false),
    ] {
        policy(&excluded);
        let status = sandbox.run(["status"]);
        status.exits(0);
        assert_eq!(status.stdout.contains("`stores.exclude` names"), is_none, "{excluded:?} {status}");
        let named = sandbox.run(["status", "--json"]).exits(0).json()["excludesNothing"].clone();
        assert_eq!(named.as_array().map_or(0, Vec::len), usize::from(is_none), "{excluded:?} {named}");
        let check = sandbox.run(["policy", "check"]);
        check.exits(0);
        assert_eq!(check.stdout.contains("stores.exclude names"), is_none, "{excluded:?} {check}");
    }
}
