//! `ccretain policy client`: the retention settings of Claude Code itself.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::show::ended;
use crate::check::client::periods::session_periods;
use crate::cli::context::{Context, Exit, Failure};
use crate::client::{self, ClientPlaces, ClientSettings, Number, Sweep};
use crate::escape::{shown, text};
use crate::policy::check::Known;

pub(super) fn print_fragment(ctx: &Context) -> Result<Exit, Failure> {
    let policy = crate::run::in_force(ctx)?;
    let mut periods = session_periods(&policy);
    periods.extend(policy.mandates.iter().filter_map(|mandate| Some(mandate.keep_at_least.clone()?.value)));
    ctx.console.json(&client::emit(periods.iter()))?;
    if policy.mandates.iter().any(|mandate| !mandate.holds.is_empty()) {
        ctx.console.note("holds do not bind Claude Code: see `ccretain hold add --preserve`");
    }
    Ok(ended(&policy))
}

pub(super) fn print_client(known: &[Known], ctx: &Context) -> Result<Exit, Failure> {
    let mut projects: Vec<PathBuf> =
        known.iter().filter_map(|known| known.project.as_ref()).map(PathBuf::from).collect();
    projects.sort();
    projects.dedup();
    let client = client::read(&ClientPlaces::new(&ctx.env), &projects);
    let remarks = client.remarks();
    if ctx.console.wants_json() {
        let sweeps: Vec<Value> = own_projects(&client)
            .map(|project| json!({"project": text(project), "sweep": client.sweep(Some(project))}))
            .collect();
        let files: Vec<Value> = client.files().filter(|file| is_there(file)).map(as_json).collect();
        ctx.console.json(&json!({
            "schema": "ccretain.policy-client/1",
            "sweep": client.sweep(None),
            "projects": sweeps,
            "files": files,
            "remarks": remarks,
        }))?;
        return Ok(Exit::Done);
    }
    let mut out = format!("Claude Code's own cleanup: {}\n", sweep(&client.sweep(None)));
    for project in own_projects(&client) {
        let _ = writeln!(out, "  started in '{}': {}", shown(project), sweep(&client.sweep(Some(project))));
    }
    for file in client.files().filter(|file| is_there(file)) {
        let _ = writeln!(
            out,
            "  '{}': cleanupPeriodDays {}, desktopSessionCleanupPeriodDays {}",
            shown(&file.path),
            number(file.cleanup()),
            number(file.desktop())
        );
    }
    for remark in remarks {
        let _ = writeln!(out, "  {remark}");
    }
    ctx.console.sentences(&out)?;
    Ok(Exit::Done)
}

/// A settings file: a period is a number, null where it is not there, "invalid" where it is none.
fn as_json(file: &client::SettingsFile) -> Value {
    let period = |number: Number| match number {
        Number::Unset => Value::Null,
        Number::Days(days) => json!(days),
        Number::Zero => json!(0),
        Number::Invalid => json!("invalid"),
    };
    let error = match &file.state {
        client::FileState::Unreadable(why) | client::FileState::Broken(why) => Some(why),
        client::FileState::Read { .. } | client::FileState::Missing => None,
    };
    json!({
        "source": file.kind,
        "path": text(&file.path),
        "error": error,
        "cleanupPeriodDays": period(file.cleanup()),
        "desktopSessionCleanupPeriodDays": period(file.desktop()),
    })
}

/// The projects that have settings of their own.
fn own_projects(client: &ClientSettings) -> impl Iterator<Item = &Path> {
    let has_own = |(_, files): &(&PathBuf, &Vec<client::SettingsFile>)| files.iter().any(is_there);
    client.projects.iter().filter(has_own).map(|(project, _)| project.as_path())
}

fn is_there(file: &client::SettingsFile) -> bool {
    file.state != client::FileState::Missing
}

fn sweep(sweep: &Sweep) -> String {
    match sweep {
        Sweep::Runs { days, path: Some(path) } => format!("after {days} days  ['{}']", shown(path)),
        Sweep::Runs { days, path: None } => format!("after {days} days  [its default]"),
        Sweep::Paused { reason } => format!("paused: {reason}"),
    }
}

fn number(number: Number) -> String {
    match number {
        Number::Unset => "unset".into(),
        Number::Days(days) => days.to_string(),
        Number::Zero => "0".into(),
        Number::Invalid => "invalid".into(),
    }
}
