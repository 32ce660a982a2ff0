//! What has left memory: how many rows of a list, up to which, and a chain over their canonical text; holds none of them.
//!
//! A row leaves by [`domain::order::leaves_on`], in the order of the log and then by `seq`, as it stands then. `chain` is
//! SHA-256 over the chain so far and the row's canonical text, from 32 zero bytes on; so a state hash covers every row
//! there ever was. The rows themselves are folded from the log again when they are asked for.

use crate::row::Rows;
use domain::{ids::AccountId, time::Date};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The rows of one list of one account that have left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    count: u64,
    upto: u64,
    chain: [u8; 32],
}

impl Left {
    /// How many have left.
    pub fn count(&self) -> u64 {
        self.count
    }
    /// The highest `seq` of those that have left; 0 before any.
    pub fn upto(&self) -> u64 {
        self.upto
    }
    /// Adds a row that leaves, by its `seq` and text.
    pub(crate) fn add(&mut self, seq: u64, text: &Rows) {
        self.count += 1;
        self.upto = self.upto.max(seq);
        self.chain = Sha256::new().chain_update(self.chain).chain_update(text.bytes()).finalize().into();
    }
    /// Writes the canonical row that stands for them.
    pub(crate) fn write(&self, kind: &str, account: &AccountId, rows: &mut Rows) {
        if self.count > 0 {
            rows.row(kind).id(account.as_str()).number(self.count).hex(&self.chain);
        }
    }
}

/// The earlier of two days, where there is one.
pub(crate) fn earlier(one: Option<Date>, other: Option<Date>) -> Option<Date> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Gives back room that rows took which have left; a little stays, for those that come.
pub(crate) fn give_back<T>(rows: &mut Vec<T>) {
    if rows.capacity() > 2 * rows.len() {
        rows.shrink_to_fit();
    }
}
