//! What is due now and soon, in words.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use crate::document::{Column, Document, Hue, Line, Paint, Table};
use crate::report::enforce::word;
use crate::report::human::{counted, grouped, size};
use crate::report::ledger::short;
use crate::report::status::sessions::Item;
use crate::report::status::{Sight, Status};
use crate::report::when;

/// How many sessions, or projects, are named before the rest is only counted.
const NAMED: usize = 40;

impl Sight<'_> {
    /// What is due now and in the next seven days.
    pub(super) fn due_text(
        &self,
        status: &Status,
        document: &mut Document,
        paint: Paint<'_>,
        everything: bool,
    ) {
        let mut actions = self.run.actions(paint);
        if !actions.rows.is_empty() {
            document.heading("due now");
            let all = actions.rows.len();
            let shown = if everything { all } else { all.min(NAMED) };
            actions.rows.truncate(shown);
            document.table(actions);
            if all > shown {
                document.text(format!("and {} more (`-v` names them)", grouped((all - shown) as u64)));
            }
            document.text(format!("{} of disk would be freed", size(status.due.now.bytes_freed)));
        }
        if !status.due.next7_days.is_empty() {
            document.heading("due in the next 7 days");
            if everything {
                document.table(status.by_session(self.run.plan.now, paint));
            } else {
                document.table(by_day(&status.due.next7_days, self.run.plan.now, paint));
            }
        }
        if let Some(next) = status.due.later.filter(|_| status.due.sessions.is_empty()) {
            let away = when::away(next.at, self.run.plan.now);
            let what = format!(
                "next after that: {} on {}, {away}",
                word(next.action),
                when::day(next.at, self.run.plan.now, paint)
            );
            if status.due.next7_days.is_empty() {
                document.heading("due in the next 7 days");
                document.text("nothing");
            }
            document.text(what);
        }
    }
}

impl Status {
    /// What is due, at the end of the first line.
    pub(super) fn due_words(&self, line: Line) -> Line {
        let due = &self.due;
        let bytes = due.sessions.iter().map(|item| item.bytes).sum();
        let line = match (due.sessions.len() as u64, due.now.deleted + due.now.sealed + due.now.pruned) {
            (0, 0) => return line.and("nothing is due", Hue::Good),
            (0, _) => line.and("single files or prompts are due", Hue::Warn),
            (count, _) => {
                let words = match due.overdue {
                    0 => format!("{} due ({})", grouped(count), size(bytes)),
                    all if all == count => format!("{} overdue ({})", grouped(all), size(bytes)),
                    some => format!("{} due ({}), {} overdue", grouped(count), size(bytes), grouped(some)),
                };
                line.and(words, Hue::Warn)
            }
        };
        line.and(": ", Hue::Plain).and("`ccretain enforce -n`", Hue::Strong)
    }

    /// Each session that falls due soon.
    fn by_session(&self, now: DateTime<Utc>, paint: Paint<'_>) -> Table {
        let items = &self.due.next7_days;
        let several = items.iter().any(|item| item.store != items[0].store);
        let mut columns = vec![
            Column::new("day"),
            Column::new("action"),
            Column::new("session"),
            Column::path("project"),
            Column::number("files").rank(3),
            Column::number("size").rank(1),
            Column::text("rule").rank(2),
            Column::new("note").rank(5),
        ];
        columns.extend(several.then(|| Column::new("store").rank(4)));
        let mut table = Table::new(columns);
        for item in items {
            let mut row = vec![
                when::day(item.at, now, paint),
                item.step_word().to_owned(),
                short(&item.session),
                item.project.clone().unwrap_or_else(|| "-".to_owned()),
                grouped(item.files),
                size(item.bytes),
                item.rule.clone(),
                item.reason.filter(|reason| *reason != "not-due").unwrap_or_default().replace('-', " "),
            ];
            row.extend(several.then(|| format!("#{}", item.store + 1)));
            table.row(row);
        }
        table
    }
}

impl Item {
    fn step_word(&self) -> &'static str {
        word(self.action)
    }
}

/// What falls due on each day.
fn by_day(items: &[Item], now: DateTime<Utc>, paint: Paint<'_>) -> Table {
    let mut groups: BTreeMap<(NaiveDate, &str), Vec<&Item>> = BTreeMap::new();
    for item in items {
        groups.entry(((paint.local)(item.at).date_naive(), item.step_word())).or_default().push(item);
    }
    let mut table = Table::new(vec![
        Column::new("day"),
        Column::new("action"),
        Column::number("sessions"),
        Column::number("size").rank(2),
        Column::path("projects").rank(1),
    ]);
    for ((_, action), items) in groups {
        let day = items.first().map_or_else(String::new, |item| when::day(item.at, now, paint));
        let mut projects: Vec<&str> =
            items.iter().map(|item| item.project.as_deref().unwrap_or("-")).collect();
        projects.sort_unstable();
        projects.dedup();
        let projects = match projects.as_slice() {
            [one] => (*one).to_owned(),
            several => counted(several.len() as u64, "project"),
        };
        table.row([
            day,
            action.to_owned(),
            grouped(items.len() as u64),
            size(items.iter().map(|item| item.bytes).sum()),
            projects,
        ]);
    }
    table
}
