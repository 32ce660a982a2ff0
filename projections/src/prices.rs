//! Prices by instrument and day, and the live one; keeps what was recorded earlier, so that the past can be valued as it was.

use crate::row::Rows;
use domain::{
    ids::InstrumentId,
    market::{DayPrice, MarketEventData},
    money::Price,
    time::{Date, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, ops::Range};

/// One live price in so many is remembered; those between are read from the log for a question about the past.
const LIVE_PRICES_PER_MARK: u32 = 64;

/// The most live prices of an instrument that are remembered; then every second is forgotten, and fewer are from then on.
const MARKS_MAX: usize = 256;

/// A day's prices and where they were recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRow {
    /// The day.
    pub date: Date,
    /// First.
    pub open: Price,
    /// Highest.
    pub high: Price,
    /// Lowest.
    pub low: Price,
    /// Official close.
    pub close: Price,
    /// As the exchange gave it.
    pub previous_close: Option<Price>,
    /// Shares traded.
    pub volume: Option<i64>,
    /// The market entry that recorded it.
    pub offset: u64,
}

impl DayRow {
    /// What the market entry at an offset says.
    pub(crate) fn of(fact: &DayPrice, offset: u64) -> Self {
        Self {
            date: fact.date,
            open: fact.open,
            high: fact.high,
            low: fact.low,
            close: fact.close,
            previous_close: fact.previous_close,
            volume: fact.volume,
            offset,
        }
    }
}

/// A live price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// The last traded price.
    pub last: Price,
    /// When it traded.
    pub at: Timestamp,
}

/// What things are worth now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quote {
    /// The last price known: the live one, unless a later day's close is recorded.
    pub last: Option<Price>,
    /// The close of the latest recorded day before that price's, else what the exchange gave as such.
    pub previous_close: Option<Price>,
}

/// The prices of one instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceRow {
    /// Ascending by day; of several facts about one day the one recorded last holds.
    days: Vec<DayRow>,
    live: LiveRow,
    quote: Quote,
}

/// The live prices of one instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LiveRow {
    live: Option<Live>,
    /// The last entry that told one.
    offset: Option<u64>,
    /// The live price before the entry at an offset, for some of them, ascending.
    marks: Vec<(u64, Option<Live>)>,
    since_mark: u32,
    /// How often every second mark was forgotten.
    thinned: u32,
}

impl LiveRow {
    /// The latest live price.
    pub(crate) fn live(&self) -> Option<Live> {
        self.live
    }
    /// The last entry that told one.
    pub(crate) fn offset(&self) -> Option<u64> {
        self.offset
    }

    fn mark(&mut self, offset: u64) {
        if self.since_mark == 0 {
            self.marks.push((offset, self.live));
            if self.marks.len() >= MARKS_MAX {
                let mut keep = false;
                self.marks.retain(|_| {
                    keep = !keep;
                    keep
                });
                self.thinned += 1;
            }
        }
        self.since_mark = (self.since_mark + 1) % LIVE_PRICES_PER_MARK.saturating_mul(1 << self.thinned.min(20));
    }
}

impl PriceRow {
    /// What one share is worth now.
    pub fn quote(&self) -> Quote {
        self.quote
    }
    /// The latest live price.
    pub fn live(&self) -> Option<Live> {
        self.live.live
    }
    /// What is needed to value a share now.
    pub(crate) fn standing(&self) -> PriceRow {
        let mut days: Vec<DayRow> = self.days().rev().take(2).cloned().collect();
        days.reverse();
        let live = LiveRow { live: self.live.live, offset: self.live.offset, ..LiveRow::default() };
        PriceRow { days, live, quote: self.quote }
    }
    /// Every fact about a day, ascending by day and then as recorded.
    pub(crate) fn all_days(&self) -> &[DayRow] {
        &self.days
    }
    pub(crate) fn live_row(&self) -> &LiveRow {
        &self.live
    }
    /// Days, ascending, each with the fact that holds.
    pub fn days(&self) -> impl DoubleEndedIterator<Item = &DayRow> {
        let days = &self.days;
        days.iter()
            .enumerate()
            .filter(|(at, day)| days.get(at + 1).is_none_or(|next| next.date != day.date))
            .map(|(_, day)| day)
    }
    /// What is needed to value a share as the records of its partition before `upto` did; and from
    /// which offsets its live prices must be read again, if any were recorded. With a time, of days and
    /// trades no later than that.
    pub(crate) fn before(&self, upto: u64, at: Option<Timestamp>) -> (PriceRow, Option<Range<u64>>) {
        let had_come = |live: &Live| at.is_none_or(|at| live.at <= at);
        let mut past = PriceRow::default();
        let mut earlier = None;
        // The latest day and the one before: no quote looks further back.
        for day in self.days.iter().rev().filter(|day| day.offset < upto && at.is_none_or(|at| day.date <= at.date())) {
            match past.days.last() {
                Some(last) if day.date == last.date => continue,
                Some(last) if earlier.is_some_and(|date| date != last.date) => break,
                Some(last) => earlier = Some(last.date),
                None => {}
            }
            past.days.push(day.clone());
        }
        past.days.reverse();
        // The times of the live prices remembered ascend: a price that came after a later one never counted.
        let marks = &self.live.marks;
        let next = marks.partition_point(|(offset, live)| *offset < upto && live.as_ref().is_none_or(had_come));
        let mark = next.checked_sub(1).map(|place| marks[place]);
        let end = marks.get(next).map_or(upto, |(offset, _)| upto.min(*offset));
        past.live.live = mark.and_then(|(_, live)| live);
        past.value();
        (past, mark.map(|(offset, _)| offset..end))
    }

    /// A fact that is there already, as a snapshot held it, changes nothing.
    pub(crate) fn record_day(&mut self, fact: &DayPrice, offset: u64) {
        let day = DayRow::of(fact, offset);
        let at = match self.days.last() {
            Some(last) if last.date > day.date => self.days.partition_point(|earlier| earlier.date <= day.date),
            _ => self.days.len(),
        };
        let same_day = self.days[..at].iter().rev().take_while(|known| known.date == day.date);
        if same_day.into_iter().all(|known| known.offset != offset) {
            self.days.insert(at, day);
            self.value();
        }
    }

    /// A fact that is there already, as a snapshot held it, changes nothing.
    pub(crate) fn record_live(&mut self, live: Live, offset: u64) {
        if self.live.offset.is_none_or(|last| last < offset) {
            self.live.offset = Some(offset);
            self.live.mark(offset);
            self.take_live(live);
        }
    }

    fn take_live(&mut self, live: Live) {
        if self.live.live.is_none_or(|known| known.at <= live.at) {
            self.live.live = Some(live);
            self.value();
        }
    }

    fn value(&mut self) {
        let latest = self.days.last();
        let (last, date, own) = match (self.live.live, latest) {
            (Some(live), Some(day)) if live.at.date() >= day.date => (live.last, live.at.date(), Some(day)),
            (Some(live), None) => (live.last, live.at.date(), None),
            (_, Some(day)) => (day.close, day.date, Some(day)),
            (None, None) => {
                self.quote = Quote::default();
                return;
            }
        };
        // Of a day and of facts about it, the last one recorded is the last in the list.
        let before = self.days.partition_point(|day| day.date < date);
        let close_before = before.checked_sub(1).map(|at| self.days[at].close);
        let given = own.filter(|day| day.date == date).and_then(|day| day.previous_close);
        self.quote = Quote { last: Some(last), previous_close: close_before.or(given) };
    }
}

/// The rows, by instrument.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    instruments: HashMap<InstrumentId, PriceRow, foldhash::fast::RandomState>,
}

impl Prices {
    /// The prices of an instrument.
    pub fn get(&self, instrument: &InstrumentId) -> Option<&PriceRow> {
        self.instruments.get(instrument)
    }
    /// What one share is worth now.
    pub fn quote(&self, instrument: &InstrumentId) -> Quote {
        self.instruments.get(instrument).map_or_else(Quote::default, PriceRow::quote)
    }
    /// Every instrument with a price, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&InstrumentId, &PriceRow)> {
        self.instruments.iter()
    }
    pub(crate) fn insert(&mut self, instrument: InstrumentId, row: PriceRow) {
        self.instruments.insert(instrument, row);
    }
    pub(crate) fn take_days(&mut self, instrument: InstrumentId, days: Vec<DayRow>) {
        let row = self.instruments.entry(instrument).or_default();
        row.days = days;
        row.value();
    }
    pub(crate) fn take_live_row(&mut self, instrument: InstrumentId, live: LiveRow) {
        let row = self.instruments.entry(instrument).or_default();
        row.live = live;
        row.value();
    }

    /// Adds a live price of an instrument that there is, if none that it has is later.
    pub(crate) fn take_live(&mut self, instrument: &InstrumentId, live: Live) {
        if let Some(row) = self.instruments.get_mut(instrument) {
            row.take_live(live);
        }
    }

    /// Folds one event of the market entry at `offset`.
    pub fn fold(&mut self, event: &MarketEventData, offset: u64) {
        match event {
            MarketEventData::Price(fact) => {
                self.instruments.entry(fact.instrument).or_default().record_day(fact, offset);
            }
            MarketEventData::Last(fact) => {
                let live = Live { last: fact.last, at: fact.at };
                self.instruments.entry(fact.instrument).or_default().record_live(live, offset);
            }
            _ => {}
        }
    }

    /// Writes the canonical rows.
    pub fn write(&self, rows: &mut Rows) {
        let mut sorted: Vec<_> = self.instruments.iter().collect();
        sorted.sort_unstable_by_key(|(id, _)| **id);
        for (id, of) in sorted {
            of.days().for_each(|day| write_day(id, day, rows));
            if let Some(live) = of.live() {
                write_live(id, live, rows);
            }
        }
    }
}

/// The canonical row of a day's prices.
pub(crate) fn write_day(id: &InstrumentId, day: &DayRow, rows: &mut Rows) {
    let mut row = rows.row("day");
    row.id(id.as_str()).show(day.date).show(day.open).show(day.high).show(day.low).show(day.close);
    row.show_or_none(day.previous_close).show_or_none(day.volume);
}

/// The canonical row of a live price.
pub(crate) fn write_live(id: &InstrumentId, live: Live, rows: &mut Rows) {
    rows.row("live").id(id.as_str()).show(live.last).show(live.at);
}
