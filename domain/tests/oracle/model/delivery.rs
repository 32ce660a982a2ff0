//! Shares that are held: bought today, T1 and settled; what a day's sales draw, and what netting makes of it.

use super::{
    Model,
    clock::{Day, settles_on},
    up,
};
use std::collections::BTreeMap;

/// A trade date's purchases and sales until they are netted.
#[derive(Clone, Debug, Default)]
pub struct Traded {
    /// The entry of the first of them.
    pub since: u64,
    bought: i128,
    cost: i128,
    sold: i128,
    proceeds: i128,
    usable: i128,
    from_today: i128,
    from_settled: i128,
    /// Of those, sold without being there.
    uncovered: i128,
    /// Lots of T1 sold, in the order they were taken.
    lots: Vec<(Day, i128)>,
}

impl Traded {
    pub fn is_empty(&self) -> bool {
        self.bought == 0 && self.sold == 0
    }
    /// Bought and not sold that day.
    pub fn unsold(&self) -> i128 {
        self.bought - self.from_today
    }
    pub fn has_both(&self) -> bool {
        self.bought > 0 && self.sold > 0
    }
    /// What could be used of the day's sales at their average, were they reckoned now.
    fn usable_as_it_stands(&self) -> i128 {
        if self.sold == 0 {
            return 0;
        }
        let mut usable = self.proceeds * (self.from_settled - self.uncovered) / self.sold;
        if self.from_today > 0 {
            usable += (self.proceeds * self.from_today / self.sold).min(self.cost * self.from_today / self.bought);
        }
        usable
    }
    fn t1_sold(&self) -> i128 {
        self.lots.iter().map(|(_, shares)| shares).sum()
    }
    /// T1 shares that were sold and are not after all, the last taken first.
    fn give_back(&mut self, mut shares: i128, t1: &mut BTreeMap<Day, i128>) {
        while shares > 0 {
            let (date, taken) = self.lots.pop().expect("as many as were taken");
            let back = shares.min(taken);
            *t1.entry(date).or_default() += back;
            shares -= back;
            if back < taken {
                self.lots.push((date, taken - back));
            }
        }
    }
}

/// So many of those wanted are not there.
fn missing(there: i128, wanted: i128) -> i128 {
    wanted - wanted.min(there.max(0))
}

#[derive(Clone, Debug, Default)]
pub struct Delivery {
    pub today: i128,
    pub settled: i128,
    /// By settlement date.
    pub t1: BTreeMap<Day, i128>,
    /// Days that are not netted.
    pub days: BTreeMap<Day, Traded>,
    /// Days that are, and are not settled: shares bought less sold.
    netted: BTreeMap<Day, i128>,
}

impl Delivery {
    pub fn t1_shares(&self) -> i128 {
        self.t1.values().sum()
    }
    pub fn held(&self) -> i128 {
        self.today + self.t1_shares() + self.settled
    }
    pub fn settle(&mut self, date: Day) {
        self.settled += self.t1.remove(&date).unwrap_or_default();
        self.netted.retain(|day, _| settles_on(*day) != date);
    }
    /// The earliest lots first; gives those taken.
    fn take_t1(&mut self, mut wanted: i128) -> Vec<(Day, i128)> {
        let mut taken = Vec::new();
        while wanted > 0 {
            let mut lot = self.t1.first_entry().expect("as many T1 shares as are taken");
            let shares = wanted.min(*lot.get());
            taken.push((*lot.key(), shares));
            *lot.get_mut() -= shares;
            wanted -= shares;
            if *lot.get() == 0 {
                lot.remove();
            }
        }
        taken
    }
}

impl Model {
    /// Shares come in and are paid for, by a trade or a conversion.
    pub fn deliver_bought(&mut self, day: Day, shares: i128, cost: i128) {
        self.cash.pays(settles_on(day), cost);
        self.delivery.today += shares;
        let traded = self.delivery.days.entry(day).or_insert(Traded { since: self.seq, ..Traded::default() });
        traded.bought += shares;
        traded.cost += cost;
    }

    /// Shares go out and bring in money, by a trade or a conversion: bought that day, then settled, then T1; of a
    /// trade-to-trade series settled ones alone.
    pub fn deliver_sold(&mut self, day: Day, shares: i128, proceeds: i128) {
        let delivery = &mut self.delivery;
        let mut traded = delivery.days.remove(&day).unwrap_or(Traded { since: self.seq, ..Traded::default() });
        let (mut from_today, mut from_t1) = (0, 0);
        if !self.is_gross {
            from_today = shares.min(traded.bought - traded.from_today).min(delivery.today).max(0);
        }
        let covered = (shares - from_today).min(delivery.settled.max(0));
        if !self.is_gross {
            from_t1 = (shares - from_today - covered).min(delivery.t1_shares());
        }
        // What nothing covers leaves settled shares negative.
        let from_settled = shares - from_today - from_t1;
        // T1 shares are not usable; shares bought today at most at their average cost.
        let mut usable = proceeds * covered / shares;
        if from_today > 0 {
            usable += (proceeds * from_today / shares).min(traded.cost * from_today / traded.bought);
        }
        delivery.today -= from_today;
        delivery.settled -= from_settled;
        traded.sold += shares;
        traded.proceeds += proceeds;
        traded.usable += usable;
        traded.from_today += from_today;
        traded.from_settled += from_settled;
        traded.uncovered += from_settled - covered;
        traded.lots.extend(delivery.take_t1(from_t1));
        delivery.days.insert(day, traded);
        self.cash.receives(settles_on(day), proceeds, usable);
    }

    /// A purchase covers what was sold of T1 first, then of settled shares; the rest becomes T1. Trade to trade, all
    /// that was bought becomes T1, and what was sold stays sold.
    pub fn net(&mut self, day: Day) {
        let Some(mut traded) = self.delivery.days.remove(&day) else { return };
        let settles = settles_on(day);
        if self.is_gross {
            self.delivery.today -= traded.bought;
            if traded.bought > 0 {
                *self.delivery.t1.entry(settles).or_default() += traded.bought;
            }
            return;
        }
        let left = (traded.bought - traded.from_today).max(0);
        let to_lots = left.min(traded.t1_sold());
        let to_settled = (left - to_lots).min(traded.from_settled.max(0));
        let to_t1 = left - to_lots - to_settled;
        *self.delivery.netted.entry(day).or_default() += traded.bought - traded.sold;
        self.delivery.today -= left;
        self.delivery.settled += to_settled;
        traded.give_back(to_lots, &mut self.delivery.t1);
        if to_t1 > 0 {
            *self.delivery.t1.entry(settles).or_default() += to_t1;
        }
        if let Some(due) = self.cash.due.get_mut(&settles).filter(|_| traded.sold > 0) {
            let mut usable = traded.proceeds * (traded.from_settled - to_settled) / traded.sold;
            let intraday = traded.bought.min(traded.sold);
            if intraday > 0 {
                usable += (traded.proceeds * intraday / traded.sold).min(traded.cost * intraday / traded.bought);
            }
            // Netting takes away, and never adds; days that settle together share what there is to take.
            due.usable -= (traded.usable - usable).clamp(0, due.usable);
        }
    }

    /// A purchase has not been. What of it was sold since, or has settled, is missing from the settled shares; what
    /// such a sale brings cannot be used when they are not there either.
    pub fn undo_bought(&mut self, day: Day, counted: u64, shares: i128, cost: i128) {
        let date = settles_on(day);
        if self.cash.due.contains_key(&date) {
            self.cash.pays(date, -cost);
        } else {
            self.cash.settled += cost;
        }
        let delivery = &mut self.delivery;
        if let Some(traded) = delivery.days.get_mut(&day).filter(|traded| counted >= traded.since) {
            let unsold = shares.min(traded.bought - traded.from_today).min(delivery.today).max(0);
            traded.bought -= shares;
            traded.cost -= cost;
            traded.from_today -= shares - unsold;
            traded.from_settled += shares - unsold;
            traded.uncovered += missing(delivery.settled, shares - unsold);
            delivery.today -= unsold;
            delivery.settled -= shares - unsold;
            if let Some(due) = self.cash.due.get_mut(&date).filter(|_| traded.sold > 0) {
                let given_up = (traded.usable - traded.usable_as_it_stands()).clamp(0, due.usable.max(0));
                due.usable -= given_up;
                traded.usable -= given_up;
            }
        } else {
            let lot = delivery.t1.get(&date).copied().unwrap_or_default();
            let unsold = shares.min(lot);
            // Of a netted day it is known how many more were sold than bought: those that are now, and that no settled
            // share replaces, leave what was paid for them.
            let net = delivery.netted.get(&day).copied();
            let sold = net.map_or(0, |net| (shares - net).max(0) - (-net).max(0));
            let uncovered = sold.min(missing(delivery.settled, shares - unsold));
            if let Some(due) = self.cash.due.get_mut(&date) {
                due.usable -= up(cost * uncovered, shares).min(due.usable);
            }
            delivery.t1.insert(date, lot - unsold);
            delivery.t1.retain(|_, lot| *lot != 0);
            delivery.settled -= shares - unsold;
            delivery.netted.entry(day).and_modify(|net| *net -= shares);
        }
    }

    /// A sale has not been. Its day's sales give back what they drew last, so that those that stay drew as they would
    /// have without it.
    pub fn undo_sold(&mut self, day: Day, counted: u64, shares: i128, proceeds: i128) {
        let date = settles_on(day);
        let (delivery, is_due) = (&mut self.delivery, self.cash.due.contains_key(&date));
        let due = self.cash.due.get(&date).copied().unwrap_or_default();
        // Its part of what the day's sales let be used, all of it when the day is netted and nobody knows; what stays
        // usable is within what still comes.
        let mut traded = delivery.days.get_mut(&day).filter(|traded| counted >= traded.since);
        let part = traded.as_ref().map_or(proceeds, |traded| up(traded.usable * shares, traded.sold));
        let usable = part.max(due.usable - (due.receivable - proceeds)).clamp(0, due.usable);
        if let Some(traded) = &mut traded {
            let to_t1 = shares.min(traded.t1_sold());
            let to_settled = (shares - to_t1).min(traded.from_settled);
            let to_today = shares - to_t1 - to_settled;
            traded.give_back(to_t1, &mut delivery.t1);
            delivery.settled += to_settled;
            delivery.today += to_today;
            traded.from_settled -= to_settled;
            traded.uncovered = (traded.uncovered - to_settled).max(0);
            traded.from_today -= to_today;
            traded.sold -= shares;
            traded.proceeds -= proceeds;
            traded.usable = (traded.usable - usable).max(0);
        } else if let Some(net) = delivery.netted.get_mut(&day) {
            // What was bought that day and is not sold after all would have become T1.
            let to_t1 = (*net + shares).max(0) - (*net).max(0);
            *net += shares;
            delivery.settled += shares - to_t1;
            if to_t1 > 0 {
                *delivery.t1.entry(date).or_default() += to_t1;
            }
        } else {
            delivery.settled += shares;
        }
        if is_due {
            self.cash.receives(date, -proceeds, -usable);
        } else {
            self.cash.settled -= proceeds;
        }
    }
}
