//! Whatever is done to a ledger, `verify` notices.

use proptest::prelude::*;

use super::*;

fn files(bench: &Bench) -> Vec<PathBuf> {
    let mut files = bench.closed();
    files.push(bench.active());
    files
}

/// Where a change lies, by the index of the first line it touches in the whole ledger.
fn lines_of(paths: &[PathBuf]) -> Vec<Vec<Vec<u8>>> {
    let split = |path: &PathBuf| {
        fs_err::read(path).unwrap().split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    };
    paths.iter().map(split).collect()
}

#[derive(Debug, Clone)]
enum Deed {
    Flip(u8),
    Delete,
    Swap,
    Repeat,
    Insert,
    CutLine,
    CutHere,
    DropSegment,
    EmptySegment,
    Blank,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (1u8..=255).prop_map(Deed::Flip),
        1 => Just(Deed::Delete),
        1 => Just(Deed::Swap),
        1 => Just(Deed::Repeat),
        1 => Just(Deed::Insert),
        1 => Just(Deed::CutLine),
        1 => Just(Deed::CutHere),
        1 => Just(Deed::DropSegment),
        1 => Just(Deed::EmptySegment),
        1 => Just(Deed::Blank),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn every_change_is_noticed(
        deed in deed(),
        which in any::<proptest::sample::Index>(),
        line in any::<proptest::sample::Index>(),
        byte in any::<proptest::sample::Index>(),
    ) {
        let bench = Bench::sized(900);
        bench.run(0, 4);
        let head = bench.run(1, 4);
        let paths = files(&bench);
        prop_assert!(paths.len() > 3);
        let before = lines_of(&paths);
        let mut after = before.clone();
        let segment = which.index(paths.len());
        let at_line = line.index(before[segment].len());
        let lines = &mut after[segment];
        let mut removed = false;
        match deed {
            Deed::Flip(mask) => {
                let length = lines[at_line].len();
                lines[at_line][byte.index(length)] ^= mask;
            }
            Deed::Delete => { lines.remove(at_line); }
            Deed::Swap => { let other = byte.index(lines.len()); lines.swap(at_line, other); }
            Deed::Repeat => { let copy = lines[at_line].clone(); lines.insert(at_line, copy); }
            Deed::Insert => {
                // As well forged as it can be without touching what follows.
                let mut head = Head::genesis();
                let all: Vec<_> = before[..segment].iter().flatten().chain(&lines[..at_line]).collect();
                if let Some(last) = all.last() {
                    head = Head { seq: all.len() as u64, sha256: entry::digest(&last[..last.len() - 1]) };
                }
                let batch = Batch { time: entry::stamp(at(1)), run: "x", clock: Clock::Proven, names: None };
                let mut forged = Vec::new();
                batch.encode(&intent("forged"), &mut head, &mut forged).unwrap();
                lines.insert(at_line, forged);
            }
            Deed::CutLine => { let length = lines[at_line].len(); lines[at_line].truncate(byte.index(length)); }
            Deed::CutHere => lines.truncate(at_line),
            Deed::DropSegment => removed = true,
            Deed::EmptySegment => lines.clear(),
            Deed::Blank => lines.insert(at_line, b"\n".to_vec()),
        }
        let same = before == after && !removed;
        write(&paths[segment], &after[segment].concat());
        if removed {
            files::remove_own(&paths[segment]).unwrap();
        }
        let with_head = verify(bench.dir(), Some(&head.sha256)).unwrap();
        prop_assert_eq!(with_head.is_sound(), same, "with a head: {:?}", with_head);
        prop_assert_eq!(with_head.given == Some(Given::Newest), same);

        // Without one, all but the removal of the newest records, or a change of the last line only.
        let flat = |all: &[Vec<Vec<u8>>]| all.iter().flatten().cloned().collect::<Vec<_>>();
        let (old, new) = (flat(&before), flat(&after));
        let first_change = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
        let at_the_end = !removed && segment == paths.len() - 1
            && (first_change == new.len() || first_change + 1 >= old.len());
        let found = bench.verify();
        if same {
            prop_assert!(found.is_sound(), "{:?}", found);
        } else if !at_the_end {
            let broken = found.broken.clone();
            prop_assert!(broken.is_some(), "{:?}", found);
            // It is named where it is: nothing before the change, and no later than the line after it.
            if !removed {
                let broken = broken.unwrap();
                let place = paths.iter().position(|path| *path == broken.segment).unwrap();
                let index = after[..place].iter().map(Vec::len).sum::<usize>() as u64 + broken.line - 1;
                let changed = first_change as u64;
                prop_assert!(index == changed || index == changed + 1, "{} {} {:?}", index, changed, found);
            }
        }
    }
}

#[test]
fn a_head_from_outside_shows_what_was_cut_from_the_end() {
    let bench = Bench::new();
    let first = bench.run(0, 2);
    let second = bench.run(1, 2);
    let bytes = fs_err::read(bench.active()).unwrap();
    let given = |head: &str| verify(bench.dir(), Some(head)).unwrap().given.unwrap();
    assert_eq!(given(&second.sha256), Given::Newest);
    assert_eq!(
        given(&first.sha256.to_uppercase()),
        Given::Inside { seq: first.seq, after: second.seq - first.seq }
    );
    let text = String::from_utf8(bytes).unwrap();
    let kept: String = text.split_inclusive('\n').take(usize::try_from(first.seq).unwrap()).collect();
    write(&bench.active(), kept.as_bytes());
    assert!(bench.verify().is_sound(), "the chain alone cannot show it");
    assert_eq!(given(&second.sha256), Given::Absent);
    assert!(!verify(bench.dir(), Some(&second.sha256)).unwrap().is_sound());
    assert_eq!(given(&first.sha256), Given::Newest);
}

#[test]
fn a_head_that_expired_is_known_as_such() {
    let mut bench = Bench::sized(1);
    bench.policy.keep = "immediately".parse::<Period>().unwrap();
    bench.run(0, 0);
    let last_dropped = bench.run(1, 0);
    bench.run(2, 0);
    let found = verify(bench.dir(), Some(&last_dropped.sha256)).unwrap();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.given, Some(Given::Expired));
}

/// Writes lines whose numbers and hashes fit, whatever else they say.
fn forge(path: &Path, head: &mut Head, entry: &Entry<'_>) {
    let batch = Batch { time: entry::stamp(at(1)), run: "x", clock: Clock::Proven, names: None };
    let mut line = Vec::new();
    batch.encode(entry, head, &mut line).unwrap();
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(&line).unwrap();
}

#[test]
fn a_stated_head_must_be_true() {
    let bench = Bench::new();
    let mut head = bench.run(0, 1);
    let lie = Entry { head: Some(Head { seq: 1, ..head.clone() }), ..Entry::new(Event::Summary) };
    forge(&bench.active(), &mut head, &lie);
    assert_eq!(bench.verify().broken.unwrap().fault, Fault::StatedHead);
}

#[test]
fn a_segment_must_say_what_it_continues() {
    let bench = Bench::new();
    let mut head = bench.run(0, 1);
    files::rename_own(&bench.active(), &bench.dir().join(segments::closed_name(head.seq))).unwrap();
    forge(&bench.active(), &mut head, &intent("s"));
    assert_eq!(bench.verify().broken.unwrap().fault, Fault::SegmentStart);
}

#[test]
fn a_torn_record_accounts_for_exactly_what_is_before_it() {
    // The hash of the torn bytes is right in one, that of the line before in the other.
    for (stated, prev) in [("x\ny", "x"), ("y", "y"), ("x\ny", "y")] {
        let bench = Bench::new();
        let whole = bench.run(0, 1);
        add(&bench.active(), b"x\ny\n");
        let mut head = Head { sha256: entry::digest(prev.as_bytes()), ..whole.clone() };
        let torn = Entry {
            head: Some(whole),
            sha256: Some(entry::digest(stated.as_bytes()).into()),
            ..Entry::new(Event::Torn)
        };
        forge(&bench.active(), &mut head, &torn);
        assert_eq!(bench.verify().is_sound(), (stated, prev) == ("x\ny", "y"), "{stated} {prev}");
    }
}
