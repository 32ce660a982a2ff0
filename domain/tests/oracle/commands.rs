//! Steps as commands, aimed at what there is.

use crate::{
    model::{
        Model,
        orders::{Order, Waiting},
    },
    steps::{Change, NewOrder, Step},
    support::*,
};
use domain::{
    command::Command,
    history::Kind,
    ids::TradeId,
    money::{Money, Percent, Price, Quantity, Units},
    order::{Assign, CancelTrade, Fill, Modify, OrderType, Place, Product, Report, ReportKind, Side},
    time::{Date, Timestamp},
};

pub fn at_ticks(ticks: i64) -> Price {
    Price::from_smallest(ticks * 500)
}

impl NewOrder {
    fn command(&self, last: i64) -> Place {
        let away = if self.side == Side::Buy { 1 } else { -1 };
        let trigger = last / 500 + away * self.away;
        // Mostly a limit beyond the trigger, as it must be.
        let limit = if self.kind == OrderType::Sl { trigger + away * self.beyond } else { self.ticks };
        let mut place = Place {
            order_type: self.kind,
            price: self.kind.has_limit().then(|| at_ticks(limit)),
            trigger_price: self.kind.has_trigger().then(|| at_ticks(trigger)),
            disclosed_quantity: self.disclosed.map(Quantity::new),
            market_protection: self.protection.filter(|_| !self.kind.has_limit()).map(Percent::from_smallest),
            product: self.product,
            validity: self.validity,
            ..order(self.side, self.quantity, None)
        };
        match self.fault {
            Some(0) => place.price = None,
            Some(1) => place.price = Some(at_ticks(self.ticks)),
            Some(2) => place.trigger_price = None,
            Some(3) => place.trigger_price = Some(at_ticks(self.ticks)),
            Some(4) => place.price = place.price.map(|price| price + Price::from_smallest(100)),
            Some(5) => place.market_protection = Some(Percent::whole(5)),
            Some(_) => place.market_protection = Some(Percent::whole(101)),
            None => {}
        }
        place
    }
}

impl Change {
    fn command(&self, seq: u64, model: &Model) -> Modify {
        let mut modify = Modify {
            order_id: order_id(seq),
            quantity: self.quantity.map(Quantity::new),
            price: self.ticks.map(at_ticks),
            trigger_price: self.trigger.map(at_ticks),
            order_type: self.kind,
            validity: self.validity,
        };
        if let (Some((kind, away, beyond)), Some(order)) = (self.fitting, model.orders.get(&seq)) {
            let (last, sign) = (i64::try_from(model.last).expect("a price") / 500, if order.buys { 1 } else { -1 });
            let trigger = last + sign * away;
            modify.order_type = Some(kind);
            modify.trigger_price = kind.has_trigger().then(|| at_ticks(trigger));
            modify.price = kind.has_limit().then(|| at_ticks(trigger + sign * beyond));
        }
        modify
    }
}

/// What a venue would say next.
fn awaited(order: &Order) -> ReportKind {
    match (order.waiting, order.status) {
        (_, "requested") => ReportKind::Accepted,
        (Waiting::Change(..), _) => ReportKind::Modified,
        (Waiting::Nothing, "trigger_pending") => ReportKind::Triggered,
        _ => ReportKind::Cancelled,
    }
}

/// The step as a command; names what is there, or an order that is not when there is none.
pub fn command(step: &Step, model: &Model, reports: &[Command], now: Timestamp) -> Command {
    // The latest that stand and the latest at all are met again and again; one place in twelve names none.
    let standing = model.orders.iter().rev().filter(|(_, order)| !order.is_over()).map(|(seq, _)| *seq).take(4);
    let latest: Vec<u64> = standing.chain(model.orders.keys().rev().take(2).copied()).collect();
    let named = |place: usize| match (place, latest.len()) {
        (0, _) | (_, 0) => 999,
        (place, count) => latest[(place - 1) % count],
    };
    let fund = |place: usize| model.funds.orders.keys().rev().nth(place % 4).copied().unwrap_or(999);
    match step {
        Step::Deposit(paise) => domain::cash::Deposit { amount: Money::from_smallest(*paise) }.into(),
        Step::Withdraw(paise) => {
            let all = i64::try_from(model.withdrawable().max(1)).expect("an amount");
            domain::cash::Withdraw { amount: Money::from_smallest(paise.unwrap_or(all)) }.into()
        }
        Step::Last(_) => unreachable!("the market is told"),
        Step::Place(new) => new.command(i64::try_from(model.last).expect("a price")).into(),
        Step::Modify { order, change } => change.command(named(*order), model).into(),
        Step::Cancel { order } => cancel(named(*order)).into(),
        Step::Report { order, kind, quantity, ticks } => {
            let seq = named(*order);
            let kind = kind.unwrap_or_else(|| model.orders.get(&seq).map_or(ReportKind::Accepted, awaited));
            let of_change = |told: &Option<i64>| told.filter(|_| kind == ReportKind::Modified);
            Report {
                quantity: of_change(quantity).map(Quantity::new),
                price: of_change(ticks).map(at_ticks),
                ..report(seq, kind)
            }
            .into()
        }
        Step::Fill { order, trade, quantity, ticks, hours_ago, told } => {
            let seq = named(*order);
            let pending = model.orders.get(&seq).map_or(0, |order| i64::try_from(order.pending()).expect("shares"));
            Fill {
                price: at_ticks(*ticks),
                executed_at: now.plus_micros(-hours_ago * 3_600_000_000),
                instrument: told.0.then(instrument),
                side: told.1,
                ..fill(seq, &format!("T{trade}"), quantity.unwrap_or(pending.max(1)), "1.00")
            }
            .into()
        }
        Step::TellAgain { trade, more, told } => {
            let of_day = |day: i64| {
                let days = i32::try_from(day).expect("a day") - now.date().days_since_epoch();
                now.date().plus_days(days).start().plus_micros(36_000_000_000)
            };
            let known = model.trades.known.iter().rev().nth(*trade);
            let (seq, id, day, (shares, paise), words) = known
                .map_or((999, TradeId::new("T1").expect("id"), 20_000, (1, 1), (false, None)), |known| {
                    (known.named, known.id, known.day, known.content.unwrap_or((3, 1_000_000)), known.told)
                });
            let (has_instrument, side) = told.unwrap_or(words);
            Fill {
                trade_id: id,
                quantity: Quantity::new(i64::try_from(shares).expect("shares") + more),
                price: Price::from_smallest(i64::try_from(paise).expect("a price")),
                executed_at: of_day(day),
                instrument: has_instrument.then(instrument),
                side,
                ..fill(seq, "T1", 1, "1.00")
            }
            .into()
        }
        Step::Assign { unmatched, order } => {
            let seq = model.trades.unmatched().nth(*unmatched).unwrap_or(999);
            Assign { seq, order_id: order_id(named(*order)) }.into()
        }
        Step::CancelTrade { trade, order } => {
            let known = trade.and_then(|trade| model.trades.known.iter().rev().nth(trade));
            let of = |seq: u64, id: TradeId, day: Date| CancelTrade {
                order_id: order_id(seq),
                trade_id: id,
                trade_date: day,
                reason: None,
                at: now,
            };
            let id = |text: &str| TradeId::new(text).expect("a trade's id");
            known
                .map_or_else(
                    || of(named(*order), id("T3"), now.date()),
                    |known| {
                        let seq =
                            if order % 2 == 0 { known.named } else { known.order.map_or(known.named, |(seq, _)| seq) };
                        let today = i32::try_from(known.day).expect("a day");
                        of(seq, known.id, now.date().plus_days(today - now.date().days_since_epoch()))
                    },
                )
                .into()
        }
        Step::Convert { quantity, back } => {
            let open: i128 = model.intraday.values().map(|position| position.quantity.abs()).sum();
            let mut asked = convert(quantity.unwrap_or(i64::try_from(open).expect("shares")));
            if *back {
                (asked.from, asked.to) = (Product::Cnc, Product::Mis);
            }
            asked.into()
        }
        Step::Purchase(paise) => {
            domain::fund::Purchase { amount: Money::from_smallest(*paise), ..purchase("1.00") }.into()
        }
        Step::Redeem { units, amount } => {
            let all = (units.is_none() && amount.is_none()).then_some(true);
            let (units, amount) = (units.map(Units::from_smallest), amount.map(Money::from_smallest));
            domain::fund::Redemption { units, amount, all, ..redemption(None, None, None) }.into()
        }
        Step::Allot { order, units, payout } => {
            let payout = payout
                .map(|(paise, days)| (Money::from_smallest(paise).to_string(), now.date().plus_days(days).to_string()));
            let payout = payout.as_ref().map(|(amount, day)| (amount.as_str(), day.as_str()));
            allotment(fund(*order), "40.0000", &Units::from_smallest(*units).to_string(), None, payout).into()
        }
        Step::RejectFund { order } => fund_rejection(fund(*order)).into(),
        Step::ReportAgain(latest) => {
            let told = reports.iter().rev().nth(*latest).cloned();
            told.unwrap_or_else(|| report(999, ReportKind::Accepted).into())
        }
        Step::Import { sale, quantity } => {
            imported(if *sale { Kind::Sale } else { Kind::Purchase }, *quantity, None, "2025-01-15").into()
        }
        Step::ImportUnits(units) => {
            imported_units(Kind::Purchase, &Units::from_smallest(*units).to_string(), None).into()
        }
    }
}
