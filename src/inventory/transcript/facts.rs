//! What the records of a transcript say.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::catalogue::{SessionId, Version};

/// Project paths, each once; many transcripts and sessions share one list.
pub type Projects = Arc<[Arc<str>]>;

/// What the records of one transcript say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The newest record timestamp that is not later than the time of the look.
    pub newest: Option<DateTime<Utc>>,
    /// Every project path found; the first is that of the first record that has one.
    pub projects: Projects,
    /// Whether the first record that has a project may lie where nothing was read, so that `projects` lacks it.
    pub lacks_first_project: bool,
    /// The session that the first record with an id names.
    pub session: Option<SessionId>,
    /// Whether any record has the shape of the client's: an id of a session and a type.
    pub is_of_client: bool,
    /// Whether a record was read that holds what was said; notes about a conversation may have no date.
    pub talks: bool,
    /// Whether the desktop application wrote it, by its `entrypoint`.
    pub is_desktop: bool,
    /// The newest version of Claude Code that wrote it, where the catalogue was not tried with that.
    pub untried: Option<Version>,
    /// Whether a date later than the look was seen, which a later look would not pass over.
    pub has_later: bool,
    /// The timestamps of records that are later than the look, which will date it one day.
    pub later: Later,
    /// Whether a line after the last dated record cannot be read, as a power loss leaves it: the
    /// newest record may be lost, so the modification time counts too.
    pub is_damaged: bool,
}

impl Facts {
    /// The project that rules go by: that of the first record that has one.
    pub fn project(&self) -> Option<&Arc<str>> {
        self.projects.first().filter(|_| !self.lacks_first_project)
    }
}

/// Timestamps that lie ahead, in order.
// Of very many only some are kept, the last always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Later(Vec<DateTime<Utc>>);

impl Later {
    /// A clock that is wrong may have written any number of records.
    pub(super) const MOST: usize = 64;

    /// Adds some, each once.
    pub fn add(&mut self, dates: impl IntoIterator<Item = DateTime<Utc>>) {
        for date in dates {
            if let Err(at) = self.0.binary_search(&date) {
                self.0.insert(at, date);
            }
        }
        while self.0.len() > Self::MOST {
            let mut left = self.0.len();
            self.0.retain(|_| {
                left -= 1;
                left.is_multiple_of(2)
            });
        }
    }

    /// Those that are kept.
    pub fn dates(&self) -> &[DateTime<Utc>] {
        &self.0
    }
}
