use proptest::prelude::*;

use super::samples::{at, exception, parts};
use super::*;
use crate::catalogue::{KINDS, Kind};
use crate::ledger::{Head, Item, Record};

#[test]
fn it_has_the_keys_of_the_contract_and_no_others() {
    let document: serde_json::Value = serde_json::from_str(&Certificate::issue(parts()).json()).unwrap();
    let mut keys: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let mut expected: Vec<&str> = "schema id tool policy operator host started ended stores method counts \
                                   verification exceptions remaining residualRisks ledger verdict notClaimed"
        .split_whitespace()
        .collect();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(document["schema"], SCHEMA);
    assert_eq!(document["verdict"], "complete");
    assert_eq!(
        document["counts"]["kinds"]["transcript"],
        serde_json::json!({"files": 2, "lines": 0, "bytes": 2560})
    );
}

#[test]
fn it_says_what_it_does_not_claim() {
    let said = Certificate::issue(parts()).not_claimed.join(" ");
    for words in ["roots listed", "NIST SP 800-88", "media and not of files", "Anthropic"] {
        assert!(said.contains(words), "{words}");
    }
}

#[test]
fn only_a_clean_second_scan_without_exceptions_is_complete() {
    let scope = Scope::default();
    let clean = Verification::scanned(at(0), 1, 1, Left::default(), true);
    assert_eq!(judge(&scope, &[], &[], &clean), Verdict::Complete);
    assert_eq!(judge(&scope, &[], &[], &Verification::not_made()), Verdict::Incomplete);
    assert_eq!(
        judge(&scope, &[], &[], &Verification::scanned(at(0), 1, 1, Left::default(), false)),
        Verdict::Incomplete
    );
    let left = Left { sessions: 1, ..Left::default() };
    assert_eq!(judge(&scope, &[], &[], &Verification::scanned(at(0), 1, 1, left, true)), Verdict::Incomplete);
    let lied = Verification { left, ..clean.clone() };
    assert_eq!(
        judge(&scope, &[], &[], &lied),
        Verdict::Incomplete,
        "what is left counts, whatever the word says"
    );
    for partial in [
        Scope { projects: vec!["/a/**".to_owned()], ..Scope::default() },
        Scope { before: Some(at(0)), ..Scope::default() },
        Scope { left_out: vec!["/b".to_owned()], ..Scope::default() },
    ] {
        assert_eq!(judge(&partial, &[], &[], &clean), Verdict::Partial);
        let held = exception(ExceptionReason::Held, "/x");
        assert_eq!(judge(&partial, &[held], &[], &clean), Verdict::Incomplete);
        let mut parts = parts();
        parts.method.scope = partial;
        assert!(Certificate::issue(parts).heading().contains("partial"));
    }
}

#[test]
fn equal_facts_give_equal_bytes_in_whatever_order() {
    let mut one = parts();
    one.exceptions = vec![
        exception(ExceptionReason::Held, "/b"),
        exception(ExceptionReason::Refused, "/a"),
        exception(ExceptionReason::Held, "/a"),
    ];
    let mut other = one.clone();
    other.exceptions.reverse();
    other.exceptions.push(other.exceptions[0].clone());
    assert_eq!(Certificate::issue(one).json(), Certificate::issue(other).json());
}

#[test]
fn names_cannot_leave_the_page_they_stand_in() {
    let mut parts = parts();
    parts.exceptions = vec![exception(ExceptionReason::Failed, "</script><script>alert(1)</script>&amp;")];
    let certificate = Certificate::issue(parts);
    let json = certificate.json();
    assert!(!json.contains(['<', '>', '&']), "{json}");
    assert_eq!(Certificate::parse(&json).unwrap(), certificate);
}

#[test]
fn other_documents_are_not_taken_for_certificates() {
    let json = Certificate::issue(parts()).json();
    assert!(matches!(Certificate::parse("{}"), Err(ParseError::Form(_))));
    assert!(matches!(
        Certificate::parse(&json.replace("certificate/1", "certificate/2")),
        Err(ParseError::Schema(_))
    ));
    assert!(
        Certificate::parse(&json.replacen('{', "{\"later\": 1,", 1)).is_ok(),
        "a later version may add keys"
    );
}

fn kind() -> impl Strategy<Value = Option<Kind>> {
    (0..=KINDS.len()).prop_map(|at| KINDS.get(at).map(|row| row.kind))
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::Plaintext), Just(Form::SealedAfterPlaintext), Just(Form::OnlySealed)]
}

proptest! {
    #[test]
    fn sums_hold_and_merging_is_adding(
        files in proptest::collection::vec((kind(), form(), 0..1_u64 << 40, any::<bool>()), 0..40),
        lines in proptest::collection::vec((0..1_000_u64, 0..100_000_u64), 0..5),
    ) {
        let (mut whole, mut first, mut second) = (Counts::default(), Counts::default(), Counts::default());
        for (kind, form, bytes, in_first) in &files {
            whole.file(*kind, *form, *bytes);
            if *in_first { &mut first } else { &mut second }.file(*kind, *form, *bytes);
        }
        for (lines, bytes) in &lines {
            whole.lines(Kind::History, *lines, *bytes);
            second.lines(Kind::History, *lines, *bytes);
        }
        prop_assert!(whole.add_up());
        first.merge(&second);
        prop_assert_eq!(&first, &whole);
        prop_assert_eq!(whole.files, files.len() as u64);
        let mut changed = whole.clone();
        changed.bytes += 1;
        prop_assert!(!changed.add_up());
    }

    #[test]
    fn any_exception_and_anything_left_is_incomplete(
        partial in any::<bool>(), exceptions in 0..3_usize, sessions in 0..2_u64, files in 0..2_u64, readable in any::<bool>(),
    ) {
        let scope = Scope { projects: if partial { vec!["/x".to_owned()] } else { Vec::new() }, ..Scope::default() };
        let left = Left { sessions, files, ..Left::default() };
        let scan = Verification::scanned(at(0), 1, 1, left, readable);
        let list = vec![exception(ExceptionReason::Failed, "/x"); exceptions];
        let verdict = judge(&scope, &list, &[], &scan);
        let clean = exceptions == 0 && sessions == 0 && files == 0 && readable;
        let expected = if !clean { Verdict::Incomplete } else if partial { Verdict::Partial } else { Verdict::Complete };
        prop_assert_eq!(verdict, expected);
    }
}

/// A ledger in which a run removed what the sample says, as lines.
fn ledger(certificate: &mut Certificate) -> Vec<String> {
    let run = certificate.parts.ledger.run.clone();
    let mut lines = Vec::new();
    for (event, rest) in [
        ("started", format!(r#""policy":"{}""#, certificate.parts.policy.sha256)),
        ("intent", r#""files":2"#.to_owned()),
        ("outcome", r#""decision":"delete","outcome":"deleted","files":2"#.to_owned()),
        ("outcome", r#""decision":"prune","outcome":"pruned","lines":7"#.to_owned()),
    ] {
        let seq = lines.len() + 1;
        lines.push(format!(
            r#"{{"seq":{seq},"time":"2027-01-15T08:00:00Z","run":"{run}","event":"{event}","prev":"x",{rest}}}"#
        ));
    }
    certificate.parts.ledger.head = Head { seq: 4, sha256: digest(lines[3].as_bytes()) }.into();
    let hash = digest(certificate.json().as_bytes());
    let counts: Vec<String> = certificate.sums().iter().map(|(n, c)| format!("\"{n}\":{c}")).collect();
    lines.push(format!(
        r#"{{"seq":5,"time":"2027-01-15T08:00:04Z","run":"{run}","event":"certificate","prev":"x","sha256":"{hash}","counts":{{{}}}}}"#,
        counts.join(",")
    ));
    lines
}

fn record(line: &str) -> Record {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    let text = |key: &str| fields[key].as_str().unwrap().to_owned();
    Record {
        line: line.to_owned(),
        seq: fields["seq"].as_u64().unwrap(),
        time: text("time").parse().unwrap(),
        run: text("run"),
        event: text("event"),
        clock_proven: true,
        fields: fields.clone(),
    }
}

fn compare(certificate: &Certificate, json: &str, lines: &[String]) -> Comparison {
    let records = lines.iter().map(|line| Ok(Item::Record(Box::new(record(line)))));
    certificate.compare(&digest(json.as_bytes()), records).unwrap()
}

#[test]
fn a_certificate_and_its_ledger_belong_together() {
    let mut certificate = Certificate::issue(parts());
    let lines = ledger(&mut certificate);
    let found = compare(&certificate, &certificate.json(), &lines);
    assert_eq!(found, Comparison { recorded: Some(5), differs: Vec::new() });
}

#[test]
fn whatever_is_changed_is_told_apart() {
    let mut genuine = Certificate::issue(parts());
    let lines = ledger(&mut genuine);
    let tampered = |change: &dyn Fn(&mut Certificate)| {
        let mut certificate = genuine.clone();
        change(&mut certificate);
        let found = compare(&certificate, &certificate.json(), &lines);
        assert!(!found.fits());
        found.differs.join("\n")
    };
    assert!(
        tampered(&|one| one.parts.host.name = Some("other".to_owned()))
            .contains("changed after it was issued")
    );
    assert!(tampered(&|one| one.parts.counts.files += 5).contains("sums"));
    assert!(
        tampered(&|one| one.parts.counts.file(None, Form::Plaintext, 1)).contains("counts 3 files removed")
    );
    assert!(tampered(&|one| one.verdict = Verdict::Partial).contains("its verdict is 'partial'"));
    assert!(tampered(&|one| one.parts.ledger.head.seq = 3).contains("another than the head"));
    assert!(tampered(&|one| one.parts.ledger.head.seq = 99).contains("no record 99"));
    assert!(tampered(&|one| one.parts.ledger.run = "other".to_owned()).contains("no record of the run"));
    assert!(tampered(&|one| one.parts.policy.sha256 = "00".repeat(32)).contains("another policy"));
    assert!(tampered(&|one| one.parts.ended = at(-10)).contains("ended before"));
    // A ledger that lost or changed something.
    let without = |at: usize| {
        let mut lines = lines.clone();
        lines.remove(at);
        compare(&genuine, &genuine.json(), &lines).differs.join("\n")
    };
    assert!(without(4).contains("does not record that the run issued"));
    assert!(without(3).contains("no record 4"));
    assert!(without(2).contains("2 files removed, and the ledger records 0"));
    assert!(compare(&genuine, &genuine.json(), &[]).differs.len() >= 2);
    assert!(
        compare(&genuine, &genuine.json(), &lines[4..]).differs.join("\n").contains("expired or was removed")
    );
    // The same document in other bytes is another document.
    assert!(!compare(&genuine, genuine.json().trim_end(), &lines).fits());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "files of the test's own")]
fn files_are_never_written_over_anything() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    let prepare = |names: &[&str]| {
        let paths: Vec<_> = names.iter().map(|name| path(name)).collect();
        Files::prepare(&paths, None)
    };
    std::fs::write(path("old.json"), "x").unwrap();
    assert!(matches!(prepare(&["old.json"]), Err(FileError::Exists { .. })));
    assert!(matches!(prepare(&["a.json", "a.json"]), Err(FileError::Exists { .. })));
    assert!(matches!(prepare(&["a.pdf"]), Err(FileError::Format { .. })));
    assert!(matches!(prepare(&["a"]), Err(FileError::Format { .. })));
    assert!(matches!(prepare(&["no/such/a.json"]), Err(FileError::File(_))));
    drop(prepare(&["a.json", "b.html", "c.txt"]).unwrap());
    let names = || {
        let mut names: Vec<_> =
            std::fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["old.json"], "what was only prepared leaves nothing");
    let mut files = prepare(&["a.json", "c.txt"]).unwrap();
    assert_eq!(names(), ["old.json"], "whoever ends a question leaves nothing");
    files.reserve().unwrap();
    assert_eq!(names().len(), 3);
    let certificate = Certificate::issue(parts());
    let written = files.write(&certificate, &|_, imprint| imprint.sha256.to_owned()).unwrap();
    assert_eq!(std::fs::read_to_string(path("a.json")).unwrap(), certificate.json());
    assert_eq!(std::fs::read_to_string(path("c.txt")).unwrap(), written.sha256);
    assert_eq!((written.json, written.signature), (Some(path("a.json")), None));
    assert_eq!(names(), ["a.json", "c.txt", "old.json"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = path("a.json").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o722, 0o600, "whatever the umask leaves to others, they never write");
    }
    // Somebody was there first, after it was looked at.
    let late = prepare(&["d.json"]).unwrap();
    std::fs::write(path("d.json"), "theirs").unwrap();
    assert!(matches!(late.write(&certificate, &|_, _| String::new()), Err(FileError::Exists { .. })));
    assert_eq!(std::fs::read_to_string(path("d.json")).unwrap(), "theirs");
}
