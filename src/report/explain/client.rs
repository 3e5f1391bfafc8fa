//! What the client itself does with a session.

use super::{ClientJson, Explained};
use crate::client::Sweep;
use crate::inventory::Evidence;
use crate::plan::{Decision, Keep};
use crate::report::human::counted;
use crate::report::json::time;

impl Explained<'_> {
    /// When the client itself removes the transcript, and with it the session.
    pub(super) fn client(&self) -> Option<ClientJson> {
        let (at, session) = self.session()?;
        let settings = self.clients.iter().find(|(store, _)| *store == session.store.at())?;
        let never = |because: String| {
            Some(ClientJson { removes: None, days: None, path: None, before_us: false, because })
        };
        match session.evidence {
            Evidence::Sealed => return never("its cleanup does not know sealed files".to_owned()),
            Evidence::Orphaned | Evidence::Unknown => {
                return never(
                    "there is no transcript by which it would remove the session; single files may go by their own dates"
                        .to_owned(),
                );
            }
            Evidence::Transcript => {}
        }
        let written = self.run.inventory.written(session);
        let Some(removal) = settings.1.removal(session.modified?, written) else {
            return never(match settings.1.sweep(None) {
                Sweep::Paused { reason } => format!("its cleanup is paused: {reason}"),
                Sweep::Runs { .. } if session.is_desktop => {
                    "it keeps what the desktop application wrote, unless the server of the organisation has \
                     it treat sessions by HIPAA or zero data retention rules; its cache 'policy-limits.json' \
                     names none"
                        .to_owned()
                }
                Sweep::Runs { .. } if written.is_empty => "it keeps empty transcripts".to_owned(),
                Sweep::Runs { .. } => "its period ends beyond what dates can hold".to_owned(),
            });
        };
        let verdict = self.run.plan.sessions.get(at)?;
        let ours = match verdict.decision {
            Decision::Keep(Keep::Held(_)) => None,
            Decision::Keep(Keep::KeepAtLeast(end)) => Some(end),
            _ => verdict.deletion.map(|(due, _)| due),
        };
        let source = removal
            .path
            .as_ref()
            .map_or_else(|| "its default".to_owned(), |path| format!("'{}'", crate::escape::shown(path)));
        Some(ClientJson {
            removes: Some(time(removal.at)),
            days: Some(removal.days),
            before_us: ours.is_none_or(|due| removal.at < due),
            because: format!("not written to for {} ({source})", counted(removal.days, "day")),
            path: removal.path,
        })
    }
}
