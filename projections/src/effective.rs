//! An account as the world had it at a time: what had happened by then among what is recorded, whenever it was recorded.
//!
//! Positions, folios and orders take what had happened in the order it was recorded: movements add up
//! alike in any order, and an order's events carry its state after. Cash postings, lots and gains take
//! it by (effective time, offset), since a sale takes the lots that were there when it happened.
//! Knows neither log nor market.

use crate::{
    account::{Account, words},
    journal::Journal,
    view::View,
};
use domain::{
    event::{Event, EventData},
    time::Timestamp,
};
use event_schemas::entry::Happened;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The most postings sorted for one answer, some 100 MB: far more than a busy account has in a year.
const POSTINGS_MAX: usize = 262_144;

/// Why a question in effective time ends without rows.
pub(crate) enum Ended {
    /// A view cannot fold this.
    Stopped(View, Box<str>),
    /// More postings than are sorted for one answer.
    TooManyPostings(usize),
}

/// The rows of one account while its entries are read in the order of the log.
pub(crate) struct Effective {
    at: Timestamp,
    rows: Account,
    postings: Vec<Event>,
}

impl Effective {
    /// Nothing has happened yet.
    pub(crate) fn new(at: Timestamp) -> Self {
        Self { at, rows: Account::default(), postings: Vec::new() }
    }

    /// Takes what had happened of one entry.
    pub(crate) fn take(&mut self, offset: u64, bytes: &[u8], entry: &Happened) -> Result<(), Ended> {
        let rows = &mut self.rows;
        let mut happened = entry.events.iter().filter(|event| event.effective_at <= self.at).peekable();
        if happened.peek().is_some() {
            rows.journal.fold(offset, &Journal::digest(bytes));
        }
        for event in happened {
            guard(View::Orders, || rows.orders.fold(entry, event))?;
            guard(View::Trades, || rows.trades.fold(entry, event))?;
            guard(View::Portfolio, || rows.portfolio.add(event))?;
            guard(View::Cash, || rows.cash.hold(event))?;
            if is_posting(&event.data) {
                if self.postings.len() == POSTINGS_MAX {
                    return Err(Ended::TooManyPostings(POSTINGS_MAX));
                }
                self.postings.push(event.clone());
            }
        }
        Ok(())
    }

    /// The rows when all entries are taken.
    pub(crate) fn into_rows(mut self) -> Result<Account, Ended> {
        // Stable: what happened at one time stays in the order it was recorded.
        self.postings.sort_by_key(|event| event.effective_at);
        for event in &self.postings {
            guard(View::Pnl, || self.rows.pnl.fold(event))?;
            guard(View::Cash, || self.rows.cash.post_at_its_time(event))?;
        }
        Ok(self.rows)
    }
}

fn guard(view: View, fold: impl FnOnce()) -> Result<(), Ended> {
    catch_unwind(AssertUnwindSafe(fold)).map_err(|panic| Ended::Stopped(view, words(panic.as_ref())))
}

/// Whether cash, lots or gains depend on when it happened.
fn is_posting(data: &EventData) -> bool {
    match data {
        EventData::CashDeposited(_)
        | EventData::CashWithdrawn(_)
        | EventData::CashPosted(_)
        | EventData::OrderFilled(_)
        | EventData::FillAssigned(_)
        | EventData::TradeCancelled(_)
        | EventData::PositionConverted(_)
        | EventData::DayNetted(_)
        | EventData::Settled(_)
        | EventData::FundUnitsAllotted(_)
        | EventData::FundUnitsRedeemed(_)
        | EventData::TradeImported(_)
        | EventData::UnitsImported(_) => true,
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
        | EventData::FillUnmatched(_)
        | EventData::PositionChanged(_)
        | EventData::FundPurchaseRequested(_)
        | EventData::FundRedemptionRequested(_)
        | EventData::FundOrderSent(_)
        | EventData::FundOrderRejected(_)
        | EventData::FolioChanged(_)
        | EventData::CommandRefused(_) => false,
    }
}
