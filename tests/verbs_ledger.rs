//! `ledger show` and `ledger verify` from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::common::output::settled;
use crate::common::sandbox::deleting;
use crate::common::{Sandbox, StoreBuilder, days, id};
use crate::seal::identity;

/// A sandbox in which two sessions were deleted by one run.
fn sandbox() -> (Sandbox, StoreBuilder) {
    let (sandbox, store) = deleting();
    store.session(0xAAAA_0001).aged(days(40)).write();
    store.session(0xBBBB_0002).cwd("/work/other").aged(days(50)).write();
    sandbox.enforce().exits(0);
    (sandbox, store)
}

#[test]
fn without_a_ledger_there_is_nothing_to_show() {
    let sandbox = Sandbox::new();
    sandbox.run(["ledger", "show"]).exits(0).quietly().says("no records");
    sandbox.run(["ledger", "verify"]).exits(0).quietly().says("nothing has been recorded");
    let json = sandbox.run(["ledger", "show", "--json"]).exits(0).quietly().json();
    assert_eq!(json["schema"], "ccretain.ledger/1");
    assert_eq!(json["records"].as_array().unwrap().len(), 0);
    assert!(fs::read_dir(sandbox.state()).unwrap().next().is_none(), "to look is to write nothing");
}

#[test]
fn records_are_a_table_for_people() {
    let (sandbox, _store) = sandbox();
    let output = sandbox.run(["ledger", "show", "-v"]);
    output.exits(0).quietly();
    insta::assert_snapshot!("ledger_table", settled(&output.stdout));
}

#[test]
fn a_run_has_a_row_and_its_id_leads_to_its_records() {
    let (sandbox, _store) = sandbox();
    sandbox.run(["hold", "add", "--session", "aaaa0001", "--reason", "court"]).exits(2);
    sandbox.run(["hold", "add", "--project", "/work/**", "--reason", "court", "--name", "case"]).exits(0);
    sandbox.run(["purge", "--yes"]).exits(4);
    let shown = sandbox.run(["ledger", "show"]);
    shown.exits(0).quietly().says("3 runs").says("refused: hold 'case'").says("hold-add");
    assert_eq!(shown.stdout.lines().count(), 5, "a row a run between head and total: {shown}");
    let advised = shown.stdout.split('`').nth(1).unwrap().strip_prefix("ccretain ").unwrap();
    let records = sandbox.run(advised.split(' '));
    records.exits(0).quietly().says("refused").says("of 1 run").never_says("hold-added");
    sandbox.run(["ledger", "show", "--run", "ffffffff"]).exits(0).says("no records");
}

#[test]
fn records_are_given_as_the_file_has_them() {
    let (sandbox, _store) = sandbox();
    let mut output = sandbox.run(["ledger", "show", "--json"]);
    output.stdout = output.stdout.replace("[HOME]", sandbox.home().to_str().unwrap());
    let json = output.exits(0).quietly().json();
    assert_eq!(json["records"], Value::Array(sandbox.ledger_lines()));
    assert_eq!(json["bad"], serde_json::json!([]));
}

#[test]
fn only_some_records_can_be_asked_for() {
    let (sandbox, _store) = sandbox();
    let seqs = |arguments: &[&str]| -> Vec<u64> {
        let json =
            sandbox.command(["ledger", "show", "--json"].iter().chain(arguments)).run().exits(0).json();
        json["records"].as_array().unwrap().iter().map(|record| record["seq"].as_u64().unwrap()).collect()
    };
    let all = seqs(&[]);
    assert_eq!(seqs(&["-n", "2"]), all[all.len() - 2..]);
    assert_eq!(seqs(&["--since", "1h"]), all);
    assert_eq!(seqs(&["--since", "2026-01-01"]), all);
    assert!(seqs(&["--since", "2999-01-01T00:00:00Z"]).is_empty());
    let of_session = seqs(&["--session", &id(0xAAAA_0001)]);
    assert_eq!(of_session.len(), 2);
    assert_eq!(seqs(&["--session", "aaaa0001"]), of_session);
    let run = sandbox.ledger_lines()[1]["run"].as_str().unwrap().to_owned();
    assert_eq!(seqs(&["--run", &run]), all);
    assert!(seqs(&["--run", "another"]).is_empty());
    for wrong in
        [["--since", "yesterday"], ["--since", "never"], ["--session", "aaaa000"], ["--session", "cccc0003"]]
    {
        sandbox.command(["ledger", "show"].iter().chain(&wrong)).run().exits(2);
    }
}

#[test]
fn a_line_that_is_no_record_is_shown_as_such_and_hides_nothing() {
    let (sandbox, _store) = sandbox();
    let count = sandbox.ledger_lines().len();
    let mut text = fs::read(sandbox.ledger()).unwrap();
    text.extend(b"{\"seq\":99,\"ti\x1b[31m");
    fs::write(sandbox.ledger(), text).unwrap();
    let output = sandbox.run(["ledger", "show", "-v"]);
    output.exits(0).says("no record: 18 bytes").never_says("\u{1b}");
    sandbox.run(["ledger", "show"]).exits(0).says("1 line cannot be read").never_says("\u{1b}");
    let json = sandbox.run(["ledger", "show", "--json"]).exits(0).json();
    assert_eq!(json["records"].as_array().unwrap().len(), count);
    assert_eq!(json["bad"].as_array().unwrap().len(), 1);
}

#[test]
fn a_sound_chain_is_told_with_its_head_and_its_limits() {
    let (sandbox, _store) = sandbox();
    let output = sandbox.run(["ledger", "verify"]);
    output.exits(0).quietly();
    let json = sandbox.run(["ledger", "verify", "--json"]).exits(0).quietly().json();
    let head = json["head"]["sha256"].as_str().unwrap().to_owned();
    assert_eq!(json["schema"], "ccretain.ledger-verify/1");
    assert_eq!((&json["sound"], &json["first"]), (&true.into(), &1.into()));
    assert_eq!(json["last"].as_u64().unwrap(), sandbox.ledger_lines().len() as u64);
    assert_eq!(json["rememberedHeadFound"], true);
    insta::assert_snapshot!(settled(&output.stdout).replace(&head, "[HEAD]"), @r"
    OK: 8 records in 1 file, hash chain intact
    first: 1
    last:  8
    head:  [HEAD]
    note:  the chain cannot show that its newest records were removed or that its last line was changed: compare with a head kept elsewhere, with --head
    ");
    sandbox.run(["ledger", "verify", "--head", &head]).exits(0).quietly().says("nothing is missing");
    let older = sandbox.ledger_lines()[2]["prev"].as_str().unwrap().to_owned();
    sandbox.run(["ledger", "verify", "--head", &older]).exits(0).says("is record 2");
    sandbox.run(["ledger", "verify", "--head", &"0".repeat(64)]).exits(1).says("not in the chain");
    sandbox.run(["ledger", "verify", "--head", "12ab"]).exits(2);
}

#[test]
fn the_first_line_that_does_not_fit_is_named() {
    let (sandbox, _store) = sandbox();
    let text = fs::read_to_string(sandbox.ledger()).unwrap();
    fs::write(sandbox.ledger(), text.replacen(&id(0xAAAA_0001), &id(0xAAAA_0003), 1)).unwrap();
    let at = text.lines().position(|line| line.contains(&id(0xAAAA_0001))).unwrap() + 2;
    let output = sandbox.run(["ledger", "verify"]);
    output.exits(1).says(&format!("'[STATE]/ledger.jsonl' line {at}: its 'prev'"));
    let json = sandbox.run(["ledger", "verify", "--json"]).exits(1).json();
    assert_eq!((&json["sound"], &json["broken"]["line"]), (&false.into(), &at.into()));
}

#[test]
fn a_chain_that_lost_the_head_the_last_run_noted_is_warned_about() {
    let (sandbox, _store) = sandbox();
    let text = fs::read_to_string(sandbox.ledger()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(sandbox.ledger(), lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    let output = sandbox.run(["ledger", "verify"]);
    output.exits(0);
    assert!(output.stderr.contains("newest records may have been removed"), "{output}");
}

/// What `check` finds about the ledger.
fn found_of_the_ledger(sandbox: &Sandbox) -> Vec<String> {
    let json = sandbox.run(["check", "--json"]).json();
    let found =
        json["findings"].as_array().unwrap().iter().map(|each| each["id"].as_str().unwrap().to_owned());
    found.filter(|id| id.starts_with("ledger")).collect()
}

/// What becomes of the lines of a ledger; `None` where the file goes.
type Tamper = fn(&[&str]) -> Option<String>;

#[test]
fn a_ledger_that_was_cut_or_replaced_stays_so_after_the_next_run() {
    let cases: [(&str, Tamper); 6] = [
        ("replaced", |_| Some("hello\n".to_owned())),
        ("emptied", |_| Some(String::new())),
        ("deleted", |_| None),
        ("cut", |lines| Some(lines[..3].concat())),
        ("ends in garbage", |lines| Some(lines[..3].concat() + "hello\nhello")),
        ("last line changed", |lines| {
            let (last, before) = lines.split_last().unwrap();
            Some(before.concat() + &last.replace("\"exit\":0", "\"exit\":1"))
        }),
    ];
    for (case, tamper) in cases {
        let (sandbox, _store) = sandbox();
        let text = fs::read_to_string(sandbox.ledger()).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let head = hash(lines.last().unwrap().trim_end());
        match tamper(&lines) {
            Some(text) => fs::write(sandbox.ledger(), text).unwrap(),
            None => fs::remove_file(sandbox.ledger()).unwrap(),
        }
        let ran = sandbox.run(["enforce", "--yes"]);
        ran.exits(1);
        assert!(
            ran.stderr.contains("ledger") && ran.stderr.contains("`ccretain ledger verify`"),
            "{case}: {ran}"
        );
        let records = fs::read_to_string(sandbox.ledger()).unwrap();
        let last: Value = serde_json::from_str(records.lines().last().unwrap()).unwrap();
        assert_eq!((&last["event"], &last["counts"]["exit"]), (&"summary".into(), &1.into()), "{case}");
        // It is told once by a run, and from then on by whoever looks.
        for _ in 0..2 {
            let output = sandbox.run(["ledger", "verify"]);
            output.exits(1).says("cut").never_says("OK");
            let json = sandbox.run(["ledger", "verify", "--json"]).exits(1).json();
            assert_eq!(json["sound"], false, "{case}: {json}");
            assert_eq!(json["broken"], Value::Null, "{case}: {json}");
            let missing = json["cuts"].as_array().unwrap().iter().filter(|cut| !cut["missing"].is_null());
            let missing: Vec<_> = missing.map(|cut| &cut["missing"]).collect();
            assert_eq!(missing, [&serde_json::json!({"seq": lines.len(), "sha256": head})], "{case}");
            assert_eq!(found_of_the_ledger(&sandbox), ["ledger-cut"], "{case}");
            sandbox.run(["enforce", "--yes"]).exits(0).quietly();
        }
    }
}

#[test]
fn a_ledger_that_was_cut_is_recorded_once_by_any_command() {
    let (sandbox, _store) = sandbox();
    let text = fs::read_to_string(sandbox.ledger()).unwrap();
    fs::write(sandbox.ledger(), text.split_inclusive('\n').take(3).collect::<String>()).unwrap();
    let hold =
        |name| sandbox.run(["hold", "add", "--project", "/work/**", "--reason", "court", "--name", name]);
    let output = hold("one");
    assert!(output.exits(0).stderr.contains("records were removed from the ledger"), "{output}");
    hold("two").exits(0).never_says("removed from the ledger");
    sandbox.enforce().exits(0);
    let json = sandbox.run(["ledger", "verify", "--json"]).exits(1).json();
    assert_eq!(json["cuts"].as_array().unwrap().len(), 1);
    assert_eq!(found_of_the_ledger(&sandbox), ["ledger-cut"]);
}

/// Not only what a run by the rules recorded.
#[test]
fn what_any_command_recorded_is_missed_once_it_is_gone() {
    let commands: [&[&str]; 4] = [
        &["hold", "add", "--project", "/work/**", "--reason", "court"],
        &["seal", "aaaa0002"],
        &["purge", "--yes", "--session", "aaaa0002"],
        &["check", "--fix"],
    ];
    for command in commands {
        let (sandbox, store) = sandbox();
        let recipient = identity(&sandbox);
        sandbox.policy(&format!(r#"{{"version": 1, "recipients": ["{recipient}"]}}"#));
        store.session(0xAAAA_0002).aged(days(3)).write();
        let open = store.put("projects/-work-acme/open.jsonl", "{}", days(1));
        fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
        let before = fs::read_to_string(sandbox.ledger()).unwrap();
        sandbox.run(command);
        assert!(
            fs::read_to_string(sandbox.ledger()).unwrap().len() > before.len(),
            "{command:?} records nothing"
        );
        fs::write(sandbox.ledger(), before).unwrap();
        let output = sandbox.run(["ledger", "verify"]);
        assert!(output.stderr.contains("newest records may have been removed"), "{command:?}: {output}");
        assert_eq!(found_of_the_ledger(&sandbox), ["ledger-cut"], "{command:?}");
        sandbox.run(["enforce", "--yes"]).exits(1).says("records were removed from the ledger");
    }
}

#[test]
fn a_line_that_a_crash_cut_off_behind_the_last_run_is_no_cut() {
    for left in ["{\"seq\":9,\"ti", "{\"seq\":9,\"ti\n", "\0\0\0"] {
        let (sandbox, _store) = sandbox();
        let text = fs::read_to_string(sandbox.ledger()).unwrap();
        fs::write(sandbox.ledger(), text + left).unwrap();
        sandbox.enforce().exits(0).quietly();
        sandbox.run(["ledger", "verify"]).exits(0).says("OK").says("closed and recorded");
        assert!(found_of_the_ledger(&sandbox).is_empty());
    }
}

#[test]
fn a_file_without_a_record_is_no_ledger_also_where_nothing_is_remembered() {
    for text in ["hello\n", ""] {
        let (sandbox, _store) = sandbox();
        fs::write(sandbox.ledger(), text).unwrap();
        fs::remove_file(sandbox.state().join("state.json")).unwrap();
        fs::remove_file(sandbox.state().join("head.json")).unwrap();
        let ran = sandbox.run(["enforce", "--yes"]);
        ran.exits(1).says("held no record and was begun anew");
        sandbox.run(["ledger", "verify"]).exits(1).never_says("OK");
        assert_eq!(found_of_the_ledger(&sandbox), ["ledger-cut"]);
    }
}

/// Appends a record to a chain as anybody can who may write the file: number and `prev` fit.
fn forge(lines: &mut Vec<String>, mut record: Value) {
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    record["seq"] = (last["seq"].as_u64().unwrap() + 1).into();
    record["prev"] = hash(lines.last().unwrap()).into();
    lines.push(record.to_string());
}

fn hash(line: &str) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(line.as_bytes()))
}

/// The ledger of several runs, cut before a record of this event, with an expiry forged at its end.
fn cut_before(sandbox: &Sandbox, event: &str) -> String {
    for age in 0..4 {
        sandbox.store().session(age + 1).aged(days(40)).write();
        sandbox.enforce().exits(0);
    }
    let text = fs::read_to_string(sandbox.ledger()).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let events = sandbox.ledger_lines();
    let at = events.iter().rposition(|record| record["event"] == event).unwrap();
    let head = hash(lines.last().unwrap());
    let mut left = lines[at..].to_vec();
    forge(
        &mut left,
        serde_json::json!({
            "time": chrono::Utc::now().to_rfc3339(), "run": "5b0e", "event": "expired", "files": 1,
            "bytes": 9_000_000, "reason": "older than 400d",
            "head": {"seq": at, "sha256": hash(&lines[at - 1])},
        }),
    );
    fs::write(sandbox.ledger(), left.join("\n") + "\n").unwrap();
    head
}

#[test]
fn a_beginning_that_was_cut_off_is_no_expiry() {
    for event in ["summary", "started", "outcome"] {
        let (sandbox, _store) = sandbox();
        let head = cut_before(&sandbox, event);
        sandbox.run(["ledger", "verify"]).exits(1).says("in the middle of a segment");
        let output = sandbox.run(["ledger", "verify", "--head", &head]);
        output.exits(1).says("in the middle of a segment").never_says("missing");
        let json = sandbox.run(["check", "--json"]).exits(3).json();
        let found = json["findings"].as_array().unwrap();
        assert!(found.iter().any(|finding| finding["id"] == "ledger-broken"), "{event}: {json}");
    }
}

/// A ledger of which the first sixteen records expired two days ago, and the age of their newest then.
fn expired(sandbox: &Sandbox, age: i64) -> (String, String) {
    let time = |days_ago| (chrono::Utc::now() - days(days_ago)).to_rfc3339();
    let before = serde_json::json!({"seq": 16, "sha256": hash("x")});
    let first = serde_json::json!({
        "seq": 17, "time": time(300), "run": "a", "event": "segment", "prev": before["sha256"],
        "until": time(2 + age), "head": before,
    });
    let mut lines = vec![first.to_string()];
    forge(&mut lines, serde_json::json!({"time": time(9), "run": "b", "event": "started", "policy": "p"}));
    let kept = hash(&lines[1]);
    forge(
        &mut lines,
        serde_json::json!({
            "time": time(2), "run": "c", "event": "expired", "files": 1, "reason": "older than 400d",
            "head": before,
        }),
    );
    forge(&mut lines, serde_json::json!({"time": time(2), "run": "c", "event": "summary"}));
    fs::write(sandbox.ledger(), lines.join("\n") + "\n").unwrap();
    (kept, hash(&lines[3]))
}

#[test]
fn records_that_expired_are_named_and_nothing_is_said_not_to_be_missing() {
    let sandbox = Sandbox::new();
    let (kept, head) = expired(&sandbox, 401);
    let output = sandbox.run(["ledger", "verify", "--head", &head]);
    output.exits(0).never_says("missing");
    output
        .says("gone:  records 1 to 16 expired by record 19 of ")
        .says("'keep' 400d: the policy allows that");
    output.says("the head given is the newest record, 20: the records from 17 on are all there");
    let output = sandbox.run(["ledger", "verify", "--head", &kept]);
    output.exits(0).never_says("missing").says("record 18: the records from 17 to it are all there");
    output.says("record 19, by which records expired, is newer than the head given");
    let output = sandbox.run(["ledger", "verify", "--head", &hash("x")]);
    output.exits(0).never_says("missing").says("is that of record 16, the last that expired");
    let json = sandbox.run(["ledger", "verify", "--json"]).exits(0).json();
    let gone = &json["gone"][0];
    assert_eq!((&gone["first"], &gone["last"], &gone["expiredBy"]), (&1.into(), &16.into(), &19.into()));
    assert_eq!((&gone["keep"], &gone["allowed"]), (&"400d".into(), &"yes".into()));
}

#[test]
fn records_that_keep_still_keeps_did_not_expire() {
    // Dropped too early by the `keep` of their own, and by that of the policy alone.
    for (age, policy, why) in [(30, "400d", "was not older than 400d"), (401, "500d", "ledger.keep")] {
        let sandbox = Sandbox::new();
        sandbox.policy(&format!(r#"{{"version": 1, "ledger": {{"keep": "{policy}"}}}}"#));
        let (_, head) = expired(&sandbox, age);
        for arguments in [&["ledger", "verify"][..], &["ledger", "verify", "--head", &head]] {
            let output = sandbox.run(arguments);
            output.exits(1).never_says("missing");
            assert!(format!("{output}").contains(why), "{output}");
        }
        let json = sandbox.run(["check", "--json"]).exits(3).json();
        let found = json["findings"].as_array().unwrap().iter().find(|each| each["id"] == "ledger-broken");
        assert!(found.is_some_and(|found| found.to_string().contains(why)), "{json}");
    }
}
