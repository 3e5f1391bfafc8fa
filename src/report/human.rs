//! Reports for people: aligned tables, totals, restrained colour.

use chrono::{DateTime, FixedOffset, NaiveTime, Utc};

use crate::document::{Column, Table};
pub use crate::words::{counted, grouped, size};

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
        "by" => Column::text(title).rank(2),
        "default" => Column::text(title).rank(1),
        "rule" | "from" | "standing" | "marks" | "what it is" | "service" | "provider" => Column::text(title),
        "owner" | "found by" => Column::new(title).rank(3),
        "kind" | "lines" | "device" | "visited" => Column::new(title).rank(2),
        "files" | "note" | "layer" => Column::new(title).rank(1),
        _ => Column::new(title),
    }
}
