//! Lines and fields of delimited text as exchanges write it; knows no format's meaning.
//!
//! The `csv` crate is not used: it joins lines at a stray quote, so one corrupt row would swallow
//! the rows after it, and it counts lines wrongly after blank ones. None of these formats can hold
//! a delimiter or a line break within a field.

use crate::{Error, FILE_MAX_BYTES, RowError};
use domain::time::Date;
use std::{borrow::Cow, fmt::Display};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Longest text quoted in an error, so that a line of garbage does not become a page of it.
const QUOTED_MAX_CHARS: usize = 40;

/// The lines that hold more than blanks and delimiters, numbered from 1, without line ends and byte order mark.
pub fn lines(bytes: &[u8]) -> Result<impl Iterator<Item = (usize, Cow<'_, str>)>, Error> {
    if bytes.len() > FILE_MAX_BYTES {
        return Err(Error::TooLarge { bytes: bytes.len() });
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let says_something = |line: &[u8]| line.iter().any(|byte| !byte.is_ascii_whitespace() && !b",;".contains(byte));
    Ok(lines.filter(move |(_, line)| says_something(line)).map(|(at, line)| (at + 1, decode(line))))
}

/// UTF-8, or else Latin-1, in which every byte is a character.
fn decode(line: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(line.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// One line's fields, without blanks and quotes around them.
pub struct Fields<'a> {
    pub line: usize,
    values: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    pub fn new(line: usize, text: &'a str, delimiter: char) -> Self {
        let bare = |field: &'a str| {
            let field = field.trim();
            field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).map_or(field, str::trim)
        };
        Self { line, values: text.split(delimiter).map(bare).collect() }
    }
    /// The first column whose heading is one of these names, letter case aside.
    pub fn position(&self, names: &[&str]) -> Option<usize> {
        self.values.iter().position(|value| names.iter().any(|name| value.eq_ignore_ascii_case(name)))
    }
    pub fn first(&self) -> &'a str {
        self.values.first().copied().unwrap_or("")
    }
    pub fn len(&self) -> usize {
        self.values.len()
    }
    /// A field's text.
    pub fn text(&self, column: Column) -> Result<&'a str, RowError> {
        self.values.get(column.at).copied().ok_or_else(|| self.error(Some(column), "is missing: the line is too short"))
    }
    /// A field's text; `None` where the column does not exist or the field is empty or `-`.
    pub fn optional(&self, column: Option<Column>) -> Option<&'a str> {
        self.values.get(column?.at).copied().filter(|text| !text.is_empty() && *text != "-")
    }
    /// A field read as something.
    pub fn read<T, E: Display>(&self, column: Column, read: impl Fn(&str) -> Result<T, E>) -> Result<T, RowError> {
        let text = self.text(column)?;
        read(text).map_err(|problem| self.error(Some(column), format!("'{}' {problem}", quoted(text))))
    }
    /// An optional field read as something.
    pub fn read_optional<T, E: Display>(
        &self,
        column: Option<Column>,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, RowError> {
        match (column, self.optional(column)) {
            (Some(column), Some(_)) => self.read(column, read).map(Some),
            _ => Ok(None),
        }
    }
    pub fn error(&self, column: Option<Column>, problem: impl Into<String>) -> RowError {
        RowError { line: self.line, column: column.map(|column| column.name), problem: problem.into() }
    }
}

/// Where a format's column stands in a file, and its name in errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    pub name: &'static str,
    at: usize,
}

impl Column {
    /// The column that a header line gives one of these names; the first names it in errors.
    pub fn find(header: &Fields<'_>, names: &[&'static str]) -> Option<Self> {
        header.position(names).map(|at| Self { name: names[0], at })
    }
    /// As `find`, for a column without which the file cannot be read.
    pub fn need(kind: &'static str, header: &Fields<'_>, names: &[&'static str]) -> Result<Self, Error> {
        Self::find(header, names).ok_or_else(|| Error::Header {
            kind,
            problem: format!("line {} has no column {}", header.line, names.join(" or ")),
        })
    }
}

/// At most so much of a text as an error shows, without control characters.
pub fn quoted(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(QUOTED_MAX_CHARS).collect()
}

/// A date as `31-JAN-2018`, in any letter case.
pub fn day_month_year(text: &str) -> Result<Date, &'static str> {
    const RULE: &str = "must be a date as 31-JAN-2018";
    const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let mut parts = text.split('-');
    let (Some(day), Some(month), Some(year), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(RULE);
    };
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(day) || day.len() > 2 || !plain(year) || year.len() != 4 {
        return Err(RULE);
    }
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month)).ok_or(RULE)?;
    let month = u8::try_from(month + 1).map_err(|_| RULE)?;
    Date::from_ymd(year.parse().map_err(|_| RULE)?, month, day.parse().map_err(|_| RULE)?).ok_or(RULE)
}

/// A count of shares; `10.000000` counts, a fraction does not.
pub fn whole(text: &str) -> Result<i64, &'static str> {
    let digits = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        Some((_, fraction)) if !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err("is not a whole number of shares");
        }
        Some(_) => return Err("must be a whole number"),
        None => text,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain { Err("must be a whole number") } else { digits.parse().map_err(|_| "is too large") }
}
