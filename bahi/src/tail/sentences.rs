//! What happened, said in words: one sentence for each event, with its quantities, securities and amounts; decides nothing.

use domain::{
    event::{Event, EventData},
    fund::{Mismatch, Redeem},
    intraday::IntradayTrade,
    market::{DayKind, MarketEvent, MarketEventData},
    money::{Money, Price, Quantity, Units},
    order::{self, CalendarBasis, OrderType, Refused, Side, Validity},
    position::Shares,
    rejection::CommandRefused,
};
use serde::Serialize;

/// One event of an account, without a full stop.
pub fn of_account(event: &Event) -> String {
    match &event.data {
        EventData::AccountOpened(_) => "account opened".to_owned(),
        EventData::CashDeposited(cash) => format!("{} deposited", cash.amount),
        EventData::CashWithdrawn(cash) => format!("{} withdrawn", cash.amount),
        EventData::CashPosted(posted) => {
            let settles = posted.settlement_date.map(|date| format!(", settles {date}"));
            let usable = posted.usable.map(|usable| format!(", {usable} of it usable before"));
            let (amount, reason) = (signed(posted.amount), word(posted.reason));
            format!("cash {amount} for {reason} {}{}{}", posted.reference, or_nothing(settles), or_nothing(usable))
        }
        EventData::OrderRequested(order) => requested(order),
        EventData::OrderAccepted(report) => {
            let number = report.exchange_order_id.map(|id| format!(" as {id}"));
            let said = format!("order {} accepted by the venue{}", report.order_id, or_nothing(number));
            with_effect(said, report.applied)
        }
        EventData::OrderTriggered(report) => {
            with_effect(format!("order {} reached its trigger price and stands", report.order_id), report.applied)
        }
        EventData::OrderRejected(report) => {
            let of = match report.refused {
                Refused::Order => "",
                Refused::Modification => "modification of ",
                Refused::Cancellation => "cancellation of ",
            };
            let still = report.blocked.map(|blocked| format!(", {blocked} still blocked"));
            let (order, gone, why) = (report.order_id, ended(report.cancelled), because(&report.reason));
            with_effect(
                format!("{of}order {order} rejected by the venue{why}{gone}{}", or_nothing(still)),
                report.applied,
            )
        }
        EventData::ModificationRequested(asked) => {
            let terms = terms(asked.order_type, asked.price, asked.trigger_price);
            let blocked = blocked(asked.blocked, asked.blocked_quantity);
            let (number, order, quantity) = (asked.number, asked.order_id, asked.quantity);
            format!(
                "modification {number} of order {order} asked: {quantity} {terms} {}{blocked}",
                word(asked.validity)
            )
        }
        EventData::OrderModified(order) => {
            let terms = terms(order.order_type, order.price, order.trigger_price);
            let blocked = blocked(order.blocked, None);
            let said =
                format!("order {} is now {} {terms} {}{blocked}", order.order_id, order.quantity, word(order.validity));
            with_effect(said, order.applied)
        }
        EventData::CancellationRequested(asked) => format!("cancellation of order {} asked", asked.order_id),
        EventData::OrderCancelled(report) => {
            let (why, gone) = (because(&report.reason), ended(report.cancelled));
            with_effect(format!("order {} cancelled by the venue{why}{gone}", report.order_id), report.applied)
        }
        EventData::OrderExpired(report) => {
            with_effect(format!("order {} expired{}", report.order_id, ended(report.cancelled)), report.applied)
        }
        EventData::OrderFilled(fill) => filled(fill),
        EventData::FillUnmatched(fill) => {
            let what = match (fill.side, fill.instrument) {
                (Some(side), Some(instrument)) => format!("{} {} {instrument}", word(side), fill.quantity),
                (_, Some(instrument)) => format!("{} {instrument}", fill.quantity),
                _ => format!("{} shares", fill.quantity),
            };
            let (trade, order, reason) = (fill.trade_id, fill.order_id, word(fill.reason));
            format!("trade {trade} for order {order} ({what} at {}) waits to be assigned: {reason}", fill.price)
        }
        EventData::FillAssigned(assigned) => {
            format!("the trade of entry {} assigned: {}", assigned.seq, filled(&assigned.fill))
        }
        EventData::TradeCancelled(cancelled) => {
            let effect = match (&cancelled.undone, cancelled.unmatched) {
                (Some(undone), _) => {
                    let (side, instrument, value) = (word(undone.side), undone.instrument, undone.value);
                    let intraday = or_nothing(undone.intraday.as_ref().map(of_intraday));
                    format!(", which undoes {side} {} {instrument} worth {value}{intraday}", undone.quantity)
                }
                (None, Some(seq)) => format!(", which no longer waits as entry {seq}"),
                (None, None) => ", which is not known: without effect".to_owned(),
            };
            let (trade, date, order) = (cancelled.trade_id, cancelled.trade_date, cancelled.order_id);
            format!(
                "trade {trade} of {date} for order {order} cancelled by the exchange{}{effect}",
                because(&cancelled.reason)
            )
        }
        EventData::PositionConverted(converted) => {
            let (side, quantity, instrument) = (word(converted.side), converted.quantity, converted.instrument);
            let (from, to, value) = (word(converted.from), word(converted.to), converted.value);
            format!(
                "{side} {quantity} {instrument} worth {value} converted from {from} to {to}, settles {}",
                converted.settlement_date
            )
        }
        EventData::PositionChanged(changed) => {
            let (instrument, product, reason) = (changed.instrument, word(changed.product), word(changed.reason));
            let (moved, now) = (moved(changed.moved), held(changed.position));
            format!("{instrument} {product} {moved} ({reason}), now {now}")
        }
        EventData::DayNetted(day) => {
            let (date, instrument, exchange) = (day.trade_date, day.instrument, day.exchange);
            let (bought, sold, intraday) = (day.bought, day.sold, day.intraday);
            format!(
                "{date} netted for {instrument} on {exchange}: {bought} bought, {sold} sold, {intraday} intraday, {} to T1",
                day.to_t1
            )
        }
        EventData::Settled(settled) => {
            format!("{} settled: {} received, {} paid", settled.settlement_date, settled.received, settled.paid)
        }
        EventData::FundPurchaseRequested(asked) => {
            let folio = asked.folio.map_or_else(|| "a new folio".to_owned(), |folio| format!("folio {folio}"));
            let (id, scheme, amount) = (asked.fund_order_id, asked.scheme, asked.amount);
            format!("fund order {id} purchase of {amount} in scheme {scheme}, {folio}, {amount} blocked")
        }
        EventData::FundRedemptionRequested(asked) => {
            let how_much = match asked.redeem {
                Redeem::Units(units) => format!("{units} units"),
                Redeem::Amount(amount) => amount.to_string(),
                Redeem::All(_) => "everything".to_owned(),
            };
            let (id, scheme, folio) = (asked.fund_order_id, asked.scheme, asked.folio);
            let blocked = asked.blocked;
            format!(
                "fund order {id} redemption of {how_much} from scheme {scheme}, folio {folio}, {blocked} units blocked"
            )
        }
        EventData::FundOrderSent(sent) => format!("fund order {} sent to the registrar", sent.fund_order_id),
        EventData::FundUnitsAllotted(allotted) => {
            let scheme = allotted.scheme.map(|scheme| format!(" of scheme {scheme}"));
            let duty = allotted.stamp_duty.map(|duty| format!(", stamp duty {duty}"));
            let odd = odd(&allotted.mismatch);
            let (id, units, folio) = (allotted.fund_order_id, allotted.units, allotted.folio);
            let (nav, date) = (allotted.nav, allotted.nav_date);
            let (scheme, duty) = (or_nothing(scheme), or_nothing(duty));
            let said = format!(
                "fund order {id} allotted {units} units{scheme} in folio {folio} at NAV {nav} of {date}{duty}{odd}"
            );
            with_effect(said, allotted.applied)
        }
        EventData::FundUnitsRedeemed(redeemed) => {
            let (id, units, scheme, folio) = (redeemed.fund_order_id, redeemed.units, redeemed.scheme, redeemed.folio);
            let (nav, date, amount, pays_on) = (redeemed.nav, redeemed.nav_date, redeemed.amount, redeemed.pays_on);
            let odd = odd(&redeemed.mismatch);
            let said = format!(
                "fund order {id} redeemed {units} units of scheme {scheme} from folio {folio} at NAV {nav} of {date}, {amount} paid on {pays_on}{odd}"
            );
            with_effect(said, redeemed.applied)
        }
        EventData::FundOrderRejected(report) => {
            let said = format!("fund order {} rejected by the registrar: {}", report.fund_order_id, report.reason);
            with_effect(said, report.applied)
        }
        EventData::FolioChanged(changed) => {
            let (scheme, folio, moved, units) =
                (changed.scheme, changed.folio, signed_units(changed.moved), changed.units);
            format!("scheme {scheme} folio {folio} {moved} units, now {units}")
        }
        EventData::TradeImported(trade) => {
            let price = trade.price.map(|price| format!(" at {price}"));
            let number = trade.trade_id.map(|id| format!(", trade {id}"));
            let (kind, quantity, instrument) = (word(trade.kind), trade.quantity, trade.instrument);
            let beyond = beyond(trade.beyond_holding);
            let (price, number) = (or_nothing(price), or_nothing(number));
            format!("{kind} of {quantity} {instrument}{price} on {} imported{number}{beyond}", trade.trade_date)
        }
        EventData::UnitsImported(import) => {
            let nav = import.nav.map(|nav| format!(" at NAV {nav}"));
            let (kind, units, scheme, folio) = (word(import.kind), import.units, import.scheme, import.folio);
            let (nav, beyond) = (or_nothing(nav), beyond(import.beyond_holding));
            format!(
                "{kind} of {units} units of scheme {scheme}, folio {folio}{nav} on {} imported{beyond}",
                import.trade_date
            )
        }
        EventData::CommandRefused(refused) => of_refusal(refused),
    }
}

/// One event of the market, without a full stop.
pub fn of_market(event: &MarketEvent) -> String {
    match &event.data {
        MarketEventData::Instrument(fact) => {
            let tick = fact.tick_size.map_or_else(|| ", no tick size".to_owned(), |tick| format!(", tick {tick}"));
            let band = fact.band_percent.map(|band| format!(", band {band}%"));
            let isin = fact.isin.map(|isin| format!(", {isin}"));
            let from = fact.from.map(|from| format!(", from {from}"));
            let (band, isin, from) = (or_nothing(band), or_nothing(isin), or_nothing(from));
            let said = format!("{} listed in series {}{tick}{band}{isin}{from}", fact.instrument, fact.series);
            said + &correcting(fact.corrects)
        }
        MarketEventData::Price(fact) => {
            let (instrument, date) = (fact.instrument, fact.date);
            let (open, high, low, close) = (fact.open, fact.high, fact.low, fact.close);
            let said = format!("{instrument} closed at {close} on {date}, open {open}, high {high}, low {low}");
            said + &correcting(fact.corrects)
        }
        MarketEventData::Last(fact) => {
            format!("{} last {} at {}", fact.instrument, fact.last, time_of(&fact.at.text()))
        }
        MarketEventData::Scheme(fact) => {
            format!("scheme {} is {}{}", fact.scheme, fact.name, correcting(fact.corrects))
        }
        MarketEventData::Nav(fact) => {
            format!("scheme {} NAV {} of {}{}", fact.scheme, fact.nav, fact.date, correcting(fact.corrects))
        }
        MarketEventData::Calendar(fact) => {
            let kind = match fact.kind {
                DayKind::Holiday => "a holiday",
                DayKind::Session => "a session",
            };
            let open = fact.open.map(|time| format!(" from {time}"));
            let close = fact.close.map(|time| format!(" to {time}"));
            let (open, close, corrects) = (or_nothing(open), or_nothing(close), correcting(fact.corrects));
            format!("{} has {kind} on {}{open}{close}{corrects}", fact.exchange, fact.date)
        }
        MarketEventData::CommandRefused(refused) => of_refusal(refused),
    }
}

/// The code of a refusal and the figures that refused.
pub fn of_refusal(refused: &CommandRefused) -> String {
    let figures: Vec<String> = refused.figures.iter().map(|(name, figure)| format!("{name} {figure}")).collect();
    match figures.as_slice() {
        [] => refused.code.code().to_owned(),
        figures => format!("{} ({})", refused.code.code(), figures.join(", ")),
    }
}

/// `HH:MM:SS` in India of an instant as it is stored.
pub fn time_of(instant: &str) -> &str {
    instant.get(11..19).unwrap_or(instant)
}

fn requested(order: &order::Requested) -> String {
    let (id, side, quantity, instrument) = (order.order_id, word(order.side), order.quantity, order.instrument);
    let (terms, product) = (terms(order.order_type, order.price, order.trigger_price), word(order.product));
    let validity = (order.validity != Validity::Day).then(|| format!(" {}", word(order.validity)));
    let due = order.due_to.map(|due| format!(" by {}", word(due)));
    let assumed =
        (order.calendar == CalendarBasis::Assumed).then(|| format!(", session {} assumed", order.session_date));
    // What blocks no cash is a sale of held shares.
    let blocked = blocked(order.blocked, order.blocked.is_none().then_some(order.quantity));
    let (validity, due, assumed) = (or_nothing(validity), or_nothing(due), or_nothing(assumed));
    format!("order {id} {side} {quantity} {instrument} {terms} {product}{validity}{due}{blocked}{assumed}")
}

fn filled(fill: &order::Filled) -> String {
    let did = match fill.side {
        Side::Buy => "bought",
        Side::Sell => "sold",
    };
    let (order, quantity, instrument, price) = (fill.order_id, fill.quantity, fill.instrument, fill.price);
    let (value, product, trade, pending) = (fill.value, word(fill.product), fill.trade_id, fill.pending);
    let intraday = or_nothing(fill.intraday.as_ref().map(of_intraday));
    let flag = or_nothing(fill.flag.map(|flag| format!(", {}", word(flag))));
    let settles = fill.settlement_date;
    format!(
        "order {order} {did} {quantity} {instrument} at {price} for {value} {product}, trade {trade}, settles {settles}, {pending} pending{intraday}{flag}"
    )
}

fn of_intraday(trade: &IntradayTrade) -> String {
    let realised = signed(trade.realised);
    let open = trade.after.quantity;
    match trade.closed.is_zero() {
        true => format!(", {open} open intraday"),
        false => format!(", {} closed for {realised}, {open} open intraday", trade.closed),
    }
}

fn terms(order_type: OrderType, price: Option<Price>, trigger: Option<Price>) -> String {
    let price = price.map(|price| format!(" {price}"));
    let trigger = trigger.map(|trigger| format!(" trigger {trigger}"));
    format!("{}{}{}", word(order_type), or_nothing(price), or_nothing(trigger))
}

fn blocked(cash: Option<Money>, shares: Option<Quantity>) -> String {
    match (cash, shares) {
        (Some(cash), _) => format!(", {cash} blocked"),
        (None, Some(shares)) => format!(", {shares} shares blocked"),
        (None, None) => String::new(),
    }
}

fn moved(moved: Shares) -> String {
    let parts = [("today", moved.bought_today), ("T1", moved.t1), ("settled", moved.settled)];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, shares)| !shares.is_zero())
        .map(|(part, shares)| format!("{:+} {part}", shares.shares()))
        .collect();
    if parts.is_empty() { "unmoved".to_owned() } else { parts.join(", ") }
}

fn held(shares: Shares) -> String {
    let (all, today, t1, settled) = (shares.total(), shares.bought_today, shares.t1, shares.settled);
    format!("{all} ({today} today, {t1} T1, {settled} settled)")
}

fn ended(shares: Quantity) -> String {
    if shares.is_zero() { String::new() } else { format!(", {shares} will not trade") }
}

fn because(reason: &Option<Box<str>>) -> String {
    or_nothing(reason.as_ref().map(|reason| format!(": {reason}")))
}

fn odd(mismatch: &[Mismatch]) -> String {
    if mismatch.is_empty() {
        return String::new();
    }
    let parts: Vec<String> = mismatch.iter().map(word).collect();
    format!(", not as expected: {}", parts.join(", "))
}

fn beyond(beyond_holding: bool) -> &'static str {
    if beyond_holding { ", beyond the holding" } else { "" }
}

fn correcting(corrects: Option<u64>) -> String {
    or_nothing(corrects.map(|seq| format!(", which corrects entry {seq}")))
}

fn with_effect(said: String, applied: bool) -> String {
    if applied { said } else { format!("{said}; it fits no state and is without effect") }
}

fn signed(amount: Money) -> String {
    if amount.is_positive() { format!("+{amount}") } else { amount.to_string() }
}

fn signed_units(units: Units) -> String {
    if units.is_positive() { format!("+{units}") } else { units.to_string() }
}

fn or_nothing(text: Option<String>) -> String {
    text.unwrap_or_default()
}

/// The stored name as words.
pub fn word(of: impl Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(serde_json::Value::String(name)) => name.replace('_', " "),
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_schemas::{decode_event, decode_market_event};
    use std::{collections::BTreeSet, fs, path::Path};

    /// Every golden example in a folder: its name, its event type, its bytes.
    fn golden(folder: &str) -> Vec<(String, String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../event-schemas/golden").join(folder);
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut found: Vec<_> = files
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                let kind = name.split('.').next().unwrap().to_owned();
                (name, kind, fs::read(&path).unwrap())
            })
            .collect();
        found.sort();
        found
    }

    #[track_caller]
    fn reads_well(name: &str, sentence: &str) {
        assert!(sentence.len() >= "NSE last".len(), "{name}: {sentence:?}");
        let odd = ["{", "\"", "_v", "Some", "None", "  ", " ,", " null"];
        assert!(!odd.iter().any(|odd| sentence.contains(odd)), "{name}: {sentence:?}");
        assert_eq!(sentence.trim_end_matches(['.', ',', ' ']), sentence, "{name}");
    }

    #[test]
    fn every_event_of_an_account_has_a_sentence_of_its_own() {
        let (mut kinds, mut sentences) = (BTreeSet::new(), BTreeSet::new());
        for (name, kind, bytes) in golden("events") {
            let sentence = of_account(&decode_event(&bytes).unwrap());
            reads_well(&name, &sentence);
            sentences.insert(sentence.clone());
            kinds.insert(kind);
        }
        let all: BTreeSet<String> = EventData::TYPES.iter().map(|(kind, _)| (*kind).to_owned()).collect();
        assert_eq!(kinds, all, "each event type has an example");
        assert!(sentences.len() >= all.len(), "no two event types read the same");
    }

    #[test]
    fn every_event_of_the_market_has_a_sentence_of_its_own() {
        let mut kinds = BTreeSet::new();
        for (name, kind, bytes) in golden("market_events") {
            reads_well(&name, &of_market(&decode_market_event(&bytes).unwrap()));
            kinds.insert(kind);
        }
        let all: BTreeSet<String> = MarketEventData::TYPES.iter().map(|(kind, _)| (*kind).to_owned()).collect();
        assert_eq!(kinds, all, "each event type has an example");
    }

    #[test]
    fn a_refusal_says_its_figures() {
        let refused = br#"{"type":"command_refused","v":1,"effective_at":"2026-11-23T09:31:02.000000+05:30","data":{"code":"insufficient_cash","figures":{"available":"10.00","needed":"25.00","short":"15.00"}}}"#;
        let sentence = of_account(&decode_event(refused).unwrap());
        assert_eq!(sentence, "insufficient_cash (available 10.00, needed 25.00, short 15.00)");
    }
}
