//! Which tables each view's rows are in, and nobody else's; knows no column.

use crate::view::{View, ViewSet};

/// In how many parts the journal is.
const JOURNAL_PARTS: usize = 16;

/// The tables of a view.
pub(super) fn tables(view: View) -> Vec<String> {
    let tables: &[&str] = match view {
        View::Orders => &["order_lists", "orders", "fund_orders"],
        View::Trades => &["trade_lists", "trades"],
        View::Portfolio => &["portfolios", "positions", "folios"],
        View::Pnl => &["instrument_gains", "folio_gains", "lots", "folio_lots"],
        View::Cash => &["cash", "cash_blocks", "cash_due"],
        View::Journal => &["accounts", "journal"],
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

/// All that belongs to some views, by commas, in the order in which a question about an account comes by them: who locks
/// all of it then seldom meets one who waits for the other.
pub(super) fn all(views: ViewSet) -> String {
    let (journal, others): (Vec<View>, Vec<View>) = views.iter().partition(|view| *view == View::Journal);
    let of = |view: View| readings(view).iter().map(|name| (*name).to_owned()).chain(tables(view));
    journal.into_iter().chain(others).flat_map(of).collect::<Vec<_>>().join(", ")
}
