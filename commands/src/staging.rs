//! What comes before deciding: whether a key was used long ago, and books that are not in memory; looked up once for
//! a batch, while the flight before is under way. Decides nothing.

use crate::{
    intake::{DUE_AGAIN_MS, Inbox},
    known::{Key, Known},
    queue::{Prepared, Waiter},
    snapshots::{FOLDED_AGAIN, Found, is_damage},
    subject::Subject,
    writer::{Lost, Writer, spread},
};
use event_log::{BoxFuture, Error, EventLog, Topic};
use futures::FutureExt;
use std::collections::{HashMap, HashSet};

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
    /// The number of the entry that did, where it was looked up: the answer to a request says it.
    pub seq: Option<u64>,
}

/// What was looked up.
pub(crate) struct Looked {
    found: Found,
    /// The numbers of entries, by their offsets.
    seqs: HashMap<u64, u64>,
}

/// Commands that wait for what is looked up.
pub(crate) struct Looking<I> {
    found: BoxFuture<'static, Result<Looked, Error>>,
    asks: Asks,
    /// The places of those whose keys are asked for.
    asked: Vec<usize>,
    cold: Vec<Box<str>>,
    staged: Vec<Staged<I>>,
}

/// Who is asked.
struct Asks {
    snapshot: bool,
    log: bool,
}

impl<I> Looking<I> {
    fn is_nothing(&self) -> bool {
        !self.asks.snapshot && !self.asks.log
    }
}

impl<S: Subject> Writer<S> {
    /// Whether commands wait that may be looked up now. Not while a snapshot waits for all to land.
    pub(crate) fn may_stage(&self) -> bool {
        self.state.looking.is_none() && !self.state.snapshots.as_ref().is_some_and(|snapshots| snapshots.is_due())
    }

    /// Looks up for some of what waits; whether something is ready to be decided.
    pub(crate) fn stage(&mut self) -> Result<bool, Lost> {
        let (mut staged, mut cold) = (Vec::new(), HashSet::new());
        self.stage_due(&mut staged, &mut cold);
        for _ in 0..BURST_COMMANDS {
            if self.state.backlog.is_empty() {
                let Some(handed) = self.inbox.try_recv() else { break };
                spread(&mut self.state.backlog, handed);
            }
            let Some((command, waiter)) = self.state.backlog.pop_front() else { break };
            if waiter.was_queued() {
                self.queue.taken(1);
            }
            let known = self.outcomes.get(&command.key);
            staged.push(Staged { command, waiter, known, seq: None });
        }
        if self.state.snapshots.is_some() {
            cold.extend(staged.iter().filter_map(|staged| self.subject.cold(&S::key(&staged.command.item))));
        }
        let looking = self.look_up(staged, cold);
        if looking.is_nothing() {
            self.state.ready.extend(looking.staged);
            return Ok(!self.state.ready.is_empty());
        }
        let mut looking = looking;
        // Nearly always no key is known and all books are in memory, and that is answered at once.
        let at_once = (&mut looking.found).now_or_never();
        match at_once {
            Some(found) => self.looked(looking, found).map(|()| !self.state.ready.is_empty()),
            None => {
                self.state.looking = Some(looking);
                Ok(false)
            }
        }
    }

    /// Asks the snapshot for keys that are not in memory and for cold books, and the log for the numbers of entries
    /// that requests repeat.
    fn look_up(&mut self, staged: Vec<Staged<S::Item>>, cold: HashSet<Box<str>>) -> Looking<S::Item> {
        let is_ahead = |staged: &Staged<S::Item>| self.state.speculative.contains_key(&staged.command.key);
        let may_hold = |key: &Key| self.state.snapshots.as_ref().is_some_and(|snapshots| snapshots.may_hold(key));
        let is_asked =
            |staged: &Staged<S::Item>| staged.known.is_none() && !is_ahead(staged) && may_hold(&staged.command.key);
        let mut asked: Vec<usize> = (0..staged.len()).filter(|at| is_asked(&staged[*at])).collect();
        let repeated: Vec<u64> = staged
            .iter()
            .filter(|staged| matches!(staged.waiter, Waiter::Log(_)))
            .filter_map(|staged| Some(staged.known.filter(|known| known.content == staged.command.content)?.offset))
            .collect();
        let keys: Vec<Key> = asked.iter().map(|at| staged[*at].command.key).collect();
        let cold: Vec<Box<str>> = cold.into_iter().collect();
        let look_up = match &self.state.snapshots {
            Some(snapshots) if !(keys.is_empty() && cold.is_empty()) => Some(snapshots.look_up(keys, cold.clone())),
            _ => {
                asked.clear();
                None
            }
        };
        let (answers, partition) = (self.inbox.log().map(|intake| intake.answers()), self.partition);
        let asks = Asks { snapshot: look_up.is_some(), log: !repeated.is_empty() };
        let found = Box::pin(async move {
            let found = match look_up {
                Some(look_up) => look_up.await?,
                None => Found { known: Vec::new(), items: Vec::new() },
            };
            let Some(answers) = answers else { return Ok(Looked { found, seqs: HashMap::new() }) };
            let mut offsets = repeated;
            offsets.extend(found.known.iter().flatten().map(|known| known.offset));
            let seqs = seqs(&*answers, S::TOPIC, partition, offsets).await?;
            Ok(Looked { found, seqs })
        });
        Looking { found, asks, asked, cold, staged }
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
        let again = match &mut self.inbox {
            Inbox::Desk(_) => None,
            Inbox::Log(intake) => match intake.may_put() {
                true => Some(now.plus_micros(DUE_AGAIN_MS * 1_000)),
                false => return,
            },
        };
        let (outcomes, speculative, inbox) = (&self.outcomes, &self.state.speculative, &self.inbox);
        let is_put = |key: &Key| matches!(inbox, Inbox::Log(intake) if intake.is_put(key, now));
        let is_known = |key: &Key| speculative.contains_key(key) || outcomes.get(key).is_some() || is_put(key);
        let due = self.subject.due(now, DUE_COMMANDS, again, &is_known);
        self.state.meters.due.increment(due.len() as u64);
        self.state.meters.due_lag(self.subject.next_due(), now);
        match &mut self.inbox {
            Inbox::Log(intake) => {
                let snapshots = self.state.snapshots.as_ref();
                intake.put(&due, now, |key| snapshots.is_some_and(|snapshots| snapshots.may_hold(key)));
            }
            Inbox::Desk(_) => staged.extend(due.into_iter().map(|command| Staged {
                command,
                waiter: Waiter::Nobody,
                known: None,
                seq: None,
            })),
        }
    }

    /// Takes in what was looked up.
    pub(crate) fn looked(&mut self, looking: Looking<S::Item>, looked: Result<Looked, Error>) -> Result<(), Lost> {
        let Looking { asked, cold, mut staged, .. } = looking;
        if let Err(error) = &looked
            && !is_damage(error)
        {
            tracing::warn!(topic = %S::TOPIC, partition = self.partition, %error, "{FOLDED_AGAIN}");
            self.state.unanswered += 1;
            self.state.ready.extend(staged);
            return Err(Lost);
        }
        self.state.unanswered = 0;
        let taken = looked.map_err(|error| error.to_string()).and_then(|Looked { found, seqs }| {
            for (key, item) in cold.iter().zip(found.items) {
                self.subject.warm(key, item.as_deref())?;
            }
            for (at, known) in asked.into_iter().zip(found.known) {
                staged[at].known = known;
            }
            for staged in &mut staged {
                staged.seq = staged.known.and_then(|known| seqs.get(&known.offset).copied());
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

    /// Gives back what was not decided, in order, to be looked up again; due work is found again by itself, and requests
    /// are read again from their log.
    pub(crate) fn unstage(&mut self) {
        let looking = self.state.looking.take().map(|looking| looking.staged).unwrap_or_default();
        let undecided: Vec<_> = self.state.ready.drain(..).chain(looking).collect();
        for Staged { command, waiter, .. } in undecided.into_iter().rev() {
            if waiter.was_queued() {
                self.queue.returned(1);
                self.state.backlog.push_front((command, waiter));
            }
        }
        if let Inbox::Log(intake) = &mut self.inbox {
            intake.end();
            self.state.backlog.clear();
        }
    }

    /// Gives back a command and all behind it, in order, to be looked up again.
    pub(crate) fn restage(&mut self, first: Staged<S::Item>) {
        let rest: Vec<_> = std::iter::once(first).chain(self.state.ready.drain(..)).collect();
        for Staged { command, waiter, .. } in rest.into_iter().rev() {
            if waiter.was_queued() {
                self.queue.returned(1);
            }
            self.state.backlog.push_front((command, waiter));
        }
    }
}

/// The numbers of the entries at these offsets, by offset.
async fn seqs(
    log: &dyn EventLog,
    topic: Topic,
    partition: u32,
    mut offsets: Vec<u64>,
) -> Result<HashMap<u64, u64>, Error> {
    offsets.sort_unstable();
    offsets.dedup();
    let mut seqs = HashMap::with_capacity(offsets.len());
    while !offsets.is_empty() {
        let stored = log.read_at(topic, partition, offsets.clone()).await?;
        if stored.is_empty() {
            break;
        }
        offsets.drain(..stored.len());
        for stored in stored {
            // An entry's id is `{account or key}/{seq}`.
            let seq = stored.record.headers.ce_id.rsplit_once('/').and_then(|(_, seq)| seq.parse().ok());
            seqs.extend(seq.map(|seq| (stored.offset, seq)));
        }
    }
    Ok(seqs)
}

/// What is looked up, once it is there.
pub(crate) async fn found<I>(looking: &mut Option<Looking<I>>) -> Result<Looked, Error> {
    match looking {
        Some(looking) => looking.found.as_mut().await,
        None => std::future::pending().await,
    }
}
