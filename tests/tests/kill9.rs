//! Kill -9 under load, many times: nothing acknowledged is missing, nothing is doubled. Told of a cluster, one process at
//! a time is killed, or all at once.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::{
        Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use tests::{
    Client, Server, client, cluster,
    server::token,
    story::{limit_order, list_share},
    wait::wait_at_most,
};

/// How often the server is killed.
const KILLS: usize = 20;

/// How often each process of a cluster is killed, and all of them at once: a writer that died is missed only after 6 s,
/// so that more would take minutes.
const CLUSTER_KILLS_OF_EACH: usize = 2;

/// The victim that stands for whatever there is.
const ALL: &str = "all";

/// The longest a caller asks for one answer: of a cluster, kills of the writer may follow one another.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

const ARGS: [&str; 6] = ["--calendar", "always-open", "--snapshot-entries", "100", "--books-max", "2"];
const VARIABLES: [(&str, &str); 1] = [("BAHI_REQUESTS_PER_SECOND", "0")];

/// The accounts that orders and deposits are sent to.
const ACCOUNTS: [&str; 4] = ["A1", "A2", "A3", "A4"];

/// How many callers send at once: enough that a kill always finds commands in flight.
const CALLERS: usize = 8;

/// The longest the server runs between two kills; the shortest is one answered command.
const RUN_MS_MAX: u64 = 400;

/// Unless `BAHI_SEED` says another.
const SEED: u64 = 9;

/// One acknowledged command: its account, what was answered, and whether it was a deposit.
struct Acknowledged {
    account: &'static str,
    status: u16,
    text: String,
    deposit: bool,
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_doubled_in_many_kills_under_load() {
    let seed = env::var("BAHI_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED);
    eprintln!("BAHI_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let start = || Server::start_with(folder.path(), &ARGS, &VARIABLES);
    let victims = victims(&mut random);
    let mut server = start();
    let tokens = Tokens {
        operator: token(folder.path(), "operator", &[], &[]),
        client: token(folder.path(), "client", &ACCOUNTS, &[]),
    };
    let operator = server.with_token(&tokens.operator);
    list_share(&operator, "NSE:STORY");
    for account in ACCOUNTS {
        operator.post("/v1/accounts", json!({ "account": account })).must_be(201);
    }

    let address = RwLock::new(server.url());
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let acknowledged = Mutex::new(BTreeMap::<String, Acknowledged>::new());
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (address, stop, answered, acknowledged, tokens) = (&address, &stop, &answered, &acknowledged, &tokens);
            scope.spawn(move || call(caller, address, stop, answered, acknowledged, tokens));
        }
        let answers = |what: &str| {
            let before = answered.load(Ordering::Relaxed);
            wait_at_most(ANSWER_LIMIT, what, || (answered.load(Ordering::Relaxed) > before).then_some(()));
        };
        for victim in &victims {
            answers("an answered command between two kills");
            thread::sleep(Duration::from_millis(random.random_range(0..RUN_MS_MAX)));
            if *victim == ALL {
                server.kill_9();
                server = start();
            } else {
                server.kill_9_and_replace(victim, &ARGS, &VARIABLES);
            }
            *address.write().expect("nobody panics here") = server.url();
        }
        answers("answers after the last kill");
        stop.store(true, Ordering::Relaxed);
    });

    let mut acknowledged = acknowledged.into_inner().expect("nobody panics here");
    eprintln!("{} commands acknowledged across kills of {victims:?}", acknowledged.len());
    assert!(acknowledged.len() > victims.len(), "the load was too small to mean anything: {}", acknowledged.len());
    let (operator, auditor) = (server.operator(), server.auditor());
    for account in ACCOUNTS {
        // What is read from here on has seen this one, and so all that came before.
        let key = client::key();
        let (path, body) = (format!("/v1/accounts/{account}/cash/deposits"), json!({ "amount": "1.00" }));
        let reply = operator.post_as(&key, &path, body).must_be(201);
        acknowledged.insert(key, Acknowledged { account, status: 201, text: reply.text, deposit: true });
        let recorded = recorded(&auditor, account);
        let own = acknowledged.iter().filter(|(_, acknowledged)| acknowledged.account == account);
        let mut deposits = 0;
        for (key, acknowledged) in own {
            assert!(recorded.contains(key), "{key} was answered {} and is not in the ledger", acknowledged.status);
            let remembered = auditor.ask("GET", &format!("/v1/accounts/{account}/commands/{key}"), &[], None);
            let same = remembered.body == serde_json::from_str::<Value>(&acknowledged.text).unwrap_or_default();
            assert!(
                same || acknowledged.deposit,
                "{key} was answered {} and is now {}",
                acknowledged.text,
                remembered.text
            );
            deposits += u64::from(acknowledged.deposit);
        }
        let cash = auditor.get(&format!("/v1/accounts/{account}/cash"));
        assert_eq!(cash.text_at("/settled"), format!("{deposits}.00"), "one rupee for each deposit of {account}");
        assert_eq!(recorded.len(), acknowledged.values().filter(|one| one.account == account).count() + 1, "{account}");
    }
    server.verify();
}

/// Who is killed, one after the other.
fn victims(random: &mut StdRng) -> Vec<&'static str> {
    if !cluster::is_wanted() {
        return vec![ALL; KILLS];
    }
    let mut victims = ["writer", "projector", "api", ALL].repeat(CLUSTER_KILLS_OF_EACH);
    victims.shuffle(random);
    victims
}

struct Tokens {
    operator: String,
    client: String,
}

/// One caller: sends a command until it is answered, then the next, as a careful client does.
fn call(
    caller: usize,
    address: &RwLock<String>,
    stop: &AtomicBool,
    answered: &AtomicU64,
    acknowledged: &Mutex<BTreeMap<String, Acknowledged>>,
    tokens: &Tokens,
) {
    let account = ACCOUNTS[caller % ACCOUNTS.len()];
    let mut known: Option<(String, Client)> = None;
    while !stop.load(Ordering::Relaxed) {
        let key = client::key();
        let deposit = caller < ACCOUNTS.len();
        let (path, body, token) = if deposit {
            (format!("/v1/accounts/{account}/cash/deposits"), json!({ "amount": "1.00" }), &tokens.operator)
        } else {
            (format!("/v1/accounts/{account}/orders"), limit_order("buy", 1, "100.00"), &tokens.client)
        };
        let reply = wait_at_most(ANSWER_LIMIT, "an answer from the server or the one after it", || {
            let base = address.read().expect("nobody panics here").clone();
            if known.as_ref().is_none_or(|(address, _)| *address != base) {
                known = Some((base.clone(), Client::new(base, Some(token), Default::default())));
            }
            let (_, client) = known.as_ref()?;
            let reply = client.try_post_as(&key, &path, &body)?;
            // 202 and 503 say: not yet, ask again with the same key.
            (![202, 503].contains(&reply.status)).then_some(reply)
        });
        assert!([201, 422].contains(&reply.status), "{} was answered {}: {}", reply.asked, reply.status, reply.text);
        answered.fetch_add(1, Ordering::Relaxed);
        let done = Acknowledged { account, status: reply.status, text: reply.text, deposit };
        acknowledged.lock().expect("nobody panics here").insert(key, done);
    }
}

/// The command ids of the account's entries, each of which must be there once.
fn recorded(auditor: &Client, account: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut cursor = String::new();
    let mut seq = 0;
    loop {
        let page = auditor.get(&format!("/v1/accounts/{account}/events?limit=1000{cursor}"));
        for row in page.rows() {
            let entry = &row["entry"];
            seq += 1;
            assert_eq!(entry["seq"], json!(seq), "the entries of {account} have no gap");
            let id = entry["command"]["id"].as_str().expect("a command has an id").to_owned();
            if entry["outcome"] != "repeat" {
                assert!(ids.insert(id.clone()), "{id} was decided twice in {account}");
            }
        }
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}
