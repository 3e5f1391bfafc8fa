//! `ccretain policy`: what is in force and who says so, and the tools for writing one.

mod check;
mod client;
mod show;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::context::{Context, Exit, Failure};
use crate::escape::shown;
use crate::inventory;
use crate::locate::{self, Request};
use crate::policy::check::{Known, Start, init};
use crate::policy::load::Places;
use crate::policy::{Layer, keys};
use check::{in_place, print_checks};
use client::{print_client, print_fragment};
use show::print_policy;

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
                .note(&format!("check it with `{check}`, then put it in place as '{}'", shown(&place)));
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
