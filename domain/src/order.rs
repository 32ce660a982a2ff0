//! An equity order from request to its end; decides nothing about cash or shares, which `book` does.

use crate::{
    ids::{AlgoId, Exchange, ExchangeOrderId, InstrumentId, OrderId, Series, Tag, TradeId},
    money::{Money, Percent, Price, Quantity},
    position::Shares,
    time::{Date, Timestamp},
};
use serde::{Deserialize, Serialize};

/// Buy or sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Shares in, cash out.
    Buy,
    /// Shares out, cash in.
    Sell,
}

/// How the price is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderType {
    /// At whatever the market asks, within the protection.
    #[serde(rename = "market")]
    Market,
    /// At the price or better.
    #[serde(rename = "limit")]
    Limit,
}

/// What becomes of the shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Product {
    /// Cash and carry: delivery.
    #[serde(rename = "CNC")]
    Cnc,
}

/// How long an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Validity {
    /// Until its session ends.
    #[serde(rename = "DAY")]
    Day,
    /// At once or not at all.
    #[serde(rename = "IOC")]
    Ioc,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Recorded here, not yet known at the venue.
    Requested,
    /// Standing at the venue.
    Open,
    /// Standing, with a part filled.
    PartlyFilled,
    /// Filled whole.
    Filled,
    /// Cancelled, perhaps after a part was filled.
    Cancelled,
    /// Refused by the venue.
    Rejected,
    /// Ended with its session.
    Expired,
}

impl Status {
    /// Nothing is pending any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Filled | Self::Cancelled | Self::Rejected | Self::Expired)
    }
    /// The stored and shown name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Open => "open",
            Self::PartlyFilled => "partly_filled",
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

/// How the session date was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarBasis {
    /// From recorded calendar facts.
    Recorded,
    /// Past the end of the recorded facts: Monday to Friday is assumed.
    Assumed,
}

/// An order was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requested {
    /// Its id.
    pub order_id: OrderId,
    /// What to trade.
    pub instrument: InstrumentId,
    /// The series it trades in.
    pub series: Series,
    /// Buy or sell.
    pub side: Side,
    /// How many shares.
    pub quantity: Quantity,
    /// Market or limit.
    #[serde(rename = "type")]
    pub order_type: OrderType,
    /// The limit; absent for a market order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// How far from the last price a market order may trade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market_protection: Option<Percent>,
    /// Delivery.
    pub product: Product,
    /// Day or immediate.
    pub validity: Validity,
    /// The session it is for; its end expires the order.
    pub session_date: Date,
    /// How that date was found.
    pub calendar: CalendarBasis,
    /// The price a purchase is blocked at (the limit, the protection, the upper band or last price + 5%); absent for a sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_price: Option<Price>,
    /// Cash blocked for a purchase: block price times quantity, rounded up; absent for a sale, which blocks its quantity of shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Money>,
    /// The client's mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// The exchange's id of the algorithm that placed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algo_id: Option<AlgoId>,
}

/// The venue took the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The order.
    pub order_id: OrderId,
    /// The venue's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange_order_id: Option<ExchangeOrderId>,
    /// Whether the report fitted the order's state; one that did not is recorded without effect.
    pub applied: bool,
}

/// What a venue's rejection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// The order itself.
    Order,
    /// The pending modification.
    Modification,
    /// The pending cancellation.
    Cancellation,
}

/// The venue refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejected {
    /// The order.
    pub order_id: OrderId,
    /// What was refused.
    pub refused: Refused,
    /// The venue's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// Shares that will not trade.
    pub cancelled: Quantity,
    /// Cash still blocked for a purchase afterwards: nothing, or what stood before a refused modification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Money>,
    /// Whether the report fitted the order's state.
    pub applied: bool,
}

/// A change was asked for; it waits for the venue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModificationRequested {
    /// The order.
    pub order_id: OrderId,
    /// Counts an order's modifications from 1.
    pub number: u32,
    /// The order's quantity if it is granted.
    pub quantity: Quantity,
    /// The order's limit if it is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// The order's type if it is granted.
    #[serde(rename = "type")]
    pub order_type: OrderType,
    /// The order's validity if it is granted.
    pub validity: Validity,
    /// The price a purchase would be blocked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_price: Option<Price>,
    /// Cash blocked for the pending part until the venue answers: the larger of before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Money>,
    /// Shares blocked until the venue answers, for a sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_quantity: Option<Quantity>,
}

/// The venue changed the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modified {
    /// The order.
    pub order_id: OrderId,
    /// Its quantity from now on.
    pub quantity: Quantity,
    /// Its limit from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Its type from now on.
    #[serde(rename = "type")]
    pub order_type: OrderType,
    /// Its validity from now on.
    pub validity: Validity,
    /// The price a purchase is blocked at from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_price: Option<Price>,
    /// Cash blocked for the pending part from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Money>,
    /// Whether the report fitted the order's state.
    pub applied: bool,
}

/// Cancelling was asked for; it waits for the venue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancellationRequested {
    /// The order.
    pub order_id: OrderId,
}

/// The venue cancelled what was pending.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancelled {
    /// The order.
    pub order_id: OrderId,
    /// Shares that will not trade.
    pub cancelled: Quantity,
    /// The venue's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// Whether the report fitted the order's state.
    pub applied: bool,
}

/// The session ended with a part pending.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expired {
    /// The order.
    pub order_id: OrderId,
    /// Shares that will not trade.
    pub cancelled: Quantity,
    /// Whether it fitted the order's state.
    pub applied: bool,
}

/// A trade filled an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filled {
    /// The order.
    pub order_id: OrderId,
    /// The exchange's number of the trade; with exchange, trade date and side it is known for ever.
    pub trade_id: TradeId,
    /// Where it traded.
    pub exchange: Exchange,
    /// The IST date of the trade.
    pub trade_date: Date,
    /// What traded.
    pub instrument: InstrumentId,
    /// Bought or sold.
    pub side: Side,
    /// Delivery.
    pub product: Product,
    /// Shares traded.
    pub quantity: Quantity,
    /// At what price.
    pub price: Price,
    /// Price times quantity, rounded half up to the paisa.
    pub value: Money,
    /// Where a sale's shares came from; absent for a purchase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Shares>,
    /// For a sale: the part of the value that new orders may use before it settles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usable: Option<Money>,
    /// The day cash and shares settle.
    pub settlement_date: Date,
    /// Filled of the order so far, this trade included.
    pub filled: Quantity,
    /// Still pending after this trade.
    pub pending: Quantity,
    /// Cash still blocked for a purchase's pending part; absent for a sale, whose pending shares stay blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Money>,
}

/// A trade that fits no order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillUnmatched {
    /// The order it named.
    pub order_id: OrderId,
    /// The exchange's number of the trade.
    pub trade_id: TradeId,
    /// What traded, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<InstrumentId>,
    /// Bought or sold, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// Shares traded.
    pub quantity: Quantity,
    /// At what price.
    pub price: Price,
    /// Why it fits no order.
    pub reason: Unmatched,
}

/// Why a trade fits no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// The account was never opened.
    UnknownAccount,
    /// The account has no such order.
    UnknownOrder,
    /// It would fill more than the order's quantity.
    BeyondQuantity,
    /// The report's instrument or side is not the order's.
    OtherSecurity,
}

/// An operator assigned an unmatched trade to an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillAssigned {
    /// The entry that recorded the unmatched trade.
    pub seq: u64,
    /// The trade as it applies to the order.
    pub fill: Filled,
}

/// How long what is over is kept at hand after it has settled: longer than any venue takes to correct itself.
const KEPT_DAYS: i32 = 7;

/// The day from which something that is over is no longer kept at hand: 7 days after the last of its parts settles,
/// or after the day it was for, if nothing is to settle.
///
/// It leaves with the first entry of its account that is recorded on that IST date or later, once the entry's own
/// events are folded; so what is kept follows from the log alone, and is the same for books and for views.
pub fn leaves_on(day: Date, settles: Option<Date>) -> Date {
    settles.map_or(day, |settles| settles.max(day)).plus_days(KEPT_DAYS)
}

/// What is waiting for the venue's answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Waiting {
    /// A change.
    Modification {
        /// Quantity if granted.
        quantity: Quantity,
        /// Limit if granted.
        price: Option<Price>,
        /// Type if granted.
        order_type: OrderType,
        /// Validity if granted.
        validity: Validity,
        /// Block price if granted.
        block_price: Option<Price>,
    },
    /// A cancellation.
    Cancellation,
}

/// An order as deciding must remember it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// What it trades.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// Delivery.
    pub product: Product,
    /// Shares asked for.
    pub quantity: Quantity,
    /// Shares filled.
    pub filled: Quantity,
    /// The limit.
    pub price: Option<Price>,
    /// Market or limit.
    pub order_type: OrderType,
    /// Day or immediate.
    pub validity: Validity,
    /// Its session.
    pub session_date: Date,
    /// Where it stands.
    pub status: Status,
    /// The price its cash is blocked at.
    pub block_price: Option<Price>,
    /// Cash blocked for the pending part.
    pub blocked: Money,
    /// Shares blocked for the pending part.
    pub blocked_quantity: Quantity,
    /// Modifications asked for so far.
    pub modifications: u32,
    /// What waits for the venue.
    pub waiting: Option<Waiting>,
    /// The latest settlement date of its fills.
    pub settles_on: Option<Date>,
}

impl Order {
    /// Shares that may still trade.
    pub fn pending(&self) -> Quantity {
        if self.status.is_final() { Quantity::ZERO } else { self.quantity - self.filled }
    }
    /// From which day on it is no longer in the book, once it is closed; see [`leaves_on`].
    pub fn leaves_on(&self) -> Date {
        leaves_on(self.session_date, self.settles_on)
    }
    /// Shares that will not trade.
    pub fn cancelled(&self) -> Quantity {
        if self.status.is_final() { self.quantity - self.filled } else { Quantity::ZERO }
    }
}

/// Asks for an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// What to trade.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// How many shares.
    pub quantity: Quantity,
    /// Market or limit.
    #[serde(rename = "type")]
    pub order_type: OrderType,
    /// The limit, for a limit order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Delivery.
    pub product: Product,
    /// Day or immediate.
    pub validity: Validity,
    /// How far from the last price a market order may trade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market_protection: Option<Percent>,
    /// The client's mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// The exchange's id of the algorithm that placed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algo_id: Option<AlgoId>,
}

/// Asks for a change; what is absent stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modify {
    /// The order.
    pub order_id: OrderId,
    /// Its new quantity, never below what is filled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// Its new limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Its new type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub order_type: Option<OrderType>,
    /// Its new validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity: Option<Validity>,
}

/// Asks to cancel what is pending.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// The order.
    pub order_id: OrderId,
}

/// What a venue says about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// It stands.
    Accepted,
    /// It, or what was asked of it, is refused.
    Rejected,
    /// It is changed.
    Modified,
    /// It is cancelled.
    Cancelled,
    /// It ended with the session.
    Expired,
}

/// A venue's report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The order.
    pub order_id: OrderId,
    /// What happened.
    pub report: ReportKind,
    /// The venue's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange_order_id: Option<ExchangeOrderId>,
    /// The venue's words, at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// For `modified`: the quantity from now on, if not as asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// For `modified`: the limit from now on, if not as asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// When it happened at the venue.
    pub at: Timestamp,
}

/// A venue's trade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// The order.
    pub order_id: OrderId,
    /// The exchange's number of the trade.
    pub trade_id: TradeId,
    /// Shares traded.
    pub quantity: Quantity,
    /// At what price.
    pub price: Price,
    /// When it traded.
    pub executed_at: Timestamp,
    /// What traded; follows from the order where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<InstrumentId>,
    /// Bought or sold; follows from the order where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
}

/// Assigns an unmatched trade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assign {
    /// The entry that recorded the unmatched trade.
    pub seq: u64,
    /// The order it belongs to.
    pub order_id: OrderId,
}

/// Ends an order with its session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expire {
    /// The order.
    pub order_id: OrderId,
}
