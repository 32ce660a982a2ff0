//! Orders as they stand, the newest first; reads no history, which is in the log.

use super::{LeavingList, Reading};
use crate::{Error, List, Page, orders::OrderRow, page::after_number, view::View};
use domain::{
    ids::{InstrumentId, OrderId},
    money::{Money, Percent, Price, Quantity, Rounding},
    order::{OrderType, Product, Side, Status, Validity, Waiting},
    time::{Date, Timestamp},
};
use serde::Serialize;

/// Which orders are asked for; what is absent does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct OrderFilter {
    /// Where they stand.
    pub status: Option<Status>,
    /// What they trade.
    pub instrument: Option<InstrumentId>,
    /// Requested on this IST date or later.
    pub from: Option<Date>,
    /// Requested on this IST date or earlier.
    pub to: Option<Date>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OrderAnswer<'a> {
    /// Its id.
    pub order_id: OrderId,
    /// Where it stands.
    pub status: Status,
    /// What it trades.
    pub instrument: &'a InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// Shares asked for: filled, pending and cancelled.
    pub quantity: Quantity,
    /// Shares filled.
    pub filled: Quantity,
    /// Shares that may still trade.
    pub pending: Quantity,
    /// Shares that will not trade.
    pub cancelled: Quantity,
    /// How the price is set.
    #[serde(rename = "type")]
    pub order_type: OrderType,
    /// The limit.
    pub price: Option<Price>,
    /// The price from which on it stands, for SL and SL-M.
    pub trigger_price: Option<Price>,
    /// The part of the quantity that the market is shown at a time.
    pub disclosed_quantity: Option<Quantity>,
    /// How far from the last price an order at market may trade.
    pub market_protection: Option<Percent>,
    /// Average price of what is filled, rounded half up.
    pub average_price: Option<Price>,
    /// Delivery or intraday.
    pub product: Product,
    /// Day or immediate.
    pub validity: Validity,
    /// Its session.
    pub session_date: Date,
    /// Cash blocked for a delivery purchase, or an intraday order's margin.
    pub blocked: Money,
    /// Shares blocked for a sale.
    pub blocked_quantity: Quantity,
    /// Modifications asked for.
    pub modifications: u32,
    /// What waits for the venue.
    pub waiting: Option<WaitingAnswer>,
    /// The venue's number.
    pub exchange_order_id: Option<&'a str>,
    /// The client's mark.
    pub tag: Option<&'a str>,
    /// The algorithm that placed it.
    pub algo_id: Option<&'a str>,
    /// The venue's words, when it refused or cancelled.
    pub reason: Option<&'a str>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When something last happened to it.
    pub updated_at: Timestamp,
}

/// What waits for the venue's answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum WaitingAnswer {
    /// A change.
    Modification {
        /// Quantity if granted.
        quantity: Quantity,
        /// Limit if granted.
        price: Option<Price>,
        /// Trigger price if granted.
        trigger_price: Option<Price>,
        /// Type if granted.
        #[serde(rename = "type")]
        order_type: OrderType,
        /// Validity if granted.
        validity: Validity,
    },
    /// A cancellation.
    Cancellation,
}

impl OrderFilter {
    pub(super) fn matches(&self, row: &OrderRow) -> bool {
        let date = row.requested_at.date();
        self.status.is_none_or(|status| status == row.status)
            && self.instrument.is_none_or(|instrument| instrument == row.instrument)
            && self.from.is_none_or(|from| from <= date)
            && self.to.is_none_or(|to| date <= to)
    }
}

impl<'a> Reading<'a> {
    /// Orders, the newest first.
    pub fn orders(&self, filter: &OrderFilter, page: &Page<'_>) -> Result<List<OrderAnswer<'a>>, Error> {
        self.need(&[View::Orders])?;
        let found = self.order_rows(page)?.filter(|row| filter.matches(row)).map(|row| self.answer(row));
        let list = List::take(found, page.limit(), |order| after_number(order.order_id.seq));
        Ok(list.or_on(|| self.goes_on(LeavingList::Orders)))
    }

    /// One order.
    pub fn order(&self, id: &OrderId) -> Result<Option<OrderAnswer<'a>>, Error> {
        self.need(&[View::Orders])?;
        let row = if id.account == *self.account { self.order_row(id.seq) } else { None };
        Ok(row.map(|row| self.answer(row)))
    }

    pub(crate) fn order_row(&self, seq: u64) -> Option<&'a OrderRow> {
        let older = || {
            let orders = &self.older?.orders;
            orders.binary_search_by_key(&seq, |row| row.seq).ok().map(|at| &orders[at])
        };
        self.rows.orders.order(seq).or_else(older)
    }

    fn answer(&self, row: &'a OrderRow) -> OrderAnswer<'a> {
        OrderAnswer {
            order_id: OrderId { account: *self.account, seq: row.seq },
            status: row.status,
            instrument: &row.instrument,
            side: row.side,
            quantity: row.quantity,
            filled: row.filled,
            pending: row.pending(),
            cancelled: row.cancelled(),
            order_type: row.order_type,
            price: row.price,
            trigger_price: row.trigger_price,
            disclosed_quantity: row.disclosed_quantity,
            market_protection: row.market_protection,
            average_price: row.filled_value.per_share(row.filled, Rounding::HalfUp),
            product: row.product,
            validity: row.validity,
            session_date: row.session_date,
            blocked: row.blocked,
            blocked_quantity: row.blocked_quantity,
            modifications: row.modifications,
            waiting: row.waiting.as_ref().map(|waiting| match waiting {
                Waiting::Cancellation => WaitingAnswer::Cancellation,
                Waiting::Modification { quantity, price, trigger_price, order_type, validity, .. } => {
                    WaitingAnswer::Modification {
                        quantity: *quantity,
                        price: *price,
                        trigger_price: *trigger_price,
                        order_type: *order_type,
                        validity: *validity,
                    }
                }
            }),
            exchange_order_id: row.exchange_order_id.as_deref(),
            tag: row.tag.as_deref(),
            algo_id: row.algo_id.as_deref(),
            reason: row.reason.as_deref(),
            requested_at: row.requested_at,
            updated_at: row.updated_at,
        }
    }
}
