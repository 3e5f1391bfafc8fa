//! `ccretain check`: one verdict, in the convention of whoever asks.

mod args;

use chrono::TimeDelta;

use super::context::{Context, Exit, Failure};
use super::{named, services};
use crate::check::gather::{self, gather};
use crate::check::{evaluate, repair};
use crate::document::Paint;
use crate::report::check::{Document, Subject};

pub(super) use args::{CheckArgs, Format, Style};

/// Runs the verb.
///
/// # Errors
/// A policy that was named and cannot be used (2); with `--fix`, no evidence (4) or another run (75).
/// In the styles of device managers no end is an error.
pub fn run(args: &CheckArgs, ctx: &Context) -> Result<Exit, Failure> {
    if args.services {
        return services::run(ctx);
    }
    ended(args, one(args, ctx), ctx)
}

/// The end of a check in the style that was asked for.
pub(super) fn ended(args: &CheckArgs, end: Result<Exit, Failure>, ctx: &Context) -> Result<Exit, Failure> {
    match (end, args.exit_style) {
        (Ok(exit), style) => Ok(style.exit(exit)),
        (Err(failure), Style::Plain) => Err(failure),
        (Err(failure), style @ Style::Intune) => {
            ctx.console.raw(format!("cannot check: {}\n", failure.message).as_bytes())?;
            Ok(style.exit(failure.exit))
        }
        (Err(failure), style @ Style::Munki) => {
            ctx.console.failure(&failure);
            Ok(style.exit(failure.exit))
        }
    }
}

fn one(args: &CheckArgs, ctx: &Context) -> Result<Exit, Failure> {
    let format = format(args, ctx)?;
    let grace = args.grace.span().unwrap_or(TimeDelta::MAX);
    let mut posture = gather(grace, args.fix, ctx)?;
    let fixed = if args.fix { Some(repair::repair(&posture, ctx)?) } else { None };
    if fixed.as_ref().is_some_and(|done| done.files + done.folders > 0) {
        posture = gather(grace, false, ctx)?;
    }
    let findings = evaluate(&posture.facts);
    let host = gather::host(ctx);
    let machine = gather::machine_id(&posture.ground.policy, ctx);
    let subject = Subject {
        host: &host,
        machine: machine.as_deref(),
        user: Some(&ctx.env.user.name),
        fail_on: args.fail_on,
    };
    let document = Document::new(subject, &posture.facts, posture.policy(), findings, fixed);
    print(args, format, &document, ctx)
}

/// The format that is meant; `--json` is one of them.
///
/// # Errors
/// Exit 2: two that differ.
pub(super) fn format(args: &CheckArgs, ctx: &Context) -> Result<Format, Failure> {
    match (args.format, ctx.global.json) {
        (None | Some(Format::Json), true) => Ok(Format::Json),
        (Some(_), true) => {
            Err(Failure::new(Exit::Usage, "--json is a format of its own: leave it or --format away"))
        }
        (format, false) => Ok(format.unwrap_or_default()),
    }
}

/// Prints a document, and says how the check ended.
pub(super) fn print(
    args: &CheckArgs,
    format: Format,
    document: &Document,
    ctx: &Context,
) -> Result<Exit, Failure> {
    let bytes = match format {
        Format::Text if args.exit_style == Style::Intune => document.short().into_bytes(),
        Format::Text if ctx.global.quiet && args.output.is_none() => Vec::new(),
        Format::Text => {
            let paint = if args.output.is_none() { ctx.paint() } else { Paint::default() };
            document.text(paint, ctx.global.verbose > 0).into_bytes()
        }
        Format::Json => json(document)?,
        Format::Jamf => document.jamf().into_bytes(),
        Format::Prometheus => document.prometheus().into_bytes(),
        Format::Osquery if args.output.is_some() => document.sqlite(),
        Format::Osquery => json(&document.osquery())?,
    };
    match &args.output {
        Some(path) => named::put(path, &bytes, ctx)?,
        None => ctx.console.raw(&bytes)?,
    }
    Ok(if document.compliant { Exit::Done } else { Exit::NotCompliant })
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    let mut text = crate::escape::json::pretty(value)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot write JSON: {error}")))?;
    text.push('\n');
    Ok(text.into_bytes())
}
