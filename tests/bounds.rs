//! Small files that would take gigabytes or minutes: each is read within a bound, and what is beyond it is kept and
//! reported. `CCRETAIN_SLOW_TESTS` makes them as large as they were when they hurt, and prints a table of figures.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::sandbox::has;
use crate::common::{Output, Sandbox, days, id, skip};

/// The peak of a run, and its time.
const MOST_MEMORY: u64 = 300 << 20;
const MOST_TIME: Duration = Duration::from_secs(30);

fn is_slow() -> bool {
    std::env::var_os("CCRETAIN_SLOW_TESTS").is_some()
}

fn repeat(path: &Path, head: &str, part: &str, bytes: u64, tail: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(head.as_bytes()).unwrap();
    let part: String = part.repeat((64 << 10) / part.len());
    let mut written = 0;
    while written < bytes {
        file.write_all(part.as_bytes()).unwrap();
        written += part.len() as u64;
    }
    file.write_all(tail.as_bytes()).unwrap();
}

fn projects(path: &Path, bytes: u64, with: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(br#"{"numStartups":1,"projects":{"#).unwrap();
    let mut written = 0;
    for number in 0_u64.. {
        if written > bytes {
            break;
        }
        let project = format!(r#"{}"/w/{number}":{with}"#, if number == 0 { "" } else { "," });
        written += project.len() as u64;
        file.write_all(project.as_bytes()).unwrap();
    }
    file.write_all(b"}}").unwrap();
}

fn sparse(path: &Path, bytes: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().set_len(bytes).unwrap();
}

/// A file that hurt: its name, how it is made with how many of its bytes, the command, and its exit codes.
type Case = (&'static str, fn(&Sandbox, u64), u64, &'static [&'static str], &'static [i32]);

const MIB: u64 = 1 << 20;
const HISTORY: &str = ".claude/history.jsonl";

const CASES: &[Case] = &[
    (
        "history: blank lines",
        |s, n| repeat(&s.home().join(HISTORY), "", "\n", n, ""),
        100 * MIB,
        &["enforce", "--yes"],
        &[0],
    ),
    (
        "history: lines that say nothing",
        |s, n| repeat(&s.home().join(HISTORY), "", "0\n", n, ""),
        100 * MIB,
        &["enforce", "--yes"],
        &[0, 1],
    ),
    (
        "history: a million dated lines",
        |s, n| {
            repeat(&s.home().join(HISTORY), "", "{\"timestamp\":1764000000000,\"project\":\"/w\"}\n", n, "")
        },
        200 * MIB,
        &["enforce", "--yes"],
        &[0, 1],
    ),
    (
        "history: a line of hex digits",
        |s, n| repeat(&s.home().join(HISTORY), "", "0123456789abcdef", n, "\n"),
        60 * MIB,
        &["enforce", "--yes"],
        &[0],
    ),
    (
        "history: a line of pastes",
        |s, n| {
            repeat(
                &s.home().join(HISTORY),
                "{\"pastedContents\":{",
                "\"1\":{\"contentHash\":\"0123456789abcdef\"},",
                n,
                "\"2\":0}}\n",
            )
        },
        60 * MIB,
        &["enforce", "--yes"],
        &[0],
    ),
    (
        "history: a project of escapes",
        |s, n| {
            repeat(&s.home().join(HISTORY), "{\"timestamp\":1,\"project\":\"", "\\u0041bcdefghij", n, "\"}\n")
        },
        60 * MIB,
        &["enforce", "--yes"],
        &[0],
    ),
    ("history: sparse", |s, n| sparse(&s.home().join(HISTORY), n), 3072 * MIB, &["enforce", "--yes"], &[0]),
    (
        "settings.json: sparse",
        |s, n| sparse(&s.home().join(".claude/settings.json"), n),
        3072 * MIB,
        &["check"],
        &[1, 3],
    ),
    (
        "settings.json: sparse, status",
        |s, n| sparse(&s.home().join(".claude/settings.json"), n),
        3072 * MIB,
        &["status"],
        &[0, 1],
    ),
    (
        "settings.json: a list",
        |s, n| repeat(&s.home().join(".claude/settings.json"), "{\"a\":[", "0,", n, "0]}"),
        60 * MIB,
        &["check"],
        &[1, 3],
    ),
    (
        ".claude.json: sparse",
        |s, n| sparse(&s.home().join(".claude.json"), n),
        3072 * MIB,
        &["enforce", "--yes"],
        &[1],
    ),
    (
        ".claude.json: sparse, anywhere",
        |s, n| sparse(&s.home().join("some/folder/.claude.json"), n),
        3072 * MIB,
        &["purge", "--yes"],
        &[0, 1],
    ),
    (
        ".claude.json: a list, anywhere",
        |s, n| repeat(&s.home().join("some/.claude.json"), "{\"numStartups\":[", "0,", n, "0]}"),
        60 * MIB,
        &["status", "--search", "."],
        &[0, 1],
    ),
    (
        ".claude.json: projects",
        |s, n| projects(&s.home().join(".claude.json"), n, "{}"),
        200 * MIB,
        &["enforce", "--yes"],
        &[1],
    ),
    (
        ".claude.json: projects that fit",
        |s, n| projects(&s.home().join(".claude.json"), n, "{}"),
        60 * MIB,
        &["enforce", "--yes"],
        &[0, 1],
    ),
    (
        ".claude.json: prompts",
        |s, n| {
            repeat(&s.home().join(".claude.json"), "{\"projects\":{\"/w\":{\"history\":[", "0,", n, "0]}}}")
        },
        60 * MIB,
        &["enforce", "--yes"],
        &[0, 1],
    ),
    (
        "sessions-index.json: entries",
        |s, n| {
            repeat(
                &s.home().join(".claude/projects/-work-acme/sessions-index.json"),
                "{\"entries\":[",
                "{},",
                n,
                "{}]}",
            )
        },
        60 * MIB,
        &["enforce", "--yes"],
        &[0, 1],
    ),
    (
        "sessions-index.json: sparse",
        |s, n| sparse(&s.home().join(".claude/projects/-work-acme/sessions-index.json"), n),
        3072 * MIB,
        &["enforce", "--yes"],
        &[1],
    ),
    (
        ".claude.json: twenty copies",
        |s, n| {
            for copy in 0..20 {
                let path = s
                    .home()
                    .join(format!(".claude/backups/.claude.json.backup.{}", 1_700_000_000_000_u64 + copy));
                projects(&path, n, "{\"history\":[\"a prompt\"]}");
            }
        },
        60 * MIB,
        &["enforce", "--yes"],
        &[0, 1],
    ),
    (
        ".claude.json: twenty copies, purge",
        |s, n| {
            for copy in 0..20 {
                projects(
                    &s.home().join(format!("some/{copy}/.claude.json")),
                    n,
                    "{\"history\":[\"a prompt\"]}",
                );
            }
        },
        60 * MIB,
        &["purge", "--yes"],
        &[0, 1],
    ),
    ("state.json: sparse", |s, n| sparse(&s.state().join("state.json"), n), 3072 * MIB, &["check"], &[1, 3]),
    ("dates.json: sparse", |s, n| sparse(&s.state().join("dates.json"), n), 3072 * MIB, &["status"], &[0]),
    (
        "identity.age: sparse",
        |s, n| sparse(&s.config().join("identity.age"), n),
        3072 * MIB,
        &["key", "show"],
        &[1, 2],
    ),
    (
        "a check of another machine",
        |s, n| sparse(&s.home().join("checks/one.json"), n),
        3072 * MIB,
        &["report", "--html", "page.html", "checks"],
        &[0, 1, 2],
    ),
];

/// Runs a command; the peak of its memory in bytes and its processor time where these can be told, its time, and what
/// it said.
fn measured(sandbox: &Sandbox, command: &[&str]) -> (Option<(u64, Duration)>, Duration, Output) {
    let start = Instant::now();
    let run = sandbox.command(command);
    let output = if has("time") { run.through(["time", "-f", "used %M %U %S"]).run() } else { run.run() };
    let used = output.stderr.lines().find_map(|line| {
        let used: Vec<f64> =
            line.strip_prefix("used ")?.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [kilobytes, user, system] = used[..] else { return None };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and not negative")]
        let peak = (kilobytes as u64) << 10;
        Some((peak, Duration::from_secs_f64(user + system)))
    });
    (used, start.elapsed(), output)
}

#[test]
fn no_file_takes_gigabytes_or_minutes() {
    if !has("time") {
        skip("without GNU time the peak of memory is not known");
    }
    let mut table = String::from(
        "| file | command | seconds | of processor | peak MiB | exit |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    let mut wrong = Vec::new();
    for (name, make, bytes, command, exits) in CASES {
        let sandbox = Sandbox::new();
        sandbox.delete_after("30d");
        // Something that is due, so that the run does its work beside the file.
        sandbox.store().session(1).aged(days(40)).write();
        sandbox.store().session(2).aged(days(2)).write();
        make(&sandbox, if is_slow() { *bytes } else { bytes / 30 });
        let (used, took, output) = measured(&sandbox, command);
        let peak = used.map(|(peak, _)| peak);
        let mib = peak.map_or("?".to_owned(), |peak| (peak >> 20).to_string());
        let busy = used.map_or("?".to_owned(), |(_, busy)| format!("{:.1}", busy.as_secs_f64()));
        let _ = writeln!(
            table,
            "| {name} | `{}` | {:.1} | {busy} | {mib} | {} |",
            command.join(" "),
            took.as_secs_f64(),
            output.code.unwrap_or(-1)
        );
        let is_well = output.code.is_some_and(|code| exits.contains(&code));
        if !is_well || took > MOST_TIME || peak.is_some_and(|peak| peak > MOST_MEMORY) {
            wrong.push(format!("{name}: {took:?}, {mib} MiB: {output}"));
        }
        let is_due = sandbox.store().path(format!("projects/-work-acme/{}.jsonl", id(1)));
        if command[0] == "enforce" && is_due.exists() {
            wrong.push(format!("{name}: what is due stayed: {output}"));
        }
    }
    if is_slow() {
        eprintln!("{table}");
    }
    assert!(wrong.is_empty(), "{}\n{table}", wrong.join("\n"));
}

/// Many files that are each within their bound: which of them are read does not depend on threads.
#[test]
fn large_documents_share_a_budget_and_the_newest_are_read() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    let store = sandbox.store();
    store.session(2).aged(days(2)).write();
    let path = |copy: i64| {
        let folder =
            if copy % 2 == 0 { ".claude/backups/.claude.json.backup." } else { ".claude.json.backup." };
        sandbox.home().join(format!("{folder}{}", 1_700_000_000_000 + copy))
    };
    for copy in 0..7 {
        sparse(&path(copy), 60 * MIB);
        crate::common::store::age(&path(copy), days(40 + copy));
    }
    let mut outputs = Vec::new();
    for _ in 0..3 {
        let output = sandbox.run(["enforce", "--dry-run", "--json"]);
        output.exits(1).says("one of many large files");
        let told = |copy: &i64| {
            let name = path(*copy).file_name().unwrap().to_str().unwrap().to_owned();
            output.stderr.lines().any(|line| line.contains(&name) && line.contains("many large files"))
        };
        outputs.push((0..7).filter(told).collect::<Vec<i64>>());
    }
    // Four of 60 MiB fit.
    assert_eq!(outputs, vec![vec![4, 5, 6]; 3]);
}

/// What is not understood stays, byte for byte, and is told.
#[test]
fn what_is_beyond_a_bound_is_kept_and_reported() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    let store = sandbox.store();
    store.session(1).aged(days(40)).write();
    store.history(Some(&id(1)), "/work/acme", days(40));
    let paste = store.paste("0123456789abcdef", &id(1), days(40));
    // It names more pastes than can be held: any paste may be one of them.
    repeat(&sandbox.home().join("hex"), "", "0123456789abcdef", 2 << 20, "\n");
    let line = fs::read_to_string(sandbox.home().join("hex")).unwrap();
    store.history_line(line.trim_end());
    fs::remove_file(sandbox.home().join("hex")).unwrap();
    sandbox.enforce().exits(0);
    assert!(paste.exists(), "a paste that a line may refer to went");
    let left = store.history_lines();
    assert_eq!(left.len(), 1, "the lines of the session stayed, or the other went");
    assert_eq!(left[0].len(), line.trim_end().len());
    // A document above its bound.
    let index = store.index("/work/acme", &[&id(1)]);
    File::options().write(true).open(&index).unwrap().set_len(65 << 20).unwrap();
    let output = sandbox.enforce();
    output.exits(1).says("larger than 64 MiB");
    assert_eq!(fs::metadata(&index).unwrap().len(), 65 << 20);
}

/// A hole lies on no disk: it is neither read nor written.
#[test]
fn a_hole_is_neither_read_nor_filled() {
    use std::os::unix::fs::MetadataExt as _;
    const HOLE: u64 = 20 << 30;
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    let store = sandbox.store();
    let session = store.session(2).aged(days(2)).write();
    File::options().write(true).open(&session.transcript).unwrap().set_len(HOLE).unwrap();
    store.session(3).aged(days(2)).write();
    store.history(None, "/work/acme", days(40));
    store.history(None, "/work/acme", days(2));
    let history = store.path("history.jsonl");
    let length = fs::metadata(&history).unwrap().len();
    File::options().write(true).open(&history).unwrap().set_len(HOLE).unwrap();
    store.history_line("");
    store.history(None, "/work/acme", days(40));
    store.history(None, "/work/acme", days(3));
    let (before, start) = (fs::metadata(&history).unwrap(), Instant::now());
    let output = sandbox.enforce();
    output.exits(0);
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(output.summary("prunedLines"), 2, "{output}");
    let after = fs::metadata(&history).unwrap();
    assert!(after.len() < before.len() && after.len() > HOLE - length, "{}", after.len());
    assert!(after.blocks() <= before.blocks() + 64, "{} blocks became {}", before.blocks(), after.blocks());
    // What stays is what was there, to the byte.
    let mut head = vec![0; 4096];
    std::os::unix::fs::FileExt::read_exact_at(&File::open(&history).unwrap(), &mut head, 0).unwrap();
    assert!(
        head.starts_with(b"{") && head.ends_with(&[0; 1024]),
        "the first line that stays is not the first"
    );
}
