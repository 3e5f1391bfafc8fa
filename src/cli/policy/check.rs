//! `ccretain policy check`: whether policy files are valid, and what they would come to.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::known;
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::remedy;
use crate::escape::{shown, text};
use crate::inventory;
use crate::plan;
use crate::policy::check::{Against, Checked, check};
use crate::policy::compile::Globs;
use crate::policy::{Layer, Policy};
use crate::report::human::counted;
use crate::report::policy::preview;

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
    let in_force = crate::run::in_force_to_look(ctx);
    let planned = in_force.as_ref().ok().map(|policy| plan::plan(&inventory, policy, ctx.env.now));
    let told = |policy: &Policy, without_rule: usize| {
        ctx.console.sentences(&preview(policy, without_rule, &inventory, planned.as_ref(), ctx.env.now))
    };
    let workspace = crate::run::prepare_to_look(ctx).ok();
    let mut documents = Vec::new();
    let mut exit = Exit::Done;
    if files.is_empty() && !ctx.console.wants_json() {
        let policy = in_force?;
        let has_no_rule = |session: &&inventory::Session| !plan::has_delete_rule(&policy, session);
        let without_rule = inventory.sessions.iter().filter(has_no_rule).count();
        ctx.console.sentences("no policy is in place: the built-in rule applies\n")?;
        told(&policy, without_rule)?;
        ctx.console.note("`ccretain policy init` prints one to start from");
    }
    for (path, layer) in files {
        let mut checked = check(path, *layer, &against).map_err(|error| Failure {
            hint: remedy::of_policy_file(&error),
            ..Failure::because(Exit::Usage, &error)
        })?;
        if let (Some(policy), Some(workspace)) = (&checked.policy, &workspace) {
            // No error: it may be meant for other machines, or for one of which the volume is not mounted.
            checked.warnings.extend(workspace.left_out_in_vain(policy, ctx).iter().map(|folder| {
                format!("stores.exclude names '{}', where no data of Claude Code is known", shown(folder))
            }));
        }
        if !checked.problems.is_empty() {
            exit = Exit::Usage;
        }
        if ctx.console.wants_json() {
            documents.push(checked_json(path, &checked, known.len()));
        } else {
            print_checked(path, &checked, &told, ctx)?;
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
    told: &dyn Fn(&Policy, usize) -> Result<(), Failure>,
    ctx: &Context,
) -> Result<(), Failure> {
    if let Some(policy) = &checked.policy {
        let layer = checked.layer.map(|layer| format!(" as a {layer} policy")).unwrap_or_default();
        let (rules, holds) = (counted(checked.rules as u64, "rule"), counted(checked.holds as u64, "hold"));
        ctx.console.sentences(&format!("'{}' is valid{layer}: {rules}, {holds}\n", shown(path)))?;
        told(policy, checked.sessions_without_rule)?;
    }
    for warning in &checked.warnings {
        ctx.console.sentences(&format!("warning: {warning}\n"))?;
    }
    Ok(())
}
