//! Trades, the newest first; knows no order beyond its id.

use super::{LeavingList, Reading};
use crate::{
    Error, List, Page,
    page::after_number,
    trades::{Origin, TradeRow, kind_name, unmatched_name},
    view::View,
};
use domain::{
    ids::{AccountId, Exchange, InstrumentId, OrderId},
    money::{Money, Price, Quantity},
    order::{Flag, Product, Side},
    time::{Date, Timestamp},
};
use serde::Serialize;

/// Which trades are asked for; what is absent does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct TradeFilter {
    /// What traded.
    pub instrument: Option<InstrumentId>,
    /// Of this order.
    pub order: Option<OrderId>,
    /// Traded on this date or later.
    pub from: Option<Date>,
    /// Traded on this date or earlier.
    pub to: Option<Date>,
    /// Only those that fit no order yet.
    pub unmatched: bool,
}

impl TradeFilter {
    pub(super) fn matches(&self, account: &AccountId, row: &TradeRow) -> bool {
        let of = |order: OrderId| match &row.origin {
            Origin::Order(seq) => order == OrderId { account: *account, seq: *seq },
            Origin::Unmatched(named, _) => order == **named,
            Origin::Imported(_) => false,
        };
        self.instrument.is_none_or(|instrument| row.instrument == Some(instrument))
            && self.order.is_none_or(of)
            && self.from.is_none_or(|from| from <= row.trade_date)
            && self.to.is_none_or(|to| row.trade_date <= to)
            && (!self.unmatched || (matches!(row.origin, Origin::Unmatched(..)) && !row.cancelled))
    }
}

/// A trade.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TradeAnswer<'a> {
    /// The account's entry that recorded it; what an operator assigns an unmatched trade by.
    pub seq: u64,
    /// The exchange's number, where known.
    pub trade_id: Option<&'a str>,
    /// The order it filled, or named if it is unmatched; null for imported trades.
    pub order_id: Option<OrderId>,
    /// `order`, `imported` or `unmatched`.
    pub origin: &'static str,
    /// For imported trades purchase, sale, bonus or split; for unmatched ones why they fit no order.
    pub detail: Option<&'static str>,
    /// What traded, where known.
    pub instrument: Option<&'a InstrumentId>,
    /// Bought or sold, where known.
    pub side: Option<Side>,
    /// Where it traded, where known.
    pub exchange: Option<&'a Exchange>,
    /// Shares.
    pub quantity: Quantity,
    /// At what price, where known.
    pub price: Option<Price>,
    /// Price times quantity, rounded half up.
    pub value: Option<Money>,
    /// When it was executed.
    pub executed_at: Timestamp,
    /// The IST date of that.
    pub trade_date: Date,
    /// When it settles; null for imported and unmatched trades.
    pub settlement_date: Option<Date>,
    /// Delivery or intraday; null for unmatched trades.
    pub product: Option<Product>,
    /// What is odd about it: `outside_band` when its price is outside the day's band.
    pub flag: Option<Flag>,
    /// Whether the exchange has cancelled it since.
    pub cancelled: bool,
}

impl<'a> Reading<'a> {
    /// Trades, the newest first.
    pub fn trades(&self, filter: &TradeFilter, page: &Page<'_>) -> Result<List<TradeAnswer<'a>>, Error> {
        self.need(&[View::Trades])?;
        let rows = self.trade_rows(page)?.filter(|row| filter.matches(self.account, row));
        let list = List::take(rows.map(|row| self.trade(row)), page.limit(), |trade| after_number(trade.seq));
        Ok(list.or_on(|| self.goes_on(LeavingList::Trades)))
    }

    fn trade(&self, row: &'a TradeRow) -> TradeAnswer<'a> {
        let (origin, order_id, detail) = match &row.origin {
            Origin::Order(seq) => ("order", Some(OrderId { account: *self.account, seq: *seq }), None),
            Origin::Imported(kind) => ("imported", None, Some(kind_name(*kind))),
            Origin::Unmatched(order, reason) => ("unmatched", Some(**order), Some(unmatched_name(*reason))),
        };
        TradeAnswer {
            seq: row.seq,
            trade_id: row.trade_id.as_deref(),
            order_id,
            origin,
            detail,
            instrument: row.instrument.as_ref(),
            side: row.side,
            exchange: row.exchange.as_ref(),
            quantity: row.quantity,
            price: row.price,
            value: row.value,
            executed_at: row.executed_at,
            trade_date: row.trade_date,
            settlement_date: row.settlement_date,
            product: row.product,
            flag: row.flag,
            cancelled: row.cancelled,
        }
    }
}
