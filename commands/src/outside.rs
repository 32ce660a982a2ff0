//! Runs the simulated exchange and registrar over one partition, through the desk as real ones would be.
//!
//! They learn everything from live entries, so that after a crash reading the ledger again tells what is
//! unanswered; their command ids follow from the orders, so that saying something twice is harmless.

use crate::{
    clock::Clock,
    desk::Desk,
    error::Error,
    followed::Followed,
    outcome::{Answer, Answered},
    registrar::Registrar,
    submission::{By, Submission},
    venue::Venue,
};
use domain::{
    command::{Command, Submitter},
    ids::{AccountId, CommandId, FundOrderId, OrderId},
    time::Timestamp,
};
use event_log::{
    EventLog, Stored, Topic,
    rule::{Reader, Verdict},
};
use event_schemas::{decode_entry, key_hash};
use std::{sync::Arc, time::Duration};

/// Reports handed over at once: a small part of the queue, so that clients are not kept out.
const REPORTS: usize = 256;
/// The wait before something that did not arrive is said again, and before a failed reading is tried again.
const RETRY_MS: u64 = 100;

/// A command that the outside world sends, and the order that it is about.
pub(crate) struct Said<Id> {
    pub about: Id,
    pub account: AccountId,
    pub id: CommandId,
    pub command: Command,
}

/// A number of so many digits, at most 18, that follows from a text.
pub(crate) fn digits(text: &str, count: u32) -> String {
    let hash = key_hash("simulated", Submitter::Venue, text);
    let number = u128::from_le_bytes(hash) % 10_u128.pow(count);
    format!("{number:0width$}", width = count as usize)
}

/// Which order a report is about.
enum About {
    Order(OrderId),
    Fund(FundOrderId),
}

/// The simulated outside world of one partition.
pub(crate) struct Outside {
    pub desk: Arc<Desk>,
    pub followed: Arc<Followed>,
    pub log: Arc<dyn EventLog>,
    pub clock: Arc<dyn Clock>,
    pub partition: u32,
    pub venue: Venue,
    pub registrar: Registrar,
}

impl Outside {
    /// Follows the ledger and answers, for ever; returns when the log is closed or cannot be folded further.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        let (topic, partition) = (Topic::Ledger, self.partition);
        let failed = |source| Error::Log { topic, partition, source };
        let by = By {
            subject: "simulated-venue".into(),
            role: Submitter::Venue,
            session: None,
            origin: None,
            algo_id: None,
        };
        let by = Arc::new(by);
        let clock = Arc::clone(&self.clock);
        let log = Arc::clone(&self.log);
        let mut moved = self.followed.moved();
        let mut records = log.follow(topic, partition, 0);
        let mut reader = Reader::default();
        // What is recorded already is read before anything is said.
        let mut until = log.tail(topic, partition).await.map_err(failed)?;
        loop {
            while reader.offset < until {
                match records.next().await {
                    Ok(batch) => self.see(&mut reader, &batch)?,
                    Err(event_log::Error::Closed) => return Ok(()),
                    Err(source) if source.ends_following() => return Err(failed(source)),
                    Err(_) => tokio::time::sleep(Duration::from_millis(RETRY_MS)).await,
                }
            }
            self.note_market();
            let (about, submissions) = self.say(&by);
            if !submissions.is_empty() {
                let answers = self.desk.submit_all(submissions).await;
                let mut again = false;
                for (about, answer) in about.into_iter().zip(answers) {
                    match answer {
                        Answer::Answered(Answered { offset, .. }) => until = until.max(offset + 1),
                        Answer::KeyReused { first_offset, .. } => until = until.max(first_offset + 1),
                        Answer::Busy { .. } | Answer::RateLimited { .. } | Answer::Unknown => {
                            again = true;
                            match about {
                                About::Order(id) => self.venue.again(id),
                                About::Fund(id) => self.registrar.again(id),
                            }
                        }
                    }
                }
                if again {
                    tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
                }
                continue;
            }
            tokio::select! {
                batch = records.next() => match batch {
                    Ok(batch) => self.see(&mut reader, &batch)?,
                    Err(event_log::Error::Closed) => return Ok(()),
                    Err(source) if source.ends_following() => return Err(failed(source)),
                    Err(_) => tokio::time::sleep(Duration::from_millis(RETRY_MS)).await,
                },
                _ = moved.changed() => {}
                () = opening(&*clock, self.venue.next()) => {}
            }
        }
    }

    fn see(&mut self, reader: &mut Reader, batch: &[Arc<Stored>]) -> Result<(), Error> {
        let (topic, partition) = (Topic::Ledger, self.partition);
        for stored in batch {
            let headers = &stored.record.headers;
            let corrupt = |source| Error::Corrupt { topic, partition, source };
            let verdict = reader.fold(stored.offset, headers).map_err(corrupt)?;
            // Most kinds say nothing to the outside world and need not be decoded.
            let concerns = ["order", "modification", "cancellation", "fund", "fill"];
            if verdict != Verdict::Entry || !concerns.iter().any(|word| headers.kinds.contains(word)) {
                continue;
            }
            let entry = decode_entry(&stored.record.value).map_err(|e| Error::Entry {
                topic,
                partition,
                offset: stored.offset,
                reason: e.to_string(),
            })?;
            for event in &entry.events {
                self.venue.see(entry.seq, event);
                self.registrar.see(entry.recorded_at, event);
            }
        }
        Ok(())
    }

    fn note_market(&mut self) {
        let changed = self.followed.take_changed(self.partition);
        changed.instruments.iter().for_each(|instrument| self.venue.moved(instrument));
        changed.schemes.iter().for_each(|scheme| self.registrar.moved(scheme));
        if changed.calendar {
            self.registrar.all_moved();
        }
    }

    fn say(&mut self, by: &Arc<By>) -> (Vec<About>, Vec<Submission>) {
        let now = self.clock.now();
        let (orders, funds) = {
            let facts = self.followed.read();
            (self.venue.says(&facts.market, now, REPORTS), self.registrar.says(&facts.market, REPORTS))
        };
        let orders = orders.into_iter().map(|said| (About::Order(said.about), said.account, said.id, said.command));
        let funds = funds.into_iter().map(|said| (About::Fund(said.about), said.account, said.id, said.command));
        orders
            .chain(funds)
            .map(|(about, account, id, command)| {
                let by = Arc::clone(by);
                let (request_id, min_market, min_position) = (None, None, None);
                let (issued_at, traceparent) = (now, None);
                let submission = Submission {
                    account,
                    id,
                    by,
                    command,
                    request_id,
                    min_market,
                    min_position,
                    issued_at,
                    traceparent,
                };
                (about, submission)
            })
            .unzip()
    }
}

async fn opening(clock: &dyn Clock, next: Option<Timestamp>) {
    match next {
        Some(at) => clock.reach(at).await,
        None => std::future::pending().await,
    }
}
