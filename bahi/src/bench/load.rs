//! The load: many connections, closed loop or open loop, counted and timed; knows no route.
#![expect(clippy::float_arithmetic, reason = "rates and latencies are measurements, not amounts")]

use super::{http::Connection, report::Measure};
use crate::error::Error;
use hdrhistogram::Histogram;
use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};
use tokio::{task::LocalSet, time::Instant};

/// Before this nothing counts: caches fill and connections open.
const WARM_UP_MS: u64 = 1_500;
/// Longest latency told apart from longer ones, in microseconds.
pub const LATENCY_US_MAX: u64 = 60_000_000;
/// Digits of a latency that are kept.
pub const LATENCY_DIGITS: u8 = 3;

/// What is asked, again and again.
pub trait Requests {
    /// Writes the next request over `out`.
    fn next(&mut self, out: &mut Vec<u8>);
    /// How many things done an answer stands for; 0 for one that does not count.
    fn done(&self, status: u16, body: &[u8]) -> u64;
}

/// How hard to ask.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// Every connection asks again as soon as it was answered.
    Closed,
    /// So many requests a second at fixed times, whether or not earlier ones were answered; latency
    /// is counted from the time a request was meant for.
    Open(u32),
}

/// One measurement's shape.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// What it is called.
    pub name: &'static str,
    /// Connections.
    pub connections: usize,
    /// How hard to ask.
    pub pace: Pace,
    /// How long, after warming up.
    pub measured: Duration,
}

struct Shared<R> {
    requests: RefCell<R>,
    latencies: RefCell<Histogram<u64>>,
    pace: Pace,
    started: Instant,
    counts_from: Instant,
    ends: Instant,
    sent: Cell<u64>,
    done: Cell<u64>,
    refused: RefCell<Option<(u16, String)>>,
}

/// Runs one measurement.
///
/// # Errors
/// When a connection breaks, or an answer does not count: a bench of refusals measures nothing.
pub async fn run<R: Requests + 'static>(address: SocketAddr, shape: Shape, requests: R) -> Result<Measure, Error> {
    let mut connections = Vec::with_capacity(shape.connections);
    for _ in 0..shape.connections {
        connections.push(Connection::open(address).await?);
    }
    let started = Instant::now();
    let counts_from = started + Duration::from_millis(WARM_UP_MS);
    let latencies = Histogram::new_with_bounds(1, LATENCY_US_MAX, LATENCY_DIGITS)
        .map_err(|why| Error::Usage(format!("the histogram: {why}")))?;
    let shared = Rc::new(Shared {
        requests: RefCell::new(requests),
        latencies: RefCell::new(latencies),
        pace: shape.pace,
        started,
        counts_from,
        ends: counts_from + shape.measured,
        sent: Cell::new(0),
        done: Cell::new(0),
        refused: RefCell::new(None),
    });
    let local = LocalSet::new();
    let tasks: Vec<_> =
        connections.into_iter().map(|connection| local.spawn_local(ask(connection, Rc::clone(&shared)))).collect();
    local.await;
    for task in tasks {
        task.await.map_err(|why| Error::Server(format!("a connection's task ended badly: {why}")))??;
    }
    if let Some((status, body)) = shared.refused.borrow().as_ref() {
        return Err(Error::Server(format!("{}: an answer that does not count: {status} {body}", shape.name)));
    }
    let latencies = shared.latencies.borrow();
    let ms = |quantile| Some(latencies.value_at_quantile(quantile) as f64 / 1000.0);
    let per_second = shared.done.get() as f64 / shape.measured.as_secs_f64();
    Ok(Measure { name: shape.name.to_owned(), per_second, p50_ms: ms(0.5), p99_ms: ms(0.99) })
}

async fn ask<R: Requests>(mut connection: Connection, shared: Rc<Shared<R>>) -> Result<(), Error> {
    let mut request = Vec::new();
    loop {
        let number = shared.sent.replace(shared.sent.get() + 1);
        let meant = match shared.pace {
            Pace::Closed => Instant::now(),
            Pace::Open(per_second) => {
                let meant = shared.started + Duration::from_secs_f64(number as f64 / f64::from(per_second));
                tokio::time::sleep_until(meant.min(shared.ends)).await;
                meant
            }
        };
        if meant >= shared.ends || shared.refused.borrow().is_some() {
            return Ok(());
        }
        shared.requests.borrow_mut().next(&mut request);
        let answer = connection.ask(&request).await?;
        let now = Instant::now();
        let done = shared.requests.borrow().done(answer.status, answer.body);
        if done == 0 {
            let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(600)]).into_owned();
            shared.refused.borrow_mut().get_or_insert((answer.status, body));
            return Ok(());
        }
        // A closed loop counts what was answered within the time; an open loop what was meant for it.
        let within = match shared.pace {
            Pace::Closed => now >= shared.counts_from && now < shared.ends,
            Pace::Open(_) => meant >= shared.counts_from,
        };
        if within {
            shared.done.set(shared.done.get() + done);
            let micros = u64::try_from((now - meant).as_micros()).unwrap_or(LATENCY_US_MAX);
            shared.latencies.borrow_mut().saturating_record(micros.max(1));
        }
    }
}

/// Whether everything that was asked for was done: created, or a batch without a refused item.
pub fn counts(status: u16, body: &[u8]) -> bool {
    let refused = || occurrences(body, b"\"status\":4") + occurrences(body, b"\"status\":5");
    status == 201 || status == 200 && refused() == 0
}

/// How often a text occurs.
pub fn occurrences(within: &[u8], text: &[u8]) -> usize {
    within.windows(text.len()).filter(|window| *window == text).count()
}
