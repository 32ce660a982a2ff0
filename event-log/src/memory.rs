//! The log in memory: a real one, for tests, that can be told to fail; durable only until dropped.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::{
    BoxFuture, Error, EventLog, Follow, Follower, READ_RECORDS_MAX, Record, Stored, Topic, check_append,
    live::{End, FOLLOW_RECORDS_MAX, past, within_limits},
};

/// The most appends that wait behind one gate.
const WAITING_APPENDS_MAX: usize = 65_536;

/// A log in memory. Clones share it, as processes share a broker.
#[derive(Clone)]
pub struct Memory {
    inner: Arc<Inner>,
}

struct Inner {
    partitions: u32,
    commands_id: Uuid,
    lanes: HashMap<(Topic, u32), Arc<Lane>>,
    faults: Mutex<VecDeque<Fault>>,
    read_faults: Mutex<VecDeque<Error>>,
}

/// What happens to the next append, to whichever partition it goes.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It goes well; to fail a later one.
    None,
    /// It fails with this error and nothing lands.
    FailBefore(Error),
    /// All of it lands, and it fails with this error, as when an answer is lost.
    FailAfter(Error),
    /// Only the first so many records land, and it fails with this error; no store with
    /// transactions does so, a broker may.
    Cut(usize, Error),
    /// It lands, and behind it what was appended to its partition since, when the gate is opened.
    Delay(Gate),
}

impl Memory {
    /// An empty log with so many partitions in each topic, at least one.
    pub fn new(partitions: u32) -> Memory {
        Memory::of(partitions.max(1), Uuid::new_v4())
    }

    fn of(partitions: u32, commands_id: Uuid) -> Memory {
        let places = Topic::ALL.into_iter().flat_map(|topic| (0..partitions).map(move |p| (topic, p)));
        let inner = Inner {
            partitions,
            commands_id,
            lanes: places.map(|place| (place, Arc::default())).collect(),
            faults: Mutex::default(),
            read_faults: Mutex::default(),
        };
        Memory { inner: Arc::new(inner) }
    }

    /// Another log of as many partitions for what this one answers.
    pub fn requests(&self) -> Memory {
        let Inner { partitions, commands_id, .. } = *self.inner;
        Memory::of(partitions, commands_id)
    }

    /// Queues what happens to one of the next appends, in order.
    pub fn inject(&self, fault: Fault) {
        self.inner.faults.lock().push_back(fault);
    }

    /// Makes one of the next reads, also those of followers, fail.
    pub fn fail_read(&self, error: Error) {
        self.inner.read_faults.lock().push_back(error);
    }

    /// Ends every following once it has given all there is, and refuses appends.
    pub fn close(&self) {
        for lane in self.inner.lanes.values() {
            lane.end.send_modify(|end| end.closed = true);
        }
    }
}

impl Inner {
    fn lane(&self, topic: Topic, partition: u32) -> Result<&Arc<Lane>, Error> {
        self.lanes.get(&(topic, partition)).ok_or(Error::NoPartition { topic, partition })
    }

    fn read(&self, topic: Topic, partition: u32, from: u64, max: usize) -> Answer {
        let lane = self.lane(topic, partition)?;
        if let Some(error) = self.read_faults.lock().pop_front() {
            return Err(error);
        }
        let state = lane.state.lock();
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(state.records.len());
        Ok(within_limits(state.records[from..].iter(), max))
    }
}

type Answer = Result<Vec<Arc<Stored>>, Error>;

impl EventLog for Memory {
    fn partitions(&self, _topic: Topic) -> u32 {
        self.inner.partitions
    }

    fn commands_id(&self) -> Uuid {
        self.inner.commands_id
    }

    fn append(
        &self,
        topic: Topic,
        partition: u32,
        at: Option<u64>,
        records: Vec<Record>,
    ) -> BoxFuture<'_, Result<u64, Error>> {
        let lane = self.inner.lane(topic, partition).cloned();
        let accepted = lane.and_then(|lane| check_append(&records).map(|()| lane));
        let lane = match accepted {
            Ok(lane) => lane,
            Err(error) => return std::future::ready(Err(error)).boxed(),
        };
        let fault = self.inner.faults.lock().pop_front().unwrap_or(Fault::None);
        let (answer, answered) = oneshot::channel();
        lane.take(Append { at, records, fault, answer });
        async { answered.await.unwrap_or(Err(Error::Closed)) }.boxed()
    }

    fn read(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        std::future::ready(self.inner.read(topic, partition, from, max)).boxed()
    }

    fn read_at(
        &self,
        topic: Topic,
        partition: u32,
        offsets: Vec<u64>,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        let answer = self.inner.lane(topic, partition).map(|lane| {
            let state = lane.state.lock();
            let at = |offset: &u64| state.records.get(usize::try_from(*offset).ok()?);
            within_limits(offsets.iter().filter_map(at), READ_RECORDS_MAX)
        });
        std::future::ready(answer).boxed()
    }

    fn offsets_of(
        &self,
        topic: Topic,
        partition: u32,
        key: &str,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<u64>, Error>> {
        let answer = self.inner.lane(topic, partition).map(|lane| {
            let state = lane.state.lock();
            let all = state.by_key.get(key).map_or(&[][..], Vec::as_slice);
            let past = all.partition_point(|offset| *offset < from);
            all[past..].iter().copied().take(max.min(READ_RECORDS_MAX)).collect()
        });
        std::future::ready(answer).boxed()
    }

    fn tail(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<u64, Error>> {
        let end = self.inner.lane(topic, partition).map(|lane| lane.end.borrow().offset);
        std::future::ready(end).boxed()
    }

    fn follow(&self, topic: Topic, partition: u32, from: u64) -> Follow {
        let inner = Arc::clone(&self.inner);
        let ends = inner.lane(topic, partition).map(|lane| lane.end.subscribe()).ok();
        Follow::new(MemoryFollower { inner, topic, partition, next: from, ends })
    }
}

struct MemoryFollower {
    inner: Arc<Inner>,
    topic: Topic,
    partition: u32,
    next: u64,
    /// None if there is no such partition, which reading says.
    ends: Option<watch::Receiver<End>>,
}

impl Follower for MemoryFollower {
    fn next(&mut self) -> BoxFuture<'_, Answer> {
        async {
            if let Some(ends) = &mut self.ends {
                past(ends, self.next).await?;
            }
            let batch = self.inner.read(self.topic, self.partition, self.next, FOLLOW_RECORDS_MAX)?;
            self.next += batch.len() as u64;
            Ok(batch)
        }
        .boxed()
    }
}

/// One partition of one topic.
struct Lane {
    state: Mutex<State>,
    end: watch::Sender<End>,
}

impl Default for Lane {
    fn default() -> Lane {
        let end = watch::Sender::new(End { offset: 0, closed: false });
        Lane { state: Mutex::default(), end }
    }
}

#[derive(Default)]
struct State {
    records: Vec<Arc<Stored>>,
    by_key: HashMap<Box<str>, Vec<u64>>,
    /// Appends behind a gate, in the order of their calls; the first is delayed.
    waiting: VecDeque<Append>,
}

struct Append {
    at: Option<u64>,
    records: Vec<Record>,
    fault: Fault,
    answer: oneshot::Sender<Result<u64, Error>>,
}

impl Lane {
    fn take(self: &Arc<Self>, append: Append) {
        let mut state = self.state.lock();
        if state.waiting.len() >= WAITING_APPENDS_MAX {
            // Whoever asked may have gone away.
            append.answer.send(Err(Error::Busy)).unwrap_or_default();
            return;
        }
        state.waiting.push_back(append);
        if state.waiting.len() == 1 {
            self.land_waiting(&mut state);
        }
    }

    /// Lands what waits, up to the first append whose gate is shut.
    fn land_waiting(self: &Arc<Self>, state: &mut State) {
        while let Some(first) = state.waiting.front() {
            if let Fault::Delay(gate) = &first.fault
                && gate.holds(self)
            {
                return;
            }
            let Some(Append { at, records, fault, answer }) = state.waiting.pop_front() else { return };
            let landed =
                if self.end.borrow().closed { Err(Error::Closed) } else { self.land(state, at, records, fault) };
            // Whoever asked may have gone away; what landed stays.
            answer.send(landed).unwrap_or_default();
        }
    }

    fn land(&self, state: &mut State, at: Option<u64>, mut records: Vec<Record>, fault: Fault) -> Result<u64, Error> {
        let first = state.records.len() as u64;
        if at.is_some_and(|at| at != first) {
            return Err(Error::NotTheEnd { end: first });
        }
        let failure = match fault {
            Fault::None | Fault::Delay(_) => None,
            Fault::FailBefore(error) => return Err(error),
            Fault::FailAfter(error) => Some(error),
            Fault::Cut(landing, error) => {
                records.truncate(landing);
                Some(error)
            }
        };
        for (record, offset) in records.into_iter().zip(first..) {
            if let Some(key) = &record.key {
                state.by_key.entry(key.clone()).or_default().push(offset);
            }
            state.records.push(Arc::new(Stored { offset, record }));
        }
        let offset = state.records.len() as u64;
        self.end.send_modify(|end| end.offset = offset);
        failure.map_or(Ok(first), Err)
    }
}

/// Holds a delayed append back until it is opened.
#[derive(Clone, Default)]
pub struct Gate {
    state: Arc<Mutex<GateState>>,
}

#[derive(Default)]
struct GateState {
    open: bool,
    held: Vec<Arc<Lane>>,
}

impl Gate {
    /// A gate that is shut.
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Opens it for good; when this returns, what it held has landed.
    pub fn open(&self) {
        let held = {
            let mut state = self.state.lock();
            state.open = true;
            std::mem::take(&mut state.held)
        };
        for lane in held {
            let mut state = lane.state.lock();
            lane.land_waiting(&mut state);
        }
    }

    /// Whether it is shut, and will tell the lane when it opens.
    fn holds(&self, lane: &Arc<Lane>) -> bool {
        let mut state = self.state.lock();
        if !state.open {
            state.held.push(Arc::clone(lane));
        }
        !state.open
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Gate").field("open", &self.state.lock().open).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::record;

    fn unknown() -> Error {
        Error::Unknown { reason: "injected".to_owned() }
    }

    async fn append(log: &Memory, numbers: std::ops::Range<i64>) -> Result<u64, Error> {
        let records = numbers.map(|number| record("ACC1", number)).collect();
        log.append(Topic::Ledger, 0, None, records).await
    }

    async fn tail(log: &Memory) -> u64 {
        log.tail(Topic::Ledger, 0).await.expect("there is a tail")
    }

    #[tokio::test]
    async fn an_injected_failure_lands_nothing_all_or_a_part_as_told() {
        let log = Memory::new(1);
        log.inject(Fault::None);
        log.inject(Fault::FailBefore(Error::Full));
        log.inject(Fault::FailAfter(unknown()));
        log.inject(Fault::Cut(1, unknown()));
        assert_eq!(append(&log, 0..1).await.expect("it lands"), 0);
        assert!(matches!(append(&log, 1..3).await, Err(Error::Full)));
        assert_eq!(tail(&log).await, 1);
        assert!(matches!(append(&log, 1..3).await, Err(Error::Unknown { .. })));
        assert_eq!(tail(&log).await, 3);
        assert!(matches!(append(&log, 3..6).await, Err(Error::Unknown { .. })));
        assert_eq!(tail(&log).await, 4);
        assert_eq!(append(&log, 4..5).await.expect("it lands"), 4);
    }

    #[tokio::test]
    async fn a_delayed_append_holds_those_behind_it_until_the_gate_opens() {
        let log = Memory::new(2);
        let gate = Gate::new();
        log.inject(Fault::Delay(gate.clone()));
        let first = log.append(Topic::Ledger, 0, None, vec![record("ACC1", 0)]);
        let second = log.append(Topic::Ledger, 0, Some(1), vec![record("ACC1", 1)]);
        let elsewhere = log.append(Topic::Ledger, 1, None, vec![record("ACC2", 0)]);
        assert_eq!(elsewhere.await.expect("another partition goes on"), 0);
        assert_eq!(tail(&log).await, 0);
        gate.open();
        assert_eq!(tail(&log).await, 2);
        assert_eq!(second.await.expect("it lands"), 1);
        assert_eq!(first.await.expect("it lands"), 0);
    }

    #[tokio::test]
    async fn an_injected_read_failure_reaches_the_follower_who_may_go_on() {
        let log = Memory::new(1);
        append(&log, 0..1).await.expect("it lands");
        log.fail_read(Error::Busy);
        let mut follow = log.follow(Topic::Ledger, 0, 0);
        assert!(matches!(follow.next().await, Err(Error::Busy)));
        assert_eq!(follow.next().await.expect("a follower goes on").len(), 1);
    }
}
