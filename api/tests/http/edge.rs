//! What the tests share: a whole edge over a real desk and a log in memory, with a clock that they move.

use api::{
    Config, State,
    token::{Grant, Keys, Role},
};
use axum::{
    Router,
    body::Body,
    http::{Method, Request},
};
use commands::{Clock, Running};
use domain::{calendar::CalendarMode, ids::AccountId, policy::Policy, time::Timestamp};
use event_log::{EventLog, Topic, memory::Memory};
use projections::{Views, Worker};
use serde_json::{Value, json};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::sync::watch;
use tower::ServiceExt;

/// A Tuesday morning within NSE's session.
pub const MORNING: &str = "2026-11-24T10:00:00+05:30";
/// The longest an answer is read, in bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

pub struct Driven(watch::Sender<Timestamp>, AtomicU32);

impl Driven {
    /// Panics when it is asked for the so-many-th time from now on, counted from 1; 0 never.
    pub fn panic_at(&self, asked: u32) {
        self.1.store(asked, Ordering::SeqCst);
    }
    pub fn advance_s(&self, seconds: i64) {
        self.0.send_modify(|now| *now = now.plus_micros(seconds * 1_000_000));
    }
}

impl Clock for Driven {
    fn now(&self) -> Timestamp {
        let left = self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert_ne!(left, Ok(1), "a clock that panics");
        *self.0.borrow()
    }
    fn reach(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            drop(self.0.subscribe().wait_for(|now| *now >= at).await);
        })
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
    pub body: Value,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, text)| text.as_str())
    }
    #[track_caller]
    pub fn is(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
    /// A problem with this code, whose faults are these pointers.
    #[track_caller]
    pub fn gives_problem(self, status: u16, code: &str, pointers: &[&str]) -> Reply {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text);
        assert_eq!(self.body["code"], code, "{}", self.text);
        assert_eq!(self.body["status"], status, "{}", self.text);
        assert_eq!(self.body["request_id"].as_str(), self.header("x-request-id"), "{}", self.text);
        let given: Vec<&str> = self.body["errors"]
            .as_array()
            .map(|errors| errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect())
            .unwrap_or_default();
        assert_eq!(given, pointers, "{}", self.text);
        self
    }
}

/// A whole edge.
pub struct Edge {
    pub router: Router,
    pub keys: Keys,
    pub clock: Arc<Driven>,
    pub memory: Memory,
    _running: Running,
    _worker: Worker,
    count: AtomicU32,
}

/// Whatever was asked of an edge, deciding its log again gives the same.
impl Drop for Edge {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let memory = self.memory.clone();
        // A test's own runtime cannot wait here.
        let again = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let policies = [Arc::new(Policy::default())].into_iter().collect();
            let again = runtime.block_on(commands::redecide(&memory, &policies, |_, _| {})).unwrap();
            again.difference.map(|difference| difference.to_string())
        });
        assert_eq!(again.join().unwrap(), None);
    }
}

impl Edge {
    pub async fn start() -> Edge {
        Self::with(|_| {}).await
    }

    pub async fn with(set: impl FnOnce(&mut commands::Config)) -> Edge {
        let clock = Arc::new(Driven(watch::Sender::new(Timestamp::parse(MORNING).unwrap()), AtomicU32::new(0)));
        let memory = Memory::new(2);
        let log: Arc<dyn EventLog> = Arc::new(memory.clone());
        let mut config = commands::Config::new(Arc::clone(&clock) as _);
        config.calendar = CalendarMode::AlwaysOpen;
        config.account_commands_per_second = None;
        set(&mut config);
        let limit = config.account_commands_per_second;
        let running = commands::start(Arc::clone(&log), config).await.unwrap();
        let views = Views::new(log.partitions(Topic::Ledger), log.partitions(Topic::Market));
        let worker = projections::follow(Arc::clone(&log), Arc::clone(&views));
        let key = Edge::key_file();
        let (keys, same) = (Keys::open_or_make(key.path()).unwrap(), Keys::open(key.path()).unwrap());
        let config =
            Config { account_commands_per_second: limit, read_wait: Duration::from_millis(300), ..Config::default() };
        let desk = Arc::clone(&running.desk);
        let state = State::new(desk, views, log, same, Arc::clone(&clock) as _, config).unwrap();
        let router = api::router(state);
        let edge = Edge { router, keys, clock, memory, _running: running, _worker: worker, count: AtomicU32::new(0) };
        // Reads are answered once the views have read the log; a fact to await, within a limit.
        let ready = async {
            while edge.send("GET", "/readyz", &[], Body::empty()).await.status != 200 {
                tokio::task::yield_now().await
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ready).await.unwrap();
        edge
    }

    fn key_file() -> KeyFile {
        let folder = tempfile::tempdir().unwrap();
        KeyFile { path: folder.path().join("token.key"), _folder: folder }
    }

    pub fn token(&self, role: Role) -> String {
        let accounts: &[&str] = if role == Role::Client { &["ACC1", "ACC-2"] } else { &[] };
        let accounts = accounts.iter().map(|account| AccountId::new(account).unwrap()).collect();
        let grant = Grant { subject: "u1".into(), role, accounts, lifetime: Duration::from_secs(3600) };
        self.keys.mint(&grant, self.clock.now()).unwrap()
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        for (name, text) in headers {
            request = request.header(*name, *text);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, text)| (name.to_string(), text.to_str().unwrap().to_owned())).collect();
        let bytes = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status, headers, text, body }
    }

    pub async fn post_with(&self, role: Role, path: &str, more: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        self.write_with("POST", role, path, more, body).await
    }

    pub async fn write_with(
        &self,
        method: &str,
        role: Role,
        path: &str,
        more: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let token = format!("Bearer {}", self.token(role));
        let mut headers = vec![("authorization", token.as_str())];
        if !more.iter().any(|(name, _)| *name == "content-type") {
            headers.push(("content-type", "application/json"));
        }
        headers.extend(more);
        self.send(method, path, &headers, body).await
    }

    /// Posts with a key of its own.
    pub async fn post(&self, role: Role, path: &str, body: Value) -> Reply {
        let key = format!("key-{}", self.count.fetch_add(1, Ordering::Relaxed));
        self.post_with(role, path, &[("idempotency-key", &key)], body.to_string()).await
    }

    /// Reads, at least as new as a position.
    pub async fn get_at(&self, role: Role, path: &str, position: &str) -> Reply {
        let token = format!("Bearer {}", self.token(role));
        self.send("GET", path, &[("authorization", &token), ("bahi-min-position", position)], Body::empty()).await
    }

    pub async fn get(&self, role: Role, path: &str) -> Reply {
        let token = format!("Bearer {}", self.token(role));
        self.send("GET", path, &[("authorization", &token)], Body::empty()).await
    }

    /// A share at 100.00, a scheme, and ACC1 with a lakh; the position after all of it.
    pub async fn with_a_market(&self) -> String {
        let share = json!({"instrument": "NSE:RELIANCE", "isin": "INE002A01018", "symbol": "RELIANCE", "exchange": "NSE",
            "series": "EQ", "tick_size": "0.05", "band_percent": "20"});
        self.post(Role::Operator, "/v1/market/instruments", share).await.is(201);
        let last = json!({"instrument": "NSE:RELIANCE", "last": "100.00", "at": MORNING});
        self.post(Role::Operator, "/v1/market/prices", last).await.is(201);
        let scheme = json!({"scheme": "119551", "name": "A scheme"});
        self.post(Role::Operator, "/v1/market/schemes", scheme).await.is(201);
        self.post(Role::Operator, "/v1/accounts", json!({"account": "ACC1"})).await.is(201);
        let paid = self.post(Role::Operator, "/v1/accounts/ACC1/cash/deposits", json!({"amount": "100000.00"})).await;
        paid.is(201).header("bahi-position").unwrap().to_owned()
    }
}

struct KeyFile {
    path: std::path::PathBuf,
    _folder: tempfile::TempDir,
}
impl KeyFile {
    fn path(&self) -> &std::path::Path {
        &self.path
    }
}

/// A purchase of shares at a limit.
pub fn order(quantity: i64, price: &str) -> Value {
    json!({"instrument": "NSE:RELIANCE", "side": "buy", "quantity": quantity, "type": "limit", "price": price,
        "product": "CNC", "validity": "DAY"})
}
