//! The book against an oracle: any commands, reports, trades and passing of time, in any order, decided and folded by
//! the book and by a plain model written apart from it; after each step both must say the same.

mod commands;
mod met;
mod model;
mod seen;
mod steps;
mod stories;
#[path = "../support/mod.rs"]
mod support;

use commands::{at_ticks, command};
use domain::{
    book::{self, Book, Context},
    calendar::CalendarMode,
    command::Command,
    event::{Event, EventData},
    ids::{AccountId, CommandId},
    market::{self, Fact, LastPrice, Market},
    policy::Policy,
    time::Timestamp,
};
use met::Met;
use model::{Model, Work};
use proptest::prelude::*;
use seen::{of_book, of_model};
use std::collections::BTreeSet;
use steps::{Clock, Step, series, steps};
use support::*;

/// Days that may be due at once: netting, settling and expiring of all that a run can hold.
const DUE_MAX: usize = 1_000;

/// A Thursday: a weekend and the settlements after it follow.
const FIRST: &str = "2026-11-26T09:30:00+05:30";
/// Before the first order leaves the book, seven days after its session: leaving has tests of its own.
const LAST: &str = "2026-12-02T23:59:00+05:30";

fn market(series: &str) -> Market {
    let facts: [Fact; 4] = [
        listed(series, Some("0.05"), Some(20)).into(),
        closed("2026-11-20", "100.00").into(),
        known_scheme().into(),
        nav_of("2026-11-20", "40.0000").into(),
    ];
    facts.iter().fold(Market::default(), |market, fact| tell(market, fact, time("2026-11-21T00:00:00+05:30")))
}

fn tell(market: Market, fact: &Fact, now: Timestamp) -> Market {
    let event = market::decide(&market, fact, now);
    market::evolve(market, &event)
}

/// The book, the model, and the market and clock they share.
struct Run {
    book: Book,
    model: Model,
    market: Market,
    policy: Policy,
    now: Timestamp,
    /// What venues and registrars have said, trades left out.
    reports: Vec<Command>,
    /// Ids of work that was done: what has an outcome is never submitted again.
    done: BTreeSet<CommandId>,
}

impl Run {
    fn new(series: &str) -> Self {
        let mut run = Self {
            book: Book::new(AccountId::new("ACC1").expect("id")),
            model: Model::new(series == "BE"),
            market: market(series),
            policy: Policy::default(),
            now: time(FIRST),
            reports: Vec::new(),
            done: BTreeSet::new(),
        };
        let opened = open().into();
        run.model.take(&opened, run.now).expect("an account can be opened");
        run.decide(&opened);
        run
    }

    fn context(&self) -> Context<'_> {
        Context { now: self.now, market: &self.market, calendar: CalendarMode::Exchange, policy: &self.policy }
    }

    /// Decides and folds; gives the events and the code of a refusal.
    fn decide(&mut self, command: &Command) -> (Vec<Event>, Option<&'static str>) {
        let events = book::decide(&self.book, command, &self.context());
        let refused = match events.as_slice() {
            [Event { data: EventData::CommandRefused(refused), .. }] => Some(refused.code.code()),
            _ => None,
        };
        let (seq, empty) = (self.book.seq + 1, Book::new(self.book.account));
        self.book = book::fold(std::mem::replace(&mut self.book, empty), seq, self.now, &events);
        (events, refused)
    }

    fn agree(&self, after: &dyn std::fmt::Debug) {
        assert_eq!(of_book(&self.book), of_model(&self.model), "book and model after {after:?} at {}", self.now);
    }

    /// All that is due, in the order the book chooses; each must be due by the model, and nothing may be left.
    fn catch_up(&mut self, met: &mut Met) {
        for done in 0.. {
            let Some((id, due)) = book::due(&self.book, &self.context(), 1).pop() else { break };
            let work = Work::of(&due);
            met.work(&self.model, work);
            let (_, refused) = self.decide(&due);
            assert_eq!(refused, None, "{id} at {}", self.now);
            assert!(self.done.insert(id), "{id} has an outcome already");
            assert!(self.model.was_due(work, self.now), "{id} is not due at {}", self.now);
            self.agree(&id);
            assert!(done < DUE_MAX, "work stays due at {}: {id}", self.now);
        }
        let left = self.model.due(self.now);
        assert!(left.is_empty(), "{left:?} is due at {}", self.now);
        let next = book::next_due(&self.book, &self.context());
        assert!(next.is_none_or(|next| next > self.now), "{next:?} is said to be due at {}", self.now);
    }

    fn take(&mut self, clock: Clock, step: &Step, met: &mut Met) {
        self.now = clock.after(self.now).min(time(LAST));
        if !matches!(clock, Clock::AtOnce) {
            self.catch_up(met);
        }
        if let Step::Last(ticks) = step {
            let last = LastPrice { instrument: instrument(), last: at_ticks(*ticks), at: self.now };
            self.market = tell(std::mem::take(&mut self.market), &last.into(), self.now);
            self.model.last = at_ticks(*ticks).smallest().into();
            return;
        }
        let command = command(step, &self.model, &self.reports, self.now);
        let before = self.model.clone();
        let (events, refused) = self.decide(&command);
        let said = self.model.take(&command, self.now);
        assert_eq!(refused, said.err(), "book and model on {command:?} at {}", self.now);
        self.agree(&command);
        met.step(&before, &command, &events, refused);
        if matches!(command, Command::ReportOrder(_) | Command::ReportAllotment(_)) {
            met.report(&before, &command, self.reports.contains(&command));
            self.reports.push(command);
        }
    }
}

fn run(series: &str, steps: &[(Clock, Step)], met: &mut Met) {
    let mut run = Run::new(series);
    for (clock, step) in steps {
        run.take(*clock, step, met);
    }
}

/// As many as `PROPTEST_CASES` says, or what a default run has time for.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").map_or(1_500, |cases| cases.parse().expect("a number of cases"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn the_book_says_what_the_plain_model_says(series in series(), steps in steps()) {
        run(series, &steps, &mut Met::default());
    }
}

#[test]
fn the_steps_meet_what_the_model_knows() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut met = Met::default();
    for _ in 0..600 {
        let (series, steps) = (series(), steps()).new_tree(&mut runner).expect("steps can be made").current();
        run(series, &steps, &mut met);
        met.end_run();
    }
    met.must_have_met_all();
}
