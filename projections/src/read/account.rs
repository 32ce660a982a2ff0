//! The account itself, its cash, positions and holdings; values no share.

use super::Reading;
use crate::{Error, List, Page, page::after_key, view::View};
use domain::{
    ids::{AccountId, InstrumentId},
    money::{Money, Price, Quantity, Rounding},
    order::{Product, Side},
    position::Shares,
    time::{Date, Timestamp},
};
use serde::Serialize;

/// An account.
#[derive(Clone, Debug, Serialize)]
pub struct AccountAnswer<'a> {
    /// Its id.
    pub account: &'a AccountId,
    /// Since when it is open; null while only facts about it are recorded.
    pub opened_at: Option<Timestamp>,
    /// Entries so far.
    pub entries: u64,
    /// Orders that are not closed.
    pub open_orders: usize,
}

/// What comes or goes on a settlement date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DueAmount {
    /// When.
    pub date: Date,
    /// How much, above zero.
    pub amount: Money,
}

/// What comes in on a settlement date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ReceivableAmount {
    /// When.
    pub date: Date,
    /// How much, above zero.
    pub amount: Money,
    /// The part of it that new orders may use now.
    pub usable: Money,
}

/// What holds blocked cash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BlockedFor {
    /// Pending orders.
    pub orders: Money,
    /// Open intraday positions.
    pub positions: Money,
    /// Fund purchases that are not sent.
    pub funds: Money,
}

/// A part of an account's cash that is below zero, and what that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shortfall {
    /// Which part: settled, available or withdrawable.
    pub part: &'static str,
    /// By how much it is below zero.
    pub short: Money,
    /// What is refused until it is made up: nothing for settled cash alone.
    pub refused: &'static [&'static str],
}

impl Shortfall {
    fn of(cash: &domain::cash::Cash) -> Vec<Self> {
        let parts: [(&str, Money, &[&str]); 3] = [
            ("settled", cash.settled, &[]),
            ("available", cash.available(), &["purchases", "fund_purchases"]),
            ("withdrawable", cash.withdrawable(), &["withdrawals"]),
        ];
        let below = parts.into_iter().filter(|(_, amount, _)| amount.is_negative());
        below.map(|(part, amount, refused)| Self { part, short: -amount, refused }).collect()
    }
}

/// An account's rupees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CashAnswer<'a> {
    /// Whose.
    pub account: &'a AccountId,
    /// Ours now.
    pub settled: Money,
    /// Comes, by settlement date.
    pub receivable: Vec<ReceivableAmount>,
    /// Goes, by settlement date.
    pub payable: Vec<DueAmount>,
    /// Held for pending orders and fund purchases.
    pub blocked: Money,
    /// What of it is held for which.
    pub blocked_for: BlockedFor,
    /// What new orders may use: withdrawable and the usable part of what comes.
    pub available: Money,
    /// What may leave: settled less everything payable less blocked.
    pub withdrawable: Money,
    /// What is below zero, and what that refuses; empty when nothing is.
    pub shortfalls: Vec<Shortfall>,
}

/// Shares of one instrument by how far they are settled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PositionAnswer<'a> {
    /// Of what.
    pub instrument: &'a InstrumentId,
    /// Delivery or intraday.
    pub product: Product,
    /// All three parts; of an intraday position all is bought today, below zero when sold and not bought.
    pub quantity: Quantity,
    /// Bought on a day that is not netted yet.
    pub bought_today: Quantity,
    /// Bought, netted, not settled.
    pub t1: Quantity,
    /// Settled.
    pub settled: Quantity,
    /// Held for pending sales.
    pub blocked: Quantity,
    /// Bought on days not netted yet; of an intraday position, what of that is open.
    pub day_bought: Quantity,
    /// What that cost.
    pub day_bought_value: Money,
    /// Sold on days not netted yet.
    pub day_sold: Quantity,
    /// What that brought.
    pub day_sold_value: Money,
    /// The last price known.
    pub last_price: Option<Price>,
}

/// Shares held in the demat account, or on their way there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HoldingAnswer<'a> {
    /// Of what.
    pub instrument: &'a InstrumentId,
    /// Settled and T1.
    pub quantity: Quantity,
    /// Settled.
    pub settled: Quantity,
    /// Bought, netted, not settled.
    pub t1: Quantity,
    /// Average cost of everything held whose cost is known, rounded half up.
    pub average_price: Option<Price>,
    /// The last price known.
    pub last_price: Option<Price>,
    /// Quantity at that price.
    pub value: Option<Money>,
}

impl<'a> Reading<'a> {
    /// The account itself.
    pub fn account(&self) -> Result<AccountAnswer<'a>, Error> {
        self.need(&[View::Portfolio, View::Orders])?;
        Ok(AccountAnswer {
            account: self.account,
            opened_at: self.rows.portfolio.opened_at,
            entries: self.rows.journal.count(),
            open_orders: self.rows.orders.open_orders().count(),
        })
    }

    /// Its cash.
    pub fn cash(&self) -> Result<CashAnswer<'a>, Error> {
        self.need(&[View::Cash])?;
        let cash = &self.rows.cash.cash;
        let receivable = cash.due.iter().filter(|(_, due)| !due.receivable.is_zero());
        let payable = cash.due.iter().filter(|(_, due)| !due.payable.is_zero());
        let (funds, positions) = (self.rows.cash.for_funds, self.rows.cash.for_positions());
        Ok(CashAnswer {
            account: self.account,
            settled: cash.settled,
            receivable: receivable
                .map(|(date, due)| ReceivableAmount { date: *date, amount: due.receivable, usable: due.usable })
                .collect(),
            payable: payable.map(|(date, due)| DueAmount { date: *date, amount: due.payable }).collect(),
            blocked: cash.blocked,
            blocked_for: BlockedFor { orders: cash.blocked - funds - positions, positions, funds },
            available: cash.available(),
            withdrawable: cash.withdrawable(),
            shortfalls: Shortfall::of(cash),
        })
    }

    /// Positions by instrument; with one named, only that one.
    pub fn positions(
        &self,
        instrument: Option<&InstrumentId>,
        page: &Page<'_>,
    ) -> Result<List<PositionAnswer<'a>>, Error> {
        self.need(&[View::Portfolio, View::Orders, View::Pnl, View::Prices])?;
        let after = page.key()?;
        let delivery = self.rows.portfolio.positions.keys().map(|id| (id, Product::Cnc));
        let intraday = self.rows.portfolio.intraday.keys().map(|id| (id, Product::Mis));
        let mut held: Vec<_> = delivery.chain(intraday).collect();
        held.sort_unstable();
        let rows = held.into_iter().filter(|(id, product)| {
            instrument.is_none_or(|named| named == *id)
                && after.as_deref().is_none_or(|after| position_key(id, *product).as_str() > after)
        });
        let rows = rows.map(|(id, product)| match product {
            Product::Cnc => self.position(id, self.rows.portfolio.positions[id]),
            Product::Mis => self.intraday(id, self.rows.portfolio.intraday[id]),
        });
        Ok(List::take(rows, page.limit(), |row| after_key(&position_key(row.instrument, row.product))))
    }

    /// Holdings (settled and T1) by instrument; with one named, only that one.
    pub fn holdings(
        &self,
        instrument: Option<&InstrumentId>,
        page: &Page<'_>,
    ) -> Result<List<HoldingAnswer<'a>>, Error> {
        self.need(&[View::Orders, View::Portfolio, View::Pnl, View::Prices])?;
        let after = page.key()?;
        let rows = self
            .held(instrument, after.as_deref())
            .filter(|(_, shares)| !shares.t1.is_zero() || !shares.settled.is_zero())
            .map(|(id, shares)| self.holding(id, *shares));
        Ok(List::take(rows, page.limit(), |row| after_key(row.instrument.as_str())))
    }

    fn held<'b>(
        &self,
        instrument: Option<&'b InstrumentId>,
        after: Option<&'b str>,
    ) -> impl Iterator<Item = (&'a InstrumentId, &'a Shares)> + use<'a, 'b> {
        let rows = self.rows.portfolio.positions.iter();
        rows.filter(move |(id, _)| {
            instrument.is_none_or(|named| named == *id) && after.is_none_or(|after| id.as_str() > after)
        })
    }

    fn position(&self, instrument: &'a InstrumentId, shares: Shares) -> PositionAnswer<'a> {
        let open = self.rows.orders.open_orders();
        let blocked = open
            .filter(|order| order.side == Side::Sell && order.instrument == *instrument)
            .map(|order| order.blocked_quantity)
            .sum();
        let (mut bought, mut sold) = ((0, Money::ZERO), (0, Money::ZERO));
        for day in self.rows.pnl.instruments.get(instrument).iter().flat_map(|of| &of.days) {
            for (trades, sums) in [(&day.bought, &mut bought), (&day.sold, &mut sold)] {
                for trade in trades {
                    *sums = (sums.0 + trade.quantity, sums.1 + trade.value);
                }
            }
        }
        PositionAnswer {
            instrument,
            product: Product::Cnc,
            quantity: shares.total(),
            bought_today: shares.bought_today,
            t1: shares.t1,
            settled: shares.settled,
            blocked,
            day_bought: Quantity::new(bought.0),
            day_bought_value: bought.1,
            day_sold: Quantity::new(sold.0),
            day_sold_value: sold.1,
            last_price: self.prices.quote(instrument).last,
        }
    }

    fn intraday(&self, instrument: &'a InstrumentId, quantity: Quantity) -> PositionAnswer<'a> {
        let (mut bought, mut sold) = ((Quantity::ZERO, Money::ZERO), (Quantity::ZERO, Money::ZERO));
        for open in self.rows.pnl.instruments.get(instrument).iter().flat_map(|of| of.mis.values()) {
            let side = if open.quantity.is_negative() { &mut sold } else { &mut bought };
            *side = (side.0 + Quantity::new(open.quantity.shares().abs()), side.1 + open.value);
        }
        PositionAnswer {
            instrument,
            product: Product::Mis,
            quantity,
            bought_today: quantity,
            t1: Quantity::ZERO,
            settled: Quantity::ZERO,
            blocked: Quantity::ZERO,
            day_bought: bought.0,
            day_bought_value: bought.1,
            day_sold: sold.0,
            day_sold_value: sold.1,
            last_price: self.prices.quote(instrument).last,
        }
    }

    fn holding(&self, instrument: &'a InstrumentId, shares: Shares) -> HoldingAnswer<'a> {
        let standing = self.standing(instrument);
        let known = Quantity::new(standing.quantity - standing.unknown_quantity);
        let quantity = shares.settled + shares.t1;
        let last_price = self.prices.quote(instrument).last;
        HoldingAnswer {
            instrument,
            quantity,
            settled: shares.settled,
            t1: shares.t1,
            average_price: if known.is_positive() { standing.cost.per_share(known, Rounding::HalfUp) } else { None },
            last_price,
            value: last_price.and_then(|price| price.times(quantity, Rounding::HalfUp)),
        }
    }
}

/// Sorts as the rows do: by instrument, delivery first.
fn position_key(instrument: &InstrumentId, product: Product) -> String {
    // A control sorts before every character of an instrument, as the end of a text does.
    format!("{instrument}\t{}", crate::orders::product(product))
}
