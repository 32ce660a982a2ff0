//! What must hold after any history: money conserved, cash as the book has it, rows the same however they are folded.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use domain::{
    cash::{Deposit, Withdraw},
    ids::AccountId,
    money::Money,
    order::Side::Buy,
    time::{Date, Timestamp},
};
use event_log::{EventLog, RecordKind, Topic, memory::Memory};
use event_schemas::entry::decode_entry;
use projections::{
    AsOf, Moment, Page, Position, Reading, Replay, Until, Views,
    cash::CashRow,
    follow, past,
    pnl::Pnl,
    portfolio::Portfolio,
    replay,
    testing::{Ledger, account, day_price, money},
    verify,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use std::{collections::BTreeMap, sync::Arc};
use support::{WAIT, entries, everything, everything_now, histories};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(future)
}

#[derive(Default)]
struct Rows {
    pnl: Pnl,
    cash: CashRow,
    portfolio: Portfolio,
}

async fn folded(ledger: &Ledger) -> BTreeMap<AccountId, Rows> {
    let mut accounts: BTreeMap<AccountId, Rows> = BTreeMap::new();
    for entry in entries(ledger).await {
        let rows = accounts.entry(entry.account).or_default();
        for event in &entry.events {
            rows.pnl.fold(event);
            rows.cash.fold(event);
            rows.portfolio.fold(event);
        }
    }
    accounts
}

fn total(trades: &[projections::pnl::DayTrade]) -> Money {
    trades.iter().map(|trade| trade.value).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cash_is_to_the_paisa_what_the_book_has(ledger in histories(120)) {
        for (account, rows) in block_on(folded(&ledger)) {
            prop_assert_eq!(&rows.cash.cash, &ledger.book(&account).unwrap().cash);
        }
    }

    #[test]
    fn gains_and_remaining_cost_are_exactly_purchases_and_sales(ledger in histories(120)) {
        for (_, rows) in block_on(folded(&ledger)) {
            for of in rows.pnl.instruments.values() {
                let day_bought: Money = of.days.iter().map(|day| total(&day.bought)).sum();
                let day_sold: Money = of.days.iter().map(|day| total(&day.sold)).sum();
                let short: Money = of.lots.shorts().filter_map(|short| short.proceeds).sum();
                let (gains, lots) = (of.gains, of.lots.cost());
                let spent = lots + day_bought + gains.unknown_price_cost;
                let gained = of.intraday + gains.realised + gains.unknown_cost_proceeds + short + day_sold;
                prop_assert_eq!(of.bought - of.sold, spent - gained);
                let parts: Money = of.lots.lots().filter_map(|lot| lot.cost).sum();
                prop_assert_eq!(parts, lots);
                prop_assert!(of.lots.lots().len() == 0 || of.lots.shorts().len() == 0);
            }
            for of in rows.pnl.folios.values() {
                let short: Money = of.lots.shorts().filter_map(|short| short.proceeds).sum();
                let spent = of.lots.cost() + of.gains.unknown_price_cost;
                prop_assert_eq!(of.bought - of.sold, spent - of.gains.realised - of.gains.unknown_cost_proceeds - short);
            }
        }
    }

    #[test]
    fn lots_hold_as_many_shares_and_units_as_the_portfolio(ledger in histories(120)) {
        for (account, rows) in block_on(folded(&ledger)) {
            let book = ledger.book(&account).unwrap();
            for (id, of) in &rows.pnl.instruments {
                let held = rows.portfolio.positions.get(id).map_or(0, |shares| shares.total().shares());
                prop_assert_eq!(of.standing().quantity, held);
                let in_book = book.positions.get(id).map_or(0, |position| position.shares.total().shares());
                prop_assert_eq!(held, in_book);
            }
            for (key, of) in &rows.pnl.folios {
                let held = rows.portfolio.folios.get(key).map_or(0, |units| units.smallest());
                prop_assert_eq!(of.lots.quantity(), held);
            }
        }
    }

    #[test]
    fn following_gives_the_hashes_of_a_cold_replay_and_verify_is_clean(ledger in histories(80)) {
        block_on(async {
            let log = ledger.log().await;
            let port: Arc<dyn EventLog> = Arc::new(log);
            let partitions = port.partitions(Topic::Ledger);
            let views = Views::new(partitions, partitions);
            let worker = follow(Arc::clone(&port), Arc::clone(&views));
            let verified = verify(Arc::clone(&port), Replay::default(), |_| ()).await.unwrap();
            prop_assert_eq!(verified.difference, None);
            prop_assert!(views.wait_for(&verified.replayed.position, WAIT).await);
            prop_assert_eq!(views.state_hashes(), verified.replayed.views.state_hashes());
            worker.stop().await;
            Ok(())
        })?;
    }

    #[test]
    fn orders_stand_as_in_the_book_and_their_parts_are_the_whole(ledger in histories(100)) {
        block_on(async {
            let replayed = replay(Arc::new(ledger.log().await), Replay::default(), |_| ()).await.unwrap();
            for account in replayed.views.accounts() {
                let book = ledger.book(&account).unwrap();
                for (seq, order) in &book.orders {
                    let order_id = domain::ids::OrderId { account, seq: *seq };
                    replayed.views.read(&account, |reading| {
                        let Some(seen) = reading.order(&order_id).unwrap() else {
                            assert!(order.status.is_final(), "only what is closed has left");
                            return;
                        };
                        assert_eq!((seen.status, seen.filled, seen.quantity), (order.status, order.filled, order.quantity));
                        assert_eq!((seen.blocked, seen.blocked_quantity), (order.blocked, order.blocked_quantity));
                        assert_eq!(seen.waiting.is_some(), order.waiting.is_some());
                        assert_eq!(seen.filled + seen.pending + seen.cancelled, seen.quantity);
                    });
                }
            }
        });
    }

    #[test]
    fn what_has_happened_by_the_end_of_time_is_what_is_held_now(ledger in histories(80)) {
        block_on(effective_at_the_end(&ledger))?;
    }

    #[test]
    fn what_is_refused_leaves_every_row_as_it_was(ledger in histories(120)) {
        block_on(refusals_change_nothing(&ledger));
    }

    #[test]
    fn an_account_as_of_every_offset_is_a_fresh_fold_up_to_there(ledger in histories(24)) {
        block_on(as_of_every_offset(&ledger));
    }
}

async fn as_of_every_offset(ledger: &Ledger) {
    let log: Arc<dyn EventLog> = Arc::new(ledger.log().await);
    let now = replay(Arc::clone(&log), Replay::default(), |_| ()).await.unwrap().views;
    for partition in 0..log.partitions(Topic::Ledger) {
        for stored in log.read(Topic::Ledger, partition, 0, 10_000).await.unwrap() {
            if stored.record.headers.ce_type != RecordKind::Entry {
                continue;
            }
            let entry = decode_entry(&stored.record.value).unwrap();
            let mut until =
                Position { ledger: vec![Some(0); log.partitions(Topic::Ledger) as usize], market: Vec::new() };
            until.ledger[partition as usize] = Some(stored.offset + 1);
            until.market = entry.context.market.iter().copied().map(Some).collect();
            let fresh = Replay { until: Until::Position(until), ..Replay::default() };
            let fresh = replay(Arc::clone(&log), fresh, |_| ()).await.unwrap().views;
            for account in fresh.accounts() {
                let then = past(&*log, &now, &account, AsOf::Offset(stored.offset)).await.unwrap();
                let expected = everything_now(&*log, &fresh, &account).await;
                assert_eq!(everything(&then.reading()), expected, "{account} as of offset {}", stored.offset);
            }
            let time = Until::Time(entry.recorded_at);
            let fresh =
                replay(Arc::clone(&log), Replay { until: time, ..Replay::default() }, |_| ()).await.unwrap().views;
            let then = past(&*log, &now, &entry.account, AsOf::Time(entry.recorded_at)).await.unwrap();
            assert_eq!(everything(&then.reading()), everything_now(&*log, &fresh, &entry.account).await);
        }
    }
}

/// Gains may differ, since lots are sold in another order where facts came late; quantities and what was paid may not.
async fn effective_at_the_end(ledger: &Ledger) -> Result<(), TestCaseError> {
    let log: Arc<dyn EventLog> = Arc::new(ledger.log().await);
    let now = replay(Arc::clone(&log), Replay::default(), |_| ()).await.unwrap().views;
    let late = Timestamp::parse("2099-01-01T00:00:00+05:30").unwrap();
    for account in now.accounts() {
        let moment = Moment { recorded: None, effective_at: Some(late) };
        let then = past(&*log, &now, &account, moment).await.unwrap();
        let (then, in_order) = (seen(&then.reading()), in_order(ledger, &account).await);
        let older = projections::all_older(&*log, &now, &account).await.unwrap();
        let live = now.read(&account, |reading| seen(&reading.with(&older))).unwrap();
        prop_assert_eq!(&then.0, &live.0);
        if in_order {
            prop_assert_eq!(&then.1, &live.1);
        }
    }
    Ok(())
}

/// What no order of folding changes, and all of it.
fn seen(reading: &Reading<'_>) -> (String, String) {
    let page = Page { limit: Some(1000), cursor: None };
    let fixed = serde_json::json!({
        "account": reading.account().unwrap(),
        "orders": reading.orders(&Default::default(), &page).unwrap(),
        "trades": reading.trades(&Default::default(), &page).unwrap(),
        "fund_orders": reading.fund_orders(&Default::default(), &page).unwrap(),
        "cash": reading.cash().unwrap(),
        "positions": reading.positions(None, &page).unwrap(),
    });
    (fixed.to_string(), everything(reading))
}

async fn in_order(ledger: &Ledger, account: &AccountId) -> bool {
    let entries = entries(ledger).await;
    let of_account = entries.iter().filter(|entry| entry.account == *account);
    of_account.flat_map(|entry| &entry.events).map(|event| event.effective_at).is_sorted()
}

/// Refusals that were folded.
#[derive(Debug, Default)]
struct Met {
    commands: usize,
    facts: usize,
    /// Commands with whose entry rows left memory, as the first of a day.
    with_rows_that_left: usize,
}

/// All that can be seen of the views.
struct Seen {
    hashes: Vec<(&'static str, [u8; 32])>,
    /// Of each account its entries, and every answer, with rows that have left.
    accounts: BTreeMap<AccountId, (u64, String)>,
}

impl Seen {
    async fn of(log: &Memory, views: &Views) -> Self {
        let mut accounts = BTreeMap::new();
        for id in views.accounts() {
            let entries = views.read(&id, |reading| reading.account().unwrap().entries).unwrap();
            accounts.insert(id, (entries, everything_now(log, views, &id).await));
        }
        assert_eq!(views.stops(), []);
        Self { hashes: views.state_hashes().hashes, accounts }
    }
}

/// Folds a ledger record by record, the market first, and compares what is seen before and after each that refuses.
async fn refusals_change_nothing(ledger: &Ledger) -> Met {
    let all = ledger.log().await;
    let partitions = all.partitions(Topic::Ledger);
    let (log, views, mut met) = (Memory::new(partitions), Views::new(partitions, partitions), Met::default());
    let _worker = follow(Arc::new(log.clone()), Arc::clone(&views));
    let mut days: BTreeMap<AccountId, Date> = BTreeMap::new();
    for topic in [Topic::Market, Topic::Ledger] {
        for partition in 0..partitions {
            for stored in all.read(topic, partition, 0, usize::MAX).await.unwrap() {
                let headers = &stored.record.headers;
                let is_refused = &*headers.kinds == "command_refused";
                let before = if is_refused { Some(Seen::of(&log, &views).await) } else { None };
                log.append(topic, partition, Some(stored.offset), vec![stored.record.clone()]).await.unwrap();
                assert!(views.wait_for(&Position::after(topic, partition, stored.offset), WAIT).await);
                let of = (headers.ce_type == RecordKind::Entry).then(|| {
                    let entry = decode_entry(&stored.record.value).unwrap();
                    let today = entry.recorded_at.date();
                    (entry.account, days.insert(entry.account, today) != Some(today))
                });
                if let Some(before) = before {
                    met.compare(before, Seen::of(&log, &views).await, of);
                }
            }
        }
    }
    met
}

impl Met {
    /// A refused fact changes no view. A refused command is an entry of its account, so the journal counts it, and the
    /// answers say one entry more. With the account's first entry of a day what is over may leave memory, whatever the
    /// entry is: the hashes of orders and trades say what is in memory and what has left, so they may differ then; the
    /// answers do not, as rows that have left are answered with the others.
    fn compare(&mut self, mut before: Seen, after: Seen, of: Option<(AccountId, bool)>) {
        let changed = before.hashes.iter().zip(&after.hashes).filter(|(one, other)| one != other);
        let mut changed: Vec<&str> = changed.map(|(one, _)| one.0).collect();
        let Some((id, is_first_of_a_day)) = of else {
            self.facts += 1;
            assert_eq!((changed, before.accounts), (Vec::new(), after.accounts));
            return;
        };
        self.commands += 1;
        if is_first_of_a_day {
            let all = changed.len();
            changed.retain(|view| !["orders", "trades"].contains(view));
            self.with_rows_that_left += usize::from(changed.len() < all);
        }
        assert_eq!(changed, ["journal"], "{id}");
        match before.accounts.get_mut(&id) {
            Some((entries, answers)) => {
                *answers = answers.replacen(&counted(*entries), &counted(*entries + 1), 1);
                *entries += 1;
            }
            // It had no entry, and no other view has a row of it now.
            None => drop(before.accounts.insert(id, after.accounts[&id].clone())),
        }
        assert_eq!(before.accounts, after.accounts, "{id}");
    }
}

/// How the answers say how many entries an account has.
fn counted(entries: u64) -> String {
    format!("\"entries\":{entries},")
}

#[test]
fn the_histories_hold_refused_commands_and_facts_and_rows_that_leave_with_them() {
    let (mut runner, mut met) = (TestRunner::deterministic(), Met::default());
    for _ in 0..96 {
        let ledger = histories(120).new_tree(&mut runner).unwrap().current();
        let more = block_on(refusals_change_nothing(&ledger));
        met.commands += more.commands;
        met.facts += more.facts;
        met.with_rows_that_left += more.with_rows_that_left;
    }
    assert!(met.commands > 300 && met.facts > 3 && met.with_rows_that_left > 3, "{met:?}");
}

#[tokio::test]
async fn a_refusal_changes_nothing_where_it_comes_first_or_lets_rows_leave() {
    let mut ledger = Ledger::new(1);
    ledger.command(&account(2), Deposit { amount: money("1.00") });
    ledger.open(&account(1), "1000.00");
    ledger.trade(&account(1), "ALFA", Buy, 2, "100.00");
    ledger.at("2026-11-25T09:00:00+05:30").all_due(&account(1));
    ledger.at("2026-12-01T09:00:00+05:30");
    for _ in 0..2 {
        ledger.command(&account(1), Withdraw { amount: money("5000.00") });
        ledger.fact(day_price("ALFA", "2026-11-20", "100.00"));
    }
    let met = refusals_change_nothing(&ledger).await;
    assert_eq!((met.commands, met.facts, met.with_rows_that_left), (3, 2, 1));
}
