//! Entries decided and not yet known to be durable, with who waits for each; knows no log.

use crate::{
    known::{ByKey, Key},
    outcome::Outcome,
    queue::{Reply, Waiter},
};
use event_log::{Headers, Record, trace::Step};
use std::sync::Arc;

/// One append's worth of entries.
#[derive(Default)]
pub(crate) struct Flight {
    pub records: Vec<Record>,
    pub landings: Vec<Landing>,
    pub bytes: usize,
}

impl Flight {
    pub(crate) fn is_empty(&self) -> bool {
        self.landings.is_empty()
    }
    pub(crate) fn push(&mut self, record: Record, landing: Landing) {
        self.bytes += record.value.len();
        self.records.push(record);
        self.landings.push(landing);
    }
}

/// What is to be done once an entry is durable and live.
pub(crate) struct Landing {
    pub key: Key,
    pub content: [u8; 16],
    pub outcome: Outcome,
    /// The first answer under its key; absent for a repeat and for other content under a used key.
    pub first: bool,
    /// Whether the caller is to be told the key's first outcome.
    pub repeat: bool,
    pub after: i64,
    pub source: i64,
    /// The length of the entry's value.
    pub bytes: usize,
    pub waiter: Waiter,
    /// Ends when it has landed, or is turned away.
    pub step: Step,
}

impl Landing {
    /// Nothing was recorded.
    pub(crate) fn turn_away(mut self) {
        self.step.failed("nothing was recorded");
        self.waiter.reply(Reply::Busy);
    }

    /// As much of the record's headers as the ledger rule looks at.
    pub(crate) fn rule_headers(&self, ce_type: event_log::RecordKind, term: u64, writer: u128) -> Headers {
        Headers {
            ce_type,
            ce_id: Box::default(),
            ce_time: 0,
            term,
            writer,
            after: self.after,
            source: self.source,
            kinds: Arc::default(),
            traceparent: None,
        }
    }
}

/// Keys decided and not yet durable: what for, and by the entry with which `seq`.
pub(crate) type Speculative = ByKey<([u8; 16], u64)>;
