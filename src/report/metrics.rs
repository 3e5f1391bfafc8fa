//! Figures of a run for a collector: the text format of Prometheus, for its textfile collector.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::Run;
use crate::catalogue::Kind;
use crate::escape::text;
use crate::run::tally::Fate;

/// The figures without labels and what they are, in the order they are written; each name begins with
/// `ccretain_`.
pub(super) const FIGURES: &[(&str, &str)] = &[
    ("last_run_timestamp_seconds", "When the last run ended."),
    ("last_run_duration_seconds", "How long it took."),
    ("last_run_exit_code", "How the last run ended; 0 is well."),
    ("last_run_stopped", "Whether it was stopped before all was done."),
    ("sessions_kept", "Sessions that the last run kept."),
    ("sessions_deleted", "Sessions that the last run deleted."),
    ("sessions_sealed", "Sessions that the last run sealed."),
    ("sessions_held", "Sessions under a hold."),
    ("sessions_live", "Sessions that are open."),
    ("pruned_lines", "Lines that the last run removed."),
    ("freed_bytes", "Bytes that the last run freed."),
    ("failed_files", "Files with which something went wrong."),
    ("unrecognised_files", "Files the catalogue does not know."),
    ("unrecognised_bytes", "Bytes of those files."),
];
/// The figure with labels.
pub(super) const FILES: (&str, &str) = ("files", "Files by store, kind and what the last run did.");

/// The kind of what the catalogue does not know.
const UNRECOGNISED: &str = "unrecognised";

/// What stands before a figure.
pub(super) fn heading(name: &str, help: &str) -> String {
    format!("# HELP ccretain_{name} {help}\n# TYPE ccretain_{name} gauge\n")
}

/// A series of the figure with labels.
pub(super) fn series(store: &str, kind: &str, fate: &str) -> String {
    let store = store.replace('\\', "\\\\").replace('"', "\\\"");
    format!("ccretain_files{{store=\"{store}\",kind=\"{kind}\",outcome=\"{fate}\"}}")
}

/// Reads a series of the figure with labels, as [`series`] writes it: the store, the kind and what
/// was done, all of them as they may be there.
#[cfg(unix)]
pub(super) fn read_series(text: &str) -> Option<(String, &'static str, &'static str)> {
    let labels = text.strip_prefix("ccretain_files{store=\"")?.strip_suffix("\"}")?;
    let (labels, fate) = labels.rsplit_once("\",outcome=\"")?;
    let (escaped, kind) = labels.rsplit_once("\",kind=\"")?;
    let fate = Fate::ALL.into_iter().map(word).find(|known| *known == fate)?;
    let kind = if kind == UNRECOGNISED { UNRECOGNISED } else { kind.parse::<Kind>().ok()?.name() };
    let (mut store, mut characters) = (String::new(), escaped.chars());
    while let Some(character) = characters.next() {
        store.push(match character {
            '\\' => characters.next().filter(|next| matches!(next, '\\' | '"'))?,
            '"' => return None,
            other => other,
        });
    }
    (store == crate::escape::text(store.as_str())).then_some((store, kind, fate))
}

impl Run<'_> {
    /// The figures of a run that ended at a time; the last line ends with a newline, as collectors ask.
    pub fn metrics(&self, exit: u8, ended: DateTime<Utc>) -> String {
        let tally = self.tally();
        // A clock that is set back meanwhile must not make a negative duration.
        let took = ended.signed_duration_since(self.plan.now).num_seconds().max(0);
        let values = [
            ended.timestamp().max(0).unsigned_abs(),
            took.unsigned_abs(),
            u64::from(exit),
            u64::from(self.stopped().is_some()),
            tally.sessions_kept,
            tally.sessions_deleted,
            tally.sessions_sealed,
            tally.held,
            tally.live,
            tally.pruned_lines,
            tally.bytes_freed,
            tally.failed,
            tally.unrecognised,
            tally.unrecognised_bytes,
        ];
        let mut out = String::new();
        for ((name, help), value) in FIGURES.iter().zip(values) {
            out.push_str(&heading(name, help));
            let _ = writeln!(out, "ccretain_{name} {value}");
        }
        out.push_str(&self.by_kind());
        out
    }

    /// Files by store, kind and fate.
    fn by_kind(&self) -> String {
        let mut counts: BTreeMap<(String, &str, &str), u64> = BTreeMap::new();
        // What is ours would look like content of the store.
        let counted = self.inventory.artifacts.iter().enumerate().filter(|(_, artifact)| !artifact.is_own());
        for (at, artifact) in counted {
            let Some(fate) = self.fate(at) else { continue };
            let store = text(&self.inventory.store(self.inventory.store_of(artifact)).store.root);
            let kind = artifact.kind.map_or(UNRECOGNISED, Kind::name);
            *counts.entry((store, kind, word(fate))).or_default() += 1;
        }
        let mut out = heading(FILES.0, FILES.1);
        for ((store, kind, fate), count) in counts {
            let _ = writeln!(out, "{} {count}", series(&store, kind, fate));
        }
        out
    }

    /// The run in one line of log.
    pub fn log_text(&self, exit: u8) -> String {
        let tally = self.tally();
        let stopped = self.stopped().map(|word| format!(" stopped={word}")).unwrap_or_default();
        format!(
            "run={} exit={exit}{stopped} sessions_deleted={} sessions_sealed={} files_deleted={} lines_pruned={} bytes_freed={} kept={} failed={}",
            self.id,
            tally.sessions_deleted,
            tally.sessions_sealed,
            tally.deleted,
            tally.pruned_lines,
            tally.bytes_freed,
            tally.kept,
            tally.failed,
        )
    }

    /// The same as one JSON object.
    pub fn log_json(&self, exit: u8, ended: DateTime<Utc>) -> String {
        let line = serde_json::json!({
            "time": super::json::time(ended),
            "level": "info",
            "message": "run ended",
            "run": self.id,
            "exit": exit,
            "stopped": self.stopped(),
            "summary": self.tally(),
        });
        crate::escape::json::line(&line).unwrap_or_default()
    }
}

fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::Kept => "kept",
        Fate::Deleted => "deleted",
        Fate::Sealed => "sealed",
        Fate::Pruned => "pruned",
        Fate::Audited => "audit",
        Fate::Skipped => "skipped",
        Fate::Failed => "failed",
    }
}
