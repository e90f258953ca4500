//! A crowd: very many sessions on one exchange and its stack, with clients so small that what grows is the exchange.
//! Spec: RFC 9293 (the least that a cable without loss and delay asks of a client), RFC 6120 4, 6, 7, RFC 5802.
//! Owns: the exchange, the cable, and a few octets a client, all of them made before the first logs in: from then on memory grows by what
//! the exchange, its stack and its store need. Shares no code with them but the layout of packets.
//! Invariants: a frame that no client expects, a RST, or a step that does not come is a panic that says whose.
//! Not here: links that lose, clients that plan (`world`), who counts memory (the test, the bench).
//!
//! ```text
//!   callers (seq, ack) - frames - queue 0 - Stack - loop 0 --.
//!                               ` queue 1 - Stack - loop 1 --+- store desk - Memory
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use device::Device;
use device::memory::{self, Memory};
use hmac::{Hmac, KeyInit, Mac};
use server::network::Network;
use server::network::stack::StackNetwork;
use server::steered::{Setup, Steered};
use sha1::{Digest, Sha1};
use stack::config::RouteConfig;
use stack::{InterfaceConfig, InterfaceId, Prefix, Secret, Stack};
use store::{Answer, Backend, Op};
use wire::ip::Protocol;
use wire::meta::{Capabilities, ChecksumOffload, Nanos, TxMeta};
use wire::tcp::{Flags, Header, TcpOptions};
use wire::{ipv4, tcp as segment};
use xmpp::address::AccountNumber;
use xmpp::time::{Instant, Now, Wallclock};

use crate::world::{DOMAIN, EXCHANGE, PASSWORD, PORT};

/// The civil time at the start: 2026-01-01T00:00:00Z.
const EPOCH_MILLIS: u64 = 1_767_225_600_000;
/// PBKDF2 rounds: the fewest that an exchange may ask for (RFC 7677 4). Each account has the same keys, so they are derived once.
const ITERATIONS: u32 = 4096;
const SALT: [u8; 16] = *b"salt of a crowd.";
/// Clients that log in side by side.
const ABREAST: usize = 64;
/// Clients of one address; the next ones have the next address.
const PORTS: usize = 50_000;
const FIRST_PORT: u16 = 1024;
/// The addresses of clients begin here: 10.1.0.0.
const FIRST_ADDRESS: u32 = 0x0a01_0000;
/// Frames taken in one go.
const FRAMES_MAX: usize = 1024;
/// A turn takes so long on the crowd's clock.
const TURN_NANOS: u64 = 20_000;
/// Turns within which a step of a log-in, or a message, must come.
const TURNS_MAX: usize = 10_000;
const WINDOW: u16 = 65_535;

/// One client: where its stream is in both directions, and how much it has heard.
#[derive(Clone, Copy, Debug, Default)]
struct Caller {
    seq: u32,
    ack: u32,
    messages: u16,
    open: bool,
}

/// A log-in under way.
#[derive(Debug)]
struct Talk {
    client: usize,
    step: Step,
    heard: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connecting,
    Opening,
    Challenge,
    Success,
    OpeningAgain,
    Binding,
    Presence,
}

/// A crowd and its exchange.
pub struct Crowd {
    exchange: Steered,
    ports: Vec<Memory>,
    callers: Vec<Caller>,
    talks: Vec<Talk>,
    /// Space of log-ins that are done.
    spare: Vec<Vec<u8>>,
    frame: Vec<u8>,
    frames: Vec<Vec<u8>>,
    client_key: [u8; 20],
    nanos: u64,
    refused: Option<String>,
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// The stack's device sums nothing and checks nothing: the cable is memory.
fn capabilities() -> Capabilities {
    Capabilities { tx_checksum: true, ..Capabilities::default() }
}

fn host() -> Stack {
    let mut interface = InterfaceConfig::ip(capabilities());
    interface.addresses.push(Prefix::new(IpAddr::V4(EXCHANGE), 24).expect("24 is a length"));
    let everywhere =
        RouteConfig { prefix: Prefix::DEFAULT_V4, gateway: None, interface: InterfaceId(0), metric: 0 };
    let config =
        stack::Config { interfaces: vec![interface], routes: vec![everywhere], ..stack::Config::default() };
    Stack::new(&config, &Secret::from_seed(1), stack::Instant::ZERO).expect("one interface with one address")
}

fn address(client: usize) -> (Ipv4Addr, u16) {
    let host = FIRST_ADDRESS + (client / PORTS) as u32;
    (host.into(), FIRST_PORT + (client % PORTS) as u16)
}

fn client_at(address: Ipv4Addr, port: u16) -> Option<usize> {
    let host = address.to_bits().checked_sub(FIRST_ADDRESS)? as usize;
    Some(host * PORTS + usize::from(port.checked_sub(FIRST_PORT)?))
}

impl Crowd {
    /// An exchange of so many loops, and so many accounts, none of whom is there yet.
    ///
    /// # Panics
    /// The exchange does not start, or the store makes no accounts.
    pub fn new(loops: usize, clients: usize) -> Self {
        let mut kept = store::Memory::default();
        let wall = Wallclock::from_millis(EPOCH_MILLIS);
        let credentials = session::sasl::keys::derive_keys(PASSWORD, SALT, ITERATIONS)
            .expect("the password is plain letters");
        for client in 0..clients {
            let credentials = Box::new(credentials.clone());
            let made = kept.run_one(wall, Op::CreateAccount { number: None, name: None, credentials });
            assert_eq!(made, Ok(Answer::Created(number(client))));
        }
        let (mut networks, mut ports): (Vec<Vec<Box<dyn Network>>>, Vec<Memory>) = (Vec::new(), Vec::new());
        for _ in 0..loops {
            let (ours, theirs) = memory::pair(capabilities());
            networks.push(vec![Box::new(StackNetwork::new("sim", host(), ours, loops as u8))]);
            ports.push(theirs);
        }
        let at = vec![SocketAddr::new(IpAddr::V4(EXCHANGE), PORT)];
        let mut config = server::Config {
            networks: vec![server::config::NetworkSpec::Kernel],
            listen: server::config::Listen { tcp: at, ..server::config::Listen::none() },
            domain: DOMAIN.to_owned(),
            ..server::Config::default()
        };
        config.security.clear_text = server::config::ClearText::Always;
        config.security.scram_iterations = ITERATIONS;
        let setup = Setup { config, backend: Box::new(kept), networks, seed: 1 };
        let mut salted = [0; 20];
        pbkdf2::pbkdf2_hmac::<Sha1>(PASSWORD.as_bytes(), &SALT, ITERATIONS, &mut salted);
        let start = Now { mono: Instant::from_nanos(0), wall };
        let exchange =
            Steered::new(start, setup).unwrap_or_else(|error| panic!("an exchange in a box starts: {error}"));
        Self {
            exchange,
            ports,
            callers: vec![Caller::default(); clients],
            talks: Vec::with_capacity(ABREAST),
            spare: (0..ABREAST).map(|_| Vec::with_capacity(16 * 1024)).collect(),
            frame: Vec::with_capacity(2048),
            frames: (0..FRAMES_MAX).map(|_| Vec::with_capacity(2048)).collect(),
            client_key: hmac(&salted, b"Client Key"),
            nanos: 0,
            refused: None,
        }
    }

    /// The exchange.
    pub fn exchange(&self) -> &Steered {
        &self.exchange
    }

    /// The civil and the running time now.
    pub fn now(&self) -> Now {
        let wall = Wallclock::from_millis(EPOCH_MILLIS + self.nanos / 1_000_000);
        Now { mono: Instant::from_nanos(self.nanos), wall }
    }

    /// Logs clients in, each to its end: connected, authenticated, bound, present.
    ///
    /// # Panics
    /// One of them is refused, or hears nothing.
    pub fn log_in(&mut self, clients: std::ops::Range<usize>) {
        let mut coming = clients.peekable();
        let mut turns = 0;
        while coming.peek().is_some() || !self.talks.is_empty() {
            while self.talks.len() < ABREAST
                && let Some(client) = coming.next()
            {
                let heard = self.spare.pop().unwrap_or_default();
                self.talks.push(Talk { client, step: Step::Connecting, heard });
                self.connect(client);
                turns = 0;
            }
            self.turn();
            turns += 1;
            assert!(turns < TURNS_MAX, "log-ins that go nowhere: {:?}", self.talks);
        }
    }

    /// Writes a message from one client to another, and waits until it is there.
    ///
    /// # Panics
    /// It does not come.
    pub fn relay(&mut self, from: usize, to: usize) {
        let before = self.callers[to].messages;
        let message = format!(
            "<message to='{}@{DOMAIN}' type='chat'><body>anybody there?</body></message>",
            number(to)
        );
        self.say(from, message.as_bytes());
        for _ in 0..TURNS_MAX {
            self.turn();
            if self.callers[to].messages > before {
                return;
            }
        }
        panic!("a message from client {from} to {to} did not come");
    }

    /// Lets time pass, turn by turn where something is due.
    pub fn rest(&mut self, span: std::time::Duration) {
        let end = self.nanos + span.as_nanos() as u64;
        while self.nanos < end {
            self.turn();
            let exchange = self.exchange.next_deadline();
            let due = exchange.into_iter().chain(self.exchange.store_deadline()).min();
            self.nanos = due.map_or(end, Instant::as_nanos).clamp(self.nanos, end);
        }
        self.turn();
    }

    /// One turn: frames in, the exchange and its store, frames out, and what clients answer.
    fn turn(&mut self) {
        self.nanos += TURN_NANOS;
        let now = self.now();
        assert!(self.exchange.turn(now).is_ok(), "the exchange comes to rest");
        while self.exchange.store_has_work(now.mono) {
            self.exchange.work_store(now);
            self.exchange.send_answers(now);
            assert!(self.exchange.turn(now).is_ok(), "the exchange comes to rest");
        }
        for queue in 0..self.ports.len() {
            loop {
                let batch = self.ports[queue]
                    .receive(Nanos(self.nanos), 0, FRAMES_MAX)
                    .expect("memory does not fail");
                let count = batch.len();
                for at in 0..count {
                    self.frames[at].clear();
                    self.frames[at].extend_from_slice(batch.frame(at).bytes);
                }
                for at in 0..count {
                    let frame = std::mem::take(&mut self.frames[at]);
                    self.hear(&frame);
                    self.frames[at] = frame;
                }
                if count == 0 {
                    break;
                }
            }
        }
        if let Some(refused) = &self.refused {
            panic!("{refused}");
        }
    }

    /// A frame comes to a client.
    fn hear(&mut self, frame: &[u8]) {
        let packet = ipv4::Packet::new(frame).expect("the stack sends packets");
        let segment = segment::Packet::new(packet.payload()).expect("of TCP");
        let client =
            client_at(packet.dst(), segment.dst_port()).filter(|client| *client < self.callers.len());
        let client = client.unwrap_or_else(|| panic!("a segment for nobody: {}", packet.dst()));
        let (flags, payload) = (segment.flags(), segment.payload());
        assert!(!flags.rst() && !flags.fin(), "client {client} is cut off: {flags:?}");
        let caller = &mut self.callers[client];
        if flags.syn() {
            if !caller.open {
                (caller.open, caller.ack) = (true, segment.seq().wrapping_add(1));
                let open = stream_header();
                self.say(client, open.as_bytes());
                self.step(client, Step::Opening);
            }
            return;
        }
        if payload.is_empty() {
            return;
        }
        if segment.seq() == caller.ack {
            caller.ack = caller.ack.wrapping_add(payload.len() as u32);
            caller.messages += payload.windows(10).filter(|tag| *tag == b"</message>").count() as u16;
            let talk = self.talks.iter().position(|talk| talk.client == client);
            if let Some(talk) = talk {
                self.talks[talk].heard.extend_from_slice(payload);
                if self.go_on(talk) {
                    return; // what it says acknowledges
                }
            }
        }
        self.send(client, Flags::ACK, TcpOptions::NONE, b"");
    }

    fn step(&mut self, client: usize, step: Step) {
        if let Some(talk) = self.talks.iter_mut().find(|talk| talk.client == client) {
            talk.step = step;
            talk.heard.clear();
        }
    }

    /// Takes a log-in further, if what it waits for has come. Answers whether something was said.
    fn go_on(&mut self, talk: usize) -> bool {
        let Talk { client, step, ref heard } = self.talks[talk];
        let text = String::from_utf8_lossy(heard);
        if text.contains("<failure") || text.contains("stream:error") || text.contains("type='error'") {
            self.refused = Some(format!("client {client} is refused while {step:?}: {text}"));
            return false;
        }
        let (said, next) = match step {
            Step::Opening if text.contains("</stream:features>") => {
                let first = BASE64.encode(format!("n,,{}", bare(client)));
                let auth = format!(
                    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>{first}</auth>"
                );
                (auth, Step::Challenge)
            }
            Step::Challenge if text.contains("</challenge>") => (self.response(client, &text), Step::Success),
            Step::Success if text.contains("<success") && text.contains("</success>") => {
                (stream_header(), Step::OpeningAgain)
            }
            Step::OpeningAgain if text.contains("</stream:features>") => (
                "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>".to_owned(),
                Step::Binding,
            ),
            Step::Binding if text.contains("</iq>") => (
                "<presence/><iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>".to_owned(),
                Step::Presence,
            ),
            // The ping's answer shows that the presence was taken in.
            Step::Presence if text.contains("id='p'") => {
                let mut done = self.talks.swap_remove(talk);
                done.heard.clear();
                self.spare.push(done.heard);
                return false;
            }
            _ => return false,
        };
        self.step(client, next);
        self.say(client, said.as_bytes());
        true
    }

    /// RFC 5802 3.
    fn response(&self, client: usize, challenge: &str) -> String {
        let text = challenge.split_once("</challenge>").map_or("", |(before, _)| before);
        let text = text.rsplit('>').next().unwrap_or_default();
        let challenge = BASE64.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let challenge = challenge.unwrap_or_else(|| panic!("client {client}: no challenge: {text}"));
        let nonce = challenge.split(',').find_map(|part| part.strip_prefix("r=")).unwrap_or_default();
        let without_proof = format!("c=biws,r={nonce}");
        let stored = Sha1::digest(self.client_key);
        let signature = hmac(&stored, format!("{},{challenge},{without_proof}", bare(client)).as_bytes());
        let proof: Vec<u8> = self.client_key.iter().zip(signature).map(|(key, sign)| key ^ sign).collect();
        let last = BASE64.encode(format!("{without_proof},p={}", BASE64.encode(proof)));
        format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{last}</response>")
    }

    fn connect(&mut self, client: usize) {
        self.callers[client].seq = client as u32;
        let options = TcpOptions { mss: Some(1460), ..TcpOptions::NONE };
        self.send(client, Flags::SYN, options, b"");
        self.callers[client].seq += 1;
    }

    fn say(&mut self, client: usize, text: &[u8]) {
        self.send(client, Flags::ACK | Flags::PSH, TcpOptions::NONE, text);
        let caller = &mut self.callers[client];
        caller.seq = caller.seq.wrapping_add(text.len() as u32);
    }

    /// Puts a segment on the cable, on the queue that is the client's for good.
    fn send(&mut self, client: usize, flags: Flags, options: TcpOptions, text: &[u8]) {
        let caller = self.callers[client];
        let (src, src_port) = address(client);
        let header = Header {
            src_port,
            dst_port: PORT,
            seq: caller.seq,
            ack: if flags.ack() { caller.ack } else { 0 },
            flags,
            window: WINDOW,
            urgent: 0,
            options,
        };
        let len = header.header_len() + text.len();
        let ip = ipv4::Header::new(src, EXCHANGE, Protocol::TCP, 64, len as u16);
        let frame = &mut self.frame;
        frame.clear();
        frame.resize(ipv4::HEADER_LEN + len, 0);
        ip.emit(frame);
        let at = ipv4::HEADER_LEN + header.emit(&mut frame[ipv4::HEADER_LEN..]);
        frame[at..].copy_from_slice(text);
        let queue = client % self.ports.len();
        let port = &mut self.ports[queue];
        let sink = port.transmit(Nanos(self.nanos), 0);
        let room = sink.reserve(frame.len()).expect("the cable holds more than a crowd's steps");
        room.copy_from_slice(frame);
        // It never leaves memory: the other end may take it as checked.
        let checksum =
            ChecksumOffload { start: ipv4::HEADER_LEN as u16, offset: segment::CHECKSUM_OFFSET as u16 };
        sink.commit(frame.len(), TxMeta { checksum: Some(checksum), ..TxMeta::default() });
        port.flush(Nanos(self.nanos), 0).expect("memory does not fail");
    }
}

/// The number of a client.
fn number(client: usize) -> AccountNumber {
    AccountNumber::new(AccountNumber::FIRST.get() + client as u64).expect("a number")
}

fn bare(client: usize) -> String {
    format!("n={},r=oneofthecrowd{client:08x}", number(client))
}

fn stream_header() -> String {
    format!(
        "<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>"
    )
}

impl std::fmt::Debug for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crowd")
            .field("callers", &self.callers.len())
            .field("nanos", &self.nanos)
            .finish_non_exhaustive()
    }
}
