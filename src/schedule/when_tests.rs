//! Tests of requests, calendars and the next start around changes of the clock.

use super::*;
use chrono::{FixedOffset, Timelike};
use proptest::prelude::*;

/// Central European time with the changes of 2026: on 29 March 02:00 becomes 03:00,
/// on 25 October 03:00 becomes 02:00.
#[derive(Debug, Clone, Copy)]
struct Zone;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn offset(hours: i32) -> FixedOffset {
    FixedOffset::east_opt(hours * 3600).unwrap()
}

impl TimeZone for Zone {
    type Offset = FixedOffset;
    fn from_offset(_: &FixedOffset) -> Self {
        Self
    }
    fn offset_from_local_date(&self, _: &NaiveDate) -> MappedLocalTime<FixedOffset> {
        unreachable!("no caller asks for a whole day")
    }
    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
        let fits = |hours: i32| {
            let moment = *local - TimeDelta::hours(i64::from(hours));
            (self.offset_from_utc_datetime(&moment) == offset(hours)).then(|| offset(hours))
        };
        match (fits(2), fits(1)) {
            (Some(early), Some(late)) => MappedLocalTime::Ambiguous(early, late),
            (Some(one), None) | (None, Some(one)) => MappedLocalTime::Single(one),
            (None, None) => MappedLocalTime::None,
        }
    }
    fn offset_from_utc_date(&self, _: &NaiveDate) -> FixedOffset {
        unreachable!("no caller asks for a whole day")
    }
    fn offset_from_utc_datetime(&self, moment: &NaiveDateTime) -> FixedOffset {
        let moment = moment.and_utc();
        let summer = moment >= utc("2026-03-29T01:00:00Z") && moment < utc("2026-10-25T01:00:00Z");
        offset(if summer { 2 } else { 1 })
    }
}

fn next(every: &str, at: &str, after: &str) -> DateTime<Utc> {
    let calendar = Calendar::new(every.parse().unwrap(), at.parse().unwrap());
    calendar.next(&utc(after).with_timezone(&Zone)).unwrap()
}

#[test]
fn requests_are_read() {
    for (text, every) in [
        ("hourly", Every::Hours(1)),
        ("1h", Every::Hours(1)),
        ("60min", Every::Hours(1)),
        ("6h", Every::Hours(6)),
        ("12h", Every::Hours(12)),
        ("24h", Every::Daily),
        ("1d", Every::Daily),
        ("daily", Every::Daily),
        ("7d", Every::Weekly),
        ("1w", Every::Weekly),
        ("weekly", Every::Weekly),
        ("15min", Every::Minutes(15)),
        ("120min", Every::Hours(2)),
    ] {
        assert_eq!(text.parse(), Ok(every), "{text}");
        assert_eq!(every.to_string().parse(), Ok(every), "{text}");
    }
    for text in ["5h", "7min", "90min", "2d", "2w", "never", "immediately", "0", "30", "", "Daily", "25h"] {
        let error = text.parse::<Every>().unwrap_err();
        assert!(error.to_string().contains("hourly"), "{text}: {error}");
    }
    assert_eq!("3:05".parse(), Ok(At { hour: 3, minute: 5 }));
    assert_eq!("23:59".parse(), Ok(At { hour: 23, minute: 59 }));
    for text in ["24:00", "12:60", "12", "1:2:3", "", ":", "+3:00", "12:5", "012:05", "noon"] {
        assert!(text.parse::<At>().is_err(), "{text}");
    }
}

#[test]
fn calendars_are_written_as_each_scheduler_reads_them() {
    for (every, at, cron, systemd, entries) in [
        ("daily", "12:30", "30 12 * * *", "*-*-* 12:30:00", 1),
        ("weekly", "03:05", "5 3 * * 1", "Mon *-*-* 03:05:00", 1),
        ("hourly", "12:07", "7 * * * *", "*-*-* *:07:00", 1),
        ("6h", "14:00", "0 2,8,14,20 * * *", "*-*-* 02,08,14,20:00:00", 4),
        ("20min", "00:30", "10,30,50 * * * *", "*-*-* *:10,30,50:00", 3),
        ("1min", "00:30", "* * * * *", "*-*-* *:*:00", 60),
    ] {
        let calendar = Calendar::new(every.parse().unwrap(), at.parse().unwrap());
        assert_eq!(calendar.cron(), cron);
        assert_eq!(calendar.systemd(), systemd);
        assert_eq!(calendar.launchd().len(), entries);
    }
}

#[test]
fn a_foreign_cron_expression_is_read_or_left_alone() {
    let read = |text: &str| Calendar::from_cron(&text.split(' ').collect::<Vec<_>>());
    assert_eq!(read("*/20 * * * *").unwrap().minutes, [0, 20, 40]);
    assert_eq!(read("0 8-18/5 * * 7").unwrap().hours, Some(vec![8, 13, 18]));
    assert_eq!(read("0 8 * * 7").unwrap().weekday, Some(0));
    for text in [
        "0 3 1 * *",
        "0 3 * 2 *",
        "0 3 * * 1-5",
        "60 3 * * *",
        "0 24 * * *",
        "x 3 * * *",
        "5/2 3 * * *",
        "0 9-3 * * *",
        "0 3 * *",
        "0 3 * * mon",
        "*/0 * * * *",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn the_next_start_survives_changes_of_the_clock() {
    // An ordinary day, strictly after.
    assert_eq!(next("daily", "12:30", "2026-06-01T10:30:00Z"), utc("2026-06-02T10:30:00Z"));
    assert_eq!(next("daily", "12:30", "2026-06-01T10:29:59Z"), utc("2026-06-01T10:30:00Z"));
    // The day before is winter time, the day after summer time: 23 hours apart.
    assert_eq!(next("daily", "12:30", "2026-03-28T11:30:00Z"), utc("2026-03-29T10:30:00Z"));
    // 02:30 does not exist on 29 March: the end of the gap, 03:00 summer time.
    assert_eq!(next("daily", "02:30", "2026-03-28T12:00:00Z"), utc("2026-03-29T01:00:00Z"));
    assert_eq!(next("daily", "02:30", "2026-03-29T01:00:00Z"), utc("2026-03-30T00:30:00Z"));
    // 02:30 comes twice on 25 October: once is enough.
    assert_eq!(next("daily", "02:30", "2026-10-24T12:00:00Z"), utc("2026-10-25T00:30:00Z"));
    assert_eq!(next("daily", "02:30", "2026-10-25T00:30:00Z"), utc("2026-10-26T01:30:00Z"));
    // Every hour means every hour, through both changes.
    assert_eq!(next("hourly", "00:30", "2026-10-25T00:30:00Z"), utc("2026-10-25T01:30:00Z"));
    assert_eq!(next("hourly", "00:30", "2026-03-29T00:30:00Z"), utc("2026-03-29T01:30:00Z"));
    // The last hour of a day in local time is another date in UTC.
    assert_eq!(next("daily", "00:15", "2026-06-01T12:00:00Z"), utc("2026-06-01T22:15:00Z"));
    // Weekly is Monday; 2026-06-01 is one.
    assert_eq!(next("weekly", "12:30", "2026-06-01T10:30:00Z"), utc("2026-06-08T10:30:00Z"));
    assert_eq!(next("weekly", "12:30", "2026-05-31T23:00:00Z"), utc("2026-06-01T10:30:00Z"));
}

fn every() -> impl Strategy<Value = Every> {
    prop_oneof![
        prop::sample::select(vec![1u32, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30]).prop_map(Every::Minutes),
        prop::sample::select(vec![1u32, 2, 3, 4, 6, 8, 12]).prop_map(Every::Hours),
        Just(Every::Daily),
        Just(Every::Weekly),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(every in every(), hour in 0u32..24, minute in 0u32..60) {
        let calendar = Calendar::new(every, At { hour, minute });
        let cron = calendar.cron();
        prop_assert_eq!(Calendar::from_cron(&cron.split(' ').collect::<Vec<_>>()), Some(calendar.clone()));
        prop_assert_eq!(Calendar::from_systemd(&calendar.systemd()), Some(calendar.clone()));
        prop_assert_eq!(Calendar::from_launchd(&calendar.launchd()), Some(calendar));
    }

    #[test]
    fn starts_are_evenly_spread_and_pass_the_asked_time(
        every in every(), hour in 0u32..24, minute in 0u32..60, moment in 1_767_225_600i64..1_798_761_600,
    ) {
        let calendar = Calendar::new(every, At { hour, minute });
        let after = DateTime::from_timestamp(moment, 0).unwrap();
        // Without changes of the clock, two starts are exactly the span apart.
        let first = calendar.next(&after).unwrap();
        let second = calendar.next(&first).unwrap();
        prop_assert!(first > after && first - after <= TimeDelta::minutes(i64::from(every.minutes())));
        prop_assert_eq!(second - first, TimeDelta::minutes(i64::from(every.minutes())));
        prop_assert_eq!(first.minute() % every.minutes().min(60), minute % every.minutes().min(60));
        // With them, no start is lost: the longest wait is the span and the hour of the change.
        let local = calendar.next(&after.with_timezone(&Zone)).unwrap();
        prop_assert!(local > after && local - after <= TimeDelta::minutes(i64::from(every.minutes()) + 60));
    }
}
