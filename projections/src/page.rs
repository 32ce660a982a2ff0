//! Pages of a list: a limit, an opaque cursor, and what comes back; knows no list in particular.

use crate::{Error, position};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

/// Items on a page unless asked otherwise.
pub const LIMIT_DEFAULT: usize = 100;

/// The most items on a page: an answer stays well below a megabyte.
pub const LIMIT_MAX: usize = 1000;

/// Longest cursor read; the longest key in one is a scheme and a folio.
const CURSOR_BYTES_MAX: usize = 256;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// How many items; [`LIMIT_DEFAULT`] unless given, at most [`LIMIT_MAX`].
    pub limit: Option<usize>,
    /// Where the page before ended, as it said.
    pub cursor: Option<&'a str>,
}

impl Page<'_> {
    /// How many items the page has at most.
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)
    }

    /// The number that the page before ended with.
    pub(crate) fn number(&self) -> Result<Option<u64>, Error> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        let bytes = decode(cursor)?;
        let mut rest = bytes.as_slice();
        match position::take(&mut rest) {
            Some(number) if rest.is_empty() => Ok(Some(number)),
            _ => Err(Error::Cursor),
        }
    }

    /// The key that the page before ended with.
    pub(crate) fn key(&self) -> Result<Option<String>, Error> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        String::from_utf8(decode(cursor)?).map(Some).map_err(|_| Error::Cursor)
    }
}

fn decode(cursor: &str) -> Result<Vec<u8>, Error> {
    if cursor.len() > CURSOR_BYTES_MAX {
        return Err(Error::Cursor);
    }
    URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::Cursor)
}

/// A cursor that holds a number.
pub(crate) fn after_number(last: u64) -> String {
    let mut bytes = Vec::new();
    position::number(&mut bytes, last);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A cursor that holds a key.
pub(crate) fn after_key(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(last)
}

/// A page of a list.
#[derive(Clone, Debug, Serialize)]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// Asks for the items after these; null at the end.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// At most `limit` of these; the cursor names the last of them when there are more.
    pub(crate) fn take(mut items: impl Iterator<Item = T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let taken: Vec<T> = items.by_ref().take(limit).collect();
        let next_cursor = items.next().and_then(|_| taken.last().map(cursor));
        Self { items: taken, next_cursor }
    }

    /// With this cursor, if the list does not go on by itself.
    pub(crate) fn or_on(mut self, cursor: impl FnOnce() -> Option<String>) -> Self {
        self.next_cursor = self.next_cursor.or_else(cursor);
        self
    }
}
