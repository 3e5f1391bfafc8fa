//! What cannot be read or written for a while: nothing is lost by it, what is left says so, and the next run brings the rest.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chrono::Duration;
use serde_json::json;

use crate::common::sandbox::{NOBODY, has_namespaces, is_root};
use crate::common::store::{Session, StoreBuilder, age, put};
use crate::common::{Output, Sandbox, days, hours, id, skip};
use crate::seal::{identity, seals};
use crate::seal_flushes::can_watch;

/// Runs the program as an account that permissions bind, while one path has a mode.
pub fn with_mode(sandbox: &Sandbox, path: &Path, mode: u32, arguments: &[&str]) -> Output {
    sandbox.give_away();
    let before = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let output = sandbox.command(arguments).unprivileged().run();
    fs::set_permissions(path, before).unwrap();
    output
}

/// A sandbox that seals where that is asked for.
pub fn with_recipient() -> Sandbox {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    sandbox.policy(&format!(r#"{{"version": 1, "recipients": ["{recipient}"]}}"#));
    sandbox
}

/// Runs the program while one call of a kind fails: that of this number; see `can_watch`.
fn failing(sandbox: &Sandbox, call: &str, number: u32, arguments: &[&str]) -> Output {
    let (trace, fault) = (format!("trace={call}"), format!("inject={call}:error=EIO:when={number}"));
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &fault];
    sandbox.command(arguments).through(strace).run()
}

/// A session that was idle for long, with everything that belongs to one.
fn old(sandbox: &Sandbox, number: u32, old: Duration) -> Session {
    let session = sandbox.store().session(number).aged(old).write();
    session.satellites();
    session
}

#[test]
fn a_pid_file_that_cannot_be_read_may_be_of_any_session() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    let session = old(&sandbox, 1, days(40));
    sandbox.store().session(2).aged(days(1)).write();
    // Its prompts are old, and it is not: what Claude Code goes back through stays with it.
    let open = sandbox.store().session(3).aged(hours(3)).write();
    sandbox.store().history(Some(open.id()), "/work/acme", days(50));
    let pid_file = sandbox.store().pid_file(std::process::id(), session.id(), json!({}));
    let output = with_mode(&sandbox, &pid_file, 0o000, &["enforce", "--yes"]);
    assert!(session.is_there(), "a client that runs has it open: {output}");
    let prompts = || sandbox.store().history_lines().iter().filter(|line| line.contains(open.id())).count();
    assert_eq!(prompts(), 1, "it may be open: {output}");
    output.exits(1).says(".json").says("Permission denied");
    fs::remove_file(&pid_file).unwrap();
    sandbox.command(["enforce", "--yes"]).unprivileged().run().exits(0).quietly();
    assert!(!session.is_there());
    assert_eq!(prompts(), 0);
}

#[test]
fn every_look_knows_that_a_session_may_be_open() {
    for unread_folder in [false, true] {
        let sandbox = Sandbox::new();
        sandbox.delete_after("30d");
        let session = old(&sandbox, 1, days(40));
        sandbox.store().session(2).aged(days(1)).write();
        let pid_file = sandbox.store().pid_file(std::process::id(), session.id(), json!({}));
        let path = if unread_folder { pid_file.parent().unwrap() } else { &pid_file };
        with_mode(&sandbox, path, 0o000, &["enforce", "--dry-run"]).exits(1).shows("2 active");
        with_mode(&sandbox, path, 0o000, &["explain", session.id()]).says("it may be open in Claude Code");
        let purge = with_mode(&sandbox, path, 0o000, &["purge", "--yes"]);
        purge.exits(4).says("Claude Code may be running").says("--even-live").says("Permission denied");
        assert!(session.is_there());
        with_mode(&sandbox, path, 0o000, &["purge", "--yes", "--even-live"]).exits(1);
        assert!(!session.is_there());
    }
}

#[test]
fn who_asks_for_a_session_is_told_why_it_may_be_open() {
    for unread_folder in [false, true] {
        let sandbox = with_recipient();
        let (session, sealed) = (old(&sandbox, 1, days(5)), old(&sandbox, 3, days(5)));
        let open = sandbox.store().session(2).aged(days(1)).write();
        let pid_file = sandbox.store().pid_file(std::process::id(), open.id(), json!({}));
        let path = if unread_folder { pid_file.parent().unwrap() } else { &pid_file };
        let refused = |arguments: &[&str]| {
            let output = with_mode(&sandbox, path, 0o000, arguments);
            output.exits(4).says("Claude Code").says("/sessions").says("Permission denied");
            assert!(output.stderr.contains("Claude Code may have"), "{output}");
        };
        let done = |arguments: &[&str]| {
            sandbox.command(arguments).unprivileged().run().exits(0);
        };
        refused(&["seal", session.id()]);
        done(&["seal", sealed.id()]);
        let add = ["hold", "add", "--session", session.id(), "--reason", "r", "--name", "kept", "--preserve"];
        done(&add);
        fs::remove_file(&session.transcript).unwrap();
        refused(&["hold", "restore", "kept"]);
        assert!(!session.is_there());
        done(&["hold", "restore", "kept"]);
        refused(&["unseal", sealed.id()]);
        assert!(!sealed.is_there());
        done(&["unseal", sealed.id()]);
        assert!(sealed.is_there());
    }
}

#[test]
fn a_pid_file_that_cannot_be_read_is_stale_like_one_that_can() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    let (session, touched) = (old(&sandbox, 1, days(40)), old(&sandbox, 2, days(40)));
    // Of no process that runs, and last written long ago.
    let pid_file = sandbox.store().pid_file(4_194_304, session.id(), json!({}));
    age(&touched.transcript, days(2));
    with_mode(&sandbox, &pid_file, 0o000, &["enforce", "--yes"]).exits(1);
    assert!(!session.is_there(), "nothing of it changed for a week");
    assert!(touched.is_there(), "it may be open elsewhere");
    assert!(pid_file.exists());
}

#[test]
fn of_pid_files_that_cannot_be_read_every_one_counts() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    let session = old(&sandbox, 1, days(40));
    let running = sandbox.store().pid_file(std::process::id(), session.id(), json!({}));
    age(&running, days(40));
    // Of no processes that run, and without a date: they count where nothing tells when a session was touched.
    for pid in 4_000_000_000..4_000_000_009 {
        let other = sandbox.store().pid_file(pid, session.id(), json!({}));
        fs::File::open(&other).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o000)).unwrap();
    }
    with_mode(&sandbox, &running, 0o000, &["enforce", "-n"]).exits(1).shows("1 active");
    with_mode(&sandbox, &running, 0o000, &["enforce", "--yes"]).exits(1);
    assert!(session.is_there(), "a client that runs may have it open");
}

#[test]
fn the_record_of_sealed_files_stays_with_those_that_cannot_be_seen() {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    let session = old(&sandbox, 1, days(40));
    sandbox.store().session(2).aged(days(1)).write();
    sandbox.policy(&format!(r#"{{"version": 1, "recipients": ["{recipient}"]}}"#));
    sandbox.run(["seal", session.id()]).exits(0);
    seals(&sandbox, &recipient, "");
    let sealed = sandbox.home().join(".claude/ccretain/sealed").join(session.id());
    let output = with_mode(&sandbox, &sealed.join("debug"), 0o000, &["enforce", "--yes"]);
    output.exits(1).says("debug");
    assert!(sealed.join("session.json").exists(), "nobody knows what is left: {output}");
    sandbox.command(["enforce", "--yes"]).unprivileged().run().exits(0).quietly();
    assert!(!sealed.exists());
}

#[test]
fn a_preservation_copy_that_is_not_whole_is_said_to_be_none() {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    sandbox.policy(&format!(r#"{{"version": 1, "recipients": ["{recipient}"]}}"#));
    let session = old(&sandbox, 1, days(5));
    let add =
        ["hold", "add", "--session", session.id(), "--reason", "a case", "--name", "kept", "--preserve"];
    let output = with_mode(&sandbox, &session.side().join("tool-results"), 0o000, &add);
    output.exits(1).says("/tool-results' has no copy").says("ccretain hold add --preserve");
    // As it is advised: the copies that are there stay, and those of another hold are whole.
    let mut another = add;
    another[7] = "whole";
    let output = sandbox.command(another).unprivileged().run();
    output.exits(0).quietly();
    // Its folder in the temp tree is a part of it.
    another[7] = "temp";
    let tree = session.temp().ancestors().nth(2).unwrap().to_owned();
    let of_nobody = tree.with_file_name(format!("claude-{NOBODY}"));
    if is_root() {
        fs::rename(&tree, &of_nobody).unwrap();
    }
    let tree = if is_root() { of_nobody } else { tree };
    let tasks = tree.join(&session.folder).join(session.id()).join("tasks");
    with_mode(&sandbox, &tasks, 0o000, &another).exits(1).says("/tasks' has no copy");
    // What cannot be read in a store of which it holds nothing is not its own.
    let elsewhere = StoreBuilder::new(sandbox.home().join("elsewhere"), sandbox.client_tmp());
    let other = elsewhere.session(5).aged(days(3)).write();
    other.side_file("tool-results/b1.txt", "x");
    sandbox.policy(&format!(
        r#"{{"version": 1, "recipients": ["{recipient}"], "stores": {{"extra": ["~/elsewhere"]}}}}"#
    ));
    another[7] = "third";
    with_mode(&sandbox, &other.side().join("tool-results"), 0o000, &another)
        .exits(0)
        .never_says("has no copy");
    sandbox.command(["hold", "release", "kept", "--reason", "again"]).unprivileged().run().exits(0);
    sandbox.command(add).unprivileged().run().exits(0).quietly();
}

#[test]
fn a_command_that_finds_no_session_says_what_it_could_not_read() {
    let sandbox = with_recipient();
    let session = sandbox.store().session(1).aged(days(5)).write();
    session.side_file("tool-results/b1.txt", "x");
    sandbox.run(["seal", session.id()]).exits(0);
    let sealed = sandbox.home().join(".claude/ccretain/sealed");
    for command in ["unseal", "cat"] {
        let output = with_mode(&sandbox, &sealed, 0o000, &[command, session.id()]);
        output.exits(1).says("Permission denied").says("ccretain/sealed'");
    }
    let session = sandbox.store().session(2).aged(days(5)).write();
    session.side_file("tool-results/b1.txt", "x");
    let output = with_mode(&sandbox, &session.side(), 0o000, &["seal", session.id()]);
    output.exits(4).says("Permission denied").says(session.id());
    assert!(session.is_there());
}

#[test]
fn a_ledger_that_cannot_be_written_is_named() {
    if !can_watch() {
        return;
    }
    let mut refused = 0;
    for number in 1..=4 {
        let sandbox = with_recipient();
        let session = old(&sandbox, 1, days(5));
        let output = failing(&sandbox, "fdatasync", number, &["seal", session.id()]);
        if output.code != Some(0) {
            refused += 1;
            output.says("Input/output error").says("ledger.jsonl");
        }
        sandbox.run(["ledger", "verify"]).exits(0);
    }
    assert!(refused >= 3, "only {refused} runs were refused");
}

/// Else the next run seals at once what its user has just asked for.
#[test]
fn a_session_that_is_back_counts_as_touched_though_its_sealed_form_could_not_be_removed() {
    if !can_watch() {
        return;
    }
    let mut failed = 0;
    for number in 1..=8 {
        let sandbox = Sandbox::new();
        let recipient = identity(&sandbox);
        seals(&sandbox, &recipient, "");
        let session = sandbox.store().session(1).aged(days(5)).write();
        sandbox.enforce().exits(0);
        let output = failing(&sandbox, "unlinkat", number, &["unseal", session.id()]);
        let again = sandbox.run(["unseal", session.id()]);
        assert!(again.code == Some(0) || again.stderr.contains("is not sealed"), "{number}: {again}");
        let run = sandbox.enforce();
        assert!(session.is_there(), "{number}: sealed again: {output}{again}{run}");
        failed += u32::from(output.code == Some(1));
    }
    assert!(failed > 0, "no removal of a sealed file failed");
}

/// Exit 4 says that the stores are as they were.
#[test]
fn no_command_refuses_once_it_has_changed_something() {
    if !can_watch() {
        return;
    }
    let mut failed = 0;
    for number in 1..=6 {
        let sandbox = with_recipient();
        let session = sandbox.store().session(1).aged(days(5)).write();
        sandbox.run(["seal", session.id()]).exits(0);
        let output = failing(&sandbox, "fdatasync", number, &["unseal", session.id()]);
        assert!(output.code != Some(4) || !session.is_there(), "{number}: {output}");
        failed += u32::from(output.code == Some(1));
    }
    assert!(failed > 0, "no outcome failed to be recorded");
    let mut failed = 0;
    for number in 1..=12 {
        let sandbox = with_recipient();
        for session in 1..=2 {
            old(&sandbox, session, days(5));
        }
        let add = ["hold", "add", "--project", "/work/**", "--reason", "a case", "--preserve"];
        let output = failing(&sandbox, "fdatasync", number, &add);
        let is_placed = sandbox.config().join("holds.json").exists();
        assert!(output.code != Some(4) || !is_placed, "{number}: {output}");
        failed += u32::from(output.code == Some(1));
    }
    assert!(failed > 0, "no step after the first failed to be recorded");
    let mut failed = 0;
    for number in 1..=6 {
        let sandbox = with_recipient();
        let session = sandbox.store().session(1).aged(days(5)).write();
        sandbox.run(["seal", session.id()]).exits(0);
        let record = crate::seal::sealed(&sandbox, &session).join("session.json");
        let content = fs::read(&record).unwrap();
        sandbox.run(["unseal", "--touch", session.id()]).exits(0);
        // As a run leaves it that is killed before the last step of unsealing.
        fs::create_dir_all(record.parent().unwrap()).unwrap();
        fs::write(&record, content).unwrap();
        let output = failing(&sandbox, "fdatasync", number, &["unseal", session.id()]);
        assert!(output.code != Some(4) || record.exists(), "{number}: {output}");
        failed += u32::from(output.code == Some(1));
    }
    assert!(failed > 0, "no outcome of settling failed to be recorded");
    let mut failed = 0;
    for number in 1..=12 {
        let sandbox = Sandbox::new();
        let session = old(&sandbox, 1, days(5));
        sandbox.enforce().exits(0);
        let state = sandbox.state().join("state.json");
        let fault = format!("inject=openat:error=EIO:when={number}");
        let mut strace = vec!["strace", "-f", "-qq", "-o", "/dev/null", "-P", state.to_str().unwrap()];
        strace.extend(["-e", "trace=openat", "-e", &fault]);
        let output = sandbox.command(["purge", "--yes", "--session", session.id()]).through(strace).run();
        assert!(output.code != Some(4) || session.is_there(), "{number}: {output}");
        failed += u32::from(output.code == Some(1));
    }
    assert!(failed > 0, "the second look never failed");
}

/// What a purge could not see when it looked again, it does not call removed.
#[test]
fn a_second_look_that_fails_makes_a_purge_incomplete() {
    if !can_watch() {
        return;
    }
    let mut again = 0;
    for number in 1..=14 {
        let sandbox = Sandbox::new();
        let session = old(&sandbox, 1, days(5));
        let (root, log) = (sandbox.home().join(".claude"), sandbox.root().join("calls"));
        let fault = format!("inject=getdents64:error=EIO:when={number}");
        // On one processor, since each thread has a count of its own.
        let mut strace = vec!["taskset", "-c", "0", "strace", "-f", "-qq", "-o", log.to_str().unwrap()];
        strace.extend(["-P", root.to_str().unwrap(), "-e", "trace=getdents64", "-e", &fault]);
        let output = sandbox.command(["purge", "--yes", "--json"]).through(strace).run();
        // Where it is the search for stores that fails, nothing was changed by then, or the store is known anyway.
        if !session.is_there() && output.code != Some(0) && !output.stderr.contains("look for stores") {
            again += 1;
            assert_eq!(output.exits(1).json()["verdict"], "incomplete", "{number}: {output}");
            output.says("Input/output error").says("'[HOME]/.claude");
        }
    }
    assert!(again > 0, "no second look failed");
}

#[test]
fn what_both_looks_of_a_purge_meet_is_told_once() {
    let sandbox = Sandbox::new();
    let session = old(&sandbox, 1, days(5));
    sandbox.enforce().exits(0);
    fs::write(sandbox.state().join("sessions.json"), "{").unwrap();
    let output = sandbox.run(["purge", "--yes", "--session", session.id(), "--json"]);
    let exceptions = output.exits(1).json()["exceptions"].to_string();
    assert_eq!(exceptions.matches("sessions.json").count(), 1, "{output}");
}

/// Those that were done are told and counted, also where the ledger takes no more.
#[test]
fn sessions_that_were_done_before_one_that_none_may_follow_are_told() {
    if !can_watch() {
        return;
    }
    let mut stopped = 0;
    for number in 1..=10 {
        let sandbox = with_recipient();
        let sessions = [1, 2].map(|number| sandbox.store().session(number).aged(days(5)).write());
        let ids = sessions.each_ref().map(|session| session.id());
        sandbox.run(["seal", ids[0], ids[1]]).exits(0);
        let output = failing(&sandbox, "fdatasync", number, &["unseal", "--json", ids[0], ids[1]]);
        if sessions[0].is_there() && !sessions[1].is_there() {
            output.exits(1).says("ledger.jsonl");
            // Where its own outcome is the first that is not recorded, that alone is told.
            let items = output.json()["sessions"].clone();
            if items == json!([]) {
                continue;
            }
            stopped += 1;
            assert_eq!(items.as_array().unwrap().len(), 1, "{number}: {output}");
            assert_eq!(items[0]["session"], ids[0]);
        }
        assert!(output.code != Some(4) || !sessions[0].is_there(), "{number}: {output}");
    }
    assert!(stopped > 0, "none was done before the ledger took no more");
}

/// What was decided stands, and is recorded, whether or not anybody can be told.
#[test]
fn a_hold_is_placed_and_recorded_though_nothing_can_be_printed() {
    if !has_namespaces() {
        return skip("needs mount namespaces");
    }
    let full = r#"set -e; out=$1; shift
        mkdir "$out"; mount -t tmpfs -o size=8k tmpfs "$out"
        dd if=/dev/zero of="$out/filler" bs=1k >/dev/null 2>&1 || true
        exec "$@" >"$out/printed""#;
    let closed = r#"shift; exec bash -c '"$@" | true; exit ${PIPESTATUS[0]}' bash "$@""#;
    for (script, code) in [(full, 1), (closed, 0)] {
        let sandbox = with_recipient();
        let session = sandbox.store().session(1).aged(days(5)).write();
        let add = ["hold", "add", "--session", session.id(), "--reason", "x", "--name", "case", "--preserve"];
        let out = sandbox.root().join("out");
        let output = sandbox.command(add).among_mounts(script, [out.as_path()]).run();
        output.exits(code);
        assert!(code == 0 || output.stderr.contains("No space left"), "{output}");
        sandbox.run(["hold", "list"]).exits(0).shows("case");
        assert!(sandbox.home().join(".claude/ccretain/held/case").join(session.id()).is_dir());
        let ledger = fs::read_to_string(sandbox.state().join("ledger.jsonl")).unwrap();
        assert!(ledger.lines().last().unwrap().contains("summary"), "{ledger}");
        sandbox.run(["ledger", "verify"]).exits(0);
    }
}

#[test]
fn what_a_fix_could_not_see_it_names() {
    let sandbox = Sandbox::new();
    let session = old(&sandbox, 1, days(5));
    fs::set_permissions(sandbox.home().join(".claude"), fs::Permissions::from_mode(0o755)).unwrap();
    let side = session.side().join("tool-results");
    let output = with_mode(&sandbox, &side, 0o000, &["check", "--fix", "--json"]);
    assert!(output.json()["fixed"]["left"].to_string().contains("tool-results"), "{output}");
}

#[test]
fn a_purge_says_that_it_could_not_lock_the_store() {
    let sandbox = Sandbox::new();
    let session = old(&sandbox, 1, days(5));
    sandbox.enforce().exits(0);
    let lock = sandbox.home().join(".claude/ccretain/lock");
    let output = with_mode(&sandbox, &lock, 0o000, &["purge", "--yes", "--session", session.id()]);
    output.exits(4).says("Permission denied").says("'[HOME]/.claude'");
    assert!(session.is_there());
}

/// Every unfinished file of an unsealing, wherever any name is content.
fn unfinished(sandbox: &Sandbox) -> Vec<PathBuf> {
    let folders = [sandbox.home().join(".claude"), sandbox.tmp()];
    let entries = folders.iter().flat_map(|folder| walkdir::WalkDir::new(folder).into_iter().flatten());
    let paths = entries.map(walkdir::DirEntry::into_path);
    paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(".ccretain-")).collect()
}

#[test]
fn what_an_interrupted_unsealing_left_goes_and_what_looks_like_it_stays() {
    if !can_watch() {
        return;
    }
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, "");
    let session = sandbox.store().session(1).aged(days(5)).write();
    let files = session.satellites();
    sandbox.store().session(2).aged(days(1)).write();
    sandbox.enforce().exits(0);
    assert!(!session.is_there());
    // It dies when the first file gets its name, so all are there under another.
    let kill = ["strace", "-f", "-qq", "-o"].map(String::from).into_iter();
    let log = sandbox.root().join("calls").display().to_string();
    let kill = kill.chain([log, "-e".into(), "inject=renameat2:signal=KILL:when=1".into()]);
    sandbox.command(["unseal", session.id()]).through(kill).run();
    assert!(unfinished(&sandbox).len() > 3, "{:?}", unfinished(&sandbox));
    // Anybody may give such a name.
    let history = sandbox.store().path(format!("file-history/{}", session.id()));
    let own = [session.temp().join("tasks/.b1.output.part"), history.join(".0123abcd@v1.part")];
    for path in &own {
        put(path, "the user's", hours(2));
    }
    sandbox.enforce().exits(0);
    assert_eq!(unfinished(&sandbox), Vec::<PathBuf>::new(), "plaintext was left");
    sandbox.run(["unseal", session.id(), "--keep-date"]).exits(0);
    assert!(session.is_there() && files.iter().all(|path| path.exists()));
    for path in &own {
        assert_eq!(fs::read_to_string(path).unwrap(), "the user's");
    }
}

/// Any name is content in the folders of a session, that of an unfinished file as well.
#[test]
fn files_that_are_called_like_unfinished_ones_stay_and_come_back() {
    let (whole, part) = ("tool-results/a", "tool-results/.a.part");
    let world = || {
        let sandbox = with_recipient();
        let session = old(&sandbox, 1, days(5));
        sandbox.store().session(2).aged(days(1)).write();
        session.side_file(whole, "whole");
        (sandbox, session)
    };
    let there = |session: &Session| {
        let read = |name| fs::read_to_string(session.side().join(name)).unwrap_or_default();
        (read(whole), read(part))
    };
    let both = || ("whole".to_owned(), "the user's".to_owned());
    // Sealed together they come back together.
    let (sandbox, session) = world();
    session.side_file(part, "the user's");
    sandbox.run(["seal", session.id()]).exits(0);
    assert_eq!(there(&session), Default::default());
    sandbox.run(["unseal", session.id(), "--keep-date"]).exits(0);
    assert_eq!(there(&session), both());
    // Beside a sealed one it stays, whether that one comes back or nothing happens.
    let (sandbox, session) = world();
    sandbox.run(["seal", session.id()]).exits(0);
    session.side_file(part, "the user's");
    sandbox.enforce().exits(0);
    assert_eq!(there(&session).1, "the user's");
    sandbox.run(["unseal", session.id(), "--keep-date"]).exits(0);
    assert_eq!(there(&session), both());
    // A preservation copy puts back what is gone and nothing else.
    let (sandbox, session) = world();
    let hold =
        ["hold", "add", "--session", session.id(), "--reason", "a case", "--name", "kept", "--preserve"];
    sandbox.run(hold).exits(0);
    fs::remove_file(session.side().join(whole)).unwrap();
    session.side_file(part, "the user's");
    sandbox.run(["hold", "restore", "kept", "--keep-date"]).exits(0);
    assert_eq!(there(&session), both());
}

/// A run removes the folders that it emptied at its end, so one that was killed leaves some.
#[test]
fn empty_folders_of_sessions_that_are_gone_go() {
    let sandbox = Sandbox::new();
    sandbox.policy(&format!(
        r#"{{"version": 1, "holds": [{{"name": "case", "sessions": ["{}"], "reason": "a case"}}]}}"#,
        id(3)
    ));
    let store = sandbox.store();
    let young = store.session(4).aged(days(1)).write();
    let own = |number: u32| {
        let temp = store.tmp.join("-work-acme").join(id(number));
        [
            store.path(format!("projects/-work-acme/{}", id(number))),
            store.path(format!("file-history/{}", id(number))),
            temp,
        ]
    };
    for (number, old) in [(1, hours(2)), (2, hours(0)), (3, hours(2)), (4, hours(2))] {
        for folder in own(number) {
            let below = folder.join(if folder.starts_with(&store.tmp) { "tasks" } else { "tool-results" });
            if !folder.starts_with(store.path("file-history")) {
                fs::create_dir_all(&below).unwrap();
                age(&below, old);
            }
            fs::create_dir_all(&folder).unwrap();
            age(&folder, old);
        }
    }
    sandbox.enforce().exits(0).quietly();
    assert_eq!(own(1).map(|folder| folder.exists()), [false; 3], "what nobody needs any more");
    assert_eq!(own(2).map(|folder| folder.exists()), [true; 3], "a client may have just made them");
    assert_eq!(own(3).map(|folder| folder.exists()), [true; 3], "nothing that is held is changed");
    assert_eq!(own(4).map(|folder| folder.exists()), [true; 3], "their session is there");
    assert!(young.is_there());
}

/// Of a process that was killed while it wrote a file of ours.
#[test]
fn drafts_that_were_forgotten_go_with_the_next_one() {
    let sandbox = Sandbox::new();
    let draft = |name: &str, old: Duration| {
        let path = sandbox.config().join(name);
        fs::write(&path, "AGE-SECRET-KEY").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        age(&path, old);
        path
    };
    let (forgotten, fresh) =
        (draft(".ccretain-a1b2c3d4e5f6", hours(2)), draft(".ccretain-d4e5f6a1b2c3", hours(0)));
    // Nobody but the user knows these.
    let others = [".ccretain-backup", ".ccretain-a1b2c3d4e5f6.json", ".ccretain-my-own-notes"];
    let others = others.map(|name| draft(name, hours(2)));
    let other = draft("notes", days(9));
    // Of such a name, and not as we make one.
    let (readable, linked) =
        (draft(".ccretain-b1b2c3d4e5f6", hours(2)), draft(".ccretain-c1b2c3d4e5f6", hours(2)));
    fs::set_permissions(&readable, fs::Permissions::from_mode(0o644)).unwrap();
    fs::hard_link(&linked, sandbox.root().join("twin")).unwrap();
    sandbox.run(["key", "new"]).exits(0).quietly();
    assert!(!forgotten.exists() && readable.exists() && linked.exists());
    for other in others {
        assert!(other.exists(), "{other:?}");
    }
    // Beside a file that somebody named, one may wait as long as its command asks and works.
    let waiting = sandbox.home().join(".ccretain-a1b2c3d4e5f6");
    fs::write(&waiting, "").unwrap();
    age(&waiting, days(1));
    sandbox.command(["report", "--html"]).arg(sandbox.home().join("page.html")).run();
    assert!(sandbox.home().join("page.html").exists() && waiting.exists());
    assert!(fresh.exists() && other.exists(), "another process may be writing it");
}

/// What was done and could not be recorded is told all the same.
#[test]
fn a_session_of_which_only_the_record_is_missing_is_in_the_document() {
    if !can_watch() {
        return;
    }
    let (mut unsealed, mut rekeyed) = (0, 0);
    for number in 1..=12 {
        let sandbox = with_recipient();
        let [one, two] = [1, 2].map(|number| sandbox.store().session(number).aged(days(9)).write());
        sandbox.run(["seal", one.id(), two.id()]).exits(0);
        let files = |session: &Session| {
            let files = crate::seal::sealed_files(&sandbox, session);
            files.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>()
        };
        let before = [files(&one), files(&two)];
        let output = failing(&sandbox, "fdatasync", number, &["rekey", "--all", "--json"]);
        for (session, before) in [&one, &two].into_iter().zip(before) {
            if files(session) != before {
                rekeyed += u32::from(output.code == Some(1));
                assert!(output.json()["sessions"].to_string().contains(session.id()), "{number}: {output}");
            }
        }
        let words = ["unseal", one.id(), two.id(), "--touch", "--json"];
        let output = failing(&sandbox, "fdatasync", number, &words);
        for session in [&one, &two].into_iter().filter(|session| session.is_there()) {
            let item = output.json()["sessions"]
                .as_array()
                .unwrap()
                .iter()
                .find(|item| item["session"] == session.id())
                .cloned();
            let item = item.unwrap_or_else(|| panic!("{number}: {output}"));
            unsealed += u32::from(!item["error"].is_null());
        }
    }
    assert!(unsealed > 0 && rekeyed > 0, "{unsealed} {rekeyed}");
}
