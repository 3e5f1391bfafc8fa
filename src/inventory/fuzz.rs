//! Fuzz targets: what Claude Code and others wrote into a store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lines;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::content;
use super::intern::Interner;
use super::lenient::{Lenient, MARK, object};
use super::liveness::{self, PidRecord, Processes};
use super::transcript;
use super::transcript::record::Record;
use crate::catalogue::SessionId;
use crate::fuzzing::{Choices, Vocabulary, file, json, now};

pub use lines::{Cutting, entries, history, project_lists};

const IDS: [&str; 3] =
    ["aaaaaaaa-0000-4000-8000-000000000001", "BBBBBBBB-0000-4000-8000-000000000002", "not-an-id"];

/// A transcript, composed of lines as clients, crashes and others leave them, or any bytes.
pub fn transcript(data: &[u8]) {
    let text = transcript_text(data);
    let read = || transcript::read(&file(&text), text.len() as u64, now(), &Interner::default()).unwrap();
    let facts = read();
    assert_eq!(facts, read(), "a second look says the same");
    let seen = Seen::of(&text, transcript::LONGEST_LINE);
    assert!(
        facts.newest <= seen.newest,
        "{:?} is in no record, the newest is {:?}",
        facts.newest,
        seen.newest
    );
    assert!(facts.newest.is_none_or(|date| date <= now()));
    assert!(facts.later.dates().iter().all(|date| *date > now()));
    if seen.has_escapes {
        // What is searched for by its bytes may be written in another way.
        return;
    }
    assert_eq!(facts.newest.is_some(), seen.newest.is_some(), "a dated record is found wherever it stands");
    assert!(facts.newest >= seen.newest_of_end, "{:?} < {:?} of the end", facts.newest, seen.newest_of_end);
    assert!(facts.newest >= seen.last, "{:?} < {:?} of the last dated record", facts.newest, seen.last);
    assert_eq!(facts.is_damaged, seen.is_damaged, "damage after the last dated record");
    if text.len() as u64 <= transcript::TAIL {
        assert_eq!(facts.newest, seen.newest);
        assert_eq!(
            facts.projects.first().map(|project| &**project),
            seen.cwd.as_deref(),
            "the first project"
        );
        assert_eq!(facts.session, seen.session, "the first session");
    }
}

/// What a reader that parses every line finds.
#[derive(Debug, Default)]
struct Seen {
    newest: Option<DateTime<Utc>>,
    /// Of the lines that lie whole in the window at the end.
    newest_of_end: Option<DateTime<Utc>>,
    /// Of the last dated record in the order of the file.
    last: Option<DateTime<Utc>>,
    is_damaged: bool,
    cwd: Option<String>,
    session: Option<SessionId>,
    has_escapes: bool,
}

impl Seen {
    /// A line longer than `longest` is not understood.
    fn of(text: &[u8], longest: u64) -> Self {
        let mut seen = Self { has_escapes: text.contains(&b'\\'), ..Self::default() };
        let from = if text.starts_with(MARK) { MARK.len() } else { 0 };
        let window = (text.len() as u64).saturating_sub(transcript::TAIL);
        let mut start = from;
        let body = text.get(from..).unwrap_or_default();
        for line in body.strip_suffix(b"\n").unwrap_or(body).split(|byte| *byte == b'\n') {
            let is_whole = start as u64 >= window || window == 0;
            start += line.len() + 1;
            let is_long = line.len() as u64 > longest;
            let Some(record) = object::<Record<'_>>(line).filter(|_| !is_long) else {
                seen.is_damaged |= !line.trim_ascii().is_empty();
                continue;
            };
            match record.timestamp.date() {
                Some(date) if date <= now() => {
                    seen.newest = seen.newest.max(Some(date));
                    if is_whole {
                        seen.newest_of_end = seen.newest_of_end.max(Some(date));
                    }
                    (seen.last, seen.is_damaged) = (Some(date), false);
                }
                Some(_) => {}
                None => seen.is_damaged |= record.timestamp != Lenient::Absent,
            }
            let cwd = record.cwd.text().filter(|cwd| !cwd.is_empty());
            seen.cwd = seen.cwd.or_else(|| cwd.map(ToString::to_string));
            let id = record.session.text().and_then(|id| SessionId::from_bytes(id.as_bytes()));
            seen.session = seen.session.or(id);
        }
        seen
    }
}

fn transcript_text(data: &[u8]) -> Vec<u8> {
    let mut choices = Choices::new(data);
    if choices.below(4) == 3 {
        return choices.rest().to_vec();
    }
    let mut text = Vec::new();
    while !choices.is_empty() && text.len() < 1 << 20 {
        let date = |choices: &mut Choices<'_>| {
            let ago = i64::from(choices.byte()) * 256 + i64::from(choices.byte()) - 4096;
            (now() - TimeDelta::seconds(ago * 600)).to_rfc3339_opts(SecondsFormat::Millis, true)
        };
        match choices.below(12) {
            0 | 1 => {
                let (date, id) = (date(&mut choices), choices.one_of(&IDS));
                text.extend(
                    format!("{{\"type\":\"user\",\"sessionId\":\"{id}\",\"timestamp\":\"{date}\"}}\n")
                        .bytes(),
                );
            }
            2 => {
                let (cwd, date) = (choices.one_of(&["/w/a", "/w/b", ""]), date(&mut choices));
                text.extend(format!("{{\"cwd\":\"{cwd}\",\"timestamp\" : \"{date}\",\"message\":{{\"cwd\":\"/x\",\"timestamp\":\"2026-05-27T00:00:00Z\"}}}}\r\n").bytes());
            }
            3 => {
                let filler = "a".repeat(choices.below(256) * choices.below(64));
                text.extend(format!("{{\"type\":\"x\",\"text\":\"{filler}\"}}\n").bytes());
            }
            4 => text.extend(choices.some()),
            5 => text.push(b'\n'),
            6 => text.extend(
                choices.one_of(&["{\"torn", "\0\0\0\0", "null\n", "[]\n", "\u{feff}", "\r\n"]).bytes(),
            ),
            7 => {
                let number = choices.number() >> choices.below(64);
                text.extend(format!("{{\"timestamp\":{number}}}\n").bytes());
            }
            8 => {
                text.extend(json(&mut choices, &RECORD).bytes());
                text.push(b'\n');
            }
            9 => {
                let date = date(&mut choices);
                let filler = "b".repeat(choices.below(256) * choices.below(64));
                text.extend(format!("{{\"text\":\"{filler}\",\"timestamp\":\"{date}\"}}\n").bytes());
            }
            10 => text.extend(b"{\"timestamp\":\"1970-01-01T00:00:00Z\"}\n"),
            _ => text.extend(format!("{{\"sessionId\":\"{}\"}}\n", choices.one_of(&IDS)).bytes()),
        }
    }
    text
}

const RECORD: Vocabulary = Vocabulary {
    keys: &["timestamp", "cwd", "sessionId", "type", "version", "entrypoint", "message", "x"],
    values: &[
        "\"2026-05-01T00:00:00Z\"",
        "\"2026-05-01T00:00:00.123+02:00\"",
        "\"2031-01-01T00:00:00Z\"",
        "1779000000000",
        "1779000000",
        "\"/w/c\"",
        "\"aaaaaaaa-0000-4000-8000-000000000001\"",
        "\"user\"",
        "\"claude-desktop\"",
        "\"99.1.2\"",
    ],
};

/// A log of an MCP server or of errors.
pub fn log(data: &[u8]) {
    let text = transcript_text(data);
    let log = transcript::log::read(&file(&text), text.len() as u64, now(), &Interner::default()).unwrap();
    assert!(log.newest <= Seen::of(&text, u64::MAX).newest);
    let mut sessions = log.sessions.clone();
    sessions.dedup();
    assert_eq!(sessions, log.sessions, "each session is named once");
}

/// A pid file, the lock of an editor, or the list of background workers.
pub fn pid(data: &[u8]) {
    struct Machine;
    impl Processes for Machine {
        fn start(&self, pid: u32) -> Option<Option<String>> {
            (pid < 100).then(|| Some("777".to_owned()))
        }
        fn domains(&self) -> Vec<String> {
            vec!["linux:m:pid:[1]".to_owned()]
        }
        fn booted(&self) -> Option<DateTime<Utc>> {
            Some(now() - TimeDelta::days(20))
        }
        fn owner(&self, pid: u32) -> Option<u32> {
            (pid < 50).then_some(1000)
        }
    }
    let mut choices = Choices::new(data);
    let text =
        if choices.below(2) == 0 { json(&mut choices, &PID).into_bytes() } else { choices.rest().to_vec() };
    let record = PidRecord::read(&file(&text));
    let _ = liveness::workers(&file(&text));
    let Ok(Some(record)) = record else { return };
    let record = PidRecord { modified: Some(now()), ..record };
    // Written now: only a process of ours that is known to be another one ends it.
    let of_ours = record.domain.is_none() || record.domain.as_deref() == Some("linux:m:pid:[1]");
    let live = liveness::judge(&record, &Machine, Some(now()), now()).is_live();
    let booted = record.started_at.is_some_and(|start| start < now() - TimeDelta::days(20));
    assert!(live || of_ours || booted, "{record:?} may run elsewhere");
    let name = format!("{}.json", record.pid);
    let place = liveness::Place { name: name.as_ref(), owner: 1000 };
    let checked = liveness::judge_checked(&record, &place, &Machine, now());
    assert!(!checked.is_live() || live, "what can be checked is less than what is believed: {record:?}");
}

const PID: Vocabulary = Vocabulary {
    keys: &["pid", "sessionId", "procStart", "startedAt", "pidDomain", "workers", "w"],
    values: &[
        "10",
        "70",
        "200",
        "4294967296",
        "\"777\"",
        "777",
        "1779999999999",
        "\"linux:m:pid:[1]\"",
        "\"linux:m:pid:[2]\"",
        "\"linux:n:pid:[1]\"",
        "\"aaaaaaaa-0000-4000-8000-000000000001\"",
    ],
};

/// The small notes of the desktop application, of teams and of background sessions.
pub fn notes(data: &[u8]) {
    let mut choices = Choices::new(data);
    let text =
        if choices.below(2) == 0 { json(&mut choices, &NOTE).into_bytes() } else { choices.rest().to_vec() };
    let _ = content::session_of_index(&text);
    let _ = content::leader_of_team(&text);
    let (session, is_over) = content::job_state(&text);
    // What is passed over need not even be text.
    let is_object =
        serde_json::from_slice::<serde::de::IgnoredAny>(text.strip_prefix(MARK).unwrap_or(&text)).is_ok();
    assert!(!is_over || is_object, "what cannot be read is not over");
    assert!(session.is_none() || is_object);
    let released = content::release(&text, Some(now()));
    assert!(released.is_none() || is_object, "what cannot be read released nothing");
}

const NOTE: Vocabulary = Vocabulary {
    keys: &["cliSessionId", "leadSessionId", "sessionId", "state", "tempo", "reason", "x"],
    values: &[
        "\"done\"",
        "\"active\"",
        "\"idle\"",
        "\"delete\"",
        "\"archive\"",
        "\"aaaaaaaa-0000-4000-8000-000000000001\"",
    ],
};
