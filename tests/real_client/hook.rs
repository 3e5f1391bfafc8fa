//! The hook in the client's own settings: it enforces when a session ends, and the client never notices.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{Client, Desk, NEWEST, traces};
use crate::common::Sandbox;
use crate::common::sandbox::program;

/// How long a program hangs that stands in for ours; a client that waited for it would end no sooner.
const HANG: u32 = 90;

/// Waits for what happens in the background.
fn eventually(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The exit codes in the summaries of the ledger: a number for each run that has ended.
fn ended(sandbox: &Sandbox) -> Vec<u64> {
    let lines = sandbox.ledger_lines();
    let summaries = lines.iter().filter(|line| line["event"] == "summary");
    summaries.map(|line| line["counts"]["exit"].as_u64().unwrap()).collect()
}

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_session_that_ends_starts_a_run_and_the_client_never_notices() {
    let Some(client) = Client::get(NEWEST) else { return };
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    // Settings with a hook of the user's own, in a form that no program would write.
    let own = sandbox.root().join("own hook");
    let original = format!(
        "{{\n  \"cleanupPeriodDays\": 99999,\n\t\"env\": {{\"A\": \"\\u00e9\"}},\n  \"hooks\": {{\"SessionEnd\": [\n\
         {{\"hooks\": [{{\"type\": \"command\", \"command\": \"touch '{}'\"}}]}} ]}}\n}}",
        own.display()
    );
    let settings = sandbox.write(".claude/settings.json", &original);
    let desk = Desk::new(&sandbox, client);
    let talk = || desk.run(&["-p", "hello"]);
    let without = talk();
    assert!(without.1 && without.0.contains("An answer."), "the client did not answer: {without:?}");
    assert!(own.exists(), "the client runs no hooks");
    assert_eq!(ended(&sandbox), [0; 0]);

    let old = desk.converse(&[]);
    desk.let_pass(&old, 40);
    let kept = desk.sessions();
    sandbox.run(["schedule", "install", "--backend", "claude-hook", "--write"]).exits(0).quietly();
    fs::remove_file(&own).unwrap();
    assert_eq!(talk(), without);
    eventually("a run in the background", || !ended(&sandbox).is_empty());
    assert_eq!(ended(&sandbox), [0]);
    assert_eq!(traces(&sandbox, &old), Vec::<std::path::PathBuf>::new());
    assert_eq!(desk.sessions().len(), kept.len(), "one went and one came: {kept:?} {:?}", desk.sessions());
    assert!(own.exists(), "the user's own hook is run no more");
    let status = sandbox.run(["schedule", "status", "--json"]).json();
    assert_eq!(
        (&status["lastRun"]["exit"], &status["installed"][0]["program"]),
        (&0.into(), &"current".into())
    );

    // Whatever becomes of the program that the hook names, the client ends as ever.
    let written = fs::read_to_string(&settings).unwrap();
    let stand_in = sandbox.root().join("bin/stand-in");
    let broken = written.replace(program().to_str().unwrap(), stand_in.to_str().unwrap());
    assert_ne!(broken, written);
    fs::write(&settings, &broken).unwrap();
    assert_eq!(talk(), without, "with a hook whose program is missing");
    let [called, pid, over] = ["called", "pid", "over"].map(|name| sandbox.root().join(name));
    script(&stand_in, &format!("echo complaint; echo complaint >&2; touch '{}'; exit 1", called.display()));
    assert_eq!(talk(), without, "with a hook whose program fails");
    eventually("the program that fails", || called.exists());
    script(
        &stand_in,
        &format!(
            "echo $$ >'{0}.new'; mv '{0}.new' '{0}'; for _ in $(seq {HANG}); do sleep 1; done; touch '{1}'",
            pid.display(),
            over.display()
        ),
    );
    assert_eq!(talk(), without, "with a hook whose program hangs");
    let has_waited = over.exists();
    eventually("the program that hangs", || pid.exists());
    let pid: i32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    let hangs =
        || fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|text| text.contains("stand-in"));
    assert!(hangs() && !has_waited, "the client waited for the program of the hook");
    let hanging = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(hanging, rustix::process::Signal::KILL).unwrap();

    // Taking it away gives the very same bytes again.
    fs::write(&settings, written).unwrap();
    sandbox.run(["schedule", "remove", "--backend", "claude-hook", "--write"]).exits(0).quietly();
    assert_eq!(fs::read_to_string(&settings).unwrap(), original);
    assert_eq!(talk(), without);
    assert_eq!(ended(&sandbox), [0], "a run was started without a hook");
}
