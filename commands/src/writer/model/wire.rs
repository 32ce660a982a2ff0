//! The log as one process reaches it: what it appends meets a fate, and what it reads comes late, in part, or not.

use super::{
    fate::{Fate, Word},
    view::shown,
    weak::Weak,
    world::{Life, World, all},
};
use event_log::{
    BoxFuture, Error, EventLog, Follow, Follower, Record, RecordKind, Stored, Topic, memory::Memory, rule::Reader,
};
use futures::FutureExt;
use parking_lot::Mutex;
use rand::{Rng, rngs::StdRng};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{sync::oneshot, time::sleep};

/// After how long requests are deleted where they are.
const DELETED_AFTER_MS: u64 = 400;

/// Which of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Answers,
    Requests,
}

/// One process's way to one log.
#[derive(Clone)]
pub(super) struct Wire {
    pub world: Arc<World>,
    pub side: Side,
    pub life: Life,
    pub chance: Arc<Mutex<StdRng>>,
}

fn unknown() -> Error {
    Error::Unknown { reason: "no answer came".to_owned() }
}

fn unreachable() -> Error {
    Error::Unreachable { reason: "no broker answered".to_owned() }
}

impl Wire {
    fn log(&self) -> &Memory {
        match self.side {
            Side::Answers => &self.world.answers,
            Side::Requests => &self.world.requests,
        }
    }

    /// One in so many times, while things go wrong.
    fn happens(&self, one_in: u32) -> bool {
        !self.world.is_calm() && self.chance.lock().random_ratio(1, one_in)
    }

    /// On the way to a broker and back.
    async fn travel(&self) -> Result<(), Error> {
        let ms = self.chance.lock().random_range(0..4);
        let fails = self.happens(30);
        sleep(Duration::from_millis(ms)).await;
        self.life.runs().await;
        if fails { Err(unreachable()) } else { Ok(()) }
    }

    /// Where the next record will stand.
    fn end(&self) -> u64 {
        let tail = self.log().tail(Topic::Ledger, 0).now_or_never();
        tail.expect("a log in memory answers at once").expect("it has the partition")
    }

    /// These records as they are shown.
    fn show(&self, batch: Vec<Arc<Stored>>) -> Vec<Arc<Stored>> {
        let Some(last) = batch.last().filter(|_| self.side == Side::Answers && self.world.weak.is_some()) else {
            return batch;
        };
        let all = shown(all(self.log(), last.offset + 1), self.world.weak, Some(&self.life));
        batch.iter().map(|stored| Arc::clone(&all[stored.offset as usize])).collect()
    }

    /// Whether a claim of somebody else stands after one of this process, and that ends it.
    fn stops_at(&self, batch: &[Arc<Stored>]) -> bool {
        if self.side != Side::Answers || !self.world.is(Weak::LateClaimStops) {
            return false;
        }
        let Some(last) = batch.last() else { return false };
        let (mut reader, mut owned) = (Reader::default(), false);
        for stored in all(self.log(), last.offset + 1) {
            let is_own = self.life.is_writer(stored.record.headers.writer);
            let _corrupt = reader.fold(stored.offset, &stored.record.headers);
            if stored.record.headers.ce_type == RecordKind::Claim && reader.writer == stored.record.headers.writer {
                if owned && !is_own {
                    return true;
                }
                owned |= is_own;
            }
        }
        false
    }

    /// What is left of requests.
    fn kept(&self, mut batch: Vec<Arc<Stored>>) -> Vec<Arc<Stored>> {
        if self.side == Side::Requests && self.world.is(Weak::RequestsDeleted) {
            let now = self.world.elapsed_ms();
            let landed_ms = self.world.requested_ms.lock();
            batch.retain(|stored| landed_ms[stored.offset as usize] + DELETED_AFTER_MS > now);
        }
        if let Some(last) = batch.last().filter(|_| self.side == Side::Requests) {
            self.world.group_offset.fetch_max(last.offset + 1, Ordering::Relaxed);
        }
        batch
    }
}

impl EventLog for Wire {
    fn partitions(&self, _topic: Topic) -> u32 {
        1
    }

    fn commands_id(&self) -> uuid::Uuid {
        self.log().commands_id()
    }

    fn append(
        &self,
        topic: Topic,
        partition: u32,
        at: Option<u64>,
        records: Vec<Record>,
    ) -> BoxFuture<'_, Result<u64, Error>> {
        if let Some(claim) = records.iter().find(|record| record.headers.ce_type == RecordKind::Claim) {
            self.life.claims(claim.headers.term, claim.headers.writer);
        }
        let fate = Fate::draw(&mut self.chance.lock(), records.len(), &self.world);
        let (answer, answered) = oneshot::channel();
        if fate.looks_at_end && at.is_some_and(|at| at != self.end()) {
            let refused = Err(Error::NotTheEnd { end: self.end() });
            return Box::pin(async move { self.travel().await.and(refused) });
        }
        let delivery =
            Delivery { side: self.side, log: self.log().clone(), topic, partition, at, records, fate, answer };
        tokio::spawn(delivery.run(Arc::clone(&self.world), self.life.clone()));
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(unknown())) })
    }

    fn read(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        Box::pin(async move {
            self.travel().await?;
            let mut batch = self.log().read(topic, partition, from, max).await?;
            if self.happens(10) {
                // A broker that is behind answers.
                let whole = batch.len();
                let cut = self.chance.lock().random_range(0..=2 * whole).saturating_sub(whole);
                batch.truncate(cut);
            }
            if self.stops_at(&batch) {
                std::future::pending::<()>().await;
            }
            Ok(self.show(batch))
        })
    }

    fn read_at(
        &self,
        topic: Topic,
        partition: u32,
        offsets: Vec<u64>,
    ) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        Box::pin(async move {
            self.travel().await?;
            self.log().read_at(topic, partition, offsets).await.map(|batch| self.show(batch))
        })
    }

    fn offsets_of(
        &self,
        topic: Topic,
        partition: u32,
        key: &str,
        from: u64,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<u64>, Error>> {
        self.log().offsets_of(topic, partition, key, from, max)
    }

    fn tail(&self, _topic: Topic, _partition: u32) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(async move {
            self.travel().await?;
            Ok(self.end())
        })
    }

    fn follow(&self, topic: Topic, partition: u32, from: u64) -> Follow {
        let committed = self.world.group_offset.load(Ordering::Relaxed);
        let skips = self.side == Side::Requests && self.world.is(Weak::GroupOffset);
        let from = if skips { committed.max(from) } else { from };
        Follow::new(Following { follow: self.log().follow(topic, partition, from), wire: self.clone(), given: None })
    }
}

struct Following {
    follow: Follow,
    wire: Wire,
    /// What came and was not yet given.
    given: Option<Vec<Arc<Stored>>>,
}

impl Follower for Following {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        Box::pin(async move {
            loop {
                if self.given.is_none() {
                    self.given = Some(self.follow.next().await?);
                }
                self.wire.travel().await?;
                let given = self.wire.kept(self.given.take().unwrap_or_default());
                if !given.is_empty() {
                    return Ok(self.wire.show(given));
                }
            }
        })
    }
}

/// An append on its way; it goes on though nobody waits for it any more.
struct Delivery {
    side: Side,
    log: Memory,
    topic: Topic,
    partition: u32,
    at: Option<u64>,
    records: Vec<Record>,
    fate: Fate,
    answer: oneshot::Sender<Result<u64, Error>>,
}

impl Delivery {
    async fn run(self, world: Arc<World>, life: Life) {
        let Self { side, log, topic, partition, at, records, fate, answer } = self;
        let mut answer = Some(answer);
        let mut stand: Vec<Option<u64>> = vec![None; records.len()];
        let (after, wait_ms) = fate.answered;
        for turn in 0..=fate.parts.len() {
            if turn == after
                && let Some(answer) = answer.take()
            {
                let said = said(&world, fate.word, at, &stand);
                let life = life.clone();
                tokio::spawn(async move {
                    sleep(Duration::from_millis(wait_ms)).await;
                    life.runs().await;
                    drop(answer.send(said));
                });
            }
            let Some((wait_ms, part)) = fate.parts.get(turn).cloned() else { return };
            sleep(Duration::from_millis(wait_ms)).await;
            if !life.lands(fate.is_sent).await {
                return;
            }
            let landing = records[part.clone()].to_vec();
            if landing.is_empty() {
                continue;
            }
            if side == Side::Requests {
                let now = world.elapsed_ms();
                world.requested_ms.lock().extend(landing.iter().map(|_| now));
            }
            let first = log.append(topic, partition, None, landing).await.expect("a log in memory takes all");
            part.zip(first..).for_each(|(at, offset)| stand[at] = Some(offset));
        }
    }
}

/// What the caller is told.
fn said(world: &World, word: Word, at: Option<u64>, stand: &[Option<u64>]) -> Result<u64, Error> {
    if world.is(Weak::ToldOnDelivery)
        && let (Some(at), Some(_)) = (at, stand.iter().flatten().next())
    {
        return Ok(at);
    }
    let first = stand.first().copied().flatten();
    let together = first.filter(|first| stand.iter().zip(*first..).all(|(stand, offset)| *stand == Some(offset)));
    match (word, together) {
        (Word::Refused, _) => Err(Error::Busy),
        (Word::Truth, Some(first)) => Ok(first),
        _ if world.is(Weak::FailedTold) => Err(Error::Busy),
        _ => Err(unknown()),
    }
}
