//! Moments as they are typed.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::period::{Length, Period};

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// A moment.
    Time(DateTime<Utc>),
    /// So long before now.
    Ago(TimeDelta),
}

/// Reads a moment, or how long ago it was.
///
/// # Errors
/// It is neither.
pub fn since(text: &str) -> Result<Since, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(Since::Time(time.to_utc()));
    }
    if let Some(midnight) = text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0)) {
        return Ok(Since::Time(midnight.and_utc()));
    }
    match text.parse::<Period>().map(|period| period.length()) {
        Ok(Length::Span(span)) => Ok(Since::Ago(span)),
        _ => Err("write a time (2026-01-31 or 2026-01-31T12:00:00Z) or a period (7d)".to_owned()),
    }
}

/// Reads a moment.
///
/// # Errors
/// It is none.
pub fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    match since(text) {
        Ok(Since::Time(time)) => Ok(time),
        _ => Err("write a time (2026-01-31 or 2026-01-31T12:00:00Z)".to_owned()),
    }
}
