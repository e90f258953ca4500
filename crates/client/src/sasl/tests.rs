use super::*;

#[test]
fn scram_sha_1_says_what_rfc_5802_section_5_says() {
    let mut scram =
        Scram::new(Hash::Sha1, Binding::Unsupported, "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL");
    assert_eq!(scram.make_first(), b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
    let challenge = b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
    let answer = scram.handle_challenge(challenge).unwrap();
    assert_eq!(
        String::from_utf8(answer).unwrap(),
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
    );
    assert!(scram.is_proved_by(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
    assert!(!scram.is_proved_by(b"v=rmF9pqV8S7suAoZWja4dJRkFsKR="));
    assert!(!scram.is_proved_by(b""));
}

#[test]
fn scram_sha_256_says_what_rfc_7677_section_3_says() {
    let mut scram = Scram::new(Hash::Sha256, Binding::Unsupported, "user", "pencil", "rOprNGfwEbeRWgbNEkqO");
    let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    let answer = scram.handle_challenge(challenge).unwrap();
    assert!(answer.ends_with(b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
    assert!(scram.is_proved_by(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
}

#[test]
fn a_challenge_that_is_not_ours_is_refused() {
    for challenge in [
        "r=other,s=QSXCR+Q6sek8bf92,i=4096",
        "r=abc,s=QSXCR+Q6sek8bf92,i=4096",
        "r=abcd,s=QSXCR+Q6sek8bf92,i=1",
        "r=abcd,s=QSXCR+Q6sek8bf92,i=4294967295",
        "r=abcd,s=?,i=4096",
        "r=abcd,i=4096",
        "",
    ] {
        let mut scram = Scram::new(Hash::Sha1, Binding::Unsupported, "1", "p", "abc");
        assert!(scram.handle_challenge(challenge.as_bytes()).is_err(), "{challenge}");
    }
}

#[test]
fn the_best_mechanism_is_chosen() {
    let all = ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"];
    let clear = Channel { encrypted: false, exporter: None };
    let old_tls = Channel { encrypted: true, exporter: None };
    let tls = Channel { encrypted: true, exporter: Some([7; 32]) };
    let exporter = Binding::Exporter([7; 32]);
    for (offered, types, channel, expected) in [
        (
            &all[..],
            &["tls-exporter"][..],
            tls,
            Some(("SCRAM-SHA-256-PLUS", Choice::Scram(Hash::Sha256, exporter))),
        ),
        (&all[..4], &["tls-exporter"], tls, Some(("SCRAM-SHA-1-PLUS", Choice::Scram(Hash::Sha1, exporter)))),
        (
            &all,
            &["tls-unique"],
            tls,
            Some(("SCRAM-SHA-256", Choice::Scram(Hash::Sha256, Binding::Unsupported))),
        ),
        (&all[..3], &[], tls, Some(("SCRAM-SHA-256", Choice::Scram(Hash::Sha256, Binding::NotOffered)))),
        (
            &all,
            &["tls-exporter"],
            old_tls,
            Some(("SCRAM-SHA-256", Choice::Scram(Hash::Sha256, Binding::Unsupported))),
        ),
        (&all[..2], &[], clear, Some(("SCRAM-SHA-1", Choice::Scram(Hash::Sha1, Binding::Unsupported)))),
        (&all[..1], &[], tls, Some(("PLAIN", Choice::Plain))),
        (&all[..1], &[], clear, None),
        (&["GSSAPI"], &[], tls, None),
    ] {
        assert_eq!(choose(offered, types, channel), expected, "{offered:?} {types:?} {channel:?}");
    }
}

#[test]
fn channel_binding_is_part_of_what_is_proved() {
    let first = |binding| Scram::new(Hash::Sha256, binding, "1", "p", "abc").make_first();
    assert_eq!(first(Binding::Exporter([0; 32])), b"p=tls-exporter,,n=1,r=abc");
    assert_eq!(first(Binding::NotOffered), b"y,,n=1,r=abc");
    let answer = |exporter| {
        let mut scram = Scram::new(Hash::Sha256, Binding::Exporter(exporter), "1", "p", "abc");
        scram.handle_challenge(b"r=abcd,s=QSXCR+Q6sek8bf92,i=4096").unwrap()
    };
    assert_ne!(answer([0; 32]), answer([1; 32]));
}

#[test]
fn an_offer_that_was_changed_on_its_way_is_noticed() {
    // The example of XEP-0474 section 5.3.
    let offer = "SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-exporter\x1etls-server-end-point";
    let challenge = b"r=abcd,s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=";
    let scram = |offer: &str| {
        Scram::new(Hash::Sha1, Binding::Unsupported, "1", "p", "abc").with_offer(offer.to_owned())
    };
    assert!(scram(offer).handle_challenge(challenge).is_ok());
    assert!(scram("SCRAM-SHA-1").handle_challenge(challenge).is_err());
    // An exchange that does not tell is believed as before.
    assert!(scram("SCRAM-SHA-1").handle_challenge(b"r=abcd,s=QSXCR+Q6sek8bf92,i=4096").is_ok());
}
