//! Placing, changing and cancelling orders, singly and in batches; holds no rule about shares or cash.

use crate::{
    body::{Items, Json, body, list},
    caller::{CLIENT, CallerFor},
    field::{self, Field, Kind, Shape},
    sent::{Key, OrderPart, Sent},
    state::State,
    submit,
};
use axum::{extract, response::Response};
use domain::{
    ids::{AlgoId, CommandId, InstrumentId, Tag},
    money::{Percent, Price, Quantity},
    order::{Cancel, Modify, OrderType, Place, Product, Side, Validity},
};
use serde::Deserialize;

/// Order types.
const TYPES: Kind = Kind::Name(&["market", "limit", "SL", "SL-M"]);
/// What becomes of the shares.
pub const PRODUCTS: Kind = Kind::Name(&["CNC", "MIS"]);
/// Buy or sell.
pub const SIDES: Kind = Kind::Name(&["buy", "sell"]);
/// How many shares.
pub const QUANTITY: Kind = Kind::Whole(1, field::QUANTITY_MAX);
const VALIDITIES: Kind = Kind::Name(&["DAY", "IOC"]);

const INSTRUMENT_FIELD: Field = Field::needed("instrument", Kind::Text(field::INSTRUMENT), "What to trade");
const SIDE_FIELD: Field = Field::needed("side", SIDES, "Buy or sell");
const QUANTITY_FIELD: Field = Field::needed("quantity", QUANTITY, "Shares");
const TYPE_FIELD: Field = Field::needed("type", TYPES, "How the price is set");
const PRICE_FIELD: Field = Field::may("price", Kind::Decimal(field::PRICE), "The limit, for limit and SL only");
const TRIGGER_FIELD: Field =
    Field::may("trigger_price", Kind::Decimal(field::PRICE), "The price from which on it stands, for SL and SL-M only");
const DISCLOSED_FIELD: Field =
    Field::may("disclosed_quantity", QUANTITY, "The part that the market is shown at a time: a tenth at least");
const PRODUCT_FIELD: Field =
    Field::needed("product", PRODUCTS, "What becomes of the shares: CNC is delivery, MIS intraday on margin");
const VALIDITY_FIELD: Field = Field::needed("validity", VALIDITIES, "Until the session ends, or at once or not at all");
const PROTECTION_FIELD: Field = Field::may(
    "market_protection",
    Kind::Decimal(field::PERCENT),
    "How far from the last price an order at market may trade, in percent",
);
const TAG_FIELD: Field = Field::may("tag", Kind::Text(field::TAG), "Your own mark");
const ALGO_FIELD: Field =
    Field::may("algo_id", Kind::Text(field::ALGO), "The exchange's id of the algorithm that places it");

body!(
    /// An order to place.
    Place as PlaceOrder,
    &Shape {
        name: "PlaceOrder",
        about: "An order to place.",
        fields: &[
            INSTRUMENT_FIELD, SIDE_FIELD, QUANTITY_FIELD, TYPE_FIELD, PRICE_FIELD, TRIGGER_FIELD, DISCLOSED_FIELD,
            PRODUCT_FIELD, VALIDITY_FIELD, PROTECTION_FIELD, TAG_FIELD, ALGO_FIELD,
        ],
    },
    |order| {
        let quantities = [Some(order.quantity), order.disclosed_quantity];
        order_fits(quantities, [order.price, order.trigger_price], order.market_protection)
    }
);

fn order_fits(quantities: [Option<Quantity>; 2], prices: [Option<Price>; 2], protection: Option<Percent>) -> bool {
    quantities.into_iter().flatten().all(field::quantity_fits)
        && prices.into_iter().flatten().all(field::price_fits)
        && protection.is_none_or(field::percent_fits)
}

/// An order of a batch: with its own key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyed {
    key: CommandId,
    instrument: InstrumentId,
    side: Side,
    quantity: Quantity,
    #[serde(rename = "type")]
    order_type: OrderType,
    price: Option<Price>,
    trigger_price: Option<Price>,
    disclosed_quantity: Option<Quantity>,
    product: Product,
    validity: Validity,
    market_protection: Option<Percent>,
    tag: Option<Tag>,
    algo_id: Option<AlgoId>,
}

body!(
    /// An order of a batch.
    Keyed as BatchOrder,
    &Shape {
        name: "BatchOrder",
        about: "An order of a batch, with its own key.",
        fields: &[
            Field::needed("key", Kind::Text(field::KEY), "This order's Idempotency-Key"),
            INSTRUMENT_FIELD, SIDE_FIELD, QUANTITY_FIELD, TYPE_FIELD, PRICE_FIELD, TRIGGER_FIELD, DISCLOSED_FIELD,
            PRODUCT_FIELD, VALIDITY_FIELD, PROTECTION_FIELD, TAG_FIELD, ALGO_FIELD,
        ],
    },
    |order| {
        let quantities = [Some(order.quantity), order.disclosed_quantity];
        field::is_key(order.key.as_str())
            && order_fits(quantities, [order.price, order.trigger_price], order.market_protection)
    }
);

list!(
    /// Orders to place one after the other; each is its own command.
    OrderBatch = "orders" of BatchOrder
);

/// A change to an order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    quantity: Option<Quantity>,
    price: Option<Price>,
    trigger_price: Option<Price>,
    #[serde(rename = "type")]
    order_type: Option<OrderType>,
    validity: Option<Validity>,
}

body!(
    /// A change to an order.
    Change as ModifyOrder,
    &Shape {
        name: "ModifyOrder",
        about: "A change to an order; what is absent stays.",
        fields: &[
            Field::may("quantity", QUANTITY, "Its new quantity, never below what is filled"),
            Field::may("price", Kind::Decimal(field::PRICE), "Its new limit"),
            Field::may("trigger_price", Kind::Decimal(field::PRICE), "Its new trigger price, until it is triggered"),
            Field::may("type", TYPES, "Its new type"),
            Field::may("validity", VALIDITIES, "Its new validity"),
        ],
    },
    |change| {
        change.quantity.is_none_or(field::quantity_fits)
            && [change.price, change.trigger_price].into_iter().flatten().all(field::price_fits)
    }
);

/// Places an order.
#[utoipa::path(post, path = "/v1/accounts/{account}/orders", tag = "orders", request_body = PlaceOrder,
    security(("token" = ["client"])), responses((status = 201, description = "Requested; `order_id` names it")))]
pub async fn place_order(
    extract::State(state): extract::State<State>,
    who: CallerFor<CLIENT>,
    Key(key): Key,
    sent: Sent,
    Json(order): Json<Place>,
) -> Response {
    let by = submit::by(&who.caller, order.algo_id.as_ref());
    submit::one(&state, by, who.account, key, sent, order.into()).await
}

/// Asks to change an order; it stays as it is until the venue answers.
#[utoipa::path(patch, path = "/v1/accounts/{account}/orders/{order}", tag = "orders", request_body = ModifyOrder,
    security(("token" = ["client"])), responses((status = 201, description = "Requested")))]
pub async fn modify_order(
    extract::State(state): extract::State<State>,
    who: CallerFor<CLIENT>,
    OrderPart(order_id): OrderPart,
    Key(key): Key,
    sent: Sent,
    Json(change): Json<Change>,
) -> Response {
    let Change { quantity, price, trigger_price, order_type, validity } = change;
    let modify = Modify { order_id, quantity, price, trigger_price, order_type, validity };
    submit::one(&state, submit::by(&who.caller, None), who.account, key, sent, modify.into()).await
}

/// Asks to cancel what is pending of an order.
#[utoipa::path(delete, path = "/v1/accounts/{account}/orders/{order}", tag = "orders",
    security(("token" = ["client"])), responses((status = 201, description = "Requested")))]
pub async fn cancel_order(
    extract::State(state): extract::State<State>,
    who: CallerFor<CLIENT>,
    OrderPart(order_id): OrderPart,
    Key(key): Key,
    sent: Sent,
) -> Response {
    let cancel = Cancel { order_id, due_to: None };
    submit::one(&state, submit::by(&who.caller, None), who.account, key, sent, cancel.into()).await
}

/// Places 1 to 1000 orders one after the other; each is accepted or refused on its own.
#[utoipa::path(post, path = "/v1/accounts/{account}/orders/batch", tag = "orders", request_body = OrderBatch,
    security(("token" = ["client"])), responses((status = 200, description = "One status and body for each order")))]
pub async fn place_orders(
    extract::State(state): extract::State<State>,
    who: CallerFor<CLIENT>,
    sent: Sent,
    Items(items, _): Items<OrderBatch, Keyed>,
) -> Response {
    let order: Vec<usize> = (0..items.len()).collect();
    let items = items.into_iter().map(|item| {
        item.map(|item| {
            let Keyed { key, instrument, side, quantity, order_type, price, product, validity, .. } = item;
            let Keyed { trigger_price, disclosed_quantity, market_protection, tag, algo_id, .. } = item;
            let by = submit::by(&who.caller, algo_id.as_ref());
            let place = Place {
                instrument,
                side,
                quantity,
                order_type,
                price,
                trigger_price,
                disclosed_quantity,
                product,
                validity,
                market_protection,
                tag,
                algo_id,
            };
            (key, by, place.into())
        })
    });
    submit::many(&state, who.account, sent, items.collect(), &order).await
}
