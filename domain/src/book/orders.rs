//! Requests about orders, and what the venue reports of them.

use super::{Book, Context, cover, intraday, now};
use crate::{
    calendar::Session,
    event::{Event, EventData},
    ids::{InstrumentId, OrderId},
    market::Listing,
    money::{Money, Percent, Price, Quantity, Rounding},
    order::{
        Accepted, Cancel, CancellationRequested, Cancelled, Expired, Flag, ModificationRequested, Modified, Modify,
        Order, OrderType, Place, Product, Refused, Rejected, Report, ReportKind, Requested, Side, Status, Triggered,
        Validity, Waiting,
    },
    position::Position,
    rejection::{Refusal, Rejection},
    time::{Date, Timestamp},
};

/// SEBI's and the exchanges' bound on changes of one order (NSE: the 26th is refused).
pub const MODIFICATIONS_MAX: u32 = 25;

/// A tenth of the quantity at least is disclosed (NSE, capital market trading regulations, 2.5.3).
const DISCLOSED_PART: i64 = 10;

pub(super) fn place(book: &Book, place: &Place, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let terms = Terms {
        instrument: place.instrument,
        side: place.side,
        product: place.product,
        quantity: place.quantity,
        order_type: place.order_type,
        price: place.price,
        trigger_price: place.trigger_price,
        market_protection: place.market_protection,
    };
    let session = session(place.instrument, context);
    let price_date = session.as_ref().map_or_else(|| context.now.date(), |session| session.date);
    terms.check_amounts(price_date, context)?;
    terms.check_figures()?;
    let listing = tradable(place.instrument, context)?;
    terms.check_type()?;
    terms.check_trigger_price()?;
    check_disclosed(place.disclosed_quantity, place.quantity, place.validity)?;
    terms.check_product(listing)?;
    terms.check_price(listing, price_date)?;
    terms.check_trigger_side(listing)?;
    let block_price = terms.block_price(listing, price_date, context)?;
    let session = session.ok_or(Rejection::NoSession)?;
    let mut requested = Requested {
        order_id: OrderId { account: book.account, seq: book.seq + 1 },
        instrument: place.instrument,
        series: listing.instrument.series,
        side: place.side,
        quantity: place.quantity,
        order_type: place.order_type,
        price: place.price,
        trigger_price: place.trigger_price,
        disclosed_quantity: place.disclosed_quantity,
        market_protection: place.market_protection,
        product: place.product,
        validity: place.validity,
        session_date: session.date,
        calendar: session.basis,
        block_price,
        blocked: None,
        opening: None,
        margin: None,
        due_to: None,
        tag: place.tag,
        algo_id: place.algo_id,
    };
    match (place.product, block_price) {
        (Product::Mis, price) => {
            let square_off = intraday::square_off_at(&session, context);
            if context.now >= square_off {
                return Err(Rejection::SquareOffPassed.with("square_off_at", square_off));
            }
            let (margin, price) = (context.policy.intraday_margin(session.date), price.unwrap_or_default());
            let opening = intraday::opening(book, place.instrument, session.date, place.side, place.quantity, None);
            requested.opening = Some(opening);
            requested.margin = Some(margin);
            requested.blocked = Some(on_margin(price, opening, margin)?);
        }
        (Product::Cnc, Some(price)) => requested.blocked = Some(worth(price, place.quantity)?),
        (Product::Cnc, None) => check_shares(book, listing, place.instrument, place.quantity)?,
    }
    if let Some(needed) = requested.blocked {
        cover(book, needed)?;
    }
    Ok(vec![now(context, EventData::OrderRequested(requested))])
}

pub(super) fn modify(book: &Book, modify: &Modify, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    if let Some(order) = book.order(&modify.order_id) {
        Terms::modified(order, modify).check_amounts(order.session_date, context)?;
    }
    if let Some(quantity) = modify.quantity.filter(|quantity| !quantity.is_positive()) {
        return Err(Rejection::QuantityNotPositive.with("quantity", quantity));
    }
    if let Some(price) = [modify.price, modify.trigger_price].into_iter().flatten().find(|price| !price.is_positive()) {
        return Err(Rejection::PriceNotPositive.with("price", price));
    }
    let order = changeable(book, &modify.order_id)?;
    if order.modifications >= MODIFICATIONS_MAX {
        return Err(Rejection::TooManyModifications.with("modifications", order.modifications));
    }
    let terms = Terms::modified(order, modify);
    let Terms { order_type, price, trigger_price, quantity, .. } = terms;
    let validity = modify.validity.unwrap_or(order.validity);
    let asked = (order_type, price, trigger_price, quantity, validity);
    if asked == (order.order_type, order.price, order.trigger_price, order.quantity, order.validity) {
        return Err(Rejection::NothingToModify.into());
    }
    let done = order.filled + order.undone;
    if quantity < done {
        return Err(Rejection::QuantityBelowFilled.with("quantity", quantity).with("filled", done));
    }
    let listing = tradable(order.instrument, context)?;
    terms.check_type()?;
    // What has been triggered stands as a limit order or at market: its trigger price says nothing any more.
    let sleeps = order_type.has_trigger() && !order.triggered;
    if order.triggered && trigger_price != order.trigger_price && order_type.has_trigger() {
        return Err(Rejection::OrderTriggered.into());
    }
    if sleeps {
        terms.check_trigger_price()?;
    }
    check_disclosed(order.disclosed_quantity, quantity, validity)?;
    terms.check_price(listing, order.session_date)?;
    if sleeps && trigger_price != order.trigger_price {
        terms.check_trigger_side(listing)?;
    }
    let block_price = terms.block_price(listing, order.session_date, context)?;
    if order.product == Product::Mis
        && let Some((square_off, _)) = intraday::square_off_of(order, context).filter(|(from, _)| context.now >= *from)
    {
        return Err(Rejection::SquareOffPassed.with("square_off_at", square_off));
    }
    let (mut blocked, mut blocked_quantity, mut opening) = (None, None, None);
    match (order.product, block_price) {
        // What stands may still trade until the venue answers: the larger of both stays blocked.
        (Product::Mis, price) => {
            let except = Some(modify.order_id.seq);
            let left = quantity - done;
            let opens = intraday::opening(book, order.instrument, order.session_date, order.side, left, except);
            let wanted = on_margin(price.unwrap_or_default(), opens, order.margin)?.max(order.blocked);
            cover(book, wanted - order.blocked)?;
            (blocked, opening) = (Some(wanted), Some(opens));
        }
        (Product::Cnc, Some(price)) => {
            let wanted = worth(price, quantity - done)?.max(order.blocked);
            cover(book, wanted - order.blocked)?;
            blocked = Some(wanted);
        }
        (Product::Cnc, None) => {
            let wanted = (quantity - done).max(order.blocked_quantity);
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
            trigger_price,
            order_type,
            validity,
            block_price,
            blocked,
            blocked_quantity,
            opening,
        }),
    )])
}

pub(super) fn cancel(book: &Book, cancel: &Cancel, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    changeable(book, &cancel.order_id)?;
    let Cancel { order_id, due_to } = *cancel;
    Ok(vec![now(context, EventData::CancellationRequested(CancellationRequested { order_id, due_to }))])
}

/// A report is always recorded; one that fits no order or state has no effect.
pub(super) fn report(book: &Book, report: &Report, now: Timestamp) -> Vec<Event> {
    let known = book.order(&report.order_id);
    let flag = Flag::of_time(report.at, known.map(|order| order.requested_at), now);
    let flag = flag.or_else(|| known.is_none().then_some(Flag::UnknownOrder));
    let order = known.filter(|order| !order.status.is_final());
    let (order_id, reason) = (report.order_id, report.reason.clone());
    let pending = order.map_or(Quantity::ZERO, Order::pending);
    let data = match report.report {
        ReportKind::Accepted => EventData::OrderAccepted(Accepted {
            order_id,
            exchange_order_id: report.exchange_order_id,
            applied: order.is_some_and(|order| order.status == Status::Requested),
            flag,
        }),
        ReportKind::Rejected => {
            let rejected = rejected(order, order_id, reason, flag).into_iter().map(EventData::OrderRejected);
            return rejected.map(|data| Event { effective_at: report.at, data }).collect();
        }
        ReportKind::Triggered => {
            EventData::OrderTriggered(Triggered { order_id, applied: order.is_some_and(Order::is_asleep), flag })
        }
        ReportKind::Modified => EventData::OrderModified(Modified { flag, ..modified(book, known, report) }),
        ReportKind::Cancelled => EventData::OrderCancelled(Cancelled {
            order_id,
            cancelled: pending,
            reason,
            applied: order.is_some(),
            flag,
        }),
        ReportKind::Expired => {
            EventData::OrderExpired(Expired { order_id, cancelled: pending, applied: order.is_some(), flag })
        }
    };
    vec![Event { effective_at: report.at, data }]
}

/// What a venue refuses: the order, while it has said nothing else of it, as venues report of an order in turn; else the
/// change that waits. A change of an order that is refused is refused with it, and that is said first.
fn rejected(order: Option<&Order>, order_id: OrderId, reason: Option<Box<str>>, flag: Option<Flag>) -> Vec<Rejected> {
    let no_effect = Rejected {
        order_id,
        refused: Refused::Order,
        reason: reason.clone(),
        cancelled: Quantity::ZERO,
        blocked: None,
        applied: false,
        flag,
    };
    let Some(order) = order else { return vec![no_effect] };
    let change = order.waiting.map(|waiting| {
        let (refused, blocked) = match waiting {
            Waiting::Modification { .. } => {
                (Refused::Modification, block_of(order, order.block_price, order.pending(), order.opening))
            }
            Waiting::Cancellation => (Refused::Cancellation, order.block_price.map(|_| order.blocked)),
        };
        Rejected { refused, blocked, applied: true, ..no_effect.clone() }
    });
    let whole = (order.status == Status::Requested).then(|| Rejected {
        cancelled: order.pending(),
        applied: true,
        ..no_effect.clone()
    });
    let rejected: Vec<Rejected> = change.into_iter().chain(whole).collect();
    if rejected.is_empty() { vec![no_effect] } else { rejected }
}

fn modified(book: &Book, order: Option<&Order>, report: &Report) -> Modified {
    let order_id = report.order_id;
    // Nothing is known of it but what the venue says.
    let Some(order) = order else {
        return Modified {
            order_id,
            quantity: report.quantity.unwrap_or_default(),
            price: report.price,
            trigger_price: None,
            order_type: if report.price.is_some() { OrderType::Limit } else { OrderType::Market },
            validity: Validity::Day,
            block_price: None,
            blocked: None,
            opening: None,
            applied: false,
            flag: None,
        };
    };
    let intraday = |opening: Quantity| (order.product == Product::Mis).then_some(opening);
    let Some(Waiting::Modification { quantity, price, trigger_price, order_type, validity, block_price }) =
        order.waiting
    else {
        return Modified {
            order_id,
            quantity: order.quantity,
            price: order.price,
            trigger_price: order.trigger_price,
            order_type: order.order_type,
            validity: order.validity,
            block_price: order.block_price,
            blocked: order.block_price.map(|_| order.blocked),
            opening: intraday(order.opening),
            applied: false,
            flag: None,
        };
    };
    // A fill may have overtaken the change: the venue cannot go below what is filled, and says what it granted.
    let done = order.filled + order.undone;
    let quantity = report.quantity.unwrap_or(quantity).max(done);
    let (price, block_price) = match report.price {
        // A short sale blocks at its limit at least: it may trade above.
        Some(granted) if order.product == Product::Mis && order.side == Side::Sell && order_type.has_limit() => {
            (Some(granted), block_price.map(|asked| asked.max(granted)))
        }
        Some(granted) if order_type.has_limit() => (Some(granted), block_price.map(|_| granted)),
        _ => (price, block_price),
    };
    let opening = match order.product {
        Product::Cnc => Quantity::ZERO,
        Product::Mis => {
            let except = Some(order_id.seq);
            intraday::opening(book, order.instrument, order.session_date, order.side, quantity - done, except)
        }
    };
    let blocked = block_of(order, block_price, quantity - done, opening);
    let opening = intraday(opening);
    Modified {
        order_id,
        quantity,
        price,
        trigger_price,
        order_type,
        validity,
        block_price,
        blocked,
        opening,
        applied: true,
        flag: None,
    }
}

/// Cash that an order's pending part blocks; absent for a delivery sale, which blocks shares.
pub(super) fn block_of(order: &Order, price: Option<Price>, pending: Quantity, opening: Quantity) -> Option<Money> {
    match order.product {
        Product::Cnc => price?.times(pending, Rounding::Up),
        Product::Mis => order.margin.of(price.unwrap_or_default().times(opening, Rounding::Up)?, Rounding::Up),
    }
}

fn changeable<'a>(book: &'a Book, id: &OrderId) -> Result<&'a Order, Refusal> {
    let order = book.order(id).ok_or_else(|| Rejection::UnknownOrder.with("order_id", id))?;
    if order.status.is_final() {
        return Err(Rejection::OrderClosed.with("status", order.status.name()));
    }
    if order.squares_off {
        return Err(Rejection::SquareOffOrder.into());
    }
    if order.waiting.is_some() {
        return Err(Rejection::ModificationPending.into());
    }
    Ok(order)
}

fn check_disclosed(disclosed: Option<Quantity>, quantity: Quantity, validity: Validity) -> Result<(), Refusal> {
    let Some(disclosed) = disclosed else { return Ok(()) };
    let least = Quantity::new(quantity.shares() / DISCLOSED_PART + (quantity.shares() % DISCLOSED_PART).signum());
    if validity == Validity::Ioc || disclosed < least || disclosed > quantity {
        let figures = Rejection::DisclosedQuantityNotAllowed.with("disclosed_quantity", disclosed);
        return Err(figures.with("least", least).with("quantity", quantity));
    }
    Ok(())
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

/// The margin on so many shares, rounded up.
fn on_margin(price: Price, quantity: Quantity, margin: Percent) -> Result<Money, Refusal> {
    let too_large = || Rejection::AmountTooLarge.with("quantity", quantity).with("price", price);
    margin.of(worth(price, quantity)?, Rounding::Up).ok_or_else(too_large)
}

pub(super) fn check_shares(
    book: &Book,
    listing: &Listing,
    instrument: InstrumentId,
    needed: Quantity,
) -> Result<(), Refusal> {
    let empty = Position::default();
    let position = book.positions.get(&instrument).unwrap_or(&empty);
    let held =
        if listing.instrument.series.delivers_gross() { position.shares.settled } else { position.shares.total() };
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
    product: Product,
    quantity: Quantity,
    order_type: OrderType,
    price: Option<Price>,
    trigger_price: Option<Price>,
    market_protection: Option<Percent>,
}

impl Terms {
    /// An order's once a change of it is granted: what is absent stays, if the type still takes it.
    fn modified(order: &Order, modify: &Modify) -> Self {
        let order_type = modify.order_type.unwrap_or(order.order_type);
        Self {
            instrument: order.instrument,
            side: order.side,
            product: order.product,
            quantity: modify.quantity.unwrap_or(order.quantity),
            order_type,
            price: modify.price.or(order.price.filter(|_| order_type.has_limit())),
            trigger_price: modify.trigger_price.or(order.trigger_price.filter(|_| order_type.has_trigger())),
            market_protection: order.market_protection.filter(|_| !order_type.has_limit()),
        }
    }
    /// Whether this ledger can hold what the order is worth, at its limit and at the price it blocks at.
    fn check_amounts(&self, date: Date, context: &Context<'_>) -> Result<(), Refusal> {
        let is_of_its_type = self.price.is_some() == self.order_type.has_limit();
        let listing = context.market.instruments.get(&self.instrument).filter(|_| is_of_its_type);
        let blocks_at = listing.and_then(|listing| self.block_price(listing, date, context).ok()?);
        for price in [self.price, blocks_at].into_iter().flatten().filter(|price| price.is_positive()) {
            worth(price, self.quantity)?;
        }
        Ok(())
    }
    fn check_figures(&self) -> Result<(), Refusal> {
        if !self.quantity.is_positive() {
            return Err(Rejection::QuantityNotPositive.with("quantity", self.quantity));
        }
        for (name, price) in [("price", self.price), ("trigger_price", self.trigger_price)] {
            if let Some(price) = price.filter(|price| !price.is_positive()) {
                return Err(Rejection::PriceNotPositive.with(name, price));
            }
        }
        Ok(())
    }
    fn check_type(&self) -> Result<(), Refusal> {
        match (self.order_type.has_limit(), self.price) {
            (true, None) => return Err(Rejection::PriceRequired.into()),
            (false, Some(_)) => return Err(Rejection::PriceNotAllowed.into()),
            _ => {}
        }
        match (self.order_type.has_limit(), self.market_protection) {
            (true, Some(_)) => return Err(Rejection::MarketProtectionNotAllowed.into()),
            (false, Some(percent)) if !percent.is_positive() || percent > Percent::whole(100) => {
                return Err(Rejection::MarketProtectionNotAllowed.with("market_protection", percent));
            }
            _ => {}
        }
        match (self.order_type.has_trigger(), self.trigger_price) {
            (true, None) => Err(Rejection::TriggerPriceRequired.into()),
            (false, Some(_)) => Err(Rejection::TriggerPriceNotAllowed.into()),
            _ => Ok(()),
        }
    }
    /// What triggers beyond its limit would never trade.
    fn check_trigger_price(&self) -> Result<(), Refusal> {
        match (self.trigger_price, self.price) {
            (Some(trigger), Some(price)) if self.is_before(price, trigger) => {
                Err(Rejection::TriggerBeyondPrice.with("trigger_price", trigger).with("price", price))
            }
            _ => Ok(()),
        }
    }
    /// Whether the market, moving against the order, meets the first price before the second.
    fn is_before(&self, first: Price, second: Price) -> bool {
        match self.side {
            Side::Buy => first < second,
            Side::Sell => first > second,
        }
    }
    fn check_product(&self, listing: &Listing) -> Result<(), Refusal> {
        if self.product == Product::Mis && listing.instrument.series.delivers_gross() {
            return Err(Rejection::ProductNotAllowed.with("series", listing.instrument.series));
        }
        Ok(())
    }
    fn check_price(&self, listing: &Listing, date: Date) -> Result<(), Refusal> {
        for (name, price) in [("price", self.price), ("trigger_price", self.trigger_price)] {
            let Some(price) = price else { continue };
            if let Some(tick) = listing.instrument.tick_size
                && !price.is_on_tick(tick)
            {
                return Err(Rejection::PriceOffTick.with(name, price).with("tick_size", tick));
            }
        }
        for (name, price) in [("price", self.price), ("trigger_price", self.trigger_price)] {
            match (price, listing.band(date)) {
                (Some(price), Some((low, high))) if price < low || price > high => {
                    return Err(Rejection::PriceOutsideBand.with(name, price).with("low", low).with("high", high));
                }
                _ => {}
            }
        }
        Ok(())
    }
    /// A stop loss waits for the market to move against it: what the market has reached already is no stop loss.
    fn check_trigger_side(&self, listing: &Listing) -> Result<(), Refusal> {
        match (self.trigger_price, listing.last_price()) {
            (Some(trigger), Some(last)) if !self.is_before(last, trigger) => {
                Err(Rejection::TriggerWrongSide.with("trigger_price", trigger).with("last_price", last))
            }
            _ => Ok(()),
        }
    }
    /// The price cash is blocked at; `None` for a delivery sale.
    fn block_price(&self, listing: &Listing, date: Date, context: &Context<'_>) -> Result<Option<Price>, Refusal> {
        if self.side == Side::Sell && self.product == Product::Cnc {
            return Ok(None);
        }
        // What waits for its trigger trades from there on, not from the last price.
        let last = listing.last_price().map(|last| self.trigger_price.map_or(last, |trigger| trigger.max(last)));
        match self.price {
            // A purchase pays its limit at most; a short sale brings its limit at least, and usually the last price.
            Some(limit) if self.side == Side::Sell => return Ok(Some(last.map_or(limit, |last| limit.max(last)))),
            Some(limit) => return Ok(Some(limit)),
            None => {}
        }
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
