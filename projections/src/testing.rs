//! Ledgers for tests: commands decided by real books against a real market, written as a writer writes them.
//!
//! Invents nothing that the domain would not record. Knows no file and no clock: the time moves when told.

use bytes::Bytes;
use domain::{
    account,
    book::{self, Book, Context},
    calendar::CalendarMode,
    cash::Deposit,
    command::{Command, Submitter},
    event::{Event, EventData},
    ids::{AccountId, Exchange, Folio, InstrumentId, OrderId, SchemeCode, TradeId},
    market::{self, DayNav, DayPrice, Fact, Instrument, Market, MarketEventData, Scheme},
    money::{Money, Nav, Percent, Price, Quantity},
    order::{Fill, OrderType, Place, Product, Report, ReportKind, Side, Validity},
    policy::Policy,
    time::Timestamp,
};
use event_log::{EventLog, Headers, Record, RecordKind, Topic, memory::Memory, partition_of};
use event_schemas::{
    CommandEnvelope, command_body,
    entry::{
        By, Claim, Entry, EntryContext, MarketEntry, Outcome, encode_claim, encode_entry, encode_market_entry,
        fact_body, kinds, market_kinds,
    },
};
use std::{borrow::Cow, collections::BTreeMap};

pub mod contract;
mod wander;

pub use wander::{Draws, wander};

/// The only writer of these ledgers.
const WRITER: u128 = 1;

/// A ledger that grows by being asked.
pub struct Ledger {
    partitions: u32,
    market: Market,
    books: BTreeMap<AccountId, Book>,
    policy: Policy,
    now: Timestamp,
    entries: Vec<Vec<Record>>,
    facts: Vec<Vec<Record>>,
    trades: u64,
}

/// As the entries are stored, one a line.
impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let records = self.facts.iter().chain(&self.entries).flatten();
        records.map(|record| String::from_utf8_lossy(&record.value)).try_for_each(|entry| writeln!(f, "{entry}"))
    }
}

impl Ledger {
    /// Claimed and empty, on Monday 2026-11-23 at 10:00, with two instruments (`NSE:ALFA` at 100 and
    /// `NSE:BETA` at 50) and two schemes (`100001` at 10 and `100002` at 25).
    pub fn new(partitions: u32) -> Self {
        let now = Timestamp::parse("2026-11-23T10:00:00+05:30").expect("a time");
        let mut ledger = Self {
            partitions,
            market: Market::default(),
            books: BTreeMap::new(),
            policy: Policy::default(),
            now,
            entries: (0..partitions).map(|_| vec![claim(now)]).collect(),
            facts: (0..partitions).map(|_| vec![claim(now)]).collect(),
            trades: 0,
        };
        for (symbol, close) in [("ALFA", "100.00"), ("BETA", "50.00")] {
            ledger.fact(listing(symbol));
            ledger.fact(day_price(symbol, "2026-11-20", close));
        }
        for (code, nav) in [("100001", "10.0000"), ("100002", "25.0000")] {
            let name = format!("Fund {code} Direct Growth").into();
            ledger.fact(Scheme {
                scheme: scheme(code),
                name,
                isin_growth: None,
                isin_reinvestment: None,
                amc: None,
                category: None,
                plan: None,
                option: None,
                corrects: None,
            });
            ledger.fact(day_nav(code, "2026-11-20", nav));
        }
        ledger
    }

    /// The time as of the next command.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// At a later time, RFC 3339.
    pub fn at(&mut self, time: &str) -> &mut Self {
        self.now = self.now.max(Timestamp::parse(time).expect("a time"));
        self
    }

    /// An account's book as it stands.
    pub fn book(&self, account: &AccountId) -> Option<&Book> {
        self.books.get(account)
    }

    /// The market as it stands.
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// A fact is observed, and recorded or refused.
    pub fn fact(&mut self, fact: impl Into<Fact>) -> MarketEventData {
        let fact = fact.into();
        let event = market::decide(&self.market, &fact, self.now);
        let key = fact.key();
        let seq = self.market.seqs.entry(key.clone()).or_default();
        *seq += 1;
        let entry = MarketEntry {
            key: Cow::Owned(key.to_string()),
            seq: *seq,
            source: 0,
            recorded_at: self.now,
            command: envelope(
                format!("f{seq}"),
                fact.kind(),
                fact.version(),
                Cow::Owned(fact_body(&fact)),
                self.now,
                Submitter::Operator,
            ),
            context: EntryContext {
                market: Vec::new(),
                calendar: CalendarMode::Exchange,
                policy: Cow::Borrowed(self.policy.version()),
                rules: book::RULES,
            },
            outcome: if event.data.type_name() == "command_refused" { Outcome::Refused } else { Outcome::Accepted },
            first: None,
            events: vec![event.clone()],
        };
        let records = &mut self.facts[partition_of(&key, self.partitions) as usize];
        let entry = MarketEntry { source: records.len() as i64 - 1, ..entry };
        let mut bytes = Vec::new();
        encode_market_entry(&entry, &mut bytes);
        let headers = Headers {
            ce_type: RecordKind::Market,
            ..headers(entry.ce_id(), self.now, entry.source, market_kinds(&entry.events))
        };
        records.push(Record { key: Some(key), headers, value: bytes.into() });
        self.market = market::evolve(std::mem::take(&mut self.market), &event);
        event.data
    }

    /// A command is decided and its entry written; gives the entry's events.
    pub fn command(&mut self, account: &AccountId, command: impl Into<Command>) -> Vec<Event> {
        let command = command.into();
        let book = self.books.remove(account).unwrap_or_else(|| Book::new(*account));
        let context =
            Context { now: self.now, market: &self.market, calendar: CalendarMode::Exchange, policy: &self.policy };
        let events = book::decide(&book, &command, &context);
        let seq = book.seq + 1;
        let refused = matches!(events.as_slice(), [Event { data: EventData::CommandRefused(_), .. }]);
        let entry = Entry {
            account: *account,
            seq,
            source: 0,
            recorded_at: self.now,
            command: envelope(
                format!("k{seq}"),
                command.kind(),
                command.version(),
                Cow::Owned(command_body(&command)),
                self.now,
                Submitter::Client,
            ),
            context: EntryContext {
                market: self.facts.iter().map(|records| records.len() as u64).collect(),
                calendar: CalendarMode::Exchange,
                policy: Cow::Borrowed(self.policy.version()),
                rules: book::RULES,
            },
            outcome: if refused { Outcome::Refused } else { Outcome::Accepted },
            first: None,
            events: events.clone(),
        };
        let records = &mut self.entries[partition_of(account.as_str(), self.partitions) as usize];
        let entry = Entry { source: records.len() as i64 - 1, ..entry };
        let mut bytes = Vec::new();
        encode_entry(&entry, &mut bytes);
        let headers = headers(entry.ce_id(), self.now, entry.source, kinds(&entry.events));
        records.push(Record { key: Some(account.as_str().into()), headers, value: bytes.into() });
        self.books.insert(*account, book::fold(book, seq, self.now, &events));
        events
    }

    /// Bytes that nobody can read, as a damaged or newer record would be.
    pub fn poison(&mut self, account: &AccountId) {
        let records = &mut self.entries[partition_of(account.as_str(), self.partitions) as usize];
        let headers = headers(format!("{account}/0"), self.now, records.len() as i64 - 1, String::new());
        records.push(Record { key: Some(account.as_str().into()), headers, value: Bytes::from_static(b"{") });
    }

    /// Everything that is due for an account now.
    pub fn all_due(&mut self, account: &AccountId) {
        /// Far more rounds than work ever makes more work.
        const ROUNDS_MAX: usize = 1000;
        for _ in 0..ROUNDS_MAX {
            let Some(book) = self.books.get(account) else { return };
            let context =
                Context { now: self.now, market: &self.market, calendar: CalendarMode::Exchange, policy: &self.policy };
            let Some((_, command)) = book::due(book, &context, 1).into_iter().next() else { return };
            self.command(account, command);
        }
    }

    /// Opens an account with cash.
    pub fn open(&mut self, account: &AccountId, cash: &str) {
        self.command(account, account::Open {});
        self.command(account, Deposit { amount: money(cash) });
    }

    /// Buys or sells whole at a limit, accepted and filled at once; gives the order.
    pub fn trade(&mut self, account: &AccountId, symbol: &str, side: Side, quantity: i64, price: &str) -> OrderId {
        let order_id = OrderId { account: *account, seq: self.books.get(account).map_or(0, |book| book.seq) + 1 };
        self.command(account, place(symbol, side, quantity, price));
        self.report(account, order_id, ReportKind::Accepted);
        self.fill(account, order_id, quantity, price);
        order_id
    }

    /// The venue reports.
    pub fn report(&mut self, account: &AccountId, order_id: OrderId, report: ReportKind) -> Vec<Event> {
        let at = self.now;
        let reason = (report == ReportKind::Rejected).then(|| "RMS: limit".into());
        let plain = Report { order_id, report, exchange_order_id: None, reason, quantity: None, price: None, at };
        self.command(account, plain)
    }

    /// The venue reports a trade with a number of its own.
    pub fn fill(&mut self, account: &AccountId, order_id: OrderId, quantity: i64, at_price: &str) -> Vec<Event> {
        self.trades += 1;
        let fill = Fill {
            order_id,
            trade_id: TradeId::new(&format!("T{}", self.trades)).expect("a trade id"),
            quantity: Quantity::new(quantity),
            price: price(at_price),
            executed_at: self.now,
            instrument: None,
            side: None,
        };
        self.command(account, fill)
    }

    /// A log in memory that holds everything so far.
    pub async fn log(&self) -> Memory {
        let log = Memory::new(self.partitions);
        self.append_to(&log).await;
        log
    }

    /// Appends what the log does not hold yet.
    pub async fn append_to(&self, log: &Memory) {
        for (topic, all) in [(Topic::Market, &self.facts), (Topic::Ledger, &self.entries)] {
            for (partition, records) in (0..).zip(all) {
                let from = log.tail(topic, partition).await.expect("a log in memory");
                let missing = &records[usize::try_from(from).expect("fits")..];
                for records in missing.chunks(event_log::APPEND_RECORDS_MAX) {
                    log.append(topic, partition, None, records.to_vec()).await.expect("room in memory");
                }
            }
        }
    }
}

fn claim(now: Timestamp) -> Record {
    let claim = Claim { term: 1, writer: WRITER, commands: "test".into(), recorded_at: now };
    let mut bytes = Vec::new();
    encode_claim(&claim, &mut bytes);
    Record { key: None, headers: Headers::claim(1, WRITER, "claim/1".into(), now.micros()), value: bytes.into() }
}

fn headers(ce_id: String, now: Timestamp, source: i64, kinds: String) -> Headers {
    Headers {
        ce_type: RecordKind::Entry,
        ce_id: ce_id.into(),
        ce_time: now.micros(),
        term: 1,
        writer: WRITER,
        after: source - 1,
        source,
        kinds: kinds.into(),
        traceparent: None,
    }
}

fn envelope<'a>(
    id: String,
    kind: &'a str,
    v: u32,
    body: Cow<'a, serde_json::value::RawValue>,
    issued_at: Timestamp,
    role: Submitter,
) -> CommandEnvelope<'a> {
    let subject = Cow::Borrowed("tester");
    CommandEnvelope {
        id: Cow::Owned(id),
        kind: Cow::Borrowed(kind),
        v,
        body,
        issued_at,
        by: By { subject, role, session: None, origin: None, algo_id: None },
        request_id: None,
        min_position: None,
    }
}

/// `ACC` and a number.
pub fn account(number: usize) -> AccountId {
    AccountId::new(&format!("ACC{number}")).expect("an account id")
}

/// An instrument of NSE.
pub fn instrument(symbol: &str) -> InstrumentId {
    InstrumentId::new(&format!("NSE:{symbol}")).expect("an instrument")
}

/// A scheme.
pub fn scheme(code: &str) -> SchemeCode {
    SchemeCode::new(code).expect("a scheme")
}

/// A folio.
pub fn folio(number: &str) -> Folio {
    Folio::new(number).expect("a folio")
}

/// Rupees.
pub fn money(text: &str) -> Money {
    Money::parse(text).expect("an amount")
}

/// Rupees a share.
pub fn price(text: &str) -> Price {
    Price::parse(text).expect("a price")
}

/// An instrument in series EQ with a tick of one paisa and a band of 20 percent.
pub fn listing(symbol: &str) -> Instrument {
    Instrument {
        instrument: instrument(symbol),
        isin: None,
        symbol: domain::ids::Symbol::new(symbol).expect("a symbol"),
        exchange: Exchange::new("NSE").expect("an exchange"),
        series: domain::ids::Series::new("EQ").expect("a series"),
        tick_size: Some(price("0.01")),
        band_percent: Some(Percent::whole(20)),
        from: None,
        corrects: None,
    }
}

/// A day that traded at one price.
pub fn day_price(symbol: &str, date: &str, close: &str) -> DayPrice {
    let close = price(close);
    DayPrice {
        instrument: instrument(symbol),
        date: domain::time::Date::parse(date).expect("a date"),
        open: close,
        high: close,
        low: close,
        close,
        previous_close: None,
        volume: None,
        corrects: None,
    }
}

/// A day's NAV.
pub fn day_nav(code: &str, date: &str, nav: &str) -> DayNav {
    DayNav {
        scheme: scheme(code),
        date: domain::time::Date::parse(date).expect("a date"),
        nav: Nav::parse(nav).expect("a NAV"),
        corrects: None,
    }
}

/// A limit order for delivery, good for the day.
pub fn place(symbol: &str, side: Side, quantity: i64, limit: &str) -> Place {
    Place {
        instrument: instrument(symbol),
        side,
        quantity: Quantity::new(quantity),
        order_type: OrderType::Limit,
        price: Some(price(limit)),
        product: Product::Cnc,
        validity: Validity::Day,
        market_protection: None,
        trigger_price: None,
        disclosed_quantity: None,
        tag: None,
        algo_id: None,
    }
}
