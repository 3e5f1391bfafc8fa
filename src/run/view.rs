//! One run as reports, the ledger and state see it: what was found, decided and done.

use std::sync::OnceLock;

use super::tally::Tally;
use crate::enforce::{Outcome, Outcomes, Stop};
use crate::error::PathError;
use crate::escape::text;
use crate::inventory::{Inventory, Problem, Session};
use crate::locate::Refused;
use crate::plan::{Decision, Keep, Plan, Verdict};
use crate::policy::Policy;

/// Everything a report of a run is made from.
#[derive(Debug)]
pub struct Run<'a> {
    /// The id of the run.
    pub id: &'a str,
    /// What was found.
    pub inventory: &'a Inventory,
    /// What was decided.
    pub plan: &'a Plan,
    pub policy: &'a Policy,
    /// Whether it only says what would be done.
    pub is_dry: bool,
    /// What did happen; `None` for a dry run, and where the policy only reports.
    pub outcomes: Option<&'a Outcomes>,
    /// Roots that were not taken.
    pub refused: &'a [Refused],
    /// What a guard refused, in words.
    pub refusals: &'a [String],
    /// What all comes to, once it was counted: of 100,000 files that takes as long as to plan them.
    pub tally: OnceLock<Tally>,
}

impl<'a> Run<'a> {
    /// What would be done, by a verb that only looks or has yet to ask.
    pub fn planned(
        inventory: &'a Inventory,
        plan: &'a Plan,
        policy: &'a Policy,
        refused: &'a [Refused],
        refusals: &'a [String],
    ) -> Self {
        Self {
            id: "",
            inventory,
            plan,
            policy,
            is_dry: true,
            outcomes: None,
            refused,
            refusals,
            tally: OnceLock::new(),
        }
    }

    /// The sessions that this run has a say in, each with what was decided about it.
    pub fn sessions(&self) -> impl Iterator<Item = (&'a Session, &'a Verdict)> {
        // What the command was not for, or the policy leaves out, is none of its business.
        let all = self.inventory.sessions.iter().zip(&self.plan.sessions);
        all.filter(|(_, verdict)| !matches!(verdict.decision, Decision::Keep(Keep::OutOfScope)))
    }

    /// Why not everything was tried, in a word; `None` where it was.
    pub fn stopped(&self) -> Option<&'static str> {
        self.outcomes?.stopped.as_ref().map(Stop::word)
    }

    /// What could not be read or done, each with its path: what makes the exit code 1.
    pub fn errors(&self) -> Vec<(String, String)> {
        let faults = self.policy.faults().into_iter();
        let mut errors: Vec<(String, String)> = faults.map(|fault| (String::new(), fault)).collect();
        for Problem { path, doing, error, .. } in &self.inventory.problems {
            errors.push((text(path), format!("cannot {doing} it: {error}")));
        }
        for refused in self.refused.iter().filter(|refused| !refused.is_note()) {
            errors.push((text(&refused.path), format!("refused as a store: {}", refused.why)));
        }
        // A dry run fails at nothing but looking; what a guard would refuse is in its report.
        let Some(outcomes) = self.outcomes else { return errors };
        errors.extend(self.refusals.iter().map(|refusal| (String::new(), format!("refused: {refusal}"))));
        for (artifact, outcome) in self.inventory.artifacts.iter().zip(outcomes.iter()) {
            if let Some(Outcome::Failed(error)) = outcome {
                errors.push((text(&self.inventory.full_path(artifact)), error.clone()));
            }
        }
        for PathError { path, doing, source } in &outcomes.problems {
            errors.push((text(path), format!("cannot {doing} it: {source}")));
        }
        if let Some(Stop::Ledger(error)) = &outcomes.stopped {
            errors.push((
                String::new(),
                format!("the ledger cannot be written, the rest was left alone: {error}"),
            ));
        }
        errors
    }
}
