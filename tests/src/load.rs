//! A load of orders in batches from many callers at once, as careful clients send it: each batch again under its keys
//! until every item has its outcome. Remembers what was acknowledged, to be compared with the ledger.

use crate::{Client, client::key, story::limit_order};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Callers at once.
const CALLERS: usize = 8;
/// Orders of one batch.
const BATCH: usize = 100;
/// How long a caller waits before it asks again, after an answer that was none.
const AGAIN: Duration = Duration::from_millis(50);

/// The accounts that callers order for, one after another.
pub fn accounts() -> Vec<String> {
    (0..CALLERS * 4).map(|number| format!("L{number}")).collect()
}

/// What is known of a load while it runs.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    acknowledged: AtomicU64,
    /// When the slowest caller last had all of a batch.
    last: Mutex<BTreeMap<usize, Instant>>,
    /// Longest time without an answered batch, of any caller.
    longest: Mutex<Duration>,
}

/// A load that runs.
pub struct Load {
    shared: Arc<Shared>,
    began: Instant,
    callers: Vec<JoinHandle<BTreeMap<String, Acknowledged>>>,
}

/// One order that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Whose.
    pub account: String,
    /// 201 or 422.
    pub status: u64,
    /// The entry's number in the account.
    pub seq: u64,
}

/// What a load did.
pub struct Done {
    /// Every order that was answered, by its key.
    pub acknowledged: BTreeMap<String, Acknowledged>,
    /// Answered orders per second, over the whole time.
    pub per_second: u64,
    /// The longest that any caller went without an answer.
    pub longest: Duration,
}

impl Load {
    /// Begins to send so many orders per second to the first of these addresses that answers.
    pub fn begin(addresses: Arc<RwLock<Vec<String>>>, token: &str, per_second: usize) -> Load {
        let shared = Arc::new(Shared::default());
        let every = Duration::from_micros(1_000_000) * (CALLERS * BATCH) as u32 / per_second.max(1) as u32;
        let callers = (0..CALLERS).map(|number| {
            let caller = Caller {
                number,
                shared: Arc::clone(&shared),
                addresses: Arc::clone(&addresses),
                token: token.to_owned(),
                every,
            };
            thread::spawn(move || caller.run())
        });
        Load { began: Instant::now(), callers: callers.collect(), shared }
    }

    /// Orders answered so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Whether every caller had an answer since then.
    pub fn all_answered_since(&self, when: Instant) -> bool {
        let last = self.shared.last.lock().expect("no caller panics");
        last.len() == CALLERS && last.values().all(|at| *at > when)
    }

    /// Ends it once every batch under way is answered.
    ///
    /// # Panics
    /// When a caller did.
    pub fn end(self) -> Done {
        self.shared.stop.store(true, Ordering::Relaxed);
        let all: Vec<_> = self.callers.into_iter().map(|caller| caller.join().expect("no caller panics")).collect();
        let acknowledged: BTreeMap<String, Acknowledged> = all.into_iter().flatten().collect();
        let ms = self.began.elapsed().as_millis().max(1) as u64;
        let per_second = acknowledged.len() as u64 * 1_000 / ms;
        let longest = *self.shared.longest.lock().expect("no caller panics");
        Done { acknowledged, per_second, longest }
    }
}

struct Caller {
    number: usize,
    shared: Arc<Shared>,
    addresses: Arc<RwLock<Vec<String>>>,
    token: String,
    every: Duration,
}

impl Caller {
    fn run(self) -> BTreeMap<String, Acknowledged> {
        let mut acknowledged = BTreeMap::new();
        let mut clients: BTreeMap<String, Client> = BTreeMap::new();
        let own: Vec<String> = accounts().into_iter().skip(self.number).step_by(CALLERS).collect();
        let mut due = Instant::now();
        for round in 0.. {
            if self.shared.stop.load(Ordering::Relaxed) {
                break;
            }
            let account = &own[round % own.len()];
            let items: Vec<Value> = (0..BATCH).map(|_| order(&key())).collect();
            let began = Instant::now();
            let answers = self.insist(&mut clients, account, &items);
            let now = Instant::now();
            let mut longest = self.shared.longest.lock().expect("no caller panics");
            *longest = (*longest).max(now - began);
            drop(longest);
            self.shared.last.lock().expect("no caller panics").insert(self.number, now);
            self.shared.acknowledged.fetch_add(answers.len() as u64, Ordering::Relaxed);
            for (item, (status, seq)) in items.iter().zip(answers) {
                let key = item["key"].as_str().expect("a key").to_owned();
                acknowledged.insert(key, Acknowledged { account: account.clone(), status, seq });
            }
            due += self.every;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        acknowledged
    }

    /// Sends the batch until every item has an outcome.
    fn insist(&self, clients: &mut BTreeMap<String, Client>, account: &str, items: &[Value]) -> Vec<(u64, u64)> {
        let path = format!("/v1/accounts/{account}/orders/batch");
        let body = json!({ "orders": items });
        loop {
            let addresses = self.addresses.read().expect("nobody panics here").clone();
            for address in addresses {
                let client = clients
                    .entry(address.clone())
                    .or_insert_with(|| Client::new(address, Some(&self.token), Default::default()));
                let body = body.to_string().into_bytes();
                let Some(reply) = client.try_ask("POST", &path, &[], Some(body)) else { continue };
                assert!(
                    [200, 503, 429].contains(&reply.status),
                    "{path} was answered {}: {}",
                    reply.status,
                    reply.text
                );
                if reply.status != 200 {
                    continue;
                }
                let answers: Option<Vec<(u64, u64)>> = reply.rows().iter().map(outcome).collect();
                if let Some(answers) = answers.filter(|answers| answers.len() == items.len()) {
                    return answers;
                }
            }
            thread::sleep(AGAIN);
        }
    }
}

/// The status and the entry's number of an item that has an outcome.
fn outcome(result: &Value) -> Option<(u64, u64)> {
    let status = result["status"].as_u64()?;
    assert!([200, 201, 202, 422, 429, 503].contains(&status), "an item was answered {result}");
    if ![200, 201, 422].contains(&status) {
        return None;
    }
    Some((status, result["body"]["seq"].as_u64()?))
}

fn order(key: &str) -> Value {
    let mut order = limit_order("buy", 1, "100.00");
    order["key"] = json!(key);
    order
}
