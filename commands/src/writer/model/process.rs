//! One process: a writer with all that it reaches the world by, started, paused and killed as a run wants.

use super::{
    purse::{Ask, Entry, Purses},
    store::Store,
    weak::Weak,
    wire::{Side, Wire},
    world::{Life, Phase, World},
};
use crate::{
    clock::Clock,
    courier::{Answering, Courier},
    error::Error,
    intake::{Inbox, Intake},
    known::Outcomes,
    lane::{Lane, Way},
    metrics::Meters,
    queue::queue,
    running::snapshot_of,
    snapshots::{Older, Snapshots},
    writer::{State, Writer},
};
use event_log::{EventLog, Requests, Topic, rule::Reader, snapshot::SnapshotStore, snapshot::memory::Memory};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

/// How long a caller waits for its outcome.
const WAIT_MS: u64 = 300;
/// Commands that may wait for a writer in the same process.
const QUEUE_COMMANDS: usize = 8;
/// Live entries after which a desk lets go of what is saved.
const FORGET_EVERY: u64 = 4;

/// How the processes of a run are made.
#[derive(Clone)]
pub(super) struct Plan {
    /// Whether desk and writer are one process, and requests are not kept apart.
    pub is_embedded: bool,
    /// Where each process keeps snapshots.
    pub snapshots: Vec<Option<Memory>>,
    pub snapshot_every: usize,
    pub batch: usize,
}

pub(super) struct Process {
    pub life: Life,
    /// Where commands are handed in, if that is here.
    pub lane: Option<Arc<Lane<Ask>>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

fn read_outcome(value: &[u8]) -> Result<crate::Outcome, event_schemas::DecodeError> {
    match Entry::read(value) {
        Ok(entry) => Ok(entry.outcome()),
        // No account's entry, as every record here.
        Err(_) => event_schemas::decode_entry(value).map(|entry| crate::Outcome::of_entry(&entry)),
    }
}

fn lane(log: Arc<dyn EventLog>, way: Way<Ask>, outcomes: Arc<Outcomes>) -> Arc<Lane<Ask>> {
    let wait = Duration::from_millis(WAIT_MS);
    Arc::new(Lane { topic: Topic::Ledger, log, way, outcomes: vec![outcomes], read_outcome, wait })
}

impl Process {
    /// Starts the process with this number.
    pub(super) fn start(world: &Arc<World>, plan: &Plan, number: usize, chance: &mut StdRng) -> Self {
        let life = Life::new();
        let wire = |side: Side, chance: &mut StdRng| -> Arc<dyn EventLog> {
            let chance = Arc::new(Mutex::new(StdRng::from_rng(chance)));
            Arc::new(Wire { world: Arc::clone(world), side, life: life.clone(), chance })
        };
        let (log, requests) = (wire(Side::Answers, chance), Requests::new(wire(Side::Requests, chance)));
        let subject = Purses::new(StdRng::from_rng(chance), world.weak);
        let mut state = State::by_chance(Meters::new(Topic::Ledger, 0), StdRng::from_rng(chance));
        if world.is(Weak::WriterReused) {
            state.writer = 1;
        }
        life.is_from_now(state.writer);
        let outcomes = Arc::new(Outcomes::new());
        let named = (!plan.is_embedded).then_some(&requests);
        let mut older = None;
        if let (Some(kept), Some((place, version))) = (&plan.snapshots[number], snapshot_of::<Purses>(0, named)) {
            let chance = Arc::new(Mutex::new(StdRng::from_rng(chance)));
            let (kept, ahead) = (kept.clone(), subject.ahead());
            let store = Arc::new(Store { world: Arc::clone(world), kept, life: life.clone(), chance, ahead });
            let snapshots = Snapshots::new(store, place, version, plan.snapshot_every);
            older = Some(snapshots.older());
            outcomes.set_older(older.clone());
            state.snapshots = Some(snapshots);
        }
        let (queue, desk) = queue(QUEUE_COMMANDS);
        let (stop, stopped) = watch::channel(false);
        let inbox = match plan.is_embedded {
            true => Inbox::Desk(desk),
            false => Inbox::Log(Intake::new(requests, Arc::clone(&log), 0, None, older)),
        };
        let writer = Writer {
            subject,
            partition: 0,
            inbox,
            queue: queue.state(),
            outcomes: Arc::clone(&outcomes),
            clock: Arc::clone(world) as Arc<dyn Clock>,
            batch: plan.batch,
            batch_bytes: 1 << 20,
            stop: stopped,
            state,
        };
        let lane = plan.is_embedded.then(|| lane(Arc::clone(&log), Way::Here(vec![queue]), outcomes));
        let world = Arc::clone(world);
        let task = tokio::spawn(async move {
            let (ready, is_ready) = oneshot::channel();
            writer.run(log, ready).await;
            match is_ready.await {
                Ok(Err(Error::Log { .. })) | Ok(Ok(())) | Err(_) => {}
                Ok(Err(error)) => world.violated(format!("a writer cannot start: {error}")),
            }
        });
        Self { life, lane, stop, task }
    }

    /// Whether it ended by itself.
    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Whatever it does ends where it stands.
    pub(super) fn kill(self, chance: &mut StdRng) {
        self.life.turn(Phase::Killed { lands: chance.random_ratio(3, 4) });
        self.task.abort();
    }

    /// Lets what is under way land.
    pub(super) async fn stop(self, world: &World) {
        self.stop.send_replace(true);
        let ended = tokio::time::timeout(Duration::from_secs(60), self.task).await;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => world.violated(format!("a writer ended badly: {error}")),
            Err(_) => world.violated("a writer does not stop".to_owned()),
        }
    }
}

/// A desk apart from writers, and the task that follows the answers for it.
pub(super) fn open_desk(world: &Arc<World>, plan: &Plan, chance: &mut StdRng) -> Arc<Lane<Ask>> {
    let life = Life::new();
    let wire = |side: Side, chance: &mut StdRng| -> Arc<dyn EventLog> {
        let chance = Arc::new(Mutex::new(StdRng::from_rng(chance)));
        Arc::new(Wire { world: Arc::clone(world), side, life: life.clone(), chance })
    };
    let (log, requests) = (wire(Side::Answers, chance), Requests::new(wire(Side::Requests, chance)));
    let outcomes = Arc::new(Outcomes::new());
    let place = snapshot_of::<Purses>(0, Some(&requests));
    let courier = Courier::new::<Purses>(requests, std::slice::from_ref(&outcomes));
    let older = plan.snapshots.first().cloned().flatten().zip(place).map(|(kept, (place, version))| {
        let chance = Arc::new(Mutex::new(StdRng::from_rng(chance)));
        let store: Arc<dyn SnapshotStore> =
            Arc::new(Store { world: Arc::clone(world), kept, life: life.clone(), chance, ahead: Arc::default() });
        (Older::new(store, place), version)
    });
    let lane = lane(Arc::clone(&log), Way::Through(courier), Arc::clone(&outcomes));
    let Way::Through(courier) = &lane.way else { unreachable!("it was just made so") };
    let answers = courier.answers(0);
    let world = Arc::clone(world);
    tokio::spawn(async move {
        let mut from = Reader::default();
        if let Some((older, version)) = &older {
            // As a desk that opens: it starts again until the store answers.
            while let Err(_fails) = older.saved_up_to(version).await.map(|reader| from = reader) {}
            outcomes.set_older(Some(older.clone()));
        }
        let answering = Answering { log, partition: 0, from, answers, older, forget_every: FORGET_EVERY };
        if let Err(error) = answering.run::<Purses>().await {
            world.violated(format!("a desk can follow no further: {error}"));
        }
    });
    lane
}
