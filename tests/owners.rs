//! What belongs to somebody who cannot be found out, and what belongs to another account.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;

use serde_json::json;

use crate::common::sandbox::{deleting, is_root};
use crate::common::store::{CONTENT, put};
use crate::common::{Output, days, id, skip};

fn reason(output: &Output, path: &str) -> String {
    output.item(path)["reason"].as_str().unwrap_or_default().to_owned()
}

/// Documents that name a session, and cannot be read or name none.
fn damaged(document: &str, key: &str) -> Vec<Vec<u8>> {
    let with = |value: serde_json::Value| {
        let mut document: serde_json::Value = serde_json::from_str(document).unwrap();
        document[key] = value;
        document.to_string().into_bytes()
    };
    let mut without: serde_json::Value = serde_json::from_str(document).unwrap();
    without.as_object_mut().unwrap().remove(key);
    vec![
        with(json!(null)),
        with(json!("")),
        with(json!("not-an-id")),
        with(json!(17)),
        with(json!([id(1)])),
        without.to_string().into_bytes(),
        document.as_bytes()[..document.len() / 2].to_vec(),
        document.as_bytes()[..document.len() - 1].to_vec(),
        format!("[{document}]").into_bytes(),
        format!("{document}{document}").into_bytes(),
        document.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        [vec![0; 20], document.as_bytes().to_vec()].concat(),
        vec![0; 512],
        Vec::new(),
    ]
}

#[test]
fn a_desktop_index_whose_session_cannot_be_read_stays() {
    let (sandbox, _) = deleting();
    let roots = ["claude-code-sessions/acc/org", "local-agent-mode-sessions/acc/org"];
    let folder = |root: &str| sandbox.home().join(".config/Claude").join(root);
    let document = json!({"title": "x", "cliSessionId": id(1)}).to_string();
    let all = damaged(&document, "cliSessionId");
    for root in roots {
        for (number, text) in all.iter().enumerate() {
            put(&folder(root).join(format!("local_{number}.json")), text, days(400));
        }
    }
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    for root in roots {
        for number in 0..all.len() {
            let path = format!("{root}/local_{number}.json");
            assert_eq!(reason(&output, &path), "owner-unknown", "{path}");
            assert!(folder(root).join(format!("local_{number}.json")).exists());
        }
    }
    let one = folder(roots[0]).join("local_0.json");
    sandbox.run(["explain".as_ref(), one.as_os_str()]).exits(0).says("owner-unknown");
}

#[test]
fn a_byte_order_mark_hides_no_session() {
    let (sandbox, store) = deleting();
    store.session(1).aged(days(40)).write();
    store.session(2).aged(days(2)).write();
    let folder = sandbox.home().join(".config/Claude/claude-code-sessions/acc/org");
    for number in [1, 2] {
        let text = format!("\u{feff}{}", json!({"title": "x", "cliSessionId": id(number)}));
        put(&folder.join(format!("local_{number}.json")), text, days(400));
    }
    sandbox.enforce().exits(0);
    assert!(!folder.join("local_1.json").exists() && folder.join("local_2.json").exists());
}

#[test]
fn an_old_subagent_whose_session_cannot_be_read_stays() {
    let (sandbox, store) = deleting();
    let document =
        json!({"type": "user", "sessionId": id(1), "agentId": "a1", "timestamp": "2026-01-01T00:00:00Z"})
            .to_string();
    let all = damaged(&document, "sessionId");
    let path = |number: usize| format!("projects/-work-acme/agent-{number:08x}.jsonl");
    for (number, text) in all.iter().enumerate() {
        store.put(path(number), text, days(400));
    }
    // One whose first line is damaged names its session all the same.
    store.session(2).aged(days(2)).write();
    let named = json!({"type": "user", "sessionId": id(2), "agentId": "a1"}).to_string();
    store.put(path(100), format!("{{\"torn\n{named}\n"), days(400));
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    for number in 0..all.len() {
        assert_eq!(reason(&output, &path(number)), "owner-unknown", "{number}");
    }
    assert_eq!(reason(&output, &path(100)), "not-due");
}

#[test]
fn an_entry_of_an_index_whose_session_cannot_be_read_stays() {
    let (sandbox, store) = deleting();
    store.session(1).aged(days(40)).write();
    let old = "2026-01-01T00:00:00.000Z";
    let entries = json!({"version": 1, "entries": [
        {"sessionId": id(1), "modified": old}, {"sessionId": null, "modified": old}, {"modified": old, "projectPath": "/work/acme"},
        {"sessionId": "torn", "modified": old}, {"sessionId": 5, "modified": old},
    ]});
    let index = store.put("projects/-work-acme/sessions-index.json", entries.to_string(), days(400));
    sandbox.enforce().exits(0);
    let left: serde_json::Value = serde_json::from_str(&fs::read_to_string(index).unwrap()).unwrap();
    assert_eq!(left["entries"].as_array().unwrap().len(), 4);
}

#[test]
fn a_finished_job_whose_session_cannot_be_read_stays() {
    let (sandbox, store) = deleting();
    let state = json!({"state": "done", "tempo": "idle", "sessionId": null}).to_string();
    let files: Vec<PathBuf> = [("state.json", state.as_str()), ("timeline.jsonl", CONTENT)]
        .map(|(name, text)| store.put(format!("jobs/j1/{name}"), text, days(400)))
        .into();
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert!(files.iter().all(|file| file.exists()));
    assert_eq!(reason(&output, "jobs/j1/timeline.jsonl"), "owner-unknown");
}

#[test]
fn a_transcript_of_another_account_is_named_as_such() {
    if !is_root() {
        return skip("needs root");
    }
    let (sandbox, store) = deleting();
    let session = store.session(1).aged(days(40)).write();
    chown(&session.transcript, Some(4242), None).unwrap();
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert!(session.is_there());
    assert_eq!(reason(&output, &format!("{}.jsonl", id(1))), "foreign");
    assert_eq!(output.summary("foreign"), 1);
    sandbox.run(["explain", session.id()]).exits(0).says("keep (foreign)").never_says("undated");
    sandbox
        .run(["enforce", "--dry-run"])
        .exits(0)
        .says("owned by another account")
        .says(&format!("{}.jsonl'", id(1)));
    sandbox.run(["status"]).says("belongs to another account");
    // A link in place of a transcript is no other account's.
    fs::remove_file(&session.transcript).unwrap();
    std::os::unix::fs::symlink("/dev/null", &session.transcript).unwrap();
    sandbox.run(["explain", session.id()]).never_says("foreign");
}
