//! An order as it stands, folded from its events alone: the same for deciding and for seeing.

use super::{
    Accepted, Cancelled, Expired, Filled, ModificationRequested, Modified, OrderType, Product, Reblocked, Refused,
    Rejected, Requested, Side, Status, Triggered, Undone, Validity,
};
use crate::{
    event::EventData,
    ids::{InstrumentId, OrderId},
    money::{Money, Percent, Price, Quantity},
    time::{Date, Timestamp},
};
use serde::{Deserialize, Serialize};

/// How long what is over is kept at hand after it has settled: longer than any venue takes to correct itself.
const KEPT_DAYS: i32 = 7;

/// The day from which something that is over is no longer kept at hand: 7 days after the last of its parts settles,
/// or after the day it was for, if nothing is to settle.
///
/// It leaves with the first entry of its account that is recorded on that IST date or later, once the entry's own
/// events are folded; so what is kept follows from the log alone, and is the same for books and for views.
pub fn leaves_on(day: Date, settles: Option<Date>) -> Date {
    settles.map_or(day, |settles| settles.max(day)).plus_days(KEPT_DAYS)
}

/// What is waiting for the venue's answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Waiting {
    /// A change.
    Modification {
        /// Quantity if granted.
        quantity: Quantity,
        /// Limit if granted.
        price: Option<Price>,
        /// Trigger price if granted.
        trigger_price: Option<Price>,
        /// Type if granted.
        order_type: OrderType,
        /// Validity if granted.
        validity: Validity,
        /// Block price if granted.
        block_price: Option<Price>,
    },
    /// A cancellation.
    Cancellation,
}

/// An order as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// What it trades.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// Delivery or intraday.
    pub product: Product,
    /// Whether each of its shares is delivered, as its series is trade-to-trade.
    pub delivers_gross: bool,
    /// Shares asked for.
    pub quantity: Quantity,
    /// Shares filled, trades that were cancelled left out.
    pub filled: Quantity,
    /// Shares whose trade was cancelled, and that will not trade.
    pub undone: Quantity,
    /// The limit.
    pub price: Option<Price>,
    /// The price from which on it stands.
    pub trigger_price: Option<Price>,
    /// Whether the market has reached that.
    pub triggered: bool,
    /// How the price is set.
    pub order_type: OrderType,
    /// Day or immediate.
    pub validity: Validity,
    /// The part of the quantity that the market is shown at a time.
    pub disclosed_quantity: Option<Quantity>,
    /// When it was asked for: nothing happens to it before.
    pub requested_at: Timestamp,
    /// Its session.
    pub session_date: Date,
    /// Where it stands.
    pub status: Status,
    /// The price its cash is blocked at.
    pub block_price: Option<Price>,
    /// Cash blocked for the pending part.
    pub blocked: Money,
    /// Shares blocked for the pending part.
    pub blocked_quantity: Quantity,
    /// Of an intraday order: pending shares that open or add to a position.
    pub opening: Quantity,
    /// While a change of it waits: those that would, were it granted.
    pub asked_opening: Quantity,
    /// Of an intraday order: the margin.
    pub margin: Percent,
    /// Modifications asked for so far.
    pub modifications: u32,
    /// Whether the back office has asked to cancel it before its session ends.
    pub cancelled_by_due: bool,
    /// How far from the last price it may trade, at market.
    pub market_protection: Option<Percent>,
    /// What waits for the venue.
    pub waiting: Option<Waiting>,
    /// The latest settlement date of its fills.
    pub settles_on: Option<Date>,
    /// Whether the back office placed it to square off.
    pub squares_off: bool,
}

impl Order {
    /// An order that was asked for.
    pub fn requested(e: &Requested, at: Timestamp) -> Self {
        let sells_held = e.side == Side::Sell && e.product == Product::Cnc;
        Self {
            instrument: e.instrument,
            side: e.side,
            product: e.product,
            delivers_gross: e.product == Product::Cnc && e.series.delivers_gross(),
            quantity: e.quantity,
            filled: Quantity::ZERO,
            undone: Quantity::ZERO,
            price: e.price,
            trigger_price: e.trigger_price,
            triggered: false,
            order_type: e.order_type,
            validity: e.validity,
            disclosed_quantity: e.disclosed_quantity,
            requested_at: at,
            session_date: e.session_date,
            status: Status::Requested,
            block_price: e.block_price,
            blocked: e.blocked.unwrap_or_default(),
            blocked_quantity: if sells_held { e.quantity } else { Quantity::ZERO },
            opening: e.opening.unwrap_or_default(),
            asked_opening: Quantity::ZERO,
            margin: e.margin.unwrap_or_default(),
            modifications: 0,
            cancelled_by_due: false,
            market_protection: e.market_protection,
            waiting: None,
            settles_on: None,
            squares_off: e.due_to.is_some(),
        }
    }

    /// Folds an event about this order; one that did not fit it, or is about something else, changes nothing.
    pub fn fold(&mut self, event: &EventData) {
        match event {
            EventData::OrderAccepted(Accepted { applied: true, .. }) => self.status = self.standing(),
            EventData::OrderTriggered(Triggered { applied: true, .. }) => {
                self.triggered = true;
                self.status = self.standing();
            }
            EventData::OrderRejected(rejected) if rejected.applied => self.rejected(rejected),
            EventData::ModificationRequested(asked) => self.modification_requested(asked),
            EventData::OrderModified(modified) if modified.applied => self.modified(modified),
            EventData::CancellationRequested(asked) => {
                self.cancelled_by_due |= asked.due_to.is_some();
                self.waiting = Some(Waiting::Cancellation);
            }
            EventData::OrderCancelled(Cancelled { applied: true, .. }) => self.end(Status::Cancelled),
            EventData::OrderExpired(Expired { applied: true, .. }) => self.end(Status::Expired),
            EventData::OrderFilled(filled) => self.filled(filled),
            EventData::FillAssigned(assigned) => self.filled(&assigned.fill),
            EventData::TradeCancelled(cancelled) => {
                if let Some(undone) = &cancelled.undone {
                    self.undo(undone);
                }
            }
            _ => {}
        }
    }

    /// Shares that may still trade.
    pub fn pending(&self) -> Quantity {
        if self.status.is_final() { Quantity::ZERO } else { self.unfilled() }
    }
    /// Shares that will not trade.
    pub fn cancelled(&self) -> Quantity {
        if self.status.is_final() { self.quantity - self.filled } else { self.undone }
    }
    /// Shares neither filled nor given up with a cancelled trade.
    pub fn unfilled(&self) -> Quantity {
        self.quantity - self.filled - self.undone
    }
    /// Whether it still waits for its trigger price.
    pub fn is_asleep(&self) -> bool {
        self.order_type.has_trigger() && !self.triggered
    }
    /// From which day on it is no longer in the book, once it is closed; see [`leaves_on`].
    pub fn leaves_on(&self) -> Date {
        leaves_on(self.session_date, self.settles_on)
    }

    /// Folds a change of its margin that an event of another order brings.
    pub fn reblock(&mut self, reblocked: &Reblocked) {
        self.opening = reblocked.opening;
        self.blocked = reblocked.blocked;
        self.asked_opening = self.asked_opening_after();
    }

    fn rejected(&mut self, rejected: &Rejected) {
        match rejected.refused {
            Refused::Order => self.end(Status::Rejected),
            Refused::Modification | Refused::Cancellation => {
                self.waiting = None;
                if self.unfilled().is_zero() {
                    self.complete();
                } else {
                    self.block(rejected.blocked);
                }
            }
        }
    }

    fn modification_requested(&mut self, asked: &ModificationRequested) {
        self.modifications = asked.number;
        self.blocked = asked.blocked.unwrap_or_default();
        self.blocked_quantity = asked.blocked_quantity.unwrap_or_default();
        self.asked_opening = asked.opening.unwrap_or_default();
        self.waiting = Some(Waiting::Modification {
            quantity: asked.quantity,
            price: asked.price,
            trigger_price: asked.trigger_price,
            order_type: asked.order_type,
            validity: asked.validity,
            block_price: asked.block_price,
        });
    }

    fn modified(&mut self, modified: &Modified) {
        // What becomes a stop loss waits for its trigger, whatever it was before.
        self.triggered &= self.order_type.has_trigger() && modified.order_type.has_trigger();
        self.quantity = modified.quantity;
        self.price = modified.price;
        self.trigger_price = modified.trigger_price;
        self.order_type = modified.order_type;
        self.validity = modified.validity;
        self.block_price = modified.block_price;
        self.opening = modified.opening.unwrap_or_default();
        self.waiting = None;
        if self.unfilled().is_zero() {
            self.complete();
        } else {
            // A modified order stands at the venue: the report says so even when no acceptance came before.
            self.status = self.standing();
            self.block(modified.blocked);
        }
    }

    fn filled(&mut self, filled: &Filled) {
        self.filled = filled.filled;
        // A trade may take the place of one that was cancelled.
        self.undone = self.undone.min(self.quantity - self.filled);
        self.settles_on = self.settles_on.max(Some(filled.settlement_date));
        if self.status.is_final() {
            // What it ended as stays, unless it turns out to have traded whole.
            if self.undone.is_zero() && self.unfilled().is_zero() {
                self.complete();
            }
        } else if self.unfilled().is_zero() && !self.grows() {
            self.complete();
        } else {
            // What trades has been triggered, whether or not the report of that arrived.
            self.triggered |= self.order_type.has_trigger();
            self.status = Status::PartlyFilled;
            self.blocked = filled.blocked.unwrap_or_default();
            self.opening = self.opening.min(self.pending());
            self.asked_opening = self.asked_opening_after();
            if self.sells_held() {
                // Until the venue answers a change, the larger of what stands and what was asked.
                self.blocked_quantity = self.pending().max(self.asked());
            }
        }
    }

    fn undo(&mut self, undone: &Undone) {
        self.filled = undone.filled;
        self.undone += undone.quantity;
        match self.status {
            Status::Filled => self.status = Status::Cancelled,
            Status::PartlyFilled => self.status = self.standing(),
            _ => {}
        }
    }

    /// Where it stands at the venue.
    fn standing(&self) -> Status {
        match (self.is_asleep(), self.filled.is_zero()) {
            (true, _) => Status::TriggerPending,
            (false, false) => Status::PartlyFilled,
            (false, true) => Status::Open,
        }
    }
    /// Whether more shares are asked for: what is filled may not be all.
    fn grows(&self) -> bool {
        matches!(self.waiting, Some(Waiting::Modification { quantity, .. }) if quantity > self.quantity)
    }
    /// Shares that would be pending, were the change that waits granted.
    pub fn asked(&self) -> Quantity {
        match self.waiting {
            Some(Waiting::Modification { quantity, .. }) => (quantity - self.filled - self.undone).max(Quantity::ZERO),
            _ => Quantity::ZERO,
        }
    }
    /// Of the pending shares, those that close a position and need no margin.
    pub fn closing(&self) -> Quantity {
        self.pending() - self.opening
    }
    /// What of a position it is counted on to close, as it stands or as was asked.
    pub fn counted_on(&self) -> Quantity {
        self.closing().max(self.asked() - self.asked_opening)
    }
    /// Once the position has changed, what was asked closes no more than what stands.
    pub fn asked_opening_after(&self) -> Quantity {
        (self.asked() - self.closing()).max(Quantity::ZERO)
    }
    fn complete(&mut self) {
        self.end(if self.undone.is_zero() { Status::Filled } else { Status::Cancelled });
    }
    fn end(&mut self, status: Status) {
        // Nothing was left to cancel or expire: a change that was asked for did not come.
        let filled = self.undone.is_zero() && self.unfilled().is_zero();
        self.status = if filled && status != Status::Rejected { Status::Filled } else { status };
        self.waiting = None;
        self.blocked = Money::ZERO;
        self.blocked_quantity = Quantity::ZERO;
        self.opening = Quantity::ZERO;
    }
    fn block(&mut self, cash: Option<Money>) {
        self.blocked = cash.unwrap_or_default();
        self.blocked_quantity = if self.sells_held() { self.pending() } else { Quantity::ZERO };
    }
    fn sells_held(&self) -> bool {
        self.side == Side::Sell && self.product == Product::Cnc
    }
}

/// Other orders whose margin an event changes.
pub fn reblocked(event: &EventData) -> &[Reblocked] {
    match event {
        EventData::OrderFilled(e) => &e.reblocked,
        EventData::FillAssigned(e) => &e.fill.reblocked,
        EventData::TradeCancelled(e) => e.undone.as_ref().map_or(&[], |undone| &undone.reblocked),
        EventData::PositionConverted(e) => &e.reblocked,
        _ => &[],
    }
}

/// The order that an event is about.
pub fn order_of(event: &EventData) -> Option<OrderId> {
    match event {
        EventData::OrderRequested(e) => Some(e.order_id),
        EventData::OrderAccepted(e) => Some(e.order_id),
        EventData::OrderRejected(e) => Some(e.order_id),
        EventData::OrderTriggered(e) => Some(e.order_id),
        EventData::ModificationRequested(e) => Some(e.order_id),
        EventData::OrderModified(e) => Some(e.order_id),
        EventData::CancellationRequested(e) => Some(e.order_id),
        EventData::OrderCancelled(e) => Some(e.order_id),
        EventData::OrderExpired(e) => Some(e.order_id),
        EventData::OrderFilled(e) => Some(e.order_id),
        EventData::FillUnmatched(e) => Some(e.order_id),
        EventData::FillAssigned(e) => Some(e.fill.order_id),
        EventData::TradeCancelled(e) => Some(e.order_id),
        _ => None,
    }
}
