//! XMPP over WebSocket: the upgrade, and messages.
//!
//! Spec: RFC 6455 through `tungstenite`; RFC 7395 3.1 (the subprotocol).
//! Not here: XMPP's framing inside the messages (`stream`).

use std::io;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

use super::Bytes;
use crate::error::Error;

/// RFC 7395 3.1.
const SUBPROTOCOL: &str = "xmpp";

/// The most bytes one message may have: what `stream` reads.
const MESSAGE_MAX: usize = 1024 * 1024;

/// A WebSocket that speaks XMPP.
pub(crate) struct Messages(WebSocketStream<Box<dyn Bytes>>);

/// Asks for `/xmpp-websocket`.
pub(crate) async fn upgrade(
    stream: Box<dyn Bytes>,
    to: SocketAddr,
    authority: &str,
    encrypted: bool,
) -> Result<Messages, Error> {
    let refused = |error: tungstenite::Error| Error::WebSocket {
        to,
        reason: match error {
            tungstenite::Error::Http(answer) => format!("HTTP says {}", answer.status()),
            error => error.to_string(),
        },
    };
    let scheme = if encrypted { "wss" } else { "ws" };
    let mut request =
        format!("{scheme}://{authority}/xmpp-websocket").into_client_request().map_err(refused)?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
    let config =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
    let upgraded = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
    let (stream, answer) = upgraded.map_err(refused)?;
    // RFC 7395 3.1: without the subprotocol in the answer it is no XMPP.
    if answer.headers().get("Sec-WebSocket-Protocol").is_none_or(|it| it != SUBPROTOCOL) {
        return Err(Error::WebSocket { to, reason: "it does not speak XMPP".to_owned() });
    }
    Ok(Messages(stream))
}

impl Messages {
    /// The next text; `None` once the exchange has closed. Pings are answered below.
    pub(crate) async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            match self.0.next().await {
                None | Some(Err(tungstenite::Error::ConnectionClosed)) => return Ok(None),
                Some(Err(error)) => return Err(io::Error::other(error)),
                Some(Ok(Message::Text(text))) => return Ok(Some(text.as_str().to_owned())),
                // RFC 7395 3.2: only text. Nothing else of what is left has a meaning for XMPP.
                Some(Ok(Message::Binary(_))) => return Err(io::Error::other("a binary message")),
                Some(Ok(_)) => {}
            }
        }
    }

    /// Takes a message; [`flush`](Self::flush) writes it. Dropped in the middle it has not taken it.
    pub(crate) async fn send(&mut self, text: Vec<u8>) -> io::Result<()> {
        let text = String::from_utf8(text).expect("the session writes text");
        self.0.feed(Message::text(text)).await.map_err(io::Error::other)
    }

    /// Writes what was taken.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.0.flush().await.map_err(io::Error::other)
    }

    /// RFC 6455 7.1.1: the exchange closes TCP first, so this waits for it to.
    pub(crate) async fn close(&mut self) {
        let _ = self.0.close(None).await;
        while let Some(Ok(_)) = self.0.next().await {}
    }
}
