//! What became of sessions that were to be encrypted by name.

use serde::Serialize;

use super::Run;
use super::human::{counted, size};
use crate::enforce::Outcome;
use crate::inventory::Session;
use crate::plan::{Decision, Keep};
use crate::run::sealed::Of;

/// What became of one session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sealed {
    #[serde(flatten)]
    pub of: Of,
    pub files: u64,
    pub bytes: u64,
    pub outcome: &'static str,
    pub reason: Option<&'static str>,
}

/// What became of the sessions of a run; `named` tells whether each was asked for by its name.
pub fn of_sessions(run: &Run<'_>, named: bool) -> Vec<Sealed> {
    let sessions = run.inventory.sessions.iter().zip(&run.plan.sessions);
    sessions.filter_map(|(session, verdict)| sealed(run, session, verdict.decision, named)).collect()
}

impl Run<'_> {
    /// A line a session, and what stays readable of them; without the kept ones where none was asked for by its name.
    pub fn text_of_sessions(&self, items: &[Sealed], named: bool) -> String {
        let mut lines: Vec<String> = Vec::new();
        for item in items.iter().filter(|item| named || item.outcome != "kept") {
            let session = &item.of.session;
            lines.push(match item.outcome {
                "sealed" => {
                    format!("sealed {session}: {}, {}", counted(item.files, "file"), size(item.bytes))
                }
                other => format!("{other} {session}"),
            });
        }
        if !named {
            let sealed = items.iter().filter(|item| item.outcome == "sealed");
            let (count, bytes) = sealed.fold((0, 0), |(count, bytes), item| (count + 1, bytes + item.bytes));
            lines.push(format!("{} sealed, {}", counted(count, "session"), size(bytes)));
        }
        let readable = self.readable();
        if !readable.is_empty() {
            lines.push(format!("still readable of encrypted sessions: {}", readable.words()));
        }
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// What became of one session; `None` for those that were none of this run's business.
fn sealed(run: &Run<'_>, session: &Session, decision: Decision, named: bool) -> Option<Sealed> {
    let inventory = run.inventory;
    let outcomes = run.outcomes?;
    let of: Vec<(&Outcome, u64)> = inventory
        .files(session)
        .iter()
        .filter_map(|index| {
            let outcome = outcomes.of(*index)?;
            Some((outcome, inventory.artifact(*index).stamp.size))
        })
        .collect();
    let done: Vec<u64> =
        of.iter().filter(|(outcome, _)| matches!(outcome, Outcome::Done(_))).map(|(_, size)| *size).collect();
    let (outcome, reason) = match (decision, of.iter().find(|(one, _)| !matches!(one, Outcome::Done(_)))) {
        (Decision::Keep(Keep::OutOfScope), _) => return None,
        (_, Some((worst, _))) => (worst.word(), None),
        (Decision::Seal(_), None) if !done.is_empty() => ("sealed", None),
        _ if session.sealed > 0 && session.plain == 0 => ("already-sealed", None),
        (Decision::Keep(keep), None) => ("kept", Some(keep.reason())),
        _ => ("kept", None),
    };
    if !named && outcome == "already-sealed" {
        return None;
    }
    Some(Sealed {
        of: Of::new(inventory, session),
        files: done.len() as u64,
        bytes: done.iter().sum(),
        outcome,
        reason,
    })
}
