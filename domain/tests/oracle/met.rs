//! What the steps met, so that a run that meets nothing does not pass for one that agrees.

use crate::model::{Model, Work, funds::What, trades::Trade};
use domain::{
    command::Command,
    event::{Event, EventData},
    fund::Answer,
    intraday::IntradayTrade,
    order::{Filled, OrderType, Product, Refused, Side, TradeCancelled, Undone, Validity},
};
use std::collections::{BTreeMap, BTreeSet};

/// Each is met in so many sequences at least, most of them in ten times as many.
const LEAST: usize = 5;

/// What a run must meet.
const ALL: &[&str] = &[
    // Refusals.
    "conversion_not_allowed",
    "disclosed_quantity_not_allowed",
    "fill_contradicted",
    "fill_does_not_fit",
    "insufficient_cash",
    "insufficient_shares",
    "insufficient_units",
    "market_protection_not_allowed",
    "modification_pending",
    "nothing_to_modify",
    "order_closed",
    "order_triggered",
    "payout_required",
    "price_not_allowed",
    "price_off_tick",
    "price_outside_band",
    "price_required",
    "product_not_allowed",
    "quantity_below_filled",
    "quantity_not_positive",
    "square_off_order",
    "square_off_passed",
    "too_many_modifications",
    "trigger_beyond_price",
    "trigger_price_not_allowed",
    "trigger_price_required",
    "trigger_wrong_side",
    "unknown_folio",
    "unknown_order",
    "unknown_unmatched_fill",
    // Orders.
    "a stop triggered",
    "a trade of a stop whose trigger was not told",
    "an order for at once or not at all",
    "a part disclosed",
    "a change granted",
    "a change granted otherwise than asked",
    "another type of order granted",
    "a trade after its order was over",
    "a trade after its order had expired",
    "a trade after its order was refused",
    "an order refused",
    "a change refused",
    "a change refused with its order",
    "a change refused after all had traded",
    "a cancellation refused",
    "an order expired",
    "an order expired in part",
    "an order that its venue said had expired",
    "a report after its order was over",
    "a report after its order had expired",
    "a report told again",
    "a report of an order that is not known",
    // Intraday.
    "a short position opened",
    "a position added to",
    "a gain",
    "a loss",
    "a position turned",
    "other orders' margins changed",
    "an order asked while a change counts on closing more",
    "a pending order asked to leave before squaring off",
    "a position squared off",
    "a position asked to be squared off again",
    "a position squared off in vain and delivered",
    "a long position delivered at the session's end",
    "a short position delivered at the session's end",
    "a short position that nobody can deliver",
    "a short position delivered later",
    "a long position converted",
    "a short position converted",
    "a conversion refused for want of cash",
    "a conversion refused for want of shares",
    // Fund orders.
    "a purchase allotted",
    "a purchase allotted before it was sent",
    "a purchase refused",
    "a purchase refused before it was sent",
    "a redemption paid out",
    "a redemption paid out before it was sent",
    "a redemption refused",
    "a redemption refused before it was sent",
    "an allotment after its purchase was refused",
    "an allotment told again",
    "a refusal after its purchase was allotted",
    "a refusal after its redemption was paid out",
    "a refusal of a purchase told again",
    "a refusal of a redemption told again",
    "a payout after its redemption was refused",
    "a payout told again",
    "an answer to a fund order that is not known",
    // Trades.
    "an unmatched trade",
    "an unmatched trade assigned",
    "a trade told again",
    "a purchase cancelled on its day",
    "a purchase cancelled after netting",
    "a purchase cancelled after settling",
    "a sale cancelled on its day",
    "a sale cancelled after netting",
    "a sale cancelled after settling",
    "an intraday trade cancelled",
    "an intraday trade cancelled after its session",
    "an unmatched trade cancelled",
    "an assigned trade cancelled under the order it named",
    "a trade cancelled before it was told",
    "a trade cancelled of a netted day that is traded on again",
    "a trade told after it was cancelled",
    "a day netted with purchases and sales",
    "a trade-to-trade day with purchases and sales",
];

#[derive(Debug, Default)]
pub struct Met {
    /// In this sequence.
    now: BTreeSet<&'static str>,
    /// In how many sequences.
    sequences: BTreeMap<&'static str, usize>,
}

impl Met {
    fn meet(&mut self, what: &'static str) {
        self.now.insert(what);
    }
    fn meet_if(&mut self, is_met: bool, what: &'static str) {
        if is_met {
            self.meet(what);
        }
    }

    /// Work of the back office, before it is done.
    pub fn work(&mut self, before: &Model, work: Work) {
        match work {
            Work::Cancel(_) => self.meet("a pending order asked to leave before squaring off"),
            Work::SquareOff => {
                self.meet("a position squared off");
                let asked = before.square_offs.values().any(|tries| *tries > 0);
                self.meet_if(asked, "a position asked to be squared off again");
            }
            Work::Deliver(session) => {
                let position = before.intraday.get(&session).copied().unwrap_or_default();
                let (is_short, shares) = (position.quantity < 0, before.deliverable(session));
                self.meet_if(is_short && shares > 0, "a short position delivered at the session's end");
                self.meet_if(is_short && shares == 0, "a short position that nobody can deliver");
                self.meet_if(position.is_stuck && shares > 0, "a short position delivered later");
                self.meet_if(!is_short, "a long position delivered at the session's end");
                let was_asked = before.square_offs.contains_key(&session);
                self.meet_if(was_asked, "a position squared off in vain and delivered");
            }
            Work::Expire(seq) => {
                self.meet("an order expired");
                self.meet_if(before.orders[&seq].filled > 0, "an order expired in part");
            }
            Work::Net(day) => {
                let both = before.delivery.days.get(&day).is_some_and(|traded| traded.has_both());
                let is_gross = before.is_gross;
                self.meet_if(both && !is_gross, "a day netted with purchases and sales");
                self.meet_if(both && is_gross, "a trade-to-trade day with purchases and sales");
            }
            _ => {}
        }
    }

    /// A step, with the model as it was before.
    pub fn step(&mut self, before: &Model, command: &Command, events: &[Event], refused: Option<&'static str>) {
        match (command, refused) {
            (Command::ConvertPosition(_), Some("insufficient_cash")) => {
                self.meet("a conversion refused for want of cash");
            }
            (Command::ConvertPosition(_), Some("insufficient_shares")) => {
                self.meet("a conversion refused for want of shares");
            }
            (Command::RecordFill(_), None) if events.is_empty() => self.meet("a trade told again"),
            (Command::RecordFill(_), None)
                if matches!(events.last(), Some(Event { data: EventData::TradeCancelled(_), .. })) =>
            {
                self.meet("a trade told after it was cancelled");
            }
            (Command::CancelTrade(cancel), None) => self.cancelled(before, cancel.order_id.seq, events),
            _ => {}
        }
        if let Some(code) = refused {
            self.meet(code);
        }
        for event in events {
            self.event(before, &event.data);
        }
    }

    /// What a venue or a registrar says, with the model as it was before.
    pub fn report(&mut self, before: &Model, command: &Command, is_again: bool) {
        match command {
            Command::ReportOrder(report) => {
                self.meet_if(is_again, "a report told again");
                let Some(order) = before.orders.get(&report.order_id.seq) else {
                    return self.meet("a report of an order that is not known");
                };
                self.meet_if(order.is_over(), "a report after its order was over");
                self.meet_if(order.status == "expired", "a report after its order had expired");
            }
            Command::ReportAllotment(report) => {
                let order = before.funds.orders.get(&report.fund_order_id.seq);
                let Some(order) = order else { return self.meet("an answer to a fund order that is not known") };
                let is_purchase = matches!(order.what, What::Purchase(_));
                let is_refusal = matches!(report.answer, Answer::Rejected(_));
                let what = match (order.status, is_purchase, is_refusal) {
                    ("sent", true, false) => "a purchase allotted",
                    ("sent", true, true) => "a purchase refused",
                    ("sent", false, false) => "a redemption paid out",
                    ("sent", false, true) => "a redemption refused",
                    ("requested", true, false) => "a purchase allotted before it was sent",
                    ("requested", true, true) => "a purchase refused before it was sent",
                    ("requested", false, false) => "a redemption paid out before it was sent",
                    ("requested", false, true) => "a redemption refused before it was sent",
                    ("allotted", _, false) if is_again => "an allotment told again",
                    ("redeemed", _, false) if is_again => "a payout told again",
                    ("rejected", true, true) if is_again => "a refusal of a purchase told again",
                    ("rejected", false, true) if is_again => "a refusal of a redemption told again",
                    ("allotted", _, true) => "a refusal after its purchase was allotted",
                    ("redeemed", _, true) => "a refusal after its redemption was paid out",
                    ("rejected", true, false) => "an allotment after its purchase was refused",
                    ("rejected", false, false) => "a payout after its redemption was refused",
                    _ => "another answer of the same kind",
                };
                self.meet(what);
            }
            _ => {}
        }
    }

    fn event(&mut self, before: &Model, event: &EventData) {
        match event {
            EventData::OrderRequested(order) => {
                self.meet_if(order.validity == Validity::Ioc, "an order for at once or not at all");
                self.meet_if(order.disclosed_quantity.is_some(), "a part disclosed");
                let counts_on_more = before.orders.values().any(|order| order.counted_on() > order.closing);
                self.meet_if(counts_on_more, "an order asked while a change counts on closing more");
            }
            EventData::OrderRejected(rejected) if rejected.applied => {
                let order = &before.orders[&rejected.order_id.seq];
                self.meet(match rejected.refused {
                    Refused::Order => "an order refused",
                    Refused::Modification => "a change refused",
                    Refused::Cancellation => "a cancellation refused",
                });
                let is_change = rejected.refused == Refused::Modification;
                self.meet_if(is_change && order.status == "requested", "a change refused with its order");
                self.meet_if(is_change && order.pending() == 0, "a change refused after all had traded");
            }
            EventData::OrderExpired(expired) => {
                self.meet_if(expired.applied, "an order that its venue said had expired");
            }
            EventData::OrderTriggered(triggered) => self.meet_if(triggered.applied, "a stop triggered"),
            EventData::OrderModified(modified) if modified.applied => {
                self.meet("a change granted");
                let order = &before.orders[&modified.order_id.seq];
                self.meet_if(order.terms.kind != modified.order_type, "another type of order granted");
                let is_other =
                    order.asked_terms().is_some_and(|asked| asked.quantity != modified.quantity.shares().into());
                self.meet_if(is_other, "a change granted otherwise than asked");
            }
            EventData::OrderFilled(filled) => self.filled(before, filled),
            EventData::FillAssigned(assigned) => {
                self.meet("an unmatched trade assigned");
                self.filled(before, &assigned.fill);
            }
            EventData::FillUnmatched(_) => self.meet("an unmatched trade"),
            EventData::PositionConverted(converted) => {
                self.meet_if(converted.side == Side::Buy, "a long position converted");
                self.meet_if(converted.side == Side::Sell, "a short position converted");
            }
            _ => {}
        }
    }

    fn filled(&mut self, before: &Model, filled: &Filled) {
        let order = &before.orders[&filled.order_id.seq];
        self.meet_if(order.is_over(), "a trade after its order was over");
        self.meet_if(order.status == "expired", "a trade after its order had expired");
        self.meet_if(order.status == "rejected", "a trade after its order was refused");
        let sleeps = matches!(order.terms.kind, OrderType::Sl | OrderType::SlM) && !order.is_triggered;
        self.meet_if(sleeps && !order.is_over(), "a trade of a stop whose trigger was not told");
        self.meet_if(!filled.reblocked.is_empty(), "other orders' margins changed");
        let Some(IntradayTrade { closed, realised, after, .. }) = filled.intraday else { return };
        let is_turned = closed.is_positive() && closed < filled.quantity;
        self.meet_if(is_turned, "a position turned");
        self.meet_if(after.quantity.is_negative() && filled.side == Side::Sell, "a short position opened");
        self.meet_if(
            closed.is_zero() && after.quantity.shares().abs() > filled.quantity.shares(),
            "a position added to",
        );
        self.meet_if(realised.is_positive(), "a gain");
        self.meet_if(realised.is_negative(), "a loss");
    }

    fn cancelled(&mut self, before: &Model, named: u64, events: &[Event]) {
        let Some(EventData::TradeCancelled(cancelled)) = events.first().map(|event| &event.data) else { return };
        let TradeCancelled { undone, unmatched, order_id, trade_id, trade_date, .. } = cancelled;
        let Some(Undone { side, product, settlement_date, .. }) = undone else {
            self.meet_if(unmatched.is_some(), "an unmatched trade cancelled");
            return self.meet_if(unmatched.is_none(), "a trade cancelled before it was told");
        };
        self.meet_if(order_id.seq != named, "an assigned trade cancelled under the order it named");
        let day = i64::from(trade_date.days_since_epoch());
        if *product == Product::Mis {
            self.meet("an intraday trade cancelled");
            let session = before.orders[&order_id.seq].session;
            let today = events.first().map_or(0, |event| crate::model::day_of(event.effective_at));
            return self.meet_if(session < today, "an intraday trade cancelled after its session");
        }
        let is_it =
            |trade: &&Trade| (trade.day, trade.id, trade.order) == (day, *trade_id, Some((order_id.seq, *side)));
        let counted = before.trades.known.iter().find(is_it).map_or(0, |trade| trade.counted);
        let since = before.delivery.days.get(&day).map(|traded| traded.since);
        let is_on_its_day = since.is_some_and(|since| counted >= since);
        self.meet_if(since.is_some() && !is_on_its_day, "a trade cancelled of a netted day that is traded on again");
        let is_due = before.cash.due.contains_key(&i64::from(settlement_date.days_since_epoch()));
        self.meet(match (side, is_on_its_day, is_due) {
            (Side::Buy, true, _) => "a purchase cancelled on its day",
            (Side::Buy, false, true) => "a purchase cancelled after netting",
            (Side::Buy, false, false) => "a purchase cancelled after settling",
            (Side::Sell, true, _) => "a sale cancelled on its day",
            (Side::Sell, false, true) => "a sale cancelled after netting",
            (Side::Sell, false, false) => "a sale cancelled after settling",
        });
    }

    /// Counts what the sequence met once.
    pub fn end_run(&mut self) {
        for what in std::mem::take(&mut self.now) {
            *self.sequences.entry(what).or_default() += 1;
        }
    }
    pub fn must_have_met_all(&self) {
        let often = |what: &str| self.sequences.get(what).copied().unwrap_or_default();
        let rare: Vec<_> = ALL.iter().filter(|what| often(what) < LEAST).map(|what| (*what, often(what))).collect();
        assert!(rare.is_empty(), "met in too few of the sequences: {rare:?}\nall: {:#?}", self.sequences);
    }
}
