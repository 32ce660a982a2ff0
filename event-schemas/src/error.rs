//! Why bytes are not what they should be; knows nothing about where they came from.

/// Why stored bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Broken JSON, another shape, or within an event one of the causes below: the bytes are wrong.
    #[error("not {what}: {source}")]
    Malformed {
        /// What was expected, with its article.
        what: &'static str,
        /// Which field, and where.
        source: serde_json::Error,
    },
    /// No release wrote this name: a foreign record, or one of a newer release.
    #[error("unknown {what} '{name}' v{version}")]
    Unknown {
        /// `event type`, `command kind`, ...
        what: &'static str,
        /// The stored name.
        name: Box<str>,
        /// The stored version.
        version: u32,
    },
    /// A newer release wrote this version: read it with that release.
    #[error("{what} '{name}' v{version} is newer than v{current}, the newest this release reads")]
    Newer {
        /// `event type`, `command kind`, ...
        what: &'static str,
        /// The stored name.
        name: Box<str>,
        /// The stored version.
        version: u32,
        /// The version this release writes.
        current: u32,
    },
    /// An older version that its upcaster cannot read.
    #[error("{what} '{name}' v{version} cannot be brought to the next version: {problem}")]
    Upcast {
        /// `event type`, `command kind`, ...
        what: &'static str,
        /// The stored name.
        name: Box<str>,
        /// The version at which the chain broke.
        version: u32,
        /// In words.
        problem: Box<str>,
    },
    /// Every part can be read, but they contradict each other: no writer makes such an entry.
    #[error("{0}")]
    Inconsistent(Box<str>),
}

impl DecodeError {
    pub(crate) fn malformed(what: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Malformed { what, source }
    }
}
