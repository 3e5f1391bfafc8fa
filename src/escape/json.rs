//! JSON as others may read it: what acts on a terminal or cannot be seen is written as `\uXXXX`.
//!
//! JSON itself asks that only of the control characters below a blank. Documents and lines of logs
//! are shown by terminals and pagers too, and names in them come from elsewhere.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;
#[cfg(unix)]
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::hidden;

/// A document over several lines, without a newline at its end.
///
/// # Errors
/// As [`serde_json::to_vec_pretty`].
pub fn pretty(value: &impl Serialize) -> serde_json::Result<String> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, Escaping(PrettyFormatter::new())))?;
    Ok(text(out))
}

/// One line, without its newline.
///
/// # Errors
/// As [`serde_json::to_vec`].
pub fn line(value: &impl Serialize) -> serde_json::Result<String> {
    let mut out = Vec::new();
    to_writer(&mut out, value)?;
    Ok(text(out))
}

/// The same line, to a writer.
///
/// # Errors
/// As [`serde_json::to_writer`].
pub fn to_writer(out: impl Write, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Escaping(CompactFormatter)))
}

/// A path as it is shown: not every path is UTF-8, and JSON is. For `serialize_with`.
///
/// # Errors
/// As the serializer.
pub fn some_path<S: serde::Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(super::text).serialize(to)
}

/// The value with every text in it as it may be shown anywhere ([`super::text`]).
#[cfg(unix)]
pub fn printable(value: Value) -> Value {
    match value {
        Value::String(text) => super::text(text.as_str()).into(),
        Value::Array(list) => list.into_iter().map(printable).collect(),
        Value::Object(keys) => {
            keys.into_iter().map(|(key, value)| (super::text(key.as_str()), printable(value))).collect()
        }
        other => other,
    }
}

/// What a serializer has written, which is UTF-8.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

struct Escaping<F>(F);

/// Writes a part of JSON; what is escaped can only stand in a text.
fn write_escaped<W: ?Sized + Write>(out: &mut W, part: &str) -> io::Result<()> {
    if part.bytes().all(|byte| byte < 0x7f) {
        return out.write_all(part.as_bytes());
    }
    let mut rest = part;
    // White space between values is left.
    let acts = |character: char| hidden(character) && character >= ' ';
    while let Some(at) = rest.find(acts) {
        let (before, after) = rest.split_at(at);
        out.write_all(before.as_bytes())?;
        let mut characters = after.chars();
        for unit in characters.next().into_iter().flat_map(|c| c.encode_utf16(&mut [0; 2]).to_vec()) {
            write!(out, "\\u{unit:04x}")?;
        }
        rest = characters.as_str();
    }
    out.write_all(rest.as_bytes())
}

macro_rules! as_before {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {
        $(fn $name<W: ?Sized + Write>(&mut self, out: &mut W $(, $argument: $kind)*) -> io::Result<()> {
            self.0.$name(out $(, $argument)*)
        })*
    };
}

impl<F: Formatter> Formatter for Escaping<F> {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, part: &str) -> io::Result<()> {
        write_escaped(out, part)
    }

    fn write_raw_fragment<W: ?Sized + Write>(&mut self, out: &mut W, part: &str) -> io::Result<()> {
        write_escaped(out, part)
    }

    as_before! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ACTING: &str = "a\u{7f}\u{9b}31m\u{202e}\u{200b}\u{e0041}\u{1b}\né";

    #[test]
    fn what_acts_is_escaped_and_nothing_is_lost() {
        let value = json!({ ACTING: [ACTING, 1, null, {"x": []}], "plain": "é \\ \"" });
        for text in [line(&value).unwrap(), pretty(&value).unwrap()] {
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
            assert!(text.contains("a\\u007f\\u009b31m\\u202e\\u200b\\udb40\\udc41\\u001b\\né"), "{text}");
            assert!(!text.chars().any(|c| hidden(c) && c != '\n'), "{text}");
        }
        let plain = json!({"a": [1, {"b": "é"}], "c": {}});
        assert_eq!(pretty(&plain).unwrap(), serde_json::to_string_pretty(&plain).unwrap());
        assert_eq!(line(&plain).unwrap(), plain.to_string());
    }

    #[test]
    fn a_part_that_is_taken_over_as_it_is_written_is_escaped_too() {
        let raw = serde_json::value::RawValue::from_string("{\n \"a\": \"\u{9b}\"}".to_owned()).unwrap();
        assert_eq!(line(&raw).unwrap(), "{\n \"a\": \"\\u009b\"}");
    }

    #[test]
    fn every_text_of_a_value_is_printable() {
        assert_eq!(printable(json!([{"a\u{9b}": "b\u{202e}"}, 1])), json!([{"a\\u{9b}": "b\\u{202e}"}, 1]));
    }
}
