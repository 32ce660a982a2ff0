//! The one layer around every handler: request id, panics, problem bodies, headers, counters, access log.
//!
//! It knows no route by name and logs addresses as templates only: no query, no key, no token, no account.

use crate::{
    problem::{Carried, PROBLEM_JSON, Problem},
    sent::{REQUEST_ID, Traced, request_id},
    state::State,
};
use axum::{
    body::Body,
    extract::{self, MatchedPath, Request},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use event_log::trace::Step;
use futures::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Wraps a handler.
pub async fn edge(extract::State(state): extract::State<State>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let millis = u64::try_from(state.clock.now().micros() / 1_000).unwrap_or_default();
    let id = request_id(request.headers(), &state.fresh_ids, millis);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut step = begin(&request, route.as_ref());
    if let Some(traceparent) = step.traceparent() {
        request.extensions_mut().insert(Traced(traceparent));
    }

    let mut response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            // The panic hook has said where; here it is tied to the request.
            state.metrics.panics.increment(1);
            Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
    };

    explain(&mut response, id.to_str().ok());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF);

    let (status, took) = (response.status(), started.elapsed());
    let route = route.as_ref().map(MatchedPath::as_str);
    state.metrics.answered(route, status, took);
    step.note("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        step.failed("the server could not answer");
    }
    if state.config.access_log || status.is_server_error() {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (route, id) = (route.unwrap_or("-"), id.to_str().unwrap_or_default());
        let status = status.as_u16();
        if status == StatusCode::INTERNAL_SERVER_ERROR.as_u16() {
            tracing::error!(target: "bahi::access", %method, route, status, micros, request_id = id);
        } else {
            tracing::info!(target: "bahi::access", %method, route, status, micros, request_id = id);
        }
    }
    response
}

/// The step of a trace that answers a request, named as its route is; of no route it is none.
fn begin(request: &Request, route: Option<&MatchedPath>) -> Step {
    let Some(route) = route.map(MatchedPath::as_str) else { return Step::NONE };
    let caller = request.headers().get("traceparent").and_then(|header| header.to_str().ok());
    let mut step = Step::answer(|| format!("{} {route}", request.method()), caller);
    step.note("http.request.method", request.method().as_str());
    step.note("http.route", route);
    step
}

/// Writes the body of a problem; whatever else is an error and no problem becomes one.
fn explain(response: &mut Response, request_id: Option<&str>) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return;
    }
    let problem = match response.extensions_mut().remove::<Carried>() {
        Some(Carried(problem)) => problem,
        None if response.headers().get(header::CONTENT_TYPE) == Some(&PROBLEM_JSON) => return,
        None => Arc::new(Problem::of_status(status)),
    };
    let body = problem.body(request_id);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    headers.remove(header::CONTENT_LENGTH);
    *response.body_mut() = Body::from(body);
}
