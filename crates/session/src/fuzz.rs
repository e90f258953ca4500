//! Entry points for fuzzers: whatever a client sends, what it is sent is XML and what is kept for it is bounded.
//! Not here: the fuzzer; `fuzz/` has one target for each of these.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use store::Counts;
use xmpp::address::Jid;
use xmpp::scanner::{Limits, Scanner, document};
use xmpp::time::Now;

use crate::resume::{Parked, ResumeId};
use crate::{
    Carrier, CarrierFacts, ChannelBindings, Event, Outbox, RegisterRefusal, RegisterRequest, Registration,
    Session, SessionConfig, Tag, TokensAnswer,
};

/// A conversation over a byte stream: the first octet says how it is cut and whether PLAIN always succeeds. Between
/// what the client says, the other side answers everything that is asked of it.
///
/// # Panics
/// When a session breaks its contract.
pub fn bytes(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let mut world = World::new(Carrier::Tls);
    for piece in rest.chunks(usize::from(first >> 1).max(1)) {
        let mut input = piece;
        loop {
            let before = input.len();
            let event = world.session.handle_input(world.now, &mut input, &mut world.out);
            let answer = event.map(Answer::of);
            assert!(input.len() <= before);
            match answer {
                Some(answer) => world.act(answer),
                None if world.let_failure_be_told() => {}
                None => break,
            }
        }
    }
    world.check_stream();
}

/// A conversation in messages, each ended by a line end.
///
/// # Panics
/// When a session breaks its contract.
pub fn messages(data: &[u8]) {
    let mut world = World::new(Carrier::Wss);
    for piece in data.split(|b| *b == b'\n') {
        let mut message = Some(piece);
        loop {
            let event = world.session.handle_message(world.now, &mut message, &mut world.out);
            let answer = event.map(Answer::of);
            match answer {
                Some(answer) => world.act(answer),
                None if world.let_failure_be_told() => {}
                None => break,
            }
        }
    }
    for message in world.out.messages() {
        assert!(document(message, Limits::of(u32::MAX)).is_ok(), "{}", String::from_utf8_lossy(message));
    }
}

/// What an event asks for.
enum Answer {
    Nothing,
    Secure,
    Credentials(Box<crate::CredentialsRequest>),
    Bind(xmpp::AccountNumber, Option<String>),
    Tokens,
    Register(Box<RegisterRequest>),
    Home,
    Process(u32),
    Resume(ResumeId),
    Over,
}

impl Answer {
    fn of(event: Event<'_>) -> Answer {
        match event {
            Event::StartTls => Answer::Secure,
            Event::Credentials(request) => Answer::Credentials(request),
            Event::Tokens(_) => Answer::Tokens,
            Event::Register(request) => Answer::Register(request),
            Event::LoggedIn { .. } => Answer::Home,
            Event::Bind { number, resource, .. } => Answer::Bind(number, resource),
            Event::Stanza { seq, .. } => Answer::Process(seq),
            Event::Finished { .. } => Answer::Over,
            Event::Resume { id, .. } => Answer::Resume(id),
            Event::LogInFailed { .. }
            | Event::Delivered { .. }
            | Event::Acknowledging { .. }
            | Event::ClientState { .. } => Answer::Nothing,
        }
    }
}

struct World {
    session: Session,
    config: Arc<SessionConfig>,
    out: Outbox,
    now: Now,
    over: bool,
}

impl World {
    fn new(carrier: Carrier) -> World {
        let mut config = SessionConfig::new("x", [1; 32]);
        config.registration = Registration::Open;
        let config = Arc::new(config);
        let facts = CarrierFacts {
            carrier,
            encrypted: true,
            local: false,
            clear_text_allowed: false,
            can_starttls: false,
            remote: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
        };
        let now = Now::default();
        let out = if carrier.is_framed() { Outbox::framed() } else { Outbox::stream() };
        let bindings = ChannelBindings { exporter: Some([2; 32]), end_point: None };
        World {
            session: Session::new(now, config.clone(), facts, bindings, [3; 32]),
            config,
            out,
            now,
            over: false,
        }
    }

    fn act(&mut self, answer: Answer) {
        assert!(!self.over, "nothing is told after the end");
        match answer {
            Answer::Nothing => {}
            Answer::Over => self.over = true,
            Answer::Secure => {
                let facts = *self.session.facts();
                self.session.handle_secured(self.now, facts, ChannelBindings::default());
            }
            Answer::Credentials(request) => {
                let answer = crate::sasl::fuzz_answer(&request, &self.config);
                let event = self.session.handle_credentials(self.now, answer, &mut self.out);
                self.follow(event);
            }
            Answer::Tokens => {
                let event = self.session.handle_tokens(TokensAnswer::Done, &mut self.out);
                self.follow(event);
            }
            Answer::Register(request) => {
                let answer = match *request {
                    RegisterRequest::Show { mark } if mark[0] & 1 == 1 => Err(RegisterRefusal::NoInvite),
                    _ => Ok(xmpp::AccountNumber::FIRST),
                };
                let event = self.session.handle_registered(self.now, answer, &mut self.out);
                self.follow(event);
            }
            Answer::Home => {
                let event = self.session.handle_home(&mut self.out);
                self.follow(event);
            }
            Answer::Bind(number, resource) => {
                if let Ok(jid) = Jid::of_number(number, "x", Some(resource.as_deref().unwrap_or("r"))) {
                    self.session.handle_bound(self.now, &jid, b"", &mut self.out);
                    let message = b"<message from='y'><body>a</body></message>";
                    let sent = self.session.handle_delivery(self.now, message, Some(Tag(1)), &mut self.out);
                    assert!(sent.is_ok(), "a session that was just bound takes a message");
                } else {
                    let refusal = xmpp::StanzaCondition::BadRequest.into();
                    self.session.handle_bind_refused(&refusal, &mut self.out);
                }
            }
            Answer::Process(seq) => self.session.handle_processed(seq, &mut self.out),
            // Every other session is still there, with one message that was not confirmed.
            Answer::Resume(id) if id.to_bits() % 2 == 0 => {
                let event = self.session.handle_resume_refused(None, &mut self.out);
                self.follow(event);
            }
            Answer::Resume(id) => {
                let counts = Counts { received: 1, processed: 1, ..Counts::default() };
                let unacked = [(b"<message from='y'/>".to_vec(), Some(Tag(1)))];
                let parked = Parked::restore(id, self.config.resume_max, &counts, unacked);
                let jid = Jid::parse("10001@x/r").expect("an address");
                self.session.handle_resumed(self.now, &jid, parked, &mut self.out);
                if let Some(count) = self.session.poll_count() {
                    self.session.handle_counted(count.upto, &mut self.out);
                }
                assert!(self.session.wants_input(), "it is resumed, or over");
            }
        }
    }

    /// What a client proved in vain it hears a millisecond later. Answers whether there was something to hear.
    fn let_failure_be_told(&mut self) -> bool {
        let soon = self.now.later(Duration::from_millis(1));
        let due = !self.over && self.session.next_deadline().is_some_and(|at| at <= soon.mono);
        if due {
            self.now = soon;
            let event = self.session.handle_timer(soon, &mut self.out);
            self.follow(event);
        }
        due
    }

    fn follow(&mut self, event: Option<Event<'static>>) {
        if let Some(event) = event {
            self.act(Answer::of(event));
        }
    }

    /// What was written is one stream after another, each XML.
    fn check_stream(&self) {
        let mut written = self.out.bytes();
        let mut scanner = Scanner::new(Limits::of(u32::MAX));
        while !written.is_empty() {
            match scanner.scan(written) {
                Ok(Some(found)) => written = &written[found.consumed..],
                Ok(None) => return,
                // A new header begins a new stream (RFC 6120 4.3.3).
                Err(_) => {
                    assert!(written.starts_with(b"<?xml"), "{}", String::from_utf8_lossy(self.out.bytes()));
                    scanner.restart();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
