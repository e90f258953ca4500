//! The fuzzer's rules, tried with stanzas that are put together from what matters to a router.

use proptest::prelude::*;

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

fn stanza() -> impl Strategy<Value = String> {
    let name = one_of(&["message", "presence", "iq"]);
    let to = one_of(&[
        "",
        " to=''",
        " to='localhost'",
        " to='localhost/x'",
        " to='10001@localhost'",
        " to='10001@localhost/a'",
        " to='10002@localhost'",
        " to='10002@localhost/zz'",
        " to='4711@localhost'",
        " to='a@b'",
        " to='@'",
        " to='10001@LOCALHOST/a'",
    ]);
    let kind = one_of(&[
        "",
        " type='chat'",
        " type='error'",
        " type='get'",
        " type='set'",
        " type='result'",
        " type='unavailable'",
        " type='subscribe'",
        " type='subscribed'",
        " type='unsubscribe'",
        " type='unsubscribed'",
        " type='probe'",
        " type='headline'",
        " type='groupchat'",
        " type='?'",
    ]);
    let rest = one_of(&[
        "",
        " id='1'",
        " id='offline-1'",
        " id='&lt;&apos;'",
        " from='10001@localhost'",
        " from='x@y'",
    ]);
    let inner = prop::collection::vec(
        one_of(&[
            "<body>x</body>",
            "<priority>-1</priority>",
            "<priority>999</priority>",
            "<ping xmlns='urn:xmpp:ping'/>",
            "<query xmlns='jabber:iq:roster'/>",
            "<query xmlns='jabber:iq:roster' ver='1'/>",
            "<query xmlns='jabber:iq:roster'><item jid='10002@localhost'><group>g</group></item></query>",
            "<query xmlns='jabber:iq:roster'><item jid='10001@localhost' subscription='remove'/></query>",
            "<query xmlns='jabber:iq:roster'><item jid='x@y/z' name='&amp;'/></query>",
            "<query xmlns='http://jabber.org/protocol/disco#info' node='urn:switchboard:exchange#x'/>",
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
            "<no-store xmlns='urn:xmpp:hints'/>",
            "<delay xmlns='urn:xmpp:delay' from='localhost' stamp='x'/>",
            "<error type='cancel'/>",
            "text",
        ]),
        0..3,
    );
    (name, to, kind, rest, inner).prop_map(|(name, to, kind, rest, inner)| {
        format!("<{name}{to}{kind}{rest}>{}</{name}>", inner.concat())
    })
}

/// They fill in each payload of the list for the asker's own account and for another.
#[test]
fn the_seeds_hold() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/feature_payloads");
    let seeds: Vec<_> =
        std::fs::read_dir(seeds).expect("seeds").map(|seed| seed.expect("a seed").path()).collect();
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| super::payloads(&std::fs::read(seed).expect("a seed")));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_stanzas_are_processed_once(lines in prop::collection::vec((0..3_u8, stanza()), 1..40)) {
        let lines = lines.into_iter().map(|(which, stanza)| format!("{}{stanza}", char::from(b'0' + which)));
        super::stanzas(lines.collect::<Vec<_>>().join("\n").as_bytes());
    }

    #[test]
    fn any_script_of_payloads_is_answered(data in prop::collection::vec(any::<u8>(), 0..600)) {
        super::payloads(&data);
    }

    #[test]
    fn no_bytes_bring_it_down(data in prop::collection::vec(any::<u8>(), 0..200)) {
        super::stanzas(&data);
    }
}
