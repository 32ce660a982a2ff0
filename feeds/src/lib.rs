//! Files from outside (bhavcopy, NAVAll, tradebook) read into facts and history; knows no network, no clock and no ledger.
//!
//! Bytes go in, rows and named errors come out; nothing panics on any bytes. What stands inside a
//! file decides, never its name: exchanges serve yesterday's file under today's name on holidays.

pub mod bhavcopy;
pub mod fact_key;
pub mod listing;
pub mod navall;
mod table;
pub mod tradebook;

pub use domain::row_key;

/// Largest file read: NSE's and AMFI's daily files have 0.2 to 2 MB, a tradebook of 100,000 trades 15 MB.
pub const FILE_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Why a whole file is refused; nothing of it is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Split it.
    #[error("the file has {bytes} bytes; at most {FILE_MAX_BYTES} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The file is of another kind, or its format changed.
    #[error("no header of a {kind} was found: {problem}")]
    Header {
        /// What was expected.
        kind: &'static str,
        /// In words.
        problem: String,
    },
}

/// Why a row is not taken; the rows around it are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}{}{}: {problem}", if column.is_some() { ", " } else { "" }, column.unwrap_or(""))]
pub struct RowError {
    /// Line in the file, from 1.
    pub line: usize,
    /// The column by its name in the format, where one is at fault.
    pub column: Option<&'static str>,
    /// In words, with the text at fault.
    pub problem: String,
}

/// A file as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed<T> {
    /// Rows that hold.
    pub rows: Vec<T>,
    /// Rows that cannot be read, or not held exactly, with the reason.
    pub refused: Vec<RowError>,
    /// Rows that read well and state nothing, such as a NAV of `N.A.`, with the reason.
    pub skipped: Vec<RowError>,
    /// Fields left out of rows that are taken all the same, such as a word in place of an ISIN, with the reason.
    pub left_out: Vec<RowError>,
}

impl<T> Default for Parsed<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), refused: Vec::new(), skipped: Vec::new(), left_out: Vec::new() }
    }
}
