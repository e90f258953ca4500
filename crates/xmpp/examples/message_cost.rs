//! What a 200-octet message costs: `cargo run --release -p switchboard-xmpp --example message_cost`.
//! Prints a JSON line for each step; figures are the best of five runs.

use std::hint::black_box;
use std::time::Instant;

use switchboard_xmpp::relay::{Head, relay};
use switchboard_xmpp::{JidRef, Limits, Scanner, Token};

const HEADER: &[u8] =
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='x' version='1.0'>";
const MESSAGE: &[u8] =
    b"<message to='10002@localhost' type='chat' id='a1b2c3d4'><body>A body of the usual length, with \
    some words in it and a little more, so that all of it has two hundred octets.</body>\
    <request xmlns='urn:xmpp:receipts'/></message>";
const ROUNDS: usize = 20_000;

fn best(name: &str, mut run: impl FnMut() -> usize) {
    let nanos = (0..5)
        .map(|_| {
            let before = Instant::now();
            let done = black_box(run());
            before.elapsed().as_nanos() as f64 / done as f64
        })
        .fold(f64::INFINITY, f64::min);
    println!("{{\"step\":\"{name}\",\"octets\":{},\"ns\":{nanos:.0}}}", MESSAGE.len());
}

fn main() {
    let input = MESSAGE.repeat(ROUNDS);
    let started = || {
        let mut scanner = Scanner::new(Limits::of(262_144));
        let open = scanner.next(&mut &HEADER[..]).map(|token| token.is_some());
        assert_eq!(open, Ok(true));
        scanner
    };
    let mut scanner = started();
    best("scan", || {
        let (mut rest, mut count) = (&input[..], 0);
        while let Ok(Some(Token::Stanza(stanza))) = scanner.next(&mut rest) {
            black_box(stanza.kind());
            count += 1;
        }
        count
    });
    let mut scanner = started();
    let mut out = Vec::with_capacity(4096);
    best("scan, address, relay", || {
        let (mut rest, mut count) = (&input[..], 0);
        while let Ok(Some(Token::Stanza(stanza))) = scanner.next(&mut rest) {
            let to = stanza.to().unwrap_or_default();
            black_box(JidRef::parse(&to).map(|to| to.number()).ok());
            out.clear();
            relay(&mut out, &stanza, &Head { from: Some("10001@localhost/a"), ..Head::default() });
            black_box(&out);
            count += 1;
        }
        count
    });
    let mut scanner = started();
    best("find a child", || {
        let (mut rest, mut count) = (&input[..], 0);
        while let Ok(Some(Token::Stanza(stanza))) = scanner.next(&mut rest) {
            black_box(stanza.child("request", switchboard_xmpp::ns::RECEIPTS).is_some());
            count += 1;
        }
        count
    });
    let mut scanner = started();
    let cut = &input[..MESSAGE.len() * 2_000];
    best("scan, in pieces of 100", || {
        let mut count = 0;
        for mut piece in cut.chunks(100) {
            while let Ok(Some(Token::Stanza(stanza))) = scanner.next(&mut piece) {
                black_box(stanza.kind());
                count += 1;
            }
        }
        count
    });
    let deep = [HEADER, &b"<a>".repeat(50_000)].concat();
    let before = Instant::now();
    let mut scanner = Scanner::new(Limits::of(262_144));
    let mut rest = &deep[..];
    while let Ok(Some(_)) = scanner.next(&mut rest) {}
    println!("{{\"step\":\"150 kB nested 50,000 deep\",\"ns\":{}}}", before.elapsed().as_nanos());
}
