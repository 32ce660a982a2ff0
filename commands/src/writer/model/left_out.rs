//! Clauses that stand in the shipped code itself: there, in tests only, it asks here whether to go without.
//!
//! Without a run that leaves one out, nothing here changes anything.

use super::weak::Weak;
use crate::writer::State;
use event_log::{
    Headers, RecordKind,
    rule::{Reader, Verdict},
};
use std::cell::Cell;

thread_local! {
    /// What the run on this thread goes without; a run has one thread.
    static LEFT_OUT: Cell<Option<Weak>> = const { Cell::new(None) };
}

/// Leaves a clause out on this thread until it is dropped.
pub(super) struct LeavingOut(());

impl LeavingOut {
    pub(super) fn new(weak: Option<Weak>) -> Self {
        LEFT_OUT.set(weak);
        Self(())
    }
}

impl Drop for LeavingOut {
    fn drop(&mut self) {
        LEFT_OUT.set(None);
    }
}

fn is_left_out(weak: Weak) -> bool {
    LEFT_OUT.get() == Some(weak)
}

/// The rule's verdict; a claim at the term that holds is live without the clause that it must be higher.
pub(crate) fn at_equal_term(reader: &mut Reader, headers: &Headers, verdict: Verdict) -> Verdict {
    let is_equal = headers.ce_type == RecordKind::Claim && headers.term == reader.term;
    if !is_left_out(Weak::EqualTerm) || !is_equal || headers.writer == reader.writer {
        return verdict;
    }
    reader.writer = headers.writer;
    Verdict::Claim
}

/// Whether a writer that holds a term decides again in it, without the clause that it claims another after a failure.
pub(crate) fn stays_in_term<I>(state: &State<I>) -> bool {
    let Reader { term, writer, .. } = state.reader;
    is_left_out(Weak::SameTermDecidesAgain) && writer == state.writer && term == state.claimed
}

/// A writer takes its claim for live, without the clause that it sees it live first.
pub(crate) fn takes_for_live<I>(state: &mut State<I>, term: u64) {
    if is_left_out(Weak::EarlyEntries) {
        (state.reader.term, state.reader.writer) = (term, state.writer);
    }
}
