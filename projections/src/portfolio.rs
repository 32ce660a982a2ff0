//! What an account holds: shares by instrument, units by folio; knows quantities and no cost, which `pnl` derives.

use crate::row::Rows;
use domain::{
    event::{Event, EventData},
    ids::{AccountId, Folio, InstrumentId, SchemeCode},
    money::{Quantity, Units},
    order::Product,
    position::{Changed, Shares},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The rows of one account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Portfolio {
    /// Since when the account is open.
    pub opened_at: Option<Timestamp>,
    /// Shares by instrument; none of them zero in all parts.
    pub positions: BTreeMap<InstrumentId, Shares>,
    /// Intraday shares by instrument, bought above zero and sold below; none of them zero.
    pub intraday: BTreeMap<InstrumentId, Quantity>,
    /// Units by scheme and folio; none of them zero.
    pub folios: BTreeMap<(SchemeCode, Folio), Units>,
}

impl Portfolio {
    /// Folds one event.
    pub fn fold(&mut self, event: &Event) {
        match &event.data {
            EventData::AccountOpened(_) => self.opened_at = Some(event.effective_at),
            EventData::PositionChanged(changed) if changed.product == Product::Mis => self.move_intraday(changed),
            EventData::PositionChanged(changed) => {
                if changed.position == Shares::default() {
                    self.positions.remove(&changed.instrument);
                } else {
                    self.positions.insert(changed.instrument, changed.position);
                }
            }
            EventData::FolioChanged(changed) => {
                let key = (changed.scheme, changed.folio);
                if changed.units.is_zero() {
                    self.folios.remove(&key);
                } else {
                    self.folios.insert(key, changed.units);
                }
            }
            _ => {}
        }
    }

    /// Adds one event's movement, whatever was recorded before it: the sum is the same in any order.
    pub(crate) fn add(&mut self, event: &Event) {
        match &event.data {
            EventData::PositionChanged(changed) if changed.product == Product::Mis => self.move_intraday(changed),
            EventData::PositionChanged(changed) => {
                let shares = self.positions.entry(changed.instrument).or_default();
                *shares = shares.plus(changed.moved);
                if *shares == Shares::default() {
                    self.positions.remove(&changed.instrument);
                }
            }
            EventData::FolioChanged(changed) => {
                let key = (changed.scheme, changed.folio);
                let units = self.folios.entry(key).or_default();
                *units += changed.moved;
                if units.is_zero() {
                    self.folios.remove(&key);
                }
            }
            _ => self.fold(event),
        }
    }

    fn move_intraday(&mut self, changed: &Changed) {
        let shares = self.intraday.entry(changed.instrument).or_default();
        *shares += changed.moved.total();
        if shares.is_zero() {
            self.intraday.remove(&changed.instrument);
        }
    }

    /// Writes the canonical rows.
    pub fn write(&self, account: &AccountId, rows: &mut Rows) {
        if let Some(opened_at) = self.opened_at {
            rows.row("account").id(account.as_str()).show(opened_at);
        }
        for (instrument, shares) in &self.positions {
            let mut row = rows.row("position");
            row.id(account.as_str()).id(instrument.as_str());
            row.show(shares.bought_today).show(shares.t1).show(shares.settled);
        }
        for (instrument, shares) in &self.intraday {
            rows.row("intraday").id(account.as_str()).id(instrument.as_str()).show(shares);
        }
        for ((scheme, folio), units) in &self.folios {
            rows.row("folio").id(account.as_str()).id(scheme.as_str()).id(folio.as_str()).show(units);
        }
    }
}
