//! Lots in the order they came, and what selling them gains: first in, first out (CBDT circular 768 of 1998).
//!
//! Counts in the smallest unit of whatever is held (shares, or 1/10,000 fund unit); knows no
//! instrument and no intraday trade. A part of an amount is taken half to even and what remains keeps
//! the rest, so that parts always add up to the whole.

use crate::row::Rows;
use domain::{
    money::{Money, Rounding},
    time::Date,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What was acquired together and is still held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// When.
    pub acquired: Date,
    /// How much of it is left.
    pub quantity: i64,
    /// What that cost; absent for imported history without a price.
    pub cost: Option<Money>,
}

/// A sale that no lot covers yet: the facts were incomplete, and a later purchase covers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Short {
    /// When.
    pub sold: Date,
    /// How much of it is not covered.
    pub quantity: i64,
    /// What that brought; absent for imported history without a price.
    pub proceeds: Option<Money>,
}

/// What sales have gained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gains {
    /// Proceeds less cost, where both are known.
    pub realised: Money,
    /// Quantity sold of lots whose cost is not known.
    pub unknown_cost_quantity: i64,
    /// What it brought; in no gain, as its cost is not known.
    pub unknown_cost_proceeds: Money,
    /// Quantity sold at a price that is not known.
    pub unknown_price_quantity: i64,
    /// What it had cost; in no gain, as its proceeds are not known.
    pub unknown_price_cost: Money,
}

impl Gains {
    fn add(&mut self, quantity: i64, proceeds: Option<Money>, cost: Option<Money>) {
        match (proceeds, cost) {
            (Some(proceeds), Some(cost)) => self.realised += proceeds - cost,
            (proceeds, None) => {
                self.unknown_cost_quantity = sum(self.unknown_cost_quantity, quantity);
                self.unknown_cost_proceeds += proceeds.unwrap_or_default();
            }
            (None, Some(cost)) => {
                self.unknown_price_quantity = sum(self.unknown_price_quantity, quantity);
                self.unknown_price_cost += cost;
            }
        }
    }
}

/// Everything held of one thing, and the sales that nothing covers yet; never both at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lots {
    lots: VecDeque<Lot>,
    shorts: VecDeque<Short>,
    quantity: i64,
    unknown_quantity: i64,
    cost: Money,
}

impl Lots {
    /// The lots, the oldest first.
    pub fn lots(&self) -> impl ExactSizeIterator<Item = &Lot> {
        self.lots.iter()
    }
    /// The sales not covered, the oldest first.
    pub fn shorts(&self) -> impl ExactSizeIterator<Item = &Short> {
        self.shorts.iter()
    }
    /// Held, or below zero: sold and not covered.
    pub fn quantity(&self) -> i64 {
        self.quantity
    }
    /// The part of it whose cost is not known.
    pub fn unknown_quantity(&self) -> i64 {
        self.unknown_quantity
    }
    /// What the rest cost.
    pub fn cost(&self) -> Money {
        self.cost
    }
    /// Nothing held, nothing owed.
    pub fn is_empty(&self) -> bool {
        self.lots.is_empty() && self.shorts.is_empty()
    }

    /// Adds a lot, after what it covers of earlier sales.
    pub fn buy(&mut self, acquired: Date, quantity: i64, cost: Option<Money>, gains: &mut Gains) {
        self.quantity = sum(self.quantity, quantity);
        let mut rest = Amount { quantity, money: cost };
        while rest.quantity > 0 {
            let Some(short) = self.shorts.front_mut() else { break };
            let covered = rest.quantity.min(short.quantity);
            let proceeds = split_off(&mut short.quantity, &mut short.proceeds, covered);
            let cost = rest.take(covered);
            gains.add(covered, proceeds, cost);
            if short.quantity == 0 {
                self.shorts.pop_front();
            }
        }
        if rest.quantity > 0 {
            match rest.money {
                Some(cost) => self.cost += cost,
                None => self.unknown_quantity = sum(self.unknown_quantity, rest.quantity),
            }
            let lot = Lot { acquired, quantity: rest.quantity, cost: rest.money };
            // An import may bring an older lot late; among lots of one day the first recorded stays first.
            let at = match self.lots.back() {
                Some(last) if last.acquired > acquired => self.lots.partition_point(|lot| lot.acquired <= acquired),
                _ => self.lots.len(),
            };
            self.lots.insert(at, lot);
        }
    }

    /// Sells from the oldest lot on; what no lot covers stays open until a purchase covers it.
    pub fn sell(&mut self, sold: Date, quantity: i64, proceeds: Option<Money>, gains: &mut Gains) {
        self.quantity = sum(self.quantity, -quantity);
        let mut rest = Amount { quantity, money: proceeds };
        while rest.quantity > 0 {
            let Some(lot) = self.lots.front_mut() else { break };
            let taken = rest.quantity.min(lot.quantity);
            let cost = split_off(&mut lot.quantity, &mut lot.cost, taken);
            match cost {
                Some(cost) => self.cost -= cost,
                None => self.unknown_quantity -= taken,
            }
            if lot.quantity == 0 {
                self.lots.pop_front();
            }
            let proceeds = rest.take(taken);
            gains.add(taken, proceeds, cost);
        }
        if rest.quantity > 0 {
            self.shorts.push_back(Short { sold, quantity: rest.quantity, proceeds: rest.money });
        }
    }

    /// Takes a purchase of that day back, the last lot first; what of it has been sold since stays open as a sale.
    pub fn take_back(&mut self, acquired: Date, quantity: i64, cost: Option<Money>, gains: &mut Gains) {
        let mut rest = Amount { quantity, money: cost };
        while rest.quantity > 0 {
            let Some(at) = self.lots.iter().rposition(|lot| lot.acquired == acquired) else { break };
            let lot = &mut self.lots[at];
            let taken = rest.quantity.min(lot.quantity);
            let was = split_off(&mut lot.quantity, &mut lot.cost, taken);
            match was {
                Some(was) => self.cost -= was,
                None => self.unknown_quantity -= taken,
            }
            if lot.quantity == 0 {
                self.lots.remove(at);
            }
            self.quantity = sum(self.quantity, -taken);
            let back = rest.take(taken);
            gains.add(taken, back, was);
        }
        if rest.quantity > 0 {
            self.sell(acquired, rest.quantity, rest.money, gains);
        }
    }

    /// Spreads added shares over the lots by their size; every lot's cost and date stay.
    ///
    /// Without a lot to add to, they are a lot whose cost is not known: what they split from is missing.
    pub fn split(&mut self, date: Date, added: i64, gains: &mut Gains) {
        let held: i64 = self.lots.iter().map(|lot| lot.quantity).sum();
        if held == 0 {
            return self.buy(date, added, None, gains);
        }
        self.quantity = sum(self.quantity, added);
        let (mut before, mut given) = (0i128, 0i64);
        for lot in &mut self.lots {
            before += i128::from(lot.quantity);
            // Cumulative floors: the parts add up to what was added, whatever the sizes.
            let upto = i64::try_from(i128::from(added) * before / i128::from(held)).expect("a part of an i64");
            if lot.cost.is_none() {
                self.unknown_quantity = sum(self.unknown_quantity, upto - given);
            }
            lot.quantity = sum(lot.quantity, upto - given);
            given = upto;
        }
    }

    /// The rows of these lots under a key already written by `key`.
    pub(crate) fn write(&self, rows: &mut Rows, key: &[&str]) {
        for lot in &self.lots {
            let mut row = rows.row("lot");
            row.ids(key);
            row.show(lot.acquired).number(lot.quantity).show_or_none(lot.cost);
        }
        for short in &self.shorts {
            let mut row = rows.row("short");
            row.ids(key);
            row.show(short.sold).number(short.quantity).show_or_none(short.proceeds);
        }
    }
}

/// A quantity and its money, taken apart without losing a paisa.
pub(crate) struct Amount {
    pub(crate) quantity: i64,
    pub(crate) money: Option<Money>,
}

impl Amount {
    pub(crate) fn take(&mut self, quantity: i64) -> Option<Money> {
        split_off(&mut self.quantity, &mut self.money, quantity)
    }
}

fn split_off(quantity: &mut i64, money: &mut Option<Money>, taken: i64) -> Option<Money> {
    let part = money.map(|money| {
        if taken == *quantity {
            return money;
        }
        money.share(taken, *quantity, Rounding::HalfEven).expect("a part of an amount fits where the whole did")
    });
    *quantity -= taken;
    if let (Some(money), Some(part)) = (money.as_mut(), part) {
        *money -= part;
    }
    part
}

fn sum(a: i64, b: i64) -> i64 {
    a.checked_add(b).expect("sum fits")
}
