//! Given, when, then for the book: each step's type allows only the next, and a test reads aloud.

use crate::{
    book::{self, Book, Context},
    calendar::CalendarMode,
    command::Command,
    event::{Event, EventData},
    ids::{AccountId, CommandId},
    market::{self, Fact, Market},
    policy::Policy,
    rejection::Rejection,
    time::Timestamp,
};

/// A book, a market and a clock, before something is asked.
#[derive(Clone, Debug)]
pub struct Given {
    book: Book,
    market: Market,
    calendar: CalendarMode,
    policy: Policy,
    now: Timestamp,
}

/// What was asked has been decided.
#[derive(Clone, Debug)]
pub struct Then {
    before: Given,
    events: Vec<Event>,
    after: Given,
}

/// An empty book of account `ACC1` on Monday 2026-11-23 at 10:00, with no market facts.
pub fn given() -> Given {
    Given {
        book: Book::new(AccountId::new("ACC1").expect("an account id")),
        market: Market::default(),
        calendar: CalendarMode::Exchange,
        policy: Policy::default(),
        now: Timestamp::parse("2026-11-23T10:00:00+05:30").expect("a time"),
    }
}

impl Given {
    /// With a market fact, which must be accepted.
    #[must_use]
    pub fn fact(mut self, fact: impl Into<Fact>) -> Self {
        let fact = fact.into();
        let event = market::decide(&self.market, &fact, self.now);
        assert!(event.data.type_name() != "command_refused", "the market refused {fact:?}: {event:?}");
        *self.market.seqs.entry(fact.key()).or_default() += 1;
        self.market = market::evolve(self.market, &event);
        self
    }
    /// At another time, RFC 3339.
    #[must_use]
    pub fn at(mut self, time: &str) -> Self {
        self.now = Timestamp::parse(time).expect("a time");
        self
    }
    /// By another calendar.
    #[must_use]
    pub fn calendar(mut self, calendar: CalendarMode) -> Self {
        self.calendar = calendar;
        self
    }
    /// After a command that must be accepted.
    #[must_use]
    pub fn and(self, command: impl Into<Command>) -> Self {
        self.when(command).then_accepted()
    }
    /// After everything that is due has been done.
    #[must_use]
    pub fn and_all_due(mut self) -> Self {
        const ROUNDS_MAX: usize = 100;
        for _ in 0..ROUNDS_MAX {
            let Some((_, command)) = self.due().into_iter().next() else { return self };
            self = self.and(command);
        }
        panic!("work stays due after {ROUNDS_MAX} rounds")
    }
    /// What is due now.
    pub fn due(&self) -> Vec<(CommandId, Command)> {
        book::due(&self.book, &self.context(), usize::MAX)
    }
    /// When something will next be due.
    pub fn next_due(&self) -> Option<Timestamp> {
        book::next_due(&self.book, &self.context())
    }
    /// Asks.
    pub fn when(self, command: impl Into<Command>) -> Then {
        let events = book::decide(&self.book, &command.into(), &self.context());
        let mut after = self.clone();
        after.book = book::fold(after.book, self.book.seq + 1, self.now, &events);
        Then { before: self, events, after }
    }
    /// The book as it stands.
    pub fn book(&self) -> &Book {
        &self.book
    }
    fn context(&self) -> Context<'_> {
        Context { now: self.now, market: &self.market, calendar: self.calendar, policy: &self.policy }
    }
}

impl Then {
    /// It was accepted; gives the book after it.
    pub fn then_accepted(self) -> Given {
        assert!(!self.refused(), "refused: {:?}", self.events);
        self.after
    }
    /// It was accepted or refused; gives the book after it.
    pub fn then_decided(self) -> Given {
        self.after
    }
    /// It was accepted with events of these types, in order.
    pub fn then_events(self, types: &[&str]) -> Given {
        let happened: Vec<&str> = self.events.iter().map(|event| event.data.type_name()).collect();
        assert_eq!(happened, types);
        self.after
    }
    /// It was accepted and added nothing, as it is known already.
    pub fn then_known(self) -> Given {
        assert_eq!(self.events, Vec::new());
        self.after
    }
    /// It was refused with this code, and nothing but the count of entries changed.
    pub fn then_refused(self, code: Rejection) -> Given {
        match self.events.as_slice() {
            [Event { data: EventData::CommandRefused(refused), .. }] => assert_eq!(refused.code, code, "{refused:?}"),
            other => panic!("expected {}, got {other:?}", code.code()),
        }
        let before = &self.before.book;
        let unchanged = book::fold(before.clone(), before.seq + 1, self.before.now, &[]);
        assert_eq!(self.after.book, unchanged, "a refusal changes nothing");
        self.after
    }
    /// The events, to look into.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
    fn refused(&self) -> bool {
        matches!(self.events.as_slice(), [Event { data: EventData::CommandRefused(_), .. }])
    }
}
