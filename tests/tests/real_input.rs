//! Real prices, NAVs and histories become facts and accounts, and agree with plain sums made beside them.

#![expect(clippy::unwrap_used, reason = "a helper that panics fails the test that called it")]

use domain::{
    account::Open,
    book::{self, Book, Context},
    calendar::CalendarMode,
    cash::Cash,
    command::Command,
    event::EventData,
    history::{ImportTrade, ImportUnits, Kind},
    ids::{AccountId, CommandId, Folio, InstrumentId, SchemeCode},
    market::{self, Fact, Market, MarketEventData},
    money::{Money, Nav, Price, Quantity, Units},
    policy::Policy,
    row_key::RowKeys,
    time::{Date, Timestamp},
};
use feeds::{
    bhavcopy::{self, BhavRow},
    listing::Known,
    navall,
};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tests::real_data::{self, Investor};

/// After every real file was published.
fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T09:00:00+05:30").unwrap()
}

/// A market that facts are recorded in as the writer does it, and what it answered.
#[derive(Default)]
struct Recorder {
    market: Market,
    refused: BTreeMap<&'static str, usize>,
}

impl Recorder {
    fn record(&mut self, fact: &Fact) {
        let event = market::decide(&self.market, fact, now());
        *self.market.seqs.entry(fact.key()).or_default() += 1;
        if let MarketEventData::CommandRefused(refused) = &event.data {
            *self.refused.entry(refused.code.code()).or_default() += 1;
        }
        self.market = market::evolve(std::mem::take(&mut self.market), &event);
    }
}

/// Every bhavcopy, by path.
fn bhavcopies(folder: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let nse = folder.join("nse");
    [
        "nse-cm-bhav-old-2018-01_2018-02",
        "nse-sec-bhavdata-full-2024-07_2024-11",
        "nse-sec-bhavdata-full-2026-01_2026-08",
    ]
    .into_iter()
    .flat_map(|name| real_data::unpack(&nse.join(format!("{name}.tar.xz")), |path| path.ends_with(".csv")))
    .collect()
}

/// Closes by symbol, series and day, read by the csv crate into decimals: nothing of it is Bahi's.
fn closes(files: &BTreeMap<String, Vec<u8>>) -> HashMap<(String, String, String), Decimal> {
    let mut closes = HashMap::new();
    for bytes in files.values() {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(bytes.as_slice());
        let header = reader.headers().unwrap().clone();
        let at = |names: [&str; 2]| header.iter().position(|name| names.contains(&name)).unwrap();
        let (close, day) = (at(["CLOSE", "CLOSE_PRICE"]), at(["TIMESTAMP", "DATE1"]));
        for row in reader.records().map(Result::unwrap) {
            let key = (row[0].to_owned(), row[1].to_owned(), row[day].to_ascii_uppercase());
            closes.insert(key, Decimal::from_str_exact(&row[close]).unwrap());
        }
    }
    closes
}

fn decimal(smallest: i64, scale: u32) -> Decimal {
    Decimal::from_i128_with_scale(i128::from(smallest), scale)
}

#[test]
fn closes_of_nse_become_facts_once_whatever_the_files_are_called() {
    let Some(folder) = real_data::folder() else { return };
    let files = bhavcopies(&folder);
    assert_eq!(files.len(), 41 + 97 + 164);
    let mut days: BTreeMap<Date, Vec<Vec<BhavRow>>> = BTreeMap::new();
    for (path, bytes) in &files {
        let parsed = bhavcopy::parse(bytes).unwrap();
        assert_eq!((&parsed.refused, &parsed.skipped), (&vec![], &vec![]), "{path}");
        let day = parsed.rows[0].date;
        assert!(parsed.rows.iter().all(|row| row.date == day), "{path}");
        days.entry(day).or_default().push(parsed.rows);
    }
    let (mut recorder, mut known) = (Recorder::default(), Known::default());
    for row in days.values().flatten().flatten() {
        row.facts(&mut known).for_each(|fact| recorder.record(&fact));
    }
    let copies = || days.values().flat_map(|files| &files[1..]);
    assert_eq!(copies().count(), 3 + 10, "the day before, served again on holidays of 2024 and 2026");
    let said_again = copies().map(Vec::len).sum();
    assert_eq!(recorder.refused, BTreeMap::from([("fact_repeated", said_again)]), "a copy says nothing new");
    let closes = closes(&files);
    let recorded: usize = recorder.market.instruments.values().map(|listing| listing.prices.len()).sum();
    let smallest = recorder.market.instruments.values().flat_map(|listing| listing.prices.values());
    let sum: Decimal = smallest.map(|price| decimal(price.close.smallest(), Price::SCALE)).sum();
    assert_eq!((recorded, sum), (closes.len(), closes.values().sum()));
}

#[test]
fn navs_of_amfi_become_facts_each_on_its_own_date() {
    let Some(folder) = real_data::folder() else { return };
    let bytes = real_data::unpack_one(&folder.join("amfi/NAVAll-2025-02-25.txt.xz"));
    let parsed = navall::parse(&bytes).unwrap();
    assert_eq!(parsed.refused, []);
    let (mut recorder, mut known) = (Recorder::default(), Known::default());
    for fact in parsed.rows.iter().flat_map(|row| row.facts(&mut known).collect::<Vec<_>>()) {
        recorder.record(&fact);
    }
    let text = String::from_utf8(bytes).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.trim().split(';').collect()).collect();
    let navs: Vec<Decimal> = rows
        .iter()
        .filter(|row| row.len() == 6 && row[0] != "Scheme Code" && row[4] != "N.A.")
        .map(|row| row[4].trim_end_matches('.').parse().unwrap())
        .collect();
    let schemes = recorder.market.schemes.values();
    let sum: Decimal =
        schemes.flat_map(|scheme| scheme.navs.values()).map(|nav| decimal(nav.smallest(), Nav::SCALE)).sum();
    assert_eq!(parsed.rows.len() + parsed.skipped.len(), 13_860);
    assert_eq!((parsed.rows.len(), sum), (navs.len(), navs.iter().sum()));
    assert_eq!(recorder.refused, BTreeMap::new());
    let current = |date: &str| rows.iter().filter(|row| row.last() == Some(&date) && row[4] != "N.A.").count();
    let today = Date::parse("2025-02-25").unwrap();
    assert_eq!(parsed.rows.iter().filter(|row| row.date == today).count(), current("25-Feb-2025"));
    assert!(parsed.rows.iter().any(|row| row.date < Date::parse("2009-01-01").unwrap()), "dead schemes stay listed");
    assert_eq!(parsed.left_out.len(), 11, "words and misprints in place of ISINs");
}

/// A row as a command, or why it cannot be held exactly.
fn trade(row: &real_data::Shares) -> Result<ImportTrade, String> {
    let quantity = row.quantity.parse().map_err(|_| format!("'{}' is not a whole number of shares", row.quantity))?;
    Ok(ImportTrade {
        instrument: InstrumentId::new(&format!("ISIN:{}", row.isin)).map_err(|error| error.to_string())?,
        kind: kind(row.kind),
        quantity: Quantity::new(quantity),
        price: row.price.as_deref().map(Price::parse).transpose().map_err(|error| error.to_string())?,
        exchange: None,
        trade_id: None,
        executed_at: Date::parse(&row.date).map_err(|error| error.to_string())?.start(),
    })
}

fn units(row: &real_data::Units) -> Result<ImportUnits, String> {
    let amount = Money::parse(&row.amount).map_err(|error| format!("amount '{}' {error}", row.amount))?;
    Ok(ImportUnits {
        scheme: SchemeCode::new(&format!("ISIN:{}", row.isin)).map_err(|error| error.to_string())?,
        folio: Folio::new(&row.folio).map_err(|error| error.to_string())?,
        kind: kind(row.kind),
        units: Units::parse(&row.units).map_err(|error| format!("units '{}' {error}", row.units))?,
        nav: Some(Nav::parse(&row.nav).map_err(|error| format!("nav '{}' {error}", row.nav))?),
        amount: Some(amount),
        executed_at: Date::parse(&row.date).map_err(|error| error.to_string())?.start(),
    })
}

fn kind(kind: real_data::Kind) -> Kind {
    match kind {
        real_data::Kind::Purchase => Kind::Purchase,
        real_data::Kind::Sale => Kind::Sale,
        real_data::Kind::Bonus => Kind::Bonus,
        real_data::Kind::Split => Kind::Split,
    }
}

/// An account made from an investor's history, and the rows it refused, by place and reason.
struct Imported {
    book: Book,
    keys: Vec<CommandId>,
    refused: Vec<(String, String)>,
    beyond_holding: usize,
}

fn import(investor: &Investor) -> Imported {
    let (market, policy) = (Market::default(), Policy::default());
    let context = Context { now: now(), market: &market, calendar: CalendarMode::Exchange, policy: &policy };
    let mut rows: Vec<(Timestamp, CommandId, Command)> = Vec::new();
    let (mut keys, mut refused) = (RowKeys::default(), Vec::new());
    for row in &investor.shares {
        match trade(row) {
            Ok(trade) => rows.push((trade.executed_at, keys.trade(&trade), trade.into())),
            Err(reason) => refused.push((format!("shares/{}", row.place), reason)),
        }
    }
    for row in &investor.units {
        match units(row) {
            Ok(units) => rows.push((units.executed_at, keys.units(&units), units.into())),
            Err(reason) => refused.push((format!("units/{}", row.place), reason)),
        }
    }
    // Rows are taken in date order; rows of one day in the file's.
    rows.sort_by_key(|(at, ..)| *at);
    let mut book = Book::new(AccountId::new(&investor.account).unwrap());
    let opened = book::decide(&book, &Open {}.into(), &context);
    book = book::fold(book, 1, context.now, &opened);
    let mut beyond_holding = 0;
    for (at, key, command) in &rows {
        let events = book::decide(&book, command, &context);
        for event in &events {
            match &event.data {
                EventData::CommandRefused(refusal) => panic!("{} {key}: {refusal:?}", investor.account),
                _ => assert_eq!(event.effective_at, *at),
            }
            match &event.data {
                EventData::TradeImported(trade) => beyond_holding += usize::from(trade.beyond_holding),
                EventData::UnitsImported(units) => beyond_holding += usize::from(units.beyond_holding),
                _ => {}
            }
        }
        let seq = book.seq + 1;
        book = book::fold(book, seq, context.now, &events);
    }
    Imported { book, keys: rows.into_iter().map(|(_, key, _)| key).collect(), refused, beyond_holding }
}

fn sign(kind: real_data::Kind) -> Decimal {
    Decimal::from(if kind == real_data::Kind::Sale { -1 } else { 1 })
}

#[test]
fn sixteen_investors_become_accounts_that_hold_what_a_plain_sum_says() {
    let Some(folder) = real_data::folder() else { return };
    let investors = real_data::investors(&folder);
    assert_eq!(investors.len(), 16);
    let counted = |rows: &dyn Fn(&Investor) -> usize| investors.iter().map(rows).sum::<usize>();
    assert_eq!((counted(&|i| i.shares.len()), counted(&|i| i.units.len())), (409, 651));

    let (mut refused, mut beyond_holding, mut equal) = (Vec::new(), 0, 0);
    for investor in &investors {
        let imported = import(investor);
        let out: BTreeSet<&str> = imported.refused.iter().map(|(place, _)| place.as_str()).collect();
        let mut shares: BTreeMap<String, Decimal> = BTreeMap::new();
        for row in investor.shares.iter().filter(|row| !out.contains(&*format!("shares/{}", row.place))) {
            *shares.entry(format!("ISIN:{}", row.isin)).or_default() +=
                sign(row.kind) * row.quantity.parse::<Decimal>().unwrap();
        }
        let mut units: BTreeMap<(String, String), Decimal> = BTreeMap::new();
        for row in investor.units.iter().filter(|row| !out.contains(&*format!("units/{}", row.place))) {
            let held = units.entry((format!("ISIN:{}", row.isin), row.folio.clone())).or_default();
            *held += sign(row.kind) * row.units.parse::<Decimal>().unwrap();
        }
        let positions = imported.book.positions.iter().map(|(instrument, position)| {
            let held = position.shares;
            assert_eq!((held.bought_today, held.t1), (Quantity::ZERO, Quantity::ZERO), "history is settled at once");
            (instrument.to_string(), Decimal::from(held.settled.shares()))
        });
        assert_eq!(positions.collect::<BTreeMap<_, _>>(), shares, "{}", investor.account);
        let folios = imported.book.folios.iter().map(|((scheme, folio), holding)| {
            ((scheme.to_string(), folio.to_string()), decimal(holding.units.smallest(), Units::SCALE))
        });
        assert_eq!(folios.collect::<BTreeMap<_, _>>(), units, "{}", investor.account);
        assert_eq!(imported.book.cash, Cash::default(), "the money moved elsewhere");

        assert_eq!(imported.keys.iter().collect::<BTreeSet<_>>().len(), imported.keys.len(), "equal rows count each");
        assert_eq!(import(investor).keys, imported.keys, "the same file again is the same commands");
        let rows = investor
            .shares
            .iter()
            .map(|row| format!("{:?}", real_data::Shares { place: String::new(), ..row.clone() }));
        let rows = rows.chain(
            investor.units.iter().map(|row| format!("{:?}", real_data::Units { place: String::new(), ..row.clone() })),
        );
        equal += investor.shares.len() + investor.units.len() - rows.collect::<BTreeSet<_>>().len();
        beyond_holding += imported.beyond_holding;
        refused.extend(imported.refused.into_iter().map(|(place, reason)| (investor.account.clone(), place, reason)));
    }
    let because = |reason: &str| refused.iter().filter(|(_, _, told)| told == reason).count();
    assert_eq!(because("'10.300000190734863' is not a whole number of shares"), 5);
    assert_eq!(because("amount '29235.068' has more than 2 decimals"), 2);
    assert_eq!(refused.len(), 7, "{refused:#?}");
    assert_eq!((beyond_holding, equal), (0, 135), "no sale beyond the holding; rows that stand twice in a file");
}

#[test]
fn the_rows_for_the_http_imports_are_all_there_in_date_order_with_their_own_keys() {
    let Some(folder) = real_data::folder() else { return };
    for investor in real_data::investors(&folder) {
        for (rows, count) in
            [(investor.trades_json(), investor.shares.len()), (investor.units_json(), investor.units.len())]
        {
            assert_eq!(rows.len(), count);
            let keys: BTreeSet<&str> = rows.iter().map(|row| row["key"].as_str().unwrap()).collect();
            assert_eq!(keys.len(), count);
            assert!(rows.is_sorted_by_key(|row| row["trade_date"].as_str().unwrap()));
        }
    }
}
