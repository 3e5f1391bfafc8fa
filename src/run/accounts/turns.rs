//! How the time of a run over all accounts is shared out.

use std::time::{Duration, Instant};

use crate::period::Period;
use crate::run::CancelToken;

/// The least that one account may take of what is left: large stores take minutes.
const LEAST_SHARE: Duration = Duration::from_secs(10 * 60);

/// The time that is left, and whether somebody asked for the end before.
pub(crate) struct Turns {
    cancelled: CancelToken,
    end: Instant,
}

impl Turns {
    /// Ends at a signal, once `max_runtime` is over, or after `longest` where nothing else is said.
    pub(crate) fn new(max_runtime: Option<&Period>, longest: Duration) -> Self {
        let limit = max_runtime.and_then(Period::span);
        let limit = limit.map_or(longest, |span| span.to_std().unwrap_or_default());
        let now = Instant::now();
        let end = now.checked_add(limit).unwrap_or(now + longest);
        Self { cancelled: CancelToken::new(max_runtime), end }
    }

    /// Whether somebody asked for the end, by a signal or `--max-runtime`.
    pub(super) fn is_stop_asked(&self) -> bool {
        self.cancelled.asked().is_some()
    }

    pub(super) fn are_over(&self) -> bool {
        self.is_stop_asked() || self.left().is_zero()
    }

    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// How long one of so many accounts may take: no account takes the time of all others.
    pub(super) fn share(&self, accounts: usize) -> Duration {
        let left = self.left();
        let fair = left / u32::try_from(accounts.max(1)).unwrap_or(u32::MAX);
        // Many accounts would leave each too little for its first, large store; who waits is first next time.
        fair.max(LEAST_SHARE.min(left))
    }
}
