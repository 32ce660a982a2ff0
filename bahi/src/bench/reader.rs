//! Somebody who looks at accounts while orders are measured, so that they are kept where accounts are that are asked
//! about; measures nothing.

use super::{
    http::{self, Connection},
    population::{self, ACCOUNTS},
    zipf::{Choice, Spread},
};
use crate::error::Error;
use futures::future::try_join_all;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::time::MissedTickBehavior;

/// Connections that read each account once.
const CONNECTIONS: usize = 16;
/// The longest until every account that was opened is answered, and how often one that is not is asked about.
const SEEN_WAIT: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Reads a second while orders are measured: somebody is there, and takes little from what is measured.
const READS_PER_SECOND: u64 = 20;
/// The seed of the choice of accounts.
const SEED: u64 = 13;

/// A reader of portfolios.
pub struct Reader {
    address: SocketAddr,
    reads: Box<[Box<[u8]>]>,
}

impl Reader {
    /// Of all accounts, each by its client's token.
    pub fn new(address: SocketAddr, tokens: &[String]) -> Reader {
        let read = |(number, token): (usize, &String)| {
            let path = format!("/v1/accounts/{}/portfolio", population::account(number));
            http::get(&path, token).into_boxed_slice()
        };
        Reader { address, reads: tokens.iter().enumerate().map(read).collect() }
    }

    /// Reads each account once; one that the views have not reached is asked about again.
    ///
    /// # Errors
    /// When one is not answered in time.
    pub async fn read_each(&self) -> Result<(), Error> {
        let began = Instant::now();
        let readers = (0..CONNECTIONS).map(|first| async move {
            let mut connection = Connection::open(self.address).await?;
            for read in self.reads.iter().skip(first).step_by(CONNECTIONS) {
                while let Err(error) = ask(&mut connection, read).await {
                    if began.elapsed() > SEEN_WAIT {
                        return Err(error);
                    }
                    tokio::time::sleep(ASK_EVERY).await;
                }
            }
            Ok(())
        });
        try_join_all(readers).await.map(drop)
    }

    /// Reads accounts chosen at random at an even pace until one is not answered, and says why.
    pub async fn read_on(&self) -> Error {
        let mut choice = Choice::new(Spread::Uniform, ACCOUNTS, SEED);
        let mut ticks = tokio::time::interval(Duration::from_millis(1000 / READS_PER_SECOND));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connection = match Connection::open(self.address).await {
            Ok(connection) => connection,
            Err(error) => return error,
        };
        loop {
            ticks.tick().await;
            if let Err(error) = ask(&mut connection, &self.reads[choice.next()]).await {
                return error;
            }
        }
    }
}

/// Reads one account.
async fn ask(connection: &mut Connection, read: &[u8]) -> Result<(), Error> {
    let answer = connection.ask(read).await?;
    if answer.status == 200 {
        return Ok(());
    }
    let body = String::from_utf8_lossy(answer.body);
    Err(Error::Server(format!("an account is not read: {} {body}", answer.status)))
}
