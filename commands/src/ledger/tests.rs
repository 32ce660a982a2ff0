//! Books decided live and folded again from what was written are the same books.

use super::*;
use crate::{
    config::Config,
    outcome::OutcomeResult,
    subject::{How, Place, Subject, Written},
};
use domain::{
    account, cash, fund, history, ids::OrderId, market as facts, money::*, order, posting::postings, time::Date,
};
use event_log::{Headers, Record};
use proptest::prelude::*;
use std::collections::BTreeMap;

const MORNING: &str = "2026-11-24T10:00:00+05:30";

struct Still;

impl crate::Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::parse(MORNING).unwrap()
    }
}

fn market() -> Arc<Followed> {
    let followed = Followed::new(1, 0);
    let at = Timestamp::parse(MORNING).unwrap();
    let listed = facts::Instrument {
        instrument: "NSE:ACME".parse().unwrap(),
        isin: None,
        symbol: "ACME".parse().unwrap(),
        exchange: "NSE".parse().unwrap(),
        series: "EQ".parse().unwrap(),
        tick_size: Some(Price::parse("0.05").unwrap()),
        band_percent: None,
        from: None,
        corrects: None,
    };
    let scheme = facts::Scheme {
        scheme: "100".parse().unwrap(),
        name: "Fund".into(),
        isin_growth: None,
        isin_reinvestment: None,
        amc: None,
        category: None,
        plan: None,
        option: None,
        corrects: None,
    };
    let last = facts::LastPrice { instrument: "NSE:ACME".parse().unwrap(), last: Price::parse("100.00").unwrap(), at };
    followed.change(|mut market| {
        for fact in [facts::Fact::from(listed), facts::Fact::from(scheme), facts::Fact::from(last)] {
            let event = facts::decide(&market, &fact, at);
            market = facts::evolve(market, &event);
        }
        market
    });
    followed
}

fn ledger(followed: &Arc<Followed>) -> Ledger {
    let mut config = Config::new(Arc::new(Still));
    config.calendar = CalendarMode::AlwaysOpen;
    Ledger::new(Arc::clone(followed), &config, 1)
}

fn money(paise: i64) -> Money {
    Money::from_smallest(paise)
}

/// Commands about few accounts and orders, so that they meet.
fn command() -> impl Strategy<Value = Command> {
    let order_id = (0..2_usize, 1..20_u64).prop_map(|(account, seq)| OrderId { account: name(account), seq });
    let price = (1..50_i64).prop_map(|ticks| Price::from_smallest(ticks * 50_000));
    let quantity = (0..200_i64).prop_map(Quantity::new);
    let side = prop_oneof![Just(order::Side::Buy), Just(order::Side::Sell)];
    let at = Timestamp::parse(MORNING).unwrap();
    prop_oneof![
        1 => Just(Command::OpenAccount(account::Open {})),
        2 => (-1..1_000_000_i64).prop_map(|paise| Command::DepositCash(cash::Deposit { amount: money(paise) })),
        1 => (-1..1_000_000_i64).prop_map(|paise| Command::WithdrawCash(cash::Withdraw { amount: money(paise) })),
        5 => (side.clone(), quantity.clone(), prop::option::of(price.clone())).prop_map(|(side, quantity, price)| {
            let order_type = if price.is_some() { order::OrderType::Limit } else { order::OrderType::Market };
            Command::PlaceOrder(order::Place {
                instrument: "NSE:ACME".parse().unwrap(), side, quantity, order_type, price,
                product: order::Product::Cnc, validity: order::Validity::Day,
                market_protection: None, trigger_price: None, disclosed_quantity: None, tag: None, algo_id: None,
            })
        }),
        3 => (order_id.clone(), 0..4_u8).prop_map(move |(order_id, kind)| {
            let report = [order::ReportKind::Accepted, order::ReportKind::Rejected,
                order::ReportKind::Modified, order::ReportKind::Cancelled][usize::from(kind)];
            Command::ReportOrder(order::Report {
                order_id, report, exchange_order_id: None, reason: None, quantity: None, price: None, at })
        }),
        4 => (order_id.clone(), quantity.clone(), price.clone(), 0..30_u32).prop_map(
            move |(order_id, quantity, price, trade)| Command::RecordFill(order::Fill {
                order_id, trade_id: format!("T{trade}").parse().unwrap(), quantity, price,
                executed_at: at, instrument: None, side: None })
        ),
        1 => (order_id.clone(), prop::option::of(quantity.clone()), prop::option::of(price.clone())).prop_map(
            |(order_id, quantity, price)| Command::ModifyOrder(order::Modify {
                order_id, quantity, price, trigger_price: None, order_type: None, validity: None })
        ),
        1 => order_id.prop_map(|order_id| Command::CancelOrder(order::Cancel { order_id, due_to: None })),
        1 => (1..1_000_000_i64).prop_map(|paise| Command::RequestFundPurchase(fund::Purchase {
            scheme: "100".parse().unwrap(), amount: money(paise), folio: None })),
        1 => (quantity, prop::option::of(price)).prop_map(move |(quantity, price)| {
            Command::ImportTrade(history::ImportTrade {
                instrument: "NSE:ACME".parse().unwrap(), kind: history::Kind::Purchase, quantity, price,
                exchange: None, trade_id: None, executed_at: at })
        }),
    ]
}

fn name(number: usize) -> AccountId {
    AccountId::new(["A", "B"][number]).unwrap()
}

fn submission(number: usize, account: usize, command: Command) -> Prepared<AskedCommand> {
    let by = By { subject: "p".into(), role: Submitter::Operator, session: None, origin: None, algo_id: None };
    prepare(Submission {
        account: name(account),
        id: CommandId::new(&format!("c{number}")).unwrap(),
        by: Arc::new(by),
        command,
        request_id: None,
        min_market: None,
        min_position: None,
        issued_at: Timestamp::parse(MORNING).unwrap(),
        traceparent: None,
    })
}

fn stored(number: usize, written: Written) -> Stored {
    let headers = Headers::claim(1, 1, written.ce_id, 0);
    Stored { offset: number as u64, record: Record { key: Some(written.key), headers, value: written.value } }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn books_decided_live_equal_books_folded_again_and_money_is_conserved(
        commands in prop::collection::vec((0..2_usize, command(), 0..3_i64), 1..120)
    ) {
        let followed = market();
        let (mut live, mut replayed) = (ledger(&followed), ledger(&followed));
        let mut now = Timestamp::parse(MORNING).unwrap();
        let mut numbers = 0..;
        let mut known: BTreeMap<[u8; 16], ()> = BTreeMap::new();
        let opening = (0..2).map(|account| (account, Command::OpenAccount(account::Open {}), 0));
        for (account, command, days) in opening.chain(commands) {
            now = Date::start(now.date().plus_days(i32::try_from(days).unwrap())).max(now).plus_micros(1);
            let mut work = vec![submission(numbers.next().unwrap(), account, command)];
            work.extend(live.due(now, 1_000, None, &|key| known.contains_key(&key.0)));
            for prepared in work {
                known.insert(prepared.key.0, ());
                let number = numbers.next().unwrap();
                let place = Place { offset: number as u64, source: number as i64, recorded_at: now };
                let before = live.book(&prepared.item.account);
                let written = live.answer(&prepared, How::Decide, place).expect("folding does not fail");
                let entry = decode_entry(&written.value).unwrap().into_owned();
                prop_assert_eq!(&Outcome::of_entry(&entry), &written.outcome);
                let mut sums: BTreeMap<_, i64> = BTreeMap::new();
                for posting in entry.events.iter().flat_map(postings) {
                    *sums.entry(posting.commodity).or_default() += posting.amount;
                }
                prop_assert!(sums.values().all(|sum| *sum == 0), "{:?}", entry.events);
                if let (OutcomeResult::Refused { .. }, Some(mut before)) = (&written.outcome.result, before) {
                    before = book::fold(before.clone(), before.seq + 1, now, &[]);
                    let after = live.book(&prepared.item.account).unwrap();
                    prop_assert_eq!(before, after, "a refusal changes nothing");
                }
                replayed.replay(&stored(number, written)).unwrap();
            }
        }
        for account in 0..2 {
            prop_assert_eq!(live.book(&name(account)), replayed.book(&name(account)));
            for order in live.book(&name(account)).unwrap().orders.values() {
                prop_assert_eq!(order.filled + order.pending() + order.cancelled(), order.quantity);
            }
        }
    }
}
