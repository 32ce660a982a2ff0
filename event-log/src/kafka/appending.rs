//! The one thread that appends to a partition: whatever waits while a flight is under way is the next flight.
//!
//! A broker has no conditional append: where a record stands is known when it is delivered. `at` is held against the
//! end as it was seen last, which turns a writer that is behind away before it writes; for what gets past that, the
//! ledger rule says what counts.

use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use rdkafka::{
    ClientContext,
    config::FromClientConfigAndContext,
    producer::{DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};
use tokio::sync::oneshot;

use super::{
    cluster::Cluster,
    flush,
    settings::{self, ANSWER_WAIT, BATCH_BYTES, DELIVERY_WAIT},
    wire,
};
use crate::{APPEND_RECORDS_MAX, Error, Record, Topic};

/// The most records that wait to be appended to a partition; more are refused as busy.
const QUEUE_RECORDS_MAX: usize = 65_536;
/// The most bytes of values that wait.
const QUEUE_BYTES_MAX: usize = 128 << 20;
/// The most bytes of values of appends that share a flight: with keys and headers one batch.
const FLIGHT_BYTES: usize = BATCH_BYTES - BATCH_BYTES / 3;
/// What is so many goes at once: a writer's whole flight, and more of it waits only behind this.
const GATHER_RECORDS: usize = 1_024;
/// How long a flight is gathered, from the last one's start on, for each record of that, and at most: few large flights
/// cost a broker and all followers far less than many small ones, and whoever comes alone waits for nobody.
const GATHER_PER_RECORD: Duration = Duration::from_millis(1);
const GATHER_MAX: Duration = Duration::from_millis(5);

/// An append that waits.
struct Append {
    at: Option<u64>,
    records: Vec<Record>,
    answer: oneshot::Sender<Result<u64, Error>>,
}

impl Append {
    fn answer(self, answer: Result<u64, Error>) {
        // Whoever asked may have gone away.
        self.answer.send(answer).unwrap_or_default();
    }
}

/// What waits to be appended to one partition, in the order of the calls.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    appends: VecDeque<Append>,
    records: usize,
    bytes: usize,
    closed: bool,
}

impl Queue {
    /// Takes an append in, or answers it at once.
    pub(super) fn push(&self, at: Option<u64>, records: Vec<Record>) -> oneshot::Receiver<Result<u64, Error>> {
        let (answer, answered) = oneshot::channel();
        let append = Append { at, records, answer };
        let bytes = bytes_of(&append.records);
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            append.answer(Err(Error::Closed));
        } else if waiting.records + append.records.len() > QUEUE_RECORDS_MAX || waiting.bytes + bytes > QUEUE_BYTES_MAX
        {
            append.answer(Err(Error::Busy));
        } else {
            waiting.records += append.records.len();
            waiting.bytes += bytes;
            waiting.appends.push_back(append);
            // In between the flight is gathered, and its thread left alone.
            if waiting.appends.len() == 1 || waiting.is_full() {
                self.changed.notify_one();
            }
        }
        answered
    }

    /// Takes no more; what waits is still appended.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.changed.notify_one();
    }

    /// As much as fits one flight, once there is something, and more may no longer come before this time; none when
    /// closed and empty.
    fn take(&self, gathered: Instant) -> Option<Vec<Append>> {
        let mut waiting = self.waiting.lock();
        while waiting.appends.is_empty() {
            if waiting.closed {
                return None;
            }
            self.changed.wait(&mut waiting);
        }
        while !waiting.closed && !waiting.is_full() && Instant::now() < gathered {
            self.changed.wait_until(&mut waiting, gathered);
        }
        let (mut taken, mut records, mut bytes) = (Vec::new(), 0, 0);
        while let Some(next) = waiting.appends.front() {
            let (more_records, more_bytes) = (next.records.len(), bytes_of(&next.records));
            let fits = records + more_records <= APPEND_RECORDS_MAX && bytes + more_bytes <= FLIGHT_BYTES;
            if !fits && !taken.is_empty() {
                break;
            }
            (records, bytes) = (records + more_records, bytes + more_bytes);
            taken.extend(waiting.appends.pop_front());
        }
        waiting.records -= records;
        waiting.bytes -= bytes;
        Some(taken)
    }
}

impl Waiting {
    /// Whether it is enough for a flight without any more.
    fn is_full(&self) -> bool {
        self.records >= GATHER_RECORDS || self.bytes >= FLIGHT_BYTES
    }
}

fn bytes_of(records: &[Record]) -> usize {
    records.iter().map(|record| record.value.len()).sum()
}

/// Starts the thread of a partition; it ends when its queue is closed and empty.
pub(super) fn start(cluster: Arc<Cluster>, topic: Topic, partition: u32, queue: Arc<Queue>) -> Result<(), Error> {
    let name = format!("{topic}/{partition}");
    let thread = thread::Builder::new().name(name.clone());
    let appender = Appender { cluster, topic, partition, queue, producer: None, end: None };
    thread.spawn(move || appender.run()).map(drop).map_err(|error| Error::Unreachable {
        reason: format!("no thread could be started to append to {name}: {error}"),
    })
}

/// However the thread ends, nobody waits for it for ever.
impl Drop for Appender {
    fn drop(&mut self) {
        self.queue.close();
        while let Some(appends) = self.queue.take(Instant::now()) {
            appends.into_iter().for_each(|append| append.answer(Err(Error::Closed)));
        }
    }
}

struct Appender {
    cluster: Arc<Cluster>,
    topic: Topic,
    partition: u32,
    queue: Arc<Queue>,
    /// None before the first flight, and after one that left the client of no use.
    producer: Option<ThreadedProducer<Landings>>,
    /// The end after the last flight; none when it has to be asked for.
    end: Option<u64>,
}

impl Appender {
    fn run(mut self) {
        let mut gathered = Instant::now();
        while let Some(appends) = self.queue.take(gathered) {
            let records: usize = appends.iter().map(|append| append.records.len()).sum();
            let gather = GATHER_PER_RECORD.saturating_mul(u32::try_from(records).unwrap_or(u32::MAX));
            gathered = Instant::now() + gather.min(GATHER_MAX);
            let mut flight: Vec<Append> = Vec::new();
            for append in appends {
                // An append of nothing asks for the end; one at an end not known is held against what the broker says.
                let asks = append.records.is_empty() || (append.at.is_some() && append.at != self.end_after(&flight));
                if asks {
                    self.land(mem::take(&mut flight));
                    match self.refresh(append.at) {
                        Ok(end) if append.records.is_empty() => append.answer(Ok(end)),
                        Ok(_) => flight.push(append),
                        Err(error) => append.answer(Err(error)),
                    }
                } else {
                    flight.push(append);
                }
            }
            self.land(flight);
        }
    }

    /// Where the partition will end when this flight has landed, if nobody else appends.
    fn end_after(&self, flight: &[Append]) -> Option<u64> {
        let records: usize = flight.iter().map(|append| append.records.len()).sum();
        Some(self.end? + records as u64)
    }

    /// Asks for the end, unless it is where the caller believes it to be.
    fn refresh(&mut self, at: Option<u64>) -> Result<u64, Error> {
        if let (Some(end), true) = (self.end, at.is_some() && self.end == at) {
            return Ok(end);
        }
        let (cluster, topic, partition) = (Arc::clone(&self.cluster), self.topic, self.partition);
        let end = cluster.end_of(self.producer()?.client(), topic, partition)?;
        self.end = Some(end);
        match at {
            Some(at) if at != end => Err(Error::NotTheEnd { end }),
            _ => Ok(end),
        }
    }

    fn producer(&mut self) -> Result<&ThreadedProducer<Landings>, Error> {
        if self.producer.is_none() {
            let config = settings::appending(&self.cluster.brokers);
            let made = ThreadedProducer::from_config_and_context(&config, Landings::default());
            self.producer = Some(made.map_err(|error| self.cluster.unreachable(&error))?);
        }
        Ok(self.producer.as_ref().expect("it was just made"))
    }

    /// Appends a flight, waits for the word on each of its records, and answers its callers.
    fn land(&mut self, flight: Vec<Append>) {
        if flight.is_empty() {
            return;
        }
        let (cluster, partition) = (Arc::clone(&self.cluster), self.partition);
        let topic = cluster.of(self.topic);
        let producer = match self.producer() {
            Ok(producer) => producer,
            Err(error) => return flight.into_iter().for_each(|append| append.answer(Err(error.clone()))),
        };
        let records = flight.iter().flat_map(|append| &append.records);
        let landings = Arc::clone(&producer.context().0);
        landings.expect(records.clone().count());
        for (slot, record) in records.enumerate() {
            let partition = i32::try_from(partition).expect("a partition was found among the broker's");
            if let Err((error, _)) = producer.send(wire::outgoing(topic, partition, record, slot)) {
                landings.set(slot, Err(error.to_string()));
            }
        }
        let until = Instant::now() + DELIVERY_WAIT + ANSWER_WAIT;
        while !landings.all_known() && Instant::now() < until {
            flush::flush(producer, DELIVERY_WAIT);
        }
        // A word that comes later must not be taken for one of the next flight.
        let broken = match producer.client().fatal_error() {
            Some((_, reason)) => Some(reason),
            None => (!landings.all_known()).then(|| "deliveries are outstanding past every limit".to_owned()),
        };
        let mut landed = landings.take().into_iter();
        for append in flight {
            let of_append = landed.by_ref().take(append.records.len()).collect();
            let answer = together(of_append);
            self.end = answer.as_ref().ok().map(|first| first + append.records.len() as u64);
            append.answer(answer);
        }
        if let Some(reason) = broken {
            tracing::warn!(topic = %self.topic, partition, reason, "the client that appends is of no more use; the next takes over");
            self.producer = None;
        }
    }
}

/// What became of one record.
type Landing = Result<u64, String>;

/// Where the first of these records landed; not known unless all stand one after another.
fn together(landed: Vec<Option<Landing>>) -> Result<u64, Error> {
    let mut first = None;
    for (place, landing) in (0..).zip(landed) {
        let unknown = |reason: String| Error::Unknown { reason };
        match landing {
            None => return Err(unknown("the broker did not answer in time".to_owned())),
            Some(Err(reason)) => return Err(unknown(reason)),
            Some(Ok(offset)) => {
                let first = *first.get_or_insert(offset);
                if offset != first + place {
                    return Err(unknown(format!("records stand apart, at {first} and {offset}")));
                }
            }
        }
    }
    Ok(first.unwrap_or_default())
}

/// What became of the records of the flight under way, by their slots.
#[derive(Default)]
struct Slots(Mutex<Flying>);

#[derive(Default)]
struct Flying {
    landed: Vec<Option<Landing>>,
    left: usize,
}

impl Slots {
    fn expect(&self, records: usize) {
        *self.0.lock() = Flying { landed: vec![None; records], left: records };
    }

    fn set(&self, slot: usize, landing: Landing) {
        let mut flying = self.0.lock();
        if let Some(place @ None) = flying.landed.get_mut(slot) {
            *place = Some(landing);
            flying.left -= 1;
        }
    }

    fn all_known(&self) -> bool {
        self.0.lock().left == 0
    }

    fn take(&self) -> Vec<Option<Landing>> {
        mem::take(&mut self.0.lock().landed)
    }
}

/// Hears of deliveries.
#[derive(Default)]
struct Landings(Arc<Slots>);

impl ClientContext for Landings {}

impl ProducerContext for Landings {
    type DeliveryOpaque = usize;
    fn delivery(&self, delivered: &DeliveryResult<'_>, slot: usize) {
        let landing = match delivered {
            Ok(message) => wire::offset(message).ok_or_else(|| "it landed, but where is not known".to_owned()),
            Err((error, _)) => Err(error.to_string()),
        };
        self.0.set(slot, landing);
    }
}

#[cfg(test)]
mod tests;
