//! Instruments with their dated aliases, and the trading calendar; knows no price.

use crate::row::Rows;
use domain::{
    ids::{Exchange, InstrumentId, Isin},
    market::{CalendarDay, Instrument, MarketEventData},
    time::Date,
};
use std::collections::BTreeMap;

/// What an instrument is, by the date from which it holds (`None` first: undated).
#[derive(Clone, Debug, PartialEq)]
pub struct InstrumentRow {
    /// The latest listing, with what the undated one said and it does not.
    pub latest: Instrument,
    /// All listings.
    pub aliases: BTreeMap<Option<Date>, Instrument>,
}

/// The rows, by instrument and by exchange and day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instruments {
    /// Instruments.
    pub instruments: BTreeMap<InstrumentId, InstrumentRow>,
    /// Calendar days.
    pub calendar: BTreeMap<(Exchange, Date), CalendarDay>,
}

impl Instruments {
    /// Folds one event.
    pub fn fold(&mut self, event: &MarketEventData) {
        match event {
            MarketEventData::Instrument(fact) => {
                let row = self
                    .instruments
                    .entry(fact.instrument)
                    .or_insert_with(|| InstrumentRow { latest: fact.clone(), aliases: BTreeMap::new() });
                row.aliases.insert(fact.from, fact.clone());
                if let Some((_, latest)) = row.aliases.last_key_value() {
                    row.latest = latest.clone();
                }
                // As the market does: a file's dated alias never takes away what an operator listed.
                if let Some(undated) = row.aliases.get(&None) {
                    row.latest.isin = row.latest.isin.or(undated.isin);
                    row.latest.tick_size = row.latest.tick_size.or(undated.tick_size);
                    row.latest.band_percent = row.latest.band_percent.or(undated.band_percent);
                }
            }
            MarketEventData::Calendar(fact) => {
                self.calendar.insert((fact.exchange, fact.date), fact.clone());
            }
            _ => {}
        }
    }

    /// Writes the canonical rows.
    pub fn write(&self, rows: &mut Rows) {
        for row in self.instruments.values() {
            row.aliases.values().for_each(|fact| write_alias(fact, rows));
        }
        self.calendar.values().for_each(|fact| write_day(fact, rows));
    }
}

/// The canonical row of a listing.
pub(crate) fn write_alias(fact: &Instrument, rows: &mut Rows) {
    let mut row = rows.row("instrument");
    row.id(fact.instrument.as_str()).show_or_none(fact.from).id_or_none(fact.isin.as_ref().map(Isin::as_str));
    row.id(fact.symbol.as_str()).id(fact.exchange.as_str()).id(fact.series.as_str());
    row.show_or_none(fact.tick_size).show_or_none(fact.band_percent);
}

/// The canonical row of a calendar day.
pub(crate) fn write_day(fact: &CalendarDay, rows: &mut Rows) {
    let mut row = rows.row("calendar");
    row.id(fact.exchange.as_str()).show(fact.date).id(day_kind(fact));
    row.show_or_none(fact.open).show_or_none(fact.close);
    row.show_or_none(fact.settlement);
}

/// The stored name of a calendar day's kind.
pub(crate) const fn day_kind(fact: &CalendarDay) -> &'static str {
    match fact.kind {
        domain::market::DayKind::Holiday => "holiday",
        domain::market::DayKind::Session => "session",
    }
}
