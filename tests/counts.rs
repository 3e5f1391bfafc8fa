//! Counts tell what happened, and no more.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::common::{Output, Sandbox, StoreBuilder, days};

/// Takes from a folder what unlinking in it needs, runs, and gives it back.
fn with_locked_folder(sandbox: &Sandbox, folder: &Path, arguments: &[&str]) -> Output {
    sandbox.give_away();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
    let output = sandbox.command(arguments).unprivileged().run();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    output
}

const ENFORCE: &[&str] = &["enforce", "--yes", "--json"];

#[test]
fn a_session_of_which_the_transcript_could_not_be_removed_was_not_deleted() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let old = store.session(1).aged(days(40)).write();
    let satellites = old.satellites();
    store.session(2).cwd("/work/other").aged(days(1)).write();
    let folder = old.transcript.parent().unwrap().to_owned();
    let output = with_locked_folder(&sandbox, &folder, ENFORCE);
    output.exits(1);
    assert!(old.is_there());
    assert!(satellites.iter().any(|path| !path.exists()), "the rest of it went");
    assert_eq!(output.summary("sessionsDeleted"), 0, "{output}");
    assert_eq!(output.summary("sessionsKept"), 2, "{output}");
    assert_eq!(output.summary("partlyDeleted"), 0, "{output}");
    assert_eq!(output.summary("failed"), 1, "{output}");
    let counts = sandbox.ledger_lines().pop().unwrap();
    assert_eq!(counts["counts"]["sessionsDeleted"], 0, "{counts}");
    // For people it is no session that went, and nothing unknown kept it.
    let output = with_locked_folder(&sandbox, &folder, &["enforce", "--yes"]);
    output.exits(1).never_says("does not know").never_says("1 session, 0 files");
}

#[test]
fn a_session_of_which_something_else_could_not_be_removed_was_deleted_in_part() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let old = store.session(1).aged(days(40)).write();
    old.satellites();
    store.session(2).aged(days(1)).write();
    let folder = store.path(format!("file-history/{}", old.id()));
    let output = with_locked_folder(&sandbox, &folder, &["enforce", "--yes"]);
    output.exits(1).says("1 session deleted except for files that could not be removed");
    output.never_says("does not know");
    assert!(!old.is_there() && folder.join("0123abcd@v1").exists());
}

#[test]
fn a_purge_does_not_count_a_session_of_which_the_transcript_is_left() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let old = store.session(1).aged(days(40)).write();
    old.satellites();
    let folder = old.transcript.parent().unwrap().to_owned();
    let output = with_locked_folder(&sandbox, &folder, &["purge", "--yes", "--json"]);
    output.exits(1);
    assert_eq!(output.json()["counts"]["sessions"], 0, "{output}");
}

fn sealing() -> (Sandbox, StoreBuilder) {
    let sandbox = Sandbox::new();
    sandbox.sealing(r#""rules": [{"name": "s", "sealAfter": "1d"}]"#);
    let store = sandbox.store();
    (sandbox, store)
}

#[test]
fn a_session_of_which_the_plaintext_could_not_be_removed_is_not_counted_as_sealed() {
    let (sandbox, store) = sealing();
    let old = store.session(1).aged(days(4)).write();
    let folder = old.transcript.parent().unwrap().to_owned();
    let output = with_locked_folder(&sandbox, &folder, ENFORCE);
    output.exits(1);
    assert!(old.is_there(), "{output}");
    assert_eq!(output.summary("sessionsSealed"), 0, "{output}");
    // It can be removed now, and the run counts no file of ours.
    let output = sandbox.command(ENFORCE).unprivileged().run();
    output.exits(0);
    assert_eq!(output.summary("sessionsSealed"), 1, "{output}");
}

/// Claude Code links the copies of files that a session edited into one that goes on from it.
#[test]
fn a_file_of_which_all_names_go_leaves_no_data() {
    for (ages, command, remains) in [
        ([40, 50], ENFORCE, 0),
        ([40, 3], ENFORCE, 1),
        ([40, 50], &["purge", "--yes", "--json"] as &[&str], 0),
        ([3, 4], &["purge", "--yes", "--json"], 0),
    ] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        let [one, two] = [1, 2].map(|number: u32| {
            store.session(number).aged(days(ages[number as usize - 1])).write();
            store.path(format!("file-history/{}/0123abcd@v1", crate::common::id(number)))
        });
        crate::common::store::put(&one, "x".repeat(50_000), days(60));
        fs::create_dir_all(two.parent().unwrap()).unwrap();
        fs::hard_link(&one, &two).unwrap();
        store.session(3).aged(days(1)).write();
        let dry = sandbox.dry_run();
        let output = sandbox.run(command);
        if command == ENFORCE {
            output.exits(0);
            for output in [&dry, &output] {
                assert_eq!(output.summary("dataRemains"), remains, "{output}");
                assert_eq!(output.summary("bytesFreed") > 50_000, remains == 0, "{output}");
            }
        } else {
            output.exits(0);
            assert_eq!(output.json()["verdict"], "complete", "{output}");
        }
        assert!(!one.exists() && two.exists() == (remains > 0));
    }
}

/// The record alone tells what sealed files are, and when they are due.
#[test]
fn the_record_of_sealed_files_stays_with_the_last_of_them() {
    for command in [ENFORCE, &["purge", "--yes", "--json"]] {
        let (sandbox, store) = sealing();
        let old = store.session(1).aged(days(4)).write();
        let tool = old.side_file("tool-results/a.txt", "x");
        old.settle();
        sandbox.enforce().exits(0);
        assert!(!old.is_there() && !tool.exists());
        sandbox.delete_after("2d");
        let own = store.path(format!("ccretain/sealed/{}", old.id()));
        let tools = own.join(format!("projects/-work-acme/{}/tool-results", old.id()));
        let output = with_locked_folder(&sandbox, &tools, command);
        output.exits(1);
        assert!(own.join("session.json").exists() && tools.join("a.txt.zst.age").exists(), "{output}");
        // What is left still is what it was, and goes when it can.
        let output = sandbox.command(["-v", "enforce", "--yes", "--json"]).unprivileged().run();
        output.exits(0);
        assert!(!own.exists(), "{output}");
    }
}

#[test]
fn what_is_freed_is_what_was_allocated() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let old = store.session(1).aged(days(40)).write();
    let hole = old.side_file("tool-results/hole.txt", "x");
    fs::File::options().write(true).open(&hole).unwrap().set_len(4 << 30).unwrap();
    crate::common::store::age(&hole, days(40));
    old.settle();
    store.session(2).aged(days(1)).write();
    let allocated: u64 =
        [&hole, &old.transcript].map(|path| path.metadata().unwrap().blocks() * 512).iter().sum();
    let dry = sandbox.dry_run();
    assert_eq!(dry.summary("bytesFreed"), allocated, "{dry}");
    let output = sandbox.enforce();
    output.exits(0);
    assert_eq!(output.summary("bytesFreed"), allocated, "{output}");
    let summary = sandbox.ledger_lines().pop().unwrap();
    assert_eq!(summary["counts"]["bytesFreed"], allocated, "{summary}");
    assert!(!hole.exists() && allocated < 1 << 20);
}

#[test]
fn a_purge_says_one_number_of_what_it_freed() {
    let sandbox = Sandbox::new();
    let recipient = crate::seal::identity(&sandbox);
    sandbox.policy(&format!(r#"{{"version": 1, "recipients": ["{recipient}"]}}"#));
    let store = sandbox.store();
    let [old, sealed, held] = [1, 2, 3].map(|number| store.session(number).aged(days(40)).write());
    // A hole, a file whose data have another name, and a line file that is written anew.
    let hole = old.side_file("tool-results/hole.txt", "x");
    fs::File::options().write(true).open(&hole).unwrap().set_len(4 << 30).unwrap();
    let linked = old.side_file("tool-results/linked.txt", "x");
    fs::hard_link(&linked, sandbox.root().join("other name")).unwrap();
    for _ in 0..400 {
        store.history(None, "/work/acme", days(40));
    }
    sandbox.run(["seal", sealed.id()]).exits(0);
    let hold = ["hold", "add", "--session", held.id(), "--reason", "r", "--name", "n", "--preserve"];
    sandbox.run(hold).exits(0);
    let blocks = || {
        let files = walkdir::WalkDir::new(&store.root).into_iter().flatten();
        let files = files.filter(|entry| entry.file_type().is_file());
        // Records of ours are no content, and what has another name is not free.
        let counts = |entry: &walkdir::DirEntry| {
            let path = entry.path().strip_prefix(&store.root).unwrap();
            let is_record = path.starts_with("ccretain") && path.ends_with("session.json");
            !is_record && !path.ends_with("lock") && !path.ends_with("linked.txt")
        };
        files.filter(counts).map(|entry| entry.metadata().unwrap().blocks() * 512).sum::<u64>()
    };
    let before = blocks();
    let purge = ["purge", "--json", "--break-holds", "over", "--certificate", "c.json"];
    let dry = sandbox.run(purge.into_iter().chain(["--dry-run"])).exits(0).json();
    let output = sandbox.run(purge.into_iter().chain(["--yes"]));
    output.exits(1).says("remain under another");
    let freed = before - blocks();
    assert!(freed > 20_000 && freed < 1 << 20, "{freed}");
    let json = output.json();
    assert_eq!(json["summary"]["bytesFreed"], freed);
    assert_eq!(dry["summary"]["bytesFreed"], freed);
    let certificate: serde_json::Value =
        serde_json::from_slice(&fs::read(sandbox.home().join("c.json")).unwrap()).unwrap();
    assert_eq!(certificate["counts"]["bytes"], freed, "{certificate}");
    let kinds = certificate["counts"]["kinds"].as_object().unwrap();
    assert_eq!(kinds.values().map(|kind| kind["bytes"].as_u64().unwrap()).sum::<u64>(), freed);
    assert!(kinds["preserved-copy"]["bytes"].as_u64().unwrap() > 0, "{certificate}");
    let summary = sandbox.ledger_lines().into_iter().rfind(|line| line["event"] == "summary").unwrap();
    assert_eq!(summary["counts"]["bytesFreed"], freed, "{summary}");
    sandbox.run(["ledger", "verify", "--certificate", "c.json"]).exits(0);
}

#[test]
fn lines_of_a_file_with_another_name_are_data_that_remain() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(2).aged(days(1)).write();
    // Enough for whole blocks, so that a count of them would show.
    for _ in 0..400 {
        store.history(None, "/work/acme", days(40));
    }
    let other = sandbox.root().join("other name");
    fs::hard_link(store.path("history.jsonl"), &other).unwrap();
    for output in [sandbox.dry_run(), sandbox.enforce()] {
        output.exits(0);
        assert_eq!(output.summary("prunedLines"), 400, "{output}");
        assert_eq!(output.summary("dataRemains"), 1, "{output}");
        assert_eq!(output.summary("bytesFreed"), 0, "{output}");
        assert_eq!(output.item("history.jsonl")["dataRemains"], true, "{output}");
    }
    assert_eq!(fs::read_to_string(&other).unwrap().lines().count(), 400);
    // Without another name they are gone.
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(2).aged(days(1)).write();
    for _ in 0..400 {
        store.history(None, "/work/acme", days(40));
    }
    let allocated = store.path("history.jsonl").metadata().unwrap().blocks() * 512;
    let output = sandbox.enforce();
    assert_eq!((output.summary("dataRemains"), output.summary("bytesFreed")), (0, allocated), "{output}");
}

#[test]
fn names_of_one_file_within_a_session_go_together() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let old = store.session(1).aged(days(40)).write();
    let copy = old.transcript.with_extension("jsonl.superseded-1700000000000");
    fs::hard_link(&old.transcript, &copy).unwrap();
    let one = old.side_file("tool-results/one.txt", "x");
    fs::hard_link(&one, one.with_file_name("two.txt")).unwrap();
    old.settle();
    store.session(2).aged(days(1)).write();
    let allocated: u64 =
        [&one, &old.transcript].map(|path| path.metadata().unwrap().blocks() * 512).iter().sum();
    for output in [sandbox.dry_run(), sandbox.enforce()] {
        output.exits(0);
        assert_eq!(output.summary("deleted"), 4, "{output}");
        assert_eq!(output.summary("dataRemains"), 0, "{output}");
        assert_eq!(output.summary("bytesFreed"), allocated, "{output}");
    }
    assert!(!old.is_there() && !copy.exists());
}

#[test]
fn files_of_our_own_are_never_counted() {
    let sandbox = Sandbox::new();
    let key = sandbox.run(["key", "new"]);
    let policy = |rule: &str| {
        sandbox.policy(&format!(
            r#"{{"version": 1, "recipients": ["{}"], "rules": [{{"name": "r", {rule}}}]}}"#,
            key.stdout.trim()
        ))
    };
    policy(r#""sealAfter": "1d""#);
    let store = sandbox.store();
    store.session(1).aged(days(20)).write();
    store.session(2).aged(days(2)).write();
    sandbox.enforce().exits(0);
    // Two sealed transcripts, and beside them the lock and two records.
    policy(r#""deleteAfter": "10d""#);
    let status = sandbox.run(["status", "--json"]).exits(0).json();
    assert_eq!(status["stores"][0]["artifacts"], 2, "{status}");
    assert_eq!(status["due"]["sessions"][0]["files"], 1, "{status}");
    for output in [sandbox.dry_run(), sandbox.enforce()] {
        output.exits(0);
        assert_eq!((output.summary("deleted"), output.summary("kept")), (1, 1), "{output}");
        assert_eq!(output.json()["stores"][0]["artifacts"], 2, "{output}");
    }
    let page = sandbox.root().join("page.html");
    sandbox.run(["report", "--html", page.to_str().unwrap()]).exits(0);
}

/// How many files the ledger says were deleted by its last run.
fn recorded(sandbox: &Sandbox) -> u64 {
    let lines = sandbox.ledger_lines();
    let run = &lines.last().unwrap()["run"];
    let of_run = lines.iter().filter(|line| &line["run"] == run && line["event"] == "outcome");
    of_run.filter(|line| line["decision"] == "delete").filter_map(|line| line["files"].as_u64()).sum()
}

/// Records of what is encrypted are ours, and in no count; what is encrypted or preserved is content, and in all.
#[test]
fn every_report_counts_alike() {
    let made = || {
        let (sandbox, store) = sealing();
        for number in [1, 2] {
            let session = store.session(number).aged(days(9)).write();
            session.side_file("tool-results/a", "x".repeat(5_000));
            store.history(Some(session.id()), "/work/acme", days(9));
        }
        store.session(3).aged(days(9)).write();
        let hold = ["hold", "add", "--session", &crate::common::id(3), "--reason", "r", "--preserve"];
        sandbox.run([&hold[..], &["--name", "h"]].concat()).exits(0);
        sandbox.run(ENFORCE).exits(0);
        assert!(store.has(format!("ccretain/sealed/{}/session.json", crate::common::id(1))));
        sandbox
    };
    let sandbox = made();
    let words = ["purge", "--json", "--break-holds", "over"];
    let dry = sandbox.run([&words[..], &["--dry-run"]].concat());
    let text = sandbox.run(["purge", "--dry-run", "--break-holds", "over"]);
    let output = sandbox.run([&words[..], &["--yes", "--certificate", "c.json"]].concat());
    output.exits(0);
    let counts = &output.json()["counts"];
    // Two sessions of two files, one of one, and its copy.
    for output in [&dry, &output] {
        assert_eq!((output.summary("deleted"), output.summary("sessionsDeleted")), (6, 3), "{output}");
        assert_eq!(output.summary("bytesFreed"), counts["bytes"].as_u64().unwrap(), "{output}");
    }
    text.says("would remove: 3 sessions, 6 files, 2 lines,");
    assert_eq!((&counts["files"], &counts["sessions"], &counts["lines"]), (&6.into(), &3.into(), &2.into()));
    assert_eq!(counts["kinds"]["preserved-copy"]["files"], 1, "{counts}");
    let certificate = fs::read(sandbox.home().join("c.json")).unwrap();
    let certificate: serde_json::Value = serde_json::from_slice(&certificate).unwrap();
    assert_eq!(&certificate["counts"], counts);
    assert_eq!(recorded(&sandbox), 6, "{:#?}", sandbox.ledger_lines());
    let sandbox = made();
    let output = sandbox.run(["purge", "--yes", "--break-holds", "over"]);
    output.exits(0).says("removed: 3 sessions, 6 files, 2 lines,");
}

#[test]
fn encrypted_sessions_that_go_are_not_among_what_stays() {
    let (sandbox, store) = sealing();
    for number in 1..=4 {
        let session = store.session(number).aged(days(if number < 3 { 40 } else { 9 })).write();
        sandbox.run(["seal", session.id()]).exits(0);
    }
    store.session(9).aged(days(0)).write();
    sandbox.delete_after("30d");
    let status = sandbox.run(["status", "--json"]);
    assert_eq!(status.json()["kept"]["sealed"], 2, "{status}");
    assert_eq!(status.json()["due"]["now"]["deleted"], 2, "{status}");
    let metrics = sandbox.home().join("m.prom");
    let output = sandbox.command(ENFORCE).arg("--metrics").arg(&metrics).run();
    output.exits(0);
    assert_eq!((output.summary("deleted"), recorded(&sandbox)), (2, 2), "{output}");
    let figures = fs::read_to_string(metrics).unwrap();
    let deleted =
        figures.lines().filter(|line| line.contains("deleted") && line.starts_with("ccretain_files{"));
    let deleted: u64 = deleted.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
    assert_eq!(deleted, 2, "{figures}");
}
