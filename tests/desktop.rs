//! Sessions of the desktop application: those that their user deleted there, and when Claude Code's own cleanup
//! removes those that it let go of.

use std::fs;

use serde_json::{Value, json};

use crate::common::store::{Session, age, put};
use crate::common::{Sandbox, days, id};
use crate::seal::identity;

/// The note that the desktop application leaves beside a transcript when it lets go of it.
fn released(session: &Session, reason: &str, old: chrono::Duration) {
    let note = json!({"v": 1, "releasedAt": "2026-11-01T00:00:00.000Z", "reason": reason}).to_string();
    put(&session.transcript.with_extension("desktop-released.json"), note, old);
}

/// The mark that it leaves among its own files.
fn tombstone(sandbox: &Sandbox, number: u32) {
    let account = sandbox.home().join(".config/Claude/claude-code-sessions").join(id(80)).join(id(81));
    put(&account.join(format!("deleted_{}", id(number))), "1", days(2));
    put(&account.join(format!("local_{}.json", id(82))), json!({"cliSessionId": id(9)}).to_string(), days(2));
}

fn written(sandbox: &Sandbox, number: u32, old: chrono::Duration) -> Session {
    let session = sandbox.store().session(number).entrypoint("claude-desktop").aged(old).write();
    session.satellites();
    session
}

#[test]
fn what_was_deleted_in_the_desktop_application_is_due_at_once() {
    let sandbox = Sandbox::new();
    let sessions: Vec<Session> = (1..=5).map(|number| written(&sandbox, number, days(2))).collect();
    let old = written(&sandbox, 6, days(40));
    released(&sessions[0], "delete", days(2));
    released(&sessions[1], "archive", days(2));
    tombstone(&sandbox, 3);
    released(&sessions[3], "something new", days(2));
    sandbox.store().history(Some(sessions[0].id()), "/work/acme", days(2));
    // Without the key nothing of it matters.
    sandbox.policy(r#"{"version": 1}"#);
    let planned = sandbox.dry_run();
    assert_eq!(planned.summary("sessionsDeleted"), 1, "{planned}");
    sandbox.policy(r#"{"version": 1, "desktopDeleted": "immediately"}"#);
    // A rule for few is none for the others.
    let file = sandbox.policy(r#"{"version": 1, "desktopDeleted": "immediately", "rules": [{"sessions": ["00000009-0000-4000-8000-00000000cafe"], "deleteAfter": "90d"}]}"#);
    sandbox.run(["policy", "check", file.to_str().unwrap()]).exits(0).says("6 of 7 sessions");
    sandbox.policy(r#"{"version": 1, "desktopDeleted": "immediately"}"#);
    let explained = sandbox.run(["explain", sessions[0].id(), "--json"]).json();
    let decides = explained["rules"].as_array().unwrap().iter().find(|rule| rule["standing"] == "decides");
    assert_eq!(decides.unwrap()["name"], "desktopDeleted", "{explained}");
    sandbox.run(["explain", sessions[0].id()]).exits(0).says("desktopDeleted");
    let output = sandbox.enforce();
    output.exits(0).quietly();
    let there: Vec<bool> = sessions.iter().map(Session::is_there).collect();
    assert_eq!(there, [false, true, false, true, true], "{output}");
    // The built-in rule still holds, since no rule deletes by age.
    assert!(!old.is_there());
    for session in [&sessions[0], &sessions[2]] {
        assert!(!session.side().exists() && !session.temp().exists());
        let names_it = walkdir::WalkDir::new(sandbox.home()).into_iter().flatten();
        let mut names_it = names_it.filter(|entry| entry.path().to_string_lossy().contains(session.id()));
        assert!(names_it.next().is_none(), "something of it is left");
    }
    assert!(sandbox.store().history_lines().is_empty());
    let lines = sandbox.ledger_lines();
    let told = lines.iter().filter(|line| line["event"] == "outcome" && line["rule"] == "desktopDeleted");
    assert!(told.count() >= 2, "{lines:?}");
    assert_eq!(sandbox.enforce().summary("deleted"), 0);
}

#[test]
fn holds_live_sessions_and_floors_still_protect_what_was_deleted_there() {
    let sandbox = Sandbox::new();
    let [held, live, young, fresh] = [1, 2, 3, 4].map(|number| {
        let session = written(&sandbox, number, days(2));
        released(&session, "delete", days(2));
        session
    });
    released(&fresh, "delete", chrono::Duration::zero());
    sandbox.policy(r#"{"version": 1, "desktopDeleted": "immediately", "keepAtLeast": "7d"}"#);
    assert_eq!(sandbox.enforce().exits(0).summary("sessionsDeleted"), 0);
    sandbox.policy(
        &json!({"version": 1, "desktopDeleted": "immediately",
            "holds": [{"name": "case", "sessions": [held.id()], "reason": "x"}]})
        .to_string(),
    );
    sandbox.store().pid_file(std::process::id(), live.id(), json!({}));
    sandbox.enforce().exits(0);
    assert!(held.is_there() && live.is_there() && fresh.is_there() && !young.is_there());
}

#[test]
fn a_managed_layer_says_it_for_all() {
    if !crate::common::sandbox::has_namespaces() {
        return crate::common::skip("needs root and namespaces");
    }
    let sandbox = Sandbox::new();
    let session = written(&sandbox, 1, days(2));
    released(&session, "delete", days(2));
    let folder = sandbox.root().join("system");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("managed-policy.json"), r#"{"version": 1, "desktopDeleted": "immediately"}"#)
        .unwrap();
    sandbox.policy(
        &json!({"version": 1, "keepAtLeast": "90d", "rules": [{"deleteAfter": "never"}],
            "holds": [{"name": "mine", "sessions": [session.id()], "reason": "x"}]})
        .to_string(),
    );
    let shown = sandbox.command(["policy", "show", "--json"]).with_system_folder(&folder).run();
    let json = shown.exits(0).json();
    let row = json["values"].as_array().unwrap().iter().find(|row| row["key"] == "desktopDeleted").unwrap();
    assert_eq!((&row["value"], &row["source"]), (&"immediately".into(), &"managed".into()), "{json}");
    sandbox.command(["enforce", "--yes"]).with_system_folder(&folder).run().exits(0);
    assert!(!session.is_there(), "a user stopped a managed rule");
}

#[test]
fn other_words_are_no_value_of_the_key() {
    let sandbox = Sandbox::new();
    for wrong in [r#""never""#, r#""30d""#, "true", "null", r#""Immediately""#] {
        sandbox.policy(&format!(r#"{{"version": 1, "desktopDeleted": {wrong}}}"#));
        sandbox.enforce().exits(2).says("immediately");
    }
    sandbox.policy(r#"{"version": 1, "desktopdeleted": "immediately"}"#);
    sandbox.enforce().exits(2).says("desktopDeleted");
}

#[test]
fn a_sealed_session_is_known_to_have_been_deleted_there() {
    let sandbox = Sandbox::new();
    identity(&sandbox);
    let session = written(&sandbox, 1, days(2));
    released(&session, "delete", days(2));
    let later = written(&sandbox, 2, days(2));
    sandbox.run(["seal", session.id(), later.id()]).exits(0).quietly();
    sandbox.policy(r#"{"version": 1, "desktopDeleted": "immediately"}"#);
    assert_eq!(sandbox.enforce().exits(0).summary("sessionsDeleted"), 1);
    let sealed = |session: &Session| sandbox.store().path("ccretain/sealed").join(session.id()).exists();
    assert!(!sealed(&session) && sealed(&later));
    // A note that comes after the sealing counts as well.
    released(&later, "delete", days(1));
    assert_eq!(sandbox.enforce().exits(0).summary("sessionsDeleted"), 1);
    assert!(!sealed(&later));
}

fn removes(sandbox: &Sandbox, session: &Session) -> Value {
    sandbox.run(["explain", session.id(), "--json"]).json()["client"].clone()
}

#[test]
fn explain_and_holds_tell_when_claude_code_removes_what_was_released() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("90d");
    let day = |value: &Value| value["removes"].as_str().map(|time| time[..10].to_owned());
    let in_days = |days: i64| Some((chrono::Utc::now() + self::days(days)).format("%Y-%m-%d").to_string());
    let kept = written(&sandbox, 1, days(10));
    let deleted = written(&sandbox, 2, days(10));
    released(&deleted, "delete", days(9));
    let archived = written(&sandbox, 3, days(10));
    released(&archived, "archive", days(4));
    let empty = sandbox.store().session(4).aged(days(10)).write();
    fs::write(&empty.transcript, "").unwrap();
    age(&empty.transcript, days(10));
    let plain = sandbox.store().session(5).aged(days(10)).write();
    for (session, goes) in [
        (&kept, None),
        (&deleted, in_days(20)),
        (&archived, in_days(26)),
        (&empty, None),
        (&plain, in_days(20)),
    ] {
        let told = removes(&sandbox, session);
        assert_eq!(day(&told), goes, "{}: {told}", session.id());
    }
    let hold = |session: &Session, name: &str| {
        let add = ["hold", "add", "--session", session.id(), "--reason", "x", "--name", name, "--json"];
        sandbox.run(add).json()["hold"]["clientRemoves"]["first"].clone()
    };
    assert_eq!(hold(&kept, "one"), Value::Null);
    assert_eq!(hold(&archived, "two").as_str().map(|time| time[..10].to_owned()), in_days(26));
    let status = sandbox.run(["status", "--json"]).json();
    assert_eq!(status["client"][0]["never"], 2, "{}", status["client"]);
    // Managed settings end every exemption.
    sandbox.write(".claude/remote-settings.json", r#"{"cleanupPeriodDays": 12}"#);
    for session in [&kept, &deleted, &archived, &empty, &plain] {
        assert_eq!(day(&removes(&sandbox, session)), in_days(2), "{}", session.id());
    }
}
