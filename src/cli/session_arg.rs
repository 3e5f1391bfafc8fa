//! SESSION on the command line: a full id, or a prefix that means one session.

use super::{Exit, Failure};
use crate::escape::text;
use crate::inventory::{Evidence, Inventory, SessionIndex};

/// The shortest prefix that is taken.
const SHORTEST: usize = 8;

/// The session that an argument means, among those of stores in scope.
///
/// # Errors
/// Exit 2: it is too short, means no session or several, or one that is in two stores; the message
/// lists them.
pub fn find(inventory: &Inventory, argument: &str) -> Result<SessionIndex, Failure> {
    let wanted = argument.trim().to_ascii_lowercase();
    let shown = text(argument);
    if wanted.len() < SHORTEST || !wanted.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
        return Err(Failure::new(Exit::Usage, format!("'{shown}' is no session"))
            .hint(format!("give its id, or {SHORTEST} or more of the characters it begins with")));
    }
    let mut found: Vec<SessionIndex> = (0..inventory.sessions.len())
        .map(SessionIndex::of)
        .filter(|index| {
            let session = inventory.session(*index);
            inventory.store(session.store).store.in_scope && session.id.to_string().starts_with(&wanted)
        })
        .collect();
    // What is left of a session elsewhere does not make it another one.
    let is_whole = |index: &SessionIndex| {
        matches!(inventory.session(*index).evidence, Evidence::Transcript | Evidence::Sealed)
    };
    if found.iter().any(is_whole) {
        found.retain(is_whole);
    }
    let describe = |index: &SessionIndex| {
        let session = inventory.session(*index);
        let root = text(&inventory.store(session.store).store.root);
        let project = session.project.as_deref().map(|project| format!(" ({})", text(project)));
        format!("{} in '{root}'{}", session.id, project.unwrap_or_default())
    };
    match found.as_slice() {
        [] => Err(Failure::new(Exit::Usage, format!("there is no session '{shown}'"))),
        [one] => Ok(*one),
        several => {
            let list: Vec<String> = several.iter().map(describe).collect();
            let first = inventory.session(several[0]).id;
            let one_id = several.iter().all(|index| inventory.session(*index).id == first);
            let (what, hint) = if one_id {
                ("is in several stores", "name the one that is meant with --store")
            } else {
                ("means several sessions", "give more of its id")
            };
            Err(Failure::new(Exit::Usage, format!("'{shown}' {what}: {}", list.join(", "))).hint(hint))
        }
    }
}
