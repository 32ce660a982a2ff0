//! Questions to the journal's table: where an account's entries are, and which entry answered a command; folds nothing.

use super::{Failure, Postgres, checkpoint::timestamp};
use crate::Error;
use domain::{ids::AccountId, time::Timestamp};
use sqlx::Row;

/// The most entries or offsets of one answer.
const ANSWER_MAX: usize = 4_096;

/// An entry as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Whose.
    pub account: Box<str>,
    /// Counts the account's entries from 1.
    pub seq: u64,
    /// In which partition.
    pub partition: u32,
    /// Where in it.
    pub offset: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Names of its events, as the record's headers have them.
    pub kinds: Box<str>,
    /// Its bytes, as they are in the log.
    pub value: Vec<u8>,
}

impl Postgres {
    /// The entry that first answered the command with this hash (`event_schemas::key_hash` of an account, a role and a
    /// command's id); `None` when no entry that is folded did.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn journal_by_key(&self, account: &AccountId, hash: &[u8; 16]) -> Result<Option<JournalEntry>, Error> {
        let read = async {
            let find = sqlx::query(
                "select account, seq, partition, entry_offset, recorded_at, kinds, value from journal
                 where account = $1 and key_hash = $2 order by entry_offset limit 1",
            );
            let found = find.bind(account.as_str()).bind(&hash[..]).fetch_optional(self.database.pool()).await?;
            let Some(row) = found else { return Ok(None) };
            Ok(Some(JournalEntry {
                account: row.try_get::<String, _>("account")?.into(),
                seq: row.try_get::<i64, _>("seq")?.cast_unsigned(),
                partition: row.try_get::<i32, _>("partition")?.cast_unsigned(),
                offset: row.try_get::<i64, _>("entry_offset")?.cast_unsigned(),
                recorded_at: timestamp(row.try_get("recorded_at")?),
                kinds: row.try_get::<String, _>("kinds")?.into(),
                value: row.try_get("value")?,
            }))
        };
        self.answer(read).await
    }

    /// Where in its partition an account's live entries are, from an offset on, ascending, at most `max`.
    ///
    /// Bounded also by 4096; fewer than `max` is the end only below that. Unlike the log's own index, it names no
    /// record that does not count.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn journal_offsets(&self, account: &AccountId, from: u64, max: usize) -> Result<Vec<u64>, Error> {
        let read = async {
            let all = sqlx::query_scalar(
                "select entry_offset from journal where account = $1 and entry_offset >= $2
                 order by entry_offset limit $3",
            );
            let all = all.bind(account.as_str()).bind(i64::try_from(from).unwrap_or(i64::MAX));
            let limit = i64::try_from(max.min(ANSWER_MAX)).unwrap_or(i64::MAX);
            let offsets: Vec<i64> = all.bind(limit).fetch_all(self.database.pool()).await.map_err(Failure::Sql)?;
            Ok(offsets.into_iter().map(i64::cast_unsigned).collect())
        };
        self.answer(read).await
    }
}
