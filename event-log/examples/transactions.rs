//! Measures what a broker's transaction costs beside a flight of the same records without one: see decision 11.
//! `cargo run --release -p event-log --example transactions -- HOST:PORT`

#![allow(clippy::float_arithmetic, clippy::print_stdout, reason = "it measures and prints")]

use std::{
    env, fs,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    config::FromClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};

const VALUE_BYTES: usize = 600;
const CYCLES: usize = 500;
const WARM_UP: usize = 50;
const WAIT: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let brokers = env::args().nth(1).expect("say where: HOST:PORT");
    println!("load average {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    let topic = format!("transactions_{}", std::process::id());
    let admin: AdminClient<DefaultClientContext> = AdminClient::from_config(&config(&brokers)).expect("a client");
    let made = [NewTopic::new(&topic, 1, TopicReplication::Fixed(1))];
    admin.create_topics(&made, &AdminOptions::new()).await.expect("the topic can be made");
    for records in [1, 100] {
        for transactional in [false, true, false, true] {
            measure(&brokers, &topic, records, transactional);
        }
    }
    admin.delete_topics(&[&topic], &AdminOptions::new()).await.expect("the topic can be removed");
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("acks", "all").set("enable.idempotence", "true");
    // Sent at once, so that what is measured is the brokers' work and not a wait for more.
    config.set("linger.ms", "0");
    config
}

/// Flights of so many records, each waited for, in a transaction of its own or in none.
fn measure(brokers: &str, topic: &str, records: usize, transactional: bool) {
    let mut config = config(brokers);
    if transactional {
        config.set("transactional.id", format!("{topic}_{records}"));
    }
    let producer = BaseProducer::from_config(&config).expect("a producer");
    if transactional {
        producer.init_transactions(WAIT).expect("transactions can begin");
    }
    let value = vec![b'x'; VALUE_BYTES];
    let mut took: Vec<f64> = (0..WARM_UP + CYCLES)
        .map(|_| {
            let began = Instant::now();
            if transactional {
                producer.begin_transaction().expect("a transaction begins");
            }
            for _ in 0..records {
                let record = BaseRecord::to(topic).partition(0).key("ACC1").payload(&value);
                producer.send(record).map_err(|(error, _)| error).expect("it is queued");
            }
            while producer.in_flight_count() > 0 {
                producer.poll(Duration::from_micros(100));
            }
            if transactional {
                producer.commit_transaction(WAIT).expect("it commits");
            }
            began.elapsed().as_secs_f64() * 1_000.0
        })
        .skip(WARM_UP)
        .collect();
    took.sort_unstable_by(f64::total_cmp);
    let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    let mode = if transactional { "transaction" } else { "flight" };
    println!("{mode:<12} of {records:>3} records: p50 {p50:.2} ms, p99 {p99:.2} ms");
}
