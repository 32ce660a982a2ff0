//! A running server asked over HTTP, as `verify` and `import` do; knows no more of its answers than status and JSON.

use crate::error::Error;
use serde_json::Value;
use std::time::Duration;

/// Longest wait for one answer: a server catches up within seconds.
const ANSWER_S_MAX: u64 = 60;
/// How often a busy server is asked again before giving up.
const TRIES_MAX: u32 = 20;
/// Longest pause that a busy server may ask for.
const RETRY_AFTER_S_MAX: u64 = 5;

/// A server and a token for it.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

/// What it answered.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Whether it was the first answer to this key again.
    pub replayed: bool,
    /// The body; null without one.
    pub body: Value,
}

impl Client {
    /// A server at `http://HOST:PORT`.
    ///
    /// # Errors
    /// When the address is another kind of address.
    pub fn new(url: &str, token: &str) -> Result<Client, Error> {
        if !url.starts_with("http://") {
            return Err(Error::Usage(format!("{url}: must begin with http://; TLS ends at a gateway in front")));
        }
        let http = reqwest::Client::builder().timeout(Duration::from_secs(ANSWER_S_MAX)).build().map_err(failed)?;
        Ok(Client { http, base: url.trim_end_matches('/').to_owned(), token: token.trim().to_owned() })
    }

    /// Asks for a resource under `/v1`.
    ///
    /// # Errors
    /// When the server cannot be reached or answers no JSON.
    pub async fn get(&self, path: &str) -> Result<Answer, Error> {
        self.send(|| self.http.get(format!("{}/v1/{path}", self.base))).await
    }

    /// Posts a body under a key; a busy server is asked again, which the key makes safe.
    ///
    /// # Errors
    /// When the server cannot be reached, stays busy, or answers no JSON.
    pub async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Result<Answer, Error> {
        self.send(|| {
            let request = self.http.post(format!("{}/v1/{path}", self.base)).json(body);
            match key {
                Some(key) => request.header("idempotency-key", key),
                None => request,
            }
        })
        .await
    }

    async fn send(&self, request: impl Fn() -> reqwest::RequestBuilder) -> Result<Answer, Error> {
        for _ in 0..TRIES_MAX {
            let answer = request().bearer_auth(&self.token).send().await.map_err(failed)?;
            let status = answer.status().as_u16();
            let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
            if status == 429 || status == 503 {
                let pause_s = header("retry-after").and_then(|text| text.parse().ok()).unwrap_or(1);
                tokio::time::sleep(Duration::from_secs(pause_s.clamp(1, RETRY_AFTER_S_MAX))).await;
                continue;
            }
            let replayed = header("idempotency-replayed") == Some("true");
            let bytes = answer.bytes().await.map_err(failed)?;
            let body = if bytes.is_empty() { Value::Null } else { json(&bytes)? };
            return Ok(Answer { status, replayed, body });
        }
        Err(Error::Server(format!("{} stays busy; try again later", self.base)))
    }
}

impl Answer {
    /// The body of an answer of success.
    ///
    /// # Errors
    /// Says what the server said otherwise.
    pub fn ok(self) -> Result<Value, Error> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        Err(Error::Server(format!("the server answered {}: {}", self.status, problem(&self.body))))
    }
}

/// A problem body in one line.
pub fn problem(body: &Value) -> String {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    match (text("code"), text("detail")) {
        ("", "") => body.to_string(),
        (code, "") => code.to_owned(),
        (code, detail) => format!("{code}: {detail}"),
    }
}

fn json(bytes: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(bytes).map_err(|_| Error::Server("the server answered something else than JSON".to_owned()))
}

fn failed(why: reqwest::Error) -> Error {
    let mut text = why.to_string();
    let mut source = std::error::Error::source(&why);
    while let Some(deeper) = source {
        text = format!("{text}: {deeper}");
        source = deeper.source();
    }
    Error::Server(text)
}
