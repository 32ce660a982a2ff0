//! What cannot be folded stops alone, in the database as in memory.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_nobody_can_read_stops_its_partition_of_its_views_and_others_go_on() {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(8), Ledger::new(2));
    wander(&mut ledger, &mut draws, 150);
    let bad = account(1);
    ledger.poison(&bad);
    wander(&mut ledger, &mut draws, 150);
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let start = || Projector::start(Arc::new(log.clone()), views.clone(), clock());
    let projector = start();
    let expected = replayed(&log).await;
    caught_up(&projector, &expected).await;
    projector.stop().await;
    let stops = || async { by_name(views.stops().await.expect("stops")) };
    assert_eq!(stops().await, by_name(expected.views.stops()));
    assert_eq!(stops().await.len(), 5, "the journal counts what nobody can read");
    let hashes = |hashes: StateHashes| hashes.hashes;
    assert_eq!(hashes(views.state_hashes().await.expect("hashes")), hashes(expected.views.state_hashes()));
    // Another process knows it, too.
    wander(&mut ledger, &mut draws, 50);
    ledger.append_to(&log).await;
    let projector = start();
    let expected = replayed(&log).await;
    caught_up(&projector, &expected).await;
    projector.stop().await;
    assert_eq!(hashes(views.state_hashes().await.expect("hashes")), hashes(expected.views.state_hashes()));
    assert_eq!(stops().await, by_name(expected.views.stops()));
}

/// Appends the last entry of a partition once more, numbered on and changed as no writer would.
async fn append_changed(log: &Memory, partition: u32, change: impl FnOnce(&mut Entry<'static>)) {
    let last = records(log, Topic::Ledger, partition).await.pop().expect("a record");
    let mut entry = decode_entry(&last.record.value).expect("an entry").into_owned();
    (entry.seq, entry.source) = (entry.seq + 1, entry.source + 1);
    change(&mut entry);
    let (mut record, mut bytes) = (last.record.clone(), Vec::new());
    encode_entry(&entry, &mut bytes);
    record.value = bytes.into();
    (record.headers.source, record.headers.after) = (entry.source, entry.source - 1);
    log.append(Topic::Ledger, partition, None, vec![record]).await.expect("it lands");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_one_view_cannot_fold_stops_that_view_in_that_partition_only() {
    let (own, mut ledger) = (Own::new().await, Ledger::new(2));
    let rich = (0..).map(account).find(|id| partition_of(id.as_str(), 2) == 1).expect("an account");
    let other = (0..).map(account).find(|id| partition_of(id.as_str(), 2) == 0).expect("an account");
    ledger.open(&rich, "100.00");
    ledger.open(&other, "100.00");
    let log = ledger.log().await;
    // Settled cash beyond what an amount can hold: the sum panics.
    let most = Money::from_smallest(i64::MAX);
    let deposited = EventData::CashDeposited(domain::cash::Deposited { amount: most });
    append_changed(&log, 1, |entry| entry.events[0].data = deposited).await;
    let views = own.views(&log).await;
    let projector = Projector::start(Arc::new(log.clone()), views.clone(), clock());
    let expected = replayed(&log).await;
    caught_up(&projector, &expected).await;
    projector.stop().await;
    let stops = views.stops().await.expect("stops");
    assert_eq!(stops.iter().map(|stop| (stop.view, stop.partition)).collect::<Vec<_>>(), [(View::Cash, 1)]);
    assert_eq!(stops, expected.views.stops());
    assert_eq!(views.state_hashes().await.expect("hashes"), expected.views.state_hashes());
    let answer = |id| views.read(id, |reading| (reading.cash().is_ok(), reading.account().map(|a| a.entries).ok()));
    assert_eq!(answer(&rich).await.expect("it is asked"), Some((false, Some(3))));
    assert_eq!(answer(&other).await.expect("it is asked"), Some((true, Some(2))));
}

fn by_name(mut stops: Vec<Stop>) -> Vec<Stop> {
    stops.sort_by_key(|stop| (stop.view.name(), stop.partition));
    stops
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_contradicts_itself_is_not_read_further_and_others_go_on() {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(9), Ledger::new(2));
    wander(&mut ledger, &mut draws, 100);
    let log = ledger.log().await;
    let expected = replayed(&log).await;
    let last = records(&log, Topic::Ledger, 1).await.pop().expect("a record");
    let mut again = last.record.clone();
    again.headers.after = again.headers.source;
    log.append(Topic::Ledger, 1, None, vec![again]).await.expect("it lands");
    let views = own.views(&log).await;
    let projector = Projector::start(Arc::new(log.clone()), views.clone(), clock());
    caught_up(&projector, &expected).await;
    let behind = projector.behind();
    until("it says that it is of no more use", async || behind.worst() == (Topic::Ledger, 1, Behind::FOR_EVER)).await;
    projector.stop().await;
    let stops = views.stops().await.expect("stops");
    assert_eq!(stops.len(), 6, "every view of the ledger: {stops:?}");
    assert!(stops.iter().all(|stop| (stop.partition, stop.offset) == (1, last.offset + 1)), "{stops:?}");
    assert_eq!(views.position().await.expect("a position"), expected.position, "it stands before it");
}
