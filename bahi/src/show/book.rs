//! The parts of an account's book as JSON, from a folder or a server, the same either way; computes nothing itself.

use crate::{
    client::Client,
    error::Error,
    pages::{join, next, value, whole},
    progress::Progress,
    wire,
};
use domain::ids::AccountId;
use projections::{AsOf, Listing, Page, Reading, Replay, page::LIMIT_MAX, past, read_list};
use serde_json::{Value, json};
use std::path::Path;

/// What is asked for.
pub struct Asked {
    /// Whose book.
    pub account: AccountId,
    /// After which entry; now unless given.
    pub as_of_offset: Option<u64>,
    /// How many orders and fund orders.
    pub orders: usize,
}

/// Folds the log and reads the book.
///
/// # Errors
/// When the log cannot be read, a view stopped, or the account has no entry.
pub async fn of_folder(data: &Path, asked: &Asked) -> Result<Value, Error> {
    let Asked { account, as_of_offset, orders } = asked;
    let log = wire::open_to_read(data).await?;
    let mut bar = Progress::new(0, "records");
    let replay = Replay { accounts: Some([*account].into()), ..Replay::default() };
    let replayed = projections::replay(log.port(), replay, |done| bar.reach_of(done.records, done.of)).await?;
    bar.finish();
    let views = &replayed.views;
    let newest = Page { limit: Some(*orders), cursor: None };
    if let Some(offset) = as_of_offset {
        let past = past(&*log, views, account, AsOf::Offset(*offset))
            .await
            .map_err(|why| unknown(why, account, *as_of_offset))?;
        let reading = past.reading();
        let mut book = parts(&reading)?;
        book["orders"] = value(reading.orders(&Default::default(), &newest)?)?;
        book["fund_orders"] = value(reading.fund_orders(&Default::default(), &newest)?)?;
        return Ok(book);
    }
    let mut book = views.read(account, parts).ok_or_else(|| nobody(account, None))??;
    let listing = Listing::Orders(Default::default());
    let read = read_list(&*log, views, account, &listing, &newest, |reading| {
        value(reading.orders(&Default::default(), &newest)?)
    });
    book["orders"] = read.await?.ok_or_else(|| nobody(account, None))??;
    let listing = Listing::FundOrders(Default::default());
    let read = read_list(&*log, views, account, &listing, &newest, |reading| {
        value(reading.fund_orders(&Default::default(), &newest)?)
    });
    book["fund_orders"] = read.await?.ok_or_else(|| nobody(account, None))??;
    Ok(book)
}

/// Everything but the lists whose rows may have left memory.
fn parts(reading: &Reading<'_>) -> Result<Value, Error> {
    Ok(json!({
        "account": value(reading.account()?)?,
        "cash": value(reading.cash()?)?,
        "positions": whole(|page| value(reading.positions(None, page)?))?,
        "holdings": whole(|page| value(reading.holdings(None, page)?))?,
        "portfolio": whole(|page| value(reading.portfolio(page)?))?,
    }))
}

/// Asks a server for the book, part by part; entries may come between two parts.
///
/// # Errors
/// When the server cannot be reached or refuses.
pub async fn of_server(client: &Client, asked: &Asked) -> Result<Value, Error> {
    let Asked { account, as_of_offset, orders } = asked;
    let moment = as_of_offset.map(|offset| format!("&as_of_offset={offset}")).unwrap_or_default();
    let get = async |route: &str, more: &str| {
        let query = format!("{more}{moment}");
        let query = query.strip_prefix('&').map(|query| format!("?{query}")).unwrap_or_default();
        let answer = client.get(&format!("accounts/{account}{route}{query}")).await?;
        let is_unknown = answer.body.get("code").and_then(Value::as_str) == Some("unknown_account");
        if is_unknown { Err(nobody(account, *as_of_offset)) } else { answer.ok() }
    };
    let all = async |route: &str| {
        let mut first = get(route, &format!("&limit={LIMIT_MAX}")).await?;
        while let Some(cursor) = next(&mut first) {
            let page = get(route, &format!("&limit={LIMIT_MAX}&cursor={cursor}")).await?;
            join(&mut first, page);
        }
        Ok::<Value, Error>(first)
    };
    let newest = format!("&limit={orders}");
    Ok(json!({
        "account": get("", "").await?,
        "cash": get("/cash", "").await?,
        "orders": get("/orders", &newest).await?,
        "positions": all("/positions").await?,
        "holdings": all("/holdings").await?,
        "portfolio": all("/portfolio").await?,
        "fund_orders": get("/fund-orders", &newest).await?,
    }))
}

fn unknown(why: projections::Error, account: &AccountId, as_of_offset: Option<u64>) -> Error {
    match why {
        projections::Error::UnknownAccount { .. } => nobody(account, as_of_offset),
        other => other.into(),
    }
}

fn nobody(account: &AccountId, as_of_offset: Option<u64>) -> Error {
    Error::Usage(match as_of_offset {
        Some(offset) => format!("{account}: no entry of this account at offset {offset} or before"),
        None => format!("{account}: no such account in this ledger"),
    })
}
