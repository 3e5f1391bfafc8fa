//! `ccretain ledger`: what was recorded, and whether the records hold together.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::context::{Context, Exit, Failure};
use super::moment::{Since, since};
use super::session;
use crate::error::chain;
use crate::ledger::{self, Filter};
use crate::report::certificate::Given;
use crate::report::ledger::Shown;
use crate::report::verification::Verified;
use crate::run::journal;

/// What to do with the ledger.
#[derive(Debug, Clone, Subcommand)]
pub enum LedgerCommand {
    /// Show what was recorded, oldest first: a row a run.
    ///
    /// -v and every option but --since show a row a record.
    Show(LedgerShow),
    /// Check the chain from end to end and name the first record that is wrong.
    ///
    /// Exits with 0 where it is intact and 1 where it is not. The chain alone cannot show
    /// that its newest records were removed; a head that was kept elsewhere can.
    Verify(LedgerVerify),
}

/// What `ledger verify` takes.
#[derive(Debug, Clone, Args)]
pub struct LedgerVerify {
    /// A head kept elsewhere (SHA-256, 64 hex digits), which must be in the chain.
    #[arg(long, value_name = "HASH", value_parser = head)]
    pub head: Option<String>,
    /// A certificate of a purge (.json or .html), which must belong to this ledger.
    ///
    /// The ledger holds its hash, so one that was changed is told apart. Whether it is signed by
    /// the right key is for `ssh-keygen -Y verify`, as the certificate says.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
}

/// What `ledger show` takes.
#[derive(Debug, Clone, Args)]
pub struct LedgerShow {
    /// Only what was written since this time, or within this period (such as 7d).
    #[arg(long, value_name = "TIME|PERIOD", value_parser = since)]
    pub since: Option<Since>,
    /// Only this many records, the newest.
    #[arg(short = 'n', value_name = "N", value_parser = number)]
    pub newest: Option<usize>,
    /// Only what concerns this session (a whole id, or 8 or more of its first characters).
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Only what this run wrote (its id, or the beginning of it).
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "write a whole number".to_owned())
}

fn head(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a head is a SHA-256: 64 hex digits".to_owned())
    }
}

/// Runs the verb. Takes no lock: a run may be writing meanwhile.
///
/// # Errors
/// When the ledger cannot be read, or a session is named in a way that fits several or none.
pub fn run(command: &LedgerCommand, ctx: &Context) -> Result<Exit, Failure> {
    match command {
        LedgerCommand::Show(args) => show(args, ctx),
        LedgerCommand::Verify(args) => verify(args, ctx),
    }
}

/// Where the user's own ledger lies, or that of all.
fn place(ctx: &Context) -> ledger::Place {
    if ctx.global.all_users { journal::place_of_all(ctx) } else { journal::own_place(ctx) }
}

fn show(args: &LedgerShow, ctx: &Context) -> Result<Exit, Failure> {
    let dir = place(ctx).dir;
    let since = match &args.since {
        None => None,
        Some(Since::Time(time)) => Some(*time),
        Some(Since::Ago(span)) => Some(ctx.env.now.checked_sub_signed(*span).unwrap_or_default()),
    };
    let sessions = match &args.session {
        Some(named) => session::in_ledger(named, &dir, ctx)?,
        None => BTreeSet::new(),
    };
    let filter = Filter { newest: args.newest, since, sessions, run: args.run.clone() };
    let mut shown = Shown { items: Vec::new(), errors: Vec::new() };
    for item in ledger::records(&dir, &filter)? {
        match item {
            Ok(item) => shown.items.push(item),
            Err(error) => shown.errors.push(chain(&error)),
        }
    }
    if ctx.global.json {
        ctx.console.json(&shown.json())?;
    } else {
        // Whoever names a run, a session or a number asks for its records.
        let is_narrow = args.newest.is_some() || args.session.is_some() || args.run.is_some();
        let (now, paint) = (ctx.env.now, ctx.paint());
        let by_record = is_narrow || ctx.global.verbose > 0;
        ctx.console.data(&if by_record { shown.text(now, paint) } else { shown.by_run(now, paint) })?;
    }
    for error in &shown.errors {
        ctx.console.error(error);
    }
    Ok(if shown.errors.is_empty() { Exit::Done } else { Exit::Failed })
}

fn verify(args: &LedgerVerify, ctx: &Context) -> Result<Exit, Failure> {
    let given = args.certificate.as_deref().map(|file| Given::read(&ctx.env.absolute(file))).transpose()?;
    let head = args.head.as_deref();
    // What the last run remembered is no proof, for who can cut the ledger can write the state
    // too; but where it is missing from the chain, that is worth a warning.
    let place = place(ctx);
    let remembered = || ledger::remembered(&place).ok().flatten().map(|head| head.sha256);
    let compared = head.map(str::to_owned).or_else(remembered);
    // A policy that cannot be used is told of elsewhere; the chain is there all the same.
    let policy = crate::run::in_force(ctx).ok();
    let expected = ledger::Expected {
        head: compared.as_deref(),
        keep: policy.as_ref().map(ledger::KeepInForce::of),
        now: ctx.env.now,
    };
    let found = ledger::verify(&place.dir, &expected)?;
    let checked = match given {
        Some(given) => {
            let records = ledger::records(&place.dir, &Filter::default())?;
            Some(given.check(records)?)
        }
        None => None,
    };
    let verified = Verified { found: &found, was_given: head.is_some(), certificate: checked.as_ref() };
    if ctx.global.json {
        ctx.console.json(&verified.json())?;
    } else {
        ctx.console.data(&verified.text(ctx.paint()))?;
    }
    if verified.lacks_remembered() {
        ctx.console.warning(
            "the head that the last run noted is not in the chain: the newest records may have been removed",
        );
    }
    if verified.is_sound() {
        return Ok(Exit::Done);
    }
    for wrong in verified.wrong() {
        ctx.console.error(wrong);
    }
    Ok(Exit::Failed)
}
