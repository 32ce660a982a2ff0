//! Cash that comes and goes.

use crate::{Either, check, either, support::*, unopened};
use domain::{
    cash::{Deposit, Withdraw},
    money::Money,
    rejection::Rejection,
};

#[test]
pub fn of_cash() {
    check(
        &either(withdraw("100000.00")),
        &[
            &[
                (Rejection::AmountNotPositive, |it: &mut Either<Withdraw>| it.asked.amount = rupees("-1.00")),
                (Rejection::InsufficientCash, |it| it.asked.amount = rupees("100000.01")),
            ],
            &[(Rejection::UnknownAccount, |it| it.is_other = true)],
        ],
        |it| it.refusal(&funded(), &unopened()),
    );
    check(
        &either(deposit("1.00")),
        &[
            &[
                (Rejection::AmountNotPositive, |it: &mut Either<Deposit>| it.asked.amount = Money::ZERO),
                (Rejection::AmountTooLarge, |it| it.asked.amount = rupees("90000000000000000.00")),
            ],
            &[(Rejection::UnknownAccount, |it| it.is_other = true)],
        ],
        |it| it.refusal(&funded(), &unopened()),
    );
}
