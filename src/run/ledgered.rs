//! A run of a command that changes sealed sessions: stores locked, ledger open, state at hand.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::{Context, Error, Workspace, journal};
use crate::catalogue::SessionId;
use crate::enforce::lock;
use crate::ledger::{Clock, Entry, Event, Ledger, RunId};
use crate::state::{StateFile, Unsealed};

/// A command with the store locked and the ledger open.
pub struct LedgeredRun {
    pub ledger: Ledger,
    /// What is remembered; loaded under the ledger's lock.
    pub state: StateFile,
    run: RunId,
    command: &'static str,
    policy: String,
    /// Whether what was done is to be recorded already, or was: from then on a failure is no refusal.
    has_changed: bool,
    _locks: lock::Locks,
}

impl LedgeredRun {
    /// Opens the ledger and records that the command begins; the locks are taken before the look into
    /// the stores ([`super::lock_all`]).
    ///
    /// # Errors
    /// Exit 4 where there can be no evidence, 75 where another run works.
    pub fn begin(
        command: &'static str,
        ctx: &Context,
        workspace: &Workspace,
        locks: lock::Locks,
    ) -> Result<Self, Error> {
        let run = RunId::random();
        let policy = workspace.policy.digest.clone();
        let mut ledger = journal::own_ledger(ctx, &workspace.policy.ledger.value, &run, Clock::Unproven)?;
        // After the ledger is open, whose lock is that of the state as well.
        let mut state = StateFile::load(&ctx.env.state_dir()).map_err(Error::StateRefused)?;
        let first = journal::started(&policy, Some(command));
        ledger.append(&[first], ctx.env.now).map_err(Error::Unrecorded)?;
        // Sealed files of a temp tree come back to a root that may be gone by then.
        workspace.remember_roots_in(&mut state.state, ctx);
        Ok(Self { ledger, state, run, command, policy, has_changed: false, _locks: locks })
    }

    /// Its id.
    pub fn run(&self) -> &str {
        &self.run.0
    }

    /// Records an intent, only then may the change begin, or an outcome.
    ///
    /// # Errors
    /// It is not in the ledger: exit 4 as long as nothing was changed, then 1.
    pub fn record(&mut self, entries: &[Entry<'_>], ctx: &Context) -> Result<(), Error> {
        self.has_changed |= entries.iter().any(|entry| entry.event == Event::Outcome);
        let why = if self.has_changed { Error::OutcomeUnrecorded } else { Error::Unrecorded };
        self.ledger.append(entries, ctx.env.now).map_err(why)
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
        let why = if self.has_changed { Error::State } else { Error::StateRefused };
        self.state.save().map(drop).map_err(why)
    }

    /// Closes the ledger and saves what is remembered.
    ///
    /// # Errors
    /// Exit 1: something of it could not be written.
    pub fn end(mut self, counts: &[(&'static str, u64)], exit: u8, ctx: &Context) -> Result<(), Error> {
        let summary = journal::summary(&self.policy, self.command, counts, exit);
        // Before the ledger is closed: a summary says that the run came to its end.
        self.state.save().map_err(Error::State)?;
        self.ledger.close(summary, ctx.env.now).map_err(Error::Unclosed)?;
        Ok(())
    }
}
