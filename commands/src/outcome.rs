//! What a caller is told: made from the recorded entry alone, so that every repeat is told the same.

use domain::{
    event::{Event, EventData},
    ids::{FundOrderId, OrderId},
    market::{MarketEvent, MarketEventData},
    order::Refused,
    rejection::{CommandRefused, Rejection},
    time::Timestamp,
};
use event_schemas::{Entry, MarketEntry};
use std::collections::BTreeMap;

/// The outcome of one command.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The account, or the key of a market fact.
    pub account_or_key: Box<str>,
    /// The entry's number within the account or key.
    pub seq: u64,
    /// The kind of the command.
    pub kind: Box<str>,
    /// The caller's id of the command.
    pub command_id: Box<str>,
    /// When it was decided.
    pub recorded_at: Timestamp,
    /// Accepted or refused.
    pub result: OutcomeResult,
}

/// Accepted or refused.
#[derive(Clone, Debug, PartialEq)]
pub enum OutcomeResult {
    /// It has happened.
    Accepted {
        /// The order it is about.
        order_id: Option<OrderId>,
        /// The fund order it is about.
        fund_order_id: Option<FundOrderId>,
        /// Where that order stands by this entry.
        status: Option<&'static str>,
        /// The types of the entry's events, in order; empty for a fact that was known.
        events: Vec<&'static str>,
    },
    /// Nothing happened but the refusal.
    Refused {
        /// The stable code.
        code: Rejection,
        /// The figures that refused it, by name.
        figures: BTreeMap<Box<str>, Box<str>>,
    },
}

impl Outcome {
    /// The outcome that an account's entry records.
    pub fn of_entry(entry: &Entry<'_>) -> Self {
        Self {
            account_or_key: entry.account.as_str().into(),
            seq: entry.seq,
            kind: entry.command.kind.as_ref().into(),
            command_id: entry.command.id.as_ref().into(),
            recorded_at: entry.recorded_at,
            result: OutcomeResult::of_events(&entry.events),
        }
    }

    /// The outcome that a market entry records.
    pub fn of_market_entry(entry: &MarketEntry<'_>) -> Self {
        Self {
            account_or_key: entry.key.as_ref().into(),
            seq: entry.seq,
            kind: entry.command.kind.as_ref().into(),
            command_id: entry.command.id.as_ref().into(),
            recorded_at: entry.recorded_at,
            result: OutcomeResult::of_market_events(&entry.events),
        }
    }
}

impl OutcomeResult {
    /// From an account's events.
    fn of_events(events: &[Event]) -> Self {
        if let [Event { data: EventData::CommandRefused(refused), .. }] = events {
            return Self::refused(refused);
        }
        let (mut order_id, mut fund_order_id, mut status) = (None, None, None);
        for event in events {
            let (order, fund_order, stands) = about(&event.data);
            order_id = order_id.or(order);
            fund_order_id = fund_order_id.or(fund_order);
            status = status.or(stands);
        }
        let events = events.iter().map(|event| event.data.type_name()).collect();
        Self::Accepted { order_id, fund_order_id, status, events }
    }

    /// From a market entry's events.
    fn of_market_events(events: &[MarketEvent]) -> Self {
        if let [MarketEvent { data: MarketEventData::CommandRefused(refused), .. }] = events {
            return Self::refused(refused);
        }
        let events = events.iter().map(|event| event.data.type_name()).collect();
        Self::Accepted { order_id: None, fund_order_id: None, status: None, events }
    }

    fn refused(refused: &CommandRefused) -> Self {
        Self::Refused { code: refused.code, figures: refused.figures.clone() }
    }
}

/// Which order an event is about, and where it stands by the event alone.
fn about(event: &EventData) -> (Option<OrderId>, Option<FundOrderId>, Option<&'static str>) {
    use domain::{fund::Status as Fund, order::Status};
    let order = |id: OrderId, status: Option<&'static str>| (Some(id), None, status);
    let fund = |id: FundOrderId, status: Fund, applied: bool| (None, Some(id), applied.then(|| status.name()));
    let applied = |applied: bool, status: Status| applied.then(|| status.name());
    match event {
        EventData::OrderRequested(e) => order(e.order_id, Some(Status::Requested.name())),
        EventData::OrderAccepted(e) => order(e.order_id, applied(e.applied, Status::Open)),
        EventData::OrderTriggered(e) => order(e.order_id, applied(e.applied, Status::Open)),
        EventData::OrderRejected(e) => {
            order(e.order_id, applied(e.applied && e.refused == Refused::Order, Status::Rejected))
        }
        EventData::ModificationRequested(e) => order(e.order_id, Some("modification_requested")),
        EventData::OrderModified(e) => order(e.order_id, None),
        EventData::CancellationRequested(e) => order(e.order_id, Some("cancellation_requested")),
        EventData::OrderCancelled(e) => order(e.order_id, applied(e.applied, Status::Cancelled)),
        EventData::OrderExpired(e) => order(e.order_id, applied(e.applied, Status::Expired)),
        EventData::OrderFilled(e) => order(e.order_id, Some(after_fill(e.pending.is_zero()).name())),
        EventData::FillUnmatched(e) => order(e.order_id, None),
        EventData::FillAssigned(e) => order(e.fill.order_id, Some(after_fill(e.fill.pending.is_zero()).name())),
        EventData::TradeCancelled(e) => order(e.order_id, None),
        EventData::FundPurchaseRequested(e) => fund(e.fund_order_id, Fund::Requested, true),
        EventData::FundRedemptionRequested(e) => fund(e.fund_order_id, Fund::Requested, true),
        EventData::FundOrderSent(e) => fund(e.fund_order_id, Fund::Sent, true),
        EventData::FundUnitsAllotted(e) => fund(e.fund_order_id, Fund::Allotted, e.applied),
        EventData::FundUnitsRedeemed(e) => fund(e.fund_order_id, Fund::Redeemed, e.applied),
        EventData::FundOrderRejected(e) => fund(e.fund_order_id, Fund::Rejected, e.applied),
        EventData::AccountOpened(_)
        | EventData::CashDeposited(_)
        | EventData::CashWithdrawn(_)
        | EventData::CashPosted(_)
        | EventData::PositionChanged(_)
        | EventData::PositionConverted(_)
        | EventData::DayNetted(_)
        | EventData::Settled(_)
        | EventData::FolioChanged(_)
        | EventData::TradeImported(_)
        | EventData::UnitsImported(_)
        | EventData::CommandRefused(_) => (None, None, None),
    }
}

fn after_fill(whole: bool) -> domain::order::Status {
    if whole { domain::order::Status::Filled } else { domain::order::Status::PartlyFilled }
}

/// An outcome and where it is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// What was decided.
    pub outcome: Outcome,
    /// The partition of the entry.
    pub partition: u32,
    /// The entry's offset there.
    pub offset: u64,
    /// Whether the key was known: this is its first outcome.
    pub replayed: bool,
}

/// What the desk says.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one, and live until they are written out")]
pub enum Answer {
    /// Decided and durable.
    Answered(Answered),
    /// The key is known for another command; nothing was recorded.
    KeyReused {
        /// The partition of the first command's entry.
        partition: u32,
        /// Its offset there.
        first_offset: u64,
    },
    /// The queue is full, the writer recovers, or its disk is full: nothing was recorded and the key is free.
    Busy {
        /// After how many seconds to try again.
        retry_after_s: u32,
    },
    /// The account sends faster than its limit: nothing was recorded and the key is free.
    RateLimited {
        /// After how many seconds to try again.
        retry_after_s: u32,
        /// Commands per second and account.
        limit: u32,
    },
    /// Not known within the wait: ask again with the same key.
    Unknown,
}
