//! Keys of imported rows, one rule for every importer, so that a second import changes nothing; knows no file format.
//!
//! A trade with an exchange's number is known by `{exchange}/{trade_date}/{trade_id}/{side}`. Any
//! other row is known by its content and its ordinal among equal rows of the import, counted from 1:
//! two equal rows in one file are two trades, the same file sent again is none. The content is the
//! parsed row in one canonical text, so "10.0" and "10.00" are one price and one key.

use crate::{
    history::{ImportTrade, ImportUnits, Kind},
    ids::{CommandId, Exchange, TradeId},
    order::Side,
    time::Date,
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fmt::{Display, Write},
};

/// The key of a trade that an exchange numbered; at most 62 characters.
pub fn trade_key(exchange: Exchange, trade_date: Date, trade_id: &TradeId, side: Side) -> CommandId {
    CommandId::new(&format!("{exchange}/{trade_date}/{trade_id}/{}", side_name(side))).expect("5 + 10 + 40 + 4 + 3 fit")
}

/// The key of any other row: SHA-256, in 64 hex digits, of `{ordinal}`, a line feed and the row.
///
/// `ordinal` counts equal rows of one import from 1.
pub fn row_key(canonical_row: &str, ordinal: usize) -> CommandId {
    let mut hash = Sha256::new();
    hash.update(ordinal.to_string());
    hash.update("\n");
    hash.update(canonical_row);
    let mut text = arrayvec::ArrayString::<64>::new();
    for byte in hash.finalize() {
        write!(text, "{byte:02x}").expect("32 bytes are 64 digits");
    }
    CommandId::new(&text).expect("hex digits are visible")
}

/// Gives each row of one import its key; holds one count for every different row seen, so its owner bounds the rows.
#[derive(Debug, Default)]
pub struct RowKeys {
    seen: HashMap<String, usize>,
}

impl RowKeys {
    /// The key of a trade.
    pub fn trade(&mut self, row: &ImportTrade) -> CommandId {
        let side = match row.kind {
            Kind::Purchase => Some(Side::Buy),
            Kind::Sale => Some(Side::Sell),
            Kind::Bonus | Kind::Split => None,
        };
        match (row.exchange, &row.trade_id, side) {
            (Some(exchange), Some(trade_id), Some(side)) => trade_key(exchange, row.executed_at.date(), trade_id, side),
            _ => self.numbered(trade_row(row)),
        }
    }
    /// The key of fund units.
    pub fn units(&mut self, row: &ImportUnits) -> CommandId {
        self.numbered(units_row(row))
    }
    fn numbered(&mut self, row: String) -> CommandId {
        let ordinal = self.seen.get(&row).map_or(1, |seen| seen + 1);
        let key = row_key(&row, ordinal);
        self.seen.insert(row, ordinal);
        key
    }
}

/// The canonical text of a trade: `trade|instrument|kind|quantity|price|exchange|instant|trade id`, nothing for what is absent.
pub fn trade_row(row: &ImportTrade) -> String {
    let (kind, quantity, at) = (kind_name(row.kind), row.quantity, row.executed_at);
    let (price, exchange, trade_id) = (text(&row.price), text(&row.exchange), text(&row.trade_id));
    // What may itself hold a '|' stands last, so that two different rows never share a text.
    format!("trade|{}|{kind}|{quantity}|{price}|{exchange}|{at}|{trade_id}", row.instrument)
}

/// The canonical text of fund units: `units|scheme|kind|units|NAV|amount|instant|folio`, nothing for what is absent.
pub fn units_row(row: &ImportUnits) -> String {
    let (kind, units, at) = (kind_name(row.kind), row.units, row.executed_at);
    let (nav, amount) = (text(&row.nav), text(&row.amount));
    format!("units|{}|{kind}|{units}|{nav}|{amount}|{at}|{}", row.scheme, row.folio)
}

fn text(figure: &Option<impl Display>) -> String {
    figure.as_ref().map_or_else(String::new, ToString::to_string)
}

const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Purchase => "purchase",
        Kind::Sale => "sale",
        Kind::Bonus => "bonus",
        Kind::Split => "split",
    }
}
