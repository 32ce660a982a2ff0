//! Intraday positions: the margin an order needs, squaring off before the session ends, and becoming delivery.

use super::{
    Book, Context, cover,
    days::{session_closes, settlement_date},
    fills::Sale,
    now,
    orders::{block_of, check_shares},
};
use crate::{
    calendar::{REGULAR_CLOSE, Session},
    cash::{Posted, Reason as CashReason},
    event::{Event, EventData},
    ids::{Exchange, InstrumentId, OrderId},
    intraday::{Convert, Converted, Intraday, SquareOff, part},
    market::Listing,
    money::{Money, Quantity},
    order::{DueTo, Order, OrderType, Product, Reblocked, Requested, Side, Validity, Waiting},
    position::{Changed, Position, Reason, Shares},
    rejection::{Refusal, Rejection},
    time::{Date, Timestamp},
};

/// How often a position is squared off at most, should the venue refuse or what was squared off open again.
const SQUARE_OFFS_MAX: u32 = 3;

/// When positions of a session are squared off.
pub(super) fn square_off_at(session: &Session, context: &Context<'_>) -> Timestamp {
    session.closes_at().plus_micros(-session_square_off(session, context))
}

/// How long before a session's end that is, in microseconds.
fn session_square_off(session: &Session, context: &Context<'_>) -> i64 {
    i64::from(context.policy.intraday_square_off_minutes(session.date).0) * 60_000_000
}

/// Of an order's pending shares, those that would open or add to a position: what is left of it when the other pending
/// orders of its side have closed what they are counted on to close. `except` is the order's own `seq`.
pub(super) fn opening(
    book: &Book,
    instrument: InstrumentId,
    session_date: Date,
    side: Side,
    pending: Quantity,
    except: Option<u64>,
) -> Quantity {
    let open = position(book, session_date, instrument).quantity;
    let closable = match side {
        Side::Sell => open,
        Side::Buy => -open,
    };
    let others: Quantity = pending_orders(book, session_date, instrument)
        .filter(|(seq, order)| order.side == side && Some(*seq) != except)
        .map(|(_, order)| order.counted_on())
        .sum();
    pending - pending.min((closable - others).max(Quantity::ZERO))
}

/// What pending orders open once a position has become another.
pub(super) struct Margins {
    /// Shares of the order that changed the position.
    pub(super) own: Quantity,
    /// Others whose margin changes.
    pub(super) others: Vec<Reblocked>,
}

impl Margins {
    /// What they block more than before, or less below zero.
    fn added(&self, book: &Book) -> Money {
        let added = |other: &Reblocked| {
            let before = book.orders.get(&other.order_id.seq).map_or(Money::ZERO, |order| order.blocked);
            other.blocked - before
        };
        self.others.iter().map(added).sum()
    }
}

/// Shares out anew what can be closed of a position: the orders that close it first come first, in the order they were
/// asked for. `changed` is the order that brought this about, with its pending shares. `None` when an amount does not fit.
pub(super) fn margins(
    book: &Book,
    session_date: Date,
    instrument: InstrumentId,
    after: Option<Quantity>,
    changed: Option<(u64, Quantity)>,
) -> Option<Margins> {
    let open = after.unwrap_or_else(|| position(book, session_date, instrument).quantity);
    let (mut to_sell, mut to_buy) = (open.max(Quantity::ZERO), (-open).max(Quantity::ZERO));
    let mut margins = Margins { own: Quantity::ZERO, others: Vec::new() };
    for (seq, order) in pending_orders(book, session_date, instrument) {
        let own = changed.filter(|(changed, _)| *changed == seq);
        let pending = own.map_or_else(|| order.pending(), |(_, pending)| pending);
        let closable = if order.side == Side::Sell { &mut to_sell } else { &mut to_buy };
        let closing = pending.min(*closable);
        *closable -= closing;
        let opening = pending - closing;
        if own.is_some() {
            margins.own = opening;
            continue;
        }
        let standing = block_of(order, order.block_price, pending, opening)?;
        let asked_opening = (order.asked() - closing).max(Quantity::ZERO);
        let blocked = match order.waiting {
            Some(Waiting::Modification { block_price, .. }) => {
                standing.max(block_of(order, block_price, order.asked(), asked_opening)?)
            }
            _ => standing,
        };
        let is_other = (opening, blocked) != (order.opening, order.blocked);
        if is_other || order.waiting.is_some() && asked_opening != order.asked_opening {
            let order_id = OrderId { account: book.account, seq };
            margins.others.push(Reblocked { order_id, opening, blocked });
        }
    }
    Some(margins)
}

/// What is open in an instrument.
pub(super) fn position(book: &Book, session_date: Date, instrument: InstrumentId) -> Intraday {
    book.intraday.get(&(session_date, instrument)).map(|standing| standing.position).unwrap_or_default()
}

/// Pending intraday orders of a session in an instrument.
pub(super) fn pending_orders(
    book: &Book,
    session_date: Date,
    instrument: InstrumentId,
) -> impl Iterator<Item = (u64, &Order)> {
    let session = book.intraday_orders.range((session_date, 0)..=(session_date, u64::MAX));
    session
        .filter_map(|(_, seq)| Some((*seq, book.orders.get(seq)?)))
        .filter(move |(_, order)| order.instrument == instrument)
}

/// From when until when a position is to be squared off: from its session's square-off on, or, while an order of the
/// account in it may still trade, from half of the time that is left. Nothing once it has been, or without a session.
pub(super) fn squares_off(
    book: &Book,
    session_date: Date,
    instrument: InstrumentId,
    context: &Context<'_>,
) -> Option<(Timestamp, Timestamp)> {
    let standing = book.intraday.get(&(session_date, instrument))?;
    let is_closed = standing.position.quantity.is_zero() || standing.is_short_delivery;
    if is_closed || standing.squaring_off || standing.square_offs >= SQUARE_OFFS_MAX {
        return None;
    }
    let session = context.market.calendar.session(context.calendar, instrument.exchange()?, session_date)?;
    let left = session_square_off(&session, context);
    let waits = pending_orders(book, session_date, instrument).next().is_some();
    let from = session.closes_at().plus_micros(if waits { -left / 2 } else { -left });
    // What was opened after its session is over is delivered at once.
    context.market.instruments.contains_key(&instrument).then_some((from, session.closes_at()))
}

/// From when until when the back office cancels an intraday order that is still pending: from its session's square-off
/// on, unless a change of it waits or it was asked before.
pub(super) fn cancels(order: &Order, context: &Context<'_>) -> Option<(Timestamp, Timestamp)> {
    if order.squares_off || order.waiting.is_some() || order.cancelled_by_due {
        return None;
    }
    square_off_of(order, context)
}

/// From when until when positions of an order's session are squared off.
pub(super) fn square_off_of(order: &Order, context: &Context<'_>) -> Option<(Timestamp, Timestamp)> {
    let exchange = order.instrument.exchange()?;
    let session = context.market.calendar.session(context.calendar, exchange, order.session_date)?;
    Some((square_off_at(&session, context), session.closes_at()))
}

/// From when positions of a session are squared off.
pub(super) fn square_off_from(date: Date, instrument: InstrumentId, context: &Context<'_>) -> Option<Timestamp> {
    let session = context.market.calendar.session(context.calendar, instrument.exchange()?, date)?;
    Some(square_off_at(&session, context))
}

/// When what is still open of a session becomes delivery.
pub(super) fn ends_at(session_date: Date, instrument: InstrumentId, context: &Context<'_>) -> Timestamp {
    let closes = |exchange| session_closes(exchange, session_date, &context.market.calendar, context.calendar);
    instrument.exchange().map_or_else(|| session_date.at(REGULAR_CLOSE), closes)
}

/// An order at market that closes what is open.
pub(super) fn square_off(book: &Book, asked: &SquareOff, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let due = squares_off(book, asked.trade_date, asked.instrument, context);
    let listing = context.market.instruments.get(&asked.instrument);
    let (Some((from, until)), Some(listing)) = (due, listing) else { return Err(Rejection::NotDue.into()) };
    if asked.product != Product::Mis || !(from..until).contains(&context.now) {
        return Err(Rejection::NotDue.with("due_at", from));
    }
    let exchange = listing.instrument.exchange;
    let session = context.market.calendar.session(context.calendar, exchange, asked.trade_date);
    let session = session.ok_or(Rejection::NoSession)?;
    let position = position(book, asked.trade_date, asked.instrument);
    Ok(vec![now(
        context,
        EventData::OrderRequested(Requested {
            order_id: OrderId { account: book.account, seq: book.seq + 1 },
            instrument: asked.instrument,
            series: listing.instrument.series,
            side: position.closing_side(),
            quantity: Quantity::new(position.quantity.shares().abs()),
            order_type: OrderType::Market,
            price: None,
            trigger_price: None,
            disclosed_quantity: None,
            market_protection: None,
            product: Product::Mis,
            validity: Validity::Day,
            session_date: asked.trade_date,
            calendar: session.basis,
            block_price: None,
            // It closes and opens nothing.
            blocked: Some(Money::ZERO),
            opening: Some(Quantity::ZERO),
            margin: Some(context.policy.intraday_margin(asked.trade_date)),
            due_to: Some(DueTo::SquareOff),
            tag: None,
            algo_id: None,
        }),
    )])
}

/// Of what is open, the shares that can be delivered: all that was bought, and of what was sold no more than what is
/// held, free, and settles with the sale at the latest.
pub(super) fn deliverable(
    book: &Book,
    session_date: Date,
    instrument: InstrumentId,
    context: &Context<'_>,
) -> Quantity {
    let none = Quantity::ZERO;
    let open = position(book, session_date, instrument).quantity;
    if !open.is_negative() {
        return open;
    }
    let (Some(exchange), Some(position)) = (instrument.exchange(), book.positions.get(&instrument)) else {
        return none;
    };
    let date = settlement_date(book, instrument, exchange, session_date, context);
    let day = position.days.get(&(exchange, session_date));
    let bought_today = day.map_or(none, |day| day.bought - day.drawn.bought_today).min(position.shares.bought_today);
    let t1: Quantity = position.t1.range(..=date).map(|(_, lot)| *lot).sum();
    let held = bought_today.max(none) + position.shares.settled.max(none) + t1;
    let free = (position.shares.total() - position.blocked).max(none);
    (-open).min(held).min(free)
}

/// When what is left open of a session can become delivery: when the session ends, or, of what was short of shares
/// then, once some are there; nothing while there are none.
pub(super) fn delivers_at(
    book: &Book,
    session_date: Date,
    instrument: InstrumentId,
    context: &Context<'_>,
) -> Option<Timestamp> {
    let standing = book.intraday.get(&(session_date, instrument))?;
    let waits = standing.position.quantity.is_zero()
        || standing.is_short_delivery && deliverable(book, session_date, instrument, context).is_zero();
    (!waits).then(|| ends_at(session_date, instrument, context))
}

/// Makes delivery of a position: asked for by the account's holder, or by the back office when the session is over.
///
/// The back office delivers what can be delivered. What was sold and is not there stays open: its proceeds are not
/// posted, and its margin stays blocked towards the close-out (NSE Clearing, capital market: the auction's price, else
/// the highest from the trade to the auction or 20% above that day's close, whichever is higher). It ends with the
/// trade that closes it out, told as one of an order of its session, or with shares that come to be held.
pub(super) fn convert(book: &Book, asked: &Convert, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    if !asked.quantity.is_positive() {
        return Err(Rejection::QuantityNotPositive.with("quantity", asked.quantity));
    }
    let instrument = asked.instrument;
    let unknown = || Rejection::UnknownInstrument.with("instrument", instrument);
    let listing = context.market.instruments.get(&instrument).ok_or_else(unknown)?;
    let exchange = instrument.exchange().ok_or_else(unknown)?;
    if (asked.from, asked.to) != (Product::Mis, Product::Cnc) {
        return Err(Rejection::ConversionNotAllowed.into());
    }
    match asked.trade_date {
        Some(trade_date) => {
            let quantity = left_open(book, asked, trade_date, context)?;
            let is_late = book.intraday.get(&(trade_date, instrument)).is_some_and(|left| left.is_short_delivery);
            let at = if is_late { context.now } else { ends_at(trade_date, instrument, context) };
            let conversion = Conversion::new(book, asked, exchange, trade_date, quantity, context)?;
            Ok(conversion.events(book, asked, at))
        }
        None => {
            let trade_date = context.now.date();
            check_asked(book, asked, listing, trade_date)?;
            let conversion = Conversion::new(book, asked, exchange, trade_date, asked.quantity, context)?;
            let (side, value, after) = (conversion.side, conversion.value, conversion.after);
            let paid = if side == Side::Buy { value } else { -conversion.delivered.usable.unwrap_or_default() };
            let margin = position(book, trade_date, instrument).margin;
            cover(book, paid - (margin - after.margin) + conversion.margins.added(book))?;
            Ok(conversion.events(book, asked, context.now))
        }
    }
}

/// What the back office makes delivery of: what can be delivered of a position whose session is over.
fn left_open(book: &Book, asked: &Convert, trade_date: Date, context: &Context<'_>) -> Result<Quantity, Refusal> {
    let open = Quantity::new(position(book, trade_date, asked.instrument).quantity.shares().abs());
    match delivers_at(book, trade_date, asked.instrument, context) {
        Some(due_at) if context.now >= due_at && asked.quantity <= open => {
            Ok(asked.quantity.min(deliverable(book, trade_date, asked.instrument, context)))
        }
        Some(due_at) => Err(Rejection::NotDue.with("due_at", due_at)),
        None => Err(Rejection::NotDue.into()),
    }
}

/// What the holder asks for: today's position, less what pending orders that close it count on, and of a short one no
/// more than the shares to deliver.
fn check_asked(book: &Book, asked: &Convert, listing: &Listing, trade_date: Date) -> Result<(), Refusal> {
    let position = position(book, trade_date, asked.instrument);
    let side = position.closing_side().opposite();
    let open = Quantity::new(position.quantity.shares().abs());
    let closes: Quantity = pending_orders(book, trade_date, asked.instrument)
        .filter(|(_, order)| order.side != side)
        .map(|(_, order)| order.counted_on())
        .sum();
    if asked.quantity > open - closes {
        let figures = Rejection::InsufficientShares.with("needed", asked.quantity);
        return Err(figures.with("held", open).with("blocked", closes));
    }
    if side == Side::Sell {
        check_shares(book, listing, asked.instrument, asked.quantity)?;
    }
    Ok(())
}

/// A position, or a part of it, as delivery.
struct Conversion {
    trade_date: Date,
    side: Side,
    quantity: Quantity,
    value: Money,
    after: Intraday,
    margins: Margins,
    delivered: Delivered,
}

impl Conversion {
    fn new(
        book: &Book,
        asked: &Convert,
        exchange: Exchange,
        trade_date: Date,
        quantity: Quantity,
        context: &Context<'_>,
    ) -> Result<Self, Refusal> {
        let too_large = || Rejection::AmountTooLarge.with("quantity", quantity);
        let instrument = asked.instrument;
        let position = position(book, trade_date, instrument);
        let side = position.closing_side().opposite();
        let open = Quantity::new(position.quantity.shares().abs());
        let value = part(position.value, quantity, open).ok_or_else(too_large)?;
        let signed = if side == Side::Buy { quantity } else { -quantity };
        let left =
            Intraday { quantity: position.quantity - signed, value: position.value - value, margin: Money::ZERO };
        let after = left.on_margin(context.policy.intraday_margin(trade_date)).ok_or_else(too_large)?;
        let delivered = Delivered::new(book, instrument, exchange, trade_date, side, quantity, value, context)
            .ok_or_else(too_large)?;
        let margins = margins(book, trade_date, instrument, Some(after.quantity), None).ok_or_else(too_large)?;
        Ok(Self { trade_date, side, quantity, value, after, margins, delivered })
    }

    fn events(self, book: &Book, asked: &Convert, at: Timestamp) -> Vec<Event> {
        let (instrument, trade_date) = (asked.instrument, self.trade_date);
        let signed = if self.side == Side::Buy { self.quantity } else { -self.quantity };
        let settlement_date = self.delivered.settlement_date;
        let mut events = vec![EventData::PositionConverted(Converted {
            instrument,
            trade_date,
            from: asked.from,
            to: asked.to,
            side: self.side,
            quantity: self.quantity,
            value: self.value,
            settlement_date,
            drawn: self.delivered.drawn,
            usable: self.delivered.usable,
            after: self.after,
            reblocked: self.margins.others,
        })];
        if !self.quantity.is_zero() {
            events.push(EventData::PositionChanged(Changed {
                instrument,
                product: Product::Mis,
                reason: Reason::Converted,
                moved: Shares { bought_today: -signed, ..Shares::default() },
                position: Shares { bought_today: total(book, instrument) - signed, ..Shares::default() },
            }));
            events.push(EventData::PositionChanged(self.delivered.changed));
            events.push(EventData::CashPosted(Posted {
                amount: if self.side == Side::Buy { -self.value } else { self.value },
                reason: CashReason::Conversion,
                reference: format!("{trade_date}/{instrument}").into(),
                settlement_date: Some(settlement_date),
                usable: self.delivered.usable,
            }));
        }
        events.into_iter().map(|data| Event { effective_at: at, data }).collect()
    }
}

/// What an account has open in an instrument, over all sessions: a late trade may leave one of a past day.
pub(super) fn total(book: &Book, instrument: InstrumentId) -> Quantity {
    book.intraday.iter().filter(|((_, of), _)| *of == instrument).map(|(_, standing)| standing.position.quantity).sum()
}

/// What delivery makes of a position's shares.
struct Delivered {
    settlement_date: Date,
    drawn: Option<Shares>,
    usable: Option<Money>,
    changed: Changed,
}

impl Delivered {
    fn new(
        book: &Book,
        instrument: InstrumentId,
        exchange: Exchange,
        trade_date: Date,
        side: Side,
        quantity: Quantity,
        value: Money,
        context: &Context<'_>,
    ) -> Option<Self> {
        let settlement_date = settlement_date(book, instrument, exchange, trade_date, context);
        let empty = Position::default();
        let position = book.positions.get(&instrument).unwrap_or(&empty);
        let (moved, drawn, usable) = match side {
            Side::Buy => (Shares { bought_today: quantity, ..Shares::default() }, None, None),
            Side::Sell => {
                // No intraday order is taken in a trade-to-trade series.
                let sale = Sale::draw(position, exchange, trade_date, quantity, false);
                let usable = sale.usable(value, context.policy, trade_date)?;
                (sale.drawn.negated(), Some(sale.drawn), Some(usable))
            }
        };
        let changed = Changed {
            instrument,
            product: Product::Cnc,
            reason: Reason::Converted,
            moved,
            position: position.shares.plus(moved),
        };
        Some(Self { settlement_date, drawn, usable, changed })
    }
}
