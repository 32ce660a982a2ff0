//! The tradebook CSV of Zerodha's Console: one executed trade a row; knows no other broker's.
//!
//! Columns, in any order: symbol, isin, trade_date, exchange, segment, series, trade_type, auction,
//! quantity, price, trade_id, order_id, order_execution_time. Only segment EQ (the cash market) is
//! taken; a fraction of a share cannot be held and is refused.

use crate::{
    Error, Parsed, RowError,
    listing::instrument_id,
    row_key::RowKeys,
    table::{Column, Fields, lines, quoted, whole},
};
use domain::{
    history::{ImportTrade, Kind},
    ids::{CommandId, Exchange, Isin, Series, Symbol, TradeId},
    money::{Price, Quantity},
    time::{Date, Timestamp},
};

/// One trade.
#[derive(Clone, Debug, PartialEq)]
pub struct TradeRow {
    /// Line in the file, from 1.
    pub line: usize,
    /// The import's command id: `{exchange}/{trade_date}/{trade_id}/{side}`, or `row_key`'s rule without a trade id.
    pub key: CommandId,
    /// The trade.
    pub trade: ImportTrade,
    /// Its ISIN, where given.
    pub isin: Option<Isin>,
}

/// Reads a tradebook; its rows come out in order of execution, as history must be imported.
///
/// # Errors
/// When the file is too large or does not begin with its header.
pub fn parse(bytes: &[u8]) -> Result<Parsed<TradeRow>, Error> {
    let mut parsed = Parsed::default();
    let mut columns: Option<Columns> = None;
    let mut keys = RowKeys::default();
    for (line, text) in lines(bytes)? {
        let fields = Fields::new(line, &text, ',');
        if fields.position(&["symbol"]).is_some() && fields.position(&["trade_type"]).is_some() {
            columns = Some(Columns::of(&fields)?);
            continue;
        }
        let columns = columns
            .as_ref()
            .ok_or_else(|| Error::Header { kind: KIND, problem: format!("line {line} comes before it") })?;
        match columns.row(&fields) {
            Ok((trade, isin)) => parsed.rows.push(TradeRow { line, key: keys.trade(&trade), trade, isin }),
            Err(error) => parsed.refused.push(error),
        }
    }
    if columns.is_none() {
        return Err(Error::Header { kind: KIND, problem: "the file is empty".into() });
    }
    // Stable: trades of one second stay as the file has them.
    parsed.rows.sort_by_key(|row| row.trade.executed_at);
    Ok(parsed)
}

const KIND: &str = "tradebook";

struct Columns {
    symbol: Column,
    isin: Option<Column>,
    trade_date: Column,
    exchange: Column,
    segment: Column,
    series: Option<Column>,
    trade_type: Column,
    quantity: Column,
    price: Column,
    trade_id: Option<Column>,
    executed_at: Option<Column>,
}

impl Columns {
    fn of(header: &Fields<'_>) -> Result<Self, Error> {
        let need = |names| Column::need(KIND, header, names);
        let find = |names| Column::find(header, names);
        Ok(Self {
            symbol: need(&["symbol"])?,
            isin: find(&["isin"]),
            trade_date: need(&["trade_date"])?,
            exchange: need(&["exchange"])?,
            segment: need(&["segment"])?,
            series: find(&["series"]),
            trade_type: need(&["trade_type"])?,
            quantity: need(&["quantity"])?,
            price: need(&["price"])?,
            trade_id: find(&["trade_id"]),
            executed_at: find(&["order_execution_time"]),
        })
    }
    fn row(&self, fields: &Fields<'_>) -> Result<(ImportTrade, Option<Isin>), RowError> {
        let segment = fields.text(self.segment)?;
        if !segment.eq_ignore_ascii_case("EQ") {
            let problem = format!("'{}' is not imported; only EQ, the cash market, is", quoted(segment));
            return Err(fields.error(Some(self.segment), problem));
        }
        let exchange = fields.read(self.exchange, Exchange::new)?;
        let symbol = fields.read(self.symbol, Symbol::new)?;
        let series = fields.read_optional(self.series, Series::new)?;
        let date = fields.read(self.trade_date, Date::parse)?;
        let executed_at = fields.read_optional(self.executed_at, executed_at)?.unwrap_or_else(|| date.start());
        if executed_at.date() != date {
            return Err(fields.error(self.executed_at, format!("is not on the trade_date {date}")));
        }
        let trade = ImportTrade {
            instrument: instrument_id(exchange, symbol, series)
                .map_err(|problem| fields.error(Some(self.symbol), problem.to_string()))?,
            kind: fields.read(self.trade_type, |text| match text {
                text if text.eq_ignore_ascii_case("buy") => Ok(Kind::Purchase),
                text if text.eq_ignore_ascii_case("sell") => Ok(Kind::Sale),
                _ => Err("must be buy or sell"),
            })?,
            quantity: fields.read(self.quantity, shares)?,
            price: Some(fields.read(self.price, price)?),
            exchange: Some(exchange),
            trade_id: fields.read_optional(self.trade_id, TradeId::new)?,
            executed_at,
        };
        Ok((trade, fields.read_optional(self.isin, Isin::new)?))
    }
}

fn shares(text: &str) -> Result<Quantity, &'static str> {
    match whole(text)? {
        0 => Err("must be above zero"),
        shares => Ok(Quantity::new(shares)),
    }
}

fn price(text: &str) -> Result<Price, String> {
    match Price::parse(text) {
        Ok(price) if price.is_negative() => Err("must not be negative".into()),
        Ok(price) => Ok(price),
        Err(error) => Err(error.to_string()),
    }
}

/// `2023-06-15T09:31:02` or with a space, in India's time.
fn executed_at(text: &str) -> Result<Timestamp, &'static str> {
    const RULE: &str = "must be a time as 2023-06-15T09:31:02";
    let (date, time) = text.split_once(['T', ' ']).ok_or(RULE)?;
    Timestamp::parse(&format!("{date}T{time}+05:30")).map_err(|_| RULE)
}
