//! The certificate of a purge for all accounts: one, issued by root from what each child came to.

use std::path::PathBuf;

use super::{Issued, Printer, Request, operator, tool};
use crate::escape::text;
use crate::exposure;
use crate::ledger::{Clock, Head, Ledger, LedgerError, RunId};
use crate::policy::Policy;
use crate::purge::certificate::{
    Counts, Files, Identity, LedgerRef, Machine, Method, Parts, PolicyRef, Verification, Witness,
};
use crate::purge::merge::{left_out, merge};
use crate::run::{Context, Error, journal};

/// What the certificate is issued from.
pub struct All<'a> {
    pub request: &'a Request,
    pub ctx: &'a Context,
    pub policy: &'a Policy,
    pub run: &'a RunId,
    pub consent: Witness,
    /// What each account's run came to, by its home; `None` where it came to nothing.
    pub parts: Vec<(String, Option<Box<Parts>>)>,
    /// Homes that were left out, and why.
    pub refused: Vec<(String, String)>,
}

/// Records that the run begins, by the policy of the machine, before any child does.
///
/// # Errors
/// Exit 4 where there can be no evidence, 75 where another run writes.
pub fn begin(ctx: &Context, policy: &Policy, run: &RunId) -> Result<(), Error> {
    let first = journal::started(&policy.digest, Some(super::super::COMMAND));
    open(ctx, policy, run).map_err(Error::Ledger)?.append(&[first], ctx.env.now).map_err(Error::Unrecorded)
}

/// Issues the certificate, writes its files and records it in the ledger of all.
///
/// # Errors
/// Exit 1: the ledger or a file could not be written.
pub fn issue(files: Files, print: Printer, all: All<'_>) -> Result<Vec<PathBuf>, Error> {
    let (ctx, policy) = (all.ctx, all.policy);
    let mut ledger = open(ctx, policy, all.run).map_err(Error::CertificateUnopened)?;
    // The head before its own record, since no certificate can name the hash of what names it.
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
    Issued::write(files, print, parts)?.record(&mut ledger, ctx.env.now)
}

fn open(ctx: &Context, policy: &Policy, run: &RunId) -> Result<Ledger, LedgerError> {
    Ledger::open(&journal::place_of_all(ctx), &policy.ledger.value, run, Clock::Unproven, ctx.env.now)
}

/// What only root's own process knows.
fn whole(all: &All<'_>, files: &Files, head: Head) -> Parts {
    let (ctx, policy) = (all.ctx, all.policy);
    Parts {
        id: all.run.0.clone(),
        tool: tool(ctx),
        policy: PolicyRef::from(policy),
        operator: operator(ctx, all.consent, true, files.signer().cloned()),
        host: Machine::look(ctx.env.platform, &exposure::System),
        started: ctx.env.now,
        ended: ctx.env.now,
        stores: Vec::new(),
        method: Method::new(all.request.scope(Vec::new(), &ctx.named_stores()), Identity::None),
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
