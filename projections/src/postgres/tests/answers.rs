//! What an api answers from the database, beside what it answers from memory and the log.

use super::*;
use crate::{List, Listing, Page, Reading, past, postgres::Indexed, read_list};
use domain::order::Status;
use serde_json::{Value, json};

/// Every answer about an account, without rows that have left.
pub(super) fn everything(reading: &Reading<'_>) -> Value {
    let page = Page { limit: Some(1000), cursor: None };
    json!({
        "account": reading.account().expect("an answer"),
        "orders": reading.orders(&Default::default(), &page).expect("an answer"),
        "trades": reading.trades(&Default::default(), &page).expect("an answer"),
        "positions": reading.positions(None, &page).expect("an answer"),
        "holdings": reading.holdings(None, &page).expect("an answer"),
        "fund_orders": reading.fund_orders(&Default::default(), &page).expect("an answer"),
        "portfolio": reading.portfolio(&page).expect("an answer"),
        "pnl": reading.pnl(&page).expect("an answer"),
        "cash": reading.cash().expect("an answer"),
    })
}

/// A long history and its views, in memory and in the database.
async fn both(seed: u64, steps: usize) -> (Own, Memory, Arc<Views>, Postgres) {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(seed), Ledger::new(2));
    wander(&mut ledger, &mut draws, steps);
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let projector = Projector::start(Arc::new(log.clone()), views.clone(), clock());
    let expected = replayed(&log).await;
    caught_up(&projector, &expected).await;
    projector.stop().await;
    (own, log, expected.views, views)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_about_an_account_is_that_of_the_store_in_memory() {
    for seed in 21..=23 {
        let (_own, _log, expected, views) = both(seed, 400).await;
        for id in expected.accounts() {
            let answer = views.read(&id, everything).await.expect("it is asked");
            assert_eq!(answer, expected.read(&id, everything), "{id}");
            let valued = views.clone().valued_by(Arc::clone(&expected));
            let answer = valued.read(&id, everything).await.expect("it is asked");
            assert_eq!(answer, expected.read(&id, everything), "{id} by the market in memory");
        }
        let unknown = views.read(&account(99), everything).await.expect("it is asked");
        assert_eq!(unknown, None);
    }
}

/// One page of a list, as its items and the cursor for the next.
fn page_of<T: serde::Serialize>(list: Result<List<T>, Error>) -> (Vec<Value>, Option<String>) {
    let list = list.expect("a page");
    (list.items.iter().map(|item| json!(item)).collect(), list.next_cursor)
}

fn ask(listing: &Listing, page: &Page<'_>, reading: &Reading<'_>) -> (Vec<Value>, Option<String>) {
    match listing {
        Listing::Orders(filter) => page_of(reading.orders(filter, page)),
        Listing::FundOrders(filter) => page_of(reading.fund_orders(filter, page)),
        Listing::Trades(filter) => page_of(reading.trades(filter, page)),
        Listing::Order(seq) => {
            let id = domain::ids::OrderId { account: *reading.id(), seq: *seq };
            (reading.order(&id).expect("an answer").iter().map(|order| json!(order)).collect(), None)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_with_rows_that_left_are_those_folded_from_the_log() {
    let (_own, log, expected, views) = both(31, 900).await;
    let listings = [
        Listing::Orders(Default::default()),
        Listing::Orders(crate::read::OrderFilter { status: Some(Status::Cancelled), ..Default::default() }),
        Listing::FundOrders(Default::default()),
        Listing::Trades(Default::default()),
        Listing::Order(3),
        Listing::Order(9_999),
    ];
    let mut left = 0;
    for id in expected.accounts() {
        left += expected.with_rows(&id, |rows| rows.orders.left().count()).unwrap_or_default();
        for listing in &listings {
            for limit in [1, 7, 1000] {
                let (mut items, mut expected_items) = (Vec::new(), Vec::new());
                let mut cursor: Option<String> = None;
                loop {
                    let page = Page { limit: Some(limit), cursor: cursor.as_deref() };
                    let answer = views.read_list(&id, listing, &page, |reading| ask(listing, &page, reading)).await;
                    let (found, next) = answer.expect("it is asked").expect("it is there");
                    assert!(found.len() == limit || next.is_none(), "no page ends early here");
                    items.extend(found);
                    let Some(next) = next else { break };
                    cursor = Some(next);
                }
                let mut cursor: Option<String> = None;
                loop {
                    let page = Page { limit: Some(limit), cursor: cursor.as_deref() };
                    let one = |reading: &Reading<'_>| ask(listing, &page, reading);
                    let answer = read_list(&log, &expected, &id, listing, &page, one).await;
                    let (found, next) = answer.expect("it is asked").expect("it is there");
                    expected_items.extend(found);
                    let Some(next) = next else { break };
                    cursor = Some(next);
                }
                assert_eq!(items, expected_items, "{id}: {listing:?} by {limit}");
            }
        }
    }
    assert!(left > 20, "the history is long enough: {left}");
    let page = Page { limit: None, cursor: Some("!") };
    let refused = views.read_list(&account(1), &listings[0], &page, |_| ()).await;
    assert!(matches!(refused, Err(Error::Cursor)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_knows_which_views_stopped() {
    let (own, mut ledger) = (Own::new().await, Ledger::new(1));
    ledger.open(&account(1), "5.00");
    ledger.poison(&account(1));
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let projector = Projector::start(Arc::new(log.clone()), views.clone(), clock());
    caught_up(&projector, &replayed(&log).await).await;
    projector.stop().await;
    let answer = views.read(&account(1), |reading| reading.cash().err()).await.expect("it is asked");
    assert!(matches!(answer, Some(Some(Error::Stopped { offset: 3, .. }))), "{answer:?}");
    let valued = views.valued_by(Views::new(1, 1));
    let answer = valued.read(&account(1), |reading| reading.cash().err()).await.expect("it is asked");
    assert!(matches!(answer, Some(Some(Error::Stopped { offset: 3, .. }))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_wait_for_what_another_process_folds() {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(41), Ledger::new(2));
    let log = ledger.log().await;
    let (folding, asking) = (own.views(&log).await, own.views(&log).await);
    wander(&mut ledger, &mut draws, 100);
    ledger.append_to(&log).await;
    let wanted = replayed(&log).await.position;
    let soon = asking.wait_for(&wanted, Duration::from_millis(20)).await;
    assert!(!soon.expect("it is asked"), "nobody folds yet");
    let waiting: Vec<_> = (0..200)
        .map(|_| {
            let (asking, wanted) = (asking.clone(), wanted.clone());
            tokio::spawn(async move { asking.wait_for(&wanted, WAIT).await })
        })
        .collect();
    let projector = Projector::start(Arc::new(log.clone()), folding, clock());
    for waited in waiting {
        assert!(waited.await.expect("it does not panic").expect("it is asked"));
    }
    assert!(asking.seen().covers(&wanted));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_is_the_index_of_a_log_that_has_none_however_far_it_is() {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(51), Ledger::new(1));
    wander(&mut ledger, &mut draws, 150);
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let indexed = Indexed::new(Arc::new(log.clone()), views.clone());
    let all = records(&log, Topic::Ledger, 0).await;
    // Nothing folded, half of it, the rest, and as if the journal had stopped on the way.
    for upto in [0, all.len() / 2, all.len(), all.len() + 1] {
        let mut place = Partition::load(&views, Topic::Ledger, 0).await.expect("it is loaded");
        match all.get(usize::try_from(place.next()).expect("fits")..upto) {
            Some([]) => {}
            Some(more) => drop(place.fold(more).await.expect("it is folded")),
            None => {
                own.run("insert into view_stops values ('journal', 0, 100, 'x', now()); delete from journal where entry_offset > 150")
                    .await;
            }
        }
        for id in (0..7).map(account) {
            for (from, max) in [(0, usize::MAX), (40, 3), (99, 5), (170, usize::MAX), (9_999, 1)] {
                let expected = log.offsets_of(Topic::Ledger, 0, id.as_str(), from, max).await.expect("offsets");
                let found = indexed.offsets_of(Topic::Ledger, 0, id.as_str(), from, max).await.expect("offsets");
                assert_eq!(found, expected, "{id} from {from}, {upto} folded");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_of_an_account_is_read_through_the_journal() {
    let (_own, log, expected, views) = both(61, 200).await;
    let indexed = Indexed::new(Arc::new(log.clone()), views);
    for id in expected.accounts() {
        let partition = partition_of(id.as_str(), 2);
        let offsets = log.offsets_of(Topic::Ledger, partition, id.as_str(), 0, usize::MAX).await.expect("offsets");
        let moment = crate::Moment::from(crate::AsOf::Offset(offsets[offsets.len() / 2]));
        let one = past(&log, &expected, &id, moment).await.expect("it is folded");
        let other = past(&indexed, &expected, &id, moment).await.expect("it is folded");
        assert_eq!(everything(&other.reading()), everything(&one.reading()), "{id}");
    }
}
