//! The table of routes, each registered with its description at once, so that they cannot drift apart.

use crate::{
    account_reads, accounts, document, edge, funds, imports, market, market_reads, orders, positions,
    problem::Problem,
    state::State,
    system::{self, Document},
    venue,
};
use axum::{
    Extension, Router,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::IntoResponse,
};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// The page at `/docs` loads nothing from elsewhere, whatever the browser is told.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
);

fn table() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(accounts::open_account))
        .routes(routes!(accounts::deposit_cash))
        .routes(routes!(accounts::withdraw_cash))
        .routes(routes!(orders::place_order, account_reads::get_orders))
        .routes(routes!(orders::place_orders))
        .routes(routes!(orders::modify_order, orders::cancel_order, account_reads::get_order))
        .routes(routes!(account_reads::get_order_history))
        .routes(routes!(positions::convert_position))
        .routes(routes!(funds::request_fund_purchase))
        .routes(routes!(funds::request_fund_redemption))
        .routes(routes!(imports::import_trades))
        .routes(routes!(imports::import_units))
        .routes(routes!(account_reads::get_account))
        .routes(routes!(account_reads::get_trades))
        .routes(routes!(account_reads::get_positions))
        .routes(routes!(account_reads::get_holdings))
        .routes(routes!(account_reads::get_fund_orders))
        .routes(routes!(account_reads::get_portfolio))
        .routes(routes!(account_reads::get_pnl))
        .routes(routes!(account_reads::get_cash))
        .routes(routes!(account_reads::get_events))
        .routes(routes!(account_reads::get_outcome))
        .routes(routes!(venue::report_order))
        .routes(routes!(venue::record_fill))
        .routes(routes!(venue::cancel_trade))
        .routes(routes!(venue::assign_fill))
        .routes(routes!(venue::report_allotment))
        .routes(routes!(market_reads::get_requests))
        .routes(routes!(market::list_instruments))
        .routes(routes!(market::record_prices))
        .routes(routes!(market::list_schemes))
        .routes(routes!(market::record_navs))
        .routes(routes!(market::record_calendar_days))
        .routes(routes!(market_reads::get_fact_outcome))
        .routes(routes!(market_reads::get_instruments))
        .routes(routes!(market_reads::get_instrument))
        .routes(routes!(market_reads::get_prices))
        .routes(routes!(market_reads::get_schemes))
        .routes(routes!(market_reads::get_scheme))
        .routes(routes!(market_reads::get_navs))
        .routes(routes!(market_reads::get_calendar))
        .routes(routes!(market_reads::get_state))
        .routes(routes!(system::get_health))
        .routes(routes!(system::get_ready))
        .routes(routes!(system::get_metrics))
        .routes(routes!(system::get_document))
}

/// The OpenAPI document.
pub fn openapi() -> OpenApi {
    document::complete(table().into_openapi())
}

/// Every route, with the one layer around them.
pub fn router(state: State) -> Router {
    let (routes, openapi) = table().split_for_parts();
    let openapi = document::complete(openapi);
    state.metrics.register(openapi.paths.paths.keys().map(String::as_str));
    let written = serde_json::to_vec(&openapi).expect("a document of texts and numbers serializes");
    // No validator of other people is asked about the document.
    let docs = SwaggerUi::new("/docs").config(Config::new(["/openapi.json"]).validator_url("none"));
    let docs = Router::<State>::from(docs).layer(middleware::map_response(docs_headers));
    routes
        .layer(Extension(Document(written.into())))
        .merge(docs)
        .fallback(async || Problem::of_status(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || Problem::of_status(StatusCode::METHOD_NOT_ALLOWED))
        .layer(middleware::from_fn_with_state(state.clone(), edge::edge))
        .with_state(state)
}

async fn docs_headers(mut response: axum::response::Response) -> impl IntoResponse {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, DOCS_POLICY);
    response
}
