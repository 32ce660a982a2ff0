//! A market restored from a snapshot is the one that was folded from the first entry, wherever the snapshot ends and
//! whatever was saved while it was read.

use super::*;
use crate::{followed::Followed, saved_market::SavedMarket, submission::By};
use domain::{
    calendar::CalendarMode,
    command::Submitter,
    ids::{CommandId, InstrumentId},
    market::{CalendarDay, DayKind, DayNav, DayPrice, Fact, Instrument, LastPrice, Scheme},
    money::{Nav, Percent, Price},
    time::Date,
};
use event_log::Headers;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NOW: i64 = 1_800_000_000_000_000;

struct Still;

impl crate::Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(NOW)
    }
    fn reach(&self, _at: Timestamp) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

fn facts() -> Facts {
    Facts::new(0, 1, &Config { calendar: CalendarMode::Exchange, ..Config::new(Arc::new(Still)) })
}

/// A writer's facts, its entries, and what each save that succeeded left, by item.
struct Writer {
    facts: Facts,
    entries: Vec<Stored>,
    saves: Vec<(u64, BTreeMap<String, Bytes>)>,
}

impl Writer {
    fn record(&mut self, fact: Fact) {
        let number = self.entries.len() as u64;
        let by =
            By { subject: "feed".into(), role: Submitter::Operator, session: None, origin: None, algo_id: None }.into();
        let (id, issued_at) = (CommandId::new(&format!("f{number}")).unwrap(), Timestamp::from_micros(NOW));
        let command = prepare(FactSubmission { id, by, fact, request_id: None, issued_at, traceparent: None });
        let place = Place { offset: number, source: -1, recorded_at: Timestamp::from_micros(NOW) };
        let written = self.facts.answer(&command, How::Decide, place).unwrap();
        let headers = Headers::claim(1, 1, written.ce_id, NOW);
        let record = Record { key: Some(written.key), headers, value: written.value };
        self.entries.push(Stored { offset: number, record });
    }

    fn save(&mut self, is_saved: bool) {
        let (items, _) = (self.facts.hand_over())().unwrap();
        self.facts.saved(is_saved);
        if is_saved {
            let mut kept = self.saves.last().map(|(_, kept)| kept.clone()).unwrap_or_default();
            kept.extend(items.into_iter().map(|item| (item.key.to_string(), item.blob)));
            self.saves.push((self.entries.len() as u64, kept));
        }
    }
}

/// What items say, and what was recorded from this offset on.
fn restored(items: &BTreeMap<String, Bytes>, from: u64, end: u64, entries: &[Stored]) -> Facts {
    let mut facts = facts();
    facts.restore(&[], Vec::new()).unwrap();
    items.iter().for_each(|(key, blob)| facts.warm(key, Some(blob)).unwrap());
    facts.whole(end);
    for stored in &entries[from as usize..] {
        facts.replay(stored).unwrap();
    }
    facts
}

/// Instruments of which one's key begins another's, one that is also a scheme, and one that is never listed.
const INSTRUMENTS: [&str; 4] = ["NSE:M", "NSE:M&M", "ISIN:INF000000001", "NSE:GHOST"];
const SCHEMES: [&str; 2] = ["100", "ISIN:INF000000001"];

fn days() -> impl Strategy<Value = Date> {
    // The turn of a year is among them.
    (0..70).prop_map(|days| Date::from_ymd(2025, 11, 10).unwrap().plus_days(days))
}

fn corrections() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (1_u64..9).prop_map(Some)]
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let price = || (1_i64..5).prop_map(|rupees| Price::from_smallest(rupees * 100));
    let instrument = || prop::sample::select(&INSTRUMENTS[..]).prop_map(|id| id.parse::<InstrumentId>().unwrap());
    let scheme = || prop::sample::select(&SCHEMES[..]).prop_map(|code| code.parse().unwrap());
    let listing = (0..3_usize, prop::option::of(days()), any::<(bool, bool, bool)>(), corrections());
    prop_oneof![
        2 => listing.prop_map(|(which, from, (isin, tick, series), corrects)| {
            let fact = Instrument {
                instrument: INSTRUMENTS[which].parse().unwrap(),
                isin: isin.then(|| "INF000000001".parse().unwrap()),
                symbol: "ACME".parse().unwrap(),
                exchange: "NSE".parse().unwrap(),
                series: if series { "EQ" } else { "BE" }.parse().unwrap(),
                tick_size: tick.then(|| Price::from_smallest(5)),
                band_percent: tick.then(|| Percent::whole(20)),
                from,
                corrects,
            };
            fact.into()
        }),
        4 => (instrument(), days(), price(), any::<bool>(), corrections()).prop_map(|(instrument, date, open, more, corrects)| {
            let (high, low, close) = (open, open, open);
            let (previous_close, volume) = (more.then_some(open), more.then_some(7));
            DayPrice { instrument, date, open, high, low, close, previous_close, volume, corrects }.into()
        }),
        3 => (instrument(), price(), 0..50_i64).prop_map(|(instrument, last, at)| {
            LastPrice { instrument, last, at: Timestamp::from_micros(NOW + at) }.into()
        }),
        1 => (scheme(), any::<bool>(), corrections()).prop_map(|(scheme, other, corrects)| {
            let name = if other { "Other" } else { "Fund" }.into();
            let category = other.then(|| "Liquid".into());
            let (isin_growth, isin_reinvestment, amc, plan, option) = (None, None, None, None, None);
            Scheme { scheme, name, isin_growth, isin_reinvestment, amc, category, plan, option, corrects }.into()
        }),
        2 => (scheme(), days(), 1_i64..4, corrections()).prop_map(|(scheme, date, nav, corrects)| {
            DayNav { scheme, date, nav: Nav::from_smallest(nav), corrects }.into()
        }),
        1 => (any::<bool>(), days(), any::<bool>(), corrections()).prop_map(|(nse, date, holiday, corrects)| {
            let exchange = if nse { "NSE" } else { "BSE" }.parse().unwrap();
            let kind = if holiday { DayKind::Holiday } else { DayKind::Session };
            let (open, close, settlement) = (None, None, None);
            CalendarDay { exchange, date, kind, open, close, settlement, corrects }.into()
        }),
    ]
}

/// Facts, and after some of them a save that succeeds or fails.
fn days_work() -> impl Strategy<Value = Vec<(Fact, Option<bool>)>> {
    let save = prop_oneof![6 => Just(None), 2 => Just(Some(true)), 1 => Just(Some(false))];
    prop::collection::vec((any_fact(), save), 1..120)
}

fn worked(work: Vec<(Fact, Option<bool>)>) -> Writer {
    let mut writer = Writer { facts: facts(), entries: Vec::new(), saves: vec![(0, BTreeMap::new())] };
    for (fact, save) in work {
        writer.record(fact);
        save.into_iter().for_each(|is_saved| writer.save(is_saved));
    }
    writer
}

proptest! {
    #[test]
    fn a_market_is_the_same_from_any_snapshot_as_from_the_first_entry(work in days_work()) {
        let mut writer = worked(work);
        writer.save(true);
        for (end, items) in &writer.saves {
            let mut again = restored(items, *end, *end, &writer.entries);
            prop_assert_eq!(&again.market, &writer.facts.market);
            // What is saved next adds what came since, and no more.
            let (next, _) = (again.hand_over())().unwrap();
            prop_assert!(*end < writer.entries.len() as u64 || next.is_empty());
            let mut kept = items.clone();
            kept.extend(next.into_iter().map(|item| (item.key.to_string(), item.blob)));
            prop_assert_eq!(&kept, &writer.saves.last().unwrap().1);
        }
    }

    #[test]
    fn what_is_saved_while_a_snapshot_is_read_is_folded_once(work in days_work(), reads in prop::collection::vec(0..4_usize, 0..30)) {
        let writer = worked(work);
        for first in 0..writer.saves.len() {
            // Each item is read from a snapshot that is no older than the one before it was read from.
            let (mut at, mut read) = (first, BTreeMap::new());
            let (mut seen, mut waits) = (String::new(), reads.iter().cycle());
            loop {
                let (_, items) = &writer.saves[at];
                let next = items.range::<String, _>((std::ops::Bound::Excluded(&seen), std::ops::Bound::Unbounded)).next();
                let Some((key, blob)) = next else { break };
                seen.clone_from(key);
                read.insert(key.clone(), blob.clone());
                at = (at + waits.next().map_or(0, |wait| wait / 3)).min(writer.saves.len() - 1);
            }
            let (from, end) = (writer.saves[first].0, writer.saves[at].0);
            let again = restored(&read, from, end, &writer.entries);
            prop_assert_eq!(&again.market, &writer.facts.market);
        }
    }
}

#[test]
fn what_was_restored_counts_as_changed_for_who_simulates() {
    let mut writer = worked(Vec::new());
    let listed: Fact = Instrument {
        instrument: "NSE:ACME".parse().unwrap(),
        isin: None,
        symbol: "ACME".parse().unwrap(),
        exchange: "NSE".parse().unwrap(),
        series: "EQ".parse().unwrap(),
        tick_size: None,
        band_percent: None,
        from: None,
        corrects: None,
    }
    .into();
    writer.record(listed);
    let followed = Followed::new(2, 1);
    let market = writer.facts.market.clone().unwrap();
    let reader = event_log::rule::Reader { offset: 9, ..Default::default() };
    followed.begin(1, SavedMarket { market, reader, end: 9 });
    assert!(followed.has_reached(&[0, 9]) && !followed.has_reached(&[1, 9]));
    let changed = followed.take_changed(0);
    assert_eq!(changed.instruments, ["NSE:ACME".parse().unwrap()].into());
    assert!(changed.schemes.is_empty() && !changed.calendar);
}

#[test]
fn an_item_of_another_key_is_not_taken_in() {
    let mut writer = worked(Vec::new());
    writer.record(
        DayNav {
            scheme: "100".parse().unwrap(),
            date: Date::from_ymd(2026, 1, 1).unwrap(),
            nav: Nav::from_smallest(1),
            corrects: None,
        }
        .into(),
    );
    writer.save(true);
    let (_, items) = writer.saves.last().unwrap();
    let blob = &items["100"];
    let mut facts = facts();
    assert!(facts.warm("101", Some(blob)).is_err());
    assert!(facts.warm("100", Some(&blob[..blob.len() - 1])).is_err());
    facts.warm("100", Some(blob)).unwrap();
}
