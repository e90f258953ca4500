//! A client's end of TLS, from the first byte or after STARTTLS.
//! Spec: RFC 8446 through `rustls`; RFC 9266 (`tls-exporter`); XEP-0368 (ALPN `xmpp-client`).
//! Owns: one TLS connection. Invariants: sans-IO like everything in the box; whatever certificate the exchange shows is believed.
//! Not here: the TCP connection below (`carrier`), what is said (`client`).

use std::io::{Read, Write};
use std::sync::Arc;

use ::client::Trust;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

/// RFC 9266 2: the label, with an empty context.
pub(crate) const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// Nobody in the box lies about who they are, and every start of the exchange makes itself a certificate.
pub(crate) fn config() -> ClientConfig {
    let trust = Trust { insecure: true, ..Trust::default() };
    trust.config(true).expect("there is no file to read")
}

/// One connection.
pub(crate) struct Tls {
    connection: ClientConnection,
    is_open: bool,
}

/// What was inside.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// The handshake is done: RFC 9266's binding.
    pub(crate) connected: Option<[u8; 32]>,
    /// Octets of the stream.
    pub(crate) bytes: Vec<u8>,
    /// The exchange says no more (RFC 8446 6.1).
    pub(crate) ended: bool,
}

impl Tls {
    pub(crate) fn connect(domain: &str) -> Self {
        let name = ServerName::try_from(domain.to_owned()).expect("a domain's name");
        let mut connection = ClientConnection::new(Arc::new(config()), name).expect("a sound configuration");
        // A client plans few messages, and what TLS made of them waits in the carrier.
        connection.set_buffer_limit(None);
        Self { connection, is_open: false }
    }

    /// Takes octets of the wire.
    pub(crate) fn hear(&mut self, mut wire: &[u8]) -> Result<Opened, rustls::Error> {
        let mut opened = Opened::default();
        while !wire.is_empty() {
            let taken = self.connection.read_tls(&mut wire);
            taken.map_err(|error| rustls::Error::General(error.to_string()))?;
            let state = self.connection.process_new_packets()?;
            let at = opened.bytes.len();
            opened.bytes.resize(at + state.plaintext_bytes_to_read(), 0);
            let read = self.connection.reader().read_exact(&mut opened.bytes[at..]);
            read.map_err(|error| rustls::Error::General(error.to_string()))?;
            opened.ended |= state.peer_has_closed();
        }
        if !self.connection.is_handshaking() && !std::mem::replace(&mut self.is_open, true) {
            let binding = self.connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(&[]))?;
            opened.connected = Some(binding);
        }
        Ok(opened)
    }

    /// Takes octets of the stream.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.connection.writer().write_all(bytes).expect("the buffer has no limit");
    }

    /// Says that nothing more will come.
    pub(crate) fn finish(&mut self) {
        self.connection.send_close_notify();
    }

    /// Appends what is to go out.
    pub(crate) fn poll_wire(&mut self, wire: &mut Vec<u8>) {
        while self.connection.wants_write() {
            self.connection.write_tls(wire).expect("a Vec takes all");
        }
    }
}
