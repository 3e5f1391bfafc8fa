//! What the clock guard says of a purge.

use crate::guard::{self, ClockVerdict};
use crate::inventory::Inventory;
use crate::ledger::Clock;
use crate::plan::purge::{Breaks, Wanted};
use crate::policy::Layer;
use crate::purge::certificate::Witness;
use crate::run::{Context, Error, Workspace, guards};

/// What the clock guard says, where dates matter.
pub struct ClockSays {
    pub verdict: ClockVerdict,
    pub doubt: Option<guard::ClockDoubt>,
    /// Whether a date decides about anything.
    matters: bool,
}

impl ClockSays {
    /// Asks the clock guard: a purge of everything goes by no date, but a part of it does, and so do
    /// holds that end and floors.
    pub(super) fn ask(
        ctx: &Context,
        workspace: &Workspace,
        inventory: &Inventory,
        wanted: &Wanted,
    ) -> Result<Self, Error> {
        let (verdict, doubt) = guards::clock(&workspace.state.state, inventory, ctx)?;
        let ends = workspace.policy.holds().any(|(hold, _)| hold.until.is_some());
        let floors = workspace.policy.mandates.iter().filter_map(|mandate| mandate.keep_at_least.as_ref());
        let mut floors = floors.filter(|floor| matches!(floor.source.layer, Layer::System | Layer::Managed));
        // A wrong clock could make a hold end that has years to go.
        let is_bound = (ends || floors.next().is_some()) && wanted.breaks != Breaks::All;
        Ok(Self { verdict, doubt, matters: wanted.before.is_some() || is_bound })
    }

    /// What the ledger says of its times.
    pub fn kind(&self, witness: Witness) -> Clock {
        if self.verdict.is_allowed() || self.matters && witness == Witness::Terminal {
            Clock::Proven
        } else {
            Clock::Unproven
        }
    }

    /// Why nobody may be asked less than a person, where the clock is doubted and dates decide.
    pub fn refusal(&self) -> Option<String> {
        match self.verdict {
            ClockVerdict::Refused(refusal) if self.matters => {
                Some(format!("{refusal}; `--before`, holds that end and `keepAtLeast` go by dates"))
            }
            _ => None,
        }
    }
}
