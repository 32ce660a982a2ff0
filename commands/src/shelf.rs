//! Which books are in memory: those that changed since the last snapshot and some that were used of late. The
//! others are cold: their item in the snapshot is their book. Folds nothing and decides nothing.

use domain::{book::Book, ids::AccountId, time::Timestamp};
use event_log::snapshot::Due;
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

/// How many books are looked at when some are to leave memory, so that it takes no time that anybody notices.
const COOL_STEPS: usize = 256;

enum Held {
    Hot(Arc<Book>),
    /// In the snapshot only.
    Cold,
    /// Being folded; for ever, if folding failed.
    Taken,
}

/// One account.
struct Slot {
    held: Held,
    /// Its place in the index of due work.
    due: Option<Timestamp>,
    /// Changed since the last hand-over.
    dirty: bool,
    /// Handed over, and not known to be saved.
    saving: bool,
    /// Used since the hand of the clock last passed.
    used: bool,
}

/// The books of one partition, and the index of when accounts next have due work.
#[derive(Default)]
pub(crate) struct Shelf {
    slots: HashMap<AccountId, Slot>,
    due: BTreeSet<(Timestamp, AccountId)>,
    dirty: Vec<AccountId>,
    saving: Vec<AccountId>,
    /// Hot books in the order that the hand of the clock passes them.
    clock: VecDeque<AccountId>,
    books_max: usize,
    /// Whether an account that is not here may be in the snapshot.
    has_cold: bool,
}

impl Shelf {
    /// For about so many books, beside those that are not saved.
    pub(crate) fn new(books_max: usize) -> Self {
        Self { books_max, ..Self::default() }
    }

    /// Nothing is known of any account.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.books_max);
    }

    /// All accounts are cold; their due times are looked at again at once if the calendar is another.
    pub(crate) fn restore(&mut self, due: Vec<Due>, same_calendar: bool) -> Result<(), String> {
        self.reset();
        self.has_cold = true;
        for (micros, key) in due {
            let account = AccountId::new(&key).map_err(|error| format!("the key {key}: {error}"))?;
            let at = Timestamp::from_micros(micros);
            self.due.insert((at, account));
            self.slots
                .insert(account, Slot { held: Held::Cold, due: Some(at), dirty: false, saving: false, used: false });
        }
        if !same_calendar {
            self.doubt_cold();
        }
        Ok(())
    }

    /// Due times of cold books are of no use: each is looked at as if it were due now.
    pub(crate) fn doubt_cold(&mut self) {
        for (account, slot) in &mut self.slots {
            if let (Held::Cold, Some(before)) = (&slot.held, slot.due) {
                self.due.remove(&(before, *account));
                self.due.insert((Timestamp::from_micros(0), *account));
                slot.due = Some(Timestamp::from_micros(0));
            }
        }
    }

    /// Whether the book must be fetched from the snapshot, or found not to be there.
    pub(crate) fn is_cold(&self, account: &AccountId) -> bool {
        match self.slots.get(account) {
            Some(slot) => matches!(slot.held, Held::Cold),
            None => self.has_cold,
        }
    }

    /// The book comes from the snapshot, or is new.
    pub(crate) fn warm(&mut self, account: AccountId, book: Book, next: Option<Timestamp>) {
        let slot = self.slots.entry(account).or_insert_with(Slot::new);
        if !matches!(slot.held, Held::Cold) {
            return;
        }
        (slot.held, slot.used) = (Held::Hot(Arc::new(book)), true);
        self.clock.push_back(account);
        Self::index(&mut self.due, account, slot, next);
    }

    /// The book of a hot or new account.
    pub(crate) fn get(&mut self, account: AccountId) -> Option<&Book> {
        match &self.slot(account).held {
            Held::Hot(book) => Some(book),
            Held::Cold | Held::Taken => None,
        }
    }

    /// Takes the book to fold it; it is put back, or the account is of no use until all is reset.
    pub(crate) fn take(&mut self, account: AccountId) -> Option<Book> {
        let slot = self.slot(account);
        match std::mem::replace(&mut slot.held, Held::Taken) {
            // Copied only while a snapshot of it is being written.
            Held::Hot(book) => Some(Arc::try_unwrap(book).unwrap_or_else(|shared| (*shared).clone())),
            held => {
                slot.held = held;
                None
            }
        }
    }

    /// Puts a folded book back, with when it next has due work.
    pub(crate) fn put(&mut self, book: Book, next: Option<Timestamp>) {
        let account = book.account;
        let Some(slot) = self.slots.get_mut(&account) else { return };
        slot.held = Held::Hot(Arc::new(book));
        slot.used = true;
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(account);
        }
        Self::index(&mut self.due, account, slot, next);
    }

    fn slot(&mut self, account: AccountId) -> &mut Slot {
        self.slots.entry(account).or_insert_with(|| {
            // Who fetches cold books has found that there is none of this account, or there are none at all.
            self.clock.push_back(account);
            Slot { held: Held::Hot(Arc::new(Book::new(account))), used: true, ..Slot::new() }
        })
    }

    fn index(due: &mut BTreeSet<(Timestamp, AccountId)>, account: AccountId, slot: &mut Slot, next: Option<Timestamp>) {
        if slot.due == next {
            return;
        }
        if let Some(before) = slot.due {
            due.remove(&(before, account));
        }
        if let Some(next) = next {
            due.insert((next, account));
        }
        slot.due = next;
    }

    /// Reckons anew when each book in memory next has due work.
    pub(crate) fn index_hot(&mut self, next_due: impl Fn(&Book) -> Option<Timestamp>) {
        for (account, slot) in &mut self.slots {
            if let Held::Hot(book) = &slot.held {
                let next = next_due(book);
                Self::index(&mut self.due, *account, slot, next);
            }
        }
    }

    /// When an account next has due work.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Cold accounts among those that have had due work for the longest.
    pub(crate) fn due_cold(&self, now: Timestamp, limit: usize) -> Vec<Box<str>> {
        let due = self.due.iter().take(limit).take_while(|(at, _)| *at <= now).map(|(_, account)| account);
        due.filter(|account| self.is_cold(account)).map(|account| account.as_str().into()).collect()
    }

    /// Takes the account that has had due work for the longest out of the index, until `again` if that is said.
    pub(crate) fn park_next_due(&mut self, now: Timestamp, again: Option<Timestamp>) -> Option<Arc<Book>> {
        loop {
            let (at, account) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
            let slot = self.slots.get_mut(&account)?;
            let book = match &slot.held {
                Held::Hot(book) => Some(Arc::clone(book)),
                // Whoever asks fetches it first.
                Held::Cold => return None,
                Held::Taken => None,
            };
            self.due.remove(&(at, account));
            slot.due = again.filter(|_| book.is_some());
            if let Some(again) = slot.due {
                self.due.insert((again, account));
            }
            if book.is_some() {
                return book;
            }
        }
    }

    /// The books that changed since the last hand-over, with when each has due work.
    pub(crate) fn hand_over(&mut self) -> Vec<(Arc<Book>, Option<Timestamp>)> {
        let mut changed = Vec::with_capacity(self.dirty.len());
        for account in std::mem::take(&mut self.dirty) {
            let Some(slot) = self.slots.get_mut(&account) else { continue };
            slot.dirty = false;
            if let Held::Hot(book) = &slot.held {
                slot.saving = true;
                changed.push((Arc::clone(book), slot.due));
                self.saving.push(account);
            }
        }
        changed
    }

    /// Whether what was handed over is saved; if not, it counts as changed again.
    pub(crate) fn saved(&mut self, saved: bool) {
        self.has_cold |= saved;
        for account in std::mem::take(&mut self.saving) {
            let Some(slot) = self.slots.get_mut(&account) else { continue };
            slot.saving = false;
            if !saved && !slot.dirty {
                slot.dirty = true;
                self.dirty.push(account);
            }
        }
    }

    /// Lets go of some saved books that were not used of late, while there are more than there should be.
    pub(crate) fn cool(&mut self) {
        for _ in 0..COOL_STEPS {
            if self.clock.len() <= self.books_max {
                return;
            }
            let Some(account) = self.clock.pop_front() else { return };
            let Some(slot) = self.slots.get_mut(&account) else { continue };
            if std::mem::take(&mut slot.used) || slot.dirty || slot.saving || !matches!(slot.held, Held::Hot(_)) {
                self.clock.push_back(account);
            } else if slot.due.is_some() {
                slot.held = Held::Cold;
            } else {
                self.slots.remove(&account);
            }
        }
    }
}

impl Slot {
    fn new() -> Self {
        Self { held: Held::Cold, due: None, dirty: false, saving: false, used: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(shelf: &mut Shelf, number: usize) {
        let account = AccountId::new(&format!("A{number}")).expect("an account");
        let book = shelf.take(account).expect("a book that is in memory or new");
        shelf.put(book, None);
    }

    fn hot(shelf: &Shelf) -> usize {
        shelf.slots.values().filter(|slot| matches!(slot.held, Held::Hot(_))).count()
    }

    #[test]
    fn no_more_books_stay_in_memory_than_should_be_but_for_those_that_are_not_saved() {
        const MAX: usize = 3;
        let mut shelf = Shelf::new(MAX);
        (0..50).for_each(|number| change(&mut shelf, number));
        let cool = |shelf: &mut Shelf| (0..4).for_each(|_| shelf.cool());
        cool(&mut shelf);
        assert_eq!(hot(&shelf), 50, "none is saved");
        assert_eq!(shelf.hand_over().len(), 50);
        change(&mut shelf, 7);
        cool(&mut shelf);
        assert_eq!(hot(&shelf), 50, "none is known to be saved");
        shelf.saved(true);
        cool(&mut shelf);
        assert_eq!(hot(&shelf), MAX);
        let seven = AccountId::new("A7").expect("an account");
        assert!(matches!(shelf.slots[&seven].held, Held::Hot(_)), "it changed since it was handed over");
        assert_eq!(shelf.hand_over().len(), 1, "what did not change is not saved again");
    }
}
