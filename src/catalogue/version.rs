//! Versions of Claude Code, as its records carry them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A version of Claude Code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(u16, u16, u16);

/// The newest version that the rows of the catalogue were tried with.
pub const NEWEST_TRIED: Version = Version(2, 1, 332);

impl Version {
    /// Whether the catalogue was never tried with it, so that it may leave things under names that are not known.
    pub fn is_untried(self) -> bool {
        self > NEWEST_TRIED
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// A text that is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a version of Claude Code")]
pub struct NoVersion;

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        // What follows a dash names a build of the version.
        let (numbers, _) = text.split_once(['-', '+']).unwrap_or((text, ""));
        let mut numbers = numbers.split('.').map(|number| number.parse().map_err(|_| NoVersion));
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(major), Some(minor), Some(patch), None) => Ok(Self(major?, minor?, patch?)),
            _ => Err(NoVersion),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let of = |text: &str| text.parse::<Version>().unwrap();
        assert!(of("2.1.1000") > of("2.1.332") && of("2.2.0") > of("2.1.332") && of("10.0.0") > of("9.9.9"));
        assert_eq!(of("2.1.332-beta.1"), NEWEST_TRIED);
        assert!(!of("2.1.332").is_untried() && of("2.1.333").is_untried());
        assert_eq!(of("2.1.332").to_string(), "2.1.332");
        for text in ["", "2", "2.1", "2.1.x", "2.1.3.4", "2.1.-3", "2.1.99999", "v2.1.332"] {
            assert_eq!(text.parse::<Version>(), Err(NoVersion), "{text}");
        }
    }
}
