//! Programs of others that speak age: they judge what is sealed.

use std::path::PathBuf;

use super::sandbox::{found, skip};

/// One of them.
pub struct Judge {
    /// Its name.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// What makes its keys.
    pub keygen: PathBuf,
}

/// Every judge that is installed; the others are said loudly.
pub fn judges() -> Vec<Judge> {
    let installed = [("age", "age-keygen"), ("rage", "rage-keygen")].map(|(name, keygen)| {
        let judge = Judge { name, program: found(name), keygen: found(keygen) };
        let is_there = judge.program.is_absolute() && judge.keygen.is_absolute();
        if !is_there {
            skip(&format!("the judge {name} is missing; .ci/run installs it"));
        }
        is_there.then_some(judge)
    });
    installed.into_iter().flatten().collect()
}
