//! `hold restore`: what Claude Code's own cleanup took of a held session comes back from its preservation
//! copy, bit for bit, over nothing, and the hold and the copy stay.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::common::sandbox::has;
use crate::common::store::Session;
use crate::common::{Sandbox, Tree, days, hours, id, skip};
use crate::seal_flushes::can_watch;

/// A sandbox whose policy keeps for 90 days and has a recipient.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.sealing(r#""rules": [{"name": "w", "deleteAfter": "90d"}]"#);
    sandbox
}

fn written(sandbox: &Sandbox, number: u32, age: chrono::Duration) -> Session {
    let session = sandbox.store().session(number).cwd("/work/acme").aged(age).write();
    session.satellites();
    session
}

fn preserve(sandbox: &Sandbox, what: &[&str], name: &str) {
    let add = ["hold", "add", "--reason", "x", "--preserve", "--name", name];
    sandbox.run(add.iter().chain(what)).exits(0).quietly();
}

/// Every file but our own, with its mode and date.
fn plain(sandbox: &Sandbox) -> (Tree, Tree) {
    let strip = |tree: Tree| {
        let mut tree = tree.without(".claude/ccretain");
        tree.0.retain(|_, what| !what.starts_with("folder"));
        tree
    };
    (strip(Tree::with_times(&sandbox.home())), strip(Tree::with_times(&sandbox.tmp())))
}

#[track_caller]
fn same(before: &(Tree, Tree), sandbox: &Sandbox) {
    let after = plain(sandbox);
    before.0.is_unchanged(&after.0);
    before.1.is_unchanged(&after.1);
}

/// Takes a session as Claude Code's own cleanup does: the transcript, its folder, its temp folder.
fn sweep(sandbox: &Sandbox, session: &Session) {
    fs::remove_file(&session.transcript).unwrap();
    for folder in [session.side(), session.temp()] {
        fs::remove_dir_all(folder).unwrap();
    }
    for kind in ["file-history", "tasks", "session-env", "image-cache", "uploads"] {
        fs::remove_dir_all(sandbox.store().path(kind).join(session.id())).unwrap();
    }
    fs::remove_file(sandbox.store().path(format!("debug/{}.txt", session.id()))).unwrap();
    fs::remove_file(sandbox.store().path(format!("todos/{0}-agent-{0}.json", session.id()))).unwrap();
}

#[test]
fn a_session_that_was_swept_comes_back_bit_for_bit_and_stays_held() {
    let sandbox = sandbox();
    let session = written(&sandbox, 1, days(20));
    fs::set_permissions(session.side().join("tool-results/byvcankqz.txt"), fs::Permissions::from_mode(0o640))
        .unwrap();
    let has_acl = has("setfacl")
        && std::process::Command::new("setfacl")
            .args(["-m", "u:65534:r"])
            .arg(&session.transcript)
            .status()
            .is_ok_and(|status| status.success());
    // Claude Code links the output of an agent to its transcript.
    let link = session.temp().join("tasks/a1.output");
    symlink(session.side().join("subagents/agent-a620f2408346b1f5b.jsonl"), &link).unwrap();
    preserve(&sandbox, &["--project", "/work/acme"], "case");
    let before = plain(&sandbox);
    let copies = Tree::of(&sandbox.store().path("ccretain/held"));
    sweep(&sandbox, &session);
    let restored = sandbox.run(["hold", "restore", "case", "--json"]);
    restored.exits(0).quietly();
    let json = restored.json();
    assert_eq!(json["schema"], "ccretain.hold-restore/1");
    let item = &json["sessions"][0];
    assert_eq!((&item["session"], &item["outcome"]), (&session.id().into(), &"restored".into()));
    assert_eq!(item["holds"], serde_json::json!(["case"]));
    assert_eq!(item["files"], 14);
    same(&before, &sandbox);
    if has_acl {
        let acl = std::process::Command::new("getfacl").arg("-p").arg(&session.transcript).output().unwrap();
        let acl = String::from_utf8_lossy(&acl.stdout).into_owned();
        assert!(acl.contains("65534:r") || acl.contains("nobody:r"), "{acl}");
    }
    copies.is_unchanged(&Tree::of(&sandbox.store().path("ccretain/held")));
    let lines = sandbox.ledger_lines();
    let told: Vec<_> = lines.iter().filter(|line| line["decision"] == "hold-restore").collect();
    let events: Vec<_> = told.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["started", "intent", "outcome", "summary"]);
    assert_eq!((&told[1]["hold"], &told[1]["session"]), (&"case".into(), &session.id().into()));
    assert_eq!((&told[2]["outcome"], &told[2]["files"]), (&"restored".into(), &14.into()));
    sandbox.run(["ledger", "verify"]).exits(0);
    // The hold is still in force, and there is nothing left to do.
    assert_eq!(sandbox.run(["hold", "list", "--json"]).json()["holds"][0]["state"], "active");
    sandbox.run(["hold", "restore", "case"]).exits(0).quietly().says("nothing is missing");
    fs::remove_file(&link).unwrap();
    sandbox.run(["hold", "restore", "case"]).exits(0).quietly();
    same(&before, &sandbox);
    sandbox.delete_after("7d");
    sandbox.enforce().exits(0);
    same(&before, &sandbox);
}

#[test]
fn only_what_is_gone_comes_back_and_nothing_is_overwritten() {
    let sandbox = sandbox();
    let session = written(&sandbox, 1, days(20));
    let index = sandbox.store().index("/work/acme", &[session.id(), &id(2)]);
    sandbox.store().history(Some(session.id()), "/work/acme", days(20));
    preserve(&sandbox, &["--session", session.id()], "case");
    // The session goes on, an old result is swept, an entry of the index and a prompt are gone.
    let mut text = fs::read_to_string(&session.transcript).unwrap();
    text.push_str("{\"type\":\"mode\",\"mode\":\"default\"}\n");
    fs::write(&session.transcript, &text).unwrap();
    crate::common::store::age(&session.transcript, days(2));
    let result = session.side().join("tool-results/byvcankqz.txt");
    let was = (fs::read(&result).unwrap(), fs::metadata(&result).unwrap().modified().unwrap());
    fs::remove_file(&result).unwrap();
    sandbox.store().index("/work/acme", &[&id(2)]);
    fs::write(sandbox.store().path("history.jsonl"), "").unwrap();
    // What somebody else put in a file's place is theirs.
    let agent = session.side().join("subagents/agent-a620f2408346b1f5b.meta.json");
    fs::remove_file(&agent).unwrap();
    symlink("/etc/hostname", &agent).unwrap();
    let before = plain(&sandbox);
    let indexed = fs::read(&index).unwrap();
    let output = sandbox.run(["hold", "restore", &session.id()[..9]]);
    output.exits(0).quietly().says("1 file");
    assert_eq!((fs::read(&result).unwrap(), fs::metadata(&result).unwrap().modified().unwrap()), was);
    assert_eq!(fs::read(&index).unwrap(), indexed, "line files are not what a copy holds");
    fs::remove_file(&result).unwrap();
    same(&before, &sandbox);
    // An agent's own transcript, a temp file and a folder of the project that is gone.
    fs::remove_file(&agent).unwrap();
    fs::remove_dir_all(session.transcript.parent().unwrap()).unwrap();
    fs::remove_dir_all(sandbox.client_tmp()).unwrap();
    sandbox.run(["hold", "restore", "case"]).exits(0).quietly().says("7 files");
    assert!(session.is_there() && session.temp().join("scratchpad/any name.bin").exists());
    assert!(!fs::read_to_string(&session.transcript).unwrap().contains("\"mode\":\"default\"}\n{"));
}

#[test]
fn a_date_at_which_claude_code_would_delete_it_again_needs_a_word() {
    let sandbox = sandbox();
    let session = written(&sandbox, 1, days(40));
    preserve(&sandbox, &["--session", session.id()], "case");
    let before = plain(&sandbox);
    sweep(&sandbox, &session);
    let swept = Tree::with_times(sandbox.root());
    let refused = sandbox.run(["hold", "restore", "case"]);
    refused.exits(4).says("--touch").says("Claude Code deletes");
    swept.is_unchanged(&Tree::with_times(sandbox.root()));
    sandbox.run(["hold", "restore", "case", "--touch", "--keep-date"]).exits(2);
    sandbox.run(["hold", "restore", "case", "--keep-date"]).exits(0).quietly();
    same(&before, &sandbox);
    sweep(&sandbox, &session);
    sandbox.run(["hold", "restore", "case", "--touch"]).exits(0).quietly();
    let age = fs::metadata(&session.transcript).unwrap().modified().unwrap().elapsed().unwrap();
    assert!(age.as_secs() < 300);
    // Its true age is remembered.
    let json = sandbox.run(["explain", session.id(), "--json"]).json();
    let last = json["dates"]["lastActivity"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(last).unwrap() < chrono::Utc::now() - days(39), "{json}");
    // A part that Claude Code goes by the date of, beside a transcript that stays.
    let sandbox = self::sandbox();
    let session = sandbox.store().session(1).aged(days(2)).write();
    let result = session.side_file("tool-results/old.txt", "x");
    crate::common::store::age(&result, days(40));
    preserve(&sandbox, &["--session", session.id()], "case");
    fs::remove_file(&result).unwrap();
    sandbox.run(["hold", "restore", "case"]).exits(4).says("--touch");
    // Where it keeps longer, nothing needs to be said.
    sandbox.write(".claude/settings.json", r#"{"cleanupPeriodDays": 99999}"#);
    sandbox.run(["hold", "restore", "case"]).exits(0).quietly();
    assert!(result.exists());
}

#[test]
fn a_name_that_begins_an_id_is_the_hold_and_wrong_words_change_nothing() {
    let sandbox = sandbox();
    let (first, second) = (written(&sandbox, 1, days(20)), written(&sandbox, 2, days(20)));
    // This name begins the id of the other session.
    let name = &second.id()[..8];
    preserve(&sandbox, &["--session", first.id()], name);
    preserve(&sandbox, &["--session", second.id()], "other");
    sandbox.run(["hold", "add", "--session", first.id(), "--reason", "x", "--name", "bare"]).exits(0);
    let before = plain(&sandbox);
    sweep(&sandbox, &first);
    sweep(&sandbox, &second);
    sandbox.run(["hold", "restore", name]).exits(0).quietly().says(first.id()).never_says(second.id());
    assert!(first.is_there() && !second.is_there());
    // One more character is none of a hold's name.
    sandbox.run(["hold", "restore", &second.id()[..10]]).exits(0).quietly().says(second.id());
    same(&before, &sandbox);
    sweep(&sandbox, &first);
    let tree = Tree::of(sandbox.root());
    for (named, says) in [
        ("bare", "no preservation copies"),
        ("nobody", "too short"),
        ("abc", "too short"),
        ("ffffffff", "no session"),
        ("00000000", "no session"),
        ("0000000", "too short"),
        ("../case", "too short"),
        ("", "too short"),
    ] {
        sandbox.run(["hold", "restore", named]).exits(2).says(says);
    }
    fs::remove_file(sandbox.config().join("identity.age")).unwrap();
    sandbox.run(["hold", "restore", first.id()]).exits(2).says("identity");
    let after = Tree::of(sandbox.root());
    let difference = tree.difference(&after);
    assert_eq!(difference, ["- config/identity.age"]);
}

#[test]
fn of_two_holds_the_newer_copy_comes_back_and_the_older_fills_it_up() {
    let sandbox = sandbox();
    let session = written(&sandbox, 1, days(20));
    let result = session.side().join("tool-results/byvcankqz.txt");
    let old = fs::read(&session.transcript).unwrap();
    preserve(&sandbox, &["--session", session.id()], "z-older");
    let kept = fs::read(&result).unwrap();
    fs::remove_file(&result).unwrap();
    let mut longer = old.clone();
    longer.extend_from_slice(b"{\"type\":\"mode\",\"mode\":\"plan\"}\n");
    fs::write(&session.transcript, &longer).unwrap();
    crate::common::store::age(&session.transcript, days(10));
    preserve(&sandbox, &["--session", session.id()], "a-newer");
    fs::remove_file(&session.transcript).unwrap();
    fs::remove_dir_all(session.side()).unwrap();
    let output = sandbox.run(["hold", "restore", session.id(), "--json"]);
    output.exits(0).quietly();
    assert_eq!(output.json()["sessions"][0]["holds"], serde_json::json!(["a-newer", "z-older"]));
    assert_eq!(fs::read(&session.transcript).unwrap(), longer);
    assert_eq!(fs::read(&result).unwrap(), kept);
    let lines = sandbox.ledger_lines();
    let holds: Vec<_> = lines
        .iter()
        .filter(|line| line["decision"] == "hold-restore" && line["event"] == "outcome")
        .map(|line| (line["hold"].as_str().unwrap(), line["files"].as_u64().unwrap()))
        .collect();
    assert_eq!(holds, [("a-newer", 4), ("z-older", 1)]);
    // Named, it is that copy alone.
    fs::remove_file(&session.transcript).unwrap();
    sandbox.run(["hold", "restore", "z-older"]).exits(0).quietly();
    assert_eq!(fs::read(&session.transcript).unwrap(), old);
}

#[test]
fn a_damaged_copy_restores_nothing_of_its_session_and_the_others_come_back() {
    let sandbox = sandbox();
    let (broken, whole) = (written(&sandbox, 1, days(20)), written(&sandbox, 2, days(20)));
    let unrecorded = written(&sandbox, 3, days(20));
    preserve(&sandbox, &["--project", "/work/acme"], "case");
    let before = plain(&sandbox);
    for session in [&broken, &whole, &unrecorded] {
        sweep(&sandbox, session);
    }
    let copy = sandbox.store().path("ccretain/held/case").join(broken.id());
    let sealed = copy.join(format!("file-history/{}/0123abcd@v1.zst.age", broken.id()));
    let good = fs::read(&sealed).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    fs::write(&sealed, bad).unwrap();
    let record = sandbox.store().path("ccretain/held/case").join(unrecorded.id()).join("session.json");
    let recorded = fs::read(&record).unwrap();
    fs::write(&record, "{").unwrap();
    let output = sandbox.run(["hold", "restore", "case"]);
    output.exits(1).says("is not the file that was sealed").says("malformed").says("nothing was overwritten");
    assert!(!broken.is_there() && !broken.side().exists() && whole.is_there() && !unrecorded.is_there());
    let parts = walk(&sandbox).into_iter().filter(|path| path.extension().is_some_and(|end| end == "part"));
    assert_eq!(parts.count(), 0);
    // A key that is not its own opens nothing.
    let other = sandbox.root().join("other.age");
    fs::rename(sandbox.config().join("identity.age"), &other).unwrap();
    sandbox.run(["key", "new"]).exits(0);
    fs::write(&sealed, good).unwrap();
    fs::write(&record, recorded).unwrap();
    sandbox.run(["hold", "restore", "case"]).exits(1).says("none of the identities");
    assert!(!broken.is_there());
    sandbox.run(["hold", "restore", "case", "--identity", other.to_str().unwrap()]).exits(0).quietly();
    same(&before, &sandbox);
    // A part that is gone is said, and the rest comes back.
    sweep(&sandbox, &broken);
    fs::remove_file(&sealed).unwrap();
    sandbox
        .run(["hold", "restore", broken.id(), "--identity", other.to_str().unwrap()])
        .exits(1)
        .says("is gone");
    assert!(broken.is_there());
}

fn walk(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(sandbox.root()).into_iter().flatten();
    entries.map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn a_link_in_the_place_of_a_folder_leads_nothing_away() {
    let sandbox = sandbox();
    let session = written(&sandbox, 1, days(20));
    preserve(&sandbox, &["--session", session.id()], "case");
    sweep(&sandbox, &session);
    let outside = sandbox.root().join("outside");
    fs::create_dir_all(&outside).unwrap();
    let places = [
        session.side(),
        sandbox.store().path("file-history").join(session.id()),
        session.temp(),
        session.temp().parent().unwrap().to_owned(),
    ];
    for place in places {
        let aside = place.with_extension("aside");
        let was_there = place.exists();
        if was_there {
            fs::rename(&place, &aside).unwrap();
        }
        symlink(&outside, &place).unwrap();
        let output = sandbox.run(["hold", "restore", "case"]);
        output.exits(1);
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{}: {output}", place.display());
        let is_back = fs::symlink_metadata(&session.transcript).is_ok();
        assert!(!is_back, "{}: restored in part: {output}", place.display());
        fs::remove_file(&place).unwrap();
        if was_there {
            fs::rename(&aside, &place).unwrap();
        }
    }
    sandbox.run(["hold", "restore", "case"]).exits(0).quietly();
    assert!(session.is_there());
    // A record that names another place is none of a session's.
    sweep(&sandbox, &session);
    let record = sandbox.store().path("ccretain/held/case").join(session.id()).join("session.json");
    let text = fs::read_to_string(&record).unwrap();
    for (from, to) in [("debug/", "plugins/"), ("session-env/", "commands/")] {
        fs::write(&record, text.replacen(&format!("\"{from}"), &format!("\"{to}"), 1)).unwrap();
        sandbox.run(["hold", "restore", "case"]).exits(1);
        assert!(!session.is_there());
    }
}

#[test]
fn a_session_that_is_open_or_sealed_is_left_alone() {
    let sandbox = sandbox();
    let session = written(&sandbox, 1, days(20));
    preserve(&sandbox, &["--session", session.id()], "case");
    let result = session.side().join("tool-results/byvcankqz.txt");
    fs::remove_file(&result).unwrap();
    let pid = sandbox.store().pid_file(std::process::id(), session.id(), serde_json::json!({}));
    sandbox.run(["hold", "restore", "case"]).exits(4).says("has it open");
    assert!(!result.exists());
    fs::remove_file(pid).unwrap();
    sandbox.run(["hold", "restore", "case"]).exits(0);
    assert!(result.exists());
    // An organisation's rule sealed it in spite of the user's hold: it is not gone.
    let sealed = sandbox.store().path("ccretain/sealed").join(session.id());
    sandbox.run(["hold", "release", "case", "--reason", "x"]).exits(0);
    sandbox.run(["seal", session.id()]).exits(0);
    assert!(sealed.exists());
    sandbox.run(["hold", "restore", session.id()]).exits(2);
}

#[test]
fn a_hold_that_has_ended_still_gives_back_and_says_so() {
    if !has("faketime") {
        return skip("needs faketime");
    }
    let sandbox = sandbox();
    let session = written(&sandbox, 1, days(20));
    let tomorrow = (chrono::Utc::now() + days(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    preserve(&sandbox, &["--session", session.id(), "--until", &tomorrow], "case");
    sweep(&sandbox, &session);
    let output = sandbox.command(["hold", "restore", "case"]).at(chrono::Utc::now() + days(2)).run();
    output.exits(0).says("no longer in force");
    assert!(session.is_there());
}

#[test]
fn two_stores_with_one_id_need_to_be_told_apart() {
    let sandbox = sandbox();
    let session = written(&sandbox, 1, days(20));
    let other = sandbox.home().join("other");
    let builder = crate::common::StoreBuilder::new(other.clone(), sandbox.client_tmp());
    let twin = builder.session(1).cwd("/work/acme").aged(days(20)).write();
    let policy = fs::read_to_string(sandbox.config().join("policy.json")).unwrap();
    let extra = format!(r#""stores": {{"extra": ["{}"]}}, "version": 1"#, other.display());
    sandbox.policy(&policy.replace(r#""version": 1"#, &extra));
    preserve(&sandbox, &["--session", session.id()], "case");
    fs::remove_file(&twin.transcript).unwrap();
    fs::remove_file(&session.transcript).unwrap();
    sandbox.run(["hold", "restore", session.id()]).exits(2).says("--store");
    sandbox.command(["hold", "restore", session.id(), "--store"]).arg(&other).run().exits(0).quietly();
    assert!(twin.is_there() && !session.is_there());
    sandbox.run(["hold", "restore", "case"]).exits(0).quietly();
    assert!(session.is_there());
}

#[test]
fn without_a_ledger_nothing_comes_back() {
    let sandbox = sandbox();
    let session = written(&sandbox, 1, days(20));
    preserve(&sandbox, &["--session", session.id()], "case");
    sweep(&sandbox, &session);
    fs::rename(sandbox.ledger(), sandbox.root().join("ledger")).unwrap();
    fs::create_dir(sandbox.ledger()).unwrap();
    sandbox.run(["hold", "restore", "case"]).exits(4);
    assert!(!session.is_there());
}

/// Whether every file of the tree is absent or whole, and nothing else came but unfinished files.
fn nothing_is_half(before: &(Tree, Tree), sandbox: &Sandbox, what: &str) {
    let after = plain(sandbox);
    for (whole, now) in [(&before.0, &after.0), (&before.1, &after.1)] {
        for (path, text) in &now.0 {
            let is_part = path.extension().is_some_and(|end| end == "part");
            assert!(is_part || whole.0.get(path) == Some(text), "{what}: '{}' is {text}", path.display());
        }
    }
}

#[test]
fn killed_at_each_step_no_file_is_half_and_the_next_run_restores_the_rest() {
    if !can_watch() {
        return;
    }
    let sandbox = sandbox();
    let session = sandbox.store().session(1).aged(days(20)).write();
    session.side_file("tool-results/b1.txt", "x");
    crate::common::store::put(&session.temp().join("tasks/b1.output"), "y", days(20));
    preserve(&sandbox, &["--session", session.id()], "case");
    let before = plain(&sandbox);
    let copies = Tree::of(&sandbox.store().path("ccretain/held"));
    let mut kills = 0;
    for call in ["mkdirat", "fchmod", "utimensat", "syncfs", "renameat2"] {
        for nth in 1.. {
            fs::remove_file(&session.transcript).unwrap();
            fs::remove_dir_all(session.side()).unwrap();
            fs::remove_dir_all(sandbox.client_tmp()).unwrap();
            let fault = format!("inject={call}:signal=SIGKILL:when={nth}");
            let trace = format!("trace={call}");
            let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &fault];
            let killed = sandbox.command(["hold", "restore", "case"]).through(strace).run();
            nothing_is_half(&before, &sandbox, &format!("{call} {nth}"));
            copies.is_unchanged(&Tree::of(&sandbox.store().path("ccretain/held")));
            let again = sandbox.run(["hold", "restore", "case"]);
            again.exits(0);
            // An unfinished file that nothing was written over goes with the next run.
            sandbox.enforce().exits(0);
            same(&before, &sandbox);
            sandbox.run(["ledger", "verify"]).exits(0);
            if killed.code == Some(0) {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills >= 10, "only {kills} kills");
}

#[test]
fn a_vanished_session_that_is_preserved_is_told_with_the_way_back() {
    let sandbox = sandbox();
    let session = written(&sandbox, 1, days(20));
    let bare = sandbox.store().session(2).aged(hours(3)).write();
    preserve(&sandbox, &["--session", session.id()], "case");
    sandbox.run(["hold", "add", "--session", bare.id(), "--reason", "x", "--name", "bare"]).exits(0);
    sandbox.enforce().exits(0);
    sweep(&sandbox, &session);
    let output = sandbox.run(["enforce", "--yes"]);
    output.exits(1).says("has vanished").says(&format!("`ccretain hold restore {}`", session.id()));
    sandbox.run(["hold", "restore", session.id()]).exits(0).quietly();
    sandbox.enforce().exits(0);
    fs::remove_file(&bare.transcript).unwrap();
    sandbox.run(["enforce", "--yes"]).exits(1).says("has vanished").never_says("hold restore");
    assert!(Path::new(&session.transcript).exists());
}
