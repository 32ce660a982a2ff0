//! Accounts of one partition that are in use, kept in memory between batches; bounded by their rows, and never ahead of
//! the database.

use crate::account::Account;
use domain::ids::AccountId;
use std::collections::HashMap;

/// About how many rows are kept for all partitions together: some hundred megabytes.
const ROWS_MAX: usize = 400_000;

/// Accounts, those used lately apart from those that were not used since: the latter are let go when there are too many.
pub(super) struct Hot {
    late: Generation,
    early: Generation,
    rows_max: usize,
}

#[derive(Default)]
struct Generation {
    accounts: HashMap<AccountId, Account, foldhash::fast::RandomState>,
    rows: usize,
}

impl Hot {
    /// None yet, of one of so many partitions.
    pub(super) fn new(partitions: u32) -> Self {
        let rows_max = ROWS_MAX / partitions.max(1) as usize;
        Self { late: Generation::default(), early: Generation::default(), rows_max }
    }

    /// Takes an account out, to be folded.
    pub(super) fn take(&mut self, id: &AccountId) -> Option<Account> {
        self.late.take(id).or_else(|| self.early.take(id))
    }

    /// Lets go of accounts that were not used lately, if there are too many. Once a batch, so that what one batch keeps
    /// is there for the next, however large.
    pub(super) fn turn(&mut self) {
        if self.late.rows > self.rows_max / 2 {
            self.early = std::mem::take(&mut self.late);
        }
    }

    /// Keeps an account as the database has it now.
    pub(super) fn keep(&mut self, id: AccountId, account: Account) {
        self.late.rows += rows(&account);
        self.late.accounts.insert(id, account);
    }

    /// How many accounts are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.late.accounts.len() + self.early.accounts.len()
    }
}

impl Generation {
    fn take(&mut self, id: &AccountId) -> Option<Account> {
        let account = self.accounts.remove(id)?;
        self.rows = self.rows.saturating_sub(rows(&account));
        Some(account)
    }
}

/// About how much room an account takes, in rows.
fn rows(account: &Account) -> usize {
    let lots = account.pnl.instruments.values().map(|of| 1 + of.lots.lots().len());
    let folio_lots = account.pnl.folios.values().map(|of| 1 + of.lots.lots().len());
    let lists = account.orders.orders().len() + account.orders.fund_orders().len() + account.trades.trades().len();
    1 + lists + lots.sum::<usize>() + folio_lots.sum::<usize>() + account.portfolio.positions.len()
}
