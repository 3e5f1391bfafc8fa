//! Files of lines of which some go.

use std::ops::Range;

use super::IDS;
use crate::fuzzing::{Choices, Vocabulary, file, filled, json, without};
use crate::inventory::intern::Interner;
use crate::inventory::lenient::MARK;
use crate::inventory::lines::{Format, Lines, read_entries, read_history, read_project_lists};
use crate::inventory::members::merged;

/// A line file with the ranges that are to go from it.
#[derive(Debug)]
pub struct Cutting {
    pub text: Vec<u8>,
    pub cuts: Vec<Range<u64>>,
}

/// A prompt history of which some lines go.
pub fn history(data: &[u8]) -> Cutting {
    let mut choices = Choices::new(data);
    let mask = choices.number();
    let text = match choices.below(3) {
        0 => choices.rest().to_vec(),
        _ => history_text(&mut choices),
    };
    let lines = read_history(&file(&text), &Interner::default()).unwrap();
    let mut end = 0;
    for line in &lines.lines {
        assert!(end <= line.start && line.start < line.end, "lines in order");
        let before = &text[..at(line.start)];
        assert!(
            before.is_empty() || before == MARK || before.ends_with(b"\n"),
            "a line begins after a line break"
        );
        let bytes = &text[at(line.start)..at(line.end)];
        assert_eq!(
            memchr::memchr(b'\n', bytes).map_or(text.len(), |newline| at(line.start) + newline + 1),
            at(line.end)
        );
        assert!(
            text[at(end)..at(line.start)]
                .strip_prefix(MARK)
                .unwrap_or(&text[at(end)..at(line.start)])
                .trim_ascii()
                .is_empty(),
            "only blanks between lines"
        );
        end = line.end;
    }
    let cuts = lines.cuts(|at| goes(mask, at));
    let left = without(&text, &cuts);
    // A mark that stood in front of a later line may be the file's now, and then shows that line.
    if text.starts_with(MARK) == left.starts_with(MARK) {
        check_rest(&text, &lines, mask, &left, |left| {
            read_history(&file(left), &Interner::default()).unwrap()
        });
    }
    Cutting { text, cuts }
}

fn history_text(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    while !choices.is_empty() && text.len() < 64 << 10 {
        match choices.below(8) {
            0..=2 => {
                let (id, number) = (choices.one_of(&IDS), choices.byte());
                text.extend(format!("{{\"display\":\"p\",\"pastedContents\":{{\"1\":{{\"contentHash\":\"0123456789abcde{number:02x}\"}}}},\"timestamp\":17{number:03}00000000,\"project\":\"/w/{number}\",\"sessionId\":\"{id}\"}}").bytes());
            }
            3 => text.extend(json(choices, &HISTORY).bytes()),
            4 => text.extend(choices.some()),
            5 => text
                .extend(choices.one_of(&["\u{feff}", "\r", "", "{\"display\":", "deadbeefdeadbeef"]).bytes()),
            6 => text.extend("f".repeat(choices.below(256) * 8).bytes()),
            _ => {}
        }
        if choices.below(8) != 7 {
            text.push(b'\n');
        }
    }
    text
}

const HISTORY: Vocabulary = Vocabulary {
    keys: &["display", "pastedContents", "contentHash", "timestamp", "project", "sessionId", "1"],
    values: &[
        "1779000000000",
        "\"/w/a\"",
        "\"aaaaaaaa-0000-4000-8000-000000000001\"",
        "\"0123456789abcdef\"",
    ],
};

/// The global file of a client of which some prompts and some members go.
pub fn project_lists(data: &[u8]) -> Cutting {
    let mut choices = Choices::new(data);
    let (mask, members) = (choices.number(), choices.number());
    let text = document(&mut choices, &GLOBAL);
    let read = |text: &[u8]| read_project_lists(text, &Interner::default()).unwrap();
    let lines = read(&text);
    let mut cuts = lines.cuts(|at| goes(mask, at));
    check_rest(&text, &lines, mask, &without(&text, &cuts), read);
    if !is_json(&text) {
        assert!(lines.lines.is_empty() && lines.objects.is_empty(), "nothing is cut out of what is no JSON");
    }
    // A purge takes members, too: each by a bit of its own.
    let mut number = 0;
    for object in &lines.objects {
        let first = number;
        number += object.members.len();
        cuts.extend(object.cuts(|member| {
            let at = object.members.iter().position(|other| other.start == member.start).unwrap();
            goes(members, first + at)
        }));
        let kept = (0..object.members.len()).filter(|at| !goes(members, first + at));
        let kept: Vec<&[u8]> =
            kept.map(|at| &text[at_of(&object.members[at].start)..at_of(&object.members[at].end)]).collect();
        // Alone, an object loses exactly the members that go.
        let alone = object.cuts(|member| {
            let at = object.members.iter().position(|other| other.start == member.start).unwrap();
            goes(members, first + at)
        });
        let left = without(&text, &alone);
        assert!(is_json(&left), "{:?}", String::from_utf8_lossy(&left));
        for member in kept {
            assert!(memchr::memmem::find(&left, member).is_some(), "a member that stays is there as it was");
        }
        assert_eq!(
            alone.iter().map(|cut| cut.end - cut.start).sum::<u64>() as usize + left.len(),
            text.len(),
            "nothing but the ranges went"
        );
    }
    let cuts = merged(cuts);
    if !lines.objects.is_empty() {
        assert!(is_json(&without(&text, &cuts)), "{:?}", String::from_utf8_lossy(&without(&text, &cuts)));
    }
    Cutting { text, cuts }
}

/// The index of a project of which some entries go.
pub fn entries(data: &[u8]) -> Cutting {
    let mut choices = Choices::new(data);
    let mask = choices.number();
    let text = document(&mut choices, &INDEX);
    let read = |text: &[u8]| read_entries(text, &Interner::default()).unwrap();
    let lines = read(&text);
    let cuts = lines.cuts(|at| goes(mask, at));
    check_rest(&text, &lines, mask, &without(&text, &cuts), read);
    Cutting { text, cuts }
}

fn document(choices: &mut Choices<'_>, words: &Vocabulary) -> Vec<u8> {
    if choices.below(4) == 3 {
        return choices.rest().to_vec();
    }
    let mark = choices.one_of(&["", "", "", "\u{feff}"]);
    let shell = choices.one_of(&[
        "V",
        "{\"projects\":{\"/w\":V,\"/v\":V},\"a\":V}",
        "{\"entries\":V}",
        "{\"entries\":[V,V,V],\"version\":1}",
        "{\"projects\": {\"/w\" : {\"history\": [V ,V,V]}} }",
        " { \"projects\" : V , \"projects\":{\"/w\":{\"history\":[V]}}}\n",
    ]);
    format!("{mark}{}", filled(choices, words, shell)).into_bytes()
}

const GLOBAL: Vocabulary = Vocabulary {
    keys: &[
        "projects",
        "/w",
        "/v",
        "history",
        "display",
        "lastSessionId",
        "lastCost",
        "timestamp",
        "oauthAccount",
        "x\u{20ac}",
    ],
    values: &[
        "\"prompt, } ] \\\" \\\\\"",
        "{\"display\":\"y\",\"timestamp\":1779000000000}",
        "\"aaaaaaaa-0000-4000-8000-000000000001\"",
        "{\"history\":[\"p\",\"q\"]}",
        "1E400",
    ],
};

const INDEX: Vocabulary = Vocabulary {
    keys: &["entries", "sessionId", "projectPath", "modified", "fileMtime", "version"],
    values: &[
        "{\"sessionId\":\"aaaaaaaa-0000-4000-8000-000000000001\",\"projectPath\":\"/w\",\"fileMtime\":1779000000000}",
        "\"aaaaaaaa-0000-4000-8000-000000000001\"",
        "\"2026-05-01T00:00:00Z\"",
        "\"]},{[\"",
    ],
};

/// What was left is what was not chosen, byte for byte, and a second look finds exactly that.
fn check_rest(text: &[u8], lines: &Lines, mask: u64, left: &[u8], read: impl Fn(&[u8]) -> Lines) {
    let bytes_of = |text: &[u8], lines: &Lines, at_line: usize| {
        let line = &lines.lines[at_line];
        text[at(line.start)..at(line.end)].to_vec()
    };
    let kept: Vec<Vec<u8>> =
        (0..lines.lines.len()).filter(|at| !goes(mask, *at)).map(|at| bytes_of(text, lines, at)).collect();
    let again = read(left);
    let found: Vec<Vec<u8>> = (0..again.lines.len()).map(|at| bytes_of(left, &again, at)).collect();
    assert_eq!(kept, found, "what stays is there as it was: {:?}", String::from_utf8_lossy(text));
    if lines.format != Format::JsonLines {
        assert_eq!(is_json(text), is_json(left), "{:?}", String::from_utf8_lossy(left));
        assert_eq!(lines.is_well_formed, again.is_well_formed);
    }
    assert!(again.cuts(|_| false).is_empty(), "twice is once");
}

fn is_json(text: &[u8]) -> bool {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    std::str::from_utf8(text).is_ok() && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// Whether a line goes; of many the choices come again.
fn goes(mask: u64, at: usize) -> bool {
    mask >> (at % 64) & 1 == 1
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

fn at_of(offset: &u64) -> usize {
    at(*offset)
}
