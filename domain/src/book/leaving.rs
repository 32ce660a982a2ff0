//! What leaves the book, and when: orders, fund orders and known trades, each some days after it is settled.
//!
//! Of trades that a venue told, the days between the first and the last that left are all that is kept: two dates,
//! however many they were.
//!
//! Decided by what is recorded alone, so that every fold of the log forgets the same with the same entry. A trade
//! that waits for an operator never leaves; one of an order leaves with it.

use super::{Book, TradeKey};
use crate::{ids::TradeId, order::leaves_on, time::Date};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What is closed, by the day from which it may leave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Leaving {
    orders: BTreeSet<(Date, u64)>,
    fund_orders: BTreeSet<(Date, u64)>,
    /// Trades that no order in the book takes with it.
    trades: BTreeMap<Date, Vec<TradeKey>>,
}

impl Leaving {
    /// An order is closed; whether it may leave then is looked at then, as a late fill settles later.
    pub(super) fn order(&mut self, seq: u64, date: Date) {
        self.orders.insert((date, seq));
    }
    /// A fund order was answered on that day, and pays later if it is a redemption.
    pub(super) fn fund_order(&mut self, seq: u64, day: Date, pays_on: Option<Date>) {
        self.fund_orders.insert((leaves_on(day, pays_on), seq));
    }
    /// A trade became known, or was assigned, on that day.
    pub(super) fn trade(&mut self, key: TradeKey, day: Date) {
        self.trades.entry(leaves_on(day, None)).or_default().push(key);
    }
}

/// Forgets what may leave on this day.
pub(super) fn leave(book: &mut Book, today: Date) {
    let mut gone = HashSet::new();
    while let Some((_, seq)) = pop(&mut book.leaving.orders, today) {
        let Some(order) = book.orders.get(&seq) else { continue };
        let date = order.leaves_on();
        if date > today {
            book.leaving.order(seq, date);
        } else {
            book.orders.remove(&seq);
            gone.insert(seq);
        }
    }
    while let Some((_, seq)) = pop(&mut book.leaving.fund_orders, today) {
        book.fund_orders.remove(&seq);
    }
    let mut lone = HashSet::new();
    while let Some(day) = book.leaving.trades.first_entry().filter(|day| *day.key() <= today) {
        lone.extend(day.remove());
    }
    if gone.is_empty() && lone.is_empty() {
        return;
    }
    // An imported trade stays while an order of its day does, as the venue may tell it as that order's, and while one
    // of its number waits, as an operator may assign it.
    let sessions: HashSet<Date> = book.orders.values().map(|order| order.session_date).collect();
    let waiting: HashSet<TradeKey> = book.unmatched.values().map(super::UnmatchedFill::key).collect();
    let numbers: HashSet<(Date, TradeId)> = waiting.iter().map(|key| (key.1, key.2)).collect();
    let (orders, leaving, forgotten) = (&book.orders, &mut book.leaving, &mut book.forgotten);
    book.trades.retain(|key, content| {
        let leaves = match content.order {
            Some(seq) if orders.contains_key(&seq) => false,
            Some(seq) => gone.contains(&seq) || lone.contains(key),
            None => lone.contains(key),
        };
        if !leaves || waiting.contains(key) {
            return true;
        }
        if content.imported && (sessions.contains(&key.1) || numbers.contains(&(key.1, key.2))) {
            leaving.trades.entry(today.next()).or_default().push(*key);
            return true;
        }
        if content.order.is_some() {
            let (first, last) = forgotten.unwrap_or((key.1, key.1));
            *forgotten = Some((first.min(key.1), last.max(key.1)));
        }
        false
    });
}

/// The first that may leave on this day.
fn pop(closed: &mut BTreeSet<(Date, u64)>, today: Date) -> Option<(Date, u64)> {
    closed.first().is_some_and(|(date, _)| *date <= today).then(|| closed.pop_first()).flatten()
}
