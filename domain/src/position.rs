//! Shares of one instrument in one account: bought today, T1, settled; holds no cost and no lot, which views derive.

use crate::{
    ids::{Exchange, InstrumentId},
    money::{Money, Quantity},
    order::Product,
    time::Date,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Shares by how far they are settled; as a movement, signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Bought on a day that has not been netted yet.
    pub bought_today: Quantity,
    /// Bought, netted, not settled.
    pub t1: Quantity,
    /// Settled in the demat account; below zero only after a sale that the facts did not cover.
    pub settled: Quantity,
}

impl Shares {
    /// All three.
    pub fn total(self) -> Quantity {
        self.bought_today + self.t1 + self.settled
    }
    /// Each part added.
    pub fn plus(self, other: Self) -> Self {
        Self {
            bought_today: self.bought_today + other.bought_today,
            t1: self.t1 + other.t1,
            settled: self.settled + other.settled,
        }
    }
    /// Each part negated.
    pub fn negated(self) -> Self {
        Self { bought_today: -self.bought_today, t1: -self.t1, settled: -self.settled }
    }
}

/// Why shares moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A fill.
    Trade,
    /// The day was netted.
    DayNetted,
    /// A settlement date was settled.
    Settled,
    /// Imported history.
    Import,
    /// An intraday position, or a part of it, became delivery.
    Converted,
    /// The exchange cancelled a trade.
    TradeCancelled,
}

/// Shares moved because of the event before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changed {
    /// Of what.
    pub instrument: InstrumentId,
    /// Delivery or intraday.
    pub product: Product,
    /// Why.
    pub reason: Reason,
    /// By how much, signed.
    pub moved: Shares,
    /// The position after; for intraday all is in `bought_today`, below zero when sold and not bought.
    pub position: Shares,
}

/// A day's trades in one instrument on one exchange were netted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayNetted {
    /// Where.
    pub exchange: Exchange,
    /// What.
    pub instrument: InstrumentId,
    /// The day.
    pub trade_date: Date,
    /// Shares bought that day.
    pub bought: Quantity,
    /// Shares sold that day.
    pub sold: Quantity,
    /// Bought and sold alike: intraday.
    pub intraday: Quantity,
    /// Returned to settled because a later purchase covered the sale.
    pub returned_settled: Quantity,
    /// Returned to T1 because a later purchase covered the sale.
    pub returned_t1: Quantity,
    /// Moved from bought today to T1.
    pub to_t1: Quantity,
    /// When those settle.
    pub settlement_date: Date,
    /// By how much netting changes the part of the day's receivable that may be used before it settles, signed.
    pub usable_change: Money,
}

/// A settlement date was settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// The date.
    pub settlement_date: Date,
    /// Receivables that became cash.
    pub received: Money,
    /// Payables that were paid.
    pub paid: Money,
}

/// One day's trades in one instrument on one exchange, until they are netted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// When its cash and shares settle: fixed by its first trade, whatever is learnt of the calendar since.
    pub settlement_date: Option<Date>,
    /// Whether it nets nothing, as an order traded in a trade-to-trade series.
    pub delivers_gross: bool,
    /// Shares bought.
    pub bought: Quantity,
    /// What they cost.
    pub bought_value: Money,
    /// Shares sold.
    pub sold: Quantity,
    /// What they brought.
    pub sold_value: Money,
    /// Where the sold shares came from.
    pub drawn: Shares,
    /// Of those drawn from settled shares, those that were not there: nobody may use what they bring before it settles.
    pub uncovered: Quantity,
    /// The T1 lots sold from, by settlement date, in the order they were drawn.
    pub t1_drawn: Vec<(Date, Quantity)>,
    /// The part of the receivable that may be used now.
    pub usable: Money,
    /// The account's first entry that traded on this day since it was netted, should it have been before.
    pub first_seq: u64,
    /// The account's last entry that traded on this day.
    pub last_seq: u64,
}

/// A position as deciding must remember it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Shares now.
    pub shares: Shares,
    /// Shares blocked for pending sales.
    pub blocked: Quantity,
    /// T1 shares by settlement date.
    pub t1: BTreeMap<Date, Quantity>,
    /// Days not netted yet, by exchange and trade date.
    pub days: BTreeMap<(Exchange, Date), Day>,
    /// The account's last entry that moved shares of it, or blocked or released some.
    pub last_seq: u64,
    /// Of days that are netted and not settled, trade-to-trade ones left out, by settlement date, exchange and trade date: shares bought less sold.
    pub netted: BTreeMap<(Date, Exchange, Date), Quantity>,
}

impl Position {
    /// Nothing is left to remember.
    pub fn is_empty(&self) -> bool {
        let waits = !self.days.is_empty() || !self.netted.is_empty();
        self.shares == Shares::default() && self.blocked.is_zero() && self.t1.is_empty() && !waits
    }
}

/// Nets a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetDay {
    /// Where.
    pub exchange: Exchange,
    /// What.
    pub instrument: InstrumentId,
    /// The day.
    pub trade_date: Date,
}

/// Settles a date.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// The date.
    pub settlement_date: Date,
}
