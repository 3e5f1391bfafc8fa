//! JSON text → typed settings, with line, column and the nearest name for what is not known.
//!
//! The names come from the error itself, which lists what was expected; so they cannot drift
//! from the types.

use serde::de::DeserializeOwned;

use super::settings::Settings;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(*.line, *.column))]
pub struct SyntaxError {
    /// Line, from 1; 0 where the source has no lines.
    pub line: usize,
    /// Column in bytes, from 1 as far as it is known.
    pub column: usize,
    /// What is wrong, with the nearest name where one is near.
    pub message: String,
}

fn place(line: usize, column: usize) -> String {
    if line == 0 { String::new() } else { format!("line {line}, column {column}: ") }
}

/// Reads one JSON document; a byte order mark is skipped, and only white space may follow.
///
/// # Errors
/// Text that is no JSON, or does not fit the type.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, SyntaxError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(SyntaxError { line: 1, column: 1, message: "the file is empty".into() });
    }
    serde_json::from_slice(text).map_err(|error| {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let whole = error.to_string();
        let message = whole.strip_suffix(&place).unwrap_or(&whole);
        let message = not_json(text, error.line(), error.column()).unwrap_or_else(|| in_our_words(message));
        SyntaxError { line: error.line(), column: error.column().max(1), message }
    })
}

/// Reads the text of a policy.
///
/// # Errors
/// As [`parse`].
pub fn policy(bytes: &[u8]) -> Result<Settings, SyntaxError> {
    // Where an object is meant a list is an error; serde would take the list for the object's fields in their
    // order.
    let settings = parse(bytes)?;
    let whole: serde_json::Value = parse(bytes)?;
    let list = |what: &str| {
        Err(SyntaxError { line: 1, column: 1, message: format!("{what} is a list where an object is meant") })
    };
    if whole.is_array() {
        return list("the policy");
    }
    for key in ["stores", "guard", "ledger"] {
        if whole.get(key).is_some_and(serde_json::Value::is_array) {
            return list(&format!("'{key}'"));
        }
    }
    for key in ["rules", "holds"] {
        let entries = whole.get(key).and_then(serde_json::Value::as_array);
        if let Some(at) = entries.and_then(|entries| entries.iter().position(serde_json::Value::is_array)) {
            return list(&format!("entry {} of '{key}'", at + 1));
        }
    }
    Ok(settings)
}

/// What people write who take JSON for something else, and what to write instead.
fn not_json(text: &[u8], line: usize, column: usize) -> Option<String> {
    if text.starts_with(&[0xff, 0xfe])
        || text.starts_with(&[0xfe, 0xff])
        || text.iter().take(64).any(|byte| *byte == 0)
    {
        return Some("this is not UTF-8 (UTF-16?): save it as UTF-8".to_owned());
    }
    let line = text.split(|byte| *byte == b'\n').nth(line.checked_sub(1)?)?;
    let at = column.saturating_sub(1).min(line.len());
    let rest = line.get(at..).unwrap_or_default();
    let begins = |what: &str| rest.starts_with(what.as_bytes());
    let typographic = ["\u{201c}", "\u{201d}", "\u{201e}", "\u{2018}", "\u{2019}"];
    if begins("//") || begins("/*") || begins("#") {
        Some("JSON has no comments: use a key \"$comment\" with the text".to_owned())
    } else if typographic.iter().any(|quote| begins(quote)) {
        Some("typographic quotes: write plain ones (\")".to_owned())
    } else if begins("'") {
        Some("JSON has no single quotes: write double ones (\")".to_owned())
    } else if (begins("---") || rest.first().is_some_and(u8::is_ascii_alphabetic))
        && line.contains(&b':')
        && at == 0
    {
        Some("this is not JSON (YAML?): a policy begins with {".to_owned())
    } else {
        None
    }
}

/// Says in the words of a policy file what serde says in those of Rust.
fn in_our_words(message: &str) -> String {
    let plain = |text: &str| crate::escape::text(text);
    for (start, noun) in [("unknown field `", "key"), ("unknown variant `", "value")] {
        let Some(rest) = message.strip_prefix(start) else { continue };
        let Some((name, expected)) = rest.split_once("`, ") else { continue };
        let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("known are {}", known.join(", ")),
        };
        return format!("unknown {noun} '{}', {hint}", plain(name));
    }
    if let Some(name) = message.strip_prefix("duplicate field `") {
        return format!("key '{}' is given twice", plain(name.trim_end_matches('`')));
    }
    if let Some((found, wanted)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        let wanted = match wanted {
            "a sequence" => "a list [ ... ]",
            "a map" => "an object { ... }",
            "a string" => "a text in double quotes",
            "a boolean" => "true or false",
            other => other,
        };
        let found = match found {
            "map" => "an object",
            "sequence" => "a list",
            "null" => "null",
            other => other,
        };
        return format!("{} where {} is expected", plain(found), plain(wanted));
    }
    if let Some(name) = message.strip_prefix("missing field `") {
        return format!("key '{}' is missing", plain(name.trim_end_matches('`')));
    }
    plain(message)
}

/// The known name that is most like the given one, where one is like it at all.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .map(|candidate| (strsim::jaro_winkler(&name, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        delete_after: Option<String>,
        mode: Option<crate::policy::Mode>,
    }

    #[test]
    fn says_where_and_what_was_meant() {
        for (text, line, message) in [
            ("{\n \"delteAfter\": \"1d\"}", 2, "unknown key 'delteAfter', did you mean 'deleteAfter'?"),
            ("{\"zzz\": 1}", 1, "unknown key 'zzz', known are deleteAfter, mode"),
            ("{\"mode\": \"Enforce\"}", 1, "unknown value 'Enforce', did you mean 'enforce'?"),
            ("{\"mode\": \"audit\",\n\"mode\": \"audit\"}", 2, "key 'mode' is given twice"),
            ("{\"mode\"", 1, "EOF while parsing an object"),
            ("{} {}", 1, "trailing characters"),
            (" \n", 1, "the file is empty"),
            ("", 1, "the file is empty"),
            ("{\"a\\u001bb\": 1}", 1, "unknown key 'a\\u{1b}b', known are deleteAfter, mode"),
        ] {
            let error = parse::<Sample>(text.as_bytes()).unwrap_err();
            assert_eq!((error.line, error.message.as_str()), (line, message), "{text}");
        }
        assert!(parse::<Sample>(b"\xef\xbb\xbf{\"mode\": \"audit\"}").is_ok());
    }
}
