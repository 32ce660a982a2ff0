//! Where commands are handed in: bounded, waited for within a limit, answered from the log; decides nothing.

use crate::{
    clock::Clock,
    facts,
    followed::Followed,
    halted::Halted,
    known::Key,
    lane::Lane,
    ledger,
    outcome::{Answer, Answered, OutcomeResult},
    queue::Prepared,
    rate::Rates,
    submission::{AskedCommand, AskedFact, FactSubmission, Submission},
};
use domain::{
    command::Submitter,
    ids::{AccountId, CommandId},
};
use event_log::{Topic, partition_of};
use event_schemas::key_hash;
use std::{sync::Arc, time::Duration};

/// After how long an account that sends too fast may try again: its bucket is full by then.
const RATE_RETRY_AFTER_S: u32 = 1;

/// Takes commands and facts for all partitions.
pub struct Desk {
    pub(crate) ledger: Lane<AskedCommand>,
    pub(crate) market: Lane<AskedFact>,
    /// The market as the ledger writers of this process decide with it; none where they are elsewhere.
    pub(crate) followed: Option<Arc<Followed>>,
    pub(crate) rates: Option<Rates>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) wait: Duration,
    pub(crate) market_wait: Duration,
    /// What goes no further, of all that runs for this desk.
    pub(crate) halted: Halted,
}

impl Desk {
    /// Submits one command and waits for its outcome, within the configured limit.
    pub async fn submit(&self, submission: Submission) -> Answer {
        if self.admitted(&submission, 1) == 0 {
            return self.rate_limited();
        }
        let partition = self.partition(&submission.account);
        let prepared = ledger::prepare(submission);
        self.await_market(prepared.item.min_market.as_deref().into_iter()).await;
        self.ledger.submit(partition, prepared).await
    }

    /// Submits commands in order, as one hand-over to each partition, and answers in the same order.
    ///
    /// Not atomic: each is decided for itself. If the limit of an account is reached within, its rest is
    /// [`Answer::RateLimited`].
    pub async fn submit_all(&self, submissions: Vec<Submission>) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = vec![None; submissions.len()];
        let mut at = 0;
        for run in submissions.chunk_by(|a, b| a.account == b.account && a.by.role == b.by.role) {
            let admitted = self.admitted(&run[0], run.len());
            answers[at + admitted..at + run.len()].fill_with(|| Some(self.rate_limited()));
            at += run.len();
        }
        let prepared: Vec<(u32, Option<Prepared<AskedCommand>>)> = submissions
            .into_iter()
            .zip(&answers)
            .map(|(submission, answer)| {
                let partition = self.partition(&submission.account);
                (partition, answer.is_none().then(|| ledger::prepare(submission)))
            })
            .collect();
        let commands = prepared.iter().filter_map(|(_, command)| command.as_ref());
        self.await_market(commands.filter_map(|command| command.item.min_market.as_deref())).await;
        self.ledger.submit_all(prepared, &mut answers).await;
        all_known(answers)
    }

    /// Submits one fact; answered once the ledger writers of this process, if there are any, decide with it.
    pub async fn submit_fact(&self, submission: FactSubmission) -> Answer {
        let partition = self.market_partition(&submission.fact.key());
        let answer = self.market.submit(partition, facts::prepare(submission)).await;
        self.folded(vec![answer]).await.pop().unwrap_or(Answer::Unknown)
    }

    /// Submits facts in order; answered as [`Desk::submit_fact`].
    pub async fn submit_facts(&self, submissions: Vec<FactSubmission>) -> Vec<Answer> {
        let mut answers = vec![None; submissions.len()];
        let prepared = submissions
            .into_iter()
            .map(|submission| (self.market_partition(&submission.fact.key()), Some(facts::prepare(submission))));
        self.market.submit_all(prepared.collect(), &mut answers).await;
        self.folded(all_known(answers)).await
    }

    /// The outcome of a command submitted earlier, by anyone in that role; `None` while there is none.
    pub async fn outcome(&self, account: &AccountId, role: Submitter, id: &CommandId) -> Option<Answered> {
        let key = Key(key_hash(account.as_str(), role, id.as_str()));
        self.ledger.outcome(self.partition(account), &key).await
    }

    /// The outcome of a fact submitted earlier in that role; `None` while there is none.
    pub async fn fact_outcome(&self, role: Submitter, id: &CommandId) -> Option<Answered> {
        let key = Key(key_hash(facts::SCOPE, role, id.as_str()));
        // An id does not say what the fact was about.
        for partition in 0..self.market.log.partitions(Topic::Market) {
            if let Some(answered) = self.market.outcome(partition, &key).await {
                return Some(answered);
            }
        }
        None
    }

    /// Whether all that follows the log here still does: the answers of every partition, the market, a simulated venue. In
    /// words, where some do not: commands to partitions whose answers are not followed are turned away, and a new start
    /// says why.
    ///
    /// # Errors
    /// Which do not.
    pub fn is_following(&self) -> Result<(), String> {
        self.halted.is_empty()
    }

    fn partition(&self, account: &AccountId) -> u32 {
        partition_of(account.as_str(), self.ledger.log.partitions(Topic::Ledger))
    }

    fn market_partition(&self, key: &str) -> u32 {
        partition_of(key, self.market.log.partitions(Topic::Market))
    }

    /// How many of so many commands an account may send now; only clients are held to a limit.
    fn admitted(&self, submission: &Submission, commands: usize) -> usize {
        match &self.rates {
            Some(rates) if submission.by.role == Submitter::Client => {
                rates.take(&submission.account, commands, self.clock.now())
            }
            _ => commands,
        }
    }

    fn rate_limited(&self) -> Answer {
        let limit = self.rates.as_ref().map_or(0, Rates::limit);
        Answer::RateLimited { retry_after_s: RATE_RETRY_AFTER_S, limit }
    }

    /// Waits for the market facts that commands name, before they are handed over: so one that waits holds
    /// nobody up, and a caller's later commands stay behind it because the caller is still waiting for it.
    /// The writer refuses it if they have not come.
    async fn await_market(&self, all_wanted: impl Iterator<Item = &[u64]>) {
        let mut furthest: Vec<u64> = Vec::new();
        for wanted in all_wanted {
            furthest.resize(furthest.len().max(wanted.len()), 0);
            furthest.iter_mut().zip(wanted).for_each(|(furthest, wanted)| *furthest = (*furthest).max(*wanted));
        }
        if let Some(followed) = self.followed.as_ref().filter(|_| !furthest.is_empty()) {
            followed.reach(&furthest, self.market_wait).await;
        }
    }

    /// Waits until the ledger writers of this process decide with the facts that were recorded.
    async fn folded(&self, answers: Vec<Answer>) -> Vec<Answer> {
        let Some(followed) = &self.followed else { return answers };
        let mut wanted = vec![0; self.market.outcomes.len()];
        for answer in &answers {
            if let Answer::Answered(Answered { partition, offset, outcome, .. }) = answer
                && matches!(outcome.result, OutcomeResult::Accepted { .. })
            {
                let next = &mut wanted[*partition as usize];
                *next = (*next).max(offset + 1);
            }
        }
        if followed.reach(&wanted, self.wait).await {
            return answers;
        }
        answers.into_iter().map(|_| Answer::Unknown).collect()
    }
}

/// Whatever has no answer by now is not known.
fn all_known(answers: Vec<Option<Answer>>) -> Vec<Answer> {
    answers.into_iter().map(|answer| answer.unwrap_or(Answer::Unknown)).collect()
}
