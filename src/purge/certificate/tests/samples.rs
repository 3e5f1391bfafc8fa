//! A certificate for tests.

use chrono::{DateTime, Utc};

use super::belongs::LedgerHead;
use super::issuer::Layer;
use super::*;
use crate::catalogue::Kind;

/// The time of the sample.
pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

/// The facts of an ordinary purge of one store.
pub fn parts() -> Parts {
    let mut counts = Counts { sessions: 2, projects: 1, folders: 3, ..Counts::default() };
    counts.file(Some(Kind::Transcript), Form::Plaintext, 2_048);
    counts.file(Some(Kind::Transcript), Form::SealedAfterPlaintext, 512);
    counts.lines(Kind::History, 7, 700);
    Parts {
        id: "6e0c1a52-6f6e-4f0e-9f83-0a4d7c1f2b11".to_owned(),
        tool: Tool {
            name: "ccretain".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            built: "2026-11-22".to_owned(),
        },
        policy: PolicyRef {
            sha256: "ab".repeat(32),
            layers: vec![Layer { source: "user".to_owned(), path: Some("/home/ann/p.json".to_owned()) }],
        },
        operator: Operator {
            name: "ann".to_owned(),
            uid: 1000,
            sudo_user: None,
            consent: Witness::CommandLine,
            all_users: false,
            signer: None,
        },
        host: Machine {
            name: Some("laptop-17".to_owned()),
            os: "linux".to_owned(),
            os_version: Some("Debian GNU/Linux 13 (trixie)".to_owned()),
            kernel: Some("6.12.0".to_owned()),
            arch: "x86_64".to_owned(),
            model: Some("LENOVO 21HM".to_owned()),
            serial: None,
        },
        started: at(0),
        ended: at(4),
        stores: vec![StoreEntry {
            root: "/home/ann/.claude".to_owned(),
            kind: "config".to_owned(),
            owner: "ann".to_owned(),
            found_by: "default".to_owned(),
            device: 65_026,
            volume: Some("/dev/mapper/vg-home".to_owned()),
            file_system: Some("ext4".to_owned()),
            encrypted: SeenWord::Yes,
            artifacts: 12,
            sessions: 2,
            folders: Vec::new(),
        }],
        method: Method::new(Scope::default(), Identity::None),
        counts,
        verification: Verification::scanned(at(3), 1, 4, Left::default(), true),
        exceptions: Vec::new(),
        remaining: vec![Remaining {
            what: RemainingKind::Ledger,
            path: "/home/ann/.local/state/ccretain".to_owned(),
            files: 1,
            bytes: 4_096,
        }],
        residual_risks: vec![
            risk("swap", SeenWord::Yes, None),
            risk("backups", SeenWord::Unknown, Some("a backup made from elsewhere leaves no sign")),
            risk("trash", SeenWord::No, None),
        ],
        ledger: LedgerRef {
            path: "/home/ann/.local/state/ccretain".to_owned(),
            run: "11111111-2222-4333-8444-555555555555".to_owned(),
            head: LedgerHead { seq: 41, sha256: "cd".repeat(32) },
        },
    }
}

fn risk(id: &str, seen: SeenWord, reason: Option<&str>) -> ResidualRisk {
    ResidualRisk {
        id: id.to_owned(),
        title: format!("What {id} means"),
        seen,
        reason: reason.map(str::to_owned),
        evidence: match seen {
            SeenWord::Yes => {
                vec![Sighting {
                    path: Some("/dev/sda2".to_owned()),
                    note: "it is in use and not encrypted".to_owned(),
                }]
            }
            _ => Vec::new(),
        },
        remedy: "do something about it".to_owned(),
    }
}

/// An exception.
pub fn exception(reason: ExceptionReason, path: &str) -> Exception {
    Exception { reason, path: path.to_owned(), detail: "it was not done".to_owned(), bytes: Some(9) }
}
