//! How a verb ends: exit codes, and errors as words with a hint. Library errors become these here.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use super::remedy;
use crate::catalogue::SessionId;
use crate::enforce::lock::LockError;
use crate::enforce::sealed::SealedError;
use crate::error::{PathError, chain};
use crate::escape::{shown, text};
use crate::ledger::LedgerError;
use crate::policy::Hold;
use crate::report::certificate::GivenError;
use crate::report::human::{counted, day};
use crate::run;
use crate::run::unseal::Refusal;
use crate::schedule::ScheduleError;
use crate::seal::UnsealError;
use crate::seal::identities::IdentityError;
use crate::state::StateError;

/// The exit codes of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All done; `check`: compliant.
    Done,
    /// Some items failed or could not be read; the rest was done.
    Failed,
    /// Usage, or a policy that is missing or invalid; nothing was changed.
    Usage,
    /// `check`: not compliant.
    NotCompliant,
    /// A guard refused; nothing was changed.
    Refused,
    /// Another run holds the lock.
    Locked,
    /// A person at a terminal pressed Ctrl-C.
    Interrupted,
    /// What Claude Code ended with, after `resume`.
    Client(u8),
    /// What `check` ends with in the convention of a device manager.
    Style(u8),
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotCompliant => 3,
            Self::Refused => 4,
            // EX_TEMPFAIL of sysexits.h: try again later.
            Self::Locked => 75,
            // 128 and the number of SIGINT, as shells have it.
            Self::Interrupted => 130,
            Self::Client(code) | Self::Style(code) => code,
        }
    }

    /// This end, and another where this one is well: the first that was not stays.
    pub fn or(self, other: Self) -> Self {
        if self == Self::Done { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a verb could not do its work.
#[derive(Debug)]
pub struct Failure {
    /// What the program exits with.
    pub exit: Exit,
    /// What went wrong, with its causes.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether a person said no, which is no error.
    pub is_cancelled: bool,
}

impl Failure {
    /// A failure in words of one's own.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, is_cancelled: false }
    }

    /// A person was asked and said no.
    pub fn cancelled() -> Self {
        Self { is_cancelled: true, ..Self::new(Exit::Refused, "cancelled: nothing was changed") }
    }

    /// Nobody can be asked: neither input nor messages are on a terminal.
    pub fn unattended() -> Self {
        Self::new(Exit::Refused, "there is no terminal to ask on: nothing was changed")
            .hint("look with `--dry-run` added to the same command, then run it with `--yes`")
    }

    /// The parent of a run over all users does not answer.
    pub fn without_parent(error: &io::Error) -> Self {
        Self::new(Exit::Failed, format!("cannot reach the parent: {error}"))
    }

    /// The refusal that a hold is.
    pub fn held(session: SessionId, hold: &Hold) -> Self {
        Self::new(
            Exit::Refused,
            format!("session {session} is held by '{}': {}", text(&hold.name), text(&hold.reason)),
        )
        .hint(format!(
            "nothing was changed; `ccretain cat {session}` reads it, `ccretain hold list` shows the holds"
        ))
    }

    /// A failure because of an error, its causes included, with what to do about an error of the system.
    pub fn because(exit: Exit, error: &(dyn std::error::Error + 'static)) -> Self {
        Self { hint: remedy::of(error), ..Self::new(exit, chain(error)) }
    }

    /// The same with this hint where it has none.
    pub fn or_hint(mut self, hint: impl FnOnce() -> String) -> Self {
        self.hint = self.hint.or_else(|| Some(hint()));
        self
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

/// What cannot be read or written, where nothing more is said of it.
macro_rules! failed {
    ($($error:ty),+) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::because(Exit::Failed, &error)
            }
        }
    )+};
}

failed!(PathError, LedgerError, StateError);

/// What ends a run early, with its exit code and what to do about it: the one table of both.
impl From<run::Error> for Failure {
    fn from(error: run::Error) -> Self {
        use run::Error as E;
        let is_locked = match &error {
            E::Ledger(error) => error.is_locked(),
            E::ParentLedger(error) => error.kind() == std::io::ErrorKind::WouldBlock,
            E::Lock(error) => matches!(error, LockError::Held { .. }),
            E::LockStuck { .. } => true,
            _ => false,
        };
        let exit = match &error {
            _ if is_locked => Exit::Locked,
            E::Policy(_) | E::Holds(_) | E::Recipient(_) => Exit::Usage,
            E::StateRefused(_)
            | E::PolicyChanged
            | E::IdentityExists(_)
            | E::Ledger(_)
            | E::ParentLedger(_)
            | E::LedgerUnread(_)
            | E::Unrecorded(_)
            | E::NoChild(_) => Exit::Refused,
            // A store that cannot be written to is one that cannot be changed: nothing was changed.
            E::Lock(_)
            | E::LockStuck { .. }
            | E::State(_)
            | E::KeptByParent { .. }
            | E::OutcomeUnrecorded(_)
            | E::Unclosed(_)
            | E::NoCertificate(_)
            | E::CertificateUnopened(_)
            | E::Certificate(_)
            | E::CertificateUnrecorded(_)
            | E::ParentGone(_)
            | E::AccountsUnlisted
            | E::Path(_)
            | E::Identity(_) => Exit::Failed,
        };
        let failure = Self::because(exit, &error);
        match &error {
            // Nobody waits for one that hangs.
            E::LockStuck { file, .. } => failure.hint(format!(
                "`fuser -v '{}'` names the process that holds it; once that has ended, run the same command again",
                shown(file)
            )),
            _ if is_locked => failure
                .hint("wait until that run has ended, then try again; `ccretain status` shows the last one"),
            E::Ledger(_) | E::ParentLedger(_) | E::Unrecorded(_) => Self {
                message: format!(
                    "nothing was changed, because the ledger cannot record it: {}",
                    failure.message
                ),
                // Where no path is known, as of the ledger that a parent writes.
                hint: failure.hint.or_else(|| {
                    Some(
                        "make room for it, or let it be written again, then run the same command again"
                            .into(),
                    )
                }),
                ..failure
            },
            E::PolicyChanged => failure.hint("run the same command again: it goes by what is in force now"),
            E::IdentityExists(_) => failure
                .hint("`ccretain key show` prints its recipient; to make another one, move it away first"),
            E::Identity(IdentityError::Read(error)) if error.source.kind() == io::ErrorKind::NotFound => {
                failure.hint("`ccretain key new` makes an identity")
            }
            E::Policy(error) => Self { hint: remedy::of_policy(error), ..failure },
            _ => failure,
        }
    }
}

impl From<ScheduleError> for Failure {
    fn from(error: ScheduleError) -> Self {
        let exit = match &error {
            ScheduleError::Job(_) | ScheduleError::Unsupported { .. } => Exit::Usage,
            ScheduleError::Ambiguous { .. } => Exit::Refused,
            _ => Exit::Failed,
        };
        let failure = Self::because(exit, &error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<GivenError> for Failure {
    fn from(error: GivenError) -> Self {
        let failure = Self::because(Exit::Usage, &error);
        match error {
            GivenError::Unread(_) => failure,
            GivenError::NoCertificate { .. } => failure.hint(
                "name the .json or .html that the purge wrote, not the .txt; `ccretain ledger verify --help` lists what it takes",
            ),
        }
    }
}

impl<Item> From<run::Ended<Item>> for Failure {
    fn from(ended: run::Ended<Item>) -> Self {
        ended.error.into()
    }
}

impl From<&SealedError> for Failure {
    fn from(error: &SealedError) -> Self {
        match error {
            SealedError::InTheWay { .. } => Self::because(Exit::Refused, error).hint(
                "nothing was changed; move it away to bring back what was sealed, or keep working with it",
            ),
            SealedError::Open { source: UnsealError::WrongKey | UnsealError::NoIdentity, .. } => {
                Self::because(Exit::Failed, error)
                    .hint("nothing was changed; name the file that holds the key: `--identity FILE`")
            }
            _ => Self::because(Exit::Failed, error)
                .hint("nothing was changed; `age -d -i KEY FILE | zstd -d` opens single sealed files"),
        }
    }
}

// Beside the other exits and hints, so that one file has them all.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotSealed(session) => {
                Self::new(Exit::Usage, format!("session {session} is not sealed")).hint(format!(
                    "`ccretain cat {session}` reads it as it is; `ccretain list --encrypted` lists sealed ones"
                ))
            }
            Refusal::Held(session, hold) => Self::held(session, &hold),
            Refusal::Live(session) => {
                let message = format!("Claude Code has session {session} open, so nothing was changed");
                Self::new(Exit::Refused, message).hint(format!(
                    "close it there, then try again; `ccretain cat {session}` reads it meanwhile"
                ))
            }
            Refusal::MayBeLive(session, why) => {
                let message = format!(
                    "Claude Code may have session {session} open, so nothing was changed: {why}"
                );
                Self::new(Exit::Refused, message).hint(format!(
                    "let it be read, then try again; `ccretain cat {session}` reads the session meanwhile"
                ))
            }
            Refusal::Stays(session, why) => {
                Self::new(Exit::Refused, format!("session {session} {why}: nothing was changed"))
                    .hint(format!("`ccretain explain {session}` says until when"))
            }
            Refusal::Unusable(error) => Self::from(&error),
            Refusal::GoesAgain { session, oldest, days } => {
                let message = format!(
                    "session {session} was last written on {}, and Claude Code deletes what is older than {} \
                     seconds after its next start: nothing was changed",
                    day(oldest),
                    counted(days, "day"),
                );
                Self::new(Exit::Refused, message).hint(
                    "add `--touch` for today's date (its true age is remembered), or `--keep-date` to restore it all the same",
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_manual() {
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::NotCompliant,
            Exit::Refused,
            Exit::Locked,
            Exit::Interrupted,
        ];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 75, 130]);
        let manual = include_str!("../manual/words/exit.txt").lines();
        let told: Vec<u8> = manual.filter_map(|line| line.strip_prefix("? ")?.parse().ok()).collect();
        assert_eq!(told, all.map(Exit::code));
    }
}
