//! Profit and loss: lots and realised gains by instrument and by folio, first in first out; knows no price of today.
//!
//! What is bought and sold on one day in one instrument on one exchange nets as intraday first: the
//! day's trades wait, in the order they were executed, until `day_netted` says so; until then the
//! day's gain is provisional. Of the rest, purchases become lots and sales take the oldest lots.
//! A bonus lot costs nothing and a split leaves the cost as it is. Imported rows are delivery, in the
//! order they were imported; without a price they are lots whose cost is not known. The cost of fund
//! units includes stamp duty. Intraday (MIS) positions are apart: their gain is realised by the trade that closes.

use crate::{
    lots::{Amount, Gains, Lots},
    row::Rows,
};
use domain::{
    event::{Event, EventData},
    history::Kind,
    ids::{AccountId, Exchange, Folio, InstrumentId, SchemeCode},
    intraday::{Converted, Intraday},
    money::{Money, Quantity, Rounding},
    order::{Filled, Side, TradeCancelled, Undone},
    position::DayNetted,
    time::{Date, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One trade of a day that is not netted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayTrade {
    /// When it was executed.
    pub at: Timestamp,
    /// Shares.
    pub quantity: i64,
    /// Rupees.
    pub value: Money,
}

/// A day's trades in one instrument on one exchange, until they are netted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Where.
    pub exchange: Exchange,
    /// When.
    pub trade_date: Date,
    /// Purchases in the order they were executed.
    pub bought: Vec<DayTrade>,
    /// Sales in the order they were executed.
    pub sold: Vec<DayTrade>,
}

impl Day {
    fn add(&mut self, side: Side, trade: DayTrade) {
        let trades = match side {
            Side::Buy => &mut self.bought,
            Side::Sell => &mut self.sold,
        };
        let at = match trades.last() {
            Some(last) if last.at > trade.at => trades.partition_point(|earlier| earlier.at <= trade.at),
            _ => trades.len(),
        };
        trades.insert(at, trade);
    }

    /// Takes out the trade that the exchange cancelled.
    fn take_out(&mut self, side: Side, trade: DayTrade) -> bool {
        let trades = match side {
            Side::Buy => &mut self.bought,
            Side::Sell => &mut self.sold,
        };
        let found = trades.iter().position(|of| *of == trade);
        found.map(|at| trades.remove(at)).is_some()
    }

    /// As much as was bought and sold alike: what nets, unless the shares are of a series in which all is delivered,
    /// which only the netting says.
    fn alike(&self) -> i64 {
        let total = |trades: &[DayTrade]| trades.iter().map(|trade| trade.quantity).sum::<i64>();
        total(&self.bought).min(total(&self.sold))
    }

    /// Nets so many shares as intraday and the rest into the lots; gives the intraday gain.
    fn net(&self, intraday: i64, lots: &mut Lots, gains: &mut Gains) -> Money {
        let rest_of = |trades: &[DayTrade], mut each: Box<dyn FnMut(i64, Option<Money>) + '_>| {
            let (mut left, mut value) = (intraday, Money::ZERO);
            for trade in trades {
                let mut amount = Amount { quantity: trade.quantity, money: Some(trade.value) };
                let taken = left.min(trade.quantity);
                if taken > 0 {
                    value += amount.take(taken).unwrap_or_default();
                    left -= taken;
                }
                if amount.quantity > 0 {
                    each(amount.quantity, amount.money);
                }
            }
            value
        };
        let date = self.trade_date;
        let sold = rest_of(&self.sold, Box::new(|quantity, proceeds| lots.sell(date, quantity, proceeds, gains)));
        let bought = rest_of(&self.bought, Box::new(|quantity, cost| lots.buy(date, quantity, cost, gains)));
        sold - bought
    }
}

/// Lots and gains of one instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// Bought so far, where the price is known; days not netted included.
    pub bought: Money,
    /// Sold so far, where the price is known; days not netted included.
    pub sold: Money,
    /// Gained within a day.
    pub intraday: Money,
    /// Gained by delivery.
    pub gains: Gains,
    /// Held after the last netted day.
    pub lots: Lots,
    /// Days not netted yet, the oldest first.
    pub days: Vec<Day>,
    /// Open intraday (MIS) positions by session; their margin is not kept here.
    pub mis: BTreeMap<Date, Intraday>,
}

/// What stands when open days are netted as they are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Held.
    pub quantity: i64,
    /// The part of it whose cost is not known.
    pub unknown_quantity: i64,
    /// What the rest cost.
    pub cost: Money,
    /// Gained on days not netted yet: intraday and delivery.
    pub provisional: Money,
    /// Whether a day is not netted yet and something was sold on it.
    pub is_provisional: bool,
}

impl Instrument {
    /// With open days netted as they are now, none of them trade-to-trade.
    pub fn standing(&self) -> Standing {
        self.standing_where(|_| false)
    }

    /// With open days netted as they are now; of a day on which each share is delivered, nothing nets. Asked of days
    /// alone that would net something.
    pub fn standing_where(&self, delivers_gross: impl Fn(&Day) -> bool) -> Standing {
        let lots = &self.lots;
        let mut standing = Standing {
            quantity: lots.quantity(),
            unknown_quantity: lots.unknown_quantity(),
            cost: lots.cost(),
            ..Standing::default()
        };
        // Nothing sold: purchases stand beside the lots and nothing is gained.
        if self.days.iter().all(|day| day.sold.is_empty()) && lots.shorts().len() == 0 {
            for trade in self.days.iter().flat_map(|day| &day.bought) {
                standing.quantity += trade.quantity;
                standing.cost += trade.value;
            }
            return standing;
        }
        let (mut lots, mut gains) = (lots.clone(), Gains::default());
        let nets = |day: &Day| if day.alike() > 0 && delivers_gross(day) { 0 } else { day.alike() };
        let intraday: Money = self.days.iter().map(|day| day.net(nets(day), &mut lots, &mut gains)).sum();
        Standing {
            quantity: lots.quantity(),
            unknown_quantity: lots.unknown_quantity(),
            cost: lots.cost(),
            provisional: intraday + gains.realised,
            is_provisional: self.days.iter().any(|day| !day.sold.is_empty()),
        }
    }

    fn trade(&mut self, filled: &Filled, at: Timestamp) {
        match filled.side {
            Side::Buy => self.bought += filled.value,
            Side::Sell => self.sold += filled.value,
        }
        if let Some(trade) = &filled.intraday {
            return self.trade_intraday(trade.session_date, filled.side, filled.quantity, filled.value);
        }
        let trade = DayTrade { at, quantity: filled.quantity.shares(), value: filled.value };
        self.deliver(filled.exchange, filled.trade_date, filled.side, trade);
    }

    fn trade_intraday(&mut self, session: Date, side: Side, quantity: Quantity, value: Money) {
        let open = self.mis.get(&session).copied().unwrap_or_default();
        let trade = open.trade(session, side, quantity, value).expect("what the book could add up");
        self.intraday += trade.realised;
        self.set_intraday(session, trade.after);
    }

    fn set_intraday(&mut self, session: Date, after: Intraday) {
        if after == Intraday::default() {
            self.mis.remove(&session);
        } else {
            self.mis.insert(session, after);
        }
    }

    fn convert(&mut self, converted: &Converted, at: Timestamp) {
        // Nothing could be delivered of what is open, which stays.
        if converted.quantity.is_zero() {
            return;
        }
        // Leaves as by a trade at what it had cost: without a gain, unless a trade told later had happened before.
        let closing = converted.side.opposite();
        self.trade_intraday(converted.trade_date, closing, converted.quantity, converted.value);
        let Some(exchange) = converted.instrument.exchange() else { return };
        let trade = DayTrade { at, quantity: converted.quantity.shares(), value: converted.value };
        self.deliver(exchange, converted.trade_date, converted.side, trade);
    }

    /// A trade that was cancelled: taken out of its day, or, once that is netted, undone in the lots.
    fn undo(&mut self, trade_date: Date, undone: &Undone) {
        match undone.side {
            Side::Buy => self.bought -= undone.value,
            Side::Sell => self.sold -= undone.value,
        }
        if let Some(trade) = &undone.intraday {
            let (session, opposite) = (trade.session_date, undone.side.opposite());
            return self.trade_intraday(session, opposite, undone.quantity, undone.value);
        }
        let trade = DayTrade { at: undone.executed_at, quantity: undone.quantity.shares(), value: undone.value };
        let day = self.days.iter_mut().find(|day| day.trade_date == trade_date && day.exchange == undone.exchange);
        if day.is_some_and(|day| day.take_out(undone.side, trade)) {
            return;
        }
        let (quantity, value) = (trade.quantity, Some(trade.value));
        match undone.side {
            Side::Buy => self.lots.take_back(trade_date, quantity, value, &mut self.gains),
            // What was gained stays gained: the shares come back at what they had brought.
            Side::Sell => self.lots.buy(trade_date, quantity, value, &mut self.gains),
        }
    }

    fn deliver(&mut self, exchange: Exchange, trade_date: Date, side: Side, trade: DayTrade) {
        let found = self.days.iter().position(|day| day.trade_date == trade_date && day.exchange == exchange);
        let at_day = found.unwrap_or_else(|| {
            let at_day = self.days.partition_point(|day| (day.trade_date, day.exchange) < (trade_date, exchange));
            self.days.insert(at_day, Day { exchange, trade_date, bought: Vec::new(), sold: Vec::new() });
            at_day
        });
        self.days[at_day].add(side, trade);
    }

    fn net(&mut self, netted: &DayNetted) {
        let found =
            self.days.iter().position(|day| day.trade_date == netted.trade_date && day.exchange == netted.exchange);
        if let Some(at) = found {
            let day = self.days.remove(at);
            self.intraday += day.net(netted.intraday.shares(), &mut self.lots, &mut self.gains);
        }
    }
}

/// Lots and gains of one folio of a scheme.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolioLots {
    /// Bought so far, where the amount is known.
    pub bought: Money,
    /// Redeemed so far, where the amount is known.
    pub sold: Money,
    /// Gained by redeeming.
    pub gains: Gains,
    /// Held.
    pub lots: Lots,
}

/// What an imported row says, for shares and for fund units alike.
struct Imported {
    kind: Kind,
    date: Date,
    quantity: i64,
    value: Option<Money>,
}

fn import(imported: Imported, bought: &mut Money, sold: &mut Money, lots: &mut Lots, gains: &mut Gains) {
    let Imported { kind, date, quantity, value } = imported;
    match kind {
        Kind::Purchase => {
            *bought += value.unwrap_or_default();
            lots.buy(date, quantity, value, gains);
        }
        Kind::Sale => {
            *sold += value.unwrap_or_default();
            lots.sell(date, quantity, value, gains);
        }
        Kind::Bonus => lots.buy(date, quantity, Some(Money::ZERO), gains),
        Kind::Split => lots.split(date, quantity, gains),
    }
}

/// The rows of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pnl {
    /// By instrument.
    pub instruments: BTreeMap<InstrumentId, Instrument>,
    /// By scheme and folio.
    pub folios: BTreeMap<(SchemeCode, Folio), FolioLots>,
}

impl Pnl {
    /// Folds one event.
    pub fn fold(&mut self, event: &Event) {
        match &event.data {
            EventData::OrderFilled(filled) => self.trade(filled, event.effective_at),
            EventData::FillAssigned(assigned) => self.trade(&assigned.fill, event.effective_at),
            EventData::TradeCancelled(TradeCancelled { trade_date, undone: Some(undone), .. }) => {
                self.instruments.entry(undone.instrument).or_default().undo(*trade_date, undone);
            }
            EventData::PositionConverted(converted) => {
                self.instruments.entry(converted.instrument).or_default().convert(converted, event.effective_at);
            }
            EventData::DayNetted(netted) => {
                if let Some(instrument) = self.instruments.get_mut(&netted.instrument) {
                    instrument.net(netted);
                }
            }
            EventData::TradeImported(row) => {
                let of = self.instruments.entry(row.instrument).or_default();
                let imported = Imported {
                    kind: row.kind,
                    date: row.trade_date,
                    quantity: row.quantity.shares(),
                    value: row.value,
                };
                import(imported, &mut of.bought, &mut of.sold, &mut of.lots, &mut of.gains);
            }
            EventData::UnitsImported(row) => {
                let of = self.folios.entry((row.scheme, row.folio)).or_default();
                // An amount rounded half up as registrars do, where only the NAV is known.
                let value = row.amount.or_else(|| row.units.worth(row.nav?, Rounding::HalfUp));
                let imported = Imported { kind: row.kind, date: row.trade_date, quantity: row.units.smallest(), value };
                import(imported, &mut of.bought, &mut of.sold, &mut of.lots, &mut of.gains);
            }
            EventData::FundUnitsAllotted(allotted) if allotted.applied => {
                let Some(scheme) = allotted.scheme else { return };
                let of = self.folios.entry((scheme, allotted.folio)).or_default();
                of.bought += allotted.amount.unwrap_or_default();
                of.lots.buy(allotted.nav_date, allotted.units.smallest(), allotted.amount, &mut of.gains);
            }
            EventData::FundUnitsRedeemed(redeemed) if redeemed.applied => {
                let of = self.folios.entry((redeemed.scheme, redeemed.folio)).or_default();
                of.sold += redeemed.amount;
                of.lots.sell(redeemed.nav_date, redeemed.units.smallest(), Some(redeemed.amount), &mut of.gains);
            }
            _ => {}
        }
    }

    fn trade(&mut self, filled: &Filled, at: Timestamp) {
        self.instruments.entry(filled.instrument).or_default().trade(filled, at);
    }

    /// Writes the canonical rows.
    pub fn write(&self, account: &AccountId, rows: &mut Rows) {
        for (id, of) in self.instruments.iter().filter(|(_, of)| **of != Instrument::default()) {
            let key = [account.as_str(), id.as_str()];
            let gains = &of.gains;
            let mut row = rows.row("instrument");
            row.id(key[0]).id(key[1]).show(of.bought).show(of.sold).show(of.intraday);
            write_gains(&mut row, gains);
            drop(row);
            of.lots.write(rows, &key);
            for (session, open) in &of.mis {
                let mut row = rows.row("intraday");
                row.id(key[0]).id(key[1]).show(session).show(open.quantity).show(open.value);
            }
            for day in &of.days {
                for (side, trades) in [("bought", &day.bought), ("sold", &day.sold)] {
                    for trade in trades {
                        let mut row = rows.row(side);
                        row.id(key[0]).id(key[1]).show(day.exchange).show(day.trade_date);
                        row.show(trade.at).number(trade.quantity).show(trade.value);
                    }
                }
            }
        }
        for ((scheme, folio), of) in self.folios.iter().filter(|(_, of)| **of != FolioLots::default()) {
            let key = [account.as_str(), scheme.as_str(), folio.as_str()];
            let mut row = rows.row("folio");
            row.id(key[0]).id(key[1]).id(key[2]).show(of.bought).show(of.sold);
            write_gains(&mut row, &of.gains);
            drop(row);
            of.lots.write(rows, &key);
        }
    }
}

fn write_gains(row: &mut crate::row::Row<'_>, gains: &Gains) {
    row.show(gains.realised).number(gains.unknown_cost_quantity).show(gains.unknown_cost_proceeds);
    row.number(gains.unknown_price_quantity).show(gains.unknown_price_cost);
}
