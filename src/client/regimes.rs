//! The rules of an organisation under which Claude Code treats sessions, as far as its own cache of them says.
//!
//! `policy-limits.json` in the config folder lists them as `compliance_taints`. Even a cache that Claude Code no longer
//! vouches for goes on denying by them (read in 2.1.332). It is the user's file, so it foretells and never decides.

use serde::Deserialize;
use serde_json::Value;

use super::{ClientPlaces, ClientSettings};
use crate::files::Document;

/// The name of the cache, in the config folder.
const CACHE: &str = "policy-limits.json";

/// Rules that change what Claude Code itself deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Regime {
    /// Those of HIPAA.
    Hipaa,
    /// Those of zero data retention.
    ZeroRetention,
}

impl Regime {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hipaa => "HIPAA",
            Self::ZeroRetention => "zero data retention",
        }
    }

    fn of(word: &str) -> Option<Self> {
        match word {
            "hipaa" => Some(Self::Hipaa),
            "zdr" => Some(Self::ZeroRetention),
            _ => None,
        }
    }
}

/// What is read of the cache.
#[derive(Deserialize)]
struct Limits {
    #[serde(default)]
    compliance_taints: Value,
}

/// The regimes that the cache of the config folder in force names; none where it cannot be read.
pub(super) fn read(places: &ClientPlaces) -> Vec<Regime> {
    let document = places.config_dirs.first().and_then(|dir| Document::open(&dir.join(CACHE)).ok().flatten());
    let limits = document.and_then(|document| serde_json::from_slice::<Limits>(&document).ok());
    let words = limits.as_ref().and_then(|limits| limits.compliance_taints.as_array());
    let mut regimes: Vec<Regime> = words
        .into_iter()
        .flatten()
        .filter_map(|word| Regime::of(&word.as_str()?.trim().to_ascii_lowercase()))
        .collect();
    regimes.sort_unstable();
    regimes.dedup();
    regimes
}

impl ClientSettings {
    /// What the regimes change, for people.
    pub(super) fn regime_remark(&self) -> Option<String> {
        let names: Vec<&str> = self.regimes.iter().map(|regime| regime.name()).collect();
        (!names.is_empty()).then(|| {
            format!(
                "Claude Code's cache '{CACHE}' names {} rules of the organisation: its own cleanup then also removes \
                 sessions of the desktop application",
                names.join(" and ")
            )
        })
    }
}
