//! What a run's records say when they are folded plainly from the start, and what must hold of that.

use super::{
    left_out::at_equal_term,
    purse::{Entry, Purse, Said, purse_key},
    view::shown,
    weak::Weak,
};
use crate::known::{Key, Known};
use event_log::{
    Stored,
    rule::{Reader, Verdict},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// A live entry and where it stands.
pub(super) struct Live {
    pub offset: u64,
    pub source: i64,
    pub entry: Entry,
}

/// What the records say.
#[derive(Default)]
pub(super) struct Truth {
    pub reader: Reader,
    pub purses: BTreeMap<Box<str>, Purse>,
    /// What each key was first used for.
    pub first: HashMap<Key, Known>,
    pub live: Vec<Live>,
}

impl Truth {
    /// Folds all, each entry onto the one before.
    ///
    /// # Errors
    /// In words, when live entries are not one chain, a purse does not follow, or a key has two first outcomes.
    pub(super) fn of(records: Vec<Arc<Stored>>, weak: Option<Weak>) -> Result<Self, String> {
        let mut truth = Truth::default();
        for stored in shown(records, weak, None) {
            let before = truth.reader;
            let headers = &stored.record.headers;
            let verdict = truth.reader.fold(stored.offset, headers).map_err(|corrupt| corrupt.to_string())?;
            let verdict = at_equal_term(&mut truth.reader, headers, verdict);
            match verdict {
                Verdict::Claim if headers.term <= before.term => return Err("a term came again".to_owned()),
                Verdict::Claim => {}
                Verdict::Entry => truth.take_in(&stored)?,
                Verdict::DeadClaim | Verdict::Dead(_) => {
                    assert_eq!(truth.reader, Reader { offset: before.offset + 1, ..before });
                }
            }
        }
        Ok(truth)
    }

    fn take_in(&mut self, stored: &Stored) -> Result<(), String> {
        let (offset, source) = (stored.offset, stored.record.headers.source);
        let entry = Entry::read(&stored.record.value)?;
        let key = entry.ask.key();
        self.purses.entry(purse_key(entry.ask.purse)).or_default().fold(&entry)?;
        match (entry.said, self.first.get(&key)) {
            (Said::Changed { .. } | Said::Refused { .. }, None) => {
                self.first.insert(key, Known { content: entry.ask.content(), offset });
            }
            (Said::Repeats(seq), Some(known)) if known.content == entry.ask.content() => {
                let first = self.at(known.offset).ok_or("a key's first entry is not live")?;
                if first.entry.seq != seq {
                    return Err(format!("{entry:?} repeats another than {:?}", first.entry));
                }
            }
            (Said::Reused, Some(known)) if known.content != entry.ask.content() => {}
            (_, known) => return Err(format!("{entry:?} though its key has {known:?}")),
        }
        self.live.push(Live { offset, source, entry });
        Ok(())
    }

    /// The live entry at an offset.
    pub(super) fn at(&self, offset: u64) -> Option<&Live> {
        self.live.binary_search_by_key(&offset, |live| live.offset).ok().map(|at| &self.live[at])
    }

    /// The first entry under a key.
    pub(super) fn of_key(&self, key: &Key) -> Option<&Live> {
        self.at(self.first.get(key)?.offset)
    }
}
