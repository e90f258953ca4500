//! Carriers: what brings a client's byte stream over a network. Each is sans-IO: bytes in, bytes out, no socket.
//! Not here: the sockets (`network`), what the bytes mean (`session`).

pub(crate) mod proxy;
pub(crate) mod quic;
pub(crate) mod tls;
pub(crate) mod websocket;
