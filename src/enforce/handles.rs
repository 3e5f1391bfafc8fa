//! The folders that a piece of work has open; each is opened once.

use std::io;

use crate::dir::Dir;
use crate::inventory::{FolderIndex, Inventory};

/// The most folders held open at once.
// A session has few, so looking through the list is quicker than any map.
const MOST: usize = 24;

/// Open folders of an inventory.
pub(super) struct Handles<'a> {
    pub inventory: &'a Inventory,
    open: Vec<(FolderIndex, Dir)>,
}

impl<'a> Handles<'a> {
    pub fn new(inventory: &'a Inventory) -> Self {
        Self { inventory, open: Vec::new() }
    }

    /// A folder, which is opened if it is not open.
    ///
    /// # Errors
    /// As [`Inventory::open`].
    pub fn get(&mut self, folder: FolderIndex) -> io::Result<&Dir> {
        let at = match self.open.iter().position(|(index, _)| *index == folder) {
            Some(at) => at,
            None => {
                let dir = self.opened(folder)?;
                if self.open.len() >= MOST {
                    // Not the oldest one alone: files come folder by folder, so those that were open are hardly
                    // asked for again.
                    self.open.clear();
                }
                self.open.push((folder, dir));
                self.open.len() - 1
            }
        };
        Ok(&self.open[at].1)
    }

    /// Opens a folder from the one it lies in, if that is open already.
    fn opened(&self, index: FolderIndex) -> io::Result<Dir> {
        let folder = self.inventory.folder(index);
        let above = self.open.iter().find(|(above, _)| Some(*above) == folder.parent);
        match above {
            // One that was followed, as a link or a mount, is reached by its own handle only: `child` would
            // refuse it.
            Some((_, dir)) if folder.anchor.is_none() => dir.child(self.inventory.folder_name(folder)),
            _ => self.inventory.open(index),
        }
    }

    /// Closes a folder that is about to be removed.
    pub fn close(&mut self, folder: FolderIndex) {
        self.open.retain(|(index, _)| *index != folder);
    }
}
