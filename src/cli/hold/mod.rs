//! `ccretain hold`: exceptions, placed and released with a reason, and recorded.

mod add;
mod list;
mod meant;
mod new;
mod release;
mod restore;
mod sight;

use chrono::{DateTime, FixedOffset};
use clap::Subcommand;

use super::context::{Context, Exit, Failure};
use super::moment::end;
use crate::enforce::lock::Locks;
use crate::run;
use crate::run::holding::copies;
use sight::Sight;

/// What to do with holds.
#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Place a hold: nothing it covers is changed or removed by ccretain.
    ///
    /// It does not bind Claude Code's own cleanup; the answer says when that would remove what is
    /// held.
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
    Add {
        /// Hold the sessions of these projects (repeatable).
        #[arg(long = "project", value_name = "GLOB", group = "what")]
        projects: Vec<String>,
        /// Hold this session (repeatable).
        #[arg(long = "session", value_name = "ID", group = "what")]
        sessions: Vec<String>,
        /// Why.
        #[arg(long)]
        reason: String,
        /// When it ends: 2027-03-01, to the end of that day here, or 2027-03-01T12:00:00Z. Without it, when it is
        /// released.
        #[arg(long, value_name = "TIME", value_parser = end)]
        until: Option<DateTime<FixedOffset>>,
        /// Its name; one is made where none is given.
        #[arg(long)]
        name: Option<String>,
        /// Also keep sealed copies of what it covers now, which Claude Code's own cleanup cannot reach;
        /// they go when the hold is released.
        #[arg(long)]
        preserve: bool,
    },
    /// List the holds of all layers: which are in force, what they cover.
    List,
    /// Release a hold of one's own.
    Release {
        /// Its name.
        name: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Put back what Claude Code's own cleanup removed of held sessions, from their preservation copies.
    ///
    /// Files that are there stay as they are. The hold and the copies stay too.
    Restore(restore::RestoreArgs),
}

/// Runs `ccretain hold`.
///
/// # Errors
/// What is invalid (2), a hold that is not the user's to release (4), no ledger (4).
pub fn run(command: HoldCommand, ctx: &Context) -> Result<Exit, Failure> {
    let ground = run::prepare(ctx)?;
    // Before the look into the stores that the deed goes by.
    let locks = match &command {
        HoldCommand::Add { preserve: true, .. } => run::lock_all(&ground, ctx)?,
        HoldCommand::Release { name, .. } if copies(&ground, name).0 > 0 => run::lock_all(&ground, ctx)?,
        // A hold without copies is only a line in a file, and its lock is that of the ledger.
        _ => Locks::default(),
    };
    let sight = || Sight::new(&ground, ctx);
    match command {
        HoldCommand::Add { projects, sessions, reason, until, name, preserve } => {
            let new = new::New { projects, sessions, reason, until, name, preserve };
            add::add(new, &ground, &sight(), locks, ctx)
        }
        HoldCommand::List => list::list(&ground, &sight(), ctx),
        HoldCommand::Release { name, reason } => {
            release::release(&name, &reason, &ground, &sight(), locks, ctx)
        }
        HoldCommand::Restore(args) => restore::restore(&args, &ground, ctx),
    }
}
