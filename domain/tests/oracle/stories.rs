//! What is seldom met by chance, step upon step.

use crate::steps::{Change, NewOrder, Step, new_orders, sides};
use domain::order::{OrderType, Product, ReportKind, Side, Validity};
use proptest::prelude::*;

pub fn stories() -> impl Strategy<Value = Vec<Step>> {
    let refused_when_all_has_traded = |trade| vec![of_quantity(60), fill(trade), report(Some(ReportKind::Rejected))];
    let closes_more = (0u8..20, 1i64..6, new_orders()).prop_map(|(trade, quantity, new)| {
        let (buys, sells) = (Side::Buy, Side::Sell);
        let opened = [limit_order(buys, Product::Mis, 10, 2_000), fill(trade)];
        let closes = [limit_order(sells, Product::Mis, quantity, 2_000), of_quantity(quantity + 3), Step::Place(new)];
        opened.into_iter().chain(closes).collect()
    });
    prop_oneof![1 => many_changes(), 5 => (0u8..20).prop_map(refused_when_all_has_traded), 5 => closes_more]
}

/// An order that is changed, tick by tick, once more than it may be; now and then the venue refuses.
fn many_changes() -> impl Strategy<Value = Vec<Step>> {
    const CHANGES: usize = 26;
    let answer = prop_oneof![3 => Just(None), 1 => Just(Some(ReportKind::Rejected))];
    let products = prop::sample::select(vec![Product::Cnc, Product::Mis]);
    (sides(), products, 1i64..4, proptest::collection::vec(answer, CHANGES)).prop_map(
        |(side, product, quantity, answers)| {
            let of_price = |ticks| change(Change { ticks: Some(ticks), ..Change::default() });
            let changes = answers.into_iter().zip(1_651..);
            let changes = changes.flat_map(|(answer, ticks)| [of_price(ticks), report(answer)]);
            let placed = [limit_order(side, product, quantity, 1_650), report(Some(ReportKind::Accepted))];
            placed.into_iter().chain(changes).collect()
        },
    )
}

pub fn limit_order(side: Side, product: Product, quantity: i64, ticks: i64) -> Step {
    let (kind, validity, away, beyond) = (OrderType::Limit, Validity::Day, 0, 0);
    let (protection, disclosed, fault) = (None, None, None);
    let new = NewOrder { side, kind, quantity, ticks, away, beyond, product, validity, protection, disclosed, fault };
    Step::Place(new)
}
/// Of the latest order.
fn report(kind: Option<ReportKind>) -> Step {
    Step::Report { order: 1, kind, quantity: None, ticks: None }
}
fn fill(trade: u8) -> Step {
    Step::Fill { order: 1, trade, quantity: None, ticks: 2_000, hours_ago: 0, told: (false, None) }
}
fn change(change: Change) -> Step {
    Step::Modify { order: 1, change }
}
fn of_quantity(quantity: i64) -> Step {
    change(Change { quantity: Some(quantity), ..Change::default() })
}
