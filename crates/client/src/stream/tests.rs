use super::*;

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1'>";

fn read_all(reader: &mut Reader, text: &str) -> Result<Vec<Found>, String> {
    let mut input = text.as_bytes();
    let mut all = Vec::new();
    while let Some(found) = reader.handle_bytes(&mut input)? {
        all.push(found);
    }
    Ok(all)
}

fn names(found: &[Found]) -> Vec<String> {
    found
        .iter()
        .map(|found| match found {
            Found::Open(element) => format!("open {}", element.attribute("id").unwrap_or_default()),
            Found::Element(element) => format!("{} {}", element.name, element.text),
            Found::Close => "close".to_owned(),
        })
        .collect()
}

#[test]
fn a_stream_is_a_header_elements_and_an_end() {
    let text = format!("{HEADER}<a>x</a> \n<b xmlns='urn:b'><c/>y&amp;z</b></stream:stream>");
    let mut whole = Reader::new(false);
    let found = read_all(&mut whole, &text).unwrap();
    assert_eq!(names(&found), ["open 1", "a x", "b y&z", "close"]);
    let Found::Element(b) = &found[2] else { panic!() };
    assert!(b.is("b", "urn:b") && b.child("c", "urn:b").is_some());

    let mut bytewise = Reader::new(false);
    let mut one_by_one = Vec::new();
    for at in 0..text.len() {
        one_by_one.extend(read_all(&mut bytewise, &text[at..=at]).unwrap());
    }
    assert_eq!(found, one_by_one);
}

#[test]
fn a_web_socket_message_is_one_element() {
    let mut reader = Reader::new(true);
    let open = reader.handle_message("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='7'/>").unwrap();
    let message = reader.handle_message("<message xmlns='jabber:client'><body>hi</body></message>").unwrap();
    let close = reader.handle_message("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>").unwrap();
    assert_eq!(names(&[open, message, close]), ["open 7", "message ", "close"]);
    assert!(reader.handle_message("<a/><b/>").is_err());
    assert!(reader.handle_message("<a>").is_err());
}

#[test]
fn what_is_no_stream_is_refused() {
    let deep = format!("{HEADER}{}", "<a>".repeat(DEPTH_MAX));
    let long = format!("{HEADER}<a>{}", "x".repeat(ELEMENT_MAX));
    for text in ["HTTP/1.1 400 Bad Request\r\n", "<html xmlns='x'>", "<a></b>", &deep, &long] {
        assert!(read_all(&mut Reader::new(false), text).is_err(), "{}", &text[..text.len().min(40)]);
    }
}

#[test]
fn white_space_between_stanzas_does_not_add_up() {
    let mut reader = Reader::new(false);
    read_all(&mut reader, HEADER).unwrap();
    for _ in 0..3 {
        assert_eq!(read_all(&mut reader, &" ".repeat(ELEMENT_MAX / 2)), Ok(vec![]));
    }
}
