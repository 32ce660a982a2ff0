//! State hashes of the views as the database holds them, equal to those of the store in memory at the same position;
//! reads row after row in order and keeps few of them.

use super::{
    Failure, Postgres, checkpoint,
    loading::{self, whole},
    relations,
};
use crate::{
    Error, StateHashes, instruments, navs, prices,
    prices::{DayRow, Live},
    row::Rows,
    saved::Fact,
    view::{View, ViewSet},
};
use domain::{
    ids::{AccountId, InstrumentId, SchemeCode},
    market::{CalendarDay, DayPrice, Instrument, LastPrice, Scheme},
    money::{Nav, Price},
    time::Date,
};
use event_log::Topic;
use futures::TryStreamExt;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgConnection, Row, Transaction, postgres::PgRow};

/// Accounts loaded at once: some megabytes of rows.
const PAGE_ACCOUNTS: i64 = 256;
/// Canonical text is hashed in pieces of about this size.
const PIECE_BYTES: usize = 64 * 1024;

impl Postgres {
    /// The hashes of all views at one position. Folding goes on meanwhile; what it writes is not seen.
    ///
    /// # Errors
    /// When the database cannot be asked, or holds a row that cannot be read.
    pub async fn state_hashes(&self) -> Result<StateHashes, Error> {
        // Not one answer but many: each has its own limit.
        match self.hashes().await {
            Ok(hashes) => Ok(hashes),
            Err(failure) => self.answer(async { Err(failure) }).await,
        }
    }

    async fn hashes(&self) -> Result<StateHashes, Failure> {
        let mut cut = self.cut(self.folded).await?;
        let hashes = self.hashes_in(&mut cut).await?;
        cut.rollback().await?;
        Ok(hashes)
    }

    /// What is read of these views from now on is as of one moment, and their tables stay in place until this ends.
    pub(super) async fn cut(&self, views: ViewSet) -> Result<Transaction<'static, sqlx::Postgres>, Failure> {
        let mut cut = self.database.pool().begin().await?;
        sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *cut).await?;
        // A statement that streams a whole table lasts as long as it takes.
        sqlx::query("set local statement_timeout = 0").execute(&mut *cut).await?;
        // Before anything is read, or tables might be replaced by such as the moment does not know.
        let lock = format!("lock table {} in access share mode", relations::all(views));
        sqlx::query(AssertSqlSafe(lock)).execute(&mut *cut).await?;
        Ok(cut)
    }

    /// The hashes of the views that are folded here.
    pub(super) async fn hashes_in(&self, cut: &mut PgConnection) -> Result<StateHashes, Failure> {
        let position = self.position_in(cut).await?;
        let stops = checkpoint::stops(cut).await?.into_iter().map(|stopped| stopped.stop).collect();
        let mut hashes: Vec<(View, Hashing)> = self.folded.iter().map(|view| (view, Hashing::default())).collect();
        accounts(cut, self.folded, &mut hashes).await?;
        for (view, hashing) in &mut hashes {
            match view {
                View::Instruments => listings(cut, hashing).await?,
                View::Prices => day_prices(cut, hashing).await?,
                View::Navs => schemes(cut, hashing).await?,
                View::Orders | View::Trades | View::Portfolio | View::Pnl | View::Cash | View::Journal => {}
            }
        }
        let hashes = hashes.into_iter().map(|(view, hashing)| (view.name(), hashing.done())).collect();
        Ok(StateHashes { position, hashes, stops })
    }
}

/// The canonical text of one view, hashed as it is written.
#[derive(Default)]
struct Hashing {
    rows: Rows,
    hash: Sha256,
}

impl Hashing {
    fn write(&mut self, write: impl FnOnce(&mut Rows)) {
        write(&mut self.rows);
        if self.rows.bytes().len() > PIECE_BYTES {
            self.hash.update(self.rows.bytes());
            self.rows.clear();
        }
    }

    fn done(mut self) -> [u8; 32] {
        self.hash.update(self.rows.bytes());
        self.hash.finalize().into()
    }
}

/// Every view of accounts, a page of accounts at a time, ascending.
async fn accounts(
    connection: &mut PgConnection,
    views: ViewSet,
    hashes: &mut [(View, Hashing)],
) -> Result<(), Failure> {
    if views.iter().all(|view| view.topic() != Topic::Ledger) {
        return Ok(());
    }
    let mut after = String::new();
    loop {
        let page = sqlx::query_scalar("select account from accounts where account > $1 order by account limit $2");
        let page: Vec<String> = page.bind(&after).bind(PAGE_ACCOUNTS).fetch_all(&mut *connection).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(last);
        let ids = page.iter().map(|id| AccountId::new(id).map_err(|_| Failure::Row("an account".into())));
        let loaded = loading::accounts(connection, &ids.collect::<Result<Vec<_>, _>>()?, views).await?;
        for (id, account) in &loaded {
            for (view, hashing) in &mut *hashes {
                hashing.write(|rows| account.write(*view, id, rows));
            }
        }
    }
}

async fn listings(connection: &mut PgConnection, hashing: &mut Hashing) -> Result<(), Failure> {
    let mut all =
        sqlx::query("select row from instruments order by instrument, valid_from nulls first").fetch(&mut *connection);
    while let Some(row) = all.try_next().await? {
        let Fact::<Instrument>(fact) = whole(&row)?;
        hashing.write(|rows| instruments::write_alias(&fact, rows));
    }
    drop(all);
    let mut all = sqlx::query("select row from calendar order by exchange, date").fetch(connection);
    while let Some(row) = all.try_next().await? {
        let Fact::<CalendarDay>(fact) = whole(&row)?;
        hashing.write(|rows| instruments::write_day(&fact, rows));
    }
    Ok(())
}

/// The days of an instrument, then its live price.
async fn day_prices(connection: &mut PgConnection, hashing: &mut Hashing) -> Result<(), Failure> {
    let mut all = sqlx::query(
        "select instrument, date, recorded_offset, open, high, low, close, previous_close, volume,
                null::timestamptz as traded_at from prices
         union all
         select instrument, null, recorded_offset, last, null, null, null, null, null, traded_at from live_prices
         order by instrument, date nulls last",
    )
    .fetch(connection);
    while let Some(row) = all.try_next().await? {
        match day_price(&row)? {
            Some(fact) => {
                let day = DayRow::of(&fact, row.try_get::<i64, _>("recorded_offset")?.cast_unsigned());
                hashing.write(|rows| prices::write_day(&fact.instrument, &day, rows));
            }
            None => {
                let LastPrice { instrument, last, at } = live_price(&row)?;
                hashing.write(|rows| prices::write_live(&instrument, Live { last, at }, rows));
            }
        }
    }
    Ok(())
}

/// A scheme, then its NAVs.
async fn schemes(connection: &mut PgConnection, hashing: &mut Hashing) -> Result<(), Failure> {
    let mut all = sqlx::query(
        "select scheme, null::date as date, null::numeric as nav, row from schemes
         union all select scheme, date, nav, null from navs
         order by scheme, date nulls first",
    )
    .fetch(connection);
    while let Some(row) = all.try_next().await? {
        match nav(&row)? {
            None => {
                let Fact::<Scheme>(fact) = whole(&row)?;
                hashing.write(|rows| navs::write_scheme(&fact, rows));
            }
            Some((code, date, nav)) => hashing.write(|rows| navs::write_nav(&code, date, nav, rows)),
        }
    }
    Ok(())
}

/// The prices of a day in a row; without a day it is a live one.
pub(super) fn day_price(row: &PgRow) -> Result<Option<DayPrice>, Failure> {
    let Some(date) = date(row)? else { return Ok(None) };
    Ok(Some(DayPrice {
        instrument: instrument(row)?,
        date,
        open: price(row, "open")?,
        high: price(row, "high")?,
        low: price(row, "low")?,
        close: price(row, "close")?,
        previous_close: smallest(row, "previous_close", Price::SCALE)?.map(Price::from_smallest),
        volume: row.try_get("volume")?,
        corrects: None,
    }))
}

/// The live price in a row, which stands where a day has its first.
pub(super) fn live_price(row: &PgRow) -> Result<LastPrice, Failure> {
    let at = checkpoint::timestamp(row.try_get("traded_at")?);
    Ok(LastPrice { instrument: instrument(row)?, last: price(row, "open")?, at })
}

/// A day's NAV in a row; without a day it is a scheme.
pub(super) fn nav(row: &PgRow) -> Result<Option<(SchemeCode, Date, Nav)>, Failure> {
    let Some(date) = date(row)? else { return Ok(None) };
    let code = SchemeCode::new(row.try_get("scheme")?).map_err(|_| Failure::Row("a scheme".into()))?;
    let nav = smallest(row, "nav", Nav::SCALE)?.ok_or_else(|| Failure::Row("a NAV".into()))?;
    Ok(Some((code, date, Nav::from_smallest(nav))))
}

pub(super) fn instrument(row: &PgRow) -> Result<InstrumentId, Failure> {
    InstrumentId::new(row.try_get("instrument")?).map_err(|_| Failure::Row("an instrument".into()))
}

fn price(row: &PgRow, name: &str) -> Result<Price, Failure> {
    smallest(row, name, Price::SCALE)?.map(Price::from_smallest).ok_or_else(|| Failure::Row(name.into()))
}

/// An exact decimal in the smallest unit of its scale.
fn smallest(row: &PgRow, name: &str, scale: u32) -> Result<Option<i64>, Failure> {
    let Some(mut decimal) = row.try_get::<Option<Decimal>, _>(name)? else { return Ok(None) };
    decimal.rescale(scale);
    let exact = (decimal.scale() == scale).then(|| i64::try_from(decimal.mantissa()).ok()).flatten();
    exact.map(Some).ok_or_else(|| Failure::Row(name.into()))
}

pub(super) fn date(row: &PgRow) -> Result<Option<Date>, Failure> {
    let Some(date) = row.try_get::<Option<time::Date>, _>("date")? else { return Ok(None) };
    let (year, month, day) = date.to_calendar_date();
    Date::from_ymd(year, month.into(), day).map(Some).ok_or_else(|| Failure::Row("a date".into()))
}
