//! Records as messages: a child of a run over all users sends them to the parent, which keeps the ledger.

use super::entry::{Ciphertext, Entry, Failure};

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
