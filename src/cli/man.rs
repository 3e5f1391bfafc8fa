//! `ccretain man`: writes the pages of the manual into a folder.

use std::path::Path;

use super::{Context, Exit, Failure, args};
use crate::error::{At as _, PathError};
use crate::manual;

/// Writes every page into a folder, which is made where it is missing.
///
/// # Errors
/// A folder or a file that cannot be written.
pub fn run(dir: &Path, ctx: &Context) -> Result<Exit, Failure> {
    let dir = ctx.env.absolute(dir);
    write(&dir).map_err(|error| Failure::because(Exit::Failed, &error))?;
    Ok(Exit::Done)
}

#[expect(clippy::disallowed_methods, reason = "pages of the manual, in a folder that was named for them")]
fn write(dir: &Path) -> Result<(), PathError> {
    std::fs::create_dir_all(dir).at("make", dir)?;
    for page in manual::pages(&args::command()) {
        let path = dir.join(&page.name);
        std::fs::write(&path, &page.text).at("write", &path)?;
    }
    Ok(())
}
