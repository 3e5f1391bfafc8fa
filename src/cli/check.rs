//! `ccretain check`: one verdict, in the convention of whoever asks.

use std::path::PathBuf;

use chrono::TimeDelta;
use clap::{Args, ValueEnum};

use super::context::{Context, Exit, Failure};
use super::posture::{self, Posture};
use super::{named, services};
use crate::check::{Severity, evaluate};
use crate::document::Paint;
use crate::enforce::modes;
use crate::escape::text;
use crate::inventory::Problem;
use crate::period::{Length, Period};
#[cfg(unix)]
use crate::report::all_users::AllUsers;
use crate::report::check::{Document, Fixed, Left, Subject};
use crate::run::{self, LedgeredRun};

/// What `check` takes.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Make stores private (chmod go-rwx); nothing else is changed.
    #[arg(long)]
    pub fix: bool,
    /// Print what Claude Code sends from this machine, by service and provider, and what servers keep of it.
    ///
    /// For each service: the provider, its default, what is set here, and by which settings file or
    /// variable. -v also shows the providers that are not in use. Nothing is judged.
    #[arg(long, conflicts_with_all = ["fix", "format", "output"])]
    pub services: bool,
    /// What is printed.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Whose exit codes are used.
    #[arg(long, value_enum, default_value_t, value_name = "STYLE")]
    pub exit_style: Style,
    /// Lowest severity that counts as non-compliant.
    #[arg(long, value_enum, default_value_t = Severity::Medium, value_name = "SEVERITY")]
    pub fail_on: Severity,
    /// How long something may be due before it is overdue.
    #[arg(long, default_value = "1d", value_name = "PERIOD")]
    pub grace: Period,
    /// Write to this file, in one step, instead of to stdout.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// The value of a Jamf Pro extension attribute.
    Jamf,
    /// Figures for Prometheus.
    Prometheus,
    /// Rows for osquery: JSON, and with --output a SQLite file.
    Osquery,
}

/// Whose exit codes are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Style {
    /// 0 is compliant, 3 is not.
    #[default]
    Plain,
    /// 0 is compliant, 1 asks for remediation; nothing goes to stderr.
    ///
    /// A remediation's detection script that ends with 1 starts the remediation script; output on
    /// stderr counts as an error of the script (Microsoft Intune, "Remediations").
    Intune,
    /// 0 asks for installation, 1 is compliant.
    ///
    /// An `installcheck_script` that ends with 0 says that something must be installed, anything else
    /// that nothing must be (Munki wiki, "How Munki Decides What Needs To Be Installed").
    Munki,
}

impl Style {
    /// The code of an end; what could not be checked asks for action as well.
    #[must_use]
    pub fn exit(self, exit: Exit) -> Exit {
        let is_well = exit == Exit::Done;
        match self {
            Self::Plain => exit,
            Self::Intune => Exit::Style(u8::from(!is_well)),
            Self::Munki => Exit::Style(u8::from(is_well)),
        }
    }
}

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
    let mut posture = posture::gather(grace(args), args.fix, ctx)?;
    let mut fixed = None;
    if args.fix {
        let done = fix(&posture, ctx)?;
        let changed = done.files + done.folders > 0;
        fixed = Some(done);
        if changed {
            posture = posture::gather(grace(args), false, ctx)?;
        }
    }
    let findings = evaluate(&posture.facts);
    let host = posture::host(ctx);
    let machine = posture::machine_id(&posture.ground.policy, ctx);
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

fn grace(args: &CheckArgs) -> TimeDelta {
    match args.grace.length() {
        Length::Span(span) => span,
        Length::Immediately => TimeDelta::zero(),
        Length::Never => TimeDelta::MAX,
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

/// Closes what is open to others, under the locks of the stores and with a record in the ledger.
fn fix(posture: &Posture, ctx: &Context) -> Result<Fixed, Failure> {
    let left = posture.repair.left.iter();
    // What could not be seen could not be closed.
    let unread = posture.inventory.problems.iter().map(|Problem { path, doing, error, .. }| Left {
        path: text(path),
        why: format!("cannot {doing} it: {error}"),
    });
    let mut fixed = Fixed {
        left: left
            .map(|(path, why)| Left { path: text(path), why: (*why).to_owned() })
            .chain(unread)
            .collect(),
        ..Fixed::default()
    };
    let scope = |target: &&modes::Target| {
        let store = crate::check::modes::store_of(&posture.inventory, **target);
        posture.inventory.store(store).store.in_scope
    };
    let targets: Vec<_> = posture.repair.targets.iter().filter(scope).copied().collect();
    if targets.is_empty() {
        return Ok(fixed);
    }
    let locks = run::lock_all(&posture.ground, ctx)?;
    let mut run = LedgeredRun::begin("check-fix", ctx, &posture.ground.policy, locks)?;
    let done = modes::tighten(&posture.inventory, &targets, &mut run, ctx.env.now);
    let done = done.map_err(|error| run.unrecorded(error))?;
    let counts = [("files", done.files), ("folders", done.folders), ("failed", done.failed.len() as u64)];
    let exit = if done.failed.is_empty() { Exit::Done } else { Exit::Failed };
    run.end(&counts, exit.code(), ctx)?;
    (fixed.files, fixed.folders) = (done.files, done.folders);
    fixed.left.extend(done.failed.into_iter().map(|(path, why)| Left { path: text(&path), why }));
    Ok(fixed)
}

/// What each account's child is asked: the document of this check, whatever the parent prints.
#[cfg(unix)]
pub(super) fn for_child(args: &CheckArgs, ctx: &Context) -> Vec<std::ffi::OsString> {
    let mut words: Vec<std::ffi::OsString> =
        ["check", "--json", "--fail-on", args.fail_on.word(), "--grace"].map(Into::into).into();
    words.push(args.grace.to_string().into());
    if args.fix {
        words.push("--fix".into());
    }
    if let Some(policy) = &ctx.global.policy {
        words.push("--policy".into());
        words.push(ctx.env.absolute(policy).into());
    }
    words
}

/// One document of those of all accounts, printed; `invalid` is why the policy of the machine cannot
/// be used.
///
/// # Errors
/// It cannot be printed.
#[cfg(unix)]
pub(super) fn all(
    args: &CheckArgs,
    all: &AllUsers<'_>,
    invalid: Option<String>,
    ctx: &Context,
) -> Result<Exit, Failure> {
    use crate::check::{Facts, retention};
    let format = format(args, ctx)?;
    let host = posture::host(ctx);
    let machine = posture::machine_id(all.policy, ctx);
    let subject = Subject { host: &host, machine: machine.as_deref(), user: None, fail_on: args.fail_on };
    // The ledger of all is root's; of everything else the accounts' own checks tell.
    let place = crate::run::journal::place_of_all(ctx);
    let mut facts = Facts { now: ctx.env.now, ..Facts::default() };
    facts.runs.ledger = posture::ledger_fact(&place, all.policy, ctx);
    facts.runs.unwritable = posture::unwritable(&place.dir);
    let policy = if invalid.is_none() { Some(all.policy) } else { None };
    facts.policy.invalid = invalid;
    let findings = retention::of_machine(&facts);
    let machine = Document::new(subject, &facts, policy, findings, None);
    // A state that cannot be read is a finding of root's own account, where it has one.
    let state = crate::state::StateFile::load(&ctx.env.state_dir());
    let last = state.ok().and_then(|file| file.state.last_run_of_all);
    let left_last = last.map(|last| last.unfinished).unwrap_or_default();
    print(args, format, &machine.with_users(all, &left_last), ctx)
}
