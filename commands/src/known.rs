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
/// A map gives memory back once it has room for so many times what is left in it; it keeps room for some more, so that
/// one that fills up and empties again and again seldom moves.
const ROOM_TIMES_MAX: usize = 8;
const ROOM_TIMES_KEPT: usize = 2;
/// What is counted as left at the least: less than this is not worth moving.
const LEFT_KEYS_MIN: usize = 512;

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
        self.shards.iter().for_each(|shard| give_back(&mut shard.write()));
    }

    /// Takes keys out of memory whose entries stand before this offset: they are saved.
    pub(crate) fn forget_before(&self, offset: u64) {
        for shard in &self.shards {
            let mut shard = shard.write();
            shard.retain(|_, known| known.offset >= offset);
            give_back(&mut shard);
        }
    }

    /// Remembers a durable, live entry; what the key was first used for stays.
    pub(crate) fn remember(&self, key: Key, known: Known) {
        self.shard(&key).write().entry(key).or_insert(known);
    }
}

/// Gives back the memory of a burst; what is left, and so has to move, is little of what there was.
fn give_back(shard: &mut ByKey<Known>) {
    let left = shard.len().max(LEFT_KEYS_MIN);
    if shard.capacity() > ROOM_TIMES_MAX * left {
        shard.shrink_to(ROOM_TIMES_KEPT * left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Outcomes {
        fn room(&self) -> usize {
            self.shards.iter().map(|shard| shard.read().capacity()).sum()
        }
    }

    /// Remembers as many keys, each at the offset of its number.
    fn fill(outcomes: &Outcomes, numbers: std::ops::Range<u64>) -> Vec<(Key, Known)> {
        let key = |number: u64| {
            // As even as a hash.
            let half = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut key = [0; 16];
            key[..8].copy_from_slice(&(half ^ half >> 32).to_le_bytes());
            key[15] = number as u8;
            (Key(key), Known { content: [0; 16], offset: number })
        };
        let keys: Vec<_> = numbers.map(key).collect();
        keys.iter().for_each(|(key, known)| outcomes.remember(*key, *known));
        keys
    }

    /// Far more keys than are worth moving.
    const BURST: u64 = (SHARDS * LEFT_KEYS_MIN * ROOM_TIMES_MAX * 2) as u64;

    #[test]
    fn the_memory_of_a_burst_is_given_back_and_what_is_left_stays_known() {
        let by_offset = Outcomes::new();
        let keys = fill(&by_offset, 0..BURST);
        assert!(by_offset.room() >= keys.len());
        by_offset.forget_before(BURST - 1_000);
        let by_key = Outcomes::new();
        fill(&by_key, 0..BURST);
        let (saved, left) = keys.split_at(keys.len() - 1_000);
        by_key.forget(saved);
        for outcomes in [by_offset, by_key] {
            let most = SHARDS * LEFT_KEYS_MIN * ROOM_TIMES_KEPT * 2;
            assert!(outcomes.room() <= most, "{} is room for more than {most}", outcomes.room());
            assert_eq!(outcomes.get(&saved[0].0), None);
            assert!(left.iter().all(|(key, known)| outcomes.get(key) == Some(*known)));
        }
    }

    #[test]
    fn maps_that_fill_and_empty_again_and_again_keep_their_room() {
        let outcomes = Outcomes::new();
        let (every, left) = ((SHARDS * 4_000) as u64, (SHARDS * 1_000) as u64);
        for round in 1..4 {
            fill(&outcomes, (round - 1) * every..round * every);
            outcomes.forget_before(round * every - left);
            let room = outcomes.room();
            assert!(room as u64 >= every, "{room} is less room than {every} took");
        }
    }

    #[test]
    fn the_first_use_of_a_key_stays() {
        let (outcomes, key) = (Outcomes::new(), Key([7; 16]));
        assert_eq!(outcomes.get(&key), None);
        outcomes.remember(key, Known { content: [1; 16], offset: 5 });
        outcomes.remember(key, Known { content: [2; 16], offset: 9 });
        assert_eq!(outcomes.get(&key), Some(Known { content: [1; 16], offset: 5 }));
    }
}
