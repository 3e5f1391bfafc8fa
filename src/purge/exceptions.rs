//! What was not removed although it should have been, in words. Pure.

use super::certificate::{Exception, ExceptionReason};
use super::unknown;
use crate::escape::text;
use crate::inventory::{Artifact, Inventory, Problem};
use crate::locate::{Refusal, Refused};
use crate::plan::purge::{Doubt, Doubtful};

/// A file that is there, and why.
pub(super) fn exception(
    reason: ExceptionReason,
    of: &Inventory,
    artifact: &Artifact,
    detail: String,
) -> Exception {
    Exception { reason, path: text(&of.full_path(artifact)), detail, bytes: Some(artifact.stamp.size) }
}

/// A root that was not taken.
pub(super) fn refused(refused: &Refused) -> Exception {
    let reason = match refused.why {
        Refusal::Missing | Refusal::Emptied | Refusal::Unreachable(_) => ExceptionReason::Unreadable,
        // Whoever took our place may be given what Claude Code writes there, so it is no matter of reading.
        Refusal::Squatted(_) => ExceptionReason::Foreign,
        _ => ExceptionReason::Refused,
    };
    Exception { reason, path: text(&refused.path), detail: refused.why.to_string(), bytes: None }
}

/// Something that could not be read.
pub fn unreadable(problem: &Problem) -> Exception {
    Exception {
        reason: ExceptionReason::Unreadable,
        path: text(&problem.path),
        detail: format!("cannot {} it: {}", problem.doing, problem.error),
        bytes: None,
    }
}

/// What may be meant and stays; of a folder that is not known only that.
pub fn doubts(inventory: &Inventory, doubts: &[Doubtful]) -> Vec<Exception> {
    let (unknown, others): (Vec<&Doubtful>, Vec<&Doubtful>) =
        doubts.iter().partition(|one| one.why == Doubt::Unrecognised && one.lines == 0);
    let mut exceptions: Vec<Exception> = others.into_iter().map(|one| doubt(inventory, one)).collect();
    exceptions.extend(unknown::gathered(inventory, unknown.iter().map(|one| one.artifact)).into_iter().map(
        |one| Exception {
            reason: ExceptionReason::Unrecognised,
            path: text(&one.path),
            detail: match (one.is_folder, one.files) {
                (false, _) => Doubt::Unrecognised.words().to_owned(),
                (true, 1) => "ccretain does not know this folder (1 file)".to_owned(),
                (true, files) => format!("ccretain does not know this folder ({files} files)"),
            },
            bytes: Some(one.bytes),
        },
    ));
    exceptions
}

/// Something that may be meant and stays.
fn doubt(inventory: &Inventory, doubtful: &Doubtful) -> Exception {
    let reason = match doubtful.why {
        Doubt::Link => ExceptionReason::Linked,
        Doubt::Foreign => ExceptionReason::Foreign,
        Doubt::Live => ExceptionReason::Live,
        Doubt::Damaged | Doubt::OutOfReach => ExceptionReason::Unreadable,
        Doubt::Unrecognised => ExceptionReason::Unrecognised,
        Doubt::Shared => ExceptionReason::Shared,
        Doubt::NoProject | Doubt::NoSession | Doubt::Mixed | Doubt::Undated | Doubt::FutureDated => {
            ExceptionReason::Unattributed
        }
    };
    let words = doubtful.why.words();
    let detail = match doubtful.lines {
        0 => words.to_owned(),
        1 => format!("one line of it: {words}"),
        lines => format!("{lines} lines of it: {words}"),
    };
    let artifact = inventory.artifact(doubtful.artifact);
    Exception {
        // Of lines, the size of the whole file would overstate what is left.
        bytes: (doubtful.lines == 0).then_some(artifact.stamp.size),
        ..exception(reason, inventory, artifact, detail)
    }
}
