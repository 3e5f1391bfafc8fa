//! Records as messages: a child of a run over all users sends them to the parent, which keeps the ledger.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::entry::{Ciphertext, Entry, Failure, Head};

/// A field with texts of its own.
pub(super) trait Own {
    type Static;

    fn own(self) -> Self::Static;
}

impl<T: Own> Own for Option<T> {
    type Static = Option<T::Static>;

    fn own(self) -> Self::Static {
        self.map(Own::own)
    }
}

impl<T: Own> Own for Vec<T> {
    type Static = Vec<T::Static>;

    fn own(self) -> Self::Static {
        self.into_iter().map(Own::own).collect()
    }
}

impl Own for Cow<'_, str> {
    type Static = Cow<'static, str>;

    fn own(self) -> Self::Static {
        Cow::Owned(self.into_owned())
    }
}

impl Own for (Cow<'_, str>, u64) {
    type Static = (Cow<'static, str>, u64);

    fn own(self) -> Self::Static {
        (self.0.own(), self.1)
    }
}

impl Own for Failure<'_> {
    type Static = Failure<'static>;

    fn own(self) -> Self::Static {
        Failure { path: self.path.own(), error: self.error.own() }
    }
}

impl Own for Ciphertext<'_> {
    type Static = Ciphertext<'static>;

    fn own(self) -> Self::Static {
        Ciphertext { path: self.path.own(), sha256: self.sha256 }
    }
}

macro_rules! owned_already {
    ($($type:ty)*) => {
        $(impl Own for $type {
            type Static = Self;

            fn own(self) -> Self {
                self
            }
        })*
    };
}

owned_already! { bool u64 DateTime<Utc> Head }

impl Entry<'static> {
    /// About how many bytes the record takes as a message to the parent that holds the ledger.
    pub fn weight(&self) -> usize {
        let lists = self.failed.iter().map(Failure::weight).chain(self.sealed.iter().map(Ciphertext::weight));
        // Generous: the message has a limit, and one above it would be refused.
        1024 + lists.sum::<usize>()
    }

    /// The record in parts of about this weight: a session may have a million files.
    pub fn split(mut self, most: usize) -> Vec<Self> {
        // The first part has the counts; the others repeat what they are about, and hold the rest of the lists.
        let (mut failed, mut sealed) =
            (std::mem::take(&mut self.failed).into_iter(), std::mem::take(&mut self.sealed).into_iter());
        let rest = Self { files: None, bytes: None, lines: None, counts: Vec::new(), ..self.clone() };
        let mut parts = Vec::new();
        let mut part = self;
        loop {
            let mut left = most.saturating_sub(part.weight());
            part.failed = take(&mut failed, &mut left, Failure::weight);
            part.sealed = take(&mut sealed, &mut left, Ciphertext::weight);
            parts.push(part);
            if failed.as_slice().is_empty() && sealed.as_slice().is_empty() {
                return parts;
            }
            part = rest.clone();
        }
    }
}

/// Takes what fits from a list, and at least one.
fn take<T>(from: &mut std::vec::IntoIter<T>, left: &mut usize, weight: fn(&T) -> usize) -> Vec<T> {
    let mut taken = Vec::new();
    while let Some(first) = from.as_slice().first() {
        let first = weight(first);
        if !taken.is_empty() && first > *left {
            break;
        }
        *left = left.saturating_sub(first);
        taken.extend(from.next());
    }
    taken
}

impl Failure<'_> {
    // A backslash and a quotation mark are two bytes in JSON.
    fn weight(&self) -> usize {
        32 + 2 * (self.path.len() + self.error.len())
    }
}

impl Ciphertext<'_> {
    fn weight(&self) -> usize {
        96 + 2 * self.path.len()
    }
}
