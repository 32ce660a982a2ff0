//! Opening accounts, cash in and out; holds no rule about either.

use crate::{
    body::{Json, body},
    caller::{CLIENT, Caller, CallerFor, OPERATOR},
    field::{self, Field, Kind, Shape},
    sent::{Key, Sent},
    state::State,
    submit,
};
use axum::{extract, response::Response};
use domain::{account, cash, ids::AccountId};
use serde::Deserialize;
use std::sync::Arc;

/// An account to open.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    account: AccountId,
}

body!(
    /// An account to open.
    Open as OpenAccount,
    &Shape {
        name: "OpenAccount",
        about: "An account to open.",
        fields: &[Field::needed("account", Kind::Text(field::ACCOUNT), "An opaque id; nothing personal")],
    },
    |_| true
);
const AMOUNT: &[Field] = &[Field::needed("amount", Kind::Decimal(field::AMOUNT), "Rupees, above zero")];
body!(
    /// Cash that came in.
    cash::Deposit as DepositCash,
    &Shape { name: "DepositCash", about: "Cash that came in.", fields: AMOUNT },
    |body| field::amount_fits(body.amount)
);
body!(
    /// Cash to pay out.
    cash::Withdraw as WithdrawCash,
    &Shape { name: "WithdrawCash", about: "Cash to pay out, at most what is withdrawable.", fields: AMOUNT },
    |body| field::amount_fits(body.amount)
);

/// Opens an account.
#[utoipa::path(post, path = "/v1/accounts", tag = "accounts", request_body = OpenAccount,
    security(("token" = ["operator"])), responses((status = 201, description = "Opened")))]
pub async fn open_account(
    extract::State(state): extract::State<State>,
    Caller(caller): Caller<OPERATOR>,
    Key(key): Key,
    sent: Sent,
    Json(open): Json<Open>,
) -> Response {
    submit::one(&state, Arc::clone(&caller.by), open.account, key, sent, account::Open {}.into()).await
}

/// Records cash that came in.
#[utoipa::path(post, path = "/v1/accounts/{account}/cash/deposits", tag = "accounts", request_body = DepositCash,
    security(("token" = ["operator"])), responses((status = 201, description = "Recorded")))]
pub async fn deposit_cash(
    extract::State(state): extract::State<State>,
    who: CallerFor<OPERATOR>,
    Key(key): Key,
    sent: Sent,
    Json(deposit): Json<cash::Deposit>,
) -> Response {
    submit::one(&state, Arc::clone(&who.caller.by), who.account, key, sent, deposit.into()).await
}

/// Pays out settled cash.
#[utoipa::path(post, path = "/v1/accounts/{account}/cash/withdrawals", tag = "accounts", request_body = WithdrawCash,
    security(("token" = ["client", "operator"])), responses((status = 201, description = "Paid out")))]
pub async fn withdraw_cash(
    extract::State(state): extract::State<State>,
    who: CallerFor<{ CLIENT | OPERATOR }>,
    Key(key): Key,
    sent: Sent,
    Json(withdraw): Json<cash::Withdraw>,
) -> Response {
    submit::one(&state, Arc::clone(&who.caller.by), who.account, key, sent, withdraw.into()).await
}
