//! `ledger verify` as a report: whether the records hold together, and which are gone.

use serde::Serialize;

use super::human::counted;
use super::json::time;
use crate::document::{Document, Hue, Line, Paint};
use crate::escape::text;
use crate::ledger::{Allowed, Expiry, Given, Head, LIMITS, Verification};
use crate::purge::certificate::Comparison;

/// The result of `ledger verify` as JSON (`ccretain.ledger-verify/1`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyJson {
    schema: &'static str,
    sound: bool,
    segments: usize,
    records: u64,
    first: Option<u64>,
    last: Option<u64>,
    head: Option<Head>,
    broken: Option<BrokenJson>,
    closed: Vec<PlaceJson>,
    /// Records that say that others were removed.
    cuts: Vec<CutJson>,
    gone: Vec<GoneJson>,
    given: Option<GivenJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<CertificateJson>,
    /// Whether the head that the last run left in the state is in the chain.
    remembered_head_found: Option<bool>,
    limits: &'static str,
}

/// The first line that does not fit.
#[derive(Debug, Serialize)]
pub struct BrokenJson {
    #[serde(flatten)]
    place: PlaceJson,
    fault: String,
}

/// A line of a segment.
#[derive(Debug, Serialize)]
pub struct PlaceJson {
    segment: String,
    line: u64,
}

/// A record that says that the ledger had been cut or replaced.
#[derive(Debug, Serialize)]
pub struct CutJson {
    #[serde(flatten)]
    place: PlaceJson,
    /// The record that was missing; `null` where there was none at all.
    missing: Option<Head>,
}

/// Records that are gone because they expired.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GoneJson {
    first: u64,
    last: u64,
    /// The record that says so.
    expired_by: u64,
    time: String,
    /// The `ledger.keep` that it went by.
    keep: Option<String>,
    /// Whether `ledger.keep` allows it: `yes`, `by-another-policy`, `unknown` or `no`.
    allowed: &'static str,
}

impl GoneJson {
    fn of(expiry: &Expiry) -> Self {
        Self {
            first: expiry.first,
            last: expiry.last,
            expired_by: expiry.record,
            time: time(expiry.time),
            keep: expiry.keep.as_ref().map(ToString::to_string),
            allowed: expiry.allowed.word(),
        }
    }
}

/// Where the head that was asked for lies.
#[derive(Debug, Serialize)]
pub struct GivenJson {
    is: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
}

/// A certificate that was compared with the ledger.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateJson {
    file: String,
    id: String,
    belongs: bool,
    /// The record that holds its hash.
    recorded: Option<u64>,
    /// The number of the head that it names.
    head: u64,
    signed_by: Option<String>,
    differs: Vec<String>,
}

/// A certificate and what comparing it with the ledger has shown.
#[derive(Debug)]
pub struct Checked {
    /// The file it was read from.
    pub file: std::path::PathBuf,
    pub id: String,
    /// The number of the head of the ledger that it names.
    pub head: u64,
    /// The fingerprint of the key that it says it is signed by.
    pub signed_by: Option<String>,
    /// What was found.
    pub comparison: Comparison,
}

impl Checked {
    fn json(&self) -> CertificateJson {
        CertificateJson {
            file: text(&self.file),
            id: text(&self.id),
            belongs: self.comparison.fits(),
            recorded: self.comparison.recorded,
            head: self.head,
            signed_by: self.signed_by.as_ref().map(text),
            differs: self.comparison.differs.clone(),
        }
    }

    fn put(&self, document: &mut Document) {
        let (file, id) = (text(&self.file), text(&self.id));
        let line = Line::from("certificate: ");
        if self.comparison.fits() {
            let recorded = self.comparison.recorded.unwrap_or_default();
            let what = format!(
                " to this ledger: '{file}', id {id}; it names record {}, and record {recorded} holds its hash",
                self.head
            );
            document.text(line.and("belongs", Hue::Good).and(what, Hue::Plain));
        } else {
            let what = format!(" to this ledger: '{file}', id {id}");
            document.text(line.and("does not belong", Hue::Bad).and(what, Hue::Plain));
            let differs = self.comparison.differs.iter();
            document.list(differs.map(|difference| format!("  {}", text(difference)).into()).collect());
        }
        if let Some(key) = &self.signed_by {
            document.text(note(format!(
                "it says that {} signs it, which is for `ssh-keygen -Y verify` to verify",
                text(key)
            )));
        }
    }
}

/// Something to know beside the answer.
fn note(what: impl Into<String>) -> Line {
    Line::of("note:", Hue::Dim).and(format!("  {}", what.into()), Hue::Plain)
}

/// A verification with what it was asked.
#[derive(Debug)]
pub struct Verified<'a> {
    pub found: &'a Verification,
    /// Whether the head was given by the user, and not only remembered by the last run.
    pub was_given: bool,
    /// The certificate that was to belong to it.
    pub certificate: Option<&'a Checked>,
}

impl Verified<'_> {
    /// Whether the ledger is sound, the head the user gave, if any, is in it, and so is the
    /// certificate.
    pub fn is_sound(&self) -> bool {
        self.wrong().is_empty()
    }

    /// What is wrong, a line each.
    pub fn wrong(&self) -> Vec<&'static str> {
        let mut wrong = Vec::new();
        if self.found.broken.is_some() {
            wrong.push("the ledger does not hold together");
        } else {
            if !self.found.cuts.is_empty() {
                wrong.push("records were removed from the ledger, or it was replaced");
            }
            if self.found.disallowed().is_some() {
                wrong.push("records are gone that 'ledger.keep' of the policy keeps");
            }
            if self.was_given && self.found.given == Some(Given::Absent) {
                wrong.push("the head given is not in the ledger");
            }
        }
        if self.certificate.is_some_and(|checked| !checked.comparison.fits()) {
            wrong.push("the certificate does not belong to the ledger");
        }
        wrong
    }

    /// Whether the head that the last run remembered is missing from a chain that holds together.
    pub fn lacks_remembered(&self) -> bool {
        !self.was_given && self.found.broken.is_none() && self.found.given == Some(Given::Absent)
    }

    /// The document for other programs.
    pub fn json(&self) -> VerifyJson {
        let found = self.found;
        let place = |segment: &std::path::Path, line| PlaceJson { segment: text(segment), line };
        let given = found.given.as_ref().map(|given| match given {
            Given::Newest => GivenJson { is: "newest", seq: found.last(), after: Some(0) },
            Given::Inside { seq, after } => GivenJson { is: "inside", seq: Some(*seq), after: Some(*after) },
            Given::Expired => GivenJson { is: "expired", seq: None, after: None },
            Given::Absent => GivenJson { is: "absent", seq: None, after: None },
        });
        let remembered = found.given.as_ref().filter(|_| !self.was_given).map(|at| *at != Given::Absent);
        VerifyJson {
            schema: "ccretain.ledger-verify/1",
            sound: self.is_sound(),
            segments: found.segments,
            records: found.records,
            first: found.first,
            last: found.last(),
            head: found.head.clone(),
            broken: found.broken.as_ref().map(|broken| BrokenJson {
                place: place(&broken.segment, broken.line),
                fault: broken.fault.to_string(),
            }),
            closed: found.closed.iter().map(|closed| place(&closed.segment, closed.line)).collect(),
            cuts: (found.cuts.iter())
                .map(|cut| CutJson { place: place(&cut.segment, cut.line), missing: cut.missing.clone() })
                .collect(),
            gone: found.gone.iter().map(GoneJson::of).collect(),
            given: given.filter(|_| self.was_given),
            certificate: self.certificate.map(Checked::json),
            remembered_head_found: remembered,
            limits: LIMITS,
        }
    }

    /// The result in words.
    pub fn text(&self, paint: Paint<'_>) -> String {
        let found = self.found;
        let mut document = Document::default();
        let read =
            format!("{} in {}", counted(found.records, "record"), counted(found.segments as u64, "file"));
        match &found.broken {
            None if found.segments == 0 => document.text("empty: nothing has been recorded yet"),
            None if !found.cuts.is_empty() => {
                let left = format!(": {read} fit together, but others were removed before");
                document.text(Line::of("cut", Hue::Bad).and(left, Hue::Plain));
            }
            None => {
                let intact = format!(": {read}, hash chain intact");
                document.text(Line::of("OK", Hue::Good).and(intact, Hue::Plain));
            }
            Some(broken) => {
                let place = format!(": '{}' line {}: {}", text(&broken.segment), broken.line, broken.fault);
                document.text(Line::of("broken", Hue::Bad).and(place, Hue::Plain));
                document.text(format!("before it: {read} that fit"));
            }
        }
        if let (Some(first), Some(head)) = (found.first, &found.head) {
            document.text(format!("first: {first}"));
            document.text(format!("last:  {}", head.seq));
            document.text(format!("head:  {}", head.sha256));
        }
        found.cuts.iter().for_each(|cut| document.text(format!("cut:   {cut}")));
        for closed in &found.closed {
            let (segment, line) = (text(&closed.segment), closed.line);
            document
                .text(format!("a line cut off by a crash was closed and recorded: '{segment}' line {line}"));
        }
        found.gone.iter().for_each(|expiry| document.text(gone(expiry, paint)));
        if self.was_given {
            self.put_head(&mut document);
        }
        if let Some(checked) = self.certificate {
            checked.put(&mut document);
        }
        if !matches!((self.was_given, &found.given), (true, Some(Given::Newest))) {
            document.text(note(LIMITS));
        }
        document.print(paint)
    }

    /// Where the head given lies.
    fn put_head(&self, document: &mut Document) {
        // That nothing is missing is only said of a ledger that is there from its first record.
        let found = self.found;
        let first = found.first.unwrap_or(1);
        match &found.given {
            Some(Given::Newest) if first == 1 => {
                document.text("the head given is the newest record: nothing is missing");
            }
            Some(Given::Newest) => document.text(format!(
                "the head given is the newest record, {}: the records from {first} on are all there",
                found.last().unwrap_or_default()
            )),
            Some(Given::Inside { seq, after }) => {
                let later = match after {
                    1 => "1 record comes after it".to_owned(),
                    _ => format!("{} come after it", counted(*after, "record")),
                };
                let whole = if first == 1 {
                    "nothing up to it is missing".to_owned()
                } else {
                    format!("the records from {first} to it are all there")
                };
                document.text(format!("the head given is record {seq}: {whole}, and {later}"));
            }
            Some(Given::Expired) => document.text(format!(
                "the head given is that of record {}, the last that expired: the records from {first} on are all there",
                first - 1
            )),
            Some(Given::Absent) => document.text(
                Line::of("the head given is not in the chain", Hue::Bad)
                    .and(": records were removed or changed, or it is the head of another ledger", Hue::Plain),
            ),
            None => {}
        }
        // Whoever forges an expiry appends it, so a head from before it is no witness for it.
        let Some(Given::Inside { seq, .. }) = &found.given else { return };
        for expiry in found.gone.iter().filter(|expiry| expiry.record > *seq) {
            document.text(note(format!(
                "record {}, by which records expired, is newer than the head given, which does not vouch for it",
                expiry.record
            )));
        }
    }
}

/// Records that are gone, by which record, and whether `keep` allows that.
fn gone(expiry: &Expiry, paint: Paint<'_>) -> Line {
    let Expiry { first, last, record, allowed, .. } = expiry;
    let keep = expiry.keep.as_ref().map_or_else(String::new, |keep| format!(", with 'keep' {keep}"));
    let which = match first == last {
        true => format!("record {first} expired"),
        false => format!("records {first} to {last} expired"),
    };
    let (judged, hue) = match allowed {
        Allowed::Yes => ("the policy allows that", Hue::Plain),
        Allowed::ByAnotherPolicy => {
            ("today's policy keeps them for longer, but that run went by another", Hue::Plain)
        }
        Allowed::Unknown => ("whether the policy allows that cannot be told from what is left", Hue::Plain),
        Allowed::No => ("the policy keeps them for longer", Hue::Bad),
    };
    let day = (paint.local)(expiry.time).format("%Y-%m-%d");
    Line::from(format!("gone:  {which} by record {record} of {day}{keep}: ")).and(judged, hue)
}
