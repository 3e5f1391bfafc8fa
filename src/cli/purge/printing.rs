//! What a purge says: its report, and everything that went wrong.

use std::path::PathBuf;

use crate::cli::context::{Context, Exit, Failure};
use crate::enforce::Stop;
use crate::plan::purge::Doubt;
use crate::purge::certificate::{Exception, ExceptionReason};
use crate::report::certificate::handed_over;
use crate::report::human::counted;
use crate::report::purge::Purge;
use crate::run::purge::{Done, PurgeRun};

/// A purge that is told of.
pub(super) struct Printing<'a> {
    pub ctx: &'a Context,
    pub run: &'a PurgeRun<'a>,
    pub refusals: Vec<String>,
    pub dry_run: bool,
    /// Whether the person who reads stdout was shown all of it when they were asked.
    pub was_shown: bool,
}

impl Printing<'_> {
    pub(super) fn report<'r>(&'r self, done: Option<&'r Done>, certificate: &'r [PathBuf]) -> Purge<'r> {
        let run = self.run;
        Purge {
            run: run.view(done.map(|done| &done.outcomes), &self.refusals),
            purging: &run.purging,
            wanted: &run.wanted,
            with: run.request.with.clone(),
            policy: &run.workspace.policy,
            aftermath: done.map(|done| &done.aftermath),
            verdict: done.map(|done| done.verdict),
            certificate,
            dry_run: self.dry_run,
            was_shown: self.was_shown,
        }
    }

    /// Prints the report and everything that went wrong.
    pub(super) fn tell(&self, done: Option<&Done>, certificate: &[PathBuf]) -> Result<Exit, Failure> {
        let console = &self.ctx.console;
        let report = self.report(done, certificate);
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
        match report.aftermath {
            Some(aftermath) => {
                exit = exit.or(self.ctx.tell_errors(&self.run.acting.complaints));
                // Not a line each: of a purge that was stopped early they are most of all files.
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
        if self.run.purging.doubts.iter().any(|one| one.why == Doubt::Unrecognised)
            && report.aftermath.is_some()
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
}
