use std::io::{self, Read, Write};

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;

#[test]
fn what_is_sealed_comes_back_with_its_digest() {
    let (to, with) = pair();
    for compression in EACH {
        for len in [0, 1, 100, 65_535, 65_536, 65_537, 131_072, 300_000] {
            for plain in [text(len), noise(len)] {
                let (sealed, what) = seal(&plain, &to, compression);
                assert_eq!(what.sha256, <[u8; 32]>::from(Sha256::digest(&sealed)));
                assert_eq!(what.ciphertext_len, sealed.len() as u64);
                let (back, opened) =
                    open(&sealed, &with, compression, PlainSize::Exactly(len as u64)).unwrap();
                assert!(back == plain, "{len} bytes, {compression:?}");
                assert_eq!(opened.sha256, what.sha256);
                assert_eq!((opened.ciphertext_len, opened.plain_len), (what.ciphertext_len, len as u64));
            }
        }
    }
}

#[test]
fn a_large_file_is_streamed_in_pieces_and_a_small_one_written_at_once() {
    /// Counts the writes.
    struct Counting(Vec<u8>, usize);
    impl Write for Counting {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend_from_slice(bytes);
            self.1 += 1;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (to, with) = pair();
    let plain = noise(9 << 20);
    let mut sealer = Sealer::new(&to, Compression::Zstd).unwrap();
    for (len, writes) in [(plain.len(), 8..12), (1 << 20, 1..2)] {
        let mut target = Counting(Vec::new(), 0);
        sealer.seal(&mut &plain[..len], len as u64, &mut target).unwrap();
        assert!(writes.contains(&target.1), "{} writes for {len} bytes", target.1);
        let (back, _) = open(&target.0, &with, Compression::Zstd, PlainSize::Exactly(len as u64)).unwrap();
        assert!(back == plain[..len]);
    }
}

#[test]
fn streaming_and_whole_files_give_the_same_inside() {
    let (to, with) = pair();
    let plain = text(3 << 20);
    for compression in EACH {
        let mut streamed = Vec::new();
        let mut sealer = Sealer::new(&to, compression).unwrap().streaming_above(1000);
        // The context is used again after a small file and after one that failed in the middle.
        sealer.seal(&mut &b"small"[..], 5, &mut Vec::new()).unwrap();
        sealer.seal(&mut &plain[..], plain.len() as u64 + 1, &mut Vec::new()).unwrap_err();
        sealer.seal(&mut &plain[..], plain.len() as u64, &mut streamed).unwrap();
        let (whole, _) = seal(&plain, &to, compression);
        let inside = |sealed: &[u8]| open(sealed, &with, Compression::None, PlainSize::Unknown).unwrap().0;
        let (streamed, whole) = (inside(&streamed), inside(&whole));
        let larger = streamed.len().max(whole.len()) as f64 / streamed.len().min(whole.len()) as f64;
        assert!(larger < 1.01, "{} and {} bytes", streamed.len(), whole.len());
    }
}

#[test]
fn each_file_is_compressed_as_its_size_asks_for_whatever_came_before_it() {
    let (to, with) = pair();
    let plain = text(600_000);
    let inside = |sealer: &mut Sealer, len: usize| {
        let mut sealed = Vec::new();
        sealer.seal(&mut &plain[..len], len as u64, &mut sealed).unwrap();
        open(&sealed, &with, Compression::None, PlainSize::Unknown).unwrap().0
    };
    let mut used = Sealer::new(&to, Compression::Zstd).unwrap();
    for (len, level) in [(600_000, 3), (20_000, 5), (262_145, 3), (262_144, 5)] {
        let packed = inside(&mut used, len);
        assert!(packed == inside(&mut Sealer::new(&to, Compression::Zstd).unwrap(), len), "{len}");
        let mut alone = zstd::bulk::Compressor::new(level).unwrap();
        alone.include_checksum(true).unwrap();
        assert!(packed == alone.compress(&plain[..len]).unwrap(), "{len} at {level}");
    }
}

#[test]
fn a_source_of_another_length_has_changed() {
    let (to, _) = pair();
    for compression in EACH {
        for whole in [1 << 20, 10] {
            let mut sealer = Sealer::new(&to, compression).unwrap().streaming_above(whole);
            let plain = text(200_000);
            for said in [0, 1, 199_999, 200_001, 400_000] {
                let error = sealer.seal(&mut &plain[..], said, &mut Vec::new()).unwrap_err();
                assert!(matches!(error, SealError::Changed), "{said}: {error}");
            }
            sealer.seal(&mut &plain[..], 200_000, &mut Vec::new()).unwrap();
        }
    }
}

/// Gives some bytes, then fails.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self.0.read(to)? {
            0 => Err(io::Error::from_raw_os_error(5)),
            count => Ok(count),
        }
    }
}

/// Takes some bytes, then is full.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::from_raw_os_error(28));
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn failures_of_the_disk_are_told_from_each_other() {
    let (to, with) = pair();
    let plain = noise(300_000);
    for compression in EACH {
        for whole in [1 << 20, 1000] {
            let mut sealer = Sealer::new(&to, compression).unwrap().streaming_above(whole);
            let error = sealer.seal(&mut Failing(&plain), 400_000, &mut Vec::new()).unwrap_err();
            assert!(
                matches!(&error, SealError::Source(inner) if inner.raw_os_error() == Some(5)),
                "{error:?}"
            );
            for room in [0, 10, 100_000] {
                let error = sealer.seal(&mut &plain[..], 300_000, &mut Full(room)).unwrap_err();
                assert!(
                    matches!(&error, SealError::Target(inner) if inner.raw_os_error() == Some(28)),
                    "{error:?}"
                );
            }
        }
        let (sealed, _) = seal(&plain, &to, compression);
        for read in [5, 300, 70_000, sealed.len()] {
            let error = with
                .unseal(&mut Failing(&sealed[..read]), compression, PlainSize::Unknown, &mut Vec::new())
                .unwrap_err();
            assert!(
                matches!(&error, UnsealError::Source(inner) if inner.raw_os_error() == Some(5)),
                "{read}: {error:?}"
            );
        }
        let error =
            with.unseal(&mut &sealed[..], compression, PlainSize::Unknown, &mut Full(1000)).unwrap_err();
        assert!(
            matches!(&error, UnsealError::Target(inner) if inner.raw_os_error() == Some(28)),
            "{error:?}"
        );
    }
}

#[test]
fn a_reader_that_is_interrupted_or_slow_changes_nothing() {
    struct Slow<'a>(&'a [u8], usize);
    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let most = to.len().min(self.1 % 1000 + 1);
            self.0.read(&mut to[..most])
        }
    }
    let (to, with) = pair();
    let plain = text(150_000);
    for compression in EACH {
        for whole in [1 << 20, 1000] {
            let mut sealed = Vec::new();
            let mut sealer = Sealer::new(&to, compression).unwrap().streaming_above(whole);
            let what = sealer.seal(&mut Slow(&plain, 0), 150_000, &mut sealed).unwrap();
            let mut back = Vec::new();
            let opened = with
                .unseal(&mut Slow(&sealed, 0), compression, PlainSize::Exactly(150_000), &mut back)
                .unwrap();
            assert!(back == plain && opened.sha256 == what.sha256);
        }
    }
}

#[test]
fn every_flipped_byte_and_every_truncation_of_a_small_file_is_an_error() {
    let (to, with) = pair();
    for compression in EACH {
        let (sealed, _) = seal(b"a short secret", &to, compression);
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1 << (at % 8);
            assert!(open(&bent, &with, compression, PlainSize::Unknown).is_err(), "byte {at}");
            let error = open(&sealed[..at], &with, compression, PlainSize::Unknown).unwrap_err();
            assert!(matches!(error, UnsealError::Truncated | UnsealError::Tampered), "{at}: {error}");
        }
    }
}

#[test]
fn each_reason_has_its_own_error() {
    let (to, with) = pair();
    let (_, other) = pair();
    let zstd = Compression::Zstd;
    let plain = text(1000);
    let (sealed, _) = seal(&plain, &to, zstd);
    let fails = |sealed: &[u8], with: &Identities, compression, size| {
        open(sealed, with, compression, size).unwrap_err()
    };
    let any = PlainSize::Unknown;

    assert!(matches!(fails(&sealed, &Identities::new(), zstd, any), UnsealError::NoIdentity));
    assert!(matches!(fails(&sealed, &other, zstd, any), UnsealError::WrongKey));
    assert!(matches!(fails(&plain, &with, zstd, any), UnsealError::NotAge));
    assert!(matches!(fails(b"", &with, zstd, any), UnsealError::Truncated));
    assert!(matches!(fails(b"age-encryption.org/v7\n", &with, zstd, any), UnsealError::AgeVersion));
    assert!(matches!(fails(&sealed[..100], &with, zstd, any), UnsealError::Truncated));

    // Inside the authenticated payload.
    let wrap = |inside: &[u8]| seal(inside, &to, Compression::None).0;
    let inside = open(&sealed, &with, Compression::None, any).unwrap().0;
    assert_eq!(open(&wrap(&inside), &with, zstd, any).unwrap().0, plain);
    assert!(matches!(fails(&wrap(&plain), &with, zstd, any), UnsealError::Corrupt(_)));
    assert!(matches!(fails(&wrap(b""), &with, zstd, any), UnsealError::Corrupt(_)));
    assert!(matches!(fails(&wrap(&inside[..inside.len() - 1]), &with, zstd, any), UnsealError::Corrupt(_)));
    let mut bad_checksum = inside.clone();
    *bad_checksum.last_mut().unwrap() ^= 1;
    assert!(matches!(fails(&wrap(&bad_checksum), &with, zstd, any), UnsealError::Corrupt(_)));
    assert!(matches!(
        fails(&wrap(&[&inside[..], b"garbage"].concat()), &with, zstd, any),
        UnsealError::Trailing
    ));
    // As `zstd -d` does, frames after each other are one file.
    assert_eq!(open(&wrap(&inside.repeat(2)), &with, zstd, any).unwrap().0, plain.repeat(2));

    // Garbage after the end: after a chunk that is full and after one that is not.
    assert!(matches!(fails(&[&sealed[..], b"x"].concat(), &with, zstd, any), UnsealError::Tampered));
    let full = seal(&noise(65_536), &to, Compression::None).0;
    assert!(open(&full, &with, Compression::None, any).is_ok());
    for tail in [&b"x"[..], &[0; 70_000]] {
        assert!(open(&[&full[..], tail].concat(), &with, Compression::None, any).is_err());
    }
    // A whole chunk missing at the end.
    let chunks = seal(&noise(65_536 * 2 + 5), &to, Compression::None).0;
    let boundary = chunks.len() - (5 + 16);
    assert!(matches!(fails(&chunks[..boundary], &with, Compression::None, any), UnsealError::Truncated));

    // A passphrase, and sizes.
    let locked = key::protect_with_work(b"x", SecretString::from("p"), 2);
    assert!(matches!(fails(&locked, &with, Compression::None, any), UnsealError::Passphrase));
    assert!(matches!(
        fails(&sealed, &with, zstd, PlainSize::Exactly(999)),
        UnsealError::TooLarge { limit: 999 }
    ));
    assert!(matches!(
        fails(&sealed, &with, zstd, PlainSize::Exactly(1001)),
        UnsealError::WrongSize { expected: 1001, found: 1000 }
    ));
}

#[test]
fn a_bomb_is_stopped() {
    let (to, with) = pair();
    let mut sealed = Vec::new();
    let size = 200u64 << 20;
    Sealer::new(&to, Compression::Zstd)
        .unwrap()
        .seal(&mut io::repeat(0).take(size), size, &mut sealed)
        .unwrap();
    assert!(sealed.len() < 100_000);
    let run = |size| with.unseal(&mut &sealed[..], Compression::Zstd, size, &mut io::sink());
    assert!(matches!(run(PlainSize::Unknown), Err(UnsealError::TooLarge { .. })));
    assert!(matches!(run(PlainSize::Exactly(1000)), Err(UnsealError::TooLarge { limit: 1000 })));
    assert_eq!(run(PlainSize::Vouched(size)).unwrap().plain_len, size);
}

#[test]
fn a_frame_that_wants_much_memory_is_refused() {
    let (to, with) = pair();
    // RFC 8878: magic, descriptor without content size, window descriptor (exponent << 3), one
    // empty last block.
    let frame = |window_log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3, 1, 0, 0];
    let run = |window_log| {
        open(
            &seal(&frame(window_log), &to, Compression::None).0,
            &with,
            Compression::Zstd,
            PlainSize::Unknown,
        )
    };
    assert!(run(27).is_ok());
    assert!(matches!(run(28), Err(UnsealError::Corrupt(_))));
}

#[test]
fn any_of_several_recipients_opens_it() {
    let keys: Vec<_> = (0..3).map(|_| key::generate(now())).collect();
    let to = Recipients::parse(keys.iter().map(|key| (&*key.recipient, Plugins::Refused))).unwrap();
    let (sealed, _) = seal(b"x", &to, Compression::Zstd);
    for key in &keys {
        let mut with = Identities::new();
        // A key that does not fit comes first.
        with.add(&key::generate(now()).content, Path::new("a"), &nobody()).unwrap();
        with.add(&key.content, Path::new("b"), &nobody()).unwrap();
        assert_eq!(open(&sealed, &with, Compression::Zstd, PlainSize::Exactly(1)).unwrap().0, b"x");
    }
}

#[test]
fn workers_have_what_they_need() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync + Clone>() {}
    fn lent<T: Send + Sync>() {}
    sent::<Sealer>();
    shared::<Recipients>();
    lent::<Identities>();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_come_back(
        seed in proptest::collection::vec(any::<u8>(), 0..2000),
        times in 1usize..120,
        none in any::<bool>(),
        whole in prop_oneof![Just(0u64), Just(5000), Just(1 << 20)],
    ) {
        let (to, with) = pair();
        let compression = if none { Compression::None } else { Compression::Zstd };
        let plain = seed.repeat(times);
        let mut sealed = Vec::new();
        let mut sealer = Sealer::new(&to, compression).unwrap().streaming_above(whole);
        sealer.seal(&mut &plain[..], plain.len() as u64, &mut sealed).unwrap();
        let (back, what) = open(&sealed, &with, compression, PlainSize::Exactly(plain.len() as u64)).unwrap();
        prop_assert!(back == plain);
        prop_assert_eq!(what.sha256, <[u8; 32]>::from(Sha256::digest(&sealed)));
    }

    #[test]
    fn no_change_is_silent(
        len in prop_oneof![0usize..3000, 65_000usize..66_200, 131_000usize..131_200],
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
        none in any::<bool>(),
        tail in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        let (to, with) = pair();
        let compression = if none { Compression::None } else { Compression::Zstd };
        let (sealed, _) = seal(&noise(len), &to, compression);
        let at = at.index(sealed.len());
        let mut bent = sealed.clone();
        bent[at] ^= 1 << bit;
        prop_assert!(open(&bent, &with, compression, PlainSize::Unknown).is_err(), "flip at {}", at);
        prop_assert!(open(&sealed[..at], &with, compression, PlainSize::Unknown).is_err(), "cut at {}", at);
        let longer = [&sealed[..], &tail].concat();
        prop_assert!(open(&longer, &with, compression, PlainSize::Unknown).is_err(), "tail of {}", tail.len());
    }

    #[test]
    fn no_input_makes_it_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..400),
        prefix in 0usize..3,
    ) {
        let (_, with) = pair();
        let head: &[u8] = [&b""[..], b"age-encryption.org/v1\n", b"age-encryption.org/v1\n-> X25519 "][prefix];
        bytes.splice(0..0, head.iter().copied());
        prop_assert!(open(&bytes, &with, Compression::Zstd, PlainSize::Unknown).is_err());
    }
}

#[test]
fn a_size_that_anybody_could_have_written_allows_no_more_than_none() {
    let (to, with) = pair();
    let plain = vec![0; 96 << 20];
    let size = plain.len() as u64;
    let (sealed, _) = seal(&plain, &to, Compression::Zstd);
    for size in [PlainSize::Exactly(size), PlainSize::Unknown] {
        let error = open(&sealed, &with, Compression::Zstd, size).unwrap_err();
        assert!(matches!(error, UnsealError::TooLarge { .. }), "{size:?}: {error}");
    }
    assert!(open(&sealed, &with, Compression::Zstd, PlainSize::Vouched(size)).unwrap().0 == plain);
}

#[test]
fn a_header_without_end_is_not_read_to_its_end() {
    let (_, with) = pair();
    let stanza = b"-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\nEmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U\n";
    for part in [&stanza[..], b"-> X25519 ", b"a"] {
        let start = b"age-encryption.org/v1\n".to_vec();
        let mut source = io::Read::chain(&start[..], Endless(part, 0));
        let error =
            with.unseal(&mut source, Compression::Zstd, PlainSize::Unknown, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, UnsealError::LongHeader), "{error}");
    }
}

/// The same bytes again and again.
struct Endless<'a>(&'a [u8], usize);

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for byte in buffer.iter_mut() {
            *byte = self.0[self.1 % self.0.len()];
            self.1 += 1;
        }
        Ok(buffer.len())
    }
}
