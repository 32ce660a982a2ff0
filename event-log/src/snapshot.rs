//! The port to snapshots: what a reader has folded of a partition, kept so that a start need not fold it again.
//!
//! A snapshot is disposable and never evidence: it is folded from live entries only, and whoever finds it torn,
//! foreign, of another release or of another log forgets it and folds the log. It knows no event and no account.
//!
//! A place, as a [`SnapshotStore`] sees it:
//!
//! ```text
//!  state   {offset, term, writer, last}, version, a small blob
//!  items   key -> blob, some with a number by which they are sorted (`due`)
//!  known   16 bytes -> {16 bytes of content, offset}: only ever added
//! ```

pub mod contract;
pub mod filter;
pub mod memory;
pub mod postgres;
pub mod sqlite;

use bytes::Bytes;

use crate::{BoxFuture, Error, EventLog, Topic, rule::Reader};

/// The most keys one look-up takes: one flight of commands.
pub const LOOK_UP_KEYS_MAX: usize = 4096;

/// The most items one page holds, whatever `max` says.
pub const PAGE_ITEMS_MAX: usize = 8192;

/// About the most bytes of blobs in one page; at least one item is answered.
pub const PAGE_BYTES_MAX: usize = 8 << 20;

/// The largest blob, of a state or an item: far more than any book.
pub const BLOB_BYTES_MAX: usize = 64 << 20;

/// The longest key of an item.
pub const KEY_BYTES_MAX: usize = 256;

/// Whose snapshot, of which partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The reader's name: `books`, `views`.
    pub reader: &'static str,
    /// Of which topic.
    pub topic: Topic,
    /// Of which partition.
    pub partition: u32,
}

/// How far a snapshot has folded, and what is not an item.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The whole state of the ledger rule, with what was folded.
    pub reader: Reader,
    /// Which release and shape wrote it; another version is not read.
    pub version: Box<str>,
    /// What else the reader remembers; small, as it is written at each save.
    pub blob: Bytes,
}

/// One thing that a reader folded.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its key.
    pub key: Box<str>,
    /// Where it stands among [`SnapshotStore::due`]; absent if it does not.
    pub due: Option<i64>,
    /// The thing itself.
    pub blob: Bytes,
}

/// When an item is due, and its key.
pub type Due = (i64, Box<str>);

/// What a key was first used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The hash of what was asked.
    pub content: [u8; 16],
    /// Where its entry stands.
    pub offset: u64,
}

/// What changed since the snapshot before.
#[derive(Debug, Clone)]
pub struct Save {
    /// The offset of the snapshot that this one adds to; 0 for none.
    pub onto: u64,
    /// The state from now on.
    pub state: State,
    /// Items that are new or changed.
    pub items: Vec<Item>,
    /// Items that are gone.
    pub removed: Vec<Box<str>>,
    /// Keys used since, each once and never one that was saved before.
    pub known: Vec<([u8; 16], Known)>,
}

/// A store of snapshots.
///
/// Obligations of every adapter, kept by the suite in [`contract`]:
///
/// - A save is seen whole or not at all, also after a crash; it may be lost in a crash of the machine.
/// - What cannot be what was saved is never answered: it is [`Error::Snapshot`], and the reader forgets its place.
/// - Who retries: the caller, with everything of the save that failed.
pub trait SnapshotStore: Send + Sync {
    /// Whether other processes may save and forget at the same places: then who looks something up makes sure that
    /// the place is still as it knows it.
    fn is_shared(&self) -> bool;

    /// The state of a place; `None` when nothing is saved there.
    fn state(&self, place: Place) -> BoxFuture<'_, Result<Option<State>, Error>>;

    /// Saves what changed, all in one transaction.
    ///
    /// A save that does not stand on the one before is refused as [`Error::NotTheEnd`], so that no change
    /// between them can be left out unseen.
    fn save(&self, place: Place, save: Save) -> BoxFuture<'_, Result<(), Error>>;

    /// The blobs of these items, in the order of the keys; at most [`LOOK_UP_KEYS_MAX`].
    fn items(&self, place: Place, keys: Vec<Box<str>>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, Error>>;

    /// The items after this key, ascending by key, at most `max`.
    ///
    /// Bounded also by [`PAGE_ITEMS_MAX`] and [`PAGE_BYTES_MAX`]; only an empty answer is the end.
    fn page(&self, place: Place, after: Option<Box<str>>, max: usize) -> BoxFuture<'_, Result<Vec<Item>, Error>>;

    /// The items that have a `due`, without their blobs, ascending by it and then by key, after this one, at most `max`.
    ///
    /// Bounded also by [`PAGE_ITEMS_MAX`]; only an empty answer is the end.
    fn due(&self, place: Place, after: Option<Due>, max: usize) -> BoxFuture<'_, Result<Vec<Due>, Error>>;

    /// What these keys were used for, in their order; at most [`LOOK_UP_KEYS_MAX`].
    fn known(&self, place: Place, keys: Vec<[u8; 16]>) -> BoxFuture<'_, Result<Vec<Option<Known>>, Error>>;

    /// The keys that were saved and begin with this byte, in no order: a 256th of all, as keys are hashes.
    fn keys(&self, place: Place, first: u8) -> BoxFuture<'_, Result<Vec<[u8; 16]>, Error>>;

    /// Forgets everything saved at a place.
    fn forget(&self, place: Place) -> BoxFuture<'_, Result<(), Error>>;
}

/// The state of a place, if it may be believed: of this version, of this log, and of what the log still says.
///
/// Otherwise the place is forgotten, one line says why, and there is none.
///
/// # Errors
/// When the store or the log cannot be asked.
pub async fn usable(
    store: &dyn SnapshotStore,
    log: &dyn EventLog,
    place: Place,
    version: &str,
) -> Result<Option<State>, Error> {
    let reason = match believed(store, log, place, version).await? {
        Ok(state) => return Ok(state),
        Err(reason) => reason,
    };
    tracing::warn!(reader = place.reader, topic = %place.topic, partition = place.partition, reason,
        "a snapshot is not used; the log is folded again");
    store.forget(place).await?;
    Ok(None)
}

/// As [`usable`], for who reads what another saves: forgets nothing, and says in words why what is there is not believed.
///
/// # Errors
/// When the store or the log cannot be asked.
pub async fn believed(
    store: &dyn SnapshotStore,
    log: &dyn EventLog,
    place: Place,
    version: &str,
) -> Result<Result<Option<State>, String>, Error> {
    match store.state(place).await {
        Ok(Some(state)) if &*state.version != version => {
            Ok(Err(format!("written as {}, read as {version}", state.version)))
        }
        Ok(Some(state)) => Ok(unlike(log, place, &state.reader).await?.map_or(Ok(Some(state)), Err)),
        Ok(None) => Ok(Ok(None)),
        Err(Error::Snapshot { reason, .. }) => Ok(Err(reason)),
        Err(error) => Err(error),
    }
}

/// In what the log is not the one that was folded.
///
/// The record before the snapshot's offset must be of the writer that the snapshot ends with: writers are
/// random numbers, so another history has others.
async fn unlike(log: &dyn EventLog, place: Place, reader: &Reader) -> Result<Option<String>, Error> {
    let Reader { offset, term, writer, .. } = *reader;
    let tail = log.tail(place.topic, place.partition).await?;
    if offset > tail {
        return Ok(Some(format!("it ends at {offset}, the log at {tail}")));
    }
    let Some(before) = offset.checked_sub(1) else { return Ok(None) };
    let found = log.read_at(place.topic, place.partition, vec![before]).await?;
    let same = found.first().is_some_and(|stored| {
        let headers = &stored.record.headers;
        headers.term == term && headers.writer == writer
    });
    Ok((!same).then(|| format!("the log says otherwise before {offset}")))
}

/// Refuses what no adapter takes.
fn check_save(save: &Save) -> Result<(), Error> {
    let over = |what, max| Err(Error::TooLarge { what, max });
    let keys = save.items.iter().map(|item| &item.key).chain(&save.removed);
    if keys.into_iter().any(|key| key.len() > KEY_BYTES_MAX) {
        return over("the key of a snapshot's item", KEY_BYTES_MAX);
    }
    let mut blobs = save.items.iter().map(|item| &item.blob).chain([&save.state.blob]);
    if blobs.any(|blob| blob.len() > BLOB_BYTES_MAX) {
        return over("a snapshot's blob", BLOB_BYTES_MAX);
    }
    Ok(())
}

fn check_look_up(keys: usize) -> Result<(), Error> {
    if keys > LOOK_UP_KEYS_MAX {
        return Err(Error::TooLarge { what: "a look-up's number of keys", max: LOOK_UP_KEYS_MAX });
    }
    Ok(())
}
