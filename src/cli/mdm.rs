//! `ccretain mdm`: writes the kit for device management into a folder.

use std::path::Path;

use super::{Context, Exit, Failure};
use crate::error::{At as _, PathError};
use crate::files;
use crate::kit::{self, File};

/// Writes the kit for the policy that `--policy` names, else for one that only reports.
///
/// # Errors
/// What is no policy (2); a folder or a file that cannot be written.
pub fn run(dir: &Path, ctx: &Context) -> Result<Exit, Failure> {
    let policy = match &ctx.global.policy {
        Some(path) => {
            let path = ctx.env.absolute(path);
            let read = files::open(&path).and_then(|file| files::contents(&file, files::DOCUMENT));
            read.at("read policy", &path).map_err(|error| Failure::because(Exit::Usage, &error))?
        }
        None => kit::START.into(),
    };
    let files = kit::files(&policy).map_err(|error| Failure::because(Exit::Usage, &error))?;
    write(&ctx.env.absolute(dir), &files).map_err(|error| Failure::because(Exit::Failed, &error))?;
    Ok(Exit::Done)
}

#[expect(clippy::disallowed_methods, reason = "files of the kit, in a folder that was named for them")]
fn write(dir: &Path, files: &[File]) -> Result<(), PathError> {
    for file in files {
        let path = dir.join(&file.name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).at("make", folder)?;
        }
        std::fs::write(&path, &file.text).at("write", &path)?;
        #[cfg(unix)]
        if file.is_script {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).at("mark", &path)?;
        }
    }
    Ok(())
}
