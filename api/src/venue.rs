//! What exchanges and registrars tell, and what they are asked; facts are handed over, never weighed here.

use crate::{
    body::{Json, body},
    caller::{AUDITOR, Caller, CallerFor, OPERATOR, VENUE},
    field::{self, Field, Kind, Shape},
    orders::{QUANTITY, SIDES},
    problem::{Fault, Problem},
    sent::{Key, Sent, SeqPart},
    state::State,
    submit,
};
use axum::{extract, response::Response};
use domain::{
    fund::{Allotment, Answer, ReportAllotment},
    ids::{AccountId, ExchangeOrderId, Folio, FundOrderId, InstrumentId, OrderId, TradeId},
    money::{Money, Nav, Price, Quantity, Units},
    order::{Assign, Fill, Report, ReportKind, Side},
    time::{Date, Timestamp},
};
use serde::Deserialize;

const ACCOUNT_FIELD: Field = Field::needed("account", Kind::Text(field::ACCOUNT), "Whose order it is");
const ORDER_FIELD: Field = Field::needed("order_id", Kind::Text(field::ORDER), "The order");

/// A venue's report.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reported {
    account: AccountId,
    order_id: OrderId,
    report: ReportKind,
    exchange_order_id: Option<ExchangeOrderId>,
    reason: Option<Box<str>>,
    quantity: Option<Quantity>,
    price: Option<Price>,
    at: Timestamp,
}

body!(
    /// A venue's report.
    Reported as ReportOrder,
    &Shape {
        name: "ReportOrder",
        about: "What a venue says about an order.",
        fields: &[
            ACCOUNT_FIELD,
            ORDER_FIELD,
            Field::needed(
                "report",
                Kind::Name(&["accepted", "rejected", "triggered", "modified", "cancelled", "expired"]),
                "What happened",
            ),
            Field::may("exchange_order_id", Kind::Text(field::EXCHANGE_ORDER), "The venue's number"),
            Field::may("reason", Kind::Text(field::WORDS), "The venue's words"),
            Field::may("quantity", QUANTITY, "For `modified`: the quantity from now on, if not as asked"),
            Field::may("price", Kind::Decimal(field::PRICE), "For `modified`: the limit from now on, if not as asked"),
            Field::needed("at", Kind::Text(field::INSTANT), "When it happened at the venue"),
        ],
    },
    |body| {
        body.reason.as_deref().is_none_or(field::is_words)
            && body.quantity.is_none_or(field::quantity_fits)
            && body.price.is_none_or(field::price_fits)
            && field::instant_fits(body.at)
    }
);

/// A venue's trade.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filled {
    account: AccountId,
    order_id: OrderId,
    trade_id: TradeId,
    quantity: Quantity,
    price: Price,
    executed_at: Timestamp,
    instrument: Option<InstrumentId>,
    side: Option<Side>,
}

body!(
    /// A venue's trade.
    Filled as RecordFill,
    &Shape {
        name: "RecordFill",
        about: "A trade of an order.",
        fields: &[
            ACCOUNT_FIELD,
            ORDER_FIELD,
            Field::needed("trade_id", Kind::Text(field::TRADE), "The exchange's number of the trade"),
            Field::needed("quantity", QUANTITY, "Shares traded"),
            Field::needed("price", Kind::Decimal(field::PRICE), "At what price"),
            Field::needed("executed_at", Kind::Text(field::INSTANT), "When it traded"),
            Field::may("instrument", Kind::Text(field::INSTRUMENT), "Must agree with the order's"),
            Field::may("side", SIDES, "Must agree with the order's"),
        ],
    },
    |body| {
        field::quantity_fits(body.quantity) && field::price_fits(body.price) && field::instant_fits(body.executed_at)
    }
);

/// A trade that the exchange cancels.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancelled {
    account: AccountId,
    order_id: OrderId,
    trade_id: TradeId,
    trade_date: Date,
    reason: Option<Box<str>>,
    at: Timestamp,
}

body!(
    /// A trade that the exchange cancels.
    Cancelled as CancelTrade,
    &Shape {
        name: "CancelTrade",
        about: "A trade that the exchange cancels.",
        fields: &[
            ACCOUNT_FIELD,
            Field::needed("order_id", Kind::Text(field::ORDER), "The order that the trade filled, or named"),
            Field::needed("trade_id", Kind::Text(field::TRADE), "The exchange's number of the trade"),
            Field::needed("trade_date", Kind::Text(field::DATE), "The IST date of the trade"),
            Field::may("reason", Kind::Text(field::WORDS), "The venue's words"),
            Field::needed("at", Kind::Text(field::INSTANT), "When it was cancelled at the venue"),
        ],
    },
    |body| body.reason.as_deref().is_none_or(field::is_words) && field::instant_fits(body.at)
);

/// The order that an unmatched trade belongs to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assigned {
    order_id: OrderId,
}

body!(
    /// The order that an unmatched trade belongs to.
    Assigned as AssignFill,
    &Shape { name: "AssignFill", about: "The order that an unmatched trade belongs to.", fields: &[ORDER_FIELD] },
    |_| true
);

/// A registrar's answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allotted {
    account: AccountId,
    fund_order_id: FundOrderId,
    folio: Option<Folio>,
    nav_date: Option<Date>,
    nav: Option<Nav>,
    units: Option<Units>,
    stamp_duty: Option<Money>,
    amount: Option<Money>,
    pays_on: Option<Date>,
    rejected: Option<Box<str>>,
}

body!(
    /// A registrar's answer.
    Allotted as ReportFundOrder,
    &Shape {
        name: "ReportFundOrder",
        about: "A registrar's answer to a fund order: folio, nav_date, nav and units, or rejected alone.",
        fields: &[
            ACCOUNT_FIELD,
            Field::needed("fund_order_id", Kind::Text(field::FUND_ORDER), "The fund order"),
            Field::may("folio", Kind::Text(field::FOLIO), "The folio"),
            Field::may("nav_date", Kind::Text(field::DATE), "The NAV's date"),
            Field::may("nav", Kind::Decimal(field::NAV), "The NAV"),
            Field::may("units", Kind::Decimal(field::UNITS), "Units allotted or redeemed"),
            Field::may("stamp_duty", Kind::Decimal(field::AMOUNT_OR_ZERO), "Stamp duty within a purchase's amount"),
            Field::may("amount", Kind::Decimal(field::AMOUNT), "For a redemption: what is paid out"),
            Field::may("pays_on", Kind::Text(field::DATE), "For a redemption: when it is paid"),
            Field::may("rejected", Kind::Text(field::WORDS), "Why it is refused; alone"),
        ],
    },
    |body| {
        body.nav.is_none_or(field::nav_fits)
            && body.units.is_none_or(field::units_fit)
            && body.stamp_duty.is_none_or(field::amount_or_zero_fits)
            && body.amount.is_none_or(field::amount_fits)
            && body.rejected.as_deref().is_none_or(field::is_words)
    }
);

impl Allotted {
    fn answer(self) -> Result<Answer, Problem> {
        let mut faults = Vec::new();
        let mut fault = |name: &str, detail: &'static str| {
            faults.push(Fault { pointer: format!("/{name}"), detail: detail.into() });
        };
        if let Some(rejected) = self.rejected {
            let others = [
                ("folio", self.folio.is_some()),
                ("nav_date", self.nav_date.is_some()),
                ("nav", self.nav.is_some()),
                ("units", self.units.is_some()),
                ("stamp_duty", self.stamp_duty.is_some()),
                ("amount", self.amount.is_some()),
                ("pays_on", self.pays_on.is_some()),
            ];
            others.iter().filter(|(_, given)| *given).for_each(|(name, _)| fault(name, "does not go with rejected"));
            return if faults.is_empty() {
                Ok(Answer::Rejected(rejected))
            } else {
                Err(Problem::invalid("invalid_body", faults))
            };
        }
        if let (Some(folio), Some(nav_date), Some(nav), Some(units)) = (self.folio, self.nav_date, self.nav, self.units)
        {
            let Self { stamp_duty, amount, pays_on, .. } = self;
            return Ok(Answer::Allotted(Allotment { folio, nav_date, nav, units, stamp_duty, amount, pays_on }));
        }
        let needed = [
            ("folio", self.folio.is_none()),
            ("nav_date", self.nav_date.is_none()),
            ("nav", self.nav.is_none()),
            ("units", self.units.is_none()),
        ];
        needed.iter().filter(|(_, absent)| *absent).for_each(|(name, _)| fault(name, "is missing, and so is rejected"));
        Err(Problem::invalid("invalid_body", faults))
    }
}

/// Reports what happened to an order at the venue.
#[utoipa::path(post, path = "/v1/venue/reports", tag = "venue", request_body = ReportOrder,
    security(("token" = ["venue"])), responses((status = 201, description = "Recorded")))]
pub async fn report_order(
    extract::State(state): extract::State<State>,
    Caller(caller): Caller<VENUE>,
    Key(key): Key,
    sent: Sent,
    Json(body): Json<Reported>,
) -> Response {
    let Reported { account, order_id, report, exchange_order_id, reason, quantity, price, at } = body;
    let report = Report { order_id, report, exchange_order_id, reason, quantity, price, at };
    submit::one(&state, submit::by(&caller, None), account, key, sent, report.into()).await
}

/// Reports a trade.
#[utoipa::path(post, path = "/v1/venue/fills", tag = "venue", request_body = RecordFill,
    security(("token" = ["venue"])), responses((status = 201, description = "Recorded, matched or unmatched")))]
pub async fn record_fill(
    extract::State(state): extract::State<State>,
    Caller(caller): Caller<VENUE>,
    Key(key): Key,
    sent: Sent,
    Json(body): Json<Filled>,
) -> Response {
    let Filled { account, order_id, trade_id, quantity, price, executed_at, instrument, side } = body;
    let fill = Fill { order_id, trade_id, quantity, price, executed_at, instrument, side };
    submit::one(&state, submit::by(&caller, None), account, key, sent, fill.into()).await
}

/// Reports that a trade is cancelled: what it moved moves back.
#[utoipa::path(post, path = "/v1/venue/trade-cancellations", tag = "venue", request_body = CancelTrade,
    security(("token" = ["venue"])), responses((status = 201, description = "Recorded")))]
pub async fn cancel_trade(
    extract::State(state): extract::State<State>,
    Caller(caller): Caller<VENUE>,
    Key(key): Key,
    sent: Sent,
    Json(body): Json<Cancelled>,
) -> Response {
    let Cancelled { account, order_id, trade_id, trade_date, reason, at } = body;
    let cancel = domain::order::CancelTrade { order_id, trade_id, trade_date, reason, at };
    submit::one(&state, submit::by(&caller, None), account, key, sent, cancel.into()).await
}

/// Assigns an unmatched trade to an order.
#[utoipa::path(post, path = "/v1/venue/unmatched/{account}/{seq}/assign", tag = "venue", request_body = AssignFill,
    security(("token" = ["operator"])), responses((status = 201, description = "Assigned")))]
pub async fn assign_fill(
    extract::State(state): extract::State<State>,
    who: CallerFor<OPERATOR>,
    SeqPart(seq): SeqPart,
    Key(key): Key,
    sent: Sent,
    Json(Assigned { order_id }): Json<Assigned>,
) -> Response {
    let assign = Assign { seq, order_id };
    submit::one(&state, submit::by(&who.caller, None), who.account, key, sent, assign.into()).await
}

/// Reports a registrar's answer to a fund order.
#[utoipa::path(post, path = "/v1/venue/allotments", tag = "venue", request_body = ReportFundOrder,
    security(("token" = ["venue"])), responses((status = 201, description = "Recorded")))]
pub async fn report_allotment(
    extract::State(state): extract::State<State>,
    Caller(caller): Caller<VENUE>,
    Key(key): Key,
    sent: Sent,
    Json(body): Json<Allotted>,
) -> Result<Response, Problem> {
    let (account, fund_order_id) = (body.account, body.fund_order_id);
    let report = ReportAllotment { fund_order_id, answer: body.answer()? };
    Ok(submit::one(&state, submit::by(&caller, None), account, key, sent, report.into()).await)
}

/// Who follows what venues are asked.
pub const FOLLOWERS: crate::caller::Roles = VENUE | OPERATOR | AUDITOR;
