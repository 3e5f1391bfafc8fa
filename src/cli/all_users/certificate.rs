//! The one certificate of a purge of all accounts.

use std::path::PathBuf;

use super::task::Task;
use crate::cli::args::Command;
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::purge::{self, PurgeArgs};
use crate::escape::text;
use crate::ledger::RunId;
use crate::locate::users::Account;
use crate::policy::Policy;
use crate::purge::certificate::{Files, Witness};
use crate::report::all_users::AllUsers;
use crate::report::certificate;
use crate::run::accounts::{Ended, Handled};
use crate::run::purge::of_all::{self, All};

/// The one certificate of a purge.
pub(super) struct Certificate<'a> {
    args: &'a PurgeArgs,
    files: Option<Files>,
}

impl<'a> Certificate<'a> {
    pub fn prepare(task: &Task<'a>, accounts: &[Account], ctx: &Context) -> Result<Option<Self>, Failure> {
        let Command::Purge(args) = task.command else { return Ok(None) };
        if !task.changes {
            return Ok(None);
        }
        let roots: Vec<PathBuf> = accounts.iter().map(|account| account.home.join(".claude")).collect();
        Ok(Some(Self { args, files: args.files(ctx, &roots)? }))
    }

    /// Reserves its files, once it was consented to.
    pub fn reserve(&mut self) -> Result<(), Failure> {
        purge::reserve(&mut self.files)
    }

    pub fn issue(
        self,
        consent: Witness,
        policy: &Policy,
        run: &RunId,
        handled: &mut Handled,
        document: &AllUsers<'_>,
        ctx: &Context,
    ) -> Result<(), Failure> {
        let is_nothing =
            |ended: &Ended| ended.parts.as_ref().is_some_and(|parts| parts.counts.total().is_nothing());
        let missed = self.args.session.as_ref().filter(|_| handled.ended.iter().all(is_nothing));
        let ended = handled.ended.iter_mut();
        let parts = ended.map(|ended| (text(&ended.account.home), ended.parts.take())).collect();
        let refused = document.refused.iter().chain(&document.not_reached);
        let refused = refused.map(|refusal| (refusal.home.clone(), refusal.why.clone())).collect();
        if let Some(files) = self.files {
            let request = &self.args.request();
            let all = All { request, ctx, policy, run, consent, parts, refused };
            for file in of_all::issue(files, certificate::print, all)? {
                ctx.console.notice(certificate::handed_over(&file).trim_end());
            }
        }
        match missed {
            // Each of many accounts is right to have nothing of it; that none has is a mistake of whoever named it.
            Some(session) => {
                let message =
                    format!("no account has anything of session '{}': nothing was removed", text(session));
                Err(Failure::new(Exit::Failed, message))
            }
            None => Ok(()),
        }
    }
}
