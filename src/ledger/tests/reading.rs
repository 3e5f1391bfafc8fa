//! Reading records forwards and backwards.

use proptest::prelude::*;

use super::*;

fn seqs(bench: &Bench, filter: &Filter) -> Vec<Option<u64>> {
    let items = records(bench.dir(), filter).unwrap();
    items
        .map(|item| match item.unwrap() {
            Item::Record(record) => Some(record.seq),
            Item::Bad(_) => None,
        })
        .collect()
}

#[test]
fn filters_choose_records_and_bad_lines_end_nothing() {
    let bench = Bench::sized(1_500);
    bench.run(0, 10);
    add(&bench.active(), b"not a record\n{\"half\":");
    bench.run(10, 5);
    let all = seqs(&bench, &Filter::default());
    let last = all.last().unwrap().unwrap();
    assert_eq!(all.iter().filter(|seq| seq.is_none()).count(), 2);
    assert_eq!(all.iter().flatten().copied().collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    for newest in [0, 1, 3, 9, 1000] {
        let found = seqs(&bench, &Filter { newest: Some(newest), ..Filter::default() });
        assert_eq!(found, all[all.len().saturating_sub(newest)..], "{newest}");
    }
    let since = seqs(&bench, &Filter { since: Some(at(10)), ..Filter::default() });
    assert_eq!(
        since.iter().flatten().count(),
        usize::try_from(last).unwrap() - all.iter().position(Option::is_none).unwrap()
    );
    let one = Filter { sessions: ["10-3".into()].into(), ..Filter::default() };
    assert_eq!(seqs(&bench, &one).len(), 1);
    assert_eq!(seqs(&bench, &Filter { newest: Some(9), ..one }).len(), 1);
    let run = Filter { run: Some("run-10".into()), sessions: ["0-1".into()].into(), ..Filter::default() };
    assert!(seqs(&bench, &run).is_empty());
}

#[test]
fn no_ledger_has_no_records() {
    let bench = Bench::new();
    assert!(seqs(&bench, &Filter::default()).is_empty());
    assert_eq!(last_time(bench.dir()).unwrap(), None);
    assert!(last_run(bench.dir()).unwrap().is_none());
    let found = verify(bench.dir(), Some(GENESIS)).unwrap();
    assert_eq!((found.records, found.head, found.given), (0, None, Some(Given::Absent)));
    assert!(bench.verify().is_sound());
}

#[test]
fn the_last_run_is_the_last_that_ended() {
    let bench = Bench::sized(600);
    bench.run(0, 1);
    let mut cut_off = bench.open(5);
    for index in 0..20 {
        cut_off.append(&[intent(&index.to_string())], at(6)).unwrap();
    }
    drop(cut_off);
    // Nor is one that ended and was no run of the rules.
    let purge = Entry { decision: Some("purge".into()), ..Entry::new(Event::Summary) };
    bench.open(7).close(purge, at(7)).unwrap();
    assert_eq!(last_run(bench.dir()).unwrap().unwrap().run, "run-0");
    assert_eq!(last_time(bench.dir()).unwrap(), Some(at(7)));
}

#[test]
fn a_reader_beside_a_writer_sees_a_chain() {
    let bench = Bench::sized(700);
    let mut ledger = bench.open(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for index in 0..300 {
                ledger.append(&[intent(&index.to_string())], at(0)).unwrap();
            }
        });
        let mut seen = 0;
        let mut rounds = 0;
        while !writer.is_finished() {
            let found = bench.verify();
            let fault = found.broken.as_ref().map(|broken| broken.fault.clone());
            assert!(matches!(fault, None | Some(Fault::Unfinished)), "{found:?}");
            assert!(found.records >= seen, "{} after {seen}", found.records);
            (seen, rounds) = (found.records, rounds + 1);
        }
        assert!(rounds > 1);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn backwards_gives_the_lines_of_the_file_reversed(
        lines in proptest::collection::vec((0usize..4, proptest::sample::select(vec![0usize, 1, 2, 300, 65_535, 65_536, 70_000])), 0..8),
        ended in proptest::bool::ANY,
    ) {
        let mut text: Vec<u8> = Vec::new();
        for (extra, length) in lines {
            text.extend(std::iter::repeat_n(b'a' + u8::try_from(extra).unwrap(), length + extra));
            text.push(b'\n');
        }
        if !ended {
            text.pop();
        }
        let temp = tempfile::NamedTempFile::new().unwrap();
        write(temp.path(), &text);
        let file = File::open(temp.path()).unwrap();
        let mut offset = 0;
        let mut expected: Vec<segments::TailLine> = text
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| {
                let start = offset;
                offset += line.len() as u64;
                let bytes = line.strip_suffix(b"\n").unwrap_or(line).to_vec();
                segments::TailLine { ended: line.ends_with(b"\n"), bytes, offset: start }
            })
            .collect();
        expected.reverse();
        let found: Vec<_> = segments::Backwards::new(&file).unwrap().map(Result::unwrap).collect();
        prop_assert!(found == expected);
    }
}

#[test]
fn the_newest_record_tells_whether_a_session_was_deleted_and_stays_so() {
    let bench = Bench::sized(4_000);
    let outcome = |session: &str, decision: &'static str, whole: bool| Entry {
        event: Event::Outcome,
        decision: Some(decision.into()),
        outcome: Some("deleted".into()),
        whole,
        ..intent(session)
    };
    let mut ledger = bench.open(1);
    let first =
        [outcome("gone", "delete", true), outcome("part", "delete", false), outcome("back", "delete", true)];
    ledger.append(&first, at(1)).unwrap();
    ledger.close(Entry::new(Event::Summary), at(1)).unwrap();
    drop(ledger);
    bench.run(2, 30);
    let mut ledger = bench.open(3);
    let later = [outcome("back", "hold-restore", false), outcome("gone", "seal", false)];
    ledger.append(&later, at(3)).unwrap();
    ledger.close(Entry::new(Event::Summary), at(3)).unwrap();
    drop(ledger);
    assert!(!bench.closed().is_empty(), "it is looked for in closed segments too");
    let sought = ["gone", "part", "back", "2-3"]
        .map(|session| Sought { store: "/home/u/.claude".into(), session: session.into() });
    let found = deletions(bench.dir(), None, None, &sought).unwrap();
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [0]);
    assert_eq!((found[&0].time, found[&0].run.as_str()), (at(1), "run-1"));
    let elsewhere = [Sought { store: "/other".into(), ..sought[0].clone() }];
    assert!(deletions(bench.dir(), None, None, &elsewhere).unwrap().is_empty());
    assert!(deletions(bench.dir(), None, Some("ann"), &sought).unwrap().is_empty(), "it is of no account");
}
