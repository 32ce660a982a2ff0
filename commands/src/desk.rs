//! Where commands are handed in: bounded, waited for within a limit, answered from the log; decides nothing.

use crate::{
    outcome::{Answer, Answered},
    submission::{FactSubmission, Submission},
};
use domain::{
    command::Submitter,
    ids::{AccountId, CommandId},
};

/// Takes commands and facts for all partitions.
pub struct Desk {}

impl Desk {
    /// Submits one command and waits for its outcome, within the configured limit.
    pub async fn submit(&self, _submission: Submission) -> Answer {
        Answer::Unknown
    }

    /// Submits commands in order, as one hand-over to each partition, and answers in the same order.
    pub async fn submit_all(&self, submissions: Vec<Submission>) -> Vec<Answer> {
        submissions.iter().map(|_| Answer::Unknown).collect()
    }

    /// Submits one fact; answered once the ledger writers of this process decide with it.
    pub async fn submit_fact(&self, _submission: FactSubmission) -> Answer {
        Answer::Unknown
    }

    /// Submits facts in order; answered as [`Desk::submit_fact`].
    pub async fn submit_facts(&self, submissions: Vec<FactSubmission>) -> Vec<Answer> {
        submissions.iter().map(|_| Answer::Unknown).collect()
    }

    /// The outcome of a command submitted earlier, by anyone in that role; `None` while there is none.
    pub async fn outcome(&self, _account: &AccountId, _role: Submitter, _id: &CommandId) -> Option<Answered> {
        None
    }

    /// The outcome of a fact submitted earlier in that role; `None` while there is none.
    pub async fn fact_outcome(&self, _role: Submitter, _id: &CommandId) -> Option<Answered> {
        None
    }
}
