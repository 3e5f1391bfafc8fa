//! The state of affairs in words: three lines first, then what they are made from.

mod client;
mod due;

use chrono::{DateTime, Utc};

use super::sessions::Kept;
use super::{Sight, Status};
use crate::catalogue::NEWEST_TRIED;
use crate::document::{Bar, Block, Column, Document, Fact, Hue, Line, Paint, Table};
use crate::guard::LIFTED_BY;
use crate::report::human::{counted, grouped, size};
use crate::report::remarks::{DATES_DIFFER, Remark, UNDATED_LINES, UNKNOWN, UNSEALABLE};
use crate::report::{policy, when};
use crate::run::link::Note;

impl Sight<'_> {
    /// What the report of all accounts tells of this one beside its numbers.
    pub fn notes(&self, status: &Status) -> Vec<Note> {
        let mut notes =
            vec![Note::sentence(format!("policy: {}", policy::sentence(self.run.policy).plain()))];
        notes.push(Note::sentence(match self.schedules.as_deref() {
            None => "schedule unknown".to_owned(),
            Some([]) => "not scheduled".to_owned(),
            Some([first, ..]) => format!("scheduled ({})", first.backend),
        }));
        notes.extend(
            self.run
                .refusals
                .iter()
                .map(|refusal| Note::sentence(format!("would be refused, unattended: {refusal}"))),
        );
        notes.extend(
            status.kept.rows(&status.quiet).map(|(count, noun, what)| Note::counted(count, noun, what)),
        );
        let back = status.came_back.len() as u64;
        if back > 0 {
            notes.push(Note::counted(back, "session", "that a run had deleted came back"));
        }
        notes
    }

    /// The report for people; `everything` names each session that falls due, and every store.
    pub fn text(&self, status: &Status, paint: Paint<'_>, everything: bool) -> String {
        let mut document = Document::default();
        self.headline(status, &mut document, paint);
        status.stores_text(&mut document, everything);
        if status.has_files() {
            self.due_text(status, &mut document, paint, everything);
            status.ages_text(&mut document);
            status.kept_text(&mut document);
        }
        status.client_text(&mut document, self.run.plan.now, paint);
        status.not_covered_text(&mut document);
        status.runs_text(&mut document);
        status.search_text(&mut document);
        document.print(paint)
    }

    /// What a person needs: how much there is and what of it is due, by which policy, and who does it.
    fn headline(&self, status: &Status, document: &mut Document, paint: Paint<'_>) {
        let now = self.run.plan.now;
        if status.has_files() {
            let sessions: u64 = status.ages.iter().map(|age| age.sessions).sum();
            let bytes = status.stores.iter().map(|store| store.bytes).sum();
            let mut projects: Vec<&str> =
                self.run.inventory.sessions.iter().filter_map(|session| session.project.as_deref()).collect();
            projects.sort_unstable();
            projects.dedup();
            let all = format!(
                "{}, {} in {}; ",
                counted(sessions, "session"),
                size(bytes),
                counted(projects.len() as u64, "project")
            );
            document.text(status.due_words(Line::from(all)));
        } else {
            document.text("nothing of Claude Code was found; `ccretain status --search DIR` looks elsewhere");
        }
        let rules = Fact::new("policy", policy::sentence(self.run.policy));
        let is_built_in = policy::is_built_in(self.run.policy);
        let rules = if is_built_in { rules.aside("(write your own: `ccretain policy init`)") } else { rules };
        let mut facts = vec![rules, self.runs_line(now, paint)];
        let mut filled = status.stores.iter().filter(|store| store.is_worth_a_row());
        if let (Some(only), None) = (filled.next(), filled.next()) {
            facts.push(Fact::new("data", crate::document::with_tilde(&only.root, paint.home)));
        }
        document.facts(facts);
    }

    /// When the last run was and when the next one is.
    fn runs_line(&self, now: DateTime<Utc>, paint: Paint<'_>) -> Fact {
        let moment = |time: &str| {
            let at = DateTime::parse_from_rfc3339(time).ok()?.to_utc();
            Some((when::moment(at, now, paint), at))
        };
        let last = match &self.last_run {
            None => Line::from("; no run yet"),
            Some(run) => {
                let at = moment(&run.time).map_or_else(
                    || run.time.clone(),
                    |(shown, at)| format!("{shown}, {}", when::away(at, now)),
                );
                let line = Line::from(format!("; last run {at}"));
                match run.exit {
                    None => line,
                    Some(0) => line.and(", exit 0", Hue::Good),
                    Some(exit) => line.and(format!(", exit {exit}"), Hue::Bad),
                }
            }
        };
        let join = |first: Line| Line { spans: [first.spans, last.spans.clone()].concat() };
        match self.schedules.as_deref() {
            None => Fact::new("runs", join("schedule unknown".into())).aside("(`ccretain schedule status`)"),
            Some([]) => Fact::new("runs", join(Line::of("not scheduled", Hue::Warn)))
                .aside("(`ccretain schedule install`)"),
            Some([first, ..]) => {
                let next = first.next.as_deref().and_then(moment);
                let next = next.map_or_else(String::new, |(shown, at)| {
                    format!(", next {shown}, {}", when::away(at, now))
                });
                Fact::new("runs", join(Line::from(format!("scheduled ({}){next}", first.backend))))
            }
        }
    }
}

impl Status {
    fn has_files(&self) -> bool {
        self.stores.iter().any(|store| store.artifacts > 0)
    }

    fn stores_text(&self, document: &mut Document, everything: bool) {
        let told: Vec<_> = self
            .stores
            .iter()
            .enumerate()
            .filter(|(_, store)| everything || store.is_worth_a_row())
            .collect();
        let has_more =
            told.len() > 1 || everything || self.stores.iter().any(|store| !store.links.is_empty());
        if !has_more && self.refused.is_empty() {
            return;
        }
        document.heading("Claude Code data folders");
        let mut table = Table::new(vec![
            Column::number("#").rank(4),
            Column::path("store"),
            Column::new("kind").rank(1),
            Column::new("owner").rank(3),
            Column::new("found by").rank(5),
            Column::number("sessions"),
            Column::number("files").rank(2),
            Column::number("size").rank(1),
        ]);
        for (at, store) in told {
            let found_by = serde_json::to_value(store.found_by).ok();
            table.row([
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
        document.table(table);
        for store in self.stores.iter().filter(|store| !store.links.is_empty()) {
            document.text(format!("links followed in {}: {}", store.root, store.links.join(", ")));
        }
        for refused in &self.refused {
            let line = Line::of("refused", Hue::Warn);
            document.text(line.and(format!(": '{}': {}", refused.path, refused.error), Hue::Plain));
        }
    }

    fn ages_text(&self, document: &mut Document) {
        if self.ages.iter().all(|age| age.sessions == 0) {
            return;
        }
        document.heading("sessions by last activity");
        let some = self.ages.iter().filter(|age| age.sessions > 0);
        let bars = some.map(|age| Bar {
            name: age.label.to_owned(),
            amount: age.sessions,
            shown: format!("{}, {}", grouped(age.sessions), size(age.bytes)),
            hue: Hue::Plain,
        });
        document.blocks.push(Block::Plot(bars.collect()));
    }

    fn kept_text(&self, document: &mut Document) {
        let kept = &self.kept;
        let mut lines: Vec<Line> = Vec::new();
        for (count, noun, what) in kept.rows(&self.quiet) {
            let size = if what == UNKNOWN.1 {
                format!(" ({})", size(kept.unrecognised_bytes))
            } else {
                String::new()
            };
            lines.push(format!("{} {what}{size}", counted(count, noun)).into());
            if what == "encrypted" && !kept.readable.is_empty() {
                let words = format!("still readable of them: {}", kept.readable.words());
                lines.push(Line::of(words, Hue::Warn));
            }
        }
        for copies in &self.copies_left {
            let what = format!(": copies of a hold that does not exist: {copies}");
            lines.push(Line::of("left", Hue::Warn).and(what, Hue::Plain));
        }
        if !self.came_back.is_empty() {
            let back = counted(self.came_back.len() as u64, "session");
            let what = format!(": {back} that a run had deleted; `ccretain check` names the likely source");
            lines.push(Line::of("came back", Hue::Warn).and(what, Hue::Plain));
        }
        if !lines.is_empty() {
            document.heading("what stays");
            document.list(lines);
        }
    }

    fn not_covered_text(&self, document: &mut Document) {
        let mut lines: Vec<Line> = Vec::new();
        for version in &self.untried {
            let what = format!(
                ": Claude Code {version} wrote here, and ccretain knows it up to {NEWEST_TRIED}; what it leaves under new names stays"
            );
            lines.push(Line::of("note", Hue::Warn).and(what, Hue::Plain));
        }
        for place in &self.not_covered {
            let what = format!(": '{}': {}", place.path, place.what);
            lines.push(Line::of("not covered", Hue::Warn).and(what, Hue::Plain));
        }
        for folder in &self.excludes_nothing {
            let what = format!(": `stores.exclude` names '{folder}', where no data of Claude Code is known");
            lines.push(Line::of("note", Hue::Warn).and(what, Hue::Plain));
        }
        document.list(lines);
    }

    /// What the first lines do not tell of runs.
    fn runs_text(&self, document: &mut Document) {
        let mut lines: Vec<Line> = Vec::new();
        let mut put = |word: &str, what: String| {
            lines.push(Line::of(word, Hue::Warn).and(format!(": {what}"), Hue::Plain));
        };
        let known = self.last_run.as_ref().map(|run| run.refusals.as_slice()).unwrap_or_default();
        for refusal in known {
            put("refused by the last run", refusal.clone());
        }
        for refusal in self.refusals.iter().filter(|refusal| !known.contains(refusal)) {
            put("would be refused, unattended", refusal.clone());
        }
        for schedule in self.schedules.iter().flatten() {
            if let Some(missed) = schedule.missed.filter(|missed| *missed > 0) {
                put("missed", format!("{} since the last run", counted(u64::from(missed), "start")));
            }
            for complaint in &schedule.complaints {
                put(&format!("schedule ({})", schedule.backend), complaint.clone());
            }
        }
        for schedule in self.schedules.iter().flatten().skip(1) {
            let next = schedule.next.as_deref().unwrap_or(match schedule.backend.as_str() {
                "claude-hook" => "when a session ends",
                _ => "at a time that cannot be told",
            });
            put("also scheduled", format!("{}, {next} ({})", schedule.backend, schedule.place));
        }
        if !lines.is_empty() {
            document.heading("runs");
            document.list(lines);
            if !known.is_empty() {
                document.text(format!("`{LIFTED_BY}` in a terminal asks, and continues"));
            }
        }
    }

    fn search_text(&self, document: &mut Document) {
        let Some(search) = &self.search else { return };
        document.heading(format!("found below {}", search.dir));
        if search.found.is_empty() {
            document.text("nothing of Claude Code");
        }
        let mut table = Table::new(vec![
            Column::path("store"),
            Column::new("kind").rank(2),
            Column::new("owner").rank(3),
            Column::number("sessions"),
            Column::number("files").rank(1),
            Column::number("size").rank(1),
            Column::text("marks").rank(5),
            Column::new("visited").rank(4),
        ]);
        for found in &search.found {
            table.coloured(
                if found.known { Hue::Plain } else { Hue::Warn },
                [
                    found.root.clone(),
                    found.kind.to_owned(),
                    found.owner.clone(),
                    grouped(found.sessions),
                    grouped(found.artifacts),
                    size(found.bytes),
                    found.marks.join(", "),
                    if found.known { "by every run" } else { "no" }.to_owned(),
                ],
            );
        }
        document.table(table);
        let new = search.found.iter().filter(|found| !found.known).count() as u64;
        document.text(format!(
            "{} in {} looked into",
            counted(search.found.len() as u64, "store"),
            counted(search.folders, "folder")
        ));
        if new > 0 {
            document.text(format!(
                "{} not visited by a run: name it in `stores.extra` of the policy to keep it to the policy",
                counted(new, "store")
            ));
        }
    }
}

impl Kept {
    /// How much stays for which reason, where there is any.
    fn rows(&self, active: &str) -> impl Iterator<Item = (u64, &'static str, String)> {
        let Self { sealed, held, live, quiet, no_delete_rule, unrecognised, .. } = *self;
        let remark = |count: u64, (noun, what): Remark| (count, noun, what.to_owned());
        let verb = |count: u64| if count == 1 { "is" } else { "are" };
        let all = [
            (sealed, "session", "encrypted".to_owned()),
            (held, "session", "held".to_owned()),
            (live, "session", "open in Claude Code".to_owned()),
            (quiet, "session", format!("kept: {active}")),
            (no_delete_rule, "session", format!("{} never deleted: no rule matches", verb(no_delete_rule))),
            (self.keep_at_least, "session", "due, and kept by keepAtLeast".to_owned()),
            remark(self.unsealable, UNSEALABLE),
            (self.sealed_plain, "file", "of encrypted sessions in plaintext".to_owned()),
            (self.undated, "session", "without a date".to_owned()),
            (self.future_dated, "session", "dated in the future".to_owned()),
            (self.owner_unknown, "session", "whose project is unknown".to_owned()),
            (self.foreign, "session", "whose transcript belongs to another account".to_owned()),
            (self.desktop, "session", "written by the desktop application".to_owned()),
            remark(self.dates_differ, DATES_DIFFER),
            remark(self.undated_lines, UNDATED_LINES),
            remark(unrecognised, UNKNOWN),
            (
                self.unfinished,
                "file",
                "left by an interrupted run; the next one that enforces removes them".to_owned(),
            ),
        ];
        all.into_iter().filter(|(count, ..)| *count > 0)
    }
}
