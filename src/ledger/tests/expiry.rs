//! What is gone is accounted for, or it was removed.

use super::*;

const DAY: i64 = 24 * 60;

/// A ledger of segments, the first of which expired on day 20 with `keep` 10d.
fn expired() -> (Bench, Head) {
    let mut bench = Bench::sized(2_000);
    bench.policy.keep = "10d".parse::<Period>().unwrap();
    bench.run(0, 30);
    bench.run(5 * DAY, 30);
    let head = bench.run(12 * DAY, 30);
    (bench, head)
}

fn judged(bench: &Bench, keep: &str, policy: &str, day: i64) -> Verification {
    let keep: Period = keep.parse().unwrap();
    let keep = Some(KeepInForce { keep: &keep, policy });
    super::super::verify(bench.dir(), &Expected { head: None, keep, now: at(day * DAY) }).unwrap()
}

fn lines(path: &Path) -> Vec<String> {
    fs_err::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// The newest record.
fn end(bench: &Bench) -> Head {
    let last = lines(&bench.active()).pop().unwrap();
    let seq = Record::parse(last.as_bytes()).unwrap().seq;
    Head { seq, sha256: entry::digest(last.as_bytes()) }
}

/// Appends an expiry, with numbers and hashes that fit.
fn forge(bench: &Bench, dropped: Option<Head>, minute: i64, clock: Clock, reason: Option<&'static str>) {
    let batch = Batch { time: entry::stamp(at(minute)), run: "forged", clock, names: None };
    let mut line = Vec::new();
    let forged = Entry { head: dropped, reason: reason.map(Into::into), ..Entry::new(Event::Expired) };
    batch.encode(&forged, &mut end(bench), &mut line).unwrap();
    add(&bench.active(), &line);
}

/// Removes the oldest segments; gives the last record that was in them.
fn remove_oldest(bench: &Bench, count: usize) -> Head {
    let oldest = &bench.closed()[..count];
    let head = tail::head_of(oldest.last().unwrap()).unwrap().unwrap();
    oldest.iter().for_each(|path| files::remove_own(path).unwrap());
    head
}

#[test]
fn an_expiry_that_keep_allows_is_told() {
    let (bench, head) = expired();
    let found = judged(&bench, "10d", "p", 12);
    assert!(found.is_sound(), "{found:?}");
    let [gone] = &found.gone[..] else { panic!("{found:?}") };
    assert_eq!((gone.first, gone.last + 1), (1, found.first.unwrap()));
    assert_eq!(gone.keep, Some("10d".parse().unwrap()));
    assert_eq!((gone.allowed, gone.time), (Allowed::Yes, at(12 * DAY)));
    assert_eq!(verify(bench.dir(), Some(&head.sha256)).unwrap().given, Some(Given::Newest));
    // What the policy in force keeps for longer must not be gone, where no other policy is on record.
    assert_eq!(judged(&bench, "9d", "p", 12).gone[0].allowed, Allowed::Yes);
    let found = judged(&bench, "20d", "p", 12);
    assert_eq!((found.is_sound(), found.gone[0].allowed), (false, Allowed::No));
    assert_eq!(judged(&bench, "never", "p", 12).gone[0].allowed, Allowed::No);
    // It is dated in the future.
    let broken = judged(&bench, "10d", "p", 10).broken.unwrap();
    assert!(matches!(&broken.fault, Fault::Expiry(why) if why.contains("future")), "{broken:?}");
}

#[test]
fn an_expiry_by_another_policy_is_told_as_such() {
    for (policy, allowed) in
        [(Some("another"), Allowed::ByAnotherPolicy), (Some("today's"), Allowed::No), (None, Allowed::No)]
    {
        let mut bench = Bench::sized(2_000);
        bench.policy.keep = "10d".parse::<Period>().unwrap();
        bench.run(0, 30);
        let mut ledger = bench.open(12 * DAY);
        let started = Entry { policy: policy.map(Into::into), ..Entry::new(Event::Started) };
        ledger.append(&[started], at(12 * DAY)).unwrap();
        ledger.close(Entry::new(Event::Summary), at(12 * DAY)).unwrap();
        let found = judged(&bench, "400d", "today's", 12);
        assert_eq!(found.gone[0].allowed, allowed, "{policy:?}");
        assert_eq!(found.is_sound(), allowed == Allowed::ByAnotherPolicy);
    }
}

#[test]
fn that_a_ledger_was_cut_is_told_until_its_record_has_expired() {
    let mut bench = Bench::new();
    bench.policy.keep = "10d".parse::<Period>().unwrap();
    bench.run(0, 3);
    let text = fs_err::read_to_string(bench.active()).unwrap();
    write(&bench.active(), text.split_inclusive('\n').next().unwrap().as_bytes());
    for day in [1, 5, 10] {
        bench.run(day * DAY, 1);
        assert_eq!(judged(&bench, "10d", "p", day).cuts.len(), 1, "{day}");
    }
    bench.run(12 * DAY, 1);
    let found = judged(&bench, "10d", "p", 12);
    assert!(found.is_sound() && found.cuts.is_empty(), "{found:?}");
}

#[test]
fn several_expiries_are_told_each_with_its_records() {
    let mut bench = Bench::sized(2_000);
    bench.policy.keep = "10d".parse::<Period>().unwrap();
    for day in [0, 3, 6, 9] {
        bench.run(day * DAY, 30);
    }
    bench.run(11 * DAY, 0);
    bench.run(14 * DAY, 0);
    bench.run(17 * DAY, 0);
    let found = judged(&bench, "10d", "p", 20);
    assert!(found.is_sound(), "{found:?}");
    let gone: Vec<_> = found.gone.iter().map(|gone| (gone.first, gone.last, gone.allowed)).collect();
    assert_eq!(gone.len(), 3, "{gone:?}");
    assert_eq!((gone[0].0, gone[0].1 + 1, gone[1].1 + 1), (1, gone[1].0, gone[2].0));
    assert_eq!(gone[2].1 + 1, found.first.unwrap());
    // What dated the older two went with the newest.
    let allowed: Vec<_> = gone.iter().map(|gone| gone.2).collect();
    assert_eq!(allowed, [Allowed::Unknown, Allowed::Unknown, Allowed::Yes]);
}

/// Whole segments are removed, so that the beginning looks like one that expiry leaves.
#[test]
fn a_forged_expiry_of_whole_segments_must_fit_their_age_and_keep() {
    for (what, reason, minute, clock, why) in [
        ("too early", Some("older than 10d"), 13 * DAY, Clock::Proven, "not older than 10d"),
        ("no keep", None, 13 * DAY, Clock::Proven, "not older than 10d"),
        ("keep never", Some("older than never"), 13 * DAY, Clock::Proven, "not older than never"),
        ("in the future", Some("older than 10d"), 60 * DAY, Clock::Proven, "in the future"),
        ("unproven", Some("older than 10d"), 13 * DAY, Clock::Unproven, "not proven"),
    ] {
        let (bench, _) = expired();
        let last = remove_oldest(&bench, 8);
        assert!(matches!(bench.verify().broken.unwrap().fault, Fault::Beginning(_)), "{what}");
        forge(&bench, Some(last), minute, clock, reason);
        let found = judged(&bench, "10d", "p", 13);
        let fault = found.broken.clone().map(|broken| broken.fault);
        assert!(matches!(&fault, Some(Fault::Expiry(said)) if said.contains(why)), "{what}: {found:?}");
    }
    // By a shorter `keep` of its own it fits itself, and not the policy.
    let (bench, _) = expired();
    let last = remove_oldest(&bench, 8);
    forge(&bench, Some(last), 13 * DAY, Clock::Proven, Some("older than 1h"));
    let found = judged(&bench, "10d", "p", 13);
    assert_eq!((found.broken.as_ref(), found.is_sound()), (None, false), "{found:?}");
}

#[test]
fn a_forged_expiry_must_name_the_end_of_a_segment() {
    type Name = fn(Head) -> Option<Head>;
    let names: [(&str, Name); 5] = [
        ("nothing", |_| None),
        ("a later record", |head| Some(Head { seq: head.seq + 3, ..head })),
        ("another hash", |head| Some(Head { sha256: GENESIS.to_owned(), ..head })),
        ("far ahead", |head| Some(Head { seq: u64::MAX, ..head })),
        ("an earlier one", |head| Some(Head { seq: 1, ..head })),
    ];
    for (what, name) in names {
        let (bench, _) = expired();
        let last = remove_oldest(&bench, 1);
        forge(&bench, name(last), 40 * DAY, Clock::Proven, Some("older than 10d"));
        let found = judged(&bench, "10d", "p", 60);
        assert!(matches!(found.broken.unwrap().fault, Fault::Expiry(_)), "{what}");
    }
}

#[test]
fn no_record_but_a_segment_begins_a_ledger_that_was_cut() {
    let (bench, head) = expired();
    let all = lines(&bench.active());
    let first = Record::parse(all[0].as_bytes()).unwrap().seq;
    for path in bench.closed() {
        files::remove_own(&path).unwrap();
    }
    // A torn line and what accounts for it, which states a head as well.
    let mut torn = end(&bench);
    add(&bench.active(), b"{\"seq\":9\n");
    let batch = Batch { time: entry::stamp(at(40 * DAY)), run: "x", clock: Clock::Proven, names: None };
    let entry = Entry {
        head: Some(torn.clone()),
        sha256: Some(entry::digest(b"{\"seq\":9").into()),
        ..Entry::new(Event::Torn)
    };
    torn.sha256 = entry::digest(b"{\"seq\":9");
    let mut line = Vec::new();
    batch.encode(&entry, &mut torn, &mut line).unwrap();
    add(&bench.active(), &line);
    let all = lines(&bench.active());
    for cut in 1..all.len() {
        write(&bench.active(), (all[cut..].join("\n") + "\n").as_bytes());
        let before = Head { seq: first + cut as u64 - 1, sha256: entry::digest(all[cut - 1].as_bytes()) };
        forge(&bench, Some(before), 40 * DAY, Clock::Proven, Some("older than 10d"));
        let broken = verify(bench.dir(), Some(&head.sha256)).unwrap().broken;
        let fault = broken.map(|broken| broken.fault);
        assert!(matches!(fault, Some(Fault::CutInside(_) | Fault::NoRecord)), "{cut}: {fault:?}");
    }
}

#[test]
fn segments_of_older_versions_bound_the_age_of_what_is_before_them() {
    for (day, sound) in [(9, false), (18, true)] {
        let bench = Bench::new();
        let before = Head { seq: 16, sha256: entry::digest(b"x") };
        let mut head = before.clone();
        let batch = Batch { time: entry::stamp(at(10 * DAY)), run: "x", clock: Clock::Proven, names: None };
        let mut line = Vec::new();
        batch
            .encode(&Entry { head: Some(before.clone()), ..Entry::new(Event::Segment) }, &mut head, &mut line)
            .unwrap();
        fs_err::create_dir_all(bench.dir()).unwrap();
        write(&bench.active(), &line);
        forge(&bench, Some(before), (10 + day) * DAY, Clock::Proven, Some("older than 20d"));
        assert_eq!(judged(&bench, "20d", "p", 40).is_sound(), sound, "{day}");
    }
}

#[test]
fn a_segment_that_a_crash_damaged_at_its_first_line_can_begin_a_ledger_later() {
    for damage in [&b""[..], b"{\"seq\":9", b"\0\0\0\n"] {
        let mut bench = Bench::sized(2_000);
        bench.policy.keep = "10d".parse::<Period>().unwrap();
        bench.run(0, 30);
        write(&bench.active(), damage);
        bench.forget();
        bench.run(DAY, 3);
        assert!(bench.verify().is_sound(), "{damage:?}");
        bench.run(10 * DAY + 1, 0);
        let found = judged(&bench, "10d", "p", 11);
        assert!(found.is_sound() && found.first > Some(1), "{damage:?}: {found:?}");
    }
}

/// However little is written: a small ledger forgets as a large one does.
#[test]
fn no_record_stays_for_much_longer_than_keep() {
    for (keep, days) in [("10d", 10), ("400d", 400)] {
        let mut bench = Bench::new();
        bench.policy.keep = keep.parse::<Period>().unwrap();
        let mut head = None;
        for day in (0..3 * days).step_by(usize::try_from(days / 10).unwrap()) {
            head = Some(bench.run(day * DAY, 1));
            let found = judged(&bench, keep, "p", day);
            assert!(found.is_sound(), "{day}: {found:?}");
            let oldest = bench.closed().into_iter().next().unwrap_or(bench.active());
            let first = Record::parse(lines(&oldest)[0].as_bytes()).unwrap();
            let age = at(day * DAY) - first.time;
            assert!(age <= TimeDelta::days(days + days / 5), "{keep}: {day}: {} days", age.num_days());
            // What is to be kept is there.
            assert!(
                day < days || age >= TimeDelta::days(days - days / 5),
                "{keep}: {day}: {} days",
                age.num_days()
            );
            assert!(bench.closed().len() <= 12, "{keep}: {day}");
        }
        let head = head.unwrap();
        assert_eq!(verify(bench.dir(), Some(&head.sha256)).unwrap().given, Some(Given::Newest));
    }
}

#[test]
fn an_uncertain_clock_ends_no_segment() {
    let bench = Bench::new();
    bench.run(0, 1);
    let mut ledger = bench.try_open(1_000 * DAY, Clock::Unproven).unwrap();
    ledger.close(Entry::new(Event::Summary), at(1_000 * DAY)).unwrap();
    assert_eq!(bench.closed().len(), 0);
}
