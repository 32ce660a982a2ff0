//! What a command's caller is told: bodies made from the recorded outcome alone, so that a repeat is told the same.

use crate::{
    problem::{PROBLEM_JSON, Problem, title},
    sent::{IDEMPOTENCY_REPLAYED, POSITION},
    state::State,
};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::{Answer, Answered, Outcome, OutcomeResult};
use domain::ids::CommandId;
use event_log::Topic;
use projections::Position;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap};
use utoipa::ToSchema;

/// The media type of everything that is not a problem.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// When to ask again for an outcome that is not known yet: a wait is over, so not at once.
const ASK_AGAIN_S: u32 = 1;

/// Which topic an outcome is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// An account's entry.
    Account,
    /// A fact's entry.
    Market,
}

/// A command was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = Accepted)]
pub struct AcceptedBody<'a> {
    /// `accepted`.
    #[schema(pattern = "^accepted$")]
    outcome: &'static str,
    /// The account; absent for a market fact.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    account: Option<&'a str>,
    /// What a market fact is about; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    key: Option<&'a str>,
    /// Counts the account's (or key's) entries from 1.
    seq: u64,
    /// The command's key.
    command: &'a str,
    /// The command's kind.
    kind: &'a str,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    recorded_at: domain::time::Timestamp,
    /// The types of the events, in order.
    events: &'a [&'static str],
    /// The order it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    order_id: Option<domain::ids::OrderId>,
    /// The fund order it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    fund_order_id: Option<domain::ids::FundOrderId>,
    /// Where that order stands by this entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status: Option<&'static str>,
    /// Where the entry is: what reads take as `Bahi-Min-Position`.
    position: &'a str,
}

/// A command was refused: a problem body that is recorded.
#[derive(Serialize, ToSchema)]
#[schema(as = Refused)]
pub struct RefusedBody<'a> {
    /// Names the refusal.
    #[serde(rename = "type")]
    problem: String,
    /// The code in words.
    title: String,
    /// 422.
    status: u16,
    /// What the refusal means.
    detail: &'static str,
    /// The stable code.
    code: &'static str,
    /// Whether the same request, under a new key, may be accepted later.
    retryable: bool,
    /// The figures that refused it, by name.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    figures: &'a BTreeMap<Box<str>, Box<str>>,
    /// `refused`.
    #[schema(pattern = "^refused$")]
    outcome: &'static str,
    /// The account; absent for a market fact.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    account: Option<&'a str>,
    /// What a market fact is about; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    key: Option<&'a str>,
    /// Counts the account's (or key's) entries from 1.
    seq: u64,
    /// The command's key.
    command: &'a str,
    /// The command's kind.
    kind: &'a str,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    recorded_at: domain::time::Timestamp,
    /// Where the entry is.
    position: &'a str,
    /// The request that the command first came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<&'a str>,
}

/// The outcome is not known within the wait; ask at `location`.
#[derive(Serialize, ToSchema)]
#[schema(as = Pending)]
pub struct PendingBody<'a> {
    /// `pending`.
    #[schema(pattern = "^pending$")]
    outcome: &'static str,
    /// The command's key.
    command: &'a str,
    /// Where to ask for the outcome.
    location: &'a str,
}

/// The position just after an entry.
pub fn position(of: Of, partition: u32, offset: u64) -> Position {
    let at = partition as usize;
    let mut next = vec![None; at + 1];
    next[at] = Some(offset + 1);
    match of {
        Of::Account => Position { ledger: next, market: Vec::new() },
        Of::Market => Position { ledger: Vec::new(), market: next },
    }
}

/// Status and body of a recorded outcome.
pub fn told(of: Of, outcome: &Outcome, position: &str, request_id: Option<&str>) -> (StatusCode, Vec<u8>) {
    let about = Some(&*outcome.account_or_key);
    let (account, key) = if of == Of::Account { (about, None) } else { (None, about) };
    let (seq, command, kind, recorded_at) = (outcome.seq, &*outcome.command_id, &*outcome.kind, outcome.recorded_at);
    let (status, written) = match &outcome.result {
        OutcomeResult::Accepted { order_id, fund_order_id, status, events } => {
            let (order_id, fund_order_id, status) = (*order_id, *fund_order_id, *status);
            let body = AcceptedBody {
                outcome: "accepted",
                account,
                key,
                seq,
                command,
                kind,
                recorded_at,
                events,
                order_id,
                fund_order_id,
                status,
                position,
            };
            (StatusCode::CREATED, serde_json::to_vec(&body))
        }
        OutcomeResult::Refused { code, figures } => {
            let body = RefusedBody {
                problem: format!("urn:bahi:problem:{}", code.code()),
                title: title(code.code()),
                status: StatusCode::UNPROCESSABLE_ENTITY.as_u16(),
                detail: code.detail(),
                code: code.code(),
                retryable: code.is_retryable(),
                figures,
                outcome: "refused",
                account,
                key,
                seq,
                command,
                kind,
                recorded_at,
                position,
                request_id,
            };
            (StatusCode::UNPROCESSABLE_ENTITY, serde_json::to_vec(&body))
        }
    };
    (status, written.expect("texts and numbers serialize"))
}

/// The id of the request that a refused command first came in, which its body tells every time.
///
/// A repeat's is read from the entry; that is rare, as it takes a refusal sent again.
pub async fn first_request_id<'a>(
    state: &State,
    of: Of,
    answer: &Answer,
    now: Option<&'a str>,
) -> Option<Cow<'a, str>> {
    match answer {
        Answer::Answered(answered) if matches!(answered.outcome.result, OutcomeResult::Refused { .. }) => {
            if answered.replayed {
                recorded_request_id(state, of, answered).await.map(Cow::Owned)
            } else {
                now.map(Cow::Borrowed)
            }
        }
        _ => now.map(Cow::Borrowed),
    }
}

/// The id of the request that a recorded command came in; none when its entry cannot be read now.
pub async fn recorded_request_id(state: &State, of: Of, answered: &Answered) -> Option<String> {
    #[derive(Deserialize)]
    struct Recorded {
        command: Command,
    }
    #[derive(Deserialize)]
    struct Command {
        request_id: Option<String>,
    }
    let topic = if of == Of::Account { Topic::Ledger } else { Topic::Market };
    let stored = state.log.read_at(topic, answered.partition, vec![answered.offset]).await.ok()?;
    let recorded: Recorded = serde_json::from_slice(&stored.first()?.record.value).ok()?;
    recorded.command.request_id
}

/// Where to ask for a command's outcome.
pub fn location(of: Of, account: &str, id: &CommandId) -> String {
    let key = encoded(id.as_str());
    match of {
        Of::Account => format!("/v1/accounts/{account}/commands/{key}"),
        Of::Market => format!("/v1/market/commands/{key}"),
    }
}

/// Percent-encodes everything but unreserved characters (RFC 3986).
fn encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("a String takes everything"),
        }
        out
    })
}

/// What is wrong when nothing was recorded.
fn problem_of(answer: &Answer) -> Option<Problem> {
    Some(match answer {
        Answer::Answered(_) | Answer::Unknown => return None,
        Answer::KeyReused { .. } => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "this key was used before for another command",
        ),
        Answer::Busy { retry_after_s } => {
            Problem::unavailable("busy", "nothing was recorded and the key is free: try again", *retry_after_s)
        }
        Answer::RateLimited { retry_after_s, limit } => Problem {
            retry_after_s: Some(*retry_after_s),
            headers: vec![
                (crate::state::RATE_LIMIT_REMAINING, HeaderValue::from_static("0")),
                (crate::state::RATE_LIMIT_RESET, HeaderValue::from(*retry_after_s)),
            ],
            ..Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                format!("this account may send {limit} commands per second; nothing was recorded and the key is free"),
            )
        },
    })
}

/// The answer to one command.
pub async fn respond(
    state: &State,
    of: Of,
    account: &str,
    id: &CommandId,
    answer: Answer,
    request_id: Option<&str>,
) -> Response {
    let first = first_request_id(state, of, &answer, request_id).await;
    let mut response = match (&answer, problem_of(&answer)) {
        (_, Some(problem)) => problem.into_response(),
        (Answer::Answered(Answered { outcome, partition, offset, replayed }), None) => {
            let position = position(of, *partition, *offset).to_string();
            let (status, body) = told(of, outcome, &position, first.as_deref());
            let mut response = json(status, body);
            let headers = response.headers_mut();
            if let Ok(position) = HeaderValue::try_from(position) {
                headers.insert(POSITION, position);
            }
            if *replayed {
                headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
            }
            response
        }
        (_, None) => {
            let location = location(of, account, id);
            let body = PendingBody { outcome: "pending", command: id.as_str(), location: &location };
            let body = serde_json::to_vec(&body).expect("texts serialize");
            let mut response = json(StatusCode::ACCEPTED, body);
            if let Ok(location) = HeaderValue::try_from(location) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ASK_AGAIN_S));
            response
        }
    };
    state.limits_told(response.headers_mut());
    response
}

/// A JSON body, or a problem for a status that is an error.
pub fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let media = if status.is_client_error() || status.is_server_error() { PROBLEM_JSON } else { JSON };
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

/// The answers to a list of commands: one status and body for each, in the order sent.
#[derive(Default)]
pub struct Results {
    body: Vec<u8>,
    position: Option<Position>,
    retry_after_s: Option<u32>,
}

impl Results {
    /// Adds a problem of an item that was not handed over.
    pub fn problem(&mut self, problem: &Problem, request_id: Option<&str>) {
        self.item(problem.status, false, &problem.body(request_id));
    }

    /// Adds an answer.
    pub async fn answer(
        &mut self,
        state: &State,
        of: Of,
        account: &str,
        id: &CommandId,
        answer: &Answer,
        request_id: Option<&str>,
    ) {
        let first = first_request_id(state, of, answer, request_id).await;
        if let Answer::Busy { retry_after_s } | Answer::RateLimited { retry_after_s, .. } = answer {
            self.retry_after_s = self.retry_after_s.max(Some(*retry_after_s));
        }
        match (answer, problem_of(answer)) {
            (_, Some(problem)) => self.problem(&problem, request_id),
            (Answer::Answered(Answered { outcome, partition, offset, replayed }), None) => {
                let position = position(of, *partition, *offset);
                let (status, body) = told(of, outcome, &position.to_string(), first.as_deref());
                self.position.get_or_insert_default().merge(&position);
                self.item(status, *replayed, &body);
            }
            (_, None) => {
                let location = location(of, account, id);
                let body = PendingBody { outcome: "pending", command: id.as_str(), location: &location };
                self.item(StatusCode::ACCEPTED, false, &serde_json::to_vec(&body).expect("texts serialize"));
            }
        }
    }

    fn item(&mut self, status: StatusCode, replayed: bool, body: &[u8]) {
        self.body.extend_from_slice(if self.body.is_empty() { b"{\"results\":[" } else { b"," });
        self.body.extend_from_slice(b"{\"status\":");
        self.body.extend_from_slice(status.as_str().as_bytes());
        if replayed {
            self.body.extend_from_slice(b",\"replayed\":true");
        }
        self.body.extend_from_slice(b",\"body\":");
        self.body.extend_from_slice(body);
        self.body.push(b'}');
    }

    /// The answer to the whole list.
    pub fn respond(mut self, state: &State) -> Response {
        self.body.extend_from_slice(if self.body.is_empty() { b"{\"results\":[]}" } else { b"]}" });
        let mut response = json(StatusCode::OK, self.body);
        let headers = response.headers_mut();
        if let Some(position) = self.position.and_then(|position| HeaderValue::try_from(position.to_string()).ok()) {
            headers.insert(POSITION, position);
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        state.limits_told(headers);
        response
    }
}

/// One status and body for each item of a list, in the order sent.
#[derive(Serialize, ToSchema)]
pub struct ResultList {
    /// In the order sent.
    #[schema(max_items = 1000)]
    results: Vec<ResultItem>,
}

/// The answer to one item.
#[derive(Serialize, ToSchema)]
pub struct ResultItem {
    /// As the status of a single request would be.
    #[schema(minimum = 200, maximum = 599)]
    status: u16,
    /// Whether the key was known: this is its first answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    replayed: Option<bool>,
    /// As the body of a single request would be: accepted, pending or a problem.
    #[schema(value_type = Object)]
    body: serde_json::Value,
}
