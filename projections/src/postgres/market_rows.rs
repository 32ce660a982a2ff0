//! All rows of the market taken into memory as of one moment, so that it is followed from there on; folds nothing.
//!
//! Projectors may go on meanwhile, and a rebuild may put other tables in place: what is read is of the moment of its
//! checkpoints. Afterwards nothing of it depends on the database any more.

use super::{
    Failure, Postgres,
    checkpoint::{self, Checkpoint},
    hash::{date, instrument},
    loading::whole,
};
use crate::{
    Error, Worker,
    instruments::Instruments,
    navs::{NavRow, Navs},
    prices::{DayRow, Prices},
    saved::Fact,
    store::Views,
    view::{View, ViewSet},
    worker::follow_market_from,
};
use domain::{
    ids::{InstrumentId, SchemeCode},
    market::{CalendarDay, Instrument, MarketEventData, Scheme},
    money::{Nav, Price},
};
use event_log::{EventLog, Topic, rule::Reader};
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

/// The longest that the next row is waited for: the first of a large table takes longest.
const ROW_WAIT: Duration = Duration::from_secs(90);

impl Postgres {
    /// Fills empty views with the market as the database has it, and follows it from there on.
    ///
    /// From its first record on where the database has none of it yet, or nothing to go on from: a view that stopped
    /// there, which this release may be able to fold, a row that cannot be read, or a log that ends before its rows.
    ///
    /// # Errors
    /// When the database or the log cannot be asked.
    pub async fn follow_market(&self, log: Arc<dyn EventLog>, views: Arc<Views>) -> Result<Worker, Error> {
        let from = self.take_market(&*log, &views).await?;
        Ok(follow_market_from(log, views, &from))
    }

    /// Gives from where on to follow each partition.
    async fn take_market(&self, log: &dyn EventLog, views: &Views) -> Result<Vec<Reader>, Error> {
        let began = Instant::now();
        let of_market = View::ALL.iter().copied().filter(|view| view.topic() == Topic::Market).collect::<ViewSet>();
        let mut cut = self.answer(self.cut(of_market)).await?;
        let checkpoints = self.answer(checkpoints(&mut cut, self.market_partitions)).await?;
        if checkpoints.iter().all(|at| at.reader.offset == 0) {
            tracing::info!("no projector has folded the market yet: it is read from its first record");
            return Ok(Vec::new());
        }
        let why_not = match why_not(log, &checkpoints).await? {
            Some(reason) => reason,
            None => match Rows::read(&mut cut).await {
                Ok(rows) => {
                    let (instruments, schemes) = (rows.instruments.instruments.len(), rows.navs.schemes.len());
                    rows.into_views(views);
                    let ms = began.elapsed().as_millis();
                    tracing::info!(instruments, schemes, ms, "the market was taken from the database");
                    return Ok(checkpoints.into_iter().map(|at| at.reader).collect());
                }
                Err(Failure::Row(reason)) => format!("a row cannot be read ({reason})"),
                Err(failure) => return self.answer(async { Err(failure) }).await,
            },
        };
        tracing::warn!(reason = why_not, "the market is read from its first record, not taken from the database");
        Ok(Vec::new())
    }
}

async fn checkpoints(connection: &mut PgConnection, partitions: u32) -> Result<Vec<Checkpoint>, Failure> {
    let mut checkpoints = Vec::new();
    for partition in 0..partitions {
        checkpoints.push(checkpoint::load(connection, Topic::Market, partition).await?);
    }
    Ok(checkpoints)
}

/// Why rows at these checkpoints are not gone on from, in words.
async fn why_not(log: &dyn EventLog, checkpoints: &[Checkpoint]) -> Result<Option<String>, Error> {
    if let Some(stopped) = checkpoints.iter().flat_map(|at| &at.stops).next() {
        return Ok(Some(format!("the view '{}' has stopped there", stopped.stop.view.name())));
    }
    for (partition, at) in (0..).zip(checkpoints) {
        let (next, end) = (at.reader.offset, log.tail(Topic::Market, partition).await?);
        if next > end {
            return Ok(Some(format!("its rows are at {next} of partition {partition}, which ends at {end}")));
        }
    }
    Ok(None)
}

/// Everything that the views of the market hold.
#[derive(Default)]
struct Rows {
    instruments: Instruments,
    days: HashMap<InstrumentId, Vec<DayRow>>,
    prices: Prices,
    facts: HashMap<SchemeCode, Vec<NavRow>>,
    navs: Navs,
}

impl Rows {
    async fn read(connection: &mut PgConnection) -> Result<Self, Failure> {
        let mut rows = Self::default();
        each(connection, "select row from instruments", |row| rows.listing(row)).await?;
        each(connection, "select row from calendar", |row| rows.calendar_day(row)).await?;
        each(connection, &price_facts(), |row| rows.day(row)).await?;
        each(connection, "select instrument, row from live_prices", |row| rows.live(row)).await?;
        each(connection, "select row from schemes", |row| rows.scheme(row)).await?;
        each(connection, &nav_facts(), |row| rows.nav(row)).await?;
        Ok(rows)
    }

    fn into_views(mut self, views: &Views) {
        for (instrument, mut days) in self.days {
            days.sort_unstable_by_key(|day| (day.date, day.offset));
            self.prices.take_days(instrument, days);
        }
        for (code, facts) in self.facts {
            let row = self.navs.schemes.entry(code).or_default();
            *row = std::mem::take(row).with_navs(facts);
        }
        views.take_market(self.instruments, self.prices, self.navs);
    }

    fn listing(&mut self, row: &PgRow) -> Result<(), Failure> {
        let Fact::<Instrument>(fact) = whole(row)?;
        self.instruments.fold(&MarketEventData::Instrument(fact));
        Ok(())
    }

    fn calendar_day(&mut self, row: &PgRow) -> Result<(), Failure> {
        let Fact::<CalendarDay>(fact) = whole(row)?;
        self.instruments.fold(&MarketEventData::Calendar(fact));
        Ok(())
    }

    fn day(&mut self, row: &PgRow) -> Result<(), Failure> {
        let price = |name: &str| Ok::<_, Failure>(Price::from_smallest(row.try_get(name)?));
        let day = DayRow {
            date: date(row)?.ok_or_else(|| Failure::Row("a day's prices".into()))?,
            open: price("open")?,
            high: price("high")?,
            low: price("low")?,
            close: price("close")?,
            previous_close: row.try_get::<Option<i64>, _>("previous_close")?.map(Price::from_smallest),
            volume: row.try_get("volume")?,
            offset: row.try_get::<i64, _>("recorded_offset")?.cast_unsigned(),
        };
        self.days.entry(instrument(row)?).or_default().push(day);
        Ok(())
    }

    fn live(&mut self, row: &PgRow) -> Result<(), Failure> {
        self.prices.take_live_row(instrument(row)?, whole(row)?);
        Ok(())
    }

    fn scheme(&mut self, row: &PgRow) -> Result<(), Failure> {
        let Fact::<Scheme>(fact) = whole(row)?;
        self.navs.fold(&MarketEventData::Scheme(fact), 0);
        Ok(())
    }

    fn nav(&mut self, row: &PgRow) -> Result<(), Failure> {
        let code = SchemeCode::new(row.try_get("scheme")?).map_err(|_| Failure::Row("a scheme".into()))?;
        let fact = NavRow {
            date: date(row)?.ok_or_else(|| Failure::Row("a NAV".into()))?,
            nav: Nav::from_smallest(row.try_get("nav")?),
            offset: row.try_get::<i64, _>("recorded_offset")?.cast_unsigned(),
        };
        self.facts.entry(code).or_default().push(fact);
        Ok(())
    }
}

/// Prices in the smallest unit, as the server turns them into numbers faster than they are parsed here.
fn price_facts() -> String {
    let prices = ["open", "high", "low", "close", "previous_close"];
    let prices = prices.map(|name| smallest(name, Price::SCALE)).join(", ");
    format!("select instrument, date, recorded_offset, volume, {prices} from price_facts")
}

fn nav_facts() -> String {
    format!("select scheme, date, recorded_offset, {} from nav_facts", smallest("nav", Nav::SCALE))
}

/// An exact decimal of this scale as a number of its smallest unit.
fn smallest(name: &str, scale: u32) -> String {
    format!("({name} * {})::bigint as {name}", 10_i64.pow(scale))
}

/// Takes row after row; only one is in memory.
async fn each(
    connection: &mut PgConnection,
    sql: &str,
    mut take: impl FnMut(&PgRow) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch(connection);
    loop {
        let next = timeout(ROW_WAIT, rows.try_next()).await;
        match next.map_err(|_elapsed| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))?? {
            Some(row) => take(&row)?,
            None => return Ok(()),
        }
    }
}
