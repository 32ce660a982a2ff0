//! Answers about an account from the database: its rows, the prices they are valued with and rows that have left, taken
//! back for the same [`Reading`] that asks the store in memory; folds nothing.

use super::{
    Failure, Postgres,
    hash::{day_price, live_price, nav},
    loading::{self, Loaded, whole},
};
use crate::{
    Error, Listing, Page,
    account::Account,
    navs::Navs,
    older::{List, Older},
    page::LIMIT_MAX,
    prices::Prices,
    read::Reading,
    saved::Fact,
    store::Views,
    view::Stop,
};
use domain::{
    ids::{AccountId, InstrumentId, SchemeCode},
    market::{DayNav, MarketEventData, Scheme},
};
use event_log::{Topic, partition_of};
use serde::de::DeserializeOwned;
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};
use std::collections::BTreeSet;

/// The most rows that have left read for one question; a page that is not full by then ends early.
const OLDER_ROWS_MAX: usize = 50_000;

/// The two latest days of each instrument that was asked for, of each the fact recorded last.
const DAYS: &str = "
    select f.*, null::timestamptz as traded_at from unnest($1::text[]) as held (id), lateral (
        select * from price_facts where instrument = held.id order by date desc, recorded_offset desc limit 1
    ) as f
    union all
    select f.*, null from unnest($1::text[]) as held (id), lateral (
        select date from price_facts where instrument = held.id order by date desc limit 1
    ) as latest, lateral (
        select * from price_facts where instrument = held.id and date < latest.date
        order by date desc, recorded_offset desc limit 1
    ) as f
    union all
    select instrument, null, recorded_offset, last, null, null, null, null, null, traded_at from live_prices
    where instrument = any($1)";

/// The same of schemes, with what each is.
const NAVS: &str = "
    select f.*, null::bytea as row from unnest($1::text[]) as held (id), lateral (
        select * from nav_facts where scheme = held.id order by date desc, recorded_offset desc limit 1
    ) as f
    union all
    select f.*, null from unnest($1::text[]) as held (id), lateral (
        select date from nav_facts where scheme = held.id order by date desc limit 1
    ) as latest, lateral (
        select * from nav_facts where scheme = held.id and date < latest.date
        order by date desc, recorded_offset desc limit 1
    ) as f
    union all
    select scheme, null, 0, null, row from schemes where scheme = any($1)";

/// An account as of one position of its partition, with what its rows are worth.
pub struct AccountAt {
    id: AccountId,
    rows: Account,
    prices: Prices,
    navs: Navs,
    stops: Vec<Stop>,
    next: u64,
}

impl AccountAt {
    /// Rows of a partition in which no view stopped, valued by a market in memory.
    pub(super) fn valued(id: &AccountId, rows: Account, next: u64, market: &Views) -> Self {
        let (prices, navs) = market.worth(&shares(&rows), &units(&rows));
        Self { id: *id, rows, prices, navs, stops: market.stops_for(None), next }
    }

    /// The rows, if nothing is missing in them because a view stopped.
    pub(super) fn whole_rows(&self) -> Option<&Account> {
        let is_whole = self.stops.iter().all(|stop| stop.view.topic() == Topic::Market);
        is_whole.then_some(&self.rows)
    }

    /// To be asked like one in memory.
    pub fn reading(&self) -> Reading<'_> {
        Reading::new(&self.id, &self.rows, &self.prices, &self.navs, self.stops.clone())
    }

    /// The offset before which everything in its partition is in these rows.
    pub fn next(&self) -> u64 {
        self.next
    }
}

impl Postgres {
    /// An account as it stands; `None` when it has no entry.
    ///
    /// # Errors
    /// When the database cannot be asked, or holds a row that cannot be read.
    pub async fn account_at(&self, id: &AccountId) -> Result<Option<AccountAt>, Error> {
        if let (Some(cached), Some(market)) = (&self.cached, &self.market) {
            return cached.account_at(self, market, id).await;
        }
        self.stored_at(id).await
    }

    /// The same, whatever is kept elsewhere.
    pub(super) async fn stored_at(&self, id: &AccountId) -> Result<Option<AccountAt>, Error> {
        let read = async { self.load(&mut *self.database.pool().acquire().await?, id).await };
        self.answer(read).await
    }

    /// Asks about an account as it stands, as [`crate::Views::read`] does.
    ///
    /// # Errors
    /// As [`Postgres::account_at`].
    pub async fn read<T>(&self, id: &AccountId, ask: impl FnOnce(&Reading<'_>) -> T) -> Result<Option<T>, Error> {
        Ok(self.account_at(id).await?.map(|at| ask(&at.reading())))
    }

    /// Asks about a list of an account with its rows that have left, as [`crate::read_list`] does; no log is read.
    ///
    /// # Errors
    /// `Cursor`, and as [`Postgres::account_at`].
    pub async fn read_list<T>(
        &self,
        id: &AccountId,
        listing: &Listing,
        page: &Page<'_>,
        ask: impl FnOnce(&Reading<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        let Some(at) = self.account_at(id).await? else { return Ok(None) };
        let reading = at.reading();
        let before = page.number()?.unwrap_or(u64::MAX);
        let mut older = Older { from: (reading.left(listing.list()).upto() + 1).min(before), ..Older::default() };
        let (mut rows, mut window) = (0, page.limit() + 1);
        while older.from > 1 && rows < OLDER_ROWS_MAX && !reading.with(&older).has(listing, page)? {
            let (from, upto) = match *listing {
                Listing::Order(seq) => (seq, seq.saturating_add(1)),
                _ => (0, older.from),
            };
            let read = async {
                let mut connection = self.database.pool().acquire().await?;
                left(&mut connection, id, listing.list(), from..upto, window).await
            };
            let found = self.answer(read).await?;
            rows += window;
            older.extend(found, window, &at.rows);
            window = (window * 2).min(4 * LIMIT_MAX);
            if matches!(listing, Listing::Order(_)) {
                break;
            }
        }
        Ok(Some(ask(&reading.with(&older))))
    }

    async fn load(&self, connection: &mut PgConnection, id: &AccountId) -> Result<Option<AccountAt>, Failure> {
        let partition = partition_of(id.as_str(), self.ledger_partitions);
        let Loaded { account, reader, mut stops } = loading::account(connection, id, partition).await?;
        let Some(rows) = account else { return Ok(None) };
        let (shares, units) = (shares(&rows), units(&rows));
        let (prices, navs) = match &self.market {
            None => (prices(connection, &shares).await?, navs(connection, &units).await?),
            Some(market) => {
                stops.retain(|stop| stop.view.topic() == Topic::Ledger);
                stops.extend(market.stops_for(None));
                market.worth(&shares, &units)
            }
        };
        Ok(Some(AccountAt { id: *id, rows, prices, navs, stops, next: reader.offset }))
    }
}

/// Of which instruments the prices are asked.
fn shares(rows: &Account) -> BTreeSet<InstrumentId> {
    let held = rows.portfolio.positions.keys().chain(rows.portfolio.intraday.keys());
    held.chain(rows.pnl.instruments.keys()).copied().collect()
}

/// Of which schemes the NAVs are.
fn units(rows: &Account) -> BTreeSet<SchemeCode> {
    rows.portfolio.folios.keys().chain(rows.pnl.folios.keys()).map(|(scheme, _)| *scheme).collect()
}

/// What shares are worth.
async fn prices(connection: &mut PgConnection, shares: &BTreeSet<InstrumentId>) -> Result<Prices, Failure> {
    let mut prices = Prices::default();
    if shares.is_empty() {
        return Ok(prices);
    }
    let ids: Vec<&str> = shares.iter().map(InstrumentId::as_str).collect();
    for row in sqlx::query(DAYS).bind(ids).fetch_all(connection).await? {
        let offset = row.try_get::<i64, _>("recorded_offset")?.cast_unsigned();
        match day_price(&row)? {
            Some(day) => prices.fold(&MarketEventData::Price(day), offset),
            None => prices.fold(&MarketEventData::Last(live_price(&row)?), offset),
        }
    }
    Ok(prices)
}

/// What units are worth, and of which schemes they are.
async fn navs(connection: &mut PgConnection, units: &BTreeSet<SchemeCode>) -> Result<Navs, Failure> {
    let mut navs = Navs::default();
    if units.is_empty() {
        return Ok(navs);
    }
    let ids: Vec<&str> = units.iter().map(SchemeCode::as_str).collect();
    for row in sqlx::query(NAVS).bind(ids).fetch_all(connection).await? {
        let offset = row.try_get::<i64, _>("recorded_offset")?.cast_unsigned();
        let fact = match nav(&row)? {
            Some((scheme, date, nav)) => MarketEventData::Nav(DayNav { scheme, date, nav, corrects: None }),
            None => MarketEventData::Scheme(whole::<Fact<Scheme>>(&row)?.0),
        };
        navs.fold(&fact, offset);
    }
    Ok(navs)
}

impl Views {
    /// What shares and units are worth now, apart from these views.
    fn worth(&self, shares: &BTreeSet<InstrumentId>, units: &BTreeSet<SchemeCode>) -> (Prices, Navs) {
        let (mut prices, mut navs) = (Prices::default(), Navs::default());
        let known = self.prices.read();
        for id in shares {
            if let Some(row) = known.get(id) {
                prices.insert(*id, row.standing());
            }
        }
        let known = self.navs.read();
        for code in units {
            if let Some(row) = known.schemes.get(code) {
                navs.schemes.insert(*code, row.standing());
            }
        }
        (prices, navs)
    }
}

/// The newest rows of a list with these `seq` that have left.
async fn left(
    connection: &mut PgConnection,
    id: &AccountId,
    list: List,
    seqs: std::ops::Range<u64>,
    max: usize,
) -> Result<Older, Failure> {
    let table = match list {
        List::Orders => "orders",
        List::Funds => "fund_orders",
        List::Trades => "trades",
    };
    let sql = format!(
        "select row from {table} where account = $1 and has_left and seq >= $2 and seq < $3 order by seq desc limit $4"
    );
    let limit = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
    let find = sqlx::query(AssertSqlSafe(sql)).bind(id.as_str()).bind(limit(seqs.start)).bind(limit(seqs.end));
    let rows = find.bind(limit(max as u64)).fetch_all(connection).await?;
    let mut older = Older::default();
    match list {
        List::Orders => older.orders = all(&rows)?,
        List::Funds => older.funds = all(&rows)?,
        List::Trades => older.trades = all(&rows)?,
    }
    Ok(older)
}

fn all<T: DeserializeOwned>(rows: &[PgRow]) -> Result<Vec<T>, Failure> {
    rows.iter().map(whole).collect()
}

impl Older {
    /// Adds the next rows of a list, of which so many were asked for; those that left after `rows` were read are there.
    fn extend(&mut self, found: Older, asked: usize, rows: &Account) {
        let seqs = found.orders.iter().map(|row| row.seq).chain(found.funds.iter().map(|row| row.seq));
        let seqs: Vec<u64> = seqs.chain(found.trades.iter().map(|row| row.seq)).collect();
        self.from = match seqs.last() {
            Some(last) if seqs.len() == asked => *last,
            _ => 1,
        };
        let trades = rows.trades.trades();
        self.orders.extend(found.orders.into_iter().filter(|row| rows.orders.order(row.seq).is_none()));
        self.funds.extend(found.funds.into_iter().filter(|row| rows.orders.fund_order(row.seq).is_none()));
        let is_here = |seq: u64| trades.binary_search_by_key(&seq, |row| row.seq).is_ok();
        self.trades.extend(found.trades.into_iter().filter(|row| !is_here(row.seq)));
        self.sort();
    }
}
