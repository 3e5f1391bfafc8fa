//! How a child that works for one account speaks with the parent that works for all of them.
//!
//! One JSON message a line: the child's on its standard output, the parent's on the child's
//! standard input. The child is started as root and, once it has read [`Hello`], becomes its user
//! before it opens anything; it does nothing that the parent has not recorded. Its user can stop or
//! end it and cannot speak in its place, and still the parent bounds whatever it is sent.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::tally::Tally;
use super::{Error, privileges};
use crate::ledger::{Deletion, Entry, Sought};
use crate::purge::certificate::Parts;

/// Set in the environment of a child, and nowhere else.
pub const MARKER: &str = "CCRETAIN_CHILD_OF_ALL_USERS";

/// The longest message that the parent listens to, in bytes.
pub const LONGEST: u64 = 16 << 20;
/// How much text a message carries; escaped as JSON it is at most six times as long.
const PIECE: usize = 1 << 20;

/// How many sessions are asked for at once: a message holds them with paths of 100 bytes.
const MOST_SOUGHT: usize = 50_000;

/// What the parent says first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hello {
    /// The id of the run; all accounts share it.
    pub run: String,
    /// The process id of the parent.
    pub parent: u32,
    /// Whom the child must become.
    pub uid: u32,
    /// And of which group.
    pub gid: u32,
    /// The folder the command was given in.
    pub working_dir: PathBuf,
    /// The newest time in the parent's ledger whose clock was proven.
    pub ledger_time: Option<DateTime<Utc>>,
    /// What root keeps of the account, each file of state by its name; empty before the first run,
    /// `None` for root's own account, whose state nobody else writes.
    pub kept: Option<BTreeMap<String, String>>,
}

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FromChild {
    /// It is about to work and needs the ledger.
    Open {
        /// Whether its clock guard vouches for the time.
        proven: bool,
    },
    /// To be recorded before it goes on.
    Append {
        /// What.
        entries: Vec<Entry<'static>>,
    },
    /// Its work is done.
    Close { summary: Box<Entry<'static>> },
    /// Asks which of these sessions the ledger of all says were deleted.
    Deletions {
        /// The sessions.
        sought: Vec<Sought>,
    },
    /// Figures for the collector's file, which is not the user's to write; nobody answers.
    Figures {
        /// The figures.
        text: String,
    },
    /// What its run comes to, for the report of all; nobody answers.
    Totals {
        /// The counts.
        totals: Box<Totals>,
    },
    /// What the run of a purge came to, for the certificate, which is the parent's to issue; nobody
    /// answers.
    Certificate {
        /// The facts.
        parts: Box<Parts>,
    },
    /// What root is to keep of the account, in pieces; only the last is answered.
    Keep {
        /// The name of the file of state.
        name: String,
        /// A piece of its text.
        text: String,
        /// Whether it is the last.
        ends: bool,
    },
    /// What it would have printed; nobody answers.
    Output { text: String },
}

/// What the run of one account comes to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Totals {
    /// What lies there.
    pub sessions: u64,
    pub files: u64,
    pub bytes: u64,
    /// Whether the counts are of what was done, and not of what would be.
    pub is_done: bool,
    pub tally: Tally,
    pub notes: Vec<Note>,
}

/// Something that an account's report says, without names that differ from account to account, so that those
/// of whom it is true can be told together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Of how much it is true; 0 for a sentence without a count.
    pub count: u64,
    /// What is counted.
    pub noun: String,
    pub what: String,
}

impl Note {
    /// A count with what is true of it.
    pub fn counted(count: u64, noun: &str, what: impl Into<String>) -> Self {
        Self { count, noun: noun.to_owned(), what: what.into() }
    }

    pub fn sentence(what: impl Into<String>) -> Self {
        Self { count: 0, noun: String::new(), what: what.into() }
    }
}

/// What the parent answers to everything that waits for an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ToChild {
    /// It is on disk.
    Done,
    /// When each of the sessions was deleted that were, by their positions.
    Deletions { found: BTreeMap<usize, Deletion> },
    /// It is not.
    Failed {
        /// Why.
        error: String,
        /// Whether another run holds the ledger.
        locked: bool,
    },
}

/// The child's end.
#[derive(Debug, Clone)]
pub struct Link {
    hello: Arc<Hello>,
    // One message and its answer at a time.
    turn: Arc<Mutex<()>>,
}

impl Link {
    /// Waits for the parent's greeting, and becomes the user whom it names.
    ///
    /// # Errors
    /// There is no parent, or the privileges could not be dropped: nothing was opened.
    pub fn begin() -> Result<Self, Error> {
        let refused = |why: &str| Error::NoChild(why.to_owned());
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(|_| refused("there is no parent"))?;
        let hello: Hello =
            serde_json::from_str(&line).map_err(|_| refused("this is started by --all-users alone"))?;
        // Nothing has been opened and no thread started: from here on it is the user's process.
        privileges::give_up(hello.uid, hello.gid)
            .map_err(|error| refused(&format!("cannot become the user {}: {error}", hello.uid)))?;
        // After the ids have changed, which clears the signal.
        privileges::end_with(hello.parent)
            .map_err(|error| refused(&format!("cannot be ended with the parent: {error}")))?;
        Ok(Self { hello: Arc::new(hello), turn: Arc::new(Mutex::new(())) })
    }

    /// What the parent said first.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Hands text to the parent to print, in pieces that are no message too long.
    ///
    /// # Errors
    /// The parent is gone.
    pub fn output(&self, text: &str) -> io::Result<()> {
        pieces(text).try_for_each(|piece| self.tell(&FromChild::Output { text: piece.to_owned() }))
    }

    /// What root keeps of the account in place of a file of state; `None` where the account's own
    /// file is all there is.
    pub fn kept(&self, name: &str) -> Option<&str> {
        self.hello.kept.as_ref().map(|kept| kept.get(name).map_or("", String::as_str))
    }

    /// Hands a file of state to the parent, and waits until it is kept.
    ///
    /// # Errors
    /// The parent is gone, or answers that it failed.
    pub fn keep(&self, name: &str, text: &str) -> io::Result<()> {
        let message =
            |text: &str, ends| FromChild::Keep { name: name.to_owned(), text: text.to_owned(), ends };
        pieces(text).try_for_each(|piece| self.tell(&message(piece, false)))?;
        self.ask(&message("", true))
    }

    /// Hands the figures of the run to the parent.
    ///
    /// # Errors
    /// The parent is gone.
    pub fn figures(&self, text: String) -> io::Result<()> {
        self.tell(&FromChild::Figures { text })
    }

    /// Hands the counts of the run to the parent.
    ///
    /// # Errors
    /// The parent is gone.
    pub fn totals(&self, totals: Totals) -> io::Result<()> {
        self.tell(&FromChild::Totals { totals: Box::new(totals) })
    }

    /// Hands the facts of a certificate to the parent.
    ///
    /// # Errors
    /// The parent is gone.
    pub fn certificate(&self, parts: Parts) -> io::Result<()> {
        self.tell(&FromChild::Certificate { parts: Box::new(parts) })
    }

    /// Says something that nobody answers.
    fn tell(&self, message: &FromChild) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        send(message)
    }

    /// Says something and waits for the answer.
    ///
    /// # Errors
    /// The parent is gone, or answers that it failed.
    pub fn ask(&self, message: &FromChild) -> io::Result<()> {
        self.answer(message).map(drop)
    }

    /// Asks which of these sessions the ledger of all says were deleted; only so many are asked for as a
    /// message holds.
    ///
    /// # Errors
    /// The parent is gone, or cannot read its ledger.
    pub fn deletions(&self, mut sought: Vec<Sought>) -> io::Result<BTreeMap<usize, Deletion>> {
        sought.truncate(MOST_SOUGHT);
        match self.answer(&FromChild::Deletions { sought })? {
            ToChild::Deletions { found } => Ok(found),
            _ => Err(io::Error::other("the parent answers something else")),
        }
    }

    fn answer(&self, message: &FromChild) -> io::Result<ToChild> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        send(message)?;
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Err(io::Error::other("the parent is gone"));
        }
        match serde_json::from_str(&line)? {
            ToChild::Failed { error, locked: true } => Err(io::Error::new(io::ErrorKind::WouldBlock, error)),
            ToChild::Failed { error, locked: false } => Err(io::Error::other(error)),
            answer => Ok(answer),
        }
    }
}

/// A text in pieces of at most [`PIECE`] bytes, cut between characters.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

fn send(message: &FromChild) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    // The parent would end the child for it; here the one message fails and the run says why.
    if line.len() as u64 > LONGEST {
        return Err(io::Error::other("a message to the parent is too long"));
    }
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_nothing_of_it_is_lost() {
        let text = format!("x{}", "\u{20ac}".repeat(PIECE));
        let cut: Vec<&str> = pieces(&text).collect();
        assert_eq!(cut.len(), 4);
        assert!(cut.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(cut.concat(), text);
        assert_eq!(pieces("").count(), 0);
    }
}
