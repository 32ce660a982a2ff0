//! A simulated registrar as a state machine: told what the ledger says, it allots and redeems at the applicable NAV.
//!
//! It knows no log and no desk, and never uses "the latest" NAV: it waits for the NAV of its day.

use crate::outside::{Said, digits};
use domain::{
    calendar::CalendarMode,
    command::Command,
    event::{Event, EventData},
    fund::{Allotment, Answer, Asked, Redeem, ReportAllotment},
    ids::{CommandId, Exchange, Folio, FundOrderId, SchemeCode},
    market::{Market, SchemeState},
    money::{Money, Nav, Rounding, Units},
    time::{Date, TimeOfDay, Timestamp},
};
use std::collections::{BTreeSet, HashMap};

/// Until when orders and money get the day's NAV (SEBI, circular of 17 September 2020 on uniform applicability of NAV).
const CUT_OFF: TimeOfDay = TimeOfDay::new(15, 0).expect("a time");
/// The same for purchases of liquid and overnight schemes.
const LIQUID_CUT_OFF: TimeOfDay = TimeOfDay::new(13, 30).expect("a time");
/// Stamp duty on purchases by the date from which it is due: `part` of `whole` of the amount paid, as the amount
/// includes it: 0.005 / 100.005 (Indian Stamp Act as amended from 1 July 2020; the inclusive formula of the industry).
const STAMP_DUTY: &[((i32, u8, u8), i64, i64)] = &[((2020, 7, 1), 5, 100_005)];
/// A redemption pays on the so-manieth settlement day after the NAV's: equity schemes since 1 February 2023 (AMFI);
/// taken for all schemes, although liquid ones pay a day earlier.
const PAYS_AFTER_DAYS: u32 = 2;
/// Registrars allot three decimals; units here hold four.
const SMALLEST_PER_UNIT_STEP: i64 = 10;
/// The longest search for a business day.
const SEARCH_DAYS: i32 = 31;

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
    orders: HashMap<FundOrderId, Pending>,
    by_scheme: HashMap<SchemeCode, BTreeSet<FundOrderId>>,
    /// Fund orders to look at.
    todo: BTreeSet<FundOrderId>,
}

impl Registrar {
    pub(crate) fn new(calendar: CalendarMode) -> Self {
        Self { calendar, orders: HashMap::new(), by_scheme: HashMap::new(), todo: BTreeSet::new() }
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

    /// The answer, once the NAV of its day is recorded.
    fn look(&self, id: FundOrderId, order: &Pending, market: &Market) -> Option<Answer> {
        let state = market.schemes.get(&order.scheme)?;
        let nav_date = self.nav_date(order, state, market)?;
        let nav = *state.navs.get(&nav_date)?;
        let allotment = match &order.asked {
            Asked::Purchase { amount, folio } => {
                let folio = folio.unwrap_or_else(|| new_folio(id));
                purchase(*amount, folio, nav_date, nav)
            }
            Asked::Redemption { folio, redeem, blocked } => {
                let pays_on = market.calendar.settlement_date(self.calendar, nse(), nav_date, PAYS_AFTER_DAYS);
                redemption(*redeem, *blocked, *folio, nav_date, nav, pays_on)
            }
        };
        Some(allotment.map_or_else(|| Answer::Rejected("the NAV allows no units".into()), Answer::Allotted))
    }

    /// The business day whose cut-off came after both request and money.
    fn nav_date(&self, order: &Pending, state: &SchemeState, market: &Market) -> Option<Date> {
        let sent_at = order.sent_at?;
        let cut_off = match (self.calendar, &order.asked) {
            (CalendarMode::AlwaysOpen, _) => TimeOfDay::END_OF_DAY,
            (CalendarMode::Exchange, Asked::Purchase { .. }) if is_liquid(state) => LIQUID_CUT_OFF,
            (CalendarMode::Exchange, _) => CUT_OFF,
        };
        (0..=SEARCH_DAYS).map(|days| sent_at.date().plus_days(days)).find(|date| {
            sent_at < date.at(cut_off)
                && market.calendar.session(self.calendar, nse(), *date).is_some()
                && market.calendar.is_settlement_day(self.calendar, nse(), *date)
        })
    }
}

/// Fund business days follow NSE's and the banks'.
fn nse() -> Exchange {
    Exchange::new("NSE").expect("an exchange")
}

fn is_liquid(state: &SchemeState) -> bool {
    let category = state.scheme.as_ref().and_then(|scheme| scheme.category.as_deref()).unwrap_or_default();
    let category = category.to_ascii_lowercase();
    category.contains("liquid") || category.contains("overnight")
}

fn stamp_duty(amount: Money, date: Date) -> Option<Money> {
    let from = |(year, month, day): (i32, u8, u8)| Date::from_ymd(year, month, day).expect("a date");
    let due = STAMP_DUTY.iter().rev().find(|(since, ..)| from(*since) <= date);
    due.map_or(Some(Money::ZERO), |(_, part, whole)| amount.share(*part, *whole, Rounding::HalfUp))
}

fn purchase(amount: Money, folio: Folio, nav_date: Date, nav: Nav) -> Option<Allotment> {
    let duty = stamp_duty(amount, nav_date)?;
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
    fn stamp_duty_is_included_in_the_amount_and_begins_in_july_2020() {
        let day = |text: &str| Date::parse(text).unwrap();
        assert_eq!(stamp_duty(rupees("5000.00"), day("2020-06-30")), Some(Money::ZERO));
        assert_eq!(stamp_duty(rupees("5000.00"), day("2020-07-01")), Some(rupees("0.25")));
        assert_eq!(stamp_duty(rupees("10000000.00"), day("2026-01-01")), Some(rupees("499.98")));
    }

    #[test]
    fn units_are_rounded_down_to_three_decimals() {
        let (folio, nav) = (Folio::new("1").unwrap(), Nav::parse("41.2345").unwrap());
        let allotment = purchase(rupees("5000.00"), folio, Date::parse("2026-11-24").unwrap(), nav).unwrap();
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
