//! A plain executable model of an account's rules: whole paise and shares in ordinary maps, written from the design alone.
//!
//! It shares nothing with the book that it checks but the commands it is given. It knows one market: NSE:BAHI, tick
//! 0.05, closed at 100.00 on 2026-11-20 with a band of 20%; one scheme with a NAV of 40.0000; Monday to Friday; and the
//! rates of November 2026: T+1, sales of settled shares usable in full, of T1 shares not at all.

use domain::{
    command::Command,
    fund::{Answer, ReportAllotment},
    history::Kind,
    ids::TradeId,
    order::{OrderType, ReportKind, Side},
    time::Timestamp,
};
use std::collections::BTreeMap;

/// Days since 1970 in India.
pub type Day = i64;
/// A refusal's code.
pub type Refused = &'static str;

const IST_SECONDS: i64 = 19_800;
const DAY_SECONDS: i64 = 86_400;
const CLOSE_SECONDS: i64 = 15 * 3600 + 30 * 60;
/// Prices are in 1/10,000 of a rupee.
const TICK: i128 = 500;
const BAND: std::ops::RangeInclusive<i128> = 800_000..=1_200_000;
const UPPER_BAND: i128 = 1_200_000;
/// NAVs are in 1/10^8 of a rupee, units in 1/10,000.
const NAV: i128 = 40 * 100_000_000;

fn seconds(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000_000) + IST_SECONDS
}
fn day_of(at: Timestamp) -> Day {
    seconds(at).div_euclid(DAY_SECONDS)
}
/// 1970-01-01 was a Thursday.
fn is_weekday(day: Day) -> bool {
    (day + 3).rem_euclid(7) < 5
}
fn weekday_from(mut day: Day) -> Day {
    while !is_weekday(day) {
        day += 1;
    }
    day
}
fn settles_on(trade: Day) -> Day {
    weekday_from(trade + 1)
}
fn up(amount: i128, by: i128) -> i128 {
    (amount + by - 1).div_euclid(by)
}
/// What a quantity is worth at a price, in paise.
fn blocked_at(price: i128, shares: i128) -> i128 {
    up(price * shares, 100)
}
fn half_up(amount: i128, by: i128) -> i128 {
    (2 * amount + by).div_euclid(2 * by)
}
fn units_for(paise: i128) -> i128 {
    up(paise * 10_000 * 1_000_000, NAV)
}

/// Comes in, of that usable, goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Due {
    pub receivable: i128,
    pub usable: i128,
    pub payable: i128,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Waiting {
    Nothing,
    Cancellation,
    Modification { quantity: i128, price: Option<i128> },
}

#[derive(Clone, Debug)]
pub struct Order {
    buys: bool,
    pub quantity: i128,
    pub filled: i128,
    limit: Option<i128>,
    pub status: &'static str,
    session: Day,
    pub blocked: i128,
    pub blocked_shares: i128,
    waiting: Waiting,
    changes: u32,
}

impl Order {
    pub fn is_over(&self) -> bool {
        matches!(self.status, "filled" | "cancelled" | "rejected" | "expired")
    }
    pub fn pending(&self) -> i128 {
        if self.is_over() { 0 } else { self.quantity - self.filled }
    }
    fn block_price(&self) -> i128 {
        self.limit.unwrap_or(UPPER_BAND)
    }
    fn end(&mut self, status: &'static str) {
        (self.status, self.blocked, self.blocked_shares, self.waiting) = (status, 0, 0, Waiting::Nothing);
    }
    /// An order of which all has traded, though more was asked, is filled whatever ends it.
    fn end_unless_filled(&mut self, status: &'static str) {
        self.end(if self.filled == self.quantity { "filled" } else { status });
    }
    /// Blocks what is pending, as the order stands.
    fn block(&mut self) {
        let pending = self.pending();
        (self.blocked, self.blocked_shares) =
            if self.buys { (blocked_at(self.block_price(), pending), 0) } else { (0, pending) };
    }
}

/// A trade date's purchases and sales before they are netted.
#[derive(Clone, Debug, Default)]
struct Traded {
    bought: i128,
    cost: i128,
    sold: i128,
    proceeds: i128,
    usable: i128,
    from_today: i128,
    from_t1: i128,
    from_settled: i128,
    /// Lots of T1 sold, in the order they were taken.
    lots: Vec<(Day, i128)>,
}

#[derive(Clone, Debug)]
enum Fund {
    Purchase(i128),
    Redemption(i128),
}

#[derive(Clone, Debug)]
struct FundOrder {
    what: Fund,
    status: &'static str,
}

/// Date, number and side of a trade; no side while it is unmatched.
type TradeKey = (Day, TradeId, Option<Side>);

/// An account.
#[derive(Clone, Debug, Default)]
pub struct Model {
    seq: u64,
    pub settled: i128,
    pub due: BTreeMap<Day, Due>,
    pub orders: BTreeMap<u64, Order>,
    pub today: i128,
    pub settled_shares: i128,
    /// T1 shares by settlement date.
    pub t1: BTreeMap<Day, i128>,
    traded: BTreeMap<Day, Traded>,
    funds: BTreeMap<u64, FundOrder>,
    pub units: Option<i128>,
    /// Trades known by date, number and side (none while unmatched): order, shares, price.
    trades: BTreeMap<TradeKey, (u64, i128, i128)>,
    /// Unmatched trades by the entry that holds them.
    pub unmatched: BTreeMap<u64, (TradeId, i128, i128, Day)>,
}

impl Model {
    pub fn blocked(&self) -> i128 {
        let orders: i128 = self.orders.values().map(|order| order.blocked).sum();
        let funds = self.funds.values().filter(|order| order.status == "requested").map(|order| match order.what {
            Fund::Purchase(amount) => amount,
            Fund::Redemption(_) => 0,
        });
        orders + funds.sum::<i128>()
    }
    pub fn withdrawable(&self) -> i128 {
        self.settled - self.due.values().map(|due| due.payable).sum::<i128>() - self.blocked()
    }
    pub fn available(&self) -> i128 {
        self.withdrawable() + self.due.values().map(|due| due.usable).sum::<i128>()
    }
    pub fn t1_shares(&self) -> i128 {
        self.t1.values().sum()
    }
    pub fn blocked_shares(&self) -> i128 {
        self.orders.values().map(|order| order.blocked_shares).sum()
    }
    pub fn blocked_units(&self) -> i128 {
        let waiting = self.funds.values().filter(|order| matches!(order.status, "requested" | "sent"));
        waiting.map(|order| if let Fund::Redemption(units) = order.what { units } else { 0 }).sum()
    }

    /// Counts the entry of a command and does what it asks, or says why not.
    pub fn take(&mut self, command: &Command, now: Timestamp) -> Result<(), Refused> {
        self.seq += 1;
        match command {
            Command::OpenAccount(_) => Ok(()),
            Command::DepositCash(deposit) => {
                self.settled += i128::from(deposit.amount.smallest());
                Ok(())
            }
            Command::WithdrawCash(withdraw) => {
                let amount = i128::from(withdraw.amount.smallest());
                if amount > self.withdrawable() {
                    return Err("insufficient_cash");
                }
                self.settled -= amount;
                Ok(())
            }
            Command::PlaceOrder(place) => {
                let limit = place.price.map(|price| i128::from(price.smallest()));
                let is_limit = place.order_type == OrderType::Limit;
                self.place(place.side == Side::Buy, place.quantity.shares().into(), limit.filter(|_| is_limit), now)
            }
            Command::ModifyOrder(modify) => {
                let quantity = modify.quantity.map(|quantity| quantity.shares().into());
                self.modify(modify.order_id.seq, quantity, modify.price.map(|price| price.smallest().into()))
            }
            Command::CancelOrder(cancel) => {
                self.changeable(cancel.order_id.seq)?.waiting = Waiting::Cancellation;
                Ok(())
            }
            Command::ReportOrder(report) => {
                self.report(report.order_id.seq, report.report);
                Ok(())
            }
            Command::RecordFill(fill) => {
                let (shares, price) = (fill.quantity.shares().into(), fill.price.smallest().into());
                self.fill(fill.order_id.seq, fill.trade_id, shares, price, day_of(fill.executed_at))
            }
            Command::AssignFill(assign) => self.assign(assign.seq, assign.order_id.seq),
            Command::RequestFundPurchase(purchase) => {
                let amount = i128::from(purchase.amount.smallest());
                self.cover(amount)?;
                self.funds.insert(self.seq, FundOrder { what: Fund::Purchase(amount), status: "requested" });
                Ok(())
            }
            Command::RequestFundRedemption(asked) => {
                let held = self.units.ok_or("unknown_folio")?;
                let free = held - self.blocked_units();
                let amount = asked.amount.map(|amount| i128::from(amount.smallest()));
                let (needed, blocked) = match (asked.units, amount) {
                    (Some(units), _) => (units.smallest().into(), units.smallest().into()),
                    // With 5% more, as the NAV that will apply is not known; at most what is free.
                    (_, Some(amount)) => (units_for(amount), units_for(amount + up(amount * 5, 100)).min(free)),
                    _ => (1, free),
                };
                if needed > free {
                    return Err("insufficient_units");
                }
                self.funds.insert(self.seq, FundOrder { what: Fund::Redemption(blocked), status: "requested" });
                Ok(())
            }
            Command::ReportAllotment(report) => self.answered(report),
            Command::ImportTrade(import) => {
                let shares = i128::from(import.quantity.shares());
                self.settled_shares += if import.kind == Kind::Sale { -shares } else { shares };
                Ok(())
            }
            Command::ImportUnits(import) => {
                let units = i128::from(import.units.smallest());
                *self.units.get_or_insert(0) += if import.kind == Kind::Sale { -units } else { units };
                Ok(())
            }
            other => unreachable!("the model is not asked {other:?}"),
        }
    }

    fn cover(&self, needed: i128) -> Result<(), Refused> {
        if needed > 0 && needed > self.available() { Err("insufficient_cash") } else { Ok(()) }
    }
    fn cover_shares(&self, needed: i128) -> Result<(), Refused> {
        let free = self.today + self.t1_shares() + self.settled_shares - self.blocked_shares();
        if needed > 0 && needed > free { Err("insufficient_shares") } else { Ok(()) }
    }
    fn check_limit(limit: Option<i128>) -> Result<(), Refused> {
        match limit {
            Some(price) if price % TICK != 0 => Err("price_off_tick"),
            Some(price) if !BAND.contains(&price) => Err("price_outside_band"),
            _ => Ok(()),
        }
    }

    fn place(&mut self, buys: bool, quantity: i128, limit: Option<i128>, now: Timestamp) -> Result<(), Refused> {
        Self::check_limit(limit)?;
        let today = day_of(now);
        let is_over = seconds(now).rem_euclid(DAY_SECONDS) >= CLOSE_SECONDS;
        let session = weekday_from(if is_over { today + 1 } else { today });
        let mut order = Order {
            buys,
            quantity,
            filled: 0,
            limit,
            status: "requested",
            session,
            blocked: 0,
            blocked_shares: 0,
            waiting: Waiting::Nothing,
            changes: 0,
        };
        order.block();
        self.cover(order.blocked)?;
        self.cover_shares(order.blocked_shares)?;
        self.orders.insert(self.seq, order);
        Ok(())
    }

    fn changeable(&mut self, seq: u64) -> Result<&mut Order, Refused> {
        let order = self.orders.get_mut(&seq).ok_or("unknown_order")?;
        if order.is_over() {
            Err("order_closed")
        } else if order.waiting != Waiting::Nothing {
            Err("modification_pending")
        } else {
            Ok(order)
        }
    }

    fn modify(&mut self, seq: u64, quantity: Option<i128>, price: Option<i128>) -> Result<(), Refused> {
        let order = self.changeable(seq)?.clone();
        if order.changes == 25 {
            return Err("too_many_modifications");
        }
        let changes_price = price.is_some_and(|price| order.limit != Some(price));
        let quantity_now = quantity.unwrap_or(order.quantity);
        if quantity_now == order.quantity && !changes_price {
            return Err("nothing_to_modify");
        }
        if quantity_now < order.filled {
            return Err("quantity_below_filled");
        }
        if order.limit.is_none() && price.is_some() {
            return Err("price_not_allowed");
        }
        let limit = price.or(order.limit);
        Self::check_limit(limit)?;
        // Both the old and the new may trade until the venue answers.
        let pending = quantity_now - order.filled;
        let (mut blocked, mut blocked_shares) = (0, 0);
        if order.buys {
            blocked = blocked_at(limit.unwrap_or(UPPER_BAND), pending).max(order.blocked);
        } else {
            blocked_shares = pending.max(order.blocked_shares);
        }
        self.cover(blocked - order.blocked)?;
        self.cover_shares(blocked_shares - order.blocked_shares)?;
        let order = self.changeable(seq)?;
        (order.blocked, order.blocked_shares) = (blocked, blocked_shares);
        order.waiting = Waiting::Modification { quantity: quantity_now, price: limit };
        order.changes += 1;
        Ok(())
    }

    fn report(&mut self, seq: u64, kind: ReportKind) {
        let Some(order) = self.orders.get_mut(&seq).filter(|order| !order.is_over()) else { return };
        match (kind, order.waiting) {
            (ReportKind::Accepted, _) if order.status == "requested" => order.status = "open",
            (ReportKind::Rejected, _) if order.status == "requested" => order.end("rejected"),
            (ReportKind::Rejected, Waiting::Modification { .. } | Waiting::Cancellation) => {
                order.waiting = Waiting::Nothing;
                if order.filled == order.quantity { order.end("filled") } else { order.block() }
            }
            (ReportKind::Modified, Waiting::Modification { quantity, price }) => {
                order.waiting = Waiting::Nothing;
                // A fill may have overtaken the change.
                order.quantity = quantity.max(order.filled);
                order.limit = price;
                if order.quantity == order.filled {
                    order.end("filled");
                } else {
                    order.status = if order.filled == 0 { "open" } else { "partly_filled" };
                    order.block();
                }
            }
            (ReportKind::Cancelled, _) => order.end_unless_filled("cancelled"),
            (ReportKind::Expired, _) => order.end_unless_filled("expired"),
            _ => {}
        }
    }

    fn fill(&mut self, seq: u64, id: TradeId, shares: i128, price: i128, day: Day) -> Result<(), Refused> {
        let side = self.orders.get(&seq).map(|order| if order.buys { Side::Buy } else { Side::Sell });
        let known = self.trades.get(&(day, id, side)).or_else(|| self.trades.get(&(day, id, None)));
        match known {
            Some(known) if *known == (seq, shares, price) => return Ok(()),
            Some(_) => return Err("fill_contradicted"),
            None => {}
        }
        match self.orders.get(&seq) {
            Some(order) if shares <= order.quantity - order.filled => self.trade(seq, id, shares, price, day),
            _ => {
                self.trades.insert((day, id, None), (seq, shares, price));
                self.unmatched.insert(self.seq, (id, shares, price, day));
            }
        }
        Ok(())
    }

    fn assign(&mut self, entry: u64, seq: u64) -> Result<(), Refused> {
        let order = self.orders.get(&seq).ok_or("unknown_order")?;
        let (id, shares, price, day) = *self.unmatched.get(&entry).ok_or("unknown_unmatched_fill")?;
        if shares > order.quantity - order.filled {
            return Err("fill_does_not_fit");
        }
        self.unmatched.remove(&entry);
        self.trade(seq, id, shares, price, day);
        Ok(())
    }

    /// A trade counts in any state of its order.
    fn trade(&mut self, seq: u64, id: TradeId, shares: i128, price: i128, day: Day) {
        let value = half_up(price * shares, 100);
        let order = self.orders.get_mut(&seq).expect("looked up before");
        let buys = order.buys;
        self.trades.insert((day, id, Some(if buys { Side::Buy } else { Side::Sell })), (seq, shares, price));
        order.filled += shares;
        // More may have been asked for: the order waits for the venue's word on that.
        let grows = matches!(order.waiting, Waiting::Modification { quantity, .. } if quantity > order.quantity);
        if order.filled == order.quantity && (!grows || order.is_over()) {
            order.end("filled");
        } else if !order.is_over() {
            order.status = "partly_filled";
            if let Waiting::Modification { quantity, price } = order.waiting {
                let asked = (quantity - order.filled).max(0);
                let standing = order.pending();
                if buys {
                    let new = blocked_at(price.unwrap_or(UPPER_BAND), asked);
                    order.blocked = blocked_at(order.block_price(), standing).max(new);
                } else {
                    order.blocked_shares = standing.max(asked);
                }
            } else {
                order.block();
            }
        }
        let due = self.due.entry(settles_on(day)).or_default();
        let traded = self.traded.entry(day).or_default();
        if buys {
            due.payable += value;
            traded.bought += shares;
            traded.cost += value;
            self.today += shares;
            return;
        }
        let from_today = shares.min(traded.bought - traded.from_today).min(self.today).max(0);
        let covered = (shares - from_today).min(self.settled_shares.max(0));
        let mut from_t1 = (shares - from_today - covered).min(self.t1.values().sum());
        // What nothing covers leaves settled shares negative.
        let from_settled = shares - from_today - from_t1;
        // T1 shares are not usable; shares bought today at most at their average cost.
        let mut usable = value * covered / shares;
        if from_today > 0 {
            usable += (value * from_today / shares).min(traded.cost * from_today / traded.bought);
        }
        due.receivable += value;
        due.usable += usable;
        traded.sold += shares;
        traded.proceeds += value;
        traded.usable += usable;
        traded.from_today += from_today;
        traded.from_t1 += from_t1;
        traded.from_settled += from_settled;
        self.today -= from_today;
        self.settled_shares -= from_settled;
        while from_t1 > 0 {
            let mut lot = self.t1.first_entry().expect("as many T1 shares as are drawn");
            let taken = from_t1.min(*lot.get());
            traded.lots.push((*lot.key(), taken));
            *lot.get_mut() -= taken;
            from_t1 -= taken;
            if *lot.get() == 0 {
                lot.remove();
            }
        }
    }

    fn answered(&mut self, report: &ReportAllotment) -> Result<(), Refused> {
        let seq = report.fund_order_id.seq;
        let Some(order) = self.funds.get(&seq).filter(|order| matches!(order.status, "requested" | "sent")).cloned()
        else {
            return Ok(());
        };
        let status = match (&report.answer, &order.what) {
            (Answer::Rejected(_), what) => {
                if let (Fund::Purchase(amount), "sent") = (what, order.status) {
                    self.settled += amount;
                }
                "rejected"
            }
            (Answer::Allotted(allotment), Fund::Purchase(amount)) => {
                if order.status == "requested" {
                    self.settled -= amount;
                }
                *self.units.get_or_insert(0) += i128::from(allotment.units.smallest());
                "allotted"
            }
            (Answer::Allotted(allotment), Fund::Redemption(_)) => {
                let (Some(amount), Some(pays_on)) = (allotment.amount, allotment.pays_on) else {
                    return Err("payout_required");
                };
                *self.units.get_or_insert(0) -= i128::from(allotment.units.smallest());
                self.due.entry(pays_on.days_since_epoch().into()).or_default().receivable +=
                    i128::from(amount.smallest());
                "redeemed"
            }
        };
        self.funds.insert(seq, FundOrder { what: order.what, status });
        Ok(())
    }

    /// Does all that time has made due; gives how many entries that takes.
    pub fn catch_up(&mut self, now: Timestamp) -> usize {
        let (today, time) = (day_of(now), seconds(now).rem_euclid(DAY_SECONDS));
        let has_passed_close = |day: Day| day < today || day == today && time >= CLOSE_SECONDS;
        let mut entries = 0;
        for order in self.funds.values_mut().filter(|order| order.status == "requested") {
            order.status = "sent";
            if let Fund::Purchase(amount) = order.what {
                self.settled -= amount;
            }
            entries += 1;
        }
        for order in self.orders.values_mut().filter(|order| !order.is_over() && has_passed_close(order.session)) {
            order.end_unless_filled("expired");
            entries += 1;
        }
        while let Some(day) = self.traded.first_key_value().map(|(day, _)| *day).filter(|day| *day < today) {
            self.net(day);
            entries += 1;
        }
        let dates: std::collections::BTreeSet<Day> = self.due.keys().chain(self.t1.keys()).copied().collect();
        for date in dates.into_iter().filter(|date| has_passed_close(*date)) {
            let due = self.due.remove(&date).unwrap_or_default();
            self.settled += due.receivable - due.payable;
            self.settled_shares += self.t1.remove(&date).unwrap_or_default();
            entries += 1;
        }
        self.seq += entries as u64;
        entries
    }

    fn net(&mut self, day: Day) {
        let Some(mut traded) = self.traded.remove(&day) else { return };
        // A purchase covers what was sold of T1 first, then of settled shares; the rest becomes T1.
        let left = (traded.bought - traded.from_today).max(0);
        let to_lots = left.min(traded.from_t1);
        let to_settled = (left - to_lots).min(traded.from_settled);
        let to_t1 = left - to_lots - to_settled;
        self.today -= left;
        self.settled_shares += to_settled;
        let mut back = to_lots;
        while back > 0 {
            let (date, drawn) = traded.lots.pop().expect("as many as were drawn");
            let returned = back.min(drawn);
            *self.t1.entry(date).or_default() += returned;
            back -= returned;
        }
        let settles = settles_on(day);
        if to_t1 > 0 {
            *self.t1.entry(settles).or_default() += to_t1;
        }
        if let Some(due) = self.due.get_mut(&settles).filter(|_| traded.sold > 0) {
            let mut usable = traded.proceeds * (traded.from_settled - to_settled) / traded.sold;
            let intraday = traded.bought.min(traded.sold);
            if intraday > 0 {
                usable += (traded.proceeds * intraday / traded.sold).min(traded.cost * intraday / traded.bought);
            }
            due.usable -= (traded.usable - usable).max(0);
        }
    }
}
