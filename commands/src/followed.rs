//! The market as this process's ledger writers decide with it: all partitions of `bahi.market`, followed.

use crate::{error::Error, saved_market::SavedMarket};
use domain::{
    ids::{InstrumentId, SchemeCode},
    market::{self, Market, MarketEvent, MarketEventData},
};
use event_log::{
    EventLog, Stored, Topic,
    rule::{Reader, Verdict},
};
use event_schemas::decode_market_entry;
use parking_lot::Mutex;
use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};
use tokio::sync::watch;

/// What a lock that is poisoned says.
const FOLDED: &str = "the market is folded whole";
/// The longest wait before a failed reading is tried again.
const RETRY_MS: u64 = 200;

/// The market and how far each partition is folded.
#[derive(Default)]
pub(crate) struct Facts {
    pub market: Market,
    /// The next offset of each partition.
    pub at: Vec<u64>,
}

/// What moved since it was last asked; bounded by what exists.
#[derive(Default)]
pub(crate) struct Changed {
    pub instruments: HashSet<InstrumentId>,
    pub schemes: HashSet<SchemeCode>,
    pub calendar: bool,
}

/// Where following a partition begins.
pub(crate) struct Beginning {
    reader: Reader,
    /// Entries before this may be folded already.
    restored_to: u64,
}

/// Market facts, shared by all ledger writers of the process.
pub(crate) struct Followed {
    facts: RwLock<Facts>,
    /// Counts batches folded.
    moved: watch::Sender<u64>,
    /// Counts batches that held a calendar fact.
    calendar: watch::Sender<u64>,
    /// What each simulation has not seen yet.
    changed: Vec<Mutex<Changed>>,
}

impl Followed {
    pub(crate) fn new(partitions: u32, simulations: u32) -> Arc<Self> {
        let at = vec![0; usize::try_from(partitions).expect("a count of partitions")];
        Arc::new(Self {
            facts: RwLock::new(Facts { market: Market::default(), at }),
            moved: watch::Sender::new(0),
            calendar: watch::Sender::new(0),
            changed: (0..simulations).map(|_| Mutex::default()).collect(),
        })
    }

    /// The market as far as it is folded. Panics once folding has panicked: nothing is decided by what is left of it.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Facts> {
        self.facts.read().expect(FOLDED)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Facts> {
        self.facts.write().expect(FOLDED)
    }

    /// Folds without a log.
    #[cfg(test)]
    pub(crate) fn change(&self, change: impl FnOnce(Market) -> Market) {
        let mut facts = self.write();
        facts.market = change(std::mem::take(&mut facts.market));
    }

    /// Changes with each batch folded.
    pub(crate) fn moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Changes with calendar facts.
    pub(crate) fn calendar(&self) -> watch::Receiver<u64> {
        self.calendar.subscribe()
    }

    /// What moved since this simulation asked last.
    pub(crate) fn take_changed(&self, simulation: u32) -> Changed {
        std::mem::take(&mut *self.changed[simulation as usize].lock())
    }

    /// Whether each partition has been folded up to the offset named for it.
    pub(crate) fn has_reached(&self, wanted: &[u64]) -> bool {
        let facts = self.read();
        wanted.len() <= facts.at.len() && wanted.iter().zip(&facts.at).all(|(wanted, at)| at >= wanted)
    }

    /// The partitions that have not been folded up to the offset named for them.
    pub(crate) fn behind(&self, wanted: &[u64]) -> Vec<u32> {
        let facts = self.read();
        let both = (0..).zip(wanted.iter().zip(&facts.at));
        both.filter(|(_, (wanted, at))| at < wanted).map(|(partition, _)| partition).collect()
    }

    /// How many records, over all partitions, are still to be folded up to the offsets named for them.
    pub(crate) fn left_to(&self, wanted: &[u64]) -> u64 {
        let facts = self.read();
        wanted.iter().zip(&facts.at).map(|(wanted, at)| wanted.saturating_sub(*at)).sum()
    }

    /// Waits for [`Followed::has_reached`], at most `limit`.
    pub(crate) async fn reach(&self, wanted: &[u64], limit: Duration) -> bool {
        if self.has_reached(wanted) {
            return true;
        }
        let mut moved = self.moved();
        // What a sender in `self` outlives cannot close.
        let reached = moved.wait_for(|_| self.has_reached(wanted));
        matches!(tokio::time::timeout(limit, reached).await, Ok(Ok(_)))
    }

    /// Goes to where a snapshot of a partition ends, of which nothing is folded yet. Whatever is there counts as changed,
    /// as it does when it is folded.
    pub(crate) fn begin(&self, partition: u32, saved: SavedMarket) -> Beginning {
        let SavedMarket { market, reader, end } = saved;
        for changed in &self.changed {
            let mut changed = changed.lock();
            changed.instruments.extend(market.instruments.keys());
            changed.schemes.extend(market.schemes.keys());
            changed.calendar |= market.calendar.iter().next().is_some();
        }
        let mut facts = self.write();
        facts.market.absorb(market);
        facts.at[partition as usize] = reader.offset;
        Beginning { reader, restored_to: end }
    }

    /// Follows one partition for ever; returns when the log is closed or cannot be folded further.
    pub(crate) async fn follow(
        self: Arc<Self>,
        log: Arc<dyn EventLog>,
        partition: u32,
        mut from: Beginning,
    ) -> Result<(), Error> {
        let mut records = log.follow(Topic::Market, partition, from.reader.offset);
        loop {
            match records.next().await {
                Ok(batch) => self.fold(&mut from, partition, &batch)?,
                Err(event_log::Error::Closed) => return Ok(()),
                Err(source) if source.ends_following() => {
                    return Err(Error::Log { topic: Topic::Market, partition, source });
                }
                Err(error) => {
                    tracing::warn!(partition, %error, "reading the market failed; trying again");
                    tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
                }
            }
        }
    }

    fn fold(&self, from: &mut Beginning, partition: u32, batch: &[Arc<Stored>]) -> Result<(), Error> {
        let Beginning { reader, restored_to } = from;
        let topic = Topic::Market;
        let corrupt = |source| Error::Corrupt { topic, partition, source };
        // Decoded before the lock is taken, as deciding waits for it.
        let mut live = Vec::with_capacity(batch.len());
        for stored in batch {
            let verdict = reader.fold(stored.offset, &stored.record.headers).map_err(corrupt)?;
            if verdict == Verdict::Entry {
                let failed = |e: event_schemas::DecodeError| Error::Entry {
                    topic,
                    partition,
                    offset: stored.offset,
                    reason: e.to_string(),
                };
                let entry = decode_market_entry(&stored.record.value).map_err(failed)?;
                let may_be_restored = stored.offset < *restored_to;
                live.push((entry.key.into_owned(), entry.seq, entry.events, may_be_restored));
            }
        }
        let mut calendar = false;
        let mut noted: Vec<MarketEvent> = Vec::new();
        {
            let mut facts = self.write();
            let mut market = std::mem::take(&mut facts.market);
            for (key, seq, events, may_be_restored) in live {
                if may_be_restored && market.seqs.get(&*key).is_some_and(|last| seq <= *last) {
                    continue;
                }
                market = fold_entry(market, &key, &events);
                calendar |= events.iter().any(|event| matches!(event.data, MarketEventData::Calendar(_)));
                if !self.changed.is_empty() {
                    noted.extend(events);
                }
            }
            facts.market = market;
            facts.at[partition as usize] = reader.offset;
        }
        for changed in &self.changed {
            let mut changed = changed.lock();
            noted.iter().for_each(|event| changed.note(event));
        }
        self.moved.send_modify(|count| *count += 1);
        if calendar {
            self.calendar.send_modify(|count| *count += 1);
        }
        Ok(())
    }
}

impl Changed {
    fn note(&mut self, event: &MarketEvent) {
        match &event.data {
            MarketEventData::Instrument(fact) => drop(self.instruments.insert(fact.instrument)),
            MarketEventData::Price(fact) => drop(self.instruments.insert(fact.instrument)),
            MarketEventData::Last(fact) => drop(self.instruments.insert(fact.instrument)),
            MarketEventData::Scheme(fact) => drop(self.schemes.insert(fact.scheme)),
            MarketEventData::Nav(fact) => drop(self.schemes.insert(fact.scheme)),
            MarketEventData::Calendar(_) => self.calendar = true,
            MarketEventData::CommandRefused(_) => {}
        }
    }
}

/// The market after one entry about `key`.
pub(crate) fn fold_entry(market: Market, key: &str, events: &[MarketEvent]) -> Market {
    let mut market = events.iter().fold(market, market::evolve);
    match market.seqs.get_mut(key) {
        Some(seq) => *seq += 1,
        None => drop(market.seqs.insert(key.into(), 1)),
    }
    market
}

/// Runs `f`, and says in words what a panic said.
pub(crate) fn guarded<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
    })
}
