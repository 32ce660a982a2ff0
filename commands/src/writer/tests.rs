//! A subject that breaks while folding: the writer recovers, and refuses what broke it.

use super::*;
use crate::{
    metrics::Meters,
    outcome::{Outcome, OutcomeResult},
    queue::queue,
    subject::{Broken, How, Place, Replayed, Seen, Written},
};
use domain::rejection::Rejection;
use event_log::{Headers, Record, RecordKind, Stored, Topic, memory::Memory};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Folding this number breaks the state, unless it is refused.
const BREAKS: u8 = 13;

/// Numbers, each its own key, and their sum.
#[derive(Default)]
struct Sum {
    sum: u64,
    seq: u64,
    broken: bool,
}

impl Subject for Sum {
    const TOPIC: Topic = Topic::Ledger;
    const KIND: RecordKind = RecordKind::Entry;
    type Item = u8;

    fn request(command: &Prepared<u8>) -> Record {
        let headers = Headers::request(RecordKind::Command, command.item.to_string().into(), 0, None);
        Record { key: Some("sum".into()), headers, value: vec![command.item].into() }
    }

    fn read_request(stored: &Stored) -> Result<Prepared<u8>, String> {
        Ok(prepared(stored.record.value[0]))
    }

    fn seen(_value: &[u8]) -> Result<Seen, String> {
        Err("nobody follows".to_owned())
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn replay(&mut self, stored: &Stored) -> Result<Replayed, String> {
        let number = stored.record.value[0];
        self.seq += 1;
        self.sum += u64::from(number);
        Ok(Replayed { key: Key([number; 16]), content: [number; 16], first: true })
    }

    fn replayed(&mut self) {}

    fn answer(&mut self, command: &Prepared<u8>, how: How, place: Place) -> Result<Written, Broken> {
        let number = command.item;
        let decided = matches!(how, How::Decide);
        self.broken |= decided && number == BREAKS;
        if self.broken {
            return Err(Broken);
        }
        self.seq += 1;
        self.sum += u64::from(number);
        let accepted =
            OutcomeResult::Accepted { order_id: None, fund_order_id: None, status: None, events: Vec::new() };
        let refused = OutcomeResult::Refused { code: Rejection::Undecodable, figures: BTreeMap::new() };
        let outcome = Outcome {
            account_or_key: "sum".into(),
            seq: self.seq,
            kind: "add".into(),
            command_id: number.to_string().into(),
            recorded_at: place.recorded_at,
            result: if decided { accepted } else { refused },
        };
        let (key, ce_id, kinds) = ("sum".into(), format!("sum/{}", self.seq).into(), "added".into());
        Ok(Written { key, ce_id, kinds, value: vec![number].into(), seq: self.seq, outcome })
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1)
    }
}

fn prepared(number: u8) -> Prepared<u8> {
    Prepared { item: number, body: RawValue::NULL.to_owned(), key: Key([number; 16]), content: [number; 16] }
}

#[tokio::test]
async fn a_command_that_breaks_folding_is_refused_and_the_others_are_not_lost() {
    let log = Memory::new(1);
    let (queue, inbox) = queue(100);
    let (stop, stopped) = watch::channel(false);
    let writer = Writer {
        subject: Sum::default(),
        partition: 0,
        inbox: Inbox::Desk(inbox),
        queue: queue.state(),
        outcomes: Arc::new(Outcomes::new()),
        clock: Arc::new(Still),
        batch: 10,
        batch_bytes: 1_000,
        stop: stopped,
        state: State::new(Meters::new(Topic::Ledger, 0)),
    };
    let (ready, is_ready) = oneshot::channel();
    let running = tokio::spawn(writer.run(Arc::new(log.clone()), ready));
    is_ready.await.unwrap().unwrap();
    let replies = queue.push_all(vec![prepared(1), prepared(BREAKS), prepared(2)]).unwrap().await.unwrap();
    // What was decided on the broken state is turned away; what had not been is decided after the recovery.
    assert!(matches!(replies[0], Reply::Busy));
    let Reply::Done(refused) = &replies[1] else { panic!("{replies:?}") };
    assert!(matches!(refused.outcome.result, OutcomeResult::Refused { code: Rejection::Undecodable, .. }));
    let Reply::Done(done) = &replies[2] else { panic!("{replies:?}") };
    assert_eq!(done.outcome.seq, 2);
    stop.send_replace(true);
    running.await.unwrap();
    assert_eq!(log.tail(Topic::Ledger, 0).await.unwrap(), 4, "two claims, a refusal and a sum");
}
