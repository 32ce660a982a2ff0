//! The ledger rule: which records of a partition count. Pure; knows no store, no clock, no values.
//!
//! No log here has a conditional append that survives a lost lock, so the log itself decides: every
//! reader folds each record through [`Reader::fold`], and all readers of the same prefix agree.
//!
//! - A claim is live iff its term is higher than the state's; then it sets term and writer.
//! - An entry is live iff there was a claim, its term and writer are the state's, and it says that
//!   it stands after the last live entry; then its events and outcome apply.
//! - Whatever is not live is dead for ever and changes nothing.
//!
//! So there is one live claim for each term, only its writer writes in the term, and the live
//! entries are one chain, whatever else lies between them. Explored by model before use; each part
//! of the rule that was left out broke it.

use serde::{Deserialize, Serialize};

use crate::record::{Headers, RecordKind};

/// All that a reader of a partition must remember; a snapshot holds it with what was folded.
///
/// It holds only what was read, never what a writer hopes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// The offset of the next record to fold.
    pub offset: u64,
    /// The term of the last live claim; 0 before any.
    pub term: u64,
    /// The writer of the last live claim; 0 before any.
    pub writer: u128,
    /// The source of the last live entry; -1 before any.
    pub last: i64,
}

impl Default for Reader {
    /// The state before the first record.
    fn default() -> Reader {
        Reader { offset: 0, term: 0, writer: 0, last: -1 }
    }
}

/// What the rule says about one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A live claim: its writer has the term.
    Claim,
    /// A claim that came too late; it changes nothing.
    DeadClaim,
    /// A live entry: its events and its outcome apply.
    Entry,
    /// An entry that changes nothing, for ever.
    Dead(Dead),
}

/// Why an entry is dead; a writer reads its own entries' reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dead {
    /// No claim was live yet.
    NoClaim,
    /// Of another term than the one that holds.
    OtherTerm,
    /// Of the term that holds, but not by the writer that has it.
    OtherWriter,
    /// Answers a command that a live entry has answered: a duplicate, to be ignored.
    Duplicate,
    /// Does not stand after the last live entry: something before it was lost or came late.
    OutOfTurn,
}

/// The partition contradicts itself. Whoever reads it halts and says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Corruption {
    /// Records are missing or repeated.
    #[error("offset {found} where {expected} was expected: the log has a gap or went back")]
    Gap {
        /// The next offset by the records so far.
        expected: u64,
        /// The offset that came.
        found: u64,
    },
    /// A live entry answers a command that was answered.
    #[error("the live entry at offset {offset} answers source {source_offset}, not past {last}")]
    SourceNotPast {
        /// Where the entry stands.
        offset: u64,
        /// The source that it answers.
        source_offset: i64,
        /// The source answered last.
        last: i64,
    },
    /// A command or a fact stands among answers.
    #[error("the record at offset {offset} waits to be answered, and is no answer")]
    Request {
        /// Where it stands.
        offset: u64,
    },
}

impl Reader {
    /// Folds the record at `offset` into the state and says whether it counts.
    ///
    /// Corruption leaves the state as it was.
    pub fn fold(&mut self, offset: u64, headers: &Headers) -> Result<Verdict, Corruption> {
        if offset != self.offset {
            return Err(Corruption::Gap { expected: self.offset, found: offset });
        }
        let verdict = match headers.ce_type {
            RecordKind::Claim if headers.term > self.term => {
                self.term = headers.term;
                self.writer = headers.writer;
                Verdict::Claim
            }
            RecordKind::Claim => Verdict::DeadClaim,
            RecordKind::Entry | RecordKind::Market => match self.why_dead(headers) {
                Some(why) => Verdict::Dead(why),
                None if headers.source <= self.last => {
                    let (source_offset, last) = (headers.source, self.last);
                    return Err(Corruption::SourceNotPast { offset, source_offset, last });
                }
                None => {
                    self.last = headers.source;
                    Verdict::Entry
                }
            },
            RecordKind::Command | RecordKind::Fact => return Err(Corruption::Request { offset }),
        };
        self.offset += 1;
        Ok(verdict)
    }

    fn why_dead(&self, headers: &Headers) -> Option<Dead> {
        if self.term == 0 {
            Some(Dead::NoClaim)
        } else if headers.term != self.term {
            Some(Dead::OtherTerm)
        } else if headers.writer != self.writer {
            Some(Dead::OtherWriter)
        } else if headers.after == self.last {
            None
        } else if headers.source <= self.last {
            Some(Dead::Duplicate)
        } else {
            Some(Dead::OutOfTurn)
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod model;
