//! How a writer comes to own its partition: folds the log to its end, claims, and sees that very claim live.
//!
//! Writes no entry and answers nobody.

use crate::{error::Error, known::Known, subject::Subject, writer::Writer};
use domain::time::Timestamp;
use event_log::{
    EventLog, Headers, Record,
    rule::{Reader, Verdict},
};
use event_schemas::{Claim, encode_claim};
use std::time::Duration;
use tokio::sync::oneshot;

/// The first and the longest wait before a claim is tried again.
const BACK_OFF_MS: (u64, u64) = (10, 2_000);

impl<S: Subject> Writer<S> {
    /// Reads the whole partition into a fresh subject: once after each failure, not at each try to claim.
    pub(crate) async fn fold_again(&mut self, log: &dyn EventLog, first: bool) -> Result<(), Error> {
        self.subject.reset();
        self.state.reader = Reader::default();
        self.state.speculative.clear();
        self.catch_up(log, first).await
    }

    /// Folds what the log holds beyond what was read. At the start a log that cannot be read is an error;
    /// later it is read again until it can be.
    async fn catch_up(&mut self, log: &dyn EventLog, first: bool) -> Result<(), Error> {
        let (topic, partition) = (S::TOPIC, self.partition);
        let mut failures = 0;
        loop {
            let batch = match log.read(topic, partition, self.state.reader.offset, event_log::READ_RECORDS_MAX).await {
                Ok(batch) => batch,
                Err(source) if first || *self.stop.borrow() => return Err(Error::Log { topic, partition, source }),
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%topic, partition, %error, "reading the log failed; trying again");
                    self.busy_for(back_off(failures)).await;
                    continue;
                }
            };
            if batch.is_empty() {
                self.state.source = self.state.reader.last;
                return Ok(());
            }
            for stored in &batch {
                let headers = &stored.record.headers;
                let corrupt = |source| Error::Corrupt { topic, partition, source };
                let verdict = self.state.reader.fold(stored.offset, headers).map_err(corrupt)?;
                if matches!(verdict, Verdict::Claim | Verdict::Entry) {
                    self.state.recorded_at = self.state.recorded_at.max(Timestamp::from_micros(headers.ce_time));
                }
                if verdict == Verdict::Entry {
                    let replayed = self.subject.replay(stored).map_err(|reason| Error::Entry {
                        topic,
                        partition,
                        offset: stored.offset,
                        reason,
                    })?;
                    let known = Known { content: replayed.content, offset: stored.offset };
                    self.outcomes.remember(replayed.key, known);
                }
            }
        }
    }

    /// Claims the next term, again and again with back-off, until a claim of its own is seen live; false when told to stop.
    ///
    /// While none can be written, callers are turned away.
    pub(crate) async fn claim(
        &mut self,
        log: &dyn EventLog,
        ready: &mut Option<oneshot::Sender<Result<(), Error>>>,
    ) -> Result<bool, Error> {
        let first = ready.is_some();
        loop {
            if self.state.failures > 0 {
                self.busy_for(back_off(self.state.failures)).await;
                self.catch_up(log, false).await?;
            }
            if *self.stop.borrow() {
                return Ok(false);
            }
            let term = self.state.reader.term + 1;
            let claim = self.claim_record(term, log);
            let at = Some(self.state.reader.offset);
            let appended = log.append(S::TOPIC, self.partition, at, vec![claim]).await;
            // Whatever the append said, the log says what happened.
            self.catch_up(log, first).await?;
            let Reader { term: held, writer, .. } = self.state.reader;
            if held == term && writer == self.state.writer {
                tracing::info!(topic = %S::TOPIC, partition = self.partition, term, "the partition is claimed");
                self.subject.replayed();
                return Ok(true);
            }
            let reason = appended.err().map_or_else(|| "another claim came first".to_owned(), |e| e.to_string());
            tracing::warn!(topic = %S::TOPIC, partition = self.partition, term, reason, "claiming failed; trying again");
            self.state.failures += 1;
            self.turn_away();
            if let Some(ready) = ready.take() {
                drop(ready.send(Ok(())));
            }
        }
    }

    fn claim_record(&mut self, term: u64, log: &dyn EventLog) -> Record {
        let writer = self.state.writer;
        let recorded_at = self.now();
        let claim = Claim { term, writer, commands: log.commands_id().to_string().into(), recorded_at };
        let mut value = Vec::new();
        encode_claim(&claim, &mut value);
        let ce_id = format!("claim/{term}/{writer:032x}").into();
        Record { key: None, headers: Headers::claim(term, writer, ce_id, recorded_at.micros()), value: value.into() }
    }

    /// Waits, unless told to stop.
    async fn busy_for(&mut self, wait: Duration) {
        // Ending early because of `stop` is what is wanted; its sender gone means the same.
        let stopped = self.stop.wait_for(|stop| *stop);
        drop(tokio::time::timeout(wait, stopped).await.map(drop));
    }
}

/// Twice as long after each failure, and up to half of it by chance less, so that two writers part.
fn back_off(failures: u32) -> Duration {
    let (first_ms, longest_ms) = BACK_OFF_MS;
    let whole_ms = first_ms.saturating_mul(1 << failures.min(16)).min(longest_ms);
    Duration::from_millis(whole_ms - rand::random_range(0..=whole_ms / 2))
}
