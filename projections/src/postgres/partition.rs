//! One partition as the database has it, and folding the next batch of its records; follows no log and waits for nobody.

use super::{
    Failure, Postgres,
    cached::Batch,
    changes::{Changes, Touched},
    checkpoint::{self, Checkpoint, Stopped},
    hot::Hot,
    kept::Kept,
    loading::{self, LOAD_ACCOUNTS_MAX},
    market, rows,
    rows::JournalRow,
    untold::Untold,
};
use crate::{
    Error,
    journal::Journal,
    view::{Stop, View, ViewSet},
};
use domain::{ids::AccountId, time::Timestamp};
use event_log::{
    Stored, Topic,
    rule::{Corruption, Verdict},
    trace::Step,
};
use event_schemas::{
    DecodeError,
    entry::{Happened, decode_entry, decode_happened, key_hash},
};
use sqlx::{Acquire, PgConnection};
use std::{collections::BTreeMap, sync::Arc};

/// Decoded or folded at once between two chances for other tasks: about a millisecond of one core.
const STEP_RECORDS: usize = 256;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It is in the database.
    Written {
        /// Records folded, those that do not count too.
        records: usize,
        /// Rows put and deleted.
        rows: usize,
    },
    /// Another projector has moved the partition, or its tables were replaced: nothing of it was written.
    Overtaken,
}

/// A partition, from its checkpoint on. Whoever sees an error or `Overtaken` loads it anew.
pub(super) struct Partition {
    views: Postgres,
    topic: Topic,
    partition: u32,
    at: Checkpoint,
    stopped: ViewSet,
    hot: Hot,
    kept: Kept,
    untold: Untold,
    corruption: Option<Corruption>,
}

/// A batch that was folded.
#[derive(Default)]
struct Folded {
    changes: Changes,
    /// Its entries, and whose each is.
    entries: Vec<(u64, AccountId)>,
    accounts: BTreeMap<AccountId, Touched>,
    stops: Vec<Stop>,
}

/// The steps of a batch, which all end as it does: unless it is written, they have failed, whatever kept it from that.
struct Steps(Vec<Step>);

impl Steps {
    /// What they are of is in the database.
    fn end(mut self) {
        self.0.clear();
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|step| step.failed("the batch was not written"));
    }
}

/// A live entry of the ledger.
struct Live<'a> {
    stored: &'a Stored,
    account: Option<AccountId>,
    entry: Result<Happened, DecodeError>,
    key_hash: Option<[u8; 16]>,
}

impl Partition {
    /// Where the database has it.
    pub(super) async fn load(views: &Postgres, topic: Topic, partition: u32) -> Result<Self, Error> {
        let load = async {
            let mut connection = views.database.pool().acquire().await?;
            Ok(checkpoint::load(&mut connection, topic, partition).await?)
        };
        let at = views.answer(load).await?;
        // What is not folded here is passed over like what has stopped, without a word.
        let mut stopped = views.folded.others();
        at.stops.iter().for_each(|of| stopped.insert(of.stop.view));
        let hot = Hot::new(views.partitions(topic));
        let (views, kept, untold) = (views.clone(), Kept::of(&views.database), Untold::default());
        Ok(Self { views, topic, partition, at, stopped, hot, kept, untold, corruption: None })
    }

    /// The next record to fold.
    pub(super) fn next(&self) -> u64 {
        self.at.reader.offset
    }

    /// Which it is.
    pub(super) fn place(&self) -> (Topic, u32) {
        (self.topic, self.partition)
    }

    /// Where the database has it, and which views stopped before.
    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.at
    }

    /// Why nothing more is read, if the partition contradicts itself.
    pub(super) fn corruption(&self) -> Option<Corruption> {
        self.corruption
    }

    /// Whether the tables are still those that it was loaded from; a rebuild may have put others in their place.
    pub(super) async fn is_in_place(&mut self) -> Result<bool, Error> {
        self.kept.let_go_of_unused();
        let read = async {
            let mut connection = self.views.database.pool().acquire().await?;
            Ok(checkpoint::generation(&mut connection, (self.topic, self.partition)).await?)
        };
        Ok(self.views.answer(read).await?.is_none_or(|generation| generation == self.at.generation))
    }

    /// Lets others have its connection until the next batch.
    pub(super) fn let_go(&mut self) {
        self.kept.let_go();
    }

    /// Confirms how far this partition is where accounts are kept that are asked about.
    pub(super) async fn confirm(&mut self) {
        self.tell(Batch { from: self.next(), entries: &[], accounts: &BTreeMap::new() }).await;
    }

    /// Tells Redis what was committed, if accounts of this partition are kept there.
    async fn tell(&mut self, batch: Batch<'_>) {
        if let Some(cached) = self.views.cached.as_ref().filter(|_| self.topic == Topic::Ledger) {
            cached.committed(self.partition, batch, &self.at, &mut self.untold).await;
        }
    }

    /// Folds records that follow each other and writes what changed; those below the checkpoint are passed over.
    pub(super) async fn fold(&mut self, records: &[Arc<Stored>]) -> Result<Done, Error> {
        let views = self.views.clone();
        views.answer(self.fold_in(records)).await
    }

    async fn fold_in(&mut self, records: &[Arc<Stored>]) -> Result<Done, Failure> {
        let expected = self.at.reader.offset;
        let mut to = self.at.clone();
        let new = records.iter().skip_while(|stored| stored.offset < expected);
        let (mut live, mut steps, mut corruption) = (Vec::new(), Steps(Vec::new()), None);
        for stored in new {
            match to.reader.fold(stored.offset, &stored.record.headers) {
                Ok(Verdict::Entry) => {
                    if let Some(after) = &stored.record.headers.traceparent {
                        steps.0.push(Step::process("fold into PostgreSQL", Some(after)));
                    }
                    live.push(Arc::clone(stored));
                }
                Ok(Verdict::Dead(_) | Verdict::Claim | Verdict::DeadClaim) => {}
                Err(found) => {
                    corruption = Some((found, stored));
                    break;
                }
            }
            to.recorded_at = Some(recorded_at(stored));
        }
        let mut taken = self.kept.take(&self.views.database).await?;
        let connection = &mut *taken.connection;
        let mut folded = if self.topic == Topic::Market {
            let (changes, stops) = market::fold(connection, self.partition, &live, &mut self.stopped).await?;
            Folded { changes, stops, ..Folded::default() }
        } else {
            self.fold_ledger(connection, &live).await?
        };
        if let Some((found, stored)) = corruption {
            let topic = self.topic;
            for view in View::ALL.iter().filter(|view| view.topic() == topic) {
                self.stop(*view, stored.offset, found.to_string().into(), &mut folded.stops);
            }
        }
        let time_of = |offset: u64| records.iter().find(|stored| stored.offset == offset).map(|of| recorded_at(of));
        let stops: Vec<_> = folded
            .stops
            .into_iter()
            .map(|stop| {
                let recorded_at = time_of(stop.offset).unwrap_or(Timestamp::from_micros(0));
                Stopped { stop, recorded_at }
            })
            .collect();
        let mut transaction = connection.begin().await?;
        if !checkpoint::advance(&mut transaction, (self.topic, self.partition), expected, &to).await? {
            return Ok(Done::Overtaken);
        }
        folded.changes.write(&mut transaction).await?;
        for stopped in &stops {
            checkpoint::stop(&mut transaction, stopped).await?;
        }
        transaction.commit().await?;
        self.kept.put(taken);
        steps.end();
        to.stops.extend(stops);
        let records = usize::try_from(to.reader.offset - expected).unwrap_or(usize::MAX);
        self.at = to;
        self.corruption = corruption.map(|(found, _)| found);
        self.tell(Batch { from: expected, entries: &folded.entries, accounts: &folded.accounts }).await;
        self.hot.turn();
        for (id, touched) in folded.accounts {
            self.hot.keep(id, touched.after);
        }
        Ok(Done::Written { records, rows: folded.changes.len() })
    }

    async fn fold_ledger(&mut self, connection: &mut PgConnection, live: &[Arc<Stored>]) -> Result<Folded, Failure> {
        let with_key = self.views.folded.contains(View::Journal);
        let mut entries = Vec::with_capacity(live.len());
        for step in live.chunks(STEP_RECORDS) {
            entries.extend(step.iter().map(|stored| Live::decode(stored, with_key)));
            tokio::task::yield_now().await;
        }
        let of_accounts = entries.iter().filter_map(|live| Some((live.stored.offset, live.account?)));
        let mut folded = Folded { entries: of_accounts.collect(), ..Folded::default() };
        self.touch(connection, &entries, &mut folded.accounts).await?;
        for step in entries.chunks(STEP_RECORDS) {
            for entry in step {
                self.fold_entry(entry, &mut folded);
            }
            tokio::task::yield_now().await;
        }
        for (id, touched) in &mut folded.accounts {
            folded.changes.account((id, self.partition), touched);
        }
        Ok(folded)
    }

    /// The accounts of these entries: those in use, the others loaded, and new ones.
    async fn touch(
        &mut self,
        connection: &mut PgConnection,
        entries: &[Live<'_>],
        touched: &mut BTreeMap<AccountId, Touched>,
    ) -> Result<(), Failure> {
        let mut missing = Vec::new();
        for id in entries.iter().filter_map(|entry| entry.account) {
            if let std::collections::btree_map::Entry::Vacant(place) = touched.entry(id) {
                place.insert(self.hot.take(&id).map_or_else(
                    || {
                        missing.push(id);
                        Touched::unknown()
                    },
                    Touched::known,
                ));
            }
        }
        for ids in missing.chunks(LOAD_ACCOUNTS_MAX) {
            for (id, account) in loading::accounts(connection, ids, self.views.folded).await? {
                touched.insert(id, Touched::known(account));
            }
        }
        Ok(())
    }

    /// Folds an entry as the store in memory does, into every view that has not stopped.
    fn fold_entry(&mut self, live: &Live<'_>, folded: &mut Folded) {
        let offset = live.stored.offset;
        let Folded { changes, accounts, stops, .. } = folded;
        match live.account.and_then(|id| Some((id, accounts.get_mut(&id)?))) {
            Some((id, touched)) => {
                let rows = &mut touched.after;
                if !self.stopped.contains(View::Journal) {
                    rows.journal.fold(offset, &Journal::digest(&live.stored.record.value));
                    let entry = JournalRow {
                        account: id,
                        offset,
                        seq: rows.journal.count(),
                        partition: self.partition,
                        recorded_at: recorded_at(live.stored),
                        key_hash: live.key_hash,
                        kinds: &live.stored.record.headers.kinds,
                        value: &live.stored.record.value,
                    };
                    rows::journal(changes.new_row(&rows::JOURNAL), &entry);
                }
                if let Ok(entry) = &live.entry {
                    touched.since.get_or_insert(entry.seq);
                    for (view, reason) in rows.fold(entry, self.stopped, Some(&mut touched.older)) {
                        self.stop(view, offset, reason, stops);
                    }
                }
            }
            None => self.stop(View::Journal, offset, "the entry has no account".into(), stops),
        }
        if let Err(error) = &live.entry {
            for view in [View::Orders, View::Trades, View::Portfolio, View::Pnl, View::Cash] {
                self.stop(view, offset, error.to_string().into(), stops);
            }
        }
    }

    /// Stops a view here, once.
    fn stop(&mut self, view: View, offset: u64, reason: Box<str>, stops: &mut Vec<Stop>) {
        if self.stopped.contains(view) {
            return;
        }
        self.stopped.insert(view);
        let partition = self.partition;
        tracing::error!(view = view.name(), partition, offset, %reason, "a view stopped; others go on");
        let labels = [("view", view.name().to_owned()), ("partition", partition.to_string())];
        metrics::counter!("bahi_view_stops_total", &labels).increment(1);
        stops.push(Stop { view, partition, offset, reason });
    }
}

impl<'a> Live<'a> {
    /// The command's key is for the journal alone, and takes reading the whole entry.
    fn decode(stored: &'a Stored, with_key: bool) -> Self {
        let bytes = &stored.record.value;
        match with_key.then(|| decode_entry(bytes)) {
            Some(Ok(entry)) => {
                let key_hash = key_hash(entry.account.as_str(), entry.command.by.role, &entry.command.id);
                Self { stored, account: Some(entry.account), entry: Ok(entry.into()), key_hash: Some(key_hash) }
            }
            // Views fold what they need, as they do in memory, though the command in it cannot be read.
            None | Some(Err(_)) => {
                let entry = decode_happened(bytes);
                let of_key = || AccountId::new(stored.record.key.as_deref()?).ok();
                let account = entry.as_ref().ok().map(|entry| entry.account).or_else(of_key);
                Self { stored, account, entry, key_hash: None }
            }
        }
    }
}

fn recorded_at(stored: &Stored) -> Timestamp {
    Timestamp::from_micros(stored.record.headers.ce_time)
}
