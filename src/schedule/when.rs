//! When runs happen: what the user asks for, as a calendar every scheduler can express.
//!
//! Only spans that divide a day or an hour are taken. A clock scheduler cannot say "every five
//! hours": cron's `*/5` fires at 0, 5, 10, 15, 20 and 0 again, four hours later.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};

use crate::period::{Length, Period};

/// How often a run is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// Every so many minutes; a divisor of 60, below 60.
    Minutes(u32),
    /// Every so many hours; a divisor of 24, below 24.
    Hours(u32),
    /// Once a day.
    Daily,
    /// Once a week, on Monday.
    Weekly,
}

/// Why a schedule cannot be read; each says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WhenError {
    /// Not a span a clock scheduler can express.
    #[error(
        "'{0}' cannot be scheduled evenly: write hourly, daily, weekly, or a span that divides a day (1h 2h 3h 4h 6h 8h 12h) or an hour (5min 10min 15min 20min 30min)"
    )]
    Uneven(String),
    /// Not a time of the day.
    #[error("'{0}' is not a time of day: write HH:MM, from 00:00 to 23:59")]
    NoTime(String),
}

impl FromStr for Every {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        match text {
            "hourly" => return Ok(Self::Hours(1)),
            "daily" => return Ok(Self::Daily),
            "weekly" => return Ok(Self::Weekly),
            _ => {}
        }
        let uneven = || WhenError::Uneven(text.to_owned());
        let Ok(Length::Span(span)) = text.parse::<Period>().map(|period| period.length()) else {
            return Err(uneven());
        };
        // A period has whole minutes by its grammar.
        match u32::try_from(span.num_minutes()) {
            Ok(10_080) => Ok(Self::Weekly),
            Ok(1_440) => Ok(Self::Daily),
            Ok(minutes) if minutes < 60 && 60 % minutes == 0 => Ok(Self::Minutes(minutes)),
            Ok(minutes) if minutes % 60 == 0 && minutes < 1_440 && 1_440 % minutes == 0 => {
                Ok(Self::Hours(minutes / 60))
            }
            _ => Err(uneven()),
        }
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minutes(count) => write!(f, "{count}min"),
            Self::Hours(1) => f.write_str("hourly"),
            Self::Hours(count) => write!(f, "{count}h"),
            Self::Daily => f.write_str("daily"),
            Self::Weekly => f.write_str("weekly"),
        }
    }
}

impl Every {
    /// The span between two runs, in minutes.
    pub fn minutes(self) -> u32 {
        match self {
            Self::Minutes(count) => count,
            Self::Hours(count) => count * 60,
            Self::Daily => 1_440,
            Self::Weekly => 10_080,
        }
    }
}

/// A time of the day, in the machine's local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
}

impl At {
    /// Half past twelve: where a scheduler cannot catch up after sleep (cron), a laptop is
    /// more likely awake at noon than at night, and a run is cheap enough to pass unnoticed.
    pub const DEFAULT: Self = Self { hour: 12, minute: 30 };
}

impl FromStr for At {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        let part = |digits: &str, below: u32| {
            let number: u32 = digits.parse().ok()?;
            (digits.len() <= 2 && digits.bytes().all(|b| b.is_ascii_digit()) && number < below)
                .then_some(number)
        };
        text.split_once(':')
            .filter(|(_, minute)| minute.len() == 2)
            .and_then(|(hour, minute)| Some(Self { hour: part(hour, 24)?, minute: part(minute, 60)? }))
            .ok_or_else(|| WhenError::NoTime(text.to_owned()))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

/// The minutes, hours and weekday at which runs start, in local time; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    minutes: Vec<u32>,
    /// `None`: every hour.
    hours: Option<Vec<u32>>,
    /// 0 is Sunday, as in cron and launchd; `None`: every day.
    weekday: Option<u32>,
}

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl Calendar {
    /// The calendar of a request.
    pub fn new(every: Every, at: At) -> Self {
        let steps = |start: u32, step: u32, end: u32| (start % step..end).step_by(step as usize).collect();
        match every {
            Every::Minutes(count) => {
                Self { minutes: steps(at.minute, count, 60), hours: None, weekday: None }
            }
            Every::Hours(1) => Self { minutes: vec![at.minute], hours: None, weekday: None },
            Every::Hours(count) => {
                Self { minutes: vec![at.minute], hours: Some(steps(at.hour, count, 24)), weekday: None }
            }
            Every::Daily => Self { minutes: vec![at.minute], hours: Some(vec![at.hour]), weekday: None },
            Every::Weekly => Self { minutes: vec![at.minute], hours: Some(vec![at.hour]), weekday: Some(1) },
        }
    }

    /// The five fields of a cron line.
    pub fn cron(&self) -> String {
        let minutes = if self.minutes.len() == 60 { "*".to_owned() } else { list(&self.minutes, false) };
        let hours = self.hours.as_deref().map_or_else(|| "*".to_owned(), |hours| list(hours, false));
        let weekday = self.weekday.map_or_else(|| "*".to_owned(), |day| day.to_string());
        format!("{minutes} {hours} * * {weekday}")
    }

    /// Reads the five fields of a cron line back; `None` where they say more than a calendar can hold.
    pub fn from_cron(fields: &[&str]) -> Option<Self> {
        let [minutes, hours, "*", "*", weekday] = fields else { return None };
        Some(Self {
            minutes: field(minutes, 60)?.unwrap_or_else(|| (0..60).collect()),
            hours: field(hours, 24)?,
            weekday: one_day(field(weekday, 8)?)?,
        })
    }

    /// The value of systemd's `OnCalendar=`; see systemd.time(7), "calendar events".
    pub fn systemd(&self) -> String {
        let weekday = self.weekday.and_then(|day| WEEKDAYS.get(day as usize));
        let weekday = weekday.map_or_else(String::new, |day| format!("{day} "));
        let hours = self.hours.as_deref().map_or_else(|| "*".to_owned(), |hours| list(hours, true));
        let minutes = if self.minutes.len() == 60 { "*".to_owned() } else { list(&self.minutes, true) };
        format!("{weekday}*-*-* {hours}:{minutes}:00")
    }

    /// Reads an `OnCalendar=` value in the form [`Calendar::systemd`] writes; `None` for any other.
    pub fn from_systemd(text: &str) -> Option<Self> {
        let (weekday, rest) = match text.split_once(" *-*-* ") {
            Some((name, rest)) => {
                let day = WEEKDAYS.iter().position(|day| *day == name)?;
                (Some(u32::try_from(day).ok()?), rest)
            }
            None => (None, text.strip_prefix("*-*-* ")?),
        };
        let (hours, minutes) = rest.strip_suffix(":00")?.split_once(':')?;
        Some(Self {
            minutes: field(minutes, 60)?.unwrap_or_else(|| (0..60).collect()),
            hours: field(hours, 24)?,
            weekday,
        })
    }

    /// The entries of launchd's `StartCalendarInterval`, as (weekday, hour, minute); a missing
    /// part matches every value (launchd.plist(5)).
    pub fn launchd(&self) -> Vec<(Option<u32>, Option<u32>, u32)> {
        let hours: Vec<Option<u32>> =
            self.hours.as_ref().map_or_else(|| vec![None], |hours| hours.iter().copied().map(Some).collect());
        hours
            .iter()
            .flat_map(|hour| self.minutes.iter().map(move |minute| (self.weekday, *hour, *minute)))
            .collect()
    }

    /// Reads the entries of `StartCalendarInterval` back; `None` where they are no product of
    /// hours and minutes on one weekday.
    pub fn from_launchd(entries: &[(Option<u32>, Option<u32>, u32)]) -> Option<Self> {
        let (weekday, _, _) = entries.first()?;
        let mut minutes: Vec<u32> = entries.iter().map(|entry| entry.2).collect();
        let mut hours: Vec<u32> = entries.iter().filter_map(|entry| entry.1).collect();
        for numbers in [&mut minutes, &mut hours] {
            numbers.sort_unstable();
            numbers.dedup();
        }
        let calendar = Self { minutes, hours: (!hours.is_empty()).then_some(hours), weekday: *weekday };
        let mut given = entries.to_vec();
        given.sort_unstable();
        (calendar.launchd() == given).then_some(calendar)
    }

    /// The first start after `after`, in the time zone of `after`.
    pub fn next<Tz: TimeZone>(&self, after: &DateTime<Tz>) -> Option<DateTime<Utc>> {
        // A fixed hour that the clock skips in spring counts at the end of the gap, one that comes twice in
        // autumn counts once, as cron does (cron(8), "daylight saving time"). With every hour in the calendar,
        // both passages of a doubled hour count and a skipped one does not.
        let zone = after.timezone();
        let after = after.to_utc();
        let first = after.with_timezone(&zone).date_naive().pred_opt()?;
        // A weekday comes round within seven days; one more on each side for the zone's own jumps.
        (0..=9)
            .filter_map(|days| first.checked_add_days(Days::new(days)))
            .filter(|date| self.weekday.is_none_or(|day| date.weekday().num_days_from_sunday() == day % 7))
            .find_map(|date| self.starts(date, &zone).into_iter().filter(|start| *start > after).min())
    }

    /// All starts of one local day.
    fn starts<Tz: TimeZone>(&self, date: NaiveDate, zone: &Tz) -> Vec<DateTime<Utc>> {
        let hours = self.hours.clone().unwrap_or_else(|| (0..24).collect());
        let mut starts = Vec::new();
        for local in hours.iter().flat_map(|hour| {
            self.minutes.iter().filter_map(move |minute| date.and_hms_opt(*hour, *minute, 0))
        }) {
            match zone.from_local_datetime(&local) {
                MappedLocalTime::Single(start) => starts.push(start.to_utc()),
                MappedLocalTime::Ambiguous(early, late) => {
                    starts.push(early.to_utc());
                    if self.hours.is_none() {
                        starts.push(late.to_utc());
                    }
                }
                MappedLocalTime::None if self.hours.is_some() => starts.extend(gap_end(local, zone)),
                MappedLocalTime::None => {}
            }
        }
        starts
    }
}

/// The first moment that exists after a local time that does not.
fn gap_end<Tz: TimeZone>(local: NaiveDateTime, zone: &Tz) -> Option<DateTime<Utc>> {
    // The longest gap known is a whole day, where an island changed sides of the date line.
    (1..=1_500).find_map(|minutes| {
        let later = local.checked_add_signed(TimeDelta::minutes(minutes))?;
        zone.from_local_datetime(&later).earliest().map(|start| start.to_utc())
    })
}

/// Numbers separated by commas, with two digits each where asked.
fn list(numbers: &[u32], two_digits: bool) -> String {
    let one = |number: &u32| if two_digits { format!("{number:02}") } else { number.to_string() };
    numbers.iter().map(one).collect::<Vec<_>>().join(",")
}

/// Reads a cron field: `*`, `*/n`, numbers, ranges, lists. `Some(None)` is every value.
#[expect(clippy::option_option, reason = "unreadable and unrestricted are different answers")]
fn field(text: &str, below: u32) -> Option<Option<Vec<u32>>> {
    if text == "*" {
        return Some(None);
    }
    let mut numbers = Vec::new();
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().ok().filter(|step| *step > 0)?),
            None => (item, 1),
        };
        let (low, high) = match range.split_once('-') {
            _ if range == "*" => (0, below - 1),
            Some((low, high)) => (low.parse().ok()?, high.parse().ok()?),
            None if item.contains('/') => return None,
            None => {
                let number = range.parse().ok()?;
                (number, number)
            }
        };
        if high >= below || low > high {
            return None;
        }
        numbers.extend((low..=high).step_by(step as usize));
    }
    numbers.sort_unstable();
    numbers.dedup();
    Some(Some(numbers))
}

/// One weekday or every day; several are more than a calendar holds.
#[expect(clippy::option_option, reason = "unreadable and unrestricted are different answers")]
fn one_day(days: Option<Vec<u32>>) -> Option<Option<u32>> {
    match days.as_deref() {
        None => Some(None),
        Some([day]) => Some(Some(day % 7)),
        Some(_) => None,
    }
}

#[cfg(test)]
#[path = "when_tests.rs"]
mod tests;
