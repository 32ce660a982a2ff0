//! One thing after another that could happen to an account, for properties over random histories.

use super::{Ledger, account, day_nav, day_price, folio as folio_of, instrument, place, scheme};
use domain::{
    cash::{Deposit, Withdraw},
    fund::{Allotment, Answer, Asked, Purchase, Redemption, ReportAllotment, Status as FundStatus},
    history::{ImportTrade, ImportUnits, Kind},
    ids::{AccountId, FundOrderId, OrderId},
    market::LastPrice,
    money::{Money, Nav, Price, Quantity, Rounding, Units},
    order::{Cancel, Modify, OrderType, ReportKind, Side, Status, Waiting},
    time::Timestamp,
};

/// Moves between two commands that the ledger makes up.
const STEP_MICROS: i64 = 1_000_000;

/// Draws that look random and are the same each time.
pub struct Draws(pub u64);

impl Draws {
    /// One of so many.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below.max(1)
    }
}

/// Adds so many random steps of seven accounts to a ledger.
pub fn wander(ledger: &mut Ledger, draws: &mut Draws, steps: usize) {
    for _ in 0..steps {
        let who = account(draws.below(7) as usize);
        ledger.wander(&who, &mut |below| draws.below(below));
    }
}

impl Ledger {
    /// Something that could happen next happens to an account; `draw(n)` picks below `n`.
    pub fn wander(&mut self, account: &AccountId, draw: &mut dyn FnMut(u64) -> u64) {
        self.now = self.now.plus_micros(STEP_MICROS);
        if self.books.get(account).is_none_or(|book| !book.opened) {
            return self.open(account, "100000.00");
        }
        match draw(20) {
            0 => drop(self.command(account, Deposit { amount: Money::from_smallest(1 + draw(5_000_000) as i64) })),
            1 => drop(self.command(account, Withdraw { amount: Money::from_smallest(1 + draw(9_000_000) as i64) })),
            2..=6 => self.wander_place(account, draw),
            7..=11 => self.wander_order(account, draw),
            12 => self.wander_fund_request(account, draw),
            13 | 14 => self.wander_fund_answer(account, draw),
            15 => self.wander_import(account, draw),
            16 => self.wander_market(draw),
            17 => self.all_due(account),
            _ => {
                // A few hours, a night, or a weekend later.
                self.now = self.now.plus_micros((1 + draw(40) as i64) * 3_600 * STEP_MICROS);
                self.all_due(account);
            }
        }
    }

    fn wander_place(&mut self, account: &AccountId, draw: &mut dyn FnMut(u64) -> u64) {
        let (symbol, base) = if draw(2) == 0 { ("ALFA", 10_000) } else { ("BETA", 5_000) };
        let side = if draw(5) < 3 { Side::Buy } else { Side::Sell };
        let limit = Price::from_smallest((base - 200 + draw(400) as i64) * 100);
        let mut order = place(symbol, side, 1 + draw(60) as i64, &limit.to_string());
        if draw(8) == 0 {
            (order.order_type, order.price) = (OrderType::Market, None);
        }
        self.command(account, order);
    }

    fn wander_order(&mut self, account: &AccountId, draw: &mut dyn FnMut(u64) -> u64) {
        let Some(book) = self.books.get(account) else { return };
        let orders: Vec<_> = book.orders.iter().map(|(seq, order)| (*seq, order.clone())).collect();
        if orders.is_empty() {
            return;
        }
        // Mostly one of the latest, as in life; sometimes one long closed.
        let among = if draw(4) == 0 { orders.len() } else { orders.len().min(3) };
        let back = draw(among as u64) as usize;
        let (seq, order) = &orders[orders.len() - 1 - back];
        let order_id = OrderId { account: *account, seq: *seq };
        let left = (order.quantity - order.filled).shares();
        match draw(12) {
            0 => drop(self.report(account, order_id, ReportKind::Rejected)),
            1 => drop(self.command(account, Cancel { order_id, due_to: None })),
            2 | 3 if order.waiting == Some(Waiting::Cancellation) => {
                drop(self.report(account, order_id, ReportKind::Cancelled));
            }
            2 | 3 if order.waiting.is_some() => drop(self.report(account, order_id, ReportKind::Modified)),
            4 => {
                let quantity = Some(Quantity::new(1 + draw(80) as i64));
                drop(self.command(
                    account,
                    Modify { order_id, quantity, price: None, trigger_price: None, order_type: None, validity: None },
                ));
            }
            5 if order.status == Status::Requested => drop(self.report(account, order_id, ReportKind::Accepted)),
            6 => drop(self.report(account, order_id, ReportKind::Cancelled)),
            _ if left > 0 => {
                let part = 1 + draw(left as u64) as i64;
                let near = order.price.unwrap_or(Price::from_smallest(990_000));
                let at = Price::from_smallest(near.smallest() - 500 + draw(1000) as i64);
                drop(self.fill(account, order_id, part, &at.to_string()));
            }
            // More than was ordered: unmatched.
            _ => drop(self.fill(account, order_id, 5, "99.00")),
        }
    }

    fn wander_fund_request(&mut self, account: &AccountId, draw: &mut dyn FnMut(u64) -> u64) {
        let held: Vec<_> = self.books.get(account).iter().flat_map(|book| book.folios.keys().copied()).collect();
        match (draw(2), held.as_slice()) {
            (0, [_, ..]) => {
                let (scheme, folio) = held[draw(held.len() as u64) as usize];
                let units = Some(Units::from_smallest(1 + draw(500_000) as i64));
                self.command(account, Redemption { scheme, folio, units, amount: None, all: None });
            }
            _ => {
                let code = if draw(2) == 0 { "100001" } else { "100002" };
                let amount = Money::from_smallest(100_000 + draw(900_000) as i64);
                self.command(account, Purchase { scheme: scheme(code), amount, folio: None });
            }
        }
    }

    fn wander_fund_answer(&mut self, account: &AccountId, draw: &mut dyn FnMut(u64) -> u64) {
        self.all_due(account);
        let Some(book) = self.books.get(account) else { return };
        let waiting = book.fund_orders.iter().find(|(_, order)| order.status == FundStatus::Sent);
        let Some((seq, order)) = waiting.map(|(seq, order)| (*seq, order.clone())) else { return };
        let fund_order_id = FundOrderId { account: *account, seq };
        if draw(6) == 0 {
            let answer = Answer::Rejected("KYC incomplete".into());
            self.command(account, ReportAllotment { fund_order_id, answer });
            return;
        }
        let today = self.now.date();
        let nav = Nav::from_smallest(1_000_000_000 + draw(100_000_000) as i64);
        let (units, amount, pays_on, folio) = match order.asked {
            Asked::Purchase { amount, folio } => {
                let units = amount.units_at(nav, Rounding::Down).unwrap_or_default();
                (units, None, None, folio.unwrap_or_else(|| folio_of("F-1")))
            }
            Asked::Redemption { folio, blocked, .. } => {
                (blocked, blocked.worth(nav, Rounding::HalfUp), Some(today.plus_days(2)), folio)
            }
        };
        let allotment = Allotment { folio, nav_date: today, nav, units, stamp_duty: None, amount, pays_on };
        self.command(account, ReportAllotment { fund_order_id, answer: Answer::Allotted(allotment) });
    }

    fn wander_import(&mut self, account: &AccountId, draw: &mut dyn FnMut(u64) -> u64) {
        let kinds = [Kind::Purchase, Kind::Purchase, Kind::Sale, Kind::Bonus, Kind::Split];
        let kind = kinds[draw(kinds.len() as u64) as usize];
        let executed_at = Timestamp::parse("2020-01-06T00:00:00+05:30").expect("a time");
        let executed_at = executed_at.date().plus_days(draw(300) as i32).start();
        let known = draw(4) > 0;
        if draw(3) > 0 {
            let price = known.then(|| Price::from_smallest(10_000 + draw(2_000_000) as i64));
            let quantity = Quantity::new(1 + draw(50) as i64);
            let instrument = instrument(if draw(2) == 0 { "ALFA" } else { "BETA" });
            let import = ImportTrade { instrument, kind, quantity, price, exchange: None, trade_id: None, executed_at };
            self.command(account, import);
        } else {
            let amount = known.then(|| Money::from_smallest(1 + draw(10_000_000) as i64));
            let units = Units::from_smallest(1 + draw(1_000_000) as i64);
            let (scheme, folio) = (scheme("100001"), folio_of("F-2"));
            self.command(account, ImportUnits { scheme, folio, kind, units, nav: None, amount, executed_at });
        }
    }

    fn wander_market(&mut self, draw: &mut dyn FnMut(u64) -> u64) {
        let (symbol, base) = if draw(2) == 0 { ("ALFA", 1_000_000) } else { ("BETA", 500_000) };
        let last = Price::from_smallest(base - 10_000 + draw(20_000) as i64);
        match draw(4) {
            0 => drop(self.fact(day_price(symbol, &self.now.date().to_string(), &last.to_string()))),
            1 => drop(self.fact(day_nav("100001", &self.now.date().to_string(), "10.5000"))),
            _ => drop(self.fact(LastPrice { instrument: instrument(symbol), last, at: self.now })),
        }
    }
}
