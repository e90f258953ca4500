//! Guessing: from what the exchange says and from how long it takes, nobody learns which numbers there are.
//!
//! Real sockets over loopback, 2,000 attempts with wrong numbers and wrong passwords in turn, each from an address of its
//! own, since an address that keeps failing on one number is slowed down. What is compared is ranks (Mann and Whitney):
//! a machine's hiccups are rare and large, and weigh no more than any other attempt. A difference counts when it is
//! found again and again: chance does not repeat itself, an exchange that tells does.

#![allow(clippy::unwrap_used, reason = "in a test a surprise is a failure")]
#![cfg(target_os = "linux")] // The whole of 127.0.0.0/8 is ours there.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use socket2::{Domain, Socket, Type};

#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "exchange/client.rs"]
mod client;
#[allow(dead_code, reason = "each test uses a part of it")]
#[path = "exchange/house.rs"]
mod house;

use house::{House, PASSWORD};
use switchboard_server::admin::Request;

/// Half of them with wrong numbers.
const ATTEMPTS: usize = 2_000;
/// What chance exceeds once in a thousand times.
const SIGNIFICANT: f64 = 3.3;
/// How often a difference must be found in turn: by chance, once in a thousand million times.
const ROUNDS: usize = 3;

/// What one attempt was told and how long that took: the challenge, which needs the account, and the verdict.
struct Attempt {
    iterations: u32,
    /// The failure, as it came.
    verdict: String,
    /// The challenge, with what differs each time by design put out.
    challenge: String,
    times: [Duration; 2],
}

/// An address of the attempt's own.
fn connect(to: SocketAddr, from: u32) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let [_, b, c, d] = (from + 0x10_000).to_be_bytes();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, b, c, d), 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(client::WITHIN)).unwrap();
    stream
}

/// Reads until this is the end of what came.
fn hear(stream: &mut TcpStream, end: &str) -> String {
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    while !heard.ends_with(end.as_bytes()) {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the stream ended after {}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(heard).unwrap()
}

fn attempt(house: &House, from: u32, name: &str) -> Attempt {
    let mut stream = connect(house.tcp(), from);
    stream.write_all(client::STREAM.as_bytes()).unwrap();
    hear(&mut stream, "</stream:features>");
    let first = BASE64.encode(format!("n,,n={name},r=fyko+d2lbbFgONRv9qkxdawL"));
    let auth =
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{first}</auth>");

    let begun = Instant::now();
    stream.write_all(auth.as_bytes()).unwrap();
    let told = hear(&mut stream, "</challenge>");
    let challenged = begun.elapsed();

    let text = told.strip_suffix("</challenge>").and_then(|told| told.rsplit('>').next()).unwrap();
    let server_first = String::from_utf8(BASE64.decode(text).unwrap()).unwrap();
    let mut parts = server_first.split(',');
    let (nonce, salt, count) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let iterations = count.strip_prefix("i=").unwrap().parse().unwrap();
    // A proof of the right length that nothing fits: whether a password is wrong or nobody's is the exchange's to know.
    let last = BASE64.encode(format!("c=biws,{nonce},p={}", BASE64.encode([7; 32])));
    let response = format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{last}</response>");

    let begun = Instant::now();
    stream.write_all(response.as_bytes()).unwrap();
    let verdict = hear(&mut stream, "</failure>");
    let judged = begun.elapsed();

    let challenge =
        format!("{} r:{} s:{} more:{:?}", told.replace(text, ""), nonce.len(), salt.len(), parts.next());
    Attempt { iterations, verdict, challenge, times: [challenged, judged] }
}

/// How far two samples' ranks are from those of samples of one and the same thing, in standard deviations; positive if
/// the first are larger (Mann and Whitney, ties at their mean rank).
fn difference(first: &[Duration], second: &[Duration]) -> f64 {
    let mut all: Vec<(Duration, bool)> =
        first.iter().map(|time| (*time, true)).chain(second.iter().map(|time| (*time, false))).collect();
    all.sort();
    let (mut rank_sum, mut before) = (0.0, 0);
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let rank = before as f64 + (tied.len() + 1) as f64 / 2.0;
        rank_sum += rank * tied.iter().filter(|(_, of_first)| *of_first).count() as f64;
        before += tied.len();
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let expected = n * (n + m + 1.0) / 2.0;
    (rank_sum - expected) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

/// 2,000 attempts, wrong numbers and wrong passwords in turn. Answers how each step differs.
fn round(house: &House, known: &[u64], from: &mut u32) -> [f64; 2] {
    let mut times: [[Vec<Duration>; 2]; 2] = Default::default();
    let (mut told, mut counts) = (BTreeSet::new(), [BTreeSet::new(), BTreeSet::new()]);
    for at in 0..ATTEMPTS {
        *from += 1;
        // In turn, and the turns change places, so that no rhythm of the machine falls on one kind.
        let unknown = (at ^ at >> 1) & 1 == 1;
        let number = if unknown { 20_000 + u64::from(*from) } else { known[at / 4 % known.len()] };
        let attempt = attempt(house, *from, &number.to_string());
        told.insert((attempt.challenge, attempt.verdict));
        counts[usize::from(unknown)].insert(attempt.iterations);
        for (times, took) in times.iter_mut().zip(attempt.times) {
            times[usize::from(unknown)].push(took);
        }
    }
    assert_eq!(told.len(), 1, "it says different things: {told:#?}");
    assert_eq!(counts[0], counts[1], "iteration counts tell them apart");
    let mut found = [0.0; 2];
    for (step, name) in ["challenge", "verdict"].into_iter().enumerate() {
        let [password, number] = &times[step];
        found[step] = difference(password, number);
        println!(
            "{name}: wrong password {:?}, wrong number {:?} (medians), {:+.1} standard deviations",
            median(password),
            median(number),
            found[step]
        );
    }
    found
}

fn cannot_be_told_apart(house: &House, known: &[u64], from: &mut u32) {
    let mut found: Vec<[f64; 2]> = Vec::new();
    for _ in 0..ROUNDS {
        let round = round(house, known, from);
        found.push(round);
        let tells = |step: usize| {
            found.iter().all(|z| z[step] > SIGNIFICANT) || found.iter().all(|z| z[step] < -SIGNIFICANT)
        };
        if !tells(0) && !tells(1) {
            return;
        }
    }
    panic!("the time tells wrong numbers from wrong passwords, each time: {found:?}");
}

#[test]
fn a_wrong_number_and_a_wrong_password_are_one_and_the_same() {
    let mut house = House::new(|config| config.engine.loops = 1);
    let mut known: Vec<u64> = (0..4).map(|_| house.account()).collect();
    let mut from = 0;
    cannot_be_told_apart(&house, &known, &mut from);

    // Another count for new passwords: now some numbers have the one and some the other, and so have those that nobody has.
    house.stop();
    house.config.security.scram_iterations = 5_000;
    house.start();
    let again = Request::AccountPassword { number: known[0], password: PASSWORD.into() };
    house.ask(&again).unwrap();
    known.push(house.account());
    house.stop();
    house.start();
    cannot_be_told_apart(&house, &known, &mut from);

    // A name that is no number at all is nobody's either.
    let strange = attempt(&house, from + 1, "juliet");
    let nobody = attempt(&house, from + 2, "98765");
    assert_eq!((strange.challenge, strange.verdict), (nobody.challenge, nobody.verdict));
}

/// The measure itself: of times like those of a busy machine it finds five microseconds among fifty, and does not find
/// what is not there.
#[test]
fn a_few_microseconds_are_found_and_noise_is_not() {
    let mut state = 7_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1_u64 << 31) as f64
    };
    // Sums of three are near a bell; one in fifty is late by up to a millisecond.
    let mut sample = |shift: f64| -> Vec<Duration> {
        let one = |noise: &mut dyn FnMut() -> f64| {
            let bell = 50.0 + 40.0 * (noise() + noise() + noise() - 1.5);
            let late = if noise() < 0.02 { 1_000.0 * noise() } else { 0.0 };
            Duration::from_nanos(((bell + late + shift) * 1_000.0) as u64)
        };
        (0..ATTEMPTS / 2).map(|_| one(&mut noise)).collect()
    };
    for _ in 0..20 {
        let (plain, same, later) = (sample(0.0), sample(0.0), sample(5.0));
        assert!(difference(&plain, &same).abs() < SIGNIFICANT + 0.7);
        assert!(difference(&later, &plain) > SIGNIFICANT);
        assert!(difference(&plain, &later) < -SIGNIFICANT);
    }
}
