//! The user's own holds are changed: what does so is in the ledger first, whose lock is that of the holds, too.

use std::path::PathBuf;

use super::{Context, Error, LedgeredRun, Workspace, guards};
use crate::catalogue::Root;
use crate::enforce::lock::Locks;
use crate::enforce::preserve;
use crate::error::chain;
use crate::escape::{shown, text};
use crate::inventory::Inventory;
use crate::ledger::{Clock, Entry, Event};
use crate::policy::holds;
use crate::policy::settings::HoldSettings;
use crate::state::{State, StateFile};

/// How many sessions of a hold have a copy, and the stores that could not be asked.
pub fn copies(ground: &Workspace, name: &str) -> (usize, Vec<String>) {
    let (mut found, mut unknown) = (0, Vec::new());
    for store in ground.stores.iter().filter(|store| store.kind == Root::Config) {
        match preserve::count(store, name) {
            Ok(count) => found += count,
            Err(error) => {
                unknown.push(format!("cannot look for copies in '{}': {error}", shown(&store.root)))
            }
        }
    }
    (found, unknown)
}

/// A command that changes them.
pub struct Holding<'a> {
    ctx: &'a Context,
    command: &'static str,
    pub run: LedgeredRun,
    pub path: PathBuf,
    /// What the file has.
    pub own: Vec<HoldSettings>,
}

impl<'a> Holding<'a> {
    /// Opens the ledger, and reads the holds now that nobody else writes.
    pub fn begin(
        command: &'static str,
        ground: &Workspace,
        inventory: &Inventory,
        locks: Locks,
        ctx: &'a Context,
    ) -> Result<Self, Error> {
        let (verdict, _) = guards::clock(&ground.state.state, inventory, ctx)?;
        // A doubted clock keeps nobody from placing a hold: it only must not vouch for itself in the ledger.
        let clock = if verdict.is_allowed() { Clock::Proven } else { Clock::Unproven };
        let run = LedgeredRun::open(command, ctx, &ground.policy, clock, locks)?;
        let path = holds::path(&ctx.env.config_dir());
        let own = holds::read(&path).map_err(Error::Holds)?.unwrap_or_default();
        Ok(Self { ctx, command, run, path, own })
    }

    fn record(&mut self, event: Event, about: &Entry<'_>, verb: &'static str) -> Result<(), Error> {
        let entry = Entry { event, decision: Some(verb.into()), ..about.clone() };
        self.run.record(&[entry], self.ctx)
    }

    /// Writes the holds between the two records of it: one that nobody recorded cannot be told from one that somebody
    /// forged.
    pub fn write(&mut self, done: Event, name: &str, reason: &str) -> Result<(), Error> {
        let mut entry = Entry::new(done);
        entry.hold = Some(text(name).into());
        entry.reason = Some(text(reason).into());
        entry.path = Some(text(&self.path).into());
        self.record(Event::Intent, &entry, self.command)?;
        if let Err(error) = holds::write(&self.path, &self.own) {
            entry.error = Some(chain(&error).into());
            entry.outcome = Some("failed".into());
            // The file is what it was; a ledger that cannot be written either changes nothing about that.
            let _ = self.record(Event::Outcome, &entry, self.command);
            return Err(error.into());
        }
        self.record(done, &entry, self.command)
    }

    /// Removes the copies of a hold, recorded before and after; gives what failed.
    pub fn remove_copies(&mut self, name: &str, ground: &Workspace) -> Result<Vec<String>, Error> {
        let mut failed = Vec::new();
        // After the hold: copies without a hold are found and removed later, a hold without its copies would
        // promise what is gone.
        for store in ground.stores.iter().filter(|store| store.kind == Root::Config) {
            if preserve::count(store, name).is_ok_and(|count| count == 0) {
                continue;
            }
            let mut entry = Entry::new(Event::Intent);
            entry.hold = Some(text(name).into());
            entry.store = Some(text(&store.root).into());
            self.record(Event::Intent, &entry, "remove-copies")?;
            match preserve::remove(store, name) {
                Ok(files) => {
                    entry.files = Some(files);
                    entry.outcome = Some("deleted".into());
                }
                Err(error) => {
                    entry.outcome = Some("failed".into());
                    entry.error = Some(error.to_string().into());
                    failed.push(format!("cannot remove the copies in '{}': {error}", shown(&store.root)));
                }
            }
            self.record(Event::Outcome, &entry, "remove-copies")?;
        }
        Ok(failed)
    }

    /// Remembers what is held, and closes the ledger.
    pub fn end(self, exit: u8, remember: impl FnOnce(&mut State)) -> Result<(), Error> {
        // Before the ledger is closed, whose lock is that of the state as well.
        let saved = StateFile::load(&self.ctx.env.state_dir()).and_then(|mut file| {
            remember(&mut file.state);
            file.save()
        });
        let exit = if saved.is_ok() { exit } else { exit.max(1) };
        self.run.end(&[], exit, self.ctx)?;
        saved.map(drop).map_err(Error::State)
    }
}
