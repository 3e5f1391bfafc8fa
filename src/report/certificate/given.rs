//! A certificate as somebody gives it, to be compared with a ledger.

use std::path::{Path, PathBuf};

use super::{compare_page, embedded};
use crate::error::{At as _, PathError};
use crate::escape::{shown, text};
use crate::files;
use crate::ledger::Item;
use crate::purge::certificate::{Certificate, digest};
use crate::report::verification::Checked;

/// A certificate with what it was read from.
#[derive(Debug)]
pub struct Given {
    file: PathBuf,
    certificate: Certificate,
    json: String,
    /// What is wrong with the page around it.
    wrong_page: Option<String>,
}

/// A file that gives no certificate.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    #[error(transparent)]
    Unread(#[from] PathError),
    #[error("cannot verify '{}': {}", shown(.file), text(.why))]
    NoCertificate { file: PathBuf, why: String },
}

impl Given {
    /// Reads a certificate, from its JSON or from the page that holds it.
    pub fn read(file: &Path) -> Result<Self, GivenError> {
        let none = |why: String| GivenError::NoCertificate { file: file.to_path_buf(), why };
        let content = files::open(file).and_then(|open| files::contents(&open, files::DOCUMENT));
        let content = String::from_utf8(content.at("read", file)?);
        let content = content.map_err(|_| none("it is not UTF-8".to_owned()))?;
        let page = embedded(&content);
        let json = page.as_ref().map_or(content.as_str(), |page| page.json);
        let certificate = Certificate::parse(json).map_err(|error| none(error.to_string()))?;
        let wrong_page = page.as_ref().and_then(|page| compare_page(&certificate, page, &content).err());
        Ok(Self { file: file.to_path_buf(), json: json.to_owned(), certificate, wrong_page })
    }

    /// Compares it with the records of a ledger.
    pub fn check(self, records: impl Iterator<Item = Result<Item, PathError>>) -> Result<Checked, PathError> {
        let mut comparison = self.certificate.compare(&digest(self.json.as_bytes()), records)?;
        comparison.differs.extend(self.wrong_page);
        let parts = self.certificate.parts;
        Ok(Checked {
            file: self.file,
            id: parts.id,
            head: parts.ledger.head.seq,
            signed_by: parts.operator.signer.map(|signer| signer.fingerprint),
            comparison,
        })
    }
}
