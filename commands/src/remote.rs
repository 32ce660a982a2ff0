//! A desk whose writers are other processes: it puts commands among the requests and follows their answers.

use crate::{
    config::Config,
    courier::{Answering, Answers, Courier},
    desk::Desk,
    error::Error,
    facts::Facts,
    followed::Followed,
    halted::{Halted, Part},
    known::Outcomes,
    lane::{Lane, Way},
    ledger::Ledger,
    outcome::Outcome,
    rate::Rates,
    running::{check, follow_market, read_market_outcome, read_outcome, simulate, snapshot_of},
    snapshots::Older,
    subject::Subject,
};
use event_log::{EventLog, Requests, Topic, rule::Reader};
use std::{collections::HashMap, sync::Arc};
use tokio::{
    sync::oneshot,
    task::{Id, JoinHandle, JoinSet},
};

/// A desk that was opened, and what runs for it; dropping it ends that.
pub struct Remote {
    /// Where commands and facts are handed in.
    pub desk: Arc<Desk>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Opens a desk over a log whose writers are other processes, and starts the simulated venue if the settings say so.
///
/// Returns once all answers that are recorded are folded, from the last snapshot on where there is one.
///
/// # Errors
/// When a partition cannot be read, is corrupt, or a setting is out of range.
pub async fn open(log: Arc<dyn EventLog>, requests: Requests, config: Config) -> Result<Remote, Error> {
    check(&config)?;
    let mut opening = Opening { log, requests, config, tasks: Vec::new(), halted: Halted::default() };
    let opened = opening.desk().await;
    if opened.is_err() {
        opening.tasks.iter().for_each(JoinHandle::abort);
    }
    Ok(Remote { desk: opened?, tasks: opening.tasks })
}

struct Opening {
    log: Arc<dyn EventLog>,
    requests: Requests,
    config: Config,
    tasks: Vec<JoinHandle<()>>,
    halted: Halted,
}

impl Opening {
    async fn desk(&mut self) -> Result<Arc<Desk>, Error> {
        let market = self.lane::<Facts>(read_market_outcome).await?;
        let ledger = self.lane::<Ledger>(read_outcome).await?;
        let (log, config) = (Arc::clone(&self.log), self.config.clone());
        let desk = Arc::new(Desk {
            ledger,
            market,
            followed: None,
            rates: config.account_commands_per_second.map(Rates::new),
            clock: Arc::clone(&config.clock),
            wait: config.wait,
            market_wait: config.market_wait,
            halted: self.halted.clone(),
        });
        if config.simulated_venue {
            let followed = Followed::new(log.partitions(Topic::Market), log.partitions(Topic::Ledger));
            follow_market(&log, &config, Some(&self.requests), &followed, (&self.halted, &mut self.tasks)).await?;
            simulate(&log, &config, &desk, &followed, &mut self.tasks);
        }
        Ok(desk)
    }

    async fn lane<S: Subject>(
        &mut self,
        read_outcome: fn(&[u8]) -> Result<Outcome, event_schemas::DecodeError>,
    ) -> Result<Lane<S::Item>, Error> {
        let (log, topic) = (Arc::clone(&self.log), S::TOPIC);
        let partitions = log.partitions(topic);
        let outcomes: Vec<Arc<Outcomes>> = (0..partitions).map(|_| Arc::new(Outcomes::new())).collect();
        let courier = Courier::new::<S>(self.requests.clone(), &outcomes);
        let mut ends = Vec::new();
        let (mut followers, mut followings) = (JoinSet::new(), HashMap::new());
        for (partition, known) in (0..).zip(&outcomes) {
            let failed = |source| Error::Log { topic, partition, source };
            let (mut from, mut older) = (Reader::default(), None);
            if let (Some(store), Some((place, version))) =
                (&self.config.snapshots, snapshot_of::<S>(partition, Some(&self.requests)))
            {
                let saved = Older::new(Arc::clone(store), place);
                from = saved.saved_up_to(&version).await.map_err(failed)?;
                known.set_older(Some(saved.clone()));
                older = Some((saved, version));
            }
            let answers = courier.answers(partition);
            let (halted, halts) = oneshot::channel();
            ends.push((Arc::clone(&answers), log.tail(topic, partition).await.map_err(failed)?, halts));
            self.halted.begin(Part::Answers, topic, partition);
            let following = Following { topic, partition, answers: Arc::clone(&answers), halted };
            let forget_every = self.config.snapshot_entries as u64;
            let answering = Answering { log: Arc::clone(&log), partition, from, answers, older, forget_every };
            let task = followers.spawn(answering.run::<S>());
            followings.insert(task.id(), following);
        }
        self.tasks.push(tokio::spawn(watch_over(followers, followings, self.halted.clone())));
        for (partition, (answers, end, halts)) in (0..).zip(ends) {
            let failed = |source| Error::Log { topic, partition, source };
            tokio::select! {
                () = answers.reach(end) => {}
                // One that ended without a reason was ended by the end of the log, or by a panic.
                ended = halts => return Err(ended.unwrap_or_else(|_| failed(event_log::Error::Closed))),
            }
        }
        Ok(Lane { topic, log, way: Way::Through(courier), outcomes, read_outcome, wait: self.config.wait })
    }
}

/// One partition whose answers are followed, for whoever watches over that.
struct Following {
    topic: Topic,
    partition: u32,
    answers: Arc<Answers>,
    /// Hears why following cannot go on.
    halted: oneshot::Sender<Error>,
}

/// Waits for followers to end, and says of each that could not go on, or panicked, that its partition is halted. Ends
/// all that are left when it is dropped.
async fn watch_over(
    mut followers: JoinSet<Result<(), Error>>,
    mut followings: HashMap<Id, Following>,
    all_halted: Halted,
) {
    while let Some(ended) = followers.join_next_with_id().await {
        let id = ended.as_ref().map_or_else(|panicked| panicked.id(), |(id, _)| *id);
        let Some(Following { topic, partition, answers, halted }) = followings.remove(&id) else { continue };
        let error = match ended {
            Ok((_, Ok(()))) => continue,
            Ok((_, Err(error))) => Ok(error),
            Err(panicked) => Err(panicked),
        };
        let why = error.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        all_halted.note(Part::Answers, topic, partition, &why);
        answers.end();
        if let Ok(error) = error {
            // Nobody waits for it once all is open.
            drop(halted.send(error));
        }
    }
}
