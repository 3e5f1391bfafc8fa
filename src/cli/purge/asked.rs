//! What was typed as what is wanted, and what forbids it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};

use crate::catalogue::{Class, SessionId};
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::moment::moment;
use crate::cli::remedy;
use crate::cli::session;
use crate::error::chain;
use crate::escape::shown;
use crate::guard::{self, ClockVerdict};
use crate::inventory::Inventory;
use crate::inventory::lines::LineFile;
use crate::inventory::liveness::Liveness;
use crate::ledger::Clock;
use crate::locate::{Refusal, Refused};
use crate::plan::purge::{self as taking, Breaks, Except, Purging, Wanted};
use crate::policy::Layer;
use crate::policy::compile::Globs;
use crate::purge::certificate::Witness;
use crate::report::purge::obstacle;
use crate::run::Workspace;
use crate::run::guards;

/// What `purge` takes.
#[derive(Debug, Clone, Args)]
pub struct PurgeArgs {
    /// Only say what would go.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(short, long, conflicts_with = "dry_run")]
    pub yes: bool,
    /// Only sessions of projects that match this glob (repeatable).
    #[arg(long = "project", value_name = "GLOB")]
    pub projects: Vec<String>,
    /// Only this session (its id, or 8 or more of its first characters).
    #[arg(long, value_name = "ID", conflicts_with_all = ["projects", "before"])]
    pub session: Option<String>,
    /// Only what was last active before this time (2026-01-31 or 2026-01-31T12:00:00Z).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub before: Option<DateTime<Utc>>,
    /// Remove these too (separated by commas).
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CLASS")]
    pub with: Vec<With>,
    /// Keep unrecognised files that match, by their path in the store (repeatable): each is listed, and is no
    /// reason to call the purge incomplete.
    #[arg(long, value_name = "GLOB")]
    pub except: Vec<String>,
    /// Do not stop for a client that is running; its locks and keys stay.
    #[arg(long)]
    pub even_live: bool,
    /// Break the user's own holds, for this reason; root breaks all, and the organisation's floors.
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub break_holds: Option<String>,
    /// Write the certificate: FILE.json, FILE.html or FILE.txt (repeatable).
    #[arg(long, value_name = "FILE")]
    pub certificate: Vec<PathBuf>,
    /// Sign the certificate with this SSH key (`ssh-keygen -Y sign`).
    #[arg(long, value_name = "KEY", requires = "certificate")]
    pub sign: Option<PathBuf>,
}

/// What a purge takes only when told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum With {
    /// Tokens of Claude Code's account.
    Credentials,
    /// What the user wrote or installed, and Claude Code's own state.
    Settings,
    /// Notes Claude Code keeps about the user and the projects.
    Memory,
    /// Files that the catalogue does not know.
    Unrecognised,
    /// The key that opens sealed files, once nothing sealed is left.
    Identity,
}

/// What was typed, as what is wanted.
pub(super) fn wanted(args: &PurgeArgs, ctx: &Context) -> Result<Wanted, Failure> {
    let globs = args.projects.iter().map(|glob| Globs::new(&ctx.env).compile(glob));
    let projects = globs.collect::<Result<Vec<_>, _>>().map_err(|error| {
        Failure::because(Exit::Usage, &error)
            .hint("give the whole path, with ** for all below: `--project '/work/acme/**'`")
    })?;
    let except = args.except.iter().map(|glob| {
        Except::parse(glob).map_err(|error| {
            let message = format!("cannot keep '{}' by --except: {}", shown(glob), chain(&error));
            Failure::new(Exit::Usage, message).hint("`ccretain purge --dry-run` lists what is not recognised")
        })
    });
    let except = except.collect::<Result<Vec<_>, _>>()?;
    let class = |with: &With| match with {
        With::Credentials => Some(Class::Credentials),
        With::Settings => Some(Class::Settings),
        With::Memory => Some(Class::Memory),
        With::Unrecognised | With::Identity => None,
    };
    // The parent of a run over all users is root, and said so.
    let is_root = ctx.env.user.uid == 0 || ctx.parent.is_some();
    Ok(Wanted {
        projects,
        session: None,
        before: args.before,
        with: args.with.iter().filter_map(class).collect(),
        unrecognised: args.with.contains(&With::Unrecognised),
        except,
        even_live: args.even_live,
        breaks: match args.break_holds {
            None => Breaks::Nothing,
            // What binds the organisation is no user's to break, and root can remove the policy itself.
            Some(_) if is_root => Breaks::All,
            Some(_) => Breaks::Own,
        },
        inner_links: HashSet::new(),
        copies: HashMap::new(),
    })
}

/// The session that was named; it may be known by its lines alone.
pub(super) fn session(
    args: &PurgeArgs,
    ctx: &Context,
    inventory: &Inventory,
    refused: &[Refused],
) -> Result<Option<SessionId>, Failure> {
    let Some(named) = &args.session else { return Ok(None) };
    let missing = match session::find(inventory, named, ctx) {
        Ok(found) => return Ok(Some(inventory.session(found).id)),
        Err(failure) => failure,
    };
    // A prefix could mean several; only a whole id is taken for one of which nothing but lines is left.
    let Ok(id) = named.parse::<SessionId>() else { return Err(missing) };
    // It is there, in a store that was not named: to find no lines of it here would look like a purge of it.
    let is_elsewhere = inventory.sessions.iter().any(|session| session.id == id);
    let in_scope = |file: &&LineFile| {
        let store = inventory.store_of(inventory.artifact(file.artifact));
        inventory.store(store).store.in_scope
    };
    let mut lines = inventory.line_files.iter().filter(in_scope).flat_map(|file| &file.content.lines);
    // Of many accounts few have the session.
    let is_of_another_account = ctx.parent.is_some();
    if !is_elsewhere && (is_of_another_account || lines.any(|line| line.session == Some(id))) {
        return Ok(Some(id));
    }
    // It may be in a store that was to be taken, and could not be.
    let unlocked = refused.iter().find(|refused| matches!(refused.why, Refusal::Unlockable(_)));
    let Some(refused) = unlocked else { return Err(missing) };
    let Refused { path, why, .. } = refused;
    let message = format!("{}: '{}' was refused as a store: {}", missing.message, shown(path), chain(why));
    Err(Failure { hint: remedy::of_refused(refused), ..Failure::new(Exit::Refused, message) })
}

/// The stores that were named with `--store`.
pub(super) fn named_stores(ctx: &Context) -> Vec<PathBuf> {
    ctx.global.stores.iter().map(|path| ctx.env.absolute(path)).collect()
}

/// Whether what was refused is of what was asked for.
pub(super) fn is_meant(refused: &Refused, only: &[PathBuf]) -> bool {
    // Only what may be changed is locked, and it bears its real path.
    only.is_empty() || only.contains(&refused.path) || matches!(refused.why, Refusal::Unlockable(_))
}

/// What the clock guard says, where dates matter.
pub(super) struct ClockSays {
    pub verdict: ClockVerdict,
    pub doubt: Option<guard::ClockDoubt>,
    /// Whether a date decides about anything.
    matters: bool,
}

impl ClockSays {
    /// What the ledger says of its times.
    pub(super) fn kind(&self, witness: Witness) -> Clock {
        if self.verdict.is_allowed() || self.matters && witness == Witness::Terminal {
            Clock::Proven
        } else {
            Clock::Unproven
        }
    }

    pub(super) fn refusal(&self) -> Option<String> {
        match self.verdict {
            ClockVerdict::Refused(refusal) if self.matters => {
                Some(format!("{refusal}; `--before`, holds that end and `keepAtLeast` go by dates"))
            }
            _ => None,
        }
    }
}

/// Asks the clock guard: a purge of everything goes by no date, but a part of it does, and so do
/// holds that end and floors.
pub(super) fn clock(
    ctx: &Context,
    ground: &Workspace,
    inventory: &Inventory,
    wanted: &Wanted,
    args: &PurgeArgs,
) -> Result<ClockSays, Failure> {
    let (verdict, doubt) = guards::clock(&ground.state.state, inventory, ctx)?;
    let ends = ground.policy.holds().any(|(hold, _)| hold.until.is_some());
    let floors = ground.policy.mandates.iter().filter_map(|mandate| mandate.keep_at_least.as_ref());
    let mut floors = floors.filter(|floor| matches!(floor.source.layer, Layer::System | Layer::Managed));
    // A wrong clock could make a hold end that has years to go.
    let is_bound = (ends || floors.next().is_some()) && wanted.breaks != Breaks::All;
    Ok(ClockSays { verdict, doubt, matters: args.before.is_some() || is_bound })
}

/// Everything that forbids it, in words.
pub(super) fn refusals(
    ctx: &Context,
    ground: &Workspace,
    inventory: &Inventory,
    purging: &Purging,
    wanted: &Wanted,
    clock: &ClockSays,
) -> Vec<String> {
    let only = named_stores(ctx);
    let is_meant = |refused: &&Refused| is_meant(refused, &only);
    // What is not there, and what another user could put there at any time, keeps nobody from the rest.
    let is_refused = |refused: &&Refused| {
        !(refused.why.is_absence()
            || matches!(refused.why, Refusal::Unreachable(_) | Refusal::Guarded(_) | Refusal::Squatted(_)))
    };
    let mut refusals: Vec<String> =
        ground.refused.iter().filter(is_meant).filter(is_refused).map(Refused::message).collect();
    if !wanted.even_live {
        let mut by_store: BTreeMap<_, BTreeSet<u32>> = BTreeMap::new();
        let mut unread = BTreeSet::new();
        for (store, client) in taking::clients(inventory) {
            match client.liveness {
                Liveness::Unread => drop(unread.insert(store)),
                _ => drop(by_store.entry(store).or_default().insert(client.pid)),
            }
        }
        let root = |store| shown(&inventory.store(store).store.root).to_string();
        for (store, pids) in by_store {
            let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
            let noun = if pids.len() == 1 { "pid" } else { "pids" };
            refusals.push(format!(
                "Claude Code is running in '{}' ({noun} {})",
                root(store),
                pids.join(", ")
            ));
        }
        let unread = unread.into_iter().map(root);
        refusals.extend(unread.map(|root| {
            format!("Claude Code may be running in '{root}': what says so in 'sessions' cannot be read")
        }));
    }
    refusals.extend(purging.stops.iter().map(|stop| obstacle(stop, &ground.policy)));
    // A person at a terminal is shown the doubt and decides.
    refusals.extend(clock.refusal().filter(|_| !ctx.console.can_ask()));
    refusals
}
