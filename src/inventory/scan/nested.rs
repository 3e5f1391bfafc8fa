//! Stores that lie in other stores: which of the two a file is of.
//!
//! The inner one has what it knows by its name, and what neither knows; all else in it stays the outer one's, so that
//! nobody takes files out of a store by calling one of its folders a store.

use std::collections::HashMap;
use std::ffi::OsStr;

use super::{Place, Walk};
use crate::catalogue::{Cursor, Root};
use crate::dir::Dir;
use crate::locate::Store;

/// The stores that lie in others, by device and inode.
pub(super) type Nested = HashMap<(u64, u64), Root>;

/// The stores that lie in others. Of a home and the like only a few names are looked at, so that nothing lies in one.
pub(super) fn nested(stores: &[Store]) -> Nested {
    let inner = stores.iter().filter(|store| outer(stores, store).is_some());
    inner.map(|store| (store.identity, store.kind)).collect()
}

/// The store that a store lies in, the nearest of several.
fn outer<'s>(stores: &'s [Store], inner: &Store) -> Option<&'s Store> {
    let whole = stores.iter().filter(|store| !store.kind.is_shared());
    let around = whole.filter(|store| store.root != inner.root && inner.root.starts_with(&store.root));
    around.max_by_key(|store| store.root.as_os_str().len())
}

/// The other of two stores that both see a folder.
#[derive(Clone)]
pub(super) enum Beside {
    /// The inner one, seen from the outer.
    Inner(Cursor),
    /// The outer one, seen from the inner.
    Outer(Cursor),
}

impl Beside {
    fn enter(&self, name: &OsStr) -> Self {
        match self {
            Self::Inner(cursor) => Self::Inner(cursor.enter(name.as_encoded_bytes())),
            Self::Outer(cursor) => Self::Outer(cursor.enter(name.as_encoded_bytes())),
        }
    }

    /// Whether a file is the other store's; `is_known` says whether this one knows its name.
    fn has(&self, name: &OsStr, is_known: bool) -> bool {
        match self {
            Self::Inner(cursor) => !is_known || super::entry::recognise(cursor, name).is_some(),
            Self::Outer(cursor) => !is_known && super::entry::recognise(cursor, name).is_some(),
        }
    }
}

impl Place {
    /// Whether a file in this folder is another store's, which looks at it by itself.
    #[inline]
    pub(super) fn is_of_another(&self, name: &OsStr, is_known: bool) -> bool {
        self.beside.as_ref().is_some_and(|beside| beside.has(name, is_known))
    }
}

impl Walk<'_> {
    /// The store that a store lies in, as its root is seen from there.
    pub(super) fn beside_root(&self, store: &Store) -> Option<Beside> {
        let outer = outer(self.stores, store)?;
        let below = store.root.strip_prefix(&outer.root).ok()?;
        let at = Cursor::at(outer.kind);
        Some(Beside::Outer(below.iter().fold(at, |at, name| at.enter(name.as_encoded_bytes()))))
    }

    /// The other store that sees a folder of a folder.
    pub(super) fn beside_folder(&self, place: &Place, dir: &Dir, name: &OsStr) -> Option<Beside> {
        // Hardly anybody has one, and each folder would cost a look.
        let inner = (!self.nested.is_empty()).then(|| dir.stat_self().ok()).flatten();
        let inner = inner.and_then(|stat| self.nested.get(&(stat.stamp.device, stat.stamp.inode)));
        match inner {
            Some(kind) => Some(Beside::Inner(Cursor::at(*kind))),
            None => place.beside.as_ref().map(|beside| beside.enter(name)),
        }
    }
}
