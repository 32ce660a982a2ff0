//! Market facts: accepted once, refused as repeats, contradictions and nonsense, corrected by name.

use domain::{
    ids::{Exchange, InstrumentId, Isin, SchemeCode, Series, Symbol},
    market::{
        self, CalendarDay, DayKind, DayNav, DayPrice, Fact, Instrument, LastPrice, Market, MarketEventData, Scheme,
    },
    money::{Nav, Percent, Price},
    rejection::Rejection,
    time::{Date, TimeOfDay, Timestamp},
};

fn date(text: &str) -> Date {
    Date::parse(text).expect("a valid test value")
}

fn price(text: &str) -> Price {
    Price::parse(text).expect("a valid test value")
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a valid test value")
}

fn now() -> Timestamp {
    at("2026-11-23T09:00:00+05:30")
}

fn reliance() -> InstrumentId {
    InstrumentId::new("NSE:RELIANCE").expect("a valid test value")
}

fn listing() -> Instrument {
    Instrument {
        instrument: reliance(),
        isin: Isin::new("INE002A01018").ok(),
        symbol: Symbol::new("RELIANCE").expect("a valid test value"),
        exchange: Exchange::new("NSE").expect("a valid test value"),
        series: Series::new("EQ").expect("a valid test value"),
        tick_size: Some(price("0.05")),
        band_percent: Some(Percent::whole(20)),
        from: None,
        corrects: None,
    }
}

fn alias(from: &str, series: &str) -> Instrument {
    let series = Series::new(series).expect("a valid test value");
    Instrument { isin: None, tick_size: None, band_percent: None, from: Some(date(from)), series, ..listing() }
}

fn day(on: &str, close: &str) -> DayPrice {
    DayPrice {
        instrument: reliance(),
        date: date(on),
        open: price("2500"),
        high: price("2600"),
        low: price("2400"),
        close: price(close),
        previous_close: None,
        volume: Some(1000),
        corrects: None,
    }
}

fn scheme() -> Scheme {
    Scheme {
        scheme: SchemeCode::new("119551").expect("a valid test value"),
        name: "A scheme".into(),
        isin_growth: None,
        isin_reinvestment: None,
        amc: None,
        category: None,
        plan: None,
        option: None,
        corrects: None,
    }
}

fn nav(on: &str, nav: &str) -> DayNav {
    DayNav {
        scheme: scheme().scheme,
        date: date(on),
        nav: Nav::parse(nav).expect("a valid test value"),
        corrects: None,
    }
}

/// Records facts as the writer does; gives the market and the last one's refusal.
fn record(market: Market, facts: impl IntoIterator<Item = Fact>) -> (Market, Option<Rejection>) {
    facts.into_iter().fold((market, None), |(mut market, _), fact| {
        let event = market::decide(&market, &fact, now());
        *market.seqs.entry(fact.key()).or_default() += 1;
        let refused = match &event.data {
            MarketEventData::CommandRefused(refused) => Some(refused.code),
            _ => None,
        };
        (market::evolve(market, &event), refused)
    })
}

fn listed(facts: impl IntoIterator<Item = Fact>) -> Market {
    let (market, refused) = record(Market::default(), [Fact::from(listing())].into_iter().chain(facts));
    assert_eq!(refused, None);
    market
}

fn refusal(market: &Market, fact: impl Into<Fact>) -> Option<Rejection> {
    record(market.clone(), [fact.into()]).1
}

#[test]
fn a_fact_said_again_is_a_repeat_and_changes_nothing() {
    let market = listed([day("2026-11-20", "2510").into()]);
    for fact in [Fact::from(listing()), day("2026-11-20", "2510").into()] {
        let (after, refused) = record(market.clone(), [fact]);
        assert_eq!(refused, Some(Rejection::FactRepeated));
        assert_eq!((after.instruments, after.schemes), (market.instruments.clone(), market.schemes.clone()));
    }
}

#[test]
fn another_close_for_a_day_is_a_contradiction_unless_it_names_what_it_corrects() {
    let market = listed([day("2026-11-20", "2510").into()]);
    assert_eq!(refusal(&market, day("2026-11-20", "2511")), Some(Rejection::FactContradicted));
    let correction = |seq| DayPrice { corrects: Some(seq), ..day("2026-11-20", "2511") };
    assert_eq!(refusal(&market, correction(0)), Some(Rejection::UnknownFact));
    assert_eq!(refusal(&market, correction(3)), Some(Rejection::UnknownFact), "not recorded yet");
    let (after, refused) = record(market, [correction(2).into()]);
    assert_eq!(refused, None);
    assert_eq!(after.instruments[&reliance()].last_price(), Some(price("2511")));
    assert_eq!(refusal(&after, correction(2)), Some(Rejection::FactRepeated), "corrected once is enough");
}

#[test]
fn a_correction_of_a_day_that_was_never_recorded_is_refused() {
    let market = listed([day("2026-11-20", "2510").into()]);
    let correction = DayPrice { corrects: Some(2), ..day("2026-11-19", "2511") };
    assert_eq!(refusal(&market, correction), Some(Rejection::UnknownFact));
}

#[test]
fn prices_and_navs_of_what_is_not_listed_are_refused() {
    let none = Market::default();
    assert_eq!(refusal(&none, day("2026-11-20", "2510")), Some(Rejection::UnknownInstrument));
    let last = LastPrice { instrument: reliance(), last: price("1"), at: now() };
    assert_eq!(refusal(&none, last), Some(Rejection::UnknownInstrument));
    assert_eq!(refusal(&none, nav("2026-11-20", "10")), Some(Rejection::UnknownScheme));
}

#[test]
fn figures_that_contradict_each_other_are_refused() {
    let market = listed([]);
    let good = day("2026-11-20", "2510");
    for bad in [
        DayPrice { low: price("2601"), ..good.clone() },
        DayPrice { low: Price::ZERO, ..good.clone() },
        DayPrice { open: price("2399"), ..good.clone() },
        DayPrice { open: price("2399"), close: price("2700"), ..good.clone() },
        DayPrice { close: Price::ZERO, ..good.clone() },
        DayPrice { volume: Some(-1), ..good.clone() },
        DayPrice { previous_close: Some(price("-1")), ..good.clone() },
    ] {
        assert_eq!(refusal(&market, bad.clone()), Some(Rejection::FactInconsistent), "{bad:?}");
    }
    // An official close is an average of the last half hour and may lie outside what traded.
    assert_eq!(refusal(&market, DayPrice { close: price("2600.05"), ..good }), None);
    assert_eq!(
        refusal(&market, Instrument { tick_size: Some(Price::ZERO), ..listing() }),
        Some(Rejection::FactInconsistent)
    );
    let wide = Instrument { band_percent: Some(Percent::whole(101)), ..listing() };
    assert_eq!(refusal(&market, wide), Some(Rejection::FactInconsistent));
    let elsewhere = Instrument { exchange: Exchange::new("BSE").unwrap(), ..listing() };
    assert_eq!(refusal(&market, elsewhere), Some(Rejection::FactInconsistent));
    assert_eq!(
        refusal(&market, LastPrice { instrument: reliance(), last: Price::ZERO, at: now() }),
        Some(Rejection::PriceNotPositive)
    );
}

#[test]
fn the_band_is_the_previous_close_and_the_percentage_inward_to_the_tick() {
    let market = listed([day("2026-11-19", "2500").into(), day("2026-11-20", "2510.10").into()]);
    let reliance = &market.instruments[&reliance()];
    assert_eq!(reliance.close_before(date("2026-11-20")), Some(price("2500")));
    assert_eq!(reliance.close_before(date("2026-11-23")), Some(price("2510.10")));
    assert_eq!(reliance.close_before(date("2026-11-19")), None);
    assert_eq!(reliance.band(date("2026-11-19")), None, "no close, no band");
    // 20% of 2510.10 is 502.02: from 2008.08 up to the tick, from 3012.12 down to it.
    assert_eq!(reliance.band(date("2026-11-23")), Some((price("2008.10"), price("3012.10"))));
}

#[test]
fn the_last_price_is_the_live_one_until_a_later_day_is_recorded() {
    let live =
        |last: &str, when: &str| Fact::from(LastPrice { instrument: reliance(), last: price(last), at: at(when) });
    let last = |market: &Market| market.instruments[&reliance()].last_price();
    let market = listed([day("2026-11-20", "2510").into()]);
    assert_eq!(last(&market), Some(price("2510")));
    let (market, _) = record(market, [live("2515", "2026-11-23T10:00:00+05:30")]);
    assert_eq!(last(&market), Some(price("2515")));
    let (market, _) = record(market, [live("2505", "2026-11-23T09:59:00+05:30")]);
    assert_eq!(last(&market), Some(price("2515")), "an older tick that comes late");
    assert_eq!(refusal(&market, live("2515", "2026-11-23T10:00:00+05:30")), Some(Rejection::FactRepeated));
    let (market, _) = record(market, [day("2026-11-24", "2520").into()]);
    assert_eq!(last(&market), Some(price("2520")));
}

#[test]
fn a_files_dated_alias_never_takes_tick_band_or_isin_away() {
    let market = listed([alias("2026-11-20", "BE").into()]);
    let now = &market.instruments[&reliance()].instrument;
    assert_eq!(now.series, Series::new("BE").unwrap());
    assert_eq!(
        (now.tick_size, now.band_percent, now.isin),
        (Some(price("0.05")), Some(Percent::whole(20)), listing().isin)
    );
}

#[test]
fn aliases_hold_by_date_whatever_order_they_come_in() {
    let series = |market: &Market| market.instruments[&reliance()].instrument.series.to_string();
    let late = listed([alias("2026-11-20", "BE").into(), alias("2026-11-10", "BZ").into()]);
    assert_eq!(series(&late), "BE", "an older file read later changes the past only");
    assert_eq!(late.instruments[&reliance()].aliases.len(), 3);
}

#[test]
fn what_only_a_file_knows_has_no_tick_until_an_operator_lists_it() {
    let (market, refused) =
        record(Market::default(), [alias("2026-11-20", "EQ").into(), day("2026-11-20", "2510").into()]);
    assert_eq!(refused, None);
    assert_eq!(market.instruments[&reliance()].instrument.tick_size, None);
    let (market, refused) = record(market, [listing().into()]);
    assert_eq!(refused, None);
    assert_eq!(market.instruments[&reliance()].instrument.tick_size, Some(price("0.05")));
    assert_eq!(market.instruments[&reliance()].last_price(), Some(price("2510")), "prices stay");
}

#[test]
fn a_scheme_and_its_navs_follow_the_same_rules() {
    let (market, refused) = record(Market::default(), [scheme().into(), nav("2026-11-20", "10.5").into()]);
    assert_eq!(refused, None);
    assert_eq!(refusal(&market, scheme()), Some(Rejection::FactRepeated));
    assert_eq!(refusal(&market, Scheme { name: "Renamed".into(), ..scheme() }), Some(Rejection::FactContradicted));
    assert_eq!(refusal(&market, Scheme { name: "Renamed".into(), corrects: Some(1), ..scheme() }), None);
    assert_eq!(refusal(&market, nav("2026-11-20", "10.5")), Some(Rejection::FactRepeated));
    assert_eq!(refusal(&market, nav("2026-11-20", "10.6")), Some(Rejection::FactContradicted));
    assert_eq!(refusal(&market, nav("2026-11-21", "-1")), Some(Rejection::FactInconsistent));
    assert_eq!(refusal(&market, nav("2026-11-21", "0")), None, "a segregated portfolio may be worth nothing");
}

#[test]
fn a_calendar_day_is_corrected_by_name_and_must_make_sense() {
    let session = CalendarDay {
        exchange: Exchange::new("NSE").unwrap(),
        date: date("2026-11-08"),
        kind: DayKind::Session,
        open: Some(TimeOfDay::parse("18:15").unwrap()),
        close: Some(TimeOfDay::parse("19:15").unwrap()),
        settlement: Some(false),
        corrects: None,
    };
    let (market, refused) = record(Market::default(), [session.clone().into()]);
    assert_eq!(refused, None);
    assert_eq!(refusal(&market, session.clone()), Some(Rejection::FactRepeated));
    let moved = CalendarDay { open: Some(TimeOfDay::parse("18:00").unwrap()), ..session.clone() };
    assert_eq!(refusal(&market, moved.clone()), Some(Rejection::FactContradicted));
    assert_eq!(refusal(&market, CalendarDay { corrects: Some(1), ..moved }), None);
    assert_eq!(
        refusal(&market, CalendarDay { close: session.open, ..session.clone() }),
        Some(Rejection::FactInconsistent)
    );
    let holiday = CalendarDay { kind: DayKind::Holiday, ..session };
    assert_eq!(refusal(&market, holiday), Some(Rejection::FactInconsistent), "a holiday has no hours");
}

#[test]
fn every_fact_happened_when_it_says_it_did() {
    let when = |fact: Fact| market::decide(&listed([]), &fact, now()).effective_at;
    assert_eq!(when(day("2026-11-20", "2510").into()), at("2026-11-20T15:30:00+05:30"));
    assert_eq!(when(alias("2026-11-20", "EQ").into()), at("2026-11-20T00:00:00+05:30"));
    let (market, _) = record(Market::default(), [scheme().into()]);
    assert_eq!(
        market::decide(&market, &nav("2026-11-20", "10").into(), now()).effective_at,
        at("2026-11-21T00:00:00+05:30")
    );
}
