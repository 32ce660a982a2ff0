//! An account's rupees, as the book counts them: settled, due by date, blocked; knows no order but by what it blocks.

use crate::row::Rows;
use domain::{
    cash::{Cash, Due},
    event::{Event, EventData},
    ids::{AccountId, InstrumentId},
    money::Money,
    order::{Filled, Refused, TradeCancelled, reblocked},
    time::Date,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The row of one account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CashRow {
    /// The figures; equal to those of the book.
    pub cash: Cash,
    /// What each pending order or fund purchase blocks, by the `seq` that requested it.
    blocks: BTreeMap<u64, Money>,
    /// The part of what is blocked that fund purchases block.
    pub for_funds: Money,
    /// What each open intraday position blocks, by session.
    margins: BTreeMap<(Date, InstrumentId), Money>,
}

impl CashRow {
    /// Folds one event.
    pub fn fold(&mut self, event: &Event) {
        self.post(event);
        self.hold(event);
    }

    /// Folds what an event posts.
    fn post(&mut self, event: &Event) {
        match &event.data {
            EventData::CashDeposited(deposited) => self.cash.settled += deposited.amount,
            EventData::CashWithdrawn(withdrawn) => self.cash.settled -= withdrawn.amount,
            EventData::CashPosted(posted) => self.cash.post(posted),
            EventData::Settled(settled) => self.cash.settle(settled.settlement_date),
            EventData::DayNetted(netted) => {
                if let Some(due) = self.cash.due.get_mut(&netted.settlement_date) {
                    due.usable += netted.usable_change;
                }
            }
            _ => {}
        }
    }

    /// Folds what an event posts among others in the order they happened: settling takes the figures that
    /// it recorded, so that what was reported after it waits for its own.
    pub(crate) fn post_at_its_time(&mut self, event: &Event) {
        let EventData::Settled(settled) = &event.data else { return self.post(event) };
        let due = self.cash.due.entry(settled.settlement_date).or_default();
        due.receivable -= settled.received;
        due.payable -= settled.paid;
        due.usable = due.usable.min(due.receivable);
        if due.receivable.is_zero() && due.payable.is_zero() {
            self.cash.due.remove(&settled.settlement_date);
        }
        self.cash.settled += settled.received - settled.paid;
    }

    /// Folds what an event blocks or releases.
    pub(crate) fn hold(&mut self, event: &Event) {
        match &event.data {
            EventData::OrderRequested(requested) => {
                self.block(requested.order_id.seq, requested.blocked.unwrap_or_default());
            }
            EventData::ModificationRequested(asked) => {
                self.reblock(asked.order_id.seq, asked.blocked.unwrap_or_default());
            }
            EventData::OrderModified(modified) if modified.applied => {
                self.reblock(modified.order_id.seq, modified.blocked.unwrap_or_default());
            }
            EventData::OrderRejected(rejected) if rejected.applied => {
                let blocked = match rejected.refused {
                    Refused::Order => Money::ZERO,
                    Refused::Modification | Refused::Cancellation => rejected.blocked.unwrap_or_default(),
                };
                self.reblock(rejected.order_id.seq, blocked);
            }
            EventData::OrderCancelled(cancelled) if cancelled.applied => {
                self.reblock(cancelled.order_id.seq, Money::ZERO)
            }
            EventData::OrderExpired(expired) if expired.applied => self.reblock(expired.order_id.seq, Money::ZERO),
            EventData::OrderFilled(filled) => self.filled(filled),
            EventData::FillAssigned(assigned) => self.filled(&assigned.fill),
            EventData::TradeCancelled(TradeCancelled { undone: Some(undone), .. }) => {
                if let Some(trade) = &undone.intraday {
                    self.hold_margin(trade.session_date, undone.instrument, trade.after.margin);
                }
            }
            EventData::PositionConverted(converted) => {
                self.hold_margin(converted.trade_date, converted.instrument, converted.after.margin);
            }
            EventData::FundPurchaseRequested(requested) => {
                self.for_funds += requested.amount;
                self.block(requested.fund_order_id.seq, requested.amount);
            }
            EventData::FundOrderSent(sent) => self.release_fund(sent.fund_order_id.seq),
            EventData::FundOrderRejected(rejected) if rejected.applied => {
                self.release_fund(rejected.fund_order_id.seq);
            }
            _ => {}
        }
        for reblocked in reblocked(&event.data) {
            self.reblock(reblocked.order_id.seq, reblocked.blocked);
        }
    }

    fn filled(&mut self, filled: &Filled) {
        self.reblock(filled.order_id.seq, filled.blocked.unwrap_or_default());
        if let Some(trade) = &filled.intraday {
            self.hold_margin(trade.session_date, filled.instrument, trade.after.margin);
        }
    }

    fn hold_margin(&mut self, session: Date, instrument: InstrumentId, margin: Money) {
        let key = (session, instrument);
        let held = if margin.is_zero() { self.margins.remove(&key) } else { self.margins.insert(key, margin) };
        self.cash.blocked += margin - held.unwrap_or_default();
    }

    /// What each pending order or fund purchase blocks, by the `seq` that requested it.
    pub(crate) fn blocks(&self) -> &BTreeMap<u64, Money> {
        &self.blocks
    }

    /// All but those, for who keeps them apart.
    pub(crate) fn without_blocks(&self) -> Self {
        let (cash, margins) = (self.cash.clone(), self.margins.clone());
        Self { cash, blocks: BTreeMap::new(), for_funds: self.for_funds, margins }
    }

    /// The same with those again.
    pub(crate) fn with_blocks(self, blocks: BTreeMap<u64, Money>) -> Self {
        Self { blocks, ..self }
    }

    /// What open intraday positions block.
    pub fn for_positions(&self) -> Money {
        self.margins.values().copied().sum()
    }

    fn block(&mut self, seq: u64, amount: Money) {
        if !amount.is_zero() {
            self.cash.blocked += amount;
            self.blocks.insert(seq, amount);
        }
    }

    /// Changes what stands; an order that blocks nothing any more (or a sale) is not there.
    fn reblock(&mut self, seq: u64, amount: Money) {
        self.release(seq);
        self.block(seq, amount);
    }

    fn release_fund(&mut self, seq: u64) {
        let released = self.release(seq);
        self.for_funds -= released;
    }

    /// Gives back what is blocked, and says how much that was.
    fn release(&mut self, seq: u64) -> Money {
        let amount = self.blocks.remove(&seq).unwrap_or_default();
        self.cash.blocked -= amount;
        amount
    }

    /// Writes the canonical rows.
    pub fn write(&self, account: &AccountId, rows: &mut Rows) {
        let cash = &self.cash;
        if !cash.settled.is_zero() || !cash.blocked.is_zero() {
            rows.row("cash").id(account.as_str()).show(cash.settled).show(cash.blocked);
        }
        for (date, due) in cash.due.iter().filter(|(_, due)| **due != Due::default()) {
            let mut row = rows.row("due");
            row.id(account.as_str()).show(date).show(due.receivable).show(due.usable).show(due.payable);
        }
    }
}
