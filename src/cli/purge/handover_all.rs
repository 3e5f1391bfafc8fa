//! The certificate of a purge for all accounts: one, issued by root from what each child came to.

use std::path::PathBuf;

use super::asked::named_stores;
use super::handover::{Issued, asked_for, operator, prepare_files, tool};
use super::{DEED, PurgeArgs};
use crate::cli::context::{Context, Exit, Failure};
use crate::escape::text;
use crate::exposure;
use crate::ledger::{Clock, Head, Ledger, Place, RunId};
use crate::locate::users::Account;
use crate::policy::Policy;
use crate::purge::certificate::{
    Counts, Files, Identity, LedgerRef, Machine, Method, Parts, PolicyRef, Verification, Witness,
};
use crate::purge::merge::{left_out, merge};
use crate::run::journal;

/// Where the certificate goes, proven to be writable before any child begins.
pub(in crate::cli) struct AllHandover {
    files: Option<Files>,
}

/// What the certificate is issued from.
pub(in crate::cli) struct All<'a> {
    pub args: &'a PurgeArgs,
    pub ctx: &'a Context,
    pub policy: &'a Policy,
    pub run: &'a RunId,
    pub consent: Witness,
    /// What each account's run came to, by its home; `None` where it came to nothing.
    pub parts: Vec<(String, Option<Box<Parts>>)>,
    /// Homes that were left out, and why.
    pub refused: Vec<(String, String)>,
}

impl AllHandover {
    /// Looks whether the certificate can be written and signed.
    ///
    /// # Errors
    /// As for one account.
    pub(in crate::cli) fn prepare(
        args: &PurgeArgs,
        ctx: &Context,
        accounts: &[Account],
    ) -> Result<Self, Failure> {
        if args.certificate.is_empty() {
            return Ok(Self { files: None });
        }
        let roots: Vec<PathBuf> = accounts.iter().map(|account| account.home.join(".claude")).collect();
        Ok(Self { files: Some(prepare_files(args, ctx, &roots)?) })
    }

    /// Records that the run begins, by the policy of the machine, before any child does.
    ///
    /// # Errors
    /// Exit 4 where there can be no evidence, 75 where another run writes.
    pub(in crate::cli) fn begin(&self, ctx: &Context, policy: &Policy, run: &RunId) -> Result<(), Failure> {
        let first = journal::started(&policy.digest, Some(DEED));
        let mut ledger = open(ctx, policy, run)?;
        ledger.append(&[first], ctx.env.now).map_err(|error| {
            Failure::new(Exit::Refused, format!("cannot write the ledger, so nothing was removed: {error}"))
                .hint("make room or give root the folder back, then run the same command again: `df -h /var/log`")
        })
    }

    /// Issues the certificate, writes its files and records it in the ledger of all.
    ///
    /// # Errors
    /// Exit 1: the ledger or a file could not be written.
    pub(in crate::cli) fn issue(self, all: All<'_>) -> Result<Vec<PathBuf>, Failure> {
        let Some(files) = self.files else { return Ok(Vec::new()) };
        let (ctx, policy) = (all.ctx, all.policy);
        let mut ledger = open(ctx, policy, all.run)?;
        let whole = whole(&all, &files, ledger.head().clone());
        let mut of_accounts = Vec::new();
        let mut exceptions = Vec::new();
        for (home, parts) in all.parts {
            match parts {
                Some(parts) => of_accounts.push(*parts),
                None => exceptions.push(left_out(home, "its purge was refused or did not end".to_owned())),
            }
        }
        exceptions.extend(all.refused.into_iter().map(|(home, why)| left_out(home, why)));
        let mut parts = merge(whole, of_accounts);
        parts.exceptions.extend(exceptions);
        Issued::write(files, parts)?.record(&mut ledger, ctx.env.now)
    }
}

fn open(ctx: &Context, policy: &Policy, run: &RunId) -> Result<Ledger, Failure> {
    let place = Place { dir: ctx.env.system_ledger_dir(), state_dir: ctx.env.state_dir() };
    Ledger::open(&place, &policy.ledger.value, run, Clock::Unproven, ctx.env.now).map_err(|error| {
        let exit = if error.is_locked() { Exit::Locked } else { Exit::Refused };
        Failure::because(exit, &error)
    })
}

/// What only root's own process knows.
fn whole(all: &All<'_>, files: &Files, head: Head) -> Parts {
    let (args, ctx, policy) = (all.args, all.ctx, all.policy);
    Parts {
        id: all.run.0.clone(),
        tool: tool(ctx),
        policy: PolicyRef::from(policy),
        operator: operator(ctx, all.consent, true, files.signer().cloned()),
        host: Machine::look(ctx.env.platform, &exposure::System),
        started: ctx.env.now,
        ended: ctx.env.now,
        stores: Vec::new(),
        method: Method::new(asked_for(args, Vec::new(), &named_stores(ctx)), Identity::None),
        counts: Counts::default(),
        verification: Verification::not_made(),
        exceptions: Vec::new(),
        remaining: Vec::new(),
        residual_risks: Vec::new(),
        ledger: LedgerRef {
            path: text(&ctx.env.system_ledger_dir()),
            run: all.run.0.clone(),
            head: head.into(),
        },
    }
}
