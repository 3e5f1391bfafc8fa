//! Runs that are asked to stop: they end between two items, say so, and the next run does the rest.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::sandbox::has;
use crate::common::store::age;
use crate::common::{Sandbox, days, skip};
use crate::seal::{identity, seals};

/// So many sessions that a run handles them in several turns.
const MANY: u32 = 2_600;

fn filled(policy: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.policy(policy);
    let store = sandbox.store();
    for number in 1..=MANY {
        let session = store.session(number).aged(days(40)).write();
        session.side_file("tool-results/b1.txt", "x");
    }
    // One that stays, so that the clock is believed.
    store.session(MANY + 1).aged(days(1)).write();
    sandbox
}

fn events(sandbox: &Sandbox) -> Vec<Value> {
    // The last line may be half written while a run goes on.
    let text = fs::read_to_string(sandbox.ledger()).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// How many records of the ledger have an event.
fn count(sandbox: &Sandbox, event: &str) -> usize {
    events(sandbox).iter().filter(|line| line["event"] == event).count()
}

/// Starts a run, and sends it SIGTERM as soon as the ledger shows that it has begun. Its exit code and what it said on
/// standard error; `None` where it was through before the signal came.
fn stopped(sandbox: &Sandbox, arguments: &[&str]) -> Option<(Option<i32>, String)> {
    let said = sandbox.root().join("said");
    let mut run = sandbox.command(arguments).command();
    let file = fs::File::create(&said).unwrap();
    let mut child: Child = run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let start = Instant::now();
    // It stops before the next session, so one must have been begun.
    let before = left(sandbox).len();
    let sealed = sandbox.home().join(".claude/ccretain/sealed");
    let is_sealing = || walkdir::WalkDir::new(&sealed).min_depth(2).into_iter().flatten().next().is_some();
    let begun = || {
        fs::read_to_string(sandbox.ledger()).is_ok_and(|text| text.contains("\"event\":\"intent\""))
            && (is_sealing() || left(sandbox).len() < before)
    };
    while !begun() && child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "no intent in the ledger");
        thread::sleep(Duration::from_micros(200));
    }
    // Frozen, it cannot come to its end between the look and the signal.
    let frozen = child.try_wait().unwrap().is_none() && kill_process(pid, Signal::STOP).is_ok();
    let is_through = count(sandbox, "summary") > 0;
    if frozen {
        kill_process(pid, Signal::TERM).unwrap();
        kill_process(pid, Signal::CONT).unwrap();
    }
    let status = child.wait().unwrap();
    let all_done = sandbox.ledger_lines().last().is_some_and(|line| line["reason"].is_null());
    (!is_through && !all_done).then(|| (status.code(), fs::read_to_string(said).unwrap()))
}

/// The transcripts and side files that are there, by session number.
fn left(sandbox: &Sandbox) -> Vec<(PathBuf, bool)> {
    let projects = sandbox.home().join(".claude/projects");
    let transcripts = walkdir::WalkDir::new(projects).min_depth(2).max_depth(2).into_iter().flatten();
    let transcripts = transcripts.filter(|entry| entry.path().extension().is_some_and(|end| end == "jsonl"));
    transcripts
        .map(|entry| {
            let side = entry.path().with_extension("").join("tool-results/b1.txt");
            (entry.path().to_owned(), side.exists())
        })
        .collect()
}

/// What must hold after a run that was stopped: whole sessions, a ledger that holds together and says what was done.
fn half_done_is_nothing(sandbox: &Sandbox) -> usize {
    let left = left(sandbox);
    let without: Vec<_> = left.iter().filter(|(_, has_side)| !has_side).collect();
    // The young one never had any.
    assert_eq!(without.len(), 1, "half deleted: {without:?}");
    let sides = walkdir::WalkDir::new(sandbox.home().join(".claude/projects")).into_iter().flatten();
    let sides = sides.filter(|entry| entry.file_name() == "b1.txt").count();
    assert_eq!(sides, left.len() - 1, "half deleted: results without their transcript");
    sandbox.run(["ledger", "verify"]).exits(0);
    left.len() - 1
}

#[test]
fn a_run_that_is_asked_to_stop_ends_between_two_sessions() {
    // Where a run is through before the signal reaches it, another one is tried.
    for arguments in
        [&["enforce", "--yes"][..], &["enforce", "--yes", "--max-runtime", "1h", "--log-format", "json"]]
    {
        let caught = (0..6).find_map(|_| {
            let sandbox =
                filled(r#"{"version": 1, "guard": "off", "rules": [{"name": "all", "deleteAfter": "30d"}]}"#);
            stopped(&sandbox, arguments).map(|ended| (sandbox, ended))
        });
        let (sandbox, (code, said)) = caught.expect("a run that is caught in the act");
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("stopped as asked; the next run does the rest"), "{said}");
        let logged = arguments.contains(&"--log-format");
        assert_eq!(said.contains(r#""stopped":"signal""#), logged, "{said}");
        let rest = half_done_is_nothing(&sandbox);
        assert!(0 < rest && rest < MANY as usize, "{rest} of {MANY} are left");
        let lines = sandbox.ledger_lines();
        let summary = lines.last().unwrap();
        assert_eq!((&summary["event"], &summary["reason"]), (&"summary".into(), &"stopped: signal".into()));
        assert_eq!(summary["counts"]["sessionsDeleted"], MANY as usize - rest);
        // Nothing was left open: each intent has its outcome.
        assert_eq!(count(&sandbox, "intent"), count(&sandbox, "outcome"));
        let next = sandbox.enforce();
        next.exits(0).quietly();
        assert_eq!(next.summary("sessionsDeleted"), rest as u64, "{next}");
        assert!(next.json().get("stopped").is_none());
        assert_eq!(half_done_is_nothing(&sandbox), 0);
    }
}

#[test]
fn sealing_that_is_asked_to_stop_loses_nothing() {
    if !has("age") {
        return skip("needs age");
    }
    let caught = (0..6).find_map(|_| {
        let sandbox = Sandbox::new();
        let recipient = identity(&sandbox);
        drop(sandbox.policy(&format!(
            r#"{{"version": 1, "recipients": ["{recipient}"], "rules": [{{"name": "all", "sealAfter": "2d", "deleteAfter": "90d"}}]}}"#
        )));
        for number in 1..=1_200 {
            sandbox.store().session(number).aged(days(40)).write();
        }
        sandbox.store().session(1_201).aged(days(1)).write();
        stopped(&sandbox, &["enforce", "--yes"]).map(|ended| (sandbox, ended))
    });
    let (sandbox, (code, said)) = caught.expect("a run that is caught in the act");
    assert_eq!(code, Some(0), "{said}");
    let sealed = || {
        let below =
            walkdir::WalkDir::new(sandbox.home().join(".claude/ccretain/sealed")).into_iter().flatten();
        below.filter(|entry| entry.path().extension().is_some_and(|end| end == "age")).count()
    };
    let plain = left(&sandbox).len();
    assert!(0 < sealed() && sealed() < 1_200, "{} are sealed", sealed());
    assert_eq!(plain - 1, 1_200 - sealed(), "each session is plain or sealed");
    sandbox.run(["ledger", "verify"]).exits(0);
    let next = sandbox.enforce();
    next.exits(0).quietly();
    assert_eq!((next.summary("sessionsSealed"), sealed()), (plain as u64 - 1, 1_200));
}

#[test]
fn a_run_whose_time_is_up_says_so_and_the_next_one_goes_on() {
    let sandbox =
        filled(r#"{"version": 1, "guard": "off", "rules": [{"name": "all", "deleteAfter": "30d"}]}"#);
    let figures = sandbox.root().join("figures.prom");
    let output = sandbox
        .command([
            "enforce",
            "--yes",
            "--json",
            "--max-runtime",
            "immediately",
            "--log-format",
            "text",
            "--metrics",
        ])
        .arg(&figures)
        .run();
    output.exits(0).says("the time is up; the next run does the rest").says("stopped=max-runtime");
    assert_eq!(output.json()["stopped"], "max-runtime");
    assert_eq!(output.summary("sessionsDeleted"), 0);
    assert_eq!(half_done_is_nothing(&sandbox), MANY as usize);
    let said = |name: &str| {
        let text = fs::read_to_string(&figures).unwrap();
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
    };
    assert_eq!(said("ccretain_last_run_stopped"), "1");
    sandbox.command(["enforce", "--yes", "--metrics"]).arg(&figures).run().exits(0).quietly();
    assert_eq!(said("ccretain_last_run_stopped"), "0");
    assert_eq!(half_done_is_nothing(&sandbox), 0);
}

/// `nohup` and `&` in a script: whoever starts the program so wants it to go on.
#[test]
fn a_signal_that_the_caller_ignores_stops_nothing() {
    let sandbox =
        filled(r#"{"version": 1, "guard": "off", "rules": [{"name": "all", "deleteAfter": "30d"}]}"#);
    let script = r#"trap "$1" INT TERM; shift; "$@" & run=$!
        for i in $(seq 100); do kill -INT $run; kill -TERM $run; sleep 0.01; done 2>/dev/null; wait $run"#;
    let run = sandbox.command(["enforce", "--yes", "--json"]).through(["sh", "-c", script, "sh", ""]).run();
    run.exits(0);
    assert_eq!(half_done_is_nothing(&sandbox), 0, "the run was stopped: {run}");
}

#[test]
fn ctrl_c_is_answered_at_once_and_ends_with_130() {
    if !has("python3") {
        return skip("needs python3 for a terminal");
    }
    let caught = (0..6).find_map(|_| {
        let sandbox =
            filled(r#"{"version": 1, "guard": "off", "rules": [{"name": "all", "deleteAfter": "30d"}]}"#);
        let output = interrupted_in(&sandbox, &["enforce", "--yes"], "enforcing");
        (output.code == Some(130)).then_some((sandbox, output))
    });
    let (sandbox, output) = caught.expect("a run that is caught in the act");
    output.says("stopping after the current session").says("stopped as asked");
    let rest = half_done_is_nothing(&sandbox);
    let summary = sandbox.ledger_lines().pop().unwrap();
    assert_eq!((&summary["event"], &summary["counts"]["exit"]), (&"summary".into(), &130.into()));
    assert_eq!(summary["counts"]["sessionsDeleted"], MANY as usize - rest);
    assert_eq!(count(&sandbox, "intent"), count(&sandbox, "outcome"));
    sandbox.enforce().exits(0);
    assert_eq!(half_done_is_nothing(&sandbox), 0);
}

#[test]
fn ctrl_c_stops_sealing_between_two_sessions() {
    if !has("python3") {
        return skip("needs python3 for a terminal");
    }
    let caught = (0..6).find_map(|_| {
        let sandbox = Sandbox::new();
        let recipient = identity(&sandbox);
        seals(&sandbox, &recipient, "");
        for number in 1..=1_200 {
            sandbox.store().session(number).aged(days(40)).write();
        }
        let output = interrupted_in(&sandbox, &["seal", "--idle", "1d"], "sealing");
        (output.code == Some(130)).then_some((sandbox, output))
    });
    let (sandbox, output) = caught.expect("a run that is caught in the act");
    output.says("stopping after the current session");
    let below = walkdir::WalkDir::new(sandbox.home().join(".claude/ccretain/sealed")).into_iter().flatten();
    let names: Vec<String> = below.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(!names.iter().any(|name| name.ends_with(".part")), "{names:?}");
    let sealed = names.iter().filter(|name| name.ends_with(".age")).count();
    assert_eq!(left(&sandbox).len(), 1_200 - sealed, "each session is plain or sealed");
    let summary = sandbox.ledger_lines().pop().unwrap();
    assert_eq!(
        (&summary["event"], &summary["counts"]["sessionsSealed"]),
        (&"summary".into(), &sealed.into())
    );
    sandbox.run(["ledger", "verify"]).exits(0);
}

/// Forty sessions of 2 MB are one batch, and nothing asks again after it.
#[test]
fn ctrl_c_is_answered_within_the_only_batch() {
    if !has("python3") {
        return skip("needs python3 for a terminal");
    }
    let caught = (0..20).find_map(|_| {
        let sandbox = Sandbox::new();
        let recipient = identity(&sandbox);
        seals(&sandbox, &recipient, "");
        for number in 1..=40 {
            let session = sandbox.store().session(number).aged(days(40)).write();
            let text = fs::read_to_string(&session.transcript).unwrap();
            let line = serde_json::json!({"type": "mode", "sessionId": session.id(), "x": "y".repeat(1_000)});
            fs::write(&session.transcript, text.clone() + &format!("{line}\n").repeat(2_000) + &text)
                .unwrap();
            age(&session.transcript, days(40));
        }
        let output = interrupted_in(&sandbox, &["seal", "--idle", "1d"], "sealing");
        // The batch was begun, and not all of it was done.
        let is_begun = sandbox.ledger_lines().iter().any(|line| line["event"] == "intent");
        (is_begun && !left(&sandbox).is_empty()).then_some((sandbox, output))
    });
    let (sandbox, output) = caught.expect("a run that is caught in the act");
    output.exits(130).says("stopped as asked; the same command continues");
    assert_eq!(sandbox.ledger_lines().pop().unwrap()["counts"]["exit"], 130);
}

/// What a command says and exits with when a person presses Ctrl-C once it shows its progress in doing something.
fn interrupted_in(sandbox: &Sandbox, arguments: &[&str], doing: &str) -> crate::common::Output {
    let run = sandbox.command(arguments).env("TERM", "xterm").env("COLUMNS", "80").env("TYPE_AFTER", doing);
    run.on_terminal("\u{3}").run()
}

/// The names of the sealed files, none of them half written.
fn sealed_names(sandbox: &Sandbox) -> Vec<String> {
    let home = walkdir::WalkDir::new(sandbox.home()).into_iter().flatten();
    let names: Vec<String> = home.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(!names.iter().any(|name| name.ends_with(".part")), "{names:?}");
    names.into_iter().filter(|name| name.ends_with(".zst.age")).collect()
}

#[test]
fn ctrl_c_stops_a_purge_which_ends_with_its_verdict() {
    if !has("python3") {
        return skip("needs python3 for a terminal");
    }
    let caught = (0..6).find_map(|_| {
        let sandbox = filled(r#"{"version": 1}"#);
        let output = interrupted_in(&sandbox, &["purge", "--yes"], "purging");
        (output.code == Some(130)).then_some((sandbox, output))
    });
    let (sandbox, output) = caught.expect("a purge that is caught in the act");
    output
        .says("stopping after the current session")
        .says("files were not reached before the run was stopped")
        .never_says("nothing is there that would go");
    assert_eq!(output.stdout.matches("error:").count(), 1, "{output}");
    let plain = output.plain();
    let last = plain.trim_end().lines().last().unwrap_or_default();
    assert!(last.starts_with("verdict: incomplete"), "{output}");
    sealed_names(&sandbox);
    let half = left(&sandbox).iter().filter(|(_, has_side)| !has_side).count();
    assert!(half <= 1, "only the young one has no results: {half}");
    let summary = sandbox.ledger_lines().pop().unwrap();
    assert_eq!((&summary["event"], &summary["counts"]["exit"]), (&"summary".into(), &130.into()));
    assert_eq!(count(&sandbox, "intent"), count(&sandbox, "outcome"));
    sandbox.run(["ledger", "verify"]).exits(0);
    sandbox.run(["purge", "--yes"]).exits(0).says("verdict: complete");
    assert_eq!(left(&sandbox).len(), 0);
}

/// A sandbox with so many sealed sessions, and their ids.
fn filled_and_sealed(sessions: u32) -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::new();
    identity(&sandbox);
    let written = (1..=sessions).map(|number| sandbox.store().session(number).aged(days(40)).write());
    let ids = written.map(|session| session.id().to_owned()).collect();
    sandbox.run(["seal", "--idle", "1d"]).exits(0);
    assert_eq!(sealed_names(&sandbox).len(), sessions as usize);
    (sandbox, ids)
}

#[test]
fn ctrl_c_stops_unsealing_and_rekeying_between_two_sessions() {
    if !has("python3") {
        return skip("needs python3 for a terminal");
    }
    const SEALED: u32 = 400;
    let (sandbox, ids) = filled_and_sealed(SEALED);
    let rekey = interrupted_in(&sandbox, &["rekey", "--all"], "re-encrypting");
    assert_eq!(rekey.code, Some(130), "{rekey}");
    rekey.says("stopping after the current session").says("sessions not reached; the same command");
    assert_eq!(sealed_names(&sandbox).len(), SEALED as usize);
    let rekeyed = sandbox.ledger_lines().pop().unwrap();
    assert_eq!((&rekeyed["event"], &rekeyed["counts"]["exit"]), (&"summary".into(), &130.into()));

    let mut arguments = vec!["unseal", "--touch"];
    arguments.extend(ids.iter().map(String::as_str));
    let unseal = interrupted_in(&sandbox, &arguments, "unsealing");
    assert_eq!(unseal.code, Some(130), "{unseal}");
    unseal
        .says("stopping after the current session")
        .shows("sessions not reached; the same command continues");
    let sealed = sealed_names(&sandbox).len();
    assert_eq!(left(&sandbox).len(), SEALED as usize - sealed, "each session is plain or sealed");
    let unsealed = sandbox.ledger_lines().pop().unwrap();
    assert_eq!(unsealed["counts"]["sessionsUnsealed"], SEALED as usize - sealed);
    assert_eq!(unsealed["counts"]["exit"], 130);
    assert_eq!(count(&sandbox, "intent"), count(&sandbox, "outcome"));
    sandbox.run(["ledger", "verify"]).exits(0);
}
