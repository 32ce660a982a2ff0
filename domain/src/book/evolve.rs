//! Folding: what an event makes of a book. Decides nothing and never fails; what is recorded happened.

use super::{Book, TradeContent, UnmatchedFill, leaving, trade_key};
use crate::{
    event::{Event, EventData},
    fund::{Asked, FundOrder, Status as FundStatus},
    ids::{Exchange, Folio, InstrumentId, SchemeCode},
    intraday::{Converted, Intraday},
    money::{Money, Quantity, Units},
    order::{FillAssigned, Filled, Order, Product, Reblocked, Requested, Side, TradeCancelled, Unmatched, order_of},
    position::{Day, DayNetted, Reason, Shares},
    time::{Date, Timestamp},
};
use std::collections::BTreeMap;

/// T1 shares by settlement date.
type Lots = BTreeMap<Date, Quantity>;

/// The book after one more entry.
///
/// Takes what was recorded when, because that alone says what has been closed for long enough to leave.
pub fn fold(mut book: Book, seq: u64, recorded_at: Timestamp, events: &[Event]) -> Book {
    book.seq = seq;
    let today = recorded_at.date();
    for event in events {
        apply(&mut book, event, today);
    }
    for standing in book.intraday.values_mut().filter(|standing| standing.last_seq == seq) {
        standing.changed_at = recorded_at;
    }
    leaving::leave(&mut book, today);
    book.intraday.retain(|(date, _), standing| *date >= today || !standing.position.quantity.is_zero());
    book
}

fn apply(book: &mut Book, event: &Event, today: Date) {
    match &event.data {
        EventData::AccountOpened(_) => book.opened = true,
        EventData::CashDeposited(deposited) => book.cash.settled += deposited.amount,
        EventData::CashWithdrawn(withdrawn) => book.cash.settled -= withdrawn.amount,
        EventData::CashPosted(posted) => {
            book.cash.post(posted);
            if let Some(date) = posted.settlement_date {
                book.settlements.insert(date, book.seq);
            }
        }
        EventData::OrderRequested(requested) => request(book, requested, event.effective_at),
        EventData::OrderAccepted(_)
        | EventData::OrderTriggered(_)
        | EventData::OrderRejected(_)
        | EventData::ModificationRequested(_)
        | EventData::OrderModified(_)
        | EventData::CancellationRequested(_)
        | EventData::OrderCancelled(_)
        | EventData::OrderExpired(_) => update(book, &event.data),
        EventData::OrderFilled(filled) => fill(book, filled, event),
        EventData::FillUnmatched(unmatched) => {
            let waiting = UnmatchedFill {
                order: unmatched.order_id.seq,
                trade_id: unmatched.trade_id,
                quantity: unmatched.quantity,
                price: unmatched.price,
                executed_at: event.effective_at,
                instrument: unmatched.instrument,
                side: unmatched.side,
            };
            let imported = book.trades.get(&waiting.key()).is_some_and(|known| known.imported);
            let content = TradeContent {
                order: Some(unmatched.order_id.seq),
                quantity: unmatched.quantity,
                price: Some(unmatched.price),
                executed_at: event.effective_at,
                settlement_date: None,
                assigned: None,
                cancelled: false,
                imported,
                seq: book.seq,
            };
            if unmatched.reason == Unmatched::Cancelled {
                tell_cancelled(book, &waiting);
            }
            book.trades.insert(waiting.key(), content);
            book.unmatched.insert(book.seq, waiting);
        }
        EventData::FillAssigned(assigned) => assign(book, assigned, today, event),
        EventData::TradeCancelled(cancelled) => trade_cancelled(book, cancelled, today, event),
        EventData::PositionConverted(converted) => convert(book, converted),
        // An intraday position is moved by its trades and conversions.
        EventData::PositionChanged(changed) if changed.product == Product::Mis => {}
        EventData::PositionChanged(changed) => {
            let position = book.positions.entry(changed.instrument).or_default();
            position.shares = changed.position;
            position.last_seq = book.seq;
            // Trades draw T1 lots in `fill`, netting and settling move them in their own events; imports are settled at once.
            debug_assert!(changed.reason != Reason::Import || changed.moved.t1.is_zero());
            if position.is_empty() {
                book.positions.remove(&changed.instrument);
            }
        }
        EventData::DayNetted(netted) => net(book, netted),
        EventData::Settled(settled) => {
            book.cash.settle(settled.settlement_date);
            book.settlements.remove(&settled.settlement_date);
            for position in book.positions.values_mut() {
                position.t1.remove(&settled.settlement_date);
                position.netted.retain(|(date, ..), _| *date != settled.settlement_date);
            }
            book.positions.retain(|_, position| !position.is_empty());
        }
        EventData::FundPurchaseRequested(requested) => {
            book.cash.blocked += requested.amount;
            let asked = Asked::Purchase { amount: requested.amount, folio: requested.folio };
            add_fund_order(book, requested.fund_order_id.seq, requested.scheme, asked, event.effective_at);
        }
        EventData::FundRedemptionRequested(requested) => {
            block_units(book, requested.scheme, requested.folio, requested.blocked);
            let asked =
                Asked::Redemption { folio: requested.folio, redeem: requested.redeem, blocked: requested.blocked };
            add_fund_order(book, requested.fund_order_id.seq, requested.scheme, asked, event.effective_at);
        }
        EventData::FundOrderSent(sent) => {
            book.to_send.remove(&sent.fund_order_id.seq);
            if let Some(order) = book.fund_orders.get_mut(&sent.fund_order_id.seq) {
                order.status = FundStatus::Sent;
                if let Asked::Purchase { amount, .. } = order.asked {
                    book.cash.blocked -= amount;
                }
            }
        }
        EventData::FundUnitsAllotted(allotted) if allotted.applied => {
            if let Some(order) = book.fund_orders.get_mut(&allotted.fund_order_id.seq) {
                order.status = FundStatus::Allotted;
            }
            book.leaving.fund_order(allotted.fund_order_id.seq, today, None);
        }
        EventData::FundUnitsRedeemed(redeemed) if redeemed.applied => {
            end_redemption(book, redeemed.fund_order_id.seq, FundStatus::Redeemed);
            book.leaving.fund_order(redeemed.fund_order_id.seq, today, Some(redeemed.pays_on));
        }
        EventData::FundOrderRejected(rejected) if rejected.applied => {
            let seq = rejected.fund_order_id.seq;
            book.to_send.remove(&seq);
            if let Some(FundOrder { asked: Asked::Purchase { amount, .. }, status: FundStatus::Requested, .. }) =
                book.fund_orders.get(&seq)
            {
                book.cash.blocked -= *amount;
            }
            end_redemption(book, seq, FundStatus::Rejected);
            book.leaving.fund_order(seq, today, None);
        }
        EventData::FundUnitsAllotted(_) | EventData::FundUnitsRedeemed(_) | EventData::FundOrderRejected(_) => {}
        EventData::FolioChanged(changed) => {
            book.folios.entry((changed.scheme, changed.folio)).or_default().units = changed.units;
        }
        EventData::TradeImported(imported) => {
            if let (Some(trade_id), Some(exchange)) = (imported.trade_id, imported.exchange) {
                let side = if imported.kind.is_sale() { Side::Sell } else { Side::Buy };
                let key = (Some(exchange), imported.trade_date, trade_id, Some(side), None);
                let known = book.trades.entry(key).or_insert(TradeContent {
                    order: None,
                    quantity: imported.quantity,
                    price: imported.price,
                    executed_at: event.effective_at,
                    settlement_date: None,
                    assigned: None,
                    cancelled: false,
                    imported: true,
                    seq: book.seq,
                });
                known.imported = true;
                book.leaving.trade(key, today);
            }
        }
        EventData::UnitsImported(_) | EventData::CommandRefused(_) => {}
    }
}

fn request(book: &mut Book, requested: &Requested, at: Timestamp) {
    let order = Order::requested(requested, at);
    let seq = requested.order_id.seq;
    book.cash.blocked += order.blocked;
    if !order.blocked_quantity.is_zero() {
        let position = book.positions.entry(order.instrument).or_default();
        position.blocked += order.blocked_quantity;
        position.last_seq = seq;
    }
    if order.squares_off
        && let Some(standing) = book.intraday.get_mut(&(order.session_date, order.instrument))
    {
        standing.squaring_off = true;
        standing.square_offs += 1;
    }
    book.sessions.insert((order.session_date, seq));
    if order.product == Product::Mis {
        book.intraday_orders.insert((order.session_date, seq));
    }
    book.orders.insert(seq, order);
}

/// Folds an event about an order, and keeps the account's blocks and session index in step with it.
fn update(book: &mut Book, event: &EventData) {
    let Some(seq) = order_of(event).map(|id| id.seq) else { return };
    let Some(order) = book.orders.get_mut(&seq) else { return };
    let (blocked, blocked_quantity) = (order.blocked, order.blocked_quantity);
    let was_over = order.status.is_final();
    order.fold(event);
    book.cash.blocked += order.blocked - blocked;
    if order.blocked_quantity != blocked_quantity {
        let position = book.positions.entry(order.instrument).or_default();
        position.blocked += order.blocked_quantity - blocked_quantity;
        position.last_seq = book.seq;
        if position.is_empty() {
            book.positions.remove(&order.instrument);
        }
    }
    if order.status.is_final() {
        // A late trade of one that is over says nothing of the one that stands since.
        if order.squares_off
            && !was_over
            && let Some(standing) = book.intraday.get_mut(&(order.session_date, order.instrument))
        {
            standing.squaring_off = false;
        }
        book.sessions.remove(&(order.session_date, seq));
        book.intraday_orders.remove(&(order.session_date, seq));
        book.leaving.order(seq, order.leaves_on());
    }
}

fn fill(book: &mut Book, filled: &Filled, event: &Event) {
    let key = (Some(filled.exchange), filled.trade_date, filled.trade_id, Some(filled.side), None);
    let content = TradeContent {
        order: Some(filled.order_id.seq),
        quantity: filled.quantity,
        price: Some(filled.price),
        executed_at: event.effective_at,
        settlement_date: Some(filled.settlement_date),
        assigned: None,
        cancelled: false,
        imported: false,
        seq: book.seq,
    };
    book.trades.insert(key, content);
    update(book, &event.data);
    match &filled.intraday {
        Some(trade) => {
            set_intraday(book, trade.session_date, filled.instrument, trade.after);
            reblock(book, &filled.reblocked);
        }
        None => {
            let day =
                Traded { exchange: filled.exchange, date: filled.trade_date, settlement_date: filled.settlement_date };
            match filled.side {
                Side::Buy => buy(book, filled.instrument, day, filled.quantity, filled.value),
                Side::Sell => {
                    let (drawn, usable) = (filled.drawn.unwrap_or_default(), filled.usable.unwrap_or_default());
                    sell(book, filled.instrument, day, filled.value, drawn, usable);
                }
            }
            if book.orders.get(&filled.order_id.seq).is_some_and(|order| order.delivers_gross) {
                day_of(book, filled.instrument, day).1.delivers_gross = true;
            }
        }
    }
}

/// An unmatched trade becomes an order's; it stays known under the words it was reported in.
fn assign(book: &mut Book, assigned: &FillAssigned, today: Date, event: &Event) {
    let fill_of = &assigned.fill;
    let waited = book.unmatched.remove(&assigned.seq).map(|waited| waited.key());
    let mut named = None;
    if let Some(key) = waited {
        book.leaving.trade(key, today);
        if let Some(content) = book.trades.get_mut(&key) {
            named = content.order;
            content.assigned = Some(fill_of.order_id.seq);
        }
    }
    fill(book, fill_of, event);
    let key = (Some(fill_of.exchange), fill_of.trade_date, fill_of.trade_id, Some(fill_of.side), None);
    if let Some(content) = book.trades.get_mut(&key) {
        content.assigned = named;
    }
}

fn reblock(book: &mut Book, reblocked: &[Reblocked]) {
    for change in reblocked {
        if let Some(order) = book.orders.get_mut(&change.order_id.seq) {
            book.cash.blocked += change.blocked - order.blocked;
            order.reblock(change);
        }
    }
}

fn set_intraday(book: &mut Book, session_date: Date, instrument: InstrumentId, after: Intraday) {
    let standing = book.intraday.entry((session_date, instrument)).or_default();
    book.cash.blocked += after.margin - standing.position.margin;
    standing.position = after;
    standing.is_short_delivery &= !after.quantity.is_zero();
    standing.last_seq = book.seq;
}

fn convert(book: &mut Book, converted: &Converted) {
    set_intraday(book, converted.trade_date, converted.instrument, converted.after);
    reblock(book, &converted.reblocked);
    if converted.quantity.is_zero() {
        let standing = book.intraday.entry((converted.trade_date, converted.instrument)).or_default();
        standing.is_short_delivery = true;
        return;
    }
    let Some(exchange) = converted.instrument.exchange() else { return };
    let day = Traded { exchange, date: converted.trade_date, settlement_date: converted.settlement_date };
    match converted.side {
        Side::Buy => buy(book, converted.instrument, day, converted.quantity, converted.value),
        Side::Sell => {
            let (drawn, usable) = (converted.drawn.unwrap_or_default(), converted.usable.unwrap_or_default());
            sell(book, converted.instrument, day, converted.value, drawn, usable);
        }
    }
}

/// Of shares drawn from settled ones, those that are not there.
pub(super) fn uncovered(drawn: Quantity, settled: Quantity) -> Quantity {
    drawn - drawn.min(settled.max(Quantity::ZERO))
}

/// When a delivery trade was done, where, and when it settles.
#[derive(Clone, Copy)]
struct Traded {
    exchange: Exchange,
    date: Date,
    settlement_date: Date,
}

/// The day of a delivery trade, which waits to be netted.
fn day_of(book: &mut Book, instrument: InstrumentId, of: Traded) -> (&mut Lots, &mut Day) {
    book.nettings.insert((of.date, instrument, of.exchange));
    let position = book.positions.entry(instrument).or_default();
    let day = position.days.entry((of.exchange, of.date));
    let day = day.or_insert_with(|| Day { first_seq: book.seq, ..Day::default() });
    day.settlement_date.get_or_insert(of.settlement_date);
    day.last_seq = book.seq;
    (&mut position.t1, day)
}

fn buy(book: &mut Book, instrument: InstrumentId, day: Traded, quantity: Quantity, value: Money) {
    let (_, day) = day_of(book, instrument, day);
    day.bought += quantity;
    day.bought_value += value;
}

fn sell(book: &mut Book, instrument: InstrumentId, day: Traded, value: Money, drawn: Shares, usable: Money) {
    let settled = book.positions.get(&instrument).map_or(Quantity::ZERO, |position| position.shares.settled);
    let (lots, day) = day_of(book, instrument, day);
    day.sold += drawn.total();
    day.sold_value += value;
    day.usable += usable;
    day.drawn = day.drawn.plus(drawn);
    day.uncovered += uncovered(drawn.settled, settled);
    draw_t1(lots, drawn.t1, day);
}

/// Remembers that a trade was cancelled before it was told: told later, it has no effect.
fn expect_cancelled(book: &mut Book, cancelled: &TradeCancelled, today: Date, at: Timestamp) {
    if cancelled.order_id.account != book.account {
        return;
    }
    let order = book.orders.get(&cancelled.order_id.seq);
    let exchange = order.and_then(|order| order.instrument.exchange());
    let (side, seq) = (order.map(|order| order.side), cancelled.order_id.seq);
    let key = trade_key(exchange, cancelled.trade_date, cancelled.trade_id, side, seq);
    if order.is_none() {
        book.leaving.trade(key, today);
    }
    book.trades.entry(key).or_insert(TradeContent {
        order: Some(cancelled.order_id.seq),
        quantity: Quantity::ZERO,
        price: None,
        executed_at: at,
        settlement_date: None,
        assigned: None,
        cancelled: true,
        imported: false,
        seq: book.seq,
    });
}

/// What is known of a trade that was cancelled before it was told is what it says now: told otherwise, it is
/// contradicted.
fn tell_cancelled(book: &mut Book, told: &UnmatchedFill) {
    let order = book.orders.get(&told.order);
    let exchange = order.and_then(|order| order.instrument.exchange());
    let date = told.executed_at.date();
    let key = trade_key(exchange, date, told.trade_id, order.map(|order| order.side), told.order);
    for key in [key, trade_key(None, date, told.trade_id, None, told.order)] {
        let expected = book.trades.get_mut(&key).filter(|known| known.is_only_cancelled() && known.is_of(told.order));
        if let Some(known) = expected {
            (known.quantity, known.price) = (told.quantity, Some(told.price));
        }
    }
}

fn trade_cancelled(book: &mut Book, cancelled: &TradeCancelled, today: Date, event: &Event) {
    if let Some(waited) = cancelled.unmatched.and_then(|seq| book.unmatched.remove(&seq)) {
        if let Some(content) = book.trades.get_mut(&waited.key()) {
            content.cancelled = true;
        }
        book.leaving.trade(waited.key(), today);
    }
    let Some(undone) = &cancelled.undone else {
        if cancelled.unmatched.is_none() {
            expect_cancelled(book, cancelled, today, event.effective_at);
        }
        return;
    };
    let key = (Some(undone.exchange), cancelled.trade_date, cancelled.trade_id, Some(undone.side), None);
    let counted = book.trades.get_mut(&key).map(|content| {
        content.cancelled = true;
        content.seq
    });
    update(book, &event.data);
    if let Some(trade) = &undone.intraday {
        set_intraday(book, trade.session_date, undone.instrument, trade.after);
        return reblock(book, &undone.reblocked);
    }
    let moved = undone.moved.unwrap_or_default();
    let seq = book.seq;
    let position = book.positions.entry(undone.instrument).or_default();
    // A day that was netted may be traded on again: the trade is of that only if it was counted since.
    let day = position.days.get_mut(&(undone.exchange, cancelled.trade_date));
    let day = day.filter(|day| counted.is_none_or(|counted| counted >= day.first_seq));
    match (day, undone.side) {
        (Some(day), Side::Buy) => {
            day.bought -= undone.quantity;
            day.bought_value -= undone.value;
            // What had been sold of it already was sold from settled shares then.
            day.drawn.bought_today += moved.settled;
            day.drawn.settled -= moved.settled;
            day.uncovered += uncovered(-moved.settled, position.shares.settled);
            day.usable = (day.usable - undone.usable.unwrap_or_default()).max(Money::ZERO);
            day.last_seq = seq;
        }
        (Some(day), Side::Sell) => {
            day.sold -= undone.quantity;
            day.sold_value -= undone.value;
            day.usable = (day.usable - undone.usable.unwrap_or_default()).max(Money::ZERO);
            day.drawn = day.drawn.plus(moved.negated());
            // What no share covered is given back first.
            day.uncovered = (day.uncovered - moved.settled).max(Quantity::ZERO);
            day.last_seq = seq;
            return_t1(&mut position.t1, moved.t1, day, |date| {
                book.settlements.insert(date, seq);
            });
        }
        (None, side) => {
            let lot = position.t1.entry(undone.settlement_date).or_default();
            *lot += moved.t1;
            if lot.is_zero() {
                position.t1.remove(&undone.settlement_date);
            }
            let net = position.netted.get_mut(&(undone.settlement_date, undone.exchange, cancelled.trade_date));
            if let Some(net) = net {
                *net += if side == Side::Buy { -undone.quantity } else { undone.quantity };
            }
            if !moved.t1.is_zero() {
                book.settlements.insert(undone.settlement_date, seq);
            }
        }
    }
}

/// Takes sold T1 shares from the lots that settle first, and remembers them for a purchase that covers the sale.
fn draw_t1(lots: &mut Lots, drawn: Quantity, day: &mut Day) {
    let mut left = drawn;
    while left.is_positive() {
        let Some(mut lot) = lots.first_entry() else { break };
        let taken = left.min(*lot.get());
        day.t1_drawn.push((*lot.key(), taken));
        left -= taken;
        if taken == *lot.get() {
            lot.remove();
        } else {
            *lot.get_mut() -= taken;
        }
    }
}

/// Gives drawn T1 shares back to their lots, the last drawn first: the lots that settle first stay sold.
fn return_t1(lots: &mut Lots, returned: Quantity, day: &mut Day, mut settles: impl FnMut(Date)) {
    let mut left = returned;
    while left.is_positive() {
        let Some((date, drawn)) = day.t1_drawn.pop() else { break };
        let back = left.min(drawn);
        left -= back;
        if back < drawn {
            day.t1_drawn.push((date, drawn - back));
        }
        *lots.entry(date).or_default() += back;
        settles(date);
    }
}

fn net(book: &mut Book, netted: &DayNetted) {
    book.nettings.remove(&(netted.trade_date, netted.instrument, netted.exchange));
    let seq = book.seq;
    let Some(position) = book.positions.get_mut(&netted.instrument) else { return };
    let Some(mut day) = position.days.remove(&(netted.exchange, netted.trade_date)) else { return };
    return_t1(&mut position.t1, netted.returned_t1, &mut day, |date| {
        book.settlements.insert(date, seq);
    });
    // What a trade of the day that is cancelled later leaves of it; where each share is delivered, the sales leave the
    // purchases alone.
    if !day.delivers_gross {
        let day = (netted.settlement_date, netted.exchange, netted.trade_date);
        *position.netted.entry(day).or_default() += netted.bought - netted.sold;
    }
    if netted.to_t1.is_positive() {
        *position.t1.entry(netted.settlement_date).or_default() += netted.to_t1;
        book.settlements.insert(netted.settlement_date, seq);
    }
    if let Some(due) = book.cash.due.get_mut(&netted.settlement_date) {
        due.usable += netted.usable_change;
    }
}

fn add_fund_order(book: &mut Book, seq: u64, scheme: SchemeCode, asked: Asked, asked_at: Timestamp) {
    book.fund_orders.insert(seq, FundOrder { scheme, asked, status: FundStatus::Requested, asked_at });
    book.to_send.insert(seq);
}

fn block_units(book: &mut Book, scheme: SchemeCode, folio: Folio, units: Units) {
    book.folios.entry((scheme, folio)).or_default().blocked += units;
}

fn end_redemption(book: &mut Book, seq: u64, status: FundStatus) {
    book.to_send.remove(&seq);
    let Some(order) = book.fund_orders.get_mut(&seq) else { return };
    order.status = status;
    if let (Asked::Redemption { folio, blocked, .. }, scheme) = (&order.asked, order.scheme) {
        let (folio, blocked) = (*folio, *blocked);
        block_units(book, scheme, folio, -blocked);
    }
}
