//! What is left out of the rule, or of what a writer does by it, to see that the model notices.

use crate::{
    Headers, RecordKind,
    rule::{Corruption, Reader, Verdict},
};

/// One clause that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weak {
    /// An entry need not stand after the last live one.
    NoAfter,
    /// An entry's source must only be past the last.
    SourcePastLast,
    /// Entries and claims do not say whose they are.
    NoWriter,
    /// A writer writes before it has seen its claim live.
    EarlyEntries,
    /// An entry may be of a term that is over.
    OldTerm,
    /// After a failure a writer decides again in the term that it has.
    SameTermDecidesAgain,
    /// A process has the same writer id at each start.
    WriterReused,
    /// A client is told that its command failed when a delivery did.
    FailedTold,
    /// A client is told what was delivered.
    ToldOnDelivery,
    /// Refusals are not remembered by their keys.
    RefusalsForgotten,
    /// A snapshot does not have the keys.
    KeysForgotten,
    /// A snapshot is of the books, and not of the reader's term and source.
    SnapshotWithoutRule,
    /// A snapshot holds what is ahead of the log.
    SnapshotAhead,
    /// A writer begins where any writer came to.
    GroupOffset,
    /// Commands are deleted that were not answered.
    CommandsDeleted,
    /// A claim is live at the term that holds.
    EqualTerm,
    /// A writer stops for good once another claim is live.
    LateClaimStops,
}

impl Weak {
    pub(super) const ALL: [Weak; 17] = [
        Weak::NoAfter,
        Weak::SourcePastLast,
        Weak::NoWriter,
        Weak::EarlyEntries,
        Weak::OldTerm,
        Weak::SameTermDecidesAgain,
        Weak::WriterReused,
        Weak::FailedTold,
        Weak::ToldOnDelivery,
        Weak::RefusalsForgotten,
        Weak::KeysForgotten,
        Weak::SnapshotWithoutRule,
        Weak::SnapshotAhead,
        Weak::GroupOffset,
        Weak::CommandsDeleted,
        Weak::EqualTerm,
        Weak::LateClaimStops,
    ];
}

/// Folds by the shipped rule, shown the record so that it says what the weakened rule would.
pub(super) fn fold(
    weak: Option<Weak>,
    reader: &mut Reader,
    offset: u64,
    headers: &Headers,
) -> Result<Verdict, Corruption> {
    let Reader { term, writer, last, .. } = *reader;
    let mut headers = headers.clone();
    let is_entry = headers.ce_type == RecordKind::Entry;
    match weak {
        Some(Weak::NoAfter) if is_entry => headers.after = last,
        Some(Weak::SourcePastLast) if is_entry && headers.source > last => headers.after = last,
        Some(Weak::NoWriter) if is_entry => headers.writer = writer,
        Some(Weak::OldTerm) if is_entry && headers.term < term => (headers.term, headers.writer) = (term, writer),
        Some(Weak::EqualTerm) if !is_entry && headers.term == term && headers.writer != writer => {
            headers.term = term + 1;
            let verdict = reader.fold(offset, &headers);
            reader.term = term;
            return verdict;
        }
        _ => {}
    }
    reader.fold(offset, &headers)
}
