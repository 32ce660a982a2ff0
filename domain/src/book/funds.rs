//! Fund orders: requests, sending, and the registrar's answers, which are recorded as reported.

use super::{Book, Context, cover, now, positive};
use crate::{
    cash::{Posted, Reason},
    event::{Event, EventData},
    fund::{
        Allotment, Allotted, Answer, Asked, FolioChanged, FundOrder, Holding, Mismatch, Purchase, PurchaseRequested,
        Redeem, Redeemed, Redemption, RedemptionRequested, Rejected, ReportAllotment, Send, Sent, Status,
    },
    ids::{Folio, FundOrderId, SchemeCode},
    market::SchemeState,
    money::{Money, Nav, Rounding, Units},
    rejection::{Refusal, Rejection},
    time::{Date, TimeOfDay},
};

/// Registrars round units to three decimals, each its own way: a difference up to this is none.
const UNITS_TOLERANCE: Units = Units::from_smallest(10);

pub(super) fn purchase(book: &Book, purchase: &Purchase, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    positive(purchase.amount)?;
    scheme(purchase.scheme, context)?;
    if let Some(folio) = purchase.folio {
        held(book, purchase.scheme, folio)?;
    }
    cover(book, purchase.amount)?;
    let fund_order_id = FundOrderId { account: book.account, seq: book.seq + 1 };
    let requested =
        PurchaseRequested { fund_order_id, scheme: purchase.scheme, folio: purchase.folio, amount: purchase.amount };
    Ok(vec![now(context, EventData::FundPurchaseRequested(requested))])
}

pub(super) fn redemption(book: &Book, asked: &Redemption, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    if let Some(units) = asked.units.filter(|units| !units.is_positive()) {
        return Err(Rejection::AmountNotPositive.with("units", units));
    }
    asked.amount.map_or(Ok(()), positive)?;
    let state = scheme(asked.scheme, context);
    let by_amount = match (&state, asked.amount) {
        (Ok(state), Some(amount)) => Some(ByAmount::new(asked.scheme, state, amount, context)?),
        _ => None,
    };
    state?;
    let holding = held(book, asked.scheme, asked.folio)?;
    let free = holding.units - holding.blocked;
    let (redeem, needed, blocked) = match (asked.units, by_amount, asked.all) {
        (Some(units), None, None) => (Redeem::Units(units), units, units),
        (None, Some(by), None) => (Redeem::Amount(by.amount), by.needed, by.with_margin.min(free)),
        (None, None, Some(true)) => (Redeem::All(true), Units::ZERO, free),
        _ => return Err(Rejection::RedeemOneOf.into()),
    };
    if needed > free || !free.is_positive() {
        let figures = Rejection::InsufficientUnits.with("needed", needed).with("held", holding.units);
        return Err(figures.with("blocked", holding.blocked).with("short", needed - free));
    }
    let fund_order_id = FundOrderId { account: book.account, seq: book.seq + 1 };
    let requested = RedemptionRequested { fund_order_id, scheme: asked.scheme, folio: asked.folio, redeem, blocked };
    Ok(vec![now(context, EventData::FundRedemptionRequested(requested))])
}

/// What a redemption by amount needs at the last NAV known, and blocks with its margin.
struct ByAmount {
    amount: Money,
    needed: Units,
    with_margin: Units,
}

impl ByAmount {
    fn new(code: SchemeCode, state: &SchemeState, amount: Money, context: &Context<'_>) -> Result<Self, Refusal> {
        let too_large = || Rejection::AmountTooLarge.with("amount", amount);
        let (_, nav) = state.navs.last_key_value().ok_or_else(|| Rejection::NoPrice.with("scheme", code))?;
        let needed = amount.units_at(*nav, Rounding::Up).ok_or_else(too_large)?;
        let margin = context.policy.redemption_margin(context.now.date()).of(amount, Rounding::Up);
        let with_margin = margin.and_then(|margin| amount.checked_add(margin)?.units_at(*nav, Rounding::Up));
        Ok(Self { amount, needed, with_margin: with_margin.ok_or_else(too_large)? })
    }
}

pub(super) fn send(book: &Book, send: &Send, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let order = order(book, &send.fund_order_id)
        .ok_or_else(|| Rejection::UnknownFundOrder.with("fund_order_id", send.fund_order_id))?;
    if order.status != Status::Requested {
        return Err(Rejection::NotDue.with("status", order.status.name()));
    }
    Ok(sent(order, send.fund_order_id).into_iter().map(|data| now(context, data)).collect())
}

/// The registrar's answer is always recorded; one that fits no order or state has no effect.
pub(super) fn report(book: &Book, report: &ReportAllotment, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    let id = report.fund_order_id;
    let waiting = order(book, &id).filter(|order| !order.status.is_final());
    match &report.answer {
        Answer::Rejected(reason) => {
            Ok(reject(waiting, id, reason).into_iter().map(|data| now(context, data)).collect())
        }
        Answer::Allotted(allotment) => {
            let data = match waiting {
                Some(FundOrder { asked: Asked::Redemption { .. }, .. }) => {
                    redeemed(book, waiting, id, allotment, context)?
                }
                _ => allotted(book, waiting, id, allotment, context),
            };
            // Units exist from the day of the NAV, whose publication ends it; a liquid scheme's NAV is of a day before
            // the purchase, and no unit is older than what asked for it.
            let of_nav = allotment.nav_date.at(TimeOfDay::END_OF_DAY);
            let effective_at = waiting.map_or(of_nav, |order| of_nav.max(order.asked_at)).min(context.now);
            Ok(data.into_iter().map(|data| Event { effective_at, data }).collect())
        }
    }
}

fn reject(waiting: Option<&FundOrder>, id: FundOrderId, reason: &str) -> Vec<EventData> {
    let rejected = Rejected { fund_order_id: id, reason: reason.into(), applied: waiting.is_some() };
    let mut events = vec![EventData::FundOrderRejected(rejected)];
    if let Some(FundOrder { asked: Asked::Purchase { amount, .. }, status: Status::Sent, .. }) = waiting {
        events.push(EventData::CashPosted(posted(*amount, Reason::FundRefund, id, None)));
    }
    events
}

fn allotted(
    book: &Book,
    waiting: Option<&FundOrder>,
    id: FundOrderId,
    allotment: &Allotment,
    context: &Context<'_>,
) -> Vec<EventData> {
    let record = |scheme, amount, mismatch, applied| {
        EventData::FundUnitsAllotted(Allotted {
            fund_order_id: id,
            scheme,
            folio: allotment.folio,
            nav_date: allotment.nav_date,
            nav: allotment.nav,
            units: allotment.units,
            amount,
            stamp_duty: allotment.stamp_duty,
            mismatch,
            applied,
        })
    };
    let Some(order @ FundOrder { asked: Asked::Purchase { amount, .. }, scheme, .. }) = waiting else {
        return vec![record(None, None, Vec::new(), false)];
    };
    let mut mismatch = Vec::new();
    check_units(allotment, *amount - allotment.stamp_duty.unwrap_or_default(), &mut mismatch);
    check_nav(*scheme, allotment.nav_date, allotment.nav, context, &mut mismatch);
    let mut events = if order.status == Status::Requested { sent(order, id) } else { Vec::new() };
    events.push(record(Some(*scheme), Some(*amount), mismatch, true));
    events.push(folio_changed(book, *scheme, allotment.folio, allotment.units));
    events
}

fn redeemed(
    book: &Book,
    waiting: Option<&FundOrder>,
    id: FundOrderId,
    allotment: &Allotment,
    context: &Context<'_>,
) -> Result<Vec<EventData>, Refusal> {
    let Some(order @ FundOrder { asked: Asked::Redemption { folio, .. }, scheme, .. }) = waiting else {
        unreachable!("asked for a redemption that waits")
    };
    let (Some(amount), Some(pays_on)) = (allotment.amount, allotment.pays_on) else {
        return Err(Rejection::PayoutRequired.with("fund_order_id", id));
    };
    let mut mismatch = Vec::new();
    // An exit load or a tax that the registrar has kept back is in no report: the difference says so.
    check_units(allotment, amount, &mut mismatch);
    check_nav(*scheme, allotment.nav_date, allotment.nav, context, &mut mismatch);
    if book.folios.get(&(*scheme, *folio)).is_none_or(|holding| allotment.units > holding.units) {
        mismatch.push(Mismatch::BeyondHolding);
    }
    if allotment.folio != *folio {
        mismatch.push(Mismatch::Folio);
    }
    let mut events = if order.status == Status::Requested { sent(order, id) } else { Vec::new() };
    events.push(EventData::FundUnitsRedeemed(Redeemed {
        fund_order_id: id,
        scheme: *scheme,
        folio: *folio,
        nav_date: allotment.nav_date,
        nav: allotment.nav,
        units: allotment.units,
        amount,
        pays_on,
        mismatch,
        applied: true,
    }));
    events.push(folio_changed(book, *scheme, *folio, -allotment.units));
    events.push(EventData::CashPosted(posted(amount, Reason::FundRedemption, id, Some(pays_on))));
    Ok(events)
}

fn sent(order: &FundOrder, id: FundOrderId) -> Vec<EventData> {
    let mut events = vec![EventData::FundOrderSent(Sent { fund_order_id: id })];
    if let Asked::Purchase { amount, .. } = order.asked {
        events.push(EventData::CashPosted(posted(-amount, Reason::FundPurchase, id, None)));
    }
    events
}

fn posted(amount: Money, reason: Reason, id: FundOrderId, settlement_date: Option<Date>) -> Posted {
    // A redemption's money may be used once it is there, not before.
    let usable = settlement_date.map(|_| Money::ZERO);
    Posted { amount, reason, reference: id.text().as_str().into(), settlement_date, usable }
}

fn folio_changed(book: &Book, scheme: SchemeCode, folio: Folio, moved: Units) -> EventData {
    let before = book.folios.get(&(scheme, folio)).map_or(Units::ZERO, |holding| holding.units);
    EventData::FolioChanged(FolioChanged { scheme, folio, moved, units: before + moved })
}

/// Whether the units are worth the amount at the NAV.
fn check_units(allotment: &Allotment, amount: Money, mismatch: &mut Vec<Mismatch>) {
    let Allotment { units, nav, .. } = *allotment;
    if (units - UNITS_TOLERANCE).compare_worth(nav, amount).is_gt()
        || (units + UNITS_TOLERANCE).compare_worth(nav, amount).is_lt()
    {
        mismatch.push(Mismatch::Units);
    }
}

fn check_nav(code: SchemeCode, date: Date, nav: Nav, context: &Context<'_>, mismatch: &mut Vec<Mismatch>) {
    let published = context.market.schemes.get(&code).and_then(|state| state.navs.get(&date));
    if published.is_some_and(|published| *published != nav) {
        mismatch.push(Mismatch::Nav);
    }
}

fn order<'a>(book: &'a Book, id: &FundOrderId) -> Option<&'a FundOrder> {
    if id.account == book.account { book.fund_orders.get(&id.seq) } else { None }
}

fn scheme<'a>(code: SchemeCode, context: &Context<'a>) -> Result<&'a SchemeState, Refusal> {
    let known = context.market.schemes.get(&code).filter(|state| state.scheme.is_some());
    known.ok_or_else(|| Rejection::UnknownScheme.with("scheme", code))
}

fn held(book: &Book, scheme: SchemeCode, folio: Folio) -> Result<&Holding, Refusal> {
    book.folios.get(&(scheme, folio)).ok_or_else(|| Rejection::UnknownFolio.with("folio", folio).with("scheme", scheme))
}
