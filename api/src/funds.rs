//! Buying into funds and redeeming from them; holds no rule about NAVs, units or cash.

use crate::{
    body::{Json, body},
    caller::{CLIENT, CallerFor},
    field::{self, Field, Kind, Shape},
    sent::{Key, Sent},
    state::State,
    submit,
};
use axum::{extract, response::Response};
use domain::fund::{Purchase, Redemption};

body!(
    /// A purchase to request.
    Purchase as RequestFundPurchase,
    &Shape {
        name: "RequestFundPurchase",
        about: "A fund purchase to request.",
        fields: &[
            Field::needed("scheme", Kind::Text(field::SCHEME), "Into which scheme"),
            Field::needed("amount", Kind::Decimal(field::AMOUNT), "Rupees, above zero"),
            Field::may("folio", Kind::Text(field::FOLIO), "Into which folio; a new one without"),
        ],
    },
    |body| field::amount_fits(body.amount)
);
body!(
    /// A redemption to request.
    Redemption as RequestFundRedemption,
    &Shape {
        name: "RequestFundRedemption",
        about: "A fund redemption to request: exactly one of units, amount and all.",
        fields: &[
            Field::needed("scheme", Kind::Text(field::SCHEME), "From which scheme"),
            Field::needed("folio", Kind::Text(field::FOLIO), "From which folio"),
            Field::may("units", Kind::Decimal(field::UNITS), "So many units"),
            Field::may("amount", Kind::Decimal(field::AMOUNT), "Units worth this amount"),
            Field::may("all", Kind::Yes, "Everything free in the folio"),
        ],
    },
    |body| {
        body.units.is_none_or(field::units_fit)
            && body.amount.is_none_or(field::amount_fits)
            && body.all != Some(false)
    }
);

/// Requests a fund purchase; its money is blocked.
#[utoipa::path(post, path = "/v1/accounts/{account}/fund-purchases", tag = "funds", request_body = RequestFundPurchase,
    security(("token" = ["client"])), responses((status = 201, description = "Requested; `fund_order_id` names it")))]
pub async fn request_fund_purchase(
    extract::State(state): extract::State<State>,
    who: CallerFor<CLIENT>,
    Key(key): Key,
    sent: Sent,
    Json(purchase): Json<Purchase>,
) -> Response {
    submit::one(&state, submit::by(&who.caller, None), who.account, key, sent, purchase.into()).await
}

/// Requests a fund redemption; its units are blocked.
#[utoipa::path(post, path = "/v1/accounts/{account}/fund-redemptions", tag = "funds",
    request_body = RequestFundRedemption, security(("token" = ["client"])),
    responses((status = 201, description = "Requested; `fund_order_id` names it")))]
pub async fn request_fund_redemption(
    extract::State(state): extract::State<State>,
    who: CallerFor<CLIENT>,
    Key(key): Key,
    sent: Sent,
    Json(redemption): Json<Redemption>,
) -> Response {
    submit::one(&state, submit::by(&who.caller, None), who.account, key, sent, redemption.into()).await
}
