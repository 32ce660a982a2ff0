//! Short words for the book's tests: commands and facts as a person would say them.
#![allow(dead_code, reason = "each test file uses its own part")]

use domain::{
    account, cash,
    fund::{Allotment, Answer, Purchase, Redemption, ReportAllotment},
    history::{ImportTrade, ImportUnits, Kind},
    ids::*,
    intraday::Convert,
    market::{CalendarDay, DayKind, DayNav, DayPrice, Instrument, LastPrice, Scheme},
    money::*,
    order::*,
    testing::{Given, given},
    time::{Date, Timestamp},
};

pub fn rupees(text: &str) -> Money {
    text.parse().expect("money")
}
pub fn price(text: &str) -> Price {
    text.parse().expect("price")
}
pub fn units(text: &str) -> Units {
    text.parse().expect("units")
}
pub fn nav(text: &str) -> Nav {
    text.parse().expect("nav")
}
pub fn shares(count: i64) -> Quantity {
    Quantity::new(count)
}
pub fn date(text: &str) -> Date {
    text.parse().expect("date")
}
pub fn time(text: &str) -> Timestamp {
    text.parse().expect("time")
}
pub fn instrument() -> InstrumentId {
    InstrumentId::new("NSE:BAHI").expect("instrument")
}
pub fn order_id(seq: u64) -> OrderId {
    OrderId { account: AccountId::new("ACC1").expect("account"), seq }
}
pub fn fund_order_id(seq: u64) -> FundOrderId {
    FundOrderId { account: AccountId::new("ACC1").expect("account"), seq }
}
pub fn scheme() -> SchemeCode {
    SchemeCode::new("119551").expect("scheme")
}
pub fn folio() -> Folio {
    Folio::new("AU-882145").expect("folio")
}

pub fn open() -> account::Open {
    account::Open {}
}
pub fn deposit(amount: &str) -> cash::Deposit {
    cash::Deposit { amount: rupees(amount) }
}
pub fn withdraw(amount: &str) -> cash::Withdraw {
    cash::Withdraw { amount: rupees(amount) }
}

pub fn listed(series: &str, tick: Option<&str>, band: Option<i64>) -> Instrument {
    Instrument {
        instrument: instrument(),
        isin: None,
        symbol: Symbol::new("BAHI").expect("symbol"),
        exchange: Exchange::new("NSE").expect("exchange"),
        series: Series::new(series).expect("series"),
        tick_size: tick.map(price),
        band_percent: band.map(Percent::whole),
        from: None,
        corrects: None,
    }
}
pub fn closed(day: &str, close: &str) -> DayPrice {
    let close = price(close);
    DayPrice {
        instrument: instrument(),
        date: date(day),
        open: close,
        high: close,
        low: close,
        close,
        previous_close: None,
        volume: None,
        corrects: None,
    }
}
/// A day on which nothing trades and nothing settles.
pub fn holiday(day: &str) -> CalendarDay {
    CalendarDay {
        exchange: Exchange::new("NSE").expect("exchange"),
        date: date(day),
        kind: DayKind::Holiday,
        open: None,
        close: None,
        settlement: None,
        corrects: None,
    }
}
pub fn last(value: &str, at: &str) -> LastPrice {
    LastPrice { instrument: instrument(), last: price(value), at: time(at) }
}
pub fn known_scheme() -> Scheme {
    Scheme {
        scheme: scheme(),
        name: "Bahi Flexi Cap".into(),
        isin_growth: None,
        isin_reinvestment: None,
        amc: None,
        category: None,
        plan: None,
        option: None,
        corrects: None,
    }
}
pub fn nav_of(day: &str, value: &str) -> DayNav {
    DayNav { scheme: scheme(), date: date(day), nav: nav(value), corrects: None }
}

pub fn order(side: Side, quantity: i64, limit: Option<&str>) -> Place {
    Place {
        instrument: instrument(),
        side,
        quantity: shares(quantity),
        order_type: if limit.is_some() { OrderType::Limit } else { OrderType::Market },
        price: limit.map(price),
        product: Product::Cnc,
        validity: Validity::Day,
        market_protection: None,
        trigger_price: None,
        disclosed_quantity: None,
        tag: None,
        algo_id: None,
    }
}
pub fn buy(quantity: i64, limit: &str) -> Place {
    order(Side::Buy, quantity, Some(limit))
}
pub fn sell(quantity: i64, limit: &str) -> Place {
    order(Side::Sell, quantity, Some(limit))
}

/// A stop loss: with a limit SL, without SL-M.
pub fn stop(side: Side, quantity: i64, trigger: &str, limit: Option<&str>) -> Place {
    let order_type = if limit.is_some() { OrderType::Sl } else { OrderType::SlM };
    Place { order_type, trigger_price: Some(price(trigger)), ..order(side, quantity, limit) }
}
/// The same order, intraday.
pub fn mis(order: Place) -> Place {
    Place { product: Product::Mis, ..order }
}
pub fn convert(quantity: i64) -> Convert {
    Convert {
        instrument: instrument(),
        from: Product::Mis,
        to: Product::Cnc,
        quantity: shares(quantity),
        trade_date: None,
    }
}
pub fn cancel_trade(seq: u64, trade: &str, day: &str, at: &str) -> CancelTrade {
    CancelTrade {
        order_id: order_id(seq),
        trade_id: TradeId::new(trade).expect("trade id"),
        trade_date: date(day),
        reason: None,
        at: time(at),
    }
}

pub fn report(seq: u64, kind: ReportKind) -> Report {
    Report {
        order_id: order_id(seq),
        report: kind,
        exchange_order_id: None,
        reason: None,
        quantity: None,
        price: None,
        at: time("2026-11-23T10:01:00+05:30"),
    }
}
pub fn fill_at(seq: u64, trade: &str, quantity: i64, value: &str, at: &str) -> Fill {
    Fill {
        order_id: order_id(seq),
        trade_id: TradeId::new(trade).expect("trade id"),
        quantity: shares(quantity),
        price: price(value),
        executed_at: time(at),
        instrument: None,
        side: None,
    }
}
pub fn fill(seq: u64, trade: &str, quantity: i64, value: &str) -> Fill {
    fill_at(seq, trade, quantity, value, "2026-11-23T10:02:00+05:30")
}
pub fn change(seq: u64, quantity: Option<i64>, limit: Option<&str>) -> Modify {
    Modify {
        order_id: order_id(seq),
        quantity: quantity.map(shares),
        price: limit.map(price),
        trigger_price: None,
        order_type: None,
        validity: None,
    }
}
pub fn cancel(seq: u64) -> Cancel {
    Cancel { order_id: order_id(seq), due_to: None }
}

pub fn purchase(amount: &str) -> Purchase {
    Purchase { scheme: scheme(), amount: rupees(amount), folio: None }
}
pub fn redemption(units_asked: Option<&str>, amount: Option<&str>, all: Option<bool>) -> Redemption {
    Redemption { scheme: scheme(), folio: folio(), units: units_asked.map(units), amount: amount.map(rupees), all }
}
pub fn allotment(
    seq: u64,
    nav_value: &str,
    units_given: &str,
    duty: Option<&str>,
    payout: Option<(&str, &str)>,
) -> ReportAllotment {
    ReportAllotment {
        fund_order_id: fund_order_id(seq),
        answer: Answer::Allotted(Allotment {
            folio: folio(),
            nav_date: date("2026-11-20"),
            nav: nav(nav_value),
            units: units(units_given),
            stamp_duty: duty.map(rupees),
            amount: payout.map(|(amount, _)| rupees(amount)),
            pays_on: payout.map(|(_, day)| date(day)),
        }),
    }
}
pub fn fund_rejection(seq: u64) -> ReportAllotment {
    ReportAllotment { fund_order_id: fund_order_id(seq), answer: Answer::Rejected("no KYC".into()) }
}
pub fn imported(kind: Kind, quantity: i64, value: Option<&str>, day: &str) -> ImportTrade {
    ImportTrade {
        instrument: instrument(),
        kind,
        quantity: shares(quantity),
        price: value.map(price),
        exchange: None,
        trade_id: None,
        executed_at: date(day).start(),
    }
}
pub fn imported_units(kind: Kind, count: &str, amount: Option<&str>) -> ImportUnits {
    ImportUnits {
        scheme: scheme(),
        folio: folio(),
        kind,
        units: units(count),
        nav: None,
        amount: amount.map(rupees),
        executed_at: date("2024-01-15").start(),
    }
}

/// An open account with one lakh rupees; NSE:BAHI closed at 100.00 on Friday, tick 0.05, band 20%.
pub fn funded() -> Given {
    given()
        .fact(listed("EQ", Some("0.05"), Some(20)))
        .fact(closed("2026-11-20", "100.00"))
        .and(open())
        .and(deposit("100000.00"))
}
/// The same, holding 10 settled shares.
pub fn holding() -> Given {
    funded().and(imported(Kind::Purchase, 10, Some("90.00"), "2025-01-15"))
}
