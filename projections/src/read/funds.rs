//! Fund orders as they stand, the newest first; knows no registrar.

use super::{LeavingList, Reading};
use crate::{
    Error, List, Page,
    orders::{FundAsked, FundOrderRow},
    page::after_number,
    view::View,
};
use domain::{
    fund::{Redeem, Status},
    ids::{Folio, FundOrderId, SchemeCode},
    money::{Money, Nav, Units},
    time::{Date, Timestamp},
};
use serde::Serialize;

/// Which fund orders are asked for; what is absent does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct FundOrderFilter {
    /// Where they stand.
    pub status: Option<Status>,
    /// Of this scheme.
    pub scheme: Option<SchemeCode>,
    /// Requested on this IST date or later.
    pub from: Option<Date>,
    /// Requested on this IST date or earlier.
    pub to: Option<Date>,
}

impl FundOrderFilter {
    pub(super) fn matches(&self, row: &FundOrderRow) -> bool {
        let date = row.requested_at.date();
        self.status.is_none_or(|status| status == row.status)
            && self.scheme.is_none_or(|scheme| scheme == row.scheme)
            && self.from.is_none_or(|from| from <= date)
            && self.to.is_none_or(|to| date <= to)
    }
}

/// A fund order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FundOrderAnswer<'a> {
    /// Its id.
    pub fund_order_id: FundOrderId,
    /// `purchase` or `redemption`.
    pub kind: &'static str,
    /// Where it stands.
    pub status: Status,
    /// Which scheme.
    pub scheme: &'a SchemeCode,
    /// Which folio; null until the first allotment of a new one.
    pub folio: Option<&'a Folio>,
    /// Rupees asked for: to invest, or to redeem.
    pub amount: Option<Money>,
    /// Units asked to redeem.
    pub asked_units: Option<Units>,
    /// Whether everything was asked to be redeemed.
    pub all: bool,
    /// Units blocked for a redemption that the registrar has not answered.
    pub blocked_units: Units,
    /// Units allotted or redeemed.
    pub units: Option<Units>,
    /// The NAV that applied.
    pub nav: Option<Nav>,
    /// Its date.
    pub nav_date: Option<Date>,
    /// Stamp duty within a purchase's amount.
    pub stamp_duty: Option<Money>,
    /// What a redemption pays.
    pub payout: Option<Money>,
    /// When it pays.
    pub pays_on: Option<Date>,
    /// Whether something in the registrar's answer is not as it should be.
    pub mismatch: bool,
    /// The registrar's words, when it refused.
    pub reason: Option<&'a str>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When something last happened to it.
    pub updated_at: Timestamp,
}

impl<'a> Reading<'a> {
    /// Fund orders, the newest first.
    pub fn fund_orders(&self, filter: &FundOrderFilter, page: &Page<'_>) -> Result<List<FundOrderAnswer<'a>>, Error> {
        self.need(&[View::Orders])?;
        let found = self.fund_rows(page)?.filter(|row| filter.matches(row)).map(|row| self.fund_answer(row));
        let list = List::take(found, page.limit(), |order| after_number(order.fund_order_id.seq));
        Ok(list.or_on(|| self.goes_on(LeavingList::Funds)))
    }

    fn fund_answer(&self, row: &'a FundOrderRow) -> FundOrderAnswer<'a> {
        let (mut kind, mut amount, mut asked_units, mut all, mut blocked_units) =
            ("redemption", None, None, false, Units::ZERO);
        match row.asked {
            FundAsked::Purchase { amount: asked } => (kind, amount) = ("purchase", Some(asked)),
            FundAsked::Redemption { redeem, blocked } => {
                if !row.status.is_final() {
                    blocked_units = blocked;
                }
                match redeem {
                    Redeem::Units(units) => asked_units = Some(units),
                    Redeem::Amount(asked) => amount = Some(asked),
                    Redeem::All(_) => all = true,
                }
            }
        }
        let answer = row.answer.as_deref();
        FundOrderAnswer {
            fund_order_id: FundOrderId { account: *self.account, seq: row.seq },
            kind,
            status: row.status,
            scheme: &row.scheme,
            folio: row.folio.as_ref(),
            amount,
            asked_units,
            all,
            blocked_units,
            units: answer.map(|answer| answer.units),
            nav: answer.map(|answer| answer.nav),
            nav_date: answer.map(|answer| answer.nav_date),
            stamp_duty: answer.and_then(|answer| answer.stamp_duty),
            payout: answer.and_then(|answer| answer.amount),
            pays_on: answer.and_then(|answer| answer.pays_on),
            mismatch: answer.is_some_and(|answer| answer.mismatch),
            reason: row.reason.as_deref(),
            requested_at: row.requested_at,
            updated_at: row.updated_at,
        }
    }
}
