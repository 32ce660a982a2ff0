//! One caller of the product's HTTP interface, who reads what it wrote; knows no route.

use reqwest::{Method, blocking};
use serde_json::Value;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The longest a story waits for one answer; the product's own wait is 5 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Numbers the keys of this process, so that no two requests share one unless a story says so.
static KEYS: AtomicU64 = AtomicU64::new(1);

/// The position of the last command about an account, which reads then ask for.
pub type LastWrite = Arc<Mutex<Option<String>>>;

/// A caller. All callers of one server share what any of them wrote.
#[derive(Clone)]
pub struct Client {
    http: blocking::Client,
    base: String,
    token: Option<String>,
    position: LastWrite,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Header names in lower case, with their texts.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub body: Value,
    /// What was asked, for a failed story.
    pub asked: String,
}

/// A fresh idempotency key.
pub fn key() -> String {
    format!("story-{}", KEYS.fetch_add(1, Ordering::Relaxed))
}

impl Client {
    /// A caller of the server at `base`, with or without a token.
    ///
    /// # Panics
    /// When no client can be made.
    pub fn new(base: impl Into<String>, token: Option<&str>, position: LastWrite) -> Client {
        let http = blocking::Client::builder()
            .timeout(ANSWER_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client can be made");
        Client { http, base: base.into(), token: token.map(str::to_owned), position }
    }

    /// Asks with everything given by hand; `None` when no answer came.
    pub fn try_ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Vec<u8>>) -> Option<Reply> {
        let method_typed = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(method_typed, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let own = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Bahi-Min-Position"));
        let last = self.position.lock().expect("nobody panics here").clone();
        if let Some(position) = last.filter(|_| !own && method == "GET" && path.starts_with("/v1/")) {
            request = request.header("Bahi-Min-Position", position);
        }
        for (name, text) in headers {
            request = request.header(*name, *text);
        }
        if let Some(body) = body {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                request = request.header("content-type", "application/json");
            }
            request = request.body(body);
        }
        let response = request.send().ok()?;
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .map(|(name, text)| (name.as_str().to_owned(), String::from_utf8_lossy(text.as_bytes()).into_owned()))
            .collect();
        let status = response.status().as_u16();
        let text = response.text().ok()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let reply = Reply { status, headers, text, body, asked: format!("{method} {path}") };
        let about_accounts = method != "GET" && !path.starts_with("/v1/market/");
        if let Some(position) = reply.header("bahi-position").filter(|_| about_accounts) {
            *self.position.lock().expect("nobody panics here") = Some(position.to_owned());
        }
        Some(reply)
    }

    /// Asks with everything given by hand.
    ///
    /// # Panics
    /// When no answer came.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Vec<u8>>) -> Reply {
        self.try_ask(method, path, headers, body).unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// Reads, if there is an answer.
    pub fn try_get(&self, path: &str) -> Option<Reply> {
        self.try_ask("GET", path, &[], None)
    }

    /// Reads; the answer must be 200.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], None).must_be(200)
    }

    /// Sends a command under a key of its own.
    ///
    /// # Panics
    /// When no answer came.
    #[track_caller]
    pub fn post(&self, path: &str, body: Value) -> Reply {
        self.post_as(&key(), path, body)
    }

    /// Sends a command under this key.
    ///
    /// # Panics
    /// When no answer came.
    #[track_caller]
    pub fn post_as(&self, key: &str, path: &str, body: Value) -> Reply {
        self.ask("POST", path, &[("Idempotency-Key", key)], Some(body.to_string().into_bytes()))
    }

    /// Sends a command under this key, if there is an answer.
    pub fn try_post_as(&self, key: &str, path: &str, body: &Value) -> Option<Reply> {
        self.try_ask("POST", path, &[("Idempotency-Key", key)], Some(body.to_string().into_bytes()))
    }

    /// The token, for a story that hands it on.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

impl Reply {
    /// This answer, whose status must be this.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn must_be(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{} was answered {}: {}", self.asked, self.status, self.text);
        self
    }

    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, text)| text.as_str())
    }

    /// What is at a JSON pointer.
    ///
    /// # Panics
    /// When there is nothing.
    #[track_caller]
    pub fn at(&self, pointer: &str) -> &Value {
        self.body.pointer(pointer).unwrap_or_else(|| panic!("{}: nothing at {pointer} in {}", self.asked, self.text))
    }

    /// The text at a JSON pointer.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn text_at(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_else(|| panic!("{}: no text at {pointer} in {}", self.asked, self.text))
    }

    /// The rows of a list.
    ///
    /// # Panics
    /// When the answer is no list.
    #[track_caller]
    pub fn rows(&self) -> &[Value] {
        let list = self.body.get("items").or_else(|| self.body.get("results")).unwrap_or(&self.body);
        list.as_array().unwrap_or_else(|| panic!("{}: no list in {}", self.asked, self.text))
    }

    /// The one row whose field holds this.
    ///
    /// # Panics
    /// When there is none, or more than one.
    #[track_caller]
    pub fn row(&self, field: &str, holds: &str) -> &Value {
        let mut found = self.rows().iter().filter(|row| row.get(field).and_then(Value::as_str) == Some(holds));
        match (found.next(), found.next()) {
            (Some(row), None) => row,
            _ => panic!("{}: not one row with {field} {holds} in {}", self.asked, self.text),
        }
    }
}
