//! Work of the back office that is not due.

use crate::{CLOSE, Either, NOON, SQUARE_OFF, check, either, support::*, unknown, unopened};
use domain::{
    fund::Send,
    ids::Exchange,
    intraday::SquareOff,
    order::{Expire, Product, ReportKind},
    position::{NetDay, Settle},
    rejection::Rejection,
};

#[test]
pub fn of_work_that_is_not_due() {
    let today = date("2026-11-23");
    let opened = funded().fact(known_scheme()).and(purchase("5000.00")).and(buy(10, "100.00"));
    let ordered = opened.and(buy(10, "100.00")).and(report(5, ReportKind::Rejected)).at(CLOSE);
    check(
        &either(Expire { order_id: order_id(4) }),
        &[
            &[
                (Rejection::UnknownOrder, |it: &mut Either<Expire>| it.asked.order_id = order_id(9)),
                (Rejection::OrderClosed, |it| it.asked.order_id = order_id(5)),
            ],
            &[(Rejection::NotDue, |it| it.is_other = true)],
        ],
        |it| it.refusal(&ordered, &ordered.clone().at(NOON)),
    );
    check(
        &either(Send { fund_order_id: fund_order_id(3) }),
        &[
            &[
                (Rejection::UnknownFundOrder, |it: &mut Either<Send>| it.asked.fund_order_id = fund_order_id(9)),
                (Rejection::NotDue, |it| it.asked.fund_order_id = fund_order_id(7)),
            ],
            &[(Rejection::UnknownAccount, |it| it.is_other = true)],
        ],
        |it| {
            let asked = ordered.clone().and(purchase("1.00"));
            it.refusal(&asked.and(Send { fund_order_id: fund_order_id(7) }), &unopened())
        },
    );
    let traded = ordered.and(fill(4, "T1", 4, "100.00")).at("2026-11-24T15:30:00+05:30");
    let netting =
        NetDay { exchange: Exchange::new("NSE").expect("exchange"), instrument: instrument(), trade_date: today };
    check(
        &either(netting),
        &[
            &[(Rejection::NotDue, |it: &mut Either<NetDay>| it.asked.trade_date = date("2026-11-25"))],
            &[(Rejection::UnknownAccount, |it| it.is_other = true)],
        ],
        |it| it.refusal(&traded, &unopened()),
    );
    let square_off = |trade_date| SquareOff { instrument: instrument(), trade_date, product: Product::Mis };
    let open = funded().and(mis(buy(10, "100.00"))).and(fill(3, "T1", 10, "100.00")).at(SQUARE_OFF);
    check(
        &either(square_off(today)),
        &[
            &[
                (Rejection::NotDue, |it: &mut Either<SquareOff>| it.asked.product = Product::Cnc),
                (Rejection::NotDue, |it| it.asked.instrument = unknown()),
            ],
            &[(Rejection::UnknownAccount, |it| it.is_other = true)],
        ],
        |it| it.refusal(&open, &unopened()),
    );
    check(
        &either(Settle { settlement_date: today.next() }),
        &[
            &[(Rejection::NotDue, |it: &mut Either<Settle>| it.asked.settlement_date = date("2026-11-25"))],
            &[(Rejection::UnknownAccount, |it| it.is_other = true)],
        ],
        |it| it.refusal(&traded, &unopened()),
    );
}
