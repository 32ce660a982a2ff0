//! Real Indian market files for tests, read from outside the repository; ships none of them and knows nothing of Bahi's types.
//!
//! They lie at `BAHI_DATA`, else at `../shared/data` beside the repository. Numbers are kept as the
//! text that the file has: `10.300000190734863` must be refused, not rounded by a float on the way.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

/// Where the files are; where they are not, says so on standard error, past the test harness, and gives nothing.
pub fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("BAHI_DATA").map_or_else(beside, PathBuf::from);
    if folder.join("broker").is_dir() {
        return Some(folder);
    }
    let told = format!("skipped: no real files at {}; set BAHI_DATA\n", folder.display());
    std::io::stderr().write_all(told.as_bytes()).expect("standard error");
    None
}

/// The files of a `.tar.xz`, by path, of which `keep` wants the contents.
pub fn unpack(archive: &Path, keep: impl Fn(&str) -> bool) -> BTreeMap<String, Vec<u8>> {
    let file = File::open(archive).unwrap_or_else(|error| panic!("{}: {error}", archive.display()));
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(liblzma::read::XzDecoder::new(file)).entries().expect("a tar archive") {
        let mut entry = entry.expect("a whole archive");
        let path = entry.path().expect("a path").to_string_lossy().into_owned();
        if entry.header().entry_type().is_file() && keep(&path) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("a whole archive");
            files.insert(path, bytes);
        }
    }
    files
}

/// An `.xz` file's contents.
pub fn unpack_one(path: &Path) -> Vec<u8> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    liblzma::read::XzDecoder::new(file).read_to_end(&mut bytes).expect("a whole file");
    bytes
}

/// What a row of an investor's history says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bought.
    Purchase,
    /// Sold.
    Sale,
    /// A bonus issue.
    Bonus,
    /// A split.
    Split,
}

impl Kind {
    fn of(code: &str) -> Self {
        match code {
            "1" => Self::Purchase,
            "2" => Self::Sale,
            "3" => Self::Bonus,
            "4" => Self::Split,
            other => panic!("the data's README knows no kind {other}"),
        }
    }
    /// As the contract names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Purchase => "purchase",
            Self::Sale => "sale",
            Self::Bonus => "bonus",
            Self::Split => "split",
        }
    }
}

/// A row of shares, every figure as the file writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares {
    /// Where it stands: `{security}/{row}`, both from 0.
    pub place: String,
    /// What.
    pub isin: String,
    /// What happened.
    pub kind: Kind,
    /// `YYYY-MM-DD`.
    pub date: String,
    /// Shares.
    pub quantity: String,
    /// Rupees a share, where given.
    pub price: Option<String>,
}

/// A row of fund units, every figure as the file writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Units {
    /// Where it stands: `{scheme}/{row}`, both from 0.
    pub place: String,
    /// What.
    pub isin: String,
    /// In which folio.
    pub folio: String,
    /// What happened.
    pub kind: Kind,
    /// `YYYY-MM-DD`.
    pub date: String,
    /// Rupees a unit.
    pub nav: String,
    /// Units.
    pub units: String,
    /// Rupees.
    pub amount: String,
}

/// One of the invented investors.
#[derive(Clone, Debug, PartialEq)]
pub struct Investor {
    /// The name of the folder, ten digits.
    pub account: String,
    /// In the file's order.
    pub shares: Vec<Shares>,
    /// In the file's order.
    pub units: Vec<Units>,
}

impl Investor {
    /// Rows for `POST accounts/{account}/imports/trades`, in date order; those that cannot be held are among them.
    pub fn trades_json(&self) -> Vec<Value> {
        let mut rows: Vec<&Shares> = self.shares.iter().collect();
        rows.sort_by_key(|row| &row.date);
        let json = |row: &&Shares| {
            let mut json = json!({
                "key": format!("shares/{}", row.place),
                "instrument": format!("ISIN:{}", row.isin),
                "kind": row.kind.name(),
                // As the file's own JSON number: whole or not is for the ledger to say.
                "quantity": serde_json::from_str::<Value>(&row.quantity).expect("a number"),
                "trade_date": row.date,
            });
            if let Some(price) = &row.price {
                json["price"] = price.as_str().into();
            }
            json
        };
        rows.iter().map(json).collect()
    }
    /// Rows for `POST accounts/{account}/imports/units`, in date order; those that cannot be held are among them.
    pub fn units_json(&self) -> Vec<Value> {
        let mut rows: Vec<&Units> = self.units.iter().collect();
        rows.sort_by_key(|row| &row.date);
        let json = |row: &&Units| {
            json!({
                "key": format!("units/{}", row.place),
                "scheme": format!("ISIN:{}", row.isin),
                "folio": row.folio,
                "kind": row.kind.name(),
                "units": row.units,
                "nav": row.nav,
                "amount": row.amount,
                "trade_date": row.date,
            })
        };
        rows.iter().map(json).collect()
    }
}

/// The 16 invented investors in `broker/`, by account.
pub fn investors(folder: &Path) -> Vec<Investor> {
    let wanted =
        |path: &str| path.ends_with("fetch_stock_transactions.json") || path.ends_with("fetch_mf_transactions.json");
    let mut investors: BTreeMap<String, Investor> = BTreeMap::new();
    for (path, bytes) in unpack(&folder.join("broker/fi-mcp-personas-aa-json.tar.xz"), wanted) {
        let account = path.split('/').rev().nth(1).expect("a folder for each investor").to_owned();
        let investor = investors.entry(account.clone()).or_insert(Investor { account, shares: vec![], units: vec![] });
        let file: HistoryFile<'_> = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
        for (of, security) in file.stock_transactions.iter().enumerate() {
            investor
                .shares
                .extend(security.txns.iter().enumerate().map(|(at, row)| security.shares(format!("{of}/{at}"), row)));
        }
        for (of, scheme) in file.mf_transactions.iter().enumerate() {
            investor
                .units
                .extend(scheme.txns.iter().enumerate().map(|(at, row)| scheme.units(format!("{of}/{at}"), row)));
        }
    }
    investors.into_values().collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryFile<'a> {
    #[serde(default, borrow)]
    stock_transactions: Vec<Security<'a>>,
    #[serde(default, borrow)]
    mf_transactions: Vec<Security<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Security<'a> {
    isin: String,
    #[serde(default)]
    folio_id: String,
    /// Shares: kind, date, quantity, price where known. Units: kind, date, NAV, units, amount.
    #[serde(borrow)]
    txns: Vec<Vec<&'a RawValue>>,
}

impl Security<'_> {
    fn shares(&self, place: String, row: &[&RawValue]) -> Shares {
        Shares {
            place,
            isin: self.isin.clone(),
            kind: Kind::of(row[0].get()),
            date: text(row[1]),
            quantity: text(row[2]),
            price: row.get(3).map(|price| text(price)),
        }
    }
    fn units(&self, place: String, row: &[&RawValue]) -> Units {
        Units {
            place,
            isin: self.isin.clone(),
            folio: self.folio_id.clone(),
            kind: Kind::of(row[0].get()),
            date: text(row[1]),
            nav: text(row[2]),
            units: text(row[3]),
            amount: text(row[4]),
        }
    }
}

/// A number as it is written, a string without its quotes.
fn text(value: &RawValue) -> String {
    value.get().trim_matches('"').to_owned()
}
