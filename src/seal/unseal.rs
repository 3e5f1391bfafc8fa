//! From a sealed file back to plain bytes.

use std::io::{self, BufRead as _, BufReader, Read, Write};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

use super::Compression;
use super::identities::Identities;
use super::tally::{HashingReader, SourceFailed};

/// How every age file begins, <https://c2sp.org/age>.
const MAGIC: &[u8] = b"age-encryption.org/";

/// How the last line of a header begins, <https://c2sp.org/age>.
const END: &[u8] = b"\n---";

/// A header of more bytes is none: each stanza costs a key agreement, and a line may go on for ever.
const LONGEST_HEADER: usize = 64 << 10;

/// How much of a header is read at once, in bytes.
const PIECE: u64 = 4 << 10;

/// The largest window a frame may ask for, as a power of two: what `zstd -d` takes when nobody says otherwise.
// It bounds the memory; our own frames need 2 MiB.
const WINDOW_LOG_MAX: u32 = 27;

/// How much is read and how much is unpacked at once: an age chunk, a zstd block.
const READ: usize = 64 << 10;
const BLOCK: usize = 128 << 10;

/// Without a known size, this many bytes may come out of anything …
const FREE: u64 = 64 << 20;

/// … and beyond them this many bytes for each byte that went in.
// Text shrinks to a tenth, a file of zeros to less than this.
const RATIO: u64 = 1000;

/// What is known of the size of a file before it is unpacked; a sealed file can be made by
/// anybody who knows the public key, so nothing may unpack without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainSize {
    /// It is this, as `session.json` says; anything else is an error. Anybody can write that file, so no more
    /// comes out than where nothing is known.
    Exactly(u64),
    /// It is this, and this program sealed that very file.
    Vouched(u64),
    /// Nothing: 64 MiB, or a thousand times the length of what was packed.
    #[cfg_attr(not(any(test, fuzzing)), expect(dead_code, reason = "files of others are opened in tests"))]
    Unknown,
}

/// What came out of a sealed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsealed {
    /// SHA-256 of the sealed file, to be compared with `session.json` and the ledger: that a file
    /// opens does not mean that we made it.
    pub sha256: [u8; 32],
    /// The length of the sealed file in bytes.
    pub ciphertext_len: u64,
    /// The length of the file that came out, in bytes.
    pub plain_len: u64,
}

/// Why a sealed file was not opened; what was written until then must not be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnsealError {
    /// There is no private key to try.
    #[error("no identity to open it with")]
    NoIdentity,
    /// None of the private keys fits.
    #[error("none of the identities opens it")]
    WrongKey,
    /// It was sealed with a passphrase, which this program never does.
    #[error("it is encrypted with a passphrase, not to a recipient")]
    Passphrase,
    /// It is something else altogether.
    #[error("it is not an age file")]
    NotAge,
    /// It is an age file of a version that is not known.
    #[error("it is an age file of an unknown version")]
    AgeVersion,
    /// It has a header of more than 64 KiB, which no file of ours has.
    #[error("its header is longer than 64 KiB")]
    LongHeader,
    /// It ends too early.
    #[error("it is truncated")]
    Truncated,
    /// The bytes do not authenticate.
    #[error("it does not authenticate: it was altered, cut off or added to")]
    Tampered,
    /// There are bytes after the end.
    #[error("there is something after its end")]
    Trailing,
    /// The inside is no complete zstd frame, or its checksum is wrong.
    #[error("its compressed inside is damaged")]
    Corrupt(#[source] io::Error),
    /// The file that comes out is larger than it may be.
    #[error("it unpacks to more than {limit} bytes")]
    TooLarge {
        /// The number of bytes that were allowed.
        limit: u64,
    },
    /// The file that comes out is shorter than it should be.
    #[error("it unpacks to {found} bytes instead of {expected}")]
    WrongSize {
        /// What the record of the session says, in bytes.
        expected: u64,
        /// What came out, in bytes.
        found: u64,
    },
    /// A plugin could not open it.
    #[error("the age plugin failed: {0}")]
    Plugin(String),
    /// The sealed file cannot be read.
    #[error("cannot read the sealed file")]
    Source(#[source] io::Error),
    /// The plain file cannot be written; a full disk is here.
    #[error("cannot write the plain file")]
    Target(#[source] io::Error),
}

impl Identities {
    /// Opens a sealed file: reads it to its end, writes what was in it, flushes the writer (not the disk).
    ///
    /// # Errors
    /// Every reason has its own; none tells anything of the content.
    pub fn unseal(
        &self,
        source: &mut impl Read,
        compression: Compression,
        size: PlainSize,
        to: &mut impl Write,
    ) -> Result<Unsealed, UnsealError> {
        // Plain bytes reach the writer before the end of the sealed file has been authenticated, each chunk of
        // 64 KiB after it has been: after an error they are a prefix of a file and no more.
        if self.is_empty() {
            return Err(UnsealError::NoIdentity);
        }
        let mut hashing = HashingReader::new(source);
        let start = read_header(&mut hashing)?;
        let mut reader = BufReader::with_capacity(READ, (&start[..]).chain(&mut hashing));
        let decryptor = age::Decryptor::new_buffered(&mut reader).map_err(header_error)?;
        // Somebody else made it: to try it would take a second and 256 MiB for each, as it asks for.
        if decryptor.is_scrypt() {
            return Err(UnsealError::Passphrase);
        }
        let mut plain = decryptor.decrypt(self.each()).map_err(key_error)?;
        let mut allowance = Allowance { size, packed: 0, written: 0 };
        match compression {
            Compression::None => copy(&mut plain, to, &mut allowance)?,
            Compression::Zstd => unpack(&mut plain, to, &mut allowance)?,
        }
        to.flush().map_err(UnsealError::Target)?;
        let plain_len = allowance.settle()?;
        drop(plain);
        // Nothing can be left, since the last chunk of an age file is known by the end of the file;
        // if something is, the digest would not cover it.
        if !reader.fill_buf().map_err(read_error)?.is_empty() {
            return Err(UnsealError::Trailing);
        }
        drop(reader);
        let (sha256, ciphertext_len) = hashing.finish();
        Ok(Unsealed { sha256, ciphertext_len, plain_len })
    }
}

/// How much may still be written.
struct Allowance {
    size: PlainSize,
    packed: u64,
    written: u64,
}

impl Allowance {
    fn take(&mut self, packed: usize) {
        self.packed += packed as u64;
    }

    fn write(&mut self, bytes: &[u8], to: &mut impl Write) -> Result<(), UnsealError> {
        // Anybody who knows the public key can make a file of a few bytes that unpacks to the whole disk.
        let by_ratio = FREE.max(self.packed.saturating_mul(RATIO));
        let limit = match self.size {
            PlainSize::Exactly(size) => size.min(by_ratio),
            PlainSize::Vouched(limit) => limit,
            PlainSize::Unknown => by_ratio,
        };
        self.written = self.written.saturating_add(bytes.len() as u64);
        // Before it is written, so that the disk is never full of it.
        if self.written > limit {
            return Err(UnsealError::TooLarge { limit });
        }
        to.write_all(bytes).map_err(UnsealError::Target)
    }

    fn settle(&self) -> Result<u64, UnsealError> {
        match self.size {
            PlainSize::Exactly(expected) | PlainSize::Vouched(expected) if expected != self.written => {
                Err(UnsealError::WrongSize { expected, found: self.written })
            }
            _ => Ok(self.written),
        }
    }
}

fn copy(from: &mut impl Read, to: &mut impl Write, allowance: &mut Allowance) -> Result<(), UnsealError> {
    let mut buffer = vec![0; READ];
    loop {
        let count = read(from, &mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        allowance.take(count);
        allowance.write(&buffer[..count], to)?;
    }
}

/// Unpacks one or more zstd frames, as `zstd -d` does, up to the authenticated end of the age file.
fn unpack(from: &mut impl Read, to: &mut impl Write, allowance: &mut Allowance) -> Result<(), UnsealError> {
    let mut decoder = Decoder::new().map_err(UnsealError::Corrupt)?;
    // A frame says how much memory it wants, and may say anything.
    decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(UnsealError::Corrupt)?;
    let mut buffer = vec![0; READ];
    let mut block = vec![0; BLOCK];
    let (mut frames, mut at_end) = (0u64, false);
    loop {
        let count = read(from, &mut buffer)?;
        if count == 0 {
            break;
        }
        allowance.take(count);
        let mut input = InBuffer::around(&buffer[..count]);
        loop {
            let mut output = OutBuffer::around(&mut block[..]);
            let hint = decoder.run(&mut input, &mut output).map_err(|error| match (frames, at_end) {
                (1.., true) => UnsealError::Trailing,
                _ => UnsealError::Corrupt(error),
            })?;
            allowance.write(output.as_slice(), to)?;
            let full = output.pos() == BLOCK;
            at_end = hint == 0;
            frames += u64::from(at_end);
            // A full block may have more behind it even when the input is used up.
            if input.pos() == count && (at_end || !full) {
                break;
            }
        }
    }
    if at_end {
        Ok(())
    } else {
        Err(UnsealError::Corrupt(io::Error::new(io::ErrorKind::UnexpectedEof, "the frame is incomplete")))
    }
}

fn read(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize, UnsealError> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map_err(read_error),
        }
    }
}

/// Reads the header, and perhaps some of what follows; the library would read on for as long as it goes on.
fn read_header(from: &mut impl Read) -> Result<Vec<u8>, UnsealError> {
    let mut start = Vec::with_capacity(MAGIC.len());
    from.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(read_error)?;
    check_magic(&start)?;
    loop {
        // The line of the header's own digest is its last.
        let seen = start.len();
        from.take(PIECE).read_to_end(&mut start).map_err(read_error)?;
        let is_complete = memchr::memmem::find(&start[seen.saturating_sub(END.len())..], END).is_some();
        if is_complete || start.len() == seen {
            return Ok(start);
        }
        if start.len() > LONGEST_HEADER {
            return Err(UnsealError::LongHeader);
        }
    }
}

/// A file that ends within the first line is truncated; one that begins otherwise is no age file.
fn check_magic(start: &[u8]) -> Result<(), UnsealError> {
    if start == MAGIC {
        Ok(())
    } else if MAGIC.starts_with(start) {
        Err(UnsealError::Truncated)
    } else {
        Err(UnsealError::NotAge)
    }
}

fn read_error(error: io::Error) -> UnsealError {
    match SourceFailed::within(error) {
        Ok(failed) => UnsealError::Source(failed),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => UnsealError::Truncated,
        Err(_) => UnsealError::Tampered,
    }
}

fn header_error(error: age::DecryptError) -> UnsealError {
    match error {
        age::DecryptError::Io(error) => read_error(error),
        age::DecryptError::UnknownFormat => UnsealError::AgeVersion,
        _ => UnsealError::Tampered,
    }
}

fn key_error(error: age::DecryptError) -> UnsealError {
    match error {
        age::DecryptError::NoMatchingKeys => UnsealError::WrongKey,
        // Unwrapping a file key does no other I/O than talking to a plugin.
        age::DecryptError::Plugin(_) | age::DecryptError::PluginResolve(_) | age::DecryptError::Io(_) => {
            UnsealError::Plugin(crate::escape::text(&error.to_string()))
        }
        _ => UnsealError::Tampered,
    }
}
