//! A raw XMPP client: bytes, SCRAM and nothing else, over any carrier. It shares no code with the exchange, so that an
//! error in ours does not cancel out here.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// No test waits longer for anything.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);

pub(crate) const STREAM: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                          xmlns:stream='http://etherx.jabber.org/streams'>";
const OPEN: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

/// A byte stream.
pub(crate) trait Io: Send {
    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()>;
    /// 0 is the end.
    fn recv(&mut self, buffer: &mut [u8]) -> std::io::Result<usize>;
}

impl<T: Read + Write + Send> Io for T {
    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.write_all(bytes)?;
        self.flush()
    }

    fn recv(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.read(buffer)
    }
}

/// A client, with what it has heard and not yet looked at.
pub(crate) struct Client {
    pub(crate) io: Box<dyn Io>,
    heard: Vec<u8>,
    framed: bool,
    /// Raw octets of WebSocket frames that are not whole.
    frames: Vec<u8>,
}

/// A TCP connection with the tests' patience.
pub(crate) fn tcp(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    stream.set_write_timeout(Some(WITHIN)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A TCP connection of somebody who does not mean to read: its kernel takes little and is given no leave to take more.
///
/// By itself a kernel grows the receive buffer as far as `tcp_rmem` goes, 32 MiB on some; how much the exchange must
/// write before it sees that nobody reads would be that machine's to say. What is left is the sender's own buffer,
/// which `tcp_wmem` bounds, by 4 MiB everywhere.
pub(crate) fn tcp_of_one_who_does_not_read(to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None).unwrap();
    // Before the connect: it decides the scale of the window.
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    stream.set_write_timeout(Some(WITHIN)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// TLS that believes any certificate, for it is not what is tested.
pub(crate) fn tls_config(alpn: &[u8]) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believe))
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

pub(crate) type Tls = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

pub(crate) fn tls(stream: TcpStream, alpn: &[u8]) -> Tls {
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(tls_config(alpn)), name).unwrap();
    rustls::StreamOwned::new(connection, stream)
}

/// RFC 9266: what both ends of a TLS connection can derive.
pub(crate) fn tls_exporter(stream: &mut Tls) -> [u8; 32] {
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream.conn.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap()
}

#[derive(Debug)]
struct Believe;

impl rustls::client::danger::ServerCertVerifier for Believe {
    fn verify_server_cert(
        &self,
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &[rustls_pki_types::CertificateDer<'_>],
        _: &rustls_pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

impl Client {
    pub(crate) fn over(io: impl Io + 'static) -> Self {
        Self { io: Box::new(io), heard: Vec::new(), framed: false, frames: Vec::new() }
    }

    /// Plain TCP.
    pub(crate) fn tcp(to: SocketAddr) -> Self {
        Self::over(tcp(to))
    }

    /// TLS from the first octet.
    pub(crate) fn tls(to: SocketAddr) -> Self {
        Self::over(tls(tcp(to), b"xmpp-client"))
    }

    /// TLS after STARTTLS.
    pub(crate) fn starttls(to: SocketAddr) -> Self {
        let stream = tcp(to);
        let mut plain = Self::over(stream.try_clone().unwrap());
        plain.send(STREAM);
        plain.expect("</stream:features>");
        plain.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        plain.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        assert!(plain.heard.is_empty(), "nothing stands between proceed and TLS");
        Self::over(tls(stream, b"xmpp-client"))
    }

    /// A WebSocket over whatever carries HTTP.
    pub(crate) fn websocket(mut io: impl Io + 'static, host: SocketAddr) -> Self {
        let request = format!(
            "GET /xmpp-websocket HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: xmpp\r\n\r\n"
        );
        io.send(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut octet = [0];
            assert_eq!(io.recv(&mut octet).unwrap(), 1, "the head ended: {}", String::from_utf8_lossy(&head));
            head.push(octet[0]);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        assert!(head.contains("sec-websocket-protocol: xmpp"), "{head}");
        Self { io: Box::new(io), heard: Vec::new(), framed: true, frames: Vec::new() }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.framed { self.io.send(&frame(0x81, bytes)) } else { self.io.send(bytes) }
    }

    /// Reads until `needle` has come, and returns everything up to its end.
    pub(crate) fn expect(&mut self, needle: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.heard).into_owned();
            if let Some(at) = text.find(needle) {
                let end = at + needle.len();
                self.heard.drain(..end);
                return text[..end].to_owned();
            }
            assert!(self.hear() > 0, "the stream ended before {needle:?}; heard {text:?}");
        }
    }

    /// Reads until the stream ends, and returns what came.
    pub(crate) fn expect_end(&mut self) -> String {
        while self.hear() > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.heard)).into_owned()
    }

    /// Reads to the exchange's closing tag, or to the end without one.
    pub(crate) fn expect_end_of_stream(&mut self) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.heard).into_owned();
            if text.ends_with("</stream:stream>") || self.hear() == 0 {
                return text;
            }
        }
    }

    fn hear(&mut self) -> usize {
        let mut buffer = [0; 16 * 1024];
        let count = match self.io.recv(&mut buffer) {
            Ok(count) => count,
            // A connection that was reset has ended, too; whoever minds looks at the counters.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("nothing came in time"),
            Err(_) => 0,
        };
        if !self.framed {
            self.heard.extend_from_slice(&buffer[..count]);
            return count;
        }
        self.frames.extend_from_slice(&buffer[..count]);
        while let Some((first, payload, used)) = unframe(&self.frames) {
            match first {
                0x81 => self.heard.extend_from_slice(&payload),
                0x88 => self.heard.extend_from_slice(format!("[close {payload:?}]").as_bytes()),
                other => panic!("a frame {other:#x}"),
            }
            self.frames.drain(..used);
        }
        count
    }

    pub(crate) fn open(&mut self) {
        self.send(if self.framed { OPEN } else { STREAM });
        self.expect("</stream:features>");
    }

    /// Authenticates with PLAIN (RFC 4616). `Err` holds the failure.
    pub(crate) fn authenticate_plain(&mut self, number: u64, password: &str) -> Result<(), String> {
        let text = BASE64.encode(format!("\0{number}\0{password}"));
        self.send(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{text}</auth>"));
        let answer = self.expect(">");
        if answer.contains("<failure") { Err(answer + &self.expect("failure>")) } else { Ok(()) }
    }

    /// Authenticates with SCRAM-SHA-256. `Err` holds the failure.
    pub(crate) fn authenticate(&mut self, number: u64, password: &str) -> Result<(), String> {
        self.scram(number, password, None)
    }

    /// Authenticates with SCRAM-SHA-256-PLUS.
    pub(crate) fn authenticate_plus(
        &mut self,
        number: u64,
        password: &str,
        binding: [u8; 32],
    ) -> Result<(), String> {
        self.scram(number, password, Some(binding))
    }

    /// Logs in by XEP-0388 in one message, and binds a resource in the same. Answers `<success/>`, or the failure.
    pub(crate) fn authenticate_2(
        &mut self,
        mechanism: &str,
        said: &[u8],
        more: &str,
    ) -> Result<String, String> {
        let said = BASE64.encode(said);
        self.send(&format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'>\
             <initial-response>{said}</initial-response>\
             <user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>\
             <bind xmlns='urn:xmpp:bind:0'><tag>test</tag><enable xmlns='urn:xmpp:sm:3'/></bind>{more}</authenticate>"
        ));
        let answer = self.expect(">");
        if answer.contains("<failure") {
            return Err(answer + &self.expect("</failure>"));
        }
        let answer = answer + &self.expect("</success>");
        self.expect("</stream:features>");
        Ok(answer)
    }

    /// The same by a token that is not bound to any channel (draft-schmaus-kitten-sasl-ht).
    pub(crate) fn authenticate_by_token(&mut self, number: u64, token: &str) -> Result<String, String> {
        let said = [number.to_string().as_bytes(), b"\0", &hmac(token.as_bytes(), b"Initiator")].concat();
        let answer = self.authenticate_2("HT-SHA-256-NONE", &said, "<fast xmlns='urn:xmpp:fast:0'/>")?;
        let proof = BASE64.encode(hmac(token.as_bytes(), b"Responder"));
        assert!(answer.contains(&format!("<additional-data>{proof}</additional-data>")), "{answer}");
        Ok(answer)
    }

    fn scram(&mut self, number: u64, password: &str, binding: Option<[u8; 32]>) -> Result<(), String> {
        let (mechanism, header) = match binding {
            None => ("SCRAM-SHA-256", "n,,"),
            Some(_) => ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,"),
        };
        let nonce = "fyko+d2lbbFgONRv9qkxdawL";
        let first_bare = format!("n={number},r={nonce}");
        let first = BASE64.encode(format!("{header}{first_bare}"));
        self.send(&format!("<auth xmlns='{SASL}' mechanism='{mechanism}'>{first}</auth>"));
        let challenge = self.expect("</");
        if challenge.contains("<failure") {
            return Err(challenge + &self.expect("failure>"));
        }
        self.expect("challenge>");
        let start = challenge.rfind('>').unwrap() + 1;
        let challenge = BASE64.decode(&challenge[start..challenge.len() - 2]).unwrap();
        let challenge = String::from_utf8(challenge).unwrap();
        let field = |key: &str| challenge.split(',').find_map(|part| part.strip_prefix(key)).unwrap();
        assert!(field("r=").starts_with(nonce));
        let salt = BASE64.decode(field("s=")).unwrap();
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, field("i=").parse().unwrap(), &mut salted);
        let client_key = hmac(&salted, b"Client Key");
        let stored_key = Sha256::digest(client_key);
        let bound = BASE64.encode([header.as_bytes(), &binding.map_or(vec![], Vec::from)].concat());
        let last_bare = format!("c={bound},r={}", field("r="));
        let auth = format!("{first_bare},{challenge},{last_bare}");
        let signature = hmac(&stored_key, auth.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, sign)| key ^ sign).collect();
        let last = BASE64.encode(format!("{last_bare},p={}", BASE64.encode(proof)));
        self.send(&format!("<response xmlns='{SASL}'>{last}</response>"));
        let end = self.expect("</");
        if end.contains("<failure") {
            return Err(end + &self.expect("failure>"));
        }
        self.expect("success>");
        let server_key = hmac(&salted, b"Server Key");
        let expected = format!("v={}", BASE64.encode(hmac(&server_key, auth.as_bytes())));
        let start = end.rfind('>').unwrap() + 1;
        assert_eq!(BASE64.decode(&end[start..end.len() - 2]).unwrap(), expected.as_bytes());
        Ok(())
    }

    /// Opens, authenticates, binds `resource`. Answers the full address.
    pub(crate) fn log_in(&mut self, number: u64, password: &str, resource: &str) -> String {
        self.open();
        self.authenticate(number, password).unwrap();
        self.open();
        self.send(&format!(
            "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{resource}</resource></bind></iq>"
        ));
        let bound = self.expect("</iq>");
        let start = bound.find("<jid>").unwrap_or_else(|| panic!("not bound: {bound}")) + 5;
        bound[start..bound.find("</jid>").unwrap()].to_owned()
    }

    /// And says that it is here, which the exchange then says back.
    pub(crate) fn go_online(&mut self, number: u64, password: &str, resource: &str) -> String {
        let jid = self.log_in(number, password, resource);
        self.send("<presence xmlns='jabber:client' id='here'/>");
        self.expect("<presence");
        self.expect("id='here'");
        self.expect(">");
        jid
    }

    pub(crate) fn message(&mut self, to: u64, body: &str) {
        self.send(&format!(
            "<message xmlns='jabber:client' to='{to}@localhost' type='chat'><body>{body}</body></message>"
        ));
    }

    pub(crate) fn expect_message(&mut self, from: u64, body: &str) -> String {
        let message = self.expect("</message>");
        assert!(message.contains(&format!("from='{from}@localhost/")), "{message}");
        assert!(message.contains(&format!("<body>{body}</body>")), "{message}");
        message
    }

    /// A round trip: everything that was sent before it has been dealt with.
    pub(crate) fn ping(&mut self) {
        self.send(
            "<iq xmlns='jabber:client' type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>",
        );
        self.expect("<iq ");
        self.expect("id='p'");
        self.expect(">");
    }

    /// Ends the stream politely and waits for the exchange's answer.
    pub(crate) fn log_out(&mut self) {
        if self.framed {
            self.send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
            self.expect("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
        } else {
            self.send("</stream:stream>");
            self.expect("</stream:stream>");
        }
    }
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// A client's frame (RFC 6455 5.2).
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        n if n < 126 => bytes.push(0x80 | n as u8),
        n if n < 65_536 => bytes.extend([0x80 | 126, (n >> 8) as u8, n as u8]),
        n => {
            bytes.push(0x80 | 127);
            bytes.extend((n as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().enumerate().map(|(at, octet)| octet ^ mask[at % 4]));
    bytes
}

/// A server's frame, if it is whole: its first octet, its payload, its length.
fn unframe(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (&first, &short) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(short & 0x80, 0, "a server must not mask");
    let (len, at) = match short {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap())), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize, 10),
        len => (usize::from(len), 2),
    };
    Some((first, bytes.get(at..at + len)?.to_vec(), at + len))
}

/// A QUIC connection whose streams are used one call at a time.
pub(crate) struct Quic {
    pub(crate) runtime: Arc<tokio::runtime::Runtime>,
    pub(crate) endpoint: quinn::Endpoint,
    pub(crate) connection: quinn::Connection,
}

impl Quic {
    pub(crate) fn connect(to: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let runtime = Arc::new(runtime);
        let _inside = runtime.enter();
        let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls_config(b"xmpp-client")).unwrap();
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
        let connecting = endpoint.connect(to, "localhost").unwrap();
        let connection = runtime.block_on(async { tokio::time::timeout(WITHIN, connecting).await }).unwrap();
        Self { connection: connection.unwrap(), endpoint, runtime: Arc::clone(&runtime) }
    }

    pub(crate) fn stream(&self) -> Client {
        let (send, recv) = self.runtime.block_on(self.connection.open_bi()).unwrap();
        Client::over(QuicStream { runtime: Arc::clone(&self.runtime), send, recv })
    }

    /// Goes on from another port.
    pub(crate) fn rebind(&self) -> SocketAddr {
        let _inside = self.runtime.enter();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        self.endpoint.rebind(socket).unwrap();
        address
    }
}

struct QuicStream {
    runtime: Arc<tokio::runtime::Runtime>,
    send: quinn::SendStream,
    recv: quinn::RecvStream,
}

impl Read for QuicStream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read =
            self.runtime.block_on(async { tokio::time::timeout(WITHIN, self.recv.read(buffer)).await });
        match read {
            Ok(Ok(count)) => Ok(count.unwrap_or(0)),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(std::io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for QuicStream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written =
            self.runtime.block_on(async { tokio::time::timeout(WITHIN, self.send.write(bytes)).await });
        Ok(written.map_err(|_| std::io::ErrorKind::TimedOut)??)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
