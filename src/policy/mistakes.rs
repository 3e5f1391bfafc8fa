//! Every mistake of a policy file at once, each with its place, and the line that shows it.
//!
//! The parser stops at the first. What it stopped at is blanked out, pair by pair, and it is asked again.

use super::parse::{self, SyntaxError};

/// More mistakes than this are not worth a round of their own.
const MOST: usize = 20;

/// What is wrong with a text, in its order; empty where nothing is.
pub fn all(bytes: &[u8]) -> Vec<SyntaxError> {
    let mut text = bytes.to_vec();
    let mut found: Vec<SyntaxError> = Vec::new();
    while let Err(error) = parse::policy(&text) {
        // What a blanked pair leaves behind is no mistake of the author's.
        if !found.is_empty() && error.message.contains("is missing") {
            break;
        }
        let place = offset(&text, error.line, error.column);
        found.push(error);
        if found.len() >= MOST || serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_err() {
            break;
        }
        let Some(pair) = place.and_then(|place| pair_at(&text, place)) else { break };
        text[pair].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    }
    found.sort_by_key(|error| (error.line, error.column));
    found
}

/// The line of a text with a caret below the place, for people.
pub fn excerpt(bytes: &[u8], line: usize, column: usize) -> Option<String> {
    let text = bytes.split(|byte| *byte == b'\n').nth(line.checked_sub(1)?)?;
    // Bytes that are no text say nothing to a person.
    let shown = crate::escape::text(std::str::from_utf8(text).ok()?.trim_end());
    // The parser names the end of what it has read; a caret belongs where that begins.
    let end = column.min(text.len());
    let read = &text[..end];
    let begin = match read.iter().rposition(|byte| *byte == b'"') {
        Some(close) if close + 1 == read.len() => {
            read[..close].iter().rposition(|byte| *byte == b'"').unwrap_or(close)
        }
        _ => end.saturating_sub(1),
    };
    let before = String::from_utf8_lossy(&text[..begin]).chars().count();
    Some(format!("{line:>5} | {shown}\n      | {}^", " ".repeat(before)))
}

fn offset(text: &[u8], line: usize, column: usize) -> Option<usize> {
    let mut begin = 0;
    for _ in 1..line {
        begin += text.get(begin..)?.iter().position(|byte| *byte == b'\n')? + 1;
    }
    Some((begin + column.saturating_sub(1)).min(text.len().saturating_sub(1)))
}

/// The innermost pair of a key and its value around a place, with one comma beside it.
fn pair_at(text: &[u8], place: usize) -> Option<std::ops::Range<usize>> {
    let mut pairs: Vec<std::ops::Range<usize>> = Vec::new();
    // The pair that is open in each object or list above, by where it begins.
    let mut open: Vec<Option<usize>> = Vec::new();
    let (mut in_string, mut is_escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        if in_string {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => {
                in_string = true;
                if let Some(pair) = open.last_mut().filter(|pair| pair.is_none()) {
                    *pair = Some(at);
                }
            }
            b'{' => open.push(None),
            // Entries of a list are no pairs.
            b'[' => open.push(Some(usize::MAX)),
            b',' => {
                if let Some(Some(begin)) = open.last().copied().filter(|begin| *begin != Some(usize::MAX)) {
                    pairs.push(begin..at + 1);
                    open.pop();
                    open.push(None);
                }
            }
            b'}' | b']' => {
                if let Some(Some(begin)) = open.pop()
                    && begin != usize::MAX
                {
                    pairs.push(begin..at);
                }
            }
            _ => {}
        }
    }
    let around = pairs.into_iter().filter(|pair| pair.start <= place && place <= pair.end);
    let pair = around.min_by_key(|pair| pair.end - pair.start)?;
    if text[pair.end - 1] == b',' {
        return Some(pair);
    }
    // The last of its object: the comma before it goes too.
    let before = text[..pair.start].iter().rposition(|byte| !byte.is_ascii_whitespace());
    let start = before.filter(|at| text[*at] == b',').unwrap_or(pair.start);
    Some(start..pair.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = r#"{
  "version": 1,
  "mode": "enforse",
  "rules": [
    { "name": "nda", "project": ["/work/acme/**"], "deleteAfter": "7d" },
    { "name": "logs", "kinds": ["debug-log"], "deletAfter": "3d" },
    { "name": "default", "deleteAfter": "1y" }
  ]
}"#;
        let told: Vec<(usize, String)> =
            all(text.as_bytes()).into_iter().map(|error| (error.line, error.message)).collect();
        let lines: Vec<usize> = told.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 5, 6, 7], "{told:?}");
        assert!(told[3].1.contains("365d"), "{told:?}");
        assert_eq!(all(b"{\"version\": 1, \"rules\": []}"), []);
        assert_eq!(all(b"{").len(), 1);
    }

    #[test]
    fn a_caret_stands_below_what_is_wrong() {
        let text = b"{\n  \"rulez\": []\n}";
        let error = &all(text)[0];
        let shown = excerpt(text, error.line, error.column).unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        let (key, caret) = (lines[0].find("\"rulez\"").unwrap(), lines[1].find('^').unwrap());
        assert_eq!(key, caret, "{shown}");
    }

    #[test]
    fn no_text_stops_it() {
        for text in [&b""[..], b"\xff\xfe{\0", b"[[[[", b"{\"a\"", b"{\"rules\": {}}", b"\"", b"{,}"] {
            let found = all(text);
            assert!(!found.is_empty() && found.len() <= MOST, "{text:?}");
            for error in found {
                let _ = excerpt(text, error.line, error.column);
            }
        }
    }
}
