//! Trades as a venue reports them: known for ever, matched or waiting for an operator, cancelled, told twice.

use super::{
    Model, Refused,
    clock::{Day, day_of},
    side_of, value_of,
};
use domain::{
    ids::TradeId,
    order::{CancelTrade, Fill, Side},
};
/// A trade that was reported, or that was cancelled before it was.
#[derive(Clone, Debug)]
pub struct Trade {
    pub day: Day,
    pub id: TradeId,
    /// What the venue said besides the order's number: whether it named the instrument, and which side.
    pub told: (bool, Option<Side>),
    /// The order it was reported for.
    pub named: u64,
    /// The order it belongs to, and its side.
    pub order: Option<(u64, Side)>,
    /// Not known while only its cancellation is.
    pub content: Option<(i128, i128)>,
    pub is_cancelled: bool,
    /// Whether it fitted no order when it came.
    was_unmatched: bool,
    /// The entry that holds it.
    entry: u64,
    /// The one since which it is an order's.
    pub counted: u64,
}

impl Trade {
    fn waits(&self) -> bool {
        self.order.is_none() && !self.is_cancelled
    }
    fn is(&self, day: Day, id: TradeId) -> bool {
        (self.day, self.id) == (day, id)
    }
    fn is_of(&self, seq: u64) -> bool {
        self.named == seq || self.order.is_some_and(|(order, _)| order == seq)
    }
    /// A trade is known by exchange, date, number and side.
    fn has_side(&self, side: Side) -> bool {
        self.order.map(|(_, side)| side) == Some(side) || self.told == (true, Some(side))
    }
    /// One that fitted no order is known by the words it came in; by its number alone only for the order it named.
    fn came_as(&self, told: (bool, Option<Side>), named: u64) -> bool {
        let is_sided = |side: Side| told.0 && self.has_side(side);
        let is_full = told.0 && told.1.is_some();
        self.was_unmatched && self.told == told && (is_full || self.named == named) || told.1.is_some_and(is_sided)
    }
    /// Another order's, or only known to have been cancelled.
    fn is_elsewhere(&self) -> bool {
        self.content.is_none() || self.was_unmatched && self.order.is_some()
    }
}

#[derive(Clone, Debug, Default)]
pub struct Trades {
    /// As they came.
    pub known: Vec<Trade>,
}

impl Trades {
    /// Entries whose trade waits for assignment.
    pub fn unmatched(&self) -> impl Iterator<Item = u64> {
        self.known.iter().filter(|trade| trade.waits()).map(|trade| trade.entry)
    }
}

impl Model {
    fn side_of_order(&self, seq: u64) -> Option<Side> {
        self.orders.get(&seq).map(|order| side_of(order.buys))
    }

    pub fn fill(&mut self, fill: &Fill) -> Result<(), Refused> {
        let (seq, id, day) = (fill.order_id.seq, fill.trade_id, day_of(fill.executed_at));
        let content = (i128::from(fill.quantity.shares()), i128::from(fill.price.smallest()));
        let told = (fill.instrument.is_some(), fill.side);
        let side = self.side_of_order(seq);
        let here = || self.trades.known.iter().filter(|trade| trade.is(day, id));
        let repeats = |trade: &&Trade| trade.is_of(seq) && trade.content.is_none_or(|known| known == content);
        let known_side = side.or(told.1.filter(|_| told.0));
        let as_ordered = here().find(|trade| known_side.is_some_and(|side| trade.has_side(side)));
        let only_cancelled = here().find(|trade| trade.content.is_none() && trade.named == seq);
        let as_told = || here().filter(|trade| trade.came_as(told, seq));
        // In the words it came in, whatever else has the number since.
        let is_cancelled =
            |trade: &&Trade| trade.is_cancelled && trade.order.is_none() && trade.came_as((false, None), seq);
        if as_told().chain(here().filter(is_cancelled)).any(|trade| repeats(&trade) && trade.content.is_some()) {
            return Ok(());
        }
        // What came in the same words and turned out to be another order's leaves room for a trade of this one.
        let same =
            || as_told().find(repeats).or_else(|| as_told().find(|trade| side.is_none() || !trade.is_elsewhere()));
        if let Some(trade) = only_cancelled.or(as_ordered).or_else(same) {
            let is_others = |other: &Trade| other.content.is_some() || !other.is_of(seq);
            let is_taken = || trade.content.is_none() && as_told().any(is_others);
            if !repeats(&trade) || is_taken() {
                return Err("fill_contradicted");
            }
            // What was cancelled before it was told is known from now on, in these words too, and can be contradicted.
            if trade.content.is_none() {
                let place = self.trades.known.iter().position(|known| std::ptr::eq(known, trade)).expect("known");
                self.trades.known[place].content = Some(content);
                let (order, entry) = (None, self.seq);
                let told = Trade { order, told, was_unmatched: true, entry, ..self.trades.known[place].clone() };
                self.trades.known.push(told);
            }
            return Ok(());
        }
        let fits = self.orders.get(&seq).is_some_and(|order| content.0 <= order.terms.quantity - order.filled)
            && (fill.side.is_none() || fill.side == side);
        if !fits && as_told().next().is_some() {
            return Err("fill_contradicted");
        }
        let trade = Trade {
            day,
            id,
            told,
            named: seq,
            order: None,
            content: Some(content),
            is_cancelled: false,
            was_unmatched: !fits,
            entry: self.seq,
            counted: self.seq,
        };
        self.trades.known.push(trade);
        if fits {
            self.match_to(self.trades.known.len() - 1, seq);
        }
        Ok(())
    }

    pub fn assign(&mut self, entry: u64, seq: u64) -> Result<(), Refused> {
        let order = self.orders.get(&seq).ok_or("unknown_order")?;
        let side = side_of(order.buys);
        let place = self.trades.known.iter().position(|trade| trade.entry == entry && trade.waits());
        let place = place.ok_or("unknown_unmatched_fill")?;
        let trade = &self.trades.known[place];
        let is_it = |other: &Trade| other.is(trade.day, trade.id) && other.has_side(side);
        if self.trades.known.iter().any(|other| other.entry != entry && is_it(other)) {
            return Err("fill_contradicted");
        }
        let left = order.terms.quantity - order.filled;
        if trade.content.is_some_and(|(shares, _)| shares > left) || trade.told.1.is_some_and(|told| told != side) {
            return Err("fill_does_not_fit");
        }
        self.match_to(place, seq);
        Ok(())
    }

    /// A trade counts in any state of its order.
    fn match_to(&mut self, place: usize, seq: u64) {
        let order = self.orders.get_mut(&seq).expect("looked up before");
        let trade = &mut self.trades.known[place];
        let (is_purchase, session, day) = (order.buys, order.session, trade.day);
        let (shares, price) = trade.content.expect("told");
        (trade.order, trade.counted) = (Some((seq, side_of(is_purchase))), self.seq);
        let value = value_of(price, shares);
        order.trade(shares);
        if order.is_intraday {
            self.trade_intraday(session, day, is_purchase, shares, value);
            return;
        }
        order.block();
        if is_purchase {
            self.deliver_bought(day, shares, value);
        } else {
            self.deliver_sold(day, shares, value);
        }
    }

    /// As if it had not been; told before the trade itself, it counts when that comes.
    pub fn cancel_trade(&mut self, cancel: &CancelTrade) {
        let (seq, id, day) = (cancel.order_id.seq, cancel.trade_id, i64::from(cancel.trade_date.days_since_epoch()));
        let known = &self.trades.known;
        let find = |is_it: &dyn Fn(&Trade) -> bool| known.iter().position(|trade| trade.is(day, id) && is_it(trade));
        if find(&|trade| trade.is_of(seq) && trade.is_cancelled).is_some() {
            return;
        }
        // The one it filled, the one that waits, or the one that was assigned to another order than it named: of two, as
        // their sides were not told, the purchase.
        let is_bought = |trade: &Trade| trade.order.is_some_and(|(_, side)| side == Side::Buy);
        let place = find(&|trade| trade.order.is_some_and(|(order, _)| order == seq))
            .or_else(|| find(&|trade| trade.named == seq && trade.waits()))
            .or_else(|| find(&|trade| trade.named == seq && is_bought(trade)))
            .or_else(|| find(&|trade| trade.named == seq));
        let Some(place) = place else {
            // Of which trade is not known if another's has the number: of that side, or in as few words.
            let order = self.side_of_order(seq).map(|side| (seq, side));
            let is_taken =
                |trade: &Trade| order.map_or(trade.came_as((false, None), seq), |(_, side)| trade.has_side(side));
            if !known.iter().any(|trade| trade.is(day, id) && is_taken(trade)) {
                self.trades.known.push(Trade {
                    day,
                    id,
                    told: (false, None),
                    named: seq,
                    order,
                    content: None,
                    is_cancelled: true,
                    was_unmatched: order.is_none(),
                    entry: self.seq,
                    counted: self.seq,
                });
            }
            return;
        };
        let trade = &mut self.trades.known[place];
        trade.is_cancelled = true;
        let Some((seq, _)) = trade.order else { return };
        let (shares, price) = trade.content.expect("told");
        let (value, counted) = (value_of(price, shares), trade.counted);
        let order = self.orders.get_mut(&seq).expect("a trade's order");
        order.undo(shares);
        let (is_purchase, session) = (order.buys, order.session);
        if order.is_intraday {
            self.trade_intraday(session, day, !is_purchase, shares, value);
        } else if is_purchase {
            self.undo_bought(day, counted, shares, value);
        } else {
            self.undo_sold(day, counted, shares, value);
        }
    }
}
