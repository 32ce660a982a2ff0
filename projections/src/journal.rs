//! Every entry of an account: how many, and a chain over their stored bytes; reads none of them and keeps few of their places.
//!
//! `chain` is SHA-256 over the chain so far and the SHA-256 of the entry's bytes, from 32 zero bytes on.
//! Needing no decoding, the journal also counts an entry that other views stop at. Where the entries are, the log knows
//! by their key; one place in [`ENTRIES_PER_MARK`] is remembered, so that the n-th is found without counting from the first.

use crate::row::Rows;
use domain::ids::AccountId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One entry in so many has its place remembered: a few bytes a thousand entries, and a read of few to find any other.
pub const ENTRIES_PER_MARK: u64 = 256;

/// The row of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    chain: [u8; 32],
    count: u64,
    last: u64,
    /// Where the entries with `seq` 1, 257, 513 and so on are.
    marks: Vec<u64>,
}

impl Journal {
    /// Folds the entry at `offset`, whose bytes have this SHA-256.
    pub fn fold(&mut self, offset: u64, digest: &[u8; 32]) {
        self.chain = Sha256::new().chain_update(self.chain).chain_update(digest).finalize().into();
        if self.count.is_multiple_of(ENTRIES_PER_MARK) {
            self.marks.push(offset);
        }
        self.count += 1;
        self.last = offset;
    }
    /// SHA-256 of an entry's bytes.
    pub fn digest(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }
    /// Entries so far: the last one's `seq`.
    pub fn count(&self) -> u64 {
        self.count
    }
    /// Where in the account's partition the last entry is; nothing before any.
    pub fn last(&self) -> Option<u64> {
        (self.count > 0).then_some(self.last)
    }
    /// The chain over all of them.
    pub fn chain(&self) -> &[u8; 32] {
        &self.chain
    }
    /// The last place remembered at or before the entry with this `seq`, and that one's `seq`.
    pub fn mark(&self, seq: u64) -> Option<(u64, u64)> {
        let at = (seq.checked_sub(1)? / ENTRIES_PER_MARK).min((self.marks.len() as u64).checked_sub(1)?);
        Some((at * ENTRIES_PER_MARK + 1, self.marks[usize::try_from(at).ok()?]))
    }
    /// Writes the canonical row; offsets are not part of it.
    pub fn write(&self, account: &AccountId, rows: &mut Rows) {
        if self.count > 0 {
            rows.row("journal").id(account.as_str()).number(self.count).hex(&self.chain);
        }
    }
}
