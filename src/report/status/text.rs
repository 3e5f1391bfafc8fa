//! The state of affairs in words.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Status;
use super::client::{Client, Expected};
use super::sessions::{Item, Kept};
use crate::catalogue::NEWEST_TRIED;
use crate::client::Sweep;
use crate::guard::LIFTED_BY;
use crate::report::human::{counted, grouped, size, table};
use crate::report::ledger::short;
use crate::report::style::{Hue, Paint};

/// How many sessions, or projects, are named before the rest is only counted.
const NAMED: usize = 40;

impl Status {
    /// The report for people; `everything` names all that falls due.
    #[must_use]
    pub fn text(&self, paint: Paint, everything: bool) -> String {
        let mut out = String::new();
        self.stores_text(&mut out, paint);
        if self.stores.iter().all(|store| store.artifacts == 0) {
            let _ = writeln!(
                out,
                "  nothing of Claude Code lies there; `ccretain status --search DIR` looks elsewhere,\n  and `stores.extra` in the policy names a store in an unusual place"
            );
        } else {
            self.ages_text(&mut out, paint);
            self.due_text(&mut out, paint, everything);
            self.kept_text(&mut out, paint);
        }
        self.client_text(&mut out, paint);
        self.not_covered_text(&mut out, paint);
        self.runs_text(&mut out, paint);
        self.search_text(&mut out, paint);
        out
    }

    fn stores_text(&self, out: &mut String, paint: Paint) {
        let _ = writeln!(out, "{}", paint.strong("stores"));
        if self.stores.is_empty() {
            let _ = writeln!(out, "  none");
        } else {
            let mut rows = table(
                &["#", "store", "kind", "owner", "found by", "sessions", "files", "size"],
                &[0, 5, 6, 7],
            );
            for (at, store) in self.stores.iter().enumerate() {
                let found_by = serde_json::to_value(store.found_by).ok();
                rows.add_row([
                    (at + 1).to_string(),
                    store.root.clone(),
                    store.kind.to_owned(),
                    crate::escape::text(&store.owner),
                    found_by.as_ref().and_then(|word| word.as_str()).unwrap_or_default().to_owned(),
                    grouped(store.sessions as u64),
                    grouped(store.artifacts as u64),
                    size(store.bytes),
                ]);
            }
            let sum = |of: fn(&crate::report::json::Store) -> u64| self.stores.iter().map(of).sum::<u64>();
            rows.add_row([
                String::new(),
                "total".to_owned(),
                String::new(),
                String::new(),
                String::new(),
                grouped(sum(|store| store.sessions as u64)),
                grouped(sum(|store| store.artifacts as u64)),
                size(sum(|store| store.bytes)),
            ]);
            out.push_str(&paint.table(&rows, 2, |_| Hue::Plain));
            for store in self.stores.iter().filter(|store| !store.links.is_empty()) {
                let _ = writeln!(out, "  links followed in {}: {}", store.root, store.links.join(", "));
            }
        }
        for refused in &self.refused {
            let _ = writeln!(out, "  {}: '{}': {}", paint.warn("refused"), refused.path, refused.error);
        }
    }

    fn ages_text(&self, out: &mut String, paint: Paint) {
        let _ = writeln!(out, "\n{}", paint.strong("sessions by last activity"));
        let mut rows = table(&["last activity", "sessions", "size"], &[1, 2]);
        for age in &self.ages {
            rows.add_row([age.label.to_owned(), grouped(age.sessions), size(age.bytes)]);
        }
        rows.add_row([
            "total".to_owned(),
            grouped(self.ages.iter().map(|age| age.sessions).sum()),
            size(self.ages.iter().map(|age| age.bytes).sum()),
        ]);
        out.push_str(&paint.table(&rows, 2, |_| Hue::Plain));
    }

    fn due_text(&self, out: &mut String, paint: Paint, everything: bool) {
        let tally = &self.due.now;
        let _ = writeln!(out, "\n{}", paint.strong("due now"));
        let nothing = tally.deleted + tally.sealed + tally.pruned == 0;
        if nothing {
            let _ = writeln!(out, "  nothing");
        } else {
            let mut words = Vec::new();
            if tally.deleted > 0 {
                words.push(format!(
                    "{} and {} to delete",
                    counted(tally.sessions_deleted, "session"),
                    counted(tally.deleted, "file")
                ));
            }
            if tally.sealed > 0 {
                words.push(format!("{} to seal", counted(tally.sessions_sealed, "session")));
            }
            if tally.pruned_lines > 0 {
                words.push(format!("{} to prune", counted(tally.pruned_lines, "line")));
            }
            let _ = writeln!(out, "  {}; {} would be freed", words.join(", "), size(tally.bytes_freed));
            if !self.due.sessions.is_empty() {
                let mut rows =
                    table(&["project", "sessions", "files", "size", "due since", "rule", "what"], &[1, 2, 3]);
                let groups = by_project(&self.due.sessions);
                let (all, shown) = (groups.len(), if everything { groups.len() } else { NAMED });
                for ((decision, project, rule), items) in groups.into_iter().take(shown) {
                    rows.add_row([
                        project.unwrap_or("-").to_owned(),
                        grouped(items.len() as u64),
                        grouped(items.iter().map(|item| item.files).sum()),
                        size(items.iter().map(|item| item.bytes).sum()),
                        items.first().map_or_else(String::new, |item| day(&item.due)),
                        rule.to_owned(),
                        decision.to_owned(),
                    ]);
                }
                out.push_str(&paint.table(&rows, 2, |_| Hue::Plain));
                if all > shown {
                    let more = grouped((all - shown) as u64);
                    let _ = writeln!(out, "  and {more} more projects (-v names them)");
                }
            }
            if self.due.overdue > 0 {
                let _ = writeln!(
                    out,
                    "  {}: {} for more than a day; look with `ccretain enforce --dry-run`",
                    paint.warn("overdue"),
                    counted(self.due.overdue, "session")
                );
            }
        }
        let _ = writeln!(out, "\n{}", paint.strong("due in the next 7 days"));
        if self.due.next7_days.is_empty() {
            let _ = writeln!(out, "  nothing");
        } else {
            self.names_text(out, paint, &self.due.next7_days, everything);
        }
        if let Some(next) = &self.due.next {
            let _ = writeln!(out, "  after that the next falls due on {}", day(next));
        }
    }

    fn names_text(&self, out: &mut String, paint: Paint, items: &[Item], everything: bool) {
        let several = self.stores.len() > 1 && items.iter().any(|item| item.store != items[0].store);
        let mut header = vec!["day", "project", "session", "files", "size", "rule"];
        if several {
            header.push("store");
        }
        header.push("note");
        let mut rows = table(&header, &[3, 4]);
        let shown = if everything { items.len() } else { items.len().min(NAMED) };
        for item in items.iter().take(shown) {
            let mut row = vec![
                day(&item.due),
                item.project.clone().unwrap_or_else(|| "-".to_owned()),
                short(&item.session),
                grouped(item.files),
                size(item.bytes),
                item.rule.clone(),
            ];
            if several {
                row.push(format!("#{}", item.store + 1));
            }
            row.push(item.reason.filter(|reason| *reason != "not-due").unwrap_or_default().to_owned());
            rows.add_row(row);
        }
        out.push_str(&paint.table(&rows, 2, |_| Hue::Plain));
        if shown < items.len() {
            let _ = writeln!(out, "  and {} more (-v names them)", grouped((items.len() - shown) as u64));
        }
        let bytes = items.iter().map(|item| item.bytes).sum();
        let _ = writeln!(out, "  {}, {}", counted(items.len() as u64, "session"), size(bytes));
    }

    fn kept_text(&self, out: &mut String, paint: Paint) {
        let Kept { sealed, held, live, quiet, no_delete_rule, unrecognised, .. } = self.kept;
        let _ = writeln!(out, "\n{}", paint.strong("what stays"));
        // What everybody asks for is told even where there is none of it.
        let asked_for = [
            (sealed, "session", "sealed"),
            (held, "session", "held"),
            (live, "session", "live: a client has it open"),
            (no_delete_rule, "session", "that no delete rule matches"),
        ];
        let others = [
            (self.kept.sealed_plain, "file", "of sealed sessions in plaintext"),
            (quiet, "session", "quiet: touched a moment ago"),
            (self.kept.keep_at_least, "session", "due, and kept by keepAtLeast"),
            (
                self.kept.unsealable,
                "session",
                "cannot be sealed: a file has a hard link elsewhere or is out of reach",
            ),
            (self.kept.undated, "session", "without a date"),
            (self.kept.future_dated, "session", "dated in the future"),
            (self.kept.owner_unknown, "session", "of which it is not known what they belong to"),
            (self.kept.foreign, "session", "whose transcript belongs to another account"),
            (self.kept.desktop, "session", "written by the desktop application"),
            (self.kept.dates_differ, "session", "of which records and file times differ by more than a day"),
            (self.kept.undated_lines, "line", "without a date"),
        ];
        let others = others.into_iter().filter(|(count, ..)| *count > 0);
        let rows: Vec<(u64, &str, &str)> = asked_for.into_iter().chain(others).collect();
        let numbers: Vec<String> = rows.iter().map(|(count, ..)| grouped(*count)).collect();
        let width = numbers.iter().map(String::len).max().unwrap_or(1).max(grouped(unrecognised).len());
        for ((count, noun, what), number) in rows.iter().zip(&numbers) {
            let plural = if *count == 1 { "" } else { "s" };
            let _ = writeln!(out, "  {number:>width$} {noun}{plural} {what}");
        }
        let plural = if unrecognised == 1 { "" } else { "s" };
        let _ = writeln!(
            out,
            "  {:>width$} file{plural} unrecognised, never touched ({})",
            grouped(unrecognised),
            size(self.kept.unrecognised_bytes)
        );
        for copies in &self.copies_left {
            let _ = writeln!(out, "  {}: copies of a hold that does not exist: {copies}", paint.warn("left"));
        }
        if !self.came_back.is_empty() {
            let _ = writeln!(
                out,
                "  {}: {} that a run had deleted; `ccretain check` names the likely source",
                paint.warn("came back"),
                counted(self.came_back.len() as u64, "session")
            );
        }
    }

    fn client_text(&self, out: &mut String, paint: Paint) {
        let _ = writeln!(out, "\n{}", paint.strong("what the client itself does"));
        if self.client.is_empty() {
            sweep_text(out, paint, &self.sweep, "");
        }
        for client in &self.client {
            let place = if self.client.len() > 1 { format!(" in {}", client.root) } else { String::new() };
            sweep_text(out, paint, &client.sweep, &place);
            client_sessions(out, paint, client);
            for remark in &client.remarks {
                if !matches!(&client.sweep, Sweep::Paused { reason } if reason == remark) {
                    let _ = writeln!(out, "  {remark}");
                }
            }
        }
    }

    fn not_covered_text(&self, out: &mut String, paint: Paint) {
        for version in &self.untried {
            let _ = writeln!(
                out,
                "  {}: Claude Code {version} wrote here, and ccretain knows it up to {NEWEST_TRIED}; what it leaves under new names stays",
                paint.warn("note")
            );
        }
        for place in &self.not_covered {
            let _ = writeln!(out, "  {}: '{}': {}", paint.warn("not covered"), place.path, place.what);
        }
    }

    fn runs_text(&self, out: &mut String, paint: Paint) {
        let _ = writeln!(out, "\n{}", paint.strong("runs"));
        match &self.last_run {
            None => {
                let _ = writeln!(out, "  last: none yet; look with `ccretain enforce --dry-run`");
            }
            Some(run) => {
                let exit = match run.exit {
                    None => String::new(),
                    Some(0) => format!(", {}", paint.good("exit 0")),
                    Some(exit) => format!(", {}", paint.bad(&format!("exit {exit}"))),
                };
                let _ = writeln!(out, "  last: {}{exit}, run {}", run.time, short(&run.run));
                for refusal in &run.refusals {
                    let _ = writeln!(out, "  {} by a guard: {refusal}", paint.warn("refused"));
                }
            }
        }
        let known = self.last_run.as_ref().map(|run| run.refusals.as_slice()).unwrap_or_default();
        for refusal in self.refusals.iter().filter(|refusal| !known.contains(refusal)) {
            let _ = writeln!(out, "  {} now, unattended: {refusal}", paint.warn("would be refused"));
        }
        if self.mode == crate::policy::Mode::Audit {
            let _ = writeln!(out, "  the policy's mode is audit: runs report and change nothing");
        }
        match self.schedules.as_deref() {
            None => {
                let _ = writeln!(out, "  next: not known, see `ccretain schedule status`");
            }
            Some([]) => {
                let _ = writeln!(
                    out,
                    "  next: none is scheduled: `ccretain schedule install` does that, `{LIFTED_BY}` runs it now"
                );
            }
            Some(schedules) => {
                for schedule in schedules {
                    let next = match (&schedule.next, schedule.backend.as_str()) {
                        (Some(next), _) => next,
                        (None, "claude-hook") => "when a session ends",
                        (None, _) => "at a time that cannot be told",
                    };
                    let _ = writeln!(out, "  next: {next} ({}, {})", schedule.backend, schedule.place);
                    if let Some(missed) = schedule.missed.filter(|missed| *missed > 0) {
                        let since = counted(u64::from(missed), "start");
                        let _ = writeln!(out, "  {}: {since} since the last run", paint.warn("missed"));
                    }
                    for complaint in &schedule.complaints {
                        let _ = writeln!(out, "  {}: {complaint}", paint.warn("attention"));
                    }
                }
            }
        }
    }

    fn search_text(&self, out: &mut String, paint: Paint) {
        let Some(search) = &self.search else { return };
        let _ = writeln!(out, "\n{}", paint.strong(&format!("found below {}", search.dir)));
        if search.found.is_empty() {
            let _ = writeln!(out, "  nothing of Claude Code");
        } else {
            let mut rows = table(
                &["store", "kind", "owner", "sessions", "files", "size", "marks", "visited"],
                &[3, 4, 5],
            );
            for found in &search.found {
                rows.add_row([
                    found.root.clone(),
                    found.kind.to_owned(),
                    found.owner.clone(),
                    grouped(found.sessions),
                    grouped(found.artifacts),
                    size(found.bytes),
                    found.marks.join(", "),
                    if found.known { "by every run" } else { "no" }.to_owned(),
                ]);
            }
            let hue = |row: usize| {
                search
                    .found
                    .get(row)
                    .map_or(Hue::Plain, |found| if found.known { Hue::Plain } else { Hue::Warn })
            };
            out.push_str(&paint.table(&rows, 2, hue));
        }
        let new = search.found.iter().filter(|found| !found.known).count() as u64;
        let _ = writeln!(
            out,
            "  {} in {} looked into",
            counted(search.found.len() as u64, "store"),
            counted(search.folders, "folder")
        );
        if new > 0 {
            let _ = writeln!(
                out,
                "  {} not visited by a run: name it in `stores.extra` of the policy to keep it to the policy",
                counted(new, "store")
            );
        }
    }
}

fn sweep_text(out: &mut String, paint: Paint, sweep: &Sweep, place: &str) {
    match sweep {
        Sweep::Runs { days, path } => {
            let by = path
                .as_ref()
                .map_or_else(|| "its default".to_owned(), |path| format!("'{}'", crate::escape::shown(path)));
            let days = counted(*days, "day");
            let _ = writeln!(
                out,
                "  its sweep{place} removes what was not written to for {days} ({by}), when it is started"
            );
        }
        Sweep::Paused { reason } => {
            let _ = writeln!(out, "  its sweep{place} is {}: {reason}", paint.warn("paused"));
        }
    }
}

fn client_sessions(out: &mut String, paint: Paint, client: &Client) {
    let first = |expected: &Expected| expected.first.as_deref().map(day).unwrap_or_default();
    let is_gone_before = |expected: &Expected| expected.sessions > 0;
    if is_gone_before(&client.held) {
        let _ = writeln!(
            out,
            "  {}: the client will remove {} though held, the first on {}",
            paint.warn("holds bind ccretain only"),
            counted(client.held.sessions, "session"),
            first(&client.held)
        );
    }
    if is_gone_before(&client.before_us) {
        let _ = writeln!(
            out,
            "  it will remove {} before this policy does, the first on {}",
            counted(client.before_us.sessions, "session"),
            first(&client.before_us)
        );
    }
    if client.never > 0 {
        let desktop = match client.desktop {
            0 => String::new(),
            desktop => format!(" ({} written by the desktop application)", grouped(desktop)),
        };
        let _ = writeln!(out, "  it will never remove {}{desktop}", counted(client.never, "session"));
    }
}

/// The day of a moment as JSON writes it.
fn day(time: &str) -> String {
    time.split('T').next().unwrap_or_default().to_owned()
}

/// Items by day and project, for people.
fn by_project(items: &[Item]) -> BTreeMap<(&str, Option<&str>, &str), Vec<&Item>> {
    let mut groups: BTreeMap<(&str, Option<&str>, &str), Vec<&Item>> = BTreeMap::new();
    for item in items {
        groups.entry((item.decision, item.project.as_deref(), &item.rule)).or_default().push(item);
    }
    groups
}
