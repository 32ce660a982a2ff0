//! The one writer of a partition: claims it, decides in order, appends in flights, and answers only
//! what is durable and live by the ledger rule. Knows neither accounts nor facts, which are its subject.
//!
//! Its life: fold the log to its end; claim; once that very claim is seen live, serve; after any append
//! that failed or is of unknown result, throw away what was decided ahead of the log and begin again.
//! While one flight is appended the next is decided, so flights grow by themselves with the load.

use crate::{
    clock::Clock,
    error::Error,
    flight::{Flight, Landing, Speculative},
    intake::Inbox,
    known::{Key, Known, Outcomes},
    metrics::Meters,
    outcome::Answered,
    queue::{HandOver, Prepared, QueueState, Reply, Waiter},
    snapshots::Snapshots,
    staging::{Looking, Staged, found},
    subject::Subject,
};
use domain::time::Timestamp;
use event_log::{
    BoxFuture, EventLog,
    rule::{Reader, Verdict},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};
use tokio::sync::{oneshot, watch};

/// Commands that are taken in and wait to be looked up, before more are taken.
const BACKLOG_COMMANDS: usize = 4_096;

/// The writer of one partition.
pub(crate) struct Writer<S: Subject> {
    pub subject: S,
    pub partition: u32,
    pub inbox: Inbox<S>,
    pub queue: Arc<QueueState>,
    pub outcomes: Arc<Outcomes>,
    pub clock: Arc<dyn Clock>,
    pub batch: usize,
    pub batch_bytes: usize,
    pub stop: watch::Receiver<bool>,
    pub state: State<S::Item>,
}

/// What a writer holds beside its wiring.
pub(crate) struct State<I> {
    /// Fresh and random at each start, so that no earlier writer's entries are taken for its own.
    pub writer: u128,
    /// The last term that it claimed.
    pub claimed: u64,
    pub reader: Reader,
    /// The source of the last entry decided.
    pub source: i64,
    /// Entries decided and not yet live.
    pub ahead: u64,
    /// No entry is recorded before this.
    pub recorded_at: Timestamp,
    pub speculative: Speculative,
    /// Commands that wait to be looked up.
    pub backlog: VecDeque<(Prepared<I>, Waiter)>,
    /// Commands that are being looked up.
    pub looking: Option<Looking<I>>,
    /// Commands that can be decided.
    pub ready: VecDeque<Staged<I>>,
    pub snapshots: Option<Snapshots>,
    /// Those whose store could not be asked, and how often that was so since one was last saved.
    pub parked: Option<Snapshots>,
    pub outages: u32,
    /// Look-ups in a row that the store did not answer.
    pub unanswered: u32,
    /// What the store says cannot be right: it is forgotten before the log is folded again.
    pub distrusted: bool,
    /// Keys whose decision could not be folded: they are refused when decided again.
    pub poison: HashSet<Key>,
    pub meters: Meters,
    /// Losses and failed claims since entries last landed.
    pub failures: u32,
    /// How long is waited is partly chance.
    pub chance: StdRng,
}

impl<I> State<I> {
    pub(crate) fn new(meters: Meters) -> Self {
        Self::by_chance(meters, StdRng::from_os_rng())
    }

    /// What is random is so by this.
    fn by_chance(meters: Meters, mut chance: StdRng) -> Self {
        Self {
            writer: chance.random(),
            claimed: 0,
            reader: Reader::default(),
            source: -1,
            ahead: 0,
            recorded_at: Timestamp::from_micros(i64::MIN),
            speculative: Speculative::default(),
            backlog: VecDeque::new(),
            looking: None,
            ready: VecDeque::new(),
            snapshots: None,
            parked: None,
            outages: 0,
            unanswered: 0,
            distrusted: false,
            poison: HashSet::new(),
            meters,
            failures: 0,
            chance,
        }
    }
}

/// Why serving ended.
enum Ended {
    Stopped,
    /// What was decided ahead of the log is of no use; these callers wait.
    Lost(Orphans),
    /// A request cannot be answered, and so none behind it.
    Halted(Error),
}

/// Commands that were decided ahead of the log when it was lost.
#[derive(Default)]
struct Orphans {
    /// Appended with unknown result: they may still land, until the next claim is live.
    unknown: Vec<Landing>,
    /// Not appended: they are in the log only if their key was known.
    absent: Vec<Landing>,
}

/// A time, and what resolves about then.
type Alarm<'clock> = (Timestamp, BoxFuture<'clock, ()>);

/// An append under way.
struct Flying<'log> {
    append: BoxFuture<'log, Result<u64, event_log::Error>>,
    landings: Vec<Landing>,
    since: Instant,
}

impl<S: Subject> Writer<S> {
    /// Serves until told to stop; `ready` hears once the partition is folded and its first claim was tried.
    pub(crate) async fn run(mut self, log: Arc<dyn EventLog>, ready: oneshot::Sender<Result<(), Error>>) {
        let mut ready = Some(ready);
        let mut orphans = Orphans::default();
        loop {
            if let Err(error) = self.fold_again(&*log, ready.is_some()).await {
                return self.halt(error, ready.take()).await;
            }
            self.answer_again(std::mem::take(&mut orphans.absent)).await.into_iter().for_each(Landing::turn_away);
            orphans.unknown = self.answer_again(orphans.unknown).await;
            match self.claim(&*log, &mut ready).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return self.halt(error, ready.take()).await,
            }
            // From here on an append of an earlier term changes nothing, even if it still lands.
            self.answer_again(std::mem::take(&mut orphans.unknown)).await.into_iter().for_each(Landing::turn_away);
            match self.begin().await {
                Ok(()) => {}
                Err(Error::Log { source, .. }) if ready.is_none() => {
                    tracing::warn!(topic = %S::TOPIC, partition = self.partition, error = %source, "requests cannot be read; trying again");
                    self.state.failures += 1;
                    continue;
                }
                Err(error) => return self.halt(error, ready.take()).await,
            }
            self.queue.set_serving(true);
            if let Some(ready) = ready.take() {
                drop(ready.send(Ok(())));
            }
            let ended = self.serve(&*log).await;
            self.unstage();
            match ended {
                Ended::Stopped => break,
                Ended::Halted(error) => return self.halt(error, None).await,
                Ended::Lost(lost) => {
                    self.queue.set_serving(false);
                    self.state.failures += 1;
                    self.state.meters.lost.increment(1);
                    orphans = lost;
                }
            }
        }
        self.queue.set_serving(false);
        self.turn_away();
        self.save_at_stop().await;
    }

    /// Reads requests from the first that is not answered on, where they come from their log.
    async fn begin(&mut self) -> Result<(), Error> {
        let from = u64::try_from(self.state.reader.last + 1).unwrap_or_default();
        match self.inbox.log() {
            Some(intake) => intake.begin(from).await,
            None => Ok(()),
        }
    }

    /// Never before what was recorded last.
    pub(crate) fn now(&mut self) -> Timestamp {
        self.state.recorded_at = self.state.recorded_at.max(self.clock.now());
        self.state.recorded_at
    }

    /// Decides and appends until told to stop, or until what was decided is lost.
    async fn serve(&mut self, log: &dyn EventLog) -> Ended {
        let clock = Arc::clone(&self.clock);
        let mut wakes = self.subject.wakes();
        let mut stop = self.stop.clone();
        let mut alarm: Option<Alarm<'_>> = None;
        let mut next = Flight::default();
        let mut flying: Option<Flying<'_>> = None;
        let mut stopping = *stop.borrow_and_update();
        let outages = self.state.outages;
        let mut returning = self.state.parked.as_ref().map(|parked| parked.answers_again(outages));
        loop {
            if stopping {
                self.queue.set_serving(false);
                self.turn_away();
            } else if self.fill(&mut next).is_err() {
                return Ended::Lost(self.abandon(&mut flying, next).await);
            }
            if flying.is_none() && next.is_empty() && self.state.ready.is_empty() && self.state.looking.is_none() {
                // All that was decided is live, so nothing speculative is handed over.
                self.hand_over_if_due();
            }
            if flying.is_none() && !next.is_empty() {
                flying = Some(self.launch(log, std::mem::take(&mut next)));
            }
            if stopping && flying.is_none() {
                return Ended::Stopped;
            }
            let room = !stopping && self.has_room(&next);
            let more = room && self.has_work();
            let due_at = self.subject.next_due().filter(|_| room && !more && self.may_stage());
            if alarm.as_ref().map(|(at, _)| *at) != due_at {
                alarm = due_at.map(|at| (at, clock.reach(at)));
            }
            tokio::select! {
                biased;
                appended = landed(&mut flying), if flying.is_some() => {
                    let Flying { landings, since, .. } = flying.take().expect("it was polled");
                    if let Err(mut orphans) = self.settle(appended, landings, since) {
                        orphans.absent.extend(next.landings);
                        return Ended::Lost(orphans);
                    }
                }
                found = found(&mut self.state.looking), if self.state.looking.is_some() => {
                    let looking = self.state.looking.take().expect("it was polled");
                    if self.looked(looking, found).is_err() {
                        return Ended::Lost(self.abandon(&mut flying, next).await);
                    }
                }
                saved = saved(&mut self.state.snapshots), if is_saving(&self.state.snapshots) => {
                    if saved {
                        self.state.outages = 0;
                    }
                    self.subject.saved(saved);
                    if self.state.snapshots.as_ref().is_some_and(Snapshots::is_lost) {
                        return Ended::Lost(self.abandon(&mut flying, next).await);
                    }
                    self.cool();
                }
                () = tokio::task::yield_now(), if more => {}
                handed = self.inbox.recv(), if room && self.state.backlog.len() < BACKLOG_COMMANDS => match handed {
                    Some(handed) => spread(&mut self.state.backlog, handed),
                    None => match self.inbox.failure() {
                        Some(error) => return Ended::Halted(error),
                        None => stopping = true,
                    },
                },
                () = returned(&mut returning), if returning.is_some() && !stopping => {
                    tracing::info!(topic = %S::TOPIC, partition = self.partition, "snapshots answer again; the log is folded from the last");
                    return Ended::Lost(self.abandon(&mut flying, next).await);
                }
                () = ring(&mut alarm), if alarm.is_some() => alarm = None,
                () = woken(&mut wakes) => self.subject.woken(),
                _ = stop.changed(), if !stopping => stopping = true,
            }
        }
    }

    /// Lets what is under way land: it was decided well, and must not land behind the back of the next claim.
    async fn abandon(&mut self, flying: &mut Option<Flying<'_>>, next: Flight) -> Orphans {
        let mut orphans = Orphans::default();
        if flying.is_some() {
            let appended = landed(flying).await;
            let Flying { landings, since, .. } = flying.take().expect("it was awaited");
            orphans = self.settle(appended, landings, since).err().unwrap_or_default();
        }
        orphans.absent.extend(next.landings);
        orphans
    }

    pub(crate) fn has_room(&self, flight: &Flight) -> bool {
        flight.landings.len() < self.batch && (flight.is_empty() || flight.bytes < self.batch_bytes)
    }

    fn has_work(&self) -> bool {
        let waits = || {
            !self.state.backlog.is_empty()
                || !self.inbox.is_empty()
                || self.subject.next_due().is_some_and(|at| at <= self.clock.now())
        };
        !self.state.ready.is_empty() || (self.may_stage() && waits())
    }

    fn launch<'log>(&mut self, log: &'log dyn EventLog, flight: Flight) -> Flying<'log> {
        self.state.meters.batch.record(count(flight.landings.len()));
        let at = Some(self.state.reader.offset);
        let append = log.append(S::TOPIC, self.partition, at, flight.records);
        Flying { append, landings: flight.landings, since: Instant::now() }
    }

    /// Folds what was appended and answers; gives the landings back when the append failed.
    fn settle(
        &mut self,
        appended: Result<u64, event_log::Error>,
        landings: Vec<Landing>,
        since: Instant,
    ) -> Result<(), Orphans> {
        let (topic, partition) = (S::TOPIC, self.partition);
        self.state.meters.append.record(since.elapsed().as_secs_f64());
        match appended {
            Ok(first) if first == self.state.reader.offset => {}
            Ok(first) => {
                tracing::warn!(%topic, partition, first, "the append stands elsewhere; reading again");
                return Err(Orphans { unknown: landings, absent: Vec::new() });
            }
            Err(error) => {
                tracing::warn!(%topic, partition, %error, entries = landings.len(), "an append failed; reading again");
                let may_land = matches!(error, event_log::Error::Unknown { .. } | event_log::Error::Closed);
                let (unknown, absent) = if may_land { (landings, Vec::new()) } else { (Vec::new(), landings) };
                return Err(Orphans { unknown, absent });
            }
        }
        let mut landings = landings.into_iter();
        while let Some(landing) = landings.next() {
            let offset = self.state.reader.offset;
            let headers = landing.rule_headers(S::KIND, self.state.reader.term, self.state.writer);
            if self.state.reader.fold(offset, &headers) != Ok(Verdict::Entry) {
                tracing::error!(%topic, partition, offset, "an own entry is not live; reading again");
                return Err(Orphans {
                    unknown: std::iter::once(landing).chain(landings).collect(),
                    absent: Vec::new(),
                });
            }
            self.state.ahead -= 1;
            self.land(landing, offset);
        }
        self.state.failures = 0;
        Ok(())
    }

    /// The entry is durable and live.
    fn land(&mut self, landing: Landing, offset: u64) {
        let Landing { key, content, outcome, first, repeat, waiter, bytes, .. } = landing;
        self.remember(first.then_some((key, Known { content, offset })), bytes);
        if first {
            self.state.meters.answered(&outcome.result);
            self.state.speculative.remove(&key);
            self.state.poison.remove(&key);
        }
        let partition = self.partition;
        match self.outcomes.get(&key).filter(|_| repeat) {
            Some(known) => waiter.reply(Reply::Known { known, replayed: true }),
            None => waiter.reply(Reply::Done(Answered { outcome, partition, offset, replayed: false })),
        }
    }

    /// A live entry of so many bytes is folded, the first under this key.
    pub(crate) fn remember(&mut self, first: Option<(Key, Known)>, bytes: usize) {
        if let Some((key, known)) = first {
            self.outcomes.remember(key, known);
        }
        if let Some(snapshots) = &mut self.state.snapshots {
            snapshots.folded(bytes);
            if let Some((key, known)) = first {
                snapshots.remember(key, known);
            }
        }
    }

    /// Answers callers whose command the log holds after reading again, and gives the others back.
    async fn answer_again(&mut self, landings: Vec<Landing>) -> Vec<Landing> {
        let answer = |landing: Landing, known: Option<Known>| match known {
            Some(known) => {
                landing.waiter.reply(Reply::Known { known, replayed: !landing.first });
                None
            }
            None => Some(landing),
        };
        let in_memory = landings.into_iter().filter_map(|landing| {
            let known = self.outcomes.get(&landing.key);
            answer(landing, known)
        });
        let absent: Vec<Landing> = in_memory.collect();
        let Some(snapshots) = self.state.snapshots.as_ref().filter(|_| !absent.is_empty()) else { return absent };
        // What was folded may have begun with a snapshot that holds them.
        match snapshots.look_up(absent.iter().map(|landing| landing.key).collect(), Vec::new()).await {
            Ok(found) => {
                absent.into_iter().zip(found.known).filter_map(|(landing, known)| answer(landing, known)).collect()
            }
            Err(error) => {
                tracing::warn!(topic = %S::TOPIC, partition = self.partition, %error, "a snapshot cannot be asked; callers are to ask again");
                Vec::new()
            }
        }
    }

    /// Nothing of what waits was recorded.
    pub(crate) fn turn_away(&mut self) {
        while let Some(handed) = self.inbox.try_recv() {
            spread(&mut self.state.backlog, handed);
        }
        self.queue.taken(self.state.backlog.iter().filter(|(_, waiter)| waiter.was_queued()).count());
        self.state.backlog.drain(..).for_each(|(_, waiter)| waiter.reply(Reply::Busy));
    }

    /// The partition cannot be served: says so once, and turns callers away until told to stop.
    async fn halt(&mut self, error: Error, ready: Option<oneshot::Sender<Result<(), Error>>>) {
        self.queue.set_serving(false);
        self.turn_away();
        // A log that cannot be read at the start is tried again by whoever starts writers.
        if ready.is_none() || !matches!(error, Error::Log { .. }) {
            self.state.meters.halted.set(1.0);
        }
        if let Some(ready) = ready {
            drop(ready.send(Err(error)));
            return;
        }
        tracing::error!(topic = %S::TOPIC, partition = self.partition, %error, "the writer halts");
        drop(self.stop.wait_for(|stop| *stop).await.map(drop));
        self.turn_away();
    }
}

/// What was decided is of no use.
pub(crate) struct Lost;

pub(crate) fn spread<I>(backlog: &mut VecDeque<(Prepared<I>, Waiter)>, handed: HandOver<I>) {
    handed.spread(|command, waiter| backlog.push_back((command, waiter)));
}

async fn landed(flying: &mut Option<Flying<'_>>) -> Result<u64, event_log::Error> {
    match flying {
        Some(flying) => flying.append.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn ring(alarm: &mut Option<Alarm<'_>>) {
    match alarm {
        Some((_, alarm)) => alarm.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Resolves once snapshots that failed answer again.
async fn returned(returning: &mut Option<BoxFuture<'static, ()>>) {
    match returning {
        Some(returning) => returning.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Whether the save under way succeeded, once it ended.
async fn saved(snapshots: &mut Option<Snapshots>) -> bool {
    match snapshots {
        Some(snapshots) => snapshots.saved().await,
        None => std::future::pending().await,
    }
}

fn is_saving(snapshots: &Option<Snapshots>) -> bool {
    snapshots.as_ref().is_some_and(Snapshots::is_saving)
}

/// Resolves when due times may have changed.
async fn woken(wakes: &mut Option<watch::Receiver<u64>>) {
    let gone = match wakes {
        Some(wakes) => wakes.changed().await.is_err(),
        None => true,
    };
    if gone {
        std::future::pending::<()>().await;
    }
}

/// A count as a metric takes it.
pub(crate) fn count(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
pub(crate) mod model;
#[cfg(test)]
mod tests;
