//! Facts about the market.

use crate::{Fault, NOON, check, support::*, unknown, unknown_scheme};
use domain::{
    market::{DayNav, DayPrice, Fact, LastPrice, Market, MarketEventData},
    money::Price,
    rejection::Rejection,
};

#[test]
pub fn of_a_fact_about_the_market() {
    fn refused(market: &Market, fact: impl Into<Fact>) -> Option<Rejection> {
        match domain::market::decide(market, &fact.into(), time(NOON)).data {
            MarketEventData::CommandRefused(refused) => Some(refused.code),
            _ => None,
        }
    }
    let known: [Fact; 4] = [
        listed("EQ", Some("0.05"), None).into(),
        closed("2026-11-20", "100.00").into(),
        known_scheme().into(),
        nav_of("2026-11-20", "40.0000").into(),
    ];
    let market = known.iter().fold(Market::default(), |market, fact| {
        let event = domain::market::decide(&market, fact, time(NOON));
        domain::market::evolve(market, &event)
    });
    let inconsistent: Fault<DayPrice> = (Rejection::FactInconsistent, |day| day.low = price("102.00"));
    let elsewhere: Fault<DayPrice> = (Rejection::UnknownInstrument, |day| day.instrument = unknown());
    let unknown_fact: Fault<DayPrice> = (Rejection::UnknownFact, |day| day.corrects = Some(9));
    check(
        &closed("2026-11-19", "101.00"),
        &[
            &[inconsistent],
            &[elsewhere],
            &[(Rejection::FactContradicted, |day| day.date = date("2026-11-20")), unknown_fact],
        ],
        |day| refused(&market, day.clone()),
    );
    // What is repeated was consistent, and contradicts nothing.
    let repeated: Fault<DayPrice> = (Rejection::FactRepeated, |day| *day = closed("2026-11-20", "100.00"));
    check(&closed("2026-11-19", "101.00"), &[&[repeated], &[elsewhere], &[unknown_fact]], |day| {
        refused(&market, day.clone())
    });
    check(
        &nav_of("2026-11-19", "41.0000"),
        &[
            &[
                (Rejection::FactInconsistent, |day: &mut DayNav| day.nav = nav("-1.0000")),
                (Rejection::FactRepeated, |day| *day = nav_of("2026-11-20", "40.0000")),
            ],
            &[(Rejection::UnknownScheme, |day| day.scheme = unknown_scheme())],
            &[(Rejection::UnknownFact, |day| day.corrects = Some(9))],
        ],
        |day| refused(&market, day.clone()),
    );
    check(
        &last("101.00", NOON),
        &[
            &[(Rejection::PriceNotPositive, |last: &mut LastPrice| last.last = Price::ZERO)],
            &[(Rejection::UnknownInstrument, |last| last.instrument = unknown())],
        ],
        |last| refused(&market, last.clone()),
    );
}
