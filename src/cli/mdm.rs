//! `ccretain mdm`: writes the kit for device management into a folder.

use std::path::Path;

use super::context::{Context, Exit, Failure};
use crate::error::{At as _, PathError};
use crate::escape::shown;
use crate::files;
use crate::kit::{self, File};
use crate::policy::check::judge;
use crate::policy::compile::Globs;
use crate::policy::{Layer, Mode};

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
    // A kit is for the managed layer, which forbids more than others do.
    let place = ctx
        .global
        .policy
        .as_ref()
        .map_or_else(|| "managed-policy.json".into(), |path| ctx.env.absolute(path));
    if let Err(problems) = judge(&place, &policy, Layer::Managed, Globs::new(&ctx.env)) {
        let message =
            format!("'{}' is not valid as a managed policy: {}", shown(&place), problems.join("; "));
        return Err(Failure::new(Exit::Usage, message).hint(format!(
            "`ccretain policy check --as managed '{}'` shows each mistake with its line",
            shown(&place)
        )));
    }
    let files = kit::files(&policy).map_err(|error| Failure::because(Exit::Usage, &error))?;
    let dir = ctx.env.absolute(dir);
    write(&dir, &files)?;
    let written: String = files.iter().map(|file| format!("{}\n", shown(&dir.join(&file.name)))).collect();
    ctx.console.sentences(&written)?;
    if mode_of(&policy) == Mode::Enforce {
        ctx.console.sentences(
            "this policy is in mode \"enforce\": machines delete at their first run; \"mode\": \"audit\" only reports\n",
        )?;
    }
    Ok(Exit::Done)
}

/// What a policy of its own does; without a mode it enforces.
fn mode_of(policy: &[u8]) -> Mode {
    let settings = serde_json::from_slice::<serde_json::Value>(policy).unwrap_or_default();
    if settings["mode"] == "audit" { Mode::Audit } else { Mode::Enforce }
}

fn write(dir: &Path, files: &[File]) -> Result<(), PathError> {
    for file in files {
        let path = dir.join(&file.name);
        if let Some(folder) = path.parent() {
            files::named_dir(folder)?;
        }
        files::replace_named(&path, file.text.as_bytes())?;
        #[cfg(unix)]
        if file.is_script {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).at("mark", &path)?;
        }
    }
    Ok(())
}
