//! The tables of a run: a line a session, a line a file.

use super::Run;
use super::actions::Act;
use super::human::size;
use super::ledger::short;
use super::when;
use crate::document::{Column, Hue, Paint, Table};
use crate::escape::text;
use crate::inventory::Session;
use crate::plan::{Action, Decision, Keep, Verdict};
use crate::run::tally::Fate;

impl Run<'_> {
    /// A line a session: what becomes of it, what cannot be undone first.
    pub(super) fn session_rows(&self, paint: Paint<'_>) -> Table {
        let mut table = Table::new(vec![
            Column::new("action"),
            Column::new("session"),
            Column::new("last active").rank(2),
            Column::path("project"),
            Column::number("size").rank(4),
            Column::new("due").rank(3),
            Column::text("why").rank(1),
        ]);
        let mut rows: Vec<(Option<Act>, &Session, &Verdict)> = self
            .sessions()
            .map(|(session, verdict)| {
                let act = Act::of(verdict.decision).filter(|_| self.is_done(session, verdict));
                (act, session, verdict)
            })
            .collect();
        // What cannot be undone first, since a long list is read from its beginning.
        rows.sort_by_key(|(act, session, verdict)| (act.is_none(), *act, verdict.date, session.id));
        for (act, session, verdict) in rows {
            let (_, bytes) = super::weight(self.inventory, session);
            table.coloured(
                act.map_or(Hue::Plain, Act::hue),
                [
                    act.map_or("keep", Act::word).to_owned(),
                    short(&session.id.to_string()),
                    verdict.date.map_or_else(|| "-".to_owned(), |date| when::day(date, self.plan.now, paint)),
                    session.project.as_deref().map_or_else(|| "-".to_owned(), text),
                    size(bytes),
                    self.due_day(verdict, paint),
                    self.why(verdict),
                ],
            );
        }
        table
    }

    /// Why a session goes or stays, in a few words.
    fn why(&self, verdict: &Verdict) -> String {
        let Decision::Keep(keep) = verdict.decision else { return self.rule_of(verdict.decision) };
        match keep {
            Keep::NoRule | Keep::NotDue(..) | Keep::KeepAtLeast(_) => match verdict.coming(self.plan.now) {
                Some(step) if step.action == Action::Delete => "will be deleted".to_owned(),
                Some(_) => "will be encrypted".to_owned(),
                None => "no rule applies".to_owned(),
            },
            keep => self.why_kept(keep),
        }
    }

    /// Why something stays, in a few words.
    fn why_kept(&self, keep: Keep) -> String {
        match keep {
            Keep::Held(hold) => {
                let name = self.policy.hold(hold).map(|hold| text(&hold.name)).unwrap_or_default();
                format!("held by '{name}'")
            }
            Keep::Live => "open in Claude Code".to_owned(),
            Keep::Quiet => self.policy.active_within(),
            Keep::NotDue(..) => "not due yet".to_owned(),
            Keep::NoRule => "no rule applies".to_owned(),
            keep => keep.reason().replace('-', " "),
        }
    }

    /// The day of what is done with a session, or will be next.
    fn due_day(&self, verdict: &Verdict, paint: Paint<'_>) -> String {
        let due = verdict.decision.due().map(|due| due.since());
        let due = due.or_else(|| verdict.coming(self.plan.now).map(|step| step.at));
        due.map_or_else(|| "-".to_owned(), |at| when::day(at, self.plan.now, paint))
    }

    /// A line a file, deletions first.
    pub(super) fn file_rows(&self) -> Table {
        let mut table =
            Table::new(vec![Column::new("action"), Column::path("path"), Column::text("why").rank(1)]);
        let mut rows: Vec<(Option<Act>, String, &'static str, String)> = Vec::new();
        for (at, artifact) in self.inventory.artifacts.iter().enumerate() {
            let Some(fate) = self.fate(at) else { continue };
            let decision = self.plan.decisions[at];
            let act = Act::of(decision).filter(|_| !matches!(fate, Fate::Kept));
            let (word, why) = match (fate, decision) {
                (Fate::Failed, _) => ("failed", "see the error".to_owned()),
                (Fate::Skipped, _) => ("skipped", "changed since the plan".to_owned()),
                (Fate::Audited, decision) => ("audit", self.rule_of(decision)),
                (_, Decision::Keep(keep)) => ("keep", self.why_kept(keep)),
                (Fate::Kept, _) => ("keep", "not reached".to_owned()),
                (_, decision) => (act.map_or("keep", Act::word), self.rule_of(decision)),
            };
            rows.push((act, text(&self.inventory.full_path(artifact)), word, why));
        }
        rows.sort_by(|a, b| (a.0.is_none(), a.0, &a.3, &a.1).cmp(&(b.0.is_none(), b.0, &b.3, &b.1)));
        for (act, path, word, why) in rows {
            table.coloured(act.map_or(Hue::Plain, Act::hue), [word.to_owned(), path, why]);
        }
        table
    }

    fn rule_of(&self, decision: Decision) -> String {
        decision
            .due()
            .map_or_else(String::new, |due| format!("rule '{}'", text(&self.policy.rule_name(due.rule()))))
    }
}
