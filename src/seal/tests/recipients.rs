use super::super::recipients::{Family, Plugins, Recipient, RecipientError, Recipients};
use super::*;

pub(crate) const X25519: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
pub(crate) const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";
const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDE7nIXTGNuaRBN9toI/wNALuQec8mvlt0iJ7o3OaD2UvoKHJ7S8rmIn4FiQDUed/Vac3OhUibei1k+TBmm16u2Rj3klgWZOIDgi8d4vXKI5N3YBhxr3jsQ+kz1c+iZ4z/tTtz306+4K46XViVMWwyyg9j82Jn41mOAy9vdeDIfQ5fLeaGqn5KwlT61GNkZ+ozWK/ZNlQIlNCcoXxhJULIs9XrtczWyVBAea1nlDo0WHODePxoJjmsNHrpQXn5mf9O83xs10qfTUjnRUt48jRmedFy4tcra3QGmSTQ3KZne+wXXSb0cIpXLGvZjQSPHgG1hc4r3uBpiSzvesGLv79XL alice@rust";
const TAG: &str = "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e";

fn refused(text: &str) -> RecipientError {
    Recipient::parse(text, Plugins::Refused).unwrap_err()
}

/// A valid Bech32 text (BIP 173) with this human-readable part.
pub(crate) fn bech32(hrp: &str, data: &[u8]) -> String {
    const CHARSET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    fn polymod(values: impl IntoIterator<Item = u8>) -> u32 {
        values.into_iter().fold(1u32, |sum, value| {
            let top = sum >> 25;
            let sum = ((sum & 0x01ff_ffff) << 5) ^ u32::from(value);
            [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3u32]
                .iter()
                .enumerate()
                .filter(|(bit, _)| top >> bit & 1 == 1)
                .fold(sum, |sum, (_, generator)| sum ^ generator)
        })
    }
    let mut expanded: Vec<u8> = hrp.bytes().map(|b| b >> 5).collect();
    expanded.push(0);
    expanded.extend(hrp.bytes().map(|b| b & 31));
    expanded.extend_from_slice(data);
    expanded.extend([0; 6]);
    let sum = polymod(expanded) ^ 1;
    let check = (0..6).map(|at| u8::try_from(sum >> (5 * (5 - at)) & 31).unwrap());
    let tail: String =
        data.iter().copied().chain(check).map(|value| CHARSET[usize::from(value)] as char).collect();
    format!("{hrp}1{tail}")
}

/// A recipient nobody has the key of: an ML-KEM-768 key whose coefficients are all zero (1184 bytes),
/// then the base point of P-256, uncompressed (FIPS 203, SEC 2).
pub(crate) fn tagged_post_quantum() -> String {
    const BASE: &str = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                        4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    let bytes = [&[0; 1184][..], &hex::decode(BASE).unwrap()].concat();
    bech32("age1tagpq", &in_fives(&bytes))
}

/// Bytes in groups of five bits, the last one filled with zeros.
fn in_fives(bytes: &[u8]) -> Vec<u8> {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    (0..bytes.len() * 8).step_by(5).map(|at| (at..at + 5).fold(0, |group, at| group << 1 | bit(at))).collect()
}

#[test]
fn every_supported_form_is_read_and_can_be_sealed_to() {
    for text in [X25519, ED25519, RSA, TAG, &format!("  {X25519}\n"), &format!("{ED25519} ann@host")] {
        let one = Recipient::parse(text, Plugins::Refused).unwrap();
        assert_eq!(one.family(), Family::Classic);
        let printed = one.to_string();
        assert!(text.contains(&printed), "{printed}");
        let (sealed, _) = seal(b"x", &Recipients::new([one]).unwrap(), Compression::Zstd);
        assert!(sealed.starts_with(b"age-encryption.org/v1\n"));
    }
}

#[test]
fn refusals_have_reasons() {
    assert_eq!(refused("correct horse battery staple"), RecipientError::NotARecipient);
    assert_eq!(refused(""), RecipientError::NotARecipient);
    assert_eq!(refused("~/.ssh/id_ed25519.pub"), RecipientError::Path);
    assert!(refused("secret").to_string().contains("passphrase"));
    assert_eq!(
        refused("AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33"),
        RecipientError::SecretKey
    );
    assert_eq!(refused("-----BEGIN OPENSSH PRIVATE KEY-----"), RecipientError::SecretKey);
    assert_eq!(refused(&X25519[..50]), RecipientError::Malformed);
    assert_eq!(refused(&X25519.replace('q', "p")), RecipientError::Malformed);
    assert_eq!(refused("ssh-ed25519 AAAA"), RecipientError::MalformedSsh);
    assert_eq!(refused("ssh-ed25519"), RecipientError::MalformedSsh);
    let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwe";
    assert_eq!(refused(ecdsa), RecipientError::SshType("ecdsa-sha2-nistp256".into()));
}

#[test]
fn native_post_quantum_is_refused_with_the_plugin_that_would_do_it() {
    for plugins in [Plugins::Refused, Plugins::Allowed] {
        let error = Recipient::parse(&bech32("age1pq", &[7; 40]), plugins).unwrap_err();
        assert_eq!(error, RecipientError::NativePostQuantum);
        assert!(error.to_string().contains("age-plugin-pq"));
    }
}

#[test]
fn plugins_are_for_system_and_managed_layers() {
    let text = bech32("age1yubikey", &[3; 20]);
    assert_eq!(refused(&text), RecipientError::PluginRefused("yubikey".into()));
    let one = Recipient::parse(&text, Plugins::Allowed).unwrap();
    assert_eq!((one.family(), one.to_string()), (Family::Plugin, text));
    // Not installed: said when the sealer is made, before any file is touched.
    let missing = Recipient::parse(&bech32("age1ccretain-nowhere", &[3; 20]), Plugins::Allowed).unwrap();
    let error = Sealer::new(&Recipients::new([missing]).unwrap(), Compression::Zstd).err().unwrap();
    assert!(matches!(
        error,
        SealError::Recipients(RecipientError::PluginMissing(name)) if name == "ccretain-nowhere"
    ));
}

#[test]
fn a_plugin_name_cannot_lead_elsewhere() {
    for name in ["../../bin/sh", "a/b", "..", "-x", ".hidden", "a\\b", "a:b", "a b"] {
        let text = bech32(&format!("age1{name}"), &[3; 20]);
        let error = Recipient::parse(&text, Plugins::Allowed).unwrap_err();
        assert!(matches!(error, RecipientError::PluginName(_)), "{name}: {error}");
    }
}

#[test]
fn classic_and_post_quantum_are_not_mixed() {
    let classic = Recipient::parse(X25519, Plugins::Refused).unwrap();
    let post_quantum = Recipient::parse(&tagged_post_quantum(), Plugins::Refused).unwrap();
    assert_eq!(post_quantum.family(), Family::PostQuantum);
    assert!(!classic.mixes_with(&post_quantum) && post_quantum.mixes_with(&post_quantum));
    let both = Recipients::new([classic.clone(), post_quantum.clone()]);
    assert_eq!(both.unwrap_err(), RecipientError::Mixed);
    // Alone it seals.
    seal(b"x", &Recipients::new([post_quantum]).unwrap(), Compression::Zstd);
    assert_eq!(Recipients::new([]).unwrap_err(), RecipientError::None);
    assert_eq!(Recipients::new([classic.clone(), classic]).unwrap().iter().count(), 1);
}

#[test]
fn the_position_of_a_bad_text_is_told_and_never_the_text() {
    let texts = [(X25519, Plugins::Refused), ("hunter2", Plugins::Allowed)];
    let (at, error) = Recipients::parse(texts).unwrap_err();
    assert_eq!(at, 1);
    assert!(!error.to_string().contains("hunter2"));
    assert!(!refused("AGE-SECRET-KEY-1XYZ").to_string().contains("XYZ"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,80}", start in 0usize..6) {
        let head = ["", "age1", "age1tag1", "ssh-rsa ", "ssh-ed25519 AAAA", "AGE-"][start];
        let _ = Recipient::parse(&format!("{head}{text}"), Plugins::Allowed);
    }
}
