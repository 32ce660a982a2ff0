//! Rows of history from before this ledger; each row is its own command, known by its key for ever.

use crate::{
    body::{Items, body, list},
    caller::{CallerFor, OPERATOR},
    field::{self, Field, Kind, Shape},
    orders::{QUANTITY, SIDES},
    problem::{Fault, Problem},
    sent::Sent,
    state::State,
    submit::{self, Item},
};
use axum::{extract, response::Response};
use domain::{
    history::{ImportTrade, ImportUnits, Kind as Happened},
    ids::{CommandId, Exchange, Folio, InstrumentId, Isin, SchemeCode, TradeId},
    money::{Money, Nav, Price, Quantity, Units},
    order::Side,
    row_key::RowKeys,
    time::{Date, Timestamp},
};
use serde::Deserialize;
use std::{str::FromStr, sync::Arc};

const KINDS: Kind = Kind::Name(&["purchase", "sale", "bonus", "split"]);
const KEY_FIELD: Field = Field::may("key", Kind::Text(field::KEY), "This row's key; made from the row without one");
const ISIN_FIELD: Field = Field::may("isin", Kind::Text(field::ISIN), "Where only the ISIN is known");
const DATE_FIELD: Field = Field::may("trade_date", Kind::Text(field::DATE), "The day, as 00:00 IST");
const AT_FIELD: Field = Field::may("executed_at", Kind::Text(field::INSTANT), "The instant, where it is known");

/// A trade.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TradeRow {
    key: Option<CommandId>,
    instrument: Option<InstrumentId>,
    isin: Option<Isin>,
    kind: Option<Happened>,
    side: Option<Side>,
    quantity: Quantity,
    price: Option<Price>,
    exchange: Option<Exchange>,
    trade_id: Option<TradeId>,
    trade_date: Option<Date>,
    executed_at: Option<Timestamp>,
}

body!(
    /// A trade.
    TradeRow as ImportedTrade,
    &Shape {
        name: "ImportedTrade",
        about: "A trade from before this ledger: an instrument or an isin, a kind or a side, a trade_date or executed_at.",
        fields: &[
            KEY_FIELD,
            Field::may("instrument", Kind::Text(field::INSTRUMENT), "What traded"),
            ISIN_FIELD,
            Field::may("kind", KINDS, "What happened"),
            Field::may("side", SIDES, "In place of kind: buy is a purchase, sell a sale"),
            Field::needed("quantity", QUANTITY, "Whole shares"),
            Field::may("price", Kind::Decimal(field::PRICE_OR_ZERO), "At what price, where known"),
            Field::may("exchange", Kind::Text(field::EXCHANGE), "Where it traded, where known"),
            Field::may("trade_id", Kind::Text(field::TRADE), "The exchange's number, where known"),
            DATE_FIELD,
            AT_FIELD,
        ],
    },
    |row| {
        row.key.is_none_or(|key| field::is_key(key.as_str()))
            && field::quantity_fits(row.quantity)
            && row.price.is_none_or(field::price_or_zero_fits)
    }
);

/// Fund units.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitsRow {
    key: Option<CommandId>,
    scheme: Option<SchemeCode>,
    isin: Option<Isin>,
    folio: Folio,
    kind: Happened,
    units: Units,
    nav: Option<Nav>,
    amount: Option<Money>,
    trade_date: Option<Date>,
    executed_at: Option<Timestamp>,
}

body!(
    /// Fund units.
    UnitsRow as ImportedUnits,
    &Shape {
        name: "ImportedUnits",
        about: "Fund units from before this ledger: a scheme or an isin, a trade_date or executed_at.",
        fields: &[
            KEY_FIELD,
            Field::may("scheme", Kind::Text(field::SCHEME), "Of which scheme"),
            ISIN_FIELD,
            Field::needed("folio", Kind::Text(field::FOLIO), "In which folio"),
            Field::needed("kind", KINDS, "What happened"),
            Field::needed("units", Kind::Decimal(field::UNITS), "Units, above zero"),
            Field::may("nav", Kind::Decimal(field::NAV), "At what NAV, where known"),
            Field::may("amount", Kind::Decimal(field::AMOUNT_OR_ZERO), "For how much, where known"),
            DATE_FIELD,
            AT_FIELD,
        ],
    },
    |row| {
        row.key.is_none_or(|key| field::is_key(key.as_str()))
            && field::units_fit(row.units)
            && row.nav.is_none_or(field::nav_fits)
            && row.amount.is_none_or(field::amount_or_zero_fits)
    }
);

list!(
    /// Trades, taken in date order and answered in this one.
    ImportTrades = "rows" of ImportedTrade
);
list!(
    /// Fund units, taken in date order and answered in this one.
    ImportUnitRows = "rows" of ImportedUnits
);

/// What is wrong with a row beyond its fields.
struct Faults(usize, Vec<Fault>);

impl Faults {
    fn add(&mut self, name: &str, detail: &'static str) {
        self.1.push(Fault { pointer: format!("/rows/{}/{name}", self.0), detail: detail.into() });
    }
    /// One of two, never both: a name of ours, or `ISIN:...`.
    fn named<T: FromStr>(&mut self, name: &str, own: Option<T>, isin: Option<Isin>) -> Option<T> {
        match (own, isin) {
            (Some(own), None) => Some(own),
            (None, Some(isin)) => format!("ISIN:{isin}").parse().ok(),
            (Some(_), Some(_)) => {
                self.add("isin", "is given beside another name of the same");
                None
            }
            (None, None) => {
                self.add(name, "is missing, and so is isin");
                None
            }
        }
    }
    fn at(&mut self, date: Option<Date>, at: Option<Timestamp>) -> Option<Timestamp> {
        match (date, at) {
            (Some(date), Some(at)) if at.date() != date => {
                self.add("executed_at", "is not on trade_date, in India's time");
                None
            }
            (_, Some(at)) => Some(at),
            (Some(date), None) => Some(date.start()),
            (None, None) => {
                self.add("trade_date", "is missing, and so is executed_at");
                None
            }
        }
    }
    fn problem(self) -> Problem {
        Problem::invalid("invalid_body", self.1)
    }
}

impl TradeRow {
    fn read(self, index: usize) -> Result<(Option<CommandId>, ImportTrade), Problem> {
        let mut faults = Faults(index, Vec::new());
        let instrument = faults.named("instrument", self.instrument, self.isin);
        let of_side = self.side.map(|side| if side == Side::Buy { Happened::Purchase } else { Happened::Sale });
        let kind = match (self.kind, of_side) {
            (Some(kind), Some(of_side)) if kind != of_side => {
                faults.add("side", "contradicts kind");
                None
            }
            (None, None) => {
                faults.add("kind", "is missing, and so is side");
                None
            }
            (kind, of_side) => kind.or(of_side),
        };
        let executed_at = faults.at(self.trade_date, self.executed_at);
        let Self { key, quantity, price, exchange, trade_id, .. } = self;
        match (instrument, kind, executed_at) {
            (Some(instrument), Some(kind), Some(executed_at)) => {
                Ok((key, ImportTrade { instrument, kind, quantity, price, exchange, trade_id, executed_at }))
            }
            _ => Err(faults.problem()),
        }
    }
}

impl UnitsRow {
    fn read(self, index: usize) -> Result<(Option<CommandId>, ImportUnits), Problem> {
        let mut faults = Faults(index, Vec::new());
        let scheme = faults.named("scheme", self.scheme, self.isin);
        let executed_at = faults.at(self.trade_date, self.executed_at);
        let Self { key, folio, kind, units, nav, amount, .. } = self;
        match (scheme, executed_at) {
            (Some(scheme), Some(executed_at)) => {
                Ok((key, ImportUnits { scheme, folio, kind, units, nav, amount, executed_at }))
            }
            _ => Err(faults.problem()),
        }
    }
}

/// Good rows first by their instants; equal instants stay as they were sent.
fn in_date_order(instants: &[Option<Timestamp>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..instants.len()).collect();
    order.sort_by_key(|index| instants[*index]);
    order
}

/// Imports trades.
#[utoipa::path(post, path = "/v1/accounts/{account}/imports/trades", tag = "imports", request_body = ImportTrades,
    security(("token" = ["operator"])), responses((status = 200, description = "One status and body for each row")))]
pub async fn import_trades(
    extract::State(state): extract::State<State>,
    who: CallerFor<OPERATOR>,
    sent: Sent,
    Items(rows, _): Items<ImportTrades, TradeRow>,
) -> Response {
    let mut keys = RowKeys::default();
    let (mut items, mut instants): (Vec<Item>, Vec<_>) = (Vec::with_capacity(rows.len()), Vec::new());
    for (index, row) in rows.into_iter().enumerate() {
        let read = row.and_then(|row| row.read(index));
        instants.push(read.as_ref().ok().map(|(_, row)| row.executed_at));
        items.push(read.map(|(key, row)| {
            let key = key.unwrap_or_else(|| keys.trade(&row));
            (key, Arc::clone(&who.caller.importing), row.into())
        }));
    }
    submit::many(&state, who.account, sent, items, &in_date_order(&instants)).await
}

/// Imports fund units.
#[utoipa::path(post, path = "/v1/accounts/{account}/imports/units", tag = "imports", request_body = ImportUnitRows,
    security(("token" = ["operator"])), responses((status = 200, description = "One status and body for each row")))]
pub async fn import_units(
    extract::State(state): extract::State<State>,
    who: CallerFor<OPERATOR>,
    sent: Sent,
    Items(rows, _): Items<ImportUnitRows, UnitsRow>,
) -> Response {
    let mut keys = RowKeys::default();
    let (mut items, mut instants): (Vec<Item>, Vec<_>) = (Vec::with_capacity(rows.len()), Vec::new());
    for (index, row) in rows.into_iter().enumerate() {
        let read = row.and_then(|row| row.read(index));
        instants.push(read.as_ref().ok().map(|(_, row)| row.executed_at));
        items.push(read.map(|(key, row)| {
            let key = key.unwrap_or_else(|| keys.units(&row));
            (key, Arc::clone(&who.caller.importing), row.into())
        }));
    }
    submit::many(&state, who.account, sent, items, &in_date_order(&instants)).await
}
