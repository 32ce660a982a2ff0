//! Trades that the exchange cancels: what they moved moves back, and their shares of the order will not trade.

use super::{Book, Context, TradeContent, TradeKey, evolve::uncovered, fills::Parts, intraday};
use crate::{
    cash::{Posted, Reason as CashReason},
    event::{Event, EventData},
    ids::{Exchange, InstrumentId, OrderId},
    money::{Money, Quantity, Rounding},
    order::{CancelTrade, Flag, Order, Product, Side, TradeCancelled, Undone},
    policy::Policy,
    position::{Changed, Day, Position, Reason, Shares},
    rejection::{Refusal, Rejection},
    time::{Date, Timestamp},
};

/// Recorded whatever it names; a trade that is not known, or has left the book, is not undone.
pub(super) fn record(book: &Book, cancel: &CancelTrade, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let named = book.order(&cancel.order_id);
    let mut cancelled = TradeCancelled {
        order_id: cancel.order_id,
        trade_id: cancel.trade_id,
        trade_date: cancel.trade_date,
        reason: cancel.reason.clone(),
        undone: None,
        unmatched: None,
        flag: Flag::of_time(cancel.at, named.map(|order| order.requested_at), context.now),
    };
    let mut rest = Vec::new();
    match meant(book, cancel) {
        Meant::Known(content) if content.cancelled => return Ok(Vec::new()),
        Meant::Known(content) => {
            let order = content.order.and_then(|seq| book.orders.get(&seq));
            if let Some((order, exchange)) = order.and_then(|order| Some((order, order.instrument.exchange()?))) {
                // The order it filled, which is another than it had named when an operator assigned it.
                cancelled.order_id.seq = content.order.unwrap_or(cancel.order_id.seq);
                let trade = Trade::new(order, exchange, content, cancel.trade_date)?;
                let (undone, moved) = trade.undo(book, order, cancelled.order_id, context)?;
                cancelled.undone = Some(undone);
                rest = moved;
            }
        }
        Meant::Waiting(seq) => cancelled.unmatched = Some(seq),
        Meant::Nothing => {}
    }
    let mut events = vec![EventData::TradeCancelled(cancelled)];
    events.extend(rest);
    Ok(events.into_iter().map(|data| Event { effective_at: cancel.at, data }).collect())
}

/// What a cancellation is about.
enum Meant<'a> {
    /// A trade that filled an order, or one that is cancelled already.
    Known(&'a TradeContent),
    /// The entry of one that waits for assignment.
    Waiting(u64),
    /// None that is known.
    Nothing,
}

/// The trade of that day and number that filled the order named; else the one that waits; else the one that was
/// reported for it and assigned to another, or cancelled while it waited.
fn meant<'a>(book: &'a Book, cancel: &CancelTrade) -> Meant<'a> {
    let seq = (cancel.order_id.account == book.account).then_some(cancel.order_id.seq);
    let is_it = |key: &TradeKey| (key.1, key.2) == (cancel.trade_date, cancel.trade_id);
    let waiting: Vec<(u64, TradeKey)> =
        book.unmatched.iter().map(|(seq, waiting)| (*seq, waiting.key())).filter(|(_, key)| is_it(key)).collect();
    let known = book.trades.iter().filter(|(key, _)| is_it(key) && !waiting.iter().any(|(_, waits)| waits == *key));
    let known = known.filter(|(_, content)| seq.is_some_and(|seq| content.is_of(seq)));
    let fills = |content: &TradeContent| {
        content.order == seq && (content.settlement_date.is_some() || content.is_only_cancelled())
    };
    // A cancellation told before is told again; else what filled the order named comes first.
    let rank = |content: &TradeContent| (!content.cancelled, !fills(content), content.settlement_date.is_none());
    let known = known.min_by_key(|(key, content)| (rank(content), key.3, key.0, key.4)).map(|(_, content)| content);
    let named = |(_, key): &&(u64, TradeKey)| book.trades.get(key).is_some_and(|content| content.order == seq);
    let waiting = waiting.iter().find(named).map(|(seq, _)| *seq);
    match (known.filter(|content| content.cancelled || fills(content)), waiting, known) {
        (Some(content), ..) => Meant::Known(content),
        (None, Some(seq), _) => Meant::Waiting(seq),
        (None, None, Some(content)) => Meant::Known(content),
        (None, None, None) => Meant::Nothing,
    }
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
    /// The entry that counted it.
    seq: u64,
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
            seq: content.seq,
        })
    }

    fn undo(
        &self,
        book: &Book,
        order: &Order,
        order_id: OrderId,
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
        let reference: Box<str> = order_id.text().as_str().into();
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
                // What came after the day was netted says nothing of what was.
                let day = position.days.get(&(self.exchange, self.trade_date));
                let day = day.filter(|day| self.seq >= day.first_seq);
                let moved = match self.side {
                    Side::Buy => self.taken_back(position, day),
                    Side::Sell => self.given_back(position, day),
                };
                undone.moved = Some(moved);
                let amount = match self.side {
                    Side::Buy => self.value,
                    Side::Sell => -self.value,
                };
                if self.side == Side::Buy {
                    let needed = self.given_up(position, day, moved, context.policy);
                    let usable = needed.min(due.map_or(Money::ZERO, |due| due.usable)).max(Money::ZERO);
                    undone.usable = settlement_date.map(|_| usable);
                } else {
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

    /// What may be used no longer of the sales of its shares, which nothing covers any more: as the day's sales stand
    /// without it, or, once the day is netted, what was paid for those of its shares that its day's sales took.
    fn given_up(&self, position: &Position, day: Option<&Day>, moved: Shares, policy: &Policy) -> Money {
        let settled = position.shares.settled;
        let Some(day) = day else {
            let net = position.netted.get(&(self.settlement_date, self.exchange, self.trade_date));
            let short = |net: Quantity| (-net).max(Quantity::ZERO);
            let sold = net.map_or(Quantity::ZERO, |net| short(*net - self.quantity) - short(*net));
            let uncovered = sold.min(uncovered(-moved.settled, settled));
            let whole = self.quantity.shares();
            return self.value.share(uncovered.shares(), whole, Rounding::Up).unwrap_or(self.value);
        };
        if day.sold.is_zero() {
            return Money::ZERO;
        }
        let uncovered = day.uncovered + uncovered(-moved.settled, settled);
        let parts = Parts {
            settled: (day.drawn.settled - moved.settled - uncovered).shares(),
            t1: day.drawn.t1.shares(),
            intraday: (day.drawn.bought_today + moved.settled).shares(),
            total: day.sold.shares(),
        };
        let (cost, bought) = (day.bought_value - self.value, (day.bought - self.quantity).shares());
        let left = parts.usable(day.sold_value, cost, bought, policy, self.trade_date);
        (day.usable - left.unwrap_or_default()).max(Money::ZERO)
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

    /// Shares of a sale: to where that day's sales drew them, the last drawn first. Once the day is netted, what was bought
    /// that day and not sold after all is T1 until it settles, and the rest is settled.
    fn given_back(&self, position: &Position, day: Option<&Day>) -> Shares {
        let Some(day) = day else {
            let net = position.netted.get(&(self.settlement_date, self.exchange, self.trade_date));
            let bought = |net: Quantity| net.max(Quantity::ZERO);
            let t1 = net.map_or(Quantity::ZERO, |net| bought(*net + self.quantity) - bought(*net));
            return Shares { bought_today: Quantity::ZERO, t1, settled: self.quantity - t1 };
        };
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
