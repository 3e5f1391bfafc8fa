//! Reports for people: aligned tables, totals, restrained colour.

use chrono::{DateTime, FixedOffset, NaiveTime, Utc};

use crate::document::{Column, Table};

/// A count with its noun.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// So many accounts are named beside what is true of them.
const NAMED: usize = 12;

/// The names of accounts, as many as anybody reads.
pub fn named(names: &[&str]) -> String {
    match names.get(..NAMED) {
        Some(first) if names.len() > NAMED => {
            format!("{} and {}", first.join(", "), counted((names.len() - NAMED) as u64, "other"))
        }
        _ => names.join(", "),
    }
}

/// A number with thin groups of three digits: `12,345`.
pub fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// Bytes as people read them: `924 KiB`, and `1.2 MiB` where one digit says too little.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut whole, mut tenths, mut unit) = (bytes, 0, 0);
    for (at, _) in UNITS.iter().enumerate() {
        unit = at;
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        if whole < 1024 {
            break;
        }
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    if whole < 10 { format!("{whole}.{tenths} {unit}") } else { format!("{whole} {unit}") }
}

/// A day as people read it, in UTC.
pub fn day(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}

/// A moment with its zone, as people read it: midnight is the end of a day.
pub fn in_zone(at: DateTime<FixedOffset>) -> String {
    let zone = match at.offset().local_minus_utc() {
        0 => "UTC".to_owned(),
        _ => format!("UTC{}", at.format("%:z")),
    };
    let day_before = at.date_naive().pred_opt().filter(|_| at.time() == NaiveTime::MIN);
    match day_before {
        Some(day) => format!("the end of {day} ({zone})"),
        None => format!("{} ({zone})", at.format("%Y-%m-%d %H:%M")),
    }
}

/// A table with these columns, the numbers to the right. How a column gives way goes by its title.
pub fn table(header: &[&str], numbers: &[usize]) -> Table {
    let column = |(at, title): (usize, &&str)| Column { is_number: numbers.contains(&at), ..column(title) };
    Table::new(header.iter().enumerate().map(column).collect())
}

fn column(title: &str) -> Column {
    match title {
        "project" | "path" | "store" | "root" | "tree" => Column::path(title),
        "rule" | "from" | "standing" | "by" | "marks" | "what it is" | "service" | "provider" | "default" => {
            Column::text(title)
        }
        "owner" | "found by" => Column::new(title).rank(3),
        "kind" | "lines" | "device" | "visited" => Column::new(title).rank(2),
        "files" | "note" | "layer" => Column::new(title).rank(1),
        _ => Column::new(title),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_no_more_digits_than_anybody_reads() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size(944_271), "922 KiB");
        assert_eq!(size(1_300_000), "1.2 MiB");
        assert_eq!(size(1024 * 1024 - 1), "1023 KiB");
        assert_eq!(size(u64::MAX), "15 EiB");
    }
}
