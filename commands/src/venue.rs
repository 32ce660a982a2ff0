//! A simulated exchange as a state machine: told what the ledger says, it says what a venue would report next.
//!
//! It knows no log and no desk, matches orders with the last price only, never with each other, and
//! forgets nothing that it would need to answer: all it knows it has from live entries.

use crate::outside::{Said, digits};
use domain::{
    calendar::CalendarMode,
    command::Command,
    event::{Event, EventData},
    ids::{CommandId, ExchangeOrderId, InstrumentId, OrderId, TradeId},
    market::{Listing, Market},
    money::{Price, Quantity},
    order::{Fill, OrderType, Refused, Report, ReportKind, Side, Validity},
    time::{Date, Timestamp},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An order that is not final, as the venue knows it.
struct Standing {
    instrument: InstrumentId,
    side: Side,
    quantity: Quantity,
    filled: Quantity,
    order_type: OrderType,
    price: Option<Price>,
    trigger_price: Option<Price>,
    /// Whether the market has reached that.
    triggered: bool,
    validity: Validity,
    session_date: Date,
    accepted: bool,
    asked: Option<Asked>,
    /// Trades so far, which number their ids.
    fills: u32,
}

/// What the client asks of a standing order.
#[derive(Clone, Copy)]
enum Asked {
    Modify {
        number: u32,
        quantity: Quantity,
        price: Option<Price>,
        trigger_price: Option<Price>,
        order_type: OrderType,
    },
    Cancel {
        seq: u64,
    },
}

/// The exchange, for the accounts of one partition.
pub(crate) struct Venue {
    calendar: CalendarMode,
    partial_fills_seed: Option<u64>,
    orders: HashMap<OrderId, Standing>,
    by_instrument: HashMap<InstrumentId, BTreeSet<OrderId>>,
    /// Orders to look at.
    todo: BTreeSet<OrderId>,
    /// Orders that wait for their session to open.
    opening: BTreeMap<Timestamp, BTreeSet<OrderId>>,
}

impl Venue {
    pub(crate) fn new(calendar: CalendarMode, partial_fills_seed: Option<u64>) -> Self {
        Self {
            calendar,
            partial_fills_seed,
            orders: HashMap::new(),
            by_instrument: HashMap::new(),
            todo: BTreeSet::new(),
            opening: BTreeMap::new(),
        }
    }

    /// Takes in a live event of the account's entry `seq`.
    pub(crate) fn see(&mut self, seq: u64, event: &Event) {
        match &event.data {
            EventData::OrderRequested(e) => {
                let standing = Standing {
                    instrument: e.instrument,
                    side: e.side,
                    quantity: e.quantity,
                    filled: Quantity::ZERO,
                    order_type: e.order_type,
                    price: e.price,
                    trigger_price: e.trigger_price,
                    triggered: false,
                    validity: e.validity,
                    session_date: e.session_date,
                    accepted: false,
                    asked: None,
                    fills: 0,
                };
                self.orders.insert(e.order_id, standing);
                self.by_instrument.entry(e.instrument).or_default().insert(e.order_id);
                self.todo.insert(e.order_id);
            }
            EventData::OrderAccepted(e) if e.applied => self.change(e.order_id, |order| order.accepted = true),
            EventData::OrderTriggered(e) if e.applied => self.change(e.order_id, |order| order.triggered = true),
            EventData::OrderRejected(e) if e.applied && e.refused == Refused::Order => self.forget(e.order_id),
            EventData::OrderRejected(e) if e.applied => self.change(e.order_id, |order| order.asked = None),
            EventData::ModificationRequested(e) => {
                let (number, quantity) = (e.number, e.quantity);
                let (price, trigger_price, order_type) = (e.price, e.trigger_price, e.order_type);
                let asked = Asked::Modify { number, quantity, price, trigger_price, order_type };
                self.change(e.order_id, |order| order.asked = Some(asked));
            }
            EventData::CancellationRequested(e) => {
                self.change(e.order_id, |order| order.asked = Some(Asked::Cancel { seq }));
            }
            EventData::OrderModified(e) if e.applied => self.change(e.order_id, |order| {
                (order.quantity, order.price, order.trigger_price) = (e.quantity, e.price, e.trigger_price);
                (order.order_type, order.validity, order.asked) = (e.order_type, e.validity, None);
            }),
            EventData::OrderCancelled(e) if e.applied => self.forget(e.order_id),
            EventData::OrderExpired(e) if e.applied => self.forget(e.order_id),
            EventData::OrderFilled(e) => self.filled(e.order_id, e.filled, e.pending),
            EventData::FillAssigned(e) => self.filled(e.fill.order_id, e.fill.filled, e.fill.pending),
            _ => {}
        }
    }

    fn change(&mut self, id: OrderId, change: impl FnOnce(&mut Standing)) {
        if let Some(order) = self.orders.get_mut(&id) {
            change(order);
            self.todo.insert(id);
        }
    }

    fn filled(&mut self, id: OrderId, filled: Quantity, pending: Quantity) {
        // More may be asked for already: the change is answered, and the rest trades.
        let grows = self
            .orders
            .get(&id)
            .is_some_and(|order| matches!(order.asked, Some(Asked::Modify { quantity, .. }) if quantity > filled));
        if pending.is_zero() && !grows {
            return self.forget(id);
        }
        self.change(id, |order| {
            order.filled = filled;
            order.fills += 1;
        });
    }

    fn forget(&mut self, id: OrderId) {
        self.todo.remove(&id);
        if let Some(order) = self.orders.remove(&id)
            && let Some(resting) = self.by_instrument.get_mut(&order.instrument)
        {
            resting.remove(&id);
        }
    }

    /// The price of an instrument moved.
    pub(crate) fn moved(&mut self, instrument: &InstrumentId) {
        if let Some(resting) = self.by_instrument.get(instrument) {
            self.todo.extend(resting);
        }
    }

    /// Looks at an order again, as what was said about it did not arrive.
    pub(crate) fn again(&mut self, id: OrderId) {
        if self.orders.contains_key(&id) {
            self.todo.insert(id);
        }
    }

    /// When a session opens for which orders wait.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.opening.first_key_value().map(|(at, _)| *at)
    }

    /// What the venue says now, at most `limit` reports, one for an order.
    pub(crate) fn says(&mut self, market: &Market, now: Timestamp, limit: usize) -> Vec<Said<OrderId>> {
        while let Some(open) = self.opening.first_entry().filter(|open| *open.key() <= now) {
            self.todo.extend(open.remove().into_iter().filter(|id| self.orders.contains_key(id)));
        }
        let mut said = Vec::new();
        while said.len() < limit
            && let Some(id) = self.todo.pop_first()
        {
            let Some(order) = self.orders.get(&id) else { continue };
            match self.look(id, order, market, now) {
                Look::Say(text, command) => {
                    let command_id =
                        CommandId::new(&text).expect("a verb, an order and a number are short and visible");
                    said.push(Said { about: id, account: id.account, id: command_id, command: *command });
                }
                Look::Rest => {}
                Look::Until(opens_at) => drop(self.opening.entry(opens_at).or_default().insert(id)),
            }
        }
        said
    }

    fn look(&self, id: OrderId, order: &Standing, market: &Market, now: Timestamp) -> Look {
        let Some(listing) = market.instruments.get(&order.instrument) else {
            return reject(id, format!("accept/{id}"), "no such instrument", now);
        };
        if !order.accepted {
            return self.accept(id, order, listing, market, now);
        }
        match order.asked {
            Some(Asked::Cancel { seq }) => {
                return Look::Say(format!("cancel/{id}/{seq}"), report(id, ReportKind::Cancelled, None, now));
            }
            Some(Asked::Modify { number, quantity, price, trigger_price, order_type }) => {
                let wrong = (quantity < order.filled).then_some("the quantity is below what is filled");
                let prices = Prices { order_type, price, trigger_price };
                let wrong = wrong.or_else(|| prices.fault(listing, order.session_date));
                return match wrong {
                    Some(reason) => reject(id, format!("modify/{id}/{number}"), reason, now),
                    None => Look::Say(format!("modify/{id}/{number}"), report(id, ReportKind::Modified, None, now)),
                };
            }
            None => {}
        }
        self.matched(id, order, listing, market, now)
    }

    fn accept(&self, id: OrderId, order: &Standing, listing: &Listing, market: &Market, now: Timestamp) -> Look {
        let name = format!("accept/{id}");
        let session = listing_session(market, self.calendar, listing, order.session_date);
        let fault = match session {
            None => Some("no session on that day"),
            Some((_, closes_at)) if now >= closes_at => Some("the session is over"),
            Some(_) => {
                let Standing { order_type, price, trigger_price, .. } = *order;
                Prices { order_type, price, trigger_price }.fault(listing, order.session_date)
            }
        };
        match fault {
            Some(reason) => reject(id, name, reason, now),
            None => {
                let number = digits(&format!("exchange-order/{id}"), 16);
                let exchange_order_id = ExchangeOrderId::new(&number).expect("16 digits");
                let mut accepted = plain(id, ReportKind::Accepted, None, now);
                accepted.exchange_order_id = Some(exchange_order_id);
                Look::Say(name, Command::ReportOrder(accepted).into())
            }
        }
    }

    fn matched(&self, id: OrderId, order: &Standing, listing: &Listing, market: &Market, now: Timestamp) -> Look {
        match listing_session(market, self.calendar, listing, order.session_date) {
            Some((opens_at, _)) if now < opens_at => return Look::Until(opens_at),
            Some((_, closes_at)) if now < closes_at => {}
            // Over: the back office ends it with its session.
            _ => return Look::Rest,
        }
        if let Some(trigger) = order.trigger_price.filter(|_| order.order_type.has_trigger() && !order.triggered) {
            let reached = listing.last_price().is_some_and(|last| match order.side {
                Side::Buy => last >= trigger,
                Side::Sell => last <= trigger,
            });
            return if reached {
                Look::Say(format!("trigger/{id}"), report(id, ReportKind::Triggered, None, now))
            } else {
                Look::Rest
            };
        }
        let last = listing.last_price().filter(|last| match (order.order_type.has_limit(), order.side, order.price) {
            (false, ..) => true,
            (true, Side::Buy, Some(limit)) => limit >= *last,
            (true, Side::Sell, Some(limit)) => limit <= *last,
            (true, _, None) => false,
        });
        match last {
            Some(price) => {
                let number = order.fills + 1;
                let name = format!("fill/{id}/{number}");
                let trade_id = TradeId::new(&digits(&name, 16)).expect("16 digits");
                let quantity = self.part(id, order);
                let instrument = Some(order.instrument);
                let side = Some(order.side);
                let fill = Fill { order_id: id, trade_id, quantity, price, executed_at: now, instrument, side };
                Look::Say(name, Command::RecordFill(fill).into())
            }
            None if order.validity == Validity::Ioc => {
                let reason = Some("nothing to trade with at once");
                Look::Say(format!("ioc/{id}"), report(id, ReportKind::Cancelled, reason, now))
            }
            None => Look::Rest,
        }
    }

    /// What trades at once: all that is pending, or with a seed perhaps only half of it at first.
    fn part(&self, id: OrderId, order: &Standing) -> Quantity {
        let pending = order.quantity - order.filled;
        let halves = self.partial_fills_seed.is_some_and(|seed| {
            order.fills == 0
                && digits(&format!("{seed}/{id}"), 1).as_bytes().first().is_some_and(|digit| digit % 2 == 1)
        });
        if halves && pending > Quantity::new(1) { Quantity::new(pending.shares() / 2) } else { pending }
    }
}

/// What looking at an order gives.
enum Look {
    Say(String, Box<Command>),
    /// Nothing until its price or its client moves.
    Rest,
    /// Nothing until then.
    Until(Timestamp),
}

/// When a session opens and closes.
fn listing_session(
    market: &Market,
    calendar: CalendarMode,
    listing: &Listing,
    date: Date,
) -> Option<(Timestamp, Timestamp)> {
    let session = market.calendar.session(calendar, listing.instrument.exchange, date)?;
    Some((session.opens_at(), session.closes_at()))
}

/// The prices of an order, or of a change to one.
struct Prices {
    order_type: OrderType,
    price: Option<Price>,
    trigger_price: Option<Price>,
}

impl Prices {
    /// What is wrong with them by the exchange's rules.
    fn fault(&self, listing: &Listing, session_date: Date) -> Option<&'static str> {
        if self.order_type.has_limit() && self.price.is_none() {
            return Some("a limit order needs a price");
        }
        if self.order_type.has_trigger() && self.trigger_price.is_none() {
            return Some("a stop loss order needs a trigger price");
        }
        let limit = self.price.filter(|_| self.order_type.has_limit());
        let trigger = self.trigger_price.filter(|_| self.order_type.has_trigger());
        let mut prices = limit.into_iter().chain(trigger);
        prices.find_map(|price| {
            if !listing.instrument.tick_size.is_some_and(|tick| price.is_on_tick(tick)) {
                return Some("the price is not a whole number of ticks");
            }
            let outside = listing.band(session_date).is_some_and(|(low, high)| price < low || price > high);
            outside.then_some("the price is outside the band")
        })
    }
}

fn plain(order_id: OrderId, report: ReportKind, reason: Option<&str>, at: Timestamp) -> Report {
    let reason = reason.map(Into::into);
    Report { order_id, report, exchange_order_id: None, reason, quantity: None, price: None, at }
}

fn report(order_id: OrderId, kind: ReportKind, reason: Option<&str>, at: Timestamp) -> Box<Command> {
    Command::ReportOrder(plain(order_id, kind, reason, at)).into()
}

fn reject(id: OrderId, name: String, reason: &str, now: Timestamp) -> Look {
    Look::Say(name, report(id, ReportKind::Rejected, Some(reason), now))
}
