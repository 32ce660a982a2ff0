//! What Redis was not told of a partition yet, or did not confirm in time, cut by offset into parts that one script takes
//! each; asks nobody.
//!
//! A part is complete in itself: it names every account that an entry from where it begins to where it ends touched. So
//! the mark may stop after any of them, be told of one twice, or of the first again after the last.

use domain::ids::AccountId;
use std::collections::{BTreeSet, VecDeque};

/// The most accounts of one part: a few milliseconds of the server on a slow machine.
const PART_ACCOUNTS_MAX: usize = 256;
/// The most accounts of all parts, of one partition: a few megabytes, and half a minute of 2,000 accounts a second.
const ACCOUNTS_MAX: usize = 65_536;

/// Entries of a partition that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) from: u64,
    /// The next offset after them.
    pub(super) next: u64,
    /// Whose they are.
    pub(super) touched: BTreeSet<AccountId>,
}

/// Parts that follow each other; none once Redis has confirmed everything.
#[derive(Default)]
pub(super) struct Untold(VecDeque<Part>);

impl Untold {
    /// Adds a batch from one offset up to another with the accounts of its entries in order; one without entries is
    /// there to be confirmed. When it becomes too much all of it is forgotten: then Redis sees that it missed something.
    pub(super) fn add(&mut self, (from, next): (u64, u64), entries: &[(u64, AccountId)]) {
        if self.0.back().is_none_or(|last| last.next != from) {
            self.0.clear();
            self.0.push_back(Part { from, next: from, touched: BTreeSet::new() });
        }
        for &(offset, account) in entries {
            let last = self.0.back_mut().expect("one was put there");
            last.next = offset;
            if last.touched.len() < PART_ACCOUNTS_MAX || last.touched.contains(&account) {
                last.touched.insert(account);
            } else {
                self.0.push_back(Part { from: offset, next: offset, touched: BTreeSet::from([account]) });
            }
        }
        self.0.back_mut().expect("one was put there").next = next;
        if self.0.iter().map(|part| part.touched.len()).sum::<usize>() > ACCOUNTS_MAX {
            self.0.clear();
        }
    }

    /// What is to be told next.
    pub(super) fn first(&self) -> Option<&Part> {
        self.0.front()
    }

    /// That it was taken.
    pub(super) fn confirmed(&mut self) {
        self.0.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::account;

    fn told(untold: &mut Untold) -> Vec<Part> {
        let mut all = Vec::new();
        while let Some(part) = untold.first() {
            all.push(part.clone());
            untold.confirmed();
        }
        all
    }

    #[test]
    fn batches_follow_each_other_and_what_was_confirmed_is_not_told_again() {
        let (one, other) = (account(1), account(2));
        let part = |from, next, touched: &[AccountId]| Part { from, next, touched: touched.iter().copied().collect() };
        let mut untold = Untold::default();
        untold.add((5, 7), &[(5, one), (6, one)]);
        untold.add((7, 9), &[(8, other)]);
        untold.add((9, 9), &[]);
        assert_eq!(told(&mut untold), [part(5, 9, &[one, other])]);
        untold.add((9, 9), &[]);
        assert_eq!(told(&mut untold), [part(9, 9, &[])], "a mark is confirmed");
        untold.add((9, 10), &[(9, one)]);
        untold.add((12, 13), &[(12, other)]);
        assert_eq!(told(&mut untold), [part(12, 13, &[other])], "one was missed");
        // Three parts, of which the first is taken and the last goes on.
        let many: Vec<_> = (0..2 * PART_ACCOUNTS_MAX + 1).map(|number| (20 + number as u64, account(number))).collect();
        let next = 20 + many.len() as u64;
        untold.add((20, next), &many);
        untold.confirmed();
        untold.add((next, next + 1), &[(next, one)]);
        let spans: Vec<_> = told(&mut untold).iter().map(|part| (part.from, part.next, part.touched.len())).collect();
        assert_eq!(spans, [(276, 532, 256), (532, next + 1, 2)]);
    }

    #[test]
    fn each_part_names_whoever_was_touched_within_it_and_no_more_than_one_script_takes() {
        // Accounts come back, near and far, and some offsets are of nobody.
        let mut entries = Vec::new();
        for offset in 0..6_000_u64 {
            if offset % 7 != 3 {
                let number = if offset % 3 == 0 { offset / 3 } else { offset * 37 % 900 };
                entries.push((offset, account(usize::try_from(number).expect("small"))));
            }
        }
        let (mut untold, mut begun) = (Untold::default(), 0);
        for batch in entries.chunks(611) {
            let next = batch.last().expect("some").0 + 1;
            untold.add((begun, next), batch);
            begun = next;
        }
        let parts = told(&mut untold);
        assert!(parts.len() > 4, "{}", parts.len());
        let mut from = 0;
        for part in &parts {
            assert_eq!(part.from, from);
            let within = entries.iter().filter(|(offset, _)| (part.from..part.next).contains(offset));
            assert_eq!(part.touched, within.map(|(_, account)| *account).collect());
            assert!(
                part.touched.len() == PART_ACCOUNTS_MAX || part.next == begun && part.touched.len() < PART_ACCOUNTS_MAX
            );
            from = part.next;
        }
        assert_eq!(from, begun);
    }

    #[test]
    fn too_much_is_forgotten() {
        let many: Vec<_> = (0..=ACCOUNTS_MAX).map(|number| (number as u64, account(number))).collect();
        let (mut untold, next) = (Untold::default(), many.len() as u64);
        untold.add((0, next - 1), &many[..ACCOUNTS_MAX]);
        assert!(untold.first().is_some());
        untold.add((next - 1, next), &many[ACCOUNTS_MAX..]);
        assert_eq!(told(&mut untold), []);
    }
}
