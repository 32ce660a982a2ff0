//! Fund schemes and their NAVs by day; keeps what was recorded earlier, so that the past can be valued as it was.

use crate::{row::Rows, saved::as_json};
use domain::{
    ids::{Isin, SchemeCode},
    market::{MarketEventData, Scheme},
    money::Nav,
    time::Date,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A day's NAV and where it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NavRow {
    /// The day.
    pub date: Date,
    /// Rupees a unit.
    pub nav: Nav,
    /// The market entry that recorded it.
    pub offset: u64,
}

/// A scheme and its NAVs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SchemeRow {
    /// What it is; absent while only NAVs are known.
    #[serde(with = "as_json")]
    pub scheme: Option<Scheme>,
    /// Ascending by day; of several facts about one day the one recorded last holds.
    navs: Vec<NavRow>,
}

impl SchemeRow {
    /// The latest NAV.
    pub fn latest(&self) -> Option<&NavRow> {
        self.navs.last()
    }
    /// The latest NAV of a day before that.
    pub fn previous(&self) -> Option<&NavRow> {
        let date = self.navs.last()?.date;
        self.navs.iter().rev().find(|row| row.date < date)
    }
    /// Days, ascending, each with the fact that holds.
    pub fn navs(&self) -> impl DoubleEndedIterator<Item = &NavRow> {
        let navs = &self.navs;
        navs.iter()
            .enumerate()
            .filter(|(at, row)| navs.get(at + 1).is_none_or(|next| next.date != row.date))
            .map(|(_, row)| row)
    }
    /// What is needed to value a unit: what it is, the latest NAV and the one before.
    pub(crate) fn standing(&self) -> SchemeRow {
        let navs = self.previous().into_iter().chain(self.latest()).copied().collect();
        SchemeRow { scheme: self.scheme.clone(), navs }
    }
    /// With these facts, in any order.
    pub(crate) fn with_navs(self, mut navs: Vec<NavRow>) -> SchemeRow {
        navs.sort_unstable_by_key(|row| (row.date, row.offset));
        SchemeRow { navs, ..self }
    }
    /// Every fact about a day, ascending by day and then as recorded.
    pub(crate) fn all_navs(&self) -> &[NavRow] {
        &self.navs
    }
    /// As recorded before an offset; with a day, of that day or earlier.
    pub(crate) fn before(&self, upto: u64, day: Option<Date>) -> SchemeRow {
        let known = |row: &&NavRow| row.offset < upto && day.is_none_or(|day| row.date <= day);
        let navs = self.navs.iter().filter(known).copied().collect();
        SchemeRow { scheme: self.scheme.clone(), navs }
    }
}

/// The rows, by scheme.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Navs {
    /// Schemes.
    pub schemes: BTreeMap<SchemeCode, SchemeRow>,
}

impl Navs {
    /// Folds one event of the market entry at `offset`.
    pub fn fold(&mut self, event: &MarketEventData, offset: u64) {
        match event {
            MarketEventData::Scheme(fact) => {
                self.schemes.entry(fact.scheme).or_default().scheme = Some(fact.clone());
            }
            MarketEventData::Nav(fact) => {
                let navs = &mut self.schemes.entry(fact.scheme).or_default().navs;
                let row = NavRow { date: fact.date, nav: fact.nav, offset };
                let at = match navs.last() {
                    Some(last) if last.date > row.date => navs.partition_point(|earlier| earlier.date <= row.date),
                    _ => navs.len(),
                };
                // A fact that is there already, as a snapshot held it, changes nothing.
                let same_day = navs[..at].iter().rev().take_while(|known| known.date == row.date);
                if same_day.into_iter().all(|known| known.offset != offset) {
                    navs.insert(at, row);
                }
            }
            _ => {}
        }
    }

    /// Writes the canonical rows.
    pub fn write(&self, rows: &mut Rows) {
        for (code, of) in &self.schemes {
            if let Some(scheme) = &of.scheme {
                write_scheme(scheme, rows);
            }
            of.navs().for_each(|day| write_nav(code, day.date, day.nav, rows));
        }
    }
}

/// The canonical row of a scheme.
pub(crate) fn write_scheme(scheme: &Scheme, rows: &mut Rows) {
    let mut row = rows.row("scheme");
    row.id(scheme.scheme.as_str()).text(Some(&scheme.name));
    row.id_or_none(scheme.isin_growth.as_ref().map(Isin::as_str));
    row.id_or_none(scheme.isin_reinvestment.as_ref().map(Isin::as_str));
    row.text(scheme.amc.as_deref()).text(scheme.category.as_deref());
    row.text(scheme.plan.as_deref()).text(scheme.option.as_deref());
}

/// The canonical row of a day's NAV.
pub(crate) fn write_nav(code: &SchemeCode, date: Date, nav: Nav, rows: &mut Rows) {
    rows.row("nav").id(code.as_str()).show(date).show(nav);
}
