//! Whether a certificate and a ledger belong together.
//!
//! A certificate names the head of the ledger when it was issued, and the ledger records the
//! certificate's SHA-256 after that: each holds the other in place. So a certificate that was
//! changed, one of another run and one of another ledger are told apart from the one that fits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Certificate, Parts, judge};
use crate::error::PathError;
use crate::escape::text;
use crate::ledger::{Entry, Event, Head, Item, Record};

/// The ledger that recorded a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerRef {
    /// The folder it lies in.
    pub path: String,
    /// The id of the run.
    pub run: String,
    /// Its newest record when the certificate was issued.
    pub head: LedgerHead,
}

/// A place in the chain of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerHead {
    /// The number of the record.
    pub seq: u64,
    /// SHA-256 (hex) of its line.
    pub sha256: String,
}

impl From<Head> for LedgerHead {
    fn from(head: Head) -> Self {
        Self { seq: head.seq, sha256: head.sha256 }
    }
}

/// What was found by comparing a certificate with a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The number of the record that holds the certificate's hash, where there is one.
    pub recorded: Option<u64>,
    /// What does not fit, each in a sentence; empty where they belong together.
    pub differs: Vec<String>,
}

impl Comparison {
    /// Whether they belong together.
    pub fn fits(&self) -> bool {
        self.differs.is_empty()
    }
}

/// What the ledger says of the run of a certificate.
#[derive(Default)]
struct Seen {
    first: Option<u64>,
    head: Option<(String, String)>,
    /// Of a run over all accounts there are several, each by its own policy.
    policies: Vec<String>,
    issued: Vec<Issued>,
    files: u64,
    lines: u64,
    records: u64,
}

/// A record that a certificate was issued.
struct Issued {
    seq: u64,
    sha256: String,
    counts: Vec<(String, u64)>,
}

impl Certificate {
    /// What the ledger records of this certificate: its hash and its sums.
    ///
    /// `sha256` is that of the JSON document, and `path` where the first of its files lies.
    pub fn entry(&self, sha256: &str, path: Option<&std::path::Path>) -> Entry<'static> {
        let mut entry = Entry::new(Event::Certificate);
        entry.sha256 = Some(sha256.to_owned().into());
        entry.outcome = Some(self.verdict.to_string().into());
        entry.path = path.map(|path| text(path).into());
        entry.counts = self.sums().into_iter().map(|(name, count)| (name.into(), count)).collect();
        entry
    }

    pub(super) fn sums(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("sessions", self.parts.counts.sessions),
            ("files", self.parts.counts.files),
            ("lines", self.parts.counts.lines),
            ("bytes", self.parts.counts.bytes),
            ("exceptions", self.parts.exceptions.len() as u64),
        ]
    }

    /// Compares with the records of a ledger, from the first to the last.
    ///
    /// `sha256` is that of the JSON document as it was given. Whether the chain holds together is
    /// the business of [`crate::ledger::verify`].
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn compare(
        &self,
        sha256: &str,
        records: impl Iterator<Item = Result<Item, PathError>>,
    ) -> Result<Comparison, PathError> {
        let mut seen = Seen::default();
        for item in records {
            if let Item::Record(record) = item? {
                seen.note(&record, self);
            }
        }
        let mut differs = self.inconsistencies();
        let recorded = seen.issued.iter().find(|issued| issued.sha256 == sha256).map(|issued| issued.seq);
        seen.judge(self, sha256, &mut differs);
        Ok(Comparison { recorded, differs })
    }

    /// What in a certificate contradicts itself; nothing in one that was issued.
    pub fn inconsistencies(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !self.parts.counts.add_up() {
            found.push("its sums are not those of its kinds".to_owned());
        }
        let Parts { method, exceptions, remaining, verification, .. } = &self.parts;
        let verdict = judge(&method.scope, exceptions, remaining, verification);
        if verdict != self.verdict {
            found.push(format!("its verdict is '{}', and its facts come to '{verdict}'", self.verdict));
        }
        if self.parts.ended < self.parts.started {
            found.push("it ended before it started".to_owned());
        }
        found
    }
}

impl Seen {
    fn note(&mut self, record: &Record, certificate: &Certificate) {
        self.first.get_or_insert(record.seq);
        let asked = &certificate.parts.ledger;
        if record.seq == asked.head.seq {
            // Of the line as it stands: a record that was written anew with the same meaning is another.
            let hash = hex::encode(Sha256::digest(record.line.as_bytes()));
            self.head = Some((hash, record.run.clone()));
        }
        if record.run != asked.run {
            return;
        }
        self.records += 1;
        let number = |key: &str| record.fields.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
        match record.event.as_str() {
            "started" => self.policies.extend(record.text("policy").map(str::to_owned)),
            "outcome" if record.text("decision") != Some("seal") => {
                // A line a file repeats what the line of its session sums up, and has no count.
                self.files = self.files.saturating_add(number("files"));
                self.lines = self.lines.saturating_add(number("lines"));
            }
            "certificate" => {
                let counts = record.fields.get("counts").and_then(serde_json::Value::as_object);
                let counts = counts.into_iter().flatten();
                let counts =
                    counts.filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect();
                let sha256 = record.text("sha256").unwrap_or_default().to_owned();
                self.issued.push(Issued { seq: record.seq, sha256, counts });
            }
            _ => {}
        }
    }

    fn judge(&self, certificate: &Certificate, sha256: &str, differs: &mut Vec<String>) {
        let asked = &certificate.parts.ledger;
        match &self.head {
            Some((hash, _)) if *hash != asked.head.sha256 => differs.push(format!(
                "record {} of the ledger is another than the head that the certificate names",
                asked.head.seq
            )),
            Some((_, run)) if *run != asked.run => differs.push(format!(
                "record {} of the ledger is of another run than the certificate",
                asked.head.seq
            )),
            Some(_) => {}
            None if self.first.is_some_and(|first| first > asked.head.seq) => differs.push(format!(
                "record {}, the head that the certificate names, has expired or was removed",
                asked.head.seq
            )),
            None => differs.push(format!(
                "the ledger has no record {}, the head that the certificate names",
                asked.head.seq
            )),
        }
        if self.records == 0 {
            differs.push(format!("the ledger has no record of the run '{}'", text(&asked.run)));
            return;
        }
        if !self.policies.is_empty() && !self.policies.contains(&certificate.parts.policy.sha256) {
            differs.push("the run was made by another policy than the certificate names".to_owned());
        }
        self.judge_hash(certificate, sha256, differs);
        for (what, claimed, recorded) in [
            ("files", certificate.parts.counts.files, self.files),
            ("lines", certificate.parts.counts.lines, self.lines),
        ] {
            // Fewer are no contradiction: a run may remove leftovers that no certificate speaks of.
            if claimed > recorded {
                differs.push(format!(
                    "the certificate counts {claimed} {what} removed, and the ledger records {recorded}"
                ));
            }
        }
    }

    fn judge_hash(&self, certificate: &Certificate, sha256: &str, differs: &mut Vec<String>) {
        // A ledger that holds together and has no such record is that of another run, or the certificate was
        // made by hand.
        let Some(any) = self.issued.first() else {
            differs.push("the ledger does not record that the run issued a certificate".to_owned());
            return;
        };
        let Some(issued) = self.issued.iter().find(|issued| issued.sha256 == sha256) else {
            differs.push(format!(
                "the certificate hashes to {sha256}, and record {} of the ledger has {}: it was changed after it was \
                 issued, or it is another",
                any.seq,
                text(&any.sha256)
            ));
            return;
        };
        let Issued { seq, counts, .. } = issued;
        // A certificate names the head that was there when it was issued, so its own record comes after it.
        if *seq <= certificate.parts.ledger.head.seq {
            differs.push("the ledger records the certificate before the head that it names".to_owned());
        }
        for (name, count) in certificate.sums() {
            let other = counts.iter().find(|(known, recorded)| known == name && *recorded != count);
            if let Some((_, recorded)) = other {
                differs
                    .push(format!("the certificate counts {count} {name}, and record {seq} has {recorded}"));
            }
        }
    }
}
