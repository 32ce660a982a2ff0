//! One run: what happens to processes and clients by a seed, and what must hold at its end.

use super::{
    client::{Client, Desks},
    left_out::LeavingOut,
    process::{Plan, Process, open_desk},
    purse::Ask,
    truth::Truth,
    weak::Weak,
    world::{Phase, World, all},
};
use event_log::{RecordKind, Stored, snapshot::memory::Memory};
use futures::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// The most processes at once.
const PROCESSES: usize = 3;
/// The longest until a writer that is left alone has answered everything; far longer than any back-off.
const PROGRESS_S: u64 = 120;
/// More records than any run makes that goes well.
const RECORDS_MAX: usize = 3_000;
/// How long after it was given up an append may still land.
const LATE_MS: u64 = 3_500;

/// What became of a run.
pub(super) struct Ended {
    /// What must not be, in words.
    pub violations: Vec<String>,
    /// Every record of the answers, to compare runs by.
    pub records: Vec<String>,
    /// How many things happened to processes.
    pub turns: usize,
    pub live: usize,
}

/// Runs the seed's story.
pub(super) fn run(seed: u64, weak: Option<Weak>) -> Ended {
    let _left_out = LeavingOut::new(weak);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O can be built").block_on(story(seed, weak))
}

async fn story(seed: u64, weak: Option<Weak>) -> Ended {
    let mut chance = StdRng::seed_from_u64(seed);
    let world = World::new(weak, chance.random());
    let plan = plan(&world, &mut chance);
    let mut processes: Vec<Option<Process>> = (0..PROCESSES).map(|_| None).collect();
    let mut lanes = vec![None; PROCESSES];
    if !plan.is_embedded {
        lanes = vec![Some(open_desk(&world, &plan, &mut chance)), None];
    }
    let desks = Desks::default();
    *desks.lock() = lanes;
    let clients = clients(&desks, &mut chance);
    let turns = chance.random_range(3..12);
    for turn in 0..turns {
        if turn == 3 && !plan.is_embedded {
            desks.lock()[1] = Some(open_desk(&world, &plan, &mut chance));
        }
        happen(&world, &plan, &mut processes, &desks, &mut chance).await;
        sleep(Duration::from_millis(chance.random_range(0..400))).await;
    }
    world.calm();
    tracing::debug!(ms = world.elapsed_ms(), "it is calm from here on");
    if !plan.is_embedded {
        // One that began with a snapshot which was forgotten since does not know all keys until it is opened again.
        desks.lock()[0] = Some(open_desk(&world, &plan, &mut chance));
    }
    let left = leave_alone(&world, &plan, processes, &desks, &mut chance).await;
    let told = progress(&world, &plan, clients).await;
    for process in left {
        process.stop(&world).await;
    }
    let records = all(&world.answers, u64::MAX);
    check_decided_once(&world, &records);
    let live = match Truth::of(records.clone(), weak) {
        Ok(truth) => {
            told.iter().flatten().for_each(|client| client.check(&truth).unwrap_or_else(|what| world.violated(what)));
            if !plan.is_embedded {
                check_sources(&world, &truth);
            }
            truth.live.len()
        }
        Err(what) => {
            world.violated(what);
            0
        }
    };
    let text = |stored: &Arc<event_log::Stored>| format!("{:?} {:?}", stored.record.headers, stored.record.key);
    Ended { violations: world.violations(), records: records.iter().map(text).collect(), turns, live }
}

fn plan(world: &World, chance: &mut StdRng) -> Plan {
    let is_embedded = chance.random_ratio(1, 3);
    let snapshots = match chance.random_range(0..4) {
        0 => vec![None; PROCESSES],
        1 => (0..PROCESSES).map(|_| Some(Memory::new())).collect(),
        _ => vec![Some(world.snapshots.clone()); PROCESSES],
    };
    Plan { is_embedded, snapshots, snapshot_every: chance.random_range(2..8), batch: chance.random_range(1..6) }
}

/// Every client with its ask, each from its own time on.
fn clients(desks: &Desks, chance: &mut StdRng) -> Vec<tokio::task::JoinHandle<Client>> {
    let count = chance.random_range(6..24);
    let ask = |id: u16, chance: &mut StdRng| {
        let change = if chance.random_ratio(2, 3) { chance.random_range(5..50) } else { -chance.random_range(1..60) };
        Ask { purse: chance.random_range(0..4), id, change }
    };
    let start = |id: u16| {
        let (ask, wait_ms) = (ask(id, chance), chance.random_range(0..1_500));
        tokio::spawn(Client::insist(ask, Arc::clone(desks), wait_ms, StdRng::from_rng(chance)))
    };
    (0..count).map(start).collect()
}

/// One thing happens to one process.
async fn happen(
    world: &Arc<World>,
    plan: &Plan,
    processes: &mut [Option<Process>],
    desks: &Desks,
    chance: &mut StdRng,
) {
    let number = chance.random_range(0..processes.len());
    tracing::debug!(number, ms = world.elapsed_ms(), "something happens");
    let Some(process) = processes[number].take().filter(|process| !process.is_over()) else {
        let process = Process::start(world, plan, number, chance);
        if plan.is_embedded {
            desks.lock()[number] = process.lane.clone();
        }
        processes[number] = Some(process);
        return;
    };
    match chance.random_range(0..6) {
        0 | 1 => {
            if plan.is_embedded {
                desks.lock()[number] = None;
            }
            process.kill(chance);
            if chance.random() {
                // Whoever watches over it starts it again at once.
                let process = Process::start(world, plan, number, chance);
                if plan.is_embedded {
                    desks.lock()[number] = process.lane.clone();
                }
                processes[number] = Some(process);
            }
        }
        2 => {
            process.life.turn(Phase::Running);
            // Its stop goes on while other things happen.
            let world = Arc::clone(world);
            if plan.is_embedded {
                desks.lock()[number] = None;
            }
            tokio::spawn(async move { process.stop(&world).await });
        }
        3 => {
            process.life.turn(Phase::Paused);
            processes[number] = Some(process);
        }
        _ => {
            process.life.turn(Phase::Running);
            processes[number] = Some(process);
        }
    }
}

/// Leaves one process, or two, and makes one if there is none.
async fn leave_alone(
    world: &Arc<World>,
    plan: &Plan,
    processes: Vec<Option<Process>>,
    desks: &Desks,
    chance: &mut StdRng,
) -> Vec<Process> {
    let most = chance.random_range(0..3);
    let mut left: Vec<(usize, Process)> = Vec::new();
    for (number, process) in (0..).zip(processes) {
        let Some(process) = process else { continue };
        if left.len() < most && !process.is_over() {
            process.life.turn(Phase::Running);
            left.push((number, process));
        } else {
            process.kill(chance);
        }
    }
    // One that is starting may find that it cannot.
    sleep(Duration::from_millis(200)).await;
    left.retain(|(_, process)| !process.is_over());
    if left.is_empty() {
        left.push((0, Process::start(world, plan, 0, chance)));
    }
    if plan.is_embedded {
        let mut desks = desks.lock();
        desks.fill(None);
        left.iter().for_each(|(number, process)| desks[*number] = process.lane.clone());
    }
    left.into_iter().map(|(_, process)| process).collect()
}

/// Waits until all is answered and told.
async fn progress(world: &World, plan: &Plan, clients: Vec<tokio::task::JoinHandle<Client>>) -> Option<Vec<Client>> {
    let limit = Duration::from_secs(PROGRESS_S);
    let told = tokio::select! {
        biased;
        told = join_all(clients) => told,
        () = runaway(world) => {
            world.violated("there is no end of records".to_owned());
            return None;
        }
        () = sleep(limit) => {
            world.violated("clients are not answered".to_owned());
            return None;
        }
    };
    sleep(Duration::from_millis(LATE_MS)).await;
    let answered = async {
        let is_answered = || {
            let truth = world.truth(u64::MAX).map(|truth| truth.reader.last + 1);
            truth.is_ok_and(|next| next == all(&world.requests, u64::MAX).len() as i64)
        };
        while !plan.is_embedded && !is_answered() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    if timeout(limit, answered).await.is_err() {
        world.violated("requests are not answered".to_owned());
    }
    told.into_iter().collect::<Result<_, _>>().inspect_err(|error| world.violated(error.to_string())).ok()
}

/// Waits until there are far more records than clients can make.
async fn runaway(world: &World) {
    while all(&world.answers, u64::MAX).len() < RECORDS_MAX {
        sleep(Duration::from_millis(100)).await;
    }
}

/// Whatever landed, live or dead: a writer decides once in a term what it answers there.
fn check_decided_once(world: &World, records: &[Arc<Stored>]) {
    let mut decided = HashMap::new();
    for Stored { record, .. } in records.iter().map(|stored| &**stored) {
        let headers = &record.headers;
        let place = (headers.term, headers.writer, headers.source);
        if headers.ce_type == RecordKind::Entry && *decided.entry(place).or_insert(&record.value) != &record.value {
            world.violated(format!("{place:?} was decided twice"));
        }
    }
}

/// Every request has one live entry, in order.
fn check_sources(world: &World, truth: &Truth) {
    let sources = truth.live.iter().map(|live| live.source);
    let requests = all(&world.requests, u64::MAX);
    if !sources.eq(0..requests.len() as i64) {
        world.violated("not every request has one live entry".to_owned());
    }
}
