//! Every entry of an account: how many, and a chain over their stored bytes; reads none of them.
//!
//! `chain` is SHA-256 over the chain so far and the SHA-256 of the entry's bytes, from 32 zero bytes on.
//! Needing no decoding, the journal also counts an entry that other views stop at.

use crate::row::Rows;
use domain::ids::AccountId;
use sha2::{Digest, Sha256};

/// The row of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    chain: [u8; 32],
    offsets: Vec<u64>,
}

impl Journal {
    /// Folds the entry at `offset`, whose bytes have this SHA-256.
    pub fn fold(&mut self, offset: u64, digest: &[u8; 32]) {
        self.chain = Sha256::new().chain_update(self.chain).chain_update(digest).finalize().into();
        self.offsets.push(offset);
    }
    /// SHA-256 of an entry's bytes.
    pub fn digest(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }
    /// Entries so far: the last one's `seq`.
    pub fn count(&self) -> u64 {
        self.offsets.len() as u64
    }
    /// The chain over all of them.
    pub fn chain(&self) -> &[u8; 32] {
        &self.chain
    }
    /// Where in the account's partition they are, ascending: the entry with `seq` n is the n-th.
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }
    /// Writes the canonical row; offsets are not part of it.
    pub fn write(&self, account: &AccountId, rows: &mut Rows) {
        if !self.offsets.is_empty() {
            rows.row("journal").id(account.as_str()).number(self.count()).hex(&self.chain);
        }
    }
}
