//! Which account is next: every one as often as another, or the first ones far more often; deterministic by seed.
#![expect(clippy::float_arithmetic, reason = "a distribution of load; no amount comes near it")]

use rand::{Rng, SeedableRng, rngs::SmallRng};

/// The exponent of the skewed load: that of YCSB, where the first of 10,000 takes about a tenth.
const EXPONENT: f64 = 0.99;

/// How often each account is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Every account as often as another.
    Uniform,
    /// The n-th account in proportion to n to the power of -0.99.
    Zipf,
}

/// An endless choice of accounts.
pub struct Choice {
    random: SmallRng,
    count: usize,
    /// The share of the first n+1 accounts; empty for a uniform choice.
    cumulative: Box<[f64]>,
}

impl Choice {
    /// Among `count` accounts.
    pub fn new(spread: Spread, count: usize, seed: u64) -> Choice {
        let weights = (1..=count).map(|rank| (rank as f64).powf(-EXPONENT));
        let total: f64 = weights.clone().sum();
        let mut sum = 0.0;
        let cumulative = match spread {
            Spread::Uniform => Box::default(),
            Spread::Zipf => weights
                .map(|weight| {
                    sum += weight / total;
                    sum
                })
                .collect(),
        };
        Choice { random: SmallRng::seed_from_u64(seed), count, cumulative }
    }

    /// The next one, below the count.
    pub fn next(&mut self) -> usize {
        if self.cumulative.is_empty() {
            return self.random.random_range(0..self.count);
        }
        let point: f64 = self.random.random();
        self.cumulative.partition_point(|share| *share < point).min(self.count - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_account_of_a_skewed_choice_takes_about_a_tenth() {
        let mut choice = Choice::new(Spread::Zipf, 10_000, 1);
        let first = (0..100_000).filter(|_| choice.next() == 0).count();
        assert!((9_000..12_000).contains(&first), "{first} of 100,000");
    }

    #[test]
    fn a_uniform_choice_reaches_every_account() {
        let mut choice = Choice::new(Spread::Uniform, 100, 1);
        let reached: std::collections::BTreeSet<usize> = (0..10_000).map(|_| choice.next()).collect();
        assert_eq!(reached.len(), 100);
    }
}
