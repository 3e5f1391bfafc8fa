//! Sessions by age, what of them falls due and when, what stays and why.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::Sight;
use crate::enforce::leftovers::is_unfinished;
use crate::escape::text;
use crate::inventory::SessionIndex;
use crate::plan::{Action, Decision, Keep, Step, has_delete_rule};
use crate::report::json::time;
use crate::report::readable::Readable;
use crate::report::weight;
use crate::run::tally::Tally;

/// How far ahead what falls due is named.
const AHEAD: TimeDelta = TimeDelta::days(7);
/// What is due for longer than this is overdue: a daily run would have done it.
const OVERDUE: TimeDelta = TimeDelta::days(1);

/// The sessions of an age.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Age {
    pub(super) label: &'static str,
    pub(super) from_days: i64,
    pub(super) to_days: Option<i64>,
    pub(super) sessions: u64,
    pub(super) bytes: u64,
}

/// What is due, and when.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Due {
    pub(super) now: Tally,
    pub(super) overdue: u64,
    /// Each session that is due.
    pub(super) sessions: Vec<Item>,
    /// Each session that falls due within seven days.
    pub(super) next7_days: Vec<Item>,
    /// The day of the first that falls due after those.
    pub(super) next: Option<String>,
    #[serde(skip)]
    pub(super) later: Option<Step>,
}

/// A session that is due, or falls due.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    pub(super) due: String,
    #[serde(skip)]
    pub(super) at: DateTime<Utc>,
    pub(super) session: String,
    pub(super) store: usize,
    pub(super) project: Option<String>,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) decision: &'static str,
    /// What is done with it then: `delete` or `seal`.
    pub(super) step: &'static str,
    #[serde(skip)]
    pub(super) action: Action,
    pub(super) rule: String,
    pub(super) layer: Option<String>,
    pub(super) reason: Option<&'static str>,
    pub(super) overdue: bool,
}

/// What stays, and why.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    pub(super) sessions: u64,
    pub(super) sealed: u64,
    /// Files of sealed sessions that could be sealed and are not.
    pub(super) sealed_plain: u64,
    /// What of encrypted sessions stays readable in files that sessions share.
    pub(super) readable: Readable,
    pub(super) held: u64,
    pub(super) live: u64,
    pub(super) quiet: u64,
    pub(super) keep_at_least: u64,
    /// Sessions that a rule seals and of which a file cannot be.
    pub(super) unsealable: u64,
    /// Sessions that no rule ever deletes.
    pub(super) no_delete_rule: u64,
    pub(super) undated: u64,
    pub(super) future_dated: u64,
    pub(super) owner_unknown: u64,
    /// Sessions of which a transcript belongs to another account.
    pub(super) foreign: u64,
    pub(super) desktop: u64,
    pub(super) dates_differ: u64,
    pub(super) undated_lines: u64,
    pub(super) unrecognised: u64,
    pub(super) unrecognised_bytes: u64,
    /// Unfinished files that an interrupted run left.
    pub(super) unfinished: u64,
}

impl Sight<'_> {
    pub(super) fn ages(&self) -> Vec<Age> {
        const BOUNDS: [(&str, i64, Option<i64>); 5] = [
            ("under a day ago", 0, Some(1)),
            ("1 to 7 days ago", 1, Some(7)),
            ("7 to 30 days ago", 7, Some(30)),
            ("30 to 90 days ago", 30, Some(90)),
            ("over 90 days ago", 90, None),
        ];
        let mut ages: Vec<Age> = BOUNDS
            .into_iter()
            .map(|(label, from_days, to_days)| Age { label, from_days, to_days, sessions: 0, bytes: 0 })
            .collect();
        // What has no date is neither old nor new, and would be hidden in either row.
        let mut undated = Age { label: "undated", from_days: 0, to_days: None, sessions: 0, bytes: 0 };
        for (session, verdict) in self.run.inventory.sessions.iter().zip(&self.run.plan.sessions) {
            let days = verdict.date.map(|date| self.run.plan.now.signed_duration_since(date).num_days());
            let age = match days {
                Some(days) => ages.iter_mut().find(|age| age.to_days.is_none_or(|to| days < to)),
                None => None,
            };
            let age = age.unwrap_or(&mut undated);
            age.sessions += 1;
            age.bytes += weight(self.run.inventory, session).1;
        }
        ages.extend((undated.sessions > 0).then_some(undated));
        ages
    }

    pub(super) fn due(&self, tally: Tally) -> Due {
        let now = self.run.plan.now;
        let mut due = Due {
            now: tally,
            overdue: 0,
            sessions: Vec::new(),
            next7_days: Vec::new(),
            next: None,
            later: None,
        };
        for (at, verdict) in self.run.plan.sessions.iter().enumerate() {
            if let Some(step) = verdict.decision.step() {
                let item = self.item(at, verdict.decision, step);
                due.overdue += u64::from(item.overdue);
                due.sessions.push(item);
            } else if let Some(step) = verdict.coming(now) {
                if step.at.signed_duration_since(now) <= AHEAD {
                    due.next7_days.push(self.item(at, verdict.decision, step));
                } else if due.later.is_none_or(|known| step.at < known.at) {
                    due.later = Some(step);
                }
            }
        }
        due.sessions.sort_by(|a, b| (a.at, &a.session).cmp(&(b.at, &b.session)));
        due.next7_days.sort_by(|a, b| (a.at, &a.session).cmp(&(b.at, &b.session)));
        due.next = due.later.map(|step| time(step.at));
        due
    }

    fn item(&self, at: usize, decision: Decision, step: Step) -> Item {
        let Step { at: due, rule, action } = step;
        let session = self.run.inventory.session(SessionIndex::of(at));
        let (files, bytes) = weight(self.run.inventory, session);
        let layer = self.run.policy.rule(rule).map(|(layer, _)| layer.source.layer.to_string());
        Item {
            due: time(due),
            at: due,
            session: session.id.to_string(),
            store: session.store.at(),
            project: session.project.as_deref().map(text),
            files,
            bytes,
            decision: decision.word(),
            step: action.word(),
            action,
            rule: text(&self.run.policy.rule_name(rule)),
            layer,
            reason: match decision {
                Decision::Keep(keep) => Some(keep.reason()),
                _ => None,
            },
            overdue: self.run.plan.now.signed_duration_since(due) > OVERDUE,
        }
    }

    pub(super) fn kept(&self, tally: &Tally) -> Kept {
        // Why things stay is asked of the decisions, as the counts of a run only say that they do.
        let mut kept = Kept {
            desktop: tally.desktop,
            readable: self.run.readable(),
            dates_differ: tally.dates_differ,
            undated_lines: tally.undated_lines,
            unrecognised: tally.unrecognised,
            unrecognised_bytes: tally.unrecognised_bytes,
            ..Kept::default()
        };
        let inventory = self.run.inventory;
        let decided = inventory.artifacts.iter().zip(&self.run.plan.decisions);
        kept.unfinished = decided
            .filter(|(artifact, decision)| is_unfinished(inventory, artifact, **decision))
            .count() as u64;
        for (session, verdict) in self.run.inventory.sessions.iter().zip(&self.run.plan.sessions) {
            let goes =
                matches!(verdict.decision, Decision::Delete(_)) && !self.run.is_audited(verdict.decision);
            if session.sealed > 0 && !goes {
                kept.sealed += 1;
                kept.sealed_plain += u64::from(session.plain) + self.run.inventory.plain_elsewhere(session);
            }
            kept.no_delete_rule += u64::from(!has_delete_rule(self.run.policy, session));
            let Decision::Keep(keep) = verdict.decision else { continue };
            kept.sessions += 1;
            match keep {
                Keep::Held(_) => kept.held += 1,
                Keep::Live => kept.live += 1,
                Keep::Quiet => kept.quiet += 1,
                Keep::KeepAtLeast(_) => kept.keep_at_least += 1,
                Keep::Unsealable(_) => kept.unsealable += 1,
                Keep::Undated => kept.undated += 1,
                Keep::FutureDated => kept.future_dated += 1,
                Keep::OwnerUnknown => kept.owner_unknown += 1,
                Keep::Foreign => kept.foreign += 1,
                _ => {}
            }
        }
        kept
    }
}
