//! The demo's market: sixty days of prices and NAVs before today, then prices that move, all from one seed.

use super::scene::{FUNDS, SHARES, TICK};
use crate::{clock, error::Error, market};
use commands::{By, Desk, FactSubmission};
use domain::{
    ids::{CommandId, InstrumentId},
    market::{DayNav, DayPrice, Fact, LastPrice, Market},
    money::{Nav, Price, Rounding},
    time::Date,
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Days of prices and NAVs before today.
const HISTORY_DAYS: i32 = 60;
/// A price's largest move in a second, in hundredths of a percent.
const MOVE_MAX: i64 = 12;
/// A day's largest move in the history, in hundredths of a percent.
const DAY_MOVE_MAX: i64 = 180;
/// Farthest from the previous close, in hundredths of a percent: well within the band of 20%.
const AWAY_MAX: i64 = 900;
/// Shares that move each time; the others wait for their turn.
const MOVING: usize = 2;
/// Between two moves while somebody is likely to watch.
const LIVELY_MS: u64 = 1_000;
/// How long that is after the start.
const LIVELY_S: u64 = 2 * 60 * 60;
/// Between two moves afterwards: a demo left running grows its folder by some ten megabytes a day.
const CALM_MS: u64 = 15_000;
/// Facts after which the market stands still, about a gigabyte of log.
const FACTS_MAX: u64 = 1_500_000;

/// A market that moves.
pub struct Moves {
    random: SmallRng,
    by: Arc<By>,
    shares: Vec<Moving>,
    navs: Vec<Nav>,
    today: Date,
    turn: usize,
    facts: u64,
}

/// One share's day so far.
struct Moving {
    instrument: InstrumentId,
    before: Price,
    open: Price,
    high: Price,
    low: Price,
    last: Price,
}

impl Moves {
    /// From where the recorded market stands; the same seed over the same market moves alike.
    pub fn new(seed: u64, by: Arc<By>, today: Date, market: &Market) -> Moves {
        let facts = market.seqs.values().sum();
        let shares = SHARES.iter().map(|share| {
            let id = share.id();
            let last = market.instruments.get(&id).and_then(|listing| listing.last_price());
            Moving::new(id, last.unwrap_or_else(|| share.price()))
        });
        let navs = FUNDS.iter().map(|fund| {
            let state = market.schemes.get(&fund.code());
            state.and_then(|state| state.navs.last_key_value()).map_or_else(|| fund.nav(), |(_, nav)| *nav)
        });
        let random = SmallRng::seed_from_u64(seed ^ facts);
        Moves { random, by, shares: shares.collect(), navs: navs.collect(), today, turn: 0, facts }
    }

    /// What is missing of the days before today, and today's NAVs, which the demo publishes at the day's start.
    pub fn history(&mut self, market: &Market) -> Vec<FactSubmission> {
        let mut facts = Vec::new();
        for days_ago in (1..=HISTORY_DAYS).rev() {
            let date = self.today.plus_days(-days_ago);
            for at in 0..self.shares.len() {
                let listing = market.instruments.get(&self.shares[at].instrument);
                if listing.is_none_or(|listing| listing.prices.keys().all(|recorded| *recorded < date)) {
                    self.shares[at].past_day(&mut self.random);
                    facts.push(self.shares[at].day(date));
                }
            }
            facts.extend(self.navs_of(date, market));
        }
        facts.extend(self.navs_of(self.today, market));
        for share in &mut self.shares {
            *share = Moving::new(share.instrument, share.last);
        }
        self.submissions(facts)
    }

    fn navs_of(&mut self, date: Date, market: &Market) -> Vec<Fact> {
        let mut facts = Vec::new();
        for (at, fund) in FUNDS.iter().enumerate() {
            let scheme = fund.code();
            let state = market.schemes.get(&scheme);
            if state.is_none_or(|state| state.navs.keys().all(|recorded| *recorded < date)) {
                // A fund of shares moves with them, one of debt hardly.
                let widest = if at < 2 { DAY_MOVE_MAX / 2 } else { 6 };
                let moved = moved(self.navs[at].smallest(), self.random.random_range(-widest + 3..=widest));
                // AMFI publishes four decimals.
                self.navs[at] = Nav::from_smallest(moved / 10_000 * 10_000);
                facts.push(Fact::from(DayNav { scheme, date, nav: self.navs[at], corrects: None }));
            }
        }
        facts
    }

    /// Moves until it is aborted: prices all the time, at midnight the day's close and the new day's NAVs.
    ///
    /// # Errors
    /// When the writer does not take a fact for another reason than being busy.
    pub async fn run(mut self, desk: Arc<Desk>) -> Result<(), Error> {
        let started = Instant::now();
        while self.facts < FACTS_MAX {
            let lively = started.elapsed() < Duration::from_secs(LIVELY_S);
            tokio::time::sleep(Duration::from_millis(if lively { LIVELY_MS } else { CALM_MS })).await;
            let mut facts = Vec::new();
            let date = clock::now().date();
            if date > self.today {
                facts.extend(self.shares.iter().map(|share| share.day(self.today)));
                self.today = date;
                facts.extend(self.navs_of(date, &Market::default()));
                for share in &mut self.shares {
                    *share = Moving::new(share.instrument, share.last);
                }
            }
            for _ in 0..MOVING {
                self.turn = (self.turn + 1) % self.shares.len();
                let away = self.random.random_range(-MOVE_MAX..=MOVE_MAX);
                self.shares[self.turn].go(away);
                facts.push(self.shares[self.turn].live());
            }
            for answer in desk.submit_facts(self.submissions(facts)).await {
                // Busy or slow is no reason to stop: the next move says where the price is.
                if let Ok(Some(code)) = market::refusal(&answer) {
                    tracing::warn!(code = code.code(), "a price of the demo was refused");
                }
            }
        }
        tracing::warn!(
            facts = self.facts,
            "the demo's market stands still: its folder is large enough; remove it to begin anew"
        );
        Ok(())
    }

    fn submissions(&mut self, facts: Vec<Fact>) -> Vec<FactSubmission> {
        let submission = |fact: Fact| {
            self.facts += 1;
            let id = match &fact {
                Fact::Price(price) => format!("demo/price/{}/{}", price.instrument, price.date),
                Fact::Nav(nav) => format!("demo/nav/{}/{}", nav.scheme, nav.date),
                _ => format!("demo/move/{}/{}", clock::now(), self.facts),
            };
            market::submission(CommandId::new(&id).expect("short and visible"), &self.by, fact)
        };
        facts.into_iter().map(submission).collect()
    }
}

impl Moving {
    /// A day that opens where the day before closed.
    fn new(instrument: InstrumentId, before: Price) -> Moving {
        Moving { instrument, before, open: before, high: before, low: before, last: before }
    }

    /// Moves the price by so many hundredths of a percent, within a day's reach of the previous close.
    fn go(&mut self, away: i64) {
        let reach = |away| Price::from_smallest(moved(self.before.smallest(), away));
        let wanted = Price::from_smallest(moved(self.last.smallest(), away));
        let wanted = wanted.clamp(reach(-AWAY_MAX), reach(AWAY_MAX));
        self.last = wanted.to_tick(TICK, Rounding::HalfEven).max(TICK);
        (self.high, self.low) = (self.high.max(self.last), self.low.min(self.last));
    }

    /// A whole day of the history.
    fn past_day(&mut self, random: &mut SmallRng) {
        *self = Moving::new(self.instrument, self.last);
        for _ in 0..4 {
            self.go(random.random_range(-DAY_MOVE_MAX / 2 + 2..=DAY_MOVE_MAX / 2));
        }
    }

    fn day(&self, date: Date) -> Fact {
        let (instrument, open, high, low, close) = (self.instrument, self.open, self.high, self.low, self.last);
        let previous_close = Some(self.before);
        DayPrice { instrument, date, open, high, low, close, previous_close, volume: None, corrects: None }.into()
    }

    fn live(&self) -> Fact {
        LastPrice { instrument: self.instrument, last: self.last, at: clock::now() }.into()
    }
}

/// An amount moved by hundredths of a percent.
fn moved(amount: i64, away: i64) -> i64 {
    amount + amount / 10_000 * away
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::command::Submitter;

    fn moves(seed: u64) -> Moves {
        let today = Date::parse("2026-11-23").expect("a date");
        Moves::new(seed, market::by("demo", Submitter::System), today, &Market::default())
    }

    #[test]
    fn the_same_seed_gives_the_same_history() {
        let facts = |seed| moves(seed).history(&Market::default()).into_iter().map(|s| s.fact).collect::<Vec<_>>();
        assert_eq!(facts(1), facts(1));
        assert_ne!(facts(1), facts(2));
    }

    #[test]
    fn every_day_of_the_history_is_whole_and_ends_yesterday() {
        let facts = moves(1).history(&Market::default());
        let prices = facts.iter().filter_map(|s| match &s.fact {
            Fact::Price(price) => Some(price),
            _ => None,
        });
        let days: Vec<_> = prices.collect();
        assert_eq!(days.len(), SHARES.len() * HISTORY_DAYS as usize);
        assert!(days.iter().all(|day| day.low <= day.open && day.low <= day.close && day.high >= day.close));
        let last = days.last().expect("days").date;
        assert_eq!(last, Date::parse("2026-11-22").expect("a date"));
    }

    #[test]
    fn a_price_stays_within_a_days_reach() {
        let mut share = Moving::new(SHARES[0].id(), SHARES[0].price());
        for _ in 0..1_000 {
            share.go(MOVE_MAX);
        }
        assert!(share.last < Price::from_smallest(moved(share.before.smallest(), AWAY_MAX + 10)));
        assert!(share.last.is_on_tick(TICK));
    }
}
