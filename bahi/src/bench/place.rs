//! Topics and a database of a bench's own, on servers that are named; removed at the end, whatever came out.

use super::Bench;
use crate::{clock, error::Error};
use event_log::{
    kafka::{Layout, Topics},
    postgres::Database,
};

/// Where a bench over Kafka and PostgreSQL works.
pub struct Place {
    /// Some of the brokers.
    pub brokers: String,
    server: String,
    /// A Redis that api and projector keep accounts in; what they keep there vanishes by itself.
    pub redis: Option<String>,
    /// What its topics and its database are called.
    pub name: String,
}

impl Place {
    /// On the servers that the flags name; says to a person what will be made there.
    ///
    /// # Errors
    /// When one of them is not named.
    pub fn of(bench: &Bench) -> Result<Place, Error> {
        let (Some(brokers), Some(server)) = (bench.brokers.clone(), bench.postgres_url.clone()) else {
            return Err(Error::Usage("say where: --brokers HOST:PORT and --postgres-url URL".to_owned()));
        };
        let name = format!("bench_{}", clock::now().micros());
        bench.tell(&format!("in topics and a database called {name}, which are removed at the end"));
        Ok(Place { brokers, server, redis: bench.redis_url.clone(), name })
    }

    /// The flags that name the log.
    pub fn flags(&self) -> [&str; 4] {
        ["--brokers", &self.brokers, "--topic-prefix", &self.name]
    }

    /// Makes topics of so many partitions and the tables, gives the database's URL to `work`, and removes all again.
    ///
    /// # Errors
    /// When brokers or database cannot be used, and as `work`.
    pub async fn with<T>(&self, partitions: u32, work: impl AsyncFnOnce(&str) -> Result<T, Error>) -> Result<T, Error> {
        let topics = Topics::new(&self.brokers, &self.name)?;
        topics.apply(Layout { partitions, replication: 1, min_in_sync: 1 }).await?;
        let worked = match Database::make(&self.server, &self.name).await {
            Ok(url) => match Database::migrate(&url).await {
                Ok(_) => work(&url).await,
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        };
        let removed = (topics.remove().await, Database::remove(&self.server, &self.name).await);
        let worked = worked?;
        removed.0.and(removed.1)?;
        Ok(worked)
    }
}
