//! Every finding there can be: ONE table, a row a finding. Ids and titles are relied on by others.

use serde::Serialize;

use Severity::{High, Info, Low, Medium};

/// How much a finding matters.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// It could be better.
    Low,
    /// Something is not as the policy, or good practice, wants it.
    Medium,
    /// Data is kept or exposed against the policy, or the evidence cannot be relied on.
    High,
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: [Self; 4] = [Self::Info, Self::Low, Self::Medium, Self::High];

    /// The word reports use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Which part of the posture a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Area {
    /// Whether data is kept as the policy says, and whether that can be shown.
    Retention,
    /// Who else could read the data.
    Exposure,
    /// What the client itself keeps, sends and writes.
    Client,
}

impl Area {
    /// The word reports use.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// A row: a finding there can be.
#[derive(Debug)]
pub struct Known {
    /// Its id, which never changes its meaning.
    pub id: &'static str,
    /// Which part of the posture it is about.
    pub area: Area,
    /// How much it matters, where the case says nothing else.
    pub severity: Severity,
    /// What it is.
    pub title: &'static str,
    /// What to do about it, where the case says nothing else.
    pub remedy: &'static str,
}

macro_rules! table {
    ($( $area:ident { $( $name:ident $id:literal $severity:ident $title:literal => $remedy:literal; )* } )*) => {
        /// A finding there can be: what has no row cannot be found.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum FindingId {
            $($( $name ),*),*
        }

        /// Every finding there can be, in the order of [`FindingId`].
        pub static TABLE: &[Known] = &[$($( Known {
            id: $id,
            area: Area::$area,
            severity: $severity,
            title: $title,
            remedy: $remedy,
        } ),*),*];
    };
}

table! {
    Retention {
        Overdue "overdue" High "data is older than the policy allows"
            => "look with `ccretain enforce --dry-run`, then run `ccretain enforce`";
        Unsealed "unsealed" Medium "sessions are in plaintext longer than the policy allows"
            => "run `ccretain enforce`";
        RunMissing "run-missing" Medium "no run has succeeded yet"
            => "run `ccretain enforce`, and `ccretain schedule install` for the next ones";
        RunLate "run-late" Medium "the last run that succeeded is too long ago"
            => "`ccretain schedule status` shows what should have started it";
        RunFailed "run-failed" Medium "the last run failed"
            => "run `ccretain enforce` by hand: it says what is wrong";
        ScheduleMissing "schedule-missing" Medium "no schedule is installed"
            => "`ccretain schedule install`, or as root `ccretain schedule install --system`";
        ScheduleBroken "schedule-broken" Medium "the schedule starts nothing that works"
            => "`ccretain schedule install` renews it";
        ScheduleVersion "schedule-version" Low "the schedule starts another version of this program"
            => "`ccretain schedule install` renews it";
        ScheduleTwice "schedule-twice" Low "more than one schedule is installed"
            => "keep one: `ccretain schedule remove --backend NAME` takes one away";
        ScheduleUnknown "schedule-unknown" Low "what is scheduled cannot be found out"
            => "`ccretain schedule status` says why";
        LedgerBroken "ledger-broken" High "the ledger does not hold together"
            => "`ccretain ledger verify` names the first record that is wrong; keep the files, and look for who changed them";
        LedgerCut "ledger-cut" High "records were removed from the ledger"
            => "compare with a head kept elsewhere (`ccretain ledger verify --head HASH`), and look for who changed the files; it \
                is told until `ledger.keep` has passed";
        LedgerUnreadable "ledger-unreadable" High "the ledger cannot be read"
            => "without it there is no evidence, and no run will start";
        LedgerUnwritable "ledger-unwritable" High "the ledger cannot be written"
            => "without it there is no evidence, and no run will start: give the account its folder back";
        StateUnreadable "state-unreadable" High "what earlier runs remembered cannot be read"
            => "repair it or move it away; roots in unusual places must be named again then";
        GuardRefusal "guard-refusal" Medium "a guard refuses to delete"
            => "look at the plan and confirm it at a terminal: `ccretain enforce`";
        LockHeld "lock-held" Medium "the lock of a store has been held for more than a day"
            => "no run can work on it meanwhile: 'fuser -v STORE/ccretain/lock' names the process that holds it";
        SealedToOthers "sealed-to-others" Medium "sealed sessions are not sealed to today's recipients"
            => "`ccretain rekey --identity FILE` re-encrypts them";
        SealedToUnknown "sealed-to-unknown" Info "of some sealed sessions it is not recorded to whom they are sealed"
            => "`ccretain rekey --all --identity FILE` re-encrypts them and records it";
        SealedUnreadable "sealed-unreadable" Medium "the record of a sealed session cannot be read"
            => "such a session is kept for ever: restore its session.json from a copy, or purge it";
        SealedRedated "sealed-redated" Medium "the record of a sealed session says a later date than when it was sealed"
            => "managed rules go by the date that was known; look who has written to 'ccretain/sealed' in the store";
        CopiesLeft "copies-left" Medium "there are preservation copies of holds that do not exist"
            => "no run removes them: `ccretain hold release NAME --reason TEXT` does";
        Leftovers "leftovers" Medium "an interrupted run left unfinished files"
            => "they may hold plaintext; the next `ccretain enforce` removes them";
        UnrecognisedGrowing "unrecognised-growing" Low "files that are not in the catalogue become more"
            => "a newer version of ccretain may know them; `ccretain status -v` and `ccretain explain PATH` tell more";
        Unrecognised "unrecognised" Info "there are files that are not in the catalogue"
            => "they are never touched; `ccretain enforce --dry-run -v` names them";
        KeptPastDue "kept-past-due" Medium "sessions are still there past the date that managed rules set"
            => "`ccretain explain SESSION` says what keeps each: a session in use, a hold, a date, a name";
        NoDeleteRule "no-delete-rule" Low "no rule ever deletes some sessions"
            => "give the policy a rule without a selector; `ccretain policy show` shows what is in force";
        FutureDated "future-dated" Low "sessions are dated in the future, and so kept"
            => "look whether the clock was wrong when they were written";
        Undated "undated" Low "sessions have no date that can be read, and so are kept"
            => "`ccretain explain SESSION` says what is missing";
        OwnerUnknown "owner-unknown" Low "files belong to sessions that cannot be found, and so are kept"
            => "make every store readable: then it can be known whether the session is gone";
        HeldVanished "held-vanished" Medium "what was held is gone, and ccretain did not remove it"
            => "restore it from a copy; `ccretain hold add --preserve` keeps copies that Claude Code's own cleanup does not reach";
        CameBack "came-back" Medium "sessions that were deleted are there again"
            => "stop what brings them back; the next run deletes them again at their date";
        RootMissing "root-missing" Medium "a store that was seen before is missing"
            => "mount it, or name it in 'stores.exclude' if it is gone for good";
        RootRefused "root-refused" Medium "a folder was refused as a store, so nothing in it is kept to the policy"
            => "do what is said, or name it in 'stores.exclude' or 'stores.extra'";
        Unreadable "unreadable" Medium "something could not be read, so nothing is known of it"
            => "give the account access to it";
        AccountLeftOut "account-left-out" Medium "Claude Code data of an account is not handled by the runs over all users"
            => "`ccretain --all-users enforce` as root says which and why; an account that was not reached is the first of the next run";
        OutOfReach "out-of-reach" High "session data lies where no run can reach it"
            => "mount it, repair the link, or move it into the store: `ccretain enforce --dry-run` names each place";
        AccountUnchecked "account-unchecked" Medium "an account could not be checked"
            => "what is said there must be repaired first";
        PolicyInvalid "policy-invalid" High "the policy cannot be used, so no run will start"
            => "`ccretain policy check FILE` says what is wrong with it";
        PolicyComplaint "policy-complaint" Medium "something is wrong with the policy"
            => "`ccretain policy show` shows what is in force";
        PolicyIgnored "policy-ignored" Low "a file among the policies of the machine is not read"
            => "name it *.json in small letters, without a dot in front, or move it out of policy.d";
        PolicySuspended "policy-suspended" High "no period is in force, so nothing is deleted"
            => "repair Claude Code's settings, or set 'deleteAfter' in a policy";
        AuditMode "audit-mode" Low "the policy only reports and deletes nothing"
            => "set \"mode\": \"enforce\" once the reports are as they should be";
    }
    Exposure {
        StoreReadable "store-readable" High "others can read a store"
            => "`ccretain check --fix` makes it private";
        StoreGroupWritable "store-group-writable" Medium "a group can write to a store"
            => "`ccretain check --fix` makes it private";
        FilesReadable "files-readable" Medium "others can read files of a store"
            => "`ccretain check --fix` makes it private";
        CredentialsLoose "credentials-loose" High "files with keys or tokens are open to others"
            => "`ccretain check --fix` makes it private; rotate the credentials if others use this machine";
        HeapSnapshot "heap-snapshot" Medium "there are memory snapshots of Claude Code"
            => "they hold the conversation and credentials: delete them once they were looked at";
        IdentityLoose "identity-loose" High "others can read the key that opens sealed files"
            => "chmod 600 it, make a new one with `ccretain key new`, and re-encrypt with `ccretain rekey`";
        PolicyWritable "policy-writable" High "others can write the policy, the holds or the identity"
            => "take their access away (chmod go-w), and look whether somebody has changed them";
        OwnFilesLoose "own-files-loose" Medium "others can read ccretain's own records"
            => "chmod 700 the folder: ledger and state name projects and sessions";
    }
    Client {
        ClientPeriodShorter "client-period-shorter" Medium "Claude Code removes sessions before the policy lets them go"
            => "deploy what `ccretain harden --emit` prints as managed settings";
        ClientRemovesHeld "client-removes-held" Medium "Claude Code will remove what is held"
            => "`ccretain hold add --preserve` keeps copies; or deploy what `ccretain harden --emit` prints";
        ClientPeriodLonger "client-period-longer" Low "Claude Code keeps sessions longer than the policy"
            => "ccretain deletes them in time; deploy what `ccretain harden --emit` prints so that Claude Code does too";
        ClientSweepPaused "client-sweep-paused" Low "Claude Code's own cleanup is paused"
            => "repair the settings file that is named, or deploy what `ccretain harden --emit` prints";
        ClientPeriodOverridden "client-period-overridden" Low "a repository sets Claude Code's period"
            => "only a managed period cannot be overridden: deploy what `ccretain harden --emit` prints";
        ClientDesktopKept "client-desktop-kept" Info "Claude Code never removes sessions of the desktop application"
            => "ccretain does; a managed 'cleanupPeriodDays' makes Claude Code do it too";
        ClientZeroPeriod "client-zero-period" Low "a period of 0 makes older versions of Claude Code delete everything"
            => "take the period away, or write the number of days that is meant";
        ClientNewer "client-newer" Low "a version of Claude Code that ccretain does not know wrote here"
            => "update ccretain; until then what that version leaves under new names stays, and `ccretain status` counts it as unrecognised";
        ClientMetrics "client-metrics" Low "Claude Code sends metrics"
            => "set DISABLE_TELEMETRY=1 in managed settings (`ccretain harden --emit`); it also ends Remote Control";
        ClientErrorReports "client-error-reports" Low "Claude Code may send error reports"
            => "set DISABLE_ERROR_REPORTING=1 in managed settings (`ccretain harden --emit`)";
        ClientFeedback "client-feedback" Low "/feedback, /bug and /share send transcripts, which the vendor keeps for 5 years"
            => "set DISABLE_FEEDBACK_COMMAND=1 (older versions: DISABLE_BUG_COMMAND=1) in managed settings (`ccretain harden --emit`)";
        ClientSurvey "client-survey" Low "the session quality survey is on, and may ask for the transcript"
            => "set CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY=1 in managed settings (`ccretain harden --emit`)";
        ClientSwitchOverridden "client-switch-overridden" Low "a repository turns on what other settings turn off"
            => "only managed settings cannot be overridden: deploy what `ccretain harden --emit` prints";
        ClientSwitchOdd "client-switch-odd" Low "a switch has a value that does not mean what it seems to"
            => "write 1 for on, and take the variable away for off";
        ClientProvider "client-provider" Info "a third-party provider changes what Claude Code sends by default"
            => "nothing to do";
        ClientWritesNothing "client-writes-nothing" Info "Claude Code is told to write no transcripts"
            => "nothing to do; sessions cannot be resumed then";
        ServerSideRetention "server-side-retention" Info "what was sent to a server is kept there, which cannot be seen from here"
            => "delete there what can be deleted; `ccretain check --services` says what is sent from here";
    }
}

impl FindingId {
    /// The row.
    pub fn known(self) -> &'static Known {
        &TABLE[self as usize]
    }
}
