use std::io::Write;

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_780_000_000;
pub const ID: &str = "aaaaaaaa-0000-4000-8000-000000000001";

pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).unwrap()
}

/// A moment some seconds ago.
pub fn ago(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(NOW - seconds, 0).unwrap()
}

pub fn stamp(seconds: i64) -> String {
    ago(seconds).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

pub fn record(seconds: i64) -> String {
    format!("{{\"type\":\"user\",\"sessionId\":\"{ID}\",\"timestamp\":\"{}\"}}\n", stamp(seconds))
}

/// A line without a date, of a length in bytes with its newline.
pub fn filler(length: usize) -> String {
    let frame = "{\"type\":\"x\",\"text\":\"\"}\n".len();
    format!("{{\"type\":\"x\",\"text\":\"{}\"}}\n", "a".repeat(length.saturating_sub(frame)))
}

pub fn facts(text: impl AsRef<[u8]>) -> Facts {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_ref()).unwrap();
    file.rewind().unwrap();
    read(&file, text.as_ref().len() as u64, now(), &Interner::default()).unwrap()
}

fn newest(text: impl AsRef<[u8]>) -> Option<DateTime<Utc>> {
    facts(text).newest
}

#[test]
fn an_empty_file_and_an_undated_one_say_nothing() {
    for text in ["", "\n", "\n\n\n", "{}"] {
        assert_eq!(facts(text), Facts::default(), "{text:?}");
    }
    for text in ["[]\n", "null\n", "\u{0}\u{0}\u{0}", "{\"timestamp\":null}\n"] {
        assert_eq!(facts(text), Facts { is_damaged: true, ..Facts::default() }, "{text:?}");
    }
}

#[test]
fn the_newest_record_counts_wherever_it_stands() {
    assert_eq!(newest(record(9) + &record(3) + &record(7)), Some(ago(3)));
}

#[test]
fn the_first_session_is_that_of_the_first_record_with_an_id() {
    let other = "bbbbbbbb-0000-4000-8000-000000000002";
    let text = format!("{{\"sessionId\":\"{ID}\"}}\n{{\"sessionId\":\"{other}\",\"cwd\":\"/w\"}}\n");
    assert_eq!(facts(&text).session, ID.parse().ok());
    let text = format!("{{\"cwd\":\"/a\"}}\n{{\"sessionId\":\"{ID}\",\"cwd\":\"/b\"}}\n");
    assert_eq!(facts(&text).session, ID.parse().ok());
    assert_eq!(facts(&text).projects.first().map(|project| &**project), Some("/a"));
}

#[test]
fn a_byte_order_mark_is_passed_over_at_the_beginning_of_the_file_alone() {
    assert_eq!(newest(format!("\u{feff}{}", record(3))), Some(ago(3)));
    // In front of a later line it hides that line from Claude Code too, wherever a window of ours begins.
    let tail = usize::try_from(TAIL).unwrap();
    for length in [0, 100, tail - 200, tail] {
        let marked = format!("\u{feff}{}", record(3));
        let text = record(9) + &filler(length.max(30)) + &marked + &filler(tail - marked.len());
        assert_eq!(newest(&text), Some(ago(9)), "{length}");
        assert!(facts(&text).is_damaged, "{length}");
    }
}

#[test]
fn a_torn_last_line_hides_nothing_before_it() {
    let text = record(9) + &record(5) + "{\"type\":\"user\",\"timestamp\":\"2026-05-2";
    assert_eq!(newest(&text), Some(ago(5)));
    let text = filler(200_000) + &record(5) + "{\"type\":\"user\",\"text\":\"" + &"b".repeat(150_000);
    assert_eq!(newest(&text), Some(ago(5)));
}

#[test]
fn a_last_line_without_a_newline_counts() {
    assert_eq!(newest((record(9) + &record(5)).trim_end()), Some(ago(5)));
    assert_eq!(newest((filler(200_000) + &record(5)).trim_end()), Some(ago(5)));
}

#[test]
fn carriage_returns_and_a_byte_order_mark_are_passed_over() {
    let text = format!("\u{feff}{}", (record(9) + &record(5)).replace('\n', "\r\n"));
    assert_eq!(newest(&text), Some(ago(5)));
    assert_eq!(facts(&text).session, ID.parse().ok());
    let alone = format!("\u{feff}{}", record(9));
    assert_eq!(newest(&alone), Some(ago(9)));
}

#[test]
fn a_byte_order_mark_before_a_long_first_line_is_passed_over() {
    let long = format!(
        "\u{feff}{{\"cwd\":\"/w\",\"text\":\"{}\",\"timestamp\":\"{}\"}}\n",
        "a".repeat(3 << 20),
        stamp(4)
    );
    let facts = facts(long + &filler(100_000));
    assert_eq!(facts.projects.first().map(|project| &**project), Some("/w"));
    assert_eq!(facts.newest, Some(ago(4)));
}

#[test]
fn nul_bytes_and_what_is_no_text_spoil_only_their_own_line() {
    let mut bytes = record(9).into_bytes();
    bytes.extend_from_slice(&[0; 5_000]);
    bytes.push(b'\n');
    bytes.extend_from_slice(b"{\"text\":\"\xff\xfe\"}\n{\"\xff\":1}\n");
    bytes.extend_from_slice(record(5).as_bytes());
    bytes.extend_from_slice(&[0; 300]);
    assert_eq!(newest(&bytes), Some(ago(5)));
}

#[test]
fn an_ill_formed_character_inside_the_content_does_not_hide_the_date() {
    let mut bytes = b"{\"text\":\"\xff\xfe \\ud800 \",\"timestamp\":\"".to_vec();
    bytes.extend_from_slice(stamp(5).as_bytes());
    bytes.extend_from_slice(b"\"}\n");
    assert_eq!(newest(&bytes), Some(ago(5)));
}

#[test]
fn deep_nesting_hides_neither_the_date_of_its_record_nor_of_others() {
    for depth in [100, 1_000, 100_000] {
        let deep = "[".repeat(depth) + &"]".repeat(depth);
        let line = format!("{{\"a\":{deep},\"cwd\":{deep},\"timestamp\":\"{}\"}}\n", stamp(4));
        assert_eq!(newest(record(9) + &line), Some(ago(4)), "{depth}");
        let objects = "{\"x\":".repeat(depth) + "1" + &"}".repeat(depth);
        let line = format!("{{\"message\":{objects},\"timestamp\":\"{}\"}}\n", stamp(3));
        assert_eq!(newest(record(9) + &line), Some(ago(3)), "{depth}");
        assert_eq!(newest(record(9) + &deep + "\n"), Some(ago(9)), "{depth}");
    }
}

#[test]
fn a_list_is_no_record_short_or_long() {
    let list = format!("[\"{}\",\"/trap\",\"{ID}\",\"claude-desktop\",\"user\"]\n", stamp(1));
    assert_eq!(facts(record(9) + &list).newest, Some(ago(9)));
    let long = format!("[\"{}\",\"/trap\",\"{}\"]\n", stamp(1), "a".repeat(3 << 20));
    let facts = facts(long + &record(9));
    assert_eq!(facts.newest, Some(ago(9)));
    assert!(facts.projects.is_empty());
}

#[test]
fn a_date_inside_the_content_is_none_of_the_record() {
    let line = format!("{{\"message\":{{\"timestamp\":\"{}\",\"cwd\":\"/trap\"}}}}\n", stamp(1));
    let facts = facts(record(9) + &line);
    assert_eq!(facts.newest, Some(ago(9)));
    assert!(facts.projects.is_empty());
}

#[test]
fn records_ahead_are_known_for_later() {
    let facts = facts(&(record(9) + &record(-60) + &record(-30) + &record(-60)));
    assert_eq!(facts.later.dates(), [ago(-30), ago(-60)]);
    let mut many = Later::default();
    many.add((0..1_000).map(|second| ago(-second)));
    assert!(many.dates().len() <= Later::MOST && many.dates().is_sorted());
    assert_eq!(many.dates().last(), Some(&ago(-999)));
}

#[test]
fn future_dates_are_ignored_in_favour_of_the_newest_that_is_not() {
    assert_eq!(newest(record(9) + &record(-60) + &record(7)), Some(ago(7)));
    assert_eq!(newest(record(-60)), None);
    // Nothing but the future in the last 64 KiB: the look goes further back.
    let future: String = (0..2_000).map(|_| record(-60)).collect();
    assert_eq!(newest(record(9) + &filler(10_000) + &future), Some(ago(9)));
    assert_eq!(newest(record(0)), Some(ago(0)));
}

#[test]
fn dates_are_numbers_too_and_what_is_no_date_is_none() {
    assert_eq!(newest(format!("{{\"timestamp\":{}}}\n", (NOW - 4) * 1000)), Some(ago(4)));
    assert_eq!(newest("{\"timestamp\":\"yesterday\"}\n{\"timestamp\":true}\n{\"timestamp\":1e300}\n"), None);
    assert_eq!(
        newest(format!("{{\"timestamp\":\"{}+02:00\"}}", "2026-01-01T12:00:00")).unwrap().to_rfc3339(),
        "2026-01-01T10:00:00+00:00"
    );
}

#[test]
fn the_window_is_the_last_64_kib_to_the_byte() {
    let dated = record(2);
    let rest = TAIL as usize - dated.len();
    // The newer record begins exactly with the window, so it is in it.
    let inside = record(9) + &filler(50_000) + &dated + &filler(rest - record(5).len()) + &record(5);
    assert_eq!(inside.len() as u64 - TAIL, (record(9).len() + 50_000) as u64);
    assert_eq!(newest(&inside), Some(ago(2)));
}

#[test]
fn the_look_goes_back_until_a_record_is_dated() {
    let undated: String = (0..30_000).map(|_| filler(40)).collect();
    let text = filler(100) + &record(9) + &record(4) + &filler(70_000) + &undated;
    assert_eq!(newest(&text), Some(ago(4)));
}

#[test]
fn a_long_last_line_that_is_dated_counts() {
    let long = format!("{{\"text\":\"{}\",\"timestamp\":\"{}\"}}\n", "a".repeat(30 << 20), stamp(4));
    assert_eq!(newest(record(9) + &long), Some(ago(4)));
    assert_eq!(newest(&long), Some(ago(4)));
    assert_eq!(newest(long.trim_end()), Some(ago(4)));
    assert_eq!(newest(long + &record(6)), Some(ago(4)), "the head knows it too");
}

#[test]
fn a_long_undated_line_is_passed_by() {
    assert_eq!(newest(record(9) + &filler(30 << 20)), Some(ago(9)));
    assert_eq!(newest(filler(30 << 20)), None);
    assert_eq!(newest(filler(30 << 20) + &record(9)), Some(ago(9)));
    let torn = filler(30 << 20);
    assert_eq!(newest(record(9) + &torn[..torn.len() - 5]), Some(ago(9)));
}

#[test]
fn the_first_folder_is_found_in_the_middle() {
    let cwd = |at: &str| {
        format!(
            "{{\"type\":\"user\",\"sessionId\":\"{ID}\",\"cwd\":\"{at}\",\"timestamp\":\"{}\"}}\n",
            stamp(8)
        )
    };
    let text = filler(300_000) + &cwd("/first") + &cwd("/second") + &filler(300_000) + &record(3);
    let found = facts(&text);
    assert_eq!(found.projects.first().map(|project| &**project), Some("/first"));
    assert_eq!(found.newest, Some(ago(3)));
    assert!(found.is_of_client);
    let text = filler(300_000) + &cwd("/first") + &filler(300_000) + &cwd("/last");
    let projects: Vec<String> = facts(&text).projects.iter().map(ToString::to_string).collect();
    assert_eq!(projects, ["/first", "/last"]);
}

#[test]
fn a_first_folder_that_was_not_read_is_told_by_no_other() {
    let of = |cwd: &str| format!("{{\"cwd\":\"{cwd}\",\"timestamp\":\"{}\"}}\n", stamp(-500));
    let later = of("/later").repeat(TAIL as usize / 16);
    let line = |length: u64| format!("{{\"type\":\"x\",\"text\":\"{}\"}}\n", "x".repeat(length as usize));
    for (head, is_known) in [
        (line(HEAD_LIMIT / 2), true),
        (line(HEAD_LIMIT), false),
        (line(1 << 10).repeat(9 << 10), false),
        (line(LONGEST_LINE), false),
        (format!("{}{}", of("/first"), line(LONGEST_LINE)), true),
    ] {
        let facts = facts(head + &of("/first") + &later);
        let first = facts.project().map(|project| &**project);
        assert_eq!(first, is_known.then_some("/first"));
        assert!(facts.projects.iter().any(|project| **project == *"/later"), "a hold counts each");
    }
    // Where all of it was read, the first one is the last one's.
    let facts = facts(line(HEAD_LIMIT / 2) + &later);
    assert_eq!(facts.project().map(|project| &**project), Some("/later"));
}

#[test]
fn a_large_file_without_any_date_is_read_once() {
    // Reading a window a line would read more than 10 GB here.
    let text = "{}\n".repeat(200_000);
    let started = std::time::Instant::now();
    assert_eq!(newest(&text), None);
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn the_host_is_known_by_its_entry_point() {
    assert!(facts("{\"entrypoint\":\"claude-desktop\"}").is_desktop);
    assert!(!facts("{\"entrypoint\":\"claude-vscode\"}").is_desktop);
}

/// What a reader of the whole file says: every date of a whole line, with where its line begins.
fn dates(text: &str) -> Vec<(usize, DateTime<Utc>)> {
    let mut at = 0;
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
        let date =
            value.as_ref().and_then(|value| value.get("timestamp")?.as_str()?.parse::<DateTime<Utc>>().ok());
        found.extend(date.filter(|date| *date <= now()).map(|date| (at, date)));
        at += line.len();
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// The answer is the maximum over the last 64 KiB, or over more, and is a date of the file;
    /// none only if the whole file has none.
    #[test]
    fn the_newest_is_the_maximum_of_the_window(
        lines in prop::collection::vec((prop_oneof![30usize..400, 15_000usize..17_000, 60_000usize..70_000, 130_000usize..140_000], prop::option::weighted(0.3, -50i64..5000), any::<bool>()), 0..14),
        torn in 0usize..40,
    ) {
        let mut text = String::new();
        for (length, date, cwd) in lines {
            let cwd = if cwd { "\"cwd\":\"/w\"," } else { "" };
            let date = date.map(|date| format!("\"timestamp\":\"{}\",", stamp(date))).unwrap_or_default();
            text.push_str(&format!("{{{cwd}{date}\"t\":\"{}\"}}\n", "a".repeat(length)));
        }
        text.truncate(text.len().saturating_sub(torn));
        let dates = dates(&text);
        let answer = newest(&text);
        let start = text.len().saturating_sub(TAIL as usize);
        let of_window = dates.iter().filter(|(at, _)| *at >= start).map(|(_, date)| *date).max();
        match answer {
            None => prop_assert!(dates.is_empty()),
            Some(answer) => {
                prop_assert!(dates.iter().any(|(_, date)| *date == answer));
                prop_assert!(of_window.is_none_or(|least| answer >= least));
                if of_window.is_none() {
                    // Then at least the last dated record of all.
                    prop_assert!(answer >= dates.last().unwrap().1);
                }
                if start == 0 {
                    prop_assert_eq!(Some(answer), of_window);
                }
            }
        }
    }

    /// No bytes make it fail.
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..2_000), times in 1usize..80) {
        facts(bytes.repeat(times));
    }
}
