//! One certificate for all accounts of a machine: what each account's run came to, taken together.

use std::collections::BTreeMap;

use super::certificate::{
    Counts, Exception, ExceptionReason, Identity, Left, Parts, Proof, ResidualRisk, SeenWord, Verification,
};

/// Takes the facts of several accounts together; what only the parent knows (its id, policy,
/// operator, host, ledger) is that of `whole`, which has none of the accounts' facts yet.
pub fn merge(mut whole: Parts, of_accounts: Vec<Parts>) -> Parts {
    let mut counts = Counts::default();
    let mut verification = None;
    let mut risks: BTreeMap<usize, ResidualRisk> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    let mut identity = Identity::None;
    for account in of_accounts {
        counts.merge(&account.counts);
        verification = Some(match verification {
            None => account.verification,
            Some(before) => together(before, account.verification),
        });
        whole.ended = whole.ended.max(account.ended);
        whole.stores.extend(account.stores);
        whole.exceptions.extend(account.exceptions);
        whole.remaining.extend(account.remaining);
        whole.method.scope.left_out.extend(account.method.scope.left_out);
        identity = match (identity, account.method.identity) {
            // One key that stays can still open sealed copies elsewhere, so one is enough to say it.
            (Identity::Kept, _) | (_, Identity::Kept) => Identity::Kept,
            (Identity::Removed, _) | (_, Identity::Removed) => Identity::Removed,
            (Identity::None, Identity::None) => Identity::None,
        };
        for risk in account.residual_risks {
            // In the order in which the first account told them, so that equal facts give equal bytes.
            let at = order.iter().position(|id| *id == risk.id).unwrap_or_else(|| {
                order.push(risk.id.clone());
                order.len() - 1
            });
            match risks.remove(&at) {
                None => risks.insert(at, risk),
                Some(known) => risks.insert(at, worse(known, risk)),
            };
        }
    }
    whole.counts = counts;
    whole.verification = verification.unwrap_or_else(Verification::not_made);
    whole.method.identity = identity;
    whole.residual_risks = risks.into_values().collect();
    whole
}

fn together(one: Verification, other: Verification) -> Verification {
    let rank = |proof: Proof| match proof {
        Proof::NothingLeft => 0,
        Proof::Unreadable => 1,
        Proof::Left => 2,
        // One account that was not looked at again is enough: the certificate speaks of the whole machine.
        Proof::NotMade => 3,
    };
    let result = if rank(other.result) > rank(one.result) { other.result } else { one.result };
    let (mine, theirs) = (one.left, other.left);
    Verification {
        time: one.time.max(other.time),
        result,
        roots: one.roots.saturating_add(other.roots),
        files: one.files.saturating_add(other.files),
        left: Left {
            sessions: mine.sessions.saturating_add(theirs.sessions),
            files: mine.files.saturating_add(theirs.files),
            lines: mine.lines.saturating_add(theirs.lines),
            bytes: mine.bytes.saturating_add(theirs.bytes),
        },
        ..one
    }
}

/// What was seen for one account is there; what could not be told for one cannot be told.
fn worse(one: ResidualRisk, other: ResidualRisk) -> ResidualRisk {
    let rank = |seen: SeenWord| match seen {
        SeenWord::No => 0,
        SeenWord::Unknown => 1,
        SeenWord::Yes => 2,
    };
    // "Unknown" goes before "no": a risk that could not be looked for in one home is not ruled out.
    let (mut worse, mut other) = if rank(other.seen) > rank(one.seen) { (other, one) } else { (one, other) };
    let new = other.evidence.drain(..).filter(|sighting| !worse.evidence.contains(sighting));
    let new: Vec<_> = new.collect();
    worse.evidence.extend(new);
    worse
}

/// An account of which nothing is certified, because it was left out or its run was refused.
pub fn left_out(home: String, why: String) -> Exception {
    Exception { reason: ExceptionReason::Refused, path: home, detail: why, bytes: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn risk(seen: SeenWord, note: &str) -> ResidualRisk {
        ResidualRisk {
            id: "swap".into(),
            title: String::new(),
            seen,
            reason: None,
            evidence: vec![super::super::certificate::Sighting { path: None, note: note.into() }],
            remedy: String::new(),
        }
    }

    #[test]
    fn the_worst_of_what_was_seen_is_what_is_there() {
        let both = worse(risk(SeenWord::No, "a"), risk(SeenWord::Yes, "b"));
        assert_eq!((both.seen, both.evidence.len()), (SeenWord::Yes, 2));
        assert_eq!(worse(risk(SeenWord::Unknown, "a"), risk(SeenWord::No, "a")).evidence.len(), 1);
    }

    #[test]
    fn a_scan_that_was_not_made_for_one_is_not_made_for_all() {
        let made = Verification::scanned(chrono::DateTime::UNIX_EPOCH, 2, 3, Left::default(), true);
        let both = together(made.clone(), Verification::not_made());
        assert_eq!((both.result, both.roots), (Proof::NotMade, 2));
        assert_eq!(together(made.clone(), made).files, 6);
    }
}
