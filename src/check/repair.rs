//! Closes what is open to others, under the locks of the stores and with a record in the ledger.

use serde::{Deserialize, Serialize};

use super::gather::Posture;
use super::modes::store_of;
use crate::enforce::modes;
use crate::escape::text;
use crate::run::{self, Context, Error, LedgeredRun};

/// What was repaired.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Fixed {
    /// Files that are closed to others now.
    pub files: u64,
    pub folders: u64,
    /// What was left, and why.
    pub left: Vec<Left>,
}

/// Something that was left as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Left {
    /// Where it lies.
    pub path: String,
    pub why: String,
}

/// Repairs what was found, but for stores that are not to be changed.
pub fn repair(posture: &Posture, ctx: &Context) -> Result<Fixed, Error> {
    let Posture { inventory, ground, repair, .. } = posture;
    let left = |path: &std::path::Path, why: String| Left { path: text(path), why };
    let mut fixed = Fixed::default();
    fixed.left.extend(repair.left.iter().map(|(path, why)| left(path, (*why).to_owned())));
    // What could not be seen could not be closed.
    let unread = inventory.problems.iter();
    fixed.left.extend(
        unread.map(|problem| left(&problem.path, format!("cannot {} it: {}", problem.doing, problem.error))),
    );
    let in_scope = |target: &&modes::Target| inventory.store(store_of(inventory, **target)).store.in_scope;
    let targets: Vec<_> = repair.targets.iter().filter(in_scope).copied().collect();
    if targets.is_empty() {
        return Ok(fixed);
    }
    let locks = run::lock_all(ground, ctx)?;
    let mut run = LedgeredRun::begin("check-fix", ctx, &ground.policy, locks)?;
    let done = modes::tighten(inventory, &targets, &mut run, ctx.env.now);
    let done = done.map_err(|error| run.unrecorded(error))?;
    let failed = done.failed.len() as u64;
    let counts = [("files", done.files), ("folders", done.folders), ("failed", failed)];
    run.end(&counts, u8::from(failed > 0), ctx)?;
    (fixed.files, fixed.folders) = (done.files, done.folders);
    fixed.left.extend(done.failed.into_iter().map(|(path, why)| left(&path, why)));
    Ok(fixed)
}
