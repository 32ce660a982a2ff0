//! Trades: matched to orders, or kept until an operator assigns them. A trade is never refused, a contradiction of one is.

use super::{Book, Context, TradeContent, TradeKey};
use crate::{
    cash::{Posted, Reason as CashReason},
    event::{Event, EventData},
    ids::{Exchange, InstrumentId, OrderId, TradeId},
    money::{Money, Price, Quantity, Rounding},
    order::{Assign, Fill, FillAssigned, FillUnmatched, Filled, Order, Side, Unmatched},
    policy::Policy,
    position::{Changed, Day, Position, Reason, Shares},
    rejection::{Refusal, Rejection},
    time::{Date, Timestamp},
};

pub(super) fn record(book: &Book, fill: &Fill, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    if !fill.quantity.is_positive() {
        return Err(Rejection::QuantityNotPositive.with("quantity", fill.quantity));
    }
    if !fill.price.is_positive() {
        return Err(Rejection::PriceNotPositive.with("price", fill.price));
    }
    let order = book.order(&fill.order_id);
    let instrument = order.map(|order| order.instrument).or(fill.instrument);
    let side = order.map(|order| order.side).or(fill.side);
    let named = TradeContent { order: Some(fill.order_id.seq), quantity: fill.quantity, price: Some(fill.price) };
    // The order's own view of the trade first, then the report's: an unmatched one was kept under the latter.
    let keys: [TradeKey; 2] = [key(fill, instrument, side), key(fill, fill.instrument, fill.side)];
    if let Some(known) = keys.iter().find_map(|key| book.trades.get(key)) {
        return if *known == named {
            Ok(Vec::new())
        } else {
            Err(Rejection::FillContradicted.with("trade_id", fill.trade_id))
        };
    }
    let unmatched = |reason| {
        let data = EventData::FillUnmatched(FillUnmatched {
            order_id: fill.order_id,
            trade_id: fill.trade_id,
            instrument: fill.instrument,
            side: fill.side,
            quantity: fill.quantity,
            price: fill.price,
            reason,
        });
        Ok(vec![Event { effective_at: fill.executed_at, data }])
    };
    let Some(order) = order else {
        return unmatched(if book.opened { Unmatched::UnknownOrder } else { Unmatched::UnknownAccount });
    };
    if fill.instrument.is_some_and(|named| named != order.instrument)
        || fill.side.is_some_and(|named| named != order.side)
    {
        return unmatched(Unmatched::OtherSecurity);
    }
    if fill.quantity > order.quantity - order.filled {
        return unmatched(Unmatched::BeyondQuantity);
    }
    let trade = Trade {
        order_id: fill.order_id,
        trade_id: fill.trade_id,
        quantity: fill.quantity,
        price: fill.price,
        executed_at: fill.executed_at,
    };
    let (filled, rest) = trade.apply(book, order, context)?;
    let mut events = vec![Event { effective_at: fill.executed_at, data: EventData::OrderFilled(filled) }];
    events.extend(rest);
    Ok(events)
}

pub(super) fn assign(book: &Book, assign: &Assign, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let order =
        book.order(&assign.order_id).ok_or_else(|| Rejection::UnknownOrder.with("order_id", assign.order_id))?;
    let waiting =
        book.unmatched.get(&assign.seq).ok_or_else(|| Rejection::UnknownUnmatchedFill.with("seq", assign.seq))?;
    let left = order.quantity - order.filled;
    if waiting.instrument.is_some_and(|named| named != order.instrument)
        || waiting.side.is_some_and(|named| named != order.side)
        || waiting.quantity > left
    {
        return Err(Rejection::FillDoesNotFit.with("quantity", waiting.quantity).with("unfilled", left));
    }
    let trade = Trade {
        order_id: assign.order_id,
        trade_id: waiting.trade_id,
        quantity: waiting.quantity,
        price: waiting.price,
        executed_at: waiting.executed_at,
    };
    let (fill, rest) = trade.apply(book, order, context)?;
    let data = EventData::FillAssigned(FillAssigned { seq: assign.seq, fill });
    let mut events = vec![Event { effective_at: waiting.executed_at, data }];
    events.extend(rest);
    Ok(events)
}

fn key(fill: &Fill, instrument: Option<InstrumentId>, side: Option<Side>) -> TradeKey {
    (instrument.and_then(|instrument| instrument.exchange()), fill.executed_at.date(), fill.trade_id, side)
}

/// A trade that fits its order.
struct Trade {
    order_id: OrderId,
    trade_id: TradeId,
    quantity: Quantity,
    price: Price,
    executed_at: Timestamp,
}

impl Trade {
    fn apply(&self, book: &Book, order: &Order, context: &Context<'_>) -> Result<(Filled, [Event; 2]), Refusal> {
        let too_large = || Rejection::AmountTooLarge.with("quantity", self.quantity).with("price", self.price);
        let exchange = order.instrument.exchange().expect("an order's instrument trades on an exchange");
        let trade_date = self.executed_at.date();
        let days = context.policy.settlement_days(trade_date);
        let settlement_date = context.market.calendar.settlement_date(context.calendar, exchange, trade_date, days);
        let value = self.price.times(self.quantity, Rounding::HalfUp).ok_or_else(too_large)?;
        let empty = Position::default();
        let position = book.positions.get(&order.instrument).unwrap_or(&empty);
        let filled = order.filled + self.quantity;
        let pending = if order.status.is_final() { Quantity::ZERO } else { order.quantity - filled };
        let (moved, drawn, usable, amount, blocked);
        match order.side {
            Side::Buy => {
                moved = Shares { bought_today: self.quantity, ..Shares::default() };
                (drawn, usable, amount) = (None, None, -value);
                blocked = Some(self.still_blocked(order, pending).ok_or_else(too_large)?);
            }
            Side::Sell => {
                let sale = Sale::draw(position, exchange, trade_date, self.quantity);
                moved = sale.drawn.negated();
                usable = Some(sale.usable(value, context.policy, trade_date).ok_or_else(too_large)?);
                (drawn, amount, blocked) = (Some(sale.drawn), value, None);
            }
        }
        let fill = Filled {
            order_id: self.order_id,
            trade_id: self.trade_id,
            exchange,
            trade_date,
            instrument: order.instrument,
            side: order.side,
            product: order.product,
            quantity: self.quantity,
            price: self.price,
            value,
            drawn,
            usable,
            settlement_date,
            filled,
            pending,
            blocked,
        };
        let changed = Changed {
            instrument: order.instrument,
            product: order.product,
            reason: Reason::Trade,
            moved,
            position: position.shares.plus(moved),
        };
        let posted = Posted {
            amount,
            reason: CashReason::Trade,
            reference: self.order_id.text().as_str().into(),
            settlement_date: Some(settlement_date),
            usable,
        };
        let event = |data| Event { effective_at: self.executed_at, data };
        Ok((fill, [event(EventData::PositionChanged(changed)), event(EventData::CashPosted(posted))]))
    }

    /// The order's block after the trade: while a modification waits, the larger of what stands and what is asked.
    fn still_blocked(&self, order: &Order, pending: Quantity) -> Option<Money> {
        if pending.is_zero() {
            return Some(Money::ZERO);
        }
        let standing = order.block_price?.times(pending, Rounding::Up)?;
        let asked = match order.waiting {
            Some(crate::order::Waiting::Modification { quantity, block_price: Some(price), .. }) => {
                let left = (quantity - order.filled - self.quantity).max(Quantity::ZERO);
                price.times(left, Rounding::Up)?
            }
            _ => Money::ZERO,
        };
        Some(standing.max(asked))
    }
}

/// Where a sale's shares come from: bought that day, then settled, then T1; what nothing covers is drawn from settled.
pub(super) struct Sale<'a> {
    pub(super) drawn: Shares,
    day: Option<&'a Day>,
    uncovered: Quantity,
}

impl<'a> Sale<'a> {
    fn draw(position: &'a Position, exchange: Exchange, trade_date: Date, quantity: Quantity) -> Self {
        let day = position.days.get(&(exchange, trade_date));
        let held = position.shares;
        let none = Quantity::ZERO;
        let bought_today =
            quantity.min(day.map_or(none, |day| day.bought - day.drawn.bought_today).min(held.bought_today).max(none));
        let settled = (quantity - bought_today).min(held.settled.max(none));
        let t1 = (quantity - bought_today - settled).min(held.t1);
        let uncovered = quantity - bought_today - settled - t1;
        Self { drawn: Shares { bought_today, t1, settled: settled + uncovered }, day, uncovered }
    }

    /// The part of the sale's value that new orders may use before it settles; `None` when it does not fit.
    fn usable(&self, value: Money, policy: &Policy, trade_date: Date) -> Option<Money> {
        let total = self.drawn.total().shares();
        let (bought_value, bought) = self.day.map_or((Money::ZERO, 0), |day| (day.bought_value, day.bought.shares()));
        let parts = Parts {
            settled: (self.drawn.settled - self.uncovered).shares(),
            t1: self.drawn.t1.shares(),
            intraday: self.drawn.bought_today.shares(),
            total,
        };
        parts.usable(value, bought_value, bought, policy, trade_date)
    }
}

/// Shares of a sale by source; what is in none of them is not usable.
pub(super) struct Parts {
    pub(super) settled: i64,
    pub(super) t1: i64,
    pub(super) intraday: i64,
    pub(super) total: i64,
}

impl Parts {
    /// Settled and T1 shares by dated percentage; shares bought the same day at most at the day's average purchase price, rounded down.
    pub(super) fn usable(
        &self,
        value: Money,
        bought_value: Money,
        bought: i64,
        policy: &Policy,
        date: Date,
    ) -> Option<Money> {
        let part =
            |shares: i64| if shares == 0 { Some(Money::ZERO) } else { value.share(shares, self.total, Rounding::Down) };
        let settled = policy.usable_sale_settled(date).of(part(self.settled)?, Rounding::Down)?;
        let t1 = policy.usable_sale_t1(date).of(part(self.t1)?, Rounding::Down)?;
        let intraday = match self.intraday {
            0 => Money::ZERO,
            shares => part(shares)?.min(bought_value.share(shares, bought, Rounding::Down)?),
        };
        settled.checked_add(t1)?.checked_add(intraday)
    }
}
