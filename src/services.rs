//! What the vendor keeps on its servers and what Claude Code sends there by default: facts of the
//! vendor's public pages, each with the date of the page. The one place for them: checks,
//! certificates, the manual and LIMITS.md are made from these tables.

use crate::findings::FindingId;

/// A public page and when it said what is cited here.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// Its address.
    pub url: &'static str,
    /// The date of the copy that was read.
    pub date: &'static str,
}

impl Page {
    /// The last part of its address.
    pub fn name(&self) -> &'static str {
        self.url.rsplit('/').next().unwrap_or(self.url)
    }
}

/// What is known of the date of a page that bears none.
// What the vendor keeps may change at any time, so each statement bears the day of the page it is from.
const UNDATED: &str = "undated, read in November 2026";

/// How Claude Code's data are used and kept.
pub static DATA_USAGE: Page = Page { url: "code.claude.com/docs/en/data-usage", date: UNDATED };
/// What zero data retention covers.
pub static ZERO_RETENTION: Page = Page { url: "code.claude.com/docs/en/zero-data-retention", date: UNDATED };
/// What the API keeps, by feature.
pub static API: Page =
    Page { url: "platform.claude.com/docs/en/manage-claude/api-and-data-retention", date: "September 2026" };
/// What the Compliance API holds of sessions.
pub static COMPLIANCE: Page =
    Page { url: "platform.claude.com/docs/en/manage-claude/compliance-sessions", date: "29 September 2026" };

/// A class of data that the vendor keeps.
#[derive(Debug)]
pub struct Kept {
    /// Its id, which never changes its meaning.
    pub id: &'static str,
    /// What it is, and whose.
    pub what: &'static str,
    /// For how long it is kept.
    pub period: &'static str,
    /// What deletes it, or keeps it from being made.
    pub deleted_by: &'static str,
    /// The page that says so.
    pub page: &'static Page,
}

impl Kept {
    /// All of it in a sentence, for reports.
    pub fn sentence(&self) -> String {
        let Self { what, period, deleted_by, page, .. } = self;
        format!("{what}: {period}; {deleted_by} ({}, {})", page.url, page.date)
    }
}

/// Every class.
pub static KEPT: &[Kept] = &[
    Kept {
        id: "consumer-training",
        what: "sessions of consumer accounts (Free, Pro, Max) whose setting lets them improve models",
        period: "5 years",
        deleted_by: "the setting is at claude.ai/settings/data-privacy-controls",
        page: &DATA_USAGE,
    },
    Kept {
        id: "consumer",
        what: "sessions of consumer accounts whose setting does not",
        period: "30 days",
        deleted_by: "the vendor deletes them after that",
        page: &DATA_USAGE,
    },
    Kept {
        id: "commercial",
        what: "sessions of commercial accounts (Team, Enterprise, API)",
        period: "30 days",
        deleted_by: "the vendor deletes them after that",
        page: &DATA_USAGE,
    },
    Kept {
        id: "zero-data-retention",
        what: "sessions of organisations with zero data retention, which Anthropic enables for each \
               qualified Claude Enterprise organisation",
        period: "not kept",
        deleted_by: "not covered are Cowork in Claude Desktop, chats on claude.ai, usage metadata, \
                     MCP servers, policy violations, and the transcripts on this disk",
        page: &ZERO_RETENTION,
    },
    Kept {
        id: "policy-violation",
        what: "sessions flagged as a violation of the usage policy, under zero data retention too",
        period: "up to 2 years",
        deleted_by: "no setting shortens that",
        page: &ZERO_RETENTION,
    },
    Kept {
        id: "files-api",
        what: "files uploaded with the Files API, under zero data retention too",
        period: "until the customer deletes them",
        deleted_by: "DELETE /v1/files/{file_id} does",
        page: &API,
    },
    Kept {
        id: "feedback",
        what: "transcripts sent with /feedback, /bug or /share",
        period: "5 years",
        deleted_by: "DISABLE_FEEDBACK_COMMAND=1 keeps them from being sent",
        page: &DATA_USAGE,
    },
    Kept {
        id: "survey-transcript",
        what: "the transcript that is sent where somebody answers Yes to the question after the \
               session survey",
        period: "up to 6 months",
        deleted_by: "CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY=1 keeps it from being asked for",
        page: &DATA_USAGE,
    },
    Kept {
        id: "compliance-api",
        what: "local sessions of Claude Enterprise accounts, where the organisation has enabled the \
               Compliance API",
        period: "6 years by default on this page, or the period that the organisation sets for conversations; \
                 30 days by what was known before",
        deleted_by: "the API does not delete them; under zero data retention and HIPAA readiness none \
                     are captured",
        page: &COMPLIANCE,
    },
];

/// Who runs the models that Claude Code talks to.
#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its id.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The variable that chooses it; the first of the table that is set counts.
    pub variable: Option<&'static str>,
}

/// Every provider; the vendor itself last, as the one where no variable is set.
pub static PROVIDERS: [Provider; 5] = [
    Provider { id: "bedrock", name: "Amazon Bedrock", variable: Some("CLAUDE_CODE_USE_BEDROCK") },
    Provider { id: "vertex", name: "Google Vertex AI", variable: Some("CLAUDE_CODE_USE_VERTEX") },
    Provider { id: "foundry", name: "Microsoft Foundry", variable: Some("CLAUDE_CODE_USE_FOUNDRY") },
    Provider {
        id: "claude-platform-aws",
        name: "Claude Platform on AWS",
        variable: Some("CLAUDE_CODE_USE_ANTHROPIC_AWS"),
    },
    Provider { id: "claude-api", name: "Claude API", variable: None },
];

/// What holds where nothing is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usual {
    /// It is sent.
    On,
    /// It is sent for accounts with a Pro or Max subscription.
    OnForSome,
    /// It is not sent.
    Off,
}

impl Usual {
    /// The word reports use.
    pub fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::OnForSome => "on (Pro, Max)",
            Self::Off => "off",
        }
    }
}

/// Something that Claude Code sends beside the conversation itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// Its id.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The finding that says it is on; none where nothing of a session is sent.
    pub finding: Option<FindingId>,
    /// What turns it off: variables, and keys of settings files; the last one is the strongest.
    pub setting: &'static str,
    /// What holds where nothing is set, in the order of [`PROVIDERS`].
    usual: [Usual; 5],
    /// The variable that turns it on with another provider than the vendor itself.
    pub despite: Option<&'static str>,
    /// What an earlier version of the page said, where that was something else.
    pub changed: Option<&'static str>,
}

impl Service {
    /// What holds where nothing is set.
    pub fn usual(&self, provider: &Provider) -> Usual {
        let rows = PROVIDERS.iter().zip(self.usual);
        // In doubt it is sent: a finding too many costs a look.
        rows.into_iter().find(|(row, _)| *row == provider).map_or(Usual::On, |(_, usual)| usual)
    }
}

use Usual::{Off, On, OnForSome};

/// Every service, as [`DATA_USAGE`] has them.
pub static SERVICES: [Service; 5] = [
    Service {
        id: "metrics",
        name: "usage metrics",
        finding: Some(FindingId::ClientMetrics),
        setting: "DISABLE_TELEMETRY, DO_NOT_TRACK, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        usual: [Off, Off, Off, Off, On],
        despite: Some("CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST"),
        changed: None,
    },
    Service {
        id: "error-reports",
        name: "error reports",
        finding: Some(FindingId::ClientErrorReports),
        setting: "DISABLE_ERROR_REPORTING, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        usual: [Off, Off, Off, Off, OnForSome],
        despite: None,
        changed: None,
    },
    Service {
        id: "feedback",
        name: "/feedback reports",
        finding: Some(FindingId::ClientFeedback),
        setting: "DISABLE_FEEDBACK_COMMAND, DISABLE_BUG_COMMAND, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        usual: [Off, Off, Off, Off, On],
        despite: None,
        changed: None,
    },
    Service {
        id: "survey",
        name: "session survey",
        finding: Some(FindingId::ClientSurvey),
        setting: "CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY, DISABLE_TELEMETRY, DO_NOT_TRACK, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC, feedbackSurveyRate",
        usual: [On, On, On, On, On],
        despite: None,
        changed: Some(
            "with Bedrock, Vertex and Foundry off on the page of February 2026, on on the undated one read in \
             November 2026",
        ),
    },
    Service {
        id: "web-fetch-check",
        name: "WebFetch check",
        finding: None,
        setting: "skipWebFetchPreflight",
        usual: [On, On, On, On, On],
        despite: None,
        changed: None,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_is_its_own_and_is_dated() {
        let ids = |ids: Vec<&'static str>| ids.into_iter().collect::<BTreeSet<_>>().len();
        assert_eq!(ids(KEPT.iter().map(|row| row.id).collect()), KEPT.len());
        assert_eq!(ids(SERVICES.iter().map(|row| row.id).collect()), SERVICES.len());
        assert_eq!(ids(PROVIDERS.iter().map(|row| row.id).collect()), PROVIDERS.len());
        for row in KEPT {
            assert!(row.page.date.ends_with("2026") && !row.page.url.contains("://"), "{}", row.id);
            assert!(!row.sentence().contains("  "), "{}", row.sentence());
        }
        assert_eq!(PROVIDERS.iter().filter(|row| row.variable.is_none()).count(), 1);
    }

    #[test]
    fn what_a_third_party_provider_turns_off_is_in_the_table() {
        let [bedrock, .., vendor] = &PROVIDERS;
        let off = SERVICES.iter().filter(|service| service.usual(bedrock) == Usual::Off);
        assert_eq!(
            off.map(|service| service.id).collect::<Vec<_>>(),
            ["metrics", "error-reports", "feedback"]
        );
        assert!(SERVICES.iter().all(|service| service.usual(vendor) != Usual::Off));
    }
}
