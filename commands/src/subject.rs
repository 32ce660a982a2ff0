//! What a partition's writer writes about: accounts or the market. The writer itself knows neither.

use crate::{known::Key, outcome::Outcome, queue::Prepared};
use bytes::Bytes;
use domain::{rejection::Refusal, time::Timestamp};
use event_log::{
    Record, RecordKind, Stored, TEXT_BYTES_MAX, Topic,
    snapshot::{Due, Item},
};
use std::sync::Arc;
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

    /// A command as it travels to a writer in another process.
    fn request(command: &Prepared<Self::Item>) -> Record;

    /// Reads [`Subject::request`].
    ///
    /// # Errors
    /// In words, when it is no command that this release reads.
    fn read_request(stored: &Stored) -> Result<Prepared<Self::Item>, String>;

    /// The step of a trace that a command follows.
    fn traceparent(_item: &Self::Item) -> Option<&str> {
        None
    }

    /// The next offset of each market partition that deciding must have reached.
    fn wanted_market(_item: &Self::Item) -> Option<&[u64]> {
        None
    }

    /// What a live entry says to whoever waits for it.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn seen(value: &[u8]) -> Result<Seen, String>;

    /// Back to before the first entry.
    fn reset(&mut self);

    /// Folds a live entry as it was read.
    ///
    /// # Errors
    /// In words, when it cannot be read or does not follow what was folded.
    fn replay(&mut self, stored: &Stored) -> Result<Replayed, String>;

    /// Whether all items of a snapshot are taken in where it begins, rather than each when it is needed.
    const IS_WHOLE: bool = false;

    /// The reader's name and the version of its snapshots; `None` if it is always folded from the start.
    fn snapshots() -> Option<(&'static str, String)> {
        None
    }

    /// To where a snapshot ends, instead of [`Subject::reset`]; when its items are due comes with it.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn restore(&mut self, _blob: &[u8], _due: Vec<Due>) -> Result<(), String> {
        Ok(())
    }

    /// What must be [`Subject::warm`] before entries with this key are folded, or commands decided.
    fn cold(&self, _key: &str) -> Option<Box<str>> {
        None
    }

    /// The key of the entry that a command will get.
    fn key(_item: &Self::Item) -> Box<str> {
        Box::default()
    }

    /// Takes in an item of a snapshot; nothing, if it has none.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn warm(&mut self, _key: &str, _item: Option<&[u8]>) -> Result<(), String> {
        Ok(())
    }

    /// All items are taken in. While they were read somebody else may have saved, so some may hold entries beyond where
    /// the state ends, but none from this offset on.
    fn whole(&mut self, _end: u64) {}

    /// Lets go of what is saved and was not used of late, if it holds more than it should.
    fn cool(&mut self) {}

    /// What changed since the last hand-over; called only when nothing is ahead of the log.
    fn hand_over(&mut self) -> Encode {
        Box::new(|| Ok(Default::default()))
    }

    /// Whether what was handed over last is saved; if not, it is handed over again.
    fn saved(&mut self, _saved: bool) {}

    /// What of the work that is due is cold, at most `limit`.
    fn due_cold(&self, _now: Timestamp, _limit: usize) -> Vec<Box<str>> {
        Vec::new()
    }

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

    /// Work that time has made due, at most `limit`, without what `is_known`; looked at again after the next entry about
    /// the same item, or at `again`.
    fn due(
        &mut self,
        _now: Timestamp,
        _limit: usize,
        _again: Option<Timestamp>,
        _is_known: &dyn Fn(&Key) -> bool,
    ) -> Vec<Prepared<Self::Item>> {
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
    /// Whether it is the first under its key.
    pub first: bool,
}

/// What an entry says to whoever waits for it.
pub(crate) struct Seen {
    pub replayed: Replayed,
    /// Whether it repeats an earlier one, which holds the outcome.
    pub repeat: bool,
    pub outcome: Outcome,
}

/// Makes items and a state's blob of what changed, beside the writer's work.
pub(crate) type Encode = Box<dyn FnOnce() -> Result<(Vec<Item>, Bytes), String> + Send>;

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
