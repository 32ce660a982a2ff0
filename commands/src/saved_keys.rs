//! Which keys a shared snapshot may hold, so that it is asked about hardly any that it does not: nearly every command's key
//! is new. Says nothing of what a key was used for.
//!
//! A writer adds keys before they leave its memory. Those of a snapshot that it found are read beside its work, which
//! takes a while where there are many; until all are read, any key may be there and is asked about.

use crate::{
    known::Key,
    snapshots::{is_damage, lineage_of},
};
use event_log::{
    BoxFuture, Error,
    snapshot::{Place, SnapshotStore, State, filter::Filter},
};
use parking_lot::RwLock;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// For how many keys the first filter is made; each further one is for as many as all before it.
const FIRST_KEYS: usize = 1 << 16;
/// How long until keys that could not be read are read again.
const RETRY_MS: u64 = 1_000;

/// What may be saved at one place.
pub(crate) struct SavedKeys {
    filters: RwLock<Filters>,
    /// Whether every saved key was added.
    is_whole: AtomicBool,
}

#[derive(Default)]
struct Filters {
    all: Vec<Filter>,
    /// For how many keys all of them are, and how many there are.
    room: usize,
    keys: usize,
}

impl SavedKeys {
    /// Of a place where nothing is saved.
    pub(crate) fn none() -> Self {
        Self { filters: RwLock::default(), is_whole: AtomicBool::new(true) }
    }

    /// Of a place of whose keys nothing is known yet; there are about so many.
    pub(crate) fn unread(about: usize) -> Self {
        let filters = Filters { all: vec![Filter::new(about)], room: about, keys: 0 };
        Self { filters: RwLock::new(filters), is_whole: AtomicBool::new(false) }
    }

    /// Whether the key may be saved; false only if it is not.
    pub(crate) fn may_hold(&self, key: &Key) -> bool {
        !self.is_whole.load(Ordering::Acquire) || self.filters.read().all.iter().any(|filter| filter.may_hold(&key.0))
    }

    /// Adds keys that are saved.
    pub(crate) fn add<'a>(&self, keys: impl IntoIterator<Item = &'a [u8; 16]>) {
        let mut filters = self.filters.write();
        keys.into_iter().for_each(|key| filters.add(key));
    }

    /// Reads all keys of a place that was found with this lineage up to this offset; each part again and again until it
    /// can. Gives up where what is stored is damaged, or of another lineage, or less than was found.
    pub(crate) async fn read(&self, store: Arc<dyn SnapshotStore>, place: Place, (lineage, end): (u128, u64)) {
        for first in 0..=u8::MAX {
            match until_answered(place, || store.keys(place, first)).await {
                Ok(keys) => self.add(&keys),
                Err(_damaged) => return,
            }
        }
        // Asked afterwards: of one lineage keys are only added, and what is forgotten begins another.
        if let Ok(state) = until_answered(place, || store.state(place)).await {
            let is_own = |state: &State| lineage_of(state) == Some(lineage) && state.reader.offset >= end;
            self.is_whole.store(state.as_ref().is_some_and(is_own), Ordering::Release);
        }
    }
}

/// Asks until there is an answer; what is damaged answers no more.
async fn until_answered<'a, T>(place: Place, ask: impl Fn() -> BoxFuture<'a, Result<T, Error>>) -> Result<T, Error> {
    loop {
        match ask().await {
            Err(error) if !is_damage(&error) => {
                tracing::warn!(reader = place.reader, partition = place.partition, %error, "saved keys cannot be read; trying again");
                tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
            }
            answered => return answered,
        }
    }
}

impl Filters {
    fn add(&mut self, key: &[u8; 16]) {
        // What is read again, or saved again after a result that was not known, takes no more room.
        if self.all.iter().any(|filter| filter.may_hold(key)) {
            return;
        }
        if self.keys >= self.room {
            let more = self.room.max(FIRST_KEYS);
            self.all.push(Filter::new(more));
            self.room += more;
        }
        if let Some(newest) = self.all.last_mut() {
            newest.add(key);
            self.keys += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        let hash = |of: usize| (of as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).swap_bytes();
        let (a, b) = (hash(number), hash(number * 7 + 3));
        Key(((u128::from(a) << 64) | u128::from(b)).to_le_bytes())
    }

    #[test]
    fn what_was_added_is_held_and_hardly_anything_else_however_many_there_are() {
        let saved = SavedKeys::none();
        assert!(!saved.may_hold(&key(0)));
        let all: Vec<Key> = (0..5 * FIRST_KEYS).map(key).collect();
        saved.add(all.iter().map(|key| &key.0));
        assert!(all.iter().all(|key| saved.may_hold(key)));
        let others = (all.len()..all.len() + 10_000).filter(|number| saved.may_hold(&key(*number))).count();
        assert!(others < 400, "{others} of 10,000 others are held");
    }

    #[test]
    fn until_all_is_read_any_key_may_be_held() {
        let saved = SavedKeys::unread(10);
        assert!(saved.may_hold(&key(1)));
        saved.is_whole.store(true, Ordering::Release);
        assert!(!saved.may_hold(&key(1)));
    }
}
