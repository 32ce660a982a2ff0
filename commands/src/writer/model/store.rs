//! The store of snapshots as one process reaches it; every snapshot is held against the log.

use super::{
    purse::{Purse, blob},
    weak::Weak,
    world::{Life, Phase, World},
};
use bytes::Bytes;
use event_log::{
    BoxFuture, Error,
    rule::Reader,
    snapshot::{Due, Item, Known, Place, Save, SnapshotStore, State, memory::Memory},
};
use parking_lot::Mutex;
use rand::{Rng, rngs::StdRng};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::sleep;

/// One process's way to a store.
pub(super) struct Store {
    pub world: Arc<World>,
    pub kept: Memory,
    pub life: Life,
    pub chance: Arc<Mutex<StdRng>>,
    /// The purses of its writer, ahead of the log.
    pub ahead: Arc<Mutex<BTreeMap<Box<str>, Purse>>>,
}

fn fails() -> Error {
    Error::Database { at: "nowhere".into(), reason: "it does not answer".into() }
}

impl Store {
    /// On the way to the store and back; one in so many fails while things go wrong.
    async fn travel(&self, one_in: u32) -> Result<(), Error> {
        let ms = self.chance.lock().random_range(0..8);
        let fails_now = !self.world.is_calm() && self.chance.lock().random_ratio(1, one_in);
        sleep(Duration::from_millis(ms)).await;
        self.life.runs().await;
        match self.life.phase() {
            Phase::Killed { lands: false } => Err(fails()),
            _ if fails_now => Err(fails()),
            _ => Ok(()),
        }
    }

    async fn save_checked(&self, place: Place, mut save: Save) -> Result<(), Error> {
        // It takes longer than a look-up.
        self.travel(u32::MAX).await?;
        self.travel(20).await?;
        if self.world.is(Weak::SnapshotAhead) {
            let ahead = self.ahead.lock();
            for item in &mut save.items {
                item.blob = ahead.get(&item.key).map_or_else(|| item.blob.clone(), blob);
            }
        }
        let reader = save.state.reader;
        self.kept.save(place, save).await?;
        if let Err(what) = self.check(place, reader).await {
            self.world.violated(format!("a snapshot at {}: {what}", reader.offset));
        }
        self.travel(30).await
    }

    /// Whether what is kept is what the log says up to there.
    async fn check(&self, place: Place, reader: Reader) -> Result<(), String> {
        let truth = self.world.truth(reader.offset)?;
        // Where nobody can tell writers apart, neither can this.
        let writer = if self.world.is(Weak::NoWriter) { reader.writer } else { truth.reader.writer };
        if (Reader { writer, ..truth.reader }) != reader {
            return Err(format!("{reader:?} is kept, {:?} folded", truth.reader));
        }
        let items = self.kept.page(place, None, usize::MAX).await.map_err(|error| error.to_string())?;
        let kept: BTreeMap<_, _> = items.into_iter().map(|item| (item.key, item.blob)).collect();
        let folded: BTreeMap<_, _> = truth.purses.iter().map(|(key, purse)| (key.clone(), blob(purse))).collect();
        if kept != folded {
            return Err(format!("{kept:?} is kept, {folded:?} folded"));
        }
        for (key, known) in &truth.first {
            let kept = self.kept.known(place, vec![key.0]).await.map_err(|error| error.to_string())?;
            if kept != [Some((*known).into())] {
                return Err(format!("{kept:?} is kept of a key first used for {known:?}"));
            }
        }
        Ok(())
    }
}

impl SnapshotStore for Store {
    fn is_shared(&self) -> bool {
        self.kept.is_shared()
    }

    fn state(&self, place: Place) -> BoxFuture<'_, Result<Option<State>, Error>> {
        Box::pin(async move {
            self.travel(20).await?;
            let mut state = self.kept.state(place).await?;
            if let Some(state) = state.as_mut().filter(|_| self.world.is(Weak::SnapshotWithoutRule)) {
                state.reader.last = -1;
            }
            Ok(state)
        })
    }

    fn save(&self, place: Place, save: Save) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.save_checked(place, save))
    }

    fn items(&self, place: Place, keys: Vec<Box<str>>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, Error>> {
        Box::pin(async move {
            self.travel(40).await?;
            self.kept.items(place, keys).await
        })
    }

    fn page(&self, place: Place, after: Option<Box<str>>, max: usize) -> BoxFuture<'_, Result<Vec<Item>, Error>> {
        self.kept.page(place, after, max)
    }

    fn due(&self, place: Place, after: Option<Due>, max: usize) -> BoxFuture<'_, Result<Vec<Due>, Error>> {
        self.kept.due(place, after, max)
    }

    fn known(&self, place: Place, keys: Vec<[u8; 16]>) -> BoxFuture<'_, Result<Vec<Option<Known>>, Error>> {
        Box::pin(async move {
            self.travel(40).await?;
            let mut known = self.kept.known(place, keys).await?;
            if self.world.is(Weak::KeysForgotten) {
                known.fill(None);
            }
            Ok(known)
        })
    }

    fn keys(&self, place: Place, first: u8) -> BoxFuture<'_, Result<Vec<[u8; 16]>, Error>> {
        Box::pin(async move {
            self.travel(100).await?;
            let mut keys = self.kept.keys(place, first).await?;
            if self.world.is(Weak::KeysUnread) {
                keys.clear();
            }
            Ok(keys)
        })
    }

    fn forget(&self, place: Place) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.travel(40).await?;
            self.kept.forget(place).await
        })
    }
}
