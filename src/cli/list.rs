//! `ccretain list`: the sessions, a line each. Takes no lock and writes nothing.

use clap::Args;

use super::context::{Context, Exit, Failure};
use crate::period::{Length, Period};
use crate::plan;
use crate::policy::compile::Globs;
use crate::report::Run;
use crate::report::list::Wanted;
use crate::run;

/// What `list` takes.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Only sessions of this project: an absolute path or a glob (repeatable).
    #[arg(long, value_name = "GLOB")]
    pub project: Vec<String>,
    /// Only sessions that the policy wants deleted or encrypted now.
    #[arg(long)]
    pub due: bool,
    /// Only encrypted sessions.
    #[arg(long, alias = "sealed")]
    pub encrypted: bool,
    /// Only sessions under a hold.
    #[arg(long)]
    pub held: bool,
    /// Only sessions without activity for this long.
    #[arg(long, value_name = "PERIOD")]
    pub older: Option<Period>,
    /// Also give titles where nobody may be looking: in a pipe and in JSON. They are content.
    #[arg(long)]
    pub titles: bool,
    /// The ids for the completion of a shell.
    #[arg(long, hide = true)]
    pub complete: bool,
}

/// Runs the command.
///
/// # Errors
/// An invalid policy or glob is exit 2; what could not be read makes exit 1.
pub fn run(args: &ListArgs, ctx: &Context) -> Result<Exit, Failure> {
    let absolute = |glob: &String| match glob.starts_with(['/', '~', '\\']) || glob.get(1..2) == Some(":") {
        true => glob.clone(),
        false => crate::escape::text(&ctx.env.absolute(std::path::Path::new(glob))),
    };
    let globs = args.project.iter().map(absolute).map(|glob| Globs::new(&ctx.env).compile(&glob));
    let globs = globs.collect::<Result<Vec<_>, _>>().map_err(|error| {
        Failure::because(Exit::Usage, &error)
            .hint("give the whole path, with ** for all below: `ccretain list --project '/work/acme/**'`")
    })?;
    let is_of_project = |project: Option<&str>| {
        globs.is_empty() || project.is_some_and(|project| globs.iter().any(|glob| glob.matches(project)))
    };
    let before = match args.older.as_ref().map(Period::length) {
        None | Some(Length::Immediately) => None,
        Some(Length::Span(span)) => ctx.env.now.checked_sub_signed(span),
        Some(Length::Never) => {
            return Err(Failure::new(Exit::Usage, "'never' is not an age")
                .hint("write a number and a unit: `ccretain list --older 30d`"));
        }
    };
    let workspace = run::prepare_to_look(ctx)?;
    let inventory = workspace.inventory(ctx);
    let plan = plan::plan(&inventory, &workspace.policy, ctx.env.now);
    let view = Run::planned(&inventory, &plan, &workspace.policy, &workspace.refused, &[]);
    // Titles are content: they are shown to a person who looks, and to nobody else who did not ask.
    let is_watched = ctx.console.has_terminal() && !ctx.global.json && !args.complete;
    let wanted = Wanted {
        is_of_project: &is_of_project,
        due: args.due,
        encrypted: args.encrypted,
        held: args.held,
        before,
        titles: args.titles || is_watched,
    };
    let list = view.list(&wanted);
    if args.complete {
        ctx.console.raw(list.completions().as_bytes())?;
        return Ok(Exit::Done);
    }
    if ctx.global.json {
        ctx.console.json(&list)?;
    } else if ctx.console.has_terminal() {
        ctx.console.data(&list.text(ctx.paint()))?;
    } else {
        ctx.console.data(&list.lines())?;
    }
    let mut exit = Exit::Done;
    for (path, error) in view.errors() {
        ctx.console.error_about(&path, &error);
        exit = Exit::Failed;
    }
    Ok(exit)
}
