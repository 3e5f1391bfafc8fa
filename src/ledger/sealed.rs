//! What a ledger knows of sealed files, whether its names are keyed or not.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::{Filter, Item, LedgerError, Names, Record, records};

/// The sealed files that a ledger knows, by session.
#[derive(Debug)]
pub struct SealedRecords {
    names: Option<Names>,
    /// SHA-256 (hex) of the sealed files, by the session as the ledger names it.
    digests: HashMap<String, HashSet<String>>,
    /// Those of the newest record about a session.
    newest: HashMap<String, HashSet<String>>,
    /// What names nobody can tell: a record without a session, or keyed by another key.
    has_unnamed: bool,
}

impl SealedRecords {
    /// Reads them: those of some sessions, or of all where none is named.
    ///
    /// # Errors
    /// The ledger or the key of its names cannot be read.
    pub fn load(
        ledger_dir: &Path,
        state_dir: &Path,
        sessions: &[String],
        stores: &[String],
    ) -> Result<Self, LedgerError> {
        // A keyed record is one of our key's where it names one of `stores`, roots in the form of
        // `crate::escape::text`; else nobody can tell whose session it is about.
        let names = Names::load(state_dir)?;
        let named = |id: &String| [Some(id.clone()), names.as_ref().map(|names| names.keyed(id))];
        let sessions = sessions.iter().flat_map(named).flatten().collect();
        let ours: HashSet<String> =
            names.iter().flat_map(|names| stores.iter().map(|store| names.keyed(store))).collect();
        let filter = Filter { sessions, ..Filter::default() };
        let mut found =
            Self { names: None, digests: HashMap::new(), newest: HashMap::new(), has_unnamed: false };
        for item in records(ledger_dir, &filter)? {
            let Item::Record(record) = item? else { continue };
            let digests = digests(&record);
            if digests.is_empty() {
                continue;
            }
            let is_keyed = |name: &str| name.starts_with(Names::MARK);
            match record.text("session") {
                Some(session) => {
                    found.has_unnamed |=
                        is_keyed(session) && !record.text("store").is_some_and(|store| ours.contains(store));
                    // A preserved copy is another one, beside the session's own.
                    let is_copy =
                        record.text("hold").is_some() || record.text("decision") == Some("preserve");
                    // Only sealings of the session itself are compared, or a copy for a hold would make the
                    // session's own files look outdated.
                    if !is_copy {
                        found.newest.insert(session.to_owned(), digests.iter().cloned().collect());
                    }
                    found.digests.entry(session.to_owned()).or_default().extend(digests);
                }
                None => found.has_unnamed = true,
            }
        }
        Ok(Self { names, ..found })
    }

    /// SHA-256 of every sealed file of a session that a record knows.
    pub fn digests(&self, session: &str) -> impl Iterator<Item = [u8; 32]> {
        self.of(session).filter_map(|digest| {
            let mut bytes = [0; 32];
            hex::decode_to_slice(digest, &mut bytes).ok().map(|()| bytes)
        })
    }

    /// SHA-256 (hex) of every sealed file of a session, in no order.
    pub fn of(&self, session: &str) -> impl Iterator<Item = &str> {
        let keyed = self.names.as_ref().map(|names| names.keyed(session));
        let plain = self.digests.get(session);
        let keyed = keyed.and_then(|keyed| self.digests.get(&keyed));
        plain.into_iter().chain(keyed).flatten().map(String::as_str)
    }

    /// Whether the newest sealing of a session made none of these sealed files (SHA-256 in hex), while an earlier one
    /// did: then they are an older copy that was put back.
    pub fn is_outdated(&self, session: &str, files: &HashSet<String>) -> bool {
        let keyed = self.names.as_ref().map(|names| names.keyed(session));
        let newest = self.newest.get(session).or_else(|| self.newest.get(keyed.as_deref()?));
        newest.is_some_and(|newest| newest.is_disjoint(files))
            && self.of(session).any(|one| files.contains(one))
    }

    /// Whether a session may have been sealed here: a record says so, or nobody can tell which one
    /// a record is about.
    pub fn may_know(&self, session: &str) -> bool {
        // In doubt it may: a certificate that says "only sealed files were here" must be sure of it.
        self.has_unnamed || self.of(session).next().is_some()
    }
}

fn digests(record: &Record) -> Vec<String> {
    let sealed = record.fields.get("sealed").and_then(serde_json::Value::as_array);
    let digests = sealed.into_iter().flatten().filter_map(|one| one.get("sha256")?.as_str());
    digests.map(str::to_owned).collect()
}
