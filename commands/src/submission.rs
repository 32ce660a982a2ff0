//! What callers hand to the desk: parsed commands and facts with who sent them; knows no HTTP and no text form.

use domain::{
    command::{Command, Submitter},
    ids::{AccountId, CommandId},
    market::Fact,
    time::Timestamp,
};
use std::sync::Arc;

/// Who submits; shared by the commands of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// The token's subject.
    pub subject: Box<str>,
    /// In which role; with the account it scopes command ids.
    pub role: Submitter,
    /// The token's id, where there was one.
    pub session: Option<Box<str>>,
    /// An opaque key to the caller's address.
    pub origin: Option<Box<str>>,
    /// The exchange's id of the algorithm that sends.
    pub algo_id: Option<Box<str>>,
}

/// A command for one account.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whose book decides.
    pub account: AccountId,
    /// The caller's id of it: `Idempotency-Key`.
    pub id: CommandId,
    /// Who submits.
    pub by: Arc<By>,
    /// What is asked or told.
    pub command: Command,
    /// The request it came in.
    pub request_id: Option<Box<str>>,
    /// The next offset of each market partition that deciding must have reached; it is waited for, within a limit.
    pub min_market: Option<Vec<u64>>,
    /// The opaque token that `min_market` was read from, kept with the command.
    pub min_position: Option<Box<str>>,
    /// When the caller sent it, by this process's clock.
    pub issued_at: Timestamp,
    /// The step of a trace that it follows (`event_log::trace`).
    pub traceparent: Option<Box<str>>,
}

/// A fact about the market.
#[derive(Clone, Debug)]
pub struct FactSubmission {
    /// The caller's id of it.
    pub id: CommandId,
    /// Who submits.
    pub by: Arc<By>,
    /// What was observed.
    pub fact: Fact,
    /// The request it came in.
    pub request_id: Option<Box<str>>,
    /// When the caller sent it, by this process's clock.
    pub issued_at: Timestamp,
    /// The step of a trace that it follows (`event_log::trace`).
    pub traceparent: Option<Box<str>>,
}
