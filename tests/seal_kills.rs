//! Runs that are killed at any moment: no byte is lost, no half file is taken for a whole one, and
//! the next run settles everything.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::sandbox::files_below;
use crate::common::sandbox::has;
use crate::common::{Sandbox, days, skip};
use crate::seal::{identity, seals};
use crate::seal_flushes::can_watch;

/// How many runs are killed: a dozen, or hundreds where there is time.
fn rounds() -> u32 {
    if std::env::var_os("CCRETAIN_SLOW_TESTS").is_some() { 270 } else { 12 }
}

/// Content and permissions of a file.
type Original = (Vec<u8>, u32);

/// Every plain file of the sessions, by its path below the sandbox.
fn originals(sandbox: &Sandbox) -> BTreeMap<PathBuf, Original> {
    files(sandbox)
        .into_iter()
        .filter(|path| !path.starts_with(sandbox.home().join(".claude/ccretain")) && !is_part(path))
        .map(|path| {
            let mode = fs::metadata(&path).unwrap().mode() & 0o7777;
            (path.strip_prefix(sandbox.root()).unwrap().to_owned(), (fs::read(&path).unwrap(), mode))
        })
        .collect()
}

fn is_part(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "part")
}

fn files(sandbox: &Sandbox) -> Vec<PathBuf> {
    files_below(&[sandbox.home().join(".claude"), sandbox.tmp()])
}

/// Asserts that each original is there, plain and whole or in a sealed file that opens to it; by
/// stock tools, which know nothing of records.
fn nothing_is_lost(sandbox: &Sandbox, originals: &BTreeMap<PathBuf, Original>, keys: &[PathBuf], what: &str) {
    let mut sealed: BTreeMap<Vec<u8>, Vec<PathBuf>> = BTreeMap::new();
    let now = files(sandbox);
    for path in now.iter().filter(|path| path.extension().is_some_and(|extension| extension == "age")) {
        let mut opening = Command::new("sh");
        opening.args([
            "-c",
            r#"f=$1; shift; { for k; do age -d -i "$k" "$f" 2>/dev/null && exit 0; done; } | zstd -dcq"#,
            "sh",
        ]);
        let output = opening.arg(path).args(keys).stderr(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{what}: '{}' does not open", path.display());
        sealed.entry(output.stdout).or_default().push(path.clone());
    }
    for (path, (bytes, _)) in originals {
        let plain = sandbox.root().join(path);
        if plain.exists() {
            assert!(fs::read(&plain).unwrap() == *bytes, "{what}: '{}' is not whole", path.display());
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_there = sealed.get(bytes).is_some_and(|files| {
            files.iter().any(|file| file.file_name().unwrap().to_str().unwrap().starts_with(name))
        });
        assert!(is_there, "{what}: '{}' is lost", path.display());
    }
    for path in &now {
        let is_own = path.starts_with(sandbox.home().join(".claude/ccretain")) || is_part(path);
        let below = path.strip_prefix(sandbox.root()).unwrap();
        assert!(is_own || originals.contains_key(below), "{what}: what is '{}'?", path.display());
    }
}

/// Starts a run and kills it after a while; whether it was killed.
fn kill(sandbox: &Sandbox, arguments: &[&str], after: Duration) -> bool {
    let run = sandbox.command(arguments);
    let mut command = run.command();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(after);
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    running
}

fn filled() -> (Sandbox, Vec<String>, PathBuf) {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, r#""quiet": "1h", "ledger": {"detail": "sessions"},"#);
    sandbox.write(".claude/settings.json", r#"{"cleanupPeriodDays": 99999}"#);
    let mut ids = Vec::new();
    for number in 1..=6 {
        let session = sandbox.store().session(number).aged(days(5)).write();
        session.satellites();
        let noise: Vec<u8> = (0..300_000u32)
            .flat_map(|n| ((n ^ number).wrapping_mul(2_654_435_761) >> 5).to_le_bytes())
            .collect();
        session.side_file("tool-results/large.bin", noise);
        ids.push(session.id().to_owned());
    }
    let key = sandbox.config().join("identity.age");
    (sandbox, ids, key)
}

/// How long a run takes that nobody kills.
fn duration(sandbox: &Sandbox, arguments: &[&str]) -> Duration {
    let start = Instant::now();
    sandbox.run(arguments).exits(0);
    start.elapsed()
}

/// Moments spread evenly and yet without a pattern over a run's time.
fn moment(round: u32, whole: Duration) -> Duration {
    whole.mul_f64(f64::from(round.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24) * 1.1)
}

/// Lets the sessions be sealed again at once.
fn forget(sandbox: &Sandbox) {
    let path = sandbox.state().join("state.json");
    let Ok(text) = fs::read_to_string(&path) else { return };
    let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
    state.as_object_mut().unwrap().remove("unsealed");
    fs::write(&path, state.to_string()).unwrap();
}

#[test]
fn killed_while_sealing_and_bringing_back() {
    if !has("age") || !has("zstd") {
        return skip("needs age and zstd");
    }
    let (sandbox, ids, key) = filled();
    let originals = originals(&sandbox);
    let enforce = ["enforce", "--yes"];
    let unseal: Vec<&str> = ["unseal"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    let sealing = duration(&sandbox, &enforce);
    let opening = duration(&sandbox, &unseal);
    let mut killed = 0;
    for round in 0..rounds() / 2 {
        forget(&sandbox);
        killed += u32::from(kill(&sandbox, &enforce, moment(2 * round, sealing)));
        nothing_is_lost(&sandbox, &originals, std::slice::from_ref(&key), &format!("sealing, round {round}"));
        forget(&sandbox);
        let output = sandbox.run(["enforce", "--yes", "--json"]);
        output.exits(0).quietly();
        let plain = originals.keys().filter(|path| sandbox.root().join(path).exists());
        let plain: Vec<_> = plain.filter(|path| !path.ends_with("settings.json")).collect();
        assert!(plain.is_empty(), "round {round}: the next run left {plain:?}: {output}");
        assert!(!files(&sandbox).iter().any(|path| is_part(path)), "round {round}: unfinished files");
        killed += u32::from(kill(&sandbox, &unseal, moment(2 * round + 1, opening)));
        nothing_is_lost(
            &sandbox,
            &originals,
            std::slice::from_ref(&key),
            &format!("unsealing, round {round}"),
        );
        for id in &ids {
            let output = sandbox.run(["unseal", id]);
            assert!(
                output.code == Some(0) || output.stderr.contains("is not sealed"),
                "round {round}: {output}"
            );
            let sealed = sandbox.home().join(".claude/ccretain/sealed").join(id);
            assert!(!sealed.exists(), "round {round}: '{}' is left", sealed.display());
        }
        let again = self::originals(&sandbox);
        assert!(again == originals, "round {round}: what came back is not what was");
        sandbox.enforce().exits(0).quietly();
        assert!(!files(&sandbox).iter().any(|path| is_part(path)), "round {round}: unfinished files");
    }
    println!("{killed} of {} runs were killed before their end", rounds());
    assert!(killed * 2 > rounds() / 2, "the moments are chosen badly: only {killed} were killed");
}

#[test]
fn killed_while_sealing_anew() {
    if !has("age") || !has("zstd") {
        return skip("needs age and zstd");
    }
    let (sandbox, ids, key) = filled();
    let originals = originals(&sandbox);
    sandbox.enforce().exits(0);
    let rekey = ["rekey", "--all"];
    let whole = duration(&sandbox, &rekey);
    for round in 0..rounds() / 4 {
        kill(&sandbox, &rekey, moment(round, whole));
        nothing_is_lost(&sandbox, &originals, std::slice::from_ref(&key), &format!("rekey, round {round}"));
        for id in &ids {
            sandbox.run(["cat", id]).exits(0);
        }
    }
    sandbox.run(rekey).exits(0).quietly();
    sandbox.enforce().exits(0).quietly();
    let unseal: Vec<&str> = ["unseal"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    sandbox.run(unseal).exits(0).quietly();
    assert!(self::originals(&sandbox) == originals);
    assert!(!files(&sandbox).iter().any(|path| is_part(path)));
}

#[test]
fn killed_at_each_removal_of_an_unsealing_nothing_of_the_sealed_session_stays() {
    if !can_watch() {
        return;
    }
    let mut removals = 0;
    loop {
        let sandbox = Sandbox::new();
        identity(&sandbox);
        let session = sandbox.store().session(1).aged(days(5)).write();
        session.side_file("tool-results/b1.txt", "x");
        sandbox.run(["seal", session.id()]).exits(0).quietly();
        let fault = format!("inject=unlinkat:signal=SIGKILL:when={}", removals + 1);
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=unlinkat", "-e", &fault];
        let killed = sandbox.command(["unseal", session.id()]).through(strace).run();
        let left = || -> Vec<_> {
            let ours = sandbox.home().join(".claude/ccretain/sealed");
            walkdir::WalkDir::new(&ours).min_depth(1).into_iter().flatten().collect()
        };
        let was_left = left();
        let again = sandbox.run(["unseal", session.id()]);
        if was_left.is_empty() {
            again.exits(2).says("is not sealed");
        } else {
            again.exits(0).quietly();
        }
        assert!(session.is_there() && left().is_empty(), "{removals}: {:?} are left", left());
        sandbox.run(["ledger", "verify"]).exits(0);
        if killed.code == Some(0) {
            break;
        }
        removals += 1;
    }
    assert!(removals >= 6, "only {removals} kills");
}
