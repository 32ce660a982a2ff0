//! What the demo shows: invented shares, funds and accounts, and what their holders did; moves no price.
//!
//! Every name begins with `DEMO`, so that none is a company's or a fund house's own.

use crate::{clock, error::Error, market};
use commands::{Answer, By, Desk, FactSubmission, OutcomeResult, Submission};
use domain::{
    account, cash,
    command::{Command, Submitter},
    fund,
    history::{ImportTrade, ImportUnits, Kind},
    ids::{AccountId, CommandId, InstrumentId, SchemeCode},
    market::{Fact, Instrument, Market, Scheme},
    money::{Money, Nav, Percent, Price, Quantity, Rounding, Units},
    order::{OrderType, Place, Product, Side, Validity},
    time::Date,
};
use std::sync::Arc;

/// A share of the demo: symbol, ISIN, first price in paise.
pub struct Share {
    symbol: &'static str,
    isin: &'static str,
    paise: i64,
}

/// A fund of the demo: code, name, first NAV in paise.
pub struct Fund {
    code: &'static str,
    name: &'static str,
    category: &'static str,
    isin: &'static str,
    paise: i64,
}

const fn share(symbol: &'static str, isin: &'static str, paise: i64) -> Share {
    Share { symbol, isin, paise }
}

/// The shares.
pub const SHARES: [Share; 8] = [
    share("DEMOBANK", "INEDEMO00017", 164050),
    share("DEMOSTEEL", "INEDEMO00025", 14235),
    share("DEMOSOFT", "INEDEMO00033", 390500),
    share("DEMOTEA", "INEDEMO00041", 41820),
    share("DEMOPOWER", "INEDEMO00058", 36475),
    share("DEMOPHARMA", "INEDEMO00066", 120890),
    share("DEMOMOTORS", "INEDEMO00074", 94510),
    share("DEMOCEMENT", "INEDEMO00082", 1125000),
];

/// The funds.
pub const FUNDS: [Fund; 4] = [
    fund("990001", "Demo Flexi Cap Fund - Direct Plan - Growth", "Flexi Cap Fund", "INFDEMO00012", 8425),
    fund("990002", "Demo Index Fund - Direct Plan - Growth", "Index Funds", "INFDEMO00020", 21260),
    fund("990003", "Demo Short Duration Fund - Direct Plan - Growth", "Short Duration Fund", "INFDEMO00038", 3190),
    fund("990004", "Demo Liquid Fund - Direct Plan - Growth", "Liquid Fund", "INFDEMO00046", 287115),
];

const fn fund(code: &'static str, name: &'static str, category: &'static str, isin: &'static str, paise: i64) -> Fund {
    Fund { code, name, category, isin, paise }
}

impl Share {
    /// Its id.
    pub fn id(&self) -> InstrumentId {
        InstrumentId::new(&format!("NSE:{}", self.symbol)).expect("a demo's instrument is one")
    }
    /// What it traded at before the demo's history.
    pub fn price(&self) -> Price {
        Price::from_smallest(self.paise * 100)
    }
    fn listing(&self) -> Instrument {
        Instrument {
            instrument: self.id(),
            isin: Some(self.isin.parse().expect("a demo's ISIN has the form of one")),
            symbol: self.symbol.parse().expect("a demo's symbol is one"),
            exchange: "NSE".parse().expect("an exchange"),
            series: "EQ".parse().expect("a series"),
            tick_size: Some(TICK),
            band_percent: Some(Percent::whole(BAND_PERCENT)),
            from: None,
            corrects: None,
        }
    }
}

impl Fund {
    /// Its code.
    pub fn code(&self) -> SchemeCode {
        SchemeCode::new(self.code).expect("a demo's scheme is one")
    }
    /// Its NAV before the demo's history.
    pub fn nav(&self) -> Nav {
        Nav::from_smallest(self.paise * 1_000_000)
    }
    fn listing(&self) -> Scheme {
        Scheme {
            scheme: self.code(),
            name: self.name.into(),
            isin_growth: Some(self.isin.parse().expect("a demo's ISIN has the form of one")),
            isin_reinvestment: None,
            amc: Some("Demo Asset Management".into()),
            category: Some(self.category.into()),
            plan: Some("direct".into()),
            option: Some("growth".into()),
            corrects: None,
        }
    }
}

/// The step of every price.
pub const TICK: Price = Price::from_smallest(500);
/// How far from the previous close an order may be.
const BAND_PERCENT: i64 = 20;

/// The accounts, all of the demo's one client.
pub fn accounts() -> [AccountId; 3] {
    ["DEMO1", "DEMO2", "DEMO3"].map(|name| AccountId::new(name).expect("a demo's account is one"))
}

/// The listings that are not recorded yet.
pub fn listings(known: &Market, by: &Arc<By>) -> Vec<FactSubmission> {
    let id = |what: &str| CommandId::new(&format!("demo/list/{what}")).expect("short and visible");
    let shares = SHARES.iter().filter(|share| !known.instruments.contains_key(&share.id()));
    let shares = shares.map(|share| (id(share.symbol), Fact::from(share.listing())));
    let listed = |fund: &&Fund| known.schemes.get(&fund.code()).is_some_and(|state| state.scheme.is_some());
    let funds = FUNDS.iter().filter(|fund| !listed(fund)).map(|fund| (id(fund.code), Fact::from(fund.listing())));
    shares.chain(funds).map(|(id, fact)| market::submission(id, by, fact)).collect()
}

/// Lets the accounts do what they did, each thing once for ever, and today's orders once a day.
///
/// # Errors
/// When the writer does not take it, or a step is refused.
pub async fn play(desk: &Desk, market: &Market, today: Date) -> Result<(), Error> {
    for step in steps(market, today) {
        let id = CommandId::new(&format!("demo/{}", step.id)).expect("short and visible");
        if desk.outcome(&step.account, step.role, &id).await.is_some() {
            continue;
        }
        let submission = Submission {
            account: step.account,
            id,
            by: market::by("demo", step.role),
            command: step.command,
            request_id: None,
            min_market: None,
            min_position: None,
            issued_at: clock::now(),
            traceparent: None,
        };
        let answer = desk.submit(submission).await;
        if let Some(code) = market::refusal(&answer)? {
            let figures = match answer {
                Answer::Answered(answered) => match answered.outcome.result {
                    OutcomeResult::Refused { figures, .. } => format!("{figures:?}"),
                    OutcomeResult::Accepted { .. } => String::new(),
                },
                _ => String::new(),
            };
            // A person may have used the cash or the shares since; the demo goes on with what there is.
            tracing::warn!(step = step.id, code = code.code(), figures, "a step of the demo was refused");
        }
    }
    Ok(())
}

struct Step {
    id: String,
    account: AccountId,
    role: Submitter,
    command: Command,
}

fn steps(market: &Market, today: Date) -> Vec<Step> {
    let [first, second, third] = accounts();
    let mut steps = Vec::new();
    for (account, rupees) in [(first, 500_000), (second, 250_000), (third, 100_000)] {
        let amount = Money::from_smallest(rupees * 100);
        steps.push(step("open", account, Submitter::Operator, account::Open {}));
        steps.push(step("deposit", account, Submitter::Operator, cash::Deposit { amount }));
    }
    let trades = [
        ("bank", 0, Kind::Purchase, 60, 88, 420),
        ("steel", 1, Kind::Purchase, 400, 79, 300),
        ("tea", 3, Kind::Purchase, 250, 104, 200),
        ("power", 4, Kind::Purchase, 180, 91, 150),
        ("steel-sold", 1, Kind::Sale, 100, 96, 90),
    ];
    for (name, at, kind, shares, percent, days_ago) in trades {
        let trade = trade(&SHARES[at], kind, shares, percent, today.plus_days(-days_ago));
        steps.push(step(&format!("import/{name}"), first, Submitter::Import, trade));
    }
    let folios = [
        ("flexi", first, 0, "1000001/11", 1_250, 83, 500),
        ("index", first, 1, "1000001/12", 300, 90, 365),
        ("short", second, 2, "2000002/21", 4_000, 94, 240),
        ("liquid", second, 3, "2000002/22", 35, 97, 120),
    ];
    for (name, account, at, folio, units, percent, days_ago) in folios {
        let units = self::units(&FUNDS[at], folio, units, percent, today.plus_days(-days_ago));
        steps.push(step(&format!("import/{name}"), account, Submitter::Import, units));
    }
    let purchase = |at: usize, rupees: i64| fund::Purchase {
        scheme: FUNDS[at].code(),
        amount: Money::from_smallest(rupees * 100),
        folio: None,
    };
    steps.push(step("purchase/index", first, Submitter::Client, purchase(1, 25_000)));
    steps.push(step("purchase/flexi", second, Submitter::Client, purchase(0, 40_000)));
    let redemption = fund::Redemption {
        scheme: FUNDS[2].code(),
        folio: "2000002/21".parse().expect("a folio"),
        units: Some(Units::from_smallest(500 * 10_000)),
        amount: None,
        all: None,
    };
    steps.push(step("redemption/short", second, Submitter::Client, redemption));
    let orders = [
        ("soft", first, 2, Side::Buy, 10, None),
        ("motors", second, 6, Side::Buy, 40, None),
        ("steel", first, 1, Side::Sell, 50, Some(107)),
        ("bank", first, 0, Side::Buy, 20, Some(95)),
        ("tea", second, 3, Side::Buy, 60, Some(96)),
    ];
    for (name, account, at, side, shares, percent) in orders {
        let order = order(market, &SHARES[at], side, shares, percent);
        steps.push(step(&format!("{today}/{name}"), account, Submitter::Client, order));
    }
    steps
}

fn step(id: &str, account: AccountId, role: Submitter, command: impl Into<Command>) -> Step {
    Step { id: id.to_owned(), account, role, command: command.into() }
}

fn trade(share: &Share, kind: Kind, shares: i64, percent: i64, date: Date) -> ImportTrade {
    ImportTrade {
        instrument: share.id(),
        kind,
        quantity: Quantity::new(shares),
        price: Some(part_of(share.price(), percent)),
        exchange: Some("NSE".parse().expect("an exchange")),
        trade_id: None,
        executed_at: date.start(),
    }
}

fn units(fund: &Fund, folio: &str, units: i64, percent: i64, date: Date) -> ImportUnits {
    ImportUnits {
        scheme: fund.code(),
        folio: folio.parse().expect("a folio"),
        kind: Kind::Purchase,
        units: Units::from_smallest(units * 10_000),
        nav: Some(Nav::from_smallest(fund.nav().smallest() / 100 * percent)),
        amount: None,
        executed_at: date.start(),
    }
}

/// At the market without a percentage, else limited to that part of the last price.
fn order(market: &Market, share: &Share, side: Side, shares: i64, percent: Option<i64>) -> Place {
    let last = market.instruments.get(&share.id()).and_then(|listing| listing.last_price());
    let price = percent.map(|percent| part_of(last.unwrap_or_else(|| share.price()), percent));
    Place {
        instrument: share.id(),
        side,
        quantity: Quantity::new(shares),
        order_type: if price.is_some() { OrderType::Limit } else { OrderType::Market },
        price,
        product: Product::Cnc,
        validity: Validity::Day,
        market_protection: None,
        trigger_price: None,
        disclosed_quantity: None,
        tag: Some("demo".parse().expect("a tag")),
        algo_id: None,
    }
}

fn part_of(price: Price, percent: i64) -> Price {
    let part = Percent::whole(percent).of_price(price, Rounding::Down).expect("a demo's price is small");
    part.to_tick(TICK, Rounding::Down)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_fund_and_step_of_the_demo_reads() {
        let market = Market::default();
        let by = market::by("demo", Submitter::System);
        assert_eq!(listings(&market, &by).len(), SHARES.len() + FUNDS.len());
        let today = Date::parse("2026-11-23").expect("a date");
        let steps = steps(&market, today);
        let ids: std::collections::BTreeSet<_> = steps.iter().map(|step| (step.account, &step.id)).collect();
        assert_eq!(ids.len(), steps.len(), "every step has an id of its own");
    }
}
