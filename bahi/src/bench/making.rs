//! A log that is made by the real writer, for benches that fold it: place, fill, cancel and allot in equal parts; an
//! allotment cannot stand without its request and its sending, so each has these two entries before it.

use super::{
    population,
    zipf::{Choice, Spread},
};
use crate::{
    clock::{self, SystemClock},
    error::Error,
    progress::Progress,
};
use commands::{Answer, By, Desk, FactSubmission, OutcomeResult, Submission};
use domain::{
    account,
    calendar::CalendarMode,
    cash,
    command::{Command, Submitter},
    fund,
    ids::{AccountId, CommandId, FundOrderId},
    market::{DayNav, Fact, Instrument, LastPrice, Scheme},
    money::{Money, Nav, Price, Quantity, Rounding},
    order::{Fill, OrderType, Place, Product, Report as VenueReport, ReportKind, Side, Validity},
};
use event_log::{EventLog, Topic};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The log is not made for longer than this, so that the bench ends in time on a slow disk too.
const MAKING_S_MAX: u64 = 60;
/// Accounts of one round's hand-over.
const TOGETHER: usize = 512;
/// The seed of the choice of accounts.
const SEED: u64 = 7;

/// Makes so many rounds of one order and one allotment, six entries each, and gives the number of records.
///
/// # Errors
/// When a command is not accepted.
pub async fn make(log: Arc<dyn EventLog>, rounds: usize) -> Result<u64, Error> {
    let mut config = commands::Config::new(Arc::new(SystemClock));
    config.calendar = CalendarMode::AlwaysOpen;
    config.account_commands_per_second = None;
    config.wait = Duration::from_secs(MAKING_S_MAX);
    let running = commands::start(Arc::clone(&log), config).await?;
    let maker = Maker { desk: Arc::clone(&running.desk), by: by() };
    maker.list_market().await?;
    maker.open_accounts().await?;
    maker.rounds(rounds).await?;
    running.stop().await;
    let mut records = 0;
    for topic in Topic::ALL {
        for partition in 0..log.partitions(topic) {
            records += log.tail(topic, partition).await?;
        }
    }
    Ok(records)
}

/// As whom what a bench makes is recorded.
pub fn by() -> Arc<By> {
    Arc::new(By { subject: "bench".into(), role: Submitter::Operator, session: None, origin: None, algo_id: None })
}

struct Maker {
    desk: Arc<Desk>,
    by: Arc<By>,
}

fn account(number: usize) -> AccountId {
    AccountId::new(&population::account(number)).expect("a bench's account is an account")
}

fn instrument(number: usize) -> domain::ids::InstrumentId {
    domain::ids::InstrumentId::new(&population::instrument(number)).expect("a bench's instrument is one")
}

fn scheme(number: usize) -> domain::ids::SchemeCode {
    domain::ids::SchemeCode::new(&population::scheme(number)).expect("a bench's scheme is one")
}

fn price() -> Price {
    Price::parse(population::PRICE).expect("a bench's price is one")
}

const NAV: Nav = Nav::from_smallest(25 * 100_000_000);
const PURCHASE: Money = Money::from_smallest(100_000);

impl Maker {
    async fn list_market(&self) -> Result<(), Error> {
        let (now, mut facts) = (clock::now(), Vec::new());
        for number in 0..population::INSTRUMENTS {
            let instrument = instrument(number);
            facts.push(Fact::from(Instrument {
                instrument,
                isin: None,
                symbol: instrument.as_str()[4..].parse().expect("its symbol"),
                exchange: "NSE".parse().expect("an exchange"),
                series: "EQ".parse().expect("a series"),
                tick_size: Some(Price::from_smallest(500)),
                band_percent: None,
                from: None,
                corrects: None,
            }));
            facts.push(Fact::from(LastPrice { instrument, last: price(), at: now }));
        }
        for number in 0..population::SCHEMES {
            let scheme = scheme(number);
            facts.push(Fact::from(Scheme {
                scheme,
                name: format!("Bench scheme {number}").into(),
                isin_growth: None,
                isin_reinvestment: None,
                amc: None,
                category: None,
                plan: None,
                option: None,
                corrects: None,
            }));
            facts.push(Fact::from(DayNav { scheme, date: now.date(), nav: NAV, corrects: None }));
        }
        let submission = |(number, fact)| FactSubmission {
            id: id(&format!("fact-{number}")),
            by: Arc::clone(&self.by),
            fact,
            request_id: None,
            issued_at: now,
            traceparent: None,
        };
        let answers = self.desk.submit_facts(facts.into_iter().enumerate().map(submission).collect()).await;
        answers.iter().try_for_each(|answer| accepted(answer).map(drop))
    }

    async fn open_accounts(&self) -> Result<(), Error> {
        let all: Vec<usize> = (0..population::ACCOUNTS).collect();
        for accounts in all.chunks(TOGETHER) {
            self.each(accounts, 0, "open", |_| account::Open {}.into()).await?;
            let amount = Money::from_smallest(1_000_000_000_000);
            self.each(accounts, 0, "deposit", |_| cash::Deposit { amount }.into()).await?;
        }
        Ok(())
    }

    async fn rounds(&self, rounds: usize) -> Result<(), Error> {
        let mut choice = Choice::new(Spread::Zipf, population::ACCOUNTS, SEED);
        let mut progress = Progress::new(rounds as u64, "rounds");
        let started = Instant::now();
        for round in (0..rounds).step_by(TOGETHER) {
            if started.elapsed() > Duration::from_secs(MAKING_S_MAX) {
                break;
            }
            let accounts: Vec<usize> = (0..TOGETHER).map(|_| choice.next()).collect();
            self.round(&accounts, round).await?;
            progress.reach((round + TOGETHER) as u64);
        }
        progress.finish();
        Ok(())
    }

    /// One order placed, half filled and cancelled, and one purchase requested, sent and allotted, for each account.
    async fn round(&self, accounts: &[usize], round: usize) -> Result<(), Error> {
        let now = clock::now();
        let purchase = |at: usize| {
            fund::Purchase { scheme: scheme(accounts[at] % population::SCHEMES), amount: PURCHASE, folio: None }.into()
        };
        let requested = self.each(accounts, round, "purchase", purchase).await?;
        let placed = self.each(accounts, round, "place", |at| place(accounts[at])).await?;
        let orders = ids(&placed, |result| match result {
            OutcomeResult::Accepted { order_id, .. } => *order_id,
            OutcomeResult::Refused { .. } => None,
        })?;
        let fill = |at: usize| {
            let (order_id, trade_id) = (orders[at], format!("T{round}-{at}").parse().expect("a trade id"));
            let (quantity, price) = (Quantity::new(5), price());
            Fill { order_id, trade_id, quantity, price, executed_at: now, instrument: None, side: None }.into()
        };
        self.each(accounts, round, "fill", fill).await?;
        let cancelled = |at: usize| {
            let (order_id, report) = (orders[at], ReportKind::Cancelled);
            VenueReport {
                order_id,
                report,
                exchange_order_id: None,
                reason: None,
                quantity: None,
                price: None,
                at: now,
            }
            .into()
        };
        self.each(accounts, round, "cancel", cancelled).await?;
        let purchases: Vec<FundOrderId> = ids(&requested, |result| match result {
            OutcomeResult::Accepted { fund_order_id, .. } => *fund_order_id,
            OutcomeResult::Refused { .. } => None,
        })?;
        let allotment = |at: usize| {
            let answer = fund::Answer::Allotted(fund::Allotment {
                folio: format!("F{}", accounts[at]).parse().expect("a folio"),
                nav_date: now.date(),
                nav: NAV,
                units: PURCHASE.units_at(NAV, Rounding::HalfEven).expect("it fits"),
                stamp_duty: None,
                amount: None,
                pays_on: None,
            });
            fund::ReportAllotment { fund_order_id: purchases[at], answer }.into()
        };
        self.each(accounts, round, "allot", allotment).await.map(drop)
    }

    /// One command for each of the accounts, handed over together.
    async fn each(
        &self,
        accounts: &[usize],
        round: usize,
        what: &str,
        command: impl Fn(usize) -> Command,
    ) -> Result<Vec<Answer>, Error> {
        let issued_at = clock::now();
        let submission = |(at, number): (usize, &usize)| Submission {
            account: account(*number),
            id: id(&format!("{what}-{round}-{at}")),
            by: Arc::clone(&self.by),
            command: command(at),
            request_id: None,
            min_market: None,
            min_position: None,
            issued_at,
            traceparent: None,
        };
        let answers = self.desk.submit_all(accounts.iter().enumerate().map(submission).collect()).await;
        answers.iter().try_for_each(|answer| accepted(answer).map(drop))?;
        Ok(answers)
    }
}

fn place(number: usize) -> Command {
    Place {
        instrument: instrument(number % population::INSTRUMENTS),
        side: Side::Buy,
        quantity: Quantity::new(10),
        order_type: OrderType::Limit,
        price: Some(price()),
        product: Product::Cnc,
        validity: Validity::Day,
        market_protection: None,
        trigger_price: None,
        disclosed_quantity: None,
        tag: None,
        algo_id: None,
    }
    .into()
}

fn id(text: &str) -> CommandId {
    CommandId::new(text).expect("a bench's ids are short and visible")
}

fn accepted(answer: &Answer) -> Result<&OutcomeResult, Error> {
    match answer {
        Answer::Answered(answered) if matches!(answered.outcome.result, OutcomeResult::Accepted { .. }) => {
            Ok(&answered.outcome.result)
        }
        other => Err(Error::NotClean(format!("making the log: {other:?}"))),
    }
}

fn ids<Id>(answers: &[Answer], id: impl Fn(&OutcomeResult) -> Option<Id>) -> Result<Vec<Id>, Error> {
    let id_of = |answer: &Answer| {
        id(accepted(answer)?).ok_or_else(|| Error::NotClean("an accepted request without an id".to_owned()))
    };
    answers.iter().map(id_of).collect()
}
