//! Folding the log into the tables beside the live ones, several partitions at once, up to a position and not past it.

use super::{Rebuild, refused};
use crate::{
    Error, Position, Progress,
    postgres::partition::{Done, Partition},
};
use event_log::EventLog;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet};

/// Partitions folded at once: while one waits for the database another folds.
pub(super) const AT_ONCE: usize = 4;

/// Records of one transaction: the more, the more changes of one row are one.
const BATCH_RECORDS: usize = 16_384;

/// Batches read ahead of a partition that is being written.
const WAITING_BATCHES_MAX: usize = 2;

/// How often somebody is told how far it is.
const TELL_PERIOD: Duration = Duration::from_millis(100);

impl Rebuild {
    /// Folds every partition up to exactly this position.
    pub(super) async fn fold_to(&mut self, upto: &Position, tell: &mut dyn FnMut(Progress)) -> Result<(), Error> {
        let folded: u64 = self.partitions.iter().map(Partition::next).sum();
        let of = folded + self.far(upto);
        let done = Arc::new(AtomicU64::new(folded));
        let mut waiting = std::mem::take(&mut self.partitions);
        let mut folding = JoinSet::new();
        let mut period = tokio::time::interval(TELL_PERIOD);
        loop {
            while folding.len() < AT_ONCE
                && let Some(partition) = waiting.pop()
            {
                let (topic, number) = partition.place();
                let end = upto.next(topic, number).unwrap_or_default();
                if partition.next() > end {
                    // They were cleared, as nothing is ever filled past them.
                    return Err(refused(
                        "the live tables are behind those that are filled: fold them first, or --anew",
                    ));
                }
                if partition.next() == end {
                    self.partitions.push(partition);
                } else {
                    folding.spawn(fold(Arc::clone(&self.log), partition, end, Arc::clone(&done)));
                }
            }
            tokio::select! {
                ended = folding.join_next() => match ended {
                    None => break,
                    Some(Ok(partition)) => self.partitions.push(partition?),
                    Some(Err(panic)) => return Err(refused(&format!("folding ended badly: {panic}"))),
                },
                _ = period.tick() => tell(Progress { records: done.load(Ordering::Relaxed), of }),
            }
        }
        tell(Progress { records: of, of });
        match self.stop() {
            // Nobody would gain by it.
            Some(stop) => Err(stop.into()),
            None => Ok(()),
        }
    }
}

/// Folds a partition up to `end`.
async fn fold(
    log: Arc<dyn EventLog>,
    mut partition: Partition,
    end: u64,
    done: Arc<AtomicU64>,
) -> Result<Partition, Error> {
    let ((topic, number), mut from) = (partition.place(), partition.next());
    let (sender, mut batches) = mpsc::channel(WAITING_BATCHES_MAX);
    let reading = async move {
        while from < end {
            let max = usize::try_from(end - from).unwrap_or(usize::MAX).min(BATCH_RECORDS);
            let batch = log.read(topic, number, from, max).await;
            let count = batch.as_ref().map_or(0, Vec::len);
            from += count as u64;
            if sender.send(batch).await.is_err() || count == 0 {
                return;
            }
        }
    };
    let folding = async {
        while partition.next() < end {
            let batch = batches.recv().await.unwrap_or_else(|| Ok(Vec::new()))?;
            if batch.is_empty() {
                return Err(refused(&format!("{topic}/{number} ends before the views do: the log has lost records")));
            }
            match partition.fold(&batch).await? {
                Done::Overtaken => return Err(refused("another process writes the tables that are being filled")),
                Done::Written { records, .. } => done.fetch_add(records as u64, Ordering::Relaxed),
            };
            if let Some(corruption) = partition.corruption() {
                return Err(Error::Corrupt { topic, partition: number, corruption });
            }
        }
        Ok(())
    };
    let ((), folded) = tokio::join!(reading, folding);
    // Those that wait for their turn fold through it.
    partition.let_go();
    folded.map(|()| partition)
}
