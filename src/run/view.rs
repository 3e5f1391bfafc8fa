//! One run as reports, the ledger and state see it: what was found, decided and done.

use crate::enforce::{Outcome, Outcomes, Stop};
use crate::error::PathError;
use crate::escape::text;
use crate::inventory::{Inventory, Problem};
use crate::locate::Refused;
use crate::plan::Plan;
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
    /// What did happen; `None` for a dry run.
    pub outcomes: Option<&'a Outcomes>,
    /// Roots that were not taken.
    pub refused: &'a [Refused],
    /// What a guard refused, in words.
    pub refusals: &'a [String],
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
        Self { id: "", inventory, plan, policy, outcomes: None, refused, refusals }
    }

    /// Why not everything was tried, in a word; `None` where it was.
    pub fn stopped(&self) -> Option<&'static str> {
        self.outcomes?.stopped.as_ref().map(Stop::word)
    }

    /// What could not be read or done, each with its path: what makes the exit code 1.
    pub fn errors(&self) -> Vec<(String, String)> {
        let mut errors: Vec<(String, String)> = Vec::new();
        for Problem { path, doing, error, .. } in &self.inventory.problems {
            errors.push((text(path), format!("cannot {doing} it: {error}")));
        }
        for refused in self.refused.iter().filter(|refused| !refused.is_note()) {
            errors.push((text(&refused.path), format!("refused as a store: {}", refused.why)));
        }
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
