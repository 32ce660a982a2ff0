//! What holds after any commands in any order: money conserved, blocks accounted for, refusals silent, postings balanced.
mod support;

use domain::{
    book::{self, Book, Context},
    calendar::CalendarMode,
    command::Command,
    event::{Event, EventData},
    fund::{Asked, Status as FundStatus},
    history::Kind,
    ids::{AccountId, Folio, OrderId},
    intraday::Intraday,
    market::{self, Fact, Market},
    money::{Money, Percent, Price, Quantity, Rounding, Units},
    order::{Expire, Product, ReportKind, Side},
    policy::Policy,
    posting::postings,
    time::Timestamp,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::*;

/// Commands over few accounts' worth of orders, so that they meet each other; days pass in between.
fn commands() -> impl Strategy<Value = Vec<(i64, Command)>> {
    let seq = || 1u64..40;
    let limit = || (1500i64..2500).prop_map(|ticks| format!("{}.{:02}", ticks * 5 / 100, ticks * 5 % 100));
    let command = prop_oneof![
        2 => (1i64..5_000_000).prop_map(|paise| Command::from(domain::cash::Deposit { amount: Money::from_smallest(paise) })),
        1 => (1i64..3_000_000).prop_map(|paise| Command::from(domain::cash::Withdraw { amount: Money::from_smallest(paise) })),
        6 => (any::<bool>(), 1i64..40, limit(), any::<bool>()).prop_map(|(is_buy, quantity, limit, is_market)| {
            let side = if is_buy { Side::Buy } else { Side::Sell };
            order(side, quantity, (!is_market).then_some(limit.as_str())).into()
        }),
        5 => (any::<bool>(), 1i64..40, limit(), any::<bool>()).prop_map(|(is_buy, quantity, limit, is_market)| {
            let side = if is_buy { Side::Buy } else { Side::Sell };
            mis(order(side, quantity, (!is_market).then_some(limit.as_str()))).into()
        }),
        3 => (any::<bool>(), 1i64..40, 1i64..300, 0i64..20, any::<bool>(), any::<bool>()).prop_map(
            |(is_buy, quantity, away, further, is_market, is_intraday)| {
                let (side, sign) = if is_buy { (Side::Buy, 1) } else { (Side::Sell, -1) };
                let at = |ticks: i64| Price::from_smallest(1_000_000 + sign * ticks * 500).to_string();
                let limit = at(away + further);
                let stop = stop(side, quantity, &at(away), (!is_market).then_some(limit.as_str()));
                if is_intraday { mis(stop) } else { stop }.into()
            }
        ),
        2 => (1i64..30).prop_map(|quantity| convert(quantity).into()),
        3 => (seq(), 0u32..12, 0i32..4).prop_map(|(seq, trade, days)| {
            let day = date("2026-11-23").plus_days(days).to_string();
            cancel_trade(seq, &format!("T{trade}"), &day, "2026-11-23T11:00:00+05:30").into()
        }),
        2 => (seq(), 1i64..60, limit()).prop_map(|(seq, quantity, limit)| change(seq, Some(quantity), Some(&limit)).into()),
        1 => seq().prop_map(|seq| cancel(seq).into()),
        5 => (seq(), 0usize..6).prop_map(|(seq, kind)| {
            let kinds = [ReportKind::Triggered, ReportKind::Accepted, ReportKind::Rejected, ReportKind::Modified, ReportKind::Cancelled, ReportKind::Expired];
            report(seq, kinds[kind]).into()
        }),
        8 => (seq(), 0u32..12, 1i64..30, limit(), 0i32..3).prop_map(|(seq, trade, quantity, limit, days)| {
            let at = time("2026-11-23T10:02:00+05:30").plus_micros(i64::from(days) * 86_400_000_000).to_string();
            fill_at(seq, &format!("T{trade}"), quantity, &limit, &at).into()
        }),
        1 => seq().prop_map(|seq| Expire { order_id: order_id(seq) }.into()),
        2 => (1i64..900_000).prop_map(|paise| domain::fund::Purchase { scheme: scheme(), amount: Money::from_smallest(paise), folio: None }.into()),
        1 => (1i64..90_000).prop_map(|smallest| {
            domain::fund::Redemption { scheme: scheme(), folio: folio(), units: Some(Units::from_smallest(smallest)), amount: None, all: None }.into()
        }),
        3 => (seq(), 1i64..90_000).prop_map(|(seq, smallest)| {
            allotment(seq, "40.0000", &Units::from_smallest(smallest).to_string(), None, Some(("100.00", "2026-11-25"))).into()
        }),
        1 => seq().prop_map(|seq| fund_rejection(seq).into()),
        1 => (1i64..50, any::<bool>()).prop_map(|(quantity, sale)| {
            imported(if sale { Kind::Sale } else { Kind::Purchase }, quantity, Some("90.00"), "2025-01-15").into()
        }),
        1 => (1i64..50_000, any::<bool>()).prop_map(|(smallest, sale)| {
            imported_units(if sale { Kind::Sale } else { Kind::Purchase }, &Units::from_smallest(smallest).to_string(), Some("90.00")).into()
        }),
    ];
    proptest::collection::vec((0i64..5 * 3600, command), 1..120)
}

fn market() -> Market {
    let facts: [Fact; 4] = [
        listed("EQ", Some("0.05"), Some(20)).into(),
        closed("2026-11-20", "100.00").into(),
        known_scheme().into(),
        nav_of("2026-11-20", "40.0000").into(),
    ];
    facts.iter().fold(Market::default(), |market, fact| {
        let event = market::decide(&market, fact, time("2026-11-21T00:00:00+05:30"));
        market::evolve(market, &event)
    })
}

/// Runs the commands with everything due in between; gives the book, and of every entry when it was recorded and its events.
fn run(
    commands: &[(i64, Command)],
    mut check: impl FnMut(&Book, &[Event], &Book),
) -> (Book, Vec<(Timestamp, Vec<Event>)>) {
    let (market, policy) = (market(), Policy::default());
    let mut book = Book::new(AccountId::new("ACC1").expect("id"));
    let mut log = Vec::new();
    let mut now = time("2026-11-23T09:00:00+05:30");
    let mut step = |book: Book, command: &Command, now: Timestamp| {
        let context = Context { now, market: &market, calendar: CalendarMode::Exchange, policy: &policy };
        let events = book::decide(&book, command, &context);
        let before = book.clone();
        let after = book::fold(book, before.seq + 1, now, &events);
        check(&before, &events, &after);
        log.push((now, events));
        after
    };
    book = step(book, &open().into(), now);
    for (seconds, command) in commands {
        now = now.plus_micros(seconds * 1_000_000);
        loop {
            let context = Context { now, market: &market, calendar: CalendarMode::Exchange, policy: &policy };
            let Some((_, due)) = book::due(&book, &context, 1).pop() else { break };
            book = step(book, &due, now);
        }
        book = step(book, command, now);
    }
    (book, log)
}

fn is_refusal(events: &[Event]) -> bool {
    matches!(events, [Event { data: EventData::CommandRefused(_), .. }])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn money_is_conserved_and_every_block_has_its_order(commands in commands()) {
        let mut posted = Money::ZERO;
        run(&commands, |_, events, book| {
            for event in events {
                match &event.data {
                    EventData::CashDeposited(deposited) => posted += deposited.amount,
                    EventData::CashWithdrawn(withdrawn) => posted -= withdrawn.amount,
                    EventData::CashPosted(cash) => posted += cash.amount,
                    _ => {}
                }
            }
            assert_eq!(book.cash.settled + book.cash.receivable() - book.cash.payable(), posted);
            let orders: Money = book.orders.values().map(|order| order.blocked).sum();
            let purchases: Money = book.fund_orders.values().filter(|order| order.status == FundStatus::Requested).map(|order| match order.asked {
                Asked::Purchase { amount, .. } => amount,
                Asked::Redemption { .. } => Money::ZERO,
            }).sum();
            let margins: Money = book.intraday.values().map(|standing| standing.position.margin).sum();
            assert_eq!(book.cash.blocked, orders + purchases + margins);
            for standing in book.intraday.values() {
                let Intraday { quantity, value, margin } = standing.position;
                assert_eq!(quantity.is_zero(), value.is_zero());
                assert_eq!(Some(margin), Percent::whole(20).of(value, Rounding::Up));
            }
            assert!(book.cash.due.values().all(|due| due.usable <= due.receivable && !due.usable.is_negative()));
        });
    }

    #[test]
    fn filled_and_pending_and_cancelled_make_the_quantity(commands in commands()) {
        run(&commands, |_, _, book| {
            for order in book.orders.values() {
                assert_eq!(order.filled + order.pending() + order.cancelled(), order.quantity);
                assert!(!order.pending().is_negative() && !order.cancelled().is_negative());
                if order.waiting.is_none() {
                    let (cash, held) = match order.side {
                        _ if order.product == Product::Mis => {
                            assert!(order.opening <= order.pending() && !order.opening.is_negative());
                            let value = order.block_price.unwrap_or_default().times(order.opening, Rounding::Up);
                            (value.and_then(|value| order.margin.of(value, Rounding::Up)), Quantity::ZERO)
                        }
                        Side::Buy => (order.block_price.and_then(|price| price.times(order.pending(), Rounding::Up)), Quantity::ZERO),
                        Side::Sell => (Some(Money::ZERO), order.pending()),
                    };
                    assert_eq!((Some(order.blocked), order.blocked_quantity), (cash, held));
                }
                for side in [Side::Buy, Side::Sell] {
                    // What squares off closes all that is open, beside orders that the venue has not cancelled yet.
                    let of = |order: &&domain::order::Order| {
                        order.product == Product::Mis && order.side == side && !order.status.is_final() && !order.squares_off
                    };
                    let of_session = |order: &&domain::order::Order| book.intraday.contains_key(&(order.session_date, order.instrument));
                    let closing: Quantity = book.orders.values().filter(of).filter(of_session).map(|order| order.closing()).sum();
                    let open = book.intraday.values().map(|standing| standing.position.quantity).map(|open| if side == Side::Sell { open } else { -open });
                    let closable: Quantity = open.filter(|open| open.is_positive()).sum();
                    assert!(closing <= closable, "{closing} would close {closable}");
                }
                if order.status.is_final() {
                    assert_eq!((order.blocked, order.blocked_quantity), (Money::ZERO, Quantity::ZERO));
                }
            }
        });
    }

    #[test]
    fn shares_and_units_are_the_sum_of_their_movements(commands in commands()) {
        let (mut moved, mut intraday) = (Quantity::ZERO, Quantity::ZERO);
        let mut units: BTreeMap<Folio, Units> = BTreeMap::new();
        run(&commands, |_, events, book| {
            for event in events {
                match &event.data {
                    EventData::PositionChanged(changed) if changed.product == Product::Cnc => {
                        moved += changed.moved.total();
                    }
                    EventData::PositionChanged(changed) => {
                        intraday += changed.moved.total();
                        assert_eq!(changed.position.total(), intraday);
                    }
                    EventData::FolioChanged(changed) => *units.entry(changed.folio).or_default() += changed.moved,
                    _ => {}
                }
            }
            let open: Quantity = book.intraday.values().map(|standing| standing.position.quantity).sum();
            assert_eq!(open, intraday);
            let position = book.positions.get(&instrument()).cloned().unwrap_or_default();
            assert_eq!(position.shares.total(), moved);
            assert_eq!(position.t1.values().copied().sum::<Quantity>(), position.shares.t1);
            let blocked: Quantity = book.orders.values().map(|order| order.blocked_quantity).sum();
            assert_eq!(position.blocked, blocked);
            for (folio, total) in &units {
                assert_eq!(book.folios[&(scheme(), *folio)].units, *total);
            }
        });
    }

    #[test]
    fn a_refused_command_leaves_everything_as_it_was(commands in commands()) {
        run(&commands, |before, events, after| {
            if is_refusal(events) {
                // Time may take away what is closed and settled; nothing else changes.
                assert_eq!((&after.cash, &after.positions, &after.folios), (&before.cash, &before.positions, &before.folios));
                for (seq, order) in &before.orders {
                    assert!(after.orders.get(seq).map_or(order.status.is_final(), |after| after == order));
                }
                assert!(after.orders.len() <= before.orders.len() && after.trades.len() <= before.trades.len());
                assert_eq!(after.unmatched, before.unmatched);
            }
        });
    }

    #[test]
    fn folding_the_log_again_gives_the_same_book(commands in commands()) {
        let (live, log) = run(&commands, |_, _, _| {});
        let mut replayed = Book::new(live.account);
        for (seq, (now, events)) in (1..).zip(&log) {
            replayed = book::fold(replayed, seq, *now, events);
        }
        prop_assert_eq!(replayed, live);
    }

    #[test]
    fn folding_on_from_a_book_that_was_kept_gives_the_same_book(commands in commands(), cut in any::<prop::sample::Index>()) {
        let (live, log) = run(&commands, |_, _, _| {});
        let cut = cut.index(log.len());
        let mut book = Book::new(live.account);
        for (seq, (now, events)) in (1..).zip(&log) {
            book = book::fold(book, seq, *now, events);
            if seq == cut as u64 + 1 {
                let kept = postcard::to_stdvec(&book).unwrap();
                let read: Book = postcard::from_bytes(&kept).unwrap();
                prop_assert_eq!(&read, &book);
                book = read;
            }
        }
        prop_assert_eq!(book, live);
    }

    #[test]
    fn what_is_closed_leaves_and_what_is_not_stays(commands in commands()) {
        let mut last = BTreeMap::new();
        let (book, log) = run(&commands, |_, _, book| last.extend(book.orders.clone()));
        let today = log.last().unwrap().0.date();
        for (seq, order) in &last {
            prop_assert_eq!(book.orders.contains_key(seq), !order.status.is_final() || order.leaves_on() > today, "{:?}", order);
        }
        for content in book.trades.values().filter_map(|content| content.order) {
            let known = last.get(&content).is_none_or(|order| order.leaves_on() > today || !order.status.is_final());
            prop_assert!(known || !book.unmatched.is_empty());
        }
    }

    #[test]
    fn every_event_posts_in_balance(commands in commands()) {
        run(&commands, |_, events, _| {
            for event in events {
                let mut sums: BTreeMap<_, i64> = BTreeMap::new();
                for posting in postings(event) {
                    *sums.entry(posting.commodity).or_default() += posting.amount;
                }
                assert!(sums.values().all(|sum| *sum == 0), "{event:?}");
            }
        });
    }

    #[test]
    fn a_request_is_accepted_only_when_cash_and_shares_cover_it(commands in commands()) {
        run(&commands, |before, events, after| {
            let asked = events.iter().any(|event| matches!(
                event.data,
                EventData::OrderRequested(_) | EventData::ModificationRequested(_) | EventData::FundPurchaseRequested(_) | EventData::CashWithdrawn(_)
            ));
            if asked && after.cash.available() < before.cash.available() {
                assert!(!after.cash.available().is_negative());
            }
        });
    }

    #[test]
    fn nothing_stays_due_that_was_done(commands in commands()) {
        let (book, _) = run(&commands, |_, _, _| {});
        let far = time("2027-01-04T23:00:00+05:30");
        let (market, policy) = (market(), Policy::default());
        let context = Context { now: far, market: &market, calendar: CalendarMode::Exchange, policy: &policy };
        let mut book = book;
        for _ in 0..2_000 {
            let Some((id, command)) = book::due(&book, &context, 1).pop() else { break };
            let events = book::decide(&book, &command, &context);
            prop_assert!(!is_refusal(&events), "{} was refused: {:?}", id, events);
            let seq = book.seq + 1;
            book = book::fold(book, seq, far, &events);
        }
        prop_assert_eq!(book::next_due(&book, &context), None);
        prop_assert!(book.cash.due.is_empty());
        prop_assert!(book.orders.iter().all(|(seq, order)| order.status.is_final() || *seq == 0), "{:?}", OrderId::new("ACC1-1"));
    }
}
