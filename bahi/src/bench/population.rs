//! The accounts, instruments and schemes that a bench needs before it measures, made over HTTP as anyone would.

use super::{
    http::{self, Connection},
    load,
};
use crate::{
    clock,
    error::Error,
    keys::{Minter, Role},
    progress::Progress,
};
use std::{cell::RefCell, net::SocketAddr, rc::Rc, sync::Arc};
use tokio::task::LocalSet;

/// Accounts of every bench.
pub const ACCOUNTS: usize = 10_000;
/// Instruments traded and held.
pub const INSTRUMENTS: usize = 50;
/// Schemes held.
pub const SCHEMES: usize = 20;
/// Connections that set up.
const CONNECTIONS: usize = 64;
/// Cash of each account: enough for every order of a bench.
const CASH: &str = "100000000000.00";
/// What every instrument last traded at; orders are far enough below their cash.
pub const PRICE: &str = "100.00";

/// The n-th account.
pub fn account(number: usize) -> String {
    format!("B{number:05}")
}

/// The n-th instrument.
pub fn instrument(number: usize) -> String {
    format!("NSE:BENCH{number:03}")
}

/// The n-th scheme.
pub fn scheme(number: usize) -> String {
    format!("{}", 990_000 + number)
}

/// A client's token for each account.
pub fn tokens(minter: &Minter) -> Result<Arc<[String]>, Error> {
    (0..ACCOUNTS)
        .map(|number| minter.mint(Role::Client, &[account(number).parse().expect("a bench's account is an account")]))
        .collect()
}

/// Lists the instruments with a price, and the schemes with a NAV.
pub async fn list_market(address: SocketAddr, operator: &str) -> Result<(), Error> {
    let mut connection = Connection::open(address).await?;
    let today = clock::now().date();
    for number in 0..INSTRUMENTS {
        let (id, symbol) = (instrument(number), format!("BENCH{number:03}"));
        let listing =
            format!(r#"{{"instrument":"{id}","symbol":"{symbol}","exchange":"NSE","series":"EQ","tick_size":"0.05"}}"#);
        created(&mut connection, "/v1/market/instruments", operator, &format!("list-{number}"), &listing).await?;
        let last = price_body(number, PRICE);
        created(&mut connection, "/v1/market/prices", operator, &format!("price-{number}"), &last).await?;
    }
    for number in 0..SCHEMES {
        let code = scheme(number);
        let listing = format!(r#"{{"scheme":"{code}","name":"Bench scheme {number}"}}"#);
        created(&mut connection, "/v1/market/schemes", operator, &format!("scheme-{number}"), &listing).await?;
        let nav = format!(r#"{{"scheme":"{code}","date":"{today}","nav":"25.0000"}}"#);
        created(&mut connection, "/v1/market/navs", operator, &format!("nav-{number}"), &nav).await?;
    }
    Ok(())
}

/// A live price of the n-th instrument.
pub fn price_body(number: usize, price: &str) -> String {
    format!(r#"{{"instrument":"{}","last":"{price}","at":"{}"}}"#, instrument(number), clock::now())
}

async fn created(connection: &mut Connection, path: &str, token: &str, key: &str, body: &str) -> Result<(), Error> {
    let answer = connection.ask(&http::post(path, token, key, body)).await?;
    if answer.status == 201 {
        return Ok(());
    }
    let body = String::from_utf8_lossy(answer.body);
    Err(Error::Server(format!("POST {path}: {} {body}", answer.status)))
}

/// Opens every account and pays in.
pub async fn open_accounts(address: SocketAddr, operator: &str) -> Result<(), Error> {
    let operator: Rc<str> = operator.into();
    let requests = move |number: usize| {
        let name = account(number);
        let open = http::post("/v1/accounts", &operator, "open", &format!(r#"{{"account":"{name}"}}"#));
        let path = format!("/v1/accounts/{name}/cash/deposits");
        let deposit = http::post(&path, &operator, "deposit", &format!(r#"{{"amount":"{CASH}"}}"#));
        vec![open, deposit]
    };
    for_each_account(address, "accounts opened", requests).await
}

/// Sends these requests for each account, over many connections; each must be answered 200 or 201.
pub async fn for_each_account(
    address: SocketAddr,
    things: &'static str,
    requests: impl Fn(usize) -> Vec<Vec<u8>> + 'static,
) -> Result<(), Error> {
    let local = LocalSet::new();
    let requests = Rc::new(requests);
    let progress = Rc::new(RefCell::new((Progress::new(ACCOUNTS as u64, things), 0)));
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|first| {
            let (requests, progress) = (Rc::clone(&requests), Rc::clone(&progress));
            local.spawn_local(async move {
                let mut connection = Connection::open(address).await?;
                for number in (first..ACCOUNTS).step_by(CONNECTIONS) {
                    for request in requests(number) {
                        let answer = connection.ask(&request).await?;
                        if !load::counts(answer.status, answer.body) {
                            let body = String::from_utf8_lossy(answer.body);
                            return Err(Error::Server(format!("{things}: {} {body}", answer.status)));
                        }
                    }
                    let (progress, done) = &mut *progress.borrow_mut();
                    *done += 1;
                    progress.reach(*done);
                }
                Ok(())
            })
        })
        .collect();
    local.await;
    for task in tasks {
        task.await.map_err(|why| Error::Server(format!("setting up: {why}")))??;
    }
    if let Ok(progress) = Rc::try_unwrap(progress) {
        progress.into_inner().0.finish();
    }
    Ok(())
}
