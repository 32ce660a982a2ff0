//! Rows of one table on their way into it: column by column, as UNNEST takes them; knows no view and no amount's meaning.
//!
//! A statement takes each key once: whoever fills these has collapsed its rows by key.

use domain::{
    money::{Money, Nav, Percent, Price, Units},
    time::{Date, Timestamp},
};
use rust_decimal::Decimal;
use sqlx::{AssertSqlSafe, PgConnection, postgres::PgArguments, query::Query};
use std::fmt::Write;
use time::OffsetDateTime;

/// The most rows of one statement, and about the most bytes in it: far within what a message may hold.
const STATEMENT_ROWS_MAX: usize = 8_192;
const STATEMENT_BYTES_MAX: usize = 32 << 20;

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// `text`.
    Text,
    /// `bigint`.
    Number,
    /// `boolean`.
    Flag,
    /// `bytea`.
    Bytes,
    /// `numeric`, exact in the code's scale.
    Amount,
    /// `date`.
    Day,
    /// `timestamptz`.
    Time,
}

impl Kind {
    const fn array(self) -> &'static str {
        match self {
            Self::Text => "text[]",
            Self::Number => "bigint[]",
            Self::Flag => "boolean[]",
            Self::Bytes => "bytea[]",
            Self::Amount => "numeric[]",
            Self::Day => "date[]",
            Self::Time => "timestamptz[]",
        }
    }
}

/// A table with its columns, those of its key first.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) key: &'static [(&'static str, Kind)],
    pub(super) rest: &'static [(&'static str, Kind)],
}

/// The values of one column.
#[derive(Debug)]
enum Column {
    Text(Vec<Option<Box<str>>>),
    Number(Vec<Option<i64>>),
    Flag(Vec<Option<bool>>),
    Bytes(Vec<Option<Vec<u8>>>),
    Amount(Vec<Option<Decimal>>),
    Day(Vec<Option<time::Date>>),
    Time(Vec<Option<OffsetDateTime>>),
}

impl Column {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(Vec::new()),
            Kind::Number => Self::Number(Vec::new()),
            Kind::Flag => Self::Flag(Vec::new()),
            Kind::Bytes => Self::Bytes(Vec::new()),
            Kind::Amount => Self::Amount(Vec::new()),
            Kind::Day => Self::Day(Vec::new()),
            Kind::Time => Self::Time(Vec::new()),
        }
    }

    fn bind<'q>(
        &'q self,
        query: Query<'q, sqlx::Postgres, PgArguments>,
        part: std::ops::Range<usize>,
    ) -> Query<'q, sqlx::Postgres, PgArguments> {
        match self {
            Self::Text(values) => query.bind(&values[part]),
            Self::Number(values) => query.bind(&values[part]),
            Self::Flag(values) => query.bind(&values[part]),
            Self::Bytes(values) => query.bind(&values[part]),
            Self::Amount(values) => query.bind(&values[part]),
            Self::Day(values) => query.bind(&values[part]),
            Self::Time(values) => query.bind(&values[part]),
        }
    }
}

/// Rows of a table, or keys of rows.
#[derive(Debug)]
pub(super) struct Columns {
    columns: Vec<Column>,
    /// The column that the next value of the row goes to.
    at: usize,
    /// About how many bytes each row has.
    sizes: Vec<usize>,
}

impl Columns {
    fn new(kinds: impl Iterator<Item = Kind>) -> Self {
        Self { columns: kinds.map(Column::new).collect(), at: 0, sizes: Vec::new() }
    }

    /// Whole rows of a table.
    pub(super) fn rows_of(table: &Table) -> Self {
        Self::new(table.key.iter().chain(table.rest).map(|(_, kind)| *kind))
    }

    /// Keys of a table's rows.
    pub(super) fn keys_of(table: &Table) -> Self {
        Self::new(table.key.iter().map(|(_, kind)| *kind))
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Starts a row: every column is then told its value, in order.
    pub(super) fn row(&mut self) -> &mut Self {
        debug_assert!(self.at == 0 || self.at == self.columns.len(), "a row is whole");
        self.at = 0;
        self.sizes.push(0);
        self
    }

    fn next(&mut self, bytes: usize) -> &mut Column {
        if let Some(size) = self.sizes.last_mut() {
            *size += bytes;
        }
        self.at += 1;
        &mut self.columns[self.at - 1]
    }

    pub(super) fn text_or_none(&mut self, text: Option<&str>) -> &mut Self {
        // PostgreSQL's text holds everything but this one character.
        let text = text.map(|text| text.replace('\0', "\u{fffd}").into_boxed_str());
        match self.next(text.as_deref().map_or(0, str::len)) {
            Column::Text(values) => values.push(text),
            other => unreachable!("a text for {other:?}"),
        }
        self
    }
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.text_or_none(Some(text))
    }
    pub(super) fn number_or_none(&mut self, number: Option<i64>) -> &mut Self {
        match self.next(size_of::<i64>()) {
            Column::Number(values) => values.push(number),
            other => unreachable!("a number for {other:?}"),
        }
        self
    }
    pub(super) fn number(&mut self, number: i64) -> &mut Self {
        self.number_or_none(Some(number))
    }
    /// A count or an offset.
    pub(super) fn count(&mut self, count: u64) -> &mut Self {
        self.number(count.cast_signed())
    }
    pub(super) fn flag_or_none(&mut self, flag: Option<bool>) -> &mut Self {
        match self.next(1) {
            Column::Flag(values) => values.push(flag),
            other => unreachable!("a flag for {other:?}"),
        }
        self
    }
    pub(super) fn flag(&mut self, flag: bool) -> &mut Self {
        self.flag_or_none(Some(flag))
    }
    pub(super) fn bytes_or_none(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        match self.next(bytes.map_or(0, <[u8]>::len)) {
            Column::Bytes(values) => values.push(bytes.map(<[u8]>::to_vec)),
            other => unreachable!("bytes for {other:?}"),
        }
        self
    }
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes_or_none(Some(bytes))
    }
    /// The row as the fold has it.
    pub(super) fn whole(&mut self, row: &impl serde::Serialize) -> &mut Self {
        self.bytes(&postcard::to_stdvec(row).expect("a row is encoded into memory"))
    }
    pub(super) fn amount_or_none<T: Amount>(&mut self, amount: Option<T>) -> &mut Self {
        match self.next(size_of::<Decimal>()) {
            Column::Amount(values) => values.push(amount.map(Amount::decimal)),
            other => unreachable!("an amount for {other:?}"),
        }
        self
    }
    pub(super) fn amount(&mut self, amount: impl Amount) -> &mut Self {
        self.amount_or_none(Some(amount))
    }
    pub(super) fn day_or_none(&mut self, day: Option<Date>) -> &mut Self {
        match self.next(size_of::<i32>()) {
            Column::Day(values) => values.push(day.map(day_of)),
            other => unreachable!("a day for {other:?}"),
        }
        self
    }
    pub(super) fn day(&mut self, day: Date) -> &mut Self {
        self.day_or_none(Some(day))
    }
    pub(super) fn time_or_none(&mut self, time: Option<Timestamp>) -> &mut Self {
        match self.next(size_of::<i64>()) {
            Column::Time(values) => values.push(time.map(time_of)),
            other => unreachable!("a time for {other:?}"),
        }
        self
    }
    pub(super) fn time(&mut self, time: Timestamp) -> &mut Self {
        self.time_or_none(Some(time))
    }

    /// Inserts these rows, or puts them in the place of those with their keys.
    pub(super) async fn put(&self, table: &Table, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.run(put_sql(table), connection).await
    }

    /// Inserts these rows, none of which is there.
    pub(super) async fn insert(&self, table: &Table, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.run(insert_sql(table), connection).await
    }

    /// Deletes the rows with these keys.
    pub(super) async fn delete(&self, table: &Table, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.run(delete_sql(table), connection).await
    }

    async fn run(&self, sql: String, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut from = 0;
        while from < self.len() {
            let mut bytes = 0;
            let fits = |size: &&usize| {
                let fits = bytes < STATEMENT_BYTES_MAX;
                bytes += **size;
                fits
            };
            let upto = from + self.sizes[from..].iter().take(STATEMENT_ROWS_MAX).take_while(fits).count();
            let mut query = sqlx::query(AssertSqlSafe(sql.clone()));
            for column in &self.columns {
                query = column.bind(query, from..upto);
            }
            query.execute(&mut *connection).await?;
            from = upto;
        }
        Ok(())
    }

    /// A query of these rows, for a statement that begins with its own text and takes them from `{rows}`.
    #[cfg(test)]
    pub(super) fn query<'q>(&'q self, sql: String) -> Query<'q, sqlx::Postgres, PgArguments> {
        let query = sqlx::query(AssertSqlSafe(sql));
        self.columns.iter().fold(query, |query, column| column.bind(query, 0..self.len()))
    }
}

fn names(columns: &[(&str, Kind)]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// `unnest($1::text[], $2::bigint[])` for these columns.
pub(super) fn unnest<'a>(columns: impl Iterator<Item = &'a (&'static str, Kind)>) -> String {
    let arrays: Vec<_> = (1..).zip(columns).map(|(at, (_, kind))| format!("${at}::{}", kind.array())).collect();
    format!("unnest({})", arrays.join(", "))
}

fn insert_sql(table: &Table) -> String {
    let Table { name, key, rest } = table;
    let all = [*key, *rest].concat();
    format!("insert into {name} ({}) select * from {}", names(&all), unnest(all.iter()))
}

fn put_sql(table: &Table) -> String {
    let Table { key, rest, .. } = table;
    let mut sql = insert_sql(table);
    write!(sql, " on conflict ({}) do ", names(key)).expect("a text takes everything");
    if rest.is_empty() {
        sql.push_str("nothing");
    } else {
        let set: Vec<_> = rest.iter().map(|(name, _)| format!("{name} = excluded.{name}")).collect();
        write!(sql, "update set {}", set.join(", ")).expect("a text takes everything");
    }
    sql
}

fn delete_sql(table: &Table) -> String {
    let Table { name, key, .. } = table;
    let same: Vec<_> = key.iter().map(|(key, _)| format!("{name}.{key} = gone.{key}")).collect();
    format!("delete from {name} using {} as gone ({}) where {}", unnest(key.iter()), names(key), same.join(" and "))
}

/// A figure that is kept as an exact decimal.
pub(super) trait Amount {
    fn decimal(self) -> Decimal;
}

macro_rules! amounts {
    ($($amount:ident),*) => { $(
        impl Amount for $amount {
            fn decimal(self) -> Decimal {
                Decimal::new(self.smallest(), $amount::SCALE)
            }
        }
    )* };
}
amounts!(Money, Price, Nav, Units, Percent);

/// A day in PostgreSQL's calendar.
pub(super) fn day_of(day: Date) -> time::Date {
    let (year, month, day) = day.ymd();
    let month = time::Month::try_from(month).expect("a month of a day");
    time::Date::from_calendar_date(year, month, day).expect("a day is in the calendar")
}

/// A time as PostgreSQL takes it; one that no calendar reaches is the last it has.
pub(super) fn time_of(time: Timestamp) -> OffsetDateTime {
    let read = OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.micros()) * 1_000);
    read.unwrap_or(time::PrimitiveDateTime::MAX.assume_utc())
}
