//! What the tests of writing share: a clock that they move, commands in few words, a started desk whose log is decided
//! again when it is stopped.
#![allow(dead_code)]

use commands::{
    Answer, Answered, By, Clock, Config, FactSubmission, OutcomeResult, Running, Submission, redecide, start,
};
use domain::{
    account,
    calendar::CalendarMode,
    cash,
    command::{Command, Submitter},
    ids::{AccountId, CommandId},
    market::{DayPrice, Fact, Instrument, LastPrice, Scheme},
    money::{Money, Percent, Price, Quantity},
    order::{self, OrderType, Product, Side, Validity},
    policy::Policy,
    rejection::Rejection,
    time::{Date, Timestamp},
};
use event_log::{
    EventLog, Stored, Topic,
    rule::{Reader, Verdict},
};
use event_schemas::{Entry, decode_entry};
use std::{future::Future, ops::Deref, pin::Pin, sync::Arc, time::Duration};
use tokio::sync::watch;

/// The longest a test waits for a fact.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A clock that stands still until a test moves it.
pub struct Driven(watch::Sender<Timestamp>);

impl Driven {
    pub fn at(time: &str) -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(Timestamp::parse(time).unwrap())))
    }
    pub fn set(&self, time: &str) {
        self.0.send_replace(Timestamp::parse(time).unwrap());
    }
    pub fn advance_ms(&self, ms: i64) {
        self.0.send_modify(|now| *now = now.plus_micros(ms * 1_000));
    }
}

impl Clock for Driven {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }
    fn reach(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            drop(self.0.subscribe().wait_for(|now| *now >= at).await);
        })
    }
}

/// A Tuesday morning within NSE's session.
pub const MORNING: &str = "2026-11-24T10:00:00+05:30";

pub fn config(clock: &Arc<Driven>) -> Config {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    // The clock stands still, so a limit per second would be one for the whole test.
    Config { wait: LIMIT, account_commands_per_second: None, ..Config::new(clock) }
}

pub fn always_open(clock: &Arc<Driven>) -> Config {
    Config { calendar: CalendarMode::AlwaysOpen, ..config(clock) }
}

/// What was started over a log. It has to be stopped, as that decides again all that the log holds by then.
pub struct Started {
    running: Option<Running>,
    log: Arc<dyn EventLog>,
}

impl Started {
    pub async fn over(log: Arc<dyn EventLog>, config: Config) -> Self {
        Self { running: Some(start(Arc::clone(&log), config).await.unwrap()), log }
    }
    pub async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        decided_again(&*self.log).await;
    }
}

impl Deref for Started {
    type Target = Running;
    fn deref(&self) -> &Running {
        self.running.as_ref().expect("it was not stopped")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        assert!(self.running.is_none() || std::thread::panicking(), "it was not stopped, nor its log decided again");
    }
}

pub async fn started(log: &(impl EventLog + Clone + 'static), config: Config) -> Started {
    Started::over(Arc::new(log.clone()), config).await
}

/// Whatever writers left in a log, deciding it again gives the same.
pub async fn decided_again(log: &dyn EventLog) {
    let policies = [Arc::new(Policy::default())].into_iter().collect();
    let redecided = redecide(log, &policies, |_, _| {}).await.unwrap();
    assert!(redecided.difference.is_none(), "{}", redecided.difference.unwrap());
}

pub fn by(role: Submitter) -> Arc<By> {
    Arc::new(By { subject: "tester".into(), role, session: None, origin: None, algo_id: None })
}

/// A scheme of no category.
pub fn scheme() -> Scheme {
    Scheme {
        scheme: "119551".parse().unwrap(),
        name: "Story Flexi Cap Fund".into(),
        isin_growth: None,
        isin_reinvestment: None,
        amc: None,
        category: None,
        plan: None,
        option: None,
        corrects: None,
    }
}

pub fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

pub fn id(text: &str) -> CommandId {
    CommandId::new(text).unwrap()
}

pub fn submission(name: &str, key: &str, role: Submitter, command: impl Into<Command>) -> Submission {
    Submission {
        account: account(name),
        id: id(key),
        by: by(role),
        command: command.into(),
        request_id: None,
        min_market: None,
        min_position: None,
        issued_at: Timestamp::parse(MORNING).unwrap(),
        traceparent: None,
    }
}

pub fn client(name: &str, key: &str, command: impl Into<Command>) -> Submission {
    submission(name, key, Submitter::Client, command)
}

pub fn fact(key: &str, fact: impl Into<Fact>) -> FactSubmission {
    FactSubmission {
        id: id(key),
        by: by(Submitter::Operator),
        fact: fact.into(),
        request_id: None,
        issued_at: Timestamp::parse(MORNING).unwrap(),
        traceparent: None,
    }
}

pub fn open() -> account::Open {
    account::Open {}
}

pub fn deposit(amount: &str) -> cash::Deposit {
    cash::Deposit { amount: Money::parse(amount).unwrap() }
}

pub fn withdraw(amount: &str) -> cash::Withdraw {
    cash::Withdraw { amount: Money::parse(amount).unwrap() }
}

pub fn buy(quantity: i64, price: &str) -> order::Place {
    order::Place {
        instrument: "NSE:RELIANCE".parse().unwrap(),
        side: Side::Buy,
        quantity: Quantity::new(quantity),
        order_type: OrderType::Limit,
        price: Some(Price::parse(price).unwrap()),
        product: Product::Cnc,
        validity: Validity::Day,
        market_protection: None,
        trigger_price: None,
        disclosed_quantity: None,
        tag: None,
        algo_id: None,
    }
}

pub fn market_buy(quantity: i64) -> order::Place {
    order::Place { order_type: OrderType::Market, price: None, ..buy(quantity, "1.00") }
}

pub fn sell(quantity: i64, price: &str) -> order::Place {
    order::Place { side: Side::Sell, ..buy(quantity, price) }
}

pub fn reliance() -> Instrument {
    Instrument {
        instrument: "NSE:RELIANCE".parse().unwrap(),
        isin: None,
        symbol: "RELIANCE".parse().unwrap(),
        exchange: "NSE".parse().unwrap(),
        series: "EQ".parse().unwrap(),
        tick_size: Some(Price::parse("0.05").unwrap()),
        band_percent: Some(Percent::whole(20)),
        from: None,
        corrects: None,
    }
}

/// A day of RELIANCE at one price.
pub fn closed(date: Date, close: &str) -> DayPrice {
    let close = Price::parse(close).unwrap();
    DayPrice {
        instrument: reliance().instrument,
        date,
        open: close,
        high: close,
        low: close,
        close,
        previous_close: None,
        volume: None,
        corrects: None,
    }
}

pub fn last(price: &str, at: &str) -> LastPrice {
    LastPrice {
        instrument: "NSE:RELIANCE".parse().unwrap(),
        last: Price::parse(price).unwrap(),
        at: Timestamp::parse(at).unwrap(),
    }
}

pub fn answered(answer: Answer) -> Answered {
    match answer {
        Answer::Answered(answered) => answered,
        other => panic!("not answered: {other:?}"),
    }
}

pub fn accepted(answer: Answer) -> Answered {
    let answered = answered(answer);
    assert!(matches!(answered.outcome.result, OutcomeResult::Accepted { .. }), "{answered:?}");
    answered
}

pub fn refused(answer: Answer) -> Rejection {
    match answered(answer).outcome.result {
        OutcomeResult::Refused { code, .. } => code,
        other => panic!("not refused: {other:?}"),
    }
}

/// Submits until the writer serves.
pub async fn insist(running: &Running, submission: Submission) -> Answered {
    let insisting = async {
        loop {
            match running.desk.submit(submission.clone()).await {
                Answer::Busy { .. } => tokio::task::yield_now().await,
                other => return answered(other),
            }
        }
    };
    tokio::time::timeout(LIMIT, insisting).await.expect("the writer serves again within the limit")
}

/// All records of the only ledger partition.
pub async fn records(log: &impl EventLog) -> Vec<Arc<Stored>> {
    let mut all: Vec<Arc<Stored>> = Vec::new();
    loop {
        let batch = log.read(Topic::Ledger, 0, all.len() as u64, 10_000).await.unwrap();
        if batch.is_empty() {
            return all;
        }
        all.extend(batch);
    }
}

/// The live entries of the only ledger partition, by a plain fold.
pub async fn live(log: &impl EventLog) -> Vec<Entry<'static>> {
    let mut reader = Reader::default();
    let mut entries = Vec::new();
    for stored in records(log).await {
        if reader.fold(stored.offset, &stored.record.headers).unwrap() == Verdict::Entry {
            entries.push(decode_entry(&stored.record.value).unwrap().into_owned());
        }
    }
    entries
}

/// The first live entry that fits, waiting for it within the limit.
pub async fn await_entry(log: &(impl EventLog + ?Sized), fits: impl Fn(&Entry<'_>) -> bool) -> Entry<'static> {
    let mut follow = log.follow(Topic::Ledger, 0, 0);
    let mut reader = Reader::default();
    let waiting = async {
        loop {
            for stored in follow.next().await.unwrap() {
                if reader.fold(stored.offset, &stored.record.headers).unwrap() == Verdict::Entry {
                    let entry = decode_entry(&stored.record.value).unwrap();
                    if fits(&entry) {
                        return entry.into_owned();
                    }
                }
            }
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.expect("the entry comes within the limit")
}
