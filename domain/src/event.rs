//! Everything that can have happened to an account, as one list; knows neither envelope nor JSON.
//!
//! Every name here is a promise to past records: a change of shape is a new version, read through
//! the upcasters of `event-schemas`.

use crate::{account, cash, fund, history, intraday, order, position, rejection::CommandRefused, time::Timestamp};

/// One thing that happened to an account.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When it happened in the world.
    pub effective_at: Timestamp,
    /// What happened.
    pub data: EventData,
}

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident($payload:ty) = $name:literal v $version:literal,)*) => {
        /// What happened.
        #[derive(Clone, Debug, PartialEq)]
        pub enum EventData { $($(#[$doc])* $variant($payload),)* }

        impl EventData {
            /// Name and current version of every event type.
            pub const TYPES: &[(&'static str, u32)] = &[$(($name, $version),)*];
            /// The stored name.
            pub fn type_name(&self) -> &'static str { match self { $(Self::$variant(_) => $name,)* } }
            /// The version written now.
            pub fn version(&self) -> u32 { match self { $(Self::$variant(_) => $version,)* } }
            /// Writes the payload alone.
            ///
            /// # Errors
            /// Whatever the serializer says.
            pub fn serialize_payload<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$variant(payload) => serde::Serialize::serialize(payload, serializer),)* }
            }
            /// Reads the payload of a type in its current version; `None` for a name that is not in the list.
            ///
            /// # Errors
            /// Whatever the deserializer says, within `Some`.
            pub fn deserialize_payload<'de, D: serde::Deserializer<'de>>(name: &str, deserializer: D) -> Option<Result<Self, D::Error>> {
                match name {
                    $($name => Some(<$payload as serde::Deserialize>::deserialize(deserializer).map(Self::$variant)),)*
                    _ => None,
                }
            }
        }
    };
}

events! {
    /// An account was opened.
    AccountOpened(account::Opened) = "account_opened" v 1,
    /// Cash came in.
    CashDeposited(cash::Deposited) = "cash_deposited" v 1,
    /// Cash went out.
    CashWithdrawn(cash::Withdrawn) = "cash_withdrawn" v 1,
    /// Cash moved, or will on its settlement date, because of the event before it.
    CashPosted(cash::Posted) = "cash_posted" v 1,
    /// An order was asked for and its cash or shares are blocked.
    OrderRequested(order::Requested) = "order_requested" v 1,
    /// The venue took the order.
    OrderAccepted(order::Accepted) = "order_accepted" v 1,
    /// The market reached an order's trigger price.
    OrderTriggered(order::Triggered) = "order_triggered" v 1,
    /// The venue refused the order, or a modification or cancellation of it.
    OrderRejected(order::Rejected) = "order_rejected" v 1,
    /// A change was asked for.
    ModificationRequested(order::ModificationRequested) = "modification_requested" v 1,
    /// The venue changed the order.
    OrderModified(order::Modified) = "order_modified" v 1,
    /// Cancelling was asked for.
    CancellationRequested(order::CancellationRequested) = "cancellation_requested" v 1,
    /// The venue cancelled what was pending.
    OrderCancelled(order::Cancelled) = "order_cancelled" v 1,
    /// The session ended with a part pending.
    OrderExpired(order::Expired) = "order_expired" v 1,
    /// A trade filled an order, in part or whole.
    OrderFilled(order::Filled) = "order_filled" v 1,
    /// A trade that fits no order; without effect until it is assigned.
    FillUnmatched(order::FillUnmatched) = "fill_unmatched" v 1,
    /// An operator assigned an unmatched trade to an order.
    FillAssigned(order::FillAssigned) = "fill_assigned" v 1,
    /// The exchange cancelled a trade.
    TradeCancelled(order::TradeCancelled) = "trade_cancelled" v 1,
    /// An intraday position, or a part of it, became delivery.
    PositionConverted(intraday::Converted) = "position_converted" v 1,
    /// Shares moved because of the event before it.
    PositionChanged(position::Changed) = "position_changed" v 1,
    /// A day's purchases and sales were netted.
    DayNetted(position::DayNetted) = "day_netted" v 1,
    /// A settlement date's cash and shares were settled.
    Settled(position::Settled) = "settled" v 1,
    /// A fund purchase was asked for and its amount is blocked.
    FundPurchaseRequested(fund::PurchaseRequested) = "fund_purchase_requested" v 1,
    /// A fund redemption was asked for and its units are blocked.
    FundRedemptionRequested(fund::RedemptionRequested) = "fund_redemption_requested" v 1,
    /// A fund order went to the registrar.
    FundOrderSent(fund::Sent) = "fund_order_sent" v 1,
    /// The registrar allotted units.
    FundUnitsAllotted(fund::Allotted) = "fund_units_allotted" v 1,
    /// The registrar redeemed units.
    FundUnitsRedeemed(fund::Redeemed) = "fund_units_redeemed" v 1,
    /// The registrar refused a fund order.
    FundOrderRejected(fund::Rejected) = "fund_order_rejected" v 1,
    /// Units moved because of the event before it.
    FolioChanged(fund::FolioChanged) = "folio_changed" v 1,
    /// A trade from before this ledger.
    TradeImported(history::TradeImported) = "trade_imported" v 1,
    /// Fund units from before this ledger.
    UnitsImported(history::UnitsImported) = "units_imported" v 1,
    /// A command was refused.
    CommandRefused(CommandRefused) = "command_refused" v 1,
}
