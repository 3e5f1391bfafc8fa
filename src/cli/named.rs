//! Files that the caller names: metrics, pages and reports.

use std::path::Path;

use super::context::{Context, Exit, Failure};
use crate::files;
use crate::run::outputs;

/// Puts a file in place in one step: what was there is replaced, unless somebody else lives by it.
///
/// # Errors
/// Exit 1: something else has the name, or it cannot be written; what was there is whole then.
pub(super) fn put(path: &Path, content: &[u8], ctx: &Context) -> Result<(), Failure> {
    let path = ctx.env.absolute(path);
    outputs::judge(&path, &ctx.env, &[])
        .map_err(|taken| Failure::because(Exit::Failed, &taken).hint("name another file"))?;
    Ok(files::replace_named(&path, content)?)
}
