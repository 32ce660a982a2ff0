//! The tables of the market's views and how a row becomes columns; knows no account.

use super::super::columns::{
    Columns,
    Kind::{Amount, Bytes, Day, Flag, Number, Text, Time},
    Table,
};
use crate::{
    instruments::day_kind,
    navs::NavRow,
    prices::{DayRow, LiveRow},
    saved::FactRef,
};
use domain::{
    ids::{InstrumentId, Isin, SchemeCode},
    market::{CalendarDay, Instrument, Scheme},
};

pub(in crate::postgres) const INSTRUMENTS: Table = Table {
    name: "instruments",
    key: &[("instrument", Text), ("valid_from", Day)],
    rest: &[
        ("isin", Text),
        ("symbol", Text),
        ("exchange", Text),
        ("series", Text),
        ("tick_size", Amount),
        ("band_percent", Amount),
        ("row", Bytes),
    ],
};

pub(in crate::postgres) fn instrument(columns: &mut Columns, fact: &Instrument) {
    let row = columns.row().text(fact.instrument.as_str()).day_or_none(fact.from);
    row.text_or_none(fact.isin.as_ref().map(Isin::as_str)).text(fact.symbol.as_str()).text(fact.exchange.as_str());
    row.text(fact.series.as_str()).amount_or_none(fact.tick_size).amount_or_none(fact.band_percent);
    row.whole(&FactRef(fact));
}

pub(in crate::postgres) const CALENDAR: Table = Table {
    name: "calendar",
    key: &[("exchange", Text), ("date", Day)],
    rest: &[("kind", Text), ("opens", Text), ("closes", Text), ("settlement", Flag), ("row", Bytes)],
};

pub(in crate::postgres) fn calendar_day(columns: &mut Columns, fact: &CalendarDay) {
    let text = |time: Option<domain::time::TimeOfDay>| time.map(|time| time.to_string());
    let row = columns.row().text(fact.exchange.as_str()).day(fact.date).text(day_kind(fact));
    row.text_or_none(text(fact.open).as_deref()).text_or_none(text(fact.close).as_deref());
    row.flag_or_none(fact.settlement).whole(&FactRef(fact));
}

pub(in crate::postgres) const PRICE_FACTS: Table = Table {
    name: "price_facts",
    key: &[("instrument", Text), ("date", Day), ("recorded_offset", Number)],
    rest: &[
        ("open", Amount),
        ("high", Amount),
        ("low", Amount),
        ("close", Amount),
        ("previous_close", Amount),
        ("volume", Number),
    ],
};

pub(in crate::postgres) fn price_fact(columns: &mut Columns, instrument: &InstrumentId, day: &DayRow) {
    let row = columns.row().text(instrument.as_str()).day(day.date).count(day.offset).amount(day.open);
    row.amount(day.high).amount(day.low).amount(day.close).amount_or_none(day.previous_close);
    row.number_or_none(day.volume);
}

pub(in crate::postgres) const LIVE_PRICES: Table = Table {
    name: "live_prices",
    key: &[("instrument", Text)],
    rest: &[("last", Amount), ("traded_at", Time), ("recorded_offset", Number), ("row", Bytes)],
};

/// Nothing, while no live price is known.
pub(in crate::postgres) fn live_price(columns: &mut Columns, instrument: &InstrumentId, of: &LiveRow) {
    let (Some(live), Some(offset)) = (of.live(), of.offset()) else { return };
    columns.row().text(instrument.as_str()).amount(live.last).time(live.at).count(offset).whole(of);
}

pub(in crate::postgres) const SCHEMES: Table = Table {
    name: "schemes",
    key: &[("scheme", Text)],
    rest: &[
        ("name", Text),
        ("isin_growth", Text),
        ("isin_reinvestment", Text),
        ("amc", Text),
        ("category", Text),
        ("plan", Text),
        ("option", Text),
        ("row", Bytes),
    ],
};

pub(in crate::postgres) fn scheme(columns: &mut Columns, fact: &Scheme) {
    let row = columns.row().text(fact.scheme.as_str()).text(&fact.name);
    row.text_or_none(fact.isin_growth.as_ref().map(Isin::as_str));
    row.text_or_none(fact.isin_reinvestment.as_ref().map(Isin::as_str)).text_or_none(fact.amc.as_deref());
    row.text_or_none(fact.category.as_deref()).text_or_none(fact.plan.as_deref());
    row.text_or_none(fact.option.as_deref()).whole(&FactRef(fact));
}

pub(in crate::postgres) const NAV_FACTS: Table = Table {
    name: "nav_facts",
    key: &[("scheme", Text), ("date", Day), ("recorded_offset", Number)],
    rest: &[("nav", Amount)],
};

pub(in crate::postgres) fn nav_fact(columns: &mut Columns, scheme: &SchemeCode, of: &NavRow) {
    columns.row().text(scheme.as_str()).day(of.date).count(of.offset).amount(of.nav);
}
