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
    view::{Stop, View, ViewSet},
};
use domain::{ids::AccountId, market::MarketEventData};
use event_log::{Stored, Topic, partition_of};
use event_schemas::{
    DecodeError,
    entry::{Happened, decode_happened, decode_market_entry},
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

type Shard = HashMap<AccountId, Account, foldhash::fast::RandomState>;

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
    cut: RwLock<()>,
    stops: Mutex<Vec<Stop>>,
    /// Whether `stops` holds any: it is asked with every question.
    any_stop: AtomicBool,
    /// Dead records, which the log's index by key does not know from live ones; there are few, as each is an append
    /// that failed or came twice.
    dead: Mutex<BTreeSet<(Topic, u32, u64)>>,
    position: watch::Sender<Position>,
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
        let rows = shard.get(account)?;
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

    /// Publishes that a partition is folded up to `next`.
    pub(crate) fn publish(&self, topic: Topic, partition: u32, next: u64) {
        self.position.send_modify(|position| position.advance(topic, partition, next));
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
                let panicked = self.with_account(&entry.account, |rows| {
                    if !stopped.contains(View::Journal) {
                        rows.journal.fold(stored.offset, &digest);
                    }
                    rows.fold(&entry, *stopped, None)
                });
                for (view, reason) in panicked {
                    self.stop(view, partition, stored.offset, reason, stopped);
                }
                return;
            }
            Err(error) => error,
        };
        // The journal needs no decoding: it counts what nobody can read.
        match stored.record.key.as_deref().map(AccountId::new) {
            Some(Ok(account)) => self.with_account(&account, |rows| rows.journal.fold(stored.offset, &digest)),
            _ => self.stop(View::Journal, partition, stored.offset, "the entry has no account".into(), stopped),
        }
        for view in [View::Orders, View::Trades, View::Portfolio, View::Pnl, View::Cash] {
            self.stop(view, partition, stored.offset, error.to_string().into(), stopped);
        }
    }

    /// Folds a live market entry into every market view of `partition` that has not stopped.
    pub(crate) fn fold_market(&self, partition: u32, stored: &Stored, stopped: &mut ViewSet) {
        let views = [View::Instruments, View::Prices, View::Navs];
        let entry = match decode_market_entry(&stored.record.value) {
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

    fn with_account<T>(&self, account: &AccountId, change: impl FnOnce(&mut Account) -> T) -> T {
        change(self.shard(account).write().entry(*account).or_default())
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
