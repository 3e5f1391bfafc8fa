//! A document of `check` from anywhere, with texts that may be anybody's.

use super::Document;
use crate::escape::text;

impl Document {
    /// The same with every text as it may be shown: it may have been anybody's.
    pub fn printable(mut self) -> Self {
        for finding in &mut self.findings {
            let words = [&mut finding.id, &mut finding.area, &mut finding.title, &mut finding.remedy];
            words.into_iter().chain(&mut finding.evidence).for_each(|word| *word = text(word.as_str()));
            finding.user = finding.user.as_ref().map(|user| text(user.as_str()));
        }
        for store in &mut self.stores {
            for word in [&mut store.root, &mut store.kind, &mut store.owner] {
                *word = text(word.as_str());
            }
        }
        for schedule in &mut self.schedules {
            schedule.backend = text(schedule.backend.as_str());
            schedule.place = text(schedule.place.as_str());
        }
        for word in [&mut self.host, &mut self.version, &mut self.now] {
            *word = text(word.as_str());
        }
        for left in self.fixed.iter_mut().flat_map(|fixed| &mut fixed.left) {
            left.path = text(left.path.as_str());
            left.why = text(left.why.as_str());
        }
        for word in [&mut self.user, &mut self.machine] {
            *word = word.as_ref().map(|word| text(word.as_str()));
        }
        self
    }
}
