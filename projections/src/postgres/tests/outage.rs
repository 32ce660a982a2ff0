//! What happens while the server is away: a way to it that can be cut.

use super::*;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A way to the server that is open or cut.
struct Way {
    open: watch::Sender<bool>,
    port: u16,
}

impl Way {
    async fn to(server: String) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (open, watched) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (mut watched, server) = (watched.clone(), server.clone());
                if !*watched.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(server).await?;
                    tokio::select! {
                        _ = watched.wait_for(|open| !open) => Ok((0, 0)),
                        copied = copy_bidirectional(&mut client, &mut server) => copied,
                    }
                });
            }
        });
        Way { open, port }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_away_nothing_is_lost_and_folding_goes_on_by_itself() {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(11), Ledger::new(2));
    let options: PgConnectOptions = own.url.parse().expect("a URL");
    let server = format!("{}:{}", options.get_host(), options.get_port());
    let way = Way::to(server.clone()).await;
    let url = own.url.replacen(&server, &format!("127.0.0.1:{}", way.port), 1);
    wander(&mut ledger, &mut draws, 100);
    let log = ledger.log().await;
    let database = Database::open(&url, 4).await.expect("the database opens");
    let views = Postgres::open(database, &log).await.expect("the views open");
    let projector = Projector::start(Arc::new(log.clone()), views.clone(), clock());
    for _ in 0..3 {
        // Cut while it writes.
        wander(&mut ledger, &mut draws, 40);
        ledger.append_to(&log).await;
        way.open.send_replace(false);
        let asked = views.position().await;
        assert!(asked.as_ref().is_err_and(|error| error.to_string().contains("PostgreSQL at")), "{asked:?}");
        wander(&mut ledger, &mut draws, 40);
        ledger.append_to(&log).await;
        way.open.send_replace(true);
        let expected = replayed(&log).await;
        caught_up(&projector, &expected).await;
        check(&views, &expected.views).await;
    }
    projector.stop().await;
}
