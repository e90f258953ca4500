//! The conversation with an exchange, from the first byte to the last: negotiation, log-in, binding, acknowledgements.
//!
//! Spec: RFC 6120 4-7, RFC 7395 3, XEP-0388 and 0386 (log-in and resource in one message, where they are offered), XEP-0198
//! (with resumption, if it is wanted), XEP-0199.
//! Owns: the stage. Borrows: the time and the nonce from the caller.
//! Invariants: after `Ended` nothing more is written; `h` never passes a stanza that its reader has not released, and no
//! ping is answered before the stanzas in front of it are; a wrong password ends it; over all connections of a session what
//! was acknowledged is not sent again, and what was not is, unchanged and in order.
//! Not here: the steps from features to a resource (`negotiate`), the counts of stanzas (`acknowledge`), SASL's messages (`log_in`), what is said word for word (`words`),
//! mechanisms (`sasl`), sockets, TLS, clocks (`connection`).
//!
//! ```text
//! Opening -> [Asking -> Securing -> Opening] -> LoggingIn -> Opening -> Binding -> Enabling -> Ready -> Closing -> Ended
//! with SASL2:                                   LoggingIn -> Ready
//! an earlier session:                           LoggingIn -> Opening -> Resuming -> Ready, or -> Binding as above
//! ```
//! The contract is every core's: feed one input (`handle_*`), drain [`Session::poll_output`] and
//! [`Session::poll_event`] until they are empty, sleep until [`Session::next_deadline`].

mod acknowledge;
mod log_in;
mod negotiate;
mod words;

use std::collections::VecDeque;
use std::time::Duration;

use xmpp::address::AccountNumber;
use xmpp::ns;
use xmpp::time::Instant;

use crate::element::Element;
use crate::error::End;
use crate::stream::{Found, Reader};
use acknowledge::Counts;
use log_in::LogIn;

/// After so much silence the exchange is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(60);

/// And this long it may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Who logs in.
#[derive(Clone)]
pub struct Account {
    /// The number.
    pub number: AccountNumber,
    /// Its domain.
    pub domain: String,
    /// The password.
    pub password: String,
    /// The resource, if it is to be a certain one.
    pub resource: Option<String>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("number", &self.number)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// What carries the conversation.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// WebSocket: each element is a message of its own (RFC 7395).
    pub framed: bool,
    /// Nobody in between can read it.
    pub encrypted: bool,
    /// It stays on this machine, so it may do without encryption.
    pub local: bool,
    /// STARTTLS can be done on it.
    pub can_start_tls: bool,
    /// `tls-exporter` of TLS 1.3 (RFC 9266).
    pub exporter: Option<[u8; 32]>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Do the TLS handshake now, then call [`Session::handle_secured`].
    StartTls,
    /// Logged in and bound.
    Ready {
        /// The full address.
        jid: String,
        /// Whether the exchange acknowledges (XEP-0198).
        acknowledges: bool,
        /// What became of the session that was to be taken up again.
        past: Past,
    },
    /// A stanza came. A message counts as taken once [`Session::release`] gets its serial, anything else at once.
    Stanza {
        /// 1, 2, 3 and so on.
        serial: u64,
        /// It.
        stanza: Element,
    },
    /// The exchange has taken this many of our stanzas.
    Acknowledged(u64),
    /// It is over.
    Ended(End),
}

/// What became of an earlier session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// There was none.
    None,
    /// It goes on: serials count on, what was not acknowledged has been sent again, what was not released comes again.
    Resumed,
    /// It is over, and this is a new one.
    Lost {
        /// So many of the stanzas sent in it the exchange has taken, if it still knows.
        acknowledged: Option<u64>,
    },
}

/// What is left of a session whose connection is lost, for the next connection to take up (XEP-0198 5).
#[derive(Clone)]
pub struct Kept {
    id: String,
    jid: String,
    framed: bool,
    counts: Counts,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The id is as good as a password for its time.
        f.debug_struct("Kept").field("jid", &self.jid).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Stage {
    /// Our header is out, or about to be; the exchange's header and features are awaited.
    Opening {
        logged_in: bool,
    },
    /// `<starttls/>` is out.
    Asking,
    /// The handshake is the driver's; nothing is read until it is done.
    Securing,
    LoggingIn(LogIn),
    /// `<resume/>` is out.
    Resuming,
    Binding,
    Enabling,
    Ready,
    /// Our end is out; the exchange's is awaited.
    Closing,
    Ended,
}

/// One conversation.
#[derive(Debug)]
pub struct Session {
    account: Account,
    facts: Facts,
    nonce: String,
    stage: Stage,
    reader: Reader,
    output: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
    jid: String,
    acknowledges: bool,
    counts: Counts,
    /// It is to outlive its connection.
    resumable: bool,
    /// Under this name, once the exchange has agreed.
    id: Option<String>,
    /// The session that is to be taken up, until it is known what becomes of it.
    earlier: Option<Kept>,
    past: Past,
    /// We have said good-bye.
    left: bool,
    heard: Instant,
    asked: bool,
    /// Since when something that was sent waits for its acknowledgement, as far as we were told.
    awaited: Option<Instant>,
    /// Payloads of requests that our reader takes care of.
    understood: &'static [(&'static str, &'static str)],
}

impl Session {
    /// Begins to speak. The nonce must be random, printable and free of commas.
    pub fn new(now: Instant, account: Account, facts: Facts, nonce: String) -> Self {
        Self::begin(now, account, facts, nonce, false, None)
    }

    /// Begins to speak in a session that may outlive its connection, or goes on with one that did.
    pub fn resumable(
        now: Instant,
        account: Account,
        facts: Facts,
        nonce: String,
        earlier: Option<Kept>,
    ) -> Self {
        Self::begin(now, account, facts, nonce, true, earlier)
    }

    fn begin(
        now: Instant,
        account: Account,
        facts: Facts,
        nonce: String,
        resumable: bool,
        earlier: Option<Kept>,
    ) -> Self {
        let past = if earlier.is_some() { Past::Lost { acknowledged: None } } else { Past::None };
        let mut session = Self {
            account,
            facts,
            nonce,
            stage: Stage::Opening { logged_in: false },
            reader: Reader::new(facts.framed),
            output: VecDeque::new(),
            events: VecDeque::new(),
            jid: String::new(),
            acknowledges: false,
            counts: Counts::default(),
            resumable,
            id: None,
            // What was written for a stream is no frame, and the other way round.
            earlier: earlier.filter(|earlier| earlier.framed == facts.framed),
            past,
            left: false,
            heard: now,
            asked: false,
            awaited: None,
            understood: &[],
        };
        session.write_header();
        session
    }

    /// Bytes of a stream. Those behind a `<proceed/>` are not XMPP; there are none from an honest exchange.
    pub fn handle_bytes(&mut self, now: Instant, mut input: &[u8]) {
        self.on_heard(now);
        while !matches!(self.stage, Stage::Securing | Stage::Ended) {
            match self.reader.handle_bytes(&mut input) {
                Ok(Some(found)) => self.on_found(found),
                Ok(None) => return,
                Err(what) => return self.end(End::Protocol(what)),
            }
        }
        // RFC 6120 5.4.3.3: what was sent before the handshake must not be taken for sent within it.
        if matches!(self.stage, Stage::Securing) && !input.is_empty() {
            self.end(End::Protocol("clear text behind the offer to encrypt".to_owned()));
        }
    }

    /// One text message of a WebSocket.
    pub fn handle_message(&mut self, now: Instant, message: &str) {
        self.on_heard(now);
        if matches!(self.stage, Stage::Ended) {
            return;
        }
        match self.reader.handle_message(message) {
            Ok(found) => self.on_found(found),
            Err(what) => self.end(End::Protocol(what)),
        }
    }

    /// The TLS handshake that [`Event::StartTls`] asked for is done.
    pub fn handle_secured(&mut self, now: Instant, exporter: Option<[u8; 32]>) {
        self.heard = now;
        self.facts.encrypted = true;
        self.facts.can_start_tls = false;
        self.facts.exporter = exporter;
        self.stage = Stage::Opening { logged_in: false };
        self.open_anew();
    }

    /// The connection is gone.
    pub fn handle_lost(&mut self, why: &str) {
        match self.stage {
            Stage::Ended => {}
            // Its good-bye got lost, ours did not.
            Stage::Closing => self.end(End::Closed),
            _ => self.end(End::Lost(why.to_owned())),
        }
    }

    /// Time has passed.
    pub fn handle_timer(&mut self, now: Instant) {
        if self.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        if self.asked || self.awaited.is_some_and(|since| since + ANSWER <= now) {
            return self.end(End::Silent);
        }
        self.asked = true;
        if self.acknowledges {
            self.write_request();
        } else {
            let ping = words::ping(self.facts.framed);
            self.counts.on_sent(&ping);
            self.output.push_back(ping);
        }
    }

    /// When [`handle_timer`](Self::handle_timer) has something to do, if nothing comes before.
    pub fn next_deadline(&self) -> Option<Instant> {
        if !matches!(self.stage, Stage::Ready) {
            return None;
        }
        let silence = self.heard + if self.asked { SILENCE + ANSWER } else { SILENCE };
        Some(self.awaited.map_or(silence, |since| silence.min(since + ANSWER)))
    }

    /// From now on a word of the exchange is awaited for what was sent: if none comes in time, nobody is there. Without
    /// this an exchange that went away in silence is found out only when it is asked.
    pub fn await_answer(&mut self, now: Instant) {
        if self.acknowledges && self.counts.is_waiting() {
            self.awaited.get_or_insert(now);
        }
    }

    /// Sends a stanza and asks for its acknowledgement. The serial is what [`Event::Acknowledged`] will reach.
    ///
    /// Only between `Ready` and [`close`](Self::close); the bytes must be what [`is_framed`](Self::is_framed) asks for.
    pub fn send(&mut self, stanza: Vec<u8>) -> u64 {
        debug_assert!(matches!(self.stage, Stage::Ready), "a stanza before its time");
        let serial = self.counts.on_sent(&stanza);
        self.output.push_back(stanza);
        if self.acknowledges {
            self.write_request();
        }
        serial
    }

    /// Says that the number can be reached here, so that messages come (RFC 6121 4.2).
    pub fn send_presence(&mut self) -> u64 {
        self.send(words::presence(self.facts.framed))
    }

    /// The stanza with this serial has been taken care of. Serials may be released in any order; the exchange hears of
    /// them in theirs.
    pub fn release(&mut self, serial: u64) {
        self.counts.release(serial);
        if self.settle() && self.acknowledges && matches!(self.stage, Stage::Ready) {
            self.write_answer();
        }
    }

    /// Whether stanzas stand alone in frames and must declare their namespace (RFC 7395 3.3.3).
    pub fn is_framed(&self) -> bool {
        self.facts.framed
    }

    /// Requests that set one of these, by name and namespace, are answered with success, and the reader of the stanzas takes
    /// care of them: roster pushes, for instance.
    pub fn understand(&mut self, payloads: &'static [(&'static str, &'static str)]) {
        self.understood = payloads;
    }

    /// Says good-bye. The exchange's own good-bye brings [`Event::Ended`]; then the client closes the connection, so
    /// that TIME_WAIT is the client's (RFC 6120 4.4).
    pub fn close(&mut self) {
        if matches!(self.stage, Stage::Closing | Stage::Ended) {
            return;
        }
        self.left = true;
        if matches!(self.stage, Stage::Ready) && self.acknowledges {
            // So that what was taken is not delivered again (XEP-0198 4).
            self.write_answer();
        }
        self.write_close();
        self.stage = Stage::Closing;
    }

    /// What the next connection needs to go on with this session; `None` where it cannot be gone on with. What was not
    /// released comes again then, and only that, to whoever releases in order.
    pub fn into_kept(self) -> Option<Kept> {
        if self.left {
            return None;
        }
        // Nothing has become of the earlier one yet.
        if self.earlier.is_some() {
            return self.earlier;
        }
        let Self { id: Some(id), jid, facts, mut counts, .. } = self else { return None };
        counts.rewind();
        counts.is_kept().then_some(Kept { id, jid, framed: facts.framed, counts })
    }

    /// Bytes to be written, or with a WebSocket one message.
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.output.pop_front()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn on_heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = false;
        self.awaited = None;
    }

    fn on_found(&mut self, found: Found) {
        match found {
            Found::Open(_) => {}
            Found::Element(element) if element.is("error", ns::STREAMS) => {
                let (condition, text) = condition(&element, ns::STREAM_ERRORS);
                self.write_close();
                self.end(End::Stream { condition, text });
            }
            Found::Element(element) => self.on_element(element),
            Found::Close => {
                if !matches!(self.stage, Stage::Closing) {
                    // RFC 6120 4.4: who is told good-bye says it too.
                    self.write_close();
                }
                self.end(End::Closed);
            }
        }
    }

    fn on_element(&mut self, element: Element) {
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Opening { logged_in } => {
                self.stage = Stage::Opening { logged_in };
                if !element.is("features", ns::STREAMS) {
                    return self.end(unexpected(&element));
                }
                if logged_in { self.on_features(&element) } else { self.on_first_features(&element) }
            }
            Stage::LoggingIn(log_in) => self.on_log_in(log_in, &element),
            Stage::Resuming if element.is("resumed", ns::SM) => self.on_resumed(&element),
            Stage::Resuming if element.is("failed", ns::SM) => {
                self.on_not_resumed(&element);
                self.bind();
            }
            Stage::Resuming => self.end(unexpected(&element)),
            Stage::Binding => self.on_bound(&element),
            Stage::Enabling => {
                if element.is("enabled", ns::SM) {
                    self.on_enabled(&element);
                } else if element.is("failed", ns::SM) {
                    self.acknowledges = false;
                    self.counts.keep_no_more();
                } else {
                    self.stage = Stage::Enabling;
                    return self.on_stanza(element);
                }
                self.become_ready();
            }
            stage @ (Stage::Ready | Stage::Closing) => {
                self.stage = stage;
                if element.is("features", ns::STREAMS) {
                    // XEP-0388 2.6: they follow a log-in that brought everything along.
                    return;
                }
                if element.ns == ns::SM { self.on_management(&element) } else { self.on_stanza(element) }
            }
            Stage::Asking if element.is("proceed", ns::TLS) => {
                self.stage = Stage::Securing;
                self.events.push_back(Event::StartTls);
            }
            Stage::Asking => self.end(unexpected(&element)),
            stage @ (Stage::Securing | Stage::Ended) => self.stage = stage,
        }
    }

    fn become_ready(&mut self) {
        self.stage = Stage::Ready;
        let (jid, acknowledges, past) = (self.jid.clone(), self.acknowledges, self.past);
        self.events.push_back(Event::Ready { jid, acknowledges, past });
    }

    fn on_management(&mut self, element: &Element) {
        match element.name.as_str() {
            "r" => self.write_answer(),
            "a" => {
                let Some(h) = count(element) else {
                    return self.end(End::Protocol("an acknowledgement without a count".to_owned()));
                };
                match self.counts.on_acknowledged(h) {
                    Ok(Some(count)) => self.events.push_back(Event::Acknowledged(count)),
                    Ok(None) => {}
                    Err(what) => self.end(End::Protocol(what)),
                }
            }
            _ => {}
        }
    }

    fn on_stanza(&mut self, stanza: Element) {
        let message = stanza.is("message", ns::CLIENT);
        let reply = if message { None } else { words::reply(self.facts.framed, &stanza, self.understood) };
        let Some(serial) = self.counts.on_received(!message, reply) else {
            return self.end(End::Protocol("more stanzas than can wait here".to_owned()));
        };
        self.events.push_back(Event::Stanza { serial, stanza });
        self.settle();
    }

    fn settle(&mut self) -> bool {
        self.counts.settle(|reply| self.output.push_back(reply))
    }

    fn open_anew(&mut self) {
        self.reader = Reader::new(self.facts.framed);
        self.write_header();
    }

    fn write_header(&mut self) {
        let Account { number, domain, .. } = &self.account;
        // RFC 6120 4.7.1: `from` only where nobody in between can read it.
        let from = self.facts.encrypted.then(|| format!("{number}@{domain}"));
        self.output.push_back(words::header(self.facts.framed, domain, from.as_deref()));
    }

    fn write_close(&mut self) {
        self.output.push_back(words::close(self.facts.framed));
    }

    fn write_request(&mut self) {
        self.output.push_back(words::request_acknowledgement());
    }

    fn write_answer(&mut self) {
        self.output.push_back(words::acknowledgement(self.counts.h()));
    }

    fn write(&mut self, piece: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        piece(&mut out);
        self.output.push_back(out);
    }

    fn end(&mut self, end: End) {
        self.stage = Stage::Ended;
        self.events.push_back(Event::Ended(end));
    }
}

fn unexpected(element: &Element) -> End {
    End::Protocol(format!("<{} xmlns='{}'> at this point", element.name, element.ns))
}

/// The condition and the text of a stream error or a SASL failure.
fn condition(element: &Element, ns: &str) -> (String, Option<String>) {
    let condition = element.children.iter().find(|child| child.ns == ns && child.name != "text");
    let name = condition.map_or_else(|| "undefined-condition".to_owned(), |child| child.name.clone());
    (name, element.child("text", ns).map(|text| text.text.clone()))
}

/// How many stanzas an element of XEP-0198 speaks of.
fn count(element: &Element) -> Option<u32> {
    element.attribute("h").and_then(|h| h.parse().ok())
}

#[cfg(test)]
mod tests;
