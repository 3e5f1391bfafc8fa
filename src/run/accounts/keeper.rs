//! What the parent of a run over all users keeps for one account: its records, and what it reports.
//!
//! Whatever a child sends is bounded here, in bytes that come in and in bytes that are written, and
//! no count is believed that was not recorded.

#[cfg(test)]
mod tests;

use std::time::Instant;

use chrono::{DateTime, Utc};

use super::ended::Ended;
use super::kept_state;
use crate::error::chain;
use crate::escape;
use crate::ledger::{self, Clock, Entry, Event, Ledger, Names, Place, RunId, Sought};
use crate::locate::users::Account;
use crate::policy::LedgerPolicy;
use crate::purge::certificate::Parts;
use crate::run::link::{FromChild, Note, ToChild, Totals};

/// The most that is written to the ledger for one account in one run, in bytes.
const MOST_RECORDED: u64 = 256 << 20;
/// The longest file of state that is kept of an account, in bytes.
const MOST_KEPT: usize = 64 << 20;
/// The longest summary of a run, in bytes.
const LONGEST_SUMMARY: usize = 64 << 10;
/// How often a child may ask what the ledger says of its sessions; each time much of it is read.
const MOST_ASKED: u32 = 4;
/// So much of what an account's report says is told with that of the others.
const MOST_NOTES: usize = 64;
const LONGEST_NOTE: usize = 400;
/// The longest report of one account, in bytes.
const LONGEST_REPORT: usize = 32 << 20;

/// What keeps the ledger for all accounts.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub place: Place,
    pub policy: LedgerPolicy,
    pub run: RunId,
    /// Whether the children only look.
    pub is_look: bool,
    /// Whether root's own clock guard vouches for the time.
    pub proven: bool,
    pub last: Option<DateTime<Utc>>,
    pub now: DateTime<Utc>,
    pub began: Instant,
}

impl Keeper {
    /// The time of the run now: that of its start and what has passed since.
    pub(super) fn time(&self) -> DateTime<Utc> {
        let passed = chrono::TimeDelta::from_std(self.began.elapsed()).unwrap_or_default();
        self.now.checked_add_signed(passed).unwrap_or(self.now)
    }
}

/// The parent's side of the conversation with one child.
pub(super) struct Desk<'a> {
    account: &'a Account,
    keeper: &'a Keeper,
    ended: &'a mut Ended,
    ledger: Option<Ledger>,
    has_opened: bool,
    asked: u32,
    state: String,
}

impl<'a> Desk<'a> {
    pub(super) fn new(account: &'a Account, keeper: &'a Keeper, ended: &'a mut Ended) -> Self {
        Self { account, keeper, ended, ledger: None, has_opened: false, asked: 0, state: String::new() }
    }

    /// Handles one message; gives the answer, if it needs one.
    ///
    /// # Errors
    /// It is none that a child of ours sends: the child must be ended.
    pub(super) fn hear(&mut self, line: &[u8]) -> Result<Option<ToChild>, String> {
        let message: FromChild = serde_json::from_slice(line).map_err(|_| no_sense())?;
        match message {
            FromChild::Output { text } => {
                if self.ended.output.len() + text.len() > LONGEST_REPORT {
                    // What was done is done; only the report of it is lost.
                    self.ended.output.clear();
                    self.ended.is_cut = true;
                }
                if !self.ended.is_cut {
                    self.ended.output.push_str(&text);
                }
                Ok(None)
            }
            FromChild::Keep { name, text, ends } => {
                // A name is all that stands between the child's text and a file of root's.
                if !kept_state::FILES.contains(&name.as_str()) {
                    return Err(no_sense());
                }
                if self.state.len() + text.len() > MOST_KEPT {
                    return Err("what is to be remembered of it is too much".to_owned());
                }
                self.state.push_str(&text);
                Ok(ends.then(|| self.keep(&name)))
            }
            FromChild::Figures { text } => {
                self.ended.figures = text;
                Ok(None)
            }
            FromChild::Totals { totals } => {
                if self.ended.totals.is_some() {
                    return Err(no_sense());
                }
                self.total(*totals);
                Ok(None)
            }
            FromChild::Certificate { parts } => {
                if self.ended.parts.is_some()
                    // The certificate is root's word: it must not be the user's who claims that all is gone.
                    || !self.ended.recorded.covers(parts.counts.files, parts.counts.lines, 0)
                {
                    return Err("its certificate claims more than was recorded".to_owned());
                }
                self.ended.parts = Some(Box::new(printable(&parts)?));
                Ok(None)
            }
            FromChild::Deletions { sought } => self.deletions(&sought).map(Some),
            FromChild::Open { proven } => self.open(proven).map(Some),
            FromChild::Append { entries } => self.append(entries).map(Some),
            FromChild::Close { .. } if line.len() > LONGEST_SUMMARY => Err(no_sense()),
            FromChild::Close { summary } => self.close(*summary).map(Some),
        }
    }

    /// Takes what the run comes to, as far as it was recorded; of a look nothing is, and it is shown as what would
    /// be done.
    fn total(&mut self, mut totals: Totals) {
        let recorded = self.ended.recorded;
        let tally = &mut totals.tally;
        if self.keeper.is_look {
            totals.is_done = false;
        } else if totals.is_done {
            let (deleted, sealed) =
                (tally.deleted.max(tally.sessions_deleted), tally.sealed.max(tally.sessions_sealed));
            if !recorded.covers(deleted, tally.pruned_lines, sealed) {
                self.ended.error.get_or_insert_with(more_than_recorded);
                return;
            }
            tally.bytes_freed = tally.bytes_freed.min(recorded.freed());
        } else {
            // A run that could have acted, and says that it did not: what it might have done is no part of a report
            // of what was done.
            *tally = tally.without_acts();
        }
        self.ended.totals = Some(Box::new(fit_to_show(totals)));
    }

    /// Writes a file of state at once: what it says must be known also where the run is killed.
    fn keep(&mut self, name: &str) -> ToChild {
        let text = std::mem::take(&mut self.state);
        match kept_state::write(&self.keeper.place.state_dir, self.account.uid, name, &text) {
            Ok(()) => ToChild::Done,
            Err(error) => ToChild::Failed { error: chain(&error), locked: false },
        }
    }

    /// What the ledger says of sessions of this account, and of no other's.
    fn deletions(&mut self, sought: &[Sought]) -> Result<ToChild, String> {
        self.asked += 1;
        if self.asked > MOST_ASKED {
            return Err(no_sense());
        }
        let Place { dir, state_dir, .. } = &self.keeper.place;
        let name = crate::escape::text(&self.account.name);
        let found = Names::load(state_dir)
            .and_then(|names| ledger::deletions(dir, names.as_ref(), Some(&name), sought));
        Ok(match found {
            Ok(found) => ToChild::Deletions { found },
            Err(error) => ToChild::Failed { error: chain(&error), locked: false },
        })
    }

    fn open(&mut self, proven: bool) -> Result<ToChild, String> {
        // A second opening would begin its bounds anew.
        if std::mem::replace(&mut self.has_opened, true) {
            return Err(no_sense());
        }
        let keeper = self.keeper;
        // Two must agree: the child has seen the dates of the stores, and root's ledger the time of the last
        // run.
        let clock = if proven && keeper.proven { Clock::Proven } else { Clock::Unproven };
        match Ledger::open(&keeper.place, &keeper.policy, &keeper.run, clock, keeper.time()) {
            Ok(ledger) => {
                self.ledger = Some(ledger);
                Ok(ToChild::Done)
            }
            Err(error) => Ok(ToChild::Failed { error: chain(&error), locked: error.is_locked() }),
        }
    }

    fn append(&mut self, entries: Vec<Entry<'static>>) -> Result<ToChild, String> {
        let Some(ledger) = &mut self.ledger else { return Err(no_sense()) };
        // A record of expiry, of a segment or of a certificate is the keeper's alone to make.
        if !entries.iter().all(|entry| is_a_runs_own(entry.event)) {
            return Err(no_sense());
        }
        if ledger.written() > MOST_RECORDED {
            let error = "too much is to be recorded for one account in one run".to_owned();
            return Ok(ToChild::Failed { error, locked: false });
        }
        let of_account = |entry| of_user(entry, self.account);
        let entries: Vec<Entry<'_>> = entries.into_iter().map(of_account).collect();
        match ledger.append(&entries, self.keeper.time()) {
            Ok(()) => {
                entries.iter().for_each(|entry| self.ended.recorded.note(entry));
                Ok(ToChild::Done)
            }
            Err(error) => Ok(ToChild::Failed { error: error.to_string(), locked: false }),
        }
    }

    fn close(&mut self, summary: Entry<'static>) -> Result<ToChild, String> {
        if summary.event != Event::Summary {
            return Err(no_sense());
        }
        let Some(mut ledger) = self.ledger.take() else { return Err(no_sense()) };
        match ledger.close(of_user(summary, self.account), self.keeper.time()) {
            Ok(_) => Ok(ToChild::Done),
            Err(error) => Ok(ToChild::Failed { error: error.to_string(), locked: false }),
        }
    }

    /// Closes the records of a child that has gone without its summary.
    pub(super) fn end_early(&mut self, why: &str) {
        let Some(mut ledger) = self.ledger.take() else { return };
        let mut summary = Entry::new(Event::Summary);
        summary.error = Some(why.to_owned().into());
        if let Err(error) = ledger.close(of_user(summary, self.account), self.keeper.time()) {
            tracing::warn!(%error, "the ledger could not be closed");
        }
    }
}

/// The facts with every text as it may be shown: names in them are the user's.
fn printable(parts: &Parts) -> Result<Parts, String> {
    let value = serde_json::to_value(parts).map(escape::json::printable);
    value.and_then(serde_json::from_value).map_err(|_| no_sense())
}

/// The counts with notes as they may be shown, of which there are only so many.
fn fit_to_show(mut totals: Totals) -> Totals {
    let cut = |text: &str| escape::text(&text.chars().take(LONGEST_NOTE).collect::<String>());
    totals.notes.truncate(MOST_NOTES);
    for Note { noun, what, .. } in &mut totals.notes {
        (*noun, *what) = (cut(noun), cut(what));
    }
    totals
}

/// What is wrong with a report that counts what never was recorded.
pub(crate) fn more_than_recorded() -> String {
    "its report counts more than was recorded".to_owned()
}

fn no_sense() -> String {
    "its child sent a message that is not one of ours".to_owned()
}

/// Whether a record is one that a run makes of its own work; the others are the keeper's.
fn is_a_runs_own(event: Event) -> bool {
    // A purge for root breaks holds in its child.
    matches!(
        event,
        Event::Started
            | Event::RootSeen
            | Event::Intent
            | Event::Outcome
            | Event::Refused
            | Event::HeldVanished
            | Event::HoldReleased
    )
}

/// The record with the account it is of, whatever the child said.
fn of_user<'a>(mut entry: Entry<'a>, account: &Account) -> Entry<'a> {
    entry.user = Some(escape::text(&account.name).into());
    // Only the ledger itself knows it.
    entry.head = None;
    entry
}
