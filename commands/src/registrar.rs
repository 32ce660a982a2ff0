//! A simulated registrar as a state machine: told what the ledger says, it allots and redeems at the applicable NAV.
//!
//! It knows no log and no desk, and never uses "the latest" NAV: it waits for the NAV of its day.

use crate::outside::{Said, digits};
use domain::{
    applicable_nav::{Class, Rules, Way},
    calendar::CalendarMode,
    command::Command,
    event::{Event, EventData},
    fund::{Allotment, Answer, Asked, Redeem, ReportAllotment},
    ids::{CommandId, Folio, FundOrderId, SchemeCode},
    market::Market,
    money::{Money, Nav, Rounding, Units},
    policy::Policy,
    time::{Date, Timestamp},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// Registrars allot three decimals; units here hold four.
const SMALLEST_PER_UNIT_STEP: i64 = 10;

/// A fund order without an answer.
struct Pending {
    scheme: SchemeCode,
    asked: Asked,
    /// When request and money were both there.
    sent_at: Option<Timestamp>,
}

/// The registrar, for the accounts of one partition.
pub(crate) struct Registrar {
    calendar: CalendarMode,
    policy: Arc<Policy>,
    orders: HashMap<FundOrderId, Pending>,
    by_scheme: HashMap<SchemeCode, BTreeSet<FundOrderId>>,
    /// Fund orders to look at.
    todo: BTreeSet<FundOrderId>,
}

impl Registrar {
    pub(crate) fn new(calendar: CalendarMode, policy: Arc<Policy>) -> Self {
        Self { calendar, policy, orders: HashMap::new(), by_scheme: HashMap::new(), todo: BTreeSet::new() }
    }

    /// Takes in a live event of an entry recorded then.
    pub(crate) fn see(&mut self, recorded_at: Timestamp, event: &Event) {
        match &event.data {
            EventData::FundPurchaseRequested(e) => {
                let asked = Asked::Purchase { amount: e.amount, folio: e.folio };
                self.requested(e.fund_order_id, e.scheme, asked);
            }
            EventData::FundRedemptionRequested(e) => {
                let asked = Asked::Redemption { folio: e.folio, redeem: e.redeem, blocked: e.blocked };
                self.requested(e.fund_order_id, e.scheme, asked);
            }
            EventData::FundOrderSent(e) => {
                if let Some(order) = self.orders.get_mut(&e.fund_order_id) {
                    order.sent_at = Some(recorded_at);
                    self.todo.insert(e.fund_order_id);
                }
            }
            EventData::FundUnitsAllotted(e) if e.applied => self.forget(e.fund_order_id),
            EventData::FundUnitsRedeemed(e) if e.applied => self.forget(e.fund_order_id),
            EventData::FundOrderRejected(e) if e.applied => self.forget(e.fund_order_id),
            _ => {}
        }
    }

    fn requested(&mut self, id: FundOrderId, scheme: SchemeCode, asked: Asked) {
        self.orders.insert(id, Pending { scheme, asked, sent_at: None });
        self.by_scheme.entry(scheme).or_default().insert(id);
    }

    fn forget(&mut self, id: FundOrderId) {
        self.todo.remove(&id);
        if let Some(order) = self.orders.remove(&id)
            && let Some(waiting) = self.by_scheme.get_mut(&order.scheme)
        {
            waiting.remove(&id);
        }
    }

    /// A scheme or its NAVs changed.
    pub(crate) fn moved(&mut self, scheme: &SchemeCode) {
        if let Some(waiting) = self.by_scheme.get(scheme) {
            self.todo.extend(waiting);
        }
    }

    /// The calendar changed: another day's NAV may apply.
    pub(crate) fn all_moved(&mut self) {
        self.todo.extend(self.orders.keys());
    }

    /// Looks at an order again, as what was said about it did not arrive.
    pub(crate) fn again(&mut self, id: FundOrderId) {
        if self.orders.contains_key(&id) {
            self.todo.insert(id);
        }
    }

    /// What the registrar says now, at most `limit` answers.
    pub(crate) fn says(&mut self, market: &Market, limit: usize) -> Vec<Said<FundOrderId>> {
        let mut said = Vec::new();
        while said.len() < limit
            && let Some(id) = self.todo.pop_first()
        {
            let Some(order) = self.orders.get(&id) else { continue };
            let Some(answer) = self.look(id, order, market) else { continue };
            let command = Command::ReportAllotment(ReportAllotment { fund_order_id: id, answer });
            let command_id = CommandId::new(&format!("allot/{id}")).expect("a verb and an order are short and visible");
            said.push(Said { about: id, account: id.account, id: command_id, command });
        }
        said
    }

    /// The answer, once the NAV of its day is recorded, however late that is.
    fn look(&self, id: FundOrderId, order: &Pending, market: &Market) -> Option<Answer> {
        let state = market.schemes.get(&order.scheme)?;
        let class = Class::of(state.scheme.as_ref().and_then(|scheme| scheme.category.as_deref()));
        let way = match order.asked {
            Asked::Purchase { .. } => Way::Purchase,
            Asked::Redemption { .. } => Way::Redemption,
        };
        let rules = Rules { policy: &self.policy, calendar: &market.calendar, mode: self.calendar };
        let nav_date = rules.nav_date(order.sent_at?, way, class)?;
        let nav = *state.navs.get(&nav_date)?;
        let allotment = match &order.asked {
            Asked::Purchase { amount, folio } => {
                let folio = folio.unwrap_or_else(|| new_folio(id));
                let stamp_duty = self.policy.stamp_duty_within(*amount, nav_date);
                stamp_duty.and_then(|duty| purchase(*amount, duty, folio, nav_date, nav))
            }
            Asked::Redemption { folio, redeem, blocked } => {
                let pays_on = rules.pays_on(nav_date, class);
                redemption(*redeem, *blocked, *folio, nav_date, nav, pays_on)
            }
        };
        Some(allotment.map_or_else(|| Answer::Rejected("the NAV allows no units".into()), Answer::Allotted))
    }
}

fn purchase(amount: Money, duty: Money, folio: Folio, nav_date: Date, nav: Nav) -> Option<Allotment> {
    let exact = (amount - duty).units_at(nav, Rounding::Down)?;
    let units = Units::from_smallest(exact.smallest() / SMALLEST_PER_UNIT_STEP * SMALLEST_PER_UNIT_STEP);
    let stamp_duty = (!duty.is_zero()).then_some(duty);
    units.is_positive().then_some(Allotment { folio, nav_date, nav, units, stamp_duty, amount: None, pays_on: None })
}

fn redemption(
    redeem: Redeem,
    blocked: Units,
    folio: Folio,
    nav_date: Date,
    nav: Nav,
    pays_on: Date,
) -> Option<Allotment> {
    let (units, amount) = match redeem {
        Redeem::Units(units) => (units, units.worth(nav, Rounding::HalfUp)?),
        Redeem::All(_) => (blocked, blocked.worth(nav, Rounding::HalfUp)?),
        Redeem::Amount(amount) => {
            let exact = amount.units_at(nav, Rounding::Up)?.smallest();
            let steps = exact.checked_add(SMALLEST_PER_UNIT_STEP - 1)? / SMALLEST_PER_UNIT_STEP;
            let units = Units::from_smallest(steps * SMALLEST_PER_UNIT_STEP);
            if units > blocked { (blocked, blocked.worth(nav, Rounding::HalfUp)?) } else { (units, amount) }
        }
    };
    Some(Allotment { folio, nav_date, nav, units, stamp_duty: None, amount: Some(amount), pays_on: Some(pays_on) })
}

/// A new folio's number follows from the order, so that a repeat names the same.
fn new_folio(id: FundOrderId) -> Folio {
    Folio::new(&digits(&format!("folio/{id}"), 12)).expect("12 digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rupees(text: &str) -> Money {
        Money::parse(text).unwrap()
    }

    #[test]
    fn units_are_rounded_down_to_three_decimals() {
        let (folio, nav) = (Folio::new("1").unwrap(), Nav::parse("41.2345").unwrap());
        let day = Date::parse("2026-11-24").unwrap();
        let allotment = purchase(rupees("5000.00"), rupees("0.25"), folio, day, nav).unwrap();
        // 4999.75 / 41.2345 = 121.25161...
        assert_eq!(allotment.units, Units::parse("121.251").unwrap());
        assert_eq!(allotment.stamp_duty, Some(rupees("0.25")));
    }

    #[test]
    fn an_amount_beyond_what_is_blocked_redeems_what_is_blocked() {
        let (folio, nav) = (Folio::new("1").unwrap(), Nav::parse("10.0000").unwrap());
        let day = Date::parse("2026-11-24").unwrap();
        let blocked = Units::parse("10.000").unwrap();
        let all = redemption(Redeem::Amount(rupees("500.00")), blocked, folio, day, nav, day).unwrap();
        assert_eq!((all.units, all.amount), (blocked, Some(rupees("100.00"))));
        let part = redemption(Redeem::Amount(rupees("33.33")), blocked, folio, day, nav, day).unwrap();
        assert_eq!((part.units, part.amount), (Units::parse("3.333").unwrap(), Some(rupees("33.33"))));
    }
}
