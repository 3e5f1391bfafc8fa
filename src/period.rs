//! Periods: spans of time as a policy writes them (`30d`, `never`, `immediately`).

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// The longest span a policy may name, in days: what a date of today can be moved by
/// and still be written with a year of four digits.
const LONGEST_DAYS: u64 = 2_500_000;

/// A span of time from a policy or the command line; prints as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    length: Length,
    written: String,
}

/// A day as it is written, `2027-03-01`. Of fewer digits it would be one of the first century: a hold until `27-03-01`
/// has ended.
pub fn day(text: &str) -> Option<NaiveDate> {
    let is_of_day =
        |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    (text.len() == 10 && text.bytes().enumerate().all(is_of_day)).then(|| text.parse().ok())?
}

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Length {
    /// No time at all.
    Immediately,
    /// A fixed span.
    Span(TimeDelta),
    /// Without end.
    Never,
}

/// Why a period cannot be read; each says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeriodError {
    /// A number without a unit.
    #[error("period '{0}' has no unit: write '{0}d' for days, '{0}h' for hours, '{0}w' for weeks")]
    NoUnit(String),
    /// A zero.
    #[error(
        "period '{0}' is zero, which tools read as both 'never' and 'at once': write \"never\" or \"immediately\""
    )]
    Zero(String),
    /// A unit that means different things to different people.
    #[error("'{0}' has the unit '{1}', which says no exact time{more}", more = meant(.0))]
    Ambiguous(String, String),
    /// Anything else.
    #[error("'{0}' is not a duration{more}", more = meant(.0))]
    Malformed(String),
    /// More than dates can hold.
    #[error("period '{0}' is longer than dates can hold: write \"never\"")]
    TooLong(String),
}

/// What was likely meant, and what can be written.
fn meant(text: &str) -> String {
    let grammar = "write a whole number and a unit (min, h, d, w), \"never\" or \"immediately\"";
    let lower = text.trim().to_lowercase();
    let split = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (digits, unit) = lower.split_at(split);
    let count = digits.parse::<u64>().ok().filter(|count| *count < 10_000);
    let near = match (count, unit.trim()) {
        (None, "forever" | "none" | "off" | "infinite" | "inf") => Some("never".to_owned()),
        (None, "now" | "asap" | "immediate" | "at once") => Some("immediately".to_owned()),
        (Some(count), "d" | "day" | "days") => Some(format!("{count}d")),
        (Some(count), "w" | "week" | "weeks") => Some(format!("{count}w")),
        (Some(count), "h" | "hour" | "hours" | "hrs") => Some(format!("{count}h")),
        (Some(count), "min" | "minute" | "minutes" | "mins") => Some(format!("{count}min")),
        (Some(count), "y" | "year" | "years") => Some(format!("{}d", count * 365)),
        (Some(count), "mo" | "month" | "months") => Some(format!("{}d", count * 30)),
        _ => None,
    };
    match near {
        Some(near) => format!(": did you mean \"{near}\"? ({grammar})"),
        None => format!(": {grammar}"),
    }
}

impl Period {
    /// A period of whole days, as the client's settings give it.
    pub fn days(days: u32) -> Self {
        Self { length: Length::Span(TimeDelta::days(i64::from(days))), written: format!("{days}d") }
    }

    /// A period of whole hours.
    pub fn hours(hours: u32) -> Self {
        Self { length: Length::Span(TimeDelta::hours(i64::from(hours))), written: format!("{hours}h") }
    }

    /// A period that is over at once.
    pub fn immediately() -> Self {
        Self { length: Length::Immediately, written: "immediately".to_owned() }
    }

    /// How long it is, for comparing periods with each other.
    pub fn length(&self) -> Length {
        self.length
    }

    /// How long it is; `None` where it has no end.
    pub fn span(&self) -> Option<TimeDelta> {
        match self.length {
            Length::Immediately => Some(TimeDelta::zero()),
            Length::Span(span) => Some(span),
            Length::Never => None,
        }
    }

    /// The whole days it lies within; `None` where it has no end.
    pub fn whole_days(&self) -> Option<u64> {
        self.span().map(|span| u64::try_from(span.num_seconds()).unwrap_or(0).div_ceil(86_400))
    }

    /// The moment this period after `start`; `None` when it never comes.
    pub fn after(&self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        start.checked_add_signed(self.span()?)
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let written = || text.to_owned();
        match text {
            "never" => return Ok(Self { length: Length::Never, written: written() }),
            "immediately" => return Ok(Self { length: Length::Immediately, written: written() }),
            _ => {}
        }
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        if digits.is_empty() {
            return Err(PeriodError::Malformed(written()));
        }
        let zero = digits.bytes().all(|b| b == b'0');
        let seconds_each: u64 = match unit {
            _ if zero => return Err(PeriodError::Zero(written())),
            "min" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            "" => return Err(PeriodError::NoUnit(written())),
            "m" | "mo" | "M" | "y" | "s" => {
                return Err(PeriodError::Ambiguous(written(), unit.to_owned()));
            }
            _ => return Err(PeriodError::Malformed(written())),
        };
        let span = digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(seconds_each))
            .filter(|seconds| *seconds <= LONGEST_DAYS * 86_400)
            .and_then(|seconds| i64::try_from(seconds).ok())
            .and_then(TimeDelta::try_seconds)
            .ok_or_else(|| PeriodError::TooLong(written()))?;
        Ok(Self { length: Length::Span(span), written: written() })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.written)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Period;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a period such as \"30d\", \"never\" or \"immediately\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Period, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Period, E> {
                number.to_string().parse().map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Period, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }
        from.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Period".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A whole number and a unit (min, h, d, w), \"never\" or \"immediately\".",
            "pattern": "^(0*[1-9][0-9]*(min|h|d|w)|never|immediately)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_people_read_in_two_ways() {
        for (text, hint) in [
            ("30", "30d"),
            ("0", "zero"),
            ("0d", "zero"),
            ("5m", "min"),
            ("3mo", "90d"),
            ("1y", "365d"),
            ("", "not a duration"),
            ("d", "not a duration"),
            ("-1d", "not a duration"),
            ("1.5d", "not a duration"),
            (" 1d", "not a duration"),
            ("1d ", "not a duration"),
            ("Never", "not a duration"),
            ("99999999999999999999d", "longer"),
            ("2500001d", "longer"),
            ("18446744073709551615w", "longer"),
        ] {
            let error = text.parse::<Period>().map(|p| p.to_string()).unwrap_err().to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn prints_as_written_and_orders_by_length(count in 1u64..2_000_000, unit in 0usize..4) {
            let unit = ["min", "h", "d", "w"][unit];
            let text = format!("{count}{unit}");
            match text.parse::<Period>() {
                Ok(period) => {
                    prop_assert_eq!(period.to_string(), text);
                    prop_assert!(period.length() > Length::Immediately && period.length() < Length::Never);
                    let start = DateTime::UNIX_EPOCH;
                    prop_assert!(period.after(start).is_some_and(|end| end > start));
                }
                Err(error) => prop_assert_eq!(error, PeriodError::TooLong(text)),
            }
        }
    }
}
