//! The newest record damaged: what a power loss left at the end of a transcript does not make its session old.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::common::sandbox::{deleting, has};
use crate::common::store::{Session, put, stamp};
use crate::common::{days, hours, now, skip};
use crate::seal::identity;

/// The record of a moment, as the client writes it.
fn record(session: &Session, hours_ago: i64) -> String {
    json!({"type": "user", "uuid": "u9", "sessionId": session.id(), "cwd": "/work/acme", "timestamp": stamp(now() - hours(hours_ago)),
        "message": {"role": "user", "content": "x"}})
    .to_string()
}

/// Appends a line to a file that was last written so long ago.
fn append(file: &Path, line: impl AsRef<[u8]>, hours_ago: i64) {
    let text = [&fs::read(file).unwrap(), line.as_ref(), b"\n"].concat();
    put(file, text, hours(hours_ago));
}

/// What may be left of a new record.
fn forms(new: &str) -> Vec<(&'static str, Vec<u8>)> {
    let date = |timestamp: &str| {
        let mut record: serde_json::Value = serde_json::from_str(new).unwrap();
        record["timestamp"] = json!("DATE");
        record.to_string().replace("\"DATE\"", timestamp).into_bytes()
    };
    vec![
        ("zero bytes", vec![0; 4096]),
        ("cut off", new[..new.len() / 2].into()),
        ("glued", [&new[..40], new].concat().into()),
        ("no number", date("NaN")),
        ("UTF-16", new.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("in a list", format!("[{new}]").into()),
        ("a key twice", new.replacen('{', "{\"timestamp\":\"2026-01-01T00:00:00Z\",", 1).into()),
        ("no zone", date("\"2026-11-20T10:00:00\"")),
        ("1970", date("\"1970-01-01T00:00:07.000Z\"")),
        ("no date", date("null")),
        ("zero", date("0")),
        ("a long line cut off", format!("{}{}", &new[..new.len() - 4], "x".repeat(300_000)).into()),
    ]
}

#[test]
fn a_session_resumed_today_is_not_old_because_its_last_record_is_lost() {
    let (sandbox, store) = deleting();
    let mut kept = Vec::new();
    let mut gone = Vec::new();
    for number in 0..12 {
        let session = store.session(100 + number).aged(days(50)).files_aged(days(50)).write();
        let (form, line) = forms(&record(&session, 5)).swap_remove(number as usize);
        append(&session.transcript, &line, 5);
        kept.push((form, session));
        // The same where the file is as old as its records, and where a sound record follows.
        let old = store.session(200 + number).aged(days(50)).files_aged(days(50)).write();
        append(&old.transcript, &line, 40 * 24);
        gone.push((form, old));
        let sound = store.session(300 + number).aged(days(50)).files_aged(days(50)).write();
        append(&sound.transcript, &line, 5);
        append(&sound.transcript, record(&sound, 49 * 24), 5);
        gone.push((form, sound));
        // A time that lies ahead says nothing.
        let ahead = store.session(400 + number).aged(days(50)).files_aged(days(50)).write();
        append(&ahead.transcript, &line, -300);
        gone.push((form, ahead));
    }
    sandbox.policy(r#"{"version": 1, "guard": "off", "rules": [{"name": "all", "deleteAfter": "30d"}]}"#);
    sandbox.enforce().exits(0).quietly();
    for (form, session) in kept {
        assert!(session.is_there(), "{form}");
    }
    for (form, session) in gone {
        assert!(!session.is_there(), "{form}");
    }
}

#[test]
fn a_damaged_file_is_as_old_as_the_later_of_both() {
    let (sandbox, store) = deleting();
    // The modification time was set back, and the last sound record is 10 days old.
    let set_back = store.session(1).aged(days(10)).files_aged(days(50)).write();
    append(&set_back.transcript, "{\"torn", 50 * 24);
    sandbox.enforce().exits(0).quietly();
    assert!(set_back.is_there());
    let explained = sandbox.run(["explain", set_back.id(), "--json"]).json();
    assert_eq!(explained["dates"]["counts"], "record");
    let resumed = store.session(2).aged(days(50)).files_aged(days(50)).write();
    append(&resumed.transcript, "{\"torn", 5);
    let explained = sandbox.run(["explain", resumed.id(), "--json"]).json();
    assert_eq!(explained["dates"]["counts"], "mtime");
    assert_eq!(explained["dates"]["damaged"], explained["dates"]["lastActivity"]);
    sandbox.run(["explain", resumed.id()]).exits(0).says("last lines cannot be read");
}

#[test]
fn a_damaged_subagent_dates_its_session() {
    let (sandbox, store) = deleting();
    let resumed = store.session(1).aged(days(50)).files_aged(days(50)).write();
    let agent = resumed.subagent("a1b2c3", days(50));
    append(&agent, "{\"type\":\"user\",\"timest", 5);
    let old = store.session(2).aged(days(50)).files_aged(days(50)).write();
    old.subagent("a1b2c3", days(50));
    sandbox.enforce().exits(0).quietly();
    assert!(resumed.is_there() && !old.is_there());
}

#[test]
fn a_run_changes_nothing_about_what_dates_a_damaged_session() {
    let (sandbox, store) = deleting();
    for (number, dated, agent_is_newer) in
        [(1, false, false), (2, false, true), (3, true, false), (4, true, true)]
    {
        let builder =
            store.session(number).aged(days(22)).files_aged(days(if agent_is_newer { 20 } else { 10 }));
        let session = if dated { builder } else { builder.undated() }.write();
        let agent = session.subagent("a1b2c3", days(15));
        put(&agent, "{\"torn", days(15));
        let activity =
            || sandbox.run(["explain", session.id(), "--json"]).json()["dates"]["lastActivity"].clone();
        let before = activity();
        for _ in 0..2 {
            sandbox.enforce().exits(0).quietly();
            assert_eq!(activity(), before, "{number}");
        }
        // Also once the damaged file is gone, whoever removed it.
        fs::remove_file(agent).unwrap();
        assert_eq!(activity(), before, "{number}");
    }
}

#[test]
fn a_damaged_session_keeps_its_date_sealed_and_unsealed() {
    let (sandbox, store) = deleting();
    let recipient = identity(&sandbox);
    sandbox.policy(&format!(
        r#"{{"version": 1, "recipients": ["{recipient}"], "rules": [{{"name": "all", "deleteAfter": "30d"}}]}}"#
    ));
    let session = store.session(1).aged(days(50)).files_aged(days(50)).write();
    append(&session.transcript, "{\"torn", 20 * 24);
    let activity =
        || sandbox.run(["explain", session.id(), "--json"]).json()["dates"]["lastActivity"].clone();
    let before = activity();
    assert!(before.as_str().unwrap() > stamp(now() - days(21)).as_str());
    sandbox.run(["seal", session.id()]).exits(0);
    assert!(!session.transcript.exists());
    assert_eq!(activity(), before);
    // A file with today's date is no evidence of when the lost record was written.
    sandbox.run(["unseal", session.id(), "--touch"]).exits(0);
    assert!(session.transcript.exists());
    assert_eq!(activity(), before);
    // What is written afterwards is.
    append(&session.transcript, "{\"torn again", 0);
    assert!(activity().as_str().unwrap() > stamp(now() - hours(1)).as_str());
}

#[test]
fn that_a_file_is_damaged_is_remembered_with_its_dates() {
    if !has("faketime") {
        return skip("needs faketime");
    }
    let (sandbox, store) = deleting();
    let session = store.session(1).aged(days(50)).files_aged(days(50)).write();
    append(&session.transcript, "{\"torn", 5);
    for _ in 0..3 {
        sandbox.command(["enforce", "--yes"]).at(now() + hours(1)).run().exits(0).quietly();
        assert!(session.is_there());
    }
    assert!(fs::read_to_string(sandbox.state().join("dates.json")).unwrap().contains("/work/acme"));
    sandbox.command(["enforce", "--yes"]).at(now() + days(31)).run().exits(0);
    assert!(!session.is_there(), "its file is as old as its policy allows");
}
