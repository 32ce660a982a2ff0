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
    Error, Page,
    account::Account,
    left::Left,
    navs::Navs,
    older::{List as LeavingList, Listing, Older, newest_first},
    orders::{FundOrderRow, OrderRow},
    page::after_number,
    prices::Prices,
    store::Views,
    trades::TradeRow,
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
    pub(crate) rows: &'a Account,
    /// Rows that have left, as far as they were asked for.
    pub(crate) older: Option<&'a Older>,
    prices: &'a Prices,
    navs: &'a Navs,
    pub(crate) stops: Vec<Stop>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(
        account: &'a AccountId,
        rows: &'a Account,
        prices: &'a Prices,
        navs: &'a Navs,
        stops: Vec<Stop>,
    ) -> Self {
        Self { account, rows, older: None, prices, navs, stops }
    }

    /// Whose.
    pub fn id(&self) -> &'a AccountId {
        self.account
    }

    fn need(&self, views: &[View]) -> Result<(), Error> {
        views.iter().try_for_each(|view| Views::check(&self.stops, *view))
    }

    /// With rows that have left.
    pub fn with<'b>(&self, older: &'b Older) -> Reading<'b>
    where
        'a: 'b,
    {
        Reading { older: Some(older), stops: self.stops.clone(), ..*self }
    }

    pub(crate) fn left(&self, list: LeavingList) -> &'a Left {
        match list {
            LeavingList::Orders => self.rows.orders.left(),
            LeavingList::Funds => self.rows.orders.left_funds(),
            LeavingList::Trades => self.rows.trades.left(),
        }
    }

    /// From which `seq` on every row of a list is at hand: in memory, or among the older ones.
    fn from(&self, list: LeavingList) -> u64 {
        let left = self.left(list);
        match self.older {
            _ if left.count() == 0 => 0,
            Some(older) => older.from,
            None => left.upto() + 1,
        }
    }

    /// Where a page ends, if it is not by its own last row: before the rows that are not at hand.
    fn goes_on(&self, list: LeavingList) -> Option<String> {
        Some(self.from(list)).filter(|from| *from > 1).map(after_number)
    }

    fn order_rows(&self, page: &Page<'_>) -> Result<impl Iterator<Item = &'a OrderRow> + use<'a>, Error> {
        let older = self.older.map_or(&[][..], |older| &older.orders);
        let seqs = self.from(LeavingList::Orders)..page.number()?.unwrap_or(u64::MAX);
        Ok(newest_first(self.rows.orders.orders(), older, seqs, |row| row.seq))
    }

    fn fund_rows(&self, page: &Page<'_>) -> Result<impl Iterator<Item = &'a FundOrderRow> + use<'a>, Error> {
        let older = self.older.map_or(&[][..], |older| &older.funds);
        let seqs = self.from(LeavingList::Funds)..page.number()?.unwrap_or(u64::MAX);
        Ok(newest_first(self.rows.orders.fund_orders(), older, seqs, |row| row.seq))
    }

    fn trade_rows(&self, page: &Page<'_>) -> Result<impl Iterator<Item = &'a TradeRow> + use<'a>, Error> {
        let older = self.older.map_or(&[][..], |older| &older.trades);
        let seqs = self.from(LeavingList::Trades)..page.number()?.unwrap_or(u64::MAX);
        Ok(newest_first(self.rows.trades.trades(), older, seqs, |row| row.seq))
    }

    /// Whether everything that is asked for is at hand.
    pub(crate) fn has(&self, listing: &Listing, page: &Page<'_>) -> Result<bool, Error> {
        let limit = page.limit();
        let found = match listing {
            Listing::Order(seq) => return Ok(self.order_row(*seq).is_some()),
            Listing::Orders(filter) => self.order_rows(page)?.filter(|row| filter.matches(row)).take(limit).count(),
            Listing::FundOrders(filter) => self.fund_rows(page)?.filter(|row| filter.matches(row)).take(limit).count(),
            Listing::Trades(filter) => {
                self.trade_rows(page)?.filter(|row| filter.matches(self.account, row)).take(limit).count()
            }
        };
        Ok(found == limit || self.from(listing.list()) <= 1)
    }
}
