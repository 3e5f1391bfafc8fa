//! What is sealed is kept as long as it may be the only copy, and a part of it is never taken for the whole.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::sandbox::has;
use crate::common::store::{Session, age, put};
use crate::common::{Sandbox, days, id, skip};
use crate::faults::{with_mode, with_recipient};
use crate::seal::{client, identity, sealed, sealed_files};
use crate::seal_flushes::can_watch;

/// A sealed session with a file beside its transcript.
fn sealed_one(sandbox: &Sandbox) -> Session {
    let session = sandbox.store().session(1).aged(days(20)).write();
    session.side_file("tool-results/a", "content");
    sandbox.store().session(2).aged(days(1)).write();
    sandbox.run(["seal", session.id()]).exits(0);
    assert!(!session.is_there());
    session
}

fn edit_record(path: &Path, edit: impl Fn(&mut Value)) {
    let mut record: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    edit(&mut record);
    fs::write(path, record.to_string()).unwrap();
}

#[test]
fn resume_removes_nothing_of_which_the_plain_file_is_gone() {
    if !has("faketime") {
        return skip("needs faketime");
    }
    let program = env!("CARGO_BIN_EXE_ccretain");
    // What happens while Claude Code runs, how `resume` ends, and how many sealed files stay.
    for (script, exit, stay) in [
        (r#"rm -r "$T" "$S""#.to_owned(), 1, 2),
        (r#": > "$T""#.to_owned(), 1, 2),
        (r#"rm -r "$S""#.to_owned(), 0, 1),
        (r#"mkdir "$P/../-work-b" && mv "$T" "$S" "$P/../-work-b""#.to_owned(), 0, 0),
        // The timer seals it again: the same files, or new ones.
        (format!(r#"faketime "+3 days" {program} seal "$I" >/dev/null"#), 1, 2),
        ("true".to_owned(), 0, 0),
    ] {
        let sandbox = with_recipient();
        let session = sealed_one(&sandbox);
        let path = client(&sandbox, &format!("{script}\nexit 0"));
        let folder = session.transcript.parent().unwrap();
        let resume = sandbox.command(["resume", session.id()]).env("PATH", &path);
        let resume = resume.env("T", &session.transcript).env("S", session.side()).env("P", folder);
        let output = resume.env("I", session.id()).run();
        output.exits(exit);
        let left = sealed_files(&sandbox, &session);
        assert!(left.len() >= stay && (stay > 0 || left.is_empty()), "{script}: {left:?}: {output}");
        if exit == 1 {
            output.says("the sealed copy stays");
            sandbox.run(["cat", session.id()]).exits(0);
        }
    }
}

/// Claude Code goes on with the plain transcript, whatever date a restore, a clock or a sync gave it.
#[test]
fn what_claude_code_goes_on_with_is_printed() {
    let sandbox = with_recipient();
    let session = sealed_one(&sandbox);
    let path = client(&sandbox, r#"echo '{"type":"user","new":1}' >> "$T"; exit 130"#);
    let resume = sandbox.command(["resume", session.id()]).env("PATH", &path);
    resume.env("T", &session.transcript).run().exits(130);
    let bytes = fs::read(&session.transcript).unwrap();
    assert!(bytes.ends_with(b"\"new\":1}\n"));
    for old in [0, 19, 21, 400] {
        age(&session.transcript, days(old));
        let output = sandbox.run(["cat", session.id()]);
        assert_eq!(output.exits(0).quietly().stdout.as_bytes(), bytes, "{old}");
    }
    // An older part that came back is not what was sealed last, and that is said.
    put(&session.transcript, &bytes[..20], days(400));
    let output = sandbox.run(["cat", session.id()]);
    output.exits(0).says("the encrypted transcript was printed").says(&format!("{}.jsonl", session.id()));
    assert!(output.stdout.len() > 20 && bytes.starts_with(output.stdout.as_bytes()), "{output}");
}

/// The same session in two projects: one plain transcript is not the other.
#[test]
fn resume_takes_no_file_for_another_of_the_same_session() {
    let sandbox = with_recipient();
    let session = sandbox.store().session(1).aged(days(20)).write();
    let other = sandbox.store().session(1).cwd("/work/other").aged(days(20)).write();
    sandbox.store().session(2).aged(days(1)).write();
    sandbox.run(["seal", session.id()]).exits(0);
    assert_eq!(sealed_files(&sandbox, &session).len(), 2);
    let path = client(&sandbox, r#"rm "$T"; exit 0"#);
    let resume = sandbox.command(["resume", session.id()]).env("PATH", &path);
    let output = resume.env("T", &other.transcript).run();
    output.exits(1).says("the sealed copy stays").says(other.folder.as_str());
    assert_eq!(sealed_files(&sandbox, &session).len(), 2, "{output}");
}

/// What was not removed is not recorded as removed.
#[test]
fn resume_tells_of_a_copy_that_was_sealed_anew_meanwhile() {
    let sandbox = with_recipient();
    let session = sealed_one(&sandbox);
    let program = env!("CARGO_BIN_EXE_ccretain");
    let path = client(&sandbox, &format!("{program} rekey --all >/dev/null; exit 0"));
    let output = sandbox.command(["resume", session.id()]).env("PATH", &path).run();
    output.exits(1).says("the sealed copy stays").says("meanwhile");
    assert!(session.is_there() && sealed_files(&sandbox, &session).len() == 2, "{output}");
    let lines = sandbox.ledger_lines();
    let outcome = lines.iter().rfind(|line| line["decision"] == "remove-sealed-copy").unwrap();
    assert_eq!((&outcome["outcome"], &outcome["files"]), (&"skipped".into(), &0.into()));
}

#[test]
fn unsealing_with_todays_date_dates_what_was_there_already() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(days(50)).write();
    let before = fs::read(&session.transcript).unwrap();
    identity(&sandbox);
    sandbox.run(["seal", session.id()]).exits(0);
    // As a run leaves it that is killed before the plain file goes.
    put(&session.transcript, before, days(50));
    sandbox.run(["unseal", session.id()]).exits(4).says("--touch");
    sandbox.run(["unseal", session.id(), "--touch"]).exits(0);
    let age = fs::metadata(&session.transcript).unwrap().modified().unwrap().elapsed().unwrap();
    assert!(age.as_secs() < 300 && !sealed(&sandbox, &session).exists());
}

#[test]
fn a_record_that_lacks_a_file_is_not_taken_for_the_session() {
    let lacks: [fn(&mut Value); 2] = [
        |record| record["files"] = json!([]),
        |record| record["files"].as_array_mut().unwrap().retain(|file| file["kind"] != "transcript"),
    ];
    for lacks in lacks {
        let sandbox = with_recipient();
        let session = sealed_one(&sandbox);
        let add =
            ["hold", "add", "--session", id(2).leak(), "--reason", "a case", "--name", "kept", "--preserve"];
        sandbox.run(add).exits(0);
        edit_record(&sealed(&sandbox, &session).join("session.json"), lacks);
        let files = sealed_files(&sandbox, &session);
        let no_record = "is not in the record of its session";
        sandbox.run(["unseal", session.id(), "--touch"]).exits(1).says(no_record);
        sandbox.run(["rekey", "--all"]).exits(1).says(no_record);
        let check = sandbox.run(["check", "--json"]).json();
        let findings = check["findings"].as_array().unwrap();
        assert!(findings.iter().any(|finding| finding["id"] == "sealed-unreadable"), "{findings:?}");
        assert_eq!(sealed_files(&sandbox, &session), files);
        let held = sandbox.home().join(".claude/ccretain/held/kept").join(id(2)).join("session.json");
        edit_record(&held, lacks);
        fs::remove_file(sandbox.store().path(format!("projects/-work-acme/{}.jsonl", id(2)))).unwrap();
        sandbox.run(["hold", "restore", "kept", "--keep-date"]).exits(1).says(no_record);
    }
}

#[test]
fn re_encrypting_names_what_it_could_not_see() {
    let sandbox = with_recipient();
    let session = sealed_one(&sandbox);
    let all = sandbox.home().join(".claude/ccretain/sealed");
    for folder in [all.clone(), all.join(session.id()), all.join(session.id()).join("projects")] {
        let name = folder.file_name().unwrap().to_str().unwrap();
        with_mode(&sandbox, &folder, 0o000, &["rekey", "--all"])
            .exits(1)
            .says(name)
            .says("Permission denied");
        with_mode(&sandbox, &folder, 0o000, &["unseal", session.id(), "--touch"]).exits(1);
    }
    sandbox.command(["rekey", "--all"]).unprivileged().run().exits(0);
}

#[test]
fn a_session_whose_sealed_form_cannot_be_removed_is_back_all_the_same() {
    let sandbox = with_recipient();
    let session = sealed_one(&sandbox);
    let folder = sealed(&sandbox, &session).join("projects").join(&session.folder);
    let output = with_mode(&sandbox, &folder, 0o500, &["unseal", session.id(), "--touch", "--json"]);
    output.exits(1).says("it is back, and its sealed form could not be removed");
    assert!(session.is_there());
    let item = &output.json()["sessions"][0];
    assert_eq!((&item["outcome"], &item["files"]), (&"unsealed".into(), &2.into()), "{item}");
    age(&session.transcript, days(0));
    let again = sandbox.command(["unseal", session.id(), "--touch"]).unprivileged().run();
    again.exits(0);
    assert!(!sealed(&sandbox, &session).exists());
}

#[test]
fn a_transcript_that_may_be_a_part_is_said_to_be_one() {
    let sandbox = with_recipient();
    let session = sealed_one(&sandbox);
    put(&session.transcript, format!("{}\n", json!({"type": "user"})), days(5));
    sandbox.run(["seal", session.id()]).exits(0);
    assert_eq!(sealed_files(&sandbox, &session).len(), 3);
    // An older record: what was sealed last is not in it.
    edit_record(&sealed(&sandbox, &session).join("session.json"), |record| {
        record["files"].as_array_mut().unwrap().retain(|file| !file["sealed"].to_string().contains(".1."));
    });
    let output = sandbox.run(["cat", session.id()]);
    output.exits(1).says("may be a part of session").says("is not in the record of its session");
    assert!(!output.stdout.is_empty(), "what can be shown is shown");
}

/// Every sealed file of a session is in its record, whatever could not be looked at while more of it was sealed.
#[test]
fn a_record_keeps_what_could_not_be_looked_at() {
    if !can_watch() {
        return;
    }
    let mut failed = 0;
    for number in 1..=8 {
        let sandbox = with_recipient();
        let session = sealed_one(&sandbox);
        let folder = sealed(&sandbox, &session)
            .join(session.side().strip_prefix(sandbox.home().join(".claude")).unwrap());
        put(&session.transcript, format!("{}\n", json!({"type": "user"})), days(5));
        let fault = format!("inject=newfstatat,statx:error=EIO:when={number}");
        let side = folder.join("tool-results");
        // Only of the first thread, which seals: others look.
        let mut strace = vec!["strace", "-qq", "-o", "/dev/null", "-P", side.to_str().unwrap()];
        strace.extend(["-e", "trace=newfstatat,statx", "-e", &fault]);
        let output = sandbox.command(["seal", session.id()]).through(strace).run();
        failed += u32::from(output.code == Some(1));
        let record = sealed(&sandbox, &session).join("session.json");
        let record: Value = serde_json::from_str(&fs::read_to_string(record).unwrap()).unwrap();
        let recorded = record["files"].as_array().unwrap().len();
        assert_eq!(recorded, sealed_files(&sandbox, &session).len(), "{number}: {output}");
        if output.code == Some(1) {
            output.says("cannot read the record").says("Input/output error");
            assert!(session.is_there());
        }
    }
    assert!(failed > 0, "no look at a sealed file failed");
}

#[test]
fn names_that_leave_room_for_a_short_ending_alone_are_sealed_and_so_are_copies() {
    for compression in ["zstd", "none"] {
        let sandbox = Sandbox::new();
        let recipient = identity(&sandbox);
        crate::seal::seals(&sandbox, &recipient, &format!(r#""compression": "{compression}","#));
        let session = sandbox.store().session(1).aged(days(5)).write();
        let names = [240, 241, 242, 243].map(|length| format!("tool-results/{}", "n".repeat(length)));
        let files = names.each_ref().map(|name| session.side_file(name, "content"));
        sandbox.enforce().exits(0).quietly();
        assert!(!session.is_there() && files.iter().all(|file| !file.exists()), "{compression}");
        // Written again by a client that went on: each is sealed beside the first.
        for file in [&session.transcript].into_iter().chain(&files) {
            put(file, format!("{}\n", json!({"type": "user"})), days(4));
        }
        sandbox.enforce().exits(0).quietly();
        assert!(!session.is_there(), "{compression}");
        assert_eq!(sealed_files(&sandbox, &session).len(), 10);
        sandbox.run(["unseal", session.id(), "--keep-date"]).exits(0);
        assert!(files.iter().all(|file| fs::read_to_string(file).unwrap().contains("user")));
    }
}

/// Where it is killed before that, Claude Code finds files of the old date.
#[test]
fn what_was_there_already_is_dated_before_anything_gets_its_name() {
    if !can_watch() {
        return;
    }
    let sandbox = with_recipient();
    let session = sandbox.store().session(1).aged(days(50)).write();
    let side = session.side_file("tool-results/a", "content");
    age(&side, days(50));
    sandbox.run(["seal", session.id()]).exits(0);
    // As a run leaves it that was killed on its way.
    put(&side, "content", days(50));
    let log = sandbox.root().join("calls").display().to_string();
    let kill = ["strace", "-f", "-qq", "-o", &log, "-e", "inject=renameat2:signal=KILL:when=1"];
    sandbox.command(["unseal", "--touch", session.id()]).through(kill).run();
    assert!(!session.is_there(), "it was not killed where the transcript gets its name");
    let age = fs::metadata(&side).unwrap().modified().unwrap().elapsed().unwrap();
    assert!(age.as_secs() < 300, "it has its old date");
}

#[test]
fn json_tells_what_could_not_be_looked_into_and_other_stores_are_no_concern() {
    let sandbox = with_recipient();
    sealed_one(&sandbox);
    let all = sandbox.home().join(".claude/ccretain/sealed");
    let output = with_mode(&sandbox, &all, 0o000, &["rekey", "--all", "--json"]);
    let errors = output.exits(1).json()["errors"].clone();
    assert!(errors[0].as_str().unwrap().contains("where sealed files may be"), "{errors}");
    // A folder that is refused as a store, beside the one that is named.
    let sandbox = with_recipient();
    sealed_one(&sandbox);
    let loose = sandbox.home().join("loose");
    let other = crate::common::StoreBuilder::new(loose.clone(), sandbox.client_tmp());
    other.session(7).write();
    let with = |words: &[&str]| sandbox.command(words).env("CLAUDE_CONFIG_DIR", &loose).run();
    with(&["rekey", "--all"]).exits(0);
    fs::set_permissions(&loose, fs::Permissions::from_mode(0o777)).unwrap();
    with(&["rekey", "--all"]).exits(1).says("refused as a store");
    let store = sandbox.home().join(".claude").display().to_string();
    with(&["--store", &store, "rekey", "--all"]).exits(0);

    let sandbox = with_recipient();
    let session = sandbox.store().session(1).aged(days(5)).write();
    let add = ["hold", "add", "--session", session.id(), "--reason", "x", "--preserve", "--name", "case"];
    sandbox.run(add).exits(0);
    let held = sandbox.home().join(".claude/ccretain/held");
    let output = with_mode(&sandbox, &held, 0o000, &["hold", "restore", "case", "--json"]);
    let errors = output.exits(1).json()["errors"].clone();
    assert!(errors[0].as_str().unwrap().contains("cannot look for preservation copies"), "{errors}");
    with_mode(&sandbox, &held, 0o000, &["hold", "restore", session.id()])
        .exits(1)
        .says("cannot look for preservation copies");
}

/// Between a run that was killed and the next, somebody writes as many bytes and sets the date back.
#[test]
fn what_was_written_over_a_sealed_file_is_not_taken_for_it() {
    let sandbox = with_recipient();
    let session = sandbox.store().session(1).aged(days(20)).write();
    let before = fs::read(&session.transcript).unwrap();
    let modified = fs::metadata(&session.transcript).unwrap().modified().unwrap();
    sandbox.store().session(2).aged(days(1)).write();
    sandbox.run(["seal", session.id()]).exits(0);
    let mut edited = before.clone();
    let at = edited.iter().position(|byte| *byte == b'w').unwrap();
    edited[at] = b'W';
    fs::write(&session.transcript, &edited).unwrap();
    fs::File::options().write(true).open(&session.transcript).unwrap().set_modified(modified).unwrap();
    sandbox.run(["seal", session.id()]).exits(0);
    assert!(!session.is_there());
    assert_eq!(sealed_files(&sandbox, &session).len(), 2, "neither is lost");
    assert_eq!(sandbox.run(["cat", session.id()]).exits(0).stdout.as_bytes(), edited);
    sandbox.run(["unseal", session.id(), "--touch"]).exits(0);
    assert_eq!(fs::read(&session.transcript).unwrap(), edited);
}
