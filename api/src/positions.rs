//! Making delivery of an intraday position; holds no rule about shares or cash.

use crate::{
    body::{Json, body},
    caller::{CLIENT, CallerFor},
    field::{self, Field, Kind, Shape},
    orders::{PRODUCTS, QUANTITY},
    sent::{Key, Sent},
    state::State,
    submit,
};
use axum::{extract, response::Response};
use domain::{ids::InstrumentId, intraday::Convert, money::Quantity, order::Product};
use serde::Deserialize;

/// An intraday position to make delivery of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversion {
    instrument: InstrumentId,
    from: Product,
    to: Product,
    quantity: Quantity,
}

body!(
    /// An intraday position to make delivery of.
    Conversion as ConvertPosition,
    &Shape {
        name: "ConvertPosition",
        about: "An intraday position, or a part of it, to make delivery of.",
        fields: &[
            Field::needed("instrument", Kind::Text(field::INSTRUMENT), "Of what"),
            Field::needed("from", PRODUCTS, "What it is: MIS"),
            Field::needed("to", PRODUCTS, "What it shall be: CNC"),
            Field::needed("quantity", QUANTITY, "Shares, whether they were bought or sold"),
        ],
    },
    |conversion| field::quantity_fits(conversion.quantity)
);

/// Makes delivery of today's intraday position, or of a part of it; the rest of its value must be available.
#[utoipa::path(post, path = "/v1/accounts/{account}/positions/convert", tag = "orders", request_body = ConvertPosition,
    security(("token" = ["client"])), responses((status = 201, description = "Converted")))]
pub async fn convert_position(
    extract::State(state): extract::State<State>,
    who: CallerFor<CLIENT>,
    Key(key): Key,
    sent: Sent,
    Json(body): Json<Conversion>,
) -> Response {
    let Conversion { instrument, from, to, quantity } = body;
    let convert = Convert { instrument, from, to, quantity, trade_date: None };
    submit::one(&state, submit::by(&who.caller, None), who.account, key, sent, convert.into()).await
}
