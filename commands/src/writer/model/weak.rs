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
    ///
    /// What the shipped writer cannot be made to leave out is left out in `event-log`'s model: writing before the own
    /// claim was seen, deciding again in the same term, and a claim at an equal term.
    pub(super) const ALL: [(Weak, u64); 15] = [
        (Weak::NoAfter, 100),
        (Weak::SourcePastLast, 500),
        (Weak::NoWriter, 3_000),
        (Weak::OldTerm, 2_000),
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
