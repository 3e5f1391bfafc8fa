//! Moments as people read them: local, and how far away.

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};

use super::human::counted;
use crate::document::Paint;

/// A moment: `Nov 27 12:30` on a terminal where that is of this year, else `2026-11-27 12:30`.
pub fn moment(at: DateTime<Utc>, now: DateTime<Utc>, paint: Paint<'_>) -> String {
    let time = (paint.local)(at).format("%H:%M");
    format!("{} {time}", day(at, now, paint))
}

/// A moment as reports of ours write it in UTC, as people read it; what is no such time stays as it is.
pub fn told(at: &str, now: DateTime<Utc>, paint: Paint<'_>) -> String {
    DateTime::parse_from_rfc3339(at).map_or_else(|_| at.to_owned(), |at| moment(at.to_utc(), now, paint))
}

/// A day: `Nov 27` on a terminal where that is of this year, else `2026-11-27`.
pub fn day(at: DateTime<Utc>, now: DateTime<Utc>, paint: Paint<'_>) -> String {
    let (at, now) = ((paint.local)(at), (paint.local)(now));
    let is_clear = paint.width.is_some() && at.year() == now.year();
    at.format(if is_clear { "%b %-d" } else { "%Y-%m-%d" }).to_string()
}

/// How far away a moment is: `in 16 hours`, `3 days ago`.
pub fn away(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let apart = at.signed_duration_since(now);
    let span = span(apart.abs());
    if apart > TimeDelta::zero() { format!("in {span}") } else { format!("{span} ago") }
}

/// A span of time in its largest unit.
fn span(span: TimeDelta) -> String {
    let (count, noun) = match (span.num_days(), span.num_hours(), span.num_minutes()) {
        (0, 0, minutes) => (minutes.max(1), "minute"),
        (0 | 1, hours, _) if hours < 36 => (hours, "hour"),
        (days, ..) => (days, "day"),
    };
    counted(count.unsigned_abs(), noun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_one_unit() {
        let now = DateTime::from_timestamp(1_780_000_000, 0).unwrap();
        let of = |minutes: i64| away(now + TimeDelta::minutes(minutes), now);
        assert_eq!(of(16 * 60), "in 16 hours");
        assert_eq!(of(-1), "1 minute ago");
        assert_eq!(of(30 * 60), "in 30 hours");
        assert_eq!(of(-3 * 24 * 60), "3 days ago");
        assert_eq!(of(0), "1 minute ago");
    }
}
