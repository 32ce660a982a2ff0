//! Series BE and BZ: every share is delivered by itself, so only settled ones are sold and a day nets nothing.
mod support;

use domain::{
    event::EventData,
    history::Kind,
    money::Money,
    position::Shares,
    rejection::Rejection,
    testing::{Given, given},
};
use support::*;

const TODAY: &str = "2026-11-23";
const NEXT_DAY: &str = "2026-11-24T00:00:00+05:30";
const SETTLED: &str = "2026-11-24T15:30:00+05:30";

fn held(given: &Given) -> Shares {
    given.book().positions.get(&instrument()).map_or_else(Shares::default, |position| position.shares)
}
fn parts(bought_today: i64, t1: i64, settled: i64) -> Shares {
    Shares { bought_today: shares(bought_today), t1: shares(t1), settled: shares(settled) }
}
/// Ten settled shares of such a series, and one lakh rupees.
fn holding(series: &str) -> Given {
    let market = given().fact(listed(series, Some("0.05"), Some(5))).fact(closed("2026-11-20", "100.00"));
    market.and(open()).and(deposit("100000.00")).and(imported(Kind::Purchase, 10, Some("90.00"), "2025-01-15"))
}
/// Bought ten more as order 4 and sold ten as order 6.
fn bought_and_sold(series: &str) -> Given {
    let bought = holding(series).and(buy(10, "100.00")).and(fill(4, "T1", 10, "100.00"));
    bought.and(sell(10, "100.00")).and(fill(6, "T2", 10, "100.00"))
}

#[test]
fn settled_shares_are_sold_once_however_many_were_bought_that_day() {
    for series in ["BE", "BZ"] {
        let sold = bought_and_sold(series);
        assert_eq!(held(&sold), parts(10, 0, 0));
        sold.clone().when(sell(1, "100.00")).then_refused(Rejection::InsufficientShares);
        // Ten were delivered: all they bring may be used, whatever those bought that day cost.
        assert_eq!(sold.book().cash.available(), rupees("100000.00"));
    }
}

#[test]
fn a_day_nets_nothing_and_what_was_bought_is_t1() {
    let netted = bought_and_sold("BE").at(NEXT_DAY);
    let (_, net) = netted.due().remove(0);
    let then = netted.when(net);
    match &then.events()[0].data {
        EventData::DayNetted(day) => {
            assert_eq!((day.bought, day.sold, day.intraday), (shares(10), shares(10), shares(0)));
            assert_eq!((day.returned_settled, day.returned_t1, day.to_t1), (shares(0), shares(0), shares(10)));
            assert_eq!(day.usable_change, Money::ZERO);
        }
        other => panic!("{other:?}"),
    }
    let netted = then.then_accepted();
    assert_eq!(held(&netted), parts(0, 10, 0));
    netted.clone().when(sell(1, "100.00")).then_refused(Rejection::InsufficientShares);
    let settled = netted.at(SETTLED).and_all_due();
    assert_eq!((held(&settled), settled.next_due()), (parts(0, 0, 10), None));
    assert!(settled.when(sell(10, "100.00")).then_accepted().book().orders.len() > 2);
}

#[test]
fn a_sale_that_is_cancelled_gives_back_settled_shares_before_and_after_its_day() {
    let sold = bought_and_sold("BE");
    let undone = sold.clone().and(cancel_trade(6, "T2", TODAY, "2026-11-23T11:00:00+05:30"));
    assert_eq!(held(&undone), parts(10, 0, 10));
    let netted = sold.at(NEXT_DAY).and_all_due().and(cancel_trade(6, "T2", TODAY, NEXT_DAY));
    assert_eq!(held(&netted), parts(0, 10, 10));
}

#[test]
fn a_sale_beyond_what_is_settled_leaves_settled_below_zero_and_what_was_bought_alone() {
    // The venue filled what was asked when more was held; a part has been sold outside since.
    let asked = holding("BE").and(buy(10, "100.00")).and(fill(4, "T1", 10, "100.00")).and(sell(10, "100.00"));
    let outside = asked.and(imported(Kind::Sale, 4, Some("100.00"), "2025-02-15"));
    let sold = outside.and(fill(6, "T2", 10, "100.00"));
    assert_eq!(held(&sold), parts(10, 0, -4));
    assert_eq!(sold.book().cash.available(), rupees("99600.00"), "six of ten were there to deliver");
}
