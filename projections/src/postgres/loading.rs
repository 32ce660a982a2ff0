//! Accounts taken back from the database exactly as the fold left them; folds nothing and writes nothing.

use super::Failure;
use crate::{
    account::Account,
    view::{Stop, View, ViewSet},
};
use domain::{
    ids::{AccountId, Folio, InstrumentId, SchemeCode},
    money::Money,
};
use event_log::{Topic, rule::Reader};
use serde::de::DeserializeOwned;
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};
use std::collections::BTreeMap;

/// The most accounts of one statement: some megabytes of rows.
pub(super) const LOAD_ACCOUNTS_MAX: usize = 1_024;

/// Which accounts there are, and what their journals keep.
const ACCOUNTS: &str = "
    select 'account' as list, account, 0::bigint as seq, '' as one, '' as other, row
        from accounts where account = any($1)";

/// What the rows of an account are made of in each view of it.
const PARTS: [(View, &str); 9] = [
    (View::Orders, "'order list', account, 0, '', '', row from order_lists where account = any($1)"),
    (View::Orders, "'orders', account, seq, '', '', row from orders where account = any($1) and not has_left"),
    (View::Orders, "'funds', account, seq, '', '', row from fund_orders where account = any($1) and not has_left"),
    (View::Trades, "'trade list', account, 0, '', '', row from trade_lists where account = any($1)"),
    (View::Trades, "'trades', account, seq, '', '', row from trades where account = any($1) and not has_left"),
    (View::Portfolio, "'portfolio', account, 0, '', '', row from portfolios where account = any($1)"),
    (
        View::Pnl,
        "'gains', account, 0, instrument, '', row from instrument_gains where account = any($1)
         union all select 'folio', account, 0, scheme, folio, row from folio_gains where account = any($1)",
    ),
    (View::Cash, "'cash', account, 0, '', '', row from cash where account = any($1)"),
    (
        View::Cash,
        "'blocks', account, seq, (amount * 100)::bigint::text, '', '' from cash_blocks where account = any($1)",
    ),
];

/// All that is wanted of an account, in one question, so that it is of one moment.
fn accounts_sql(views: ViewSet) -> String {
    let parts = PARTS.iter().filter(|(view, _)| views.contains(*view));
    parts.fold(ACCOUNTS.to_owned(), |sql, (_, part)| sql + " union all select " + part)
}

/// The rows of one account as they come.
#[derive(Default)]
struct Parts {
    account: Account,
    orders: Vec<crate::orders::OrderRow>,
    funds: Vec<crate::orders::FundOrderRow>,
    trades: Vec<crate::trades::TradeRow>,
    blocks: BTreeMap<u64, Money>,
}

/// Those of these accounts that there are, in these views; at most [`LOAD_ACCOUNTS_MAX`].
pub(super) async fn accounts(
    connection: &mut PgConnection,
    ids: &[AccountId],
    views: ViewSet,
) -> Result<BTreeMap<AccountId, Account>, Failure> {
    let ids: Vec<&str> = ids.iter().map(AccountId::as_str).collect();
    let rows = sqlx::query(AssertSqlSafe(accounts_sql(views))).bind(ids).fetch_all(connection).await?;
    let mut parts = BTreeMap::new();
    for row in &rows {
        add(&mut parts, row)?;
    }
    Ok(parts.into_iter().map(|(id, parts)| (id, parts.whole())).collect())
}

/// One account, how far its partition is folded, and which views stopped that its rows or their worth depend on.
pub(super) struct Loaded {
    /// Absent when it has no entry.
    pub(super) account: Option<Account>,
    pub(super) reader: Reader,
    pub(super) stops: Vec<Stop>,
}

/// All of it as of one moment.
pub(super) async fn account(connection: &mut PgConnection, id: &AccountId, partition: u32) -> Result<Loaded, Failure> {
    let accounts = accounts_sql(ViewSet::all());
    let one = AssertSqlSafe(format!(
        "{accounts} union all
         select 'at', '', next_offset, term::text, last::text, writer from checkpoints
             where topic = $2 and partition = $3
         union all select 'stop', partition::text, entry_offset, view, reason, '' from view_stops"
    ));
    let ids = vec![id.as_str()];
    let one = sqlx::query(one).bind(ids).bind(Topic::Ledger.name()).bind(partition.cast_signed());
    let (mut parts, mut reader, mut stops) = (BTreeMap::new(), Reader::default(), Vec::new());
    for row in one.fetch_all(connection).await? {
        match row.try_get("list")? {
            "at" => reader = reader_of(&row)?,
            "stop" => stops.extend(stop_of(&row, partition)?),
            _ => add(&mut parts, &row)?,
        }
    }
    Ok(Loaded { account: parts.remove(id).map(Parts::whole), reader, stops })
}

fn reader_of(row: &PgRow) -> Result<Reader, Failure> {
    let bad = || Failure::Row("a checkpoint".into());
    Ok(Reader {
        offset: row.try_get::<i64, _>("seq")?.cast_unsigned(),
        term: row.try_get::<&str, _>("one")?.parse::<i64>().map_err(|_| bad())?.cast_unsigned(),
        writer: u128::from_le_bytes(row.try_get::<&[u8], _>("row")?.try_into().map_err(|_| bad())?),
        last: row.try_get::<&str, _>("other")?.parse().map_err(|_| bad())?,
    })
}

/// A stop that answers about an account of this partition have to know.
fn stop_of(row: &PgRow, partition: u32) -> Result<Option<Stop>, Failure> {
    let (name, stopped): (&str, &str) = (row.try_get("one")?, row.try_get("account")?);
    let Some(view) = View::ALL.iter().copied().find(|view| view.name() == name) else { return Ok(None) };
    let stop = Stop {
        view,
        partition: stopped.parse().map_err(|_| Failure::Row("a stop".into()))?,
        offset: row.try_get::<i64, _>("seq")?.cast_unsigned(),
        reason: row.try_get::<String, _>("other")?.into(),
    };
    Ok(Some(stop).filter(|stop| view.topic() == Topic::Market || stop.partition == partition))
}

fn add(parts: &mut BTreeMap<AccountId, Parts>, row: &PgRow) -> Result<(), Failure> {
    let bad = |what: &str| Failure::Row(what.into());
    let id = AccountId::new(row.try_get("account")?).map_err(|_| bad("an account"))?;
    let (one, other): (&str, &str) = (row.try_get("one")?, row.try_get("other")?);
    let part = parts.entry(id).or_default();
    match row.try_get("list")? {
        "account" => part.account.journal = whole(row)?,
        "order list" => part.account.orders = whole(row)?,
        "trade list" => part.account.trades = whole(row)?,
        "portfolio" => part.account.portfolio = whole(row)?,
        "cash" => part.account.cash = whole(row)?,
        "blocks" => {
            let amount = Money::from_smallest(one.parse().map_err(|_| bad("an amount"))?);
            part.blocks.insert(row.try_get::<i64, _>("seq")?.cast_unsigned(), amount);
        }
        "orders" => part.orders.push(whole(row)?),
        "funds" => part.funds.push(whole(row)?),
        "trades" => part.trades.push(whole(row)?),
        "gains" => {
            let instrument = InstrumentId::new(one).map_err(|_| bad("an instrument"))?;
            part.account.pnl.instruments.insert(instrument, whole(row)?);
        }
        _ => {
            let scheme = SchemeCode::new(one).map_err(|_| bad("a scheme"))?;
            let folio = Folio::new(other).map_err(|_| bad("a folio"))?;
            part.account.pnl.folios.insert((scheme, folio), whole(row)?);
        }
    }
    Ok(())
}

/// What a row's own form says.
pub(super) fn whole<T: DeserializeOwned>(row: &PgRow) -> Result<T, Failure> {
    postcard::from_bytes(row.try_get("row")?).map_err(|error| Failure::Row(error.to_string().into()))
}

impl Parts {
    fn whole(mut self) -> Account {
        self.orders.sort_unstable_by_key(|row| row.seq);
        self.funds.sort_unstable_by_key(|row| row.seq);
        self.trades.sort_unstable_by_key(|row| row.seq);
        self.account.cash = std::mem::take(&mut self.account.cash).with_blocks(self.blocks);
        self.account.with_rows(self.orders, self.funds, self.trades)
    }
}
