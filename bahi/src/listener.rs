//! Connections taken from a socket and served by the edge, within limits, until told to stop; knows no route.

use crate::error::Error;
use hyper::{Request, Response, body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tower::Service;

/// Connections at once; one more waits in the system's queue. Each costs some 20 KB while it has a request.
const CONNECTIONS_MAX: usize = 10_000;
/// Longest wait for a request's head on an open connection, idle time included; a proxy's usual keep-alive is shorter.
const HEAD_WAIT_S: u64 = 75;
/// Largest head and read buffer: a token of 100 accounts has 5 KB.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// Pause after a connection could not be taken, as when the process has no file handles left.
const ACCEPT_PAUSE_MS: u64 = 50;

/// Takes an address.
///
/// # Errors
/// When it is taken already or not of this machine.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

/// Serves until `stopping` says so; then takes no more, lets requests under way end within `drain`, and returns.
pub async fn serve<S, B>(listener: TcpListener, service: S, mut stopping: watch::Receiver<bool>, drain: Duration)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(HEAD_WAIT_S));
    builder.max_buf_size(BUFFER_BYTES_MAX).max_headers(HEADERS_MAX).pipeline_flush(true);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let taken = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => break,
            taken = accept(&listener, &places) => taken,
        };
        let (stream, place) = match taken {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                continue;
            }
        };
        // An answer is one small write: it must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service.clone()));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A caller that hangs up or sends no HTTP is its own affair.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(?drain, "requests still under way are cut off");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}
