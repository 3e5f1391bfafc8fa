//! The table itself. Long because it is a table: a row a kind, nothing else.
//!
//! Order matters where two patterns fit one name: the first row wins.

use super::root::Root::{Cache, Config, DebugLogs, Desktop, HeapDumps, Home, Temp, TempNeighbours};
use super::{Class, Disposal, Owner, Protection, Row, Sensitivity};

const AGE: Protection = Protection::ByAge;
const UNLESS_LIVE: Protection = Protection::UnlessLive;
const PURGE: Protection = Protection::UntilPurge;
const CREDENTIALS: Protection = Protection::With(Class::Credentials);
const SETTINGS: Protection = Protection::With(Class::Settings);
const MEMORY: Protection = Protection::With(Class::Memory);

catalogue! {
    // What a session consists of.

    /// The conversation itself, JSON lines, with set-aside copies of it.
    Transcript "transcript": Session File Content seal AGE => [
        Config "projects/<P>/<S>.jsonl",
        Config "projects/<P>/<S>.jsonl.superseded-<*>",
        Config "projects/<P>/<S>.orphaned-<*>.jsonl",
    ];
    /// The conversation of a subagent; in older clients beside the transcripts.
    Subagent "subagent": Content File Content seal AGE => [
        Config "projects/<P>/<S>/subagents/agent-<*>.jsonl",
        Config "projects/<P>/<S>/subagents/workflows/<*>/agent-<*>.jsonl",
        Config "projects/<P>/agent-<hex>.jsonl",
    ];
    /// Type and description of a subagent.
    SubagentMeta "subagent-meta": Session File Content seal AGE => [
        Config "projects/<P>/<S>/subagents/agent-<*>.meta.json",
        Config "projects/<P>/<S>/subagents/workflows/<*>/agent-<*>.meta.json",
    ];
    /// Large tool output, kept out of the transcript.
    ToolResult "tool-result": Session File Content seal AGE => [
        Config "projects/<P>/<S>/tool-results/<**>",
    ];
    /// State of workflows, remote agents and MCP tasks of a session.
    SessionState "session-state": Session File Content seal AGE => [
        Config "projects/<P>/<S>/workflows/<**>",
        Config "projects/<P>/<S>/subagents/workflows/<*>/journal.jsonl",
        Config "projects/<P>/<S>/remote-agents/<**>",
        Config "projects/<P>/<S>/mcp-tasks/<**>",
        Config "projects/<P>/<S>/session-memory/<**>",
    ];
    /// Titles, recordings and other side files of a session.
    SessionSide "session-side": Session File Content seal AGE => [
        Config "projects/<P>/<S>/<*>.json",
        Config "projects/<P>/<S>/<n>.cast",
        Config "projects/<P>/<S>.cast",
        Config "projects/<P>/<S>.ccr-tip.json",
        Config "projects/<P>/<S>.precompact.json",
        Config "projects/<P>/<S>.dir-sync<*>.json",
        Config "projects/<P>/<S>.dir-sync.json",
        Config "projects/<P>/<S>.cloud-worktrees.json",
        Config "projects/<P>/<S>.desktop-released.json",
        Config "projects/<P>/<S>.jsonl.tmp.<*>",
        Config "projects/<P>/<S>.jsonl.compact.tmp.<*>",
        Config "projects/<P>/<S>.<*>.json.tmp.<*>",
    ];
    /// Anything else in a session's own folder, which Claude Code removes with the transcript.
    SessionFile "session-file": Session File Content seal AGE => [Config "projects/<P>/<S>/<**>"];
    /// Copies of files the session edited.
    FileHistory "file-history": Session File Content seal AGE => [Config "file-history/<S>/<**>"];
    /// Images pasted into a session.
    Image "image": Session File Content seal AGE => [Config "image-cache/<S>/<**>"];
    /// Files uploaded into a session.
    Upload "upload": Session File Content seal AGE => [Config "uploads/<S>/<**>"];
    /// Scripts that hooks left for a session's shell.
    SessionEnv "session-env": Session File Secret seal AGE => [Config "session-env/<S>/<**>"];
    /// Task lists.
    Task "task": Session File Content seal AGE => [Config "tasks/<S>/<**>"];
    /// Task lists of older clients.
    Todo "todo": Session File Content seal AGE => [
        Config "todos/<S>-agent-<*>.json",
        Config "todos/<S>.json",
    ];
    /// Modules of a development session.
    DevMod "dev-mod": Session File Content seal AGE => [Config "dev-mods/<S>/<**>"];
    /// The debug log of a session.
    DebugLog "debug-log": Session File Content seal AGE => [
        Config "debug/<S>.txt",
        // Rotated at 10 MiB.
        Config "debug/<S>.<n>.txt",
        Config "debug/sdk-<S>.txt",
        DebugLogs "<S>.txt",
        DebugLogs "<S>.<n>.txt",
        DebugLogs "sdk-<S>.txt",
    ];
    /// Dumps of requests.
    RequestDump "request-dump": Session File Content seal AGE => [Config "dump-prompts/<S>.jsonl"];
    /// Summaries of sessions for the usage report.
    UsageSummary "usage-summary": Session File Content seal AGE => [
        Config "usage-data/facets/<S>.json",
        Config "usage-data/session-meta/<S>.json",
    ];
    /// Background output, scratch files and images of a session, in the temp tree.
    TempFile "temp-file": Session File Content seal AGE => [
        Temp "<P>/<S>/<**>",
        // Where paths have to be short.
        Temp "s/<digits>/<**>",
        // Of versions 2.1.x before the folder of a session; large output has a second name in the session's own.
        Temp "<P>/tasks/<*>.output",
        // Older clients, and those of Windows, have a tree without an account's number.
        TempNeighbours "claude/<P>/<S>/<**>",
    ];
    /// A snapshot of the client's memory, conversation and credentials included.
    HeapSnapshot "heap-snapshot": Session File Secret plain AGE => [
        HeapDumps "<S>.heapsnapshot",
        HeapDumps "<S>-<*>.heapsnapshot",
        HeapDumps "<S>-diagnostics.json",
        HeapDumps "<S>-<*>-diagnostics.json",
        Home "<S>.heapsnapshot",
        Home "<S>-diagnostics.json",
    ];
    /// The record of a running client; it goes with its session once the process is gone.
    PidFile "pid-file": Content File Metadata plain UNLESS_LIVE => [Config "sessions/<n>.json"];

    // Line and index files.

    /// Every prompt ever typed, one a line.
    History "history": Loose Lines Content plain AGE => [Config "history.jsonl"];
    /// The client's global file: account, projects, in old clients prompts.
    GlobalConfig "global-config": Loose Lines Secret plain SETTINGS => [
        Config ".claude.json",
        Home ".claude.json",
    ];
    /// Copies of the global file.
    ConfigBackup "config-backup": Loose Lines Secret plain AGE => [
        Config "backups/.claude.json.backup.<ms>",
        Config "backups/.claude.json.corrupted.<ms>",
        Config ".claude.json.backup",
        Config ".claude.json.backup.<n>",
        Config ".claude.json.corrupted.<n>",
        Config ".claude.json.bak",
        Home ".claude.json.bak",
        Home ".claude.json.backup",
        Home ".claude.json.backup.<n>",
        Home ".claude.json.corrupted.<n>",
    ];
    /// The list of sessions of a project, with first prompts.
    SessionsIndex "sessions-index": Loose Index Content plain AGE => [Config "projects/<P>/sessions-index.json"];
    /// Title and session of a conversation of the desktop application.
    DesktopIndex "desktop-index": Content File Content plain AGE => [
        Desktop "claude-code-sessions/<*>/<*>/local_<*>.json",
        Desktop "local-agent-mode-sessions/<*>/<*>/local_<*>.json",
        Desktop "local-agent-mode-sessions/<*>/<*>/agent/local_ditto_<*>.json",
    ];
    /// The mark of the desktop application that its user deleted a conversation.
    DesktopTombstone "desktop-tombstone": Session File Metadata plain AGE => [
        Desktop "claude-code-sessions/<*>/<*>/deleted_<S>",
    ];
    /// The hash-chained log of a Cowork session; whole or not at all.
    CoworkAudit "cowork-audit": Loose File Content plain AGE => [
        Desktop "local-agent-mode-sessions/<*>/<*>/local_<*>/audit.jsonl",
        Desktop "local-agent-mode-sessions/<*>/<*>/agent/local_ditto_<*>/audit.jsonl",
    ];
    /// Files that went into a Cowork session and came out of it; they go with the session that its index names.
    CoworkFile "cowork-file": Found File Content plain AGE => [
        Desktop "local-agent-mode-sessions/<*>/<*>/local_<*>/uploads/<**>",
        Desktop "local-agent-mode-sessions/<*>/<*>/local_<*>/outputs/<**>",
        Desktop "local-agent-mode-sessions/<*>/<*>/agent/local_ditto_<*>/uploads/<**>",
        Desktop "local-agent-mode-sessions/<*>/<*>/agent/local_ditto_<*>/outputs/<**>",
    ];

    // What belongs to no single session.

    /// Output of commands, kept by older clients beside the transcripts.
    BashOutput "bash-output": Loose File Content plain AGE => [Config "projects/<P>/bash-outputs/<*>/<**>"];
    /// Requests and answers as they went over the wire.
    ApiDump "api-dump": Loose File Content plain AGE => [
        Config "api-dumps/<**>",
        Config "dump-prompts/<*>.jsonl",
    ];
    /// Files sent between clients.
    FileTransfer "file-transfer": Loose File Content plain AGE => [Config "file-transfers/<**>"];
    /// A long paste, referred to from the history by hash.
    Paste "paste": References File Content plain AGE => [Config "paste-cache/<hex>.txt"];
    /// Files fetched by connectors.
    ConnectorDownload "connector-download": Loose File Content plain AGE => [
        Config "projects/<P>/connector-downloads/<**>",
    ];
    /// Copies of a project's work tree, and records of commands that went on in the background.
    WorkCopy "work-copy": Loose File Content plain AGE => [
        Config "projects/<P>/cloud-snapshots/<**>",
        Config "projects/<P>/bagel/<**>",
        Config "projects/<P>/background-commands/<**>",
        Temp "<P>/background-commands/<**>",
    ];
    /// The database in which clients before the middle of 2025 kept every prompt.
    PromptStore "prompt-store": Loose File Content plain AGE => [
        Config "__store.db",
        Config "__store.db-wal",
        Config "__store.db-shm",
    ];
    /// Pointer of a project to a remote session.
    BridgePointer "bridge-pointer": Loose File Metadata plain AGE => [Config "projects/<P>/bridge-pointer.json"];
    /// Notes the client keeps about the user and the projects.
    Memory "memory": Loose File Content plain MEMORY => [
        Config "projects/<P>/memory/<**>",
        Config "projects/<P>/tiny_memory/<**>",
        Config "agent-memory/<**>",
        Config "memory/<**>",
        Config "session-memory/<**>",
    ];
    /// A transcript under a name of another form, known by its records.
    StrayTranscript "stray-transcript": Content File Content plain AGE => [Config "projects/<P>/<*>.jsonl"];
    /// Plans.
    Plan "plan": References File Content plain AGE nameless => [Config "plans/<*>.md"];
    /// Functions, aliases and variables of the user's shell.
    ShellSnapshot "shell-snapshot": Loose File Secret plain UNLESS_LIVE => [
        Config "shell-snapshots/snapshot-<*>-<ms>-<*>.sh",
        Config "shell-snapshots/snapshot-<*>.sh",
    ];
    /// Task lists of a team.
    TeamTask "team-task": Loose File Content plain AGE => [Config "tasks/<*>/<**>"];
    /// The members of a team, in older clients with their prompts; it goes with the session that leads the team,
    /// and stays while a message of the team does.
    TeamConfig "team-config": Content File Content plain AGE => [
        Config "teams/<*>.deleted-<uuid>/config.json",
        Config "teams/<*>/config.json",
    ];
    /// Messages between agents of a team, and what is left of a team that was deleted.
    TeamInbox "team-inbox": Loose File Content plain AGE => [
        Config "teams/<*>.deleted-<uuid>/<**>",
        Config "teams/<*>/inboxes/<*>.json",
    ];
    /// Exported sessions.
    Share "share": Loose File Content plain AGE => [Config "shares/<**>"];
    /// Bug reports with transcripts.
    Feedback "feedback": Loose File Content plain AGE => [
        Config "feedback-bundles/<*>.zip",
        Config "feedback/drafts/<*>.json",
    ];
    /// Usage reports.
    UsageReport "usage-report": Loose File Content plain AGE => [Config "usage-data/<*>.html"];
    /// Counters and events not sent yet.
    Telemetry "telemetry": Loose File Metadata plain AGE => [
        Config "telemetry/<*>.json",
        Config "telemetry/runs/<**>",
        Config "traces/<*>.json",
        Config "startup-perf/<*>.json",
        Config "startup-perf/<*>.txt",
        Config "statsig/statsig.<*>",
    ];
    /// Logs of older clients and of the background service.
    ClientLog "client-log": Loose File Content plain AGE => [
        Config "logs/<*>.log",
        Config "access-audit/<*>.json",
        Config "access-audit/<*>.jsonl",
        // Where `AUTOMODE_DECISION_LOG` is set.
        Config ".automode_decisions.jsonl",
        Config "daemon.log",
        Config "daemon.log.<n>",
        Config "child-logs/<*>",
    ];
    /// What MCP servers wrote, with session and folder.
    McpLog "mcp-log": Named File Content plain AGE => [
        Cache "<P>/mcp-logs-<*>/<date>.jsonl",
        Cache "<P>/mcp-logs-<*>/<date>.txt",
    ];
    /// The client's own errors and messages.
    ErrorLog "error-log": Named File Content plain AGE => [
        Cache "<P>/errors/<date>.jsonl",
        Cache "<P>/errors/<date>.txt",
        Cache "<P>/messages/<date>.jsonl",
        Cache "<P>/messages/<date>.txt",
    ];
    /// What the client's exports, pastes and previews left in the temp tree and beside it.
    TempLeftover "temp-leftover": Loose File Content plain AGE => [
        Temp "cc-transcript-<*>.txt",
        Temp "claude-pdf-<*>/<**>",
        Temp "claude-pdf-<*>",
        Temp "claude-paste-<*>/<**>",
        Temp "claude-paste-<*>",
        Temp "claude-preview-<*>/<**>",
        Temp "claude-preview-<*>",
        Temp "cc-history-prefetch-<*>",
        Temp "fswatch-probe-<*>/<**>",
        Temp "fswatch-probe-<*>",
        Temp "auto-mode-builtins-<*>.md",
        Temp "cache-break-<*>.json",
        Temp "cache-break-<*>.diff",
        Temp "speculation/<**>",
        Temp "bash-edit-diff/<**>",
        Temp "response.md",
        Temp "copy.<*>",
        Temp "claude-prompt-<*>.md",
        Temp "claude-settings-<hex>.json",
        Temp "<P>/steward-<*>-<8hex>.json",
        // Exactly the names that Claude Code itself looks for there: the folder is everybody's.
        TempNeighbours "claude-pdf-<6rand>/<**>",
        TempNeighbours "claude-preview-<6rand>/<**>",
        TempNeighbours "claude-paste-<32hex>/<**>",
        TempNeighbours "cc-history-prefetch-<6rand>/<**>",
        TempNeighbours "cc-history-prefetch-<n>/<**>",
        TempNeighbours "claude-chrome-screenshots-<6rand>/<**>",
        TempNeighbours "claude-resume-<uuid>/<**>",
        // The folder that a command ended in, where it was killed.
        TempNeighbours "claude-<4hex>-cwd",
        TempNeighbours "cc-daemon-<n>/<**>.err",
        TempNeighbours "cc-daemon-<n>/<**>.err.read",
        TempNeighbours "cc-daemon-<6rand>/stderr.log",
        // A folder of Claude Code's for a project begins so wherever paths do.
        TempNeighbours "claude/-<*>/<**>",
    ];
    /// Unfinished writes that a crash left behind.
    Leftover "leftover": Loose File Secret plain AGE => [
        Config ".claude.json.tmp",
        Config ".claude.json.tmp.<n>.<*>",
        Home ".claude.json.tmp",
        Home ".claude.json.tmp.<n>.<*>",
    ];
    /// Calls that were served for other sessions, and their state.
    ServedCall "served-call": Loose File Content plain AGE => [
        Config "state/served-calls/<*>.jsonl",
        Config "state/unattended-serving-runs/<**>",
        Config "remote-control/fork-seeds/<*>.json",
    ];
    /// Background sessions that are over.
    SettledJob "settled-job": Loose File Content plain AGE => [Config "jobs/settled/<*>.json"];
    /// A prompt that was not sent.
    Draft "draft": Loose File Content plain AGE => [Config "jobs/.draft-<8hex>"];
    /// A background session; it goes with its session once it is known to be over.
    Job "job": Content File Content plain UNLESS_LIVE => [Config "jobs/<*>/<**>"];
    /// What the client can fetch again.
    ClientCache "client-cache": Loose File Metadata plain AGE => [
        Config "cache/model-access.json",
        Config "mcp-needs-auth-cache.json",
        Config "mcp-discovery-cache/<*>.json",
        Config "mcp-skill-archives/<**>",
        Config "gh-pr-status-cache.json",
    ];
    /// The secret by which local processes speak to a running client.
    PeerKey "peer-key": Loose File Secret plain UNLESS_LIVE => [Config "sessions/<n>.<hex>.key"];
    /// The token of a connection to an editor.
    IdeLock "ide-lock": Loose File Secret plain UNLESS_LIVE => [Config "ide/<n>.lock"];

    /// What the service that runs background sessions keeps of them: prompts, tokens. It goes by age where none
    /// of its workers lives.
    DaemonFile "daemon-file": Loose File Secret plain UNLESS_LIVE => [
        Config "daemon/roster.json",
        Config "daemon/roster.json.corrupt.<*>",
        Config "daemon/dispatch/<*>.json",
        Config "daemon/dispatch/rejected/<*>.json",
        Config "daemon/auth/<**>",
    ];

    // Never touched by age.

    /// Tokens of the account.
    Credentials "credentials": Loose File Secret plain CREDENTIALS => [
        Config ".credentials.json",
        Config "hfi-auth.json",
        Config ".device-keys.json",
        Config ".session_ingress_token",
        Config "remote/run/<**>",
        Config "bridge-spawn/<**>",
        Home ".claude-custom-oauth.json",
    ];
    /// State of the service that runs background sessions.
    Daemon "daemon": Loose File Content plain PURGE => [
        Config "daemon/<**>",
        Config "daemon.<*>",
    ];
    /// What the client keeps of sessions by their ids: a queue of its own plugins, and a link to the
    /// newest debug log.
    SessionTrace "session-trace": Loose File Metadata plain PURGE => [
        Config "plugins/store/cc-plugin-<*>.json",
        Config "debug/latest",
        Config "server-sessions.json",
    ];
    /// Prompts that are to run at a time.
    ScheduledTask "scheduled-task": Loose File Content plain PURGE => [Config "scheduled_tasks.json"];
    /// What the user wrote or installed.
    Settings "settings": Loose File Secret plain SETTINGS => [
        Config "settings.json",
        Config "settings.local.json",
        Config "CLAUDE.md",
        Config "commands/<**>",
        Config "agents/<**>",
        Config "skills/<**>",
        Config "plugins/<**>",
        Config "workflows/<**>",
        Config "themes/<**>",
        Config "rules/<**>",
        Config "output-styles/<**>",
        Config "keybindings.json",
        Config "loop.md",
        Config "cowork_plugins/<**>",
    ];
    /// Counters, caches and server policy the client keeps for itself.
    ClientState "client-state": Loose File Metadata plain SETTINGS => [
        Config "stats-cache.json",
        Config "cache/<**>",
        Config "remote-settings.json",
        Config "remote-settings.json.signature.json",
        Config "remote-settings.json.signature-iat.json",
        Config "policy-limits.json",
        Config "policy-limits.json.signature.json",
        Config "policy-limits.json.signature-iat.json",
        Config ".last-cleanup",
        Config "jobs/pins.json",
        Config "state/<*>.json",
        Config "active-time.json",
        Config "daemon-auth-status.json",
        Config "projects/<P>/.session-aliases",
        Config "chrome/<**>",
        Config "local/<**>",
    ];
    /// The record of a sealed session.
    SealedRecord "sealed-record": Session File Metadata plain AGE => [
        Config "ccretain/sealed/<S>/session.json",
        Temp "ccretain/sealed/<S>/session.json",
    ];
    /// A sealed file of which the original is not known; others keep the kind of their original.
    SealedFile "sealed-file": Session File Content plain AGE => [
        Config "ccretain/sealed/<S>/<**>",
        // Sessions without a config store were once sealed there.
        Temp "ccretain/sealed/<S>/<**>",
    ];
    /// What ccretain itself keeps in a store.
    Own "ccretain": Loose File Metadata plain PURGE => [
        Config "ccretain/lock",
        // Of a store of Cowork's of which nothing else is left.
        Desktop "local-agent-mode-sessions/<*>/<*>/local_<*>/.claude/ccretain/lock",
        Desktop "local-agent-mode-sessions/<*>/<*>/agent/local_ditto_<*>/.claude/ccretain/lock",
        Config "ccretain/held/<*>/<*>/session.json",
    ];
    /// A sealed copy that a hold preserves.
    Preserved "preserved-copy": Loose File Metadata plain PURGE => [
        Config "ccretain/held/<*>/<*>/<**>.age",
    ];
    /// What an interrupted rewrite of ccretain left behind.
    OwnLeftover "ccretain-leftover": Loose File Secret plain AGE => [
        Config "ccretain/held/<*>/<*>/<**>.part",
        Config ".history.jsonl.part",
        Config "..claude.json.part",
        Config "..claude.json.backup.part",
        Config "..claude.json.backup.<n>.part",
        Config "..claude.json.corrupted.<n>.part",
        Config "backups/..claude.json.backup.<n>.part",
        Config "backups/..claude.json.corrupted.<n>.part",
        Config "projects/<P>/.sessions-index.json.part",
        Home "..claude.json.part",
        Home "..claude.json.backup.part",
        Home "..claude.json.backup.<n>.part",
        Home "..claude.json.corrupted.<n>.part",
    ];
}
