//! One canonical text for each row of each view, the form that state hashes are made of.
//!
//! A row is the view's key and figures between tabs, ended by a line feed. Absent figures are empty;
//! free text stands behind `=` with its controls escaped, so that no two rows share a text. Amounts
//! have one decimal text each. Refuses to know offsets, clocks and storage.

use std::fmt::Write;

/// Rows of one view, written one behind the other.
#[derive(Default)]
pub struct Rows {
    bytes: Vec<u8>,
}

impl Rows {
    /// Starts a row of this kind.
    pub(crate) fn row(&mut self, kind: &str) -> Row<'_> {
        self.bytes.extend_from_slice(kind.as_bytes());
        Row { bytes: &mut self.bytes }
    }
    /// What was written so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// Forgets what was written and keeps the room.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// A row being written; ends when dropped.
pub(crate) struct Row<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Row<'_> {
    /// An id or a name of a closed list: never empty, never a control.
    pub(crate) fn id(&mut self, id: &str) -> &mut Self {
        self.bytes.push(b'\t');
        self.bytes.extend_from_slice(id.as_bytes());
        self
    }
    /// Ids one behind the other.
    pub(crate) fn ids(&mut self, ids: &[&str]) -> &mut Self {
        for id in ids {
            self.id(id);
        }
        self
    }
    /// An id that may be absent.
    pub(crate) fn id_or_none(&mut self, id: Option<&str>) -> &mut Self {
        self.id(id.unwrap_or_default())
    }
    /// Free text that may be absent.
    pub(crate) fn text(&mut self, text: Option<&str>) -> &mut Self {
        self.bytes.push(b'\t');
        if let Some(text) = text {
            self.bytes.push(b'=');
            for byte in text.bytes() {
                match byte {
                    b'\\' => self.bytes.extend_from_slice(b"\\\\"),
                    b'\t' => self.bytes.extend_from_slice(b"\\t"),
                    b'\n' => self.bytes.extend_from_slice(b"\\n"),
                    byte => self.bytes.push(byte),
                }
            }
        }
        self
    }
    /// A count.
    pub(crate) fn number(&mut self, number: impl Into<i128>) -> &mut Self {
        self.show(number.into())
    }
    /// A figure with a text of its own.
    pub(crate) fn show(&mut self, figure: impl std::fmt::Display) -> &mut Self {
        self.bytes.push(b'\t');
        write!(Utf8(self.bytes), "{figure}").expect("a buffer takes everything");
        self
    }
    /// A figure that may be absent.
    pub(crate) fn show_or_none(&mut self, figure: Option<impl std::fmt::Display>) -> &mut Self {
        match figure {
            Some(figure) => self.show(figure),
            None => self.id(""),
        }
    }
    /// Bytes as hex.
    pub(crate) fn hex(&mut self, bytes: &[u8]) -> &mut Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.bytes.push(b'\t');
        for byte in bytes {
            self.bytes.push(DIGITS[usize::from(byte >> 4)]);
            self.bytes.push(DIGITS[usize::from(byte & 15)]);
        }
        self
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        self.bytes.push(b'\n');
    }
}

struct Utf8<'a>(&'a mut Vec<u8>);

impl Write for Utf8<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
