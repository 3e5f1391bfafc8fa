//! `ccretain man`: writes the pages of the manual into a folder.

use std::path::Path;

use super::args;
use super::context::{Context, Exit, Failure};
use crate::error::PathError;
use crate::files;
use crate::manual;

/// Writes every page into a folder, which is made where it is missing.
///
/// # Errors
/// A folder or a file that cannot be written.
pub fn run(dir: &Path, ctx: &Context) -> Result<Exit, Failure> {
    let dir = ctx.env.absolute(dir);
    write(&dir)?;
    Ok(Exit::Done)
}

fn write(dir: &Path) -> Result<(), PathError> {
    files::named_dir(dir)?;
    for page in manual::pages(&args::command()) {
        let path = dir.join(&page.name);
        files::replace_named(&path, page.text.as_bytes())?;
    }
    Ok(())
}
