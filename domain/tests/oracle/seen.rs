//! Everything compared, in one shape for the book and for the model.

use crate::{
    model::{Model, cash::Due, orders::Waiting, terms::Terms},
    support::*,
};
use domain::{book::Book, order::Product};
use std::collections::BTreeMap;

#[derive(Debug, PartialEq)]
pub struct Seen {
    settled: i128,
    available: i128,
    withdrawable: i128,
    blocked: i128,
    due: BTreeMap<i64, (i128, i128, i128)>,
    /// Bought today, T1, settled, blocked.
    shares: [i128; 4],
    t1: BTreeMap<i64, i128>,
    /// By session: quantity, value, margin.
    intraday: BTreeMap<i64, (i128, i128, i128)>,
    orders: BTreeMap<u64, SeenOrder>,
    /// Held and blocked.
    units: Option<(i128, i128)>,
    fund_orders: BTreeMap<u64, &'static str>,
    unmatched: Vec<u64>,
}

#[derive(Debug, PartialEq)]
struct SeenOrder {
    /// Quantity, filled, pending, cancelled.
    shares: [i128; 4],
    status: &'static str,
    blocked: i128,
    blocked_shares: i128,
    /// What an intraday order is counted on to open or add to, unless a change waits.
    opening: Option<i128>,
    terms: Terms,
    is_waiting: bool,
    session: i64,
}

pub fn of_book(book: &Book) -> Seen {
    let position = book.positions.get(&instrument()).cloned().unwrap_or_default();
    let shares = position.shares;
    let due = book.cash.due.iter().map(|(date, due)| {
        let amounts = [due.receivable, due.usable, due.payable].map(|amount| i128::from(amount.smallest()));
        (i64::from(date.days_since_epoch()), (amounts[0], amounts[1], amounts[2]))
    });
    let intraday = book.intraday.iter().map(|((session, _), standing)| {
        let position = standing.position;
        let money = [position.value, position.margin].map(|amount| i128::from(amount.smallest()));
        (i64::from(session.days_since_epoch()), (i128::from(position.quantity.shares()), money[0], money[1]))
    });
    let orders = book.orders.iter().map(|(seq, order)| {
        let quantities = [order.quantity, order.filled, order.pending(), order.cancelled()];
        let is_waiting = order.waiting.is_some();
        let seen = SeenOrder {
            shares: quantities.map(|shares| shares.shares().into()),
            status: order.status.name(),
            blocked: order.blocked.smallest().into(),
            blocked_shares: order.blocked_quantity.shares().into(),
            opening: (order.product == Product::Mis && !is_waiting && !order.status.is_final() && !order.squares_off)
                .then(|| order.opening.shares().into()),
            terms: Terms {
                kind: order.order_type,
                quantity: order.quantity.shares().into(),
                limit: order.price.map(|price| price.smallest().into()),
                trigger: order.trigger_price.map(|price| price.smallest().into()),
                validity: order.validity,
            },
            is_waiting,
            session: order.session_date.days_since_epoch().into(),
        };
        (*seq, seen)
    });
    let folio = book.folios.get(&(scheme(), folio()));
    Seen {
        settled: book.cash.settled.smallest().into(),
        available: book.cash.available().smallest().into(),
        withdrawable: book.cash.withdrawable().smallest().into(),
        blocked: book.cash.blocked.smallest().into(),
        due: due.filter(|(_, amounts)| *amounts != (0, 0, 0)).collect(),
        shares: [shares.bought_today, shares.t1, shares.settled, position.blocked].map(|shares| shares.shares().into()),
        t1: position.t1.iter().map(|(date, lot)| (date.days_since_epoch().into(), lot.shares().into())).collect(),
        intraday: intraday.filter(|(_, position)| *position != (0, 0, 0)).collect(),
        orders: orders.collect(),
        units: folio.map(|folio| (folio.units.smallest().into(), folio.blocked.smallest().into())),
        fund_orders: book.fund_orders.iter().map(|(seq, order)| (*seq, order.status.name())).collect(),
        unmatched: book.unmatched.keys().copied().collect(),
    }
}

pub fn of_model(model: &Model) -> Seen {
    let due = model.cash.due.iter();
    let due = due.map(|(date, Due { receivable, usable, payable })| (*date, (*receivable, *usable, *payable)));
    let intraday = model.intraday.iter().map(|(session, open)| (*session, (open.quantity, open.value, open.margin())));
    let orders = model.orders.iter().map(|(seq, order)| {
        let pending = order.pending();
        let is_waiting = order.waiting != Waiting::Nothing;
        let seen = SeenOrder {
            shares: [order.terms.quantity, order.filled, pending, order.terms.quantity - order.filled - pending],
            status: order.status,
            blocked: order.blocked,
            blocked_shares: order.blocked_shares,
            opening: (order.is_intraday && !is_waiting && !order.is_over() && !order.squares_off)
                .then(|| pending - order.closing),
            terms: order.terms,
            is_waiting,
            session: order.session,
        };
        (*seq, seen)
    });
    let delivery = &model.delivery;
    Seen {
        settled: model.cash.settled,
        available: model.available(),
        withdrawable: model.withdrawable(),
        blocked: model.blocked(),
        due: due.filter(|(_, amounts)| *amounts != (0, 0, 0)).collect(),
        shares: [delivery.today, delivery.t1_shares(), delivery.settled, model.blocked_shares()],
        t1: delivery.t1.iter().map(|(date, lot)| (*date, *lot)).collect(),
        intraday: intraday.collect(),
        orders: orders.collect(),
        units: model.funds.units.map(|units| (units, model.funds.blocked_units())),
        fund_orders: model.funds.orders.iter().map(|(seq, order)| (*seq, order.status)).collect(),
        unmatched: model.trades.unmatched().collect(),
    }
}
