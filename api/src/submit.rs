//! Handing commands and facts to the desk and telling their outcomes; knows no route and no body.

use crate::{
    outcome::{Of, Results, respond},
    problem::Problem,
    sent::Sent,
    state::State,
    token::Verified,
};
use axum::response::Response;
use commands::{By, FactSubmission, Submission};
use domain::{
    command::Command,
    ids::{AccountId, AlgoId, CommandId},
    market::Fact,
};
use std::sync::Arc;

/// As whom a command is recorded; a client's algorithm is named beside.
pub fn by(caller: &Verified, algo_id: Option<&AlgoId>) -> Arc<By> {
    match algo_id {
        None => Arc::clone(&caller.by),
        Some(algo_id) => Arc::new(By { algo_id: Some(algo_id.as_str().into()), ..By::clone(&caller.by) }),
    }
}

/// Hands over one command.
pub async fn one(
    state: &State,
    by: Arc<By>,
    account: AccountId,
    id: CommandId,
    sent: Sent,
    command: Command,
) -> Response {
    let submission = submission(state, by, account, id, &sent, command);
    let answer = state.desk.submit(submission).await;
    respond(state, Of::Account, account.as_str(), &id, answer, sent.request_id.as_deref()).await
}

/// Hands over one fact.
pub async fn fact(state: &State, caller: &Verified, id: CommandId, sent: Sent, fact: Fact) -> Response {
    let by = Arc::clone(&caller.by);
    let request_id = sent.request_id.clone();
    let (issued_at, traceparent) = (state.clock.now(), sent.traceparent.clone());
    let submission = FactSubmission { id, by, fact, request_id, issued_at, traceparent };
    let answer = state.desk.submit_fact(submission).await;
    respond(state, Of::Market, "", &id, answer, sent.request_id.as_deref()).await
}

/// A command of a list, with its key and as whom it is recorded; or why it is none.
pub type Item = Result<(CommandId, Arc<By>, Command), Problem>;

/// Hands over a list of commands for one account, in order; bad items are answered and not handed over.
///
/// `order` gives the order of hand-over as indexes into `items`; answers come in the order of `items`.
pub async fn many(state: &State, account: AccountId, sent: Sent, items: Vec<Item>, order: &[usize]) -> Response {
    let mut bad: Vec<Option<Problem>> = Vec::with_capacity(items.len());
    let mut good: Vec<Option<Submission>> = Vec::with_capacity(items.len());
    let mut ids: Vec<Option<CommandId>> = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Ok((id, by, command)) => {
                good.push(Some(submission(state, by, account, id, &sent, command)));
                ids.push(Some(id));
                bad.push(None);
            }
            Err(problem) => {
                good.push(None);
                ids.push(None);
                bad.push(Some(problem));
            }
        }
    }
    let (at, submissions): (Vec<usize>, Vec<Submission>) =
        order.iter().filter_map(|index| Some((*index, good[*index].take()?))).unzip();
    let answers = if submissions.is_empty() { Vec::new() } else { state.desk.submit_all(submissions).await };
    let mut answered: Vec<_> = ids.iter().map(|_| None).collect();
    for (index, answer) in at.into_iter().zip(answers) {
        answered[index] = Some(answer);
    }
    let request_id = sent.request_id.as_deref();
    let mut results = Results::default();
    for ((answer, id), problem) in answered.iter().zip(&ids).zip(&bad) {
        match (answer, id, problem) {
            (Some(answer), Some(id), _) => {
                results.answer(state, Of::Account, account.as_str(), id, answer, request_id).await;
            }
            (_, _, Some(problem)) => results.problem(problem, request_id),
            _ => unreachable!("the desk answers every submission, and what is not submitted has its problem"),
        }
    }
    results.respond(state)
}

/// Hands over a list of facts in order; the fact at index `i` has the id `{key}/{i}`.
pub async fn facts(
    state: &State,
    caller: &Verified,
    key: CommandId,
    sent: Sent,
    facts: Vec<Result<Fact, Problem>>,
) -> Response {
    let issued_at = state.clock.now();
    let id = |index: usize| CommandId::new(&format!("{key}/{index}")).expect("64 + 1 + 3 fit");
    let (mut submissions, mut bad) = (Vec::with_capacity(facts.len()), Vec::new());
    for (index, fact) in facts.into_iter().enumerate() {
        match fact {
            Ok(fact) => {
                let (by, request_id) = (Arc::clone(&caller.by), sent.request_id.clone());
                let traceparent = sent.traceparent.clone();
                submissions.push(FactSubmission { id: id(index), by, fact, request_id, issued_at, traceparent });
                bad.push(None);
            }
            Err(problem) => bad.push(Some(problem)),
        }
    }
    let answers = if submissions.is_empty() { Vec::new() } else { state.desk.submit_facts(submissions).await };
    let (mut answers, request_id) = (answers.into_iter(), sent.request_id.as_deref());
    let mut results = Results::default();
    for (index, problem) in bad.iter().enumerate() {
        match problem {
            Some(problem) => results.problem(problem, request_id),
            None => {
                let answer = answers.next().expect("the desk answers every submission");
                results.answer(state, Of::Market, "", &id(index), &answer, request_id).await;
            }
        }
    }
    results.respond(state)
}

fn submission(
    state: &State,
    by: Arc<By>,
    account: AccountId,
    id: CommandId,
    sent: &Sent,
    command: Command,
) -> Submission {
    Submission {
        account,
        id,
        by,
        command,
        request_id: sent.request_id.clone(),
        min_market: sent.min_market(),
        min_position: sent.min.as_ref().map(|(text, _)| text.clone()),
        issued_at: state.clock.now(),
        traceparent: sent.traceparent.clone(),
    }
}
