//! Trades: matched to orders, or kept until an operator assigns them. A trade is never refused, a contradiction of one is.

use super::{Book, Context, TradeContent, TradeKey, days::settlement_date, intraday, orders::block_of, trade_key};
use crate::{
    cash::{Posted, Reason as CashReason},
    event::{Event, EventData},
    ids::{Exchange, InstrumentId, OrderId, TradeId},
    intraday::IntradayTrade,
    money::{Money, Price, Quantity, Rounding},
    order::{
        Assign, Fill, FillAssigned, FillUnmatched, Filled, Flag, Order, Product, Reblocked, Side, TradeCancelled,
        Unmatched, Waiting,
    },
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
    let unmatched = |reason| {
        let data = EventData::FillUnmatched(FillUnmatched {
            order_id: fill.order_id,
            trade_id: fill.trade_id,
            instrument: fill.instrument,
            side: fill.side,
            quantity: fill.quantity,
            price: fill.price,
            reason,
            flag: Flag::of_time(fill.executed_at, order.map(|order| order.requested_at), context.now),
        });
        vec![Event { effective_at: fill.executed_at, data }]
    };
    // What waits is kept under the words it came in, which must be free.
    let can_wait = match known(book, fill, order) {
        Known::AsTold => return Ok(Vec::new()),
        Known::Otherwise => return Err(contradicted(fill)),
        Known::AsHistory => return Ok(unmatched(Unmatched::Imported)),
        Known::AsCancelled(at) => {
            let ended = Event { effective_at: at, data: ended(book, fill) };
            return Ok(unmatched(Unmatched::Cancelled).into_iter().chain([ended]).collect());
        }
        Known::Not { can_wait } => can_wait,
    };
    let reason = match order {
        None if book.opened => Some(Unmatched::UnknownOrder),
        None => Some(Unmatched::UnknownAccount),
        Some(order)
            if fill.instrument.is_some_and(|named| named != order.instrument)
                || fill.side.is_some_and(|named| named != order.side) =>
        {
            Some(Unmatched::OtherSecurity)
        }
        Some(order) => (fill.quantity > order.quantity - order.filled).then_some(Unmatched::BeyondQuantity),
    };
    match (order, reason) {
        (Some(order), None) => fills(book, fill, order, context),
        (_, reason) if can_wait => Ok(reason.map_or_else(Vec::new, unmatched)),
        _ => Err(contradicted(fill)),
    }
}

fn fills(book: &Book, fill: &Fill, order: &Order, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let trade = Trade {
        order_id: fill.order_id,
        trade_id: fill.trade_id,
        quantity: fill.quantity,
        price: fill.price,
        executed_at: fill.executed_at,
    };
    let Applied { filled, rest } = trade.apply(book, order, context)?;
    let mut events = vec![Event { effective_at: fill.executed_at, data: EventData::OrderFilled(filled) }];
    events.extend(rest);
    Ok(events)
}

/// How the book knows a trade that is reported.
enum Known {
    /// Not at all; whether it can wait under the words it is reported in, or another has them.
    Not { can_wait: bool },
    /// The same was told before.
    AsTold,
    /// It, or one under the same number, was told with other content.
    Otherwise,
    /// It was imported as history, which counts its shares.
    AsHistory,
    /// The exchange had cancelled it, so much was told before.
    AsCancelled(Timestamp),
}

/// A trade is looked for as a cancelled one of the same order first, then in the order's own view of it, then in the
/// report's words: an unmatched one was kept under those.
fn known(book: &Book, fill: &Fill, order: Option<&Order>) -> Known {
    let instrument = order.map(|order| order.instrument).or(fill.instrument);
    let side = order.map(|order| order.side).or(fill.side);
    let says = |known: &TradeContent| known.says(fill.order_id.seq, fill.quantity, fill.price);
    // What is known under the report's words and turned out to be another order's leaves room for a trade of this one;
    // a bare number is compared within its order alone.
    let is_elsewhere = |known: &TradeContent| known.assigned.is_some() || known.is_only_cancelled();
    let as_told = book.trades.get(&key(fill, fill.instrument, fill.side));
    let before = book.trades.get(&key(fill, None, None)).filter(|known| known.cancelled && says(known));
    let known = before.or_else(|| book.trades.get(&key(fill, instrument, side)));
    let known = known.or_else(|| as_told.filter(|known| says(known) || order.is_none() || !is_elsewhere(known)));
    let is_told = |known: &TradeContent| says(known) && !known.is_only_cancelled();
    if [known, as_told].into_iter().flatten().any(is_told) {
        return Known::AsTold;
    }
    let is_own = |told: &TradeContent| told.is_only_cancelled() && told.is_of(fill.order_id.seq);
    let can_wait = as_told.is_none_or(|told| told.order.is_none() || is_own(told));
    let is_history =
        |known: &TradeContent| known.imported && known.order.is_none() && known.agrees(fill.quantity, Some(fill.price));
    match known {
        None => Known::Not { can_wait },
        Some(known) if can_wait && says(known) => Known::AsCancelled(known.executed_at),
        Some(known) if can_wait && is_history(known) => Known::AsHistory,
        Some(_) => Known::Otherwise,
    }
}

fn contradicted(fill: &Fill) -> Refusal {
    match value_of(fill.price, fill.quantity) {
        Ok(_) => Rejection::FillContradicted.with("trade_id", fill.trade_id),
        Err(too_large) => too_large,
    }
}

/// What was told of a trade after its cancellation is recorded with it and waits for nobody.
fn ended(book: &Book, fill: &Fill) -> EventData {
    EventData::TradeCancelled(TradeCancelled {
        order_id: fill.order_id,
        trade_id: fill.trade_id,
        trade_date: fill.executed_at.date(),
        reason: None,
        undone: None,
        unmatched: Some(book.seq + 1),
        flag: None,
    })
}

pub(super) fn assign(book: &Book, assign: &Assign, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let waiting = book.unmatched.get(&assign.seq);
    if let Some(waiting) = waiting {
        value_of(waiting.price, waiting.quantity)?;
    }
    let order =
        book.order(&assign.order_id).ok_or_else(|| Rejection::UnknownOrder.with("order_id", assign.order_id))?;
    let waiting = waiting.ok_or_else(|| Rejection::UnknownUnmatchedFill.with("seq", assign.seq))?;
    let key = (order.instrument.exchange(), waiting.executed_at.date(), waiting.trade_id, Some(order.side), None);
    if book.trades.get(&key).is_some_and(|known| key != waiting.key() || known.imported) {
        return Err(Rejection::FillContradicted.with("trade_id", waiting.trade_id));
    }
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
    let Applied { filled: fill, rest } = trade.apply(book, order, context)?;
    let data = EventData::FillAssigned(FillAssigned { seq: assign.seq, fill });
    let mut events = vec![Event { effective_at: waiting.executed_at, data }];
    events.extend(rest);
    Ok(events)
}

/// What a trade is worth, rounded half up to the paisa.
pub(super) fn value_of(price: Price, quantity: Quantity) -> Result<Money, Refusal> {
    let too_large = || Rejection::AmountTooLarge.with("quantity", quantity).with("price", price);
    price.times(quantity, Rounding::HalfUp).ok_or_else(too_large)
}

fn key(fill: &Fill, instrument: Option<InstrumentId>, side: Option<Side>) -> TradeKey {
    let exchange = instrument.and_then(|instrument| instrument.exchange());
    trade_key(exchange, fill.executed_at.date(), fill.trade_id, side, fill.order_id.seq)
}

/// A trade that fits its order.
struct Trade {
    order_id: OrderId,
    trade_id: TradeId,
    quantity: Quantity,
    price: Price,
    executed_at: Timestamp,
}

/// A trade with what it causes.
struct Applied {
    filled: Filled,
    rest: Vec<Event>,
}

/// What a trade does to shares and cash.
struct Effect {
    moved: Shares,
    position: Shares,
    drawn: Option<Shares>,
    usable: Option<Money>,
    intraday: Option<IntradayTrade>,
    /// Cash that is posted.
    amount: Money,
}

impl Trade {
    fn apply(&self, book: &Book, order: &Order, context: &Context<'_>) -> Result<Applied, Refusal> {
        let too_large = || Rejection::AmountTooLarge.with("quantity", self.quantity).with("price", self.price);
        let exchange = order.instrument.exchange().expect("an order's instrument trades on an exchange");
        let trade_date = self.executed_at.date();
        let settlement_date = settlement_date(book, order.instrument, exchange, trade_date, context);
        let value = value_of(self.price, self.quantity)?;
        let filled = order.filled + self.quantity;
        let unfilled = (order.unfilled() - self.quantity).max(Quantity::ZERO);
        let pending = if order.status.is_final() { Quantity::ZERO } else { unfilled };
        let effect = match order.product {
            Product::Cnc => self.deliver(book, order, exchange, value, context),
            Product::Mis => self.trade_intraday(book, order, value, context),
        };
        let effect = effect.ok_or_else(too_large)?;
        // What of the position can be closed afterwards decides anew which pending shares open one.
        let after = effect.intraday.map(|trade| trade.after.quantity);
        let margins =
            intraday::margins(book, order.session_date, order.instrument, after, Some((self.order_id.seq, pending)));
        let margins = margins.filter(|_| order.product == Product::Mis);
        let opening = margins.as_ref().map_or(Quantity::ZERO, |margins| margins.own);
        let blocked = match (order.side, order.product) {
            (Side::Sell, Product::Cnc) => None,
            _ => Some(self.still_blocked(order, pending, opening).ok_or_else(too_large)?),
        };
        let mut reblocked = margins.map_or_else(Vec::new, |margins| margins.others);
        // Folding takes what opens to be the same shares as before: said where the position has made it less.
        if order.product == Product::Mis && opening != order.opening.min(pending) {
            let order_id = self.order_id;
            reblocked.push(Reblocked { order_id, opening, blocked: blocked.unwrap_or_default() });
        }
        let band = context.market.instruments.get(&order.instrument).and_then(|listing| listing.band(trade_date));
        let outside = band.is_some_and(|(low, high)| self.price < low || self.price > high);
        let filled = Filled {
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
            drawn: effect.drawn,
            usable: effect.usable,
            intraday: effect.intraday,
            settlement_date,
            filled,
            pending,
            blocked,
            flag: outside
                .then_some(Flag::OutsideBand)
                .or_else(|| Flag::of_time(self.executed_at, Some(order.requested_at), context.now)),
            reblocked,
        };
        let changed = Changed {
            instrument: order.instrument,
            product: order.product,
            reason: Reason::Trade,
            moved: effect.moved,
            position: effect.position,
        };
        let mut rest = vec![EventData::PositionChanged(changed)];
        // The cash of an intraday trade is what it gained or lost by closing.
        if order.product == Product::Cnc || !effect.amount.is_zero() {
            let gained = order.product == Product::Mis && effect.amount.is_positive();
            rest.push(EventData::CashPosted(Posted {
                amount: effect.amount,
                reason: CashReason::Trade,
                reference: self.order_id.text().as_str().into(),
                settlement_date: Some(settlement_date),
                usable: if gained { Some(Money::ZERO) } else { effect.usable },
            }));
        }
        let rest = rest.into_iter().map(|data| Event { effective_at: self.executed_at, data }).collect();
        Ok(Applied { filled, rest })
    }

    fn deliver(
        &self,
        book: &Book,
        order: &Order,
        exchange: Exchange,
        value: Money,
        context: &Context<'_>,
    ) -> Option<Effect> {
        let empty = Position::default();
        let position = book.positions.get(&order.instrument).unwrap_or(&empty);
        let trade_date = self.executed_at.date();
        let (moved, drawn, usable, amount) = match order.side {
            Side::Buy => (Shares { bought_today: self.quantity, ..Shares::default() }, None, None, -value),
            Side::Sell => {
                let sale = Sale::draw(position, exchange, trade_date, self.quantity, order.delivers_gross);
                let usable = sale.usable(value, context.policy, trade_date)?;
                (sale.drawn.negated(), Some(sale.drawn), Some(usable), value)
            }
        };
        Some(Effect { moved, position: position.shares.plus(moved), drawn, usable, intraday: None, amount })
    }

    fn trade_intraday(&self, book: &Book, order: &Order, value: Money, context: &Context<'_>) -> Option<Effect> {
        let session = order.session_date;
        let open = intraday::position(book, session, order.instrument);
        let mut trade = open.trade(session, order.side, self.quantity, value)?;
        trade.after = trade.after.on_margin(context.policy.intraday_margin(session))?;
        let signed = if order.side == Side::Buy { self.quantity } else { -self.quantity };
        let moved = Shares { bought_today: signed, ..Shares::default() };
        let position = Shares { bought_today: intraday::total(book, order.instrument) + signed, ..Shares::default() };
        Some(Effect { moved, position, drawn: None, usable: None, intraday: Some(trade), amount: trade.realised })
    }

    /// The order's block after the trade: while a modification waits, the larger of what stands and what is asked.
    fn still_blocked(&self, order: &Order, pending: Quantity, opening: Quantity) -> Option<Money> {
        if order.status.is_final() {
            return Some(Money::ZERO);
        }
        let standing = block_of(order, order.block_price, pending, opening)?;
        let asked = match order.waiting {
            Some(Waiting::Modification { quantity, block_price, .. }) => {
                // A trade may take the place of one that was cancelled.
                let filled = order.filled + self.quantity;
                let undone = order.undone.min(order.quantity - filled);
                let left = (quantity - filled - undone).max(Quantity::ZERO);
                block_of(order, block_price, left, (left - (pending - opening)).max(Quantity::ZERO))?
            }
            _ => Money::ZERO,
        };
        Some(standing.max(asked))
    }
}

/// Where a sale's shares come from: bought that day, then settled, then T1, or, if each share is delivered, settled
/// alone; what nothing covers is drawn from settled.
pub(super) struct Sale<'a> {
    pub(super) drawn: Shares,
    day: Option<&'a Day>,
    uncovered: Quantity,
}

impl<'a> Sale<'a> {
    pub(super) fn draw(
        position: &'a Position,
        exchange: Exchange,
        trade_date: Date,
        quantity: Quantity,
        delivers_gross: bool,
    ) -> Self {
        let day = position.days.get(&(exchange, trade_date));
        let held = position.shares;
        let none = Quantity::ZERO;
        let unsettled = if delivers_gross { none } else { quantity };
        let bought_today =
            unsettled.min(day.map_or(none, |day| day.bought - day.drawn.bought_today).min(held.bought_today).max(none));
        let settled = (quantity - bought_today).min(held.settled.max(none));
        let t1 = (unsettled - bought_today - settled).max(none).min(held.t1);
        let uncovered = quantity - bought_today - settled - t1;
        Self { drawn: Shares { bought_today, t1, settled: settled + uncovered }, day, uncovered }
    }

    /// The part of the sale's value that new orders may use before it settles; `None` when it does not fit.
    pub(super) fn usable(&self, value: Money, policy: &Policy, trade_date: Date) -> Option<Money> {
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
