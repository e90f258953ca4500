//! Drives a session over a carrier: the only place of this crate that reads a clock, draws a nonce, waits.
//!
//! Owns: the connection, the deadline of whatever is waited for. Invariants: every wait ends by [`Options::timeout`]
//! except the one for the next message, which ends when the exchange does; the client closes first, once both sides have
//! said good-bye.
//! Not here: what is said (`session`), how carriers come about (`carrier`).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xmpp::time::Instant;

use crate::carrier::{self, Bytes, Messages, Over, Server};
use crate::element::Element;
use crate::error::{End, Error};
use crate::message::{self, Message};
use crate::session::{Account, Event, Facts, Kept, Past, Session};
use crate::trust::Trust;

/// One read. Longer elements take several.
const READ_BYTES: usize = 16 * 1024;

/// After the good-bye, so long is the exchange's awaited.
const GOODBYE: Duration = Duration::from_secs(5);

/// How to get to an exchange.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who logs in.
    pub account: Account,
    /// The carrier.
    pub over: Over,
    /// Where the exchange is.
    pub server: Server,
    /// Whom to believe.
    pub trust: Trust,
    /// An own address that must be used; otherwise the host chooses, as it should.
    pub bind: Option<SocketAddr>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// A conversation with an exchange, logged in.
pub struct Connection {
    session: Session,
    line: Line,
    /// The piece that is being written.
    writing: Vec<u8>,
    written: usize,
    clock: Clock,
    to: SocketAddr,
    timeout: Duration,
    jid: String,
    past: Past,
    acknowledged: u64,
    /// Why it is over, once it is.
    ended: Option<End>,
    /// Stanzas that came and have not been asked for.
    arrived: VecDeque<(u64, Element)>,
}

/// What happens on a line.
#[derive(Debug)]
pub enum Happening {
    /// A stanza came.
    Stanza {
        /// For [`Connection::taken`].
        serial: u64,
        /// It.
        stanza: Element,
    },
    /// The exchange has taken this many of our stanzas.
    Acknowledged(u64),
}

enum Line {
    Tcp(TcpStream),
    Bytes(Box<dyn Bytes>),
    Messages(Box<Messages>),
    Quic(Box<carrier::Quic>),
    /// Between TCP and TLS.
    Gone,
}

/// Monotonic time since the connection began.
#[derive(Debug, Clone, Copy)]
struct Clock(tokio::time::Instant);

impl Clock {
    fn now(self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }
}

impl Connection {
    /// Connects, logs in and binds.
    pub async fn open(options: Options) -> Result<Self, Error> {
        Self::open_in_time(options, Session::new).await
    }

    /// The same for a session that outlives its connection where the exchange agrees, or goes on with one that did, which
    /// [`past`](Self::past) then tells. What was kept is as good after a failure as it was before.
    pub async fn open_resumable(options: Options, kept: Option<Kept>) -> Result<Self, Error> {
        Self::open_in_time(options, |now, account, facts, nonce| {
            Session::resumable(now, account, facts, nonce, kept)
        })
        .await
    }

    async fn open_in_time(
        options: Options,
        begin: impl FnOnce(Instant, Account, Facts, String) -> Session,
    ) -> Result<Self, Error> {
        let (timeout, host) = (options.timeout, options.server.host.clone());
        match tokio::time::timeout(timeout, Self::open_unhurried(options, begin)).await {
            Ok(done) => done,
            Err(_) => Err(Error::TimedOut { what: "log-in", to: host, after: timeout }),
        }
    }

    async fn open_unhurried(
        options: Options,
        begin: impl FnOnce(Instant, Account, Facts, String) -> Session,
    ) -> Result<Self, Error> {
        let Options { account, over, server, trust, bind, timeout } = options;
        let addresses = carrier::resolve(&server, over).await?;
        let domain = account.domain.clone();
        let (line, to, facts) = match over {
            Over::Tcp => {
                let (stream, to) = carrier::connect_tcp(&addresses, bind, over).await?;
                (Line::Tcp(stream), to, Facts { can_start_tls: true, ..clear(to) })
            }
            Over::Ws => {
                let (stream, to) = carrier::connect_tcp(&addresses, bind, over).await?;
                let messages = carrier::upgrade(Box::new(stream), to, &authority(&server, to), false).await?;
                (Line::Messages(Box::new(messages)), to, Facts { framed: true, ..clear(to) })
            }
            Over::Tls | Over::Wss => {
                // An HTTPS server knows nothing of `xmpp-client`.
                let config = Arc::new(trust.config(over == Over::Tls)?);
                let (stream, to) = carrier::connect_tcp(&addresses, bind, over).await?;
                let (stream, exporter) = carrier::secure(stream, to, &domain, config).await?;
                let facts = Facts { encrypted: true, exporter, ..clear(to) };
                if over == Over::Tls {
                    (Line::Bytes(Box::new(stream)), to, facts)
                } else {
                    let stream = Box::new(stream);
                    let messages = carrier::upgrade(stream, to, &authority(&server, to), true).await?;
                    (Line::Messages(Box::new(messages)), to, Facts { framed: true, ..facts })
                }
            }
            Over::Quic => {
                let config = trust.config(true)?;
                let (quic, to) = carrier::connect_quic(&addresses, bind, &domain, config).await?;
                let exporter = quic.exporter;
                (Line::Quic(Box::new(quic)), to, Facts { encrypted: true, exporter, ..clear(to) })
            }
        };
        let clock = Clock(tokio::time::Instant::now());
        let mut connection = Self {
            session: begin(clock.now(), account, facts, nonce()),
            line,
            writing: Vec::new(),
            written: 0,
            clock,
            to,
            timeout,
            jid: String::new(),
            past: Past::None,
            acknowledged: 0,
            ended: None,
            arrived: VecDeque::new(),
        };
        loop {
            match connection.next_event().await? {
                Event::StartTls => {
                    let config = Arc::new(trust.config(false)?);
                    connection.start_tls(&domain, config).await?;
                }
                Event::Ready { jid, acknowledges: true, past } => {
                    (connection.jid, connection.past) = (jid, past);
                    return Ok(connection);
                }
                Event::Ready { acknowledges: false, .. } => return Err(Error::NoAcknowledgements),
                event => connection.keep(event)?,
            }
        }
    }

    /// The full address that the exchange gave.
    pub fn jid(&self) -> &str {
        &self.jid
    }

    /// What became of the session that was to be gone on with.
    pub fn past(&self) -> Past {
        self.past
    }

    /// What the next connection needs to go on with this session; `None` where it cannot be gone on with. Stanzas that were
    /// not released come again then, under their serials, those that came and were not handed out among them.
    pub fn into_kept(self) -> Option<Kept> {
        self.session.into_kept()
    }

    /// The exchange's address.
    pub fn server(&self) -> SocketAddr {
        self.to
    }

    /// Sends a message; returns once the exchange has acknowledged it, which it does when the message is delivered or
    /// committed to its disk.
    pub async fn send(&mut self, to: &str, body: &str) -> Result<(), Error> {
        let id = nonce();
        let serial = self.session.send(Message::write(to, &id, body, self.session.is_framed()));
        self.acknowledgement(serial).await?;
        // The exchange says what is wrong with a message before it acknowledges it.
        let bounced = self.arrived.iter().find(|(_, stanza)| stanza.attribute("id") == Some(&id));
        match bounced.and_then(|(_, stanza)| message::read_error(stanza)) {
            Some(why) => Err(Error::Refused { to: to.to_owned(), why }),
            None => Ok(()),
        }
    }

    /// Says that the number can be reached here; messages that waited come then.
    pub async fn be_available(&mut self) -> Result<(), Error> {
        let serial = self.session.send_presence();
        self.acknowledgement(serial).await
    }

    /// The next message with a text, with its serial for [`release`](Self::release); `None` once the exchange has said
    /// good-bye. Waits for as long as the exchange lives. Nothing is lost when this is dropped in the middle.
    pub async fn next(&mut self) -> Result<Option<(u64, Message)>, Error> {
        loop {
            while let Some((serial, stanza)) = self.arrived.pop_front() {
                match Message::read(&stanza) {
                    Some(message) => return Ok(Some((serial, message))),
                    None => self.session.release(serial),
                }
            }
            match self.next_event().await {
                Ok(event) => self.keep(event)?,
                Err(Error::Ended { end: End::Closed, .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// For programs that look at every stanza and not at messages alone: what happens next. Waits for as long as the
    /// exchange lives, and gives what was posted to the line meanwhile. Nothing is lost when this is dropped in the middle.
    pub async fn happening(&mut self) -> Result<Happening, Error> {
        loop {
            if let Some((serial, stanza)) = self.arrived.pop_front() {
                return Ok(Happening::Stanza { serial, stanza });
            }
            match self.next_event().await? {
                Event::Acknowledged(count) => {
                    self.acknowledged = count;
                    return Ok(Happening::Acknowledged(count));
                }
                event => self.keep(event)?,
            }
        }
    }

    /// Takes a stanza to be sent, by [`happening`](Self::happening) as soon as the line takes it. Its serial: once so many are
    /// acknowledged, the exchange has it.
    pub fn post(&mut self, stanza: Vec<u8>) -> u64 {
        let serial = self.session.send(stanza);
        self.session.await_answer(self.clock.now());
        serial
    }

    /// The stanza with this serial has been taken care of; the exchange hears of it with what is said next.
    pub fn taken(&mut self, serial: u64) {
        self.session.release(serial);
    }

    /// See [`Session::understand`].
    pub fn understand(&mut self, payloads: &'static [(&'static str, &'static str)]) {
        self.session.understand(payloads);
    }

    /// Whether each stanza is a document of its own (RFC 7395), and must declare its namespace.
    pub fn is_framed(&self) -> bool {
        self.session.is_framed()
    }

    /// The message with this serial has been taken care of: the exchange may forget it.
    pub async fn release(&mut self, serial: u64) -> Result<(), Error> {
        self.session.release(serial);
        self.flush().await.map_err(|error| self.lost(&error))
    }

    /// Says good-bye, waits for the exchange's, closes.
    pub async fn close(mut self) -> Result<(), Error> {
        self.session.close();
        let said = tokio::time::timeout(GOODBYE, async {
            loop {
                match self.next_event().await {
                    Err(Error::Ended { end: End::Closed, .. }) => return Ok(()),
                    Err(error) => return Err(error),
                    Ok(_) => {}
                }
            }
        })
        .await;
        let _ = tokio::time::timeout(GOODBYE, self.line.close()).await;
        // Everything that counts was acknowledged before; a good-bye that never came is the exchange's loss.
        said.unwrap_or(Ok(()))
    }

    async fn acknowledgement(&mut self, serial: u64) -> Result<(), Error> {
        let (timeout, to) = (self.timeout, self.to);
        let acknowledged = async {
            while self.acknowledged < serial {
                let event = self.next_event().await?;
                self.keep(event)?;
            }
            Ok(())
        };
        tokio::time::timeout(timeout, acknowledged).await.unwrap_or_else(|_| {
            Err(Error::TimedOut { what: "acknowledgement", to: to.to_string(), after: timeout })
        })
    }

    fn keep(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Stanza { serial, stanza } => self.arrived.push_back((serial, stanza)),
            Event::Acknowledged(count) => self.acknowledged = count,
            Event::Ended(end) => return Err(Error::Ended { to: self.to, end }),
            Event::StartTls | Event::Ready { .. } => {}
        }
        Ok(())
    }

    /// What happens next. An end is an error. Safe to drop: bytes are taken from the line and given to it whole.
    async fn next_event(&mut self) -> Result<Event, Error> {
        if let Some(end) = &self.ended {
            return Err(Error::Ended { to: self.to, end: end.clone() });
        }
        loop {
            // What happened comes first: it must not be lost with a future that waits for the line to take something.
            match self.session.poll_event() {
                Some(Event::Ended(end)) => {
                    self.ended = Some(end.clone());
                    // The last words, such as our good-bye; nobody may be there to hear them.
                    let _ = tokio::time::timeout(GOODBYE, self.flush()).await;
                    return Err(Error::Ended { to: self.to, end });
                }
                Some(event) => return Ok(event),
                None => {}
            }
            let deadline = self.session.next_deadline().map(|at| self.clock.0 + (at - Instant::ZERO));
            // A line that takes nothing more is given up like one that brings nothing.
            let flushed = tokio::select! {
                flushed = self.flush() => Some(flushed),
                () = sleep_until(deadline) => None,
            };
            match flushed {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    self.session.handle_lost(&error.to_string());
                    continue;
                }
                None => {
                    self.session.handle_timer(self.clock.now());
                    continue;
                }
            }
            tokio::select! {
                read = self.line.read() => {
                    let now = self.clock.now();
                    match read {
                        Ok(Read::Bytes(bytes)) => self.session.handle_bytes(now, &bytes),
                        Ok(Read::Message(text)) => self.session.handle_message(now, &text),
                        Ok(Read::End) => self.session.handle_lost("the exchange closed it"),
                        Err(error) => self.session.handle_lost(&error.to_string()),
                    }
                }
                () = sleep_until(deadline) => self.session.handle_timer(self.clock.now()),
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        loop {
            if self.written == self.writing.len() {
                self.writing.clear();
                self.written = 0;
                match self.session.poll_output() {
                    Some(piece) => self.writing = piece,
                    None => return self.line.flush().await,
                }
                if !matches!(self.line, Line::Messages(_)) {
                    while let Some(piece) = self.session.poll_output() {
                        self.writing.extend_from_slice(&piece);
                    }
                }
            }
            self.written += self.line.write(&self.writing[self.written..]).await?;
        }
    }

    async fn start_tls(&mut self, domain: &str, config: Arc<rustls::ClientConfig>) -> Result<(), Error> {
        match std::mem::replace(&mut self.line, Line::Gone) {
            Line::Tcp(stream) => {
                let (stream, exporter) = carrier::secure(stream, self.to, domain, config).await?;
                self.line = Line::Bytes(Box::new(stream));
                self.session.handle_secured(self.clock.now(), exporter);
                Ok(())
            }
            _ => unreachable!("a session asks for STARTTLS only where it was told that it can"),
        }
    }

    fn lost(&self, error: &io::Error) -> Error {
        Error::Ended { to: self.to, end: End::Lost(error.to_string()) }
    }
}

enum Read {
    Bytes(Vec<u8>),
    Message(String),
    End,
}

impl Line {
    async fn read(&mut self) -> io::Result<Read> {
        let mut bytes = Vec::with_capacity(READ_BYTES);
        let read = match self {
            Self::Tcp(stream) => stream.read_buf(&mut bytes).await?,
            Self::Bytes(stream) => stream.read_buf(&mut bytes).await?,
            Self::Quic(quic) => quic.receive.read_buf(&mut bytes).await?,
            Self::Messages(messages) => {
                return Ok(messages.next().await?.map_or(Read::End, Read::Message));
            }
            Self::Gone => 0,
        };
        Ok(if read == 0 { Read::End } else { Read::Bytes(bytes) })
    }

    /// How many bytes were taken; all or nothing with messages.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes).await,
            Self::Bytes(stream) => stream.write(bytes).await,
            Self::Quic(quic) => quic.send.write(bytes).await.map_err(io::Error::from),
            Self::Messages(messages) => messages.send(bytes.to_vec()).await.map(|()| bytes.len()),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Bytes(stream) => stream.flush().await,
            Self::Messages(messages) => messages.flush().await,
            _ => Ok(()),
        }
    }

    async fn close(&mut self) {
        match self {
            Self::Tcp(stream) => drop(stream.shutdown().await),
            Self::Bytes(stream) => drop(stream.shutdown().await),
            Self::Messages(messages) => messages.close().await,
            Self::Quic(quic) => quic.close().await,
            Self::Gone => {}
        }
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn clear(to: SocketAddr) -> Facts {
    let local = to.ip().to_canonical().is_loopback();
    Facts { framed: false, encrypted: false, local, can_start_tls: false, exporter: None }
}

/// What an HTTP server is called, for `Host`.
fn authority(server: &Server, to: SocketAddr) -> String {
    match server.host.parse::<std::net::Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]:{}", to.port()),
        Err(_) => format!("{}:{}", server.host, to.port()),
    }
}

/// 128 random bits in hexadecimal: a SCRAM nonce, a stanza's id.
fn nonce() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    xmpp::hex(bytes)
}
