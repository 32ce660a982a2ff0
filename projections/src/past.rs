//! An account as it was: its entries up to a moment folded again, valued with market facts recorded no later.
//!
//! A moment has two times: what was recorded by then, and what had happened by then. They combine.
//!
//! Reads the log; keeps nothing. The folds are those of the live views.

use crate::{
    Error, Position,
    account::Account,
    effective::{Effective, Ended},
    journal::Journal,
    navs::Navs,
    offsets::{READ_ENTRIES_MAX, folded, live, records},
    older::Older,
    prices::Prices,
    read::Reading,
    store::Views,
    ticks::{Between, add_between},
    view::{Stop, ViewSet},
};
use domain::{ids::AccountId, time::Timestamp};
use event_log::{EventLog, RecordKind, Stored, Topic};
use event_schemas::entry::{Happened, decode_entry, decode_happened};
use std::collections::BTreeMap;

/// A moment in the past, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// The entry at this offset of the account's own partition, or the last before it.
    Offset(u64),
    /// What was recorded at this time or earlier.
    Time(Timestamp),
}

/// Which moment is asked about, in both times; now where neither is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Only what was recorded by then.
    pub recorded: Option<AsOf>,
    /// Only what had happened in the world by then, inclusive, in the order it happened.
    pub effective_at: Option<Timestamp>,
}

impl Moment {
    /// Whether it is any other than now.
    pub fn is_past(&self) -> bool {
        *self != Self::default()
    }
}

impl From<AsOf> for Moment {
    fn from(as_of: AsOf) -> Self {
        Self { recorded: Some(as_of), effective_at: None }
    }
}

/// An account as it was.
pub struct Past {
    account: AccountId,
    rows: Account,
    older: Older,
    prices: Prices,
    navs: Navs,
    stops: Vec<Stop>,
}

impl Past {
    /// Asks about it; the answers are those of the live views at that moment.
    pub fn reading(&self) -> Reading<'_> {
        Reading::new(&self.account, &self.rows, &self.prices, &self.navs, self.stops.clone()).with(&self.older)
    }
    /// The account's entries up to that moment.
    pub fn entries(&self) -> u64 {
        self.rows.journal.count()
    }
}

/// Folds an account up to a moment.
///
/// # Errors
/// `NotYet` for an offset that is not recorded, `Behind` while the views have not reached it,
/// `UnknownAccount` where nothing of the account was recorded or had happened by then, `Undecodable` for
/// an entry that cannot be read, `TooManyPostings`, and what the log says.
pub async fn past(
    log: &dyn EventLog,
    views: &Views,
    account: &AccountId,
    moment: impl Into<Moment>,
) -> Result<Past, Error> {
    let moment = moment.into();
    let partition = views.partition_of(Topic::Ledger, account.as_str());
    let upto = match moment.recorded {
        Some(as_of) => upto(log, views, partition, as_of).await?,
        None => folded(views, Topic::Ledger, partition),
    };
    let (rows, older) = fold(log, views, account, (partition, upto), moment.effective_at).await?;
    if rows.journal.count() == 0 {
        return Err(Error::UnknownAccount { account: *account });
    }
    let market = match moment.recorded {
        Some(as_of) => market_position(log, views, partition, as_of).await?,
        None => (0..views.partitions(Topic::Market)).map(|of| folded(views, Topic::Market, of)).collect(),
    };
    if !views.position().covers(&Position { ledger: Vec::new(), market: market.iter().copied().map(Some).collect() }) {
        return Err(Error::Behind { offset: market.iter().copied().max().unwrap_or_default() });
    }
    let prices = prices_before(log, views, &rows, &market, moment.effective_at).await?;
    let navs = navs_before(views, &rows, &market, moment.effective_at);
    // What was folded here did not stop; the market's rows come from the live views.
    let stops = views.stops_for(None);
    Ok(Past { account: *account, rows, older, prices, navs, stops })
}

/// The offset of the partition's first entry after the moment.
pub(crate) async fn upto(log: &dyn EventLog, views: &Views, partition: u32, as_of: AsOf) -> Result<u64, Error> {
    match as_of {
        AsOf::Offset(offset) => {
            let end = log.tail(Topic::Ledger, partition).await?;
            if offset >= end {
                return Err(Error::NotYet { offset, end });
            }
            if views.position().next(Topic::Ledger, partition).is_none_or(|next| next <= offset) {
                return Err(Error::Behind { offset });
            }
            Ok(offset + 1)
        }
        AsOf::Time(time) => {
            first_after(log, Topic::Ledger, partition, folded(views, Topic::Ledger, partition), time).await
        }
    }
}

/// The first offset below `end` that was recorded after a time, else `end`; times never decrease within a partition.
pub(crate) async fn first_after(
    log: &dyn EventLog,
    topic: Topic,
    partition: u32,
    end: u64,
    time: Timestamp,
) -> Result<u64, Error> {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = log.read_at(topic, partition, vec![middle]).await?;
        match found.first() {
            Some(stored) if stored.record.headers.ce_time <= time.micros() => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

async fn fold(
    log: &dyn EventLog,
    views: &Views,
    account: &AccountId,
    (partition, upto): (u32, u64),
    effective_at: Option<Timestamp>,
) -> Result<(Account, Older), Error> {
    let (mut rows, mut older, mut from) = (Account::default(), Older::default(), 0);
    let mut effective = effective_at.map(Effective::new);
    loop {
        let key = (Topic::Ledger, partition, account.as_str());
        let offsets = live(log, views, key, from..upto, READ_ENTRIES_MAX).await?;
        let Some(last) = offsets.last() else { break };
        from = last + 1;
        for stored in records(log, Topic::Ledger, partition, offsets).await? {
            match &mut effective {
                Some(effective) => take_one(effective, partition, &stored)?,
                None => fold_one(&mut rows, &mut older, partition, &stored)?,
            }
        }
        tokio::task::yield_now().await;
    }
    if let Some(effective) = effective {
        // In effective time nothing leaves: what is over is found by when it happened, not by when it left.
        rows = effective.into_rows().map_err(|why| ended(partition, from.saturating_sub(1), why))?;
    }
    older.sort();
    Ok((rows, older))
}

fn take_one(effective: &mut Effective, partition: u32, stored: &Stored) -> Result<(), Error> {
    let entry = decode(partition, stored)?;
    effective.take(stored.offset, &stored.record.value, &entry).map_err(|why| ended(partition, stored.offset, why))
}

fn ended(partition: u32, offset: u64, why: Ended) -> Error {
    match why {
        Ended::Stopped(view, reason) => Error::Stopped { view, topic: Topic::Ledger, partition, offset, reason },
        Ended::TooManyPostings(max) => Error::TooManyPostings { max },
    }
}

fn fold_one(rows: &mut Account, older: &mut Older, partition: u32, stored: &Stored) -> Result<(), Error> {
    let entry = decode(partition, stored)?;
    rows.journal.fold(stored.offset, &Journal::digest(&stored.record.value));
    match rows.fold(&entry, ViewSet::default(), Some(older)).into_iter().next() {
        None => Ok(()),
        Some((view, reason)) => {
            Err(Error::Stopped { view, topic: Topic::Ledger, partition, offset: stored.offset, reason })
        }
    }
}

/// Reads an account's entry.
pub(crate) fn decode(partition: u32, stored: &Stored) -> Result<Happened, Error> {
    let place = |reason: Box<str>| undecodable(Topic::Ledger, partition, stored.offset, reason);
    decode_happened(&stored.record.value).map_err(|error| place(error.to_string().into()))
}

pub(crate) fn undecodable(topic: Topic, partition: u32, offset: u64, reason: Box<str>) -> Error {
    Error::Undecodable { topic, partition, offset, reason }
}

/// The next offset of each market partition, as the entry at the moment was decided under.
async fn market_position(log: &dyn EventLog, views: &Views, partition: u32, as_of: AsOf) -> Result<Vec<u64>, Error> {
    let time = match as_of {
        AsOf::Time(time) => time,
        AsOf::Offset(offset) => {
            let found = log.read_at(Topic::Ledger, partition, vec![offset]).await?;
            let stored = found.first().ok_or(Error::Behind { offset })?;
            if stored.record.headers.ce_type == RecordKind::Entry {
                let entry = decode_entry(&stored.record.value)
                    .map_err(|error| undecodable(Topic::Ledger, partition, offset, error.to_string().into()))?;
                let mut market = entry.context.market;
                market.resize(views.partitions(Topic::Market) as usize, 0);
                return Ok(market);
            }
            // A claim was decided under nothing: what was recorded by then.
            Timestamp::from_micros(stored.record.headers.ce_time)
        }
    };
    let mut market = Vec::new();
    for of in 0..views.partitions(Topic::Market) {
        market.push(first_after(log, Topic::Market, of, folded(views, Topic::Market, of), time).await?);
    }
    Ok(market)
}

async fn prices_before(
    log: &dyn EventLog,
    views: &Views,
    rows: &Account,
    market: &[u64],
    at: Option<Timestamp>,
) -> Result<Prices, Error> {
    let (mut prices, mut between) = (Prices::default(), BTreeMap::<u32, Vec<Between>>::new());
    let instruments = rows.portfolio.positions.keys().chain(rows.pnl.instruments.keys());
    for instrument in instruments {
        if prices.get(instrument).is_some() {
            continue;
        }
        let partition = views.partition_of(Topic::Market, instrument.as_str());
        let upto = market.get(partition as usize).copied().unwrap_or_default();
        let found = views.prices.read().get(instrument).map(|row| row.before(upto, at));
        let Some((row, offsets)) = found else { continue };
        if let Some(offsets) = offsets {
            between.entry(partition).or_default().push(Between { instrument: *instrument, offsets });
        }
        prices.insert(*instrument, row);
    }
    for (partition, between) in between {
        add_between(log, views, partition, between, at, &mut prices).await?;
    }
    Ok(prices)
}

fn navs_before(views: &Views, rows: &Account, market: &[u64], at: Option<Timestamp>) -> Navs {
    let mut navs = Navs::default();
    let now = views.navs.read();
    for (scheme, _) in rows.portfolio.folios.keys().chain(rows.pnl.folios.keys()) {
        let partition = views.partition_of(Topic::Market, scheme.as_str());
        let upto = market.get(partition as usize).copied().unwrap_or_default();
        if let Some(row) = now.schemes.get(scheme) {
            navs.schemes.entry(*scheme).or_insert_with(|| row.before(upto, at.map(|at| at.date())));
        }
    }
    navs
}
