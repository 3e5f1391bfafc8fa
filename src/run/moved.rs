//! What settings of Claude Code put where ccretain does not look, for reports.

use super::{Context, Workspace};
use crate::exposure::Evidence;

/// Each place, with what lies there and the file that says so.
pub fn evidence(ground: &Workspace, ctx: &Context) -> Vec<Evidence> {
    let of = |moved: crate::client::movers::Moved| {
        let path = moved.path(&ctx.env.user.home);
        let place = if path.is_absolute() { "" } else { ", relative to each project" };
        let note = format!(
            "{}{place}: {} in '{}'",
            moved.mover.what,
            moved.mover.name,
            crate::escape::shown(&moved.file)
        );
        Evidence { path: Some(path), note }
    };
    ground.not_covered(ctx).into_iter().map(of).collect()
}
