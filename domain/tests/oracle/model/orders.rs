//! An order from request to its end: what is refused, what it blocks, what a venue may say of it.

use super::{
    Model, Refused,
    clock::Day,
    clock::session_of,
    intraday::margin_of,
    terms::{BAND, Terms},
    up,
};
use domain::{
    order::{Modify, Place, Product, Report, ReportKind, Side},
    time::Timestamp,
};
const HUNDRED_PERCENT: i128 = 100 * 10_000;
const CHANGES_MAX: u32 = 25;

/// What a quantity is worth at a price, in paise.
fn blocked_at(price: i128, shares: i128) -> i128 {
    up(price * shares, 100)
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Waiting {
    Nothing,
    Cancellation,
    /// What was asked, and the price it blocks at.
    Change(Terms, i128),
}

#[derive(Clone, Debug)]
pub struct Order {
    pub buys: bool,
    pub is_intraday: bool,
    pub terms: Terms,
    pub filled: i128,
    /// Of trades that were cancelled: will not trade.
    pub undone: i128,
    pub status: &'static str,
    pub session: Day,
    disclosed: Option<i128>,
    /// In 1/10,000 of a percent.
    protection: Option<i128>,
    pub is_triggered: bool,
    block_price: i128,
    pub blocked: i128,
    pub blocked_shares: i128,
    /// Of an intraday order: the part of a position that it is counted on to close.
    pub closing: i128,
    /// The same of what was asked.
    asked_closing: i128,
    pub waiting: Waiting,
    changes: u32,
    pub squares_off: bool,
    /// The back office asks once before squaring off.
    pub is_asked_to_leave: bool,
}

impl Order {
    pub fn is_over(&self) -> bool {
        matches!(self.status, "filled" | "cancelled" | "rejected" | "expired")
    }
    fn left_of(&self, quantity: i128) -> i128 {
        (quantity - self.filled - self.undone).max(0)
    }
    pub fn pending(&self) -> i128 {
        if self.is_over() { 0 } else { self.left_of(self.terms.quantity) }
    }
    pub fn asked_terms(&self) -> Option<Terms> {
        if let Waiting::Change(terms, _) = self.waiting { Some(terms) } else { None }
    }
    /// What would be pending if what was asked is granted.
    fn asked(&self) -> i128 {
        self.asked_terms().map_or(0, |terms| self.left_of(terms.quantity))
    }
    /// Sleeps at the venue until the market reaches its trigger price.
    fn sleeps(&self) -> bool {
        self.terms.kind.has_trigger() && !self.is_triggered
    }
    fn end(&mut self, status: &'static str) {
        (self.status, self.blocked, self.blocked_shares) = (status, 0, 0);
        (self.closing, self.asked_closing) = (0, 0);
        self.waiting = Waiting::Nothing;
    }
    /// Nothing is left to trade.
    fn end_traded(&mut self) {
        self.end(if self.filled == self.terms.quantity { "filled" } else { "cancelled" });
    }
    /// An order of which all has traded, though more was asked, is filled whatever ends it.
    pub fn end_unless_traded(&mut self, status: &'static str) {
        self.end(if self.filled == self.terms.quantity { "filled" } else { status });
    }
    fn stand(&mut self) {
        self.status = match (self.sleeps(), self.filled) {
            (true, _) => "trigger_pending",
            (false, 0) => "open",
            (false, _) => "partly_filled",
        };
    }
    /// What it is counted on to close, as it stands or as was asked.
    pub fn counted_on(&self) -> i128 {
        self.closing.max(self.asked_closing)
    }
    /// Counts an intraday order on closing so much of what is open, and blocks what it needs. A change that waits counts
    /// on no more than what stands does: it asked when the position was another.
    pub fn count_on(&mut self, closable: i128) {
        self.closing = self.pending().min(closable);
        self.asked_closing = self.asked().min(self.closing);
        self.block();
    }
    /// Blocks the larger of what stands and what was asked; an intraday order only for what does not close a position.
    pub fn block(&mut self) {
        if self.is_over() || self.squares_off {
            return;
        }
        let (standing, asked) = (self.pending(), self.asked());
        let asked_price = if let Waiting::Change(_, price) = self.waiting { price } else { 0 };
        if self.is_intraday {
            let margin = |price, opening: i128| margin_of(blocked_at(price, opening));
            let asked_opening = asked - self.asked_closing;
            self.blocked = margin(self.block_price, standing - self.closing).max(margin(asked_price, asked_opening));
        } else if self.buys {
            self.blocked = blocked_at(self.block_price, standing).max(blocked_at(asked_price, asked));
        } else {
            self.blocked_shares = standing.max(asked);
        }
    }
    /// A trade of it; counts in any state.
    pub fn trade(&mut self, shares: i128) {
        let beyond = shares - self.left_of(self.terms.quantity);
        self.filled += shares;
        self.undone -= beyond.max(0);
        if self.is_over() {
            if self.filled == self.terms.quantity {
                self.end("filled");
            }
            return;
        }
        // What slept must have been triggered.
        self.is_triggered |= self.terms.kind.has_trigger();
        self.stand();
        // More may have been asked for: the order waits for the venue's word on that.
        if self.pending() == 0 && self.asked() == 0 {
            self.end_traded();
        }
    }
    /// A trade of it has not been.
    pub fn undo(&mut self, shares: i128) {
        self.filled -= shares;
        self.undone += shares;
        if self.status == "filled" {
            self.status = "cancelled";
        } else if !self.is_over() && self.status != "requested" {
            self.stand();
        }
    }
}

impl Model {
    /// The limit; at market the protection added to the last price, or to a trigger that is higher, else the upper band.
    fn block_price(&self, buys: bool, is_intraday: bool, terms: &Terms, protection: Option<i128>) -> i128 {
        let from = self.last.max(terms.trigger.unwrap_or(0));
        match (terms.limit, protection) {
            // A sale's limit is the least it brings: short it may bring what the market pays.
            (Some(limit), _) if is_intraday && !buys => limit.max(from),
            (Some(limit), _) => limit,
            (None, Some(part)) => from + up(from * part, HUNDRED_PERCENT),
            (None, None) => *BAND.end(),
        }
    }

    pub fn place(&mut self, place: &Place, now: Timestamp) -> Result<(), Refused> {
        let buys = place.side == Side::Buy;
        let terms = Terms {
            kind: place.order_type,
            quantity: place.quantity.shares().into(),
            limit: place.price.map(|price| price.smallest().into()),
            trigger: place.trigger_price.map(|price| price.smallest().into()),
            validity: place.validity,
        };
        let disclosed = place.disclosed_quantity.map(|shares| i128::from(shares.shares()));
        let protection = place.market_protection.map(|percent| i128::from(percent.smallest()));
        if terms.quantity <= 0 {
            return Err("quantity_not_positive");
        }
        terms.check_shape()?;
        if protection.is_some_and(|percent| place.order_type.has_limit() || !(1..=HUNDRED_PERCENT).contains(&percent)) {
            return Err("market_protection_not_allowed");
        }
        terms.check_trigger()?;
        terms.check_beyond(buys)?;
        terms.check_disclosed(disclosed)?;
        let is_intraday = place.product == Product::Mis;
        if is_intraday && self.is_gross {
            return Err("product_not_allowed");
        }
        terms.check_prices()?;
        terms.check_side(buys, self.last)?;
        let session = session_of(now);
        if is_intraday && super::intraday::is_squared_off(session, now) {
            return Err("square_off_passed");
        }
        let order = self.new_order(buys, is_intraday, terms, session);
        let mut order = Order { disclosed, protection, ..order };
        order.block_price = self.block_price(buys, is_intraday, &terms, protection);
        order.count_on(self.unclaimed(&order));
        self.cover_shares(order.blocked_shares)?;
        self.cover(order.blocked)?;
        self.orders.insert(self.seq, order);
        Ok(())
    }

    pub fn new_order(&self, buys: bool, is_intraday: bool, terms: Terms, session: Day) -> Order {
        Order {
            buys,
            is_intraday,
            terms,
            filled: 0,
            undone: 0,
            status: "requested",
            session,
            disclosed: None,
            protection: None,
            is_triggered: false,
            block_price: self.block_price(buys, is_intraday, &terms, None),
            blocked: 0,
            blocked_shares: 0,
            closing: 0,
            asked_closing: 0,
            waiting: Waiting::Nothing,
            changes: 0,
            squares_off: false,
            is_asked_to_leave: false,
        }
    }

    pub fn changeable(&mut self, seq: u64) -> Result<&mut Order, Refused> {
        let order = self.orders.get_mut(&seq).ok_or("unknown_order")?;
        if order.is_over() {
            Err("order_closed")
        } else if order.squares_off {
            Err("square_off_order")
        } else if order.waiting != Waiting::Nothing {
            Err("modification_pending")
        } else {
            Ok(order)
        }
    }

    pub fn modify(&mut self, modify: &Modify, now: Timestamp) -> Result<(), Refused> {
        let seq = modify.order_id.seq;
        let order = self.changeable(seq)?.clone();
        if order.changes == CHANGES_MAX {
            return Err("too_many_modifications");
        }
        let before = order.terms;
        let kind = modify.order_type.unwrap_or(before.kind);
        // What is absent stays, if the type still takes it.
        let limit = modify.price.map(|price| i128::from(price.smallest()));
        let trigger = modify.trigger_price.map(|price| i128::from(price.smallest()));
        let terms = Terms {
            kind,
            quantity: modify.quantity.map_or(before.quantity, |quantity| quantity.shares().into()),
            limit: limit.or(before.limit.filter(|_| kind.has_limit())),
            trigger: trigger.or(before.trigger.filter(|_| kind.has_trigger())),
            validity: modify.validity.unwrap_or(before.validity),
        };
        if terms == before {
            return Err("nothing_to_modify");
        }
        // What was undone will not trade either.
        if terms.quantity < order.filled + order.undone {
            return Err("quantity_below_filled");
        }
        terms.check_shape()?;
        terms.check_trigger()?;
        let was_triggered = order.is_triggered && kind.has_trigger();
        if was_triggered && terms.trigger != before.trigger {
            return Err("order_triggered");
        }
        if !was_triggered {
            terms.check_beyond(order.buys)?;
        }
        terms.check_disclosed(order.disclosed)?;
        terms.check_prices()?;
        if terms.trigger != before.trigger {
            terms.check_side(order.buys, self.last)?;
        }
        if order.is_intraday && super::intraday::is_squared_off(order.session, now) {
            return Err("square_off_passed");
        }
        let mut changed = order.clone();
        let price = self.block_price(order.buys, order.is_intraday, &terms, order.protection);
        changed.waiting = Waiting::Change(terms, price);
        changed.changes += 1;
        changed.asked_closing = changed.asked().min(self.unclaimed(&order));
        changed.block();
        self.cover_shares(changed.blocked_shares - order.blocked_shares)?;
        self.cover(changed.blocked - order.blocked)?;
        self.orders.insert(seq, changed);
        Ok(())
    }

    pub fn report(&mut self, report: &Report) {
        let seq = report.order_id.seq;
        let Some(mut order) = self.orders.get(&seq).filter(|order| !order.is_over()).cloned() else { return };
        match (report.report, order.waiting) {
            (ReportKind::Accepted, _) if order.status == "requested" => order.stand(),
            (ReportKind::Triggered, _) if order.sleeps() => {
                order.is_triggered = true;
                order.stand();
            }
            (ReportKind::Rejected, _) if order.status == "requested" => order.end("rejected"),
            (ReportKind::Rejected, Waiting::Change(..) | Waiting::Cancellation) => {
                order.waiting = Waiting::Nothing;
                if order.pending() == 0 {
                    order.end_traded();
                }
                order.asked_closing = 0;
                order.block();
            }
            (ReportKind::Modified, Waiting::Change(asked, price)) => self.granted(&mut order, asked, price, report),
            (ReportKind::Cancelled, _) => order.end_unless_traded("cancelled"),
            (ReportKind::Expired, _) => order.end_unless_traded("expired"),
            _ => return,
        }
        self.orders.insert(seq, order);
    }

    /// The venue changed an order, as was asked or in another way; a fill may have overtaken the change.
    fn granted(&self, order: &mut Order, asked: Terms, price: i128, report: &Report) {
        // What becomes a stop loss sleeps, whatever it was before.
        order.is_triggered &= order.terms.kind.has_trigger() && asked.kind.has_trigger();
        order.terms = asked;
        if let Some(quantity) = report.quantity {
            order.terms.quantity = quantity.shares().into();
        }
        order.terms.quantity = order.terms.quantity.max(order.filled + order.undone);
        order.block_price = price;
        if let Some(limit) = report.price.map(|limit| i128::from(limit.smallest())).filter(|_| asked.kind.has_limit()) {
            order.terms.limit = Some(limit);
            // A short sale blocks at its limit at least: it may trade above.
            order.block_price = if order.is_intraday && !order.buys { price.max(limit) } else { limit };
        }
        order.waiting = Waiting::Nothing;
        if order.pending() == 0 {
            order.end_traded()
        } else {
            order.stand()
        }
        order.count_on(self.unclaimed(order));
    }
}
