//! The command line: what was typed becomes a [`Context`], a verb runs, its end becomes an exit code.
//!
//! The only room that reads the environment and the clock, and the only one that prints.

#[cfg(unix)]
mod all_users;
mod args;
mod ask;
mod cat;
mod check;
mod completions;
mod console;
mod context;
mod enforce;
mod events;
mod examples;
mod explain;
mod failure;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod global;
mod groups;
mod harden;
mod hold;
mod home;
mod identities;
mod key;
mod ledger;
mod list;
mod man;
mod mdm;
mod mistake;
mod moment;
mod named;
mod policy;
mod program;
mod purge;
mod rekey;
mod remedy;
mod report;
mod resume;
mod schedule;
mod seal;
mod services;
mod session;
mod status;
mod support;
mod surroundings;
mod unseal;
mod vault;

use std::process::ExitCode;

use clap::error::ErrorKind;

use args::Cli;
use console::Console;
use failure::{Exit, Failure};

use std::sync::Arc;

#[cfg(unix)]
use crate::files;
use crate::run;
use crate::run::link::Link;
use args::Command;
use context::Context;
use global::Global;

/// Runs the program.
pub fn main() -> ExitCode {
    #[cfg(unix)]
    {
        run::signals::look();
        run::signals::outlive_limits();
        files::umask::spare_owner();
    }
    let cli = match Cli::typed(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
                // Help and versions go to stdout, and to stderr where nothing was asked for.
                let _ = error.print();
                return if error.use_stderr() { Exit::Usage } else { Exit::Done }.into();
            }
            let typed: Vec<_> = std::env::args_os().collect();
            let failure = mistake::failure(&error, &typed);
            let console = Console::new(&Global { json: asked_for_json(), ..Global::default() });
            console.failure(&failure);
            console.answer_failure(&failure);
            return Exit::Usage.into();
        }
    };
    let log_json = matches!(&cli.command, Command::Enforce(args) if args.log_format == Some(schedule::LogFormatArg::Json));
    let console = Console::new(&cli.global).logging_json(log_json);
    let typed: Vec<_> = std::env::args_os().collect();
    if cli.global.verbose > 1 {
        events::show();
    }
    let ended = start(cli, console.clone());
    match ended {
        Ok(exit) => exit,
        Err(failure) => {
            let failure = if failure.exit == Exit::Usage {
                failure.or_hint(|| mistake::help_of(&typed))
            } else {
                failure
            };
            console.failure(&failure);
            // A child answers its parent, who prints the document.
            if !surroundings::has_parent() {
                console.answer_failure(&failure);
            }
            failure.exit
        }
    }
    .into()
}

/// Whether `--json` was among words that could not be understood.
fn asked_for_json() -> bool {
    std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json")
}

/// Finds out for whom this runs, and runs it.
fn start(cli: Cli, console: Console) -> Result<Exit, Failure> {
    let parent = if surroundings::has_parent() { Some(Link::begin()?) } else { None };
    let mut env = surroundings::read(home::is_of_machine(&cli.command, &cli.global))?;
    if parent.is_none() {
        home::check(&cli.command, &cli.global, &env)?;
    }
    let console = match &parent {
        Some(parent) => {
            env.working_dir.clone_from(&parent.hello().working_dir);
            console.through(parent.clone())
        }
        None => console,
    };
    support::refuse(&cli.command, env.platform)?;
    let stores = cli.global.stores.clone();
    let policy = cli.global.policy.clone();
    let run = run::Context { env, stores, policy, parent, screen: Arc::new(console.clone()) };
    let ctx = Context { run, console, global: cli.global };
    // The ledger of all is only read, whoever may.
    if !ctx.global.all_users || matches!(cli.command, Command::Ledger(_)) {
        return call(cli.command, &ctx);
    }
    #[cfg(unix)]
    return match &cli.command {
        Command::Check(args) => check::ended(args, all_users::run(&cli.command, &ctx), &ctx),
        command => all_users::run(command, &ctx),
    };
    #[cfg(not(unix))]
    Err(Failure::new(Exit::Usage, "--all-users is not there on this platform"))
}

fn call(command: Command, ctx: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Status(args) => status::run(&args, ctx),
        Command::List(args) => list::run(&args, ctx),
        Command::Check(args) => check::run(&args, ctx),
        Command::Harden(args) => harden::run(&args, ctx),
        Command::Report(args) => report::run(&args, ctx),
        Command::Explain(args) => explain::run(&args, ctx),
        Command::Ledger(what) => ledger::run(&what, ctx),
        Command::Policy { command } => policy::run(&command, ctx),
        Command::Schedule(args) => schedule::run(&args, ctx),
        Command::Enforce(args) => enforce::run(&args, ctx),
        Command::Hold { command } => hold::run(command, ctx),
        Command::Seal(args) => seal::run(&args, ctx),
        Command::Resume(args) => resume::run(&args, ctx),
        Command::Rekey(args) => rekey::run(&args, ctx),
        Command::Unseal(args) => unseal::run(&args, ctx),
        Command::Cat(args) => cat::run(&args, ctx),
        Command::Key(what) => key::run(what, ctx),
        Command::Purge(args) => purge::run(&args, ctx),
        Command::Completions { shell } => completions::run(shell, ctx),
        Command::Man { dir } => man::run(&dir, ctx),
        Command::Mdm { dir } => mdm::run(&dir, ctx),
    }
}
