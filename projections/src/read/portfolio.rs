//! A portfolio: what is held, what it cost, what it is worth at the last prices known; computes, keeps nothing.
//!
//! Where the cost of a part is not known (imported history without a price), `cost`, the average and
//! the unrealised gain are of the rest, and `unknown_cost_quantity` or `unknown_cost_units` says how
//! much is left out. The answer is written into one buffer without a copy of any row.

use super::Reading;
use crate::{Error, Page, page::after_key, pnl::Standing, view::View};
use domain::{
    ids::{AccountId, Folio, InstrumentId, SchemeCode},
    intraday::Intraday,
    money::{Money, Nav, Price, Quantity, Rounding, Units},
    order::Product,
    position::Shares,
    time::Date,
};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use std::cell::{Cell, RefCell};

/// Shares of one instrument.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShareRow<'a> {
    /// Of what.
    pub instrument: &'a InstrumentId,
    /// Delivery or intraday.
    pub product: Product,
    /// Bought today, T1 and settled; of an intraday position below zero when sold and not bought, as are its cost and value.
    pub quantity: Quantity,
    /// Bought on a day that is not netted yet.
    pub bought_today: Quantity,
    /// Bought, netted, not settled.
    pub t1: Quantity,
    /// Settled.
    pub settled: Quantity,
    /// What they cost.
    pub cost: Money,
    /// Of that, a share.
    pub average_price: Option<Price>,
    /// The last price known.
    pub last_price: Option<Price>,
    /// Quantity at that price.
    pub value: Option<Money>,
    /// Value less cost.
    pub unrealised: Option<Money>,
    /// Last price less previous close, times quantity.
    pub day_change: Option<Money>,
    /// Shares whose cost is not known.
    #[serde(skip_serializing_if = "no_shares")]
    pub unknown_cost_quantity: Quantity,
    /// A sale of today waits for the day's netting: the cost may still change.
    pub provisional: bool,
}

/// Units of one scheme in one folio.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FundRow<'a> {
    /// Of which scheme.
    pub scheme: &'a SchemeCode,
    /// In which folio.
    pub folio: &'a Folio,
    /// How many.
    pub units: Units,
    /// What they cost.
    pub cost: Money,
    /// Of that, a unit.
    pub average_nav: Option<Nav>,
    /// The latest NAV.
    pub nav: Option<Nav>,
    /// Its day.
    pub nav_date: Option<Date>,
    /// Units at that NAV.
    pub value: Option<Money>,
    /// Value less cost.
    pub unrealised: Option<Money>,
    /// Value less units at the NAV before.
    pub day_change: Option<Money>,
    /// Units whose cost is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_cost_units: Option<Units>,
}

/// One row: shares or fund units.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PortfolioRow<'a> {
    /// Shares.
    Shares(ShareRow<'a>),
    /// Fund units.
    Fund(FundRow<'a>),
}

/// Sums over all rows whose figure is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Cost.
    pub cost: Money,
    /// Value.
    pub value: Money,
    /// Unrealised gain.
    pub unrealised: Money,
    /// Change against the day before.
    pub day_change: Money,
    /// Rows without a price, which are in no value.
    pub unpriced: u32,
}

fn no_shares(quantity: &Quantity) -> bool {
    quantity.is_zero()
}

impl Totals {
    pub(super) fn add(&mut self, row: &PortfolioRow<'_>) {
        let (cost, value, unrealised, day_change) = match row {
            PortfolioRow::Shares(row) => (row.cost, row.value, row.unrealised, row.day_change),
            PortfolioRow::Fund(row) => (row.cost, row.value, row.unrealised, row.day_change),
        };
        self.cost += cost;
        self.value += value.unwrap_or_default();
        self.unrealised += unrealised.unwrap_or_default();
        self.day_change += day_change.unwrap_or_default();
        self.unpriced += u32::from(value.is_none());
    }
}

/// A portfolio, computed while it is written: `{"account","items","next_cursor","totals"}`.
pub struct PortfolioAnswer<'r, 'a> {
    reading: &'r Reading<'a>,
    after: Option<String>,
    limit: usize,
}

impl<'a> Reading<'a> {
    /// Everything held, shares by instrument, intraday positions, then units by scheme and folio; totals are over all pages.
    pub fn portfolio<'r>(&'r self, page: &Page<'_>) -> Result<PortfolioAnswer<'r, 'a>, Error> {
        self.need(&[View::Orders, View::Portfolio, View::Pnl, View::Prices, View::Navs])?;
        Ok(PortfolioAnswer { reading: self, after: page.key()?, limit: page.limit() })
    }

    fn share_row(&self, instrument: &'a InstrumentId, shares: &Shares) -> ShareRow<'a> {
        let standing = self.standing(instrument);
        let Standing { unknown_quantity, cost, is_provisional, .. } = standing;
        let quantity = shares.total();
        let unknown_cost_quantity = Quantity::new(unknown_quantity);
        let known = quantity - unknown_cost_quantity;
        let quote = self.prices.quote(instrument);
        let worth = |quantity| quote.last.and_then(|last: Price| last.times(quantity, Rounding::HalfUp));
        let value = worth(quantity);
        let known_value = if unknown_quantity == 0 { value } else { worth(known) };
        let change = quote.last.zip(quote.previous_close).and_then(|(last, close)| last.checked_sub(close));
        ShareRow {
            instrument,
            product: Product::Cnc,
            quantity,
            bought_today: shares.bought_today,
            t1: shares.t1,
            settled: shares.settled,
            cost,
            average_price: if known.is_positive() { cost.per_share(known, Rounding::HalfUp) } else { None },
            last_price: quote.last,
            value,
            unrealised: known_value.and_then(|value| value.checked_sub(cost)),
            day_change: change.and_then(|change| change.times(quantity, Rounding::HalfUp)),
            unknown_cost_quantity,
            provisional: is_provisional,
        }
    }

    fn intraday_row(&self, instrument: &'a InstrumentId, quantity: Quantity) -> ShareRow<'a> {
        let open = self.rows.pnl.instruments.get(instrument).map(|of| &of.mis);
        let signed = |of: &Intraday| if of.quantity.is_negative() { -of.value } else { of.value };
        let cost: Money = open.iter().flat_map(|sessions| sessions.values()).map(signed).sum();
        let quote = self.prices.quote(instrument);
        let value = quote.last.and_then(|last| last.times(quantity, Rounding::HalfUp));
        let change = quote.last.zip(quote.previous_close).and_then(|(last, close)| last.checked_sub(close));
        ShareRow {
            instrument,
            product: Product::Mis,
            quantity,
            bought_today: quantity,
            t1: Quantity::ZERO,
            settled: Quantity::ZERO,
            cost,
            average_price: cost.per_share(quantity, Rounding::HalfUp),
            last_price: quote.last,
            value,
            unrealised: value.and_then(|value| value.checked_sub(cost)),
            day_change: change.and_then(|change| change.times(quantity, Rounding::HalfUp)),
            unknown_cost_quantity: Quantity::ZERO,
            provisional: false,
        }
    }

    fn fund_row(&self, scheme: &'a SchemeCode, folio: &'a Folio, units: Units) -> FundRow<'a> {
        let lots = self.rows.pnl.folios.get(&(*scheme, *folio)).map(|of| &of.lots);
        let cost = lots.map_or(Money::ZERO, |lots| lots.cost());
        let unknown = Units::from_smallest(lots.map_or(0, |lots| lots.unknown_quantity()));
        let known = units - unknown;
        let of = self.navs.schemes.get(scheme);
        let latest = of.and_then(|of| of.latest());
        let worth = |units: Units, nav: Nav| units.worth(nav, Rounding::HalfUp);
        let value = latest.and_then(|latest| worth(units, latest.nav));
        let known_value = if unknown.is_zero() { value } else { latest.and_then(|latest| worth(known, latest.nav)) };
        let before = of.and_then(|of| of.previous()).and_then(|previous| worth(units, previous.nav));
        FundRow {
            scheme,
            folio,
            units,
            cost,
            average_nav: if known.is_positive() { cost.per_unit(known, Rounding::HalfUp) } else { None },
            nav: latest.map(|latest| latest.nav),
            nav_date: latest.map(|latest| latest.date),
            value,
            unrealised: known_value.and_then(|value| value.checked_sub(cost)),
            day_change: value.zip(before).and_then(|(value, before)| value.checked_sub(before)),
            unknown_cost_units: Some(unknown).filter(|unknown| !unknown.is_zero()),
        }
    }
}

impl<'a> PortfolioAnswer<'_, 'a> {
    /// Whose.
    pub fn account(&self) -> &'a AccountId {
        self.reading.account
    }

    /// All rows, on whatever page.
    pub fn rows(&self) -> impl Iterator<Item = PortfolioRow<'a>> {
        let reading = self.reading;
        let held = &reading.rows.portfolio;
        let shares = held.positions.iter().map(|(id, shares)| PortfolioRow::Shares(reading.share_row(id, shares)));
        let funds = held
            .folios
            .iter()
            .map(|((scheme, folio), units)| PortfolioRow::Fund(reading.fund_row(scheme, folio, *units)));
        let intraday = held.intraday.iter().map(|(id, open)| PortfolioRow::Shares(reading.intraday_row(id, *open)));
        shares.chain(intraday).chain(funds)
    }

    /// Sums over all rows.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.rows().for_each(|row| totals.add(&row));
        totals
    }

    /// How many rows there are, on whatever page.
    pub(super) fn rows_max(&self) -> usize {
        let held = &self.reading.rows.portfolio;
        held.positions.len() + held.intraday.len() + held.folios.len()
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn is_before_page(&self, row: &PortfolioRow<'_>) -> bool {
        self.after.as_deref().is_some_and(|after| key(row).as_str() <= after)
    }
}

impl Serialize for PortfolioAnswer<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items = Items { answer: self, totals: Cell::default(), next_cursor: RefCell::default() };
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("account", self.account())?;
        map.serialize_entry("items", &items)?;
        map.serialize_entry("next_cursor", &*items.next_cursor.borrow())?;
        map.serialize_entry("totals", &items.totals.get())?;
        map.end()
    }
}

/// The rows of the page; what stands behind them in the answer is found on the way.
struct Items<'b, 'r, 'a> {
    answer: &'b PortfolioAnswer<'r, 'a>,
    totals: Cell<Totals>,
    next_cursor: RefCell<Option<String>>,
}

impl Serialize for Items<'_, '_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut items = serializer.serialize_seq(None)?;
        let (mut totals, mut left, mut last) = (Totals::default(), self.answer.limit, None);
        for row in self.answer.rows() {
            totals.add(&row);
            if self.answer.is_before_page(&row) {
                continue;
            }
            if left > 0 {
                items.serialize_element(&row)?;
                left -= 1;
                last = (left == 0).then_some(row);
            } else if let Some(last) = last.take() {
                self.next_cursor.replace(Some(after_key(&key(&last))));
            }
        }
        self.totals.set(totals);
        items.end()
    }
}

/// Sorts as the rows do: shares first, then intraday positions, then funds by scheme and folio.
pub(super) fn key(row: &PortfolioRow<'_>) -> String {
    match row {
        PortfolioRow::Shares(row) if row.product == Product::Mis => format!("2{}", row.instrument),
        PortfolioRow::Shares(row) => format!("1{}", row.instrument),
        // A control sorts before every character of a folio or scheme, as the end of a text does.
        PortfolioRow::Fund(row) => format!("3{}\t{}", row.scheme, row.folio),
    }
}
