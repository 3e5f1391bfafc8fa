//! A session's own folder: whatever lies there is the session's, whatever its name.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::common::sandbox::is_root;
use crate::common::store::{CONTENT, Session, age_link, put};
use crate::common::{Sandbox, Tree, days, hours, id, skip};
use crate::seal::{identity, seals};

/// What lies below a folder, without folders.
fn files(tree: Tree) -> Tree {
    Tree(tree.0.into_iter().filter(|(_, what)| !what.starts_with("folder")).collect())
}

/// Writes into a session's own folder what newer versions of Claude Code write there, and what none does.
fn fill(session: &Session) -> Vec<PathBuf> {
    let record = fs::read(&session.transcript).unwrap();
    let old = days(5);
    let side = session.side();
    let mut made = Vec::new();
    for (name, content) in [
        ("subagents/workflows/wf_1/agent-a1.jsonl", &*record),
        ("subagents/workflows/wf_1/agent-a1.meta.json", b"{}".as_slice()),
        ("subagents/workflows/wf_1/journal.jsonl", CONTENT.as_bytes()),
        ("auto-mode-classifier-error.txt", CONTENT.as_bytes()),
        ("resume-head.jsonl", &record),
        ("custom-title.json.tmp.0123abcd", b"{".as_slice()),
        ("a/name/that/no version/writes.bin", CONTENT.as_bytes()),
        (".x.part", CONTENT.as_bytes()),
        ("log.1", CONTENT.as_bytes()),
        ("sealed.zst.age", CONTENT.as_bytes()),
    ] {
        put(&side.join(name), content, old);
        made.push(side.join(name));
    }
    let odd = side.join(OsStr::from_bytes(b"no-\xff-text")).join(OsStr::from_bytes(b"\xfe\n"));
    put(&odd, CONTENT, old);
    made.push(odd);
    // A rewrite of the transcript keeps the one before, first as a second name.
    let before = side.join("before-cleanup/1790000000000-0123abcd.jsonl.replaced");
    fs::create_dir_all(before.parent().unwrap()).unwrap();
    fs::hard_link(&session.transcript, &before).unwrap();
    made.push(before);
    for (name, target) in [("to-agent", "subagents/workflows/wf_1/agent-a1.jsonl"), ("nowhere", "/no/\u{e4}")]
    {
        symlink(target, side.join(name)).unwrap();
        age_link(&side.join(name), old);
        made.push(side.join(name));
    }
    session.settle();
    made
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[test]
fn whatever_lies_there_is_sealed_and_comes_back_byte_for_byte() {
    let sandbox = Sandbox::new();
    seals(&sandbox, &identity(&sandbox), "");
    let session = sandbox.store().session(1).aged(days(5)).write();
    session.satellites();
    let made = fill(&session);
    let before = [&sandbox.home(), &sandbox.tmp()].map(|root| files(Tree::with_times(root)));
    let output = sandbox.enforce();
    assert_eq!(output.exits(0).quietly().summary("sessionsSealed"), 1, "{output}");
    assert_eq!(output.summary("unrecognised"), 0, "{output}");
    for path in &made {
        assert!(!is_there(path), "{} stayed plain", path.display());
    }
    assert!(!session.side().exists(), "nothing is left that a cleanup would find");
    assert_eq!(sandbox.enforce().exits(0).quietly().summary("sessionsSealed"), 0);
    sandbox.run(["unseal", session.id()]).exits(0).quietly();
    let strip = |tree: Tree| tree.without(".claude/ccretain").without(".claude/sessions");
    let after = [&sandbox.home(), &sandbox.tmp()].map(|root| files(Tree::with_times(root)));
    for (before, after) in before.into_iter().zip(after) {
        strip(before).is_unchanged(&strip(after));
    }
    assert!(!sandbox.home().join(".claude/ccretain/sealed").join(session.id()).exists());
}

#[test]
fn whatever_lies_there_goes_with_the_session_and_no_name_of_it_is_data_that_remains() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(days(40)).write();
    sandbox.store().session(2).aged(hours(3)).write();
    sandbox.delete_after("30d");
    for path in fill(&session) {
        if fs::symlink_metadata(&path).unwrap().is_file() {
            crate::common::store::age(&path, days(40));
        }
    }
    // The agent's own records are younger than the transcript, and date the session.
    let output = sandbox.enforce();
    output.exits(0).quietly();
    assert_eq!((output.summary("sessionsDeleted"), output.summary("partlyDeleted")), (1, 0), "{output}");
    assert!(!session.side().exists() && !session.is_there());
    assert_eq!(output.summary("dataRemains"), 0, "{output}");
}

#[test]
fn agents_of_a_workflow_date_the_session() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(40)).write();
    store.session(2).aged(hours(3)).write();
    let agent = fs::read_to_string(store.session(3).aged(days(9)).write().transcript).unwrap();
    let agent = agent.replace(&id(3), &id(1));
    put(&session.side().join("subagents/workflows/wf_1/agent-a1.jsonl"), agent, days(40));
    sandbox.delete_after("30d");
    let output = sandbox.enforce();
    assert_eq!(output.exits(0).summary("sessionsDeleted"), 0, "{output}");
    assert!(session.is_there());
}

#[test]
fn a_folder_that_is_named_as_a_session_and_never_was_one_keeps_the_users_names() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(2).aged(hours(3)).write();
    let recipient = identity(&sandbox);
    sandbox.policy(&format!(
        r#"{{"version": 1, "recipients": ["{recipient}"], "rules": [{{"sealAfter": "1d", "deleteAfter": "30d"}}]}}"#
    ));
    let side = format!("projects/-work-acme/{}", id(1));
    let mine = ["notes.txt", "thesis/chapter.md", "before-cleanup/mine"]
        .map(|name| store.put(format!("{side}/{name}"), "mine", days(400)));
    let link = store.link(format!("{side}/link"), "/mine");
    age_link(&link, days(400));
    let known = store.put(format!("{side}/tool-results/t.txt"), CONTENT, days(400));
    for _ in 0..3 {
        let output = sandbox.enforce_verbosely();
        output.exits(0);
        for path in mine.iter().chain([&link]) {
            assert!(is_there(path), "{}", path.display());
        }
        assert_eq!(output.item("notes.txt")["reason"], "unrecognised", "{output}");
        assert_eq!(output.summary("unrecognised"), 4);
        assert!(!known.exists(), "what the catalogue knows is the session's");
        // The names of an orphan that the catalogue knows can be sealed first, which makes it no session.
        store.put(format!("{side}/tool-results/t.txt"), CONTENT, days(400));
    }
    store.put(format!("{side}/tool-results/t.txt"), CONTENT, days(5));
    sandbox.enforce().exits(0);
    assert!(mine.iter().all(|path| path.exists()) && is_there(&link));
}

#[test]
fn an_orphan_that_was_sealed_and_came_back_never_had_a_transcript() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(2).aged(hours(3)).write();
    seals(&sandbox, &identity(&sandbox), "");
    let side = format!("projects/-work-acme/{}", id(1));
    let known = store.put(format!("{side}/tool-results/t.txt"), CONTENT, days(5));
    let mine = store.put(format!("{side}/notes.txt"), "mine", days(5));
    sandbox.enforce().exits(0);
    assert!(!known.exists() && mine.exists());
    sandbox.enforce().exits(0);
    assert!(mine.exists());
    sandbox.run(["unseal", &id(1), "--keep-date"]).exits(0);
    sandbox.enforce().exits(0);
    assert!(known.exists() && mine.exists());
}

#[test]
fn what_was_seen_with_a_transcript_stays_the_sessions() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(2).aged(hours(3)).write();
    let session = store.session(1).aged(days(20)).write();
    let file = session.side_file("a-new-name.bin", CONTENT);
    sandbox.delete_after("30d");
    sandbox.enforce().exits(0);
    // Claude Code's own cleanup, or a sync, took the transcript.
    fs::remove_file(&session.transcript).unwrap();
    let output = sandbox.enforce_verbosely();
    assert_eq!(output.item("a-new-name.bin")["kind"], "session-file", "{output}");
    assert!(file.exists());
    sandbox.command(["enforce", "--yes", "--json"]).at(crate::common::now() + days(15)).run();
    assert!(!file.exists(), "it went at the date of its session");
}

#[test]
fn what_the_ledger_saw_sealed_is_the_sessions_when_the_state_is_lost() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(2).aged(hours(3)).write();
    seals(&sandbox, &identity(&sandbox), "");
    let session = store.session(1).aged(days(5)).write();
    sandbox.enforce().exits(0);
    sandbox.run(["unseal", session.id()]).exits(0);
    fs::remove_file(&session.transcript).unwrap();
    let file = session.side_file("a-new-name.bin", CONTENT);
    for name in ["sessions.json", "dates.json"] {
        let _ = fs::remove_file(sandbox.state().join(name));
    }
    let output = sandbox.dry_run();
    assert_eq!(output.item("a-new-name.bin")["kind"], "session-file", "{output}");
    assert!(file.exists());
}

/// A session that cannot be sealed whole is not sealed.
#[test]
fn one_file_that_cannot_be_sealed_keeps_the_whole_session_plain() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    seals(&sandbox, &identity(&sandbox), "");
    let session = store.session(1).aged(days(5)).write();
    let linked = session.side_file("before-cleanup/x.jsonl.replaced", CONTENT);
    let second = sandbox.home().join("elsewhere.txt");
    fs::hard_link(&linked, &second).unwrap();
    let other = store.session(2).aged(days(5)).write();
    let twin = other.side_file("one", CONTENT);
    fs::hard_link(&twin, session.side().join("of-another-session")).unwrap();
    let free = store.session(3).aged(days(5)).write();
    // There is no room for the ending of its sealed file.
    let long = store.session(4).aged(days(5)).write();
    let too_long = long.side_file(&"x".repeat(247), CONTENT);
    let promised = sandbox.dry_run();
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    for session in [&session, &other, &long] {
        assert!(session.is_there());
        let item = output.item(&format!("{}.jsonl", session.id()));
        assert_eq!((&item["decision"], &item["reason"]), (&"keep".into(), &"unsealable".into()), "{item}");
        sandbox.run(["explain", session.id()]).exits(0).says("cannot be sealed");
    }
    assert!(!free.is_there());
    for what in ["kept", "sealed", "sessionsSealed", "sessionsKept"] {
        assert_eq!(promised.summary(what), output.summary(what), "{what}");
    }
    sandbox.run(["enforce", "--yes"]).exits(0).says("3 sessions that cannot be encrypted");
    sandbox.run(["status"]).exits(0).says("3 sessions that cannot be encrypted");
    sandbox.run(["seal", session.id()]).exits(4).says("unsealable");
    fs::remove_file(&second).unwrap();
    fs::remove_file(&twin).unwrap();
    fs::rename(&too_long, too_long.with_file_name("x".repeat(241))).unwrap();
    long.settle();
    assert_eq!(sandbox.enforce().exits(0).summary("sessionsSealed"), 3);
}

#[test]
fn a_file_that_cannot_be_read_keeps_the_whole_session_plain() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    seals(&sandbox, &identity(&sandbox), "");
    let session = store.session(1).aged(days(5)).write();
    let closed = session.side_file("closed.bin", CONTENT);
    let folder = session.side_file("folder/x", CONTENT);
    for path in [&closed, &folder.parent().unwrap().to_path_buf()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    }
    sandbox.give_away();
    sandbox.command(["enforce", "--yes", "--json"]).unprivileged().run().exits(1);
    assert!(session.is_there() && closed.exists());
    fs::set_permissions(folder.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    sandbox.command(["enforce", "--yes", "--json"]).unprivileged().run().exits(1);
    assert!(session.is_there() && closed.exists(), "sealed whole or not at all");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();
    let output = sandbox.command(["enforce", "--yes", "--json"]).unprivileged().run();
    assert_eq!(output.exits(0).summary("sessionsSealed"), 1, "{output}");
    if !is_root() {
        skip("as root it is run by another account too");
    }
}

#[test]
fn a_preservation_copy_holds_whatever_lies_there() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    sandbox.policy(&format!(r#"{{"version": 1, "recipients": ["{}"]}}"#, identity(&sandbox)));
    let session = store.session(1).aged(days(5)).write();
    let made = fill(&session);
    sandbox
        .run(["hold", "add", "--session", session.id(), "--reason", "case", "--name", "case", "--preserve"])
        .exits(0);
    let record = sandbox.home().join(".claude/ccretain/held/case").join(session.id()).join("session.json");
    let record: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    let count = |key: &str| record[key].as_array().unwrap().len();
    assert_eq!((count("files"), count("links")), (made.len() - 2 + 1, 2), "{record:#}");
}

/// A record that anybody may have written brings no file into another session's folder.
#[test]
fn a_forged_record_restores_nothing_elsewhere() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    seals(&sandbox, &identity(&sandbox), "");
    let session = store.session(1).aged(days(5)).write();
    session.side_file("any.bin", CONTENT);
    let link = session.side().join("link");
    symlink("/x", &link).unwrap();
    age_link(&link, days(5));
    sandbox.enforce().exits(0);
    let record = sandbox.home().join(".claude/ccretain/sealed").join(session.id()).join("session.json");
    let text = fs::read_to_string(&record).unwrap();
    let own = format!("projects/-work-acme/{}", session.id());
    for (from, to) in [
        (
            format!("\"path\": \"{own}/any.bin\""),
            format!("\"path\": \"projects/-work-acme/{}/any.bin\"", id(2)),
        ),
        (format!("\"path\": \"{own}/link\""), format!("\"path\": \"projects/-work-acme/{}/link\"", id(2))),
        (format!("\"path\": \"{own}/link\""), "\"path\": \"settings.json\"".to_owned()),
        (format!("\"path\": \"{own}/link\""), "\"path\": \"../link\"".to_owned()),
    ] {
        assert!(text.contains(&from), "{text}");
        fs::write(&record, text.replace(&from, &to)).unwrap();
        sandbox.run(["unseal", session.id()]).exits(1);
        assert!(!session.is_there() && !store.has(format!("projects/-work-acme/{}", id(2))));
    }
    fs::write(&record, text).unwrap();
    sandbox.run(["unseal", session.id()]).exits(0);
    assert!(session.is_there() && is_there(&link));
}

/// Time and memory grow with the files, and not with their square.
#[test]
fn many_files_in_one_folder_are_sealed_and_come_back() {
    let many: usize = if std::env::var_os("CCRETAIN_SLOW_TESTS").is_some() { 100_000 } else { 3_000 };
    let sandbox = Sandbox::new();
    seals(&sandbox, &identity(&sandbox), "");
    let session = sandbox.store().session(1).aged(days(5)).write();
    for number in 0..many {
        session.side_file(&format!("files/{number:06}"), "x");
    }
    let begun = std::time::Instant::now();
    assert_eq!(sandbox.enforce().exits(0).quietly().summary("sessionsSealed"), 1);
    let sealed = begun.elapsed();
    assert!(!session.side().exists());
    sandbox.run(["unseal", session.id()]).exits(0).quietly();
    assert_eq!(fs::read_dir(session.side().join("files")).unwrap().count(), many);
    let all = begun.elapsed();
    eprintln!("{many} files: sealed in {sealed:?}, back in {:?}", all - sealed);
}
