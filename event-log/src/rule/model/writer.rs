//! A writer as the design has it: it folds at its own pace, claims, waits to see that very claim live, and then appends
//! one entry for each command in a window without waiting; whatever fails, it throws away what is ahead and claims again.

use super::{
    books::{Books, Command, Record},
    weak::Weak,
};
use crate::rule::{Dead, Verdict};
use rand::rngs::StdRng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Claims next.
    Idle,
    /// Waits to see this claim.
    Claimed { term: u64 },
    /// Saw its claim live.
    Owner { term: u64 },
    /// Writes no more.
    Stopped,
}

pub(super) struct Writer {
    pub id: u128,
    /// What it folded.
    pub books: Books,
    pub phase: Phase,
    /// What it hopes for: its books with all that it appended.
    pub ahead: Books,
}

impl Writer {
    /// Starts from what was folded up to some place.
    pub(super) fn start(id: u128, books: Books) -> Writer {
        Writer { id, ahead: books.clone(), books, phase: Phase::Idle }
    }

    /// What it appends next, if anything; `begin` is where reading commands begins at the least.
    pub(super) fn write(
        &mut self,
        weak: Option<Weak>,
        commands: &[Command],
        begin: i64,
        chance: &mut StdRng,
    ) -> Option<Record> {
        let term = match self.phase {
            Phase::Idle => {
                let term = self.books.reader.term + 1;
                self.phase = Phase::Claimed { term };
                self.ahead = self.books.clone();
                return Some(Record::claim(term, self.id));
            }
            Phase::Claimed { term } if weak == Some(Weak::EarlyEntries) => term,
            Phase::Claimed { .. } | Phase::Stopped => return None,
            Phase::Owner { term } => term,
        };
        let after = self.ahead.reader.last;
        let source = (after + 1).max(begin);
        let command = *commands.get(usize::try_from(source).ok()?)?;
        let said = self.ahead.decide(command, chance);
        self.ahead.apply(weak, command, said);
        self.ahead.reader.last = source;
        Some(Record::entry(term, self.id, after, source, (command, said)))
    }

    /// What is ahead of the log is of no use.
    pub(super) fn lose(&mut self, weak: Option<Weak>) {
        self.ahead = self.books.clone();
        self.phase = match self.phase {
            Phase::Owner { term } if weak == Some(Weak::SameTermDecidesAgain) => Phase::Owner { term },
            Phase::Stopped => Phase::Stopped,
            _ => Phase::Idle,
        };
    }

    /// Reads the next record.
    pub(super) fn read(&mut self, weak: Option<Weak>, offset: u64, record: &Record) -> Result<(), String> {
        let verdict = self.books.fold(weak, offset, record)?;
        let (term, writer) = (record.headers.term, record.headers.writer);
        let is_own = writer == self.id || weak == Some(Weak::NoWriter);
        match (self.phase, verdict) {
            (Phase::Claimed { term: claimed }, Verdict::Claim) if is_own && term == claimed => {
                if weak != Some(Weak::EarlyEntries) {
                    self.ahead = self.books.clone();
                }
                self.phase = Phase::Owner { term };
            }
            (Phase::Owner { .. }, Verdict::Claim) if weak == Some(Weak::LateClaimStops) => self.phase = Phase::Stopped,
            (Phase::Owner { .. }, Verdict::Claim) => {
                self.phase = Phase::Idle;
            }
            (Phase::Claimed { term: claimed }, Verdict::DeadClaim) if writer == self.id && term == claimed => {
                self.phase = Phase::Idle;
            }
            (Phase::Owner { term: held }, Verdict::Dead(why))
                if writer == self.id && term == held && why != Dead::Duplicate =>
            {
                self.lose(weak);
            }
            _ => {}
        }
        Ok(())
    }
}
