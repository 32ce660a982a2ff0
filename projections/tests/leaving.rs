//! What is over leaves memory and is read from the log from then on, as it was when it left.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use domain::{
    cash::Deposit,
    ids::AccountId,
    order::{
        Side::{Buy, Sell},
        Status,
    },
};
use event_log::EventLog;
use projections::{
    AsOf, Listing, Page, Reading, Replay, Views, offsets, order_history, past,
    read::{OrderFilter, TradeFilter},
    read_list, replay,
    testing::{Ledger, account, instrument, money},
};
use proptest::prelude::*;
use serde_json::Value;
use std::sync::{Arc, atomic::Ordering};
use support::{Counting, histories};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(future)
}

async fn views(log: &Arc<dyn EventLog>) -> Arc<Views> {
    replay(Arc::clone(log), Replay::default(), |_| ()).await.unwrap().views
}

fn ask(reading: &Reading<'_>, listing: &Listing, page: &Page<'_>) -> Value {
    match listing {
        Listing::Orders(filter) => serde_json::to_value(reading.orders(filter, page).unwrap()),
        Listing::FundOrders(filter) => serde_json::to_value(reading.fund_orders(filter, page).unwrap()),
        Listing::Trades(filter) => serde_json::to_value(reading.trades(filter, page).unwrap()),
        Listing::Order(_) => unreachable!("not a list"),
    }
    .unwrap()
}

/// Every row of a list, in pages of so many.
async fn pages(log: &dyn EventLog, views: &Views, id: &AccountId, listing: &Listing, limit: usize) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = Page { limit: Some(limit), cursor: cursor.as_deref() };
        let answer = read_list(log, views, id, listing, &page, |reading| ask(reading, listing, &page)).await;
        let answer = answer.unwrap().unwrap();
        rows.extend(answer["items"].as_array().unwrap().iter().cloned());
        match &answer["next_cursor"] {
            Value::String(next) => cursor = Some(next.clone()),
            _ => return rows,
        }
    }
}

fn listings() -> [Listing; 6] {
    let filter = OrderFilter { instrument: Some(instrument("ALFA")), ..OrderFilter::default() };
    [
        Listing::Orders(OrderFilter::default()),
        Listing::Orders(filter),
        Listing::Orders(OrderFilter { status: Some(Status::Filled), ..OrderFilter::default() }),
        Listing::FundOrders(Default::default()),
        Listing::Trades(TradeFilter::default()),
        Listing::Trades(TradeFilter { unmatched: true, ..TradeFilter::default() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_list_in_pages_is_the_list_of_a_fold_that_forgets_nothing(ledger in histories(200), limit in 1usize..8) {
        block_on(async {
            let log: Arc<dyn EventLog> = Arc::new(ledger.log().await);
            let views = views(&log).await;
            for id in views.accounts() {
                let last = *offsets(&*log, &views, &id).await.unwrap().last().unwrap();
                let whole = past(&*log, &views, &id, AsOf::Offset(last)).await.unwrap();
                let all = Page { limit: Some(1000), cursor: None };
                for listing in listings() {
                    let expected = ask(&whole.reading(), &listing, &all)["items"].as_array().unwrap().clone();
                    let found = pages(&*log, &views, &id, &listing, limit).await;
                    assert_eq!(found, expected, "{id} {listing:?}");
                }
            }
        });
    }
}

/// An account whose first order settled on Tuesday 2026-11-24, as of a later day.
fn traded_and_then(day: &str) -> (Ledger, domain::ids::OrderId) {
    let mut ledger = Ledger::new(1);
    ledger.open(&account(1), "100000.00");
    let order = ledger.trade(&account(1), "ALFA", Buy, 2, "100.00");
    ledger.at("2026-11-25T09:00:00+05:30").all_due(&account(1));
    ledger.at(&format!("{day}T09:00:00+05:30"));
    ledger.command(&account(1), Deposit { amount: money("1.00") });
    (ledger, order)
}

fn kept(views: &Views) -> (usize, usize) {
    let all = Page::default();
    let count = |reading: &Reading<'_>| {
        let orders = reading.orders(&OrderFilter::default(), &all).unwrap().items.len();
        (orders, reading.trades(&TradeFilter::default(), &all).unwrap().items.len())
    };
    views.read(&account(1), count).unwrap()
}

#[tokio::test]
async fn an_order_and_its_trade_leave_seven_days_after_they_settled() {
    let (ledger, _) = traded_and_then("2026-11-30");
    let log: Arc<dyn EventLog> = Arc::new(ledger.log().await);
    assert_eq!(kept(&*views(&log).await), (1, 1));
    let (ledger, _) = traded_and_then("2026-12-01");
    let log: Arc<dyn EventLog> = Arc::new(ledger.log().await);
    assert_eq!(kept(&*views(&log).await), (0, 0));
}

#[tokio::test]
async fn an_order_that_left_is_still_listed_and_found_with_its_history() {
    let (mut ledger, order) = traded_and_then("2026-12-01");
    let sold = ledger.trade(&account(1), "ALFA", Sell, 1, "101.00");
    let log: Arc<dyn EventLog> = Arc::new(ledger.log().await);
    let views = views(&log).await;
    let orders = pages(&*log, &views, &account(1), &Listing::Orders(OrderFilter::default()), 10).await;
    let ids: Vec<String> = orders.iter().map(|row| row["order_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, [sold.to_string(), order.to_string()]);
    let page = Page::default();
    let listing = Listing::Order(order.seq);
    let found = read_list(&*log, &views, &account(1), &listing, &page, |reading| {
        reading.order(&order).unwrap().map(|row| (row.status, row.filled.shares()))
    })
    .await;
    assert_eq!(found.unwrap().unwrap(), Some((Status::Filled, 2)));
    let history = order_history(&*log, &views, &order).await.unwrap();
    let types: Vec<&str> = history.items.iter().map(|item| item.event.data.type_name()).collect();
    assert_eq!(types, ["order_requested", "order_accepted", "order_filled"]);
}

#[tokio::test]
async fn a_page_of_the_newest_that_left_reads_a_window_and_not_the_account() {
    let mut ledger = Ledger::new(1);
    ledger.open(&account(1), "10000000.00");
    for day in 1..=200 {
        let day = domain::time::Date::parse("2026-11-23").unwrap().plus_days(day);
        ledger.at(&format!("{day}T10:00:00+05:30")).all_due(&account(1));
        for _ in 0..5 {
            ledger.trade(&account(1), "ALFA", Buy, 1, "100.00");
        }
    }
    let counting = Arc::new(Counting::new(ledger.log().await));
    let log: Arc<dyn EventLog> = Arc::clone(&counting) as _;
    let views = views(&log).await;
    let (_, kept_now) = (counting.records.swap(0, Ordering::Relaxed), kept(&views).0);
    assert!((1..200).contains(&kept_now), "{kept_now} orders of 1000 are kept");
    let listing = Listing::Orders(OrderFilter::default());
    let first = Page { limit: Some(kept_now), cursor: None };
    read_list(&*log, &views, &account(1), &listing, &first, |reading| ask(reading, &listing, &first)).await.unwrap();
    assert_eq!(counting.records.load(Ordering::Relaxed), 0, "what memory has is not read");
    let more = Page { limit: Some(kept_now + 50), cursor: None };
    let answer = read_list(&*log, &views, &account(1), &listing, &more, |reading| ask(reading, &listing, &more)).await;
    assert_eq!(answer.unwrap().unwrap()["items"].as_array().unwrap().len(), kept_now + 50);
    let read = counting.records.load(Ordering::Relaxed);
    assert!((1..1500).contains(&read), "{read} entries read, of some 3800");
}
