//! What must hold after any history: money conserved, cash as the book has it, rows the same however they are folded.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use domain::{ids::AccountId, money::Money, time::Timestamp};
use event_log::{EventLog, RecordKind, Topic};
use event_schemas::entry::decode_entry;
use projections::{
    AsOf, Moment, Page, Position, Reading, Replay, Until, Views, cash::CashRow, follow, past, pnl::Pnl,
    portfolio::Portfolio, replay, testing::Ledger, verify,
};
use proptest::prelude::*;
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
