//! Answers in rows, borrowed from the views while they are locked, or from a past that was folded for the question.
//!
//! Values, averages and unrealised gains are computed here, from quantities and costs of the account
//! and prices of the market; a body depends on no clock. Rounding: values and averages half up.

mod account;
mod funds;
mod market;
mod orders;
mod pnl;
mod portfolio;
mod portfolio_json;
mod trades;

use crate::{
    Error,
    account::Account,
    navs::Navs,
    prices::Prices,
    store::Views,
    view::{Stop, View},
};
use domain::ids::AccountId;

pub use account::{
    AccountAnswer, BlockedFor, CashAnswer, DueAmount, HoldingAnswer, PositionAnswer, ReceivableAmount, Shortfall,
};
pub use funds::{FundOrderAnswer, FundOrderFilter};
pub use market::{
    CalendarAnswer, DayFilter, InstrumentAnswer, InstrumentFilter, MarketReading, NavAnswer, PriceAnswer, SchemeAnswer,
    SchemeFilter,
};
pub use orders::{OrderAnswer, OrderFilter, WaitingAnswer};
pub use pnl::{PnlAnswer, PnlRow};
pub use portfolio::{FundRow, PortfolioAnswer, PortfolioRow, ShareRow, Totals};
pub use trades::{TradeAnswer, TradeFilter};

/// One account at one moment, with the prices of that moment.
///
/// Every answer is `Error::Stopped` when a view that it needs stopped in the account's partition.
pub struct Reading<'a> {
    account: &'a AccountId,
    rows: &'a Account,
    prices: &'a Prices,
    navs: &'a Navs,
    stops: Vec<Stop>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(
        account: &'a AccountId,
        rows: &'a Account,
        prices: &'a Prices,
        navs: &'a Navs,
        stops: Vec<Stop>,
    ) -> Self {
        Self { account, rows, prices, navs, stops }
    }

    /// Whose.
    pub fn id(&self) -> &'a AccountId {
        self.account
    }

    fn need(&self, views: &[View]) -> Result<(), Error> {
        views.iter().try_for_each(|view| Views::check(&self.stops, *view))
    }
}
