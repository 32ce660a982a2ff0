//! What the views answer wherever they are kept, as tests that a store joins with one line; knows no store.
//!
//! [`views_contract`](crate::views_contract) makes a test of each function here. A store given to one has nothing in it,
//! and its log has [`PARTITIONS`] and nothing in it. What is right is what a cold replay of the log says, which keeps
//! nothing.

use super::{Draws, Ledger, account, instrument, listing, money, place, wander};
use crate::{
    AsOf, Error, Listing, Moment, Page, Position, Reading, Replay, Replayed, StateHashes, Until, all_older, past,
    read::{OrderFilter, TradeFilter},
    replay,
};
use domain::{
    cash::Deposit,
    ids::{AccountId, Exchange, OrderId},
    market::{CalendarDay, DayKind},
    order::{Side, Status},
};
use event_log::{BoxFuture, EventLog, RecordKind, Topic, memory::Memory, partition_of};
use event_schemas::decode_entry;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// How many partitions the log of a store given to the suite has.
pub const PARTITIONS: u32 = 2;

/// No step of the suite takes longer, on any machine that builds it.
const WAIT: Duration = Duration::from_secs(120);
/// How long is waited for what does not come.
const SHORT: Duration = Duration::from_millis(20);

/// Makes a test of each obligation, on the store that `$open` makes; `$open` is an async function that is given a log
/// and answers what keeps the store alive and an `Arc<dyn Store>`.
#[macro_export]
macro_rules! views_contract {
    ($open:path) => {
        $crate::views_contract!($open:
            every_answer_is_that_of_a_cold_replay_however_often_folding_stops,
            pages_of_any_size_hold_each_row_once_and_in_order,
            an_account_is_absent_until_its_first_entry_even_if_that_is_refused,
            a_read_that_waits_sees_what_was_written_and_waits_no_longer_than_its_limit,
            what_is_told_or_recorded_twice_counts_once,
            the_past_is_what_a_replay_up_to_then_says,
            a_view_that_stopped_says_so_and_the_others_answer,
        );
    };
    ($open:path: $($name:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let log = $crate::testing::contract::empty();
                let (_kept, store) = $open(&log).await;
                $crate::testing::contract::$name(log, store).await;
            }
        )*
    };
}

/// A log for a store.
pub fn empty() -> Memory {
    Memory::new(PARTITIONS)
}

/// A question about an account.
pub type Ask<'a> = &'a (dyn Fn(&Reading<'_>) -> Value + Send + Sync);

/// Views of one log, asked as an api asks them wherever they are kept.
///
/// An answer is what folding the log from its first record on gives, up to a place that never goes back; an account
/// without entries has none. Whoever waited for a position sees all of it in whatever is asked from then on.
pub trait Store: Send + Sync {
    /// Begins to fold the log from where it is, and as it grows; until it is stopped, once at a time.
    fn start(&self);
    /// Folds no further.
    fn stop(&self) -> BoxFuture<'_, ()>;
    /// Is told every record of the log from the first on, as by one who does not know that they are folded; while
    /// nobody folds.
    fn tell_again(&self) -> BoxFuture<'_, ()>;
    /// Waits until everything wanted is seen, at most for the limit; says whether it is.
    fn wait_for<'a>(&'a self, wanted: &'a Position, limit: Duration) -> BoxFuture<'a, Result<bool, Error>>;
    /// Asks about an account as it stands, without rows that have left.
    fn now<'a>(&'a self, id: &'a AccountId, ask: Ask<'a>) -> BoxFuture<'a, Result<Option<Value>, Error>>;
    /// Asks about a page of a list as it stands, with rows that have left.
    fn list<'a>(
        &'a self,
        id: &'a AccountId,
        listing: &'a Listing,
        page: &'a Page<'a>,
        ask: Ask<'a>,
    ) -> BoxFuture<'a, Result<Option<Value>, Error>>;
    /// Asks about an account as it was.
    fn then<'a>(&'a self, id: &'a AccountId, moment: Moment, ask: Ask<'a>) -> BoxFuture<'a, Result<Value, Error>>;
    /// Where the live entries of an account are.
    fn entries<'a>(&'a self, id: &'a AccountId) -> BoxFuture<'a, Result<Vec<u64>, Error>>;
    /// The state hashes of all views.
    fn hashes(&self) -> BoxFuture<'_, Result<StateHashes, Error>>;
}

/// A store, shared as the product shares it.
type Kept = Arc<dyn Store>;

/// Every answer about an account, without rows that have left unless the reading has them.
///
/// # Panics
/// When a view stopped.
pub fn everything(reading: &Reading<'_>) -> Value {
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

/// An answer, or what is said instead.
fn said(answer: Result<impl Serialize, Error>) -> Value {
    answer.map_or_else(|error| json!({ "error": format!("{error:?}") }), |answer| json!(answer))
}

/// A page of a list whose rows leave.
fn listed(reading: &Reading<'_>, listing: &Listing, page: &Page<'_>) -> Value {
    match listing {
        Listing::Orders(filter) => said(reading.orders(filter, page)),
        Listing::FundOrders(filter) => said(reading.fund_orders(filter, page)),
        Listing::Trades(filter) => said(reading.trades(filter, page)),
        Listing::Order(seq) => said(reading.order(&OrderId { account: *reading.id(), seq: *seq })),
    }
}

/// A page of a list that is all at hand.
type Keyed = fn(&Reading<'_>, &Page<'_>) -> Value;

const KEYED: [(&str, Keyed); 4] = [
    ("positions", |reading, page| said(reading.positions(None, page))),
    ("holdings", |reading, page| said(reading.holdings(None, page))),
    ("portfolio", |reading, page| said(reading.portfolio(page))),
    ("pnl", |reading, page| said(reading.pnl(page))),
];

async fn cold(log: &Memory, until: Until) -> Replayed {
    let replayed = replay(Arc::new(log.clone()), Replay { until, ..Replay::default() }, |_| ()).await;
    replayed.expect("it is replayed")
}

/// What a replay says, once the store is as far.
async fn reached(log: &Memory, store: &Kept) -> Replayed {
    let expected = cold(log, Until::End).await;
    assert!(store.wait_for(&expected.position, WAIT).await.expect("it is asked"), "it is folded within the limit");
    expected
}

async fn now(store: &Kept, id: &AccountId, ask: Ask<'_>) -> Option<Value> {
    store.now(id, ask).await.expect("it is asked")
}

async fn list(store: &Kept, id: &AccountId, listing: &Listing, page: &Page<'_>) -> Option<Value> {
    match store.list(id, listing, page, &|reading| listed(reading, listing, page)).await {
        Ok(answer) => answer,
        Err(error) => Some(said(Err::<(), _>(error))),
    }
}

async fn then(store: &Kept, id: &AccountId, moment: Moment) -> Value {
    said(store.then(id, moment, &everything).await)
}

/// Every account, its entries and every view are what the replay says.
async fn is_that_of(expected: &Replayed, log: &Memory, store: &Kept) {
    assert_eq!(store.hashes().await.expect("hashes"), expected.views.state_hashes());
    for id in expected.views.accounts() {
        assert_eq!(now(store, &id, &everything).await, expected.views.read(&id, everything), "{id}");
        let entries = crate::offsets(log, &expected.views, &id).await.expect("offsets");
        assert_eq!(store.entries(&id).await.expect("offsets"), entries, "{id}");
    }
}

/// Of a history in which every list of answers has rows.
pub async fn every_answer_is_that_of_a_cold_replay_however_often_folding_stops(log: Memory, store: Kept) {
    let (mut ledger, mut draws, mut with_rows) = (Ledger::new(PARTITIONS), Draws(21), BTreeSet::new());
    ledger.fact(listing("GAMMA"));
    let (exchange, date) = (Exchange::new("NSE").expect("an exchange"), ledger.now().date().plus_days(40));
    let (kind, settlement) = (DayKind::Holiday, Some(false));
    ledger.fact(CalendarDay { exchange, date, kind, open: None, close: None, settlement, corrects: None });
    for steps in [0, 500, 1, 200, 0] {
        wander(&mut ledger, &mut draws, steps);
        ledger.append_to(&log).await;
        store.start();
        let expected = reached(&log, &store).await;
        is_that_of(&expected, &log, &store).await;
        store.stop().await;
        is_that_of(&expected, &log, &store).await;
        for id in expected.views.accounts() {
            let answers = expected.views.read(&id, everything).expect("it is there");
            let lists = ["orders", "trades", "positions", "holdings", "fund_orders", "portfolio", "pnl"];
            with_rows.extend(lists.into_iter().filter(|list| answers[list]["items"].as_array() != Some(&vec![])));
        }
    }
    assert_eq!(with_rows.len(), 7, "the history is rich enough: {with_rows:?}");
}

/// All pages of a list, one behind the other.
async fn pages(limit: usize, mut page: impl AsyncFnMut(&Page<'_>) -> Value) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let answer = page(&Page { limit: Some(limit), cursor: cursor.as_deref() }).await;
        let items = answer["items"].as_array().unwrap_or_else(|| panic!("no page: {answer}"));
        rows.extend(items.iter().cloned());
        let Value::String(next) = &answer["next_cursor"] else { return rows };
        assert_eq!(items.len(), limit, "a page that others follow is full");
        cursor = Some(next.clone());
    }
}

/// Of lists with rows that left long ago, and of those that are all at hand.
pub async fn pages_of_any_size_hold_each_row_once_and_in_order(log: Memory, store: Kept) {
    let listings = [
        Listing::Orders(Default::default()),
        Listing::Orders(OrderFilter { status: Some(Status::Cancelled), ..Default::default() }),
        Listing::Orders(OrderFilter { instrument: Some(instrument("ALFA")), ..Default::default() }),
        Listing::FundOrders(Default::default()),
        Listing::Trades(Default::default()),
        Listing::Trades(TradeFilter { unmatched: true, ..Default::default() }),
    ];
    let (mut ledger, mut left) = (Ledger::new(PARTITIONS), 0);
    wander(&mut ledger, &mut Draws(31), 900);
    ledger.append_to(&log).await;
    store.start();
    let expected = reached(&log, &store).await.views;
    let all = Page { limit: Some(1000), cursor: None };
    for id in expected.accounts() {
        left += expected.with_rows(&id, |rows| rows.orders.left().count()).unwrap_or_default();
        // A fold of all entries lets nothing go.
        let last = crate::offsets(&log, &expected, &id).await.expect("offsets").pop().expect("an entry");
        let whole = past(&log, &expected, &id, AsOf::Offset(last)).await.expect("it is folded");
        for listing in &listings {
            let whole = listed(&whole.reading(), listing, &all)["items"].clone();
            for limit in [1, 7, 1000] {
                let page = async |page: &Page<'_>| list(&store, &id, listing, page).await.expect("it is there");
                assert_eq!(json!(pages(limit, page).await), whole, "{id}: {listing:?} by {limit}");
            }
        }
        for (name, ask) in KEYED {
            let whole = expected.read(&id, |reading| ask(reading, &all)).expect("it is there")["items"].clone();
            for limit in [1, 2, 1000] {
                let page =
                    async |page: &Page<'_>| now(&store, &id, &|reading| ask(reading, page)).await.expect("it is there");
                assert_eq!(json!(pages(limit, page).await), whole, "{id}: {name} by {limit}");
            }
        }
        let bad = Page { limit: None, cursor: Some("!") };
        assert_eq!(list(&store, &id, &listings[0], &bad).await, Some(said(Err::<(), _>(Error::Cursor))));
        assert_eq!(
            now(&store, &id, &|reading| KEYED[0].1(reading, &bad)).await,
            Some(said(Err::<(), _>(Error::Cursor)))
        );
    }
    assert!(left > 20, "the history is long enough: {left}");
    store.stop().await;
}

/// Absent in every way it can be asked about; an order that never was is none of an account that is there.
pub async fn an_account_is_absent_until_its_first_entry_even_if_that_is_refused(log: Memory, store: Kept) {
    let (mut ledger, id, moment) = (Ledger::new(PARTITIONS), account(1), Moment::from(AsOf::Offset(0)));
    let page = Page::default();
    ledger.append_to(&log).await;
    store.start();
    let effective = Moment { recorded: None, effective_at: Some(ledger.now().plus_micros(-1)) };
    reached(&log, &store).await;
    let is_absent = async |id: &AccountId| {
        assert_eq!(now(&store, id, &everything).await, None);
        for listing in [Listing::Trades(Default::default()), Listing::Order(1)] {
            assert_eq!(list(&store, id, &listing, &page).await, None);
        }
        for moment in [moment, effective] {
            assert_eq!(then(&store, id, moment).await, said(Err::<(), _>(Error::UnknownAccount { account: *id })));
        }
        assert_eq!(store.entries(id).await.expect("offsets"), [0; 0]);
    };
    is_absent(&id).await;
    ledger.command(&id, place("ALFA", Side::Buy, 1, "100.00"));
    ledger.append_to(&log).await;
    let expected = reached(&log, &store).await;
    is_that_of(&expected, &log, &store).await;
    let answers = now(&store, &id, &everything).await.expect("it is there");
    assert_eq!((&answers["account"]["entries"], &answers["account"]["opened_at"]), (&json!(1), &Value::Null));
    assert_eq!(list(&store, &id, &Listing::Order(1), &page).await, Some(Value::Null), "it was refused");
    assert_eq!(list(&store, &id, &Listing::Order(9_999), &page).await, Some(Value::Null));
    assert_eq!(then(&store, &id, effective).await, said(Err::<(), _>(Error::UnknownAccount { account: id })));
    for other in (2..6).map(account) {
        is_absent(&other).await;
    }
    store.stop().await;
}

/// Also one that began to wait before it was written, and one that waits while nobody folds.
pub async fn a_read_that_waits_sees_what_was_written_and_waits_no_longer_than_its_limit(log: Memory, store: Kept) {
    let (mut ledger, id) = (Ledger::new(PARTITIONS), account(1));
    let partition = partition_of(id.as_str(), PARTITIONS);
    ledger.open(&id, "100.00");
    ledger.append_to(&log).await;
    store.start();
    reached(&log, &store).await;
    let in_vain = async |wanted: &Position| {
        let began = Instant::now();
        assert!(!store.wait_for(wanted, SHORT).await.expect("it is asked"), "it is not written, or not folded");
        assert!(began.elapsed() >= SHORT, "it may still come within the limit");
    };
    for more in 1..=10 {
        let tail = log.tail(Topic::Ledger, partition).await.expect("a tail");
        let wanted = Position::after(Topic::Ledger, partition, tail);
        in_vain(&wanted).await;
        let is_folded = more % 4 > 0;
        if !is_folded {
            store.stop().await;
        }
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let (store, wanted) = (Arc::clone(&store), wanted.clone());
                tokio::spawn(async move { store.wait_for(&wanted, WAIT).await })
            })
            .collect();
        ledger.command(&id, Deposit { amount: money("1.00") });
        ledger.append_to(&log).await;
        if !is_folded {
            in_vain(&wanted).await;
            store.start();
        }
        for waited in waiting {
            assert!(waited.await.expect("it does not panic").expect("it is asked"), "it is there within the limit");
        }
        let settled = now(&store, &id, &|reading| said(reading.cash())).await.expect("it is there");
        assert_eq!(settled["settled"], format!("{}.00", 100 + more), "what was waited for is seen");
        assert!(store.wait_for(&wanted, Duration::ZERO).await.expect("it is asked"), "and is not waited for again");
        let far = Position::after(Topic::Market, PARTITIONS - 1, 1_000);
        in_vain(&far).await;
    }
    store.stop().await;
}

/// Told by one who forgot where it was, or recorded by one who did not know that an append had landed.
pub async fn what_is_told_or_recorded_twice_counts_once(log: Memory, store: Kept) {
    let mut ledger = Ledger::new(PARTITIONS);
    wander(&mut ledger, &mut Draws(22), 300);
    ledger.append_to(&log).await;
    for _ in 0..2 {
        store.start();
        let expected = reached(&log, &store).await;
        store.stop().await;
        store.tell_again().await;
        is_that_of(&expected, &log, &store).await;
    }
    let before = store.hashes().await.expect("hashes").hashes;
    for topic in Topic::ALL {
        for partition in 0..PARTITIONS {
            let last = log.tail(topic, partition).await.expect("a tail") - 1;
            let all = log.read(topic, partition, last - 3, 4).await.expect("records");
            let again = all.iter().map(|stored| stored.record.clone()).collect();
            log.append(topic, partition, None, again).await.expect("it lands");
        }
    }
    store.start();
    let expected = reached(&log, &store).await;
    store.stop().await;
    assert_eq!(expected.dead, u64::from(2 * PARTITIONS * 4));
    is_that_of(&expected, &log, &store).await;
    assert_eq!(store.hashes().await.expect("hashes").hashes, before);
}

/// By offset, by time of recording, and by when it happened; an offset that is not recorded is refused.
pub async fn the_past_is_what_a_replay_up_to_then_says(log: Memory, store: Kept) {
    let mut ledger = Ledger::new(PARTITIONS);
    wander(&mut ledger, &mut Draws(61), 300);
    ledger.append_to(&log).await;
    store.start();
    let all = reached(&log, &store).await.views;
    for partition in 0..PARTITIONS {
        let records = log.read(Topic::Ledger, partition, 0, usize::MAX).await.expect("records");
        for stored in records.iter().filter(|stored| stored.record.headers.ce_type == RecordKind::Entry).step_by(40) {
            let (offset, entry) = (stored.offset, decode_entry(&stored.record.value).expect("an entry"));
            let mut ledger = vec![Some(0); PARTITIONS as usize];
            ledger[partition as usize] = Some(offset + 1);
            let market = entry.context.market.iter().copied().map(Some).collect();
            for (until, as_of) in [
                (Until::Position(Position { ledger, market }), AsOf::Offset(offset)),
                (Until::Time(entry.recorded_at), AsOf::Time(entry.recorded_at)),
            ] {
                let fresh = cold(&log, until).await.views;
                let older = all_older(&log, &fresh, &entry.account).await.expect("rows that left");
                let expected = fresh.read(&entry.account, |reading| everything(&reading.with(&older)));
                assert_eq!(Some(then(&store, &entry.account, as_of.into()).await), expected, "as of {as_of:?}");
                let both = Moment { recorded: Some(as_of), effective_at: Some(entry.recorded_at) };
                let folded = past(&log, &all, &entry.account, both).await;
                let expected = said(folded.map(|past| everything(&past.reading())));
                assert_eq!(then(&store, &entry.account, both).await, expected, "{both:?}");
            }
        }
        let id = (0..).map(account).find(|id| partition_of(id.as_str(), PARTITIONS) == partition).expect("an account");
        let end = log.tail(Topic::Ledger, partition).await.expect("a tail");
        let refused = then(&store, &id, AsOf::Offset(end).into()).await;
        assert_eq!(refused, said(Err::<(), _>(Error::NotYet { offset: end, end })));
    }
    store.stop().await;
}

/// The same views at the same entry, and nothing of another partition.
pub async fn a_view_that_stopped_says_so_and_the_others_answer(log: Memory, store: Kept) {
    let mut ledger = Ledger::new(PARTITIONS);
    let of = |partition| (0..).map(account).find(|id| partition_of(id.as_str(), PARTITIONS) == partition);
    let [stopped, other] = [0, 1].map(|partition| of(partition).expect("an account"));
    for id in [&stopped, &other] {
        ledger.open(id, "5.00");
    }
    ledger.poison(&stopped);
    ledger.command(&other, Deposit { amount: money("1.00") });
    ledger.append_to(&log).await;
    store.start();
    let expected = reached(&log, &store).await;
    let by_view = |hashes: &StateHashes| {
        let mut stops: Vec<_> = hashes.stops.iter().map(|stop| (stop.view, stop.partition, stop.offset)).collect();
        stops.sort_unstable();
        stops
    };
    let stops = by_view(&expected.views.state_hashes());
    assert_eq!(stops.len(), 5, "all but the journal");
    assert_eq!(by_view(&store.hashes().await.expect("hashes")), stops);
    let asks: [Ask<'_>; 3] = [&|reading| said(reading.cash()), &|reading| said(reading.account()), &|reading| {
        said(reading.portfolio(&Page::default()))
    }];
    for ask in asks {
        let answer = now(&store, &stopped, ask).await;
        assert!(answer.as_ref().is_some_and(|answer| answer["error"].is_string()), "{answer:?}");
        assert_eq!(answer, expected.views.read(&stopped, ask));
    }
    let page = Page::default();
    for listing in [Listing::Orders(Default::default()), Listing::Trades(Default::default()), Listing::Order(1)] {
        let answer = list(&store, &stopped, &listing, &page).await;
        assert_eq!(answer, expected.views.read(&stopped, |reading| listed(reading, &listing, &page)));
    }
    assert_eq!(store.entries(&stopped).await.expect("offsets").len(), 3, "the journal counts what nobody can read");
    assert_eq!(now(&store, &other, &everything).await, expected.views.read(&other, everything));
    store.stop().await;
}
