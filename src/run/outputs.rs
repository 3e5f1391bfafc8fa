//! Where no output of a command may go: a file there is Claude Code's, or one of ours that commands live by.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::escape::shown;
use crate::files;
use crate::ledger::HEADS;
use crate::seal::identities::IDENTITY;
use crate::state;
use crate::{locate, policy};

/// Why a file that the caller names is not written.
#[derive(Debug, thiserror::Error)]
pub enum Taken {
    #[error("'{}' lies in a store that is to be purged", shown(.0))]
    InStore(PathBuf),
    #[error("cannot write '{}': it is a file of Claude Code", shown(.0))]
    OfClaudeCode(PathBuf),
    #[error("cannot write '{}': ccretain keeps its own data there", shown(.0))]
    Own(PathBuf),
}

/// Judges a file that the caller names by its place and its name, whether or not it is there; `stores` are the real paths
/// of roots in which no file may lie.
///
/// # Errors
/// What the place is kept for.
pub fn judge(path: &Path, env: &Environment, stores: &[PathBuf]) -> Result<(), Taken> {
    // By the resolved folder: a link to a store is as much in it.
    let folder = real(files::above(path));
    let name = path.file_name().unwrap_or_default();
    if stores.iter().any(|store| folder.starts_with(store)) {
        Err(Taken::InStore(path.to_path_buf()))
    } else if locate::is_of_claude_code(env, &folder, name) {
        Err(Taken::OfClaudeCode(path.to_path_buf()))
    } else if is_own(env, &folder, name) {
        Err(Taken::Own(path.to_path_buf()))
    } else {
        Ok(())
    }
}

fn is_own(env: &Environment, folder: &Path, name: &OsStr) -> bool {
    let is_in = |own: &Path| real(own) == folder;
    let system = env.expand(env.layout().system_policy);
    let is_in_system = |below: &str| system.as_ref().is_some_and(|system| is_in(&system.join(below)));
    // Segments, keys and locks of a ledger all begin so.
    let is_of_ledger = name.as_encoded_bytes().starts_with(b"ledger");
    let of_state = [&state::FILES[..], &HEADS].concat();
    let is_policy = name == "policy.json";
    is_in(&env.config_dir()) && (is_policy || name == policy::holds::FILE_NAME || name == IDENTITY)
        || is_in(&env.state_dir()) && (is_of_ledger || of_state.iter().any(|own| name == *own))
        || is_of_ledger && (is_in(&env.ledger_dir()) || is_in(&env.system_ledger_dir()))
        || is_in_system("") && (is_policy || name == "managed-policy.json")
        || is_in_system("policy.d")
}

fn real(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf())
}
