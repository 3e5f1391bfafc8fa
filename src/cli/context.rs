//! What every command gets, and how it ends.

use super::console::Console;
pub(super) use super::failure::{Exit, Failure};
use super::global::Global;
use crate::document::Paint;
use crate::run;
use crate::run::link::Totals;

/// What every command gets: the surroundings, where to print, and the options all commands share.
#[derive(Debug)]
pub struct Context {
    /// What a run needs to know.
    pub run: run::Context,
    /// Where data and messages go.
    pub console: Console,
    /// The options all commands share.
    pub global: Global,
}

impl Context {
    /// How data for people is shown on stdout.
    pub fn paint(&self) -> Paint<'_> {
        self.console.paint(self.env.user.home.to_str())
    }

    /// The same for stderr.
    pub fn paint_messages(&self) -> Paint<'_> {
        self.console.paint_messages(self.env.user.home.to_str())
    }

    /// Says what went wrong beside the work of a command, such as a part of the policy that is left out; gives how the
    /// command ends for it.
    pub fn tell_errors(&self, errors: &[String]) -> Exit {
        errors.iter().for_each(|error| self.console.error(error));
        if errors.is_empty() { Exit::Done } else { Exit::Failed }
    }

    /// Hands what a run comes to to the parent of a run over all accounts, where there is one.
    ///
    /// # Errors
    /// The parent is gone.
    pub fn tell_totals(&self, totals: impl FnOnce() -> Totals) -> Result<(), Failure> {
        let Some(parent) = &self.parent else { return Ok(()) };
        parent.totals(totals()).map_err(|error| Failure::without_parent(&error))
    }
}

/// Most commands speak of what a run needs to know.
impl std::ops::Deref for Context {
    type Target = run::Context;

    fn deref(&self) -> &run::Context {
        &self.run
    }
}
