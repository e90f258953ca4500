//! The TLS carrier: octets of records to octets of the stream, and back.
//! Spec: RFC 8446, RFC 5246 through `rustls`; RFC 9266 for the channel binding; RFC 7590 and XEP-0368 for its use.
//! Owns: one `rustls::ServerConnection`. While idle it holds rustls's state and its 4 KiB record buffer, nothing else.
//! Invariants: early data is refused (the configuration gives none); what was decrypted is lent in rustls's own buffer.
//! Not here: the configuration (`certs`), the socket (`network`).

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use crate::network::Rows;

/// RFC 9266 4: the label whose exported keying material is the `tls-exporter` channel binding.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// What the peer did wrong, in rustls's words; the alert that says so is already among the output.
pub(crate) type TlsError = rustls::Error;

/// One TLS connection, the server's side.
#[derive(Debug)]
pub(crate) struct Tls {
    connection: Box<ServerConnection>,
}

impl Tls {
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<Self, TlsError> {
        let mut connection = ServerConnection::new(config)?;
        // What may wait is counted by the connection that owns this, in one place.
        connection.set_buffer_limit(None);
        Ok(Self { connection: Box::new(connection) })
    }

    /// A connection whose handshake was made elsewhere (HTTPS).
    pub(crate) fn from_connection(mut connection: ServerConnection) -> Self {
        connection.set_buffer_limit(None);
        Self { connection: Box::new(connection) }
    }

    /// Takes records from the front of `input` until some plaintext can be read or the input is used up.
    pub(crate) fn feed(&mut self, input: &mut &[u8]) -> Result<(), TlsError> {
        while !input.is_empty() && self.plaintext().is_empty() {
            match self.connection.read_tls(input) {
                // After a close_notify nothing more is read (RFC 8446 6.1: to be ignored).
                Ok(0) => {
                    *input = &[];
                }
                Ok(_) => {}
                Err(error) => return Err(TlsError::General(error.to_string())),
            }
            self.connection.process_new_packets()?;
        }
        Ok(())
    }

    /// What has been decrypted and not yet consumed.
    pub(crate) fn plaintext(&mut self) -> &[u8] {
        // `fill_buf` fails with WouldBlock when there is nothing, and with UnexpectedEof after a cut.
        self.connection.reader().into_first_chunk().unwrap_or(&[])
    }

    /// The first `len` octets of the plaintext have been dealt with.
    pub(crate) fn consume(&mut self, len: usize) {
        self.connection.reader().consume(len);
    }

    /// Encrypts octets of the stream; they wait among the output.
    pub(crate) fn encrypt(&mut self, bytes: &[u8]) {
        self.connection.writer().write_all(bytes).expect("no buffer limit is set");
    }

    /// Whether output waits.
    pub(crate) fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// Writes output with as few calls as possible.
    pub(crate) fn write_to(&mut self, socket: &mut dyn Write) -> io::Result<usize> {
        self.connection.write_tls(socket)
    }

    /// Whether the handshake is still under way.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// What was agreed, for people.
    pub(crate) fn facts(&self) -> Rows {
        let connection = &self.connection;
        let version = connection.protocol_version().and_then(|version| version.as_str());
        let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let group = connection.negotiated_key_exchange_group().and_then(|group| group.name().as_str());
        let rows = [
            ("version", version.map(str::to_owned)),
            ("cipher suite", suite.map(str::to_owned)),
            ("key exchange", group.map(str::to_owned)),
            ("ALPN", connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())),
            ("server name", connection.server_name().map(str::to_owned)),
            ("handshake", connection.handshake_kind().map(|kind| format!("{kind:?}").to_lowercase())),
        ];
        rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// RFC 8446 6.1: nothing more will be sent.
    pub(crate) fn send_close_notify(&mut self) {
        self.connection.send_close_notify();
    }

    /// RFC 9266: the `tls-exporter` channel binding; none below TLS 1.3, where it is unique only with extended master
    /// secrets.
    pub(crate) fn exporter(&self) -> Option<[u8; 32]> {
        if self.connection.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
            return None;
        }
        self.connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(&[])).ok()
    }
}
