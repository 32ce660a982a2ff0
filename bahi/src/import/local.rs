//! An import straight into a data folder, through the same writer that a server has; no server may have it open.

use super::{Done, LineFact, correction};
use crate::{clock, error::Error, market, progress::Progress, wire};
use commands::{Answer, By, OutcomeResult, Running, Submission};
use domain::{
    account,
    calendar::CalendarMode,
    command::{Command, Submitter},
    history::ImportTrade,
    ids::{AccountId, CommandId},
    rejection::Rejection,
};
use event_log::{Topic, partition_of};
use feeds::listing::Known;
use std::{path::Path, sync::Arc, time::Duration};

/// Rows handed over together: a flight of the writer.
const ROWS_TOGETHER: usize = 512;
/// How long one hand-over may take: an import has nobody waiting at a screen.
const WAIT_S: u64 = 60;

/// A folder open for an import.
pub struct Local {
    log: wire::OpenLog,
    running: Running,
    by: Arc<By>,
    /// Listings recorded already.
    pub known: Known,
}

impl Local {
    /// Takes the folder's lock and folds what is recorded.
    ///
    /// # Errors
    /// When another process has the folder, or its log cannot be used.
    pub async fn open(data: &Path, calendar: CalendarMode) -> Result<Local, Error> {
        let log = match wire::open_to_write(data, None, None).await {
            Err(Error::Log(error @ event_log::Error::Locked { .. })) => {
                return Err(Error::Usage(format!("{error}, or import into it with --url and --token")));
            }
            other => other?,
        };
        let mut config = commands::Config::new(Arc::new(clock::SystemClock));
        config.calendar = calendar;
        config.account_commands_per_second = None;
        config.wait = Duration::from_secs(WAIT_S);
        let running = commands::start(log.port(), config).await?;
        market::load_calendar(&running.desk).await?;
        let market = market::fold(&*log).await?;
        let mut known = Known::default();
        market.instruments.values().for_each(|listing| known.remember_instrument(&listing.instrument));
        market.schemes.values().filter_map(|state| state.scheme.as_ref()).for_each(|s| known.remember_scheme(s));
        Ok(Local { log, running, by: market::by("import", Submitter::Import), known })
    }

    /// Hands facts over in their order.
    ///
    /// # Errors
    /// When the writer does not take them.
    pub async fn facts(&mut self, facts: Vec<LineFact>) -> Result<Vec<Done>, Error> {
        let mut done = Vec::with_capacity(facts.len());
        let mut progress = Progress::new(facts.len() as u64, "facts");
        for facts in facts.chunks(ROWS_TOGETHER) {
            let submission = |row: &LineFact| market::submission(row.id, &self.by, row.fact.clone());
            let answers = self.running.desk.submit_facts(facts.iter().map(submission).collect()).await;
            for (row, answer) in facts.iter().zip(answers) {
                let correction = contradicted(&answer).and_then(|latest| correction(&row.fact, latest));
                let answer = match correction {
                    Some(LineFact { id, fact, .. }) => {
                        let corrected = market::submission(id, &self.by, fact);
                        self.running.desk.submit_facts(vec![corrected]).await.pop().unwrap_or(answer)
                    }
                    None => answer,
                };
                done.push(became(&answer)?);
            }
            progress.reach(done.len() as u64);
        }
        progress.finish();
        Ok(done)
    }

    /// Hands an account's trades over in their order; opens the account first if it has no entry.
    ///
    /// # Errors
    /// When the writer does not take them.
    pub async fn trades(
        &mut self,
        account: AccountId,
        trades: Vec<(CommandId, ImportTrade)>,
    ) -> Result<Vec<Done>, Error> {
        let partition = partition_of(account.as_str(), self.log.partitions(Topic::Ledger));
        if self.log.offsets_of(Topic::Ledger, partition, account.as_str(), 0, 1).await?.is_empty() {
            let id = CommandId::new("import/open").expect("short and visible");
            let opened = self.running.desk.submit(self.submission(account, id, account::Open {}.into())).await;
            became(&opened)?;
        }
        let mut done = Vec::with_capacity(trades.len());
        let mut progress = Progress::new(trades.len() as u64, "trades");
        for trades in trades.chunks(ROWS_TOGETHER) {
            let submission =
                |(id, trade): &(CommandId, ImportTrade)| self.submission(account, *id, trade.clone().into());
            for answer in self.running.desk.submit_all(trades.iter().map(submission).collect()).await {
                done.push(became(&answer)?);
            }
            progress.reach(done.len() as u64);
        }
        progress.finish();
        Ok(done)
    }

    fn submission(&self, account: AccountId, id: CommandId, command: Command) -> Submission {
        Submission {
            account,
            id,
            by: Arc::clone(&self.by),
            command,
            request_id: None,
            min_market: None,
            min_position: None,
            issued_at: clock::now(),
            traceparent: None,
        }
    }

    /// Lets everything be written and gives the lock back.
    pub async fn close(self) {
        self.running.stop().await;
        self.log.close().await;
    }
}

/// The latest entry about what a fact contradicts.
fn contradicted(answer: &Answer) -> Option<u64> {
    let Answer::Answered(answered) = answer else { return None };
    match &answered.outcome.result {
        OutcomeResult::Refused { code: Rejection::FactContradicted, figures } => figures.get("latest")?.parse().ok(),
        _ => None,
    }
}

fn became(answer: &Answer) -> Result<Done, Error> {
    let replayed = matches!(answer, Answer::Answered(answered) if answered.replayed);
    Ok(match (market::refusal(answer)?, answer) {
        (None | Some(Rejection::FactRepeated), _) if replayed => Done::Known,
        (None, _) => Done::Imported,
        (Some(Rejection::FactRepeated), _) => Done::Known,
        (Some(code), Answer::Answered(answered)) => match &answered.outcome.result {
            OutcomeResult::Refused { figures, .. } if !figures.is_empty() => {
                let figures: Vec<String> = figures.iter().map(|(name, figure)| format!("{name} {figure}")).collect();
                Done::Refused(format!("{}: {} ({})", code.code(), code.detail(), figures.join(", ")))
            }
            _ => Done::Refused(format!("{}: {}", code.code(), code.detail())),
        },
        (Some(code), _) => Done::Refused(format!("{}: {}", code.code(), code.detail())),
    })
}
