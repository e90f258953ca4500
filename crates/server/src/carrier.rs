//! Carriers: what brings a client's byte stream over a network. Each is sans-IO: bytes in, bytes out, no socket.
//! Not here: WebSocket frames and a proxy's header (`framing`), the sockets (`network`), what the bytes mean (`session`).

pub(crate) mod quic;
pub(crate) mod tls;
