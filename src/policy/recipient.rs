//! What may stand in `recipients`: whatever can be sealed to, judged by the room that seals, so
//! that a policy that loads does not fail at the first session.

use crate::seal::{Plugins, Recipient};

pub use crate::seal::{Family, RecipientError};

/// Checks that a recipient can be sealed to and says what it can be mixed with. Which layers may
/// name plugins is not asked here.
///
/// # Errors
/// Anything age cannot encrypt to, with the reason, which never repeats the text.
pub fn check(text: &str) -> Result<Family, RecipientError> {
    Recipient::parse(text, Plugins::Allowed).map(|recipient| recipient.family())
}

/// The part of a recipient that says who it is, so that comments do not make two of one.
pub fn essence(text: &str) -> String {
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::policy) use crate::seal::tests::recipients::{
        ED25519 as SSH, X25519, bech32, tagged_post_quantum,
    };

    /// The recipient of a plugin.
    pub(in crate::policy) fn of_plugin(name: &str) -> String {
        bech32(&format!("age1{name}"), &[0; 53])
    }

    #[test]
    fn what_can_be_sealed_to_has_a_family() {
        assert_eq!(check(X25519), Ok(Family::Classic));
        assert_eq!(check(&format!("{SSH} ann@desk")), Ok(Family::Classic));
        assert_eq!(check(&tagged_post_quantum()), Ok(Family::PostQuantum));
        assert_eq!(check(&of_plugin("yubikey")), Ok(Family::Plugin));
    }

    #[test]
    fn a_key_that_is_well_written_and_on_no_curve_is_refused() {
        for text in [bech32("age1tag", &[0; 53]), bech32("age1tagpq", &[0; 1999])] {
            assert_eq!(check(&text), Err(RecipientError::Malformed));
        }
    }

    #[test]
    fn a_comment_makes_no_second_recipient() {
        assert_eq!(essence(&format!("{SSH} ann@desk")), essence(SSH));
    }
}
