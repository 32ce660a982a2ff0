//! One hash for each view: SHA-256 over its canonical rows, sorted by key; equal rows hash equal wherever they are held.

use crate::{
    Position,
    account::Account,
    row::Rows,
    store::Views,
    view::{Stop, View},
};
use domain::ids::AccountId;
use sha2::{Digest, Sha256};

/// Rows are hashed in pieces of about this size: larger than a cache line's worth of calls, smaller than a cache.
const PIECE_BYTES: usize = 64 * 1024;

/// The state hash of every view at one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateHashes {
    /// How far every partition was folded.
    pub position: Position,
    /// Each view and its hash, in the order of [`View::ALL`].
    pub hashes: Vec<(&'static str, [u8; 32])>,
    /// Views that stopped before that position: their hashes say nothing about it.
    pub stops: Vec<Stop>,
}

impl Views {
    /// The hashes of all views at one consistent position. Folding waits meanwhile.
    pub fn state_hashes(&self) -> StateHashes {
        let (_cut, shards) = self.still();
        let mut accounts: Vec<(&AccountId, &Account)> =
            shards.iter().flat_map(|shard| shard.iter()).map(|(id, held)| (id, &held.rows)).collect();
        accounts.sort_unstable_by_key(|(id, _)| **id);
        let hashes = View::ALL.iter().map(|view| (view.name(), self.state_hash(*view, &accounts))).collect();
        StateHashes { position: self.position(), hashes, stops: self.stops() }
    }

    fn state_hash(&self, view: View, accounts: &[(&AccountId, &Account)]) -> [u8; 32] {
        let (mut hash, mut rows) = (Sha256::new(), Rows::default());
        match view {
            View::Instruments => self.instruments.read().write(&mut rows),
            View::Prices => self.prices.read().write(&mut rows),
            View::Navs => self.navs.read().write(&mut rows),
            View::Orders | View::Trades | View::Portfolio | View::Pnl | View::Cash | View::Journal => {
                for (id, account) in accounts {
                    account.write(view, id, &mut rows);
                    if rows.bytes().len() > PIECE_BYTES {
                        hash.update(rows.bytes());
                        rows.clear();
                    }
                }
            }
        }
        hash.update(rows.bytes());
        hash.finalize().into()
    }
}
