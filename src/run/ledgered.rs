//! A run of a command that records what it does: an intent before, an outcome after, a summary at its end.

use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::journal::{self, RunJournal};
use super::{Context, Error, Workspace, must_be_unchanged};
use crate::catalogue::SessionId;
use crate::enforce::lock;
use crate::ledger::{Clock, Entry, Event, Journal, RunId};
use crate::policy::Policy;
use crate::state::{StateFile, Unsealed};

/// Why no further session may follow, with what became of the one at hand where only its record is missing.
#[derive(Debug)]
pub struct Ended<Item> {
    pub item: Option<Box<Item>>,
    pub error: Error,
}

impl<Item> From<Error> for Ended<Item> {
    fn from(error: Error) -> Self {
        Self { item: None, error }
    }
}

/// A command with the ledger open, and what it changes locked.
pub struct LedgeredRun {
    journal: RunJournal,
    run: RunId,
    command: &'static str,
    policy: String,
    /// Whether what was done is to be recorded already, or was: from then on a failure is no refusal.
    has_changed: bool,
    // Dropped with the run: whoever waits must find its last record.
    _locks: lock::Locks,
}

impl LedgeredRun {
    /// Opens the ledger, whose lock is that of the state and of the holds as well; the locks of stores are taken before
    /// the look into them ([`super::lock_all`]).
    ///
    /// # Errors
    /// Exit 4 where there can be no evidence, 75 where another run works.
    pub fn open(
        command: &'static str,
        ctx: &Context,
        policy: &Policy,
        clock: Clock,
        locks: lock::Locks,
    ) -> Result<Self, Error> {
        // A child of a run over all accounts records under the id of its parent.
        let run = journal::run_id(ctx);
        let journal = RunJournal::open(ctx, &policy.ledger.value, &run, clock)?;
        let policy = policy.digest.clone();
        Ok(Self { journal, run, command, policy, has_changed: false, _locks: locks })
    }

    /// The same, and records that the command begins.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn begin(
        command: &'static str,
        ctx: &Context,
        policy: &Policy,
        locks: lock::Locks,
    ) -> Result<Self, Error> {
        let mut run = Self::open(command, ctx, policy, Clock::Unproven, locks)?;
        run.record(&[journal::started(&policy.digest, Some(command))], ctx)?;
        Ok(run)
    }

    pub fn id(&self) -> &str {
        &self.run.0
    }

    /// Records an intent, only then may the change begin, or an outcome.
    ///
    /// # Errors
    /// It is not in the ledger: exit 4 as long as nothing was changed, then 1.
    pub fn record(&mut self, entries: &[Entry<'_>], ctx: &Context) -> Result<(), Error> {
        self.append(entries, ctx.env.now).map_err(|error| self.unrecorded(error))
    }

    /// What it means that the ledger could not be written.
    pub fn unrecorded(&self, error: io::Error) -> Error {
        if self.has_changed { Error::OutcomeUnrecorded(error) } else { Error::Unrecorded(error) }
    }

    /// Closes the ledger.
    ///
    /// # Errors
    /// Exit 1: the summary could not be written.
    pub fn end(mut self, counts: &[(&'static str, u64)], exit: u8, ctx: &Context) -> Result<(), Error> {
        let summary = journal::summary(&self.policy, self.command, counts, exit);
        self.journal.close(summary, ctx.env.now).map(drop).map_err(Error::Unclosed)
    }
}

impl Journal for LedgeredRun {
    fn append(&mut self, entries: &[Entry<'_>], now: DateTime<Utc>) -> io::Result<()> {
        // What is recorded after an intent has been done by then.
        let is_before = |entry: &Entry<'_>| matches!(entry.event, Event::Started | Event::Intent);
        self.has_changed |= !entries.iter().all(is_before);
        self.journal.append(entries, now)
    }
}

/// A run on sealed sessions, with what is remembered of them.
pub struct SealedRun {
    pub run: LedgeredRun,
    /// Loaded under the ledger's lock.
    pub state: StateFile,
}

impl SealedRun {
    /// Opens the ledger, loads the state, and records that the command begins.
    ///
    /// # Errors
    /// Exit 4 where there can be no evidence, or the state cannot be used; 75 where another run works.
    pub fn begin(
        command: &'static str,
        ctx: &Context,
        workspace: &Workspace,
        locks: lock::Locks,
    ) -> Result<Self, Error> {
        let policy = &workspace.policy;
        let mut run = LedgeredRun::open(command, ctx, policy, Clock::Unproven, locks)?;
        must_be_unchanged(policy, ctx)?;
        // After the ledger is open, whose lock is that of the state as well.
        let mut state = StateFile::load(&ctx.env.state_dir()).map_err(Error::StateRefused)?;
        run.record(&[journal::started(&policy.digest, Some(command))], ctx)?;
        // Sealed files of a temp tree come back to a root that may be gone by then.
        workspace.remember_roots_in(&mut state.state, ctx);
        Ok(Self { run, state })
    }

    /// Remembers the true date of a session, before its files come back: a crash must not leave a touched file whose
    /// date nobody knows.
    ///
    /// # Errors
    /// It cannot be remembered: exit 4 as long as nothing was changed, then 1.
    pub fn remember_unsealed(
        &mut self,
        store: &Path,
        session: SessionId,
        last_activity: DateTime<Utc>,
        recorded: Option<DateTime<Utc>>,
        ctx: &Context,
    ) -> Result<(), Error> {
        self.state.state.remember_unsealed(Unsealed {
            store: store.to_path_buf(),
            session: session.to_string(),
            last_activity,
            unsealed_at: ctx.env.now,
            recorded,
            unknown: serde_json::Map::default(),
        });
        // At once and not at the end of the run, as the files come back right after.
        let why = if self.run.has_changed { Error::State } else { Error::StateRefused };
        self.state.save().map(drop).map_err(why)
    }

    /// Saves what is remembered and closes the ledger.
    ///
    /// # Errors
    /// Exit 1: something of it could not be written.
    pub fn end(mut self, counts: &[(&'static str, u64)], exit: u8, ctx: &Context) -> Result<(), Error> {
        // Before the ledger is closed, whose lock is that of the state as well.
        let saved = self.state.save();
        let exit = if saved.is_err() { exit.max(1) } else { exit };
        // Whatever became of the state: without a summary nobody knows what the run came to.
        self.run.end(counts, exit, ctx)?;
        saved.map(drop).map_err(Error::State)
    }
}
