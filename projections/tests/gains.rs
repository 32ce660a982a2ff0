//! Lots and gains by example, with sums a reader can check by hand.

mod support;

use domain::{
    event::Event,
    fund::{Allotment, Answer, Purchase, Redemption, ReportAllotment},
    history::{ImportTrade, ImportUnits, Kind},
    ids::FundOrderId,
    money::{Money, Nav, Quantity, Units},
    order::Side::{Buy, Sell},
    time::{Date, Timestamp},
};
use projections::{
    pnl::{Instrument, Pnl, Standing},
    testing::{Ledger, account, folio, instrument, money, price, scheme},
};
use support::entries;

async fn alfa(ledger: &Ledger) -> Instrument {
    let mut pnl = pnl(ledger).await;
    pnl.instruments.remove(&instrument("ALFA")).expect("traded")
}

async fn pnl(ledger: &Ledger) -> Pnl {
    let mut pnl = Pnl::default();
    let events: Vec<Event> = entries(ledger).await.into_iter().flat_map(|entry| entry.events).collect();
    events.iter().for_each(|event| pnl.fold(event));
    pnl
}

fn lots(of: &Instrument) -> Vec<(i64, Option<Money>)> {
    of.lots.lots().map(|lot| (lot.quantity, lot.cost)).collect()
}

fn opened() -> Ledger {
    let mut ledger = Ledger::new(1);
    ledger.open(&account(1), "1000000.00");
    ledger
}

fn next_day(ledger: &mut Ledger, time: &str) {
    ledger.at(time).all_due(&account(1));
}

fn import(ledger: &mut Ledger, date: &str, kind: Kind, quantity: i64, at: Option<&str>) {
    let row = ImportTrade {
        instrument: instrument("ALFA"),
        kind,
        quantity: Quantity::new(quantity),
        price: at.map(price),
        exchange: None,
        trade_id: None,
        executed_at: Date::parse(date).expect("a date").start(),
    };
    ledger.command(&account(1), row);
}

#[tokio::test]
async fn a_sale_takes_the_oldest_lot_first_and_what_remains_keeps_its_cost() {
    let mut ledger = opened();
    ledger.trade(&account(1), "ALFA", Buy, 10, "100.00");
    next_day(&mut ledger, "2026-11-24T10:00:00+05:30");
    ledger.trade(&account(1), "ALFA", Buy, 10, "110.00");
    next_day(&mut ledger, "2026-11-25T10:00:00+05:30");
    ledger.trade(&account(1), "ALFA", Sell, 15, "115.00");
    next_day(&mut ledger, "2026-11-26T10:00:00+05:30");
    let of = alfa(&ledger).await;
    // 15 x 115 = 1725, less 10 x 100 and 5 x 110.
    assert_eq!(of.gains.realised, money("175.00"));
    assert_eq!(of.intraday, Money::ZERO);
    assert_eq!(lots(&of), [(5, Some(money("550.00")))]);
}

#[tokio::test]
async fn what_is_bought_and_sold_on_one_day_nets_before_any_lot_is_touched() {
    let mut ledger = opened();
    ledger.trade(&account(1), "ALFA", Buy, 10, "90.00");
    next_day(&mut ledger, "2026-11-24T10:00:00+05:30");
    ledger.trade(&account(1), "ALFA", Buy, 10, "100.00");
    ledger.trade(&account(1), "ALFA", Sell, 4, "110.00");
    let open = alfa(&ledger).await;
    // Not netted yet: 4 x 110 less 4 x 100 is provisional, and no lot is touched.
    let standing = Standing {
        quantity: 16,
        unknown_quantity: 0,
        cost: money("1500.00"),
        provisional: money("40.00"),
        is_provisional: true,
    };
    assert_eq!(open.standing(), standing);
    // Were it a trade-to-trade series, all would be delivered: 4 x 110 less 4 x 90 of the oldest lot.
    let gross = Standing { cost: money("1540.00"), provisional: money("80.00"), ..standing };
    assert_eq!(open.standing_where(|_| true), gross);
    assert_eq!((open.intraday, open.gains.realised), (Money::ZERO, Money::ZERO));
    next_day(&mut ledger, "2026-11-25T10:00:00+05:30");
    let netted = alfa(&ledger).await;
    assert_eq!(netted.intraday, money("40.00"));
    assert_eq!(lots(&netted), [(10, Some(money("900.00"))), (6, Some(money("600.00")))]);
    assert_eq!(netted.standing(), Standing { provisional: Money::ZERO, is_provisional: false, ..standing });
}

#[tokio::test]
async fn a_sale_beyond_the_days_purchases_takes_lots_for_the_rest() {
    let mut ledger = opened();
    ledger.trade(&account(1), "ALFA", Buy, 10, "90.00");
    next_day(&mut ledger, "2026-11-24T10:00:00+05:30");
    ledger.trade(&account(1), "ALFA", Sell, 8, "110.00");
    ledger.trade(&account(1), "ALFA", Buy, 3, "105.00");
    let open = alfa(&ledger).await;
    // Intraday 3 x (110 - 105) = 15; delivery 5 x (110 - 90) = 100.
    assert_eq!(open.standing().provisional, money("115.00"));
    assert_eq!(open.standing().cost, money("450.00"));
    next_day(&mut ledger, "2026-11-25T10:00:00+05:30");
    let netted = alfa(&ledger).await;
    assert_eq!((netted.intraday, netted.gains.realised), (money("15.00"), money("100.00")));
    assert_eq!(lots(&netted), [(5, Some(money("450.00")))]);
}

#[tokio::test]
async fn a_third_of_a_paisa_is_never_lost_between_parts_of_a_lot() {
    let mut ledger = opened();
    import(&mut ledger, "2020-01-06", Kind::Purchase, 3, Some("33.3333"));
    // 3 x 33.3333 = 99.9999, rounded half up to 100.00.
    for (sold, cost_left) in [(1, "66.67"), (1, "33.33"), (1, "0.00")] {
        import(&mut ledger, "2020-01-07", Kind::Sale, sold, Some("40.00"));
        assert_eq!(alfa(&ledger).await.lots.cost(), money(cost_left));
    }
    assert_eq!(alfa(&ledger).await.gains.realised, money("20.00"));
}

#[tokio::test]
async fn after_a_split_and_a_bonus_the_split_lot_is_sold_first() {
    // Bajaj Finance 2016: 1 at 10,850 becomes 5, then 5 more for nothing.
    let mut ledger = opened();
    import(&mut ledger, "2016-01-04", Kind::Purchase, 1, Some("10850.00"));
    import(&mut ledger, "2016-09-08", Kind::Split, 4, None);
    import(&mut ledger, "2016-09-09", Kind::Bonus, 5, None);
    assert_eq!(lots(&alfa(&ledger).await), [(5, Some(money("10850.00"))), (5, Some(Money::ZERO))]);
    import(&mut ledger, "2016-09-12", Kind::Sale, 6, Some("1100.00"));
    let of = alfa(&ledger).await;
    assert_eq!(of.gains.realised, money("-4250.00"));
    assert_eq!(lots(&of), [(4, Some(Money::ZERO))]);
}

#[tokio::test]
async fn a_split_over_uneven_lots_gives_out_every_share() {
    let mut ledger = opened();
    for (day, quantity) in [("2020-01-06", 1), ("2020-01-07", 2), ("2020-01-08", 4)] {
        import(&mut ledger, day, Kind::Purchase, quantity, Some("10.00"));
    }
    import(&mut ledger, "2020-02-03", Kind::Split, 10, None);
    let of = alfa(&ledger).await;
    assert_eq!(lots(&of), [(2, Some(money("10.00"))), (5, Some(money("20.00"))), (10, Some(money("40.00")))]);
    assert_eq!(of.lots.quantity(), 17);
}

#[tokio::test]
async fn an_imported_purchase_without_a_price_is_a_lot_of_unknown_cost_and_gains_nothing() {
    let mut ledger = opened();
    import(&mut ledger, "2020-01-06", Kind::Purchase, 10, None);
    import(&mut ledger, "2020-01-07", Kind::Purchase, 10, Some("20.00"));
    import(&mut ledger, "2020-01-08", Kind::Sale, 12, Some("30.00"));
    let of = alfa(&ledger).await;
    assert_eq!(of.gains.realised, money("20.00"), "only 2 x (30 - 20) is known");
    assert_eq!(of.gains.unknown_cost_quantity, 10);
    assert_eq!(of.gains.unknown_cost_proceeds, money("300.00"));
    assert_eq!(lots(&of), [(8, Some(money("160.00")))]);
}

#[tokio::test]
async fn a_sale_beyond_the_holding_waits_for_the_purchase_that_covers_it() {
    let mut ledger = opened();
    import(&mut ledger, "2020-01-06", Kind::Sale, 4, Some("50.00"));
    assert_eq!(alfa(&ledger).await.standing().quantity, -4);
    import(&mut ledger, "2020-01-07", Kind::Purchase, 10, Some("45.00"));
    let of = alfa(&ledger).await;
    assert_eq!(of.gains.realised, money("20.00"));
    assert_eq!(lots(&of), [(6, Some(money("270.00")))]);
}

#[tokio::test]
async fn an_older_lot_imported_late_is_sold_first() {
    let mut ledger = opened();
    import(&mut ledger, "2020-01-08", Kind::Purchase, 5, Some("20.00"));
    import(&mut ledger, "2020-01-06", Kind::Purchase, 5, Some("10.00"));
    import(&mut ledger, "2020-01-09", Kind::Sale, 5, Some("30.00"));
    assert_eq!(alfa(&ledger).await.gains.realised, money("100.00"));
}

#[tokio::test]
async fn fund_lots_are_kept_by_folio_and_cost_what_was_paid_with_stamp_duty() {
    let mut ledger = opened();
    let acc = account(1);
    let seq = ledger.book(&acc).expect("opened").seq + 1;
    ledger.command(&acc, Purchase { scheme: scheme("100001"), amount: money("5000.00"), folio: None });
    ledger.all_due(&acc);
    let date = Date::parse("2026-11-23").expect("a date");
    let allotment = Allotment {
        folio: folio("F-1"),
        nav_date: date,
        nav: Nav::parse("10.0000").expect("a NAV"),
        units: Units::parse("499.975").expect("units"),
        stamp_duty: Some(money("0.25")),
        amount: None,
        pays_on: None,
    };
    let fund_order_id = FundOrderId { account: acc, seq };
    ledger.command(&acc, ReportAllotment { fund_order_id, answer: Answer::Allotted(allotment.clone()) });
    let imported = ImportUnits {
        scheme: scheme("100001"),
        folio: folio("F-2"),
        kind: Kind::Purchase,
        units: Units::parse("100.000").expect("units"),
        nav: None,
        amount: Some(money("900.00")),
        executed_at: Timestamp::parse("2020-01-06T00:00:00+05:30").expect("a time"),
    };
    ledger.command(&acc, imported);
    let seq = ledger.book(&acc).expect("opened").seq + 1;
    let units = Some(Units::parse("100.000").expect("units"));
    ledger.command(&acc, Redemption { scheme: scheme("100001"), folio: folio("F-1"), units, amount: None, all: None });
    ledger.all_due(&acc);
    let fund_order_id = FundOrderId { account: acc, seq };
    let redeemed = Allotment {
        units: Units::parse("100.000").expect("units"),
        stamp_duty: None,
        amount: Some(money("1100.00")),
        pays_on: Some(date.plus_days(2)),
        ..allotment
    };
    ledger.command(&acc, ReportAllotment { fund_order_id, answer: Answer::Allotted(redeemed) });
    let pnl = pnl(&ledger).await;
    let first = &pnl.folios[&(scheme("100001"), folio("F-1"))];
    // 5000 x 100 / 499.975 = 1000.05; the rest keeps 3999.95.
    assert_eq!(first.gains.realised, money("99.95"));
    assert_eq!(first.lots.cost(), money("3999.95"));
    assert_eq!(pnl.folios[&(scheme("100001"), folio("F-2"))].lots.cost(), money("900.00"));
}
