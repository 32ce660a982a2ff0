//! `bahi bench orders`: durable orders over HTTP, one by one and in batches of 100, closed loop and open loop.

use super::{
    Bench,
    conditions::Conditions,
    http::{self, KEY_DIGITS, Template},
    load::{self, Pace, Requests, Shape},
    population::{self, ACCOUNTS, INSTRUMENTS},
    report::Report,
    zipf::{Choice, Spread},
};
use crate::error::Error;
use std::{sync::Arc, time::Duration};

/// How long each figure is measured; five with their set-up stay far below the 120 seconds of a bench.
const MEASURED_S: u64 = 8;
/// Connections of single orders: enough to fill a flight, few enough to be clients and not a crowd.
const SINGLE_CONNECTIONS: usize = 256;
/// Connections of the open loop: with these 6,000 a second never wait for one another.
const OPEN_CONNECTIONS: usize = 256;
/// Half of the first bar.
const OPEN_PER_SECOND: u32 = 6_000;
/// Connections of batches.
const BATCH_CONNECTIONS: usize = 16;
/// Orders of a batch.
const BATCH_ORDERS: usize = 100;
/// The seed of the choice of accounts.
const SEED: u64 = 3;

/// Measures.
///
/// # Errors
/// When the server fails, refuses an order, or its ledger does not verify.
pub async fn run(bench: &Bench) -> Result<Report, Error> {
    let conditions = Conditions::begin(bench).await?;
    let (address, operator) = (conditions.server.address, &conditions.operator);
    population::list_market(address, operator).await?;
    population::open_accounts(address, operator).await?;
    let tokens = population::tokens(&conditions.minter)?;
    let single = single_orders(&tokens);
    let mut number = 0;
    let mut results = Vec::new();
    let shapes = [
        ("single_zipf", Spread::Zipf, Pace::Closed, SINGLE_CONNECTIONS),
        ("single_uniform", Spread::Uniform, Pace::Closed, SINGLE_CONNECTIONS),
        ("single_open_6000", Spread::Uniform, Pace::Open(OPEN_PER_SECOND), OPEN_CONNECTIONS),
    ];
    for (name, spread, pace, connections) in shapes {
        let shape = Shape { name, connections, pace, measured: Duration::from_secs(MEASURED_S) };
        number += 1;
        results.push(conditions.measure(shape, Singles::new(&single, spread, number)).await?);
    }
    let batches = Batches::new(&tokens);
    let measured = Duration::from_secs(MEASURED_S);
    let shape = Shape { name: "batch_100", connections: BATCH_CONNECTIONS, pace: Pace::Closed, measured };
    results.push(conditions.measure(shape, batches).await?);
    conditions.end("orders", results).await
}

fn order_fields(number: usize) -> String {
    let instrument = population::instrument(number % INSTRUMENTS);
    format!(
        r#""instrument":"{instrument}","side":"buy","quantity":1,"type":"limit","price":"{}","product":"CNC","validity":"DAY""#,
        population::PRICE
    )
}

/// An order of each account, whose token is given.
pub fn single_orders(tokens: &[String]) -> Arc<[Template]> {
    tokens.iter().enumerate().map(|(number, token)| single_order(number, token)).collect()
}

fn single_order(number: usize, token: &str) -> Template {
    let path = format!("/v1/accounts/{}/orders", population::account(number));
    Template::post(&path, token, &format!("{{{}}}", order_fields(number)))
}

/// Orders one by one.
pub struct Singles {
    templates: Arc<[Template]>,
    choice: Choice,
    key: u64,
}

impl Singles {
    /// Those of the n-th figure: each figure has a million million keys of its own.
    pub fn new(templates: &Arc<[Template]>, spread: Spread, figure: u64) -> Singles {
        let choice = Choice::new(spread, ACCOUNTS, SEED);
        Singles { templates: Arc::clone(templates), choice, key: figure * 1_000_000_000_000 }
    }
}

impl Requests for Singles {
    fn next(&mut self, out: &mut Vec<u8>) {
        self.key += 1;
        self.templates[self.choice.next()].write(self.key, out);
    }
    fn done(&self, status: u16, _body: &[u8]) -> u64 {
        u64::from(status == 201)
    }
}

/// Batches whose keys are written into the body: a head for each account, a body for each instrument.
pub struct Batches {
    heads: Box<[Box<[u8]>]>,
    bodies: Box<[Box<[u8]>]>,
    /// Where the keys stand in every body; ids of instruments are equally long.
    keys_at: Box<[usize]>,
    choice: Choice,
    key: u64,
}

impl Batches {
    /// For these accounts' tokens.
    pub fn new(tokens: &[String]) -> Batches {
        let mark = "K".repeat(KEY_DIGITS);
        let body = |number: usize| {
            let order = format!(r#"{{"key":"{mark}",{}}}"#, order_fields(number));
            format!(r#"{{"orders":[{}]}}"#, vec![order; BATCH_ORDERS].join(","))
        };
        let first = body(0);
        let head = |(number, token): (usize, &String)| {
            let path = format!("/v1/accounts/{}/orders/batch", population::account(number));
            let length = first.len();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            );
            head.into_bytes().into()
        };
        Batches {
            heads: tokens.iter().enumerate().map(head).collect(),
            bodies: (0..INSTRUMENTS).map(|number| body(number).into_bytes().into()).collect(),
            keys_at: first.match_indices(&mark).map(|(at, _)| at).collect(),
            choice: Choice::new(Spread::Uniform, ACCOUNTS, SEED),
            key: 9_000_000_000_000,
        }
    }
}

impl Requests for Batches {
    fn next(&mut self, out: &mut Vec<u8>) {
        let number = self.choice.next();
        out.clear();
        out.extend_from_slice(&self.heads[number]);
        let body_at = out.len();
        out.extend_from_slice(&self.bodies[number % INSTRUMENTS]);
        for at in &self.keys_at {
            self.key += 1;
            http::write_digits(self.key, &mut out[body_at + at..body_at + at + KEY_DIGITS]);
        }
    }
    /// All 100 within must be 201, or none counts.
    fn done(&self, status: u16, body: &[u8]) -> u64 {
        let created = if status == 200 { load::occurrences(body, b"\"status\":201") } else { 0 };
        if created == BATCH_ORDERS { BATCH_ORDERS as u64 } else { 0 }
    }
}
