//! `schedule`: install, remove, look at and print what calls `enforce`.

mod args;
mod install;
mod job;
mod shared;
mod status;

use super::context::{Context, Exit, Failure};
use crate::schedule::{Places, Scheduler, Scope, SystemHost};
use shared::print;

pub(super) use args::{Action, LogFormatArg, ScheduleArgs};

/// Runs the verb.
///
/// # Errors
/// A scheduler that is missing, disabled or refuses; files that cannot be read or written.
pub fn run(args: &ScheduleArgs, ctx: &Context) -> Result<Exit, Failure> {
    let system = args.is_of_system();
    let host = SystemHost::of(&ctx.env, ctx.parent.is_some());
    let places = Places::of(&ctx.env);
    let scope = if system { Scope::System } else { Scope::User };
    let with = Scheduler { host: &host, places: &places, scope };
    match &args.action {
        Action::Install(args) => install::install(args, with, ctx),
        Action::Remove(args) => install::remove(args, with, ctx),
        Action::Status { .. } => status::status(with, ctx),
        Action::Print(args) => {
            let backend = args.place.backend.named().unwrap_or_else(|| with.likely());
            print(backend, &job::job(args, backend, with, ctx)?, ctx)
        }
    }
}
