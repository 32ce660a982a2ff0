//! Rows in memory: accounts in shards and the market beside them, read while entries are folded; the oracle for every later store.
//!
//! Locks are taken in one order (cut, shard, instruments, prices, navs), each for as long as one
//! entry is folded or one question is answered.

use crate::{
    Error, Position,
    account::{Account, words},
    instruments::Instruments,
    journal::Journal,
    navs::Navs,
    prices::Prices,
    read::{MarketReading, Reading},
    saved::{Changed, Key},
    view::{Stop, View, ViewSet},
};
use domain::{ids::AccountId, market::MarketEventData};
use event_log::{Stored, Topic, partition_of, rule::Reader};
use event_schemas::{
    DecodeError,
    entry::{Happened, MarketEntry, decode_happened, decode_market_entry},
};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::{
    collections::{BTreeSet, HashMap},
    hash::BuildHasher,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// Far more shards than threads, so that two seldom want the same one.
pub(crate) const SHARDS: usize = 256;

type Shard = HashMap<AccountId, Held, foldhash::fast::RandomState>;

/// The rows of an account, and whether they changed since they were saved.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) rows: Account,
    changed: bool,
}

/// All views, in memory.
pub struct Views {
    ledger_partitions: u32,
    market_partitions: u32,
    hasher: foldhash::fast::FixedState,
    shards: Box<[RwLock<Shard>]>,
    pub(crate) instruments: RwLock<Instruments>,
    pub(crate) prices: RwLock<Prices>,
    pub(crate) navs: RwLock<Navs>,
    /// Held for reading while a batch is folded, for writing while a consistent cut is taken.
    pub(crate) cut: RwLock<()>,
    stops: Mutex<Vec<Stop>>,
    /// Whether `stops` holds any: it is asked with every question.
    any_stop: AtomicBool,
    /// Dead records, which the log's index by key does not know from live ones; there are few, as each is an append
    /// that failed or came twice.
    dead: Mutex<BTreeSet<(Topic, u32, u64)>>,
    position: watch::Sender<Position>,
    /// How far each partition is folded, with all that the rule remembers.
    readers: Mutex<HashMap<(Topic, u32), Reader>>,
    /// Whether the log has no index of the market by key; dead records of the market may then not be known, either.
    reads_market_through: AtomicBool,
    /// Whether anybody saves what changed.
    saves: AtomicBool,
    /// What changed in each partition of the ledger and of the market since it was saved.
    changed: [Box<[Mutex<Changed>]>; 2],
}

impl Views {
    /// Empty views of a log with so many partitions.
    pub fn new(ledger_partitions: u32, market_partitions: u32) -> Arc<Self> {
        Arc::new(Self {
            ledger_partitions,
            market_partitions,
            hasher: foldhash::fast::FixedState::default(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            instruments: RwLock::default(),
            prices: RwLock::default(),
            navs: RwLock::default(),
            cut: RwLock::new(()),
            stops: Mutex::default(),
            any_stop: AtomicBool::new(false),
            dead: Mutex::default(),
            position: watch::Sender::new(Position::start(ledger_partitions, market_partitions)),
            readers: Mutex::default(),
            reads_market_through: AtomicBool::new(false),
            saves: AtomicBool::new(false),
            changed: [ledger_partitions, market_partitions].map(|of| (0..of).map(|_| Mutex::default()).collect()),
        })
    }

    /// How many partitions a topic has.
    pub fn partitions(&self, topic: Topic) -> u32 {
        match topic {
            Topic::Ledger => self.ledger_partitions,
            Topic::Market => self.market_partitions,
        }
    }

    /// The partition that a key's entries are in.
    pub fn partition_of(&self, topic: Topic, key: &str) -> u32 {
        partition_of(key, self.partitions(topic))
    }

    /// How far every partition is folded.
    pub fn position(&self) -> Position {
        self.position.borrow().clone()
    }

    /// The position as it moves.
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// Waits until everything `wanted` is folded, at most for `limit`; says whether it is.
    pub async fn wait_for(&self, wanted: &Position, limit: Duration) -> bool {
        if self.position.borrow().covers(wanted) {
            return true;
        }
        let mut moving = self.position.subscribe();
        let reached = moving.wait_for(|position| position.covers(wanted));
        matches!(tokio::time::timeout(limit, reached).await, Ok(Ok(_)))
    }

    /// Where views have stopped; none as a rule.
    pub fn stops(&self) -> Vec<Stop> {
        self.stops.lock().clone()
    }

    /// Every account that has an entry, ascending.
    pub fn accounts(&self) -> Vec<AccountId> {
        let mut accounts: Vec<AccountId> =
            self.shards.iter().flat_map(|shard| shard.read().keys().copied().collect::<Vec<_>>()).collect();
        accounts.sort_unstable();
        accounts
    }

    /// Asks about an account as it stands now; `None` when it has no entry. Folding of the account waits meanwhile.
    pub fn read<T>(&self, account: &AccountId, ask: impl FnOnce(&Reading<'_>) -> T) -> Option<T> {
        let shard = self.shard(account).read();
        let rows = &shard.get(account)?.rows;
        let (prices, navs) = (self.prices.read(), self.navs.read());
        let partition = self.partition_of(Topic::Ledger, account.as_str());
        Some(ask(&Reading::new(account, rows, &prices, &navs, self.stops_for(Some(partition)))))
    }

    /// Asks about the market as it stands now. Folding of the market waits while the answer lives, so ask
    /// nothing else of the views meanwhile.
    pub fn market(&self) -> MarketReading<'_> {
        MarketReading::new(self.instruments.read(), self.prices.read(), self.navs.read(), self.stops_for(None))
    }

    /// Holds everything still: no entry is half folded, and none is folded meanwhile.
    pub(crate) fn still(&self) -> (RwLockWriteGuard<'_, ()>, Vec<RwLockReadGuard<'_, Shard>>) {
        let cut = self.cut.write();
        (cut, self.shards.iter().map(RwLock::read).collect())
    }

    /// Keeps a consistent cut away while a batch is folded.
    pub(crate) fn folding(&self) -> RwLockReadGuard<'_, ()> {
        self.cut.read()
    }

    /// Remembers how far a partition is folded.
    pub(crate) fn folded(&self, topic: Topic, partition: u32, reader: &Reader) {
        self.readers.lock().insert((topic, partition), *reader);
    }

    /// Publishes that a partition is folded up to `next`.
    pub(crate) fn publish(&self, topic: Topic, partition: u32, next: u64) {
        self.position.send_modify(|position| position.advance(topic, partition, next));
    }

    /// Takes over how far the ledger is folded where its rows are kept.
    pub fn see_ledger(&self, elsewhere: &Position) {
        let ledger = Position { ledger: elsewhere.ledger.clone(), market: Vec::new() };
        self.position.send_if_modified(|position| {
            let moved = !position.covers(&ledger);
            position.merge(&ledger);
            moved
        });
    }

    /// How far a partition is folded, as of the last batch.
    pub(crate) fn reader(&self, topic: Topic, partition: u32) -> Reader {
        self.readers.lock().get(&(topic, partition)).copied().unwrap_or_default()
    }

    /// The same while nothing is being folded, so that no row is ahead of it.
    pub(crate) fn still_reader(&self, topic: Topic, partition: u32) -> Reader {
        let _cut = self.cut.write();
        self.reader(topic, partition)
    }

    /// From now on parts of the market are read record by record.
    pub(crate) fn read_market_through(&self) {
        self.reads_market_through.store(true, Ordering::Relaxed);
    }

    pub(crate) fn reads_market_through(&self) -> bool {
        self.reads_market_through.load(Ordering::Relaxed)
    }

    /// Holds these rows of the market from now on.
    pub(crate) fn take_market(&self, instruments: Instruments, prices: Prices, navs: Navs) {
        let _cut = self.cut.write();
        *self.instruments.write() = instruments;
        *self.prices.write() = prices;
        *self.navs.write() = navs;
    }

    /// From now on what changes is remembered until it is saved.
    pub(crate) fn begin_saving(&self) {
        self.saves.store(true, Ordering::Relaxed);
    }

    pub(crate) fn changed(&self, topic: Topic, partition: u32) -> &Mutex<Changed> {
        &self.changed[usize::from(topic == Topic::Market)][partition as usize]
    }

    /// Says whether an account has changed since it was saved.
    pub(crate) fn mark(&self, account: &AccountId, changed: bool) {
        if let Some(held) = self.shard(account).write().get_mut(account) {
            held.changed = changed;
        }
    }

    pub(crate) fn with_rows<T>(&self, account: &AccountId, ask: impl FnOnce(&Account) -> T) -> Option<T> {
        self.shard(account).read().get(account).map(|held| ask(&held.rows))
    }

    pub(crate) fn insert(&self, account: AccountId, rows: Account) {
        self.shard(&account).write().insert(account, Held { rows, changed: false });
    }

    /// Folds a live entry of an account into every view of `partition` that has not stopped.
    pub(crate) fn fold_entry(&self, partition: u32, stored: &Stored, stopped: &mut ViewSet) {
        self.fold_decoded(partition, stored, decode_happened(&stored.record.value), stopped);
    }

    /// The same for one that was decoded, or could not be.
    pub(crate) fn fold_decoded(
        &self,
        partition: u32,
        stored: &Stored,
        entry: Result<Happened, DecodeError>,
        stopped: &mut ViewSet,
    ) {
        let digest = Journal::digest(&stored.record.value);
        let error = match entry {
            Ok(entry) => {
                self.with_account(partition, stored.offset, &entry.account, |rows| {
                    if !stopped.contains(View::Journal) {
                        rows.journal.fold(stored.offset, &digest);
                    }
                    // Known to have stopped before anybody can see what was folded in part.
                    for (view, reason) in rows.fold(&entry, *stopped, None) {
                        self.stop(view, partition, stored.offset, reason, stopped);
                    }
                });
                return;
            }
            Err(error) => error,
        };
        // The journal needs no decoding: it counts what nobody can read.
        match stored.record.key.as_deref().map(AccountId::new) {
            Some(Ok(account)) => self.with_account(partition, stored.offset, &account, |rows| {
                rows.journal.fold(stored.offset, &digest);
            }),
            _ => self.stop(View::Journal, partition, stored.offset, "the entry has no account".into(), stopped),
        }
        for view in [View::Orders, View::Trades, View::Portfolio, View::Pnl, View::Cash] {
            self.stop(view, partition, stored.offset, error.to_string().into(), stopped);
        }
    }

    /// Folds a live market entry into every market view of `partition` that has not stopped.
    pub(crate) fn fold_market(&self, partition: u32, stored: &Stored, stopped: &mut ViewSet) {
        self.fold_market_decoded(partition, stored, decode_market_entry(&stored.record.value), stopped);
    }

    /// The same for one that was decoded, or could not be.
    pub(crate) fn fold_market_decoded(
        &self,
        partition: u32,
        stored: &Stored,
        entry: Result<MarketEntry<'_>, DecodeError>,
        stopped: &mut ViewSet,
    ) {
        let views = [View::Instruments, View::Prices, View::Navs];
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let reason: Box<str> = error.to_string().into();
                return views.iter().for_each(|view| {
                    self.stop(*view, partition, stored.offset, reason.clone(), stopped);
                });
            }
        };
        for event in &entry.events {
            for view in views {
                if stopped.contains(view) {
                    continue;
                }
                let folded = catch_unwind(AssertUnwindSafe(|| match view {
                    View::Instruments if touches_instruments(&event.data) => {
                        self.instruments.write().fold(&event.data);
                    }
                    View::Prices if touches_prices(&event.data) => {
                        self.prices.write().fold(&event.data, stored.offset);
                    }
                    View::Navs if touches_navs(&event.data) => self.navs.write().fold(&event.data, stored.offset),
                    _ => {}
                }));
                if let Err(panic) = folded {
                    self.stop(view, partition, stored.offset, words(panic.as_ref()), stopped);
                }
            }
            if self.saves.load(Ordering::Relaxed)
                && let Some(key) = key_of(&event.data)
            {
                self.changed(Topic::Market, partition).lock().insert(key);
            }
        }
    }

    /// Stops a view in a partition, once.
    pub(crate) fn stop(&self, view: View, partition: u32, offset: u64, reason: Box<str>, stopped: &mut ViewSet) {
        if stopped.contains(view) {
            return;
        }
        stopped.insert(view);
        tracing::error!(view = view.name(), partition, offset, %reason, "a view stopped; others go on");
        let labels = [("view", view.name().to_owned()), ("partition", partition.to_string())];
        metrics::counter!("bahi_view_stops_total", &labels).increment(1);
        self.stops.lock().push(Stop { view, partition, offset, reason });
        self.any_stop.store(true, Ordering::Release);
    }

    /// Remembers a record that does not count.
    pub(crate) fn dead(&self, topic: Topic, partition: u32, offset: u64) {
        self.dead.lock().insert((topic, partition, offset));
    }

    pub(crate) fn dead_of(&self, topic: Topic, partition: u32) -> Vec<u64> {
        let all = (topic, partition, 0)..=(topic, partition, u64::MAX);
        self.dead.lock().range(all).map(|(_, _, offset)| *offset).collect()
    }

    /// Leaves out the records that do not count.
    pub(crate) fn keep_live(&self, topic: Topic, partition: u32, offsets: &mut Vec<u64>) {
        let dead = self.dead.lock();
        if !dead.is_empty() {
            offsets.retain(|offset| !dead.contains(&(topic, partition, *offset)));
        }
    }

    /// Stops that an answer about an account of this partition, or about the market, has to know.
    pub(crate) fn stops_for(&self, partition: Option<u32>) -> Vec<Stop> {
        if !self.any_stop.load(Ordering::Acquire) {
            return Vec::new();
        }
        let stops = self.stops.lock();
        let matters = |stop: &&Stop| stop.view.topic() == Topic::Market || Some(stop.partition) == partition;
        stops.iter().filter(matters).cloned().collect()
    }

    /// Folds the entry at `offset` into an account, unless a snapshot held it already.
    fn with_account(&self, partition: u32, offset: u64, account: &AccountId, fold: impl FnOnce(&mut Account)) {
        let mut shard = self.shard(account).write();
        let held = shard.entry(*account).or_default();
        if held.rows.journal.last().is_some_and(|last| offset <= last) {
            return;
        }
        fold(&mut held.rows);
        if !held.changed && self.saves.load(Ordering::Relaxed) {
            held.changed = true;
            self.changed(Topic::Ledger, partition).lock().insert(Key::Account(*account));
        }
    }

    fn shard(&self, account: &AccountId) -> &RwLock<Shard> {
        &self.shards[self.shard_of(account.as_str())]
    }

    /// Which shard an account is in, by its id.
    pub(crate) fn shard_of(&self, account: &str) -> usize {
        self.hasher.hash_one(account) as usize % SHARDS
    }

    /// Whether an answer may be given by this view now.
    pub(crate) fn check(stops: &[Stop], view: View) -> Result<(), Error> {
        match stops.iter().find(|stop| stop.view == view) {
            None => Ok(()),
            Some(stop) => Err(stop.clone().into()),
        }
    }
}

fn touches_instruments(event: &MarketEventData) -> bool {
    matches!(event, MarketEventData::Instrument(_) | MarketEventData::Calendar(_))
}

fn touches_prices(event: &MarketEventData) -> bool {
    matches!(event, MarketEventData::Price(_) | MarketEventData::Last(_))
}

fn touches_navs(event: &MarketEventData) -> bool {
    matches!(event, MarketEventData::Scheme(_) | MarketEventData::Nav(_))
}

fn key_of(event: &MarketEventData) -> Option<Key> {
    match event {
        MarketEventData::Instrument(fact) => Some(Key::Instrument(fact.instrument)),
        MarketEventData::Calendar(fact) => Some(Key::Calendar(fact.exchange, fact.date)),
        MarketEventData::Price(fact) => Some(Key::Days(fact.instrument)),
        MarketEventData::Last(fact) => Some(Key::Live(fact.instrument)),
        MarketEventData::Scheme(fact) => Some(Key::Scheme(fact.scheme)),
        MarketEventData::Nav(fact) => Some(Key::Scheme(fact.scheme)),
        _ => None,
    }
}
