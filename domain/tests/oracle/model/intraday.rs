//! Intraday positions: margin instead of payment, what closing gains or loses, squaring off, and delivery of the rest.

use super::{
    Model, Refused, Work,
    clock::{CLOSE, Day, day_of, has_passed_close, session_of, settles_on, time_of},
    orders::{Order, Waiting},
    terms::Terms,
    up,
};
use domain::{
    order::{OrderType, Validity},
    time::Timestamp,
};

/// 15:20 of a session from 9:15 to 15:30; half of what is left then.
const SQUARE_OFF: i64 = CLOSE - 600;
const PATIENCE: i64 = CLOSE - 300;
/// The position is asked to be closed so often.
const TRIES: u32 = 3;

/// A fifth, on both sides.
pub fn margin_of(value: i128) -> i128 {
    up(value, 5)
}
/// Its time for intraday orders is over.
pub fn is_squared_off(session: Day, now: Timestamp) -> bool {
    day_of(now) > session || day_of(now) == session && time_of(now) >= SQUARE_OFF
}
fn half_even(amount: i128, by: i128) -> i128 {
    let (whole, rest) = (amount.div_euclid(by), amount.rem_euclid(by));
    whole + i128::from(2 * rest > by || 2 * rest == by && whole % 2 == 1)
}

/// Below zero when sold and not bought; held at what it was traded for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Position {
    pub quantity: i128,
    pub value: i128,
    /// Its session is over and what was sold could not be delivered: it waits for shares or for a trade.
    pub is_stuck: bool,
}

impl Position {
    pub fn margin(&self) -> i128 {
        margin_of(self.value)
    }
    /// What so many of its shares were traded for: their part, and the last take the rest.
    fn part(&self, shares: i128) -> i128 {
        half_even(self.value * shares, self.quantity.abs())
    }
    /// Takes a trade; gives what closing gains, below zero what it loses.
    fn trade(&mut self, buys: bool, shares: i128, value: i128) -> i128 {
        let sign = if buys { 1 } else { -1 };
        let closed = if self.quantity * sign < 0 { shares.min(self.quantity.abs()) } else { 0 };
        let mut gain = 0;
        let mut opened_for = value;
        if closed > 0 {
            let (held_for, closed_for) = (self.part(closed), half_even(value * closed, shares));
            gain = if buys { held_for - closed_for } else { closed_for - held_for };
            opened_for = value - closed_for;
            self.value -= held_for;
        }
        self.quantity += sign * shares;
        self.value += opened_for;
        gain
    }
}

impl Model {
    fn standing(&self, session: Day) -> Position {
        self.intraday.get(&session).copied().unwrap_or_default()
    }
    fn keep(&mut self, session: Day, position: Position) {
        if position.quantity == 0 {
            self.intraday.remove(&session);
        } else {
            self.intraday.insert(session, position);
        }
        self.share_out(session);
    }
    /// What orders of a side can close.
    fn closable(&self, session: Day, buys: bool) -> i128 {
        let open = self.standing(session).quantity;
        if buys { -open } else { open }.max(0)
    }
    fn claimed(&self, session: Day, buys: bool) -> i128 {
        let of_side = |order: &&Order| order.is_intraday && order.session == session && order.buys == buys;
        self.orders.values().filter(of_side).map(Order::counted_on).sum()
    }
    /// What an order may be counted on to close: what no other is.
    pub fn unclaimed(&self, order: &Order) -> i128 {
        if !order.is_intraday {
            return 0;
        }
        let (session, buys) = (order.session, order.buys);
        (self.closable(session, buys) - (self.claimed(session, buys) - order.counted_on())).max(0)
    }
    /// Among the pending orders of a side, the first asked for first.
    fn share_out(&mut self, session: Day) {
        for buys in [true, false] {
            let mut left = self.closable(session, buys);
            let orders = self.orders.values_mut();
            for order in orders.filter(|order| order.is_intraday && order.session == session && order.buys == buys) {
                order.count_on(left);
                left -= order.closing;
            }
        }
    }

    /// A trade of an intraday order, or the opposite of one that was cancelled; settles with its own day.
    pub fn trade_intraday(&mut self, session: Day, day: Day, buys: bool, shares: i128, value: i128) -> i128 {
        let mut position = self.standing(session);
        let gain = position.trade(buys, shares, value);
        // A gain can be used once it settles, a loss counts at once.
        if gain > 0 {
            self.cash.receives(settles_on(day), gain, 0);
        } else if gain < 0 {
            self.cash.pays(settles_on(day), -gain);
        }
        self.keep(session, position);
        gain
    }

    /// A holder asks for delivery of what is open today.
    pub fn convert(&mut self, shares: i128, is_to_delivery: bool, now: Timestamp) -> Result<(), Refused> {
        if shares <= 0 {
            return Err("quantity_not_positive");
        }
        if !is_to_delivery {
            return Err("conversion_not_allowed");
        }
        let session = day_of(now);
        let position = self.standing(session);
        let is_short = position.quantity < 0;
        // What pending orders are counted on to close stays.
        if shares > position.quantity.abs() - self.claimed(session, is_short) {
            return Err("insufficient_shares");
        }
        if is_short {
            self.cover_shares(shares)?;
        }
        // Pending orders that can close less afterwards need a margin of their own: cash covers all that it brings.
        let mut after = self.clone();
        after.deliver(session, shares);
        self.cover(self.available() - after.available())?;
        *self = after;
        Ok(())
    }
    /// What a session left open becomes delivery: purchases paid for or not, sales as far as there are shares.
    pub fn deliver_rest(&mut self, session: Day) {
        let shares = self.deliverable(session);
        if shares > 0 {
            return self.deliver(session, shares);
        }
        self.intraday.get_mut(&session).expect("open").is_stuck = true;
    }
    /// Of a sale no more than what is there in time and not promised.
    pub fn deliverable(&self, session: Day) -> i128 {
        let open = self.standing(session).quantity;
        if open >= 0 {
            return open;
        }
        let delivery = &self.delivery;
        let bought = delivery.days.get(&session).map_or(0, |day| day.unsold()).min(delivery.today).max(0);
        let on_their_way: i128 = delivery.t1.range(..=settles_on(session)).map(|(_, lot)| lot).sum();
        let there = bought + on_their_way + delivery.settled.max(0);
        (-open).min(there).min((delivery.held() - self.blocked_shares()).max(0))
    }
    /// Sessions that are over with something left to deliver.
    pub fn undelivered(&self, now: Timestamp) -> Vec<Day> {
        let over = self.intraday.iter().filter(|(session, _)| has_passed_close(**session, now));
        let due = over.filter(|(session, position)| !position.is_stuck || self.deliverable(**session) > 0);
        due.map(|(session, _)| *session).collect()
    }
    fn deliver(&mut self, session: Day, shares: i128) {
        let mut position = self.standing(session);
        let (value, is_short) = (position.part(shares), position.quantity < 0);
        position.trade(is_short, shares, value);
        if is_short {
            self.deliver_sold(session, shares, value);
        } else {
            self.deliver_bought(session, shares, value);
        }
        self.keep(session, position);
    }

    /// What is due from 15:20 on: cancelling what is pending, then closing what is open.
    pub fn due_before_the_close(&self, now: Timestamp) -> Vec<Work> {
        let today = day_of(now);
        if session_of(now) != today || !is_squared_off(today, now) {
            return Vec::new();
        }
        let pending = self.orders.iter().filter(|(_, order)| order.is_intraday && order.session == today);
        let pending: Vec<_> = pending.filter(|(_, order)| !order.is_over()).collect();
        let others = || pending.iter().filter(|(_, order)| !order.squares_off);
        let unasked = others().filter(|(_, order)| order.waiting == Waiting::Nothing && !order.is_asked_to_leave);
        let mut due: Vec<Work> = unasked.map(|(seq, _)| Work::Cancel(**seq)).collect();
        let is_asked = pending.iter().any(|(_, order)| order.squares_off);
        let tries = self.square_offs.get(&today).copied().unwrap_or_default();
        let is_open = self.standing(today).quantity != 0;
        if is_open && !is_asked && tries < TRIES && (others().next().is_none() || time_of(now) >= PATIENCE) {
            due.push(Work::SquareOff);
        }
        due
    }
    /// An order at market for all that is open; nobody asks whether cash covers it.
    pub fn square_off(&mut self, session: Day) {
        let open = self.standing(session).quantity;
        let terms = Terms {
            kind: OrderType::Market,
            quantity: open.abs(),
            limit: None,
            trigger: None,
            validity: Validity::Day,
        };
        let mut order = self.new_order(open < 0, true, terms, session);
        order.squares_off = true;
        order.closing = open.abs();
        self.orders.insert(self.seq, order);
        *self.square_offs.entry(session).or_default() += 1;
    }
}
