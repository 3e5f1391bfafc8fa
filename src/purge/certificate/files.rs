//! The files of a certificate: looked at before anything is touched, written whole at the end.
//!
//! A certificate is never written over anything: an earlier one may be the only evidence of an
//! earlier purge. Its files are readable by their owner alone, as the ledger is, for they name
//! paths; whoever hands one over decides who reads it.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::sign::{SignError, Signing};
use super::{Certificate, Signer};
use crate::error::{At as _, PathError};
use crate::escape::shown;
use crate::files::{self, Draft, above};

/// A printing of a certificate, chosen by the extension of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For programs; this is what is signed, and what the ledger records.
    Json,
    /// One page, for a browser or a printer.
    Html,
    /// For a terminal or a mail.
    Text,
}

impl Format {
    /// The format of a file: `.json`, `.html` or `.htm`, `.txt`, in any case.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "html" | "htm" => Some(Self::Html),
            "txt" => Some(Self::Text),
            _ => None,
        }
    }
}

/// Why a certificate cannot be written where it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Its name says no format.
    #[error("cannot tell the format of '{}': name it .json, .html or .txt", shown(path))]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// It exists, or would be written twice.
    #[error("'{}' exists, and a certificate is never written over anything", shown(path))]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system does not let it.
    #[error(transparent)]
    File(#[from] PathError),
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl FileError {
    /// Whether what was asked for is wrong in itself, and not the system's answer to it.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Format { .. } | Self::Exists { .. })
    }
}

/// Where the files of a certificate will lie, proven to be writable.
#[derive(Debug)]
pub struct Files {
    places: Vec<Place>,
    signature: Option<Place>,
    signing: Option<Signing>,
}

#[derive(Debug)]
struct Place {
    path: PathBuf,
    format: Format,
    /// Lies beside the file it will become, so that it is on the same file system; none before it is reserved.
    draft: Option<Draft>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The files, in the order in which they were asked for.
    pub files: Vec<PathBuf>,
    /// The JSON among them, if there is one.
    pub json: Option<PathBuf>,
    /// The signature of the JSON.
    pub signature: Option<PathBuf>,
    /// SHA-256 (hex) of the JSON, whether or not it was written; the ledger records it.
    pub sha256: String,
}

/// What a printing says about the certificate's own files.
#[derive(Debug, Clone, Copy)]
pub struct Imprint<'a> {
    /// The JSON document, byte for byte.
    pub json: &'a str,
    /// Its SHA-256 (hex).
    pub sha256: &'a str,
    /// The name of the JSON file, without folders; absent where none is written.
    pub json_name: Option<&'a str>,
}

impl Files {
    /// Looks whether a certificate can be written to these files and signed by this key; does
    /// nothing that lasts.
    ///
    /// With a key the JSON is what is signed: where no file of the list is one, it is written
    /// beside the first.
    ///
    /// # Errors
    /// A file exists, has no known extension, or its folder cannot be written.
    pub fn prepare(paths: &[PathBuf], signing: Option<Signing>) -> Result<Self, FileError> {
        let mut wanted = Vec::new();
        for path in paths {
            let format = Format::of(path).ok_or_else(|| FileError::Format { path: path.clone() })?;
            wanted.push((path.clone(), format));
        }
        if let (Some(_), Some(first)) = (&signing, paths.first())
            && !wanted.iter().any(|(_, format)| *format == Format::Json)
        {
            wanted.push((first.with_extension("json"), Format::Json));
        }
        let json = wanted.iter().find(|(_, format)| *format == Format::Json).map(|(path, _)| path.clone());
        let signature = signing.as_ref().and(json).map(|json| {
            let mut name = json.into_os_string();
            name.push(".sig");
            PathBuf::from(name)
        });
        let all = || wanted.iter().map(|(path, _)| path).chain(&signature);
        for (number, path) in all().enumerate() {
            let exists = path.symlink_metadata().is_ok() || all().take(number).any(|other| other == path);
            if exists {
                return Err(FileError::Exists { path: path.clone() });
            }
        }
        let mut places = Vec::new();
        for (path, format) in wanted {
            places.push(Place::new(path, format)?);
        }
        let signature = signature.map(|path| Place::new(path, Format::Text)).transpose()?;
        Ok(Self { places, signature, signing })
    }

    /// Makes and keeps what the files are written through, once it is certain that there will be something to
    /// certify: whoever ends the program before that leaves nothing behind.
    ///
    /// # Errors
    /// A folder cannot be written any more.
    pub fn reserve(&mut self) -> Result<(), FileError> {
        for place in self.places.iter_mut().chain(&mut self.signature) {
            // An open file proves of the end what a folder that can be written today does not.
            place.draft = Some(Place::draft(&place.path)?);
        }
        Ok(())
    }

    /// Where they will lie.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.places.iter().chain(&self.signature).map(|place| &*place.path)
    }

    /// The key that will sign, for the certificate to name.
    pub fn signer(&self) -> Option<&Signer> {
        self.signing.as_ref().map(Signing::signer)
    }

    /// Signs and writes a certificate; `print` gives the words of the formats that are not JSON.
    ///
    /// Each file appears whole or not at all, and never in place of another.
    ///
    /// # Errors
    /// The first file that could not be written, or the signature that could not be made; the
    /// files before it are there.
    pub fn write(
        self,
        certificate: &Certificate,
        print: &dyn Fn(Format, &Imprint<'_>) -> String,
    ) -> Result<Written, FileError> {
        let json = certificate.json();
        let sha256 = digest(json.as_bytes());
        // Before the first file: without its signature none is written.
        let signed = self.signing.as_ref().map(|signing| signing.sign(json.as_bytes())).transpose()?;
        let json_path = self.places.iter().find(|place| place.format == Format::Json).map(|p| p.path.clone());
        let json_name =
            json_path.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let imprint = Imprint { json: &json, sha256: &sha256, json_name: json_name.as_deref() };
        let mut files = Vec::new();
        for place in self.places {
            let content = match place.format {
                // The very bytes that were hashed and signed, and no second printing of them.
                Format::Json => json.clone(),
                format => print(format, &imprint),
            };
            files.push(place.path.clone());
            place.fill(&content)?;
        }
        let signature = match (self.signature, signed) {
            (Some(place), Some(signed)) => {
                let path = place.path.clone();
                place.fill(&signed)?;
                Some(path)
            }
            _ => None,
        };
        Ok(Written { files, json: json_path, signature, sha256 })
    }
}

/// SHA-256 of bytes in hex.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

impl Place {
    fn new(path: PathBuf, format: Format) -> Result<Self, PathError> {
        // It is gone at once.
        Self::draft(&path)?;
        Ok(Self { path, format, draft: None })
    }

    fn draft(path: &Path) -> Result<Draft, PathError> {
        Draft::named(above(path), ".part").at("create", path)
    }

    fn fill(self, content: &str) -> Result<(), FileError> {
        let path = self.path;
        let mut draft = self.draft.map_or_else(|| Self::draft(&path), Ok)?;
        draft.fill(content.as_bytes()).at("write", &path)?;
        // By a link or a rename that replaces nothing: between the look at the beginning and now a purge has
        // passed.
        if let Err((error, draft)) = draft.create(&path) {
            // Where a file system can neither link nor rename so, what is there is looked at first.
            if error.kind() == io::ErrorKind::AlreadyExists || path.symlink_metadata().is_ok() {
                return Err(FileError::Exists { path });
            }
            draft.replace(&path).at("create", &path)?;
        }
        // The ledger records its hash next, and must not name a file that a crash takes away.
        Ok(files::sync_dir(above(&path))?)
    }
}
