//! What a partition's writer writes about: accounts or the market. The writer itself knows neither.

use std::sync::Arc;
use crate::{known::Key, outcome::Outcome, queue::Prepared};
use bytes::Bytes;
use domain::{rejection::Refusal, time::Timestamp};
use event_log::{RecordKind, Stored, TEXT_BYTES_MAX, Topic};
use tokio::sync::watch;

/// The state that deciding needs and the way from a command to an entry.
///
/// Between [`Subject::reset`] and the first [`Subject::answer`] it is what the live entries say;
/// after that it runs ahead of the log until the writer resets it.
pub(crate) trait Subject: Send + 'static {
    /// Where its entries are kept.
    const TOPIC: Topic;
    /// What its entries are.
    const KIND: RecordKind;
    /// What callers submit.
    type Item: Send + 'static;

    /// Back to before the first entry.
    fn reset(&mut self);

    /// Folds a live entry as it was read.
    ///
    /// # Errors
    /// In words, when it cannot be read or does not follow what was folded.
    fn replay(&mut self, stored: &Stored) -> Result<Replayed, String>;

    /// All that was recorded is folded.
    fn replayed(&mut self);

    /// Decides, writes and folds one command.
    ///
    /// # Errors
    /// [`Broken`] when folding failed: the state is of no use until it is reset.
    fn answer(&mut self, command: &Prepared<Self::Item>, how: How, place: Place) -> Result<Written, Broken>;

    /// When [`Subject::due`] next has something.
    fn next_due(&self) -> Option<Timestamp> {
        None
    }

    /// Work that time has made due, at most `limit`, without what `is_known`.
    fn due(&mut self, _now: Timestamp, _limit: usize, _is_known: &dyn Fn(&Key) -> bool) -> Vec<Prepared<Self::Item>> {
        Vec::new()
    }

    /// Changes when due times may have changed for a reason other than an entry.
    fn wakes(&self) -> Option<watch::Receiver<u64>> {
        None
    }

    /// Looks at all due times again.
    fn woken(&mut self) {}
}

/// What a live entry adds to what is known by key.
pub(crate) struct Replayed {
    pub key: Key,
    pub content: [u8; 16],
}

/// How a command is to be answered.
#[derive(Debug)]
pub(crate) enum How {
    /// By deciding.
    Decide,
    /// The key was used before for the same, by the entry with this `seq`.
    Repeat(u64),
    /// With this refusal.
    Refuse(Refusal),
}

/// What the writer says about the entry to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Where it will stand if nothing comes between.
    pub offset: u64,
    pub source: i64,
    pub recorded_at: Timestamp,
}

/// An entry, written and folded.
pub(crate) struct Written {
    pub key: Box<str>,
    pub ce_id: Box<str>,
    pub kinds: Arc<str>,
    pub value: Bytes,
    pub seq: u64,
    pub outcome: Outcome,
}

/// Folding failed half-way.
#[derive(Debug)]
pub(crate) struct Broken;

/// The kinds header; event types once each, if there are more events than a header holds.
pub(crate) fn bounded_kinds(kinds: String) -> Arc<str> {
    if kinds.len() <= TEXT_BYTES_MAX {
        return kinds.into();
    }
    let mut distinct: Vec<&str> = Vec::new();
    for kind in kinds.split(',') {
        if !distinct.contains(&kind) {
            distinct.push(kind);
        }
    }
    distinct.join(",").into()
}

/// A hash as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

/// Reads [`hex`] of 16 bytes.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}
