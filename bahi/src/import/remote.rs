//! An import into a running server, over the routes that anyone has.

use super::{Done, LineFact, correction};
use crate::{
    client::{Client, problem},
    error::Error,
    progress::Progress,
};
use domain::{
    history::ImportTrade,
    ids::{AccountId, CommandId},
    market::{Fact, Instrument, Scheme},
    rejection::Rejection,
    row_key::row_key,
};
use feeds::listing::Known;
use serde_json::{Value, json};

/// Items of one request: what the server takes.
const ITEMS_MAX: usize = 1000;
/// Pages of listings read: ten times all of NSE and AMFI.
const PAGES_MAX: usize = 200;

/// A server to import into.
pub struct Remote {
    client: Client,
    /// Listings recorded already.
    pub known: Known,
}

impl Remote {
    /// Asks the server what is listed.
    ///
    /// # Errors
    /// When it cannot be reached or does not know the token.
    pub async fn open(url: &str, token: &str) -> Result<Remote, Error> {
        let client = Client::new(url, token)?;
        let mut known = Known::default();
        for item in all(&client, "instruments").await? {
            let text = |name: &str| item.get(name).cloned().unwrap_or(Value::Null);
            let listing = json!({
                "instrument": text("instrument"), "isin": text("isin"), "symbol": text("symbol"),
                "exchange": text("exchange"), "series": text("series"),
            });
            known.remember_instrument(&read::<Instrument>(listing)?);
        }
        for mut item in all(&client, "schemes").await? {
            if let Value::Object(scheme) = &mut item {
                scheme.retain(|name, _| !matches!(name.as_str(), "nav" | "nav_date"));
            }
            known.remember_scheme(&read::<Scheme>(item)?);
        }
        Ok(Remote { client, known })
    }

    /// Posts facts: listings one by one and before all else, prices and NAVs in lists.
    ///
    /// # Errors
    /// When the server fails or does not let this token import.
    pub async fn facts(&mut self, facts: Vec<LineFact>) -> Result<Vec<Done>, Error> {
        let mut progress = Progress::new(facts.len() as u64, "facts");
        let mut done: Vec<Option<Done>> = facts.iter().map(|_| None).collect();
        let (mut count, mut prices, mut navs) = (0, Vec::new(), Vec::new());
        for (at, LineFact { id, fact, .. }) in facts.iter().enumerate() {
            let route = match fact {
                Fact::Instrument(_) => "market/instruments",
                Fact::Scheme(_) => "market/schemes",
                Fact::Calendar(_) => "market/calendar",
                Fact::Price(_) | Fact::Last(_) => {
                    prices.push((at, *id, fact));
                    continue;
                }
                Fact::Nav(_) => {
                    navs.push((at, *id, fact));
                    continue;
                }
            };
            let mut answer = self.client.post(route, Some(id.as_str()), &body(fact)).await?;
            if let Some(LineFact { id, fact, .. }) =
                contradicted(&answer.body).and_then(|latest| correction(fact, latest))
            {
                answer = self.client.post(route, Some(id.as_str()), &body(&fact)).await?;
            }
            done[at] = Some(became(answer.status, answer.replayed, &answer.body)?);
            count += 1;
            progress.reach(count);
        }
        for (route, listed) in [("market/prices", prices), ("market/navs", navs)] {
            for items in listed.chunks(ITEMS_MAX) {
                let ids: Vec<&str> = items.iter().map(|(_, id, _)| id.as_str()).collect();
                let key = row_key(&ids.join(","), 1);
                let list = Value::Array(items.iter().map(|(_, _, fact)| body(fact)).collect());
                let answer = self.client.post(route, Some(key.as_str()), &list).await?.ok()?;
                for ((at, _, _), item) in items.iter().zip(results(&answer, items.len())?) {
                    done[*at] = Some(item?);
                }
                count += items.len() as u64;
                progress.reach(count);
            }
        }
        progress.finish();
        Ok(done.into_iter().map(|done| done.expect("every fact was posted")).collect())
    }

    /// Posts an account's trades in their order; opens the account first if there is none.
    ///
    /// # Errors
    /// When the server fails or does not let this token import.
    pub async fn trades(
        &mut self,
        account: AccountId,
        trades: Vec<(CommandId, ImportTrade)>,
    ) -> Result<Vec<Done>, Error> {
        if self.client.get(&format!("accounts/{account}")).await?.status == 404 {
            let open = json!({ "account": account });
            let opened = self.client.post("accounts", Some("import/open"), &open).await?;
            // It may have been opened a moment ago, and its rows are not there yet.
            if code(&opened.body) != Rejection::AccountExists.code() {
                opened.ok()?;
            }
        }
        let mut progress = Progress::new(trades.len() as u64, "trades");
        let mut done = Vec::with_capacity(trades.len());
        for trades in trades.chunks(ITEMS_MAX) {
            let row = |(key, trade): &(CommandId, ImportTrade)| {
                let mut row = serde_json::to_value(trade).expect("a trade is JSON");
                row["key"] = key.as_str().into();
                row
            };
            let rows = json!({ "rows": trades.iter().map(row).collect::<Vec<Value>>() });
            let answer = self.client.post(&format!("accounts/{account}/imports/trades"), None, &rows).await?.ok()?;
            for item in results(&answer, trades.len())? {
                done.push(item?);
            }
            progress.reach(done.len() as u64);
        }
        progress.finish();
        Ok(done)
    }
}

/// Every item of a list, page by page.
async fn all(client: &Client, resource: &str) -> Result<Vec<Value>, Error> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let mut page = client.get(&format!("{resource}?limit={ITEMS_MAX}{cursor}")).await?.ok()?;
        if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
            items.extend(more);
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok(items)
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|why| Error::Server(format!("the server lists what does not read: {why}")))
}

fn body(fact: &Fact) -> Value {
    fact.serialize_body(serde_json::value::Serializer).expect("a fact is JSON")
}

/// What became of each item of a list.
fn results(answer: &Value, count: usize) -> Result<impl Iterator<Item = Result<Done, Error>>, Error> {
    let results = answer.get("results").and_then(Value::as_array).filter(|results| results.len() == count);
    let results = results.ok_or_else(|| Error::Server("the server did not answer every item".to_owned()))?;
    Ok(results.iter().map(|item| {
        let status = item.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
        let replayed = item.get("replayed").and_then(Value::as_bool).unwrap_or_default();
        became(status.unwrap_or_default(), replayed, item.get("body").unwrap_or(&Value::Null))
    }))
}

/// The latest entry about what a fact contradicts.
fn contradicted(body: &Value) -> Option<u64> {
    if code(body) != Rejection::FactContradicted.code() {
        return None;
    }
    body.pointer("/figures/latest")?.as_str()?.parse().ok()
}

/// The code of a refusal, or of another problem; empty where there is none.
fn code(body: &Value) -> &str {
    body.get("code").and_then(Value::as_str).unwrap_or_default()
}

fn became(status: u16, replayed: bool, body: &Value) -> Result<Done, Error> {
    let code = code(body);
    Ok(match status {
        201 if replayed => Done::Known,
        201 => Done::Imported,
        422 if code == "fact_repeated" => Done::Known,
        400 | 422 => Done::Refused(problem(body)),
        _ => return Err(Error::Server(format!("the server answered {status}: {}", problem(body)))),
    })
}
