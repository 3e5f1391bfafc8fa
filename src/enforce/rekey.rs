//! Sealing anew, to other recipients: sealed files are replaced one by one, each whole.
//!
//! The order, so that at every instant each file is the one that the record names or the one that
//! it says it is becoming: unfinished files · flush · a record with both · names · flush · the
//! record with the new ones alone. The plaintext passes through memory and never touches the disk.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::thread;

use super::dir;
use super::sealed::{SealedError, SealedSession};
use super::sealed_file::write_part;
use crate::dir::FileTime;
use crate::error::{At as _, PathError};
use crate::seal::manifest::{Resealed, SealedFile};
use crate::seal::{Identities, Recipients, SealError, Sealed, Sealer, UnsealError, naming};

/// Why a session was not sealed anew. Every sealed file of it can still be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RekeyError {
    /// It cannot be opened, or the record not be written.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// It cannot be encrypted.
    #[error("cannot re-encrypt '{}'", crate::escape::shown(path))]
    Seal {
        /// The sealed file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: SealError,
    },
}

/// What became of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rekeyed {
    /// The record says that it is sealed to these recipients already.
    Already,
    /// Its files are sealed anew.
    Done(Vec<SealedFile>),
}

/// Seals a session anew; what is recorded as sealed to the same recipients is left, unless `all`.
///
/// # Errors
/// The session stays as it was, or is partly sealed anew and recorded so.
pub fn session(
    session: &SealedSession<'_>,
    identities: &Identities,
    recipients: &Recipients,
    all: bool,
) -> Result<Rekeyed, RekeyError> {
    session.is_whole()?;
    // That a record says so proves nothing, and what an age file is sealed to cannot be told from it.
    let to = recipients.digest();
    let in_between = session.record.files.iter().any(|file| file.becoming.is_some());
    if !all && !in_between && session.record.recipients.as_ref() == Some(&to) {
        return Ok(Rekeyed::Already);
    }
    let root = session.root();
    let mut parts = Vec::new();
    // All are written before the first is replaced: where one cannot be opened, none is.
    let written = write_all(session, identities, recipients, &mut parts);
    let mut record = session.record.clone();
    let done = written.and_then(|()| {
        dir::sync_file_system(&session.folder).at("flush", &root).map_err(SealedError::File)?;
        // Both forms first …
        let anew: HashMap<&Path, _> =
            parts.iter().map(|(entry, new)| (&*entry.sealed, (entry, new))).collect();
        for file in &mut record.files {
            if let Some((entry, new)) = anew.get(&*file.sealed) {
                // An interrupted run left it in the one form or the other: it is the one it is now.
                file.sha256 = entry.sha256;
                file.becoming = Some(**new);
            }
        }
        // Until all are replaced, the record must not say that they are for anybody in particular: the next run
        // would take the session for done.
        record.recipients = None;
        session.write_record(&record).at("write the record in", &root).map_err(SealedError::File)?;
        for (entry, _) in &parts {
            let name = entry.sealed.file_name().unwrap_or_default();
            let folder = session.parent(&entry.sealed).at("open the folder of", session.path(entry));
            let folder = folder.map_err(SealedError::File)?;
            // This one does replace: the record names both digests, so that whichever is there after a crash is
            // known.
            dir::rename(&folder, &naming::part_name(name), name)
                .at("replace", session.path(entry))
                .map_err(SealedError::File)?;
            if !dir::FLUSHES_WHOLE {
                dir::sync(&folder).at("flush", session.path(entry)).map_err(SealedError::File)?;
            }
        }
        dir::sync_file_system(&session.folder).at("flush", &root).map_err(SealedError::File)?;
        // … then the new one alone.
        for file in &mut record.files {
            if let Some(new) = file.becoming.take() {
                (file.sealed_size, file.sha256) = (new.sealed_size, new.sha256);
            }
        }
        record.recipients = Some(to);
        session.write_record(&record).at("write the record in", &root).map_err(SealedError::File)?;
        Ok(())
    });
    if let Err(error) = done {
        for (entry, _) in &parts {
            remove_part(session, entry);
        }
        return Err(error);
    }
    let names: HashSet<_> = parts.into_iter().map(|(entry, _)| entry.sealed).collect();
    record.files.retain(|file| names.contains(&file.sealed));
    Ok(Rekeyed::Done(record.files))
}

fn write_all(
    session: &SealedSession<'_>,
    identities: &Identities,
    recipients: &Recipients,
    parts: &mut Vec<(SealedFile, Resealed)>,
) -> Result<(), RekeyError> {
    let Some(first) = session.record.files.first() else { return Ok(()) };
    let failed = |entry: &SealedFile, source| RekeyError::Seal { path: session.path(entry), source };
    let mut sealer = Sealer::new(recipients, first.compression).map_err(|source| failed(first, source))?;
    for entry in &session.record.files {
        // One that is gone was deleted by a rule for its kind.
        if session.file(entry)?.is_none() {
            continue;
        }
        sealer.set_compression(entry.compression);
        let (found, sealed) = write(session, entry, identities, &mut sealer)?;
        parts.push((
            SealedFile { sha256: found, ..entry.clone() },
            Resealed { sealed_size: sealed.ciphertext_len, sha256: sealed.sha256 },
        ));
    }
    Ok(())
}

/// Writes one file anew as an unfinished one: decrypted by one thread, encrypted by another. Gives
/// the SHA-256 of the one that is there.
fn write(
    session: &SealedSession<'_>,
    entry: &SealedFile,
    identities: &Identities,
    sealer: &mut Sealer,
) -> Result<([u8; 32], Sealed), RekeyError> {
    let path = session.path(entry);
    let file_error = |doing, source| SealedError::File(PathError { path: path.clone(), doing, source });
    let folder = session.parent(&entry.sealed).map_err(|error| file_error("open the folder of", error))?;
    let name = entry.sealed.file_name().unwrap_or_default();
    let failed = |doing, error| RekeyError::Sealed(file_error(doing, error));
    let (_, done) = write_part(&folder, name, FileTime::of(entry.mtime), failed, |mut part| {
        // Through a pipe, so that a file of any size takes 64 KiB and no plaintext is ever in a file.
        let (reader, writer) = io::pipe().map_err(|error| failed("open a pipe for", error))?;
        let (opened, sealed) = thread::scope(|scope| {
            let opening = scope.spawn(move || {
                let mut writer = BufWriter::with_capacity(64 << 10, writer);
                session.decrypt(entry, identities, &mut writer)
            });
            let mut source = BufReader::with_capacity(64 << 10, reader);
            let sealed = sealer.seal(&mut source, entry.size, &mut part);
            let opened = opening.join().unwrap_or_else(|_| {
                Err(file_error("open", io::Error::other("the thread that opens it ended")))
            });
            (opened, sealed)
        });
        // Where opening failed, the encrypting side saw no more than a short file. Where encrypting
        // failed, the opening side could not write: that reason is the other's.
        match (opened, sealed) {
            (Ok(found), Ok(sealed)) => Ok((found, sealed)),
            (Err(SealedError::Open { source: UnsealError::Target(_), .. }) | Ok(_), Err(source)) => {
                Err(RekeyError::Seal { path: path.clone(), source })
            }
            (Err(error), _) => Err(error.into()),
        }
    })?;
    Ok(done)
}

fn remove_part(session: &SealedSession<'_>, entry: &SealedFile) {
    let name = naming::part_name(entry.sealed.file_name().unwrap_or_default());
    let _ = session.parent(&entry.sealed).and_then(|folder| dir::unlink(&folder, &name));
}
