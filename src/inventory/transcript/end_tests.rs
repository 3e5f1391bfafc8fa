use proptest::prelude::*;
use proptest::sample::select;

use super::tests::{ID, ago, facts, filler, record, stamp};
use super::*;

/// What a power loss, a wrong clock or another tool leaves where the newest record was to be.
fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let sound = record(5);
    let sound = sound.trim_end();
    let with = |timestamp: &str| {
        format!("{{\"type\":\"user\",\"sessionId\":\"{ID}\",\"timestamp\":{timestamp}}}").into_bytes()
    };
    let half = sound.len() / 2;
    vec![
        ("zero bytes", vec![0; 300]),
        ("zero bytes before a record", [vec![0; 30], sound.into()].concat()),
        ("zero bytes after a record", [sound.into(), vec![0; 30]].concat()),
        ("cut off", sound[..half].into()),
        ("cut off in its timestamp", sound[..sound.len() - 9].into()),
        ("begun in the middle", sound[half..].into()),
        ("glued", [sound, sound].concat().into()),
        ("glued to half of one", [&sound[..half], sound].concat().into()),
        ("one bracket more", format!("{sound}}}").into()),
        ("no number", with("NaN")),
        ("no number, infinite", with("-Infinity")),
        ("beyond numbers", with("1e400")),
        ("UTF-16", sound.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        (
            "UTF-16 with its mark",
            "\u{feff}".encode_utf16().chain(sound.encode_utf16()).flat_map(u16::to_be_bytes).collect(),
        ),
        ("a list", format!("[{sound}]").into()),
        ("a list of the values", format!("[\"{}\",\"/w\",\"{ID}\",\"cli\",\"user\"]", stamp(5)).into()),
        ("a text", format!("{:?}", sound).into()),
        ("a number", b"17".to_vec()),
        ("a key twice", with(&format!("\"{}\",\"timestamp\":\"{}\"", stamp(9), stamp(5)))),
        ("no zone", with(&format!("\"{}\"", stamp(5).trim_end_matches('Z')))),
        ("no time", with(&format!("\"{}\"", &stamp(5)[..10]))),
        ("no text", with("\"\"")),
        ("digits in a text", with("\"1780000000000\"")),
        ("nothing", with("null")),
        ("a truth", with("true")),
        ("an object", with(&format!("{{\"at\":\"{}\"}}", stamp(5)))),
        ("in a list of its own", with(&format!("[\"{}\"]", stamp(5)))),
        ("1970", with("\"1970-01-01T00:00:12.345Z\"")),
        ("1601", with("\"1601-01-01T00:00:00Z\"")),
        ("2000", with("\"2000-01-01T00:10:00.000Z\"")),
        ("the last second of 2023", with("\"2023-12-31T23:59:59Z\"")),
        ("zero", with("0")),
        ("less than zero", with("-1")),
        ("milliseconds of 2020", with("1600000000000")),
        ("microseconds", with("1780000000000000")),
        ("other bytes", vec![0xff, 0xfe, 0xfd, 0x80]),
    ]
}

fn is_damaged(text: impl AsRef<[u8]>) -> bool {
    facts(text).is_damaged
}

#[test]
fn a_damaged_line_after_the_last_dated_record_is_noticed_in_every_form() {
    let after = [String::new(), filler(100), filler(70_000), filler(300_000)];
    for (form, line) in forms() {
        for before in ["", &(record(9) + &filler(200)), &(filler(90_000) + &record(9))] {
            for after in &after {
                let text = [before.as_bytes(), &line, b"\n", after.as_bytes()].concat();
                let found = facts(&text);
                assert!(found.is_damaged, "{form}, {} bytes after it", after.len());
                let newest = (!before.is_empty()).then(|| ago(9));
                assert_eq!(found.newest, newest, "{form}, {} bytes after it", after.len());
            }
        }
        // Without its line break, as the very last thing.
        assert!(is_damaged([record(9).as_bytes(), &line].concat()), "{form}");
        // A later record shows that nothing newer was lost.
        for after in ["", &filler(70_000)] {
            let text = [record(9).as_bytes(), &line, b"\n", record(4).as_bytes(), after.as_bytes()].concat();
            assert!(!is_damaged(&text), "{form}");
            assert_eq!(facts(&text).newest, Some(ago(4)), "{form}");
        }
        // A record of the future dates nothing, so it does not show that either.
        let text = [record(9).as_bytes(), &line, b"\n", record(-99).as_bytes()].concat();
        assert!(is_damaged(&text), "{form}");
    }
}

#[test]
fn a_damaged_line_of_any_length_is_noticed() {
    for length in [100, 60_000, 70_000, 200_000, 5 << 20] {
        let cut = filler(length);
        let cut = &cut[..cut.len() - 5];
        assert!(is_damaged(record(9) + cut), "{length}");
        assert!(is_damaged(record(9) + cut + "\n" + &filler(100)), "{length}");
        assert!(!is_damaged(record(9) + cut + "\n" + &record(8)), "{length}");
    }
}

#[test]
fn a_line_too_long_to_be_understood_is_damaged_and_has_no_date() {
    let long =
        format!("{{\"text\":\"{}\",\"timestamp\":\"{}\"}}\n", "a".repeat(LONGEST_LINE as usize), stamp(4));
    let found = facts(record(9) + &long);
    assert_eq!((found.newest, found.is_damaged), (Some(ago(9)), true));
}

#[test]
fn sound_lines_are_not_damaged() {
    let odd = "{\"type\":\"x\",\"snapshot\":{\"timestamp\":null}}\n{\"text\":\"\\ud800 \\u0000\"}\n{}\n";
    let blank = "\n\r\n  \t\n";
    let deep = format!("{{\"a\":{}{}}}\n", "[".repeat(5_000), "]".repeat(5_000));
    let seconds = format!("{{\"timestamp\":{}}}\n", ago(7).timestamp());
    for after in [odd, blank, &deep, &seconds, &filler(70_000), &filler(5 << 20), &record(-9), ""] {
        let text = record(9) + after;
        assert!(!is_damaged(&text), "{}", &after[..after.len().min(60)]);
        assert!(!is_damaged(format!("\u{feff}{text}")));
        assert!(!is_damaged(text.trim_end()));
        assert!(!is_damaged(text.replace('\n', "\r\n")));
    }
}

#[test]
fn a_record_counts_however_its_keys_are_written() {
    let escaped = record(5).replace("timestamp", "time\\u0073tamp");
    let dated = record(9).replace("2026", "\\u0032026");
    for (text, newest) in [(record(9) + &escaped, ago(5)), (record(12) + &dated, ago(9))] {
        for after in ["", &filler(70_000)] {
            let found = facts(text.clone() + after);
            assert_eq!((found.newest, found.is_damaged), (Some(newest), false), "{text}");
        }
    }
    // A mark in the middle of a file hides the record behind it from Claude Code too.
    let glued = facts(record(9) + "\u{feff}" + &record(5));
    assert_eq!((glued.newest, glued.is_damaged), (Some(ago(9)), true));
}

#[test]
fn a_number_is_a_date_in_milliseconds_or_in_seconds() {
    let line = |number: &str| format!("{{\"type\":\"user\",\"timestamp\":{number}}}\n");
    let seconds = ago(7).timestamp();
    for number in [
        format!("{seconds}"),
        format!("{seconds}000"),
        format!("{seconds}.0"),
        format!("{seconds}000.25"),
        format!("{}e3", seconds),
    ] {
        assert_eq!(facts(line(&number)).newest, Some(ago(7)), "{number}");
    }
    for number in ["0", "-1", "1600000000", "1600000000000", "999999999999", "1e99"] {
        assert_eq!(facts(line(number)).newest, None, "{number}");
    }
}

#[derive(Debug, Clone)]
enum Spec {
    /// A record so many seconds ago; ahead where that is less than 0.
    Record(i64, usize),
    Undated(usize),
    Blank,
    Damaged(usize, usize),
}

fn spec() -> impl Strategy<Value = Spec> {
    let length = || prop_oneof![8 => Just(0usize), 1 => 40_000usize..70_000, 1 => 120_000usize..140_000];
    prop_oneof![
        2 => (-50i64..5_000, length()).prop_map(|(ago, length)| Spec::Record(ago, length)),
        4 => length().prop_map(Spec::Undated),
        1 => Just(Spec::Blank),
        2 => (select((0..forms().len()).collect::<Vec<_>>()), length()).prop_map(|(form, length)| Spec::Damaged(form, length)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A file is damaged if, and only if, a line that is no record comes after the last dated one.
    #[test]
    fn damage_counts_after_the_last_dated_record(specs in prop::collection::vec(spec(), 0..12), ends in any::<bool>()) {
        let forms = forms();
        let mut text: Vec<u8> = Vec::new();
        for spec in &specs {
            match spec {
                Spec::Record(seconds, length) => text.extend(
                    format!("{{\"timestamp\":\"{}\",\"text\":\"{}\"}}", stamp(*seconds), "r".repeat(*length)).bytes(),
                ),
                Spec::Undated(length) => text.extend(format!("{{\"text\":\"{}\"}}", "u".repeat(*length)).bytes()),
                Spec::Blank => text.extend(b" \r"),
                Spec::Damaged(form, length) => {
                    text.extend(&forms[*form].1);
                    text.extend("d".repeat(*length).bytes());
                }
            }
            text.push(b'\n');
        }
        if !ends {
            text.pop();
        }
        let last = specs.iter().rposition(|spec| matches!(spec, Spec::Record(0.., _)));
        let after = &specs[last.map_or(0, |last| last + 1)..];
        let expected = after.iter().any(|spec| matches!(spec, Spec::Damaged(..)));
        let found = facts(&text);
        prop_assert_eq!(found.is_damaged, expected);
        // That a record is dated is noticed, wherever it stands.
        prop_assert_eq!(found.newest.is_some(), last.is_some());
        if let Some(Spec::Record(seconds, _)) = last.map(|last| &specs[last]) {
            prop_assert!(found.newest >= Some(ago(*seconds)));
        }
    }
}
