//! The conversation with an exchange, from the first byte to the last: negotiation, log-in, binding, acknowledgements.
//!
//! Spec: RFC 6120 4-7, RFC 7395 3, XEP-0198 (without resumption), XEP-0199.
//! Owns: the stage. Borrows: the time and the nonce from the caller.
//! Invariants: after `Ended` nothing more is written; `h` never passes a stanza that its reader has not released, and no
//! ping is answered before the stanzas in front of it are; a wrong password ends it.
//! Not here: the counts of stanzas (`acknowledge`), what is said word for word (`words`), mechanisms (`sasl`), sockets,
//! TLS, clocks (`connection`).
//!
//! ```text
//! Opening -> [Asking -> Securing -> Opening] -> LoggingIn -> Opening -> Binding -> Enabling -> Ready -> Closing -> Ended
//! ```
//! The contract is every core's: feed one input (`handle_*`), drain [`Session::poll_output`] and
//! [`Session::poll_event`] until they are empty, sleep until [`Session::next_deadline`].

mod acknowledge;
mod words;

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use xmpp::address::AccountNumber;
use xmpp::ns;
use xmpp::time::Instant;
use xmpp::write::open;

use crate::element::Element;
use crate::error::End;
use crate::sasl::{self, Channel, Choice, Mechanism, Scram};
use crate::stream::{Found, Reader};
use acknowledge::Counts;

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
    LoggingIn(Mechanism),
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
    heard: Instant,
    asked: bool,
    /// Payloads of requests that our reader takes care of.
    understood: &'static [(&'static str, &'static str)],
}

impl Session {
    /// Begins to speak. The nonce must be random, printable and free of commas.
    pub fn new(now: Instant, account: Account, facts: Facts, nonce: String) -> Self {
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
            heard: now,
            asked: false,
            understood: &[],
        };
        session.write_header();
        session
    }

    /// Bytes of a stream. Those behind a `<proceed/>` are not XMPP; there are none from an honest exchange.
    pub fn handle_bytes(&mut self, now: Instant, mut input: &[u8]) {
        self.heard = now;
        self.asked = false;
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
        self.heard = now;
        self.asked = false;
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
        if self.asked {
            return self.end(End::Silent);
        }
        self.asked = true;
        if self.acknowledges {
            self.write_request();
        } else {
            self.output.push_back(words::ping(self.facts.framed));
            self.counts.on_sent();
        }
    }

    /// When [`handle_timer`](Self::handle_timer) has something to do, if nothing comes before.
    pub fn next_deadline(&self) -> Option<Instant> {
        matches!(self.stage, Stage::Ready)
            .then(|| self.heard + if self.asked { SILENCE + ANSWER } else { SILENCE })
    }

    /// Sends a stanza and asks for its acknowledgement. The serial is what [`Event::Acknowledged`] will reach.
    ///
    /// Only between `Ready` and [`close`](Self::close); the bytes must be what [`is_framed`](Self::is_framed) asks for.
    pub fn send(&mut self, stanza: Vec<u8>) -> u64 {
        debug_assert!(matches!(self.stage, Stage::Ready), "a stanza before its time");
        self.output.push_back(stanza);
        let serial = self.counts.on_sent();
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
        if matches!(self.stage, Stage::Ready) && self.acknowledges {
            // So that what was taken is not delivered again (XEP-0198 4).
            self.write_answer();
        }
        self.write_close();
        self.stage = Stage::Closing;
    }

    /// Bytes to be written, or with a WebSocket one message.
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.output.pop_front()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
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
            Stage::LoggingIn(mechanism) => self.on_log_in(mechanism, &element),
            Stage::Binding => self.on_bound(&element),
            Stage::Enabling => {
                self.acknowledges = element.is("enabled", ns::SM);
                if !self.acknowledges && !element.is("failed", ns::SM) {
                    self.stage = Stage::Enabling;
                    return self.on_stanza(element);
                }
                self.counts.on_enabled();
                self.become_ready();
            }
            stage @ (Stage::Ready | Stage::Closing) => {
                self.stage = stage;
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

    fn on_first_features(&mut self, features: &Element) {
        if !self.facts.encrypted {
            if self.facts.can_start_tls && features.child("starttls", ns::TLS).is_some() {
                self.write(|out| open(out, "starttls").ns(ns::TLS).empty());
                self.stage = Stage::Asking;
                return;
            }
            if !self.facts.local {
                return self.end(End::NotEncrypted);
            }
        }
        let Some(mechanisms) = features.child("mechanisms", ns::SASL) else {
            return self.end(End::NoMechanism("nothing".to_owned()));
        };
        let offered: Vec<&str> = mechanisms.children.iter().map(|child| child.text.trim()).collect();
        let binding = features.child("sasl-channel-binding", ns::SASL_CB);
        let types: Vec<&str> = binding
            .iter()
            .flat_map(|binding| &binding.children)
            .filter_map(|child| child.attribute("type"))
            .collect();
        let channel = Channel { encrypted: self.facts.encrypted, exporter: self.facts.exporter };
        let Some((name, choice)) = sasl::choose(&offered, &types, channel) else {
            return self.end(End::NoMechanism(offered.join(", ")));
        };
        let number = self.account.number.to_string();
        let (mechanism, first) = match choice {
            Choice::Plain => (Mechanism::Plain, sasl::plain(&number, &self.account.password)),
            Choice::Scram(hash, binding) => {
                let scram = Scram::new(hash, binding, &number, &self.account.password, &self.nonce);
                let first = scram.make_first();
                (Mechanism::Scram(scram), first)
            }
        };
        self.write(|out| {
            open(out, "auth").ns(ns::SASL).attr("mechanism", name).text(&STANDARD.encode(first));
        });
        self.stage = Stage::LoggingIn(mechanism);
    }

    fn on_log_in(&mut self, mechanism: Mechanism, element: &Element) {
        if element.is("failure", ns::SASL) {
            let (condition, text) = condition(element, ns::SASL);
            self.write_close();
            return self.end(End::LogIn { condition, text });
        }
        let Some(said) = decode(&element.text) else {
            return self.end(End::Protocol("SASL that is no base64".to_owned()));
        };
        match mechanism {
            Mechanism::Scram(mut scram) if element.is("challenge", ns::SASL) => {
                match scram.handle_challenge(&said) {
                    Ok(answer) => {
                        let answer = STANDARD.encode(answer);
                        self.write(|out| open(out, "response").ns(ns::SASL).text(&answer));
                        self.stage = Stage::LoggingIn(Mechanism::Scram(scram));
                    }
                    Err(what) => self.end(End::Protocol(what)),
                }
            }
            Mechanism::Scram(scram) if element.is("success", ns::SASL) && !scram.is_proved_by(&said) => {
                self.end(End::Impostor);
            }
            _ if element.is("success", ns::SASL) => {
                self.stage = Stage::Opening { logged_in: true };
                self.open_anew();
            }
            _ => self.end(unexpected(element)),
        }
    }

    fn on_features(&mut self, features: &Element) {
        if features.child("bind", ns::BIND).is_none() {
            return self.end(End::Bind("it does not offer any".to_owned()));
        }
        self.acknowledges = features.child("sm", ns::SM).is_some();
        self.output.push_back(words::bind(self.facts.framed, self.account.resource.as_deref()));
        self.stage = Stage::Binding;
    }

    fn on_bound(&mut self, iq: &Element) {
        if !iq.is("iq", ns::CLIENT) || iq.attribute("id") != Some("bind") {
            return self.end(unexpected(iq));
        }
        if let Some(why) = crate::message::read_error(iq) {
            return self.end(End::Bind(why));
        }
        let jid = iq.child("bind", ns::BIND).and_then(|bind| bind.child("jid", ns::BIND));
        let Some(jid) = jid else { return self.end(End::Bind("it names no address".to_owned())) };
        self.jid.clone_from(&jid.text);
        if self.acknowledges {
            self.write(|out| open(out, "enable").ns(ns::SM).empty());
            self.stage = Stage::Enabling;
        } else {
            self.become_ready();
        }
    }

    fn become_ready(&mut self) {
        self.stage = Stage::Ready;
        let (jid, acknowledges) = (self.jid.clone(), self.acknowledges);
        self.events.push_back(Event::Ready { jid, acknowledges });
    }

    fn on_management(&mut self, element: &Element) {
        match element.name.as_str() {
            "r" => self.write_answer(),
            "a" => {
                let Some(h) = element.attribute("h").and_then(|h| h.parse::<u32>().ok()) else {
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

/// RFC 6120 6.4.2: `=` is data of no length.
fn decode(text: &str) -> Option<Vec<u8>> {
    match text.trim() {
        "" | "=" => Some(Vec::new()),
        text => STANDARD.decode(text).ok(),
    }
}

#[cfg(test)]
mod tests;
