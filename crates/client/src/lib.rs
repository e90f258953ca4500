//! An XMPP client over any carrier: TCP, TLS, WebSocket, QUIC.
