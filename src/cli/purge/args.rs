//! What may be typed after `purge`.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};

use crate::cli::context::{Context, Exit, Failure};
use crate::cli::moment::moment;
use crate::purge::certificate::{FileError, Files, Signing};
use crate::run::outputs;
use crate::run::purge::Request;

/// What `purge` takes.
#[derive(Debug, Clone, Args)]
pub struct PurgeArgs {
    /// Only say what would go.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(short, long, conflicts_with = "dry_run")]
    pub yes: bool,
    /// Only sessions of projects that match this glob (repeatable).
    #[arg(long = "project", value_name = "GLOB")]
    pub projects: Vec<String>,
    /// Only this session (its id, or 8 or more of its first characters).
    #[arg(long, value_name = "ID", conflicts_with_all = ["projects", "before"])]
    pub session: Option<String>,
    /// Only what was last active before this time (2026-01-31 or 2026-01-31T12:00:00Z).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub before: Option<DateTime<Utc>>,
    /// Remove these too (separated by commas).
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CLASS")]
    pub with: Vec<With>,
    /// Keep unrecognised files that match, by their path in the store (repeatable): each is listed, and is no
    /// reason to call the purge incomplete.
    #[arg(long, value_name = "GLOB")]
    pub except: Vec<String>,
    /// Do not stop for a client that is running; its locks and keys stay.
    #[arg(long)]
    pub even_live: bool,
    /// Break the user's own holds, for this reason; root breaks all, and the organisation's floors.
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub break_holds: Option<String>,
    /// Write the certificate: FILE.json, FILE.html or FILE.txt (repeatable).
    #[arg(long, value_name = "FILE")]
    pub certificate: Vec<PathBuf>,
    /// Sign the certificate with this SSH key (`ssh-keygen -Y sign`).
    #[arg(long, value_name = "KEY", requires = "certificate")]
    pub sign: Option<PathBuf>,
}

/// What a purge takes only when told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum With {
    /// Tokens of Claude Code's account.
    Credentials,
    /// What the user wrote or installed, and Claude Code's own state.
    Settings,
    /// Notes Claude Code keeps about the user and the projects.
    Memory,
    /// Files that the catalogue does not know.
    Unrecognised,
    /// The key that opens sealed files, once nothing sealed is left.
    Identity,
}

impl PurgeArgs {
    /// What a run and its certificate need of it.
    pub(in crate::cli) fn request(&self) -> Request {
        let mut classes = self.with.clone();
        classes.sort();
        classes.dedup();
        let words = classes.iter().filter_map(With::to_possible_value);
        Request {
            projects: self.projects.clone(),
            session: self.session.clone(),
            before: self.before,
            except: self.except.clone(),
            with: words.map(|value| value.get_name().to_owned()).collect(),
            destroys_identity: self.with.contains(&With::Identity),
            even_live: self.even_live,
            break_holds: self.break_holds.clone(),
            certifies: !self.certificate.is_empty(),
        }
    }

    /// The files of the certificate, proven to be writable outside of these roots, and signed, before anything is
    /// touched; `None` where none is wanted.
    ///
    /// # Errors
    /// Exit 2 for what is wrong in itself, 4 where the system says no; nothing was changed.
    pub(in crate::cli) fn files(&self, ctx: &Context, roots: &[PathBuf]) -> Result<Option<Files>, Failure> {
        // A dry run does nothing that could be certified.
        if self.dry_run || self.certificate.is_empty() {
            return Ok(None);
        }
        let paths: Vec<PathBuf> = self.certificate.iter().map(|path| ctx.env.absolute(path)).collect();
        let sign = |key: &PathBuf| Signing::prepare(&ctx.env.absolute(key), ctx.env.variable("PATH"));
        let signing = self.sign.as_ref().map(sign).transpose();
        let signing = signing.map_err(|error| Failure::because(Exit::Usage, &error))?;
        let files = Files::prepare(&paths, signing).map_err(|error| not_there(&error))?;
        let judged = files.paths().try_for_each(|path| outputs::judge(path, &ctx.env, roots));
        judged.map_err(|taken| {
            unchanged(Failure::because(Exit::Usage, &taken).hint("name a file in another folder"))
        })?;
        Ok(Some(files))
    }
}

/// Reserves the files of a certificate once a purge has been consented to.
///
/// # Errors
/// Exit 4 where the system says no; nothing was changed.
pub(in crate::cli) fn reserve(files: &mut Option<Files>) -> Result<(), Failure> {
    files.as_mut().map_or(Ok(()), Files::reserve).map_err(|error| not_there(&error))
}

fn not_there(error: &FileError) -> Failure {
    unchanged(Failure::because(if error.is_usage() { Exit::Usage } else { Exit::Refused }, error))
}

fn unchanged(failure: Failure) -> Failure {
    Failure { message: format!("nothing was changed: {}", failure.message), ..failure }
}
