use super::*;
use proptest::prelude::*;

#[test]
fn numbers() {
    for (text, value) in [("1", 1), ("10001", 10_001), ("999999999999999", 999_999_999_999_999)] {
        assert_eq!(AccountNumber::parse(text).map(AccountNumber::get), Some(value));
        assert_eq!(AccountNumber::new(value).unwrap().to_string(), text);
    }
    for text in ["", "0", "010001", "+10001", "-1", "10001 ", "1e3", "१०००१", "1000000000000000", "ten"]
    {
        assert_eq!(AccountNumber::parse(text), None, "{text}");
    }
    assert_eq!(AccountNumber::new(0), None);
    assert_eq!(AccountNumber::new(1_000_000_000_000_000), None);
}

#[test]
fn parts() {
    // RFC 7622 3.5, table 1: the valid examples, normalised where that changes them.
    for (text, local, domain, resource) in [
        ("juliet@example.com", Some("juliet"), "example.com", None),
        ("juliet@example.com/foo", Some("juliet"), "example.com", Some("foo")),
        ("juliet@example.com/foo bar", Some("juliet"), "example.com", Some("foo bar")),
        ("juliet@example.com/foo@bar", Some("juliet"), "example.com", Some("foo@bar")),
        ("foo\\20bar@example.com", Some("foo\\20bar"), "example.com", None),
        ("fussball@example.com", Some("fussball"), "example.com", None),
        ("fußball@example.com", Some("fußball"), "example.com", None),
        ("π@example.com", Some("π"), "example.com", None),
        ("Σ@example.com/foo", Some("σ"), "example.com", Some("foo")),
        ("king@example.com/♚", Some("king"), "example.com", Some("♚")),
        ("example.com", None, "example.com", None),
        ("example.com/foobar", None, "example.com", Some("foobar")),
        ("a.example.com/b@example.net", None, "a.example.com", Some("b@example.net")),
        // Case, final dot, A-labels, addresses.
        ("Juliet@Example.COM./Foo", Some("juliet"), "example.com", Some("Foo")),
        ("x@xn--mller-kva.example", Some("x"), "müller.example", None),
        ("x@[2001:DB8:0:0::1]/r", Some("x"), "[2001:db8::1]", Some("r")),
        ("10001@127.0.0.1", Some("10001"), "127.0.0.1", None),
        ("10001@localhost/a/b", Some("10001"), "localhost", Some("a/b")),
    ] {
        let jid = Jid::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((jid.local(), jid.domain(), jid.resource()), (local, domain, resource), "{text}");
        assert_eq!(Jid::parse(jid.as_str()), Ok(jid));
    }
}

#[test]
fn refused() {
    // RFC 7622 3.5, table 2, and lengths.
    let long = "x".repeat(1024);
    for (text, why) in [
        ("\"juliet\"@example.com".into(), JidError::Local),
        ("foo bar@example.com".into(), JidError::Local),
        ("juliet@example.com/ foo\u{7}".into(), JidError::Resource),
        ("@example.com/".into(), JidError::Local),
        ("henryⅣ@example.com".into(), JidError::Local),
        ("♚@example.com".into(), JidError::Local),
        ("juliet@".into(), JidError::Domain),
        ("/foobar".into(), JidError::Domain),
        ("juliet@example.com/".into(), JidError::Resource),
        ("a@b@c".into(), JidError::Domain),
        ("a@b c".into(), JidError::Domain),
        ("a@b..c".into(), JidError::Domain),
        ("a@-b".into(), JidError::Domain),
        ("a@[::1".into(), JidError::Domain),
        (String::new(), JidError::Domain),
        (format!("{long}@example.com"), JidError::Local),
        (format!("a@{long}"), JidError::Domain),
        (format!("a@b/{long}"), JidError::Resource),
    ] {
        assert_eq!(Jid::parse(&text).err(), Some(why), "{text}");
    }
}

#[test]
fn plain_addresses_are_borrowed() {
    assert!(matches!(JidRef::parse("10001@localhost/desk top").unwrap().text, Cow::Borrowed(_)));
    assert!(matches!(JidRef::parse("10001@LOCALHOST").unwrap().text, Cow::Owned(_)));
}

// Found by fuzzing: U+0387 is normalised to U+00B7, which RFC 5892 A.3 allows only between two l.
#[test]
fn what_normalising_makes_must_be_allowed_itself() {
    assert_eq!(Jid::parse("10001@localhost/a\u{387}b"), Err(JidError::Resource));
    assert_eq!(Jid::parse("xn--xn----xmeple-054--xmeple-054c"), Err(JidError::Domain));
    assert_eq!(Jid::parse("10001@localhost/l\u{387}l").unwrap().resource(), Some("l\u{b7}l"));
}

#[test]
fn bare_and_full() {
    let bare = BareJid::parse("10001@Example.com").unwrap();
    assert_eq!(bare.with_resource("a").unwrap().to_string(), "10001@example.com/a");
    assert_eq!(bare.number(), AccountNumber::new(10_001));
    assert_eq!(BareJid::parse("10001@example.com/a"), Err(JidError::Resource));
    let full = Jid::of_number(AccountNumber::FIRST, "example.com", Some("b")).unwrap();
    assert_eq!((full.bare(), full.to_bare()), ("10001@example.com", bare));
}

proptest! {
    #[test]
    fn any_text_parses_to_itself_or_not_at_all(text in "\\PC{0,12}@?\\PC{0,12}/?\\PC{0,12}") {
        if let Ok(jid) = Jid::parse(&text) {
            let again = Jid::parse(jid.as_str());
            prop_assert_eq!(again.as_ref(), Ok(&jid));
            let whole = format!("{}{}", jid.bare(), jid.resource().map(|r| format!("/{r}")).unwrap_or_default());
            prop_assert_eq!(whole, jid.as_str());
        }
    }

    #[test]
    fn numbers_round_trip(value in 1..1_000_000_000_000_000_u64) {
        let number = AccountNumber::new(value).unwrap();
        prop_assert_eq!(AccountNumber::parse(&number.to_string()), Some(number));
    }
}
