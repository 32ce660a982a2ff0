//! Following a partition, and the newest records kept in memory for those who follow.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{BoxFuture, Error, READ_BYTES_MAX, READ_RECORDS_MAX, Stored};

/// The most records kept in memory for the followers of one partition.
const LIVE_RECORDS_MAX: usize = 8192;

/// About what a record costs in memory beside its value.
const RECORD_BYTES: usize = 200;

/// The most records that one batch of a follower holds.
pub(crate) const FOLLOW_RECORDS_MAX: usize = 1024;

/// An endless reading of one partition; see [`crate::EventLog::follow`].
pub struct Follow {
    follower: Box<dyn Follower>,
}

/// What an adapter does to be followed.
pub trait Follower: Send {
    /// The next batch; nothing is lost if the future is dropped before it is ready.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>>;
}

impl Follow {
    /// A following as this adapter does it.
    pub fn new(follower: impl Follower + 'static) -> Follow {
        Follow { follower: Box::new(follower) }
    }

    /// The next records, in order and never none; waits for them.
    ///
    /// Nothing is lost if the future is dropped before it is ready. [`Error::Closed`] once the log
    /// was closed and all was given; any other error may be followed by calling again.
    pub async fn next(&mut self) -> Result<Vec<Arc<Stored>>, Error> {
        self.follower.next().await
    }
}

/// The newest records of one partition and its end, as published by whoever appends.
pub(crate) struct Live {
    newest: Mutex<Newest>,
    end: watch::Sender<End>,
    bytes_max: usize,
}

#[derive(Default)]
struct Newest {
    /// Dense, the last one just before the published end.
    records: VecDeque<Arc<Stored>>,
    bytes: usize,
}

/// How far a partition is published, and whether more can come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// The offset of the next record.
    pub offset: u64,
    /// Whether the log was closed.
    pub closed: bool,
}

impl Live {
    pub(crate) fn new(end: u64, bytes_max: usize) -> Live {
        let end = watch::Sender::new(End { offset: end, closed: false });
        Live { newest: Mutex::default(), end, bytes_max }
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.borrow().offset
    }

    /// Says when the end moves.
    pub(crate) fn watch(&self) -> watch::Receiver<End> {
        self.end.subscribe()
    }

    /// Makes durable records visible; they begin at the published end.
    pub(crate) fn publish(&self, records: &[Arc<Stored>]) {
        let Some(last) = records.last() else { return };
        let mut newest = self.newest.lock();
        for stored in records {
            newest.bytes += size(stored);
            newest.records.push_back(Arc::clone(stored));
        }
        while newest.records.len() > LIVE_RECORDS_MAX || newest.bytes > self.bytes_max {
            let Some(oldest) = newest.records.pop_front() else { break };
            newest.bytes -= size(&oldest);
        }
        drop(newest);
        self.end.send_modify(|end| end.offset = last.offset + 1);
    }

    /// Moves the end over records that are only in the store.
    pub(crate) fn skip_to(&self, offset: u64) {
        let mut newest = self.newest.lock();
        *newest = Newest::default();
        drop(newest);
        self.end.send_modify(|end| end.offset = offset);
    }

    /// Tells followers that nothing more comes.
    pub(crate) fn close(&self) {
        self.end.send_modify(|end| end.closed = true);
    }

    /// Up to `max` records from `from` on, within the port's limits, if memory has the one there.
    pub(crate) fn read(&self, from: u64, max: usize) -> Option<Vec<Arc<Stored>>> {
        let newest = self.newest.lock();
        let first = newest.records.front()?.offset;
        let skip = usize::try_from(from.checked_sub(first)?).ok()?;
        if skip >= newest.records.len() {
            return None;
        }
        Some(within_limits(newest.records.iter().skip(skip), max))
    }
}

/// Waits until the partition reaches past `from`.
pub(crate) async fn past(ends: &mut watch::Receiver<End>, from: u64) -> Result<(), Error> {
    let end = ends.wait_for(|end| end.closed || end.offset > from).await.map_err(|_gone| Error::Closed)?;
    if end.offset > from { Ok(()) } else { Err(Error::Closed) }
}

/// The first `max` of these records, within the limits of one answer.
pub(crate) fn within_limits<'a>(records: impl Iterator<Item = &'a Arc<Stored>>, max: usize) -> Vec<Arc<Stored>> {
    let mut bytes = 0;
    let within = |stored: &&Arc<Stored>| {
        let fits = bytes < READ_BYTES_MAX;
        bytes += stored.record.value.len();
        fits
    };
    records.take(max.min(READ_RECORDS_MAX)).take_while(within).map(Arc::clone).collect()
}

fn size(stored: &Stored) -> usize {
    stored.record.value.len() + RECORD_BYTES
}
