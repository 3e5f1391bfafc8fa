//! Which session is meant: a full id, or a beginning of 8 or more characters that fits one alone.

use std::collections::BTreeSet;
use std::path::Path;

use super::context::{Context, Exit, Failure};
use crate::catalogue::SessionId;
use crate::escape::{shown, text};
use crate::inventory::{Evidence, Inventory, SessionIndex};
use crate::ledger::{self, Filter, Item, Names};
use crate::run::sealed;

/// How many of several are listed.
const LISTED: usize = 20;

/// The fewest characters that name a session.
const FEWEST: usize = 8;

/// What to do where too little of an id was typed.
pub(super) const WHOLE: &str =
    "give the whole id, or 8 or more of its first characters: `ccretain list` shows the sessions";

/// What to add where several stores have it; the roots as they are shown.
pub(super) fn in_store(roots: &[String]) -> String {
    let ways: Vec<String> = roots.iter().map(|root| format!("`--store {root}`")).collect();
    format!("add {} to say which", ways.join(" or "))
}

/// Whether an argument can only be meant as a session: hexadecimal digits and dashes.
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
    let fitting = fitting(inventory, named)?;
    if let (true, Some(unread)) = (fitting.is_empty(), sealed::unread(inventory)) {
        let message = format!("no session '{}' was found, and {unread}", shown(named));
        return Err(Failure::new(Exit::Failed, message).hint(
            "`ccretain status` names what could not be read; make it readable, and run the same command again",
        ));
    }
    let ids = fitting.iter().map(|at| inventory.session(*at).id);
    let id = one_id(named, ids, || {
        if ctx.global.stores.is_empty() {
            "`ccretain list` shows the sessions with their ids"
        } else {
            "only the stores named with --store were looked into; `ccretain list` shows the sessions of all"
        }
    })?;
    match fitting.as_slice() {
        [one] => Ok(*one),
        several => {
            let root = |at: &SessionIndex| text(&inventory.store(inventory.session(*at).store).store.root);
            let roots: Vec<String> = several.iter().map(|at| format!("'{}'", root(at))).collect();
            Err(Failure::new(
                Exit::Usage,
                format!("session {id} is in several stores: {}", listed(roots.clone())),
            )
            .hint(in_store(&roots)))
        }
    }
}

/// Finds the id that is meant, whichever stores it is in; a full one need not be in any.
///
/// # Errors
/// Exit 2: too short, none, or several of one beginning, which are listed.
pub(super) fn find_id(inventory: &Inventory, named: &str) -> Result<SessionId, Failure> {
    if let Ok(id) = named.parse() {
        return Ok(id);
    }
    let ids = fitting(inventory, named)?.into_iter().map(|at| inventory.session(at).id);
    one_id(
        named,
        ids,
        || "a session that is not here yet is named by its whole id; `ccretain list` shows those that are",
    )
}

/// Finds the one of these ids that is meant.
///
/// # Errors
/// As [`find_id`].
pub(super) fn one_of(
    named: &str,
    ids: impl Iterator<Item = SessionId>,
    where_else: impl FnOnce() -> &'static str,
) -> Result<SessionId, Failure> {
    let wanted = beginning(named)?;
    one_id(named, ids.filter(|id| begins(*id, &wanted)), where_else)
}

/// The names by which a ledger calls the session that is meant.
pub(super) fn in_ledger(named: &str, dir: &Path, ctx: &Context) -> Result<BTreeSet<String>, Failure> {
    let named = named.to_lowercase();
    let names = Names::load(&ctx.env.state_dir())?;
    if named.len() == 36 || named.starts_with(Names::MARK) {
        // Both forms, as the policy may have changed how names are written.
        let keyed = names.map(|names| names.keyed(&named));
        return Ok(std::iter::once(named).chain(keyed).collect());
    }
    let ids = ledger::records(dir, &Filter::default())?.flatten().filter_map(|item| match item {
        Item::Record(record) => record.text("session")?.parse().ok(),
        Item::Bad(_) => None,
    });
    let id = one_of(
        &named,
        ids,
        || "`ccretain ledger show` lists the newest records; where names are keyed, only a whole id is found",
    )?;
    Ok(BTreeSet::from([id.to_string()]))
}

/// What an id must begin with, without its dashes.
fn beginning(named: &str) -> Result<String, Failure> {
    // People copy the beginning of an id with or without its dash.
    let wanted: String = named.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    if wanted.len() < FEWEST {
        return Err(
            Failure::new(Exit::Usage, format!("'{}' is too short for a session", shown(named))).hint(WHOLE)
        );
    }
    Ok(wanted)
}

fn begins(id: SessionId, wanted: &str) -> bool {
    id.to_string().bytes().filter(|byte| *byte != b'-').take(wanted.len()).eq(wanted.bytes())
}

/// The sessions in scope that an argument may mean, by id and store.
fn fitting(inventory: &Inventory, named: &str) -> Result<Vec<SessionIndex>, Failure> {
    let wanted = beginning(named)?;
    let session = |at: &SessionIndex| inventory.session(*at);
    let mut fitting: Vec<SessionIndex> = (0..inventory.sessions.len())
        .map(SessionIndex::of)
        .filter(|at| inventory.store(session(at).store).store.in_scope)
        .filter(|at| begins(session(at).id, &wanted))
        .collect();
    // What is left of a session elsewhere does not make it another one.
    let is_whole =
        |at: &SessionIndex| matches!(session(at).evidence, Evidence::Transcript | Evidence::Sealed);
    if fitting.iter().any(is_whole) {
        fitting.retain(is_whole);
    }
    fitting.sort_by_key(|at| (session(at).id, session(at).store));
    Ok(fitting)
}

/// The one id of the sessions that an argument may mean.
fn one_id(
    named: &str,
    ids: impl Iterator<Item = SessionId>,
    where_else: impl FnOnce() -> &'static str,
) -> Result<SessionId, Failure> {
    let ids: Vec<SessionId> = ids.collect::<BTreeSet<_>>().into_iter().collect();
    match ids.as_slice() {
        [] => {
            let message = format!("no session '{}' was found", shown(named));
            Err(Failure::new(Exit::Usage, message).hint(where_else()))
        }
        [one] => Ok(*one),
        several => {
            let several = listed(several.iter().map(ToString::to_string).collect());
            let message = format!("'{}' fits several sessions: {several}", shown(named));
            Err(Failure::new(Exit::Usage, message)
                .hint("give more of it; `ccretain list` shows the sessions with project and date"))
        }
    }
}

/// Some of several, and how many more there are.
fn listed(lines: Vec<String>) -> String {
    let rest = lines.len().saturating_sub(LISTED);
    let mut list = lines.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
    if rest > 0 {
        list.push_str(&format!(" and {rest} more"));
    }
    list
}
