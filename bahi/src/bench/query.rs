//! `bahi bench query`: portfolio reads over HTTP while prices move.

use super::{
    Bench,
    conditions::Conditions,
    http::{self, Connection},
    load::{Pace, Requests, Shape},
    population::{self, ACCOUNTS, INSTRUMENTS, SCHEMES},
    report::Report,
    zipf::{Choice, Spread},
};
use crate::{clock, error::Error};
use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Duration};
use tokio::{task::LocalSet, time::MissedTickBehavior};

/// Shares of so many instruments in each account.
const HOLDINGS: usize = 20;
/// Folios in each account.
const FOLIOS: usize = 5;
/// How long each figure is measured.
const MEASURED_S: u64 = 10;
/// Connections that read.
const CONNECTIONS: usize = 128;
/// Half of the first bar.
const OPEN_PER_SECOND: u32 = 12_500;
/// Prices recorded a second while reads are measured.
const PRICES_PER_SECOND: u64 = 100;
/// The seed of the choice of accounts.
const SEED: u64 = 5;

/// Measures.
///
/// # Errors
/// When the server fails, answers otherwise than 200, or its ledger does not verify.
pub async fn run(bench: &Bench) -> Result<Report, Error> {
    let conditions = Conditions::begin(bench).await?;
    let (address, operator) = (conditions.server.address, conditions.operator.clone());
    population::list_market(address, &operator).await?;
    population::open_accounts(address, &operator).await?;
    import_holdings(address, &operator).await?;
    let tokens = population::tokens(&conditions.minter)?;
    let read = |(number, token): (usize, &String)| {
        http::get(&format!("/v1/accounts/{}/portfolio", population::account(number)), token).into()
    };
    let reads: Arc<[Box<[u8]>]> = tokens.iter().enumerate().map(read).collect();
    let shapes = [
        ("portfolio_uniform", Spread::Uniform, Pace::Closed),
        ("portfolio_zipf", Spread::Zipf, Pace::Closed),
        ("portfolio_open_12500", Spread::Uniform, Pace::Open(OPEN_PER_SECOND)),
    ];
    let local = LocalSet::new();
    let results = local
        .run_until(async {
            let moving = tokio::task::spawn_local(move_prices(address, operator.into()));
            let mut results = Vec::new();
            for (name, spread, pace) in shapes {
                let measured = Duration::from_secs(MEASURED_S);
                let shape = Shape { name, connections: CONNECTIONS, pace, measured };
                let reads = Reads { requests: Arc::clone(&reads), choice: Choice::new(spread, ACCOUNTS, SEED) };
                results.push(conditions.measure(shape, reads).await?);
                if moving.is_finished() {
                    return Err(Error::Server("the prices stopped moving".to_owned()));
                }
            }
            moving.abort();
            Ok(results)
        })
        .await?;
    conditions.end("query", results).await
}

async fn import_holdings(address: SocketAddr, operator: &str) -> Result<(), Error> {
    let operator: Rc<str> = operator.into();
    let day = clock::now().date().plus_days(-30);
    let requests = move |number: usize| {
        let account = population::account(number);
        let trade = |row: usize| {
            let instrument = population::instrument((number + row) % INSTRUMENTS);
            format!(
                r#"{{"key":"t{row}","instrument":"{instrument}","kind":"purchase","quantity":10,"price":"95.50","executed_at":"{}"}}"#,
                day.start()
            )
        };
        let units = |row: usize| {
            let scheme = population::scheme((number + row) % SCHEMES);
            format!(
                r#"{{"key":"u{row}","scheme":"{scheme}","folio":"F{number}/{row}","kind":"purchase","units":"100.000","nav":"24.5000","executed_at":"{}"}}"#,
                day.start()
            )
        };
        let rows = |rows: Vec<String>| format!(r#"{{"rows":[{}]}}"#, rows.join(","));
        let path = |what: &str| format!("/v1/accounts/{account}/imports/{what}");
        vec![
            http::post(&path("trades"), &operator, "t", &rows((0..HOLDINGS).map(trade).collect())),
            http::post(&path("units"), &operator, "u", &rows((0..FOLIOS).map(units).collect())),
        ]
    };
    population::for_each_account(address, "portfolios imported", requests).await
}

/// Records prices at an even pace, round the instruments, until it is aborted.
async fn move_prices(address: SocketAddr, operator: Rc<str>) -> Result<(), Error> {
    let mut connection = Connection::open(address).await?;
    let mut ticks = tokio::time::interval(Duration::from_millis(1000 / PRICES_PER_SECOND));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0_usize.. {
        ticks.tick().await;
        let price = format!("{}.{:02}", 95 + number % 11, number % 20 * 5);
        let body = population::price_body(number % INSTRUMENTS, &price);
        let request = http::post("/v1/market/prices", &operator, &format!("move-{number}"), &body);
        let answer = connection.ask(&request).await?;
        if answer.status != 201 {
            let body = String::from_utf8_lossy(answer.body);
            return Err(Error::Server(format!("moving a price: {} {body}", answer.status)));
        }
    }
    Ok(())
}

struct Reads {
    requests: Arc<[Box<[u8]>]>,
    choice: Choice,
}

impl Requests for Reads {
    fn next(&mut self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.requests[self.choice.next()]);
    }
    fn done(&self, status: u16, _body: &[u8]) -> u64 {
        u64::from(status == 200)
    }
}
