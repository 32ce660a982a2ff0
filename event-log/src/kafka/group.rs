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

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
};
use tokio::sync::watch;

use super::{cluster::Cluster, errors::is_lost_connection, settings};
use crate::{Error, Topic};

/// The partitions that a process is to write, by the topic of their answers.
pub type Given = watch::Sender<BTreeSet<(Topic, u32)>>;

/// How long the thread waits before it looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A membership; dropping it gives its partitions to the others.
pub struct Group {
    within: Arc<Mutex<BTreeSet<Topic>>>,
    closed: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Group {
    /// Joins those who write the answers to these requests, and tells what they give.
    pub(super) fn join(requests: Cluster, prefix: &str, giving: Arc<Given>) -> Result<Group, Error> {
        let cluster = Arc::new(requests);
        let mut group = Group { within: Arc::default(), closed: Arc::default(), threads: Vec::new() };
        for topic in Topic::ALL {
            let config = settings::grouping(&cluster.brokers, &format!("{prefix}.writers.{topic}"));
            let within = Arc::clone(&group.within);
            let context = Giving { topic, within, cluster: Arc::clone(&cluster), giving: Arc::clone(&giving) };
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

    /// Says whether the group of each topic has let this process in, though it may have given it nothing: there may be
    /// more processes than partitions. Of one that was given nothing it does not become untrue when brokers are lost.
    pub fn is_in(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let within = Arc::clone(&self.within);
        move || within.lock().len() == Topic::ALL.len()
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
    topic: Topic,
    within: Arc<Mutex<BTreeSet<Topic>>>,
    cluster: Arc<Cluster>,
    giving: Arc<Given>,
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
            // Who stays is given something again, be it nothing.
            self.within.lock().remove(&self.topic);
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
                self.within.lock().insert(self.topic);
                let came = self.places(partitions);
                tracing::info!(?came, "the group gives partitions");
                self.giving.send_modify(|given| given.extend(came));
            }
            Rebalance::Error(error) => tracing::warn!(%error, "the group of writers cannot agree"),
            Rebalance::Revoke(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOWHERE: &str = "127.0.0.1:1";

    #[test]
    fn who_finds_no_group_is_not_in_it() {
        let cluster = Cluster::new(NOWHERE, "nobody").expect("it is a prefix");
        let group = Group::join(cluster.requests(), "nobody", Arc::default()).expect("clients are made");
        assert!(!group.is_in()());
        group.leave();
    }

    #[test]
    fn who_is_given_nothing_is_in_and_who_has_something_taken_is_not_until_it_is_given_the_rest() {
        let cluster = Arc::new(Cluster::new(NOWHERE, "nobody").expect("it is a prefix").requests());
        let (giving, within) = (Arc::new(Given::default()), Arc::<Mutex<BTreeSet<Topic>>>::default());
        let context = Giving {
            topic: Topic::Ledger,
            within: Arc::clone(&within),
            cluster: Arc::clone(&cluster),
            giving: Arc::clone(&giving),
        };
        let consumer = BaseConsumer::from_config_and_context(&settings::grouping(NOWHERE, "nobody"), context);
        let consumer: BaseConsumer<Giving> = consumer.expect("a client is made");
        let (nothing, mut one) = (TopicPartitionList::new(), TopicPartitionList::new());
        one.add_partition(cluster.of(Topic::Ledger), 3);
        let context = Arc::clone(consumer.context());
        context.post_rebalance(&consumer, &Rebalance::Assign(&nothing));
        assert!(within.lock().contains(&Topic::Ledger) && giving.borrow().is_empty());
        context.post_rebalance(&consumer, &Rebalance::Assign(&one));
        assert_eq!(*giving.borrow(), [(Topic::Ledger, 3)].into());
        context.pre_rebalance(&consumer, &Rebalance::Revoke(&one));
        assert!(within.lock().is_empty() && giving.borrow().is_empty());
        context.post_rebalance(&consumer, &Rebalance::Assign(&nothing));
        assert!(within.lock().contains(&Topic::Ledger));
    }
}
