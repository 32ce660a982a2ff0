//! What comes before deciding: whether a key was used long ago, and books that are not in memory; looked up once for
//! a batch, while the flight before is under way. Decides nothing.

use crate::{
    known::{Key, Known},
    queue::{Prepared, Waiter},
    snapshots::Found,
    subject::Subject,
    writer::{Lost, Writer, spread},
};
use event_log::{BoxFuture, Error};
use futures::FutureExt;
use std::collections::HashSet;

/// Commands looked up together, and decided before the writer lets other tasks run: well under a millisecond.
pub(crate) const BURST_COMMANDS: usize = 64;
/// Due commands decided before clients are looked at again, so that a day's end does not starve them; as many as of
/// clients, since a command makes about one due (an order its expiry, a fill its netting or settling), and work that
/// falls behind for ever would keep every order open.
const DUE_COMMANDS: usize = BURST_COMMANDS;

/// A command that can be decided.
pub(crate) struct Staged<I> {
    pub command: Prepared<I>,
    pub waiter: Waiter,
    /// What its key was used for before.
    pub known: Option<Known>,
}

/// Commands that wait for what is looked up.
pub(crate) struct Looking<I> {
    found: BoxFuture<'static, Result<Found, Error>>,
    /// The places of those whose keys are asked for.
    asked: Vec<usize>,
    cold: Vec<Box<str>>,
    staged: Vec<Staged<I>>,
}

impl<S: Subject> Writer<S> {
    /// Whether commands wait that may be looked up now. Not while a snapshot waits for all to land.
    pub(crate) fn may_stage(&self) -> bool {
        self.state.looking.is_none() && !self.state.snapshots.as_ref().is_some_and(|snapshots| snapshots.is_due())
    }

    /// Looks up for some of what waits; whether something is ready to be decided.
    pub(crate) fn stage(&mut self) -> Result<bool, Lost> {
        let mut staged = Vec::new();
        let mut cold = HashSet::new();
        self.stage_due(&mut staged, &mut cold);
        for _ in 0..BURST_COMMANDS {
            if self.state.backlog.is_empty() {
                let Ok(handed) = self.inbox.try_recv() else { break };
                spread(&mut self.state.backlog, handed);
            }
            let Some((command, waiter)) = self.state.backlog.pop_front() else { break };
            self.queue.taken(1);
            let known = self.outcomes.get(&command.key);
            staged.push(Staged { command, waiter, known });
        }
        let Some(snapshots) = &self.state.snapshots else {
            self.state.ready.extend(staged);
            return Ok(!self.state.ready.is_empty());
        };
        cold.extend(staged.iter().filter_map(|staged| self.subject.cold(&S::key(&staged.command.item))));
        let (speculative, is_new) = (&self.state.speculative, |staged: &Staged<S::Item>| staged.known.is_none());
        let is_asked = |staged: &Staged<S::Item>| is_new(staged) && !speculative.contains_key(&staged.command.key);
        let asked: Vec<usize> = (0..staged.len()).filter(|at| is_asked(&staged[*at])).collect();
        if asked.is_empty() && cold.is_empty() {
            self.state.ready.extend(staged);
            return Ok(!self.state.ready.is_empty());
        }
        let keys = asked.iter().map(|at| staged[*at].command.key).collect();
        let cold: Vec<Box<str>> = cold.into_iter().collect();
        let mut found = snapshots.look_up(keys, cold.clone());
        // Nearly always no key is known and all books are in memory, and that is answered at once.
        let at_once = (&mut found).now_or_never();
        let looking = Looking { found, asked, cold, staged };
        match at_once {
            Some(found) => self.looked(looking, found).map(|()| !self.state.ready.is_empty()),
            None => {
                self.state.looking = Some(looking);
                Ok(false)
            }
        }
    }

    /// Work that time has made due; of accounts that are cold only their names, and their work the next time.
    fn stage_due(&mut self, staged: &mut Vec<Staged<S::Item>>, cold: &mut HashSet<Box<str>>) {
        if self.subject.next_due().is_none_or(|at| at > self.clock.now()) {
            return;
        }
        let now = self.now();
        cold.extend(self.subject.due_cold(now, DUE_COMMANDS));
        if !cold.is_empty() {
            return;
        }
        let (outcomes, speculative) = (&self.outcomes, &self.state.speculative);
        let is_known = |key: &Key| speculative.contains_key(key) || outcomes.get(key).is_some();
        let due = self.subject.due(now, DUE_COMMANDS, &is_known);
        self.state.meters.due.increment(due.len() as u64);
        self.state.meters.due_lag(self.subject.next_due(), now);
        staged.extend(due.into_iter().map(|command| Staged { command, waiter: Waiter::Nobody, known: None }));
    }

    /// Takes in what was looked up.
    pub(crate) fn looked(&mut self, looking: Looking<S::Item>, found: Result<Found, Error>) -> Result<(), Lost> {
        let Looking { asked, cold, mut staged, .. } = looking;
        let taken = found.map_err(|error| error.to_string()).and_then(|found| {
            for (key, item) in cold.iter().zip(found.items) {
                self.subject.warm(key, item.as_deref())?;
            }
            for (at, known) in asked.into_iter().zip(found.known) {
                staged[at].known = known;
            }
            Ok(())
        });
        self.state.ready.extend(staged);
        taken.map_err(|reason| {
            tracing::warn!(topic = %S::TOPIC, partition = self.partition, reason, "a snapshot fails; the log is folded again");
            self.state.distrusted = true;
            Lost
        })
    }

    /// Gives back what was not decided, in order, to be looked up again; due work is found again by itself.
    pub(crate) fn unstage(&mut self) {
        let looking = self.state.looking.take().map(|looking| looking.staged).unwrap_or_default();
        let undecided: Vec<_> = self.state.ready.drain(..).chain(looking).collect();
        for Staged { command, waiter, .. } in undecided.into_iter().rev() {
            if !matches!(waiter, Waiter::Nobody) {
                self.queue.returned(1);
                self.state.backlog.push_front((command, waiter));
            }
        }
    }
}

/// What is looked up, once it is there.
pub(crate) async fn found<I>(looking: &mut Option<Looking<I>>) -> Result<Found, Error> {
    match looking {
        Some(looking) => looking.found.as_mut().await,
        None => std::future::pending().await,
    }
}
