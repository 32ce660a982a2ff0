//! Whose appends the ledger rule calls dead, and what is not answered yet: the log itself, folded by the rule. Knows no
//! process and decides nothing.

use event_log::{
    EventLog, Requests, Topic,
    kafka::Kafka,
    rule::{Reader, Verdict},
};
use std::collections::{BTreeMap, BTreeSet};
use tests::cluster::{self, Topics};
use tokio::runtime::Runtime;

/// Records asked for at once; the port answers about 8 MB at most.
const READ_RECORDS_MAX: usize = 2_048;

/// The number of a writer, fresh whenever one begins with a partition: the log names it, and no process.
pub type Writer = u128;

/// A partition of answers.
pub type Place = (Topic, u32);

/// All partitions of answers, judged as every reader does, further whenever it is asked.
pub struct Judge {
    runtime: Runtime,
    log: Kafka,
    requests: Requests,
    readers: BTreeMap<Place, Reader>,
    dead: BTreeMap<Writer, u64>,
}

impl Judge {
    pub fn of(topics: &Topics) -> Judge {
        let runtime = Runtime::new().expect("a runtime");
        let log = runtime.block_on(Kafka::open(&cluster::brokers(), topics.prefix())).expect("the log can be opened");
        let requests = log.requests().expect("its requests can be read");
        let places = Topic::ALL.into_iter().flat_map(|topic| (0..log.partitions(topic)).map(move |of| (topic, of)));
        let readers = places.map(|place| (place, Reader::default())).collect();
        Judge { runtime, log, requests, readers, dead: BTreeMap::new() }
    }

    /// Reads on to the end as it is now.
    fn read(&mut self) {
        let Judge { runtime, log, readers, dead, .. } = self;
        runtime.block_on(async {
            for ((topic, partition), reader) in readers {
                let end = log.tail(*topic, *partition).await.expect("the log has an end");
                while reader.offset < end {
                    let batch = log.read(*topic, *partition, reader.offset, READ_RECORDS_MAX).await;
                    for stored in batch.expect("the log can be read") {
                        let headers = &stored.record.headers;
                        let verdict = reader.fold(stored.offset, headers).expect("the log does not contradict itself");
                        if let Verdict::Dead(_) = verdict {
                            *dead.entry(headers.writer).or_default() += 1;
                        }
                    }
                }
            }
        });
    }

    /// Who holds each partition: the writer of its last live claim.
    pub fn holders(&mut self) -> BTreeMap<Place, Writer> {
        self.read();
        self.readers.iter().map(|(place, reader)| (*place, reader.writer)).collect()
    }

    /// Dead entries of these writers.
    pub fn dead_of(&mut self, writers: &BTreeSet<Writer>) -> u64 {
        self.read();
        writers.iter().filter_map(|writer| self.dead.get(writer)).sum()
    }

    /// The partitions of the ledger with commands that are not answered: asked about first, read afterwards.
    pub fn unanswered(&mut self) -> BTreeSet<Place> {
        let places = self.readers.keys().copied().filter(|(topic, _)| *topic == Topic::Ledger);
        let asked: Vec<(Place, u64)> = places
            .map(|(topic, of)| {
                let end = self.runtime.block_on(self.requests.tail(topic, of)).expect("requests have an end");
                ((topic, of), end)
            })
            .collect();
        self.read();
        let is_behind =
            |place: &Place, end: u64| i64::try_from(end).is_ok_and(|end| self.readers[place].last + 1 < end);
        asked.into_iter().filter(|(place, end)| is_behind(place, *end)).map(|(place, _)| place).collect()
    }
}
