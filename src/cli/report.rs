//! `ccretain report --html`: one page about this account, or about many machines.

use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use clap::Args;
use serde_json::json;

use super::context::{Context, Exit, Failure};
use super::named;
use crate::check::gather::{self, Posture, gather};
use crate::check::{Severity, evaluate};
use crate::escape::{shown, text};
use crate::files;
use crate::report::check::{Document, SCHEMA, Subject};
use crate::report::html::{Fleet, Machine, Run, Unreadable};

/// What `report` takes.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Write the page to this file, in one step; `-` is stdout.
    #[arg(long, value_name = "FILE", required = true)]
    pub html: PathBuf,
    /// What `check --json` printed on other machines, or folders of such files: a page about all of
    /// them, and nothing of this one.
    #[arg(value_name = "CHECK.json")]
    pub checks: Vec<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// A policy that was named and cannot be used (2); no file that can be read, or a page that cannot
/// be written (1): the one that was there is whole then.
pub fn run(args: &ReportArgs, ctx: &Context) -> Result<Exit, Failure> {
    if args.checks.is_empty() { machine(args, ctx) } else { fleet(args, ctx) }
}

fn machine(args: &ReportArgs, ctx: &Context) -> Result<Exit, Failure> {
    let Posture { facts, ground, inventory, plan, runs, .. } = gather(TimeDelta::days(1), false, ctx)?;
    let findings = evaluate(&facts);
    let host = gather::host(ctx);
    let machine = gather::machine_id(&ground.policy, ctx);
    let subject = Subject {
        host: &host,
        machine: machine.as_deref(),
        user: Some(&ctx.env.user.name),
        fail_on: Severity::Medium,
    };
    let policy = plan.as_ref().map(|_| &ground.policy);
    let check = Document::new(subject, &facts, policy, findings, None);
    let compliant = check.compliant;
    let runs = runs.iter().filter(|record| record.is_of_enforce()).map(Run::of).collect();
    let page = Machine::new(check, &inventory, plan.as_ref(), runs).html();
    write(args, &page, ctx)?;
    said(args, &json!({"machines": 1, "compliant": u8::from(compliant), "unreadable": []}), ctx)?;
    Ok(Exit::Done)
}

fn fleet(args: &ReportArgs, ctx: &Context) -> Result<Exit, Failure> {
    let mut fleet = Fleet::new(ctx.env.now);
    let mut complaints = Vec::new();
    for path in args.checks.iter().flat_map(|path| documents_in(&ctx.env.absolute(path))) {
        match document(&path) {
            Ok(document) => fleet.add(document, &path),
            Err(why) => {
                let path = text(&path);
                complaints.push(format!("'{path}' is not a document of `ccretain check --json`: {why}"));
                fleet.add_unreadable(Unreadable { path, why });
            }
        }
    }
    if fleet.len() == 0 {
        let why = complaints.first().map(|why| format!(": {why}")).unwrap_or_default();
        let message = format!("there is no document of a check to report, so nothing was written{why}");
        return Err(Failure::new(Exit::Failed, message)
            .hint("`ccretain check --json > FILE` writes one: a machine each"));
    }
    complaints.iter().for_each(|complaint| ctx.console.error(complaint));
    let exit = if complaints.is_empty() { Exit::Done } else { Exit::Failed };
    write(args, &fleet.html(&|path| document(path).ok()), ctx)?;
    said(args, &fleet.json(), ctx)?;
    Ok(exit)
}

/// The files that an argument stands for: itself, or every `.json` in a folder.
fn documents_in(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(path) else { return vec![path.to_path_buf()] };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    files.sort();
    files
}

/// Reads a document; the message repeats nothing of the file.
fn document(path: &Path) -> Result<Document, String> {
    let read = files::read(path, files::DOCUMENT).map_err(|error| crate::error::chain(&error))?;
    let bytes = read.ok_or("it does not exist")?;
    let place = |error: serde_json::Error| match error.classify() {
        serde_json::error::Category::Data => {
            format!(
                "a key is missing or not as it should be, at line {}, column {}",
                error.line(),
                error.column()
            )
        }
        _ => format!("it is not JSON at line {}, column {}", error.line(), error.column()),
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let document: Document = serde_json::from_slice(bytes).map_err(place)?;
    if document.schema != SCHEMA {
        return Err(format!("its schema is '{}', not '{SCHEMA}'", shown(&document.schema)));
    }
    Ok(document)
}

fn write(args: &ReportArgs, page: &str, ctx: &Context) -> Result<(), Failure> {
    if args.html == Path::new("-") {
        return ctx.console.raw(page.as_bytes());
    }
    // It names projects, so it is the owner's alone.
    named::put(&args.html, page.as_bytes(), ctx)
}

fn said(args: &ReportArgs, counts: &serde_json::Value, ctx: &Context) -> Result<(), Failure> {
    if args.html == Path::new("-") {
        return Ok(());
    }
    let path = text(&ctx.env.absolute(&args.html));
    if ctx.global.json {
        let mut document = json!({"schema": "ccretain.report/1", "html": path});
        for (key, value) in counts.as_object().into_iter().flatten() {
            document[key] = value.clone();
        }
        return ctx.console.json(&document);
    }
    ctx.console.sentences(&format!("wrote '{path}'\n"))
}
