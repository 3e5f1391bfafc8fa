//! `ccretain policy`: what is in force and who says so, and the tools for writing one.

mod client;

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::context::{Context, Exit, Failure};
use super::remedy;
use crate::document::{Document, Fact, Hue, Line};
use crate::escape::{shown, text};
use crate::inventory;
use crate::locate::{self, Request};
use crate::plan::{self, Decision, Keep, Verdict};
use crate::policy::check::{Against, Checked, Known, Start, check, init};
use crate::policy::compile::Globs;
use crate::policy::load::Places;
use crate::policy::show::{HoldRow, Row, RuleRow};
use crate::policy::{Layer, Policy, Source, keys, show};
use crate::report::human::{counted, grouped, in_zone};
use crate::run;
use client::{print_client, print_fragment};

/// What can be asked of policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Print the policy in force: each value, who set it, what it shadowed.
    Show,
    /// Check a policy file as the layer it is for, for an administrator's tests; without a file, those in force.
    Check {
        /// Judge it as this layer; without it, as its name and place say.
        #[arg(long = "as", value_enum, value_name = "LAYER")]
        layer: Option<LayerArg>,
        /// The file.
        file: Option<PathBuf>,
    },
    /// Print the JSON Schema of policies.
    Schema,
    /// Print a policy to start from.
    Init {
        /// One that reports and changes nothing.
        #[arg(long)]
        audit: bool,
        /// One for the organisation, which no user can loosen; it too reports and changes nothing at first.
        #[arg(long)]
        managed: bool,
    },
    /// Print Claude Code's own retention settings.
    Client {
        /// Print a fragment for its managed-settings.json that matches the policy.
        #[arg(long)]
        emit: bool,
    },
}

/// A layer by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayerArg {
    /// The organisation's.
    Managed,
    /// The machine's.
    System,
    /// A user's.
    User,
}

impl From<LayerArg> for Layer {
    fn from(layer: LayerArg) -> Self {
        match layer {
            LayerArg::Managed => Self::Managed,
            LayerArg::System => Self::System,
            LayerArg::User => Self::User,
        }
    }
}

/// Runs `ccretain policy`.
///
/// # Errors
/// A policy that is missing or invalid (2), and stdout that cannot be written.
pub fn run(command: &PolicyCommand, ctx: &Context) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Show => print_policy(ctx),
        PolicyCommand::Check { layer, file: Some(file) } => {
            let file = ctx.env.absolute(file);
            print_checks(&[(file, layer.map(Layer::from))], ctx)
        }
        PolicyCommand::Check { layer, file: None } => {
            print_checks(&in_place(layer.map(Layer::from), ctx)?, ctx)
        }
        PolicyCommand::Schema => ctx.console.json(&keys::schema()).map(|()| Exit::Done),
        PolicyCommand::Init { audit, managed } => {
            let start = match (managed, audit) {
                (true, _) => Start::Managed,
                (false, true) => Start::Audit,
                (false, false) => Start::User,
            };
            ctx.console.raw(init(start).as_bytes())?;
            let dir = if *managed { Places::new(&ctx.env).system_dir } else { ctx.env.config_dir() };
            let (name, layer) =
                if *managed { ("managed-policy.json", " --as managed") } else { ("policy.json", "") };
            let place = dir.join(name);
            let check = format!("ccretain policy check{layer} FILE");
            ctx.console
                .notice(&format!("check it with `{check}`, then put it in place as '{}'", shown(&place)));
            Ok(Exit::Done)
        }
        PolicyCommand::Client { emit: true } => print_fragment(ctx),
        PolicyCommand::Client { emit: false } => print_client(&known(ctx).1, ctx),
    }
}

/// The sessions in the places known without a policy, to try one on.
fn known(ctx: &Context) -> (inventory::Inventory, Vec<Known>) {
    let request = Request {
        only: ctx.global.stores.iter().map(|dir| ctx.env.absolute(dir)).collect(),
        ..Request::default()
    };
    let stores = locate::locate(&ctx.env, &request).stores;
    let taken = inventory::take(
        stores,
        false,
        ctx.env.now,
        &inventory::liveness::System::default(),
        inventory::Earlier { dates: &mut inventory::Unremembered, saw_transcript: &|_, _| false },
    );
    let known = |session: &inventory::Session| Known {
        project: session.project.as_ref().map(|project| project.to_string()),
        session: Some(session.id),
        // The client's sweep knows no sealed file.
        modified: session.modified.filter(|_| session.evidence == inventory::Evidence::Transcript),
        written: taken.written(session),
    };
    let all = taken.sessions.iter().map(known).collect();
    (taken, all)
}

/// How a run that only looked ends: things a later run would complain of are no success.
fn ended(policy: &Policy) -> Exit {
    if policy.complaints.is_empty() && policy.suspended.is_none() { Exit::Done } else { Exit::Failed }
}

fn print_policy(ctx: &Context) -> Result<Exit, Failure> {
    let policy = run::in_force(ctx)?;
    let (values, rules, holds) = (show::values(&policy), show::rules(&policy), show::holds(&policy));
    if ctx.console.wants_json() {
        ctx.console.json(&json!({
            "schema": "ccretain.policy-show/1",
            "sha256": policy.digest,
            "layers": policy.sources,
            "values": values,
            "rules": rules,
            "holds": holds,
            "suspended": policy.suspended,
            "complaints": policy.complaints,
            "notes": policy.all_notes(),
        }))?;
    } else {
        let paint = ctx.paint();
        let document = in_words(&policy, &values, &rules, &holds);
        ctx.console.data(&document.print(paint))?;
    }
    for note in &policy.all_notes() {
        ctx.console.notice(note);
    }
    for complaint in policy.suspended.iter().map(|why| format!("the built-in rule deletes nothing: {why}")) {
        ctx.console.warning(&complaint);
    }
    for complaint in &policy.complaints {
        ctx.console.warning(complaint);
    }
    Ok(ended(&policy))
}

/// The policy in force, each line with who set it.
fn in_words(policy: &Policy, values: &[Row], rules: &[RuleRow], holds: &[HoldRow]) -> Document {
    let by = |source: &Source| format!("[{}]", set_by(source, &policy.sources));
    let mut document = Document::default();
    document.text(format!("policy {}", policy.digest));
    document.heading("sources, in ascending precedence");
    document.list(policy.sources.iter().map(|source| Line::from(place(source))).collect());
    document.heading("rules (first match wins within a file; across files the earliest date wins)");
    let mut facts: Vec<Fact> = Vec::new();
    for rule in rules {
        let periods = [("seal after", &rule.seal_after), ("delete after", &rule.delete_after)];
        let periods: Vec<String> =
            periods.iter().filter_map(|(word, p)| Some(format!("{word} {}", p.as_ref()?))).collect();
        let what = format!("{}{}", periods.join(", "), selected(&rule.selector));
        facts.push(Fact::new(format!("{}:", rule.name), what).aside(by(&rule.source)));
    }
    for hold in holds {
        let until = hold.ends.map(|until| format!(" until {}", in_zone(until))).unwrap_or_default();
        let advisory = if hold.binds_all { "" } else { " (does not bind the organisation's rules)" };
        let what = format!("{}{until}: {}{advisory}", selected(&hold.selector).trim_start(), hold.reason);
        facts.push(Fact::new(format!("hold {}:", hold.name), what).aside(by(&hold.source)));
    }
    document.facts(facts);
    document.heading("values");
    let mut facts: Vec<Fact> = Vec::new();
    for row in values {
        let whose = row.applies_to.map(|whose| format!(" ({whose})")).unwrap_or_default();
        facts.push(Fact::new(format!("{}{whose}:", row.key), plain(&row.value)).aside(by(&row.source)));
        for other in &row.shadowed {
            let value = Line::of(format!("not {}", plain(&other.value)), Hue::Dim);
            facts.push(Fact::new("", value).aside(by(&other.source)));
        }
    }
    document.facts(facts);
    document
}

/// The policy files that are in place, each as what it is.
fn in_place(wanted: Option<Layer>, ctx: &Context) -> Result<Vec<(PathBuf, Option<Layer>)>, Failure> {
    let policy = crate::run::in_force_to_look(ctx)?;
    let mut files: Vec<(PathBuf, Option<Layer>)> = policy
        .said
        .into_iter()
        .filter_map(|layer| Some((layer.source.path?, Some(layer.source.layer))))
        .collect();
    // One that is invalid takes no part, and is what is asked about.
    let own = ctx.env.config_dir().join("policy.json");
    if own.symlink_metadata().is_ok() && files.iter().all(|(path, _)| *path != own) {
        files.push((own, Some(Layer::User)));
    }
    files.retain(|(_, layer)| wanted.is_none() || wanted == *layer);
    if files.is_empty() {
        let message = "no policy is in place: the built-in rule applies";
        return Err(
            Failure::new(Exit::Usage, message).hint("`ccretain policy init` prints one to start from")
        );
    }
    Ok(files)
}

fn print_checks(files: &[(PathBuf, Option<Layer>)], ctx: &Context) -> Result<Exit, Failure> {
    let (inventory, known) = known(ctx);
    let client = crate::client::read(&crate::client::ClientPlaces::new(&ctx.env), &[]);
    let against = Against { globs: Globs::new(&ctx.env), known: &known, client: &client, now: ctx.env.now };
    let mut documents = Vec::new();
    let mut exit = Exit::Done;
    for (path, layer) in files {
        let checked = check(path, *layer, &against).map_err(|error| Failure {
            hint: remedy::of_policy_file(&error),
            ..Failure::because(Exit::Usage, &error)
        })?;
        if !checked.problems.is_empty() {
            exit = Exit::Usage;
        }
        if ctx.console.wants_json() {
            documents.push(checked_json(path, &checked, known.len()));
        } else {
            print_checked(path, &checked, &inventory, ctx)?;
        }
        for (problem, excerpt) in
            checked.problems.iter().zip(checked.excerpts.iter().chain(std::iter::repeat(&None)))
        {
            let excerpt = excerpt.as_ref().map_or_else(String::new, |excerpt| format!("\n{excerpt}"));
            ctx.console.error(&format!("'{}': {problem}{excerpt}", shown(path)));
        }
    }
    if ctx.console.wants_json() {
        let one = match documents.as_mut_slice() {
            [one] => one.take(),
            _ => json!({
                "schema": "ccretain.policy-check/1",
                "valid": exit == Exit::Done,
                "files": documents,
            }),
        };
        ctx.console.json(&one)?;
    }
    Ok(exit)
}

fn checked_json(path: &Path, checked: &Checked, sessions: usize) -> Value {
    json!({
        "schema": "ccretain.policy-check/1",
        "path": text(path),
        "layer": checked.layer,
        "valid": checked.problems.is_empty(),
        "problems": checked.problems,
        "warnings": checked.warnings,
        "rules": checked.rules,
        "holds": checked.holds,
        "sessions": sessions,
        "sessionsWithoutRule": checked.sessions_without_rule,
    })
}

fn print_checked(
    path: &Path,
    checked: &Checked,
    inventory: &inventory::Inventory,
    ctx: &Context,
) -> Result<(), Failure> {
    if let Some(policy) = &checked.policy {
        let layer = checked.layer.map(|layer| format!(" as a {layer} policy")).unwrap_or_default();
        let (rules, holds) = (counted(checked.rules as u64, "rule"), counted(checked.holds as u64, "hold"));
        ctx.console.sentences(&format!("'{}' is valid{layer}: {rules}, {holds}\n", shown(path)))?;
        ctx.console.sentences(&preview(policy, checked, inventory, ctx))?;
    }
    for warning in &checked.warnings {
        ctx.console.sentences(&format!("warning: {warning}\n"))?;
    }
    Ok(())
}

/// How many of the sessions here a policy would delete by when, were it alone.
fn preview(policy: &Policy, checked: &Checked, inventory: &inventory::Inventory, ctx: &Context) -> String {
    let all = inventory.sessions.len() as u64;
    let plan = plan::plan(inventory, policy, ctx.env.now);
    // Holds of other files bind whatever this one says.
    let in_force = crate::run::in_force_to_look(ctx).ok();
    let in_force = in_force.map(|policy| plan::plan(inventory, &policy, ctx.env.now).sessions);
    let is_held = |verdict: &Verdict| matches!(verdict.decision, Decision::Keep(Keep::Held(_)));
    let is_held_by_others = |at: usize| in_force.as_ref().and_then(|all| all.get(at)).is_some_and(is_held);
    let due = |days: i64, held: bool| {
        let end = ctx.env.now + chrono::TimeDelta::days(days);
        let is_due = |verdict: &Verdict| match verdict.decision {
            Decision::Keep(Keep::KeepAtLeast(until)) => until <= end,
            _ => verdict.deletion.is_some_and(|(due, _)| due <= end),
        };
        let all = plan.sessions.iter().enumerate();
        let due = all.filter(|(at, one)| is_due(one) && held == (is_held(one) || is_held_by_others(*at)));
        due.count() as u64
    };
    let within = |days: i64| grouped(due(days, false));
    let held = match due(30, true) {
        0 => String::new(),
        held => format!("; {} held", grouped(held)),
    };
    let covered = match checked.sessions_without_rule as u64 {
        0 if all == 0 => "no sessions are here to try it on".to_owned(),
        0 => format!("all {} here are covered by a delete rule", counted(all, "session")),
        none => format!(
            "{} of {} here are never deleted: no rule matches",
            grouped(none),
            counted(all, "session")
        ),
    };
    format!(
        "{covered}\ndue for deletion by it: {} now, {} in 7 days, {} in 30 days{held}\n",
        within(0),
        within(7),
        within(30)
    )
}

/// Who set a value: the layer, and its file where the layer has several.
fn set_by(source: &Source, all: &[Source]) -> String {
    let is_alone = all.iter().filter(|other| other.layer == source.layer).count() < 2;
    match source.path.as_deref().and_then(Path::file_name).filter(|_| !is_alone) {
        Some(name) => format!("{} '{}'", source.layer, shown(Path::new(name))),
        None => source.layer.to_string(),
    }
}

fn place(source: &Source) -> String {
    match &source.path {
        Some(path) => format!("{} '{}'", source.layer, shown(path)),
        None => source.layer.to_string(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => crate::escape::text(text),
        Value::Object(parts) => {
            let parts: Vec<String> =
                parts.iter().map(|(key, value)| format!("{key} {}", plain(value))).collect();
            parts.join(", ")
        }
        other => other.to_string(),
    }
}

fn selected(selector: &Value) -> String {
    let parts: Vec<String> = selector
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, list)| {
            let list: Vec<String> =
                list.as_array().into_iter().flatten().filter_map(Value::as_str).map(text).collect();
            format!("{key} {}", list.join(" "))
        })
        .collect();
    if parts.is_empty() { String::new() } else { format!(" of {}", parts.join(", ")) }
}
