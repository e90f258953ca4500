//! Conversations: what the exchange says on lines that begin with `S`, what the client must say on lines with `C`.

use super::*;

const NOW: Instant = Instant::ZERO;

fn account() -> Account {
    Account {
        number: AccountNumber::FIRST,
        domain: "localhost".to_owned(),
        password: "secret".to_owned(),
        resource: None,
    }
}

fn tls() -> Facts {
    Facts { framed: false, encrypted: true, local: false, can_start_tls: false, exporter: None }
}

fn said(session: &mut Session) -> String {
    let mut all = String::new();
    while let Some(piece) = session.poll_output() {
        all.push_str(std::str::from_utf8(&piece).unwrap());
    }
    all
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

/// Plays a script; lines of the client are compared whole.
fn play(session: &mut Session, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_at(2) {
            ("S ", text) if session.is_framed() => session.handle_message(NOW, text),
            ("S ", text) => session.handle_bytes(NOW, text.as_bytes()),
            ("C ", text) => assert_eq!(said(session), text),
            _ => panic!("whose line is {line}?"),
        }
    }
}

const LOG_IN: &str = "
    C <?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' from='10001@localhost' version='1.0' xml:lang='en'>
    S <?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='localhost' id='1' version='1.0'>
    S <stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>
    C <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>ADEwMDAxAHNlY3JldA==</auth>
    S <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
    C <?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' from='10001@localhost' version='1.0' xml:lang='en'>
    S <?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='localhost' id='2' version='1.0'>
    S <stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/></stream:features>
    C <iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>
    S <iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>10001@localhost/x</jid></bind></iq>
    C <enable xmlns='urn:xmpp:sm:3'/>
    S <enabled xmlns='urn:xmpp:sm:3'/>
";

fn logged_in() -> Session {
    let mut session = Session::new(NOW, account(), tls(), "abc".to_owned());
    play(&mut session, LOG_IN);
    let ready = Event::Ready { jid: "10001@localhost/x".to_owned(), acknowledges: true };
    assert_eq!(events(&mut session), [ready]);
    session
}

#[test]
fn a_log_in_from_the_first_byte_to_the_last() {
    let mut session = logged_in();
    session.close();
    play(&mut session, "C <a xmlns='urn:xmpp:sm:3' h='0'/></stream:stream>\nS </stream:stream>");
    assert_eq!(events(&mut session), [Event::Ended(End::Closed)]);
    assert_eq!(said(&mut session), "");
}

#[test]
fn a_log_in_over_web_socket() {
    let facts = Facts { framed: true, encrypted: false, local: true, ..tls() };
    let mut session = Session::new(NOW, account(), facts, "abc".to_owned());
    play(
        &mut session,
        "
        C <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>
        S <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='localhost' id='1' version='1.0'/>
        S <stream:features xmlns:stream='http://etherx.jabber.org/streams'><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>
        C <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj0xMDAwMSxyPWFiYw==</auth>
        S <failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>
        C <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>
        ",
    );
    let failed = End::LogIn { condition: "not-authorized".to_owned(), text: None };
    assert_eq!(events(&mut session), [Event::Ended(failed)]);
}

#[test]
fn starttls_comes_before_everything() {
    let facts = Facts { encrypted: false, can_start_tls: true, ..tls() };
    let offer = "
        C <?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0' xml:lang='en'>
        S <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' version='1.0'>
        S <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>
        C <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
    ";
    let mut session = Session::new(NOW, account(), facts, "abc".to_owned());
    play(&mut session, offer);
    play(&mut session, "S <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(events(&mut session), [Event::StartTls]);
    session.handle_secured(NOW, None);
    play(&mut session, LOG_IN);

    // RFC 6120 5.4.3.3: text that was slipped in behind the offer is not taken into the encrypted stream.
    let mut session = Session::new(NOW, account(), facts, "abc".to_owned());
    play(&mut session, offer);
    play(&mut session, "S <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><message/>");
    assert!(matches!(events(&mut session)[..], [Event::StartTls, Event::Ended(End::Protocol(_))]));
}

#[test]
fn clear_text_does_not_leave_the_machine() {
    for (local, can_start_tls) in [(false, true), (false, false), (true, true)] {
        let facts = Facts { encrypted: false, local, can_start_tls, ..tls() };
        let mut session = Session::new(NOW, account(), facts, "abc".to_owned());
        said(&mut session);
        play(
            &mut session,
            "
            S <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1'>
            S <stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>
            ",
        );
        // PLAIN is not for clear text, not even here.
        let expected = if local { End::NoMechanism("PLAIN".to_owned()) } else { End::NotEncrypted };
        assert_eq!(events(&mut session), [Event::Ended(expected)]);
        assert_eq!(said(&mut session), "");
    }
}

#[test]
fn an_exchange_that_does_not_prove_itself_is_an_impostor() {
    let mut session = Session::new(NOW, account(), tls(), "abc".to_owned());
    said(&mut session);
    let challenge = STANDARD.encode("r=abcd,s=QSXCR+Q6sek8bf92,i=4096");
    play(
        &mut session,
        &format!(
            "
            S <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1'>
            S <stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism></mechanisms></stream:features>
            S <challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{challenge}</challenge>
            S <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</success>
            ",
            STANDARD.encode("v=AAAA")
        ),
    );
    assert_eq!(events(&mut session), [Event::Ended(End::Impostor)]);
}

#[test]
fn what_is_sent_is_acknowledged() {
    let mut session = logged_in();
    assert_eq!(session.send(b"<message/>".to_vec()), 1);
    assert_eq!(session.send(b"<message/>".to_vec()), 2);
    play(
        &mut session,
        "C <message/><r xmlns='urn:xmpp:sm:3'/><message/><r xmlns='urn:xmpp:sm:3'/>
         S <a xmlns='urn:xmpp:sm:3' h='1'/><a xmlns='urn:xmpp:sm:3' h='1'/><a xmlns='urn:xmpp:sm:3' h='2'/>",
    );
    assert_eq!(events(&mut session), [Event::Acknowledged(1), Event::Acknowledged(2)]);
    play(&mut session, "S <a xmlns='urn:xmpp:sm:3' h='3'/>");
    assert!(matches!(events(&mut session)[..], [Event::Ended(End::Protocol(_))]));
}

#[test]
fn what_comes_counts_once_it_is_released_and_in_order() {
    let mut session = logged_in();
    play(
        &mut session,
        "S <message from='a'><body>1</body></message><iq type='get' id='p' from='s'><ping xmlns='urn:xmpp:ping'/></iq><message from='b'/>
         S <r xmlns='urn:xmpp:sm:3'/>
         C <a xmlns='urn:xmpp:sm:3' h='0'/>",
    );
    let came = events(&mut session);
    // Every stanza is told; what is no message counts by itself.
    let serials: Vec<u64> = came
        .iter()
        .filter_map(|event| match event {
            Event::Stanza { serial, .. } => Some(*serial),
            _ => None,
        })
        .collect();
    assert_eq!((serials, came.len()), (vec![1, 2, 3], 3));
    session.release(3);
    assert_eq!(said(&mut session), "");
    // The ping says that what was in front of it has arrived (XEP-0160 without XEP-0198), so it waits for that.
    session.release(1);
    play(&mut session, "C <iq to='s' id='p' type='result'/><a xmlns='urn:xmpp:sm:3' h='3'/>");
    session.release(1);
    session.release(7);
    assert_eq!(said(&mut session), "");
}

#[test]
fn a_request_that_nobody_serves_gets_an_error() {
    let mut session = logged_in();
    play(
        &mut session,
        "S <iq type='set' id='q' from='10002@localhost/y'><query xmlns='urn:unknown'/></iq><iq type='result' id='z'/>
         C <iq to='10002@localhost/y' id='q' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
    );
}

#[test]
fn a_silent_exchange_is_asked_and_then_given_up() {
    let mut session = logged_in();
    let asked = session.next_deadline().unwrap();
    assert_eq!(asked, NOW + SILENCE);
    session.handle_timer(NOW);
    assert_eq!(said(&mut session), "");
    session.handle_timer(asked);
    play(&mut session, "C <r xmlns='urn:xmpp:sm:3'/>");
    let given_up = session.next_deadline().unwrap();
    assert_eq!(given_up, NOW + SILENCE + ANSWER);
    session.handle_timer(given_up);
    assert_eq!(events(&mut session), [Event::Ended(End::Silent)]);

    let mut session = logged_in();
    session.handle_timer(asked);
    session.handle_bytes(asked, b"<a xmlns='urn:xmpp:sm:3' h='0'/>");
    assert_eq!(session.next_deadline(), Some(asked + SILENCE));
}

#[test]
fn good_byes_and_ends() {
    let mut session = logged_in();
    play(&mut session, "S </stream:stream>\nC </stream:stream>");
    assert_eq!(events(&mut session), [Event::Ended(End::Closed)]);

    let mut session = logged_in();
    play(
        &mut session,
        "S <stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>two</text></stream:error></stream:stream>
         C </stream:stream>",
    );
    let conflict = End::Stream { condition: "conflict".to_owned(), text: Some("two".to_owned()) };
    assert_eq!(events(&mut session), [Event::Ended(conflict)]);

    let mut session = logged_in();
    session.handle_lost("reset");
    session.handle_lost("again");
    assert_eq!(events(&mut session), [Event::Ended(End::Lost("reset".to_owned()))]);

    let mut session = logged_in();
    session.close();
    session.handle_lost("reset");
    assert_eq!(events(&mut session), [Event::Ended(End::Closed)]);
}

#[test]
fn what_is_no_xmpp_ends_it() {
    for script in [
        "S HTTP/1.1 400 Bad Request",
        "S <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><message/>",
        "S <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><stream:features/>",
    ] {
        let mut session = Session::new(NOW, account(), tls(), "abc".to_owned());
        said(&mut session);
        play(&mut session, script);
        assert!(matches!(events(&mut session)[..], [Event::Ended(_)]), "{script}");
    }
}
