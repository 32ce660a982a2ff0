//! Every event as balanced double entry, so that a whole book exports to plain-text accounting and sums to zero.

use crate::{
    cash::Reason,
    event::{Event, EventData},
    ids::{Folio, InstrumentId, SchemeCode},
    money::Money,
};

/// Where an amount is posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ledger {
    /// The account's settled cash.
    Cash,
    /// Cash that comes on a settlement date.
    Receivable,
    /// Cash that goes on a settlement date; below zero while it is owed.
    Payable,
    /// The account's shares.
    Shares(InstrumentId),
    /// The account's fund units.
    Units(SchemeCode, Folio),
    /// The exchange: the other side of trades.
    Exchange,
    /// The registrar: the other side of fund orders.
    Registrar,
    /// The world outside: deposits, withdrawals and imported history.
    External,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Commodity {
    /// Paise.
    Rupees,
    /// Shares of an instrument.
    Shares(InstrumentId),
    /// 1/10,000 units of a scheme.
    Units(SchemeCode),
}

/// One side of a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Where.
    pub ledger: Ledger,
    /// What.
    pub commodity: Commodity,
    /// How much, in the commodity's smallest unit; positive is more of it.
    pub amount: i64,
}

/// The postings of an event; for each commodity they sum to zero. Most events post nothing, as the
/// movements they cause are events of their own.
pub fn postings(event: &Event) -> Vec<Posting> {
    match &event.data {
        EventData::CashDeposited(deposited) => rupees(Ledger::Cash, Ledger::External, deposited.amount),
        EventData::CashWithdrawn(withdrawn) => rupees(Ledger::External, Ledger::Cash, withdrawn.amount),
        EventData::CashPosted(posted) => {
            let other = match posted.reason {
                Reason::Trade | Reason::Conversion | Reason::TradeCancelled => Ledger::Exchange,
                Reason::FundPurchase | Reason::FundRefund | Reason::FundRedemption => Ledger::Registrar,
                // An import's cash leg pays for what came in from outside, and outside pays it back.
                Reason::Import | Reason::External => Ledger::External,
            };
            let own = match posted.settlement_date {
                None => Ledger::Cash,
                // Taken back from where it was posted.
                Some(_) if posted.reason == Reason::TradeCancelled && posted.amount.is_negative() => Ledger::Receivable,
                Some(_) if posted.reason == Reason::TradeCancelled => Ledger::Payable,
                Some(_) if posted.amount.is_negative() => Ledger::Payable,
                Some(_) => Ledger::Receivable,
            };
            rupees(own, other, posted.amount)
        }
        EventData::Settled(settled) => {
            let mut postings = rupees(Ledger::Cash, Ledger::Receivable, settled.received);
            postings.extend(rupees(Ledger::Payable, Ledger::Cash, settled.paid));
            postings
        }
        EventData::PositionChanged(changed) => {
            let commodity = Commodity::Shares(changed.instrument);
            pair(Ledger::Shares(changed.instrument), Ledger::Exchange, commodity, changed.moved.total().shares())
        }
        EventData::FolioChanged(changed) => {
            let own = Ledger::Units(changed.scheme, changed.folio);
            pair(own, Ledger::Registrar, Commodity::Units(changed.scheme), changed.moved.smallest())
        }
        EventData::AccountOpened(_)
        | EventData::OrderRequested(_)
        | EventData::OrderAccepted(_)
        | EventData::OrderTriggered(_)
        | EventData::OrderRejected(_)
        | EventData::ModificationRequested(_)
        | EventData::OrderModified(_)
        | EventData::CancellationRequested(_)
        | EventData::OrderCancelled(_)
        | EventData::OrderExpired(_)
        | EventData::OrderFilled(_)
        | EventData::FillUnmatched(_)
        | EventData::FillAssigned(_)
        | EventData::TradeCancelled(_)
        | EventData::PositionConverted(_)
        | EventData::DayNetted(_)
        | EventData::FundPurchaseRequested(_)
        | EventData::FundRedemptionRequested(_)
        | EventData::FundOrderSent(_)
        | EventData::FundUnitsAllotted(_)
        | EventData::FundUnitsRedeemed(_)
        | EventData::FundOrderRejected(_)
        | EventData::TradeImported(_)
        | EventData::UnitsImported(_)
        | EventData::CommandRefused(_) => Vec::new(),
    }
}

fn rupees(into: Ledger, out_of: Ledger, amount: Money) -> Vec<Posting> {
    pair(into, out_of, Commodity::Rupees, amount.smallest())
}

fn pair(into: Ledger, out_of: Ledger, commodity: Commodity, amount: i64) -> Vec<Posting> {
    if amount == 0 {
        return Vec::new();
    }
    vec![Posting { ledger: into, commodity, amount }, Posting { ledger: out_of, commodity, amount: -amount }]
}
