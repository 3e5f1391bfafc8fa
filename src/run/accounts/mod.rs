//! A run over all accounts of the machine, each with its own rights and no more.
//!
//! Root looks at the list of accounts and at the homes themselves. Everything else is done by a
//! child for each account, this same program, which becomes the user before it opens anything.
//! The ledger is root's alone: the child sends what it is about to do and waits until that is on
//! disk. Its user can stop and end it, so it is bounded in time, and in what it says.

mod child;
mod ended;
mod find;
mod keeper;
mod kept_state;
mod turns;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::{Context, Error, journal};
use crate::error::chain;
use crate::escape::text;
use crate::guard::{self, ClockSight};
use crate::ledger::{self, RunId};
use crate::locate::users::Account;
use crate::policy::load::Places;
use crate::policy::{self, Policy};
use crate::state::{LastRun, StateFile};
use child::Child;
pub(crate) use ended::Ended;
pub(crate) use find::{Accounts, find};
pub(crate) use keeper::{Keeper, more_than_recorded};
pub(crate) use turns::Turns;

/// The policy of the machine, without any user's: what the ledger of all is kept by.
///
/// # Errors
/// It is not valid.
pub(crate) fn policy_of_machine(ctx: &Context) -> Result<Policy, Error> {
    let places = Places { user: None, ..Places::new(&ctx.env) };
    let named = ctx.policy.as_ref().map(|path| ctx.env.absolute(path));
    Ok(policy::of(&ctx.env, &places, named.as_deref())?)
}

impl Keeper {
    /// A keeper for children that change something: root's own clock guard is asked before any begins.
    ///
    /// # Errors
    /// The ledger cannot be read, or the state cannot be read or saved.
    pub(crate) fn writing(ctx: &Context, policy: &Policy) -> Result<Self, Error> {
        let reading = Self::reading(ctx, policy)?;
        let mut file = StateFile::load(&ctx.env.state_dir()).map_err(Error::StateRefused)?;
        let sight = ClockSight { now: ctx.env.now, built: ctx.env.built, ledger: reading.last, stores: None };
        let (verdict, doubt) = guard::clock(&sight, file.state.clock.as_ref());
        file.state.clock = doubt;
        // Before any child begins, which may be root's own with the same state.
        file.save().map_err(Error::StateRefused)?;
        Ok(Self { proven: verdict.is_allowed(), is_look: false, ..reading })
    }

    /// A keeper for children that only look.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn reading(ctx: &Context, policy: &Policy) -> Result<Self, Error> {
        let last = ledger::last_time(&ctx.env.system_ledger_dir()).map_err(Error::LedgerUnread)?;
        Ok(Self { last, ..Self::without_ledger(ctx, policy) })
    }

    /// A keeper where no ledger can be read and none is written.
    pub(crate) fn without_ledger(ctx: &Context, policy: &Policy) -> Self {
        Self {
            place: journal::place_of_all(ctx),
            policy: policy.ledger.value.clone(),
            run: RunId::random(),
            is_look: true,
            proven: false,
            last: None,
            now: ctx.env.now,
            began: Instant::now(),
        }
    }
}

/// What became of the accounts.
pub(crate) struct Handled {
    pub ended: Vec<Ended>,
    /// Those whose turn did not come.
    pub waiting: Vec<Account>,
    pub was_asked: bool,
}

impl Handled {
    /// Handles the accounts one after the other.
    pub(crate) fn all(
        accounts: Vec<Account>,
        arguments: &[OsString],
        keeper: &Keeper,
        turns: &Turns,
        ctx: &Context,
    ) -> Self {
        let mut ended = Vec::new();
        let mut waiting = VecDeque::from(accounts);
        let bar = ctx.screen.progress(waiting.len() as u64, "accounts");
        while !turns.are_over() {
            // Counted anew for each, so that what one does not use is there for the others.
            let share = turns.share(waiting.len());
            let Some(account) = waiting.pop_front() else { break };
            let (working_dir, state_dir) = (&ctx.env.working_dir, ctx.env.state_dir());
            let kept = kept_state::read(&state_dir, account.uid);
            // Begun anew where it cannot be used.
            let before = kept.as_ref().map_or_else(|_| Some(kept_state::nothing()), Clone::clone);
            let child =
                Child { account: &account, arguments, keeper, turns, share, working_dir, kept: before };
            let mut end = child.run(variables(&account, ctx));
            if let Err(error) = kept {
                end.error.get_or_insert_with(|| format!("what root keeps of it: {}", chain(&error)));
            }
            // A child that was stopped before it had begun has not been one.
            if end.is_unfinished && end.error.is_none() {
                waiting.push_front(account);
            } else {
                ended.push(end);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Self { ended, waiting: waiting.into(), was_asked: turns.is_stop_asked() }
    }

    /// Remembers how the run ended, for `schedule status --system`, and whom it served, so that the
    /// next begins with the others.
    ///
    /// # Errors
    /// The state cannot be read or saved.
    pub(crate) fn remember(
        &self,
        run: &RunId,
        exit: u8,
        now: DateTime<Utc>,
        ctx: &Context,
    ) -> Result<(), Error> {
        // Root's own child, which is through, has written the same state.
        let mut file = StateFile::load(&ctx.env.state_dir()).map_err(Error::State)?;
        // Also one that ran into an error: it had its turn.
        for ended in &self.ended {
            file.state.saw_served(ended.account.uid, now);
        }
        let unfinished = self.ended.iter().filter(|ended| ended.is_unfinished).map(|ended| &ended.account);
        file.state.last_run_of_all = Some(LastRun {
            run: run.0.clone(),
            time: now,
            exit,
            is_recorded_elsewhere: false,
            refusals: Vec::new(),
            unfinished: unfinished.chain(&self.waiting).map(|account| text(&account.name)).collect(),
            unknown: serde_json::Map::default(),
        });
        file.save().map(drop).map_err(Error::State)
    }
}

/// The accounts in the order in which they were served last: what kept a run from its end must not
/// keep the same accounts waiting again.
///
/// # Errors
/// The state cannot be read.
pub(crate) fn longest_ago_first(mut accounts: Vec<Account>, ctx: &Context) -> Result<Vec<Account>, Error> {
    let state = StateFile::load(&ctx.env.state_dir()).map_err(Error::StateRefused)?.state;
    accounts.sort_by_key(|account| state.served(account.uid));
    Ok(accounts)
}

/// The environment of a child: its user's, and nothing of root's.
fn variables(account: &Account, ctx: &Context) -> Vec<(&'static str, OsString)> {
    let mut variables: Vec<(&'static str, OsString)> = vec![
        ("HOME", PathBuf::from(&account.home).into()),
        ("USER", account.name.clone().into()),
        ("LOGNAME", account.name.clone().into()),
        // Root's may lead through folders in which others can put programs.
        ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
        (super::link::MARKER, "1".into()),
    ];
    for name in ["TZ", "LANG", "LC_ALL"] {
        variables.extend(ctx.env.variable(name).map(|value| (name, value.to_os_string())));
    }
    variables
}
