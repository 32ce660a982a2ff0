//! What all processes of a run share: the brokers' logs, the clock, and what was seen that must not be.

use super::{truth::Truth, weak::Weak};
use crate::clock::Clock;
use domain::time::Timestamp;
use event_log::{EventLog, Stored, Topic, memory::Memory, snapshot::memory::Memory as Snapshots};
use futures::FutureExt;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::{sync::watch, time::Instant};

/// When every run begins: a morning in November 2026.
const START_MICROS: i64 = 1_795_406_400_000_000;

/// One run's world.
pub(super) struct World {
    pub weak: Option<Weak>,
    pub answers: Memory,
    pub requests: Memory,
    /// The snapshots that all processes share, if they do.
    pub snapshots: Snapshots,
    /// Whether most things go wrong while any do.
    pub is_stormy: bool,
    is_calm: AtomicBool,
    /// When each request landed.
    pub requested_ms: Mutex<Vec<u64>>,
    /// How far any reader of requests came.
    pub group_offset: AtomicU64,
    violations: Mutex<Vec<String>>,
    began: Instant,
}

/// Whether a process runs, is stopped for a while, or was killed.
#[derive(Clone)]
pub(super) struct Life {
    phase: watch::Sender<Phase>,
    /// The writers that it was.
    writers: Arc<Mutex<HashSet<u128>>>,
    /// The terms that it claimed, and as which writer.
    claimed: Arc<Mutex<HashMap<u64, u128>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Paused,
    /// Killed; what it had sent lands or does not.
    Killed {
        lands: bool,
    },
}

impl World {
    pub(super) fn new(weak: Option<Weak>, is_stormy: bool) -> Arc<Self> {
        let answers = Memory::new(1);
        Arc::new(Self {
            weak,
            requests: answers.requests(),
            answers,
            snapshots: Snapshots::new(),
            is_stormy,
            is_calm: AtomicBool::new(false),
            requested_ms: Mutex::default(),
            group_offset: AtomicU64::new(0),
            violations: Mutex::default(),
            began: Instant::now(),
        })
    }

    pub(super) fn is(&self, weak: Weak) -> bool {
        self.weak == Some(weak)
    }

    /// From here on nothing more goes wrong; what was sent before still may land.
    pub(super) fn calm(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    pub(super) fn violated(&self, what: String) {
        self.violations.lock().push(what);
    }

    pub(super) fn violations(&self) -> Vec<String> {
        std::mem::take(&mut self.violations.lock())
    }

    /// What the answers say up to this offset, folded plainly.
    pub(super) fn truth(&self, up_to: u64) -> Result<Truth, String> {
        Truth::of(all(&self.answers, up_to), self.weak)
    }

    pub(super) fn elapsed_ms(&self) -> u64 {
        self.began.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }
}

/// The records of the only partition before this offset.
pub(super) fn all(log: &Memory, up_to: u64) -> Vec<Arc<Stored>> {
    let max = usize::try_from(up_to).unwrap_or(usize::MAX);
    let read = log.read(Topic::Ledger, 0, 0, max).now_or_never();
    read.expect("a log in memory answers at once").expect("it has the partition")
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        let micros = self.began.elapsed().as_micros();
        Timestamp::from_micros(START_MICROS).plus_micros(micros.try_into().unwrap_or(i64::MAX))
    }
}

impl Life {
    pub(super) fn new() -> Self {
        Self { phase: watch::Sender::new(Phase::Running), writers: Arc::default(), claimed: Arc::default() }
    }

    pub(super) fn turn(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(super) fn is_from_now(&self, writer: u128) {
        self.writers.lock().insert(writer);
    }

    pub(super) fn claims(&self, term: u64, writer: u128) {
        self.claimed.lock().insert(term, writer);
    }

    /// As which writer it claimed a term.
    pub(super) fn claimed(&self, term: u64) -> Option<u128> {
        self.claimed.lock().get(&term).copied()
    }

    pub(super) fn is_writer(&self, writer: u128) -> bool {
        self.writers.lock().contains(&writer)
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Whether it runs, once it is no longer paused.
    pub(super) async fn runs(&self) -> bool {
        let mut phase = self.phase.subscribe();
        let phase = phase.wait_for(|phase| *phase != Phase::Paused).await;
        phase.is_ok_and(|phase| *phase == Phase::Running)
    }

    /// Whether what was sent lands; what was not is held back while the process is paused.
    pub(super) async fn lands(&self, is_sent: bool) -> bool {
        if !is_sent {
            self.runs().await;
        }
        self.phase() != Phase::Killed { lands: false }
    }
}
