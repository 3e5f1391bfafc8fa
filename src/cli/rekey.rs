//! `ccretain rekey`.
use super::args::RekeyArgs;
use super::{Context, Exit, Failure};
/// Runs the verb.
///
/// # Errors
/// None yet.
pub fn run(_: &RekeyArgs, _: &Context) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
