//! An entry that no release can read stops the views of its partition, by name, and nothing else.

use event_log::{
    EventLog, Headers, Record, RecordKind, Topic,
    kafka::Kafka,
    partition_of,
    rule::{Reader, Verdict},
};
use serde_json::json;
use tests::{
    Server,
    cluster::{self, Topics, brokers},
    wait_until,
};

/// The views of accounts that fold what an entry says; the journal counts it unread.
const FOLDED: [&str; 5] = ["orders", "trades", "portfolio", "pnl", "cash"];

/// Appends what counts by the rule and is no entry, behind all that this account's partition has, and says which that is.
async fn poison(prefix: &str, account: &str) -> u32 {
    let log = Kafka::open(&brokers(), prefix).await.expect("the log opens");
    let partition = partition_of(account, log.partitions(Topic::Ledger));
    let (mut reader, mut last) = (Reader::default(), None);
    loop {
        let batch = log.read(Topic::Ledger, partition, reader.offset, usize::MAX).await.expect("it is read");
        let Some(newest) = batch.last().cloned() else { break };
        for stored in &batch {
            reader.fold(stored.offset, &stored.record.headers).expect("it follows the rule");
        }
        last = Some(newest);
    }
    let headers = Headers {
        ce_type: RecordKind::Entry,
        ce_id: format!("{account}/99").into(),
        ce_time: last.expect("there are entries").record.headers.ce_time,
        term: reader.term,
        writer: reader.writer,
        after: reader.last,
        source: reader.last + 1,
        kinds: "cash_posted".into(),
        traceparent: None,
    };
    let mut next = reader;
    assert_eq!(next.fold(reader.offset, &headers), Ok(Verdict::Entry), "it counts");
    let record = Record { key: Some(account.into()), headers, value: b"{\"v\":1}".to_vec().into() };
    log.append(Topic::Ledger, partition, None, vec![record]).await.expect("it is appended");
    partition
}

/// How far a process says that a view is behind, in entries or seconds.
fn lag(server: &Server, unit: &str, view: &str, partition: u32) -> Option<f64> {
    let name = format!("bahi_view_lag_{unit}{{view=\"{view}\",partition=\"{partition}\"}} ");
    let counted = server.anybody().get("/metrics").text;
    counted.lines().find_map(|line| line.strip_prefix(name.as_str())?.parse().ok())
}

#[test]
fn an_entry_that_cannot_be_read_stops_the_views_of_its_partition_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let topics = Topics::of(folder.path());
    let (args, quick) = (["--calendar", "always-open"], [("BAHI_LAG_MAX_MS", "1000")]);
    let role = |role: &str| topics.role(role, folder.path(), &args, &quick);
    let [writer, projector, api] = ["writer", "projector", "api"].map(role);
    let in_memory = topics.api_in_memory(folder.path(), &args, &quick);
    let operator = api.operator();
    let cash = |account: &str| format!("/v1/accounts/{account}/cash");
    let accounts: Vec<String> = (0..8).map(|number| format!("P{number}")).collect();
    for account in &accounts {
        operator.post("/v1/accounts", json!({ "account": account })).must_be(201);
        operator.post(&format!("{}/deposits", cash(account)), json!({ "amount": "100.00" })).must_be(201);
        assert_eq!(operator.get(&cash(account)).text_at("/settled"), "100.00");
    }
    // It could only be this writer's own mistake, so it is made in its name once it has gone.
    assert!(writer.stop().success());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let poisoned = runtime.block_on(poison(topics.prefix(), &accounts[0]));
    let partition = |account: &str| partition_of(account, cluster::PARTITIONS as u32);
    for (server, view) in [&projector, &in_memory].into_iter().flat_map(|server| FOLDED.map(|view| (server, view))) {
        let counted = format!("bahi_view_stops_total{{view=\"{view}\",partition=\"{poisoned}\"}} 1");
        wait_until("the stop of each view to be counted", || {
            server.anybody().get("/metrics").text.lines().any(|line| line == counted).then_some(())
        });
        // It is told every second.
        wait_until("a view that stopped to be told of as behind", || {
            let of = |unit| lag(server, unit, view, poisoned);
            (of("entries")? >= 1.0 && of("seconds")? > 0.0).then_some(())
        });
    }
    let refused = wait_until("the projector to say that its views are behind", || {
        projector.anybody().try_get("/readyz").filter(|reply| reply.status == 503)
    });
    let behind = format!("the views of bahi.ledger/{poisoned} are ");
    assert!(refused.text_at("/detail").starts_with(&behind), "{}", refused.text);
    assert!(projector.anybody().get("/metrics").text.contains("bahi_ready 0"));
    let whole = (0..cluster::PARTITIONS as u32).filter(|partition| *partition != poisoned).map(|of| ("cash", of));
    for (view, partition) in whole.chain([("journal", poisoned)]) {
        for server in [&projector, &in_memory] {
            wait_until("a view that goes on to be told of as such", || {
                let of = |unit| lag(server, unit, view, partition);
                (of("entries")? == 0.0 && of("seconds")? == 0.0).then_some(())
            });
        }
    }
    let others = accounts.iter().filter(|account| partition(account) != poisoned).count();
    assert!((1..accounts.len()).contains(&others), "accounts are in both partitions");
    for account in &accounts {
        let reply = operator.ask("GET", &cash(account), &[], None);
        match partition(account) == poisoned {
            true => assert_eq!((reply.status, reply.text_at("/code")), (503, "view_stopped"), "{}", reply.text),
            false => assert_eq!((reply.status, reply.text_at("/settled")), (200, "100.00"), "{}", reply.text),
        }
    }
    let said = projector.last_words();
    assert!(said.contains("a view stopped; others go on") && said.contains("cash"), "{said}");
    for server in [api, in_memory, projector] {
        assert!(server.stop().success());
    }
}
