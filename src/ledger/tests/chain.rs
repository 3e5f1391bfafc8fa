//! Writing, rotating, expiring, and what a crash leaves.

use super::*;

#[test]
fn a_line_is_what_the_documents_say() {
    let bench = Bench::new();
    let mut ledger = bench.open(0);
    let failed = vec![Failure { path: "a\"b".into(), error: "permission denied".into() }];
    let outcome = Entry {
        outcome: Some("failed".into()),
        sha256: Some("00".into()),
        error: Some("why".into()),
        path: Some("/p".into()),
        lines: Some(2),
        policy: Some("ff".into()),
        failed,
        ..Entry { event: Event::Outcome, ..intent("s") }
    };
    ledger.append(&[outcome], at(1)).unwrap();
    let summary =
        Entry { counts: vec![("kept".into(), 7), ("deleted".into(), 1)], ..Entry::new(Event::Summary) };
    let head = ledger.close(summary, at(2)).unwrap();
    let text = fs_err::read_to_string(bench.active()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let prev: Vec<String> = lines.iter().map(|line| entry::digest(line.as_bytes())).collect();
    assert_eq!(
        lines[0],
        format!(
            r#"{{"seq":1,"time":"2024-10-04T00:00:00.000Z","run":"run-0","event":"segment","prev":"{GENESIS}"}}"#
        )
    );
    assert_eq!(
        lines[1],
        format!(
            r#"{{"seq":2,"time":"2024-10-04T00:01:00.000Z","run":"run-0","event":"outcome","prev":"{}","store":"/home/u/.claude","session":"s","project":"/work/acme","rule":"default","decision":"delete","outcome":"failed","files":3,"bytes":4096,"lines":2,"sha256":"00","policy":"ff","error":"why","path":"/p","failed":[{{"path":"a\"b","error":"permission denied"}}]}}"#,
            prev[0]
        )
    );
    assert_eq!(
        lines[2],
        format!(
            r#"{{"seq":3,"time":"2024-10-04T00:02:00.000Z","run":"run-0","event":"summary","prev":"{0}","counts":{{"kept":7,"deleted":1}},"head":{{"seq":2,"sha256":"{0}"}}}}"#,
            prev[1]
        )
    );
    assert_eq!(head, Head { seq: 3, sha256: prev[2].clone() });
    assert!(bench.verify().is_sound());
}

#[test]
fn an_entry_can_be_sent_to_the_parent() {
    let mut entry = intent("s");
    entry.failed = vec![Failure { path: "p".into(), error: "e".into() }];
    entry.counts = vec![("b".into(), 1), ("a".into(), 2)];
    entry.head = Some(Head::genesis());
    let sent = serde_json::to_string(&entry).unwrap();
    assert_eq!(serde_json::from_str::<Entry<'_>>(&sent).unwrap(), entry);
}

#[test]
fn keyed_names_show_no_path_and_no_id() {
    let mut bench = Bench::new();
    bench.policy.names = policy::Names::Keyed;
    let mut ledger = bench.open(0);
    let message = "cannot remove '/work/acme/it's secret': permission denied at /work/acme";
    let entry = Entry {
        path: Some("/work/acme/secret".into()),
        error: Some(message.into()),
        failed: vec![Failure { path: "/work/acme/secret".into(), error: message.into() }],
        ..intent("0b1c2d3e-session")
    };
    ledger.append(&[entry.clone(), entry], at(0)).unwrap();
    drop(ledger);
    let text = fs_err::read_to_string(bench.active()).unwrap();
    for secret in ["acme", "secret", "0b1c2d3e", "/home/u"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(text.contains("permission denied"));
    let keyed = Names::load(&bench.place.state_dir).unwrap().unwrap().keyed("0b1c2d3e-session");
    assert_eq!(text.matches(&keyed).count(), 2);
    // Another run has the same key; another machine has another.
    let again = Names::load_or_create(&bench.place.state_dir).unwrap().keyed("0b1c2d3e-session");
    assert_eq!(keyed, again);
    let other = Names::load_or_create(bench.temp.path()).unwrap().keyed("0b1c2d3e-session");
    assert_ne!(keyed, other);
    write(&bench.place.state_dir.join(KEY_FILE), b"short\n");
    assert!(bench.try_open(1, Clock::Proven).is_err());
}

#[test]
fn segments_follow_each_other_within_and_between_runs() {
    let bench = Bench::sized(2_000);
    for minute in 0..6 {
        bench.run(minute, 20);
    }
    let closed = bench.closed();
    assert!(closed.len() > 10, "{closed:?}");
    let found = bench.verify();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.segments, closed.len() + 1);
    assert_eq!((found.first, found.last()), (Some(1), Some(found.records)));
    for path in &closed {
        assert!(path.metadata().unwrap().len() < 3_000);
    }
    let count = records(bench.dir(), &Filter::default()).unwrap().count();
    assert_eq!(count as u64, found.records);
}

#[test]
fn old_segments_expire_and_the_chain_says_so() {
    let mut bench = Bench::sized(2_000);
    bench.policy.keep = "10d".parse::<Period>().unwrap();
    const DAY: i64 = 24 * 60;
    let old = bench.run(0, 30);
    bench.run(5 * DAY, 30);
    let before = bench.closed().len();
    bench.run(12 * DAY, 0);
    let after = bench.closed();
    assert!(after.len() < before && !after.is_empty(), "{before} {after:?}");
    let found = bench.verify();
    assert!(found.is_sound(), "{found:?}");
    assert!(found.first.unwrap() > 20 && found.first.unwrap() <= old.seq + 2, "{found:?}");
    assert_eq!(verify(bench.dir(), Some(GENESIS)).unwrap().given, Some(Given::Absent));
    // Without the record the same files are a ledger with its beginning cut off.
    let oldest = after[0].clone();
    bench.run(12 * DAY + 1, 0);
    files::remove_own(&oldest).unwrap();
    assert!(matches!(bench.verify().broken.unwrap().fault, Fault::Beginning(_)));
}

#[test]
fn a_crash_while_dropping_segments_is_no_gap() {
    let mut bench = Bench::sized(1_000);
    bench.run(0, 20);
    let mut closed = bench.closed();
    let mut kept: Vec<_> = closed.iter().map(|path| fs_err::read(path).unwrap()).collect();
    // The active one is as old, and ends with the next run.
    let last = tail::head_of(&bench.active()).unwrap().unwrap().seq;
    closed.push(bench.dir().join(segments::closed_name(last)));
    kept.push(fs_err::read(bench.active()).unwrap());
    bench.policy.keep = "1d".parse::<Period>().unwrap();
    bench.run(2 * 24 * 60, 0);
    assert!(closed.iter().all(|path| !path.exists()));
    for (path, bytes) in closed.iter().zip(&kept).skip(2) {
        write(path, bytes);
    }
    let found = bench.verify();
    assert!(found.is_sound() && found.first > Some(1), "{found:?}");
    bench.run(2 * 24 * 60 + 1, 0);
    assert!(bench.verify().is_sound());
    assert!(closed.iter().all(|path| !path.exists()));
}

#[test]
fn a_clock_that_is_not_proven_drops_nothing_and_is_not_seen() {
    let mut bench = Bench::sized(1_000);
    bench.policy.keep = "1d".parse::<Period>().unwrap();
    bench.run(0, 20);
    let closed = bench.closed();
    let far = 3650 * 24 * 60;
    let mut ledger = bench.try_open(far, Clock::Unproven).unwrap();
    ledger.append(&[Entry::new(Event::Refused)], at(far)).unwrap();
    ledger.close(Entry { decision: Some("enforce".into()), ..Entry::new(Event::Summary) }, at(far)).unwrap();
    drop(ledger);
    assert!(bench.closed().starts_with(&closed));
    assert_eq!(last_time(bench.dir()).unwrap(), Some(at(0)));
    assert_eq!(last_run(bench.dir()).unwrap().unwrap().time, at(far));
    assert!(bench.verify().is_sound());
    let keep_for_ever =
        Bench { policy: LedgerPolicy { keep: "never".parse().unwrap(), ..Default::default() }, ..bench };
    keep_for_ever.run(far, 0);
    assert!(keep_for_ever.closed().starts_with(&closed));
}

#[test]
fn a_clock_that_is_not_proven_dates_no_segment() {
    let mut bench = Bench::sized(1_000);
    bench.policy.keep = "1d".parse::<Period>().unwrap();
    let year = 365 * 24 * 60;
    bench.run(year, 2);
    // The last record of the segment says that it is a year older than it is.
    let mut wrong = bench.try_open(0, Clock::Unproven).unwrap();
    for _ in 0..5 {
        wrong.append(&[intent("s")], at(0)).unwrap();
    }
    drop(wrong);
    let closed = bench.closed();
    assert!(!closed.is_empty());
    bench.run(year + 1, 0);
    assert!(bench.closed().starts_with(&closed));
    bench.run(year + 2 * 24 * 60, 0);
    assert!(!bench.closed().contains(&closed[0]));
}

#[test]
fn a_torn_line_is_closed_recorded_and_left() {
    for torn in [&b"{\"seq\":99,\"ti"[..], b"{", b"\0\0\0\n\0\0", b"x\n", b"\n", b"\n\n", b"\xff\xfe"] {
        let bench = Bench::new();
        let before = bench.run(0, 3);
        add(&bench.active(), torn);
        assert!(!bench.verify().is_sound(), "{torn:?}");
        let head = bench.run(1, 1);
        let found = bench.verify();
        assert!(found.is_sound(), "{torn:?}: {found:?}");
        assert_eq!(found.closed.len(), 1, "{torn:?}");
        assert_eq!(head.seq, before.seq + 3);
        let bytes = fs_err::read(bench.active()).unwrap();
        assert!(bytes.windows(torn.len()).any(|part| part == torn), "evidence is kept");
        // A torn line that is changed afterwards no longer fits.
        let place = bytes.windows(torn.len()).position(|part| part == torn).unwrap();
        let mut forged = bytes.clone();
        forged.splice(place..place + torn.len(), *b"forged");
        write(&bench.active(), &forged);
        assert!(!bench.verify().is_sound(), "{torn:?}");
    }
}

#[test]
fn a_record_that_only_lacks_its_newline_is_kept() {
    let bench = Bench::new();
    let before = bench.run(0, 3);
    let bytes = fs_err::read(bench.active()).unwrap();
    write(&bench.active(), bytes.strip_suffix(b"\n").unwrap());
    assert_eq!(bench.verify().broken.unwrap().fault, Fault::Unfinished);
    bench.run(1, 0);
    let found = verify(bench.dir(), Some(&before.sha256)).unwrap();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.given, Some(Given::Inside { seq: before.seq, after: 2 }));
    assert_eq!(found.closed.len(), 1);
}

/// Every place a crash can cut the file at, the next run mends, and nothing whole is lost.
#[test]
fn any_cut_is_mended() {
    let bench = Bench::new();
    let head = bench.run(0, 2);
    let bytes = fs_err::read(bench.active()).unwrap();
    let first = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    for length in 0..=bytes.len() {
        // That a ledger was cut closes its segment.
        bench.closed().iter().for_each(|closed| files::remove_own(closed).unwrap());
        write(&bench.active(), &bytes[..length]);
        bench.forget();
        bench.run(1, 1);
        let found = bench.verify();
        assert_eq!(found.broken, None, "{length}");
        // A crash leaves no file without its first record; something else did, and that stays known.
        assert_eq!(found.is_sound(), length >= first, "{length}: {found:?}");
        let whole = bytes[..length].iter().filter(|byte| **byte == b'\n').count();
        assert!(found.records >= whole as u64 + 2, "{length}");
        assert!(found.records <= head.seq + 3, "{length}");
    }
}

#[test]
fn a_crash_while_rotating_is_mended() {
    // After the new segment was written; after the old one got its second name; and, where there
    // are no hard links, after it was renamed.
    for step in 0..3 {
        let bench = Bench::new();
        let head = bench.run(0, 3);
        write(&bench.dir().join(segments::FRESH), b"anything");
        let closed = bench.dir().join(segments::closed_name(head.seq));
        match step {
            0 => {}
            1 => {
                std::fs::hard_link(bench.active(), &closed).unwrap();
                assert!(bench.verify().is_sound());
            }
            _ => {
                files::rename_own(&bench.active(), &closed).unwrap();
                assert_eq!(bench.verify().broken.unwrap().fault, Fault::NoActive);
            }
        }
        bench.run(1, 1);
        let found = verify(bench.dir(), Some(&head.sha256)).unwrap();
        assert!(found.is_sound(), "{found:?}");
        assert!(!bench.dir().join(segments::FRESH).exists());
        assert_eq!(closed.exists(), step == 2);
    }
}
