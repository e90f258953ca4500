//! The path of a message allocates nothing: found whole in the input, looked at, relayed into a warm buffer.

use switchboard_xmpp::relay::{Head, relay};
use switchboard_xmpp::{JidRef, Limits, Scanner, Stanza, StanzaKind, Token};

const HEADER: &[u8] =
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='x' version='1.0'>";
const MESSAGE: &[u8] =
    b"<message to='10002@localhost' type='chat' id='a1b2c3d4'><body>A body of the usual length, with \
    some words in it and a little more, so that all of it has two hundred octets.</body>\
    <request xmlns='urn:xmpp:receipts'/></message>";

#[test]
fn a_message_is_found_and_relayed_without_allocating() {
    let mut scanner = Scanner::new(Limits::of(262_144));
    assert!(matches!(scanner.next(&mut &HEADER[..]), Ok(Some(Token::Open(_)))));
    let mut out = Vec::with_capacity(4096);
    let input = MESSAGE.repeat(4);
    let mut found = 0;
    let info = allocation_counter::measure(|| {
        let mut rest = &input[..];
        while let Ok(Some(Token::Stanza(stanza))) = scanner.next(&mut rest) {
            let to = stanza.to().unwrap_or_default();
            let to = JidRef::parse(&to).expect("an address");
            assert_eq!((stanza.kind(), to.domain()), (StanzaKind::Message, "localhost"));
            assert!(stanza.child("request", switchboard_xmpp::ns::RECEIPTS).is_some());
            relay(&mut out, &stanza, &Head { from: Some("10001@localhost/a"), ..Head::default() });
            found += 1;
        }
    });
    assert_eq!((found, info.count_total), (4, 0));
    assert!(Stanza::parse(&out[..out.len() / 4]).is_ok());
}
