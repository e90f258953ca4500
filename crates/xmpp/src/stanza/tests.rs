use super::*;
use crate::scanner::document;

/// A tree in plain values: what two parsers must agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    Text(String),
    Element { ns: String, name: String, attributes: Vec<(String, String, String)>, inside: Vec<Tree> },
}

/// Appends text so that neighbours are one.
pub(crate) fn push_text(inside: &mut Vec<Tree>, text: &str) {
    match inside.last_mut() {
        _ if text.is_empty() => {}
        Some(Tree::Text(before)) => before.push_str(text),
        _ => inside.push(Tree::Text(text.to_owned())),
    }
}

/// The tree as the views tell it.
pub(crate) fn tree(node: &Node<'_>) -> Tree {
    let mut found = Vec::new();
    for (name, value) in attributes(node.tag()) {
        if name == "xmlns" || name.starts_with("xmlns:") {
            continue;
        }
        let (ns, local) = match name.split_once(':') {
            Some((prefix, local)) => {
                let own = declared(node.tag(), prefix).map(attr_value);
                (own.or_else(|| node.scope.resolve(prefix)).expect("a checked prefix").into_owned(), local)
            }
            None => (String::new(), name),
        };
        found.push((ns, local.to_owned(), attr_value(value).into_owned()));
    }
    found.sort();
    let mut inside = Vec::new();
    let mut rest = node.inner();
    for child in node.children() {
        let (start, place) = next_element(rest).expect("there is a child");
        push_text(&mut inside, &text_value(&rest[..start]));
        inside.push(tree(&child));
        rest = &rest[start + place.total..];
    }
    push_text(&mut inside, &text_value(rest));
    Tree::Element { ns: node.ns().into_owned(), name: node.name().to_owned(), attributes: found, inside }
}

#[test]
fn a_message() {
    let bytes = b"<message to='10002@x' id=\"a&amp;b\" type='chat' xml:lang='de'><body>1 &lt; 2</body>\
        <x xmlns='urn:x'><y/></x></message>";
    let stanza = Stanza::parse(bytes).unwrap();
    assert_eq!(
        (stanza.kind(), stanza.name(), stanza.ns().as_ref()),
        (StanzaKind::Message, "message", ns::CLIENT)
    );
    assert_eq!(stanza.to().as_deref(), Some("10002@x"));
    assert_eq!(stanza.id().as_deref(), Some("a&b"));
    assert_eq!(stanza.type_().as_deref(), Some("chat"));
    assert_eq!(stanza.lang().as_deref(), Some("de"));
    assert_eq!((stanza.from(), stanza.attr("none")), (None, None));
    assert_eq!(stanza.child("body", ns::CLIENT).unwrap().text(), "1 < 2");
    assert_eq!(stanza.child("x", "urn:x").unwrap().children().next().unwrap().ns(), "urn:x");
    assert!(stanza.child("y", "urn:x").is_none());
    assert_eq!(stanza.element().unwrap().get_child("body", ns::CLIENT).unwrap().text(), "1 < 2");
}

#[test]
fn empty_and_foreign() {
    let stanza = Stanza::parse(b"<presence/>").unwrap();
    assert_eq!((stanza.kind(), stanza.inner(), stanza.children().count()), (StanzaKind::Presence, "", 0));
    let other = Stanza::parse(b"<r xmlns='urn:xmpp:sm:3'/>").unwrap();
    assert!(other.kind() == StanzaKind::Other && other.is("r", ns::SM));
    // The name alone does not make a stanza.
    assert_eq!(Stanza::parse(b"<message xmlns='urn:x'/>").unwrap().kind(), StanzaKind::Other);
    assert_eq!(document(b"<message/>", Limits::of(100)).unwrap().kind(), StanzaKind::Other);
    let prefixed = document(b"<c:iq xmlns:c='jabber:client'/>", Limits::of(100)).unwrap();
    assert_eq!((prefixed.kind(), prefixed.name()), (StanzaKind::Iq, "iq"));
}

#[test]
fn text_in_all_its_forms() {
    let stanza = Stanza::parse(b"<a>x\r\ny\rz<b>no</b>&#x41;<![CDATA[<&]]]]>\r\n</a>").unwrap();
    assert_eq!(stanza.text(), "x\ny\nzA<&]]\n");
    let attribute = Stanza::parse(b"<a b=' 1\t2\n3\r\n4&#10;5 '/>").unwrap();
    assert_eq!(attribute.attr("b").as_deref(), Some(" 1 2 3 4\n5 "));
}

#[test]
fn a_child_stands_alone() {
    let text = b"<iq xmlns='jabber:client' xmlns:p='urn:p'><q xmlns='urn:q' xmlns:r='urn:r'>\
        <p:a r:b='1'><c/></p:a></q></iq>";
    let stanza = document(text, Limits::of(1000)).unwrap();
    let child = stanza.child("q", "urn:q").unwrap().child("a", "urn:p").unwrap();
    let mut alone = Vec::new();
    child.write_alone(&mut alone);
    let again = document(&alone, Limits::of(1000)).unwrap();
    assert_eq!(tree(&again.node()), tree(&child));
}

#[test]
fn a_stanza_of_full_depth_can_be_wrapped() {
    let deep =
        |depth: usize| format!("<message>{}{}</message>", "<a>".repeat(depth - 1), "</a>".repeat(depth - 1));
    assert!(crate::scanner::stanza(deep(100).as_bytes(), Limits::of(10_000)).is_ok());
    assert!(crate::scanner::stanza(deep(101).as_bytes(), Limits::of(10_000)).is_err());
    assert!(Stanza::parse(deep(105).as_bytes()).is_ok());
    assert!(Stanza::parse(deep(121).as_bytes()).is_err());
}

proptest::proptest! {
    /// A tag that declares nothing is passed over, none that does.
    #[test]
    fn what_may_declare_says_xmlns(tag in "[xmlns<>:=' ]{0,40}", at in 0_usize..41, says in proptest::bool::ANY) {
        let at = at.min(tag.len());
        let tag = if says { format!("{}xmlns{}", &tag[..at], &tag[at..]) } else { tag };
        proptest::prop_assert_eq!(may_declare(&tag), tag.contains("xmlns"));
    }
}
