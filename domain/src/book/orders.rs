//! Requests about orders, and what the venue reports of them.

use super::{Book, Context, cover, now};
use crate::{
    calendar::Session,
    event::{Event, EventData},
    ids::{InstrumentId, OrderId},
    market::Listing,
    money::{Money, Percent, Price, Quantity, Rounding},
    order::{
        Accepted, Cancel, CancellationRequested, Cancelled, Expired, ModificationRequested, Modified, Modify, Order,
        OrderType, Place, Refused, Rejected, Report, ReportKind, Requested, Side, Status, Waiting,
    },
    position::Position,
    rejection::{Refusal, Rejection},
    time::Date,
};

/// SEBI's and the exchanges' bound on changes of one order (NSE: the 26th is refused).
pub const MODIFICATIONS_MAX: u32 = 25;

pub(super) fn place(book: &Book, place: &Place, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let terms = Terms {
        instrument: place.instrument,
        side: place.side,
        quantity: place.quantity,
        order_type: place.order_type,
        price: place.price,
        market_protection: place.market_protection,
    };
    terms.check_figures()?;
    let listing = tradable(place.instrument, context)?;
    terms.check_type()?;
    let session = session(place.instrument, context);
    let price_date = session.as_ref().map_or_else(|| context.now.date(), |session| session.date);
    terms.check_price(listing, price_date)?;
    let block_price = terms.block_price(listing, price_date, context)?;
    let session = session.ok_or(Rejection::NoSession)?;
    let blocked = match block_price {
        Some(price) => Some(worth(price, place.quantity)?),
        None => None,
    };
    if place.side == Side::Sell {
        check_shares(book, listing, place.instrument, place.quantity)?;
    }
    if let Some(needed) = blocked {
        cover(book, needed)?;
    }
    Ok(vec![now(
        context,
        EventData::OrderRequested(Requested {
            order_id: OrderId { account: book.account, seq: book.seq + 1 },
            instrument: place.instrument,
            series: listing.instrument.series,
            side: place.side,
            quantity: place.quantity,
            order_type: place.order_type,
            price: place.price,
            market_protection: place.market_protection,
            product: place.product,
            validity: place.validity,
            session_date: session.date,
            calendar: session.basis,
            block_price,
            blocked,
            tag: place.tag,
            algo_id: place.algo_id,
        }),
    )])
}

pub(super) fn modify(book: &Book, modify: &Modify, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    if modify.quantity.is_some_and(|quantity| !quantity.is_positive()) {
        return Err(Rejection::QuantityNotPositive.into());
    }
    if modify.price.is_some_and(|price| !price.is_positive()) {
        return Err(Rejection::PriceNotPositive.into());
    }
    let order = changeable(book, &modify.order_id)?;
    if order.modifications >= MODIFICATIONS_MAX {
        return Err(Rejection::TooManyModifications.with("modifications", order.modifications));
    }
    let order_type = modify.order_type.unwrap_or(order.order_type);
    let price = match order_type {
        OrderType::Limit => modify.price.or(order.price),
        OrderType::Market => modify.price,
    };
    let quantity = modify.quantity.unwrap_or(order.quantity);
    let validity = modify.validity.unwrap_or(order.validity);
    if (order_type, price, quantity, validity) == (order.order_type, order.price, order.quantity, order.validity) {
        return Err(Rejection::NothingToModify.into());
    }
    if quantity < order.filled {
        return Err(Rejection::QuantityBelowFilled.with("quantity", quantity).with("filled", order.filled));
    }
    let terms =
        Terms { instrument: order.instrument, side: order.side, quantity, order_type, price, market_protection: None };
    let listing = tradable(order.instrument, context)?;
    terms.check_type()?;
    terms.check_price(listing, order.session_date)?;
    let block_price = terms.block_price(listing, order.session_date, context)?;
    let (mut blocked, mut blocked_quantity) = (None, None);
    match block_price {
        Some(price) => {
            // What stands may still trade until the venue answers: the larger of both stays blocked.
            let wanted = worth(price, quantity - order.filled)?.max(order.blocked);
            cover(book, wanted - order.blocked)?;
            blocked = Some(wanted);
        }
        None => {
            let wanted = (quantity - order.filled).max(order.blocked_quantity);
            check_shares(book, listing, order.instrument, wanted - order.blocked_quantity)?;
            blocked_quantity = Some(wanted);
        }
    }
    Ok(vec![now(
        context,
        EventData::ModificationRequested(ModificationRequested {
            order_id: modify.order_id,
            number: order.modifications + 1,
            quantity,
            price,
            order_type,
            validity,
            block_price,
            blocked,
            blocked_quantity,
        }),
    )])
}

pub(super) fn cancel(book: &Book, cancel: &Cancel, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    changeable(book, &cancel.order_id)?;
    Ok(vec![now(context, EventData::CancellationRequested(CancellationRequested { order_id: cancel.order_id }))])
}

/// A report is always recorded; one that fits no order or state has no effect.
pub(super) fn report(book: &Book, report: &Report) -> Vec<Event> {
    let order = book.order(&report.order_id).filter(|order| !order.status.is_final());
    let (order_id, reason) = (report.order_id, report.reason.clone());
    let pending = order.map_or(Quantity::ZERO, Order::pending);
    let data = match report.report {
        ReportKind::Accepted => EventData::OrderAccepted(Accepted {
            order_id,
            exchange_order_id: report.exchange_order_id,
            applied: order.is_some_and(|order| order.status == Status::Requested),
        }),
        ReportKind::Rejected => EventData::OrderRejected(rejected(order, order_id, reason)),
        ReportKind::Modified => EventData::OrderModified(modified(order, report)),
        ReportKind::Cancelled => {
            EventData::OrderCancelled(Cancelled { order_id, cancelled: pending, reason, applied: order.is_some() })
        }
        ReportKind::Expired => {
            EventData::OrderExpired(Expired { order_id, cancelled: pending, applied: order.is_some() })
        }
    };
    vec![Event { effective_at: report.at, data }]
}

fn rejected(order: Option<&Order>, order_id: OrderId, reason: Option<Box<str>>) -> Rejected {
    let (refused, cancelled, blocked, applied) = match order {
        Some(order) if order.status == Status::Requested => (Refused::Order, order.pending(), None, true),
        Some(order) => match order.waiting {
            Some(Waiting::Modification { .. }) => {
                let blocked = order.block_price.and_then(|price| price.times(order.pending(), Rounding::Up));
                (Refused::Modification, Quantity::ZERO, blocked, true)
            }
            Some(Waiting::Cancellation) => {
                (Refused::Cancellation, Quantity::ZERO, (order.side == Side::Buy).then_some(order.blocked), true)
            }
            None => (Refused::Order, Quantity::ZERO, None, false),
        },
        None => (Refused::Order, Quantity::ZERO, None, false),
    };
    Rejected { order_id, refused, reason, cancelled, blocked, applied }
}

fn modified(order: Option<&Order>, report: &Report) -> Modified {
    let order_id = report.order_id;
    match order.map(|order| (order, order.waiting)) {
        Some((order, Some(Waiting::Modification { quantity, price, order_type, validity, block_price }))) => {
            // A fill may have overtaken the change: the venue cannot go below what is filled, and says what it granted.
            let quantity = report.quantity.unwrap_or(quantity).max(order.filled);
            let (price, block_price) = match report.price {
                Some(granted) if order_type == OrderType::Limit => (Some(granted), block_price.map(|_| granted)),
                _ => (price, block_price),
            };
            let blocked = block_price.and_then(|price| price.times(quantity - order.filled, Rounding::Up));
            Modified { order_id, quantity, price, order_type, validity, block_price, blocked, applied: true }
        }
        Some((order, _)) => Modified {
            order_id,
            quantity: order.quantity,
            price: order.price,
            order_type: order.order_type,
            validity: order.validity,
            block_price: order.block_price,
            blocked: (order.side == Side::Buy).then_some(order.blocked),
            applied: false,
        },
        None => Modified {
            order_id,
            quantity: report.quantity.unwrap_or_default(),
            price: report.price,
            order_type: if report.price.is_some() { OrderType::Limit } else { OrderType::Market },
            validity: crate::order::Validity::Day,
            block_price: None,
            blocked: None,
            applied: false,
        },
    }
}

fn changeable<'a>(book: &'a Book, id: &OrderId) -> Result<&'a Order, Refusal> {
    let order = book.order(id).ok_or_else(|| Rejection::UnknownOrder.with("order_id", id))?;
    if order.status.is_final() {
        return Err(Rejection::OrderClosed.with("status", order.status.name()));
    }
    if order.waiting.is_some() {
        return Err(Rejection::ModificationPending.into());
    }
    Ok(order)
}

fn tradable<'a>(instrument: InstrumentId, context: &Context<'a>) -> Result<&'a Listing, Refusal> {
    let listing = context
        .market
        .instruments
        .get(&instrument)
        .ok_or_else(|| Rejection::UnknownInstrument.with("instrument", instrument))?;
    if listing.instrument.tick_size.is_none() || instrument.exchange().is_none() {
        return Err(Rejection::InstrumentNotTradable.with("instrument", instrument));
    }
    Ok(listing)
}

fn session(instrument: InstrumentId, context: &Context<'_>) -> Option<Session> {
    context.market.calendar.session_for(context.calendar, instrument.exchange()?, context.now)
}

fn worth(price: Price, quantity: Quantity) -> Result<Money, Refusal> {
    price
        .times(quantity, Rounding::Up)
        .ok_or_else(|| Rejection::AmountTooLarge.with("quantity", quantity).with("price", price))
}

fn check_shares(book: &Book, listing: &Listing, instrument: InstrumentId, needed: Quantity) -> Result<(), Refusal> {
    let empty = Position::default();
    let position = book.positions.get(&instrument).unwrap_or(&empty);
    // Trade-to-trade series deliver gross: only settled shares may be sold (NSE series BE, BZ).
    let settled_only = matches!(listing.instrument.series.as_str(), "BE" | "BZ");
    let held = if settled_only { position.shares.settled } else { position.shares.total() };
    let free = held - position.blocked;
    if needed > free && needed.is_positive() {
        return Err(Rejection::InsufficientShares
            .with("needed", needed)
            .with("held", held)
            .with("blocked", position.blocked));
    }
    Ok(())
}

/// What an order asks, placed or modified.
struct Terms {
    instrument: InstrumentId,
    side: Side,
    quantity: Quantity,
    order_type: OrderType,
    price: Option<Price>,
    market_protection: Option<Percent>,
}

impl Terms {
    fn check_figures(&self) -> Result<(), Refusal> {
        if let Some(price) = self.price.filter(|price| price.is_positive()) {
            worth(price, self.quantity)?;
        }
        if !self.quantity.is_positive() {
            return Err(Rejection::QuantityNotPositive.with("quantity", self.quantity));
        }
        match self.price {
            Some(price) if !price.is_positive() => Err(Rejection::PriceNotPositive.with("price", price)),
            _ => Ok(()),
        }
    }
    fn check_type(&self) -> Result<(), Refusal> {
        match (self.order_type, self.price) {
            (OrderType::Limit, None) => return Err(Rejection::PriceRequired.into()),
            (OrderType::Market, Some(_)) => return Err(Rejection::PriceNotAllowed.into()),
            _ => {}
        }
        match (self.order_type, self.market_protection) {
            (OrderType::Limit, Some(_)) => Err(Rejection::MarketProtectionNotAllowed.into()),
            (OrderType::Market, Some(percent)) if !percent.is_positive() || percent > Percent::whole(100) => {
                Err(Rejection::MarketProtectionNotAllowed.with("market_protection", percent))
            }
            _ => Ok(()),
        }
    }
    fn check_price(&self, listing: &Listing, date: Date) -> Result<(), Refusal> {
        let Some(price) = self.price else { return Ok(()) };
        if let Some(tick) = listing.instrument.tick_size
            && !price.is_on_tick(tick)
        {
            return Err(Rejection::PriceOffTick.with("price", price).with("tick_size", tick));
        }
        match listing.band(date) {
            Some((low, high)) if price < low || price > high => {
                Err(Rejection::PriceOutsideBand.with("price", price).with("low", low).with("high", high))
            }
            _ => Ok(()),
        }
    }
    /// The price a purchase is blocked at; `None` for a sale.
    fn block_price(&self, listing: &Listing, date: Date, context: &Context<'_>) -> Result<Option<Price>, Refusal> {
        if self.side == Side::Sell {
            return Ok(None);
        }
        if let Some(limit) = self.price {
            return Ok(Some(limit));
        }
        let last = listing.last_price();
        let above = |percent: Percent| {
            let last = last?;
            last.checked_add(percent.of_price(last, Rounding::Up)?)
        };
        let price = match self.market_protection {
            Some(protection) => above(protection),
            None => {
                listing.band(date).map(|(_, high)| high).or_else(|| above(context.policy.market_order_margin(date)))
            }
        };
        price.map(Some).ok_or_else(|| Rejection::NoPrice.with("instrument", self.instrument))
    }
}
