//! Outcomes by key since the last snapshot; older ones are asked of it: which command a key was first used for and where its entry stands.
//!
//! Filled from durable, live entries only; shared by a partition's writer and the desk. It holds no
//! account and no id, only their hash.

use crate::snapshots::Older;
use parking_lot::RwLock;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};

/// Locks a partition's keys are spread over, so that desk and writer rarely meet at one.
const SHARDS: usize = 64;

/// The hash of account (or "market"), role and command id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub [u8; 16]);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (first, _) = self.0.split_first_chunk().expect("16 bytes hold 8");
        state.write_u64(u64::from_le_bytes(*first));
    }
}

/// Takes eight bytes of what is a cryptographic hash already.
#[derive(Default)]
pub(crate) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("a key hashes as one number");
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// A map by key.
pub(crate) type ByKey<T> = HashMap<Key, T, BuildHasherDefault<AsIs>>;

/// What a key was first used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The hash of the command's kind, version and body.
    pub content: [u8; 16],
    /// Where the entry stands in its partition.
    pub offset: u64,
}

/// A partition's outcomes by key.
pub(crate) struct Outcomes {
    shards: Box<[RwLock<ByKey<Known>>]>,
    older: RwLock<Option<Older>>,
}

impl Outcomes {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), older: RwLock::default() }
    }

    fn shard(&self, key: &Key) -> &RwLock<ByKey<Known>> {
        // The map within a shard uses the first bytes.
        &self.shards[usize::from(key.0[15]) % SHARDS]
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Known> {
        self.shard(key).read().get(key).copied()
    }

    /// Where keys are that left memory; nowhere without.
    pub(crate) fn set_older(&self, older: Option<Older>) {
        *self.older.write() = older;
    }

    /// What a key was first used for, wherever that is kept.
    pub(crate) async fn find(&self, key: &Key) -> Option<Known> {
        if let Some(known) = self.get(key) {
            return Some(known);
        }
        // A key leaves memory only once it is saved, so it is in one of the two.
        let older = self.older.read().clone();
        older?.find(key).await
    }

    /// Takes keys out of memory that are saved.
    pub(crate) fn forget(&self, keys: &[(Key, Known)]) {
        for (key, _) in keys {
            self.shard(key).write().remove(key);
        }
    }

    /// Takes keys out of memory whose entries stand before this offset: they are saved.
    pub(crate) fn forget_before(&self, offset: u64) {
        for shard in &self.shards {
            shard.write().retain(|_, known| known.offset >= offset);
        }
    }

    /// Remembers a durable, live entry; what the key was first used for stays.
    pub(crate) fn remember(&self, key: Key, known: Known) {
        self.shard(&key).write().entry(key).or_insert(known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_use_of_a_key_stays() {
        let (outcomes, key) = (Outcomes::new(), Key([7; 16]));
        assert_eq!(outcomes.get(&key), None);
        outcomes.remember(key, Known { content: [1; 16], offset: 5 });
        outcomes.remember(key, Known { content: [2; 16], offset: 9 });
        assert_eq!(outcomes.get(&key), Some(Known { content: [1; 16], offset: 5 }));
    }
}
