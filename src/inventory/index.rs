//! Places in the lists of an inventory, each list with a type of its own.

use std::num::NonZeroU32;

macro_rules! index {
    ($(#[$doc:meta])* $vis:vis $name:ident) => {
        $(#[$doc])*
        // One more than the position, so that an index that may be missing is no larger.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis struct $name(NonZeroU32);

        impl $name {
            /// The position in the inventory's list.
            pub fn at(self) -> usize {
                self.0.get() as usize - 1
            }

            /// The index of a position; saturates, as no inventory holds that many.
            pub fn of(position: usize) -> Self {
                let position = u32::try_from(position).unwrap_or(u32::MAX);
                Self(NonZeroU32::MIN.saturating_add(position))
            }
        }
    };
}

index!(
    /// A store, by its place in [`Inventory::stores`](super::Inventory::stores).
    pub StoreIndex
);
index!(
    /// A folder, by its place in [`Inventory::folders`](super::Inventory::folders).
    pub FolderIndex
);
index!(
    /// An artifact, by its place in [`Inventory::artifacts`](super::Inventory::artifacts).
    pub ArtifactIndex
);
index!(
    /// A session, by its place in [`Inventory::sessions`](super::Inventory::sessions).
    pub SessionIndex
);

index!(
    /// A project that a loose artifact names, by its place in [`Inventory::projects`](super::Inventory::projects).
    pub ProjectIndex
);
index!(
    /// What a walk has seen of a session, which has no place in the inventory yet.
    pub(super) PartIndex
);
