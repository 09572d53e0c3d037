//! Connections: accepted within limits, served, and ended in good order.
//!
//! Own loop: `axum::serve` bounds neither the number of connections nor the time for a request's head.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::Service as _;

use crate::guard::Client;
use crate::{Service, State, app};

/// Files that are kept free of connections: the listener, standard streams, what a handler opens.
const OTHER_FILES: u64 = 128;
/// Bytes of a request's head, and of a body that is read ahead of its handler.
const READ_AHEAD: usize = 64 << 10;
/// How long connections may still bring requests that were on their way when the server was told to stop.
const LINGER: Duration = Duration::from_millis(250);
/// How long nothing is accepted when the system has no more files or memory for it.
const BREATH: Duration = Duration::from_millis(50);
/// What a connection beyond the limit gets.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 95\r\nretry-after: 1\r\n\
    connection: close\r\n\r\n{\"error\":{\"code\":\"connections\",\"message\":\"the server has no connection left; try again later\"}}";

/// Raises the limit of open files as far as it goes, and gives how many connections of those wanted fit below it.
pub fn connections(wanted: usize) -> io::Result<usize> {
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    let most = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    Ok(wanted.min(most).max(1))
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that was accepted was answered.
    Answered,
    /// Time was up; so many connections were cut.
    Cut(usize),
}

/// Answers what comes until `stop` is done; then nothing more is accepted, and what was accepted is answered as long as the
/// limits allow.
pub async fn serve(state: State, listener: TcpListener, stop: impl Future<Output = ()>) -> Ended {
    let connections = Connections::new(&state);
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => connections.serve(stream, address),
                Err(error) => {
                    tracing::warn!(%error, "no connection accepted");
                    sleep(BREATH).await;
                }
            },
        }
    }
    tracing::info!("stopping");
    state.stop();
    // Clients in the queue of the system think that they are connected. Tokio would look there only when it hears of them.
    match listener.into_std() {
        Ok(listener) => {
            while let Ok((stream, address)) = listener.accept() {
                connections.serve_std(stream, address);
            }
        }
        Err(error) => tracing::warn!(%error, "clients that were about to be accepted are lost"),
    }
    connections.end(&state).await
}

/// Connections that are open.
struct Connections {
    app: Router,
    builder: http1::Builder,
    graceful: GracefulShutdown,
    room: Arc<Semaphore>,
    most: u32,
    state: State,
}

impl Connections {
    fn new(state: &State) -> Self {
        let limits = &state.settings.limits;
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(READ_AHEAD);
        let most = u32::try_from(limits.connections).unwrap_or(u32::MAX).clamp(1, 1 << 20);
        Self {
            app: app(Arc::clone(state)),
            builder,
            graceful: GracefulShutdown::new(),
            room: Arc::new(Semaphore::new(most as usize)),
            most,
            state: Arc::clone(state),
        }
    }

    /// Serves a connection on a task of its own, if there is room for it.
    fn serve(&self, stream: TcpStream, address: SocketAddr) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            // Whoever does not take it at once goes without.
            let _ = stream.try_write(FULL);
            tracing::debug!(%address, "no room for a connection");
            return;
        };
        // Answers are small and written whole.
        let _ = stream.set_nodelay(true);
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream.as_mut().set_write_timeout_pinned(Some(self.state.settings.limits.write_timeout));
        let app = self.app.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Client(address.ip().to_canonical()));
            let mut app = app.clone();
            async move { Ok::<_, Infallible>(app.call(request).await.unwrap_or_else(|never| match never {})) }
        });
        let connection = self.graceful.watch(self.builder.serve_connection(TokioIo::new(stream), service));
        let open = Open::new(permit, &self.state);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, %error, "a connection broke");
            }
            drop(open);
        });
    }

    /// As [`serve`](Self::serve), for what Tokio did not accept itself.
    fn serve_std(&self, stream: std::net::TcpStream, address: SocketAddr) {
        match stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
            Ok(stream) => self.serve(stream, address),
            Err(error) => tracing::debug!(%address, %error, "a connection broke"),
        }
    }

    /// Lets open connections finish, and cuts those that take too long.
    async fn end(self, state: &Service) -> Ended {
        // Every answer says that it is the last now; then connections without a request are closed.
        let _ = timeout(LINGER, self.room.acquire_many(self.most)).await;
        if timeout(state.settings.limits.shutdown_timeout, self.graceful.shutdown()).await.is_ok() {
            return Ended::Answered;
        }
        Ended::Cut(self.most as usize - self.room.available_permits())
    }
}

/// A connection that counts as open until it is dropped.
struct Open {
    _permit: OwnedSemaphorePermit,
    state: State,
}

impl Open {
    fn new(permit: OwnedSemaphorePermit, state: &State) -> Self {
        state.metrics.connections.inc();
        Self { _permit: permit, state: Arc::clone(state) }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.state.metrics.connections.dec();
    }
}
