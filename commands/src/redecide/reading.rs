//! Reads a log from its beginning and has every live entry decided again; each partition of the ledger with a market of its own.

use super::{Accounts, Again, Facts, Policies, Wrong};
use crate::error::Error;
use event_log::{
    EventLog, Stored, Topic,
    rule::{Reader, Verdict},
};
use event_schemas::{decode_entry, decode_market_entry};
use std::{collections::VecDeque, fmt, sync::Arc};

/// Records read at a time.
const READ_RECORDS: usize = 2_048;

/// What deciding a log again gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redecided {
    /// Entries of accounts with equal events.
    pub entries: u64,
    /// Market entries with equal events.
    pub facts: u64,
    /// Entries that had been answered without deciding, and rightly.
    pub not_decided: u64,
    /// Entries made under other rules, which were folded only.
    pub other_rules: u64,
    /// The first that differs; what stands after it was not looked at.
    pub difference: Option<Difference>,
}

/// An entry that is not what deciding gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In which topic.
    pub topic: Topic,
    /// In which partition.
    pub partition: u32,
    /// At which record.
    pub offset: u64,
    /// Which entry: `{account}/{seq}`, or a market key and its seq.
    pub id: Box<str>,
    /// In words, with both lists of events.
    pub what: Box<str>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, offset, id, what } = self;
        write!(f, "{topic}/{partition} offset {offset}: {id}: {what}")
    }
}

impl Redecided {
    fn count(&mut self, topic: Topic, again: Again) {
        let counted = match (again, topic) {
            (Again::Equal, Topic::Ledger) => &mut self.entries,
            (Again::Equal, Topic::Market) => &mut self.facts,
            (Again::NotDecided, _) => &mut self.not_decided,
            (Again::OtherRules, _) => &mut self.other_rules,
        };
        *counted += 1;
    }
}

/// Decides everything again that a log holds now, facts first; `progress` is told records done and to do.
///
/// # Errors
/// What the log says, an entry that does not read, and [`Error::Policy`] for a version that is not among the policies.
pub async fn redecide(
    log: &dyn EventLog,
    policies: &Policies,
    mut progress: impl FnMut(u64, u64),
) -> Result<Redecided, Error> {
    // The ledger's ends first: what its entries were decided with is recorded by then.
    let mut lanes = Vec::new();
    for topic in [Topic::Ledger, Topic::Market] {
        for partition in 0..log.partitions(topic) {
            let mut lane = Lane::new(topic, partition);
            lane.end = log.tail(topic, partition).await.map_err(lane.failed())?;
            lanes.push(lane);
        }
    }
    lanes.sort_by_key(|lane| lane.topic == Topic::Ledger);
    let (mut redecided, mut before, of) = (Redecided::default(), 0, lanes.iter().map(|lane| lane.end).sum());
    for mut lane in lanes {
        let told = |done: u64| progress(before + done, of);
        match lane.topic {
            Topic::Market => facts(log, &mut lane, &mut redecided, told).await?,
            Topic::Ledger => accounts(log, &mut lane, policies, &mut redecided, told).await?,
        }
        if redecided.difference.is_some() {
            break;
        }
        before += lane.end;
    }
    Ok(redecided)
}

async fn facts(
    log: &dyn EventLog,
    lane: &mut Lane,
    redecided: &mut Redecided,
    mut told: impl FnMut(u64),
) -> Result<(), Error> {
    let mut facts = Facts::default();
    while let Some(stored) = lane.next(log).await? {
        let entry = decode_market_entry(&stored.record.value).map_err(lane.unread(&stored))?;
        match facts.entry(&entry) {
            Ok(again) => redecided.count(lane.topic, again),
            Err(wrong) => return lane.wrong(&stored, entry.ce_id(), wrong, redecided),
        }
        told(lane.reader.offset);
    }
    Ok(())
}

async fn accounts(
    log: &dyn EventLog,
    lane: &mut Lane,
    policies: &Policies,
    redecided: &mut Redecided,
    mut told: impl FnMut(u64),
) -> Result<(), Error> {
    let partitions = log.partitions(Topic::Market);
    let mut accounts = Accounts::new(partitions);
    let mut markets: Vec<Lane> = (0..partitions).map(|partition| Lane::new(Topic::Market, partition)).collect();
    while let Some(stored) = lane.next(log).await? {
        let entry = decode_entry(&stored.record.value).map_err(lane.unread(&stored))?;
        let wanted = match accounts.wants(&entry.context) {
            Ok(wanted) => wanted,
            Err(wrong) => return lane.wrong(&stored, entry.ce_id(), wrong, redecided),
        };
        for (market, wanted) in markets.iter_mut().zip(wanted) {
            market.end = wanted;
            while let Some(stored) = market.next(log).await? {
                let fact = decode_market_entry(&stored.record.value).map_err(market.unread(&stored))?;
                if let Err(wrong) = accounts.fold_market(&fact) {
                    return market.wrong(&stored, fact.ce_id(), wrong, redecided);
                }
            }
            if market.reader.offset < wanted {
                let reached = market.reader.offset;
                let what = format!("was decided with the market at {wanted}, which ends at {reached}");
                return lane.wrong(&stored, entry.ce_id(), Wrong::Differs(what), redecided);
            }
            accounts.market_reached(market.partition, market.reader.offset);
        }
        match accounts.entry(&entry, policies) {
            Ok(again) => redecided.count(lane.topic, again),
            Err(wrong) => return lane.wrong(&stored, entry.ce_id(), wrong, redecided),
        }
        told(lane.reader.offset);
    }
    Ok(())
}

/// One partition, read in order up to an end.
struct Lane {
    topic: Topic,
    partition: u32,
    reader: Reader,
    end: u64,
    /// Read, and not folded by the rule yet.
    ahead: VecDeque<Arc<Stored>>,
}

impl Lane {
    fn new(topic: Topic, partition: u32) -> Self {
        Self { topic, partition, reader: Reader::default(), end: 0, ahead: VecDeque::new() }
    }

    /// The next live entry before the end.
    async fn next(&mut self, log: &dyn EventLog) -> Result<Option<Arc<Stored>>, Error> {
        let (topic, partition) = (self.topic, self.partition);
        while self.reader.offset < self.end {
            if self.ahead.is_empty() {
                let batch = log.read(topic, partition, self.reader.offset, READ_RECORDS).await;
                self.ahead.extend(batch.map_err(self.failed())?);
            }
            let Some(stored) = self.ahead.pop_front() else { break };
            let verdict = self.reader.fold(stored.offset, &stored.record.headers);
            if verdict.map_err(|source| Error::Corrupt { topic, partition, source })? == Verdict::Entry {
                return Ok(Some(stored));
            }
        }
        Ok(None)
    }

    fn failed(&self) -> impl Fn(event_log::Error) -> Error + use<> {
        let (topic, partition) = (self.topic, self.partition);
        move |source| Error::Log { topic, partition, source }
    }

    fn unread(&self, stored: &Stored) -> impl Fn(event_schemas::DecodeError) -> Error + use<> {
        let (topic, partition, offset) = (self.topic, self.partition, stored.offset);
        move |why| Error::Entry { topic, partition, offset, reason: why.to_string() }
    }

    /// Notes a difference; a policy that is not at hand is an error, as nothing after it can be decided either.
    fn wrong(&self, stored: &Stored, id: String, wrong: Wrong, redecided: &mut Redecided) -> Result<(), Error> {
        let (topic, partition, offset) = (self.topic, self.partition, stored.offset);
        match wrong {
            Wrong::Policy(version) => Err(Error::Policy { topic, partition, offset, version }),
            Wrong::Differs(what) => {
                let (id, what) = (id.into(), what.into());
                redecided.difference = Some(Difference { topic, partition, offset, id, what });
                Ok(())
            }
        }
    }
}
