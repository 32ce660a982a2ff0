//! What only this adapter does.

/// An injected loss of a commit's answer.
pub(super) enum Lost {
    /// Nothing landed.
    BeforeCommit,
    /// All landed.
    AfterCommit,
}
