//! AMFI's `NAVAll.txt`: every scheme's latest NAV, of 6 columns or, with plan and option, 8; knows no scheme's history.
//!
//! Banners between the rows name the category (`Open Ended Schemes(...)`) and the fund house. Each
//! row has its own date: dead schemes stay listed for years with their last NAV. AMFI writes whole
//! NAVs as `58.` and words such as `Redeemed` where an ISIN belongs: the first is read, the second
//! left out and told, and the NAV taken.

use crate::{
    Error, Parsed, RowError,
    listing::Known,
    table::{Column, Fields, day_month_year, lines, quoted},
};
use domain::{
    ids::{Isin, SchemeCode},
    market::{DayNav, Fact, Scheme},
    money::Nav,
    time::Date,
};

/// Longest name, banner, plan or option held, as `market::Scheme` says; AMFI's longest name has about 170 characters.
pub const NAME_MAX_CHARS: usize = 200;

/// One scheme's latest NAV.
#[derive(Clone, Debug, PartialEq)]
pub struct NavRow {
    /// Line in the file, from 1.
    pub line: usize,
    /// The scheme as the file describes it.
    pub scheme: Scheme,
    /// The NAV's day.
    pub date: Date,
    /// Rupees a unit.
    pub nav: Nav,
}

impl NavRow {
    /// The NAV alone.
    pub fn nav(&self) -> DayNav {
        DayNav { scheme: self.scheme.scheme, date: self.date, nav: self.nav, corrects: None }
    }
    /// What the row says that is not `known` yet: the scheme where it is new or described anew, then its NAV.
    pub fn facts(&self, known: &mut Known) -> impl Iterator<Item = Fact> {
        let scheme = known.is_new_scheme(&self.scheme).then(|| Fact::from(self.scheme.clone()));
        scheme.into_iter().chain([Fact::from(self.nav())])
    }
}

/// Reads a NAVAll file; a NAV that is none (`N.A.`, `-`) is skipped with that reason.
///
/// # Errors
/// When the file is too large or does not begin with its header.
pub fn parse(bytes: &[u8]) -> Result<Parsed<NavRow>, Error> {
    let mut parsed = Parsed::default();
    let mut columns: Option<Columns> = None;
    let mut banners = Banners::default();
    for (line, text) in lines(bytes)? {
        let fields = Fields::new(line, &text, ';');
        if fields.first().eq_ignore_ascii_case("Scheme Code") {
            columns = Some(Columns::of(&fields)?);
            continue;
        }
        let columns = columns
            .as_ref()
            .ok_or_else(|| Error::Header { kind: KIND, problem: format!("line {line} comes before it") })?;
        if fields.len() == 1 {
            banners.take(fields.first());
            continue;
        }
        let mut left_out = Vec::new();
        match columns.row(&fields, &banners, &mut left_out) {
            Ok(Some(row)) => {
                parsed.rows.push(row);
                parsed.left_out.append(&mut left_out);
            }
            Ok(None) => {
                let problem = format!("has no NAV: '{}'", quoted(fields.text(columns.nav).unwrap_or("")));
                parsed.skipped.push(fields.error(Some(columns.nav), problem));
            }
            Err(error) => parsed.refused.push(error),
        }
    }
    match columns {
        Some(_) => Ok(parsed),
        None => Err(Error::Header { kind: KIND, problem: "the file is empty".into() }),
    }
}

const KIND: &str = "NAVAll file";

/// The banners above a row.
#[derive(Default)]
struct Banners {
    category: Option<Box<str>>,
    amc: Option<Box<str>>,
}

impl Banners {
    fn take(&mut self, banner: &str) {
        let held = name(banner).ok().map(Box::from);
        // "Open Ended Schemes(Debt Scheme - Banking and PSU Fund)", "Close Ended Schemes(Income)", "Interval Fund Schemes(...)".
        if banner.contains("Schemes") && banner.ends_with(')') {
            (self.category, self.amc) = (held, None);
        } else {
            self.amc = held;
        }
    }
}

struct Columns {
    code: Column,
    isin_growth: Option<Column>,
    isin_reinvestment: Option<Column>,
    name: Column,
    plan: Option<Column>,
    option: Option<Column>,
    nav: Column,
    date: Column,
}

impl Columns {
    fn of(header: &Fields<'_>) -> Result<Self, Error> {
        let need = |names| Column::need(KIND, header, names);
        let find = |names| Column::find(header, names);
        Ok(Self {
            code: need(&["Scheme Code"])?,
            isin_growth: find(&["ISIN Div Payout/ ISIN Growth", "ISIN Div Payout/ISIN Growth", "ISIN Growth"]),
            isin_reinvestment: find(&["ISIN Div Reinvestment"]),
            name: need(&["Scheme Name", "NAV Name"])?,
            plan: find(&["Plan"]),
            option: find(&["Option"]),
            nav: need(&["Net Asset Value"])?,
            date: need(&["Date"])?,
        })
    }
    /// `None` for a row without a NAV.
    fn row(
        &self,
        fields: &Fields<'_>,
        banners: &Banners,
        left_out: &mut Vec<RowError>,
    ) -> Result<Option<NavRow>, RowError> {
        let nav = fields.text(self.nav)?;
        if ["", "-", "N.A.", "N.A", "NA"].iter().any(|none| nav.eq_ignore_ascii_case(none)) {
            return Ok(None);
        }
        let held = |text: &str| name(text).map(Box::from);
        let mut isin = |column| {
            fields.read_optional(column, Isin::new).unwrap_or_else(|error| {
                left_out.push(error);
                None
            })
        };
        let (isin_growth, isin_reinvestment) = (isin(self.isin_growth), isin(self.isin_reinvestment));
        let scheme = Scheme {
            scheme: fields.read(self.code, SchemeCode::new)?,
            name: fields.read(self.name, held)?,
            isin_growth,
            isin_reinvestment,
            amc: banners.amc.clone(),
            category: banners.category.clone(),
            plan: fields.read_optional(self.plan, held)?,
            option: fields.read_optional(self.option, held)?,
            corrects: None,
        };
        let date = fields.read(self.date, day_month_year)?;
        Ok(Some(NavRow { line: fields.line, scheme, date, nav: fields.read(self.nav, rupees)? }))
    }
}

fn rupees(text: &str) -> Result<Nav, String> {
    match Nav::parse(text.strip_suffix('.').unwrap_or(text)) {
        Ok(nav) if nav.is_negative() => Err("must not be negative".into()),
        Ok(nav) => Ok(nav),
        Err(error) => Err(error.to_string()),
    }
}

fn name(text: &str) -> Result<&str, &'static str> {
    match text {
        "" => Err("is empty"),
        text if text.chars().any(char::is_control) => Err("holds control characters"),
        text if text.chars().count() > NAME_MAX_CHARS => Err("is longer than 200 characters"),
        text => Ok(text),
    }
}
