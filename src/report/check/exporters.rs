//! The verdict for inventories and collectors: a Jamf extension attribute, Prometheus text.

use std::fmt::Write as _;

use chrono::DateTime;

use super::Document;
use crate::check::Severity;

impl Document {
    /// The value of a Jamf Pro extension attribute: what stands between `<result>` and `</result>`
    /// is stored, and nothing else (learn.jamf.com, "Extension Attribute Input Types"). `compliant`,
    /// or `not-compliant:` and the ids of what is wrong, the most severe first, so that a smart group
    /// can ask for "is", "like" or "not like".
    pub fn jamf(&self) -> String {
        let ids = self.failing_ids();
        let value =
            if self.compliant { "compliant".to_owned() } else { format!("not-compliant: {}", ids.join(" ")) };
        let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!("<result>{value}</result>\n")
    }

    /// The figures in the text format of Prometheus (prometheus.io, "Exposition formats"), for the
    /// textfile collector of the node exporter. The last line ends with a newline, as it asks.
    pub fn prometheus(&self) -> String {
        let mut out = Figures::default();
        out.head("compliant", "Whether the machine is compliant.");
        out.line("compliant", &[], u64::from(self.compliant));
        out.head("info", "The version of the program, and the policy it goes by.");
        let policy =
            self.policy.as_ref().and_then(|policy| policy.get("sha256")?.as_str()).unwrap_or_default();
        out.line("info", &[("version", &self.version), ("policy", policy)], 1);
        if let Some(now) = seconds(&self.now) {
            out.head("timestamp_seconds", "When it was looked.");
            out.line("timestamp_seconds", &[], now);
        }
        if let Some(last) = &self.last_run {
            out.head("last_run_exit_code", "How the last run ended; 0 is well.");
            out.line("last_run_exit_code", &[], last.exit);
        }
        if let Some(good) = self.last_good_run.as_deref().and_then(seconds) {
            out.head("last_good_run_timestamp_seconds", "When a run last succeeded.");
            out.line("last_good_run_timestamp_seconds", &[], good);
        }
        out.head("findings", "Findings by severity.");
        for severity in Severity::ALL {
            let count = self.summary.get(severity.word()).copied().unwrap_or_default();
            out.line("findings", &[("severity", severity.word())], count);
        }
        if !self.findings.is_empty() {
            out.head("finding", "Each finding; the value is how many things it is about.");
        }
        let mut told: Vec<(&str, &str)> = Vec::new();
        for finding in &self.findings {
            let user = finding.user.as_deref().unwrap_or_default();
            // A series may be there once: the most severe of an id comes first.
            if told.contains(&(&finding.id, user)) {
                continue;
            }
            told.push((&finding.id, user));
            let mut labels = vec![
                ("id", finding.id.as_str()),
                ("area", finding.area.as_str()),
                ("severity", finding.severity.word()),
            ];
            if let Some(user) = &finding.user {
                labels.push(("user", user));
            }
            out.line("finding", &labels, finding.count.unwrap_or(1));
        }
        let of_stores: [OfStores; 4] = [
            ("store_sessions", "Sessions in the store.", |store| Some(store.sessions)),
            ("store_bytes", "Bytes in the store.", |store| Some(store.bytes)),
            ("store_overdue", "Files and lines that are overdue.", |store| Some(store.overdue)),
            ("store_oldest_age_seconds", "Time since the last activity of the oldest session.", |store| {
                u64::try_from(store.oldest_age_days?).ok().map(|days| days * 86_400)
            }),
        ];
        for (name, help, of) in of_stores {
            let found: Vec<_> = self.stores.iter().filter_map(|store| Some((store, of(store)?))).collect();
            if !found.is_empty() {
                out.head(name, help);
            }
            for (store, value) in found {
                let labels = [("store", store.root.as_str()), ("kind", &store.kind), ("owner", &store.owner)];
                out.line(name, &labels, value);
            }
        }
        out.0
    }
}

/// A figure of each store: its name, its help, and how it is read.
type OfStores = (&'static str, &'static str, fn(&super::Store) -> Option<u64>);

fn seconds(time: &str) -> Option<u64> {
    u64::try_from(DateTime::parse_from_rfc3339(time).ok()?.timestamp()).ok()
}

#[derive(Default)]
struct Figures(String);

impl Figures {
    fn head(&mut self, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP ccretain_check_{name} {help}\n# TYPE ccretain_check_{name} gauge");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let _ = write!(self.0, "ccretain_check_{name}");
        if !labels.is_empty() {
            let labels: Vec<String> =
                labels.iter().map(|(label, value)| format!("{label}=\"{}\"", label_value(value))).collect();
            let _ = write!(self.0, "{{{}}}", labels.join(","));
        }
        let _ = writeln!(self.0, " {value}");
    }
}

/// A label's value: backslash, quote and line feed are escaped, and nothing else.
fn label_value(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
