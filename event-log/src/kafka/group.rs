//! Which process should write which partitions, as the broker's consumer groups say: a hint, never a right. Reads no
//! record and commits no offset.
//!
//! Each topic has a group of its own: one group of both gives every process as many partitions as any other, and may
//! yet give all of the ledger to one and all of the market to another.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
};
use tokio::sync::watch;

use super::{cluster::Cluster, errors::is_lost_connection, settings};
use crate::{Error, Topic};

/// How long the thread waits before it looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A membership; dropping it gives its partitions to the others.
pub struct Group {
    given: watch::Receiver<BTreeSet<(Topic, u32)>>,
    closed: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Group {
    /// Joins those who write the answers to these requests.
    pub(super) fn join(requests: Cluster, prefix: &str) -> Result<Group, Error> {
        let (giving, given) = watch::channel(BTreeSet::new());
        let (giving, cluster) = (Arc::new(giving), Arc::new(requests));
        let mut group = Group { given, closed: Arc::default(), threads: Vec::new() };
        for topic in Topic::ALL {
            let config = settings::grouping(&cluster.brokers, &format!("{prefix}.writers.{topic}"));
            let context = Giving { cluster: Arc::clone(&cluster), giving: Arc::clone(&giving) };
            let consumer = BaseConsumer::from_config_and_context(&config, context);
            let consumer: BaseConsumer<Giving> = consumer.map_err(|error| cluster.unreachable(&error))?;
            consumer.subscribe(&[cluster.of(topic)]).map_err(|error| cluster.unreachable(&error))?;
            let closing = Arc::clone(&group.closed);
            let thread = thread::Builder::new().name(format!("group {topic}")).spawn(move || run(&consumer, &closing));
            group.threads.push(thread.map_err(|error| Error::Unreachable {
                reason: format!("no thread could be started to join: {error}"),
            })?);
        }
        Ok(group)
    }

    /// The partitions of the topics that this process is to write, by the topic of their answers.
    pub fn given(&self) -> watch::Receiver<BTreeSet<(Topic, u32)>> {
        self.given.clone()
    }

    /// Leaves; the others have the partitions once this returns. Waits.
    pub fn leave(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.closed.store(true, Ordering::Release);
        // The clients leave their groups as they are dropped there.
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(consumer: &BaseConsumer<Giving>, closed: &AtomicBool) {
    while !closed.load(Ordering::Acquire) {
        match consumer.poll(LOOK_EVERY) {
            // Partitions are paused as they are given; what was fetched before that is not looked at.
            Some(Ok(_)) | None => {}
            Some(Err(error)) if is_lost_connection(&error) => tracing::debug!(%error, "the group is asked again"),
            Some(Err(error)) => tracing::warn!(%error, "the group of writers"),
        }
    }
}

/// Tells what the group gives and takes.
struct Giving {
    cluster: Arc<Cluster>,
    giving: Arc<watch::Sender<BTreeSet<(Topic, u32)>>>,
}

impl Giving {
    fn places(&self, partitions: &TopicPartitionList) -> Vec<(Topic, u32)> {
        let elements = partitions.elements();
        let places = elements.iter().filter_map(|element| {
            Some((self.cluster.topic(element.topic())?, u32::try_from(element.partition()).ok()?))
        });
        places.collect()
    }
}

impl ClientContext for Giving {}

impl ConsumerContext for Giving {
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            let taken = self.places(partitions);
            tracing::info!(?taken, "the group takes partitions away");
            self.giving.send_modify(|given| given.retain(|place| !taken.contains(place)));
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                if let Err(error) = consumer.pause(partitions) {
                    tracing::warn!(%error, "partitions of the group are not paused");
                }
                let came = self.places(partitions);
                tracing::info!(?came, "the group gives partitions");
                self.giving.send_modify(|given| given.extend(came));
            }
            Rebalance::Error(error) => tracing::warn!(%error, "the group of writers cannot agree"),
            Rebalance::Revoke(_) => {}
        }
    }
}
