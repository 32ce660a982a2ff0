//! A log in front of another that hands everything on, but for what a test puts between the two.

use event_log::{BoxFuture, Error, EventLog, Follow, Record, Stored, Topic};
use std::sync::Arc;

/// What stands between; each may be left as it is.
pub trait Between: Send + Sync + 'static {
    /// Somebody reads or follows from here on.
    fn reads(&self, _topic: Topic, _from: u64) {}
    /// What a follower is given.
    fn follows(&self, _topic: Topic, follow: Follow) -> Follow {
        follow
    }
    /// Waits for as long as an append is held back, and says at which end it then is.
    fn appends(&self, at: Option<u64>) -> BoxFuture<'_, Option<u64>> {
        Box::pin(async move { at })
    }
    /// Why an end is not known.
    fn hides_end(&self, _topic: Topic, _partition: u32) -> Option<Error> {
        None
    }
}

pub struct Through<B> {
    pub log: Arc<dyn EventLog>,
    pub between: B,
}

impl<B: Between> Through<B> {
    pub fn of(log: &(impl EventLog + Clone + 'static), between: B) -> Arc<Self> {
        Arc::new(Self { log: Arc::new(log.clone()), between })
    }
}

impl<B: Between> EventLog for Through<B> {
    fn partitions(&self, topic: Topic) -> u32 {
        self.log.partitions(topic)
    }
    fn commands_id(&self) -> uuid::Uuid {
        self.log.commands_id()
    }
    fn append(&self, t: Topic, p: u32, at: Option<u64>, records: Vec<Record>) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(async move {
            let at = self.between.appends(at).await;
            self.log.append(t, p, at, records).await
        })
    }
    fn read(&self, t: Topic, p: u32, from: u64, max: usize) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        self.between.reads(t, from);
        self.log.read(t, p, from, max)
    }
    fn read_at(&self, t: Topic, p: u32, at: Vec<u64>) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        self.log.read_at(t, p, at)
    }
    fn offsets_of(&self, t: Topic, p: u32, key: &str, from: u64, n: usize) -> BoxFuture<'_, Result<Vec<u64>, Error>> {
        self.log.offsets_of(t, p, key, from, n)
    }
    fn tail(&self, topic: Topic, partition: u32) -> BoxFuture<'_, Result<u64, Error>> {
        match self.between.hides_end(topic, partition) {
            Some(error) => Box::pin(async { Err(error) }),
            None => self.log.tail(topic, partition),
        }
    }
    fn follow(&self, topic: Topic, partition: u32, from: u64) -> Follow {
        self.between.reads(topic, from);
        self.between.follows(topic, self.log.follow(topic, partition, from))
    }
}
