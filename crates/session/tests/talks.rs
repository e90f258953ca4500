//! Conversations as scripts, each a file in `tests/talks/streams/` of the workspace. A script is lines of
//!
//! ```text
//! # a comment
//! over tcp | local | tls | ws | wss     a new session; tcp is remote and may use STARTTLS, local may use clear text
//! C: what the client sends              one message on ws and wss; `{HT-…}` is a token's proof, see `Talk::prove`
//! S: what it is sent, exactly; … stands for anything
//! E: what the server and the router are told; … as above
//! ! what they answer: see `Talk::act`
//! ```
//!
//! Before each `C:` and `!`, and at the end, nothing may be left unsaid.

#![allow(clippy::unwrap_used, reason = "a script that is wrong may panic")]

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use session::sasl::keys::derive_keys;
use session::{
    Carrier, CarrierFacts, ChannelBindings, CredentialsRequest, Event, Outbox, Parked, RegisterRefusal,
    RegisterRequest, Registration, Session, SessionConfig, Tag, TokensAnswer,
};
use store::{AccountState, Answer, Authority, Backend, Memory, Op, TokenChange};
use switchboard_session as session;
use xmpp::error::{StanzaCondition, StreamErrorKind};
use xmpp::time::Now;

struct Talk {
    config: Arc<SessionConfig>,
    session: Session,
    facts: CarrierFacts,
    out: Outbox,
    now: Now,
    /// What was sent and no `S:` has named. One item a message; a byte stream is one item.
    sent: VecDeque<String>,
    events: VecDeque<String>,
    request: Option<Box<CredentialsRequest>>,
    change: Option<Box<TokenChange>>,
    /// What lasts from one session of a script to the next: 10001 with its password, and its tokens.
    store: Memory,
    /// The last token that was sent.
    token: String,
    /// What is left of a session that lost its connection.
    parked: Option<Parked>,
}

const EXPORTER: [u8; 32] = [5; 32];
const END_POINT: [u8; 48] = [6; 48];

fn bindings(encrypted: bool) -> ChannelBindings {
    match encrypted {
        true => ChannelBindings { exporter: Some(EXPORTER), end_point: Some(END_POINT.into()) },
        false => ChannelBindings::default(),
    }
}

fn facts(over: &str) -> CarrierFacts {
    let carrier = match over {
        "tcp" | "local" => Carrier::Tcp,
        "tls" => Carrier::Tls,
        "ws" => Carrier::Ws,
        "wss" => Carrier::Wss,
        other => panic!("no carrier {other}"),
    };
    let encrypted = matches!(carrier, Carrier::Tls | Carrier::Wss);
    CarrierFacts {
        carrier,
        encrypted,
        local: matches!(over, "local" | "ws"),
        clear_text_allowed: matches!(over, "local" | "ws"),
        can_starttls: carrier == Carrier::Tcp,
        remote: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
    }
}

impl Talk {
    fn new(over: &str) -> Talk {
        let mut config = SessionConfig::new("example.net", [1; 32]);
        config.inline_features = vec!["urn:x:inline".into()];
        config.stream_features = "<ver xmlns='urn:xmpp:features:rosterver'/>".into();
        config.unacked_max = 3;
        config.output_max = 5_000;
        config.attempts_max = 3;
        // `open tls`: anybody may register.
        let over = match over.strip_prefix("open ") {
            Some(over) => {
                config.registration = Registration::Open;
                over
            }
            None => over,
        };
        let config = Arc::new(config);
        let (facts, now) = (facts(over), Now::default());
        let out = if facts.carrier.is_framed() { Outbox::framed() } else { Outbox::stream() };
        let session = Session::new(now, config.clone(), facts, bindings(facts.encrypted), [2; 32]);
        let (sent, events) = (VecDeque::new(), VecDeque::new());
        let mut store = Memory::default();
        let credentials = Box::new(derive_keys("pencil", [7; 16], 4096).unwrap());
        store.run_one(now.wall, Op::CreateAccount { number: None, name: None, credentials }).unwrap();
        let (request, change, token) = (None, None, String::new());
        Talk { config, session, facts, out, now, sent, events, request, change, store, token, parked: None }
    }

    /// Another session of the same script.
    fn again(self, over: &str) -> Talk {
        let Talk { now, store, token, parked, .. } = self;
        let mut next = Talk::new(over);
        let bindings = bindings(next.facts.encrypted);
        // What is random differs from session to session.
        let seed = [token.bytes().fold(2, u8::wrapping_add); 32];
        next.session = Session::new(now, next.config.clone(), next.facts, bindings, seed);
        Talk { now, store, token, parked, ..next }
    }

    /// Puts base64 of what draft-schmaus-kitten-sasl-ht asks for where `{HT-SHA-256-…}` stands: the last token's
    /// proof that 10001 has it, or of the number or the token behind the name: `{HT-SHA-256-NONE 10002 secret}`.
    fn prove(&self, text: &str) -> String {
        let Some((before, rest)) = text.split_once('{') else { return text.to_owned() };
        let (asked, after) = rest.split_once('}').unwrap();
        let mut words = asked.split(' ');
        let bound: &[u8] = match words.next().unwrap() {
            "HT-SHA-256-NONE" => &[],
            "HT-SHA-256-EXPR" => &EXPORTER,
            "HT-SHA-256-ENDP" => &END_POINT,
            other => panic!("no mechanism {other}"),
        };
        let (number, token) = (words.next().unwrap_or("10001"), words.next().unwrap_or(&self.token));
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(token.as_bytes()).unwrap();
        mac.update(b"Initiator");
        mac.update(bound);
        let said = [number.as_bytes(), b"\0", &mac.finalize().into_bytes()].concat();
        format!("{before}{}{after}", BASE64.encode(said))
    }

    fn hear(
        events: &mut VecDeque<String>,
        request: &mut Option<Box<CredentialsRequest>>,
        change: &mut Option<Box<TokenChange>>,
        event: Event<'_>,
    ) {
        events.push_back(match event {
            Event::StartTls => "starttls".into(),
            Event::Credentials(asked) => {
                let said = format!("credentials {} {}", asked.name.as_str(), asked.mechanism.name());
                *request = Some(asked);
                said
            }
            Event::Tokens(asked) => {
                let TokenChange { number, authority, forget, issue, .. } = &*asked;
                let mut said = format!("tokens of {number}");
                match authority {
                    Authority::Password(_) => said.push_str(", password"),
                    Authority::Token { count: Some(count), .. } => said.push_str(&format!(", count {count}")),
                    Authority::Token { count: None, .. } => {}
                }
                said.push_str(if *forget { ", forget" } else { "" });
                if let Some(new) = issue {
                    said.push_str(&format!(", new {}", new.mechanism));
                }
                *change = Some(asked);
                said
            }
            Event::Register(request) => match *request {
                RegisterRequest::Show { mark } if mark == session::invite_mark("good") => "show good".into(),
                RegisterRequest::Show { .. } => "show another".into(),
                RegisterRequest::Hold { until, .. } => format!("hold until {until}"),
                RegisterRequest::Create { number, password, .. } => format!("create {number} {password}"),
                RegisterRequest::Password { number, password } => format!("password {number} {password}"),
                RegisterRequest::Remove { number } => format!("remove {number}"),
            },
            Event::LoggedIn { number } => format!("logged in {number}"),
            Event::LogInFailed { number: Some(number) } => format!("log-in failed {number}"),
            Event::LogInFailed { number: None } => "log-in failed".into(),
            Event::Bind { number, resource, facts } => {
                let counts = if facts.acknowledging { " acknowledging" } else { "" };
                let inline = facts.inline.map(|inline| format!(" {inline}")).unwrap_or_default();
                format!("bind {number} {}{counts}{inline}", resource.as_deref().unwrap_or("-"))
            }
            Event::Stanza { seq, stanza, .. } => format!("stanza {seq} {}", stanza.raw()),
            Event::Resume { number, id } => format!("resume {number} {id}"),
            Event::ClientState { active } => if active { "active" } else { "inactive" }.into(),
            Event::Acknowledging { resume: None } => "acknowledging".into(),
            Event::Acknowledging { resume: Some((id, base)) } => format!("resumable {id} {base}"),
            Event::Delivered { tag } => format!("delivered {}", tag.0),
            Event::Finished { reason } => format!("finished: {reason}"),
        });
    }

    fn say(&mut self, text: &str) {
        let text = &self.prove(text);
        let Talk { session, out, now, events, request, change, .. } = self;
        if self.facts.carrier.is_framed() {
            let mut message = (!text.is_empty()).then_some(text.as_bytes());
            while let Some(event) = session.handle_message(*now, &mut message, out) {
                Talk::hear(events, request, change, event);
            }
        } else {
            let mut input = text.as_bytes();
            while let Some(event) = session.handle_input(*now, &mut input, out) {
                Talk::hear(events, request, change, event);
            }
            assert!(input.is_empty() || !session.wants_input());
        }
        self.let_failures_be_told();
        self.collect();
    }

    /// What a client proved in vain it hears a millisecond later.
    fn let_failures_be_told(&mut self) {
        let soon = self.now.later(Duration::from_millis(1));
        // What is due already is for `wait` to say.
        if self.session.next_deadline().is_some_and(|at| self.now.mono < at && at <= soon.mono) {
            let event = self.session.handle_timer(soon, &mut self.out);
            self.told(event);
        }
    }

    fn told(&mut self, event: Option<Event<'static>>) {
        if let Some(event) = event {
            Talk::hear(&mut self.events, &mut self.request, &mut self.change, event);
        }
    }

    fn collect(&mut self) {
        if let Some(count) = self.session.poll_count() {
            self.events.push_back(format!("count {} for {}", count.upto, count.h));
        }
        let written = String::from_utf8_lossy(self.out.bytes()).into_owned();
        if let Some((_, token)) = written.split_once(" token='") {
            self.token = token.split('\'').next().unwrap().to_owned();
        }
        if self.facts.carrier.is_framed() {
            self.sent.extend(self.out.messages().map(|message| String::from_utf8(message.to_vec()).unwrap()));
        } else if !self.out.is_empty() {
            let more = String::from_utf8(self.out.bytes().to_vec()).unwrap();
            match self.sent.back_mut() {
                Some(before) => before.push_str(&more),
                None => self.sent.push_back(more),
            }
        }
        self.out.clear();
    }

    /// The answers of the server, the store and the router.
    fn act(&mut self, words: &str) {
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        match verb {
            "secured" => {
                self.facts = CarrierFacts { encrypted: true, can_starttls: false, ..self.facts };
                self.session.handle_secured(self.now, self.facts, bindings(true));
            }
            // The account that exists has the password `pencil`.
            "account" => {
                let keys = Box::new(derive_keys("pencil", [7; 16], 4096).unwrap());
                let found = match rest {
                    "found" => Some((AccountState::Enabled, keys)),
                    "disabled" => Some((AccountState::Disabled, keys)),
                    "unknown" | "unreachable" => None,
                    other => panic!("what is {other}"),
                };
                let request = self.request.take().expect("credentials were asked for");
                let answer = match self.store.run_one(self.now.wall, request.op()).unwrap() {
                    _ if rest == "unreachable" => request.failure(&self.config),
                    Answer::Tokens(tokens) => {
                        assert!(found.is_none() || tokens.is_some(), "the store has {rest}");
                        request.answer_tokens(tokens)
                    }
                    _ => request.answer(found, &self.config),
                };
                let event = self.session.handle_credentials(self.now, answer, &mut self.out);
                self.told(event);
            }
            "tokens" => {
                let change = self.change.take().expect("a change of tokens was asked for");
                let answer = match rest {
                    "failed" => TokensAnswer::Failed,
                    "changed" => match self.store.run_one(self.now.wall, Op::ChangeTokens(change)) {
                        Ok(_) => TokensAnswer::Done,
                        Err(_) => TokensAnswer::Stale,
                    },
                    other => panic!("what is {other}"),
                };
                let event = self.session.handle_tokens(answer, &mut self.out);
                self.told(event);
            }
            "registered" => {
                let answer = match rest {
                    "no-invite" => Err(RegisterRefusal::NoInvite),
                    "too-many" => Err(RegisterRefusal::TooMany),
                    "taken" => Err(RegisterRefusal::Taken),
                    number => Ok(number.parse().unwrap()),
                };
                let event = self.session.handle_registered(self.now, answer, &mut self.out);
                self.told(event);
            }
            // Meanwhile, in the store.
            "password-changed" => {
                let credentials = Box::new(derive_keys("other", [8; 16], 4096).unwrap());
                let number = xmpp::AccountNumber::FIRST;
                self.store.run_one(self.now.wall, Op::SetCredentials { number, credentials }).unwrap();
            }
            "later" => self.now = self.now.later(Duration::from_secs(rest.parse().unwrap())),
            "home" => {
                let event = self.session.handle_home(&mut self.out);
                self.told(event);
            }
            "bound" => {
                let (jid, inline) = rest.split_once(' ').unwrap_or((rest, ""));
                self.session.handle_bound(self.now, &jid.parse().unwrap(), inline.as_bytes(), &mut self.out);
            }
            "not-bound" => {
                let condition = StanzaCondition::from_name(rest).unwrap();
                self.session.handle_bind_refused(&condition.into(), &mut self.out);
            }
            "deliver" => {
                let (tag, stanza) = rest.split_once(' ').unwrap();
                let tag = tag.parse().ok().map(Tag);
                if self.session.handle_delivery(self.now, stanza.as_bytes(), tag, &mut self.out).is_err() {
                    self.events.push_back("overflow".into());
                }
            }
            "processed" => self.session.handle_processed(rest.parse().unwrap(), &mut self.out),
            "recorded" => self.session.handle_recorded(rest.parse().unwrap(), &mut self.out),
            "counted" => self.session.handle_counted(rest.parse().unwrap(), &mut self.out),
            // The connection before this one is lost; `over` begins the next, to which what was parked comes.
            "park" => {
                self.session.handle_eof();
                let Some(Event::Finished { reason }) = self.session.poll_event() else { panic!("{rest}") };
                self.parked = self.session.park(reason);
                self.events.push_back(if self.parked.is_some() { "parked" } else { "not parked" }.into());
            }
            "deliver-parked" => {
                let (tag, stanza) = rest.split_once(' ').unwrap();
                let tag = Some(Tag(tag.parse().unwrap()));
                let parked = self.parked.as_mut().unwrap();
                if parked.handle_delivery(stanza.as_bytes(), tag, 4, 5_000).is_err() {
                    self.events.push_back("too much".into());
                }
            }
            "processed-parked" => {
                self.parked.as_mut().unwrap().handle_processed(rest.parse().unwrap(), false);
            }
            "recorded-parked" => {
                self.parked.as_mut().unwrap().handle_processed(rest.parse().unwrap(), true);
            }
            "resumed" => {
                let parked = self.parked.take().unwrap();
                // As it is when the next connection is on another loop.
                let (id, max, counts) = (parked.id(), parked.max(), parked.counts());
                let parked = Parked::restore(id, max, &counts, parked.into_unacked());
                let jid = "10001@example.net/desk".parse().unwrap();
                for tag in self.session.handle_resumed(self.now, &jid, parked, &mut self.out) {
                    self.events.push_back(format!("delivered {}", tag.0));
                }
            }
            "resume-refused" => {
                let event = self.session.handle_resume_refused(rest.parse().ok(), &mut self.out);
                self.told(event);
            }
            "close" => self.session.handle_close(StreamErrorKind::from_name(rest), &mut self.out),
            "eof" => self.session.handle_eof(),
            "wait" => {
                self.now = self.now.later(Duration::from_secs(rest.parse().unwrap()));
                let event = self.session.handle_timer(self.now, &mut self.out);
                self.told(event);
            }
            "unacked" => {
                let left: Vec<_> =
                    self.session.take_unacked().map(|(_, tag)| tag.map_or(0, |tag| tag.0)).collect();
                let left = left.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
                self.events.push_back(format!("unacked {left}"));
            }
            // A stanza of so many octets, or that many levels.
            "long" => {
                self.say(&format!("<message>{}</message>", "x".repeat(rest.parse::<usize>().unwrap() - 19)));
            }
            "deep" => self.say(&"<a>".repeat(rest.parse().unwrap())),
            other => panic!("nobody can {other}"),
        }
        self.say("");
        self.collect();
    }

    /// Takes what `pattern` names from what was sent.
    fn expect(&mut self, pattern: &str) -> Result<(), String> {
        let text = self.sent.pop_front().ok_or_else(|| format!("nothing was sent, not {pattern}"))?;
        let rest = fits(&text, pattern).ok_or_else(|| format!("sent: {text}\n  not: {pattern}"))?;
        if !rest.is_empty() {
            if self.facts.carrier.is_framed() {
                return Err(format!("sent: {text}\nonly: {pattern}"));
            }
            self.sent.push_front(rest.to_owned());
        }
        Ok(())
    }

    fn nothing_left(&self) -> Result<(), String> {
        match (self.sent.front(), self.events.front()) {
            (None, None) => Ok(()),
            (sent, event) => Err(format!("unsaid: {sent:?} {event:?}")),
        }
    }
}

/// What is left of `text` behind `pattern`, in which … stands for anything.
fn fits<'a>(text: &'a str, pattern: &str) -> Option<&'a str> {
    let mut rest = text;
    for (at, part) in pattern.split('…').enumerate() {
        match rest.find(part) {
            // Nothing behind the last … means: to the end.
            Some(_) if at > 0 && part.is_empty() && pattern.ends_with('…') => rest = "",
            Some(found) if at > 0 || found == 0 => rest = &rest[found + part.len()..],
            _ => return None,
        }
    }
    Some(rest)
}

fn play(script: &str) -> Result<(), String> {
    let mut talk: Option<Talk> = None;
    let lines = script
        .lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    for (at, line) in lines {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        let outcome = match (mark, &mut talk) {
            ("over", before) => {
                let left = before.as_ref().map_or(Ok(()), Talk::nothing_left);
                *before = Some(match before.take() {
                    Some(before) => before.again(rest),
                    None => Talk::new(rest),
                });
                left
            }
            ("C:", Some(talk)) => talk.nothing_left().map(|()| talk.say(rest)),
            ("!", Some(talk)) => talk.nothing_left().map(|()| talk.act(rest)),
            ("S:", Some(talk)) => talk.expect(rest),
            ("E:", Some(talk)) => match talk.events.pop_front() {
                Some(event) if fits(&event, rest) == Some("") => Ok(()),
                other => Err(format!("told: {other:?}\n not: {rest}")),
            },
            _ => Err(format!("what is {line}")),
        };
        outcome.map_err(|why| format!("line {}: {why}", at + 1))?;
    }
    talk.map_or(Ok(()), |talk| talk.nothing_left().map_err(|why| format!("at the end: {why}")))
}

#[test]
fn every_talk() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/talks/streams");
    let mut played = 0;
    let mut failed = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if let Err(why) = play(&std::fs::read_to_string(&path).unwrap()) {
            failed.push(format!("{}: {why}", path.display()));
        }
        played += 1;
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(played >= 8);
}

#[test]
fn a_talk_that_is_wrong_fails() {
    let open = "over tls\nC: <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>\n";
    assert!(play(open).unwrap_err().contains("unsaid"));
    assert!(play(&format!("{open}S: <?xml…</stream:features>\n")).is_ok());
    assert!(play(&format!("{open}S: <?xml…</stream:features>\nE: stanza 1\n")).is_err());
    assert!(play(&format!("{open}S: <nothing/>\n")).is_err());
}
