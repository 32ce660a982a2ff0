//! What is folded in the model: one balance and the outcomes by key, decided impurely on purpose.

use super::weak::{Weak, fold};
use crate::{
    Headers, RecordKind,
    rule::{Reader, Verdict},
};
use rand::{Rng, rngs::StdRng};
use std::{collections::BTreeMap, sync::Arc};

/// The highest fee; it stands for the clock, prices and the release, so that deciding twice differs.
const FEE_MAX: i64 = 3;

/// Adds to the balance, or takes from it what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub key: u16,
    pub change: i64,
}

/// How a command was answered, with the balance after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Accepted { fee: i64, balance: i64 },
    Refused { fee: i64 },
    Repeats,
}

/// A record of the partition: a claim, or an entry with what it answers.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub headers: Headers,
    pub entry: Option<(Command, Said)>,
}

impl Record {
    pub(super) fn claim(term: u64, writer: u128) -> Record {
        Record { headers: Headers::claim(term, writer, Box::default(), 0), entry: None }
    }

    pub(super) fn entry(term: u64, writer: u128, after: i64, source: i64, entry: (Command, Said)) -> Record {
        let kinds = Arc::default();
        let ce_type = RecordKind::Entry;
        let headers = Headers {
            ce_type,
            ce_id: Box::default(),
            ce_time: 0,
            term,
            writer,
            after,
            source,
            kinds,
            traceparent: None,
        };
        Record { headers, entry: Some(entry) }
    }
}

/// The reader's state, and what it folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Books {
    pub reader: Reader,
    pub balance: i64,
    pub outcomes: BTreeMap<u16, Said>,
}

impl Books {
    /// Folds a record.
    ///
    /// # Errors
    /// In words, when the log is corrupt.
    pub(super) fn fold(&mut self, weak: Option<Weak>, offset: u64, record: &Record) -> Result<Verdict, String> {
        let verdict = fold(weak, &mut self.reader, offset, &record.headers).map_err(|corrupt| corrupt.to_string())?;
        if let (Verdict::Entry, Some((command, said))) = (verdict, record.entry) {
            self.apply(weak, command, said);
        }
        Ok(verdict)
    }

    /// Takes in an entry, which is live or hoped to be.
    pub(super) fn apply(&mut self, weak: Option<Weak>, command: Command, said: Said) {
        match said {
            Said::Accepted { balance, .. } => self.balance = balance,
            Said::Refused { .. } if weak == Some(Weak::RefusalsForgotten) => return,
            Said::Refused { .. } => {}
            Said::Repeats => return,
        }
        self.outcomes.entry(command.key).or_insert(said);
    }

    pub(super) fn decide(&self, command: Command, chance: &mut StdRng) -> Said {
        if self.outcomes.contains_key(&command.key) {
            return Said::Repeats;
        }
        let fee = chance.random_range(0..=FEE_MAX);
        let balance = self.balance + command.change - fee;
        if balance < 0 { Said::Refused { fee } } else { Said::Accepted { fee, balance } }
    }

    /// Whether this is an answer that could have been decided here.
    pub(super) fn allows(&self, command: Command, said: Said) -> bool {
        let after = |fee: i64| self.balance + command.change - fee;
        match said {
            Said::Repeats => self.outcomes.contains_key(&command.key),
            _ if self.outcomes.contains_key(&command.key) => false,
            Said::Accepted { fee, balance } => balance == after(fee) && balance >= 0,
            Said::Refused { fee } => after(fee) < 0,
        }
    }
}
