//! Saving views to a store of snapshots and taking them back, so that a start folds only what came since; decides nothing about rows.
//!
//! A snapshot of a partition is made of items, one for each account or thing of the market, and a state. Items are
//! saved a few at a time while folding goes on, so that nothing waits for them; an item may then be ahead of others,
//! but each knows the last entry it holds, and folding an entry that an item holds already changes nothing. So the
//! state remembers two places: `from`, before which every item holds everything, where folding goes on; and the
//! reader as of the last save, which no item is ahead of, and which must still be in the log for the snapshot to be
//! believed. Once folding has passed that, the rows are those of a fold from the first entry.

use crate::{
    Error,
    account::Account,
    navs::SchemeRow,
    prices::{DayRow, LiveRow},
    store::Views,
};
use bytes::Bytes;
use domain::{
    ids::{AccountId, Exchange, InstrumentId, SchemeCode},
    market::{CalendarDay, Instrument, MarketEventData},
    time::Date,
};
use event_log::{
    EventLog, Topic,
    rule::Reader,
    snapshot::{Item, Place, Save, SnapshotStore, State, usable},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, num::NonZeroUsize, sync::Arc};
use tokio::{sync::watch, task::JoinSet};

/// Rises when the shape of any row changes: neither a snapshot nor a table of another shape is read.
pub(crate) const SHAPE: u32 = 5;

/// Items of one save: a millisecond or two of encoding, and some hundred kilobytes.
const SAVE_ITEMS_MAX: usize = 256;

/// Items asked for at once when a snapshot is taken back; the port bounds their bytes.
const PAGE_ITEMS: usize = 4096;

/// Where views are saved, and how often.
#[derive(Clone)]
pub struct Saving {
    /// The store.
    pub store: Arc<dyn SnapshotStore>,
    /// Entries of a partition after which its views are saved again.
    pub entries: u64,
}

/// A thing that is saved alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Key {
    Account(AccountId),
    Instrument(InstrumentId),
    Days(InstrumentId),
    Live(InstrumentId),
    Scheme(SchemeCode),
    Calendar(Exchange, Date),
}

impl Key {
    fn text(&self) -> Box<str> {
        match self {
            Self::Account(id) => id.as_str().into(),
            Self::Instrument(id) => format!("instrument/{id}").into(),
            Self::Days(id) => format!("days/{id}").into(),
            Self::Live(id) => format!("live/{id}").into(),
            Self::Scheme(code) => format!("scheme/{code}").into(),
            Self::Calendar(exchange, date) => format!("calendar/{exchange}/{date}").into(),
        }
    }
}

/// What an item holds.
#[derive(Serialize, Deserialize)]
pub(crate) enum Saved {
    Account(AccountId, Box<Account>),
    Instrument(#[serde(with = "as_json")] Vec<Instrument>),
    Days(InstrumentId, Vec<DayRow>),
    Live(InstrumentId, LiveRow),
    Scheme(SchemeCode, SchemeRow),
    Calendar(#[serde(with = "as_json")] CalendarDay),
}

/// What a state holds beside the reader.
#[derive(Serialize, Deserialize)]
struct Extra {
    from: Reader,
    /// Records before the reader that do not count.
    dead: Vec<u64>,
}

/// Where folding of a partition goes on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Start {
    /// The first record to fold.
    pub(crate) from: Reader,
    /// From which offset on the rows are those of one moment.
    pub(crate) whole_from: u64,
}

fn version() -> String {
    format!("{}/{SHAPE}", env!("CARGO_PKG_VERSION"))
}

fn place(topic: Topic, partition: u32) -> Place {
    Place { reader: "views", topic, partition }
}

/// Takes back what was saved of a partition; from the first record on, where nothing is or what is cannot be believed.
pub(crate) async fn take_back(
    log: &dyn EventLog,
    store: &dyn SnapshotStore,
    views: &Arc<Views>,
    topic: Topic,
    partition: u32,
) -> Result<Start, Error> {
    let place = place(topic, partition);
    let Some(state) = usable(store, log, place, &version()).await? else { return Ok(Start::default()) };
    let taken = match postcard::from_bytes::<Extra>(&state.blob) {
        Ok(extra) => items(store, place).await.map(|items| (extra, items)),
        Err(error) => Err(error.to_string()),
    };
    match taken {
        Ok((extra, items)) => {
            for offset in extra.dead {
                views.dead(topic, partition, offset);
            }
            views.take_back(items);
            Ok(Start { from: extra.from, whole_from: state.reader.offset })
        }
        Err(reason) => {
            tracing::warn!(%topic, partition, reason, "saved views are not used; the log is folded again");
            store.forget(place).await?;
            Ok(Start::default())
        }
    }
}

/// All items of a place, decoded on all cores; why not, in words.
async fn items(store: &dyn SnapshotStore, place: Place) -> Result<Vec<Saved>, String> {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN).get();
    let (mut decoding, mut saved, mut after) = (JoinSet::new(), Vec::new(), None);
    loop {
        let page = store.page(place, after, PAGE_ITEMS).await.map_err(|error| error.to_string())?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        if decoding.len() > cores {
            saved.append(&mut joined(decoding.join_next().await)?);
        }
        decoding.spawn_blocking(move || {
            page.iter().map(|item| postcard::from_bytes(&item.blob)).collect::<Result<Vec<Saved>, _>>()
        });
    }
    while !decoding.is_empty() {
        saved.append(&mut joined(decoding.join_next().await)?);
    }
    Ok(saved)
}

type Decoded = Option<Result<Result<Vec<Saved>, postcard::Error>, tokio::task::JoinError>>;

fn joined(decoded: Decoded) -> Result<Vec<Saved>, String> {
    match decoded {
        Some(Ok(Ok(saved))) => Ok(saved),
        Some(Ok(Err(error))) => Err(error.to_string()),
        Some(Err(error)) => Err(error.to_string()),
        None => Ok(Vec::new()),
    }
}

/// Saves the views of one partition as they are folded.
pub(crate) struct Saver {
    pub(crate) views: Arc<Views>,
    pub(crate) saving: Saving,
    pub(crate) topic: Topic,
    pub(crate) partition: u32,
    pub(crate) start: Start,
}

impl Saver {
    /// Saves after every so many entries, and once more when `stopping` says so; then it ends.
    pub(crate) async fn run(self, mut stopping: watch::Receiver<bool>) {
        let Self { topic, partition, .. } = self;
        let mut position = self.views.watch();
        let (mut onto, mut from) = (self.start.whole_from, self.start.from);
        let mut tried = from.offset;
        loop {
            // Not before the rows are those of one moment again.
            let due = (tried + self.saving.entries).max(self.start.whole_from);
            let stopped = tokio::select! {
                moved = position.wait_for(|position| position.next(topic, partition).is_some_and(|next| next >= due)) => {
                    moved.is_err()
                }
                _ = stopping.wait_for(|stopping| *stopping) => true,
            };
            tried = self.views.reader(topic, partition).offset;
            match self.save(&mut onto, &mut from).await {
                Ok(()) => {}
                Err(Error::Stopped { .. }) => return,
                Err(error) => {
                    tracing::warn!(%topic, partition, %error, "views cannot be saved now; they are at the next interval");
                }
            }
            if stopped {
                return;
            }
        }
    }

    /// Saves what changed since the save before, some at a time.
    async fn save(&self, onto: &mut u64, from: &mut Reader) -> Result<(), Error> {
        let Self { views, topic, partition, .. } = self;
        let (next, changed) = views.take_changed(*topic, *partition);
        if next.offset < self.start.whole_from || (next.offset == *onto && changed.is_empty()) {
            views.put_changed(*topic, *partition, &changed);
            return Ok(());
        }
        let mut rest = changed.as_slice();
        loop {
            let batch = &rest[..rest.len().min(SAVE_ITEMS_MAX)];
            let after = &rest[batch.len()..];
            let held = if after.is_empty() { next } else { *from };
            if let Err(error) = self.save_some(batch, held, onto).await {
                views.put_changed(*topic, *partition, rest);
                return Err(error);
            }
            rest = after;
            if rest.is_empty() {
                *from = next;
                return Ok(());
            }
        }
    }

    async fn save_some(&self, batch: &[Key], from: Reader, onto: &mut u64) -> Result<(), Error> {
        let Self { views, topic, partition, .. } = self;
        let items: Vec<Item> = batch
            .iter()
            .filter_map(|key| Some(Item { key: key.text(), due: None, blob: views.encode(key)?.into() }))
            .collect();
        let reader = views.still_reader(*topic, *partition);
        // What is encoded now may lack what a stopped view could not fold.
        if let Some(stop) =
            views.stops().into_iter().find(|stop| (stop.view.topic(), stop.partition) == (*topic, *partition))
        {
            return Err(stop.into());
        }
        let extra = Extra { from, dead: views.dead_of(*topic, *partition) };
        let blob = Bytes::from(postcard::to_stdvec(&extra).expect("a state is encoded into memory"));
        let state = State { reader, version: version().into(), blob };
        let save = Save { onto: *onto, state, items, removed: Vec::new(), known: Vec::new() };
        self.saving.store.save(place(*topic, *partition), save).await?;
        *onto = reader.offset;
        Ok(())
    }
}

/// A fact of the market, whose own form leaves out what is absent.
#[derive(Deserialize)]
#[serde(bound = "T: serde::de::DeserializeOwned")]
pub(crate) struct Fact<T>(#[serde(with = "as_json")] pub(crate) T);

/// The same, borrowed: both have the same form.
#[derive(Serialize)]
pub(crate) struct FactRef<'a, T: Serialize>(#[serde(with = "as_json")] pub(crate) &'a T);

/// Of things whose own form leaves out what is absent, which a form without names cannot tell.
pub(crate) mod as_json {
    use serde::{Deserialize, Deserializer, Serializer, de::DeserializeOwned};

    pub(crate) fn serialize<T: serde::Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(value).map_err(serde::ser::Error::custom)?)
    }

    pub(crate) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Views {
    /// What changed in a partition since it was asked last, and a place before which nothing else did.
    fn take_changed(&self, topic: Topic, partition: u32) -> (Reader, Vec<Key>) {
        let _cut = self.cut.write();
        let changed = std::mem::take(&mut *self.changed(topic, partition).lock());
        (self.reader(topic, partition), changed.into_iter().collect())
    }

    /// Takes it that these have changed, as they could not be saved.
    fn put_changed(&self, topic: Topic, partition: u32, keys: &[Key]) {
        let _cut = self.cut.write();
        self.changed(topic, partition).lock().extend(keys.iter().copied());
        for key in keys {
            if let Key::Account(id) = key {
                self.mark(id, true);
            }
        }
    }

    /// A thing as it stands; it has not changed from now on.
    fn encode(&self, key: &Key) -> Option<Vec<u8>> {
        let encoded = match key {
            Key::Account(id) => {
                self.mark(id, false);
                self.with_rows(id, |rows| postcard::to_stdvec(&SavedRef::Account(id, rows)))?
            }
            Key::Instrument(id) => {
                let instruments = self.instruments.read();
                let aliases = instruments.instruments.get(id)?.aliases.values().collect();
                postcard::to_stdvec(&SavedRef::Instrument(aliases))
            }
            Key::Days(id) => postcard::to_stdvec(&SavedRef::Days(id, self.prices.read().get(id)?.all_days())),
            Key::Live(id) => postcard::to_stdvec(&SavedRef::Live(id, self.prices.read().get(id)?.live_row())),
            Key::Scheme(code) => postcard::to_stdvec(&SavedRef::Scheme(code, self.navs.read().schemes.get(code)?)),
            Key::Calendar(exchange, date) => {
                let instruments = self.instruments.read();
                let day = instruments.calendar.get(&(*exchange, *date))?;
                postcard::to_stdvec(&SavedRef::Calendar(day))
            }
        };
        Some(encoded.expect("a row is encoded into memory"))
    }

    fn take_back(&self, items: Vec<Saved>) {
        for item in items {
            match item {
                Saved::Account(id, account) => self.insert(id, *account),
                Saved::Instrument(aliases) => {
                    let mut instruments = self.instruments.write();
                    aliases.into_iter().for_each(|alias| instruments.fold(&MarketEventData::Instrument(alias)));
                }
                Saved::Days(id, days) => self.prices.write().take_days(id, days),
                Saved::Live(id, live) => self.prices.write().take_live_row(id, live),
                Saved::Scheme(code, row) => drop(self.navs.write().schemes.insert(code, row)),
                Saved::Calendar(day) => self.instruments.write().fold(&MarketEventData::Calendar(day)),
            }
        }
    }
}

/// [`Saved`], borrowed: both have the same form.
#[derive(Serialize)]
enum SavedRef<'a> {
    Account(&'a AccountId, &'a Account),
    Instrument(#[serde(with = "as_json")] Vec<&'a Instrument>),
    Days(&'a InstrumentId, &'a [DayRow]),
    Live(&'a InstrumentId, &'a LiveRow),
    Scheme(&'a SchemeCode, &'a SchemeRow),
    Calendar(#[serde(with = "as_json")] &'a CalendarDay),
}

/// Things that changed in each partition.
pub(crate) type Changed = BTreeSet<Key>;
