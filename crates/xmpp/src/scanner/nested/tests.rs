use super::*;

/// What a document says when it comes in pieces of this size; elements called `c` are entered.
fn read(text: &str, piece: usize, limits: Limits) -> Result<Vec<String>, StreamErrorKind> {
    let mut nested = Nested::new(limits);
    let mut said = Vec::new();
    for input in text.as_bytes().chunks(piece) {
        nested.feed(input);
        while let Some(piece) = nested.next(|_, name| name == "c")? {
            said.push(match piece {
                Piece::Enter(tag) => format!("+{{{}}}{} {:?}", tag.ns(), tag.name(), tag.attr("n")),
                Piece::Element(element) => {
                    let mut alone = Vec::new();
                    element.node().write_alone(&mut alone);
                    String::from_utf8(alone).unwrap()
                }
                Piece::Leave => "-".to_owned(),
            });
        }
    }
    if nested.has_ended() { Ok(said) } else { Err(StreamErrorKind::ConnectionTimeout) }
}

const LIMITS: Limits = Limits::of(200);

#[test]
fn some_elements_are_entered_and_the_rest_is_taken_whole() {
    let text = "<?xml version='1.0' encoding='UTF-8'?>\n<data xmlns='urn:a' xmlns:x='urn:x'>
        <c n='1 &amp; 2'><e><c/>text</e><x:c/></c >
        <c xmlns='urn:b' xmlns:x='urn:y' n=\"3\"><e/><x:e x:a='1'/></c><c n='4'/>
        <x:e/></data>\n ";
    let expected = [
        "+{urn:a}data None",
        "+{urn:a}c Some(\"1 & 2\")",
        "<e xmlns='urn:a'><c/>text</e>",
        "+{urn:x}c None",
        "-",
        "-",
        "+{urn:b}c Some(\"3\")",
        "<e xmlns='urn:b'/>",
        "<x:e xmlns='urn:b' xmlns:x='urn:y' x:a='1'/>",
        "-",
        "+{urn:a}c Some(\"4\")",
        "-",
        "<x:e xmlns='urn:a' xmlns:x='urn:x'/>",
        "-",
    ];
    for piece in [1, 2, 3, 7, 64, 4096] {
        assert_eq!(read(text, piece, LIMITS).unwrap(), expected, "{piece}");
    }
}

#[test]
fn what_is_no_such_document_is_refused() {
    use StreamErrorKind::*;
    for (text, kind) in [
        ("", ConnectionTimeout),
        ("<data>", ConnectionTimeout),
        ("<data><c></data>", NotWellFormed),
        ("<data><c></cc></data>", NotWellFormed),
        ("<data><c></c x='1'></data>", NotWellFormed),
        ("<data></data><data/>", NotWellFormed),
        ("<data></data>text", NotWellFormed),
        ("<data>text</data>", BadFormat),
        ("<data><!-- said aside --></data>", RestrictedXml),
        ("<!DOCTYPE data [<!ENTITY a 'b'>]><data></data>", RestrictedXml),
        ("<data><?php ?></data>", RestrictedXml),
        ("<data><c n='&a;'/></data>", RestrictedXml),
        ("<data><x:c/></data>", BadNamespacePrefix),
        ("<data><c n='1' n='2'></c></data>", NotWellFormed),
        ("text", NotWellFormed),
    ] {
        for piece in [1, 4096] {
            assert_eq!(read(text, piece, LIMITS), Err(kind), "{text}");
        }
    }
}

#[test]
fn neither_long_nor_deep_elements_are_held() {
    let long = |tag: &str| format!("<data>{tag}</data>");
    let (text, attribute) = ("x".repeat(300), format!("n='{}'", "x".repeat(300)));
    let deep = format!("{}{}", "<e>".repeat(101), "</e>".repeat(101));
    for tag in [format!("<e>{text}</e>"), format!("<c {attribute}></c>"), format!("<e {attribute}/>"), deep] {
        for piece in [1, 4096] {
            let limits = if tag.len() > 400 { Limits::of(10_000) } else { LIMITS };
            assert_eq!(read(&long(&tag), piece, limits), Err(StreamErrorKind::PolicyViolation), "{tag}");
        }
    }
    // Deeper than elements are entered, they are taken whole, and their depth is bounded again.
    let entered = format!("<data>{}{}</data>", "<c>".repeat(40), "</c>".repeat(40));
    let said = read(&entered, 4096, Limits::of(10_000)).unwrap();
    assert_eq!(said.iter().filter(|said| said.starts_with('+')).count(), LEVELS_MAX);
    let entered = format!("<data>{}{}</data>", "<c>".repeat(140), "</c>".repeat(140));
    assert_eq!(read(&entered, 4096, Limits::of(10_000)), Err(StreamErrorKind::PolicyViolation));
}
