//! How a read waits, asks and answers: one way for accounts, one for the market; knows no route.

use crate::{
    outcome::json,
    problem::Problem,
    query::Query,
    sent::{POSITION, Sent},
    state::State,
};
use axum::{
    http::{HeaderValue, StatusCode},
    response::Response,
};
use domain::ids::{AccountId, OrderId};
use event_log::{Topic, partition_of};
use projections::{
    Error, Listing, OrderHistory, OrderSpan, Page, Position, Reading, history_over, past,
    postgres::{AccountAt, Postgres},
    read_list,
};
use serde::Serialize;

/// When to ask again for what the views have not reached: they are milliseconds behind as a rule.
const BEHIND_RETRY_S: u32 = 1;
/// When to ask again for a view that stopped, which takes a person.
const STOPPED_RETRY_S: u32 = 60;

/// Waits until the views are as far as the caller asks, within the limit.
///
/// # Errors
/// 503 while starting, and when the wait is over.
pub async fn reached(state: &State, sent: &Sent) -> Result<(), Problem> {
    if !state.has_caught_up().await {
        return Err(Problem::unavailable("starting", "the log is still being read: try again", BEHIND_RETRY_S));
    }
    match &sent.min {
        Some((_, position)) if !state.wait_for(position).await.map_err(problem)? => Err(behind()),
        _ => Ok(()),
    }
}

/// An account in the database, and the position that this is at least as new as.
///
/// # Errors
/// 404 for an account without entries, and when the database cannot be asked.
async fn stored(database: &Postgres, account: &AccountId) -> Result<(AccountAt, Position), Problem> {
    let at = database.account_at(account).await.map_err(problem)?.ok_or_else(unknown_account)?;
    let partition = partition_of(account.as_str(), database.partitions(Topic::Ledger));
    let position = Position::after(Topic::Ledger, partition, at.next().saturating_sub(1));
    Ok((at, position))
}

fn behind() -> Problem {
    Problem::unavailable("position_not_reached", "that position is not reached yet: try again", BEHIND_RETRY_S)
}

/// Asks about an account, now or as it was.
///
/// # Errors
/// Whatever the question says, 404 for an account without entries, 400 for a moment that has not come.
pub async fn account(
    state: &State,
    account: &AccountId,
    sent: &Sent,
    query: &Query,
    ask: impl for<'a, 'b> FnOnce(&'b Reading<'a>) -> Result<Vec<u8>, Problem>,
) -> Result<Response, Problem> {
    let moment = query.moment()?;
    reached(state, sent).await?;
    match moment.is_past() {
        true => {
            state.look().await.map_err(problem)?;
            // What was then stays so: the answer is as new as what is seen now.
            let position = state.views.position();
            let past = past(&*state.log, &state.views, account, moment).await.map_err(problem)?;
            Ok(answered(ask(&past.reading())?, &position))
        }
        false => {
            if let Some(database) = &state.database {
                let (at, position) = stored(database, account).await?;
                return Ok(answered(ask(&at.reading())?, &position));
            }
            // Before asking, so that the answer is at least as new as it says.
            let position = state.views.position();
            let body = state.views.read(account, ask).ok_or_else(unknown_account)??;
            Ok(answered(body, &position))
        }
    }
}

/// Asks about a list of an account, some of whose rows are read from the log, now or as it was.
///
/// # Errors
/// As [`account`].
pub async fn list(
    state: &State,
    account: &AccountId,
    sent: &Sent,
    query: &Query,
    listing: &Listing,
    ask: impl for<'a, 'b> FnOnce(&'b Reading<'a>) -> Result<Vec<u8>, Problem>,
) -> Result<Response, Problem> {
    if query.moment()?.is_past() {
        return self::account(state, account, sent, query, ask).await;
    }
    reached(state, sent).await?;
    if let Some(database) = &state.database {
        let position = database.seen();
        let found = database.read_list(account, listing, &query.page(), ask).await;
        return Ok(answered(found.map_err(problem)?.ok_or_else(unknown_account)??, &position));
    }
    let position = state.views.position();
    let found = read_list(&*state.log, &state.views, account, listing, &query.page(), ask).await;
    let body = found.map_err(problem)?.ok_or_else(unknown_account)??;
    Ok(answered(body, &position))
}

/// A body that is at least as new as a position.
pub fn answered(body: Vec<u8>, position: &Position) -> Response {
    let mut response = json(StatusCode::OK, body);
    if let Ok(position) = HeaderValue::try_from(position.to_string()) {
        response.headers_mut().insert(POSITION, position);
    }
    response
}

/// Writes an answer.
///
/// # Errors
/// When the views could not answer.
pub fn body(answer: Result<impl Serialize, Error>) -> Result<Vec<u8>, Problem> {
    written(&answer.map_err(problem)?)
}

/// Writes an answer that may not be there.
///
/// # Errors
/// When the views could not answer; 404 with this code when it is not there.
pub fn body_or(answer: Result<Option<impl Serialize>, Error>, code: &'static str) -> Result<Vec<u8>, Problem> {
    let found = answer.map_err(problem)?;
    written(&found.ok_or_else(|| Problem::not_found(code, "there is no such thing here"))?)
}

/// Writes a value.
///
/// # Errors
/// When stored bytes are not JSON, which `bahi verify` would say too.
pub fn written(value: &impl Serialize) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::with_capacity(1024);
    match serde_json::to_writer(&mut body, value) {
        Ok(()) => Ok(body),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            Err(unreadable())
        }
    }
}

fn unknown_account() -> Problem {
    Problem::not_found("unknown_account", "there is no such account")
}

fn unreadable() -> Problem {
    Problem::unavailable("log_unreadable", "the log cannot be read here: it has been noted", STOPPED_RETRY_S)
}

/// What the views say, as a problem.
pub fn problem(error: Error) -> Problem {
    match error {
        Error::Stopped { .. } => {
            Problem::unavailable("view_stopped", "this view stopped and must be rebuilt", STOPPED_RETRY_S)
        }
        Error::NotYet { .. } => Problem::field("invalid_query", "#as_of_offset", "is not recorded yet"),
        Error::Behind { .. } => behind(),
        Error::Cursor => Problem::field("invalid_query", "#cursor", "is not a cursor of this list"),
        Error::UnknownAccount { .. } => unknown_account(),
        Error::TooManyPostings { .. } => {
            Problem::field("invalid_query", "#effective_at", "has too many postings before it: ask with as_of instead")
        }
        Error::UnknownOrder => Problem::not_found("unknown_order", "there is no such order in this account"),
        Error::Log(_) | Error::Corrupt { .. } | Error::Undecodable { .. } | Error::Rebuild { .. } | Error::RedisUrl => {
            tracing::error!(%error, "a read failed");
            unreadable()
        }
    }
}

/// An order's history, wherever the account's rows are.
///
/// # Errors
/// As [`projections::order_history`], and when the database cannot be asked.
pub async fn order_history(state: &State, order: &OrderId) -> Result<OrderHistory, Error> {
    let Some(database) = &state.database else {
        return projections::order_history(&*state.log, &state.views, order).await;
    };
    state.look().await?;
    let (listing, page) = (Listing::Order(order.seq), Page::default());
    let span = database.read_list(&order.account, &listing, &page, |reading| OrderSpan::of(reading, order)).await?;
    history_over(&*state.log, &state.views, order, span.transpose()?.flatten()).await
}

/// Refuses an account without entries.
///
/// # Errors
/// 404, and when the database cannot be asked.
pub async fn is_known(state: &State, account: &AccountId) -> Result<(), Problem> {
    let known = match &state.database {
        Some(database) => {
            state.look().await.map_err(problem)?;
            !database.journal_offsets(account, 0, 1).await.map_err(problem)?.is_empty()
        }
        None => state.views.read(account, |_| ()).is_some(),
    };
    if known { Ok(()) } else { Err(unknown_account()) }
}
