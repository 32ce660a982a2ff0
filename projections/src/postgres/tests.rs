//! The views on a real server, beside those in memory that they must equal. `make services` starts one.

use super::{hot::Hot, partition::Partition, *};
use crate::{
    Replay, Replayed, StateHashes, Views, replay,
    testing::{Draws, Ledger, account, contract::everything, listing, money, price, wander},
    view::View,
};
use domain::{
    event::EventData,
    history::{ImportTrade, Kind},
    market::LastPrice,
    money::{Money, Quantity},
    order::{ReportKind, Side},
    time::Timestamp,
};
use event_log::{Stored, memory::Memory};
use event_schemas::{
    decode_entry,
    entry::{Entry, Outcome, encode_entry, key_hash},
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, postgres::PgConnectOptions};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::watch;

mod answers;
mod cached;
mod contract;
mod kept;
mod market_rows;
mod outage;
mod rebuild;
mod server;
mod stops;

use server::Own;

/// Where `make services` starts a server; another is named by `BAHI_POSTGRES_URL`.
const URL: &str = "postgres://bahi@127.0.0.1:25432/bahi";
/// No step takes longer, on any machine that builds this.
const WAIT: Duration = Duration::from_secs(120);

/// Asks again and again until it is so, within the limit.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(WAIT, asking).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

fn url() -> String {
    std::env::var("BAHI_POSTGRES_URL").unwrap_or_else(|_| URL.to_owned())
}

fn clock() -> Clock {
    Arc::new(|| Timestamp::from_micros(0))
}

async fn replayed(log: &Memory) -> Replayed {
    replay(Arc::new(log.clone()), Replay::default(), |_| ()).await.expect("it is replayed")
}

/// Waits until the views are where the log ends.
async fn caught_up(projector: &Projector, to: &Replayed) {
    assert!(projector.wait_for(&to.position, WAIT).await, "it is folded within the limit");
}

/// The hashes are those of the store in memory, and what a person can query says the same as the rows themselves.
async fn check(views: &Postgres, expected: &Views) {
    assert_eq!(views.state_hashes().await.expect("hashes"), expected.state_hashes());
    let mut changes = market::changes(expected);
    for table in rows::ALL {
        // Compared also when there is to be none.
        changes.put(table);
    }
    for id in expected.accounts() {
        let (account, _) = views.account(&id).await.expect("an account is loaded");
        let account = account.expect("it is there");
        assert_eq!(Some(&account), expected.with_rows(&id, Account::clone).as_ref(), "{id}");
        let partition = partition_of(id.as_str(), views.ledger_partitions);
        changes.account((&id, partition), &mut changes::Touched::whole(account));
    }
    for (table, columns) in changes.all_put() {
        let keys: Vec<_> = table.key.iter().chain(table.rest).collect();
        let names: Vec<_> = keys.iter().map(|(name, _)| *name).collect();
        let (names, rows) = (names.join(", "), columns::unnest(keys.into_iter()));
        if table.name == rows::JOURNAL.name {
            continue;
        }
        let current = if ["orders", "fund_orders", "trades"].contains(&table.name) { "where not has_left" } else { "" };
        let stored = format!("select {names} from {} {current}", table.name);
        for (one, other) in
            [(&*stored, &*format!("select * from {rows}")), (&*format!("select * from {rows}"), &*stored)]
        {
            let sql = format!("select count(*) from (({one}) except all ({other})) as rows");
            let counted = columns.query(sql).fetch_one(views.database.pool()).await.expect("a count");
            assert_eq!(counted.get::<i64, _>(0), 0, "rows of {} are not what was folded", table.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_history_the_rows_are_those_of_the_store_in_memory() {
    let mut seen = BTreeSet::new();
    for seed in 1..=4 {
        let (own, mut draws, mut ledger) = (Own::new().await, Draws(seed), Ledger::new(3));
        wander(&mut ledger, &mut draws, 500);
        let log = ledger.log().await;
        let views = own.views(&log).await;
        let projector = Projector::start(Arc::new(log.clone()), views.clone(), clock());
        for _ in 0..3 {
            let expected = replayed(&log).await;
            caught_up(&projector, &expected).await;
            check(&views, &expected.views).await;
            wander(&mut ledger, &mut draws, 150);
            ledger.append_to(&log).await;
        }
        projector.stop().await;
        for table in rows::ALL {
            if own
                .texts(&format!("select name from (select '' as name from {} limit 1) as any_row", table.name))
                .await
                .len()
                == 1
            {
                seen.insert(table.name);
            }
        }
        if own.texts("select account from orders where has_left limit 1").await.len() == 1 {
            seen.insert("orders that left");
        }
    }
    // A calendar is no part of the random steps.
    assert_eq!(seen.len(), rows::ALL.len() - 1 + 1, "the histories are rich enough: {seen:?}");
}

/// Every record of a partition.
async fn records(log: &Memory, topic: Topic, partition: u32) -> Vec<Arc<Stored>> {
    log.read(topic, partition, 0, usize::MAX).await.expect("records")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_the_log_is_cut_into_batches_and_processes_the_rows_are_the_same() {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(77), Ledger::new(2));
    wander(&mut ledger, &mut draws, 400);
    let log = ledger.log().await;
    let views = own.views(&log).await;
    for topic in Topic::ALL {
        for partition in 0..2 {
            let all = records(&log, topic, partition).await;
            let mut place = Partition::load(&views, topic, partition).await.expect("it is loaded");
            let mut from = 0;
            while from < all.len() {
                let upto = (from + 1 + draws.below(40) as usize).min(all.len());
                // Some are told again, as after a batch whose answer was lost.
                let again = from.saturating_sub(draws.below(5) as usize);
                place.fold(&all[again..upto]).await.expect("it is folded");
                from = upto;
                if draws.below(4) == 0 {
                    place = Partition::load(&views, topic, partition).await.expect("it is loaded");
                }
            }
        }
    }
    check(&views, &replayed(&log).await.views).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_and_trades_that_left_stay_in_the_tables_as_they_were() {
    let (own, mut ledger) = (Own::new().await, Ledger::new(1));
    let who = account(1);
    ledger.open(&who, "100000.00");
    ledger.trade(&who, "ALFA", Side::Buy, 10, "100.00");
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let projector = Projector::start(Arc::new(log.clone()), views.clone(), clock());
    caught_up(&projector, &replayed(&log).await).await;
    ledger.at("2027-01-11T10:00:00+05:30").all_due(&who);
    // Requested, and gone within one batch.
    ledger.trade(&who, "BETA", Side::Buy, 5, "50.00");
    ledger.at("2027-03-01T10:00:00+05:30").all_due(&who);
    ledger.command(&who, domain::cash::Deposit { amount: money("1.00") });
    ledger.append_to(&log).await;
    let expected = replayed(&log).await;
    caught_up(&projector, &expected).await;
    check(&views, &expected.views).await;
    let left = expected.views.with_rows(&who, |rows| (rows.orders.left().count(), rows.trades.left().count()));
    assert_eq!(left, Some((2, 2)), "the history is long enough");
    let sql = "select status || ' ' || filled || ' at ' || filled_value || ' ' || has_left from orders order by seq";
    assert_eq!(own.texts(sql).await, ["filled 10 at 1000.00 true", "filled 5 at 250.00 true"]);
    let sql = "select instrument || ' ' || price || ' ' || value || ' ' || has_left from trades order by seq";
    assert_eq!(own.texts(sql).await, ["NSE:ALFA 100.0000 1000.00 true", "NSE:BETA 50.0000 250.00 true"]);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_reads_exact_figures_in_the_fields_own_words() {
    let (own, mut ledger) = (Own::new().await, Ledger::new(1));
    let who = account(1);
    ledger.open(&who, "100000.00");
    ledger.trade(&who, "ALFA", Side::Buy, 30, "99.55");
    ledger.fact(listing("GAMMA"));
    ledger.fact(domain::market::CalendarDay {
        exchange: domain::ids::Exchange::new("NSE").expect("an exchange"),
        date: domain::time::Date::parse("2026-12-25").expect("a day"),
        kind: domain::market::DayKind::Holiday,
        open: None,
        close: None,
        settlement: Some(false),
        corrects: None,
    });
    ledger.fact(LastPrice { instrument: crate::testing::instrument("ALFA"), last: price("101.05"), at: ledger.now() });
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let projector = Projector::start(Arc::new(log.clone()), views.clone(), clock());
    let replayed = replayed(&log).await;
    caught_up(&projector, &replayed).await;
    projector.stop().await;
    check(&views, &replayed.views).await;
    for (sql, expected) in [
        (
            "select exchange || ' ' || date || ' ' || kind || ' ' || settlement from calendar",
            "NSE 2026-12-25 holiday false",
        ),
        (
            "select settled || ' ' || payable || ' ' || blocked || ' ' || withdrawable from cash",
            "100000.00 2986.50 0.00 97013.50",
        ),
        ("select settlement_date || ' ' || payable from cash_due", "2026-11-24 2986.50"),
        ("select instrument || ' ' || bought_today || ' ' || t1 || ' ' || settled from positions", "NSE:ALFA 30 0 0"),
        ("select bought || ' ' || realised_gain || ' ' || quantity from instrument_gains", "2986.50 0.00 0"),
        ("select close || ' ' || date from prices where instrument = 'NSE:BETA'", "50.0000 2026-11-20"),
        ("select last || ' ' || traded_at from live_prices", "101.0500 2026-11-23 04:30:00+00"),
        ("select nav || ' ' || date from navs where scheme = '100002'", "25.00000000 2026-11-20"),
        ("select name from schemes where scheme = '100001'", "Fund 100001 Direct Growth"),
        (
            "select symbol || ' ' || series || ' ' || tick_size from instruments where instrument = 'NSE:GAMMA'",
            "GAMMA EQ 0.0100",
        ),
        ("select count(*) || ' ' || max(seq) || ' ' || count(key_hash) from journal", "5 5 5"),
        (
            "select opened_at || ' ' || entries from accounts join portfolios using (account)",
            "2026-11-23 04:30:00+00 5",
        ),
    ] {
        assert_eq!(own.texts(sql).await, [expected], "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_projectors_at_once_write_each_record_once() {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(5), Ledger::new(2));
    wander(&mut ledger, &mut draws, 200);
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let start = || Projector::start(Arc::new(log.clone()), views.clone(), clock());
    let (one, other) = (start(), start());
    for _ in 0..10 {
        wander(&mut ledger, &mut draws, 30);
        ledger.append_to(&log).await;
        let expected = replayed(&log).await;
        assert!(views.wait_for(&expected.position, WAIT).await.expect("it is asked"), "one of them folds it");
        check(&views, &expected.views).await;
    }
    one.stop().await;
    wander(&mut ledger, &mut draws, 30);
    ledger.append_to(&log).await;
    let expected = replayed(&log).await;
    assert!(views.wait_for(&expected.position, WAIT).await.expect("it is asked"), "the one that stood by goes on");
    check(&views, &expected.views).await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_is_folded_where_it_is_given_and_goes_on_elsewhere_when_it_is_taken() {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(12), Ledger::new(2));
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let all: BTreeSet<_> = Topic::ALL.into_iter().flat_map(|topic| (0..2).map(move |of| (topic, of))).collect();
    let (odd, even): (BTreeSet<_>, BTreeSet<_>) = all.into_iter().partition(|(_, partition)| partition % 2 == 1);
    let (one_given, one) = watch::channel(odd.clone());
    let (other_given, other) = watch::channel(even.clone());
    let start = |given| Projector::start_given(Arc::new(log.clone()), views.clone(), clock(), given);
    let (one, other) = (start(one), start(other));
    for (of_one, of_other) in [(&odd, &even), (&even, &odd), (&odd, &even)] {
        one_given.send_replace(of_one.clone());
        other_given.send_replace(of_other.clone());
        wander(&mut ledger, &mut draws, 60);
        ledger.append_to(&log).await;
        let expected = replayed(&log).await;
        assert!(views.wait_for(&expected.position, WAIT).await.expect("it is asked"), "each is folded by one");
        check(&views, &expected.views).await;
        let mut moving = one.watch();
        let reached = moving.wait_for(|position| {
            of_one.iter().all(|(topic, partition)| {
                position.next(*topic, *partition) == expected.position.next(*topic, *partition)
            })
        });
        tokio::time::timeout(WAIT, reached).await.expect("it is the one that was given it").expect("it runs");
    }
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_batches_from_one_checkpoint_the_second_is_thrown_away() {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(6), Ledger::new(1));
    wander(&mut ledger, &mut draws, 60);
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let all = records(&log, Topic::Ledger, 0).await;
    let half = all.len() / 2;
    for from in [0, half] {
        let mut one = Partition::load(&views, Topic::Ledger, 0).await.expect("it is loaded");
        let mut other = Partition::load(&views, Topic::Ledger, 0).await.expect("it is loaded");
        let upto = if from == 0 { half } else { all.len() };
        other.fold(&all[from..from + 3]).await.expect("it is folded");
        let done = one.fold(&all[from..upto]).await.expect("it is asked");
        assert_eq!(done, partition::Done::Overtaken);
        other.fold(&all[from..upto]).await.expect("it is folded");
    }
    let market = records(&log, Topic::Market, 0).await;
    let mut place = Partition::load(&views, Topic::Market, 0).await.expect("it is loaded");
    place.fold(&market).await.expect("it is folded");
    check(&views, &replayed(&log).await.views).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_says_which_entry_answered_a_command_and_where_an_accounts_entries_are() {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(10), Ledger::new(3));
    wander(&mut ledger, &mut draws, 120);
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let projector = Projector::start(Arc::new(log.clone()), views.clone(), clock());
    caught_up(&projector, &replayed(&log).await).await;
    projector.stop().await;
    for partition in 0..3 {
        for stored in records(&log, Topic::Ledger, partition).await.into_iter().skip(1) {
            let entry = decode_entry(&stored.record.value).expect("an entry");
            assert_ne!(entry.outcome, Outcome::Repeat);
            let hash = key_hash(entry.account.as_str(), entry.command.by.role, &entry.command.id);
            let found = views.journal_by_key(&entry.account, &hash).await.expect("it is asked").expect("it is there");
            assert_eq!((found.seq, found.partition, found.offset), (entry.seq, partition, stored.offset));
            assert_eq!((&*found.value, &*found.kinds), (&*stored.record.value, &*stored.record.headers.kinds));
            assert_eq!((&*found.account, found.recorded_at), (entry.account.as_str(), entry.recorded_at));
        }
    }
    let who = account(2);
    assert_eq!(views.journal_by_key(&who, &[0; 16]).await.expect("it is asked"), None);
    let all = log.offsets_of(Topic::Ledger, partition_of(who.as_str(), 3), who.as_str(), 0, usize::MAX).await;
    let all = all.expect("offsets");
    assert_eq!(views.journal_offsets(&who, 0, usize::MAX).await.expect("offsets"), all);
    assert_eq!(views.journal_offsets(&who, all[2] + 1, 2).await.expect("offsets"), all[3..5]);
    assert_eq!(views.journal_offsets(&account(99), 0, 10).await.expect("offsets"), [0; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_read_with_the_position_of_its_partition() {
    let (own, mut ledger) = (Own::new().await, Ledger::new(1));
    let log = ledger.log().await;
    let views = own.views(&log).await;
    assert_eq!(views.account(&account(1)).await.expect("it is asked"), (None, 0));
    ledger.open(&account(1), "5.00");
    ledger.append_to(&log).await;
    let mut place = Partition::load(&views, Topic::Ledger, 0).await.expect("it is loaded");
    place.fold(&records(&log, Topic::Ledger, 0).await).await.expect("it is folded");
    let (rows, next) = views.account(&account(1)).await.expect("it is asked");
    assert_eq!((rows.expect("it is there").cash.cash.settled, next), (money("5.00"), 3));
    assert_eq!(views.account(&account(2)).await.expect("it is asked"), (None, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_of_another_log_or_shape_are_refused_until_they_are_cleared() {
    let (own, mut ledger) = (Own::new().await, Ledger::new(1));
    ledger.open(&account(1), "5.00");
    let (log, other) = (ledger.log().await, Memory::new(1));
    let views = own.views(&log).await;
    let projector = Projector::start(Arc::new(log.clone()), views.clone(), clock());
    caught_up(&projector, &replayed(&log).await).await;
    projector.stop().await;
    let refused = Postgres::open(own.database.clone(), &other).await.err().expect("of another log");
    assert!(refused.to_string().contains("another log"), "{refused}");
    own.run("update views_of set shape = 0").await;
    let refused = Postgres::open(own.database.clone(), &log).await.err().expect("of another shape");
    assert!(refused.to_string().contains("shape 0"), "{refused}");
    Postgres::clear(&own.database).await.expect("they are cleared");
    let views = own.views(&log).await;
    assert_eq!(views.position().await.expect("a position"), Position::start(1, 1));
    assert_eq!(own.texts("select count(*)::text from accounts").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_somebody_damaged_is_named_and_not_believed() {
    let (own, mut ledger) = (Own::new().await, Ledger::new(1));
    ledger.open(&account(1), "5.00");
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let projector = Projector::start(Arc::new(log.clone()), views.clone(), clock());
    caught_up(&projector, &replayed(&log).await).await;
    projector.stop().await;
    own.run("update accounts set row = '\\x00'").await;
    let refused = views.account(&account(1)).await.expect_err("it cannot be read");
    assert!(refused.to_string().contains("clear the views"), "{refused}");
}

#[test]
fn accounts_in_use_are_kept_and_those_that_are_not_are_let_go() {
    let mut hot = Hot::new(400_000 / 40);
    let mut one = account(0);
    for round in 0..100 {
        let kept = hot.take(&account(1)).unwrap_or_default();
        hot.turn();
        hot.keep(account(1), kept);
        one = account(2 + round);
        hot.keep(one, Account::default());
        assert!(hot.len() <= 44, "bounded by its rows");
    }
    assert!(hot.take(&account(1)).is_some() && hot.take(&one).is_some(), "used lately");
    assert!(hot.take(&account(2)).is_none(), "not used since long ago");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_order_and_a_sale_that_nothing_covers_are_there_as_such() {
    let (own, mut ledger) = (Own::new().await, Ledger::new(1));
    let who = account(1);
    ledger.open(&who, "100000.00");
    let order_id = ledger.trade(&who, "ALFA", Side::Buy, 1, "100.00");
    ledger.command(&who, crate::testing::place("ALFA", Side::Buy, 1, "100.00"));
    let second = domain::ids::OrderId { seq: order_id.seq + 3, ..order_id };
    ledger.report(&who, second, ReportKind::Rejected);
    let sale = ImportTrade {
        instrument: crate::testing::instrument("BETA"),
        kind: Kind::Sale,
        quantity: Quantity::new(4),
        price: Some(price("50.25")),
        exchange: None,
        trade_id: None,
        executed_at: Timestamp::parse("2020-01-06T10:00:00+05:30").expect("a time"),
    };
    ledger.command(&who, sale);
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let projector = Projector::start(Arc::new(log.clone()), views.clone(), clock());
    let expected = replayed(&log).await;
    caught_up(&projector, &expected).await;
    projector.stop().await;
    check(&views, &expected.views).await;
    let sql = "select status || ' ' || coalesce(reason, '') from orders order by seq";
    assert_eq!(own.texts(sql).await, ["filled ", "rejected RMS: limit"]);
    let sql = "select kind || ' ' || acquired || ' ' || quantity || ' ' || amount from lots";
    assert_eq!(own.texts(sql).await, ["short 2020-01-06 4 201.00"]);
}
