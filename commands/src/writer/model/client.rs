//! Clients that ask until they know, under the same key; a few give up, ask again, or use a key twice.

use super::{purse::Ask, truth::Truth};
use crate::{Answer, Answered, OutcomeResult, lane::Lane};
use domain::rejection::Rejection;
use parking_lot::Mutex;
use rand::{Rng, rngs::StdRng};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// Where clients may ask now.
pub(super) type Desks = Arc<Mutex<Vec<Option<Arc<Lane<Ask>>>>>>;

/// What one client came to know.
pub(super) struct Client {
    pub ask: Ask,
    /// What it was told, and for which content.
    told: Vec<(Ask, Answer)>,
    /// It was told that nothing was recorded, and gave up.
    gave_up: bool,
}

impl Client {
    /// Asks after so many milliseconds, until it is told.
    pub(super) async fn insist(ask: Ask, desks: Desks, wait_ms: u64, mut chance: StdRng) -> Self {
        let mut client = Client { ask, told: Vec::new(), gave_up: false };
        let is_careless = chance.random_ratio(1, 6);
        let mut again = chance.random_range(0..3);
        let mut may_be_recorded = false;
        sleep(Duration::from_millis(wait_ms)).await;
        loop {
            let other = is_careless && chance.random();
            let asked = if other { Ask { change: ask.change + 1, ..ask } } else { ask };
            let desk = {
                let desks = desks.lock();
                desks[chance.random_range(0..desks.len())].clone()
            };
            let answer = match desk {
                Some(desk) => desk.submit(0, asked.prepared()).await,
                None => Answer::Busy { retry_after_s: 1 },
            };
            match answer {
                Answer::Busy { .. } if !may_be_recorded && chance.random_ratio(1, 8) => {
                    client.gave_up = true;
                    return client;
                }
                Answer::Busy { .. } => {}
                Answer::Unknown => may_be_recorded = true,
                answer => {
                    may_be_recorded = true;
                    client.told.push((asked, answer));
                    if again == 0 {
                        return client;
                    }
                    again -= 1;
                }
            }
            sleep(Duration::from_millis(chance.random_range(5..150))).await;
        }
    }

    /// Holds what it was told against what the log says.
    pub(super) fn check(&self, truth: &Truth) -> Result<(), String> {
        let first = truth.of_key(&self.ask.key());
        let Some(first) = first else {
            return if self.gave_up { Ok(()) } else { Err(format!("{:?} is not answered", self.ask)) };
        };
        if self.gave_up {
            return Err(format!("{:?} is recorded, though its client was told that it is not", self.ask));
        }
        for (asked, answer) in &self.told {
            let is_other = first.entry.ask.content() != asked.content();
            let fits = match answer {
                Answer::Answered(Answered { outcome, offset, .. }) => {
                    let is_reused =
                        matches!(outcome.result, OutcomeResult::Refused { code: Rejection::IdempotencyKeyReused, .. });
                    let is_live = truth.at(*offset).is_some_and(|live| live.entry.outcome() == *outcome);
                    is_live && if is_other { is_reused } else { *offset == first.offset }
                }
                Answer::KeyReused { first_offset, .. } => is_other && *first_offset == first.offset,
                _ => false,
            };
            if !fits {
                return Err(format!("{asked:?} was answered {answer:?}, but first was {:?}", first.entry));
            }
        }
        Ok(())
    }
}
