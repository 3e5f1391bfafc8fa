//! Sealing and the disk: however a run ends, that a plaintext is gone is flushed as its sealed file is, so that a crash
//! does not bring it back. The calls are watched by strace, which also makes the runs end early.

use std::fs;

use crate::common::sandbox::has;
use crate::common::store::{Session, age};
use crate::common::{Output, Sandbox, days, skip};
use crate::seal::{identity, seals};

/// What a run did that bears on the disk, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// A plaintext lost its name.
    Gone,
    /// A file system was flushed.
    Flush,
    /// The ledger was flushed, or should have been.
    Ledger,
}

/// A store with sessions that are due, some with files in the temp tree.
fn due(sessions: u32) -> (Sandbox, Vec<Session>) {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, r#""guard": "off","#);
    let sessions = (1..=sessions).map(|number| sandbox.store().session(number).aged(days(5)).write());
    let sessions: Vec<_> = sessions.collect();
    sessions[0].satellites();
    (sandbox, sessions)
}

/// A run of `enforce` under strace, with faults injected; what it did.
fn watched(sandbox: &Sandbox, faults: &[&str]) -> (Output, Vec<Call>) {
    let log = sandbox.root().join("calls");
    let mut strace = vec!["strace", "-f", "-qq", "-o", log.to_str().unwrap()];
    // Quicker, but strace sends no signals then.
    strace.extend((!faults.iter().any(|fault| fault.contains("signal"))).then_some("--seccomp-bpf"));
    strace.extend(["-e", "trace=unlinkat,syncfs,fdatasync", "-e", "signal=none"]);
    strace.extend(faults.iter().flat_map(|fault| ["-e", fault]));
    let output = sandbox.command(["enforce", "--yes", "--json"]).through(strace).run();
    let calls = fs::read_to_string(&log).unwrap();
    // A call that another thread interrupts is two lines; it counts where it begins.
    let calls = calls.lines().filter_map(|line| match line {
        _ if line.contains("resumed>") => None,
        _ if line.contains(" syncfs(") => Some(Call::Flush),
        _ if line.contains(" fdatasync(") => Some(Call::Ledger),
        _ if line.contains(" unlinkat(") && line.contains(".jsonl\"") => Some(Call::Gone),
        _ => None,
    });
    (output, calls.collect())
}

/// Whether strace is there and may trace.
pub fn can_watch() -> bool {
    let works = has("strace")
        && std::process::Command::new("strace")
            .args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=syncfs", "true"])
            .output()
            .is_ok_and(|output| output.status.success());
    if !works {
        skip("needs strace, and leave to trace");
    }
    works
}

fn last(calls: &[Call], wanted: Call) -> Option<usize> {
    calls.iter().rposition(|call| *call == wanted)
}

#[track_caller]
fn what_is_gone_is_flushed(calls: &[Call], what: &str) {
    let (gone, flush) = (last(calls, Call::Gone), last(calls, Call::Flush));
    assert!(
        gone.is_none() || gone < flush,
        "{what}: nothing is flushed after the last plaintext went: {calls:?}"
    );
}

fn plain(sessions: &[Session]) -> usize {
    sessions.iter().filter(|session| session.is_there()).count()
}

#[test]
fn a_stop_between_two_batches_leaves_nothing_unflushed() {
    if !can_watch() {
        return;
    }
    let (sandbox, sessions) = due(3);
    // As much as shares the flushes of a batch, so that each session is one of its own.
    for session in &sessions {
        let large = session.side_file("tool-results/large.txt", "");
        fs::File::options().write(true).open(&large).unwrap().set_len(128 << 20).unwrap();
        age(&large, days(5));
    }
    // While the first batch is flushed for the first time and the second is written: both are finished.
    let (output, calls) = watched(&sandbox, &["inject=syncfs:signal=SIGTERM:when=1"]);
    assert_eq!(output.exits(0).json()["stopped"], "signal", "{output}");
    assert_eq!((output.summary("sessionsSealed"), plain(&sessions)), (2, 1));
    assert!(calls.contains(&Call::Gone), "{calls:?}");
    what_is_gone_is_flushed(&calls, "stopped");
}

#[test]
fn a_ledger_that_fails_at_any_record_leaves_nothing_unflushed() {
    if !can_watch() {
        return;
    }
    let (sandbox, _) = due(3);
    let (output, calls) = watched(&sandbox, &[]);
    output.exits(0);
    what_is_gone_is_flushed(&calls, "to its end");
    let records = calls.iter().filter(|call| **call == Call::Ledger).count();
    assert!(records > 1, "{calls:?}");
    let mut half = 0;
    for from in 1..=records {
        let (sandbox, sessions) = due(3);
        let (output, calls) = watched(&sandbox, &[&format!("inject=fdatasync:error=EIO:when={from}+")]);
        assert_ne!(output.code, Some(0), "record {from}: {output}");
        what_is_gone_is_flushed(&calls, &format!("record {from}"));
        // The sessions went, and then the ledger failed.
        half += usize::from(plain(&sessions) == 0 && last(&calls, Call::Gone) < last(&calls, Call::Ledger));
        let next = sandbox.enforce();
        next.exits(0);
        assert_eq!(plain(&sessions), 0, "record {from}: {next}");
    }
    assert!(half > 0, "the ledger never failed after a plaintext was gone");
}
