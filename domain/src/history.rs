//! Trades and fund units from before this ledger, recorded as facts; checks no order, calendar or cash.

use crate::{
    ids::{Exchange, Folio, InstrumentId, SchemeCode, TradeId},
    money::{Money, Nav, Price, Quantity, Units},
    order::Flag,
    time::{Date, Timestamp},
};
use serde::{Deserialize, Serialize};

/// What an imported row says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Bought.
    Purchase,
    /// Sold.
    Sale,
    /// Given by a bonus issue; without cost.
    Bonus,
    /// Added by a split; the cost stays.
    Split,
}

impl Kind {
    /// Whether it takes shares or units away.
    pub const fn is_sale(self) -> bool {
        matches!(self, Self::Sale)
    }
}

/// A trade from before this ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TradeImported {
    /// What traded.
    pub instrument: InstrumentId,
    /// What happened.
    pub kind: Kind,
    /// Shares, above zero.
    pub quantity: Quantity,
    /// At what price, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Price times quantity, rounded half up; absent without a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Money>,
    /// Where it traded, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
    /// The exchange's number of the trade, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trade_id: Option<TradeId>,
    /// The day of the trade.
    pub trade_date: Date,
    /// A sale of more than was held; recorded all the same.
    pub beyond_holding: bool,
    /// What is odd about it: history is not of the future.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Flag>,
}

/// Fund units from before this ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitsImported {
    /// Of which scheme.
    pub scheme: SchemeCode,
    /// In which folio.
    pub folio: Folio,
    /// What happened.
    pub kind: Kind,
    /// Units, above zero.
    pub units: Units,
    /// At what NAV, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nav: Option<Nav>,
    /// For how much, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The day.
    pub trade_date: Date,
    /// A sale of more than was held; recorded all the same.
    pub beyond_holding: bool,
    /// What is odd about it: history is not of the future.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Flag>,
}

/// Imports a trade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportTrade {
    /// What traded; `ISIN:...` where only that is known.
    pub instrument: InstrumentId,
    /// What happened.
    pub kind: Kind,
    /// Shares, above zero.
    pub quantity: Quantity,
    /// At what price, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Where it traded, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
    /// The exchange's number of the trade, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trade_id: Option<TradeId>,
    /// When it traded; 00:00 IST where only the date is known.
    pub executed_at: Timestamp,
}

/// Imports fund units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportUnits {
    /// Of which scheme; `ISIN:...` where only that is known.
    pub scheme: SchemeCode,
    /// In which folio.
    pub folio: Folio,
    /// What happened.
    pub kind: Kind,
    /// Units, above zero.
    pub units: Units,
    /// At what NAV, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nav: Option<Nav>,
    /// For how much, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// When it happened; 00:00 IST where only the date is known.
    pub executed_at: Timestamp,
}
