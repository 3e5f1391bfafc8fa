//! Which session is meant: a full id, or a beginning of 8 or more characters that fits one alone.

use super::{Context, Exit, Failure};
use crate::escape::{shown, text};
use crate::inventory::{Evidence, Inventory, SessionIndex};

/// How many of several are listed.
const LISTED: usize = 20;

/// The fewest characters that name a session.
const FEWEST: usize = 8;

/// Whether an argument can only be meant as a session: hexadecimal digits and dashes.
#[must_use]
pub(super) fn looks_like_one(named: &str) -> bool {
    !named.is_empty()
        && named.len() <= 36
        && named.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        && named.bytes().any(|byte| byte.is_ascii_hexdigit())
}

/// Finds the session; with `--store` in the named stores only.
///
/// # Errors
/// Exit 2: too short, none, several of one beginning, or one in several stores; those are listed.
pub(super) fn find(inventory: &Inventory, named: &str, ctx: &Context) -> Result<SessionIndex, Failure> {
    let wanted: String = named.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    if wanted.len() < FEWEST {
        return Err(Failure::new(Exit::Usage, format!("'{}' is too short for a session", shown(named)))
            .hint("give the whole id, or 8 or more of its first characters"));
    }
    let in_scope = |at: usize| inventory.store(inventory.sessions[at].store).store.in_scope;
    let mut fitting: Vec<usize> = (0..inventory.sessions.len())
        .filter(|at| in_scope(*at))
        .filter(|at| {
            let id = inventory.sessions[*at].id.to_string();
            id.bytes().filter(|byte| *byte != b'-').take(wanted.len()).eq(wanted.bytes())
        })
        .collect();
    // What is left of a session elsewhere does not make it another one.
    let is_whole =
        |at: &usize| matches!(inventory.sessions[*at].evidence, Evidence::Transcript | Evidence::Sealed);
    if fitting.iter().any(is_whole) {
        fitting.retain(is_whole);
    }
    fitting.sort_by_key(|at| (inventory.sessions[*at].id, inventory.sessions[*at].store));
    let session = |at: usize| &inventory.sessions[at];
    let root = |at: usize| text(&inventory.store(session(at).store).store.root);
    let listed = |lines: Vec<String>| {
        let rest = lines.len().saturating_sub(LISTED);
        let mut list = lines.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
        if rest > 0 {
            list.push_str(&format!(" and {rest} more"));
        }
        list
    };
    match fitting.as_slice() {
        [] => Err(Failure::new(Exit::Usage, format!("no session '{}' was found", shown(named))).hint(
            if ctx.global.stores.is_empty() {
                "`ccretain status` lists the stores that were looked into"
            } else {
                "only the stores named with --store were looked into"
            },
        )),
        [one] => Ok(SessionIndex::of(*one)),
        [first, rest @ ..] if rest.iter().all(|at| session(*at).id == session(*first).id) => {
            let roots = fitting.iter().map(|at| format!("'{}'", root(*at))).collect();
            let message = format!("session {} is in several stores: {}", session(*first).id, listed(roots));
            Err(Failure::new(Exit::Usage, message).hint("name the one that is meant with --store DIR"))
        }
        several => {
            let mut ids: Vec<String> = several.iter().map(|at| session(*at).id.to_string()).collect();
            ids.dedup();
            let message = format!("'{}' fits several sessions: {}", shown(named), listed(ids));
            Err(Failure::new(Exit::Usage, message).hint("give more of the id"))
        }
    }
}
