//! The facts a certificate is made of, in the words of its JSON.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::amounts::Amount;
use crate::escape::text;
use crate::exposure::{Finding, Seen, Volume};

/// The program that issued a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The day it was built (RFC 3339 date).
    pub built: String,
}

/// Which policy was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRef {
    /// SHA-256 (hex) of the resolved policy.
    pub sha256: String,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
}

/// A layer of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// `built-in`, `system`, `user` or `managed`.
    pub source: String,
    /// The file; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Who had a purge done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    /// The name of the account.
    pub name: String,
    /// Its numeric id.
    pub uid: u32,
    /// Who became that account by `sudo`, as the environment says; absent where nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo_user: Option<String>,
    /// How it was consented to.
    pub consent: Witness,
    /// Whether it was done for every account of the machine.
    pub all_users: bool,
    /// The key that signs the certificate; absent where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
}

/// How a purge was consented to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Witness {
    /// Somebody typed it at a terminal.
    Terminal,
    /// It was given on the command line (`--yes`).
    CommandLine,
}

/// The key that signs a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Signer {
    /// Its fingerprint, as `ssh-keygen -l` shows it: `SHA256:…`.
    pub fingerprint: String,
    /// Its public half, as in a line of an allowed signers file.
    pub public_key: String,
    /// The namespace of the signature.
    pub namespace: String,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Its host name; absent where it cannot be told.
    pub name: Option<String>,
    /// The operating system: `linux`, `macos`, `windows`.
    pub os: String,
    /// Which one and which version, in its own words.
    pub os_version: Option<String>,
    /// The release of its kernel.
    pub kernel: Option<String>,
    /// The architecture.
    pub arch: String,
    /// Maker and model.
    pub model: Option<String>,
    /// The serial number; often only root may read it.
    pub serial: Option<String>,
}

/// A root that was purged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreEntry {
    /// Its real path.
    pub root: String,
    /// Which tree it is: `config`, `cache`, `temp`, `desktop`, `home`, `heap-dumps`.
    pub kind: String,
    /// The name of its owner.
    pub owner: String,
    /// How it was found.
    pub found_by: String,
    /// The number of the device it lies on (`st_dev`).
    pub device: u64,
    /// What is mounted there, e.g. `/dev/mapper/vg-home`; absent where it cannot be told.
    pub volume: Option<String>,
    /// The kind of file system; absent where it cannot be told.
    pub file_system: Option<String>,
    /// Whether the volume is encrypted.
    pub encrypted: SeenWord,
    /// Files that lay in it before, recognised or not.
    pub artifacts: u64,
    /// Sessions that lay in it before.
    pub sessions: u64,
}

/// Where a store lies and how it was found, for [`StoreEntry::new`].
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Its real path.
    pub root: &'a std::path::Path,
    /// Which tree it is, in the word of reports.
    pub kind: &'a str,
    /// The name of its owner.
    pub owner: &'a str,
    /// How it was found, in the word of reports.
    pub found_by: &'a str,
    /// The number of its device.
    pub device: u64,
}

impl StoreEntry {
    /// A store on its volume.
    #[must_use]
    pub fn new(origin: Origin<'_>, volume: &Volume, artifacts: u64, sessions: u64) -> Self {
        Self {
            root: text(origin.root),
            kind: origin.kind.to_owned(),
            owner: text(origin.owner),
            found_by: origin.found_by.to_owned(),
            device: origin.device,
            volume: volume.source.as_ref().map(text),
            file_system: volume.file_system.clone(),
            encrypted: SeenWord::from(&volume.encrypted),
            artifacts,
            sessions,
        }
    }
}

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SeenWord {
    /// It is.
    Yes,
    /// It was looked for and is not.
    No,
    /// It cannot be told.
    Unknown,
}

impl From<&Seen> for SeenWord {
    fn from(seen: &Seen) -> Self {
        match seen {
            Seen::Yes => Self::Yes,
            Seen::No => Self::No,
            Seen::Unknown(_) => Self::Unknown,
        }
    }
}

impl SeenWord {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// What was asked for and how it was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Method {
    /// How files were removed: `unlink`.
    pub files: String,
    /// How lines were removed: `rewrite`.
    pub lines: String,
    /// Whether anything was overwritten: never.
    pub overwritten: bool,
    /// What was asked for.
    pub scope: Scope,
    /// What became of the key that opens sealed files.
    pub identity: Identity,
}

impl Method {
    /// The only method there is, for what was asked.
    #[must_use]
    pub fn new(scope: Scope, identity: Identity) -> Self {
        Self { files: "unlink".to_owned(), lines: "rewrite".to_owned(), overwritten: false, scope, identity }
    }
}

/// What a purge was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// Only projects that match one of these globs; empty where none was given.
    pub projects: Vec<String>,
    /// Only what was last active before this time; absent where none was given.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub before: Option<DateTime<Utc>>,
    /// Stores that are known and were left out (`--store` named others); empty where there are none.
    pub left_out: Vec<String>,
    /// What was removed besides session content: `credentials`, `settings`, `memory`,
    /// `unrecognised`, `identity`.
    pub with: Vec<String>,
    /// Whether clients that were running did not stop it.
    pub even_live: bool,
    /// Why holds were broken; absent where none was.
    pub break_holds: Option<String>,
}

impl Scope {
    /// Whether less than every session of every store known was asked for.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.projects.is_empty() || self.before.is_some() || !self.left_out.is_empty()
    }
}

/// What became of the identity, the key that opens sealed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// There was none beside the user's policy.
    None,
    /// It stays.
    Kept,
    /// It was removed with what it opens; other recipients' keys, and copies of it, are not known
    /// here.
    Removed,
}

/// What a second scan found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// How: `second-scan`.
    pub method: String,
    /// When it ended; absent where it was not made.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub time: Option<DateTime<Utc>>,
    /// What it came to.
    pub result: Proof,
    /// How many roots it looked at.
    pub roots: u64,
    /// How many files it looked at.
    pub files: u64,
    /// What it found that was to be removed; each is among the exceptions.
    pub left: Left,
}

impl Verification {
    /// A scan that was made.
    #[must_use]
    pub fn scanned(time: DateTime<Utc>, roots: u64, files: u64, left: Left, all_readable: bool) -> Self {
        let result = match (left.is_nothing(), all_readable) {
            (false, _) => Proof::Left,
            (true, false) => Proof::Unreadable,
            (true, true) => Proof::NothingLeft,
        };
        Self { method: "second-scan".to_owned(), time: Some(time), result, roots, files, left }
    }

    /// A scan that was not made, because the run was stopped.
    #[must_use]
    pub fn not_made() -> Self {
        Self {
            method: "second-scan".to_owned(),
            time: None,
            result: Proof::NotMade,
            roots: 0,
            files: 0,
            left: Left::default(),
        }
    }
}

/// What a second scan came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// It found nothing that was to be removed.
    NothingLeft,
    /// It found something.
    Left,
    /// It could not read everything.
    Unreadable,
    /// It was not made.
    NotMade,
}

impl Proof {
    /// What it came to, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NothingLeft => "found nothing that was to be removed",
            Self::Left => "found something that was to be removed",
            Self::Unreadable => "could not read everything",
            Self::NotMade => "was not made",
        }
    }
}

/// What was to be removed and is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Left {
    /// Sessions with anything left.
    pub sessions: u64,
    /// Files, lines and bytes.
    #[serde(flatten)]
    pub amount: Amount,
}

impl Left {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.sessions == 0 && self.amount.is_nothing()
    }
}

/// Something that was not removed although it should have been, or is not wholly gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exception {
    /// Why, in one word.
    pub reason: ExceptionReason,
    /// Where; empty where no path is concerned.
    pub path: String,
    /// Why, in a sentence; never content of a file.
    pub detail: String,
    /// How many bytes it has, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Why something is an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExceptionReason {
    /// A root was refused as a store.
    Refused,
    /// Something could not be read.
    Unreadable,
    /// Removing it failed.
    Failed,
    /// A hold covers it.
    Held,
    /// A `keepAtLeast` floor covers it.
    KeepAtLeast,
    /// A client has it open, or may have.
    Live,
    /// It changed between the plan and the deed.
    Changed,
    /// It lies behind a link, which was not followed.
    Linked,
    /// It is gone by this name, and another name still leads to its data.
    HardLinked,
    /// The catalogue does not know it, and it lies among a session's own files.
    Unrecognised,
    /// It belongs to somebody else.
    Foreign,
    /// It cannot be told whether it is of what was asked for.
    Unattributed,
    /// It was written after the purge.
    WrittenSince,
    /// The second scan found it.
    Left,
    /// The run was stopped before it got there.
    Stopped,
    /// The ledger could not record it.
    Ledger,
}

impl ExceptionReason {
    /// The word of it in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::KeepAtLeast => "keep-at-least",
            Self::Live => "live",
            Self::Changed => "changed",
            Self::Linked => "linked",
            Self::HardLinked => "hard-linked",
            Self::Unrecognised => "unrecognised",
            Self::Foreign => "foreign",
            Self::Unattributed => "unattributed",
            Self::WrittenSince => "written-since",
            Self::Left => "left",
            Self::Stopped => "stopped",
            Self::Ledger => "ledger",
        }
    }
}

/// Something that stays because it is not session content, was not asked for, or is evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Remaining {
    /// What it is.
    pub what: RemainingKind,
    /// Where it lies.
    pub path: String,
    /// How many files it is.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemainingKind {
    /// The ledger of this program: paths, ids and times, no content.
    Ledger,
    /// What this program remembers between runs.
    State,
    /// A policy.
    Policy,
    /// Holds of the user.
    Holds,
    /// The key that opens sealed files.
    Identity,
    /// Tokens of the client's account.
    Credentials,
    /// What the user wrote or installed, and the client's own state.
    Settings,
    /// Notes the client keeps about the user and the projects.
    Memory,
    /// Files the catalogue does not know; they may be the user's own.
    Unrecognised,
    /// Sessions outside what a partial purge was asked for.
    OutsideScope,
}

impl RemainingKind {
    /// What it is, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Ledger => "ledger of ccretain (paths, ids and times, no content)",
            Self::State => "state of ccretain",
            Self::Policy => "policy of ccretain",
            Self::Holds => "holds of ccretain",
            Self::Identity => "identity that opens sealed files",
            Self::Credentials => "credentials of the client",
            Self::Settings => "settings of the client, and what the user wrote or installed",
            Self::Memory => "memory: notes of the client",
            Self::Unrecognised => "files that the catalogue does not know",
            Self::OutsideScope => "sessions outside what was asked for",
        }
    }
}

/// What makes content readable or recoverable elsewhere, and whether it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResidualRisk {
    /// Which, e.g. `btrfs-snapshots`.
    pub id: String,
    /// What it means, in one line.
    pub title: String,
    /// Whether it was seen.
    pub seen: SeenWord,
    /// Why it cannot be told; absent where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was seen, and where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Sighting>,
    /// What to do about it.
    pub remedy: String,
}

/// What was seen, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sighting {
    /// Where; absent where no path is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What was seen there.
    pub note: String,
}

impl From<&Finding> for ResidualRisk {
    fn from(finding: &Finding) -> Self {
        let row = finding.risk.row();
        Self {
            id: row.id.to_owned(),
            title: row.title.to_owned(),
            seen: SeenWord::from(&finding.seen),
            reason: match &finding.seen {
                Seen::Unknown(reason) => Some(text(reason)),
                _ => None,
            },
            evidence: finding
                .evidence
                .iter()
                .map(|each| Sighting { path: each.path.as_deref().map(text), note: text(&each.note) })
                .collect(),
            remedy: row.remedy.to_owned(),
        }
    }
}

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

impl From<crate::ledger::Head> for LedgerHead {
    fn from(head: crate::ledger::Head) -> Self {
        Self { seq: head.seq, sha256: head.sha256 }
    }
}
