//! What lies between the desk and a partition's writer: a queue bounded in commands, and the way back; decides nothing.

use crate::{
    known::{Key, Known},
    outcome::Answered,
};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::sync::{mpsc, oneshot, watch};

/// A submission with what the caller's task works out, so that the writer need not.
#[derive(Debug)]
pub(crate) struct Prepared<I> {
    pub item: I,
    /// The stored body.
    pub body: Box<RawValue>,
    pub key: Key,
    /// The hash of kind, version and body.
    pub content: [u8; 16],
}

/// What the writer says to the desk.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one, and live for one hand-over")]
pub(crate) enum Reply {
    /// The command's entry is durable and live.
    Done(Answered),
    /// The key is known; the entry says for what.
    Known { known: Known, replayed: bool },
    /// Nothing was recorded.
    Busy,
}

/// Commands in order, and where their replies go.
pub(crate) enum HandOver<I> {
    One(Prepared<I>, oneshot::Sender<Reply>),
    Many(Vec<Prepared<I>>, oneshot::Sender<Vec<Reply>>),
    /// From the log of requests, each with its place there.
    Requests(Vec<(Prepared<I>, u64)>),
}

/// Whoever waits for one command's reply; dropped without one, the desk says that it is unknown.
pub(crate) enum Waiter {
    /// The back office.
    Nobody,
    /// Nobody here: the request at this place in its log. Whoever asked reads the answer in the ledger.
    Log(u64),
    One(oneshot::Sender<Reply>),
    Many(Arc<Gather>, usize),
}

impl Waiter {
    /// Whether its command was counted in a desk's queue.
    pub(crate) fn was_queued(&self) -> bool {
        matches!(self, Self::One(_) | Self::Many(..))
    }

    pub(crate) fn reply(self, reply: Reply) {
        match self {
            Self::Nobody | Self::Log(_) => {}
            // A caller that gave up waiting will ask again by its key.
            Self::One(sender) => drop(sender.send(reply)),
            Self::Many(gather, index) => gather.put(index, reply),
        }
    }
}

/// Collects the replies of one batch.
pub(crate) struct Gather(Mutex<Gathered>);

struct Gathered {
    replies: Vec<Option<Reply>>,
    left: usize,
    sender: Option<oneshot::Sender<Vec<Reply>>>,
}

impl Gather {
    fn new(size: usize, sender: oneshot::Sender<Vec<Reply>>) -> Arc<Self> {
        let replies = (0..size).map(|_| None).collect();
        Arc::new(Self(Mutex::new(Gathered { replies, left: size, sender: Some(sender) })))
    }

    fn put(&self, index: usize, reply: Reply) {
        let mut gathered = self.0.lock();
        gathered.replies[index] = Some(reply);
        gathered.left -= 1;
        if gathered.left == 0
            && let Some(sender) = gathered.sender.take()
        {
            let replies = std::mem::take(&mut gathered.replies);
            drop(sender.send(replies.into_iter().flatten().collect()));
        }
    }
}

impl<I> HandOver<I> {
    /// The commands one by one, each with who waits for it.
    pub(crate) fn spread(self, mut take: impl FnMut(Prepared<I>, Waiter)) {
        match self {
            Self::One(prepared, sender) => take(prepared, Waiter::One(sender)),
            Self::Many(all, sender) => {
                let gather = Gather::new(all.len(), sender);
                for (index, prepared) in all.into_iter().enumerate() {
                    take(prepared, Waiter::Many(Arc::clone(&gather), index));
                }
            }
            Self::Requests(all) => all.into_iter().for_each(|(prepared, source)| take(prepared, Waiter::Log(source))),
        }
    }
}

/// The desk's end of a partition's queue.
///
/// The channel itself has no bound: a batch is one message, so the bound is counted in commands.
pub(crate) struct Queue<I> {
    sender: mpsc::UnboundedSender<HandOver<I>>,
    state: Arc<QueueState>,
}

/// What both ends of a queue know.
pub(crate) struct QueueState {
    waiting: AtomicUsize,
    max: usize,
    serving: AtomicBool,
    /// The same, for who waits for it to change.
    told: watch::Sender<bool>,
}

impl QueueState {
    /// Commands leave the queue.
    pub(crate) fn taken(&self, commands: usize) {
        self.waiting.fetch_sub(commands, Ordering::Relaxed);
    }
    /// Commands go back to wait.
    pub(crate) fn returned(&self, commands: usize) {
        self.waiting.fetch_add(commands, Ordering::Relaxed);
    }
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
    pub(crate) fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Release);
        self.told.send_if_modified(|told| std::mem::replace(told, serving) != serving);
    }
    /// Whether its writer serves, as it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.told.subscribe()
    }
}

/// A queue for at most `max` commands, closed to callers until its writer serves.
pub(crate) fn queue<I>(max: usize) -> (Queue<I>, mpsc::UnboundedReceiver<HandOver<I>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (waiting, serving, told) = (AtomicUsize::new(0), AtomicBool::new(false), watch::Sender::new(false));
    let state = QueueState { waiting, max, serving, told };
    (Queue { sender, state: Arc::new(state) }, receiver)
}

impl<I> Queue<I> {
    pub(crate) fn state(&self) -> Arc<QueueState> {
        Arc::clone(&self.state)
    }

    /// Hands over one command; `None` when the queue is full or its writer does not serve.
    pub(crate) fn push(&self, prepared: Prepared<I>) -> Option<oneshot::Receiver<Reply>> {
        self.room_for(1)?;
        let (sender, receiver) = oneshot::channel();
        self.sender.send(HandOver::One(prepared, sender)).ok()?;
        Some(receiver)
    }

    /// Hands over commands in order, all or none; an empty queue takes a batch of any size.
    pub(crate) fn push_all(&self, all: Vec<Prepared<I>>) -> Option<oneshot::Receiver<Vec<Reply>>> {
        self.room_for(all.len())?;
        let (sender, receiver) = oneshot::channel();
        self.sender.send(HandOver::Many(all, sender)).ok()?;
        Some(receiver)
    }

    fn room_for(&self, commands: usize) -> Option<()> {
        if !self.state.serving.load(Ordering::Acquire) {
            return None;
        }
        let before = self.state.waiting.fetch_add(commands, Ordering::Relaxed);
        if before > 0 && before + commands > self.state.max {
            self.state.waiting.fetch_sub(commands, Ordering::Relaxed);
            return None;
        }
        Some(())
    }
}
