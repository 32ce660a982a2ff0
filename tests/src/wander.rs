//! A random workload over HTTP, from many callers at once: orders of every type, changes, conversions, fund orders, cash,
//! imports, market facts, repeats and mistakes. Its answers matter to nobody; that they are none of the server's fault does.

use crate::{
    Client,
    client::key,
    story::{SCHEME, SHARE, moment},
    wait::wait_at_most,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

/// Longest wait for what a caller wrote to be seen.
const SEEN: Duration = Duration::from_secs(60);
/// Callers at once.
const CALLERS: u64 = 8;
/// Accounts of one caller.
const ACCOUNTS: usize = 12;
/// Orders of the largest batch.
const BATCH_MAX: usize = 120;
/// Orders of an account that may still be changed, as far as its caller remembers.
const REMEMBERED: usize = 40;

/// What a workload did.
#[derive(Debug, Default, Clone, Copy)]
pub struct Wandered {
    /// Commands and facts that were sent and answered.
    pub sent: u64,
    /// Those of them that were refused by the ledger.
    pub refused: u64,
}

/// The accounts it is about.
pub fn accounts() -> Vec<String> {
    (0..CALLERS).flat_map(of_caller).collect()
}

fn of_caller(caller: u64) -> impl Iterator<Item = String> {
    (0..ACCOUNTS).map(move |number| format!("W{caller}-{number}"))
}

/// Sends this many commands and facts, or a few more, and waits until all are answered.
///
/// # Panics
/// When an answer is the server's fault.
pub fn wander(client: &Client, operator: &Client, seed: u64, commands: u64) -> Wandered {
    let sent = AtomicU64::new(0);
    let done = thread::scope(|scope| {
        let callers = (0..CALLERS).map(|number| {
            let accounts =
                of_caller(number).map(|account| Account { account, orders: Vec::new(), last: None }).collect();
            let random = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number));
            let mut caller = Caller { client, operator, random, accounts, price: 10_000, refused: 0 };
            let sent = &sent;
            scope.spawn(move || {
                while sent.load(Ordering::Relaxed) < commands {
                    sent.fetch_add(caller.step(), Ordering::Relaxed);
                }
                caller.refused
            })
        });
        let callers: Vec<_> = callers.collect();
        callers.into_iter().map(|caller| caller.join().expect("no caller panics")).sum()
    });
    Wandered { sent: sent.into_inner(), refused: done }
}

struct Account {
    account: String,
    /// Orders that may still stand.
    orders: Vec<String>,
    /// What was sent last, to be sent again.
    last: Option<(String, &'static str, Value)>,
}

struct Caller<'a> {
    client: &'a Client,
    operator: &'a Client,
    random: StdRng,
    accounts: Vec<Account>,
    /// The last price that this caller told, in paise.
    price: i64,
    refused: u64,
}

impl Caller<'_> {
    /// Sends one request, and says how many commands were in it.
    fn step(&mut self) -> u64 {
        let which = self.random.random_range(0..self.accounts.len());
        match self.random.random_range(0..100) {
            0..40 => self.batch(which),
            40..58 => self.change(which),
            58..64 => {
                let body = json!({ "amount": self.rupees(1, 500_000) });
                self.send(which, "cash/deposits", body)
            }
            64..69 => {
                let body = json!({ "amount": self.rupees(1, 200_000) });
                self.send(which, "cash/withdrawals", body)
            }
            69..75 => {
                let quantity = self.random.random_range(1..30);
                let body = json!({ "instrument": SHARE, "from": "MIS", "to": "CNC", "quantity": quantity });
                self.send(which, "positions/convert", body)
            }
            75..80 => {
                let body = json!({ "scheme": SCHEME, "amount": self.rupees(500, 20_000), "folio": null });
                self.send(which, "fund-purchases", body)
            }
            80..83 => self.redeem(which),
            83..89 => self.import(which),
            89..94 => self.again(which),
            _ => self.move_price(),
        }
    }

    fn rupees(&mut self, from: u64, to: u64) -> String {
        format!("{}.{:02}", self.random.random_range(from..to), self.random.random_range(0..100))
    }

    /// A price near the last one: mostly on the tick, now and then not, now and then outside the band.
    fn near(&mut self) -> String {
        let off = self.random.random_range(0..50) == 0;
        let paise = self.price + 5 * self.random.random_range(-60..=60) + i64::from(off);
        rupees_of(if self.random.random_range(0..60) == 0 { paise * 2 } else { paise })
    }

    fn order(&mut self) -> Value {
        let types = ["market", "market", "limit", "limit", "limit", "SL", "SL-M"];
        let of_type = types[self.random.random_range(0..types.len())];
        let mut order = json!({
            "key": key(), "instrument": SHARE, "type": of_type, "quantity": self.random.random_range(1..40),
            "side": if self.random.random_range(0..5) < 3 { "buy" } else { "sell" },
            "product": if self.random.random_range(0..3) == 0 { "MIS" } else { "CNC" },
            "validity": if self.random.random_range(0..6) == 0 { "IOC" } else { "DAY" }
        });
        if matches!(of_type, "limit" | "SL") {
            order["price"] = json!(self.near());
        }
        if of_type.starts_with("SL") {
            order["trigger_price"] = json!(self.near());
        }
        order
    }

    fn batch(&mut self, which: usize) -> u64 {
        let orders: Vec<Value> = (0..self.random.random_range(1..BATCH_MAX)).map(|_| self.order()).collect();
        let path = format!("/v1/accounts/{}/orders/batch", self.accounts[which].account);
        let body = json!({ "orders": orders }).to_string().into_bytes();
        let reply = self.client.ask("POST", &path, &[], Some(body)).must_be(200);
        for result in reply.rows() {
            self.count(result["status"].as_u64().expect("a status"), result);
            if let Some(order) = result["body"]["order_id"].as_str() {
                self.accounts[which].orders.push(order.to_owned());
            }
        }
        let remembered = &mut self.accounts[which].orders;
        remembered.drain(..remembered.len().saturating_sub(REMEMBERED));
        orders.len() as u64
    }

    fn change(&mut self, which: usize) -> u64 {
        let Some(number) = self.accounts[which].orders.len().checked_sub(1) else { return self.batch(which) };
        let order = &self.accounts[which].orders[self.random.random_range(0..=number)];
        let path = format!("/v1/accounts/{}/orders/{order}", self.accounts[which].account);
        let method = if self.random.random_range(0..3) == 0 { "DELETE" } else { "PATCH" };
        let body = match method {
            "PATCH" if self.random.random_range(0..2) == 0 => json!({ "price": self.near() }),
            "PATCH" => json!({ "quantity": self.random.random_range(1..60) }),
            _ => Value::Null,
        };
        let body = (!body.is_null()).then(|| body.to_string().into_bytes());
        let reply = self.client.ask(method, &path, &[("Idempotency-Key", &key())], body);
        self.count(u64::from(reply.status), &reply.text);
        1
    }

    fn redeem(&mut self, which: usize) -> u64 {
        let path = format!("/v1/accounts/{}/fund-orders", self.accounts[which].account);
        // Rows that are behind for a while are no fault: a caller is told to try again.
        let reply = wait_at_most(SEEN, "its own orders to be seen", || {
            Some(self.client.ask("GET", &path, &[], None)).filter(|reply| reply.status != 503)
        });
        let reply = reply.must_be(200);
        let folios: Vec<&str> = reply.rows().iter().filter_map(|row| row["folio"].as_str()).collect();
        let folio = folios.first().map_or_else(|| "none".to_owned(), |folio| (*folio).to_owned());
        let mut body = json!({ "scheme": SCHEME, "folio": folio });
        match self.random.random_range(0..3) {
            0 => {
                body["units"] =
                    json!(format!("{}.{:03}", self.random.random_range(0..40), self.random.random_range(1..1000)))
            }
            1 => body["amount"] = json!(self.rupees(100, 3_000)),
            _ => body["all"] = json!(true),
        }
        self.send(which, "fund-redemptions", body)
    }

    fn import(&mut self, which: usize) -> u64 {
        let rows: Vec<Value> = (0..self.random.random_range(1..8))
            .map(|_| {
                let kind = if self.random.random_range(0..4) == 0 { "sale" } else { "purchase" };
                json!({
                    "key": key(), "instrument": SHARE, "kind": kind, "quantity": self.random.random_range(1..30),
                    "price": self.near(), "executed_at": moment(self.random.random_range(3..900))
                })
            })
            .collect();
        let path = format!("/v1/accounts/{}/imports/trades", self.accounts[which].account);
        let body = json!({ "rows": rows }).to_string().into_bytes();
        let reply = self.operator.ask("POST", &path, &[], Some(body)).must_be(200);
        for result in reply.rows() {
            self.count(result["status"].as_u64().expect("a status"), result);
        }
        rows.len() as u64
    }

    /// What was sent last is sent again under its key: the same, or with a word changed.
    fn again(&mut self, which: usize) -> u64 {
        let Some((key, what, mut body)) = self.accounts[which].last.clone() else { return self.batch(which) };
        if self.random.random_range(0..3) == 0 {
            body["amount"] = json!(self.rupees(1, 100));
        }
        self.send_as(which, &key, what, &body)
    }

    fn move_price(&mut self) -> u64 {
        self.price = (self.price + 5 * self.random.random_range(-20..=20)).clamp(9_000, 11_000);
        let body = json!({ "instrument": SHARE, "last": rupees_of(self.price), "at": moment(0) });
        let reply = self.operator.post("/v1/market/prices", body);
        self.count(u64::from(reply.status), &reply.text);
        1
    }

    fn send(&mut self, which: usize, what: &'static str, body: Value) -> u64 {
        self.send_as(which, &key(), what, &body)
    }

    fn send_as(&mut self, which: usize, key: &str, what: &'static str, body: &Value) -> u64 {
        let path = format!("/v1/accounts/{}/{what}", self.accounts[which].account);
        let caller = if what == "cash/deposits" { self.operator } else { self.client };
        let reply = caller.post_as(key, &path, body.clone());
        self.count(u64::from(reply.status), &reply.text);
        self.accounts[which].last = Some((key.to_owned(), what, body.clone()));
        1
    }

    /// An answer that was decided, or asks for a mistake to be mended, or is not known yet.
    #[track_caller]
    fn count(&mut self, status: u64, said: &dyn std::fmt::Display) {
        assert!([201, 202, 400, 404, 422].contains(&status), "answered {status}: {said}");
        self.refused += u64::from(status == 422);
    }
}

fn rupees_of(paise: i64) -> String {
    format!("{}.{:02}", paise / 100, paise % 100)
}
