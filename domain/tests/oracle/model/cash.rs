//! Rupees: settled, and what comes and goes by settlement date.

use super::clock::Day;
use std::collections::BTreeMap;

/// Comes in, of that usable, goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Due {
    pub receivable: i128,
    pub usable: i128,
    pub payable: i128,
}

#[derive(Clone, Debug, Default)]
pub struct Cash {
    pub settled: i128,
    pub due: BTreeMap<Day, Due>,
}

impl Cash {
    pub fn payable(&self) -> i128 {
        self.due.values().map(|due| due.payable).sum()
    }
    pub fn usable(&self) -> i128 {
        self.due.values().map(|due| due.usable).sum()
    }
    pub fn pays(&mut self, date: Day, amount: i128) {
        self.due.entry(date).or_default().payable += amount;
    }
    pub fn receives(&mut self, date: Day, amount: i128, usable: i128) {
        let due = self.due.entry(date).or_default();
        due.receivable += amount;
        due.usable += usable;
    }
    pub fn settle(&mut self, date: Day) {
        let due = self.due.remove(&date).unwrap_or_default();
        self.settled += due.receivable - due.payable;
    }
}
