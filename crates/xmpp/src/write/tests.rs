use super::*;
use proptest::prelude::*;

#[test]
fn a_tag_with_everything() {
    let mut out = Vec::new();
    open(&mut out, "a").ns("urn:x").attr("b", "1<2 & 'c'").attr_opt("d", None).attr_number("n", 10_001).with(
        |out| {
            open(out, "e").text("x > y\r");
            open(out, "f").empty();
            open(out, "g").raw(b"<h/>");
        },
    );
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "<a xmlns='urn:x' b='1&lt;2 &amp; &apos;c&apos;' n='10001'><e>x &gt; y&#13;</e><f/><g><h/></g></a>"
    );
}

#[test]
fn numbers() {
    for value in [0, 9, 10, 10_001, u64::MAX] {
        let mut out = Vec::new();
        number(&mut out, value);
        assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
    }
}

fn carried(text: &str) -> String {
    let whole = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if whole(c) { c } else { '\u{fffd}' }).collect()
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(value in any::<String>(), body in any::<String>()) {
        let mut out = Vec::new();
        open(&mut out, "a").ns("urn:x").attr("v", &value).text(&body);
        let tree: minidom::Element = String::from_utf8(out).unwrap().parse().unwrap();
        let expected = carried(&value);
        prop_assert_eq!(tree.attr("v"), Some(expected.as_str()));
        prop_assert_eq!(tree.text(), carried(&body));
    }
}
