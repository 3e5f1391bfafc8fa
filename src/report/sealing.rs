//! What became of sessions that were to be encrypted by name, or brought back.

use serde::Serialize;

use super::Run;
use super::human::{counted, size};
use crate::enforce::Outcome;
use crate::inventory::Session;
use crate::plan::{Decision, Keep};
use crate::run::sealed::Of;
use crate::run::unseal::{Item, SETTLED};

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

/// What became of many sessions, in a line or two.
pub fn in_short(items: &[&Item]) -> String {
    let (settled, unsealed): (Vec<&Item>, Vec<&Item>) =
        items.iter().copied().partition(|item| item.outcome == SETTLED);
    let sessions = |items: &[&Item]| counted(items.len() as u64, "session");
    let files = counted(unsealed.iter().map(|item| item.files).sum(), "file");
    let bytes = size(unsealed.iter().map(|item| item.bytes).sum());
    let mut text = format!("unsealed {}: {files}, {bytes}\n", sessions(&unsealed));
    if !settled.is_empty() {
        text += &format!("settled {}: they were back already\n", sessions(&settled));
    }
    text
}

impl Item {
    /// The line for people, where all went well.
    pub fn text(&self) -> String {
        let session = &self.of.session;
        match self.outcome {
            SETTLED => format!(
                "settled {session}: it was back already, and what an interrupted run had left of its \
                 sealed form is removed\n"
            ),
            "nothing-missing" => format!("session {session}: nothing is missing\n"),
            done => format!("{done} {session}: {}, {}\n", counted(self.files, "file"), size(self.bytes)),
        }
    }
}
