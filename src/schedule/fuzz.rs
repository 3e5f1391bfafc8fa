//! Fuzz targets: tables and settings of others into which a line of ours goes, and out of which it comes again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};

use super::cron::{ours, with_line, without};
use super::when::Calendar;
use super::{claude_hook, quote, splice};
use crate::fuzzing::{Choices, Vocabulary, filled};

const LINE: &str = "7 3 * * * /usr/bin/ccretain enforce --yes >/dev/null # ccretain\n";

/// A user's cron table.
pub fn crontab(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut table = Vec::new();
    if choices.below(3) == 0 {
        table.extend(choices.rest());
    }
    while !choices.is_empty() {
        match choices.below(6) {
            0 => table.extend(choices.some()),
            1 => table.extend(LINE.bytes()),
            2 => table.extend(b"# a comment # ccretain\n"),
            3 => table.extend(b"0 4 * * * /home/u/backup # ccretain\r\n"),
            4 => table.extend(LINE.trim_end().bytes()),
            _ => table.push(b'\n'),
        }
    }
    let plain = without(&table);
    assert!(!plain.split_inclusive(|byte| *byte == b'\n').any(ours), "none of ours is left");
    let with = with_line(&table, LINE);
    let count = with.split_inclusive(|byte| *byte == b'\n').filter(|line| ours(line)).count();
    assert_eq!(count, 1, "exactly one line of ours");
    assert_eq!(with_line(&with, LINE), with, "twice is once");
    assert_eq!(without(&with), plain, "every other byte is as it was");
    let text = String::from_utf8_lossy(&table);
    let _ = quote::split(&text);
    let _ = Calendar::from_cron(&text.split_whitespace().take(5).collect::<Vec<_>>());
}

/// A user's settings file, in which a hook of ours is placed.
pub fn settings(data: &[u8]) {
    let mut choices = Choices::new(data);
    let text = match choices.below(4) {
        0 => String::from_utf8_lossy(choices.rest()).into_owned(),
        1 => crate::fuzzing::json(&mut choices, &WORDS),
        _ => {
            let shell = choices.one_of(&[
                "{\n  \"hooks\": {\"SessionEnd\": V, \"Stop\": V},\n  \"a\": V\n}\n",
                "{\"hooks\":{\"SessionEnd\":[V,V]}}",
                "{ \"hooks\" : { \"SessionEnd\" : [ {\"hooks\": [V, V]}, V ] , \"x\" : V } }",
                "{\"hooks\":V,\"hooks\":V}",
                "{\r\n\t\"hooks\":V\r\n}",
                "// a comment\n{\"hooks\":V}",
            ]);
            filled(&mut choices, &WORDS, shell)
        }
    };
    let ours = &claude_hook::ours;
    let group = json!({"hooks": [{"type": "command", "command": OURS, "timeout": 5}]});
    let value = |text: &str| serde_json::from_str::<Value>(text);
    let clean = match splice::remove(&text, ours, None) {
        Err(_) => return,
        Ok(Some(clean)) => clean,
        Ok(None) => text,
    };
    assert_eq!(splice::installed(&clean, ours), Ok(None), "{clean}");
    assert!(value(&clean).is_ok(), "{clean}");
    let Ok(insertion) = splice::insert(&clean, &group) else { return };
    let with = insertion.apply(&clean);
    assert_eq!(splice::installed(&with, ours), Ok(group.pointer("/hooks/0").cloned()), "{with}");
    let exact = splice::remove(&with, ours, Some(&insertion.text)).unwrap();
    assert_eq!(exact.as_deref(), Some(&*clean), "what was put in is taken out, byte for byte");
    // Without what was put in being known, at least every other value is as it was.
    let cut = splice::remove(&with, ours, None).unwrap().unwrap();
    assert_eq!(splice::installed(&cut, ours), Ok(None), "{cut}");
    let others = |text: &str| {
        let mut value = value(text).unwrap();
        if let Some(hooks) = value.get_mut("hooks").and_then(Value::as_object_mut) {
            if hooks.get("SessionEnd").is_some_and(|event| event == &json!([])) {
                hooks.remove("SessionEnd");
            }
            if hooks.is_empty() {
                value.as_object_mut().unwrap().remove("hooks");
            }
        }
        value
    };
    assert_eq!(others(&cut), others(&clean), "{clean:?} {with:?} {cut:?}");
}

const OURS: &str = "(nohup /usr/bin/ccretain enforce --yes </dev/null >/dev/null 2>&1 &) # ccretain";

const WORDS: Vocabulary = Vocabulary {
    keys: &["hooks", "SessionEnd", "Stop", "matcher", "type", "command", "timeout", "x"],
    values: &[
        "\"command\"",
        "\"echo # ccretain\"",
        "\"ccretain enforce --yes # ccretain\"",
        "{\"hooks\":[{\"type\":\"command\",\"command\":\"(ccretain enforce --yes &) # ccretain\"}]}",
        "{\"hooks\":[{\"type\":\"command\",\"command\":\"notify\"}]}",
        "{\"hooks\":[]}",
    ],
};
