use super::*;
use crate::StreamErrorKind::*;
use crate::stanza::tests::{Tree, push_text, tree};
use proptest::prelude::*;

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='x' \
    version='1.0'>";

/// What a scanner says to bytes in pieces of a size: each stanza as it came, and the error at the end.
fn scan(bytes: &[u8], piece: usize, limits: Limits) -> (Vec<String>, Option<StreamErrorKind>) {
    let mut scanner = Scanner::new(limits);
    let mut said = Vec::new();
    for mut input in bytes.chunks(piece) {
        loop {
            match scanner.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Token::Open(header))) => said.push(format!("open to={:?}", header.to())),
                Ok(Some(Token::Stanza(stanza))) => said.push(stanza.raw().to_owned()),
                Ok(Some(Token::Close)) => said.push("close".to_owned()),
                Err(kind) => return (said, Some(kind)),
            }
        }
    }
    (said, None)
}

fn after_header(bytes: &[u8]) -> Option<StreamErrorKind> {
    let whole = [HEADER.as_bytes(), bytes].concat();
    let (said, error) = scan(&whole, whole.len(), Limits::of(10_000));
    assert_eq!(said[0], "open to=Some(\"x\")");
    assert_eq!(
        (said.clone(), error),
        scan(&whole, 1, Limits::of(10_000)),
        "{}",
        String::from_utf8_lossy(bytes)
    );
    error
}

#[test]
fn a_stream() {
    let text = format!(
        "<?xml version='1.0' encoding=\"UTF-8\"?>\n{HEADER} \n<iq id='1'/><message><body>a&gt;b]]</body></message >\r\n\
         <r xmlns='urn:xmpp:sm:3'/>\t</stream:stream >ignored"
    );
    let said = |items: &[&str]| (items.iter().map(|&s| s.to_owned()).collect::<Vec<_>>(), None);
    let expected = said(&[
        "open to=Some(\"x\")",
        "<iq id='1'/>",
        "<message><body>a&gt;b]]</body></message >",
        "<r xmlns='urn:xmpp:sm:3'/>",
        "close",
    ]);
    for piece in [1, 2, 3, 7, 64, 10_000] {
        assert_eq!(scan(text.as_bytes(), piece, Limits::of(10_000)), expected, "pieces of {piece}");
    }
}

#[test]
fn headers() {
    let error = |text: &str| {
        let whole = scan(text.as_bytes(), text.len(), Limits::of(1_000));
        assert_eq!(whole, scan(text.as_bytes(), 1, Limits::of(1_000)), "{text}");
        whole.1
    };
    let streams = "xmlns:stream='http://etherx.jabber.org/streams'";
    for (text, expected) in [
        (format!("<stream:stream xmlns='jabber:client' {streams}>"), None),
        // RFC 6120 4.8.3 and 4.8.5: any prefix, and a content namespace under a prefix.
        ("<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'>".into(), None),
        ("<stream xmlns='http://etherx.jabber.org/streams' xmlns:c='jabber:client'>".into(), None),
        ("<stream:stream xmlns='jabber:client' xmlns:stream='urn:x'>".into(), Some(InvalidNamespace)),
        (format!("<stream:stream xmlns='jabber:server' {streams}>"), Some(InvalidNamespace)),
        (format!("<stream:stream {streams}>"), Some(InvalidNamespace)),
        ("<stream xmlns='jabber:client'>".into(), Some(InvalidNamespace)),
        ("<stream:stream xmlns='jabber:client'>".into(), Some(BadNamespacePrefix)),
        (format!("<stream:features xmlns='jabber:client' {streams}>"), Some(BadFormat)),
        (format!("<stream:stream xmlns='jabber:client' {streams}/>"), Some(BadFormat)),
        ("GET / HTTP/1.1".into(), Some(NotWellFormed)),
        ("\u{16}\u{3}\u{1}".into(), Some(NotWellFormed)),
        ("</stream:stream>".into(), Some(NotWellFormed)),
        ("<?xml version='1.1'?><a>".into(), Some(NotWellFormed)),
        ("<?xml encoding='utf-8' version='1.0'?><a>".into(), Some(NotWellFormed)),
        ("<?xml version='1.0' encoding='iso-8859-1'?><a>".into(), Some(UnsupportedEncoding)),
        ("<?php?><a>".into(), Some(RestrictedXml)),
        ("<!DOCTYPE a><a>".into(), Some(RestrictedXml)),
        ("<!-- x --><a>".into(), Some(RestrictedXml)),
        (format!("<a b='{}", "x".repeat(2_000)), Some(PolicyViolation)),
        (format!("<stream:stream xmlns='jabber:client' {streams} a='1' a='2'>"), Some(NotWellFormed)),
    ] {
        assert_eq!(error(&text), expected, "{text}");
    }
}

#[test]
fn the_right_error() {
    for (text, expected) in [
        ("<a/>", None),
        ("<a>&amp;&lt;&gt;&apos;&quot;&#65;&#x10FFFF;</a>", None),
        ("<a><![CDATA[<&]]]]></a>", None),
        ("<a xml:lang='en' xmlns:p='urn:p' p:b='1' b='2'/>", None),
        ("<größe/>", None),
        ("<a></b>", Some(NotWellFormed)),
        ("<a/></b>", Some(NotWellFormed)),
        ("<a><b></a></b>", Some(NotWellFormed)),
        ("<a b='1' b='2'/>", Some(NotWellFormed)),
        ("<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>", Some(NotWellFormed)),
        ("<a xmlns='u' xmlns='v'/>", Some(NotWellFormed)),
        ("<a b='1'c='2'/>", Some(NotWellFormed)),
        ("<a b=1/>", Some(NotWellFormed)),
        ("<a b='<'/>", Some(NotWellFormed)),
        ("<a b/>", Some(NotWellFormed)),
        ("<a / >", Some(NotWellFormed)),
        ("< a/>", Some(NotWellFormed)),
        ("<1a/>", Some(NotWellFormed)),
        ("<a:b:c xmlns:a='u'/>", Some(NotWellFormed)),
        ("<a>]]></a>", Some(NotWellFormed)),
        ("<a>\u{1}</a>", Some(NotWellFormed)),
        ("<a>\u{ffff}</a>", Some(NotWellFormed)),
        ("<a b='\u{fffe}'/>", Some(NotWellFormed)),
        ("<a>&#0;</a>", Some(NotWellFormed)),
        ("<a>&#xD800;</a>", Some(NotWellFormed)),
        ("<a>& b</a>", Some(NotWellFormed)),
        ("<a>&;</a>", Some(NotWellFormed)),
        ("<a xmlns:p=''/>", Some(NotWellFormed)),
        ("<a xmlns:xml='urn:x'/>", Some(NotWellFormed)),
        ("<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", Some(NotWellFormed)),
        ("<a xmlns='http://www.w3.org/2000/xmlns/'/>", Some(NotWellFormed)),
        ("<p:a/>", Some(BadNamespacePrefix)),
        ("<a p:b=''/>", Some(BadNamespacePrefix)),
        ("<a><b xmlns:p='u'/><p:c/></a>", Some(BadNamespacePrefix)),
        // RFC 6120 11.1.
        ("<a><!-- --></a>", Some(RestrictedXml)),
        ("<!-- -->", Some(RestrictedXml)),
        ("<![CDATA[x]]>", Some(RestrictedXml)),
        ("<a><?b c?></a>", Some(RestrictedXml)),
        ("<?xml version='1.0'?>", Some(RestrictedXml)),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]>", Some(RestrictedXml)),
        ("<a>&b;</a>", Some(RestrictedXml)),
        ("<a>&averylongname;</a>", Some(RestrictedXml)),
        ("<a>&größe;</a>", Some(RestrictedXml)),
        ("text", Some(BadFormat)),
        ("<a/>text<b/>", Some(BadFormat)),
    ] {
        assert_eq!(after_header(text.as_bytes()), expected, "{text}");
    }
    assert_eq!(after_header(b"<a>\xff</a>"), Some(UnsupportedEncoding));
    assert_eq!(after_header(b"<a b='\xc3'/>"), Some(UnsupportedEncoding));
}

#[test]
fn limits() {
    let body = |len: usize| format!("<a>{}</a>", "x".repeat(len - 7));
    assert_eq!(after_header(body(10_000).as_bytes()), None);
    assert_eq!(after_header(body(10_001).as_bytes()), Some(PolicyViolation));
    let deep = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert_eq!(after_header(deep(100).as_bytes()), None);
    assert_eq!(after_header(deep(101).as_bytes()), Some(PolicyViolation));
    let attributes =
        |count: usize| format!("<a {}/>", (0..count).map(|n| format!(" a{n}=''")).collect::<String>());
    assert_eq!(after_header(attributes(64).as_bytes()), None);
    assert_eq!(after_header(attributes(65).as_bytes()), Some(PolicyViolation));
    // One prefix is the header's own.
    let prefixes =
        |count: usize| format!("<a {}/>", (0..count).map(|n| format!(" xmlns:a{n}='u'")).collect::<String>());
    assert_eq!(after_header(prefixes(63).as_bytes()), None);
    assert_eq!(after_header(prefixes(64).as_bytes()), Some(PolicyViolation));
    assert_eq!(after_header(format!("<{}/>", "a".repeat(1_025)).as_bytes()), Some(PolicyViolation));
}

#[test]
fn a_stanza_without_end_is_held_up_to_the_limit_only() {
    let mut scanner = Scanner::new(Limits::of(10_000));
    assert!(scanner.next(&mut HEADER.as_bytes()).unwrap().is_some());
    assert!(scanner.next(&mut &b"<a>"[..]).unwrap().is_none());
    let piece = [b'x'; 4096];
    let mut given = 0;
    let error = loop {
        match scanner.next(&mut &piece[..]) {
            Ok(None) => given += piece.len(),
            Ok(Some(_)) => panic!("there is no token"),
            Err(error) => break error,
        }
        let held = scanner.partial.as_ref().map_or(0, |partial| partial.bytes.capacity());
        assert!(held <= 2 * 10_000, "{held} octets held");
    };
    assert_eq!(error, PolicyViolation);
    assert!(given <= 10_000);
    assert!(scanner.partial.is_none());
    assert!(scanner.next(&mut &b"<a/>"[..]).unwrap().is_none(), "after an error nothing is found");
}

#[test]
fn nothing_is_held_between_stanzas() {
    let mut scanner = Scanner::new(Limits::of(10_000));
    let text = format!("{HEADER}<a>");
    let mut input = text.as_bytes();
    while scanner.next(&mut input).unwrap().is_some() {}
    assert!(scanner.is_partial());
    let mut input = &b"</a>"[..];
    assert!(scanner.next(&mut input).unwrap().is_some());
    assert!(scanner.next(&mut input).unwrap().is_none());
    assert!(scanner.partial.is_none() && !scanner.is_partial());
    assert!(size_of::<Scanner>() <= 64, "{}", size_of::<Scanner>());
}

/// One token of 250 kB, one byte at a time: looked at again from its start each time it would take minutes.
#[test]
fn bytes_one_at_a_time_cost_linear_time() {
    let long = "x".repeat(250_000);
    for text in [
        format!("<a b='{long}'/>"),
        format!("<a>{long}</a>"),
        format!("<a><![CDATA[{long}]]></a>"),
        format!("<a>{}</a>", "<b c='>'/>".repeat(25_000)),
        format!("<a{}/>", " ".repeat(250_000)),
        format!("<a></a{}>", " ".repeat(250_000)),
    ] {
        let whole = [HEADER.as_bytes(), text.as_bytes()].concat();
        let (said, error) = scan(&whole, 1, Limits::of(262_144));
        assert_eq!((said.len(), error), (2, None));
    }
}

/// 150 kB nested 50,000 deep ends at the 101st level, so it costs what 101 tags cost.
#[test]
fn deep_nesting_is_refused_at_once() {
    let text = format!("{HEADER}{}", "<a>".repeat(50_000));
    let before = std::time::Instant::now();
    assert_eq!(scan(text.as_bytes(), text.len(), Limits::of(262_144)).1, Some(PolicyViolation));
    assert!(before.elapsed().as_millis() < 20, "{:?}", before.elapsed());
}

/// The first top-level element as rxml sees it: `Ok(None)` while it is not complete.
pub(crate) fn oracle(header: &str, bytes: &[u8]) -> Result<Option<Tree>, rxml::Error> {
    use rxml::{Event, Parse};
    let mut parser = rxml::Parser::new();
    let whole = [header.as_bytes(), bytes].concat();
    let mut input = &whole[..];
    let mut open = Vec::new();
    let mut depth = 0;
    loop {
        match parser.parse(&mut input, false) {
            Err(rxml::error::EndOrError::NeedMoreData) | Ok(None) => return Ok(None),
            Err(rxml::error::EndOrError::Error(error)) => return Err(error),
            Ok(Some(Event::XmlDeclaration(..))) => {}
            Ok(Some(Event::StartElement(_, (ns, name), attributes))) => {
                depth += 1;
                if depth > 1 {
                    let mut found: Vec<_> = attributes
                        .into_iter()
                        .map(|((ns, name), value)| (ns.to_string(), name.to_string(), value))
                        .collect();
                    found.sort();
                    open.push((ns.to_string(), name.to_string(), found, Vec::new()));
                }
            }
            Ok(Some(Event::EndElement(_))) => {
                depth -= 1;
                let Some((ns, name, attributes, inside)) = open.pop() else { return Ok(None) };
                let element = Tree::Element { ns, name, attributes, inside };
                match open.last_mut() {
                    Some((.., inside)) => inside.push(element),
                    None => return Ok(Some(element)),
                }
            }
            Ok(Some(Event::Text(_, text))) => {
                if let Some((.., inside)) = open.last_mut() {
                    push_text(inside, &text);
                }
            }
        }
    }
}

/// XML that is nearly always well-formed: names with and without prefixes that are nearly always declared.
pub(crate) fn xml(depth: u32) -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "body", "p:a", "q:b", "c:x", "stanza-id", "é"]);
    let attribute = prop::sample::select(vec![
        " xmlns='urn:d'",
        " xmlns=\"jabber:client\"",
        " xmlns:p='urn:p'",
        " xmlns:q='urn:q'",
        " xmlns:c='jabber:client'",
        " a='1'",
        " p:a='2'",
        " q:a='3'",
        "\tb = \"x'y\"",
        " d='&lt;&#65;\r\n\t'",
        " xml:lang='en'",
        " by='x'",
        " xmlns='urn:xmpp:sid:0'",
        " xmlns:p='urn:&#113;'",
        " é='>'",
        " xmlns=''",
    ]);
    let text = prop::sample::select(vec![
        "",
        "text",
        " ",
        "&amp;",
        "&#x20AC;",
        "ü€😀",
        "<![CDATA[<a>&]]>",
        "<![CDATA[]]]]>",
        "]]",
        "]>",
        "\r\n",
        "\r",
        ">'\"",
        "\u{fffd}",
        "\u{feff}",
    ]);
    let attributes = prop::collection::vec(attribute, 0..4).prop_map(|mut list| {
        // Doubles come from mutation often enough.
        list.sort_unstable();
        list.dedup_by_key(|a| a.trim().split('=').next().map(str::to_owned));
        list.concat()
    });
    let leaf =
        (name.clone(), attributes.clone()).prop_map(|(name, attributes)| format!("<{name}{attributes}/>"));
    leaf.prop_recursive(depth, 24, 4, move |inner| {
        let mixed = prop::collection::vec(prop_oneof![inner, text.clone().prop_map(str::to_owned)], 0..5);
        (name.clone(), attributes.clone(), mixed).prop_map(|(name, attributes, inside)| {
            format!("<{name}{attributes}>{}</{name}>", inside.concat())
        })
    })
}

/// A change to make at some place.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    let pieces = prop_oneof![
        prop::sample::select(vec![
            &b"<"[..],
            b">",
            b"/",
            b"'",
            b"\"",
            b"&",
            b";",
            b"]]>",
            b"<!--",
            b"<?",
            b"=",
            b":",
            b" ",
            b"\0",
            b"\xff",
            b"\xc3",
            b"\xef\xbf\xbf",
            b"&x;",
            b"&#0;",
            b"<a",
            b"</a>",
            b"<![CDATA[",
            b"",
            b"xmlns:",
            b"\xc2\x80",
        ])
        .prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 1..3),
    ];
    (any::<prop::sample::Index>(), 0..4_usize, pieces)
}

/// Where the scanner is stricter than rxml on purpose: what Namespaces in XML 3 reserves, a default namespace declared
/// twice; and where rxml is stricter than XML: a lone carriage return in an attribute.
fn judged_alike(text: &[u8]) -> bool {
    let has = |needle: &[u8]| memchr::memmem::find(text, needle).is_some();
    let lone_return =
        text.windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n') || text.ends_with(b"\r");
    !(lone_return || has(b"xmlns:xml") || has(b"w3.org") || empty_or_double_declaration(text))
}

fn empty_or_double_declaration(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.split('<').any(|tag| {
        let declarations = tag.matches("xmlns").count() - tag.matches("xmlns:").count();
        let emptied = tag.split("xmlns:").skip(1).any(|rest| {
            let value = rest.split('=').nth(1).unwrap_or("x").trim_start();
            value.starts_with("''") || value.starts_with("\"\"")
        });
        declarations > 1 || emptied
    })
}

fn compare(header: &str, text: &[u8]) -> Result<(), TestCaseError> {
    let whole = [header.as_bytes(), text].concat();
    let mut scanner = Scanner::new(Limits::of(100_000));
    let mut input = &whole[..];
    prop_assert!(matches!(scanner.next(&mut input), Ok(Some(Token::Open(_)))));
    let ours = match scanner.next(&mut input) {
        Ok(Some(Token::Stanza(stanza))) => Some(tree(&stanza.node())),
        _ => None,
    };
    let theirs = oracle(header, text).ok().flatten();
    prop_assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(text));
    Ok(())
}

const PREFIXED: &str =
    "<stream xmlns='http://etherx.jabber.org/streams' xmlns:c='jabber:client' xmlns:p='urn:outer'>";

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn the_same_tree_as_rxml(text in xml(5), prefixed: bool) {
        prop_assume!(judged_alike(text.as_bytes()));
        compare(if prefixed { PREFIXED } else { HEADER }, text.as_bytes())?;
    }

    #[test]
    fn what_rxml_refuses_is_refused(text in xml(4), changes in prop::collection::vec(mutation(), 1..3)) {
        let mut bytes = text.into_bytes();
        for (place, removed, piece) in changes {
            let at = place.index(bytes.len());
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, piece);
            if bytes.is_empty() {
                bytes.push(b'<');
            }
        }
        // Text at the top level is no stanza, and rxml has no opinion on that.
        prop_assume!(bytes.trim_ascii_start().first() == Some(&b'<') && judged_alike(&bytes));
        compare(HEADER, &bytes)?;
    }

    #[test]
    fn cuts_change_nothing(texts in prop::collection::vec(xml(3), 1..4), piece in 1..40_usize, prefixed: bool) {
        let whole = format!("{}{}", if prefixed { PREFIXED } else { HEADER }, texts.join(" "));
        let limits = Limits::of(100_000);
        prop_assert_eq!(scan(whole.as_bytes(), whole.len(), limits), scan(whole.as_bytes(), piece, limits));
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzz::tokenizer(&bytes);
        crate::fuzz::tokenizer(&[HEADER.as_bytes(), b"<message>", &bytes, b"</message>"].concat());
    }
}

/// The comparisons above say little if hardly anything they generate is XML.
#[test]
fn most_of_what_is_generated_is_accepted() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let (mut runner, strategy) = (TestRunner::deterministic(), xml(5));
    let texts = (0..400).map(|_| strategy.new_tree(&mut runner).expect("a value").current());
    let accepted = texts.filter(|text| matches!(oracle(PREFIXED, text.as_bytes()), Ok(Some(_)))).count();
    assert!((100..400).contains(&accepted), "{accepted} of 400");
    println!("{accepted} of 400");
}
