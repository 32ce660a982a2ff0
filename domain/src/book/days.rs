//! What time makes due: a session's end, a day's netting, a settlement date.

use super::{Book, Context, fills::Parts};
use crate::{
    calendar::{Calendar, CalendarMode, REGULAR_CLOSE},
    event::{Event, EventData},
    ids::{Exchange, InstrumentId},
    money::{Money, Quantity},
    order::{Expire, Expired, Order, Product},
    position::{Changed, DayNetted, NetDay, Reason, Settle, Settled, Shares},
    rejection::{Refusal, Rejection},
    time::{Date, Timestamp},
};

/// When an order's session ends.
pub(super) fn session_end(order: &Order, calendar: &Calendar, mode: CalendarMode) -> Timestamp {
    let closes = |exchange| session_closes(exchange, order.session_date, calendar, mode);
    order.instrument.exchange().map_or_else(|| order.session_date.at(REGULAR_CLOSE), closes)
}

/// When a day's session ends; should the day turn out a holiday, at the regular close.
pub(super) fn session_closes(exchange: Exchange, date: Date, calendar: &Calendar, mode: CalendarMode) -> Timestamp {
    calendar.session(mode, exchange, date).map_or_else(|| date.at(REGULAR_CLOSE), |session| session.closes_at())
}

/// When the trades of a day settle: the date that its first trade fixed, else what the calendar says now.
///
/// A date names one settlement of cash and shares alike: it is fixed once for all trades of a day in an instrument, so
/// that both settle together. When it is due is another matter, decided by the calendar as it is known then
/// ([`Calendar::settles_at`]): a holiday declared since moves both.
pub(super) fn settlement_date(
    book: &Book,
    instrument: InstrumentId,
    exchange: Exchange,
    trade_date: Date,
    context: &Context<'_>,
) -> Date {
    let day = book.positions.get(&instrument).and_then(|position| position.days.get(&(exchange, trade_date)));
    let by_calendar = || {
        let days = context.policy.settlement_days(trade_date);
        context.market.calendar.settlement_date(context.calendar, exchange, trade_date, days)
    };
    day.and_then(|day| day.settlement_date).unwrap_or_else(by_calendar)
}

pub(super) fn expire(book: &Book, expire: &Expire, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let order =
        book.order(&expire.order_id).ok_or_else(|| Rejection::UnknownOrder.with("order_id", expire.order_id))?;
    if order.status.is_final() {
        return Err(Rejection::OrderClosed.with("status", order.status.name()));
    }
    let end = session_end(order, &context.market.calendar, context.calendar);
    if context.now < end {
        return Err(Rejection::NotDue.with("due_at", end));
    }
    let expired = Expired { order_id: expire.order_id, cancelled: order.pending(), applied: true, flag: None };
    Ok(vec![Event { effective_at: end, data: EventData::OrderExpired(expired) }])
}

pub(super) fn net(book: &Book, net: &NetDay, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let due_at = net.trade_date.next().start();
    let found = book
        .positions
        .get(&net.instrument)
        .and_then(|position| Some((position, position.days.get(&(net.exchange, net.trade_date))?)));
    let Some((position, day)) = found.filter(|_| context.now >= due_at) else {
        return Err(Rejection::NotDue.with("due_at", due_at));
    };
    let none = Quantity::ZERO;
    let settlement_date = settlement_date(book, net.instrument, net.exchange, net.trade_date, context);
    // Bought and still there; what of it covers an earlier sale of T1 or settled shares gives those back, T1 first:
    // delivery is met from settled shares, as it must be. Where each share is delivered, nothing covers anything.
    let left = (day.bought - day.drawn.bought_today).max(none);
    let covers = if day.delivers_gross { none } else { left };
    let returned_t1 = covers.min(day.drawn.t1.max(none));
    let returned_settled = (covers - returned_t1).min(day.drawn.settled.max(none));
    let to_t1 = left - returned_t1 - returned_settled;
    let intraday = if day.delivers_gross { none } else { day.bought.min(day.sold) };
    let still_due = book.cash.due.get(&settlement_date).filter(|_| !day.delivers_gross && !day.sold.is_zero());
    let usable_change = still_due.map_or(Money::ZERO, |due| {
        let parts = Parts {
            settled: (day.drawn.settled - returned_settled).shares(),
            t1: (day.drawn.t1 - returned_t1).shares(),
            intraday: intraday.shares(),
            total: day.sold.shares(),
        };
        let usable =
            parts.usable(day.sold_value, day.bought_value, day.bought.shares(), context.policy, net.trade_date);
        // A purchase that covers a sale can only take away: nothing becomes usable by netting. Days that settle
        // together share what is usable, and a cancelled sale of one may have taken another's part already.
        (usable.unwrap_or_default() - day.usable).min(Money::ZERO).max(-due.usable.max(Money::ZERO))
    });
    let moved = Shares { bought_today: -left, t1: returned_t1 + to_t1, settled: returned_settled };
    let netted = DayNetted {
        exchange: net.exchange,
        instrument: net.instrument,
        trade_date: net.trade_date,
        bought: day.bought,
        sold: day.sold,
        intraday,
        returned_settled,
        returned_t1,
        to_t1,
        settlement_date,
        usable_change,
    };
    let changed = change(net.instrument, Reason::DayNetted, moved, position.shares);
    Ok([EventData::DayNetted(netted), changed].map(|data| Event { effective_at: due_at, data }).into())
}

pub(super) fn settle(book: &Book, settle: &Settle, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let date = settle.settlement_date;
    let due_at = context.market.calendar.settles_at(context.calendar, date);
    if context.now < due_at || !book.settlements.contains_key(&date) {
        return Err(Rejection::NotDue.with("due_at", due_at));
    }
    let due = book.cash.due.get(&date).copied().unwrap_or_default();
    let settled = Settled { settlement_date: date, received: due.receivable, paid: due.payable };
    let mut events = vec![EventData::Settled(settled)];
    for (instrument, position) in &book.positions {
        if let Some(quantity) = position.t1.get(&date) {
            let moved = Shares { bought_today: Quantity::ZERO, t1: -*quantity, settled: *quantity };
            events.push(change(*instrument, Reason::Settled, moved, position.shares));
        }
    }
    // Cash and shares of a date that is long past settled then, whenever it was recorded.
    Ok(events.into_iter().map(|data| Event { effective_at: due_at, data }).collect())
}

fn change(instrument: InstrumentId, reason: Reason, moved: Shares, before: Shares) -> EventData {
    EventData::PositionChanged(Changed {
        instrument,
        product: Product::Cnc,
        reason,
        moved,
        position: before.plus(moved),
    })
}
