//! `ccretain purge`: removes everything, looks again, and certifies.

mod asked;
mod consent;
pub(super) mod handover;
#[cfg(unix)]
pub(super) mod handover_all;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::context::{Context, Exit, Failure};
use super::enforce::interrupted;
use crate::catalogue::{Kind, Root, SessionId};
use crate::dir::Dir;
use crate::enforce::lock::Locks;
use crate::enforce::{Outcomes, Stop};
use crate::error::PathError;
use crate::escape::text;
use crate::inventory::{Inventory, Problem};
use crate::ledger::{Entry, RunId, SealedRecords};
use crate::locate::{Refusal, Refused, Store, search};
use crate::plan::purge::{self as taking, Doubt, Purging, Wanted};
use crate::policy::Policy;
use crate::purge::aftermath::{Aftermath, Looked};
use crate::purge::certificate::{Exception, ExceptionReason, Identity, Scope, Verdict, Witness, judge};
use crate::purge::{acting, before};
use crate::report::Run;
use crate::report::certificate::handed_over;
use crate::report::human::counted;
use crate::report::purge::Purge;
use crate::run::journal::{self, RunJournal};
use crate::run::{self, Workspace};
use crate::run::{CancelToken, Execution};
use asked::ClockSays;
pub(super) use asked::PurgeArgs;
use handover::Handover;

/// What the ledger calls it.
const DEED: &str = "purge";
/// What has to be typed at a terminal.
const WORD: &str = "purge";

/// Runs the verb.
///
/// # Errors
/// What kept it from starting: nothing was touched then. What could not be removed is in the
/// report and makes exit 1.
pub fn run(args: &PurgeArgs, ctx: &Context) -> Result<Exit, Failure> {
    let began = Instant::now();
    let Prepared { ground, inventory, wanted, found, handover, _locks } = Prepared::new(args, ctx)?;
    let purging = taking::purge(&inventory, &ground.policy, &wanted, ctx.env.now);
    let acting = acting(&ground.policy);
    let clock = asked::clock(ctx, &ground, &inventory, &wanted, args)?;
    let id = journal::run_id(ctx);
    let work = Work {
        args,
        ctx,
        id: &id,
        ground: &ground,
        inventory: &inventory,
        purging: &purging,
        policy: &acting,
        wanted: &wanted,
        refusals: asked::refusals(ctx, &ground, &inventory, &purging, &wanted, &clock),
        began,
    };
    if args.dry_run {
        return work.tell(&work.report(None));
    }
    if !work.refusals.is_empty() {
        return work.refuse(&clock);
    }
    let witness = work.consent(&clock)?;
    let mut ledger = RunJournal::open(ctx, &ground.policy.ledger.value, &id, clock.kind(witness))?;
    run::remembered::begin(&ground, ctx);
    let outcomes = work.carry_out(&mut ledger);
    let after = work.look_again(found).map_err(Failure::afterwards)?;
    let (identity, kept) = handover::destroy_identity(&work, &outcomes, &after, &mut ledger);
    let mut aftermath = work.sum_up(&outcomes, &after).map_err(Failure::afterwards)?;
    aftermath.exceptions.extend(kept);
    let scope = handover::scope(&work, &after.refused.others);
    let verdict = judge(&scope, &aftermath.exceptions, &aftermath.remaining, &aftermath.verification);
    let is_well = verdict != Verdict::Incomplete && ground.policy.complaints.is_empty();
    // What a stopped purge left is no failure of it; a script must not take it for done.
    let recorded = match interrupted(Some(&outcomes), ctx) {
        Exit::Done if !is_well => Exit::Failed,
        exit => exit,
    };
    let mut exit = recorded;
    let mut done = Done {
        outcomes: &outcomes,
        aftermath: &aftermath,
        verdict,
        scope,
        identity,
        witness,
        certificate: Vec::new(),
    };
    let mut report_failed = |done: Result<(), Failure>| {
        if let Err(failure) = done {
            ctx.console.failure(&failure);
            exit = Exit::Failed;
        }
    };
    report_failed(work.certify(handover, &mut done, ledger, recorded));
    let told = work.tell(&work.report(Some(&done)))?;
    report_failed(work.remember(&after.inventory, &clock));
    Ok(exit.or(told))
}

/// What a purge works on, locked where it may change anything.
struct Prepared {
    ground: Workspace,
    inventory: Inventory,
    wanted: Wanted,
    /// The roots that a search of the home has found.
    found: Vec<(PathBuf, Root)>,
    handover: Handover,
    _locks: Option<Locks>,
}

impl Prepared {
    fn new(args: &PurgeArgs, ctx: &Context) -> Result<Self, Failure> {
        let mut wanted = asked::wanted(args, ctx)?;
        let policy = run::in_force(ctx)?;
        let searched = search_home(ctx, &policy);
        let found: Vec<(PathBuf, Root)> =
            searched.found.iter().map(|one| (one.root.clone(), one.kind)).collect();
        let mut ground = run::prepare_with(ctx, policy, found.clone())?;
        // Before the locks and the look: a certificate that cannot be written must be found out while nothing
        // is touched.
        let handover = Handover::prepare(args, ctx, &ground)?;
        let _locks = if args.dry_run { None } else { Some(run::lock_writable(&mut ground, ctx)?) };
        let mut inventory = ground.inventory(ctx);
        // A folder that could not be searched may hold a store, so a purge beside it is not complete.
        inventory.problems.extend(searched.unreadable.into_iter().map(unsearched));
        wanted.session = asked::session(args, ctx, &inventory, &ground.refused)?;
        wanted.inner_links = before::inner_links(&inventory);
        wanted.copies = before::copies(&inventory);
        Ok(Self { ground, inventory, wanted, found, handover, _locks })
    }
}

/// Looks for stores below the home; not where the stores are named.
fn search_home(ctx: &Context, policy: &Policy) -> search::Search {
    if !ctx.global.stores.is_empty() {
        return search::Search::default();
    }
    let left_out: Vec<PathBuf> =
        policy.excluded_stores.iter().map(|excluded| ctx.env.absolute(&excluded.value)).collect();
    let bar = ctx.console.progress(1, "looking for stores below the home");
    let found = search::search(&ctx.env.user.real_home, &left_out);
    bar.finish_and_clear();
    found
}

/// A folder below the home that could not be looked into, so that a store may be there.
fn unsearched(error: PathError) -> Problem {
    Problem { store: None, path: error.path, doing: "look for stores in", error: error.source }
}

/// A second look.
pub(super) struct After {
    pub inventory: Inventory,
    pub purging: Purging,
    pub refused: RefusedAfter,
}

/// What was not taken, at a second look.
pub(super) struct RefusedAfter {
    /// Of what was asked for.
    pub meant: Vec<Refused>,
    /// Beside the stores that were named.
    pub others: Vec<Refused>,
}

/// What was done.
struct Done<'a> {
    outcomes: &'a Outcomes,
    aftermath: &'a Aftermath,
    verdict: Verdict,
    scope: Scope,
    identity: Identity,
    witness: Witness,
    certificate: Vec<PathBuf>,
}

/// A purge that has been decided on.
pub(super) struct Work<'a> {
    pub args: &'a PurgeArgs,
    pub ctx: &'a Context,
    pub id: &'a RunId,
    pub ground: &'a Workspace,
    pub inventory: &'a Inventory,
    pub purging: &'a Purging,
    pub policy: &'a Policy,
    pub wanted: &'a Wanted,
    pub refusals: Vec<String>,
    began: Instant,
}

impl Work<'_> {
    /// The time now: that of the start and what has passed since.
    pub(super) fn now(&self) -> DateTime<Utc> {
        // By the clock of the start and what has passed: a clock that is set meanwhile cannot make a purge end
        // before it began.
        let passed = chrono::TimeDelta::from_std(self.began.elapsed()).unwrap_or_default();
        self.ctx.env.now.checked_add_signed(passed).unwrap_or(self.ctx.env.now)
    }

    fn report<'r>(&'r self, done: Option<&'r Done<'_>>) -> Purge<'r> {
        Purge {
            run: Run {
                id: &self.id.0,
                outcomes: done.map(|done| done.outcomes),
                ..Run::planned(
                    self.inventory,
                    &self.purging.plan,
                    self.policy,
                    &self.ground.refused,
                    &self.refusals,
                )
            },
            purging: self.purging,
            wanted: self.wanted,
            with: handover::with(self.args),
            policy: &self.ground.policy,
            aftermath: done.map(|done| done.aftermath),
            verdict: done.map(|done| done.verdict),
            certificate: done.map(|done| done.certificate.as_slice()).unwrap_or_default(),
            dry_run: self.args.dry_run,
        }
    }

    /// Prints the report and everything that went wrong.
    fn tell(&self, report: &Purge<'_>) -> Result<Exit, Failure> {
        let console = &self.ctx.console;
        self.ctx.tell_totals(|| report.for_parent())?;
        if self.ctx.global.json {
            console.json(&report.json(self.ctx.global.verbose > 0))?;
        } else {
            let paint = self.ctx.paint();
            console.data(&report.text(paint))?;
            if self.ctx.global.verbose > 0 {
                console.data(&report.run.list_of_files(paint))?;
            }
        }
        let mut exit = Exit::Done;
        for complaint in &self.ground.policy.complaints {
            console.error(complaint);
            exit = Exit::Failed;
        }
        match report.aftermath {
            Some(aftermath) => {
                let is_unreached = |one: &&Exception| one.reason == ExceptionReason::Stopped;
                let unreached = aftermath.exceptions.iter().filter(is_unreached).count() as u64;
                for one in aftermath.exceptions.iter().filter(|one| !is_unreached(one)) {
                    console.error_about(&one.path, &one.detail);
                    exit = Exit::Failed;
                }
                if unreached > 0 {
                    let were = if unreached == 1 { "was" } else { "were" };
                    console.error(&format!(
                        "{} {were} not reached before the run was stopped",
                        counted(unreached, "file")
                    ));
                    exit = Exit::Failed;
                }
            }
            None => {
                for (path, error) in report.run.errors() {
                    console.error_about(&path, &error);
                    exit = Exit::Failed;
                }
            }
        }
        if self.purging.doubts.iter().any(|one| one.why == Doubt::Unrecognised) && report.aftermath.is_some()
        {
            console.hint(
                "look at what is not recognised; `--with unrecognised` removes it where only Claude Code has files, \
                 and `--except GLOB` keeps it on your word",
            );
        }
        if let Some(Stop::Signal | Stop::Interrupt) =
            report.run.outcomes.and_then(|outcomes| outcomes.stopped.as_ref())
        {
            console.warning("stopped as asked; the same command continues");
        }
        if !self.ctx.global.json {
            console.data(&report.verdict(self.ctx.paint()))?;
            for file in report.certificate {
                console.data(&handed_over(file))?;
            }
            // It lies in the home that is handed in.
            if !report.certificate.is_empty() {
                console.sentences("copy the certificate and the ledger head in it to another machine\n")?;
            }
        }
        Ok(exit)
    }

    fn carry_out(&self, ledger: &mut RunJournal) -> Outcomes {
        let mut opening = vec![self.started()];
        opening.extend(self.purging.broken.iter().map(|stop| self.broken(stop)));
        let deeds = Execution {
            ctx: self.ctx,
            inventory: self.inventory,
            plan: &self.purging.plan,
            policy: self.policy,
            recipients: None,
            stop: CancelToken::new(None),
            doing: "purging",
        };
        deeds.run_after(&opening, ledger)
    }

    /// Locates and looks anew.
    fn look_again(&self, found: Vec<(PathBuf, Root)>) -> Result<After, Failure> {
        // A root whose marks went with its content is looked at all the same.
        let mut ctx = self.ctx.run.clone();
        ctx.env.now = self.now();
        let mut ground = run::prepare_with(&ctx, run::in_force(&ctx)?, found)?;
        let known: HashSet<_> = ground.stores.iter().map(|store| (store.identity, store.kind)).collect();
        for store in self.ground.stores.iter().filter(|store| !known.contains(&(store.identity, store.kind)))
        {
            let again = Dir::open(&store.root).and_then(|dir| dir.stat_self().map(|stat| (dir, stat.stamp)));
            if let Ok((dir, stamp)) = again
                // The very folder: a new one of that name was made after the first look, and is judged by its
                // own marks.
                && (stamp.device, stamp.inode) == store.identity
            {
                ground.stores.push(Store { dir: Arc::new(dir), ..store.clone() });
            }
        }
        let mut inventory = ground.inventory(&ctx);
        // The search is not made twice; what it could not see then it has not seen since.
        let unsearched = self.inventory.problems.iter().filter(|problem| problem.store.is_none());
        inventory.problems.extend(unsearched.map(|problem| Problem {
            store: None,
            path: problem.path.clone(),
            doing: problem.doing,
            error: std::io::Error::other(problem.error.to_string()),
        }));
        // Links and copies are numbered anew, as the two looks do not see the same files.
        let mut wanted = self.wanted.clone();
        wanted.inner_links = before::inner_links(&inventory);
        wanted.copies = before::copies(&inventory);
        let purging = taking::purge(&inventory, &self.ground.policy, &wanted, ctx.env.now);
        // What was a store before needs no mark to be one now, and nothing in it.
        let roots: Vec<&PathBuf> = inventory.stores.iter().map(|view| &view.store.root).collect();
        let was_taken = |refused: &Refused| {
            matches!(refused.why, Refusal::NoMark | Refusal::Emptied)
                && fs_err::canonicalize(&refused.path).is_ok_and(|path| roots.contains(&&path))
        };
        ground.refused.retain(|refused| !was_taken(refused));
        let only = asked::named_stores(self.ctx);
        let (meant, others) = ground.refused.into_iter().partition(|refused| asked::is_meant(refused, &only));
        Ok(After { inventory, purging, refused: RefusedAfter { meant, others } })
    }

    /// What was done and what is left, by both looks and the ledger.
    fn sum_up(&self, outcomes: &Outcomes, after: &After) -> Result<Aftermath, Failure> {
        let ctx = self.ctx;
        let roots: Vec<String> = self.inventory.stores.iter().map(|view| text(&view.store.root)).collect();
        let sealed_here = SealedRecords::load(&ctx.env.ledger_dir(), &ctx.env.state_dir(), None, &roots)
            .map_err(|error| Failure::because(Exit::Failed, &error))?;
        // The parent's ledger is not the user's to read: what it may say is taken for said.
        let was_plain =
            |session: SessionId| ctx.parent.is_some() || sealed_here.may_know(&session.to_string());
        let looked = Looked {
            before: self.inventory,
            purging: self.purging,
            outcomes,
            after: &after.inventory,
            again: &after.purging,
            refused: &after.refused.meant,
            time: self.now(),
        };
        Ok(looked.sum_up(&was_plain))
    }

    /// Closes the ledger and issues the certificate, which names its head.
    fn certify(
        &self,
        handover: Handover,
        done: &mut Done<'_>,
        ledger: RunJournal,
        exit: Exit,
    ) -> Result<(), Failure> {
        let head = ledger.close(summary(self, done.aftermath, exit), self.ctx.env.now).map_err(|error| {
            let message = format!("cannot close the ledger, so there is no certificate: {error}");
            Failure::new(Exit::Failed, message)
        })?;
        done.certificate = handover.issue(self, done, head)?;
        Ok(())
    }

    /// Forgets what dated the sessions that a partial purge removed.
    fn forget_sessions(&self, after: &Inventory) -> Result<(), Failure> {
        let remembered = run::remembered::sessions_remembered(self.ctx);
        let remembered = remembered.map_err(|error| Failure::because(Exit::Failed, &error))?;
        let there: HashSet<SessionId> = after.sessions.iter().map(|session| session.id).collect();
        let gone = |id: &SessionId| {
            self.inventory.sessions.iter().any(|session| session.id == *id) && !there.contains(id)
        };
        let mut memory = remembered.memory.clone();
        memory.sessions.retain(|row| !row.session.as_ref().is_some_and(gone));
        memory.lines.retain(|row| !row.session.as_ref().is_some_and(gone));
        Ok(run::remembered::remember_sessions(&remembered, memory, self.ctx)?)
    }

    /// Remembers what later runs must know, and forgets what is gone.
    fn remember(&self, after: &Inventory, clock: &ClockSays) -> Result<(), Failure> {
        let (mut file, _) = run::remembered::remembered(&self.ground.policy, self.ctx)?;
        if !file.is_there() {
            // Of what the ledger names by now this run itself has written some.
            file.state = self.ground.state.state.clone();
        }
        let there: HashSet<(&PathBuf, SessionId)> = after
            .sessions
            .iter()
            .map(|session| (&after.store(session.store).store.root, session.id))
            .collect();
        for session in &self.inventory.sessions {
            let root = &self.inventory.store(session.store).store.root;
            if !there.contains(&(root, session.id)) {
                file.state.forget_unsealed(root, &session.id.to_string());
                file.state.forget_held(&session.id.to_string());
            }
        }
        self.ground.remember_roots_in(&mut file.state, self.ctx);
        file.state.clock = clock.doubt;
        crate::state::dates::forget(&self.ctx.env.state_dir())
            .map_err(|error| Failure::because(Exit::Failed, &error))?;
        if self.wanted.is_partial() {
            self.forget_sessions(after)?;
        } else {
            run::remembered::forget_sessions(self.ctx)?;
        }
        Ok(run::remembered::save(&mut file, self.ctx)?)
    }
}

/// The record that closes the run in the ledger.
fn summary(work: &Work<'_>, aftermath: &Aftermath, exit: Exit) -> Entry<'static> {
    let counts = [
        ("sessionsDeleted", aftermath.counts.sessions),
        ("deleted", aftermath.counts.files),
        ("prunedLines", aftermath.counts.lines),
        ("bytesFreed", aftermath.counts.bytes),
        ("exceptions", aftermath.exceptions.len() as u64),
        ("left", aftermath.verification.left.files),
    ];
    journal::summary(&work.ground.policy.digest, DEED, &counts, exit.code())
}

/// Whether anything sealed is in a store.
pub(super) fn anything_sealed(inventory: &Inventory) -> bool {
    inventory.artifacts.iter().any(|artifact| {
        artifact.sealed
            || artifact.kind == Some(Kind::Own)
                && std::path::Path::new(inventory.name(artifact)).extension().is_some_and(|end| end == "age")
    })
}
