//! One run, in stages: prepare (policy, state, stores, inventory), guard, execute, record.
//!
//! Commands call these stages and print what they give. Nothing here prints by itself, reads the
//! environment or knows what may be typed.

#[cfg(unix)]
pub(crate) mod accounts;
mod clients;
mod error;
mod execute;
pub mod guards;
pub mod holding;
pub mod home;
pub mod identity;
pub mod journal;
mod ledgered;
pub mod link;
mod locks;
pub mod moved;
pub mod outputs;
mod prepare;
pub mod preserve;
pub mod privileges;
pub mod purge;
pub mod rekey;
pub mod remembered;
pub mod restore;
mod rules;
pub mod sealed;
pub mod sealing;
mod seen;
#[cfg(unix)]
pub mod signals;
pub mod tally;
pub mod unseal;
mod view;

use std::path::PathBuf;
use std::sync::Arc;

pub use clients::clients;
pub use error::Error;
pub use execute::{CancelToken, Execution, STOPPING};
pub use ledgered::{Ended, LedgeredRun, SealedRun};
pub use locks::{lock_all, lock_writable};
pub use prepare::{
    Workspace, in_force, in_force_to_look, locate, must_be_unchanged, prepare, prepare_to_look, prepare_with,
    recipients,
};
pub use rules::RuleRun;
pub use view::Run;

use crate::environment::Environment;
use link::Link;

/// What every stage needs to know.
#[derive(Debug, Clone)]
pub struct Context {
    /// Platform, user, variables, time.
    pub env: Environment,
    /// The only stores that may be changed; all where it is empty.
    pub stores: Vec<PathBuf>,
    /// The file that stands in for the user's policy.
    pub policy: Option<PathBuf>,
    /// The parent, where this is a child of a run over all users.
    pub parent: Option<Link>,
    /// Who watches.
    pub screen: Arc<dyn Screen>,
}

/// How a run shows what it meets, without knowing where that goes.
pub trait Screen: std::fmt::Debug + Send + Sync {
    /// Says something that must be heard and stops nothing.
    fn warning(&self, message: &str);

    /// Tells a person at a terminal something, and a pipe nothing.
    fn note(&self, message: &str);

    /// Shows progress over so many items; hidden where nobody watches.
    fn progress(&self, total: u64, doing: &'static str) -> indicatif::ProgressBar;
}
