//! Plans, logs and background sessions: what belongs to sessions by what records say, and not by its name.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::common::sandbox::{deleting, has};
use crate::common::store::{CONTENT, Session, age, put, stamp};
use crate::common::{Output, Sandbox, StoreBuilder, days, id, now, skip};
use crate::seal::{identity, seals};

/// Words of a prompt, as the name of a plan carries them.
const SLUG: &str = "canaryq7-words-of-a-prompt";

/// A session whose records name a slug in the middle of the transcript.
fn planned(store: &StoreBuilder, number: u32, slug: &str, old: i64) -> Session {
    let filler = json!({"type": "mode", "sessionId": id(number), "x": "y".repeat(200 << 10)}).to_string();
    let named = json!({"type": "mode", "sessionId": id(number), "slug": slug}).to_string();
    store.session(number).head(&filler).head(&named).head(&filler).aged(days(old)).write()
}

fn plan(store: &StoreBuilder, name: &str, old: i64) -> PathBuf {
    store.put(format!("plans/{name}.md"), CONTENT, days(old))
}

/// A log of an MCP server, of which each record names a session.
fn log(sandbox: &Sandbox, name: &str, records: &[(u32, i64)], old: i64) -> PathBuf {
    let path = sandbox.home().join(".cache/claude-cli-nodejs/-work-acme/mcp-logs-s").join(name);
    let record = |(number, old): &(u32, i64)| {
        json!({"error": CONTENT, "timestamp": stamp(now() - days(*old)), "sessionId": id(*number), "cwd": "/work/acme"})
            .to_string()
    };
    put(&path, records.iter().map(record).collect::<Vec<_>>().join("\n") + "\n", days(old));
    path
}

fn reason(output: &Output, path: &str) -> String {
    output.item(path)["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_plan_goes_with_the_last_of_its_sessions_and_is_held_with_any() {
    let (sandbox, store) = deleting();
    let (old, young) = (planned(&store, 1, SLUG, 40), planned(&store, 2, SLUG, 10));
    // Its own date says nothing, in either direction.
    let shared = plan(&store, SLUG, 400);
    let of_agent = plan(&store, &format!("{SLUG}-agent-a1b2"), 400);
    let loose = plan(&store, "nobodys", 40);
    let recent = plan(&store, "nobodys-too", 10);
    let alone = plan(&store, "another", 2);
    planned(&store, 3, "another", 40);
    let output = sandbox.enforce();
    output.exits(0).quietly();
    assert!(!old.is_there() && young.is_there());
    assert!(shared.exists() && of_agent.exists() && recent.exists());
    assert!(!loose.exists() && !alone.exists());
    sandbox.run(["hold", "add", "--session", young.id(), "--reason", "case", "--name", "case"]).exits(0);
    let late =
        |days_on| sandbox.command(["-v", "enforce", "--yes", "--json"]).at(now() + days(days_on)).run();
    assert!(late(25).exits(0).stdout.contains("\"held\""));
    assert!(shared.exists() && of_agent.exists());
    sandbox.run(["hold", "release", "case", "--reason", "over"]).exits(0);
    late(25).exits(0);
    assert!(!shared.exists() && !of_agent.exists() && !young.is_there());
}

#[test]
fn a_rule_for_a_project_reaches_its_plans() {
    let (sandbox, store) = deleting();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "nda", "projects": ["/work/acme"], "deleteAfter": "5d"}, {"name": "rest", "deleteAfter": "90d"}]}"#,
    );
    planned(&store, 1, SLUG, 10);
    let reached = plan(&store, SLUG, 10);
    let other = plan(&store, "nobodys", 10);
    sandbox.enforce().exits(0).quietly();
    assert!(!reached.exists() && other.exists());
}

#[test]
fn the_plan_of_a_sealed_session_stays_its_own() {
    let (sandbox, store) = deleting();
    seals(&sandbox, &identity(&sandbox), "");
    let session = planned(&store, 1, SLUG, 10);
    let its = plan(&store, SLUG, 400);
    sandbox.enforce().exits(0);
    assert!(!session.is_there() && its.exists());
    let record = fs::read_to_string(
        sandbox.home().join(".claude/ccretain/sealed").join(session.id()).join("session.json"),
    )
    .unwrap();
    assert!(record.contains("\"slugs\"") && !record.contains("canaryq7"), "{record}");
    sandbox.enforce().exits(0);
    assert!(its.exists());
    // Where the key is lost, it may be the plan of any session that names one.
    for name in ["sessions.json", "dates.json"] {
        let _ = fs::remove_file(sandbox.state().join(name));
    }
    sandbox.enforce().exits(0);
    assert!(its.exists());
    sandbox.command(["enforce", "--yes", "--json"]).at(now() + days(25)).run().exits(0);
    assert!(!its.exists());
}

#[test]
fn the_plan_of_a_session_that_is_out_of_sight_waits_for_it() {
    let (sandbox, store) = deleting();
    let session = planned(&store, 1, SLUG, 10);
    let its = plan(&store, SLUG, 400);
    sandbox.enforce().exits(0);
    fs::remove_file(&session.transcript).unwrap();
    sandbox.enforce().exits(0);
    assert!(its.exists());
    sandbox.command(["enforce", "--yes", "--json"]).at(now() + days(25)).run().exits(0);
    assert!(!its.exists());
}

#[test]
fn a_slug_that_names_a_path_elsewhere_is_none() {
    let (sandbox, store) = deleting();
    let outside = store.put("CLAUDE.md", "mine", days(400));
    for (number, slug) in [(1, "../CLAUDE"), (2, "/etc/passwd"), (3, ".."), (4, "a/../../x"), (5, "sub/plan")]
    {
        planned(&store, number, slug, 10);
    }
    let plans = ["CLAUDE", "passwd", "plan", "x"].map(|name| plan(&store, name, 40));
    sandbox.enforce().exits(0).quietly();
    assert!(outside.exists());
    assert!(plans.iter().all(|plan| !plan.exists()), "they are nobody's and old");
}

/// A transcript is read whole only where there are plans, and once for each of its states.
#[test]
fn transcripts_are_searched_once_and_only_where_there_are_plans() {
    if !has("strace") {
        return skip("needs strace");
    }
    let (sandbox, store) = deleting();
    let sessions = [(1, SLUG), (2, "b")].map(|(number, slug)| {
        let session = store.session(number).aged(days(10)).write();
        let text = fs::read_to_string(&session.transcript).unwrap();
        // The project at the beginning, the date at the end, and the slug in the middle.
        let line = json!({"type": "mode", "sessionId": id(number), "slug": slug}).to_string() + "\n";
        fs::write(&session.transcript, text.clone() + &line.repeat(20_000) + &text).unwrap();
        age(&session.transcript, days(10));
        session
    });
    let trace = sandbox.root().join("trace");
    let searched = || {
        let _ = fs::remove_dir_all(&trace);
        fs::create_dir(&trace).unwrap();
        // A file for each thread: in one of all, a call that another one interrupts is two lines, without the name.
        let strace = ["strace", "-ff", "-qq", "-y", "-s", "0", "-e", "trace=read,pread64", "-o"];
        let to = trace.join("of").into_os_string();
        let strace = strace.map(std::ffi::OsString::from).into_iter().chain([to]);
        sandbox.command(["enforce", "--yes"]).through(strace).run().exits(0);
        let threads = fs::read_dir(&trace).unwrap().map(|entry| entry.unwrap().path());
        let trace: String = threads.map(|thread| fs::read_to_string(thread).unwrap()).collect();
        let of_file = |name: String| -> u64 {
            let reads = trace.lines().filter(|line| line.contains(&name));
            reads.filter_map(|line| line.rsplit(" = ").next()?.trim().parse::<u64>().ok()).sum()
        };
        let whole = |number: u32| of_file(format!("{}.jsonl>", id(number))) > 1 << 20;
        [1, 2].into_iter().filter(|number| whole(*number)).count()
    };
    assert_eq!(searched(), 0, "there are no plans");
    plan(&store, SLUG, 10);
    assert_eq!(searched(), 2);
    assert_eq!(searched(), 0, "nothing has changed");
    plan(&store, "another", 10);
    assert_eq!(searched(), 0, "what a transcript names is known whatever plans there are");
    let text = fs::read_to_string(&sessions[0].transcript).unwrap();
    fs::write(
        &sessions[0].transcript,
        text.clone() + &json!({"type": "mode", "slug": "another"}).to_string() + "\n",
    )
    .unwrap();
    age(&sessions[0].transcript, days(9));
    assert_eq!(searched(), 1);
    assert_eq!(searched(), 0);
}

#[test]
fn a_log_keeps_its_date_and_does_not_outlive_its_sessions() {
    let (sandbox, store) = deleting();
    store.session(1).aged(days(40)).write();
    store.session(2).aged(days(10)).write();
    let name = "2026-01-01T00-00-00-000Z.jsonl";
    let of = |file: &str, records: &[(u32, i64)], old| {
        log(&sandbox, &format!("2026-01-{file}{}", &name[10..]), records, old)
    };
    let old = of("01", &[(2, 40)], 3);
    let with_last = of("02", &[(1, 12)], 12);
    let shared = of("03", &[(1, 12), (2, 12)], 12);
    let gone = of("04", &[(77, 12)], 12);
    let by_mtime = sandbox.home().join(".cache/claude-cli-nodejs/-work-acme/mcp-logs-s/2026-01-05T00.txt");
    put(&by_mtime, CONTENT, days(40));
    let error = sandbox.home().join(".cache/claude-cli-nodejs/-work-acme/errors/2026-01-06T00.jsonl");
    put(
        &error,
        json!({"error": "x", "sessionId": id(1), "timestamp": stamp(now() - days(2))}).to_string(),
        days(2),
    );
    sandbox.enforce().exits(0).quietly();
    assert!(!old.exists(), "its last record is 40 days old");
    assert!(!with_last.exists() && !error.exists(), "its last session is gone");
    assert!(shared.exists() && gone.exists());
    assert!(!by_mtime.exists());
}

#[test]
fn a_log_is_held_with_a_session_it_names_and_stays_while_one_is_open() {
    let (sandbox, store) = deleting();
    store.session(1).aged(days(40)).write();
    store.session(2).aged(days(40)).write();
    let held = log(&sandbox, "2026-01-01T00.jsonl", &[(1, 40)], 40);
    sandbox.run(["hold", "add", "--session", &id(1), "--reason", "case", "--name", "case"]).exits(0);
    let open = log(&sandbox, "2026-01-02T00.jsonl", &[(2, 35)], 35);
    let before = log(&sandbox, "2026-01-03T00.jsonl", &[(2, 50)], 50);
    store.pid_file(std::process::id(), &id(2), json!({}));
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert_eq!(reason(&output, "2026-01-01T00.jsonl"), "held", "{output}");
    assert_eq!(reason(&output, "2026-01-02T00.jsonl"), "live");
    assert!(held.exists() && open.exists());
    assert!(!before.exists(), "it was written before that client started");
}

#[test]
fn a_log_that_is_too_long_to_be_read_is_covered_by_a_hold_on_any_session() {
    let (sandbox, store) = deleting();
    store.session(5).aged(days(2)).write();
    let path = log(&sandbox, "2026-01-01T00.jsonl", &[(1, 50)], 40);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    drop(file);
    age(&path, days(40));
    sandbox.run(["hold", "add", "--session", &id(5), "--reason", "case", "--name", "case"]).exits(0);
    let begun = std::time::Instant::now();
    let output = sandbox.enforce_verbosely();
    assert_eq!(reason(output.exits(0), "2026-01-01T00.jsonl"), "held");
    assert!(begun.elapsed().as_secs() < 20, "only a part of it is read");
    sandbox.run(["hold", "release", "case", "--reason", "over"]).exits(0);
    sandbox.enforce().exits(0);
    assert!(!path.exists());
}

#[test]
fn the_files_of_a_job_go_with_its_session_whatever_state_it_says_it_is_in() {
    let (sandbox, store) = deleting();
    for (number, session, state) in
        [(1, id(1), "working"), (2, id(2), "working"), (3, id(3), "needs-input"), (4, id(4), "done")]
    {
        let folder = format!("jobs/j{number}");
        let state = json!({"state": state, "tempo": "active", "sessionId": session}).to_string();
        store.put(format!("{folder}/state.json"), state, days(40));
        store.put(format!("{folder}/parent-transcript.jsonl"), CONTENT, days(40));
    }
    store.session(1).aged(days(40)).write();
    store.session(2).aged(days(2)).write();
    // The third session is gone; the fourth never says who it is of.
    store.put("jobs/j4/state.json", json!({"state": "working"}).to_string(), days(40));
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    let is_there = |number: u32| store.has(format!("jobs/j{number}/parent-transcript.jsonl"));
    assert_eq!([1, 2, 3, 4].map(is_there), [false, true, false, true], "{output}");
    assert_eq!(reason(&output, "jobs/j2/state.json"), "protected");
}

#[test]
fn a_purge_of_a_project_takes_what_no_other_session_shares() {
    let (sandbox, store) = deleting();
    planned(&store, 1, SLUG, 10);
    planned(&store, 2, "shared", 10);
    let other = json!({"type": "mode", "sessionId": id(3), "slug": "shared"}).to_string();
    store.session(3).cwd("/work/beta").head(&other).aged(days(10)).write();
    let (own, shared) = (plan(&store, SLUG, 2), plan(&store, "shared", 2));
    let logs =
        [(1, 1), (1, 3)].map(|(a, b)| log(&sandbox, &format!("2026-01-0{b}T00.jsonl"), &[(a, 5), (b, 5)], 5));
    sandbox.run(["purge", "--yes", "--project", "/work/acme"]);
    assert!(!own.exists() && shared.exists());
    assert!(!logs[0].exists() && logs[1].exists());
}

/// The text of everything that a command leaves outside of the store.
fn left_outside(sandbox: &Sandbox) -> String {
    fn texts(folder: &Path, into: &mut String) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => texts(&entry.path(), into),
                false => into.push_str(&String::from_utf8_lossy(&fs::read(entry.path()).unwrap())),
            }
            into.push_str(&entry.file_name().to_string_lossy());
        }
    }
    let mut all = String::new();
    texts(&sandbox.state(), &mut all);
    texts(&sandbox.home().join("out"), &mut all);
    let held = sandbox.home().join(".claude/ccretain");
    texts(&held, &mut all);
    all
}

/// The name of a plan is made of the words of a prompt, and shown nowhere.
#[test]
fn names_of_plans_are_in_no_output() {
    use std::os::unix::fs::PermissionsExt as _;
    let (sandbox, store) = deleting();
    let recipient = identity(&sandbox);
    sandbox.policy(&format!(
        r#"{{"version": 1, "recipients": ["{recipient}"], "ledger": {{"detail": "files"}}, "rules": [{{"name": "all", "sealAfter": "1d", "deleteAfter": "30d"}}]}}"#
    ));
    planned(&store, 1, SLUG, 5);
    let its = plan(&store, SLUG, 5);
    let linked = plan(&store, &format!("{SLUG}-linked"), 40);
    fs::hard_link(&linked, sandbox.home().join("second")).unwrap();
    plan(&store, &format!("{SLUG}-old"), 40);
    for name in [format!("{SLUG}.txt"), format!("{SLUG}/{SLUG}.md"), format!("{SLUG}.md.bak")] {
        let path = store.put(format!("plans/{name}"), CONTENT, days(40));
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
    }
    store.put(format!("plans/{SLUG}.md.tmp.0123abcd"), CONTENT, days(5));
    let link = store.link(format!("plans/{SLUG}-link.md"), "/nowhere");
    crate::common::store::age_link(&link, days(40));
    fs::set_permissions(&its, fs::Permissions::from_mode(0o666)).unwrap();
    fs::create_dir(sandbox.home().join("out")).unwrap();
    let out = |name: &str| sandbox.home().join("out").join(name).display().to_string();
    let path = its.display().to_string();
    let commands: Vec<Vec<String>> = [
        vec!["-v", "enforce", "--dry-run"],
        vec!["-v", "enforce", "--dry-run", "--json"],
        vec!["explain", &path],
        vec!["explain", &path, "--json"],
        vec!["explain", &store.path("plans").display().to_string()],
        vec!["-vv", "enforce", "--yes", "--metrics", &out("metrics")],
        vec!["-v", "enforce", "--yes", "--json", "--log-format", "json"],
        vec!["-v", "status"],
        vec!["status", "--json"],
        vec!["-v", "check"],
        vec!["check", "--json"],
        vec!["check", "--fix"],
        vec!["list", "--json"],
        vec!["hold", "add", "--session", &id(1), "--reason", "x", "--name", "h", "--preserve"],
        vec!["hold", "list", "--json"],
        vec!["hold", "release", "h", "--reason", "x"],
        vec!["report", "--html", &out("report.html")],
        vec!["ledger", "show", "--json"],
        vec!["purge", "-n", "--json"],
        vec!["purge", "--yes", "--project", "/work/acme", "--certificate", &out("part.json")],
        vec!["-vv", "purge", "--yes", "--certificate", &out("c.html")],
        vec!["-v", "purge", "--yes", "--json", "--certificate", &out("c.json")],
    ]
    .into_iter()
    .map(|words| words.into_iter().map(str::to_owned).collect())
    .collect();
    let mut shown = 0;
    for words in &commands {
        let output = sandbox.run(words);
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(!said.contains("canaryq7"), "{words:?}: {said}");
        shown += said.matches("plans/#").count();
        let left = left_outside(&sandbox);
        let at = left.find("canaryq7").map(|at| &left[at.saturating_sub(200)..(at + 60).min(left.len())]);
        assert_eq!(at, None, "{words:?}");
    }
    assert!(shown > 10, "they are shown as hashes: {shown}");
    // A folder that cannot be changed: what fails names no plan.
    if !crate::common::sandbox::is_root() {
        return;
    }
    let (sandbox, store) = self::deleting();
    plan(&store, SLUG, 40);
    fs::set_permissions(store.path("plans"), fs::Permissions::from_mode(0o500)).unwrap();
    sandbox.give_away();
    let output = sandbox.command(["-vv", "enforce", "--yes"]).unprivileged().run();
    output.exits(1).says("plans/#").never_says("canaryq7");
    assert!(!fs::read_to_string(sandbox.ledger()).unwrap().contains("canaryq7"));
}

#[test]
fn a_hold_counts_the_plans_and_logs_of_its_sessions() {
    let (sandbox, store) = deleting();
    let held = planned(&store, 1, SLUG, 10);
    planned(&store, 2, "another", 10);
    plan(&store, SLUG, 10);
    plan(&store, "another", 10);
    log(&sandbox, "2026-11-01T00.jsonl", &[(1, 10), (2, 10)], 10);
    log(&sandbox, "2026-11-02T00.jsonl", &[(2, 10)], 10);
    let output = sandbox.run(["hold", "add", "--session", held.id(), "--reason", "r", "--json"]);
    // Its transcript, its plan, and the log that names it.
    assert_eq!(output.exits(0).json()["hold"]["covers"]["files"], 3, "{output}");
}
