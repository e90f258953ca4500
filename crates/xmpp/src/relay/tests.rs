use super::*;
use crate::scanner::tests::{oracle, xml};
use crate::scanner::{Limits, Scanner, Token};
use crate::stanza::tests::Tree;
use proptest::prelude::*;

fn relayed(header: &str, stanza: &str, head: &Head<'_>) -> String {
    let text = format!("{header}{stanza}");
    let mut scanner = Scanner::new(Limits::of(100_000));
    let mut input = text.as_bytes();
    assert!(matches!(scanner.next(&mut input), Ok(Some(Token::Open(_)))));
    let Ok(Some(Token::Stanza(stanza))) = scanner.next(&mut input) else { panic!("no stanza: {stanza}") };
    let mut out = Vec::new();
    relay(&mut out, &stanza, head);
    String::from_utf8(out).unwrap()
}

const USUAL: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
const RICH: &str = "<stream xmlns='http://etherx.jabber.org/streams' xmlns:c='jabber:client' xmlns:p='urn:outer' \
    xml:lang='de'>";
const ALONE: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

#[test]
fn the_inside_is_untouched() {
    let head = Head { from: Some("10001@x/a"), ..Head::default() };
    assert_eq!(
        relayed(
            USUAL,
            "<message type=\"chat\" to='10002@x' from='forged' id='1'> <body>a</body>\n</message >",
            &head
        ),
        "<message from='10001@x/a' to='10002@x' type='chat' id='1'> <body>a</body>\n</message>"
    );
    assert_eq!(relayed(USUAL, "<presence from='forged'/>", &Head::default()), "<presence/>");
    let head = Head { to: Some("10003@x"), append: b"<delay xmlns='urn:xmpp:delay'/>", ..Head::default() };
    assert_eq!(
        relayed(USUAL, "<iq to=\"it's\" x=\"it's\"/>", &head),
        "<iq to='10003@x' x='it&apos;s'><delay xmlns='urn:xmpp:delay'/></iq>"
    );
}

#[test]
fn what_was_declared_around_it_is_declared_in_it() {
    assert_eq!(
        relayed(RICH, "<c:message p:q='1'><c:body>a</c:body><x/></c:message>", &Head::default()),
        "<message xml:lang='de' p:q='1' xmlns:c='jabber:client' xmlns:p='urn:outer'>\
         <c:body xmlns='http://etherx.jabber.org/streams'>a</c:body><x xmlns='http://etherx.jabber.org/streams'/></message>"
    );
    assert_eq!(
        relayed(USUAL, "<message xmlns:q='urn:q' xmlns:r='urn:r'><r:x/></message>", &Head::default()),
        "<message xmlns:r='urn:r'><r:x/></message>"
    );
}

#[test]
fn ids_that_claim_to_be_ours_go() {
    let sent = "<message><stanza-id xmlns='urn:xmpp:sid:0' by='10002@x' id='1'/><stanza-id xmlns='urn:xmpp:sid:0' by='y'/>\
        <s:stanza-id xmlns:s='urn:xmpp:sid:0' by='10002@&#120;' id='2'>x</s:stanza-id>\
        <a><stanza-id xmlns='urn:xmpp:sid:0' by='10002@x'/></a></message>";
    let head = Head { without_stanza_id_by: &["10002@x", "10001@x"], ..Head::default() };
    assert_eq!(
        relayed(USUAL, sent, &head),
        "<message><stanza-id xmlns='urn:xmpp:sid:0' by='y'/>\
         <a><stanza-id xmlns='urn:xmpp:sid:0' by='10002@x'/></a></message>"
    );
}

/// A stanza whose inside uses whatever is declared around it, or in its own start tag.
fn stanza(prefix: &'static str) -> impl Strategy<Value = String> {
    let declared = prop::sample::select(vec![
        "",
        " xmlns:p='urn:own'",
        " xmlns:q='urn:q'",
        " xmlns:c='jabber:client'",
        " xmlns:p='urn:1' xmlns:q='urn:2'",
    ]);
    let said = prop::sample::select(vec![
        "",
        " xml:lang='fr'",
        " to=\"a'b\"",
        " id='1' from='f'",
        " z='&lt;' type='chat'",
    ]);
    (declared, said, prop::collection::vec(xml(3), 0..4)).prop_map(move |(declared, said, inside)| {
        format!("<{prefix}message{declared}{said}>text{}</{prefix}message>", inside.concat())
    })
}

/// What the tree that was sent must have become.
fn expected(mut sent: Tree, lang: Option<&str>) -> Tree {
    if let Tree::Element { attributes, inside, .. } = &mut sent {
        attributes.retain(|(ns, name, _)| !(ns.is_empty() && name == "from"));
        attributes.push((String::new(), "from".into(), "a@b/<c>".into()));
        if let Some(lang) =
            lang.filter(|_| !attributes.iter().any(|(ns, name, _)| ns == ns::XML && name == "lang"))
        {
            attributes.push((ns::XML.into(), "lang".into(), lang.into()));
        }
        attributes.sort();
        let ours = |child: &Tree| match child {
            Tree::Element { ns, name, attributes, .. } => {
                ns == ns::STANZA_ID
                    && name == "stanza-id"
                    && attributes
                        .iter()
                        .any(|(ns, name, value)| ns.is_empty() && name == "by" && value == "x")
            }
            Tree::Text(_) => false,
        };
        inside.retain(|child| !ours(child));
        // Text on both sides of what was removed has become one.
        let mut joined = Vec::new();
        for child in inside.drain(..) {
            match child {
                Tree::Text(text) => crate::stanza::tests::push_text(&mut joined, &text),
                element => joined.push(element),
            }
        }
        joined.push(Tree::Element {
            ns: "urn:added".into(),
            name: "e".into(),
            attributes: vec![],
            inside: vec![],
        });
        *inside = joined;
    }
    sent
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    /// rxml is the judge on both sides.
    #[test]
    fn it_parses_alone_to_what_was_sent(
        (header, sent) in prop_oneof![stanza("").prop_map(|s| (USUAL, s)), stanza("c:").prop_map(|s| (RICH, s))]
    ) {
        let Ok(Some(tree)) = oracle(header, sent.as_bytes()) else { return Err(TestCaseError::reject("not XML")) };
        let append = b"<e xmlns='urn:added'/>";
        let head = Head { from: Some("a@b/<c>"), without_stanza_id_by: &["x"], append, ..Head::default() };
        let onward = relayed(header, &sent, &head);
        let lang = (header == RICH).then_some("de");
        prop_assert_eq!(oracle(ALONE, onward.as_bytes()).ok().flatten(), Some(expected(tree, lang)), "{}", onward);
    }
}
