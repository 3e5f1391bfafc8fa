//! Streams that keep the digest and the length of what passes through them.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

/// A writer that gathers small writes, and hashes and counts what it passes on.
///
/// Whatever the order of calls, the bytes reach the target in pieces of the buffer's size; so a
/// sealed file that fits into the buffer is one write.
pub(super) struct HashingWriter<'a, W: Write> {
    to: &'a mut W,
    gathered: &'a mut Vec<u8>,
    piece: usize,
    digest: Sha256,
    length: u64,
}

impl<'a, W: Write> HashingWriter<'a, W> {
    pub(super) fn new(to: &'a mut W, gathered: &'a mut Vec<u8>, piece: usize) -> Self {
        gathered.clear();
        Self { to, gathered, piece, digest: Sha256::new(), length: 0 }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.digest.update(&self.gathered[..]);
        self.length += self.gathered.len() as u64;
        self.to.write_all(self.gathered)?;
        self.gathered.clear();
        Ok(())
    }

    /// Passes on what is left; the digest and length of everything.
    pub(super) fn finish(mut self) -> io::Result<([u8; 32], u64)> {
        self.pass_on()?;
        self.to.flush()?;
        Ok((self.digest.finalize().into(), self.length))
    }
}

impl<W: Write> Write for HashingWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= self.piece {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that hashes what it passes on, and marks its own failures so that they can be told
/// from those of the layers above it.
pub(super) struct HashingReader<'a, R: Read> {
    from: &'a mut R,
    digest: Sha256,
    length: u64,
}

impl<'a, R: Read> HashingReader<'a, R> {
    pub(super) fn new(from: &'a mut R) -> Self {
        Self { from, digest: Sha256::new(), length: 0 }
    }

    /// The digest and length of what was read.
    pub(super) fn finish(self) -> ([u8; 32], u64) {
        (self.digest.finalize().into(), self.length)
    }
}

impl<R: Read> Read for HashingReader<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        // Interruptions end here: not every reader above tries again.
        let count = loop {
            match self.from.read(to) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io::Error::other(SourceFailed(error))),
            }
        };
        self.digest.update(&to[..count]);
        self.length += count as u64;
        Ok(count)
    }
}

/// A failure to read the source, as opposed to a source that says something wrong.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the source")]
pub(super) struct SourceFailed(#[source] io::Error);

impl SourceFailed {
    /// The reader's own failure, if that is what the error is.
    pub(super) fn within(error: io::Error) -> Result<io::Error, io::Error> {
        error.downcast::<Self>().map(|failed| failed.0)
    }
}
