//! Figures of a run for a collector: the text format of Prometheus, for its textfile collector.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::Run;
use super::tally::Fate;
use crate::error::{At, PathError};
use crate::escape::text;

/// Writes figures so that a collector never sees half of them: a file beside it, then a rename.
///
/// # Errors
/// When the file cannot be written; the one that was there is whole then.
pub fn write(path: &Path, figures: &str) -> Result<(), PathError> {
    // Collectors run as another user; there is no content in it, only counts.
    write_bytes(path, figures.as_bytes(), 0o644)
}

/// Writes a file of these permissions in one step: a file beside it, then a rename.
///
/// # Errors
/// When the file cannot be written; the one that was there is whole then.
pub fn write_bytes(path: &Path, bytes: &[u8], mode: u32) -> Result<(), PathError> {
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(".ccretain-").tempfile_in(folder).at("write", path)?;
    file.write_all(bytes).at("write", path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).at("write", path)?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    file.as_file().sync_all().at("write", path)?;
    file.persist(path).map_err(|error| error.error).at("write", path)?;
    Ok(())
}

impl Run<'_> {
    /// The figures of a run that ended at a time; the last line ends with a newline, as collectors ask.
    #[must_use]
    pub fn metrics(&self, exit: u8, ended: DateTime<Utc>) -> String {
        let tally = self.tally();
        let mut out = String::new();
        let mut figure = |name: &str, help: &str, value: String| {
            let _ = write!(
                out,
                "# HELP ccretain_{name} {help}\n# TYPE ccretain_{name} gauge\nccretain_{name} {value}\n"
            );
        };
        figure("last_run_timestamp_seconds", "When the last run ended.", ended.timestamp().to_string());
        let took = ended.signed_duration_since(self.plan.now).num_seconds().max(0);
        figure("last_run_duration_seconds", "How long it took.", took.to_string());
        figure("last_run_exit_code", "How the last run ended; 0 is well.", exit.to_string());
        let stopped = u8::from(self.stopped().is_some()).to_string();
        figure("last_run_stopped", "Whether it was stopped before all was done.", stopped);
        figure("sessions_kept", "Sessions that the last run kept.", tally.sessions_kept.to_string());
        figure("sessions_deleted", "Sessions that the last run deleted.", tally.sessions_deleted.to_string());
        figure("sessions_sealed", "Sessions that the last run sealed.", tally.sessions_sealed.to_string());
        figure("sessions_held", "Sessions under a hold.", tally.held.to_string());
        figure("sessions_live", "Sessions that are open.", tally.live.to_string());
        figure("pruned_lines", "Lines that the last run removed.", tally.pruned_lines.to_string());
        figure("freed_bytes", "Bytes that the last run freed.", tally.bytes_freed.to_string());
        figure("failed_files", "Files with which something went wrong.", tally.failed.to_string());
        figure("unrecognised_files", "Files the catalogue does not know.", tally.unrecognised.to_string());
        figure("unrecognised_bytes", "Bytes of those files.", tally.unrecognised_bytes.to_string());
        out.push_str(&self.by_kind());
        out
    }

    /// Files by store, kind and fate.
    fn by_kind(&self) -> String {
        let mut counts: BTreeMap<(String, &str, &str), u64> = BTreeMap::new();
        for (at, artifact) in self.inventory.artifacts.iter().enumerate() {
            let Some(fate) = self.fate(at) else { continue };
            let store = text(&self.inventory.store(self.inventory.store_of(artifact)).store.root);
            let kind = artifact.kind.map_or("unrecognised", crate::catalogue::Kind::name);
            *counts.entry((store, kind, word(fate))).or_default() += 1;
        }
        let mut out = String::from("# HELP ccretain_files Files by store, kind and what the last run did.\n");
        out.push_str("# TYPE ccretain_files gauge\n");
        for ((store, kind, fate), count) in counts {
            let store = store.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(
                out,
                "ccretain_files{{store=\"{store}\",kind=\"{kind}\",outcome=\"{fate}\"}} {count}"
            );
        }
        out
    }

    /// The run in one line of log.
    #[must_use]
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
    #[must_use]
    pub fn log_json(&self, exit: u8, ended: DateTime<Utc>) -> String {
        serde_json::json!({
            "time": super::json::time(ended),
            "level": "info",
            "message": "run ended",
            "run": self.id,
            "exit": exit,
            "stopped": self.stopped(),
            "summary": self.tally(),
        })
        .to_string()
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
