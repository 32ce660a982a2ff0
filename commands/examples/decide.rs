//! Measures how many orders one writer decides, writes, folds and answers, over a log in memory.
//!
//! The log costs next to nothing, so this is the writer's own share; run it with `--release`.

use commands::{Answer, By, Clock, Config, Submission, start};
use domain::{
    account,
    calendar::CalendarMode,
    cash,
    command::{Command, Submitter},
    ids::{AccountId, CommandId},
    market::Instrument,
    money::{Money, Price, Quantity},
    order,
    time::Timestamp,
};
use event_log::memory::Memory;
use std::{
    io::Write,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

const ACCOUNTS: usize = 10_000;
const BATCHES: usize = 3_000;
const BATCH: usize = 100;
/// Batches under way at once.
const CALLERS: usize = 32;

struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        Timestamp::from_micros(i64::try_from(since.as_micros()).expect("this century"))
    }
}

fn submission(by: &Arc<By>, account: usize, id: String, command: impl Into<Command>) -> Submission {
    Submission {
        account: AccountId::new(&format!("ACC{account}")).expect("an account"),
        id: CommandId::new(&id).expect("an id"),
        by: Arc::clone(by),
        command: command.into(),
        request_id: Some(id.into()),
        min_market: None,
        min_position: None,
        issued_at: Wall.now(),
        traceparent: None,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let config = Config {
        calendar: CalendarMode::AlwaysOpen,
        account_commands_per_second: None,
        queue: 1 << 20,
        ..Config::new(Arc::new(Wall))
    };
    let running = start(Arc::new(Memory::new(1)), config).await.expect("it starts");
    let by = Arc::new(By {
        subject: "load".into(),
        role: Submitter::Client,
        session: Some("session".into()),
        origin: None,
        algo_id: None,
    });
    let listing = Instrument {
        instrument: "NSE:ACME".parse().expect("an instrument"),
        isin: None,
        symbol: "ACME".parse().expect("a symbol"),
        exchange: "NSE".parse().expect("an exchange"),
        series: "EQ".parse().expect("a series"),
        tick_size: Some(Price::from_smallest(500)),
        band_percent: None,
        from: None,
        corrects: None,
    };
    let listing = commands::FactSubmission {
        id: CommandId::new("list").expect("an id"),
        by: Arc::clone(&by),
        fact: listing.into(),
        request_id: None,
        issued_at: Wall.now(),
        traceparent: None,
    };
    running.desk.submit_fact(listing).await;
    for account in 0..ACCOUNTS {
        let deposit = cash::Deposit { amount: Money::from_smallest(100_000_000_000) };
        let opening = vec![
            submission(&by, account, "open".into(), account::Open {}),
            submission(&by, account, "deposit".into(), deposit),
        ];
        running.desk.submit_all(opening).await;
    }
    let began = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let (desk, by) = (Arc::clone(&running.desk), Arc::clone(&by));
        callers.spawn(async move {
            let mut accepted = 0;
            for batch in 0..BATCHES / CALLERS {
                let account = (caller * 7_919 + batch * 104_729) % ACCOUNTS;
                let orders = (0..BATCH).map(|item| {
                    let place = order::Place {
                        instrument: "NSE:ACME".parse().expect("an instrument"),
                        side: order::Side::Buy,
                        quantity: Quantity::new(10),
                        order_type: order::OrderType::Limit,
                        price: Some(Price::from_smallest(1_000_000)),
                        product: order::Product::Cnc,
                        validity: order::Validity::Day,
                        market_protection: None,
                        trigger_price: None,
                        disclosed_quantity: None,
                        tag: None,
                        algo_id: None,
                    };
                    submission(&by, account, format!("{caller}-{batch}-{item}"), place)
                });
                let answers = desk.submit_all(orders.collect()).await;
                accepted += answers.iter().filter(|answer| matches!(answer, Answer::Answered(_))).count();
            }
            accepted
        });
    }
    let accepted: usize = callers.join_all().await.into_iter().sum();
    let millis = began.elapsed().as_millis().max(1);
    writeln!(std::io::stdout(), "{accepted} orders, {} per second", accepted as u128 * 1_000 / millis)
        .expect("the terminal takes a line");
    running.stop().await;
}
