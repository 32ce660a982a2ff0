//! How a writer comes to own its partition: folds the log to its end, claims, and sees that very claim live.
//!
//! Writes no entry and answers nobody.

use crate::{
    error::Error,
    known::Known,
    snapshots::{FOLDED_AGAIN, Unread, is_damage},
    subject::{Encode, Subject},
    writer::Writer,
};
use domain::time::Timestamp;
use event_log::{
    EventLog, Headers, Record, Requests, Stored,
    rule::{Reader, Verdict},
};
use event_schemas::{Claim, decode_claim, encode_claim};
use futures::FutureExt;
use rand::Rng;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::sync::oneshot;

#[cfg(test)]
use crate::writer::model::left_out;

/// The first and the longest wait before a claim is tried again.
const BACK_OFF_MS: (u64, u64) = (10, 2_000);
/// After how many look-ups in a row without an answer a store is no more asked for a while, though it answers in part.
const UNANSWERED_MAX: u32 = 5;

impl<S: Subject> Writer<S> {
    /// Reads the partition into a fresh subject, from its snapshot on: once after each failure, not at each try to claim.
    pub(crate) async fn fold_again(&mut self, log: &dyn EventLog, first: bool) -> Result<(), Error> {
        self.state.speculative.clear();
        self.restore(log).await;
        self.catch_up(log, first).await
    }

    /// To where its snapshot ends, or to the start.
    async fn restore(&mut self, log: &dyn EventLog) {
        if let Some(parked) = self.state.parked.take() {
            self.outcomes.set_older(Some(parked.older()));
            self.state.snapshots = Some(parked);
        }
        if let Some(snapshots) = self.state.snapshots.as_mut().filter(|snapshots| snapshots.is_saving()) {
            let saved = snapshots.saved().await;
            self.subject.saved(saved);
        }
        if std::mem::take(&mut self.state.distrusted) {
            return self.start_over().await;
        }
        self.subject.reset();
        self.state.reader = Reader::default();
        let Some(snapshots) = &mut self.state.snapshots else { return };
        if self.state.unanswered >= UNANSWERED_MAX {
            return self.without_snapshots("it does not answer look-ups");
        }
        let begun = loop {
            match snapshots.begin(log).await {
                // The store may be well, and is not to be given up for a log that is away.
                Err(error @ event_log::Error::Unreachable { .. }) if !*self.stop.borrow() => {
                    tracing::warn!(topic = %S::TOPIC, partition = self.partition, %error, "the log cannot be asked; trying again");
                    tokio::time::sleep(Duration::from_millis(BACK_OFF_MS.1)).await;
                }
                begun => break begun,
            }
        };
        let (state, due) = match begun {
            Ok(None) => return,
            Ok(Some(begun)) => begun,
            Err(error) => return self.without_snapshots(&error.to_string()),
        };
        let restored = match state.blob.split_first_chunk() {
            Some((micros, blob)) => self.subject.restore(blob, due).map(|()| i64::from_le_bytes(*micros)),
            None => Err("its state is cut short".to_owned()),
        };
        let restored = match restored {
            Ok(micros) => self.take_in_all().await.map(|()| micros),
            Err(reason) => Err(Unread::Damaged(reason)),
        };
        match restored {
            Err(Unread::Away(error)) => self.without_snapshots(&error.to_string()),
            Ok(micros) => {
                self.state.reader = state.reader;
                // They are saved; those of a time without snapshots would stay for ever.
                self.outcomes.forget_before(state.reader.offset);
                self.state.recorded_at = self.state.recorded_at.max(Timestamp::from_micros(micros));
            }
            Err(Unread::Damaged(reason)) => {
                tracing::warn!(topic = %S::TOPIC, partition = self.partition, reason, "a snapshot is not used; the log is folded again");
                self.start_over().await;
            }
        }
    }

    /// Brings all items of the snapshot into memory, if that is where they are to be.
    async fn take_in_all(&mut self) -> Result<(), Unread> {
        let Some(snapshots) = self.state.snapshots.as_ref().filter(|_| S::IS_WHOLE) else { return Ok(()) };
        let subject = &mut self.subject;
        let end = snapshots.items(&mut |item| subject.warm(&item.key, Some(&item.blob))).await?;
        self.subject.whole(end);
        Ok(())
    }

    /// Forgets the snapshot and goes to the start.
    async fn start_over(&mut self) {
        self.subject.reset();
        self.state.reader = Reader::default();
        let Some(snapshots) = &mut self.state.snapshots else { return };
        if let Err(error) = snapshots.start_over().await {
            self.without_snapshots(&error.to_string());
        }
    }

    /// Goes on without a store that cannot be asked, with all in memory, until it answers again.
    fn without_snapshots(&mut self, reason: &str) {
        self.state.unanswered = 0;
        tracing::error!(topic = %S::TOPIC, partition = self.partition, reason, "snapshots fail; the log is folded from its start, and all is kept in memory until they answer again");
        self.state.parked = self.state.snapshots.take();
        self.state.outages += 1;
        self.outcomes.set_older(None);
        self.subject.reset();
        self.state.reader = Reader::default();
    }

    /// Brings into memory what these records change; if that fails, all begins anew and they are read again later.
    async fn warm(&mut self, log: &dyn EventLog, batch: &[Arc<Stored>]) -> bool {
        let Some(snapshots) = &self.state.snapshots else { return true };
        let keys: HashSet<&str> = batch.iter().filter_map(|stored| stored.record.key.as_deref()).collect();
        let cold: Vec<Box<str>> = keys.into_iter().filter_map(|key| self.subject.cold(key)).collect();
        if cold.is_empty() {
            return true;
        }
        let found = snapshots.look_up(Vec::new(), cold.clone()).await;
        if let Err(error) = &found
            && !is_damage(error)
        {
            tracing::warn!(topic = %S::TOPIC, partition = self.partition, %error, "{FOLDED_AGAIN}");
            self.state.failures += 1;
            self.state.unanswered += 1;
            self.back_off(self.state.failures).await;
            self.restore(log).await;
            return false;
        }
        self.state.unanswered = 0;
        let warmed = found.map_err(|error| error.to_string()).and_then(|found| {
            let mut items = cold.iter().zip(found.items);
            items.try_for_each(|(key, item)| self.subject.warm(key, item.as_deref()))
        });
        if let Err(reason) = &warmed {
            tracing::warn!(topic = %S::TOPIC, partition = self.partition, reason, "a snapshot fails; the log is folded again");
            // A save under way is waited for first: what it holds is forgotten with the rest.
            self.state.distrusted = true;
            self.restore(log).await;
        }
        warmed.is_ok()
    }

    /// Takes a snapshot if it is time for one; called only when nothing is ahead of the log.
    pub(crate) fn hand_over_if_due(&mut self) {
        if self.state.snapshots.as_ref().is_some_and(|snapshots| snapshots.is_due()) {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let Some(snapshots) = &mut self.state.snapshots else { return };
        let (micros, encode) = (self.state.recorded_at.micros(), self.subject.hand_over());
        let encode: Encode = Box::new(move || {
            let (items, blob) = encode()?;
            Ok((items, [&micros.to_le_bytes()[..], &blob].concat().into()))
        });
        snapshots.hand_over(self.state.reader, encode, &self.outcomes);
    }

    /// Saves what a long log's folding has gathered, beside folding on; never two behind.
    async fn save_on_the_way(&mut self) {
        let Some(snapshots) = &mut self.state.snapshots else { return };
        if snapshots.is_saving() {
            let saved = match snapshots.is_late() {
                true => Some(snapshots.saved().await),
                false => snapshots.saved().now_or_never(),
            };
            if let Some(saved) = saved {
                self.subject.saved(saved);
                self.subject.cool();
            }
        }
        self.hand_over_if_due();
    }

    /// Leaves a snapshot of all that was folded, so that the next start need not fold it.
    pub(crate) async fn save_at_stop(&mut self) {
        // One more try if the save before failed.
        for _ in 0..2 {
            let Some(snapshots) = &mut self.state.snapshots else { return };
            if snapshots.is_saving() {
                let saved = snapshots.saved().await;
                self.subject.saved(saved);
            } else if snapshots.is_behind() && !self.state.distrusted {
                self.hand_over();
            }
        }
        if let Some(snapshots) = self.state.snapshots.as_mut().filter(|snapshots| snapshots.is_saving()) {
            snapshots.saved().await;
        }
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
                    self.back_off(failures).await;
                    continue;
                }
            };
            if batch.is_empty() {
                (self.state.source, self.state.ahead) = (self.state.reader.last, 0);
                return Ok(());
            }
            if !self.warm(log, &batch).await {
                continue;
            }
            for stored in &batch {
                let headers = &stored.record.headers;
                let corrupt = |source| Error::Corrupt { topic, partition, source };
                let verdict = self.state.reader.fold(stored.offset, headers).map_err(corrupt)?;
                #[cfg(test)]
                let verdict = left_out::at_equal_term(&mut self.state.reader, headers, verdict);
                if verdict == Verdict::Claim {
                    self.check_claim(stored)?;
                }
                if let Verdict::Dead(_) = verdict {
                    self.state.meters.dead.increment(1);
                }
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
                    self.remember(replayed.first.then_some((replayed.key, known)), stored.record.value.len());
                }
            }
            self.save_on_the_way().await;
        }
    }

    /// Entries of a claim answer the requests that it names; those that are here must be these.
    fn check_claim(&mut self, stored: &Stored) -> Result<(), Error> {
        let (topic, partition, offset) = (S::TOPIC, self.partition, stored.offset);
        let Some(own) = self.inbox.log().map(|intake| intake.id()) else { return Ok(()) };
        let claim = decode_claim(&stored.record.value).map_err(|error| Error::Entry {
            topic,
            partition,
            offset,
            reason: error.to_string(),
        })?;
        if *claim.commands == *own {
            return Ok(());
        }
        let (name, other) = (Requests::name(topic), claim.commands);
        let reason = format!(
            "{topic}/{partition} answers other requests ({other}) than {name} holds ({own}): it was made anew; restore it"
        );
        Err(Error::Requests { topic, partition, reason })
    }

    /// Claims the next term, again and again with back-off, until a claim of its own is seen live; false when told to stop.
    ///
    /// While none can be written, callers are turned away.
    pub(crate) async fn claim(
        &mut self,
        log: &dyn EventLog,
        ready: &mut Option<oneshot::Sender<Result<(), Error>>>,
    ) -> Result<bool, Error> {
        loop {
            // Once it is said that claiming failed, whoever waits for the start waits no more.
            let first = ready.is_some();
            if self.state.failures > 0 {
                self.back_off(self.state.failures).await;
                self.catch_up(log, false).await?;
            }
            if *self.stop.borrow() {
                return Ok(false);
            }
            #[cfg(test)]
            if left_out::stays_in_term(&self.state) {
                self.subject.replayed();
                return Ok(true);
            }
            // Never one that it claimed before, though a log that is behind does not show it: what was decided in it
            // may still land.
            let term = self.state.reader.term.max(self.state.claimed) + 1;
            self.state.claimed = term;
            let claim = self.claim_record(term, log);
            let at = Some(self.state.reader.offset);
            let appended = log.append(S::TOPIC, self.partition, at, vec![claim]).await;
            // Whatever the append said, the log says what happened.
            self.catch_up(log, first).await?;
            #[cfg(test)]
            left_out::takes_for_live(&mut self.state, term);
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

    /// Waits, unless told to stop: twice as long after each failure, and up to half of it by chance less, so that two
    /// writers part.
    async fn back_off(&mut self, failures: u32) {
        let (first_ms, longest_ms) = BACK_OFF_MS;
        let whole_ms = first_ms.saturating_mul(1 << failures.min(16)).min(longest_ms);
        let wait = Duration::from_millis(whole_ms - self.state.chance.random_range(0..=whole_ms / 2));
        // Ending early because of `stop` is what is wanted; its sender gone means the same.
        let stopped = self.stop.wait_for(|stop| *stop);
        drop(tokio::time::timeout(wait, stopped).await.map(drop));
    }
}
