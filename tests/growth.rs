//! `check` over stores that their owners laid out to keep it busy: ten times as much takes about ten times as long.

use std::fmt::Write as _;

use serde_json::json;

use crate::common::sandbox::has;
use crate::common::{Sandbox, days, hours, id, skip};

/// So much more of the larger one, and the most that it may take: twice its share.
const TIMES: u32 = 10;
const MOST: f64 = 20.0;
/// A smaller one takes as long as this, in seconds: below it the start of the program is measured.
const LEAST: f64 = 0.15;

/// What is laid out: its name, how, and how often in the smaller store.
type Case = (&'static str, fn(&Sandbox, u32), u32);

const CASES: &[Case] = &[
    ("a project for each session", projects, 200),
    ("a pid file for each session", pid_files, 400),
    ("a project in each line of one session", lines, 1_500),
    ("a project in each line of what is left of a session", orphans, 1_500),
    ("a project in each entry of an index", entries, 1_500),
    ("a project folder for each copy of a session", copies, 300),
    ("a project in each record of a transcript without dates", records, 4_000),
    ("sealed files without a record", sealed, 500),
    ("folders within folders", |sandbox, n| deep(sandbox, "projects/-w", n), 300),
    ("folders within the folder of a job", jobs, 300),
    (
        "folders within a sealed session",
        |sandbox, n| deep(sandbox, &format!("ccretain/sealed/{}", id(1)), n),
        300,
    ),
    ("unsealed sessions in the state", unsealed, 400),
    ("roots in the state", roots, 1_000),
];

fn projects(sandbox: &Sandbox, n: u32) {
    let store = sandbox.store();
    (1..=n).for_each(|number| drop(store.session(number).cwd(&format!("/w/{number}")).aged(days(2)).write()));
}

fn pid_files(sandbox: &Sandbox, n: u32) {
    let store = sandbox.store();
    for number in 1..=n {
        store.session(number).aged(days(2)).write();
        let record = json!({"pid": 1, "sessionId": id(number), "pidDomain": "linux:x:pid:[1]"});
        store.put(format!("sessions/{}.json", number + 100), record.to_string(), hours(5));
    }
}

fn history(sandbox: &Sandbox, n: u32) {
    let mut text = String::new();
    for number in 1..=n {
        let line = json!({"display": "x", "timestamp": 1_790_000_000_000_u64 + u64::from(number),
            "project": format!("/w/{number}"), "sessionId": id(1)});
        writeln!(text, "{line}").unwrap();
    }
    sandbox.store().put("history.jsonl", text, hours(5));
}

fn lines(sandbox: &Sandbox, n: u32) {
    sandbox.store().session(1).aged(days(2)).write();
    history(sandbox, n);
}

fn orphans(sandbox: &Sandbox, n: u32) {
    sandbox.store().put(format!("file-history/{}/a@v1", id(1)), "x", days(2));
    history(sandbox, n);
}

fn entries(sandbox: &Sandbox, n: u32) {
    let store = sandbox.store();
    store.session(1).aged(days(2)).write();
    let entry = |number| json!({"sessionId": id(1), "projectPath": format!("/w/{number}"), "modified": "2026-11-01T00:00:00Z"});
    let entries: Vec<_> = (1..=n).map(entry).collect();
    store.put(
        "projects/-work-acme/sessions-index.json",
        json!({"version": 1, "entries": entries}).to_string(),
        days(2),
    );
}

fn record(project: &str, time: Option<&str>) -> String {
    let mut record =
        json!({"type": "user", "uuid": "u", "cwd": project, "sessionId": id(1), "message": {"content": "x"}});
    if let Some(time) = time {
        record["timestamp"] = time.into();
    }
    record.to_string() + "\n"
}

fn copies(sandbox: &Sandbox, n: u32) {
    for number in 1..=n {
        let text = record(&format!("/w/{number}"), Some("2026-11-01T00:00:00Z"));
        sandbox.store().put(format!("projects/-w-{number}/{}.jsonl", id(1)), text, days(2));
    }
}

fn records(sandbox: &Sandbox, n: u32) {
    let text: String = (1..=n).map(|number| record(&format!("/w/{number}"), None)).collect();
    sandbox.store().put(format!("projects/-w/{}.jsonl", id(1)), text, days(2));
}

fn sealed(sandbox: &Sandbox, n: u32) {
    for number in 1..=n {
        let path = format!("ccretain/sealed/{0}/projects/-w/{0}.jsonl.age", id(number));
        sandbox.store().put(path, "x", days(2));
    }
}

fn deep(sandbox: &Sandbox, top: &str, n: u32) {
    use rustix::fs::{Mode, OFlags, mkdirat, openat};
    let store = sandbox.store();
    store.session(1).aged(days(2)).write();
    let top = store.put(format!("{top}/x"), "x", days(2));
    let flags = OFlags::DIRECTORY | OFlags::RDONLY;
    let mut folder = rustix::fs::open(top.parent().unwrap(), flags, Mode::empty()).unwrap();
    for _ in 0..n {
        mkdirat(&folder, "d", Mode::from_raw_mode(0o755)).unwrap();
        folder = openat(&folder, "d", flags, Mode::empty()).unwrap();
        let mode = Mode::from_raw_mode(0o644);
        drop(openat(&folder, "x.jsonl.age", OFlags::CREATE | OFlags::WRONLY, mode).unwrap());
    }
}

fn jobs(sandbox: &Sandbox, n: u32) {
    let record = json!({"sessionId": id(1), "state": "done"}).to_string();
    sandbox.store().put("jobs/0a1b2c3d/state.json", record, days(2));
    deep(sandbox, "jobs/0a1b2c3d/x", n);
}

fn state(sandbox: &Sandbox, state: &serde_json::Value) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(sandbox.state()).unwrap();
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(sandbox.state(), mode(0o700)).unwrap();
    let path = sandbox.state().join("state.json");
    std::fs::write(&path, state.to_string()).unwrap();
    std::fs::set_permissions(path, mode(0o600)).unwrap();
}

fn unsealed(sandbox: &Sandbox, n: u32) {
    let store = sandbox.store();
    (1..=n).for_each(|number| drop(store.session(number).aged(days(2)).write()));
    let time = "2026-11-01T00:00:00Z";
    let row = |number| json!({"store": store.root, "session": id(number), "lastActivity": time, "unsealedAt": time});
    let rows: Vec<_> = (1..=n).map(row).collect();
    state(sandbox, &json!({"version": 1, "unsealed": rows}));
}

fn roots(sandbox: &Sandbox, n: u32) {
    let time = "2026-11-01T00:00:00Z";
    let row = |number: u32| json!({"path": format!("/nowhere/{number}"), "kind": "config", "firstSeen": time, "lastSeen": time});
    let rows: Vec<_> = (1..=n).map(row).collect();
    state(sandbox, &json!({"version": 1, "roots": rows}));
}

/// The processor time of a check, in seconds: other tests run at the same time.
fn seconds(case: fn(&Sandbox, u32), n: u32) -> f64 {
    let sandbox = Sandbox::new();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "r", "deleteAfter": "30d"}],
            "holds": [{"name": "h", "projects": ["/elsewhere/**"], "reason": "x"}]}"#,
    );
    case(&sandbox, n);
    let script = r#"TIMEFORMAT="%U %S"; time timeout 60 "$@" > /dev/null 2>&1"#;
    let output = sandbox.command(["check", "--json"]).inner(["bash", "-c", script, "bash"]).run();
    let last = output.stderr.lines().last().unwrap_or_default();
    last.split(' ').map(|time| time.parse::<f64>().unwrap()).sum()
}

#[test]
fn a_check_takes_no_longer_than_what_it_looks_at() {
    if !has("bash") || !has("timeout") {
        return skip("needs bash and timeout");
    }
    let mut wrong = Vec::new();
    for (name, case, n) in CASES {
        let (few, many) = (seconds(*case, *n), seconds(*case, n * TIMES));
        eprintln!("{name}: {n} in {few:.2} s, {} in {many:.2} s", n * TIMES);
        if many > MOST * few.max(LEAST) {
            wrong.push(format!("{name}: {n} in {few:.2} s, {} in {many:.2} s", n * TIMES));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
