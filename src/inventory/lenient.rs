//! A JSON value of which only text and numbers are of interest: anything else is passed over,
//! so that one odd field never hides the rest of a record.

use std::borrow::Cow;
use std::fmt;

use super::date;
use chrono::{DateTime, Utc};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What some editors put before the first line.
pub(super) const MARK: &[u8] = b"\xef\xbb\xbf";

/// A text, a whole number, or something else that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Lenient<'a> {
    Text(Cow<'a, str>),
    /// A whole number.
    Number(i64),
    /// Anything else.
    Other,
    /// Nothing: the field is not there.
    #[default]
    Absent,
}

impl<'a> Lenient<'a> {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text itself, if it is one.
    pub fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A date: RFC 3339 in a text, or milliseconds since 1970 in a number; seconds where the number
    /// is a date as seconds only.
    pub fn date(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Text(text) => {
                DateTime::parse_from_rfc3339(text).ok().map(|date| date.to_utc()).and_then(date::valid)
            }
            Self::Number(number) => DateTime::from_timestamp_millis(*number)
                .and_then(date::valid)
                // As milliseconds a date in seconds is one of January 1970, which is no valid one here.
                .or_else(|| DateTime::from_timestamp(*number, 0).and_then(date::valid)),
            Self::Other | Self::Absent => None,
        }
    }
}

/// Reads one JSON object; anything else, a list too, is `None`: serde would take a list for the
/// fields in their order.
pub fn object<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Option<T> {
    let text = text.trim_ascii_start();
    text.starts_with(b"{").then(|| serde_json::from_slice(text).ok())?
}

/// Reads a whole file as [`object`] does.
pub fn whole<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Option<T> {
    // A byte order mark is passed over at its beginning, and only there: in front of a later line it hides that
    // line from Claude Code too.
    object(text.strip_prefix(MARK).unwrap_or(text))
}

/// Reads a value that borrows nothing, for records that come from a stream.
///
/// # Errors
/// As the format's.
pub fn owned<'de, D: Deserializer<'de>>(from: D) -> Result<Lenient<'static>, D::Error> {
    Ok(match Lenient::deserialize(from)? {
        Lenient::Text(text) => Lenient::Text(Cow::Owned(text.into_owned())),
        Lenient::Number(number) => Lenient::Number(number),
        Lenient::Other => Lenient::Other,
        Lenient::Absent => Lenient::Absent,
    })
}

impl<'de: 'a, 'a> Deserialize<'de> for Lenient<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Lenient<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Lenient::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Lenient::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Lenient::Number(number))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                // A number that is too large is no date, and no reason to refuse the rest of the record.
                Ok(i64::try_from(number).map_or(Lenient::Other, Lenient::Number))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                // Some writers print milliseconds as a float; beyond 2^53 it is no date anyway.
                #[expect(clippy::cast_possible_truncation, reason = "bounded on the line")]
                Ok(if number.abs() < 9e15 { Lenient::Number(number as i64) } else { Lenient::Other })
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Lenient::Other)
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Lenient::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Lenient::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Lenient::Other)
            }
        }
        from.deserialize_any(Any)
    }
}
