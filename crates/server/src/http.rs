//! HTTP: the web client, host-meta for clients, figures for operators, and the WebSocket upgrade, on a thread of its own.
//! Spec: RFC 9112, RFC 6455 section 4.2 (the upgrade), RFC 7395 3.1 (subprotocol `xmpp`), XEP-0156, RFC 6415.
//! Owns: the tokio thread and the HTTP connections on it, at most [`CONNECTIONS_MAX`].
//! Invariants: an upgraded socket, and the TLS state of one over HTTPS, leaves for an event loop and is never touched
//! here again; what a proxy says is believed only from `trusted_proxies`.
//! Not here: the web client's files (`pages`), WebSocket frames (`framing`), sessions.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use sha1::{Digest, Sha1};
use tokio::sync::{Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;

use crate::config::Prefix;
use crate::counts::Facts;

mod health;
mod metrics;
mod pages;
#[cfg(test)]
mod tests;

/// HTTP connections at once; an upgraded one no longer counts.
const CONNECTIONS_MAX: usize = 1024;
/// How long a client may take over its TLS handshake, or over the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// RFC 6455 1.3.
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// RFC 7395 3.1.
const SUBPROTOCOL: &str = "xmpp";
/// Where the WebSocket is.
const WEBSOCKET_PATH: &str = "/xmpp-websocket";

/// A WebSocket on its way to an event loop.
#[derive(Debug)]
pub(crate) struct Handover {
    pub(crate) stream: mio::net::TcpStream,
    /// The state of TLS, for HTTPS.
    pub(crate) tls: Option<rustls::ServerConnection>,
    /// Octets of the stream (inside TLS) that were read with the request.
    pub(crate) read: Vec<u8>,
    /// The client, as its connection or a trusted proxy says.
    pub(crate) remote: SocketAddr,
    /// Whether someone stands between: then clear text is not local, wherever it comes from.
    pub(crate) forwarded: bool,
    /// A trusted proxy says that the client's own way to it is encrypted.
    pub(crate) encrypted_by_proxy: bool,
}

/// What takes upgraded sockets: the door to the event loops. `false`: it is closed.
pub(crate) type Door = Arc<dyn Fn(Handover) -> bool + Send + Sync>;

/// What the HTTP thread is given.
pub(crate) struct Plan {
    pub(crate) plain: Vec<TcpListener>,
    pub(crate) secure: Vec<TcpListener>,
    pub(crate) tls: Arc<rustls::ServerConfig>,
    pub(crate) trusted_proxies: Vec<Prefix>,
    pub(crate) domain: String,
    pub(crate) door: Door,
    pub(crate) instruments: Instruments,
}

/// What `/metrics` and `/healthz` are read from.
pub(crate) struct Instruments {
    /// Asks loops and store; may take as long as they may, so it is not called on the HTTP thread itself.
    pub(crate) read: Arc<dyn Fn() -> Facts + Send + Sync>,
    /// Whose requests for `/metrics` are answered.
    pub(crate) metrics_from: Vec<Prefix>,
}

/// The running HTTP thread.
#[derive(Debug)]
pub(crate) struct Http {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Http {
    /// Starts the thread. The listeners are bound already.
    pub(crate) fn start(plan: Plan) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("http".into()).spawn(move || {
            runtime.block_on(async {
                serve(plan);
                // An error means that the exchange dropped its end, which asks for the same.
                let _ = stopped.await;
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Stops listening and ends what is under way.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Site {
    pages: pages::Pages,
    trusted_proxies: Vec<Prefix>,
    door: Door,
    instruments: Instruments,
    /// One reading of the instruments at a time.
    reading: Semaphore,
}

/// How one request came.
#[derive(Clone, Copy, Debug)]
struct Way {
    remote: SocketAddr,
    secure: bool,
}

fn serve(plan: Plan) {
    let https = plan.secure.first().and_then(|listener| listener.local_addr().ok());
    let site = Arc::new(Site {
        pages: pages::Pages::new(&plan.domain, https.map(|address| address.port())),
        trusted_proxies: plan.trusted_proxies,
        door: plan.door,
        instruments: plan.instruments,
        reading: Semaphore::new(1),
    });
    let router = Router::new()
        .route("/.well-known/host-meta", get(host_meta_xml))
        .route("/.well-known/host-meta.json", get(host_meta_json))
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(metrics::metrics))
        .route(WEBSOCKET_PATH, get(websocket))
        .fallback(get(page))
        .with_state(site);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let acceptor = TlsAcceptor::from(plan.tls);
    let all = plan.plain.into_iter().map(|l| (l, None));
    for (listener, tls) in all.chain(plan.secure.into_iter().map(|l| (l, Some(acceptor.clone())))) {
        let (router, places) = (router.clone(), Arc::clone(&places));
        tokio::spawn(async move {
            let listener = match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => return tracing::error!(%error, "an HTTP listener cannot be used"),
            };
            accept(listener, tls, router, places).await;
        });
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    places: Arc<Semaphore>,
) {
    let mut refused = false;
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly. Said once; the backlog holds who waits.
                if !std::mem::replace(&mut refused, true) {
                    tracing::warn!(%error, "HTTP connections cannot be accepted; they wait");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        refused = false;
        let _ = stream.set_nodelay(true);
        let (router, tls) = (router.clone(), tls.clone());
        tokio::spawn(async move {
            let _place = place;
            match tls {
                None => {
                    let way = Way { remote, secure: false };
                    connection(TokioIo::new(stream), way, router).await;
                }
                Some(acceptor) => {
                    let handshake = tokio::time::timeout(HEAD_WITHIN, acceptor.accept(stream));
                    if let Ok(Ok(stream)) = handshake.await {
                        connection(TokioIo::new(stream), Way { remote, secure: true }, router).await;
                    }
                }
            }
        });
    }
}

async fn connection<T>(io: TokioIo<T>, way: Way, router: Router)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(way));
        let mut router = router.clone();
        async move { tower_service::Service::call(&mut router, request).await }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(16 * 1024)
        .serve_connection(io, service)
        .with_upgrades();
    // What a client does wrong ends its connection and concerns nobody else.
    let _ = served.await;
}

async fn page(State(site): State<Arc<Site>>, uri: Uri, headers: HeaderMap) -> Response {
    site.pages.answer(uri.path(), &headers)
}

/// XEP-0156 asks for this header, since web clients of other origins look here.
const ANY_ORIGIN: (header::HeaderName, &str) = (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");

async fn host_meta_xml(
    State(site): State<Arc<Site>>,
    ConnectInfo(way): ConnectInfo<Way>,
    headers: HeaderMap,
) -> Response {
    let Some(link) = websocket_link(&site, way, &headers) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let body = format!(
        "<?xml version='1.0' encoding='utf-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n  \
         <Link rel='urn:xmpp:alt-connections:websocket' href='{}'/>\n</XRD>\n",
        escape(&link),
    );
    ([(header::CONTENT_TYPE, "application/xrd+xml"), ANY_ORIGIN], body).into_response()
}

async fn host_meta_json(
    State(site): State<Arc<Site>>,
    ConnectInfo(way): ConnectInfo<Way>,
    headers: HeaderMap,
) -> Response {
    let Some(link) = websocket_link(&site, way, &headers) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let body = serde_json::json!({
        "links": [{ "rel": "urn:xmpp:alt-connections:websocket", "href": link }]
    });
    ([(header::CONTENT_TYPE, "application/json"), ANY_ORIGIN], body.to_string()).into_response()
}

/// Where this request's client finds the WebSocket: the place it asked us at.
fn websocket_link(site: &Site, way: Way, headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    if host.is_empty() || host.len() > 300 || !host.bytes().all(plain) {
        return None;
    }
    let secure = way.secure || Client::of(site, way, headers).encrypted_by_proxy;
    Some(format!("{}://{host}{WEBSOCKET_PATH}", if secure { "wss" } else { "ws" }))
}

/// Who asks, proxies considered.
#[derive(Debug, PartialEq, Eq)]
struct Client {
    remote: SocketAddr,
    forwarded: bool,
    encrypted_by_proxy: bool,
}

impl Client {
    fn of(site: &Site, way: Way, headers: &HeaderMap) -> Self {
        let named = ["x-forwarded-for", "x-forwarded-proto", "forwarded"];
        let forwarded = named.iter().any(|name| headers.contains_key(*name));
        let mut client = Self { remote: way.remote, forwarded, encrypted_by_proxy: false };
        let trusted = |address| site.trusted_proxies.iter().any(|prefix| prefix.contains(address));
        if !trusted(way.remote.ip()) {
            return client;
        }
        // From the last hop back to the first that is no trusted proxy: what stands before it anyone may have written.
        let hops: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        for hop in hops.into_iter().rev() {
            let Ok(address) = hop.parse() else { break };
            client.remote = SocketAddr::new(address, 0);
            if !trusted(address) {
                break;
            }
        }
        client.encrypted_by_proxy = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
        client
    }
}

async fn websocket(
    State(site): State<Arc<Site>>,
    ConnectInfo(way): ConnectInfo<Way>,
    mut request: Request,
) -> Response {
    let headers = request.headers();
    let accept = match upgrade_key(headers) {
        Ok(key) => accept_value(key),
        Err(refusal) => return refusal.into_response(),
    };
    let client = Client::of(&site, way, headers);
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return StatusCode::UPGRADE_REQUIRED.into_response();
    };
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        match hand_over(upgraded, &client) {
            Ok(handover) => {
                // A door that is closed means that the exchange is leaving; the socket closes.
                (site.door)(handover);
            }
            Err(error) => tracing::debug!(%error, "an upgraded socket was lost"),
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    response
}

/// RFC 6455 4.2.1: what a client's handshake must say.
fn upgrade_key(headers: &HeaderMap) -> Result<&[u8], (StatusCode, &'static str)> {
    let has = |name: header::HeaderName, token: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|word| word.trim().eq_ignore_ascii_case(token))
    };
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err((StatusCode::UPGRADE_REQUIRED, "this is a WebSocket (RFC 6455)\n"));
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err((StatusCode::BAD_REQUEST, "Sec-WebSocket-Version must be 13\n"));
    }
    if !has(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err((StatusCode::BAD_REQUEST, "Sec-WebSocket-Protocol must offer xmpp (RFC 7395)\n"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    key.filter(|key| BASE64.decode(key).is_ok_and(|nonce| nonce.len() == 16))
        .ok_or((StatusCode::BAD_REQUEST, "Sec-WebSocket-Key must be 16 octets in base64\n"))
}

/// RFC 6455 4.2.2, item 5.4.
fn accept_value(key: &[u8]) -> HeaderValue {
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize();
    HeaderValue::from_str(&BASE64.encode(digest)).expect("base64 is visible ASCII")
}

/// Takes the upgraded connection apart: the bare socket, the TLS state, what was read too far.
fn hand_over(upgraded: Upgraded, client: &Client) -> io::Result<Handover> {
    type Secure = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;
    let (stream, tls, read) = match upgraded.downcast::<TokioIo<tokio::net::TcpStream>>() {
        Ok(parts) => (parts.io.into_inner(), None, parts.read_buf),
        Err(upgraded) => match upgraded.downcast::<TokioIo<Secure>>() {
            Ok(parts) => {
                let (stream, connection) = parts.io.into_inner().into_inner();
                (stream, Some(connection), parts.read_buf)
            }
            Err(_) => return Err(io::Error::other("an upgrade of an unknown stream")),
        },
    };
    Ok(Handover {
        stream: mio::net::TcpStream::from_std(stream.into_std()?),
        tls,
        read: read.to_vec(),
        remote: client.remote,
        forwarded: client.forwarded,
        encrypted_by_proxy: client.encrypted_by_proxy,
    })
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}
