//! How far the log is read, over all partitions, and the opaque token it travels as; knows no account.

use crate::Topic;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{fmt, str::FromStr};

/// The most partitions of one topic that a token may name: more than any broker is set up with here.
pub const PARTITIONS_MAX: usize = 1024;

/// The longest token that is read: every partition of both topics at the largest offset.
const TOKEN_BYTES_MAX: usize = 2 * PARTITIONS_MAX * 14 + 16;

/// The first byte of every token of this shape.
const TOKEN_VERSION: u8 = 1;

/// The next offset of each partition; `None` where nothing is said about one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// Of `bahi.ledger`.
    pub ledger: Vec<Option<u64>>,
    /// Of `bahi.market`.
    pub market: Vec<Option<u64>>,
}

impl Position {
    /// The position before the first record of so many partitions.
    pub fn start(ledger_partitions: u32, market_partitions: u32) -> Self {
        Self { ledger: vec![Some(0); ledger_partitions as usize], market: vec![Some(0); market_partitions as usize] }
    }

    /// The position just after one record; says nothing about other partitions.
    pub fn after(topic: Topic, partition: u32, offset: u64) -> Self {
        let mut next = vec![None; partition as usize + 1];
        next[partition as usize] = Some(offset + 1);
        match topic {
            Topic::Ledger => Self { ledger: next, market: Vec::new() },
            Topic::Market => Self { ledger: Vec::new(), market: next },
        }
    }

    /// The next offset of a partition, where it is said.
    pub fn next(&self, topic: Topic, partition: u32) -> Option<u64> {
        self.topic(topic).get(partition as usize).copied().flatten()
    }

    /// The next offset of each partition of the market, where any is said.
    pub fn wanted_of_market(&self) -> Option<Vec<u64>> {
        let wanted: Vec<u64> = self.market.iter().map(|next| next.unwrap_or(0)).collect();
        wanted.iter().any(|next| *next > 0).then_some(wanted)
    }

    /// Whether everything that `wanted` asks for is reached.
    pub fn covers(&self, wanted: &Self) -> bool {
        Topic::ALL.iter().all(|topic| {
            let own = self.topic(*topic);
            wanted.topic(*topic).iter().enumerate().all(|(partition, wanted)| {
                wanted.is_none_or(|wanted| {
                    wanted == 0 || own.get(partition).copied().flatten().is_some_and(|own| own >= wanted)
                })
            })
        })
    }

    /// The later of both, partition by partition.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in [(&mut self.ledger, &other.ledger), (&mut self.market, &other.market)] {
            if own.len() < other.len() {
                own.resize(other.len(), None);
            }
            for (own, other) in own.iter_mut().zip(other) {
                *own = (*own).max(*other);
            }
        }
    }

    /// Raises one partition to its next offset.
    pub fn advance(&mut self, topic: Topic, partition: u32, next: u64) {
        let own = match topic {
            Topic::Ledger => &mut self.ledger,
            Topic::Market => &mut self.market,
        };
        if let Some(own) = own.get_mut(partition as usize) {
            *own = (*own).max(Some(next));
        }
    }

    fn topic(&self, topic: Topic) -> &[Option<u64>] {
        match topic {
            Topic::Ledger => &self.ledger,
            Topic::Market => &self.market,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![TOKEN_VERSION];
        for next in [&self.ledger, &self.market] {
            number(&mut bytes, next.len() as u64);
            for next in next {
                // 0 says nothing; an offset is written as one more.
                number(&mut bytes, next.map_or(0, |next| next.saturating_add(1)));
            }
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Why a text is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a position as Bahi-Position gave it: {0}")]
pub struct ParsePositionError(&'static str);

impl FromStr for Position {
    type Err = ParsePositionError;
    fn from_str(text: &str) -> Result<Self, ParsePositionError> {
        const CUT: ParsePositionError = ParsePositionError("it is cut short");
        if text.len() > TOKEN_BYTES_MAX {
            return Err(ParsePositionError("it is too long"));
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ParsePositionError("it is not base64url"))?;
        let (version, mut rest) = bytes.split_first().ok_or(ParsePositionError("it is empty"))?;
        if *version != TOKEN_VERSION {
            return Err(ParsePositionError("it is of another version"));
        }
        let mut topic = || {
            let count = usize::try_from(take(&mut rest).ok_or(CUT)?).unwrap_or(usize::MAX);
            if count > PARTITIONS_MAX {
                return Err(ParsePositionError("it names too many partitions"));
            }
            (0..count).map(|_| take(&mut rest).ok_or(CUT).map(|next| next.checked_sub(1))).collect()
        };
        let (ledger, market) = (topic()?, topic()?);
        if rest.is_empty() { Ok(Self { ledger, market }) } else { Err(ParsePositionError("it is too long")) }
    }
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads [`number`].
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        value |= part.checked_shl(shift).filter(|shifted| shifted >> shift == part)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offsets() -> impl Strategy<Value = Vec<Option<u64>>> {
        prop::collection::vec(prop::option::of(0..u64::MAX - 1), 0..20)
    }

    proptest! {
        #[test]
        fn a_token_reads_back_as_the_position_it_was_made_of(ledger in offsets(), market in offsets()) {
            let position = Position { ledger, market };
            prop_assert_eq!(position.to_string().parse::<Position>(), Ok(position));
        }

        #[test]
        fn any_text_is_a_position_or_a_refusal_in_words(text in "[A-Za-z0-9_=-]{0,40}") {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.to_string().parse::<Position>(), Ok(position));
            }
        }

        #[test]
        fn a_merge_covers_both(a in (offsets(), offsets()), b in (offsets(), offsets())) {
            let (a, b) = (Position { ledger: a.0, market: a.1 }, Position { ledger: b.0, market: b.1 });
            let mut both = a.clone();
            both.merge(&b);
            prop_assert!(both.covers(&a) && both.covers(&b));
        }
    }

    #[test]
    fn a_position_covers_what_it_has_reached_and_nothing_more() {
        let own = Position { ledger: vec![Some(5), Some(2)], market: vec![Some(1)] };
        assert!(own.covers(&Position::after(Topic::Ledger, 0, 4)));
        assert!(!own.covers(&Position::after(Topic::Ledger, 0, 5)));
        assert!(!own.covers(&Position::after(Topic::Ledger, 2, 0)), "a partition that is not there");
        assert!(own.covers(&Position::default()));
    }

    #[test]
    fn a_broken_token_says_what_is_wrong() {
        for (text, part) in
            [("", "empty"), ("!", "base64url"), ("Ag", "version"), ("AQ", "cut"), ("AQAAAA", "too long")]
        {
            let refused = text.parse::<Position>().expect_err(text).to_string();
            assert!(refused.contains(part), "{text}: {refused}");
        }
    }
}
