//! Why a question has no answer, or folding ends; knows no HTTP status.

use crate::view::View;
use domain::ids::AccountId;
use event_log::Topic;

/// What the caller can do about it is in each variant.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A view stopped at an entry it could not fold; ask again once it is rebuilt. Other views go on.
    #[error("the view '{}' stopped at offset {offset} of {topic}/{partition}: {reason}", view.name())]
    Stopped {
        /// Which view.
        view: View,
        /// Of which topic.
        topic: Topic,
        /// Of which partition.
        partition: u32,
        /// At which entry; it is not folded.
        offset: u64,
        /// In words.
        reason: Box<str>,
    },
    /// The offset or time asked for is not recorded yet.
    #[error("offset {offset} is not recorded yet: the partition ends before {end}")]
    NotYet {
        /// The offset asked for.
        offset: u64,
        /// The offset that the partition's next record will have.
        end: u64,
    },
    /// The views have not folded as far as was asked; ask again soon.
    #[error("the views have not reached offset {offset} yet")]
    Behind {
        /// The offset asked for.
        offset: u64,
    },
    /// A cursor that no answer of this list gave: ask without it.
    #[error("the cursor is not one of this list")]
    Cursor,
    /// The account has no entries.
    #[error("no entries of account {account}")]
    UnknownAccount {
        /// Which account.
        account: AccountId,
    },
    /// An answer in effective time would have to sort more than it may: ask about an earlier time, or in recorded time.
    #[error("more than {max} postings would have to be sorted")]
    TooManyPostings {
        /// The most that are sorted.
        max: usize,
    },
    /// The account has no such order.
    #[error("no such order")]
    UnknownOrder,
    /// Views cannot be rebuilt now, and are as they were.
    #[error("{reason}")]
    Rebuild {
        /// In words.
        reason: Box<str>,
    },
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] event_log::Error),
    /// The log contradicts itself: `bahi verify` names the place.
    #[error("{topic}/{partition}: {corruption}")]
    Corrupt {
        /// Of which topic.
        topic: Topic,
        /// Of which partition.
        partition: u32,
        /// What does not fit.
        corruption: event_log::rule::Corruption,
    },
    /// A stored entry cannot be read: it was damaged, or written by a newer release.
    #[error("offset {offset} of {topic}/{partition}: {reason}")]
    Undecodable {
        /// Of which topic.
        topic: Topic,
        /// Of which partition.
        partition: u32,
        /// Where.
        offset: u64,
        /// Which field or version, in words.
        reason: Box<str>,
    },
    /// Settings name no Redis that could be asked.
    #[error("the URL of Redis is not of the form redis://user:password@host:port/number")]
    RedisUrl,
}
