//! `bahi bench cluster`: durable orders over HTTP through Kafka, seen in PostgreSQL and Redis meanwhile: api, writer and
//! projector as processes, brokers, database, Redis, the load and a reader on one machine.

use super::{
    Bench, bytes, disk,
    load::{self, Pace, Requests, Shape},
    machine::{self, Machine},
    orders::{self, Batches, Singles},
    place::Place,
    population,
    reader::Reader,
    report::{Bytes, Measure, Report},
    server::{self, Server},
    zipf::Spread,
};
use crate::{
    error::Error,
    keys::{Minter, Role},
};
use std::{ffi::OsStr, path::Path, time::Duration};

/// Partitions of the log: as many as there are cores where the bars are set.
const PARTITIONS: u32 = 2;
/// How long each figure is measured.
const MEASURED_S: u64 = 8;
/// Connections of single orders.
const SINGLE_CONNECTIONS: usize = 256;
/// Half of the bar.
const OPEN_PER_SECOND: u32 = 5_000;
/// Which figure the orders are of that warm up: none that is shown, nor that of the batches (9).
const WARM_UP: u64 = 11;
/// Connections of batches.
const BATCH_CONNECTIONS: usize = 16;

/// What a projector counts that writes an account to Redis, and an api that answers from there.
const KEPT: &str = "bahi_redis_rows_total{outcome=\"kept\"}";
const HIT: &str = "bahi_redis_reads_total{outcome=\"hit\"}";

/// Measures.
///
/// # Errors
/// When brokers, database or Redis cannot be used, an order is refused, an account is not read, or the ledger does not
/// verify.
pub async fn run(bench: &Bench) -> Result<Report, Error> {
    let place = Place::of(bench)?;
    let folder = disk::folder(&bench.parent)?;
    let machine = Machine::look(folder.path())?;
    let measured = place.with(PARTITIONS, async |url| measure(bench, &place, url, folder.path()).await).await;
    let (results, bytes) = measured?;
    let (bytes, redis) = (Some(bytes), Some(place.redis.is_some()));
    Ok(Report { bytes, redis, ..Report::new("cluster", results, machine) })
}

async fn measure(bench: &Bench, place: &Place, url: &str, data: &Path) -> Result<(Vec<Measure>, Bytes), Error> {
    let roles = Roles::start(place, url, data).await?;
    let minter = Minter::open(data, None)?;
    let operator = minter.mint(Role::Operator, &[])?;
    let address = roles.api.address;
    population::list_market(address, &operator).await?;
    population::open_accounts(address, &operator).await?;
    let tokens = population::tokens(&minter)?;
    // Redis keeps accounts that are asked about.
    let reader = Reader::new(address, &tokens);
    reader.read_each().await?;
    let before = roles.projector.counted(KEPT).await?;
    let results = tokio::select! {
        results = roles.measure_all(bench, &tokens) => results?,
        error = reader.read_on() => return Err(error),
    };
    if place.redis.is_some() {
        // By the projector: what somebody reads is kept without any order.
        let kept = roles.projector.counted(KEPT).await?.saturating_sub(before);
        if kept == 0 {
            let why = "the Redis of --redis-url was given no account meanwhile: check the URL, and that it answers";
            return Err(Error::Server(why.to_owned()));
        }
        let hits = roles.api.counted(HIT).await?;
        bench.tell(&format!("Redis was given accounts {kept} times meanwhile, and answered {hits} reads"));
    }
    // It waits until the views have everything, and compares them.
    let auditor = minter.mint(Role::Auditor, &[])?;
    let shown = format!("http://{address}");
    let words = ["verify", "--redecide", "--url", &shown, "--token", &auditor];
    let words = words.into_iter().chain(place.flags()).map(OsStr::new);
    server::output_of(&words.collect::<Vec<_>>()).await?;
    roles.stop().await?;
    Ok((results, bytes::of_all(place).await?))
}

/// One of each.
struct Roles {
    api: Server,
    writer: Server,
    projector: Server,
}

impl Roles {
    async fn start(place: &Place, url: &str, data: &Path) -> Result<Roles, Error> {
        let role = |name| Server::start_role(name, data, place, url);
        let (writer, projector) = (role("writer").await?, role("projector").await?);
        Ok(Roles { api: role("api").await?, writer, projector })
    }

    /// All figures, one after the other.
    async fn measure_all(&self, bench: &Bench, tokens: &[String]) -> Result<Vec<Measure>, Error> {
        let single = orders::single_orders(tokens);
        let mut results = Vec::new();
        let measured = Duration::from_secs(MEASURED_S);
        // Nothing of it counts: a broker that has just been started compiles its own code meanwhile.
        let shape = Shape { name: "warm_up", connections: SINGLE_CONNECTIONS, pace: Pace::Closed, measured };
        self.measure(bench, shape, Singles::new(&single, Spread::Uniform, WARM_UP)).await?;
        let shapes = [
            ("alone", Pace::Closed, 1),
            ("single_uniform", Pace::Closed, SINGLE_CONNECTIONS),
            ("single_open_5000", Pace::Open(OPEN_PER_SECOND), SINGLE_CONNECTIONS),
        ];
        for (number, (name, pace, connections)) in (1..).zip(shapes) {
            let shape = Shape { name, connections, pace, measured };
            results.push(self.measure(bench, shape, Singles::new(&single, Spread::Uniform, number)).await?);
        }
        let shape = Shape { name: "batch_100", connections: BATCH_CONNECTIONS, pace: Pace::Closed, measured };
        results.push(self.measure(bench, shape, Batches::new(tokens)).await?);
        // Last: what it leaves open in a few accounts would be carried through all that comes after it.
        let shape = Shape { name: "single_zipf", connections: SINGLE_CONNECTIONS, pace: Pace::Closed, measured };
        results.push(self.measure(bench, shape, Singles::new(&single, Spread::Zipf, 0)).await?);
        Ok(results)
    }

    /// Measures, and says how far memory was before and how busy each was.
    async fn measure<R: Requests + 'static>(&self, bench: &Bench, shape: Shape, requests: R) -> Result<Measure, Error> {
        let all = [("api", &self.api), ("writer", &self.writer), ("projector", &self.projector)];
        let memory_ns = machine::memory_ns();
        let before = all.map(|(_, server)| server.cpu());
        let measure = load::run(self.api.address, shape, requests).await?;
        let used = all.iter().zip(before).filter_map(|((name, server), before)| {
            let used = server.cpu()?.checked_sub(before?)?;
            Some(format!("{name} {} ms", used.as_millis()))
        });
        let used = used.collect::<Vec<_>>().join(", ");
        bench.tell(&format!("{}: memory {memory_ns:.0} ns before; processor time: {used}", shape.name));
        Ok(measure)
    }

    async fn stop(self) -> Result<(), Error> {
        self.api.stop().await?;
        self.projector.stop().await?;
        self.writer.stop().await
    }
}
