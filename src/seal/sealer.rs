//! From plain bytes to a sealed file.

use std::io::{self, Read, Write};

use zstd::bulk::Compressor;
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation as _, OutBuffer};

use super::Compression;
use super::recipients::{RecipientError, Recipients};
use super::tally::HashingWriter;

/// The zstd level of a file of so many bytes. 3 is the rule: 1 saves a fifth of the time at most and costs 8 % of size,
/// 9 takes three times as long for 7 %.
fn level(len: u64) -> i32 {
    // Small files are most of the files and little of the bytes, and each has an age header of 300 bytes: 5
    // makes good for it, at a tenth of the processor time of the whole (measured on 39,000 files of 8,000
    // sessions).
    if len <= 256 << 10 { 5 } else { 3 }
}

/// Files up to this many bytes are read whole and written with one write, larger ones are streamed.
// It bounds the memory of a worker to three buffers of this size. Streaming costs within 5 % of the same
// processor time (measured at 4 MB), so a larger bound would only add memory for each worker.
const WHOLE: u64 = 1 << 20;

/// How much of a streamed file is read at once.
const READ: usize = 128 << 10;

/// How much of a streamed sealed file is written at once.
const PIECE: usize = 1 << 20;

/// What came out of sealing one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// SHA-256 of the sealed file.
    pub sha256: [u8; 32],
    /// Its length in bytes.
    pub ciphertext_len: u64,
}

/// Why a file was not sealed; what was written of it is worthless.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The source has not the length it was said to have: somebody writes to it.
    #[error("the file changed while it was sealed")]
    Changed,
    /// The source cannot be read.
    #[error("cannot read the file to seal")]
    Source(#[source] io::Error),
    /// The sealed file cannot be written; a full disk is here.
    #[error("cannot write the sealed file")]
    Target(#[source] io::Error),
    /// The compressor failed, which means that memory is short.
    #[error("cannot compress the file")]
    Compress(#[source] io::Error),
    /// The recipients cannot be used, or not together.
    #[error("cannot seal to the recipients")]
    Recipients(#[from] RecipientError),
    /// A plugin could not encrypt to its recipients.
    #[error("the age plugin failed: {0}")]
    Plugin(String),
}

/// Seals files one after the other, with one set of keys, buffers and compressor tables.
///
/// Make one for each worker: it can be sent to another thread, not shared.
pub struct Sealer {
    recipients: Vec<Box<dyn age::Recipient + Send>>,
    compression: Compression,
    whole: u64,
    compressor: Compressor<'static>,
    plain: Vec<u8>,
    packed: Vec<u8>,
    gathered: Vec<u8>,
}

impl Sealer {
    /// A sealer to these recipients.
    ///
    /// # Errors
    /// A plugin that is not installed; memory short.
    pub fn new(recipients: &Recipients, compression: Compression) -> Result<Self, SealError> {
        let mut compressor = Compressor::new(level(0)).map_err(SealError::Compress)?;
        // The checksum is for whoever unpacks it without this program: age authenticates, and `zstd -d` alone
        // would not notice a fault of the disk.
        compressor.set_parameter(CParameter::ChecksumFlag(true)).map_err(SealError::Compress)?;
        Ok(Self {
            recipients: recipients.boxes()?,
            compression,
            whole: WHOLE,
            compressor,
            plain: Vec::new(),
            packed: Vec::new(),
            gathered: Vec::new(),
        })
    }

    /// What is done to files before they are encrypted.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Changes what is done to the files that follow before they are encrypted.
    pub fn set_compression(&mut self, compression: Compression) {
        self.compression = compression;
    }

    /// Bounds the memory of so many workers together: the more there are, the smaller are the files
    /// that each of them still reads whole.
    pub fn among(self, workers: usize) -> Self {
        let whole = (2 * WHOLE / workers.max(1) as u64).min(WHOLE);
        self.streaming_above(whole)
    }

    /// Streams files from this size on.
    pub(super) fn streaming_above(mut self, whole: u64) -> Self {
        self.whole = whole;
        self
    }

    /// Seals a file of `len` bytes: reads it to its end, writes the sealed file, flushes the writer
    /// (not the disk).
    ///
    /// # Errors
    /// Every error leaves a target that is worth nothing and must not be kept.
    pub fn seal(
        &mut self,
        source: &mut impl Read,
        len: u64,
        to: &mut impl Write,
    ) -> Result<Sealed, SealError> {
        // A header of its own for each file, so that no two files share a key.
        let recipients = self.recipients.iter().map(|one| &**one as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(encrypt_error)?;
        self.compressor
            .set_parameter(CParameter::CompressionLevel(level(len)))
            .map_err(SealError::Compress)?;
        if len <= self.whole {
            read_whole(source, len, &mut self.plain)?;
            let payload = match self.compression {
                Compression::None => &self.plain,
                Compression::Zstd => {
                    self.packed.clear();
                    self.packed.reserve(zstd::compress_bound(self.plain.len()));
                    self.compressor
                        .compress_to_buffer(&self.plain, &mut self.packed)
                        .map_err(SealError::Compress)?;
                    &self.packed
                }
            };
            let writer = HashingWriter::new(to, &mut self.gathered, usize::MAX);
            let mut encrypting = encryptor.wrap_output(writer).map_err(SealError::Target)?;
            encrypting.write_all(payload).map_err(SealError::Target)?;
            finish(encrypting)
        } else {
            let writer = HashingWriter::new(to, &mut self.gathered, PIECE);
            let mut encrypting = encryptor.wrap_output(writer).map_err(SealError::Target)?;
            self.plain.resize(READ, 0);
            match self.compression {
                Compression::None => copy(source, len, &mut self.plain, &mut encrypting)?,
                Compression::Zstd => {
                    let mut encoder = Encoder::with_context(self.compressor.context_mut());
                    // Written into the frame: whoever unpacks it knows the size, and a source that changes is
                    // an error.
                    encoder.set_pledged_src_size(Some(len)).map_err(SealError::Compress)?;
                    self.packed.resize(READ, 0);
                    compress(source, len, &mut encoder, &mut self.plain, &mut self.packed, &mut encrypting)?;
                }
            }
            finish(encrypting)
        }
    }
}

fn finish<W: Write>(
    encrypting: age::stream::StreamWriter<HashingWriter<'_, W>>,
) -> Result<Sealed, SealError> {
    let writer = encrypting.finish().map_err(SealError::Target)?;
    let (sha256, ciphertext_len) = writer.finish().map_err(SealError::Target)?;
    Ok(Sealed { sha256, ciphertext_len })
}

/// Reads a source that must have exactly `len` bytes.
fn read_whole(source: &mut impl Read, len: u64, into: &mut Vec<u8>) -> Result<(), SealError> {
    into.clear();
    // One byte more than promised shows a source that has grown, without a second call in the
    // usual case and without reading what came after.
    into.reserve(usize::try_from(len).unwrap_or_default().saturating_add(1));
    source.take(len.saturating_add(1)).read_to_end(into).map_err(SealError::Source)?;
    if into.len() as u64 == len { Ok(()) } else { Err(SealError::Changed) }
}

/// Counts what is read from a source that must have exactly `len` bytes.
struct Exact {
    left: u64,
}

impl Exact {
    /// Reads the next piece; an empty one is the end, which is where it was said to be.
    fn next<'b>(&mut self, source: &mut impl Read, buffer: &'b mut [u8]) -> Result<&'b [u8], SealError> {
        let count = loop {
            match source.read(buffer) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SealError::Source(error)),
            }
        };
        // A transcript that grows while it is sealed would be sealed without its last records.
        self.left = self.left.checked_sub(count as u64).ok_or(SealError::Changed)?;
        if count == 0 && self.left > 0 { Err(SealError::Changed) } else { Ok(&buffer[..count]) }
    }
}

fn copy(source: &mut impl Read, len: u64, buffer: &mut [u8], to: &mut impl Write) -> Result<(), SealError> {
    let mut exact = Exact { left: len };
    loop {
        let piece = exact.next(source, buffer)?;
        if piece.is_empty() {
            return Ok(());
        }
        to.write_all(piece).map_err(SealError::Target)?;
    }
}

fn compress(
    source: &mut impl Read,
    len: u64,
    encoder: &mut Encoder<'_>,
    buffer: &mut [u8],
    packed: &mut [u8],
    to: &mut impl Write,
) -> Result<(), SealError> {
    let mut exact = Exact { left: len };
    loop {
        let piece = exact.next(source, buffer)?;
        if piece.is_empty() {
            break;
        }
        let mut input = InBuffer::around(piece);
        while input.pos() < piece.len() {
            let mut output = OutBuffer::around(&mut *packed);
            encoder.run(&mut input, &mut output).map_err(SealError::Compress)?;
            to.write_all(output.as_slice()).map_err(SealError::Target)?;
        }
    }
    loop {
        let mut output = OutBuffer::around(&mut *packed);
        let left = encoder.finish(&mut output, true).map_err(SealError::Compress)?;
        to.write_all(output.as_slice()).map_err(SealError::Target)?;
        if left == 0 {
            return Ok(());
        }
    }
}

fn encrypt_error(error: age::EncryptError) -> SealError {
    match error {
        age::EncryptError::IncompatibleRecipients { .. }
        | age::EncryptError::MixedRecipientAndPassphrase
        | age::EncryptError::InvalidRecipientLabels(_) => RecipientError::Mixed.into(),
        age::EncryptError::MissingRecipients => RecipientError::None.into(),
        age::EncryptError::PluginResolve(age::plugin::ResolveError::MissingPlugin { binary_name }) => {
            let name = binary_name.strip_prefix("age-plugin-").unwrap_or(&binary_name);
            RecipientError::PluginMissing(name.to_owned()).into()
        }
        // Wrapping a file key does no other I/O than talking to a plugin.
        other => SealError::Plugin(crate::escape::text(&other.to_string())),
    }
}
