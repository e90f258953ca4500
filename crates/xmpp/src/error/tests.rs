use super::*;

#[test]
fn names_and_back() {
    assert_eq!(StreamErrorKind::ALL.len(), 25);
    assert_eq!(StanzaCondition::ALL.len(), 22);
    for &kind in StreamErrorKind::ALL {
        assert_eq!(StreamErrorKind::from_name(kind.name()), Some(kind));
    }
    for &condition in StanzaCondition::ALL {
        assert_eq!(StanzaCondition::from_name(condition.name()), Some(condition));
    }
    assert_eq!(ErrorType::from_name("never"), None);
}

#[test]
fn stream_errors_stand_alone_in_frames() {
    let mut out = Vec::new();
    StreamErrorKind::UndefinedCondition.write(&mut out, true, Some("a < b"), Some("<x xmlns='urn:x'/>"));
    let tree: minidom::Element = String::from_utf8(out).unwrap().parse().unwrap();
    assert!(tree.is("error", ns::STREAMS));
    assert!(tree.has_child("undefined-condition", ns::STREAM_ERRORS));
    assert_eq!(tree.get_child("text", ns::STREAM_ERRORS).unwrap().text(), "a < b");
    assert!(tree.has_child("x", "urn:x"));
}

#[test]
fn a_reply_carries_the_error() {
    let mut out = Vec::new();
    let error = StanzaError::new(StanzaCondition::ResourceConstraint).with_text("the disk is full");
    error.write_reply(&mut out, "message", Some("a&b"), Some("10002@x"), None);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "<message type='error' id='a&amp;b' from='10002@x'><error type='wait'>\
         <resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>the disk is full</text></error></message>"
    );
}
