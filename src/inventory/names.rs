//! The names of files, one after the other in one piece of memory: an inventory holds a hundred
//! thousand, and each by itself would be an allocation and 3 MB more in all.

use std::ffi::OsStr;

/// So many names are in a large store.
const LARGE: usize = 100_000;

/// Many names.
#[derive(Debug, Default)]
pub struct Names(held::Held);

/// One of [`Names`]; of use only with those it was added to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Name {
    at: u32,
    length: u16,
}

impl Names {
    /// Room for those of a large store, so that they need not be moved; what is not used costs nothing.
    pub(super) fn with_room() -> Self {
        Self(held::Held::with_capacity(LARGE * held::USUAL))
    }

    pub fn add(&mut self, name: &OsStr) -> Name {
        held::add(&mut self.0, name)
    }

    /// A name that was added. One of other names may be empty, or another's; it never fails.
    pub fn get(&self, name: Name) -> &OsStr {
        held::get(&self.0, name).unwrap_or_default()
    }

    /// Adds all names of others; says by how much each of those has moved.
    pub(super) fn append(&mut self, mut others: Self) -> u32 {
        let base = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.append(&mut others.0);
        base
    }

    /// Forgets all names and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Name {
    /// The same name, after those it was added to were appended to others.
    pub(super) fn moved(self, base: u32) -> Self {
        // No inventory holds 4 GB of names; of one that did, the rest would be empty.
        Self { at: self.at.saturating_add(base), ..self }
    }
}

#[cfg(unix)]
mod held {
    use super::{Name, OsStr};
    use std::os::unix::ffi::OsStrExt as _;

    /// The bytes of all names.
    pub(super) type Held = Vec<u8>;

    /// A name is mostly that of a session with an ending.
    pub(super) const USUAL: usize = 42;

    pub(super) fn add(held: &mut Held, name: &OsStr) -> Name {
        let at = u32::try_from(held.len()).unwrap_or(u32::MAX);
        held.extend_from_slice(name.as_bytes());
        // No file system has longer ones.
        Name { at, length: u16::try_from(name.len()).unwrap_or(0) }
    }

    pub(super) fn get(held: &Held, name: Name) -> Option<&OsStr> {
        let at = name.at as usize;
        held.get(at..at + usize::from(name.length)).map(OsStr::from_bytes)
    }
}

#[cfg(not(unix))]
mod held {
    use super::{Name, OsStr};

    /// Where a part of a name is no name of its own, each is held by itself.
    pub(super) type Held = Vec<Box<OsStr>>;

    pub(super) const USUAL: usize = 1;

    pub(super) fn add(held: &mut Held, name: &OsStr) -> Name {
        held.push(Box::from(name));
        Name { at: u32::try_from(held.len() - 1).unwrap_or(u32::MAX), length: 0 }
    }

    pub(super) fn get(held: &Held, name: Name) -> Option<&OsStr> {
        held.get(name.at as usize).map(|name| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_name_is_found_again_also_after_names_were_put_together(
            first in prop::collection::vec("\\PC{0,20}", 0..20), second in prop::collection::vec("\\PC{0,20}", 0..20),
        ) {
            let fill = |names: &mut Names, of: &[String]| -> Vec<Name> {
                of.iter().map(|name| names.add(OsStr::new(name))).collect()
            };
            let (mut names, mut others) = (Names::default(), Names::default());
            let mut all = fill(&mut names, &first);
            let of_others = fill(&mut others, &second);
            let base = names.append(others);
            all.extend(of_others.into_iter().map(|name| name.moved(base)));
            for (name, text) in all.into_iter().zip(first.iter().chain(&second)) {
                prop_assert_eq!(names.get(name), OsStr::new(text));
            }
        }
    }
}
