//! Folding: what an event makes of a book. Decides nothing and never fails; what is recorded happened.

use super::{Book, TradeContent, UnmatchedFill, leaving};
use crate::{
    event::{Event, EventData},
    fund::{Asked, FundOrder, Status as FundStatus},
    ids::{Folio, SchemeCode},
    money::{Money, Quantity, Units},
    order::{Filled, Order, Refused, Requested, Side, Status, Waiting},
    position::{Day, DayNetted, Reason},
    time::{Date, Timestamp},
};

/// The book after one more entry.
///
/// Takes what was recorded when, because that alone says what has been closed for long enough to leave.
pub fn fold(mut book: Book, seq: u64, recorded_at: Timestamp, events: &[Event]) -> Book {
    book.seq = seq;
    let today = recorded_at.date();
    for event in events {
        apply(&mut book, event, today);
    }
    leaving::leave(&mut book, today);
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
        EventData::OrderRequested(requested) => request(book, requested),
        EventData::OrderAccepted(accepted) if accepted.applied => {
            update(book, accepted.order_id.seq, |order| order.status = Status::Open);
        }
        EventData::OrderRejected(rejected) if rejected.applied => {
            update(book, rejected.order_id.seq, |order| match rejected.refused {
                Refused::Order => end(order, Status::Rejected),
                Refused::Modification | Refused::Cancellation => {
                    order.waiting = None;
                    order.blocked = rejected.blocked.unwrap_or_default();
                    order.blocked_quantity = shares_blocked(order);
                }
            })
        }
        EventData::ModificationRequested(asked) => update(book, asked.order_id.seq, |order| {
            order.modifications = asked.number;
            order.blocked = asked.blocked.unwrap_or_default();
            order.blocked_quantity = asked.blocked_quantity.unwrap_or_default();
            order.waiting = Some(Waiting::Modification {
                quantity: asked.quantity,
                price: asked.price,
                order_type: asked.order_type,
                validity: asked.validity,
                block_price: asked.block_price,
            });
        }),
        EventData::OrderModified(modified) if modified.applied => update(book, modified.order_id.seq, |order| {
            order.quantity = modified.quantity;
            order.price = modified.price;
            order.order_type = modified.order_type;
            order.validity = modified.validity;
            order.block_price = modified.block_price;
            order.waiting = None;
            if order.filled == order.quantity {
                end(order, Status::Filled);
            } else {
                // A modified order stands at the venue: the report says so even when no acceptance came before.
                order.status = if order.filled.is_zero() { Status::Open } else { Status::PartlyFilled };
                order.blocked = modified.blocked.unwrap_or_default();
                order.blocked_quantity = shares_blocked(order);
            }
        }),
        EventData::CancellationRequested(asked) => {
            update(book, asked.order_id.seq, |order| order.waiting = Some(Waiting::Cancellation))
        }
        EventData::OrderCancelled(cancelled) if cancelled.applied => {
            update(book, cancelled.order_id.seq, |order| end(order, Status::Cancelled))
        }
        EventData::OrderExpired(expired) if expired.applied => {
            update(book, expired.order_id.seq, |order| end(order, Status::Expired))
        }
        EventData::OrderAccepted(_)
        | EventData::OrderRejected(_)
        | EventData::OrderModified(_)
        | EventData::OrderCancelled(_)
        | EventData::OrderExpired(_) => {}
        EventData::OrderFilled(filled) => fill(book, filled),
        EventData::FillUnmatched(unmatched) => {
            let waiting = UnmatchedFill {
                trade_id: unmatched.trade_id,
                quantity: unmatched.quantity,
                price: unmatched.price,
                executed_at: event.effective_at,
                instrument: unmatched.instrument,
                side: unmatched.side,
            };
            let content = TradeContent {
                order: Some(unmatched.order_id.seq),
                quantity: unmatched.quantity,
                price: Some(unmatched.price),
            };
            book.trades.insert(waiting.key(), content);
            book.unmatched.insert(book.seq, waiting);
        }
        EventData::FillAssigned(assigned) => {
            if let Some(waited) = book.unmatched.remove(&assigned.seq) {
                book.leaving.trade(waited.key(), today);
            }
            fill(book, &assigned.fill);
        }
        EventData::PositionChanged(changed) => {
            let position = book.positions.entry(changed.instrument).or_default();
            position.shares = changed.position;
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
            }
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
                let content = TradeContent { order: None, quantity: imported.quantity, price: imported.price };
                let key = (Some(exchange), imported.trade_date, trade_id, Some(side));
                book.trades.insert(key, content);
                book.leaving.trade(key, today);
            }
        }
        EventData::UnitsImported(_) | EventData::CommandRefused(_) => {}
    }
}

fn request(book: &mut Book, requested: &Requested) {
    let blocked_quantity = if requested.side == Side::Sell { requested.quantity } else { Quantity::ZERO };
    let blocked = requested.blocked.unwrap_or_default();
    let seq = requested.order_id.seq;
    book.cash.blocked += blocked;
    if !blocked_quantity.is_zero() {
        book.positions.entry(requested.instrument).or_default().blocked += blocked_quantity;
    }
    book.sessions.insert((requested.session_date, seq));
    book.orders.insert(
        seq,
        Order {
            instrument: requested.instrument,
            side: requested.side,
            product: requested.product,
            quantity: requested.quantity,
            filled: Quantity::ZERO,
            price: requested.price,
            order_type: requested.order_type,
            validity: requested.validity,
            session_date: requested.session_date,
            status: Status::Requested,
            block_price: requested.block_price,
            blocked,
            blocked_quantity,
            modifications: 0,
            waiting: None,
            settles_on: None,
        },
    );
}

/// Changes an order and keeps the account's blocks and session index in step with it.
fn update(book: &mut Book, seq: u64, change: impl FnOnce(&mut Order)) {
    let Some(order) = book.orders.get_mut(&seq) else { return };
    let (blocked, blocked_quantity) = (order.blocked, order.blocked_quantity);
    change(order);
    book.cash.blocked += order.blocked - blocked;
    if order.blocked_quantity != blocked_quantity {
        let position = book.positions.entry(order.instrument).or_default();
        position.blocked += order.blocked_quantity - blocked_quantity;
        if position.is_empty() {
            book.positions.remove(&order.instrument);
        }
    }
    if order.status.is_final() {
        book.sessions.remove(&(order.session_date, seq));
        book.leaving.order(seq, order.leaves_on());
    }
}

fn end(order: &mut Order, status: Status) {
    order.status = status;
    order.waiting = None;
    order.blocked = Money::ZERO;
    order.blocked_quantity = Quantity::ZERO;
}

fn shares_blocked(order: &Order) -> Quantity {
    if order.side == Side::Sell { order.pending() } else { Quantity::ZERO }
}

fn fill(book: &mut Book, filled: &Filled) {
    let key = (Some(filled.exchange), filled.trade_date, filled.trade_id, Some(filled.side));
    let content =
        TradeContent { order: Some(filled.order_id.seq), quantity: filled.quantity, price: Some(filled.price) };
    book.trades.insert(key, content);
    update(book, filled.order_id.seq, |order| {
        order.filled = filled.filled;
        order.settles_on = order.settles_on.max(Some(filled.settlement_date));
        if order.filled == order.quantity {
            end(order, Status::Filled);
        } else if !order.status.is_final() {
            order.status = Status::PartlyFilled;
            order.blocked = filled.blocked.unwrap_or_default();
            order.blocked_quantity = match order.side {
                Side::Sell => order.blocked_quantity - filled.quantity,
                Side::Buy => Quantity::ZERO,
            };
        }
    });
    let seq = book.seq;
    let position = book.positions.entry(filled.instrument).or_default();
    let day = position.days.entry((filled.exchange, filled.trade_date)).or_default();
    day.last_seq = seq;
    match filled.side {
        Side::Buy => {
            day.bought += filled.quantity;
            day.bought_value += filled.value;
        }
        Side::Sell => {
            let drawn = filled.drawn.unwrap_or_default();
            day.sold += filled.quantity;
            day.sold_value += filled.value;
            day.usable += filled.usable.unwrap_or_default();
            day.drawn = day.drawn.plus(drawn);
            draw_t1(&mut position.t1, drawn.t1, day);
        }
    }
    book.nettings.insert((filled.trade_date, filled.instrument, filled.exchange));
}

/// Takes sold T1 shares from the lots that settle first, and remembers them for a purchase that covers the sale.
fn draw_t1(lots: &mut std::collections::BTreeMap<Date, Quantity>, drawn: Quantity, day: &mut Day) {
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

fn net(book: &mut Book, netted: &DayNetted) {
    book.nettings.remove(&(netted.trade_date, netted.instrument, netted.exchange));
    let seq = book.seq;
    let Some(position) = book.positions.get_mut(&netted.instrument) else { return };
    let Some(mut day) = position.days.remove(&(netted.exchange, netted.trade_date)) else { return };
    let mut returned = netted.returned_t1;
    while returned.is_positive() {
        // The last drawn go back first: the lots that settle first stay sold.
        let Some((date, drawn)) = day.t1_drawn.pop() else { break };
        let back = returned.min(drawn);
        returned -= back;
        *position.t1.entry(date).or_default() += back;
        book.settlements.insert(date, seq);
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
