//! What is seen of one account: itself, orders, trades, positions, holdings, cash, gains, entries, outcomes.

use crate::{
    caller::{CallerFor, READERS},
    field::{self, Field, Kind},
    outcome::{Of, position, recorded_request_id, told},
    problem::Problem,
    query::{AS_OF, AS_OF_OFFSET, CURSOR, EFFECTIVE_AT, FROM, LIMIT, Query, TO},
    reading::{self, body, body_or},
    sent::{KeyPart, OrderPart, Sent},
    state::State,
    token::Role,
};
use axum::{extract, http::Uri, response::Response};
use domain::command::Submitter;
use projections::{
    AsOf, Listing,
    read::{FundOrderFilter, OrderFilter, TradeFilter},
};

/// First size of a portfolio's buffer: some 25 rows.
const PORTFOLIO_BYTES: usize = 8 * 1024;
/// Of one thing as it was.
pub const ONE: &[Field] = &[AS_OF_OFFSET, AS_OF, EFFECTIVE_AT];
/// Of a list as it was.
pub const PAGE: &[Field] = &[LIMIT, CURSOR, AS_OF_OFFSET, AS_OF, EFFECTIVE_AT];
/// Of entries, which are in recorded time alone: one holds events of several effective times.
pub const ENTRIES: &[Field] = &[LIMIT, CURSOR, AS_OF_OFFSET, AS_OF];
const INSTRUMENT: Field = Field::may("instrument", Kind::Text(field::INSTRUMENT), "Only this one's");
const ORDER_STATUS: Kind = Kind::Name(crate::answers::ORDER_STATUSES);
/// Of orders.
pub const ORDERS: &[Field] = &[
    LIMIT,
    CURSOR,
    Field::may("status", ORDER_STATUS, "Where they stand"),
    INSTRUMENT,
    FROM,
    TO,
    AS_OF_OFFSET,
    AS_OF,
    EFFECTIVE_AT,
];
/// Of trades.
pub const TRADES: &[Field] = &[
    LIMIT,
    CURSOR,
    INSTRUMENT,
    Field::may("order_id", Kind::Text(field::ORDER), "Of this order"),
    Field::may("status", Kind::Name(&["matched", "unmatched"]), "`unmatched`: only those that fit no order yet"),
    FROM,
    TO,
    AS_OF_OFFSET,
    AS_OF,
    EFFECTIVE_AT,
];
/// Of positions and holdings.
pub const HELD: &[Field] = &[LIMIT, CURSOR, INSTRUMENT, AS_OF_OFFSET, AS_OF, EFFECTIVE_AT];
/// Of fund orders.
pub const FUND_ORDERS: &[Field] = &[
    LIMIT,
    CURSOR,
    Field::may("status", Kind::Name(crate::answers::FUND_STATUSES), "Where they stand"),
    Field::may("scheme", Kind::Text(field::SCHEME), "Of this scheme"),
    FROM,
    TO,
    AS_OF_OFFSET,
    AS_OF,
    EFFECTIVE_AT,
];
/// Of a command's outcome.
pub const OUTCOME: &[Field] = &[Field::may(
    "role",
    Kind::Name(&["client", "operator", "venue", "system", "import"]),
    "In which role it was sent; the caller's own unless given, and for a client always",
)];

/// Declares a read that asks one question.
macro_rules! reads {
    ($($(#[$doc:meta])* $name:ident at $path:literal by $fields:expr, $answer:ident: |$reading:ident, $query:ident| $ask:expr;)*) => {
        $(
            $(#[$doc])*
            #[utoipa::path(get, path = $path, tag = "accounts", security(("token" = ["client", "operator", "auditor"])),
                responses((status = 200, description = "As asked", body = crate::answers::$answer)))]
            pub async fn $name(
                extract::State(state): extract::State<State>,
                who: CallerFor<READERS>,
                sent: Sent,
                uri: Uri,
            ) -> Result<Response, Problem> {
                let $query = Query::read(&uri, $fields)?;
                reading::account(&state, &who.account, &sent, &$query, |$reading| $ask).await
            }
        )*
    };
}
reads! {
    /// The account itself.
    get_account at "/v1/accounts/{account}" by ONE, Account: |reading, query| body(reading.account());
    /// Positions by instrument: bought today, T1, settled.
    get_positions at "/v1/accounts/{account}/positions" by HELD, Positions: |reading, query| {
        body(reading.positions(query.get("instrument").as_ref(), &query.page()))
    };
    /// Holdings by instrument: T1 and settled.
    get_holdings at "/v1/accounts/{account}/holdings" by HELD, Holdings: |reading, query| {
        body(reading.holdings(query.get("instrument").as_ref(), &query.page()))
    };
    /// Everything held, valued at the last prices known.
    get_portfolio at "/v1/accounts/{account}/portfolio" by PAGE, Portfolio: |reading, query| {
        let portfolio = reading.portfolio(&query.page()).map_err(reading::problem)?;
        let mut written = Vec::with_capacity(PORTFOLIO_BYTES);
        portfolio.write_json(&mut written);
        Ok(written)
    };
    /// Profit and loss, first in first out.
    get_pnl at "/v1/accounts/{account}/pnl" by PAGE, Pnl: |reading, query| body(reading.pnl(&query.page()));
    /// Rupees: settled, receivable, payable, blocked.
    get_cash at "/v1/accounts/{account}/cash" by ONE, Cash: |reading, query| body(reading.cash());
}

/// Declares a read of a list, some of whose rows may only be in the log.
macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident at $path:literal by $fields:expr, $answer:ident: $listing:ident of $rows:ident, |$query:ident| $filter:expr;)*) => {
        $(
            $(#[$doc])*
            #[utoipa::path(get, path = $path, tag = "accounts", security(("token" = ["client", "operator", "auditor"])),
                responses((status = 200, description = "As asked", body = crate::answers::$answer)))]
            pub async fn $name(
                extract::State(state): extract::State<State>,
                who: CallerFor<READERS>,
                sent: Sent,
                uri: Uri,
            ) -> Result<Response, Problem> {
                let $query = Query::read(&uri, $fields)?;
                let filter = $filter;
                reading::list(&state, &who.account, &sent, &$query, &Listing::$listing(filter), |reading| {
                    body(reading.$rows(&filter, &$query.page()))
                })
                .await
            }
        )*
    };
}
lists! {
    /// Orders, the newest first.
    get_orders at "/v1/accounts/{account}/orders" by ORDERS, Orders: Orders of orders, |query| OrderFilter {
        status: query.named("status"),
        instrument: query.get("instrument"),
        from: query.get("from"),
        to: query.get("to"),
    };
    /// Trades, the newest first.
    get_trades at "/v1/accounts/{account}/trades" by TRADES, Trades: Trades of trades, |query| TradeFilter {
        instrument: query.get("instrument"),
        order: query.get("order_id"),
        from: query.get("from"),
        to: query.get("to"),
        unmatched: query.text("status") == Some("unmatched"),
    };
    /// Fund orders, the newest first.
    get_fund_orders at "/v1/accounts/{account}/fund-orders" by FUND_ORDERS, FundOrders: FundOrders of fund_orders, |query| {
        FundOrderFilter {
            status: query.named("status"),
            scheme: query.get("scheme"),
            from: query.get("from"),
            to: query.get("to"),
        }
    };
}

/// One order.
#[utoipa::path(get, path = "/v1/accounts/{account}/orders/{order}", tag = "orders",
    security(("token" = ["client", "operator", "auditor"])),
    responses((status = 200, description = "As asked", body = crate::answers::Order)))]
pub async fn get_order(
    extract::State(state): extract::State<State>,
    who: CallerFor<READERS>,
    OrderPart(order): OrderPart,
    sent: Sent,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::read(&uri, ONE)?;
    reading::list(&state, &who.account, &sent, &query, &Listing::Order(order.seq), |reading| {
        body_or(reading.order(&order), "unknown_order")
    })
    .await
}

/// What happened to an order, the oldest first.
#[utoipa::path(get, path = "/v1/accounts/{account}/orders/{order}/history", tag = "orders",
    security(("token" = ["client", "operator", "auditor"])),
    responses((status = 200, description = "As asked", body = crate::answers::History)))]
pub async fn get_order_history(
    extract::State(state): extract::State<State>,
    who: CallerFor<READERS>,
    OrderPart(order): OrderPart,
    sent: Sent,
    uri: Uri,
) -> Result<Response, Problem> {
    let moment = Query::read(&uri, ONE)?.moment()?;
    reading::reached(&state, &sent).await?;
    let position = state.views.position();
    if order.account != who.account {
        return Err(reading::problem(projections::Error::UnknownOrder));
    }
    let history = reading::order_history(&state, &order).await;
    let mut history = history.map_err(reading::problem)?;
    history.items.retain(|item| {
        let happened = moment.effective_at.is_none_or(|time| item.event.effective_at <= time);
        happened
            && match moment.recorded {
                None => true,
                Some(AsOf::Offset(offset)) => item.offset <= offset,
                Some(AsOf::Time(time)) => item.recorded_at <= time,
            }
    });
    if history.items.is_empty() {
        return Err(reading::problem(projections::Error::UnknownOrder));
    }
    Ok(reading::answered(reading::written(&history)?, &position))
}

/// The account's entries as they are stored, the oldest first.
#[utoipa::path(get, path = "/v1/accounts/{account}/events", tag = "accounts",
    security(("token" = ["client", "operator", "auditor"])),
    responses((status = 200, description = "As asked", body = crate::answers::Events)))]
pub async fn get_events(
    extract::State(state): extract::State<State>,
    who: CallerFor<READERS>,
    sent: Sent,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::read(&uri, ENTRIES)?;
    let as_of = query.moment()?.recorded;
    reading::reached(&state, &sent).await?;
    let position = state.views.position();
    reading::is_known(&state, &who.account).await?;
    let page = projections::events(&*state.log, &state.views, &who.account, as_of, &query.page()).await;
    Ok(reading::answered(body(page)?, &position))
}

/// The outcome of a command: what its own answer said, always with status 200.
#[utoipa::path(get, path = "/v1/accounts/{account}/commands/{key}", tag = "accounts",
    security(("token" = ["client", "operator", "auditor"])),
    responses((status = 200, description = "Known: the body of its answer")))]
pub async fn get_outcome(
    extract::State(state): extract::State<State>,
    who: CallerFor<READERS>,
    KeyPart(key): KeyPart,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::read(&uri, OUTCOME)?;
    let role = submitter(&query, who.caller.role);
    let answered = state.desk.outcome(&who.account, role, &key).await;
    outcome(&state, Of::Account, answered).await
}

/// In which role a command was sent: a client asks for its own only.
pub fn submitter(query: &Query, caller: Role) -> Submitter {
    if caller == Role::Client { Submitter::Client } else { query.named("role").unwrap_or(caller.submitter()) }
}

/// The body of a recorded outcome.
///
/// # Errors
/// 404 while there is none.
pub async fn outcome(state: &State, of: Of, answered: Option<commands::Answered>) -> Result<Response, Problem> {
    let answered = answered
        .ok_or_else(|| Problem::not_found("unknown_command", "no outcome is known for this key in this role"))?;
    let position = position(of, answered.partition, answered.offset);
    let request_id = recorded_request_id(state, of, &answered).await;
    let (_, body) = told(of, &answered.outcome, &position.to_string(), request_id.as_deref());
    Ok(reading::answered(body, &position))
}
