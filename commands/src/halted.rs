//! What of a process goes no further until the process is started again: found by the process itself, told to whoever
//! asks whether it is ready.

use event_log::Topic;
use futures::FutureExt;
use metrics::{Gauge, gauge};
use std::{collections::BTreeSet, fmt, panic::AssertUnwindSafe, sync::Arc};
use tokio::{sync::watch, task::JoinHandle};

/// A part of a process that follows one partition for as long as the process runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The desk's following of answers.
    Answers,
    /// The following of the market, which ledger writers and the simulated venue go by.
    Market,
    /// The simulated exchange and registrar.
    Venue,
    /// The writer of a process that has its own.
    Writer,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Answers => "answers can be read no further",
            Part::Market => "the market can be followed no further",
            Part::Venue => "the simulated venue goes no further",
            Part::Writer => "the writer goes no further",
        })
    }
}

impl Part {
    fn label(self) -> &'static str {
        match self {
            Part::Answers => "answers",
            Part::Market => "market",
            Part::Venue => "venue",
            Part::Writer => "writer",
        }
    }
}

/// What has ended that should not have; empty in a process that is well.
#[derive(Clone)]
pub(crate) struct Halted(Arc<watch::Sender<BTreeSet<(Part, Topic, u32)>>>);

impl Default for Halted {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeSet::new())))
    }
}

impl Halted {
    /// Runs what ends with the log only, and says so if it ends otherwise: why, in words, or by a panic.
    pub(crate) fn spawn(
        &self,
        part: Part,
        (topic, partition): (Topic, u32),
        task: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> JoinHandle<()> {
        let halted = self.clone();
        self.begin(part, topic, partition);
        tokio::spawn(async move {
            let why = match AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) => return,
                Ok(Err(why)) => why,
                Err(_) => "it panicked".to_owned(),
            };
            halted.note(part, topic, partition, &why);
        })
    }

    /// What is begun goes on as far as anybody knows.
    pub(crate) fn begin(&self, part: Part, topic: Topic, partition: u32) {
        meter(part, topic, partition).set(0.0);
    }

    /// It goes no further, and why.
    pub(crate) fn note(&self, part: Part, topic: Topic, partition: u32, why: &str) {
        tracing::error!(%topic, partition, why, "{part}");
        meter(part, topic, partition).set(1.0);
        self.0.send_if_modified(|all| all.insert((part, topic, partition)));
    }

    /// Waits until a part of that kind goes no further.
    pub(crate) async fn any(&self, part: Part) {
        let mut seen = self.0.subscribe();
        // What a sender in `self` outlives cannot close.
        drop(seen.wait_for(|all| all.iter().any(|(of, ..)| *of == part)).await.map(drop));
    }

    /// Nothing that goes no further.
    ///
    /// # Errors
    /// What does, in words.
    pub(crate) fn is_empty(&self) -> Result<(), String> {
        let all = self.0.borrow();
        let named = |wanted: Part| {
            let here = all.iter().filter(|(part, ..)| *part == wanted);
            let named: Vec<String> = here.map(|(_, topic, partition)| format!("{topic}/{partition}")).collect();
            (!named.is_empty()).then(|| format!("{wanted}: {}", named.join(", ")))
        };
        let said: Vec<String> =
            [Part::Answers, Part::Market, Part::Venue, Part::Writer].into_iter().filter_map(named).collect();
        if said.is_empty() { Ok(()) } else { Err(said.join("; ")) }
    }
}

/// 1 when it goes no further (`bahi_halted`).
fn meter(part: Part, topic: Topic, partition: u32) -> Gauge {
    let partition = partition.to_string();
    gauge!("bahi_halted", "part" => part.label(), "topic" => topic.name(), "partition" => partition)
}
