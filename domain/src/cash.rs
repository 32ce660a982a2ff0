//! An account's rupees: settled, receivable and payable by settlement date, blocked; knows no order and no share.

use crate::{money::Money, time::Date};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Cash came in and is settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deposited {
    /// How much, above zero.
    pub amount: Money,
}

/// Settled cash went out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    /// How much, above zero.
    pub amount: Money,
}

/// Why cash was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A fill of an order.
    Trade,
    /// A fund purchase was sent.
    FundPurchase,
    /// A fund purchase was rejected.
    FundRefund,
    /// A fund redemption pays.
    FundRedemption,
    /// An intraday position became delivery, which is paid in full.
    Conversion,
    /// The exchange cancelled a trade: what is not settled yet leaves the side it was posted to.
    TradeCancelled,
    /// The cash leg of imported history.
    Import,
    /// The other side of an imported cash leg: paid or received outside this ledger.
    External,
}

/// Cash moved because of the event before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posted {
    /// Into the account when positive, out of it when negative.
    pub amount: Money,
    /// Why.
    pub reason: Reason,
    /// The order, fund order or import key it belongs to.
    pub reference: Box<str>,
    /// The day it settles; absent when settled at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement_date: Option<Date>,
    /// The part of a receivable that new orders may use before it settles, or of what a cancelled trade takes back could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usable: Option<Money>,
}

/// What one settlement date brings and takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Comes in.
    pub receivable: Money,
    /// The part of it that may be used now.
    pub usable: Money,
    /// Goes out.
    pub payable: Money,
}

/// An account's cash, folded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cash {
    /// Ours now.
    pub settled: Money,
    /// Not settled yet, by settlement date.
    pub due: BTreeMap<Date, Due>,
    /// Held for pending orders and fund purchases.
    pub blocked: Money,
}

impl Cash {
    /// Everything that will be paid.
    pub fn payable(&self) -> Money {
        self.due.values().map(|due| due.payable).sum()
    }
    /// Everything that will be received.
    pub fn receivable(&self) -> Money {
        self.due.values().map(|due| due.receivable).sum()
    }
    /// What may leave: settled less payables less blocked.
    pub fn withdrawable(&self) -> Money {
        self.settled - self.payable() - self.blocked
    }
    /// What new orders may use: withdrawable and the usable part of receivables.
    pub fn available(&self) -> Money {
        self.withdrawable() + self.due.values().map(|due| due.usable).sum()
    }

    /// Cash after a posting.
    pub fn post(&mut self, posted: &Posted) {
        match posted.settlement_date {
            None => self.settled += posted.amount,
            Some(date) => {
                let due = self.due.entry(date).or_default();
                if posted.reason == Reason::TradeCancelled {
                    due.usable -= posted.usable.unwrap_or_default();
                    if posted.amount.is_negative() {
                        due.receivable += posted.amount;
                    } else {
                        due.payable -= posted.amount;
                    }
                } else if posted.amount.is_negative() {
                    due.payable += -posted.amount;
                } else {
                    due.receivable += posted.amount;
                    due.usable += posted.usable.unwrap_or_default();
                }
            }
        }
    }
    /// Cash after a settlement date has been settled.
    pub fn settle(&mut self, date: Date) {
        if let Some(due) = self.due.remove(&date) {
            self.settled += due.receivable - due.payable;
        }
    }
}

/// Asks to record cash that came in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deposit {
    /// How much, above zero.
    pub amount: Money,
}

/// Asks to pay out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    /// How much, above zero and at most what is withdrawable.
    pub amount: Money,
}
