//! Pid files that cannot be read, each of which may be of any session.

use chrono::{DateTime, Utc};

use super::{Liveness, PidRecord, Place, Processes, judge, judge_checked};

/// What the pid files that cannot be read say together.
#[derive(Debug, Default)]
pub struct Unread {
    any: Option<PidRecord>,
    /// One counts however long nothing touched a session.
    always: bool,
    /// One counts where no date says when a session was touched.
    untouched: bool,
    checked: Liveness,
}

impl Unread {
    pub fn add(
        &mut self,
        record: &PidRecord,
        place: &Place<'_>,
        processes: &dyn Processes,
        now: DateTime<Utc>,
    ) {
        let lives = |touched| judge(record, processes, touched, now).is_live();
        self.always |= lives(Some(DateTime::<Utc>::MIN_UTC));
        self.untouched |= lives(None);
        if !self.checked.is_live() {
            self.checked = judge_checked(record, place, processes, now);
        }
        self.any.get_or_insert_with(|| record.clone());
    }

    /// Whether one may be of a session of which anything was touched then.
    pub fn judge(
        &self,
        touched: Option<DateTime<Utc>>,
        processes: &dyn Processes,
        now: DateTime<Utc>,
    ) -> Liveness {
        let is_live = match touched.filter(|touched| *touched <= now) {
            None => self.untouched,
            // Where no file counts by its own date, all of them count for as long as the session's does.
            Some(touched) => {
                let lives = |record| judge(record, processes, Some(touched), now).is_live();
                self.always || self.any.as_ref().is_some_and(lives)
            }
        };
        if is_live { Liveness::Unread } else { Liveness::Dead }
    }

    /// The same by what can be checked.
    pub fn checked(&self) -> Liveness {
        self.checked
    }
}
