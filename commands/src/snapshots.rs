//! A writer's snapshots: when one is taken, how it is saved beside the writer's work, and what is asked of it later.
//!
//! Holds nothing speculative: the writer hands over only when all that it decided is live. Knows neither accounts
//! nor facts.

use crate::{
    known::{Key, Known, Outcomes},
    saved_keys::SavedKeys,
    subject::Encode,
};
use bytes::Bytes;
use event_log::{
    BoxFuture, Error, EventLog,
    rule::Reader,
    snapshot::{self, Due, Item, LOOK_UP_KEYS_MAX, PAGE_ITEMS_MAX, Place, Save, SnapshotStore, State, usable},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// How many bytes of entries are folded at most before a snapshot is taken: a start folds them in about a second.
const SNAPSHOT_BYTES: usize = 256 << 20;

/// After how long a store that could not be asked is asked again, at first; and how often that doubles: to some minutes.
const ASK_AGAIN_S: u64 = 5;
const ASK_AGAIN_DOUBLINGS: u32 = 6;

/// What is said of a snapshot that is whole, but cannot be gone on with.
pub(crate) const FOLDED_AGAIN: &str =
    "the snapshot is somebody else's, or cannot be asked; the log is folded again from it";

/// The first bytes of a state's blob.
const LINEAGE_BYTES: usize = 16;

/// Keys with what each was first used for.
pub(crate) type Keys = Vec<(Key, Known)>;

/// How a save ended: where it ended, and the keys of one that failed.
type Saved = Result<u64, (Error, Keys)>;

/// What was looked up, in the order it was asked.
pub(crate) struct Found {
    pub known: Vec<Option<Known>>,
    pub items: Vec<Option<Bytes>>,
}

/// One writer's place in the store.
pub(crate) struct Snapshots {
    store: Arc<dyn SnapshotStore>,
    place: Place,
    version: Box<str>,
    every: usize,
    /// The offset of what is stored.
    onto: u64,
    /// And once what is being saved is stored.
    next: u64,
    /// By chance, and in all that stands on one first save: a place that was forgotten and saved anew has another.
    lineage: u128,
    /// Since the last hand-over.
    entries: usize,
    bytes: usize,
    /// Keys first used since the last hand-over.
    fresh: Keys,
    saving: Option<JoinHandle<Saved>>,
    /// Whether a save found something else stored than what was known, or what it held is lost.
    is_lost: bool,
    /// Which keys are stored, where the store is shared: elsewhere it knows that itself, and is near.
    saved_keys: Option<Arc<SavedKeys>>,
    reading: Option<JoinHandle<()>>,
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.reading.iter().for_each(JoinHandle::abort);
    }
}

impl Snapshots {
    pub(crate) fn new(store: Arc<dyn SnapshotStore>, place: Place, version: String, every: usize) -> Self {
        let version = version.into();
        Self {
            store,
            place,
            version,
            every,
            onto: 0,
            next: 0,
            lineage: rand::random(),
            entries: 0,
            bytes: 0,
            fresh: Keys::new(),
            saving: None,
            is_lost: false,
            saved_keys: None,
            reading: None,
        }
    }

    /// The state to fold on from, if there is one to be believed, and what is due in it.
    pub(crate) async fn begin(&mut self, log: &dyn EventLog) -> Result<Option<(State, Vec<Due>)>, Error> {
        (self.entries, self.bytes) = (0, 0);
        (self.onto, self.next) = (0, 0);
        self.fresh.clear();
        self.lineage = rand::random();
        self.has_none();
        let Some(mut state) = usable(&*self.store, log, self.place, &self.version).await? else { return Ok(None) };
        let mut due: Vec<Due> = Vec::new();
        loop {
            let page = self.store.due(self.place, due.last().cloned(), PAGE_ITEMS_MAX).await?;
            if page.is_empty() {
                break;
            }
            due.extend(page);
        }
        (self.onto, self.next) = (state.reader.offset, state.reader.offset);
        if let Some(lineage) = lineage_of(&state) {
            self.lineage = lineage;
            state.blob = state.blob.slice(LINEAGE_BYTES..);
            self.read_keys();
        } else {
            state.blob.clear();
        }
        Ok(Some((state, due)))
    }

    /// Hands over all that is stored, as [`read_items`].
    pub(crate) async fn items(&self, take_in: TakeIn<'_>) -> Result<u64, Unread> {
        read_items(&*self.store, self.place, self.lineage, take_in).await
    }

    /// Forgets what is stored, which cannot be believed: the next is the first.
    pub(crate) async fn start_over(&mut self) -> Result<(), Error> {
        (self.entries, self.bytes) = (0, 0);
        (self.onto, self.next) = (0, 0);
        self.lineage = rand::random();
        self.fresh.clear();
        self.has_none();
        self.store.forget(self.place).await
    }

    /// Nothing is stored.
    fn has_none(&mut self) {
        self.is_lost = false;
        self.reading.take().iter().for_each(JoinHandle::abort);
        self.saved_keys = self.store.is_shared().then(|| Arc::new(SavedKeys::none()));
    }

    /// Learns beside the writer's work which keys are stored.
    fn read_keys(&mut self) {
        if !self.store.is_shared() {
            return;
        }
        // No more than there are entries.
        let saved = Arc::new(SavedKeys::unread(usize::try_from(self.onto).unwrap_or(usize::MAX)));
        let (store, place, found) = (Arc::clone(&self.store), self.place, (self.lineage, self.onto));
        let reading = Arc::clone(&saved);
        self.saved_keys = Some(saved);
        self.reading = Some(tokio::spawn(async move { reading.read(store, place, found).await }));
    }

    /// A live entry of so many bytes was folded.
    pub(crate) fn folded(&mut self, bytes: usize) {
        self.entries += 1;
        self.bytes += bytes;
    }

    /// A key was first used.
    pub(crate) fn remember(&mut self, key: Key, known: Known) {
        self.fresh.push((key, known));
    }

    /// Whether it is time for the next, and the one before is saved.
    pub(crate) fn is_due(&self) -> bool {
        self.saving.is_none() && (self.entries >= self.every || self.bytes >= SNAPSHOT_BYTES)
    }

    /// Whether the next is due twice over while the one before is still being saved.
    pub(crate) fn is_late(&self) -> bool {
        self.entries >= 2 * self.every || self.bytes >= 2 * SNAPSHOT_BYTES
    }

    /// Whether anything was folded that is not stored.
    pub(crate) fn is_behind(&self) -> bool {
        self.entries > 0
    }

    /// Saves beside the writer's work; keys that are saved leave memory.
    pub(crate) fn hand_over(&mut self, reader: Reader, encode: Encode, outcomes: &Arc<Outcomes>) {
        (self.entries, self.bytes) = (0, 0);
        self.next = reader.offset;
        let keys = std::mem::take(&mut self.fresh);
        let (store, place, onto, version) = (Arc::clone(&self.store), self.place, self.onto, self.version.clone());
        let (outcomes, lineage, saved_keys) = (Arc::clone(outcomes), self.lineage, self.saved_keys.clone());
        self.saving = Some(tokio::spawn(async move {
            let began = Instant::now();
            let (items, blob) = match beside(encode).await {
                Ok(encoded) => encoded,
                Err(reason) => return Err((Error::Unknown { reason }, keys)),
            };
            let known = keys.iter().map(|(key, known)| (key.0, (*known).into())).collect();
            let blob = [&lineage.to_le_bytes()[..], &blob].concat().into();
            let state = State { reader, version, blob };
            let count = items.len();
            match store.save(place, Save { onto, state, items, removed: Vec::new(), known }).await {
                Ok(()) => {
                    // Before they leave memory: a key is always in one of the two.
                    saved_keys.iter().for_each(|saved| saved.add(keys.iter().map(|(key, _)| &key.0)));
                    outcomes.forget(&keys);
                    let (offset, took) = (reader.offset, began.elapsed());
                    tracing::debug!(
                        reader = place.reader,
                        offset,
                        items = count,
                        keys = keys.len(),
                        ?took,
                        "a snapshot is saved"
                    );
                    Ok(offset)
                }
                Err(error) => Err((error, keys)),
            }
        }));
    }

    /// Waits for the save under way, for ever if there is none; safe to be dropped. Whether it is saved.
    pub(crate) async fn saved(&mut self) -> bool {
        let Some(saving) = &mut self.saving else { return std::future::pending().await };
        let ended = saving.await;
        self.saving = None;
        match ended {
            Ok(Ok(offset)) => {
                self.onto = offset;
                true
            }
            Ok(Err((error, mut keys))) => {
                self.is_lost |= matches!(error, Error::NotTheEnd { .. });
                tracing::warn!(reader = self.place.reader, partition = self.place.partition, %error, "a snapshot was not saved");
                keys.append(&mut self.fresh);
                self.fresh = keys;
                false
            }
            Err(error) => {
                tracing::error!(reader = self.place.reader, partition = self.place.partition, %error, "saving a snapshot ended badly");
                self.is_lost = true;
                false
            }
        }
    }

    /// Whether nothing can be saved any more until the log is folded again from what is stored.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }

    pub(crate) fn is_saving(&self) -> bool {
        self.saving.is_some()
    }

    /// Whether a key that was not in memory may be stored; false only if it is not.
    pub(crate) fn may_hold(&self, key: &Key) -> bool {
        self.saved_keys.as_ref().is_none_or(|saved| saved.may_hold(key))
    }

    /// Looks up keys and items.
    ///
    /// [`Error::NotTheEnd`] when somebody else has saved or forgotten what is stored: what was found belongs to no state
    /// that is known here.
    pub(crate) fn look_up(&self, keys: Vec<Key>, items: Vec<Box<str>>) -> BoxFuture<'static, Result<Found, Error>> {
        let (store, place) = (Arc::clone(&self.store), self.place);
        let (onto, next, lineage) = (self.onto, self.next, self.lineage);
        Box::pin(async move {
            let mut found = Found { known: Vec::new(), items: Vec::new() };
            for keys in keys.chunks(LOOK_UP_KEYS_MAX) {
                let known = store.known(place, keys.iter().map(|key| key.0).collect()).await?;
                found.known.extend(known.into_iter().map(|known| known.map(Known::from)));
            }
            for items in items.chunks(LOOK_UP_KEYS_MAX) {
                found.items.extend(store.items(place, items.to_vec()).await?);
            }
            if !store.is_shared() {
                return Ok(found);
            }
            // Asked afterwards, as what is stored goes on or begins anew, and never goes back.
            let state = store.state(place).await?;
            let is_own = match &state {
                None => onto == 0,
                Some(state) => [onto, next].contains(&state.reader.offset) && lineage_of(state) == Some(lineage),
            };
            let end = state.map_or(0, |state| state.reader.offset);
            if is_own { Ok(found) } else { Err(Error::NotTheEnd { end }) }
        })
    }

    /// Resolves once a store that failed so many times in a row answers again; asked the seldomer the oftener it failed,
    /// as taking it up again costs folding from its last snapshot.
    pub(crate) fn answers_again(&self, outages: u32) -> BoxFuture<'static, ()> {
        let (store, place) = (Arc::clone(&self.store), self.place);
        let wait = Duration::from_secs(ASK_AGAIN_S << outages.min(ASK_AGAIN_DOUBLINGS));
        Box::pin(async move {
            loop {
                tokio::time::sleep(wait).await;
                match probe(&*store, place).await {
                    Err(error) if !is_damage(&error) => tracing::debug!(%error, "snapshots do not answer yet"),
                    _ => return,
                }
            }
        })
    }

    /// For who asks for one key, beside the writer.
    pub(crate) fn older(&self) -> Older {
        Older { store: Arc::clone(&self.store), place: self.place }
    }
}

/// Asks a little of all that a writer asks: a store may answer in part, where one of its tables is locked or gone.
async fn probe(store: &dyn SnapshotStore, place: Place) -> Result<(), Error> {
    store.state(place).await?;
    store.page(place, None, 1).await?;
    store.due(place, None, 1).await?;
    store.items(place, vec![Box::default()]).await?;
    store.known(place, vec![[0; 16]]).await?;
    store.keys(place, 0).await?;
    Ok(())
}

/// Whether what is stored is of no use, rather than somebody else's by now, or away for a while.
pub(crate) fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Snapshot { .. })
}

/// Why not all items of a place could be read.
pub(crate) enum Unread {
    /// What is stored is of no use.
    Damaged(String),
    /// The store cannot be asked, or somebody else has begun anew.
    Away(Error),
}

/// Takes in an item, or says in words why it cannot be.
pub(crate) type TakeIn<'a> = &'a mut (dyn FnMut(&Item) -> Result<(), String> + Send);

/// Hands over all items of a place that was found with this lineage, ascending by key, though others may save meanwhile.
///
/// Gives where what is stored ended afterwards: none of the items holds anything beyond.
pub(crate) async fn read_items(
    store: &dyn SnapshotStore,
    place: Place,
    lineage: u128,
    take_in: TakeIn<'_>,
) -> Result<u64, Unread> {
    let unread = |error| match is_damage(&error) {
        true => Unread::Damaged(error.to_string()),
        false => Unread::Away(error),
    };
    let mut after = None;
    loop {
        let page = store.page(place, after, PAGE_ITEMS_MAX).await.map_err(unread)?;
        let Some(last) = page.last() else { break };
        for item in &page {
            take_in(item).map_err(|reason| Unread::Damaged(format!("{}: {reason}", item.key)))?;
        }
        after = Some(last.key.clone());
    }
    // Asked afterwards: of one lineage what is stored only goes on, and what is forgotten begins another.
    let state = store.state(place).await.map_err(unread)?;
    match state {
        Some(state) if lineage_of(&state) == Some(lineage) => Ok(state.reader.offset),
        other => Err(Unread::Away(Error::NotTheEnd { end: other.map_or(0, |state| state.reader.offset) })),
    }
}

/// Which lineage a state is of; none if it is cut short.
pub(crate) fn lineage_of(state: &State) -> Option<u128> {
    state.blob.first_chunk().map(|lineage: &[u8; LINEAGE_BYTES]| u128::from_le_bytes(*lineage))
}

/// Encodes beside other work; in this crate's own tests at once, so that what they simulate can be repeated.
async fn beside(encode: Encode) -> Result<(Vec<Item>, Bytes), String> {
    if cfg!(test) {
        return encode();
    }
    tokio::task::spawn_blocking(encode).await.map_err(|why| why.to_string()).flatten()
}

/// Keys that are no longer in memory.
#[derive(Clone)]
pub(crate) struct Older {
    store: Arc<dyn SnapshotStore>,
    place: Place,
}

impl Older {
    pub(crate) fn new(store: Arc<dyn SnapshotStore>, place: Place) -> Self {
        Self { store, place }
    }

    /// Where the snapshot of this version ends; before the first record without one.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub(crate) async fn saved_up_to(&self, version: &str) -> Result<Reader, Error> {
        let state = self.store.state(self.place).await?.filter(|state| &*state.version == version);
        Ok(state.map_or_else(Reader::default, |state| state.reader))
    }

    /// What these keys, at most [`LOOK_UP_KEYS_MAX`], were used for.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub(crate) async fn find_all(&self, keys: Vec<Key>) -> Result<Vec<Option<Known>>, Error> {
        let found = self.store.known(self.place, keys.iter().map(|key| key.0).collect()).await?;
        Ok(found.into_iter().map(|known| known.map(Known::from)).collect())
    }

    pub(crate) async fn find(&self, key: &Key) -> Option<Known> {
        match self.store.known(self.place, vec![key.0]).await {
            Ok(found) => found.first().copied().flatten().map(Known::from),
            Err(error) => {
                tracing::warn!(reader = self.place.reader, partition = self.place.partition, %error, "a key was not looked up");
                None
            }
        }
    }
}

impl From<snapshot::Known> for Known {
    fn from(known: snapshot::Known) -> Self {
        Self { content: known.content, offset: known.offset }
    }
}

impl From<Known> for snapshot::Known {
    fn from(known: Known) -> Self {
        Self { content: known.content, offset: known.offset }
    }
}
