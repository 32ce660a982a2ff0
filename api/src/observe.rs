//! What a process without the API shows of itself: whether it lives, whether it is ready, what it counts.

use crate::metrics::note_ready;
use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;

/// Whether the process does its work, and otherwise why not, in words.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// `/healthz`, `/readyz` and `/metrics`, open to everybody who reaches the address; nothing in them is of an account.
pub fn router(counted: PrometheusHandle, ready: Ready) -> Router {
    let is_ready_now = Arc::clone(&ready);
    let metrics = move || async move {
        note_ready(is_ready_now().is_ok());
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], counted.render())
    };
    let is_ready = move || async move {
        match ready() {
            Ok(()) => said(StatusCode::OK, &[("status", "ready")]),
            Err(why) => said(StatusCode::SERVICE_UNAVAILABLE, &[("status", "starting"), ("detail", &why)]),
        }
    };
    Router::new()
        .route("/healthz", get(|| async { said(StatusCode::OK, &[("status", "ok")]) }))
        .route("/readyz", get(is_ready))
        .route("/metrics", get(metrics))
}

fn said(status: StatusCode, words: &[(&str, &str)]) -> Response {
    let words: serde_json::Map<String, serde_json::Value> =
        words.iter().map(|(name, word)| ((*name).to_owned(), (*word).into())).collect();
    (status, axum::Json(words)).into_response()
}
