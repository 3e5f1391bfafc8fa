//! Where a run records what it does: in the user's own ledger, or with the parent of a run over all
//! users, who alone writes that one.

use std::io;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::link::{FromChild, Link};
use super::{Context, Error};
use crate::catalogue::Root;
use crate::ledger::{self, Clock, Entry, Event, Head, Journal, Ledger, Place, RunId};
use crate::locate;
use crate::policy::LedgerPolicy;

/// About how much is sent to the parent in one message, in bytes.
const MESSAGE: usize = 4 << 20;
/// As many runs are looked back on.
const RUNS: usize = 400;
/// What a run that was refused exits with.
const REFUSED: u64 = 4;

/// An open ledger, one's own or the parent's.
#[derive(Debug)]
pub enum RunJournal {
    /// The user's own.
    Own(Box<Ledger>),
    /// That of the parent, at the other end of the pipe.
    Parent(Link),
}

/// The id of this run: a new one, or that of the parent.
pub fn run_id(ctx: &Context) -> RunId {
    ctx.parent.as_ref().map_or_else(RunId::random, |parent| RunId(parent.hello().run.clone()))
}

/// The config folders and temp trees that runs of the user worked on, by his own ledger; none where the
/// parent keeps it, or it cannot be read.
pub fn roots(ctx: &Context) -> Vec<PathBuf> {
    if ctx.parent.is_some() {
        return Vec::new();
    }
    let roots = ledger::roots(&ctx.env.ledger_dir()).unwrap_or_default();
    // A run leaves its lock in each config folder; the other trees lie where they always do. One that is not there
    // may be on a volume that is not mounted today.
    let is_gone = |root: &PathBuf| locate::is_gone(root) && !locate::is_no_config(&ctx.env, root);
    let is_one = |root: &PathBuf| {
        locate::bears_its_name(&ctx.env, root, Root::Temp)
            || (*root != ctx.env.user.home && root.join("ccretain").is_dir())
            || is_gone(root)
    };
    roots.into_iter().map(PathBuf::from).filter(is_one).collect()
}

/// Whether the user's own ledger records a run that ended well enough to remember what it saw.
pub fn any_run_ended(ctx: &Context) -> bool {
    let has_ended = |record: &ledger::Record| {
        let is_run = record.is_of_enforce() || record.text("decision") == Some("purge");
        is_run && record.exit() != Some(REFUSED)
    };
    ledger::summaries(&ctx.env.ledger_dir(), RUNS).is_ok_and(|runs| runs.iter().any(has_ended))
}

/// Opens the user's own ledger; its lock is also that of the state and of the user's holds.
///
/// # Errors
/// Exit 4 where there can be no evidence, 75 where another run writes; nothing was changed.
pub fn own_ledger(ctx: &Context, policy: &LedgerPolicy, run: &RunId, clock: Clock) -> Result<Ledger, Error> {
    let ledger = open_own(ctx, policy, run, clock)?;
    if let Some(cut) = ledger.cut() {
        ctx.screen.warning(cut);
    }
    Ok(ledger)
}

fn open_own(ctx: &Context, policy: &LedgerPolicy, run: &RunId, clock: Clock) -> Result<Ledger, Error> {
    Ledger::open(&own_place(ctx), policy, run, clock, ctx.env.now).map_err(Error::Ledger)
}

/// Where the user's own ledger lies.
pub fn own_place(ctx: &Context) -> Place {
    Place { dir: ctx.env.ledger_dir(), state_dir: ctx.env.state_dir(), is_of_all: false }
}

/// Where the ledger of a run over all users lies.
pub fn place_of_all(ctx: &Context) -> Place {
    Place { dir: ctx.env.system_ledger_dir(), state_dir: ctx.env.state_dir(), is_of_all: true }
}

/// The record that opens a run: by which policy, and what for where it is not to enforce it.
pub fn started(policy: &str, deed: Option<&'static str>) -> Entry<'static> {
    let mut entry = Entry::new(Event::Started);
    entry.policy = Some(policy.to_owned().into());
    entry.decision = deed.map(Into::into);
    entry
}

/// The record that closes a run: by which policy, what for, and what it came to.
pub fn summary(policy: &str, deed: &'static str, counts: &[(&'static str, u64)], exit: u8) -> Entry<'static> {
    let mut entry = Entry::new(Event::Summary);
    entry.policy = Some(policy.to_owned().into());
    entry.decision = Some(deed.into());
    let counts = counts.iter().copied().chain([("exit", u64::from(exit))]);
    entry.counts = counts.map(|(name, count)| (name.into(), count)).collect();
    entry
}

/// The newest time in the ledger whose clock was proven.
///
/// # Errors
/// Exit 4: the ledger cannot be read.
pub fn last_time(ctx: &Context) -> Result<Option<DateTime<Utc>>, Error> {
    if let Some(parent) = &ctx.parent {
        return Ok(parent.hello().ledger_time);
    }
    ledger::last_time(&ctx.env.ledger_dir()).map_err(Error::LedgerUnread)
}

impl RunJournal {
    /// Opens the ledger for a run.
    ///
    /// # Errors
    /// Exit 4 where there can be no evidence, 75 where another run writes; nothing was changed.
    pub fn open(ctx: &Context, policy: &LedgerPolicy, run: &RunId, clock: Clock) -> Result<Self, Error> {
        let (journal, cut) = Self::open_silently(ctx, policy, run, clock)?;
        if let Some(cut) = cut {
            ctx.screen.warning(&cut);
        }
        Ok(journal)
    }

    /// The same for a run that reports by itself what was removed from the ledger.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_silently(
        ctx: &Context,
        policy: &LedgerPolicy,
        run: &RunId,
        clock: Clock,
    ) -> Result<(Self, Option<String>), Error> {
        if let Some(parent) = &ctx.parent {
            // A child has no ledger of its own to open: what the user's account could write, the user could
            // write, too.
            let asked = parent.ask(&FromChild::Open { proven: clock == Clock::Proven });
            return asked.map(|()| (Self::Parent(parent.clone()), None)).map_err(Error::ParentLedger);
        }
        tracing::debug!(run = run.0, clock = ?clock, "opening the ledger");
        let ledger = open_own(ctx, policy, run, clock)?;
        let cut = ledger.cut().map(str::to_owned);
        Ok((Self::Own(Box::new(ledger)), cut))
    }

    /// Closes the run with its summary; gives the head of the ledger where it is one's own.
    ///
    /// # Errors
    /// When the summary is not on disk.
    pub fn close(&mut self, summary: Entry<'static>, now: DateTime<Utc>) -> io::Result<Option<Head>> {
        match self {
            Self::Own(ledger) => ledger.close(summary, now).map(Some),
            Self::Parent(parent) => {
                parent.ask(&FromChild::Close { summary: Box::new(summary) }).map(|()| None)
            }
        }
    }
}

impl Journal for RunJournal {
    fn append(&mut self, entries: &[Entry<'_>], now: DateTime<Utc>) -> io::Result<()> {
        match self {
            Self::Own(ledger) => ledger.append(entries, now),
            Self::Parent(parent) => {
                let entries = entries.iter().flat_map(|entry| entry.clone().into_owned().split(MESSAGE));
                let (mut batch, mut weight) = (Vec::new(), 0);
                for entry in entries {
                    weight += entry.weight();
                    // The parent ends a child whose message is too long. Each part is on disk before the next
                    // is sent, and the deeds wait for the last.
                    if weight > MESSAGE && !batch.is_empty() {
                        parent.ask(&FromChild::Append { entries: std::mem::take(&mut batch) })?;
                        weight = entry.weight();
                    }
                    batch.push(entry);
                }
                parent.ask(&FromChild::Append { entries: batch })
            }
        }
    }
}
