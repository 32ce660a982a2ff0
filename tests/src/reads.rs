//! Someone who reads accounts while something else happens, from one process after another, and never sees less than
//! before.

use crate::{Client, load::accounts};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// Reading that goes on.
pub struct Reads {
    stop: Arc<AtomicBool>,
    reader: JoinHandle<u64>,
}

impl Reads {
    /// Begins to read the accounts of a load from these addresses in turn.
    pub fn begin(addresses: Vec<String>, token: &str) -> Reads {
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<Client> =
            addresses.into_iter().map(|address| Client::new(address, Some(token), Arc::default())).collect();
        let stopped = Arc::clone(&stop);
        let reader = thread::spawn(move || {
            let (mut seen, mut reads): (BTreeMap<String, u64>, u64) = (BTreeMap::new(), 0);
            while !stopped.load(Ordering::Relaxed) {
                for account in accounts() {
                    for client in &clients {
                        let entries = client.get(&format!("/v1/accounts/{account}")).at("/entries").as_u64();
                        let entries = entries.expect("a number");
                        let before = seen.insert(account.clone(), entries).unwrap_or_default();
                        assert!(entries >= before, "{account} had {before} entries, and then {entries}");
                        reads += 1;
                    }
                }
            }
            reads
        });
        Reads { stop, reader }
    }

    /// Ends it; says how many reads there were.
    ///
    /// # Panics
    /// When one had no answer, or showed less than one before it.
    pub fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.reader.join().expect("no read shows less than one before it")
    }
}
