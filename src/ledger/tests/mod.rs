//! Tests of the ledger on real files.

mod chain;
mod disk;
mod expiry;
mod reading;
mod tampering;

use std::fs::OpenOptions;
use std::io::Write as _;

use chrono::TimeDelta;
use tempfile::TempDir;

use super::*;
use crate::period::Period;

pub(super) fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
}

/// As it is verified long after anything that the tests write.
pub(super) fn verify(dir: &Path, head: Option<&str>) -> Result<Verification, LedgerError> {
    super::verify(dir, &Expected { head, keep: None, now: at(10_000 * 24 * 60) })
}

/// A ledger in a scratch folder.
pub(super) struct Bench {
    pub temp: TempDir,
    pub place: Place,
    pub policy: LedgerPolicy,
    pub size: u64,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::sized(SEGMENT_SIZE)
    }

    pub(super) fn sized(size: u64) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let place =
            Place { dir: temp.path().join("ledger"), state_dir: temp.path().join("state"), is_of_all: false };
        Self { temp, place, policy: LedgerPolicy::default(), size }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.place.dir
    }

    pub(super) fn active(&self) -> PathBuf {
        self.dir().join(ACTIVE)
    }

    pub(super) fn try_open(&self, minute: i64, clock: Clock) -> Result<Ledger, LedgerError> {
        let run = RunId(format!("run-{minute}"));
        Ledger::open_sized(&self.place, &self.policy, &run, clock, at(minute), self.size)
    }

    pub(super) fn open(&self, minute: i64) -> Ledger {
        // Another test may start a program at this moment, and a lock that is held while that is
        // done is held by the new process too until it has become that program.
        for _ in 0..200 {
            match self.try_open(minute, Clock::Proven) {
                Err(error) if error.is_locked() => std::thread::sleep(std::time::Duration::from_millis(10)),
                other => return other.unwrap(),
            }
        }
        panic!("the ledger stays locked");
    }

    /// A whole run of `count` intents and a summary.
    pub(super) fn run(&self, minute: i64, count: usize) -> Head {
        let mut ledger = self.open(minute);
        for index in 0..count {
            ledger.append(&[intent(&format!("{minute}-{index}"))], at(minute)).unwrap();
        }
        ledger
            .close(Entry { decision: Some("enforce".into()), ..Entry::new(Event::Summary) }, at(minute))
            .unwrap()
    }

    /// As after a crash of a run that had not ended: what follows was not remembered yet.
    pub(super) fn forget(&self) {
        files::remove_own(&self.place.head()).unwrap();
    }

    pub(super) fn verify(&self) -> Verification {
        verify(self.dir(), None).unwrap()
    }

    pub(super) fn closed(&self) -> Vec<PathBuf> {
        segments::closed(self.dir()).unwrap()
    }
}

pub(super) fn intent(session: &str) -> Entry<'static> {
    Entry {
        store: Some("/home/u/.claude".into()),
        session: Some(session.to_owned().into()),
        project: Some("/work/acme".into()),
        rule: Some("default".into()),
        decision: Some("delete".into()),
        files: Some(3),
        bytes: Some(4096),
        ..Entry::new(Event::Intent)
    }
}

pub(super) fn add(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a scratch folder")]
pub(super) fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}
