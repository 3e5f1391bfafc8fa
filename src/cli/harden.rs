//! `ccretain harden --emit`: the client's managed settings that answer every row of `check`.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::context::{Context, Exit, Failure};
use crate::check::client::periods::session_periods;
use crate::client::{self, switches::Switch};
use crate::period::Period;
use crate::policy::{Layer, Policy};
use crate::run;

/// What `harden` takes.
#[derive(Debug, Clone, Args)]
pub struct HardenArgs {
    /// Print the settings; nothing is written anywhere.
    #[arg(long, hide = true)]
    pub emit: bool,
    /// Output format.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: HardenFormat,
    /// Omit the switch that turns off all traffic, because it also stops updates; the switches for
    /// metrics, error reports, feedback and surveys stay.
    #[arg(long)]
    pub keep_updates: bool,
    /// Also tell Claude Code to write no transcripts at all; sessions cannot be resumed then.
    #[arg(long)]
    pub no_transcripts: bool,
}

/// As what settings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum HardenFormat {
    /// `managed-settings.json`, or a drop-in in `managed-settings.d`.
    #[default]
    Json,
    /// A property list for the preference domain `com.anthropic.claudecode`.
    Plist,
}

/// Runs the verb.
///
/// # Errors
/// An invalid policy is exit 2.
pub fn run(args: &HardenArgs, ctx: &Context) -> Result<Exit, Failure> {
    let policy = run::in_force(ctx)?;
    let settings = settings(args, &policy, ctx);
    match args.format {
        HardenFormat::Json => ctx.console.json(&settings)?,
        HardenFormat::Plist => {
            let mut bytes = Vec::new();
            plist::to_writer_xml(&mut bytes, &settings).map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot write a property list: {error}"))
            })?;
            bytes.push(b'\n');
            ctx.console.raw(&bytes)?;
        }
    }
    ctx.console.note(
        "deploy it as Claude Code's managed settings; metrics off also ends Remote Control and other features behind flags",
    );
    if holds_of_the_organisation(&policy, ctx) {
        ctx.console.note(
            "the policy has holds, which do not bind Claude Code: its cleanup is given a period without an end, and ccretain alone deletes",
        );
    }
    let mut exit = Exit::Done;
    for complaint in policy.complaints.iter().chain(&policy.suspended) {
        ctx.console.error(complaint);
        exit = Exit::Failed;
    }
    Ok(exit)
}

/// The settings, every switch as the text that Claude Code takes for yes.
fn settings(args: &HardenArgs, policy: &Policy, ctx: &Context) -> Value {
    let mut env = Map::new();
    let mut set = |switch: Switch| env.insert(switch.name().to_owned(), json!("1"));
    for switch in
        [Switch::NoTelemetry, Switch::NoErrorReports, Switch::NoFeedback, Switch::NoBug, Switch::NoSurvey]
    {
        set(switch);
    }
    if !args.keep_updates {
        // One switch for all that it sends besides prompts, also for what a later version adds.
        set(Switch::EssentialOnly);
    }
    if args.no_transcripts {
        set(Switch::NoTranscripts);
    }
    let mut settings = client::emit(periods(policy, ctx).iter());
    settings["env"] = Value::Object(env);
    settings
}

/// What Claude Code may not undercut: every rule for sessions and every floor, so that it never removes what the policy
/// keeps, and removes what is past all of it even where ccretain does not run.
fn periods(policy: &Policy, ctx: &Context) -> Vec<Period> {
    // Holds that come with the policy have no end; a user's own are for `hold add --preserve`.
    let mut periods = session_periods(policy);
    periods.extend(policy.mandates.iter().filter_map(|mandate| Some(mandate.keep_at_least.clone()?.value)));
    if holds_of_the_organisation(policy, ctx) {
        // Claude Code knows no holds, so while there is one nothing is left to its own cleanup.
        periods.extend("never".parse().ok());
    }
    periods
}

fn holds_of_the_organisation(policy: &Policy, ctx: &Context) -> bool {
    let is_theirs = |layer| matches!(layer, Layer::System | Layer::Managed);
    policy.holds().any(|(hold, _)| is_theirs(hold.source.layer) && hold.is_active(ctx.env.now))
}
