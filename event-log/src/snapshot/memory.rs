//! Snapshots in memory, for tests; kept as long as a clone lives.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use futures::FutureExt;
use parking_lot::Mutex;

use super::{
    Due, Item, Known, PAGE_BYTES_MAX, PAGE_ITEMS_MAX, Place, Save, SnapshotStore, State, check_look_up, check_save,
};
use crate::{BoxFuture, Error};

/// A store in memory. Clones share it, as processes share a file.
#[derive(Clone, Default)]
pub struct Memory {
    places: Arc<Mutex<HashMap<Place, Kept>>>,
}

#[derive(Default)]
struct Kept {
    state: Option<State>,
    items: BTreeMap<Box<str>, (Option<i64>, Bytes)>,
    known: HashMap<[u8; 16], Known>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Memory {
        Memory::default()
    }

    fn with<T>(&self, place: Place, ask: impl FnOnce(&mut Kept) -> T) -> T {
        ask(self.places.lock().entry(place).or_default())
    }
}

impl Kept {
    fn save(&mut self, save: Save) -> Result<(), Error> {
        check_save(&save)?;
        let end = self.state.as_ref().map_or(0, |state| state.reader.offset);
        if save.onto != end {
            return Err(Error::NotTheEnd { end });
        }
        for key in &save.removed {
            self.items.remove(key);
        }
        self.items.extend(save.items.into_iter().map(|Item { key, due, blob }| (key, (due, blob))));
        self.known.extend(save.known);
        self.state = Some(save.state);
        Ok(())
    }

    fn page(&self, after: Option<Box<str>>, max: usize) -> Vec<Item> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let mut bytes = 0;
        let within = |item: &Item| {
            let fits = bytes < PAGE_BYTES_MAX;
            bytes += item.blob.len();
            fits
        };
        let items = self.items.range((from, Unbounded));
        let items = items.map(|(key, (due, blob))| Item { key: key.clone(), due: *due, blob: blob.clone() });
        items.take(max.min(PAGE_ITEMS_MAX)).take_while(within).collect()
    }

    fn due(&self, after: Option<&Due>, max: usize) -> Vec<Due> {
        let mut all: Vec<_> = self.items.iter().filter_map(|(key, (due, _))| Some(((*due)?, key.clone()))).collect();
        all.sort_unstable();
        all.retain(|item| after.is_none_or(|after| item > after));
        all.truncate(max.min(PAGE_ITEMS_MAX));
        all
    }
}

impl SnapshotStore for Memory {
    fn is_shared(&self) -> bool {
        true
    }

    fn state(&self, place: Place) -> BoxFuture<'_, Result<Option<State>, Error>> {
        async move { Ok(self.with(place, |kept| kept.state.clone())) }.boxed()
    }

    fn save(&self, place: Place, save: Save) -> BoxFuture<'_, Result<(), Error>> {
        async move { self.with(place, |kept| kept.save(save)) }.boxed()
    }

    fn items(&self, place: Place, keys: Vec<Box<str>>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, Error>> {
        async move {
            check_look_up(keys.len())?;
            let find =
                |kept: &mut Kept| keys.iter().map(|key| kept.items.get(key).map(|(_, blob)| blob.clone())).collect();
            Ok(self.with(place, find))
        }
        .boxed()
    }

    fn page(&self, place: Place, after: Option<Box<str>>, max: usize) -> BoxFuture<'_, Result<Vec<Item>, Error>> {
        async move { Ok(self.with(place, |kept| kept.page(after, max))) }.boxed()
    }

    fn due(&self, place: Place, after: Option<Due>, max: usize) -> BoxFuture<'_, Result<Vec<Due>, Error>> {
        async move { Ok(self.with(place, |kept| kept.due(after.as_ref(), max))) }.boxed()
    }

    fn known(&self, place: Place, keys: Vec<[u8; 16]>) -> BoxFuture<'_, Result<Vec<Option<Known>>, Error>> {
        async move {
            check_look_up(keys.len())?;
            Ok(self.with(place, |kept| keys.iter().map(|key| kept.known.get(key).copied()).collect()))
        }
        .boxed()
    }

    fn keys(&self, place: Place, first: u8) -> BoxFuture<'_, Result<Vec<[u8; 16]>, Error>> {
        let find = move |kept: &mut Kept| kept.known.keys().filter(|key| key[0] == first).copied().collect();
        async move { Ok(self.with(place, find)) }.boxed()
    }

    fn forget(&self, place: Place) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            self.with(place, |kept| *kept = Kept::default());
            Ok(())
        }
        .boxed()
    }
}
