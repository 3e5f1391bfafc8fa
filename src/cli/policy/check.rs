//! `ccretain policy check`: whether policy files are valid, and what they would come to.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::known;
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::remedy;
use crate::escape::{shown, text};
use crate::inventory;
use crate::plan::{self, Decision, Keep, Verdict};
use crate::policy::check::{Against, Checked, check};
use crate::policy::compile::Globs;
use crate::policy::{Layer, Policy};
use crate::report::human::{counted, grouped};

/// The policy files that are in place, each as what it is; none where the built-in rule alone is in force.
///
/// # Errors
/// There is none of the layer that is asked about.
pub(super) fn in_place(
    wanted: Option<Layer>,
    ctx: &Context,
) -> Result<Vec<(PathBuf, Option<Layer>)>, Failure> {
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
    match wanted.filter(|_| files.is_empty()) {
        Some(layer) => Err(Failure::new(Exit::Usage, format!("there is no {layer} policy"))
            .hint("`ccretain policy show` names the policies in force")),
        None => Ok(files),
    }
}

/// Judges policy files, and says how much each would delete.
///
/// # Errors
/// A file that cannot be read (2), and stdout that cannot be written.
pub(super) fn print_checks(files: &[(PathBuf, Option<Layer>)], ctx: &Context) -> Result<Exit, Failure> {
    let (inventory, known) = known(ctx);
    let client = crate::client::read(&crate::client::ClientPlaces::new(&ctx.env), &[]);
    let against = Against { globs: Globs::new(&ctx.env), known: &known, client: &client, now: ctx.env.now };
    let mut documents = Vec::new();
    let mut exit = Exit::Done;
    if files.is_empty() && !ctx.console.wants_json() {
        let policy = crate::run::in_force_to_look(ctx)?;
        let has_no_rule = |session: &&inventory::Session| !plan::has_delete_rule(&policy, session);
        let without_rule = inventory.sessions.iter().filter(has_no_rule).count();
        ctx.console.sentences("no policy is in place: the built-in rule applies\n")?;
        ctx.console.sentences(&preview(&policy, without_rule, &inventory, ctx))?;
        ctx.console.note("`ccretain policy init` prints one to start from");
    }
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
        ctx.console.sentences(&preview(policy, checked.sessions_without_rule, inventory, ctx))?;
    }
    for warning in &checked.warnings {
        ctx.console.sentences(&format!("warning: {warning}\n"))?;
    }
    Ok(())
}

/// How many of the sessions here a policy would delete by when, were it alone.
fn preview(policy: &Policy, without_rule: usize, inventory: &inventory::Inventory, ctx: &Context) -> String {
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
    let covered = match without_rule as u64 {
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
