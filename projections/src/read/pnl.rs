//! Profit and loss by instrument and folio: realised, provisional until the day is netted, unrealised at the last prices.

use super::Reading;
use crate::{
    Error, List, Page,
    lots::Gains,
    page::after_key,
    pnl::{Day, Standing},
    view::View,
};
use domain::{
    ids::{AccountId, Folio, InstrumentId, SchemeCode},
    money::{Money, Quantity, Rounding, Units},
    order::Order,
};
use serde::Serialize;

/// One instrument, or one folio of a scheme.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PnlRow<'a> {
    /// Which instrument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instrument: Option<&'a InstrumentId>,
    /// Which scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<&'a SchemeCode>,
    /// In which folio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folio: Option<&'a Folio>,
    /// Shares held, and those of open intraday positions: sold and not bought below zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// Units held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<Units>,
    /// Bought so far, where the price is known.
    pub bought: Money,
    /// Sold so far, where the price is known.
    pub sold: Money,
    /// Realised: intraday and delivery.
    pub realised: Money,
    /// Of that, within a day.
    pub intraday: Money,
    /// Of that, by delivery.
    pub delivery: Money,
    /// Gained on days not netted yet; may still change.
    pub provisional: Money,
    /// Whether such a day has a sale.
    pub is_provisional: bool,
    /// Cost of what is held, with open days netted as they are now.
    pub cost: Money,
    /// What is held, at the last price, less that cost; null without a price.
    pub unrealised: Option<Money>,
    /// Proceeds of sales whose cost is not known; in no gain.
    pub unknown_cost_proceeds: Money,
    /// Cost of sales whose price is not known; in no gain.
    pub unknown_price_cost: Money,
}

/// An account's profit and loss.
#[derive(Clone, Debug, Serialize)]
pub struct PnlAnswer<'a> {
    /// Whose.
    pub account: &'a AccountId,
    /// Realised, over all rows.
    pub realised: Money,
    /// Provisional, over all rows.
    pub provisional: Money,
    /// Unrealised, over all rows with a price.
    pub unrealised: Money,
    /// By instrument, then by scheme and folio.
    #[serde(flatten)]
    pub rows: List<PnlRow<'a>>,
}

impl<'a> Reading<'a> {
    /// Profit and loss; sums are over all pages.
    pub fn pnl(&self, page: &Page<'_>) -> Result<PnlAnswer<'a>, Error> {
        self.need(&[View::Orders, View::Pnl, View::Prices, View::Navs])?;
        let after = page.key()?;
        let (mut realised, mut provisional, mut unrealised) = (Money::ZERO, Money::ZERO, Money::ZERO);
        let shares = self.rows.pnl.instruments.keys().map(|id| self.pnl_of_shares(id));
        let funds = self.rows.pnl.folios.keys().map(|(scheme, folio)| self.pnl_of_folio(scheme, folio));
        let rows: Vec<PnlRow<'a>> = shares.chain(funds).flatten().collect();
        for row in &rows {
            realised += row.realised;
            provisional += row.provisional;
            unrealised += row.unrealised.unwrap_or_default();
        }
        let paged = rows.into_iter().filter(|row| after.as_deref().is_none_or(|after| key(row).as_str() > after));
        let rows = List::take(paged, page.limit(), |row| after_key(&key(row)));
        Ok(PnlAnswer { account: self.account, realised, provisional, unrealised, rows })
    }

    /// Lots and cost of shares; days not netted yet are netted as they are now, but of a trade-to-trade series, as the
    /// orders of the day say.
    pub(super) fn standing(&self, instrument: &InstrumentId) -> Standing {
        let orders = self.rows.orders.orders();
        let delivers_gross = |day: &Day| {
            let of_day = |order: &Order| order.instrument == *instrument && order.session_date == day.trade_date;
            orders.iter().any(|row| row.order.delivers_gross && of_day(&row.order))
        };
        let of = self.rows.pnl.instruments.get(instrument);
        of.map(|of| of.standing_where(delivers_gross)).unwrap_or_default()
    }

    fn pnl_of_shares(&self, instrument: &'a InstrumentId) -> Option<PnlRow<'a>> {
        let of = self.rows.pnl.instruments.get(instrument)?;
        let standing = self.standing(instrument);
        let known = Quantity::new(standing.quantity - standing.unknown_quantity);
        let last = self.prices.quote(instrument).last;
        // Open intraday positions count with their sign: what was sold and not bought is owed.
        let (mut intraday, mut intraday_cost) = (Quantity::ZERO, Money::ZERO);
        for open in of.mis.values() {
            intraday += open.quantity;
            intraday_cost += if open.quantity.is_negative() { -open.value } else { open.value };
        }
        let value = last.and_then(|last| last.times(known + intraday, Rounding::HalfUp));
        Some(PnlRow {
            instrument: Some(instrument),
            quantity: Some(Quantity::new(standing.quantity) + intraday),
            intraday: of.intraday,
            provisional: standing.provisional,
            is_provisional: standing.is_provisional,
            ..row(of.bought, of.sold, of.intraday, &of.gains, standing.cost + intraday_cost, value)
        })
    }

    fn pnl_of_folio(&self, scheme: &'a SchemeCode, folio: &'a Folio) -> Option<PnlRow<'a>> {
        let of = self.rows.pnl.folios.get(&(*scheme, *folio))?;
        let known = Units::from_smallest(of.lots.quantity() - of.lots.unknown_quantity());
        let latest = self.navs.schemes.get(scheme).and_then(|of| of.latest());
        let value = latest.and_then(|latest| known.worth(latest.nav, Rounding::HalfUp));
        Some(PnlRow {
            scheme: Some(scheme),
            folio: Some(folio),
            units: Some(Units::from_smallest(of.lots.quantity())),
            ..row(of.bought, of.sold, Money::ZERO, &of.gains, of.lots.cost(), value)
        })
    }
}

fn row<'a>(
    bought: Money,
    sold: Money,
    intraday: Money,
    gains: &Gains,
    cost: Money,
    value: Option<Money>,
) -> PnlRow<'a> {
    PnlRow {
        instrument: None,
        scheme: None,
        folio: None,
        quantity: None,
        units: None,
        bought,
        sold,
        realised: intraday + gains.realised,
        intraday,
        delivery: gains.realised,
        provisional: Money::ZERO,
        is_provisional: false,
        cost,
        unrealised: value.and_then(|value| value.checked_sub(cost)),
        unknown_cost_proceeds: gains.unknown_cost_proceeds,
        unknown_price_cost: gains.unknown_price_cost,
    }
}

/// Sorts as the rows do.
fn key(row: &PnlRow<'_>) -> String {
    match (row.instrument, row.scheme, row.folio) {
        (Some(instrument), ..) => format!("1{instrument}"),
        (None, Some(scheme), Some(folio)) => format!("2{scheme}\t{folio}"),
        _ => String::new(),
    }
}
