//! Facts about the market from operators and feeds, one or a list at a time; contradictions are judged elsewhere.

use crate::{
    body::{Body, OneOrMany, Parse, body, parse_at},
    caller::{Caller, OPERATOR},
    field::{self, Field, Kind, SEQ_MAX, Shape},
    problem::Problem,
    sent::{Key, Sent},
    state::State,
    submit,
    token::Verified,
};
use axum::{extract, response::Response};
use domain::market::{CalendarDay, DayNav, DayPrice, Fact, Instrument, LastPrice, Scheme};
use serde::de::IgnoredAny;
use std::{borrow::Cow, collections::BTreeMap};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, RefOr, Schema, schema::OneOfBuilder},
};

const CORRECTS: Field =
    Field::may("corrects", Kind::Whole(1, SEQ_MAX), "The `seq` of the earlier fact that this one corrects");
const OF_INSTRUMENT: Field = Field::needed("instrument", Kind::Text(field::INSTRUMENT), "Of what");
/// Shares traded in a day: more than every listed share.
const VOLUME_MAX: i64 = 1_000_000_000_000_000;

fn corrects_fits(corrects: Option<u64>) -> bool {
    corrects.is_none_or(field::seq_fits)
}
fn words_fit<const N: usize>(words: [&Option<Box<str>>; N]) -> bool {
    words.iter().all(|words| words.as_deref().is_none_or(field::is_words))
}

body!(
    /// An instrument.
    Instrument as ListInstrument,
    &Shape {
        name: "ListInstrument",
        about: "What an instrument is.",
        fields: &[
            Field::needed("instrument", Kind::Text(field::INSTRUMENT), "Its id"),
            Field::may("isin", Kind::Text(field::ISIN), "Its ISIN"),
            Field::needed("symbol", Kind::Text(field::SYMBOL), "Its trading symbol"),
            Field::needed("exchange", Kind::Text(field::EXCHANGE), "Where it trades"),
            Field::needed("series", Kind::Text(field::SERIES), "The series it trades in"),
            Field::may("tick_size", Kind::Decimal(field::PRICE), "The smallest step of its price; without one it takes no orders"),
            Field::may("band_percent", Kind::Decimal(field::PERCENT), "How far from the previous close it may trade"),
            Field::may("from", Kind::Text(field::DATE), "From when this holds"),
            CORRECTS,
        ],
    },
    |fact| {
        fact.tick_size.is_none_or(field::price_fits)
            && fact.band_percent.is_none_or(field::percent_fits)
            && corrects_fits(fact.corrects)
    }
);
body!(
    /// A day's prices.
    DayPrice as RecordPrice,
    &Shape {
        name: "RecordPrice",
        about: "A day's prices.",
        fields: &[
            OF_INSTRUMENT,
            Field::needed("date", Kind::Text(field::DATE), "The day"),
            Field::needed("open", Kind::Decimal(field::PRICE_OR_ZERO), "First"),
            Field::needed("high", Kind::Decimal(field::PRICE_OR_ZERO), "Highest"),
            Field::needed("low", Kind::Decimal(field::PRICE_OR_ZERO), "Lowest"),
            Field::needed("close", Kind::Decimal(field::PRICE_OR_ZERO), "Official close"),
            Field::may("previous_close", Kind::Decimal(field::PRICE_OR_ZERO), "As the exchange gave it"),
            Field::may("volume", Kind::Whole(0, VOLUME_MAX), "Shares traded"),
            CORRECTS,
        ],
    },
    |fact| {
        [fact.open, fact.high, fact.low, fact.close].into_iter().chain(fact.previous_close).all(field::price_or_zero_fits)
            && fact.volume.is_none_or(|volume| (0..=VOLUME_MAX).contains(&volume))
            && corrects_fits(fact.corrects)
    }
);
body!(
    /// A live price.
    LastPrice as RecordLastPrice,
    &Shape {
        name: "RecordLastPrice",
        about: "A live price.",
        fields: &[
            OF_INSTRUMENT,
            Field::needed("last", Kind::Decimal(field::PRICE), "The last traded price"),
            Field::needed("at", Kind::Text(field::INSTANT), "When it traded"),
        ],
    },
    |fact| field::price_fits(fact.last)
);
body!(
    /// A scheme.
    Scheme as ListScheme,
    &Shape {
        name: "ListScheme",
        about: "What a fund scheme is.",
        fields: &[
            Field::needed("scheme", Kind::Text(field::SCHEME), "AMFI's code"),
            Field::needed("name", Kind::Text(field::WORDS), "Its name"),
            Field::may("isin_growth", Kind::Text(field::ISIN), "ISIN of growth or payout"),
            Field::may("isin_reinvestment", Kind::Text(field::ISIN), "ISIN of reinvestment"),
            Field::may("amc", Kind::Text(field::WORDS), "The fund house"),
            Field::may("category", Kind::Text(field::WORDS), "AMFI's category"),
            Field::may("plan", Kind::Text(field::WORDS), "Direct or regular"),
            Field::may("option", Kind::Text(field::WORDS), "Growth or IDCW"),
            CORRECTS,
        ],
    },
    |fact| {
        field::is_words(&fact.name)
            && words_fit([&fact.amc, &fact.category, &fact.plan, &fact.option])
            && corrects_fits(fact.corrects)
    }
);
body!(
    /// A NAV.
    DayNav as RecordNav,
    &Shape {
        name: "RecordNav",
        about: "A scheme's NAV of a day.",
        fields: &[
            Field::needed("scheme", Kind::Text(field::SCHEME), "Of which scheme"),
            Field::needed("date", Kind::Text(field::DATE), "The day"),
            Field::needed("nav", Kind::Decimal(field::NAV), "Rupees a unit"),
            CORRECTS,
        ],
    },
    |fact| field::nav_fits(fact.nav) && corrects_fits(fact.corrects)
);
body!(
    /// A calendar day.
    CalendarDay as RecordCalendarDay,
    &Shape {
        name: "RecordCalendarDay",
        about: "A day of an exchange's calendar that is not as its weekday says.",
        fields: &[
            Field::needed("exchange", Kind::Text(field::EXCHANGE), "Whose"),
            Field::needed("date", Kind::Text(field::DATE), "The day"),
            Field::needed("kind", Kind::Name(&["holiday", "session"]), "Closed or open"),
            Field::may("open", Kind::Text(field::TIME_OF_DAY), "For a session: from when, 09:15 unless given"),
            Field::may("close", Kind::Text(field::TIME_OF_DAY), "For a session: to when, 15:30 unless given"),
            Field::may("settlement", Kind::Flag, "Whether cash and shares settle"),
            CORRECTS,
        ],
    },
    |fact| corrects_fits(fact.corrects)
);

/// A day's prices or a live price: the one with `last` is live.
pub enum Price {
    /// A day's.
    Day(DayPrice),
    /// Live.
    Last(LastPrice),
}

impl Parse for Price {
    fn parse(bytes: &[u8], under: &str) -> Result<Self, Problem> {
        if let Ok(day) = serde_json::from_slice::<DayPrice>(bytes)
            && day.fits()
        {
            return Ok(Self::Day(day));
        }
        let fields: BTreeMap<Cow<'_, str>, IgnoredAny> = serde_json::from_slice(bytes).unwrap_or_default();
        if fields.contains_key("last") {
            parse_at(bytes, under).map(Self::Last)
        } else {
            parse_at(bytes, under).map(Self::Day)
        }
    }
}

impl From<Price> for Fact {
    fn from(price: Price) -> Self {
        match price {
            Price::Day(day) => day.into(),
            Price::Last(last) => last.into(),
        }
    }
}

/// Describes one thing or a list of up to 1000 of them.
macro_rules! one_or_many {
    ($($(#[$doc:meta])* $name:ident = $($one:ident),+;)*) => {
        $(
            $(#[$doc])*
            pub struct $name;
            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    let one = || {
                        let mut schemas: Vec<RefOr<Schema>> = vec![$($one::schema()),+];
                        match schemas.len() {
                            1 => schemas.remove(0),
                            _ => schemas.into_iter().fold(OneOfBuilder::new(), OneOfBuilder::item).into(),
                        }
                    };
                    let many = ArrayBuilder::new().items(one()).min_items(Some(1)).max_items(Some(crate::body::ITEMS_MAX));
                    OneOfBuilder::new().item(one()).item(many).into()
                }
            }
            impl ToSchema for $name {}
        )*
    };
}
one_or_many! {
    /// Instruments.
    ListInstruments = ListInstrument;
    /// Prices.
    RecordPrices = RecordPrice, RecordLastPrice;
    /// Schemes.
    ListSchemes = ListScheme;
    /// NAVs.
    RecordNavs = RecordNav;
    /// Calendar days.
    RecordCalendarDays = RecordCalendarDay;
}

async fn submit_facts<T: Into<Fact>>(
    state: &State,
    caller: &Verified,
    Key(key): Key,
    sent: Sent,
    body: OneOrMany<T>,
) -> Response {
    match body {
        OneOrMany::One(fact) => submit::fact(state, caller, key, sent, fact.into()).await,
        OneOrMany::Many(facts) => {
            let facts = facts.into_iter().map(|fact| fact.map(Into::into)).collect();
            submit::facts(state, caller, key, sent, facts).await
        }
    }
}

/// The handlers, which differ by the fact alone.
macro_rules! handlers {
    ($($(#[$doc:meta])* $name:ident($fact:ty as $body:ident) at $path:literal;)*) => {
        $(
            $(#[$doc])*
            #[utoipa::path(post, path = $path, tag = "market", request_body = $body,
                security(("token" = ["operator"])),
                responses(
                    (status = 201, description = "One fact: recorded"),
                    (status = 200, description = "A list: one status and body for each fact; the one at index i has the key `{key}/{i}`"),
                ))]
            pub async fn $name(
                extract::State(state): extract::State<State>,
                Caller(caller): Caller<OPERATOR>,
                key: Key,
                sent: Sent,
                body: OneOrMany<$fact>,
            ) -> Response {
                submit_facts(&state, &caller, key, sent, body).await
            }
        )*
    };
}
handlers! {
    /// Lists instruments, or says what they are from a date on.
    list_instruments(Instrument as ListInstruments) at "/v1/market/instruments";
    /// Records prices of days, or live ones.
    record_prices(Price as RecordPrices) at "/v1/market/prices";
    /// Lists fund schemes.
    list_schemes(Scheme as ListSchemes) at "/v1/market/schemes";
    /// Records NAVs.
    record_navs(DayNav as RecordNavs) at "/v1/market/navs";
    /// Records calendar days.
    record_calendar_days(CalendarDay as RecordCalendarDays) at "/v1/market/calendar";
}
