//! Trades that the exchange cancels: what they moved moves back, and their shares of the order will not trade.

use super::{Book, Context, TradeContent, TradeKey, intraday};
use crate::{
    cash::{Posted, Reason as CashReason},
    event::{Event, EventData},
    ids::{Exchange, InstrumentId},
    money::{Money, Quantity, Rounding},
    order::{CancelTrade, Order, Product, Side, TradeCancelled, Undone},
    position::{Changed, Day, Position, Reason, Shares},
    rejection::{Refusal, Rejection},
    time::{Date, Timestamp},
};

/// Recorded whatever it names; a trade that is not known, or has left the book, is not undone.
pub(super) fn record(book: &Book, cancel: &CancelTrade, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let mut cancelled = TradeCancelled {
        order_id: cancel.order_id,
        trade_id: cancel.trade_id,
        trade_date: cancel.trade_date,
        reason: cancel.reason.clone(),
        undone: None,
        unmatched: None,
    };
    let order = book.order(&cancel.order_id);
    let exchange = order.and_then(|order| order.instrument.exchange());
    let key = order.map(|order| (exchange, cancel.trade_date, cancel.trade_id, Some(order.side)));
    let known = key.and_then(|key| Some((key, book.trades.get(&key)?)));
    let named = |content: &TradeContent| content.order == Some(cancel.order_id.seq);
    let known = known.filter(|(key, content)| named(content) && waiting(book, cancel, Some(*key)).is_none());
    let mut rest = Vec::new();
    match (order, exchange, known) {
        (.., Some((_, content))) if content.cancelled => return Ok(Vec::new()),
        (Some(order), Some(exchange), Some((_, content))) => {
            let trade = Trade::new(order, exchange, content, cancel.trade_date)?;
            let (undone, moved) = trade.undo(book, order, cancel, context)?;
            cancelled.undone = Some(undone);
            rest = moved;
        }
        _ => cancelled.unmatched = waiting(book, cancel, None),
    }
    let mut events = vec![EventData::TradeCancelled(cancelled)];
    events.extend(rest);
    Ok(events.into_iter().map(|data| Event { effective_at: cancel.at, data }).collect())
}

/// The entry of a trade that waits for assignment and is the one meant.
fn waiting(book: &Book, cancel: &CancelTrade, key: Option<TradeKey>) -> Option<u64> {
    let found = book.unmatched.iter().find(|(_, waiting)| match key {
        Some(key) => waiting.key() == key,
        None => {
            let named = book.trades.get(&waiting.key()).and_then(|content| content.order);
            named == Some(cancel.order_id.seq)
                && waiting.trade_id == cancel.trade_id
                && waiting.executed_at.date() == cancel.trade_date
        }
    });
    found.map(|(seq, _)| *seq)
}

/// A trade as it was recorded.
struct Trade {
    exchange: Exchange,
    instrument: InstrumentId,
    side: Side,
    trade_date: Date,
    executed_at: Timestamp,
    quantity: Quantity,
    value: Money,
    settlement_date: Date,
}

impl Trade {
    fn new(order: &Order, exchange: Exchange, content: &TradeContent, trade_date: Date) -> Result<Self, Refusal> {
        let too_large = || Rejection::AmountTooLarge.with("quantity", content.quantity);
        let price = content.price.ok_or_else(too_large)?;
        let value = price.times(content.quantity, Rounding::HalfUp).ok_or_else(too_large)?;
        let settlement_date = content.settlement_date.ok_or_else(too_large)?;
        Ok(Self {
            exchange,
            instrument: order.instrument,
            side: order.side,
            trade_date,
            executed_at: content.executed_at,
            quantity: content.quantity,
            value,
            settlement_date,
        })
    }

    fn undo(
        &self,
        book: &Book,
        order: &Order,
        cancel: &CancelTrade,
        context: &Context<'_>,
    ) -> Result<(Undone, Vec<EventData>), Refusal> {
        let mut undone = Undone {
            exchange: self.exchange,
            instrument: self.instrument,
            side: self.side,
            product: order.product,
            executed_at: self.executed_at,
            quantity: self.quantity,
            value: self.value,
            settlement_date: self.settlement_date,
            filled: order.filled - self.quantity,
            moved: None,
            usable: None,
            intraday: None,
            reblocked: Vec::new(),
        };
        let reference: Box<str> = cancel.order_id.text().as_str().into();
        let due = book.cash.due.get(&self.settlement_date);
        let settlement_date = due.map(|_| self.settlement_date);
        match order.product {
            Product::Mis => {
                let too_large = || Rejection::AmountTooLarge.with("quantity", self.quantity);
                let session = order.session_date;
                let open = intraday::position(book, session, self.instrument);
                let mut trade =
                    open.trade(session, self.side.opposite(), self.quantity, self.value).ok_or_else(too_large)?;
                let margin = context.policy.intraday_margin(session);
                trade.after = trade.after.on_margin(margin).ok_or_else(too_large)?;
                let after = Some(trade.after.quantity);
                let margins = intraday::margins(book, session, self.instrument, after, None).ok_or_else(too_large)?;
                undone.reblocked = margins.others;
                undone.intraday = Some(trade);
                let bought_today = if self.side == Side::Buy { -self.quantity } else { self.quantity };
                let moved = Shares { bought_today, ..Shares::default() };
                let before = Shares { bought_today: intraday::total(book, self.instrument), ..Shares::default() };
                let mut rest = vec![self.changed(Product::Mis, moved, before)];
                if !trade.realised.is_zero() {
                    let usable = trade.realised.is_positive().then_some(Money::ZERO);
                    let settles = Some(self.settlement_date);
                    rest.push(posted(trade.realised, CashReason::Trade, reference, settles, usable));
                }
                Ok((undone, rest))
            }
            Product::Cnc => {
                let empty = Position::default();
                let position = book.positions.get(&self.instrument).unwrap_or(&empty);
                let day = position.days.get(&(self.exchange, self.trade_date));
                let moved = match self.side {
                    Side::Buy => self.taken_back(position, day),
                    Side::Sell => self.given_back(day),
                };
                undone.moved = Some(moved);
                let amount = match self.side {
                    Side::Buy => self.value,
                    Side::Sell => -self.value,
                };
                if self.side == Side::Sell {
                    let due = due.copied().unwrap_or_default();
                    // Its part of what the day's sales let be used; all of it once the day is netted and nobody knows.
                    let of_day = day.map_or(Some(self.value), |day| {
                        day.usable.share(self.quantity.shares(), day.sold.shares().max(1), Rounding::Up)
                    });
                    // What stays usable is within what is still to come.
                    let beyond = due.usable - (due.receivable - self.value);
                    let usable = of_day.unwrap_or(self.value).max(beyond).max(Money::ZERO).min(due.usable);
                    undone.usable = settlement_date.map(|_| usable);
                }
                let usable = undone.usable;
                Ok((
                    undone,
                    vec![
                        self.changed(Product::Cnc, moved, position.shares),
                        posted(amount, CashReason::TradeCancelled, reference, settlement_date, usable),
                    ],
                ))
            }
        }
    }

    /// Shares of a purchase: from those bought that day or of its settlement date, and what has been sold or settled since from settled ones.
    fn taken_back(&self, position: &Position, day: Option<&Day>) -> Shares {
        let (bought_today, t1) = match day {
            Some(day) => {
                let left = (day.bought - day.drawn.bought_today).min(position.shares.bought_today);
                (self.quantity.min(left.max(Quantity::ZERO)), Quantity::ZERO)
            }
            None => {
                let lot = position.t1.get(&self.settlement_date).copied().unwrap_or_default();
                (Quantity::ZERO, self.quantity.min(lot))
            }
        };
        Shares { bought_today, t1, settled: self.quantity - bought_today - t1 }.negated()
    }

    /// Shares of a sale: to where that day's sales drew them, the last drawn first, or to settled when the day is netted.
    fn given_back(&self, day: Option<&Day>) -> Shares {
        let Some(day) = day else { return Shares { settled: self.quantity, ..Shares::default() } };
        let t1 = self.quantity.min(day.drawn.t1);
        let settled = (self.quantity - t1).min(day.drawn.settled);
        Shares { bought_today: self.quantity - t1 - settled, t1, settled }
    }

    fn changed(&self, product: Product, moved: Shares, before: Shares) -> EventData {
        EventData::PositionChanged(Changed {
            instrument: self.instrument,
            product,
            reason: Reason::TradeCancelled,
            moved,
            position: before.plus(moved),
        })
    }
}

fn posted(
    amount: Money,
    reason: CashReason,
    reference: Box<str>,
    settlement_date: Option<Date>,
    usable: Option<Money>,
) -> EventData {
    EventData::CashPosted(Posted { amount, reason, reference, settlement_date, usable })
}
