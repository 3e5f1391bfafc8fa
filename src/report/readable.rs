//! What of encrypted sessions stays readable: prompts, pastes and plans lie in files that sessions share.

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use super::Run;
use super::human::counted;
use crate::catalogue::{Kind, SessionId};
use crate::inventory::lines::Format;
use crate::inventory::{Session, StoreIndex};
use crate::plan::Decision;

/// What is in plaintext of sessions that are encrypted, or that this run encrypts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readable {
    /// Prompts in lists of prompts, `history.jsonl` above all.
    pub prompts: u64,
    /// Their bytes.
    pub prompt_bytes: u64,
    /// Pasted texts.
    pub pastes: u64,
    /// Their bytes.
    pub paste_bytes: u64,
    pub plans: u64,
    /// Their bytes.
    pub plan_bytes: u64,
}

impl Readable {
    /// Whether there is none of it.
    pub fn is_empty(&self) -> bool {
        self.prompts + self.pastes + self.plans == 0
    }

    pub fn words(&self) -> String {
        let parts = [
            (self.prompts, "prompt", " in history.jsonl"),
            (self.pastes, "pasted text", ""),
            (self.plans, "plan", ""),
        ];
        let parts = parts.into_iter().filter(|(count, ..)| *count > 0);
        parts.map(|(count, noun, place)| counted(count, noun) + place).collect::<Vec<_>>().join(", ")
    }
}

impl Run<'_> {
    /// What stays readable of the sessions that are encrypted once this run is done.
    pub fn readable(&self) -> Readable {
        let is_encrypted = |(session, verdict): &(&Session, &crate::plan::Verdict)| match verdict.decision {
            Decision::Delete(_) => false,
            Decision::Seal(_) => self.is_done(session, verdict),
            _ => session.sealed > 0,
        };
        let sessions = self.inventory.sessions.iter().zip(&self.plan.sessions).filter(is_encrypted);
        let sessions: FxHashMap<SessionId, &Session> =
            sessions.map(|(session, _)| (session.id, session)).collect();
        let mut readable = Readable::default();
        if sessions.is_empty() {
            return readable;
        }
        let mut hashes: FxHashSet<(StoreIndex, &str)> = FxHashSet::default();
        for (at, file) in self.inventory.line_files.iter().enumerate() {
            if file.content.format == Format::Entries {
                continue;
            }
            let store = self.inventory.store_of(self.inventory.artifact(file.artifact));
            let stays = |line: usize| {
                let decision = self.plan.lines.get(at).and_then(|lines| lines.get(line));
                let owner = file.content.lines.get(line).and_then(|line| line.session);
                owner.is_some_and(|id| sessions.contains_key(&id))
                    && decision.is_none_or(|decision| matches!(decision, Decision::Keep(_)))
            };
            for (number, line) in file.content.lines.iter().enumerate().filter(|(number, _)| stays(*number)) {
                let _ = number;
                readable.prompts += 1;
                readable.prompt_bytes += line.end.saturating_sub(line.start);
            }
            let referring = file.content.references.iter().filter(|(_, line)| stays(*line as usize));
            hashes.extend(referring.map(|(hash, _)| (store, &**hash)));
        }
        let slugs: FxHashSet<_> = sessions.values().flat_map(|session| session.slugs.iter()).collect();
        for (at, artifact) in self.inventory.artifacts.iter().enumerate() {
            let stays = || matches!(self.plan.decisions.get(at), Some(Decision::Keep(_)));
            match artifact.kind {
                Some(Kind::Paste) if !hashes.is_empty() => {
                    let name = self.inventory.name(artifact).to_string_lossy();
                    let hash = name.strip_suffix(".txt").unwrap_or(&name);
                    if hashes.contains(&(self.inventory.store_of(artifact), hash)) && stays() {
                        readable.pastes += 1;
                        readable.paste_bytes += artifact.stamp.size;
                    }
                }
                Some(Kind::Plan) if !slugs.is_empty() => {
                    let of = self.inventory.plans.get(&artifact.key());
                    if of.is_some_and(|of| of.iter().any(|slug| slugs.contains(slug))) && stays() {
                        readable.plans += 1;
                        readable.plan_bytes += artifact.stamp.size;
                    }
                }
                _ => {}
            }
        }
        readable
    }
}
