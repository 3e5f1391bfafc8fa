//! Line files lose lines: written anew without them, under the client's own lock.
//!
//! The new file has the owner, the mode, the ACL, the security label and every other byte of the old one, and is
//! dropped if one of them cannot be kept or the old one changed meanwhile.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;

use super::lock::ClientLock;
use super::record::Recorder;
use super::watch::Watch;
use super::{Effect, Outcome, Outcomes, Skip, Stop, Tools, dir};
use crate::catalogue::SessionId;
use crate::dir::Dir;
use crate::files::{self, access};
use crate::inventory::Inventory;
use crate::inventory::lines::LineFile;
use crate::ledger::Event;
use crate::plan::{Decision, Plan};

/// Prunes every line file of which lines are to go.
pub(super) fn all(
    inventory: &Inventory,
    plan: &Plan,
    watch: &Watch<'_>,
    records: &Recorder<'_>,
    tools: &mut Tools<'_>,
    outcomes: &mut Outcomes,
) {
    for (at, (file, decisions)) in inventory.line_files.iter().zip(&plan.lines).enumerate() {
        if !matches!(plan.decisions[file.artifact.at()], Decision::Prune(_)) {
            continue;
        }
        if let Some(stop) = (tools.stop)() {
            outcomes.stopped = Some(stop);
            return;
        }
        let (cuts, lines) = match plan.purge.as_ref().and_then(|extent| extent.cuts.get(&at)) {
            // Whatever becomes of the session, its prompts go.
            Some(cut) => (cut.ranges.clone(), cut.count),
            None => unless_spared(inventory, file, decisions, watch, outcomes),
        };
        let bytes = cuts.iter().map(|cut| cut.end - cut.start).sum();
        // Every session of it was left alone or opened meanwhile: there is nothing to write anew.
        if cuts.is_empty() {
            outcomes.set(file.artifact, Outcome::Skipped(Skip::BecameLive));
            continue;
        }
        let intent = records.pruning(Event::Intent, file.artifact, lines, bytes);
        if let Err(error) = tools.ledger.append(&[intent], tools.now) {
            outcomes.stopped = Some(Stop::Ledger(error));
            return;
        }
        let outcome = match rewrite(inventory, file, &cuts) {
            Ok(true) => {
                let freed = freed(inventory, file);
                Outcome::Done(Effect::Pruned { lines, bytes, freed })
            }
            Ok(false) => Outcome::Skipped(Skip::ChangedSincePlan),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Outcome::Skipped(Skip::Vanished),
            Err(error) => Outcome::failed("rewrite it without the lines that are due", &error),
        };
        let record = records.pruned(file.artifact, &outcome);
        outcomes.set(file.artifact, outcome);
        if let Err(error) = tools.ledger.append(&[record], tools.now) {
            outcomes.stopped = Some(Stop::Ledger(error));
            return;
        }
        (tools.progress)(1);
    }
}

/// What is to be cut out of a file, and how many lines that is: a session that was left alone, or
/// that a client has opened meanwhile, keeps its lines.
fn unless_spared(
    inventory: &Inventory,
    file: &LineFile,
    decisions: &[Decision],
    watch: &Watch<'_>,
    outcomes: &Outcomes,
) -> (Vec<Range<u64>>, u64) {
    let left_alone = left_alone(inventory, outcomes);
    // Claude Code may write a line of theirs at any moment, and reads them when it goes back through prompts.
    let is_open = watch.open_sessions();
    let is_spared = |id: SessionId| left_alone.contains(&id) || is_open(id);
    let goes: Vec<bool> = file
        .content
        .lines
        .iter()
        .zip(decisions)
        .map(|(line, decision)| decision.due().is_some() && !line.session.is_some_and(is_spared))
        .collect();
    let cuts = file.content.cuts(|at| goes.get(at).copied().unwrap_or(false));
    (cuts, goes.iter().filter(|goes| **goes).count() as u64)
}

/// The sessions that the plan let go and that were left alone, or could not be removed whole.
fn left_alone(inventory: &Inventory, outcomes: &Outcomes) -> HashSet<SessionId> {
    let skipped = |outcome: &Option<&Outcome>| {
        matches!(
            outcome,
            Some(Outcome::Failed(_) | Outcome::Skipped(Skip::BecameLive | Skip::ChangedSincePlan))
        )
    };
    inventory
        .artifacts
        .iter()
        .zip(outcomes.iter())
        .filter(|(_, outcome)| skipped(outcome))
        .filter_map(|(artifact, _)| inventory.session_of(artifact))
        .map(|session| session.id)
        .collect()
}

/// How many bytes of the disk are free since a file was written anew: none while the old file has another
/// name.
fn freed(inventory: &Inventory, file: &LineFile) -> u64 {
    let artifact = inventory.artifact(file.artifact);
    let now = inventory.open(artifact.folder).and_then(|folder| folder.stat(inventory.name(artifact)));
    match now {
        Ok(now) if !artifact.hard_linked => artifact.allocated.saturating_sub(now.allocated),
        _ => 0,
    }
}

/// Writes a file anew without some ranges; says whether it did, or the file had changed.
fn rewrite(inventory: &Inventory, file: &LineFile, cuts: &[Range<u64>]) -> io::Result<bool> {
    let artifact = inventory.artifact(file.artifact);
    let folder = inventory.open(artifact.folder)?;
    // By Claude Code's own lock, which it respects: without it a line that is appended between the copy and the
    // rename would be lost.
    let lock = || ClientLock::take(&folder, inventory.name(artifact));
    let _lock = file.content.format.has_lock().then(lock).transpose()?;
    let old = folder.read(inventory.name(artifact))?;
    // The cuts are places in the file that the inventory read: in any other they would go through the middle of
    // lines.
    if !dir::is_same(&artifact.stamp, &Dir::stat_open(&old)?) {
        return Ok(false);
    }
    let temporary = part_name(inventory.name(artifact));
    // Written beside it and renamed, never in place: a crash leaves the old file or the new one, and no mix of
    // them.
    let new = dir::create_part_like(&folder, &temporary, &old)?;
    let written = copy_without(&old, &new, cuts)
        // Before the name is its: at no moment may others read what they could not read before.
        .and_then(|()| access::keep(&new, &old))
        // Before the rename, or the name could outlive a crash without the content.
        .and_then(|()| new.sync_all())
        // Older clients take no lock, so the file is looked at once more, as late as can be.
        .and_then(|()| Ok(dir::is_same(&artifact.stamp, &folder.stat(inventory.name(artifact))?)))
        .and_then(|same| {
            if same {
                dir::rename(&folder, &temporary, inventory.name(artifact))?;
                dir::sync(&folder)?;
            }
            Ok(same)
        });
    if !matches!(written, Ok(true)) {
        // The failure to report is the first one, and the next run removes what stays.
        let _ = dir::unlink(&folder, &temporary);
    }
    written
}

/// The name of an unfinished file: `.<name>.part`.
fn part_name(of: &OsStr) -> OsString {
    let mut name = OsString::from(".");
    name.push(of);
    name.push(".part");
    name
}

/// Copies everything but the ranges, which are sorted and do not overlap.
pub(super) fn copy_without(from: &File, to: &File, cuts: &[Range<u64>]) -> io::Result<()> {
    // A hole stays one: it may be larger than the disk.
    let length = from.metadata()?.len();
    let mut copy = Copy {
        from,
        reader: BufReader::with_capacity(256 << 10, from),
        writer: BufWriter::with_capacity(256 << 10, to),
        data: 0..0,
    };
    let (mut at, mut kept) = (0, 0);
    for cut in cuts.iter().cloned().chain(std::iter::once(length..length)) {
        copy.range(at..cut.start)?;
        kept += cut.start.saturating_sub(at);
        copy.reader.seek_relative((cut.end - cut.start).cast_signed())?;
        at = cut.end;
    }
    copy.writer.flush()?;
    // A hole at the end was only passed over.
    to.set_len(kept)
}

/// Copies parts of a file in their order.
struct Copy<'f> {
    from: &'f File,
    reader: BufReader<&'f File>,
    writer: BufWriter<&'f File>,
    /// The last part that was found to be no hole.
    data: Range<u64>,
}

impl Copy<'_> {
    /// Copies a part that begins where the reader stands.
    fn range(&mut self, mut range: Range<u64>) -> io::Result<()> {
        while range.start < range.end {
            if range.start >= self.data.end {
                self.data = files::data_from(self.from, range.start)?.unwrap_or(u64::MAX..u64::MAX);
                self.reader.seek(SeekFrom::Start(range.start))?;
            }
            if range.start < self.data.start {
                let next = self.data.start.min(range.end);
                self.writer.seek(SeekFrom::Current((next - range.start).cast_signed()))?;
                self.reader.seek(SeekFrom::Start(next))?;
                range.start = next;
                continue;
            }
            let part = self.data.end.min(range.end) - range.start;
            self.bytes(part)?;
            range.start += part;
        }
        Ok(())
    }

    /// Copies bytes of which none is in a hole. By hand: `io::copy` leaves it to a call that a signal may end in the
    /// middle, and then nobody knows how many were copied.
    fn bytes(&mut self, mut left: u64) -> io::Result<()> {
        while left > 0 {
            let there = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                there => there?,
            };
            let count = there.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.writer.write_all(there.get(..count).unwrap_or_default())?;
            self.reader.consume(count);
            left -= count as u64;
        }
        Ok(())
    }
}
