//! Which sessions a plan belongs to: those whose records have its slug.
//!
//! The slug may be anywhere in a transcript, so it is sought in all of it; only where there are plans, and once for
//! each state of a transcript. What is found is kept as keyed hashes.

use std::fs::File;
use std::io::{self, Read as _};

use memchr::memmem::Finder;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

use super::{Artifact, ArtifactIndex, Belongs, Inventory, Oddity, SessionIndex, StoreIndex};
use crate::catalogue::{Kind, Slug, SlugKey, is_slug};
use crate::dir::{FileStamp, FileType};

/// How much of a transcript is read at once.
const CHUNK: usize = 1 << 20;
/// A key with its value is shorter than this.
const LONGEST: usize = 1 << 10;
/// Of a transcript that names more slugs each plan may be its own.
const MOST: usize = 4096;
/// What stands between the slug of a session and the id of an agent of it.
const OF_AGENT: &[u8] = b"-agent-";

/// Records of conversations: those of one file, or of a folder that a link stands for.
struct Records {
    store: StoreIndex,
    /// The session that they are of, as far as that is known.
    owner: Option<SessionIndex>,
    /// The file, and the state that it was seen in; `None` where they cannot be read.
    file: Option<(ArtifactIndex, u64)>,
}

/// What was found in records.
struct Named {
    of: Records,
    slugs: Vec<Slug>,
}

impl Inventory {
    /// Finds out which slugs the records of sessions name, where there are plans. What earlier looks found is
    /// believed where it is `trusted`; else every transcript is read. Where it is `blind`, nobody remembers which
    /// sessions there were.
    pub fn find_plans(&mut self, trusted: bool, blind: bool) {
        let plans: Vec<&Artifact> =
            self.artifacts.iter().filter(|artifact| artifact.kind == Some(Kind::Plan)).collect();
        if plans.is_empty() {
            return;
        }
        // A slug is made of words of the conversation; what is kept of it between runs is a keyed hash.
        let key = self.slug_key.clone().unwrap_or_else(SlugKey::random);
        let mut stores: FxHashSet<StoreIndex> = plans.iter().map(|plan| self.store_of(plan)).collect();
        let sharing: Vec<StoreIndex> = stores.iter().flat_map(|store| self.sharing(*store)).collect();
        stores.extend(sharing);
        let found = self.read_slugs(self.records_in(&stores), &key, trusted);
        // Records of nobody that is known may be those of a plan's only owner.
        let nobodys = found.iter().filter(|named| named.of.owner.is_none() && !named.slugs.is_empty());
        let in_doubt: FxHashSet<StoreIndex> =
            nobodys.flat_map(|named| self.sharing(named.of.store).chain([named.of.store])).collect();
        let all_in_doubt = blind || !self.is_complete;
        let names: FxHashMap<_, _> = plans
            .iter()
            .map(|plan| {
                let mut slugs = slugs_of_name(self.name(plan).as_encoded_bytes(), &key);
                if all_in_doubt || in_doubt.contains(&self.store_of(plan)) {
                    slugs.push(Slug::ANY);
                }
                (plan.key(), slugs)
            })
            .collect();
        self.learn_slugs(found, trusted);
        for session in &mut self.sessions {
            // A sealed one without its record, say: nobody knows which slugs it names.
            if session.is_unreadable && stores.contains(&session.store) {
                session.learn_slugs(&[Slug::ANY]);
            }
        }
        self.plans = names;
        self.slug_key = Some(key);
    }

    /// Whether not everything that could name a plan as its own could be read, so that it may be any session's.
    pub fn is_plan_in_doubt(&self, artifact: &Artifact) -> bool {
        self.plans.get(&artifact.key()).is_some_and(|slugs| slugs.contains(&Slug::ANY))
    }

    /// The records of conversations in some stores.
    fn records_in(&self, stores: &FxHashSet<StoreIndex>) -> Vec<Records> {
        let records = |(at, artifact): (usize, &Artifact)| {
            let store = self.store_of(artifact);
            let can_be_read = if !stores.contains(&store) || artifact.sealed {
                return None;
            } else if artifact.kind.is_some_and(holds_records) {
                artifact.is_regular() && artifact.oddity == Oddity::None
            } else if artifact.file_type == FileType::Link {
                let name = self.name(artifact).as_encoded_bytes();
                self.cursor(artifact.folder).enter(name).kinds().find(|kind| holds_records(*kind))?;
                false
            } else {
                return None;
            };
            let owner = match artifact.belongs {
                Belongs::Session(session) => Some(session),
                Belongs::Loose => None,
            };
            let file = can_be_read.then(|| (ArtifactIndex::of(at), digest(&artifact.stamp)));
            Some(Records { store, owner, file })
        };
        self.artifacts.iter().enumerate().filter_map(records).collect()
    }

    /// The slugs that records name; none of those that are known to be as they were.
    fn read_slugs(&self, records: Vec<Records>, key: &SlugKey, trusted: bool) -> Vec<Named> {
        let is_known = |of: &Records, state: u64| {
            trusted && of.owner.is_some_and(|owner| self.session(owner).slugs_of.contains(&state))
        };
        let read = |of: Records| {
            let slugs = match of.file {
                None => vec![Slug::ANY],
                Some((_, state)) if is_known(&of, state) => Vec::new(),
                Some((index, _)) => self.slugs_in(index, key),
            };
            Named { of, slugs }
        };
        records.into_par_iter().with_max_len(1).map(read).collect()
    }

    /// Tells sessions which slugs their records name.
    fn learn_slugs(&mut self, found: Vec<Named>, trusted: bool) {
        let mut known: FxHashMap<SessionIndex, (Vec<u64>, Vec<Slug>)> = FxHashMap::default();
        for Named { of, slugs } in found {
            let Some(owner) = of.owner else { continue };
            let (states, all) = known.entry(owner).or_default();
            // What could not be read is read again by the next run.
            if let Some((_, state)) = of.file.filter(|_| !slugs.contains(&Slug::ANY)) {
                // A transcript that has not changed since is not read for slugs again.
                states.push(state);
            }
            all.extend(slugs);
        }
        for (index, (states, slugs)) in known {
            let session = &mut self.sessions[index.at()];
            // Of a sealed one nothing can be read, so what was known of it stays.
            if session.sealed == 0 {
                // What could not be read before may have been read now.
                let stays = |slug: &&Slug| trusted && **slug != Slug::ANY;
                session.slugs = session.slugs.iter().filter(stays).copied().collect();
            }
            session.learn_slugs(&slugs);
            session.slugs_of = states.into();
        }
    }

    /// The slugs in one transcript; any, where it cannot be read.
    fn slugs_in(&self, index: ArtifactIndex, key: &SlugKey) -> Vec<Slug> {
        let artifact = self.artifact(index);
        let read = || {
            let file = self.open(artifact.folder)?.read(self.name(artifact))?;
            search(&file)
        };
        match read() {
            Ok(slugs) if slugs.len() < MOST => slugs.iter().map(|slug| key.slug(slug)).collect(),
            _ => vec![Slug::ANY],
        }
    }
}

/// Whether a file of a kind holds records of a conversation.
fn holds_records(kind: Kind) -> bool {
    matches!(kind, Kind::Transcript | Kind::Subagent | Kind::StrayTranscript)
}

/// The slugs that a plan of a name may be of: `<slug>.md`, `<slug>-agent-<id>.md`, or an unfinished write of one.
fn slugs_of_name(name: &[u8], key: &SlugKey) -> SmallVec<[Slug; 1]> {
    let end = memchr::memmem::rfind(name, b".md").unwrap_or(name.len());
    let stem = &name[..end];
    let agents = memchr::memmem::find_iter(stem, OF_AGENT).map(|at| &stem[..at]);
    std::iter::once(stem).chain(agents).filter(|slug| is_slug(slug)).map(|slug| key.slug(slug)).collect()
}

/// What identifies one state of a transcript.
fn digest(stamp: &FileStamp) -> u64 {
    let mut hasher = Sha256::new();
    let (modified, changed) = (stamp.modified, stamp.changed);
    for part in [
        stamp.device,
        stamp.inode,
        stamp.size,
        modified.seconds().cast_unsigned(),
        u64::from(modified.nanoseconds()),
        changed.seconds().cast_unsigned(),
        u64::from(changed.nanoseconds()),
    ] {
        hasher.update(part.to_le_bytes());
    }
    let digest: [u8; 32] = hasher.finalize().into();
    u64::from_le_bytes(std::array::from_fn(|at| digest[at]))
}

/// Every slug that is written in a file, each once.
fn search(mut file: &File) -> io::Result<FxHashSet<Box<[u8]>>> {
    let finder = Finder::new(b"\"slug\"");
    let (mut found, mut buffer) = (FxHashSet::default(), Vec::with_capacity(CHUNK + LONGEST));
    loop {
        let read = file.by_ref().take(CHUNK as u64).read_to_end(&mut buffer)?;
        // What begins near the end may go on in the next chunk.
        let end = if read == 0 { buffer.len() } else { buffer.len().saturating_sub(LONGEST) };
        for at in finder.find_iter(&buffer).take_while(|at| *at < end) {
            if let Some(slug) = value(&buffer[at + finder.needle().len()..])
                && found.len() < MOST
                && !found.contains(&*slug)
            {
                found.insert(slug);
            }
        }
        if read == 0 {
            return Ok(found);
        }
        buffer.drain(..end);
    }
}

/// The slug behind its key.
fn value(text: &[u8]) -> Option<Box<[u8]>> {
    let text = text.get(..LONGEST).unwrap_or(text).trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let inside = text.strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', inside)?;
    let slug: Box<[u8]> = match inside[end] {
        b'"' => Box::from(&inside[..end]),
        // Escapes are read as JSON has them.
        _ => {
            let mut values = serde_json::Deserializer::from_slice(text).into_iter::<String>();
            values.next()?.ok()?.into_bytes().into()
        }
    };
    is_slug(&slug).then_some(slug)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek as _, Write as _};

    fn found(text: &[u8]) -> Vec<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file.rewind().unwrap();
        let mut all: Vec<String> =
            search(&file).unwrap().iter().map(|slug| String::from_utf8_lossy(slug).into_owned()).collect();
        all.sort();
        all
    }

    #[test]
    fn slugs_are_found_anywhere_and_however_they_are_written() {
        assert_eq!(found(br#"{"slug":"a-plan","x":1}"#), ["a-plan"]);
        assert_eq!(found(br#"{"slug" : "b\u0061d"}{"slug":"c"} "slug":"c""#), ["bad", "c"]);
        // Where a record tells of another, its quotes are escaped.
        assert!(found(br#"{"text":"{\"slug\":\"quoted\"}"}"#).is_empty());
        for none in [
            r#"{"slug":7}"#,
            r#"{"slug":null}"#,
            r#"{"slug":"../x"}"#,
            r#"{"slug":"a/b"}"#,
            r#"{"slug":"."}"#,
            r#"{"slug":"cut"#,
        ] {
            assert!(found(none.as_bytes()).is_empty(), "{none}");
        }
    }

    #[test]
    fn slugs_across_chunks_are_found() {
        for before in (CHUNK - 40..CHUNK + 8).step_by(3).chain([CHUNK - LONGEST, 2 * CHUNK - LONGEST - 3]) {
            let mut text = vec![b' '; before];
            text.extend(br#"{"slug":"a-plan"}"#);
            text.resize(text.len() + 3 * LONGEST, b'\n');
            assert_eq!(found(&text), ["a-plan"], "{before}");
        }
    }

    #[test]
    fn a_plan_is_of_its_slug_and_that_of_its_sessions_agent() {
        let key = SlugKey::random();
        let of = |name: &str| slugs_of_name(name.as_bytes(), &key).into_vec();
        assert_eq!(of("a-plan.md"), [key.slug(b"a-plan")]);
        assert_eq!(of("a-plan-agent-a1.md"), [key.slug(b"a-plan-agent-a1"), key.slug(b"a-plan")]);
        assert_eq!(of("a-plan.md.tmp.0123abcd"), [key.slug(b"a-plan")]);
        assert!(of("..md").is_empty());
    }
}
