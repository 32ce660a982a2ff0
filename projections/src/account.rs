//! All views of one account side by side, so that an entry finds them with one look-up; each still folds alone.

use crate::{
    cash::CashRow,
    journal::Journal,
    older::Older,
    orders::{FundOrderRow, OrderRow, Orders},
    pnl::Pnl,
    portfolio::Portfolio,
    row::Rows,
    trades::{TradeRow, Trades},
    view::{View, ViewSet},
};
use domain::ids::AccountId;
use event_schemas::entry::Happened;
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The rows of one account in every account view.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Orders and fund orders.
    pub orders: Orders,
    /// Trades.
    pub trades: Trades,
    /// Shares and units.
    pub portfolio: Portfolio,
    /// Lots and gains.
    pub pnl: Pnl,
    /// Rupees.
    pub cash: CashRow,
    /// Entries.
    pub journal: Journal,
}

impl Account {
    /// Folds an entry into each view that has not stopped; names those that panicked, which must stop.
    ///
    /// Rows that leave go into `older`, if somebody wants them.
    pub(crate) fn fold(
        &mut self,
        entry: &Happened,
        stopped: ViewSet,
        mut older: Option<&mut Older>,
    ) -> Vec<(View, Box<str>)> {
        let (account, today) = (&entry.account, entry.recorded_at.date());
        let mut panicked = Vec::new();
        let mut fold = |view: View, fold: &mut dyn FnMut()| {
            if !stopped.contains(view)
                && let Err(panic) = catch_unwind(AssertUnwindSafe(fold))
            {
                panicked.push((view, words(panic.as_ref())));
            }
        };
        let events = &entry.events;
        fold(View::Orders, &mut || {
            events.iter().for_each(|event| self.orders.fold(entry, event));
            self.orders.leave(account, today, older.as_deref_mut());
        });
        fold(View::Trades, &mut || {
            events.iter().for_each(|event| self.trades.fold(entry, event));
            self.trades.leave(account, today, older.as_deref_mut());
        });
        fold(View::Portfolio, &mut || events.iter().for_each(|event| self.portfolio.fold(event)));
        fold(View::Pnl, &mut || events.iter().for_each(|event| self.pnl.fold(event)));
        fold(View::Cash, &mut || events.iter().for_each(|event| self.cash.fold(event)));
        panicked
    }

    /// The same with its lists again; its lots and blocks are in place.
    pub(crate) fn with_rows(self, orders: Vec<OrderRow>, funds: Vec<FundOrderRow>, trades: Vec<TradeRow>) -> Self {
        Self { orders: self.orders.with_rows(orders, funds), trades: self.trades.with_rows(trades), ..self }
    }

    /// The canonical rows of one account view.
    pub(crate) fn write(&self, view: View, account: &AccountId, rows: &mut Rows) {
        match view {
            View::Orders => self.orders.write(account, rows),
            View::Trades => self.trades.write(account, rows),
            View::Portfolio => self.portfolio.write(account, rows),
            View::Pnl => self.pnl.write(account, rows),
            View::Cash => self.cash.write(account, rows),
            View::Journal => self.journal.write(account, rows),
            View::Instruments | View::Prices | View::Navs => {}
        }
    }
}

/// What a panic said.
pub(crate) fn words(panic: &(dyn std::any::Any + Send)) -> Box<str> {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("folding panicked: {}", said.unwrap_or("without words")).into()
}
