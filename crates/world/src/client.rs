//! A client: somebody with a number, who connects, logs in, writes what they planned, takes what comes, and connects again when
//! the connection is lost.
//! Spec: what `client::session` speaks. Owns: the connection, the plan, what is not acknowledged yet.
//! Invariants: a message is written once; one whose connection ended before its acknowledgement stays unknown, for the oracle to
//! expect it or not; what came is released as soon as it was seen.
//! Not here: the conversation itself (`client::session`), what carries it (`carrier`), whether all is well (`oracle`).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use client::element::Element;
use client::message::Message;
use client::session::{Account, Event, Facts, Session};
use sim::rng::Rng;
use stack::Stack;
use tcp::Instant;

pub use crate::carrier::Over;
use crate::carrier::{Carrier, Heard};
use crate::quic::Quic;

/// A log-in that takes longer than this is given up and tried again.
const LOG_IN_WITHIN: Duration = Duration::from_secs(60);
/// XEP-0313: the latest page of the archive, and no life says more than fits one.
const CATCH_UP: &str = "<iq type='set' id='catch-up'><query xmlns='urn:xmpp:mam:2' queryid='all'>\
    <set xmlns='http://jabber.org/protocol/rsm'><max>250</max><before/></set></query></iq>";
/// After a loss, the next attempt comes this late, at most and at least.
const RETRY_MAX: Duration = Duration::from_secs(8);
const RETRY_MIN: Duration = Duration::from_millis(200);

/// What a client went through, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Experience {
    /// Logged in and bound; this is its how-manieth session, from 1 on.
    Ready {
        /// Its full address.
        jid: String,
    },
    /// A message was written, by this id.
    Wrote {
        /// The id.
        id: String,
    },
    /// The exchange has taken responsibility for it.
    Acknowledged {
        /// The id.
        id: String,
    },
    /// A message came.
    Arrived(Message),
    /// A message was told again by the archive, which a client asks once it is back.
    Archived(Message),
    /// A message of ours came back as an error.
    Bounced {
        /// The id.
        id: String,
        /// The condition.
        why: String,
    },
    /// The conversation is over.
    Ended {
        /// Why.
        why: String,
    },
}

/// A message to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// When, or as soon after as there is a session.
    pub at: Instant,
    /// To whom.
    pub to: String,
    /// Its id.
    pub id: String,
    /// Its text.
    pub body: String,
}

struct Line {
    carrier: Carrier,
    session: Option<Session>,
    /// What the session said and the carrier has not taken.
    out: Vec<u8>,
    begun: Instant,
    is_ready: bool,
    /// The conversation is over; what is left of `out` goes out.
    is_over: bool,
}

/// Somebody with a number.
pub struct Client {
    account: Account,
    over: Over,
    exchange: SocketAddr,
    rng: Rng,
    /// It is to be online.
    wants: bool,
    bind: Option<SocketAddr>,
    line: Option<Line>,
    /// QUIC connections that still say good-bye.
    leaving: Vec<Box<Quic>>,
    retry_at: Option<Instant>,
    sessions: u32,
    plan: VecDeque<Planned>,
    unacknowledged: VecDeque<(u64, String)>,
    experiences: VecDeque<Experience>,
}

impl Client {
    /// Somebody who is offline and has planned nothing.
    pub fn new(account: Account, over: Over, exchange: SocketAddr, rng: Rng) -> Self {
        Self {
            account,
            over,
            exchange,
            rng,
            wants: false,
            bind: None,
            line: None,
            leaving: Vec::new(),
            retry_at: None,
            sessions: 0,
            plan: VecDeque::new(),
            unacknowledged: VecDeque::new(),
            experiences: VecDeque::new(),
        }
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.account.number.get()
    }

    /// What carries it.
    pub fn over(&self) -> Over {
        self.over
    }

    /// The address and port that it is to use; otherwise its host chooses.
    pub fn set_bind(&mut self, bind: Option<SocketAddr>) {
        self.bind = bind;
    }

    /// Its own address and port, as it knows them.
    pub fn local(&self, stack: &Stack) -> Option<SocketAddr> {
        self.line.as_ref()?.carrier.local(stack)
    }

    /// From `at` on it wants to be online.
    pub fn log_in(&mut self, at: Instant) {
        self.wants = true;
        self.retry_at = Some(at);
    }

    /// It says good-bye and stays away.
    pub fn log_out(&mut self) {
        self.wants = false;
        self.retry_at = None;
        if let Some(session) = self.line.as_mut().and_then(|line| line.session.as_mut()) {
            session.close();
        }
    }

    /// Plans a message. Plans are carried out in the order of their being made.
    pub fn plan(&mut self, planned: Planned) {
        self.plan.push_back(planned);
    }

    /// Whether it is logged in.
    pub fn is_ready(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.is_ready && !line.is_over)
    }

    /// Whether it has no connection, and has said all its good-byes.
    pub fn is_away(&self) -> bool {
        self.line.is_none() && self.leaving.is_empty()
    }

    /// Whether all that was planned is written and acknowledged, or lost with its connection.
    pub fn is_done(&self) -> bool {
        self.plan.is_empty() && self.unacknowledged.is_empty()
    }

    /// Octets that it has said and its host has not taken, since the exchange reads no more of them.
    pub fn unsent(&self) -> usize {
        self.line.as_ref().map_or(0, |line| line.out.len())
    }

    /// Which of its sessions this is, from 1 on.
    pub fn session(&self) -> u32 {
        self.sessions
    }

    /// What it went through since it was last asked.
    pub fn poll_experience(&mut self) -> Option<Experience> {
        self.experiences.pop_front()
    }

    /// Does what it can at `now`.
    pub fn act(&mut self, now: Instant, stack: &mut Stack) {
        if self.line.is_none() && self.wants && self.retry_at.is_some_and(|at| at <= now) {
            self.connect(now, stack);
        }
        self.hear(now, stack);
        self.say_planned(now);
        self.speak(now, stack);
        self.leaving.retain_mut(|quic| {
            quic.hear(now, stack);
            quic.act(now, stack);
            let drained = quic.is_drained();
            if drained {
                let _ = stack.udp_close(quic.socket()); // it is ours, so it is there
            }
            !drained
        });
    }

    /// When it wants to act though nothing came.
    pub fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        let retry = self.retry_at.filter(|_| self.line.is_none());
        let planned = self
            .plan
            .front()
            .map(|planned| planned.at)
            .filter(|_| self.line.as_ref().is_some_and(|l| l.is_ready && !l.is_over));
        let line = self.line.as_mut().and_then(|line| {
            let session = line.session.as_ref().and_then(Session::next_deadline).map(from_core);
            let log_in = (!line.is_ready).then(|| line.begun + LOG_IN_WITHIN);
            [session, log_in, line.carrier.next_deadline()].into_iter().flatten().min()
        });
        let leaving = self.leaving.iter_mut().filter_map(|quic| quic.next_deadline()).min();
        [retry, planned, line, leaving].into_iter().flatten().min().map(|at| at.max(now))
    }

    fn connect(&mut self, now: Instant, stack: &mut Stack) {
        self.retry_at = None;
        let to = (self.exchange, self.account.domain.as_str());
        match Carrier::open(self.over, (now, stack), to, self.bind) {
            Ok(carrier) => {
                // Where TLS comes first, it begins when the handshake is done.
                let session = (!self.over.is_secure_from_the_start()).then(|| self.make_session(now, None));
                let line =
                    Line { carrier, session, out: Vec::new(), begun: now, is_ready: false, is_over: false };
                self.line = Some(line);
            }
            Err(error) => {
                self.experiences.push_back(Experience::Ended { why: error.to_string() });
                self.retry_later(now);
            }
        }
    }

    fn make_session(&mut self, now: Instant, exporter: Option<[u8; 32]>) -> Session {
        let encrypted = self.over.is_secure_from_the_start();
        let can_start_tls = self.over == Over::StartTls;
        let facts = Facts { framed: false, encrypted, local: true, can_start_tls, exporter };
        let nonce = format!("{:016x}{:016x}", self.rng.next_u64(), self.rng.next_u64());
        Session::new(to_core(now), self.account.clone(), facts, nonce)
    }

    fn retry_later(&mut self, now: Instant) {
        let wait = RETRY_MIN + self.rng.duration(RETRY_MAX - RETRY_MIN);
        self.retry_at = self.wants.then(|| now + wait);
    }

    /// Takes what came, and what time says.
    fn hear(&mut self, now: Instant, stack: &mut Stack) {
        let Some(line) = &mut self.line else { return };
        let Heard { secured, bytes, ended } = line.carrier.hear(now, stack);
        if let Some(binding) = secured {
            match &mut line.session {
                Some(session) => session.handle_secured(to_core(now), Some(binding)),
                None => {
                    let session = self.make_session(now, secured);
                    if let Some(line) = &mut self.line {
                        line.session = Some(session);
                    }
                }
            }
        }
        let Some(line) = &mut self.line else { return };
        if let Some(session) = &mut line.session {
            if !bytes.is_empty() {
                session.handle_bytes(to_core(now), &bytes);
            }
            session.handle_timer(to_core(now));
            if let Some(why) = &ended {
                session.handle_lost(why);
            }
        } else if let Some(why) = &ended {
            self.experiences.push_back(Experience::Ended { why: why.clone() });
            line.is_over = true;
        }
        if !line.is_ready && !line.is_over && now >= line.begun + LOG_IN_WITHIN {
            self.experiences.push_back(Experience::Ended { why: "no log-in in time".to_owned() });
            line.is_over = true;
        }
        self.take_events();
    }

    fn take_events(&mut self) {
        let Some(line) = &mut self.line else { return };
        let Some(session) = &mut line.session else { return };
        while let Some(event) = session.poll_event() {
            match event {
                Event::Ready { jid, .. } => {
                    line.is_ready = true;
                    self.sessions += 1;
                    self.experiences.push_back(Experience::Ready { jid });
                    session.send_presence();
                    if self.sessions > 1 {
                        // What was handed to a session that died is in the archive, if it was acknowledged.
                        session.send(CATCH_UP.into());
                    }
                }
                Event::Stanza { serial, stanza } => {
                    if let Some(message) = archived(&stanza) {
                        self.experiences.push_back(Experience::Archived(message));
                    } else if let Some(message) = Message::read(&stanza) {
                        self.experiences.push_back(Experience::Arrived(message));
                    } else if let Some(why) = client::message::read_error(&stanza) {
                        let id = stanza.attribute("id").unwrap_or_default().to_owned();
                        self.experiences.push_back(Experience::Bounced { id, why });
                    }
                    session.release(serial);
                }
                Event::Acknowledged(count) => {
                    while self.unacknowledged.front().is_some_and(|(serial, _)| *serial <= count) {
                        let id = self.unacknowledged.pop_front().map(|(_, id)| id).unwrap_or_default();
                        self.experiences.push_back(Experience::Acknowledged { id });
                    }
                }
                Event::Ended(end) => {
                    line.is_over = true;
                    self.experiences.push_back(Experience::Ended { why: end.to_string() });
                }
                Event::StartTls => line.carrier.start_tls(&self.account.domain),
            }
        }
    }

    fn say_planned(&mut self, now: Instant) {
        let Some(line) = self.line.as_mut().filter(|line| line.is_ready && !line.is_over) else { return };
        let Some(session) = &mut line.session else { return };
        while self.wants && self.plan.front().is_some_and(|planned| planned.at <= now) {
            let Some(planned) = self.plan.pop_front() else { return };
            let stanza = Message::write(&planned.to, &planned.id, &planned.body, session.is_framed());
            let serial = session.send(stanza);
            self.unacknowledged.push_back((serial, planned.id.clone()));
            self.experiences.push_back(Experience::Wrote { id: planned.id });
        }
    }

    /// Lets the carrier have what the session said, and ends what is over.
    fn speak(&mut self, now: Instant, stack: &mut Stack) {
        let Some(line) = &mut self.line else { return };
        if let Some(session) = &mut line.session {
            while let Some(bytes) = session.poll_output() {
                line.out.extend_from_slice(&bytes);
            }
        }
        line.carrier.say(now, stack, &mut line.out);
        if line.is_over {
            let line = self.line.take();
            self.leaving.extend(line.and_then(|line| line.carrier.close(now, stack)));
            // What was not acknowledged may have arrived, or not.
            self.unacknowledged.clear();
            self.retry_later(now);
        }
    }
}

/// The message in an answer of the archive (XEP-0313 4.2).
fn archived(stanza: &Element) -> Option<Message> {
    let result = stanza.child("result", "urn:xmpp:mam:2")?;
    Message::read(result.child("forwarded", "urn:xmpp:forward:0")?.child("message", xmpp::ns::CLIENT)?)
}

/// The world's time as the cores of the chat know it.
pub(crate) fn to_core(at: Instant) -> xmpp::time::Instant {
    xmpp::time::Instant::from_nanos(at.as_nanos())
}

/// And back.
pub(crate) fn from_core(at: xmpp::time::Instant) -> Instant {
    Instant::from_nanos(at.as_nanos())
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("number", &self.number())
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
