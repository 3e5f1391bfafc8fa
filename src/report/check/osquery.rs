//! The verdict for osquery: rows of texts, as its own `--json` output has them.

use serde_json::{Map, Value};

use super::Document;

/// The columns, in the order of the table.
pub const COLUMNS: [&str; 14] = [
    "host",
    "user",
    "checked",
    "version",
    "verdict",
    "compliant",
    "fail_on",
    "policy",
    "id",
    "area",
    "severity",
    "title",
    "count",
    "evidence",
];

impl Document {
    /// One row a finding, and one row with an empty `id` where there is none, so that a machine that was checked always
    /// has a row.
    pub fn rows(&self) -> Vec<[String; COLUMNS.len()]> {
        // Every value is a text.
        let policy =
            self.policy.as_ref().and_then(|policy| policy.get("sha256")?.as_str()).unwrap_or_default();
        let row = |finding: Option<&super::Found>| {
            let text = |of: fn(&super::Found) -> &str| finding.map(of).unwrap_or_default().to_owned();
            let user = finding.and_then(|finding| finding.user.clone()).or_else(|| self.user.clone());
            [
                self.host.clone(),
                user.unwrap_or_default(),
                self.now.clone(),
                self.version.clone(),
                self.verdict.clone(),
                u8::from(self.compliant).to_string(),
                self.fail_on.word().to_owned(),
                policy.to_owned(),
                text(|finding| &finding.id),
                text(|finding| &finding.area),
                text(|finding| finding.severity.word()),
                text(|finding| &finding.title),
                finding.and_then(|finding| finding.count).map_or_else(String::new, |count| count.to_string()),
                finding.map(|finding| finding.evidence.join("; ")).unwrap_or_default(),
            ]
        };
        if self.findings.is_empty() {
            return vec![row(None)];
        }
        self.findings.iter().map(|finding| row(Some(finding))).collect()
    }

    /// The rows as a JSON array of flat objects.
    pub fn osquery(&self) -> Value {
        let object = |row: [String; COLUMNS.len()]| {
            let pairs =
                COLUMNS.iter().zip(row).map(|(name, value)| ((*name).to_owned(), Value::String(value)));
            Value::Object(pairs.collect::<Map<_, _>>())
        };
        Value::Array(self.rows().into_iter().map(object).collect())
    }
}
