//! `ccretain completions`: what a shell needs to complete the command line.

use clap_complete::Shell;

use super::args;
use super::context::{Context, Exit, Failure};

/// Prints the completions for a shell.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(shell: Shell, ctx: &Context) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "ccretain", &mut script);
    ctx.console.raw(&script)?;
    Ok(Exit::Done)
}
