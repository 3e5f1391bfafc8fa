//! Fuzz targets: line files that are written anew without what is due.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read as _, Seek as _};

use super::prune::copy_without;
use crate::fuzzing::{file, without};
use crate::inventory::fuzz::{self, Cutting};

/// A prompt history.
pub fn history(data: &[u8]) {
    rewritten(&fuzz::history(data));
}

/// The global file of a client.
pub fn project_lists(data: &[u8]) {
    rewritten(&fuzz::project_lists(data));
}

/// The index of a project.
pub fn entries(data: &[u8]) {
    rewritten(&fuzz::entries(data));
}

fn rewritten(Cutting { text, cuts }: &Cutting) {
    let mut new = file(&[]);
    copy_without(&file(text), &new, cuts).unwrap();
    new.rewind().unwrap();
    let mut found = Vec::new();
    new.read_to_end(&mut found).unwrap();
    assert_eq!(found, without(text, cuts), "every other byte is kept");
}
