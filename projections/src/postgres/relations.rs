//! Which tables each view's rows are in, and nobody else's; knows no column.

use crate::view::{View, ViewSet};

/// In how many parts the journal is.
const JOURNAL_PARTS: usize = 16;

/// The tables of a view.
pub(super) fn tables(view: View) -> Vec<String> {
    let tables: &[&str] = match view {
        View::Orders => &["orders", "fund_orders", "order_lists"],
        View::Trades => &["trades", "trade_lists"],
        View::Portfolio => &["positions", "folios", "portfolios"],
        View::Pnl => &["instrument_gains", "lots", "folio_gains", "folio_lots"],
        View::Cash => &["cash", "cash_due", "cash_blocks"],
        View::Journal => &["journal", "accounts"],
        View::Instruments => &["instruments", "calendar"],
        View::Prices => &["price_facts", "live_prices"],
        View::Navs => &["schemes", "nav_facts"],
    };
    let parts = (0..JOURNAL_PARTS).filter(|_| view == View::Journal).map(|part| format!("journal_{part}"));
    tables.iter().map(|table| (*table).to_owned()).chain(parts).collect()
}

/// What people read over these tables: views in the database's sense.
pub(super) const fn readings(view: View) -> &'static [&'static str] {
    match view {
        View::Prices => &["prices"],
        View::Navs => &["navs"],
        _ => &[],
    }
}

/// The tables of some views, by commas.
pub(super) fn all_tables(views: ViewSet) -> String {
    views.iter().flat_map(tables).collect::<Vec<_>>().join(", ")
}
