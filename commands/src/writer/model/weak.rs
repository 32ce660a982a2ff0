//! What is left out of the rule, or of what writers promise, to see that the model notices.

/// One clause that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weak {
    /// An entry need not stand after the last live one.
    NoAfter,
    /// An entry's source must only be past the last.
    SourcePastLast,
    /// An entry may be of any writer, if its term holds.
    NoWriter,
    /// An entry may be of a term that is over.
    OldTerm,
    /// A claim is live at the term that holds; that two of one term are is what is noticed.
    EqualTerm,
    /// A writer writes before it has seen its claim live.
    EarlyEntries,
    /// After a failure a writer decides again in the term that it has.
    SameTermDecidesAgain,
    /// Every start of every process is the same writer.
    WriterReused,
    /// What is of unknown result is said to have failed.
    FailedTold,
    /// What is delivered, wherever, is taken for live.
    ToldOnDelivery,
    /// Refusals are not remembered by their keys.
    RefusalsForgotten,
    /// What keys were used for is forgotten once it leaves memory.
    KeysForgotten,
    /// Which keys are saved is not read, and taken for read.
    KeysUnread,
    /// A snapshot is of the books, and not of the whole reader.
    SnapshotWithoutRule,
    /// A snapshot holds the books as they are ahead of the log.
    SnapshotAhead,
    /// Requests are read from where any reader came to.
    GroupOffset,
    /// Requests are deleted after a while, answered or not.
    RequestsDeleted,
    /// A writer stops for good once another claim is live.
    LateClaimStops,
}

impl Weak {
    /// Every one, and within how many seeds it is noticed.
    pub(super) const ALL: [(Weak, u64); 18] = [
        (Weak::NoAfter, 100),
        (Weak::SourcePastLast, 500),
        (Weak::NoWriter, 3_000),
        (Weak::OldTerm, 2_000),
        (Weak::EqualTerm, 100),
        (Weak::EarlyEntries, 100),
        (Weak::SameTermDecidesAgain, 100),
        (Weak::WriterReused, 100),
        (Weak::FailedTold, 100),
        (Weak::ToldOnDelivery, 100),
        (Weak::RefusalsForgotten, 100),
        (Weak::KeysForgotten, 100),
        (Weak::KeysUnread, 100),
        (Weak::SnapshotWithoutRule, 100),
        (Weak::SnapshotAhead, 100),
        (Weak::GroupOffset, 100),
        (Weak::RequestsDeleted, 100),
        (Weak::LateClaimStops, 100),
    ];
}
