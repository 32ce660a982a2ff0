//! The process's metrics recorder and the edge's own counters, registered once; knows no request's content.

use crate::error::Error;
use axum::http::StatusCode;
use metrics::{Counter, Histogram, counter, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// Upper ends of the request histogram, in seconds: from a cached read to a wait that is over.
const SECONDS: [f64; 12] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];
/// Requests between two tidyings of the recorder's samples, which it keeps until then.
const UPKEEP_REQUESTS: u32 = 4_096;
/// Status classes 1xx to 5xx.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the Prometheus recorder for the whole process, once; later calls give the same.
///
/// Call it before whatever else counts, so that nothing is counted into the void.
///
/// # Errors
/// When something else installed a recorder.
pub fn install() -> Result<PrometheusHandle, Error> {
    // Two threads that come at once: the second waits for the first's recorder.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _only_one = INSTALLING.lock();
    if let Some(handle) = INSTALLED.get() {
        return Ok(handle.clone());
    }
    let failed = |error: &dyn std::fmt::Display| Error::Metrics(error.to_string());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
        .map_err(|error| failed(&error))?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| failed(&error))?;
    Ok(INSTALLED.get_or_init(|| handle).clone())
}

/// Notes whether the process is ready, as it is asked what it counts.
pub fn note_ready(is_ready: bool) {
    metrics::gauge!("bahi_ready").set(f64::from(is_ready));
}

/// The edge's counters.
pub struct Metrics {
    handle: PrometheusHandle,
    routes: OnceLock<HashMap<String, Route>>,
    other: Route,
    /// Handlers that panicked.
    pub panics: Counter,
    since_upkeep: AtomicU32,
}

/// Counters of one route.
struct Route {
    answered: [Counter; CLASSES.len()],
    seconds: Histogram,
}

impl Route {
    fn new(route: &str) -> Self {
        let route = route.to_owned();
        Self {
            answered: CLASSES
                .map(|class| counter!("bahi_http_requests_total", "route" => route.clone(), "status" => class)),
            seconds: histogram!("bahi_http_request_seconds", "route" => route),
        }
    }
}

impl Metrics {
    /// Registers what belongs to no route.
    pub fn new(handle: PrometheusHandle) -> Self {
        metrics::describe_counter!("bahi_http_requests_total", "Requests answered, by route and status class");
        metrics::describe_histogram!("bahi_http_request_seconds", "Time from request to answer, by route");
        metrics::describe_counter!("bahi_http_panics_total", "Handlers that panicked");
        let panics = counter!("bahi_http_panics_total");
        panics.absolute(0);
        Self { handle, routes: OnceLock::new(), other: Route::new("other"), panics, since_upkeep: AtomicU32::new(0) }
    }

    /// Registers every route's counters.
    pub fn register<'a>(&self, routes: impl Iterator<Item = &'a str>) {
        let routes = routes.map(|route| (route.to_owned(), Route::new(route))).collect();
        // A second router over the same state has the same routes.
        let _ = self.routes.set(routes);
    }

    /// Counts one answer.
    pub fn answered(&self, route: Option<&str>, status: StatusCode, took: Duration) {
        let registered = route.and_then(|route| self.routes.get()?.get(route));
        let route = registered.unwrap_or(&self.other);
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        route.answered[class].increment(1);
        route.seconds.record(took);
        if self.since_upkeep.fetch_add(1, Ordering::Relaxed) % UPKEEP_REQUESTS == UPKEEP_REQUESTS - 1 {
            self.handle.run_upkeep();
        }
    }

    /// Everything the process counts, as Prometheus text.
    pub fn text(&self) -> String {
        self.handle.render()
    }
}
