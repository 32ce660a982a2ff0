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
pub struct Submission<C = Command> {
    /// Whose book decides.
    pub account: AccountId,
    /// The caller's id of it: `Idempotency-Key`.
    pub id: CommandId,
    /// Who submits.
    pub by: Arc<By>,
    /// What is asked or told.
    pub command: C,
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
pub struct FactSubmission<F = Fact> {
    /// The caller's id of it.
    pub id: CommandId,
    /// Who submits.
    pub by: Arc<By>,
    /// What was observed.
    pub fact: F,
    /// The request it came in.
    pub request_id: Option<Box<str>>,
    /// When the caller sent it, by this process's clock.
    pub issued_at: Timestamp,
    /// The step of a trace that it follows (`event_log::trace`).
    pub traceparent: Option<Box<str>>,
}

/// What a writer is asked for: a desk of another release may ask for what this one does not know.
#[derive(Clone, Debug)]
pub(crate) enum Asked<C> {
    /// A command or fact of this release.
    Known(C),
    /// One of ours whose kind is unknown, whose version is newer or whose body is of another shape: it is refused.
    Unread(Unread),
}

/// What is known of a command or fact that does not read.
#[derive(Clone, Debug)]
pub(crate) struct Unread {
    /// The key of its request, which its entry has too.
    pub key: Box<str>,
    pub kind: Box<str>,
    pub v: u32,
}

/// A command as its writer has it.
pub(crate) type AskedCommand = Submission<Asked<Command>>;

/// A fact as its writer has it.
pub(crate) type AskedFact = FactSubmission<Asked<Fact>>;

impl<C> Submission<C> {
    pub(crate) fn map<D>(self, f: impl FnOnce(C) -> D) -> Submission<D> {
        let Self { account, id, by, command, request_id, min_market, min_position, issued_at, traceparent } = self;
        let command = f(command);
        Submission { account, id, by, command, request_id, min_market, min_position, issued_at, traceparent }
    }
}

impl<F> FactSubmission<F> {
    pub(crate) fn map<G>(self, f: impl FnOnce(F) -> G) -> FactSubmission<G> {
        let Self { id, by, fact, request_id, issued_at, traceparent } = self;
        FactSubmission { id, by, fact: f(fact), request_id, issued_at, traceparent }
    }
}

impl Asked<Command> {
    pub(crate) fn kind(&self) -> &str {
        match self {
            Self::Known(command) => command.kind(),
            Self::Unread(unread) => &unread.kind,
        }
    }

    pub(crate) fn version(&self) -> u32 {
        match self {
            Self::Known(command) => command.version(),
            Self::Unread(unread) => unread.v,
        }
    }
}

impl Asked<Fact> {
    pub(crate) fn kind(&self) -> &str {
        match self {
            Self::Known(fact) => fact.kind(),
            Self::Unread(unread) => &unread.kind,
        }
    }

    pub(crate) fn version(&self) -> u32 {
        match self {
            Self::Known(fact) => fact.version(),
            Self::Unread(unread) => unread.v,
        }
    }

    /// What its entry is about.
    pub(crate) fn key(&self) -> Box<str> {
        match self {
            Self::Known(fact) => fact.key(),
            Self::Unread(unread) => unread.key.clone(),
        }
    }
}
