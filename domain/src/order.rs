//! An equity order from request to its end; decides nothing about cash or shares, which `book` does.

mod standing;

pub use standing::{Order, Waiting, leaves_on, order_of, reblocked};

use crate::{
    ids::{AlgoId, Exchange, ExchangeOrderId, InstrumentId, OrderId, Series, Tag, TradeId},
    intraday::IntradayTrade,
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

impl Side {
    /// The other one.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
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
    /// Stop loss: from the trigger price on, at the price or better.
    #[serde(rename = "SL")]
    Sl,
    /// Stop loss at market: from the trigger price on, at whatever the market asks.
    #[serde(rename = "SL-M")]
    SlM,
}

impl OrderType {
    /// Takes a limit.
    pub const fn has_limit(self) -> bool {
        matches!(self, Self::Limit | Self::Sl)
    }
    /// Takes a trigger price, and sleeps at the venue until the market reaches it.
    pub const fn has_trigger(self) -> bool {
        matches!(self, Self::Sl | Self::SlM)
    }
}

/// What becomes of the shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Product {
    /// Cash and carry: delivery.
    #[serde(rename = "CNC")]
    Cnc,
    /// Margin intraday square-off: bought and sold within the session, on margin.
    #[serde(rename = "MIS")]
    Mis,
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
    /// At the venue, waiting for its trigger price.
    TriggerPending,
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
            Self::TriggerPending => "trigger_pending",
            Self::Open => "open",
            Self::PartlyFilled => "partly_filled",
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

/// What made the back office place an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DueTo {
    /// An intraday position is open shortly before its session ends.
    SquareOff,
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
    /// How the price is set.
    #[serde(rename = "type")]
    pub order_type: OrderType,
    /// The limit; absent for an order at market.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// The price from which on a stop loss order stands; absent for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_price: Option<Price>,
    /// The part of the quantity that the market is shown at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclosed_quantity: Option<Quantity>,
    /// How far from the last price a market order may trade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market_protection: Option<Percent>,
    /// Delivery or intraday.
    pub product: Product,
    /// Day or immediate.
    pub validity: Validity,
    /// The session it is for; its end expires the order.
    pub session_date: Date,
    /// How that date was found.
    pub calendar: CalendarBasis,
    /// The price cash is blocked at (the limit, the protection, the upper band or last price + 5%); absent for a delivery sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_price: Option<Price>,
    /// Cash blocked, rounded up: block price times quantity for a delivery purchase, the margin on block price times `opening` for an intraday order; absent for a delivery sale, which blocks its quantity of shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Money>,
    /// Of an intraday order: the shares that open or add to a position, as the rest closes one and needs no margin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Quantity>,
    /// Of an intraday order: the margin in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Percent>,
    /// What made the back office place it; absent when the account's holder did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_to: Option<DueTo>,
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
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Flag>,
}

/// The market reached the trigger price of a stop loss order, which stands from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Triggered {
    /// The order.
    pub order_id: OrderId,
    /// Whether the report fitted the order's state; one that did not is recorded without effect.
    pub applied: bool,
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Flag>,
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
    /// Cash still blocked afterwards: nothing, or what stood before a refused modification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Money>,
    /// Whether the report fitted the order's state.
    pub applied: bool,
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Flag>,
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
    /// The order's trigger price if it is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_price: Option<Price>,
    /// The order's type if it is granted.
    #[serde(rename = "type")]
    pub order_type: OrderType,
    /// The order's validity if it is granted.
    pub validity: Validity,
    /// The price cash would be blocked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_price: Option<Price>,
    /// Cash blocked for the pending part until the venue answers: the larger of before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Money>,
    /// Shares blocked until the venue answers, for a delivery sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_quantity: Option<Quantity>,
    /// Of an intraday order: the shares that would open or add to a position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Quantity>,
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
    /// Its trigger price from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_price: Option<Price>,
    /// Its type from now on.
    #[serde(rename = "type")]
    pub order_type: OrderType,
    /// Its validity from now on.
    pub validity: Validity,
    /// The price cash is blocked at from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_price: Option<Price>,
    /// Cash blocked for the pending part from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Money>,
    /// Of an intraday order: the shares that open or add to a position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Quantity>,
    /// Whether the report fitted the order's state.
    pub applied: bool,
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Flag>,
}

/// Cancelling was asked for; it waits for the venue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancellationRequested {
    /// The order.
    pub order_id: OrderId,
    /// What made the back office ask; absent when the account's holder did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_to: Option<DueTo>,
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
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Flag>,
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
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Flag>,
}

/// What is odd about what a venue told, which is recorded and counts all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// A trade's price is outside the day's price band.
    OutsideBand,
    /// It is said to have happened later than it was told, by more than clocks differ.
    InFuture,
    /// It is said to have happened before the order was asked for, by more than clocks differ.
    BeforeRequest,
    /// The account has no such order: its figures are the report's alone.
    UnknownOrder,
}

/// A venue's clock and this ledger's may be so far apart. Each is synchronised to well within a second; what differs by
/// a minute is an error of input, or a clock that stands.
const CLOCKS_DIFFER_MICROS: i64 = 60_000_000;

impl Flag {
    /// What is odd about when something is said to have happened.
    pub fn of_time(at: Timestamp, requested_at: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        if at > now.plus_micros(CLOCKS_DIFFER_MICROS) {
            return Some(Self::InFuture);
        }
        let is_before = |requested: Timestamp| at < requested.plus_micros(-CLOCKS_DIFFER_MICROS);
        requested_at.is_some_and(is_before).then_some(Self::BeforeRequest)
    }
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
    /// Delivery or intraday.
    pub product: Product,
    /// Shares traded.
    pub quantity: Quantity,
    /// At what price.
    pub price: Price,
    /// Price times quantity, rounded half up to the paisa.
    pub value: Money,
    /// Where a delivery sale's shares came from; absent for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Shares>,
    /// For a delivery sale: the part of the value that new orders may use before it settles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usable: Option<Money>,
    /// For an intraday trade: what it closed and what is open after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intraday: Option<IntradayTrade>,
    /// The day cash and shares settle.
    pub settlement_date: Date,
    /// Filled of the order so far, this trade included.
    pub filled: Quantity,
    /// Still pending after this trade.
    pub pending: Quantity,
    /// Cash still blocked for the pending part; absent for a delivery sale, whose pending shares stay blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Money>,
    /// What is odd about it: its price, else when it is said to have traded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Flag>,
    /// Intraday orders whose margin changes, as there is more or less to close; this one only if more of it closes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reblocked: Vec<Reblocked>,
}

/// An intraday order whose margin changes with the position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reblocked {
    /// The order.
    pub order_id: OrderId,
    /// Its shares that open or add to a position from now on.
    pub opening: Quantity,
    /// Cash blocked for them from now on.
    pub blocked: Money,
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
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Flag>,
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
    /// The trade was imported as history, which counts its shares already.
    Imported,
    /// The exchange had cancelled the trade before it was told: it waits for nobody.
    Cancelled,
}

/// The exchange cancelled a trade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TradeCancelled {
    /// The order it had filled, or had named.
    pub order_id: OrderId,
    /// The exchange's number of the trade.
    pub trade_id: TradeId,
    /// The IST date of the trade.
    pub trade_date: Date,
    /// The venue's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// What of it is undone; absent when no such trade is known, which is recorded without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<Undone>,
    /// The entry that recorded it, if it had waited for assignment, which ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmatched: Option<u64>,
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Flag>,
}

/// What cancelling a trade undoes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undone {
    /// Where it had traded.
    pub exchange: Exchange,
    /// What.
    pub instrument: InstrumentId,
    /// Bought or sold.
    pub side: Side,
    /// Delivery or intraday.
    pub product: Product,
    /// When it had traded.
    pub executed_at: Timestamp,
    /// Shares.
    pub quantity: Quantity,
    /// Price times quantity, as it was recorded.
    pub value: Money,
    /// When it was to settle, or has settled.
    pub settlement_date: Date,
    /// Filled of the order afterwards; what is undone will not trade.
    pub filled: Quantity,
    /// For delivery: shares moved back, signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<Shares>,
    /// For delivery: the part of a receivable that new orders can use no longer, be it this sale's or that of the sale of these shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usable: Option<Money>,
    /// For an intraday trade: it is undone as by the opposite trade at its price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intraday: Option<IntradayTrade>,
    /// Intraday orders whose margin changes, as there is more or less to close.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reblocked: Vec<Reblocked>,
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
    /// How the price is set.
    #[serde(rename = "type")]
    pub order_type: OrderType,
    /// The limit, for limit and SL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// The price from which on it stands, for SL and SL-M.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_price: Option<Price>,
    /// The part of the quantity that the market is shown at a time: at least a tenth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclosed_quantity: Option<Quantity>,
    /// Delivery or intraday.
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
    /// Its new trigger price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_price: Option<Price>,
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
    /// Given by the back office alone: why it asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_to: Option<DueTo>,
}

/// What a venue says about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// It stands.
    Accepted,
    /// It, or what was asked of it, is refused.
    Rejected,
    /// The market reached its trigger price.
    Triggered,
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

/// The exchange cancels a trade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelTrade {
    /// The order it filled, or named.
    pub order_id: OrderId,
    /// The exchange's number of the trade.
    pub trade_id: TradeId,
    /// The IST date of the trade.
    pub trade_date: Date,
    /// The venue's words, at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// When it was cancelled at the venue.
    pub at: Timestamp,
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
