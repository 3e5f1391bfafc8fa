//! What `check` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::check::Severity;
use crate::cli::context::Exit;
use crate::period::Period;

/// The arguments of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Make stores private (chmod go-rwx); nothing else is changed.
    #[arg(long)]
    pub fix: bool,
    /// Print what Claude Code sends from this machine, by service and provider, and what servers keep of it.
    ///
    /// For each service: the provider, its default, what is set here, and by which settings file or
    /// variable. -v also shows the providers that are not in use. Nothing is judged.
    #[arg(long, conflicts_with_all = ["fix", "format", "output"])]
    pub services: bool,
    /// What is printed.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Whose exit codes are used.
    #[arg(long, value_enum, default_value_t, value_name = "STYLE")]
    pub exit_style: Style,
    /// Lowest severity that counts as non-compliant.
    #[arg(long, value_enum, default_value_t = Severity::Medium, value_name = "SEVERITY")]
    pub fail_on: Severity,
    /// How long something may be due before it is overdue.
    #[arg(long, default_value = "1d", value_name = "PERIOD")]
    pub grace: Period,
    /// Write to this file, in one step, instead of to stdout.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// The value of a Jamf Pro extension attribute.
    Jamf,
    /// Figures for Prometheus.
    Prometheus,
    /// Rows for osquery: JSON, and with --output a SQLite file.
    Osquery,
}

/// Whose exit codes are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Style {
    /// 0 is compliant, 3 is not.
    #[default]
    Plain,
    /// 0 is compliant, 1 asks for remediation; nothing goes to stderr.
    ///
    /// A remediation's detection script that ends with 1 starts the remediation script; output on
    /// stderr counts as an error of the script (Microsoft Intune, "Remediations").
    Intune,
    /// 0 asks for installation, 1 is compliant.
    ///
    /// An `installcheck_script` that ends with 0 says that something must be installed, anything else
    /// that nothing must be (Munki wiki, "How Munki Decides What Needs To Be Installed").
    Munki,
}

impl Style {
    /// The code of an end; what could not be checked asks for action as well.
    pub fn exit(self, exit: Exit) -> Exit {
        let is_well = exit == Exit::Done;
        match self {
            Self::Plain => exit,
            Self::Intune => Exit::Style(u8::from(!is_well)),
            Self::Munki => Exit::Style(u8::from(is_well)),
        }
    }
}
