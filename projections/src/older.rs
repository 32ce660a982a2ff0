//! Rows that have left memory, folded again from the account's entries for the page that is asked for; keeps nothing.
//!
//! A row's entries lie between the one that made it and the one it left with. So a page is read from the newest row
//! that left backwards, a window of entries at a time and each larger than the one before: folded from its first entry
//! on, with the folds of the live views, until every row that began in it has left again, or is one that memory still
//! has. Nothing is read for rows that memory has, and [`OLDER_ENTRIES_MAX`] bounds what one question reads: a page that
//! is not full by then ends early, and its cursor goes on from there.

use crate::{
    Error, Page,
    account::Account,
    left::Left,
    offsets::{READ_ENTRIES_MAX, folded, live, records},
    orders::{FundOrderRow, OrderRow},
    past::decode,
    read::{FundOrderFilter, OrderFilter, Reading, TradeFilter},
    store::Views,
    trades::TradeRow,
};
use domain::ids::AccountId;
use event_log::{EventLog, Topic};
use event_schemas::entry::Happened;
use std::ops::RangeInclusive;

/// The most entries read for one question: some hundred milliseconds of one core.
pub const OLDER_ENTRIES_MAX: usize = 50_000;

/// The entries of the first window; each further one has twice as many.
const WINDOW_ENTRIES_MIN: u64 = 512;

/// Rows that have left: all of those with a `seq` of `from` or above.
#[derive(Debug, Default)]
pub struct Older {
    pub(crate) orders: Vec<OrderRow>,
    pub(crate) funds: Vec<FundOrderRow>,
    pub(crate) trades: Vec<TradeRow>,
    pub(crate) from: u64,
}

impl Older {
    /// By `seq`, as rows in memory are.
    pub(crate) fn sort(&mut self) {
        self.orders.sort_unstable_by_key(|row| row.seq);
        self.funds.sort_unstable_by_key(|row| row.seq);
        self.trades.sort_unstable_by_key(|row| row.seq);
    }

    /// Adds those of a window, and what still stands of it in `rows`.
    fn add(&mut self, mut found: Older, window: &Window, rows: Account) {
        let began = |seq: u64| window.seqs.contains(&seq);
        let standing = |seq: u64| began(seq) && window.kept.binary_search(&seq).is_err();
        match window.list {
            List::Orders => {
                found.orders.retain(|row| began(row.seq));
                found.orders.extend(rows.orders.orders().iter().filter(|row| standing(row.seq)).cloned());
                self.orders.append(&mut found.orders);
            }
            List::Funds => {
                found.funds.retain(|row| began(row.seq));
                found.funds.extend(rows.orders.fund_orders().iter().filter(|row| standing(row.seq)).cloned());
                self.funds.append(&mut found.funds);
            }
            List::Trades => {
                found.trades.retain(|row| began(row.seq));
                found.trades.extend(rows.trades.trades().iter().filter(|row| standing(row.seq)).cloned());
                self.trades.append(&mut found.trades);
            }
        }
        self.from = *window.seqs.start();
        self.sort();
    }
}

/// A list whose rows leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Orders,
    Funds,
    Trades,
}

/// What is asked of a list whose rows leave.
#[derive(Clone, Copy, Debug)]
pub enum Listing {
    /// Orders.
    Orders(OrderFilter),
    /// The order that the entry with this `seq` requested.
    Order(u64),
    /// Fund orders.
    FundOrders(FundOrderFilter),
    /// Trades.
    Trades(TradeFilter),
}

impl Listing {
    pub(crate) fn list(&self) -> List {
        match self {
            Self::Orders(_) | Self::Order(_) => List::Orders,
            Self::FundOrders(_) => List::Funds,
            Self::Trades(_) => List::Trades,
        }
    }
}

/// Some entries of an account by `seq`, and where to begin to read them.
struct Window {
    list: List,
    seqs: RangeInclusive<u64>,
    /// `seq` and offset of an entry at or before the first.
    mark: (u64, u64),
    /// The rows of the list that memory has.
    kept: Vec<u64>,
}

/// Asks about a list of an account as it stands now, once the rows of the page that have left are folded again;
/// `None` when the account has no entry.
///
/// # Errors
/// `Cursor`, `Stopped`, an entry that cannot be read, and what the log says.
pub async fn read_list<T>(
    log: &dyn EventLog,
    views: &Views,
    account: &AccountId,
    listing: &Listing,
    page: &Page<'_>,
    ask: impl FnOnce(&Reading<'_>) -> T,
) -> Result<Option<T>, Error> {
    enum Step<T> {
        Answer(T),
        Read(Window),
    }
    let (mut ask, mut older, mut left) = (Some(ask), Older::default(), None::<Left>);
    let (mut entries, mut size, mut found) = (0, WINDOW_ENTRIES_MIN, false);
    loop {
        let step = views.read(account, |reading| -> Result<Step<T>, Error> {
            let now = reading.left(listing.list());
            if left.as_ref() != Some(now) {
                // At first, and when rows left meanwhile, which may be anywhere among those read so far.
                left = Some(now.clone());
                let before = page.number()?.unwrap_or(u64::MAX);
                older = Older { from: (now.upto() + 1).min(before), ..Older::default() };
                (size, found) = (WINDOW_ENTRIES_MIN, false);
            }
            let seqs = match *listing {
                Listing::Order(seq) => seq..=seq,
                _ => older.from.saturating_sub(size).max(1)..=older.from.saturating_sub(1),
            };
            let reading = reading.with(&older);
            // Where one order would be is read once: an entry that requested none has none.
            let window = reading.window(listing.list(), seqs).filter(|_| entries < OLDER_ENTRIES_MAX && !found);
            match window {
                Some(window) if !reading.has(listing, page)? => Ok(Step::Read(window)),
                _ => Ok(Step::Answer(ask.take().expect("it is asked once")(&reading))),
            }
        });
        match step.transpose()? {
            None => return Ok(None),
            Some(Step::Answer(answer)) => return Ok(Some(answer)),
            Some(Step::Read(window)) => {
                entries += fold(log, views, account, &window, OLDER_ENTRIES_MAX - entries, &mut older).await?;
                size = size.saturating_mul(2);
                found = matches!(listing, Listing::Order(_));
            }
        }
    }
}

/// Every row of an account that has left, whatever it costs: for who writes all of them down.
///
/// # Errors
/// An entry that cannot be read, and what the log says.
pub async fn all_older(log: &dyn EventLog, views: &Views, account: &AccountId) -> Result<Older, Error> {
    let any = views.read(account, |reading| {
        [List::Orders, List::Funds, List::Trades].iter().any(|list| reading.left(*list).count() > 0)
    });
    let mut older = Older::default();
    if any != Some(true) {
        return Ok(older);
    }
    let partition = views.partition_of(Topic::Ledger, account.as_str());
    let (mut rows, mut from, end) = (Account::default(), 0, folded(views, Topic::Ledger, partition));
    loop {
        let key = (Topic::Ledger, partition, account.as_str());
        let offsets = live(log, views, key, from..end, READ_ENTRIES_MAX).await?;
        let Some(last) = offsets.last() else { break };
        from = last + 1;
        for stored in records(log, Topic::Ledger, partition, offsets).await? {
            fold_lists(&mut rows, &decode(partition, &stored)?, &mut older);
        }
        tokio::task::yield_now().await;
    }
    older.sort();
    Ok(older)
}

impl Reading<'_> {
    fn window(&self, list: List, seqs: RangeInclusive<u64>) -> Option<Window> {
        if *seqs.start() == 0 || seqs.is_empty() || *seqs.end() > self.left(list).upto() {
            return None;
        }
        let mark = self.rows.journal.mark(*seqs.start())?;
        let orders = &self.rows.orders;
        let kept = match list {
            List::Orders => orders.orders().iter().map(|row| row.seq).collect(),
            List::Funds => orders.fund_orders().iter().map(|row| row.seq).collect(),
            List::Trades => self.rows.trades.trades().iter().map(|row| row.seq).collect(),
        };
        Some(Window { list, seqs, mark, kept })
    }
}

/// Folds a window into `older`; gives how many entries were read.
async fn fold(
    log: &dyn EventLog,
    views: &Views,
    account: &AccountId,
    window: &Window,
    max: usize,
    older: &mut Older,
) -> Result<usize, Error> {
    let partition = views.partition_of(Topic::Ledger, account.as_str());
    let end = folded(views, Topic::Ledger, partition);
    let (mut rows, mut found) = (Account::default(), Older::default());
    let ((mut seq, mut from), mut entries) = (window.mark, 0);
    while entries < max && !(seq > *window.seqs.end() && is_over(&rows, window)) {
        let key = (Topic::Ledger, partition, account.as_str());
        let offsets = live(log, views, key, from..end, READ_ENTRIES_MAX.min(max - entries)).await?;
        let Some(last) = offsets.last() else { break };
        from = last + 1;
        entries += offsets.len();
        for stored in records(log, Topic::Ledger, partition, offsets).await? {
            if seq >= *window.seqs.start() {
                fold_lists(&mut rows, &decode(partition, &stored)?, &mut found);
            }
            seq += 1;
        }
        tokio::task::yield_now().await;
    }
    older.add(found, window, rows);
    Ok(entries.max(1))
}

/// Whether no row that began in the window can change any more, but those that memory has.
fn is_over(rows: &Account, window: &Window) -> bool {
    let over = |seq: u64| !window.seqs.contains(&seq) || window.kept.binary_search(&seq).is_ok();
    match window.list {
        List::Orders => rows.orders.orders().iter().all(|row| over(row.seq)),
        List::Funds => rows.orders.fund_orders().iter().all(|row| over(row.seq)),
        List::Trades => rows.trades.trades().iter().all(|row| over(row.seq)),
    }
}

fn fold_lists(rows: &mut Account, entry: &Happened, older: &mut Older) {
    let today = entry.recorded_at.date();
    for event in &entry.events {
        rows.orders.fold(entry, event);
        rows.trades.fold(entry, event);
    }
    rows.orders.leave(&entry.account, today, Some(older));
    rows.trades.leave(&entry.account, today, Some(older));
}

/// Rows of memory and rows that have left, the newest first, down to the last `seq` that nothing is missing from.
pub(crate) fn newest_first<'a, T>(
    kept: &'a [T],
    left: &'a [T],
    seqs: std::ops::Range<u64>,
    seq: fn(&T) -> u64,
) -> impl Iterator<Item = &'a T> {
    let part = move |rows: &'a [T]| {
        let (start, end) =
            (rows.partition_point(|row| seq(row) < seqs.start), rows.partition_point(|row| seq(row) < seqs.end));
        rows[start..end.max(start)].iter().rev().peekable()
    };
    let (mut kept, mut left) = (part(kept), part(left));
    std::iter::from_fn(move || match (kept.peek(), left.peek()) {
        (Some(one), Some(other)) if seq(one) < seq(other) => left.next(),
        (Some(_), _) => kept.next(),
        (None, _) => left.next(),
    })
}
