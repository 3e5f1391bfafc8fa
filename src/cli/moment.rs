//! Moments as they are typed: a day without a time is the day of whoever types it.

use chrono::{
    DateTime, Datelike as _, Days, FixedOffset, Local, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
    TimeZone, Utc,
};

use crate::period::{Length, Period, day};

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// A moment.
    Time(DateTime<Utc>),
    /// So long before now.
    Ago(TimeDelta),
}

/// Reads a moment, or how long ago it was; a day is its beginning.
///
/// # Errors
/// It is neither.
pub fn since(text: &str) -> Result<Since, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(Since::Time(written(time).to_utc()));
    }
    if let Some(midnight) = day(text).and_then(|day| beginning(day, &Local)) {
        return Ok(Since::Time(written(midnight).to_utc()));
    }
    match text.parse::<Period>().map(|period| period.length()) {
        Ok(Length::Span(span)) => Ok(Since::Ago(span)),
        _ => Err("write a time (2026-01-31 or 2026-01-31T12:00:00Z) or a period (7d)".to_owned()),
    }
}

/// Reads a moment; a day is its beginning.
///
/// # Errors
/// It is none.
pub fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    match since(text) {
        Ok(Since::Time(time)) => Ok(time),
        _ => Err("write a time (2026-01-31 or 2026-01-31T12:00:00Z)".to_owned()),
    }
}

/// Reads a moment until which something lasts, with the zone it was said in; a day is its end.
///
/// # Errors
/// It is none.
pub fn end(text: &str) -> Result<DateTime<FixedOffset>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(written(time));
    }
    day(text).and_then(|day| end_of(day, &Local)).map(written).ok_or_else(|| {
        "write a day (2027-03-01), which is held to its end, or a time (2027-03-01T12:00:00Z)".to_owned()
    })
}

/// The nearest moment that can be written with a year of four digits, in UTC as well: one beyond would be refused when it
/// is read again.
fn written(time: DateTime<FixedOffset>) -> DateTime<FixedOffset> {
    let has_four = |year: i32| (0..=9999).contains(&year);
    if has_four(time.year()) && has_four(time.to_utc().year()) {
        return time;
    }
    let nearest = match time.year() {
        ..=1 => Utc.with_ymd_and_hms(0, 1, 1, 0, 0, 0),
        _ => Utc.with_ymd_and_hms(9999, 12, 31, 23, 59, 59),
    };
    nearest.single().map_or(time, |nearest| nearest.fixed_offset())
}

/// The first moment of a day, the earlier one where clocks are set back over midnight: what is before it is gone.
fn beginning<Z: TimeZone>(day: NaiveDate, zone: &Z) -> Option<DateTime<FixedOffset>> {
    midnight(day.and_time(NaiveTime::MIN), zone).map(|(first, _)| first)
}

/// The first moment after a day, the later one where clocks are set back over midnight: what lasts is not cut off.
fn end_of<Z: TimeZone>(day: NaiveDate, zone: &Z) -> Option<DateTime<FixedOffset>> {
    let next = day.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN);
    midnight(next, zone).map(|(_, last)| last)
}

/// Both moments that clocks show as this one; where they are set forward over it, the first after it.
fn midnight<Z: TimeZone>(
    at: NaiveDateTime,
    zone: &Z,
) -> Option<(DateTime<FixedOffset>, DateTime<FixedOffset>)> {
    let quarters = (0..=12).map(|quarter| at + TimeDelta::minutes(15 * quarter));
    quarters
        .map(|at| zone.from_local_datetime(&at))
        .find_map(|found| Some((found.clone().earliest()?.fixed_offset(), found.latest()?.fixed_offset())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_can_be_read_again() {
        for text in ["9999-12-31", "9999-12-31T23:59:59-10:00", "9999-12-31T23:59:60Z"] {
            let end = super::end(text).unwrap();
            assert_eq!(super::end(&end.to_rfc3339()), Ok(end), "{text}");
            assert_eq!(moment(&moment(text).unwrap().to_rfc3339()), moment(text), "{text}");
            assert!(end.year() == 9999 && end.to_utc().year() == 9999, "{text}: {end}");
        }
        assert_eq!(moment("0000-01-01T00:00:00+10:00").unwrap().year(), 0);
    }

    #[test]
    fn a_day_ends_where_it_was_typed() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let west = FixedOffset::west_opt(8 * 3600).unwrap();
        let end = end_of(day("2027-03-01"), &west).unwrap();
        assert_eq!(end.to_rfc3339(), "2027-03-02T00:00:00-08:00");
        assert_eq!(end.to_utc().to_rfc3339(), "2027-03-02T08:00:00+00:00");
        assert_eq!(
            beginning(day("2027-03-01"), &west).unwrap().to_utc().to_rfc3339(),
            "2027-03-01T08:00:00+00:00"
        );
        assert_eq!(end_of(NaiveDate::MAX, &west), None);
        assert_eq!(
            super::end("2027-03-01T12:00:00+02:00").unwrap().to_rfc3339(),
            "2027-03-01T12:00:00+02:00"
        );
        for wrong in ["tomorrow", "30d", "", "2026-13-01", "27-03-01", "2027-3-1", "-05-01-1", "+12027-03-01"]
        {
            assert!(super::end(wrong).is_err() && moment(wrong).is_err(), "{wrong}");
        }
    }
}
