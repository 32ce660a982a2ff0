//! Whether the process lives and is ready, what it counts, and its description; needs no token and tells nothing of anyone.

use crate::{metrics::note_ready, outcome::json, problem::Problem, state::State};
use axum::{
    Extension,
    body::{Body, Bytes},
    extract,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

/// When to ask again whether the views have caught up.
const READY_RETRY_S: u32 = 1;

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "system", responses((status = 200, description = "It lives")))]
pub async fn get_health() -> Response {
    json(StatusCode::OK, br#"{"status":"ok"}"#.to_vec())
}

/// The views have caught up with the log as it was at the start, and are not further behind it than they may be.
#[utoipa::path(get, path = "/readyz", tag = "system", responses((status = 200, description = "Ready")))]
pub async fn get_ready(extract::State(state): extract::State<State>) -> Result<Response, Problem> {
    match state.is_ready().await {
        Ok(()) => Ok(json(StatusCode::OK, br#"{"status":"ready"}"#.to_vec())),
        Err((code, why)) => Err(Problem::unavailable(code, why, READY_RETRY_S)),
    }
}

/// What the process counts, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "system",
    responses((status = 200, description = "Counters", body = String, content_type = "text/plain")))]
pub async fn get_metrics(extract::State(state): extract::State<State>) -> Response {
    note_ready(state.is_ready().await.is_ok());
    text("text/plain; version=0.0.4", Body::from(state.metrics.text()))
}

/// The OpenAPI document, written once.
#[derive(Clone)]
pub struct Document(pub Bytes);

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "system", responses((status = 200, description = "OpenAPI 3.1")))]
pub async fn get_document(Extension(document): Extension<Document>) -> Response {
    text("application/json", Body::from(document.0))
}

fn text(media: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}
