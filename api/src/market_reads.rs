//! What is seen of the market, of requests to venues, and of the ledger's state as a whole.

use crate::{
    account_reads::{OUTCOME, outcome, submitter},
    caller::{Caller, OVERSEERS, READERS},
    field::{self, Field, Kind},
    outcome::Of,
    problem::Problem,
    query::{CURSOR, FROM, LIMIT, Query, TO},
    reading::{self, answered, body, body_or, reached},
    sent::{InstrumentPart, KeyPart, SchemePart, Sent},
    state::State,
    venue::FOLLOWERS,
};
use axum::{extract, http::Uri, response::Response};
use projections::read::{DayFilter, InstrumentFilter, SchemeFilter};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write};

/// Of a route that takes none.
pub const NONE: &[Field] = &[];
/// Of instruments.
pub const INSTRUMENTS: &[Field] = &[
    LIMIT,
    CURSOR,
    Field::may("exchange", Kind::Text(field::EXCHANGE), "Where they trade"),
    Field::may("isin", Kind::Text(field::ISIN), "With this ISIN"),
    Field::may("prefix", Kind::Text(field::SEARCH), "Whose id or symbol begins so"),
];
/// Of schemes.
pub const SCHEMES: &[Field] = &[
    LIMIT,
    CURSOR,
    Field::may("amc", Kind::Text(field::SEARCH), "Of this fund house"),
    Field::may("name", Kind::Text(field::SEARCH), "Whose name holds this, in any case"),
    Field::may("isin", Kind::Text(field::ISIN), "With this ISIN"),
];
/// Of days.
pub const DAYS: &[Field] = &[LIMIT, CURSOR, FROM, TO];
/// Of calendar days.
pub const CALENDAR: &[Field] = &[LIMIT, CURSOR, Field::may("exchange", Kind::Text(field::EXCHANGE), "Whose"), FROM, TO];
/// Of requests.
pub const REQUESTS: &[Field] = &[LIMIT, CURSOR];

fn days(query: &Query) -> DayFilter {
    DayFilter { from: query.get("from"), to: query.get("to") }
}

/// Instruments by id.
#[utoipa::path(get, path = "/v1/instruments", tag = "market", security(("token" = ["client", "operator", "auditor"])),
    responses((status = 200, description = "As asked", body = crate::answers::Instruments)))]
pub async fn get_instruments(
    extract::State(state): extract::State<State>,
    _: Caller<READERS>,
    sent: Sent,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::read(&uri, INSTRUMENTS)?;
    reached(&state, &sent).await?;
    let position = state.views.position();
    let prefix = query.text("prefix").map(Into::into);
    let filter = InstrumentFilter { exchange: query.get("exchange"), isin: query.get("isin"), prefix };
    let found = state.views.market().instruments(&filter, &query.page());
    Ok(answered(body(found)?, &position))
}

/// One instrument.
#[utoipa::path(get, path = "/v1/instruments/{id}", tag = "market",
    security(("token" = ["client", "operator", "auditor"])),
    responses((status = 200, description = "As asked", body = crate::answers::Instrument)))]
pub async fn get_instrument(
    extract::State(state): extract::State<State>,
    _: Caller<READERS>,
    InstrumentPart(id): InstrumentPart,
    sent: Sent,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::read(&uri, NONE)?;
    reached(&state, &sent).await?;
    let position = state.views.position();
    let found = state.views.market().instrument(&id);
    Ok(answered(body_or(found, "unknown_instrument")?, &position))
}

/// An instrument's prices by day, the latest first.
#[utoipa::path(get, path = "/v1/instruments/{id}/prices", tag = "market",
    security(("token" = ["client", "operator", "auditor"])),
    responses((status = 200, description = "As asked", body = crate::answers::Prices)))]
pub async fn get_prices(
    extract::State(state): extract::State<State>,
    _: Caller<READERS>,
    InstrumentPart(id): InstrumentPart,
    sent: Sent,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::read(&uri, DAYS)?;
    reached(&state, &sent).await?;
    let position = state.views.position();
    let found = state.views.market().prices(&id, &days(&query), &query.page());
    Ok(answered(body_or(found, "unknown_instrument")?, &position))
}

/// Fund schemes by code.
#[utoipa::path(get, path = "/v1/schemes", tag = "market", security(("token" = ["client", "operator", "auditor"])),
    responses((status = 200, description = "As asked", body = crate::answers::Schemes)))]
pub async fn get_schemes(
    extract::State(state): extract::State<State>,
    _: Caller<READERS>,
    sent: Sent,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::read(&uri, SCHEMES)?;
    reached(&state, &sent).await?;
    let position = state.views.position();
    let (amc, name) = (query.text("amc").map(Into::into), query.text("name").map(Into::into));
    let found = state.views.market().schemes(&SchemeFilter { amc, name, isin: query.get("isin") }, &query.page());
    Ok(answered(body(found)?, &position))
}

/// One fund scheme.
#[utoipa::path(get, path = "/v1/schemes/{code}", tag = "market", security(("token" = ["client", "operator", "auditor"])),
    responses((status = 200, description = "As asked", body = crate::answers::Scheme)))]
pub async fn get_scheme(
    extract::State(state): extract::State<State>,
    _: Caller<READERS>,
    SchemePart(code): SchemePart,
    sent: Sent,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::read(&uri, NONE)?;
    reached(&state, &sent).await?;
    let position = state.views.position();
    let found = state.views.market().scheme(&code);
    Ok(answered(body_or(found, "unknown_scheme")?, &position))
}

/// A scheme's NAVs by day, the latest first.
#[utoipa::path(get, path = "/v1/schemes/{code}/navs", tag = "market",
    security(("token" = ["client", "operator", "auditor"])),
    responses((status = 200, description = "As asked", body = crate::answers::Navs)))]
pub async fn get_navs(
    extract::State(state): extract::State<State>,
    _: Caller<READERS>,
    SchemePart(code): SchemePart,
    sent: Sent,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::read(&uri, DAYS)?;
    reached(&state, &sent).await?;
    let position = state.views.position();
    let found = state.views.market().navs(&code, &days(&query), &query.page());
    Ok(answered(body_or(found, "unknown_scheme")?, &position))
}

/// Calendar days that are recorded.
#[utoipa::path(get, path = "/v1/calendar", tag = "market", security(("token" = ["client", "operator", "auditor"])),
    responses((status = 200, description = "As asked", body = crate::answers::Calendar)))]
pub async fn get_calendar(
    extract::State(state): extract::State<State>,
    _: Caller<READERS>,
    sent: Sent,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::read(&uri, CALENDAR)?;
    reached(&state, &sent).await?;
    let position = state.views.position();
    let found = state.views.market().calendar(query.get("exchange").as_ref(), &days(&query), &query.page());
    Ok(answered(body(found)?, &position))
}

/// The outcome of a fact: what its own answer said, always with status 200.
#[utoipa::path(get, path = "/v1/market/commands/{key}", tag = "market", security(("token" = ["operator", "auditor"])),
    responses((status = 200, description = "Known: the body of its answer")))]
pub async fn get_fact_outcome(
    extract::State(state): extract::State<State>,
    Caller(caller): Caller<OVERSEERS>,
    KeyPart(key): KeyPart,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::read(&uri, OUTCOME)?;
    let role = match query.text("role") {
        None => domain::command::Submitter::Operator,
        Some(_) => submitter(&query, caller.role),
    };
    let found = state.desk.fact_outcome(role, &key).await;
    outcome(&state, Of::Market, found).await
}

/// New, modify and cancel requests in log order, for a venue to follow.
#[utoipa::path(get, path = "/v1/venue/requests", tag = "venue", security(("token" = ["venue", "operator", "auditor"])),
    responses((status = 200, description = "As asked; `next_cursor` is always there", body = crate::answers::Requests)))]
pub async fn get_requests(
    extract::State(state): extract::State<State>,
    _: Caller<FOLLOWERS>,
    sent: Sent,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::read(&uri, REQUESTS)?;
    reached(&state, &sent).await?;
    let position = state.views.position();
    let page = projections::venue_requests(&*state.log, &query.page()).await;
    Ok(answered(body(page)?, &position))
}

#[derive(Serialize)]
struct StateBody {
    position: String,
    views: BTreeMap<&'static str, String>,
    stopped: Vec<Stopped>,
}

#[derive(Serialize)]
struct Stopped {
    view: &'static str,
    partition: u32,
    offset: u64,
}

fn not_hashed() -> Problem {
    Problem::unavailable("busy", "the state could not be hashed now: try again", 1)
}

/// The state hash of every view at one position.
#[utoipa::path(get, path = "/v1/state", tag = "state", security(("token" = ["operator", "auditor"])),
    responses((status = 200, description = "As asked", body = crate::answers::State)))]
pub async fn get_state(
    extract::State(state): extract::State<State>,
    _: Caller<OVERSEERS>,
    sent: Sent,
    uri: Uri,
) -> Result<Response, Problem> {
    Query::read(&uri, NONE)?;
    reached(&state, &sent).await?;
    let turn = std::sync::Arc::clone(&state.hashing).lock_owned().await;
    let hashes = match &state.database {
        Some(database) => {
            let database = database.clone();
            // To the end though the caller may have left, as the database goes on.
            let hashing = tokio::spawn(async move {
                let _turn = turn;
                database.state_hashes().await
            });
            hashing.await.map_err(|_| not_hashed())?.map_err(reading::problem)?
        }
        None => {
            let views = std::sync::Arc::clone(&state.views);
            // Every row is hashed: long enough to keep other requests of this thread waiting.
            let hashing = move || {
                let _turn = turn;
                views.state_hashes()
            };
            let hashed = tokio::task::spawn_blocking(hashing).await;
            hashed.map_err(|_| not_hashed())?
        }
    };
    let hex = |hash: &[u8; 32]| {
        hash.iter().fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes everything");
            text
        })
    };
    let stopped = hashes.stops.iter().map(|stop| Stopped {
        view: stop.view.name(),
        partition: stop.partition,
        offset: stop.offset,
    });
    let shown = StateBody {
        position: hashes.position.to_string(),
        views: hashes.hashes.iter().map(|(view, hash)| (*view, hex(hash))).collect(),
        stopped: stopped.collect(),
    };
    Ok(answered(reading::written(&shown)?, &hashes.position))
}
