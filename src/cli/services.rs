//! `ccretain check --services`: what Claude Code sends from this machine, service by service.

use super::context::{Context, Exit, Failure};
use crate::check::client::Seen;
use crate::client::{ClientSettings, switches};
use crate::escape::text;
use crate::report::services::{Client, Services};
use crate::run;

/// Prints the table; nothing is judged.
///
/// # Errors
/// An invalid policy is exit 2.
pub(super) fn run(ctx: &Context) -> Result<Exit, Failure> {
    let ground = run::prepare_to_look(ctx)?;
    let inventory = ground.inventory(ctx);
    let environment = switches::of_environment(|name| ctx.env.variable(name));
    let of = |store: String, client: &ClientSettings| {
        let seen = Seen { client, environment: &environment };
        let (provider, chosen) = seen.provider_in_use();
        Client { store, provider, chosen, services: seen.services() }
    };
    let found = run::clients(&inventory, ctx);
    let mut clients: Vec<Client> =
        found.iter().map(|(at, client)| of(text(&inventory.stores[*at].store.root), client)).collect();
    if clients.is_empty() {
        clients.push(of(String::new(), &ground.client));
    }
    let report = Services::new(clients, ctx.env.now);
    if ctx.global.json {
        ctx.console.json(&report)?;
    } else {
        ctx.console.data(&report.text(ctx.paint(), ctx.global.verbose > 0))?;
    }
    Ok(ctx.tell_errors(&ground.policy.complaints))
}
