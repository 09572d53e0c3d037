//! What every request passes: its identifier and log, the token, its client's share, and an end of its body.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State as Shared};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use hyper::body::{Body as _, Frame, SizeHint};

use crate::error::ApiError;
use crate::{State, page};

/// Where a request's identifier stands.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an identifier that is taken over from a client.
const LONGEST_ID: usize = 128;
/// Routes that tell machines whether the server lives; they need no token.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];
/// How much of a refused body, and for how long, is read and thrown away, so that its client comes to read the answer.
const READ_OUT: (usize, Duration) = (64 << 20, Duration::from_secs(1));

/// The address that a request came from; [`listen`](crate::listen) adds it to every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(pub IpAddr);

/// Gives the request an identifier, and writes what became of it to log and metrics.
pub(crate) async fn observe(Shared(state): Shared<State>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = request.headers().get(&REQUEST_ID).filter(|id| is_sane(id)).cloned().unwrap_or_else(new_id);
    let client = request.extensions().get::<Client>().map(|client| client.0);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("other", MatchedPath::as_str);

    let mut response = next.run(request).await;
    let time = start.elapsed();
    let status = response.status().as_u16();
    state.metrics.answered(route, status, time);
    let (milliseconds, id_text) = ((time.as_secs_f64() * 1e4).round() / 10.0, id.to_str().unwrap_or_default());
    tracing::info!(id = id_text, client = client.map(tracing::field::display), %method, route, status, milliseconds, "answered");
    response.headers_mut().insert(REQUEST_ID, id);
    if state.is_stopping() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn is_sane(id: &HeaderValue) -> bool {
    let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(sane)
}

fn new_id() -> HeaderValue {
    let id = format!("{:032x}", rand::random::<u128>());
    HeaderValue::from_str(&id).expect("hexadecimal digits can stand in a header")
}

/// Lets pass who knows the token.
pub(crate) async fn token(Shared(state): Shared<State>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let open = PROBES.contains(&path) || page::holds(path);
    match &state.settings.token {
        Some(token) if !open && !bearer(&request).is_some_and(|sent| token.is(sent)) => {
            ApiError::Unauthorized.into_response()
        }
        _ => next.run(request).await,
    }
}

/// What stands behind `Authorization: Bearer`.
fn bearer(request: &Request) -> Option<&[u8]> {
    let sent = request.headers().get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = sent.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Requests of every client that are being answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Clients {
    /// Counts one more of this client, unless it has as many as it may.
    fn enter(&self, client: IpAddr, most: usize) -> Option<Inside> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(client).or_default();
        (*count < most).then(|| {
            *count += 1;
            Inside { clients: self.clone(), client }
        })
    }
}

/// A request that is being answered.
struct Inside {
    clients: Clients,
    client: IpAddr,
}

impl Drop for Inside {
    fn drop(&mut self) {
        let mut counts = self.clients.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

/// Refuses a client that has many requests already.
pub(crate) async fn client(Shared(state): Shared<State>, request: Request, next: Next) -> Response {
    let client = request.extensions().get::<Client>().map(|client| client.0);
    let inside = match (state.settings.limits.client_requests, client) {
        (Some(most), Some(client)) if !PROBES.contains(&request.uri().path()) => {
            match state.clients.enter(client, most) {
                Some(inside) => Some(inside),
                None => return ApiError::ClientBusy(most).into_response(),
            }
        }
        _ => None,
    };
    let response = next.run(request).await;
    drop(inside);
    response
}

/// Reads what is left of a body that a refusal left unread, within bounds. A connection that is closed before would reset,
/// and its client would see that instead of the answer.
pub(crate) async fn read_out(request: Request, next: Next) -> Response {
    let slot = Slot::default();
    // Who asks first whether to send a body sends none.
    let asks = request.headers().contains_key(header::EXPECT);
    let request = request.map(|body| Body::new(Returned { body: Some(body), slot: Arc::clone(&slot) }));
    let mut response = next.run(request).await;
    let left = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    let closes = asks || response.headers().contains_key(header::CONNECTION);
    if let Some(body) = left.filter(|_| !closes) {
        let (most, time) = READ_OUT;
        let mut chunks = body.into_data_stream();
        let read = async {
            let mut total = 0;
            while let Some(Ok(chunk)) = chunks.next().await {
                total += chunk.len();
                if total > most {
                    return false;
                }
            }
            true
        };
        if !tokio::time::timeout(time, read).await.unwrap_or(false) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
    response
}

type Slot = Arc<Mutex<Option<Body>>>;

/// A body that comes back when it is dropped before its end.
struct Returned {
    body: Option<Body>,
    slot: Slot,
}

impl hyper::body::Body for Returned {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), hyper::body::Body::size_hint)
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
