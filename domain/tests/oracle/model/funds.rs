//! Fund orders from request to the registrar's answer, and the units of the one folio.

use super::{Model, Refused, up};
use domain::fund::{Answer, Purchase, Redemption, ReportAllotment};
use std::collections::BTreeMap;

/// NAVs are in 1/10^8 of a rupee, units in 1/10,000.
const NAV: i128 = 40 * 100_000_000;

fn units_for(paise: i128) -> i128 {
    up(paise * 10_000 * 1_000_000, NAV)
}

#[derive(Clone, Copy, Debug)]
pub enum What {
    Purchase(i128),
    Redemption(i128),
}

#[derive(Clone, Copy, Debug)]
pub struct FundOrder {
    pub what: What,
    pub status: &'static str,
}

impl FundOrder {
    pub fn waits(&self) -> bool {
        matches!(self.status, "requested" | "sent")
    }
}

#[derive(Clone, Debug, Default)]
pub struct Funds {
    pub orders: BTreeMap<u64, FundOrder>,
    pub units: Option<i128>,
}

impl Funds {
    pub fn unsent(&self) -> impl Iterator<Item = u64> {
        self.orders.iter().filter(|(_, order)| order.status == "requested").map(|(seq, _)| *seq)
    }
    pub fn blocked_cash(&self) -> i128 {
        let waiting = self.orders.values().filter(|order| order.status == "requested");
        waiting.map(|order| if let What::Purchase(amount) = order.what { amount } else { 0 }).sum()
    }
    pub fn blocked_units(&self) -> i128 {
        let waiting = self.orders.values().filter(|order| order.waits());
        waiting.map(|order| if let What::Redemption(units) = order.what { units } else { 0 }).sum()
    }
    /// Gives what is paid.
    pub fn send(&mut self, seq: u64) -> i128 {
        let order = self.orders.get_mut(&seq).expect("due");
        order.status = "sent";
        if let What::Purchase(amount) = order.what { amount } else { 0 }
    }
}

impl Model {
    pub fn ask_purchase(&mut self, asked: &Purchase) -> Result<(), Refused> {
        let amount = i128::from(asked.amount.smallest());
        self.cover(amount)?;
        self.funds.orders.insert(self.seq, FundOrder { what: What::Purchase(amount), status: "requested" });
        Ok(())
    }

    pub fn ask_redemption(&mut self, asked: &Redemption) -> Result<(), Refused> {
        let held = self.funds.units.ok_or("unknown_folio")?;
        let free = held - self.funds.blocked_units();
        let amount = asked.amount.map(|amount| i128::from(amount.smallest()));
        let (needed, blocked) = match (asked.units, amount) {
            (Some(units), _) => (units.smallest().into(), units.smallest().into()),
            // With 5% more, as the NAV that will apply is not known; at most what is free.
            (_, Some(amount)) => (units_for(amount), units_for(amount + up(amount * 5, 100)).min(free)),
            _ => (1, free),
        };
        if needed > free {
            return Err("insufficient_units");
        }
        self.funds.orders.insert(self.seq, FundOrder { what: What::Redemption(blocked), status: "requested" });
        Ok(())
    }

    pub fn answered(&mut self, report: &ReportAllotment) -> Result<(), Refused> {
        let seq = report.fund_order_id.seq;
        let Some(order) = self.funds.orders.get(&seq).filter(|order| order.waits()).copied() else { return Ok(()) };
        let status = match (&report.answer, order.what) {
            (Answer::Rejected(_), what) => {
                if let (What::Purchase(amount), "sent") = (what, order.status) {
                    self.cash.settled += amount;
                }
                "rejected"
            }
            (Answer::Allotted(allotment), What::Purchase(amount)) => {
                if order.status == "requested" {
                    self.cash.settled -= amount;
                }
                *self.funds.units.get_or_insert(0) += i128::from(allotment.units.smallest());
                "allotted"
            }
            (Answer::Allotted(allotment), What::Redemption(_)) => {
                let (Some(amount), Some(pays_on)) = (allotment.amount, allotment.pays_on) else {
                    return Err("payout_required");
                };
                *self.funds.units.get_or_insert(0) -= i128::from(allotment.units.smallest());
                self.cash.receives(pays_on.days_since_epoch().into(), amount.smallest().into(), 0);
                "redeemed"
            }
        };
        self.funds.orders.insert(seq, FundOrder { what: order.what, status });
        Ok(())
    }
}
