use super::*;

fn parts(phrase: &Phrase) -> Vec<(&str, Ink)> {
    phrase.parts().collect()
}

#[test]
fn a_phrase_is_its_parts() {
    let mut phrase = Phrase::default();
    phrase.push("ACK", Ink::Flags);
    phrase.push(" win ", Ink::Faint);
    phrase.push_number(-502, Ink::Plain);
    phrase.lengthen("*");
    assert_eq!(phrase.text(), "ACK win -502*");
    assert_eq!(parts(&phrase), [("ACK", Ink::Flags), (" win ", Ink::Faint), ("-502*", Ink::Plain)]);
    assert_eq!(phrase.split_last(2), " win -502*");
    assert_eq!(parts(&phrase), [("ACK", Ink::Flags)]);
    phrase.clear();
    assert!(phrase.is_empty() && phrase.text().is_empty());
}

#[test]
fn what_is_not_ascii_is_asked_about() {
    let mut phrase = Phrase::default();
    phrase.push("握手 ", Ink::Note);
    phrase.push("x", Ink::Plain);
    assert_eq!(phrase.width(), 6);
    phrase.make_ascii();
    assert_eq!(parts(&phrase), [("?? ", Ink::Note), ("x", Ink::Plain)]);
}
