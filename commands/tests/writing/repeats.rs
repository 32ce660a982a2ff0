//! Whatever was asked is asked again with the same keys after restarts anywhere: the same answers, and nothing recorded.

use crate::common::*;
use commands::{Answer, Answered, Config, FactSubmission, OutcomeResult, Submission};
use domain::{
    cash,
    command::{Command, Submitter},
    fund,
    ids::{OrderId, TradeId},
    market::Fact,
    money::{Money, Price, Quantity},
    order::{Cancel, Fill, Modify, Place, Report, ReportKind},
    time::Timestamp,
};
use event_log::{
    EventLog, Topic,
    memory::Memory,
    snapshot::memory::Memory as Snapshots,
    sqlite::{Options, Sqlite},
};
use proptest::prelude::*;
use std::{future::Future, sync::Arc};

/// 0.05, as the instrument is listed.
const TICK: i64 = 500;

/// What somebody does; an order is the so-manieth of its account, counted round.
#[derive(Clone, Debug)]
enum Deed {
    Open,
    Deposit { paise: i64 },
    Withdraw { paise: i64 },
    Buy { quantity: i64, ticks: i64 },
    Sell { quantity: i64, ticks: i64 },
    Modify { order: usize, quantity: i64, ticks: Option<i64> },
    Cancel { order: usize },
    Report { order: usize, report: ReportKind },
    Fill { order: usize, trade: u8, quantity: i64 },
    Purchase { paise: i64 },
}

fn deed() -> impl Strategy<Value = Deed> {
    let (paise, quantity, ticks, order) = (1..2_000_000_i64, 1..20_i64, 40_000..60_000_i64, 0..4_usize);
    let reports = vec![ReportKind::Accepted, ReportKind::Rejected, ReportKind::Modified, ReportKind::Cancelled];
    prop_oneof![
        1 => Just(Deed::Open),
        4 => paise.clone().prop_map(|paise| Deed::Deposit { paise }),
        2 => paise.clone().prop_map(|paise| Deed::Withdraw { paise }),
        4 => (quantity.clone(), ticks.clone()).prop_map(|(quantity, ticks)| Deed::Buy { quantity, ticks }),
        1 => (quantity.clone(), ticks.clone()).prop_map(|(quantity, ticks)| Deed::Sell { quantity, ticks }),
        2 => (order.clone(), quantity.clone(), prop::option::of(ticks))
            .prop_map(|(order, quantity, ticks)| Deed::Modify { order, quantity, ticks }),
        2 => order.clone().prop_map(|order| Deed::Cancel { order }),
        2 => (order.clone(), prop::sample::select(reports)).prop_map(|(order, report)| Deed::Report { order, report }),
        2 => (order, 0..6_u8, quantity).prop_map(|(order, trade, quantity)| Deed::Fill { order, trade, quantity }),
        1 => paise.prop_map(|paise| Deed::Purchase { paise }),
    ]
}

/// Commands of two accounts, opened at first and one of them with cash, in hand-overs, and where the desk is started anew.
#[derive(Clone, Debug)]
struct Story {
    hand_overs: Vec<Vec<(usize, Deed)>>,
    /// Before which of them, while they are asked for the first time and again.
    middle: prop::sample::Index,
    /// Whether nearly everything is cold and in a snapshot.
    with_snapshots: bool,
}

fn story() -> impl Strategy<Value = Story> {
    let hand_overs = prop::collection::vec(prop::collection::vec((0..2_usize, deed()), 1..5), 1..16);
    (hand_overs, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(mut hand_overs, middle, with_snapshots)| {
        hand_overs.insert(0, vec![(0, Deed::Open), (0, Deed::Deposit { paise: 20_000_000 }), (1, Deed::Open)]);
        Story { hand_overs, middle, with_snapshots }
    })
}

/// A log that outlives those who write it.
enum Kept {
    Memory(Memory),
    Sqlite(tempfile::TempDir),
}

/// A started desk over it.
struct Desk {
    running: Started,
    log: Arc<dyn EventLog>,
    file: Option<Arc<Sqlite>>,
}

impl Kept {
    async fn start(&self, config: Config) -> Desk {
        let (log, file): (Arc<dyn EventLog>, _) = match self {
            Self::Memory(log) => (Arc::new(log.clone()), None),
            Self::Sqlite(folder) => {
                let options = Options { partitions: 1, ..Options::default() };
                let file = Arc::new(Sqlite::open(folder.path(), options).await.unwrap());
                (Arc::clone(&file) as _, Some(file))
            }
        };
        Desk { running: Started::over(Arc::clone(&log), config).await, log, file }
    }
}

impl Desk {
    async fn stop(self) {
        self.running.stop().await;
        if let Some(file) = self.file {
            file.close().await;
        }
    }

    /// The ends of both topics, once no work is due that an answer made.
    async fn ends(&self, told: &[(Submission, Answered)]) -> [u64; 2] {
        for (_, answered) in told {
            if let OutcomeResult::Accepted { fund_order_id: Some(id), .. } = &answered.outcome.result {
                let send = format!("send/{id}");
                await_entry(&*self.log, |entry| entry.command.id == send).await;
            }
        }
        let end = |topic| self.log.tail(topic, 0);
        [end(Topic::Ledger).await.unwrap(), end(Topic::Market).await.unwrap()]
    }

    /// Asks again for what was answered, each by itself and with other content under its key, then all at once.
    async fn again(&self, told: &[(Submission, Answered)]) {
        let before = self.ends(told).await;
        let same = |first: &Answered| Answer::Answered(Answered { replayed: true, ..first.clone() });
        for (submission, first) in told {
            let Submission { account, id, by, .. } = submission;
            assert_eq!(self.running.desk.submit(retried(submission)).await, same(first), "{submission:?}");
            let (partition, first_offset) = (first.partition, first.offset);
            let conflict = self.running.desk.submit(other(submission)).await;
            assert_eq!(conflict, Answer::KeyReused { partition, first_offset }, "{submission:?}");
            let known = self.running.desk.outcome(account, by.role, id).await;
            assert_eq!(known.map(|known| known.outcome).as_ref(), Some(&first.outcome), "{submission:?}");
        }
        let all = told.iter().map(|(submission, _)| retried(submission)).collect();
        assert_eq!(
            self.running.desk.submit_all(all).await,
            told.iter().map(|(_, first)| same(first)).collect::<Vec<_>>()
        );
        assert_eq!(self.ends(told).await, before, "what is asked again records nothing");
    }
}

/// The same command as a later request brings it.
fn retried(submission: &Submission) -> Submission {
    let issued_at = submission.issued_at.plus_micros(1);
    Submission { request_id: Some("again".into()), issued_at, ..submission.clone() }
}

/// Another command under the same key: other content of its kind, or its content as another kind.
fn other(submission: &Submission) -> Submission {
    let command = match &submission.command {
        Command::DepositCash(was) => cash::Deposit { amount: was.amount + Money::from_smallest(1) },
        Command::WithdrawCash(was) => cash::Deposit { amount: was.amount },
        _ => deposit("1.00"),
    };
    Submission { command: command.into(), ..submission.clone() }
}

fn submitted(key: &str, account: usize, deed: &Deed, orders: &[OrderId]) -> Submission {
    let name = ["A", "B"][account];
    let price = |ticks: i64| Price::from_smallest(ticks * TICK);
    let nth = |order: usize| match orders.len() {
        0 => OrderId { account: crate::common::account(name), seq: 1 },
        count => orders[order % count],
    };
    let at = Timestamp::parse(MORNING).unwrap();
    let command: Command = match *deed {
        Deed::Open => open().into(),
        Deed::Deposit { paise } => cash::Deposit { amount: Money::from_smallest(paise) }.into(),
        Deed::Withdraw { paise } => cash::Withdraw { amount: Money::from_smallest(paise) }.into(),
        Deed::Buy { quantity, ticks } => Place { price: Some(price(ticks)), ..buy(quantity, "1.00") }.into(),
        Deed::Sell { quantity, ticks } => Place { price: Some(price(ticks)), ..sell(quantity, "1.00") }.into(),
        Deed::Modify { order, quantity, ticks } => Modify {
            order_id: nth(order),
            quantity: Some(Quantity::new(quantity)),
            price: ticks.map(price),
            trigger_price: None,
            order_type: None,
            validity: None,
        }
        .into(),
        Deed::Cancel { order } => Cancel { order_id: nth(order), due_to: None }.into(),
        Deed::Report { order, report } => Report {
            order_id: nth(order),
            report,
            exchange_order_id: None,
            reason: None,
            quantity: None,
            price: None,
            at,
        }
        .into(),
        Deed::Fill { order, trade, quantity } => Fill {
            order_id: nth(order),
            trade_id: TradeId::new(&trade.to_string()).unwrap(),
            quantity: Quantity::new(quantity),
            price: price(50_000),
            executed_at: at,
            instrument: None,
            side: None,
        }
        .into(),
        Deed::Purchase { paise } => {
            let amount = Money::from_smallest(paise);
            fund::Purchase { scheme: "119551".parse().unwrap(), amount, folio: None }.into()
        }
    };
    let role = match deed {
        Deed::Report { .. } | Deed::Fill { .. } => Submitter::Venue,
        _ => Submitter::Client,
    };
    submission(name, key, role, command)
}

/// Tells the story with one restart in its middle, and all of it again after another, and after one within that.
async fn tell(kept: Kept, story: Story) {
    let (clock, store) = (Driven::at(MORNING), Snapshots::new());
    let config = || match story.with_snapshots {
        true => {
            let snapshots = Some(Arc::new(store.clone()) as _);
            Config { snapshots, snapshot_entries: 3, books_max: 1, ..config(&clock) }
        }
        false => config(&clock),
    };
    let mut desk = kept.start(config()).await;
    let facts = [fact("list", reliance()), fact("p1", last("2500.00", MORNING)), fact("scheme", scheme())];
    let mut listed = Vec::new();
    for fact in &facts {
        listed.push(accepted(desk.running.desk.submit_fact(fact.clone()).await));
    }
    let mut told: Vec<(Submission, Answered)> = Vec::new();
    let mut orders = [Vec::new(), Vec::new()];
    let middle = story.middle.index(story.hand_overs.len());
    for (number, hand_over) in story.hand_overs.iter().enumerate() {
        if number == middle {
            desk.stop().await;
            desk = kept.start(config()).await;
            desk.again(&told).await;
        }
        let key = |at: usize| format!("{number}/{at}");
        let submit = |(at, (account, deed)): (usize, &(usize, Deed))| {
            (*account, submitted(&key(at), *account, deed, &orders[*account]))
        };
        let (accounts, submissions): (Vec<_>, Vec<_>) = hand_over.iter().enumerate().map(submit).unzip();
        let answers = desk.running.desk.submit_all(submissions.clone()).await;
        for ((account, submission), answer) in accounts.into_iter().zip(submissions).zip(answers) {
            let first = answered(answer);
            assert!(!first.replayed, "{submission:?}");
            if let (Command::PlaceOrder(_), OutcomeResult::Accepted { order_id: Some(id), .. }) =
                (&submission.command, &first.outcome.result)
            {
                orders[account].push(*id);
            }
            told.push((submission, first));
        }
    }
    desk.stop().await;
    let desk = kept.start(config()).await;
    desk.again(&told[..told.len() * middle / story.hand_overs.len()]).await;
    desk.stop().await;
    let desk = kept.start(config()).await;
    desk.again(&told).await;
    facts_again(&desk, facts, listed).await;
    desk.stop().await;
}

async fn facts_again(desk: &Desk, facts: [FactSubmission; 3], listed: Vec<Answered>) {
    let before = desk.ends(&[]).await;
    for (fact, first) in facts.into_iter().zip(listed) {
        let (partition, first_offset) = (first.partition, first.offset);
        let other = FactSubmission { fact: Fact::from(last("1.00", MORNING)), ..fact.clone() };
        assert_eq!(desk.running.desk.submit_fact(other).await, Answer::KeyReused { partition, first_offset });
        let again = desk.running.desk.submit_fact(fact).await;
        assert_eq!(again, Answer::Answered(Answered { replayed: true, ..first }));
    }
    assert_eq!(desk.ends(&[]).await, before, "a fact that is told again records nothing");
}

fn run(telling: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(telling);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn commands_asked_again_across_restarts_get_their_first_answer_and_record_nothing(story in story()) {
        run(tell(Kept::Memory(Memory::new(1)), story));
    }

    #[test]
    fn the_same_holds_over_a_file(story in story()) {
        run(tell(Kept::Sqlite(tempfile::tempdir().unwrap()), story));
    }
}
