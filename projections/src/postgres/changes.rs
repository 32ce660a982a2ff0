//! What a batch changes, table by table, each row once: an account's rows as they were, compared with what they became.
//!
//! Knows neither how they came to be so nor when they are written.

use super::{
    columns::{Columns, Table},
    rows,
};
use crate::{
    account::Account, cash::CashRow, older::Older, orders::Orders, pnl::Pnl, portfolio::Portfolio, trades::Trades,
};
use domain::{
    ids::{AccountId, InstrumentId},
    money::Quantity,
    position::Shares,
};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// An account while a batch is folded: as it was, as it becomes, and its rows that left meanwhile, as they were then.
pub(super) struct Touched {
    before: Before,
    pub(super) after: Account,
    pub(super) older: Older,
    /// The first of its entries in the batch: rows that an entry from there on began are not in the database.
    pub(super) since: Option<u64>,
}

/// What is compared with what it becomes; of the lists, which may be long, changes are noted instead.
struct Before {
    /// Entries in its journal; nothing when there is no such account yet.
    entries: Option<u64>,
    orders: Orders,
    trades: Trades,
    portfolio: Portfolio,
    pnl: Pnl,
    cash: CashRow,
}

impl Touched {
    /// An account that the database has; nothing is folded yet.
    pub(super) fn known(account: Account) -> Self {
        let entries = Some(account.journal.count());
        Self::begin(account, entries)
    }

    /// One that it does not have.
    pub(super) fn unknown() -> Self {
        Self::begin(Account::default(), None)
    }

    fn begin(mut after: Account, entries: Option<u64>) -> Self {
        let (orders, trades) = (after.orders.without_rows(), after.trades.without_rows());
        let (portfolio, pnl, cash) = (after.portfolio.clone(), after.pnl.clone(), after.cash.clone());
        after.orders.changed().begin();
        after.trades.changed().begin();
        Self {
            before: Before { entries, orders, trades, portfolio, pnl, cash },
            after,
            older: Older::default(),
            since: None,
        }
    }

    /// Everything is new.
    #[cfg(test)]
    pub(super) fn whole(mut after: Account) -> Self {
        let mut touched = Self::unknown();
        after.orders.changed().begin();
        let seqs = after.orders.orders().iter().map(|row| row.seq);
        let seqs: Vec<_> = seqs.chain(after.orders.fund_orders().iter().map(|row| row.seq)).collect();
        seqs.into_iter().for_each(|seq| after.orders.changed().note(seq));
        after.trades.changed().begin();
        let seqs: Vec<_> = after.trades.trades().iter().map(|row| row.seq).collect();
        seqs.into_iter().for_each(|seq| after.trades.changed().note(seq));
        touched.after = after;
        touched
    }
}

/// Rows to put and keys of rows to delete.
#[derive(Default)]
pub(super) struct Changes {
    tables: BTreeMap<&'static str, Change>,
}

struct Change {
    table: &'static Table,
    put: Columns,
    new: Columns,
    gone: Columns,
}

impl Changes {
    fn of(&mut self, table: &'static Table) -> &mut Change {
        self.tables.entry(table.name).or_insert_with(|| Change {
            table,
            put: Columns::rows_of(table),
            new: Columns::rows_of(table),
            gone: Columns::keys_of(table),
        })
    }

    /// Where a row of this table goes that is new or changed.
    pub(super) fn put(&mut self, table: &'static Table) -> &mut Columns {
        &mut self.of(table).put
    }

    /// Where a row goes whose key was never there: PostgreSQL need not look for it first.
    pub(super) fn new_row(&mut self, table: &'static Table) -> &mut Columns {
        &mut self.of(table).new
    }

    /// Where a row goes that this entry of its account began.
    fn begun_by(&mut self, table: &'static Table, seq: u64, since: Option<u64>) -> &mut Columns {
        match since {
            Some(since) if seq >= since => self.new_row(table),
            _ => self.put(table),
        }
    }

    /// Where the key of a row goes that is no longer there.
    pub(super) fn gone(&mut self, table: &'static Table) -> &mut Columns {
        &mut self.of(table).gone
    }

    /// How many rows are put or deleted.
    pub(super) fn len(&self) -> usize {
        self.tables.values().map(|change| change.put.len() + change.new.len() + change.gone.len()).sum()
    }

    /// Writes all of it, in the transaction that this connection is in.
    pub(super) async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        for Change { table, put, new, gone } in self.tables.values() {
            gone.delete(table, connection).await?;
            put.put(table, connection).await?;
            new.insert(table, connection).await?;
        }
        Ok(())
    }

    /// The tables with rows to put, for tests that compare them with what is stored.
    #[cfg(test)]
    pub(super) fn all_put(&self) -> impl Iterator<Item = (&'static Table, &Columns)> {
        self.tables.values().map(|change| (change.table, &change.put))
    }

    /// Adds what became of an account.
    pub(super) fn account(&mut self, (id, partition): (&AccountId, u32), touched: &mut Touched) {
        let Touched { before, after, older, since } = touched;
        let since = *since;
        // Also where no journal is folded: every account of these views is named once.
        if before.entries != Some(after.journal.count()) {
            rows::account(self.put(&rows::ACCOUNTS), id, partition, after);
        }
        let (orders, trades) = (after.orders.without_rows(), after.trades.without_rows());
        if before.orders != orders {
            rows::list(self.put(&rows::ORDER_LISTS), id, &orders);
        }
        if before.trades != trades {
            rows::list(self.put(&rows::TRADE_LISTS), id, &trades);
        }
        self.orders(id, after, older, since);
        self.trades(id, after, older, since);
        if before.portfolio != after.portfolio {
            self.portfolio(id, before, after);
        }
        self.gains(id, before, after);
        if before.cash != after.cash {
            rows::cash(self.put(&rows::CASH), id, &after.cash);
            compare(&before.cash.cash.due, &after.cash.cash.due, |day, due| match due {
                Some(due) => rows::cash_due(self.put(&rows::CASH_DUE), id, day, due),
                None => {
                    self.gone(&rows::CASH_DUE).row().text(id.as_str()).day(*day);
                }
            });
            compare(before.cash.blocks(), after.cash.blocks(), |seq, amount| match amount {
                Some(amount) => rows::cash_block(self.begun_by(&rows::CASH_BLOCKS, *seq, since), id, *seq, *amount),
                None => {
                    self.gone(&rows::CASH_BLOCKS).row().text(id.as_str()).count(*seq);
                }
            });
        }
    }

    /// Orders and fund orders are never gone: they are here, or have left.
    fn orders(&mut self, id: &AccountId, after: &mut Account, older: &Older, since: Option<u64>) {
        for seq in after.orders.changed().end() {
            if let Some(row) = after.orders.order(seq) {
                rows::order(self.begun_by(&rows::ORDERS, seq, since), id, row, false);
            } else if let Some(row) = after.orders.fund_order(seq) {
                rows::fund_order(self.begun_by(&rows::FUND_ORDERS, seq, since), id, row, false);
            }
        }
        older.orders.iter().for_each(|row| rows::order(self.put(&rows::ORDERS), id, row, true));
        older.funds.iter().for_each(|row| rows::fund_order(self.put(&rows::FUND_ORDERS), id, row, true));
    }

    fn trades(&mut self, id: &AccountId, after: &mut Account, older: &Older, since: Option<u64>) {
        for seq in after.trades.changed().end() {
            let all = after.trades.trades();
            if let Ok(at) = all.binary_search_by_key(&seq, |row| row.seq) {
                rows::trade(self.begun_by(&rows::TRADES, seq, since), id, &all[at], false);
            } else if older.trades.iter().all(|row| row.seq != seq) {
                self.gone(&rows::TRADES).row().text(id.as_str()).count(seq);
            }
        }
        older.trades.iter().for_each(|row| rows::trade(self.put(&rows::TRADES), id, row, true));
    }

    fn portfolio(&mut self, id: &AccountId, before: &Before, after: &Account) {
        rows::portfolio(self.put(&rows::PORTFOLIOS), id, &after.portfolio);
        compare(&positions(&before.portfolio), &positions(&after.portfolio), |instrument, position| match position {
            Some(position) => rows::position(self.put(&rows::POSITIONS), id, instrument, position),
            None => {
                self.gone(&rows::POSITIONS).row().text(id.as_str()).text(instrument.as_str());
            }
        });
        compare(&before.portfolio.folios, &after.portfolio.folios, |key, units| match units {
            Some(units) => rows::folio(self.put(&rows::FOLIOS), id, key, units),
            None => {
                let gone = self.gone(&rows::FOLIOS).row();
                gone.text(id.as_str()).text(key.0.as_str()).text(key.1.as_str());
            }
        });
    }

    fn gains(&mut self, id: &AccountId, before: &Before, after: &Account) {
        let (none, none_of_folio) = (Default::default(), Default::default());
        compare(&before.pnl.instruments, &after.pnl.instruments, |instrument, of| {
            match of {
                Some(of) => rows::instrument_gains(self.put(&rows::INSTRUMENT_GAINS), id, instrument, of),
                None => {
                    self.gone(&rows::INSTRUMENT_GAINS).row().text(id.as_str()).text(instrument.as_str());
                }
            }
            let was = before.pnl.instruments.get(instrument).unwrap_or(&none);
            let is = of.unwrap_or(&none);
            if was.lots != is.lots {
                compare(&rows::lot_rows(&was.lots), &rows::lot_rows(&is.lots), |key, lot| match lot {
                    Some(lot) => rows::lot(rows::lot_key(self.put(&rows::LOTS), id, instrument, key), lot),
                    None => {
                        rows::lot_key(self.gone(&rows::LOTS), id, instrument, key);
                    }
                });
            }
        });
        compare(&before.pnl.folios, &after.pnl.folios, |folio, of| {
            match of {
                Some(of) => rows::folio_gains(self.put(&rows::FOLIO_GAINS), id, folio, of),
                None => {
                    let gone = self.gone(&rows::FOLIO_GAINS).row();
                    gone.text(id.as_str()).text(folio.0.as_str()).text(folio.1.as_str());
                }
            }
            let was = before.pnl.folios.get(folio).unwrap_or(&none_of_folio);
            let is = of.unwrap_or(&none_of_folio);
            if was.lots != is.lots {
                compare(&rows::lot_rows(&was.lots), &rows::lot_rows(&is.lots), |key, lot| match lot {
                    Some(lot) => rows::folio_lot(rows::folio_lot_key(self.put(&rows::FOLIO_LOTS), id, folio, key), lot),
                    None => {
                        rows::folio_lot_key(self.gone(&rows::FOLIO_LOTS), id, folio, key);
                    }
                });
            }
        });
    }
}

/// Delivered and intraday shares of each instrument.
fn positions(portfolio: &Portfolio) -> BTreeMap<InstrumentId, (Shares, Quantity)> {
    let mut positions: BTreeMap<_, _> =
        portfolio.positions.iter().map(|(id, shares)| (*id, (*shares, Quantity::ZERO))).collect();
    for (id, intraday) in &portfolio.intraday {
        positions.entry(*id).or_default().1 = *intraday;
    }
    positions
}

/// Tells of each key whose value is not what it was: what it is, or that it is gone.
fn compare<K: Ord, V: PartialEq>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
    mut tell: impl FnMut(&K, Option<&V>),
) {
    let mut left = before.iter().peekable();
    for (key, is) in after {
        while let Some((gone, _)) = left.next_if(|(was, _)| *was < key) {
            tell(gone, None);
        }
        match left.next_if(|(was, _)| *was == key) {
            Some((_, was)) if was == is => {}
            _ => tell(key, Some(is)),
        }
    }
    left.for_each(|(gone, _)| tell(gone, None));
}
