//! NSE's daily prices of the cash market, `cmDDMMMYYYYbhav.csv` (to 2024-07-05) and `sec_bhavdata_full`; knows no other exchange.
//!
//! Which of the two a file is follows from its header, each line's date from the line. Prices are
//! rupees; `PREVCLOSE` is as the exchange gave it, not adjusted on an ex-date. Turnover, trades and
//! delivery are not read: nothing uses them yet.

use crate::{
    Error, Parsed, RowError,
    listing::{Known, instrument_id},
    table::{Column, Fields, day_month_year, lines, whole},
};
use domain::{
    ids::{Exchange, InstrumentId, Isin, Series, Symbol},
    market::{DayPrice, Fact, Instrument},
    money::Price,
    time::Date,
};

/// One security's day.
#[derive(Clone, Debug, PartialEq)]
pub struct BhavRow {
    /// Line in the file, from 1.
    pub line: usize,
    /// Its id in Bahi.
    pub instrument: InstrumentId,
    /// Trading symbol.
    pub symbol: Symbol,
    /// Series of that day.
    pub series: Series,
    /// Only in the older format.
    pub isin: Option<Isin>,
    /// The day, from the row.
    pub date: Date,
    /// First.
    pub open: Price,
    /// Highest.
    pub high: Price,
    /// Lowest.
    pub low: Price,
    /// Official close.
    pub close: Price,
    /// Unadjusted.
    pub previous_close: Option<Price>,
    /// Shares traded.
    pub volume: Option<i64>,
}

impl BhavRow {
    /// The listing that the row implies: without a tick size, holding from the row's day.
    pub fn listing(&self) -> Instrument {
        Instrument {
            instrument: self.instrument,
            isin: self.isin,
            symbol: self.symbol,
            exchange: nse(),
            series: self.series,
            tick_size: None,
            band_percent: None,
            from: Some(self.date),
            corrects: None,
        }
    }
    /// The day's prices.
    pub fn price(&self) -> DayPrice {
        DayPrice {
            instrument: self.instrument,
            date: self.date,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            previous_close: self.previous_close,
            volume: self.volume,
            corrects: None,
        }
    }
    /// What the row says that is not `known` yet: the listing where id, series or ISIN are new, then the prices.
    pub fn facts(&self, known: &mut Known) -> impl Iterator<Item = Fact> {
        let listing = self.listing();
        let listing = known.is_news(&listing).then(|| Fact::from(listing));
        listing.into_iter().chain([Fact::from(self.price())])
    }
}

/// Reads a bhavcopy of either format; a header in the midst of it, as in files put together, counts from there on.
///
/// # Errors
/// When the file is too large or holds no header of either format.
pub fn parse(bytes: &[u8]) -> Result<Parsed<BhavRow>, Error> {
    let mut parsed = Parsed::default();
    let mut columns: Option<Columns> = None;
    for (line, text) in lines(bytes)? {
        let fields = Fields::new(line, &text, ',');
        if fields.first().eq_ignore_ascii_case("SYMBOL") {
            columns = Some(Columns::of(&fields)?);
            continue;
        }
        let columns = columns
            .as_ref()
            .ok_or_else(|| Error::Header { kind: KIND, problem: format!("line {line} comes before it") })?;
        match columns.row(&fields) {
            Ok(row) => parsed.rows.push(row),
            Err(error) => parsed.refused.push(error),
        }
    }
    match columns {
        Some(_) => Ok(parsed),
        None => Err(Error::Header { kind: KIND, problem: "the file is empty".into() }),
    }
}

const KIND: &str = "bhavcopy";

fn nse() -> Exchange {
    Exchange::new("NSE").expect("an exchange")
}

struct Columns {
    symbol: Column,
    series: Column,
    isin: Option<Column>,
    date: Column,
    open: Column,
    high: Column,
    low: Column,
    close: Column,
    previous_close: Option<Column>,
    volume: Option<Column>,
}

impl Columns {
    fn of(header: &Fields<'_>) -> Result<Self, Error> {
        let need = |names| Column::need(KIND, header, names);
        Ok(Self {
            symbol: need(&["SYMBOL"])?,
            series: need(&["SERIES"])?,
            isin: Column::find(header, &["ISIN"]),
            date: need(&["TIMESTAMP", "DATE1"])?,
            open: need(&["OPEN", "OPEN_PRICE"])?,
            high: need(&["HIGH", "HIGH_PRICE"])?,
            low: need(&["LOW", "LOW_PRICE"])?,
            close: need(&["CLOSE", "CLOSE_PRICE"])?,
            previous_close: Column::find(header, &["PREVCLOSE", "PREV_CLOSE"]),
            volume: Column::find(header, &["TOTTRDQTY", "TTL_TRD_QNTY"]),
        })
    }
    fn row(&self, fields: &Fields<'_>) -> Result<BhavRow, RowError> {
        let (symbol, series) = (fields.read(self.symbol, Symbol::new)?, fields.read(self.series, Series::new)?);
        Ok(BhavRow {
            line: fields.line,
            instrument: instrument_id(nse(), symbol, Some(series))
                .map_err(|problem| fields.error(Some(self.symbol), problem.to_string()))?,
            symbol,
            series,
            isin: fields.read_optional(self.isin, Isin::new)?,
            date: fields.read(self.date, day_month_year)?,
            open: fields.read(self.open, Price::parse)?,
            high: fields.read(self.high, Price::parse)?,
            low: fields.read(self.low, Price::parse)?,
            close: fields.read(self.close, Price::parse)?,
            previous_close: fields.read_optional(self.previous_close, Price::parse)?,
            volume: fields.read_optional(self.volume, whole)?,
        })
    }
}
