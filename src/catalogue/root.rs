//! The trees in which Claude Code leaves files.

/// The tree that a pattern is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Root {
    /// The config folder (`~/.claude`).
    Config,
    /// The home folder, of which only the client's own global files are looked at.
    Home,
    /// The cache of MCP and error logs.
    Cache,
    /// The client's tree below a temp folder (`claude-<uid>`).
    Temp,
    /// The desktop application's data folder, of which only its session folders are looked at.
    Desktop,
    /// The folder heap snapshots are written to, of which only those are looked at.
    HeapDumps,
    /// The temp folder itself, of which only what Claude Code leaves beside its own tree is looked at.
    TempNeighbours,
    /// A folder that settings name for debug logs, of which only those are looked at.
    DebugLogs,
}

impl Root {
    /// Every tree.
    pub const ALL: [Self; 8] = [
        Self::Config,
        Self::Home,
        Self::Cache,
        Self::Temp,
        Self::Desktop,
        Self::HeapDumps,
        Self::TempNeighbours,
        Self::DebugLogs,
    ];

    /// The word for it in reports and in what is remembered.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Whether the folder is shared with others, so that names the catalogue does not hold are
    /// none of our business there and folders it does not name are not entered, but for those that
    /// Claude Code alone would give (see [`super::Cursor::claims`]).
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Home | Self::Desktop | Self::HeapDumps | Self::TempNeighbours | Self::DebugLogs)
    }

    /// Whether the folder is everybody's, so that of what is in it only what the user owns is looked at.
    pub fn is_everybodys(self) -> bool {
        self == Self::TempNeighbours
    }

    /// Whether it is a folder of the user's, or of all, in which single files are Claude Code's.
    pub fn holds_strays(self) -> bool {
        matches!(self, Self::TempNeighbours | Self::DebugLogs)
    }

    /// Whether what lies there is temporary.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Temp | Self::TempNeighbours)
    }

    /// Whether the tree lies in a folder that others can write to, who may put a link in its place.
    pub fn lies_among_others(self) -> bool {
        matches!(self, Self::Temp | Self::HeapDumps | Self::TempNeighbours | Self::DebugLogs)
    }
}
